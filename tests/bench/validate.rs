//! `validate` beside a bare loop over the same records.

use super::Measure;
use super::program::run as run_program;
use super::world::World;
use std::time::{Duration, Instant};

fn bare_loop(path: &std::path::Path) -> Duration {
    let start = Instant::now();
    let mut reader = csv::Reader::from_path(path).unwrap();
    let (mut record, mut rows) = (csv::ByteRecord::new(), 0u64);
    while reader.read_byte_record(&mut record).unwrap() {
        rows += 1;
    }
    assert!(std::hint::black_box(rows) > 0);
    start.elapsed()
}

pub(crate) fn run() -> Vec<Measure> {
    let mut peaks = Vec::new();
    let mut share = 0.0;
    for rows in [1_000_000, 4_000_000] {
        let folder = tempfile::tempdir().unwrap();
        let csv = folder.path().join("issues.csv");
        World { rows, creators: 1000, others: 0, in_order: false }.write_csv(&csv);
        let best = |times: &mut dyn Iterator<Item = Duration>| times.min().unwrap().as_secs_f64();
        let bare = best(&mut (0..3).map(|_| bare_loop(&csv)));
        let mut peak = 0.0;
        let ours = best(&mut (0..3).map(|_| {
            let ran = run_program(folder.path(), None, &["validate", "--csv", "issues.csv"]);
            peak = f64::max(peak, ran.peak_mib);
            ran.took
        }));
        peaks.push(peak);
        if rows == 1_000_000 {
            share = bare / ours;
        }
    }
    vec![
        Measure::at_least(
            "validate, 1,000,000 shuffled rows: speed beside a bare ByteRecord loop",
            share,
            "",
            0.5,
            "at least 0.5",
        ),
        Measure::at_most(
            format!("validate: memory at 4,000,000 rows over that at 1,000,000 ({:.1} MiB)", peaks[0]),
            peaks[1] / peaks[0],
            "",
            1.25,
            "flat",
        ),
    ]
}
