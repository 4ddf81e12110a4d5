//! CSV as it comes: what is read, what is refused, and that neither garbage nor size does harm.

use std::io;

use ::csv::{QuoteStyle, Terminator, WriterBuilder};
use proptest::prelude::*;

use super::*;

fn open(bytes: &[u8]) -> Result<CsvFile<&[u8]>, SourceError> {
    CsvFile::from_reader(bytes, "in.csv")
}

fn rows(bytes: &[u8]) -> Vec<Result<Row, BadRow>> {
    open(bytes).unwrap().rows().map(Result::unwrap).collect()
}

fn texts(row: &Row) -> Vec<&str> {
    (0..row.fields.len()).map(|column| row.text(Some(column))).collect()
}

/// The numbers and lines of all rows.
fn places(bytes: &[u8]) -> Vec<(u64, u64)> {
    rows(bytes).into_iter().map(Result::unwrap).map(|row| (row.number, row.line)).collect()
}

fn fatal(bytes: &[u8]) -> String {
    match open(bytes) {
        Err(error) => error.to_string(),
        Ok(file) => file.rows().find_map(Result::err).unwrap().to_string(),
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_name() {
    let file = open(b"\xef\xbb\xbf\"a\",b\n1,2\n").unwrap();
    assert_eq!(file.header().column("a"), Some(0));
    assert_eq!(file.rows().next().unwrap().unwrap().unwrap().line, 2);
}

#[test]
fn a_byte_order_mark_is_known_when_it_comes_byte_by_byte() {
    struct Slow(&'static [u8]);
    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(1);
            self.0.read(&mut buffer[..most])
        }
    }
    let file = CsvFile::from_reader(Slow(b"\xef\xbb\xbfa,b\r\n1,\"2\r\n\"\r\n3,4"), "in.csv").unwrap();
    assert_eq!(file.header().column("a"), Some(0));
    let found: Vec<_> = file.rows().map(|row| row.unwrap().unwrap().line).collect();
    assert_eq!(found, [2, 4]);
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    assert_eq!(places(b"a,b\n1,2\n3,4"), [(1, 2), (2, 3)]);
    assert_eq!(places(b"a,b\r\n1,2\r\n3,4\r\n"), [(1, 2), (2, 3)]);
    assert_eq!(places(b"a,b\r1,2\r3,4\r"), [(1, 2), (2, 3)]);
    assert_eq!(places(b"\n\na,b\n\n1,2\n\r\n\n3,4\n\n"), [(1, 5), (2, 8)]);
    assert_eq!(places(b"a,b\r\n\"1\r\n\n\",2\r\n3,4\r\n"), [(1, 2), (2, 5)]);
    assert_eq!(places(b"a,b\n\"1\r1\",2\n3,4\n"), [(1, 2), (2, 3)]);
    assert_eq!(places(b"\"a\n\",b\n1,2\n"), [(1, 3)]);
}

#[test]
fn a_bad_record_does_not_stop_the_rest() {
    let found = rows(b"a,b,c\n1,2\n3,4,5,6\n7,\xff,8\n9,10,11\n");
    let said: Vec<String> =
        found.iter().filter_map(|row| row.as_ref().err().map(ToString::to_string)).collect();
    assert_eq!(
        said,
        [
            "row 1, line 2: the record has 2 fields where the header has 3",
            "row 2, line 3: the record has 4 fields where the header has 3",
            "row 3, line 4: column `b` is not UTF-8 text",
        ]
    );
    let last = found.last().unwrap().as_ref().unwrap();
    assert_eq!((last.number, last.line, texts(last)), (4, 5, vec!["9", "10", "11"]));
}

#[test]
fn a_character_cut_in_two_by_a_comma_is_not_utf8() {
    let found = rows(b"a,b\n\xc3,\xa9\n");
    assert!(matches!(&found[0], Err(bad) if bad.problem == RowProblem::NotUtf8 { column: "a".into() }));
}

#[test]
fn a_record_that_swallowed_its_neighbour_is_no_row() {
    let found = rows(b"a,b\n1,\"2\n3,\"4\"\n5,6\n");
    let bad = found[0].as_ref().unwrap_err();
    assert_eq!(bad.problem, RowProblem::StrayQuote { opened: 2, closed: 3 });
    assert_eq!(texts(found[1].as_ref().unwrap()), ["5", "6"]);
    assert_eq!(found[1].as_ref().unwrap().line, 4);
}

#[test]
fn an_unclosed_quote_ends_the_reading() {
    let said = "in.csv: the quote opened on line 4, in row 2 (line 3), is never closed";
    assert_eq!(fatal(b"a,b\n1,2\n\"3\n\",\"4\n5,6\n7,8\n"), said);
    assert_eq!(fatal(b"a,\"b\n1,2\n"), "in.csv: the quote opened on line 1, in the header, is never closed");
    assert!(fatal(b"a,b\n1,\"").contains("never closed"));
    let mut rows = open(b"a,b\n1,2\n3,\"4\n5,6\n").unwrap().rows();
    assert!(rows.next().unwrap().unwrap().is_ok());
    assert!(rows.next().unwrap().is_err());
    assert!(rows.next().is_none());
}

#[test]
fn headers_that_are_none() {
    for empty in [&b""[..], b"\n\r\n\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"] {
        assert!(matches!(open(empty), Err(SourceError::Empty { .. })), "{empty:?}");
    }
    assert_eq!(open(b"\xff\xfea\0,\0b\0").unwrap().header().column("b"), Some(1));
    assert!(fatal(b"a,\xe9\n").contains("not UTF-8"));
}

#[test]
fn a_record_that_does_not_end_is_given_up_in_bounded_memory() {
    let gigabyte = 1 << 30;
    let start = &b"a,b\n1,2\n3,\"4\n"[..];
    let file = CsvFile::from_reader(start.chain(io::repeat(b'x').take(gigabyte)), "in.csv").unwrap();
    let mut rows = file.rows();
    assert!(rows.next().unwrap().is_ok());
    let error = rows.next().unwrap().unwrap_err();
    assert_eq!(error.place(), Some((2, 3)));
    assert!(matches!(error, SourceError::RecordTooLong { quote_line: Some(3), .. }));
    assert!(rows.next().is_none());

    let file =
        CsvFile::from_reader((&b"a,b\n"[..]).chain(io::repeat(b'x').take(gigabyte)), "in.csv").unwrap();
    let error = file.rows().next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "in.csv: row 1 (line 2) is longer than 1 MiB");
}

#[test]
fn the_limit_is_the_records_own_length() {
    let long = "x".repeat(MAX_RECORD_BYTES - 3);
    assert_eq!(rows(format!("a,b\n{long},1\n{long},2\n").as_bytes()).len(), 2);
    let longer = format!("a,b\n1{long},1\n2,3\n");
    assert!(fatal(longer.as_bytes()).contains("longer than 1 MiB"));
}

#[test]
fn blank_lines_are_no_record_however_many() {
    let blank = io::repeat(b'\n').take(8 << 20);
    let file = CsvFile::from_reader((&b"a,b\n"[..]).chain(blank).chain(&b"1,2\n"[..]), "in.csv").unwrap();
    let row = file.rows().next().unwrap().unwrap().unwrap();
    assert_eq!((row.number, row.line), (1, 2 + (8 << 20)));
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,6}",
        r#"[ab,"\r\n é]{0,8}"#,
        any::<String>(),
        ("[xy\n\"]", 100usize..9_000).prop_map(|(text, times)| text.repeat(times)),
    ]
}

fn table() -> impl Strategy<Value = Vec<Vec<String>>> {
    (2usize..5).prop_flat_map(|width| prop::collection::vec(prop::collection::vec(field(), width), 1..20))
}

proptest! {
    #[test]
    fn what_is_written_comes_back(
        table in table(),
        terminator in prop::sample::select(vec![Terminator::CRLF, Terminator::Any(b'\n'), Terminator::Any(b'\r')]),
        all_quoted in any::<bool>(),
        mark in any::<bool>(),
        last_end in any::<bool>(),
    ) {
        let style = if all_quoted { QuoteStyle::Always } else { QuoteStyle::Necessary };
        let mut bytes = if mark { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
        let mut lines = Vec::new();
        let mut line = 1;
        let last = table.len() - 1;
        for (index, record) in table.iter().enumerate() {
            let mut one = WriterBuilder::new().terminator(terminator).quote_style(style).from_writer(Vec::new());
            one.write_record(record).unwrap();
            let mut written = one.into_inner().unwrap();
            lines.push(line);
            line += 1 + record.iter().flat_map(|field| field.bytes()).filter(|byte| *byte == b'\n').count() as u64;
            if index == last && last_end {
                let end = if matches!(terminator, Terminator::CRLF) { 2 } else { 1 };
                written.truncate(written.len() - end);
            }
            bytes.extend(written);
        }
        prop_assume!(table.iter().skip(1).all(|record| record.iter().any(|field| !field.trim_ascii().is_empty())));
        // The writer does not quote what only the reader takes for a byte order mark.
        prop_assume!(mark || !bytes.starts_with(b"\xef\xbb\xbf"));
        let file = open(&bytes).unwrap();
        prop_assert!(file.header().names().iter().eq(table[0].iter().map(String::as_bytes)));
        let mut seen = 0;
        for (index, row) in file.rows().enumerate() {
            let row = row.unwrap().unwrap();
            let written = &table[index + 1];
            prop_assert_eq!(row.number, index as u64 + 1);
            prop_assert_eq!(row.line, lines[index + 1]);
            prop_assert!(row.fields.iter().eq(written.iter().map(String::as_bytes)));
            seen += 1;
        }
        prop_assert_eq!(seen, last);
    }

    #[test]
    fn garbage_comes_to_an_end(bytes in prop::collection::vec(
        prop_oneof![any::<u8>(), prop::sample::select(b"\",\r\n a\xef\xbb\xbf".to_vec())], 0..400,
    )) {
        let Ok(mut file) = open(&bytes) else { return Ok(()) };
        let mut row = Row { number: 0, line: 0, fields: ByteRecord::new() };
        let (mut number, mut line) = (0, 0);
        let end = loop {
            match file.read_into(&mut row) {
                Ok(Some(_)) => {
                    number += 1;
                    prop_assert_eq!(row.number, number);
                    prop_assert!(row.line > line);
                    line = row.line;
                }
                end => break end,
            }
        };
        // Every byte is part of a record, a line end, or of what the error is about.
        prop_assert!(number <= bytes.len() as u64);
        if let Err(error) = end {
            prop_assert!(error.place().is_some_and(|place| place.0 == number + 1));
        }
        prop_assert!(matches!(file.read_into(&mut row), Ok(None)));
    }
}

/// The header and the records byte for byte, and how the first line ends.
fn raw(bytes: &[u8]) -> (Vec<String>, &'static [u8]) {
    let mut file = open(bytes).unwrap();
    let text = |file: &CsvFile<_>| String::from_utf8_lossy(file.raw()).into_owned();
    let (mut found, end) = (vec![text(&file)], file.line_end());
    let mut row = Row { number: 0, line: 0, fields: ByteRecord::new() };
    while let Some(Ok(_)) = file.read_into(&mut row).transpose() {
        found.push(text(&file));
    }
    (found, end)
}

#[test]
fn records_are_known_as_they_stand_in_the_input() {
    let quoted = "\"a\", \"b\"\n\" 1\r\n\"\"\",2\n\n3,\"4\"";
    assert_eq!(raw(quoted.as_bytes()).0, ["\"a\", \"b\"", "\" 1\r\n\"\"\",2", "3,\"4\""]);
    let windows = "\u{feff}a,b\r\n\r\n1,\"\n\"\r\nragged\r\n3,4\r\n";
    assert_eq!(
        raw(windows.as_bytes()),
        (["a,b", "1,\"\n\"", "ragged", "3,4"].map(str::to_owned).into(), &b"\r\n"[..])
    );
    assert_eq!(raw(b"a,b").1, b"\n");
    assert!(open(windows.as_bytes()).unwrap().is_marked() && !open(b"a,b\n").unwrap().is_marked());
}

#[test]
fn long_records_are_known_over_many_reads() {
    let long = "x".repeat(100_000);
    let bytes = format!("a,b\n1,{long}\n\"{long}\n\",2\n3,4\n");
    let (found, _) = raw(bytes.as_bytes());
    assert_eq!(found.join("\n") + "\n", bytes);
}

#[test]
fn blank_rows_are_left_out_unless_they_were_rows_before() {
    let text = b"a;b\n1;2\n;\n  ;\t\n3;4\n;\n";
    let read = |blank_rows| {
        let dialect = Dialect { blank_rows, ..Dialect::default() };
        let mut file = CsvFile::from_reader_as(&text[..], "in.csv", dialect).unwrap();
        let mut row = Row { number: 0, line: 0, fields: ByteRecord::new() };
        let mut places = Vec::new();
        while file.read_into(&mut row).unwrap().is_some() {
            places.push((row.number, row.line));
        }
        (places, file.notes())
    };
    let delimiter = "in.csv separates its fields with `;`".to_owned();
    assert_eq!(
        read(false),
        (vec![(1, 2), (2, 5)], vec![delimiter.clone(), "3 blank rows were left out".to_owned()])
    );
    assert_eq!(read(true), ((1..=5).map(|row| (row, row + 1)).collect(), vec![delimiter]));
}

#[test]
fn the_line_that_names_the_separator_counts_as_a_line() {
    let rows = rows(b"sep=;\na;b\n1;\"2;3\"\n");
    let row = rows[0].as_ref().unwrap();
    assert_eq!((row.number, row.line, texts(row)), (1, 3, vec!["1", "2;3"]));
}

#[test]
fn a_column_that_is_not_used_may_hold_anything() {
    let mut file = open(b"a,b\n1,\xe9\n\xe9,2\n").unwrap();
    file.use_only(vec![0]);
    let mut row = Row { number: 0, line: 0, fields: ByteRecord::new() };
    assert_eq!(file.read_into(&mut row).unwrap(), Some(Ok(())));
    assert!(matches!(file.read_into(&mut row).unwrap(), Some(Err(RowProblem::NotUtf8 { .. }))));
}
