//! The automaton by which the kernel's side tells opens that no rule can match ([`crate::open_names`]): a table of states.
//!
//! It reads an absolute path from its end to its beginning, which is how the kernel's side meets the names of its objects: the
//! leaf first. What is written between names and is none (`//`, `.`, a slash at the end) it skips. bpf/names.h does what
//! [`NameTable::passes`] does.

use std::collections::{BTreeSet, HashMap};

use crate::open_names::{OPENS_OTHERWISE, OPENS_TO_READ, Pattern, Piece, Term};

/// Cells of a table, a power of two.
pub const NAME_CELLS: usize = 1 << 15;
/// Most classes of bytes: twice the number of one is a byte.
pub const NAME_CLASSES: usize = 1 << 7;
/// An open to read one of whose names this is said of passes ([`crate::open_names::OPENS_TO_READ`]).
pub const NAME_PASSES_READ: u8 = OPENS_TO_READ;
/// The same of other opens.
pub const NAME_PASSES: u8 = OPENS_OTHERWISE;
/// Of a path that was passed: where a name has [`NAME_WITH_RAW`] the open passes.
pub const NAME_RAW: u8 = 4;
/// See [`NAME_RAW`].
pub const NAME_WITH_RAW: u8 = 8;
/// Of a path that was passed: the open passes when the kernel's name of what it opened is not known. User space may know it.
pub const NAME_UNLESS_REAL: u8 = 16;

/// Whatever an open is for.
const ANY: u8 = NAME_PASSES_READ | NAME_PASSES;
/// The state in which everything passes, whatever is still read.
const PASSES: u16 = 0;
/// Most bytes that a pattern names: fewer and fewer, until the table is large enough.
const BYTES: [usize; 5] = [256, 32, 16, 10, 6];
/// Patterns of so many pieces together are not tried.
const PIECES: usize = 1 << 16;

/// A table of states. What is said of a path is in the first cell of the state that it leads to, and in the others the states
/// that bytes lead on to.
#[derive(Clone, PartialEq, Eq)]
pub struct NameTable {
    /// By byte, the cell of a state.
    classes: [u8; 256],
    /// The first cells of states follow each other with so many between them.
    cells: Vec<u16>,
    /// The cells of a state.
    width: usize,
    /// The state before anything is read.
    start: u16,
}

impl NameTable {
    /// A table for these terms; `None` when they need more than fits.
    pub fn new(terms: &BTreeSet<Term>) -> Option<NameTable> {
        BYTES.iter().find_map(|most| {
            let mut patterns = BTreeSet::new();
            let mut add = |of: &Pattern, text, said| patterns.insert((of.with_bytes(*most), text, said));
            for term in terms {
                match (&term.raw, &term.name) {
                    (None, None) => return None,
                    (Some(raw), None) => add(raw, Text::AsWritten, term.opens & ANY),
                    (None, Some(name)) => add(name, Text::Names, term.opens & ANY),
                    (Some(raw), Some(name)) => {
                        add(raw, Text::AsWritten, NAME_RAW);
                        add(name, Text::Names, NAME_WITH_RAW)
                    }
                };
            }
            // Those through the links of /proc.
            for text in ["/proc/*", "/dev/fd/*"] {
                add(&written(text), Text::Names, NAME_UNLESS_REAL);
            }
            Build::new(&patterns)?.table()
        })
    }

    /// The table as the programs have it: the classes of bytes, the first state, the cells. Their places are counted in bytes, which
    /// saves the programs the reckoning, and behind the last cell is room for what a class could lead to.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.classes.iter().map(|class| 2 * class).collect();
        bytes.extend((2 * u32::from(self.start)).to_ne_bytes());
        let cells = self.cells.chunks(self.width).flat_map(|state| {
            let (said, next) = state.split_first().unwrap_or((&0, &[]));
            std::iter::once(*said).chain(next.iter().map(|place| 2 * place))
        });
        bytes.extend(cells.flat_map(u16::to_ne_bytes));
        bytes.resize(256 + 4 + 2 * (NAME_CELLS + NAME_CLASSES), 0);
        bytes
    }

    /// True unless no rule can match a call that leaves no file open and goes by these names ([`crate::open_names::OpenNames::calls`]),
    /// absolute as they are written. What is said of them is what is said of opens that do not only read.
    pub fn passes_call(&self, names: &[&[u8]]) -> bool {
        names
            .iter()
            .any(|name| self.said(name) & (NAME_PASSES | NAME_UNLESS_REAL) != 0)
    }

    /// How many cells of [`NAME_CELLS`] it takes.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// False: there is a state before anything is read.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// What is said of a path.
    fn said(&self, path: &[u8]) -> u8 {
        let cell = |state: u16, cell: u8| self.cells.get(usize::from(state) + usize::from(cell)).copied();
        let next = |state, byte: &u8| cell(state, self.classes[usize::from(*byte)]).unwrap_or(PASSES);
        let state = path.iter().rev().fold(self.start, next);
        cell(state, 0)
            .and_then(|said| said.try_into().ok())
            .unwrap_or(ANY)
    }

    /// True unless no rule can match an open of the path `requested`, made absolute as it is written, that opened what the kernel
    /// calls `real`. `opens`: what for, or both where that is not known. Of a path that begins with a slash and starts from a
    /// directory all the same, both are `requested`: as it was passed, and behind the directory.
    pub fn passes(&self, opens: u8, requested: &[&[u8]], real: Option<&[u8]>) -> bool {
        let requested = requested.iter().fold(0, |said, path| said | self.said(path));
        let (said, unknown) = match real {
            Some(real) => (self.said(real), 0),
            None => (0, NAME_UNLESS_REAL),
        };
        requested & (opens | unknown) != 0
            || said & opens != 0
            || (requested & NAME_RAW != 0 && (requested | said) & NAME_WITH_RAW != 0)
    }
}

impl std::fmt::Debug for NameTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NameTable")
            .field("cells", &self.cells.len())
            .finish_non_exhaustive()
    }
}

/// A pattern as it is written here: `*` is any bytes.
fn written(text: &str) -> Pattern {
    Pattern::new(text.bytes().map(|byte| match byte {
        b'*' => Piece::Run,
        byte => Piece::Byte(byte),
    }))
}

/// What of a path a pattern is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Text {
    /// What is written, several slashes as one: `fd.nameraw`.
    AsWritten,
    /// The names in it, each with a slash before it; of the root, which has none, a slash.
    Names,
}

/// Where in a path its reader is, who goes backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Within {
    /// Nothing was read.
    Start,
    /// A name, of which a byte was read.
    Name,
    /// Between names: before the slash or the end of the text that was read last, or before a dot that is a name's end or none.
    /// `is_root`: no name was read yet.
    Between { dot: bool, is_root: bool },
}

impl Within {
    /// What follows when this byte is read, and whether it is a name's, with the dot behind it; `None` of `..`, of which the
    /// names before it say too little, and of names that end so, which are rare.
    fn next(self, byte: u8) -> Option<(Within, bool)> {
        Some(match (self, byte) {
            (Within::Name, b'/') => {
                let is_root = false;
                (Within::Between { dot: false, is_root }, true)
            }
            (Within::Between { is_root, .. }, b'/') => (Within::Between { dot: false, is_root }, false),
            (Within::Between { dot: true, .. }, b'.') => return None,
            (Within::Start, b'/' | b'.') => {
                let (dot, is_root) = (byte == b'.', true);
                (Within::Between { dot, is_root }, false)
            }
            (Within::Between { is_root, .. }, b'.') => (Within::Between { dot: true, is_root }, false),
            _ => (Within::Name, true),
        })
    }

    /// The dot that may be a name's end.
    fn dot(self) -> &'static [u8] {
        match self {
            Within::Between { dot: true, .. } => b".",
            _ => b"",
        }
    }
}

/// A place in a pattern that is read from its end, of all patterns together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Piece(Piece),
    /// The last of a pattern, and any text may follow.
    Rest,
    End,
}

/// Where a text may have led to: places in patterns, and what is said whatever follows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    places: Vec<u32>,
    said: u8,
    within: Within,
}

struct Build {
    places: Vec<Place>,
    /// What is said of the pattern that a place is in, and what it is about.
    says: Vec<(Text, u8)>,
    classes: [u8; 256],
    /// A byte of each class.
    bytes: Vec<u8>,
    start: Vec<u32>,
}

impl Build {
    fn new(patterns: &BTreeSet<(Pattern, Text, u8)>) -> Option<Build> {
        let (mut places, mut says, mut start) = (Vec::new(), Vec::new(), Vec::new());
        for (pattern, text, said) in patterns {
            start.push(u32::try_from(places.len()).ok()?);
            let (first, others) = match pattern.pieces().split_first() {
                Some((Piece::Run, others)) => (Place::Rest, others),
                _ => (Place::End, pattern.pieces()),
            };
            places.extend(
                others
                    .iter()
                    .rev()
                    .map(|piece| Place::Piece(*piece))
                    .chain([first]),
            );
            says.resize(places.len(), (*text, *said));
        }
        if places.len() > PIECES {
            return None;
        }
        let named: BTreeSet<u8> = places
            .iter()
            .filter_map(|place| match place {
                Place::Piece(Piece::Byte(byte)) => Some(*byte),
                _ => None,
            })
            .chain(*b"/.")
            .collect();
        let mut classes = [0; 256];
        let mut bytes = Vec::new();
        for byte in &named {
            bytes.push(*byte);
            classes[usize::from(*byte)] = u8::try_from(bytes.len()).ok()?;
        }
        if let Some(other) = (0..=u8::MAX).find(|byte| !named.contains(byte)) {
            bytes.push(other);
            let class = u8::try_from(bytes.len()).ok()?;
            classes
                .iter_mut()
                .filter(|of| **of == 0)
                .for_each(|of| *of = class);
        }
        if bytes.len() >= NAME_CLASSES {
            return None;
        }
        Some(Build {
            places,
            says,
            classes,
            bytes,
            start,
        })
    }

    /// What is said of the pattern of a place.
    fn says(&self, at: u32) -> u8 {
        self.says[at as usize].1
    }

    fn is_of(&self, text: Text, at: u32) -> bool {
        self.says[at as usize].0 == text
    }

    /// Adds a place, and those behind it that the same text leads to.
    fn reach(&self, mut at: u32, places: &mut Vec<u32>, said: &mut u8) {
        loop {
            match self.places[at as usize] {
                Place::Rest => {
                    *said |= self.says(at);
                    return;
                }
                Place::Piece(Piece::Part | Piece::Run) => {
                    places.push(at);
                    at += 1;
                }
                _ => return places.push(at),
            }
        }
    }

    /// `None` where everything passes.
    fn state(&self, mut places: Vec<u32>, said: u8, within: Within) -> Option<State> {
        if said & ANY == ANY {
            return None;
        }
        // What more these could say is said.
        places.retain(|at| self.says(*at) & !said != 0);
        places.sort_unstable();
        places.dedup();
        Some(State { places, said, within })
    }

    /// Adds the places that a byte leads to from one.
    fn step(&self, at: u32, byte: u8, next: &mut Vec<u32>, said: &mut u8) {
        match self.places[at as usize] {
            Place::Piece(Piece::Byte(wanted)) if wanted == byte => self.reach(at + 1, next, said),
            Place::Piece(Piece::One) => self.reach(at + 1, next, said),
            Place::Piece(Piece::Part) if byte != b'/' => self.reach(at, next, said),
            Place::Piece(Piece::Run) => self.reach(at, next, said),
            _ => {}
        }
    }

    /// The places that bytes lead to.
    fn read(&self, places: &[u32], bytes: &[u8], said: &mut u8) -> Vec<u32> {
        bytes.iter().fold(places.to_vec(), |places, byte| {
            let mut next = Vec::with_capacity(places.len());
            for at in places {
                self.step(at, *byte, &mut next, said);
            }
            next
        })
    }

    /// Adds the states that follow, by class of bytes: as `name` calls them.
    fn next(&self, state: &State, mut name: impl FnMut(Option<State>) -> Option<u16>) -> Option<Vec<u16>> {
        let of = |text| {
            state
                .places
                .iter()
                .copied()
                .filter(move |at| self.is_of(text, *at))
        };
        let (written, names): (Vec<u32>, Vec<u32>) =
            (of(Text::AsWritten).collect(), of(Text::Names).collect());
        let mut said_with_dot = state.said;
        let with_dot = self.read(&names, state.within.dot(), &mut said_with_dot);
        // Bytes that none of the places waits for all lead to one state.
        let mut wanted = [false; 256];
        for byte in b"/." {
            wanted[usize::from(*byte)] = true;
        }
        for at in written.iter().chain(&with_dot) {
            if let Place::Piece(Piece::Byte(byte)) = self.places[*at as usize] {
                wanted[usize::from(byte)] = true;
            }
        }
        let mut follows = |byte: u8| {
            let Some((within, is_name)) = state.within.next(byte) else {
                return name(None);
            };
            let mut said = if is_name { said_with_dot } else { state.said };
            let is_second = byte == b'/' && matches!(state.within, Within::Between { dot: false, .. });
            let mut next = match is_second {
                true => written.clone(),
                false => self.read(&written, &[byte], &mut said),
            };
            match is_name {
                true => next.extend(self.read(&with_dot, &[byte], &mut said)),
                false => next.extend(&names),
            }
            name(self.state(next, said, within))
        };
        let mut others = None;
        let mut all = Vec::with_capacity(self.bytes.len());
        for byte in &self.bytes {
            all.push(match (wanted[usize::from(*byte)], others) {
                (false, Some(others)) => others,
                (false, None) => *others.insert(follows(*byte)?),
                (true, _) => follows(*byte)?,
            });
        }
        Some(all)
    }

    /// What is said of the path when nothing is before what was read.
    fn said(&self, state: &State) -> u8 {
        let mut said = state.said;
        let is_root = match state.within {
            Within::Start => true,
            Within::Between { dot: false, is_root } => is_root,
            // It does not begin with a slash: it is not known where it starts from.
            _ => return ANY,
        };
        let of_root = |at: &u32| is_root && self.is_of(Text::Names, *at);
        let (root, mut ends): (Vec<u32>, Vec<u32>) = state.places.iter().partition(|at| of_root(at));
        ends.extend(self.read(&root, b"/", &mut said));
        let ends = ends.iter().filter(|at| self.places[**at as usize] == Place::End);
        ends.fold(said, |said, at| said | self.says(*at))
    }

    fn table(&self) -> Option<NameTable> {
        let width = self.bytes.len() + 1;
        let mut cells = vec![0u16; width];
        cells[0] = ANY.into();
        let mut known: HashMap<State, u16> = HashMap::new();
        let mut left: Vec<(State, u16)> = Vec::new();
        let mut name = |state: Option<State>, cells: &mut Vec<u16>, left: &mut Vec<(State, u16)>| {
            let Some(state) = state else {
                return Some(PASSES);
            };
            if let Some(known) = known.get(&state) {
                return Some(*known);
            }
            let at = cells.len();
            if at + width > NAME_CELLS {
                return None;
            }
            cells.resize(at + width, 0);
            cells[at] = self.said(&state).into();
            let at = u16::try_from(at).ok()?;
            known.insert(state.clone(), at);
            left.push((state, at));
            Some(at)
        };
        let (mut places, mut said) = (Vec::new(), 0);
        for at in &self.start {
            self.reach(*at, &mut places, &mut said);
        }
        let start = name(self.state(places, said, Within::Start), &mut cells, &mut left)?;
        while let Some((state, at)) = left.pop() {
            let next = self.next(&state, |state| name(state, &mut cells, &mut left))?;
            let first = usize::from(at) + 1;
            cells[first..first + next.len()].copy_from_slice(&next);
        }
        Some(NameTable {
            classes: self.classes,
            cells,
            width,
            start,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open_names::tests::{pattern, texts};

    fn term(raw: &str, name: &str) -> Term {
        let of = |text: &str| (!text.is_empty()).then(|| pattern(text));
        Term {
            opens: ANY,
            raw: of(raw),
            name: of(name),
        }
    }

    fn table(terms: &[Term]) -> NameTable {
        NameTable::new(&terms.iter().cloned().collect()).unwrap()
    }

    /// What the programs find said of a path, in the table as they have it: bpf/names.h.
    fn said_in(bytes: &[u8], path: &[u8]) -> u16 {
        let (classes, rest) = bytes.split_at(256);
        let (start, cells) = rest.split_at(4);
        let cell = |at: u16, class: u8| {
            let at = usize::from(at) + usize::from(class);
            u16::from_ne_bytes(cells[at..at + 2].try_into().unwrap())
        };
        let start = u32::from_ne_bytes(start.try_into().unwrap()).try_into().unwrap();
        let next = |state, byte: &u8| cell(state, classes[usize::from(*byte)]);
        cell(path.iter().rev().fold(start, next), 0)
    }

    #[test]
    fn what_a_term_holds_for_passes_and_of_the_rest_what_is_not_as_it_is_written() {
        let sets: [&[Term]; 5] = [
            &[term("", "/a"), term("", "/a/b+")],
            &[term("", "/a*"), term("", "*b")],
            &[term("*a", "/b*"), term("", "/b/a?a")],
            &[term("*ab*", ""), term("", "*a/*b")],
            &[term("*b*", "*a"), term("*/a", "/a+")],
        ];
        let texts = texts(b"ab/", 5);
        let plain = |text: &&Vec<u8>| {
            text.starts_with(b"/") && !text.ends_with(b"/") && !text.windows(2).any(|two| two == b"//")
        };
        for terms in sets {
            let table = table(terms);
            let is_of_names = terms.iter().all(|term| term.raw.is_none());
            let bytes = table.bytes();
            for text in &texts {
                assert_eq!(
                    said_in(&bytes, text),
                    u16::from(table.said(text)),
                    "{terms:?} {text:?}"
                );
                let reals = texts.iter().filter(plain).take(40).map(|real| Some(&real[..]));
                for real in reals.chain([None]) {
                    let wanted = terms.iter().any(|term| term.matches(text, real));
                    let passes = table.passes(ANY, &[text], real);
                    assert!(passes || !wanted, "{terms:?} {text:?} {real:?}");
                    if is_of_names && plain(&text) {
                        assert_eq!(passes, wanted, "{terms:?} {text:?} {real:?}");
                    }
                }
            }
        }
        // As somebody goes up who is then somewhere else.
        let up = table(&[term("*..x/*", "/etc/*"), term("", "/b")]);
        let passes = |requested: &[u8], real| up.passes(ANY, &[requested], Some(real));
        assert!(!passes(b"/etc/x", b"/etc/y") && passes(b"/a..x/x", b"/etc/y"));
        assert!(!passes(b"/a..x/x", b"/a/x") && passes(b"/a..x/x", b"/b"));
    }

    #[test]
    fn a_table_that_would_be_too_large_names_fewer_bytes_and_where_that_is_not_enough_there_is_none() {
        let name = |number: u32| format!("/{:08x}{:08x}", number, number.wrapping_mul(2_654_435_761));
        let of = |count| NameTable::new(&(0..count).map(|number| term("", &name(number))).collect());
        for (count, is_exact) in [(20, true), (300, false)] {
            let table = of(count).unwrap();
            assert!(table.len() <= NAME_CELLS, "{count}: {}", table.len());
            let passes = |name: &str| table.passes(ANY, &[], Some(name.as_bytes()));
            assert!((0..count).all(|number| passes(&name(number))));
            assert!(!passes("/etc/passwd"));
            // The same end.
            let other = name(7).replacen("/00000007", "/00f00007", 1);
            assert_eq!(passes(&other), !is_exact, "{count}");
        }
        assert!(of(3000).is_none());
    }

    #[test]
    fn a_table_of_more_classes_than_there_can_be_names_fewer_bytes() {
        let name = (1..=u8::MAX).filter(|byte| !b"/.".contains(byte));
        let path: Vec<u8> = name.chain(*b"/xyz").collect();
        let of = |byte: &u8| Piece::Byte(*byte);
        let table = table(&[Term {
            name: Some(Pattern::new([b'/'].iter().chain(&path).map(of))),
            ..term("", "")
        }]);
        let passes = |path: &[u8]| table.passes(ANY, &[], Some(path));
        assert!(passes(&[b"/", &path[..]].concat()) && !passes(b"/xyz") && !passes(b"/etc/passwd"));
        let bytes: BTreeSet<u8> = table.bytes()[..256].iter().copied().collect();
        assert!(bytes.len() < NAME_CLASSES && bytes.iter().all(|class| class % 2 == 0 && *class > 0));
    }

    #[test]
    fn what_is_only_wanted_of_some_opens_does_not_pass_for_others() {
        let one = |opens, name: &str| Term {
            opens,
            ..term("", name)
        };
        let table = table(&[
            one(OPENS_TO_READ, "/a*"),
            one(OPENS_OTHERWISE, "*b"),
            one(ANY, "/c"),
        ]);
        for (path, reads, others) in [
            ("/a", true, false),
            ("/b", false, true),
            ("/ab", true, true),
            ("/c", true, true),
            ("/d", false, false),
        ] {
            let path = path.as_bytes();
            let passes = |opens| {
                [
                    table.passes(opens, &[path], None),
                    table.passes(opens, &[b"/x"], Some(path)),
                ]
            };
            assert_eq!(passes(OPENS_TO_READ), [reads; 2]);
            assert_eq!(passes(OPENS_OTHERWISE), [others; 2]);
            assert_eq!(passes(ANY), [reads || others; 2]);
        }
    }

    #[test]
    fn what_is_no_name_is_skipped_and_what_goes_up_passes() {
        let table = table(&[term("", "/etc/shadow"), term("", "/"), term("", "/etc/.x.")]);
        let passes = |path: &str| {
            let of = |requested: &str, real: &str| {
                table.passes(OPENS_TO_READ, &[requested.as_bytes()], Some(real.as_bytes()))
            };
            assert_eq!(of(path, "/x"), of("/x", path), "{path}");
            of(path, "/x")
        };
        for path in [
            "/etc/shadow",
            "/etc/shadow/",
            "/etc/./shadow/.",
            "//etc///shadow//",
            "/./etc/shadow",
            "/etc/.x.",
            "/etc/.x./",
            "/etc/../x",
            "/x..",
            "/x.../y",
            "/x/..",
            "/../x",
            "/",
            "",
            "/.",
            "/.//",
            "etc/shadow",
            ".",
            "..",
        ] {
            assert!(passes(path), "{path}");
        }
        for path in [
            "/etc/shadow-",
            "/etc/shadow./",
            "/etc/.shadow",
            "/x/.y",
            "/x/..y",
            "/x/y.",
            "/x/y./.",
            "/x/./y",
            "/x//y/",
            "//x",
            "/etc/x.",
            "/etc/.x",
            "/proc/self/fd/3",
            "/etc/x/shadow",
        ] {
            assert!(!passes(path), "{path}");
        }
        for path in ["/proc/self/fd/3", "//dev/./fd/3", "/proc/1/root/x"] {
            assert!(table.passes(OPENS_TO_READ, &[path.as_bytes()], None), "{path}");
        }
        assert!(!table.passes(OPENS_TO_READ, &[b"/process"], None));
    }

    #[test]
    fn what_was_passed_is_looked_at_as_it_is_written_and_alone_where_its_directory_is_its_root() {
        let table = table(&[term("/a", ""), term("*/./*", "/b/*"), term("*c/", "")]);
        let passes = |requested: &[&[u8]], real: &[u8]| table.passes(OPENS_TO_READ, requested, Some(real));
        assert!(passes(&[b"/a"], b"/x") && !passes(&[b"/a/"], b"/x") && !passes(&[b"/x/a"], b"/x"));
        assert!(passes(&[b"/a", b"/x/a"], b"/x/a"));
        assert!(passes(&[b"/x/./y"], b"/b/y") && !passes(&[b"/x/y"], b"/b/y"));
        assert!(passes(&[b"/b/./y"], b"/y") && passes(&[b"/c//"], b"/y") && !passes(&[b"/c"], b"/y"));
        // Several slashes are one there, too.
        assert!(passes(&[b"//a"], b"/x") && passes(&[b"/x//.///y"], b"/b/y") && !passes(&[b"/a//"], b"/x"));
    }

    #[test]
    fn what_does_not_fit_is_kept_by_its_end_or_its_beginning() {
        let many: Vec<Term> = (0..4000)
            .map(|n| term("", &format!("/usr/share/{n:x}/some/where/file{}", n % 7)))
            .collect();
        let of_many = table(&many);
        assert!(of_many.passes(OPENS_TO_READ, &[b"/usr/share/1f/some/where/file3"], None));
        assert!(!of_many.passes(OPENS_TO_READ, &[b"/usr/share/1f/some/where/files"], None));
        let too_many: Vec<Term> = (0..4000u32)
            .map(|n| term("", &format!("/x/{:x}", n.wrapping_mul(0x9e37_79b9))))
            .collect();
        assert_eq!(NameTable::new(&too_many.into_iter().collect()), None);
        assert_eq!(
            NameTable::new(&[term("", "")].into_iter().collect()),
            None,
            "whatever it is called"
        );
    }
}
