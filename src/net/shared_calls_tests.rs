//! The file of recent calls: what of it counts, whatever stands in it.

use super::*;
use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;

const NOW: u64 = 1_795_319_100_000;

fn rate() -> Rate {
    Rate { calls: NonZeroU32::new(5).unwrap(), period: Duration::from_secs(10) }
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache").join("calls");
    (folder, path)
}

/// Makes so many calls at a time; the last turn that was not a call, if there was one.
fn calls(shared: &mut SharedCalls, now: u64, count: usize) -> Option<Turn> {
    for own in 0..count {
        match shared.enter(now, rate(), own).unwrap() {
            Turn::Go(entry) => shared.leave(entry, Left::Sent, now).unwrap(),
            other => return Some(other),
        }
    }
    None
}

fn is_full_until(turn: Option<&Turn>, until: u64) {
    assert!(matches!(turn, Some(Turn::Full(then)) if then.abs_diff(until) <= 2), "{turn:?}, {until}");
}

#[test]
fn calls_of_others_count_for_a_period() {
    let (_folder, path) = file();
    let mut one = SharedCalls::open(&path).unwrap();
    assert!(calls(&mut one, NOW, 3).is_none());
    let mut other = SharedCalls::open(&path).unwrap();
    assert!(calls(&mut other, NOW + 1000, 2).is_none());
    is_full_until(Some(&other.enter(NOW + 1000, rate(), 2).unwrap()), NOW + 10_000);
    is_full_until(calls(&mut SharedCalls::open(&path).unwrap(), NOW + 9_000, 1).as_ref(), NOW + 10_000);
    assert!(calls(&mut SharedCalls::open(&path).unwrap(), NOW + 10_010, 3).is_none());
}

#[test]
fn a_call_that_was_not_sent_does_not_count() {
    let (_folder, path) = file();
    let mut one = SharedCalls::open(&path).unwrap();
    for _ in 0..9 {
        let Turn::Go(entry) = one.enter(NOW, rate(), 0).unwrap() else { panic!("full") };
        one.leave(entry, Left::Unsent, NOW).unwrap();
    }
    assert!(calls(&mut SharedCalls::open(&path).unwrap(), NOW, 5).is_none());
}

#[test]
fn garbage_is_a_full_window_and_mended() {
    let (_folder, path) = file();
    drop(SharedCalls::open(&path).unwrap());
    let mut good = Vec::new();
    calls(&mut SharedCalls::open(&path).unwrap(), NOW, 1);
    good.extend(fs::read(&path).unwrap());
    let other_format = {
        let mut bytes = good.clone();
        bytes[26] = b'2';
        bytes
    };
    let longer = [&good[..], b"x"].concat();
    for garbage in [b"x".to_vec(), good[..good.len() - 1].to_vec(), longer, other_format, vec![0; good.len()]]
    {
        fs::write(&path, &garbage).unwrap();
        let mut shared = SharedCalls::open(&path).unwrap();
        is_full_until(calls(&mut shared, NOW, 1).as_ref(), NOW + 10_000);
        is_full_until(calls(&mut shared, NOW + 9_000, 1).as_ref(), NOW + 10_000);
        assert!(calls(&mut shared, NOW + 10_010, 5).is_none());
    }
    // Any numbers in the slots: a wait of one window, and no panic.
    let mut odd = good.clone();
    odd[SLOT..].fill(0xff);
    fs::write(&path, &odd).unwrap();
    let mut shared = SharedCalls::open(&path).unwrap();
    is_full_until(calls(&mut shared, NOW, 1).as_ref(), NOW + 10_000);
    let later = NOW + LONGEST_TRIP + 10_010;
    assert!(calls(&mut shared, later, 5).is_none());
}

#[test]
fn a_clock_that_was_set_back_costs_one_window() {
    let (_folder, path) = file();
    calls(&mut SharedCalls::open(&path).unwrap(), NOW, 5);
    let hour_ago = NOW - 3_600_000;
    let mut shared = SharedCalls::open(&path).unwrap();
    is_full_until(calls(&mut shared, hour_ago, 1).as_ref(), hour_ago + 10_000);
    is_full_until(calls(&mut shared, hour_ago + 5_000, 1).as_ref(), hour_ago + 10_000);
    assert!(calls(&mut shared, hour_ago + 10_010, 5).is_none());
}

#[test]
fn what_the_slots_cannot_hold_is_a_full_window() {
    let (_folder, path) = file();
    let many = Rate { calls: NonZeroU32::new(1_000_000).unwrap(), period: Duration::from_secs(10) };
    let mut others: Vec<_> = (0..SLOTS).map(|_| SharedCalls::open(&path).unwrap()).collect();
    for (number, other) in others.iter_mut().enumerate() {
        let Turn::Go(entry) = other.enter(NOW + number as u64, many, 0).unwrap() else { panic!("full") };
        other.leave(entry, Left::Sent, NOW + number as u64).unwrap();
    }
    let mut shared = SharedCalls::open(&path).unwrap();
    is_full_until(Some(&shared.enter(NOW + 600, many, 0).unwrap()), NOW + 10_000);
    assert!(matches!(shared.enter(NOW + 10_010, many, 0).unwrap(), Turn::Go(_)));
}

#[test]
fn a_locked_file_is_busy_and_ends_are_written_later() {
    let (_folder, path) = file();
    let mut shared = SharedCalls::open(&path).unwrap();
    let Turn::Go(entry) = shared.enter(NOW, rate(), 0).unwrap() else { panic!("full") };
    let lock = File::open(&path).unwrap();
    lock.lock().unwrap();
    assert!(matches!(shared.enter(NOW, rate(), 1).unwrap(), Turn::Busy));
    shared.leave(entry, Left::Sent, NOW + 20).unwrap();
    drop(lock);
    let in_flight =
        || SharedCalls::open(&path).unwrap().slots(NOW).unwrap().iter().map(|slot| slot.in_flight).sum();
    let before: u32 = in_flight();
    drop(shared);
    assert_eq!((before, in_flight()), (1, 0));
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = file();
    drop(SharedCalls::open(&path).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}
