//! The flags that take one of a few words. The words that a run keeps are part of the format of `run.json`.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What to do for a creator who is in several groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnAmbiguous {
    /// Skip the row: a person decides
    Skip,
    /// Take the first group, in the order in which DevRev lists them
    First,
    /// Take the row's assigned group, if it is one of them
    Assigned,
}

/// The types of object whose fields can be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ObjectName {
    /// Issues (ISS-...)
    Issue,
    /// Tickets (TKT-...)
    Ticket,
    /// Tasks (TASK-...)
    Task,
    /// Opportunities (OPP-...)
    Opportunity,
    /// Accounts (ACC-...)
    Account,
    /// Workspaces, also called rev orgs (REV-...)
    Workspace,
    /// Contacts, also called rev users (REVU-...)
    Contact,
}

/// What to do with a row whose object is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnMissing {
    /// Fail the row
    #[default]
    Fail,
    /// Create the object, with --match external_ref
    Create,
}

/// What to do where brokers of Kafka have removed messages before they were loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnGap {
    /// End the run, naming what is lost
    #[default]
    Stop,
    /// Say what is lost, and go on after it
    Continue,
}

/// What becomes of a migration that is half done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnHalfDone {
    /// Execute its file again, from the first statement
    Retry,
    /// Take it as done, since the rest was done by hand; execute nothing of it
    Accept,
}

/// What an export is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// A table for a spreadsheet, which `update` takes back
    Csv,
    /// A JSON object per line
    Jsonl,
}

/// What an empty cell says of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnEmpty {
    /// Nothing: the field is left alone; with --base, a cell that was emptied is an error
    Leave,
    /// The field is emptied
    Clear,
}

/// Which contact of a pair is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The contact whose external reference begins with REVU-
    Revu,
    /// The contact whose external reference begins with user_
    User,
}

/// What to do with a pair whose TICKET_COUNT differs from DevRev's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnCountMismatch {
    /// Fail the pair: the file and DevRev disagree
    Fail,
    /// Merge it, with a warning
    Warn,
}

/// What to do with a pair when DevRev refers to an attachment that it no longer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnMissingAttachment {
    /// Fail the pair: its backup would be incomplete
    #[default]
    Fail,
    /// Merge it; the backup records what is missing
    Record,
}

/// What to do with a row that has changed since it was planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnDrift {
    /// Leave the row alone
    Skip,
    /// Stop the run before it
    Abort,
}

/// When to send a message about how a run ended. Problems during a run are reported unless this is `never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Notify {
    /// However it ends
    Always,
    /// When rows failed or the run did not finish
    Failure,
    /// Never, and nothing during the run either
    Never,
}

/// How runs may stand, for `runs list`.
pub(crate) const RUN_STATES: [&str; 8] =
    ["running", "crashed", "interrupted", "stopped", "finished", "closed", "never-began", "unreadable"];

/// The word for a choice, as it is typed.
pub fn word(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
