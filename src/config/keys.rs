//! The table of keys: each row is a key, and either what reads it or that it is known but not served yet.

use std::path::PathBuf;
use std::time::Duration;

use lanner_engine::shape::Shape;
use lanner_engine::{Scope, nearest};
use lanner_schema::event::{MAX_SNAPLEN, SNAPLEN};

use super::message::{Level, Messages, Place};
use super::tree::{Node, Value, Wrong};
use super::values::{
    choice, drop_actions, duration_ms, endpoint, engine_kind, header, journald, limit_ms, log_level,
    megabytes, optional_path, path, paths, plugin_index, plugin_name, positive, preset, priority, processes,
    retries, share, size, socket, sockets, static_fields, tier,
};
use super::{Config, append_output, base_syscalls, container_engines, selections, serving, shape};

/// What the rows fill; the parts that several keys decide together are put together afterwards.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) rules_files: Option<Vec<PathBuf>>,
    pub(super) rules_file: Option<(Vec<PathBuf>, Place)>,
    pub(super) file_output: FileOutput,
    pub(super) program_output: ProgramOutput,
    pub(super) http_output: HttpOutput,
    pub(super) otlp_enabled: bool,
    pub(super) otlp: lanner_outputs::OtlpConfig,
    pub(super) spool_enabled: bool,
    pub(super) spool: lanner_outputs::SpoolConfig,
    /// Where `engine.kind: replay` is, if it is.
    pub(super) replays: Option<Place>,
    pub(super) capture_file: Option<PathBuf>,
    pub(super) kmod: bool,
    pub(super) kmod_preset: Option<u64>,
    pub(super) modern_preset: Option<u64>,
    pub(super) cpus_for_each_buffer: usize,
    pub(super) kmod_drop_failed: bool,
    pub(super) modern_drop_failed: bool,
    /// The names that formats may use.
    scope: Scope,
    /// Remarks about what is inside a value.
    pub(super) messages: Messages,
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

#[derive(Debug, Default)]
pub(super) struct ProgramOutput {
    /// Where it is enabled, if it is.
    pub(super) enabled: Option<Place>,
    pub(super) keep_alive: bool,
    pub(super) program: String,
    pub(super) timeout: Option<Duration>,
}

#[derive(Debug, Default)]
pub(super) struct HttpOutput {
    /// Where it is enabled, if it is.
    pub(super) enabled: Option<Place>,
    pub(super) url: String,
    /// Where the URL is.
    pub(super) at: Option<Place>,
    pub(super) user_agent: Option<String>,
    pub(super) insecure: bool,
    pub(super) ca_cert: Option<PathBuf>,
    pub(super) ca_bundle: Option<PathBuf>,
    pub(super) ca_path: Option<PathBuf>,
    pub(super) mtls: bool,
    pub(super) client_cert: Option<PathBuf>,
    pub(super) client_key: Option<PathBuf>,
    pub(super) echo: bool,
    pub(super) compress: bool,
    pub(super) retries: Option<u32>,
}

/// Fills the settings from one node.
type Setter = fn(&mut Settings, &Node) -> Result<(), Wrong>;

/// What becomes of a key.
enum Serve {
    Read(Setter),
    /// Falco's, not served yet.
    Later,
    /// Falco's, about something that does not exist here.
    Pointless,
    /// The same; but when the condition holds, the operator counts on something, and the text says what is missing.
    LaterWarn(fn(&Node) -> bool, &'static str),
}

use Serve::{Later, LaterWarn, Pointless, Read};

fn truth(node: &Node) -> bool {
    node.truth() == Ok(true)
}

fn falsehood(node: &Node) -> bool {
    node.truth() == Ok(false)
}

/// Why `enabled: false` has no effect.
const RECOGNISED: &str = "containers of this kind are recognised by their cgroups all the same";

fn filled(node: &Node) -> bool {
    !node.is_empty()
}

/// What stands below a key.
enum Type {
    Truth,
    Integer,
    Number,
    Text,
    Texts,
    Word(&'static [&'static str]),
    Made(fn() -> Shape),
}

use Type::{Integer, Made, Number, Text, Texts, Truth, Word};

impl Type {
    /// Whether this is a value of the type at all; for values with a form of their own, always. Readers take more than the
    /// schema allows, so what they refuse is asked about only.
    fn has(&self, node: &Node) -> bool {
        let scalar = |node: &Node| matches!(node.value, Value::Scalar(_));
        match (self, &node.value) {
            (Truth, _) => false,
            (Integer, Value::Scalar(text)) => text.parse::<i64>().is_ok(),
            (Number, Value::Scalar(text)) => text.parse::<f64>().is_ok(),
            (Text, Value::Scalar(_)) => true,
            (Texts, Value::Scalar(_)) => true,
            (Texts, Value::List(items)) => items.iter().all(scalar),
            (Integer | Number | Text | Texts, _) => false,
            (Word(_) | Made(_), _) => true,
        }
    }
}

/// A key, what stands below it, and what becomes of it.
struct Row(&'static str, Type, Serve);

/// Every key, Falco's and ours. Lists and maps whose keys are not fixed end the path: what is inside them is in their type.
#[rustfmt::skip]
static ROWS: &[Row] = &[
    Row("config_files", Made(shape::config_files), Read(|_, _| Ok(()))), // merged before the keys are read
    Row("watch_config_files", Truth, Read(|s, n| { s.config.watch_files = n.truth()?; Ok(()) })),
    Row("rules_files", Texts, Read(|s, n| { s.rules_files = Some(paths(n)?); Ok(()) })),
    Row("rule_files", Texts, LaterWarn(filled, "Falco's schema has this key and nothing reads it; write rules_files")),
    Row("rules", Made(shape::rules), Read(|s, n| { s.config.selections = selections::read(n, &mut s.messages)?; Ok(()) })),

    Row("engine.kind", Text, Read(engine_kind)),
    Row("engine.tier", Text, Read(|s, n| { s.config.capture.tier = tier(n)?; Ok(()) })),
    Row("engine.seccomp_keeper", Text, Read(|s, n| { s.config.capture.keeper = path(n)?; Ok(()) })),
    Row("engine.real_names", Truth, Read(|s, n| { s.config.real_names = n.truth()?; Ok(()) })),
    Row("engine.kmod.buf_size_preset", Integer, Read(|s, n| { s.kmod_preset = Some(preset(n)?); Ok(()) })),
    Row("engine.kmod.drop_failed_exit", Truth, Read(|s, n| { s.kmod_drop_failed = n.truth()?; Ok(()) })),
    Row("engine.modern_ebpf.cpus_for_each_buffer", Integer, Read(|s, n| { s.cpus_for_each_buffer = size(n)?; Ok(()) })),
    Row("engine.modern_ebpf.buf_size_preset", Integer, Read(|s, n| { s.modern_preset = Some(preset(n)?); Ok(()) })),
    Row("engine.modern_ebpf.drop_failed_exit", Truth, Read(|s, n| { s.modern_drop_failed = n.truth()?; Ok(()) })),
    Row("engine.modern_ebpf.disable_iterators", Truth, Pointless),
    // A falco.yaml that replays nothing has an empty one.
    Row("engine.replay.capture_file", Text, Read(|s, n| { s.capture_file = Some(n.text()?.into()); Ok(()) })),

    Row("capture.enabled", Truth, LaterWarn(truth, "no capture files are written yet")),
    Row("capture.path_prefix", Text, Later),
    Row("capture.mode", Word(&["rules", "all_rules"]), Later),
    Row("capture.default_duration", Integer, Later),
    Row("capture.max_file_size_mb", Integer, Later),

    Row("load_plugins", Texts, Pointless),
    Row("plugins", Made(shape::plugins), Read(container_engines::plugins)),
    Row("plugins_hostinfo", Truth, Pointless),

    Row("nri.enabled", Truth, Read(|s, n| { s.config.nri.enabled = n.truth()?; Ok(()) })),
    Row("nri.socket_path", Text, Read(|s, n| { s.config.nri.socket_path = socket(n)?; Ok(()) })),
    Row("nri.seccomp_listener", Text, Read(|s, n| { s.config.seccomp_listener = path(n)?; Ok(()) })),
    Row("nri.plugin_index", Text, Read(|s, n| { s.config.nri.plugin_index = plugin_index(n)?; Ok(()) })),
    Row("nri.plugin_name", Text, Read(|s, n| { s.config.nri.plugin_name = plugin_name(n)?; Ok(()) })),
    Row("nri.connect_timeout_ms", Integer, Read(|s, n| { s.config.nri.timeouts.connect = limit_ms(n)?; Ok(()) })),
    Row("nri.registration_timeout_ms", Integer, Read(|s, n| { s.config.nri.timeouts.registration = limit_ms(n)?; Ok(()) })),
    Row("nri.request_timeout_ms", Integer, Read(|s, n| { s.config.nri.timeouts.request = limit_ms(n)?; Ok(()) })),
    Row("nri.removal_grace_ms", Integer, Read(|s, n| { s.config.nri.removal_grace = duration_ms(n)?; Ok(()) })),
    Row("containerd.enabled", Truth, Read(|s, n| { s.config.containerd.enabled = n.truth()?; Ok(()) })),
    Row("containerd.address", Text, Read(|s, n| { s.config.containerd.address = socket(n)?; Ok(()) })),
    Row("container_engines.docker.enabled", Truth, Read(|s, n| { s.config.engines.docker.enabled = n.truth()?; Ok(()) })),
    Row("container_engines.docker.sockets", Texts, Read(|s, n| sockets(&mut s.config.engines.docker.sockets, n))),
    Row("container_engines.docker.data_root", Texts, Read(|s, n| { s.config.engines.docker_roots = paths(n)?; Ok(()) })),
    Row("container_engines.podman.enabled", Truth, Read(|s, n| { s.config.engines.podman.enabled = n.truth()?; Ok(()) })),
    Row("container_engines.podman.sockets", Texts, Read(|s, n| sockets(&mut s.config.engines.podman.sockets, n))),
    Row("container_engines.podman.storage", Texts, Read(|s, n| { s.config.engines.storages = paths(n)?; Ok(()) })),
    Row("container_engines.containerd.enabled", Truth, Read(|s, n| { s.config.engines.containerd.enabled = n.truth()?; Ok(()) })),
    Row("container_engines.containerd.sockets", Texts, Read(|s, n| sockets(&mut s.config.engines.containerd.sockets, n))),
    Row("container_engines.cri.enabled", Truth, Read(|s, n| { s.config.engines.cri.enabled = n.truth()?; Ok(()) })),
    Row("container_engines.cri.sockets", Texts, Read(|s, n| sockets(&mut s.config.engines.cri.sockets, n))),
    Row("container_engines.cri.disable_async", Truth, Pointless),
    Row("container_engines.lxc.enabled", Truth, LaterWarn(falsehood, RECOGNISED)),
    Row("container_engines.libvirt_lxc.enabled", Truth, LaterWarn(falsehood, RECOGNISED)),
    Row("container_engines.bpm.enabled", Truth, LaterWarn(falsehood, RECOGNISED)),
    Row("container_engines.static.enabled", Truth, LaterWarn(truth, "not served yet: containers are told apart by their cgroups")),
    Row("container_engines.static.container_id", Text, Later),
    Row("container_engines.static.container_name", Text, Later),
    Row("container_engines.static.container_image", Text, Later),
    Row("container_engines.label_max_len", Integer, Read(|s, n| { s.config.engines.label_max_len = Some(size(n)?); Ok(()) })),
    Row("container_engines.with_size", Truth, Later),
    Row("container_engines.hooks", Texts, Later),

    Row("runtime_directory", Text, Read(|s, n| { s.config.runtime_directory = optional_path(n)?; Ok(()) })),

    Row("time_format_iso_8601", Truth, Read(|s, n| { s.config.iso_8601 = n.truth()?; Ok(()) })),
    Row("buffer_format_base64", Truth, Read(|s, n| { s.config.buffer_base64 = n.truth()?; Ok(()) })),
    Row("priority", Text, Read(|s, n| { s.config.priority = priority(n)?; Ok(()) })),
    Row("rule_matching", Text, Read(|s, n| { s.config.match_all = choice(n, &[("first", false), ("all", true)])?; Ok(()) })),
    Row("json_output", Truth, Read(|s, n| { s.config.json_output = n.truth()?; Ok(()) })),
    Row("json_include_output_property", Truth, Read(|s, n| { s.config.json_output_property = n.truth()?; Ok(()) })),
    Row("json_include_message_property", Truth, Read(|s, n| { s.config.json_message_property = n.truth()?; Ok(()) })),
    Row("json_include_output_fields_property", Truth, Read(|s, n| { s.config.json_fields_property = n.truth()?; Ok(()) })),
    Row("json_include_tags_property", Truth, Read(|s, n| { s.config.json_tags_property = n.truth()?; Ok(()) })),
    Row("append_output", Made(shape::append_output), Read(|s, n| {
        (s.config.append_output, s.config.append_output_rules) = append_output::read(n, &s.scope, &mut s.messages)?;
        Ok(())
    })),
    Row("static_fields", Made(shape::static_fields), Read(|s, n| { s.config.static_fields = static_fields(n)?; Ok(()) })),

    Row("buffered_outputs", Truth, Read(|s, n| { s.config.outputs.buffered = n.truth()?; Ok(()) })),
    Row("outputs_queue.capacity", Integer, Read(|s, n| { s.config.outputs.queue_capacity = size(n)?; Ok(()) })),
    Row("output_timeout", Integer, Read(|s, n| { s.config.outputs.timeout = limit_ms(n)?; Ok(()) })),
    Row("stdout_output.enabled", Truth, Read(|s, n| { s.config.outputs.stdout = n.truth()?; Ok(()) })),
    Row("syslog_output.enabled", Truth, Read(|s, n| { s.config.outputs.syslog = n.truth()?; Ok(()) })),
    Row("journald_output.enabled", Made(shape::truth_or_auto), Read(|s, n| { s.config.outputs.journald = journald(n)?; Ok(()) })),
    Row("file_output.enabled", Truth, Read(|s, n| { s.file_output.enabled = n.truth()?; Ok(()) })),
    Row("file_output.keep_alive", Truth, Read(|s, n| { s.file_output.keep_alive = n.truth()?; Ok(()) })),
    Row("file_output.filename", Text, Read(|s, n| { s.file_output.filename = path(n)?; Ok(()) })),
    Row("http_output.enabled", Truth, Read(|s, n| { s.http_output.enabled = n.truth()?.then(|| n.at.clone()); Ok(()) })),
    Row("http_output.url", Text, Read(|s, n| { s.http_output.url = n.text()?.trim().to_owned(); s.http_output.at = Some(n.at.clone()); Ok(()) })),
    Row("http_output.user_agent", Text, Read(|s, n| { s.http_output.user_agent = Some(header(n)?); Ok(()) })),
    Row("http_output.insecure", Truth, Read(|s, n| { s.http_output.insecure = n.truth()?; Ok(()) })),
    Row("http_output.ca_cert", Text, Read(|s, n| { s.http_output.ca_cert = optional_path(n)?; Ok(()) })),
    Row("http_output.ca_bundle", Text, Read(|s, n| { s.http_output.ca_bundle = optional_path(n)?; Ok(()) })),
    Row("http_output.ca_path", Text, Read(|s, n| { s.http_output.ca_path = optional_path(n)?; Ok(()) })),
    Row("http_output.mtls", Truth, Read(|s, n| { s.http_output.mtls = n.truth()?; Ok(()) })),
    Row("http_output.client_cert", Text, Read(|s, n| { s.http_output.client_cert = optional_path(n)?; Ok(()) })),
    Row("http_output.client_key", Text, Read(|s, n| { s.http_output.client_key = optional_path(n)?; Ok(()) })),
    Row("http_output.echo", Truth, Read(|s, n| { s.http_output.echo = n.truth()?; Ok(()) })),
    Row("http_output.compress_uploads", Truth, Read(|s, n| { s.http_output.compress = n.truth()?; Ok(()) })),
    // Connections are kept in any case.
    Row("http_output.keep_alive", Truth, Read(|_, n| n.truth().map(|_| ()))),
    Row("http_output.max_consecutive_timeouts", Integer, Read(|s, n| { s.http_output.retries = Some(retries(n)?); Ok(()) })),
    Row("otlp_output.enabled", Truth, Read(|s, n| { s.otlp_enabled = n.truth()?; Ok(()) })),
    Row("otlp_output.endpoint", Text, Read(|s, n| { s.otlp.endpoint = endpoint(n)?; Ok(()) })),
    Row("otlp_output.ca_cert", Text, Read(|s, n| { s.otlp.ca_cert = path(n)?; Ok(()) })),
    Row("outputs_spool.enabled", Truth, Read(|s, n| { s.spool_enabled = n.truth()?; Ok(()) })),
    Row("outputs_spool.path", Text, Read(|s, n| { s.spool.path = path(n)?; Ok(()) })),
    Row("outputs_spool.max_size_mb", Integer, Read(|s, n| { s.spool.max_bytes = megabytes(n)?; Ok(()) })),
    Row("program_output.enabled", Truth, Read(|s, n| { s.program_output.enabled = n.truth()?.then(|| n.at.clone()); Ok(()) })),
    Row("program_output.keep_alive", Truth, Read(|s, n| { s.program_output.keep_alive = n.truth()?; Ok(()) })),
    Row("program_output.program", Text, Read(|s, n| { s.program_output.program = n.text()?.trim().to_owned(); Ok(()) })),
    Row("program_output.timeout_ms", Integer, Read(|s, n| { s.program_output.timeout = Some(limit_ms(n)?); Ok(()) })),

    Row("webserver.enabled", Truth, Read(|s, n| { s.config.web.enabled = n.truth()?; Ok(()) })),
    Row("webserver.threadiness", Integer, Read(|s, n| { s.config.web.threads = serving::threads(n)?; Ok(()) })),
    Row("webserver.listen_port", Integer, Read(|s, n| { s.config.web.port = serving::port(n)?; Ok(()) })),
    Row("webserver.listen_address", Text, Read(|s, n| { s.config.web.address = serving::address(n)?; Ok(()) })),
    Row("webserver.k8s_healthz_endpoint", Text, Read(|s, n| { s.config.web.health = serving::endpoint(n)?; Ok(()) })),
    Row("webserver.prometheus_metrics_enabled", Truth, Read(|s, n| { s.config.web.metrics = n.truth()?; Ok(()) })),
    Row("webserver.ssl_enabled", Truth, Read(|s, n| { s.config.web.ssl = n.truth()?; Ok(()) })),
    Row("webserver.ssl_certificate", Text, Read(|s, n| { s.config.web.certificate = path(n)?; Ok(()) })),

    Row("log_stderr", Truth, Read(|s, n| { s.config.log_stderr = n.truth()?; Ok(()) })),
    Row("log_syslog", Truth, Later),
    Row("log_level", Text, Read(|s, n| { s.config.log_level = log_level(n)?; Ok(()) })),
    Row("libs_logger.enabled", Truth, Pointless),
    Row("libs_logger.severity", Word(&["fatal", "critical", "error", "warning", "notice", "info", "debug", "trace"]), Pointless),

    Row("syscall_event_timeouts.max_consecutives", Integer, Pointless),
    Row("syscall_event_drops.threshold", Number, Read(|s, n| { s.config.drops.threshold = share(n)?; Ok(()) })),
    Row("syscall_event_drops.actions", Texts, Read(|s, n| { s.config.drops.actions = drop_actions(n)?; Ok(()) })),
    Row("syscall_event_drops.rate", Number, Read(|s, n| { s.config.drops.rate = positive(n)?; Ok(()) })),
    Row("syscall_event_drops.max_burst", Integer, Read(|s, n| { s.config.drops.max_burst = positive(n)?; Ok(()) })),
    Row("syscall_event_drops.simulate_drops", Truth, Read(|s, n| { s.config.drops.simulate = n.truth()?; Ok(()) })),

    Row("metrics.enabled", Truth, Read(|s, n| { s.config.metrics.enabled = n.truth()?; Ok(()) })),
    Row("metrics.interval", Text, Read(|s, n| { s.config.metrics.interval = serving::interval(n)?; Ok(()) })),
    Row("metrics.output_rule", Truth, Read(|s, n| { s.config.metrics.output_rule = n.truth()?; Ok(()) })),
    Row("metrics.output_file", Text, Read(|s, n| { s.config.metrics.output_file = optional_path(n)?; Ok(()) })),
    Row("metrics.rules_counters_enabled", Truth, Read(|s, n| { s.config.metrics.rules = n.truth()?; Ok(()) })),
    Row("metrics.resource_utilization_enabled", Truth, Read(|s, n| { s.config.metrics.resources = n.truth()?; Ok(()) })),
    Row("metrics.state_counters_enabled", Truth, Read(|s, n| { s.config.metrics.state = n.truth()?; Ok(()) })),
    Row("metrics.kernel_event_counters_enabled", Truth, Read(|s, n| { s.config.metrics.kernel_events = n.truth()?; Ok(()) })),
    Row("metrics.kernel_event_counters_per_cpu_enabled", Truth, Read(|s, n| { s.config.metrics.kernel_events_per_cpu = n.truth()?; Ok(()) })),
    Row("metrics.libbpf_stats_enabled", Truth, Read(|s, n| { s.config.metrics.libbpf = n.truth()?; Ok(()) })),
    Row("metrics.plugins_metrics_enabled", Truth, Pointless),
    Row("metrics.jemalloc_stats_enabled", Truth, Pointless),
    Row("metrics.kernel_iter_event_counters_enabled", Truth, Pointless),
    Row("metrics.convert_memory_to_mb", Truth, Read(|s, n| { s.config.metrics.memory_in_mb = n.truth()?; Ok(()) })),
    Row("metrics.include_empty_values", Truth, Read(|s, n| { s.config.metrics.empty_values = n.truth()?; Ok(()) })),

    Row("base_syscalls.custom_set", Texts, Read(base_syscalls::custom_set)),
    Row("base_syscalls.repair", Truth, Read(|_, n| n.truth().map(drop))), // there is nothing to repair
    Row("base_syscalls.all", Truth, Read(|s, n| { s.config.capture.unnamed_io = n.truth()?; Ok(()) })),

    Row("falco_libs.thread_table_size", Integer, Read(|s, n| { s.config.capture.process_limit = processes(n)?; Ok(()) })),
    Row("falco_libs.thread_table_auto_purging_interval_s", Integer, Read(|s, n| { s.config.capture.purge_interval = Duration::from_secs(n.number()?); Ok(()) })),
    Row("falco_libs.thread_table_auto_purging_thread_timeout_s", Integer, Read(|s, n| { s.config.capture.purge_timeout = Duration::from_secs(n.number()?); Ok(()) })),
    Row("falco_libs.snaplen", Integer, Read(snaplen)),
];

/// As in Falco, 0 is the default.
fn snaplen(settings: &mut Settings, node: &Node) -> Result<(), Wrong> {
    let wanted = size(node)?;
    if wanted > MAX_SNAPLEN {
        let text = format!("falco_libs.snaplen: no more than {MAX_SNAPLEN} bytes are kept");
        settings.messages.add(Level::Warning, &node.at, text, None);
    }
    settings.config.capture.snaplen = if wanted == 0 { SNAPLEN } else { wanted };
    Ok(())
}

/// Keys that are read and that no schema has: Falco warns of them too.
#[rustfmt::skip]
static DEPRECATED: &[Row] = &[
    Row("rules_file", Texts, Read(|s, n| { s.rules_file = Some((paths(n)?, n.at.clone())); Ok(()) })),
];

/// Whether a key is one of those.
pub(super) fn is_deprecated(key: &str) -> bool {
    DEPRECATED.iter().any(|row| row.0 == key)
}

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
    let mut unserved = Unserved::default();
    // Formats may name them wherever they stand.
    if let Some(Ok(fields)) = root.get("static_fields").map(static_fields) {
        settings.scope = Scope::default().with_static_fields(&fields);
    }
    section("", root, settings, messages, &mut unserved);
    loaded_plugins(root, messages);
    messages.0.append(&mut settings.messages.0);
    unserved.report("Falco", &root.at, messages);
}

/// Names in `load_plugins` that no entry of `plugins` has: Falco would not start. What the plugin for containers does is built
/// in.
fn loaded_plugins(root: &Node, messages: &mut Messages) {
    let Some(Value::List(loaded)) = root.get("load_plugins").map(|node| &node.value) else {
        return;
    };
    let entries = match root.get("plugins").map(|node| &node.value) {
        Some(Value::List(entries)) => entries.as_slice(),
        _ => &[],
    };
    let names = || {
        let names = entries.iter().filter_map(|entry| entry.get("name")?.text().ok());
        names.chain(["container"])
    };
    for (index, item) in loaded.iter().enumerate() {
        let Ok(name) = item.text() else { continue };
        if names().all(|known| known != name) {
            let text = format!(
                "load_plugins[{index}]: no entry of plugins has the name {}",
                item.describe()
            );
            let hint = nearest(name, names()).map(|near| format!("did you mean {near}?"));
            messages.add(Level::Warning, &item.at, text, hint);
        }
    }
}

/// Keys that are known and have no effect.
#[derive(Debug, Default)]
pub(super) struct Unserved {
    later: Vec<String>,
    pointless: Vec<String>,
}

impl Unserved {
    /// Names each kind once.
    pub(super) fn report(mut self, whose: &str, at: &Place, messages: &mut Messages) {
        for (keys, what) in [
            (&mut self.later, "not served yet and ignored"),
            (&mut self.pointless, "without a meaning here"),
        ] {
            keys.dedup();
            if !keys.is_empty() {
                let text = format!("known from {whose}, {what}: {}", keys.join(", "));
                messages.add(Level::Info, at, text, None);
            }
        }
    }
}

fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().chain(DEPRECATED)
}

/// The keys that are read.
#[cfg(test)]
pub(super) fn served() -> impl Iterator<Item = &'static str> {
    rows().filter(|row| matches!(row.2, Read(_))).map(|row| row.0)
}

/// Falco's keys that are taken and have no effect.
pub(super) fn without_effect() -> impl Iterator<Item = &'static str> {
    rows().filter(|row| !matches!(row.2, Read(_))).map(|row| row.0)
}

fn row(path: &str) -> Option<&'static Row> {
    rows().find(|row| row.0 == path)
}

/// What of a row's path is below `path`.
fn below<'p>(path: &str, full: &'p str) -> Option<&'p str> {
    match path {
        "" => Some(full),
        path => full.strip_prefix(path)?.strip_prefix('.'),
    }
}

/// The keys below `path`, one level deep.
fn children(path: &str) -> impl Iterator<Item = &'static str> {
    rows().filter_map(move |row| below(path, row.0)?.split('.').next())
}

/// The shape of a configuration.
pub(super) fn shape() -> Shape {
    shape::section("", &|path| {
        let mut keys = shape::Keys::new();
        for row in ROWS {
            let Some(rest) = below(path, row.0) else { continue };
            match rest.split_once('.') {
                None => keys.push((rest, Some(row.1.shape()))),
                Some((first, _)) if keys.iter().all(|(name, _)| *name != first) => keys.push((first, None)),
                Some(_) => {}
            }
        }
        keys
    })
}

impl Type {
    fn shape(&self) -> Shape {
        match self {
            Truth => Shape::Truth,
            Integer => Shape::Integer,
            Number => Shape::Number,
            Text => Shape::Text,
            Texts => Shape::list(Shape::Text),
            Word(words) => Shape::Word(words.to_vec()),
            Made(shape) => shape(),
        }
    }
}

/// How an unserved key is named: with its section as a whole where nothing of that is served.
fn unserved_name(full: &str) -> String {
    let section = full.rsplit_once('.').map(|(section, _)| section);
    let served =
        |section: &str| rows().any(|row| below(section, row.0).is_some() && matches!(row.2, Read(_)));
    match section {
        Some(section) if !served(section) => format!("{section}.*"),
        _ => full.to_owned(),
    }
}

/// What a value of the wrong type comes to.
const DEFAULT: &str = "; the default is used";

pub(super) fn section(
    path: &str,
    node: &Node,
    settings: &mut Settings,
    messages: &mut Messages,
    unserved: &mut Unserved,
) {
    let Value::Map(entries) = &node.value else { return };
    for entry in entries {
        let full = match path {
            "" => entry.name.clone(),
            path => format!("{path}.{}", entry.name),
        };
        match row(&full) {
            Some(Row(_, kind, Read(setter))) => {
                if let Err(wrong) = setter(settings, &entry.node) {
                    let (at, found) = match wrong.item {
                        Some((at, item)) => (at, format!("and this item is {item}")),
                        None => (entry.node.at.clone(), format!("not {}", entry.node.describe())),
                    };
                    let text = format!("{full} must be {}, {found}", wrong.expected);
                    // As in Falco: a value of the wrong type is none, one of the right type was meant.
                    match kind.has(&entry.node) {
                        true => messages.add(Level::Error, &at, text, wrong.hint),
                        false => messages.add(Level::Warning, &at, text + DEFAULT, wrong.hint),
                    }
                }
            }
            Some(Row(.., LaterWarn(condition, missing))) => {
                if condition(&entry.node) {
                    messages.add(Level::Warning, &entry.at, format!("{full}: {missing}"), None);
                }
            }
            Some(Row(.., Later)) => unserved.later.push(unserved_name(&full)),
            Some(Row(.., Pointless)) => unserved.pointless.push(unserved_name(&full)),
            None if children(&full).next().is_some() => match &entry.node.value {
                Value::Map(_) => section(&full, &entry.node, settings, messages, unserved),
                Value::Null => {}
                _ => {
                    let text = format!(
                        "{full} must be a map of keys, not {}{DEFAULT}",
                        entry.node.describe()
                    );
                    let first = children(&full).next().unwrap_or("key");
                    let hint = format!("write \"{}:\" and below it \"  {first}: …\"", entry.name);
                    messages.add(Level::Warning, &entry.node.at, text, Some(hint));
                }
            },
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
        rows()
            .map(|row| row.0)
            .find(|key| key.rsplit('.').next() == Some(name) && key.contains('.'))
            .map(|key| format!("the key is {key}"))
    };
    let hint = gone.or_else(near).or_else(elsewhere);
    messages.add(Level::Warning, at, format!("unknown key {full}, ignored"), hint);
}
