//! The programs of many types of events: types on which conditions come to the same share one. And the calls of each type on
//! which any of the conditions can be true.

use std::collections::HashMap;
use std::sync::Arc;

use lanner_schema::call_class::ClassSet;
use lanner_schema::event::{Event, EventSet};
use lanner_schema::open_names::{OPENS_OTHERWISE, OpenNames};

use super::by_class::{self, ByClass, Possible};
use super::by_event;
use super::by_name::{self, Passing};
use super::event_program::EventProgram;
use super::node::{ByText, CheckNode, Node};
use super::program::Program;
use super::quick_hash::QuickMap;

/// Everything in which a program for one type of event can differ from one for another.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Signature {
    /// The conditions that can be true on it, by index.
    conditions: Vec<u32>,
    /// What the type decides of their checks.
    decided: Vec<Option<bool>>,
    /// Which of their values are usually built on it.
    built: Vec<bool>,
}

/// Programs for `events`, in their order, of conditions that are given in order and named; and the calls besides which none of
/// them is true.
pub(crate) fn programs(
    events: impl Iterator<Item = Event>,
    conditions: &[(u32, &Program)],
) -> Vec<(Arc<EventProgram>, Passing)> {
    // Every check once, and which of them each condition has.
    #[allow(clippy::mutable_key_type)] // the text by which checks are compared never changes
    let mut names: QuickMap<ByText, u32> = QuickMap::default();
    let mut checks: Vec<(Arc<CheckNode>, ByClass)> = Vec::new();
    let mut places: HashMap<*const CheckNode, u32> = HashMap::new();
    let of_conditions: Vec<Vec<u32>> = conditions
        .iter()
        .map(|(_, program)| {
            let mut own = Vec::new();
            let mut left = vec![&program.root];
            while let Some(node) = left.pop() {
                match node {
                    Node::And(children) | Node::Or(children) => left.extend(children),
                    Node::Not(child) => left.push(child),
                    Node::Check(check) => {
                        let place = *names.entry(ByText(Arc::clone(check))).or_insert_with(|| {
                            checks.push((Arc::clone(check), ByClass::new(check)));
                            checks.len() as u32 - 1
                        });
                        places.insert(Arc::as_ptr(check), place);
                        own.push(place);
                    }
                }
            }
            own
        })
        .collect();
    let mut known: HashMap<Signature, Arc<EventProgram>> = HashMap::new();
    let opens: EventSet = OpenNames::events().collect();
    let calls: EventSet = OpenNames::calls().collect();
    type Alike = (*const EventProgram, [bool; 2], Option<Event>, Vec<Possible>);
    let mut known_passing: HashMap<Alike, Passing> = HashMap::new();
    let mut program = |event: Event| {
        let on_it = (0u32..)
            .zip(conditions)
            .filter(|(_, (_, program))| program.events().contains(event));
        let conditions_on_it: Vec<u32> = on_it.map(|(index, _)| index).collect();
        let mut needed: Vec<u32> = conditions_on_it
            .iter()
            .flat_map(|index| &of_conditions[*index as usize])
            .copied()
            .collect();
        needed.sort_unstable();
        needed.dedup();
        let decided = |check: &u32| by_event::truth(&checks[*check as usize].0, event);
        let signature = Signature {
            decided: needed.iter().map(decided).collect(),
            built: needed
                .iter()
                .map(|check| checks[*check as usize].0.left.is_built(event))
                .collect(),
            conditions: conditions_on_it,
        };
        let of_event: Vec<(u32, &Program)> = signature
            .conditions
            .iter()
            .map(|index| conditions[*index as usize])
            .collect();
        let possible: Vec<Possible> = needed
            .iter()
            .zip(&signature.decided)
            .map(|(check, decided)| match (decided, &checks[*check as usize]) {
                (Some(truth), _) => Possible::decided(*truth),
                (None, (check, by_class)) => by_class.on(check, event),
            })
            .collect();
        let program = Arc::clone(
            known
                .entry(signature)
                .or_insert_with(|| Arc::new(EventProgram::new(event, of_event.iter().copied()))),
        );
        let of_check = |check: &Arc<CheckNode>| {
            let place = places.get(&Arc::as_ptr(check));
            let at = place.and_then(|place| needed.binary_search(place).ok());
            at.map_or(Possible::UNKNOWN, |at| possible[at])
        };
        let call = Some(event).filter(|event| calls.contains(*event));
        let has_names = opens.contains(event) || call.is_some();
        let has_flags = event.row().open_flags_arg().is_some();
        let passing = known_passing
            .entry((
                Arc::as_ptr(&program),
                [has_names, has_flags],
                call,
                possible.clone(),
            ))
            .or_insert_with(|| {
                let roots = of_event.iter().map(|(_, program)| &program.root);
                if has_names {
                    let passing = roots.map(|root| by_name::of(root, event, &of_check));
                    let mut passing = passing.fold(Passing::NONE, Passing::either);
                    // Of these the kernel's side does not know what for they are: any of both will do.
                    if !has_flags {
                        passing
                            .terms
                            .iter_mut()
                            .for_each(|term| term.opens = OPENS_OTHERWISE);
                    }
                    return passing;
                }
                let yes = roots.map(|root| by_class::of(root, &of_check).yes);
                Passing::whatever(yes.fold(ClassSet::NONE, ClassSet::union))
            })
            .clone();
        (program, passing)
    };
    events.map(&mut program).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{compile, parse};
    use super::*;

    fn distinct(texts: &[&str], events: &[Event]) -> usize {
        let compiled: Vec<Program> = texts
            .iter()
            .map(|text| compile(&parse(text).unwrap()).unwrap())
            .collect();
        let conditions: Vec<(u32, &Program)> = (0..).zip(&compiled).collect();
        let mut programs: Vec<_> = programs(events.iter().copied(), &conditions)
            .iter()
            .map(|(program, _)| Arc::as_ptr(program))
            .collect();
        programs.sort_unstable();
        programs.dedup();
        programs.len()
    }

    #[test]
    fn types_share_a_program_unless_they_differ_in_what_it_is() {
        use Event as E;
        let opens = [E::Open, E::Openat, E::Openat2];
        assert_eq!(distinct(&["fd.name = /x"], &opens), 1);
        assert_eq!(distinct(&["fd.name = /x and evt.type != open"], &opens), 2);
        assert_eq!(distinct(&["fd.name = /x or evt.type = openat2"], &opens), 2);
        assert_eq!(distinct(&["proc.name = x", "evt.type = open"], &opens), 2);
        assert_eq!(distinct(&["fd.name = /x"], &[E::Openat, E::Connect]), 2);
        assert_eq!(
            distinct(&["fd.name exists or proc.name = x"], &[E::Openat, E::Execve]),
            2
        );
    }
}
