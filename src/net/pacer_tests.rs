//! The pacer under a paused clock: no window over the limit, whatever the calls do.

use super::*;
use proptest::prelude::*;
use std::num::NonZeroU32;

fn rate(calls: u32, period: Duration) -> Rate {
    Rate { calls: NonZeroU32::new(calls).unwrap(), period }
}

const SECOND: Duration = Duration::from_secs(1);

fn pacer(rate: Option<Rate>) -> Pacer {
    Pacer::new(&PaceSettings { rate, ..PaceSettings::default() }, SECOND, Stop::default())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Lets callers come at these times after one another, each call taking so long to arrive and so long
/// to be answered (all in milliseconds), and returns when each arrived.
fn arrivals(rate: Rate, calls: &[(u64, u64, u64)]) -> Vec<Duration> {
    runtime().block_on(async {
        let pacer = Arc::new(pacer(Some(rate)));
        let start = Instant::now();
        let mut callers = Vec::new();
        for (gap, there, back) in calls.iter().copied() {
            tokio::time::sleep(Duration::from_millis(gap)).await;
            let pacer = pacer.clone();
            callers.push(tokio::spawn(async move {
                let _permit = pacer.permit(Urgency::Normal).await.unwrap();
                tokio::time::sleep(Duration::from_millis(there)).await;
                let arrived = start.elapsed();
                tokio::time::sleep(Duration::from_millis(back)).await;
                arrived
            }));
        }
        let mut times = Vec::new();
        for caller in callers {
            times.push(caller.await.unwrap());
        }
        times.sort();
        times
    })
}

fn most_in_a_window(times: &[Duration], period: Duration) -> usize {
    let within = |i: usize| times[i..].iter().take_while(|t| **t < times[i] + period).count();
    (0..times.len()).map(within).max().unwrap_or(0)
}

fn often_nothing(most: u64) -> impl Strategy<Value = u64> {
    prop_oneof![4 => Just(0u64), 1 => 0..most]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_window_sees_more_than_the_limit_however_long_calls_travel(
        calls in 1u32..400,
        period_ms in 200u64..20_000,
        callers in proptest::collection::vec((often_nothing(3000), often_nothing(500), often_nothing(500)), 1..900),
    ) {
        let period = Duration::from_millis(period_ms);
        let times = arrivals(rate(calls, period), &callers);
        prop_assert_eq!(times.len(), callers.len());
        prop_assert!(most_in_a_window(&times, period) <= calls as usize);
    }
}

#[test]
fn at_least_95_percent_of_the_rate_is_used() {
    for (calls, seconds) in [(1, 1), (10, 10), (45, 60), (50, 10), (1000, 10), (2000, 10)] {
        let period = Duration::from_secs(seconds);
        let n = calls * 5;
        let times = arrivals(rate(calls, period), &vec![(0, 1, 1); n as usize + 1]);
        let used = f64::from(n) / times[n as usize].as_secs_f64() / (f64::from(calls) / period.as_secs_f64());
        assert!(used >= 0.95, "{calls} in {seconds} s: {used}");
    }
}

#[test]
fn a_short_run_waits_for_nothing_and_a_longer_one_for_whole_windows() {
    for (calls, seconds) in [(1, 0), (45, 0), (46, 60), (90, 60), (123, 120)] {
        let times = arrivals(rate(45, 60 * SECOND), &vec![(0, 0, 0); calls]);
        assert_eq!(times.last().unwrap().as_secs(), seconds, "{calls} calls");
        assert!(most_in_a_window(&times, 60 * SECOND) <= 45);
    }
}

#[test]
fn a_call_that_was_not_sent_does_not_count() {
    runtime().block_on(async {
        let pacer = pacer(Some(rate(1, 60 * SECOND)));
        let start = Instant::now();
        for _ in 0..5 {
            pacer.permit(Urgency::Normal).await.unwrap().unsent();
        }
        drop(pacer.permit(Urgency::Normal).await.unwrap());
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(pacer.permit(Urgency::Normal).await.unwrap());
        assert!(start.elapsed() >= 60 * SECOND);
    });
}

#[test]
fn after_a_429_one_call_goes_first_and_the_others_follow() {
    runtime().block_on(async {
        let pacer = Arc::new(pacer(None));
        let start = Instant::now();
        let side_by_side =
            [pacer.permit(Urgency::Normal).await.unwrap(), pacer.permit(Urgency::Normal).await.unwrap()];
        for permit in side_by_side {
            assert_eq!(permit.refused(0, None).wait, SECOND);
        }
        let first = pacer.permit(Urgency::Normal).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 1);
        let second = tokio::spawn({
            let pacer = pacer.clone();
            async move { pacer.permit(Urgency::Normal).await.map(drop).map(|()| Instant::now()) }
        });
        tokio::time::sleep(5 * SECOND).await;
        assert!(!second.is_finished(), "one goes first");
        assert_eq!(first.refused(0, None).wait, 2 * SECOND);
        drop(first);
        assert_eq!((second.await.unwrap().unwrap() - start).as_secs(), 8, "the next one goes first");
        let third = pacer.permit(Urgency::Normal).await.unwrap();
        third.taken();
        drop(third);
        let _both =
            (pacer.permit(Urgency::Normal).await.unwrap(), pacer.permit(Urgency::Normal).await.unwrap());
        assert_eq!(start.elapsed().as_secs(), 8);
    });
}

#[test]
fn after_a_429_calls_are_spread_for_a_period() {
    runtime().block_on(async {
        let pacer = pacer(Some(rate(10, 10 * SECOND)));
        let start = Instant::now();
        pacer.permit(Urgency::Normal).await.unwrap().refused(0, Some(3 * SECOND));
        let mut at = Vec::new();
        for _ in 0..5 {
            let permit = pacer.permit(Urgency::Normal).await.unwrap();
            permit.taken();
            at.push(start.elapsed().as_secs());
        }
        assert_eq!(at, [3, 4, 5, 6, 7]);
        tokio::time::sleep(20 * SECOND).await;
        let again = Instant::now();
        for _ in 0..10 {
            drop(pacer.permit(Urgency::Normal).await.unwrap());
        }
        assert_eq!(again.elapsed(), Duration::ZERO, "later they go out at once again");
    });
}

#[test]
fn a_wait_of_hours_is_not_waited_for() {
    runtime().block_on(async {
        let pacer = pacer(None);
        let day = 86_400 * SECOND;
        pacer.permit(Urgency::Normal).await.unwrap().refused(0, Some(day));
        assert_eq!(pacer.permit(Urgency::Normal).await.err(), Some(Held::Closed(day)));
        assert_eq!(pacer.closed_for(), Some(day));
    });
}

#[test]
fn auto_keeps_the_default_until_it_has_seen_the_servers_limit() {
    runtime().block_on(async {
        let settings =
            PaceSettings { rate: Some(rate(50, 10 * SECOND)), share: Some(0.8), ..PaceSettings::default() };
        let pacer = Pacer::new(&settings, SECOND, Stop::default());
        let headers = |remaining, seconds| RateHeaders {
            limit: Some(1000),
            remaining: Some(remaining),
            resets_in: Some(seconds * SECOND),
        };
        pacer.heed(RateHeaders::default());
        assert_eq!(pacer.rate(), Some(rate(50, 10 * SECOND)));
        pacer.heed(headers(999, 300));
        assert_eq!(pacer.rate(), Some(rate(800, 300 * SECOND)));
        assert_eq!(pacer.closed_for(), None);
        // What others have used counts: their share is left to them.
        pacer.heed(headers(200, 17));
        assert_eq!(pacer.closed_for(), Some(17 * SECOND));
    });
}

#[test]
fn the_time_until_the_next_call_is_known() {
    runtime().block_on(async {
        let pacer = Arc::new(pacer(Some(rate(1, 60 * SECOND))));
        drop(pacer.permit(Urgency::Normal).await.unwrap());
        assert_eq!(pacer.next_call_in(), None, "nobody waits");
        let waiting = pacer.clone();
        let waiting = tokio::spawn(async move { waiting.permit(Urgency::Normal).await.map(drop) });
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!(pacer.next_call_in().unwrap().as_secs(), 50);
        waiting.await.unwrap().unwrap();
        assert_eq!(pacer.next_call_in(), None);
    });
}

/// A process with this rate that shares its calls.
fn process(file: &std::path::Path, rate: Rate) -> Pacer {
    let recent_calls = vec![file.to_owned()];
    let settings = PaceSettings { rate: Some(rate), share: None, recent_calls };
    Pacer::new(&settings, SECOND, Stop::default())
}

#[test]
fn processes_with_one_token_keep_the_limit_together() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls");
    runtime().block_on(async {
        let (one, other) = (rate(45, 60 * SECOND), rate(20, 10 * SECOND));
        let processes = [process(&file, one), process(&file, one), process(&file, other)].map(Arc::new);
        let start = Instant::now();
        let mut callers = Vec::new();
        for n in 0..240 {
            let pacer = processes[n % 3].clone();
            callers.push(tokio::spawn(async move {
                let permit = pacer.permit(Urgency::Normal).await.unwrap();
                let at = start.elapsed();
                tokio::time::sleep(Duration::from_millis(n as u64 % 7 * 30)).await;
                drop(permit);
                (n % 3, at)
            }));
        }
        let mut times = Vec::new();
        for caller in callers {
            times.push(caller.await.unwrap());
        }
        times.sort();
        for of_one in [0, 1] {
            let mut last: Vec<Duration> = Vec::new();
            // When one of those with 45 in 60 s calls, no more than 45 were made in the 60 s before, by all.
            let mut all: Vec<_> = times.iter().map(|(who, at)| (*at, *who)).collect();
            all.sort();
            for (at, who) in all {
                last.retain(|then| *then + 60 * SECOND > at);
                last.push(at);
                assert!(who != of_one || last.len() <= 45, "{} at {at:?}", last.len());
            }
        }
        assert!(start.elapsed() < 800 * SECOND, "{:?}", start.elapsed());
    });
}

#[test]
fn a_process_that_was_killed_leaves_its_calls_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls");
    runtime().block_on(async {
        let rate = rate(45, 60 * SECOND);
        let killed = process(&file, rate);
        for _ in 0..40 {
            drop(killed.permit(Urgency::Normal).await.unwrap());
        }
        // In flight when it is killed.
        let permits =
            [killed.permit(Urgency::Normal).await.unwrap(), killed.permit(Urgency::Normal).await.unwrap()];
        std::mem::forget(permits);
        std::mem::forget(killed);
        let start = Instant::now();
        let next = process(&file, rate);
        for _ in 0..3 {
            drop(next.permit(Urgency::Normal).await.unwrap());
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(next.permit(Urgency::Normal).await.unwrap());
        assert!(start.elapsed() >= 60 * SECOND && start.elapsed() < 62 * SECOND, "{:?}", start.elapsed());
        // Those in flight may have arrived later.
        for _ in 0..(45 - 1 - 2) {
            drop(next.permit(Urgency::Normal).await.unwrap());
        }
        assert!(start.elapsed() < 70 * SECOND, "{:?}", start.elapsed());
        drop(next.permit(Urgency::Normal).await.unwrap());
        // The file has times of the wall's clock, which goes on while the other stands.
        assert!(start.elapsed() >= 119 * SECOND, "{:?}", start.elapsed());
    });
}

#[test]
fn a_file_that_another_process_keeps_locked_stops_nobody_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calls");
    runtime().block_on(async {
        let pacer = process(&file, rate(45, 60 * SECOND));
        let held = std::fs::File::open(&file).unwrap();
        held.lock().unwrap();
        let start = Instant::now();
        drop(pacer.permit(Urgency::Normal).await.unwrap());
        assert!(start.elapsed() > SECOND && start.elapsed() < 10 * SECOND, "{:?}", start.elapsed());
    });
}

#[test]
fn a_closed_gate_holds_every_caller_and_the_longest_time_counts() {
    runtime().block_on(async {
        let pacer = pacer(None);
        pacer.close_for(Duration::from_secs(30));
        pacer.close_for(Duration::from_secs(5));
        let start = Instant::now();
        drop(pacer.permit(Urgency::Normal).await.unwrap());
        assert!(start.elapsed() >= Duration::from_secs(30));
        assert!(pacer.time().waiting >= Duration::from_secs(30));
    });
}

#[test]
fn the_gate_closes_when_others_in_flight_may_use_up_what_is_left() {
    runtime().block_on(async {
        let pacer = pacer(None);
        let _first = pacer.permit(Urgency::Normal).await.unwrap();
        let headers = |remaining| RateHeaders {
            limit: Some(100),
            remaining: Some(remaining),
            resets_in: Some(Duration::from_secs(9)),
        };
        pacer.heed(headers(1));
        assert_eq!(pacer.closed_for(), None);
        let _second = pacer.permit(Urgency::Normal).await.unwrap();
        pacer.heed(headers(1));
        assert_eq!(pacer.closed_for(), Some(Duration::from_secs(9)));
    });
}

#[test]
fn a_window_that_is_used_up_by_this_client_alone_closes_no_gate() {
    runtime().block_on(async {
        let pacer = pacer(Some(rate(2, Duration::from_secs(10))));
        let headers = |used: u64| RateHeaders {
            limit: Some(2),
            remaining: Some(2 - used),
            resets_in: Some(Duration::from_secs(11)),
        };
        for used in 1..=2u64 {
            let permit = pacer.permit(Urgency::Normal).await.unwrap();
            pacer.heed(headers(used));
            drop(permit);
            assert_eq!(pacer.closed_for(), None);
        }
        let _third = pacer.permit(Urgency::Normal).await.unwrap();
        pacer.close_for(Duration::ZERO);
        pacer.heed(RateHeaders {
            limit: Some(9),
            remaining: Some(0),
            resets_in: Some(Duration::from_secs(11)),
        });
        assert!(pacer.closed_for().is_some(), "somebody else used the rest");
    });
}

#[test]
fn a_stop_ends_the_wait() {
    runtime().block_on(async {
        let stop = Stop::default();
        let pacer = Arc::new(Pacer::new(&PaceSettings::default(), SECOND, stop.clone()));
        pacer.close_for(Duration::from_secs(300));
        let (first, second) = (pacer.clone(), pacer.clone());
        let first = tokio::spawn(async move { first.permit(Urgency::Normal).await.err() });
        let second = tokio::spawn(async move { second.permit(Urgency::Normal).await.err() });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let start = Instant::now();
        stop.set(crate::stop::Cause::Interrupt);
        let ended = [first.await.unwrap(), second.await.unwrap()];
        assert_eq!(ended, [Some(Held::Stopped); 2]);
        assert!(start.elapsed() < Duration::from_secs(1));
    });
}

#[test]
fn the_time_adds_up_however_many_callers_come_and_give_up() {
    runtime().block_on(async {
        let pacer = Arc::new(pacer(Some(rate(5, Duration::from_secs(1)))));
        let start = Instant::now();
        let mut callers = Vec::new();
        for n in 0..60_u64 {
            let pacer = pacer.clone();
            callers.push(tokio::spawn(async move {
                // Some give up while they queue or wait, some while their call is under way.
                let call = async {
                    let _permit = pacer.permit(Urgency::Normal).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(30)).await;
                };
                let _ = tokio::time::timeout(Duration::from_millis(37 * (n % 50)), call).await;
            }));
        }
        for caller in callers {
            caller.await.unwrap();
        }
        let (worked, time) = (start.elapsed(), pacer.time());
        assert!(time.calling > Duration::ZERO && time.held > Duration::ZERO, "{time:?}");
        assert!(time.held <= time.waiting && time.waiting <= worked, "{time:?} of {worked:?}");
        assert!(time.calling + time.held <= worked, "{time:?} of {worked:?}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(pacer.time(), time, "nobody calls, and nobody waits");
    });
}
