//! What is lost while Lanner runs: by event and reason, and by whom.
//!
//! The programs count a lost record by event and by cgroup at the moment they lose it. Here the counters become what has
//! changed since the last look, and cgroups become containers.

use std::fmt;
use std::sync::Arc;

use lanner_schema::container::Owner;
use lanner_schema::event::Event;

use crate::feed::Feed;
use crate::id_map::IdMap;
use crate::owner::Owners;
use crate::plan::is_followed;

/// Whose records were lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loser {
    /// Processes of the host.
    Host,
    /// A container's.
    Container {
        /// Its full id.
        full_id: Arc<str>,
        /// Its name, when it is known.
        name: Option<Arc<str>>,
    },
    /// Nobody can tell: the cgroup was gone, or the table of cgroups was full.
    Unknown,
}

impl Loser {
    fn of(owner: &Owner<'_>) -> Loser {
        match owner {
            Owner::Host => Loser::Host,
            Owner::Container(container) => Loser::Container {
                full_id: container.full_id.as_str().into(),
                name: container.name.as_deref().map(Arc::from),
            },
        }
    }

    /// The same one; a container's name may have become known meanwhile.
    fn is(&self, other: &Loser) -> bool {
        match (self, other) {
            (Loser::Container { full_id: a, .. }, Loser::Container { full_id: b, .. }) => a == b,
            (a, b) => a == b,
        }
    }
}

impl fmt::Display for Loser {
    /// `host`, `unknown`, or the container's name and the first twelve characters of its id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loser::Host => f.pad("host"),
            Loser::Unknown => f.pad("unknown"),
            Loser::Container { full_id, name } => {
                let id = full_id.get(..12).unwrap_or(full_id);
                match name {
                    Some(name) => f.pad(&format!("{name}({id})")),
                    None => f.pad(id),
                }
            }
        }
    }
}

/// What was captured and lost between two looks, which are about a second apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses {
    /// Records that were begun, lost ones among them.
    pub begun: u64,
    /// Records that were lost.
    pub lost: u64,
    /// Runs the kernel refused because the program was running on that CPU already: events without a type.
    pub refused: u64,
    /// Of those, how often fanotify's queue was full, which says nothing of how many events that was.
    pub overflows: u64,
    /// They are of a host without BPF: there is no ring whose size matters.
    pub without_bpf: bool,
    /// Lost records by event and reason.
    pub by_event: Vec<(Event, &'static str, u64)>,
    /// Lost records by whose they were, most first.
    pub by_loser: Vec<(Loser, u64)>,
}

impl Losses {
    /// How many of them may have changed what is known of processes. What was refused may have been anything.
    pub(crate) fn of_state(&self) -> u64 {
        let followed = self.by_event.iter().filter(|(event, ..)| is_followed(*event));
        followed.map(|(.., count)| count).sum::<u64>() + self.refused
    }
}

/// The most containers whose losses are told apart.
const LOSERS: usize = 1024;
/// Above so many cgroups in the kernel's table those that lose nothing now are taken out of it.
const ROOM_FOR: usize = crate::bpf::LOSING_CGROUPS / 2;

/// The counters as they were at the last look, and what was lost since the start.
#[derive(Debug, Default)]
pub(crate) struct LossWatch {
    begun: u64,
    /// How many more were told to have begun than the kernel had counted.
    ahead: u64,
    /// The sum of all losses as the kernel had it: whether there is anything new.
    seen: u64,
    lost: u64,
    refused: u64,
    overflows: u64,
    by_event: Vec<(Event, &'static str, u64)>,
    cgroups: IdMap<u64, u64>,
    by_loser: Vec<(Loser, u64)>,
    /// The sum of those.
    told: u64,
}

impl LossWatch {
    /// What changed since the last look. Three counters are read; the rest only when something was lost.
    pub(crate) fn look(&mut self, feed: &Feed, owners: &mut Owners) -> Losses {
        let mut by_event = Vec::new();
        if rise(&mut self.seen, feed.lost()) > 0 {
            by_event = self.lost_by_event(&feed.drops());
        }
        // After the lost ones, which are among them.
        let begun = feed.sequences().iter().flatten().sum();
        let overflows = feed.overflows();
        let refused = feed.refused();
        // More was lost since the sum was read: it is theirs, so that nothing contradicts it.
        let lost = by_event.iter().map(|(.., count)| count).sum();
        let mut losses = Losses {
            begun: self.begun_since(begun, lost),
            lost,
            refused: rise(&mut self.refused, refused),
            overflows: rise(&mut self.overflows, overflows),
            without_bpf: feed.is_without_bpf(),
            by_event,
            ..Losses::default()
        };
        if losses.lost > 0 {
            self.lost += losses.lost;
            losses.by_loser = self.losers(&feed.losing_cgroups(), owners, self.lost);
            if self.cgroups.len() > ROOM_FOR {
                self.make_room(feed);
            }
        }
        losses
    }

    /// How many were begun since the last look, by the kernel's counter, which is read after that of the lost ones. What was lost
    /// between the two readings was counted as begun at the last look and as lost at this one: as many as were lost are told to have
    /// begun, and at later looks as many less.
    fn begun_since(&mut self, counted: u64, lost: u64) -> u64 {
        let risen = rise(&mut self.begun, counted);
        let begun = risen.saturating_sub(self.ahead).max(lost);
        self.ahead = (self.ahead + begun).saturating_sub(risen);
        begun
    }

    /// Lost records since the start by whose they were, most first.
    pub(crate) fn by_loser(&self) -> Vec<(Loser, u64)> {
        let mut losers = self.by_loser.clone();
        losers.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        losers
    }

    /// What was lost since the last look, by event and reason.
    fn lost_by_event(&mut self, drops: &[(Event, &'static str, u64)]) -> Vec<(Event, &'static str, u64)> {
        let rises = drops.iter().map(|&(event, reason, count)| {
            let known = self
                .by_event
                .iter_mut()
                .find(|(e, r, _)| (*e, *r) == (event, reason));
            match known {
                Some((.., known)) => (event, reason, rise(known, count)),
                None => {
                    self.by_event.push((event, reason, count));
                    (event, reason, count)
                }
            }
        });
        rises.filter(|(.., count)| *count > 0).collect()
    }

    /// `lost` is how many there are since the start: what no cgroup has, nobody is known to have lost. The cgroups are
    /// read after it and may be ahead; that is for the next look.
    fn losers(&mut self, cgroups: &[(u64, u64)], owners: &mut Owners, lost: u64) -> Vec<(Loser, u64)> {
        let mut found: Vec<(Loser, u64)> = Vec::new();
        for &(cgroup, count) in cgroups {
            let known = self.cgroups.entry(cgroup).or_default();
            *known = count.min(*known);
            let new = (count - *known).min(lost.saturating_sub(self.told));
            *known += new;
            if new == 0 {
                continue;
            }
            self.told += new;
            let loser = match cgroup {
                0 => Loser::Unknown,
                _ => owners.recall(cgroup, Loser::of).unwrap_or(Loser::Unknown),
            };
            add(&mut found, loser, new);
        }
        if let Some(untold @ 1..) = lost.checked_sub(self.told) {
            self.told += untold;
            add(&mut found, Loser::Unknown, untold);
        }
        for (loser, count) in &found {
            add(&mut self.by_loser, loser.clone(), *count);
        }
        found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        found
    }

    /// Takes cgroups that lost nothing since the last look out of the kernel's table. A loss at this very moment is then
    /// one of nobody's.
    fn make_room(&mut self, feed: &Feed) {
        let now = feed.losing_cgroups();
        for (cgroup, count) in now.into_iter().filter(|(cgroup, _)| *cgroup != 0) {
            if self.cgroups.get(&cgroup) == Some(&count) {
                feed.forget_losing_cgroup(cgroup);
                self.cgroups.remove(&cgroup);
            }
        }
    }
}

/// How much higher a counter is than it was.
fn rise(was: &mut u64, now: u64) -> u64 {
    let more = now.saturating_sub(*was);
    *was = now;
    more
}

fn add(losers: &mut Vec<(Loser, u64)>, loser: Loser, count: u64) {
    if let Some((known, total)) = losers.iter_mut().find(|(known, _)| known.is(&loser)) {
        *total += count;
        *known = loser;
    } else if losers.len() < LOSERS || loser == Loser::Unknown {
        losers.push((loser, count));
    } else {
        add(losers, Loser::Unknown, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::Outside;
    use lanner_schema::container::ContainerTable;

    fn container(number: usize, name: Option<&str>) -> Loser {
        Loser::Container {
            full_id: format!("{number:064x}").into(),
            name: name.map(Arc::from),
        }
    }

    #[test]
    fn what_no_cgroup_tells_of_is_unknown_and_the_sum_is_whole() {
        let mut owners = Owners::new(None, &ContainerTable::new(), Outside::default());
        let mut watch = LossWatch::default();
        let first = watch.losers(&[(0, 2), (7, 5)], &mut owners, 10);
        assert_eq!(first, [(Loser::Unknown, 5), (Loser::Host, 5)]);
        let ahead = watch.losers(&[(0, 2), (7, 6), (8, 3)], &mut owners, 12);
        assert_eq!(ahead, [(Loser::Host, 2)], "no more than were lost");
        let even = watch.losers(&[(0, 2), (7, 6), (8, 4)], &mut owners, 15);
        assert_eq!(even, [(Loser::Host, 3)]);
        assert_eq!(watch.by_loser(), [(Loser::Host, 10), (Loser::Unknown, 5)]);
    }

    #[test]
    fn losses_by_event_are_what_came_since_the_last_look() {
        let mut watch = LossWatch::default();
        let (open, dup) = (Event::Openat, Event::Dup);
        let first = [(open, "ring_full", 5), (dup, "ring_full", 1)];
        assert_eq!(watch.lost_by_event(&first), first);
        // One that is not captured for a while is not counted.
        assert_eq!(
            watch.lost_by_event(&[(open, "ring_full", 7)]),
            [(open, "ring_full", 2)]
        );
        let again = [
            (open, "ring_full", 7),
            (dup, "ring_full", 4),
            (dup, "scratch_overwritten", 1),
        ];
        assert_eq!(
            watch.lost_by_event(&again),
            [(dup, "ring_full", 3), (dup, "scratch_overwritten", 1)]
        );
    }

    #[test]
    fn no_look_has_more_lost_than_begun_and_all_looks_have_as_many_as_there_were() {
        let mut watch = LossWatch::default();
        // Everything is lost; this thread was interrupted between the two counters at the first look.
        let looks = [(150, 100), (200, 100), (220, 20), (320, 100), (420, 0)];
        let told = looks.map(|(counted, lost)| watch.begun_since(counted, lost));
        assert_eq!(told, [150, 100, 20, 100, 50]);
        assert_eq!(told.iter().sum::<u64>(), 420);
    }

    #[test]
    fn what_changes_processes_is_told_from_the_rest() {
        let lost = |event| (event, "ring_full", 2);
        let losses = Losses {
            refused: 1,
            by_event: [
                Event::Openat,
                Event::Fchdir,
                Event::TaskRename,
                Event::Setsid,
                Event::TaskExec,
            ]
            .map(lost)
            .to_vec(),
            ..Losses::default()
        };
        assert_eq!(losses.of_state(), 7);
    }

    #[test]
    fn losers_are_bounded_and_keep_their_latest_name() {
        let mut losers = Vec::new();
        for number in 0..LOSERS + 10 {
            add(&mut losers, container(number, None), 1);
        }
        add(&mut losers, container(3, Some("web")), 2);
        assert_eq!(losers.len(), LOSERS + 1);
        assert_eq!(losers.last(), Some(&(Loser::Unknown, 10)));
        assert_eq!(losers[3], (container(3, Some("web")), 3));
        assert_eq!(losers[3].0.to_string(), "web(000000000000)");
    }
}
