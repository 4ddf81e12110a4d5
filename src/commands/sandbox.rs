//! `sandbox`: an in-memory DevRev for other processes.

use crate::cli;
use crate::exit::{Exit, Failure};
use crate::report::terminal::result;
use crate::sandbox::{Data, Options, Sandbox};
use serde_json::json;
use std::time::Duration;

/// Serves until the process is ended.
pub(crate) async fn run(args: cli::around::Sandbox, json: bool) -> Result<Exit, Failure> {
    let usage = |error: String| Failure::new(Exit::Usage, error);
    let data = args.data.as_deref().map_or_else(|| Ok(Data::demo()), Data::read);
    let data = data.map_err(|error| usage(error.to_string()))?;
    let mut merge = data.merge();
    if let Some(millis) = args.merge_delay {
        merge.delay = Duration::from_millis(millis);
    }
    merge.ends = args.merge_ends.unwrap_or(merge.ends);
    let options = Options {
        listen: args.listen,
        rate_limit: args.rate_limit,
        faults: args.fault,
        delay: (args.delay > 0).then(|| Duration::from_millis(args.delay)),
        merge: Some(merge),
        ..Options::new(data)
    };
    let sandbox = Sandbox::start(options).await.map_err(|error| usage(error.to_string()))?;
    let url = sandbox.base_url();
    let text = if json {
        json!({ "base_url": url }).to_string()
    } else {
        format!(
            "sandbox at {url} until Ctrl-C; it keeps nothing\n\
             in another terminal: DEVREV_BASE_URL={url} DEVREV_API_TOKEN=anything devrev-batch ..."
        )
    };
    result(&text).map_err(|error| Failure::new(Exit::Unexpected, error.to_string()).because(error))?;
    // Without a run there is nothing to save: the signals keep their usual meaning.
    std::future::pending::<()>().await;
    Ok(Exit::Ok)
}
