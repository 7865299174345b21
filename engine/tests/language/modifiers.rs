//! `oneof`, `anyof`, `allof` after an operator.

use crate::rows::{given, holds, prints, refused, unparsable};
use lanner_engine::condition::parse;

#[test]
fn they_are_modifiers_only_where_a_list_follows() {
    // 7
    for operator in [
        "=",
        "==",
        "!=",
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
        for modifier in ["oneof", "anyof", "allof"] {
            for condition in [
                format!("a.b {operator} {modifier} (c, d)"),
                format!("a.b {operator} {modifier} ()"),
                format!("a.b {operator} {modifier}  ( c ) and e"),
            ] {
                assert!(parse(&condition).is_ok(), "{condition}");
            }
        }
    }
    prints(&[
        ("a.b = anyof (c, 'd e')", "a.b = anyof (c, \"d e\")"),
        ("a.b = oneof", "a.b = oneof"),
        ("a.b = anyof and c", "(a.b = anyof and c)"),
        ("a.b != allof or c", "(a.b != allof or c)"),
        ("(a.b = allof)", "a.b = allof"),
        ("(a.b startswith oneof) and c", "(a.b startswith oneof and c)"),
        ("a.b = 'anyof'", "a.b = anyof"),
        ("a.b in (anyof, allof)", "a.b in (anyof, allof)"),
        ("a.b = anyofc", "a.b = anyofc"),
    ]);
    unparsable(&[
        ("a.b =anyof (c)", ""),
        ("a.b = anyof(c)", ""),
        ("a.b = ANYOF (c)", ""),
        ("a.b = AnyOf (c)", ""),
        ("a.b = anyof 'c'", ""),
        ("a.b = anyof anyof (c)", ""),
        ("a.b = anyof (c,)", ""),
        ("a.b = anyof (c", ""),
        ("a.b in anyof (c)", ""),
        ("a.b intersects allof (c)", ""),
        ("a.b pmatch oneof (/c)", ""),
        ("a.b < anyof (5)", ""),
        ("a.b >= allof (5)", ""),
        ("a.b exists anyof (c)", ""),
        ("a.b anyof (c)", ""),
        ("a.b = anyof (val(c.d))", ""),
    ]);
}

#[test]
fn they_count_elements_of_the_right_side() {
    // 12
    let text = given(&[("t.text", &"abc")]);
    holds(
        &text,
        &[
            ("t.text = anyof (abc, x)", true),
            ("t.text = anyof (x, y)", false),
            ("t.text = allof (abc, abc)", true),
            ("t.text = allof (abc, x)", false),
            ("t.text = oneof (abc, x)", true),
            ("t.text = oneof (abc, abc)", false),
            ("t.text = oneof (x, y)", false),
            ("t.text != anyof (abc, x)", true),
            ("t.text != anyof (abc, abc)", false),
            ("t.text != allof (x, y)", true),
            ("t.text != allof (abc, y)", false),
            ("t.text != oneof (abc, y)", true),
            ("t.text != oneof (x, y)", false),
            ("t.text != oneof (x, x)", false),
            ("t.text != oneof (abc, abc)", false),
            ("t.text startswith anyof (x, ab)", true),
            ("t.text startswith allof (a, ab, abc)", true),
            ("t.text startswith allof (a, b)", false),
            ("t.text startswith oneof (a, ab)", false),
            ("t.text startswith oneof (a, b)", true),
            ("t.text endswith anyof (c, x)", true),
            ("t.text endswith allof (c, bc)", true),
            ("t.text contains anyof (b, x)", true),
            ("t.text contains allof (b, c)", true),
            ("t.text contains allof (b, x)", false),
            ("t.text contains oneof (b, x)", true),
            ("t.text icontains allof (B, C)", true),
            ("t.text icontains oneof (B, b)", false),
            ("t.text glob anyof (x*, a*)", true),
            ("t.text glob allof (*c, a*)", true),
            ("t.text iglob oneof (A*, *x)", true),
            ("t.text regex anyof ('x.*', 'a.*c')", true),
            ("t.text regex allof ('[a-c]+', 'a.*')", true),
            ("t.text regex allof ('[a-c]+', 'b.*')", false),
            ("not t.text = anyof (x, y)", true),
            ("tolower(t.text) = anyof (abc, x)", true),
        ],
    );
    let others = given(&[
        ("t.bytes", &b"ab\xff"),
        ("t.ip", &"10.0.0.1"),
        ("t.net", &"10.0.0.1"),
    ]);
    holds(
        &others,
        &[
            ("t.bytes bcontains anyof (ff, 00)", true),
            ("t.bytes bcontains allof (ff, 00)", false),
            ("t.bytes bstartswith oneof (61, 6162)", false),
            ("t.bytes startswith allof (a, ab)", true),
            ("t.ip = anyof (10.0.0.1, 10.0.0.2)", true),
            ("t.ip = allof (10.0.0.1, 10.0.0.2)", false),
            ("t.ip != allof (10.0.0.2, 10.0.0.3)", true),
            ("t.ip != anyof (10.0.0.1, 10.0.0.2)", true),
            ("t.ip = oneof (10.0.0.1, 10.0.0.1)", false),
            ("t.net = anyof (192.168.0.0/16, 10.0.0.0/8)", true),
            ("t.net != allof (192.168.0.0/16, 10.0.0.0/8)", false),
        ],
    );
}

#[test]
fn an_empty_list_is_false_for_all_of_them() {
    // 11
    let text = given(&[("t.text", &"abc"), ("t.ip", &"::1"), ("t.bytes", &b"x")]);
    holds(
        &text,
        &[
            ("t.text = anyof ()", false),
            ("t.text = allof ()", false),
            ("t.text = oneof ()", false),
            ("t.text != anyof ()", false),
            ("t.text != allof ()", false),
            ("t.text != oneof ()", false),
            ("t.text contains allof ()", false),
            ("t.text glob anyof ()", false),
            ("t.text regex allof ()", false),
            ("t.ip != allof ()", false),
            ("t.bytes bcontains allof ()", false),
            ("not t.text = allof ()", true),
            ("t.text in ()", false),
            ("not t.text in ()", true),
            ("t.text intersects ()", false),
            ("t.text pmatch ()", false),
        ],
    );
}

#[test]
fn a_missing_value_is_false_with_all_of_them() {
    holds(
        &given(&[]),
        &[
            ("t.text = anyof (abc)", false),
            ("t.text != anyof (abc)", false),
            ("t.text != allof (abc)", false),
            ("t.text != oneof (abc, abc)", false),
            ("not t.text != allof (abc)", true),
            ("t.ip != allof (::1)", false),
        ],
    );
}

#[test]
fn values_are_checked_as_without_them() {
    refused(&[
        ("t.ip = anyof (10.0.0.1, host)", "host"),
        ("t.net = anyof (10.0.0.0)", ""),
        ("t.bytes bcontains anyof (6)", ""),
        ("t.text regex anyof ('a', '[')", ""),
        ("t.text bcontains anyof (61)", ""),
        ("l.text = anyof (a)", ""),
    ]);
}
