//! The kernel's type information (BTF), read where it lies and in one pass; and the part of it that programs of ours are fitted
//! to, which a library is quicker with than with the hundred thousand types of all the kernel.
//!
//! `Documentation/bpf/btf.rst` says what is in it. The build reads the objects of this build with it, too.

use std::collections::HashMap;

/// What a type is (`BTF_KIND_*`).
pub(crate) const PTR: u8 = 2;
pub(crate) const ARRAY: u8 = 3;
pub(crate) const STRUCT: u8 = 4;
pub(crate) const UNION: u8 = 5;
pub(crate) const ENUM: u8 = 6;
pub(crate) const TYPEDEF: u8 = 8;
pub(crate) const RESTRICT: u8 = 11;
pub(crate) const FUNC: u8 = 12;
pub(crate) const FUNC_PROTO: u8 = 13;
pub(crate) const TYPE_TAG: u8 = 18;
pub(crate) const ENUM64: u8 = 19;

const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
/// What there is of a header in this version.
const HEADER_LEN: u32 = 24;
/// What every type begins with: its name, what it is, its size or another type.
const TYPE_LEN: usize = 12;
/// The parts of an array: two types and a number. Those of a member: its name, a type and a place.
const TRIPLE: usize = 12;

/// Type information.
pub(crate) struct Btf<'b> {
    types: &'b [u8],
    strings: &'b [u8],
    /// Where each begins, from the one with id 1 on.
    starts: Vec<u32>,
}

/// One type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Type<'b> {
    pub(crate) kind: u8,
    /// Its name's place, and the four bytes that say what it is.
    head: [u32; 2],
    /// Its size, or the id of the type it is made of.
    pub(crate) of: u32,
    /// What follows: members, parameters, values.
    parts: &'b [u8],
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Bytes that follow a type's first twelve; `None` of a kind that is not known.
fn parts_len(kind: u8, count: usize) -> Option<usize> {
    Some(match kind {
        // BTF_KIND_INT, _VAR, _DECL_TAG
        1 | 14 | 17 => 4,
        ARRAY => TRIPLE,
        STRUCT | UNION | ENUM64 => TRIPLE * count,
        // BTF_KIND_DATASEC
        15 => TRIPLE * count,
        ENUM | FUNC_PROTO => 8 * count,
        // BTF_KIND_FWD, _CONST, _FLOAT
        PTR | 7 | TYPEDEF..=FUNC | 16 | TYPE_TAG => 0,
        _ => return None,
    })
}

impl<'b> Btf<'b> {
    /// Finds the types in it. `None` of what is no type information, or has kinds of types that are not known.
    pub(crate) fn read(bytes: &'b [u8]) -> Option<Btf<'b>> {
        let (magic, version) = (bytes.first_chunk()?, *bytes.get(2)?);
        if u16::from_ne_bytes(*magic) != MAGIC || version != VERSION {
            return None;
        }
        let header = place(word(bytes, 4)?);
        let part = |at: usize| {
            let begin = header.checked_add(place(word(bytes, at)?))?;
            bytes.get(begin..begin.checked_add(place(word(bytes, at + 4)?))?)
        };
        let (types, strings) = (part(8)?, part(16)?);
        // What a type takes at least, and the most there can be: no list is grown.
        let mut starts = Vec::with_capacity(types.len() / 32);
        let mut at = 0;
        while at < types.len() {
            let one = type_at(types, at)?;
            starts.push(u32::try_from(at).ok()?);
            at += TYPE_LEN + one.parts.len();
        }
        Some(Btf {
            types,
            strings,
            starts,
        })
    }

    /// A type by its id; none of id 0, which is `void`.
    pub(crate) fn get(&self, id: u32) -> Option<Type<'b>> {
        let start = self.starts.get(place(id.checked_sub(1)?))?;
        type_at(self.types, place(*start))
    }

    /// All types with their ids.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u32, Type<'b>)> {
        let one = |start: &u32| type_at(self.types, place(*start));
        (1..).zip(self.starts.iter().filter_map(one))
    }

    /// A type's name; empty where it has none.
    pub(crate) fn name(&self, one: Type<'_>) -> &'b [u8] {
        self.string(one.head[0])
    }

    /// True when a type's name begins so: most do not, and their ends are not looked for.
    pub(crate) fn begins(&self, one: Type<'_>, prefix: &[u8]) -> bool {
        let name = self.strings.get(place(one.head[0])..);
        name.is_some_and(|name| name.starts_with(prefix))
    }

    fn string(&self, at: u32) -> &'b [u8] {
        let rest = self.strings.get(place(at)..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == 0);
        rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
    }

    /// The type behind typedefs and qualifiers.
    pub(crate) fn plain(&self, id: u32) -> Option<Type<'b>> {
        let mut one = self.get(id)?;
        // Type information that goes in a circle is nobody's.
        for _ in 0..32 {
            match one.kind {
                TYPEDEF..=RESTRICT | TYPE_TAG => one = self.get(one.of)?,
                _ => return Some(one),
            }
        }
        None
    }

    /// The structure that a pointer points to, by its name.
    pub(crate) fn pointed_struct(&self, pointer: u32) -> Option<&'b [u8]> {
        let pointer = self.get(pointer).filter(|one| one.kind == PTR)?;
        let of = self.plain(pointer.of).filter(|one| one.kind == STRUCT)?;
        Some(self.name(of))
    }

    /// Type information of its own, of those structures, unions, enums and typedefs whose name is wanted, and of what they
    /// have in them. What they point to is left out.
    pub(crate) fn reduced(&self, wanted: &dyn Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut reduced = Reduced::default();
        for (id, one) in self.all() {
            if one.has_named_form() && wanted(self.name(one)) {
                reduced.id(id);
            }
        }
        let mut done = 0;
        while let Some(id) = reduced.order.get(done).copied() {
            done += 1;
            if let Some(one) = self.get(id) {
                reduced.put(self, one);
            }
        }
        reduced.bytes()
    }
}

fn type_at(types: &[u8], at: usize) -> Option<Type<'_>> {
    let (name, info, of) = (word(types, at)?, word(types, at + 4)?, word(types, at + 8)?);
    let kind = u8::try_from(info >> 24 & 0x1f).ok()?;
    let length = parts_len(kind, place(info & 0xffff))?;
    let begin = at + TYPE_LEN;
    Some(Type {
        kind,
        head: [name, info],
        of,
        parts: types.get(begin..begin.checked_add(length)?)?,
    })
}

impl Type<'_> {
    /// A structure, union, enum or typedef with a name.
    pub(crate) fn has_named_form(&self) -> bool {
        matches!(self.kind, STRUCT | UNION | ENUM | ENUM64 | TYPEDEF) && self.head[0] != 0
    }

    /// The types of a prototype's parameters.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = u32> {
        let parts = match self.kind {
            FUNC_PROTO => self.parts,
            _ => &[],
        };
        parts.chunks_exact(8).filter_map(|part| word(part, 4))
    }
}

/// What [`Btf::reduced`] puts together.
struct Reduced {
    /// By the id there is, the id it gets.
    ids: HashMap<u32, u32>,
    /// The other way round, from 1 on.
    order: Vec<u32>,
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Default for Reduced {
    fn default() -> Reduced {
        Reduced {
            ids: HashMap::new(),
            order: Vec::new(),
            types: Vec::new(),
            // The empty name.
            strings: vec![0],
        }
    }
}

impl Reduced {
    fn id(&mut self, id: u32) -> u32 {
        if id == 0 {
            return 0;
        }
        let next = u32::try_from(self.order.len() + 1).unwrap_or(0);
        let known = *self.ids.entry(id).or_insert(next);
        if known == next {
            self.order.push(id);
        }
        known
    }

    fn string(&mut self, btf: &Btf<'_>, at: u32) -> u32 {
        if at == 0 {
            return 0;
        }
        let begin = u32::try_from(self.strings.len()).unwrap_or(0);
        self.strings.extend(btf.string(at));
        self.strings.push(0);
        begin
    }

    fn words(&mut self, words: &[u32]) {
        self.types
            .extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    }

    fn put(&mut self, btf: &Btf<'_>, one: Type<'_>) {
        let name = self.string(btf, one.head[0]);
        let of = match one.kind {
            PTR => 0,
            TYPEDEF..=RESTRICT | TYPE_TAG => self.id(one.of),
            _ => one.of,
        };
        self.words(&[name, one.head[1], of]);
        let triple = |part: &[u8]| Some([word(part, 0)?, word(part, 4)?, word(part, 8)?]);
        match one.kind {
            ARRAY => {
                for [element, index, count] in one.parts.chunks_exact(TRIPLE).filter_map(triple) {
                    let (element, index) = (self.id(element), self.id(index));
                    self.words(&[element, index, count]);
                }
            }
            STRUCT | UNION => {
                for [name, of, place] in one.parts.chunks_exact(TRIPLE).filter_map(triple) {
                    let (name, of) = (self.string(btf, name), self.id(of));
                    self.words(&[name, of, place]);
                }
            }
            ENUM | ENUM64 => {
                let length = if one.kind == ENUM { 8 } else { TRIPLE };
                for value in one.parts.chunks_exact(length) {
                    let name = self.string(btf, word(value, 0).unwrap_or(0));
                    self.words(&[name]);
                    self.types.extend(value.get(4..).unwrap_or_default());
                }
            }
            _ => self.types.extend(one.parts),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let length = |of: &[u8]| u32::try_from(of.len()).unwrap_or(0);
        let (types, strings) = (length(&self.types), length(&self.strings));
        let mut bytes = Vec::with_capacity(place(HEADER_LEN) + self.types.len() + self.strings.len());
        bytes.extend(MAGIC.to_ne_bytes());
        bytes.extend([VERSION, 0]);
        for number in [HEADER_LEN, 0, types, types, strings] {
            bytes.extend(u32::to_ne_bytes(number));
        }
        bytes.extend(&self.types);
        bytes.extend(&self.strings);
        bytes
    }
}
