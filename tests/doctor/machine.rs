//! What `doctor` finds apart from DevRev: the settings, this machine, Snowflake.

use super::{assert_check, doctor};
#[cfg(feature = "snowflake")]
use crate::support::fakesnow::Warehouse;
use crate::support::fixture::TOKEN;
use crate::support::program::Ended;
use crate::support::{Fixture, Org};
use std::os::unix::fs::PermissionsExt;

#[test]
fn settings_that_are_wrong_are_a_check_too() {
    let fixture = Fixture::new(&Org::of(1));
    let ended = doctor(&fixture, &["--json", "--max-retries", "x"]).env("BATCH_SIZE", "0").run().exits(2);
    assert_check(&ended, "settings", "problem", "--max-retries: `x`");
    assert_check(&ended, "settings", "problem", "BATCH_SIZE in the environment: `0`");
    assert_check(&ended, "runs-dir", "not-checked", "the settings are wrong");
    let names = |ended: &Ended| {
        let report = ended.json();
        let checks = report["checks"].as_array().unwrap().iter();
        let mut names: Vec<String> =
            checks.map(|check| check["check"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    // Whatever fails, machines find the same checks.
    assert_eq!(names(&ended), names(&doctor(&fixture, &["--json"]).run()));
    let refused = Fixture::broken(&Org::of(1), ["status=401"]);
    assert_eq!(names(&ended), names(&doctor(&refused, &["--json"]).run()));
    let none = doctor(&fixture, &["--json"]).without("DEVREV_API_TOKEN").run();
    assert_eq!(names(&ended), names(&none));
    doctor(&fixture, &["--json", "--env-file", "none.env"]).run().exits(2).says("none.env");
    assert_eq!(fixture.stats()["total"], 6 + 8 + 5);
}

#[test]
fn an_env_file_that_others_can_read() {
    let fixture = Fixture::new(&Org::of(60));
    let path = fixture.write(".env", format!("DEVREV_API_TOKEN={TOKEN}\n"));
    let with_mode = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        doctor(&fixture, &["--json"]).without("DEVREV_API_TOKEN").run().exits(0)
    };
    assert_check(&with_mode(0o644), "env-file", "warning", "(mode 0644) chmod 600 .env");
    assert_check(&with_mode(0o620), "env-file", "warning", "chmod 600 .env");
    assert_check(&with_mode(0o600), "env-file", "ok", "only its owner");
    fixture.write("my other.env", "BATCH_SIZE=5\n");
    let ended = doctor(&fixture, &["--json", "--env-file", "my other.env"]).run().exits(0);
    assert_check(&ended, "env-file", "warning", "chmod 600 'my other.env'");
}

#[test]
fn folders_that_cannot_be_used() {
    let fixture = Fixture::new(&Org::of(1));
    fixture.write("file", "");
    let ended =
        doctor(&fixture, &["--json", "--runs-dir", "file/runs", "--backup-dir", "/proc/x"]).run().exits(1);
    assert_check(&ended, "runs-dir", "problem", "file is not a folder");
    assert_check(&ended, "backup-dir", "problem", "/proc cannot be written to");
    assert_check(&ended, "backup-dir", "problem", "--backup-dir");
}

#[test]
fn a_proxy_is_told_of_without_its_password() {
    let down = Fixture::down(&Org::of(1));
    let program = |url: &str| {
        let program =
            doctor(&down, &["--json"]).env("HTTPS_PROXY", format!("http://me:{TOKEN}@127.0.0.1:1/"));
        program.env("DEVREV_BASE_URL", url).run().exits(7)
    };
    let ended = program("https://devrev.example.com");
    assert_check(&ended, "proxy", "ok", "HTTPS_PROXY is http://127.0.0.1:1/: calls go through it");
    assert_check(&program(&down.base_url()), "proxy", "ok", "not used for this base URL");
}

#[test]
fn alerts_are_set_up_or_not() {
    let fixture = Fixture::new(&Org::of(1));
    let ended = doctor(&fixture, &["--json", "--send-test-alert"]).run().exits(0);
    assert_check(&ended, "alerts", "not-checked", "no test message was sent");
    let webhook = format!("https://hooks.slack.com/services/{TOKEN}");
    let set_up = doctor(&fixture, &["--json"]).env("SLACK_WEBHOOK", webhook).env("NOTIFY", "never");
    let set_up =
        set_up.env("SMTP_HOST", "mail.example.com").env("ALERT_EMAIL", "a@example.com").run().exits(0);
    let channels =
        "Slack (hooks.slack.com), e-mail to a@example.com by mail.example.com; no messages are sent: NOTIFY";
    assert_check(&set_up, "alerts", "ok", channels);
}

#[cfg(feature = "snowflake")]
#[test]
fn snowflake_that_is_set_up() {
    let fixture = Fixture::new(&Org::of(1));
    let partly = doctor(&fixture, &["--json"]).env("SNOWFLAKE_USER", "loader").run().exits(2);
    assert_check(&partly, "snowflake", "problem", "SNOWFLAKE_ACCOUNT");
    let Some(warehouse) = Warehouse::new() else { return };
    let program = || warehouse.prepare(doctor(&fixture, &["--json"]));
    assert_check(&program().run().exits(0), "snowflake", "ok", "loader can log in at acme-test");
    assert_eq!(warehouse.log(), ["login", "SELECT 1"]);
    let ended = program().env("SNOWFLAKE_PASSWORD", "wrong").run().exits(4);
    assert_check(&ended, "snowflake", "problem", "Snowflake refused the login");
    let ended = program().env("SNOWFLAKE_HOST", "http://127.0.0.1:1").run().exits(7);
    assert_check(&ended, "snowflake", "problem", "cannot reach Snowflake (127.0.0.1), tried 1 times");
}
