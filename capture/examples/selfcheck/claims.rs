//! What a check asks for in a tier that does not see everything: what the tables say it gives exactly, and nothing else.

use lanner_schema::event::{EVENTS, EventRow, FdUse};
use lanner_schema::tier::{Quality, Tier, Why};

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    Whole,
    /// A path as it was passed, without where it leads.
    Passed,
    /// The other end of a socket.
    Remote,
}

impl Compared {
    /// The part of a value that counts.
    pub(crate) fn part(self, value: &str) -> &str {
        match self {
            Compared::Whole => value,
            Compared::Passed => value.split('|').next().unwrap_or_default(),
            Compared::Remote => value.split('>').nth(1).unwrap_or_default(),
        }
    }
}

/// How `key` of an event is compared without the kernel's types; `None` where it need not be there, or /proc may have been too
/// late to tell.
pub(crate) fn compared(event: &str, key: &str) -> Option<Compared> {
    let row: &EventRow = EVENTS.iter().find(|row| row.name == event)?;
    if matches!(Tier::Raw.event(row.event), Quality::Missing(_)) {
        return None;
    }
    let Some(index) = row.param(key) else {
        let is_opened = key == "fd.num" && matches!(row.fd, FdUse::Opens { .. });
        // They come with the record of the exec, or of the fork.
        let is_told = ["cmdline", "parent", "proc.comm"].contains(&key);
        return (is_opened || is_told).then_some(Compared::Whole);
    };
    match Tier::Raw.param(row.event, index) {
        Quality::Missing(_) => None,
        Quality::Weaker(Why::FromProc | Why::CreatedUntold) => None,
        Quality::Weaker(Why::PathAsPassed) => Some(Compared::Passed),
        Quality::Weaker(Why::AddressAsPassed) => (event == "connect").then_some(Compared::Remote),
        Quality::Weaker(_) | Quality::Exact => Some(Compared::Whole),
    }
}
