//! Confirmation: writing to a real DevRev asks first.

use crate::exit::{Exit, Failure};
use crate::report::terminal::Terminal;
use std::io::{self, IsTerminal};

/// Whether a question could be put to a person, and whether one is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// Nothing real is written, or `--yes` was given.
    NotNeeded,
    /// A person is asked.
    Ask,
}

impl Confirmation {
    /// Decides before anything else happens: off a terminal and without `--yes`, a run that writes to a
    /// real DevRev does not begin.
    pub fn needed(writes: bool, sandbox: bool, yes: bool) -> Result<Self, Failure> {
        if !writes || sandbox || yes {
            return Ok(Self::NotNeeded);
        }
        if io::stdin().is_terminal() && io::stderr().is_terminal() {
            return Ok(Self::Ask);
        }
        let text = "nothing was written: this changes a real DevRev and there is no terminal to ask on; give --yes \
                    to go on without asking, or --dry-run to look first";
        Err(Failure::new(Exit::NotConfirmed, text))
    }

    /// Asks, if need be. Only `y` and `yes` go on.
    pub fn obtain(self, terminal: &Terminal, what: &str) -> Result<(), Failure> {
        if self == Self::NotNeeded {
            return Ok(());
        }
        let declined = || Failure::new(Exit::NotConfirmed, "nothing was written: not confirmed");
        let answer = terminal.ask(&format!("{what}\nGo on? [y/N]")).ok().flatten().ok_or_else(declined)?;
        if ["y", "yes"].contains(&answer.to_lowercase().as_str()) { Ok(()) } else { Err(declined()) }
    }
}
