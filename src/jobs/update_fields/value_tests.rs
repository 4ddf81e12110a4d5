//! Values in cells, requests and answers.

use super::*;
use crate::devrev::objects::{self, Choice, Clear, Shape, Words};
use proptest::prelude::*;

fn parsed(kind: &Kind, cell: &str) -> Result<Value, String> {
    parse(kind, cell, None)
}

fn field(object: &str, name: &str) -> Field {
    objects::named(object).unwrap().field(name).unwrap().clone()
}

fn choices() -> Kind {
    let choice = |(id, label): (i64, &str)| Choice { id, label: label.to_owned() };
    Kind::Choice([(1, "Low"), (2, "2"), (7, "High; very")].into_iter().map(choice).collect())
}

#[test]
fn cells_say_what_people_write() {
    let words = Kind::Word(Words::Stock(&["blocker", "high"]));
    for (kind, cell, wanted) in [
        (Kind::Int, " 42 ", json!(42)),
        (Kind::Int, "-7", json!(-7)),
        (Kind::Number, "12.50", json!(12.5)),
        (Kind::Number, "0.1", json!(0.1)),
        (Kind::Money, "1200.50 eur", json!({"amount": "1200.50", "currency": "EUR"})),
        (Kind::Flag, "TRUE", json!(true)),
        (Kind::Flag, "no", json!(false)),
        (Kind::Time, "2026-12-01", json!("2026-12-01T00:00:00.000Z")),
        (Kind::Time, "2026-12-01 10:30 +0200", json!("2026-12-01T08:30:00.000Z")),
        (Kind::Date, "2026-12-01", json!("2026-12-01")),
        (words.clone(), "Blocker", json!("blocker")),
        (choices(), "low", json!(1)),
        (choices(), "2", json!(2)),
        (choices(), "High; very", json!(7)),
        (Kind::Text { min: 0, max: 9 }, r"\\C", json!(r"\C")),
        (Kind::Text { min: 0, max: 9 }, " a ", json!(" a ")),
        (Kind::One(Target::Account), "https://app.devrev.ai/x/ACC-5", json!("ACC-5")),
        (Kind::One(Target::Group), "Support", json!("Support")),
        (Kind::List(Box::new(words), Shape::Set), "high; blocker;;high", json!(["high", "blocker"])),
        (
            Kind::Tags(Shape::Array),
            "TAG-1=very high;TAG-2",
            json!([{"id": "TAG-1", "value": "very high"}, {"id": "TAG-2"}]),
        ),
    ] {
        assert_eq!(parsed(&kind, cell), Ok(wanted), "{cell}");
    }
}

#[test]
fn what_a_field_cannot_hold_is_refused_with_what_it_can() {
    let words = Kind::Word(Words::Stock(&["blocker", "high"]));
    for (kind, cell, why) in [
        (Kind::Int, "1.5", "whole number"),
        (Kind::Int, "1E+17", "whole number"),
        (Kind::Number, "1,5", "decimal number"),
        (Kind::Number, "NaN", "decimal number"),
        (Kind::Number, "1E+5", "decimal number"),
        (Kind::Number, "123456789012345678901", "a number of 21 digits, and 17 are kept"),
        (
            Kind::Tags(Shape::Array),
            "TAG-1=1;TAG-1=2",
            "the tag `TAG-1` is there twice, with different values",
        ),
        (Kind::Money, "12", "amount and a currency"),
        (Kind::Money, "12 EURO", "amount and a currency"),
        (Kind::Flag, "maybe", "neither `true` nor `false`"),
        (Kind::Time, "tomorrow", "not a date or a time"),
        (Kind::Date, "2026-02-30", "not a date"),
        (words, "urgent", "none of the allowed values: blocker, high"),
        (choices(), "9", "none of the allowed values: Low, 2, High; very"),
        (Kind::Text { min: 0, max: 2 }, "abc", "3 characters long, and 2 are allowed"),
        (Kind::One(Target::Any), "SPRINT-1", "not a DON"),
        (Kind::One(Target::Artifact), "photo.png", "not the ID of an artifact"),
        (Kind::Other, "x", "no cell can hold"),
    ] {
        let problem = parsed(&kind, cell).unwrap_err();
        assert!(problem.contains(why), "{cell}: {problem}");
    }
}

#[test]
fn answers_are_read_as_requests_would_have_them() {
    let object: Members = serde_json::from_value(json!({
        "stage": {"name": "triage", "stage": {"id": "x", "name": "triage"}},
        "owned_by": [{"type": "dev_user", "id": "don:identity:x:devo/1:devu/7"}],
        "tags": [{"tag": {"id": "don:core:x:devo/1:tag/1", "name": "a"}, "value": "v"}, {"tag": {"id": "TAG-2"}}],
        "sentiment": {"id": 4, "label": "Unhappy", "ordinal": 4},
        "account": {"id": "ACC-1"}, "body": "", "reported_by": [],
        "custom_fields": {"tnt__x": {"id": "GROUP-1"}},
    }))
    .unwrap();
    let ticket = |name: &str| of(&field("ticket", name), &object);
    assert_eq!(ticket("stage"), "triage");
    assert_eq!(ticket("owned_by"), json!(["don:identity:x:devo/1:devu/7"]));
    assert_eq!(ticket("tags"), json!([{"id": "don:core:x:devo/1:tag/1", "value": "v"}, {"id": "TAG-2"}]));
    assert_eq!((ticket("sentiment"), ticket("account")), (json!(4), json!("ACC-1")));
    assert_eq!(
        (ticket("body"), ticket("reported_by"), ticket("title")),
        (Value::Null, Value::Null, Value::Null)
    );
    let custom = Field { name: "tnt__x".into(), kind: Kind::One(Target::Group), clear: Clear::Null };
    assert_eq!(of(&custom, &object), "GROUP-1");
}

#[test]
fn values_are_compared_by_what_they_mean() {
    let texts = Kind::List(Box::new(Kind::Text { min: 0, max: 9 }), Shape::Array);
    for (kind, one, other) in [
        (Kind::Flag, Value::Null, json!(false)),
        (Kind::Time, json!("2026-12-01T00:00:00Z"), json!("2026-12-01T01:00:00.000+01:00")),
        (Kind::RichText { max: 9 }, json!("a\r\nb \n"), json!("a\nb")),
        (Kind::Number, json!(1), json!(1.0)),
        (Kind::Money, json!({"amount": "5.0", "currency": "EUR"}), json!({"amount": "5", "currency": "eur"})),
        (texts.clone(), json!(["a", "b", "a"]), json!(["b", " a "])),
        (
            Kind::Tags(Shape::Array),
            json!([{"id": "TAG-1", "value": " x"}]),
            json!([{"id": "TAG-1", "value": "x"}]),
        ),
        (Kind::One(Target::User), json!("DEVU-7"), json!("don:identity:x:devo/1:devu/7")),
        (texts.clone(), json!(["a", "b"]), json!(["b", "a"])),
        (Kind::Tags(Shape::Array), json!([{"id": "TAG-1"}]), json!([{"id": "don:core:x:devo/1:tag/1"}])),
    ] {
        assert!(same(&kind, &one, &other) && same(&kind, &other, &one), "{one} {other}");
    }
    for (kind, one, other) in [
        (Kind::Flag, Value::Null, json!(true)),
        (Kind::Text { min: 0, max: 9 }, json!("a"), json!("a ")),
        (Kind::One(Target::User), json!("DEVU-7"), json!("REVU-7")),
        (
            Kind::One(Target::User),
            json!("don:identity:x:devo/2:devu/7"),
            json!("don:identity:x:devo/1:devu/7"),
        ),
        (texts, json!(["a", "a"]), json!(["a", "b"])),
        (Kind::Int, json!(9_007_199_254_740_992_i64), json!(9_007_199_254_740_993_i64)),
        (
            Kind::Money,
            json!({"amount": "9007199254740992.01", "currency": "EUR"}),
            json!({"amount": "9007199254740992.02", "currency": "EUR"}),
        ),
        (Kind::Tags(Shape::Array), json!([{"id": "TAG-1"}]), json!([{"id": "TAG-1", "value": "v"}])),
    ] {
        assert!(!same(&kind, &one, &other), "{one} {other}");
    }
}

#[test]
fn elements_are_added_and_removed_by_what_they_are() {
    let tags = Kind::Tags(Shape::AddRemove);
    let now = json!([{"id": "don:core:x:devo/1:tag/1", "value": "old"}, {"id": "TAG-2"}]);
    let added = with(&tags, &now, &json!([{"id": "TAG-1", "value": "new"}, {"id": "TAG-3"}]));
    assert_eq!(added, json!([{"id": "TAG-2"}, {"id": "TAG-1", "value": "new"}, {"id": "TAG-3"}]));
    assert_eq!(without(&tags, &now, &json!([{"id": "TAG-1"}])), json!([{"id": "TAG-2"}]));
    assert_eq!(without(&tags, &now, &now), Value::Null);
}

#[test]
fn an_unchanged_value_of_devrev_is_no_change() {
    let texts = Kind::List(Box::new(Kind::Text { min: 0, max: 9 }), Shape::Array);
    for (kind, value) in [
        (Kind::Number, json!(0.300_000_000_000_000_04)),
        (Kind::Number, json!(1e21)),
        (Kind::Number, json!(1e-7)),
        (Kind::Number, json!(u64::MAX)),
        (Kind::Money, json!({"amount": "1234567890123456789.01", "currency": "EUR"})),
        (Kind::Time, json!("2026-12-01T09:30:00.123456Z")),
        (Kind::Time, json!("2026-12-01T09:30:00Z")),
        (Kind::Text { min: 0, max: 9 }, json!("\n \\C ")),
        (texts.clone(), json!([" a ", "b", "b"])),
        (texts, json!(["\\C"])),
        (Kind::Tags(Shape::Array), json!([{"id": "TAG-1", "value": " x "}])),
    ] {
        let cell = cell(&kind, &value);
        let read = parsed(&kind, &cell).unwrap();
        assert!(same(&kind, &read, &value) && cell.trim() != CLEAR, "{cell}: {read}");
        // By way of a line of JSON.
        let Value::String(text) = in_json(&kind, value.clone()) else { continue };
        assert_eq!((parsed(&kind, &text), text.trim() == CLEAR), (Ok(read), false), "{text}");
    }
    let finer = parsed(&Kind::Time, "2026-12-01T09:30:00.123456Z");
    assert_eq!(finer, Ok(json!("2026-12-01T09:30:00.123456Z")));
}

#[test]
fn nothing_is_looked_up_for_a_cell_that_names_nothing() {
    for kind in [Kind::One(Target::Account), Kind::List(Box::new(Kind::One(Target::User)), Shape::Set)] {
        for cell in ["", CLEAR] {
            assert_eq!(names(&kind, cell), [], "{cell}");
        }
    }
}

fn kinds() -> impl Strategy<Value = (Kind, Value)> {
    let text = || "[a-c;=\\\\C \u{e9}\n']{0,6}";
    prop_oneof![
        text().prop_map(|text| (Kind::Text { min: 0, max: 99 }, json!(text))),
        any::<i64>().prop_map(|number| (Kind::Int, json!(number))),
        any::<bool>().prop_map(|flag| (Kind::Flag, json!(flag))),
        (0..10_000_u32, 0..100_u32).prop_map(|(whole, part)| {
            let amount = format!("{whole}.{part:02}");
            (Kind::Money, json!({"amount": amount, "currency": "USD"}))
        }),
        prop::collection::btree_set("[a-c;\\\\]{1,4}", 1..4).prop_map(|set| {
            let kind = Kind::List(Box::new(Kind::Text { min: 0, max: 99 }), Shape::Array);
            (kind, set.into_iter().collect())
        }),
        prop::collection::btree_map(1..50_u8, prop::option::of("[a-c;=]{1,4}"), 1..4).prop_map(|tags| {
            let tag = |(number, value): (u8, Option<String>)| match value {
                Some(value) => json!({"id": format!("TAG-{number}"), "value": value}),
                None => json!({"id": format!("TAG-{number}")}),
            };
            (Kind::Tags(Shape::Array), tags.into_iter().map(tag).collect())
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_exported_is_read_back((kind, value) in kinds()) {
        let cell = cell(&kind, &value);
        // An element that escapes into `\C` alone is a text like any other.
        prop_assert_eq!(parsed(&kind, &cell), Ok(value), "{}", cell);
    }

    #[test]
    fn no_cell_is_a_panic(cell in ".{0,40}") {
        for object in objects::OBJECTS.iter() {
            for field in &object.fields {
                let _ = (parsed(&field.kind, &cell), names(&field.kind, &cell));
            }
        }
    }
}
