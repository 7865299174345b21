//! The text that Prometheus reads (version 0.0.4).

use std::fmt::Write as _;

use super::sample::{Kind, Sample, Value};

/// What Falco says of every number.
const FALCO_HELP: &str = "https://falco.org/docs/metrics/";

/// The text of these numbers. Those of one name stand together below one line of help, as the format asks.
pub(super) fn text(samples: &[Sample]) -> String {
    let mut names: Vec<&'static str> = Vec::new();
    for name in samples.iter().filter_map(|sample| sample.metric) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut out = String::new();
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
            out.push_str(name);
            for (index, (label, value)) in sample.labels.iter().enumerate() {
                let _ = write!(
                    out,
                    "{}{}=\"{}\"",
                    if index == 0 { "{" } else { "," },
                    legal(label),
                    escaped(value)
                );
            }
            if !sample.labels.is_empty() {
                out.push('}');
            }
            let _ = match sample.value {
                Value::Whole(value) => writeln!(out, " {value}"),
                Value::Real(value) => writeln!(out, " {value:.6}"),
            };
        }
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
}
