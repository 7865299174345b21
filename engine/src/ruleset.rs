//! Rules that run: indexed by event, evaluated in the order of their definition.

use crate::alert_line::{TimeNames, finish};
use crate::condition::{Answer, EventProgram, Expr, Memory, Program, Scratch, Uncertain, programs};
use crate::coverage::{self, Captured, Coverage};
use crate::field::FieldRef;
use crate::output::Template;
use crate::rule_costs::RuleCosts;
use crate::settings::{Matching, Settings};
use lanner_schema::alert::{Alert, FieldValue, Priority};
use lanner_schema::call_class::ClassSet;
use lanner_schema::event::{EVENT_COUNT, EVENTS, Event, EventSet, Needs};
use lanner_schema::tier::Tier;
use lanner_schema::tier::told_apart;
use lanner_schema::view::{EventView, Outcome, SourceId};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Something that is added to an alert's fields.
#[derive(Debug)]
pub(crate) struct Extra {
    /// Its name, when it is a formatted text; a plain field has its own.
    pub(crate) name: Option<Arc<str>>,
    pub(crate) template: Template,
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    pub(crate) name: Arc<str>,
    pub(crate) description: String,
    pub(crate) condition: Expr,
    pub(crate) priority: Priority,
    pub(crate) source: Arc<str>,
    pub(crate) source_index: u8,
    pub(crate) tags: Arc<[String]>,
    pub(crate) enabled: bool,
    pub(crate) runs: bool,
    /// Rules are tried in this order; it differs from that of definition once the configuration selects rules.
    pub(crate) rank: u32,
    pub(crate) matches: u64,
    pub(crate) undecided: u64,
    pub(crate) program: Program,
    pub(crate) template: Template,
    pub(crate) extra: Vec<Extra>,
}

impl Rule {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its `desc`.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Its condition with lists and macros put in, in Falco's canonical text.
    pub fn condition(&self) -> String {
        self.condition.to_string()
    }

    /// Its priority.
    pub fn priority(&self) -> Priority {
        self.priority
    }

    /// Its source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its tags, sorted.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Whether its `enabled` says that it runs.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether it runs: it is enabled, by its file or by the settings' selections, and at least as severe as they ask.
    pub fn runs(&self) -> bool {
        self.runs
    }

    /// The events it is evaluated on.
    pub fn events(&self) -> EventSet {
        self.program.events()
    }

    /// Whether its condition confines itself to some event types; false where it leaves the type open.
    pub fn names_event_types(&self) -> bool {
        self.program.names_event_types()
    }

    /// How much of it a capture tier sees.
    pub fn coverage(&self, tier: Tier) -> Coverage {
        self.coverage_of(tier, Captured::default())
    }

    /// The same when not all is captured that the tier can capture.
    pub fn coverage_of(&self, tier: Tier, captured: Captured) -> Coverage {
        coverage::of(self, tier, captured)
    }

    /// Whether it can match this event with what `tier` knows of it.
    pub fn can_match(&self, event: Event, tier: Tier) -> bool {
        coverage::can_match(self, event, tier)
    }

    /// The fields its output and its extra fields read.
    pub(crate) fn output_fields(&self) -> impl Iterator<Item = &FieldRef> {
        let extra = self.extra.iter().flat_map(|extra| extra.template.fields());
        self.template.fields().iter().chain(extra)
    }

    /// How often it matched so far.
    pub fn matches(&self) -> u64 {
        self.matches
    }

    /// How often it could not be told so far whether it matches, because what decides was not known of the event.
    pub fn undecided(&self) -> u64 {
        self.undecided
    }
}

/// What a rule has done so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleCounts {
    /// Its name.
    pub name: Arc<str>,
    /// Its priority.
    pub priority: Priority,
    /// Its source.
    pub source: Arc<str>,
    /// Its tags, sorted.
    pub tags: Arc<[String]>,
    /// Alerts it made.
    pub matches: u64,
    /// Events on which it made none because it could not be told whether it matches: what decides was not known of them.
    pub undecided: u64,
    /// Events it was asked about. An earlier rule may have matched already, with `rule_matching: first`.
    pub evaluations: u64,
    /// Of those, the ones it was timed on, alone: one event in some thousands.
    pub timed: u64,
    /// How long these took.
    pub time: Duration,
}

/// Rules by their index, in the order in which they are tried.
type UncertainRules = Box<[(u32, Uncertain)]>;

/// Rules that run.
#[derive(Debug)]
pub struct Ruleset {
    rules: Vec<Rule>,
    /// The rank of each.
    ranks: Vec<u32>,
    /// What the rules of each source come to on each event; they are named by their index in `rules`.
    by_source: Vec<Vec<Arc<EventProgram>>>,
    /// What the rules of the host's own source come to on events of which not everything is known; made at the first of its
    /// type.
    uncertain: Vec<Option<UncertainRules>>,
    scratch: Scratch,
    needs: Needs,
    settings: Settings,
    memory: Memory,
    /// The rules that matched by the names of an event, and by its other names.
    matched: [Vec<u32>; 2],
    costs: RuleCosts,
    alerts: [u64; Priority::ALL.len()],
    time_names: TimeNames,
}

impl Ruleset {
    pub(crate) fn new(rules: Vec<Rule>, sources: usize, settings: &Settings) -> Ruleset {
        let mut needs = Needs {
            classes: [ClassSet::NONE; EVENT_COUNT],
            ..Needs::default()
        };
        for rule in rules.iter().filter(|rule| rule.runs) {
            rule.program.needs(&mut needs);
            // What an output reads is only needed on the events that can make an alert of it.
            let events = rule.program.events();
            rule.template.needs(events, &mut needs);
            for extra in &rule.extra {
                extra.template.needs(events, &mut needs);
            }
        }
        for rule in rules.iter().filter(|rule| rule.runs && settings.real_names) {
            rule.program.real_names(&mut needs);
        }
        let of_host = |events: EventSet| {
            let is_hosts =
                |event: &lanner_schema::event::Event| event.row().is_kernel() || event.row().is_meta();
            events.iter().filter(is_hosts).collect()
        };
        let of_each = rules
            .iter()
            .filter(|rule| rule.runs)
            .map(|rule| rule.program.events());
        needs.told_apart = of_host(told_apart(&of_each.collect::<Vec<_>>()));
        needs.events = of_host(needs.events);
        // What one rule names is captured for all.
        needs.unnamed_io = of_host(needs.unnamed_io).difference(needs.events);
        let mut running: Vec<(u32, &Rule)> = (0u32..).zip(&rules).filter(|(_, rule)| rule.runs).collect();
        running.sort_by_key(|(_, rule)| rule.rank);
        let (classes, names) = (&mut needs.classes, &mut needs.names);
        let by_source = (0..sources)
            .map(|source| {
                let of_source = running
                    .iter()
                    .filter(|(_, rule)| usize::from(rule.source_index) == source);
                let conditions: Vec<(u32, &Program)> =
                    of_source.map(|(index, rule)| (*index, &rule.program)).collect();
                let programs = programs(EVENTS.iter().map(|row| row.event), &conditions);
                let (programs, of_source): (Vec<_>, Vec<_>) = programs.into_iter().unzip();
                for (event, of_source) in of_source.into_iter().enumerate() {
                    let unnamed = classes[event]
                        .difference(names.classes[event])
                        .union(of_source.classes.difference(of_source.named));
                    classes[event] = classes[event].union(of_source.classes);
                    names.classes[event] = names.classes[event].union(of_source.named).difference(unnamed);
                    names.terms.extend(of_source.terms);
                }
                programs
            })
            .collect();
        Ruleset {
            ranks: rules.iter().map(|rule| rule.rank).collect(),
            costs: RuleCosts::new(rules.len()),
            rules,
            by_source,
            uncertain: std::iter::repeat_with(|| None).take(EVENT_COUNT).collect(),
            scratch: Scratch::new(),
            needs,
            settings: settings.clone(),
            memory: Memory::default(),
            matched: [Vec::new(), Vec::new()],
            alerts: [0; Priority::ALL.len()],
            time_names: TimeNames::default(),
        }
    }

    /// What the rules that run need to see.
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// The host names that the rules that run compare addresses with, each once: somebody has to look up their addresses
    /// ([`lanner_schema::host_names`]).
    pub fn host_names(&self) -> Vec<String> {
        let running = self.rules.iter().filter(|rule| rule.runs);
        let names: BTreeSet<&str> = running
            .flat_map(|rule| rule.program.host_names().iter().map(AsRef::as_ref))
            .collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// Every rule, in the order of definition.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// How many alerts of this priority were made so far.
    pub fn alerts(&self, priority: Priority) -> u64 {
        self.alerts[usize::from(priority.severity())]
    }

    /// What each rule that runs has done so far, in the order of definition.
    pub fn counts(&self) -> Vec<RuleCounts> {
        let counts = |(index, rule): (usize, &Rule)| {
            let timed = self.costs.timed(index);
            RuleCounts {
                name: Arc::clone(&rule.name),
                priority: rule.priority,
                source: Arc::clone(&rule.source),
                tags: Arc::clone(&rule.tags),
                matches: rule.matches,
                undecided: rule.undecided,
                evaluations: rule.events().iter().map(|event| self.costs.shown(event)).sum(),
                timed: timed.evaluations,
                time: timed.time,
            }
        };
        let rules = self.rules.iter().enumerate();
        rules.filter(|(_, rule)| rule.runs).map(counts).collect()
    }

    /// Evaluates the rules on one event and hands over the alerts they make. Allocates only for an alert.
    ///
    /// Where what a call acted on goes by two names, each rule is evaluated by both and makes one alert, which prints the
    /// names by which it matched, rather those that were asked for.
    ///
    /// Of an event of which not everything is known, a rule that could be true or not makes none, unless it is the result of
    /// a call that was seen when it began which decides.
    pub fn evaluate(&mut self, event: &EventView<'_>, alert: &mut dyn FnMut(Alert)) {
        if event.outcome != Outcome::Told {
            return self.evaluate_uncertain(event, alert);
        }
        let Ruleset {
            rules,
            by_source,
            settings,
            memory,
            matched,
            costs,
            alerts,
            time_names,
            ..
        } = self;
        let of_source = by_source.get(usize::from(event.source.index));
        let Some(program) = of_source.and_then(|programs| programs.get(event.event as usize)) else {
            return;
        };
        costs.see(rules, event);
        let first_only = settings.rule_matching == Matching::First;
        let mut found = |index: u32, event: &EventView<'_>| {
            let Some(rule) = rules.get_mut(index as usize) else {
                return false;
            };
            rule.matches += 1;
            alerts[usize::from(rule.priority.severity())] += 1;
            alert(finish(settings, time_names, make(rule, event)));
            first_only
        };
        let other = event.by_other_names().filter(|_| settings.real_names);
        let Some(other) = other else {
            return program.run(event, memory, &mut |index| found(index, event));
        };
        for (view, matched) in [event, &other].into_iter().zip(&mut *matched) {
            matched.clear();
            program.run(view, memory, &mut |index| {
                matched.push(index);
                first_only
            });
        }
        let [by_own, by_other] = &*matched;
        in_order(by_own, by_other, &self.ranks, &mut |index, by_other| {
            found(index, if by_other { &other } else { event })
        });
    }
}

impl Ruleset {
    #[cold]
    fn evaluate_uncertain(&mut self, event: &EventView<'_>, alert: &mut dyn FnMut(Alert)) {
        self.costs.see(&self.rules, event);
        let Some(uncertain) = self.uncertain.get_mut(event.event as usize) else {
            return;
        };
        let uncertain = uncertain.get_or_insert_with(|| uncertain_rules(&self.rules, event.event));
        let other = event.by_other_names().filter(|_| self.settings.real_names);
        let told_as = event.system.told_as();
        for (index, condition) in uncertain {
            let Some(rule) = self.rules.get_mut(*index as usize) else {
                continue;
            };
            if !told_as.is_empty() && !rule.program.events().intersection(told_as).is_empty() {
                continue;
            }
            let mut unknown = false;
            let matching = [Some(event), other.as_ref()].into_iter().flatten().find(|view| {
                let answer = condition.answer(view, &mut self.scratch);
                unknown |= answer == Answer::Unknown;
                answer >= Answer::IfItWorks
            });
            match matching {
                Some(view) => {
                    rule.matches += 1;
                    self.alerts[usize::from(rule.priority.severity())] += 1;
                    alert(finish(&self.settings, &self.time_names, make(rule, view)));
                    if self.settings.rule_matching == Matching::First {
                        return;
                    }
                }
                None => rule.undecided += u64::from(unknown),
            }
        }
    }
}

/// The rules of the host's own source that can be true on events of this type, in the order in which they are tried.
fn uncertain_rules(rules: &[Rule], event: Event) -> UncertainRules {
    let may_match = |(_, rule): &(u32, &Rule)| {
        rule.runs && rule.source_index == SourceId::SYSCALL.index && rule.program.events().contains(event)
    };
    let mut running: Vec<(u32, &Rule)> = (0u32..).zip(rules).filter(may_match).collect();
    running.sort_by_key(|(_, rule)| rule.rank);
    let conditions = running
        .iter()
        .filter_map(|(index, rule)| Some((*index, Uncertain::new(&rule.program, event)?)));
    conditions.collect()
}

/// Calls `found` with the rules of both lists, each once, until it returns true. Both are in the order in which rules are
/// tried, which `ranks` says, and so are the calls. A rule of the first list is not taken from the second.
fn in_order(first: &[u32], second: &[u32], ranks: &[u32], found: &mut dyn FnMut(u32, bool) -> bool) {
    let place = |index: u32| ranks.get(index as usize).map(|rank| (*rank, index));
    let (mut first, mut second) = (first.iter().peekable(), second.iter().peekable());
    loop {
        let (index, is_second) = match (first.peek(), second.peek()) {
            (Some(a), Some(b)) if place(**b) < place(**a) => (**b, true),
            (Some(a), _) => (**a, false),
            (None, Some(b)) => (**b, true),
            (None, None) => return,
        };
        first.next_if(|a| **a == index);
        second.next_if(|b| **b == index);
        if found(index, is_second) {
            return;
        }
    }
}

/// What an alert about a call of which only the beginning was seen says: a field, and the end of its text.
const ATTEMPTED: (&str, &str) = ("lanner.attempted", " lanner_attempted=true");

/// The names of what the process of an event may have been, where it may have been several; `<NA>` is one that nobody knows.
fn names_of_processes(event: &EventView<'_>) -> Option<String> {
    let others = event.by_what_it_may_have_been();
    let mut others = others.chain(event.by_nobody_known()).peekable();
    others.peek()?;
    let mut names: Vec<String> = Vec::new();
    for view in std::iter::once(*event).chain(others) {
        let name = match view.process.map_or(&[][..], |process| &process.image.comm) {
            b"" => "<NA>".into(),
            name => String::from_utf8_lossy(name).into_owned(),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Some(names.join("|"))
}

/// What an alert says whose process may have been one of several: their names, each once, the last first.
const PROCESSES: (&str, &str) = ("lanner.processes", " lanner_processes=");

fn make(rule: &Rule, event: &EventView<'_>) -> Alert {
    let mut message = String::new();
    let mut fields = Vec::new();
    rule.template.render(event, &mut message, &mut fields);
    for extra in &rule.extra {
        let mut text = String::new();
        match &extra.name {
            Some(name) => {
                extra.template.render(event, &mut text, &mut Vec::new());
                fields.push((Arc::clone(name), FieldValue::Text(text)));
            }
            None => extra.template.render(event, &mut text, &mut fields),
        }
    }
    if event.outcome == Outcome::Attempted && event.failed().is_none() {
        // Whoever reads the alert has to know that nobody knows whether it was done.
        let (name, text) = ATTEMPTED;
        message.push_str(text);
        if !fields.iter().any(|(field, _)| **field == *name) {
            fields.push((name.into(), FieldValue::Bool(true)));
        }
    }
    if let Some(names) = names_of_processes(event) {
        let (name, text) = PROCESSES;
        message.push_str(text);
        message.push_str(&names);
        if !fields.iter().any(|(field, _)| **field == *name) {
            fields.push((name.into(), FieldValue::Text(names)));
        }
    }
    Alert {
        time: event.time,
        priority: rule.priority,
        rule: Arc::clone(&rule.name),
        source: Arc::clone(&rule.source),
        tags: Arc::clone(&rule.tags),
        message,
        fields,
        line: String::new(),
    }
}
