//! What the engine costs: loading rules, compiling conditions, evaluating events, formatting alerts.
//!
//! `cargo bench -p lanner-engine`; a word after `--` picks the measurements whose name contains it. Figures of `evaluate`
//! and `format` are per event, over a generated mix. On a machine where something else runs, only figures of one run
//! can be compared.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a bench fails by panicking

mod mix;
mod sets;

use criterion::{BenchmarkId, Criterion};
use lanner_engine::condition::{self, Expr};
use lanner_engine::{BUILT_IN_RULES, Loaded, RulesFile, Ruleset, Settings, load};
use lanner_schema::event::Event;
use lanner_schema::view::EventView;
use std::hint::black_box;
use std::time::Duration;

const EVENTS: usize = 1024;

fn loaded(text: &str, settings: &Settings) -> Loaded {
    let file = RulesFile {
        name: "rules.yaml".into(),
        text: text.into(),
    };
    load(&[file], settings)
}

fn ruleset(text: &str, settings: &Settings) -> Ruleset {
    loaded(text, settings).ruleset.expect("the rules load")
}

/// From the text of a file to rules that run.
fn loading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load");
    let mut measure = |name: &str, text: &dyn Fn() -> String| {
        group.bench_function(name, |bencher| {
            let text = text();
            bencher.iter(|| loaded(black_box(&text), &Settings::default()));
        });
    };
    measure("built-in rules", &|| BUILT_IN_RULES.to_owned());
    if let Some(stock) = sets::stock() {
        measure("stock rules", &|| stock.clone());
    }
    for count in [1000, 5000] {
        measure(&format!("generated rules/{count}"), &|| {
            sets::generated("mixed", count)
        });
    }
    measure("rules of every event type/1000", &|| {
        sets::generated("mixed", 1000).replace("evt.type in (open, openat)", "evt.num > 0")
    });
    for count in [10_000, 100_000] {
        measure(&format!("one list of items/{count}"), &|| sets::long_list(count));
    }
}

/// The conditions of the built-in rules, macros and lists put in.
fn compiling(criterion: &mut Criterion) {
    let ruleset = ruleset(BUILT_IN_RULES, &Settings::default());
    let texts: Vec<String> = ruleset.rules().map(|rule| rule.condition()).collect();
    let parse = |text: &String| condition::parse(text).expect("a condition prints as it is read");
    let conditions: Vec<Expr> = texts.iter().map(parse).collect();
    let mut group = criterion.benchmark_group("compile");
    group.bench_function("parse the built-in rules", |bencher| {
        bencher.iter(|| {
            texts.iter().for_each(|text| {
                black_box(parse(text));
            });
        });
    });
    group.bench_function("compile the built-in rules", |bencher| {
        bencher.iter(|| {
            conditions.iter().for_each(|expr| {
                black_box(condition::compile(expr).is_ok());
            });
        });
    });
}

/// One event after the other, time and again.
fn each_event(bencher: &mut criterion::Bencher<'_>, ruleset: &mut Ruleset, views: &[EventView<'_>]) {
    let mut events = views.iter().cycle();
    bencher.iter(|| {
        if let Some(view) = events.next() {
            ruleset.evaluate(black_box(view), &mut |alert| {
                black_box(alert);
            });
        }
    });
}

fn evaluating(criterion: &mut Criterion) {
    let host = mix::Host::new();
    let made = host.events(EVENTS);
    let parts: Vec<_> = made.iter().map(mix::Made::parts).collect();
    let views = host.views(&made, &parts);
    let settings = Settings::default();
    let mut group = criterion.benchmark_group("evaluate");
    for (name, text) in sets::real() {
        group.bench_function(name, |bencher| {
            each_event(bencher, &mut ruleset(&text, &settings), &views);
        });
        for event in [Event::Openat, Event::Unlinkat, Event::Execve, Event::Connect] {
            group.bench_function(BenchmarkId::new(name, event.name()), |bencher| {
                let only: Vec<_> = views.iter().filter(|view| view.event == event).copied().collect();
                each_event(bencher, &mut ruleset(&text, &settings), &only);
            });
        }
    }
    for shape in sets::SHAPES {
        for count in sets::COUNTS {
            group.bench_function(BenchmarkId::new(shape, count), |bencher| {
                let text = sets::generated(shape, count);
                each_event(bencher, &mut ruleset(&text, &settings), &views);
            });
        }
    }
}

/// A rule with an output like the stock rules', on events that all match it: evaluation, output and line.
fn formatting(criterion: &mut Criterion) {
    let host = mix::Host::new();
    let made = host.events(EVENTS);
    let parts: Vec<_> = made.iter().map(mix::Made::parts).collect();
    let views = host.views(&made, &parts);
    let matching: Vec<_> = views
        .iter()
        .filter(|view| view.event == Event::Openat && view.descriptor.is_some_and(|d| d.number >= 0))
        .copied()
        .collect();
    let mut group = criterion.benchmark_group("format");
    for (name, json_output) in [("text", false), ("JSON", true)] {
        let settings = Settings {
            json_output,
            ..Settings::default()
        };
        group.bench_function(name, |bencher| {
            each_event(bencher, &mut ruleset(sets::EVERY_OPEN, &settings), &matching);
        });
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    loading(&mut criterion);
    compiling(&mut criterion);
    evaluating(&mut criterion);
    formatting(&mut criterion);
    criterion.final_summary();
}
