//! What is a query and what is none.

use super::*;

fn parse(sql: &str) -> Result<Statement, SqlError> {
    Statement::parse(sql, Grammar::Snowflake)
}

fn order_of(sql: &str) -> Order {
    parse(sql).unwrap().order
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
        "SELECT max(update), 'INTO', \"into\" FROM t",
        "SELECT näme FROM größe WHERE ü = 'é'",
    ] {
        assert!(parse(sql).is_ok(), "{sql}: {:?}", parse(sql));
    }
    assert_eq!(parse("select a -- b\n;").unwrap().text, "select a -- b");
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
        ("WITH x AS (SELECT 1) DELETE FROM t", SqlError::Writes("DELETE")),
        ("WITH x AS (SELECT 1) UPDATE t SET a = 1", SqlError::NoSelect),
        ("WITH x AS (DELETE FROM t RETURNING a) SELECT a FROM x", SqlError::Writes("DELETE")),
        (
            "WITH x AS MATERIALIZED (update t SET a = 1 RETURNING a) SELECT a FROM x",
            SqlError::Writes("UPDATE"),
        ),
        ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", SqlError::Writes("INSERT")),
        ("SELECT a INTO t FROM b", SqlError::Writes("INTO")),
        ("SELECT 1\0", SqlError::Nul),
        ("SELECT 1) UNION SELECT * FROM (SELECT 2", SqlError::Parentheses),
        ("SELECT (1", SqlError::Parentheses),
        ("SELECT 'a", SqlError::Unclosed("a string")),
        ("SELECT \"a", SqlError::Unclosed("a quoted name")),
        ("SELECT $$a", SqlError::Unclosed("a $$ string")),
        ("SELECT 1 /* a", SqlError::Unclosed("a comment")),
    ] {
        assert_eq!(parse(sql), Err(error), "{sql}");
    }
    assert_eq!(parse(&format!("SELECT 1{}", " ".repeat(MAX_SQL_BYTES))), Err(SqlError::TooLong));
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

#[test]
fn each_database_cuts_in_its_own_way() {
    use Grammar::{Any, Clickhouse, Postgres, Snowflake, Sqlite};
    let drops = "; DROP TABLE t --";
    for (sql, taken) in [
        // A backslash before a quote.
        (format!("SELECT 'it\\'{drops}'"), &[Snowflake, Clickhouse][..]),
        (format!("SELECT E'it\\'{drops}'"), &[Snowflake, Clickhouse, Postgres]),
        (format!("SELECT e 'it\\'{drops}'"), &[Snowflake, Clickhouse]),
        // Comments.
        (format!("SELECT 1 // {drops}"), &[Snowflake]),
        (format!("SELECT 1 # {drops}"), &[Clickhouse]),
        (format!("SELECT 1 /* /* */ {drops} */"), &[Postgres, Clickhouse]),
        // Strings in dollars.
        (format!("SELECT $$ ' {drops} $$"), &[Snowflake, Postgres, Clickhouse]),
        (format!("SELECT $a$ $$ {drops} $a$"), &[Postgres, Clickhouse]),
        // Quoted names.
        (format!("SELECT `a{drops}`"), &[Sqlite, Clickhouse]),
        (format!("SELECT [a{drops}] FROM t"), &[Sqlite]),
        (format!("SELECT \"a\\\"{drops}\""), &[Clickhouse]),
        ("SELECT a ->> 'b' FROM t".to_owned(), &[Postgres, Sqlite, Clickhouse, Any]),
        (
            "SELECT a FROM t WHERE b = 'it''s' -- c".to_owned(),
            &[Snowflake, Postgres, Sqlite, Clickhouse, Any],
        ),
    ] {
        for grammar in [Snowflake, Postgres, Sqlite, Clickhouse, Any] {
            let judged = Statement::parse(&sql, grammar);
            assert_eq!(judged.is_ok(), taken.contains(&grammar), "{grammar:?}: {sql}: {judged:?}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_judged_and_what_passes_stays_in_its_parentheses(
        sql in "(SELECT|WITH x AS|) ?[-a'\"$;()/*\\\\\n ,éz`\\[\\]#!Ee]{0,40}",
        grammar in proptest::sample::select(vec![
            Grammar::Snowflake, Grammar::Postgres, Grammar::Sqlite, Grammar::Clickhouse, Grammar::Any,
        ]),
    ) {
        let parse = |sql: &str| Statement::parse(sql, grammar);
        if let Ok(statement) = parse(&sql) {
            // Within the sub-select it is still one piece: the line end closes a comment at its end.
            let wrapped = format!("SELECT * FROM (\n{}\n) AS q", statement.text);
            proptest::prop_assert!(parse(&wrapped).is_ok(), "{}", wrapped);
        }
    }
}
