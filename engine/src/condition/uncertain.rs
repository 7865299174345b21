//! Conditions on events of which not everything is known ([`lanner_schema::view::Outcome`]).
//!
//! A check on what is not known is neither true nor false, and so is its negation; `and` and `or` pass that on unless the
//! other side decides (Kleene). The result of a call that was seen when it began is one thing apart: a condition that would be
//! true with one result or another is true as far as anybody can know.
//!
//! Such events are the slower sources', so each condition is evaluated by itself.

use std::sync::Arc;

use lanner_schema::event::Event;
use lanner_schema::view::{EventView, Outcome};

use super::ast::Operator;
use super::by_event;
use super::by_result::{self, Results};
use super::matcher::{BytesTest, Matcher};
use super::node::{CheckNode, How, Node};
use super::program::{Program, Scratch};
use super::transform::Source;
use crate::field::{FieldRef, Knowledge};

/// What a condition comes to. Greater is nearer to true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// It is not true.
    No,
    /// What decides is not known.
    Unknown,
    /// Nothing is missing but the result of the call, which was seen when it began, and with one result it is true.
    IfItWorks,
    /// It is true.
    Yes,
}

impl Answer {
    /// What is known when it is this or the other, and nobody knows which.
    fn if_either(self, other: Answer) -> Answer {
        match (self.min(other), self.max(other)) {
            (Answer::IfItWorks, Answer::Yes) => Answer::IfItWorks,
            (one, same) if one == same => one,
            _ => Answer::Unknown,
        }
    }

    fn negated(self) -> Answer {
        match self {
            Answer::No => Answer::Yes,
            Answer::Yes => Answer::No,
            other => other,
        }
    }
}

impl From<bool> for Answer {
    fn from(truth: bool) -> Answer {
        if truth { Answer::Yes } else { Answer::No }
    }
}

/// A condition on one type of event.
#[derive(Debug)]
pub(crate) struct Uncertain {
    root: Tree,
}

#[derive(Debug)]
enum Tree {
    Is(Answer),
    Check(Box<Leaf>),
    Not(Box<Tree>),
    All(Box<[Tree]>),
    Any(Box<[Tree]>),
}

#[derive(Debug)]
struct Leaf {
    check: Arc<CheckNode>,
    /// Of the fields it reads, those that may not be known.
    fields: Box<[(FieldRef, Knowledge)]>,
    rests_on_result: bool,
    /// What it is on every call that succeeds, and on every one that fails, where that is decided.
    by_result: [Option<bool>; 2],
    /// True when more of what it reads cannot make it false: a part that passes will do.
    grows: bool,
}

impl Uncertain {
    /// `None` when the condition is true on no event of this type.
    pub(crate) fn new(program: &Program, event: Event) -> Option<Uncertain> {
        match tree(&program.root, event) {
            Tree::Is(Answer::No) => None,
            root => Some(Uncertain { root }),
        }
    }

    /// What it comes to on an event of that type, whichever its process was of those that it may have been. Where its process
    /// is known from a moment later only, a condition that is true of that one is true, for who reads the alert is told so; that
    /// it is not says nothing.
    pub(crate) fn answer(&self, view: &EventView<'_>, scratch: &mut Scratch) -> Answer {
        let mut answer = self.of(view, scratch);
        if answer == Answer::No
            && let Some(unknown) = view.by_nobody_known()
            && self.of(&unknown, scratch) != Answer::No
        {
            answer = Answer::Unknown;
        }
        for other in view.by_what_it_may_have_been() {
            if answer == Answer::Unknown {
                break;
            }
            answer = answer.if_either(self.of(&other, scratch));
        }
        answer
    }

    fn of(&self, view: &EventView<'_>, scratch: &mut Scratch) -> Answer {
        let is_told = view.event.row().result().is_none() || view.result().is_some();
        let with = |result: i64| EventView {
            implied_result: Some(result),
            ..*view
        };
        match view.outcome {
            _ if is_told => self.root.answer(view, None, scratch),
            Outcome::Told | Outcome::Succeeded => {
                self.root.answer(&with(0), Some(Results::Successes), scratch)
            }
            Outcome::Attempted => {
                let success = self.root.answer(&with(0), Some(Results::Successes), scratch);
                if success == Answer::IfItWorks {
                    return success;
                }
                // EPERM: any will do, what depends on which is not asked.
                let failure = self.root.answer(&with(-1), Some(Results::Failures), scratch);
                match success.max(failure) {
                    Answer::Yes if success != failure => Answer::IfItWorks,
                    answer => answer,
                }
            }
        }
    }
}

fn tree(node: &Node, event: Event) -> Tree {
    match node {
        Node::Check(check) => match by_event::truth(check, event) {
            Some(truth) => Tree::Is(truth.into()),
            None => Tree::Check(Box::new(Leaf::new(check, event))),
        },
        Node::Not(child) => match tree(child, event) {
            Tree::Is(answer) => Tree::Is(answer.negated()),
            child => Tree::Not(Box::new(child)),
        },
        Node::And(children) => many(children, event, Answer::No, Tree::All),
        Node::Or(children) => many(children, event, Answer::Yes, Tree::Any),
    }
}

/// Of several, where `decides` of one is that of all.
fn many(children: &[Node], event: Event, decides: Answer, of: fn(Box<[Tree]>) -> Tree) -> Tree {
    let mut kept = Vec::with_capacity(children.len());
    for child in children {
        match tree(child, event) {
            Tree::Is(answer) if answer == decides => return Tree::Is(decides),
            Tree::Is(_) => {}
            child => kept.push(child),
        }
    }
    match kept.is_empty() {
        true => Tree::Is(decides.negated()),
        false => of(kept.into()),
    }
}

impl Tree {
    fn answer(&self, view: &EventView<'_>, assumed: Option<Results>, scratch: &mut Scratch) -> Answer {
        match self {
            Tree::Is(answer) => *answer,
            Tree::Check(leaf) => leaf.answer(view, assumed, scratch),
            Tree::Not(child) => child.answer(view, assumed, scratch).negated(),
            Tree::All(children) => {
                let mut least = Answer::Yes;
                for child in children {
                    least = least.min(child.answer(view, assumed, scratch));
                    if least == Answer::No {
                        break;
                    }
                }
                least
            }
            Tree::Any(children) => {
                let mut most = Answer::No;
                for child in children {
                    most = most.max(child.answer(view, assumed, scratch));
                    if most == Answer::Yes {
                        break;
                    }
                }
                most
            }
        }
    }
}

impl Leaf {
    fn new(check: &Arc<CheckNode>, event: Event) -> Leaf {
        let fields: Box<[_]> = check
            .fields()
            .into_iter()
            .filter_map(|field| Some((field.clone(), Knowledge::of(field, event)?)))
            .collect();
        let truth = |results| by_result::truth(check, event, results);
        Leaf {
            rests_on_result: fields.iter().any(|(_, knowledge)| knowledge.rests_on_result()),
            by_result: [Results::Successes, Results::Failures].map(truth),
            grows: grows(check, &fields),
            fields,
            check: Arc::clone(check),
        }
    }

    /// `assumed` is the kind of result that is assumed of a call whose result is not known; `view` has one of them.
    fn answer(&self, view: &EventView<'_>, assumed: Option<Results>, scratch: &mut Scratch) -> Answer {
        let mut buf = scratch.take();
        let known = self.fields.iter().all(|(field, knowledge)| {
            buf.clear();
            knowledge.is_known(field, view, &mut buf)
        });
        scratch.put(buf);
        if self.rests_on_result
            && let Some(assumed) = assumed
        {
            let [success, failure] = self.by_result;
            let decided = if assumed == Results::Failures {
                failure
            } else {
                success
            };
            return match decided {
                Some(truth) if known => truth.into(),
                _ if known && view.outcome == Outcome::Attempted => Answer::IfItWorks,
                _ => Answer::Unknown,
            };
        }
        match self.check.matches(view, scratch) {
            passes if known => passes.into(),
            true if self.grows => Answer::Yes,
            _ => Answer::Unknown,
        }
    }
}

/// True when the check stays true whatever becomes known beside what passes it.
fn grows(check: &CheckNode, fields: &[(FieldRef, Knowledge)]) -> bool {
    let Source::Field(field) = &check.left else {
        return false;
    };
    match (check.how, &check.matcher) {
        // One of several passes, and there may be more.
        (
            How::Any,
            Matcher::Bytes(_) | Matcher::Numbers(_) | Matcher::Addresses(_) | Matcher::Networks(_),
        ) => true,
        (How::Any, Matcher::Number(op, _)) => !matches!(op, Operator::Ne),
        (How::One, Matcher::Bytes(BytesTest::Contains(_) | BytesTest::ContainsAny(_))) => fields
            .iter()
            .any(|(of, knowledge)| of.row.name == field.row.name && knowledge.is_of_parts()),
        _ => false,
    }
}
