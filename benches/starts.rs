//! What Lanner adds to a container's start: a real containerd, starts without and with Lanner by turns.
//!
//! `cargo bench --bench starts [-- --seconds N] [--program PATH]...`. Needs root, and a machine where nothing else runs. A
//! round is two pods of a few containers without Lanner, four with it, after two in which it settles (it asks the runtime for
//! what it will not have to ask for again), and two without; where the example `empty_hook` was built, four with an empty
//! program on the return of every call and nothing else; and the same of each other Lanner that is named. What is added is the
//! difference of the lower quartiles, and of the medians, of the containers of a pod, in the median over the rounds; beside the
//! time it is taken from the processor time of containerd, its shims, runc and the containers, to which the agent's own comes.
//! The figures of every other round alone show how well all that repeats: a millisecond takes minutes. It begins by dropping the
//! kernel's caches. After it the same starts once more, with the kernel counting what BPF programs run, whoever makes them run.
//! The rules are those of the file FALCO_RULES names, else the built-in ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a bench fails by panicking

#[path = "../tests/support/mod.rs"]
mod support;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use libbpf_rs::query::{ProgInfoIter, ProgramInfo};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use support::containerd::{BUSYBOX, Containerd, Pod, Run};
use support::lanner::{self, Lanner};
use xtask::observer::{Observer, empty_hook};
use xtask::programs::{CountedRuns, Runs, runs, since, uncounted};
use xtask::statistics::{Added, Quartiles, Round};

/// Containers that are started in a pod, after one that does not count.
const STARTS: usize = 5;
/// Pods without anything, right before and right after those with it.
const BARE: usize = 2;
/// Pods after Lanner's start that don't count.
const SETTLING: usize = 2;
/// Pods while something watches.
const WATCHED: usize = 2 * BARE;
/// Pods where the kernel counts.
const COUNTED: usize = 6;
/// A Lanner that took no more than this of `REST` has come to rest after its start.
const IDLE: Duration = Duration::from_micros(500);
const REST: Duration = Duration::from_millis(25);
/// How long it is waited for.
const RESTS: u32 = 80;

/// The processor time of everything in a cgroup and below it.
struct Tree(PathBuf);

impl Tree {
    /// Puts containerd, and with it what it will start, in a cgroup beside those of its pods.
    fn of(containerd: &Containerd) -> Tree {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let mounts = mounts.lines().filter_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                [_, place, kind, options, ..] => Some((*place, *kind, *options)),
                _ => None,
            }
        });
        let first = mounts
            .clone()
            .find(|(_, kind, options)| *kind == "cgroup" && options.split(',').any(|one| one == "cpuacct"));
        let all = first.or_else(|| mounts.clone().find(|(_, kind, _)| *kind == "cgroup2"));
        let (place, ..) = all.expect("there are cgroups");
        let tree = Path::new(place).join(containerd.cgroup_parent().trim_start_matches('/'));
        let runtime = tree.join("runtime");
        std::fs::create_dir_all(&runtime).unwrap();
        std::fs::write(runtime.join("cgroup.procs"), containerd.pid().to_string()).unwrap();
        Tree(tree)
    }

    fn spent(&self) -> Duration {
        if let Ok(nanoseconds) = std::fs::read_to_string(self.0.join("cpuacct.usage")) {
            return Duration::from_nanos(nanoseconds.trim().parse().unwrap());
        }
        let stat = std::fs::read_to_string(self.0.join("cpu.stat")).unwrap();
        let usage = stat.lines().find_map(|line| line.strip_prefix("usage_usec "));
        Duration::from_micros(usage.unwrap().parse().unwrap())
    }
}

/// Milliseconds of each start: of time, of the runtime's processor time, and of that of containerd's own process.
#[derive(Default)]
struct Starts {
    time: Vec<f64>,
    cpu: Vec<f64>,
    containerd: Vec<f64>,
}

struct Bench {
    containerd: Containerd,
    tree: Tree,
    pods: usize,
}

impl Bench {
    /// Starts containers in a pod of their own, and one before that is not measured. `between` is called before and
    /// after those that are.
    fn starts(&mut self, mut between: impl FnMut()) -> Starts {
        self.pods += 1;
        let pod = self.containerd.pod("bench", &format!("pod-{}", self.pods));
        self.start(&pod, 0);
        between();
        let mut starts = Starts::default();
        for number in 1..=STARTS {
            let [time, cpu, containerd] = self.start(&pod, number);
            starts.time.push(time);
            starts.cpu.push(cpu);
            starts.containerd.push(containerd);
        }
        between();
        self.containerd.remove(&pod);
        starts
    }

    fn start(&self, pod: &Pod, number: usize) -> [f64; 3] {
        let name = format!("one-{number}");
        let before = (self.tree.spent(), self.containerds());
        let began = Instant::now();
        self.containerd.run(pod, Run::new(&name, BUSYBOX));
        let time = began.elapsed();
        let (tree, own) = (self.tree.spent(), self.containerds());
        [time, tree - before.0, own.saturating_sub(before.1)].map(milliseconds)
    }

    /// The processor time of containerd's own process.
    fn containerds(&self) -> Duration {
        let threads = threads(self.containerd.pid());
        Duration::from_nanos(threads.values().map(|spent| spent.time).sum())
    }

    /// The same with a Lanner, `pods` times, whose own processor time is added to `agent`. With `counted` the kernel
    /// counts what its programs run.
    fn watched(
        &mut self,
        program: &Path,
        pods: usize,
        agent: &mut Agent,
        counted: bool,
    ) -> (Vec<Starts>, lanner::Ended) {
        let mut command = Command::new(program);
        command.args(lanner::options(Some(&self.containerd)));
        if let Some(rules) = std::env::var_os("FALCO_RULES") {
            command.arg("-r").arg(rules);
        }
        let lanner = Lanner::start_command(command);
        lanner.wait_for_log("that the runtime knows it", |line| {
            line.contains("connected to containerd")
        });
        let pid = lanner.pid();
        let clock = clock_getcpuclockid(pid).unwrap();
        let spent = || Duration::from(clock_gettime(clock).unwrap());
        let mut before = spent();
        for _ in 0..RESTS {
            std::thread::sleep(REST);
            let now = spent();
            if now - std::mem::replace(&mut before, now) < IDLE {
                break;
            }
        }
        self.some(SETTLING);
        let _counted = counted.then(|| CountedRuns::begin().unwrap());
        let mut all = Vec::new();
        for _ in 0..pods {
            let mut begun = None;
            all.push(self.starts(|| match begun.take() {
                None => begun = Some(Agent::now(pid)),
                Some(begun) => {
                    // What it has still to do of the last one.
                    std::thread::sleep(REST);
                    agent.add(&begun, Agent::now(pid));
                }
            }));
        }
        (all, lanner.stop())
    }

    /// The same with an empty program on the return of every call.
    fn hooked(&mut self, hook: &Path) -> Vec<Starts> {
        let observer = Observer::start(&mut Command::new(hook)).unwrap();
        let all = self.some(WATCHED);
        observer.stop().unwrap();
        all
    }

    /// The starts of a few pods.
    fn some(&mut self, pods: usize) -> Vec<Starts> {
        (0..pods).map(|_| self.starts(|| ())).collect()
    }
}

/// What is measured by its rounds.
enum By {
    /// A Lanner, and what it has spent.
    Lanner(PathBuf, Agent),
    /// An empty program on the return of every call.
    Hook(PathBuf),
}

/// What one of them added to the starts of all rounds.
struct Measured {
    by: By,
    time: Vec<Round>,
    cpu: Vec<Round>,
    containerd: Vec<Round>,
}

impl Measured {
    fn new(by: By) -> Measured {
        Measured {
            by,
            time: Vec::new(),
            cpu: Vec::new(),
            containerd: Vec::new(),
        }
    }

    fn add(&mut self, before: &[Starts], watched: &[Starts], after: &[Starts]) {
        let round = |of: fn(&Starts) -> &Vec<f64>| Round {
            bare: before
                .iter()
                .chain(after)
                .map(|starts| of(starts).clone())
                .collect(),
            watched: watched.iter().map(|starts| of(starts).clone()).collect(),
        };
        self.time.push(round(|starts| &starts.time));
        self.cpu.push(round(|starts| &starts.cpu));
        self.containerd.push(round(|starts| &starts.containerd));
    }
}

/// What Lanner has spent: by thread, and runs of its programs by id.
#[derive(Default)]
struct Agent {
    threads: BTreeMap<String, Spent>,
    programs: BTreeMap<u32, Runs>,
    names: BTreeMap<u32, String>,
    starts: usize,
}

/// What threads of one name have spent: nanoseconds of processor time, and how often they waited.
#[derive(Default, Clone, Copy)]
struct Spent {
    time: u64,
    waits: u64,
}

/// What the threads of a process have spent, by their names.
fn threads(pid: Pid) -> BTreeMap<String, Spent> {
    let mut threads = BTreeMap::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
        let read = |name| std::fs::read_to_string(thread.path().join(name));
        // It may end meanwhile.
        if let (Ok(name), Ok(time), Ok(status)) = (read("comm"), read("schedstat"), read("status")) {
            let spent: &mut Spent = threads.entry(name.trim().to_owned()).or_default();
            spent.time += time.split(' ').next().unwrap().parse::<u64>().unwrap();
            let mut lines = status.lines();
            let waits = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            spent.waits += waits.unwrap().trim().parse::<u64>().unwrap();
        }
    }
    threads
}

impl Agent {
    fn now(pid: Pid) -> Agent {
        Agent {
            threads: threads(pid),
            programs: runs(pid.as_raw().cast_unsigned()).unwrap(),
            ..Agent::default()
        }
    }

    /// Adds what was spent between two looks, on the starts of a pod.
    fn add(&mut self, before: &Agent, after: Agent) {
        for (id, Runs { count, time }) in since(&before.programs, &after.programs) {
            let runs = self.programs.entry(id).or_default();
            runs.count += count;
            runs.time += time;
        }
        for (name, spent) in after.threads {
            let before = before.threads.get(&name).copied().unwrap_or_default();
            let all = self.threads.entry(name).or_default();
            all.time += spent.time.saturating_sub(before.time);
            all.waits += spent.waits.saturating_sub(before.waits);
        }
        self.starts += STARTS;
        if !self.programs.is_empty() {
            let name = |program: ProgramInfo| (program.id, program.name.to_string_lossy().into_owned());
            self.names = ProgInfoIter::default().map(name).collect();
        }
    }

    fn each(&self, nanoseconds: u64) -> f64 {
        nanoseconds as f64 / 1e6 / self.starts as f64
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut threads: Vec<_> = self.threads.iter().collect();
        threads.sort_by_key(|(_, spent)| Reverse(spent.time));
        let all = threads.iter().map(|(_, spent)| spent.time).sum();
        write!(
            f,
            "the agent's processor time per start: {:.2} ms",
            self.each(all)
        )?;
        for (name, spent) in threads {
            let waits = spent.waits as f64 / self.starts as f64;
            write!(f, "; {name} {:.2} in {waits:.1} waits", self.each(spent.time))?;
        }
        Ok(())
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// One line of what was added, of the rounds in order.
fn report(what: &str, rounds: &[Round]) {
    let bare: Vec<f64> = rounds.iter().flat_map(|round| round.bare.concat()).collect();
    let watched: Vec<f64> = rounds.iter().flat_map(|round| round.watched.concat()).collect();
    let shown = |Added { all, halves }| {
        format!(
            "{all:+.2} ms (every other round {:+.2}, the others {:+.2})",
            halves[0], halves[1]
        )
    };
    println!(
        "  {what}: {}, by the medians {}; quartiles {:.1} ms without, {:.1} ms with it",
        shown(Added::over(rounds)),
        shown(Added::at(rounds, 0.5)),
        Quartiles::of(&bare),
        Quartiles::of(&watched),
    );
}

/// What ran, by the names of programs.
fn report_programs(agent: &Agent) {
    let mut programs: Vec<_> = agent.programs.iter().collect();
    programs.sort_by_key(|(_, runs)| Reverse(runs.time));
    let all = programs.iter().map(|(_, runs)| runs.time).sum();
    print!(
        "BPF programs per start, as the kernel counts: {:.2} ms",
        agent.each(all)
    );
    for (id, runs) in programs {
        print!(
            "; {} {:.2} ms in {} runs",
            agent.names.get(id).map_or("?", String::as_str),
            agent.each(runs.time),
            runs.count / agent.starts as u64,
        );
    }
    println!();
}

fn main() {
    if let Some(reason) = lanner::impossible() {
        return support::skip(&reason);
    }
    if let Err(reason) = uncounted() {
        return support::skip(&reason.to_string());
    }
    let arguments: Vec<String> = std::env::args().collect();
    let seconds = arguments
        .iter()
        .position(|argument| argument == "--seconds")
        .and_then(|at| arguments.get(at + 1))
        .map_or(90.0, |seconds| seconds.parse().expect("--seconds takes a number"));
    // Cached files keep the memory cgroups of containers that are gone: with 800 of them a start took 80 ms, and 60 after this.
    let _ = std::fs::write("/proc/sys/vm/drop_caches", "3");
    let containerd = match Containerd::start() {
        Ok(containerd) => containerd,
        Err(reason) => return support::skip(&reason),
    };
    let mut bench = Bench {
        tree: Tree::of(&containerd),
        containerd,
        pods: 0,
    };
    let own = PathBuf::from(env!("CARGO_BIN_EXE_lanner"));
    let named = arguments.windows(2).filter(|pair| pair[0] == "--program");
    let programs = std::iter::once(own.clone()).chain(named.map(|pair| PathBuf::from(&pair[1])));
    let lanners = programs.map(|program| By::Lanner(program, Agent::default()));
    let hook = empty_hook(&own).map(By::Hook);
    let mut all: Vec<Measured> = lanners.chain(hook).map(Measured::new).collect();
    bench.starts(|| ());
    let mut before = bench.some(BARE);
    let began = Instant::now();
    while began.elapsed().as_secs_f64() < seconds {
        for measured in &mut all {
            let watched = match &mut measured.by {
                By::Lanner(program, agent) => bench.watched(program, WATCHED, agent, false).0,
                By::Hook(program) => bench.hooked(program),
            };
            let after = bench.some(BARE);
            measured.add(&before, &watched, &after);
            before = after;
        }
    }
    println!(
        "What is added to a container's start, lower quartiles of {STARTS} in the median of {} rounds, {:.0} s:",
        all[0].time.len(),
        began.elapsed().as_secs_f64()
    );
    for measured in &all {
        match &measured.by {
            By::Lanner(program, _) => println!("Lanner ({})", program.display()),
            By::Hook(_) => println!("an empty program on every call's return"),
        }
        report("time", &measured.time);
        report("the runtime's processor time", &measured.cpu);
        report("of that containerd's own", &measured.containerd);
        if let By::Lanner(_, agent) = &measured.by {
            println!("  {agent}");
        }
    }
    let mut counted = Agent::default();
    let (_, ended) = bench.watched(&own, COUNTED, &mut counted, true);
    for line in ended.stderr.lines().filter(|line| line.contains("answered:")) {
        println!("{}", line.trim());
    }
    report_programs(&counted);
    // From the report at the end.
    println!(
        "all records of {} pods with {} containers, their removal among them:",
        SETTLING + COUNTED,
        STARTS + 1
    );
    let log = ended.stdout.lines().chain(ended.stderr.lines());
    let records = log.skip_while(|line| !line.starts_with("Events captured"));
    for line in records.take_while(|line| line.starts_with("Events captured") || line.starts_with("  ")) {
        println!("  {line}");
    }
}
