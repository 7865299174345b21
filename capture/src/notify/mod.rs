//! Seccomp notify: calls that a container's seccomp policy shows before they are done.
//!
//! The runtime hands the listener of each such container to the keeper ([`keep`]), a small process of its own that outlives
//! agents. It lends them to the agent that is connected, and answers by itself while there is none, or one that does not
//! answer: nobody's call waits for an agent that is gone.
//!
//! A call is received into memory that both share ([`slot`]). When the agent dies between receiving and answering, the keeper
//! finds there what is to be answered.

mod arguments;
mod borrower;
mod keeper;
mod listener;
mod message;
mod slot;
mod source;

pub(crate) use source::{probe, start};

pub use keeper::{KeeperError, KeeperOptions, keep};

#[cfg(test)]
mod tests;
