//! Events built by hand, as capture would hand them to the engine.

use lanner_schema::container::{Container, Learnt, Mount, Owner, Pod};
use lanner_schema::descriptor::{Descriptor, DescriptorKind};
use lanner_schema::event::{Event, FdUse};
use lanner_schema::process::{Image, Process, User};
use lanner_schema::record::{AF_INET, AF_INET6, Object, SocketTuple, Wire, WireBuilder};
use lanner_schema::view::{EventView, Names, Outcome, ResolvedPath, SourceId, System};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// When the events happen.
pub(crate) const NOW: u64 = 1_700_000_000_000_000_042;
const AT_FDCWD: i64 = -100;

/// The processes of one host: the one that acts, its parent and grandparent.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    processes: HashMap<u32, Process>,
    container: Option<Container>,
    user: User,
    /// The names in rules that stand for an address.
    names: HashMap<IpAddr, Vec<Box<str>>>,
}

impl System for Scene {
    fn process(&self, pid: u32) -> Option<&Process> {
        self.processes.get(&pid)
    }
    fn user(&self, uid: u32) -> Option<&User> {
        (uid == 0).then_some(&self.user)
    }
    fn group(&self, gid: u32) -> Option<&str> {
        (gid == 0).then_some("root")
    }
    fn names_of(&self, address: IpAddr) -> &[Box<str>] {
        self.names.get(&address).map_or(&[], Vec::as_slice)
    }
}

const ACTOR: u32 = 30;

/// A process on the host: its command line (words separated by blanks), below `sshd` and `bash`.
pub(crate) fn host(command: &str) -> Scene {
    let process = |pid: u32, ppid: u32, command: &str| {
        let mut words = command.split(' ');
        let exe = words.next().unwrap_or("");
        let comm: String = exe
            .trim_start_matches('-')
            .rsplit('/')
            .next()
            .unwrap_or("")
            .chars()
            .take(15)
            .collect();
        let mut argv = exe.as_bytes().to_vec();
        argv.push(0);
        for word in words {
            argv.extend_from_slice(word.as_bytes());
            argv.push(0);
        }
        let path = if exe.starts_with('/') {
            exe.to_owned()
        } else {
            format!("/usr/bin/{exe}")
        };
        Process {
            pid,
            vpid: pid,
            ppid,
            sid: 10,
            pgid: pid,
            start_time: NOW - 1_000_000_000,
            cwd: b"/root/".as_slice().into(),
            image: Arc::new(Image::new(comm.as_bytes(), &argv, path.as_bytes(), b"")),
            ..Process::default()
        }
    };
    let all = [
        process(10, 1, "sshd"),
        process(20, 10, "-bash"),
        process(ACTOR, 20, command),
    ];
    Scene {
        processes: all.into_iter().map(|p| (p.pid, p)).collect(),
        container: None,
        user: User {
            name: "root".into(),
            home: "/root".into(),
            shell: "/bin/bash".into(),
        },
        names: HashMap::new(),
    }
}

/// The same in a container that started a minute ago.
pub(crate) fn container(command: &str) -> Scene {
    let mut scene = host(command);
    scene.container = Some(Container {
        name: Some("web".into()),
        image: Some("docker.io/library/nginx:1.27".into()),
        start_ts: Some(NOW - 60_000_000_000),
        mounts: Some(vec![Mount {
            source: "/srv".into(),
            destination: "/srv".into(),
            ..Mount::default()
        }]),
        ip: Some("10.0.0.9".into()),
        pod: Some(Pod {
            name: "web-1".into(),
            namespace: "shop".into(),
            uid: "u".into(),
            sandbox_id: "s".into(),
            ..Pod::default()
        }),
        cgroup: 7,
        pid: 1,
        ..Container::new("0123456789abcdef0123456789abcdef", "containerd", Learnt::Start)
    });
    scene
}

#[allow(dead_code)]
impl Scene {
    fn actor(&mut self) -> &mut Process {
        self.processes.get_mut(&ACTOR).unwrap()
    }

    /// With a controlling terminal.
    pub(crate) fn on_terminal(mut self) -> Scene {
        self.actor().tty = 34816;
        self
    }

    /// With these bits of the exec flags, of a program whose start was seen.
    pub(crate) fn exec_flags(mut self, flags: u32) -> Scene {
        self.actor().exec_time = NOW;
        Arc::make_mut(&mut self.actor().image).exec_flags = flags;
        self
    }

    /// With another parent.
    pub(crate) fn child_of(mut self, command: &str) -> Scene {
        let mut parent = host(command).processes.remove(&ACTOR).unwrap();
        (parent.pid, parent.ppid) = (20, 10);
        self.processes.insert(20, parent);
        self
    }

    /// Started this many nanoseconds before the event.
    pub(crate) fn container_age(mut self, nanos: u64) -> Scene {
        self.container.as_mut().unwrap().start_ts = Some(NOW - nanos);
        self
    }

    /// Run by this user.
    pub(crate) fn run_by(mut self, name: &str) -> Scene {
        self.user.name = name.into();
        self
    }

    /// Started this many nanoseconds before the event.
    pub(crate) fn age(mut self, nanos: u64) -> Scene {
        self.actor().start_time = NOW - nanos;
        self
    }

    /// In this directory.
    pub(crate) fn within(mut self, directory: &str) -> Scene {
        self.actor().cwd = directory.as_bytes().into();
        self
    }

    /// With these effective capabilities (bits as in `/proc/PID/status`).
    pub(crate) fn capable_of(mut self, capabilities: u64) -> Scene {
        self.actor().cap_effective = capabilities;
        self
    }

    /// With a program file of these times, in nanoseconds since the epoch.
    pub(crate) fn program_changed(mut self, changed: u64, modified: u64) -> Scene {
        let image = Arc::make_mut(&mut self.actor().image);
        (image.exe_ino, image.exe_ctime, image.exe_mtime) = (99, changed, modified);
        self
    }

    /// In a container that is privileged, or known not to be.
    pub(crate) fn privileged(mut self, privileged: bool) -> Scene {
        self.container.as_mut().unwrap().privileged = Some(privileged);
        self
    }

    /// In a pod of this namespace.
    pub(crate) fn in_namespace(mut self, namespace: &str) -> Scene {
        let pod = self.container.as_mut().unwrap().pod.as_mut().unwrap();
        pod.namespace = namespace.into();
        self
    }

    /// Where `name` stands for `address`.
    pub(crate) fn knows(mut self, name: &str, address: &str) -> Scene {
        let names = self.names.entry(address.parse().unwrap()).or_default();
        names.push(name.into());
        self
    }

    /// Runs its program.
    pub(crate) fn starts(self) -> Built {
        Built::new(self, Event::Execve, WireBuilder::new())
    }

    /// Opens a file with `open(2)` flags.
    pub(crate) fn opens(self, path: &str, flags: i64) -> Built {
        self.opens_as(path, flags, 3)
    }

    /// The same with this result.
    pub(crate) fn opens_as(self, path: &str, flags: i64, result: i64) -> Built {
        let wire = WireBuilder::new()
            .number(result)
            .number(AT_FDCWD)
            .path(path, "/")
            .number(flags)
            .number(0)
            .missing()
            .missing();
        let mut built = Built::new(self, Event::Openat, wire);
        built.path(2, path);
        // As capture does: -1 for every error.
        built.fd = Fd::File(result.max(-1), path.into());
        built
    }

    /// Makes a file, or empties one that is there, by creat(2).
    pub(crate) fn creates(self, path: &str, is_new: bool) -> Built {
        let flags = 0o1101 | if is_new { 1 << 40 } else { 0 };
        let wire = WireBuilder::new()
            .number(3)
            .path(path, "/")
            .number(0o644)
            .missing()
            .missing()
            .missing()
            .number(flags);
        let mut built = Built::new(self, Event::Creat, wire);
        built.path(1, path);
        built.fd = Fd::File(3, path.into());
        built
    }

    /// Opens a file by a name that leads to `path`.
    pub(crate) fn opens_by_name(self, name: &str, path: &str, result: i64) -> Built {
        let wire = WireBuilder::new()
            .number(result)
            .number(AT_FDCWD)
            .path(name, "/var/www")
            .number(0)
            .number(0)
            .missing()
            .missing();
        let mut built = Built::new(self, Event::Openat, wire);
        built.path(2, path);
        built.fd = Fd::File(result.max(-1), path.into());
        built.name = Some(name.into());
        built
    }

    /// Opens a socket of an address family (`AF_*`).
    pub(crate) fn opens_socket(self, family: i64) -> Built {
        let wire = WireBuilder::new()
            .number(4)
            .number(family)
            .number(3)
            .number(0)
            .missing()
            .missing();
        let mut built = Built::new(self, Event::Socket, wire);
        built.fd = Fd::Other(4);
        built
    }

    /// Makes `to` a copy of the descriptor of a connection to `address:port`.
    pub(crate) fn copies_connection(self, address: &str, port: u16, to: i64) -> Built {
        let wire = WireBuilder::new()
            .number(to)
            .number(7)
            .number(to)
            .socket_object(&connection(address, port));
        let mut built = Built::new(self, Event::Dup2, wire);
        built.fd = Fd::Socket(to);
        built
    }

    /// Makes a `ptrace(2)` request.
    pub(crate) fn traces(self, request: i64) -> Built {
        let wire = WireBuilder::new()
            .number(0)
            .missing()
            .missing()
            .number(request)
            .number(20);
        Built::new(self, Event::Ptrace, wire)
    }

    /// Loads a kernel module.
    pub(crate) fn loads_module(self) -> Built {
        let wire = WireBuilder::new()
            .number(0)
            .number(3)
            .text("")
            .number(0)
            .missing();
        Built::new(self, Event::FinitModule, wire)
    }

    /// Removes a file.
    pub(crate) fn removes(self, path: &str) -> Built {
        let wire = WireBuilder::new()
            .number(0)
            .number(AT_FDCWD)
            .path(path, "/")
            .number(0);
        let mut built = Built::new(self, Event::Unlinkat, wire);
        built.path(2, path);
        built
    }

    /// Renames a file.
    pub(crate) fn renames(self, from: &str, to: &str) -> Built {
        let wire = WireBuilder::new().number(0).path(from, "/").path(to, "/");
        let mut built = Built::new(self, Event::Rename, wire);
        built.path(1, from);
        built.path(2, to);
        built
    }

    /// Exchanges two files.
    pub(crate) fn exchanges(self, one: &str, other: &str) -> Built {
        const RENAME_EXCHANGE: i64 = 2;
        let wire = WireBuilder::new()
            .number(0)
            .number(AT_FDCWD)
            .path(one, "/")
            .number(AT_FDCWD)
            .path(other, "/")
            .number(RENAME_EXCHANGE);
        let mut built = Built::new(self, Event::Renameat2, wire);
        built.path(2, one);
        built.path(4, other);
        built
    }

    /// Makes a file of this type and mode.
    pub(crate) fn makes(self, path: &str, mode: i64) -> Built {
        let wire = WireBuilder::new()
            .number(0)
            .number(AT_FDCWD)
            .path(path, "/")
            .number(mode)
            .number(0);
        let mut built = Built::new(self, Event::Mknodat, wire);
        built.path(2, path);
        built
    }

    /// Changes what is allocated for a file that it has open.
    pub(crate) fn punches(self, path: &str, mode: i64) -> Built {
        let wire = WireBuilder::new()
            .number(285)
            .number(285)
            .number(0)
            .number(3)
            .number(mode)
            .number(0)
            .number(8192)
            .missing();
        let mut built = Built::new(self, Event::Fallocate, wire);
        built.fd = Fd::File(3, path.into());
        built
    }

    /// Opens a file by its handle.
    pub(crate) fn opens_by_handle(self, path: &str, flags: i64) -> Built {
        let wire = WireBuilder::new()
            .number(3)
            .number(4)
            .number(flags)
            .path(path, "/")
            .missing()
            .missing()
            .missing()
            .missing();
        let mut built = Built::new(self, Event::OpenByHandleAt, wire);
        built.path(3, path);
        built.fd = Fd::File(3, path.into());
        built
    }

    /// Empties a file that it names.
    pub(crate) fn truncates(self, path: &str) -> Built {
        let wire = WireBuilder::new()
            .number(76)
            .number(76)
            .number(0)
            .path(path, "/")
            .number(0)
            .missing();
        let mut built = Built::new(self, Event::Truncate, wire);
        built.path(3, path);
        built
    }

    /// Empties a file that it has open.
    pub(crate) fn truncates_descriptor(self, path: &str) -> Built {
        let wire = WireBuilder::new()
            .number(77)
            .number(77)
            .number(0)
            .number(3)
            .number(0)
            .missing();
        let mut built = Built::new(self, Event::Ftruncate, wire);
        built.fd = Fd::File(3, path.into());
        built
    }

    /// Makes a symbolic link.
    pub(crate) fn symlinks(self, target: &str, link: &str) -> Built {
        let wire = WireBuilder::new()
            .number(0)
            .text(target)
            .number(AT_FDCWD)
            .path(link, "/");
        let mut built = Built::new(self, Event::Symlinkat, wire);
        built.path(3, link);
        built
    }

    /// Makes a hard link.
    pub(crate) fn links(self, target: &str, link: &str) -> Built {
        let wire = WireBuilder::new()
            .number(0)
            .number(AT_FDCWD)
            .path(target, "/")
            .number(AT_FDCWD)
            .path(link, "/")
            .number(0);
        let mut built = Built::new(self, Event::Linkat, wire);
        built.path(2, target);
        built.path(4, link);
        built
    }

    /// Changes the mode of a file.
    pub(crate) fn chmods(self, path: &str, mode: i64) -> Built {
        let wire = WireBuilder::new()
            .number(0)
            .number(AT_FDCWD)
            .path(path, "/")
            .number(mode);
        let mut built = Built::new(self, Event::Fchmodat, wire);
        built.path(2, path);
        built
    }

    /// Changes the mode of a file by fchmodat2.
    pub(crate) fn chmods_by_the_newer_call(self, path: &str, mode: i64) -> Built {
        let wire = WireBuilder::new()
            .number(452)
            .number(452)
            .number(0)
            .number(AT_FDCWD)
            .path(path, "/")
            .number(mode)
            .number(0);
        let mut built = Built::new(self, Event::Fchmodat2, wire);
        built.path(4, path);
        built
    }

    /// Sets an extended attribute of a file, by fsetxattr.
    pub(crate) fn sets_attribute(self, path: &str, name: &str) -> Built {
        let wire = WireBuilder::new()
            .number(190)
            .number(190)
            .number(0)
            .number(3)
            .text(name)
            .missing()
            .number(20)
            .number(0);
        let mut built = Built::new(self, Event::Fsetxattr, wire);
        built.fd = Fd::File(3, path.into());
        built
    }

    /// Enters another namespace.
    pub(crate) fn enters_namespace(self) -> Built {
        Built::new(
            self,
            Event::Setns,
            WireBuilder::new().number(0).number(5).number(0x2000_0000),
        )
    }

    /// Connects to `address:port`, with this result.
    pub(crate) fn connects(self, address: &str, port: u16, result: i64) -> Built {
        let wire = WireBuilder::new()
            .number(result)
            .tuple(&connection(address, port))
            .number(4)
            .missing();
        let mut built = Built::new(self, Event::Connect, wire);
        built.fd = Fd::Socket(4);
        built
    }
}

/// A TCP connection to `address:port`.
fn connection(address: &str, port: u16) -> SocketTuple<'static> {
    let remote: IpAddr = address.parse().unwrap();
    let local: IpAddr = match remote {
        IpAddr::V4(_) => "10.0.0.9".parse().unwrap(),
        IpAddr::V6(_) => "fd00::9".parse().unwrap(),
    };
    SocketTuple {
        family: if remote.is_ipv4() { AF_INET } else { AF_INET6 },
        protocol: 6,
        kind: 1,
        local: Some((local, 40000)),
        remote: Some((remote, port)),
        path: b"",
        ..SocketTuple::default()
    }
}

#[derive(Debug, Clone)]
enum Fd {
    None,
    File(i64, String),
    Socket(i64),
    Other(i64),
}

/// An event and all it borrows from.
#[derive(Debug)]
pub(crate) struct Built {
    scene: Scene,
    event: Event,
    wire: Vec<u8>,
    paths: Vec<(u8, String)>,
    fd: Fd,
    /// The name the file was opened by, when it is not its path.
    name: Option<String>,
}

impl Built {
    fn new(scene: Scene, event: Event, wire: WireBuilder) -> Built {
        Built {
            scene,
            event,
            wire: wire.build_for(event),
            paths: Vec::new(),
            fd: Fd::None,
            name: None,
        }
    }

    fn path(&mut self, param: u8, path: &str) {
        self.paths.push((param, path.into()));
    }

    /// Shows the event to `look`.
    pub(crate) fn view<T>(&self, look: impl FnOnce(&EventView<'_>) -> T) -> T {
        let wire = match self.event {
            Event::Execve => Wire::EMPTY,
            event => Wire::read(&self.wire, event.row().params.len()).unwrap(),
        };
        let paths: Vec<ResolvedPath<'_>> = self
            .paths
            .iter()
            .map(|(param, path)| ResolvedPath {
                param: *param,
                path: path.as_bytes(),
            })
            .collect();
        let tuple = match self.event.row().fd {
            FdUse::Socket { tuple, .. } => wire.param(tuple.into()).and_then(|p| SocketTuple::read(p.bytes)),
            FdUse::Copies { object, .. } => wire
                .param(object.into())
                .and_then(|p| Object::read(p.bytes)?.tuple()),
            _ => None,
        };
        let descriptor = match &self.fd {
            Fd::None => None,
            Fd::File(number, path) => Some(Descriptor {
                number: *number,
                kind: DescriptorKind::File,
                path: Some(path.as_bytes()),
                raw_path: Some(self.name.as_ref().unwrap_or(path).as_bytes()),
                tuple: None,
                is_server: false,
                ..Descriptor::default()
            }),
            Fd::Other(number) => Some(Descriptor {
                number: *number,
                // It is open, if nothing with a name.
                ino: Some(5),
                ..Descriptor::default()
            }),
            Fd::Socket(number) => Some(Descriptor {
                number: *number,
                kind: match tuple.as_ref().unwrap().family {
                    AF_INET => DescriptorKind::Ipv4,
                    _ => DescriptorKind::Ipv6,
                },
                path: None,
                raw_path: None,
                tuple,
                is_server: false,
                ..Descriptor::default()
            }),
        };
        let view = EventView {
            source: SourceId::SYSCALL,
            event: self.event,
            number: 1,
            time: NOW,
            cpu: 0,
            tid: ACTOR,
            pid: ACTOR,
            uid: 0,
            gid: 0,
            wire,
            implied_result: (self.event == Event::Execve).then_some(0),
            outcome: Outcome::Told,
            io_uring: None,
            paths: &paths,
            process: self.scene.process(ACTOR),
            descriptor: descriptor.as_ref(),
            names: Names::Agree,
            owner: match &self.scene.container {
                Some(container) => Owner::Container(container),
                None => Owner::Host,
            },
            system: &self.scene,
        };
        look(&view)
    }
}
