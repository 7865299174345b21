//! Events for tests: a small machine with a few processes, and a builder for what happens on it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use lanner_schema::container::{Container, HostNamespaces, Learnt, Mount, Owner, Pod};
use lanner_schema::descriptor::{Descriptor, DescriptorKind};
use lanner_schema::event::{Event, FdUse};
use lanner_schema::flags::O_F_CREATED;
use lanner_schema::host_names::AddressNames;
use lanner_schema::process::{Image, Process, User};
use lanner_schema::record::{AF_INET, AF_INET6, AF_UNIX, Object, SocketTuple, Wire, WireBuilder};
use lanner_schema::view::{Earlier, EventView, Names, Outcome, ResolvedPath, SourceId, System};

/// The processes and users of the machine.
///
/// `systemd` (1) → `sshd` (10) → `bash` (20, leader of its session) → `cat -n /etc/shadow` (30).
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) processes: HashMap<u32, Process>,
    users: HashMap<u32, User>,
    names: AddressNames,
    pub(crate) earlier: Option<Earlier>,
    /// What the process may have been instead.
    pub(crate) otherwise: Vec<Process>,
    /// The process is what it was a moment later.
    pub(crate) is_as_of_later: bool,
}

impl System for Machine {
    fn process(&self, pid: u32) -> Option<&Process> {
        self.processes.get(&pid)
    }
    fn user(&self, uid: u32) -> Option<&User> {
        self.users.get(&uid)
    }
    fn group(&self, gid: u32) -> Option<&str> {
        (gid == 0).then_some("root")
    }
    fn names_of(&self, address: IpAddr) -> &[Box<str>] {
        self.names.of(address)
    }
    fn earlier(&self) -> Option<Earlier> {
        self.earlier
    }
    fn otherwise(&self) -> &[Process] {
        &self.otherwise
    }
    fn is_as_of_later(&self) -> bool {
        self.is_as_of_later
    }
}

fn process(pid: u32, ppid: u32, comm: &str, argv: &str, exepath: &str) -> Process {
    let argv: Vec<u8> = argv
        .bytes()
        .map(|b| if b == b' ' { 0 } else { b })
        .chain([0])
        .collect();
    Process {
        pid,
        vpid: pid,
        ppid,
        sid: 20,
        pgid: pid,
        vpgid: pid,
        loginuid: 1000,
        tty: 34816,
        start_time: 1_000_000_000 * u64::from(pid),
        cwd: b"/root".as_slice().into(),
        cap_effective: 0b11,
        image: Arc::new(Image::new(
            comm.as_bytes(),
            &argv,
            exepath.as_bytes(),
            format!("HOME=/root\0NAME={comm}\0").as_bytes(),
        )),
        ..Process::default()
    }
}

impl Machine {
    pub(crate) fn new() -> Machine {
        let mut processes: HashMap<u32, Process> = [
            process(1, 0, "systemd", "/sbin/init", "/usr/lib/systemd/systemd"),
            process(10, 1, "sshd", "sshd: root", "/usr/sbin/sshd"),
            process(20, 10, "bash", "-bash", "/usr/bin/bash"),
            process(30, 20, "cat", "cat -n /etc/shadow", "/usr/bin/cat"),
        ]
        .map(|p| (p.pid, p))
        .into();
        for pid in [1, 10] {
            if let Some(process) = processes.get_mut(&pid) {
                process.sid = pid;
            }
        }
        let user = |name: &str, home: &str| User {
            name: name.into(),
            home: home.into(),
            shell: "/bin/bash".into(),
        };
        let mut names = AddressNames::default();
        for name in ["kubernetes.default", "api.example.org"] {
            names.insert(IpAddr::from([1, 1, 1, 1]), name);
        }
        Machine {
            processes,
            users: [(0, user("root", "/root")), (1000, user("ann", "/home/ann"))].into(),
            names,
            earlier: None,
            otherwise: Vec::new(),
            is_as_of_later: false,
        }
    }

    /// A container with a pod.
    pub(crate) fn container() -> Container {
        let labels = BTreeMap::from([
            ("app".to_owned(), "shop".to_owned()),
            ("app.kubernetes.io/name".to_owned(), "shop".to_owned()),
            ("io.kubernetes.pod.name".to_owned(), "shop-1".to_owned()),
            ("marked".to_owned(), String::new()),
        ]);
        let mount = |source: &str, destination: &str| Mount {
            source: source.into(),
            destination: destination.into(),
            propagation: "private".into(),
            ..Mount::default()
        };
        let data = Mount {
            mode: "z".into(),
            writable: true,
            propagation: "rslave".into(),
            ..mount("/srv/shop", "/data")
        };
        Container {
            name: Some("web".into()),
            image: Some("docker.io/library/nginx:1.27".into()),
            digest: Some("sha256:d977".into()),
            image_id: Some("6f7e2741b66bdeadbeef".into()),
            privileged: Some(true),
            start_ts: Some(40),
            labels: labels.clone(),
            mounts: Some(vec![data, mount("/var/run/docker.sock", "/run/docker.sock")]),
            host: HostNamespaces {
                pid: Some(false),
                network: Some(true),
                ipc: None,
            },
            ip: Some("10.244.0.7".into()),
            cni_json: Some(r#"{"eth0":{}}"#.into()),
            pod: Some(Pod {
                name: "shop-1".into(),
                namespace: "prod".into(),
                uid: "u-1".into(),
                sandbox_id: "fedcba9876543210".into(),
                labels,
            }),
            cgroup: 7,
            pid: 30,
            ..Container::new("0123456789abcdef0123", "containerd", Learnt::Start)
        }
    }
}

/// One event by process 30, to be looked at with [`Happening::view`].
pub(crate) struct Happening {
    pub(crate) machine: Machine,
    pub(crate) event: Event,
    pub(crate) pid: u32,
    pub(crate) container: Option<Container>,
    wire: Vec<u8>,
    paths: Vec<(u8, Vec<u8>)>,
    descriptor: Option<FileOrSocket>,
}

enum FileOrSocket {
    File { fd: i64, path: Vec<u8>, raw: Vec<u8> },
    Socket { fd: i64, tuple: SocketTuple<'static> },
}

impl Happening {
    /// An event whose parameters are these bytes.
    pub(crate) fn new(event: Event, wire: WireBuilder) -> Happening {
        Happening {
            machine: Machine::new(),
            event,
            pid: 30,
            container: None,
            wire: wire.build_for(event),
            paths: Vec::new(),
            descriptor: None,
        }
    }

    /// `openat(AT_FDCWD, path, flags, 0644) = result`, relative paths against `/root`.
    pub(crate) fn openat(path: &[u8], flags: u64, result: i64) -> Happening {
        Happening::opened(Event::Openat, path, flags, result)
    }

    /// The same by `openat2`.
    pub(crate) fn openat2(path: &[u8], flags: u64, result: i64) -> Happening {
        Happening::opened(Event::Openat2, path, flags, result)
    }

    fn opened(event: Event, path: &[u8], flags: u64, result: i64) -> Happening {
        let wire = WireBuilder::new()
            .number(result)
            .number(-100)
            .text(path)
            .number(flags.cast_signed())
            .number(0o644);
        let wire = match event {
            Event::Openat2 => wire.number(0),
            _ => wire,
        };
        let wire = wire.number(0x0010_0801).number(77);
        let absolute = if path.starts_with(b"/") {
            path.to_vec()
        } else {
            [b"/root/", path].concat()
        };
        let mut happening = Happening::new(event, wire);
        happening.paths.push((2, absolute.clone()));
        happening.descriptor = Some(FileOrSocket::File {
            // As capture gives it.
            fd: result.max(-1),
            path: absolute,
            raw: path.to_vec(),
        });
        happening
    }

    /// `openat` that created its file.
    pub(crate) fn create(path: &[u8]) -> Happening {
        Self::openat(path, 1 | 0o100 | O_F_CREATED, 3)
    }

    /// A successful `connect` from `local` to `remote`.
    pub(crate) fn connect(local: (&str, u16), remote: (&str, u16)) -> Happening {
        let address = |(ip, port): (&str, u16)| -> (IpAddr, u16) { (ip.parse().unwrap(), port) };
        let (local, remote) = (address(local), address(remote));
        let tuple = SocketTuple {
            family: if remote.0.is_ipv4() { AF_INET } else { AF_INET6 },
            protocol: 6,
            kind: 1,
            local: Some(local),
            remote: Some(remote),
            path: b"",
            ..SocketTuple::default()
        };
        let wire = WireBuilder::new().number(0).tuple(&tuple).number(5).tuple(&tuple);
        let mut happening = Happening::new(Event::Connect, wire);
        happening.descriptor = Some(FileOrSocket::Socket { fd: 5, tuple });
        happening
    }

    /// `sendto(5, data, …, path) = result` on a socket of the host.
    pub(crate) fn send(path: &'static [u8], result: i64) -> Happening {
        let tuple = SocketTuple {
            family: AF_UNIX,
            kind: 2,
            path,
            ..SocketTuple::default()
        };
        let wire = WireBuilder::new()
            .number(result)
            .bytes(b"<13>cron")
            .number(5)
            .number(8);
        let mut happening = Happening::new(Event::Sendto, wire.tuple(&tuple));
        happening.descriptor = Some(FileOrSocket::Socket { fd: 5, tuple });
        happening
    }

    /// `rename(old, new) = result`.
    pub(crate) fn rename(old: &str, new: &str, result: i64) -> Happening {
        let wire = WireBuilder::new().number(result).text(old).text(new);
        let mut happening = Happening::new(Event::Rename, wire);
        happening.paths = vec![(1, old.into()), (2, new.into())];
        happening
    }

    /// A successful `execve` of process 30's program.
    pub(crate) fn execve() -> Happening {
        let mut wire = WireBuilder::new().number(0);
        for _ in 1..Event::Execve.row().params.len() {
            wire = wire.missing();
        }
        Happening::new(Event::Execve, wire)
    }

    /// The same in a container.
    pub(crate) fn contained(mut self) -> Happening {
        self.container = Some(Machine::container());
        self
    }

    /// The same with this path of parameter `param`.
    pub(crate) fn at(mut self, param: u8, path: &str) -> Happening {
        self.paths.push((param, path.into()));
        self
    }

    /// Calls `look` with the event.
    pub(crate) fn view<T>(&self, look: impl FnOnce(&EventView<'_>) -> T) -> T {
        let paths: Vec<ResolvedPath<'_>> = self
            .paths
            .iter()
            .map(|(param, path)| ResolvedPath { param: *param, path })
            .collect();
        let wire = Wire::read(&self.wire, self.event.row().params.len()).unwrap();
        let descriptor = self.descriptor.as_ref().map(|descriptor| match descriptor {
            FileOrSocket::File { fd, path, raw } => Descriptor {
                number: *fd,
                kind: DescriptorKind::File,
                path: Some(path),
                raw_path: Some(raw),
                tuple: None,
                is_server: false,
                ..Descriptor::default()
            },
            FileOrSocket::Socket { fd, tuple } => Descriptor {
                number: *fd,
                kind: match tuple.family {
                    AF_INET => DescriptorKind::Ipv4,
                    AF_UNIX => DescriptorKind::Unix,
                    _ => DescriptorKind::Ipv6,
                },
                path: None,
                raw_path: None,
                tuple: Some(*tuple),
                is_server: false,
                ..Descriptor::default()
            },
        });
        // What capture makes of an object.
        let path_of = |index: u8| paths.iter().find(|p| p.param == index).map(|p| p.path);
        let of_object = |fd: u8, object: u8, kind| {
            let number = wire.number(fd.into())?.cast_signed();
            let bytes = wire.param(object.into()).map(|p| p.bytes);
            Some(match bytes.and_then(Object::read) {
                Some(known) => Descriptor::of_object(number, &known, path_of(object)),
                None => Descriptor {
                    number: if fd == 0 { number.max(-1) } else { number },
                    kind,
                    ..Descriptor::default()
                },
            })
        };
        let descriptor = descriptor.or_else(|| match self.event.row().fd {
            FdUse::Makes { object, kind } => of_object(0, object, kind),
            FdUse::Described { fd, object } => of_object(fd, object, DescriptorKind::Other),
            _ => None,
        });
        look(&EventView {
            source: SourceId::SYSCALL,
            event: self.event,
            number: 1,
            time: 1_700_000_000_000_000_042,
            cpu: 3,
            tid: self.pid,
            pid: self.pid,
            uid: 0,
            gid: 0,
            wire,
            implied_result: None,
            outcome: Outcome::Told,
            io_uring: None,
            paths: &paths,
            process: self.machine.processes.get(&self.pid),
            descriptor: descriptor.as_ref(),
            names: Names::Agree,
            owner: self.container.as_ref().map_or(Owner::Host, Owner::Container),
            system: &self.machine,
        })
    }
}
