use super::*;

fn cut(text: &str, grammar: Grammar) -> Vec<(usize, String)> {
    statements(text, grammar).unwrap().into_iter().map(|one| (one.line, one.text)).collect()
}

fn wrong(text: &str, grammar: Grammar) -> (usize, String) {
    let wrong = statements(text, grammar).unwrap_err();
    (wrong.line, wrong.what)
}

#[test]
fn the_first_line_says_how_a_file_is_carried_out() {
    let read = |text: &str| Directives::read(text).unwrap();
    assert_eq!(read("CREATE TABLE a (b int);\n-- a comment"), Directives::default());
    let both = Directives { no_transaction: true, needs_timescaledb: true };
    assert_eq!(read("-- devrev-batch: no transaction, needs timescaledb\nSELECT 1"), both);
    assert_eq!(
        read("--Devrev-Batch: NO TRANSACTION\r\n"),
        Directives { no_transaction: true, ..Directives::default() }
    );
    for (text, line, says) in [
        ("-- devrev-batch: no-transaction\n", 1, "`no-transaction` is not known"),
        ("-- devrev-batch:\n", 1, "`` is not known"),
        ("\n-- devrev-batch: no transaction\n", 2, "has to be the first line"),
    ] {
        let wrong = Directives::read(text).unwrap_err();
        assert!(wrong.line == line && wrong.what.contains(says), "{text}: {wrong:?}");
    }
}

#[test]
fn statements_are_cut_where_the_database_cuts_them() {
    let text = "-- first; one\nCREATE TABLE a (b text DEFAULT ';');\n\n/* ; */ ;;\nINSERT INTO a VALUES ('x;''y')\n;SELECT 1";
    for grammar in [Grammar::Postgres, Grammar::Sqlite, Grammar::Clickhouse] {
        let expected = [
            (2, "CREATE TABLE a (b text DEFAULT ';')".to_owned()),
            (5, "INSERT INTO a VALUES ('x;''y')".to_owned()),
            (6, "SELECT 1".to_owned()),
        ];
        assert_eq!(cut(text, grammar), expected);
        assert_eq!(cut(" -- nothing\n;", grammar), []);
    }
}

#[test]
fn bodies_are_parts_of_their_statements() {
    let trigger = "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN\n UPDATE a SET b = CASE WHEN 1 THEN 2 END;\n DELETE FROM c;\nEND";
    assert_eq!(
        cut(&format!("{trigger};\nSELECT 1;"), Grammar::Sqlite),
        [(1, trigger.to_owned()), (5, "SELECT 1".to_owned())]
    );
    for body in [
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE 1 WHEN 1 THEN 2 END; END",
        "CREATE PROCEDURE p() LANGUAGE sql BEGIN ATOMIC END",
        "CREATE FUNCTION f() RETURNS int AS $f$ BEGIN RETURN 1; END; $f$ LANGUAGE plpgsql",
        "CREATE RULE r AS ON INSERT TO a DO (DELETE FROM b; DELETE FROM c)",
        "DO $$ BEGIN PERFORM 1; END $$",
    ] {
        assert_eq!(cut(&format!("{body};SELECT 1"), Grammar::Postgres).len(), 2, "{body}");
        assert_eq!(cut(&format!("{body};"), Grammar::Postgres), [(1, body.to_owned())]);
    }
}

#[test]
fn what_is_not_for_a_migration_is_refused_with_its_line() {
    for (text, grammar, line, says) in [
        ("SELECT 1;\nBEGIN;", Grammar::Postgres, 2, "BEGIN is not for a migration"),
        ("SELECT 1;\n\ncommit;", Grammar::Sqlite, 3, "COMMIT is not for a migration"),
        ("START TRANSACTION", Grammar::Postgres, 1, "START is not"),
        ("ROLLBACK", Grammar::Postgres, 1, "ROLLBACK is not"),
        ("COPY a FROM stdin;\n1\n", Grammar::Postgres, 1, "has no data here"),
        ("\\d a", Grammar::Postgres, 1, "for psql"),
        ("SET a = 1", Grammar::Clickhouse, 1, "SET has no effect"),
        ("SELECT 1;\nSELECT 'x", Grammar::Postgres, 2, "it ends within a string"),
        ("SELECT 1;\nSELECT (1;\n;", Grammar::Sqlite, 2, "parentheses do not match"),
        ("SELECT 1;\n/* x", Grammar::Clickhouse, 2, "it ends within a comment"),
        ("SELECT 1;\nSELECT '\0'", Grammar::Sqlite, 2, "NUL"),
    ] {
        let (at, what) = wrong(text, grammar);
        assert!(at == line && what.contains(says), "{text}: {at}: {what}");
    }
    for (text, grammar) in [
        ("SAVEPOINT a; ROLLBACK TO a", Grammar::Sqlite),
        ("SET LOCAL lock_timeout = '1s'", Grammar::Postgres),
    ] {
        assert!(statements(text, grammar).is_ok(), "{text}");
    }
}

#[test]
fn strings_of_statements_about_passwords_are_not_shown() {
    let all = statements("CREATE ROLE a\n  PASSWORD 's3cr3t''x';SELECT 'plain'", Grammar::Postgres).unwrap();
    assert_eq!(all[0].head(), "CREATE ROLE a PASSWORD '...'");
    assert_eq!(all[0].mask("syntax error at 's3cr3t"), "syntax error at '...");
    assert_eq!(all[1].masked(), "SELECT 'plain'");
    let sql = "DO $$ BEGIN EXECUTE 'ALTER ROLE a PASSWORD ''s3cr3t''\'; END $$";
    let body = statements(sql, Grammar::Postgres).unwrap();
    assert_eq!((&*body[0].masked(), &*body[0].mask("near s3cr3t")), ("DO '...'", "near ..."));
    let long = statements(&format!("SELECT {}", "a".repeat(100)), Grammar::Postgres).unwrap();
    assert_eq!(long[0].head().chars().count(), SHOWN + 3);
}

#[test]
fn a_character_has_a_line() {
    let all = statements("\nSELECT\n\u{e9},\nx", Grammar::Postgres).unwrap();
    assert_eq!([None, Some(1), Some(8), Some(9), Some(11)].map(|at| all[0].line_at(at)), [2, 2, 3, 3, 4]);
}

proptest::proptest! {
    #[test]
    fn any_text_is_cut_or_refused(text in "[-a-zA-Z();'\"$/*\\\\ \n]{0,80}") {
        for grammar in [Grammar::Postgres, Grammar::Sqlite, Grammar::Clickhouse] {
            let _ = statements(&text, grammar);
        }
    }
}
