//! `lanner status`: who the running Lanner is.

use std::process::ExitCode;

use clap::Args;

use crate::control::{AgentOptions, Request};
use crate::log;

/// Prints what the running Lanner says of itself, as JSON
///
/// Its process id, version, how it was started ("mode") and when (seconds since the epoch), how it stands with the container
/// runtime, and how many containers it knows.
///
/// Exit code: 0; 1 when no Lanner can be asked; 2 when the flags are wrong.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct StatusCommand {
    #[command(flatten)]
    agent: AgentOptions,
}

impl StatusCommand {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let answered = self.agent.ask(Request::Status)?;
        log::out(&format!("{:#}\n", answered.reply));
        Ok(ExitCode::SUCCESS)
    }
}
