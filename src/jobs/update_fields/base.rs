//! The export that rows were edited from: what differs from it is what the operator has changed.
//!
//! Of each of its rows the place in the file is kept, 16 or 32 bytes; its cells are read again when they are asked for.

use crate::devrev::ids::{Key, ObjectType, Ref};
use crate::exit::{Exit, Failure};
use crate::report::formula::unguarded;
use crate::source::fingerprint;
use csv::{ByteRecord, Position, ReaderBuilder};
use rustc_hash::{FxHashMap, FxHasher};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

/// Which file it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BaseFile {
    /// Its absolute path.
    pub path: PathBuf,
    /// The hash of its content.
    pub sha256: String,
}

impl BaseFile {
    /// The file that `--base` names.
    pub(crate) fn of(path: &Path) -> Result<Self, Failure> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let failed = |error| Failure::new(Exit::Usage, format!("--base {}: {error}", path.display()));
        let sha256 = fingerprint(&path).map_err(failed)?.sha256;
        Ok(Self { path, sha256 })
    }

    /// Opens it: the export of objects of these types. Blocks: reads it once. Fails if it is not what it was when the run
    /// began.
    pub(crate) fn open(&self, types: &'static [ObjectType]) -> Result<Base, Failure> {
        let shown = self.path.display();
        let failed = |error: String| Failure::new(Exit::InvalidInput, format!("--base {shown}: {error}"));
        let now = fingerprint(&self.path).map_err(|error| {
            let text = format!("--base {shown}: {error}: restore it, or start a new run");
            Failure::new(Exit::Changed, text).because(error)
        })?;
        let now = now.sha256;
        if now != self.sha256 {
            let text =
                format!("--base {shown} was changed since the run began: restore it, or start a new run");
            return Err(Failure::new(Exit::Changed, text));
        }
        let mut reader = ReaderBuilder::new()
            .flexible(true)
            .from_path(&self.path)
            .map_err(|error| failed(error.to_string()))?;
        let header = reader.byte_headers().map_err(|error| failed(error.to_string()))?;
        let names: Option<Vec<String>> = header
            .iter()
            .map(|name| {
                Some(std::str::from_utf8(name).ok()?.trim_start_matches('\u{feff}').trim().to_lowercase())
            })
            .collect();
        let names = names.ok_or_else(|| failed("its header is not UTF-8".to_owned()))?;
        let place = |wanted: &str| names.iter().position(|name| name == wanted);
        let Some(id) = place("id") else {
            return Err(failed("it has no column `id`: give the file that `export` wrote".to_owned()));
        };
        let ids = IdColumns { id, display_id: place("display_id"), types };
        let (mut places, mut by_display_id) = (FxHashMap::default(), FxHashMap::default());
        let mut record = ByteRecord::new();
        let mut organisation: Option<String> = None;
        loop {
            let at = reader.position().clone();
            if !reader.read_byte_record(&mut record).map_err(|error| failed(error.to_string()))? {
                break;
            }
            if organisation.is_none() {
                let id = std::str::from_utf8(record.get(id).unwrap_or_default());
                organisation = id.ok().and_then(organisation_of);
            }
            let Some(key) = ids.of(&record) else { continue };
            if places.insert(hash(&key), at.byte()).is_some() {
                return Err(failed(format!("line {}: the object is there twice", at.line())));
            }
            if let Some(shown) = ids.shown(&record).filter(|shown| *shown != key) {
                by_display_id.insert(hash(&shown), at.byte());
            }
        }
        Ok(Base { reader, names, ids, places, by_display_id, organisation, record })
    }
}

/// The organisation in a DON.
fn organisation_of(don: &str) -> Option<String> {
    don.starts_with("don:").then(|| don.split(':').nth(3).map(str::to_owned))?
}

fn hash(key: &Key) -> u64 {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    hasher.finish()
}

/// The columns by which the rows of a base are found.
#[derive(Debug, Clone, Copy)]
struct IdColumns {
    id: usize,
    display_id: Option<usize>,
    types: &'static [ObjectType],
}

impl IdColumns {
    /// What a row's object is known by.
    fn of(self, row: &ByteRecord) -> Option<Key> {
        self.key(row, self.id)
    }

    /// What people know it by: another key where its DON does not end in its number.
    fn shown(self, row: &ByteRecord) -> Option<Key> {
        self.key(row, self.display_id?)
    }

    fn key(self, row: &ByteRecord, column: usize) -> Option<Key> {
        let text = std::str::from_utf8(row.get(column)?).ok()?;
        Ref::pasted(text.trim(), self.types).map(Ref::key)
    }
}

/// An export, to be asked for the cells of its rows.
#[derive(Debug)]
pub(crate) struct Base {
    reader: csv::Reader<File>,
    names: Vec<String>,
    ids: IdColumns,
    places: FxHashMap<u64, u64>,
    /// Those of the rows whose display ID says another key than their DON.
    by_display_id: FxHashMap<u64, u64>,
    /// The organisation that its objects belong to, if it says.
    pub organisation: Option<String>,
    record: ByteRecord,
}

impl Base {
    /// Where a column is.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        let name = name.trim().to_lowercase();
        self.names.iter().position(|known| *known == name)
    }

    /// The cells of the row of an object, by its DON or its display ID; `None` if it has none.
    pub(crate) fn row(&mut self, id: &str) -> Result<Option<&ByteRecord>, Failure> {
        let Some(key) = Ref::pasted(id, self.ids.types).map(Ref::key) else { return Ok(None) };
        let hash = hash(&key);
        let Some(place) = self.places.get(&hash).or_else(|| self.by_display_id.get(&hash)).copied() else {
            return Ok(None);
        };
        let failed =
            |error: csv::Error| Failure::new(Exit::Unexpected, format!("cannot read --base: {error}"));
        if self.reader.position().byte() != place {
            let mut position = Position::new();
            position.set_byte(place);
            self.reader.seek(position).map_err(failed)?;
        }
        self.reader.read_byte_record(&mut self.record).map_err(failed)?;
        let record = &self.record;
        let is_same = self.ids.of(record).as_ref() == Some(&key) || self.ids.shown(record) == Some(key);
        Ok(is_same.then_some(record))
    }
}

/// A cell of a file that this tool's export made, without the guard against formulas.
pub(crate) fn plain(cell: &[u8]) -> &str {
    std::str::from_utf8(unguarded(cell)).unwrap_or_default()
}
