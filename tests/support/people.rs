//! Small worlds of contacts, and the input that goes with each.
//!
//! The world is plain JSON, in the shape of the sandbox's data file, so that a test can bend any part of it.

use devrev_batch::sandbox::Data;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The header of an input of contacts.
pub(crate) const HEADER: &str =
    "REV_USER_ID,DISPLAY_NAME,EMAIL,EXTERNAL_REF,FULL_NAME,CREATED_AT,UPDATED_AT,TICKET_COUNT\n";

/// Entries of a timeline that has two pages.
const TWO_PAGES: u32 = 130;
/// A contact that has no duplicate.
const FIRST_SINGLE: u32 = 9001;
/// Contacts that have none.
const SINGLES: u32 = 2;

/// A row of the input.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) external_ref: String,
    pub(crate) tickets: u64,
}

/// The two contacts of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Couple {
    /// The address, in lower case.
    pub(crate) email: String,
    /// The display ID of the one whose reference begins with `REVU-`.
    pub(crate) revu: String,
    /// The display ID of the one whose reference begins with `user_`.
    pub(crate) user: String,
    /// The reference of that one.
    pub(crate) user_ref: String,
}

/// A world of pairs and of a few contacts that are no pair.
#[derive(Debug, Clone)]
pub(crate) struct People {
    /// The sandbox's data file.
    pub(crate) data: Value,
    /// The input, row by row.
    pub(crate) rows: Vec<Row>,
    /// The pairs.
    pub(crate) couples: Vec<Couple>,
}

impl People {
    /// So many pairs: `REVU-1` is to get `REVU-2`, `REVU-3` gets `REVU-4`, and so on.
    ///
    /// The n-th pair has n % 4 tickets (`TKT-n1`, ...), each of them by another of the two; most have an issue,
    /// a conversation (some of two pages), and attachments: of an entry, of a ticket, of a contact.
    pub(crate) fn of(pairs: u32) -> Self {
        let mut world = Self {
            data: json!({
                "organisation": {"id": "TEST", "name": "Test Inc."},
                "self": "DEVU-1",
                "users": [{"number": 1, "name": "Ana Sousa"}, {"number": 2, "name": "Bo Lind"}],
                "issues": [], "contacts": [], "tickets": [], "conversations": [], "artifacts": [],
                "timelines": {},
                "merge": {"delay_ms": 10},
            }),
            rows: Vec::new(),
            couples: Vec::new(),
        };
        for pair in 1..=pairs {
            world.add_pair(pair);
        }
        for number in FIRST_SINGLE..FIRST_SINGLE + SINGLES {
            let row = world.add_contact(number, &format!("single{number}@example.com"), "user_");
            world.add_work("tickets", json!({"number": number, "created_by": row.id}));
            world.rows.push(Row { tickets: 1, ..row });
        }
        world
    }

    fn add_pair(&mut self, pair: u32) {
        let email = format!("person{pair}@example.com");
        let (first, second) = (pair * 2 - 1, pair * 2);
        let revu = self.add_contact(first, &email, "REVU-");
        // The case of an address says nothing.
        let user = self.add_contact(
            second,
            &if pair.is_multiple_of(3) { email.to_uppercase() } else { email.clone() },
            "user_",
        );
        let (mut of_revu, mut of_user) = (0, 0);
        for place in 1..=pair % 4 {
            let number = pair * 10 + place;
            let ticket = match place {
                1 => json!({"created_by": user.id}),
                2 => json!({"created_by": revu.id, "reported_by": [user.id]}),
                _ => json!({"created_by": "DEVU-2", "reported_by": [revu.id], "owned_by": ["DEVU-1"]}),
            };
            of_user += u64::from(place <= 2);
            of_revu += u64::from(place >= 2);
            let artifact = (place == 1 && pair % 2 == 1).then(|| self.add_artifact(pair * 10));
            self.add_work(
                "tickets",
                with(&ticket, json!({"number": number, "artifacts": Vec::from_iter(artifact)})),
            );
            let files = (place == 2).then(|| self.add_artifact(pair * 10 + 1));
            self.set_timeline(&format!("TKT-{number}"), json!([
                {"type": "timeline_comment", "created_by": user.id, "body": "It still fails", "artifacts": Vec::from_iter(files)},
                {"type": "timeline_change_event", "created_by": "DEVU-1"},
            ]));
        }
        if !pair.is_multiple_of(3) {
            let issue = json!({"number": pair, "created_by": "DEVU-1", "reported_by": [user.id]});
            self.add_work("issues", issue);
        }
        if pair.is_multiple_of(2) {
            let members = [user.id.as_str(), if pair.is_multiple_of(4) { &revu.id } else { "DEVU-1" }];
            let conversation = json!({"number": pair, "title": format!("Talk {pair}"), "members": members});
            self.list("conversations").push(conversation);
            let timeline = if pair % 8 == 2 {
                json!({"generated": TWO_PAGES})
            } else {
                json!([{"type": "timeline_comment", "created_by": user.id, "body": "Hello"}])
            };
            self.set_timeline(&format!("CONV-{pair}"), timeline);
        }
        if pair % 4 == 3 {
            let artifact = self.add_artifact(pair * 10 + 2);
            self.contact(&user.id)["artifacts"] = json!([artifact]);
        }
        self.couples.push(Couple {
            email,
            revu: revu.id.clone(),
            user: user.id.clone(),
            user_ref: user.external_ref.clone(),
        });
        let mut rows = [Row { tickets: of_revu, ..revu }, Row { tickets: of_user, ..user }];
        if pair.is_multiple_of(2) {
            rows.reverse();
        }
        self.rows.extend(rows);
    }

    /// Adds a contact, and returns its row, of no tickets.
    pub(crate) fn add_contact(&mut self, number: u32, email: &str, prefix: &str) -> Row {
        let (name, external_ref) = (format!("Person {number}"), format!("{prefix}{}", 20_000 + number));
        self.list("contacts").push(json!({
            "number": number, "display_name": name, "full_name": name, "email": email,
            "external_ref": external_ref,
        }));
        Row { id: format!("REVU-{number}"), name, email: email.to_owned(), external_ref, tickets: 0 }
    }

    /// Adds a ticket or an issue.
    pub(crate) fn add_work(&mut self, list: &str, work: Value) {
        let title = json!({"title": format!("About {}", work["number"])});
        self.list(list).push(with(&title, work));
    }

    /// Adds a file; returns its number.
    pub(crate) fn add_artifact(&mut self, number: u32) -> u32 {
        let artifact = json!({"number": number, "name": format!("file {number}.png"), "size": 100 + number});
        self.list("artifacts").push(artifact);
        number
    }

    /// Sets the timeline of an object.
    pub(crate) fn set_timeline(&mut self, of: &str, timeline: Value) {
        self.data["timelines"][of] = timeline;
    }

    /// Part of the data.
    pub(crate) fn list(&mut self, name: &str) -> &mut Vec<Value> {
        self.data[name].as_array_mut().unwrap()
    }

    /// A contact in the data.
    pub(crate) fn contact(&mut self, id: &str) -> &mut Value {
        let is = |contact: &&mut Value| format!("REVU-{}", contact["number"]) == id;
        self.list("contacts").iter_mut().find(is).unwrap()
    }

    /// A contact's row.
    pub(crate) fn row(&mut self, id: &str) -> &mut Row {
        self.rows.iter_mut().find(|row| row.id == id).unwrap()
    }

    /// What the sandbox is to hold.
    pub(crate) fn data(&self) -> Data {
        Data::from_json(self.data.to_string().as_bytes()).unwrap()
    }

    /// The input.
    pub(crate) fn csv(&self) -> String {
        let mut csv = HEADER.to_owned();
        for Row { id, name, email, external_ref, tickets } in &self.rows {
            let times = "2024-01-08T21:15:00Z,2025-02-10T19:40:00Z";
            writeln!(csv, "{id},{name},{email},{external_ref},{name},{times},{tickets}").unwrap();
        }
        csv
    }
}

/// One object with the members of another.
fn with(one: &Value, other: Value) -> Value {
    let mut both = one.clone();
    if let (Value::Object(both), Value::Object(other)) = (&mut both, other) {
        both.extend(other);
    }
    both
}
