//! Sets of events.

use super::{EVENT_COUNT, EVENTS, Event};

const IO_CALLS: [Event; 11] = [
    Event::Pread,
    Event::Preadv,
    Event::Pwrite,
    Event::Pwritev,
    Event::Read,
    Event::Readv,
    Event::Recv,
    Event::Send,
    Event::Sendfile,
    Event::Write,
    Event::Writev,
];

/// 64-bit words of an [`EventSet`].
const SET_WORDS: usize = EVENT_COUNT.div_ceil(64);

/// A set of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct EventSet([u64; SET_WORDS]);

impl EventSet {
    /// No event.
    pub const NONE: EventSet = EventSet([0; SET_WORDS]);

    const ALL: EventSet = {
        let (mut words, mut index) = ([0; SET_WORDS], 0);
        while index < EVENT_COUNT {
            if !EVENTS[index].is_internal() {
                words[index / 64] |= 1 << (index % 64);
            }
            index += 1;
        }
        EventSet(words)
    };

    /// The calls that read and write: there are so many of them that a rule which leaves the type open does not make
    /// them captured, only one that names them does. Falco's list, by the names of the events.
    pub const IO: EventSet = {
        let (mut words, mut index) = ([0; SET_WORDS], 0);
        while index < IO_CALLS.len() {
            let event = IO_CALLS[index] as usize;
            words[event / 64] |= 1 << (event % 64);
            index += 1;
        }
        EventSet(words)
    };

    /// Every event a rule can name.
    pub fn all() -> EventSet {
        EventSet::ALL
    }

    /// Adds one event.
    pub fn insert(&mut self, event: Event) {
        self.0[event as usize / 64] |= 1 << (event as usize % 64);
    }

    /// True when `event` is in the set.
    pub fn contains(self, event: Event) -> bool {
        self.0[event as usize / 64] & (1 << (event as usize % 64)) != 0
    }

    /// Events in either set.
    #[must_use]
    pub fn union(self, other: EventSet) -> EventSet {
        self.combine(other, |a, b| a | b)
    }

    /// Events in both sets.
    #[must_use]
    pub fn intersection(self, other: EventSet) -> EventSet {
        self.combine(other, |a, b| a & b)
    }

    /// Events of this set that are not in the other.
    #[must_use]
    pub fn difference(self, other: EventSet) -> EventSet {
        self.combine(other, |a, b| a & !b)
    }

    /// Every event a rule can name that is not in the set.
    #[must_use]
    pub fn complement(self) -> EventSet {
        EventSet::ALL.difference(self)
    }

    fn combine(mut self, other: EventSet, of: impl Fn(u64, u64) -> u64) -> EventSet {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word = of(*word, other);
        }
        self
    }

    /// True when the set has no event.
    pub fn is_empty(self) -> bool {
        self == EventSet::NONE
    }

    /// How many events are in the set.
    pub fn len(self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The events, in table order.
    pub fn iter(self) -> impl Iterator<Item = Event> {
        (0..).zip(self.0).flat_map(|(at, word)| {
            let first: usize = at * 64;
            std::iter::successors(Some(word), |word| Some(word & word.wrapping_sub(1)))
                .take_while(|word| *word != 0)
                .filter_map(move |word| EVENTS.get(first + word.trailing_zeros() as usize))
                .map(|row| row.event)
        })
    }
}

impl FromIterator<Event> for EventSet {
    fn from_iter<T: IntoIterator<Item = Event>>(events: T) -> Self {
        let mut set = EventSet::NONE;
        events.into_iter().for_each(|event| set.insert(event));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_know_their_complement() {
        let opens: EventSet = [Event::Open, Event::Openat].into_iter().collect();
        assert!(opens.contains(Event::Open) && !opens.contains(Event::Execve));
        assert!(!opens.complement().contains(Event::Open));
        assert!(opens.complement().contains(Event::Execve));
        assert!(!EventSet::all().contains(Event::TaskFork));
        assert_eq!(opens.union(opens.complement()), EventSet::all());
    }
}
