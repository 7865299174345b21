//! Conditions: text → [`Expr`] → [`Program`].

mod ast;
mod atom;
mod block;
mod by_class;
mod by_event;
mod by_name;
mod by_result;
mod by_type;
mod call;
mod check;
mod choice;
mod constant;
mod display;
mod error;
mod event_program;
mod events;
mod excused;
mod grams;
mod habits;
mod index;
mod leaf;
mod lex;
mod matcher;
mod memory;
mod named_paths;
mod node;
mod odds;
mod parse;
mod pattern;
mod posix;
mod program;
mod quick_hash;
mod remains;
mod residual;
mod text_set;
mod transform;
mod uncertain;

pub use ast::{
    Check, Expr, FieldName, Literal, MacroError, Modifier, Operand, Operator, Right, Span, Test, Transform,
    TransformArg, Transformer,
};
pub(crate) use by_result::Results;
pub use error::{CheckError, CheckErrorKind, Warning, WarningKind};
pub use events::{EventTypes, event_types};
pub use parse::{SyntaxError, parse, parse_operand, parse_with};
pub(crate) use pattern::Glob;
pub use program::{Program, Scratch, compile, compile_in};
pub(crate) use remains::{IfMissing, Remains, Truth};
pub(crate) use uncertain::{Answer, Uncertain};
pub(crate) use {by_type::programs, event_program::EventProgram, memory::Memory};
pub(crate) use {check::Checker, parse::parse_operand_prefix, program::add_params, transform::Source};

/// How deeply parentheses, transformers and resolved macros may nest: Falco's limit for rules.
pub const MAX_DEPTH: usize = 1000;

#[cfg(test)]
mod by_class_tests;
#[cfg(test)]
mod by_name_tests;
#[cfg(test)]
mod index_tests;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod parse_tests;
#[cfg(test)]
mod program_tests;
#[cfg(test)]
mod random_events;
#[cfg(test)]
mod random_tests;
#[cfg(test)]
mod remains_tests;
#[cfg(test)]
mod same_result_tests;
#[cfg(test)]
mod uncertain_tests;
