//! Subcommands, for what Falco lacks: a variant and a file each.

mod completions;
pub(crate) mod containers;
mod coverage;
mod filter;
mod format;
mod keeper;
mod man;
mod plan;
pub(crate) mod record;
pub(crate) mod replay;
mod rules_options;
pub(crate) mod seccomp_profile;
mod status;
mod workbench;

use std::process::ExitCode;

use clap::Subcommand;

/// What to do instead of watching.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Completions(completions::Completions),
    Containers(containers::Containers),
    Coverage(coverage::Coverage),
    Filter(filter::Filter),
    Format(format::Format),
    Keeper(keeper::Keeper),
    #[command(hide = true)]
    Man(man::ManCommand),
    Plan(plan::PlanCommand),
    Record(record::Record),
    Replay(replay::ReplayCommand),
    SeccompProfile(seccomp_profile::SeccompProfile),
    Status(status::StatusCommand),
}

impl Command {
    /// Does it, and says how it went.
    ///
    /// # Errors
    /// Everything that keeps Lanner from doing it, in words for its operator.
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        match self {
            Command::Completions(completions) => completions.run(),
            Command::Containers(containers) => containers.run(),
            Command::Coverage(coverage) => coverage.run(),
            Command::Filter(filter) => filter.run(),
            Command::Format(format) => format.run(),
            Command::Keeper(keeper) => keeper.run(),
            Command::Man(man) => man.run(),
            Command::Plan(plan) => plan.run(),
            Command::Record(record) => record.run(),
            Command::Replay(replay) => replay.run(),
            Command::SeccompProfile(profile) => profile.run(),
            Command::Status(status) => status.run(),
        }
    }
}
