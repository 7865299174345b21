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

/// The most bytes of answers that wait to be asked for. A replay by the Lanner that recorded asks for each at once; another
/// may ask in another order, for more, or for less.
const WAITING_MAX: usize = 16 << 20;

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
    /// Where the first of them stands among all.
    place: u64,
    /// The record they were needed for.
    record: u64,
    /// One question may be asked twice about one record.
    answers: VecDeque<Answer>,
}

#[derive(Debug)]
struct Waiting {
    by_question: HashMap<Arc<[u8]>, ToQuestion>,
    /// The questions, oldest first; some have been asked since.
    order: VecDeque<Arc<[u8]>>,
    bytes: usize,
    /// How many answers came.
    came: u64,
    /// The place of the last answer that was asked for: what is before it was passed over.
    passed: u64,
    /// Which record the answers belong to.
    record: u64,
    /// Answers nobody asked for in time.
    forgotten: u64,
    /// The recording, until its first record: the state at the start is read as it is asked for.
    source: Option<Source>,
    error: Option<RecordingError>,
}

fn size(question: &[u8], answer: Option<&[u8]>) -> usize {
    question.len() + answer.map_or(0, <[u8]>::len) + 128
}

impl Waiting {
    fn insert(&mut self, question: &[u8], answer: Option<&[u8]>) {
        if self.bytes >= WAITING_MAX {
            self.forget_oldest(u64::MAX);
        }
        self.came += 1;
        let record = self.record;
        if self
            .by_question
            .get(question)
            .is_some_and(|known| known.record != record)
        {
            // A newer answer takes its place.
            self.remove(question);
        }
        self.bytes += size(question, answer);
        let answer = answer.map(Box::from);
        match self.by_question.get_mut(question) {
            Some(known) => known.answers.push_back(answer),
            None => {
                let question = Arc::<[u8]>::from(question);
                self.order.push_back(Arc::clone(&question));
                let known = ToQuestion {
                    place: self.came,
                    record,
                    answers: [answer].into(),
                };
                self.by_question.insert(question, known);
            }
        }
        if self.order.len() > 2 * self.by_question.len() + 64 {
            let Waiting {
                by_question, order, ..
            } = self;
            // A question that came again is there under its newer place.
            order.retain(|question| {
                let known = by_question.get_key_value(question);
                known.is_some_and(|(known, _)| Arc::ptr_eq(known, question))
            });
        }
    }

    fn remove(&mut self, question: &[u8]) -> usize {
        let Some(known) = self.by_question.remove(question) else {
            return 0;
        };
        for answer in &known.answers {
            self.bytes -= size(question, answer.as_deref());
        }
        known.answers.len()
    }

    /// Makes room by what came before `place`: nobody asked for it so far.
    fn forget_oldest(&mut self, place: u64) {
        while self.bytes > WAITING_MAX / 4 * 3 {
            let Some(question) = self.order.front() else {
                return;
            };
            let known = self.by_question.get_key_value(question);
            let known = known.filter(|(known, _)| Arc::ptr_eq(known, question));
            match known.map(|(_, known)| known.place) {
                Some(found) if found >= place => return,
                Some(_) => {
                    let question = Arc::clone(question);
                    self.forgotten += self.remove(&question) as u64;
                }
                None => {}
            }
            self.order.pop_front();
        }
    }

    fn take(&mut self, question: &[u8]) -> Option<Answer> {
        let known = self.by_question.get_mut(question)?;
        let answer = known.answers.pop_front()?;
        self.passed = self.passed.max(known.place);
        self.bytes -= size(question, answer.as_deref());
        if known.answers.is_empty() {
            self.by_question.remove(question);
        }
        Some(answer)
    }

    /// The answer of the state at the start, which is read until there it is or enough waits for later questions.
    fn look_ahead(&mut self, question: &[u8]) -> Result<Option<Answer>, RecordingError> {
        if self.source.is_some() && self.bytes >= WAITING_MAX {
            self.forget_oldest(self.passed);
        }
        while self.bytes < WAITING_MAX && self.pull()? {
            if let Some(answer) = self.take(question) {
                return Ok(Some(answer));
            }
        }
        Ok(None)
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
            order: VecDeque::new(),
            bytes: 0,
            came: 0,
            passed: 0,
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
        if let Some(answer) = waiting.take(question) {
            return answer.map(Vec::from);
        }
        match waiting.look_ahead(question) {
            Ok(answer) => answer.flatten().map(Vec::from),
            Err(error) => {
                waiting.error = Some(error);
                None
            }
        }
    }

    fn containers(&self, _: &Arc<Containers>) {}

    fn address_names(&self, _: &Arc<AddressNames>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::recording_of;
    use std::io::Cursor;
    use std::path::Path;

    /// Answers of a state at the start that is this.
    fn start(answers: impl IntoIterator<Item = (String, Vec<u8>)>) -> Arc<Answers> {
        let mut items = Vec::new();
        for (question, answer) in answers {
            let item = Item::Answer {
                question: question.as_bytes(),
                answer: Some(&answer),
            };
            assert!(item.push(&mut items));
        }
        let bytes = recording_of(&items, None);
        let mut chunks = Chunks::new(Path::new("test"), Box::new(Cursor::new(bytes))).unwrap();
        let mut payload = Vec::new();
        assert_eq!(chunks.next(&mut payload).unwrap(), Some(kind::HOST));
        assert_eq!(chunks.next(&mut payload).unwrap(), Some(kind::EVENTS));
        Answers::new(Source::new(chunks))
    }

    fn ask(answers: &Answers, question: &str) -> Option<Vec<u8>> {
        answers.answer(question.as_bytes(), &mut || panic!("the host is not asked"))
    }

    #[test]
    fn questions_in_the_order_of_the_file_leave_nothing_waiting() {
        let answers = start((0..100).map(|n| (format!("q{n}"), vec![n])));
        for n in 0..100 {
            assert_eq!(ask(&answers, &format!("q{n}")), Some(vec![n]));
            assert_eq!(answers.lock().bytes, 0);
        }
        assert_eq!(ask(&answers, "q0"), None);
        assert!(answers.started().unwrap().is_some());
    }

    #[test]
    fn a_lanner_that_asks_for_more_or_for_less_gets_what_there_is() {
        // Larger than what may wait: 12,000 processes of 1 KiB each.
        let large = || {
            (0..12_000).flat_map(|n| {
                [
                    (format!("{n}/stat"), vec![7; 1000]),
                    (format!("{n}/old"), vec![1; 300]),
                ]
            })
        };
        let answers = start(large());
        let mut answered = 0;
        for n in 0..12_000 {
            answered += u32::from(ask(&answers, &format!("{n}/new")).is_none());
            answered += u32::from(ask(&answers, &format!("{n}/stat")) == Some(vec![7; 1000]));
            let waiting = answers.lock();
            assert!(waiting.bytes < WAITING_MAX + (1 << 20), "{}", waiting.bytes);
            assert!(waiting.order.len() <= 2 * waiting.by_question.len() + 64);
        }
        assert_eq!(answered, 24_000);
    }

    #[test]
    fn the_newest_answer_counts_and_two_about_one_record_are_given_in_order() {
        let answers = start([]);
        answers.insert(b"a", Some(b"1"));
        answers.insert(b"a", Some(b"2"));
        answers.insert(b"b", Some(b"old"));
        answers.next_record();
        answers.insert(b"b", None);
        assert_eq!(ask(&answers, "a"), Some(b"1".to_vec()));
        assert_eq!(ask(&answers, "a"), Some(b"2".to_vec()));
        assert_eq!(ask(&answers, "a"), None);
        assert_eq!(ask(&answers, "b"), None);
        assert_eq!(answers.lock().bytes, 0);
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten_and_counted() {
        let answers = start([]);
        for n in 0..40u32 {
            answers.insert(&n.to_le_bytes(), Some(&vec![0; 1 << 20]));
            answers.next_record();
            assert!(answers.lock().bytes <= WAITING_MAX + (2 << 20));
        }
        assert!(answers.forgotten() > 20, "{}", answers.forgotten());
        assert_eq!(
            answers.answer(&39u32.to_le_bytes(), &mut || None).unwrap().len(),
            1 << 20
        );
    }
}
