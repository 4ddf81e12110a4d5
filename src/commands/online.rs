//! `validate`, with what only DevRev can tell: whether the groups and creators that an input names exist.

use crate::cli;
use crate::cli::dialect;
use crate::commands::validate;
use crate::devrev::dev_users::DevUsersGet;
use crate::devrev::error::ErrorKind;
use crate::devrev::groups::GroupsGet;
use crate::devrev::ids::{Key, ObjectType};
use crate::devrev::read_only::ReadOnly;
use crate::exit::{Exit, Failure};
use crate::finding::{Finding, Rule};
use crate::jobs::backfill_groups::membership::{Membership, Scope};
use crate::jobs::rules::queries;
use crate::kind::Kind;
use crate::report::terminal::Terminal;
use crate::run::connect::Connection;
use crate::run::failing;
use crate::run::look::source_failure;
use crate::run::signals;
use crate::run::snowflake::{self, Typed};
use crate::settings::Settings;
use crate::source::Input;
use crate::stop::Stop;
use futures_util::{StreamExt, stream};
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::io;
use std::path::Path;

/// `dev-users.get` calls at once.
const GETS_AT_ONCE: usize = 8;

/// Users and groups that are asked about; an input that names more is asked in parts.
const MOST_MENTIONED: usize = 200_000;

/// Runs `validate`.
pub async fn validate(
    args: cli::input::Validate,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    let kind = args.kind.map(|kind| match kind {
        cli::input::Kind::Groups => Kind::Groups,
        cli::input::Kind::Contacts => Kind::Contacts,
    });
    // One more than is looked at: the report says whether there are more.
    let limit = args.limit.map(|limit| limit.saturating_add(1));
    let rows = match snowflake::typed(&args.rows, queries::table(kind), limit, &global, &args.client)? {
        Typed::Csv(path) => Typed::Csv(path.to_owned()),
        Typed::Snowflake(asking) => Typed::Snowflake(asking),
    };
    let dialect = dialect(args.rows.delimiter.as_deref())?;
    let stop = Stop::default();
    let settings = if args.online { Some(Settings::for_client(&global, &args.client)?) } else { None };
    let handle = tokio::runtime::Handle::current();
    // What is spooled goes when this ends: nothing is resumed.
    let folder = tempfile::tempdir().map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot make a temporary folder: {error}"))
    })?;
    let spool = folder.path().join("input.csv");
    if matches!(rows, Typed::Snowflake(_)) {
        // Else a signal ends the process at once; here it would leave the rows behind.
        signals::listen(&stop, &terminal)
            .map_err(|error| Failure::new(Exit::Unexpected, format!("cannot listen to signals: {error}")))?;
    }
    let of_query = stop.clone();
    let work = move || {
        let input = match rows {
            Typed::Csv(path) if path == Path::new("-") => {
                Input::stdin(&spool).map_err(|error| source_failure(&error))?
            }
            Typed::Csv(path) => Input::file(&path),
            Typed::Snowflake(asking) => asking.spool(&spool, &of_query)?,
        };
        let input = input.read_as(dialect);
        let ask = |mentioned: &Mentioned| match &settings {
            Some(settings) => handle.block_on(mentioned.absent(settings, args.sandbox)),
            None => Ok(Vec::new()),
        };
        let ask: Option<&validate::Ask<'_>> = if settings.is_some() { Some(&ask) } else { None };
        // Not locked: whoever logs meanwhile writes to standard error.
        validate::run(&input, kind, args.limit, global.json, ask, &mut io::stdout())
    };
    crate::run::signals::on_thread(&stop, work).await
}

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
pub struct Mentioned {
    places: FxHashMap<Key, Mention>,
    /// Whether there were more than can be asked about.
    cut: bool,
}

impl Mentioned {
    /// Notes that a row names an object.
    pub fn note(&mut self, key: Key, row: u64, line: u64, column: &'static str, text: &str) {
        if self.places.len() >= MOST_MENTIONED && !self.places.contains_key(&key) {
            self.cut = true;
            return;
        }
        let object = key.object();
        self.places.entry(key).or_insert_with(|| Mention { row, line, column, object, text: text.into() });
    }

    /// What DevRev does not have, as findings in the order of the rows.
    async fn absent(&self, settings: &Settings, sandbox: bool) -> Result<Vec<Finding>, Failure> {
        let connection = Connection::open(settings, sandbox, &Stop::default()).await?;
        connection.identity().await?;
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
