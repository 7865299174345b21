//! What processes were before they became something else, for a while: a source that looks at a file says when it saw that
//! something had been done, which was a little before, and a process can run another program, rename itself or give up its
//! rights in between.
//!
//! The process connector tells of each such change with the kernel's time. A process that did not change between the earliest
//! and the latest moment at which an event may have been is who did it; of one that did, every state within that time may be.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use lanner_schema::process::Process;

/// How long what a process was is kept, in nanoseconds of event time: events of it may come late.
const KEPT: u64 = 20_000_000_000;
/// The most of them that are kept.
const MOST: usize = 8192;
/// How far two clocks that were read one after the other may seem to be apart, in nanoseconds.
const CLOCKS: u64 = 50_000;

/// Since when a process is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Since {
    /// The time of the change, in nanoseconds since boot; 0 for what was so before anybody looked.
    pub(crate) time: u64,
    /// There was no such process before.
    pub(crate) is_first: bool,
}

impl Since {
    /// Before anything was captured.
    pub(crate) const EVER: Since = Since {
        time: 0,
        is_first: true,
    };

    /// It was something else before.
    pub(crate) fn change(time: u64) -> Since {
        Since {
            time,
            is_first: false,
        }
    }

    fn ends_search(self, from: u64) -> bool {
        self.is_first || self.time.saturating_add(CLOCKS) < from
    }
}

/// What a process was.
#[derive(Debug)]
struct Past {
    since: Since,
    process: Process,
}

/// What a process was within some time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Within {
    /// What it is now, all the time.
    AsNow,
    /// One of these, the last first.
    OneOf(Vec<Process>),
    /// Nobody knows.
    Untold,
}

/// The past of all processes.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Of each process, the last at the end.
    past: HashMap<u32, VecDeque<Past>>,
    /// Whose the oldest of all are, and until when.
    order: VecDeque<(u64, u32)>,
}

impl History {
    /// Keeps what a process was until it changed.
    pub(crate) fn keep(&mut self, process: Process, since: Since, until: u64) {
        while let Some((oldest, pid)) = self.order.front()
            && (self.order.len() >= MOST || oldest.saturating_add(KEPT) < until)
        {
            if let Entry::Occupied(mut past) = self.past.entry(*pid) {
                past.get_mut().pop_front();
                if past.get().is_empty() {
                    past.remove();
                }
            }
            self.order.pop_front();
        }
        self.order.push_back((until, process.pid));
        self.past
            .entry(process.pid)
            .or_default()
            .push_back(Past { since, process });
    }

    /// What the process with this id was between two times; `now` is what it is and since when, unless it is forgotten.
    pub(crate) fn within(&self, pid: u32, now: Option<(&Process, Since)>, from: u64, to: u64) -> Within {
        let latest = to.saturating_add(CLOCKS);
        let mut found = Vec::new();
        // There was nothing before what was found.
        let mut is_whole = false;
        if let Some((now, since)) = now {
            let was_now = since.time <= latest;
            if was_now && since.ends_search(from) {
                return Within::AsNow;
            }
            if was_now {
                found.push(now.clone());
            }
            is_whole = since.is_first;
        }
        for past in self.past.get(&pid).into_iter().flatten().rev() {
            if is_whole {
                break;
            }
            if past.since.time <= latest {
                found.push(past.process.clone());
            }
            is_whole = past.since.ends_search(from);
        }
        match is_whole && !found.is_empty() {
            true => Within::OneOf(found),
            false => Within::Untold,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lanner_schema::container::ContainerTable;
    use lanner_schema::event::{Event, EventSet};
    use lanner_schema::record::{AGE_STEP, FLAG_SUCCEEDED};
    use lanner_schema::tier::Source;
    use lanner_schema::view::EventView;

    use super::*;
    use crate::consume::Consumer;
    use crate::draft::{Doer, Draft};
    use crate::outside::Outside;
    use crate::plan::Config;
    use crate::process_table::param;

    const MS: u64 = 1_000_000;

    fn named(name: &str) -> Process {
        Process {
            pid: 7,
            image: Arc::new(lanner_schema::process::Image::new(name.as_bytes(), b"", b"", b"")),
            ..Process::default()
        }
    }

    fn names(within: Within) -> Vec<String> {
        match within {
            Within::OneOf(processes) => processes
                .iter()
                .map(|process| String::from_utf8_lossy(&process.image.comm).into_owned())
                .collect(),
            Within::AsNow => vec!["now".into()],
            Within::Untold => Vec::new(),
        }
    }

    /// A shell that is forked after 10 ms, runs python after 20, which calls itself nginx after 30.
    #[test]
    fn a_process_is_what_it_was_within_the_time_in_which_an_event_may_have_been() {
        let mut history = History::default();
        let forked = Since {
            time: 10 * MS,
            is_first: true,
        };
        history.keep(named("sh"), forked, 20 * MS);
        history.keep(
            Process {
                pid: 8,
                ..named("other")
            },
            Since::EVER,
            25 * MS,
        );
        history.keep(named("python"), Since::change(20 * MS), 30 * MS);
        let nginx = named("nginx");
        let within = |from: u64, to: u64| {
            names(history.within(7, Some((&nginx, Since::change(30 * MS))), from * MS, to * MS))
        };
        assert_eq!(within(31, 40), ["now"]);
        assert_eq!(within(29, 40), ["nginx", "python"]);
        assert_eq!(within(21, 29), ["python"]);
        assert_eq!(within(12, 25), ["python", "sh"]);
        assert_eq!(
            within(0, 40),
            ["nginx", "python", "sh"],
            "there was nobody before"
        );
        assert_eq!(within(11, 15), ["sh"]);
        // What is as close as clocks are read counts as both.
        let close = history.within(
            7,
            Some((&nginx, Since::change(30 * MS))),
            30 * MS + CLOCKS / 2,
            30 * MS + CLOCKS / 2,
        );
        assert_eq!(names(close), ["nginx", "python"]);
    }

    #[test]
    fn who_is_forgotten_is_what_it_was() {
        let mut history = History::default();
        let forked = Since {
            time: 10 * MS,
            is_first: true,
        };
        history.keep(named("sh"), forked, 20 * MS);
        history.keep(named("python"), Since::change(20 * MS), 90 * MS);
        let within = |from: u64, to: u64| names(history.within(7, None, from * MS, to * MS));
        assert_eq!(within(25, 30), ["python"]);
        assert_eq!(within(5, 30), ["python", "sh"]);
        assert!(names(history.within(8, None, 5 * MS, 30 * MS)).is_empty());
    }

    #[test]
    fn what_a_process_was_that_nobody_has_seen_is_not_told() {
        let mut history = History::default();
        let now = named("nginx");
        let since = Since::change(30 * MS);
        assert_eq!(
            history.within(7, Some((&now, since)), 29 * MS, 40 * MS),
            Within::Untold
        );
        assert_eq!(
            history.within(7, Some((&now, Since::EVER)), 0, 40 * MS),
            Within::AsNow
        );
        history.keep(named("python"), Since::change(20 * MS), 30 * MS);
        assert_eq!(
            names(history.within(7, Some((&now, since)), 25 * MS, 40 * MS)),
            ["nginx", "python"]
        );
        assert_eq!(
            history.within(7, Some((&now, since)), 15 * MS, 40 * MS),
            Within::Untold
        );
        // Before the only state there is.
        let born = Since {
            time: 30 * MS,
            is_first: true,
        };
        assert_eq!(
            History::default().within(7, Some((&now, born)), 10 * MS, 20 * MS),
            Within::Untold
        );
    }

    /// Who did it, as events show it.
    fn doers(consumer: &mut Consumer, record: &[u8]) -> Vec<(String, u32)> {
        let mut seen = Vec::new();
        consumer.record(record, &mut |view| {
            let name = |view: &EventView<'_>| {
                let comm = view.process.map_or(&[][..], |process| &process.image.comm);
                (String::from_utf8_lossy(comm).into_owned(), view.uid)
            };
            seen.push(name(view));
            seen.extend(view.by_what_it_may_have_been().map(|other| name(&other)));
            seen.extend(view.by_nobody_known().map(|other| name(&other)));
        });
        seen
    }

    #[test]
    fn whoever_became_another_since_is_not_shown_as_that() {
        const PID: u32 = 4_194_000;
        let mut consumer = Consumer::new(
            std::iter::once(Event::Openat).collect::<EventSet>(),
            &Config::default(),
            &ContainerTable::new(),
            Arc::default(),
            Outside::default().without_procfs(),
        );
        let news = Source::Connector.stream();
        let doer = Doer::known(PID, PID);
        let draft = |event, time| Draft::new(event, news, FLAG_SUCCEEDED, time * MS, &doer);
        let exec = |name: &str, time| {
            let argv = [name.as_bytes(), b"\0"].concat();
            draft(Event::TaskExec, time)
                .text(param!(TaskExec, "comm"), name.as_bytes())
                .bytes(param!(TaskExec, "args"), &argv, false)
        };
        let parent = Doer::known(1, 1);
        let fork = Draft::new(Event::TaskFork, news, 0, 10 * MS, &parent)
            .number(param!(TaskFork, "child_pid"), PID.into())
            .number(param!(TaskFork, "ppid"), 1);
        let changed = |uid, time| draft(Event::TaskChanged, time).number(param!(TaskChanged, "uid"), uid);
        let renamed = draft(Event::TaskRename, 50).text(param!(TaskRename, "comm"), b"nginx");
        for record in [
            fork,
            changed(0, 15),
            exec("python", 20),
            changed(65534, 40),
            renamed,
        ] {
            assert!(doers(&mut consumer, &record.finish()).is_empty());
        }
        let opened = |consumer: &mut Consumer, from: u64, to: u64| {
            let age = u16::try_from((to - from) * MS / AGE_STEP).unwrap();
            // What was looked up later counts for nothing.
            let doer = Doer {
                age,
                cgroup: 7,
                uid: 65534,
                ..doer
            };
            let record = Draft::new(
                Event::Openat,
                Source::Fanotify.stream(),
                FLAG_SUCCEEDED,
                to * MS,
                &doer,
            );
            doers(consumer, &record.finish())
        };
        let one = |name: &str, uid| (name.to_owned(), uid);
        assert_eq!(opened(&mut consumer, 51, 60), [one("nginx", 65534)]);
        assert_eq!(
            opened(&mut consumer, 45, 60),
            [one("nginx", 65534), one("python", 65534)]
        );
        assert_eq!(opened(&mut consumer, 25, 35), [one("python", 0)]);
        assert_eq!(
            opened(&mut consumer, 35, 45),
            [one("python", 65534), one("python", 0)]
        );
        // The queue was not seen to be empty for long.
        let all = opened(&mut consumer, 0, 60);
        assert_eq!((all.len(), &all[0]), (5, &one("nginx", 65534)), "{all:?}");
        // News were lost.
        let missed = Draft::new(Event::TaskMissed, news, 0, 70 * MS, &Doer::known(0, 0));
        assert!(doers(&mut consumer, &missed.finish()).is_empty());
        // Whether it was that before is nobody's word.
        assert_eq!(
            opened(&mut consumer, 65, 75),
            [one("nginx", 65534), one("", u32::MAX)]
        );
    }

    #[test]
    fn the_past_is_forgotten_and_is_not_without_end() {
        let mut history = History::default();
        for number in 0..2 * MOST as u64 {
            history.keep(named("sh"), Since::change(number), number);
        }
        let kept = |history: &History| {
            (
                history.order.len(),
                history.past.values().map(VecDeque::len).sum::<usize>(),
            )
        };
        assert_eq!(kept(&history), (MOST, MOST));
        let other = Process {
            pid: 8,
            ..named("sh")
        };
        history.keep(other, Since::change(1), 2 * KEPT);
        assert_eq!((kept(&history), history.past.len()), ((1, 1), 1));
    }
}
