//! What COPY takes. It is made on a thread of its own: while PostgreSQL takes a piece, the next one is made.

use super::super::{Terms, keyless};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::file::Mode;
use crate::jobs::load_records::stage::{Batch, Batches, Stage};
use std::borrow::Cow;
use std::io;
use tokio::sync::mpsc;

/// What is sent of a copy at once, in bytes.
pub(super) const PIECE: usize = 256 << 10;
/// Pieces that may wait.
const AHEAD: usize = 1;

/// A part of a slice's records, in order. The first is of columns, the last is the end.
pub(super) enum Piece {
    /// From this number on records have these columns.
    Columns(u64, Vec<String>),
    /// Records, as COPY's text format has them.
    Lines(Vec<u8>),
    /// A record that is not sent, as JSON, and its number; the field that it is about, and why.
    Unfit((String, u64), Option<String>, String),
    /// There were as many records.
    End(u64),
}

/// The pieces of a slice.
pub(super) struct Pieces(mpsc::Receiver<io::Result<Piece>>);

impl Pieces {
    /// With the numbers of the records, from 0, and the cells of all columns of the slice, or with the records' own cells alone.
    pub(super) fn new(terms: &Terms, stage: &Stage, numbered: bool) -> io::Result<Self> {
        let (to, pieces) = mpsc::channel(AHEAD);
        let batches = stage.batches(terms.batch_size)?;
        let all = numbered.then(|| stage.columns.clone());
        let maker = Maker { terms: terms.clone(), keeps_undo: stage.undo.is_some(), all, to };
        tokio::task::spawn_blocking(move || {
            if let Err(error) = maker.make(batches) {
                // Whoever wants no more has failed: why is known there.
                let _ = maker.to.blocking_send(Err(error));
            }
        });
        Ok(Self(pieces))
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Result<Piece, LoadError> {
        match self.0.recv().await {
            Some(piece) => Ok(piece?),
            None => Err(LoadError::Refused("a defect while records were made ready for COPY".to_owned())),
        }
    }
}

struct Maker {
    terms: Terms,
    keeps_undo: bool,
    all: Option<Vec<String>>,
    to: mpsc::Sender<io::Result<Piece>>,
}

impl Maker {
    fn make(&self, mut batches: Batches) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let send = |piece| self.to.blocking_send(Ok(piece)).map_err(|_| gone());
        let mut lines = Vec::new();
        let mut columns: Option<Vec<String>> = None;
        let mut next = 0;
        while let Some(batch) = batches.next()? {
            if columns.as_ref() != Some(&batch.columns) {
                if !lines.is_empty() {
                    send(Piece::Lines(std::mem::take(&mut lines)))?;
                }
                send(Piece::Columns(next, batch.columns.clone()))?;
                columns = Some(batch.columns.clone());
            }
            let places: Vec<Option<usize>> = match &self.all {
                Some(all) => {
                    all.iter().map(|name| batch.columns.iter().position(|other| other == name)).collect()
                }
                None => (0..batch.columns.len()).map(Some).collect(),
            };
            for row in 0..batch.len() {
                if let Some(unfit) = self.line(&batch, row, next, &places, &mut lines) {
                    send(unfit)?;
                }
                next += 1;
                if lines.len() >= PIECE {
                    send(Piece::Lines(std::mem::replace(
                        &mut lines,
                        Vec::with_capacity(PIECE + (16 << 10)),
                    )))?;
                }
            }
        }
        if !lines.is_empty() {
            send(Piece::Lines(lines))?;
        }
        send(Piece::End(next))
    }

    fn line(
        &self,
        batch: &Batch,
        row: usize,
        number: u64,
        places: &[Option<usize>],
        lines: &mut Vec<u8>,
    ) -> Option<Piece> {
        let cells = batch.cells(row);
        if let Some((field, problem)) = unfit(&self.terms, self.keeps_undo, &batch.columns, &cells) {
            return Some(Piece::Unfit((batch.object(row), number), field, problem));
        }
        if self.all.is_some() {
            lines.extend_from_slice(number.to_string().as_bytes());
        }
        for (index, place) in places.iter().enumerate() {
            if index > 0 || self.all.is_some() {
                lines.push(b'\t');
            }
            push(lines, place.and_then(|place| cells.get(place)?.as_deref()));
        }
        lines.push(b'\n');
        None
    }
}

/// A cell as COPY's text format has it. (Source: PostgreSQL's documentation of COPY.)
pub(super) fn push(piece: &mut Vec<u8>, cell: Option<&str>) {
    let Some(text) = cell else { return piece.extend_from_slice(b"\\N") };
    for byte in text.bytes() {
        match byte {
            b'\\' => piece.extend_from_slice(b"\\\\"),
            b'\n' => piece.extend_from_slice(b"\\n"),
            b'\r' => piece.extend_from_slice(b"\\r"),
            b'\t' => piece.extend_from_slice(b"\\t"),
            byte => piece.push(byte),
        }
    }
}

/// Why a record is not even sent, and the field that it is about.
fn unfit(
    terms: &Terms,
    keeps: bool,
    columns: &[String],
    cells: &[Option<Cow<'_, str>>],
) -> Option<(Option<String>, String)> {
    if let Some(name) = keyless_by(terms, keeps, columns, cells) {
        return Some((Some(name.to_owned()), keyless(name)));
    }
    let has_nul = cells.iter().flatten().any(|text| text.contains('\0'));
    has_nul.then(|| (None, "a text has the character NUL in it, which PostgreSQL cannot store".to_owned()))
}

/// The column of the key that a record has no value for, where rows have to be found by it.
fn keyless_by<'a>(
    terms: &'a Terms,
    keeps_undo: bool,
    columns: &[String],
    cells: &[Option<Cow<'_, str>>],
) -> Option<&'a str> {
    if !keeps_undo || matches!(terms.mode, Mode::Append | Mode::Replace) {
        return None;
    }
    let has = |name: &&String| {
        let place = columns.iter().position(|other| other == *name);
        place.and_then(|place| cells.get(place)).is_some_and(Option::is_some)
    };
    terms.table.key.iter().find(|name| !has(name)).map(String::as_str)
}
