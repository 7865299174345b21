//! `lanner plan`: what Lanner would attach to this host, and why, without attaching it.

mod json;
mod text;

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use lanner_capture::{CaptureError, Host, Plan, Program};
use lanner_schema::event::{Event, EventSet};
use lanner_schema::task::TaskValue;
use lanner_schema::tier::Source;

use super::rules_options::RulesOptions;
use crate::{load, log, run};

/// Says how this host would be watched, and starts nothing
///
/// What the kernel allows (found out by trying), the capture tier that is chosen and why not another, the programs that are
/// attached and the events they are for, and what is read of each event because a rule asks for it.
///
/// Exit code: 0; 1 when this host cannot be watched, or configuration or rules are refused; 2 when the flags are wrong.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct PlanCommand {
    #[command(flatten)]
    from: RulesOptions,

    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// What a plan has of one event.
#[derive(Debug)]
struct Captured {
    event: Event,
    /// A rule sees it; else only what is known of processes needs it.
    for_rules: bool,
    /// Parameters that are read because a rule asks for them.
    params: Vec<&'static str>,
    /// Values of the thread that are read for the same reason.
    thread: Vec<&'static str>,
}

/// A plan, and what it comes to.
#[derive(Debug)]
struct Planned {
    plan: Plan,
    programs: Vec<Program>,
}

impl PlanCommand {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let config = self.from.configure()?;
        let ruleset = load::load(&self.from.files(&config)?, &config)?;
        if let Some(message) = &config.unwatchable {
            bail!("{message}");
        }
        run::warn_of(&config, &ruleset);
        let host = Host::probe();
        let planned = lanner_capture::plan(&host, ruleset.needs(), &config.capture).and_then(Planned::of);
        log::out(&match self.json {
            true => json::render(&host, &planned)?,
            false => text::render(&host, planned.as_ref().ok()),
        });
        planned.context("cannot watch this host")?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Planned {
    fn of(plan: Plan) -> Result<Planned, CaptureError> {
        let programs = plan.programs()?;
        Ok(Planned { plan, programs })
    }

    /// The events that a source without BPF tells of.
    fn seen_by(&self, source: Source) -> EventSet {
        let captured = self.plan.captured.iter();
        captured.filter(|event| source.sees(*event)).collect()
    }

    /// The events that are captured: those for rules first.
    fn events(&self) -> Vec<Captured> {
        let captured = self.plan.captured.iter().map(|event| Captured {
            event,
            for_rules: self.plan.shown.contains(event),
            params: asked_for(event, self.plan.params[event as usize]),
            thread: thread_values(self.plan.task[event as usize]),
        });
        let mut captured: Vec<Captured> = captured.collect();
        captured.sort_by_key(|captured| !captured.for_rules);
        captured
    }
}

/// The parameters of an event that are read only where a rule asks for them, and are asked for.
fn asked_for(event: Event, bits: u32) -> Vec<&'static str> {
    let params = event.row().params.iter().enumerate();
    params
        .filter(|(index, param)| param.on_demand && bits & 1 << index != 0)
        .map(|(_, param)| param.name)
        .collect()
}

fn thread_values(bits: u32) -> Vec<&'static str> {
    let values = TaskValue::ALL
        .iter()
        .filter(|value| bits & 1 << **value as u32 != 0);
    values.map(|value| value.name()).collect()
}

/// The names of events, in the order of the table.
fn names(events: EventSet) -> Vec<&'static str> {
    events.iter().map(Event::name).collect()
}
