//! Random events of every type for tests, as capture could make them.

use std::sync::Arc;

use lanner_schema::container::{Container, Owner};
use lanner_schema::descriptor::{Descriptor, DescriptorKind};
use lanner_schema::event::{DEDICATED_COUNT, EVENTS, Event, FdUse, Origin, ParamType};
use lanner_schema::flags::O_F_CREATED;
use lanner_schema::process::{Image, Process};
use lanner_schema::record::{AF_INET, AF_INET6, Object, SocketTuple, Wire, WireBuilder};
use lanner_schema::view::{EventView, NameSet, Names, Outcome, ResolvedPath, SourceId, System};
use proptest::prelude::*;

use crate::testing::Machine;

pub(super) const PATHS: [&str; 22] = [
    "/etc/shadow",
    "/etc/sudoers.d/ann",
    "/etc/passwd",
    "/etc/ld.so.cache",
    "/etc/systemd/system/x.service",
    "/etc/pam.d/su",
    "/root/.ssh/id_rsa",
    "/home/ann/.ssh/id_ed25519",
    "/home/ann/.ssh/id_rsa.pub",
    "/root/.bash_history",
    "/var/log/syslog",
    "/var/log/journal/1/x",
    "/var/log/nginx/access.log",
    "/usr/bin/ls",
    "/bin/sh",
    "/dev/shm/x",
    "/tmp/../etc/shadow",
    "../../etc/shadow",
    "//etc//shadow",
    "/sys/fs/cgroup/release_agent",
    "/",
    "",
];
pub(super) const NAMES: [&str; 24] = [
    "bash",
    "sh",
    "cat",
    "sshd",
    "sudo",
    "dpkg",
    "apt-get",
    "nginx",
    "systemd",
    "runc",
    "runc:[2:INIT]",
    "node",
    "python3",
    "perl",
    "awk",
    "logrotate",
    "ldconfig",
    "containerd",
    "nc",
    "curl",
    "passwd",
    "java",
    "<NA>",
    "",
];
pub(super) const NUMBERS: [i64; 18] = [
    0,
    1,
    2,
    3,
    5,
    53,
    443,
    -1,
    -2,
    -13,
    -115,
    0o101,
    0o1101,
    0o100 | O_F_CREATED as i64,
    0o20200002,
    0o4755,
    0x4000_0000,
    -100,
];

/// An event of any type whose parameters are anything.
#[derive(Debug, Clone)]
pub(super) struct Random {
    pub(super) event: Event,
    wire: Vec<u8>,
    paths: Vec<(u8, &'static str)>,
    /// Of the event's own process (if it is known) and of those above it: name, index of the program's path, arguments.
    programs: Vec<(&'static str, usize, &'static str)>,
    known: bool,
    contained: bool,
    repository: Option<&'static str>,
    numbers: [usize; 6],
    /// What the kernel calls what the event opened, where that has another name.
    real: Option<&'static str>,
}

pub(super) fn random() -> impl Strategy<Value = Random> {
    // Those captured by number are all alike.
    let rows = EVENTS.iter().take(DEDICATED_COUNT + 2);
    let events: Vec<Event> = rows.filter(|r| r.is_kernel()).map(|r| r.event).collect();
    let event = prop_oneof![
        proptest::sample::select(events),
        proptest::sample::select(vec![
            Event::Openat,
            Event::Execve,
            Event::Connect,
            Event::Unlinkat,
            Event::Rename
        ]),
    ];
    let arguments = vec![
        "",
        "-c id",
        "/dev/shm/x",
        "-e @pwd = getpwnam(",
        "-i -t 5 x",
        "--help",
    ];
    let program = (
        proptest::sample::select(&NAMES[..]),
        0..PATHS.len(),
        proptest::sample::select(arguments),
    );
    (
        (
            event,
            proptest::collection::vec((0..NUMBERS.len(), 0..PATHS.len(), 0..8u8), 32),
        ),
        proptest::collection::vec(program, 4),
        (proptest::bool::weighted(0.9), any::<bool>()),
        proptest::sample::select(vec![None, Some("nginx"), Some("docker.io/library/x")]),
        proptest::array::uniform6(0..NUMBERS.len()),
        proptest::option::of(proptest::sample::select(&PATHS[..])),
    )
        .prop_map(
            |((event, values), programs, (known, contained), repository, numbers, real)| {
                let (wire, paths) = parameters(event, &values);
                Random {
                    event,
                    wire,
                    paths,
                    programs,
                    known,
                    contained,
                    repository,
                    numbers,
                    real,
                }
            },
        )
}

/// Parameters of the types the row says; an eighth is missing.
fn parameters(event: Event, values: &[(usize, usize, u8)]) -> (Vec<u8>, Vec<(u8, &'static str)>) {
    let mut wire = WireBuilder::new();
    let mut paths = Vec::new();
    for (index, (param, (number, path, kind))) in event.row().params.iter().zip(values).enumerate() {
        let (number, path) = (NUMBERS[*number], PATHS[*path]);
        if *kind == 0 || param.from == Origin::Absent {
            wire = wire.missing();
            continue;
        }
        wire = match param.ty {
            ParamType::CharBuf | ParamType::FsPath | ParamType::FsRelPath(_) => match param.from {
                Origin::UserPath { .. } => {
                    if *kind > 1 {
                        paths.push((index as u8, path));
                    }
                    wire.path(path, "/root")
                }
                Origin::Extractor(_) => {
                    paths.push((index as u8, path));
                    wire.kernel_path(path)
                }
                _ => wire.text(path),
            },
            ParamType::ByteBuf => wire.bytes(b"a\0bc\0"),
            ParamType::Object(_) if *kind < 4 => {
                paths.push((index as u8, path));
                wire.file_object([0o100644, 0o040755, 0o010600][usize::from(*kind) % 3], path)
            }
            ParamType::Object(_) => wire.socket_object(&tuple(number, *kind)),
            ParamType::SockTuple | ParamType::SockAddr => wire.tuple(&tuple(number, *kind)),
            _ => wire.number(number),
        };
    }
    (wire.build(), paths)
}

/// A socket of either family.
fn tuple(number: i64, kind: u8) -> SocketTuple<'static> {
    let at = number.unsigned_abs() as usize % 2;
    let (family, address) = match kind % 2 {
        0 => (AF_INET, ["10.0.0.1", "127.0.0.1"][at]),
        _ => (AF_INET6, ["2001:db8::1", "::1"][at]),
    };
    let end = (address.parse().unwrap(), number as u16);
    SocketTuple {
        family,
        protocol: [6, 17][usize::from(kind) / 4],
        kind: 1,
        local: Some(end),
        remote: (kind > 2).then_some(end),
        path: b"",
        ..SocketTuple::default()
    }
}

impl Random {
    fn number(&self, at: usize) -> u64 {
        NUMBERS[self.numbers[at]].unsigned_abs() % 1000
    }

    pub(super) fn view<T>(&self, look: impl FnOnce(&EventView<'_>) -> T) -> T {
        let now = 1_700_000_000_000_000_000;
        let mut machine = Machine::new();
        for ((pid, ppid), (name, path, args)) in [(30, 20), (20, 10), (10, 1), (1, 0)]
            .into_iter()
            .zip(&self.programs)
        {
            let argv = format!("{name} {args}").replace(' ', "\0");
            let mut image = Image::new(
                name.as_bytes(),
                argv.as_bytes(),
                PATHS[*path].as_bytes(),
                b"HOME=/root\0",
            );
            image.exec_flags = self.number(0) as u32 & 15;
            let process = Process {
                pid,
                ppid,
                vpid: pid,
                sid: 20,
                tty: self.number(1) as u32 % 2,
                start_time: now - self.number(2) * 1_000_000_000,
                cap_effective: u64::MAX * (self.number(3) % 2),
                cgroup: 7,
                cwd: b"/root".as_slice().into(),
                image: Arc::new(image),
                ..Process::default()
            };
            machine.processes.insert(pid, process);
        }
        let container = Container {
            image: self.repository.map(str::to_owned),
            privileged: [None, Some(false), Some(true)][self.numbers[3] % 3],
            start_ts: Some(now - self.number(4) * 1_000_000_000),
            ..Machine::container()
        };
        let wire = Wire::read(&self.wire, self.event.row().params.len()).unwrap();
        let paths: Vec<ResolvedPath<'_>> = self
            .paths
            .iter()
            .map(|(param, path)| ResolvedPath {
                param: *param,
                path: path.as_bytes(),
            })
            .collect();
        let path_of = |index: u8| paths.iter().find(|p| p.param == index).map(|p| p.path);
        let number_of = |index: u8| wire.number(index.into()).unwrap_or(0).cast_signed();
        let file = |number, index| Descriptor {
            number,
            kind: [
                DescriptorKind::File,
                DescriptorKind::Directory,
                DescriptorKind::Other,
            ][self.numbers[5] % 3],
            path: path_of(index),
            raw_path: path_of(index),
            tuple: None,
            is_server: false,
            ..Descriptor::default()
        };
        let described = |number, index: u8| {
            let object = Object::read(wire.param(index.into())?.bytes)?;
            Some(Descriptor::of_object(number, &object, path_of(index)))
        };
        // What capture gives: nothing where the row has no use for a descriptor.
        let descriptor = match self.event.row().fd {
            FdUse::None => None,
            FdUse::Opens { path, .. } => Some(file(number_of(0).max(-1), path)),
            FdUse::Makes { object, .. } => described(number_of(0).max(-1), object),
            FdUse::Described { fd, object } | FdUse::Copies { old: fd, object } => {
                described(number_of(fd), object)
            }
            FdUse::Socket { fd, tuple } => {
                let tuple = wire.param(tuple.into()).and_then(|p| SocketTuple::read(p.bytes));
                Some(Descriptor {
                    number: if fd == 0 {
                        number_of(fd).max(-1)
                    } else {
                        number_of(fd)
                    },
                    kind: match tuple.map(|t| t.family) {
                        Some(AF_INET) => DescriptorKind::Ipv4,
                        Some(_) => DescriptorKind::Ipv6,
                        None => DescriptorKind::Other,
                    },
                    path: None,
                    raw_path: None,
                    tuple,
                    is_server: self.number(5) % 2 == 1,
                    connected: tuple.is_some_and(|t| t.connected),
                    name_changed: self.number(5) % 3 == 1,
                    ..Descriptor::default()
                })
            }
        };
        let real = self.real.zip(self.event.row().real_paths().next());
        let by_real_names: Option<Vec<ResolvedPath<'_>>> = real.map(|(path, (param, _))| {
            let others = paths.iter().filter(|p| p.param != param);
            let path = path.as_bytes();
            others.copied().chain([ResolvedPath { param, path }]).collect()
        });
        let named = descriptor.map(|descriptor| match (self.event.row().fd, self.real) {
            (FdUse::Opens { .. }, Some(path)) => Descriptor {
                path: Some(path.as_bytes()),
                ..descriptor
            },
            _ => descriptor,
        });
        let names = by_real_names.as_ref().map_or(Names::Agree, |paths| {
            Names::Requested(NameSet {
                paths,
                descriptor: named.as_ref(),
            })
        });
        look(&EventView {
            source: SourceId::SYSCALL,
            event: self.event,
            number: 1 + self.number(0),
            time: now,
            cpu: 1,
            tid: 30,
            pid: 30,
            uid: self.number(1) as u32,
            gid: self.number(2) as u32,
            wire,
            implied_result: (self.event == Event::Execve).then_some(0),
            outcome: Outcome::Told,
            io_uring: None,
            paths: &paths,
            process: machine.process(30).filter(|_| self.known),
            descriptor: descriptor.as_ref(),
            names,
            owner: if self.contained {
                Owner::Container(&container)
            } else {
                Owner::Host
            },
            system: &machine,
        })
    }
}
