//! Which tier a host is watched in, and why not in a better one.

use std::fmt::Write as _;

use lanner_schema::tier::Source;

use super::Config;
use crate::call_function::CallFunctions;
use crate::error::CaptureError;
use crate::host::Host;
use crate::kernel_types::SCHEDULE_TAIL;
use crate::tier::Tier;

/// The tier that is taken.
pub(super) struct Choice {
    pub(super) tier: Tier,
    /// Every tier, best first, and why this host cannot be watched in it.
    pub(super) tiers: Vec<(Tier, Option<String>)>,
}

/// Chooses the best tier that the configuration allows. `functions` are those of the calls that are captured.
///
/// # Errors
/// When there is none.
pub(super) fn choose(
    host: &Host,
    config: &Config,
    functions: &CallFunctions,
) -> Result<Choice, CaptureError> {
    let mut tiers: Vec<(Tier, Option<String>)> = [Tier::Trampoline, Tier::SysExit, Tier::Raw, Tier::None]
        .map(|tier| (tier, why_not(tier, host, functions)))
        .into();
    // Attaching to a hundred functions takes many times what the rest of a start does (ADR 18).
    if config.tier == Tier::Auto {
        tiers[0]
            .1
            .get_or_insert_with(|| "it works here, but is taken only where engine.tier asks for it".into());
    }
    let possible = tiers.iter().find(|(_, why)| why.is_none()).map(|(tier, _)| *tier);
    let refusal = |asked: Tier| {
        let found = tiers.iter().find(|(tier, why)| *tier == asked && why.is_some());
        found.and_then(|(_, why)| why.clone())
    };
    let tier = match (config.tier, possible) {
        (Tier::Auto | Tier::PreferTrampoline, Some(best)) => best,
        (Tier::Auto | Tier::PreferTrampoline | Tier::Trampoline | Tier::SysExit | Tier::Raw, _)
            if !host.missing_capabilities.is_empty() =>
        {
            return Err(CaptureError::Privilege {
                missing: host.missing_capabilities.join(", "),
                others: without_sources(host),
            });
        }
        (Tier::Trampoline | Tier::SysExit, _) if !host.btf => {
            return Err(CaptureError::NoBtf {
                kernel: host.kernel.clone(),
            });
        }
        (Tier::Auto | Tier::PreferTrampoline, None) => {
            let asked = if host.btf { Tier::SysExit } else { Tier::Raw };
            return Err(CaptureError::TierRefused {
                tier: asked,
                why: refusal(asked).unwrap_or_default(),
            });
        }
        (asked, _) => match refusal(asked) {
            Some(why) => return Err(CaptureError::TierRefused { tier: asked, why }),
            None => asked,
        },
    };
    Ok(Choice { tier, tiers })
}

/// Why this host cannot be watched in a tier; `None` where it can.
fn why_not(tier: Tier, host: &Host, functions: &CallFunctions) -> Option<String> {
    let trials = &host.trials;
    match tier {
        Tier::Trampoline | Tier::SysExit | Tier::Raw if !host.missing_capabilities.is_empty() => {
            Some(format!("{} is missing", host.missing_capabilities.join(", ")))
        }
        Tier::Trampoline | Tier::SysExit if !host.btf => {
            Some(format!("kernel {} has no type information", host.kernel))
        }
        Tier::Trampoline | Tier::SysExit if !trials.tracepoint.works() => {
            Some(format!("tracepoints: {}", trials.tracepoint))
        }
        Tier::Trampoline if !trials.trampoline.works() => Some(trials.trampoline.to_string()),
        // One program for them on the return of every call would take from the others what this tier is for.
        Tier::Trampoline if !functions.without_type.is_empty() => Some(format!(
            "the kernel has no type information for the functions of {}",
            listed(&functions.without_type)
        )),
        Tier::Trampoline if functions.has_children && !host.types.functions.contains_key(SCHEDULE_TAIL) => {
            Some(format!("the kernel has no type information for {SCHEDULE_TAIL}"))
        }
        Tier::Trampoline | Tier::SysExit => None,
        Tier::Raw if !trials.raw_tracepoint.works() => {
            Some(format!("raw tracepoints: {}", trials.raw_tracepoint))
        }
        Tier::Raw => None,
        Tier::None if host.sources.iter().any(|(_, trial)| trial.why_not().is_none()) => None,
        Tier::None => Some(without_sources(host)),
        Tier::Auto | Tier::PreferTrampoline => None,
    }
}

/// Why there is no source without BPF.
fn without_sources(host: &Host) -> String {
    let sources = host.sources.iter();
    let refused = sources.filter_map(|(source, trial)| Some((source.name(), trial.why_not()?)));
    let refused: Vec<String> = refused.map(|(source, why)| format!("{source}: {why}")).collect();
    match refused.is_empty() {
        true => "engine.tier asks for BPF".into(),
        false => refused.join(", "),
    }
}

/// What is said where no source tells of any event that a rule sees.
pub(super) fn unseen(sources: &[(Source, Option<String>)]) -> String {
    let in_force = sources.iter().filter(|(_, why)| why.is_none());
    let names: Vec<&str> = in_force.map(|(source, _)| source.name()).collect();
    let mut said = format!("{} tells of nothing that a rule sees", names.join(" or "));
    for (source, why) in sources {
        if let Some(why) = why {
            let _ = write!(said, "; not {}: {why}", source.name());
        }
    }
    said
}

/// The first few of some names.
fn listed(names: &[&str]) -> String {
    const FEW: usize = 5;
    match names.len().checked_sub(FEW) {
        Some(more @ 1..) => format!("{} and {more} more", names[..FEW].join(", ")),
        _ => names.join(", "),
    }
}

pub(super) fn reason(chosen: Tier, asked: Tier, tiers: &[(Tier, Option<String>)]) -> String {
    if chosen == asked {
        return "engine.tier asks for it".into();
    }
    let better = tiers.iter().take_while(|(tier, _)| *tier != chosen);
    let refused = better.filter_map(|(tier, why)| Some(format!("not {tier}: {}", why.as_ref()?)));
    refused.collect::<Vec<_>>().join("; ")
}
