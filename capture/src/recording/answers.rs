//! A recording's data, item by item, and the answers among it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lanner_schema::container::Containers;
use lanner_schema::host_names::AddressNames;

use super::chunk::Chunks;
use super::error::RecordingError;
use super::item::Item;
use super::{kind, named};
use crate::outside::Tape;

/// The most bytes of answers that wait to be asked for. A replay by the Lanner that recorded asks for each at once.
const WAITING_MAX: usize = 64 << 20;

/// The items of a recording, one after the other.
#[derive(Debug)]
pub(crate) struct Source {
    chunks: Chunks,
    payload: Vec<u8>,
    at: usize,
    /// Where the file stops being whole, once it did; `Some(None)` at its end mark.
    end: Option<Option<u64>>,
    /// What the recorder counted, once that was read.
    pub(crate) counters: Vec<(String, u64)>,
}

impl Source {
    /// Reads what `chunks` has left.
    pub(crate) fn new(chunks: Chunks) -> Source {
        Source {
            chunks,
            payload: Vec::new(),
            at: 0,
            end: None,
            counters: Vec::new(),
        }
    }

    /// Makes sure that there is an item to look at; false at the end.
    pub(crate) fn more(&mut self) -> Result<bool, RecordingError> {
        while self.at >= self.payload.len() {
            if self.end.is_some() {
                return Ok(false);
            }
            self.at = 0;
            match self.chunks.next(&mut self.payload)? {
                Some(kind::DATA) => continue,
                Some(kind::COUNTERS) => {
                    let count = |value: &[u8]| value.try_into().map_or(0, u64::from_le_bytes);
                    let counters = named(&self.payload).map(|(name, value)| (name.to_owned(), count(value)));
                    self.counters = counters.collect();
                }
                Some(kind::END) => {
                    if !self.chunks.is_at_end()? {
                        return Err(self.chunks.damaged("something follows the end"));
                    }
                    self.end = Some(None);
                }
                Some(kind::HOST | kind::EVENTS) => {
                    return Err(self.chunks.damaged("a second beginning"));
                }
                // A newer Lanner's; the checksum says it is whole.
                Some(_) => {}
                None => self.end = Some(Some(self.chunks.began())),
            }
            self.payload.clear();
        }
        Ok(true)
    }

    /// The item there is, without going on.
    pub(crate) fn peek(&self) -> Result<Item<'_>, RecordingError> {
        self.split().map(|(item, _)| item)
    }

    /// The item there is; the next look is at the one after it.
    pub(crate) fn take(&mut self) -> Result<Item<'_>, RecordingError> {
        let left = self.split()?.1.len();
        let start = self.at;
        self.at = self.payload.len() - left;
        match Item::read(&self.payload[start..]) {
            Some((item, _)) => Ok(item),
            None => Ok(Item::Unknown),
        }
    }

    fn split(&self) -> Result<(Item<'_>, &[u8]), RecordingError> {
        let rest = self.payload.get(self.at..).unwrap_or_default();
        Item::read(rest).ok_or_else(|| self.chunks.damaged("an item does not fit into its chunk"))
    }

    /// Where the file stops although its end mark has not come; `None` when it is whole or not read to its end.
    pub(crate) fn cut_at(&self) -> Option<u64> {
        self.end.flatten()
    }
}

/// The answers that were read and not asked for yet.
#[derive(Debug)]
pub(crate) struct Answers(Mutex<Waiting>);

/// What the host answered, if it had an answer.
type Answer = Option<Box<[u8]>>;

/// The answers to one question.
#[derive(Debug)]
struct ToQuestion {
    /// The record they were needed for.
    record: u64,
    /// One question may be asked twice about one record.
    answers: VecDeque<Answer>,
}

#[derive(Debug)]
struct Waiting {
    by_question: HashMap<Box<[u8]>, ToQuestion>,
    bytes: usize,
    /// Which record the answers belong to.
    record: u64,
    /// Answers nobody asked for in time.
    forgotten: u64,
    /// The recording, until its first record: the state at the start is read as it is asked for.
    source: Option<Source>,
    error: Option<RecordingError>,
}

impl Waiting {
    fn insert(&mut self, question: &[u8], answer: Option<&[u8]>) {
        let size = question.len() + answer.map_or(0, <[u8]>::len) + 64;
        if self.bytes + size > WAITING_MAX {
            self.forgotten += self.by_question.len() as u64;
            self.by_question.clear();
            self.bytes = 0;
        }
        self.bytes += size;
        let answer = answer.map(Box::from);
        match self.by_question.get_mut(question) {
            Some(known) if known.record == self.record => known.answers.push_back(answer),
            Some(known) => {
                known.record = self.record;
                known.answers = [answer].into();
            }
            None => {
                let known = ToQuestion {
                    record: self.record,
                    answers: [answer].into(),
                };
                self.by_question.insert(question.into(), known);
            }
        }
    }

    fn take(&mut self, question: &[u8]) -> Option<Answer> {
        let answers = &mut self.by_question.get_mut(question)?.answers;
        let answer = answers.pop_front();
        if answers.is_empty() {
            self.by_question.remove(question);
        }
        if self.by_question.is_empty() {
            self.bytes = 0;
        }
        answer
    }

    /// Reads one more answer of the state at the start; false when records begin.
    fn pull(&mut self) -> Result<bool, RecordingError> {
        let Some(mut source) = self.source.take() else {
            return Ok(false);
        };
        let mut found = false;
        if source.more()? && matches!(source.peek()?, Item::Answer { .. }) {
            if let Item::Answer { question, answer } = source.take()? {
                self.insert(question, answer);
            }
            found = true;
        }
        self.source = Some(source);
        Ok(found)
    }
}

impl Answers {
    /// Answers from the beginning of `source`.
    pub(crate) fn new(source: Source) -> Arc<Answers> {
        Arc::new(Answers(Mutex::new(Waiting {
            by_question: HashMap::new(),
            bytes: 0,
            record: 0,
            forgotten: 0,
            source: Some(source),
            error: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Only one thread asks; one that panicked asks no more.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state at the start was asked for: gives the recording back, or what was wrong with it.
    pub(crate) fn started(&self) -> Result<Option<Source>, RecordingError> {
        let mut waiting = self.lock();
        match waiting.error.take() {
            Some(error) => Err(error),
            None => Ok(waiting.source.take()),
        }
    }

    /// Keeps an answer until it is asked for.
    pub(crate) fn insert(&self, question: &[u8], answer: Option<&[u8]>) {
        self.lock().insert(question, answer);
    }

    /// What comes from here on belongs to the next record.
    pub(crate) fn next_record(&self) {
        self.lock().record += 1;
    }

    /// Answers nobody asked for in time.
    pub(crate) fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }
}

impl Tape for Answers {
    fn answer(&self, question: &[u8], _: &mut dyn FnMut() -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let mut waiting = self.lock();
        loop {
            if let Some(answer) = waiting.take(question) {
                return answer.map(Vec::from);
            }
            match waiting.pull() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    waiting.error = Some(error);
                    return None;
                }
            }
        }
    }

    fn containers(&self, _: &Arc<Containers>) {}

    fn address_names(&self, _: &Arc<AddressNames>) {}
}
