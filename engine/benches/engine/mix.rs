//! A generated mix of events as a busy host makes them: mostly opens of ordinary files by ordinary processes.

use lanner_schema::container::{Container, Learnt, Owner};
use lanner_schema::descriptor::{Descriptor, DescriptorKind};
use lanner_schema::event::{Event, FdUse};
use lanner_schema::process::{Image, Process, User};
use lanner_schema::record::{AF_INET, SocketTuple, Wire, WireBuilder};
use lanner_schema::view::{EventView, Names, Outcome, ResolvedPath, SourceId, System};
use std::sync::Arc;

/// When the events happen, nanoseconds since the epoch.
const NOW: u64 = 1_700_000_000_000_000_000;
const AT_FDCWD: i64 = -100;

/// The processes and users of the host, and one container.
pub(crate) struct Host {
    /// By pid: what capture's table costs is not the engine's.
    processes: Vec<Option<Process>>,
    user: User,
    container: Container,
}

impl System for Host {
    fn process(&self, pid: u32) -> Option<&Process> {
        self.processes.get(pid as usize)?.as_ref()
    }
    fn user(&self, uid: u32) -> Option<&User> {
        (uid == 0).then_some(&self.user)
    }
    fn group(&self, gid: u32) -> Option<&str> {
        (gid == 0).then_some("root")
    }
}

/// Pid, parent, path of the program, its arguments, whether it runs in the container.
type ProcessRow = (u32, u32, &'static str, &'static str, bool);
const PROCESSES: [ProcessRow; 16] = [
    (1, 0, "/usr/lib/systemd/systemd", "--system", false),
    (300, 1, "/usr/sbin/sshd", "-D", false),
    (310, 300, "/usr/sbin/sshd", "ann", false),
    (320, 310, "/usr/bin/bash", "-l", false),
    (330, 320, "/usr/bin/make", "-j2 all", false),
    (340, 330, "/usr/bin/cargo", "build --release", false),
    (
        350,
        340,
        "/usr/bin/rustc",
        "--crate-name engine src/lib.rs --edition=2024",
        false,
    ),
    (360, 330, "/usr/bin/gcc", "-O2 -c main.c", false),
    (400, 1, "/usr/bin/containerd", "", false),
    (
        410,
        1,
        "/usr/bin/containerd-shim-runc-v2",
        "-namespace k8s.io -id 0123",
        false,
    ),
    (420, 410, "/usr/sbin/nginx", "-g daemon_off;", true),
    (430, 420, "/usr/sbin/nginx", "", true),
    (440, 410, "/usr/bin/python3", "/srv/app/main.py --port 8080", true),
    (
        500,
        1,
        "/usr/bin/postgres",
        "-D /var/lib/postgresql/17/main",
        false,
    ),
    (510, 500, "/usr/bin/postgres", "", false),
    (
        600,
        1,
        "/usr/bin/node_exporter",
        "--web.listen-address=:9100",
        false,
    ),
];

const READ: [&str; 16] = [
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/etc/ld.so.cache",
    "/proc/meminfo",
    "/proc/self/status",
    "/srv/app/static/index.html",
    "/usr/include/x86_64-linux-gnu/bits/types/struct_timeval.h",
    "/home/ann/project/target/release/deps/libserde-0a1b2c3d4e5f.rlib",
    "/home/ann/project/engine/src/condition/parse.rs",
    "/var/lib/postgresql/17/main/base/16384/2619",
    "/sys/fs/cgroup/system.slice/memory.current",
    "/etc/localtime",
    "/usr/lib/python3.13/site-packages/requests/__init__.py",
    "/usr/share/zoneinfo/UTC",
    "/etc/nsswitch.conf",
    "/dev/null",
    "/proc/sys/kernel/random/boot_id",
];
const WRITTEN: [&str; 6] = [
    "/home/ann/project/target/release/deps/engine-77aa.o",
    "/tmp/cc1K2j3L.s",
    "/var/lib/postgresql/17/main/pg_wal/0000000100000002000000A1",
    "/var/lib/nginx/body/0000012",
    "/home/ann/.cache/app/state.json",
    "/run/app/app.pid.tmp",
];

/// An event and what it borrows.
pub(crate) struct Made {
    event: Event,
    pid: u32,
    wire: Vec<u8>,
    paths: Vec<(u8, &'static str)>,
    result: i64,
}

/// A small generator of numbers, so that every run sees the same events.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

impl Host {
    pub(crate) fn new() -> Host {
        let mut processes = vec![None; 1024];
        for (pid, ppid, path, args, _) in PROCESSES {
            let comm = path.rsplit('/').next().unwrap_or("");
            let comm = &comm[..comm.len().min(15)];
            let mut argv = path.as_bytes().to_vec();
            argv.push(0);
            for arg in args.split(' ').filter(|a| !a.is_empty()) {
                argv.extend_from_slice(arg.as_bytes());
                argv.push(0);
            }
            let process = Process {
                pid,
                vpid: pid,
                ppid,
                sid: 320,
                pgid: pid,
                tty: if (310..400).contains(&pid) { 34816 } else { 0 },
                start_time: NOW - 3_600_000_000_000,
                cwd: b"/home/ann/project".as_slice().into(),
                image: Arc::new(Image::new(
                    comm.as_bytes(),
                    &argv,
                    path.as_bytes(),
                    b"HOME=/root\0LANG=C\0",
                )),
                ..Process::default()
            };
            processes[pid as usize] = Some(process);
        }
        Host {
            processes,
            user: User {
                name: "root".into(),
                home: "/root".into(),
                shell: "/bin/bash".into(),
            },
            container: Container {
                name: Some("web".into()),
                image: Some("docker.io/library/nginx:1.27".into()),
                start_ts: Some(NOW - 3_600_000_000_000),
                cgroup: 7,
                pid: 420,
                ..Container::new("0123456789abcdef0123456789abcdef", "containerd", Learnt::Start)
            },
        }
    }

    /// `count` events: of a hundred 84 opens for reading (a tenth of them failing), 8 for writing, 3 removals, 3
    /// executions and 2 connections.
    pub(crate) fn events(&self, count: usize) -> Vec<Made> {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        (0..count).map(|_| self.event(&mut numbers)).collect()
    }

    fn event(&self, numbers: &mut Numbers) -> Made {
        let pid = PROCESSES[numbers.below(PROCESSES.len())].0;
        let made = |event, wire: WireBuilder, paths, result| Made {
            event,
            pid,
            wire: wire.build_for(event),
            paths,
            result,
        };
        let open = |path: &'static str, flags: i64, result: i64| {
            let wire = WireBuilder::new().number(result).number(AT_FDCWD).path(path, "/");
            let wire = wire.number(flags).number(0o644).missing().missing();
            made(Event::Openat, wire, vec![(2, path)], result)
        };
        match numbers.below(100) {
            0..84 => {
                let path = READ[numbers.below(READ.len())];
                open(path, 0, if numbers.below(10) == 0 { -2 } else { 3 })
            }
            84..92 => open(WRITTEN[numbers.below(WRITTEN.len())], 0o1102, 4),
            92..95 => {
                let path = WRITTEN[numbers.below(WRITTEN.len())];
                let wire = WireBuilder::new()
                    .number(0)
                    .number(AT_FDCWD)
                    .path(path, "/")
                    .number(0);
                made(Event::Unlinkat, wire, vec![(2, path)], 0)
            }
            95..98 => {
                let mut wire = WireBuilder::new().number(0);
                for _ in 1..Event::Execve.row().params.len() {
                    wire = wire.missing();
                }
                made(Event::Execve, wire, Vec::new(), 0)
            }
            _ => {
                let tuple = SocketTuple {
                    family: AF_INET,
                    protocol: 6,
                    kind: 1,
                    local: Some(([10, 0, 0, 9].into(), 40000)),
                    remote: Some(([10, 0, 0, 20].into(), 5432)),
                    path: b"",
                    ..SocketTuple::default()
                };
                let wire = WireBuilder::new().number(0).tuple(&tuple).number(5).tuple(&tuple);
                let connect = made(Event::Connect, wire, Vec::new(), 0);
                // A shell that connects would be an alert.
                Made { pid: 440, ..connect }
            }
        }
    }

    /// The same events borrowed, as the engine is shown them. `paths` and `descriptors` hold what they borrow.
    pub(crate) fn views<'a>(&'a self, made: &'a [Made], parts: &'a [Parts<'a>]) -> Vec<EventView<'a>> {
        let views = made.iter().zip(parts).zip(1..).map(|((made, parts), number)| {
            let contained = PROCESSES.iter().any(|row| row.0 == made.pid && row.4);
            EventView {
                source: SourceId::SYSCALL,
                event: made.event,
                number,
                time: NOW + number,
                cpu: 0,
                tid: made.pid,
                pid: made.pid,
                uid: 0,
                gid: 0,
                wire: made.wire(),
                implied_result: None,
                outcome: Outcome::Told,
                io_uring: None,
                paths: &parts.paths,
                process: self.process(made.pid),
                descriptor: parts.descriptor.as_ref(),
                names: Names::Agree,
                owner: if contained {
                    Owner::Container(&self.container)
                } else {
                    Owner::Host
                },
                system: self,
            }
        });
        views.collect()
    }
}

/// What a view borrows besides its bytes.
pub(crate) struct Parts<'a> {
    paths: Vec<ResolvedPath<'a>>,
    descriptor: Option<Descriptor<'a>>,
}

impl Made {
    fn wire(&self) -> Wire<'_> {
        Wire::read(&self.wire, self.event.row().params.len()).expect("built by the bench itself")
    }

    pub(crate) fn parts(&self) -> Parts<'_> {
        let resolved = |(param, path): &(u8, &'static str)| ResolvedPath {
            param: *param,
            path: path.as_bytes(),
        };
        let path = self.paths.first().map(|(_, path)| path.as_bytes());
        let tuple = self.wire().param(1).and_then(|p| SocketTuple::read(p.bytes));
        let descriptor = |number, kind, tuple| Descriptor {
            number,
            kind,
            path,
            raw_path: path,
            tuple,
            is_server: false,
            ..Descriptor::default()
        };
        Parts {
            paths: self.paths.iter().map(resolved).collect(),
            descriptor: match self.event.row().fd {
                FdUse::Opens { .. } => Some(descriptor(self.result, DescriptorKind::File, None)),
                FdUse::Socket { .. } => Some(descriptor(5, DescriptorKind::Ipv4, tuple)),
                _ => None,
            },
        }
    }
}
