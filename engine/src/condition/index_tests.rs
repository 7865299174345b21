//! Large sets of rules that are looked up by their constants find what every rule finds by itself, in order.

use lanner_schema::event::Event;
use proptest::prelude::*;

use super::event_program::EventProgram;
use super::memory::Memory;
use super::naive::Naive;
use super::random_events::{NAMES, NUMBERS, PATHS, random};
use super::{Expr, Program, compile, parse};
use crate::testing::Happening;

/// A text that is quoted, because it may be empty or hold anything.
fn quoted(text: &str) -> String {
    format!("'{text}'")
}

/// Part of a text: its beginning, its end, or what is between.
fn part() -> impl Strategy<Value = String> {
    (proptest::sample::select(&PATHS[..]), 0..12usize, 1..12usize)
        .prop_map(|(path, skip, take)| path.chars().skip(skip).take(take).collect())
}

/// A constant that events have, or one of many that they do not have.
fn path() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => proptest::sample::select(&PATHS[..]).prop_map(str::to_owned),
        2 => part(),
        3 => (0..900u32).prop_map(|n| format!("/srv/{n}/data")),
        1 => (0..9u32).prop_map(|n| format!("/etc/shadow{}", "/deep".repeat(10 + n as usize))),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => proptest::sample::select(&NAMES[..]).prop_map(str::to_owned),
        1 => (0..900u32).prop_map(|n| format!("tool{n}")),
    ]
}

fn number() -> impl Strategy<Value = i64> {
    // Those that fit every type.
    let of_events: Vec<i64> = NUMBERS
        .into_iter()
        .filter(|n| n.unsigned_abs() < 1 << 31)
        .collect();
    prop_oneof![proptest::sample::select(of_events), 0..2000i64]
}

fn list<T: std::fmt::Display + std::fmt::Debug>(
    of: impl Strategy<Value = T>,
    most: usize,
) -> impl Strategy<Value = String> {
    proptest::collection::vec(of, 1..most).prop_map(|items| {
        items
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    })
}

/// A check that can be looked up, on every kind of field.
fn looked_up() -> impl Strategy<Value = String> {
    let path_field = || {
        proptest::sample::select(vec![
            "fd.name",
            "fd.directory",
            "fd.nameraw",
            "fs.path.name",
            "fs.path.target",
            "evt.arg.name",
            "proc.exepath",
            "proc.aexepath",
            "proc.cmdline",
            "tolower(fd.name)",
        ])
    };
    let name_field = || {
        proptest::sample::select(vec![
            "proc.name",
            "proc.pname",
            "proc.aname",
            "proc.aname[2]",
            "basename(fd.name)",
            "container.image.repository",
        ])
    };
    let text_operator =
        proptest::sample::select(vec!["=", "startswith", "endswith", "contains", "glob", "pmatch"]);
    let of_path = (path_field(), text_operator, path()).prop_map(|(field, op, path)| match op {
        "pmatch" => format!("{field} pmatch ({})", quoted(&path)),
        _ => format!("{field} {op} {}", quoted(&path)),
    });
    let pattern = (
        path_field(),
        path(),
        proptest::sample::select(vec!["*", "?", "[a-z]"]),
        part(),
    )
        .prop_map(|(field, path, wild, part)| {
            format!("{field} glob {}", quoted(&format!("{path}{wild}{part}")))
        });
    let pattern_path = (path_field(), list(path().prop_map(|path| quoted(&path)), 4))
        .prop_map(|(field, paths)| format!("{field} pmatch ({paths}, /proc/*/mem, '/u[a-z]r/bin')"));
    let several = (
        path_field(),
        proptest::sample::select(vec!["contains", "startswith", "endswith", "=", "glob"]),
        proptest::sample::select(vec!["anyof", "oneof", "allof"]),
        list(path().prop_map(|path| quoted(&path)), 7),
    )
        .prop_map(|(field, op, modifier, items)| format!("{field} {op} {modifier} ({items})"));
    let names = (name_field(), list(name().prop_map(|name| quoted(&name)), 5))
        .prop_map(|(field, names)| format!("{field} in ({names})"));
    let numbers = (
        proptest::sample::select(vec![
            "evt.rawres",
            "user.uid",
            "proc.duration",
            "fd.num",
            "proc.apid",
        ]),
        list(number(), 4),
    )
        .prop_map(|(field, numbers)| format!("{field} in ({numbers})"));
    let ports = (
        proptest::sample::select(vec!["fd.port", "fd.sport"]),
        list(
            (0..9usize, 0..2000u16).prop_map(|(n, other)| [443, 53, 5, other][n % 4]),
            3,
        ),
    )
        .prop_map(|(field, ports)| format!("{field} in ({ports})"));
    let address = (
        proptest::sample::select(vec!["fd.ip", "fd.sip", "fd.lip"]),
        prop_oneof![
            proptest::sample::select(vec!["10.0.0.1", "127.0.0.1", "2001:db8::1", "::1"])
                .prop_map(str::to_owned),
            (0..250u8).prop_map(|n| format!("192.0.2.{n}")),
        ],
    )
        .prop_map(|(field, address)| format!("{field} = {address}"));
    let option = (
        proptest::sample::select(vec!["in", "intersects"]),
        list(
            (0..12u32).prop_map(|n| ["5", "i", "c", "9", "x"][n as usize % 5]),
            3,
        ),
    )
        .prop_map(|(op, items)| format!("getopt(proc.args, 't:ic') {op} ({items})"));
    prop_oneof![5 => of_path, 1 => pattern, 1 => pattern_path, 2 => several, 3 => names, 2 => numbers, 1 => ports,
        1 => address, 1 => option]
}

/// A check that cannot.
fn other() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "evt.type in (open, openat, execve, connect, unlinkat)",
        "evt.is_open_write = true",
        "evt.rawres >= 0",
        "fd.typechar = f",
        "fd.name exists",
        "fd.name regex '.*s.*'",
        "fd.name icontains ETC",
        "proc.name != cat",
        "fd.ip != 127.0.0.1",
        "fd.net in (127.0.0.0/8)",
        "proc.name = val(proc.pname)",
        "container.id != host",
    ])
    .prop_map(str::to_owned)
}

fn condition() -> impl Strategy<Value = String> {
    let leaf = || prop_oneof![6 => looked_up(), 1 => other()];
    let alternatives = proptest::collection::vec(leaf(), 2..4).prop_map(|c| format!("({})", c.join(" or ")));
    let nested = (leaf(), leaf(), leaf()).prop_map(|(a, b, c)| format!("({a} and ({b} or not {c}))"));
    let exception = (leaf(), leaf()).prop_map(|(a, b)| format!("not ({a} and {b})"));
    let conjunct =
        prop_oneof![5 => looked_up(), 2 => other(), 2 => alternatives, 1 => nested, 2 => exception];
    proptest::collection::vec(conjunct, 1..4).prop_map(|c| c.join(" and "))
}

fn programs(texts: &[String]) -> Vec<(Expr, Program)> {
    let compiled = texts.iter().map(|text| {
        let expr = parse(text).unwrap_or_else(|e| panic!("{text}: {}", e.message));
        let program = compile(&expr).unwrap_or_else(|e| panic!("{text}: {}", e[0]));
        (expr, program)
    });
    compiled.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn large_rule_sets_find_the_same(
        texts in prop_oneof![
            4 => proptest::collection::vec(condition(), 80..300),
            1 => proptest::collection::vec(condition(), 600..700),
        ],
        events in proptest::collection::vec(random(), 1..8),
    ) {
        let rules = programs(&texts);
        let mut ordered: Vec<(u32, &(Expr, Program))> = (0..).zip(&rules).collect();
        ordered.reverse();
        let (mut naive, mut memory) = (Naive::default(), Memory::default());
        for random in &events {
            // The order is that in which they are given, whatever they are called.
            let on_it = ordered.iter().filter(|(_, (_, program))| program.events().contains(random.event));
            let together = EventProgram::new(random.event, on_it.map(|(id, (_, program))| (*id, program)));
            random.view(|view| {
                let expected: Vec<u32> =
                    ordered.iter().filter(|(_, (expr, _))| naive.holds(expr, view)).map(|(id, _)| *id).collect();
                // Stopping early must leave nothing for the next event.
                for stop_after in [1, 2, usize::MAX, usize::MAX] {
                    let mut found = Vec::new();
                    together.run(view, &mut memory, &mut |id| { found.push(id); found.len() >= stop_after });
                    let expected = &expected[..expected.len().min(stop_after)];
                    let differ = |id: &&u32| found.contains(id) != expected.contains(id);
                    let differing: Vec<&str> =
                        found.iter().chain(expected).filter(differ).map(|id| &*texts[*id as usize]).collect();
                    prop_assert_eq!(&found, expected, "{:?}\n{}", view, differing.join("\n"));
                }
                Ok(())
            })?;
        }
    }
}

/// Whether rules with these conditions are looked up on an `openat`, and which of them one of `/etc/shadow` satisfies.
fn on_openat(conditions: impl Iterator<Item = String>) -> (bool, Vec<u32>) {
    let rules = programs(&conditions.collect::<Vec<_>>());
    let program = EventProgram::new(Event::Openat, (0..).zip(rules.iter().map(|(_, program)| program)));
    let mut found = Vec::new();
    Happening::openat(b"/etc/shadow", 0, 3).view(|view| {
        program.run(view, &mut Memory::default(), &mut |id| {
            found.push(id);
            false
        });
    });
    (program.is_indexed(), found)
}

#[test]
fn every_kind_of_atom_is_looked_up_and_found() {
    type OfNumber = fn(u32) -> String;
    let kinds: [(&str, OfNumber); 12] = [
        ("fd.name = /etc/shadow", |n| format!("fd.name = /srv/{n}")),
        ("fd.name in (/etc/shadow, /x)", |n| {
            format!("fd.name in (/srv/{n}, /opt/{n})")
        }),
        ("fd.name startswith /etc/s", |n| {
            format!("fd.name startswith /srv/{n}")
        }),
        ("fd.name endswith shadow", |n| format!("fd.name endswith {n}.so")),
        ("fd.name contains c/sh", |n| format!("fd.name contains /{n}/")),
        ("fd.name glob /etc/sh*", |n| format!("fd.name glob /srv/{n}/*")),
        ("fd.name glob *adow", |n| format!("fd.name glob *{n}.so")),
        ("fd.name pmatch (/etc)", |n| format!("fd.name pmatch (/srv/{n})")),
        ("fd.name pmatch (/etc/*)", |n| {
            format!("fd.name pmatch (/srv/{n}/*/x)")
        }),
        ("proc.aname in (sshd)", |n| format!("proc.aname = tool{n}")),
        ("fd.num = 3", |n| format!("fd.num = {}", n + 100)),
        ("proc.name = cat or proc.pname = x", |n| {
            format!("proc.name = a{n} or proc.pname = b{n}")
        }),
    ];
    for (matching, other) in kinds {
        let conditions = (0..200).map(|n| if n == 77 { matching.to_owned() } else { other(n) });
        assert_eq!(on_openat(conditions), (true, vec![77]), "{matching}");
    }
}

#[test]
fn what_cannot_be_looked_up_is_evaluated_in_its_place() {
    let conditions = (0..300).map(|n| match n % 100 {
        10 => "not fd.name startswith /srv".to_owned(),
        20 => "fd.name contains /".to_owned(),
        30 => "fd.name = /etc/shadow".to_owned(),
        _ => format!("fd.name = /srv/{n} and proc.name != x"),
    });
    let found: Vec<u32> = (0..300).filter(|n| [10, 20, 30].contains(&(n % 100))).collect();
    assert_eq!(on_openat(conditions), (true, found));
}

#[test]
fn a_large_set_is_asked_itself() {
    let items = |from: u32| {
        (from..from + 5000)
            .map(|n| format!("/srv/{n}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let conditions = (0..200).map(|n| match n {
        7 => format!(
            "fd.name in ({}, /etc/shadow) and proc.name = cat",
            items(n * 10_000)
        ),
        8 => format!("fd.name in ({})", items(n * 10_000)),
        _ => format!("fd.name = /opt/{n}"),
    });
    assert_eq!(on_openat(conditions), (true, vec![7]));
}

#[test]
fn a_few_conditions_are_not_looked_up() {
    let conditions = (0..4).map(|n| format!("fd.name = /srv/{n}"));
    assert_eq!(on_openat(conditions), (false, vec![]));
}
