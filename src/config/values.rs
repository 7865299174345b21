//! What the values of keys may be: each reader says what it expected when it finds something else.

use std::path::PathBuf;
use std::time::Duration;

use lanner_capture::Tier;
use lanner_outputs::Journald;
use lanner_schema::alert::Priority;
use tracing::level_filters::LevelFilter;

use crate::drop_monitor::DropActions;

use super::PRESETS;
use super::keys::Settings;
use super::message::{Level, Message};
use super::tree::{Entry, Node, Value, Wrong};

pub(super) fn choice<T: Copy>(node: &Node, choices: &[(&str, T)]) -> Result<T, Wrong> {
    let found = node
        .text()
        .ok()
        .and_then(|text| choices.iter().find(|(word, _)| *word == text));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        Wrong::new(format!("one of {}", words.join(", ")))
    })
}

pub(super) fn path(node: &Node) -> Result<PathBuf, Wrong> {
    match node.text() {
        Ok(text) if !text.is_empty() => Ok(PathBuf::from(text)),
        _ => Err(Wrong::new("a path")),
    }
}

/// A path; empty for none.
pub(super) fn optional_path(node: &Node) -> Result<Option<PathBuf>, Wrong> {
    match node.text() {
        Ok("") => Ok(None),
        Ok(text) => Ok(Some(PathBuf::from(text))),
        Err(_) => Err(Wrong::new("a path, or \"\" for none")),
    }
}

pub(super) fn paths(node: &Node) -> Result<Vec<PathBuf>, Wrong> {
    let texts = node
        .texts()
        .map_err(|wrong| wrong.of("a list of files and directories"))?;
    Ok(texts
        .into_iter()
        .filter(|text| !text.is_empty())
        .map(PathBuf::from)
        .collect())
}

/// A socket of this host.
pub(super) fn socket(node: &Node) -> Result<PathBuf, Wrong> {
    let wrong = || Wrong::new("the path of a socket, from / on");
    path(node)
        .ok()
        .filter(|path| path.is_absolute())
        .ok_or_else(wrong)
}

/// Sockets; as in Falco, an empty list leaves the usual ones.
pub(super) fn sockets(into: &mut Vec<PathBuf>, node: &Node) -> Result<(), Wrong> {
    let given = paths(node).map_err(|_| Wrong::new("a list of sockets"))?;
    if !given.is_empty() {
        *into = given;
    }
    Ok(())
}

/// Fewer would leave processes without their parents on every event, and rules true that ask who it was not.
const PROCESSES_MIN: usize = 1000;

/// The size of the process table.
pub(super) fn processes(node: &Node) -> Result<usize, Wrong> {
    let wrong = || Wrong::new("a number of processes, 1000 or more");
    let count = usize::try_from(node.number().map_err(|_| wrong())?).map_err(|_| wrong())?;
    (count >= PROCESSES_MIN).then_some(count).ok_or_else(wrong)
}

pub(super) fn size(node: &Node) -> Result<usize, Wrong> {
    usize::try_from(node.number()?).map_err(|_| Wrong::new("a smaller number"))
}

pub(super) fn priority(node: &Node) -> Result<Priority, Wrong> {
    node.text().ok().and_then(Priority::parse).ok_or_else(|| {
        let words: Vec<String> = Priority::ALL.iter().map(|p| p.word().to_lowercase()).collect();
        Wrong::new(format!("one of {}", words.join(", ")))
    })
}

pub(super) fn log_level(node: &Node) -> Result<LevelFilter, Wrong> {
    choice(
        node,
        &[
            ("emergency", LevelFilter::ERROR),
            ("alert", LevelFilter::ERROR),
            ("critical", LevelFilter::ERROR),
            ("error", LevelFilter::ERROR),
            ("warning", LevelFilter::WARN),
            ("notice", LevelFilter::INFO),
            ("info", LevelFilter::INFO),
            ("informational", LevelFilter::INFO),
            ("debug", LevelFilter::DEBUG),
        ],
    )
}

pub(super) fn journald(node: &Node) -> Result<Journald, Wrong> {
    match (node.text(), node.truth()) {
        (Ok("auto"), _) => Ok(Journald::Auto),
        (_, Ok(true)) => Ok(Journald::On),
        (_, Ok(false)) => Ok(Journald::Off),
        _ => Err(Wrong::new("true, false or auto")),
    }
}

pub(super) fn engine_kind(settings: &mut Settings, node: &Node) -> Result<(), Wrong> {
    let served = "modern_ebpf, kmod, replay or nodriver";
    let unwatchable = match node.text() {
        Ok("modern_ebpf" | "auto") => return Ok(()),
        Ok("ebpf") => {
            settings.messages.add(
                Level::Warning,
                &node.at,
                "engine.kind ebpf means modern_ebpf: Falco removed the older one in 0.44",
                Some("write modern_ebpf".into()),
            );
            return Ok(());
        }
        Ok("kmod") => {
            settings.kmod = true;
            return Ok(());
        }
        // Rules are checked and listed with these; see Config::unwatchable.
        Ok("nodriver") => {
            "engine.kind is nodriver, and without a driver there is nothing to watch: no plugins are loaded"
        }
        Ok("replay") => {
            settings.replays = Some(node.at.clone());
            return Ok(());
        }
        Ok("gvisor") => return Err(Wrong::new(served).with_hint("Falco removed gVisor support in 0.44")),
        _ => return Err(Wrong::new(served)),
    };
    settings.config.unwatchable = Some(Message {
        level: Level::Error,
        place: node.at.clone(),
        text: unwatchable.into(),
        hint: Some(format!("write {served} to watch this host")),
    });
    Ok(())
}

pub(super) fn tier(node: &Node) -> Result<Tier, Wrong> {
    node.text()
        .ok()
        .and_then(Tier::parse)
        .ok_or_else(|| Wrong::new("one of auto, prefer_trampoline, trampoline, sys_exit, raw, none"))
}

pub(super) fn preset(node: &Node) -> Result<u64, Wrong> {
    let wrong = || Wrong::new(format!("a number from 1 (1 MB) to {PRESETS} (512 MB)"));
    node.number()
        .ok()
        .filter(|preset| (1..=PRESETS).contains(preset))
        .ok_or_else(wrong)
}

fn fraction(node: &Node, wanted: impl Fn(f64) -> bool) -> Option<f64> {
    let number: f64 = node.text().ok()?.parse().ok()?;
    (number.is_finite() && wanted(number)).then_some(number)
}

/// A part of the whole.
pub(super) fn share(node: &Node) -> Result<f64, Wrong> {
    fraction(node, |number| (0.0..=1.0).contains(&number)).ok_or_else(|| Wrong::new("a number from 0 to 1"))
}

pub(super) fn positive(node: &Node) -> Result<f64, Wrong> {
    fraction(node, |number| number >= 0.0).ok_or_else(|| Wrong::new("a number, 0 or more"))
}

/// What is done about lost events. As in Falco `ignore` stands alone, but for `exit`.
pub(super) fn drop_actions(node: &Node) -> Result<DropActions, Wrong> {
    const EXPECTED: &str = "a list of ignore, log, alert and exit";
    let words = node
        .each(|item| choice(item, &["ignore", "log", "alert", "exit"].map(|word| (word, word))))
        .map_err(|wrong| wrong.of(EXPECTED))?;
    let actions = DropActions {
        log: words.contains(&"log"),
        alert: words.contains(&"alert"),
        exit: words.contains(&"exit"),
    };
    if !words.contains(&"ignore") || !(actions.log || actions.alert) {
        return Ok(actions);
    }
    let wrong = Wrong::new(EXPECTED).with_hint("with ignore neither log nor alert makes sense");
    let ignore = match &node.value {
        Value::List(items) => items.iter().find(|item| item.text() == Ok("ignore")),
        _ => None,
    };
    Err(wrong.with_item(ignore.unwrap_or(node)))
}

pub(super) fn plugin_index(node: &Node) -> Result<String, Wrong> {
    match node.text() {
        Ok(text) if text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(text.to_owned()),
        _ => Err(Wrong::new("two digits, \"00\" to \"99\"")),
    }
}

/// What a runtime takes for a plugin's name.
pub(super) fn plugin_name(node: &Node) -> Result<String, Wrong> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte);
    match node.text() {
        Ok(text) if !text.is_empty() && text.bytes().all(allowed) => Ok(text.to_owned()),
        _ => Err(Wrong::new("a name of letters, digits and _ . + -")),
    }
}

/// Falco's key has eight bits.
pub(super) fn retries(node: &Node) -> Result<u32, Wrong> {
    let number = node.number().ok().and_then(|number| u8::try_from(number).ok());
    number
        .map(u32::from)
        .ok_or_else(|| Wrong::new("a number from 0 to 255"))
}

pub(super) fn megabytes(node: &Node) -> Result<u64, Wrong> {
    let number = node.number().ok().filter(|number| (1..=1 << 20).contains(number));
    number
        .map(|number| number << 20)
        .ok_or_else(|| Wrong::new("megabytes, 1 or more"))
}

/// A server of gRPC.
pub(super) fn endpoint(node: &Node) -> Result<String, Wrong> {
    let is_url = |text: &str| lanner_outputs::HttpConfig::new(text).is_ok();
    match node.text() {
        Ok(text) if is_url(text) => Ok(text.to_owned()),
        _ => Err(Wrong::new("a URL, http://HOST:PORT or https://HOST:PORT")),
    }
}

/// What can stand in a header of HTTP.
pub(super) fn header(node: &Node) -> Result<String, Wrong> {
    match node.text() {
        Ok(text) if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) => Ok(text.to_owned()),
        _ => Err(Wrong::new("a text of one line, in ASCII")),
    }
}

/// The longest time that is waited for anything: longer is a mistake of units.
const WAIT_MAX_MS: u64 = 600_000;

/// A limit in milliseconds. Nothing is done within no time at all.
pub(super) fn limit_ms(node: &Node) -> Result<Duration, Wrong> {
    match duration_ms(node) {
        Ok(limit) if !limit.is_zero() => Ok(limit),
        _ => Err(Wrong::new(format!("milliseconds, 1 to {WAIT_MAX_MS}"))),
    }
}

/// Milliseconds, or none.
pub(super) fn duration_ms(node: &Node) -> Result<Duration, Wrong> {
    match node.number() {
        Ok(ms) if ms <= WAIT_MAX_MS => Ok(Duration::from_millis(ms)),
        _ => Err(Wrong::new(format!("milliseconds, 0 to {WAIT_MAX_MS}"))),
    }
}

/// Names and texts of the fields `static.NAME`.
pub(super) fn static_fields(node: &Node) -> Result<Vec<(String, String)>, Wrong> {
    let wrong = || {
        Wrong::new("a map of names and texts")
            .with_hint("write \"static_fields:\" and below it \"  region: eu-1\"")
    };
    let entries = match &node.value {
        Value::Null => return Ok(Vec::new()),
        Value::Map(entries) => entries,
        _ => return Err(wrong()),
    };
    let field = |entry: &Entry| {
        let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let name = &entry.name;
        if name.is_empty() || !name.chars().all(usable) {
            return Err(Wrong::new("a map whose names can stand in a condition")
                .with_hint(format!("\"{name}\" has more than letters, digits, _ and .")));
        }
        match &entry.node.value {
            Value::Null => Ok((name.clone(), String::new())),
            Value::Scalar(text) => Ok((name.clone(), text.clone())),
            _ => Err(wrong().with_hint(format!("\"{name}\" is {}", entry.node.describe()))),
        }
    };
    entries.iter().map(field).collect()
}
