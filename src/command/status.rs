//! `lanner status`: who the running Lanner is, and how it does.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::Value;

use crate::control::{AgentOptions, Request};
use crate::log;
use crate::wrap::wrapped;

/// Shows how the running Lanner does
///
/// Its process id, version, how it was started and when, how it stands with the container runtime, what it captures, what it
/// read and lost, which rules matched and what they cost, and what became of the alerts.
///
/// Exit code: 0; 1 when no Lanner can be asked; 2 when the flags are wrong.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct StatusCommand {
    /// Prints all of it as JSON; "started" is in seconds since the epoch
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    agent: AgentOptions,
}

impl StatusCommand {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let answered = self.agent.ask(Request::Status)?;
        log::out(&match self.json {
            true => format!("{:#}\n", answered.reply),
            false => text(&answered.reply, now()),
        });
        Ok(ExitCode::SUCCESS)
    }
}

/// Seconds since the epoch.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs()
}

/// Characters of a line beside its label.
const WIDTH: usize = 84;
/// Rules that are listed.
const RULES: usize = 10;
/// A ring that has not been read for so long is worth a remark, and so are counts of so long ago.
const SILENT_MS: u64 = 2000;

fn text(status: &Value, now: u64) -> String {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let mut out = String::new();
    let mut row = |label: &str, text: &str| {
        for (index, line) in text.lines().flat_map(|line| wrapped(line, WIDTH)).enumerate() {
            let _ = writeln!(out, "{:<12} {line}", if index == 0 { label } else { "" });
        }
    };
    let age = now.saturating_sub(number(&status["started"]));
    row(
        "Lanner",
        &format!(
            "{}, process {}, for {} ({})",
            word(&status["version"]),
            status["pid"],
            duration(age),
            word(&status["mode"]),
        ),
    );
    row("Runtime", &word(&status["runtime"]));
    row(
        "Containers",
        &format!("{} known", number(&status["known_containers"])),
    );
    if let Some(capture) = status["capture"].as_str() {
        row("Capture", capture);
    }
    if let Some(silence) = status["silence_ms"].as_u64().filter(|ms| *ms > SILENT_MS) {
        row(
            "",
            &format!("the ring has not been read for {} s", silence / 1000),
        );
    }
    let events = &status["events"];
    if events.is_object() {
        row(
            "Events",
            &format!(
                "{} read, {} lost, {} processes known",
                number(&events["read"]),
                number(&events["lost"]),
                number(&events["processes"])
            ),
        );
    }
    match status.get("counted_ms_ago") {
        Some(Value::Null) => row("", "the event thread has not said how many yet"),
        Some(age) if number(age) > SILENT_MS => row(
            "",
            &format!(
                "so it was {} s ago, as with sources and rules: the event thread is busy",
                number(age) / 1000
            ),
        ),
        _ => {}
    }
    for (index, source) in status["sources"].as_array().into_iter().flatten().enumerate() {
        let label = if index == 0 { "Sources" } else { "" };
        let counts = source.as_object().into_iter().flatten();
        let others = counts.filter(|(what, count)| *what != "delivered" && number(count) > 0);
        let mut said = vec![format!("{} delivered", number(&source["delivered"]))];
        said.extend(others.map(|(what, count)| format!("{} {}", number(count), what.replace('_', " "))));
        row(
            label,
            &format!("{}: {}", word(&source["source"]), said.join(", ")),
        );
    }
    for (index, output) in status["outputs"].as_array().into_iter().flatten().enumerate() {
        let queued = match number(&output["queued"]) {
            0 => String::new(),
            queued => format!(", {queued} waiting"),
        };
        let label = if index == 0 { "Outputs" } else { "" };
        row(label, &format!("{}{queued}", word(&output["text"])));
    }
    let reloads = &status["reloads"];
    if reloads.is_object() {
        row(
            "Reloads",
            &format!(
                "{} done, {} refused",
                number(&reloads["done"]),
                number(&reloads["failed"])
            ),
        );
    }
    out.push_str(&rules(&status["rules"]));
    out
}

/// The rules that matched most, then those that were asked most.
fn rules(rules: &Value) -> String {
    let Some(rules) = rules.as_array().filter(|rules| !rules.is_empty()) else {
        return String::new();
    };
    let number = |rule: &Value, key: &str| rule[key].as_u64().unwrap_or(0);
    let mut sorted: Vec<&Value> = rules.iter().collect();
    sorted.sort_by_key(|rule| std::cmp::Reverse((number(rule, "matches"), number(rule, "evaluations"))));
    let mut out = format!(
        "\n{:>10} {:>14} {:>9}  RULE\n",
        "MATCHES", "EVALUATIONS", "NS EACH"
    );
    for rule in sorted.iter().take(RULES) {
        // Alone, without what it shares with others.
        let each = number(rule, "timed_ns").checked_div(number(rule, "timed_evaluations"));
        let _ = writeln!(
            out,
            "{:>10} {:>14} {:>9}  {}",
            number(rule, "matches"),
            number(rule, "evaluations"),
            each.map_or_else(|| "-".to_owned(), |each| each.to_string()),
            rule["rule"].as_str().unwrap_or("?"),
        );
    }
    if sorted.len() > RULES {
        let _ = writeln!(out, "{:>10} more rules: --json lists all", sorted.len() - RULES);
    }
    out
}

/// `3 d 4 h`, `2 min`.
fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_text_has_what_matters_first() {
        let status = json!({
            "pid": 7, "version": "0.1.0", "runtime": "connected to containerd 2.1.9, 3 containers", "mode": "daemon",
            "started": 1000, "known_containers": 3, "capture": "tier sys_exit: because", "silence_ms": 9000,
            "counted_ms_ago": 12_345,
            "events": {"read": 12, "lost": 1, "processes": 90},
            "rules": [
                {"rule": "Quiet", "matches": 0, "evaluations": 5, "timed_evaluations": 0, "timed_ns": 0},
                {"rule": "Loud", "matches": 4, "evaluations": 5, "timed_evaluations": 2, "timed_ns": 300},
            ],
            "sources": [{"source": "connector", "delivered": 12, "queue_full": 1, "overflow": 0, "gone": 2}],
            "outputs": [{"queued": 2, "text": "stdout: 4 delivered, 0 lost"}],
            "reloads": {"done": 1, "failed": 2},
        });
        assert_eq!(
            text(&status, 1000 + 3700),
            "Lanner       0.1.0, process 7, for 1 h 1 min (daemon)\n\
             Runtime      connected to containerd 2.1.9, 3 containers\n\
             Containers   3 known\n\
             Capture      tier sys_exit: because\n\
             \x20            the ring has not been read for 9 s\n\
             Events       12 read, 1 lost, 90 processes known\n\
             \x20            so it was 12 s ago, as with sources and rules: the event thread is busy\n\
             Sources      connector: 12 delivered, 2 gone, 1 queue full\n\
             Outputs      stdout: 4 delivered, 0 lost, 2 waiting\n\
             Reloads      1 done, 2 refused\n\
             \n   MATCHES    EVALUATIONS   NS EACH  RULE\n\
             \x20        4              5       150  Loud\n\
             \x20        0              5         -  Quiet\n"
        );
    }

    #[test]
    fn an_older_agent_says_less() {
        let old =
            json!({"pid": 7, "version": "0.0.9", "runtime": "starting", "mode": "daemon", "started": 0});
        let text = text(&old, 5);
        assert!(
            text.starts_with("Lanner       0.0.9, process 7, for 5 s") && !text.contains("Events"),
            "{text}"
        );
    }
}
