//! What is decided of a check by whether the call succeeded, before any event is seen.

use std::ops::RangeInclusive;

use lanner_schema::descriptor::Descriptor;
use lanner_schema::event::{Event, FdUse};
use lanner_schema::flags::errno_name;
use lanner_schema::view::EventView;

use super::by_event::blank;
use super::matcher::Matcher;
use super::node::CheckNode;
use super::program::Scratch;
use super::transform::Source;

/// The results that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Results {
    /// All of them.
    All,
    /// Those of calls that succeed, and events that have none.
    Successes,
    /// Those of calls that fail.
    Failures,
}

/// The largest error number a system call gives.
const MAX_ERRNO: i64 = 4095;

/// Whether the check is true on every event of this type with such a result (`Some(true)`) or on none (`Some(false)`).
pub(super) fn truth(check: &CheckNode, event: Event, results: Results) -> Option<bool> {
    event.row().result()?;
    let Source::Field(field) = &check.left else {
        return None;
    };
    field.extract()?;
    // The other side is something else on every event.
    if matches!(check.matcher, Matcher::Source(..) | Matcher::InSource(_)) {
        return None;
    }
    let numbered = match field.row.name {
        "evt.res" | "evt.failed" | "evt.count.error" => false,
        "evt.rawres" => true,
        "fd.num" => match event.row().fd {
            FdUse::Opens { .. } | FdUse::Socket { fd: 0, .. } => true,
            // Some of its commands make none.
            FdUse::Makes { .. } => event != Event::Bpf,
            _ => return None,
        },
        _ => return None,
    };
    let tried: Vec<i64> = match (results, numbered) {
        (Results::All, _) => return None,
        // A call can give less than any errno: a negated process group, an offset.
        // All that have no name are alike.
        (Results::Failures, false) => (-MAX_ERRNO..0)
            .filter(|result| errno_name(result.unsigned_abs()).is_some())
            .chain([i64::MIN])
            .collect(),
        // As capture gives it.
        (Results::Failures, true) if field.row.name == "fd.num" => turns(&check.matcher, -1..=-1)?,
        (Results::Failures, true) => turns(&check.matcher, i64::MIN..=-1)?,
        // They have the same value for each success.
        (Results::Successes, false) => vec![0],
        (Results::Successes, true) => turns(&check.matcher, 0..=i64::MAX)?,
    };
    let first = with_result(check, event, *tried.first()?);
    let same = |result: &i64| with_result(check, event, *result) == first;
    tried.iter().all(same).then_some(first)
}

/// Numbers of a range among which the test changes its mind if it ever does.
fn turns(matcher: &Matcher, range: RangeInclusive<i64>) -> Option<Vec<i64>> {
    let constants: Vec<i128> = match matcher {
        Matcher::Exists => Vec::new(),
        Matcher::Number(_, number) => vec![*number],
        Matcher::Numbers(numbers) => numbers.to_vec(),
        _ => return None,
    };
    let near = constants.iter().flat_map(|n| [n - 1, *n, n + 1]);
    let near = near.filter_map(|n| i64::try_from(n).ok());
    let ends = [*range.start(), *range.end()];
    Some(
        ends.into_iter()
            .chain(near.filter(|n| range.contains(n)))
            .collect(),
    )
}

fn with_result(check: &CheckNode, event: Event, result: i64) -> bool {
    let opened = Descriptor {
        number: result.max(-1),
        ..Descriptor::default()
    };
    let view = EventView {
        implied_result: Some(result),
        io_uring: None,
        descriptor: (event.row().fd != FdUse::None).then_some(&opened),
        ..blank(event)
    };
    check.matches(&view, &mut Scratch::new())
}
