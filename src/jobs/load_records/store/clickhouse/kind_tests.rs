use super::*;

fn written(kind: &str, cell: &str) -> Result<String, String> {
    let kind = Kind::parse(kind).unwrap_or_else(|| panic!("{kind}"));
    let mut json = String::new();
    let cell: Box<RawValue> = serde_json::from_str(cell).unwrap();
    kind.write(&cell, Tz::Europe__Berlin, &mut json).map(|()| json)
}

#[test]
fn what_fits_is_written_in_one_form() {
    for (kind, cell, json) in [
        ("Int32", "5", "5"),
        ("Int32", "\"5\"", "5"),
        ("Int32", "-2147483648", "-2147483648"),
        ("Int32", "1e2", "100"),
        ("Int32", "5.0", "5"),
        ("UInt8", "-0", "0"),
        ("UInt8", "true", "1"),
        ("UInt64", "\"18446744073709551615\"", "18446744073709551615"),
        (
            "UInt256",
            "\"115792089237316195423570985008687907853269984665640564039457584007913129639935\"",
            "\"115792089237316195423570985008687907853269984665640564039457584007913129639935\"",
        ),
        ("Decimal(9, 2)", "\"1.20\"", "\"1.2\""),
        ("Decimal(9, 2)", "-1234567.89", "\"-1234567.89\""),
        ("Decimal(9, 2)", "1e3", "\"1000\""),
        ("Decimal(9, 9)", "\"1e-9\"", "\"0.000000001\""),
        ("Float64", "0.1", "0.1"),
        ("Float64", "\"-inf\"", "\"-inf\""),
        ("Float64", "\"NaN\"", "\"nan\""),
        ("Float64", "\"123456789.12345678901234567890\"", "123456789.12345678901234567890"),
        ("Float64", "1e300", "1e300"),
        ("Float32", "16777216", "16777216"),
        ("Float64", "\".5\"", "0.5"),
        ("Bool", "true", "true"),
        ("Bool", "\"False\"", "false"),
        ("Bool", "1", "true"),
        ("String", "1.50", "\"1.50\""),
        ("LowCardinality(String)", "\"a\\\"\\u0000\"", "\"a\\\"\\u0000\""),
        ("LowCardinality(Nullable(String))", "null", "null"),
        ("FixedString(3)", "\"aé\"", "\"aé\""),
        ("UUID", "\"6ECD8C994036403DBF84CF8400F67836\"", "\"6ecd8c99-4036-403d-bf84-cf8400f67836\""),
        ("IPv4", "\"1.2.3.4\"", "\"1.2.3.4\""),
        ("IPv6", "\"1.2.3.4\"", "\"::ffff:1.2.3.4\""),
        ("Enum8('a' = 1, 'it\\'s, b=' = -2)", "\"it's, b=\"", "\"it's, b=\""),
        ("Enum8('a' = 1, 'b' = 2)", "2", "\"b\""),
        ("Float32", "11000000000", "11000000000"),
        ("Float64", "1e308", "1e308"),
        ("Float32", "3.4e38", "3.4e38"),
        ("Date", "\"2149-06-06\"", "\"2149-06-06\""),
        ("Date32", "\"1900-01-01\"", "\"1900-01-01\""),
        ("DateTime", "\"2024-05-01T10:00:00+02:00\"", "\"2024-05-01T08:00:00Z\""),
        // Without a zone it is of the job's.
        ("DateTime('UTC')", "\"2024-05-01 10:00:00\"", "\"2024-05-01T08:00:00Z\""),
        ("DateTime64(3, 'Asia/Tokyo')", "\"2024-05-01T10:00:00.120Z\"", "\"2024-05-01T10:00:00.120Z\""),
        ("Array(Nullable(Int8))", "\"[1,null]\"", "[1,null]"),
        ("Array(Array(String))", "[[\"a\"],[]]", "[[\"a\"],[]]"),
        ("Map(Int8, Array(Date))", "{\"1\":[\"2024-01-01\"]}", "{\"1\":[\"2024-01-01\"]}"),
        ("Tuple(Int8, String)", "[1,\"a\"]", "[1,\"a\"]"),
        ("Tuple(a Int8, `b c` String)", "{\"b c\":\"x\",\"a\":1}", "{\"a\":1,\"b c\":\"x\"}"),
        ("Tuple(a Int8, b String)", "[1,\"x\"]", "{\"a\":1,\"b\":\"x\"}"),
    ] {
        assert_eq!(written(kind, cell).as_deref(), Ok(json), "{kind} {cell}");
    }
}

#[test]
fn what_clickhouse_would_change_does_not_fit() {
    for (kind, cells, says) in [
        ("Int32", &["99999999999", "2147483648", "-2147483649"][..], "out of the range of Int32"),
        ("Int32", &["1.5", "\"\"", "\"abc\"", "true", "\" 1\"", "1e999", "\"0x10\""], "no whole number"),
        ("UInt8", &["-1", "256", "\"-1\""], "out of the range of UInt8"),
        ("UInt64", &["18446744073709551616"], "out of the range"),
        (
            "Int256",
            &["\"57896044618658097711785492504343953926634992332820282019728792003956564819968\""],
            "out of the range",
        ),
        ("String", &["null"], "null, and the column has none"),
        ("Decimal(9, 2)", &["1.239", "\"0.001\""], "digits after the point"),
        ("Decimal(9, 2)", &["12345678", "1e9"], "digits before the point"),
        ("Decimal(9, 2)", &["\"nan\"", "\"1,5\"", "true", "\"1e99999\""], "no number"),
        ("Float32", &["16777217", "\"16777219\""], "not all of its digits"),
        ("Float64", &["9007199254740993"], "not all of its digits"),
        ("Float32", &["1e39", "1e-60"], "out of the range of Float32"),
        ("Float64", &["\"1e400\"", "\"1e-400\""], "out of the range of Float64"),
        ("Float64", &["\"infinity\"", "\"\"", "true", "\"1 \""], "no number"),
        ("Bool", &["2", "\"yes\"", "\"\""], "neither true nor false"),
        ("FixedString(3)", &["\"ab\"", "\"abcd\""], "bytes, and not 3"),
        (
            "UUID",
            &[
                "\"6ecd\"",
                "\"6ECD8C99-4036-403D-BF84-CF8400F6783x\"",
                "\"6ECD8C994036-403D-BF84-CF8400F678361\"",
            ],
            "no UUID",
        ),
        ("IPv4", &["\"1.2.3\"", "\"256.1.1.1\"", "16909060"], "no IPv4"),
        ("IPv6", &["\"x\""], "no IPv6"),
        ("Enum8('a' = 1)", &["\"c\"", "\"1\"", "3", "\"\""], "none of the enum's names"),
        ("Date", &["\"2024-02-31\"", "\"2024-05-01T10:00:00Z\"", "19000", "\"2024-5-1\""], "no date"),
        ("Date", &["\"1969-12-31\"", "\"2149-06-07\"", "\"2300-01-01\""], "out of the range of Date"),
        ("Date32", &["\"1899-12-31\"", "\"2300-01-01\""], "out of the range of Date32"),
        (
            "DateTime",
            &["\"1969-12-31T23:59:59Z\"", "\"2106-02-07T06:28:16Z\"", "\"2300-01-01\""],
            "out of the range of DateTime",
        ),
        ("DateTime", &["\"2024-05-01T10:00:00.5Z\""], "1 digits of a second, and the column 0"),
        ("DateTime", &["1714557600", "\"2024-02-31T00:00:00Z\"", "\"\""], "no time"),
        ("DateTime64(3)", &["\"2024-05-01T10:00:00.1239Z\""], "4 digits of a second"),
        (
            "DateTime64(3)",
            &["\"1899-12-31T23:59:59Z\"", "\"2300-01-01T00:00:00Z\""],
            "out of the range of DateTime64(3)",
        ),
        ("DateTime64(9)", &["\"2262-04-12T00:00:00Z\""], "out of the range of DateTime64(9)"),
        ("DateTime64(0)", &["\"2016-12-31T23:59:60Z\""], "leap second"),
        ("Array(Int32)", &["[1,null]", "[99999999999]"], "element"),
        ("Array(Int32)", &["\"x\"", "{}"], "no array"),
        ("Map(String, Int8)", &["{\"a\":1,\"a\":2}"], "`a`: it comes twice"),
        ("Map(String, Int8)", &["{\"a\":999}"], "`a`: it is out of the range"),
        (
            "Tuple(a Int8, b String)",
            &["{\"a\":1}", "{\"a\":1,\"b\":\"\",\"c\":1}", "{\"a\":1,\"x\":\"\"}", "[1]"],
            "elements of the tuple",
        ),
    ] {
        for cell in cells {
            let problem = written(kind, cell).expect_err(&format!("{kind} {cell}"));
            assert!(problem.contains(says), "{kind} {cell}: {problem}");
        }
    }
}

#[test]
fn types_that_cannot_be_checked_are_none() {
    for kind in [
        "AggregateFunction(sum, Int64)",
        "Variant(Int32, String)",
        "Dynamic",
        "JSON",
        "Object('json')",
        "Array(JSON)",
        "Nested(a Int8)",
        "Time",
        "BFloat16",
        "Point",
        "IntervalDay",
        "MATERIALIZED Int32",
        "",
        "Int32)",
        "Array(Int32",
        "Enum8('a' = x)",
    ] {
        assert_eq!(Kind::parse(kind), None, "{kind}");
    }
    assert_eq!(Kind::parse(&format!("{}Int8{}", "Array(".repeat(100), ")".repeat(100))), None);
    let aggregate = Kind::parse("SimpleAggregateFunction(max, Nullable(Int8))").unwrap();
    assert!(aggregate.takes_null());
}

#[test]
fn what_is_passed_on_at_a_glance_is_what_a_close_look_passes_on() {
    let mut texts: Vec<String> = [
        "",
        "-",
        "0",
        "-0",
        "00",
        "01",
        "-1",
        "+1",
        "1.",
        ".5",
        "1.5",
        "-1.50",
        "1e3",
        "0.1",
        "00.1",
        "1,5",
        " 1",
        "1 ",
        "٣",
        "127",
        "128",
        "-128",
        "-129",
        "255",
        "256",
        "32767",
        "32768",
        "65535",
        "65536",
        "2147483647",
        "2147483648",
        "-2147483648",
        "-2147483649",
        "4294967295",
        "4294967296",
        "999999999999999999",
        "-999999999999999999",
        "9223372036854775807",
        "9223372036854775808",
        "16777215",
        "16777217",
        "1234567.125",
        "9007199254740993",
        "123456789012345",
        "1234567890123456",
        "0.00000000000001",
        "true",
        "nan",
    ]
    .map(str::to_owned)
    .into();
    texts.extend((0..40_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string()));
    texts.extend((0..40_u64).map(|n| format!("{}.{}", n * 977, n.wrapping_mul(0x9e37_79b9) % 100_000)));
    let mut passed = 0;
    for text in &texts {
        for bits in [8, 16, 32, 64, 128, 256] {
            for is_signed in [true, false] {
                if is_short_integer(text, bits, is_signed) {
                    passed += 1;
                    assert_eq!(integer(text, bits, is_signed).as_ref(), Ok(text), "{bits} {is_signed}");
                }
            }
        }
        for is_single in [true, false] {
            if is_short_number(text, is_single) {
                passed += 1;
                assert_eq!(float(text, is_single).as_ref(), Ok(text), "{is_single}");
            }
        }
    }
    assert!(passed > 150, "{passed}");
    for (text, is_day) in [
        ("2026-02-28", true),
        ("2026-02-29", false),
        ("2024-02-29", true),
        ("2026-2-28", false),
        (" 2026-1-31", false),
        ("+026-01-01", false),
        ("2026-01-011", false),
        ("2026/01/01", false),
        ("20260101", false),
        ("202é-01-01", false),
    ] {
        assert_eq!(day(text).is_some(), is_day, "{text}");
    }
}
