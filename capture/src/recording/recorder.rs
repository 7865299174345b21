//! Writes a recording: the event thread fills chunks, a thread of its own checks and writes them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use lanner_schema::container::{Container, Containers};
use lanner_schema::host_names::AddressNames;

use super::chunk::{CHUNK_HEADER, FILE_HEADER, chunk_header, file_header};
use super::error::RecordingError;
use super::item::Item;
use super::known::{address_names_bytes, container_bytes};
use super::table::{self, Recorded};
use super::{kind, push_named};
use crate::outside::Tape;
use crate::stats::Stats;

/// A chunk is written when it has this many bytes, or when the consumer does its chores: a recorder that is killed loses a
/// second.
const CHUNK: usize = 256 << 10;
/// Chunks that wait to be written. When the disk is slower than the events, the event thread waits, the ring fills, and
/// what is lost is counted there.
const QUEUE: usize = 64;
/// What is kept free below [`Limits::bytes`] for the counters and the end.
const RESERVE: u64 = 64 << 10;

/// What a recording says about where it was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Version of the Lanner that recorded.
    pub lanner: String,
    /// The host's name, as alerts have it.
    pub hostname: String,
    /// Release of its kernel.
    pub kernel: String,
    /// Architecture of its processors.
    pub arch: String,
    /// How many of them.
    pub cpus: u64,
    /// When the recording began, nanoseconds since the epoch.
    pub started: u64,
}

impl Facts {
    /// The facts as a chunk has them.
    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        push_named(&mut out, "lanner", self.lanner.as_bytes());
        push_named(&mut out, "hostname", self.hostname.as_bytes());
        push_named(&mut out, "kernel", self.kernel.as_bytes());
        push_named(&mut out, "arch", self.arch.as_bytes());
        push_named(&mut out, "cpus", &self.cpus.to_le_bytes());
        push_named(&mut out, "started", &self.started.to_le_bytes());
        out
    }

    /// The facts of a chunk; what is not there is empty.
    pub(crate) fn read(bytes: &[u8]) -> Facts {
        let mut facts = Facts::default();
        for (name, value) in super::named(bytes) {
            let text = || String::from_utf8_lossy(value).into_owned();
            let number = || value.try_into().map_or(0, u64::from_le_bytes);
            match name {
                "lanner" => facts.lanner = text(),
                "hostname" => facts.hostname = text(),
                "kernel" => facts.kernel = text(),
                "arch" => facts.arch = text(),
                "cpus" => facts.cpus = number(),
                "started" => facts.started = number(),
                _ => {}
            }
        }
        facts
    }
}

/// What a recording may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file; it ends whole before it grows larger.
    pub bytes: Option<u64>,
    /// Replaces a file that is there.
    pub replace: bool,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Size of the file.
    pub bytes: u64,
    /// Records in it.
    pub records: u64,
}

/// A recording that is being made. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Sink>);

#[derive(Debug)]
struct Sink {
    path: PathBuf,
    facts: Facts,
    encoder: Mutex<Encoder>,
    progress: Arc<Progress>,
}

/// What the writing thread has done, for whoever looks.
#[derive(Debug, Default)]
struct Progress {
    bytes: AtomicU64,
    records: AtomicU64,
    full: AtomicBool,
    failed: AtomicBool,
}

impl Progress {
    fn ended(&self) -> bool {
        self.full.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed)
    }
}

/// A chunk's kind, its payload, and how many records there are up to its end.
type Chunk = ([u8; 4], Vec<u8>, u64);

/// The chunk that is being filled.
#[derive(Debug)]
struct Encoder {
    chunk: Vec<u8>,
    chunks: Option<SyncSender<Chunk>>,
    /// Buffers to fill again.
    spare: Receiver<Vec<u8>>,
    writer: Option<JoinHandle<io::Result<()>>>,
    containers: Arc<Containers>,
    names: Arc<AddressNames>,
    records: u64,
}

impl Recorder {
    /// Creates the file, which only its owner may read: environments and arguments are in it.
    ///
    /// # Errors
    /// When there is a file already and it is not to be replaced, or another recorder writes it, or it can't be created.
    pub fn create(path: &Path, facts: Facts, limits: Limits) -> Result<Recorder, RecordingError> {
        let io = |reason| RecordingError::Io {
            path: path.to_owned(),
            reason,
        };
        // Locked until the new one is: of two recorders that replace it, one finds a lock.
        let _replaced = match fs::symlink_metadata(path) {
            Ok(there) if !there.is_file() => return Err(RecordingError::NotAFile(path.to_owned())),
            Ok(_) if !limits.replace => return Err(RecordingError::Exists(path.to_owned())),
            Ok(_) => Some(remove(path)?),
            Err(_) => None,
        };
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(io)?;
        lock(&file, path)?;
        let progress = Arc::<Progress>::default();
        let (chunks, incoming) = sync_channel(QUEUE);
        let (used, spare) = sync_channel(QUEUE);
        let writer = Writer {
            file,
            number: 0,
            limit: limits.bytes.map(|limit| limit.saturating_sub(RESERVE)),
            progress: Arc::clone(&progress),
        };
        let writer = thread::Builder::new()
            .name("lanner-recorder".into())
            .spawn(move || writer.run(&incoming, &used))
            .map_err(io)?;
        Ok(Recorder(Arc::new(Sink {
            path: path.to_owned(),
            facts,
            encoder: Mutex::new(Encoder {
                chunk: Vec::with_capacity(CHUNK + (64 << 10)),
                chunks: Some(chunks),
                spare,
                writer: Some(writer),
                containers: Arc::default(),
                names: Arc::default(),
                records: 0,
            }),
            progress,
        })))
    }

    /// What is in the file so far.
    pub fn written(&self) -> Written {
        Written {
            bytes: self.0.progress.bytes.load(Ordering::Relaxed),
            records: self.0.progress.records.load(Ordering::Relaxed),
        }
    }

    /// True when nothing more is written: the file has the size it may have, or writing failed.
    pub fn ended(&self) -> bool {
        self.0.progress.ended()
    }

    /// True when the file has the size it may have.
    pub fn is_full(&self) -> bool {
        self.0.progress.full.load(Ordering::Relaxed)
    }

    /// Writes what is left, `stats` of the whole, and the end.
    ///
    /// # Errors
    /// When the file can't be written; what is in it up to there can be replayed.
    pub fn finish(self, stats: &Stats) -> Result<Written, RecordingError> {
        let mut encoder = self.0.lock();
        encoder.flush(&self.0.progress);
        encoder.send(kind::COUNTERS, counters(stats));
        encoder.send(kind::END, Vec::new());
        encoder.chunks = None;
        let Some(writer) = encoder.writer.take() else {
            return Err(RecordingError::WriterGone);
        };
        match writer.join() {
            Ok(Ok(())) => Ok(self.written()),
            Ok(Err(reason)) => Err(RecordingError::Io {
                path: self.0.path.clone(),
                reason,
            }),
            Err(_) => Err(RecordingError::WriterGone),
        }
    }

    /// Writes what is known before the first item: see [`table::bytes`].
    pub(crate) fn begin(&self, recorded: &Recorded) {
        let mut encoder = self.0.lock();
        encoder.send(kind::HOST, self.0.facts.bytes());
        encoder.send(kind::EVENTS, table::bytes(recorded));
    }

    /// One record, after it was consumed.
    pub(crate) fn record(&self, bytes: &[u8]) {
        let mut encoder = self.0.lock();
        encoder.records += 1;
        encoder.push(Item::Record(bytes), &self.0.progress);
    }

    /// The chores were done.
    pub(crate) fn chores(&self, now: u64) {
        let mut encoder = self.0.lock();
        encoder.push(Item::Chores(now), &self.0.progress);
        encoder.flush(&self.0.progress);
    }

    /// Where answers are kept.
    pub(crate) fn tape(&self) -> Arc<dyn Tape> {
        Arc::<Sink>::clone(&self.0) as Arc<dyn Tape>
    }
}

impl Sink {
    fn lock(&self) -> MutexGuard<'_, Encoder> {
        // A thread that panicked while it filled a chunk has ended the recording: it is not finished.
        self.encoder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Encoder {
    fn push(&mut self, item: Item<'_>, progress: &Progress) {
        if progress.ended() {
            return;
        }
        item.push(&mut self.chunk);
        if self.chunk.len() >= CHUNK {
            self.flush(progress);
        }
    }

    /// Hands the chunk to the writing thread.
    fn flush(&mut self, progress: &Progress) {
        if self.chunk.is_empty() || progress.ended() {
            return;
        }
        let next = self.spare.try_recv().unwrap_or_default();
        let full = std::mem::replace(&mut self.chunk, next);
        self.send(kind::DATA, full);
    }

    fn send(&mut self, kind: [u8; 4], payload: Vec<u8>) {
        if let Some(chunks) = &self.chunks {
            // A thread that is gone has said why to whoever joins it.
            let _ = chunks.send((kind, payload, self.records));
        }
    }
}

impl Tape for Sink {
    fn answer(&self, question: &[u8], live: &mut dyn FnMut() -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let answer = live();
        let item = Item::Answer {
            question,
            answer: answer.as_deref(),
        };
        self.lock().push(item, &self.progress);
        answer
    }

    fn containers(&self, known: &Arc<Containers>) {
        let mut encoder = self.lock();
        let before = std::mem::replace(&mut encoder.containers, Arc::clone(known));
        let same = |a: Option<&Arc<Container>>, b: &Arc<Container>| a.is_some_and(|a| Arc::ptr_eq(a, b));
        for gone in before
            .all()
            .filter(|container| known.by_key(&container.key()).is_none())
        {
            encoder.push(Item::ContainerGone(gone.key().as_bytes()), &self.progress);
        }
        for container in known
            .all()
            .filter(|container| !same(before.by_key(&container.key()), container))
        {
            encoder.push(Item::Container(&container_bytes(container)), &self.progress);
        }
        encoder.push(Item::Containers, &self.progress);
    }

    fn address_names(&self, known: &Arc<AddressNames>) {
        let mut encoder = self.lock();
        if !Arc::ptr_eq(&encoder.names, known) && encoder.names != *known {
            encoder.push(Item::AddressNames(&address_names_bytes(known)), &self.progress);
        }
        encoder.names = Arc::clone(known);
    }
}

/// Removes a file that nobody records into, and gives it with its lock.
fn remove(path: &Path) -> Result<File, RecordingError> {
    let io = |reason| RecordingError::Io {
        path: path.to_owned(),
        reason,
    };
    let there = File::open(path).map_err(io)?;
    lock(&there, path)?;
    let same = |at: fs::Metadata, held: fs::Metadata| (at.dev(), at.ino()) == (held.dev(), held.ino());
    // Another recorder may have replaced it before it was locked.
    match same(
        fs::symlink_metadata(path).map_err(io)?,
        there.metadata().map_err(io)?,
    ) {
        true => fs::remove_file(path).map(|()| there).map_err(io),
        false => Err(RecordingError::Busy(path.to_owned())),
    }
}

/// Marks the file as one that is recorded into, for as long as it is open. A file system without locks has no marks.
fn lock(file: &File, path: &Path) -> Result<(), RecordingError> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(RecordingError::Busy(path.to_owned())),
        Err(TryLockError::Error(error)) => {
            tracing::debug!("{} can't be locked: {error}", path.display());
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// The thread that writes.
struct Writer {
    file: File,
    number: u32,
    limit: Option<u64>,
    progress: Arc<Progress>,
}

impl Writer {
    fn run(mut self, chunks: &Receiver<Chunk>, used: &SyncSender<Vec<u8>>) -> io::Result<()> {
        let result = self.write_all(chunks, used);
        if result.is_err() {
            self.progress.failed.store(true, Ordering::Relaxed);
            // Whoever fills chunks must not wait for room that never comes.
            for _ in chunks {}
        }
        result
    }

    fn write_all(&mut self, chunks: &Receiver<Chunk>, used: &SyncSender<Vec<u8>>) -> io::Result<()> {
        self.file.write_all(&file_header())?;
        self.progress.bytes.store(FILE_HEADER as u64, Ordering::Relaxed);
        for (kind, mut payload, records) in chunks {
            if kind == kind::END {
                payload.extend(self.progress.records.load(Ordering::Relaxed).to_le_bytes());
            }
            let size = (CHUNK_HEADER + payload.len()) as u64;
            let after = self.progress.bytes.load(Ordering::Relaxed) + size;
            let full =
                self.progress.full.load(Ordering::Relaxed) || self.limit.is_some_and(|limit| after > limit);
            if kind == kind::DATA && full {
                self.progress.full.store(true, Ordering::Relaxed);
                continue;
            }
            self.file.write_all(&chunk_header(kind, self.number, &payload))?;
            self.file.write_all(&payload)?;
            self.number = self.number.wrapping_add(1);
            self.progress.bytes.store(after, Ordering::Relaxed);
            if kind == kind::DATA {
                self.progress.records.store(records, Ordering::Relaxed);
            }
            payload.clear();
            // When there are enough, this one is freed.
            let _ = used.try_send(payload);
        }
        self.file.sync_data()
    }
}

/// What the recorder counted, by name.
fn counters(stats: &Stats) -> Vec<u8> {
    let mut out = Vec::new();
    let mut push = |name: &str, count: u64| push_named(&mut out, name, &count.to_le_bytes());
    push("events", stats.total());
    push("lost", stats.lost());
    push("missing sequence numbers", stats.gaps);
    push("records not decoded", stats.undecodable);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_as_they_were_written() {
        let facts = Facts {
            lanner: "1.2.3".into(),
            hostname: "node".into(),
            kernel: "6.18".into(),
            arch: "x86_64".into(),
            cpus: 2,
            started: 77,
        };
        let mut bytes = facts.bytes();
        push_named(&mut bytes, "of a newer Lanner", b"x");
        assert_eq!(Facts::read(&bytes), facts);
        assert_eq!(Facts::read(&bytes[..3]), Facts::default());
    }

    #[test]
    fn a_file_that_is_there_is_replaced_only_when_asked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r");
        fs::write(&path, "precious").unwrap();
        let create = |replace| {
            let limits = Limits {
                replace,
                ..Limits::default()
            };
            Recorder::create(&path, Facts::default(), limits)
        };
        assert!(matches!(create(false), Err(RecordingError::Exists(_))));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        create(true).unwrap().finish(&Stats::default()).unwrap();
        assert!(fs::read(&path).unwrap().starts_with(&file_header()));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert!(matches!(create(true), Err(RecordingError::NotAFile(_))));
    }

    #[test]
    fn a_file_that_is_recorded_into_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r");
        let create = || {
            let limits = Limits {
                replace: true,
                ..Limits::default()
            };
            Recorder::create(&path, Facts::default(), limits)
        };
        let first = create().unwrap();
        assert!(matches!(create(), Err(RecordingError::Busy(_))));
        let written = first.finish(&Stats::default()).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().len(),
            written.bytes,
            "it is still there, whole"
        );
        create().unwrap();
    }
}
