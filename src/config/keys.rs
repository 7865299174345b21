//! The table of keys: each row is a key, and either what reads it or that it is known but not served yet.

use std::path::PathBuf;

use lanner_capture::Tier;
use lanner_outputs::Journald;
use lanner_schema::alert::Priority;
use tracing::level_filters::LevelFilter;

use super::append_output;
use super::message::{Level, Message, Messages, Place};
use super::tree::{Node, Value, Wrong};
use super::{Config, PRESETS};

/// What the rows fill; the parts that several keys decide together are put together afterwards.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) rules_files: Option<Vec<PathBuf>>,
    pub(super) rules_file: Option<(Vec<PathBuf>, Place)>,
    pub(super) file_output: FileOutput,
    pub(super) kmod: bool,
    pub(super) kmod_preset: Option<u64>,
    pub(super) modern_preset: Option<u64>,
    /// Remarks about what is inside a value.
    messages: Messages,
}

#[derive(Debug)]
pub(super) struct FileOutput {
    pub(super) enabled: bool,
    pub(super) keep_alive: bool,
    pub(super) filename: PathBuf,
}

impl Default for FileOutput {
    fn default() -> Self {
        FileOutput {
            enabled: false,
            keep_alive: false,
            filename: "./events.txt".into(),
        }
    }
}

/// Fills the settings from one node.
type Setter = fn(&mut Settings, &Node) -> Result<(), Wrong>;

/// What becomes of a key.
enum Serve {
    Read(Setter),
    /// Falco's, not served yet. A section of this kind covers the keys below it that have no row.
    Later,
    /// The same; but when the condition holds, the operator counts on something, and the text says what is missing.
    LaterWarn(fn(&Node) -> bool, &'static str),
}

use Serve::{Later, LaterWarn, Read};

fn truth(node: &Node) -> bool {
    node.truth() == Ok(true)
}

fn filled(node: &Node) -> bool {
    !node.is_empty()
}

/// Every key, Falco's and ours.
#[rustfmt::skip]
static ROWS: &[(&str, Serve)] = &[
    ("rules_files", Read(|s, n| { s.rules_files = Some(paths(n)?); Ok(()) })),
    ("rules_file", Read(|s, n| { s.rules_file = Some((paths(n)?, n.at.clone())); Ok(()) })),
    ("priority", Read(|s, n| { s.config.priority = priority(n)?; Ok(()) })),
    ("rule_matching", Read(|s, n| { s.config.match_all = choice(n, &[("first", false), ("all", true)])?; Ok(()) })),
    ("append_output", Read(|s, n| { s.config.append_output = append_output::read(n, &mut s.messages)?; Ok(()) })),
    ("json_output", Read(|s, n| { s.config.json_output = n.truth()?; Ok(()) })),
    ("json_include_output_property", Read(|s, n| { s.config.json_output_property = n.truth()?; Ok(()) })),
    ("json_include_message_property", Read(|s, n| { s.config.json_message_property = n.truth()?; Ok(()) })),
    ("json_include_output_fields_property", Read(|s, n| { s.config.json_fields_property = n.truth()?; Ok(()) })),
    ("json_include_tags_property", Read(|s, n| { s.config.json_tags_property = n.truth()?; Ok(()) })),
    ("time_format_iso_8601", Read(|s, n| { s.config.iso_8601 = n.truth()?; Ok(()) })),
    ("buffered_outputs", Read(|s, n| { s.config.outputs.buffered = n.truth()?; Ok(()) })),
    ("outputs_queue.capacity", Read(|s, n| { s.config.outputs.queue_capacity = size(n)?; Ok(()) })),
    ("stdout_output.enabled", Read(|s, n| { s.config.outputs.stdout = n.truth()?; Ok(()) })),
    ("syslog_output.enabled", Read(|s, n| { s.config.outputs.syslog = n.truth()?; Ok(()) })),
    ("journald_output.enabled", Read(|s, n| { s.config.outputs.journald = journald(n)?; Ok(()) })),
    ("file_output.enabled", Read(|s, n| { s.file_output.enabled = n.truth()?; Ok(()) })),
    ("file_output.keep_alive", Read(|s, n| { s.file_output.keep_alive = n.truth()?; Ok(()) })),
    ("file_output.filename", Read(|s, n| { s.file_output.filename = path(n)?; Ok(()) })),
    ("log_stderr", Read(|s, n| { s.config.log_stderr = n.truth()?; Ok(()) })),
    ("log_level", Read(|s, n| { s.config.log_level = log_level(n)?; Ok(()) })),
    ("engine.kind", Read(engine_kind)),
    ("engine.tier", Read(|s, n| { s.config.capture.tier = tier(n)?; Ok(()) })),
    ("engine.kmod.buf_size_preset", Read(|s, n| { s.kmod_preset = Some(preset(n)?); Ok(()) })),
    ("engine.modern_ebpf.buf_size_preset", Read(|s, n| { s.modern_preset = Some(preset(n)?); Ok(()) })),
    ("falco_libs.thread_table_size", Read(|s, n| { s.config.capture.process_limit = size(n)?; Ok(()) })),
    ("nri.enabled", Read(|s, n| { s.config.nri.enabled = n.truth()?; Ok(()) })),
    ("nri.socket_path", Read(|s, n| { s.config.nri.socket_path = path(n)?; Ok(()) })),
    ("nri.plugin_index", Read(|s, n| { s.config.nri.plugin_index = Some(plugin_index(n)?); Ok(()) })),
    ("containerd.enabled", Read(|s, n| { s.config.containerd.enabled = n.truth()?; Ok(()) })),
    ("containerd.address", Read(|s, n| { s.config.containerd.address = path(n)?; Ok(()) })),

    ("config_files", Read(|_, _| Ok(()))), // merged before the keys are read
    ("watch_config_files", Later),
    ("rules", LaterWarn(filled, "enabling and disabling rules here is not served yet; every rule stays as its file says")),
    ("engine.kmod", Later),
    ("engine.modern_ebpf", Later),
    ("engine.replay", Later),
    ("capture", Later),
    ("capture.enabled", LaterWarn(truth, "no capture files are written yet")),
    ("load_plugins", Later),
    ("plugins", Later),
    ("plugins_hostinfo", Later),
    ("buffer_format_base64", LaterWarn(truth, "buffers are not printed as base64 yet")),
    ("static_fields", LaterWarn(filled, "static fields are not served yet")),
    ("http_output", Later),
    ("http_output.enabled", LaterWarn(truth, "the HTTP output is not served yet: no alert goes there")),
    ("program_output", Later),
    ("program_output.enabled", LaterWarn(truth, "the program output is not served yet: no alert goes there")),
    ("webserver", Later),
    ("log_syslog", Later),
    ("libs_logger", Later),
    ("output_timeout", Later),
    ("syscall_event_timeouts", Later),
    ("syscall_event_drops", Later),
    ("metrics", Later),
    ("metrics.enabled", LaterWarn(truth, "metrics are not served yet")),
    ("base_syscalls", Later),
    ("base_syscalls.custom_set", LaterWarn(filled, "the set of traced system calls comes from the rules; custom_set is not served yet")),
    ("base_syscalls.all", LaterWarn(truth, "tracing every system call is not served yet")),
    ("falco_libs", Later),
];

/// Keys that Falco once had: the hint says what became of them.
#[rustfmt::skip]
static GONE: &[(&str, &str)] = &[
    ("grpc", "Falco removed its gRPC server"),
    ("grpc_output", "Falco removed its gRPC output"),
    ("outputs", "Falco removed the rate limit of outputs"),
    ("syscall_buf_size_preset", "write engine.modern_ebpf.buf_size_preset"),
    ("metadata_download", "metadata comes from the container runtime"),
];

/// Reads every key of the tree.
pub(super) fn apply(root: &Node, settings: &mut Settings, messages: &mut Messages) {
    let mut later = Vec::new();
    section("", root, settings, messages, &mut later);
    messages.0.append(&mut settings.messages.0);
    if !later.is_empty() {
        let text = format!(
            "known from Falco, not served yet and ignored: {}",
            later.join(", ")
        );
        messages.add(Level::Info, &root.at, text, None);
    }
}

fn row(path: &str) -> Option<&'static Serve> {
    ROWS.iter()
        .find(|(name, _)| *name == path)
        .map(|(_, serve)| serve)
}

/// The keys below `path`, one level deep.
fn children(path: &str) -> impl Iterator<Item = &'static str> {
    ROWS.iter().filter_map(move |(name, _)| {
        let below = match path {
            "" => *name,
            path => name.strip_prefix(path)?.strip_prefix('.')?,
        };
        below.split('.').next()
    })
}

fn section(
    path: &str,
    node: &Node,
    settings: &mut Settings,
    messages: &mut Messages,
    later: &mut Vec<String>,
) {
    let Value::Map(entries) = &node.value else { return };
    for entry in entries {
        let full = match path {
            "" => entry.name.clone(),
            path => format!("{path}.{}", entry.name),
        };
        let has_children = children(&full).next().is_some();
        match row(&full) {
            Some(Read(setter)) => {
                if let Err(wrong) = setter(settings, &entry.node) {
                    let text = format!("{full} must be {}, not {}", wrong.expected, entry.node.describe());
                    messages.add(Level::Error, &entry.node.at, text, wrong.hint);
                }
            }
            Some(LaterWarn(condition, missing)) => {
                let level = if condition(&entry.node) {
                    Level::Warning
                } else {
                    continue;
                };
                messages.add(level, &entry.at, format!("{full}: {missing}"), None);
            }
            Some(Later) | None if has_children => match &entry.node.value {
                Value::Map(_) => {
                    if row(&full).is_some() {
                        later.push(format!("{full}.*"));
                    }
                    section(&full, &entry.node, settings, messages, later);
                }
                Value::Null => {}
                _ => {
                    let text = format!("{full} must be a map of keys, not {}", entry.node.describe());
                    let first = children(&full).next().unwrap_or("key");
                    messages.error(
                        &entry.node.at,
                        text,
                        format!("write \"{}:\" and below it \"  {first}: …\"", entry.name),
                    );
                }
            },
            Some(Later) => later.push(full),
            None if row(path).is_some() => {} // its section is known and reported as a whole
            None => unknown(path, &full, &entry.name, &entry.at, messages),
        }
    }
}

fn unknown(path: &str, full: &str, name: &str, at: &Place, messages: &mut Messages) {
    let gone = GONE
        .iter()
        .find(|(key, _)| *key == full)
        .map(|(_, hint)| (*hint).to_owned());
    let near = || nearest(name, children(path)).map(|near| format!("did you mean {near}?"));
    // A key at the wrong depth: `socket_path` without its `nri`.
    let elsewhere = || {
        let mut rows = ROWS.iter().map(|(key, _)| *key);
        rows.find(|key| key.rsplit('.').next() == Some(name) && key.contains('.'))
            .map(|key| format!("the key is {key}"))
    };
    let hint = gone.or_else(near).or_else(elsewhere);
    messages.add(Level::Warning, at, format!("unknown key {full}, ignored"), hint);
}

/// The candidate that differs least from `word`, when that is no more than a slip of the keyboard.
fn nearest(word: &str, candidates: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

fn choice<T: Copy>(node: &Node, choices: &[(&str, T)]) -> Result<T, Wrong> {
    let found = node
        .text()
        .ok()
        .and_then(|text| choices.iter().find(|(word, _)| *word == text));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        Wrong::new(format!("one of {}", words.join(", ")))
    })
}

fn path(node: &Node) -> Result<PathBuf, Wrong> {
    match node.text() {
        Ok(text) if !text.is_empty() => Ok(PathBuf::from(text)),
        _ => Err(Wrong::new("a path")),
    }
}

fn paths(node: &Node) -> Result<Vec<PathBuf>, Wrong> {
    let texts = node
        .texts()
        .map_err(|_| Wrong::new("a list of files and directories"))?;
    Ok(texts
        .into_iter()
        .filter(|text| !text.is_empty())
        .map(PathBuf::from)
        .collect())
}

fn size(node: &Node) -> Result<usize, Wrong> {
    usize::try_from(node.number()?).map_err(|_| Wrong::new("a smaller number"))
}

fn priority(node: &Node) -> Result<Priority, Wrong> {
    node.text().ok().and_then(Priority::parse).ok_or_else(|| {
        let words: Vec<String> = Priority::ALL.iter().map(|p| p.word().to_lowercase()).collect();
        Wrong::new(format!("one of {}", words.join(", ")))
    })
}

fn log_level(node: &Node) -> Result<LevelFilter, Wrong> {
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

fn journald(node: &Node) -> Result<Journald, Wrong> {
    match (node.text(), node.truth()) {
        (Ok("auto"), _) => Ok(Journald::Auto),
        (_, Ok(true)) => Ok(Journald::On),
        (_, Ok(false)) => Ok(Journald::Off),
        _ => Err(Wrong::new("true, false or auto")),
    }
}

fn engine_kind(settings: &mut Settings, node: &Node) -> Result<(), Wrong> {
    let served = "modern_ebpf or kmod";
    let unwatchable = match node.text() {
        Ok("modern_ebpf" | "auto" | "ebpf") => return Ok(()),
        Ok("kmod") => {
            settings.kmod = true;
            return Ok(());
        }
        // Rules are checked and listed with these; see Config::unwatchable.
        Ok("nodriver") => {
            "engine.kind is nodriver, and without a driver there is nothing to watch: no plugins are loaded"
        }
        Ok("replay") => "engine.kind is replay, and capture files are not replayed yet",
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

fn tier(node: &Node) -> Result<Tier, Wrong> {
    node.text()
        .ok()
        .and_then(Tier::parse)
        .ok_or_else(|| Wrong::new("one of auto, trampoline, sys_exit, raw, none"))
}

fn preset(node: &Node) -> Result<u64, Wrong> {
    let wrong = || Wrong::new(format!("a number from 1 (1 MB) to {PRESETS} (512 MB)"));
    node.number()
        .ok()
        .filter(|preset| (1..=PRESETS).contains(preset))
        .ok_or_else(wrong)
}

fn plugin_index(node: &Node) -> Result<String, Wrong> {
    match node.text() {
        Ok(text) if text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(text.to_owned()),
        _ => Err(Wrong::new("two digits, \"00\" to \"99\"")),
    }
}
