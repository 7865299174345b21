//! What fanotify hands out, taken apart (fanotify(7)): the head of each event, and the records behind it.
//!
//! Nothing here trusts a length, and nothing here owns a descriptor: numbers of descriptors are given as they were read,
//! and are its reader's to close.

use std::mem::offset_of;

use libc::{fanotify_event_info_header, fanotify_event_metadata};

/// Bytes of the head of an event.
const HEAD: usize = size_of::<fanotify_event_metadata>();
/// Bytes of the head of a record behind it.
const INFO_HEAD: usize = size_of::<fanotify_event_info_header>();
/// Bytes of the id of a file system.
pub(super) const FSID: usize = 8;
/// The most bytes a file handle has (`MAX_HANDLE_SZ`).
const MAX_HANDLE: usize = 128;

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// The events of one read.
#[derive(Debug, Clone)]
pub(super) struct Events<'b>(pub(super) &'b [u8]);

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event<'b> {
    /// `FAN_*`.
    pub(super) mask: u64,
    /// An open descriptor of the file; below zero where there is none.
    pub(super) fd: i32,
    /// Whose doing it was, as this process numbers processes; 0 where it has no number for it.
    pub(super) pid: i32,
    infos: &'b [u8],
}

/// The bytes are no events of the form that is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'b> Iterator for Events<'b> {
    type Item = Result<Event<'b>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let event = self.event();
        if event.is_none() {
            // Where the next one begins is not known.
            self.0 = &[];
        }
        Some(event.ok_or(Malformed))
    }
}

impl<'b> Events<'b> {
    fn event(&mut self) -> Option<Event<'b>> {
        let length = u32::from_ne_bytes(number(self.0, offset_of!(fanotify_event_metadata, event_len))?);
        let (event, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        let version = *event.get(offset_of!(fanotify_event_metadata, vers))?;
        let head = u16::from_ne_bytes(number(event, offset_of!(fanotify_event_metadata, metadata_len))?);
        if version != libc::FANOTIFY_METADATA_VERSION || usize::from(head) < HEAD {
            return None;
        }
        self.0 = rest;
        Some(Event {
            mask: u64::from_ne_bytes(number(event, offset_of!(fanotify_event_metadata, mask))?),
            fd: i32::from_ne_bytes(number(event, offset_of!(fanotify_event_metadata, fd))?),
            pid: i32::from_ne_bytes(number(event, offset_of!(fanotify_event_metadata, pid))?),
            infos: event.get(usize::from(head)..)?,
        })
    }
}

/// A record behind the head of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Info<'b> {
    /// A descriptor of the process; below zero where it is gone, or could not be opened.
    Pidfd(i32),
    /// A name in a directory.
    Entry(Role, Entry<'b>),
    /// Something else.
    Other,
}

/// What a name is to its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// What was made or removed.
    Own,
    /// What something was called.
    Old,
    /// What it is called now.
    New,
}

/// A name in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'b> {
    /// Id of the file system (`f_fsid` of statfs(2)).
    pub(super) fsid: [u8; FSID],
    /// The directory, as open_by_handle_at(2) takes it: the type of the handle, and its bytes.
    pub(super) kind: i32,
    /// See [`Entry::kind`].
    pub(super) handle: &'b [u8],
    /// The name, `.` of a directory itself; empty where none was given.
    pub(super) name: &'b [u8],
}

impl<'b> Entry<'b> {
    /// What no other directory has: the file system's id, and the handle behind it.
    pub(super) fn key(&self) -> Box<[u8]> {
        [&self.fsid[..], self.handle].concat().into()
    }

    fn read(bytes: &'b [u8], is_named: bool) -> Option<Entry<'b>> {
        let (fsid, rest) = bytes.split_first_chunk()?;
        let length = usize::try_from(u32::from_ne_bytes(number(rest, 0)?)).ok()?;
        let kind = i32::from_ne_bytes(number(rest, 4)?);
        if length > MAX_HANDLE {
            return None;
        }
        let (handle, behind) = rest.get(8..)?.split_at_checked(length)?;
        let name = match is_named {
            true => memchr::memchr(0, behind).map(|end| &behind[..end])?,
            false => b"",
        };
        Some(Entry {
            fsid: *fsid,
            kind,
            handle,
            name,
        })
    }
}

impl<'b> Event<'b> {
    /// The records behind its head; those that are cut end them.
    pub(super) fn infos(&self) -> impl Iterator<Item = Info<'b>> + use<'b> {
        let mut rest = self.infos;
        std::iter::from_fn(move || {
            let kind = *rest.first()?;
            let length = usize::from(u16::from_ne_bytes(number(
                rest,
                offset_of!(fanotify_event_info_header, len),
            )?));
            if length < INFO_HEAD {
                return None;
            }
            let (info, behind) = rest.split_at_checked(length)?;
            rest = behind;
            let body = &info[INFO_HEAD..];
            Some(match kind {
                libc::FAN_EVENT_INFO_TYPE_PIDFD => Info::Pidfd(i32::from_ne_bytes(number(body, 0)?)),
                libc::FAN_EVENT_INFO_TYPE_DFID_NAME => Info::Entry(Role::Own, Entry::read(body, true)?),
                libc::FAN_EVENT_INFO_TYPE_DFID => Info::Entry(Role::Own, Entry::read(body, false)?),
                libc::FAN_EVENT_INFO_TYPE_OLD_DFID_NAME => Info::Entry(Role::Old, Entry::read(body, true)?),
                libc::FAN_EVENT_INFO_TYPE_NEW_DFID_NAME => Info::Entry(Role::New, Entry::read(body, true)?),
                _ => Info::Other,
            })
        })
    }

    /// The descriptor of the process; `None` where the kernel gives none, below zero where the process is gone.
    pub(super) fn pidfd(&self) -> Option<i32> {
        self.infos().find_map(|info| match info {
            Info::Pidfd(fd) => Some(fd),
            _ => None,
        })
    }

    /// The name that is this to it.
    pub(super) fn entry(&self, wanted: Role) -> Option<Entry<'b>> {
        self.infos().find_map(|info| match info {
            Info::Entry(role, entry) if role == wanted => Some(entry),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn info(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(INFO_HEAD + body.len().next_multiple_of(4)).unwrap();
        let mut bytes = vec![kind, 0];
        bytes.extend(length.to_ne_bytes());
        bytes.extend(body);
        bytes.resize(length.into(), 0);
        bytes
    }

    fn entry(fsid: u8, handle: &[u8], name: &str) -> Vec<u8> {
        let mut bytes = vec![fsid; FSID];
        bytes.extend(u32::try_from(handle.len()).unwrap().to_ne_bytes());
        bytes.extend(1i32.to_ne_bytes());
        bytes.extend(handle);
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes
    }

    fn event(mask: u64, fd: i32, pid: i32, infos: &[Vec<u8>]) -> Vec<u8> {
        let infos = infos.concat();
        let mut bytes = Vec::new();
        bytes.extend(u32::try_from(HEAD + infos.len()).unwrap().to_ne_bytes());
        bytes.extend([libc::FANOTIFY_METADATA_VERSION, 0]);
        bytes.extend(u16::try_from(HEAD).unwrap().to_ne_bytes());
        bytes.extend(mask.to_ne_bytes());
        bytes.extend(fd.to_ne_bytes());
        bytes.extend(pid.to_ne_bytes());
        bytes.extend(infos);
        bytes
    }

    fn read(bytes: &[u8]) -> Vec<Result<Event<'_>, Malformed>> {
        Events(bytes).collect()
    }

    #[test]
    fn events_of_one_read_are_told_apart() {
        let bytes = [
            event(
                libc::FAN_OPEN,
                7,
                100,
                &[info(libc::FAN_EVENT_INFO_TYPE_PIDFD, &8i32.to_ne_bytes())],
            ),
            event(libc::FAN_Q_OVERFLOW, -1, 0, &[]),
            event(
                libc::FAN_RENAME,
                -1,
                101,
                &[
                    info(libc::FAN_EVENT_INFO_TYPE_OLD_DFID_NAME, &entry(1, b"from", "a")),
                    info(libc::FAN_EVENT_INFO_TYPE_NEW_DFID_NAME, &entry(1, b"to", "b.c")),
                    info(99, b"of a newer kernel"),
                    info(libc::FAN_EVENT_INFO_TYPE_PIDFD, &(-1i32).to_ne_bytes()),
                ],
            ),
        ]
        .concat();
        let [Ok(open), Ok(overflow), Ok(rename)] = read(&bytes)[..] else {
            unreachable!("three events")
        };
        assert_eq!((open.mask, open.fd, open.pid), (libc::FAN_OPEN, 7, 100));
        assert_eq!((open.pidfd(), open.entry(Role::Own)), (Some(8), None));
        assert_eq!(
            (overflow.mask, overflow.fd, overflow.pidfd()),
            (libc::FAN_Q_OVERFLOW, -1, None)
        );
        let name = |role| {
            rename
                .entry(role)
                .map(|entry| (entry.handle, entry.name, entry.kind, entry.fsid))
        };
        assert_eq!(name(Role::Old), Some((&b"from"[..], &b"a"[..], 1, [1; FSID])));
        assert_eq!(name(Role::New), Some((&b"to"[..], &b"b.c"[..], 1, [1; FSID])));
        assert_eq!((name(Role::Own), rename.pidfd()), (None, Some(-1)));
    }

    #[test]
    fn another_version_or_a_length_that_lies_ends_the_events() {
        let whole = event(libc::FAN_OPEN, 7, 100, &[]);
        for (at, value) in [(0, 200), (0, 3), (4, 2), (6, 8)] {
            let mut bytes = [whole.clone(), whole.clone()].concat();
            bytes[at] = value;
            assert_eq!(read(&bytes), [Err(Malformed)], "byte {at} is {value}");
        }
        assert_eq!(read(&whole[..HEAD - 1]), [Err(Malformed)]);
    }

    #[test]
    fn a_handle_longer_than_its_record_is_none_and_neither_is_a_name_without_an_end() {
        let mut long = entry(1, b"dir", "name");
        long[FSID] = 200;
        let unended = &entry(1, b"dir", "name")[..FSID + 8 + 3 + 1];
        for body in [&long[..], unended, &[0; 3]] {
            let bytes = event(
                libc::FAN_CREATE,
                -1,
                1,
                &[info(libc::FAN_EVENT_INFO_TYPE_DFID_NAME, body)],
            );
            let event = read(&bytes)[0].unwrap();
            assert_eq!(event.entry(Role::Own), None);
        }
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_are_reading_ends(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let taken = Events(&bytes).flatten().map(|event| HEAD + event.infos().count()).sum::<usize>();
            prop_assert!(taken <= bytes.len());
        }

        #[test]
        fn a_flipped_byte_is_no_panic(at in 0usize..200, value: u8) {
            let infos = [
                info(libc::FAN_EVENT_INFO_TYPE_OLD_DFID_NAME, &entry(1, b"from", "a")),
                info(libc::FAN_EVENT_INFO_TYPE_NEW_DFID_NAME, &entry(1, b"to", "b.c")),
                info(libc::FAN_EVENT_INFO_TYPE_PIDFD, &3i32.to_ne_bytes()),
            ];
            let mut bytes = [event(libc::FAN_RENAME, -1, 1, &infos), event(libc::FAN_OPEN, 3, 1, &[])].concat();
            let at = at % bytes.len();
            bytes[at] = value;
            for event in Events(&bytes).flatten() {
                let _ = (event.pidfd(), event.entry(Role::Own), event.infos().count());
            }
        }
    }
}
