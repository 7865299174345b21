//! One event as the engine sees it: a borrowed view of its record, its process, its descriptor and its owner.

use std::net::IpAddr;

use crate::container::Owner;
use crate::descriptor::Descriptor;
use crate::event::{Event, EventSet, Extractor, FdUse, Origin, Param, ParamType, ProcessField, param_index};
use crate::flags;
use crate::io_uring::End;
use crate::process::{Process, User};
use crate::record::{
    DYN_ERRNO, DYN_NUMBER, FLAG_ATTEMPTED, FLAG_SUCCEEDED, Object, SocketTuple, WRITTEN_AND_MAYBE_READ, Wire,
};
use crate::task::TaskValue;

/// The state around an event that a field may have to look up.
pub trait System {
    /// The process with this id, if it is known.
    fn process(&self, pid: u32) -> Option<&Process>;
    /// The process that started this one, also when it has ended since, if it is known.
    fn parent(&self, of: &Process) -> Option<&Process> {
        self.process(of.ppid)
    }
    /// The user with this id: the host's, or the container's on a container's event.
    fn user(&self, uid: u32) -> Option<&User>;
    /// The group with this id, likewise.
    fn group(&self, gid: u32) -> Option<&str>;
    /// The names in rules that stand for this address.
    fn names_of(&self, _: IpAddr) -> &[Box<str>] {
        &[]
    }
    /// What the process of the event that is shown may have been instead of what it is shown as: it became another at about
    /// that time, and nobody saw which came first.
    fn otherwise(&self) -> &[Process] {
        &[]
    }
    /// True when the process of the event that is shown was looked up after the event, and nobody tells whether it has become
    /// another in between.
    fn is_as_of_later(&self) -> bool {
        false
    }
    /// The calls as which the event that is shown was shown already, where its source does not know which of several it was.
    fn told_as(&self) -> EventSet {
        EventSet::NONE
    }
    /// When the events before this one were, the first of all and the last; `None` before the first.
    fn earlier(&self) -> Option<Earlier> {
        None
    }
    /// Shows what a descriptor of a process refers to by now, however long ago the event was. The host is asked, each time;
    /// nothing is shown when the descriptor is not open or the process is gone.
    fn descriptor_now(&self, _pid: u32, _number: u32, _look: &mut dyn FnMut(&Descriptor<'_>)) {}
    /// The numbers of the descriptors that a process has open by now, likewise.
    fn descriptors_now(&self, _pid: u32) -> Vec<u32> {
        Vec::new()
    }
    /// The values somebody gave by hand for the field with this text, for conditions that are tried without an event.
    /// Only fields that were compiled for given values ask.
    fn given(&self, _field: &str) -> &[Given] {
        &[]
    }
}

/// When the events before one were: those that the engine was shown, in nanoseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    /// The first of all.
    pub first: u64,
    /// The one before. Events of several CPUs may be shown a little out of order.
    pub last: u64,
}

impl Earlier {
    /// What the event after one at `time` knows of those before it.
    #[must_use]
    pub fn and(earlier: Option<Earlier>, time: u64) -> Earlier {
        Earlier {
            first: earlier.map_or(time, |earlier| earlier.first),
            last: time,
        }
    }
}

/// A value that was given by hand.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// True or false.
    Bool(bool),
    /// A signed number.
    I64(i64),
    /// An unsigned number.
    U64(u64),
    /// A fraction.
    F64(f64),
    /// Text or bytes.
    Bytes(Vec<u8>),
    /// An address.
    Ip(std::net::IpAddr),
}

/// Where an event comes from, and by whose rules it is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceId {
    /// Its place among the sources that the engine was given.
    pub index: u8,
    /// Its name, as in a rule's `source` (`evt.source`).
    pub name: &'static str,
}

impl SourceId {
    /// The kernel of this host.
    pub const SYSCALL: SourceId = SourceId {
        index: 0,
        name: "syscall",
    };
}

/// No state at all: every look-up misses.
#[derive(Debug, Clone, Copy)]
pub struct NoState;

impl System for NoState {
    fn process(&self, _: u32) -> Option<&Process> {
        None
    }
    fn user(&self, _: u32) -> Option<&User> {
        None
    }
    fn group(&self, _: u32) -> Option<&str> {
        None
    }
}

/// A path parameter made absolute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolvedPath<'a> {
    /// Index of the parameter.
    pub param: u8,
    /// The absolute path as the process sees it, `.` and `..` and double slashes removed.
    pub path: &'a [u8],
}

/// A set of names that belong together: all as the caller asked for them, or all as the kernel has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameSet<'a> {
    /// The paths of the event.
    pub paths: &'a [ResolvedPath<'a>],
    /// Its descriptor, by the name among them.
    pub descriptor: Option<&'a Descriptor<'a>>,
}

/// Which names a view has: the same file may go by two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Names<'a> {
    /// What the caller asked for is what the kernel calls it, as far as that is known.
    #[default]
    Agree,
    /// Those the caller asked for, and beside them those of the kernel.
    Requested(NameSet<'a>),
    /// Those of the kernel, and beside them those the caller asked for.
    Real(NameSet<'a>),
}

/// What is known of how a call ended that its record has no result of, and of what the record does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outcome {
    /// The record says all there is: what is missing is not there, as of everything that a BPF program saw.
    #[default]
    Told,
    /// The call succeeded, with whatever result. What is missing is not known.
    Succeeded,
    /// The call was begun. What is missing is not known.
    Attempted,
}

impl Outcome {
    /// What the flags of a record's header say.
    #[inline]
    pub fn of(flags: u8) -> Outcome {
        match flags & (FLAG_SUCCEEDED | FLAG_ATTEMPTED) {
            0 => Outcome::Told,
            FLAG_SUCCEEDED => Outcome::Succeeded,
            _ => Outcome::Attempted,
        }
    }
}

/// The value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ParamValue<'a> {
    /// A signed number (results, descriptors, pids).
    I64(i64),
    /// An unsigned number.
    U64(u64),
    /// Text without its NUL, or bytes (for `args` and `env` a NUL-terminated sequence).
    Bytes(&'a [u8]),
    /// A path as passed, and absolute when it could be resolved.
    Path {
        /// As it was passed.
        raw: &'a [u8],
        /// Absolute.
        resolved: Option<&'a [u8]>,
    },
    /// Both ends of a socket.
    Tuple(SocketTuple<'a>),
}

/// One event.
#[derive(Clone, Copy)]
pub struct EventView<'a> {
    /// Which event.
    pub event: Event,
    /// Where it comes from.
    pub source: SourceId,
    /// Counts the events the engine was shown, from 1: `evt.num`.
    pub number: u64,
    /// Nanoseconds since the epoch.
    pub time: u64,
    /// CPU it happened on.
    pub cpu: u32,
    /// Thread id.
    pub tid: u32,
    /// Process id.
    pub pid: u32,
    /// Effective user id of the thread at the event.
    pub uid: u32,
    /// Effective group id of the thread at the event.
    pub gid: u32,
    /// The record's parameters.
    pub wire: Wire<'a>,
    /// The result, when it is not in the record (successful exec: 0).
    pub implied_result: Option<i64>,
    /// What is known of its end without a result, and whether what is missing may be there all the same.
    pub outcome: Outcome,
    /// How it ended, of an operation of io_uring.
    pub io_uring: Option<End>,
    /// Path parameters made absolute.
    pub paths: &'a [ResolvedPath<'a>],
    /// The process.
    pub process: Option<&'a Process>,
    /// Its descriptor, on events that have one.
    pub descriptor: Option<&'a Descriptor<'a>>,
    /// Whose names `paths` and `descriptor` have.
    pub names: Names<'a>,
    /// Whose it is.
    pub owner: Owner<'a>,
    /// State to look up.
    pub system: &'a dyn System,
}

impl std::fmt::Debug for EventView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventView")
            .field("event", &self.event.name())
            .field("number", &self.number)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or(bytes)
}

/// The value of a [`ParamType::Dyn`]: its first byte says what it is.
fn dynamic(bytes: &[u8]) -> Option<ParamValue<'_>> {
    let (kind, value) = bytes.split_first()?;
    let number = || value.first_chunk().map(|b| u64::from_le_bytes(*b));
    Some(match *kind {
        DYN_ERRNO => ParamValue::I64(number()?.cast_signed()),
        DYN_NUMBER => ParamValue::U64(number()?),
        _ => ParamValue::Bytes(value),
    })
}

/// Takes the next of a list of objects, each with its length before it.
pub fn next_object<'a>(list: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = list.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (object, rest) = rest.split_at_checked(length)?;
    *list = rest;
    Some(object)
}

impl<'a> EventView<'a> {
    /// The same event as the doing of what its process may have been instead ([`System::otherwise`]).
    pub fn by_what_it_may_have_been(&self) -> impl Iterator<Item = EventView<'a>> + use<'a> {
        let shown = *self;
        self.system.otherwise().iter().map(move |process| EventView {
            process: Some(process),
            uid: process.uid,
            gid: process.gid,
            ..shown
        })
    }

    /// The same event with nothing known of its process but the number, where what is shown is what it was later
    /// ([`System::is_as_of_later`]).
    pub fn by_nobody_known(&self) -> Option<EventView<'a>> {
        self.system.is_as_of_later().then_some(EventView {
            process: None,
            uid: u32::MAX,
            gid: u32::MAX,
            ..*self
        })
    }

    /// The same event by the other names of what it acted on, when they differ.
    #[inline]
    pub fn by_other_names(&self) -> Option<EventView<'a>> {
        let own = NameSet {
            paths: self.paths,
            descriptor: self.descriptor,
        };
        let (other, names) = match self.names {
            Names::Agree => return None,
            Names::Requested(real) => (real, Names::Real(own)),
            Names::Real(requested) => (requested, Names::Requested(own)),
        };
        Some(EventView {
            paths: other.paths,
            descriptor: other.descriptor,
            names,
            ..*self
        })
    }

    /// The name that was asked for and the one the kernel has for it, of the path number `which` of those that may have
    /// both; each where it is known.
    pub fn requested_and_real_name(&self, which: usize) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
        let Some((path, real)) = self.event.row().real_paths().nth(which) else {
            return (None, None);
        };
        let requested = match self.names {
            Names::Real(requested) => requested.paths,
            _ => self.paths,
        };
        let requested = requested.iter().find(|p| p.param == path).map(|p| p.path);
        (requested, self.resolved(real.into()))
    }

    /// Whether the kernel has another name than was asked for, of any path; `None` when it is known of none.
    pub fn names_differ(&self) -> Option<bool> {
        let mut real = self.event.row().real_paths().map(|(_, real)| real);
        let is_known = real.any(|real| self.resolved(real.into()).is_some());
        is_known.then(|| self.names != Names::Agree)
    }

    /// True for the flags of an open of which it is known that it was for writing, and not whether for reading too.
    pub fn maybe_reads(&self, flags: usize) -> bool {
        self.outcome == Outcome::Succeeded
            && matches!(self.event.row().fd, FdUse::Opens { flags: own, .. } if usize::from(own) == flags)
            && self
                .wire
                .number(flags)
                .is_some_and(|flags| flags & 3 == WRITTEN_AND_MAYBE_READ)
    }

    /// Parameter `index` in the row's order; `None` when it has no value.
    pub fn param(&self, index: usize) -> Option<ParamValue<'a>> {
        let param = self.event.row().params.get(index)?;
        match self.wire.param(index) {
            // Flags without an access mode are none.
            Some(_) if self.outcome == Outcome::Succeeded && self.maybe_reads(index) => None,
            Some(wire) => self.from_wire(index, param, wire.bytes),
            None if param.from == Origin::Return => self.implied_result.map(ParamValue::I64),
            None if let Origin::Constant(value) = param.from => Some(ParamValue::U64(value)),
            // What is no number, or was not opened, is 0 in Falco.
            None if param.from == Origin::Extractor(Extractor::PrctlNumber) => Some(ParamValue::I64(0)),
            None if matches!(
                param.from,
                Origin::Extractor(Extractor::OpenedDev | Extractor::OpenedIno)
            ) && self.result().is_some_and(|result| result < 0) =>
            {
                Some(ParamValue::U64(0))
            }
            None if let Some(path) = self.resolved(index) => Some(ParamValue::Path {
                raw: path,
                resolved: Some(path),
            }),
            // What a failed exec was called with is not yet the process's own.
            None if param.state == Some(ProcessField::Exe)
                && let Some(argv) = self.argv() =>
            {
                Some(ParamValue::Bytes(text(argv)))
            }
            None if let Some(ProcessField::Task(value)) = param.state => {
                let signed = matches!(param.ty, ParamType::Pid | ParamType::I64);
                let value = self.task(value)?;
                Some(match signed {
                    true => ParamValue::I64(value.cast_signed()),
                    false => ParamValue::U64(value),
                })
            }
            None => self.from_state(param.state?),
        }
    }

    /// A value of the thread as it was at the event. Capabilities that were not read with it are those that are known of
    /// its process, and so is the id of a first thread.
    pub fn task(&self, value: TaskValue) -> Option<u64> {
        let read = self.wire.task(value);
        if read.is_some() {
            return read;
        }
        let process = self.process?;
        match value {
            TaskValue::CapInheritable => Some(process.cap_inheritable),
            TaskValue::CapPermitted => Some(process.cap_permitted),
            TaskValue::CapEffective => Some(process.cap_effective),
            TaskValue::Vtid if self.tid == self.pid => Some(process.vpid.into()),
            TaskValue::ParentTid => Some(process.ppid.into()),
            _ => None,
        }
    }

    /// The `argv` of an exec, in the records of failed ones.
    fn argv(&self) -> Option<&'a [u8]> {
        let args = |p: &Param| p.state == Some(ProcessField::Args) && matches!(p.from, Origin::Extractor(_));
        Some(
            self.wire
                .param(self.event.row().params.iter().position(args)?)?
                .bytes,
        )
    }

    /// The parameter called `name`.
    pub fn param_named(&self, name: &str) -> Option<ParamValue<'a>> {
        self.param(self.event.row().param(name)?)
    }

    /// The result of the call (`evt.rawres`).
    pub fn result(&self) -> Option<i64> {
        match self.param(self.event.row().result()?)? {
            ParamValue::I64(value) => Some(value),
            // An address or an id.
            ParamValue::U64(value) => Some(value.cast_signed()),
            _ => None,
        }
    }

    /// Whether the call failed; `None` when that is not known, or the event is no call.
    pub fn failed(&self) -> Option<bool> {
        self.event.row().result()?;
        match (self.result(), self.outcome) {
            (Some(result), _) => Some(result < 0),
            (None, Outcome::Succeeded) => Some(false),
            (None, Outcome::Told | Outcome::Attempted) => None,
        }
    }

    #[allow(clippy::wrong_self_convention)]
    fn from_wire(&self, index: usize, param: &Param, bytes: &'a [u8]) -> Option<ParamValue<'a>> {
        let number = || bytes.first_chunk().map(|b| u64::from_le_bytes(*b));
        Some(match param.ty {
            ParamType::Errno | ParamType::Fd | ParamType::Pid | ParamType::I32 | ParamType::I64 => {
                ParamValue::I64(number()?.cast_signed())
            }
            ParamType::CharBuf => match param.from {
                Origin::UserPath { .. } => self.path(index, bytes),
                _ => ParamValue::Bytes(text(bytes)),
            },
            // `exe` has the first string of an argv.
            ParamType::ByteBuf if param.state == Some(ProcessField::Args) => {
                ParamValue::Bytes(bytes.get(text(bytes).len() + 1..).unwrap_or_default())
            }
            ParamType::ByteBuf | ParamType::FdList | ParamType::Objects(_) => ParamValue::Bytes(bytes),
            ParamType::FsPath | ParamType::FsRelPath(_) | ParamType::RealPath(_) => self.path(index, bytes),
            ParamType::SockTuple => {
                ParamValue::Tuple(SocketTuple::read(bytes).filter(SocketTuple::has_socket)?)
            }
            ParamType::SockAddr => ParamValue::Tuple(SocketTuple::read(bytes)?),
            ParamType::Dyn => dynamic(bytes)?,
            ParamType::Object(_) => match self.resolved(index) {
                Some(path) => ParamValue::Path {
                    raw: path,
                    resolved: Some(path),
                },
                None => match Object::read(bytes)?.tuple() {
                    Some(tuple) => ParamValue::Tuple(tuple),
                    None => ParamValue::Bytes(Object::read(bytes)?.name()),
                },
            },
            ParamType::CreateMode(flags) => match flags::creates(self.wire.number(flags.into())?) {
                true => ParamValue::U64(number()? & 0o7777),
                false => ParamValue::U64(0),
            },
            _ => ParamValue::U64(number()?),
        })
    }

    /// The descriptors of a poll on which something happened, and what happened (`revents`). What they refer to is known
    /// when the list of objects was asked for, and of the first of many only.
    pub fn polled(&self) -> impl Iterator<Item = (u16, Descriptor<'a>)> + use<'a> {
        let row = self.event.row();
        let of_type = |is: fn(ParamType) -> bool| row.params.iter().position(|p| is(p.ty));
        let list = of_type(|ty| ty == ParamType::FdList);
        let objects = of_type(|ty| matches!(ty, ParamType::Objects(_)));
        let bytes = |index: Option<usize>| {
            let param = index.and_then(|index| self.wire.param(index));
            param.map_or(&[][..], |param| param.bytes)
        };
        let mut objects_left = bytes(objects);
        // One path for each object, in the same order; empty where it has none.
        let paths = self.paths;
        let mut paths = paths
            .iter()
            .filter(move |p| Some(usize::from(p.param)) == objects)
            .map(|p| p.path);
        bytes(list).chunks_exact(8).map(move |entry| {
            let number = i32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
            let revents = u16::from_le_bytes([entry[6], entry[7]]);
            let object = next_object(&mut objects_left);
            let path = paths.next().filter(|path| !path.is_empty());
            let descriptor = match object.and_then(Object::read) {
                Some(object) => Descriptor::of_object(number.into(), &object, path),
                None => Descriptor {
                    number: number.into(),
                    ..Descriptor::default()
                },
            };
            (revents, descriptor)
        })
    }

    /// The descriptor in parameter `fd`, as far as it is known what it refers to: the event's own, or one with an object
    /// parameter of its own that was read.
    pub fn described(&self, fd: usize) -> Option<Descriptor<'a>> {
        let row = self.event.row();
        let own = match row.fd {
            FdUse::None => None,
            FdUse::Opens { .. } | FdUse::Makes { .. } => Some(0),
            FdUse::Socket { fd, .. } | FdUse::Described { fd, .. } => Some(fd),
            // The copy, the original, and the number that was asked for are all the same.
            FdUse::Copies { .. } => {
                let number = self.wire.number(fd)?.cast_signed();
                let copy = self.descriptor?;
                // A call that failed is about the original alone.
                let is_made = self.wire.number(0).map(u64::cast_signed) == Some(copy.number);
                return (is_made || copy.number == number).then_some(Descriptor { number, ..*copy });
            }
        };
        if own.is_some_and(|own| usize::from(own) == fd) {
            return self.descriptor.copied();
        }
        if row.is_other_number(fd) {
            const COMMAND: usize = param_index(Event::Fcntl, "cmd");
            const F_DUPFD: u64 = 0;
            const F_DUPFD_CLOEXEC: u64 = 1030;
            // The results of other commands are no descriptors.
            let copies = || matches!(self.wire.number(COMMAND), Some(F_DUPFD | F_DUPFD_CLOEXEC));
            let number = self.wire.number(fd)?.cast_signed();
            let known = self
                .descriptor
                .filter(|_| self.event != Event::Fcntl || copies())?;
            return Some(Descriptor { number, ..*known });
        }
        let index = row.object_of(fd)?;
        let object = Object::read(self.wire.param(index)?.bytes)?;
        let number = self.wire.number(fd)?.cast_signed();
        Some(Descriptor::of_object(number, &object, self.resolved(index)))
    }

    fn resolved(&self, index: usize) -> Option<&'a [u8]> {
        self.paths
            .iter()
            .find(|p| usize::from(p.param) == index)
            .map(|p| p.path)
    }

    fn path(&self, index: usize, bytes: &'a [u8]) -> ParamValue<'a> {
        let resolved = self.resolved(index);
        match self.event.row().params[index].from {
            Origin::UserPath { .. } => ParamValue::Path {
                raw: text(bytes),
                resolved,
            },
            // A kernel path is components; without its resolved form there is nothing to show.
            _ => ParamValue::Path {
                raw: resolved.unwrap_or_default(),
                resolved,
            },
        }
    }

    #[allow(clippy::wrong_self_convention)]
    fn from_state(&self, field: ProcessField) -> Option<ParamValue<'a>> {
        let process = self.process?;
        let image = &process.image;
        let signed = |value: u32| Some(ParamValue::I64(i64::from(value)));
        let unsigned = |value: u64| Some(ParamValue::U64(value));
        let known = |value: u64| (value != 0).then_some(ParamValue::U64(value));
        match field {
            ProcessField::Exe => Some(ParamValue::Bytes(&image.exe)),
            ProcessField::Args => Some(ParamValue::Bytes(&image.args)),
            ProcessField::Tid => signed(self.tid),
            ProcessField::Pid => signed(process.pid),
            ProcessField::Cwd => process.directory().map(ParamValue::Bytes),
            ProcessField::Comm => Some(ParamValue::Bytes(&image.comm)),
            ProcessField::Env => Some(ParamValue::Bytes(&image.env)),
            ProcessField::Tty => unsigned(u64::from(process.tty)),
            ProcessField::Vpgid => signed(process.vpgid),
            ProcessField::Pgid => signed(process.pgid),
            ProcessField::Vpid => signed(process.vpid),
            ProcessField::LoginUid => unsigned(u64::from(process.loginuid)),
            ProcessField::ExecFlags => unsigned(u64::from(image.exec_flags)),
            ProcessField::ExeIno => known(image.exe_ino),
            ProcessField::ExeCtime => known(image.exe_ctime),
            ProcessField::ExeMtime => known(image.exe_mtime),
            ProcessField::Uid => unsigned(u64::from(self.uid)),
            ProcessField::Gid => unsigned(u64::from(self.gid)),
            ProcessField::ExePath => Some(ParamValue::Path {
                raw: &image.exepath,
                resolved: Some(&image.exepath),
            }),
            ProcessField::PidnsStart => known(process.pidns_start),
            ProcessField::Cgroups => {
                (!process.cgroups.is_empty()).then_some(ParamValue::Bytes(&process.cgroups))
            }
            // Not the process's.
            ProcessField::Task(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::WireBuilder;

    #[test]
    fn a_failed_exec_has_the_arguments_it_was_called_with() {
        let seen = |argv: &[u8]| {
            let bytes = WireBuilder::new().number(-2).missing().bytes(argv).build();
            let process = Process {
                image: std::sync::Arc::new(crate::process::Image::new(b"sh", b"sh\0-i\0", b"/bin/sh", b"")),
                ..Process::default()
            };
            let view = EventView {
                event: Event::Execve,
                source: SourceId::SYSCALL,
                number: 1,
                time: 1,
                cpu: 0,
                tid: 7,
                pid: 7,
                uid: 0,
                gid: 0,
                wire: Wire::read(&bytes, 3).unwrap(),
                implied_result: None,
                outcome: Outcome::Told,
                io_uring: None,
                paths: &[],
                process: Some(&process),
                descriptor: None,
                names: Names::Agree,
                owner: Owner::Host,
                system: &NoState,
            };
            ["exe", "args"].map(|name| match view.param_named(name) {
                Some(ParamValue::Bytes(bytes)) => bytes.to_vec(),
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(seen(b"nc\0-l\0" as &[u8]), [b"nc".to_vec(), b"-l\0".to_vec()]);
        assert_eq!(seen(b"nc\0"), [b"nc".to_vec(), b"".to_vec()]);
        assert_eq!(seen(b"cut"), [b"cut".to_vec(), b"".to_vec()]);
    }
}
