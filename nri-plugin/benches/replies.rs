//! How long a runtime waits for a reply, on a node with few containers and with thousands, over a real socket.
//!
//! `cargo bench -p lanner-nri --bench replies [-- --calls N]`. Cgroups are folders in a temporary one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a bench fails by panicking

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lanner_nri::rehearsal::{framed, request, requests};
use lanner_nri::{Config, ContainerTable, Latency, Status};
use tokio::sync::watch;

/// The runtime's end.
struct Peer {
    stream: UnixStream,
    next: u32,
}

impl Peer {
    /// Reads one frame and forgets it.
    fn read(&mut self) {
        let mut head = [0; 8];
        self.stream.read_exact(&mut head).unwrap();
        let mut payload = vec![0; u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize];
        self.stream.read_exact(&mut payload).unwrap();
    }

    fn call(&mut self, method: &str, payload: &[u8]) -> Duration {
        self.next += 2;
        let wire = framed(&request(self.next, method, payload));
        let began = Instant::now();
        self.stream.write_all(&wire).unwrap();
        self.read();
        began.elapsed()
    }
}

fn id(number: usize) -> String {
    format!("{number:064x}")
}

fn payload(id: &str, method: &str) -> Vec<u8> {
    let found = requests(id).into_iter().find(|(name, _)| *name == method);
    found.expect("a request").1
}

fn quantile(sorted: &[Duration], hundredths: usize) -> f64 {
    sorted[(sorted.len() * hundredths / 100).min(sorted.len() - 1)].as_secs_f64() * 1e6
}

/// Starts `calls` containers on a node that has `there` already.
fn measure(there: usize, calls: usize) -> Latency {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("proc/1")).unwrap();
    fs::write(
        root.join("proc/1/mountinfo"),
        "30 24 0:26 / /cgroups rw - cgroup2 cgroup2 rw\n",
    )
    .unwrap();
    fs::create_dir_all(root.join("cgroups/k8s.io")).unwrap();
    fs::write(root.join("cgroups/cgroup.controllers"), "memory pids\n").unwrap();
    let cgroup = |id: &str| fs::create_dir(root.join(Path::new("cgroups/k8s.io").join(id))).unwrap();

    let config = Config {
        socket_path: root.join("nri.sock"),
        host_root: root.into(),
        containerd_enabled: false,
        ..Config::default()
    };
    let listener = UnixListener::bind(&config.socket_path).unwrap();
    let beside = tokio::runtime::Runtime::new().unwrap();
    let (table, status) = (ContainerTable::new(), Arc::<Status>::default());
    let (_stop, shutdown) = watch::channel(false);
    lanner_nri::start(
        config,
        Arc::clone(&table),
        Arc::clone(&status),
        shutdown,
        beside.handle().clone(),
    )
    .unwrap();
    let mut peer = Peer {
        stream: listener.accept().unwrap().0,
        next: 1,
    };
    peer.read();
    peer.call("Configure", &payload(&id(0), "Configure"));
    peer.call("Synchronize", &[]);
    for number in 0..there {
        cgroup(&id(number));
        peer.call("StartContainer", &payload(&id(number), "StartContainer"));
    }
    // Readers keep the snapshots that they have: a change has to copy.
    let mut reader = table.reader();
    let mut times: Vec<Duration> = (there..there + calls)
        .map(|number| {
            let id = id(number);
            peer.call("CreateContainer", &payload(&id, "CreateContainer"));
            cgroup(&id);
            reader.refresh();
            peer.call("StartContainer", &payload(&id, "StartContainer"))
        })
        .collect();
    times.sort();
    let now = status.snapshot();
    assert_eq!((now.errors, now.without_cgroup, now.panics), (0, 0, 0));
    println!(
        "{there:>5} containers there: the runtime waits {:.0} µs (median), {:.0} µs (p99), {:.0} µs at most of {calls}",
        quantile(&times, 50),
        quantile(&times, 99),
        quantile(&times, 100),
    );
    now.starts
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let calls = arguments
        .iter()
        .position(|argument| argument == "--calls")
        .and_then(|at| arguments.get(at + 1)?.parse().ok())
        .unwrap_or(2000);
    for there in [10, 1000, 5000] {
        let starts = measure(there, calls);
        println!("      as the plugin sees it, those before included: {starts}");
    }
}
