//! What rules did, and what they cost.

use lanner_engine::RuleCounts;

use super::underscored;
use crate::metrics::sample::{Kind::Counter, Samples, Value::Whole};

pub(super) fn matches(rules: &[RuleCounts], all: &mut Samples) {
    let total = rules.iter().map(|rule| rule.matches).sum();
    all.field("falco.rules.matches_total", Whole(total)).always = true;
    for rule in rules {
        let field = format!("falco.rules.{}", underscored(&rule.name));
        let sample = all.falco(
            "falcosecurity_falco_rules_matches_total",
            &field,
            Counter,
            Whole(rule.matches),
        );
        // Falco gives Prometheus those only that have matched.
        if rule.matches == 0 {
            sample.metric = None;
            continue;
        }
        sample.labels = vec![
            ("priority".to_owned(), rule.priority.severity().to_string()),
            ("rule_name".to_owned(), rule.name.to_string()),
            ("source".to_owned(), rule.source.to_string()),
        ];
        let tag = |tag: &String| (format!("tag_{tag}"), "true".to_owned());
        sample.labels.extend(rule.tags.iter().map(tag));
    }
}

pub(super) fn costs(rules: &[RuleCounts], all: &mut Samples) {
    for rule in rules {
        let labels = [("rule_name", &*rule.name), ("source", &*rule.source)];
        let time = u64::try_from(rule.time.as_nanos()).unwrap_or(u64::MAX);
        for (metric, help, count) in [
            (
                "lanner_rule_evaluations_total",
                "Events that a rule was asked about.",
                rule.evaluations,
            ),
            (
                "lanner_rule_undecided_total",
                "Events on which it could not be told whether a rule matches, without BPF: what decides was not known of them.",
                rule.undecided,
            ),
            (
                "lanner_rule_timed_evaluations_total",
                "Events on which a rule was timed, alone: one in 4096.",
                rule.timed,
            ),
            (
                "lanner_rule_timed_nanoseconds_total",
                "Time a rule took on the events on which it was timed.",
                time,
            ),
        ] {
            all.own(metric, help, Counter, count, &labels);
        }
    }
}
