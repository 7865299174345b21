//! Outputs of the whole program: several at once, some of them broken, and an agent that is killed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests fail by panicking

#[allow(unreachable_pub)]
#[path = "../outputs/src/test_server.rs"]
mod server;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::Value;
use server::{Answer, Server};
use support::lanner::{self, Lanner};
use support::port::Port;
use support::{alone, skip, wait_for};

const LIMIT: Duration = Duration::from_secs(120);

/// A rule on the folders that [`remove`] asks for, and the options for it. Nobody else on a machine makes many of these calls,
/// so that what a busy one does costs no event.
fn rules() -> (tempfile::TempDir, Vec<String>) {
    let (folder, rules) = lanner::rules(&format!(
        "- rule: Probe\n  desc: A folder that is not there\n  condition: evt.type = rmdir and evt.arg.path startswith \
         {}\n  output: Probe (path=%evt.arg.path)\n  priority: WARNING\n",
        prefix()
    ));
    let mut options = lanner::options(None);
    // What a busy machine answers late is not sent twice.
    options.extend(["-o".to_owned(), "output_timeout=60000".to_owned()]);
    options.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    (folder, options)
}

fn prefix() -> String {
    format!("/nonexistent-{}/", std::process::id())
}

fn remove(numbers: std::ops::Range<u64>) {
    for number in numbers {
        assert!(fs::remove_dir(format!("{}{number}", prefix())).is_err());
    }
}

/// The number in an alert's line.
fn number(line: &str) -> u64 {
    let alert: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let name = alert["output_fields"]["evt.arg.path"]
        .as_str()
        .unwrap()
        .to_owned();
    name.strip_prefix(&prefix()).unwrap().parse().unwrap()
}

/// The numbers of the alerts that are whole in the spool, in order. The format is in `outputs/src/spool.rs`.
fn spooled(folder: &Path) -> Vec<u64> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "spool"))
        .collect();
    files.sort();
    let mut numbers = Vec::new();
    for file in files {
        let bytes = fs::read(file).unwrap();
        let mut rest = bytes.get(16..).unwrap_or_default();
        while let Some(head) = rest.get(..28) {
            assert_eq!(&head[..4], b"\x1eLNR");
            let length = u32::from_le_bytes(head[4..8].try_into().unwrap()) as usize;
            let Some(body) = rest.get(28..28 + length) else {
                break;
            };
            numbers.push(number(std::str::from_utf8(body).unwrap()));
            rest = &rest[28 + length..];
        }
    }
    numbers
}

#[test]
fn what_is_spooled_survives_kills_and_arrives_in_order() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let (folder, mut options) = rules();
    let spool = folder.path().join("spool");
    let port = Port::new();
    for option in [
        "stdout_output.enabled=false".to_owned(),
        "http_output.enabled=true".to_owned(),
        format!("http_output.url=http://127.0.0.1:{port}/"),
        "outputs_spool.enabled=true".to_owned(),
        format!("outputs_spool.path={}", spool.display()),
        "outputs_queue.capacity=40000".to_owned(),
    ] {
        options.extend(["-o".to_owned(), option]);
    }
    let spool = spool.join("http");

    // Nobody is there, and the agent is killed while it works.
    let first = Lanner::start(&options);
    let emitter = std::thread::spawn(|| remove(0..20_000));
    wait_for("four thousand alerts in the spool", LIMIT, || {
        (spooled(&spool).len() >= 4000).then_some(())
    });
    first.kill();
    emitter.join().unwrap();
    let mut safe: BTreeSet<u64> = spooled(&spool).into_iter().collect();
    assert!(safe.len() >= 4000, "{}", safe.len());

    // The next one adds to it, the receiver comes back, and the agent is killed while it sends.
    let second = Lanner::start(&options);
    remove(20_000..23_000);
    wait_for("all of them in the spool", LIMIT, || {
        spooled(&spool).contains(&22_999).then_some(())
    });
    safe.extend(spooled(&spool));
    let all: BTreeSet<u64> = (20_000..23_000).collect();
    assert!(
        all.is_subset(&safe),
        "none is missing that was seen by an agent that lived"
    );
    let server = Server::listen(port.listen(), None, |_, _| Answer::Status(200, ""));
    wait_for("five hundred alerts at the receiver", LIMIT, || {
        (server.count() >= 500).then_some(())
    });
    second.kill();

    // The last one sends the rest and what is new, behind it.
    let third = Lanner::start(&options);
    remove(23_000..26_000);
    wait_for("the last alert at the receiver", LIMIT, || {
        server
            .last()
            .filter(|last| number(last.text()) == 25_999)
            .map(|_| ())
    });
    let ended = third.stop();
    safe.extend(23_000..26_000);

    let requests = server.requests();
    let came: Vec<u64> = requests.iter().map(|request| number(request.text())).collect();
    let mut keys = BTreeSet::new();
    let mut last = None;
    let mut duplicates = 0;
    for (request, number) in requests.iter().zip(&came) {
        match keys.insert(request.header("idempotency-key").unwrap()) {
            true => {
                assert!(last < Some(*number), "{number} came after {last:?}");
                last = Some(*number);
            }
            false => duplicates += 1,
        }
    }
    let came: BTreeSet<u64> = came.into_iter().collect();
    let missing: Vec<&u64> = safe.difference(&came).collect();
    assert!(
        missing.is_empty(),
        "{} are missing, from {:?} on",
        missing.len(),
        missing[0]
    );
    assert_eq!(requests.len(), came.len() + duplicates);
    println!(
        "{} alerts arrived, {duplicates} of them twice, over two kills",
        came.len()
    );
    assert!(
        duplicates <= 1,
        "one alert was on its way when the agent was killed: {duplicates}"
    );
    assert_eq!(spooled(&spool).len(), 0);
    assert!(ended.stderr.contains(", 0 lost"), "{}", ended.stderr);
}

#[test]
fn the_configuration_of_old_guides_alerts_everywhere_at_once() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let (folder, options) = rules();
    let server = Server::start(|_, _| Answer::Status(200, "ok"));
    let file = folder.path().join("events.log");
    let configuration = folder.path().join("falco.yaml");
    let rules = options.last().unwrap();
    let text = format!(
        "rules_file:\n  - {rules}\njson_output: true\nlog_level: info\nlog_stderr: true\nlog_syslog: false\n\
         priority: debug\nbuffered_outputs: false\nstdout_output:\n  enabled: true\n\
         file_output:\n  enabled: true\n  keep_alive: false\n  filename: {0}\n\
         program_output:\n  enabled: true\n  keep_alive: false\n  program: \"jq -c '{{text: .output}}' | curl -s -d @- -X POST \
         {1}hook > {2}\"\n\
         http_output:\n  enabled: true\n  url: {1}alerts\n",
        file.display(),
        server.url(),
        folder.path().join("reply").display()
    );
    fs::write(&configuration, text).unwrap();
    let mut arguments = vec!["-c".to_owned(), configuration.to_str().unwrap().to_owned()];
    arguments.extend(options[..options.len() - 2].iter().cloned());
    let lanner = Lanner::start(&arguments);
    remove(0..2);
    let of = |target: &str| -> Vec<String> {
        let requests = server.requests();
        let those = requests.iter().filter(|request| request.target == target);
        those.map(|request| request.text().to_owned()).collect()
    };
    wait_for("both alerts by both ways", LIMIT, || {
        (of("/hook").len() == 2 && of("/alerts").len() == 2).then_some(())
    });
    let ended = lanner.stop();
    let lines: Vec<String> = fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(lines.iter().map(|line| number(line)).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(of("/alerts"), lines);
    for (hook, line) in of("/hook").iter().zip(&lines) {
        let (hook, line): (Value, Value) = (
            serde_json::from_str(hook).unwrap(),
            serde_json::from_str(line).unwrap(),
        );
        assert_eq!(hook, serde_json::json!({ "text": line["output"] }));
    }
    assert_eq!(ended.alerts().len(), 2);
    for output in ["stdout", "file", "program", "http"] {
        let line = format!("  {output}: 2 delivered, 0 lost");
        assert!(
            ended.stderr.lines().any(|of| of.starts_with(&line)),
            "{line}\n{}",
            ended.stderr
        );
    }
}

/// A certificate of an authority, and its key, as PEM.
fn certificate(issuer: &Issuer<'_, KeyPair>, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    params.extended_key_usages = vec![purpose];
    let certificate = params.signed_by(&key, issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[test]
fn mutual_tls_as_falco_configures_it() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let (folder, mut options) = rules();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (client_cert, client_key) = certificate(&issuer, ExtendedKeyUsagePurpose::ClientAuth);
    let (server_cert, server_key) = certificate(&issuer, ExtendedKeyUsagePurpose::ServerAuth);
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(server_cert.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(server_key.as_bytes()).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::listen(listener, Some(tls), |_, _| Answer::Status(200, ""));
    let configuration = write(
        "falco.yaml",
        &format!(
            "http_output:\n  enabled: true\n  url: https://localhost:{port}/\n  user_agent: falcosecurity/falco\n  \
             insecure: false\n  ca_cert: {}\n  ca_bundle: \"\"\n  ca_path: /etc/ssl/certs\n  mtls: true\n  client_cert: \
             {}\n  client_key: {}\n  echo: false\n  compress_uploads: false\n  keep_alive: true\n  \
             max_consecutive_timeouts: 5\n",
            write("ca.crt", &ca.pem()),
            write("client.crt", &client_cert),
            write("client.key", &client_key)
        ),
    );
    options.extend(["-c".to_owned(), configuration]);
    let lanner = Lanner::start(&options);
    remove(0..3);
    wait_for("three alerts", LIMIT, || (server.count() >= 3).then_some(()));
    let ended = lanner.stop();
    let requests = server.requests();
    let numbers: Vec<u64> = requests.iter().map(|request| number(request.text())).collect();
    assert_eq!((numbers, server.connections()), (vec![0, 1, 2], 1));
    assert_eq!(requests[0].header("user-agent"), Some("falcosecurity/falco"));
    assert!(
        ended
            .stderr
            .lines()
            .any(|line| line.starts_with("  http: 3 delivered, 0 lost")),
        "{}",
        ended.stderr
    );
}

/// A proxy that opens a tunnel to one receiver, whatever it is asked for.
struct Proxy {
    address: SocketAddr,
    /// The heads of what it was asked.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn to(receiver: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heads = Arc::clone(&asked);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let heads = Arc::clone(&heads);
                thread::spawn(move || {
                    let mut reader = BufReader::new(client.try_clone().unwrap());
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
                    heads.lock().unwrap().push(head.to_lowercase());
                    let mut server = TcpStream::connect(receiver).unwrap();
                    let (mut answers, mut client) = (server.try_clone().unwrap(), client);
                    client
                        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                        .unwrap();
                    thread::spawn(move || io::copy(&mut answers, &mut client));
                    let _ = io::copy(&mut reader, &mut server);
                });
            }
        });
        Proxy { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[test]
fn proxies_are_taken_from_the_environment() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let server = Server::start(|_, _| Answer::Status(200, ""));
    let proxy = Proxy::to(server.address);
    let (_folder, options) = rules();
    let alert = |url: &str, no_proxy: &str| {
        let mut command = Command::new(lanner::PROGRAM);
        for name in ["all_proxy", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name);
        }
        command
            .args(&options)
            .args(["-o", "http_output.enabled=true", "-o"])
            .arg(format!("http_output.url={url}"))
            .env("http_proxy", format!("http://some:body@{}", proxy.address))
            .env("no_proxy", no_proxy);
        let before = server.count();
        let lanner = Lanner::start_command(command);
        remove(0..2);
        wait_for("both alerts", LIMIT, || {
            (server.count() >= before + 2).then_some(())
        });
        lanner.stop();
    };
    // Only the proxy knows this host.
    alert("http://receiver.invalid:2801/alerts", "localhost, .example");
    let asked = proxy.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(
        asked[0].starts_with("connect receiver.invalid:2801 http/1.1\r\n"),
        "{asked:?}"
    );
    assert!(
        asked[0].contains("\r\nproxy-authorization: basic c29tztpib2r5\r\n"),
        "{asked:?}"
    );
    assert_eq!(server.last().unwrap().target, "/alerts");
    alert(&server.url(), "example.com, 127.0.0.1");
    assert_eq!(proxy.asked().len(), 1, "{:?}", proxy.asked());
}

/// A file system of 64 KiB, gone with the value.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    fn mount(path: &Path) -> SmallDisk<'_> {
        fs::create_dir(path).unwrap();
        mount(
            Some("tmpfs"),
            path,
            Some("tmpfs"),
            MsFlags::empty(),
            Some("size=64k"),
        )
        .unwrap();
        SmallDisk(path)
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = umount2(self.0, MntFlags::MNT_DETACH);
    }
}

/// Runs what comes after it with a /dev of its own, in which `log` is the socket of that name in the folder it is given.
const OWN_DEV: &str = "mkdir $0/dev && for one in null zero full random urandom; do : >$0/dev/$one && mount --bind \
    /dev/$one $0/dev/$one || exit 1; done && ln -s $0/log $0/dev/log && mount --rbind $0/dev /dev && exec \"$@\"";

/// What `/metrics` says, once the web server answers.
fn metrics(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).ok()?;
    io::read_to_string(stream).ok()
}

#[test]
fn outputs_that_are_stuck_cost_nobody_else_an_alert() {
    const ALERTS: u64 = 1000;
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let _alone = alone();
    let (folder, mut options) = rules();
    let disk = folder.path().join("disk");
    let _disk = SmallDisk::mount(&disk);
    let server = Server::start(|_, _| Answer::Hang);
    let syslog = UnixDatagram::bind(folder.path().join("log")).unwrap();
    syslog.set_read_timeout(Some(LIMIT)).unwrap();
    let port = Port::new();
    for option in [
        "webserver.enabled=true".to_owned(),
        "webserver.listen_address=127.0.0.1".to_owned(),
        format!("webserver.listen_port={port}"),
        "webserver.prometheus_metrics_enabled=true".to_owned(),
        "metrics.enabled=true".to_owned(),
        "syslog_output.enabled=true".to_owned(),
        "program_output.enabled=true".to_owned(),
        "program_output.keep_alive=true".to_owned(),
        "program_output.program=exec sleep 1000".to_owned(),
        "file_output.enabled=true".to_owned(),
        "file_output.keep_alive=true".to_owned(),
        format!("file_output.filename={}", disk.join("events.log").display()),
        "http_output.enabled=true".to_owned(),
        format!("http_output.url={}", server.url()),
        "outputs_spool.enabled=true".to_owned(),
        format!("outputs_spool.path={}", disk.join("spool").display()),
        "outputs_queue.capacity=500".to_owned(),
        // Else what hangs is waited for at the end.
        "output_timeout=2000".to_owned(),
    ] {
        options.extend(["-o".to_owned(), option]);
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", OWN_DEV]);
    command.arg(folder.path()).arg(lanner::PROGRAM).args(&options);
    let lanner = Lanner::start_command(command);
    // It goes away after some.
    let syslog = thread::spawn(move || {
        for _ in 0..50 {
            syslog.recv(&mut [0; 4096]).unwrap();
        }
    });
    // Slowly enough for a queue that is not stuck.
    for start in (0..ALERTS).step_by(100) {
        remove(start..start + 100);
        let come = usize::try_from(start + 100).unwrap();
        lanner.wait_for_alerts("on standard output", come, |_| true);
    }
    syslog.join().unwrap();
    // Each is seen while it lasts.
    for output in ["program", "file", "http", "syslog"] {
        let series = format!("lanner_output_alerts_lost_total{{output=\"{output}\",");
        wait_for(&format!("losses of {output} in /metrics"), LIMIT, || {
            let text = metrics(port.number)?;
            let mut lost = text.lines().filter(|line| line.starts_with(&series));
            lost.any(|line| !line.ends_with(" 0")).then_some(())
        });
    }
    let ended = lanner.stop();
    let numbers: Vec<u64> = ended
        .stdout
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(number)
        .collect();
    assert_eq!(numbers, (0..ALERTS).collect::<Vec<_>>());
    let line = |output: &str| {
        let start = format!("  {output}: ");
        let found = ended.stderr.lines().find(|line| line.starts_with(&start));
        found
            .unwrap_or_else(|| panic!("{output}\n{}", ended.stderr))
            .to_owned()
    };
    assert!(ended.stderr.contains("Events lost: 0"), "{}", ended.stderr);
    assert!(
        line("stdout").contains("1000 delivered, 0 lost"),
        "{}",
        line("stdout")
    );
    assert!(line("file").contains("failed: "), "{}", line("file"));
    let program = line("program");
    assert!(
        program.contains("program: 0 delivered") && program.contains(" killed"),
        "{program}"
    );
    assert!(line("http").contains("http: 0 delivered"), "{}", line("http"));
    assert!(line("syslog").contains("absent: "), "{}", line("syslog"));
    assert!(
        ended.stderr.contains("No space left on device"),
        "{}",
        ended.stderr
    );
}
