//! What Lanner says when it begins to watch: one screen.

use std::fmt::Write as _;
use std::path::PathBuf;

use lanner_outputs::{Choice, Kind};
use lanner_schema::alert::Priority;

use crate::wrap::wrapped;

/// What the screen shows.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// Where the configuration came from.
    pub(crate) configuration: String,
    /// The capture plan: tier and why.
    pub(crate) capture: String,
    /// A rule runs that alerts of [`TRY`].
    pub(crate) alerts_of_try: bool,
    /// The priorities of the rules.
    pub(crate) priorities: Vec<Priority>,
    /// Where the rules came from.
    pub(crate) rules_files: Vec<String>,
    /// What the rules ask for and this build or host can't give.
    pub(crate) gaps: Vec<String>,
    /// The container runtime.
    pub(crate) containers: String,
    /// The outputs, as decided.
    pub(crate) outputs: Vec<Choice>,
    /// The file of the file output.
    pub(crate) file: Option<PathBuf>,
    /// The recording that is made, and of what.
    pub(crate) recording: Option<String>,
    /// Events are only recorded: no rule is asked about them.
    pub(crate) only_recorded: bool,
}

/// Gaps beyond this many are only counted.
const GAPS: usize = 6;

/// Characters of a line beside its label.
const WIDTH: usize = 84;

/// Files beyond this many are only counted.
const FILES: usize = 4;

/// What one can type to see an alert, and the rules that give one: Lanner's own, and one of Falco's.
pub(crate) const TRY: (&str, [&str; 2]) = (
    "cat /etc/shadow",
    ["Password file read", "Read sensitive file untrusted"],
);

impl Screen {
    /// The screen, at most about two dozen lines.
    pub(crate) fn render(&self) -> String {
        if self.recording.is_some() {
            return format!(
                "\nLanner {} records this host.\n\n{}\n  Ctrl-C stops Lanner and ends the recording.\n\n",
                env!("CARGO_PKG_VERSION"),
                self.rows()
            );
        }
        let hint = match self.alerts_of_try {
            true => format!(
                "  To see an alert, type in a second terminal:\n\n      {}\n\n",
                TRY.0
            ),
            false => String::new(),
        };
        format!(
            "\nLanner {} watches this host.\n\n{}\n{hint}  Ctrl-C stops Lanner and prints what it saw.\n\n",
            env!("CARGO_PKG_VERSION"),
            self.rows()
        )
    }

    /// The same for `--dry-run`.
    pub(crate) fn render_dry(&self) -> String {
        format!(
            "\nLanner {} tried configuration and rules; this was a dry run.\n\n{}\n",
            env!("CARGO_PKG_VERSION"),
            self.rows()
        )
    }

    fn rows(&self) -> String {
        let mut out = String::new();
        let mut row = |label: &str, text: &str| {
            for (index, line) in text.lines().flat_map(|line| wrapped(line, WIDTH)).enumerate() {
                let _ = writeln!(out, "  {:<12} {line}", if index == 0 { label } else { "" });
            }
        };
        if let Some(recording) = &self.recording {
            row("Recording", recording);
        }
        row("Capture", &self.capture);
        row("Rules", &self.rules());
        if !self.gaps.is_empty() {
            row(
                "Gaps",
                &shortened(&self.gaps, GAPS, "\n", "more; log_level debug lists all"),
            );
        }
        row("Containers", &self.containers);
        row("Outputs", &self.outputs());
        row("Configured", &self.configuration);
        out
    }

    /// How many rules run, and where they are from.
    pub(crate) fn rules(&self) -> String {
        let mut by_priority = Vec::new();
        for priority in Priority::ALL {
            let count = self.priorities.iter().filter(|p| **p == priority).count();
            if count > 0 {
                by_priority.push(format!("{count} {}", priority.word().to_lowercase()));
            }
        }
        let kinds = match by_priority.is_empty() {
            true => String::new(),
            false => format!(" (by priority: {})", by_priority.join(", ")),
        };
        let files = shortened(&self.rules_files, FILES, ", ", "more files");
        format!("{}{kinds}\nfrom {files}", self.priorities.len())
    }

    fn outputs(&self) -> String {
        let line = |choice: &Choice| match (choice.on, choice.why) {
            (true, None) => match (choice.kind, &self.file) {
                (Kind::File, Some(path)) => format!("file {}", path.display()),
                (kind, _) => kind.to_string(),
            },
            (true, Some(why)) => format!("{} ({why})", choice.kind),
            (false, why) => format!("not {}: {}", choice.kind, why.unwrap_or("off")),
        };
        match self.outputs.iter().any(|choice| choice.on) {
            _ if self.only_recorded => "none: events are recorded and not judged (--alerts)".into(),
            true => self.outputs.iter().map(line).collect::<Vec<_>>().join("\n"),
            false => "none: alerts are only counted (stdout_output.enabled)".into(),
        }
    }
}

/// The first `most` items, and how many there are beyond.
fn shortened(items: &[String], most: usize, between: &str, rest: &str) -> String {
    let mut text = items
        .iter()
        .take(most)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(between);
    if items.len() > most {
        let _ = write!(text, "{between}and {} {rest}", items.len() - most);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen() -> Screen {
        Screen {
            recording: None,
            only_recorded: false,
            configuration: "built in".into(),
            capture: "tier sys_exit: because".into(),
            alerts_of_try: true,
            priorities: vec![Priority::Warning, Priority::Notice, Priority::Warning],
            rules_files: vec!["built-in rules".into()],
            gaps: (0..9).map(|n| format!("gap {n}")).collect(),
            containers: "NRI: waiting for /var/run/nri/nri.sock".into(),
            outputs: vec![
                Choice {
                    kind: Kind::Stdout,
                    on: true,
                    why: None,
                },
                Choice {
                    kind: Kind::Syslog,
                    on: false,
                    why: Some("twice"),
                },
                Choice {
                    kind: Kind::File,
                    on: true,
                    why: None,
                },
            ],
            file: Some("/var/log/alerts.txt".into()),
        }
    }

    #[test]
    fn the_screen_says_what_is_watched_and_what_to_try() {
        let text = screen().render();
        for part in [
            "  Capture      tier sys_exit: because\n",
            "  Rules        3 (by priority: 2 warning, 1 notice)\n               from built-in rules\n",
            "  Gaps         gap 0\n               gap 1\n",
            "               and 3 more; log_level debug lists all\n",
            "  Outputs      stdout\n               not syslog: twice\n               file /var/log/alerts.txt\n",
            "cat /etc/shadow",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.lines().count() <= 25, "{text}");
    }

    #[test]
    fn nothing_is_promised_of_rules_that_do_not_alert_of_it() {
        let other = Screen {
            alerts_of_try: false,
            ..screen()
        };
        let text = other.render();
        assert!(
            !text.contains("To see an alert") && text.contains("\n\n  Ctrl-C stops"),
            "{text}"
        );
    }

    #[test]
    fn no_output_is_said() {
        let none = Screen {
            outputs: vec![],
            ..screen()
        };
        assert!(
            none.render()
                .contains("Outputs      none: alerts are only counted"),
            "{}",
            none.render()
        );
    }

    #[test]
    fn a_recording_that_judges_nothing_does_not_promise_to_count_alerts() {
        let recording = |only_recorded| Screen {
            outputs: vec![],
            recording: Some("FILE".into()),
            only_recorded,
            ..screen()
        };
        let text = recording(true).render();
        assert!(
            text.contains("Outputs      none: events are recorded and not judged"),
            "{text}"
        );
        let text = recording(false).render();
        assert!(
            text.contains("Outputs      none: alerts are only counted"),
            "{text}"
        );
    }
}
