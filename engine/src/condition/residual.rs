//! What is left of conditions on one type of event.
//!
//! Negation is pushed to the checks, checks that the type decides are gone, nested `and` and `or` are one, and equal
//! parts are the same node, whichever condition they come from. Checks have no side effects and a missing value is just
//! a check that fails, so none of this changes a result.

use std::sync::Arc;

use lanner_schema::event::Event;

use super::by_event;
use super::node::{ByText, CheckNode, Node};
use super::odds::Odds;
use super::quick_hash::QuickMap;

/// What a condition comes to on an event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Residual {
    /// True on every event.
    True,
    /// True on none.
    False,
    /// This node decides.
    Node(u32),
}

/// A node; children are indexes of nodes made before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Shape {
    Test { check: u32, negated: bool },
    All(Box<[u32]>),
    Any(Box<[u32]>),
}

/// The nodes of every condition on one type of event, each once.
#[derive(Debug)]
pub(super) struct Residuals {
    event: Event,
    checks: Vec<Arc<CheckNode>>,
    odds: Vec<Odds>,
    decided: Vec<Option<bool>>,
    by_text: QuickMap<ByText, u32>,
    shapes: Vec<(Shape, Odds)>,
    by_shape: QuickMap<Shape, u32>,
}

impl Residuals {
    pub(super) fn new(event: Event) -> Residuals {
        Residuals {
            event,
            checks: Vec::new(),
            odds: Vec::new(),
            decided: Vec::new(),
            by_text: QuickMap::default(),
            shapes: Vec::new(),
            by_shape: QuickMap::default(),
        }
    }

    /// The type of event.
    pub(super) fn event(&self) -> Event {
        self.event
    }

    /// The check of a [`Shape::Test`].
    pub(super) fn check(&self, index: u32) -> &Arc<CheckNode> {
        &self.checks[index as usize]
    }

    /// The estimate of a check.
    pub(super) fn check_odds(&self, index: u32) -> Odds {
        self.odds[index as usize]
    }

    /// Every node, children before parents.
    pub(super) fn shapes(&self) -> impl Iterator<Item = &Shape> {
        self.shapes.iter().map(|(shape, _)| shape)
    }

    /// The estimate of a node.
    pub(super) fn odds(&self, node: u32) -> Odds {
        self.shapes[node as usize].1
    }

    /// The nodes that all have to hold for `node` to hold.
    pub(super) fn conjuncts(&self, node: u32) -> Box<[u32]> {
        match &self.shapes[node as usize].0 {
            Shape::All(children) => children.clone(),
            _ => [node].into(),
        }
    }

    /// What a condition comes to.
    pub(super) fn add(&mut self, node: &Node, negated: bool) -> Residual {
        match node {
            Node::Check(check) => self.add_check(check, negated),
            Node::Not(child) => self.add(child, !negated),
            Node::And(children) => self.add_many(children, negated, !negated),
            Node::Or(children) => self.add_many(children, negated, negated),
        }
    }

    fn add_check(&mut self, check: &Arc<CheckNode>, negated: bool) -> Residual {
        let index = match self.by_text.get(&ByText(Arc::clone(check))) {
            Some(index) => *index,
            None => {
                let index = self.checks.len() as u32;
                self.checks.push(Arc::clone(check));
                self.odds.push(Odds::of(check));
                self.decided.push(by_event::truth(check, self.event));
                self.by_text.insert(ByText(Arc::clone(check)), index);
                index
            }
        };
        match self.decided[index as usize] {
            Some(truth) if truth != negated => Residual::True,
            Some(_) => Residual::False,
            None => self.node(Shape::Test {
                check: index,
                negated,
            }),
        }
    }

    /// `all` of the children, or any of them.
    fn add_many(&mut self, children: &[Node], negated: bool, all: bool) -> Residual {
        let (nothing, decides) = match all {
            true => (Residual::True, Residual::False),
            false => (Residual::False, Residual::True),
        };
        let mut kept = Vec::with_capacity(children.len());
        for child in children {
            match self.add(child, negated) {
                Residual::Node(node) => match &self.shapes[node as usize].0 {
                    Shape::All(inner) if all => kept.extend_from_slice(inner),
                    Shape::Any(inner) if !all => kept.extend_from_slice(inner),
                    _ => kept.push(node),
                },
                constant if constant == decides => return decides,
                _ => {}
            }
        }
        kept.sort_unstable();
        kept.dedup();
        match kept[..] {
            [] => nothing,
            [only] => Residual::Node(only),
            _ => {
                // The cheapest way to an answer first; equal nodes keep their order, so that equal sets are equal.
                let rank = |node: &u32| match all {
                    true => self.odds(*node).rank_to_fail(),
                    false => self.odds(*node).rank_to_pass(),
                };
                kept.sort_by(|a, b| rank(a).total_cmp(&rank(b)).then(a.cmp(b)));
                self.node(match all {
                    true => Shape::All(kept.into()),
                    false => Shape::Any(kept.into()),
                })
            }
        }
    }

    fn node(&mut self, shape: Shape) -> Residual {
        if let Some(node) = self.by_shape.get(&shape) {
            return Residual::Node(*node);
        }
        let odds = match &shape {
            Shape::Test { check, negated: true } => self.odds[*check as usize].negated(),
            Shape::Test { check, .. } => self.odds[*check as usize],
            Shape::All(children) => Odds::all(children.iter().map(|child| self.odds(*child))),
            Shape::Any(children) => Odds::any(children.iter().map(|child| self.odds(*child))),
        };
        let node = self.shapes.len() as u32;
        self.shapes.push((shape.clone(), odds));
        self.by_shape.insert(shape, node);
        Residual::Node(node)
    }
}
