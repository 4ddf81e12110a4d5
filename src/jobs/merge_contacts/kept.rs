//! Half of a pair, until the other half is read: the two may be as far apart as the input is long.

use super::pair::Contact;
use crate::devrev::ids::{CONTACT_TYPES, Id, RevUser, id_text};
use crate::jobs::rules::contacts::{ContactColumns, ContactRow};
use crate::row::Row;

/// A contact whose texts are one allocation: 40 bytes and the texts.
#[derive(Debug)]
pub(crate) struct Kept {
    texts: Box<str>,
    /// Where the ID, the address and the reference end; the display name is the rest.
    ends: [u32; 3],
    tickets: u64,
}

impl Kept {
    /// Keeps what a row says.
    pub(crate) fn of(row: &Row, columns: &ContactColumns, item: &ContactRow<'_>) -> Self {
        let id = id_text(columns.id.text(row), CONTACT_TYPES);
        let texts = [&*id, item.email, item.external_ref, item.display_name];
        let mut end = 0;
        // No record is longer than 1 MiB.
        let ends = [texts[0], texts[1], texts[2]].map(|text| {
            end += u32::try_from(text.len()).unwrap_or_default();
            end
        });
        Self { texts: texts.concat().into(), ends, tickets: item.tickets }
    }

    /// The contact, which stands in this row. `None` cannot be had from a row that was judged good.
    pub(crate) fn contact(&self, row: u64) -> Option<Contact> {
        let [id, email, external_ref] = self.ends.map(|end| end as usize);
        let text = |from, to| self.texts.get(from..to).map(str::to_owned);
        Some(Contact {
            row,
            id: Id::<RevUser>::parse(self.texts.get(..id)?).ok()?,
            email: text(id, email)?,
            external_ref: text(email, external_ref)?,
            display_name: text(external_ref, self.texts.len())?,
            tickets: self.tickets,
        })
    }
}
