//! Alerts counted by rule and priority, and Falco's lines about them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use lanner_schema::alert::{Alert, Priority};

/// Alerts since the start.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    by_rule: HashMap<Arc<str>, u64>,
    by_priority: [u64; Priority::ALL.len()],
}

impl Tally {
    pub(crate) fn add(&mut self, alert: &Alert) {
        self.by_priority[usize::from(alert.priority.severity())] += 1;
        match self.by_rule.get_mut(&alert.rule) {
            Some(count) => *count += 1,
            None => {
                self.by_rule.insert(Arc::clone(&alert.rule), 1);
            }
        }
    }

    /// All alerts.
    pub(crate) fn total(&self) -> u64 {
        self.by_priority.iter().sum()
    }

    /// What Falco prints on standard output when it ends; most frequent rules first.
    pub(crate) fn falco_lines(&self) -> String {
        let mut out = format!("Events detected: {}\nRule counts by severity:\n", self.total());
        for (priority, count) in Priority::ALL
            .iter()
            .zip(self.by_priority)
            .filter(|(_, count)| *count > 0)
        {
            // Falco's own words here: capitals, and the short form of Informational.
            let word = match priority {
                Priority::Informational => "INFO".into(),
                priority => priority.word().to_uppercase(),
            };
            let _ = writeln!(out, "   {word}: {count}");
        }
        out.push_str("Triggered rules by rule name:\n");
        let mut rules: Vec<(&Arc<str>, &u64)> = self.by_rule.iter().collect();
        rules.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        for (rule, count) in rules {
            let _ = writeln!(out, "   {rule}: {count}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(rule: &str, priority: Priority) -> Alert {
        Alert {
            time: 0,
            priority,
            rule: rule.into(),
            source: "syscall".into(),
            tags: Arc::from([]),
            message: String::new(),
            fields: vec![],
            line: String::new(),
        }
    }

    #[test]
    fn the_lines_are_falcos() {
        let mut tally = Tally::default();
        for (rule, priority) in [
            ("b", Priority::Warning),
            ("a", Priority::Informational),
            ("b", Priority::Warning),
        ] {
            tally.add(&alert(rule, priority));
        }
        let expected = "Events detected: 3\nRule counts by severity:\n   WARNING: 2\n   INFO: 1\n\
                        Triggered rules by rule name:\n   b: 2\n   a: 1\n";
        assert_eq!(tally.falco_lines(), expected);
    }
}
