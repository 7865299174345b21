//! What runtime, keeper and agent say to each other over sockets, descriptors beside it.
//!
//! A runtime sends `ContainerProcessState` of the OCI runtime specification and closes. The keeper sends an agent one packet
//! with the memory they share, and one with each listener. An agent gives such packets back when it had the listeners from a
//! keeper that has gone.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde_json::{Value, json};

/// The most a runtime may say: the annotations of a container are in it.
pub(crate) const STATE_MAX: usize = 256 << 10;
/// The most descriptors that are taken from one message.
const DESCRIPTORS_MAX: usize = 8;
/// The most a packet between keeper and agent has.
pub(crate) const PACKET_MAX: usize = 512 << 10;
/// The most characters of what is told on of a container.
const TEXT_MAX: usize = 64 << 10;

/// Bytes and descriptors of a socket; no bytes at its end.
pub(crate) fn receive(socket: &impl AsRawFd, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = nix::cmsg_space!([RawFd; DESCRIPTORS_MAX]);
    let mut parts = [IoSliceMut::new(bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let mut descriptors = Vec::new();
    // What did not fit the kernel has closed.
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            // SAFETY: the kernel has just made them for us, and nobody else knows them.
            descriptors.extend(
                numbers
                    .into_iter()
                    .map(|number| unsafe { OwnedFd::from_raw_fd(number) }),
            );
        }
    }
    Ok((message.bytes, descriptors))
}

/// Sends a packet with a descriptor, if it can be sent at once.
pub(crate) fn send(socket: &impl AsRawFd, bytes: &[u8], descriptor: &impl AsRawFd) -> io::Result<()> {
    let numbers = [descriptor.as_raw_fd()];
    let control = [ControlMessage::ScmRights(&numbers)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], &control, flags, None)?;
    Ok(())
}

/// What a runtime says of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ProcessState {
    /// Which of the descriptors beside it is the listener.
    pub(crate) listener: usize,
    /// The container's id.
    pub(crate) container: String,
    /// The process with the policy, in the runtime's pid namespace.
    pub(crate) pid: i32,
    /// Text of the policy.
    pub(crate) metadata: String,
}

impl ProcessState {
    /// Reads what a runtime sent so far; `None` when it is not whole, or not what is expected.
    pub(crate) fn read(bytes: &[u8]) -> Option<ProcessState> {
        let state: Value = serde_json::from_slice(bytes).ok()?;
        let text = |value: &Value| {
            value
                .as_str()
                .map(|text| text.chars().take(TEXT_MAX).collect::<String>())
        };
        let mut names = state["fds"].as_array()?.iter();
        Some(ProcessState {
            listener: names.position(|name| name == "seccompFd")?,
            container: text(&state["state"]["id"]).unwrap_or_default(),
            pid: state["pid"]
                .as_i64()
                .and_then(|pid| pid.try_into().ok())
                .unwrap_or(0),
            metadata: text(&state["metadata"]).unwrap_or_default(),
        })
    }
}

/// What the keeper says to an agent of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lent {
    /// The keeper's number of the listener, never 0.
    pub(crate) number: u64,
    pub(crate) container: String,
    /// The process with the policy, in the runtime's pid namespace.
    pub(crate) pid: i32,
    pub(crate) metadata: String,
}

/// Version of what the keeper says: the first packet has it.
pub(crate) const VERSION: u64 = 1;

/// The packet that the shared memory comes with. `life` tells one keeper from another.
pub(crate) fn greeting(life: u64) -> Vec<u8> {
    json!({ "lanner_keeper": VERSION, "life": life })
        .to_string()
        .into_bytes()
}

/// The keeper that sent this packet; `None` when it is none of its kind.
pub(crate) fn read_greeting(bytes: &[u8]) -> Option<u64> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    value["life"]
        .as_u64()
        .filter(|_| value["lanner_keeper"] == VERSION)
}

impl Lent {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let Lent {
            number,
            container,
            pid,
            metadata,
        } = self;
        let value = json!({ "listener": number, "container": container, "pid": pid, "metadata": metadata });
        value.to_string().into_bytes()
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Lent> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        Some(Lent {
            number: value["listener"].as_u64().filter(|number| *number != 0)?,
            container: value["container"].as_str()?.to_owned(),
            pid: value["pid"].as_i64()?.try_into().ok()?,
            metadata: value["metadata"].as_str()?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_runc_sends_is_understood() {
        let sent = br#"{"ociVersion":"1.2.1","fds":["other","seccompFd"],"pid":4422,"metadata":"lanner 1 refused=mount",
            "state":{"ociVersion":"1.2.1","id":"abc","status":"creating","pid":4422,"bundle":"/b","annotations":{"a":"b"}}}"#;
        let state = ProcessState::read(sent).unwrap();
        assert_eq!((state.listener, state.pid), (1, 4422));
        assert_eq!(
            (state.container.as_str(), state.metadata.as_str()),
            ("abc", "lanner 1 refused=mount")
        );
        for cut in [0, 1, 50, sent.len() - 1] {
            assert_eq!(ProcessState::read(&sent[..cut]), None, "{cut}");
        }
        assert_eq!(ProcessState::read(br#"{"fds":["x"]}"#), None);
        assert_eq!(
            ProcessState::read(br#"{"fds":["seccompFd"],"pid":-9999999999}"#)
                .unwrap()
                .pid,
            0
        );
    }

    #[test]
    fn descriptors_arrive_beside_their_bytes() {
        let (one, two) = UnixStream::pair().unwrap();
        let (mut bytes, null) = ([0; 64], std::fs::File::open("/dev/null").unwrap());
        assert_eq!(
            receive(&two, &mut bytes).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        send(&one, b"hello", &null).unwrap();
        let (length, descriptors) = receive(&two, &mut bytes).unwrap();
        assert_eq!((&bytes[..length], descriptors.len()), (&b"hello"[..], 1));
        drop(one);
        assert_eq!(receive(&two, &mut bytes).unwrap().0, 0);
    }

    proptest! {
        #[test]
        fn what_is_lent_is_read_as_it_is_written(number in 1u64.., container: String, pid: i32, metadata: String) {
            let lent = Lent { number, container, pid, metadata };
            prop_assert_eq!(Lent::read(&lent.to_bytes()), Some(lent));
        }

        #[test]
        fn anything_else_is_refused_quietly(bytes: Vec<u8>) {
            prop_assert_eq!(ProcessState::read(&bytes), None);
            prop_assert_eq!(Lent::read(&bytes), None);
            prop_assert_eq!(read_greeting(&bytes), None);
        }
    }
}
