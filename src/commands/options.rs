//! What a run does, as far as the job is concerned: kept in `run.json`, so that `resume` does the same.

use crate::cli;
use crate::exit::{Exit, Failure};
use crate::jobs::backfill_groups::decide::OnAmbiguous;
use crate::settings::Settings;
use serde::{Deserialize, Serialize};

/// The options of a backfill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillOptions {
    /// `--on-ambiguous`.
    pub on_ambiguous: OnAmbiguous,
    /// `--overwrite`.
    pub overwrite: bool,
    /// `--limit`: only the first rows.
    pub limit: Option<u64>,
    /// `CREATOR_GROUP_FIELD`.
    pub field: String,
    /// Whether a `--group-map` was given; its copy is in the run's folder.
    pub group_map: bool,
    /// Whether the run is against the sandbox in the same process.
    pub sandbox: bool,
}

impl BackfillOptions {
    /// The options that were typed.
    pub fn typed(args: &cli::BackfillGroups, settings: &Settings) -> Result<Self, Failure> {
        let on_ambiguous = args.on_ambiguous.as_deref().unwrap_or("skip");
        let on_ambiguous = on_ambiguous
            .parse()
            .map_err(|why| Failure::new(Exit::Usage, format!("--on-ambiguous: `{on_ambiguous}` {why}")))?;
        Ok(Self {
            on_ambiguous,
            overwrite: args.overwrite,
            limit: args.limit,
            field: settings.creator_group_field.clone(),
            group_map: args.group_map.is_some(),
            sandbox: args.batch.sandbox,
        })
    }

    /// The rows that the run takes of an input of so many.
    pub fn rows_of(&self, rows: u64) -> u64 {
        self.limit.map_or(rows, |limit| limit.min(rows))
    }
}
