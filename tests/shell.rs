//! `completions` and `man`.

use crate::support::{Fixture, Org};
use std::process::{Command, Stdio};

#[test]
fn every_shell_has_its_completions() {
    let fixture = Fixture::down(&Org::of(1));
    for (shell, sign) in [
        ("bash", "complete -F _devrev__batch"),
        ("zsh", "#compdef devrev-batch"),
        ("fish", "complete -c devrev-batch"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion:arg-completer"),
    ] {
        let ended =
            fixture.program(["completions", shell]).without("DEVREV_API_TOKEN").run().exits(0).says(sign);
        assert!(ended.out.contains("merge-contacts") && ended.err.is_empty(), "{}", ended.all());
    }
    fixture.program(["completions", "tcsh"]).run().exits(2).says("bash, elvish, fish, powershell, zsh");
}

#[test]
fn bash_takes_its_completions() {
    let fixture = Fixture::down(&Org::of(1));
    let script = fixture.program(["completions", "bash"]).run().exits(0).out;
    let path = fixture.write("completions.bash", script);
    // As bash itself calls the function: the program, the word, the word before it.
    let ask = r#"
        source "$0" && complete -p devrev-batch
        COMP_WORDS=(devrev-batch runs pr) COMP_CWORD=2; _devrev__batch devrev-batch pr runs; echo "${COMPREPLY[@]}"
        COMP_WORDS=(devrev-batch backfill-groups --on) COMP_CWORD=2
        _devrev__batch devrev-batch --on backfill-groups; echo "${COMPREPLY[@]}"
    "#;
    // Where there is no bash, nobody misses its completions.
    let Ok(bash) = Command::new("bash").args(["-c", ask]).arg(path).output() else { return };
    let said = String::from_utf8_lossy(&bash.stdout).into_owned();
    assert!(said.contains("_devrev__batch devrev-batch\n") && bash.stderr.is_empty(), "{bash:?}");
    assert!(said.ends_with("\nprune\n--on-ambiguous\n"), "{bash:?}");
}

#[test]
fn a_page_for_every_command() {
    let fixture = Fixture::down(&Org::of(1));
    let one = fixture.program(["man"]).run().exits(0).says(".TH devrev-batch 1");
    fixture.program(["man", "--dir", "deep/man1"]).run().exits(0).says("pages written to deep/man1");
    let page = |name: &str| std::fs::read_to_string(fixture.path("deep/man1").join(name)).unwrap();
    assert_eq!(page("devrev-batch.1").trim_end(), one.out.trim_end());
    for command in ["validate", "backfill-groups", "runs", "runs-prune", "backups-verify", "man"] {
        let text = page(&format!("devrev-batch-{command}.1"));
        assert!(text.contains(".SH NAME") && text.contains(&command.replace('-', r"\-")), "{text}");
    }
    // Once more, over those that are there.
    fixture.program(["man", "--dir", "deep/man1"]).run().exits(0);
    fixture.program(["man", "--dir", "issues.csv"]).run().exits(2).says("cannot write issues.csv");
}

#[test]
fn what_is_no_json_refuses_to_be_it() {
    let fixture = Fixture::down(&Org::of(1));
    for args in [&["completions", "bash"][..], &["man"], &["man", "--dir", "man1"]] {
        let ended = fixture.program(args).arg("--json").run().exits(2);
        assert_eq!(ended.json()["error"]["exit"], 2, "{}", ended.all());
    }
    assert!(!fixture.path("man1").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let fixture = Fixture::down(&Org::of(1));
    let cases: [&[&str]; 5] = [
        &["completions", "zsh"],
        &["man"],
        &["runs"],
        &["runs", "--json"],
        &["sample", "--csv", "issues.csv", "-o", "-"],
    ];
    for args in cases {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        fixture.program(args).stdout(Stdio::from(writer)).run().exits(0);
    }
}
