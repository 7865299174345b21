//! The compiled tree.

use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use lanner_schema::view::EventView;

use super::ast::{Check, Expr};
use super::check::Checker;
use super::error::CheckErrorKind;
use super::matcher::Matcher;
use super::program::Scratch;
use super::quick_hash::QuickHasher;
use super::transform::Source;
use crate::field::{Extract, FieldRef, PlainFn};
use crate::value::Value;

/// A node.
#[derive(Debug)]
pub(super) enum Node {
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Not(Box<Node>),
    Check(Arc<CheckNode>),
}

/// A leaf.
#[derive(Debug)]
pub(super) struct CheckNode {
    pub(super) left: Source,
    /// Reads the left side when that is a field which needs no buffer, or seldom does.
    plain: Option<PlainFn>,
    /// True when the left side is one value that may have to be built in a buffer.
    pub(super) built: bool,
    /// The text of the left side: checks with the same text look at the same value.
    pub(super) left_text: Arc<str>,
    pub(super) how: How,
    pub(super) matcher: Matcher,
    /// The text of the check, by which rules that have it in common find it.
    pub(super) text: Box<str>,
    /// Of that text, which may be long.
    hash: u64,
}

/// A check by its text: equal texts are the same check.
#[derive(Debug)]
pub(super) struct ByText(pub(super) Arc<CheckNode>);

impl PartialEq for ByText {
    fn eq(&self, other: &ByText) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.hash == other.0.hash && self.0.text == other.0.text
    }
}

impl Eq for ByText {}

impl Hash for ByText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

/// How several values of the left side combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// There is one.
    One,
    /// One has to pass.
    Any,
    /// All have to pass, and there is at least one.
    All,
    /// They are a list: all elements have to pass (an empty list passes nothing).
    ListAll,
    /// They are a list: one element has to pass.
    ListAny,
}

/// Compiles a tree; `None` after an error that was reported to the checker. Works with a stack of its own, as deep as
/// the tree may be, and compiles every leaf so that every error is found.
pub(super) fn compile_node(expr: &Expr, checker: &mut Checker<'_>) -> Option<Node> {
    enum Step<'e> {
        Visit(&'e Expr),
        Finish(&'e Expr),
    }
    let mut steps = vec![Step::Visit(expr)];
    let mut nodes: Vec<Option<Node>> = Vec::new();
    while let Some(step) = steps.pop() {
        match step {
            Step::Visit(node @ (Expr::And(children, _) | Expr::Or(children, _))) => {
                steps.push(Step::Finish(node));
                steps.extend(children.iter().rev().map(Step::Visit));
            }
            Step::Visit(node @ Expr::Not(child, _)) => {
                steps.push(Step::Finish(node));
                steps.push(Step::Visit(child));
            }
            Step::Visit(Expr::Macro { name, span }) => {
                checker.error(CheckErrorKind::UnresolvedMacro(name.clone()), *span);
                nodes.push(None);
            }
            Step::Visit(Expr::Check(_)) if checker.is_full() => nodes.push(None),
            Step::Visit(Expr::Check(check)) => {
                nodes.push(checker.check(check).map(|node| Node::Check(Arc::new(node))));
            }
            Step::Finish(Expr::And(children, _)) => {
                let children = last(&mut nodes, children.len());
                nodes.push(children.map(Node::And));
            }
            Step::Finish(Expr::Or(children, _)) => {
                let children = last(&mut nodes, children.len());
                nodes.push(children.map(Node::Or));
            }
            Step::Finish(_) => {
                let child = nodes.pop().flatten();
                nodes.push(child.map(|child| Node::Not(Box::new(child))));
            }
        }
    }
    nodes.pop().flatten()
}

/// Takes the last `count` nodes; `None` when one of them failed.
fn last(nodes: &mut Vec<Option<Node>>, count: usize) -> Option<Box<[Node]>> {
    let from = nodes.len().saturating_sub(count);
    nodes.drain(from..).collect::<Vec<_>>().into_iter().collect()
}

impl Node {
    /// True when the event satisfies it.
    pub(super) fn matches(&self, view: &EventView<'_>, scratch: &mut Scratch) -> bool {
        match self {
            Node::And(children) => children.iter().all(|child| child.matches(view, scratch)),
            Node::Or(children) => children.iter().any(|child| child.matches(view, scratch)),
            Node::Not(child) => !child.matches(view, scratch),
            Node::Check(check) => check.matches(view, scratch),
        }
    }
}

impl CheckNode {
    pub(super) fn new(check: &Check, left: Source, how: How, matcher: Matcher) -> CheckNode {
        let (plain, built) = match &left {
            Source::Field(field) if how == How::One => match field.extract() {
                Some(Extract::Plain(get)) => (Some(get), false),
                Some(Extract::Mostly(get, _)) => (Some(get), true),
                _ => (None, true),
            },
            _ => (None, how == How::One),
        };
        // The alternate form quotes what could be read in two ways otherwise.
        let text: Box<str> = format!("{check:#}").into();
        CheckNode {
            left,
            plain,
            built,
            left_text: format!("{:#}", check.left).into(),
            how,
            matcher,
            hash: BuildHasherDefault::<QuickHasher>::default().hash_one(&text),
            text,
        }
    }

    /// The fields it reads, on both sides.
    pub(super) fn fields(&self) -> Vec<&FieldRef> {
        let mut fields = Vec::new();
        self.left.fields(&mut fields);
        if let Matcher::Source(_, right) | Matcher::InSource(right) = &self.matcher {
            right.fields(&mut fields);
        }
        fields
    }

    /// True when the event passes.
    #[inline]
    pub(super) fn matches(&self, view: &EventView<'_>, scratch: &mut Scratch) -> bool {
        if let Some(get) = self.plain {
            match &get(view) {
                Some(value) => return self.matcher.test(value, view, scratch),
                None if !self.built => return false,
                None => {}
            }
        }
        self.matches_built(view, scratch)
    }

    /// The value, when it is one that is there without being built.
    #[inline]
    pub(super) fn found<'b>(&self, view: &EventView<'b>) -> Option<Value<'b>> {
        self.plain?(view)
    }

    /// What is less common: values that are built in a buffer, and several values.
    #[inline(never)]
    fn matches_built(&self, view: &EventView<'_>, scratch: &mut Scratch) -> bool {
        match self.how {
            How::One => {
                let mut buf = scratch.take();
                let passes = match &self.left.get(view, scratch, &mut buf) {
                    Some(value) => self.matcher.test(value, view, scratch),
                    None => false,
                };
                scratch.put(buf);
                passes
            }
            How::Any | How::All => {
                let Source::Field(field) = &self.left else {
                    return false;
                };
                let wanted = self.how == How::Any;
                let (mut decided, mut seen) = (false, false);
                field.each(view, &mut |value| {
                    seen = true;
                    decided = self.matcher.test(&value, view, scratch) == wanted;
                    decided
                });
                seen && (decided == wanted)
            }
            How::ListAll | How::ListAny => {
                let wanted = self.how == How::ListAny;
                let (mut decided, mut seen) = (false, false);
                // The elements are tested with buffers of their own: the list may be using the shared ones.
                let mut own = Scratch::new();
                let present = self.left.each_value(view, scratch, &mut |item| {
                    seen = true;
                    decided = self.matcher.test(&item, view, &mut own) == wanted;
                    decided
                });
                if matches!(self.matcher, Matcher::Exists) {
                    return present.is_some();
                }
                seen && (decided == wanted)
            }
        }
    }
}
