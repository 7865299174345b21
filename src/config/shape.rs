//! The schema of configurations (`--config-schema`), and how files stand against it. As in Falco a file that differs is
//! read all the same; keys that are served and can't be read are errors of their own.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use lanner_engine::shape::{Content, MapShape, Mismatch, Problem, Shape, Tree};

use super::keys;
use super::message::{Level, Message, Messages, Place};
use super::tree::{Node, Value};

/// The JSON schema of a configuration, as `--config-schema` prints it.
pub(crate) fn json() -> String {
    format!("{:#}\n", keys::shape().json_schema())
}

/// How a file stands against the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The file.
    pub(crate) file: PathBuf,
    /// Falco's status: `ok`, or `failed for <root>[…]: …` with the first difference.
    pub(crate) status: String,
}

impl Verdict {
    /// Whether the file fits.
    pub(crate) fn is_valid(&self) -> bool {
        self.status == "ok"
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | schema validation: {}", self.file.display(), self.status)
    }
}

/// What the schema says about the files of a configuration.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    pub(super) files: Vec<Verdict>,
    differences: Vec<Message>,
}

impl Verdicts {
    /// Compares a file; one that is empty or no map has nothing to compare.
    pub(super) fn add(&mut self, file: &Path, root: &Node) {
        if !matches!(root.value, Value::Map(_)) {
            return;
        }
        let first = self.compare(root);
        self.files.push(Verdict {
            file: file.to_owned(),
            status: first.unwrap_or_else(|| "ok".to_owned()),
        });
    }

    /// Compares what files and options came to, and adds the differences to the messages, but those that a message is
    /// about already.
    pub(super) fn report(&mut self, root: &Node, messages: &mut Messages) {
        self.compare(root);
        let mut said: HashSet<String> = messages.0.iter().map(|m| m.place.to_string()).collect();
        let new = |message: &Message| said.insert(message.place.to_string());
        messages
            .0
            .extend(std::mem::take(&mut self.differences).into_iter().filter(new));
    }

    /// Gives Falco's status of the first difference.
    fn compare(&mut self, root: &Node) -> Option<String> {
        let problems = match root.value {
            Value::Map(_) => keys::shape().check(root),
            _ => Vec::new(),
        };
        let unread = problems.iter().filter(|problem| !is_read(problem));
        self.differences.extend(unread.map(message));
        problems.first().map(Problem::status)
    }
}

/// True of a key that no schema has and that is read all the same: something else is said of it.
fn is_read(problem: &Problem<Place>) -> bool {
    match &problem.mismatch {
        Mismatch::UnknownKey { key, .. } => problem.path == "<root>" && keys::is_deprecated(key),
        _ => false,
    }
}

fn message(problem: &Problem<Place>) -> Message {
    let at = dotted(&problem.path);
    let text = match &problem.mismatch {
        Mismatch::UnknownKey { key, .. } if at.is_empty() => format!("unknown key {key}, ignored"),
        Mismatch::UnknownKey { key, .. } => format!("unknown key {at}.{key}, ignored"),
        Mismatch::Value { expected, found, .. } => format!("{at} should be {expected}, not {found}"),
        other => format!("{at}: {other}"),
    };
    Message {
        level: Level::Warning,
        place: problem.place.clone(),
        text,
        hint: problem.hint(),
    }
}

/// `<root>[plugins][0][name]` as keys are written with `-o`: `plugins[0].name`.
fn dotted(path: &str) -> String {
    let mut dotted = String::new();
    let steps = path.strip_prefix("<root>").unwrap_or(path).split(']');
    for step in steps.filter_map(|step| step.strip_prefix('[')) {
        match step.parse::<usize>() {
            Ok(index) => dotted.push_str(&format!("[{index}]")),
            Err(_) if dotted.is_empty() => dotted.push_str(step),
            Err(_) => {
                dotted.push('.');
                dotted.push_str(step);
            }
        }
    }
    dotted
}

impl Tree for Node {
    type Place = Place;

    fn place(&self) -> Place {
        self.at.clone()
    }

    fn content(&self) -> Content<'_, Node> {
        match &self.value {
            Value::Null => Content::Nothing,
            Value::Scalar(text) => Content::Scalar(text),
            Value::List(items) => Content::List(items.iter().collect()),
            Value::Map(entries) => Content::Map(
                entries
                    .iter()
                    .map(|entry| (entry.name.as_str(), entry.at.clone(), &entry.node))
                    .collect(),
            ),
        }
    }
}

/// Falco's names of the maps of keys.
#[rustfmt::skip]
const TITLES: &[(&str, &str)] = &[
    ("", "FalcoConfig"),
    ("engine", "Engine"),
    ("engine.kmod", "Kmod"),
    ("engine.modern_ebpf", "ModernEbpf"),
    ("engine.replay", "Replay"),
    ("capture", "Capture"),
    ("outputs_queue", "OutputsQueue"),
    ("stdout_output", "Output"),
    ("syslog_output", "Output"),
    ("file_output", "FileOutput"),
    ("http_output", "HTTPOutput"),
    ("program_output", "ProgramOutput"),
    ("webserver", "Webserver"),
    ("libs_logger", "LibsLogger"),
    ("syscall_event_timeouts", "SyscallEventTimeouts"),
    ("syscall_event_drops", "SyscallEventDrops"),
    ("metrics", "Metrics"),
    ("base_syscalls", "BaseSyscalls"),
    ("falco_libs", "FalcoLibs"),
];

/// The keys of a map, with the shape of each that is no map of keys itself.
pub(super) type Keys = Vec<(&'static str, Option<Shape>)>;

/// A map of keys; `below` gives those of a path.
pub(super) fn section(path: &str, below: &dyn Fn(&str) -> Keys) -> Shape {
    let title = TITLES.iter().find(|(section, _)| *section == path);
    let key = |(name, shape): (&'static str, Option<Shape>)| match shape {
        Some(shape) => (name, shape),
        None if path.is_empty() => (name, section(name, below)),
        None => (name, section(&format!("{path}.{name}"), below)),
    };
    Shape::map(
        title.map_or("", |(_, title)| title),
        below(path).into_iter().map(key).collect(),
    )
}

pub(super) fn config_files() -> Shape {
    let included = Shape::Map(MapShape {
        title: "ConfigFile",
        keys: vec![
            ("path", Shape::Text),
            ("strategy", Shape::Word(vec!["append", "override", "add-only"])),
        ],
        required: vec!["path"],
        ..MapShape::default()
    });
    Shape::list(Shape::Either(vec![Shape::Text, included]))
}

pub(super) fn rules() -> Shape {
    let one_of = |title, keys| {
        Shape::Map(MapShape {
            title,
            keys,
            at_least: 1,
            ..MapShape::default()
        })
    };
    let able = || one_of("Able", vec![("rule", Shape::Text), ("tag", Shape::Text)]);
    Shape::list(one_of("Rule", vec![("disable", able()), ("enable", able())]))
}

pub(super) fn plugins() -> Shape {
    let free = Shape::any_map(Shape::Any);
    Shape::list(Shape::Map(MapShape {
        title: "Plugin",
        keys: vec![
            ("name", Shape::Text),
            ("library_path", Shape::Text),
            (
                "init_config",
                Shape::Either(vec![free, Shape::Text, Shape::Nothing]),
            ),
            ("open_params", Shape::Text),
        ],
        required: vec!["library_path", "name"],
        ..MapShape::default()
    }))
}

pub(super) fn append_output() -> Shape {
    let matching = Shape::map(
        "",
        vec![
            ("source", Shape::Text),
            ("tags", Shape::list(Shape::Text)),
            ("rule", Shape::Text),
        ],
    );
    let field = Shape::Either(vec![Shape::Text, Shape::any_map(Shape::Text)]);
    Shape::list(Shape::map(
        "AppendOutput",
        vec![
            ("match", matching),
            ("extra_output", Shape::Text),
            ("extra_fields", Shape::list(field)),
            ("suggested_output", Shape::Truth),
        ],
    ))
}

pub(super) fn static_fields() -> Shape {
    Shape::any_map(Shape::Text)
}

pub(super) fn truth_or_auto() -> Shape {
    Shape::Either(vec![Shape::Truth, Shape::Word(vec!["auto"])])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{read, tree};

    fn texts(text: &str) -> (Vec<String>, String) {
        let (config, messages) = read(text, Path::new("f.yaml"), &[]);
        let warnings = messages.0.iter().filter(|m| m.level != Level::Info);
        (
            warnings.map(ToString::to_string).collect(),
            config.schema[0].to_string(),
        )
    }

    #[test]
    fn keys_that_are_not_served_are_compared_too() {
        let text = "\
http_output: {enabled: off}
syscall_event_drops: {threshold: .1, actions: log}
plugins:
  - name: json
    lib_path: libjson.so
    init_config: \"\"
load_plugins: [jsn, container, k8saudit]
libs_logger: {severity: warnning}
capture: {mode: all, max_file_size_mb: many}
append_output:
  - match: {tag: [a]}
    extra_fields: [proc.name, {k: \"%proc.pid\"}]
config_files: [{path: /nonexistent, strategy: overide}]
static_fields: {region: eu}
time_format_iso_8601: yes
";
        let (warnings, verdict) = texts(text);
        assert_eq!(
            warnings,
            [
                "f.yaml:7:16: load_plugins[0]: no entry of plugins has the name \"jsn\" (did you mean json?)",
                "f.yaml:7:32: load_plugins[2]: no entry of plugins has the name \"k8saudit\"",
                "f.yaml:1:24: http_output.enabled should be true or false, not \"off\" (write false)",
                "f.yaml:2:47: syscall_event_drops.actions should be a list, not \"log\"",
                "f.yaml:4:5: plugins[0]: the key 'library_path' is missing (add \"library_path: …\")",
                "f.yaml:5:5: unknown key plugins[0].lib_path, ignored",
                "f.yaml:8:25: libs_logger.severity should be one of fatal, critical, error, warning, notice, info, debug, trace, not \"warnning\" (write warning)",
                "f.yaml:9:17: capture.mode should be one of rules, all_rules, not \"all\"",
                "f.yaml:9:40: capture.max_file_size_mb should be a whole number, not \"many\"",
                "f.yaml:11:13: unknown key append_output[0].match.tag, ignored (did you mean tags?)",
                "f.yaml:13:47: config_files[0].strategy should be one of append, override, add-only, not \"overide\" (write override)",
                "f.yaml:15:23: time_format_iso_8601 should be true or false, not \"yes\" (write true)",
            ]
        );
        assert_eq!(
            verdict,
            "f.yaml | schema validation: failed for <root>[http_output][enabled]: must be true or false, not \"off\""
        );
    }

    #[test]
    fn each_file_has_its_verdict() {
        let dir = tempfile::tempdir().unwrap();
        let more = dir.path().join("more.yaml");
        std::fs::write(&more, "json_output: true\nmetrics: {enabeld: true}\n").unwrap();
        let text = format!("config_files: [{}]\nnri: {{enabled: true}}\n", more.display());
        let (config, messages) = read(&text, Path::new("f.yaml"), &["wrong.key=1".into()]);
        let verdicts: Vec<String> = config.schema.iter().map(ToString::to_string).collect();
        assert_eq!(
            verdicts,
            [
                "f.yaml | schema validation: ok".to_owned(),
                format!(
                    "{} | schema validation: failed for <root>[metrics]: the key 'enabeld' is unknown",
                    more.display()
                ),
            ]
        );
        assert!(config.schema[0].is_valid() && !config.schema[1].is_valid());
        // The reader of keys says it, once and with its guess.
        let said = messages.0.iter().filter(|m| m.text.contains("enabeld"));
        assert_eq!(said.count(), 1);
        let (config, _) = read("# nothing\n", Path::new("f.yaml"), &[]);
        assert!(config.schema.is_empty());
    }

    /// The numbers of Falco's own schema.
    #[test]
    fn every_key_of_falco_is_known() {
        const OWN: [&str; 12] = [
            "otlp_output",
            "engine.real_names",
            "outputs_spool",
            "engine.tier",
            "program_output.timeout_ms",
            "runtime_directory",
            "journald_output.enabled",
            "nri",
            "containerd",
            "container_engines",
            "engine.seccomp_keeper",
            "config_files[].",
        ];
        fn keys(shape: &Shape, path: &str, all: &mut Vec<(String, bool)>) {
            match shape {
                Shape::Map(map) => {
                    for (name, shape) in &map.keys {
                        let path = match path {
                            "" => (*name).to_owned(),
                            path => format!("{path}.{name}"),
                        };
                        let before = all.len();
                        keys(shape, &path, all);
                        let is_leaf = all.len() == before;
                        all.push((path, is_leaf));
                    }
                }
                Shape::List(item) => keys(item, &format!("{path}[]"), all),
                Shape::Either(shapes) => shapes.iter().for_each(|shape| keys(shape, path, all)),
                _ => {}
            }
        }
        let mut all = Vec::new();
        keys(&keys::shape(), "", &mut all);
        all.retain(|(path, _)| !OWN.iter().any(|own| path.starts_with(own)) && path != "journald_output");
        // What an item of config_files may be is below a key that Falco counts as one.
        assert_eq!(all.len(), 133, "{all:#?}");
        let leaves = all
            .iter()
            .filter(|(path, is_leaf)| *is_leaf || path == "config_files");
        assert_eq!(leaves.count(), 109);
        assert_eq!(
            all.iter().filter(|(path, _)| !path.contains(['.', '['])).count(),
            39
        );

        // The configuration that the tests start has each of them.
        fn written(node: &Node, path: &str, all: &mut BTreeSet<String>) {
            match &node.value {
                Value::Map(entries) => {
                    for entry in entries {
                        let path = match path {
                            "" => entry.name.clone(),
                            path => format!("{path}.{}", entry.name),
                        };
                        written(&entry.node, &path, all);
                        all.insert(path);
                    }
                }
                Value::List(items) => items
                    .iter()
                    .for_each(|item| written(item, &format!("{path}[]"), all)),
                Value::Null | Value::Scalar(_) => {}
            }
        }
        let sample = include_str!("sample_falco.yaml");
        let root = tree::parse_file(sample, Path::new("falco.yaml")).unwrap();
        let mut in_sample = BTreeSet::new();
        written(&root, "", &mut in_sample);
        let missing: Vec<_> = all.iter().filter(|(path, _)| !in_sample.contains(path)).collect();
        assert!(missing.is_empty(), "{missing:#?}");
    }

    #[test]
    fn the_schema_is_printed_with_its_types() {
        let schema = keys::shape().json_schema();
        assert_eq!(schema["$ref"], "#/definitions/FalcoConfig");
        let below = |title: &str, key: &str| schema["definitions"][title]["properties"][key].clone();
        assert_eq!(
            below("FalcoConfig", "stdout_output")["$ref"],
            "#/definitions/Output"
        );
        assert_eq!(below("FalcoConfig", "json_output")["type"], "boolean");
        assert_eq!(below("HTTPOutput", "max_consecutive_timeouts")["type"], "integer");
        assert_eq!(below("SyscallEventDrops", "threshold")["type"], "number");
        assert_eq!(below("Able", "tag")["type"], "string");
        assert_eq!(
            schema["definitions"]["FalcoConfig"]["additionalProperties"],
            false
        );
        assert!(below("FalcoConfig", "rules_file").is_null(), "it is deprecated");
        assert_eq!(
            below("FalcoConfig", "nri")["properties"]["socket_path"]["type"],
            "string"
        );
    }
}
