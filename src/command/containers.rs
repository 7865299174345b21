//! `lanner containers`: what the running Lanner knows of this host's containers.

mod row;
mod table;

use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) use row::Row;

use crate::control::{AgentOptions, Request};
use crate::log;

/// Lists the containers that the running Lanner knows
///
/// The Lanner that runs on this host is asked over its socket: it tells each container's id, name, image and pod, how long it has
/// run, and how it was learnt. "start" is before the container's first instruction, "synchronize" is a container that ran
/// already when Lanner and the runtime met, "api" one that its runtime was asked about (ctr, docker, podman), and "cgroup" one
/// of which no runtime told more than its id. "(sandbox)" is the process that holds a pod together; "(ended)" is a container that
/// was removed a moment ago, and "(not running)" one that was created only, or had ended before.
///
/// Exit code: 0, also when no container is listed; 1 when no Lanner can be asked; 2 when the flags are wrong.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct Containers {
    #[command(flatten)]
    agent: AgentOptions,

    /// Only the containers whose id begins with one of these
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// Only the containers of pods with this name
    #[arg(long, value_name = "NAME")]
    pod: Option<String>,

    /// Only the containers of this Kubernetes namespace
    #[arg(short = 'n', long, value_name = "NAME")]
    namespace: Option<String>,

    /// Prints type, process, cgroup and digest too, and cuts nothing
    #[arg(long)]
    wide: bool,

    /// Prints JSON, with all that is known
    #[arg(long)]
    json: bool,
}

/// What the agent answers.
#[derive(Debug, Deserialize)]
struct Answer {
    /// How it stands with the container runtime.
    runtime: String,
    /// Whether the runtime tells it of containers now.
    connected: bool,
    /// What is known.
    containers: Vec<Row>,
}

impl Containers {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let agent = self.agent.ask(Request::Containers)?;
        let mut answer = Answer::deserialize(&agent.reply)
            .with_context(|| format!("cannot read what {} answered", agent.name()))?;
        answer.containers.retain(|row| self.wants(row));
        answer
            .containers
            .sort_by(|one, other| one.place().cmp(&other.place()));
        if !answer.connected {
            log::err(&format!(
                "lanner: names, images and pods may be missing (NRI: {})\n",
                answer.runtime
            ));
        }
        log::out(&match self.json {
            true => as_json(&agent.reply, &answer)?,
            false => table::render(&answer.containers, table::width(self.wide), SystemTime::now()),
        });
        Ok(ExitCode::SUCCESS)
    }

    fn wants(&self, row: &Row) -> bool {
        let pod = row.pod.as_ref();
        let is = |wanted: &Option<String>, have: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| have == Some(wanted))
        };
        (self.ids.is_empty() || self.ids.iter().any(|id| row.full_id.starts_with(id.as_str())))
            && is(&self.pod, pod.map(|pod| pod.name.as_str()))
            && is(&self.namespace, pod.map(|pod| pod.namespace.as_str()))
    }
}

fn as_json(reply: &Value, answer: &Answer) -> anyhow::Result<String> {
    let object = json!({
        "agent": {
            "version": reply["version"],
            "pid": reply["pid"],
            "runtime": answer.runtime,
            "connected": answer.connected,
        },
        "containers": answer.containers,
    });
    Ok(format!("{object:#}\n"))
}
