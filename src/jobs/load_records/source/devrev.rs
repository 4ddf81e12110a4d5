//! Objects of DevRev as a source, page by page, as its lists have them.

use super::{Chunk, Sender};
use crate::devrev::any_object::{Members, ObjectList};
use crate::devrev::client::Client;
use crate::devrev::objects::Object;
use crate::devrev::pages::Pages;
use crate::figures::Figures;
use crate::jobs::load_records::dates::moment;
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::slices::Slice;
use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use serde_json::{Value, json};
use std::collections::HashSet;
use tokio::sync::mpsc;

/// Objects of a kind.
#[derive(Debug)]
pub(in crate::jobs::load_records) struct DevRevObjects {
    pub client: Client,
    pub object: &'static Object,
    /// What the list is asked for.
    pub filters: Members,
    /// Only those that have changed since.
    pub since: Option<DateTime<Utc>>,
    /// The date by which slices are cut.
    pub date: Option<String>,
}

/// A range of a date, either end of which may be open.
type Range = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

impl DevRevObjects {
    /// What this process has asked so far.
    pub(in crate::jobs::load_records) fn figures(&self) -> Figures {
        self.client.figures()
    }

    pub(super) async fn fetch(&self, slice: &Slice, to: mpsc::Sender<Chunk>) -> Result<(), LoadError> {
        let ranges = self.ranges(slice);
        let mut filters = self.filters.clone();
        for (field, range) in &ranges {
            filters.insert((*field).to_owned(), self.filter(range));
        }
        let client = self.client.read_only();
        let mut pages = Pages::new(ObjectList::of(self.object, filters));
        let mut sender = Sender::new(to);
        // An object may come again where others were created or deleted while the pages were turned.
        let mut seen = HashSet::new();
        while let Some(page) = pages.next(&client).await? {
            for object in page {
                let is_new =
                    object.get("id").and_then(Value::as_str).is_none_or(|id| seen.insert(id.to_owned()));
                if !is_new || !ranges.iter().all(|(field, range)| is_in(&object, field, range)) {
                    continue;
                }
                let json = Value::Object(object).to_string();
                // As the filter reads JSON: numbers keep their digits.
                let val = jaq_json::read::parse_single(json.as_bytes()).map_err(|error| {
                    LoadError::Refused(format!("an object of DevRev is not JSON: {error}"))
                })?;
                if !sender.val(val, json.len()).await {
                    return Ok(());
                }
            }
        }
        sender.finish().await;
        Ok(())
    }

    /// The ranges of dates that a slice's objects are in.
    fn ranges(&self, slice: &Slice) -> Vec<(&'static str, Range)> {
        let of_slice = (slice.start, slice.end);
        let mut ranges: Vec<(&str, Range)> = Vec::new();
        match self.date.as_deref() {
            Some("created_date") => {
                ranges.extend([("created_date", of_slice), ("modified_date", (self.since, None))]);
            }
            Some(_) => ranges.push(("modified_date", (of_slice.0.max(self.since), of_slice.1))),
            None => ranges.push(("modified_date", (self.since, None))),
        }
        ranges.retain(|(_, (from, to))| from.is_some() || to.is_some());
        ranges
    }

    /// A range as a list takes it; both of its ends are included there.
    fn filter(&self, (from, to): &Range) -> Value {
        let text = |moment: &DateTime<Utc>| moment.to_rfc3339_opts(SecondsFormat::Millis, true);
        let mut filter = json!({});
        for (name, moment) in [("after", from), ("before", to)] {
            if let Some(moment) = moment {
                filter[name] = text(moment).into();
            }
        }
        if self.object.work_type.is_some() {
            filter["type"] = "range".into();
        }
        filter
    }
}

/// Whether an object's date is in a range. What has no such date is not left out here.
fn is_in(object: &Members, field: &str, (from, to): &Range) -> bool {
    let Some(date) = object.get(field).and_then(Value::as_str).and_then(|text| moment(text, Tz::UTC)) else {
        return true;
    };
    from.is_none_or(|from| date >= from) && to.is_none_or(|to| date < to)
}
