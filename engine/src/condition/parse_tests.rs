//! The grammar, by example and by property.

use super::*;
use proptest::prelude::*;

fn ok(text: &str) -> Expr {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error} at {:?}", error.span))
}

#[test]
fn canonical_text() {
    for (text, expected) in [
        ("a.b=c", "a.b = c"),
        ("a.b == c", "a.b = c"),
        ("m", "m"),
        ("(((m)))", "m"),
        ("a.b exists and m or n", "((a.b exists and m) or n)"),
        ("m and (n and o)", "(m and (n and o))"),
        ("not not m", "m"),
        ("not not not m", "not m"),
        ("not(m)", "not m"),
        ("not (m or n)", "not (m or n)"),
        ("m and(n)", "(m and n)"),
        ("nothing and order", "(nothing and order)"),
        ("test.op existsand macro", "(test.op exists and macro)"),
        ("a.b = not", "a.b = not"),
        ("evt.dir = <", "evt.dir = <"),
        ("a.b glob *.log", "a.b glob *.log"),
        ("a.b = []{}|", "a.b = []{}|"),
        (r"a.b = :/\.;!$%^&*", r#"a.b = ":/\\.;!$%^&*""#),
        ("a.b = 'x y'", "a.b = \"x y\""),
        (r#"a.b = "q\"q""#, r#"a.b = "q\"q""#),
        (r#"a.b = "bad escape \ ""#, r#"a.b = "bad escape \\""#),
        (r#"a.b = "\x41\x00""#, r#"a.b = "A\x00""#),
        ("a.b in ()", "a.b in ()"),
        ("a.b in(x,y , 'z z')", "a.b in (x, y, \"z z\")"),
        ("a.b inlist", "a.b in list"),
        ("a.b intersects (x)", "a.b intersects (x)"),
        ("a.b pmatch (/etc, /usr)", "a.b pmatch (/etc, /usr)"),
        ("a.b[x] = 1", "a.b[x] = 1"),
        ("a.b[\"x y\"] = 1", "a.b[\"x y\"] = 1"),
        ("a.b[\"\"] = 1", "a.b[\"\"] = 1"),
        ("a.b >= 0x1F", "a.b >= 0x1F"),
        ("a.b<-1.5e+3", "a.b < -1.5e+3"),
        ("a.b = val(c.d)", "a.b = val(c.d)"),
        ("a.b = val( c.d[1] )", "a.b = val(c.d[1])"),
        ("some.field = test.field", "some.field = test.field"),
        ("toupper( a.b ) = X", "toupper(a.b) = X"),
        ("getopt(proc.args, 'nt:')[t] = 5", "getopt(proc.args,nt:)[t] = 5"),
        ("join('-', (a.b, 'x')) = y", "join(-,(a.b,x)) = y"),
        ("len(tolower(a.b)) > 3", "len(tolower(a.b)) > 3"),
        ("a.b contains tolower(c.d)", "a.b contains tolower(c.d)"),
        ("a.b startswith anyof (x, y)", "a.b startswith anyof (x, y)"),
        ("a.b != allof (x, y)", "a.b != allof (x, y)"),
        ("a.b = oneof list", "a.b = oneof list"),
        ("a.b = oneof", "a.b = oneof"),
        ("a.b = anyof and m", "(a.b = anyof and m)"),
        ("(a.b = allof)", "a.b = allof"),
        ("a.b = oneoff", "a.b = oneoff"),
    ] {
        assert_eq!(ok(text).to_string(), expected, "{text}");
    }
}

#[test]
fn a_backslash_at_the_end_is_printed_so_that_it_parses() {
    for text in [
        r"a.b = /et\ and m",
        r#"a.b["x \x5c"] = 1"#,
        r#"len((c.d, "\x5c")) = 1"#,
    ] {
        let printed = format!("{:#}", ok(text));
        assert_eq!(format!("{:#}", ok(&printed)), printed);
        assert!(printed.contains(r#"\x5c""#), "{printed}");
    }
}

#[test]
fn a_quote_after_a_backslash_does_not_end_the_string() {
    let Expr::Check(check) = ok(r"a.b = 'hello \\'quoted\\''") else {
        panic!()
    };
    let Test::Compare {
        right: Right::Literal(literal),
        ..
    } = check.test
    else {
        panic!()
    };
    assert_eq!(literal.text(), r"hello \'quoted\'");
}

#[test]
fn mistakes_are_refused_where_they_are() {
    for (text, start, part) in [
        ("", 0, "empty"),
        (" \n", 0, "empty"),
        ("a.b =", 5, "expected a value"),
        ("a.b = x,", 7, "unexpected token ','"),
        ("a.b = x=", 7, "unexpected token '='"),
        ("m n", 2, "unexpected token 'n', expecting 'or', 'and'"),
        ("m andn", 2, "expected blank or '(' after 'and'"),
        ("m orn", 2, "expected blank or '(' after 'or'"),
        ("m and\u{a0}n", 2, "expected blank or '(' after 'and'"),
        ("m and", 2, "nothing follows 'and'"),
        ("m and ", 2, "nothing follows 'and'"),
        ("(m or) and m", 3, "nothing follows 'or'"),
        ("and m", 0, "begins with 'and'"),
        ("m and (or m)", 7, "nothing stands before 'or'"),
        ("m and not", 6, "nothing follows 'not'"),
        ("(m", 0, "never closed"),
        ("m)", 1, "unexpected token ')'"),
        ("()", 0, "nothing between the parentheses"),
        ("a.b in x, y", 8, "unexpected token ','"),
        ("a.b in (x,)", 10, "expected a value of the list"),
        ("a.b in (x y)", 10, "expected ',' or ')'"),
        ("a.b in (tolower(c.d))", 15, "expected ',' or ')'"),
        ("a.b notin (x)", 4, "expected an operator after 'a.b'"),
        ("a.b < x", 6, "expected a number"),
        ("a.b in anyof (x)", 13, "unexpected token '('"),
        ("a.b < oneof (1)", 6, "expected a number"),
        ("a.b = AnyOf (x)", 12, "unexpected token '('"),
        ("a.b[] = x", 3, "valid field argument"),
        ("a.b[x = y", 3, "expected a ']'"),
        ("val(a.b) = x", 0, "unknown transformer"),
        ("upper(a.b) = x", 0, "unknown transformer"),
        ("tolower (a.b) = x", 8, "unexpected token '('"),
        ("a.b = val(val(c.d))", 10, "expected a field in val()"),
        ("toupper(a.b)[x] = y", 12, "takes no argument"),
        ("a.b = 'x", 6, "never ends"),
        (r#"a.b = "\q""#, 7, "escape"),
        (r#"a.b = "\x4""#, 7, "escape"),
        (r#"a.b = "\'""#, 7, "escape"),
        ("m && n", 2, "unexpected token '&&'"),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.message.contains(part), "{text}: {}", error.message);
        assert_eq!(error.span.start, start, "{text}: {}", error.message);
    }
}

#[test]
fn a_message_does_not_repeat_a_long_word() {
    let error = parse(&"é".repeat(100_000)).unwrap_err();
    assert!(error.message.len() < 300, "{}", error.message.len());
    assert_eq!((error.span.start, error.span.end, error.stopped), (0, 200_000, 0));
}

#[test]
fn hints_say_what_to_write_instead() {
    for (text, part) in [
        ("m && n", "and"),
        ("m || n", "or"),
        ("! m", "not"),
        ("a.b in x, y", "parentheses"),
        ("a.b = (x)", "in (...)"),
        ("a.b[] = x", "[\"\"]"),
        ("a.b < 60s", "60s is 60000000000"),
        ("a.b >= 5kB and m", "write 5kB out"),
        ("a.b < 5 kB", "needs quotes"),
    ] {
        let hint = parse(text).expect_err(text).hint;
        assert!(
            hint.as_deref().is_some_and(|hint| hint.contains(part)),
            "{text}: {hint:?}"
        );
    }
}

#[test]
fn spans_point_into_the_text_and_carry_its_origin() {
    let text = "m and proc.name in (a, 'b c')";
    let Expr::And(children, span) = parse_with(text, 7, 10).unwrap() else {
        panic!()
    };
    assert_eq!((span.origin, span.start, span.end), (7, 0, text.len()));
    let Expr::Check(check) = &children[1] else {
        panic!()
    };
    let Test::Compare {
        right: Right::List(items, list),
        op_span,
        ..
    } = &check.test
    else {
        panic!()
    };
    assert_eq!(&text[op_span.start..op_span.end], "in");
    assert_eq!(&text[list.start..list.end], "(a, 'b c')");
    assert_eq!(&text[items[1].span.start..items[1].span.end], "'b c'");
    assert_eq!(&text[check.left.span().start..check.left.span().end], "proc.name");
}

#[test]
fn nesting_has_a_limit_and_never_overflows() {
    let nested = |depth: usize| format!("{}m{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse_with(&nested(100), 0, 100).is_ok());
    let error = parse_with(&nested(101), 0, 100).unwrap_err();
    assert_eq!(error.message, "exceeded max depth limit of 100");
    assert!(parse(&nested(1_000_000)).is_err());
    let deep = format!("{}m{}", "not (m or m and ".repeat(333), ")".repeat(333));
    let expr = ok(&deep);
    let printed = expr.to_string();
    assert_eq!(
        parse_with(&printed, 0, 2 * MAX_DEPTH).unwrap().to_string(),
        printed
    );
    let expr = expr
        .resolve_macros(&mut |_, _| parse("evt.type = open").ok())
        .unwrap();
    let program = compile(&expr).unwrap();
    let happening = crate::testing::Happening::execve();
    // The outermost 'not (m or …)' decides: no execve is an open.
    assert!(happening.view(|view| program.matches(view, &mut Scratch::new())));
    let deeper = format!("{}m{}", "not (m or m and ".repeat(999), ")".repeat(999));
    assert!(parse(&deeper).is_err());
    let wide = format!("a{}", " and a".repeat(100_000));
    assert_eq!(ok(&wide).depth(), 2);
    let calls = format!("{}a.b{} = x", "tolower(".repeat(64), ")".repeat(64));
    assert!(parse(&calls).is_ok());
    assert!(parse(&"tolower(".repeat(100_000)).is_err());
    assert!(parse(&"not ".repeat(100_000)).is_err());
}

#[test]
fn macros_are_replaced_and_undefined_ones_reported() {
    let expr = ok("a and not (b or x.y = 1)");
    assert_eq!(
        expr.macros().iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["a", "b"]
    );
    let resolved = expr.resolve_macros(&mut |name, _| Some(ok(&format!("{name}.f = 1 and c.d = 2"))));
    assert_eq!(
        resolved.unwrap().to_string(),
        "((a.f = 1 and c.d = 2) and not ((b.f = 1 and c.d = 2) or x.y = 1))"
    );
    let errors = expr
        .resolve_macros(&mut |name, _| (name == "a").then(|| ok("c.d = 2")))
        .unwrap_err();
    assert!(matches!(&errors[..], [MacroError::Undefined { name, span }] if name == "b" && span.start == 11));
}

fn without_spans(expr: &Expr) -> String {
    // The debug text with every span emptied.
    let text = format!("{expr:?}");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("Span {") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = &rest[rest.find('}').unwrap() + 1..];
    }
    out.push_str(rest);
    out.replace("quoted: true", "").replace("quoted: false", "")
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z/*.<>-]{1,6}",
        proptest::collection::vec(any::<char>(), 0..6).prop_map(|chars| {
            let mut out = String::from("\"");
            for c in chars {
                match c {
                    '"' | '\\' => out.push('_'),
                    c => out.push(c),
                }
            }
            out.push('"');
            out
        }),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    let check = (
        prop_oneof!["[a-z]{1,3}\\.[a-z]{1,3}", "tolower\\([a-z]{1,3}\\.[a-z]{1,3}\\)"],
        prop_oneof![
            Just(" exists".to_owned()),
            (
                prop_oneof![Just("="), Just("!="), Just("glob"), Just("startswith")],
                literal()
            )
                .prop_map(|(op, value)| format!(" {op} {value}")),
            proptest::collection::vec(literal(), 0..4)
                .prop_map(|items| format!(" in ({})", items.join(", "))),
            proptest::collection::vec(literal(), 1..4)
                .prop_map(|items| format!(" = anyof ({})", items.join(","))),
            (-9i32..99).prop_map(|n| format!(" >= {n}")),
        ],
    )
        .prop_map(|(left, test)| left + &test);
    check.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(|c| format!("({})", c.join(" and "))),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(|c| format!("({})", c.join(" or "))),
            inner.prop_map(|c| format!("not ({c})")),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(text in condition()) {
        let expr = parse(&text).map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
        let printed = format!("{expr:#}");
        let again = parse(&printed).map_err(|e| TestCaseError::fail(format!("{printed}: {e}")))?;
        prop_assert_eq!(without_spans(&expr), without_spans(&again), "{}", printed);
    }

    #[test]
    fn nothing_panics(text in "[ -~\\n\u{e9}]{0,60}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.span.start <= error.span.end);
        }
    }

    #[test]
    fn nothing_that_looks_like_a_condition_panics(words in proptest::collection::vec(
        prop_oneof![
            Just("and"), Just("or"), Just("not"), Just("("), Just(")"), Just("a.b"), Just("="), Just("in"), Just("x"),
            Just("'"), Just("\\"), Just("["), Just("]"), Just(","), Just("tolower("), Just("val("), Just("anyof"),
            Just(" "), Just("<"), Just("1"), Just("é"),
        ], 0..30)) {
        let text = words.concat();
        if let Ok(expr) = parse(&text) {
            prop_assert!(parse(&format!("{expr:#}")).is_ok(), "{} -> {}", text, expr);
        }
    }
}
