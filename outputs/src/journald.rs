//! `journald_output`: one structured entry per alert, over the journal's native socket
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use jiff::Timestamp;
use lanner_schema::alert::{Alert, FieldValue};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};

use crate::datagram::Datagram;
use crate::output::{Output, OutputError, Taken};

/// `MESSAGE_ID` of every alert, so that `journalctl MESSAGE_ID=…` and message catalogs find them. It never changes.
pub const MESSAGE_ID: &str = "72ea9952537b4d92bcf1947455951cbf";

/// The journal takes field names up to this many bytes.
const NAME_LENGTH: usize = 64;

/// The journal of this host.
#[derive(Debug)]
pub(crate) struct Journal {
    socket: Datagram,
}

impl Journal {
    pub(crate) fn new(socket: &Path) -> Self {
        Journal {
            socket: Datagram::new(socket.to_owned()),
        }
    }
}

impl Output for Journal {
    fn deliver(&mut self, alert: &Alert) -> Result<Taken, OutputError> {
        let entry = entry(alert);
        let mut sent = self.socket.send(|socket| socket.send(&entry).map(|_| ()))?;
        if sent.as_ref().is_err_and(is_too_large) {
            sent = match sealed(&entry) {
                Ok(memfd) => self
                    .socket
                    .send(|socket| send_descriptor(socket, memfd.as_raw_fd()))?,
                Err(cause) => Err(cause),
            };
        }
        sent.map(|()| Taken::Written)
            .map_err(|cause| self.socket.failed(cause))
    }

    fn reopen(&mut self) {
        self.socket.close();
    }
}

fn is_too_large(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    errno == Some(Errno::EMSGSIZE as i32) || errno == Some(Errno::ENOBUFS as i32)
}

/// An anonymous file with this content that nobody can change any more: what the journal asks of large entries.
fn sealed(entry: &[u8]) -> io::Result<File> {
    let memfd = memfd_create(
        "lanner-alert",
        MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING,
    )?;
    let mut file = File::from(memfd);
    file.write_all(entry)?;
    let seals =
        SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file)
}

/// Sends a datagram without payload that carries one descriptor.
fn send_descriptor(socket: &UnixDatagram, descriptor: RawFd) -> io::Result<()> {
    let descriptors = [descriptor];
    let control = [ControlMessage::ScmRights(&descriptors)];
    let nothing: [IoSlice<'_>; 0] = [];
    sendmsg::<UnixAddr>(
        socket.as_raw_fd(),
        &nothing,
        &control,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

/// The entry of an alert. Output fields without a value are left out.
fn entry(alert: &Alert) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + alert.message.len());
    put(&mut out, "MESSAGE", &alert.message);
    put(&mut out, "PRIORITY", &alert.priority.severity().to_string());
    put(&mut out, "SYSLOG_IDENTIFIER", "lanner");
    put(&mut out, "MESSAGE_ID", MESSAGE_ID);
    put(&mut out, "LANNER_RULE", &alert.rule);
    put(&mut out, "LANNER_SOURCE", &alert.source);
    put(&mut out, "LANNER_TAGS", &alert.tags.join(","));
    let time = Timestamp::from_nanosecond(i128::from(alert.time)).unwrap_or_default();
    put(&mut out, "LANNER_TIME", &format!("{time:.9}"));
    let mut used = HashSet::new();
    for (name, value) in &alert.fields {
        if *value != FieldValue::Missing {
            let name = unused(field_name(name), &mut used);
            put(&mut out, &name, &value.to_string());
        }
    }
    out
}

/// `LANNER_FIELD_` and the field in upper case, with `_` for each character that the journal does not take.
fn field_name(field: &str) -> String {
    let mut name = String::from("LANNER_FIELD_");
    for c in field.trim_end_matches(']').chars() {
        name.push(match c.to_ascii_uppercase() {
            c @ ('A'..='Z' | '0'..='9') => c,
            _ => '_',
        });
    }
    // All ASCII by now, so any length is a boundary.
    name.truncate(NAME_LENGTH);
    name
}

/// The name, or when another field of this alert has it (`a.b` and `a[b]`, or a long name that was cut) the name with
/// `_2`, `_3` and so on. Fields come sorted, so the numbers are the same in each alert with these fields.
fn unused(name: String, used: &mut HashSet<String>) -> String {
    let mut candidate = name.clone();
    let mut number = 1;
    while !used.insert(candidate.clone()) {
        number += 1;
        let suffix = format!("_{number}");
        candidate = name.clone();
        candidate.truncate(NAME_LENGTH - suffix.len());
        candidate.push_str(&suffix);
    }
    candidate
}

/// Adds a field: `NAME=value` on a line, or with its length in front when the value has line breaks of its own.
fn put(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
#[path = "journald_tests.rs"]
mod tests;
