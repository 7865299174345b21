//! The spool: alerts on disk that could not be delivered yet, oldest first, bounded and checksummed.
//!
//! A folder per output holds segments, `%016x.spool`, numbered in the order they were begun:
//!
//! | bytes | of a segment's head |
//! |---|---|
//! | 8 | `LNRSPOOL` |
//! | 4 | version, 1 |
//! | 4 | CRC-32 of the 12 bytes before |
//!
//! | bytes | of a record |
//! |---|---|
//! | 4 | 0x1e `LNR` |
//! | 4 | length of the body |
//! | 8 | [`Key::run`] |
//! | 8 | [`Key::number`] |
//! | 4 | CRC-32 of these 20 bytes without the mark, and of the body |
//! | | body: what is sent |
//!
//! `position` says what was delivered: number of a segment (8), offset in it (8), CRC-32 of both (4). `lock` is locked by
//! the process that has the spool. Numbers are little-endian. A segment is removed when all of it is delivered; one that another
//! process wrote is never written to again. What is damaged is skipped up to the next record that is whole.
//!
//! A record is one write, so that it outlives the process at once; it outlives the host from [`Spool::sync`] on.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

const HEAD: [u8; 8] = *b"LNRSPOOL";
const VERSION: u32 = 1;
const HEAD_LENGTH: u64 = 16;
const MARK: [u8; 4] = [0x1e, b'L', b'N', b'R'];
const RECORD_HEAD: usize = 28;

/// A segment that is this long gets no further record.
const SEGMENT: u64 = 1 << 20;

/// A longer body can't be one.
const BODY_MAX: usize = 64 << 20;

/// Which alert it is, over restarts: receivers can tell by it that they have it already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// The run of Lanner that made it, by its start in nanoseconds since the epoch.
    pub(crate) run: u64,
    /// Which alert of that run and output.
    pub(crate) number: u64,
}

/// Why the spool can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    #[error("the spool {path} is another process's")]
    Locked { path: PathBuf },
    #[error("the spool {path} was written by a newer Lanner")]
    Newer { path: PathBuf },
    #[error("the spool is full: it may have {max} bytes")]
    Full { max: u64 },
    #[error("cannot use the spool {path}: {cause}")]
    Io { path: PathBuf, cause: io::Error },
}

#[derive(Debug)]
struct Segment {
    number: u64,
    length: u64,
}

/// An open spool.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    max: u64,
    _lock: Flock<File>,
    /// Oldest first; what is before the position of the first is delivered.
    segments: VecDeque<Segment>,
    /// Where the next record of the first segment begins.
    offset: u64,
    /// The last segment, where this process began it.
    writer: Option<File>,
    reader: Option<File>,
    /// The number of the next segment.
    next: u64,
    position: Option<File>,
    /// Records that wait.
    waiting: u64,
    /// Places where bytes were no records.
    damaged: u64,
    dirty: bool,
}

impl Spool {
    /// Opens the spool in this folder, which is made where it is missing. What others left there waits in it.
    pub(crate) fn open(folder: &Path, max: u64) -> Result<Spool, SpoolError> {
        let failed = |cause| SpoolError::Io {
            path: folder.to_owned(),
            cause,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed)?;
        let lock = options().open(folder.join("lock")).map_err(failed)?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => SpoolError::Locked {
                path: folder.to_owned(),
            },
            errno => failed(errno.into()),
        })?;
        let mut segments = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".spool"));
            if let Some(number) = number.and_then(|number| u64::from_str_radix(number, 16).ok()) {
                let length = entry.metadata().map_err(failed)?.len();
                if is_newer(&entry.path()) {
                    return Err(SpoolError::Newer { path: entry.path() });
                }
                segments.push(Segment { number, length });
            }
        }
        segments.sort_by_key(|segment| segment.number);
        let mut spool = Spool {
            folder: folder.to_owned(),
            max,
            _lock: lock,
            next: segments.last().map_or(0, |last| last.number.saturating_add(1)),
            segments: segments.into(),
            offset: HEAD_LENGTH,
            writer: None,
            reader: None,
            position: None,
            waiting: 0,
            damaged: 0,
            dirty: false,
        };
        spool.find_position();
        // Its place on the disk is taken now: later there may be none.
        spool.write_position(spool.segments.front().map_or(spool.next, |first| first.number));
        spool.count();
        Ok(spool)
    }

    /// Goes to where delivery stopped.
    fn find_position(&mut self) {
        let Some((number, offset)) = read_position(&self.folder.join("position")) else {
            return;
        };
        self.next = self.next.max(number.saturating_add(1));
        while self
            .segments
            .front()
            .is_some_and(|segment| segment.number < number)
        {
            self.remove_first();
        }
        if self
            .segments
            .front()
            .is_some_and(|segment| segment.number == number)
        {
            self.offset = offset.max(HEAD_LENGTH);
        }
    }

    /// Counts what waits.
    fn count(&mut self) {
        let mut start = self.offset;
        for segment in &self.segments {
            // What can't be read is met again, and counted, when it is its turn.
            if let Ok(file) = File::open(path(&self.folder, segment.number)) {
                while let Found::Record { end, .. } = find(&file, start, segment.length) {
                    self.waiting += 1;
                    start = end;
                }
            }
            start = HEAD_LENGTH;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Records that wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    /// Places found so far where bytes were no records.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Adds a record at the end.
    pub(crate) fn push(&mut self, key: Key, body: &[u8]) -> Result<(), SpoolError> {
        let record = encode(key, body);
        let length = record.len() as u64;
        if self.bytes() + length + HEAD_LENGTH > self.max || body.len() > BODY_MAX {
            return Err(SpoolError::Full { max: self.max });
        }
        let is_long = self
            .segments
            .back()
            .is_some_and(|segment| segment.length >= SEGMENT);
        if is_long {
            self.finish_segment();
        }
        self.write(&record).map_err(|cause| SpoolError::Io {
            path: self.folder.clone(),
            cause,
        })?;
        self.waiting += 1;
        self.dirty = true;
        Ok(())
    }

    fn write(&mut self, record: &[u8]) -> io::Result<()> {
        if self.writer.is_none() {
            self.begin_segment()?;
        }
        let (Some(writer), Some(segment)) = (&mut self.writer, self.segments.back_mut()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        match writer.write_all(record) {
            Ok(()) => {
                segment.length += record.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Half a record would be taken for damage. Where it stays, nothing is added behind it.
                if writer.set_len(segment.length).is_err() {
                    self.writer = None;
                }
                Err(error)
            }
        }
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        let path = path(&self.folder, self.next);
        let mut head = [0; HEAD_LENGTH as usize];
        head[..8].copy_from_slice(&HEAD);
        head[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let sum = crc32fast::hash(&head[..12]);
        head[12..].copy_from_slice(&sum.to_le_bytes());
        // Appending, so that what set_len cuts off is not left as a hole.
        let mut file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        if let Err(error) = file.write_all(&head) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        if self.segments.is_empty() {
            self.offset = HEAD_LENGTH;
            self.reader = None;
        }
        self.segments.push_back(Segment {
            number: self.next,
            length: HEAD_LENGTH,
        });
        self.next += 1;
        self.writer = Some(file);
        Ok(())
    }

    fn finish_segment(&mut self) {
        self.sync();
        self.writer = None;
    }

    /// The oldest record. The error is one of reading; the segment it is in is skipped.
    pub(crate) fn first(&mut self) -> Option<(Key, Vec<u8>)> {
        loop {
            let segment = self.segments.front()?;
            if self.reader.is_none() {
                self.reader = File::open(path(&self.folder, segment.number)).ok();
            }
            let found = match &self.reader {
                Some(file) => find(file, self.offset, segment.length),
                None => Found::Nothing { damaged: true },
            };
            match found {
                Found::Record { start, key, body, .. } => {
                    if start > self.offset {
                        self.damaged += 1;
                        self.offset = start;
                    }
                    return Some((key, body));
                }
                Found::Nothing { damaged } => {
                    self.damaged += u64::from(damaged);
                    self.remove_first();
                    if self.segments.is_empty() {
                        self.waiting = 0;
                    }
                }
            }
        }
    }

    /// The oldest record, which [`Spool::first`] gave, is delivered or given up.
    pub(crate) fn remove(&mut self, body: &[u8]) {
        let Some(segment) = self.segments.front() else {
            return;
        };
        self.offset += (RECORD_HEAD + body.len()) as u64;
        self.waiting = self.waiting.saturating_sub(1);
        match self.offset >= segment.length {
            true => self.remove_first(),
            false => self.write_position(segment.number),
        }
    }

    fn remove_first(&mut self) {
        self.reader = None;
        self.offset = HEAD_LENGTH;
        if let Some(segment) = self.segments.pop_front() {
            // Should the file stay, the position still says that it is over.
            self.write_position(segment.number.saturating_add(1));
            let _ = fs::remove_file(path(&self.folder, segment.number));
        }
        if self.segments.is_empty() {
            self.writer = None;
        }
    }

    /// Where it can't be written, alerts are sent twice after a restart.
    fn write_position(&mut self, number: u64) {
        if self.position.is_none() {
            self.position = options().open(self.folder.join("position")).ok();
        }
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_le_bytes());
        let sum = crc32fast::hash(&bytes[..16]);
        bytes[16..].copy_from_slice(&sum.to_le_bytes());
        if let Some(file) = &self.position {
            let _ = file.write_all_at(&bytes, 0);
        }
    }

    /// Asks the kernel to bring what was added to the disk.
    pub(crate) fn sync(&mut self) {
        if std::mem::take(&mut self.dirty)
            && let Some(file) = &self.writer
        {
            let _ = file.sync_data();
        }
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    options
}

fn is_newer(path: &Path) -> bool {
    let mut head = [0; HEAD_LENGTH as usize];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut head, 0));
    read.is_ok()
        && head[..8] == HEAD
        && crc32fast::hash(&head[..12]).to_le_bytes() == head[12..]
        && head[8..12] != VERSION.to_le_bytes()
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016x}.spool"))
}

fn read_position(path: &Path) -> Option<(u64, u64)> {
    let bytes: [u8; 20] = fs::read(path).ok()?.try_into().ok()?;
    let sum = u32::from_le_bytes(bytes[16..].try_into().ok()?);
    let number = u64::from_le_bytes(bytes[..8].try_into().ok()?);
    let offset = u64::from_le_bytes(bytes[8..16].try_into().ok()?);
    (crc32fast::hash(&bytes[..16]) == sum).then_some((number, offset))
}

fn encode(key: Key, body: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(RECORD_HEAD + body.len());
    record.extend_from_slice(&MARK);
    record.extend_from_slice(&(body.len() as u32).to_le_bytes());
    record.extend_from_slice(&key.run.to_le_bytes());
    record.extend_from_slice(&key.number.to_le_bytes());
    record.extend_from_slice(&sum(&record[4..], body).to_le_bytes());
    record.extend_from_slice(body);
    record
}

fn sum(head: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(body);
    hasher.finalize()
}

/// What is in a segment from an offset on.
enum Found {
    Record {
        start: u64,
        end: u64,
        key: Key,
        body: Vec<u8>,
    },
    /// No record any more; damaged when there are bytes.
    Nothing { damaged: bool },
}

/// The first whole record at or behind `start`.
fn find(file: &File, start: u64, length: u64) -> Found {
    let mut at = start;
    while at < length {
        if let Some((key, body)) = record_at(file, at, length) {
            let end = at + (RECORD_HEAD + body.len()) as u64;
            return Found::Record {
                start: at,
                end,
                key,
                body,
            };
        }
        match next_mark(file, at + 1, length) {
            Some(mark) => at = mark,
            None => break,
        }
    }
    Found::Nothing {
        damaged: start < length,
    }
}

fn record_at(file: &File, at: u64, length: u64) -> Option<(Key, Vec<u8>)> {
    let mut head = [0; RECORD_HEAD];
    file.read_exact_at(&mut head, at).ok()?;
    if head[..4] != MARK {
        return None;
    }
    let number = |range: std::ops::Range<usize>| Some(u64::from_le_bytes(head[range].try_into().ok()?));
    let body_length = u32::from_le_bytes(head[4..8].try_into().ok()?) as usize;
    if body_length > BODY_MAX || at + (RECORD_HEAD + body_length) as u64 > length {
        return None;
    }
    let key = Key {
        run: number(8..16)?,
        number: number(16..24)?,
    };
    let mut body = vec![0; body_length];
    file.read_exact_at(&mut body, at + RECORD_HEAD as u64).ok()?;
    let expected = u32::from_le_bytes(head[24..].try_into().ok()?);
    (sum(&head[4..24], &body) == expected).then_some((key, body))
}

/// Where the next mark of a record is, at or behind `at`.
fn next_mark(file: &File, mut at: u64, length: u64) -> Option<u64> {
    let mut block = vec![0; 64 << 10];
    while at < length {
        let room = usize::try_from(length - at)
            .unwrap_or(usize::MAX)
            .min(block.len());
        let read = file.read_at(&mut block[..room], at).ok()?;
        if let Some(index) = block[..read].windows(MARK.len()).position(|bytes| bytes == MARK) {
            return Some(at + index as u64);
        }
        // A mark may begin in the last bytes.
        match read {
            0..=3 => return None,
            read => at += (read - 3) as u64,
        }
    }
    None
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
