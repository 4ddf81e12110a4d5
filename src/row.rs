//! One record of the operator's input, as every layer above [`crate::source`] knows it.

use csv::ByteRecord;

/// A record of the input, with its place in the file.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which data record it is, counted from 1 and without the header: the `_row` of the result files.
    pub number: u64,
    /// The line of the file on which the record begins, counted from 1.
    pub line: u64,
    /// The record's fields, byte for byte as they stand in the file.
    pub fields: ByteRecord,
}

impl Row {
    /// The text of a column, without surrounding white space; empty where the record is too short or the
    /// column is absent. A reader hands on only rows whose fields are UTF-8.
    pub fn text(&self, column: Option<usize>) -> &str {
        let bytes = column.and_then(|column| self.fields.get(column)).unwrap_or_default();
        trimmed(std::str::from_utf8(bytes).unwrap_or_default())
    }

    /// The texts of all columns: [`Self::text`] for anyone who wants many of them.
    #[inline]
    pub fn texts(&self) -> Texts<'_> {
        Texts { fields: &self.fields, whole: std::str::from_utf8(self.fields.as_slice()).ok() }
    }
}

/// The texts of a row's columns, of which it is known at once that they are UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'r> {
    fields: &'r ByteRecord,
    /// The fields without what stands between them.
    whole: Option<&'r str>,
}

impl<'r> Texts<'r> {
    /// What [`Row::text`] returns.
    #[inline]
    pub fn text(&self, column: Option<usize>) -> &'r str {
        let Some(column) = column else { return "" };
        let text = match self.whole {
            // A field that begins or ends within a character is not UTF-8, though the whole is.
            Some(whole) => self.fields.range(column).and_then(|range| whole.get(range)),
            None => self.fields.get(column).and_then(|bytes| std::str::from_utf8(bytes).ok()),
        };
        trimmed(text.unwrap_or_default())
    }
}

/// The text without surrounding white space, which hardly any has: that is seen from two bytes.
#[inline]
fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [byte, ..] if !byte.is_ascii_graphic() => text.trim(),
        [.., byte] if !byte.is_ascii_graphic() => text.trim(),
        _ => text,
    }
}

/// Where a record stands, small enough to sort by: rows ascend with their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which data record it is, counted from 1; less than 2^36.
    pub row: u64,
    /// The line on which it begins; `None` where more lines than fit into a place are not the first of a
    /// record: 2^27.
    pub line: Option<u64>,
}

impl Place {
    const EXCESS_BITS: u32 = 27;
    const UNKNOWN: u64 = (1 << Self::EXCESS_BITS) - 1;

    /// The place as one number, less than 2^63 and not 0.
    pub(crate) fn pack(self) -> u64 {
        // The line runs ahead of the row by the blank lines and the quoted line ends before it.
        let excess = self.line.map_or(Self::UNKNOWN, |line| line.saturating_sub(self.row).min(Self::UNKNOWN));
        self.row << Self::EXCESS_BITS | excess
    }

    /// The place that was packed.
    pub(crate) fn unpack(packed: u64) -> Self {
        let (row, excess) = (packed >> Self::EXCESS_BITS, packed & Self::UNKNOWN);
        Self { row, line: (excess != Self::UNKNOWN).then_some(row + excess) }
    }
}

/// A record that could not be read as a row. The reading continues after it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("row {}, line {}: {problem}", row.number, row.line)]
pub struct BadRow {
    /// The record's place and whatever fields it has.
    pub row: Row,
    /// What is wrong with it.
    pub problem: RowProblem,
}

/// Why a record is not a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowProblem {
    /// The record has more or fewer fields than the header.
    #[error("the record has {found} fields where the header has {expected}")]
    Ragged {
        /// Fields in the header.
        expected: usize,
        /// Fields in the record.
        found: usize,
    },
    /// Text stands after a closing quote: most likely a quote is missing or one too many, and what follows it
    /// may be another row's.
    #[error("text follows the quote that closes on line {closed} (opened on line {opened})")]
    StrayQuote {
        /// The line on which the quoted field begins.
        opened: u64,
        /// The line of its closing quote.
        closed: u64,
    },
    /// A field is not UTF-8.
    #[error("column `{column}` is not UTF-8 text")]
    NotUtf8 {
        /// The column's name in the header.
        column: String,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_are_each_as_they_are_alone(
            fields in prop::collection::vec(
                prop_oneof![
                    "[ \t\u{a0}\u{3000}a-c\u{e9}]{0,6}".prop_map(String::into_bytes),
                    prop::collection::vec(prop_oneof![Just(0xc3), Just(0xa9), Just(b' '), Just(b'x')], 0..4),
                ],
                0..5,
            ),
        ) {
            let row = Row { number: 1, line: 2, fields: ByteRecord::from(fields.clone()) };
            let texts = row.texts();
            prop_assert_eq!(texts.text(None), row.text(None));
            for column in 0..=fields.len() {
                let plainly = fields.get(column).and_then(|bytes| std::str::from_utf8(bytes).ok());
                prop_assert_eq!(row.text(Some(column)), plainly.unwrap_or_default().trim());
                prop_assert_eq!(texts.text(Some(column)), row.text(Some(column)));
            }
        }
    }

    #[test]
    fn a_place_packs_and_sorts() {
        for place in [Place { row: 1, line: Some(2) }, Place { row: 1 << 35, line: Some((1 << 35) + 5_000) }]
        {
            assert_eq!(Place::unpack(place.pack()), place);
            assert!(place.pack() < 1 << 63);
        }
        let far = Place { row: 7, line: Some(1 << 30) };
        assert_eq!(Place::unpack(far.pack()), Place { row: 7, line: None });
        assert!(far.pack() < Place { row: 8, line: Some(9) }.pack());
    }
}
