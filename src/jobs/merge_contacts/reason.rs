//! Why rows are not a pair, and people must look at them.

/// What keeps the rows of a group from being merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Reason {
    /// A contact stands in two rows, whichever e-mail addresses these have and in whichever form its ID is
    /// written.
    SameContactTwice,
    /// A row is invalid, so that what it says cannot be gone by, and it may be meant to be part of a pair.
    InvalidRowInGroup,
    /// Three contacts or more have one address.
    MoreThanTwo,
    /// An external reference begins with neither prefix, or there is none.
    OtherPrefix,
    /// Both external references begin alike.
    TwoOfAKind,
    /// The contacts are of two organisations.
    DifferentOrganisations,
    /// The addresses are equal only as Unicode folds case: they may be two people's.
    EqualOnlyInUnicode,
}

impl Reason {
    /// The stable code, for machines.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::SameContactTwice => "same-contact-twice",
            Self::InvalidRowInGroup => "invalid-row-in-group",
            Self::MoreThanTwo => "more-than-two",
            Self::OtherPrefix => "other-prefix",
            Self::TwoOfAKind => "two-of-a-kind",
            Self::DifferentOrganisations => "different-organisations",
            Self::EqualOnlyInUnicode => "equal-only-in-unicode",
        }
    }

    /// The same for people.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::SameContactTwice => "a contact stands in more than one row",
            Self::InvalidRowInGroup => "a row that belongs with this one is invalid",
            Self::MoreThanTwo => "more than two contacts have this e-mail",
            Self::OtherPrefix => "an EXTERNAL_REF begins with neither REVU- nor user_",
            Self::TwoOfAKind => "both EXTERNAL_REFs begin alike; one must begin with REVU-, one with user_",
            Self::DifferentOrganisations => "the two contacts are of different organisations",
            Self::EqualOnlyInUnicode => {
                "the e-mails are the same only if letters outside ASCII are compared without case"
            }
        }
    }
}
