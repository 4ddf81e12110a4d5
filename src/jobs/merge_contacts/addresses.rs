//! Which addresses are part of a run: `--filter-email` and `--exclude-email`, each given as addresses or as patterns
//! such as `*@example.com` and `test*`. `*` stands for any characters, none included.
//!
//! Both contacts of a pair have one address, so that a pair is in the run, or out of it, as a whole.

use super::pair::folded;
use std::collections::HashMap;

/// What is asked for and what is left out, compared as addresses are.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// Addresses without a `*`, and whether a row has them.
    wanted: HashMap<String, bool>,
    wanted_patterns: Vec<(String, bool)>,
    unwanted: Vec<String>,
}

impl Addresses {
    /// Takes what was given; without `wanted`, every address is.
    pub(super) fn new(wanted: &[String], unwanted: &[String]) -> Self {
        let (patterns, exact): (Vec<_>, Vec<_>) =
            wanted.iter().map(|text| folded(text)).partition(|text| text.contains('*'));
        Self {
            wanted: exact.into_iter().map(|text| (text, false)).collect(),
            wanted_patterns: patterns.into_iter().map(|pattern| (pattern, false)).collect(),
            unwanted: unwanted.iter().map(|text| folded(text)).collect(),
        }
    }

    /// Whether a row without an address is part of the run.
    pub(super) fn take_none(&self) -> bool {
        self.wanted.is_empty() && self.wanted_patterns.is_empty()
    }

    /// Whether a row with this address, [`folded`], is part of the run.
    pub(super) fn take(&mut self, address: &str) -> bool {
        let mut taken = self.take_none();
        if let Some(seen) = self.wanted.get_mut(address) {
            (*seen, taken) = (true, true);
        }
        for (pattern, seen) in &mut self.wanted_patterns {
            if matches(pattern, address) {
                (*seen, taken) = (true, true);
            }
        }
        taken && !self.unwanted.iter().any(|pattern| matches(pattern, address))
    }

    /// Whether no row has what this, as it was given, asks for.
    pub(super) fn is_unmatched(&self, given: &str) -> bool {
        let given = folded(given);
        let of_pattern = || self.wanted_patterns.iter().find(|(pattern, _)| *pattern == given);
        self.wanted.get(&given).copied().or_else(|| Some(of_pattern()?.1)) == Some(false)
    }
}

/// Whether a text fits a pattern in which `*` stands for any characters. The time is that of both lengths multiplied
/// at worst, however many `*` there are.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        // The first place is as good as any later one: what follows then has the most room.
        match rest.find(part).and_then(|at| rest.get(at + part.len()..)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_fit_whole_addresses() {
        for (pattern, address, fits) in [
            ("*@example.com", "ann@example.com", true),
            ("*@example.com", "ann@example.com.evil.org", false),
            ("*@example.com", "ann@sub.example.com", false),
            ("test*", "test1@x.io", true),
            ("test*", "mytest@x.io", false),
            ("*test*", "mytest@x.io", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "acb", false),
            ("ab*b", "ab", false),
            ("a*", "a", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a?c@x.io", "abc@x.io", false),
            ("[ab]@x.io", "a@x.io", false),
        ] {
            assert_eq!(matches(pattern, address), fits, "{pattern} {address}");
        }
    }

    #[test]
    fn what_is_left_out_is_left_out_of_what_is_asked_for() {
        let all = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut both = Addresses::new(&all(&["*@X.io", "bo@y.io", "no@z.io", "*@z.io"]), &all(&["Test*"]));
        for (address, taken) in
            [("ann@x.io", true), ("test@x.io", false), ("bo@y.io", true), ("eva@y.io", false)]
        {
            assert_eq!(both.take(address), taken, "{address}");
        }
        let unmatched = ["*@X.io", "bo@y.io", "no@z.io", "*@z.io"].map(|given| both.is_unmatched(given));
        assert_eq!((unmatched, both.take_none()), ([false, false, true, true], false));
        let mut but = Addresses::new(&[], &all(&["test*"]));
        assert!(but.take_none() && but.take("ann@x.io") && !but.take("test@x.io"));
    }

    /// The plainest way to say the same.
    fn model(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => (0..=text.len()).any(|at| model(rest, &text[at..])),
            (Some((one, pattern)), Some((other, text))) => one == other && model(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn as_the_plainest_way_says(pattern in "[ab*]{0,7}", text in "[ab]{0,7}") {
            prop_assert_eq!(matches(&pattern, &text), model(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
