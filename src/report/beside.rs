//! The rows of an input as lines of another file, with more columns beside their own.

use super::formula::guarded;
use crate::source::header::Header;
use ::csv::{ByteRecord, Writer, WriterBuilder};
use std::io::Write;

/// Whose the input's own fields are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// The operator's: they stay as they are, byte for byte.
    Operator,
    /// This tool's, of what DevRev said: they must not be taken for formulas.
    Made,
}

/// Makes the lines.
pub(super) struct Beside {
    own: Own,
    header: ByteRecord,
    /// The input's own columns that stay.
    kept: Vec<usize>,
    /// The columns of the input.
    width: usize,
    line: ByteRecord,
}

impl Beside {
    /// For these columns. If the input has them already (it was such a file itself), they are replaced.
    pub(super) fn new(header: &Header, added: &[&str], own: Own) -> Self {
        let names = header.names();
        let is_kept = |column: &usize| {
            let name = String::from_utf8_lossy(names.get(*column).unwrap_or_default()).trim().to_lowercase();
            !added.contains(&name.as_str())
        };
        let kept = (0..names.len()).filter(is_kept).collect();
        let mut beside =
            Self { own, header: ByteRecord::new(), kept, width: names.len(), line: ByteRecord::new() };
        beside.header = beside.line(names, added).clone();
        beside
    }

    /// The names of the columns.
    pub(super) fn header(&self) -> &ByteRecord {
        &self.header
    }

    /// A record's own fields and the added ones, of which none is taken for a formula.
    pub(super) fn line(&mut self, fields: &ByteRecord, added: &[&str]) -> &ByteRecord {
        self.line.clear();
        // A record with too few or too many fields stays so: made to fit, it would pass for a good one when the
        // file is given back as input.
        let kept = self.kept.iter().filter_map(|column| fields.get(*column));
        for field in kept.chain(fields.iter().skip(self.width)) {
            match self.own {
                Own::Operator => self.line.push_field(field),
                Own::Made => self.line.push_field(&guarded(field)),
            }
        }
        for field in added {
            self.line.push_field(&guarded(field.as_bytes()));
        }
        &self.line
    }
}

/// Writes such lines.
pub(super) fn writer<'a>(file: &'a mut (dyn Write + 'a)) -> Writer<&'a mut (dyn Write + 'a)> {
    // The lines are of equal length but for a bad record's.
    WriterBuilder::new().flexible(true).from_writer(file)
}
