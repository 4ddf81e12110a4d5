//! What only DevRev knows about an input: whether the groups and creators that it names exist.

use crate::devrev::dev_users::DevUsersGet;
use crate::devrev::groups::GroupsGet;
use crate::devrev::ids::{Key, ObjectType};
use crate::devrev::read_only::ReadOnly;
use crate::exit::Failure;
use crate::finding::{Finding, Rule};
use crate::jobs::backfill_groups::membership::{Membership, Scope};
use crate::jobs::failing;
use crate::jobs::target::DevRev;
use crate::net::error::ErrorKind;
use crate::settings::Settings;
use crate::stop::Stop;
use futures_util::{StreamExt, stream};
use rustc_hash::FxHashMap;
use std::borrow::Cow;

/// `dev-users.get` calls at once.
const GETS_AT_ONCE: usize = 8;

/// Users and groups that are asked about; an input that names more is asked in parts.
const MOST_MENTIONED: usize = 200_000;

/// Where a user or a group is first named.
#[derive(Debug)]
struct Mention {
    row: u64,
    line: u64,
    column: &'static str,
    object: ObjectType,
    text: Box<str>,
}

/// The users and groups that an input names, each once.
#[derive(Debug, Default)]
pub(crate) struct Mentioned {
    places: FxHashMap<Key, Mention>,
    /// Whether there were more than can be asked about.
    cut: bool,
}

impl Mentioned {
    /// Notes that a row names an object.
    pub(crate) fn note(&mut self, key: Key, row: u64, line: u64, column: &'static str, text: &str) {
        if self.places.len() >= MOST_MENTIONED && !self.places.contains_key(&key) {
            self.cut = true;
            return;
        }
        let object = key.object();
        self.places.entry(key).or_insert_with(|| Mention { row, line, column, object, text: text.into() });
    }

    /// What DevRev does not have, as findings in the order of the rows.
    pub(crate) async fn absent(&self, settings: &Settings, sandbox: bool) -> Result<Vec<Finding>, Failure> {
        let connection = DevRev::connect(settings, sandbox, &Stop::default()).await?;
        connection.who().await?;
        let client = connection.client.read_only();
        let membership = Membership::fetch(&client, Scope::default()).await?;
        let mut absent = Vec::new();
        let mut unknown = Vec::new();
        for (key, mention) in &self.places {
            match key.object() {
                // One of contacts is not listed, and may be what an issue is assigned to.
                ObjectType::Group if membership.group(key).is_none() => unknown.push(mention),
                // A member of a group exists; of users that are in none only dev users can be asked about.
                ObjectType::DevUser if !membership.knows(key) => unknown.push(mention),
                _ => {}
            }
        }
        let asked = unknown.into_iter().map(|mention| exists(&client, mention));
        let mut answers = stream::iter(asked).buffer_unordered(GETS_AT_ONCE);
        while let Some(answer) = answers.next().await {
            absent.extend(answer?);
        }
        absent.sort_by_key(|finding| finding.row);
        if self.cut {
            tracing::warn!(
                "more than {MOST_MENTIONED} users and groups are named: DevRev was asked about the first"
            );
        }
        Ok(absent)
    }
}

impl Mention {
    fn finding(&self, message: String) -> Finding {
        Finding {
            row: self.row,
            line: Some(self.line),
            column: Some(Cow::Borrowed(self.column)),
            rule: Rule::NotInDevRev,
            value: self.text.to_string(),
            message,
        }
    }
}

async fn exists(client: &ReadOnly, mention: &Mention) -> Result<Option<Finding>, Failure> {
    let id = mention.text.to_string();
    let answer = match mention.object {
        ObjectType::Group => client.call(&GroupsGet { id }).await.map(drop),
        _ => client.call(&DevUsersGet { id }).await.map(drop),
    };
    match answer {
        Ok(()) => Ok(None),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(Some(mention.finding(error.to_string()))),
        Err(error) => Err(failing::needed(&error, &format!("cannot tell whether {} exists", mention.text))),
    }
}
