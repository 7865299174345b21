//! The plan as JSON.

use lanner_capture::{CaptureError, Host};
use serde::Serialize;

use super::{Captured, Planned, names};

#[derive(Serialize)]
struct Document<'a> {
    host: HostJson<'a>,
    /// Null when there is none, and then "error" says why.
    plan: Option<PlanJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct HostJson<'a> {
    kernel: &'a str,
    cpus: usize,
    types: bool,
    missing_capabilities: &'a [String],
    programs: Vec<TrialJson>,
    /// What needs no BPF.
    sources: Vec<TrialJson>,
}

/// A kind of program or source, and how it went to attach one.
#[derive(Serialize)]
struct TrialJson {
    kind: &'static str,
    allowed: bool,
    said: String,
}

#[derive(Serialize)]
struct PlanJson<'a> {
    tier: String,
    reason: &'a str,
    /// The tier to go on in where the kernel refuses a program of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    instead: Option<String>,
    tiers: Vec<TierJson<'a>>,
    programs: Vec<ProgramJson<'a>>,
    /// In tier none, what takes the place of programs.
    sources: Vec<SourceJson>,
    events: Vec<EventJson>,
    ring_bytes: usize,
    snaplen: u32,
    drop_failed: bool,
    environment: bool,
    cgroups: bool,
}

#[derive(Serialize)]
struct TierJson<'a> {
    tier: String,
    possible: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<&'a str>,
}

#[derive(Serialize)]
struct ProgramJson<'a> {
    hook: &'a str,
    events: Vec<&'static str>,
}

#[derive(Serialize)]
struct SourceJson {
    source: &'static str,
    events: Vec<&'static str>,
}

#[derive(Serialize)]
struct EventJson {
    event: &'static str,
    for_rules: bool,
    params: Vec<&'static str>,
    thread: Vec<&'static str>,
}

pub(super) fn render(host: &Host, planned: &Result<Planned, CaptureError>) -> anyhow::Result<String> {
    let document = Document {
        host: HostJson {
            kernel: &host.kernel,
            cpus: host.cpus,
            types: host.btf,
            missing_capabilities: &host.missing_capabilities,
            programs: host
                .trials
                .each()
                .map(|(kind, trial)| TrialJson {
                    kind,
                    allowed: trial.works(),
                    said: trial.to_string(),
                })
                .into(),
            sources: host
                .sources
                .iter()
                .map(|(source, trial)| TrialJson {
                    kind: source.name(),
                    allowed: trial.why_not().is_none(),
                    said: trial.to_string(),
                })
                .collect(),
        },
        plan: planned.as_ref().ok().map(plan),
        error: planned.as_ref().err().map(ToString::to_string),
    };
    Ok(format!("{}\n", serde_json::to_string(&document)?))
}

fn plan(planned: &Planned) -> PlanJson<'_> {
    let plan = &planned.plan;
    PlanJson {
        tier: plan.tier.to_string(),
        reason: &plan.reason,
        instead: plan.instead.as_ref().map(|instead| instead.tier.to_string()),
        tiers: plan
            .tiers
            .iter()
            .map(|(tier, why_not)| TierJson {
                tier: tier.to_string(),
                possible: why_not.is_none(),
                why_not: why_not.as_deref(),
            })
            .collect(),
        programs: planned
            .programs
            .iter()
            .map(|program| ProgramJson {
                hook: &program.hook,
                events: names(program.events),
            })
            .collect(),
        sources: plan
            .sources_in_force()
            .map(|source| SourceJson {
                source: source.name(),
                events: names(planned.seen_by(source)),
            })
            .collect(),
        events: planned.events().into_iter().map(event).collect(),
        ring_bytes: plan.ring_bytes,
        snaplen: plan.snaplen,
        drop_failed: plan.drop_failed,
        environment: plan.environment,
        cgroups: plan.cgroups,
    }
}

fn event(captured: Captured) -> EventJson {
    EventJson {
        event: captured.event.name(),
        for_rules: captured.for_rules,
        params: captured.params,
        thread: captured.thread,
    }
}
