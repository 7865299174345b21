//! Of which programs' events a condition is the same by whichever names: mostly those that it leaves out by their name.
//!
//! Where the paths of a call led that leave nothing open is looked up for rules only ([`Needs::excused`]), and most such
//! calls are made by programs that the rules about them leave out: a container's runtime, a package manager. Where a rule reads
//! nothing but the last name of a path, it does not matter whose call it is.
//!
//! [`Needs::excused`]: lanner_schema::event::Needs::excused

use std::collections::BTreeSet;

use lanner_schema::event::{Event, Programs};

use super::ast::Modifier;
use super::by_event;
use super::matcher::{BytesTest, Matcher};
use super::node::{CheckNode, How, Node};
use super::transform::Source;

/// Names of programs (`proc.name`): all there are, or these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    All,
    These(Programs),
}

impl Who {
    const fn nobody() -> Who {
        Who::These(BTreeSet::new())
    }

    fn or(self, other: Who) -> Who {
        match (self, other) {
            (Who::All, _) | (_, Who::All) => Who::All,
            (Who::These(mut one), Who::These(other)) => {
                one.extend(other);
                Who::These(one)
            }
        }
    }

    fn and(self, other: Who) -> Who {
        match (self, other) {
            (Who::All, who) | (who, Who::All) => who,
            (Who::These(one), Who::These(other)) => Who::These(one.intersection(&other).cloned().collect()),
        }
    }
}

/// Of whose events something is known of a condition, or of a part of it.
struct Known {
    /// It is false.
    fails: Who,
    /// It is true.
    holds: Who,
    /// It is the same whichever names the paths have, those that were passed or those that a look-up finds.
    same: Who,
}

/// The programs on whose events of this type a condition is the same by the names that were passed and by those that a look-up
/// would find.
pub(super) fn of(node: &Node, event: Event) -> Who {
    known(node, event).same
}

fn known(node: &Node, event: Event) -> Known {
    match node {
        Node::Check(check) => of_check(check, event),
        Node::Not(child) => {
            let Known { fails, holds, same } = known(child, event);
            Known {
                fails: holds,
                holds: fails,
                same,
            }
        }
        Node::And(children) => {
            let all = Known {
                fails: Who::nobody(),
                holds: Who::All,
                same: Who::All,
            };
            let all = children.iter().fold(all, |all, child| {
                let child = known(child, event);
                Known {
                    fails: all.fails.or(child.fails),
                    holds: all.holds.and(child.holds),
                    same: all.same.and(child.same),
                }
            });
            // Where one is false the others need not be the same.
            Known {
                same: all.same.or(all.fails.clone()),
                ..all
            }
        }
        Node::Or(children) => {
            let any = Known {
                fails: Who::All,
                holds: Who::nobody(),
                same: Who::All,
            };
            let any = children.iter().fold(any, |any, child| {
                let child = known(child, event);
                Known {
                    fails: any.fails.and(child.fails),
                    holds: any.holds.or(child.holds),
                    same: any.same.and(child.same),
                }
            });
            Known {
                same: any.same.or(any.holds.clone()),
                ..any
            }
        }
    }
}

fn of_check(check: &CheckNode, event: Event) -> Known {
    let (mut fails, mut holds) = (Who::nobody(), Who::nobody());
    match by_event::truth(check, event) {
        Some(true) => holds = Who::All,
        Some(false) => fails = Who::All,
        None if check.how == How::One && is_program(&check.left) => match &check.matcher {
            Matcher::Not(matcher) => fails = named(matcher),
            matcher => holds = named(matcher),
        },
        None => {}
    }
    let is_same = !reads_looked_up(check, event) || is_of_last_name(check, event);
    let same = match is_same {
        true => Who::All,
        false => fails.clone().or(holds.clone()),
    };
    Known { fails, holds, same }
}

fn is_program(source: &Source) -> bool {
    matches!(source, Source::Field(field) if field.extract().is_some() && field.row.name == "proc.name")
}

/// The names on which a test holds, where these are listed.
fn named(matcher: &Matcher) -> Who {
    let mut names = Programs::new();
    match add(matcher, &mut names) {
        Some(()) => Who::These(names),
        None => Who::nobody(),
    }
}

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

/// True when a field of a check may be another by the names that a look-up finds.
fn reads_looked_up(check: &CheckNode, event: Event) -> bool {
    let looked_up = event.row().looked_up();
    let mut fields = check.fields().into_iter();
    fields.any(|field| field.real_names(event) & looked_up != 0)
}

/// True for a test of the last name alone of a path whose end is not followed when it is looked up: that stays the same.
fn is_of_last_name(check: &CheckNode, event: Event) -> bool {
    let is_path = matches!(
        &check.left,
        Source::Field(field)
            if ["fs.path.name", "fs.path.source", "fs.path.target"].contains(&field.row.name)
                && field.extract().is_some()
    );
    let matcher = match &check.matcher {
        Matcher::Not(matcher) => matcher,
        matcher => matcher,
    };
    never_follows(event)
        && is_path
        && check.how == How::One
        && matches!(matcher, Matcher::Bytes(BytesTest::EndsWith(end)) if is_name(end))
}

/// True for calls that take a link at the end of a path for what is meant.
fn never_follows(event: Event) -> bool {
    matches!(
        event,
        Event::Unlink | Event::Unlinkat | Event::Rmdir | Event::Rename | Event::Renameat | Event::Renameat2
    )
}

/// The end of a last name, or a whole one behind its slash.
fn is_name(end: &[u8]) -> bool {
    let name = end.strip_prefix(b"/").unwrap_or(end);
    !name.is_empty() && !name.contains(&b'/')
}

#[cfg(test)]
mod tests {
    use lanner_schema::event::Needs;
    use lanner_schema::view::EventView;
    use proptest::prelude::*;

    use super::super::by_class_tests::compiled;
    use super::super::random_events::{NAMES, random};
    use super::super::same_result_tests::condition;
    use super::super::{Scratch, compile, parse};
    use super::*;

    fn excused(event: Event, text: &str) -> Option<Vec<String>> {
        let program = compile(&parse(text).unwrap()).unwrap();
        let Who::These(names) = of(&program.root, event) else {
            return None;
        };
        let texts = names
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned());
        Some(texts.collect())
    }

    #[test]
    fn programs_are_excused_by_name_where_every_way_to_a_match_that_reads_a_name_leaves_them_out() {
        let are = |text: &str, names: &[&str]| {
            let text = format!("evt.type = unlink and {text}");
            assert_eq!(
                excused(Event::Unlink, &text).as_deref(),
                Some(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).as_deref(),
                "{text}"
            );
        };
        are(
            "fs.path.name startswith /a and not proc.name in (runc, exe)",
            &["exe", "runc"],
        );
        are("fs.path.name startswith /a and proc.name != runc", &["runc"]);
        are(
            "not (fs.path.name = /a or proc.name = a or proc.name = b)",
            &["a", "b"],
        );
        are("fs.path.name = /a and not (proc.name = a and proc.pid = 1)", &[]);
        are("(fs.path.name = /a or proc.pid = 1 or proc.name != a)", &[]);
        are("(fs.path.name = /a and proc.name != a or proc.pid = 1)", &["a"]);
        are(
            "(fs.path.name = /a and not proc.name in (a, b) or fs.path.name = /b and not proc.name in (b, c))",
            &["b"],
        );
        are(
            "(evt.type = rename and fs.path.target = /a or fs.path.name = /a and proc.name != a)",
            &["a"],
        );
        are("fs.path.name = /a and not proc.name startswith a", &[]);
        are("fs.path.name = /a and not proc.pname = a", &[]);
        are("fs.path.name = /a and proc.name = a", &[]);
        are("basename(fs.path.name) = a and proc.name != a", &["a"]);
    }

    #[test]
    fn everybody_is_excused_where_the_last_name_alone_is_read_of_a_path_whose_end_is_not_followed() {
        let all = |event: Event, text: &str| {
            let text = format!("evt.type = {} and {text}", event.row().name);
            excused(event, &text).is_none()
        };
        assert!(all(Event::Unlink, "fs.path.name endswith /.bash_history"));
        assert!(all(
            Event::Unlinkat,
            "not fs.path.name endswith _history and proc.pid = 1"
        ));
        assert!(all(Event::Renameat2, "fs.path.target endswith /.bash_history"));
        assert!(all(Event::Unlink, "proc.name = a and evt.rawres >= 0"));
        assert!(!all(Event::Unlink, "fs.path.name endswith a/.bash_history"));
        assert!(!all(Event::Unlink, "fs.path.name endswith /"));
        assert!(!all(Event::Unlink, "fs.path.name contains .bash_history"));
        assert!(!all(Event::Unlink, "evt.arg.path endswith .bash_history"));
        // A link at its end is followed.
        assert!(!all(Event::Chmod, "fs.path.name endswith /.bash_history"));
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

    fn ends_alike(one: &EventView<'_>, other: &EventView<'_>) -> bool {
        let last = |path: &[u8]| path.rsplit(|byte| *byte == b'/').next().map(<[u8]>::to_vec);
        let of = |view: &EventView<'_>| {
            view.paths
                .iter()
                .map(|p| (p.param, last(p.path)))
                .collect::<BTreeSet<_>>()
        };
        of(one) == of(other)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        /// Names of files are drawn at random as well, by what was passed and by what it led to.
        #[test]
        fn who_is_excused_is_judged_alike_by_all_names(
            texts in proptest::collection::vec(about_programs(), 1..4),
            events in proptest::collection::vec(random(), 1..24),
        ) {
            let programs = compiled(&texts);
            for random in &events {
                random.view(|view| {
                    let (event, Some(process)) = (view.event, view.process) else { return Ok(()) };
                    let looked_up = event.row().looked_up();
                    let Some(other) = view.by_other_names().filter(|_| looked_up != 0) else { return Ok(()) };
                    // As a look-up leaves it.
                    if never_follows(event) && !ends_alike(view, &other) {
                        return Ok(());
                    }
                    for program in &programs {
                        let mut needs = Needs::default();
                        program.needs(&mut needs);
                        if needs.params[event as usize] & looked_up != 0 {
                            continue; // It reads what a look-up finds for itself, and nobody is excused.
                        }
                        let is_excused = match of(&program.root, view.event) {
                            Who::All => true,
                            Who::These(names) => names.contains(&process.image.comm[..]),
                        };
                        let matches = |view| program.root.matches(view, &mut Scratch::new());
                        prop_assert!(!is_excused || matches(view) == matches(&other), "{}\n{view:?}", texts.join("\n"));
                    }
                    Ok(())
                })?;
            }
        }
    }
}
