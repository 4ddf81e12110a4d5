//! devrev-batch: bulk changes in DevRev that an operator can trust.
//!
//! The path of a row, top to bottom; imports go one way (`docs/design.md` has the map):
//!
//! - [`source`]: rows come from a CSV file or a query of Snowflake, one by one ([`row`] is what every layer knows of them)
//! - [`jobs`]: what a row means: a typed item, a planned change, an applied change; a folder each, and a line in the
//!   [registry](jobs::registry)
//! - [`engine`]: batches, concurrency, stop conditions, interruption; events come out, nothing is printed
//! - [`journal`]: a run's folder on disk: what resume believes
//! - [`backup`]: what a contact was before a merge: folders on disk, and the proof that they are whole
//! - [`devrev`]: the typed client: pace, send, classify, retry; and the same without a way to write
//! - [`migrate`]: numbered files of SQL that make the tables of a database
//! - [`report`]: what operators see: progress, summary, result files
//! - [`sandbox`]: an in-memory DevRev, for rehearsals and for every test
//!
//! [`mod@run`] is the life of a run, whatever its job; [`commands`] has one file per subcommand; [`connectors`] opens the
//! sources that rows are queried from; [`cli`] is what was typed and [`settings`] what it means; [`net`] is what every
//! remote service needs, [`database`] what readers and writers of databases need. Small ones: [`exit`] (how a command ends), [`figures`] (what was counted), [`files`] (durable
//! files), [`monitor`] (what the process needs), [`stop`] (what ends every wait), [`kind`], [`finding`] and [`invisible`]
//! (what is said of inputs), [`spill`] (a sort that needs little memory).

#![allow(rustdoc::private_intra_doc_links, reason = "this is a program: readers of its docs read the source")]

pub mod backup;
pub mod cli;
pub(crate) mod commands;
pub(crate) mod connectors;
pub mod database;
pub(crate) mod devrev;
pub(crate) mod engine;
pub mod exit;
pub(crate) mod figures;
pub(crate) mod files;
pub(crate) mod finding;
pub(crate) mod invisible;
pub(crate) mod jobs;
pub mod journal;
pub(crate) mod kind;
#[cfg(any(feature = "sql", feature = "clickhouse"))]
pub(crate) mod migrate;
pub(crate) mod monitor;
pub(crate) mod net;
pub(crate) mod report;
pub(crate) mod row;
pub(crate) mod run;
pub mod sandbox;
pub(crate) mod settings;
pub mod source;
pub(crate) mod spill;
pub(crate) mod stop;

use cli::{Cli, Command};
use exit::{Exit, Failure};
use report::terminal::{self, Terminal};
use serde_json::json;

/// Runs a command. Whatever goes wrong is told here, once: on standard error, and with `--json` as the one
/// object on standard output too.
pub fn run(cli: Cli) -> Exit {
    let terminal = Terminal::new(cli.global.quiet);
    let json = cli.global.json;
    match dispatch(cli, &terminal) {
        Ok(exit) => exit,
        Err(failure) => {
            terminal.say(&format!("error: {failure}"));
            if json && !failure.told {
                let error = json!({ "error": failure.as_json() });
                // There is no better place left to say so.
                let _ = terminal::result(&error.to_string());
            }
            failure.exit
        }
    }
}

/// Shows what the command line's parser has to say: help and version on standard output, an error as [`run()`]
/// shows errors.
pub fn not_parsed(error: &clap::Error, json: bool) -> Exit {
    // There is no better place left to mention a standard stream that is gone.
    let _ = error.print();
    if !error.use_stderr() {
        return Exit::Ok;
    }
    if json {
        let failure = Failure::new(Exit::Usage, error.render().to_string().trim());
        let _ = terminal::result(&json!({ "error": failure.as_json() }).to_string());
    }
    Exit::Usage
}

fn dispatch(cli: Cli, terminal: &Terminal) -> Result<Exit, Failure> {
    report::logging::init(&cli.global, terminal)?;
    switch_off_core_dumps();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Unexpected, format!("cannot start: {error}")).because(error))?;
    let (global, terminal) = (cli.global, terminal.clone());
    let outcome = match cli.command {
        Command::Validate(args) => runtime.block_on(commands::validate::run(args, global, terminal)),
        Command::BackfillGroups(args) => {
            runtime.block_on(jobs::backfill_groups::command::run(args, global, terminal))
        }
        Command::MergeContacts(args) => {
            runtime.block_on(jobs::merge_contacts::command::run(args, global, terminal))
        }
        Command::Export(args) => runtime.block_on(jobs::export_objects::command::run(args, global, terminal)),
        Command::Update(args) => runtime.block_on(jobs::update_fields::command::run(args, global, terminal)),
        Command::Create(args) => {
            runtime.block_on(jobs::update_fields::command::create(args, global, terminal))
        }
        #[cfg(feature = "load")]
        Command::Load(args) => runtime.block_on(jobs::load_records::command::run(args, global, terminal)),
        Command::Resume(args) => runtime.block_on(commands::resume::run(args, global, terminal)),
        Command::Apply(args) => runtime.block_on(commands::apply::run(args, global, terminal)),
        Command::Undo(args) => runtime.block_on(commands::undo::run(args, global, terminal)),
        #[cfg(any(feature = "sql", feature = "clickhouse"))]
        Command::Migrate(args) => runtime.block_on(commands::migrate::run(args, global, terminal)),
        #[cfg(not(any(feature = "sql", feature = "clickhouse")))]
        Command::Migrate(_) => Err(Failure::new(
            Exit::Usage,
            "migrate: this build leaves out all databases; build it with --features sql,clickhouse",
        )),
        Command::Backups(args) => runtime.block_on(commands::backups::run(args, &global, terminal)),
        Command::Runs(args) => commands::runs::run(args, &global, &terminal, runtime.handle()),
        Command::Doctor(args) => runtime.block_on(commands::doctor::run(args, global)),
        Command::Sample(args) => runtime.block_on(commands::sample::run(args, global, terminal)),
        Command::Completions(args) => commands::shell::completions(&args, global.json),
        Command::Man(args) => commands::shell::man(args.dir.as_deref(), global.json),
        Command::Sandbox(args) => runtime.block_on(commands::sandbox::run(args, global.json)),
    };
    // The process ends now. A thread that still waits, for an answer on standard input or of a database, must neither keep it nor
    // find its timers gone, as it would once the runtime is shut down.
    std::mem::forget(runtime);
    outcome
}

/// A core dump would hold the token, and customers' data.
#[cfg(unix)]
fn switch_off_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!("cannot switch off core dumps, which would hold the token: {error}");
    }
}

#[cfg(not(unix))]
fn switch_off_core_dumps() {}
