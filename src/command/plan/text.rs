//! The plan for people.

use std::fmt::Write as _;

use lanner_capture::{Host, Tier};

use super::{Captured, Planned, names};
use crate::load::count;
use crate::wrap::wrapped;

/// Characters of a line beside its label.
const WIDTH: usize = 84;

/// What is known of the host, and the plan where there is one.
pub(super) fn render(host: &Host, planned: Option<&Planned>) -> String {
    let mut out = String::new();
    if let Some(planned) = planned {
        row(&mut out, "Capture", &planned.plan.to_string());
        out.push('\n');
    }
    facts(&mut out, host);
    sources(&mut out, host);
    if let Some(planned) = planned {
        tiers(&mut out, planned);
        programs(&mut out, planned);
        events(&mut out, planned);
    }
    out
}

fn row(out: &mut String, label: &str, text: &str) {
    for (index, line) in text.lines().flat_map(|line| wrapped(line, WIDTH)).enumerate() {
        let _ = writeln!(out, "{:<14}{line}", if index == 0 { label } else { "" });
    }
}

fn facts(out: &mut String, host: &Host) {
    let types = match host.btf {
        true => "with type information",
        false => "without type information",
    };
    row(out, "Kernel", &format!("{}, {types}", host.kernel));
    if !host.missing_capabilities.is_empty() {
        row(out, "Missing", &host.missing_capabilities.join(", "));
    }
    for (index, (kind, trial)) in host.trials.each().into_iter().enumerate() {
        let label = if index == 0 { "Programs" } else { "" };
        row(out, label, &format!("{kind:<16} {trial}"));
    }
}

fn sources(out: &mut String, host: &Host) {
    for (index, (source, trial)) in host.sources.iter().enumerate() {
        let label = if index == 0 { "Sources" } else { "" };
        row(out, label, &format!("{:<16} {trial}", source.name()));
    }
}

fn tiers(out: &mut String, planned: &Planned) {
    for (index, (tier, why_not)) in planned.plan.tiers.iter().enumerate() {
        let label = if index == 0 { "Tiers" } else { "" };
        let said = match why_not {
            Some(why) => why,
            None if *tier == planned.plan.tier => "chosen",
            None => "possible",
        };
        row(out, label, &format!("{tier:<16} {said}"));
    }
}

fn programs(out: &mut String, planned: &Planned) {
    if planned.plan.tier == Tier::None {
        let _ = writeln!(
            out,
            "\n{}:",
            count(planned.plan.sources_in_force().count(), "source")
        );
        for source in planned.plan.sources_in_force() {
            let _ = writeln!(out, "  {}", source.name());
            listed(out, &names(planned.seen_by(source)));
        }
        return;
    }
    let _ = writeln!(out, "\n{}:", count(planned.programs.len(), "program"));
    for program in &planned.programs {
        let _ = writeln!(out, "  {}", program.hook);
        listed(out, &names(program.events));
    }
}

/// Names below whose they are; nothing where there are none.
fn listed(out: &mut String, names: &[&str]) {
    for line in wrapped(&names.join(" "), WIDTH)
        .iter()
        .filter(|line| !line.is_empty())
    {
        let _ = writeln!(out, "      {line}");
    }
}

fn events(out: &mut String, planned: &Planned) {
    let (plain, asked): (Vec<Captured>, Vec<Captured>) = planned
        .events()
        .into_iter()
        .partition(|captured| captured.params.is_empty() && captured.thread.is_empty());
    if asked.is_empty() && plain.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nOf events, beside what is always read of them:");
    for captured in asked {
        let mut read = captured.params;
        read.extend(captured.thread);
        let note = if captured.for_rules {
            ""
        } else {
            " (not for rules)"
        };
        let line = format!("{}{note}: {}", captured.event.name(), read.join(" "));
        for line in wrapped(&line, WIDTH) {
            let _ = writeln!(out, "  {line}");
        }
    }
    let nothing: Vec<&str> = plain.iter().map(|captured| captured.event.name()).collect();
    if nothing.is_empty() {
        return;
    }
    for line in wrapped(&format!("nothing: {}", nothing.join(" ")), WIDTH) {
        let _ = writeln!(out, "  {line}");
    }
}
