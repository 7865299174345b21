//! The coverage for people.

use std::fmt::Write as _;

use lanner_engine::{Place, Reason, Subject, Verdict};
use lanner_schema::tier::Tier;

use super::{Here, Row};
use crate::load::count;
use crate::wrap::wrapped;

/// Characters of a line.
const WIDTH: usize = 100;

const LEGEND: &str = "\
Partial: it misses something, or takes a program's word for it. Blind: it can never match.
Events lost under load, or that a preemptible kernel withholds, are not foreseen but counted while Lanner watches.
";

pub(super) fn render(tiers: &[Tier], here: &Here, judged: Tier, rows: &[Row<'_>]) -> String {
    let mut out = String::new();
    head(&mut out, here, judged);
    table(&mut out, tiers, here, rows);
    let of = |verdict| {
        rows.iter()
            .filter(|row| row.verdict(judged) == Some(verdict))
            .count()
    };
    let disabled = match rows.iter().filter(|row| !row.rule.is_enabled()).count() {
        0 => String::new(),
        disabled => format!(" ({disabled} disabled)"),
    };
    let place = match here.tier == Some(judged) {
        true => "here".to_owned(),
        false => format!("in tier {}", judged.name()),
    };
    let _ = writeln!(
        out,
        "\n{}{disabled}: {} exact, {} partial, {} blind {place}.",
        count(rows.len(), "rule"),
        of(Verdict::Exact),
        of(Verdict::Partial),
        of(Verdict::Blind)
    );
    out.push_str(LEGEND);
    for verdict in [Verdict::Blind, Verdict::Partial] {
        for row in rows.iter().filter(|row| row.verdict(judged) == Some(verdict)) {
            rule(&mut out, row, judged);
        }
    }
    out
}

/// Which tier is judged, and why.
fn head(out: &mut String, here: &Here, judged: Tier) {
    match here.tier {
        Some(tier) => {
            let line = format!("This host would use tier {}: {}", tier.name(), here.reason);
            push(out, "", &line);
        }
        None => {
            let line = format!("Lanner cannot watch this host now: {}", here.reason);
            push(out, "", &line);
        }
    }
    if !judged.is_built() {
        push(
            out,
            "",
            &format!(
                "This build cannot run in tier {}; what follows is what it is designed to give.",
                judged.name()
            ),
        );
    } else if here.tier != Some(judged) {
        push(out, "", &format!("What follows is for tier {}.", judged.name()));
    }
}

/// The verdicts counted, a line per tier.
fn table(out: &mut String, tiers: &[Tier], here: &Here, rows: &[Row<'_>]) {
    let _ = writeln!(
        out,
        "\n{:<12}{:>6}{:>9}{:>7}",
        "tier", "exact", "partial", "blind"
    );
    for tier in tiers {
        let of = |verdict| {
            rows.iter()
                .filter(|row| row.verdict(*tier) == Some(verdict))
                .count()
        };
        let note = match (here.tier == Some(*tier), tier.is_built()) {
            (true, _) => "  (here)",
            (false, true) => "",
            (false, false) => "  (planned)",
        };
        let _ = writeln!(
            out,
            "{:<12}{:>6}{:>9}{:>7}  {}{note}",
            tier.name(),
            of(Verdict::Exact),
            of(Verdict::Partial),
            of(Verdict::Blind),
            tier.description()
        );
    }
}

/// A rule, and why it is not exact.
fn rule(out: &mut String, row: &Row<'_>, tier: Tier) {
    let Some(covered) = row.of(tier) else { return };
    let disabled = if row.rule.is_enabled() { "" } else { " (disabled)" };
    let _ = writeln!(out, "\n{}{disabled}: {}", row.rule.name(), covered.verdict);
    for line in lines(&covered.reasons) {
        push(out, "  ", &line);
    }
}

/// One line for all that has the same reason, what is missing before what is weaker, the condition before the output.
fn lines(reasons: &[Reason]) -> Vec<String> {
    // What the condition lacks is not said again for the output.
    let is_told = |reason: &Reason| {
        reason.place == Place::Output
            && reasons
                .iter()
                .any(|other| other.place == Place::Condition && other.subject == reason.subject)
    };
    let mut groups: Vec<(&Reason, Vec<&str>)> = Vec::new();
    for reason in reasons.iter().filter(|reason| !is_told(reason)) {
        let name = match &reason.subject {
            Subject::Event(name) | Subject::Field(name) => name.as_str(),
            Subject::Condition => "the condition",
        };
        let same =
            |first: &Reason| first.place == reason.place && first.why == reason.why && first.on == reason.on;
        match groups.iter_mut().find(|(first, _)| same(first)) {
            Some((_, names)) => names.push(name),
            None => groups.push((reason, vec![name])),
        }
    }
    groups.sort_by_key(|(reason, _)| (reason.place, !reason.is_missing));
    groups
        .into_iter()
        .map(|(reason, names)| {
            let on = match reason.on.is_empty() {
                true => String::new(),
                false => format!(" on {}", reason.on.join(", ")),
            };
            let only = match reason.place {
                Place::Condition => "",
                Place::Output => "only in the output: ",
            };
            format!("{only}{}{on}: {}", names.join(", "), reason.why)
        })
        .collect()
}

/// Appends a line, cut between words where it is long.
fn push(out: &mut String, indent: &str, line: &str) {
    for (index, part) in wrapped(line, WIDTH - indent.len() - 2).iter().enumerate() {
        let deeper = if index == 0 { "" } else { "  " };
        let _ = writeln!(out, "{indent}{deeper}{part}");
    }
}
