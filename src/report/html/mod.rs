//! `report.html`: what a run came to, as one page that needs nothing else: no script, no font, no picture from anywhere.
//!
//! [`stats`] is a page about many runs, and [`board`] has those of `runs serve`, in the same look.
//!
//! - [`rows`] gathers the rows that are shown, [`entry`] is what a job says of one of them
//! - `text` makes texts from outside fit to be shown, `charts` draws, `page` puts it all together for the template
//!
//! The template escapes all that is put into it, and the page's policy forbids scripts, and styles but its own. Nothing
//! here knows what a row means, or whose API was called.

pub(crate) mod board;
mod chart;
mod charts;
pub(crate) mod entry;
mod page;
pub(crate) mod rows;
pub(crate) mod stats;
mod text;

use super::series::Point;
use super::summary::Summary;
use crate::figures::Figures;
use crate::journal::manifest::Manifest;
use askama::Template;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use page::Page;
use rows::RowsTable;
use sha2::{Digest, Sha256};
use std::io::{self, Write};

/// Where the objects that keys name are in the target's app.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Links<'a> {
    /// The app's address; none if it is unknown.
    pub app: Option<&'a str>,
    /// The object's place below that address; `None` for a key that has none. What it is made of needs no escaping.
    pub path: fn(&str) -> Option<String>,
    /// How the address is made known.
    pub hint: &'static str,
}

/// What the page is made of.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// What the run came to.
    pub summary: &'a Summary,
    /// `run.json` as it is written.
    pub manifest: &'a Manifest,
    /// What the exit code means.
    pub meaning: &'static str,
    /// What this process has done.
    pub figures: &'a Figures,
    /// The same over time.
    pub points: &'a [Point],
    /// Whether earlier processes have worked on the run.
    pub resumed: bool,
    /// The rows that are shown.
    pub rows: RowsTable,
    /// What those of them are called of which more is said.
    pub heading: &'static str,
    /// Where their objects are.
    pub links: Links<'a>,
    /// Why rows are missing, if they are.
    pub trouble: Option<String>,
}

/// The style sheet of pages about many runs: that of a report, and more.
const RUNS_STYLE: &str = concat!(include_str!("report.css"), include_str!("runs.css"));

/// The hash by which a page's policy allows a style sheet and no other.
fn hash_of(style: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(style)))
}

/// Writes the page.
pub(crate) fn write(file: &mut dyn Write, report: Report<'_>) -> io::Result<()> {
    Page::of(report).write_into(file)
}

#[cfg(test)]
mod tests;
