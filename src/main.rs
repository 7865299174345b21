//! The `lanner` binary: flags, configuration, wiring.

// One descriptor is taken over from who started us.
#![deny(unsafe_code)]

mod cli;
mod command;
mod config;
mod control;
mod drop_monitor;
mod exit_report;
mod falco_options;
mod handover;
mod host_names;
mod judge;
mod list;
mod load;
mod log;
mod metrics;
mod own_programs;
mod pidfile;
mod plugin;
mod preinstalled;
mod reload;
mod rule_names;
mod rules;
mod run;
mod runtime_side;
mod schema;
mod start_screen;
mod support;
mod tally;
mod version;
mod watch;
mod web;
mod wrap;

use std::process::ExitCode;

fn main() -> ExitCode {
    let result = preinstalled::main().unwrap_or_else(|| run::run(&cli::Cli::read()));
    match result {
        Ok(_) if log::failed() => ExitCode::FAILURE,
        Ok(code) => code,
        Err(error) => {
            // Not through the log: log_stderr and log_level are about a Lanner that runs.
            log::err(&format!("lanner: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}
