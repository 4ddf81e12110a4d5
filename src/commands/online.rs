//! stub
use crate::cli;
use crate::exit::{Exit, Failure};
/// x
pub async fn validate(_args: cli::Validate, _global: cli::Global) -> Result<Exit, Failure> {
    Ok(Exit::Ok)
}
