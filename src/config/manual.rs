//! What the keys mean, for people: lanner.yaml(5).

use super::keys;

/// A key that is served, its default as it is written in a file, and what it does.
pub(crate) struct Entry(
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) &'static str,
);

/// Keys under one heading.
pub(crate) struct Section {
    pub(crate) heading: &'static str,
    pub(crate) entries: &'static [Entry],
}

/// Falco's keys that are taken and have no effect.
pub(crate) fn without_effect() -> impl Iterator<Item = &'static str> {
    keys::without_effect()
}

#[rustfmt::skip]
pub(crate) const SECTIONS: &[Section] = &[
    Section { heading: "Files and rules", entries: &[
        Entry("config_files", "[]",
            "More configuration files and directories, merged after this one in order. An item is a path, or {path, \
            strategy} with append, override or add-only for keys that are there already."),
        Entry("watch_config_files", "true",
            "Reads configuration and rules again when a file changes. What is wrong changes nothing."),
        Entry("rules_files", "[/etc/lanner/lanner_rules.yaml, /etc/lanner/lanner_rules.local.yaml, /etc/lanner/rules.d]",
            "Rules files and directories, in order: of two rules with one name the later wins. What does not exist is \
            skipped; if nothing of the default exists, the built-in rules are used."),
        Entry("rules_file", "", "The older name of rules_files."),
        Entry("rules", "[]",
            "Switches rules on and off, one entry after the other: {disable: {rule: NAME}} or {enable: {tag: TAG}}. A \
            * in NAME stands for anything."),
        Entry("priority", "debug", "Rules below this priority are not loaded."),
        Entry("rule_matching", "first", "first makes one alert for an event, all one for each rule that matches."),
    ]},
    Section { heading: "Capture", entries: &[
        Entry("engine.kind", "modern_ebpf",
            "auto, modern_ebpf and kmod mean the best way this host allows; replay goes through a recording; with \
            nodriver there is nothing to watch."),
        Entry("engine.tier", "auto",
            "Forces a way to capture: trampoline, sys_exit, raw or none. prefer_trampoline takes another where the first is \
            refused. lanner plan says which are there."),
        Entry("engine.seccomp_keeper", "/run/lanner/keeper.sock",
            "Where the keeper of seccomp listeners is found, see lanner-keeper(1)."),
        Entry("engine.real_names", "true",
            "Evaluates rules by the name the kernel has for a file, too, where it is another than the requested \
            one."),
        Entry("engine.modern_ebpf.buf_size_preset", "4",
            "The size of the ring: 1 is 1 MiB, and each further step doubles it, up to 10."),
        Entry("engine.modern_ebpf.cpus_for_each_buffer", "0",
            "As in Falco, CPUs that share a ring. There is one ring for all; its size follows from this."),
        Entry("engine.modern_ebpf.drop_failed_exit", "false", "Leaves out calls that failed."),
        Entry("engine.kmod.buf_size_preset", "4", "The same when engine.kind is kmod."),
        Entry("engine.kmod.drop_failed_exit", "false", "The same when engine.kind is kmod."),
        Entry("engine.replay.capture_file", "\"\"",
            "The recording, when engine.kind is replay: a file of lanner-record(1)."),
        Entry("base_syscalls.custom_set", "[]",
            "Names with ! before them are not captured, though rules ask for them. Others change nothing: nothing but \
            what rules and the state need is captured."),
        Entry("base_syscalls.repair", "false", "Taken as Falco's; there is nothing to repair."),
        Entry("base_syscalls.all", "false", "Captures reads and writes for rules that do not name their events, too."),
        Entry("falco_libs.snaplen", "80", "Bytes of data that are kept of a read or write, 4095 at most."),
        Entry("falco_libs.thread_table_size", "262144", "Processes that are remembered."),
        Entry("falco_libs.thread_table_auto_purging_interval_s", "300",
            "Seconds between two searches for processes that are gone."),
        Entry("falco_libs.thread_table_auto_purging_thread_timeout_s", "300",
            "Seconds after which one that did nothing is looked after."),
    ]},
    Section { heading: "Lost events", entries: &[
        Entry("syscall_event_drops.threshold", "0.1",
            "The part of a second's events, 0 to 1, of which more must be lost."),
        Entry("syscall_event_drops.actions", "[log, alert]", "What is done then: ignore, log, alert, exit."),
        Entry("syscall_event_drops.rate", "0.03333", "How often, per second."),
        Entry("syscall_event_drops.max_burst", "1", "How often in a row."),
        Entry("syscall_event_drops.simulate_drops", "false", "Counts an event a second as lost, to try the above."),
    ]},
    Section { heading: "Container runtimes", entries: &[
        Entry("nri.enabled", "true", "Learns of containers from the runtime before they start, over NRI."),
        Entry("nri.socket_path", "/var/run/nri/nri.sock", "NRI's socket."),
        Entry("nri.plugin_name", "lanner", "The plugin's name in the runtime."),
        Entry("nri.plugin_index", "\"10\"", "Its place among the runtime's plugins, two digits."),
        Entry("nri.seccomp_listener", "/run/lanner/seccomp.sock",
            "Where the runtime finds the keeper of seccomp listeners."),
        Entry("nri.connect_timeout_ms", "5000", "How long a connection may take."),
        Entry("nri.registration_timeout_ms", "30000", "How long the runtime may take to register the plugin."),
        Entry("nri.request_timeout_ms", "2000", "How long the runtime may take to answer."),
        Entry("nri.removal_grace_ms", "30000", "How long a container is remembered after its removal."),
        Entry("containerd.enabled", "true",
            "Asks containerd for images, and for containers that NRI does not tell of."),
        Entry("containerd.address", "/run/containerd/containerd.sock", "containerd's socket."),
        Entry("container_engines.docker.enabled", "true", "Asks Docker about containers."),
        Entry("container_engines.docker.sockets", "[/var/run/docker.sock]", "Its sockets."),
        Entry("container_engines.docker.data_root", "[/var/lib/docker]", "Its folders, for when it does not answer."),
        Entry("container_engines.podman.enabled", "true", "Asks podman about containers."),
        Entry("container_engines.podman.sockets", "[/run/podman/podman.sock]", "Its sockets."),
        Entry("container_engines.podman.storage", "[/var/lib/containers/storage]", "Its folders, and CRI-O's."),
        Entry("container_engines.containerd.enabled", "true",
            "Whether containerds are asked; off is the same as containerd.enabled unless cri is on."),
        Entry("container_engines.containerd.sockets", "[]", "More containerds than that of containerd.address."),
        Entry("container_engines.cri.enabled", "true", "The same, by the name CRI has in Falco."),
        Entry("container_engines.cri.sockets", "[]", "The same."),
        Entry("container_engines.label_max_len", "",
            "Labels with longer values are left out; all are kept where this is absent."),
        Entry("plugins", "[]",
            "Falco's list; of the plugin named container, init_config is read as container_engines is."),
    ]},
    Section { heading: "Alerts", entries: &[
        Entry("json_output", "false", "Alerts are JSON."),
        Entry("json_include_output_property", "true", "JSON has output, the text with time and priority."),
        Entry("json_include_message_property", "false", "JSON has message, the text alone."),
        Entry("json_include_output_fields_property", "true", "JSON has output_fields."),
        Entry("json_include_tags_property", "true", "JSON has tags."),
        Entry("time_format_iso_8601", "false", "Times in text are those of ISO 8601."),
        Entry("buffer_format_base64", "false", "Data of reads and writes is base64."),
        Entry("append_output", "[]",
            "Entries {match: {rule, source, tags}, extra_output, extra_fields, suggested_output}: what is added to \
            alerts of these rules."),
        Entry("static_fields", "{}", "Names and texts: fields static.NAME of every alert."),
    ]},
    Section { heading: "Outputs", entries: &[
        Entry("stdout_output.enabled", "true", "A line per alert on standard output."),
        Entry("journald_output.enabled", "auto", "Structured entries in the journal; auto where there is one."),
        Entry("syslog_output.enabled", "false", "To /dev/log."),
        Entry("file_output.enabled", "false", "Lines of a file. SIGUSR1 opens it anew after a rotation."),
        Entry("file_output.filename", "./events.txt", "The file."),
        Entry("file_output.keep_alive", "false", "Keeps it open between alerts."),
        Entry("program_output.enabled", "false",
            "Lines on standard input of what the shell runs. A rule that matches what the program does makes an alert \
            of each alert: except it there."),
        Entry("program_output.program", "\"\"", "What it runs, maybe a pipeline."),
        Entry("program_output.keep_alive", "false", "Runs it once for all alerts, and not for each."),
        Entry("program_output.timeout_ms", "10000", "A program that takes longer for an alert is killed."),
        Entry("http_output.enabled", "false", "A POST per alert."),
        Entry("http_output.url", "\"\"", "The receiver, http:// or https://."),
        Entry("http_output.user_agent", "", "What Lanner calls itself; lanner/VERSION where this is absent."),
        Entry("http_output.insecure", "false", "Does not check the receiver's certificate."),
        Entry("http_output.ca_cert", "\"\"", "A file of certificates to trust."),
        Entry("http_output.ca_bundle", "\"\"", "The same, where ca_cert is empty."),
        Entry("http_output.ca_path", "/etc/ssl/certs", "A folder of them, where both are empty."),
        Entry("http_output.mtls", "false", "Shows the receiver a certificate."),
        Entry("http_output.client_cert", "/etc/ssl/certs/client.crt", "That certificate."),
        Entry("http_output.client_key", "/etc/ssl/certs/client.key", "Its key."),
        Entry("http_output.echo", "false", "Prints the receiver's answers to standard output."),
        Entry("http_output.compress_uploads", "false", "Sends gzip to who takes it."),
        Entry("http_output.keep_alive", "false", "Connections are kept in any case."),
        Entry("http_output.max_consecutive_timeouts", "5", "Attempts after the first, where there is no spool."),
        Entry("otlp_output.enabled", "false", "Log records of OpenTelemetry, in programs that were built with it."),
        Entry("otlp_output.endpoint", "http://127.0.0.1:4317", "The collector."),
        Entry("otlp_output.ca_cert", "/etc/ssl/certs/ca-certificates.crt", "Certificates to trust, for https."),
        Entry("outputs_spool.enabled", "false", "Keeps on disk what http_output and otlp_output can't deliver now."),
        Entry("outputs_spool.path", "/var/lib/lanner/spool", "Where."),
        Entry("outputs_spool.max_size_mb", "64", "How much for each of them."),
        Entry("outputs_queue.capacity", "8192", "Alerts an output may be behind before it loses some; 0 is the same."),
        Entry("output_timeout", "2000",
            "Milliseconds for an attempt over the network, and after which any output is called slow."),
        Entry("buffered_outputs", "false", "Collects lines before they are written."),
    ]},
    Section { heading: "Web server and metrics", entries: &[
        Entry("webserver.enabled", "false", "Serves health, versions and metrics. These keys count at the start only."),
        Entry("webserver.listen_address", "0.0.0.0", "The address."),
        Entry("webserver.listen_port", "8765", "The port."),
        Entry("webserver.threadiness", "0", "Threads, 64 at most; 0 is as many as CPUs, four at most."),
        Entry("webserver.k8s_healthz_endpoint", "/healthz", "Where the health is."),
        Entry("webserver.prometheus_metrics_enabled", "false", "Serves /metrics, with metrics.enabled."),
        Entry("webserver.ssl_enabled", "false", "Serves over TLS."),
        Entry("webserver.ssl_certificate", "/etc/lanner/lanner.pem", "Certificate and key in one file."),
        Entry("metrics.enabled", "false", "Makes metrics."),
        Entry("metrics.interval", "5s", "The time between two snapshots, in Prometheus's words."),
        Entry("metrics.output_rule", "false", "A snapshot is an alert."),
        Entry("metrics.output_file", "\"\"", "A snapshot is a line of this file."),
        Entry("metrics.rules_counters_enabled", "true", "Metrics of rules."),
        Entry("metrics.resource_utilization_enabled", "true", "Of CPU and memory."),
        Entry("metrics.state_counters_enabled", "true", "Of what is known of processes."),
        Entry("metrics.kernel_event_counters_enabled", "true", "Of events and losses."),
        Entry("metrics.kernel_event_counters_per_cpu_enabled", "false", "The same by CPU."),
        Entry("metrics.libbpf_stats_enabled", "true", "Of BPF programs, with sysctl kernel.bpf_stats_enabled=1."),
        Entry("metrics.convert_memory_to_mb", "true", "Memory is told in megabytes in snapshots."),
        Entry("metrics.include_empty_values", "false", "Snapshots have what is 0, too."),
    ]},
    Section { heading: "The log, and the rest", entries: &[
        Entry("log_stderr", "true", "The log goes to standard error."),
        Entry("log_level", "info", "What is logged: emergency, alert, critical, error, warning, notice, info, debug."),
        Entry("runtime_directory", "/run/lanner", "The folder of the socket of lanner-status(1); empty for none."),
    ]},
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, read};
    use std::collections::BTreeSet;
    use std::fmt::Write as _;
    use std::path::Path;

    #[test]
    fn every_key_that_is_served_is_told_of_once_with_its_default() {
        let mut told = BTreeSet::new();
        for Entry(key, default, text) in SECTIONS.iter().flat_map(|section| section.entries) {
            assert!(told.insert(*key), "{key} is there twice");
            assert!(text.ends_with('.') && !text.contains("  "), "{key}: {text}");
            if default.is_empty() {
                continue;
            }
            let mut file = String::new();
            for (depth, step) in key.split('.').enumerate() {
                let _ = write!(file, "\n{:1$}{step}:", "", 2 * depth);
            }
            let (mut config, messages) = read(&format!("{file} {default}\n"), Path::new("lanner.yaml"), &[]);
            assert!(messages.0.is_empty(), "{key}: {:?}", messages.0);
            config.schema.clear();
            if *key == "rules_files" {
                config.rules_files = None;
            }
            assert_eq!(
                format!("{config:#?}"),
                format!("{:#?}", Config::default()),
                "{key}"
            );
        }
        let served: BTreeSet<&str> = keys::served().collect();
        assert_eq!(told, served);
    }
}
