//! The kinds of input.

/// The kinds of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Issues and their creators, for backfill-groups
    Groups,
    /// Contacts, for merge-contacts
    Contacts,
    /// Fields of objects, for update: with --object
    Update,
}

impl Kind {
    /// The kind's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Groups => "groups",
            Self::Contacts => "contacts",
            Self::Update => "update",
        }
    }

    /// The command that takes rows of this kind.
    pub fn command(self) -> &'static str {
        match self {
            Self::Groups => "backfill-groups",
            Self::Contacts => "merge-contacts",
            Self::Update => "update",
        }
    }

    /// What one row is about, in a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Groups => "issue",
            Self::Contacts => "contact",
            Self::Update => "object",
        }
    }
}
