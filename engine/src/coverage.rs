//! What of each rule a capture tier can see: all of it, a part, or nothing, and why.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use lanner_schema::event::{Event, EventSet};
use lanner_schema::io_uring;
use lanner_schema::names;
use lanner_schema::tier::{Quality, Source, SourceSet, Tier, Why};

use crate::condition::{IfMissing, Program, Remains, Results, Truth};
use crate::field::{Arg, FieldRef, quality, quality_from};
use crate::ruleset::Rule;

/// How much of a rule a tier sees. Worse is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Everything the rule is about, and what it prints, is what the kernel says.
    Exact,
    /// It can match, but misses or says something it is meant to, or takes somebody's word for it.
    Partial,
    /// It can never match.
    Blind,
}

impl Verdict {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Verdict::Exact => "exact",
            Verdict::Partial => "partial",
            Verdict::Blind => "blind",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What a reason is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A type of event, by its name.
    Event(String),
    /// A field, with its argument.
    Field(String),
    /// The condition as a whole.
    Condition,
}

/// Where a rule uses what a reason is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// In its condition: it matches less, or more, than it is meant to.
    Condition,
    /// In its output only: it matches as it is meant to, and says less.
    Output,
}

impl Place {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Place::Condition => "condition",
            Place::Output => "output",
        }
    }
}

/// Why a rule is not exact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What is not exact.
    pub subject: Subject,
    /// Where it is used.
    pub place: Place,
    /// True when it is not there at all, false when there is a reservation.
    pub is_missing: bool,
    /// What is the matter with it.
    pub why: Cow<'static, str>,
    /// For a field: the events on which it is so, when there are others on which it is not.
    pub on: Vec<&'static str>,
}

/// What a tier sees of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is not exact: the condition's reasons first.
    pub reasons: Vec<Reason>,
}

impl Coverage {
    /// What is not there at all, as one line; `None` when nothing is missing. The condition's part comes first.
    pub fn missing(&self) -> Option<String> {
        let names = |place: Place, of: fn(&Subject) -> Option<&str>| {
            let reasons = self.reasons.iter().filter(|r| r.is_missing && r.place == place);
            let mut names: Vec<&str> = reasons.filter_map(|r| of(&r.subject)).collect();
            names.dedup();
            names.join(", ")
        };
        let event: fn(&Subject) -> Option<&str> = |subject| match subject {
            Subject::Event(name) => Some(name),
            _ => None,
        };
        let field: fn(&Subject) -> Option<&str> = |subject| match subject {
            Subject::Field(name) => Some(name),
            _ => None,
        };
        let parts = [
            ("events not captured", names(Place::Condition, event)),
            ("condition fields without value", names(Place::Condition, field)),
            ("output fields without value", names(Place::Output, field)),
        ];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{what}: {names}"))
            .collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// What is captured of what a tier can capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Captured {
    /// Calls that fail.
    pub failed: bool,
    /// What is done through io_uring: not on every kernel.
    pub io_uring: bool,
    /// Event types that are left out.
    pub left_out: EventSet,
    /// Without BPF: what these sources see.
    pub sources: SourceSet,
}

impl Default for Captured {
    fn default() -> Self {
        Captured {
            failed: true,
            io_uring: true,
            left_out: EventSet::NONE,
            sources: SourceSet::ALL,
        }
    }
}

fn if_missing(tier: Tier) -> IfMissing {
    match tier {
        Tier::None => IfMissing::Unknown,
        _ => IfMissing::False,
    }
}

/// Whether the condition can be true on this event with what `tier` knows of it.
pub(crate) fn can_match(rule: &Rule, event: Event, tier: Tier) -> bool {
    let known = |field: &FieldRef| quality_from(field, event, tier, SourceSet::ALL);
    let remains = Remains::of(&rule.program, event, Results::All, if_missing(tier), &known);
    remains.is != Truth::Never
}

/// What `tier` sees of `rule`.
pub(crate) fn of(rule: &Rule, tier: Tier, captured: Captured) -> Coverage {
    let if_missing = if_missing(tier);
    let mut reasons = Reasons::default();
    let mut meant = EventSet::NONE;
    let mut seen = EventSet::NONE;
    // Without BPF nothing drops them.
    let drops = !captured.failed && tier != Tier::None;
    let (mut misses_failed, mut only_failed) = (false, true);
    for event in rule.program.events().iter() {
        let remains_of = |results| {
            Remains::of(&rule.program, event, results, if_missing, &|field| {
                quality_from(field, event, tier, captured.sources)
            })
        };
        let remains = remains_of(Results::All);
        if remains.meant == Truth::Never {
            continue;
        }
        meant.insert(event);
        let of_event = match tier != Tier::None && !captured.io_uring && io_uring::raises(event) {
            true => tier.event(event).and(Quality::Weaker(Why::NotByIoUring)),
            false => tier.event(event),
        };
        let of_event = match captured.left_out.contains(event) {
            true => of_event.and(Quality::Missing(Why::LeftOut)),
            false => of_event,
        };
        let of_event = match tier == Tier::None && !captured.sources.sees(event) {
            true => of_event.and(Quality::Missing(Why::NotInForce)),
            false => of_event,
        };
        reasons.event(event.name(), of_event);
        if matches!(of_event, Quality::Missing(_)) {
            continue;
        }
        let can_match = |results| remains_of(results).is != Truth::Never;
        // The reason of the event says that failures are not seen.
        let is_success = tier == Tier::None && Source::of(event).is_some_and(|s| !s.knows_what_was_passed());
        let is_about_failures = is_success && !can_match(Results::Successes);
        if is_about_failures && remains.is != Truth::Never {
            reasons.event(event.name(), Quality::Missing(Why::SuccessOnly));
        } else if remains.is != Truth::Never {
            let drops_failed = drops && event.row().is_call();
            misses_failed |= drops_failed && can_match(Results::Failures);
            if !drops_failed || can_match(Results::Successes) {
                seen.insert(event);
                only_failed = false;
            }
        }
        for (field, quality) in remains.reservations {
            reasons.field(Place::Condition, field, event, quality);
        }
    }
    let by_field = rule.program.fields().iter().filter_map(uncaptured_type);
    for event in rule.program.blind_events().into_iter().chain(by_field) {
        reasons.event(event, Quality::Missing(why_no_event(event)));
    }
    for event in seen.iter() {
        for field in rule.output_fields() {
            if let Some(quality) = quality_from(field, event, tier, captured.sources) {
                reasons.field(Place::Output, field, event, quality);
            }
        }
    }
    let is_blind = seen.is_empty();
    let mut reasons = reasons.finish(meant, seen);
    if rule.program.unnamed_event_types() > 0 {
        reasons.insert(0, unnamed(&rule.program));
    }
    if misses_failed {
        reasons.insert(0, without_failed(only_failed));
    }
    if is_blind {
        // What takes somebody's word for it is no news when nothing is heard.
        reasons.retain(|reason| reason.is_missing);
        if reasons.is_empty() {
            reasons = without_value(rule, tier);
        }
        if reasons.is_empty() {
            reasons.push(Reason {
                subject: Subject::Condition,
                place: Place::Condition,
                is_missing: true,
                why: "it is true on no event, whatever happens".into(),
                on: Vec::new(),
            });
        }
    }
    let verdict = match (is_blind, reasons.is_empty()) {
        (true, _) => Verdict::Blind,
        (false, true) => Verdict::Exact,
        (false, false) => Verdict::Partial,
    };
    Coverage { verdict, reasons }
}

/// The fields of a condition that no event it names has a value for: what keeps it from ever being true.
fn without_value(rule: &Rule, tier: Tier) -> Vec<Reason> {
    let events = rule.program.events();
    let silent = |field: &&FieldRef| {
        !events.is_empty() && events.iter().all(|event| quality(field, event, tier).is_none())
    };
    let mut fields: Vec<String> = rule
        .program
        .fields()
        .iter()
        .filter(silent)
        .map(FieldRef::text)
        .collect();
    fields.sort();
    fields.dedup();
    let reason = |field: String| Reason {
        subject: Subject::Field(field),
        place: Place::Condition,
        is_missing: true,
        why: "it has no value on the events that the condition names".into(),
        on: Vec::new(),
    };
    fields.into_iter().map(reason).collect()
}

/// The name of the type that `evt.type.is` asks for, when it is not captured.
fn uncaptured_type(field: &FieldRef) -> Option<&str> {
    match &field.arg {
        Arg::Events(name, events) if events.is_empty() => Some(name),
        _ => None,
    }
}

/// Why there is no event of this name.
fn why_no_event(name: &str) -> Why {
    match name {
        "sched_process_exit" => Why::IsProcexit,
        "signal_deliver" => Why::IsSignaldeliver,
        name if names::is_call_elsewhere(name) => Why::Elsewhere,
        _ => Why::NotCaptured,
    }
}

fn without_failed(only: bool) -> Reason {
    let why = match only {
        true => "it is about calls that fail, and those are not captured (drop_failed_exit)",
        false => "calls that fail are not captured (drop_failed_exit)",
    };
    Reason {
        subject: Subject::Condition,
        place: Place::Condition,
        is_missing: true,
        why: why.into(),
        on: Vec::new(),
    }
}

fn unnamed(program: &Program) -> Reason {
    let all = program.event_type_count();
    let captured = program.events().len() - program.unnamed_io().len();
    let io = match program.unnamed_io().is_empty() {
        true => "",
        false => "; reads and writes are for rules that name them, or need base_syscalls.all",
    };
    Reason {
        subject: Subject::Condition,
        place: Place::Condition,
        is_missing: true,
        why: format!("it does not say what types of events it is about: of the {all} there are for it, {captured} are captured{io}")
            .into(),
        on: Vec::new(),
    }
}

/// Reasons as they are found, each with the events it is found on.
#[derive(Debug, Default)]
struct Reasons(BTreeMap<(Place, Subject, Quality), EventSet>);

impl Reasons {
    fn event(&mut self, name: &str, quality: Quality) {
        if quality != Quality::Exact {
            let key = (Place::Condition, Subject::Event(name.to_owned()), quality);
            self.0.entry(key).or_default();
        }
    }

    fn field(&mut self, place: Place, field: &FieldRef, event: Event, quality: Quality) {
        if quality != Quality::Exact {
            let key = (place, Subject::Field(field.text()), quality);
            self.0.entry(key).or_default().insert(event);
        }
    }

    /// The reasons, and on which of the events they are to be expected on.
    fn finish(self, meant: EventSet, seen: EventSet) -> Vec<Reason> {
        let reasons = self.0.into_iter();
        reasons
            .filter_map(|((place, subject, quality), events)| {
                let all = match place {
                    Place::Condition => meant,
                    Place::Output => seen,
                };
                let on = match events == all {
                    true => Vec::new(),
                    false => events.iter().map(Event::name).collect(),
                };
                Some(Reason {
                    subject,
                    place,
                    is_missing: matches!(quality, Quality::Missing(_)),
                    why: quality.why()?.text().into(),
                    on,
                })
            })
            .collect()
    }
}

#[cfg(test)]
#[path = "coverage_tests.rs"]
mod tests;
