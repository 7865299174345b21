//! `lanner keeper`: the process that keeps the listeners of notified containers.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use lanner_capture::{KeeperOptions, keep};
use lanner_schema::seccomp;

use crate::log;

/// Keeps the seccomp listeners of containers, for agents that come and go
///
/// The container runtime hands it the listener of every container whose profile is of lanner seccomp-profile. It lends them to
/// the agent that is connected, and lets calls pass while there is none, or one that does not answer. It must run before such
/// a container starts, and as long as one runs: without it starts are refused, and the calls fail with ENOSYS.
///
/// Exit code: 0 when it was told to stop; 1 when there can be no keeper here; 2 when the flags are wrong.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct Keeper {
    /// Socket for runtimes
    #[arg(long, value_name = "SOCKET", default_value = seccomp::LISTENER)]
    listener: PathBuf,

    /// Socket for agents
    #[arg(long, value_name = "SOCKET", default_value = seccomp::KEEPER)]
    agents: PathBuf,

    /// Milliseconds that calls wait for an agent
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 250,
        value_parser = clap::value_parser!(u64).range(10..=60_000)
    )]
    patience: u64,

    /// Says more
    #[arg(short = 'v')]
    verbose: bool,
}

impl Keeper {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        log::start_plain(self.verbose);
        let options = KeeperOptions {
            listener: self.listener.clone(),
            agents: self.agents.clone(),
            patience: Duration::from_millis(self.patience),
        };
        keep(&options).context("cannot keep seccomp listeners")?;
        Ok(ExitCode::SUCCESS)
    }
}
