//! The control socket: what a running Lanner answers to commands on the same host.
//!
//! A line asks ([`Request`]), a line of JSON answers, and a connection may ask several times. What can't be answered gets
//! an object with `error`. Only the owner of the process may connect. The socket is `NAME.sock` in `runtime_directory`,
//! NAME being the name Lanner has as a plugin: two of one name are the same agent in two versions, two of different names
//! have nothing to do with each other.

mod client;
mod server;

use std::fmt;
use std::path::PathBuf;

pub(crate) use client::{AgentOptions, Connection};
pub(crate) use server::{Agent, Server};

use crate::config::Config;

/// The longest line of a request.
const REQUEST_MAX: usize = 4096;

/// What an agent is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// Who it is and how it does.
    Status,
    /// Which containers it knows.
    Containers,
    /// To stand by for a newer agent, the one that asks, and which containers it knows.
    Handover,
    /// To leave: events from this time on, in nanoseconds since boot, are the newer agent's. After [`Request::Handover`].
    Until(u64),
}

impl Request {
    fn parse(line: &str) -> Option<Request> {
        match line.split_once(' ') {
            None if line == "status" => Some(Request::Status),
            None if line == "containers" => Some(Request::Containers),
            None if line == "handover" => Some(Request::Handover),
            Some(("until", time)) => time.parse().ok().map(Request::Until),
            _ => None,
        }
    }
}

/// Its line, without the end.
impl fmt::Display for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Status => out.write_str("status"),
            Request::Containers => out.write_str("containers"),
            Request::Handover => out.write_str("handover"),
            Request::Until(time) => write!(out, "until {time}"),
        }
    }
}

/// How an agent was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// By an operator or a service manager.
    Daemon,
    /// By the container runtime, as a plugin.
    Plugin,
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Mode::Daemon => "daemon",
            Mode::Plugin => "nri-plugin",
        }
    }
}

/// Where the agent of a configuration listens; `None` when it shall not.
pub(crate) fn socket(config: &Config) -> Option<PathBuf> {
    let directory = config.runtime_directory.as_ref()?;
    Some(directory.join(format!("{}.sock", config.nri.plugin_name)))
}
