//! Processes as /proc shows them: the state at start, and the repair of what was lost.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lanner_schema::flags::EXE_UNKNOWN_LAYER;
use lanner_schema::process::{Image, Process, UNKNOWN_DIRECTORY};
use lanner_schema::record::TaskState;
use nix::unistd::{SysconfVar, sysconf};

use crate::cgroup::Cgroups;
use crate::cgroup_names::CgroupNames;
use crate::decode::Start;
use crate::exe_file::{Overlays, Who};
use crate::outside::Outside;
use crate::process_table::TICKS;

/// The most of arguments or environment that is kept, as in the BPF programs.
const STRING_MAX: u64 = 4096;

/// True of arguments or environment that are as long as what is read of them: there may be more.
pub(crate) fn is_cut(strings: &[u8]) -> bool {
    strings.len() as u64 >= STRING_MAX - 1
}

/// The most of any other file: a cgroup file has a line per hierarchy.
const FILE_MAX: u64 = 64 << 10;

/// A procfs and what its numbers mean.
#[derive(Debug)]
pub(crate) struct Procfs {
    root: PathBuf,
    /// Nanoseconds per clock tick.
    pub(crate) tick: u64,
    /// The epoch time of the boot, in nanoseconds: one for every process, so that their times compare.
    pub(crate) boot: u64,
    cgroups: Option<Arc<Cgroups>>,
    pub(crate) cgroup_names: CgroupNames,
    /// Whether environments are read: not unless a rule reads them.
    pub(crate) environment: bool,
    overlays: Overlays,
    pub(crate) outside: Outside,
}

impl Procfs {
    pub(crate) fn new(cgroups: Option<Arc<Cgroups>>, outside: Outside) -> Procfs {
        Procfs::asking("/proc".into(), cgroups, outside)
    }

    #[cfg(test)]
    pub(crate) fn at(root: impl Into<PathBuf>) -> Procfs {
        Procfs::asking(root.into(), None, Outside::default())
    }

    fn asking(root: PathBuf, cgroups: Option<Arc<Cgroups>>, outside: Outside) -> Procfs {
        let hertz = sysconf(SysconfVar::CLK_TCK)
            .ok()
            .flatten()
            .and_then(|n| u64::try_from(n).ok())
            .unwrap_or(100);
        Procfs {
            tick: 1_000_000_000 / hertz.max(1),
            boot: outside.boot_time(),
            cgroup_names: CgroupNames::new(&root, cgroups.clone(), outside.clone()),
            environment: false,
            overlays: Overlays::new(root.join("1/root"), outside.clone()),
            root,
            cgroups,
            outside,
        }
    }

    /// The processes there are now, `most` of them, with the start of their pid namespace where that one's first process is
    /// among them; and how many are left out.
    pub(crate) fn processes(&mut self, most: usize) -> (Vec<Process>, usize) {
        // Not even root may see everything of process 1; it is the first of the namespace this /proc shows.
        let own = self.pid_namespace("self");
        let mut found: Vec<(Process, Option<u64>)> = Vec::new();
        let mut pids = self.outside.numbers(&self.root).into_iter();
        for pid in pids.by_ref() {
            if let Some(process) = self.process(pid) {
                let namespace = self.pid_namespace(&pid.to_string());
                found.push((process, namespace.or(own.filter(|_| pid == 1))));
            }
            if found.len() >= most {
                break;
            }
        }
        let starts: HashMap<u64, u64> = found
            .iter()
            .filter(|(process, _)| process.vpid == 1)
            .filter_map(|(first, namespace)| Some(((*namespace)?, first.start_time)))
            .collect();
        for (process, namespace) in &mut found {
            let start = namespace.and_then(|namespace| starts.get(&namespace));
            process.pidns_start = start.copied().unwrap_or(0);
        }
        (
            found.into_iter().map(|(process, _)| process).collect(),
            pids.len(),
        )
    }

    /// The ids of every process there is now; none at all when /proc can't be read.
    pub(crate) fn pids(&self) -> HashSet<u32> {
        self.outside.numbers(&self.root).into_iter().collect()
    }

    /// True when two processes are in one pid namespace.
    pub(crate) fn share_pid_namespace(&self, one: u32, other: u32) -> bool {
        let of = |pid: u32| self.pid_namespace(&pid.to_string());
        of(one).is_some_and(|namespace| of(other) == Some(namespace))
    }

    /// The directory of a process.
    pub(crate) fn directory(&self, pid: u32) -> PathBuf {
        self.root.join(pid.to_string())
    }

    /// The environment of a process, when it is to be read.
    pub(crate) fn environ(&self, pid: u32) -> Vec<u8> {
        match self.environment {
            true => self.strings(&self.root.join(pid.to_string()).join("environ")),
            false => Vec::new(),
        }
    }

    fn strings(&self, path: &Path) -> Vec<u8> {
        self.outside.read(path, STRING_MAX - 1).unwrap_or_default()
    }

    /// The number of a process's pid namespace.
    fn pid_namespace(&self, pid: &str) -> Option<u64> {
        Some(self.outside.facts(&self.root.join(pid).join("ns/pid"))?.ino)
    }

    /// One process; `None` when it is gone.
    pub(crate) fn process(&mut self, pid: u32) -> Option<Process> {
        let dir = self.root.join(pid.to_string());
        let file = |name: &str| self.outside.read(&dir.join(name), FILE_MAX);
        // First what goes first when it ends.
        let exepath = self.executable(&dir);
        let argv = self.strings(&dir.join("cmdline"));
        let stat = Stat::parse(&file("stat")?)?;
        let status = Status::parse(&String::from_utf8_lossy(&file("status")?));
        let started = self.start_time(&stat);
        let mut image = Image::new(&stat.comm, &argv, &exepath, &self.environ(pid));
        image.args_cut = is_cut(&argv);
        image.env_cut = is_cut(&image.env);
        image.exec_flags = EXE_UNKNOWN_LAYER;
        if let Some(exe) = self.outside.facts(&dir.join("exe")) {
            image.exe_ino = exe.ino;
            image.exe_ctime = exe.ctime;
            image.exe_mtime = exe.mtime;
            image.exec_flags = self
                .overlays
                .exec_flags(&dir, &exepath, &exe, &status.who, started);
        }
        let cwd = self.cwd(&dir).unwrap_or_else(|| UNKNOWN_DIRECTORY.to_vec());
        let image = image.in_directory(&cwd);
        let cgroup = self
            .cgroups
            .as_ref()
            .and_then(|cgroups| cgroups.of_process(&dir))
            .unwrap_or(0);
        let loginuid = self.outside.read(&dir.join("loginuid"), FILE_MAX);
        Some(Process {
            number: 0,
            parent: 0,
            pid,
            vpid: status.vpid.unwrap_or(pid),
            ppid: stat.ppid,
            sid: stat.sid,
            pgid: stat.pgid,
            vpgid: status.vpgid.unwrap_or(stat.pgid),
            uid: status.euid,
            gid: status.egid,
            loginuid: loginuid
                .and_then(|text| std::str::from_utf8(&text).ok()?.trim().parse().ok())
                .unwrap_or(u32::MAX),
            tty: stat.tty,
            cap_inheritable: status.capabilities[0],
            cap_permitted: status.capabilities[1],
            cap_effective: status.who.effective,
            start_time: started,
            exec_time: 0,
            pidns_start: 0,
            cgroup,
            escaped_from: 0,
            cgroups: self.cgroup_names.of(cgroup, pid),
            cwd: cwd.into(),
            image: Arc::new(image),
        })
    }

    /// The number of a process in its own pid namespace; `None` when it is gone.
    pub(crate) fn number_inside(&self, pid: u32) -> Option<u32> {
        let status = self.outside.read(&self.directory(pid).join("status"), FILE_MAX)?;
        Status::parse(&String::from_utf8_lossy(&status)).vpid
    }

    /// What calls change of a process, as it is now; `None` when it is gone.
    pub(crate) fn state(&self, pid: u32) -> Option<TaskState> {
        let file = |name: &str| self.outside.read(&self.directory(pid).join(name), FILE_MAX);
        let stat = Stat::parse(&file("stat")?)?;
        let status = Status::parse(&String::from_utf8_lossy(&file("status")?));
        Some(TaskState {
            pid,
            sid: stat.sid,
            pgid: stat.pgid,
            vpgid: status.vpgid.unwrap_or(stat.pgid),
            tty: stat.tty,
            uid: status.euid,
            gid: status.egid,
            cap_inheritable: status.capabilities[0],
            cap_permitted: status.capabilities[1],
            cap_effective: status.who.effective,
        })
    }

    /// Takes over from /proc what a process changes of itself between two execs: its directory, name, session, group,
    /// terminal, ids and capabilities. One that is gone stays as it is known.
    pub(crate) fn look_again(&self, known: &mut Process) {
        let dir = self.root.join(known.pid.to_string());
        let file = |name: &str| self.outside.read(&dir.join(name), FILE_MAX);
        let Some(stat) = file("stat").and_then(|bytes| Stat::parse(&bytes)) else {
            return;
        };
        let Some(status) = file("status") else { return };
        if known.start_time.abs_diff(self.start_time(&stat)) >= TICKS {
            return; // its number is another's by now
        }
        let status = Status::parse(&String::from_utf8_lossy(&status));
        let cwd = self.cwd(&dir);
        if cwd.as_deref().is_some_and(|cwd| *cwd != *known.cwd) {
            known.cwd = cwd.unwrap_or_default().into();
        }
        // The name of another program comes with the record of its exec.
        let exe = self.outside.facts(&dir.join("exe"));
        if exe.is_some_and(|exe| exe.ino == known.image.exe_ino) && *stat.comm != *known.image.comm {
            known.image = Arc::new(known.image.renamed(&stat.comm));
        }
        (known.sid, known.pgid, known.tty) = (stat.sid, stat.pgid, stat.tty);
        known.vpgid = status.vpgid.unwrap_or(stat.pgid);
        (known.uid, known.gid) = (status.euid, status.egid);
        [known.cap_inheritable, known.cap_permitted] = status.capabilities;
        known.cap_effective = status.who.effective;
    }

    fn start_time(&self, stat: &Stat) -> u64 {
        self.boot.wrapping_add(stat.start_ticks.wrapping_mul(self.tick))
    }

    /// Appends the directory that a relative path of a process starts from, if it can be told.
    pub(crate) fn push_start(&self, pid: u32, from: Start, arena: &mut Vec<u8>) -> bool {
        let dir = self.directory(pid);
        let found = match from {
            Start::Cwd => self.below_root(&dir, &dir.join("cwd")),
            Start::Descriptor(number) => self.below_root(&dir, &dir.join("fd").join(number.to_string())),
        };
        found.inspect(|path| arena.extend_from_slice(path)).is_some()
    }

    /// The working directory of a process as it is called below its own root, without a slash at the end; `None` when it
    /// can't be read.
    fn cwd(&self, dir: &Path) -> Option<Vec<u8>> {
        self.below_root(dir, &dir.join("cwd"))
    }

    /// The same of anything that a link of a process leads to.
    fn below_root(&self, dir: &Path, link: &Path) -> Option<Vec<u8>> {
        let (led, root) = (self.link(link), self.link(&dir.join("root")));
        let root = root.strip_suffix(b"/").unwrap_or(&root);
        let below = led
            .strip_prefix(root)
            .filter(|below| below.is_empty() || below.first() == Some(&b'/'));
        let path = below.unwrap_or(&led);
        (!led.is_empty()).then(|| path.strip_suffix(b"/").unwrap_or(path).to_vec())
    }

    /// True unless /proc shows another process under this id than the one with this start, nanoseconds since the epoch; 0
    /// when that is not known.
    pub(crate) fn is_same(&self, pid: u32, start_time: u64) -> bool {
        let stat = self.root.join(pid.to_string()).join("stat");
        // One that is gone is no other.
        let shown = self
            .outside
            .read(&stat, FILE_MAX)
            .and_then(|stat| Stat::parse(&stat));
        let ticks = start_time.wrapping_sub(self.boot) / self.tick;
        start_time == 0 || shown.is_none_or(|stat| stat.start_ticks == ticks)
    }

    /// True when a process is there and runs what is known of it.
    pub(crate) fn lives_on(&self, known: &Process) -> bool {
        let stat = self
            .outside
            .read(&self.directory(known.pid).join("stat"), FILE_MAX);
        let ticks = known.start_time.wrapping_sub(self.boot) / self.tick;
        let is_it = |stat: Stat| stat.start_ticks == ticks && !stat.has_ended;
        stat.and_then(|stat| Stat::parse(&stat)).is_some_and(is_it) && self.still_runs(known)
    }

    /// True unless a process runs another program, or with other arguments, than is known of it.
    pub(crate) fn still_runs(&self, known: &Process) -> bool {
        let dir = self.root.join(known.pid.to_string());
        let Some(argv) = self.outside.read(&dir.join("cmdline"), STRING_MAX - 1) else {
            return true; // it is gone, and nothing better can be had
        };
        let image = &known.image;
        let args = argv.strip_prefix(&*image.exe).unwrap_or(b"?");
        // What ends has no arguments and no program any more.
        argv.is_empty()
            || args.strip_prefix(b"\0").unwrap_or(args) == &*image.args
                && self.executable(&dir) == *image.exepath
    }

    /// The program of a process; a memory file has a name and no path.
    fn executable(&self, dir: &Path) -> Vec<u8> {
        let path = self.link(&dir.join("exe"));
        match path.strip_prefix(b"/") {
            Some(name) if name.starts_with(b"memfd:") => name.to_vec(),
            _ => path,
        }
    }

    /// Where a link of a process leads; nothing when it can't be read.
    fn link(&self, path: &Path) -> Vec<u8> {
        let bytes = self.outside.link(path).unwrap_or_default();
        bytes
            .strip_suffix(b" (deleted)")
            .map(<[u8]>::to_vec)
            .unwrap_or(bytes)
    }
}

/// What is used of /proc/PID/stat (proc_pid_stat(5)).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    comm: Vec<u8>,
    /// Its parent has not asked for that yet.
    has_ended: bool,
    ppid: u32,
    pgid: u32,
    sid: u32,
    tty: u32,
    start_ticks: u64,
}

impl Stat {
    fn parse(bytes: &[u8]) -> Option<Stat> {
        // The name is in parentheses and may hold any byte, parentheses too.
        let open = bytes.iter().position(|b| *b == b'(')?;
        let close = bytes.iter().rposition(|b| *b == b')')?;
        let rest = std::str::from_utf8(bytes.get(close + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let id = |index: usize| {
            fields
                .get(index)?
                .parse::<i64>()
                .ok()
                .map(|n| u32::try_from(n).unwrap_or(0))
        };
        Some(Stat {
            comm: bytes.get(open + 1..close)?.to_vec(),
            has_ended: matches!(fields.first(), Some(&"Z" | &"X")),
            ppid: id(1)?,
            pgid: id(2)?,
            sid: id(3)?,
            tty: id(4)?,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }
}

/// What is used of /proc/PID/status (proc_pid_status(5)).
#[derive(Debug, Default, PartialEq, Eq)]
struct Status {
    euid: u32,
    egid: u32,
    vpid: Option<u32>,
    vpgid: Option<u32>,
    capabilities: [u64; 2],
    who: Who,
}

impl Status {
    fn parse(text: &str) -> Status {
        let mut status = Status::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let nth = |n: usize| value.split_whitespace().nth(n).and_then(|v| v.parse().ok());
            let last = || value.split_whitespace().next_back().and_then(|v| v.parse().ok());
            let hex = || u64::from_str_radix(value.trim(), 16).unwrap_or(0);
            match key {
                "Uid" => {
                    status.euid = nth(1).unwrap_or(0);
                    status.who.fsuid = nth(3).unwrap_or(0);
                }
                "Gid" => {
                    status.egid = nth(1).unwrap_or(0);
                    status.who.groups.extend(nth(3));
                }
                "Groups" => {
                    let groups = value.split_whitespace().filter_map(|gid| gid.parse::<u32>().ok());
                    status.who.groups.extend(groups);
                }
                "NSpid" => status.vpid = last(),
                "NSpgid" => status.vpgid = last(),
                "CapInh" => status.capabilities[0] = hex(),
                "CapPrm" => status.capabilities[1] = hex(),
                "CapEff" => status.who.effective = hex(),
                _ => {}
            }
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn a_name_with_parentheses_is_a_name() {
        let stat =
            Stat::parse(b"12 (a) b) S 1 12 13 34816 12 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1 1").unwrap();
        assert_eq!(stat.comm, b"a) b");
        assert_eq!(
            (stat.ppid, stat.pgid, stat.sid, stat.tty, stat.start_ticks),
            (1, 12, 13, 34816, 777)
        );
        assert_eq!(Stat::parse(b"12 (a"), None);
    }

    #[test]
    fn status_gives_effective_ids_and_the_innermost_pid() {
        let status = Status::parse("Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nNSpid:\t100\t7\nCapEff:\t00ff\n");
        assert_eq!((status.euid, status.egid, status.vpid), (2, 6, Some(7)));
        assert_eq!(status.who.effective, 0xff);
        assert_eq!((status.who.fsuid, &*status.who.groups), (4, &[8][..]));
    }

    #[test]
    fn a_group_outside_the_pid_namespace_has_no_number_in_it() {
        assert_eq!(Status::parse("NSpgid:\t812\t0\n").vpgid, Some(0));
        assert_eq!(Status::parse("NSpgid:\t812\t1\n").vpgid, Some(1));
    }

    #[test]
    fn this_process_is_as_it_knows_itself() {
        let me = Procfs::new(None, Outside::default())
            .process(std::process::id())
            .unwrap();
        assert_eq!(me.pid, std::process::id());
        assert_eq!(me.ppid, std::os::unix::process::parent_id());
        let exe = std::env::current_exe().unwrap();
        assert_eq!(&*me.image.exepath, exe.as_os_str().as_encoded_bytes());
        let created = me.start_time / 1_000_000_000;
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        assert!(
            created <= now + 1 && created + 3600 > now,
            "started {created}, now {now}"
        );
        let cwd = std::env::current_dir().unwrap();
        assert_eq!(&*me.cwd, cwd.as_os_str().as_encoded_bytes());
        let file = std::fs::metadata(&exe).unwrap();
        assert_eq!(me.image.exe_ino, file.ino());
        assert_eq!(
            me.image.exe_mtime,
            u64::try_from(file.mtime() * 1_000_000_000 + file.mtime_nsec()).unwrap()
        );
    }

    #[test]
    fn processes_know_when_the_first_of_their_pid_namespace_started() {
        // Only root sees the namespaces of others.
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let all = Procfs::new(None, Outside::default()).processes(usize::MAX).0;
        let of = |pid: u32| all.iter().find(|process| process.pid == pid).unwrap();
        let first = of(1);
        assert_eq!(first.pidns_start, first.start_time);
        let me = of(std::process::id());
        assert_eq!(me.pidns_start, first.start_time);
        assert!(me.pidns_start <= me.start_time);
    }
}
