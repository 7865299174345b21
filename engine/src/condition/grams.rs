//! Which of many texts a text contains, in one pass over it.
//!
//! Of every text that is searched for one short piece is chosen, the one that fewest others have. A filter of bits tells
//! for each position of the text whether a chosen piece may begin there, which is seldom so; only then is anything
//! compared. It is built in a fraction of the time and memory of an automaton, and most texts contain nothing.

use std::collections::HashMap;

use super::text_set::TextSet;

/// Pieces are this long, in texts that are long enough, else two bytes.
const LONG: usize = 4;
const SHORT: usize = 2;

/// Texts that are searched for.
#[derive(Debug, Default)]
pub(super) struct Grams {
    long: Pieces<LONG>,
    short: Pieces<SHORT>,
}

/// Texts with a chosen piece of `N` bytes.
#[derive(Debug, Default)]
struct Pieces<const N: usize> {
    /// Bits that say where a piece may be; a power of two.
    filter: Box<[u64]>,
    /// By how much a hash is shifted to be the number of a bit.
    shift: u32,
    pieces: TextSet,
    /// What has each piece.
    needles: Box<[Vec<Needle>]>,
}

#[derive(Debug)]
struct Needle {
    text: Box<[u8]>,
    /// Where the chosen piece begins in it.
    offset: usize,
    id: u32,
}

impl Grams {
    /// Texts of at least two bytes, and what they are called. Shorter ones are never found.
    pub(super) fn new(texts: &[(&[u8], u32)]) -> Grams {
        let (long, short): (Vec<_>, Vec<_>) = texts.iter().partition(|(text, _)| text.len() >= LONG);
        Grams {
            long: Pieces::new(&long),
            short: Pieces::new(&short),
        }
    }

    /// Calls `found` with every text that `text` contains, with some more than once.
    pub(super) fn each(&self, text: &[u8], found: &mut dyn FnMut(u32)) {
        self.long.each(text, found);
        self.short.each(text, found);
    }
}

impl<const N: usize> Pieces<N> {
    fn new(texts: &[(&[u8], u32)]) -> Pieces<N> {
        let mut uses: HashMap<&[u8], u32> = HashMap::new();
        for (text, _) in texts {
            text.windows(N)
                .for_each(|piece| *uses.entry(piece).or_default() += 1);
        }
        let (mut pieces, mut needles) = (TextSet::default(), Vec::new());
        for (text, id) in texts {
            let rarest = text.windows(N).enumerate().min_by_key(|(_, piece)| uses[piece]);
            let Some((offset, piece)) = rarest else { continue };
            let at = pieces.insert(piece);
            if at == needles.len() {
                needles.push(Vec::new());
            }
            needles[at].push(Needle {
                text: (*text).into(),
                offset,
                id: *id,
            });
        }
        if needles.is_empty() {
            return Pieces::default();
        }
        // One bit in sixteen is set.
        let bits = (needles.len() * 16).next_power_of_two().max(1024);
        let mut filter = vec![0u64; bits / 64].into_boxed_slice();
        let shift = u32::BITS - bits.trailing_zeros();
        for piece in pieces.iter().filter_map(|piece| piece.first_chunk::<N>()) {
            let bit = hash(piece) >> shift;
            filter[bit as usize / 64] |= 1 << (bit % 64);
        }
        Pieces {
            filter,
            shift,
            pieces,
            needles: needles.into(),
        }
    }

    fn each(&self, text: &[u8], found: &mut dyn FnMut(u32)) {
        if self.filter.is_empty() {
            return;
        }
        for (at, piece) in text.windows(N).enumerate() {
            let Some(piece) = piece.first_chunk::<N>() else {
                return;
            };
            let bit = hash(piece) >> self.shift;
            let word = self.filter.get(bit as usize / 64).copied().unwrap_or(0);
            if word >> (bit % 64) & 1 != 0 {
                self.at(text, at, found);
            }
        }
    }

    /// The texts whose chosen piece is at byte `at`.
    #[inline(never)]
    fn at(&self, text: &[u8], at: usize, found: &mut dyn FnMut(u32)) {
        let needles = text.get(at..at + N).and_then(|piece| self.pieces.find(piece));
        for needle in needles
            .and_then(|index| self.needles.get(index))
            .into_iter()
            .flatten()
        {
            let start = at.checked_sub(needle.offset);
            if start.is_some_and(|start| text[start..].starts_with(&needle.text)) {
                found(needle.id);
            }
        }
    }
}

#[inline]
fn hash<const N: usize>(piece: &[u8; N]) -> u32 {
    let mut word = [0; 4];
    word[..N].copy_from_slice(piece);
    u32::from_le_bytes(word).wrapping_mul(0x9e37_79b1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_finds_what_a_search_for_each_finds(
            texts in proptest::collection::vec("[ab/]{2,3}|[a-c/]{4,9}", 0..40),
            inside in "[a-c/]{0,60}",
        ) {
            let named: Vec<(&[u8], u32)> = texts.iter().map(String::as_bytes).zip(0..).collect();
            let mut found = Vec::new();
            Grams::new(&named).each(inside.as_bytes(), &mut |id| found.push(id));
            found.sort_unstable();
            found.dedup();
            let expected: Vec<u32> =
                (0..).zip(&texts).filter(|(_, text)| inside.contains(text.as_str())).map(|(id, _)| id).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
