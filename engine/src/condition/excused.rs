//! Of which programs a condition is false whatever else an event has: those that it leaves out by their name.
//!
//! Where the paths of a call led that leave nothing open is looked up for rules only ([`Needs::excused`]), and most such
//! calls are made by programs that the rules about them leave out: a container's runtime, a package manager.
//!
//! [`Needs::excused`]: lanner_schema::event::Needs::excused

use lanner_schema::event::{Event, Programs};

use super::ast::Modifier;
use super::by_event;
use super::matcher::{BytesTest, Matcher};
use super::node::{CheckNode, How, Node};
use super::transform::Source;

/// The names (`proc.name`) of the programs on whose events of this type a condition is false; `None` when it is false on
/// all of them.
pub(super) fn of(node: &Node, event: Event) -> Option<Programs> {
    false_for(node, false, event)
}

fn false_for(node: &Node, negated: bool, event: Event) -> Option<Programs> {
    match (node, negated) {
        (Node::Check(check), _) => match by_event::truth(check, event) {
            Some(truth) if truth == negated => None,
            Some(_) => Some(Programs::new()),
            None => Some(of_check(check, negated)),
        },
        (Node::Not(child), _) => false_for(child, !negated, event),
        (Node::And(children), false) | (Node::Or(children), true) => {
            let mut all = Programs::new();
            for child in children {
                all.extend(false_for(child, negated, event)?);
            }
            Some(all)
        }
        (Node::Or(children), false) | (Node::And(children), true) => {
            let each = children
                .iter()
                .filter_map(|child| false_for(child, negated, event));
            each.reduce(|one, other| one.intersection(&other).cloned().collect())
        }
    }
}

/// The programs by whose names a check fails, or its negation.
fn of_check(check: &CheckNode, negated: bool) -> Programs {
    let mut names = Programs::new();
    let is_name = match &check.left {
        Source::Field(field) => field.extract().is_some() && field.row.name == "proc.name",
        _ => false,
    };
    let fails_on = match (&check.matcher, negated) {
        (matcher, true) => Some(matcher),
        (Matcher::Not(matcher), false) => Some(&**matcher),
        _ => None,
    };
    if let Some(matcher) = fails_on.filter(|_| is_name && check.how == How::One)
        && add(matcher, &mut names).is_none()
    {
        names.clear();
    }
    names
}

/// Adds the names on which a test holds, where these are listed.
fn add(matcher: &Matcher, names: &mut Programs) -> Option<()> {
    match matcher {
        Matcher::Bytes(BytesTest::Eq(name)) => {
            names.insert(name.clone());
        }
        Matcher::Bytes(BytesTest::Set(set)) => names.extend(set.iter().map(Box::from)),
        Matcher::Many(Modifier::AnyOf | Modifier::OneOf, tests) => {
            return tests.iter().try_for_each(|test| add(test, names));
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::by_class_tests::compiled;
    use super::super::random_events::{NAMES, random};
    use super::super::same_result_tests::condition;
    use super::super::{Scratch, compile, parse};
    use super::*;

    fn excused(text: &str) -> Option<Vec<String>> {
        let program = compile(&parse(text).unwrap()).unwrap();
        let names = of(&program.root, Event::Unlink)?;
        Some(
            names
                .iter()
                .map(|name| String::from_utf8_lossy(name).into_owned())
                .collect(),
        )
    }

    #[test]
    fn programs_are_excused_by_name_where_every_way_to_a_match_leaves_them_out() {
        let are = |text, names: &[&str]| {
            assert_eq!(
                excused(text).as_deref(),
                Some(names)
                    .map(|n| n.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
                    .as_deref(),
                "{text}"
            )
        };
        are(
            "evt.type = unlink and not proc.name in (runc, exe)",
            &["exe", "runc"],
        );
        are("evt.type = unlink and proc.name != runc", &["runc"]);
        are(
            "evt.type = unlink and not (proc.name = a or proc.name = b)",
            &["a", "b"],
        );
        are("evt.type = unlink and not (proc.name = a and proc.pid = 1)", &[]);
        are("evt.type = unlink and (proc.pid = 1 or proc.name != a)", &[]);
        are(
            "not proc.name in (a, b) and evt.type = unlink or not proc.name in (b, c)",
            &["b"],
        );
        are(
            "evt.type = rename and proc.pid = 1 or evt.type = unlink and proc.name != a",
            &["a"],
        );
        are("evt.type = unlink and not proc.name startswith a", &[]);
        are("evt.type = unlink and not proc.pname = a", &[]);
        are("evt.type = unlink and proc.name = a", &[]);
        assert_eq!(excused("evt.type = rename"), None);
    }

    /// What is drawn at random is seldom about a program.
    fn about_programs() -> impl Strategy<Value = String> {
        let name = || proptest::sample::select(&NAMES[..20]);
        prop_oneof![
            condition(),
            (condition(), name(), name()).prop_map(|(inner, one, other)| format!(
                "({inner}) and not proc.name in ('{one}', '{other}')"
            )),
            (condition(), name(), condition())
                .prop_map(|(one, name, other)| format!("({one}) and proc.name != '{name}' or not ({other})")),
            (condition(), name(), name()).prop_map(|(inner, one, other)| format!(
                "not (({inner}) or proc.name = '{one}' or proc.name in ('{other}'))"
            )),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn no_condition_is_true_of_who_is_excused(
            texts in proptest::collection::vec(about_programs(), 1..4),
            events in proptest::collection::vec(random(), 1..24),
        ) {
            let programs = compiled(&texts);
            for random in &events {
                random.view(|view| {
                    let Some(process) = view.process else { return Ok(()) };
                    for program in &programs {
                        let is_excused = of(&program.root, view.event)
                            .is_none_or(|names| names.contains(&process.image.comm[..]));
                        let matches = program.events().contains(view.event)
                            && program.matches(view, &mut Scratch::new());
                        prop_assert!(!(is_excused && matches), "{}\n{view:?}", texts.join("\n"));
                    }
                    Ok(())
                })?;
            }
        }
    }
}
