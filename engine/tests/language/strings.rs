//! Quotes and escapes.

use crate::rows::{accepted, given, holds, refused, unparsable};
use lanner_engine::condition::{Expr, Right, Test, parse};

/// The bytes of the constant on the right.
fn constant(text: &str) -> Vec<u8> {
    let condition = format!("a.b = {text}");
    let Expr::Check(check) = parse(&condition).unwrap_or_else(|error| panic!("{condition}: {error}")) else {
        panic!("{condition}: no check");
    };
    match check.test {
        Test::Compare {
            right: Right::Literal(literal),
            ..
        } => literal.bytes,
        other => panic!("{condition}: {other:?}"),
    }
}

#[test]
fn constants_are_these_bytes() {
    for (text, expected) in [
        ("x", &b"x"[..]),
        ("'x'", b"x"),
        (r#""x""#, b"x"),
        ("''", b""),
        (r#""""#, b""),
        ("'a b'", b"a b"),
        ("'a,b=(c)'", b"a,b=(c)"),
        (r#""a'b""#, b"a'b"),
        (r#"'a"b'"#, b"a\"b"),
        (r#""a\"b""#, b"a\"b"),
        (r"'a\'b'", b"a'b"),
        ("'a\nb'", b"a\nb"),
        ("'é'", "é".as_bytes()),
        (r#""\b""#, b"\x08"),
        (r#""\f""#, b"\x0c"),
        (r#""\n""#, b"\n"),
        (r#""\r""#, b"\r"),
        (r#""\t""#, b"\t"),
        (r#""\\a""#, b"\\a"),
        (r#""\/""#, b"/"),
        (r"'\t\n'", b"\t\n"),
        // 2
        (r#""\x41""#, b"A"),
        (r#""\x414""#, b"A4"),
        (r#""\xff\xFE""#, b"\xff\xfe"),
        (r#""\x00""#, b"\0"),
        (r"'a\x00b'", b"a\0b"),
        // A bare string has no escapes.
        (r"\n", b"\\n"),
        (r"a\x41", b"a\\x41"),
        (r"\\", b"\\\\"),
    ] {
        assert_eq!(constant(text), expected, "{text}");
    }
    // 2: old rules have a blank after a backslash.
    assert!(constant(r#""bad escape \ ""#).starts_with(b"bad escape \\"));
}

#[test]
fn a_quote_after_a_backslash_never_ends_a_string() {
    // 1
    assert_eq!(constant(r"'hello \\'quoted\\''"), br"hello \'quoted\'");
    assert_eq!(constant(r#""say \\"hi\\"""#), br#"say \"hi\""#);
    unparsable(&[
        (r#"a.b = "a\\""#, ""),
        (r"a.b = 'a\\'", ""),
        (r#"a.b = "\""#, ""),
        (r"a.b = 'a\'", ""),
    ]);
}

#[test]
fn what_is_no_string_is_refused() {
    unparsable(&[
        ("a.b = 'c", ""),
        ("a.b = \"c", ""),
        ("a.b = 'c\"", ""),
        ("a.b = \"c'", ""),
        ("a.b = '", ""),
        ("a.b = 'c' 'd'", ""),
        // 2
        (r#"a.b = "\x4""#, ""),
        (r#"a.b = "\x""#, ""),
        (r#"a.b = "\xg1""#, ""),
        (r#"a.b = "\x4g""#, ""),
        (r"a.b in ('\x4')", ""),
    ]);
}

#[test]
fn a_nul_belongs_to_bytes_only() {
    // 17
    refused(&[
        (r#"t.text = "a\x00""#, ""),
        (r#"t.text != "\x00""#, ""),
        (r#"t.text contains "\x00""#, ""),
        (r#"t.text startswith "\x00""#, ""),
        (r#"t.text in (a, "\x00")"#, ""),
        (r#"t.text glob "\x00""#, ""),
        (r#"t.text pmatch ("/a\x00")"#, ""),
        (r#"l.text in ("\x00")"#, ""),
        (r#"t.text = anyof ("\x00")"#, ""),
    ]);
    let bytes = given(&[("t.bytes", &b"a\0b")]);
    holds(
        &bytes,
        &[
            (r#"t.bytes = "a\x00b""#, true),
            (r#"t.bytes = "a\x00""#, false),
            (r#"t.bytes contains "\x00""#, true),
            (r#"t.bytes startswith "a\x00""#, true),
            (r#"t.bytes endswith "\x00b""#, true),
            (r#"t.bytes endswith "\x00""#, false),
            (r#"t.bytes in ("x", "a\x00b")"#, true),
        ],
    );
}

#[test]
fn constants_have_a_length() {
    // 17
    let of = |length: usize| "x".repeat(length);
    accepted(&[
        &format!("t.text = {}", of(255)),
        &format!("t.text in ({}, y)", of(255)),
    ]);
    refused(&[
        (&format!("t.text = {}", of(257)), "257"),
        (&format!("t.text = '{}'", of(257)), "257"),
        (&format!("t.text in (y, {})", of(257)), "257"),
        (&format!("t.text startswith {}", of(257)), "257"),
        (&format!("t.text contains anyof ({})", of(257)), "257"),
        (&format!("proc.name != {}", of(300)), "300"),
    ]);
}

#[test]
fn bytes_that_are_no_text_are_compared_as_they_are() {
    // 2, 16
    let raw = given(&[("t.text", &b"/tmp/\xffx"), ("u.text", &"/tmp/é")]);
    holds(
        &raw,
        &[
            (r#"t.text = "/tmp/\xffx""#, true),
            (r#"t.text = "/tmp/\xfex""#, false),
            (r#"t.text startswith "/tmp/\xff""#, true),
            (r#"t.text contains "\xff""#, true),
            (r#"t.text endswith "\xffx""#, true),
            (r#"t.text in ("/tmp/\xffx")"#, true),
            (r#"t.text pmatch ("/tmp")"#, true),
            (r#"t.text icontains "\xffX""#, true),
            // One byte is one `?`.
            ("t.text glob /tmp/?x", true),
            ("u.text glob /tmp/?", false),
            ("u.text glob /tmp/??", true),
            // One bad byte is one U+FFFD, and that is one `.`.
            ("t.text regex /tmp/.x", true),
            ("t.text regex /tmp/..x", false),
            ("u.text regex /tmp/.", true),
            ("t.text regex '/tmp/\u{fffd}x'", true),
            (r#"u.text = "/tmp/\xc3\xa9""#, true),
        ],
    );
}
