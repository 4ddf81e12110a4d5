//! What is a query and what is none.

use super::*;

fn order_of(sql: &str) -> Order {
    Statement::parse(sql).unwrap().order
}

#[test]
fn queries_are_taken() {
    for sql in [
        "SELECT 1",
        "select a from b;",
        "  -- why\n select ';' as x, \"a;b\" from t ; -- that is all\n",
        "/* PUT */ WITH x AS (SELECT 1) SELECT * FROM x",
        "// as the old one\nSELECT 'it''s', 'it\\'s; fine', $$ ; $$ FROM t",
        "SELECT GET(v, 'a'), \"PUT\" FROM t",
        "WITH x AS (SELECT ')' AS y) SELECT y FROM x;;",
        "SELECT a FROM t -- no line end",
        "SELECT näme FROM größe WHERE ü = 'é'",
    ] {
        assert!(Statement::parse(sql).is_ok(), "{sql}: {:?}", Statement::parse(sql));
    }
    assert_eq!(Statement::parse("select a -- b\n;").unwrap().text, "select a -- b");
}

#[test]
fn whatever_else_is_refused() {
    let not = |word: &str| SqlError::NotAQuery(word.to_owned());
    for (sql, error) in [
        ("", SqlError::Empty),
        (" -- nothing\n;", SqlError::Empty),
        ("put file:///etc/passwd @~", not("PUT")),
        ("/* a */ -- b\nGET @~ file:///tmp", not("GET")),
        ("// x\ncall p()", not("CALL")),
        ("(SELECT 1)", not("(")),
        ("EXPLAIN SELECT 1", not("EXPLAIN")),
        ("SELECT 1; SELECT 2", SqlError::Several),
        ("SELECT 1;;DROP TABLE t", SqlError::Several),
        ("SELECT '\\';' ; DROP TABLE t --'", SqlError::Several),
        ("SELECT 1 ->> DELETE FROM t", SqlError::Several),
        ("WITH p AS PROCEDURE () RETURNS INT AS $$ SELECT 1 $$ CALL p()", SqlError::NoSelect),
        ("WITH p AS PROCEDURE () RETURNS INT AS 'x' SELECT 1", SqlError::NoSelect),
        ("WITH x AS (SELECT 1) DELETE FROM t", SqlError::NoSelect),
        ("SELECT 1) UNION SELECT * FROM (SELECT 2", SqlError::Parentheses),
        ("SELECT (1", SqlError::Parentheses),
        ("SELECT 'a", SqlError::Unclosed("a string")),
        ("SELECT \"a", SqlError::Unclosed("a quoted name")),
        ("SELECT $$a", SqlError::Unclosed("a $$ string")),
        ("SELECT 1 /* a", SqlError::Unclosed("a comment")),
    ] {
        assert_eq!(Statement::parse(sql), Err(error), "{sql}");
    }
    assert_eq!(Statement::parse(&format!("SELECT 1{}", " ".repeat(MAX_SQL_BYTES))), Err(SqlError::TooLong));
}

#[test]
fn the_order_of_the_whole_query_is_found() {
    let name = |name: &str, suffix: &str| (By::Name(name.to_owned()), suffix.to_owned());
    assert_eq!(order_of("SELECT a FROM t"), Order::None);
    assert_eq!(
        order_of("SELECT ROW_NUMBER() OVER (ORDER BY a) FROM (SELECT a FROM t ORDER BY a)"),
        Order::None
    );
    assert_eq!(
        order_of("SELECT a, b FROM t ORDER BY a, \"b\" desc nulls last, 2 ASC LIMIT 5;"),
        Order::Columns(vec![name("A", ""), name("b", "DESC NULLS LAST"), (By::Place(2), "ASC".to_owned())])
    );
    for other in ["t.a", "LOWER(a)", "a + 1", "0", "'a'", "a COLLATE 'de'", "a,"] {
        assert_eq!(order_of(&format!("SELECT a FROM t ORDER BY {other}")), Order::Other, "{other}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_judged_and_what_passes_stays_in_its_parentheses(sql in "(SELECT|WITH x AS|) ?[-a'\"$;()/*\\\\\n ,éz]{0,40}") {
        if let Ok(statement) = Statement::parse(&sql) {
            // Within the sub-select it is still one piece: the line end closes a comment at its end.
            let wrapped = format!("SELECT * FROM (\n{}\n) AS q", statement.text);
            proptest::prop_assert!(Statement::parse(&wrapped).is_ok(), "{}", wrapped);
        }
    }
}
