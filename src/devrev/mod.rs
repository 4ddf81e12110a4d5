//! The typed DevRev client: IDs, one file an object, and the one generic call.
//!
//! Read [`client`] first: every endpoint ([`operation`]) goes through its `call` (pace, send, classify, try again).
//! [`pacer`] says when a call may go out, [`queue`] which one goes next.
//! [`claims`] is what a token says of itself, [`heard`] what answers say beside their bodies.
//! [`read_only`] is the same client without a way to write: what a dry run holds.

mod answer;
pub mod artifacts;
pub mod auth_tokens;
pub mod auto_rate;
pub mod breaker;
mod calls;
pub mod claims;
pub mod client;
pub mod conversations;
pub mod dev_users;
pub mod error;
pub mod groups;
pub mod heard;
pub mod ids;
mod lenient;
mod message;
pub mod meter;
pub mod operation;
pub mod pacer;
pub mod pages;
pub mod queue;
pub mod rate;
pub mod read_only;
mod retry;
pub mod rev_users;
pub mod schemas;
mod shared_calls;
mod spread;
pub mod storage;
mod throttle;
pub mod timeline;
pub mod transport;
pub mod users;
pub mod whole;
pub mod work_users;
pub mod works;

pub use retry::RetryPolicy;
