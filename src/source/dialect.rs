//! How a file is written: its encoding, what separates its fields, and what is no CSV at all.
//!
//! Spreadsheets write more than commas and UTF-8. What can be told for certain from the first bytes is read; what is
//! another format is refused by name, before its bytes are taken for the names of columns.

use super::error::SourceError;
use ::csv::{ByteRecord, ReaderBuilder};
use encoding_rs::{UTF_16BE, UTF_16LE};
use encoding_rs_io::{DecodeReaderBytes, DecodeReaderBytesBuilder};
use std::io::{self, Chain, Cursor, Read};

/// How much of a file is looked at, in bytes.
const HEAD: u64 = 16 << 10;
/// What may separate fields, the usual one first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
const BOM: &[u8] = b"\xef\xbb\xbf";

/// What is known beforehand of how a file is to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dialect {
    /// `--delimiter`; found from the header if it is not given.
    pub delimiter: Option<u8>,
    /// Whether records without any text are rows. So they were to runs that earlier versions began: their rows must keep
    /// their numbers.
    pub blank_rows: bool,
}

impl Dialect {
    /// As it was typed.
    pub fn typed(delimiter: Option<&str>) -> Result<Self, String> {
        Ok(Self { delimiter: delimiter.map(self::delimiter).transpose()?, ..Self::default() })
    }
}

/// An input as UTF-8, from its first byte on.
pub(crate) type Decoded<R> = Chain<Cursor<Vec<u8>>, Text<R>>;

/// An input with the bytes that were looked at.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

/// The bytes of an input, in UTF-8 if a byte order mark says that they are UTF-16.
pub(crate) enum Text<R> {
    Plain(R),
    Utf16(Box<DecodeReaderBytes<Whole<R>, Vec<u8>>>),
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Utf16(input) => input.read(buffer),
        }
    }
}

/// What the first bytes say.
pub(crate) struct Opened<R> {
    pub(crate) input: Decoded<R>,
    pub(crate) delimiter: u8,
    /// The line on which the header begins, from 1.
    pub(crate) line: u64,
    /// Whether the file is read in a way that the operator should know of.
    pub(crate) note: Option<String>,
}

/// Looks at the beginning of an input, and refuses what is no CSV.
pub(crate) fn open<R: Read>(mut input: R, name: &str, dialect: Dialect) -> Result<Opened<R>, SourceError> {
    let unreadable = |error| SourceError::Unreadable { name: name.to_owned(), error };
    let mut head = Vec::new();
    input.by_ref().take(HEAD).read_to_end(&mut head).map_err(unreadable)?;
    if let Some(what) = other_format(&head) {
        return Err(SourceError::OtherFormat { name: name.to_owned(), what });
    }
    let utf16 = match head.get(..2) {
        Some(b"\xff\xfe") => Some(UTF_16LE),
        Some(b"\xfe\xff") => Some(UTF_16BE),
        _ => None,
    };
    let (mut head, rest) = match utf16 {
        None => (head, Text::Plain(input)),
        Some(encoding) => {
            let bytes = Cursor::new(head).chain(input);
            let mut text =
                DecodeReaderBytesBuilder::new().encoding(Some(encoding)).bom_override(true).build(bytes);
            let mut head = Vec::new();
            text.by_ref().take(HEAD).read_to_end(&mut head).map_err(unreadable)?;
            (head, Text::Utf16(Box::new(text)))
        }
    };
    let mut notes = Vec::new();
    if utf16.is_some() {
        notes.push("is UTF-16".to_owned());
    }
    let (mut line, mut delimiter) = (1, dialect.delimiter);
    if let Some((said, length)) = separator_line(&head) {
        delimiter = delimiter.or(Some(said));
        head.drain(..length);
        line = 2;
        notes.push("names its separator in its first line".to_owned());
    }
    let delimiter = delimiter.unwrap_or_else(|| found_in(&head));
    if delimiter != b',' {
        notes.push(format!("separates its fields with {}", shown(delimiter)));
    }
    let note = (!notes.is_empty()).then(|| format!("{name} {}", notes.join(" and ")));
    Ok(Opened { input: Cursor::new(head).chain(rest), delimiter, line, note })
}

/// What a file is, and what to do, if it certainly is no CSV.
pub(super) fn other_format(head: &[u8]) -> Option<&'static str> {
    const FORMATS: [(&[u8], &str); 5] = [
        (b"\x1f\x8b", "a gzip file: unpack it with gunzip"),
        (b"PK\x03\x04", "an Excel workbook or a ZIP archive: save the sheet as CSV UTF-8, or unpack it"),
        (b"\xd0\xcf\x11\xe0", "an Excel workbook: save the sheet as CSV UTF-8"),
        (b"\x28\xb5\x2f\xfd", "a Zstandard file: unpack it with unzstd"),
        (b"PAR1\x15", "a Parquet file: export it as CSV"),
    ];
    if let Some((_, what)) = FORMATS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(what);
    }
    let is_marked = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    // Every other byte of ASCII text in UTF-16 is 0, and no byte of CSV in UTF-8 is.
    let zeros = |first: usize| head.iter().skip(first).step_by(2).take(32).filter(|byte| **byte == 0).count();
    let half = head.len().min(64) / 2;
    (!is_marked && half > 4 && (zeros(0) > half / 2 || zeros(1) > half / 2))
        .then_some("UTF-16 without a byte order mark: save it as CSV UTF-8")
}

/// The separator that Excel's first line names (`sep=;`), and the length of that line and what stands before it.
fn separator_line(head: &[u8]) -> Option<(u8, usize)> {
    let begin = if head.starts_with(BOM) { BOM.len() } else { 0 };
    let text = head.get(begin..)?;
    let length = text.iter().position(|byte| *byte == b'\n').map(|end| end + 1)?;
    let line = text.get(..length)?.trim_ascii_end();
    // A tab at the end is the separator, not white space.
    let line = if line.eq_ignore_ascii_case(b"sep=") { text.get(..line.len() + 1)? } else { line };
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    let (name, separator) = line.split_at_checked(4)?;
    let [separator] = separator else { return None };
    (name.eq_ignore_ascii_case(b"sep=") && (separator.is_ascii_punctuation() || *separator == b'\t'))
        .then_some((*separator, begin + length))
}

/// What separates the fields of the header: a comma, unless that leaves one field and another mark makes several.
fn found_in(head: &[u8]) -> u8 {
    let head = head.strip_prefix(BOM).unwrap_or(head);
    let fields = |delimiter: u8| {
        let mut reader = ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(head);
        let mut record = ByteRecord::new();
        if matches!(reader.read_byte_record(&mut record), Ok(true)) { record.len() } else { 0 }
    };
    let [comma, others @ ..] = DELIMITERS;
    if fields(comma) > 1 {
        return comma;
    }
    // Of those that make equally many, the first.
    let best = others.into_iter().rev().max_by_key(|delimiter| fields(*delimiter));
    best.filter(|delimiter| fields(*delimiter) > 1).unwrap_or(comma)
}

/// A delimiter in a sentence.
fn shown(delimiter: u8) -> String {
    if delimiter == b'\t' { "tabs".to_owned() } else { format!("`{}`", char::from(delimiter)) }
}

/// The delimiter that was typed: one character, or `tab`.
fn delimiter(typed: &str) -> Result<u8, String> {
    match typed.as_bytes() {
        _ if typed.eq_ignore_ascii_case("tab") || typed == "\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii_punctuation() && *byte != b'"' || *byte == b'\t' => Ok(*byte),
        _ => Err(format!("--delimiter: `{typed}` is not one character such as `;`, nor tab")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text, delimiter and line of the header, or the error.
    fn opened(bytes: &[u8]) -> Result<(String, char, u64, String), String> {
        let found = open(bytes, "in.csv", Dialect::default()).map_err(|error| error.to_string())?;
        let (delimiter, line, note) =
            (char::from(found.delimiter), found.line, found.note.unwrap_or_default());
        let mut text = String::new();
        let mut input = found.input;
        input.read_to_string(&mut text).unwrap();
        Ok((text, delimiter, line, note))
    }

    fn utf16(text: &str, big: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
            .collect()
    }

    #[test]
    fn the_delimiter_is_found_from_the_header() {
        for (text, delimiter) in [
            ("a,b\n", ','),
            ("a;b\n1,2;3\n", ';'),
            ("a\tb\n", '\t'),
            ("a|b\n", '|'),
            ("a;b,c;d\n", ','),
            ("a;b|c;d\n", ';'),
            ("\"a;b\"\n", ','),
            ("a\n", ','),
            ("\u{feff}a;b\n", ';'),
            ("\n\na;b\n", ';'),
            ("", ','),
        ] {
            assert_eq!(opened(text.as_bytes()).unwrap().1, delimiter, "{text}");
        }
    }

    #[test]
    fn excels_line_that_names_the_separator_is_passed_over() {
        for (text, rest, delimiter, line) in [
            ("sep=,\na,b\n", "a,b\n", ',', 2),
            ("sep=;\r\na;b\n", "a;b\n", ';', 2),
            ("\u{feff}SEP=|\na|b\n", "a|b\n", '|', 2),
            ("\"sep=;\"\na;b\n", "a;b\n", ';', 2),
            ("sep=\t\na\tb\n", "a\tb\n", '\t', 2),
            ("sep=\na,b\n", "sep=\na,b\n", ',', 1),
            ("sep=ab\nx", "sep=ab\nx", ',', 1),
            ("sep=;", "sep=;", ';', 1),
        ] {
            let (found, of, at, _) = opened(text.as_bytes()).unwrap();
            assert_eq!((found.as_str(), of, at), (rest, delimiter, line), "{text:?}");
        }
    }

    #[test]
    fn utf16_with_a_mark_is_read() {
        let text = "issue_id;n\u{e4}me\nISS-1;\u{1f600}\n".repeat(3000);
        for big in [false, true] {
            let (found, delimiter, line, note) = opened(&utf16(&format!("\u{feff}{text}"), big)).unwrap();
            assert_eq!((found == text, delimiter, line), (true, ';', 1));
            assert_eq!(note, "in.csv is UTF-16 and separates its fields with `;`");
        }
    }

    #[test]
    fn what_is_no_csv_is_called_what_it_is() {
        let header = "issue_id,creator_user_id\nISS-1,DEVU-1\n";
        for (bytes, says) in [
            (b"\x1f\x8b\x08".to_vec(), "in.csv is a gzip file: unpack it with gunzip"),
            (b"PK\x03\x04rest".to_vec(), "in.csv is an Excel workbook or a ZIP archive"),
            (b"\xd0\xcf\x11\xe0\xa1".to_vec(), "in.csv is an Excel workbook: save"),
            (utf16(header, false), "in.csv is UTF-16 without a byte order mark"),
            (utf16(header, true), "in.csv is UTF-16 without a byte order mark"),
        ] {
            let error = opened(&bytes).unwrap_err();
            assert!(error.starts_with(says), "{error}");
        }
    }

    #[test]
    fn a_delimiter_is_one_character() {
        assert_eq!((delimiter(";"), delimiter("tab"), delimiter("\t")), (Ok(b';'), Ok(b'\t'), Ok(b'\t')));
        for wrong in ["", "a", ";;", "\"", "\u{e9}", " "] {
            assert!(delimiter(wrong).is_err(), "{wrong}");
        }
    }
}
