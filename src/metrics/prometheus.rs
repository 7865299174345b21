//! The text that Prometheus reads (version 0.0.4).

use std::collections::HashSet;
use std::fmt::Write as _;

use super::sample::{Kind, Sample, Value};

/// What Falco says of every number.
const FALCO_HELP: &str = "https://falco.org/docs/metrics/";

/// The text of these numbers. Those of one name stand together below one line of help, as the format asks. Of two with the
/// same name and labels the first is shown: with both, Prometheus would refuse them.
pub(super) fn text(samples: &[Sample]) -> String {
    let mut names: Vec<&'static str> = Vec::new();
    for name in samples.iter().filter_map(|sample| sample.metric) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut out = String::new();
    let mut shown = HashSet::new();
    for name in names {
        let mut first = true;
        for sample in samples.iter().filter(|sample| sample.metric == Some(name)) {
            if first {
                let kind = match sample.kind {
                    Kind::Counter => "counter",
                    Kind::Gauge => "gauge",
                };
                let help = sample.help.unwrap_or(FALCO_HELP);
                let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
                first = false;
            }
            let series = series(name, &sample.labels);
            if shown.contains(&series) {
                continue;
            }
            let _ = match sample.value {
                Value::Whole(value) => writeln!(out, "{series} {value}"),
                Value::Real(value) => writeln!(out, "{series} {value:.6}"),
            };
            shown.insert(series);
        }
    }
    out
}

/// A name with its labels. Labels that are spelt alike here (of the tags `a-b` and `a_b`) are one.
fn series(name: &str, labels: &[(String, String)]) -> String {
    let mut out = name.to_owned();
    let mut names = HashSet::with_capacity(labels.len());
    for (label, value) in labels {
        let label = legal(label);
        if names.contains(&label) {
            continue;
        }
        let before = if names.is_empty() { '{' } else { ',' };
        let _ = write!(out, "{before}{label}=\"{}\"", escaped(value));
        names.insert(label);
    }
    if !names.is_empty() {
        out.push('}');
    }
    out
}

/// A name of a label: what it may not have becomes `_`.
fn legal(label: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    label.chars().map(legal).collect()
}

fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample::Samples;
    use super::*;

    #[test]
    fn the_text_is_the_formats() {
        let mut samples = Samples::default();
        samples.own(
            "lanner_a_total",
            "What a is.",
            Kind::Counter,
            1,
            &[("event", "open\"at\\")],
        );
        samples.falco("falcosecurity_b_ratio", "b", Kind::Gauge, Value::Real(0.25));
        samples.own(
            "lanner_a_total",
            "What a is.",
            Kind::Counter,
            2,
            &[("event", "x\ny")],
        );
        samples.field("only.in.snapshots", Value::Whole(7));
        samples.info("falcosecurity_v_info", "v", "tag_a-b", "1");
        assert_eq!(
            text(&samples.0),
            "# HELP lanner_a_total What a is.\n# TYPE lanner_a_total counter\n\
             lanner_a_total{event=\"open\\\"at\\\\\"} 1\nlanner_a_total{event=\"x\\ny\"} 2\n\
             # HELP falcosecurity_b_ratio https://falco.org/docs/metrics/\n# TYPE falcosecurity_b_ratio gauge\n\
             falcosecurity_b_ratio 0.250000\n\
             # HELP falcosecurity_v_info https://falco.org/docs/metrics/\n# TYPE falcosecurity_v_info gauge\n\
             falcosecurity_v_info{tag_a_b=\"1\"} 1\n"
        );
    }

    #[test]
    fn what_is_spelt_alike_is_there_once() {
        let mut samples = Samples::default();
        let labels = [("tag_a-b", "true"), ("tag_a_b", "true"), ("tag_c", "true")];
        for count in [1, 2] {
            samples.own("lanner_a_total", "What a is.", Kind::Counter, count, &labels);
        }
        assert_eq!(
            text(&samples.0),
            "# HELP lanner_a_total What a is.\n# TYPE lanner_a_total counter\n\
             lanner_a_total{tag_a_b=\"true\",tag_c=\"true\"} 1\n"
        );
    }
}
