//! The workbench: conditions and outputs by themselves, without events or rules files.
//!
//! What is asked comes in by flags or by lines of JSON; what is answered goes out as JSON or in words.

mod answer;
mod batch;
mod bench;
mod explain;
mod flags;
mod object;
mod place;
mod problem;
mod request;
mod tree;

use place::Lines;
use problem::Texts;
use request::Request;

pub(super) use flags::{Asked, Flags, Macros, Types, Values, batch, run};
pub(super) use request::Op;

/// How an answer went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// There is an answer.
    Fine,
    /// The answer is that the condition is false.
    False,
    /// The condition, the output or the values are wrong.
    Wrong,
}

/// An answer in words.
#[derive(Debug)]
struct Spoken {
    /// For standard output.
    out: String,
    /// For standard error.
    err: String,
    outcome: Outcome,
}

/// The texts of a request, to point into.
fn texts(request: &Request) -> Texts<'_> {
    let macros = request.macros.iter().map(|(name, text)| {
        let text = text.as_str().unwrap_or_default();
        (name.as_str(), Lines::new(text))
    });
    Texts {
        subject: request.op.subject(),
        own: Lines::new(&request.text),
        macros: macros.collect(),
    }
}
