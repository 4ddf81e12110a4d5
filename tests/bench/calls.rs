//! API calls, counted by the sandbox: the scarce thing under a rate limit.

use super::Measure;
use super::program::{Server, run as run_program};
use super::world::World;

pub(crate) fn run_one(world: &World, more: &[&str]) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    let (data, csv) = (folder.path().join("data.json"), folder.path().join("issues.csv"));
    world.write(&data, &csv);
    let server = Server::with(&data);
    let mut args = vec!["backfill-groups", "--csv", "issues.csv", "--rate-limit-calls", "0"];
    args.extend(more);
    let ran = run_program(folder.path(), Some(&server), &args);
    let state = if more.contains(&"--dry-run") { "planned" } else { "done" };
    assert_eq!(ran.summary["states"][state], world.rows, "{}", ran.summary);
    let stats = server.stats();
    assert_eq!(stats["writes"], if state == "done" { world.rows } else { 0 });
    (stats["total"].as_f64().unwrap() / world.rows as f64, stats["total"].as_f64().unwrap())
}

pub(crate) fn run() -> Vec<Measure> {
    let named = |rows, creators, in_order| World { rows, creators, others: 0, in_order };
    let mut measures = Vec::new();
    let cases = [
        ("1,000 rows of 50 creators, shuffled", named(1000, 50, false), 1.10, "at most 1.10"),
        ("1,000 rows of 300 creators, shuffled", named(1000, 300, false), 1.10, "at most 1.10"),
        ("1,000 rows of 300 creators, in order", named(1000, 300, true), 1.10, "at most 1.10"),
        ("10,000 rows of 300 creators, shuffled", named(10_000, 300, false), 1.05, "at most 1.05"),
        ("10,000 rows of 3,000 creators, shuffled", named(10_000, 3000, false), 1.05, "at most 1.05"),
        ("10,000 rows of 300 creators, in order", named(10_000, 300, true), 1.05, "at most 1.05"),
    ];
    for (what, world, most, wanted) in cases {
        let (per_row, _) = run_one(&world, &["--yes"]);
        measures.push(Measure::at_most(format!("calls a changed issue: {what}"), per_row, "", most, wanted));
    }
    for (others, creators) in [(1, 200), (20, 200), (100, 20)] {
        for in_order in [true, false] {
            let world = World { rows: 1000, creators, others, in_order };
            let (per_row, _) = run_one(&world, &["--yes"]);
            let order = if in_order { "in order" } else { "shuffled" };
            let what = format!(
                "calls a changed issue: 1,000 rows of {creators} creators with {others} more for each, {order}"
            );
            measures.push(Measure::at_most(what, per_row, "", 2.1, "at most 2.1"));
        }
    }
    let (per_row, _) = run_one(&named(1000, 50, false), &["--dry-run"]);
    measures.push(Measure::at_most("calls a row of a dry run, 1,000 rows", per_row, "", 0.1, "at most 0.1"));
    measures
}
