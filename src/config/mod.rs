//! The configuration: falco.yaml's keys and Lanner's own, with a place for every remark about them.
//!
//! A file becomes a [`tree::Node`], `-o` options change the tree, and the rows of [`keys`] read it. Everything that is
//! wrong is collected; [`load`] never stops at the first mistake.

mod append_output;
mod assign;
mod base_syscalls;
mod container_engines;
mod env;
mod include;
mod keys;
pub(crate) mod manual;
mod message;
mod outputs;
mod selections;
mod serving;
mod shape;
mod tree;
mod values;

use std::path::{Path, PathBuf};

use lanner_engine::AppendOutput;
use lanner_schema::alert::Priority;
use tracing::level_filters::LevelFilter;

use container_engines::Engines;
pub(crate) use message::{ConfigError, Level, Messages};
use message::{Message, Place};
pub(crate) use selections::Placed;
pub(crate) use serving::{Metrics, Web};
use shape::Verdicts;
pub(crate) use shape::{Verdict, json as json_schema};
use tree::{Node, Value};

use crate::drop_monitor::DropConfig;

/// Where the configuration is looked for when `-c` names none.
pub(crate) const DEFAULT_FILE: &str = "/etc/lanner/lanner.yaml";

/// Falco's buffer presets 1 to 10 in bytes: 1 MiB doubled each time.
const PRESETS: u64 = 10;

/// What Lanner was told to do.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The file it came from, if any.
    pub(crate) file: Option<PathBuf>,
    /// The files and directories it was looked for in, whether they are there or not.
    pub(crate) places: Vec<PathBuf>,
    /// `watch_config_files`.
    pub(crate) watch_files: bool,
    /// `rules_files`, in order.
    pub(crate) rules_files: Option<Vec<PathBuf>>,
    /// `priority`: rules below it are not loaded.
    pub(crate) priority: Priority,
    /// `rule_matching: all`: every rule that matches alerts, not only the first.
    pub(crate) match_all: bool,
    /// `engine.real_names`: rules are evaluated by the kernel's names too.
    pub(crate) real_names: bool,
    /// `append_output`.
    pub(crate) append_output: Vec<AppendOutput>,
    /// The rules that its entries match by name, and where each is named.
    pub(crate) append_output_rules: Vec<(String, Place)>,
    /// `rules`: entries that switch rules on and off.
    pub(crate) selections: Vec<Placed>,
    /// `static_fields`: names and texts.
    pub(crate) static_fields: Vec<(String, String)>,
    /// `buffer_format_base64`.
    pub(crate) buffer_base64: bool,
    /// `json_output`.
    pub(crate) json_output: bool,
    /// `json_include_output_property`.
    pub(crate) json_output_property: bool,
    /// `json_include_message_property`.
    pub(crate) json_message_property: bool,
    /// `json_include_output_fields_property`.
    pub(crate) json_fields_property: bool,
    /// `json_include_tags_property`.
    pub(crate) json_tags_property: bool,
    /// `time_format_iso_8601`.
    pub(crate) iso_8601: bool,
    /// The outputs.
    pub(crate) outputs: lanner_outputs::Config,
    /// `log_level`.
    pub(crate) log_level: LevelFilter,
    /// `log_stderr`.
    pub(crate) log_stderr: bool,
    /// Capture.
    pub(crate) capture: lanner_capture::Config,
    /// `syscall_event_drops`.
    pub(crate) drops: DropConfig,
    /// What keeps Lanner from watching with this configuration; everything else works.
    pub(crate) unwatchable: Option<Message>,
    /// `engine.replay.capture_file`, when `engine.kind` is replay: what is gone through instead of this host.
    pub(crate) replay: Option<PathBuf>,
    /// The host's name in alerts, when it is another's.
    pub(crate) hostname: Option<String>,
    /// `nri`, without what `containerd` says.
    pub(crate) nri: lanner_nri::Config,
    /// `nri.seccomp_listener`: where the runtime finds the keeper.
    pub(crate) seccomp_listener: PathBuf,
    /// `containerd`.
    pub(crate) containerd: Containerd,
    /// `container_engines`.
    pub(crate) engines: Engines,
    /// `runtime_directory`: where the control socket is; `None` when there shall be none.
    pub(crate) runtime_directory: Option<PathBuf>,
    /// `webserver`.
    pub(crate) web: Web,
    /// `metrics`.
    pub(crate) metrics: Metrics,
    /// How each file stands against the schema, in the order they were read.
    pub(crate) schema: Vec<Verdict>,
}

/// containerd's own API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Containerd {
    /// `containerd.enabled`.
    pub(crate) enabled: bool,
    /// `containerd.address`.
    pub(crate) address: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            file: None,
            places: Vec::new(),
            watch_files: true,
            rules_files: None,
            priority: Priority::Debug,
            match_all: false,
            real_names: true,
            append_output: Vec::new(),
            append_output_rules: Vec::new(),
            selections: Vec::new(),
            static_fields: Vec::new(),
            buffer_base64: false,
            json_output: false,
            json_output_property: true,
            json_message_property: false,
            json_fields_property: true,
            json_tags_property: true,
            iso_8601: false,
            outputs: lanner_outputs::Config::default(),
            log_level: LevelFilter::INFO,
            log_stderr: true,
            capture: lanner_capture::Config::default(),
            drops: DropConfig::default(),
            unwatchable: None,
            replay: None,
            hostname: None,
            nri: lanner_nri::Config::default(),
            seccomp_listener: lanner_schema::seccomp::LISTENER.into(),
            containerd: Containerd {
                enabled: true,
                address: "/run/containerd/containerd.sock".into(),
            },
            engines: Engines::default(),
            runtime_directory: Some("/run/lanner".into()),
            web: Web::default(),
            metrics: Metrics::default(),
            schema: Vec::new(),
        }
    }
}

/// Reads the configuration: `file` or the default file where there is one, then the `-o` options.
///
/// # Errors
/// When a file that was asked for, or the default file where it exists, can't be read. What is wrong inside is in the
/// messages; look at [`Messages::refused`] before using the configuration.
pub(crate) fn load(file: Option<&Path>, options: &[String]) -> Result<(Config, Messages), ConfigError> {
    let default = Path::new(DEFAULT_FILE);
    let file = file.or_else(|| default.exists().then_some(default));
    let text = match file {
        Some(path) => read_text(path).map_err(|cause| ConfigError::Read {
            path: path.to_owned(),
            cause,
        })?,
        None => String::new(),
    };
    let path = file.unwrap_or(Path::new("built-in configuration"));
    let (mut config, messages) = read(&text, path, options);
    config.file = file.map(Path::to_owned);
    config.places.insert(0, file.unwrap_or(default).to_owned());
    Ok((config, messages))
}

/// As [`load`] with the default file where there is one; the keys of `over`, which comes from `name`, win over those of the
/// file.
///
/// # Errors
/// When the default file is there and can't be read.
pub(crate) fn load_over(over: &str, name: &Path) -> Result<(Config, Messages), ConfigError> {
    let file = Path::new(DEFAULT_FILE);
    let text = match read_text(file) {
        Ok(text) => Some(text),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => None,
        Err(cause) => {
            return Err(ConfigError::Read {
                path: file.to_owned(),
                cause,
            });
        }
    };
    let (mut config, messages) = match &text {
        Some(text) => read_over(text, file, Some((over, name)), &[]),
        None => read_over("", name, Some((over, name)), &[]),
    };
    config.file = Some(match text {
        Some(_) => format!("{}, {}", name.display(), file.display()).into(),
        None => name.to_owned(),
    });
    config.places.insert(0, file.to_owned());
    Ok((config, messages))
}

/// The text of a file. An error about bytes that are no text says where they are.
fn read_text(path: &Path) -> std::io::Result<String> {
    String::from_utf8(std::fs::read(path)?).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let (before, rest) = error.as_bytes().split_at(valid);
        let start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + String::from_utf8_lossy(&before[start..]).chars().count();
        let byte = rest.first().copied().unwrap_or(0);
        let what = format!("line {line}, column {column}: the byte 0x{byte:02x} is not UTF-8 text");
        std::io::Error::new(std::io::ErrorKind::InvalidData, what)
    })
}

/// Reads a configuration's text.
pub(crate) fn read(text: &str, path: &Path, options: &[String]) -> (Config, Messages) {
    read_over(text, path, None, options)
}

/// As [`read`]; the top-level keys of a second text, if there is one, win over those of the first.
fn read_over(text: &str, path: &Path, over: Option<(&str, &Path)>, options: &[String]) -> (Config, Messages) {
    let mut messages = Messages::default();
    let mut root = tree::parse_file(text, path).unwrap_or_else(|message| {
        messages.0.push(message);
        Node {
            at: Place::file(path),
            value: Value::Null,
        }
    });
    if !matches!(root.value, Value::Null | Value::Map(_)) {
        let text = format!("a configuration is a map of keys, this is {}", root.describe());
        messages.error(&root.at, text, "write for example \"json_output: true\"");
        root.value = Value::Null;
    }
    tree::settle_duplicates(&mut root, &mut messages);
    let mut verdicts = Verdicts::default();
    verdicts.add(path, &root);
    // As in Falco: options may name the files to include, and all others win over what is included.
    let mut places = Vec::new();
    let (first, last): (Vec<_>, Vec<_>) = options
        .iter()
        .partition(|option| option.starts_with("config_files"));
    for (options, include) in [(first, true), (last, false)] {
        for option in options {
            if let Err(message) = assign::assign(&mut root, option) {
                messages.0.push(message);
            }
        }
        tree::settle_duplicates(&mut root, &mut messages);
        if include {
            places = include::merge(&mut root, path, &mut messages, &mut verdicts);
            if let Some((text, path)) = over {
                include::merge_over(&mut root, text, path, &mut messages, &mut verdicts);
            }
        }
    }
    let mut settings = keys::Settings::default();
    keys::apply(&root, &mut settings, &mut messages);
    let mut config = finish(settings, &mut messages);
    verdicts.report(&root, &mut messages);
    config.schema = verdicts.files;
    config.places = places;
    messages.0.sort_by_key(|message| message.level);
    (config, messages)
}

/// What several keys decide together.
fn finish(settings: keys::Settings, messages: &mut Messages) -> Config {
    let outputs = outputs::finish(&settings, messages);
    let mut config = settings.config;
    if let (Some(_), Some(single)) = (&settings.rules_files, &settings.rules_file) {
        messages.error(
            &single.1,
            "rules_files and rules_file are both set",
            "keep rules_files only",
        );
    }
    if let Some((_, at)) = &settings.rules_file {
        messages.add(
            Level::Warning,
            at,
            "rules_file is deprecated",
            Some("write rules_files".into()),
        );
    }
    config.rules_files = settings
        .rules_files
        .or(settings.rules_file.map(|(files, _)| files));
    config.outputs = outputs;
    if let Some(at) = &settings.replays {
        match settings.capture_file {
            Some(file) if !file.as_os_str().is_empty() => config.replay = Some(file),
            _ => {
                config.unwatchable = Some(Message {
                    level: Level::Error,
                    place: at.clone(),
                    text: "engine.kind is replay, and engine.replay.capture_file names no recording".into(),
                    hint: Some("name a file of lanner record, or try lanner replay FILE".into()),
                });
            }
        }
    }
    let preset = match settings.kmod {
        true => settings.kmod_preset,
        false => settings.modern_preset,
    };
    config.capture.drop_failed = match settings.kmod {
        true => settings.kmod_drop_failed,
        false => settings.modern_drop_failed,
    };
    if !settings.kmod {
        config.capture.cpus_for_each_buffer = settings.cpus_for_each_buffer;
    }
    if let Some(preset) = preset {
        // The setter allows 1 to 10 only, so this is at most 512 MiB.
        config.capture.ring_bytes = 1 << (20 + preset.saturating_sub(1).min(PRESETS - 1));
    }
    config
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
