//! The runtime's end of a connection.

use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};

use crate::machine::{LIMIT, until};
use crate::message::{Message, number, part, text};

/// The connection on which the runtime calls the plugin.
pub(crate) const PLUGIN: u32 = 1;
/// The other way round.
pub(crate) const RUNTIME: u32 = 2;
pub(crate) const REQUEST: u8 = 1;
pub(crate) const RESPONSE: u8 = 2;
pub(crate) const UNIMPLEMENTED: u64 = 12;

/// A payload, or code and text of a status that is not OK.
pub(crate) type Answer = Result<Vec<u8>, (u64, String)>;

pub(crate) struct Peer {
    pub(crate) stream: UnixStream,
    /// Bytes that came in and are no whole frame yet.
    bytes: Vec<u8>,
    /// What came in on each connection and is no whole message yet.
    connections: HashMap<u32, Vec<u8>>,
    /// Answers that nobody waited for yet.
    answers: HashMap<u32, Answer>,
    /// The longest frame that came in.
    pub(crate) longest: usize,
    next: u32,
}

/// A frame of the multiplexer.
pub(crate) fn frame(connection: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = connection.to_be_bytes().to_vec();
    frame.extend((payload.len() as u32).to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A ttrpc message.
pub(crate) fn ttrpc(stream: u32, kind: u8, data: &[u8]) -> Vec<u8> {
    let mut message = (data.len() as u32).to_be_bytes().to_vec();
    message.extend(stream.to_be_bytes());
    message.extend([kind, 0]);
    message.extend_from_slice(data);
    message
}

/// A request to the plugin, as ttrpc has it, with the metadata that a Go client adds.
pub(crate) fn request(method: &str, payload: &[u8]) -> Message {
    Message::new()
        .text(1, "nri.pkg.api.v1alpha1.Plugin")
        .text(2, method)
        .bytes(3, payload)
        .number(4, 2_000_000_000)
        .message(5, &Message::new().text(1, "traceparent").text(2, "00-01"))
}

impl Peer {
    pub(crate) fn accept(listener: &UnixListener) -> Self {
        let mut accepted = None;
        until("the plugin's connection", || match listener.accept() {
            Ok((stream, _)) => {
                accepted = Some(stream);
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        });
        let stream = accepted.unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Self {
            stream,
            bytes: Vec::new(),
            connections: HashMap::new(),
            answers: HashMap::new(),
            longest: 0,
            next: 1,
        }
    }

    /// Reads until there is a whole message on a connection: its stream, kind and data. `None` when the plugin closed.
    fn message(&mut self, connection: u32) -> Option<(u32, u8, Vec<u8>)> {
        loop {
            while let Some(head) = self.bytes.first_chunk::<8>() {
                let [c0, c1, c2, c3, l0, l1, l2, l3] = *head;
                let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
                let Some(payload) = self.bytes.get(8..8 + length) else {
                    break;
                };
                let of = u32::from_be_bytes([c0, c1, c2, c3]);
                assert!([PLUGIN, RUNTIME].contains(&of), "a frame on connection {of}");
                self.longest = self.longest.max(length);
                self.connections.entry(of).or_default().extend_from_slice(payload);
                self.bytes.drain(..8 + length);
            }
            let waiting = self.connections.entry(connection).or_default();
            if let Some(head) = waiting.first_chunk::<10>() {
                let [l0, l1, l2, l3, s0, s1, s2, s3, kind, _] = *head;
                let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
                if let Some(data) = waiting.get(10..10 + length) {
                    let message = (u32::from_be_bytes([s0, s1, s2, s3]), kind, data.to_vec());
                    waiting.drain(..10 + length);
                    return Some(message);
                }
            }
            let mut buffer = [0; 64 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(read) => self.bytes.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("the plugin said nothing: {error}"),
            }
        }
    }

    /// The plugin's registration: its stream, name and index.
    pub(crate) fn registration(&mut self) -> (u32, String, String) {
        let (stream, kind, data) = self.message(RUNTIME).expect("a registration");
        assert_eq!((kind, stream % 2), (REQUEST, 1));
        assert_eq!(text(&data, 1), "nri.pkg.api.v1alpha1.Runtime");
        assert_eq!(text(&data, 2), "RegisterPlugin");
        let payload = part(&data, 3);
        (stream, text(&payload, 1), text(&payload, 2))
    }

    /// Writes bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn respond(&mut self, stream: u32, code: u64, text: &str) {
        let status = Message::new().number(1, code).text(2, text);
        let response = Message::new().message(1, &status);
        self.raw(&frame(RUNTIME, &ttrpc(stream, RESPONSE, &response.0)));
    }

    /// Sends a call as it is and gives its stream.
    pub(crate) fn send(&mut self, method: &str, payload: &[u8]) -> u32 {
        self.next += 2;
        let stream = self.next;
        self.raw(&frame(
            PLUGIN,
            &ttrpc(stream, REQUEST, &request(method, payload).0),
        ));
        stream
    }

    /// The answer to a call. `None` when the plugin closed.
    pub(crate) fn answer(&mut self, stream: u32) -> Option<Answer> {
        loop {
            if let Some(answer) = self.answers.remove(&stream) {
                return Some(answer);
            }
            let (stream, kind, data) = self.message(PLUGIN)?;
            assert_eq!(kind, RESPONSE);
            let status = part(&data, 1);
            let answer = match number(&status, 1) {
                0 => Ok(part(&data, 2)),
                code => Err((code, text(&status, 2))),
            };
            self.answers.insert(stream, answer);
        }
    }

    pub(crate) fn call(&mut self, method: &str, payload: &Message) -> Answer {
        let stream = self.send(method, &payload.0);
        self.answer(stream).expect("an answer")
    }

    /// A call that must succeed.
    pub(crate) fn ask(&mut self, method: &str, payload: &Message) -> Vec<u8> {
        let answer = self.call(method, payload);
        answer.unwrap_or_else(|(code, text)| panic!("{method}: {code} {text}"))
    }

    /// True when the plugin closes, or has closed.
    pub(crate) fn is_closed(&mut self) -> bool {
        while let Some(_ignored) = self.message(PLUGIN) {}
        true
    }

    /// Registration, Configure and an empty Synchronize, as 0.8 has them.
    pub(crate) fn handshake(&mut self) {
        let (stream, _, _) = self.registration();
        self.respond(stream, 0, "");
        let configure = Message::new().text(2, "containerd").text(3, "2.1.9");
        self.ask("Configure", &configure);
        self.ask("Synchronize", &Message::new());
    }

    /// A container's start as a StateChange.
    pub(crate) fn start(&mut self, id: &str) {
        self.ask("StateChange", &change(6, id));
    }
}

/// A `Container` with the least that one has.
pub(crate) fn container(id: &str) -> Message {
    let linux = Message::new().text(5, &format!("/k8s.io/{id}"));
    Message::new()
        .text(1, id)
        .text(3, "web")
        .message(11, &linux)
        .number(12, 1_000_000)
}

/// A `StateChangeEvent` about a container.
pub(crate) fn change(event: u64, id: &str) -> Message {
    Message::new().number(1, event).message(3, &container(id))
}
