//! The lookup against the sandbox: what it finds, and what that costs.

use super::*;
use crate::devrev::client::{Client, ClientSettings};
use crate::devrev::objects::{Clear, Kind, Target};
use crate::net::breaker::BreakerSettings;
use crate::net::retry::RetryPolicy;
use crate::sandbox::{Data, Options, Sandbox};
use crate::stop::Stop;
use secrecy::SecretString;
use serde_json::json;
use std::time::SystemTime;

/// So many issues for each of so many creators: issue `n` is of creator `n % creators + 1`.
async fn sandbox(creators: u64, issues: u64, faults: &[&str]) -> Sandbox {
    let users: Vec<_> = (1..=creators)
        .map(|n| json!({"number": n, "name": format!("User {n}"), "email": format!("u{n}@example.com")}))
        .collect();
    let issues: Vec<_> = (1..=issues)
        .map(|n| json!({"number": n, "title": "x", "created_by": format!("DEVU-{}", n % creators + 1)}))
        .collect();
    let data = json!({
        "organisation": {"id": "T", "name": "T"}, "self": "DEVU-1", "users": users, "groups": [],
        "custom_fields": {"tnt__creator_group": {"type": "id", "allowed": ["group"]}}, "issues": issues,
    });
    let options = Options {
        faults: faults.iter().map(|rule| rule.parse().unwrap()).collect(),
        ..Options::new(Data::from_json(data.to_string().as_bytes()).unwrap())
    };
    Sandbox::start(options).await.unwrap()
}

fn lookup(sandbox: &Sandbox) -> (Lookup, Client) {
    let settings = ClientSettings {
        base_url: sandbox.base_url().parse().unwrap(),
        token: SecretString::from("t"),
        pace: crate::net::rate::PaceSettings::default(),
        retry: RetryPolicy { max_retries: 1, base: Duration::ZERO },
        breaker: BreakerSettings { threshold: 100, cooldown: Duration::from_millis(1), probes: 1 },
    };
    let client = Client::new(&settings, Stop::default()).unwrap();
    let field =
        Field { name: "tnt__creator_group".into(), kind: Kind::One(Target::Group), clear: Clear::Null };
    let issue = objects::named("issue").unwrap();
    (Lookup::new(client.read_only(), issue, vec![field], Extent::default()), client)
}

fn key(number: u64) -> Key {
    Ref::parse(&format!("ISS-{number}"), &[ObjectType::Issue]).unwrap().key()
}

fn wanted(creators: u64, numbers: impl Iterator<Item = u64>) -> Vec<Wanted> {
    let wanted = |number: u64| {
        let creator = UserId::parse(&format!("DEVU-{}", number % creators + 1)).unwrap();
        Wanted::by_creator(key(number), &format!("ISS-{number}"), Some(&creator))
    };
    numbers.map(wanted).collect()
}

fn calls(client: &Client) -> (u64, u64) {
    let of = |endpoint| client.totals().endpoints.get(endpoint).map_or(0, |endpoint| endpoint.calls);
    (of("works.list"), of("works.get"))
}

fn present(states: &HashMap<Key, Found>) -> usize {
    states.values().filter(|state| matches!(state, Found::Present(_))).count()
}

#[tokio::test]
async fn what_a_page_brings_too_much_serves_the_next_batch() {
    let sandbox = sandbox(10, 100, &[]).await;
    let (mut lookup, client) = lookup(&sandbox);
    for batch in 0..10 {
        let states = lookup.states(wanted(10, batch * 10 + 1..=batch * 10 + 10)).await.unwrap();
        assert_eq!(present(&states), 10);
    }
    assert_eq!(calls(&client), (1, 0));
}

#[tokio::test]
async fn a_missing_issue_is_told_in_devrevs_words() {
    let sandbox = sandbox(2, 10, &[]).await;
    let (mut lookup, client) = lookup(&sandbox);
    let states = lookup.states(wanted(2, [3, 77].into_iter())).await.unwrap();
    assert!(
        matches!(&states[&key(77)], Found::Missing(words) if words.contains("404") && words.contains("ISS-77"))
    );
    assert_eq!((present(&states), calls(&client)), (1, (1, 1)));
}

#[tokio::test]
async fn lists_that_do_not_pay_are_given_up() {
    let sandbox = sandbox(1, 5000, &[]).await;
    let (mut lookup, client) = lookup(&sandbox);
    let mut rows = 0;
    for batch in 0..10u64 {
        // The newest issues: a list begins with the oldest.
        let numbers = (0..20).map(|n| 5000 - batch * 20 - n);
        rows += 20;
        assert_eq!(present(&lookup.states(wanted(1, numbers)).await.unwrap()), 20);
        let (lists, gets) = calls(&client);
        assert!(lists + gets <= rows + 3 + rows / 50, "{lists} and {gets} for {rows}");
    }
    assert_eq!(calls(&client), (3, 200));
}

#[tokio::test]
async fn never_more_pages_than_rows() {
    let sandbox = sandbox(1, 5000, &[]).await;
    let (mut lookup, client) = lookup(&sandbox);
    lookup.states(wanted(1, [4999].into_iter())).await.unwrap();
    assert_eq!(calls(&client), (1, 1));
}

#[tokio::test]
async fn a_list_that_devrev_refuses_is_replaced_by_single_reads() {
    let sandbox = sandbox(2, 10, &["path=works.list,status=400"]).await;
    let (mut lookup, client) = lookup(&sandbox);
    for numbers in [1..=5, 6..=10] {
        assert_eq!(present(&lookup.states(wanted(2, numbers)).await.unwrap()), 5);
    }
    assert_eq!(calls(&client), (1, 10));
}

#[tokio::test]
async fn refused_credentials_end_the_run_and_a_failed_read_its_row_alone() {
    let refusing = sandbox(2, 10, &["path=works.list,status=401"]).await;
    let failure = lookup(&refusing).0.states(wanted(2, 1..=5)).await.unwrap_err();
    assert_eq!(failure.exit, crate::exit::Exit::Credentials);
    let faults = ["path=works.list,status=403", "path=works.get,count=1,status=403"];
    let refusing = sandbox(2, 10, &faults).await;
    let states = lookup(&refusing).0.states(wanted(2, 1..=5)).await.unwrap();
    assert_eq!((present(&states), states.len()), (4, 5));
}

#[tokio::test]
async fn a_value_that_is_too_old_is_read_again() {
    let sandbox = sandbox(2, 10, &[]).await;
    let (mut lookup, client) = lookup(&sandbox);
    lookup.states(wanted(2, 1..=2)).await.unwrap();
    assert_eq!((calls(&client), lookup.kept.len()), ((1, 0), 8));
    let long_ago = SystemTime::now() - KEPT_AGE;
    lookup.kept.values_mut().for_each(|present| present.read_at.1 = long_ago);
    lookup.lists[1].began.1 = long_ago;
    assert_eq!(present(&lookup.states(wanted(2, 3..=10)).await.unwrap()), 8);
    assert_eq!(calls(&client), (2, 0), "in bulk again");
}

#[tokio::test]
async fn a_list_under_way_is_not_begun_anew() {
    let sandbox = sandbox(2, 300, &[]).await;
    let (mut lookup, client) = lookup(&sandbox);
    lookup.states(wanted(2, 1..=10)).await.unwrap();
    let long_ago = SystemTime::now() - KEPT_AGE;
    lookup.kept.values_mut().for_each(|present| present.read_at.1 = long_ago);
    lookup.lists[1].began.1 = long_ago;
    assert_eq!(present(&lookup.states(wanted(2, 99..=110)).await.unwrap()), 12);
    assert_eq!(calls(&client), (2, 2), "the second page, and what the first one held too long ago");
}

#[tokio::test]
async fn what_is_kept_has_a_bound() {
    let sandbox = sandbox(1, 1, &[]).await;
    let (mut lookup, _) = lookup(&sandbox);
    let state = |number| {
        let read_at = ReadAt::now();
        (key(number), Box::new(Present::of(&Members::new(), &[], read_at, true)))
    };
    lookup.kept = (1..=MOST_KEPT as u64).map(state).collect();
    lookup.forget_the_oldest();
    assert!(lookup.kept.len() <= MOST_KEPT / 2, "{}", lookup.kept.len());
    assert!(lookup.kept.keys().all(|key| key.number().unwrap() >= MOST_KEPT as u64 / 4));
}
