//! Records of sources that are no BPF programs: written as those write them, so that one consumer reads both.

use lanner_schema::event::{Event, Origin, ParamType};
use lanner_schema::record::{AGE_STEP, HEADER_LEN, Header, TRUNCATED, TaskState};
use smallvec::SmallVec;

/// Who did it, as far as a source knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Doer {
    /// The process.
    pub(crate) pid: u32,
    /// Its thread; where a source knows the process only, that again.
    pub(crate) tid: u32,
    /// Id of its cgroup. 0 when it was not asked for: then this and the ids below are what is known of the process.
    pub(crate) cgroup: u64,
    /// Effective user id.
    pub(crate) uid: u32,
    /// Effective group id.
    pub(crate) gid: u32,
    /// How long before the time of its record it may have been, in steps of [`AGE_STEP`].
    pub(crate) age: u16,
}

impl Doer {
    /// The steps from `since` to now, and what was begun of another.
    pub(crate) fn age(since: u64, now: u64) -> u16 {
        u16::try_from(now.saturating_sub(since) / AGE_STEP + 1).unwrap_or(u16::MAX)
    }

    /// A thread of which nothing was asked.
    pub(crate) fn known(pid: u32, tid: u32) -> Doer {
        Doer {
            pid,
            tid,
            cgroup: 0,
            uid: 0,
            gid: 0,
            age: 0,
        }
    }
}

/// A record that is being written. Parameters that are not given are missing: nothing is known of them.
#[derive(Debug)]
pub(crate) struct Draft {
    event: Event,
    header: Header,
    /// Per parameter: where its value is, and whether it was cut.
    values: SmallVec<[(u32, u16, bool); 24]>,
    bytes: Vec<u8>,
}

/// The most bytes a value has.
const MOST: usize = !TRUNCATED as usize;

impl Draft {
    /// An event without any parameter. `flags` are those of [`lanner_schema::record`]; `time` is in nanoseconds since boot,
    /// as [`crate::now`] gives it.
    pub(crate) fn new(event: Event, stream: u8, flags: u8, time: u64, doer: &Doer) -> Draft {
        let count = event.row().params.len();
        Draft {
            event,
            header: Header {
                event: event as u16,
                stream,
                flags,
                time,
                tid: doer.tid,
                pid: doer.pid,
                cgroup: doer.cgroup,
                uid: doer.uid,
                gid: doer.gid,
                image: doer.age,
                ..Header::default()
            },
            values: SmallVec::from_elem((0, 0, false), count),
            bytes: Vec::with_capacity(256),
        }
    }

    fn put(&mut self, param: usize, cut: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let length = self.bytes.len() - start;
        self.bytes.truncate(start + length.min(MOST));
        if let Some(value) = self.values.get_mut(param) {
            // Both fit: a record is far smaller than four gigabytes.
            *value = (start as u32, length.min(MOST) as u16, cut || length > MOST);
        }
    }

    /// A number.
    #[must_use]
    pub(crate) fn number(mut self, param: usize, value: i64) -> Draft {
        self.put(param, false, |out| out.extend(value.to_le_bytes()));
        self
    }

    /// Text, up to its first NUL; that is added.
    #[must_use]
    pub(crate) fn text(mut self, param: usize, text: &[u8]) -> Draft {
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        self.put(param, text.len() >= MOST, |out| {
            out.extend(&text[..text.len().min(MOST - 1)]);
            out.push(0);
        });
        self
    }

    /// Bytes as they are; `cut` when there were more.
    #[must_use]
    pub(crate) fn bytes(mut self, param: usize, bytes: &[u8], cut: bool) -> Draft {
        self.put(param, cut, |out| out.extend(bytes));
        self
    }

    /// An absolute path as its process sees it, in the form in which programs record this parameter: as it was passed, or
    /// as names from the leaf up. One that is not absolute has a form of the first kind only, and lacks its directory.
    #[must_use]
    pub(crate) fn path(self, param: usize, path: &[u8]) -> Draft {
        match self.event.row().params.get(param).map(|row| (row.from, row.ty)) {
            Some((Origin::UserPath { .. }, _)) => self.text(param, path),
            Some((_, ParamType::FsPath | ParamType::FsRelPath(_) | ParamType::RealPath(_))) => {
                self.names(param, path)
            }
            _ => self.text(param, path),
        }
    }

    fn names(mut self, param: usize, path: &[u8]) -> Draft {
        self.put(param, false, |out| push_names(out, path));
        self
    }

    /// What of a process calls change.
    #[must_use]
    pub(crate) fn task_state(mut self, param: usize, state: &TaskState) -> Draft {
        self.put(param, false, |out| state.write(out));
        self
    }

    /// The record's bytes; its number is given where it is taken over.
    pub(crate) fn finish(self) -> Box<[u8]> {
        let lengths = 2 * self.values.len();
        let mut out = Vec::with_capacity(HEADER_LEN + lengths + self.bytes.len());
        self.header.write(&mut out);
        for (_, length, cut) in &self.values {
            let mark = if *cut && *length > 0 { TRUNCATED } else { 0 };
            out.extend((length | mark).to_le_bytes());
        }
        for (start, length, _) in &self.values {
            let start = *start as usize;
            out.extend(&self.bytes[start..start + usize::from(*length)]);
        }
        out.into_boxed_slice()
    }
}

/// Appends a path as its names from the leaf up, each ended by NUL. The root has one empty name, so that it is not missing.
fn push_names(out: &mut Vec<u8>, path: &[u8]) {
    let start = out.len();
    for name in path.rsplit(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
        out.extend(name);
        out.push(0);
    }
    if out.len() == start {
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consume::split;
    use crate::decode::push_components;
    use crate::process_table::param;

    const NOBODY: Doer = Doer {
        pid: 7,
        tid: 8,
        cgroup: 9,
        uid: 10,
        gid: 11,
        age: 0,
    };

    #[test]
    fn a_draft_is_a_record_whatever_the_order_of_its_values() {
        let bytes = Draft::new(Event::TaskExec, 11, 4, 99, &NOBODY)
            .path(param!(TaskExec, "cwd"), b"/tmp/x")
            .number(param!(TaskExec, "ppid"), -1)
            .text(param!(TaskExec, "comm"), b"sh\0rest")
            .bytes(param!(TaskExec, "args"), b"sh\0-c\0", true)
            .finish();
        let (header, event, wire) = split(&bytes).unwrap();
        assert_eq!(
            (event, header.stream, header.flags, header.time),
            (Event::TaskExec, 11, 4, 99)
        );
        assert_eq!((header.pid, header.tid, header.cgroup), (7, 8, 9));
        assert_eq!((header.uid, header.gid), (10, 11));
        assert_eq!(wire.number(param!(TaskExec, "ppid")), Some(-1i64 as u64));
        assert_eq!(wire.param(param!(TaskExec, "comm")).unwrap().bytes, b"sh\0");
        let args = wire.param(param!(TaskExec, "args")).unwrap();
        assert_eq!((args.bytes, args.truncated), (&b"sh\0-c\0"[..], true));
        let mut cwd = Vec::new();
        push_components(
            &mut cwd,
            wire.param(param!(TaskExec, "cwd")).unwrap().bytes,
            false,
        );
        assert_eq!(cwd, b"/tmp/x");
        assert!(wire.param(param!(TaskExec, "sid")).is_none());
    }

    #[test]
    fn a_path_has_the_form_of_its_parameter() {
        let name = param!(Openat, "name");
        let bytes = Draft::new(Event::Openat, 10, 0, 1, &NOBODY)
            .path(name, b"/etc/shadow")
            .finish();
        let (.., wire) = split(&bytes).unwrap();
        assert_eq!(wire.param(name).unwrap().bytes, b"/etc/shadow\0");
        let mut root = Vec::new();
        push_names(&mut root, b"/");
        assert_eq!(root, b"\0");
    }

    #[test]
    fn what_is_longer_than_a_value_can_be_is_cut_and_says_so() {
        let long = vec![b'a'; 2 * MOST];
        let name = param!(Openat, "name");
        for bytes in [
            Draft::new(Event::Openat, 10, 0, 1, &NOBODY)
                .text(name, &long)
                .finish(),
            Draft::new(Event::Openat, 10, 0, 1, &NOBODY)
                .bytes(name, &long, false)
                .finish(),
        ] {
            let (.., wire) = split(&bytes).unwrap();
            let value = wire.param(name).unwrap();
            assert!(value.truncated && value.bytes.len() == MOST);
        }
    }
}
