//! What the consumer asks the host beside the records: files below /proc, passwd files, cgroups, the clock.
//!
//! Everything of that kind goes through [`Outside`] and nothing else does, so that a recording can keep the answers and a
//! replay can give them. A new question needs no format of its own: it is its kind, its key and bytes. Paths in questions are
//! the host's, wherever that is seen from here.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use lanner_schema::container::Containers;
use lanner_schema::host_names::AddressNames;
use lanner_schema::host_root::on_host;
use nix::sys::statfs::statfs;
use nix::time::{ClockId, clock_gettime};

use crate::open_descriptor;

/// What is asked: the first byte of a question in a recording, so that a number keeps its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Ask {
    /// The content of the file with this path.
    File = 1,
    /// Where the symbolic link with this path leads.
    Link = 2,
    /// [`FileFacts`] of the file with this path, links followed.
    Facts = 3,
    /// The names in the directory with this path, each ended by NUL.
    Names = 4,
    /// The passwd and group files below the root of the process with this id.
    Users = 5,
    /// The path of the cgroup with this id.
    CgroupPath = 6,
    /// The id of the cgroup with this path.
    CgroupId = 7,
    /// When the host booted, nanoseconds since the epoch.
    Boot = 8,
    /// Whether the host has cgroups that can be asked about.
    HasCgroups = 9,
    /// The kind of the file system a file is in, and the flags of its mount (statfs(2)).
    FileSystem = 10,
    /// The line of a socket in the list with this path, behind a byte that says whether one listens at its port.
    Socket = 11,
    /// How many records were lost, since this was asked last, that would have changed what is known of processes.
    Missed = 12,
    /// Where this path leads in the root of the process whose number is before it.
    RealPath = 13,
    /// The time, in nanoseconds since boot.
    Now = 14,
}

/// Keeps or gives the answers.
pub(crate) trait Tape: std::fmt::Debug + Send + Sync {
    /// The answer to `question`; `live` asks the host. `None` when the host has none.
    fn answer(&self, question: &[u8], live: &mut dyn FnMut() -> Option<Vec<u8>>) -> Option<Vec<u8>>;
    /// These containers are known from here on.
    fn containers(&self, known: &Arc<Containers>);
    /// These names of addresses are known from here on.
    fn address_names(&self, known: &Arc<AddressNames>);
}

/// The host, or a recording of it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outside {
    tape: Option<Arc<dyn Tape>>,
    /// Processes have other numbers in /proc than in the records, so that nothing below it is meant.
    is_numbered_otherwise: bool,
}

/// What is used of a file's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FileFacts {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Nanoseconds since the epoch; 0 for a time before it.
    pub(crate) ctime: u64,
    /// Likewise.
    pub(crate) mtime: u64,
}

impl FileFacts {
    const LEN: usize = 44;

    fn of(facts: &fs::Metadata) -> FileFacts {
        FileFacts {
            dev: facts.dev(),
            ino: facts.ino(),
            mode: facts.mode(),
            uid: facts.uid(),
            gid: facts.gid(),
            ctime: nanoseconds(facts.ctime(), facts.ctime_nsec()),
            mtime: nanoseconds(facts.mtime(), facts.mtime_nsec()),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FileFacts::LEN);
        for number in [self.dev, self.ino, self.ctime, self.mtime] {
            bytes.extend(number.to_le_bytes());
        }
        for number in [self.mode, self.uid, self.gid] {
            bytes.extend(number.to_le_bytes());
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Option<FileFacts> {
        let wide = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let narrow = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        Some(FileFacts {
            dev: wide(0)?,
            ino: wide(8)?,
            ctime: wide(16)?,
            mtime: wide(24)?,
            mode: narrow(32)?,
            uid: narrow(36)?,
            gid: narrow(40)?,
        })
    }
}

/// Nanoseconds since the epoch; 0 for a time before it.
fn nanoseconds(seconds: i64, nanoseconds: i64) -> u64 {
    let nanos = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
    u64::try_from(nanos).unwrap_or(0)
}

/// Nanoseconds since the epoch at which the host booted, as precise as it can be had in a few attempts.
fn boot_time() -> u64 {
    let nanoseconds = |clock| {
        clock_gettime(clock).map_or(0, |t| {
            u64::try_from(t.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec()).unwrap_or(0)
        })
    };
    let attempt = || {
        let (before, now, after) = (
            nanoseconds(ClockId::CLOCK_BOOTTIME),
            nanoseconds(ClockId::CLOCK_REALTIME),
            nanoseconds(ClockId::CLOCK_BOOTTIME),
        );
        // Between two looks at one clock, as close as nothing else got in.
        let apart = after.saturating_sub(before);
        (apart, now.saturating_sub(before + apart / 2))
    };
    let best = (0..4).map(|_| attempt()).min_by_key(|(apart, _)| *apart);
    best.map_or(0, |(_, boot)| boot)
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

impl Outside {
    /// Asks `tape` instead of the host.
    pub(crate) fn through(tape: Arc<dyn Tape>) -> Outside {
        Outside {
            tape: Some(tape),
            is_numbered_otherwise: false,
        }
    }

    /// Asks nothing of /proc: its numbers are not those of the records.
    pub(crate) fn without_procfs(self) -> Outside {
        Outside {
            is_numbered_otherwise: true,
            ..self
        }
    }

    /// Where a file of the host is seen; `None` when it is not to be had here.
    pub(crate) fn place<'p>(&self, path: &'p Path) -> Option<Cow<'p, Path>> {
        if self.is_numbered_otherwise && path.starts_with("/proc") {
            return None;
        }
        Some(on_host(path))
    }

    /// The answer to a question; `live` asks the host.
    pub(crate) fn ask(
        &self,
        what: Ask,
        key: &[u8],
        live: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        let Some(tape) = &self.tape else { return live() };
        let mut question = Vec::with_capacity(1 + key.len());
        question.push(what as u8);
        question.extend_from_slice(key);
        let mut live = Some(live);
        tape.answer(&question, &mut || live.take().and_then(|live| live()))
    }

    /// As [`Outside::ask`], for a number.
    pub(crate) fn ask_number(
        &self,
        what: Ask,
        key: &[u8],
        live: impl FnOnce() -> Option<u64>,
    ) -> Option<u64> {
        if self.tape.is_none() {
            return live();
        }
        number(&self.ask(what, key, || live().map(|n| n.to_le_bytes().to_vec()))?)
    }

    /// The first `most` bytes of a file; `None` when it can't be opened. A process that ends while it is read gives what it
    /// gave so far.
    pub(crate) fn read(&self, path: &Path, most: u64) -> Option<Vec<u8>> {
        self.ask(Ask::File, path.as_os_str().as_bytes(), || {
            let mut bytes = Vec::new();
            let _ = File::open(self.place(path)?)
                .ok()?
                .take(most)
                .read_to_end(&mut bytes);
            Some(bytes)
        })
    }

    /// Where a symbolic link leads.
    pub(crate) fn link(&self, path: &Path) -> Option<Vec<u8>> {
        self.ask(Ask::Link, path.as_os_str().as_bytes(), || {
            Some(fs::read_link(self.place(path)?).ok()?.into_os_string().into_vec())
        })
    }

    /// Facts about a file, links followed.
    pub(crate) fn facts(&self, path: &Path) -> Option<FileFacts> {
        let live = || Some(FileFacts::of(&fs::metadata(self.place(path)?).ok()?));
        if self.tape.is_none() {
            return live();
        }
        let bytes = self.ask(Ask::Facts, path.as_os_str().as_bytes(), || {
            live().map(|facts| facts.bytes())
        })?;
        FileFacts::read(&bytes)
    }

    /// The magic number of the file system a file is in, and the flags of its mount (`ST_*`).
    pub(crate) fn file_system(&self, path: &Path) -> Option<(u64, u64)> {
        let bytes = self.ask(Ask::FileSystem, path.as_os_str().as_bytes(), || {
            let system = statfs(&*self.place(path)?).ok()?;
            // The numbers of a kind are 32 bits wide, whatever they are carried in.
            let kind = system.filesystem_type().0 as u32;
            let flags = system.flags().bits();
            let mut bytes = u64::from(kind).to_le_bytes().to_vec();
            bytes.extend(flags.to_le_bytes());
            Some(bytes)
        })?;
        Some((number(bytes.get(..8)?)?, number(bytes.get(8..)?)?))
    }

    /// The line of the socket with this inode, which is in that column, in a list of /proc/PID/net; and whether another
    /// listens at its port.
    pub(crate) fn socket(&self, list: &Path, column: usize, inode: u64) -> Option<(Vec<u8>, bool)> {
        let mut key = inode.to_le_bytes().to_vec();
        key.extend_from_slice(list.as_os_str().as_bytes());
        let answer = self.ask(Ask::Socket, &key, || {
            let lines = BufReader::new(File::open(self.place(list)?).ok()?).split(b'\n');
            let (line, listens) = open_descriptor::line_of(lines.map_while(Result::ok), column, inode)?;
            Some([&[u8::from(listens)], &line[..]].concat())
        })?;
        let (listens, line) = answer.split_first()?;
        Some((line.to_vec(), *listens != 0))
    }

    /// The numbers among the names in a directory: the processes in /proc, the threads in a task directory.
    pub(crate) fn numbers(&self, directory: &Path) -> Vec<u32> {
        let names = self.ask(Ask::Names, directory.as_os_str().as_bytes(), || {
            let mut names = Vec::new();
            for entry in fs::read_dir(self.place(directory)?).ok()?.flatten() {
                let name = entry.file_name();
                if name.as_bytes().first().is_some_and(u8::is_ascii_digit) {
                    names.extend_from_slice(name.as_bytes());
                    names.push(0);
                }
            }
            Some(names)
        });
        let names = names.unwrap_or_default();
        let texts = names
            .split(|b| *b == 0)
            .filter_map(|name| std::str::from_utf8(name).ok());
        texts.filter_map(|name| name.parse().ok()).collect()
    }

    /// Nanoseconds since the epoch at which the host booted.
    pub(crate) fn boot_time(&self) -> u64 {
        self.ask_number(Ask::Boot, b"", || Some(boot_time())).unwrap_or(0)
    }

    /// Notes the containers that are known from here on.
    pub(crate) fn containers(&self, known: &Arc<Containers>) {
        if let Some(tape) = &self.tape {
            tape.containers(known);
        }
    }

    /// Notes the names of addresses that are known from here on.
    pub(crate) fn address_names(&self, known: &Arc<AddressNames>) {
        if let Some(tape) = &self.tape {
            tape.address_names(known);
        }
    }
}

/// Nanoseconds since boot, now: the clock of the records.
pub fn now() -> u64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |t| {
        u64::try_from(t.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec()).unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::sync::Mutex;

    /// Keeps every answer, and gives it when the host may no longer be asked.
    #[derive(Debug, Default)]
    struct Kept {
        answers: Mutex<HashMap<Vec<u8>, Option<Vec<u8>>>>,
        replaying: bool,
    }

    impl Tape for Kept {
        fn answer(&self, question: &[u8], live: &mut dyn FnMut() -> Option<Vec<u8>>) -> Option<Vec<u8>> {
            let mut answers = self.answers.lock().unwrap();
            if self.replaying {
                return answers.get(question).cloned().flatten();
            }
            let answer = live();
            answers.insert(question.to_vec(), answer.clone());
            answer
        }
        fn containers(&self, _: &Arc<Containers>) {}
        fn address_names(&self, _: &Arc<AddressNames>) {}
    }

    #[test]
    fn what_was_answered_can_be_answered_again_without_the_host() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("7"), "content").unwrap();
        std::fs::create_dir(dir.path().join("notes")).unwrap();
        std::os::unix::fs::symlink("/to", dir.path().join("8")).unwrap();
        let all = |outside: &Outside| {
            let at = |name: &str| dir.path().join(name);
            let mut numbers = outside.numbers(dir.path());
            numbers.sort_unstable();
            (
                outside.read(&at("7"), 4),
                outside.link(&at("8")),
                outside.facts(&at("7")),
                outside.facts(&at("9")),
                numbers,
                outside.boot_time() / 1_000_000_000,
            )
        };
        let live = all(&Outside::default());
        assert_eq!(live.0.as_deref(), Some(&b"cont"[..]));
        assert_eq!(live.1.as_deref(), Some(&b"/to"[..]));
        assert!(live.2.unwrap().ino != 0 && live.3.is_none());
        assert_eq!(live.4, [7, 8]);
        let tape = Arc::new(Kept::default());
        assert_eq!(all(&Outside::through(Arc::clone(&tape) as Arc<dyn Tape>)), live);
        std::fs::remove_dir_all(dir.path()).unwrap();
        let answers = std::mem::take(&mut *tape.answers.lock().unwrap());
        let replay = Kept {
            answers: Mutex::new(answers),
            replaying: true,
        };
        assert_eq!(all(&Outside::through(Arc::new(replay))), live);
    }

    /// A replay has no host to ask: what keeps the state may not look at one by itself.
    #[test]
    fn the_state_asks_nobody_else() {
        const STATE: [(&str, &str); 9] = [
            ("cgroup_names.rs", include_str!("cgroup_names.rs")),
            ("decode.rs", include_str!("decode.rs")),
            ("descriptor.rs", include_str!("descriptor.rs")),
            ("exe_file.rs", include_str!("exe_file.rs")),
            ("last_peer.rs", include_str!("last_peer.rs")),
            ("open_descriptor.rs", include_str!("open_descriptor.rs")),
            ("owner.rs", include_str!("owner.rs")),
            ("process_table.rs", include_str!("process_table.rs")),
            ("procfs.rs", include_str!("procfs.rs")),
        ];
        for (name, text) in STATE {
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            for word in [
                "std::fs",
                "File::",
                "Instant",
                "SystemTime",
                "clock_gettime",
                "std::env",
                "thread::",
            ] {
                assert!(!code.contains(word), "{name} uses {word}: go through Outside");
            }
        }
    }
}
