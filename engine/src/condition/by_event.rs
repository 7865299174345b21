//! What the type of an event decides of a check before any event of that type is seen.

use lanner_schema::container::Owner;
use lanner_schema::event::Event;
use lanner_schema::record::Wire;
use lanner_schema::view::{EventView, Names, NoState, Outcome, SourceId};

use super::ast::Operator;
use super::matcher::Matcher;
use super::node::CheckNode;
use super::program::Scratch;
use super::transform::Source;
use crate::field::is_decided;

/// An event of which nothing but its type is known.
pub(super) fn blank(event: Event) -> EventView<'static> {
    EventView {
        source: SourceId::SYSCALL,
        event,
        number: 1,
        time: 0,
        cpu: 0,
        tid: 0,
        pid: 0,
        uid: 0,
        gid: 0,
        wire: Wire::EMPTY,
        implied_result: None,
        outcome: Outcome::Told,
        io_uring: None,
        paths: &[],
        process: None,
        descriptor: None,
        names: Names::Agree,
        owner: Owner::Host,
        system: &NoState,
    }
}

/// Whether the check is true on every event of this type (`Some(true)`) or on none (`Some(false)`).
pub(super) fn truth(check: &CheckNode, event: Event) -> Option<bool> {
    if matches!(check.matcher, Matcher::Never) {
        return Some(false);
    }
    let Source::Field(left) = &check.left else {
        return None;
    };
    if left.row.name == "evt.num" && left.extract().is_some() {
        return number(&check.matcher);
    }
    if !is_decided(left, event) {
        return None;
    }
    let passes = check.matches(&blank(event), &mut Scratch::new());
    match &check.matcher {
        // The other side is read only when there is something to compare it with.
        Matcher::Source(_, right) if !is_missing(&check.left, event) => match &**right {
            Source::Field(right) if is_decided(right, event) => Some(passes),
            _ => None,
        },
        Matcher::InSource(_) if !is_missing(&check.left, event) => None,
        _ => Some(passes),
    }
}

pub(super) fn is_missing(source: &Source, event: Event) -> bool {
    source
        .get(&blank(event), &mut Scratch::new(), &mut Vec::new())
        .is_none()
}

/// Whether a test of `evt.num` is always or never true: it counts from 1.
fn number(matcher: &Matcher) -> Option<bool> {
    match matcher {
        Matcher::Exists => Some(true),
        Matcher::Numbers(set) => set.iter().all(|n| *n <= 0).then_some(false),
        Matcher::Number(op, n) => match op {
            Operator::Eq if *n <= 0 => Some(false),
            Operator::Lt if *n <= 1 => Some(false),
            Operator::Le if *n <= 0 => Some(false),
            Operator::Ne | Operator::Gt if *n <= 0 => Some(true),
            Operator::Ge if *n <= 1 => Some(true),
            _ => None,
        },
        _ => None,
    }
}
