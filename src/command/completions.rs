//! `lanner completions`: what a shell needs to complete Lanner's command line.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::log;

/// Prints the completions of the command line for a shell
///
/// Packages install them. By hand, for bash:  lanner completions bash >/usr/share/bash-completion/completions/lanner
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "lanner", &mut text);
        log::out(&String::from_utf8_lossy(&text));
        Ok(ExitCode::SUCCESS)
    }
}
