//! What every command takes that calls DevRev.

use clap::Args;

/// How the client works.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The client")]
pub struct ClientFlags {
    /// Calls in any period; 0 for no limit but DevRev's own, auto for a share of what DevRev allows [default: 50, for merges 45]
    #[arg(long, value_name = "N|auto")]
    pub rate_limit_calls: Option<String>,
    /// The period in seconds [default: 10, for merges 60]
    #[arg(long, value_name = "SECONDS")]
    pub rate_limit_period: Option<String>,
    /// Tries after the first, for calls that may be repeated [default: 3]
    #[arg(long, value_name = "N")]
    pub max_retries: Option<String>,
}
