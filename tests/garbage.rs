//! Inputs that are none: whatever the bytes, no panic, and an exit code that says what is wrong.

use crate::support::org::HEADER;
use crate::support::{Fixture, Org};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};

/// Random bytes; every second lot with more of those that mean something in CSV.
fn noise(random: &mut StdRng, length: usize, meaningful: bool) -> Vec<u8> {
    let mut bytes = vec![0; length];
    random.fill_bytes(&mut bytes);
    if meaningful {
        let marks = b"\",\n\r\0\xff ISS-1DEVU";
        for byte in &mut bytes {
            *byte = marks[usize::from(*byte) % marks.len()];
        }
    }
    bytes
}

#[test]
fn no_input_makes_it_panic() {
    let fixture = Fixture::new(&Org::of(3));
    let mut random = StdRng::seed_from_u64(3);
    let header = HEADER.as_bytes();
    let mut inputs: Vec<Vec<u8>> = vec![
        vec![0; 3000],
        b"\"".repeat(4001),
        b"\"".repeat(4000),
        [header, &b"\"".repeat(5001)[..]].concat(),
        [header, &b",".repeat(100_000)[..]].concat(),
        [header, &b"\n".repeat(100_000)[..]].concat(),
        [header, b"ISS-1,DEVU-1,", &b"x".repeat(900_000)[..], b",\n"].concat(),
        [header, b"ISS-1,DEVU-1,", &b"x".repeat(1_200_000)[..], b",\n"].concat(),
        [
            header,
            b"ISS-99999999999999999999999,DEVU-1,GROUP-1,\nISS-0,DEVU-0,GROUP-0,\nISS--1,DEVU-,GROUP-1,\n",
        ]
        .concat(),
        [header, b"don:core:dvrv-us-1:devo/TEST:issue/,don:::,GROUP-1,\n\0,\0,\0,\0\n"].concat(),
        b"\xef\xbb\xbf".to_vec(),
        b"\r\r\r".to_vec(),
    ];
    for lot in 0..14 {
        let length = random.random_range(1..20_000);
        let bytes = noise(&mut random, length, lot % 2 == 0);
        inputs.push(if lot % 4 < 2 { bytes } else { [header, &bytes].concat() });
    }
    for (place, bytes) in inputs.iter().enumerate() {
        fixture.write("issues.csv", bytes);
        for command in [&["validate"][..], &["backfill-groups", "--yes", "--max-batch-failures", "1000000"]] {
            let ended = fixture.program(command).args(["--csv", "issues.csv", "--json"]).run();
            assert!(!ended.err.contains("panicked"), "input {place}: {}", ended.all());
            assert!(matches!(ended.code, Some(0 | 3 | 5)), "input {place}: {}", ended.all());
            ended.json();
        }
    }
    assert_eq!(fixture.writes(), 0);
    for run in fixture.runs() {
        run.assert_complete(run.manifest()["input"]["rows"].as_u64().unwrap());
    }
}
