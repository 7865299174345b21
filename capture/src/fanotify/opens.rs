//! Opens of files: who opened which, and how.
//!
//! An event of an open does not say what for. That is what the process's own descriptors of the file say, while it has any;
//! or else how the file was closed, which is looked for in the same event and waited for a moment; or else that it is mapped.
//! An open of which nothing of that is to be had is told without flags: nobody can say what it was for.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use lanner_schema::flags::O_F_CREATED;
use lanner_schema::record::WRITTEN_AND_MAYBE_READ;
use libc::{FAN_CLOSE_NOWRITE, FAN_CLOSE_WRITE, FAN_OPEN, FAN_OPEN_EXEC};
use nix::sys::stat::{major, minor};
use smallvec::SmallVec;

use super::backlog::FileEvent;
use super::doer::{Doers, Found};
use super::mounts::below;

/// How long the end of an open is waited for, in nanoseconds.
const PATIENCE: u64 = 200_000_000;
/// The most bytes of a process's mappings that are looked at.
const MAPPINGS: u64 = 4 << 20;
/// The most opens whose end is waited for.
const WAITING: usize = 4096;
/// The most execs and created files whose open has not come yet that are remembered.
const REMEMBERED: usize = 256;
/// The most descriptors of a process that are looked at.
const DESCRIPTORS: usize = 1024;

const O_RDWR: i64 = libc::O_RDWR as i64;
const O_RDONLY: i64 = libc::O_RDONLY as i64;
const O_ACCMODE: i64 = libc::O_ACCMODE as i64;
const O_DIRECTORY: i64 = libc::O_DIRECTORY as i64;
/// See [`WRITTEN_AND_MAYBE_READ`].
const WRITTEN: i64 = WRITTEN_AND_MAYBE_READ.cast_signed();
const O_CREAT: i64 = libc::O_CREAT as i64;
/// What stands for a file that was not there before.
const CREATED: i64 = O_F_CREATED.cast_signed();
/// The kernel adds this by itself; libc has another number for what 64-bit programs pass.
const O_LARGEFILE: i64 = if cfg!(target_arch = "aarch64") {
    0o400_000
} else {
    0o100_000
};

/// A file and who has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) pid: u32,
    pub(super) dev: u64,
    pub(super) ino: u64,
}

/// A file that was opened.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) found: Found,
    pub(super) key: Key,
    /// Its path, as whoever opened it sees it.
    pub(super) path: Vec<u8>,
    /// When it was told, in nanoseconds since boot.
    pub(super) time: u64,
    /// What it was opened for, as far as the kernel still knows; `None` when nobody can say.
    pub(super) flags: Option<i64>,
    /// The descriptor, where there is but one that can be meant.
    pub(super) number: Option<u32>,
    /// The open made the file.
    pub(super) creates: bool,
}

/// A way a process has a file open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    number: u32,
    flags: i64,
}

/// What is remembered between events.
#[derive(Debug, Default)]
pub(super) struct Opens {
    /// Opens of which it is not known yet what for.
    waiting: HashMap<Key, Opened>,
    /// The same in their order.
    order: VecDeque<Key>,
    /// Files that an exec opened, and the event of that open is still to come.
    executed: VecDeque<Key>,
    /// Files that were made, and the event of the open is still to come.
    created: VecDeque<Key>,
    /// Descriptors whose open was told, and they in their order.
    told: HashSet<(Key, u32)>,
    told_order: VecDeque<(Key, u32)>,
    /// Opens of which nobody can say what for.
    pub(super) undecided: u64,
}

fn remember(among: &mut VecDeque<Key>, key: Key) {
    if among.len() >= REMEMBERED {
        among.pop_front();
    }
    among.push_back(key);
}

fn recall(among: &mut VecDeque<Key>, key: Key) -> bool {
    let at = among.iter().position(|known| *known == key);
    at.and_then(|at| among.remove(at)).is_some()
}

impl Opens {
    /// A file was made by a process, which may be about to have it open.
    pub(super) fn was_made(&mut self, key: Key) {
        // It may be told twice.
        if !self.created.contains(&key) {
            remember(&mut self.created, key);
        }
    }

    /// True while the end of an open is waited for.
    pub(super) fn waits(&self) -> bool {
        !self.order.is_empty()
    }

    /// An event with a file.
    pub(super) fn event(&mut self, event: FileEvent, doers: &mut Doers, show: &mut dyn FnMut(Opened)) {
        let FileEvent { mask, pid, file, .. } = event;
        let key = Key {
            pid,
            dev: file.dev,
            ino: file.ino,
        };
        let is_executed = match mask & (FAN_OPEN | FAN_OPEN_EXEC) {
            FAN_OPEN_EXEC => {
                remember(&mut self.executed, key);
                return;
            }
            FAN_OPEN => recall(&mut self.executed, key),
            both => both != 0,
        };
        let closed = closed(mask);
        if mask & FAN_OPEN == 0 {
            if !closed.is_empty()
                && let Some(opened) = self.waiting.remove(&key)
            {
                for flags in closed {
                    show(Opened {
                        flags: Some(flags),
                        ..opened.clone()
                    });
                }
            }
            return;
        }
        let is_directory = file.is_directory;
        let held = |directory: &Path| match is_directory {
            // There is one way to open a directory.
            true => SmallVec::new(),
            false => held(directory, key.dev, key.ino),
        };
        let (found, held) = doers.find(pid, &event.process, held);
        let held = held.unwrap_or_default();
        let opened = Opened {
            path: match below(&file.path, &found.root) {
                Some(b"") => b"/".to_vec(),
                Some(below) => below.to_vec(),
                None => file.path,
            },
            found,
            key,
            time: event.time,
            flags: is_directory.then_some(O_RDONLY | O_DIRECTORY),
            number: None,
            creates: recall(&mut self.created, key),
        };
        if is_directory {
            show(opened);
            return;
        }
        let ways = ways(&self.untold(key, &held, &closed), &closed);
        if is_executed && held.is_empty() {
            // The kernel's own open of a program, and its end.
            return;
        }
        if ways.is_empty() {
            self.wait(opened, doers.procfs(), show);
            return;
        }
        for (flags, number) in ways {
            show(Opened {
                flags: Some(flags),
                number,
                ..opened.clone()
            });
        }
    }

    /// Those descriptors of a file that this event may be about: the others were told of. Where there are no others, and
    /// nothing was closed, it is one of them again.
    fn untold(&mut self, key: Key, held: &[Held], closed: &[i64]) -> SmallVec<[Held; 2]> {
        let new = held.iter().filter(|one| !self.told.contains(&(key, one.number)));
        let new: SmallVec<[Held; 2]> = new.copied().collect();
        for one in &new {
            if self.told_order.len() >= WAITING
                && let Some(oldest) = self.told_order.pop_front()
            {
                self.told.remove(&oldest);
            }
            self.told.insert((key, one.number));
            self.told_order.push_back((key, one.number));
        }
        match new.is_empty() && closed.is_empty() {
            true => held.into(),
            false => new,
        }
    }

    fn wait(&mut self, opened: Opened, procfs: &Path, show: &mut dyn FnMut(Opened)) {
        let key = opened.key;
        if self.waiting.len() >= WAITING {
            self.end_oldest(procfs, show);
        }
        // One that is there already waits for the same.
        if self.waiting.insert(key, opened).is_none() {
            self.order.push_back(key);
        }
    }

    fn end_oldest(&mut self, procfs: &Path, show: &mut dyn FnMut(Opened)) {
        if let Some(key) = self.order.pop_front()
            && let Some(mut opened) = self.waiting.remove(&key)
        {
            opened.flags = mapped(&procfs.join(key.pid.to_string()), key);
            self.undecided += u64::from(opened.flags.is_none());
            show(opened);
        }
    }

    /// Shows what has waited long enough.
    pub(super) fn until(&mut self, now: u64, procfs: &Path, show: &mut dyn FnMut(Opened)) {
        while let Some(key) = self.order.front() {
            match self.waiting.get(key) {
                Some(opened) if opened.time.saturating_add(PATIENCE) > now => return,
                _ => self.end_oldest(procfs, show),
            }
        }
    }
}

/// The ways a file was open that has been closed.
fn closed(mask: u64) -> SmallVec<[i64; 2]> {
    let mut closed = SmallVec::new();
    if mask & FAN_CLOSE_NOWRITE != 0 {
        closed.push(O_RDONLY);
    }
    if mask & FAN_CLOSE_WRITE != 0 {
        closed.push(WRITTEN);
    }
    closed
}

/// The ways the opens of an event were, as far as they differ: by the descriptors there are, and by the ends there were.
fn ways(held: &[Held], closed: &[i64]) -> SmallVec<[(i64, Option<u32>); 2]> {
    let mut ways: SmallVec<[(i64, Option<u32>); 2]> = SmallVec::new();
    for one in held {
        match ways
            .iter_mut()
            .find(|(flags, _)| flags & O_ACCMODE == one.flags & O_ACCMODE)
        {
            // Which of them is not known.
            Some((_, number)) => *number = None,
            None => ways.push((one.flags, Some(one.number))),
        }
    }
    for flags in closed {
        match ways.iter_mut().find(|(known, _)| known & O_ACCMODE == *flags) {
            Some((_, number)) => *number = None,
            None => ways.push((*flags, None)),
        }
    }
    ways
}

/// The descriptors of the process with this directory that are of a file.
fn held(directory: &Path, dev: u64, ino: u64) -> SmallVec<[Held; 2]> {
    let mut held = SmallVec::new();
    let Ok(numbers) = fs::read_dir(directory.join("fd")) else {
        return held;
    };
    for entry in numbers.flatten().take(DESCRIPTORS) {
        let is_it = fs::metadata(entry.path()).is_ok_and(|facts| facts.dev() == dev && facts.ino() == ino);
        let name = entry.file_name();
        let Some(number) = name.to_str().filter(|_| is_it).and_then(|name| name.parse().ok()) else {
            continue;
        };
        let info = fs::read(directory.join("fdinfo").join(name)).unwrap_or_default();
        // Of what is open for ioctl alone neither can be said.
        let is_opened = |flags: &i64| flags & i64::from(libc::O_PATH) == 0 && flags & O_ACCMODE != WRITTEN;
        if let Some(flags) = flags(&info).filter(is_opened) {
            held.push(Held { number, flags });
        }
    }
    held
}

/// What a file must have been opened for that the process with this directory has mapped and no descriptor of any more.
fn mapped(directory: &Path, key: Key) -> Option<i64> {
    use std::io::Read as _;
    let mut text = Vec::new();
    let maps = fs::File::open(directory.join("maps")).ok()?;
    maps.take(MAPPINGS).read_to_end(&mut text).ok()?;
    let device = format!("{:02x}:{:02x}", major(key.dev), minor(key.dev));
    let inode = key.ino.to_string();
    let mut ways = text.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut words = line.split(|byte| *byte == b' ').skip(1);
        let (access, _, on, file) = (words.next()?, words.next()?, words.next()?, words.next()?);
        (on == device.as_bytes() && file == inode.as_bytes()).then_some(access)
    });
    let first = ways.next()?;
    // Shared and to be written to; every mapping takes reading.
    let is_written = |access: &[u8]| access.get(1) == Some(&b'w') && access.get(3) == Some(&b's');
    Some(match is_written(first) || ways.any(is_written) {
        true => O_RDWR,
        false => O_RDONLY,
    })
}

/// The flags of a `/proc/PID/fdinfo/N`, without those the kernel adds.
fn flags(info: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(info).ok()?;
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"))?;
    let flags = i64::from_str_radix(flags.trim(), 8).ok()?;
    Some(flags & !O_LARGEFILE)
}

impl Opened {
    /// The flags as the event has them.
    pub(super) fn flags(&self) -> Option<i64> {
        let made = if self.creates { O_CREAT | CREATED } else { 0 };
        self.flags.map(|flags| flags | made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const O_WRONLY: i64 = libc::O_WRONLY as i64;

    use std::fs::{File, OpenOptions};
    use std::os::fd::AsRawFd as _;

    #[test]
    fn the_flags_are_those_of_the_descriptors_a_process_has_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let written = File::create(&path).unwrap();
        let facts = written.metadata().unwrap();
        let own = Path::new("/proc/self");
        let of = || held(own, facts.dev(), facts.ino());
        let [one] = of()[..] else {
            unreachable!("one descriptor")
        };
        assert_eq!(i64::from(one.number), i64::from(written.as_raw_fd()));
        assert_eq!(one.flags & O_ACCMODE, O_WRONLY);
        assert_eq!(one.flags & O_LARGEFILE, 0);
        let both = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let ways = ways(&of(), &[]);
        assert_eq!(ways.len(), 2, "two ways to have it open");
        assert!(ways.iter().any(|(flags, _)| flags & O_ACCMODE == O_RDWR));
        drop((written, both));
        assert!(of().is_empty());
    }

    #[test]
    fn ends_tell_what_descriptors_do_not() {
        assert!(ways(&[], &closed(FAN_OPEN)).is_empty());
        assert_eq!(ways(&[], &closed(FAN_CLOSE_NOWRITE))[..], [(O_RDONLY, None)]);
        assert_eq!(
            ways(&[], &closed(FAN_CLOSE_NOWRITE | FAN_CLOSE_WRITE))[..],
            [(O_RDONLY, None), (WRITTEN, None)]
        );
        let held = [Held {
            number: 3,
            flags: O_RDWR,
        }];
        assert_eq!(
            ways(&held, &[O_WRONLY])[..],
            [(O_RDWR, Some(3)), (O_WRONLY, None)]
        );
        let twice = [
            held[0],
            Held {
                number: 4,
                flags: O_RDWR,
            },
        ];
        assert_eq!(ways(&twice, &[])[..], [(O_RDWR, None)]);
    }

    #[test]
    fn a_descriptor_that_was_told_of_is_not_what_another_open_made() {
        let mut opens = Opens::default();
        let key = Key {
            pid: 1,
            dev: 1,
            ino: 1,
        };
        let held = |number, flags| Held { number, flags };
        let log = held(3, O_WRONLY);
        assert_eq!(opens.untold(key, &[log], &[])[..], [log]);
        assert_eq!(
            opens.untold(key, &[log, held(4, O_RDONLY)], &[])[..],
            [held(4, O_RDONLY)]
        );
        assert!(
            opens.untold(key, &[log], &[O_RDONLY]).is_empty(),
            "what was closed is it"
        );
        assert_eq!(
            opens.untold(key, &[log], &[])[..],
            [log],
            "closed and opened again"
        );
        assert_eq!(opens.untold(Key { pid: 2, ..key }, &[log], &[])[..], [log]);
    }

    #[test]
    fn what_is_mapped_was_opened_for_that() {
        let program = fs::metadata("/proc/self/exe").unwrap();
        let key = |ino| Key {
            pid: 1,
            dev: program.dev(),
            ino,
        };
        let own = Path::new("/proc/self");
        assert_eq!(mapped(own, key(program.ino())), Some(O_RDONLY));
        assert_eq!(mapped(own, key(1)), None);
        assert_eq!(mapped(Path::new("/nowhere"), key(program.ino())), None);
    }

    #[test]
    fn flags_are_octal_and_the_kernels_own_are_left_out() {
        assert_eq!(
            flags(b"pos:\t0\nflags:\t02100002\nmnt_id:\t29\n"),
            Some(0o2_000_002)
        );
        assert_eq!(flags(b"pos:\t0\n"), None);
    }

    #[test]
    fn what_waits_longest_is_told_without_flags() {
        let mut opens = Opens::default();
        let mut shown = Vec::new();
        for number in 0..WAITING as u64 + 1 {
            let opened = Opened {
                found: Found {
                    doer: crate::draft::Doer::known(1, 1),
                    root: Box::default(),
                    until: number,
                    is_gone: false,
                },
                key: Key {
                    pid: 1,
                    dev: 1,
                    ino: number,
                },
                path: b"/a".to_vec(),
                time: number,
                flags: None,
                number: None,
                creates: false,
            };
            opens.wait(opened, Path::new("/nowhere"), &mut |opened| shown.push(opened));
        }
        assert_eq!((shown.len(), shown[0].key.ino, shown[0].flags()), (1, 0, None));
        opens.until(PATIENCE + 3, Path::new("/nowhere"), &mut |opened| {
            shown.push(opened)
        });
        assert_eq!(shown.len(), 4);
        assert_eq!((opens.undecided, opens.waits()), (4, true));
    }
}
