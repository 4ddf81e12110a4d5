//! IDs that begin as the last one did: in a column of one organisation's IDs, all but the tail is the same
//! (`don:core:dvrv-us-1:devo/XXXX:issue/`, `ISS-`), and need not be taken apart again.

use crate::devrev::ids::{MAX_ID_BYTES, ObjectType, Ref};

/// The longest beginning that is remembered, in bytes: room for any of DevRev's own.
const LONGEST: usize = 96;

/// How the last row's IDs began, for each of the columns that hold some. A row is judged the same whatever is
/// in here; it only is quicker when the row before it is like it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prefixes(pub(super) [Prefix; 4]);

/// How the last good ID of a column began.
#[derive(Debug, Clone)]
pub(super) struct Prefix {
    bytes: [u8; LONGEST],
    length: usize,
    /// The type that the beginning stands for; none where there is no beginning yet.
    object: Option<ObjectType>,
}

impl Default for Prefix {
    fn default() -> Self {
        Self { bytes: [0; LONGEST], length: 0, object: None }
    }
}

impl Prefix {
    /// What [`Ref::parse`] makes of the text, if it is a good one.
    pub(super) fn parse<'r>(&mut self, text: &'r str, wanted: &[ObjectType]) -> Option<Ref<'r>> {
        if let Some(id) = self.same(text, wanted) {
            return Some(id);
        }
        let id = Ref::parse(text, wanted).ok()?;
        self.remember(text, id);
        Some(id)
    }

    /// The ID, if it begins as the last one did.
    #[inline]
    fn same<'r>(&self, text: &'r str, wanted: &[ObjectType]) -> Option<Ref<'r>> {
        let object = self.object.filter(|object| wanted.contains(object))?;
        let (beginning, _) = text.as_bytes().split_at_checked(self.length)?;
        if text.len() > MAX_ID_BYTES || Some(beginning) != self.bytes.get(..self.length) {
            return None;
        }
        Ref::with_tail(object, text.get(self.length..)?)
    }

    fn remember(&mut self, text: &str, id: Ref<'_>) {
        self.object = None;
        let beginning = text.as_bytes().strip_suffix(id.tail.as_bytes()).unwrap_or_default();
        if let Some(bytes) = self.bytes.get_mut(..beginning.len()) {
            bytes.copy_from_slice(beginning);
            self.length = beginning.len();
            self.object = Some(id.object);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::devrev::ids::USER_TYPES;

    fn id() -> impl Strategy<Value = String> {
        let dons = prop_oneof![Just("core"), Just("identity"), Just(""), Just("x.y")];
        let types = prop_oneof![Just("issue"), Just("devu"), Just("revu"), Just("group"), Just("none")];
        let tail = prop_oneof!["[0-9]{0,3}", "[a-z0-9/:\u{e9} -]{0,4}", Just("1".repeat(300))];
        prop_oneof![
            (dons, types, tail.clone()).prop_map(|(service, object, tail)| format!(
                "don:{service}:dvrv-us-1:devo/X:{object}/{tail}"
            )),
            ("(ISS|iss|DEVU|REVU|GROUP|X|\u{e9})-?", tail).prop_map(|(prefix, tail)| prefix + &tail),
        ]
    }

    #[test]
    fn a_beginning_is_remembered_and_forgotten() {
        let mut prefix = Prefix::default();
        assert_eq!(prefix.same("ISS-1", &[ObjectType::Issue]), None);
        prefix.parse("ISS-1", &[ObjectType::Issue]).unwrap();
        assert_eq!(prefix.same("ISS-23", &[ObjectType::Issue]).unwrap().tail, "23");
        assert_eq!(prefix.same("ISS-23", &[ObjectType::Group]), None);
        assert_eq!(prefix.same("ISS-", &[ObjectType::Issue]), None);
        let long = format!("don:core:{}:devo/X:issue/1", "x".repeat(LONGEST));
        prefix.parse(&long, &[ObjectType::Issue]).unwrap();
        assert_eq!(prefix.same("ISS-23", &[ObjectType::Issue]), None);
    }

    proptest! {
        #[test]
        fn whatever_came_before_an_id_is_the_same(texts in prop::collection::vec(id(), 1..20)) {
            for wanted in [&[ObjectType::Issue][..], USER_TYPES, &[ObjectType::Group]] {
                let mut prefix = Prefix::default();
                for text in &texts {
                    prop_assert_eq!(prefix.parse(text, wanted), Ref::parse(text, wanted).ok(), "{}", text);
                }
            }
        }
    }
}
