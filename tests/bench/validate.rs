//! `validate` beside a bare loop over the same records.

use super::Measure;
use super::program::run as run_program;
use super::world::World;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

const MANY: u64 = 1_000_000;

fn bare_loop(path: &Path) -> Duration {
    let start = Instant::now();
    let mut reader = csv::Reader::from_path(path).unwrap();
    let (mut record, mut rows) = (csv::ByteRecord::new(), 0u64);
    while reader.read_byte_record(&mut record).unwrap() {
        rows += 1;
    }
    assert!(std::hint::black_box(rows) > 0);
    start.elapsed()
}

/// An input that is not the sandbox's: DON IDs, or contacts; shuffled.
fn write_other(csv: &Path, header: &str, line: impl Fn(u64) -> String) {
    let mut out = BufWriter::new(File::create(csv).unwrap());
    writeln!(out, "{header}").unwrap();
    for row in 0..MANY {
        writeln!(out, "{}", line((row * 7_368_787 + 13) % MANY + 1)).unwrap();
    }
    out.flush().unwrap();
}

fn don(n: u64) -> String {
    let org = "dvrv-us-1:devo/BENCH";
    format!(
        "don:core:{org}:issue/{n},don:identity:{org}:devu/{},don:identity:{org}:group/{},",
        n % 997,
        n % 20
    )
}

fn contact(n: u64) -> String {
    format!(
        "REVU-{:x},Person {n},person{n}@example.com,user_{n},Person Number {n},2024-05-{:02} 12:34:56.123 +0000,\
         2025-05-01T10:00:00Z,{}",
        n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20,
        n % 28 + 1,
        n % 50
    )
}

/// The best of a few runs of each, one after the other, so that a busy machine is busy for both. Returns the
/// speed of `validate` beside the bare loop's, and its memory.
fn measure(csv: &Path) -> (f64, f64) {
    let (folder, name) = (csv.parent().unwrap(), csv.file_name().unwrap().to_str().unwrap());
    let (mut bare, mut ours, mut peak) = (Duration::MAX, Duration::MAX, 0.0);
    for _ in 0..5 {
        bare = bare.min(bare_loop(csv));
        let ran = run_program(folder, None, &["validate", "--csv", name]);
        ours = ours.min(ran.took);
        peak = f64::max(peak, ran.peak_mib);
    }
    (bare.as_secs_f64() / ours.as_secs_f64(), peak)
}

fn share(what: &str, share: f64) -> Measure {
    let what = format!("validate, 1,000,000 {what}: speed beside a bare ByteRecord loop");
    Measure::at_least(what, share, "", 0.5, "at least 0.5")
}

pub(crate) fn run() -> Vec<Measure> {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("input.csv");
    let issues = |rows| World { rows, creators: 1000, others: 0, in_order: false }.write_csv(&csv);
    issues(MANY);
    let (of_issues, few) = measure(&csv);
    issues(4 * MANY);
    let (_, many) = measure(&csv);
    write_other(&csv, "issue_id,creator_user_id,assigned_group,creator_group", don);
    let (of_dons, _) = measure(&csv);
    let header = "REV_USER_ID,DISPLAY_NAME,EMAIL,EXTERNAL_REF,FULL_NAME,CREATED_AT,UPDATED_AT,TICKET_COUNT";
    write_other(&csv, header, contact);
    let (of_contacts, _) = measure(&csv);
    vec![
        share("shuffled rows", of_issues),
        share("shuffled rows with DON IDs", of_dons),
        share("shuffled contacts", of_contacts),
        Measure::at_most(
            format!("validate: memory at 4,000,000 rows over that at 1,000,000 ({few:.1} MiB)"),
            many / few,
            "",
            1.25,
            "flat",
        ),
    ]
}
