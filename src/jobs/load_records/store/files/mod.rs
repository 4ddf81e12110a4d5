//! Files as a target: a file for each slice, or one of all slices, whose parts are kept in a folder beside it.
//!
//! A slice's file is written beside and renamed when it is whole; then the ledger gets its line. A crash between the two only
//! makes the slice be written again over itself. Who writes holds the ledger's lock.

mod format;
mod join;
mod ledger;

pub(in crate::jobs::load_records) use format::Format;

use super::{Loaded, Terms, conflicting, refused};
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::ledger::Ledger;
use crate::jobs::load_records::slices::Slice;
use crate::jobs::load_records::stage::Stage;
use crate::jobs::load_records::template::{Template, Values, plain};
use crate::journal::manifest::Party;
use crate::run::target::Identity;
use crate::source::hex;
use crate::stop::Stop;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use ledger::{LedgerFile, Line, Lines};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::NamedTempFile;

/// What is added to the name of a file of all slices: the folder of its parts.
const PARTS: &str = ".slices";

/// Where files go.
#[derive(Debug, Clone)]
pub(in crate::jobs::load_records) struct FilesStore {
    format: Format,
    /// As the job file has it, with what stays the same filled in.
    shown: String,
    layout: Layout,
    /// Where relative paths begin.
    base: PathBuf,
    params: BTreeMap<String, Value>,
    zone: Tz,
    ledger: Arc<LedgerFile>,
}

/// How slices are laid out.
#[derive(Debug, Clone)]
enum Layout {
    /// A file for each, by this template, in a folder or below it.
    Each { template: Template, root: PathBuf },
    /// One for all.
    Joined { path: PathBuf, parts: PathBuf },
}

/// What a template of paths is made of.
#[allow(missing_debug_implementations, reason = "a closure is in it")]
pub(in crate::jobs::load_records) struct PathSpec<'a> {
    /// As the job file has it.
    pub text: &'a str,
    /// Whether a place of this name is another for each slice.
    pub is_of_slice: &'a dyn Fn(&str) -> bool,
    /// The job's parameters.
    pub params: &'a BTreeMap<String, Value>,
    /// The zone of days.
    pub zone: Tz,
    /// Where relative paths begin.
    pub folder: &'a Path,
}

impl FilesStore {
    /// Opens nothing. The error says what is wrong with the path.
    pub(in crate::jobs::load_records) fn new(format: Format, spec: &PathSpec<'_>) -> Result<Self, String> {
        let absolute = |text: &str| {
            let path = spec.folder.join(text);
            std::path::absolute(&path).unwrap_or(path)
        };
        let constant = |text: &str| {
            let values = Values { params: spec.params.clone(), ..Values::default() };
            Template::parse(text)?.fill(&values, &|_| None)
        };
        let first = spec.text.match_indices("${").find(|(at, _)| {
            let escaped = spec.text.get(..*at).is_some_and(|before| before.ends_with('$'));
            let name = spec.text.get(at + 2..).and_then(|rest| rest.split('}').next()).unwrap_or_default();
            !escaped && (name.trim().starts_with("slice.") || (spec.is_of_slice)(name.trim()))
        });
        let layout = if let Some((at, _)) = first {
            let before = spec.text.get(..at).unwrap_or_default();
            let folder = before.rfind(std::path::is_separator).and_then(|end| before.get(..=end));
            let root = absolute(&constant(folder.unwrap_or("."))?);
            Layout::Each { template: Template::parse(spec.text)?, root }
        } else {
            let path = absolute(&constant(spec.text)?);
            let mut parts = path.clone().into_os_string();
            parts.push(PARTS);
            Layout::Joined { path, parts: parts.into() }
        };
        let (shown, ledger) = match &layout {
            Layout::Each { root, .. } => (spec.folder.join(spec.text).display().to_string(), root),
            Layout::Joined { path, parts } => (path.display().to_string(), parts),
        };
        let ledger = Arc::new(LedgerFile::new(ledger));
        let (params, base) = (spec.params.clone(), spec.folder.to_owned());
        Ok(Self { format, shown, layout, base, params, zone: spec.zone, ledger })
    }

    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.format.name(), self.shown)
    }

    /// The folder that has to be there, and is who the target is.
    fn folder(&self) -> &Path {
        match &self.layout {
            Layout::Each { root, .. } => root,
            Layout::Joined { path, .. } => crate::files::folder_of(path),
        }
    }

    fn no_folder(&self, folder: &Path) -> LoadError {
        LoadError::Settings(format!(
            "{}: there is no folder {}: make it first",
            self.place(),
            folder.display()
        ))
    }

    pub(super) fn identity(&self) -> Result<Identity, LoadError> {
        let folder = self.folder();
        if !folder.is_dir() {
            return Err(self.no_folder(folder));
        }
        let canonical = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let name = canonical.file_name().map(|name| name.to_string_lossy().into_owned());
        let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
        Ok(Identity {
            org: Party { id: canonical.display().to_string(), display_id: None, name },
            user: Party { id: user.unwrap_or_else(|| "unknown".to_owned()), display_id: None, name: None },
        })
    }

    /// Checks that slices can be written, before any is fetched, and says where they go.
    pub(in crate::jobs::load_records) fn look(
        &self,
        load: &str,
        slices: &[Slice],
    ) -> Result<Vec<String>, LoadError> {
        let lines = self.ledger.lines()?;
        let mut seen: HashMap<PathBuf, &Slice> = HashMap::new();
        for slice in slices {
            let path = self.path(slice)?;
            if let Layout::Each { .. } = self.layout {
                let folder = crate::files::folder_of(&path);
                if !folder.is_dir() {
                    return Err(self.no_folder(folder));
                }
                self.may_write(&lines, load, &path, Some(slice))?;
            }
            if let Some(other) = seen.insert(path, slice) {
                return Err(self.not_apart(slice, &other.name()));
            }
        }
        Ok(match &self.layout {
            Layout::Each { .. } => vec![format!("files         {}", self.shown)],
            Layout::Joined { path, .. } => {
                self.may_write(&lines, load, path, None)?;
                let is = if path.exists() { ", which is replaced" } else { "" };
                vec![format!("file          {}{is}, joined once all slices are loaded", self.shown)]
            }
        })
    }

    fn not_apart(&self, slice: &Slice, other: &str) -> LoadError {
        LoadError::Settings(format!(
            "{}: the slices {other} and {} would be the same file: the path has to tell them apart, by ${{slice.start}} or a \
             value of slices.each",
            self.place(),
            slice.name()
        ))
    }

    /// Fails if a file is there that this load has not written, or that is another slice's.
    fn may_write(
        &self,
        lines: &Lines,
        load: &str,
        path: &Path,
        slice: Option<&Slice>,
    ) -> Result<(), LoadError> {
        let of = self.relative(path);
        match lines.owner(&of) {
            Some(owner) if owner.load != load => Err(LoadError::Settings(format!(
                "{} is written by the load {}: give this one another path",
                path.display(),
                owner.load
            ))),
            Some(owner) => match (slice, &owner.slice) {
                (Some(slice), Some(other)) if slice.id() != *other => {
                    let other: Option<Slice> = serde_json::from_str(other).ok();
                    Err(self.not_apart(slice, &other.map(|other| other.name()).unwrap_or_default()))
                }
                _ => Ok(()),
            },
            None if path.symlink_metadata().is_ok() => Err(LoadError::Settings(format!(
                "{} is there, and this load has not written it: move it away, or give another path",
                path.display()
            ))),
            None => Ok(()),
        }
    }

    /// How the ledger names a file.
    fn relative(&self, path: &Path) -> String {
        let root = match &self.layout {
            Layout::Each { root, .. } => root.as_path(),
            Layout::Joined { path, .. } => crate::files::folder_of(path),
        };
        path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
    }

    /// Where a slice's records are.
    fn path(&self, slice: &Slice) -> Result<PathBuf, LoadError> {
        let template = match &self.layout {
            Layout::Each { template, .. } => template,
            Layout::Joined { parts, .. } => {
                let name = hex(Sha256::new_with_prefix(slice.id()));
                let name = name.get(..32).unwrap_or(&name);
                return Ok(parts.join(format!("{name}.{}", self.format.name())));
            }
        };
        for name in template.params() {
            let Some(value) = slice.each.get(name).and_then(plain) else { continue };
            let wrong = value.is_empty()
                || value == "."
                || value == ".."
                || value.contains(|c: char| std::path::is_separator(c) || c == '\\' || c.is_control());
            if wrong {
                return Err(LoadError::Settings(format!(
                    "{}: the value `{}` of `{name}` cannot be in the name of a file",
                    self.place(),
                    value.escape_debug()
                )));
            }
        }
        let text = template
            .fill(&Slice { zone: self.zone, ..slice.clone() }.values(&self.params), &|_| None)
            .map_err(LoadError::Settings)?;
        let path = self.base.join(text);
        Ok(std::path::absolute(&path).unwrap_or(path))
    }

    pub(super) fn lines(
        &self,
        load: &str,
    ) -> Result<Vec<crate::jobs::load_records::ledger::Line>, LoadError> {
        Ok(self.ledger.lines()?.entries(load).map(Line::line).collect())
    }

    /// Says of slices that they are not loaded; returns how many were.
    pub(super) async fn forget(&self, load: &str, slices: &[String], stop: &Stop) -> Result<u64, LoadError> {
        let (store, load, slices, stop) = (self.clone(), load.to_owned(), slices.to_vec(), stop.clone());
        let forget = tokio::task::spawn_blocking(move || {
            let mut held = store.ledger.hold(&stop)?;
            let mut forgotten = 0;
            for slice in &slices {
                let Some(line) = held.lines().entry(&load, slice).cloned() else { continue };
                held.append(&Line { is_forgotten: true, at: Utc::now().to_rfc3339(), ..line })?;
                forgotten += 1;
            }
            Ok(forgotten)
        });
        forget.await.map_err(|error| LoadError::Refused(format!("a defect while writing a file: {error}")))?
    }

    pub(super) async fn load(
        &self,
        terms: &Terms,
        slice: &Slice,
        open: bool,
        stage: &mut Stage,
        stop: &Stop,
    ) -> Result<Loaded, LoadError> {
        let path = self.path(slice)?;
        let folder = crate::files::folder_of(&path);
        if let Layout::Joined { .. } = self.layout {
            if !self.folder().is_dir() {
                return Err(self.no_folder(self.folder()));
            }
            crate::files::make(folder).map_err(|error| failed(folder, &error))?;
        }
        self.ledger.clear_leftovers(folder, &terms.run);
        let (file, rows) = self.write(terms, &path, stage, stop).await?;
        // Before the rename: of a slice that is loaded, all rejected records are on the disk.
        stage.rejected.keep()?;
        let entry = Line {
            load: terms.load.clone(),
            slice: Some(slice.id()),
            name: slice.name(),
            file: self.relative(&path),
            digest: terms.digest.clone(),
            rows,
            rejected: stage.rejected.count(),
            run: terms.run.clone(),
            open,
            is_whole: true,
            is_forgotten: false,
            at: Utc::now().to_rfc3339(),
        };
        let (store, slice, terms, stop) = (self.clone(), slice.clone(), terms.clone(), stop.clone());
        let put = tokio::task::spawn_blocking(move || store.put(&terms, &slice, &path, file, &entry, &stop));
        put.await.map_err(|error| LoadError::Refused(format!("a defect while writing a file: {error}")))?
    }

    /// Writes a slice beside its file.
    async fn write(
        &self,
        terms: &Terms,
        path: &Path,
        stage: &mut Stage,
        stop: &Stop,
    ) -> Result<(NamedTempFile, u64), LoadError> {
        let disk = |error: std::io::Error| failed(path, &error);
        let file = ledger::beside(crate::files::folder_of(path), &terms.run).map_err(disk)?;
        let mut out =
            format::Writer::new(self.format, BufWriter::with_capacity(1 << 16, file), &stage.columns);
        let mut batches = stage.batches(terms.batch_size)?;
        while let Some(batch) = batches.next()? {
            if stop.is_set() {
                return Err(LoadError::Interrupted);
            }
            for row in 0..batch.len() {
                if !out.push(&batch, row).map_err(disk)? {
                    let problem = "a record without fields is no row of a CSV file".to_owned();
                    let number = batch.first + row as u64;
                    refused(terms, &mut stage.rejected, (&batch.object(row), number), None, problem)?;
                }
            }
            tokio::task::yield_now().await;
        }
        let rows = out.rows();
        let mut file = out.finish().map_err(disk)?;
        file.flush().map_err(disk)?;
        let file = file.into_inner().map_err(|error| disk(error.into_error()))?;
        Ok((file, rows))
    }

    /// Puts a slice's file in its place and says so in the ledger, unless it is loaded.
    fn put(
        &self,
        terms: &Terms,
        slice: &Slice,
        path: &Path,
        file: NamedTempFile,
        line: &Line,
        stop: &Stop,
    ) -> Result<Loaded, LoadError> {
        file.as_file().sync_all().map_err(|error| failed(path, &error))?;
        let mut held = self.ledger.hold(stop)?;
        if let Some(entry) = held.lines().entry(&terms.load, &slice.id()).map(Line::entry) {
            let again = entry.open || (terms.reload && entry.run != terms.run);
            if !again {
                return Ok(Loaded::Before(entry));
            }
        }
        // What others have written since this run began is not written over in part.
        let others = held.lines().entries(&terms.load).filter(|line| line.run != terms.run).map(Line::entry);
        let others = Ledger::new(others.collect());
        // Not with --reload either: the parts of both would stay.
        if let Some(conflict) = others.overlap(std::slice::from_ref(slice)) {
            return Err(LoadError::Changed(conflict));
        }
        if !terms.reload || others.is_overtaken(slice) {
            conflicting(&others, terms, slice)?;
        }
        // Else a crash after the rename would leave a file that looks like somebody else's.
        let (owned, of_slice) = match &self.layout {
            Layout::Each { .. } => (path, Some(slice)),
            Layout::Joined { path, .. } => (path.as_path(), None),
        };
        self.may_write(held.lines(), &terms.load, owned, of_slice)?;
        if held.lines().owner(&self.relative(owned)).is_none() {
            let slice = of_slice.map(|_| line.slice.clone()).unwrap_or_default();
            held.append(&Line { slice, file: self.relative(owned), is_whole: false, ..line.clone() })?;
        }
        file.persist(path).map_err(|error| failed(path, &error.error))?;
        crate::files::sync_folder(crate::files::folder_of(path)).map_err(|error| failed(path, &error))?;
        held.append(line)?;
        Ok(Loaded::Now { rows: line.rows, deleted: 0 })
    }

    /// The records of a slice's file; none where there is no file.
    pub(super) fn count(&self, slice: &Slice, stop: &Stop) -> Result<u64, LoadError> {
        let mut rows = 0;
        let path = self.path(slice)?;
        let read = self.format.read(&path, &mut |_| {
            rows += 1;
            !stop.is_set()
        });
        match read {
            Ok(()) if stop.is_set() => Err(LoadError::Interrupted),
            Ok(()) => Ok(rows),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(unreadable(&path, &error)),
        }
    }

    /// Hands over each date of a field within a range, with the values of other fields.
    pub(super) fn days(
        &self,
        load: &str,
        names: (&str, &[String]),
        (start, end): (DateTime<Utc>, DateTime<Utc>),
        stop: &Stop,
        take: &mut (dyn FnMut(Vec<String>, String) + Send),
    ) -> Result<(), LoadError> {
        let (field, per) = names;
        for line in self.ledger.lines()?.entries(load) {
            let Some(slice) = line.slice.as_ref().and_then(|id| serde_json::from_str::<Slice>(id).ok())
            else {
                continue;
            };
            let is_near = slice.start.zip(slice.end).is_none_or(|(from, to)| from < end && start < to);
            let path = self.path(&slice)?;
            if !is_near || !path.exists() {
                continue;
            }
            let read = self.format.read(&path, &mut |record| {
                take(per.iter().map(|name| record.text(name)).collect(), record.text(field));
                !stop.is_set()
            });
            read.map_err(|error| unreadable(&path, &error))?;
            if stop.is_set() {
                return Err(LoadError::Interrupted);
            }
        }
        Ok(())
    }
}

/// A file that cannot be written.
fn failed(path: &Path, error: &std::io::Error) -> LoadError {
    LoadError::File(format!("cannot write {}: {error}", path.display()))
}

/// A file that cannot be read.
fn unreadable(path: &Path, error: &std::io::Error) -> LoadError {
    LoadError::Refused(format!("cannot read {}: {error}", path.display()))
}
