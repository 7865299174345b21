//! What evaluating one event costs, in nanoseconds, for several sets of rules.
//!
//! `cargo bench -p lanner-engine --bench evaluate`. Every figure is the median of many short runs over the same events;
//! the fastest run is shown beside it, for machines on which something else runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a bench fails by panicking

mod mix;

use lanner_engine::{BUILT_IN_RULES, RulesFile, Ruleset, Settings, load};
use lanner_schema::event::Event;
use lanner_schema::view::EventView;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

const EVENTS: usize = 1024;
const WARM_UP: usize = 20;
const RUNS: usize = 601;

const ONE_RULE: &str = "- rule: Never matches
  desc: d
  condition: evt.type in (open, openat) and evt.is_open_read = true and fd.name = /etc/shadow and not proc.name in (sshd, sudo)
  output: o
  priority: WARNING
";

/// Rules that have little in common, a tenth of them for every event.
fn many_rules(count: usize) -> String {
    let rule = |n: usize| {
        let events = [
            "evt.type in (open, openat)",
            "evt.type = execve",
            "evt.type = connect",
            "evt.num > 0",
        ];
        let events = events[[0, 0, 0, 1, 1, 1, 1, 2, 2, 3][n % 10]];
        format!(
            "- rule: Rule {n}\n  desc: d\n  condition: {events} and proc.name in (a{n}, b{n}) and fd.name startswith /srv/{n}/ \
             and not proc.aname in (c{}, d{})\n  output: o\n  priority: WARNING\n  warn_evttypes: false\n",
            n % 20,
            n % 30
        )
    };
    (0..count).map(rule).collect()
}

fn rules(name: &str, text: &str) -> Ruleset {
    let file = RulesFile {
        name: name.into(),
        text: text.into(),
    };
    let loaded = load(&[file], &Settings::default());
    loaded.ruleset.unwrap_or_else(|| panic!("{name} does not load"))
}

/// Nanoseconds per event: the median of the runs, and the fastest.
fn measure(ruleset: &mut Ruleset, views: &[EventView<'_>]) -> (f64, f64) {
    let mut pass = || {
        let start = Instant::now();
        for view in views {
            ruleset.evaluate(black_box(view), &mut |alert| {
                black_box(alert);
            });
        }
        start.elapsed().as_nanos() as f64 / views.len() as f64
    };
    for _ in 0..WARM_UP {
        pass();
    }
    let mut runs: Vec<f64> = (0..RUNS).map(|_| pass()).collect();
    runs.sort_by(f64::total_cmp);
    (runs[RUNS / 2], runs[0])
}

fn main() {
    let host = mix::Host::new();
    let made = host.events(EVENTS);
    let parts: Vec<_> = made.iter().map(mix::Made::parts).collect();
    let views = host.views(&made, &parts);

    let stock = std::env::var_os("FALCO_RULES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/falco/falco_rules.yaml"),
        PathBuf::from,
    );
    let mut sets = vec![
        ("one rule", ONE_RULE.to_owned()),
        ("built-in rules", BUILT_IN_RULES.to_owned()),
        ("1,000 rules", many_rules(1000)),
    ];
    match std::fs::read_to_string(&stock) {
        Ok(text) => sets.push(("Falco's stock rules", text)),
        Err(error) => eprintln!(
            "skipped: {}: {error}; set FALCO_RULES to Falco's falco_rules.yaml",
            stock.display()
        ),
    }
    println!(
        "{:<22} {:>6} {:>12} {:>12} {:>8} {:>8}   median ns of each event",
        "rules", "count", "median ns", "fastest ns", "matches", "load ms"
    );
    let each = [Event::Openat, Event::Unlinkat, Event::Execve, Event::Connect].map(|event| {
        let of = views.iter().filter(|view| view.event == event).copied();
        (event.name(), of.collect::<Vec<_>>())
    });
    for (name, text) in sets {
        let start = Instant::now();
        let mut ruleset = rules(name, &text);
        let load = start.elapsed().as_secs_f64() * 1e3;
        let (median, fastest) = measure(&mut ruleset, &views);
        let count = ruleset.rules().filter(|rule| rule.runs()).count();
        let matches: u64 = ruleset.rules().map(|rule| rule.matches()).sum();
        let per_run = matches / (WARM_UP + RUNS) as u64;
        print!("{name:<22} {count:>6} {median:>12.1} {fastest:>12.1} {per_run:>8} {load:>8.1}  ");
        for (event, views) in &each {
            print!(" {event} {:.0}", measure(&mut ruleset, views).0);
        }
        println!();
    }
}
