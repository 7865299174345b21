//! A set of byte strings that is asked often and never changes.

/// The longest length that has a bit of its own; all longer ones share the last bit.
pub(super) const LAST_LENGTH: usize = 63;
const EMPTY: u32 = u32::MAX;

/// A hash table whose texts lie one after the other. Lengths that no text has are refused before anything is hashed.
#[derive(Debug, Clone, Default)]
pub(crate) struct TextSet {
    /// One bit for each length that occurs.
    lengths: u64,
    /// Indexes of `entries`, at most half of them used; a text is at its hash or in the places after it.
    table: Vec<u32>,
    entries: Vec<Entry>,
    texts: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: u32,
    start: u32,
    end: u32,
}

fn length_bit(text: &[u8]) -> u64 {
    1 << text.len().min(LAST_LENGTH)
}

/// Multiplies and folds eight bytes at a time. Not made to withstand chosen texts: the set's own come from the rules,
/// and whatever an event holds is only looked up.
fn hash(text: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash.rotate_left(23) ^ word).wrapping_mul(FACTOR);
    let (words, rest) = text.as_chunks::<8>();
    let mut sum = text.len() as u64;
    for word in words {
        sum = mix(sum, u64::from_le_bytes(*word));
    }
    // What is left, as two overlapping halves or single bytes: no loop over bytes.
    let last = match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        (Some(head), Some(tail)) => {
            u64::from(u32::from_le_bytes(*head)) << 32 | u64::from(u32::from_le_bytes(*tail))
        }
        _ => match rest {
            [] => 0,
            [a] => u64::from(*a),
            [a, .., c] => u64::from(*a) | u64::from(rest[rest.len() / 2]) << 8 | u64::from(*c) << 16,
        },
    };
    (mix(sum, last) >> 32) as u32
}

impl TextSet {
    /// True when the text is in the set.
    #[inline]
    pub(crate) fn contains(&self, text: &[u8]) -> bool {
        self.find(text).is_some()
    }

    /// Which text of the set it is, counted in the order they were given.
    #[inline]
    pub(crate) fn find(&self, text: &[u8]) -> Option<usize> {
        if self.lengths & length_bit(text) == 0 {
            return None;
        }
        self.find_hashed(text, hash(text))
    }

    #[inline]
    fn find_hashed(&self, text: &[u8], hash: u32) -> Option<usize> {
        let mask = self.table.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        // Half of the table is empty: the search ends.
        loop {
            let index = *self.table.get(at)? as usize;
            let entry = self.entries.get(index)?;
            if entry.hash == hash && self.text(entry) == text {
                return Some(index);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a text unless it is there; says which text of the set it is.
    pub(crate) fn insert(&mut self, text: &[u8]) -> usize {
        let hash = hash(text);
        if let Some(index) = self.find_hashed(text, hash) {
            return index;
        }
        let index = self.entries.len();
        if (index + 1) * 2 > self.table.len() {
            self.table = vec![EMPTY; (self.table.len() * 2).max(4)];
            for index in 0..self.entries.len() {
                self.place(index);
            }
        }
        let start = self.texts.len() as u32;
        self.texts.extend_from_slice(text);
        self.lengths |= length_bit(text);
        self.entries.push(Entry {
            hash,
            start,
            end: self.texts.len() as u32,
        });
        self.place(index);
        index
    }

    fn place(&mut self, index: usize) {
        let mask = self.table.len() - 1;
        let mut at = self.entries[index].hash as usize & mask;
        while self.table[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.table[at] = index as u32;
    }

    /// The lengths that occur, as bits; those of [`LAST_LENGTH`] and more share the last.
    pub(super) fn lengths(&self) -> u64 {
        self.lengths
    }

    /// How many texts.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when it has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The texts, in the order they were given.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().map(|entry| self.text(entry))
    }

    fn text(&self, entry: &Entry) -> &[u8] {
        &self.texts[entry.start as usize..entry.end as usize]
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for TextSet {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> TextSet {
        let mut set = TextSet::default();
        for text in texts {
            set.insert(text.as_ref());
        }
        set.table.shrink_to_fit();
        set.entries.shrink_to_fit();
        set.texts.shrink_to_fit();
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn an_empty_set_and_an_empty_text() {
        assert!(!TextSet::default().contains(b""));
        let none: TextSet = std::iter::empty::<&[u8]>().collect();
        assert!(!none.contains(b"") && none.is_empty());
        let empty: TextSet = [b""].into_iter().collect();
        assert!(empty.contains(b"") && !empty.contains(b"a"));
    }

    proptest! {
        #[test]
        fn it_has_what_a_hash_set_has(
            texts in proptest::collection::vec("[ab/]{0,3}|[a-c]{4,20}|[x]{60,70}", 0..40),
            others in proptest::collection::vec("[ab/]{0,3}|[a-c]{4,20}|[x]{60,70}", 0..40),
        ) {
            let set: TextSet = texts.iter().map(String::as_bytes).collect();
            let expected: HashSet<&[u8]> = texts.iter().map(String::as_bytes).collect();
            prop_assert_eq!(set.len(), expected.len());
            for text in texts.iter().chain(&others) {
                prop_assert_eq!(set.contains(text.as_bytes()), expected.contains(text.as_bytes()), "{}", text);
            }
            for (index, text) in set.iter().enumerate() {
                prop_assert_eq!(set.find(text), Some(index));
            }
        }
    }
}
