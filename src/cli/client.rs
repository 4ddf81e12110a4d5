//! The flags of every command that calls DevRev.

use clap::Args;

/// How to call DevRev.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "DevRev options")]
pub struct ClientFlags {
    /// Allow this many calls per period; 0: only DevRev's limit, auto: a share of it [default: 50; merges 45]
    #[arg(long, value_name = "N|auto")]
    pub rate_limit_calls: Option<String>,
    /// Set the period in seconds [default: 10; merges 60]
    #[arg(long, value_name = "SECONDS")]
    pub rate_limit_period: Option<String>,
    /// Retry a call that is safe to repeat this many times [default: 3]
    #[arg(long, value_name = "N")]
    pub max_retries: Option<String>,
}
