//! The `lanner` binary: flags, configuration, wiring.

#![forbid(unsafe_code)]

mod cli;
mod command;
mod config;
mod control;
mod drop_monitor;
mod exit_report;
mod falco_options;
mod handover;
mod host_names;
mod list;
mod load;
mod log;
mod pidfile;
mod plugin;
mod rule_names;
mod rules;
mod run;
mod schema;
mod start_screen;
mod support;
mod tally;
mod version;
mod watch;
mod wrap;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match run::run(&cli) {
        Ok(_) if log::failed() => ExitCode::FAILURE,
        Ok(code) => code,
        Err(error) => {
            // Not through the log: log_stderr and log_level are about a Lanner that runs.
            log::err(&format!("lanner: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}
