//! Whether DevRev's schema lets the creator-group field be written: asked before the operator is.

use crate::devrev::read_only::ReadOnly;
use crate::devrev::schemas::SchemaGet;
use crate::exit::{Exit, Failure};
use crate::jobs::backfill_groups::field::{self, FieldCheck};
use crate::jobs::failing;

/// Where the field's name comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Named<'a> {
    /// `CREATOR_GROUP_FIELD`: it can be corrected.
    BySetting,
    /// This run, which is undone.
    ByRun(&'a str),
}

/// Asks for the schema of issues. Returns what there is to know of the field.
///
/// Fails where it certainly cannot be written. What the token may not read, or DevRev does not tell, is left to the first
/// write.
pub(crate) async fn check(client: &ReadOnly, name: &str, named: Named<'_>) -> Result<Vec<String>, Failure> {
    let answer = client.call_once(&SchemaGet::of("issue")).await;
    let schema = match answer.map_err(|error| failing::ends_run(&error).ok_or(error)) {
        Ok(answer) => answer.schema,
        Err(Ok(failure)) => return Err(failure),
        Err(Err(error)) => {
            tracing::info!("the creator-group field is not checked beforehand: {error}");
            return Ok(Vec::new());
        }
    };
    let (problem, cure) = match field::check(&schema, name) {
        FieldCheck::Fits(notes) => return Ok(notes),
        FieldCheck::NotTold(why) => {
            tracing::info!("the creator-group field is not checked beforehand: {why}");
            return Ok(Vec::new());
        }
        FieldCheck::Missing(alike) if alike.is_empty() => (
            format!("issues have no field `{name}`"),
            "name the field that holds an issue's creator group".to_owned(),
        ),
        FieldCheck::Missing(alike) => {
            (format!("issues have no field `{name}`"), format!("did you mean {}?", alike.join(" or ")))
        }
        FieldCheck::WrongType(found) => (
            format!("the field `{name}` of issues holds no group, its type is {found}"),
            "name another".to_owned(),
        ),
    };
    let text = match named {
        Named::BySetting => format!("CREATOR_GROUP_FIELD: {problem}: {cure}; nothing was written"),
        Named::ByRun(run) => format!(
            "run {run} wrote a field that cannot be written now: {problem}. Nothing was written; restore the field in DevRev, \
             then run this again"
        ),
    };
    Err(Failure::new(Exit::Usage, text))
}
