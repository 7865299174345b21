//! The source against the kernel: what other processes do to files, on the file systems there are. Only root may watch.

use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use lanner_schema::container::Learnt;
use lanner_schema::event::{Event, EventSet, Needs, ParamType};
use lanner_schema::record::{FLAG_SUCCEEDED, Header, Wire};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use tempfile::TempDir;

use super::*;
use crate::consume::split;
use crate::host::{Host, SourceTrial};
use crate::plan::{Config, plan};
use crate::process_table::text;
use crate::tier::Tier;

/// For what is waited for: a debug build reads slowly what a busy machine does to its files.
const LIMIT: Duration = Duration::from_secs(120);

/// The source, for these events, and what has come of it.
struct Watching {
    source: Fanotify,
    queue: SourceQueue,
    records: flume::Receiver<Box<[u8]>>,
    seen: Vec<Seen>,
}

/// A record, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    event: Event,
    header: Header,
    texts: Vec<(&'static str, String)>,
    numbers: Vec<(&'static str, i64)>,
}

impl Seen {
    fn read(bytes: &[u8]) -> Seen {
        let (header, event, wire): (_, _, Wire<'_>) = split(bytes).unwrap();
        let params = || event.row().params.iter().enumerate();
        let mut seen = Seen {
            event,
            header,
            texts: Vec::new(),
            numbers: Vec::new(),
        };
        for (index, param) in params() {
            let Some(value) = wire.param(index) else { continue };
            match param.ty {
                ParamType::FsPath | ParamType::FsRelPath(_) | ParamType::CharBuf => {
                    let text = String::from_utf8_lossy(text(value.bytes)).into_owned();
                    seen.texts.push((param.name, text));
                }
                _ => seen
                    .numbers
                    .push((param.name, wire.number(index).unwrap().cast_signed())),
            }
        }
        seen
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.texts
            .iter()
            .find(|(param, _)| *param == name)
            .map(|(_, text)| text.as_str())
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.numbers
            .iter()
            .find(|(param, _)| *param == name)
            .map(|(_, number)| *number)
    }

    fn access(&self) -> Option<i64> {
        self.number("flags")
            .map(|flags| flags & i64::from(libc::O_ACCMODE))
    }

    /// For writing, and not surely for reading: what was closed before it was looked at may have been for both.
    fn is_written(&self) -> bool {
        matches!(self.access(), Some(O_WRONLY | WRITTEN))
    }
}

fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        eprintln!("skipped: only root may watch file systems");
    }
    is_root
}

fn plan_for(events: &[Event]) -> Plan {
    let needs = Needs {
        events: events.iter().copied().collect::<EventSet>(),
        paths: [b"/etc/".as_slice(), b"/usr/bin".as_slice()]
            .into_iter()
            .map(Box::from)
            .collect(),
        ..Needs::default()
    };
    let config = Config {
        tier: Tier::None,
        ..Config::default()
    };
    let host = Host {
        sources: vec![(Source::Fanotify, SourceTrial::Works)],
        ..Host::probe()
    };
    plan(&host, &needs, &config).unwrap()
}

impl Watching {
    fn start(events: &[Event]) -> Watching {
        Watching::of(events, &ContainerTable::new())
    }

    fn of(events: &[Event], containers: &Arc<ContainerTable>) -> Watching {
        let (sender, records) = flume::unbounded();
        let queue = SourceQueue::new(Source::Fanotify, sender);
        let source = start(queue.clone(), &plan_for(events), containers).unwrap();
        Watching {
            source,
            queue,
            records,
            seen: Vec::new(),
        }
    }

    /// The first record that is wanted, of those that have come and of those that come.
    fn wait(&mut self, what: &str, is_it: impl Fn(&Seen) -> bool) -> Seen {
        let deadline = Instant::now() + LIMIT;
        if let Some(seen) = self.seen.iter().find(|seen| is_it(seen)) {
            return seen.clone();
        }
        loop {
            let Ok(bytes) = self.records.recv_deadline(deadline) else {
                let is_near = |seen: &&Seen| seen.texts.iter().any(|(_, text)| text.contains("/.tmp"));
                let near: Vec<&Seen> = self.seen.iter().filter(is_near).collect();
                unreachable!(
                    "{what} was not seen; {:?}; there were {near:?}",
                    self.queue.counts().all()
                );
            };
            let seen = Seen::read(&bytes);
            self.seen.push(seen.clone());
            if is_it(&seen) {
                return seen;
            }
        }
    }

    fn open(&mut self, path: &Path, pid: u32) -> Seen {
        let path = path.to_str().unwrap().to_owned();
        self.wait(&format!("open of {path} by {pid}"), |seen| {
            seen.text("name") == Some(&path) && seen.header.pid == pid
        })
    }

    /// Stops, and gives all there was.
    fn end(mut self) -> Vec<Seen> {
        self.source.stop();
        let rest: Vec<Seen> = self.records.try_iter().map(|bytes| Seen::read(&bytes)).collect();
        self.seen.extend(rest);
        self.seen
    }
}

/// Runs a shell's words; gives the id of the shell that ran them.
fn shell(words: &str) -> u32 {
    let mut child = Command::new("/bin/sh").args(["-c", words]).spawn().unwrap();
    assert!(child.wait().unwrap().success(), "{words}");
    child.id()
}

/// A directory on a disk's file system, and one in memory.
fn directories() -> [TempDir; 2] {
    let at = |path: &str| TempDir::new_in(path).unwrap();
    [at(env!("CARGO_MANIFEST_DIR")), at("/dev/shm")]
}

const OPENS: [Event; 2] = [Event::Open, Event::Openat];
const O_RDWR: i64 = libc::O_RDWR as i64;
const O_WRONLY: i64 = libc::O_WRONLY as i64;
const WRITTEN: i64 = lanner_schema::record::WRITTEN_AND_MAYBE_READ.cast_signed();

#[test_log::test]
fn reads_are_told_from_writes_by_whoever_did_them() {
    if !is_root() {
        return;
    }
    for directory in directories() {
        let mut watching = Watching::start(&OPENS);
        let file = directory.path().join("a file");
        let words = |words: &str| words.replace("FILE", &format!("'{}'", file.display()));
        // The shell's own doing, short and long.
        let written = shell(&words("echo x > FILE"));
        let read = shell(&words("read x < FILE"));
        let held = shell(&words("exec 3<> FILE; sleep 2; exec 3<&-; sleep 0.1"));
        let one = watching.open(&file, written);
        assert!(one.event == Event::Openat && one.is_written());
        assert_eq!(one.header.flags & FLAG_SUCCEEDED, FLAG_SUCCEEDED);
        assert_eq!(
            (one.header.uid, one.header.tid, one.header.stream),
            (0, written, Source::Fanotify.stream())
        );
        assert!(one.header.time <= outside::now());
        assert_eq!(watching.open(&file, read).access(), Some(0));
        let held = watching.open(&file, held);
        assert_eq!((held.access(), held.number("fd")), (Some(O_RDWR), Some(3)));
        let cgroups = Cgroups::find(Outside::default()).unwrap();
        assert_eq!(
            cgroups.of_process(Path::new("/proc/self")),
            Some(held.header.cgroup)
        );
        let facts = fs::metadata(&file).unwrap();
        assert_eq!(held.number("ino"), Some(facts.ino().cast_signed()));
        assert_eq!(held.number("dev"), Some(facts.dev().cast_signed()));
        let all = watching.end();
        for pid in [written, read, held.header.pid] {
            let of = all
                .iter()
                .filter(|seen| seen.header.pid == pid && seen.text("name") == file.to_str());
            assert_eq!(of.count(), 1, "told once each");
        }
    }
}

#[test_log::test]
fn what_is_executed_is_not_opened_by_anybody() {
    if !is_root() {
        return;
    }
    let directory = TempDir::new_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let program = directory.path().join("program");
    // Another process writes it, so that nothing that this one starts meanwhile has it open for writing when it is run.
    shell(&format!("cp /bin/true '{}'", program.display()));
    let mut watching = Watching::start(&OPENS);
    let after = directory.path().join("after");
    shell(&format!(
        "'{0}'; '{0}'; : > '{1}'",
        program.display(),
        after.display()
    ));
    watching.wait("what came after", |seen| seen.text("name") == after.to_str());
    let all = watching.end();
    let opened = all.iter().find(|seen| seen.text("name") == program.to_str());
    assert_eq!(opened, None);
}

#[test_log::test]
fn names_that_are_made_removed_and_changed_are_told_in_whole() {
    if !is_root() {
        return;
    }
    for directory in directories() {
        let mut watching = Watching::start(&[
            Event::Openat,
            Event::Unlink,
            Event::Unlinkat,
            Event::Rmdir,
            Event::Renameat2,
            Event::Mkdir,
            Event::Symlinkat,
            Event::Link,
        ]);
        let base = directory.path().to_str().unwrap();
        let under = |name: &str| format!("{base}/{name}");
        // Each is seen before the next is done, which changes what can be looked up.
        let mut after = |words: &str, event: Event, param: &str, name: &str| {
            shell(&format!("cd '{base}' && {words}"));
            let path = under(name);
            watching.wait(&format!("{} of {path}", event.name()), |seen| {
                seen.event == event && seen.text(param) == Some(&path)
            })
        };
        let made = after("mkdir sub", Event::Mkdir, "path", "sub");
        assert_eq!(made.header.flags, FLAG_SUCCEEDED);
        let created = after(": > sub/new", Event::Openat, "name", "sub/new");
        let creates = created.number("flags").unwrap() & i64::from(libc::O_CREAT);
        assert!(creates != 0 && created.is_written());
        let soft = after(
            "ln -s /etc/shadow sub/soft",
            Event::Symlinkat,
            "linkpath",
            "sub/soft",
        );
        assert_eq!(soft.text("target"), Some("/etc/shadow"));
        let hard = after("ln sub/new sub/hard", Event::Link, "newpath", "sub/hard");
        assert_eq!(hard.text("oldpath"), None);
        let renamed = after("mv sub/new sub/moved", Event::Renameat2, "newpath", "sub/moved");
        assert_eq!(renamed.text("oldpath"), Some(&*under("sub/new")));
        let removed = after("rm sub/moved", Event::Unlinkat, "name", "sub/moved");
        assert_eq!(removed.number("flags"), Some(0));
        // All at once: the directory is gone when its entries are looked at.
        after("rm -r sub", Event::Rmdir, "path", "sub");
        after("true", Event::Unlinkat, "name", "sub/hard");
    }
}

#[test_log::test]
fn what_the_kernel_had_no_room_for_is_counted() {
    if !is_root() {
        return;
    }
    let mut watching = Watching::start(&OPENS);
    let directory = TempDir::new_in("/dev/shm").unwrap();
    // The thread waits for this when it is woken.
    let held = watching.source.shared.plan.lock().unwrap();
    watching.source.shared.wake.wake();
    shell(&format!(
        "cd '{}' && seq 40000 | xargs touch",
        directory.path().display()
    ));
    drop(held);
    let counts = Arc::clone(watching.queue.counts());
    let deadline = Instant::now() + LIMIT;
    while counts.get(Count::Overflow) == 0 {
        assert!(Instant::now() < deadline, "{:?}", counts.all());
        thread::yield_now();
    }
    // And it goes on.
    let last = directory.path().join("last");
    while !watching
        .seen
        .iter()
        .any(|seen| seen.text("name") == last.to_str())
    {
        assert!(Instant::now() < deadline, "{:?}", counts.all());
        shell(&format!("echo > '{}'", last.display()));
        watching
            .seen
            .extend(watching.records.try_iter().map(|bytes| Seen::read(&bytes)));
    }
}

/// A file system in memory, mounted somewhere until this is dropped.
struct InMemory<'d>(&'d Path);

impl<'d> InMemory<'d> {
    fn mount(at: &'d Path) -> InMemory<'d> {
        mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        InMemory(at)
    }
}

impl Drop for InMemory<'_> {
    fn drop(&mut self) {
        // Events that wait to be read have it in use.
        let deadline = Instant::now() + LIMIT;
        while let Err(error) = umount2(self.0, MntFlags::empty()) {
            assert!(Instant::now() < deadline, "not unmounted: {error}");
            thread::yield_now();
        }
    }
}

#[test_log::test]
fn what_is_mounted_later_is_watched_and_can_be_unmounted() {
    if !is_root() {
        return;
    }
    let mut watching = Watching::start(&OPENS);
    let directory = TempDir::new_in("/dev/shm").unwrap();
    let mounted = InMemory::mount(directory.path());
    let file = directory.path().join("file");
    let deadline = Instant::now() + LIMIT;
    // It is marked when the kernel has told that it is there.
    while !watching
        .seen
        .iter()
        .any(|seen| seen.text("name") == file.to_str())
    {
        assert!(Instant::now() < deadline, "not seen");
        shell(&format!("echo > '{}'", file.display()));
        watching
            .seen
            .extend(watching.records.try_iter().map(|bytes| Seen::read(&bytes)));
    }
    drop(mounted);
}

#[test_log::test]
fn what_no_rule_sees_any_more_is_not_told() {
    if !is_root() {
        return;
    }
    let mut watching = Watching::start(&[Event::Openat]);
    let directory = TempDir::new_in("/dev/shm").unwrap();
    let file = directory.path().join("file");
    let pid = shell(&format!("echo > '{}'", file.display()));
    watching.open(&file, pid);
    watching.source.configure(&plan_for(&[Event::Unlink])).unwrap();
    let mut remove = |file: &Path| {
        let deadline = Instant::now() + LIMIT;
        let is_it = |seen: &Seen| seen.event == Event::Unlink && seen.text("path") == file.to_str();
        while !watching.seen.iter().any(is_it) {
            assert!(Instant::now() < deadline, "not seen");
            shell(&format!("echo > '{0}'; rm '{0}'", file.display()));
            watching
                .seen
                .extend(watching.records.try_iter().map(|bytes| Seen::read(&bytes)));
        }
    };
    remove(&file);
    // The change is in force.
    let other = directory.path().join("other");
    remove(&other);
    let opened = watching
        .end()
        .into_iter()
        .find(|seen| seen.event == Event::Openat && seen.text("name") == other.to_str());
    assert_eq!(opened, None);
}

/// A process with an overlay of the host's files for its root, in a mount namespace of its own.
struct Contained {
    child: Child,
    _directory: TempDir,
}

impl Contained {
    /// It does what each line says that is written to its input.
    fn start() -> Contained {
        let directory = TempDir::new_in("/dev/shm").unwrap();
        let at = directory.path().display();
        let words = format!(
            "mount -t tmpfs tmpfs {at} && mkdir {at}/upper {at}/work {at}/root && \
             mount -t overlay overlay -o lowerdir=/,upperdir={at}/upper,workdir={at}/work {at}/root && \
             mount -t tmpfs tmpfs {at}/root/mnt && mount --bind /dev/shm {at}/root/srv && \
             exec chroot {at}/root /bin/sh -c 'echo ready; while read -r line; do eval \"$line\"; echo done; done'"
        );
        let child = Command::new("unshare")
            .args(["--mount", "sh", "-c", &words])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut contained = Contained {
            child,
            _directory: directory,
        };
        contained.wait_for("ready");
        contained
    }

    fn wait_for(&mut self, word: &str) {
        use std::io::Read as _;
        // Not one byte more: there is one reader for each line.
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let mut byte = [0];
            self.child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
            line.extend(byte);
        }
        assert_eq!(line.strip_suffix(b"\n"), Some(word.as_bytes()));
    }

    fn does(&mut self, words: &str) {
        use std::io::Write as _;
        writeln!(self.child.stdin.as_mut().unwrap(), "{words}").unwrap();
        self.wait_for("done");
    }

    /// As the runtime would tell of it.
    fn container(&self) -> Container {
        let cgroups = Cgroups::find(Outside::default()).unwrap();
        let text = fs::read_to_string("/proc/self/cgroup").unwrap();
        let path = cgroups.path_of_process(&text).unwrap();
        Container {
            cgroup: cgroups.id_of(path).unwrap(),
            cgroup_path: path.into(),
            pid: self.child.id(),
            ..Container::new("0123456789abcdef", "containerd", Learnt::Start)
        }
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test_log::test]
fn a_containers_own_file_systems_are_watched_before_its_runtime_goes_on() {
    if !is_root() {
        return;
    }
    let table = ContainerTable::new();
    let mut watching = Watching::of(
        &[Event::Openat, Event::Unlinkat, Event::Mkdirat, Event::Renameat],
        &table,
    );
    let mut contained = Contained::start();
    let container = Arc::new(contained.container());
    table.update(|known| known.insert(Arc::clone(&container)));
    contained.does("read x < /etc/shadow");
    contained.does("echo > /etc/dropped");
    contained.does("echo > /srv/made.$$; mkdir /mnt/made; rm /srv/made.$$");
    let pid = contained.child.id();
    assert_eq!(watching.open(Path::new("/etc/shadow"), pid).access(), Some(0));
    assert!(watching.open(Path::new("/etc/dropped"), pid).is_written());
    watching.wait("a directory in its memory", |seen| {
        seen.text("path") == Some("/mnt/made")
    });
    let shared = format!("/srv/made.{pid}");
    assert!(watching.open(Path::new(&shared), pid).is_written());
    // What whoever removed it calls it is known as long as that is there.
    let host = format!("/dev/shm/made.{pid}");
    watching.wait("a removal in a directory of the host's", |seen| {
        seen.event == Event::Unlinkat
            && seen
                .text("name")
                .is_some_and(|name| name == shared || name == host)
    });
    // Names in its overlay, in directories that rules name, and in those made there.
    contained.does("mkdir /etc/made; echo > /etc/made/inner");
    watching.wait("a directory in its overlay", |seen| {
        seen.text("path") == Some("/etc/made")
    });
    contained.does("rm /etc/made/inner /etc/passwd");
    for path in ["/etc/made/inner", "/etc/passwd"] {
        watching.wait(path, |seen| {
            seen.event == Event::Unlinkat && seen.text("name") == Some(path)
        });
    }
    // By programs that have ended when they are asked about.
    contained.does("for n in 1 2 3 4 5 6 7 8 9; do /bin/mkdir /etc/ended.$n; /bin/rmdir /etc/ended.$n; done");
    for number in 1..10 {
        let path = format!("/etc/ended.{number}");
        watching.wait(&path, |seen| {
            seen.event == Event::Mkdirat && seen.text("path") == Some(&path)
        });
    }
    contained.does("mv /usr/bin/id /usr/bin/other");
    let renamed = watching.wait("a rename", |seen| seen.text("newpath") == Some("/usr/bin/other"));
    assert_eq!(renamed.text("oldpath"), Some("/usr/bin/id"));
    // The overlay opens files of its layers for that, which is nobody's doing.
    contained.does("read x < /etc/group; exec 7>> /etc/group; exec 7>&-");
    contained.does("echo > /etc/dropped.last");
    watching.open(Path::new("/etc/dropped.last"), pid);
    let told = |name: &str| {
        // Others read the host's files of that name.
        let of = |seen: &&Seen| seen.text("name") == Some(name) && seen.header.pid == pid;
        watching
            .seen
            .iter()
            .filter(of)
            .map(Seen::access)
            .collect::<Vec<_>>()
    };
    for (name, ways) in [
        ("/etc/shadow", &[Some(0)][..]),
        ("/etc/dropped", &[Some(WRITTEN)]),
        ("/etc/group", &[Some(0), Some(WRITTEN)]),
    ] {
        let told = told(name);
        assert!(
            told.len() == ways.len()
                && told
                    .iter()
                    .zip(ways)
                    .all(|(a, b)| a == b || b == &Some(WRITTEN) && a == &Some(O_WRONLY)),
            "{name}: {told:?}, of {:?}",
            watching
                .seen
                .iter()
                .filter(|seen| seen.text("name") == Some(name))
                .collect::<Vec<_>>()
        );
    }
    contained.does("mv /etc/made /etc/other; echo > /etc/other/inner; rm /etc/other/inner");
    watching.wait("a removal in what was renamed", |seen| {
        seen.text("name") == Some("/etc/other/inner")
    });
    // What it mounts itself.
    let deadline = Instant::now() + LIMIT;
    contained.does("mount -t tmpfs tmpfs /opt");
    while !watching
        .seen
        .iter()
        .any(|seen| seen.text("name") == Some("/opt/later"))
    {
        assert!(Instant::now() < deadline, "not seen");
        contained.does("echo > /opt/later");
        watching
            .seen
            .extend(watching.records.try_iter().map(|bytes| Seen::read(&bytes)));
    }
    // Nothing of it is held when it has ended.
    let shared = Arc::clone(&watching.source.shared);
    drop(contained);
    table.update(|known| known.remove(&container.key()));
    assert!(shared.watched.lock().unwrap().is_empty());
}

#[test_log::test]
fn of_a_container_directories_that_rules_name_are_marked_first_and_those_below_them_after_that() {
    use super::directories::named;
    use super::group::{Buffer, Read};
    use super::marks::{Extent, Marks};
    use super::record::Role;
    if !is_root() {
        return;
    }
    let mut contained = Contained::start();
    let pid = contained.child.id();
    let namespace = Namespace::of_process(format!("/proc/{pid}").into(), pid).unwrap();
    let device = &namespace
        .mounts
        .iter()
        .find(|mount| mount.is_overlay())
        .unwrap()
        .device;
    let marks = Marks::new().unwrap();
    let wanted = super::wanted::Wanted::of([Event::Mkdirat, Event::Unlinkat].into_iter().collect());
    marks.want(&wanted, named(&[b"/etc/".as_slice().into()]));
    let mark = |extent| marks.mark(&namespace.directory, &namespace.mounts, extent);
    let below = fs::read_dir("/etc").unwrap().flatten();
    let mut below = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let below = below.next().unwrap().path();
    let below = below.to_str().unwrap();
    let was = |directory: &str, time| marks.was_marked(device, directory.as_bytes(), time);
    // The names of this test that something was made by since it was asked last: others make things there, too.
    let made = || {
        let mut made = Vec::new();
        let mut buffer: Buffer = [0; _];
        loop {
            let mut events = Vec::new();
            if marks.names.as_ref().unwrap().read(&mut buffer, &mut events) == Read::Nothing {
                return made;
            }
            let names = events.iter().map(|taken| taken.event.entry(Role::Own).unwrap());
            let names = names.map(|entry| String::from_utf8_lossy(entry.name).into_owned());
            made.extend(names.filter(|name| name.starts_with("lanner.")));
        }
    };

    mark(Extent::First);
    assert!(was("/etc", 0) && !was(below, u64::MAX));
    contained.does(&format!("mkdir /etc/lanner.1 {below}/lanner.2"));
    assert_eq!(made(), ["lanner.1"]);
    let before = outside::now();
    mark(Extent::Whole);
    let after = outside::now();
    assert!(was("/etc", 0) && was(below, after) && !was(below, before));
    contained.does(&format!("mkdir /etc/lanner.3 {below}/lanner.4"));
    assert_eq!(made(), ["lanner.3", "lanner.4"]);
    // What is marked stays so since then.
    mark(Extent::First);
    mark(Extent::Whole);
    assert!(was(below, after) && !was(below, before));
}
