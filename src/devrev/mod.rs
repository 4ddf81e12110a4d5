//! The typed DevRev client: IDs, one file an object, and what may be sent again.
//!
//! Read [`client`] first: every endpoint ([`operation`]) goes through it to the one generic call of [`crate::net::caller`]
//! (pace, send, classify, try again). [`claims`] is what a token says of itself.
//! [`read_only`] is the same client without a way to write: what a dry run holds.

pub(crate) mod any_object;
pub(crate) mod artifacts;
pub(crate) mod auth_tokens;
pub(crate) mod claims;
pub(crate) mod client;
pub(crate) mod conversations;
pub(crate) mod dev_users;
pub(crate) mod groups;
pub(crate) mod ids;
pub(crate) mod objects;
pub(crate) mod operation;
pub(crate) mod pages;
pub(crate) mod read_only;
pub(crate) mod rev_users;
pub(crate) mod schemas;
pub(crate) mod storage;
pub(crate) mod tags;
pub(crate) mod timeline;
pub(crate) mod users;
pub(crate) mod whole;
pub(crate) mod work_users;
pub(crate) mod works;
