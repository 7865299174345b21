//! Names of the files whose opens a rule can match. With them the kernel's side leaves out opens of all others before it makes
//! records of them ([`crate::name_table`]).

use std::collections::BTreeSet;

use crate::call_class::ClassSet;
use crate::event::{EVENT_COUNT, EVENTS, Event, FdUse, Origin};

/// A piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Piece {
    /// This byte.
    Byte(u8),
    /// One byte, whichever.
    One,
    /// Bytes other than a slash, as many as there may be.
    Part,
    /// Bytes, as many as there may be.
    Run,
}

/// Texts, by their pieces in order: all of the text has to be them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern(Box<[Piece]>);

impl Pattern {
    /// A pattern of these pieces.
    pub fn new(pieces: impl IntoIterator<Item = Piece>) -> Pattern {
        let mut all: Vec<Piece> = pieces.into_iter().collect();
        all.dedup_by(|next, piece| *next == Piece::Run && *piece == Piece::Run);
        Pattern(all.into())
    }

    /// Its pieces.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// How many bytes it names.
    fn bytes(&self) -> usize {
        self.0
            .iter()
            .filter(|piece| matches!(piece, Piece::Byte(_)))
            .count()
    }

    /// The one text that it is, when it is one.
    fn text(&self) -> Option<Vec<u8>> {
        let byte = |piece: &Piece| match piece {
            Piece::Byte(byte) => Some(*byte),
            _ => None,
        };
        self.0.iter().map(byte).collect()
    }

    /// True when the text is of the pattern.
    pub fn matches(&self, text: &[u8]) -> bool {
        // The places in the pattern that the text so far leads to.
        let mut places = BTreeSet::from([0]);
        let mut next = BTreeSet::new();
        let skip = |places: &mut BTreeSet<usize>| {
            for at in 0..self.0.len() {
                if places.contains(&at) && matches!(self.0[at], Piece::Part | Piece::Run) {
                    places.insert(at + 1);
                }
            }
        };
        skip(&mut places);
        for byte in text {
            for at in &places {
                match self.0.get(*at) {
                    Some(Piece::Byte(wanted)) if wanted == byte => next.insert(at + 1),
                    Some(Piece::One) => next.insert(at + 1),
                    Some(Piece::Part) if *byte != b'/' => next.insert(*at),
                    Some(Piece::Run) => next.insert(*at),
                    _ => false,
                };
            }
            skip(&mut next);
            std::mem::swap(&mut places, &mut next);
            next.clear();
        }
        places.contains(&self.0.len())
    }

    /// A pattern of all texts that are of both, and maybe of more; `None` when there are none.
    fn both(&self, other: &Pattern) -> Option<Pattern> {
        let of = |one: &Pattern, text: &[u8]| one.matches(text);
        match (self.text(), other.text()) {
            (Some(text), _) => of(other, &text).then(|| self.clone()),
            (_, Some(text)) => of(self, &text).then(|| other.clone()),
            // What names more of the text says more.
            _ if self.bytes() < other.bytes() => Some(other.clone()),
            _ => Some(self.clone()),
        }
    }

    /// A pattern of all its texts and more that names at most so many bytes.
    pub(crate) fn with_bytes(&self, most: usize) -> Pattern {
        let mut left = most;
        let mut keep = |piece: &&Piece| {
            let is_byte = matches!(piece, Piece::Byte(_));
            let keeps = left > 0;
            left -= usize::from(is_byte && keeps);
            keeps
        };
        if self.bytes() <= most {
            return self.clone();
        }
        // From the end that it holds fast.
        if self.0.last() == Some(&Piece::Run) {
            let kept = self.0.iter().take_while(&mut keep).copied();
            return Pattern::new(kept.chain([Piece::Run]));
        }
        let mut kept: Vec<Piece> = self.0.iter().rev().take_while(&mut keep).copied().collect();
        kept.push(Piece::Run);
        kept.reverse();
        Pattern::new(kept)
    }
}

/// Opens to read a file that is there, in [`Term::opens`].
pub const OPENS_TO_READ: u8 = 1;
/// All others, and the calls that leave no file open ([`OpenNames::calls`]): rules look for much the same in both.
pub const OPENS_OTHERWISE: u8 = 2;

/// Of which opens there are any in a set of classes: [`OPENS_TO_READ`], [`OPENS_OTHERWISE`].
pub fn opens_of(classes: ClassSet) -> u8 {
    let reads = ClassSet::reads();
    let has = |part: ClassSet, bit| if part.is_empty() { 0 } else { bit };
    has(classes.intersection(reads), OPENS_TO_READ) | has(classes.difference(reads), OPENS_OTHERWISE)
}

/// What a name of an open has to be for a rule to match it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Term {
    /// Which opens a rule matches by it.
    pub opens: u8,
    /// The path as it was passed is the end of a text of this pattern: with the directory that it starts from before it,
    /// when it is relative.
    pub raw: Option<Pattern>,
    /// The absolute path is of this pattern: the one that was asked for, or the kernel's.
    pub name: Option<Pattern>,
}

impl Term {
    /// What has to hold for both.
    pub fn both(&self, other: &Term) -> Option<Term> {
        let both = |one: &Option<Pattern>, other: &Option<Pattern>| match (one, other) {
            (Some(one), Some(other)) => one.both(other).map(Some),
            (one, other) => Some(one.clone().or_else(|| other.clone())),
        };
        Some(Term {
            opens: self.opens & other.opens,
            raw: both(&self.raw, &other.raw)?,
            name: both(&self.name, &other.name)?,
        })
    }

    /// True, if it is one of its opens, for one that was asked for by the path `requested`, made absolute, and is `real` in the kernel.
    pub fn matches(&self, requested: &[u8], real: Option<&[u8]>) -> bool {
        let of = |pattern: &Option<Pattern>, text| pattern.as_ref().is_none_or(|of| of.matches(text));
        of(&self.raw, requested)
            && (of(&self.name, requested) || real.is_some_and(|real| of(&self.name, real)))
    }
}

/// The opens of which only those of certain files are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenNames {
    /// Per event, the classes of calls that are wanted only where one of `terms` holds.
    pub classes: [ClassSet; EVENT_COUNT],
    /// What has to hold of their names.
    pub terms: BTreeSet<Term>,
}

impl OpenNames {
    /// Every open that is wanted is wanted whatever its name is.
    pub const NONE: OpenNames = OpenNames {
        classes: [ClassSet::NONE; EVENT_COUNT],
        terms: BTreeSet::new(),
    };

    /// The events whose names are looked at: those that open a file by a path.
    pub fn events() -> impl Iterator<Item = Event> {
        let opens = EVENTS.iter().filter(|row| match row.fd {
            FdUse::Opens { path, .. } => {
                row.is_call() && matches!(row.params[usize::from(path)].from, Origin::UserPath { .. })
            }
            _ => false,
        });
        opens.map(|row| row.event)
    }

    /// The calls that leave no file open whose names are looked at, too: those of names that they take away, give or move. Where
    /// one is given a single name, it is below the directory it starts from and nowhere else, because none of these follows a link.
    pub fn calls() -> impl Iterator<Item = Event> {
        use Event as E;
        [
            E::Unlink,
            E::Unlinkat,
            E::Rmdir,
            E::Mkdir,
            E::Mkdirat,
            E::Rename,
            E::Renameat,
            E::Renameat2,
        ]
        .into_iter()
    }

    /// True when no open is left out by its name.
    pub fn is_empty(&self) -> bool {
        self.classes.iter().all(|classes| classes.is_empty())
    }
}

impl Default for OpenNames {
    fn default() -> Self {
        OpenNames::NONE
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// `*` any bytes, `+` any but a slash, `?` one.
    pub(crate) fn pattern(text: &str) -> Pattern {
        Pattern::new(text.bytes().map(|byte| match byte {
            b'*' => Piece::Run,
            b'+' => Piece::Part,
            b'?' => Piece::One,
            byte => Piece::Byte(byte),
        }))
    }

    #[test]
    fn a_pattern_is_all_of_a_text() {
        let holds = |of: &str, text: &str| pattern(of).matches(text.as_bytes());
        assert!(holds("/etc/+", "/etc/x") && holds("/etc/+", "/etc/") && !holds("/etc/+", "/etc/x/y"));
        assert!(holds("*id_?sa*", "/x/id_rsa.pub") && !holds("*id_?sa", "/x/id_rsa.pub"));
        assert!(holds("", "") && !holds("", "a") && holds("**", ""));
    }

    #[test]
    fn what_opens_a_file_by_its_path_is_looked_at() {
        let events: Vec<Event> = OpenNames::events().collect();
        assert_eq!(events, [Event::Open, Event::Openat, Event::Openat2, Event::Creat]);
    }

    #[test]
    fn calls_that_leave_no_file_have_at_most_two_paths_which_are_looked_up_and_not_followed() {
        for event in OpenNames::calls() {
            let row = event.row();
            let is_path = |from: &Origin| matches!(from, Origin::UserPath { .. });
            let paths = row.params.iter().filter(|param| is_path(&param.from)).count();
            let looked_up = |from: &Origin| *from == Origin::LookedUp { follows: false };
            let looked_up = row.params.iter().filter(|param| looked_up(&param.from)).count();
            assert!((1..=2).contains(&paths) && paths == looked_up, "{}", row.name);
            assert!(row.open_flags_arg().is_none() && row.at_enter() == 0);
        }
    }

    /// Every text of up to so many of these bytes.
    pub(crate) fn texts(of: &[u8], most: usize) -> Vec<Vec<u8>> {
        let mut all = vec![vec![]];
        let mut from = 0;
        for _ in 0..most {
            let until = all.len();
            for at in from..until {
                all.extend(
                    of.iter()
                        .map(|byte| [&all[at][..], &[*byte]].concat())
                        .collect::<Vec<_>>(),
                );
            }
            from = until;
        }
        all
    }

    #[test]
    fn of_both_is_whatever_is_of_each_and_fewer_bytes_let_more_pass() {
        let patterns: Vec<Pattern> = [
            "", "*", "/", "/a", "/a*", "/a+", "*/a", "*a*", "*a", "a?", "/*/a", "*/a/+", "/a/*b", "??",
        ]
        .map(pattern)
        .into();
        for text in texts(b"ab/", 5) {
            for a in patterns.iter().filter(|a| a.matches(&text)) {
                for b in patterns.iter().filter(|b| b.matches(&text)) {
                    let both = a.both(b);
                    assert!(
                        both.is_some_and(|both| both.matches(&text)),
                        "{a:?} {b:?} {text:?}"
                    );
                }
                assert!(
                    (1..3).all(|most| a.with_bytes(most).matches(&text)),
                    "{a:?} {text:?}"
                );
            }
        }
        assert_eq!(pattern("/a").both(&pattern("/b")), None);
        assert_eq!(pattern("/etc*").both(&pattern("/etc/x")), Some(pattern("/etc/x")));
        assert_eq!(
            pattern("*/x/*").both(&pattern("/home/*/x/*")),
            Some(pattern("/home/*/x/*"))
        );
    }
}
