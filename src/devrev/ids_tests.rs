//! IDs in both forms, and what is none.

use super::*;

const DON: &str = "don:core:dvrv-us-1:devo/XXXX:issue/123";

#[test]
fn both_forms_name_one_object() {
    let (don, display) = (IssueId::parse(DON).unwrap(), IssueId::parse("iss-123").unwrap());
    assert_eq!(don, display);
    assert_eq!(don.key().to_string(), "ISS-123");
    assert_ne!(don, IssueId::parse("ISS-124").unwrap());
}

#[test]
fn the_case_of_a_contacts_tail_counts() {
    assert_ne!(UserId::parse("REVU-abc").unwrap(), UserId::parse("REVU-aBc").unwrap());
}

#[test]
fn each_type_is_known_by_its_name() {
    for object in ObjectType::ALL {
        assert_eq!(ObjectType::of_don_name(object.don_name()), Some(object));
    }
}

#[test]
fn another_type_is_named() {
    let error = IssueId::parse("TKT-9").unwrap_err().to_string();
    assert_eq!(error, "`TKT-9` is the ID of a ticket, where an issue is wanted");
    assert!(UserId::parse("SVCACC-5").is_ok());
    assert!(GroupId::parse("don:identity:dvrv-us-1:devo/XXXX:group/4").is_ok());
}

#[test]
fn what_is_no_id_is_refused() {
    for text in [
        "",
        "123",
        "ISS-",
        "ISS-0123",
        "ISS-12a",
        "ISS 12",
        "ISS-12 ",
        "don:",
        "don:core:dvrv-us-1:devo/XXXX",
        "don:core:dvrv-us-1:devo/XXXX:issue",
        "don:core:dvrv-us-1:devo/XXXX:issue/",
        "don:core:dvrv-us-1:devo/XXXX:issue/1/2",
        "don:core:dvrv-us-1:XXXX:issue/1",
        "don:core::devo/XXXX:issue/1",
        "don:core:dvrv-us-1:devo/XXXX:issue/1:2",
        "don:core:dvrv-us-1:devo/../x:issue/1",
        "ISS-\u{661}",
    ] {
        assert!(matches!(IssueId::parse(text), Err(IdError::Shape(_))), "{text}");
    }
    assert!(IssueId::parse(&format!("ISS-{}", "1".repeat(300))).is_err());
}
