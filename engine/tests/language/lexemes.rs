//! Names, arguments, numbers, bare strings, lists and operators, and where blanks belong.

use crate::rows::{prints, unparsable};
use lanner_engine::condition::{Expr, Operand, parse};

#[test]
fn a_name_without_a_dot_is_a_macro_and_one_with_a_dot_a_field() {
    prints(&[
        ("a_1", "a_1"),
        ("Abc_D9_", "Abc_D9_"),
        ("a.b exists", "a.b exists"),
        ("a1_.b2_.c3_ exists", "a1_.b2_.c3_ exists"),
        ("A.B exists", "A.B exists"),
    ]);
    unparsable(&[
        ("_a", ""),
        ("1a", ""),
        ("1a.b exists", ""),
        (".a exists", ""),
        ("a. exists", ""),
        ("a..b exists", ""),
        ("a._b exists", ""),
        ("a-b", ""),
        ("a.b-c exists", ""),
        ("$a", ""),
        ("ä", ""),
    ]);
}

fn argument(condition: &str) -> Option<String> {
    let Expr::Check(check) = parse(condition).unwrap() else {
        panic!("{condition}: no check");
    };
    let Operand::Field(field) = check.left else {
        panic!("{condition}: no field");
    };
    field.arg
}

#[test]
fn arguments_are_bare_or_quoted() {
    // 5
    for (condition, expected) in [
        ("a.b exists", None),
        ("a.b[c] exists", Some("c")),
        ("a.b[0] exists", Some("0")),
        ("a.b[/x/*.y=z,(w)] exists", Some("/x/*.y=z,(w)")),
        ("a.b['c d'] exists", Some("c d")),
        (r#"a.b["c d"] exists"#, Some("c d")),
        (r#"a.b["c]d"] exists"#, Some("c]d")),
        (r#"a.b["'"] exists"#, Some("'")),
        (r#"a.b[""] exists"#, Some("")),
        ("a.b[''] exists", Some("")),
    ] {
        assert_eq!(argument(condition).as_deref(), expected, "{condition}");
    }
    unparsable(&[
        ("a.b[] exists", ""),
        ("a.b[ exists", ""),
        ("a.b[c exists", ""),
        ("a.b[c d] exists", ""),
        ("a.b[c'd] exists", ""),
        ("a.b[c\"d] exists", ""),
        ("a.b[c[d]] exists", ""),
        ("a.b['c'd] exists", ""),
        ("a.b['c] exists", ""),
        ("a.b[c][d] exists", ""),
        ("a.b] exists", ""),
        ("a[b]", ""),
    ]);
}

#[test]
fn bare_strings_are_all_that_is_not_syntax() {
    // 4
    for value in [
        "*.log",
        "[]{}|",
        r":/\.;!$%^&*",
        "<",
        ">",
        "<NA>",
        "!",
        "/usr/bin/[",
        "a-b_c.d",
        "+5",
        "0x1A",
        "5.5",
        "test.field",
        "é",
        "~#@?`",
    ] {
        let condition = format!("some.field = {value} and c");
        assert!(parse(&condition).is_ok(), "{condition}");
        let condition = format!("some.field in ({value},{value} , {value})");
        assert!(parse(&condition).is_ok(), "{condition}");
    }
    unparsable(&[
        ("a.b = c=", ""),
        ("a.b = c=d", ""),
        ("a.b = c,", ""),
        ("a.b = c,d", ""),
        ("a.b = c'd", ""),
        ("a.b = c\"d", ""),
        ("a.b = c(d", ""),
        ("a.b = c)", ""),
        ("a.b = ,", ""),
        ("a.b = =", ""),
        ("a.b = (c)", ""),
        ("a.b in (c=d)", ""),
    ]);
    // 6: a name on the right is text.
    prints(&[("some.field = test.field", "some.field = test.field")]);
}

#[test]
fn order_takes_numbers() {
    // 8
    for number in [
        "5", "0", "-5", "+5", "5.", "5.5", "-5.25", "5e+3", "5e-3", "5.5E+10", "0x1f", "0X1F", "00012",
    ] {
        for operator in ["<", "<=", ">", ">="] {
            let condition = format!("a.b {operator} {number}");
            assert!(parse(&condition).is_ok(), "{condition}");
            let condition = format!("a.b{operator}{number}");
            assert!(parse(&condition).is_ok(), "{condition}");
        }
    }
    unparsable(&[
        ("a.b < c", ""),
        ("a.b < 'c'", ""),
        ("a.b > '5'", ""),
        ("a.b > \"5\"", ""),
        ("a.b >= (5)", ""),
        ("a.b <= .5", ""),
        ("a.b < -", ""),
        ("a.b < 5e3", ""),
        ("a.b < 0x", ""),
        ("a.b < 0xg", ""),
        ("a.b < 5x", ""),
        ("a.b < --5", ""),
        ("a.b < - 5", ""),
    ]);
    prints(&[
        ("a.b < val(c.d)", "a.b < val(c.d)"),
        ("a.b >= len(c.d)", "a.b >= len(c.d)"),
        ("a.b = c", "a.b = c"),
        ("a.b != 'c d'", "a.b != \"c d\""),
    ]);
}

#[test]
fn lists_are_in_parentheses_between_commas() {
    prints(&[
        ("a.b in ()", "a.b in ()"),
        ("a.b in ( )", "a.b in ()"),
        ("a.b in (c)", "a.b in (c)"),
        ("a.b in (c,d)", "a.b in (c, d)"),
        ("a.b in ( c , d )", "a.b in (c, d)"),
        ("a.b in(c)", "a.b in (c)"),
        ("a.b in\n(\nc,\n'd e'\n)", "a.b in (c, \"d e\")"),
        ("a.b intersects (c, d)", "a.b intersects (c, d)"),
        ("a.b intersects(c)", "a.b intersects (c)"),
        ("a.b pmatch (/c, /d)", "a.b pmatch (/c, /d)"),
        ("a.b pmatch(/c)", "a.b pmatch (/c)"),
    ]);
    unparsable(&[
        ("a.b in (c,)", ""),
        ("a.b in (,c)", ""),
        ("a.b in (,)", ""),
        ("a.b in (c,,d)", ""),
        ("a.b in (c d)", ""),
        ("a.b in ('c' 'd')", ""),
        ("a.b in (c", ""),
        ("a.b in (c, d", ""),
        ("a.b in ((c))", ""),
        ("a.b in c, d", ""),
        ("a.b in 'c'", ""),
        ("a.b pmatch '/c'", ""),
        ("a.b pmatch /c", ""),
        ("a.b contains (c)", ""),
    ]);
}

#[test]
fn operators_that_are_words_need_a_blank_after_them() {
    for operator in [
        "glob",
        "iglob",
        "contains",
        "icontains",
        "bcontains",
        "startswith",
        "bstartswith",
        "endswith",
        "regex",
    ] {
        for condition in [
            format!("a.b {operator} c"),
            format!("a.b {operator} 'c'"),
            format!("a.b {operator}\n\tc"),
        ] {
            assert!(parse(&condition).is_ok(), "{condition}");
        }
        for condition in [
            format!("a.b {operator}c"),
            format!("a.b {operator}'c'"),
            format!("a.b {operator}"),
        ] {
            assert!(parse(&condition).is_err(), "{condition}");
        }
    }
    for operator in ["=", "==", "!="] {
        for condition in [
            format!("a.b{operator}c"),
            format!("a.b{operator} c"),
            format!("a.b {operator}'c'"),
            format!("a.b{operator}\"c\""),
        ] {
            assert!(parse(&condition).is_ok(), "{condition}");
        }
    }
}

#[test]
fn transformers_are_names_right_before_a_parenthesis() {
    // 6
    prints(&[
        ("tolower(a.b) = c", "tolower(a.b) = c"),
        ("tolower( a.b ) = c", "tolower(a.b) = c"),
        ("tolower(\n\ta.b\n) = c", "tolower(a.b) = c"),
        (
            "tolower(toupper( b64(a.b) )) = c",
            "tolower(toupper(b64(a.b))) = c",
        ),
        ("a.b = val( c.d )", "a.b = val(c.d)"),
        ("a.b = val(c.d[e])", "a.b = val(c.d[e])"),
        ("a.b = tolower(c.d)", "a.b = tolower(c.d)"),
        ("a.b = tolower(c.d) and e", "(a.b = tolower(c.d) and e)"),
        ("a.b in val(c.d)", "a.b in val(c.d)"),
        ("tolower(a.b) exists", "tolower(a.b) exists"),
    ]);
    unparsable(&[
        ("tolower (a.b) = c", ""),
        ("lower(a.b) = c", ""),
        ("ToLower(a.b) = c", ""),
        ("tolower() = c", ""),
        ("tolower(a.b = c", ""),
        ("tolower(a.b)", ""),
        ("tolower(a) = c", ""),
        ("val(a.b) = c", ""),
        ("val(a.b) exists", ""),
        ("a.b = val (c.d)", ""),
        ("a.b = val(c)", ""),
        ("a.b = val(val(c.d))", ""),
        ("a.b = val(tolower(c.d))", ""),
        ("a.b = tolower(val(c.d))", ""),
        ("tolower(val(a.b)) = c", ""),
        ("a.b = val()", ""),
        ("a.b = val('c')", ""),
        ("a.b in (tolower(c.d))", ""),
        ("a.b in (val(c.d))", ""),
        ("a.b in (x, tolower(c.d))", ""),
        ("a.b = lower(c.d)", ""),
    ]);
}
