//! Random conditions and outputs over the real fields: nothing panics, and negation means what it says.

use proptest::prelude::*;

use super::*;
use crate::output::Template;
use crate::testing::Happening;

fn happenings() -> Vec<Happening> {
    vec![
        Happening::openat(b"/etc/shadow", 0, 3),
        Happening::openat(b"\xff", 0o101, -13).contained(),
        Happening::connect(("10.0.0.1", 40000), ("1.1.1.1", 443)),
        Happening::connect(("::1", 1), ("2001:db8::2", 2)).contained(),
        Happening::rename("/a", "/b", 0),
        Happening::execve(),
    ]
}

fn field() -> impl Strategy<Value = String> {
    let names: Vec<&'static str> = crate::field::all().map(|field| field.name).collect();
    (
        proptest::sample::select(names),
        prop_oneof![
            4 => Just(""), 1 => Just("[0]"), 1 => Just("[2]"), 1 => Just("[x]"), 1 => Just(".name"), 1 => Just(".flags"),
            1 => Just(".openat"), 1 => Just(".fd")
        ],
    )
        .prop_map(|(name, arg)| format!("{name}{arg}"))
}

fn value() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "x",
        "''",
        "0",
        "-1",
        "3",
        "99999999999999999999",
        "true",
        "10.0.0.0/8",
        "1.1.1.1",
        "::1",
        "::/0",
        "https",
        "openat",
        "/etc",
        "'[a-z]+'",
        "'['",
        "6162",
        "*",
        r#""\xff""#,
    ])
}

pub(super) fn check() -> impl Strategy<Value = String> {
    let operators: Vec<&'static str> = Operator::ALL.iter().map(|op| op.word()).collect();
    let left = prop_oneof![
        8 => field(),
        1 => field().prop_map(|f| format!("tolower({f})")),
        1 => field().prop_map(|f| format!("len({f})")),
        1 => field().prop_map(|f| format!("getopt({f}, 'n:')")),
    ];
    (
        left,
        proptest::sample::select(operators),
        value(),
        value(),
        prop_oneof![Just(""), Just("anyof"), Just("allof"), Just("oneof")],
        field(),
        0..8u8,
    )
        .prop_map(|(left, op, a, b, modifier, right, shape)| match shape {
            0 => format!("{left} exists"),
            1 => format!("{left} {op} val({right})"),
            2 | 3 => format!("{left} {op} {modifier} ({a}, {b})"),
            _ => format!("{left} {op} {a}"),
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn checks_never_panic_and_negation_is_the_opposite(text in check()) {
        let (Ok(expr), Ok(negated)) = (parse(&text), parse(&format!("not ({text})"))) else {
            return Ok(());
        };
        let Ok(program) = compile(&expr) else { return Ok(()) };
        let negated = compile(&negated).map_err(|e| TestCaseError::fail(format!("{text}: {}", e[0])))?;
        let mut scratch = Scratch::new();
        for happening in happenings() {
            let (yes, no) = happening.view(|view| {
                (program.matches(view, &mut scratch), negated.matches(view, &mut scratch))
            });
            prop_assert_ne!(yes, no, "{}", text);
            // The event set is never too small.
            if yes {
                prop_assert!(program.events().contains(happening.event), "{}", text);
            }
            if no {
                prop_assert!(negated.events().contains(happening.event), "not {}", text);
            }
        }
    }

    #[test]
    fn event_sets_hold_for_combinations(checks in proptest::collection::vec(
        prop_oneof![
            Just("evt.type = openat"), Just("evt.type in (openat, connect)"), Just("evt.type != rename"),
            Just("evt.num = 0"), Just("evt.num > 0"), Just("proc.name = cat"), Just("fd.name exists"),
            Just("evt.type = anyof (rename, execve)"), Just("evt.type != allof (rename, execve)"),
            Just("evt.type != anyof (rename, execve)"), Just("evt.type = oneof (rename, rename)"),
            Just("evt.type in ()"), Just("evt.type exists"), Just("evt.num in (0)"), Just("evt.num <= 1"),
        ], 3), shape in 0..6u8) {
        let [a, b, c] = [checks[0], checks[1], checks[2]];
        let text = match shape {
            0 => format!("{a} and {b} or {c}"),
            1 => format!("not ({a} and {b}) and {c}"),
            2 => format!("not ({a} or not ({b} and {c}))"),
            3 => format!("{a} and ({b} or not {c})"),
            4 => format!("not {a} or not {b} and {c}"),
            _ => format!("not ({a} or {b} or {c})"),
        };
        let program = compile(&parse(&text).unwrap()).unwrap();
        for happening in happenings() {
            if happening.view(|view| program.matches(view, &mut Scratch::new())) {
                prop_assert!(program.events().contains(happening.event), "{}", text);
            }
        }
    }

    #[test]
    fn outputs_never_panic(parts in proptest::collection::vec(
        prop_oneof![
            field().prop_map(|f| format!("%{f}")), field().prop_map(|f| format!("%9{f}é")),
            field().prop_map(|f| format!("%tolower({f})")), "[ -~é%\\[\\]]{0,8}", Just("*".to_owned()),
        ], 0..6)) {
        let text = parts.concat();
        match Template::compile(&text) {
            Ok(template) => for happening in happenings() {
                let (mut out, mut values) = (String::new(), Vec::new());
                happening.view(|view| template.render(view, &mut out, &mut values));
                prop_assert!(values.is_sorted_by(|a, b| a.0 < b.0));
            },
            Err(error) => prop_assert!(error.span().start < error.span().end),
        }
    }
}
