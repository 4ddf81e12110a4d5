//! The index: what counts as a group, what the cache gives back, and what ends a run.

use super::*;
use crate::devrev::client::{Client, ClientSettings};
use crate::devrev::ids::UserId;
use crate::exit::Exit;
use crate::net::breaker::BreakerSettings;
use crate::net::rate::PaceSettings;
use crate::net::retry::RetryPolicy;
use crate::sandbox::{Data, Options, Sandbox};
use crate::stop::Stop;
use chrono::TimeDelta;
use secrecy::SecretString;
use serde_json::json;

fn user(text: &str) -> Key {
    UserId::parse(text).unwrap().key()
}

fn group(number: u32) -> GroupRef {
    GroupRef {
        id: format!("don:identity:x:devo/1:group/{number}"),
        display_id: None,
        name: Some(format!("G{number}")),
    }
}

fn index() -> Membership {
    Membership::new(vec![
        (group(1), vec![user("DEVU-1"), user("DEVU-1")]),
        (group(2), vec![user("DEVU-1"), user("SVCACC-2")]),
    ])
    .leaving_out(vec![group(3)])
}

#[test]
fn a_user_listed_twice_is_in_a_group_once() {
    let index = index();
    assert_eq!(index.groups_of(&user("DEVU-1")).len(), 2);
    assert!(index.groups_of(&user("DEVU-9")).is_empty());
}

#[test]
fn a_group_that_is_left_out_is_known_by_name() {
    let key = group(3).key().unwrap();
    assert_eq!(index().group(&key), Some(&group(3)));
    assert_eq!(index().len(), 2);
}

#[test]
fn the_cache_gives_back_what_it_got_until_it_is_old_or_another_s() {
    let folder = tempfile::tempdir().unwrap();
    let cache = |of: &str, age| Cache::new(folder.path(), of.to_owned(), Duration::from_secs(age));
    let ours = cache("a", 60).unwrap();
    assert!(ours.read_file().is_none());
    let listed = Listed { membership: index(), at: Utc::now() - TimeDelta::seconds(40), from_cache: false };
    ours.write(&listed).unwrap();
    let read = ours.read_file().unwrap();
    assert!(read.from_cache && read.at == listed.at, "its age is that of the listing, not of the file");
    let (read, written) = (read.membership, &listed.membership);
    assert_eq!((&read.groups, &read.left_out), (&written.groups, &written.left_out));
    assert_eq!(read.of_user, written.of_user);
    assert!(cache("a", 30).unwrap().read_file().is_none(), "too old for whoever wants it younger");
    assert!(cache("b", 60).unwrap().read_file().is_none());
    assert!(cache("a", 0).is_none());
    let mut other = ours.clone();
    other.of = "b".to_owned();
    assert!(other.read_file().is_none(), "whose it is counts, not the file's name alone");
    let mut cached: Cached = serde_json::from_slice(&fs::read(&ours.path).unwrap()).unwrap();
    for (at, why) in [(-61, "too old"), (61, "from the future")] {
        cached.fetched_at = Utc::now() + TimeDelta::seconds(at);
        fs::write(&ours.path, serde_json::to_vec(&cached).unwrap()).unwrap();
        assert!(ours.read_file().is_none(), "{why}");
    }
    let old = json!({"format": 1, "fetched_at": Utc::now(), "of": "a", "groups": []});
    for spoilt in [old.to_string(), "{\"format\":2,".to_owned()] {
        fs::write(&ours.path, &spoilt).unwrap();
        assert!(ours.read_file().is_none(), "{spoilt}");
    }
}

/// Two groups of the tenant's and two default ones, behind these faults.
async fn fetch(faults: &[&str], default: bool) -> Result<Membership, Failure> {
    let group = |number: u32, is_default: bool, members: &[&str]| {
        json!({"number": number, "name": format!("G{number}"), "member_type": "dev_user", "is_default": is_default,
            "members": members})
    };
    let data = json!({
        "organisation": {"id": "T", "name": "T"}, "self": "DEVU-1",
        "users": [{"number": 1, "name": "A"}, {"number": 2, "name": "B"}],
        "groups": [
            group(1, true, &["DEVU-1", "DEVU-2"]), group(2, false, &["DEVU-1"]),
            group(3, false, &["DEVU-2"]), group(4, true, &["DEVU-1"]),
        ],
        "issues": [],
    });
    let options = Options {
        faults: faults.iter().map(|rule| rule.parse().unwrap()).collect(),
        ..Options::new(Data::from_json(data.to_string().as_bytes()).unwrap())
    };
    let sandbox = Sandbox::start(options).await.unwrap();
    let settings = ClientSettings {
        base_url: sandbox.base_url().parse().unwrap(),
        token: SecretString::from("t"),
        pace: PaceSettings::default(),
        retry: RetryPolicy { max_retries: 0, base: Duration::ZERO },
        breaker: BreakerSettings { threshold: 100, cooldown: Duration::from_millis(1), probes: 1 },
    };
    let client = Client::new(&settings, Stop::default()).unwrap();
    Membership::fetch(&client.read_only(), Scope { default, ..Scope::default() }).await
}

#[test]
fn pages_that_overlap_bring_each_group_once() {
    let page = |numbers: &[(u32, bool)]| -> Vec<devrev::groups::Group> {
        let group = |(number, is_default): &(u32, bool)| json!({"id": format!("don:identity:x:devo/1:group/{number}"), "is_default": is_default});
        numbers.iter().map(|it| serde_json::from_value(group(it)).unwrap()).collect()
    };
    let mut found = Found::default();
    found.take(page(&[(1, false), (2, true), (3, false)]));
    found.take(page(&[(2, true), (3, false), (4, false)]));
    let ids = |groups: &[GroupRef]| -> Vec<String> {
        groups.iter().filter_map(GroupRef::key).map(|key| key.to_string()).collect()
    };
    assert_eq!(ids(&found.groups), ["GROUP-1", "GROUP-3", "GROUP-4"]);
    assert_eq!(ids(&found.left_out), ["GROUP-2"]);
}

#[tokio::test]
async fn default_groups_do_not_count_unless_they_are_included() {
    let index = fetch(&[], false).await.unwrap();
    let names = |groups: Vec<&GroupRef>| groups.iter().map(|group| group.named()).collect::<Vec<_>>();
    assert_eq!(names(index.groups_of(&user("DEVU-1"))), ["GROUP-2 (G2)"]);
    assert_eq!((index.len(), index.left_out().len()), (2, 2));
    let index = fetch(&[], true).await.unwrap();
    assert_eq!(index.groups_of(&user("DEVU-1")).len(), 3);
    assert_eq!((index.len(), index.left_out().len()), (4, 0));
}

#[tokio::test]
async fn a_group_that_is_gone_is_left_out() {
    let index = fetch(&["path=groups.members.list,count=1,status=404"], false).await.unwrap();
    assert_eq!(index.gone().iter().map(GroupRef::named).collect::<Vec<_>>(), ["GROUP-2 (G2)"]);
    assert_eq!((index.len(), index.groups_of(&user("DEVU-2")).len()), (1, 1));
}

#[tokio::test]
async fn a_group_that_may_not_be_read_is_named_and_invites_no_retry() {
    for (status, exit) in [(403, Exit::Credentials), (400, Exit::Unexpected), (503, Exit::Stopped)] {
        let fault = format!("path=groups.members.list,after=1,status={status}");
        let failure = fetch(&[&fault], false).await.unwrap_err();
        assert_eq!(failure.exit, exit, "{failure}");
        assert!(failure.message.contains("cannot list the members of GROUP-3 (G3)"), "{failure}");
        let failure = fetch(&[&format!("path=groups.list,status={status}")], false).await.unwrap_err();
        assert_eq!(failure.exit, exit, "{failure}");
        assert!(failure.message.contains("cannot list the groups"), "{failure}");
    }
}
