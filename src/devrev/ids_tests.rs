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
    for (object, don, prefix, _) in ObjectType::ALL {
        assert_eq!(ObjectType::of_don_name(don), Some(object));
        assert_eq!((object.don_name(), object.display_prefix()), (don, prefix));
        let id = format!("don:core:dvrv-us-1:devo/X:{don}/5");
        assert_eq!(
            Ref::parse(&id, &[object]).unwrap(),
            Ref::parse(&format!("{prefix}-5"), &[object]).unwrap()
        );
    }
}

#[test]
fn another_type_is_named() {
    let error = IssueId::parse("TKT-9").unwrap_err().to_string();
    assert_eq!(error, "`TKT-9` is the ID of a ticket, where an issue is needed");
    assert!(UserId::parse("SVCACC-5").is_ok());
    assert!(GroupId::parse("don:identity:dvrv-us-1:devo/XXXX:group/4").is_ok());
}

#[test]
fn a_contact_nested_in_its_workspace_is_a_contact_like_any_other() {
    let nested = "don:identity:dvrv-us-1:devo/0:revo/6:revu/131";
    let id = RevUserId::parse(nested).unwrap();
    assert_eq!(id, RevUserId::parse("REVU-131").unwrap());
    assert_eq!(id, RevUserId::parse("don:identity:dvrv-us-1:devo/0:revu/131").unwrap());
    assert_eq!((id.key().to_string(), id.as_str()), ("REVU-131".to_owned(), nested));
    assert!(UserId::parse(nested).is_ok(), "it may have created an issue");
    let error = IssueId::parse(nested).unwrap_err().to_string();
    assert_eq!(error, format!("`{nested}` is the ID of a rev user, where an issue is needed"));
    for text in [
        "don:identity:dvrv-us-1:devo/0:revo/6:",
        "don:identity:dvrv-us-1:devo/0:revo/6:revu/",
        "don:identity:dvrv-us-1:devo/0:revo/:revu/131",
        "don:identity:dvrv-us-1:devo/0:revo/6:issue/1",
        "don:identity:dvrv-us-1:devo/0:revo/6:revo/7:revu/131",
        "don:identity:dvrv-us-1:devo/0:group/6:revu/131",
        "don:identity:dvrv-us-1:devo/0:revo/6:revu/131:x/1",
    ] {
        assert!(matches!(RevUserId::parse(text), Err(IdError::Shape { .. })), "{text}");
    }
}

#[test]
fn a_don_says_where_its_object_is() {
    let place = |don| Place::of(don).unwrap();
    let (plain, nested) =
        (place("don:identity:p:devo/0:revu/1"), place("don:identity:p:devo/0:revo/6:revu/1"));
    assert_eq!((plain.organisation, nested.organisation), ("p:devo/0", "p:devo/0"));
    assert_eq!((plain.workspace, nested.workspace), (None, Some("6")));
    assert!(plain.agrees(&nested) && nested.agrees(&plain) && nested.agrees(&nested));
    assert!(!nested.agrees(&place("don:identity:p:devo/0:revo/7:revu/1")));
    assert!(!nested.agrees(&place("don:identity:p:devo/1:revo/6:revu/1")));
    assert!(!plain.agrees(&place("don:identity:q:devo/0:revu/1")));
    assert_eq!(Place::of("REVU-1"), None);
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
        assert!(matches!(IssueId::parse(text), Err(IdError::Shape { .. })), "{text}");
    }
    assert!(IssueId::parse(&format!("ISS-{}", "1".repeat(300))).is_err());
}

#[test]
fn ids_as_people_paste_them() {
    let issue = &[ObjectType::Issue];
    for (text, tail, sent) in [
        ("ISS-4", "4", "ISS-4"),
        ("https://app.devrev.ai/acme/works/ISS-4", "4", "ISS-4"),
        ("https://app.devrev.ai/acme/works/ISS-4/?tab=timeline#x", "4", "ISS-4"),
        ("=\"ISS-4\"", "4", "ISS-4"),
        ("ISS-004", "4", "ISS-4"),
        ("iss-04", "4", "ISS-4"),
        ("don:core:dvrv-us-1:devo/X:issue/4", "4", "don:core:dvrv-us-1:devo/X:issue/4"),
    ] {
        assert_eq!(Ref::pasted(text, issue).map(|id| id.tail), Some(tail), "{text}");
        assert_eq!(id_text(text, issue), sent, "{text}");
    }
    for text in ["ISS-0", "ISS-00", "ISS-0x4", "https://app.devrev.ai/", "https://x/TKT-4", "=ISS-4", "", "4"]
    {
        assert_eq!(Ref::pasted(text, issue), None, "{text}");
        assert_eq!(id_text(text, issue), text);
    }
    // Zeros may be part of an ID that is no number.
    assert_eq!(Ref::pasted("DEVU-004", USER_TYPES).map(|id| id.tail), Some("004"));
}
