//! What is decided of a check by the class of the call ([`lanner_schema::call_class`]), before any event is seen.
//!
//! From it comes the filter that the kernel's side applies: too much may pass it, never too little. So each check says of
//! which classes it may be true and of which it may be false, and what is not known may be both.

use std::sync::Arc;

use lanner_schema::call_class::{CLASS_FAMILIES, CallClass, ClassSet};
use lanner_schema::event::{Event, FdUse, ParamType};
use lanner_schema::flags::{Flag, O_ACCMODE, O_PATH};
use lanner_schema::record::{Wire, WireBuilder};
use lanner_schema::view::EventView;

use super::by_event;
use super::by_result::{self, Results};
use super::matcher::{BytesTest, Matcher};
use super::node::{CheckNode, How, Node};
use super::program::Scratch;
use super::transform::Source;
use crate::field::{is_open, param_of};
use crate::value::Value;

/// The classes of calls on which something may be true, and on which it may be false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Possible {
    pub(super) yes: ClassSet,
    pub(super) no: ClassSet,
}

impl Possible {
    pub(super) const UNKNOWN: Possible = Possible {
        yes: ClassSet::ALL,
        no: ClassSet::ALL,
    };

    /// Decided by the type of the event.
    pub(super) fn decided(truth: bool) -> Possible {
        let (all, none) = (ClassSet::ALL, ClassSet::NONE);
        match truth {
            true => Possible { yes: all, no: none },
            false => Possible { yes: none, no: all },
        }
    }

    fn by(of: impl Fn(CallClass) -> Option<bool>) -> Possible {
        let mut possible = Possible {
            yes: ClassSet::NONE,
            no: ClassSet::NONE,
        };
        for class in CallClass::all() {
            let truth = of(class);
            if truth != Some(false) {
                possible.yes.insert(class);
            }
            if truth != Some(true) {
                possible.no.insert(class);
            }
        }
        possible
    }
}

/// What a check comes to by the class, on any type of event where its field says something of that.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByClass {
    of: Decides,
    possible: Possible,
}

/// Where that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decides {
    Nothing,
    /// On calls.
    Calls,
    /// On calls with a result.
    Results,
    /// On calls that open a file.
    Opens,
    /// On the opens whose access mode is told.
    Modes,
}

impl ByClass {
    pub(super) fn new(check: &CheckNode) -> ByClass {
        let (of, possible) = decide(check).unwrap_or((Decides::Nothing, Possible::UNKNOWN));
        ByClass { of, possible }
    }

    /// What it comes to on this type of event.
    pub(super) fn on(&self, check: &CheckNode, event: Event) -> Possible {
        let row = event.row();
        let opens = matches!(row.fd, FdUse::Opens { .. });
        let holds = match self.of {
            Decides::Nothing => false,
            Decides::Calls => row.is_call(),
            Decides::Results => row.is_call() && row.result().is_some(),
            Decides::Opens => row.is_call() && opens,
            Decides::Modes => row.is_call() && is_open(event),
        };
        match holds {
            true => self.possible,
            false => flag_names(check, event)
                .or_else(|| by_family(check, event))
                .unwrap_or(Possible::UNKNOWN),
        }
    }
}

fn decide(check: &CheckNode) -> Option<(Decides, Possible)> {
    let Source::Field(field) = &check.left else {
        return None;
    };
    field.extract()?;
    let name = field.row.name;
    let by_bool = |value: bool| match (check.how, &check.matcher) {
        (_, Matcher::Source(..) | Matcher::InSource(_)) => None,
        (How::One, matcher) => {
            let view = by_event::blank(Event::Openat);
            Some(matcher.test(&Value::Bool(value), &view, &mut Scratch::new()))
        }
        _ => None,
    };
    let modes = |modes: [u64; 2]| {
        Possible::by(|class| {
            let (known, bits) = class.flags();
            let mut may_be = (0..=O_ACCMODE).filter(|mode| (mode ^ bits) & known & O_ACCMODE == 0);
            let first = modes.contains(&may_be.next()?);
            let same = may_be.all(|mode| modes.contains(&mode) == first);
            by_bool(first).filter(|_| same)
        })
    };
    Some(match name {
        "evt.res" | "evt.failed" | "evt.count.error" | "evt.rawres" | "fd.num" => {
            let of = |results| by_result::truth(check, Event::Openat, results);
            let (successes, failures) = (of(Results::Successes), of(Results::Failures));
            let holds = if name == "fd.num" {
                Decides::Opens
            } else {
                Decides::Results
            };
            (
                holds,
                Possible::by(|class| if class.failed() { failures } else { successes }),
            )
        }
        "evt.is_open_read" => (Decides::Modes, modes([0, 2])),
        "evt.is_open_write" => (Decides::Modes, modes([1, 2])),
        "lanner.is_open_path" => (
            Decides::Modes,
            Possible::by(|class| {
                let (known, bits) = class.flags();
                by_bool(bits & O_PATH != 0).filter(|_| known & O_PATH != 0)
            }),
        ),
        "evt.is_open_create" | "evt.is_open_exec" => {
            let not_created = by_bool(false);
            (
                Decides::Modes,
                Possible::by(|class| if class.may_create() { None } else { not_created }),
            )
        }
        // Missing.
        _ if name.starts_with("fs.path.") => (
            Decides::Results,
            Possible::by(|class| class.failed().then_some(false)),
        ),
        _ if name.starts_with("container.") || name.starts_with("k8s.") => {
            let on_host = on_host(check);
            let in_container = match name {
                "container.id" | "container.type" => no_host(&check.matcher),
                _ => None,
            };
            (
                Decides::Calls,
                Possible::by(|class| {
                    if class.in_container() {
                        in_container
                    } else {
                        on_host
                    }
                }),
            )
        }
        _ => return None,
    })
}

/// What the check is on the host's events, where every field of containers has one value or none.
fn on_host(check: &CheckNode) -> Option<bool> {
    let compares = matches!(check.matcher, Matcher::Source(..) | Matcher::InSource(_));
    if compares && !by_event::is_missing(&check.left, Event::Openat) {
        return None;
    }
    Some(check.matches(&by_event::blank(Event::Openat), &mut Scratch::new()))
}

/// What the test is of every text but `host`.
fn no_host(matcher: &Matcher) -> Option<bool> {
    match matcher {
        Matcher::Exists => Some(true),
        Matcher::Bytes(BytesTest::Eq(text)) if **text == *b"host" => Some(false),
        Matcher::Bytes(BytesTest::Set(set)) if set.iter().all(|text| text == b"host") => Some(false),
        Matcher::Not(test) => no_host(test).map(|truth| !truth),
        _ => None,
    }
}

/// A search for the names of flags in those of an open, or in those of a mode: some names the class gives or denies.
fn flag_names(check: &CheckNode, event: Event) -> Option<Possible> {
    let Source::Field(field) = &check.left else {
        return None;
    };
    let row = event.row();
    let known_of: fn(CallClass) -> (u64, u64);
    let (param, beginning) = match (row.fd, row.mode()) {
        (FdUse::Opens { flags, .. }, _) => {
            known_of = CallClass::flags;
            (usize::from(flags), &b"O_"[..])
        }
        (_, Some((mode, _))) => {
            known_of = CallClass::mode;
            (mode, &b"S_I"[..])
        }
        _ => return None,
    };
    if field.extract().is_none() || check.how != How::One || param_of(field, event) != Some(param) {
        return None;
    }
    let (ParamType::Flags(table) | ParamType::Mode(table)) = row.params[param].ty else {
        return None;
    };
    let needles: Vec<&[u8]> = match &check.matcher {
        Matcher::Bytes(BytesTest::Contains(finder)) => vec![finder.needle()],
        Matcher::Bytes(BytesTest::ContainsAny(needles)) => needles.texts.iter().map(AsRef::as_ref).collect(),
        _ => return None,
    };
    // A part of one name, not of several or of a number.
    let is_of_name = |needle: &&[u8]| needle.starts_with(beginning) && !needle.contains(&b'|');
    if !needles.iter().all(is_of_name) {
        return None;
    }
    let found = |flag: &&Flag| {
        let name = flag.name.as_bytes();
        needles
            .iter()
            .any(|needle| name.windows(needle.len()).any(|part| part == *needle))
    };
    let names: Vec<&Flag> = table.names.iter().filter(found).collect();
    Some(Possible::by(|class| {
        let (known, bits) = known_of(class);
        let given = |flag: &&Flag| flag.mask != 0 && flag.mask & !known == 0 && bits & flag.mask == flag.bits;
        // The name of no flags at all is in no mask.
        let denied = |flag: &&Flag| flag.mask != 0 && (bits ^ flag.bits) & flag.mask & known != 0;
        match (names.iter().any(given), names.iter().all(denied)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }))
}

/// A test of the family of the socket that the call makes: it is asked of each that has a class.
fn by_family(check: &CheckNode, event: Event) -> Option<Possible> {
    let Source::Field(field) = &check.left else {
        return None;
    };
    let family = event.row().family()?;
    let is_it = field.extract().is_some() && param_of(field, event) == Some(family);
    if !is_it || check.how != How::One || compares(&check.matcher) {
        return None;
    }
    let truth = |number: u64| {
        let before = (0..family).fold(WireBuilder::new(), |wire, _| wire.missing());
        let bytes = before.number(number.cast_signed()).build_for(event);
        let wire = Wire::read(&bytes, event.row().params.len())?;
        let view = EventView {
            wire,
            ..by_event::blank(event)
        };
        Some(check.matches(&view, &mut Scratch::new()))
    };
    let mut truths = [None; CLASS_FAMILIES as usize];
    for (family, of) in (0..).zip(&mut truths).skip(1) {
        *of = truth(family);
    }
    // The first class has none.
    let of = |family: u64| {
        usize::try_from(family)
            .ok()
            .and_then(|at| truths.get(at).copied().flatten())
    };
    Some(Possible::by(|class| class.family().and_then(of)))
}

/// The test looks at another value of the event.
fn compares(matcher: &Matcher) -> bool {
    match matcher {
        Matcher::Source(..) | Matcher::InSource(_) => true,
        Matcher::Not(test) => compares(test),
        Matcher::Many(_, tests) => tests.iter().any(compares),
        _ => false,
    }
}

/// What a condition comes to, given what its checks do.
pub(super) fn of(node: &Node, check: &dyn Fn(&Arc<CheckNode>) -> Possible) -> Possible {
    let both = |a: Possible, b: Possible| Possible {
        yes: a.yes.intersection(b.yes),
        no: a.no.union(b.no),
    };
    let either = |a: Possible, b: Possible| Possible {
        yes: a.yes.union(b.yes),
        no: a.no.intersection(b.no),
    };
    match node {
        Node::Check(leaf) => check(leaf),
        Node::Not(child) => {
            let Possible { yes, no } = of(child, check);
            Possible { yes: no, no: yes }
        }
        Node::And(children) => children
            .iter()
            .fold(Possible::decided(true), |all, child| both(all, of(child, check))),
        Node::Or(children) => children.iter().fold(Possible::decided(false), |any, child| {
            either(any, of(child, check))
        }),
    }
}
