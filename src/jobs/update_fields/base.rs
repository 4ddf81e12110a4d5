//! The export that rows were edited from: what differs from it is what the operator has changed.
//!
//! Of each of its rows the place in the file is kept, 16 bytes; its cells are read again when they are asked for.

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

    /// Opens it. Blocks: reads it once. Fails if it is not what it was when the run began.
    pub(crate) fn open(&self) -> Result<Base, Failure> {
        let shown = self.path.display();
        let failed = |error: String| Failure::new(Exit::InvalidInput, format!("--base {shown}: {error}"));
        let now = fingerprint(&self.path).map_err(|error| failed(error.to_string()))?.sha256;
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
        let id = names.iter().position(|name| name == "id");
        let id =
            id.ok_or_else(|| failed("it has no column `id`: give the file that `export` wrote".to_owned()))?;
        let (mut places, mut record) = (FxHashMap::default(), ByteRecord::new());
        let mut organisation: Option<String> = None;
        loop {
            let at = reader.position().clone();
            if !reader.read_byte_record(&mut record).map_err(|error| failed(error.to_string()))? {
                break;
            }
            let key = record.get(id).unwrap_or_default();
            if organisation.is_none() {
                organisation = std::str::from_utf8(key).ok().and_then(organisation_of);
            }
            if places.insert(hash(key), at.byte()).is_some() {
                return Err(failed(format!("line {}: the object is there twice", at.line())));
            }
        }
        Ok(Base { reader, names, id, places, organisation, record })
    }
}

/// The organisation in a DON.
fn organisation_of(don: &str) -> Option<String> {
    don.starts_with("don:").then(|| don.split(':').nth(3).map(str::to_owned))?
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    hasher.finish()
}

/// An export, to be asked for the cells of its rows.
#[derive(Debug)]
pub(crate) struct Base {
    reader: csv::Reader<File>,
    names: Vec<String>,
    id: usize,
    places: FxHashMap<u64, u64>,
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

    /// The cells of an object's row; `None` if it has none.
    pub(crate) fn row(&mut self, id: &str) -> Result<Option<&ByteRecord>, Failure> {
        let Some(place) = self.places.get(&hash(id.as_bytes())).copied() else { return Ok(None) };
        let failed =
            |error: csv::Error| Failure::new(Exit::Unexpected, format!("cannot read --base: {error}"));
        if self.reader.position().byte() != place {
            let mut position = Position::new();
            position.set_byte(place);
            self.reader.seek(position).map_err(failed)?;
        }
        self.reader.read_byte_record(&mut self.record).map_err(failed)?;
        let is_same = self.record.get(self.id).is_some_and(|own| own == id.as_bytes());
        Ok(is_same.then_some(&self.record))
    }
}

/// A cell of a file that this tool's export made, without the guard against formulas.
pub(crate) fn plain(cell: &[u8]) -> &str {
    std::str::from_utf8(unguarded(cell)).unwrap_or_default()
}
