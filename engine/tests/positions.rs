//! However a condition is written in YAML, an error in it points at its own bytes.

#![allow(clippy::unwrap_used)]

use lanner_engine::{RulesFile, Settings, load};
use proptest::prelude::*;

/// The checks of a condition, one of which names a field that does not exist.
fn checks() -> impl Strategy<Value = (Vec<String>, usize)> {
    let check = prop_oneof![
        Just("evt.type = open".to_owned()),
        Just("fd.name = \"it's é\"".to_owned()),
        Just("proc.name in (sh, \"a b\")".to_owned()),
        Just("not (fd.num >= 0)".to_owned()),
    ];
    (prop::collection::vec(check, 1..6), any::<prop::sample::Index>()).prop_map(|(mut checks, index)| {
        let at = index.index(checks.len() + 1);
        checks.insert(at, "no.such = 1".into());
        (checks, at)
    })
}

#[derive(Debug, Clone, Copy)]
enum Style {
    Folded,
    Literal,
    Plain,
    Single,
    Double,
}

/// A rules file with this condition, its checks on lines of their own where `breaks` says so.
fn file(checks: &[String], breaks: &[bool], blank_lines: bool, style: Style) -> String {
    let mut condition = String::new();
    for (index, check) in checks.iter().enumerate() {
        if index > 0 {
            let broken = breaks.get(index % breaks.len().max(1)).copied().unwrap_or(false);
            condition.push_str(match (broken, style) {
                // A blank line is a line break of the value; in every style it is white space of the condition.
                (true, _) if blank_lines => "\n\n    and ",
                (true, _) => "\n    and ",
                (false, _) => " and ",
            });
        }
        condition.push_str(check);
    }
    let value = match style {
        Style::Folded => format!(">\n    {condition}"),
        Style::Literal => format!("|-\n    {condition}"),
        Style::Plain => condition,
        Style::Single => format!("'{}'", condition.replace('\'', "''")),
        Style::Double => format!("\"{}\"", condition.replace('"', "\\\"")),
    };
    format!("# é\n- rule: R\n  desc: d\n  condition: {value}\n  output: o\n  priority: DEBUG\n")
}

proptest! {
    #[test]
    fn an_error_points_at_its_bytes(
        (checks, _) in checks(),
        breaks in prop::collection::vec(any::<bool>(), 1..6),
        blank_lines in any::<bool>(),
        style in prop::sample::select(vec![Style::Folded, Style::Literal, Style::Plain, Style::Single, Style::Double]),
    ) {
        let text = file(&checks, &breaks, blank_lines, style);
        let loaded = load(&[RulesFile { name: "f".into(), text: text.clone() }], &Settings::default());
        let errors: Vec<_> = loaded.errors().collect();
        prop_assert_eq!(errors.len(), 1, "{}\n{:?}", text, errors);
        let offset = text.find("no.such").unwrap();
        prop_assert_eq!(errors[0].offset, offset, "{}\n{}", text, errors[0]);
        let line = text[..offset].matches('\n').count() + 1;
        let column = text[..offset].rsplit('\n').next().unwrap().chars().count() + 1;
        prop_assert_eq!((errors[0].line, errors[0].column), (line, column));
        let snippet = errors[0].snippet.as_ref().unwrap();
        let shown: String = snippet.text.chars().skip(snippet.caret).take(snippet.width).collect();
        prop_assert_eq!(shown, "no.such");
    }

    #[test]
    fn no_text_panics(parts in prop::collection::vec(
        prop::sample::select(vec![
            "- rule: R\n", "- macro: m\n", "- list: l\n", "  condition: ", "  items: ", "  desc: d\n", "  output: ",
            "  priority: info\n", "evt.type = open", " and ", " in (", ")", "(", "l", "m", "[a, b]", "%fd.name", "\"",
            "'", "\n", "  ", ">", "|\n", ": ", "é", "\t", "*a", "&a ", "!x ", "  append: true\n",
            "  override: {condition: append}\n", "  exceptions:\n", "  - name: e\n", "    fields: [proc.name]\n",
            "    values: [[a]]\n", "---\n", "{", "}", "~", "#",
        ]), 0..40)
    ) {
        let loaded = load(&[RulesFile { name: "f".into(), text: parts.concat() }], &Settings::default());
        for diagnostic in &loaded.diagnostics {
            prop_assert!(!diagnostic.to_string().is_empty());
        }
    }
}
