//! The rule language as it is specified, a table per part: expression, values, result or a part of the error.
//!
//! Expectations come from the description of Falco's language and from what Falco's own tests pin down, not from this
//! engine. A comment with a number names a statement of the latter, so that none of them is without a row.

#![allow(clippy::unwrap_used, clippy::panic)]

mod addresses;
mod alerts;
mod arguments;
mod canonical;
mod event_types;
mod grammar;
mod lexemes;
mod matching;
mod missing;
mod modifiers;
mod operators;
mod patterns;
mod properties;
mod rows;
mod strings;
#[path = "../support/mod.rs"]
mod support;
mod templates;
mod transformers;
mod values;
