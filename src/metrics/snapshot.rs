//! Falco's "metrics snapshot": all numbers as an alert or a line of a file, at an interval.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lanner_engine::{FieldValue, Priority, internal_alert};
use serde_json::{Map, json};

use super::gather::{Moment, dropped, is_in_snapshot, seen};
use super::sample::{Samples, Value};
use super::{InForce, Instruments};
use crate::config::Metrics;

/// The alert's rule, as dashboards know it.
const RULE: &str = "Falco internal: metrics snapshot";
const MESSAGE: &str = "Falco metrics snapshot";

/// What it was last time: rates are since then.
#[derive(Debug, Default)]
struct Before {
    at: Option<Instant>,
    seen: u64,
    dropped: u64,
    read: u64,
}

/// Where snapshots are made; it ends when this value goes.
#[derive(Debug)]
pub(crate) struct Snapshots {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    over: Mutex<bool>,
    woken: Condvar,
    /// The file can't be written, and that was said.
    failing: AtomicBool,
}

impl Snapshots {
    /// Starts the thread that makes them, whether the configuration in force wants any or not: another may.
    ///
    /// # Errors
    /// When the kernel gives no thread.
    pub(crate) fn start(instruments: Arc<Instruments>) -> std::io::Result<Snapshots> {
        let state = Arc::new(State {
            over: Mutex::new(false),
            woken: Condvar::new(),
            failing: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        thread::Builder::new()
            .name("lanner-metrics".into())
            .spawn(move || run(&instruments, &shared))?;
        Ok(Snapshots { state })
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        *self.state.over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.state.woken.notify_all();
    }
}

/// How often it is looked whether a configuration wants snapshots now.
const LOOK: Duration = Duration::from_secs(1);

fn run(instruments: &Instruments, state: &State) {
    let mut before = Before::default();
    let mut number = 0u64;
    let mut last = Instant::now();
    loop {
        let in_force = instruments.in_force();
        let metrics = &in_force.metrics;
        let wanted = metrics.enabled && (metrics.output_rule || metrics.output_file.is_some());
        let due = if wanted {
            last + metrics.interval
        } else {
            Instant::now() + LOOK
        };
        let left = due.saturating_duration_since(Instant::now()).min(LOOK);
        let over = state.over.lock().unwrap_or_else(PoisonError::into_inner);
        let over = match state.woken.wait_timeout_while(over, left, |over| !*over) {
            Ok((over, _)) => *over,
            Err(_) => true,
        };
        if over {
            return;
        }
        if !wanted {
            last = Instant::now();
            continue;
        }
        if Instant::now() < due {
            continue;
        }
        last = Instant::now();
        number += 1;
        let moment = instruments.moment();
        let fields = fields(instruments, &moment, &mut before);
        if metrics.output_rule {
            let alert = internal_alert(
                &in_force.settings,
                moment.time,
                Priority::Informational,
                RULE,
                MESSAGE.to_owned(),
                fields.clone(),
            );
            instruments.alert(alert);
        }
        if let Some(file) = &metrics.output_file {
            write(file, number, &fields, &state.failing);
        }
    }
}

type Fields = Vec<(Arc<str>, FieldValue)>;

#[allow(clippy::cast_precision_loss)] // rates are shown with one digit
fn fields(instruments: &Instruments, moment: &Moment, before: &mut Before) -> Fields {
    let InForce { metrics, .. } = &*moment.in_force;
    let mut samples = instruments.falco(moment);
    let stats = &moment.look.stats;
    let now = Before {
        at: Some(Instant::now()),
        seen: seen(stats),
        dropped: dropped(stats),
        read: stats.total(),
    };
    let seconds = before.at.map_or(0.0, |at| at.elapsed().as_secs_f64());
    let rate = |now: u64, before: u64| match seconds > 0.0 {
        true => Value::Real((now.saturating_sub(before) as f64 / seconds * 10.0).round() / 10.0),
        false => Value::Real(0.0),
    };
    samples.field("falco.num_evts", Value::Whole(now.read)).always = true;
    samples
        .field("falco.num_evts_prev", Value::Whole(before.read))
        .always = true;
    samples
        .field("falco.evts_rate_sec", rate(now.read, before.read))
        .always = true;
    let (seen, lost) = (
        now.seen.saturating_sub(before.seen),
        now.dropped.saturating_sub(before.dropped),
    );
    let share = if seen > 0 {
        lost as f64 * 100.0 / seen as f64
    } else {
        0.0
    };
    samples.field("scap.n_drops_perc", Value::Real(share)).always = true;
    if metrics.kernel_events {
        samples
            .field("scap.evts_rate_sec", rate(now.seen, before.seen))
            .always = true;
        samples
            .field("scap.evts_drop_rate_sec", rate(now.dropped, before.dropped))
            .always = true;
        samples.field("scap.n_evts_prev", Value::Whole(before.seen));
        samples.field("scap.n_drops_prev", Value::Whole(before.dropped));
    }
    *before = now;
    let mut fields = named(samples, metrics);
    fields.push((Arc::from("evt.source"), FieldValue::Text("syscall".into())));
    fields.push((Arc::from("evt.time"), FieldValue::U64(moment.time)));
    fields
}

/// The fields of these numbers, by name. Rules whose names are spelt alike there (`a b` and `a-b`) are counted together.
fn named(samples: Samples, metrics: &Metrics) -> Fields {
    let mut fields: Fields = samples
        .0
        .into_iter()
        .filter(|sample| is_in_snapshot(sample, metrics))
        .filter_map(|sample| {
            let value = match (sample.text, sample.value) {
                (Some(text), _) => FieldValue::Text(text),
                (None, Value::Whole(value)) => FieldValue::U64(value),
                (None, Value::Real(value)) => FieldValue::F64(value),
            };
            Some((Arc::from(sample.field?), value))
        })
        .collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    fields.dedup_by(|(name, next), (kept, value)| {
        let is_same = name == kept;
        if is_same && let (FieldValue::U64(next), FieldValue::U64(sum)) = (next, value) {
            *sum += *next;
        }
        is_same
    });
    fields
}

/// Appends a line. What keeps it from being written is logged once, until it works again.
fn write(path: &Path, number: u64, fields: &Fields, failing: &AtomicBool) {
    let mut map = Map::new();
    for (name, value) in fields {
        let value = match value {
            FieldValue::Text(text) => json!(text),
            FieldValue::U64(number) => json!(number),
            FieldValue::F64(number) => json!(number),
            _ => continue,
        };
        map.insert(name.to_string(), value);
    }
    let line = format!("{}\n", json!({ "sample": number, "output_fields": map }));
    let append = || {
        let mut file = File::options().append(true).create(true).open(path)?;
        file.write_all(line.as_bytes())
    };
    match append() {
        Ok(()) => failing.store(false, Ordering::Relaxed),
        Err(error) if !failing.swap(true, Ordering::Relaxed) => {
            tracing::error!("metrics.output_file: cannot write {}: {error}", path.display());
        }
        Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::Kind;
    use super::*;

    #[test]
    fn what_is_spelt_alike_is_counted_together() {
        let mut samples = Samples::default();
        for count in [1, 2] {
            samples.falco(
                "falcosecurity_a_total",
                "falco.rules.a_b",
                Kind::Counter,
                Value::Whole(count),
            );
            samples.field("falco.rules.c", Value::Whole(count)).field = None;
            samples.info("falcosecurity_b_info", "falco.version", "version", "1");
        }
        let fields = named(samples, &Metrics::default());
        let expected: Fields = vec![
            ("falco.rules.a_b".into(), FieldValue::U64(3)),
            ("falco.version".into(), FieldValue::Text("1".into())),
        ];
        assert_eq!(fields, expected);
    }
}
