//! Precedence, nesting, keywords, and what is no condition.

use crate::rows::{prints, unparsable};
use lanner_engine::condition::{Expr, parse, parse_with};

#[test]
fn not_binds_more_than_and_and_and_more_than_or() {
    prints(&[
        ("a", "a"),
        ("a and b", "(a and b)"),
        ("a or b", "(a or b)"),
        ("a or b and c", "(a or (b and c))"),
        ("a and b or c", "((a and b) or c)"),
        ("a and b or c and d", "((a and b) or (c and d))"),
        ("(a or b) and c", "((a or b) and c)"),
        ("(a or b) and not c", "((a or b) and not c)"),
        ("not a and b", "(not a and b)"),
        ("not a or b", "(not a or b)"),
        ("not (a and b)", "not (a and b)"),
        ("not (a or b) and c", "(not (a or b) and c)"),
        ("a and not b or not c", "((a and not b) or not c)"),
    ]);
}

#[test]
fn chains_have_any_number_of_parts() {
    // 9
    prints(&[
        ("a and b and c", "(a and b and c)"),
        ("a or b or c or d", "(a or b or c or d)"),
        ("a or b and c and d or e", "(a or (b and c and d) or e)"),
        ("(a) and ((b)) and (((c)))", "(a and b and c)"),
    ]);
    let Expr::And(parts, _) = parse("a and b and c and d").unwrap() else {
        panic!("no chain");
    };
    assert_eq!(parts.len(), 4);
}

#[test]
fn an_even_number_of_nots_is_none() {
    // 9
    prints(&[
        ("not a", "not a"),
        ("not not a", "a"),
        ("not not not a", "not a"),
        ("not  not\nnot\tnot a", "a"),
        ("not(a)", "not a"),
        ("not not(a)", "a"),
        ("not not not(a or b)", "not (a or b)"),
        ("not a.b exists", "not a.b exists"),
        ("not not a.b = c", "a.b = c"),
        ("not (not a)", "a"),
    ]);
}

#[test]
fn keywords_stand_between_blanks_or_parentheses() {
    // 3
    prints(&[
        ("a and(b)", "(a and b)"),
        ("a or(b)", "(a or b)"),
        ("(a)and b", "(a and b)"),
        ("(a)or(b)", "(a or b)"),
        ("(a)and(b)or(c)", "((a and b) or c)"),
        ("a and not(b)", "(a and not b)"),
        ("a.b in (x)and c", "(a.b in (x) and c)"),
        ("a\tand\nb\r\nor c", "((a and b) or c)"),
        ("a\u{8}and\u{8}b", "(a and b)"),
        ("\n  a  \n", "a"),
        ("test.op existsand macro", "(test.op exists and macro)"),
        ("a.b existsor c", "(a.b exists or c)"),
        ("a.b = not", "a.b = not"),
        ("a.b = and", "a.b = and"),
        ("a.b = or and c", "(a.b = or and c)"),
        ("notable", "notable"),
        ("android or order", "(android or order)"),
        ("a and notable", "(a and notable)"),
    ]);
    unparsable(&[
        ("a andb", "expected blank or '(' after 'and'"),
        ("a orb", "expected blank or '(' after 'or'"),
        ("a.b exists andx", "expected blank or '(' after 'and'"),
        ("a.b = xand c", "unexpected token"),
        ("a and", ""),
        ("a or", ""),
        ("a or ", ""),
        ("and a", ""),
        ("or", ""),
        ("not", ""),
        ("not ", ""),
        ("a and and b", ""),
        ("a or or b", ""),
        ("a and or b", ""),
        ("a not b", "unexpected token"),
    ]);
}

#[test]
fn what_follows_a_whole_condition_is_refused() {
    unparsable(&[
        ("a b", "expecting 'or', 'and'"),
        ("a.b exists c", "expecting 'or', 'and'"),
        ("a.b = c d", "expecting 'or', 'and'"),
        ("a)", "unexpected token"),
        ("a and b)", "unexpected token"),
        ("a.b in (c) (d)", "unexpected token"),
        ("a.b = c # the rest", "unexpected token"),
        ("a; b", "unexpected token"),
    ]);
}

#[test]
fn what_is_no_condition_is_refused() {
    unparsable(&[
        ("", ""),
        ("   ", ""),
        ("\n", ""),
        ("()", ""),
        ("( )", ""),
        ("(a", ""),
        ("((a)", ""),
        ("(a and b", ""),
        ("not(a", ""),
        ("# a comment\na", ""),
        ("a && b", "unexpected token"),
        ("a || b", "unexpected token"),
        ("!a", ""),
        ("a.b notin (c)", ""),
        ("a.b not in (c)", ""),
        ("A AND b", "unexpected token"),
        ("a OR b", "unexpected token"),
        ("a.b EXISTS", ""),
        ("a.b IN (c)", ""),
        ("a.b Contains c", ""),
        ("a.b", ""),
        ("a.b =", ""),
        ("a.b = ", ""),
        ("a.b in", ""),
        ("a.b like c", ""),
        ("a.b <> c", ""),
        ("a.b =! c", ""),
        ("a = b", ""),
        ("a in (b)", ""),
        ("a exists", ""),
        ("'a' = b", ""),
        ("5 = a.b", ""),
        ("= a", ""),
    ]);
    // The keywords are lower case: in upper case they are names of macros.
    prints(&[("NOT", "NOT"), ("AND and OR", "(AND and OR)")]);
}

#[test]
fn nesting_has_the_limit_that_is_asked_for() {
    // 9
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse_with(&nested(98), 0, 100).is_ok());
    let error = parse_with(&nested(101), 0, 100).unwrap_err();
    assert_eq!(error.to_string(), "exceeded max depth limit of 100");
    // Rules may nest a thousand deep.
    assert!(parse(&nested(900)).is_ok());
    let error = parse(&nested(1001)).unwrap_err();
    assert_eq!(error.to_string(), "exceeded max depth limit of 1000");
    let nots = format!("{}a", "not ".repeat(5001));
    assert_eq!(
        parse(&nots).unwrap().to_string(),
        "not a",
        "a run of nots does not nest"
    );
}
