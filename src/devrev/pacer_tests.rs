//! The pacer under a paused clock: no window over the limit, whatever the calls do.

use super::*;
use proptest::prelude::*;

fn rate(calls: u32, period: Duration) -> Rate {
    Rate { calls: NonZeroU32::new(calls).unwrap(), period }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// Lets callers come at these times after one another, each call taking so long to arrive and so long
/// to be answered (all in milliseconds), and returns when each arrived.
fn arrivals(rate: Rate, calls: &[(u64, u64, u64)]) -> Vec<Duration> {
    runtime().block_on(async {
        let pacer = Arc::new(Pacer::new(Some(rate), Stop::default()));
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
fn a_closed_gate_holds_every_caller_and_the_longest_time_counts() {
    runtime().block_on(async {
        let pacer = Pacer::new(None, Stop::default());
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
        let pacer = Pacer::new(None, Stop::default());
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
        let pacer = Pacer::new(Some(rate(2, Duration::from_secs(10))), Stop::default());
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
        let pacer = Arc::new(Pacer::new(None, stop.clone()));
        pacer.close_for(Duration::from_secs(300));
        let (first, second) = (pacer.clone(), pacer.clone());
        let first = tokio::spawn(async move { first.permit(Urgency::Normal).await.is_none() });
        let second = tokio::spawn(async move { second.permit(Urgency::Normal).await.is_none() });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let start = Instant::now();
        stop.set(crate::stop::Cause::Interrupt);
        assert!(first.await.unwrap() && second.await.unwrap());
        assert!(start.elapsed() < Duration::from_secs(1));
    });
}

#[test]
fn the_time_adds_up_however_many_callers_come_and_give_up() {
    runtime().block_on(async {
        let pacer = Arc::new(Pacer::new(Some(rate(5, Duration::from_secs(1))), Stop::default()));
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
