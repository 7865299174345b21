//! The programs of many types of events: types on which conditions come to the same share one.

use std::collections::HashMap;
use std::sync::Arc;

use lanner_schema::event::Event;

use super::by_event;
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

/// Programs for `events`, in their order, of conditions that are given in order and named.
pub(crate) fn programs(
    events: impl Iterator<Item = Event>,
    conditions: &[(u32, &Program)],
) -> Vec<Arc<EventProgram>> {
    // Every check once, and which of them each condition has.
    #[allow(clippy::mutable_key_type)] // the text by which checks are compared never changes
    let mut names: QuickMap<ByText, u32> = QuickMap::default();
    let mut checks: Vec<Arc<CheckNode>> = Vec::new();
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
                        own.push(*names.entry(ByText(Arc::clone(check))).or_insert_with(|| {
                            checks.push(Arc::clone(check));
                            checks.len() as u32 - 1
                        }));
                    }
                }
            }
            own
        })
        .collect();
    let mut known: HashMap<Signature, Arc<EventProgram>> = HashMap::new();
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
        let signature = Signature {
            decided: needed
                .iter()
                .map(|check| by_event::truth(&checks[*check as usize], event))
                .collect(),
            built: needed
                .iter()
                .map(|check| checks[*check as usize].left.is_built(event))
                .collect(),
            conditions: conditions_on_it,
        };
        if let Some(program) = known.get(&signature) {
            return Arc::clone(program);
        }
        let of_event = signature
            .conditions
            .iter()
            .map(|index| conditions[*index as usize]);
        let program = Arc::new(EventProgram::new(event, of_event));
        known.insert(signature, Arc::clone(&program));
        program
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
            .map(Arc::as_ptr)
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
