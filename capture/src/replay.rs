//! The consumer over a recording, instead of the ring of this host's kernel.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lanner_schema::container::{Container, ContainerTable};
use lanner_schema::event::{Event, EventSet};
use lanner_schema::host_names::HostNames;
use lanner_schema::view::EventView;

use crate::consume::{Consumer, split};
use crate::outside::{Outside, Tape};
use crate::plan::Config;
use crate::recording::{
    Answers, Chunks, Facts, Item, Mapping, RecordingError, Source, kind, read_address_names, read_container,
};
use crate::stats::Stats;

/// Bytes that are read at once.
const READ: usize = 256 << 10;
/// The most bytes of descriptions of containers that are kept at once.
const CONTAINERS_MAX: usize = 64 << 20;
/// Records between two looks at whether to stop.
const BATCH: u32 = 1024;

/// How a replay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The recording was gone through to its end mark.
    Whole,
    /// The recording stops at this byte without its end mark: its recorder was killed, or the file is a part.
    Cut(u64),
    /// It was stopped.
    Stopped,
}

/// What was counted beside [`Stats`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplayCounts {
    /// Records of events that this Lanner does not know.
    pub unknown_records: u64,
    /// Items of kinds that this Lanner does not know.
    pub unknown_items: u64,
    /// Containers not remembered, because their descriptions are too large together.
    pub refused_containers: u64,
    /// Answers nobody asked for in time, because the recording is another Lanner's.
    pub forgotten_answers: u64,
    /// What the recorder counted at its end, by name; empty when the recording is cut.
    pub recorder: Vec<(String, u64)>,
}

/// A recording that can be gone through once.
#[derive(Debug)]
pub struct Replay {
    facts: Facts,
    mapping: Mapping,
    source: Source,
    answers: Arc<Answers>,
    containers: KnownContainers,
    host_names: Arc<HostNames>,
    consumer: Consumer,
    counts: ReplayCounts,
}

impl Replay {
    /// Opens a recording and reads the state at its start.
    ///
    /// # Errors
    /// When the file can't be read, is no recording, or one that can't be understood.
    pub fn open(path: &Path, config: &Config) -> Result<Replay, RecordingError> {
        let io = |reason| RecordingError::Io {
            path: path.to_owned(),
            reason,
        };
        // Asked before it is opened: a named pipe would wait for a writer.
        if !path.metadata().map_err(io)?.is_file() {
            return Err(RecordingError::NotAFile(path.to_owned()));
        }
        let file = File::open(path).map_err(io)?;
        Self::read(path, Box::new(BufReader::with_capacity(READ, file)), config)
    }

    /// As [`Replay::open`], from bytes that are somewhere else; `name` is for messages.
    ///
    /// # Errors
    /// As those.
    pub fn read(name: &Path, input: Box<dyn Read + Send>, config: &Config) -> Result<Replay, RecordingError> {
        let mut chunks = Chunks::new(name, input)?;
        let mut payload = Vec::new();
        let mut beginning = |wanted| match chunks.next(&mut payload)? {
            Some(found) if found == wanted => Ok(std::mem::take(&mut payload)),
            Some(_) => Err(chunks.damaged("the beginning is not in order")),
            None => Err(RecordingError::Short(chunks.began())),
        };
        let facts = Facts::read(&beginning(kind::HOST)?);
        let mapping = Mapping::read(&beginning(kind::EVENTS)?)?;
        let answers = Answers::new(Source::new(chunks));
        let containers = KnownContainers::default();
        let host_names = Arc::<HostNames>::default();
        let mut consumer = Consumer::new(
            mapping.shown,
            config,
            &containers.table,
            Arc::clone(&host_names),
            Outside::through(Arc::clone(&answers) as Arc<dyn Tape>),
        );
        consumer.keep_of_processes(mapping.environment, mapping.cgroups);
        consumer.without_types = mapping.without_types;
        consumer.set_unheard(mapping.unheard);
        consumer.look_up_wanted(mapping.params.iter().copied());
        let Some(source) = answers.started()? else {
            return Err(RecordingError::Short(0));
        };
        Ok(Replay {
            facts,
            mapping,
            source,
            answers,
            containers,
            host_names,
            consumer,
            counts: ReplayCounts::default(),
        })
    }

    /// Where it was recorded.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The events in it that rules can see.
    pub fn events(&self) -> EventSet {
        self.mapping.shown
    }

    /// Per event, the parameters that cost and were read: bit *n* is parameter *n*.
    pub fn params(&self) -> &[(Event, u32)] {
        &self.mapping.params
    }

    /// Whether the environments of processes are in it, and their cgroups.
    pub fn keeps_of_processes(&self) -> (bool, bool) {
        (self.mapping.environment, self.mapping.cgroups)
    }

    /// Events in it that this Lanner does not know.
    pub fn unknown_events(&self) -> &[String] {
        &self.mapping.unknown
    }

    /// Goes through it on this thread until its end or until `stop` is set.
    ///
    /// # Errors
    /// When it is damaged or can't be read; what came before was shown.
    pub fn run(
        &mut self,
        stop: &AtomicBool,
        on_event: &mut dyn FnMut(&EventView<'_>),
    ) -> Result<End, RecordingError> {
        let mut last = 0;
        let end = self.go(stop, &mut |consumer, step| match step {
            Step::Record(record) => consumer.record(record, on_event),
            Step::Chores(now) => {
                last = now;
                consumer.chores(now, 0, on_event);
            }
        })?;
        self.consumer.end_requests(last, on_event);
        Ok(end)
    }

    /// As [`Replay::run`], but records are only taken apart: no state is kept and nothing is shown. For measuring. Gives
    /// how many records there were.
    ///
    /// # Errors
    /// As those.
    pub fn run_decoding(&mut self) -> Result<u64, RecordingError> {
        let mut records = 0;
        self.go(&AtomicBool::new(false), &mut |_, step| {
            if let Step::Record(record) = step {
                records += u64::from(std::hint::black_box(split(record)).is_some());
            }
        })?;
        Ok(records)
    }

    fn go(
        &mut self,
        stop: &AtomicBool,
        take: &mut dyn FnMut(&mut Consumer, Step<'_>),
    ) -> Result<End, RecordingError> {
        let mut until_look = BATCH;
        while self.source.more()? {
            match self.source.take()? {
                Item::Record(record) => {
                    match self.mapping.map(record) {
                        Some(record) => take(&mut self.consumer, Step::Record(record)),
                        None => self.counts.unknown_records += 1,
                    }
                    self.answers.next_record();
                    until_look -= 1;
                    if until_look == 0 {
                        until_look = BATCH;
                        if stop.load(Ordering::Relaxed) {
                            return Ok(End::Stopped);
                        }
                    }
                }
                Item::Answer { question, answer } => self.answers.insert(question, answer),
                Item::Chores(now) => {
                    take(&mut self.consumer, Step::Chores(now));
                    self.answers.next_record();
                }
                Item::Container(bytes) => self.containers.insert(bytes, &mut self.counts),
                Item::ContainerGone(id) => self.containers.gone(id),
                Item::Containers => self.containers.publish(),
                Item::AddressNames(bytes) => self.host_names.replace(read_address_names(bytes)),
                Item::Unknown => self.counts.unknown_items += 1,
            }
        }
        Ok(match self.source.cut_at() {
            Some(offset) => End::Cut(offset),
            None => End::Whole,
        })
    }

    /// What came out of the recording so far.
    pub fn stats(&self) -> Stats {
        self.consumer.stats()
    }

    /// What was counted beside.
    pub fn counts(&self) -> ReplayCounts {
        ReplayCounts {
            forgotten_answers: self.answers.forgotten(),
            recorder: self.source.counters.clone(),
            ..self.counts.clone()
        }
    }
}

/// What the consumer is to do next.
enum Step<'a> {
    Record(&'a [u8]),
    Chores(u64),
}

/// The containers of a recording.
#[derive(Debug, Default)]
struct KnownContainers {
    table: Arc<ContainerTable>,
    /// What changed since the consumer last looked: containers that are new, and keys of those that are gone.
    changes: Vec<Result<Arc<Container>, String>>,
    /// Bytes per container, and of all.
    sizes: HashMap<String, usize>,
    size: usize,
}

impl KnownContainers {
    fn insert(&mut self, bytes: &[u8], counts: &mut ReplayCounts) {
        let Some(container) = read_container(bytes) else {
            return;
        };
        let before = self.sizes.get(&*container.key()).copied().unwrap_or(0);
        let size = self.size - before + bytes.len();
        if size > CONTAINERS_MAX {
            counts.refused_containers += 1;
            return;
        }
        self.size = size;
        self.sizes.insert(container.key().into_owned(), bytes.len());
        self.changes.push(Ok(Arc::new(container)));
        self.keep_few();
    }

    fn gone(&mut self, id: &[u8]) {
        let id = String::from_utf8_lossy(id).into_owned();
        self.size -= self.sizes.remove(&id).unwrap_or(0);
        self.changes.push(Err(id));
        self.keep_few();
    }

    /// A recording that never says so must not make us hold its changes for ever.
    fn keep_few(&mut self) {
        if self.changes.len() > 10_000 {
            self.publish();
        }
    }

    fn publish(&mut self) {
        let changes = self.changes.drain(..);
        self.table.update(|known| {
            for change in changes {
                match change {
                    Ok(container) => known.insert(container),
                    Err(id) => known.remove(&id),
                }
            }
        });
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
