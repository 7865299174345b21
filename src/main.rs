//! The `lanner` binary: flags, configuration, wiring.

#![forbid(unsafe_code)]
#![allow(dead_code, reason = "wired as soon as the engine's interface is there")]

mod cli;
mod config;
mod log;
mod pidfile;
mod start_screen;
mod tally;

fn main() {}
