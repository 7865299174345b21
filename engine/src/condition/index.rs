//! Conditions by the constants they look for: on an event every value is read once, looked up once, and says which
//! conditions may hold.

use std::sync::Arc;

use lanner_schema::view::EventView;

use super::atom::{Atoms, Kind, with_key};
use super::choice::Choice;
use super::grams::Grams;
use super::matcher::{BytesTest, Matcher};
use super::node::{CheckNode, How};
use super::pattern::is_normal;
use super::program::Scratch;
use super::quick_hash::QuickMap;
use super::residual::Residuals;
use super::text_set::{LAST_LENGTH, TextSet};
use super::transform::Source;
use crate::value::Value;

/// Longer beginnings and ends are looked up by their first and last bytes: longer lengths share a bit.
const LONGEST: usize = LAST_LENGTH - 1;

/// Looks conditions up. They are numbered; 64 with consecutive numbers are a word.
#[derive(Debug)]
pub(super) struct Index {
    slots: Box<[Slot]>,
    /// For each check where its conditions begin in `conditions`, and the end.
    starts: Box<[u32]>,
    /// Words, and the bits of the conditions in them.
    conditions: Box<[(u32, u64)]>,
}

/// One value and what is looked for in it.
#[derive(Debug, Default)]
struct Slot {
    /// A check that reads it.
    reader: Option<Arc<CheckNode>>,
    equals: Table,
    begins: Table,
    ends: Table,
    paths: Table,
    grams: Option<(Grams, Table)>,
    /// Checks with a large set of their own.
    sets: Vec<(Arc<CheckNode>, u32)>,
}

/// Texts, and for each the checks that look for it.
#[derive(Debug, Default)]
struct Table {
    texts: TextSet,
    /// Text and check; by text when the table is finished.
    pairs: Vec<(u32, u32)>,
    starts: Box<[u32]>,
}

/// The conditions that may hold on an event, by word.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    words: Vec<u64>,
    /// One bit for each word that has any.
    summary: Vec<u64>,
}

impl Candidates {
    /// Makes room for so many words.
    pub(super) fn grow(&mut self, words: usize) {
        self.words.resize(self.words.len().max(words), 0);
        self.summary.resize(self.words.len().div_ceil(64), 0);
    }

    #[inline]
    fn add(&mut self, word: u32, bits: u64) {
        if let (Some(of_word), Some(of_summary)) = (
            self.words.get_mut(word as usize),
            self.summary.get_mut(word as usize / 64),
        ) {
            *of_word |= bits;
            *of_summary |= 1 << (word % 64);
        }
    }

    /// Takes out the first word that has any, and says which it is.
    #[inline]
    pub(super) fn take_first(&mut self) -> Option<(usize, u64)> {
        let (at, summary) = self
            .summary
            .iter_mut()
            .enumerate()
            .find(|(_, word)| **word != 0)?;
        let word = at * 64 + summary.trailing_zeros() as usize;
        *summary &= *summary - 1;
        Some((word, self.words.get_mut(word).map(std::mem::take)?))
    }

    /// Takes all of them out.
    pub(super) fn clear(&mut self) {
        while self.take_first().is_some() {}
    }
}

impl Index {
    /// An index of the conditions that `choice` has checks for, numbered in their order.
    pub(super) fn new(residuals: &Residuals, choice: &Choice<'_>) -> Index {
        // The conditions of each check.
        let mut names: QuickMap<u32, u32> = QuickMap::default();
        let mut checks: Vec<(u32, Vec<(u32, u64)>)> = Vec::new();
        for (number, of_one) in (0u32..).zip(choice.checks.iter().filter(|checks| !checks.is_empty())) {
            let (word, bit) = (number / 64, 1 << (number % 64));
            for check in of_one {
                let name = *names.entry(*check).or_insert_with(|| {
                    checks.push((*check, Vec::new()));
                    checks.len() as u32 - 1
                });
                let conditions = &mut checks[name as usize].1;
                match conditions.last_mut() {
                    Some((last, bits)) if *last == word => *bits |= bit,
                    _ => conditions.push((word, bit)),
                }
            }
        }
        let mut slots: QuickMap<u32, usize> = QuickMap::default();
        let mut all: Vec<Slot> = Vec::new();
        for (name, (check, _)) in (0u32..).zip(&checks) {
            let Some(part) = &choice.parts[*check as usize] else {
                continue;
            };
            let at = *slots.entry(part.slot).or_insert_with(|| {
                all.push(Slot::default());
                all.len() - 1
            });
            all[at].add(residuals.check(*check), &part.atoms, name);
        }
        all.iter_mut().for_each(Slot::finish);
        let (mut starts, mut conditions) = (vec![0], Vec::new());
        for (_, of_check) in checks {
            conditions.extend(of_check);
            starts.push(conditions.len() as u32);
        }
        Index {
            slots: all.into(),
            starts: starts.into(),
            conditions: conditions.into(),
        }
    }

    /// Adds the conditions that may hold on the event.
    pub(super) fn look(&self, view: &EventView<'_>, scratch: &mut Scratch, candidates: &mut Candidates) {
        for slot in &self.slots {
            slot.read(view, scratch, &mut |value| {
                slot.look(value, &mut |check| self.add(check, candidates));
            });
        }
    }

    #[inline]
    fn add(&self, check: u32, candidates: &mut Candidates) {
        let at = check as usize;
        let (Some(start), Some(end)) = (self.starts.get(at), self.starts.get(at + 1)) else {
            return;
        };
        for (word, bits) in self
            .conditions
            .get(*start as usize..*end as usize)
            .unwrap_or_default()
        {
            candidates.add(*word, *bits);
        }
    }
}

impl Slot {
    fn add(&mut self, check: &Arc<CheckNode>, atoms: &Atoms<'_>, name: u32) {
        self.reader.get_or_insert_with(|| Arc::clone(check));
        let Atoms::OneOf(atoms) = atoms else {
            self.sets.push((Arc::clone(check), name));
            return;
        };
        for atom in atoms {
            let text = &*atom.text;
            match atom.kind {
                Kind::Equals => self.equals.add(text, name),
                Kind::Begins => self.begins.add(&text[..text.len().min(LONGEST)], name),
                Kind::BeginsPath => self.paths.add(&text[..text.len().min(LONGEST)], name),
                Kind::Ends => self.ends.add(&text[text.len().saturating_sub(LONGEST)..], name),
                Kind::Contains => self.grams.get_or_insert_default().1.add(text, name),
            }
        }
    }

    fn finish(&mut self) {
        for table in [
            &mut self.equals,
            &mut self.begins,
            &mut self.ends,
            &mut self.paths,
        ] {
            table.finish();
        }
        if let Some((grams, table)) = &mut self.grams {
            table.finish();
            let texts: Vec<(&[u8], u32)> = table.texts.iter().zip(0..).collect();
            *grams = Grams::new(&texts);
        }
    }

    /// Calls `each` with every value there is.
    #[inline]
    fn read(&self, view: &EventView<'_>, scratch: &mut Scratch, each: &mut dyn FnMut(&Value<'_>)) {
        let Some(reader) = &self.reader else { return };
        match reader.how {
            How::One => match reader.found(view) {
                Some(value) => each(&value),
                None if reader.built => {
                    let mut buf = scratch.take();
                    if let Some(value) = reader.left.get(view, scratch, &mut buf) {
                        each(&value);
                    }
                    scratch.put(buf);
                }
                None => {}
            },
            How::Any | How::All => {
                if let Source::Field(field) = &reader.left {
                    field.each(view, &mut |value| {
                        each(&value);
                        false
                    });
                }
            }
            How::ListAny | How::ListAll => {
                reader.left.each_value(view, scratch, &mut |item| {
                    each(&item);
                    false
                });
            }
        }
    }

    /// Calls `found` with every check that the value may pass.
    fn look(&self, value: &Value<'_>, found: &mut dyn FnMut(u32)) {
        let looked = with_key(value, |key, is_text| {
            self.equals.at(self.equals.texts.find(key), found);
            if is_text {
                self.look_in_text(key, found);
            }
        });
        if looked.is_none() {
            // A fraction equals what it is rounded to, and nobody looks for those here.
            self.equals.pairs.iter().for_each(|(_, check)| found(*check));
        }
    }

    fn look_in_text(&self, text: &[u8], found: &mut dyn FnMut(u32)) {
        each_length(&self.begins.texts, text, |length| {
            self.begins.at(self.begins.texts.find(&text[..length]), found);
        });
        each_length(&self.ends.texts, text, |length| {
            self.ends
                .at(self.ends.texts.find(&text[text.len() - length..]), found);
        });
        if !self.paths.texts.is_empty() {
            self.look_in_path(text, found);
        }
        if let Some((grams, table)) = &self.grams {
            grams.each(text, &mut |index| table.at(Some(index as usize), found));
        }
        for (check, name) in &self.sets {
            if matches!(&check.matcher, Matcher::Bytes(BytesTest::Set(set)) if set.contains(text)) {
                found(*name);
            }
        }
    }

    fn look_in_path(&self, path: &[u8], found: &mut dyn FnMut(u32)) {
        if is_normal(path) {
            each_length(&self.paths.texts, path, |length| {
                self.paths.at(self.paths.texts.find(&path[..length]), found);
            });
        } else {
            // Rare: it is compared without its needless slashes, and may be below any of them.
            self.paths.pairs.iter().for_each(|(_, check)| found(*check));
        }
    }
}

/// Calls `each` with the lengths of texts of the set that `text` is long enough for.
#[inline]
fn each_length(set: &TextSet, text: &[u8], mut each: impl FnMut(usize)) {
    let mut lengths = set.lengths();
    if text.len() < LONGEST {
        lengths &= (2 << text.len()) - 1;
    }
    while lengths != 0 {
        each(lengths.trailing_zeros() as usize);
        lengths &= lengths - 1;
    }
}

impl Table {
    fn add(&mut self, text: &[u8], check: u32) {
        let index = self.texts.insert(text) as u32;
        self.pairs.push((index, check));
    }

    fn finish(&mut self) {
        self.pairs.sort_unstable();
        self.pairs.dedup();
        let mut starts = vec![0u32; self.texts.len() + 1];
        for (index, _) in &self.pairs {
            starts[*index as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        self.starts = starts.into();
    }

    /// The checks that look for the text with this index.
    #[inline]
    fn at(&self, index: Option<usize>, found: &mut dyn FnMut(u32)) {
        let Some(index) = index else { return };
        if let (Some(start), Some(end)) = (self.starts.get(index), self.starts.get(index + 1)) {
            let pairs = self.pairs.get(*start as usize..*end as usize).unwrap_or_default();
            pairs.iter().for_each(|(_, check)| found(*check));
        }
    }
}
