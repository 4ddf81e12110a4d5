use super::*;

fn broken(rule: &str, calls: u64) -> Vec<u64> {
    let faults = Faults::new(vec![rule.parse().unwrap()]);
    (1..=calls).filter(|_| faults.pick("works.update").is_some()).collect()
}

fn problem(rule: &str) -> String {
    rule.parse::<Fault>().unwrap_err().problem
}

#[test]
fn calls_are_selected_by_path_after_and_count() {
    assert_eq!(broken("path=works.update,status=503,after=3,count=2", 10), [4, 5]);
    assert_eq!(broken("html", 3), [1, 2, 3]);
    assert_eq!(broken("path=*,truncate,count=1", 3), [1]);
    assert_eq!(broken("path=works.list,html", 3), [] as [u64; 0]);
}

#[test]
fn chance_is_the_same_every_time() {
    let first = broken("hang,p=0.1,seed=42", 10_000);
    assert_eq!(first, broken("hang,p=0.1,seed=42", 10_000));
    assert_ne!(first, broken("hang,p=0.1,seed=43", 10_000));
    assert!((900..1_100).contains(&first.len()), "{}", first.len());
    assert_eq!(broken("hang,p=1", 3), [1, 2, 3]);
    assert_eq!(broken("hang,p=0", 3), [] as [u64; 0]);
}

#[test]
fn the_first_matching_rule_is_taken() {
    let rules = ["path=works.update,status=429,retry_after=2,count=1", "status=503"];
    let faults = Faults::new(rules.iter().map(|rule| rule.parse().unwrap()).collect());
    let status = |endpoint: &str| match &faults.pick(endpoint).unwrap().action {
        Action::Status { status, .. } => *status,
        _ => 0,
    };
    assert_eq!([status("works.get"), status("works.update"), status("works.update")], [503, 429, 503]);
}

#[test]
fn a_rule_says_how() {
    let action = |rule: &str| rule.parse::<Fault>().unwrap().action;
    assert_eq!(action("reset=after"), Action::Reset(When::After));
    assert_eq!(action("hang"), Action::Hang(When::Before));
    assert_eq!(action("hang=after"), Action::Hang(When::After));
    assert_eq!(action("delay=20"), Action::Delay);
    let (applied, retry_after) = (true, Some(7));
    let status = Action::Status { status: 503, applied, page: false, retry_after, location: None };
    assert_eq!(action("status=503, applied, retry_after=7, delay=5"), status);
}

#[test]
fn a_bad_rule_is_refused_and_the_key_named() {
    for (rule, part) in [
        ("", "an empty part"),
        ("stat=503", "unknown key `stat`"),
        ("status", "`status` needs a value"),
        ("status=abc", "`status`: `abc`"),
        ("status=200", "`status`: 200"),
        ("reset", "`reset` needs a value"),
        ("reset=now", "`reset`: `now`"),
        ("hang=now", "`hang`: `now`"),
        ("html=1", "`html` takes no value"),
        ("html,truncate", "only one of"),
        ("path=works.update", "give one of"),
        ("path=works.updat,html", "`path`: the sandbox has no endpoint `works.updat`"),
        ("html,after=-1", "`after`: `-1`"),
        ("html,p=2", "`p`: 2"),
        ("html,p=NaN", "`p`: NaN"),
        ("html,seed=1", "`seed` needs `p`"),
        ("html,applied", "`applied` needs `status`"),
        ("truncate,retry_after=1", "`retry_after` needs"),
        ("status=500,location=ISS-2", "`location` does not go with status 500"),
        ("html,count=1,count=2", "`count` appears twice"),
    ] {
        let problem = problem(rule);
        assert!(problem.contains(part), "{rule}: {problem}");
    }
    let error = "status=1".parse::<Fault>().unwrap_err().to_string();
    assert_eq!(error, "bad fault rule `status=1`: `status`: 1 is not from 300 to 599");
}
