//! Reading configurations: values, places, hints, and a falco.yaml as it is shipped.

use super::*;
use crate::drop_monitor::DropActions;
use lanner_outputs::Journald;
use std::time::Duration;

fn lanner(text: &str, options: &[&str]) -> (Config, Messages) {
    let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
    read(text, Path::new("lanner.yaml"), &options)
}

fn texts(messages: &Messages) -> Vec<String> {
    messages.0.iter().map(ToString::to_string).collect()
}

#[test]
fn no_file_at_all_is_a_working_configuration() {
    let (config, messages) = lanner("", &[]);
    assert!(messages.0.is_empty(), "{:?}", texts(&messages));
    assert!(config.outputs.stdout && !config.outputs.syslog && config.outputs.file.is_none());
    assert_eq!(config.outputs.journald, Journald::Auto);
    assert!(config.nri.enabled && config.containerd.enabled);
    assert_eq!(config.nri.socket_path, Path::new("/var/run/nri/nri.sock"));
    assert_eq!(
        config.containerd.address,
        Path::new("/run/containerd/containerd.sock")
    );
}

#[test]
fn keys_are_read() {
    let text = "\
rules_files: [/a.yaml, /rules.d]
json_output: true
json_include_tags_property: false
time_format_iso_8601: true
priority: Warning
rule_matching: all
buffered_outputs: true
outputs_queue: {capacity: 100}
stdout_output: {enabled: false}
syslog_output: {enabled: \"true\"}
file_output: {enabled: true, keep_alive: true, filename: /var/log/lanner.txt}
journald_output: {enabled: false}
log_level: debug
log_stderr: false
engine:
  kind: kmod
  tier: sys_exit
  kmod: {buf_size_preset: 5}
  modern_ebpf: {buf_size_preset: 1}
falco_libs: {thread_table_size: 1000, snaplen: 200}
nri:
  enabled: false
  socket_path: /tmp/nri.sock
  plugin_index: \"07\"
  plugin_name: lanner-2
  connect_timeout_ms: 100
  registration_timeout_ms: 20000
  request_timeout_ms: 1500
  removal_grace_ms: 0
containerd: {enabled: false, address: /tmp/c.sock}
";
    let (config, messages) = lanner(text, &[]);
    let serious: Vec<_> = messages.0.iter().filter(|m| m.level != Level::Info).collect();
    assert!(serious.is_empty(), "{:?}", texts(&messages));
    assert_eq!(
        config.rules_files.unwrap(),
        [Path::new("/a.yaml"), Path::new("/rules.d")]
    );
    assert!(config.json_output && !config.json_tags_property && config.iso_8601 && config.match_all);
    assert_eq!(config.priority, Priority::Warning);
    let file = config.outputs.file.as_ref().unwrap();
    assert!(file.keep_alive && file.filename == Path::new("/var/log/lanner.txt"));
    assert!(!config.outputs.stdout && config.outputs.syslog && config.outputs.buffered);
    assert_eq!(
        (config.outputs.queue_capacity, config.outputs.journald),
        (100, Journald::Off)
    );
    assert_eq!((config.log_level, config.log_stderr), (LevelFilter::DEBUG, false));
    assert_eq!(config.capture.ring_bytes, 16 << 20);
    assert_eq!(config.capture.tier, lanner_capture::Tier::SysExit);
    assert_eq!(config.capture.process_limit, 1000);
    assert_eq!(config.capture.snaplen, 200);
    assert!(!config.nri.enabled && !config.containerd.enabled);
    assert_eq!(
        (config.nri.plugin_index.as_str(), config.nri.plugin_name.as_str()),
        ("07", "lanner-2")
    );
    let timeouts = config.nri.timeouts;
    let ms = [
        timeouts.connect,
        timeouts.registration,
        timeouts.request,
        config.nri.removal_grace,
    ]
    .map(|limit| limit.as_millis());
    assert_eq!(ms, [100, 20_000, 1500, 0]);
}

#[test]
fn what_to_do_about_losses_is_read() {
    let text = "\
syscall_event_drops: {threshold: .5, actions: [log, exit], rate: 1.5, max_burst: 3, simulate_drops: true}
engine:
  modern_ebpf: {cpus_for_each_buffer: 2, buf_size_preset: 2, drop_failed_exit: true}
  kmod: {buf_size_preset: 3}
";
    let (config, messages) = lanner(text, &[]);
    assert!(messages.0.is_empty(), "{:?}", texts(&messages));
    let drops = &config.drops;
    assert_eq!((drops.threshold, drops.rate, drops.max_burst), (0.5, 1.5, 3.0));
    assert!(drops.actions.log && !drops.actions.alert && drops.actions.exit && drops.simulate);
    assert_eq!(
        (config.capture.cpus_for_each_buffer, config.capture.ring_bytes),
        (2, 2 << 20)
    );
    assert!(config.capture.drop_failed);

    let (config, _) = lanner(text, &["engine.kind=kmod"]);
    assert_eq!(
        (config.capture.cpus_for_each_buffer, config.capture.ring_bytes),
        (0, 4 << 20)
    );
    assert!(!config.capture.drop_failed, "the key of the other engine");

    let (config, _) = lanner("syscall_event_drops: {actions: []}", &[]);
    assert_eq!(
        config.drops.actions,
        DropActions::default(),
        "an empty list is ignore, as in Falco"
    );
    let (config, _) = lanner("", &[]);
    assert!(config.drops.actions.log && config.drops.actions.alert);
    for (option, right) in [
        ("threshold=1.1", "a number from 0 to 1"),
        ("threshold=nan", "a number from 0 to 1"),
        ("rate=-1", "a number, 0 or more"),
        (
            "actions=[ignore, log]",
            "exit, and this item is \"ignore\" (with ignore neither log nor alert makes sense)",
        ),
        (
            "actions=mail",
            "a list of ignore, log, alert and exit, not \"mail\"",
        ),
    ] {
        let (_, messages) = lanner("", &[&format!("syscall_event_drops.{option}")]);
        assert!(messages.refused(), "{option}");
        assert!(
            texts(&messages).iter().any(|text| text.contains(right)),
            "{option}: {:?}",
            texts(&messages)
        );
    }
}

#[test]
fn the_probe_that_falco_removed_is_told_of_and_taken() {
    let (config, messages) = lanner("engine:\n  kind: ebpf\n", &[]);
    assert!(config.unwatchable.is_none());
    let told = "lanner.yaml:2:9: engine.kind ebpf means modern_ebpf: Falco removed the older one in 0.44 (write modern_ebpf)";
    assert_eq!(texts(&messages), [told]);
    assert_eq!(messages.0[0].level, Level::Warning);
    assert!(lanner("engine: {kind: auto}", &[]).1.0.is_empty());
}

#[test]
fn a_wrong_item_of_a_list_is_shown_where_it_stands() {
    let text = "syscall_event_drops:\n  actions:\n    - log\n    - mail\nrules_files: [/a, {b: c}]\n";
    let (_, messages) = lanner(text, &[]);
    let texts = texts(&messages);
    for expected in [
        "lanner.yaml:4:7: syscall_event_drops.actions must be a list of ignore, log, alert and exit, and this item is \"mail\"",
        "lanner.yaml:5:19: rules_files must be a list of files and directories, and this item is a map; the default is used",
    ] {
        assert!(
            texts.iter().any(|text| text == expected),
            "{expected}\n{texts:#?}"
        );
    }
}

#[test]
fn wrong_values_say_where_and_what_is_right() {
    let text = "json_output: maybe\nengine:\n  modern_ebpf:\n    buf_size_preset: 11\npriority: high\nstdout_output: true\nrules_files: {a: b}\n";
    let (_, messages) = lanner(text, &[]);
    assert!(messages.refused());
    let texts = texts(&messages);
    for expected in [
        "lanner.yaml:1:14: json_output must be true or false, not \"maybe\"; the default is used",
        "lanner.yaml:4:22: engine.modern_ebpf.buf_size_preset must be a number from 1 (1 MB) to 10 (512 MB), not \"11\"",
        "lanner.yaml:5:11: priority must be one of emergency, alert, critical, error, warning, notice, informational, debug, not \"high\"",
        "lanner.yaml:6:16: stdout_output must be a map of keys, not \"true\"; the default is used (write \"stdout_output:\" and below it \"  enabled: …\")",
        "lanner.yaml:7:14: rules_files must be a list of files and directories, not a map; the default is used",
    ] {
        assert!(
            texts.iter().any(|text| text == expected),
            "{expected}\n{texts:#?}"
        );
    }
}

#[test]
fn a_value_of_the_wrong_type_is_none_and_a_wrong_one_of_the_right_type_is_refused() {
    let text = "json_output: maybe\noutput_timeout: 1s\nsyscall_event_drops: {threshold: much}\npriority: [error]\n\
                rules_files: {a: b}\nstdout_output: off\nwebserver: {enabled: true, listen_port: http}\nlog_stderr:\n\
                containerd: {address: {path: /run}}\n";
    let (config, messages) = lanner(text, &[]);
    assert!(!messages.refused(), "{:?}", texts(&messages));
    assert_eq!(messages.0.len(), 9, "{:?}", texts(&messages));
    for message in &messages.0 {
        assert_eq!(message.level, Level::Warning, "{message}");
        assert!(message.text.ends_with("; the default is used"), "{message}");
    }
    let default = Config::default();
    assert_eq!(
        (config.json_output, config.log_stderr),
        (default.json_output, default.log_stderr)
    );
    assert_eq!(config.outputs.timeout, default.outputs.timeout);
    assert!(config.outputs.stdout && config.rules_files.is_none());
    assert_eq!((config.web.enabled, config.web.port), (true, default.web.port));
    assert_eq!(config.containerd.address, default.containerd.address);
    for text in [
        "output_timeout: 0",
        "output_timeout: -1",
        "syscall_event_drops: {threshold: 2}",
        "priority: high",
        "webserver: {listen_port: 70000}",
        "webserver: {threadiness: 1025}",
        "containerd: {address: 5}",
        "nri: {socket_path: nri.sock}",
        "static_fields: [a]",
        "journald_output: {enabled: perhaps}",
    ] {
        let (_, messages) = lanner(text, &[]);
        assert!(messages.refused(), "{text}");
    }
}

#[test]
fn unknown_keys_are_warnings_with_a_guess() {
    let text =
        "json_ouput: true\nnri:\n  enable: true\nsocket_path: /x\ngrpc: {enabled: true}\nwhatever: 1\n";
    let (_, messages) = lanner(text, &[]);
    assert!(!messages.refused());
    assert_eq!(
        texts(&messages),
        [
            "lanner.yaml:1:1: unknown key json_ouput, ignored (did you mean json_output?)",
            "lanner.yaml:3:3: unknown key nri.enable, ignored (did you mean enabled?)",
            "lanner.yaml:4:1: unknown key socket_path, ignored (the key is nri.socket_path)",
            "lanner.yaml:5:1: unknown key grpc, ignored (Falco removed its gRPC server)",
            "lanner.yaml:6:1: unknown key whatever, ignored",
        ]
    );
}

#[test]
fn options_win_over_the_file_and_are_named_in_messages() {
    let (config, messages) = lanner(
        "priority: error\n",
        &["priority=notice", "rules_files[]=/x.yaml", "nri={enabled: false}"],
    );
    assert!(messages.0.is_empty(), "{:?}", texts(&messages));
    assert_eq!(config.priority, Priority::Notice);
    assert_eq!(config.rules_files.unwrap(), [Path::new("/x.yaml")]);
    assert!(!config.nri.enabled);
    let (_, messages) = lanner("", &["json_output=7"]);
    assert_eq!(
        texts(&messages),
        ["-o json_output=7: json_output must be true or false, not \"7\"; the default is used"]
    );
}

#[test]
fn a_key_that_is_there_twice_is_a_warning() {
    let (config, messages) = lanner(
        "priority: error\npriority: notice\n",
        &["nri={enabled: true, enabled: false}"],
    );
    assert!(!messages.refused());
    assert_eq!(config.priority, Priority::Notice);
    assert!(!config.nri.enabled);
    assert_eq!(messages.0.len(), 2, "{:?}", texts(&messages));
}

#[test]
fn what_the_operator_counts_on_and_is_not_served_is_a_warning() {
    let text = "http_output:\n  enabled: true\n  url: http://x\nprogram_output: {enabled: false}\ncapture: {enabled: true}\n";
    let (_, messages) = lanner(text, &[]);
    let warnings: Vec<_> = messages
        .0
        .iter()
        .filter(|m| m.level == Level::Warning)
        .map(|m| m.to_string())
        .collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("lanner.yaml:5:11: capture.enabled: "),
        "{warnings:?}"
    );
}

#[test]
fn outputs_are_put_together() {
    let text = "http_output: {enabled: true, url: 'https://u:p@host/x', mtls: true, ca_path: /ca, ca_bundle: '', \
                insecure: true, client_key: /key, max_consecutive_timeouts: 3}\n\
                program_output: {enabled: true, keep_alive: true, program: \"  jq .\\n\"}\n\
                outputs_spool: {enabled: true, max_size_mb: 2}\noutput_timeout: 500\njson_output: true\n";
    let (config, messages) = lanner(text, &[]);
    assert!(messages.0.is_empty(), "{:?}", texts(&messages));
    let outputs = config.outputs;
    let http = outputs.http.unwrap();
    assert_eq!(http.url.to_string(), "https://host/x");
    assert!(http.login.is_some() && http.tls.insecure);
    assert_eq!(http.tls.trusted, Path::new("/ca"));
    let client = http.tls.client.unwrap();
    assert_eq!(client, ("/etc/ssl/certs/client.crt".into(), "/key".into()));
    assert_eq!(http.retries, 3);
    let program = outputs.program.unwrap();
    assert_eq!((program.program.as_str(), program.keep_alive), ("jq .", true));
    assert_eq!(outputs.spool.unwrap().max_bytes, 2 << 20);
    assert_eq!((outputs.timeout.as_millis(), outputs.json), (500, true));
    for (text, part) in [
        ("http_output: {enabled: true}", "names no receiver"),
        (
            "http_output: {enabled: true, url: host}",
            "is not the URL of a receiver",
        ),
        ("program_output: {enabled: true}", "names no program"),
        ("http_output: {max_consecutive_timeouts: 256}", "from 0 to 255"),
        ("outputs_spool: {max_size_mb: 0}", "megabytes"),
        ("http_output: {user_agent: \"a\\nb\"}", "one line"),
    ] {
        let (_, messages) = lanner(text, &[]);
        assert!(messages.refused(), "{text}");
        assert!(texts(&messages)[0].contains(part), "{:?}", texts(&messages));
    }
}

#[test]
fn static_fields_and_base64_are_read() {
    let text = "static_fields: {region: eu-1, zone_2.x: 5, empty: }\nbuffer_format_base64: true\n";
    let (config, messages) = lanner(text, &["static_fields.more=y"]);
    assert!(messages.0.is_empty(), "{:?}", texts(&messages));
    let field = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    assert_eq!(
        config.static_fields,
        [
            field("region", "eu-1"),
            field("zone_2.x", "5"),
            field("empty", ""),
            field("more", "y")
        ]
    );
    assert!(config.buffer_base64);
    for (text, expected) in [
        (
            "static_fields: [a]\n",
            "lanner.yaml:1:16: static_fields must be a map of names and texts, not a list",
        ),
        (
            "static_fields: {a: [b]}\n",
            "lanner.yaml:1:16: static_fields must be a map of names and texts, not a map",
        ),
        (
            "static_fields: {a-b: c}\n",
            "lanner.yaml:1:16: static_fields must be a map whose names can stand in a condition",
        ),
    ] {
        let (_, messages) = lanner(text, &[]);
        assert!(messages.refused());
        let texts = texts(&messages);
        assert!(
            texts.iter().any(|text| text.starts_with(expected)),
            "{expected}\n{texts:#?}"
        );
    }
}

#[test]
fn both_spellings_of_rules_files_are_refused() {
    let (config, messages) = lanner("rules_file: /a.yaml\n", &[]);
    assert!(!messages.refused());
    assert_eq!(
        texts(&messages),
        ["lanner.yaml:1:13: rules_file is deprecated (write rules_files)"]
    );
    assert_eq!(config.rules_files.unwrap(), [Path::new("/a.yaml")]);
    let (_, messages) = lanner("rules_file: /a.yaml\nrules_files: [/b.yaml]\n", &[]);
    assert!(messages.refused());
}

#[test]
fn a_file_that_is_no_map_is_refused() {
    for text in ["- a\n- b\n", "just text\n", "a: [1\n"] {
        let (_, messages) = lanner(text, &[]);
        assert!(messages.refused(), "{text:?}");
    }
}

/// Every key a current falco.yaml has, with the values it is shipped with.
#[test]
fn a_whole_falco_yaml_is_accepted() {
    // A Falco on the machine that runs the test has no say.
    let text = include_str!("sample_falco.yaml").replace("/etc/falco/config.d", "/nonexistent/config.d");
    let (config, messages) = read(&text, Path::new("falco.yaml"), &[]);
    let serious: Vec<_> = messages
        .0
        .iter()
        .filter(|m| m.level != Level::Info)
        .map(ToString::to_string)
        .collect();
    assert!(serious.is_empty(), "{serious:#?}");
    // What has no effect is named, once.
    let said = texts(&messages);
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(
        said[0].contains("not served yet") && said[0].contains("log_syslog"),
        "{said:#?}"
    );
    assert!(
        said[1].contains("without a meaning here") && said[1].contains("libs_logger.*"),
        "{said:#?}"
    );
    assert!(config.web.enabled && config.metrics.interval == Duration::from_secs(3600));
    assert_eq!(config.rules_files.unwrap().len(), 3);
    assert_eq!(config.capture.ring_bytes, 8 << 20);
    assert!(config.outputs.syslog && config.outputs.stdout && config.outputs.file.is_none());
}

#[test]
fn a_missing_file_is_an_error_with_its_name() {
    let error = load(Some(Path::new("/nonexistent/lanner.yaml")), &[]).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/lanner.yaml"), "{error}");
}

proptest::proptest! {
    /// Whatever is written, it is read or refused.
    #[test]
    fn no_text_and_no_option_is_too_strange(text in "\\PC{0,60}", yaml in "[-a-z:#{}\\[\\]\"'&*!|>%@, \n\t$]{0,60}", option in "[a-z.=\\[\\]\\\\0-9{}]{0,30}") {
        for text in [text, yaml] {
            let _ = lanner(&text, &[&option]);
        }
    }
}

#[test]
fn a_snaplen_of_nothing_is_the_default_and_a_large_one_is_warned_of() {
    let (config, messages) = lanner("falco_libs: {snaplen: 0}", &[]);
    assert_eq!((config.capture.snaplen, texts(&messages).len()), (80, 0));
    let (_, messages) = lanner("falco_libs: {snaplen: 65535}", &[]);
    let texts = texts(&messages);
    assert!(
        texts.iter().any(|text| text.contains("no more than 4095 bytes")),
        "{texts:?}"
    );
}

#[test]
fn what_a_runtime_would_refuse_and_times_that_are_none_are_refused_where_they_stand() {
    let text = "\
nri:
  plugin_index: 7
  plugin_name: my plugin
  connect_timeout_ms: 0
  registration_timeout_ms: 5s
  request_timeout_ms: 600001
  removal_grace_ms: -1
";
    let (config, messages) = lanner(text, &[]);
    assert!(messages.refused());
    let said = texts(&messages);
    for (line, (key, expected)) in (2..).zip([
        ("plugin_index", "two digits"),
        ("plugin_name", "a name of letters, digits and _ . + -"),
        ("connect_timeout_ms", "milliseconds, 1 to 600000"),
        ("registration_timeout_ms", "milliseconds, 1 to 600000"),
        ("request_timeout_ms", "milliseconds, 1 to 600000"),
        ("removal_grace_ms", "milliseconds, 0 to 600000"),
    ]) {
        let place = format!("lanner.yaml:{line}:");
        let found = said.iter().find(|text| text.starts_with(&place));
        assert!(
            found.is_some_and(|text| text.contains(key) && text.contains(expected)),
            "{key}: {said:#?}"
        );
    }
    assert_eq!(config.nri, lanner_nri::Config::default(), "nothing of it is used");
}

#[test]
fn what_a_runtime_has_for_a_plugin_wins_over_the_file() {
    let file = "priority: error\njson_output: true\nnri: {socket_path: /a}\n";
    let over = "nri: {request_timeout_ms: 900}\npriority: loud\nconfig_files: [/x]\n";
    let read = |over: &str| {
        let over = Some((over, Path::new("10-lanner.conf")));
        let (config, messages) = read_over(file, Path::new("lanner.yaml"), over, &[]);
        (config, texts(&messages))
    };
    let (config, said) = read("priority: notice\nstdout_output: {enabled: false}\n");
    assert!(said.is_empty(), "{said:?}");
    assert_eq!(config.priority, Priority::Notice);
    assert!(config.json_output && !config.outputs.stdout);
    let (config, said) = read(over);
    // By top-level keys, as config_files with the strategy override.
    assert_eq!(config.nri.socket_path, Path::new("/var/run/nri/nri.sock"));
    for part in [
        "10-lanner.conf:2:11: priority must be",
        "10-lanner.conf:3:1: config_files in an included",
    ] {
        assert!(said.iter().any(|text| text.contains(part)), "{part} {said:#?}");
    }
    let (config, said) = read("");
    assert!(said.is_empty() && config.priority == Priority::Error, "{said:?}");
}

#[test]
fn system_calls_are_left_out_by_name() {
    use lanner_schema::event::Event;
    let text = "base_syscalls: {custom_set: ['!setuid', openat, '!pread64', '! kill'], repair: true}";
    let (config, messages) = lanner(text, &[]);
    assert!(messages.0.is_empty(), "{:?}", texts(&messages));
    let excluded = [Event::Setuid, Event::Pread, Event::Kill].into_iter().collect();
    assert_eq!(config.capture.excluded, excluded);

    let (config, messages) = lanner("base_syscalls: {custom_set: ['!setuidd', procexit]}", &[]);
    assert!(config.capture.excluded.is_empty());
    let said = texts(&messages).join("\n");
    assert!(
        said.contains("no system call is called \"setuidd\"") && said.contains("\"procexit\""),
        "{said}"
    );
}

/// The file that packages ship says what the defaults are.
#[test]
fn the_shipped_configuration_names_the_defaults() {
    let shipped = include_str!("../../deploy/lanner.yaml");
    let (_, messages) = read(shipped, Path::new("lanner.yaml"), &[]);
    assert!(messages.0.is_empty(), "{:?}", texts(&messages));
    let key = |line: &str| match line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')) {
        Some(key) => format!("{key}\n"),
        None => format!("{line}\n"),
    };
    let uncommented: String = shipped.lines().map(key).collect();
    let (mut config, messages) = read(&uncommented, Path::new("lanner.yaml"), &[]);
    assert!(messages.0.is_empty(), "{:?}", texts(&messages));
    assert!(uncommented.contains("\njson_output: false\n"));
    assert_eq!(
        config.rules_files.take().unwrap(),
        crate::rules::DEFAULT_FILES.map(Path::new)
    );
    config.schema.clear();
    assert_eq!(format!("{config:#?}"), format!("{:#?}", Config::default()));
}
