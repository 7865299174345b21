//! What a running Lanner says of itself: over HTTP, in snapshots, and to `lanner status`.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use serde_json::Value;
use support::lanner::{self, Lanner};
use support::port::Port;
use support::{skip, wait_for};

const LIMIT: Duration = Duration::from_secs(60);

/// What a server answers to a request: status, headers, body.
fn ask(port: u16, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
        .write_all(format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{answer:?}"));
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

fn get(port: u16, path: &str) -> (u16, String) {
    let (status, _, body) = ask(port, &format!("GET {path}"));
    (status, body)
}

/// The samples of a text, by name and labels. What the format forbids ends the test.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut typed: Vec<String> = Vec::new();
    let mut family = String::new();
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(
                !help.is_empty() && !typed.contains(&name.to_owned()),
                "once per metric: {line}"
            );
            typed.push(name.to_owned());
            family = name.to_owned();
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(name == family && matches!(kind, "counter" | "gauge"), "{line}");
            assert_eq!(
                kind == "counter",
                name.ends_with("_total") && !is_gauge_of_falco(name),
                "{line}"
            );
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let name = series.split('{').next().unwrap();
        assert_eq!(name, family, "what belongs together stands together: {line}");
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
        assert!(name.chars().all(legal), "{line}");
        if let Some(labels) = series.strip_prefix(name).filter(|labels| !labels.is_empty()) {
            assert!(labels.starts_with('{') && labels.ends_with("\"}"), "{line}");
        }
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(value >= 0.0, "{line}");
        assert_eq!(samples.insert(series.to_owned(), value), None, "twice: {line}");
    }
    samples
}

/// Falco's names end in `_total` for some that go up and down.
fn is_gauge_of_falco(name: &str) -> bool {
    matches!(
        name,
        "falcosecurity_falco_host_num_cpus_total"
            | "falcosecurity_falco_host_procs_running_total"
            | "falcosecurity_falco_host_open_fds_total"
            | "falcosecurity_scap_n_threads_total"
    )
}

fn start(options: &[String]) -> Lanner {
    let mut arguments = lanner::options(None);
    arguments.extend(
        options
            .iter()
            .flat_map(|option| ["-o".to_owned(), option.clone()]),
    );
    Lanner::start(&arguments)
}

fn web(port: u16) -> Vec<String> {
    vec![
        "webserver.enabled=true".into(),
        "webserver.listen_address=127.0.0.1".into(),
        format!("webserver.listen_port={port}"),
    ]
}

fn cat_shadow() {
    assert!(
        Command::new("cat")
            .arg("/etc/shadow")
            .output()
            .unwrap()
            .status
            .success()
    );
}

#[test]
fn health_versions_and_metrics_are_served() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let kept = Port::new();
    let port = kept.number;
    let folder = tempfile::tempdir().unwrap();
    let mut options = web(port);
    options.extend([
        "webserver.prometheus_metrics_enabled=true".into(),
        "metrics.enabled=true".into(),
        "metrics.kernel_event_counters_per_cpu_enabled=true".into(),
        format!("runtime_directory={}", folder.path().display()),
    ]);
    let lanner = start(&options);
    cat_shadow();
    lanner.wait_for_alert("cat /etc/shadow", |alert| {
        alert["output"].as_str().unwrap().contains("/etc/shadow")
    });

    wait_for("the health", LIMIT, || {
        (get(port, "/healthz").0 == 200).then_some(())
    });
    assert_eq!(get(port, "/healthz"), (200, "{\"status\": \"ok\"}".to_owned()));
    let (status, head, body) = ask(port, "GET /versions");
    assert!(
        status == 200 && head.contains("content-type: application/json"),
        "{head}"
    );
    let versions: Value = serde_json::from_str(&body).unwrap();
    assert!(
        versions["engine_version_semver"].is_string() && versions["falco_version"].is_string(),
        "{versions}"
    );
    for (request, status) in [
        ("GET /", 404),
        ("GET /metrics/x", 404),
        ("POST /metrics", 405),
        ("HEAD /healthz", 200),
    ] {
        assert_eq!(ask(port, request).0, status, "{request}");
    }

    let (status, head, text) = ask(port, "GET /metrics");
    assert!(
        status == 200 && head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    let first = parse(&text);
    let total = |samples: &BTreeMap<String, f64>, name: &str| -> f64 {
        let of = |series: &&String| series.split('{').next() == Some(name);
        let found: Vec<&f64> = samples
            .iter()
            .filter(|(series, _)| of(series))
            .map(|(_, value)| value)
            .collect();
        assert!(!found.is_empty(), "{name}\n{text}");
        found.into_iter().sum()
    };
    for name in [
        "falcosecurity_falco_version_info",
        "falcosecurity_falco_kernel_release_info",
        "falcosecurity_falco_sha256_rules_files_info",
        "falcosecurity_falco_outputs_queue_num_drops_total",
        "falcosecurity_falco_reload_timestamp_nanoseconds",
        "falcosecurity_falco_start_timestamp_nanoseconds",
        "falcosecurity_falco_duration_seconds_total",
        "falcosecurity_falco_host_boot_timestamp_nanoseconds",
        "falcosecurity_falco_host_num_cpus_total",
        "falcosecurity_falco_cpu_usage_ratio",
        "falcosecurity_falco_memory_rss_bytes",
        "falcosecurity_falco_memory_vsz_bytes",
        "falcosecurity_falco_memory_pss_bytes",
        "falcosecurity_falco_container_memory_used_bytes",
        "falcosecurity_falco_host_cpu_usage_ratio",
        "falcosecurity_falco_host_memory_used_bytes",
        "falcosecurity_falco_host_procs_running_total",
        "falcosecurity_falco_host_open_fds_total",
        "falcosecurity_evt_hostname_info",
        "falcosecurity_scap_engine_name_info",
        "falcosecurity_scap_n_evts_total",
        "falcosecurity_scap_n_drops_total",
        "falcosecurity_scap_n_drops_buffer_total",
        "falcosecurity_scap_n_drops_scratch_map_total",
        "falcosecurity_scap_n_evts_cpu_total",
        "falcosecurity_scap_n_drops_cpu_total",
        "falcosecurity_scap_n_threads_total",
        "lanner_plan_info",
        "lanner_containers",
        "lanner_output_queue_alerts",
        "lanner_output_slow_alerts_total",
        "lanner_rule_timed_nanoseconds_total",
    ] {
        total(&first, name);
    }
    assert!(total(&first, "falcosecurity_scap_n_evts_total") > 0.0);
    assert!(total(&first, "falcosecurity_falco_rules_matches_total") >= 1.0);
    assert!(
        total(&first, "lanner_rule_evaluations_total")
            > total(&first, "falcosecurity_falco_rules_matches_total")
    );
    // As dashboards ask: the matches of rules of some priority and tag.
    let matches = "falcosecurity_falco_rules_matches_total{priority=\"";
    let series = first.keys().find(|series| series.starts_with(matches)).unwrap();
    assert!(
        series.contains("rule_name=\"") && series.contains("source=\"syscall\"") && series.contains("tag_"),
        "{series}"
    );

    // What counts only grows.
    cat_shadow();
    wait_for("the alert to be counted", LIMIT, || {
        let next = parse(&get(port, "/metrics").1);
        (total(&next, "falcosecurity_falco_rules_matches_total")
            > total(&first, "falcosecurity_falco_rules_matches_total"))
        .then_some(())
    });
    let next = parse(&get(port, "/metrics").1);
    for (series, value) in first
        .iter()
        .filter(|(series, _)| series.split('{').next().unwrap().ends_with("_total"))
    {
        let is_gauge = is_gauge_of_falco(series.split('{').next().unwrap());
        assert!(
            is_gauge || next.get(series).is_some_and(|now| now >= value),
            "{series}: {value}"
        );
    }

    let status = |arguments: &[&str]| {
        let socket = folder.path().join("lanner.sock");
        let mut command = Command::new(lanner::PROGRAM);
        command.arg("status").arg("--socket").arg(&socket).args(arguments);
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    };
    let text = status(&[]);
    for part in [
        "Capture      tier",
        "Events       ",
        "Outputs      stdout: ",
        "Reloads      0 done",
        "MATCHES",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let json: Value = serde_json::from_str(&status(&["--json"])).unwrap();
    assert_eq!(json["pid"], lanner.pid().as_raw());
    assert!(
        json["rules"]
            .as_array()
            .unwrap()
            .iter()
            .any(|rule| rule["matches"].as_u64() > Some(0)),
        "{json}"
    );
    assert_eq!(lanner.stop().status.code(), Some(0));
}

#[test]
fn who_says_nothing_keeps_nobody_out() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let kept = Port::new();
    let port = kept.number;
    let lanner = start(&web(port));
    wait_for("the health", LIMIT, || {
        (get(port, "/healthz").0 == 200).then_some(())
    });
    let began = Instant::now();
    let silent: Vec<TcpStream> = (0..100)
        .map(|_| {
            let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    assert_eq!(get(port, "/healthz").0, 200);
    // The oldest were closed for it, while the others still may ask.
    let is_open = |stream: &mut &TcpStream| {
        let read = stream.read(&mut [0]);
        read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    };
    // After five seconds each is closed that has not asked.
    assert!(
        is_open(&mut &silent[99]) || began.elapsed() >= Duration::from_secs(5),
        "the youngest was closed"
    );
    wait_for("the oldest to be closed", LIMIT, || {
        (!is_open(&mut &silent[0])).then_some(())
    });
    let stopped = lanner.stop();
    let log = &stopped.stderr;
    assert_eq!(log.matches("64 connections are open").count(), 1, "{log}");
}

#[test]
fn a_ring_that_is_not_read_is_unhealthy() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let kept = Port::new();
    let port = kept.number;
    let mut options = web(port);
    options.push("webserver.k8s_healthz_endpoint=/alive".into());
    let lanner = start(&options);
    // At first it says that it starts.
    wait_for("the health", LIMIT, || {
        (get(port, "/alive").0 == 200).then_some(())
    });
    assert_eq!(get(port, "/healthz").0, 404);
    assert_eq!(get(port, "/metrics").0, 404, "metrics are not asked for");

    // Nothing but the event thread is stopped.
    let tasks = format!("/proc/{}/task", lanner.pid());
    let named = |task: &fs::DirEntry| {
        fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "lanner-events")
    };
    let task = fs::read_dir(tasks).unwrap().flatten().find(named).unwrap();
    let thread = Pid::from_raw(task.file_name().to_str().unwrap().parse().unwrap());
    ptrace::seize(thread, ptrace::Options::empty()).unwrap();
    ptrace::interrupt(thread).unwrap();
    waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
    let body = wait_for("the health to change", LIMIT, || {
        let (status, body) = get(port, "/alive");
        (status == 503).then_some(body)
    });
    let silence = body
        .split_once("no event has been read for ")
        .and_then(|(_, rest)| rest.split(' ').next()?.parse::<u64>().ok());
    assert!(silence.is_some_and(|seconds| seconds >= 10), "{body}");
    ptrace::detach(thread, None).unwrap();
    wait_for("the health to come back", LIMIT, || {
        (get(port, "/alive").0 == 200).then_some(())
    });
    assert_eq!(lanner.stop().status.code(), Some(0));
}

#[test]
fn a_taken_port_and_a_wrong_certificate_are_refused_with_what_to_do() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = |more: &[String]| {
        let mut arguments = lanner::options(None);
        arguments.extend(
            web(port)
                .iter()
                .chain(more)
                .flat_map(|option| ["-o".to_owned(), option.clone()]),
        );
        let output = Command::new(lanner::PROGRAM).args(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = refused(&[]);
    assert!(
        said.contains(&format!("can't listen on 127.0.0.1:{port}")) && said.contains("webserver.listen_port"),
        "{said}"
    );
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("empty.pem");
    fs::write(&pem, "nothing\n").unwrap();
    let said = refused(&[
        "webserver.ssl_enabled=true".into(),
        format!("webserver.ssl_certificate={}", pem.display()),
    ]);
    assert!(
        said.contains("webserver.ssl_certificate") && said.contains("empty.pem"),
        "{said}"
    );
}

#[test]
fn health_is_served_over_tls() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("lanner.pem");
    let made = rcgen::generate_simple_self_signed(["lanner.test".to_owned()]).unwrap();
    fs::write(&pem, made.cert.pem() + &made.signing_key.serialize_pem()).unwrap();
    let kept = Port::new();
    let port = kept.number;
    let mut options = web(port);
    options.push("webserver.ssl_enabled=true".into());
    options.push(format!("webserver.ssl_certificate={}", pem.display()));
    let lanner = start(&options);

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    let healthy = || {
        let name = "lanner.test".try_into().unwrap();
        let client = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut stream = rustls::StreamOwned::new(client, stream);
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: lanner.test\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        // The server may close without saying so.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer)
            .starts_with("HTTP/1.1 200")
            .then_some(())
    };
    wait_for("the health over TLS", LIMIT, healthy);
    // Without TLS there is nothing.
    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(
        !answer.starts_with(b"HTTP"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(lanner.stop().status.code(), Some(0));
}

#[test]
fn snapshots_are_alerts_and_lines_of_a_file() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics.jsonl");
    let lanner = start(&[
        "metrics.enabled=true".into(),
        "metrics.interval=300ms".into(),
        "metrics.output_rule=true".into(),
        format!("metrics.output_file={}", file.display()),
        "metrics.include_empty_values=true".into(),
    ]);
    cat_shadow();
    let is_snapshot = |alert: &Value| alert["rule"] == "Falco internal: metrics snapshot";
    let alerts = lanner.wait_for_alerts("snapshots", 3, is_snapshot);
    let last = &alerts[2];
    assert_eq!(
        (&last["priority"], &last["source"]),
        (&"Informational".into(), &"internal".into())
    );
    assert_eq!(last["output"], "Falco metrics snapshot");
    let fields = &last["output_fields"];
    for name in [
        "evt.hostname",
        "falco.version",
        "falco.kernel_release",
        "scap.engine_name",
    ] {
        assert!(fields[name].is_string(), "{name}: {fields}");
    }
    for name in [
        "evt.time",
        "falco.duration_sec",
        "falco.evts_rate_sec",
        "falco.num_evts",
        "falco.num_evts_prev",
        "falco.outputs_queue_num_drops",
        "falco.start_ts",
        "falco.reload_ts",
        "falco.host_boot_ts",
        "falco.host_num_cpus",
        "falco.memory_rss_mb",
        "falco.cpu_usage_perc",
        "falco.rules.matches_total",
        "scap.n_evts",
        "scap.n_evts_prev",
        "scap.n_drops",
        "scap.n_drops_perc",
        "scap.evts_rate_sec",
        "scap.n_drops_buffer_open_exit",
        "scap.n_threads",
    ] {
        assert!(fields[name].is_number(), "{name}: {fields}");
    }
    assert!(fields["falco.num_evts"].as_u64() >= fields["falco.num_evts_prev"].as_u64());
    let ended = lanner.stop();
    assert!(
        !ended.stdout.contains("   Falco internal"),
        "they are not detections:\n{}",
        ended.stdout
    );
    let lines: Vec<Value> = fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.len() >= 3);
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["sample"], index + 1);
        assert!(line["output_fields"]["scap.n_evts"].is_number(), "{line}");
    }
}
