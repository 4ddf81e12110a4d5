//! The typed DevRev client: IDs, one file an object, and the one generic call.
//!
//! Read [`client`] first: every endpoint ([`operation`]) goes through its `call` (pace, send, classify, try again).
//! [`pacer`] says when a call may go out, [`queue`] which one goes next.
//! [`claims`] is what a token says of itself, [`heard`] what answers say beside their bodies.
//! [`read_only`] is the same client without a way to write: what a dry run holds.

pub mod artifacts;
pub mod auth_tokens;
pub mod claims;
pub mod client;
pub mod conversations;
pub mod dev_users;
pub mod groups;
pub mod ids;
pub mod operation;
pub mod pages;
pub mod read_only;
pub mod rev_users;
pub mod schemas;
pub mod storage;
pub mod timeline;
pub mod users;
pub mod whole;
pub mod work_users;
pub mod works;
