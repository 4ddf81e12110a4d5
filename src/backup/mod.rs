//! Backups of contacts: a merge cannot be undone, so what was there before is kept on disk, and can be proved
//! whole later.
//!
//! - [`layout`]: the folder of a backup, its files and what stands in them; [`name`]: file names of any text
//! - [`draft`]: a backup that is being made; [`writer`]: its files; [`messages`]: a timeline, entry by entry
//! - [`verify`]: whether a backup is whole
//! - [`space`]: how much room there is for more
//!
//! It knows files and the shape of DevRev's answers, and nothing of the client, of jobs or of the engine.

pub mod draft;
pub mod error;
pub mod layout;
pub mod messages;
pub mod name;
pub mod space;
pub mod verify;
pub mod writer;

#[cfg(test)]
mod sample;

pub use draft::{Draft, clear_partials};
pub use error::BackupError;
