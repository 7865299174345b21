//! All conditions on one type of event, evaluated together.
//!
//! Every condition is a set of nodes that all have to hold. A node that fails strikes out every condition that needs it,
//! so what several conditions share is evaluated once, and on most events a few cheap nodes leave none. Answers of
//! nodes that are asked for in several places are remembered for the event.

use std::collections::HashMap;
use std::sync::Arc;

use lanner_schema::event::Event;
use lanner_schema::view::EventView;

use super::block::{BLOCK, Block, Condition, bits};
use super::choice::choose;
use super::index::Index;
use super::memory::Memory;
use super::node::CheckNode;
use super::program::Program;
use super::quick_hash::QuickMap;
use super::residual::{Residual, Residuals, Shape};

/// From how many checks of a value on it is kept instead of built for each: most checks are not reached.
const MANY: usize = 8;
/// Up to so many conditions of a block are evaluated one by one.
const FEW: u32 = 8;
/// From so many conditions on it is not worked out whether an index pays: it does.
const MANY_CONDITIONS: usize = 512;

/// The conditions that can be true on one type of event.
#[derive(Debug, Default)]
pub(crate) struct EventProgram {
    /// Conditions that are evaluated on every event.
    blocks: Box<[Block]>,
    /// Conditions that are evaluated when the index says that they may hold.
    indexed: Option<Indexed>,
    nodes: Box<[Op]>,
    /// How many answers are remembered.
    answers: usize,
    /// How many built values are.
    values: usize,
}

/// Conditions and where they are looked up; a word of the index is a block.
#[derive(Debug)]
struct Indexed {
    index: Index,
    blocks: Box<[Block]>,
}

/// Conditions of a block that hold.
#[derive(Debug, Clone, Copy)]
struct Holding<'p> {
    ids: &'p [u32],
    places: &'p [u32],
    left: u64,
}

#[derive(Debug)]
struct Op {
    kind: Kind,
    /// Where its answer is remembered.
    answer: Option<u32>,
    /// Where the value that it checks is remembered.
    value: Option<u32>,
}

#[derive(Debug)]
enum Kind {
    /// What is remembered is the check's own answer, whether it is asked for plain or negated.
    Check {
        check: Arc<CheckNode>,
        negated: bool,
    },
    All(Box<[u32]>),
    Any(Box<[u32]>),
}

impl EventProgram {
    /// Specialises conditions for an event; those that cannot be true on it are left out.
    pub(crate) fn new<'p>(
        event: Event,
        conditions: impl Iterator<Item = (u32, &'p Program)>,
    ) -> EventProgram {
        let mut residuals = Residuals::new(event);
        let mut possible: Vec<Condition> = Vec::new();
        for (place, (id, program)) in (0u32..).zip(conditions) {
            match residuals.add(&program.root, false) {
                Residual::True => possible.push(Condition {
                    id,
                    place,
                    nodes: [].into(),
                    root: None,
                }),
                Residual::False => {}
                Residual::Node(node) => possible.push(Condition {
                    id,
                    place,
                    nodes: residuals.conjuncts(node),
                    root: Some(node),
                }),
            }
        }
        let (always, indexed) = split(possible, &residuals);
        Layout::default().finish(always, indexed, &residuals)
    }

    /// Whether any of its conditions are looked up.
    #[cfg(test)]
    pub(super) fn is_indexed(&self) -> bool {
        self.indexed.is_some()
    }

    /// Calls `found` with the conditions the event satisfies, in order, until it returns true.
    pub(crate) fn run(&self, view: &EventView<'_>, memory: &mut Memory, found: &mut dyn FnMut(u32) -> bool) {
        memory.begin(self.answers, self.values);
        let Some(indexed) = &self.indexed else {
            for block in &self.blocks {
                let mut holding = self.together(block, block.every(), view, memory);
                while let Some(id) = holding.first() {
                    if found(id) {
                        return;
                    }
                    holding.drop_first();
                }
            }
            return;
        };
        memory.candidates.grow(indexed.blocks.len());
        indexed
            .index
            .look(view, &mut memory.scratch, &mut memory.candidates);
        let (mut always, mut picked) = (Holding::NONE, Holding::NONE);
        let mut blocks = self.blocks.iter();
        loop {
            // Both come in order, and no more of either is evaluated than it takes to tell which is next.
            while always.left == 0
                && let Some(block) = blocks.next()
            {
                always = self.together(block, block.every(), view, memory);
            }
            while picked.left == 0
                && let Some((word, candidates)) = memory.candidates.take_first()
                && let Some(block) = indexed.blocks.get(word)
            {
                picked = match candidates.count_ones() > FEW {
                    true => self.together(block, candidates, view, memory),
                    false => self.one_by_one(block, candidates, view, memory),
                };
            }
            let next = match (always.place(), picked.place()) {
                (Some(a), Some(b)) if a < b => &mut always,
                (Some(_), None) => &mut always,
                (_, Some(_)) => &mut picked,
                (None, None) => return,
            };
            if next.first().is_some_and(&mut *found) {
                memory.candidates.clear();
                return;
            }
            next.drop_first();
        }
    }

    /// Those of the conditions `left` of a block that hold; what they share is evaluated once.
    #[inline]
    fn together<'p>(
        &self,
        block: &'p Block,
        mut left: u64,
        view: &EventView<'_>,
        memory: &mut Memory,
    ) -> Holding<'p> {
        for step in &block.steps {
            if left & step.needed_by != 0 && !self.holds(step.node, view, memory) {
                left &= !step.needed_by;
                if left == 0 {
                    break;
                }
            }
        }
        Holding {
            ids: &block.ids,
            places: &block.places,
            left,
        }
    }

    /// The same, one condition after the other.
    fn one_by_one<'p>(
        &self,
        block: &'p Block,
        candidates: u64,
        view: &EventView<'_>,
        memory: &mut Memory,
    ) -> Holding<'p> {
        let mut left = 0;
        for at in bits(candidates) {
            let mut nodes = block.own.get(at).into_iter().flatten();
            if nodes.all(|node| self.holds(*node, view, memory)) {
                left |= 1 << at;
            }
        }
        Holding {
            ids: &block.ids,
            places: &block.places,
            left,
        }
    }

    #[inline]
    fn holds(&self, node: u32, view: &EventView<'_>, memory: &mut Memory) -> bool {
        match self.nodes.get(node as usize) {
            Some(Op {
                kind: Kind::Check { check, negated },
                answer: None,
                value: None,
            }) => check.matches(view, &mut memory.scratch) != *negated,
            Some(op) => self.holds_other(op, view, memory),
            None => false,
        }
    }

    /// What is remembered or has children.
    #[inline(never)]
    fn holds_other(&self, op: &Op, view: &EventView<'_>, memory: &mut Memory) -> bool {
        let known = op.answer.and_then(|at| memory.recall(at));
        let (answer, negated) = match &op.kind {
            Kind::Check { check, negated } => (
                known.unwrap_or_else(|| memory.passes(check, op.value, view)),
                *negated,
            ),
            Kind::All(children) => (
                known.unwrap_or_else(|| children.iter().all(|child| self.holds(*child, view, memory))),
                false,
            ),
            Kind::Any(children) => (
                known.unwrap_or_else(|| children.iter().any(|child| self.holds(*child, view, memory))),
                false,
            ),
        };
        if let (Some(at), None) = (op.answer, known) {
            memory.remember(at, answer);
        }
        answer != negated
    }
}

impl Holding<'_> {
    const NONE: Holding<'static> = Holding {
        ids: &[],
        places: &[],
        left: 0,
    };

    fn first(&self) -> Option<u32> {
        // No bit set is bit 64, which no block has.
        self.ids.get(self.left.trailing_zeros() as usize).copied()
    }

    /// The place of the first in the order of all.
    fn place(&self) -> Option<u32> {
        self.places.get(self.left.trailing_zeros() as usize).copied()
    }

    fn drop_first(&mut self) {
        self.left &= self.left.wrapping_sub(1);
    }
}

/// Conditions that are evaluated on every event, and those that are looked up, when that is likely to be faster.
fn split(conditions: Vec<Condition>, residuals: &Residuals) -> (Box<[Block]>, Option<Indexed>) {
    let blocks = |conditions: &[&Condition]| -> Box<[Block]> {
        conditions
            .chunks(BLOCK)
            .map(|chunk| Block::new(chunk, residuals))
            .collect()
    };
    let all: Vec<&Condition> = conditions.iter().collect();
    let roots: Vec<u32> = conditions.iter().filter_map(|condition| condition.root).collect();
    let choice = choose(residuals, &roots);
    if choice.checks.iter().all(|checks| checks.is_empty()) {
        return (blocks(&all), None);
    }
    let mut checks = choice.checks.iter();
    let (picked, always): (Vec<&Condition>, Vec<&Condition>) = conditions.iter().partition(|condition| {
        condition.root.is_some() && checks.next().is_some_and(|checks| !checks.is_empty())
    });
    let always = blocks(&always);
    if conditions.len() < MANY_CONDITIONS {
        let together = blocks(&all);
        let cost = |blocks: &[Block]| blocks.iter().map(|block| block.cost(residuals)).sum::<f32>();
        if cost(&together) <= cost(&always) + choice.cost {
            return (together, None);
        }
    }
    let picked = picked.chunks(BLOCK).map(|chunk| Block {
        own: chunk.iter().map(|condition| condition.nodes.clone()).collect(),
        ..Block::new(chunk, residuals)
    });
    let indexed = Indexed {
        index: Index::new(residuals, &choice),
        blocks: picked.collect(),
    };
    (always, Some(indexed))
}

/// Lays out the nodes that the blocks use.
#[derive(Debug, Default)]
struct Layout {
    nodes: Vec<Op>,
    /// What each node is about, and how many places ask for that.
    subjects: Vec<Subject>,
    uses: QuickMap<Subject, u32>,
    placed: QuickMap<u32, u32>,
}

/// What an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    /// This check, plain or negated.
    Check(u32),
    /// This node.
    Node(u32),
}

impl Layout {
    fn finish(
        mut self,
        mut blocks: Box<[Block]>,
        mut indexed: Option<Indexed>,
        residuals: &Residuals,
    ) -> EventProgram {
        let shapes: Vec<&Shape> = residuals.shapes().collect();
        for step in blocks.iter_mut().flat_map(|block| &mut block.steps) {
            step.node = self.place(step.node, &shapes, residuals);
        }
        for block in indexed.iter_mut().flat_map(|indexed| &mut indexed.blocks) {
            // Candidates of one block are evaluated one by one: each may ask for the same again.
            for node in block.own.iter_mut().flatten() {
                *node = self.place(*node, &shapes, residuals);
            }
            for step in &mut block.steps {
                step.node = self.place_again(step.node, &shapes, residuals);
            }
        }
        let mut answers: QuickMap<Subject, u32> = QuickMap::default();
        for (op, subject) in self.nodes.iter_mut().zip(&self.subjects) {
            if self.uses.get(subject).is_some_and(|uses| *uses > 1) {
                let next = answers.len() as u32;
                op.answer = Some(*answers.entry(*subject).or_insert(next));
            }
        }
        let values = share_values(&mut self.nodes, residuals.event());
        EventProgram {
            blocks,
            indexed,
            nodes: self.nodes.into(),
            answers: answers.len(),
            values,
        }
    }

    /// Where the node is, placed after its children at its first use.
    fn place(&mut self, node: u32, shapes: &[&Shape], residuals: &Residuals) -> u32 {
        let subject = match shapes[node as usize] {
            Shape::Test { check, .. } => Subject::Check(*check),
            _ => Subject::Node(node),
        };
        *self.uses.entry(subject).or_default() += 1;
        if let Some(at) = self.placed.get(&node) {
            return *at;
        }
        let kind = match shapes[node as usize] {
            Shape::Test { check, negated } => Kind::Check {
                check: Arc::clone(residuals.check(*check)),
                negated: *negated,
            },
            Shape::All(children) => Kind::All(self.place_all(children, shapes, residuals)),
            Shape::Any(children) => Kind::Any(self.place_all(children, shapes, residuals)),
        };
        let at = self.nodes.len() as u32;
        self.nodes.push(Op {
            kind,
            answer: None,
            value: None,
        });
        self.subjects.push(subject);
        self.placed.insert(node, at);
        at
    }

    /// Where a node is that was placed before; this use of it does not count.
    fn place_again(&mut self, node: u32, shapes: &[&Shape], residuals: &Residuals) -> u32 {
        match self.placed.get(&node) {
            Some(at) => *at,
            None => self.place(node, shapes, residuals),
        }
    }

    fn place_all(&mut self, nodes: &[u32], shapes: &[&Shape], residuals: &Residuals) -> Box<[u32]> {
        nodes
            .iter()
            .map(|node| self.place(*node, shapes, residuals))
            .collect()
    }
}

/// Gives a place to every value that is built for several checks; says how many.
fn share_values(nodes: &mut [Op], event: Event) -> usize {
    let mut by_source: HashMap<Arc<str>, Vec<usize>> = HashMap::new();
    for (index, op) in nodes.iter().enumerate() {
        if let Kind::Check { check, .. } = &op.kind
            && check.built
            && check.left.is_built(event)
        {
            by_source
                .entry(Arc::clone(&check.left_text))
                .or_default()
                .push(index);
        }
    }
    let mut values = 0;
    for indexes in by_source.values().filter(|indexes| indexes.len() >= MANY) {
        for index in indexes {
            nodes[*index].value = Some(values);
        }
        values += 1;
    }
    values as usize
}
