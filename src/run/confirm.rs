//! Confirmation: writing to a real DevRev asks first.

use crate::exit::{Exit, Failure};
use crate::report::terminal::Terminal;
use std::io::{self, IsTerminal};

/// A name that has to be typed, which nobody does by habit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Typed<'a> {
    /// Whose name, such as `organisation`.
    pub of: &'static str,
    /// The name.
    pub name: &'a str,
}

/// Whether a question could be put to a person, and whether one is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Confirmation {
    /// Nothing real is written, or `--yes` was given.
    NotNeeded,
    /// A person is asked.
    Ask,
}

impl Confirmation {
    /// Decides before anything else happens: off a terminal and without `--yes`, a run that writes to a
    /// real DevRev does not begin.
    pub(crate) fn needed(writes: bool, sandbox: bool, yes: bool) -> Result<Self, Failure> {
        if !writes || sandbox || yes {
            return Ok(Self::NotNeeded);
        }
        if io::stdin().is_terminal() && io::stderr().is_terminal() {
            return Ok(Self::Ask);
        }
        let text = "nothing was written: this writes to a real target and there is no terminal to ask on; use --yes \
                    to continue without asking, or --dry-run to look first";
        Err(Failure::new(Exit::NotConfirmed, text))
    }

    /// Asks, if need be: `y` or `yes` continues, or only a name where it has to be `typed`.
    pub(crate) fn obtain(
        self,
        terminal: &Terminal,
        what: &str,
        typed: Option<Typed<'_>>,
    ) -> Result<(), Failure> {
        if self == Self::NotNeeded {
            return Ok(());
        }
        let question = match typed {
            Some(Typed { of, name }) => format!("{what}\nType the {of}'s name, {name}, to continue:"),
            None => format!("{what}\nContinue? [y/N]"),
        };
        let answer = terminal.ask(&question).ok().flatten().unwrap_or_default();
        let confirmed = match typed {
            Some(Typed { name, .. }) => answer == name,
            None => ["y", "yes"].contains(&answer.to_lowercase().as_str()),
        };
        if confirmed {
            return Ok(());
        }
        let why = match typed {
            Some(Typed { of, name }) if !answer.is_empty() => {
                format!("not confirmed: the {of}'s name is {name}")
            }
            _ => "not confirmed".to_owned(),
        };
        Err(Failure::new(Exit::NotConfirmed, format!("nothing was written: {why}")))
    }
}
