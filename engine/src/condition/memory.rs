//! What evaluation remembers while it looks at one event: answers, and values that had to be built.
//!
//! Nothing is cleared between events: whatever is remembered carries the number of its event.

use lanner_schema::view::EventView;

use super::index::Candidates;
use super::node::CheckNode;
use super::program::Scratch;
use crate::value::Value;

/// Longer values are built again each time; keeping them would cost more.
const LONGEST: usize = 256;

/// Shared by the programs of all events.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(super) scratch: Scratch,
    /// The number of the event an answer belongs to, and the answer in the lowest bit.
    answers: Vec<u64>,
    values: Vec<Kept>,
    /// Empty between events.
    pub(super) candidates: Candidates,
    event: u64,
}

/// A value that was built for an event.
#[derive(Debug)]
struct Kept {
    event: u64,
    what: What,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Missing,
    /// In the buffer.
    Bytes,
    Other(Value<'static>),
    TooLong,
}

impl Memory {
    /// Forgets the event before, and makes room for so many answers and values.
    #[inline]
    pub(super) fn begin(&mut self, answers: usize, values: usize) {
        self.event += 1;
        if self.answers.len() < answers || self.values.len() < values {
            self.grow(answers, values);
        }
    }

    #[cold]
    fn grow(&mut self, answers: usize, values: usize) {
        self.answers.resize(self.answers.len().max(answers), 0);
        self.values.resize_with(self.values.len().max(values), || Kept {
            event: 0,
            what: What::Missing,
            bytes: Vec::with_capacity(LONGEST),
        });
    }

    pub(super) fn recall(&self, at: u32) -> Option<bool> {
        let answer = *self.answers.get(at as usize)?;
        (answer >> 1 == self.event).then_some(answer & 1 == 1)
    }

    pub(super) fn remember(&mut self, at: u32, holds: bool) {
        if let Some(answer) = self.answers.get_mut(at as usize) {
            *answer = self.event << 1 | u64::from(holds);
        }
    }

    /// True when the event passes the check; `value` is the place of the value it looks at, when others look at it too.
    pub(super) fn passes(&mut self, check: &CheckNode, value: Option<u32>, view: &EventView<'_>) -> bool {
        let Some(at) = value else {
            return check.matches(view, &mut self.scratch);
        };
        match &check.found(view) {
            Some(value) => check.matcher.test(value, view, &mut self.scratch),
            None => self.passes_built(check, at, view),
        }
    }

    #[inline(never)]
    fn passes_built(&mut self, check: &CheckNode, at: u32, view: &EventView<'_>) -> bool {
        let Some(kept) = self.values.get_mut(at as usize) else {
            return check.matches(view, &mut self.scratch);
        };
        if kept.event != self.event {
            kept.event = self.event;
            kept.build(check, view, &mut self.scratch);
        }
        let value = match kept.what {
            What::Missing => return false,
            What::Bytes => Value::Bytes(&kept.bytes),
            What::Other(value) => value,
            What::TooLong => return check.matches(view, &mut self.scratch),
        };
        check.matcher.test(&value, view, &mut self.scratch)
    }
}

impl Kept {
    fn build(&mut self, check: &CheckNode, view: &EventView<'_>, scratch: &mut Scratch) {
        let mut buf = scratch.take();
        self.what = match check.left.get(view, scratch, &mut buf) {
            None => What::Missing,
            Some(Value::Bytes(bytes)) if bytes.len() > LONGEST => What::TooLong,
            Some(Value::Bytes(bytes)) => {
                self.bytes.clear();
                self.bytes.extend_from_slice(bytes);
                What::Bytes
            }
            Some(Value::Bool(value)) => What::Other(Value::Bool(value)),
            Some(Value::I64(value)) => What::Other(Value::I64(value)),
            Some(Value::U64(value)) => What::Other(Value::U64(value)),
            Some(Value::F64(value)) => What::Other(Value::F64(value)),
            Some(Value::Ip(value)) => What::Other(Value::Ip(value)),
        };
        scratch.put(buf);
    }
}
