//! Classes of system calls: what the kernel's side can tell of a call that has returned before it makes a record of it.
//!
//! A class is how the call ended, whose it is and, of a call that opens a file, what it opens it for; of one that makes a
//! socket, of which family; of one that sets the mode of a file, whom programs run as that have it; of one that changes the
//! credentials of its thread, which thread that is. There are 64, so a set of them is one number, and asking whether a call is in it is a shift.

use std::fmt;

use crate::flags::{O_ACCMODE, O_CREAT, O_PATH, O_TMPFILE_BIT, O_TRUNC};

/// The bits of the class of an open that say what it is for: its access mode, but for [`CLASS_BOTH_WAYS`] and [`CLASS_OF_PATH`].
/// build.rs gives all these to the programs as `CLASS_*`.
pub const CLASS_WAY: u32 = 3;
/// For reading and writing; and access mode 3, which allows neither and hardly anybody uses.
const CLASS_BOTH_WAYS: u32 = 2;
/// By `O_PATH`, and for reading if that were not. With it the access mode means nothing, and hardly anybody sets one: opens with
/// both are of the class of their access mode.
const CLASS_OF_PATH: u32 = 3;
/// Bits of a class.
pub const CLASS_CREATES: u32 = 1 << 2;
/// See [`CLASS_CREATES`].
pub const CLASS_TRUNCATES: u32 = 1 << 3;
/// See [`CLASS_CREATES`].
pub const CLASS_FAILED: u32 = 1 << 4;
/// See [`CLASS_CREATES`].
pub const CLASS_CONTAINER: u32 = 1 << 5;

/// Another thread than the first of its process made it, of a call that changes the credentials of its thread.
pub const CLASS_OTHER_THREAD: u32 = 1;

/// How many bits, from the lowest, are about the flags of an open, the family of a socket, the mode of a file or the thread.
const FLAG_BITS: u32 = 4;
/// Families of sockets below this have a class each but the first, which is for all that have none.
pub const CLASS_FAMILIES: u32 = 1 << FLAG_BITS;
/// The lowest bit of a mode that a class has: it is the class's lowest.
pub const CLASS_MODE_SHIFT: u32 = 9;
/// The bits of a mode that a class has: `S_ISVTX`, `S_ISGID` and `S_ISUID`.
pub const CLASS_MODE: u64 = 0o7 << CLASS_MODE_SHIFT;

/// One class of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallClass(u32);

impl CallClass {
    /// Every class.
    pub fn all() -> impl Iterator<Item = CallClass> {
        (0..64).map(CallClass)
    }

    /// The class of a call that is none that opens a file.
    pub fn new(failed: bool, in_container: bool) -> CallClass {
        let failed = if failed { CLASS_FAILED } else { 0 };
        let owner = if in_container { CLASS_CONTAINER } else { 0 };
        CallClass(failed | owner)
    }

    /// The same of a call that opens a file with these flags, in the kernel's numbers.
    #[must_use]
    pub fn opening(self, flags: u64) -> CallClass {
        let mut class = way((flags & O_ACCMODE) as u32, flags & O_PATH != 0);
        if flags & (O_CREAT | O_TMPFILE_BIT) != 0 {
            class |= CLASS_CREATES;
        }
        if flags & O_TRUNC != 0 {
            class |= CLASS_TRUNCATES;
        }
        CallClass(self.0 & !((1 << FLAG_BITS) - 1) | class)
    }

    /// The same of a call that makes a socket of this family.
    #[must_use]
    pub fn of_family(self, family: u64) -> CallClass {
        let family = u32::try_from(family).ok();
        let own = family.filter(|family| *family < CLASS_FAMILIES).unwrap_or(0);
        CallClass(self.0 & !((1 << FLAG_BITS) - 1) | own)
    }

    /// The family of the socket that a call of this class makes; `None` where it may be one of several.
    pub fn family(self) -> Option<u64> {
        let own = self.0 & ((1 << FLAG_BITS) - 1);
        (own != 0).then_some(own.into())
    }

    /// The same of a call that gives a file this mode.
    #[must_use]
    pub fn of_mode(self, mode: u64) -> CallClass {
        // At most 7.
        let own = ((mode & CLASS_MODE) >> CLASS_MODE_SHIFT) as u32;
        CallClass(self.0 & !((1 << FLAG_BITS) - 1) | own)
    }

    /// The bits that are known of the mode that a call of this class gives a file, and what they are.
    pub fn mode(self) -> (u64, u64) {
        (CLASS_MODE, u64::from(self.0) << CLASS_MODE_SHIFT & CLASS_MODE)
    }

    /// The same of a call that changes the credentials of a thread that is not the first of its process.
    #[must_use]
    pub fn of_other_thread(self) -> CallClass {
        CallClass(self.0 & !((1 << FLAG_BITS) - 1) | CLASS_OTHER_THREAD)
    }

    /// The call failed.
    pub fn failed(self) -> bool {
        self.0 & CLASS_FAILED != 0
    }

    /// A process of a container made it.
    pub fn in_container(self) -> bool {
        self.0 & CLASS_CONTAINER != 0
    }

    /// The open may create a file.
    pub fn may_create(self) -> bool {
        self.0 & CLASS_CREATES != 0
    }

    /// The bits of the flags that are known of an open of this class, and what they are.
    pub fn flags(self) -> (u64, u64) {
        let (mut known, mut bits) = match self.0 & CLASS_WAY {
            0 => (O_ACCMODE | O_PATH, 0),
            // With O_PATH or without.
            1 => (O_ACCMODE, 1),
            CLASS_BOTH_WAYS => (2, 2),
            _ => (O_ACCMODE | O_PATH, O_PATH),
        };
        known |= O_TRUNC;
        if self.0 & CLASS_TRUNCATES != 0 {
            bits |= O_TRUNC;
        }
        // By one of the two, or both.
        if !self.may_create() {
            known |= O_CREAT | O_TMPFILE_BIT;
        }
        (known, bits)
    }
}

const fn way(mode: u32, of_path: bool) -> u32 {
    match mode {
        0 if of_path => CLASS_OF_PATH,
        CLASS_OF_PATH => CLASS_BOTH_WAYS,
        mode => mode,
    }
}

/// What an open is for ([`CLASS_WAY`]), by its access mode, and behind these for each with `O_PATH`: one after the other from the
/// lowest bits on.
pub fn classes_of_ways() -> u32 {
    let ways = [false, true]
        .into_iter()
        .flat_map(|of_path| (0..4).map(move |mode| way(mode, of_path)));
    (0..)
        .zip(ways)
        .fold(0, |all, (at, way)| all | way << (CLASS_WAY.count_ones() * at))
}

/// Calls that have none of what else than their end and their owner makes a class.
pub fn without_flags() -> ClassSet {
    ClassSet::of(|class| class.0 & ((1 << FLAG_BITS) - 1) == 0)
}

/// A set of classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClassSet(u64);

impl Default for ClassSet {
    /// All: nothing is left out unless somebody says so.
    fn default() -> Self {
        ClassSet::ALL
    }
}

impl ClassSet {
    /// Every class.
    pub const ALL: ClassSet = ClassSet(u64::MAX);
    /// No class.
    pub const NONE: ClassSet = ClassSet(0);

    /// The number itself: bit *n* is class *n*.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Adds a class.
    pub fn insert(&mut self, class: CallClass) {
        self.0 |= 1 << class.0;
    }

    /// True when the class is in the set.
    pub fn contains(self, class: CallClass) -> bool {
        self.0 >> class.0 & 1 != 0
    }

    /// True when there is no class in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Classes of either set.
    #[must_use]
    pub const fn union(self, other: ClassSet) -> ClassSet {
        ClassSet(self.0 | other.0)
    }

    /// Classes of both sets.
    #[must_use]
    pub const fn intersection(self, other: ClassSet) -> ClassSet {
        ClassSet(self.0 & other.0)
    }

    /// Classes of this set that are not in the other.
    #[must_use]
    pub const fn difference(self, other: ClassSet) -> ClassSet {
        ClassSet(self.0 & !other.0)
    }

    /// Opens that do no more than read a file that is there, or would without `O_PATH`.
    pub fn reads() -> ClassSet {
        ClassSet::of(|class| matches!(class.0 & ((1 << FLAG_BITS) - 1), 0 | CLASS_OF_PATH))
    }

    /// The set for calls of which the kernel's side does not know the flags, the family or the mode, or that have none: of such a
    /// call a class with any of them may be meant.
    #[must_use]
    pub const fn whatever_flags(self) -> ClassSet {
        // Those of the same end and owner are side by side.
        let whole = (1 << CLASS_FAMILIES) - 1;
        let (mut bits, mut at) = (0, 0);
        while at < u64::BITS {
            if self.0 >> at & whole != 0 {
                bits |= whole << at;
            }
            at += CLASS_FAMILIES;
        }
        ClassSet(bits)
    }

    /// True when it depends on the flags of an open, the family of a socket or the mode of a file whether a call is in it.
    pub fn minds_flags(self) -> bool {
        self != self.whatever_flags()
    }

    /// True when it depends on whose a call is whether it is in the set.
    pub fn minds_owner(self) -> bool {
        self.0 & u64::from(u32::MAX) != self.0 >> CLASS_CONTAINER
    }

    /// True when it depends on the result of a call whether it is in the set.
    pub fn minds_result(self) -> bool {
        CallClass::all().any(|class| self.contains(class) != self.contains(CallClass(class.0 ^ CLASS_FAILED)))
    }

    /// Calls of the first thread of a process, of those that change the credentials of their thread.
    pub fn first_threads() -> ClassSet {
        ClassSet::of(|class| class.0 & CLASS_OTHER_THREAD == 0)
    }

    fn of(wanted: impl Fn(CallClass) -> bool) -> ClassSet {
        CallClass::all().filter(|class| wanted(*class)).collect()
    }
}

impl FromIterator<CallClass> for ClassSet {
    fn from_iter<T: IntoIterator<Item = CallClass>>(classes: T) -> Self {
        let mut set = ClassSet::NONE;
        classes.into_iter().for_each(|class| set.insert(class));
        set
    }
}

/// As in `only those that succeed, in containers`; nothing for [`ClassSet::ALL`].
impl fmt::Display for ClassSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let all_in = |part: ClassSet| self.intersection(part) == *self;
        let parts = [
            (ClassSet::of(|class| !class.failed()), "those that succeed"),
            (ClassSet::of(|class| class.failed()), "those that fail"),
            (ClassSet::of(|class| class.in_container()), "in containers"),
            (ClassSet::of(|class| !class.in_container()), "of the host"),
        ];
        let mut before = "only ";
        let mut rest = ClassSet::ALL;
        for (part, words) in parts {
            if all_in(part) {
                write!(f, "{before}{words}")?;
                (before, rest) = (", ", rest.intersection(part));
            }
        }
        if rest == *self {
            return Ok(());
        }
        match self.minds_flags() {
            true => write!(f, "{before}with certain arguments"),
            false => write!(f, "{before}certain ones"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_says_of_flags_what_they_were() {
        for flags in (0..1 << 12).map(|n: u64| n | (n & 8) << 19 | (n & 16) << 17) {
            for plain in [CallClass::new(true, false), CallClass::new(false, true)] {
                let class = plain.opening(flags);
                let (known, values) = class.flags();
                assert_eq!(flags & known, values, "{flags:o}");
                assert_eq!(
                    (class.failed(), class.in_container()),
                    (plain.failed(), plain.in_container())
                );
            }
        }
        assert_eq!(CallClass::all().filter(|class| class.failed()).count(), 32);
    }

    #[test]
    fn the_programs_take_what_an_open_is_for_from_one_number() {
        for (at, flags) in (0..4).chain((0..4).map(|mode| mode | O_PATH)).enumerate() {
            let class = CallClass::new(false, false).opening(flags);
            let way = classes_of_ways() >> (2 * at) & CLASS_WAY;
            assert_eq!(class, CallClass(way), "{flags:o}");
            assert_eq!(
                ClassSet::reads().contains(class),
                flags & O_ACCMODE == 0,
                "{flags:o}"
            );
        }
        assert_eq!(without_flags().whatever_flags(), ClassSet::ALL);
        assert_eq!(without_flags().bits().count_ones(), 4);
    }

    #[test]
    fn a_class_says_of_which_family_a_socket_is_where_it_has_one_of_its_own() {
        for family in (0..64).chain([1 << 32, (1 << 32) + 2, u64::MAX]) {
            let class = CallClass::new(true, true).of_family(family);
            let own = (1..16).contains(&family).then_some(family);
            assert_eq!(
                (class.family(), class.failed(), class.in_container()),
                (own, true, true)
            );
        }
    }

    #[test]
    fn a_class_says_of_a_mode_whom_programs_run_as() {
        for mode in (0..1 << 17).chain([u64::MAX, 1 << 40 | 0o4755]) {
            let class = CallClass::new(false, true).opening(3).of_mode(mode);
            assert_eq!(class.mode(), (0o7000, mode & 0o7000));
            assert!(!class.failed() && class.in_container());
        }
    }

    #[test]
    fn a_class_says_which_thread_a_call_is_about() {
        let first = CallClass::new(true, true);
        assert!(ClassSet::first_threads().contains(first));
        assert!(!ClassSet::first_threads().contains(first.of_other_thread()));
        assert!(first.of_other_thread().failed() && first.of_other_thread().in_container());
    }

    #[test]
    fn flags_that_are_not_known_may_be_any() {
        let wanted = CallClass::new(false, true).opening(O_TRUNC | 1);
        let mut set = ClassSet::NONE;
        set.insert(wanted);
        assert!(set.minds_flags() && set.minds_owner() && set.minds_result());
        let whatever = set.whatever_flags();
        assert!(!whatever.minds_flags());
        for class in CallClass::all() {
            assert_eq!(whatever.contains(class), !class.failed() && class.in_container());
        }
        for wanted in CallClass::all() {
            let one: ClassSet = std::iter::once(wanted).collect();
            let alike = |class: CallClass| {
                class.failed() == wanted.failed() && class.in_container() == wanted.in_container()
            };
            assert_eq!(one.whatever_flags(), ClassSet::of(alike));
        }
        assert_eq!(ClassSet::ALL.whatever_flags(), ClassSet::ALL);
        assert_eq!(ClassSet::NONE.whatever_flags(), ClassSet::NONE);
        assert!(!ClassSet::ALL.minds_owner() && !ClassSet::ALL.minds_flags());
    }

    #[test]
    fn a_set_says_what_is_in_it() {
        let show = |wanted: fn(CallClass) -> bool| ClassSet::of(wanted).to_string();
        assert_eq!(show(|class| !class.failed()), "only those that succeed");
        assert_eq!(
            show(|class| class.failed() && class.in_container()),
            "only those that fail, in containers"
        );
        assert_eq!(show(|class| !class.in_container()), "only of the host");
        assert_eq!(
            show(|class| !class.failed() && class.flags().1 & O_ACCMODE == 0),
            "only those that succeed, with certain arguments"
        );
        assert_eq!(
            show(|class| class.failed() || class.in_container()),
            "only certain ones"
        );
        assert_eq!(ClassSet::NONE.to_string(), "none");
        assert_eq!(ClassSet::ALL.to_string(), "");
    }
}
