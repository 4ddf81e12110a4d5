//! The kinds of input.

/// The kinds of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Issues whose creator group is to be filled in.
    Groups,
    /// Contacts of which duplicates are to be merged.
    Contacts,
}

impl Kind {
    /// The kind's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Groups => "groups",
            Self::Contacts => "contacts",
        }
    }

    /// What one row is about, in a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Groups => "issue",
            Self::Contacts => "contact",
        }
    }
}
