//! What watching without BPF costs: paired runs without an observer, with tier none, and with tier sys_exit.
//!
//! `cargo bench --bench without_bpf [-- --rounds N]`. Needs root, and a machine where nothing else runs. What is added is the
//! difference from the mean of the bare runs before and after, and the figures are medians over the rounds. Files are opened
//! in bursts that the kernel can keep, and different ones: fanotify tells once of one that is opened again. A notified connect
//! is a UDP socket's, by a process with a filter as a runtime installs it; nothing is sent. The rules are those of the file
//! FALCO_RULES names, else the built-in ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a bench fails by panicking

use std::cell::Cell;
use std::fs::File;
use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use xtask::observer::Observer;
use xtask::workload::Workload;

/// Files that are opened in turn, more than a fanotify group keeps: of one that waits there nothing more is told.
const FILES: usize = 20_000;
/// Opens in one go: a third of what a fanotify group keeps.
const BURST: u32 = 5_000;
const BURSTS: u32 = 10;
const EXECS: u32 = 500;
const CONNECTS: u32 = 20_000;
/// How long a rate has to be sustained.
const SUSTAINED: Duration = Duration::from_secs(5);
/// The lowest and the highest rate of opens that is tried, per second.
const RATES: [f64; 2] = [2_500.0, 640_000.0];

struct Files {
    folder: tempfile::TempDir,
    paths: Vec<PathBuf>,
    next: Cell<usize>,
}

impl Files {
    fn new() -> Files {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..FILES).map(|n| folder.path().join(n.to_string())).collect();
        for path in &paths {
            std::fs::write(path, "x").unwrap();
        }
        Files {
            folder,
            paths,
            next: Cell::new(0),
        }
    }

    fn open(&self, count: u32) {
        let count = count as usize;
        let next = self.next.replace((self.next.get() + count) % FILES);
        for path in self.paths.iter().cycle().skip(next).take(count) {
            drop(File::open(path).unwrap());
        }
    }

    /// Nanoseconds per open and close.
    fn opens(&self) -> f64 {
        self.open(BURST);
        let mut spent = Duration::ZERO;
        for _ in 0..BURSTS {
            // Whoever watches catches up.
            std::thread::sleep(Duration::from_millis(200));
            let started = Instant::now();
            self.open(BURST);
            spent += started.elapsed();
        }
        spent.as_nanos() as f64 / f64::from(BURST * BURSTS)
    }

    /// Opens files at this rate; the rate that it came to.
    fn open_at(&self, rate: f64) -> f64 {
        let step = Duration::from_millis(10);
        let each = (rate * step.as_secs_f64()) as u32;
        let started = Instant::now();
        let mut steps = 0;
        while started.elapsed() < SUSTAINED {
            self.open(each);
            steps += 1;
            std::thread::sleep((step * steps).saturating_sub(started.elapsed()));
        }
        f64::from(each) * f64::from(steps) / started.elapsed().as_secs_f64()
    }
}

/// Nanoseconds per child that executes a program.
fn execs() -> f64 {
    let run = |count| {
        Workload::Exec
            .run(count, "".as_ref(), "/bin/true".as_ref())
            .unwrap()
    };
    run(EXECS / 20);
    let started = Instant::now();
    run(EXECS);
    started.elapsed().as_nanos() as f64 / f64::from(EXECS)
}

/// Lanner in a tier, served by the keeper where there is one.
fn observe(tier: &str, keeper: Option<&Keeper>) -> Observer {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lanner"));
    let tier = format!("engine.tier={tier}");
    for option in [
        "journald_output.enabled=false",
        "syslog_output.enabled=false",
        "runtime_directory=",
        &tier,
    ] {
        command.args(["-o", option]);
    }
    if let Some(keeper) = keeper {
        command
            .arg("-o")
            .arg(format!("engine.seccomp_keeper={}", keeper.at("agents").display()));
    }
    if let Some(rules) = std::env::var_os("FALCO_RULES") {
        command.arg("-r").arg(rules);
    }
    Observer::start(&mut command).unwrap()
}

/// The process that holds the listeners of notified containers.
struct Keeper {
    process: Child,
    folder: tempfile::TempDir,
}

impl Keeper {
    fn start() -> Keeper {
        let folder = tempfile::tempdir().unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_lanner"))
            .args(["keeper", "--listener"])
            .arg(folder.path().join("listener"))
            .arg("--agents")
            .arg(folder.path().join("agents"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let keeper = Keeper { process, folder };
        let deadline = Instant::now() + Duration::from_secs(20);
        while UnixStream::connect(keeper.at("listener")).is_err() {
            assert!(Instant::now() < deadline, "the keeper has no socket");
            std::thread::sleep(Duration::from_millis(5));
        }
        keeper
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Nanoseconds per connect of a process of its own: a filter cannot be taken off again.
fn connects(keeper: Option<&Keeper>) -> f64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .arg("--connects")
        .args(keeper.map(|keeper| keeper.at("listener")));
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// What that process does: `keeper` is the socket on which a runtime hands its listener over.
fn connect(keeper: Option<&Path>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to: SocketAddr = ([127, 0, 0, 1], 9).into();
    if let Some(keeper) = keeper {
        let stream = UnixStream::connect(keeper).unwrap();
        let listener = notify_of_connects();
        let state = serde_json::json!({
            "ociVersion": "1.2.0", "fds": ["seccompFd"], "pid": std::process::id(), "metadata": "",
            "state": { "id": "bench" },
        });
        let (bytes, numbers) = (state.to_string(), [listener.as_raw_fd()]);
        let control = [ControlMessage::ScmRights(&numbers)];
        let parts = [IoSlice::new(bytes.as_bytes())];
        sendmsg::<()>(stream.as_raw_fd(), &parts, &control, MsgFlags::empty(), None).unwrap();
    }
    let run = |count| {
        for _ in 0..count {
            socket.connect(to).unwrap();
        }
    };
    run(CONNECTS / 20);
    let started = Instant::now();
    run(CONNECTS);
    println!("{}", started.elapsed().as_nanos() as f64 / f64::from(CONNECTS));
}

/// Installs a filter that notifies of connect(2) alone; its listener.
fn notify_of_connects() -> OwnedFd {
    let step = |code: u32, jf: u8, k: u32| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt: 0,
        jf,
        k,
    };
    let connect = u32::try_from(libc::SYS_connect).unwrap();
    let mut filter = [
        // The number of the call is the first word.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, connect),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_USER_NOTIF),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap(),
        filter: filter.as_mut_ptr(),
    };
    let (mode, flags) = (
        libc::SECCOMP_SET_MODE_FILTER,
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
    );
    // SAFETY: plain numbers, and a filter that lives until the kernel has copied it.
    let listener = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) };
    assert!(listener >= 0, "no filter: {}", std::io::Error::last_os_error());
    // SAFETY: the kernel has just made it for this process, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(i32::try_from(listener).unwrap()) }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What a workload gives while somebody watches, and the processor time that one has for each of `count`, nanoseconds.
fn watched(observer: &Observer, count: u32, workload: impl FnOnce() -> f64) -> [f64; 2] {
    let before = observer.cpu().unwrap();
    let result = workload();
    // It catches up.
    std::thread::sleep(Duration::from_millis(300));
    let used = observer.cpu().unwrap() - before;
    [result, used.as_nanos() as f64 / f64::from(count)]
}

/// What Lanner says at its end that it lost of what these sources told.
fn lost(said: &str) -> Vec<String> {
    let is_loss = |line: &&str| line.contains(", overflow: ") || line.contains(", queue_full: ");
    said.lines()
        .filter(is_loss)
        .map(|line| line.trim().to_owned())
        .collect()
}

/// Bare, tier none and tier sys_exit, `rounds` times: opens and execs.
fn tiers(files: &Files, rounds: usize) {
    const TIERS: [&str; 2] = ["none", "sys_exit"];
    let mut bare = [const { Vec::new() }; 2];
    // By tier and workload: what is added, and what the agent needs.
    let mut seen = [const { [const { [const { Vec::new() }; 2] }; 2] }; 2];
    let mut losses = Vec::new();
    for round in 1..=rounds {
        eprintln!("round {round} of {rounds}");
        let mut before = [files.opens(), execs()];
        for (tier, seen) in TIERS.into_iter().zip(&mut seen) {
            let observer = observe(tier, None);
            let measured = [
                watched(&observer, BURST * (BURSTS + 1), || files.opens()),
                watched(&observer, EXECS + EXECS / 20, execs),
            ];
            losses.extend(lost(&observer.stop().unwrap()));
            let after = [files.opens(), execs()];
            for index in 0..2 {
                let mean = f64::midpoint(before[index], after[index]);
                bare[index].push(mean);
                seen[index][0].push(measured[index][0] - mean);
                seen[index][1].push(measured[index][1]);
            }
            before = after;
        }
    }
    println!("\nNanoseconds per iteration, medians of {rounds} rounds, and of the agent's processor time:\n");
    println!(
        "| workload | bare | tier none adds | tier sys_exit adds | agent, tier none | agent, tier sys_exit |"
    );
    println!("|---|---|---|---|---|---|");
    for (index, name) in ["open+close", "fork+exec"].into_iter().enumerate() {
        let [added, agent] = [0, 1].map(|what| [0, 1].map(|tier: usize| median(&seen[tier][index][what])));
        println!(
            "| {name} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
            median(&bare[index]),
            added[0],
            added[1],
            agent[0],
            agent[1]
        );
    }
    if !losses.is_empty() {
        println!("\nNot all of that was seen: {}", losses.join("; "));
    }
}

/// Connects without a filter, answered by the keeper, and answered by the agent, `rounds` times.
fn notified(rounds: usize) {
    let keeper = Keeper::start();
    let mut bare = Vec::new();
    let mut added = [const { Vec::new() }; 2];
    let mut used = Vec::new();
    for _ in 0..rounds {
        let mut before = connects(None);
        for (with_agent, added) in [false, true].into_iter().zip(&mut added) {
            let result = match with_agent {
                false => connects(Some(&keeper)),
                true => {
                    let agent = observe("none", Some(&keeper));
                    let count = CONNECTS + CONNECTS / 20;
                    let [result, cpu] = watched(&agent, count, || connects(Some(&keeper)));
                    used.push(cpu);
                    let said = agent.stop().unwrap();
                    let told = said.lines().any(|line| line.contains("seccomp, delivered: "));
                    assert!(told, "the agent was told of nothing:\n{said}");
                    result
                }
            };
            let after = connects(None);
            let mean = f64::midpoint(before, after);
            bare.push(mean);
            added.push(result - mean);
            before = after;
        }
    }
    println!("\n| notified connect | bare | the keeper's answer adds | the agent's adds | agent |");
    println!("|---|---|---|---|---|");
    let [keeper, agent] = [median(&added[0]), median(&added[1])];
    let (bare, used) = (median(&bare), median(&used));
    println!("| UDP | {bare:.0} | {keeper:.0} | {agent:.0} | {used:.0} |");
}

/// The highest rate of opens that tier none has been seen to sustain, to an eighth.
fn sustained(files: &Files) {
    let [mut good, top] = RATES;
    let mut bad = None;
    let holds = |rate: f64| {
        let observer = observe("none", None);
        let reached = files.open_at(rate);
        let losses = lost(&observer.stop().unwrap());
        eprintln!("{rate:.0} opens per second: {reached:.0} reached; {losses:?}");
        (losses.is_empty(), reached)
    };
    let (held, mut reached) = holds(good);
    if !held {
        return println!("\nNot even {good:.0} opens per second are sustained without overflow.");
    }
    while bad.is_none_or(|bad: f64| bad - good > good / 8.0) && good < top {
        let rate = bad.map_or(good * 2.0, |bad: f64| f64::midpoint(good, bad));
        match holds(rate) {
            (true, came_to) if came_to < rate * 0.9 => {
                println!("\nThis machine opens no more than {came_to:.0} files per second; all were seen.");
                return;
            }
            (true, came_to) => (good, reached) = (rate, came_to),
            (false, _) => bad = Some(rate),
        }
    }
    let seconds = SUSTAINED.as_secs();
    println!("\nOpens sustained for {seconds} s without overflow, tier none: {reached:.0} per second.");
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| {
        arguments
            .iter()
            .position(|argument| argument == name)
            .map(|at| at + 1)
    };
    if let Some(at) = after("--connects") {
        return connect(arguments.get(at).map(Path::new));
    }
    let rounds = after("--rounds")
        .and_then(|at| arguments.get(at))
        .map_or(7, |rounds| rounds.parse().expect("--rounds takes a number"));
    let files = Files::new();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    println!(
        "{FILES} different files in {}; load {}",
        files.folder.path().display(),
        load.trim()
    );
    tiers(&files, rounds);
    notified(rounds);
    sustained(&files);
}
