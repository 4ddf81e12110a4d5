//! `run.json`: what a run is, and how it stands.

use super::atomic;
use super::error::JournalError;
use super::run_dir::RunDir;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::io;

/// The format that this version writes, of `run.json` and of the journal beside it.
///
/// 2: the journal may speak of two rows at once, and of steps. 3: a run may carry out a plan.
pub const FORMAT: u64 = 3;
/// What [`Manifest::base_url`] says of a run against a sandbox in its own process: a world that went with it.
pub const SANDBOX: &str = "sandbox";
/// How much of a line of `run.json` an error quotes, in characters.
const QUOTE: usize = 80;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// A process works on it, or was killed while it did.
    Running,
    /// It was asked to stop by a signal; `resume` continues.
    Interrupted,
    /// It stopped by itself before the end; `resume` continues.
    Stopped,
    /// Every row has its outcome.
    Finished,
}

/// What a run works on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Where it was read from, as it was given.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
    /// Its rows.
    pub rows: u64,
    /// Whether a copy is kept in the run's folder.
    pub spooled: bool,
    /// What separates its fields, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Whether records without any text are no rows; they were to earlier versions.
    #[serde(default)]
    pub leaves_out_blank_rows: bool,
    /// What the operator calls it, where it is neither a file nor standard input: `Snowflake`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The query that the rows came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

/// An organisation or a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The full ID.
    pub id: String,
    /// The ID as people know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_id: Option<String>,
    /// The name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Party {
    /// The ID where none could be found out.
    pub const UNKNOWN: &str = "unknown";

    /// What people call it: its name, if it can be typed, or else its display ID or the last part of its ID.
    pub fn called(&self) -> &str {
        let last = self.id.rsplit(['/', ':']).next().unwrap_or(&self.id);
        let typed = |name: &&str| !name.trim().is_empty() && !name.contains(char::is_control);
        self.name.as_deref().filter(typed).or(self.display_id.as_deref()).unwrap_or(last)
    }
}

/// For people: `ana-sousa (DEVU-1)`, `DEMO (devo/DEMO)`.
impl fmt::Display for Party {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, id) = (self.called(), self.display_id.as_ref().unwrap_or(&self.id));
        if name == id { formatter.write_str(name) } else { write!(formatter, "{name} ({id})") }
    }
}

/// The plan that a run carries out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applies {
    /// The dry run that made it.
    pub run: String,
    /// When that began.
    pub planned_at: DateTime<Utc>,
    /// The rows that it is about.
    pub rows: u64,
    /// The SHA-256 of the run's own `plan.jsonl`, in hex.
    pub sha256: String,
    /// Whether the run stops at a row that is no longer as it was planned, rather than leave it alone.
    pub abort_on_drift: bool,
}

/// `run.json`. Members that this version does not know are passed over, and gone when it is written again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the format: [`FORMAT`].
    pub format: u64,
    /// The version of devrev-batch that wrote this.
    pub tool_version: String,
    /// The run's ID.
    pub id: String,
    /// The subcommand.
    pub command: String,
    /// When the run was made.
    pub created_at: DateTime<Utc>,
    /// When this file was written.
    pub updated_at: DateTime<Utc>,
    /// When the run ended, however it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
    /// The settings it runs with, without secrets.
    pub settings: serde_json::Value,
    /// What it works on; none for a run that takes its rows from its parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
    /// The organisation that the token belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<Party>,
    /// The user that the token belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Party>,
    /// Where requests are sent.
    pub base_url: String,
    /// The environment's name, such as `production`.
    pub environment: String,
    /// Whether nothing is changed.
    pub dry_run: bool,
    /// Rows by the name of their state.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// How many bytes of whole records the journal had at the least when this was written. Earlier versions did not
    /// say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_bytes: Option<u64>,
    /// How the run stands.
    pub state: RunState,
    /// The exit code of the process that last worked on it, once it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// The plan that it carries out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applies: Option<Applies>,
    /// The changes after which it ended, as `--max-changes` said, with rows left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portion: Option<u64>,
    /// That it was closed by hand: it is not resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
    /// Why the run stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What the operator has to know of what the last process went by, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The run that this one carries out, undoes or continues from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// The end of a run by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// When.
    pub at: DateTime<Utc>,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Closed {
    /// For people.
    pub fn text(&self) -> String {
        let at = self.at.format("%Y-%m-%d %H:%M UTC");
        self.reason.as_ref().map_or_else(|| at.to_string(), |reason| format!("{at}, {reason}"))
    }
}

/// What every format says.
#[derive(Deserialize)]
struct Head {
    format: u64,
    #[serde(default)]
    tool_version: Option<String>,
}

impl Manifest {
    /// Reads a run's `run.json`.
    ///
    /// Fails when it is missing, was written by a newer version, or lacks a member.
    pub fn read(run: &RunDir) -> Result<Self, JournalError> {
        let path = run.manifest();
        let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => JournalError::Manifest {
                file: path.clone(),
                problem: "it is missing: the run ended before it began, or the file was removed".to_owned(),
            },
            _ => JournalError::io("read", &path)(error),
        })?;
        let refused = |error: &serde_json::Error| JournalError::Manifest {
            file: path.clone(),
            problem: explain(&text, error),
        };
        // The format first: a newer one may lack what this version takes for granted.
        let head: Head = serde_json::from_str(&text).map_err(|error| refused(&error))?;
        if head.format > FORMAT {
            return Err(JournalError::NewerFormat {
                format: head.format,
                known: FORMAT,
                tool: head.tool_version.unwrap_or_else(|| "of unknown version".to_owned()),
                file: path,
            });
        }
        let manifest: Self = serde_json::from_str(&text).map_err(|error| refused(&error))?;
        if manifest.id != run.id() {
            let problem = format!("`id` is {}, but this is the folder of {}", manifest.id, run.id());
            return Err(JournalError::Manifest { file: path, problem });
        }
        Ok(manifest)
    }

    /// Whether the run is in this organisation; `None` where that of either is not known.
    pub fn is_in(&self, org: Option<&Party>) -> Option<bool> {
        let known = |org: &&Party| org.id != Party::UNKNOWN;
        let (own, other) = (self.org.as_ref().filter(known)?, org.filter(known)?);
        Some(own.id.eq_ignore_ascii_case(&other.id))
    }

    /// Puts this in the place of the run's `run.json`, in one step and durably.
    pub fn write(&self, run: &RunDir) -> Result<(), JournalError> {
        let path = run.manifest();
        atomic::replace(&path, |out| {
            serde_json::to_writer_pretty(&mut *out, self)?;
            out.write_all(b"\n")
        })
        .map_err(JournalError::io("write", &path))
    }
}

/// What is wrong with `run.json`. A missing member is named by the error; another is named by its line.
fn explain(text: &str, error: &serde_json::Error) -> String {
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default().trim();
    let quoted: String = line.chars().take(QUOTE).collect();
    if error.is_data() && line.contains(':') { format!("{error}: `{quoted}`") } else { error.to_string() }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::exit::{Exit, Failure};
    use serde_json::json;

    pub(in crate::journal) fn manifest(run: &RunDir) -> Manifest {
        let now = Utc::now();
        Manifest {
            format: FORMAT,
            tool_version: "0.1.0".into(),
            id: run.id().into(),
            command: "undo".into(),
            created_at: now,
            updated_at: now,
            ended_at: None,
            settings: json!({"batch_size": 100}),
            input: Some(Input {
                delimiter: None,
                leaves_out_blank_rows: true,
                path: "issues.csv".into(),
                bytes: 17,
                sha256: "00".into(),
                rows: 2,
                spooled: false,
                source: None,
                query: None,
            }),
            org: Some(Party { id: "don:1".into(), display_id: None, name: Some("Acme".into()) }),
            user: None,
            base_url: "https://api.devrev.ai".into(),
            environment: "production".into(),
            dry_run: false,
            counts: BTreeMap::from([("done".into(), 2)]),
            journal_bytes: None,
            state: RunState::Running,
            exit_code: None,
            applies: None,
            portion: None,
            closed: None,
            why: None,
            notes: Vec::new(),
            parent: None,
        }
    }

    fn run() -> (tempfile::TempDir, RunDir) {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), "undo", Utc::now()).unwrap();
        (folder, run)
    }

    fn change(run: &RunDir, change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> Failure {
        let mut value = serde_json::to_value(manifest(run)).unwrap();
        change(value.as_object_mut().unwrap());
        std::fs::write(run.manifest(), serde_json::to_vec_pretty(&value).unwrap()).unwrap();
        Manifest::read(run).unwrap_err().into()
    }

    #[test]
    fn reads_what_it_wrote() {
        let (_folder, run) = run();
        let mut manifest = manifest(&run);
        manifest.write(&run).unwrap();
        assert_eq!(Manifest::read(&run).unwrap(), manifest);
        manifest.state = RunState::Stopped;
        manifest.exit_code = Some(7);
        manifest.write(&run).unwrap();
        assert_eq!(Manifest::read(&run).unwrap(), manifest);
    }

    #[test]
    fn a_newer_format_is_refused_whatever_else_it_says() {
        let (_folder, run) = run();
        let failure = change(&run, |members| {
            members.insert("format".into(), json!(FORMAT + 1));
            members.insert("tool_version".into(), json!("3.1.4"));
            members.remove("state");
        });
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("a newer devrev-batch (3.1.4) wrote it"), "{failure}");
    }

    #[test]
    fn organisations_are_compared_only_where_both_are_known() {
        let (_folder, run) = run();
        let mut manifest = manifest(&run);
        let party = |id: &str| Party { id: id.into(), display_id: None, name: None };
        assert_eq!(manifest.is_in(Some(&party("DON:1"))), Some(true));
        assert_eq!(manifest.is_in(Some(&party("don:2"))), Some(false));
        assert_eq!((manifest.is_in(None), manifest.is_in(Some(&party(Party::UNKNOWN)))), (None, None));
        manifest.org = None;
        assert_eq!(manifest.is_in(Some(&party("don:1"))), None);
    }

    #[test]
    fn unknown_members_are_passed_over() {
        let (_folder, run) = run();
        let mut value = serde_json::to_value(manifest(&run)).unwrap();
        value.as_object_mut().unwrap().insert("later".into(), json!([1]));
        std::fs::write(run.manifest(), value.to_string()).unwrap();
        assert_eq!(Manifest::read(&run).unwrap().command, "undo");
    }

    #[test]
    fn errors_name_the_file_and_the_member() {
        let (_folder, run) = run();
        let missing = change(&run, |members| {
            members.remove("base_url");
        });
        assert_eq!(missing.exit, Exit::Changed);
        assert!(missing.message.contains("run.json: missing field `base_url`"), "{missing}");
        let wrong = change(&run, |members| {
            members.insert("dry_run".into(), json!("yes"));
        });
        assert!(wrong.message.contains("expected a boolean"), "{wrong}");
        assert!(wrong.message.contains(r#"`"dry_run": "yes","#), "{wrong}");
        let other = change(&run, |members| {
            members.insert("id".into(), json!("20261122-034500-undo-0000"));
        });
        assert!(other.message.contains("`id` is 20261122-034500-undo-0000, but"), "{other}");
        std::fs::write(run.manifest(), "{").unwrap();
        let torn = Manifest::read(&run).unwrap_err().to_string();
        assert!(torn.contains("run.json: EOF while parsing"), "{torn}");
    }
}
