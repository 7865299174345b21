//! fanotify: what happens to files, for hosts without BPF.
//!
//! Two groups: one whose events have the file (opens and how they end), one whose events have names (what is made, removed
//! and renamed). Both are read by this source's own thread, which asks at once who it was ([`doer`]) and makes the records a
//! program would have written, as far as anybody can know ([`opens`], [`entries`]). Files are let go of before that, for
//! they keep mounts in use ([`backlog`]). Every file system that the host or a
//! container has mounted is marked, before the container's first instruction where the runtime tells of it ([`marks`]).
//!
//! Permission events are not used: nothing waits for Lanner.

mod backlog;
mod directories;
mod doer;
mod entries;
mod group;
mod layers;
mod marks;
mod mounts;
mod opens;
mod order;
mod record;
mod told;
mod wanted;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use lanner_schema::container::{Container, ContainerTable, Containers, Watch};
use lanner_schema::host_root::{host_root, on_host};
use lanner_schema::tier::Source;
use libc::{
    FAN_CREATE, FAN_DELETE, FAN_MOVED_FROM, FAN_MOVED_TO, FAN_ONDIR, FAN_OPEN, FAN_Q_OVERFLOW, FAN_RENAME,
};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::fanotify::MarkFlags;

use crate::cgroup::Cgroups;
use crate::error::CaptureError;
use crate::outside::{self, Outside};
use crate::plan::Plan;
use crate::source::{Count, RunningSource, SourceQueue, SourceThread, Wake, refused};
use backlog::{Backlog, FileEvent, Kept};
use doer::Doers;
use entries::{Called, Directories, Name, as_seen};
use group::{Buffer, Group, Read, Taken};
use layers::Layers;
use marks::{Extent, Marks, Namespace};
use opens::{Key, Opens};
use order::Order;
use record::Role;
use told::Told;

/// Reads of a group before something else is looked at.
const READS: usize = 64;
/// Events with files that are looked at before it is looked whether there are more.
const STEP: usize = 64;
/// How often a process of a container is looked for, once at each change of the containers.
const TRIES: u8 = 8;
/// The least time between looks for the directories that rules name, in nanoseconds.
const AGAIN: u64 = 50_000_000;
/// How often, in milliseconds, queues are looked at in which nothing comes: an event may have been since they were last.
const QUIET: u16 = 250;
/// How long, in nanoseconds, what happened before the stop is looked at.
const LAST: u64 = 10_000_000_000;
/// How often opens whose end is waited for are looked at.
const WAITING: u16 = 100;

/// Looks whether the kernel lets this process watch file systems.
///
/// # Errors
/// What the kernel says.
pub(crate) fn probe() -> io::Result<()> {
    let group = Group::of_files()?;
    // A mark that no event fits for long: it goes with the group.
    group.file_system(
        MarkFlags::FAN_MARK_ADD,
        libc::FAN_OPEN_EXEC,
        &host_directory().join("root"),
    )?;
    Ok(())
}

/// In /proc, the directory of a process that sees what the host has mounted.
fn host_directory() -> PathBuf {
    if host_root().as_os_str().is_empty() {
        return "/proc/self".into();
    }
    // The first process may be one that nobody may look at. The second is the kernel's own then, and sees the same.
    let [first, second] = ["proc/1", "proc/2"].map(|process| host_root().join(process));
    match fs::metadata(first.join("root")) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => second,
        _ => first,
    }
}

/// Starts it.
///
/// # Errors
/// What the kernel says.
pub(crate) fn start(
    queue: SourceQueue,
    plan: &Plan,
    containers: &Arc<ContainerTable>,
) -> Result<Fanotify, CaptureError> {
    let error = refused(Source::Fanotify);
    let begun = outside::now();
    let marks = Marks::new().map_err(|e| error("make a group", e.into()))?;
    let wake = Arc::new(Wake::new().map_err(|e| error("make an eventfd", e))?);
    let procfs = on_host(Path::new("/proc")).into_owned();
    let wanted = Told::of(plan);
    marks.want(&wanted.wanted, wanted.named.clone());
    let host = Namespace::open(host_directory());
    let host = host.ok_or_else(|| error("read what is mounted", io::Error::from(io::ErrorKind::NotFound)))?;
    marks.mark(&host.directory, &host.mounts, Extent::Whole);
    let shared = Arc::new(Shared {
        marks,
        wake: Arc::clone(&wake),
        procfs: procfs.clone(),
        cgroups: Cgroups::find(Outside::default()),
        watched: Mutex::default(),
        new: Mutex::default(),
        plan: Mutex::new(None),
    });
    // Typed first: what is kept there is any watcher.
    let watcher: Weak<Shared> = Arc::downgrade(&shared);
    containers.tell(watcher);
    // Those that are there already.
    shared.changed(&containers.snapshot());
    let mut layers = Layers::default();
    layers.learn(std::slice::from_ref(&host));
    let listener = Listener {
        doers: Doers::new(procfs, Cgroups::find(Outside::default())),
        told: wanted,
        queue,
        namespaces: vec![host],
        opens: Opens::default(),
        directories: Directories::default(),
        backlog: Backlog::new(),
        layers,
        looked_again: 0,
        moved_from: None,
        order: Orders {
            files: Order::new(begun),
            names: Order::new(begun),
        },
        shared: Arc::clone(&shared),
        own: i32::try_from(process::id()).unwrap_or(0),
    };
    let thread = SourceThread::start("lanner-files", wake, move || listener.run());
    Ok(Fanotify {
        shared,
        thread: thread.map_err(|e| error("start a thread", e))?,
    })
}

/// What the thread shares with whoever changes what it does.
#[derive(Debug)]
struct Shared {
    marks: Marks,
    wake: Arc<Wake>,
    procfs: PathBuf,
    cgroups: Option<Cgroups>,
    /// Containers whose file systems are marked, by cgroup, and those of which no process was found so often.
    watched: Mutex<HashMap<u64, u8>>,
    /// Their namespaces, which the thread has not taken over yet.
    new: Mutex<Vec<Namespace>>,
    /// What is to be watched for from now on.
    plan: Mutex<Option<Told>>,
}

impl Shared {
    /// Marks what a container has mounted. False when no process of it can be found.
    fn watch(&self, container: &Container, pid: u32) -> bool {
        let directory = self.procfs.join(pid.to_string());
        // The runtime may number processes otherwise.
        let cgroup = fs::read(directory.join("cgroup")).ok();
        let cgroup = self
            .cgroups
            .as_ref()
            .zip(cgroup)
            .and_then(|(cgroups, text)| cgroups.id_of_process(&text));
        if cgroup != Some(container.cgroup) {
            return false;
        }
        let Some(namespace) = Namespace::of_process(directory, pid) else {
            return false;
        };
        // Whoever reads an event of it finds it here. The thread marks the rest.
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        self.marks
            .mark(&namespace.directory, &namespace.mounts, Extent::First);
        new.push(namespace);
        true
    }

    /// A process of a container: its first, as far as that is known.
    fn process_of(&self, container: &Container) -> Option<u32> {
        self.cgroups.as_ref()?.process_in(&container.cgroup_path)
    }
}

impl Watch for Shared {
    /// Before the runtime is answered: the container's first instruction waits for it.
    fn changed(&self, now: &Containers) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|cgroup, _| now.get(*cgroup).is_some_and(|container| !container.gone));
        for container in now.running().filter(|container| !container.gone) {
            let tries = watched.entry(container.cgroup).or_default();
            if *tries >= TRIES {
                continue;
            }
            let given = Some(container.pid).filter(|pid| *pid != 0 && self.watch(container, *pid));
            let found = || {
                self.process_of(container)
                    .filter(|pid| self.watch(container, *pid))
            };
            *tries = match given.or_else(found) {
                Some(_) => TRIES,
                None => *tries + 1,
            };
        }
        drop(watched);
        self.wake.wake();
    }
}

/// The source at work.
#[derive(Debug)]
pub(crate) struct Fanotify {
    shared: Arc<Shared>,
    thread: SourceThread,
}

impl RunningSource for Fanotify {
    fn configure(&mut self, plan: &Plan) -> Result<(), CaptureError> {
        let mut next = self.shared.plan.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some(Told::of(plan));
        drop(next);
        self.shared.wake.wake();
        Ok(())
    }

    fn stop(&mut self) {
        self.thread.stop();
    }
}

/// The thread's own.
#[derive(Debug)]
struct Listener {
    shared: Arc<Shared>,
    queue: SourceQueue,
    doers: Doers,
    told: Told,
    /// The host's first.
    namespaces: Vec<Namespace>,
    opens: Opens,
    directories: Directories,
    backlog: Backlog,
    layers: Layers,
    /// When directories that rules name were looked for again.
    looked_again: u64,
    /// The first half of a rename, where the kernel tells it in two: whose, and what something was called.
    moved_from: Option<(i32, Name)>,
    /// When the events of each group happened.
    order: Orders,
    own: i32,
}

/// Of the two groups.
#[derive(Debug)]
struct Orders {
    files: Order,
    names: Order,
}

impl Orders {
    /// Looks how many events wait, if it is time to.
    fn look(&mut self, marks: &Marks) {
        let groups = [
            (Some(&marks.files), &mut self.files),
            (marks.names.as_ref(), &mut self.names),
        ];
        for (group, order) in groups {
            let before = outside::now();
            if order.is_due(before)
                && let Some(waiting) = group.and_then(Group::waiting)
            {
                order.waited(waiting, before, outside::now());
            }
        }
    }

    /// Directories were marked: what is done in them from now on is known to be later.
    fn were_marked(&mut self, marks: &Marks) {
        let before = outside::now();
        if let Some(waiting) = marks.names.as_ref().and_then(Group::waiting) {
            self.names.waited(waiting, before, outside::now());
        }
    }
}

impl Listener {
    fn run(mut self) {
        let mut stopped = None;
        loop {
            // What happened before the stop is still read.
            let stopping = self.shared.wake.is_ending();
            if stopping && outside::now() > LAST.saturating_add(*stopped.get_or_insert_with(outside::now)) {
                self.leave();
                return;
            }
            let now = if stopping { u64::MAX } else { outside::now() };
            self.layers.release(now, &mut self.backlog.events);
            let caught_up = self.read();
            let procfs = &self.shared.procfs;
            // The end of an open may be among what is not looked at yet.
            let looked_at = self.backlog.events.front().map_or(now, |event| event.time);
            self.opens.until(looked_at, procfs, &mut |opened| {
                self.told.opened(&opened, &self.queue)
            });
            self.count_undecided();
            if stopping && caught_up && !self.layers.waits() {
                return;
            }
            if !self.wait(caught_up) {
                return;
            }
        }
    }

    /// Counts what is not looked at any more.
    fn leave(&mut self) {
        let open = self.told.wanted.open.map(|call| call as u16);
        let is_open = |event: &FileEvent| event.mask & FAN_OPEN != 0;
        let counts = self.queue.counts();
        for _ in self.backlog.events.iter().filter(|event| is_open(event)) {
            counts.lose(open);
        }
        let names = self.shared.marks.names.as_ref();
        let unread = [Some(&self.shared.marks.files), names].into_iter().flatten();
        counts.add(Count::Failed, unread.filter_map(Group::waiting).sum());
    }

    fn count_undecided(&mut self) {
        let undecided = std::mem::take(&mut self.opens.undecided);
        if undecided > 0 {
            self.queue.counts().add(Count::Undecided, undecided);
        }
    }

    /// Takes over what others have changed.
    fn take_over(&mut self) {
        let marks = &self.shared.marks;
        let next = self
            .shared
            .plan
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(told) = next {
            let (files, names) = marks.want(&told.wanted, told.named.clone());
            for namespace in &self.namespaces {
                // What is new first, so that nothing is missed of what stays.
                marks.mark(&namespace.directory, &namespace.mounts, Extent::Whole);
                marks.unmark(&namespace.directory, &namespace.mounts, files, names);
            }
            self.told = told;
        }
        let new = std::mem::take(&mut *self.shared.new.lock().unwrap_or_else(PoisonError::into_inner));
        for mut namespace in new {
            // With what was mounted since.
            if namespace.read() {
                marks.mark(&namespace.directory, &namespace.mounts, Extent::Whole);
                self.order.were_marked(marks);
            }
            self.namespaces.push(namespace);
            self.layers.learn(&self.namespaces);
        }
        let unwatched = marks.take_unwatched();
        for kind in unwatched.files {
            if self.told.first(&kind) {
                tracing::warn!("fanotify: files on {kind} are not watched");
            }
        }
        for kind in unwatched.names {
            if self.told.first(&format!("names {kind}")) {
                tracing::warn!("fanotify: what is removed and renamed on {kind} is not seen");
            }
        }
        if unwatched.left_out > 0 {
            self.queue.counts().add(Count::Unmarked, unwatched.left_out);
        }
    }

    /// Reads what there is; false when there may be more.
    fn read(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let marks = &shared.marks;
        for _ in 0..READS {
            self.drain();
            // What has made a file was told before its open.
            let names = marks
                .names
                .as_ref()
                .is_none_or(|group| self.read_names(group, marks));
            for _ in 0..STEP {
                let Some(event) = self.backlog.pop() else {
                    if names {
                        return true;
                    }
                    break;
                };
                self.order.look(marks);
                self.doers.when = event.when;
                self.file_event(event);
            }
        }
        false
    }

    /// Reads what the group of files has, and lets go of the files.
    fn drain(&mut self) {
        let shared = Arc::clone(&self.shared);
        let first = self.backlog.events.len();
        self.keep(&shared.marks);
        // Whose mounts they are of is known then.
        self.take_over();
        if !shared.marks.has_overlays() {
            return;
        }
        self.layers.sort(&mut self.backlog.events, first, &shared.procfs);
    }

    fn keep(&mut self, marks: &Marks) {
        let mut buffer: Buffer = [0; _];
        for _ in 0..READS {
            if self.backlog.is_full() {
                return;
            }
            let mut events = Vec::new();
            let read = self.note(marks.files.read(&mut buffer, &mut events));
            let now = outside::now();
            self.order.files.came_out(events.len());
            self.order.look(marks);
            let has_overlays = marks.has_overlays();
            for taken in events {
                let when = self.order.files.next(now);
                if self.is_no_event(&taken) {
                    continue;
                }
                let lost = self.told.wanted.open.filter(|_| taken.event.mask & FAN_OPEN != 0);
                match self.backlog.keep(taken, (now, when), has_overlays) {
                    Kept::Yes => {}
                    Kept::Unread => self.queue.counts().add(Count::Failed, 1),
                    Kept::Full if lost.is_some() => self.queue.counts().lose(lost.map(|call| call as u16)),
                    // The end of an open that is told without it.
                    Kept::Full => {}
                }
            }
            if read == Read::Nothing {
                return;
            }
        }
    }

    /// Counts what a read lost.
    fn note(&self, read: Read) -> Read {
        if let Read::Lost(error) = read {
            self.queue.counts().add(Count::Failed, 1);
            tracing::debug!("an event of fanotify can't be read: {error}");
        }
        read
    }

    /// Reads the names there are; false when there may be more.
    fn read_names(&mut self, group: &Group, marks: &Marks) -> bool {
        let mut buffer: Buffer = [0; _];
        for _ in 0..READS {
            // Files are not kept waiting by names: what has made one is still read before that is looked at.
            self.drain();
            let mut events = Vec::new();
            let read = self.note(group.read(&mut buffer, &mut events));
            self.order.names.came_out(events.len());
            self.take_over();
            let now = outside::now();
            for taken in &events {
                self.order.look(marks);
                self.doers.when = self.order.names.next(now);
                self.name_event(taken, marks, now);
            }
            self.order.look(marks);
            if read == Read::Nothing {
                return true;
            }
        }
        false
    }

    /// True for what is none of anybody's doing that is watched.
    fn is_no_event(&self, taken: &Taken<'_>) -> bool {
        if taken.event.mask & FAN_Q_OVERFLOW != 0 {
            // How many were lost it does not say.
            self.queue.counts().add(Count::Overflow, 1);
            return true;
        }
        if taken.event.pid == 0 {
            // Of a pid namespace that is not below this one.
            self.queue.counts().add(Count::Failed, 1);
        }
        // This process reads files because of events: telling of that would never end.
        taken.event.pid == self.own || taken.event.pid == 0
    }

    fn file_event(&mut self, event: FileEvent) {
        let counts = self.queue.counts();
        let told = &self.told;
        let queue = &self.queue;
        self.opens.event(event, &mut self.doers, &mut |opened| {
            if opened.found.is_gone {
                counts.add(Count::Gone, 1);
            }
            told.opened(&opened, queue);
        });
    }

    fn name_event(&mut self, taken: &Taken<'_>, marks: &Marks, now: u64) {
        if self.is_no_event(taken) {
            return;
        }
        let event = &taken.event;
        let Ok(pid) = u32::try_from(event.pid) else {
            return;
        };
        let counts = Arc::clone(self.queue.counts());
        let (found, _) = self.doers.find(pid, &taken.process, |_| ());
        if found.is_gone {
            counts.add(Count::Gone, 1);
        }
        let directory = self.doers.directory(pid);
        let directory = Some(directory.as_path()).filter(|_| !found.is_gone);
        let mut name = |role| {
            let entry = event.entry(role)?;
            let mut name = self.directories.name(&entry, marks);
            if name.is_none() && now.saturating_sub(self.looked_again) > AGAIN {
                self.looked_again = now;
                marks.look_again(entry.fsid);
                self.order.were_marked(marks);
                name = self.directories.name(&entry, marks);
            }
            if name.is_none() {
                counts.add(Count::Unnamed, 1);
            }
            name
        };
        let (own, old, new) = (name(Role::Own), name(Role::Old), name(Role::New));
        let seen = |name: &Name| as_seen(name, directory, &found.root, &self.namespaces);
        let is_directory = event.mask & FAN_ONDIR != 0;
        // An overlay tells by itself of directories in it that are marked, and what it makes for itself is nobody's doing. Whether
        // one was marked yet may not be known: told twice is better than never.
        let since = self.doers.when.0;
        let is_told = |called: &Called| match called {
            Called::InOverlay {
                device, directory, ..
            } => marks.was_marked(device, directory, since),
            Called::Internal => true,
            Called::Name(_) | Called::Unknown => false,
        };
        if let Some(own) = &own
            && event.mask & (FAN_CREATE | FAN_DELETE) != 0
            && let called = seen(own)
            && !is_told(&called)
        {
            if event.mask & FAN_CREATE != 0 {
                let made = own.path().and_then(|path| self.told.made(&path, is_directory));
                if let Some(told::Made::File { dev, ino }) = made {
                    // The overlay's file has the number of the one it is written to.
                    let dev = match &called {
                        Called::InOverlay { device, .. } => device_number(device).unwrap_or(dev),
                        _ => dev,
                    };
                    self.opens.was_made(Key { pid, dev, ino });
                }
                if is_directory && let Some(parent) = event.entry(Role::Own) {
                    marks.mark_below(own, &parent.key());
                    self.order.were_marked(marks);
                }
                if let Some(made) = made {
                    self.told.was_made(&made, called.name(), &found, now, &self.queue);
                }
            }
            if event.mask & FAN_DELETE != 0 {
                self.told
                    .removed(called.name(), is_directory, &found, now, &self.queue);
            }
        }
        let mut renamed = old.zip(new);
        if event.mask & FAN_MOVED_FROM != 0 {
            self.moved_from = own.clone().map(|own| (event.pid, own));
        }
        if event.mask & FAN_MOVED_TO != 0
            && let Some((_, old)) = self.moved_from.take_if(|(of, _)| *of == event.pid)
        {
            renamed = Some(old).zip(own);
        }
        if is_directory && event.mask & (FAN_RENAME | FAN_MOVED_TO) != 0 {
            self.directories.renamed(renamed.as_ref());
        }
        if let Some((old, new)) = renamed {
            if is_directory {
                marks.renamed(&old, &new);
            }
            let (old, new) = (seen(&old), seen(&new));
            let is_internal = [&old, &new].contains(&&Called::Internal);
            if !(is_internal || is_told(&old) && is_told(&new)) {
                self.told
                    .renamed(old.name(), new.name(), &found, now, &self.queue);
            }
        }
    }

    /// Waits for an event, another mount, the end of a container or a wish; false when nothing can be waited for any more.
    fn wait(&mut self, caught_up: bool) -> bool {
        let marks = &self.shared.marks;
        let mut ready = vec![
            PollFd::new(self.shared.wake.as_fd(), PollFlags::POLLIN),
            PollFd::new(marks.files.as_fd(), PollFlags::POLLIN),
        ];
        if let Some(names) = &marks.names {
            ready.push(PollFd::new(names.as_fd(), PollFlags::POLLIN));
        }
        let first = ready.len();
        for namespace in &self.namespaces {
            ready.push(PollFd::new(namespace.mountinfo.as_fd(), PollFlags::POLLPRI));
            if let Some(process) = &namespace.process {
                ready.push(PollFd::new(process.as_fd(), PollFlags::POLLIN));
            }
        }
        let limit = match (caught_up, self.opens.waits() || self.layers.waits()) {
            (false, _) => PollTimeout::ZERO,
            (true, true) => PollTimeout::from(WAITING),
            (true, false) => PollTimeout::from(QUIET),
        };
        if let Err(error) = poll(&mut ready, limit)
            && error != Errno::EINTR
        {
            self.queue.counts().add(Count::Failed, 1);
            tracing::error!("fanotify is not read any more: {error}");
            return false;
        }
        let is_ready: Vec<bool> = ready.iter().map(|one| one.any() == Some(true)).collect();
        drop(ready);
        if is_ready.first() == Some(&true) {
            self.shared.wake.heed();
        }
        let mut ready = is_ready.into_iter().skip(first);
        let mut next = || ready.next().unwrap_or(false);
        let mut remounted = false;
        let order = &mut self.order;
        self.namespaces.retain_mut(|namespace| {
            let (changed, ended) = (next(), namespace.process.is_some() && next());
            // Kept open, its mountinfo would keep what is mounted in there.
            remounted |= ended || changed;
            if !ended && changed && namespace.read() {
                marks.mark(&namespace.directory, &namespace.mounts, Extent::Whole);
                order.were_marked(marks);
            }
            !ended
        });
        if remounted {
            self.layers.learn(&self.namespaces);
        }
        true
    }
}

/// The number of a device that mountinfo has as `major:minor`.
fn device_number(device: &str) -> Option<u64> {
    let (major, minor) = device.split_once(':')?;
    Some(nix::sys::stat::makedev(major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests;
