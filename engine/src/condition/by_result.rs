//! What is decided of a check by whether the call succeeded, before any event is seen.

use lanner_schema::descriptor::Descriptor;
use lanner_schema::event::{Event, FdUse};
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
    let numbered = match field.row.name {
        "evt.res" | "evt.failed" | "evt.count.error" => false,
        "evt.rawres" => true,
        "fd.num" => match event.row().fd {
            FdUse::Opens { .. } => true,
            _ => return None,
        },
        _ => return None,
    };
    let tried: Vec<i64> = match (results, numbered) {
        (Results::All, _) => return None,
        (Results::Failures, _) => (-MAX_ERRNO..0).collect(),
        // They have the same value for each success.
        (Results::Successes, false) => vec![0],
        (Results::Successes, true) => turns(&check.matcher)?,
    };
    let first = with_result(check, event, *tried.first()?);
    let same = |result: &i64| with_result(check, event, *result) == first;
    tried.iter().all(same).then_some(first)
}

/// Numbers from 0 on among which the test changes its mind if it ever does.
fn turns(matcher: &Matcher) -> Option<Vec<i64>> {
    let constants: Vec<i128> = match matcher {
        Matcher::Exists => Vec::new(),
        Matcher::Number(_, number) => vec![*number],
        Matcher::Numbers(numbers) => numbers.to_vec(),
        _ => return None,
    };
    let near = constants.iter().flat_map(|n| [n - 1, *n, n + 1]);
    let near = near.filter_map(|n| i64::try_from(n).ok()).filter(|n| *n >= 0);
    Some([0, i64::MAX].into_iter().chain(near).collect())
}

fn with_result(check: &CheckNode, event: Event, result: i64) -> bool {
    let opened = Descriptor {
        // As capture gives it.
        number: result.max(-1),
        ..Descriptor::default()
    };
    let view = EventView {
        implied_result: Some(result),
        descriptor: matches!(event.row().fd, FdUse::Opens { .. }).then_some(&opened),
        ..blank(event)
    };
    check.matches(&view, &mut Scratch::new())
}
