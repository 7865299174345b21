//! ttrpc: the small RPC of containerd, as much of it as NRI uses (unary calls).
//!
//! A message is a data length (u32, big endian), a stream id (u32, big endian), a type (1 request, 2 response), flags
//! and the data, a protobuf [`Request`] or [`Response`]. Data is at most 4 MiB. Clients use odd stream ids that grow.

use prost::Message as _;

/// Bytes of a message's header.
pub(crate) const HEADER: usize = 10;
/// The most data one message carries.
pub(crate) const MAX_DATA: usize = 4 << 20;
/// The protocol keeps the first byte of a length zero. A larger length means the stream is out of step.
const MAX_SKIPPED: usize = (16 << 20) - 1;

const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;

/// The status codes used here (those of gRPC).
pub(crate) mod code {
    /// The call is done.
    pub(crate) const OK: i32 = 0;
    /// The request can't be read.
    pub(crate) const INVALID_ARGUMENT: i32 = 3;
    /// The message is larger than allowed.
    pub(crate) const RESOURCE_EXHAUSTED: i32 = 8;
    /// There is no such service or method.
    pub(crate) const UNIMPLEMENTED: i32 = 12;
}

/// A call.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Request {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
    #[prost(string, tag = "2")]
    pub(crate) method: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) payload: Vec<u8>,
    #[prost(int64, tag = "4")]
    pub(crate) timeout_nano: i64,
}

/// The answer to a call.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Response {
    #[prost(message, optional, tag = "1")]
    pub(crate) status: Option<Status>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) payload: Vec<u8>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Status {
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

impl Status {
    /// A status that says no.
    pub(crate) fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl Response {
    /// The payload, or the status when it isn't OK.
    pub(crate) fn into_result(self) -> Result<Vec<u8>, Status> {
        match self.status {
            Some(status) if status.code != code::OK => Err(status),
            _ => Ok(self.payload),
        }
    }
}

/// The stream is not ttrpc, or lost its step.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum TtrpcError {
    /// A length with its reserved byte set.
    #[error("a ttrpc message of {0} bytes")]
    Length(usize),
}

/// One message as it came in.
#[derive(Debug, PartialEq)]
pub(crate) enum Incoming {
    /// A call of the other side.
    Request { stream: u32, request: Request },
    /// An answer to a call of ours.
    Response { stream: u32, response: Response },
    /// A message that can't be served; a request is to be answered with this status.
    Bad {
        stream: u32,
        is_request: bool,
        status: Status,
    },
}

/// A buffer that grew beyond this for one message is given back after it.
const KEPT: usize = 64 << 10;

/// Collects the bytes of one connection into messages. It holds what has arrived, never what a length promises.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    buffer: Vec<u8>,
    skip: usize,
}

impl Decoder {
    /// Adds bytes of the connection.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let skipped = bytes.len().min(self.skip);
        self.skip -= skipped;
        self.buffer.extend_from_slice(&bytes[skipped..]);
    }

    /// The next whole message, if there is one.
    pub(crate) fn next(&mut self) -> Result<Option<Incoming>, TtrpcError> {
        loop {
            let Some(([l0, l1, l2, l3, s0, s1, s2, s3, kind, _flags], rest)) =
                self.buffer.split_first_chunk::<HEADER>()
            else {
                return Ok(None);
            };
            let length = usize::try_from(u32::from_be_bytes([*l0, *l1, *l2, *l3])).unwrap_or(usize::MAX);
            let stream = u32::from_be_bytes([*s0, *s1, *s2, *s3]);
            let kind = *kind;
            if length > MAX_SKIPPED {
                return Err(TtrpcError::Length(length));
            }
            if length > MAX_DATA {
                let have = rest.len().min(length);
                self.skip = length - have;
                self.buffer.drain(..HEADER + have);
                let status = Status::new(
                    code::RESOURCE_EXHAUSTED,
                    format!("message length {length} exceed maximum message size of {MAX_DATA}"),
                );
                return Ok(Some(Incoming::Bad {
                    stream,
                    is_request: kind == REQUEST,
                    status,
                }));
            }
            let Some(data) = rest.get(..length) else {
                return Ok(None);
            };
            let message = match kind {
                REQUEST => Some(match Request::decode(data) {
                    Ok(request) => Incoming::Request { stream, request },
                    Err(error) => bad(stream, true, &error),
                }),
                RESPONSE => Some(match Response::decode(data) {
                    Ok(response) => Incoming::Response { stream, response },
                    Err(error) => bad(stream, false, &error),
                }),
                // Stream data and types to come: not for unary calls, ignored as the protocol asks.
                _ => None,
            };
            self.buffer.drain(..HEADER + length);
            if self.buffer.is_empty() && self.buffer.capacity() > KEPT {
                self.buffer = Vec::new();
            }
            if message.is_some() {
                return Ok(message);
            }
        }
    }
}

fn bad(stream: u32, is_request: bool, error: &prost::DecodeError) -> Incoming {
    let status = Status::new(code::INVALID_ARGUMENT, format!("unmarshal error: {error}"));
    Incoming::Bad {
        stream,
        is_request,
        status,
    }
}

/// A request as bytes.
pub(crate) fn encode_request(stream: u32, request: &Request) -> Vec<u8> {
    encode(stream, REQUEST, request)
}

/// A response as bytes.
pub(crate) fn encode_response(stream: u32, response: &Response) -> Vec<u8> {
    encode(stream, RESPONSE, response)
}

fn encode(stream: u32, kind: u8, message: &impl prost::Message) -> Vec<u8> {
    let length = message.encoded_len();
    let mut out = Vec::with_capacity(HEADER + length);
    // Everything sent from here is far below 4 MiB.
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(&[kind, 0]);
    out.extend_from_slice(&message.encode_to_vec());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(method: &str, payload: &[u8]) -> Request {
        Request {
            service: "nri.pkg.api.v1alpha1.Plugin".into(),
            method: method.into(),
            payload: payload.into(),
            timeout_nano: 2_000_000_000,
        }
    }

    #[test]
    fn two_messages_in_pieces_are_two_messages() {
        let mut wire = encode_request(1, &request("Configure", b"abc"));
        let response = Response {
            status: Some(Status::new(code::UNIMPLEMENTED, "no")),
            payload: Vec::new(),
        };
        wire.extend(encode_response(7, &response));
        let mut decoder = Decoder::default();
        let mut seen = Vec::new();
        for piece in wire.chunks(3) {
            decoder.push(piece);
            while let Some(message) = decoder.next().unwrap() {
                seen.push(message);
            }
        }
        assert_eq!(
            seen,
            [
                Incoming::Request {
                    stream: 1,
                    request: request("Configure", b"abc")
                },
                Incoming::Response { stream: 7, response },
            ]
        );
    }

    #[test]
    fn the_header_is_length_stream_type_and_flags() {
        let wire = encode_request(0x0102_0304, &request("M", b""));
        assert_eq!(wire[..10], [0, 0, 0, (wire.len() - 10) as u8, 1, 2, 3, 4, 1, 0]);
    }

    #[test]
    fn an_oversized_message_is_refused_and_the_next_one_is_read() {
        let length = MAX_DATA + 1;
        let mut decoder = Decoder::default();
        let mut header = u32::try_from(length).unwrap().to_be_bytes().to_vec();
        header.extend_from_slice(&[0, 0, 0, 9, REQUEST, 0]);
        decoder.push(&header);
        let Ok(Some(Incoming::Bad {
            stream: 9,
            is_request: true,
            status,
        })) = decoder.next()
        else {
            panic!("expected a refusal");
        };
        assert_eq!(status.code, code::RESOURCE_EXHAUSTED);
        for piece in vec![0xaa; length].chunks(100_000) {
            decoder.push(piece);
            assert_eq!(decoder.next(), Ok(None));
            assert!(decoder.buffer.len() < HEADER, "skipped bytes must not be kept");
        }
        decoder.push(&encode_request(11, &request("StateChange", b"")));
        assert!(matches!(
            decoder.next(),
            Ok(Some(Incoming::Request { stream: 11, .. }))
        ));
    }

    #[test]
    fn a_length_with_the_reserved_byte_ends_the_stream() {
        let mut decoder = Decoder::default();
        decoder.push(&[1, 0, 0, 0, 0, 0, 0, 1, REQUEST, 0]);
        assert_eq!(decoder.next(), Err(TtrpcError::Length(1 << 24)));
    }

    #[test]
    fn a_request_that_is_no_protobuf_gets_an_answer_and_data_messages_are_ignored() {
        let mut decoder = Decoder::default();
        decoder.push(&[0, 0, 0, 2, 0, 0, 0, 1, 3, 0, b'x', b'y']);
        decoder.push(&[0, 0, 0, 2, 0, 0, 0, 3, REQUEST, 0, 0xff, 0xff]);
        let Ok(Some(Incoming::Bad {
            stream: 3,
            is_request: true,
            status,
        })) = decoder.next()
        else {
            panic!("expected a refusal");
        };
        assert_eq!(status.code, code::INVALID_ARGUMENT);
        assert_eq!(decoder.next(), Ok(None));
    }

    #[test]
    fn a_status_that_is_ok_or_absent_is_success() {
        let ok = Response {
            status: Some(Status::new(code::OK, "")),
            payload: b"p".to_vec(),
        };
        assert_eq!(ok.into_result(), Ok(b"p".to_vec()));
        assert_eq!(
            Response {
                status: None,
                payload: Vec::new()
            }
            .into_result(),
            Ok(Vec::new())
        );
        let no = Response {
            status: Some(Status::new(2, "why")),
            payload: Vec::new(),
        };
        assert_eq!(no.into_result().unwrap_err().message, "why");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic_and_never_make_it_hold_more_than_came(
            bytes in proptest::collection::vec(any::<u8>(), 0..3000),
            short in any::<bool>(),
        ) {
            let mut bytes = bytes;
            if short {
                // Lengths of 0 to 255, so that the noise has whole messages in it.
                for start in (0..bytes.len()).step_by(40) {
                    for byte in bytes.iter_mut().skip(start).take(3) {
                        *byte = 0;
                    }
                }
            }
            let mut decoder = Decoder::default();
            for piece in bytes.chunks(17) {
                decoder.push(piece);
                loop {
                    match decoder.next() {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => return Ok(()),
                    }
                }
                prop_assert!(decoder.buffer.len() <= bytes.len());
            }
        }
    }
}
