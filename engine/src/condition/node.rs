//! The compiled tree.

use lanner_schema::view::EventView;

use super::ast::Expr;
use super::check::Checker;
use super::error::CheckErrorKind;
use super::matcher::Matcher;
use super::program::Scratch;
use super::transform::Source;

/// A node.
#[derive(Debug)]
pub(super) enum Node {
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Not(Box<Node>),
    Check(Box<CheckNode>),
}

/// A leaf.
#[derive(Debug)]
pub(super) struct CheckNode {
    pub(super) left: Source,
    pub(super) how: How,
    pub(super) matcher: Matcher,
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

/// Compiles a tree; `None` after an error that was reported to the checker.
pub(super) fn compile_node(expr: &Expr, checker: &mut Checker) -> Option<Node> {
    // Children are all compiled before the result is looked at, so that every error is found.
    let mut all = |children: &[Expr]| -> Option<Box<[Node]>> {
        let nodes: Vec<Option<Node>> = children
            .iter()
            .map(|child| compile_node(child, checker))
            .collect();
        nodes.into_iter().collect()
    };
    match expr {
        Expr::And(children, _) => all(children).map(Node::And),
        Expr::Or(children, _) => all(children).map(Node::Or),
        Expr::Not(child, _) => compile_node(child, checker).map(|node| Node::Not(Box::new(node))),
        Expr::Macro { name, span } => {
            checker.error(CheckErrorKind::UnresolvedMacro(name.clone()), *span);
            None
        }
        Expr::Check(check) => checker.check(check).map(|node| Node::Check(Box::new(node))),
    }
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
    fn matches(&self, view: &EventView<'_>, scratch: &mut Scratch) -> bool {
        match self.how {
            How::One => {
                let mut buf = scratch.take();
                let passes = match self.left.get(view, scratch, &mut buf) {
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
                    decided = self.matcher.test(value, view, scratch) == wanted;
                    decided
                });
                seen && (decided == wanted)
            }
            How::ListAll | How::ListAny => {
                let wanted = self.how == How::ListAny;
                let (mut decided, mut seen) = (false, false);
                // The elements are tested with buffers of their own: the list may be using the shared ones.
                let mut own = Scratch::new();
                let present = self.left.each(view, scratch, &mut |item| {
                    seen = true;
                    decided = self.matcher.test(super::matcher_value(item), view, &mut own) == wanted;
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
