//! What becomes of messages: [`super::fetch`] where each has an offset, and a filter sees more than its value.

use super::error::LoadError;
use super::fetch::{Fetch, Made, push, rejected, worked};
use super::file::VARIABLE;
use super::filter::Filter;
use super::source::kafka::{Message, Messages, Payload};
use jaq_json::Val;
use std::sync::Arc;

/// How messages are transformed, the same for all.
struct Transform {
    filter: Option<Filter>,
    /// The place of `$kafka` among the variables.
    about: Option<usize>,
    /// Whether messages without a value are transformed too.
    takes_tombstones: bool,
    with_inputs: bool,
}

impl Fetch {
    /// Transforms messages.
    pub(super) async fn transform_messages(
        &self,
        messages: Messages,
        variables: Arc<Vec<Val>>,
        with_inputs: bool,
    ) -> Result<Made, LoadError> {
        let spec = self.file.kafka();
        let takes = spec.and_then(|spec| spec.tombstones.as_ref()).is_some_and(|takes| takes.value);
        let transform = Transform {
            filter: self.transform.clone(),
            about: self.variables.iter().position(|name| name == VARIABLE),
            takes_tombstones: takes,
            with_inputs,
        };
        worked(move || {
            let mut made = Made { end: messages.end, ..Made::default() };
            let mut variables = variables.to_vec();
            for message in messages.list {
                transform.run(message, &mut variables, &mut made);
            }
            Ok(made)
        })
        .await
    }
}

impl Transform {
    fn run(&self, message: Message, variables: &mut [Val], made: &mut Made) {
        let before = made.records.len();
        let val = match message.payload {
            Payload::Json(val) => Some(val),
            Payload::Tombstone if self.takes_tombstones => Some(Val::Null),
            Payload::Tombstone => {
                made.tombstones += 1;
                None
            }
            Payload::Broken(text, broken) => {
                if self.with_inputs {
                    made.inputs.push((text.clone(), 1));
                }
                made.records.push(Err((text, broken)));
                made.messages.push((message.offset, 1));
                return;
            }
        };
        if let Some(variable) = self.about.and_then(|place| variables.get_mut(place)) {
            *variable = message.about;
        }
        match (&self.filter, &val) {
            (Some(filter), Some(val)) => match filter.run(val.clone(), variables) {
                Err(why) => made.records.push(Err(rejected(val, why))),
                Ok(outputs) => outputs.iter().for_each(|output| push(made, output, val)),
            },
            (None, Some(val)) => push(made, val, val),
            (_, None) => {}
        }
        let became = made.records.len() - before;
        if self.with_inputs {
            made.inputs.push((val.unwrap_or(Val::Null).to_string(), became));
        }
        made.messages.push((message.offset, became));
    }
}
