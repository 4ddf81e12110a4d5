//! One file of all slices, made of their parts.

use super::format::Format;
use super::ledger::{self, Line, Lines};
use super::{FilesStore, Layout, failed, unreadable};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::slices::Slice;
use crate::report::units::counted;
use crate::stop::Stop;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;

/// Records between two looks at the stop signal.
const LOOK: u64 = 4096;

impl FilesStore {
    /// Joins the parts in the order of slices, once all of these are loaded; slices that earlier runs have loaded besides them
    /// are in it too. Says what has become of the file. Blocks.
    pub(in crate::jobs::load_records) fn join(
        &self,
        load: &str,
        run: &str,
        slices: &[Slice],
        stop: &Stop,
    ) -> Result<Option<String>, LoadError> {
        let Layout::Joined { path, parts } = &self.layout else { return Ok(None) };
        if !parts.is_dir() {
            return Ok(Some(format!("{} is not there: no slice is loaded", path.display())));
        }
        let folder = crate::files::folder_of(path);
        self.ledger.clear_leftovers(folder, run);
        // Until it is in its place: nobody may write a part meanwhile.
        let held = self.ledger.hold(stop)?;
        let missing = slices.iter().filter(|slice| held.lines().entry(load, &slice.id()).is_none()).count();
        if missing > 0 {
            let are = if missing == 1 { "is" } else { "are" };
            let missing = counted(missing as u64, "slice");
            return Ok(Some(format!("{} is not written yet: {missing} {are} not loaded", path.display())));
        }
        self.may_write(held.lines(), load, path, None)?;
        let ordered = in_order(held.lines(), load, slices);
        let disk = |error: io::Error| failed(path, &error);
        let file = ledger::beside(folder, run).map_err(disk)?;
        let mut out = BufWriter::with_capacity(1 << 16, file);
        let rows = match self.format {
            Format::Csv => self.join_csv(&ordered, path, &mut out, stop)?,
            Format::Jsonl => self.join_lines(&ordered, path, &mut out, stop)?,
        };
        let file = out.into_inner().map_err(|error| disk(error.into_error()))?;
        file.as_file().sync_all().map_err(disk)?;
        file.persist(path).map_err(|error| disk(error.error))?;
        crate::files::sync_folder(folder).map_err(disk)?;
        let slices = counted(ordered.len() as u64, "slice");
        Ok(Some(format!("{} has {} of {slices}", path.display(), counted(rows, "record"))))
    }

    fn join_csv(
        &self,
        ordered: &[(Slice, &Line)],
        path: &Path,
        out: &mut dyn Write,
        stop: &Stop,
    ) -> Result<u64, LoadError> {
        let mut columns = Columns::default();
        for (slice, _) in ordered {
            let part = self.path(slice)?;
            columns.note(&part).map_err(|error| self.lost(slice, &part, &error))?;
        }
        let mut csv = csv::Writer::from_writer(out);
        if !columns.names.is_empty() {
            csv.write_record(&columns.names).map_err(|error| failed(path, &error.into()))?;
        }
        let rows = self.each_part(ordered, path, |part| columns.copy(part, &mut csv, stop))?;
        csv.flush().map_err(|error| failed(path, &error))?;
        Ok(rows)
    }

    fn join_lines(
        &self,
        ordered: &[(Slice, &Line)],
        path: &Path,
        out: &mut dyn Write,
        stop: &Stop,
    ) -> Result<u64, LoadError> {
        self.each_part(ordered, path, |part| copy(part, out, stop))
    }

    /// Copies each part, which has to have the records that the ledger says. Returns how many those are together.
    fn each_part(
        &self,
        ordered: &[(Slice, &Line)],
        path: &Path,
        mut copy: impl FnMut(&Path) -> Result<u64, Trouble>,
    ) -> Result<u64, LoadError> {
        let mut rows = 0;
        for (slice, line) in ordered {
            let part = self.path(slice)?;
            let copied = copy(&part).map_err(|trouble| match trouble {
                Trouble::Part(error) => self.lost(slice, &part, &error),
                Trouble::File(error) => failed(path, &error),
                Trouble::Stopped => LoadError::Interrupted,
            })?;
            if copied != line.rows {
                let text = format!("it has {} of {}", copied, counted(line.rows, "record"));
                return Err(self.lost(slice, &part, &io::Error::other(text)));
            }
            rows += copied;
        }
        Ok(rows)
    }

    fn lost(&self, slice: &Slice, part: &Path, error: &io::Error) -> LoadError {
        LoadError::Settings(format!(
            "{}: the part of slice {}, {}, is not as it was written: {error}; load it again with --only-slice and --reload",
            self.place(),
            slice.name(),
            part.display()
        ))
    }

    /// What is wrong with the file of all slices: it lacks records of those that are loaded. Blocks.
    pub(in crate::jobs::load_records) fn lacking(
        &self,
        load: &str,
        stop: &Stop,
    ) -> Result<Option<String>, LoadError> {
        let Layout::Joined { path, .. } = &self.layout else { return Ok(None) };
        let wanted: u64 = self.ledger.lines()?.entries(load).map(|line| line.rows).sum();
        let mut rows = 0;
        let read = self.format.read(path, &mut |_| {
            rows += 1;
            !stop.is_set()
        });
        match read {
            Ok(()) if stop.is_set() => Err(LoadError::Interrupted),
            Ok(()) if rows == wanted => Ok(None),
            Ok(()) => Ok(Some(format!("{} has {rows} of {}", path.display(), counted(wanted, "record")))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Some(format!("{} is not there", path.display())))
            }
            Err(error) => Err(unreadable(path, &error)),
        }
    }
}

/// The slices of a load that are loaded: by their lists in the order of these slices, then by date.
fn in_order<'a>(lines: &'a Lines, load: &'a str, slices: &[Slice]) -> Vec<(Slice, &'a Line)> {
    let list = |slice: &Slice| Slice { start: None, end: None, ..slice.clone() }.id();
    let mut places: HashMap<String, usize> = HashMap::new();
    for slice in slices {
        let next = places.len();
        places.entry(list(slice)).or_insert(next);
    }
    let loaded = lines.entries(load).filter_map(|line| {
        let slice: Slice = serde_json::from_str(line.slice.as_deref()?).ok()?;
        let of = list(&slice);
        let place = places.get(&of).copied().unwrap_or(usize::MAX);
        Some(((place, of, slice.start), (slice, line)))
    });
    loaded.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// Why a part was not copied.
enum Trouble {
    /// It cannot be read.
    Part(io::Error),
    /// The file cannot be written.
    File(io::Error),
    /// The stop signal.
    Stopped,
}

/// Copies JSON Lines. Returns how many.
fn copy(part: &Path, to: &mut dyn Write, stop: &Stop) -> Result<u64, Trouble> {
    use std::io::BufRead;
    let mut from = BufReader::with_capacity(1 << 16, File::open(part).map_err(Trouble::Part)?);
    let mut rows = 0;
    loop {
        let bytes = from.fill_buf().map_err(Trouble::Part)?;
        if bytes.is_empty() {
            return Ok(rows);
        }
        if stop.is_set() {
            return Err(Trouble::Stopped);
        }
        rows += memchr::memchr_iter(b'\n', bytes).count() as u64;
        to.write_all(bytes).map_err(Trouble::File)?;
        let read = bytes.len();
        from.consume(read);
    }
}

/// The columns of all parts, in the order in which they come up.
#[derive(Debug, Default)]
struct Columns {
    names: Vec<Vec<u8>>,
    places: HashMap<Vec<u8>, usize>,
}

impl Columns {
    fn note(&mut self, part: &Path) -> io::Result<()> {
        let mut rows = csv::Reader::from_reader(File::open(part)?);
        for name in rows.byte_headers()? {
            if !self.places.contains_key(name) {
                self.places.insert(name.to_vec(), self.names.len());
                self.names.push(name.to_vec());
            }
        }
        Ok(())
    }

    /// Copies the rows of a part. Returns how many.
    fn copy<W: Write>(&self, part: &Path, to: &mut csv::Writer<W>, stop: &Stop) -> Result<u64, Trouble> {
        let unread = |error: csv::Error| Trouble::Part(error.into());
        let mut rows = csv::Reader::from_reader(File::open(part).map_err(Trouble::Part)?);
        let names = rows.byte_headers().map_err(unread)?.clone();
        // Where each cell of the whole is in the part.
        let mut from = vec![None; self.names.len()];
        for (place, name) in names.iter().enumerate() {
            if let Some(cell) = self.places.get(name).and_then(|at| from.get_mut(*at)) {
                *cell = Some(place);
            }
        }
        let (mut row, mut copied) = (csv::ByteRecord::new(), 0);
        while rows.read_byte_record(&mut row).map_err(unread)? {
            if copied % LOOK == 0 && stop.is_set() {
                return Err(Trouble::Stopped);
            }
            let cells = from.iter().map(|place| place.and_then(|place| row.get(place)).unwrap_or_default());
            to.write_record(cells).map_err(|error| Trouble::File(error.into()))?;
            copied += 1;
        }
        Ok(copied)
    }
}
