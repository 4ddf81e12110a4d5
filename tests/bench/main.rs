//! `cargo bench`: what the tool has to reach, measured on the real binary against the sandbox in another
//! process. Prints one table. `cargo bench -- calls pace speed validate merge update load` runs parts of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss
)]

mod calls;
mod load;
mod merge;
mod pace;
mod program;
mod speed;
mod update;
mod validate;
mod world;

/// A line of the table.
struct Measure {
    what: String,
    measured: String,
    wanted: &'static str,
    reached: bool,
}

impl Measure {
    fn at_most(what: impl Into<String>, value: f64, unit: &str, most: f64, wanted: &'static str) -> Self {
        Self { what: what.into(), measured: format!("{value:.3}{unit}"), wanted, reached: value <= most }
    }

    fn at_least(what: impl Into<String>, value: f64, unit: &str, least: f64, wanted: &'static str) -> Self {
        Self { what: what.into(), measured: format!("{value:.3}{unit}"), wanted, reached: value >= least }
    }
}

/// A part of the benchmark.
type Part = (&'static str, fn() -> Vec<Measure>);

fn main() -> std::process::ExitCode {
    // cargo passes flags of its own (`--bench`).
    let parts: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let all: [Part; 7] = [
        ("calls", calls::run),
        ("pace", pace::run),
        ("validate", validate::run),
        ("speed", speed::run),
        ("merge", merge::run),
        ("update", update::run),
        ("load", load::run),
    ];
    let mut measures = Vec::new();
    for (name, run) in all {
        if parts.is_empty() || parts.iter().any(|part| part == name) {
            eprintln!("{name} ...");
            measures.extend(run());
        }
    }
    println!("| what | measured | wanted | |\n|---|---|---|---|");
    for Measure { what, measured, wanted, reached } in &measures {
        println!("| {what} | {measured} | {wanted} | {} |", if *reached { "yes" } else { "**NO**" });
    }
    u8::from(measures.iter().any(|measure| !measure.reached)).into()
}
