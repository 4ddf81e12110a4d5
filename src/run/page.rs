//! `report.html`: the page that every run leaves in its folder whenever a process of it ends.

use crate::exit::Exit;
use crate::figures::Figures;
use crate::journal::atomic;
use crate::journal::ordered::Words;
use crate::journal::run_dir::RunDir;
use crate::report::html::rows::RowsTable;
use crate::report::html::{self, Links, Report};
use crate::report::summary::Summary;
use crate::run::job::Job;
use crate::run::session::Session;
use crate::run::target::Target;
use crate::run::watching::Charted;

/// What the page is made of, besides what the session has.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    /// What the run came to.
    pub summary: &'a Summary,
    /// How this process ends.
    pub exit: Exit,
    /// What it has done.
    pub figures: &'a Figures,
    /// The same over time.
    pub charted: &'a Charted,
    /// The rows that are shown, or why they are not known.
    pub rows: Result<RowsTable, String>,
}

/// Writes the page. The error says what could not be written.
pub(crate) async fn write<J: Job>(session: &Session<J>, page: Page<'_>) -> Result<(), String> {
    let Page { summary, exit, figures, charted, rows } = page;
    let (rows, trouble) = match rows {
        Ok(rows) => (rows, None),
        Err(trouble) => (RowsTable::new(J::tell), Some(format!("No rows are shown: {trouble}"))),
    };
    let (summary, figures, manifest) = (summary.clone(), figures.clone(), session.manifest.clone());
    let (points, resumed) = (charted.series.points(), charted.resumed);
    let (app, path) = (session.settings.watch.app_url.clone(), session.run.html_report());
    let write = move || {
        let report = Report {
            summary: &summary,
            manifest: &manifest,
            meaning: exit.meaning(),
            figures: &figures,
            points: &points,
            resumed,
            rows,
            heading: if manifest.dry_run { "Planned changes" } else { J::TOLD },
            links: Links {
                app: app.as_ref().map(url::Url::as_str),
                path: J::Target::page_of,
                hint: J::Target::LINK_HINT,
            },
            trouble,
        };
        atomic::replace(&path, |file| html::write(file, report))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))
    };
    let written = tokio::task::spawn_blocking(write).await;
    written.unwrap_or_else(|error| Err(format!("a defect: {error}")))
}

/// Gathers the rows that the page shows from the journal alone.
pub(crate) async fn gather<J: Job>(run: &RunDir) -> Result<RowsTable, String> {
    let run = run.clone();
    let gather = move || {
        let mut rows = RowsTable::new(J::tell);
        for word in Words::read(&run)? {
            let (row, word) = word?;
            rows.take(row, &word);
        }
        Ok(rows)
    };
    let gathered = tokio::task::spawn_blocking(gather).await.map_err(|error| format!("a defect: {error}"))?;
    gathered.map_err(|error: crate::journal::error::JournalError| error.to_string())
}
