//! Rules.

#![forbid(unsafe_code)]

pub mod condition;
pub mod field;
pub mod output;
pub mod value;
