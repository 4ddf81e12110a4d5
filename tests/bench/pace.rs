//! Under a limit: never too many calls in any window, and hardly fewer than allowed.

use super::Measure;
use super::program::{Server, run as run_program};
use super::world::World;

pub(crate) fn run() -> Vec<Measure> {
    let mut measures = Vec::new();
    // The last is 45 in 60 s at a tenth of the time.
    for (calls, seconds, rows) in [(50u64, 10u64, 150u64), (200, 1, 2000), (1000, 10, 3000), (45, 6, 105)] {
        let folder = tempfile::tempdir().unwrap();
        let (data, csv) = (folder.path().join("data.json"), folder.path().join("issues.csv"));
        World { rows, creators: 10, others: 0, in_order: true }.write(&data, &csv);
        let limit = format!("{calls}/{seconds}");
        let server = Server::start(&data, &["--listen", "127.0.0.1:0", "--rate-limit", &limit]);
        let (calls_text, seconds_text) = (calls.to_string(), seconds.to_string());
        let args = [
            "backfill-groups",
            "--csv",
            "issues.csv",
            "--yes",
            "--rate-limit-calls",
            &calls_text,
            "--rate-limit-period",
            &seconds_text,
        ];
        run_program(folder.path(), Some(&server), &args);
        let stats = server.stats();
        let number = |name: &str| stats[name].as_f64().unwrap();
        let elapsed = (number("last_call") - number("first_call")) / 1000.0;
        // The calls of one window go at once, then the next has to begin.
        let windows = ((number("total") - 1.0) / calls as f64).floor();
        let least = windows * seconds as f64;
        let used = (number("total") - 1.0) / elapsed / (calls as f64 / seconds as f64);
        let limit = format!("{calls} calls in {seconds} s");
        measures.push(Measure::at_most(
            format!("{limit}: most calls in any window"),
            number("peak"),
            "",
            calls as f64,
            "at most the limit",
        ));
        measures.push(Measure::at_least(format!("{limit}: share used"), used, "", 0.95, "at least 0.95"));
        measures.push(Measure::at_most(
            format!("{limit}: {} calls take {elapsed:.1} s, {least:.0} s is the least", number("total")),
            elapsed / least,
            "",
            1.05,
            "at most 1.05",
        ));
        measures.push(Measure::at_most(format!("{limit}: 429s"), number("throttled"), "", 0.0, "none"));
    }
    measures
}
