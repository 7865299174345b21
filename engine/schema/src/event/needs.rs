//! What the loaded rules need of the events.

use std::collections::{BTreeMap, BTreeSet};

use super::{EVENT_COUNT, EVENTS, Event, EventSet};
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
    /// Per event, the programs whose calls no rule matches that reads where the paths of the call led: of theirs it is not
    /// looked up.
    pub excused: BTreeMap<u16, Programs>,
}

/// Names of programs (`proc.name`).
pub type Programs = BTreeSet<Box<[u8]>>;

impl Needs {
    /// Adds that a rule reads where the paths of a call led, which does not match the calls of these programs. To be called before
    /// that is added to `params`.
    pub fn excuse(&mut self, event: Event, programs: Programs) {
        let is_wanted = self.params[event as usize] & event.row().looked_up() != 0;
        let excused = match (is_wanted, self.excused.remove(&(event as u16))) {
            (false, _) => programs,
            (true, Some(known)) => known.intersection(&programs).cloned().collect(),
            // There is one that excuses nobody.
            (true, None) => return,
        };
        if !excused.is_empty() {
            self.excused.insert(event as u16, excused);
        }
    }

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
            excused: BTreeMap::new(),
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
            excused,
        } = others;
        for row in EVENTS {
            let event = row.event as usize;
            if params[event] & row.looked_up() != 0 {
                let programs = excused.get(&(row.event as u16)).cloned();
                self.excuse(row.event, programs.unwrap_or_default());
            }
        }
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
            excused: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call_class::CallClass;

    #[test]
    fn who_is_excused_is_excused_by_all_that_ask() {
        let looked_up = Event::Unlink.row().looked_up();
        assert_ne!(looked_up, 0);
        let asks = |programs: &[&str]| {
            let mut needs = Needs::default();
            let programs = programs.iter().map(|name| name.as_bytes().into()).collect();
            needs.excuse(Event::Unlink, programs);
            needs.params[Event::Unlink as usize] = looked_up;
            needs
        };
        let together = |needs: &[Needs]| {
            let mut all = Needs::default();
            needs.iter().for_each(|needs| all.join(needs));
            let excused = all.excused.into_iter().map(|(event, programs)| {
                assert_eq!(event, Event::Unlink as u16);
                programs
            });
            excused.flatten().collect::<Vec<_>>()
        };
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| Box::from(name.as_bytes()))
                .collect::<Vec<_>>()
        };
        let (one, other, nobody) = (asks(&["a", "b"]), asks(&["b", "c"]), asks(&[]));
        assert_eq!(together(std::slice::from_ref(&one)), names(&["a", "b"]));
        assert_eq!(together(&[one.clone(), Needs::default()]), names(&["a", "b"]));
        assert_eq!(together(&[one.clone(), other.clone()]), names(&["b"]));
        assert_eq!(
            together(&[one.clone(), nobody.clone(), other.clone()]),
            names(&[])
        );
        assert_eq!(together(&[nobody, other, one.clone()]), names(&[]));
        assert_eq!(together(&[one, Needs::all()]), names(&[]));
    }

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
