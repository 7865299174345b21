//! Rules files that are broken, huge or malicious: each loads or ends in a clear error at its place, on a small stack, with
//! memory in proportion. (How long it takes is watched over the program itself, see `bad_input_command`.)

#![allow(clippy::unwrap_used)]

use lanner_engine::{Loaded, RulesFile, Settings, load};
use std::fmt::Write as _;

/// What a load of a small file may take at any moment.
const LITTLE: u64 = 8 << 20;
/// The most any file may make a load take.
const MUCH: u64 = 800 << 20;

fn load_within(bytes: u64, text: String) -> Loaded {
    let file = RulesFile {
        name: "f.yaml".into(),
        text,
    };
    let mut loaded = None;
    let taken = allocation_counter::measure(|| loaded = Some(load(&[file], &Settings::default())));
    let loaded = loaded.unwrap();
    let first = loaded
        .diagnostics
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
    assert!(taken.bytes_max < bytes, "{} bytes: {first}", taken.bytes_max);
    // Whatever is said can be read.
    for diagnostic in &loaded.diagnostics {
        let shown = diagnostic.to_string();
        assert!(shown.len() < 20_000, "{}", &shown[shown.len() - 2000..]);
    }
    assert!(loaded.diagnostics.len() <= 2002, "{}", loaded.diagnostics.len());
    loaded
}

/// It loads.
fn loads(bytes: u64, text: String) -> Loaded {
    let loaded = load_within(bytes, text);
    let errors: Vec<String> = loaded.errors().map(ToString::to_string).collect();
    assert!(loaded.ruleset.is_some(), "{}", errors.join("\n"));
    loaded
}

/// It is refused: the first error is at this position and has this text.
fn refused(bytes: u64, text: String, at: (usize, usize), message: &str) -> Loaded {
    let loaded = load_within(bytes, text);
    assert!(loaded.ruleset.is_none(), "{message}");
    let error = loaded.errors().next().unwrap();
    assert!(error.message.contains(message), "{error}");
    assert_eq!((error.line, error.column), at, "{error}");
    loaded
}

fn rule(name: &str, condition: &str) -> String {
    format!("- rule: {name}\n  desc: d\n  condition: {condition}\n  output: o %proc.name\n  priority: INFO\n")
}

/// `a0, a1, …`
fn items(count: usize) -> String {
    let items: Vec<String> = (0..count).map(|index| format!("a{index}")).collect();
    items.join(", ")
}

/// A chain: each item is made of its number and that of the one before it.
fn chain(count: usize, first: &str, item: impl Fn(usize, usize) -> String) -> String {
    (1..count).fold(first.to_owned(), |text, index| text + &item(index, index - 1))
}

/// Where conditions of [`rule`] begin in their line.
const CONDITION: usize = 14;

#[test]
fn parentheses_and_negations_nest_a_thousand_deep() {
    let nested = |open: &str, depth: usize, close: &str| {
        rule(
            "R",
            &format!("{}evt.type = openat{}", open.repeat(depth), close.repeat(depth)),
        )
    };
    loads(LITTLE, nested("(", 1000, ")"));
    loads(LITTLE, nested("not (", 1000, ")"));
    loads(LITTLE, nested("not (fd.num > 0 and ", 400, ")"));
    let limit = "exceeded max depth limit of 1000";
    refused(LITTLE, nested("(", 1001, ")"), (3, CONDITION + 1001), limit);
    refused(
        64 << 20,
        nested("(", 1_000_000, ")"),
        (3, CONDITION + 1001),
        limit,
    );
    refused(
        LITTLE,
        nested("not (fd.num > 0 and ", 999, ")"),
        (3, CONDITION),
        limit,
    );
    loads(64 << 20, nested("not ", 1_000_000, ""));
}

#[test]
fn transformers_nest_too() {
    let nested = |depth: usize| format!("{}proc.name{}", "tolower(".repeat(depth), ")".repeat(depth));
    loads(
        LITTLE,
        rule("R", &format!("evt.type = openat and {} = x", nested(60))),
    );
    for depth in [65, 1001, 100_000] {
        let text = rule("R", &format!("evt.type = openat and {} = x", nested(depth)));
        let loaded = load_within(64 << 20, text);
        assert!(
            loaded.errors().next().unwrap().message.contains("max depth"),
            "{depth}"
        );
        let output = rule("R", "evt.type = openat").replace("%proc.name", &format!("%{}", nested(depth)));
        assert!(load_within(64 << 20, output).errors().next().is_some(), "{depth}");
    }
}

#[test]
fn yaml_nests_only_as_deep_as_rules_need() {
    let limit = "more than 24 deep";
    for depth in [25, 1000, 200_000] {
        for (text, column) in [
            ("[".repeat(depth) + &"]".repeat(depth), 25),
            ("- ".repeat(depth) + "a", 49),
            ("{a: ".repeat(depth) + "1" + &"}".repeat(depth), 97),
            ("? ".repeat(depth) + "a", 49),
        ] {
            let loaded = load_within(64 << 20, text);
            let error = loaded.errors().next().unwrap();
            assert!(error.message.contains(limit), "{error}");
            // From some depth on the brackets are counted before anything else is read.
            assert!(error.column == column || depth > 255, "{error}");
        }
    }
    let indented: String = (0..200)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    refused(LITTLE, indented, (25, 25), limit);
}

#[test]
fn aliases_can_not_multiply() {
    let bomb = |first: &str, name: &str| {
        chain(12, first, |index, before| {
            let uses = vec![format!("*{name}{before}"); 10].join(", ");
            format!("- &{name}{index} [{uses}]\n")
        })
    };
    let loaded = load_within(200 << 20, bomb("- &b0 [x, x, x, x, x, x, x, x, x, x]\n", "b"));
    let error = loaded.errors().next().unwrap();
    assert!(error.message.contains("what its aliases stand for"), "{error}");
    assert!(error.line > 3 && error.column > 1, "{error}");
    let long = format!("- &a {}\n{}", "x".repeat(1_000_000), "- *a\n".repeat(10_000));
    let loaded = load_within(200 << 20, long);
    assert!(
        loaded
            .errors()
            .next()
            .unwrap()
            .message
            .contains("what its aliases stand for")
    );
    refused(
        LITTLE,
        "- &a [*a]\n".into(),
        (1, 7),
        "stands for what it is part of",
    );
    refused(
        LITTLE,
        "- &a {<<: *a}\n".into(),
        (1, 11),
        "stands for what it is part of",
    );
    // One list under many names is no bomb.
    let lists = chain(2000, "- list: a0\n  items: &a [x, y]\n", |index, _| {
        format!("- list: a{index}\n  items: *a\n")
    });
    loads(64 << 20, lists);
}

#[test]
fn merge_keys_are_keys_without_meaning() {
    let bomb = chain(20, "- &a0 {k: v}\n", |index, before| {
        format!("- &a{index} {{<<: [*a{before}, *a{before}], k{index}: v}}\n")
    });
    assert!(load_within(64 << 20, bomb).ruleset.is_none());
    let text = "- &a {list: l, items: [a]}\n- {<<: *a, list: m, items: [b]}\n";
    let loaded = loads(LITTLE, text.into());
    let unknown = loaded
        .diagnostics
        .iter()
        .find(|d| d.code.as_str() == "LOAD_UNKNOWN_KEY");
    assert_eq!(unknown.map(|d| (d.line, d.column)), Some((2, 4)));
}

#[test]
fn long_lists_load_and_longer_ones_are_refused() {
    let list = |count: usize| format!("- list: l\n  items: [{}]\n", items(count));
    loads(
        300 << 20,
        list(100_000) + &rule("R", "evt.type = openat and proc.name in (l)"),
    );
    loads(
        300 << 20,
        rule(
            "R",
            &format!("evt.type = openat and proc.name in ({})", items(100_000)),
        ),
    );
    let text = list(100_001) + &rule("R", "evt.type = openat and proc.name in (l)");
    let message = "list 'l' has more than 100000 items";
    refused(300 << 20, text, (5, CONDITION), message);
}

#[test]
fn exceptions_with_many_values_load() {
    let exceptions = |fields: &str, values: String| {
        format!(
            "{}  exceptions:\n  - name: e\n    fields: {fields}\n    values: [{values}]\n",
            rule("R", "evt.type = openat")
        )
    };
    loads(300 << 20, exceptions("proc.name", items(100_000)));
    let rows: Vec<String> = (0..20_000).map(|row| format!("[a{row}, /b{row}]")).collect();
    loads(300 << 20, exceptions("[proc.name, fd.name]", rows.join(", ")));
}

#[test]
fn lists_of_lists_can_not_multiply() {
    for first in ["- list: l0\n  items: [a, b]\n", "- list: l0\n  items: []\n"] {
        let lists = chain(40, first, |index, before| {
            format!("- list: l{index}\n  items: [l{before}, l{before}]\n")
        });
        let text = lists + &rule("R", "evt.type = openat and proc.name in (l39)");
        refused(
            64 << 20,
            text,
            (83, CONDITION),
            "more than 100000 items with the lists it names",
        );
    }
    let lists = chain(10_000, "- list: l0\n  items: [a]\n", |index, before| {
        format!("- list: l{index}\n  items: [l{before}]\n")
    });
    let text = lists + &rule("R", "evt.type = openat and proc.name in (l9999)");
    refused(
        64 << 20,
        text,
        (20_003, CONDITION),
        "lists name lists more than 200 deep",
    );
}

#[test]
fn macros_can_not_multiply() {
    let first = "- macro: m0\n  condition: proc.name = x\n";
    let doubled = |count: usize| {
        chain(count, first, |index, before| {
            format!("- macro: m{index}\n  condition: m{before} or m{before}\n")
        })
    };
    let text = doubled(40) + &rule("R", "evt.type = openat and m39");
    refused(MUCH, text, (36, 21), "the condition has more than 200000 checks");
    // Each is allowed by itself.
    let users: String = (0..300)
        .map(|index| rule(&format!("R{index}"), "evt.type = openat and m14"))
        .collect();
    let loaded = load_within(MUCH, doubled(15) + &users);
    let errors: Vec<String> = loaded.errors().map(|error| error.message.clone()).collect();
    assert!(
        errors.len() == 1 && errors[0].contains("more than 1500000 checks together"),
        "{errors:?}"
    );
}

#[test]
fn macros_in_a_chain() {
    let first = "- macro: m0\n  condition: proc.name = x\n";
    let of = |condition: &'static str| {
        chain(10_000, first, |index, before| {
            let condition = condition.replace("BEFORE", &format!("m{before}"));
            format!("- macro: m{index}\n  condition: {condition}\n")
        })
    };
    loads(64 << 20, of("BEFORE") + &rule("R", "evt.type = openat and m9999"));
    let limit = "depth limit of 1000";
    for condition in ["not BEFORE", "BEFORE and fd.num = 1"] {
        let text = of(condition) + &rule("R", "evt.type = openat and m9999");
        let loaded = load_within(MUCH, text);
        let error = loaded.errors().next().unwrap();
        assert!(error.message.contains(limit) && error.line > 1900, "{error}");
    }
}

#[test]
fn thousands_of_mistakes_end_in_a_count() {
    let macros: String = (0..5000)
        .map(|index| format!("- macro: m{index}\n  condition: no_such_{index} or proc.pid = 1\n"))
        .collect();
    let loaded = refused(128 << 20, macros, (2, CONDITION), "undefined macro 'no_such_0'");
    assert_eq!(loaded.errors().count(), 1001);
    let last = loaded.errors().last().unwrap();
    assert_eq!(last.message, "and 4000 more errors");
    // One mistake of a macro is one mistake, however many use it.
    let mut text = "- macro: m\n  condition: proc.nam = x\n".to_owned();
    for index in 0..2000 {
        text += &rule(&format!("R{index}"), "evt.type = openat and m");
    }
    let loaded = refused(128 << 20, text, (2, CONDITION), "proc.nam");
    assert_eq!(loaded.errors().count(), 1);
    let wrong = "proc.nam = a or ".repeat(50_000);
    let text = rule("R", &format!("evt.type = openat and ({wrong} fd.num = 1)"));
    let loaded = refused(128 << 20, text, (3, CONDITION + 23), "proc.nam");
    assert_eq!(loaded.errors().count(), 20);
    let duplicates = "- rule: R\n".to_owned() + &"  k: 1\n".repeat(50_000);
    let loaded = load_within(128 << 20, duplicates);
    assert!(
        loaded
            .diagnostics
            .iter()
            .any(|d| d.message.contains("more warnings"))
    );
}

#[test]
fn long_words_are_cut_in_messages() {
    let long = "x".repeat(1_000_000);
    refused(128 << 20, rule("R", &long), (3, CONDITION), "undefined macro");
    refused(
        128 << 20,
        rule("R", &format!("fd.{long} = 1")),
        (3, CONDITION),
        "fd.xxx",
    );
    let number = format!("evt.type = openat and fd.num = {}", "9".repeat(1_000_000));
    refused(128 << 20, rule("R", &number), (3, CONDITION + 31), "does not fit");
    let value = format!("evt.type = openat and fd.name = {long}");
    refused(
        128 << 20,
        rule("R", &value),
        (3, CONDITION + 32),
        "1000000 bytes long",
    );
    let field = rule("R", "evt.type = openat").replace("%proc.name", &format!("%{long}"));
    refused(128 << 20, field, (4, 13), "invalid formatting token '%xxx");
    loads(
        128 << 20,
        rule("R", "evt.type = openat").replace("%proc.name", &format!("%proc.name{long}")),
    );
    refused(
        128 << 20,
        rule(&long, "evt.type = no_such"),
        (3, CONDITION + 11),
        "no_such",
    );
    refused(
        128 << 20,
        rule("R", "evt.type = openat").replace("INFO", &long),
        (5, 13),
        "",
    );
    refused(
        LITTLE,
        format!("- required_engine_version: {}\n", "9".repeat(50)),
        (1, 28),
        "not an engine version",
    );
}

#[test]
fn patterns_are_bounded() {
    for pattern in ["a{1000}{1000}{1000}", "((((a{50}){50}){50}){50})"] {
        let text = rule("R", &format!("evt.type = openat and fd.name regex '{pattern}'"));
        refused(64 << 20, text, (3, CONDITION + 36), "regular expression");
    }
    loads(
        64 << 20,
        rule(
            "R",
            &format!("evt.type = openat and fd.name glob {}", "*a".repeat(120)),
        ),
    );
}

#[test]
fn line_ends_and_marks_of_other_systems() {
    let good = rule("R", "evt.type = openat and\n    fd.name = x");
    let bad = rule("R", "evt.type = openat and no.such = x");
    for line_end in ["\n", "\r\n", "\r"] {
        loads(LITTLE, good.replace('\n', line_end));
        let loaded = load_within(LITTLE, bad.replace('\n', line_end));
        assert!(loaded.errors().next().unwrap().message.contains("no.such"));
    }
    refused(LITTLE, bad.replace('\n', "\r\n"), (3, CONDITION + 22), "no.such");
    loads(LITTLE, format!("\u{feff}{good}"));
    refused(LITTLE, format!("\u{feff}{bad}"), (3, CONDITION + 22), "no.such");
    refused(LITTLE, format!("{good}\u{feff}{bad}"), (7, 1), "BOM");
    let tabs = refused(LITTLE, good.replace("  desc", "\tdesc"), (2, 1), "tab");
    assert!(
        tabs.errors()
            .next()
            .unwrap()
            .hint
            .as_deref()
            .unwrap_or("")
            .contains("spaces")
    );
}

#[test]
fn characters_that_are_none() {
    let nul = rule("R", "evt.type = openat and fd.name = \"a\0b\"");
    let loaded = refused(LITTLE, nul, (3, CONDITION + 34), "unexpected character");
    assert!(
        loaded
            .errors()
            .next()
            .unwrap()
            .hint
            .as_deref()
            .unwrap_or("")
            .contains("NUL")
    );
    let escaped = rule("R", "\"evt.type = openat and fd.name = 'a\\0b'\"");
    refused(LITTLE, escaped, (3, CONDITION + 33), "NUL");
    let loaded = refused(LITTLE, "\0".repeat(100_000), (1, 1), "unexpected character");
    assert_eq!(loaded.diagnostics.len(), 1);
    // What a terminal would obey is shown instead.
    let loaded = refused(
        LITTLE,
        rule("R", "\"evt.type = \\e[31m\\u202eopen\""),
        (3, CONDITION + 12),
        "",
    );
    let shown = loaded.errors().next().unwrap().to_string();
    assert!(shown.contains("\\u{1b}[31m\\u{202e}open"), "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
}

#[test]
fn files_with_nothing_in_them_load() {
    for text in ["", " \n\n \n", "# x", "~", "...\n---\n...\n", "---\n---\n"] {
        loads(LITTLE, text.into());
    }
    refused(LITTLE, "hello".into(), (1, 1), "sequence of items");
    let mut documents = String::new();
    for index in 0..3000 {
        let _ = write!(documents, "---\n- list: l{index}\n  items: [a]\n");
    }
    loads(64 << 20, documents);
}
