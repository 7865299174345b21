//! What the loaded rules need of the events.

use std::collections::BTreeSet;

use super::{EVENT_COUNT, Event, EventSet};
use crate::call_class::ClassSet;
use crate::open_names::OpenNames;

/// What the loaded rules need to see: the input of capture's plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Events at least one rule can match on; of those that read and write ([`EventSet::IO`]) only those a rule names.
    pub events: EventSet,
    /// The others of them that a rule can match on: wanted when the operator asks for all (`base_syscalls.all`).
    pub unnamed_io: EventSet,
    /// Events that a rule names which does not name what a source without BPF tells them as ([`crate::tier::told_apart`]).
    pub told_apart: EventSet,
    /// Per event, the classes of calls on which a rule can match. Only calls have classes.
    pub classes: [ClassSet; EVENT_COUNT],
    /// Of those, the opens of which a rule can match only some, by their names.
    pub names: OpenNames,
    /// Per event, the bit *n* set when a rule reads the on-demand parameter *n*.
    pub params: [u32; EVENT_COUNT],
    /// Per event, the bits of the [`TaskValue`](crate::task::TaskValue)s a rule reads.
    pub task: [u32; EVENT_COUNT],
    /// A rule reads the environment of processes.
    pub environment: bool,
    /// A rule reads the cgroups of processes.
    pub cgroups: bool,
    /// A rule reads what other calls than execs change of a process: its session, its group, its terminal. Events with
    /// an [`Extractor::TaskState`](super::Extractor::TaskState) tell.
    pub task_state: bool,
    /// What rules compare the names of files with that calls are about which leave none open: whole paths, beginnings and
    /// ends of them. For sources that can watch directories only one by one.
    pub paths: BTreeSet<Box<[u8]>>,
}

impl Needs {
    /// Everything there is.
    pub fn all() -> Needs {
        Needs {
            events: EventSet::all(),
            unnamed_io: EventSet::NONE,
            told_apart: EventSet::all().iter().filter(has_alike).collect(),
            classes: [ClassSet::ALL; EVENT_COUNT],
            names: OpenNames::NONE,
            params: [u32::MAX; EVENT_COUNT],
            task: [u32::MAX; EVENT_COUNT],
            environment: true,
            cgroups: true,
            task_state: true,
            paths: BTreeSet::new(),
        }
    }

    /// Adds what others need: both see what they would see alone.
    pub fn join(&mut self, others: &Needs) {
        // Every part by its name, so that a new one is not forgotten.
        let Needs {
            events,
            unnamed_io,
            told_apart,
            classes,
            names,
            params,
            task,
            environment,
            cgroups,
            task_state,
            paths,
        } = others;
        // What either has told as one call may be told as another for both.
        let new = self.events.union(*events);
        self.told_apart = match self.events == *events {
            true => self.told_apart.union(*told_apart),
            false => new.iter().filter(has_alike).collect(),
        };
        self.events = self.events.union(*events);
        self.unnamed_io = self.unnamed_io.union(*unnamed_io).difference(self.events);
        // What either wants whatever its name is.
        let unnamed = |classes: ClassSet, named: ClassSet| classes.difference(named);
        for (event, (all, theirs)) in self.classes.iter_mut().zip(classes).enumerate() {
            let (own, others) = (&mut self.names.classes[event], names.classes[event]);
            let whatever = unnamed(*all, *own).union(unnamed(*theirs, others));
            *own = own.union(others).difference(whatever);
            *all = all.union(*theirs);
        }
        self.names.terms.extend(names.terms.iter().cloned());
        for (all, theirs) in [(&mut self.params, params), (&mut self.task, task)] {
            all.iter_mut().zip(theirs).for_each(|(bits, more)| *bits |= more);
        }
        self.environment |= environment;
        self.cgroups |= cgroups;
        self.task_state |= task_state;
        self.paths.extend(paths.iter().cloned());
    }
}

fn has_alike(event: &Event) -> bool {
    crate::tier::alike(*event).next().is_some()
}

impl Default for Needs {
    fn default() -> Self {
        Needs {
            events: EventSet::NONE,
            unnamed_io: EventSet::NONE,
            told_apart: EventSet::NONE,
            classes: [ClassSet::ALL; EVENT_COUNT],
            names: OpenNames::NONE,
            params: [0; EVENT_COUNT],
            task: [0; EVENT_COUNT],
            environment: false,
            cgroups: false,
            task_state: false,
            paths: BTreeSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call_class::CallClass;

    #[test]
    fn joined_needs_are_those_of_both() {
        let of = |event: Event, io: Event| {
            let mut needs = Needs::default();
            needs.events.insert(event);
            needs.unnamed_io.insert(io);
            needs.params[event as usize] = 1 << (event as u32 % 8);
            needs.classes = [ClassSet::NONE; EVENT_COUNT];
            needs.classes[event as usize].insert(CallClass::new(io == Event::Read, false));
            needs.classes[io as usize].insert(CallClass::new(true, true));
            needs
        };
        let mut both = of(Event::Openat, Event::Read);
        both.join(&Needs {
            environment: true,
            ..of(Event::Read, Event::Write)
        });
        let events: EventSet = [Event::Openat, Event::Read].into_iter().collect();
        assert_eq!(both.events, events);
        assert_eq!(
            both.unnamed_io,
            [Event::Write].into_iter().collect(),
            "what one names is no longer unnamed"
        );
        assert!(both.environment && !both.cgroups);
        let classes = both.classes[Event::Read as usize];
        assert!(
            classes.contains(CallClass::new(false, false)) && classes.contains(CallClass::new(true, true))
        );
        assert!(
            !classes.contains(CallClass::new(true, false)) && both.classes[Event::Close as usize].is_empty()
        );
        assert!(both.params[Event::Openat as usize] != 0 && both.params[Event::Read as usize] != 0);
        let mut all = Needs::all();
        all.join(&both);
        assert_eq!(all, Needs::all());
    }
}
