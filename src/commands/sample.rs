//! `sample`: makes a small input out of a large one, in two passes: which rows to take, and taking them byte for
//! byte.

use crate::cli;
use crate::cli::choices::Keep;
use crate::cli::client::ClientFlags;
use crate::connectors::{self, Typed};
use crate::exit::{Exit, Failure};
use crate::jobs::merge_contacts::note::Scope;
use crate::jobs::merge_contacts::pairing::Role;
use crate::jobs::merge_contacts::scan::pairing;
use crate::jobs::rules::issues::IssueColumns;
use crate::jobs::rules::{Prefixes, kind_of, queries};
use crate::jobs::sampling::{self, Draw, Spread};
use crate::journal::atomic;
use crate::kind::Kind;
use crate::report::sampled::Sampled;
use crate::report::terminal::{CLOSED, Data, Terminal, is_closed, result};
use crate::row::Row;
use crate::run::begin::RowsFrom;
use crate::run::scan::{each_record, header_failure, source_failure, unreadable};
use crate::run::signals;
use crate::source::csv::CsvFile;
use crate::source::{Input, Stamp};
use crate::stop::Stop;
use ::csv::ByteRecord;
use std::io::{self, Write};
use std::path::Path;

/// The most rows of a small input: they are remembered by number.
const MOST: u64 = 1_000_000;

/// Runs `sample`.
pub(crate) async fn run(
    args: cli::input::Sample,
    global: cli::Global,
    terminal: Terminal,
) -> Result<Exit, Failure> {
    check(&args, global.json)?;
    let client = ClientFlags::default();
    let typed = Typed { rows: &args.rows, global: &global, client: &client };
    let rows = connectors::rows(typed, queries::table(args.kind), None)?;
    let is_copied = matches!(rows, RowsFrom::Source(_));
    let fetch = connectors::fetch(rows);
    // What is spooled goes when this ends.
    let folder = tempfile::tempdir().map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot make a temporary folder: {error}")).because(error)
    })?;
    let spool = folder.path().join("input.csv");
    let stop = Stop::default();
    if is_copied {
        // Else a signal ends the process at once; here it would leave the rows behind.
        signals::listen(&stop, &terminal).map_err(|error| {
            Failure::new(Exit::Unexpected, format!("cannot listen to signals: {error}")).because(error)
        })?;
    }
    let of_fetch = stop.clone();
    let work = move || take(&args, &global, &terminal, &fetch(&spool, &of_fetch)?);
    signals::on_thread(&stop, work).await
}

/// Takes the small input out of a large one.
fn take(
    args: &cli::input::Sample,
    global: &cli::Global,
    terminal: &Terminal,
    input: &Input,
) -> Result<Exit, Failure> {
    let stamp = Stamp::of(input.path()).map_err(|error| unreadable(input, &error))?;
    let size = usize::try_from(args.size).unwrap_or(usize::MAX);
    let (kind, chosen) = choose(args, input, size)?;
    // Of an input without rows the header is copied.
    if chosen.rows.is_empty() && chosen.all > 0 {
        return Err(nothing(input, kind, &chosen));
    }
    write(args, input, stamp, &chosen.rows)?;
    let sampled = Sampled {
        file: args.output.display().to_string(),
        input: input.name().to_owned(),
        kind,
        rows: chosen.rows.len(),
        pairs: (kind == Kind::Contacts).then_some(chosen.rows.len() / 2),
        groups: (kind == Kind::Groups).then_some(chosen.groups),
        size,
        input_rows: chosen.all,
        invalid: chosen.invalid,
    };
    if args.output == Path::new("-") {
        // Standard output has the rows.
        if !global.quiet {
            terminal.say(&sampled.text());
        }
        return Ok(Exit::Ok);
    }
    let text = if global.json {
        serde_json::to_string(&sampled)
            .map_err(|error| Failure::new(Exit::Unexpected, error.to_string()).because(error))?
    } else {
        sampled.text()
    };
    result(&text).map_err(|error| {
        Failure::new(Exit::Unexpected, format!("cannot write the result: {error}")).because(error)
    })?;
    Ok(Exit::Ok)
}

/// Whether what was typed can be done at all.
fn check(args: &cli::input::Sample, json: bool) -> Result<(), Failure> {
    let usage = |text: String| Err(Failure::new(Exit::Usage, text));
    let output = args.output.display();
    if !(1..=MOST).contains(&args.size) {
        return usage(format!("--size {}: a small input has 1 to {MOST} rows", args.size));
    }
    if args.output == Path::new("-") {
        if json {
            return usage("--json and `-o -` both need standard output: give -o a file".to_owned());
        }
        if is_closed() {
            return usage(CLOSED.to_owned());
        }
        return Ok(());
    }
    if args.output.is_dir() {
        return usage(format!("-o {output} is a folder: name a file in it"));
    }
    // With --force, too: there would be no large one any more.
    let whole = |path: &Path| path.canonicalize().ok();
    // Standard input may be a file, too; where it is none, or cannot be told, this leads nowhere.
    let input = args.rows.csv.as_deref().or(args.rows.jsonl.as_deref());
    let input = input.map(|path| if path == Path::new("-") { Path::new("/dev/stdin") } else { path });
    if input.is_some_and(|input| whole(input).is_some() && whole(input) == whole(&args.output)) {
        return usage(format!("-o {output} is the input itself: name another file"));
    }
    match args.output.symlink_metadata() {
        Ok(_) if !args.force => usage(format!("{output} is there already: give --force to replace it")),
        // A device or a pipe would be gone, and a file take its place.
        Ok(there) if !there.is_file() => usage(format!(
            "-o {output} cannot be replaced: it is not a file; name a file, or `-` for standard output"
        )),
        _ => Ok(()),
    }
}

/// Which rows to take.
#[derive(Debug)]
struct Chosen {
    /// Their numbers, in ascending order.
    rows: Vec<u64>,
    /// The groups that they are of.
    groups: usize,
    /// Rows of the input.
    all: u64,
    /// Those that are invalid.
    invalid: u64,
}

fn choose(args: &cli::input::Sample, input: &Input, size: usize) -> Result<(Kind, Chosen), Failure> {
    let file = input.open().map_err(|error| source_failure(&error))?;
    let kind = match args.kind {
        Some(kind) => kind,
        None => kind_of(file.header()).map_err(|error| {
            Failure::new(Exit::InvalidInput, format!("{error}; correct the header, or give --kind"))
                .because(error)
        })?,
    };
    let chosen = match kind {
        Kind::Groups => issues(file, size, args.seed)?,
        Kind::Contacts if size < 2 => {
            let text = "--size 1: contacts are taken in pairs, so at least 2 rows";
            return Err(Failure::new(Exit::Usage, text));
        }
        Kind::Contacts => contacts(file, size, args.seed)?,
        Kind::Update => any(file, size, args.seed)?,
    };
    Ok((kind, chosen))
}

/// Issues, spread over the groups that they are assigned to.
fn issues(file: CsvFile, size: usize, seed: u64) -> Result<Chosen, Failure> {
    let columns = IssueColumns::find(file.header()).map_err(|error| header_failure(&error))?;
    let (mut spread, mut prefixes) = (Spread::new(size, seed), Prefixes::default());
    let (mut all, mut invalid) = (0, 0);
    each_record(file, |row, whole| {
        all += 1;
        let judged = whole.then(|| columns.judge_next(row, &mut prefixes, &mut |_| ()));
        match judged.and_then(|judged| judged.item) {
            Some(issue) => spread.note(row.number, issue.assigned_group.key()),
            None => invalid += 1,
        }
        Ok(())
    })?;
    let (rows, groups) = spread.finish();
    Ok(Chosen { rows, groups, all, invalid })
}

/// Rows of any kind, spread over nothing.
fn any(file: CsvFile, size: usize, seed: u64) -> Result<Chosen, Failure> {
    let (mut all, mut invalid, mut draw) = (0, 0, Draw::new(size, seed));
    each_record(file, |row, whole| {
        all += 1;
        if whole {
            draw.note(row.number, row.number);
        } else {
            invalid += 1;
        }
        Ok(())
    })?;
    Ok(Chosen { rows: draw.finish(), groups: 0, all, invalid })
}

/// Whole pairs of contacts.
fn contacts(file: CsvFile, size: usize, seed: u64) -> Result<Chosen, Failure> {
    // Which of the two is kept makes no pair another one.
    let scope = Scope { keep: Keep::Revu, emails: Vec::new(), except: Vec::new(), limit: None };
    let (pairing, _) = pairing(file, scope)?;
    let numbers = pairing.numbers();
    let pairs = (1..=numbers.rows).filter_map(|row| match pairing.role(row) {
        Role::Pair { partner, .. } if row < partner => Some((row, partner)),
        _ => None,
    });
    let rows = sampling::pairs(pairs, size / 2, seed);
    Ok(Chosen { rows, groups: 0, all: numbers.rows, invalid: numbers.invalid })
}

/// What is said of an input that nothing can be taken from.
fn nothing(input: &Input, kind: Kind, chosen: &Chosen) -> Failure {
    let what = match kind {
        Kind::Groups | Kind::Update => "valid row",
        Kind::Contacts => "pair",
    };
    let text = format!(
        "{} has {} rows and no {what} among them, so nothing was written; `devrev-batch validate` shows what is wrong",
        input.name(),
        chosen.all
    );
    Failure::new(Exit::InvalidInput, text)
}

/// Writes the rows to where they are wanted.
fn write(args: &cli::input::Sample, input: &Input, stamp: Stamp, rows: &[u64]) -> Result<(), Failure> {
    let mut refused = None;
    let mut copy = |to: &mut dyn Write| {
        copy(input, stamp, rows, to).map_err(|error| match error {
            Uncopied::Read(failure) => {
                let text = failure.to_string();
                refused = Some(failure);
                io::Error::other(text)
            }
            Uncopied::Written(error) => error,
        })
    };
    let written = if args.output == Path::new("-") {
        copy(&mut Data::new())
    } else if args.force {
        atomic::replace(&args.output, copy)
    } else {
        atomic::create(&args.output, copy)
    };
    written.map_err(|error| {
        let exit = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::AlreadyExists => {
                Exit::Usage
            }
            _ => Exit::Unexpected,
        };
        let text = format!("cannot write {}: {error}", args.output.display());
        refused.unwrap_or_else(|| Failure::new(exit, text))
    })
}

/// What a copy failed at.
enum Uncopied {
    Read(Failure),
    Written(io::Error),
}

impl From<io::Error> for Uncopied {
    fn from(error: io::Error) -> Self {
        Self::Written(error)
    }
}

/// Copies the header and these rows byte for byte, each with the end of line that the header has.
fn copy(input: &Input, stamp: Stamp, rows: &[u64], to: &mut dyn Write) -> Result<(), Uncopied> {
    let unread = |error| Uncopied::Read(source_failure(&error));
    let mut file = input.open().map_err(unread)?;
    let end = file.line_end();
    let mut line = Vec::new();
    if file.is_marked() {
        line.extend_from_slice("\u{feff}".as_bytes());
    }
    line.extend_from_slice(file.raw());
    line.extend_from_slice(end);
    to.write_all(&line)?;
    let mut wanted = rows.iter().copied().peekable();
    let mut row = Row { number: 0, line: 0, fields: ByteRecord::new() };
    while let Some(number) = wanted.peek().copied() {
        if file.read_into(&mut row).map_err(unread)?.is_none() {
            break;
        }
        if row.number == number {
            wanted.next();
            line.clear();
            line.extend_from_slice(file.raw());
            line.extend_from_slice(end);
            to.write_all(&line)?;
        }
    }
    // Other rows would be those that nobody has judged.
    if wanted.peek().is_some() || Stamp::of(input.path()).ok() != Some(stamp) {
        let text = format!("{} was changed while it was read: try again", input.name());
        return Err(Uncopied::Read(Failure::new(Exit::Changed, text)));
    }
    Ok(to.flush()?)
}
