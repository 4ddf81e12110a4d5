//! The examples at the end of each command's help. A test parses every one.

/// Of the program itself.
pub const PROGRAM: &str = "\
Examples:
  devrev-batch backfill-groups --csv test_data/issues.csv --sandbox --yes
  devrev-batch doctor
  devrev-batch resume";

/// Of `validate`.
pub const VALIDATE: &str = "\
Examples:
  devrev-batch validate --csv issues.csv
  devrev-batch validate --csv contacts.csv --kind contacts --json
  devrev-batch validate --csv issues.csv --online
  devrev-batch validate --kind update --object ticket --csv edited.csv --online";

/// Of `backfill-groups`.
pub const BACKFILL_GROUPS: &str = "\
Examples:
  devrev-batch backfill-groups --csv issues.csv --dry-run
  devrev-batch backfill-groups --csv issues.csv --limit 10
  devrev-batch backfill-groups --source snowflake --on-ambiguous assigned --yes";

/// Of `merge-contacts`.
pub const MERGE_CONTACTS: &str = "\
Examples:
  devrev-batch merge-contacts --csv contacts.csv --preview
  devrev-batch merge-contacts --csv contacts.csv --limit 1
  devrev-batch merge-contacts --csv contacts.csv --filter-email '*@example.com' --exclude-email 'test*'";

/// Of `export`.
pub const EXPORT: &str = "\
Examples:
  devrev-batch export --object ticket --where stage=triage -o tickets.csv
  devrev-batch export --object account --fields display_name,tier,owned_by --names -o accounts.csv
  devrev-batch export --object issue --changed-since 2026-11-01 --format jsonl -o -";

/// Of `update`.
pub const UPDATE: &str = "\
Examples:
  devrev-batch update --object ticket --csv edited.csv --base tickets.csv --dry-run
  devrev-batch update --object ticket --csv tickets.csv --set severity=high --where stage=triage
  devrev-batch update --object account --csv accounts.csv --match external_ref --map Owner=owned_by";

/// Of `create`.
pub const CREATE: &str = "\
Examples:
  devrev-batch create --object ticket --csv tickets.csv --dry-run
  devrev-batch create --object issue --csv import.csv --map Key=external_ref --set applies_to_part=PROD-1
  devrev-batch create --object account --csv accounts.csv --map CRM_ID=external_ref --map Name=display_name";

/// Of `load`.
pub const LOAD: &str = "\
Examples:
  devrev-batch load test_data/jobs/prices.yaml --sandbox --dry-run
  devrev-batch load jobs/prices.yaml --param symbols=BTC,ETH --start-date 2026-01-01
  devrev-batch load jobs/prices.yaml --start-date 2026-01-01 --reload --yes";

/// Of `load ledger`.
pub const LOAD_LEDGER: &str = "\
Examples:
  devrev-batch load ledger list jobs/prices.yaml
  devrev-batch load ledger forget jobs/prices.yaml --slice all
  devrev-batch load ledger forget jobs/prices.yaml --all";

/// Of `load ledger list`.
pub const LOAD_LEDGER_LIST: &str = "\
Examples:
  devrev-batch load ledger list jobs/prices.yaml
  devrev-batch load ledger list jobs/prices.yaml --json
  devrev-batch load ledger list jobs/prices.yaml --param database=analytics";

/// Of `load ledger forget`.
pub const LOAD_LEDGER_FORGET: &str = "\
Examples:
  devrev-batch load ledger forget jobs/prices.yaml --slice 2026-01-01..2026-01-31
  devrev-batch load ledger forget jobs/prices.yaml --slice data/may.csv --slice data/june.csv --yes
  devrev-batch load ledger forget jobs/prices.yaml --all";

/// Of `resume`.
pub const RESUME: &str = "\
Examples:
  devrev-batch resume
  devrev-batch resume 20261122-034500-backfill-groups-7f3a --retry-failed
  devrev-batch resume --latest --if-any --yes --quiet";

/// Of `apply`.
pub const APPLY: &str = "\
Examples:
  devrev-batch apply 20261122-034500-backfill-groups-7f3a
  devrev-batch apply 20261122-034500-backfill-groups-7f3a --limit 100
  devrev-batch apply 20261122-034500-backfill-groups-7f3a --on-drift abort --yes";

/// Of `undo`.
pub const UNDO: &str = "\
Examples:
  devrev-batch undo 20261122-034500-backfill-groups-7f3a --dry-run
  devrev-batch undo 20261122-034500-backfill-groups-7f3a
  devrev-batch undo 20261122-040000-merge-contacts-19be --limit 1
  devrev-batch undo 20261122-050000-update-44c1 --delete-created --dry-run";

/// Of `migrate`.
pub const MIGRATE: &str = "\
Examples:
  devrev-batch migrate status --target sqlite:analytics.db --dir migrations
  devrev-batch migrate up --target postgres://loader@db.example.com/analytics --dry-run
  devrev-batch migrate down 2 --target sqlite:analytics.db";

/// Of `migrate up`.
pub const MIGRATE_UP: &str = "\
Examples:
  devrev-batch migrate up --target sqlite:analytics.db --dry-run
  devrev-batch migrate up --target postgres://loader@db.example.com/analytics --lock-timeout 5m --yes
  devrev-batch migrate up --target clickhouse+https://ch.example.com:8443/analytics --half-done retry";

/// Of `migrate down`.
pub const MIGRATE_DOWN: &str = "\
Examples:
  devrev-batch migrate down --target sqlite:analytics.db --dry-run
  devrev-batch migrate down 3 --target sqlite:analytics.db --dir migrations
  devrev-batch migrate down --half-done accept --yes";

/// Of `migrate status`.
pub const MIGRATE_STATUS: &str = "\
Examples:
  devrev-batch migrate status
  devrev-batch migrate status --target sqlite:analytics.db --json
  devrev-batch migrate status --target postgres://loader@db.example.com/analytics --dir sql/migrations";

/// Of `runs`.
pub const RUNS: &str = "\
Examples:
  devrev-batch runs
  devrev-batch runs show 20261122-034500-backfill-groups-7f3a
  devrev-batch runs prune --older-than 90d --dry-run";

/// Of `runs list`.
pub const RUNS_LIST: &str = "\
Examples:
  devrev-batch runs list --limit 5
  devrev-batch runs list --state stopped --days 7
  devrev-batch runs list --job merge-contacts --target api.devrev.ai --json";

/// Of `runs show`.
pub const RUNS_SHOW: &str = "\
Examples:
  devrev-batch runs show 20261122-034500-backfill-groups-7f3a
  devrev-batch runs show runs/20261122-034500-backfill-groups-7f3a/
  devrev-batch runs show 20261122-034500-backfill-groups-7f3a --json";

/// Of `runs watch`.
pub const RUNS_WATCH: &str = "\
Examples:
  devrev-batch runs watch
  devrev-batch runs watch 20261122-034500-backfill-groups-7f3a
  devrev-batch runs watch --runs-dir /srv/devrev/runs";

/// Of `runs stats`.
pub const RUNS_STATS: &str = "\
Examples:
  devrev-batch runs stats --days 30
  devrev-batch runs stats --job merge-contacts --target api.devrev.ai --json
  devrev-batch runs stats --days 7 --html stats.html";

/// Of `runs serve`.
pub const RUNS_SERVE: &str = "\
Examples:
  devrev-batch runs serve
  devrev-batch runs serve --listen 8080 --runs-dir /srv/devrev/runs
  devrev-batch runs serve --listen 0.0.0.0:5555 --allow-host batch.example.com";

/// Of `runs close`.
pub const RUNS_CLOSE: &str = "\
Examples:
  devrev-batch runs close 20261122-034500-backfill-groups-7f3a
  devrev-batch runs close 20261122-034500-backfill-groups-7f3a --reason 'replaced by a new export'
  devrev-batch runs close 20261122-034500-backfill-groups-7f3a --runs-dir /srv/devrev/runs";

/// Of `runs prune`.
pub const RUNS_PRUNE: &str = "\
Examples:
  devrev-batch runs prune --older-than 90d --dry-run
  devrev-batch runs prune --older-than 90d
  devrev-batch runs prune --older-than 52w --yes --quiet";

/// Of `backups`.
pub const BACKUPS: &str = "\
Examples:
  devrev-batch backups verify
  devrev-batch backups verify /mnt/archive/backups
  devrev-batch backups prune --orphans --dry-run";

/// Of `backups verify`.
pub const BACKUPS_VERIFY: &str = "\
Examples:
  devrev-batch backups verify
  devrev-batch backups verify /mnt/archive/backups
  devrev-batch backups verify --json";

/// Of `backups prune`.
pub const BACKUPS_PRUNE: &str = "\
Examples:
  devrev-batch backups prune --orphans --dry-run
  devrev-batch backups prune --orphans
  devrev-batch backups prune /mnt/archive/backups --orphans --yes";

/// Of `doctor`.
pub const DOCTOR: &str = "\
Examples:
  devrev-batch doctor
  devrev-batch doctor --send-test-alert
  devrev-batch doctor --env-file production.env --json";

/// Of `sample`.
pub const SAMPLE: &str = "\
Examples:
  devrev-batch sample --csv issues.csv --size 50 -o first.csv
  devrev-batch sample --csv contacts.csv --size 10 -o pairs.csv --force
  devrev-batch sample --csv issues.csv --seed 7 -o -";

/// Of `sandbox`.
pub const SANDBOX: &str = "\
Examples:
  devrev-batch sandbox
  devrev-batch sandbox --rate-limit 50/10 --delay 40
  devrev-batch sandbox --fault path=works.update,status=503,count=3 --merge-ends never";

/// Of `completions`.
pub const COMPLETIONS: &str = "\
Examples:
  devrev-batch completions bash
  devrev-batch completions zsh
  devrev-batch completions fish";

/// Of `man`.
pub const MAN: &str = "\
Examples:
  devrev-batch man
  devrev-batch man --dir man1
  devrev-batch man --dir /usr/local/share/man/man1";

#[cfg(test)]
mod tests {
    use crate::cli::Cli;
    use clap::{Command, CommandFactory, Parser};

    /// Every command, with its name after its parents'.
    fn each(name: &str, command: &Command, check: &mut impl FnMut(&str, &Command)) {
        check(name, command);
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            each(&format!("{name}-{}", sub.get_name()), sub, check);
        }
    }

    fn each_command(mut check: impl FnMut(&str, &Command)) {
        let mut program = Cli::command();
        program.build();
        each("help", &program, &mut check);
    }

    #[test]
    fn every_command_has_three_examples_that_it_takes() {
        let mut seen = 0;
        each_command(|name, command| {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<_> = help.lines().skip(1).map(str::trim).collect();
            assert!(examples.len() >= 3, "{name} has {} examples", examples.len());
            for example in examples {
                let words = example.split_whitespace().map(|word| word.trim_matches('\''));
                let quoted = example.contains("--reason");
                let parsed = if quoted {
                    let (start, reason) = example.split_once(" '").unwrap();
                    Cli::try_parse_from(start.split_whitespace().chain([reason.trim_end_matches('\'')]))
                } else {
                    Cli::try_parse_from(words)
                };
                assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
                seen += 1;
            }
        });
        assert!(seen >= 60, "{seen}");
    }

    // A build without some of its features has fewer commands.
    #[cfg(all(feature = "load", feature = "clickhouse"))]
    #[test]
    fn help_texts_are_reviewed() {
        each_command(|name, command| {
            let help = command.clone().term_width(100).render_long_help().to_string();
            insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(name, help);
            });
        });
    }
}
