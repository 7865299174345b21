//! A condition or output put together from pieces of the files, and the way back from its bytes to them.

use super::definition::{ListDef, Named};
use super::misuse::{ListUse, list_use};
use super::source::{Place, Report, Scalar};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

/// The most items a list may have with every list it names put in.
const MAX_ITEMS: usize = 100_000;
/// The most items that are put in all together.
const MAX_ALL_ITEMS: usize = 2_000_000;
/// How deep lists may name lists.
const MAX_CHAIN: usize = 200;

/// Text and where each piece of it is from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Mapped {
    pub(crate) text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
struct Piece {
    /// First byte in the text.
    start: usize,
    origin: Origin,
}

#[derive(Debug, Clone)]
enum Origin {
    /// Bytes of a scalar from `offset` on.
    Scalar { scalar: Rc<Scalar>, offset: usize },
    /// An item of a list that is named at `used`.
    Item {
        item: Rc<Scalar>,
        list: Rc<str>,
        used: Place,
    },
    /// Words put around an exception.
    Glue(Place),
}

/// Where a piece of the text is from.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub(crate) place: Place,
    /// The list the text is an item of, and where it is named.
    pub(crate) list: Option<(Rc<str>, Place)>,
}

impl Mapped {
    /// Texts joined by one space, as appends are.
    pub(crate) fn joined(scalars: &[Scalar]) -> Mapped {
        let mut mapped = Mapped::default();
        for scalar in scalars {
            if !mapped.text.is_empty() {
                mapped.glue(" ", scalar.at);
            }
            mapped.scalar(Rc::new(scalar.clone()));
        }
        mapped
    }

    fn piece(&mut self, text: &str, origin: Origin) {
        self.pieces.push(Piece {
            start: self.text.len(),
            origin,
        });
        self.text.push_str(text);
    }

    /// Adds a whole scalar.
    pub(crate) fn scalar(&mut self, scalar: Rc<Scalar>) {
        let text = scalar.text.clone();
        self.piece(&text, Origin::Scalar { scalar, offset: 0 });
    }

    /// Adds text that is in no file; errors in it point at `place`.
    pub(crate) fn glue(&mut self, text: &str, place: Place) {
        self.piece(text, Origin::Glue(place));
    }

    /// Puts parentheses around what is there.
    pub(crate) fn parenthesise(&mut self) {
        let place = match self.pieces.first().map(|p| &p.origin) {
            Some(Origin::Scalar { scalar, .. }) => scalar.at,
            Some(Origin::Glue(place)) => *place,
            Some(Origin::Item { item, .. }) => item.at,
            None => Place::default(),
        };
        self.text.insert(0, '(');
        self.pieces.iter_mut().for_each(|piece| piece.start += 1);
        self.pieces.insert(
            0,
            Piece {
                start: 0,
                origin: Origin::Glue(place),
            },
        );
        self.glue(")", place);
    }

    /// The piece that holds byte `at`, and where the next begins.
    fn piece_at(&self, at: usize) -> Option<(&Piece, usize)> {
        let index = self
            .pieces
            .partition_point(|piece| piece.start <= at)
            .checked_sub(1)?;
        let end = self.pieces.get(index + 1).map_or(self.text.len(), |p| p.start);
        Some((self.pieces.get(index)?, end))
    }

    /// Where the scalar is that byte `at` of the text is from; none for what was put in.
    pub(crate) fn scalar_at(&self, at: usize) -> Option<Place> {
        match &self.piece_at(at)?.0.origin {
            Origin::Scalar { scalar, .. } => Some(scalar.at),
            Origin::Item { .. } | Origin::Glue(_) => None,
        }
    }

    /// Where the bytes `range` of the text are in the files.
    pub(crate) fn locate(&self, report: &Report, range: Range<usize>) -> Located {
        let Some((piece, end)) = self.piece_at(range.start) else {
            return Located {
                place: Place::default(),
                list: None,
            };
        };
        match &piece.origin {
            Origin::Scalar { scalar, offset } => {
                let start = offset + range.start - piece.start;
                let stop = offset + range.end.clamp(range.start, end) - piece.start;
                Located {
                    place: report.inside(scalar, start..stop),
                    list: None,
                }
            }
            Origin::Item { item, list, used } => Located {
                place: item.at,
                list: Some((Rc::clone(list), *used)),
            },
            Origin::Glue(place) => Located {
                place: *place,
                list: None,
            },
        }
    }

    /// Copies the bytes `range` of `from` with their origins.
    fn copy(&mut self, from: &Mapped, range: Range<usize>) {
        let mut at = range.start;
        while at < range.end {
            let Some((piece, end)) = from.piece_at(at) else {
                return;
            };
            let end = end.min(range.end);
            let mut origin = piece.origin.clone();
            if let Origin::Scalar { offset, .. } = &mut origin {
                *offset += at - piece.start;
            }
            self.piece(&from.text[at..end], origin);
            at = end;
        }
    }

    /// A copy with every list it names put in. Lists inside quotes stay as they are.
    pub(crate) fn with_lists(&self, report: &Report, lists: &mut Lists<'_>) -> Result<Mapped, ListError> {
        let mut out = Mapped::default();
        let mut done = 0;
        let odd = Rc::clone(&lists.odd);
        for range in words(&self.text, &odd) {
            let word = &self.text[range.clone()];
            let Some(items) = lists.expand(word)? else {
                continue;
            };
            out.copy(self, done..range.start);
            done = range.end;
            let used = self.locate(report, range.clone());
            if items.is_empty() {
                // Falco drops the comma before an empty list, or else the one after it.
                if out.text.trim_end().ends_with(',') {
                    out.truncate(out.text.trim_end().len() - 1);
                } else if let Some(rest) = self.text[done..].trim_start().strip_prefix(',') {
                    done = self.text.len() - rest.len();
                }
                continue;
            }
            let name: Rc<str> = Rc::from(word);
            for (index, item) in items.iter().enumerate() {
                let origin = Origin::Item {
                    item: Rc::clone(item),
                    list: used
                        .list
                        .as_ref()
                        .map_or_else(|| Rc::clone(&name), |(l, _)| Rc::clone(l)),
                    used: used.list.as_ref().map_or(used.place, |(_, place)| *place),
                };
                let comma = if index == 0 { "" } else { ", " };
                out.piece(&format!("{comma}{}", quoted(&item.text)), origin);
            }
        }
        out.copy(self, done..self.text.len());
        Ok(out)
    }

    /// True when the byte `at` is of an item of a list.
    pub(crate) fn is_list_item(&self, at: usize) -> bool {
        self.piece_at(at)
            .is_some_and(|(piece, _)| matches!(piece.origin, Origin::Item { .. }))
    }

    /// True when the byte `at` is the first visible one of a scalar that is joined to another.
    pub(crate) fn begins_appended(&self, at: usize) -> bool {
        let Some((piece, _)) = self.piece_at(at).filter(|(piece, _)| piece.start > 0) else {
            return false;
        };
        let blank = self
            .text
            .get(piece.start..at)
            .is_some_and(|t| t.trim().is_empty());
        blank && matches!(piece.origin, Origin::Scalar { offset: 0, .. })
    }

    /// The lists that are named in a way that can not work, before they are put in: name, place and way.
    pub(crate) fn misused_lists(&self, report: &Report, lists: &Lists<'_>) -> Vec<(String, Place, ListUse)> {
        let odd = Rc::clone(&lists.odd);
        words(&self.text, &odd)
            .filter_map(|range| {
                let word = &self.text[range.clone()];
                lists.all.get(word)?;
                let used = list_use(&self.text, &range)?;
                Some((word.to_owned(), self.locate(report, range).place, used))
            })
            .collect()
    }

    /// A copy without the words `word`.
    pub(crate) fn without(&self, word: &str) -> Mapped {
        let mut out = Mapped::default();
        let mut done = 0;
        for (at, _) in self.text.match_indices(word) {
            out.copy(self, done..at);
            done = at + word.len();
        }
        out.copy(self, done..self.text.len());
        out
    }

    fn truncate(&mut self, length: usize) {
        self.text.truncate(length);
        while self.pieces.last().is_some_and(|piece| piece.start >= length) {
            self.pieces.pop();
        }
    }
}

/// An item with a space is put in quotes unless it has some.
pub(crate) fn quoted(item: &str) -> String {
    if item.contains(' ') && !item.starts_with(['"', '\'']) {
        format!("\"{item}\"")
    } else {
        item.to_owned()
    }
}

/// What ends a word of a condition, quotes aside.
fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'(' | b')' | b',' | b'=')
}

/// A character of a list's name that can be told from the text around it.
pub(crate) fn is_bare_char(c: char) -> bool {
    !c.is_whitespace() && !"()\"'=,".contains(c)
}

/// The words of a condition: what is between blanks, parentheses, commas and equal signs, quoted strings left out. One of
/// `odd`, names with such characters in them, is a word too.
fn words<'t>(text: &'t str, odd: &'t [&str]) -> impl Iterator<Item = Range<usize>> + 't {
    let bytes = text.as_bytes();
    let mut at = 0;
    let word_end = move |start: usize| {
        let length = bytes[start..].iter().take_while(|b| !is_delimiter(**b)).count();
        let named = odd
            .iter()
            .map(|name| start + name.len())
            .zip(odd)
            .find(|(end, name)| {
                text.get(start..*end) == Some(**name) && bytes.get(*end).is_none_or(|b| is_delimiter(*b))
            });
        named.map_or(start + length, |(end, _)| end)
    };
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let start = at;
            match bytes[at] {
                byte if is_delimiter(byte) => at += 1,
                quote @ (b'"' | b'\'') => {
                    at += 1;
                    while at < bytes.len() && (bytes[at] != quote || bytes[at - 1] == b'\\') {
                        at += 1;
                    }
                    at += 1;
                }
                _ => {
                    at = word_end(start);
                    return Some(start..at);
                }
            }
        }
        None
    })
}

/// A list that can not be put in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListError {
    /// Lists that name lists that name lists can hold exponentially many items.
    #[error("list '{0}' has more than {MAX_ITEMS} items with the lists it names put in")]
    Long(String),
    /// Many conditions that name long lists.
    #[error("with list '{0}', more than {MAX_ALL_ITEMS} list items are put into the conditions")]
    Many(String),
    /// A chain of lists.
    #[error("lists name lists more than {MAX_CHAIN} deep")]
    Deep,
}

/// The lists, with those that were used and their items with the lists they name put in.
#[derive(Debug)]
pub(crate) struct Lists<'d> {
    all: &'d Named<ListDef>,
    /// Names that hold characters which end a word elsewhere.
    odd: Rc<[&'d str]>,
    expanded: HashMap<String, Rc<[Rc<Scalar>]>>,
    /// How many items were put in so far.
    put_in: usize,
    pub(crate) used: HashSet<String>,
}

impl<'d> Lists<'d> {
    pub(crate) fn new(all: &'d Named<ListDef>) -> Self {
        let names = all.iter().map(|list| list.name.text.as_str());
        Lists {
            all,
            odd: names.filter(|name| !name.chars().all(is_bare_char)).collect(),
            expanded: HashMap::new(),
            put_in: 0,
            used: HashSet::new(),
        }
    }

    /// The items of the list called `name`.
    pub(crate) fn expand(&mut self, name: &str) -> Result<Option<Rc<[Rc<Scalar>]>>, ListError> {
        if self.all.get(name).is_none() {
            return Ok(None);
        }
        let items = match self.expanded.get(name) {
            Some(items) => {
                self.used.insert(name.to_owned());
                Rc::clone(items)
            }
            None => {
                let mut items = Vec::new();
                self.collect(name, &mut Vec::new(), &mut items, &mut 0)?;
                let items: Rc<[Rc<Scalar>]> = items.into();
                self.expanded.insert(name.to_owned(), Rc::clone(&items));
                items
            }
        };
        self.put_in += items.len();
        match self.put_in > MAX_ALL_ITEMS {
            true => Err(ListError::Many(name.to_owned())),
            false => Ok(Some(items)),
        }
    }

    /// Falco puts in only one level; here every level is. A list that is named within itself stays a word.
    fn collect(
        &mut self,
        name: &str,
        chain: &mut Vec<String>,
        out: &mut Vec<Rc<Scalar>>,
        steps: &mut usize,
    ) -> Result<(), ListError> {
        if chain.len() >= MAX_CHAIN {
            return Err(ListError::Deep);
        }
        let Some(list) = self.all.get(name) else {
            return Ok(());
        };
        self.used.insert(name.to_owned());
        chain.push(name.to_owned());
        for item in list.items.iter().filter(|item| !item.text.is_empty()) {
            if self.all.get(&item.text).is_some() && !chain.contains(&item.text) {
                self.collect(&item.text, chain, out, steps)?;
            } else {
                out.push(Rc::new(item.clone()));
            }
            // Lists of empty lists are long too, for who puts them in.
            *steps += 1;
            if *steps > MAX_ITEMS {
                return Err(ListError::Long(chain[0].clone()));
            }
        }
        chain.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: &str, items: &[&str]) -> ListDef {
        let scalar = |text: &str| Scalar {
            text: text.into(),
            at: Place::default(),
        };
        ListDef {
            name: scalar(name),
            items: items.iter().map(|i| scalar(i)).collect(),
        }
    }

    fn put_in(text: &str, lists: &[(&str, &[&str])]) -> String {
        let mut named = Named::default();
        for (name, items) in lists {
            named.put(name, list(name, items));
        }
        let scalar = Scalar {
            text: text.into(),
            at: Place::default(),
        };
        Mapped::joined(&[scalar])
            .with_lists(&Report::default(), &mut Lists::new(&named))
            .unwrap()
            .text
    }

    #[test]
    fn lists_are_put_in_between_delimiters_only() {
        let shells: (&str, &[&str]) = ("shells", &["bash", "my sh", "'q r'"]);
        assert_eq!(
            put_in("proc.name in (shells, x) or my_shells", &[shells]),
            "proc.name in (bash, \"my sh\", 'q r', x) or my_shells"
        );
        assert_eq!(
            put_in("a = \"the shells (shells)\"", &[shells]),
            "a = \"the shells (shells)\""
        );
        assert_eq!(put_in("a=one", &[("one", &["1"])]), "a=1");
    }

    #[test]
    fn every_level_is_put_in_and_loops_end() {
        let lists: [(&str, &[&str]); 3] = [("a", &["x", "a"]), ("b", &["a", "y"]), ("c", &["b", "c", "z"])];
        assert_eq!(put_in("f in (c)", &lists), "f in (x, a, y, c, z)");
    }

    #[test]
    fn an_empty_list_takes_one_comma_with_it() {
        let none: (&str, &[&str]) = ("none", &[]);
        assert_eq!(put_in("f in (a, none, b)", &[none]), "f in (a, b)");
        assert_eq!(put_in("f in (none, b)", &[none]), "f in ( b)");
        assert_eq!(put_in("f in (a, none)", &[none]), "f in (a)");
        assert_eq!(put_in("f in (none)", &[none]), "f in ()");
        assert_eq!(put_in("f in (none, none, b)", &[none]), "f in (  b)");
    }

    fn explosion(of: &[&str]) {
        let mut named = Named::default();
        named.put("l0", list("l0", of));
        for level in 1..20 {
            let below = format!("l{}", level - 1);
            let name = format!("l{level}");
            named.put(&name, list(&name, &[below.as_str(); 10]));
        }
        let scalar = Scalar {
            text: "f in (l19)".into(),
            at: Place::default(),
        };
        let error = Mapped::joined(&[scalar]).with_lists(&Report::default(), &mut Lists::new(&named));
        assert!(matches!(error, Err(ListError::Long(_))));
    }

    #[test]
    fn lists_of_lists_can_not_explode() {
        explosion(&["x"; 10]);
        explosion(&[]);
    }

    #[test]
    fn chains_of_lists_end() {
        let mut named = Named::default();
        named.put("l0", list("l0", &["x"]));
        for level in 1..100_000 {
            let name = format!("l{level}");
            named.put(&name, list(&name, &[&format!("l{}", level - 1)]));
        }
        let mut lists = Lists::new(&named);
        assert_eq!(lists.expand("l150").unwrap().unwrap().len(), 1);
        assert!(matches!(lists.expand("l99999"), Err(ListError::Deep)));
    }
}
