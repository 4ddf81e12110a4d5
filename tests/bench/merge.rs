//! Merges: calls a pair, the share of the limit that is used, and memory.

use super::Measure;
use super::program::{Ran, Server, run as run_program};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// Contacts in pairs: each has two tickets, each secondary a conversation, and some of them files.
struct Pairs {
    count: u64,
    /// Every so many pairs there is a file.
    file_every: u64,
    file_bytes: u64,
}

const HEADER: &str =
    "REV_USER_ID,DISPLAY_NAME,EMAIL,EXTERNAL_REF,FULL_NAME,CREATED_AT,UPDATED_AT,TICKET_COUNT\n";

impl Pairs {
    fn write(&self, folder: &Path) {
        let (mut contacts, mut tickets, mut conversations) = (Vec::new(), Vec::new(), Vec::new());
        let (mut artifacts, mut timelines) = (Vec::new(), serde_json::Map::new());
        let mut csv = HEADER.to_owned();
        for pair in 1..=self.count {
            for (side, reference) in [(0, format!("REVU-{pair}x")), (1, format!("user_{pair}"))] {
                let number = pair * 2 - 1 + side;
                contacts.push(json!({"number": number, "display_name": format!("Contact {pair}"),
                    "email": format!("c{pair}@example.com"), "external_ref": reference}));
                let _ = writeln!(
                    csv,
                    "REVU-{number},Contact {pair},c{pair}@example.com,{reference},Contact {pair},2024-05-01,2024-06-01,2"
                );
                for ticket in [number * 2 - 1, number * 2] {
                    let user = format!("REVU-{number}");
                    tickets.push(json!({"number": ticket, "title": "It does not work", "created_by": user,
                        "reported_by": [user]}));
                    // One timeline in ten has a second page.
                    let entries = if ticket % 10 == 0 { 150 } else { 5 };
                    timelines.insert(format!("TKT-{ticket}"), json!({"generated": entries}));
                }
            }
            let secondary = format!("REVU-{}", pair * 2);
            conversations.push(json!({"number": pair, "title": "Hello", "members": [secondary, "DEVU-1"]}));
            if pair % self.file_every == 0 {
                artifacts.push(json!({"number": pair, "name": "screen.png", "size": self.file_bytes,
                    "type": "image/png"}));
                let entry = json!({"type": "timeline_comment", "created_by": secondary, "body": "See this.",
                    "artifacts": [pair]});
                timelines.insert(format!("CONV-{pair}"), json!([entry]));
            }
        }
        let data = json!({
            "organisation": {"id": "BENCH", "name": "Bench"}, "self": "DEVU-1",
            "users": [{"number": 1, "name": "Ana", "email": "ana@example.com"}],
            "contacts": contacts, "tickets": tickets, "conversations": conversations,
            "artifacts": artifacts, "timelines": timelines,
            "merge": {"delay_ms": 300, "ends": "gone"},
        });
        std::fs::write(folder.join("data.json"), data.to_string()).unwrap();
        std::fs::write(folder.join("contacts.csv"), csv).unwrap();
    }

    fn merge(&self, server: &[&str], more: &[&str]) -> (Ran, Value) {
        let folder = tempfile::tempdir().unwrap();
        self.write(folder.path());
        let server = [&["--listen", "127.0.0.1:0"], server].concat();
        let server = Server::start(&folder.path().join("data.json"), &server);
        let args = [&["merge-contacts", "--csv", "contacts.csv", "--yes"], more].concat();
        let ran = run_program(folder.path(), Some(&server), &args);
        assert_eq!(ran.summary["states"]["done"], self.count * 2, "{}", ran.summary);
        let stats = server.stats();
        assert_eq!((&stats["merges"], &stats["double_merges"]), (&json!(self.count), &json!(0)));
        (ran, stats)
    }

    /// Calls a pair beside those for the pages of timelines and two for each file.
    fn other_calls(&self, stats: &Value) -> f64 {
        let number = |value: &Value| value.as_f64().unwrap_or(0.0);
        let files = number(&stats["storage"]);
        let pages = number(&stats["calls"]["timeline-entries.list"]);
        (number(&stats["total"]) + files - pages - 2.0 * files) / self.count as f64
    }
}

pub(crate) fn run() -> Vec<Measure> {
    let mut measures = Vec::new();
    let pairs = Pairs { count: 200, file_every: 4, file_bytes: 20_000 };
    let (ran, stats) = pairs.merge(&[], &["--rate-limit-calls", "0"]);
    measures.push(Measure::at_most(
        "calls a merged pair, 200 pairs, beside pages of timelines and two for each file",
        pairs.other_calls(&stats),
        "",
        4.0,
        "at most 4",
    ));
    measures.push(Measure::at_most(
        "seconds for 200 pairs without a limit, merges settle after 0.3 s",
        ran.took.as_secs_f64(),
        " s",
        60.0,
        "",
    ));

    let pairs = Pairs { count: 1, file_every: 1, file_bytes: 1 << 30 };
    let (ran, _) = pairs.merge(&[], &["--rate-limit-calls", "0"]);
    let what = "peak memory of a backup with a file of 1 GiB";
    measures.push(Measure::at_most(what, ran.peak_mib, " MiB", 64.0, "at most 64 MiB"));
    measures.push(million());

    let pairs = Pairs { count: 24, file_every: 4, file_bytes: 20_000 };
    let (_, stats) =
        pairs.merge(&["--rate-limit", "45/60"], &["--rate-limit-calls", "45", "--rate-limit-period", "60"]);
    let number = |name: &str| stats[name].as_f64().unwrap();
    let elapsed = (number("last_call") - number("first_call")) / 1000.0;
    let used = (number("total") - 1.0) / elapsed / (45.0 / 60.0);
    measures.push(Measure::at_least("merges, 45 calls in 60 s: share used", used, "", 0.95, "at least 0.95"));
    measures.push(Measure::at_most(
        "merges, 45 calls in 60 s: most calls in any window",
        number("peak"),
        "",
        45.0,
        "at most the limit",
    ));
    measures.push(Measure::at_most("merges, 45 calls in 60 s: 429s", number("throttled"), "", 0.0, "none"));
    measures.push(Measure::at_most(
        "calls a merged pair, 24 pairs under 45 in 60 s",
        pairs.other_calls(&stats),
        "",
        5.0,
        "few",
    ));
    measures
}

/// A million contacts, whose pairs are far apart.
fn million() -> Measure {
    const PAIRS: u64 = 500_000;
    let folder = tempfile::tempdir().unwrap();
    Pairs { count: 1, file_every: 2, file_bytes: 0 }.write(folder.path());
    let mut csv = HEADER.to_owned();
    for (begin, prefix) in [(1, "REVU-"), (PAIRS + 1, "user_")] {
        for pair in 0..PAIRS {
            let _ = writeln!(
                csv,
                "REVU-{},Contact {pair},contact.{pair}@customer.example.com,{prefix}{pair},Contact {pair},2024-05-01,2024-06-01,2",
                begin + pair
            );
        }
    }
    std::fs::write(folder.path().join("contacts.csv"), csv).unwrap();
    let server = Server::with(&folder.path().join("data.json"));
    let args =
        ["merge-contacts", "--csv", "contacts.csv", "--dry-run", "--rate-limit-calls", "0", "--limit", "50"];
    let ran = run_program(folder.path(), Some(&server), &args);
    assert_eq!(ran.summary["rows"], 100, "{}", ran.summary);
    Measure::at_most(
        "peak memory of pairing 1,000,000 contacts",
        ran.peak_mib,
        " MiB",
        300.0,
        "at most 300 MiB",
    )
}
