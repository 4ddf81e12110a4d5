//! Merges duplicate contacts: of two with one e-mail address, of which one came from DevRev (`REVU-`) and one
//! from the product (`user_`), one is kept.
//!
//! - [`pair`]: the two contacts, and what makes them a pair
//! - [`gather`]: one pass over the input that notes each contact in a few bytes
//! - [`pairing`]: from the notes to pairs, to contacts without a duplicate, and to what people must look at
//! - [`reason`]: why people must
//! - [`kept`]: half of a pair, kept in few bytes until the other half is read

pub mod gather;
mod groups;
pub mod kept;
pub mod pair;
pub mod pairing;
pub mod reason;

#[cfg(test)]
pub(crate) mod inputs;
