//! JSON lines as a source: an object a line, whose members become columns.
//!
//! The lines are read twice: first for the names of all members, then for their values. `null` and a member that is left
//! out become empty fields.

use super::fingerprint::Fingerprint;
use super::header::Header;
use super::query::Columns;
use super::spool::Spool;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// The longest line, in bytes.
const LONGEST: u64 = 1 << 20;
/// Members that objects may have between them.
const MOST_COLUMNS: usize = 1_000;

/// Why lines cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JsonLinesError {
    /// The file cannot be read.
    #[error("cannot read {name}: {error}")]
    Unreadable {
        /// What the operator calls it.
        name: String,
        /// What the system says.
        error: io::Error,
    },
    /// A line is no object.
    #[error("{name}, line {line}: {what}")]
    Line {
        /// What the operator calls the file.
        name: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// There is no object, and nothing else tells the columns.
    #[error("{name} has no rows, so its columns are not known")]
    NoRows {
        /// The file.
        name: String,
    },
    /// The objects do not have the members that are needed.
    #[error(transparent)]
    Columns(#[from] super::header::ColumnError),
    /// The rows cannot be kept.
    #[error("cannot write {path}: {error}")]
    Disk {
        /// The file.
        path: String,
        /// What the system says.
        error: io::Error,
    },
}

/// The members of an object in their order, not read yet.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// How objects stand in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One a line.
    Lines,
    /// As the elements of one array.
    Array,
}

/// Opens a file of the operator's; `-` is standard input, copied to a temporary file. Returns it and what it is called.
pub fn open(from: &Path) -> Result<(File, String), JsonLinesError> {
    let is_stdin = from == Path::new("-");
    let name = if is_stdin { "standard input".to_owned() } else { from.display().to_string() };
    let unreadable = |error| JsonLinesError::Unreadable { name: name.clone(), error };
    if !is_stdin {
        let file = File::open(from).map_err(unreadable)?;
        return Ok((file, name));
    }
    let mut copy = tempfile::tempfile().map_err(unreadable)?;
    io::copy(&mut io::stdin().lock(), &mut copy).map_err(unreadable)?;
    Ok((copy, name))
}

/// Copies objects to a new CSV file at `to`, and counts them. Of the members, those are taken that the first of these sets of
/// columns has whose columns are all there; all members where there is no set. `known` are members that there may be in any
/// case. Blocks.
pub fn spool(
    (mut file, name): (File, String),
    form: Form,
    known: &[String],
    columns: &[Columns],
    limit: Option<u64>,
    to: &Path,
) -> Result<(Fingerprint, u64), JsonLinesError> {
    let unreadable = |error| JsonLinesError::Unreadable { name: name.clone(), error };
    let disk = |error| JsonLinesError::Disk { path: to.display().to_string(), error };
    let limit = limit.unwrap_or(u64::MAX);
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let (mut names, mut rows) = (known.to_vec(), 0);
    let mut known: HashSet<String> = known.iter().cloned().collect();
    each_object(&file, form, &name, limit, |line, members| {
        rows += 1;
        for (member, _) in members.0 {
            if known.insert(member.clone()) {
                names.push(member);
            }
        }
        if names.len() > MOST_COLUMNS {
            let what = format!("the objects have more than {MOST_COLUMNS} different members");
            return Err(JsonLinesError::Line { name: name.clone(), line, what });
        }
        Ok(())
    })?;
    if names.is_empty() {
        // Nothing to do, and not a mistake: the query of a nightly job found nothing.
        let needed = columns.first().ok_or_else(|| JsonLinesError::NoRows { name: name.clone() })?;
        names = needed.required.iter().map(|column| (*column).to_owned()).collect();
    }
    let wanted = wanted(&names, columns, &name)?;
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let mut table = csv::Writer::from_writer(Spool::create(to).map_err(disk)?);
    table.write_record(wanted.iter().map(|(column, _)| column)).map_err(|error| disk(error.into()))?;
    each_object(&file, form, &name, limit, |_, members| {
        let cells = wanted.iter().map(|(_, member)| {
            // The last of several with one name, as JSON parsers have it.
            let value = members.0.iter().rev().find(|(name, _)| name == member);
            value.map_or_else(String::new, |(_, value)| cell(value))
        });
        table.write_record(cells).map_err(|error| disk(error.into()))
    })?;
    let spool = table.into_inner().map_err(|error| disk(error.into_error()))?;
    Ok((spool.finish().map_err(disk)?, rows))
}

/// Hands over each object with its line, or its place in the array.
fn each_object(
    file: &File,
    form: Form,
    name: &str,
    limit: u64,
    take: impl FnMut(u64, Members) -> Result<(), JsonLinesError>,
) -> Result<(), JsonLinesError> {
    match form {
        Form::Lines => each_line(file, name, limit, take),
        Form::Array => each_element(file, name, limit, take),
    }
}

/// Hands over the object of each element, one at a time.
fn each_element(
    file: &File,
    name: &str,
    limit: u64,
    take: impl FnMut(u64, Members) -> Result<(), JsonLinesError>,
) -> Result<(), JsonLinesError> {
    struct Each<F> {
        limit: u64,
        take: F,
        failed: Option<JsonLinesError>,
    }
    impl<'de, F: FnMut(u64, Members) -> Result<(), JsonLinesError>> Visitor<'de> for &mut Each<F> {
        type Value = ();

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an array of objects")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
            let mut place = 0;
            while let Some(members) = elements.next_element::<Members>()? {
                place += 1;
                if place <= self.limit
                    && let Err(error) = (self.take)(place, members)
                {
                    self.failed = Some(error);
                    return Err(serde::de::Error::custom("given up"));
                }
            }
            Ok(())
        }
    }
    let mut each = Each { limit, take, failed: None };
    let mut reader = serde_json::Deserializer::from_reader(BufReader::with_capacity(64 << 10, file));
    let read = reader.deserialize_seq(&mut each).and_then(|()| reader.end());
    match (each.failed, read) {
        (Some(error), _) => Err(error),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) => {
            let line = u64::try_from(error.line()).unwrap_or(u64::MAX);
            Err(JsonLinesError::Line {
                name: name.to_owned(),
                line,
                what: format!("not an array of objects ({error})"),
            })
        }
    }
}

/// The columns that are taken: as they are to be called, and the members that they are made of.
fn wanted(
    names: &[String],
    columns: &[Columns],
    name: &str,
) -> Result<Vec<(String, String)>, JsonLinesError> {
    if columns.is_empty() {
        return Ok(names.iter().map(|name| (name.clone(), name.clone())).collect());
    }
    let header = Header::of_texts(names, name);
    let fits = |columns: &&Columns| columns.required.iter().all(|name| header.column(name).is_some());
    let set = columns.iter().find(fits).or(columns.first()).copied().unwrap_or_default();
    let places = header.require(set.required)?;
    let mut wanted: Vec<(String, usize)> =
        set.required.iter().map(|name| (*name).to_owned()).zip(places).collect();
    if let Some(optional) = set.optional
        && let Some(place) = header.optional(optional)?
    {
        wanted.push((optional.to_owned(), place));
    }
    Ok(wanted.into_iter().filter_map(|(column, place)| Some((column, names.get(place)?.clone()))).collect())
}

/// Hands over the object of each line; blank lines are passed over.
fn each_line(
    file: &File,
    name: &str,
    limit: u64,
    mut take: impl FnMut(u64, Members) -> Result<(), JsonLinesError>,
) -> Result<(), JsonLinesError> {
    let unreadable = |error| JsonLinesError::Unreadable { name: name.to_owned(), error };
    let mut reader = BufReader::with_capacity(64 << 10, file);
    let (mut line, mut rows, mut bytes) = (0, 0, Vec::new());
    loop {
        bytes.clear();
        line += 1;
        let read = reader.by_ref().take(LONGEST + 1).read_until(b'\n', &mut bytes).map_err(unreadable)?;
        if read == 0 || rows == limit {
            return Ok(());
        }
        let wrong = |what: String| JsonLinesError::Line { name: name.to_owned(), line, what };
        if bytes.len() as u64 > LONGEST {
            return Err(wrong("the line is longer than 1 MiB".to_owned()));
        }
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        if text.trim_ascii().is_empty() {
            continue;
        }
        let members: Members =
            serde_json::from_slice(text).map_err(|error| wrong(format!("not a JSON object ({error})")))?;
        rows += 1;
        take(line, members)?;
    }
}

/// A value in a cell. A list becomes its elements, separated by `;` as `update` reads them; whatever has more in it stays
/// JSON.
fn cell(raw: &RawValue) -> String {
    match serde_json::from_str(raw.get()) {
        Ok(Value::Null) => String::new(),
        Ok(Value::String(text)) => text,
        Ok(Value::Array(list)) => {
            let escaped = |value: &Value| part(value).replace('\\', r"\\").replace(';', r"\;");
            list.iter().map(escaped).collect::<Vec<_>>().join(";")
        }
        Ok(value @ Value::Object(_)) => part(&value),
        // As it is written: a number may have more digits than a computer's.
        Ok(Value::Number(_) | Value::Bool(_)) | Err(_) => raw.get().to_owned(),
    }
}

/// An object as `export` writes it: an ID and perhaps a value, or an amount and a currency.
fn part(value: &Value) -> String {
    let member = |name: &str| value.get(name).and_then(Value::as_str);
    match value {
        Value::String(text) => text.clone(),
        Value::Object(members) => {
            match (members.len(), member("id"), member("value"), member("amount"), member("currency")) {
                (1, Some(id), ..) => id.to_owned(),
                (2, Some(id), Some(value), ..) => format!("{id}={value}"),
                (2, _, _, Some(amount), Some(currency)) => format!("{amount} {currency}"),
                _ => value.to_string(),
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spooled(lines: &str, columns: &[Columns]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("rows.jsonl"), folder.path().join("input.csv"));
        std::fs::write(&from, lines).unwrap();
        let spooled = open(&from).and_then(|file| spool(file, Form::Lines, &[], columns, None, &to));
        let (found, _) = spooled.map_err(|error| error.to_string())?;
        let text = std::fs::read_to_string(&to).unwrap();
        assert_eq!(found.bytes, text.len() as u64);
        Ok(text)
    }

    #[test]
    fn members_become_columns() {
        let lines = "\u{feff}{\"id\":\"TKT-1\",\"n\":12345678901234567890.10,\"flag\":true}\n\n\
                     {\"tags\":[{\"id\":\"TAG-1\",\"value\":\"a;b\"},\"TAG-2\"],\"id\":\"TKT-2\",\"n\":null,\"id\":\"TKT-3\"}\n\
                     {\"value\":{\"amount\":\"5\",\"currency\":\"EUR\"},\"id\":\"\u{e9}\\n\\\"x\",\"flag\":{\"a\":[1]}}";
        let table = spooled(lines, &[]).unwrap();
        assert_eq!(
            table,
            "id,n,flag,tags,value\nTKT-1,12345678901234567890.10,true,,\nTKT-3,,,TAG-1=a\\;b;TAG-2,\n\
             \"\u{e9}\n\"\"x\",,\"{\"\"a\"\":[1]}\",,5 EUR\n"
        );
    }

    #[test]
    fn an_array_has_its_objects_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str, limit| {
            let (from, to) = (folder.path().join("rows.json"), folder.path().join("input.csv"));
            let _ = std::fs::remove_file(&to);
            std::fs::write(&from, text).unwrap();
            let found = open(&from).and_then(|file| spool(file, Form::Array, &[], &[], limit, &to));
            let (_, rows) = found.map_err(|error| error.to_string())?;
            Ok::<_, String>((std::fs::read_to_string(&to).unwrap(), rows))
        };
        let text = r#" [{"a":1,"b":null},{"b":"x"},{"c":2}] "#;
        assert_eq!(read(text, None), Ok(("a,b,c\n1,,\n,x,\n,,2\n".to_owned(), 3)));
        assert_eq!(read(text, Some(1)), Ok(("a,b\n1,\n".to_owned(), 1)));
        assert_eq!(
            read("[]", None),
            Err(format!(
                "{} has no rows, so its columns are not known",
                folder.path().join("rows.json").display()
            ))
        );
        for wrong in [r#"{"error":"no"}"#, "[1]", r#"[{"a":1}"#, "", r#"[{"a":1}] x"#] {
            assert!(read(wrong, None).unwrap_err().contains("not an array of objects"), "{wrong}");
        }
    }

    #[test]
    fn only_what_is_needed_is_taken() {
        let columns =
            Columns { required: &["issue_id", "creator"], optional: Some("group"), key: "issue_id" };
        let table = spooled("{\"Creator\":\"DEVU-1\",\"x\":1,\"ISSUE_ID\":\"ISS-1\"}\n", &[columns]).unwrap();
        assert_eq!(table, "issue_id,creator\nISS-1,DEVU-1\n");
        let error = spooled("{\"issue\":\"ISS-1\"}\n", &[columns]).unwrap_err();
        assert!(error.contains("columns missing from") && error.contains("`issue_id`"), "{error}");
    }

    #[test]
    fn what_is_no_object_is_named_with_its_line() {
        for (lines, wanted) in [
            ("{}\n[1]\n", "line 2: not a JSON object"),
            ("{\"a\":1}\n{\"a\":\n", "line 2: not a JSON object"),
            ("nonsense", "line 1: not a JSON object"),
        ] {
            let error = spooled(lines, &[]).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
        assert!(spooled(&long, &[]).unwrap_err().contains("longer than 1 MiB"));
    }
}
