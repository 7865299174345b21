//! All conditions on one type of event, evaluated together.
//!
//! Every condition is a set of nodes that all have to hold. A node that fails strikes out every condition that needs it,
//! so what several conditions share is evaluated once, and on most events a few cheap nodes leave none. Answers of
//! nodes that are asked for in several places are remembered for the event.

use std::collections::HashMap;
use std::sync::Arc;

use lanner_schema::event::Event;
use lanner_schema::view::EventView;

use super::memory::Memory;
use super::node::CheckNode;
use super::program::Program;
use super::residual::{Residual, Residuals, Shape};

/// Conditions evaluated together: one bit each.
const BLOCK: usize = 64;
/// From how many checks of a value on it is kept instead of built for each: most checks are not reached.
const MANY: usize = 8;
/// How many steps are ordered with care, which takes the square of their number.
const MOST_ORDERED: usize = 200;

/// The conditions that can be true on one type of event.
#[derive(Debug, Default)]
pub(crate) struct EventProgram {
    blocks: Box<[Block]>,
    nodes: Box<[Op]>,
    /// How many answers are remembered.
    answers: usize,
    /// How many built values are.
    values: usize,
}

/// Up to 64 conditions, in order.
#[derive(Debug)]
struct Block {
    /// What the caller calls them.
    ids: Box<[u32]>,
    steps: Box<[Step]>,
}

/// A node that has to hold for some conditions.
#[derive(Debug)]
struct Step {
    node: u32,
    needed_by: u64,
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
        let mut possible: Vec<(u32, Box<[u32]>)> = Vec::new();
        for (id, program) in conditions {
            match residuals.add(&program.root, false) {
                Residual::True => possible.push((id, [].into())),
                Residual::False => {}
                Residual::Node(node) => possible.push((id, residuals.conjuncts(node))),
            }
        }
        let blocks: Box<[Block]> = possible
            .chunks(BLOCK)
            .map(|chunk| Block::new(chunk, &residuals))
            .collect();
        Layout::default().finish(blocks, &residuals)
    }

    /// Calls `found` with the conditions the event satisfies, in order, until it returns true.
    pub(crate) fn run(&self, view: &EventView<'_>, memory: &mut Memory, found: &mut dyn FnMut(u32) -> bool) {
        memory.begin(self.answers, self.values);
        for block in &self.blocks {
            let mut left = u64::MAX >> (BLOCK - block.ids.len());
            for step in &block.steps {
                if left & step.needed_by != 0 && !self.holds(step.node, view, memory) {
                    left &= !step.needed_by;
                    if left == 0 {
                        break;
                    }
                }
            }
            for index in bits(left) {
                if block.ids.get(index).is_some_and(|id| found(*id)) {
                    return;
                }
            }
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

impl Block {
    fn new(conditions: &[(u32, Box<[u32]>)], residuals: &Residuals) -> Block {
        let mut needed_by: HashMap<u32, u64> = HashMap::new();
        for (index, (_, nodes)) in conditions.iter().enumerate() {
            for node in nodes {
                *needed_by.entry(*node).or_default() |= 1 << index;
            }
        }
        let mut steps: Vec<Step> = needed_by
            .into_iter()
            .map(|(node, needed_by)| Step { node, needed_by })
            .collect();
        steps.sort_by(|a, b| {
            let rank = |step: &Step| residuals.odds(step.node).rank_to_fail();
            rank(a).total_cmp(&rank(b)).then(a.node.cmp(&b.node))
        });
        if steps.len() <= MOST_ORDERED {
            order(&mut steps, residuals);
        }
        Block {
            ids: conditions.iter().map(|(id, _)| *id).collect(),
            steps: steps.into(),
        }
    }
}

/// Puts first what strikes out most for its cost, given what the steps before it are likely to have left.
fn order(steps: &mut [Step], residuals: &Residuals) {
    // How likely each condition is to be still there.
    let mut left = [1.0f32; BLOCK];
    for at in 0..steps.len() {
        let (mut best, mut best_score) = (at, 0.0);
        for (index, step) in steps.iter().enumerate().skip(at) {
            let expected: f32 = bits(step.needed_by).map(|condition| left[condition]).sum();
            // A step is only taken when a condition is left that needs it.
            let score = expected.max(1.0) / residuals.odds(step.node).rank_to_fail();
            if score > best_score {
                (best, best_score) = (index, score);
            }
        }
        // The others stay in their order.
        steps[at..=best].rotate_right(1);
        let passes = residuals.odds(steps[at].node).passes;
        bits(steps[at].needed_by).for_each(|condition| left[condition] *= passes);
    }
}

/// The indexes of the bits that are set.
fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let index = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(index)
    })
}

/// Lays out the nodes that the blocks use.
#[derive(Debug, Default)]
struct Layout {
    nodes: Vec<Op>,
    /// What each node is about, and how many places ask for that.
    subjects: Vec<Subject>,
    uses: HashMap<Subject, u32>,
    placed: HashMap<u32, u32>,
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
    fn finish(mut self, mut blocks: Box<[Block]>, residuals: &Residuals) -> EventProgram {
        let shapes: Vec<&Shape> = residuals.shapes().collect();
        for step in blocks.iter_mut().flat_map(|block| &mut block.steps) {
            step.node = self.place(step.node, &shapes, residuals);
        }
        let mut answers: HashMap<Subject, u32> = HashMap::new();
        for (op, subject) in self.nodes.iter_mut().zip(&self.subjects) {
            if self.uses.get(subject).is_some_and(|uses| *uses > 1) {
                let next = answers.len() as u32;
                op.answer = Some(*answers.entry(*subject).or_insert(next));
            }
        }
        let values = share_values(&mut self.nodes, residuals.event());
        EventProgram {
            blocks,
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
            && let Some(source) = &check.built
            && check.left.is_built(event)
        {
            by_source.entry(Arc::clone(source)).or_default().push(index);
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
