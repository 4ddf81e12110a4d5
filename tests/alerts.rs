//! Who is told about a run by Slack and e-mail, of what, and that a run does not care whether they can be told.

use crate::support::fixture::Trouble;
use crate::support::program::{Ended, Program};
use crate::support::smtp::{self, Smtp};
use crate::support::webhook::{self, Answers, Webhook};
use crate::support::{Fixture, Merging, Org, People, eventually, files_below};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// A few rows fail.
const FEW: &str = "path=works.update,status=409,count=3";

fn to(program: Program, webhook: &Webhook) -> Program {
    program.env("SLACK_WEBHOOK", webhook.url())
}

fn by_mail(program: Program, smtp: &Smtp) -> Program {
    program
        .env("SMTP_HOST", "127.0.0.1")
        .env("SMTP_PORT", smtp.port())
        .env("SMTP_USER", "robot")
        .env("SMTP_PASSWORD", smtp::PASSWORD)
        .env("SMTP_FROM", "robot@alerts.test")
        .env("ALERT_EMAIL", "ops@alerts.test, boss@alerts.test")
}

/// Wants none of the secrets in what was said.
#[track_caller]
fn assert_no_secret(ended: &Ended) {
    for secret in [webhook::SECRET, smtp::PASSWORD] {
        assert!(!ended.out.contains(secret) && !ended.err.contains(secret), "{}", ended.all());
    }
}

#[test]
fn how_a_run_ended_is_told_over_both_ways() {
    let fixture = Fixture::broken(&Org::of(20), [FEW]);
    let (webhook, smtp) = (Webhook::new(Answers::Status(200)), Smtp::new(None));
    let program = fixture.backfill(&["--log-level", "trace"]).env("ENVIRONMENT", "production");
    let ended = by_mail(to(program, &webhook), &smtp).run().exits(3);
    assert_no_secret(&ended);
    for file in files_below(fixture.folder()) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains(webhook::SECRET) && !text.contains(smtp::PASSWORD), "{}", file.display());
    }
    let run = fixture.the_run();
    let (messages, emails) = (webhook.messages(), smtp.taken());
    assert_eq!((messages.len(), emails.len()), (1, 1), "{messages:?} {emails:?}");
    let email = &emails[0];
    // Long lines are folded on their way.
    for text in [&messages[0], &email.text.replace("=\n", "")] {
        let parts = [
            run.id(),
            "backfill-groups",
            "production",
            &fixture.base_url(),
            "exit code 3",
            "done 17, failed 3 of 20 rows",
            "failed/conflict 3",
            &format!("devrev-batch resume {} --retry-failed", run.id()),
        ];
        for part in parts {
            assert!(text.contains(part), "`{part}` is not in:\n{text}");
        }
        for part in ["Issue ", "User ", "Team ", "ISS-"] {
            assert!(!text.contains(part), "`{part}` is in:\n{text}");
        }
    }
    let login = email.auth.strip_prefix("AUTH PLAIN ").unwrap();
    let login = BASE64_STANDARD.decode(login).unwrap();
    assert_eq!(login, format!("\0robot\0{}", smtp::PASSWORD).into_bytes());
    assert_eq!(
        email.envelope.iter().map(|line| line.split(['<', '>']).nth(1).unwrap()).collect::<Vec<_>>(),
        ["robot@alerts.test", "ops@alerts.test", "boss@alerts.test"]
    );
}

#[test]
fn the_end_is_told_as_notify_says() {
    let dry: &[&str] = &["--dry-run"];
    let cases: [(&str, &str, &[&str], i32, usize); 7] = [
        ("failure", "path=works.update,status=409,count=1", &[], 3, 1),
        ("failure", "path=works.update,status=409,after=99", &[], 0, 0),
        ("always", "path=works.update,status=409,after=99", &[], 0, 1),
        ("never", "path=works.update,status=409,count=1", &[], 3, 0),
        ("failure", "path=works.update,status=401,count=1", &[], 4, 1),
        ("failure", "path=works.list,status=401", dry, 4, 0),
        ("always", "path=works.update,status=409,after=99", dry, 0, 1),
    ];
    for (notify, fault, flags, code, told) in cases {
        let fixture = Fixture::broken(&Org::of(10), [fault]);
        let webhook = Webhook::new(Answers::Status(200));
        to(fixture.backfill(&["--notify", notify]).args(flags), &webhook).run().exits(code);
        let messages = webhook.messages();
        assert_eq!(messages.len(), told, "{notify} {fault} {flags:?}: {messages:?}");
        assert!(messages.iter().all(|text| text.contains("dry run") == flags.contains(&"--dry-run")));
    }
}

#[test]
fn whoever_presses_ctrl_c_knows_of_it() {
    for (notify, signal, code, told) in
        [("failure", "INT", 130, 0), ("always", "INT", 130, 1), ("failure", "TERM", 143, 1)]
    {
        let fixture = Fixture::with(&Org::of(150), &Trouble::delay(20));
        let webhook = Webhook::new(Answers::Status(200));
        let program = to(fixture.backfill(&["--notify", notify, "--batch-size", "10"]), &webhook);
        let running = program.run_until(|| fixture.writes() >= 5);
        running.signal(signal);
        running.wait().exits(code);
        let messages = webhook.messages();
        assert_eq!(messages.len(), told, "{notify} {signal}: {messages:?}");
        assert!(messages.iter().all(|text| text.contains(&format!("interrupted, exit code {code}"))));
    }
}

#[test]
fn a_rehearsal_alerts_nobody_unless_all_is_told() {
    for (notify, told) in [("failure", 0), ("always", 1)] {
        let fixture = Fixture::down(&Org::of(3));
        let webhook = Webhook::new(Answers::Status(200));
        fixture.write("two.csv", "issue_id,creator_user_id,assigned_group\nISS-99999,DEVU-1,GROUP-1\n");
        let args = ["backfill-groups", "--csv", "two.csv", "--sandbox", "--yes", "--notify", notify];
        to(fixture.program(args), &webhook).run().exits(3);
        assert_eq!(webhook.messages().len(), told, "{notify}: {:?}", webhook.messages());
    }
}

#[test]
fn too_many_rows_that_fail_are_told_while_the_run_goes_on() {
    let fixture = Fixture::broken(&Org::of(300), ["path=works.update,status=409,count=40"]);
    let webhook = Webhook::new(Answers::Status(200));
    to(fixture.backfill(&["--batch-size", "20", "--max-same-failures", "0"]), &webhook).run().exits(3);
    let messages = webhook.messages();
    let of_rate: Vec<_> = messages.iter().filter(|text| text.contains("% of")).collect();
    assert_eq!((messages.len(), of_rate.len()), (2, 1), "{messages:?}");
    assert!(of_rate[0].contains("of 100 rows failed") && of_rate[0].contains("continues"), "{messages:?}");
    // Fewer than that are put up with.
    let webhook = Webhook::new(Answers::Status(200));
    let fixture = Fixture::broken(&Org::of(300), ["path=works.update,status=409,count=40"]);
    to(fixture.backfill(&["--max-same-failures", "0"]), &webhook)
        .env("ALERT_ERROR_RATE", "45")
        .run()
        .exits(3);
    assert_eq!(webhook.messages().len(), 1, "{:?}", webhook.messages());
}

#[test]
fn an_outage_is_told_once() {
    let fixture = Fixture::broken(&Org::of(200), ["status=503,after=40,count=9"]);
    let webhook = Webhook::new(Answers::Status(200));
    let program = to(fixture.backfill(&["--concurrency", "1", "--max-retries", "20"]), &webhook);
    program.env("BREAKER_THRESHOLD", "6").run().exits(0);
    let messages = webhook.messages();
    let with = |part: &str| messages.iter().filter(|text| text.contains(part)).count();
    assert_eq!((with("circuit breaker opened"), with("errors of the API in a row")), (1, 1), "{messages:?}");
    assert_eq!(messages.len(), 2, "it went well in the end: {messages:?}");
    fixture.assert_right();
}

#[test]
fn slow_batches_are_told_once() {
    let fixture = Fixture::with(&Org::of(30), &Trouble::delay(20));
    let webhook = Webhook::new(Answers::Status(200));
    let program = to(fixture.backfill(&["--batch-size", "10"]), &webhook);
    program.env("ALERT_BATCH_SECONDS", "0.01").run().exits(0);
    let messages = webhook.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains("batch 1 took"), "{messages:?}");
}

#[test]
fn a_run_does_not_care_whether_anybody_can_be_told() {
    for (webhook, tries, why) in [
        (Webhook::dead(), 0, "Connection refused"),
        (Webhook::new(Answers::Status(500)), 3, "it answers 500"),
        (Webhook::new(Answers::Status(404)), 1, "it answers 404: is SLACK_WEBHOOK still right?"),
    ] {
        let fixture = Fixture::broken(&Org::of(20), [FEW]);
        let ended = to(fixture.backfill(&["--json"]), &webhook).run().exits(3);
        assert_eq!(ended.json()["states"]["done"], 17);
        assert!(ended.err.contains("warning: cannot notify Slack of the run: "), "{}", ended.all());
        assert!(ended.err.contains(why), "{}", ended.all());
        assert_eq!(webhook.messages().len(), tries);
        assert_no_secret(&ended);
        fixture.the_run().assert_complete(20);
    }
}

#[test]
fn a_server_that_refuses_a_recipient_is_not_quoted() {
    let fixture = Fixture::broken(&Org::of(5), [FEW]);
    let smtp = Smtp::new(Some("550 no such user ana.sousa@example.com, your password is smtp-Zq7secret9xWv"));
    let ended = by_mail(fixture.backfill(&[]), &smtp).run().exits(3);
    let why = "warning: cannot notify e-mail of the run: the server refuses the sender or a recipient (550)";
    assert!(ended.err.contains(why) && !ended.err.contains("ana.sousa"), "{}", ended.all());
    assert_no_secret(&ended);
    assert!(smtp.taken().is_empty());
}

#[test]
fn a_recipient_who_is_refused_keeps_the_mail_from_nobody_else() {
    let fixture = Fixture::broken(&Org::of(5), [FEW]);
    let smtp = Smtp::refusing(Some("550 5.1.1 no such user"), "boss@");
    let ended = by_mail(fixture.backfill(&[]), &smtp).run().exits(3);
    let ended = ended.says("1 of 2 recipients were not notified: the server refuses");
    assert!(ended.err.contains("(550)"), "{}", ended.all());
    let taken = smtp.taken();
    assert_eq!(taken.len(), 1);
    assert!(taken[0].envelope.iter().any(|line| line.contains("ops@alerts.test")), "{taken:?}");
}

#[test]
fn a_login_that_is_refused_is_tried_once() {
    let fixture = Fixture::broken(&Org::of(5), [FEW]);
    let smtp = Smtp::refusing(Some("535 5.7.8 no"), "AUTH");
    let ended = by_mail(fixture.backfill(&[]), &smtp).run().exits(3);
    assert_no_secret(&ended.says("the server refuses the login (535): SMTP_USER, SMTP_PASSWORD"));
    assert_eq!(smtp.logins(), 1);
}

#[test]
fn ctrl_c_ends_the_wait_for_one_that_hangs() {
    for fault in [FEW, "path=works.update,status=401,after=3"] {
        let fixture = Fixture::broken(&Org::of(20), [fault]);
        let webhook = Webhook::new(Answers::Never);
        let running = to(fixture.backfill(&[]), &webhook).spawn();
        eventually("the run to end", || running.out().contains("run folder: "));
        eventually("the message", || !webhook.messages().is_empty());
        running.signal("INT");
        let ended = running.wait();
        let code = if fault == FEW { 3 } else { 4 };
        let ended = ended.exits(code).says("warning: could not notify Slack in time");
        assert!(!ended.err.contains("no new calls"), "nothing is stopped any more: {}", ended.err);
        assert_no_secret(&ended);
    }
}

#[test]
fn nothing_personal_is_told_of_merges() {
    let fixture = Merging::broken(&People::of(6), ["path=rev-users.merge,status=400,count=2"]);
    let (webhook, smtp) = (Webhook::new(Answers::Status(200)), Smtp::new(None));
    by_mail(to(fixture.merge(&["--notify", "always"]), &webhook), &smtp).run().exits(3);
    let texts: Vec<_> = webhook
        .messages()
        .into_iter()
        .chain(smtp.taken().into_iter().map(|email| email.text.replace("=\n", "")))
        .collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    for text in &texts {
        assert!(text.contains("merge-contacts") && text.contains("failed/"), "{text}");
        let own = text.to_lowercase();
        for part in ["@example.com", "person ", "revu-", "user_", "about "] {
            assert!(!own.contains(part), "`{part}` is in:\n{text}");
        }
        for row in &fixture.people.rows {
            assert!(
                !own.contains(&row.email.to_lowercase()) && !own.contains(&row.name.to_lowercase()),
                "{text}"
            );
        }
    }
}

#[test]
fn doctor_sends_a_test_message_over_each_way() {
    let fixture = Fixture::new(&Org::of(3));
    let smtp = Smtp::new(None);
    for (webhook, exit) in [(Webhook::new(Answers::Status(200)), 0), (Webhook::new(Answers::Status(404)), 1)]
    {
        let program = fixture.program(["doctor", "--json", "--send-test-alert"]).env("NOTIFY", "never");
        let ended = by_mail(to(program, &webhook), &smtp).run().exits(exit);
        assert_no_secret(&ended);
        let report = ended.json();
        let alerts: Vec<_> =
            report["checks"].as_array().unwrap().iter().filter(|check| check["check"] == "alerts").collect();
        assert_eq!(alerts.len(), 2, "{report}");
        let states: Vec<_> = alerts.iter().map(|check| check["state"].as_str().unwrap()).collect();
        let slack = if exit == 0 { "ok" } else { "problem" };
        assert_eq!(states, [slack, "ok"], "{report}");
    }
    let emails = smtp.taken();
    assert_eq!(emails.len(), 2);
    assert!(emails.iter().all(|email| email.text.contains("test")), "{:?}", emails[0].text);
}
