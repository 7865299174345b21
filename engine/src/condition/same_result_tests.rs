//! Rules evaluated together find what every rule finds by itself, as it was written, in the order of definition.

use std::path::PathBuf;

use lanner_schema::event::Event;
use proptest::prelude::*;

use super::event_program::EventProgram;
use super::memory::Memory;
use super::naive::Naive;
use super::random_events::{NAMES, NUMBERS, PATHS, Random, random};
use super::random_tests::check;
use super::{Expr, Program, compile, parse};
use crate::{BUILT_IN_RULES, Matching, RulesFile, Settings, load};

/// Checks whose answers vary over the random events, whatever decides them.
fn likely() -> impl Strategy<Value = String> {
    let numbered = (
        0..NUMBERS.len(),
        proptest::sample::select(vec!["=", "!=", "<", ">="]),
    )
        .prop_map(|(n, op)| format!("evt.rawres {op} {}", NUMBERS[n]));
    let path = (
        proptest::sample::select(vec![
            "fd.name",
            "fd.directory",
            "fs.path.name",
            "evt.arg.name",
            "proc.exepath",
            "fs.path.target",
        ]),
        proptest::sample::select(vec!["=", "!=", "startswith", "endswith", "contains", "glob"]),
        proptest::sample::select(&PATHS[..20]),
    )
        .prop_map(|(field, op, path)| format!("{field} {op} {path}"));
    let name = (
        proptest::sample::select(vec!["proc.name", "proc.pname", "proc.aname", "proc.aname[2]"]),
        proptest::collection::vec(proptest::sample::select(&NAMES[..9]), 0..6),
    )
        .prop_map(|(field, names)| format!("{field} in ({})", names.join(", ")));
    let fixed = proptest::sample::select(vec![
        "evt.type in (open, openat, openat2)",
        "evt.type = execve",
        "evt.type != openat",
        "evt.type.openat exists",
        "evt.num = 0",
        "evt.num > 0",
        "evt.num < 3",
        "evt.num in (0)",
        "evt.category = file",
        "syscall.type = connect",
        "evt.is_open_read = true",
        "evt.is_open_write = true",
        "evt.is_open_write != true",
        "evt.is_open_create = true",
        "evt.is_open_exec = true",
        "evt.failed = false",
        "evt.res = SUCCESS",
        "evt.res != ENOENT",
        "evt.type.is.openat = 1",
        "fd.num >= 0",
        "fd.num = -1",
        "fd.typechar = f",
        "fd.type in (file, directory)",
        "fd.sport != 53",
        "fd.port = 443",
        "fd.port != 443",
        "fd.ip = 127.0.0.1",
        "fd.ip != 127.0.0.1",
        "fd.snet in (127.0.0.0/8, '::1/128')",
        "fd.name exists",
        "not fd.name exists",
        "fd.name pmatch (/etc, /var/log)",
        "fs.path.target pmatch (/bin, /usr/*)",
        "fd.filename = shadow",
        "fd.l4proto = tcp",
        "fd.connected = true",
        "fd.nameraw contains ../",
        "container.id != host",
        "container.id = host",
        "container.duration < 5000000000",
        "container.image.repository in (nginx)",
        "container.image.repository = nginx",
        "proc.cmdline contains id",
        "proc.args startswith -",
        "proc.is_exe_upper_layer = true",
        "proc.tty != 0",
        "proc.duration <= 5000000000",
        "user.uid = 0",
        "thread.cap_effective contains CAP_SYS_ADMIN",
        "evt.arg.flags contains O_TRUNC",
        "evt.arg.mode contains S_ISUID",
        "evt.rawarg.flags > 0",
        "evt.arg[1] exists",
        "evt.arg.name exists",
        "fd.name in (/etc/shadow, /etc/passwd, /bin/sh)",
        "proc.name != allof (cat, nginx)",
        "proc.name = oneof (cat, nginx)",
        "proc.name startswith anyof (ba, s, run)",
        "proc.name contains anyof (a, b, c, d, e)",
        "fd.name regex '.*/s[a-z]+'",
        "proc.name = val(proc.pname)",
        "evt.type = val(evt.category)",
        "fd.num = val(evt.rawres)",
        "fd.directory != val(proc.cwd)",
        "tolower(fd.name) startswith /etc",
        "basename(fd.name) = shadow",
        "len(proc.name) > 4",
        "getopt(proc.args, 't:')[t] = 5",
        "evt.abspath startswith /etc",
        "evt.abspath.dst exists",
        "fd.name_changed = true",
        "fd.types in (file)",
        "proc.aname != bash",
    ])
    .prop_map(str::to_owned);
    prop_oneof![1 => numbered, 3 => path, 3 => name, 8 => fixed, 1 => check()]
}

pub(super) fn condition() -> impl Strategy<Value = String> {
    likely().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            2 => proptest::collection::vec(inner.clone(), 2..5).prop_map(|c| format!("({})", c.join(" and "))),
            1 => proptest::collection::vec(inner.clone(), 2..5).prop_map(|c| format!("({})", c.join(" or "))),
            1 => inner.prop_map(|c| format!("not ({c})")),
        ]
    })
}

fn programs(texts: &[String]) -> Vec<(Expr, Program)> {
    let compiled = texts.iter().filter_map(|text| {
        let expr = parse(text).ok()?;
        let program = compile(&expr).ok()?;
        Some((expr, program))
    });
    compiled.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn random_rules_find_the_same(
        // Sometimes more than one block of rules.
        texts in prop_oneof![
            4 => proptest::collection::vec(condition(), 1..12),
            1 => proptest::collection::vec(condition(), 60..140),
        ],
        events in proptest::collection::vec(random(), 1..12),
    ) {
        let rules = programs(&texts);
        let (mut naive, mut memory) = (Naive::default(), Memory::default());
        for random in &events {
            let on_it = (0u32..).zip(&rules).filter(|(_, (_, program))| program.events().contains(random.event));
            let together = EventProgram::new(random.event, on_it.map(|(id, (_, program))| (id, program)));
            random.view(|view| {
                let expected: Vec<u32> =
                    (0u32..).zip(&rules).filter(|(_, (expr, _))| naive.holds(expr, view)).map(|(id, _)| id).collect();
                // Twice: what was remembered of one event has to be forgotten at the next.
                for _ in 0..2 {
                    let mut found = Vec::new();
                    together.run(view, &mut memory, &mut |id| { found.push(id); false });
                    prop_assert_eq!(&found, &expected, "{:?}\n{}", view, texts.join("\n"));
                }
                let mut first = None;
                together.run(view, &mut memory, &mut |id| { first = Some(id); true });
                prop_assert_eq!(first, expected.first().copied());
                Ok(())
            })?;
        }
    }
}

/// Shows events to the rules of a file, and compares with what each rule finds by itself.
fn file_finds_the_same(name: &str, text: &str, events: &[Random]) -> Result<(), TestCaseError> {
    for (rule_matching, real_names) in [
        (Matching::First, true),
        (Matching::All, true),
        (Matching::First, false),
    ] {
        let file = RulesFile {
            name: name.into(),
            text: text.into(),
        };
        let settings = Settings {
            rule_matching,
            real_names,
            ..Settings::default()
        };
        let mut ruleset = load(&[file], &settings).ruleset.unwrap();
        let mut naive = Naive::default();
        for random in events {
            random.view(|view| {
                let other = view.by_other_names().filter(|_| real_names);
                let mut holds = |condition: &Expr| {
                    naive.holds(condition, view)
                        || other.as_ref().is_some_and(|other| naive.holds(condition, other))
                };
                let mut expected: Vec<String> = ruleset
                    .rules()
                    .filter(|rule| rule.runs() && holds(&rule.condition))
                    .map(|rule| rule.name().to_owned())
                    .collect();
                if rule_matching == Matching::First {
                    expected.truncate(1);
                }
                let mut found = Vec::new();
                ruleset.evaluate(view, &mut |alert| found.push(alert.rule.to_string()));
                prop_assert_eq!(found, expected, "{:?}", view);
                Ok(())
            })?;
        }
    }
    Ok(())
}

pub(super) fn stock_rules() -> Option<String> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/falco/falco_rules.yaml");
    let path = std::env::var_os("FALCO_RULES").map_or_else(default, PathBuf::from);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            eprintln!(
                "skipped: {}: {error}; set FALCO_RULES to Falco's falco_rules.yaml",
                path.display()
            );
            None
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_built_in_rules_find_the_same(events in proptest::collection::vec(random(), 100)) {
        file_finds_the_same("lanner_rules.yaml", BUILT_IN_RULES, &events)?;
    }

    #[test]
    fn the_stock_rules_find_the_same(events in proptest::collection::vec(random(), 100)) {
        if let Some(text) = stock_rules() {
            file_finds_the_same("falco_rules.yaml", &text, &events)?;
        }
    }
}

/// Rules of a file with these conditions, in this order.
fn as_file(conditions: &[String]) -> String {
    let compiles = |text: &&String| parse(text).is_ok_and(|expr| compile(&expr).is_ok());
    let rules = conditions.iter().filter(compiles).enumerate();
    rules
        .map(|(n, condition)| {
            let condition = condition.replace('\'', "''");
            format!(
                "- {{rule: R{n}, desc: d, priority: INFO, output: '%fd.name', condition: '{condition}', \
                 warn_evttypes: false}}\n"
            )
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn rules_are_evaluated_by_each_set_of_names(
        conditions in proptest::collection::vec(condition(), 1..12),
        events in proptest::collection::vec(random(), 1..30),
    ) {
        let file = as_file(&conditions);
        if !file.is_empty() {
            file_finds_the_same("random.yaml", &file, &events)?;
        }
    }
}

#[test]
fn conditions_as_deep_as_they_may_be_are_specialised() {
    // `and` and `or` by turns do not become one; each level adds one to the depth.
    let depth = super::MAX_DEPTH - 10;
    let mut text = String::new();
    for level in 0..depth {
        let word = if level % 2 == 0 { "and" } else { "or" };
        text.push_str(&format!("evt.cpu < {} {word} (", level + 2));
    }
    text.push_str("proc.name = cat");
    text.push_str(&")".repeat(depth));
    let rules = programs(&[text]);
    assert_eq!(rules.len(), 1);
    let program = EventProgram::new(Event::Openat, rules.iter().map(|(_, program)| (0, program)));
    let happening = crate::testing::Happening::openat(b"/etc/shadow", 0, 3);
    let (mut memory, mut found) = (Memory::default(), 0);
    happening.view(|view| {
        program.run(view, &mut memory, &mut |_| {
            found += 1;
            false
        });
        assert_eq!(found == 1, Naive::default().holds(&rules[0].0, view));
    });
}
