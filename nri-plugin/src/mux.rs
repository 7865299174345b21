//! The NRI multiplexer: several byte streams over one socket.
//!
//! A frame is a connection id (u32, big endian), a payload length (u32, big endian) and the payload. There is no
//! opening or closing of a connection and no flow control. This module turns bytes into chunks of a connection and
//! back; it holds no payload, so a length that the peer claims is never allocated.

use crate::ttrpc;

/// The connection on which the runtime calls us (service `Plugin`).
pub(crate) const PLUGIN: u32 = 1;
/// The connection on which we call the runtime (service `Runtime`).
pub(crate) const RUNTIME: u32 = 2;

/// Bytes of a frame's header.
const HEADER: usize = 8;
/// The longest payload that is sent. The runtime's side reads through a 4096-byte buffer and fails when a frame is
/// larger than what is free in it.
pub(crate) const MAX_SENT: usize = 4096;
/// The longest payload that is accepted: one ttrpc message and its header.
pub(crate) const MAX_RECEIVED: usize = ttrpc::MAX_DATA + ttrpc::HEADER;

/// The stream of frames is not one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum MuxError {
    /// A length no NRI runtime sends: the stream is out of step or not NRI.
    #[error("a frame of {length} bytes on connection {connection}: more than the {MAX_RECEIVED} allowed")]
    Oversize { connection: u32, length: u32 },
}

/// Takes a socket's bytes apart. Chunks are handed on as they arrive, whole frames or not.
#[derive(Debug, Default)]
pub(crate) struct Demux {
    header: [u8; HEADER],
    filled: usize,
    connection: u32,
    remaining: usize,
    unknown: u64,
}

impl Demux {
    /// Frames of connections that nobody listens to, so far. They are dropped, as the other side does.
    pub(crate) fn unknown_frames(&self) -> u64 {
        self.unknown
    }

    /// True between two frames: an end of the stream here cuts nothing off.
    pub(crate) fn at_boundary(&self) -> bool {
        self.filled == 0 && self.remaining == 0
    }

    /// Reads `bytes` and calls `sink` with each piece of a payload and its connection.
    pub(crate) fn push(
        &mut self,
        mut bytes: &[u8],
        mut sink: impl FnMut(u32, &[u8]),
    ) -> Result<(), MuxError> {
        while !bytes.is_empty() {
            if self.remaining == 0 {
                let take = bytes.len().min(HEADER - self.filled);
                let (head, rest) = bytes.split_at(take);
                self.header[self.filled..self.filled + take].copy_from_slice(head);
                self.filled += take;
                bytes = rest;
                if self.filled == HEADER {
                    self.filled = 0;
                    self.open()?;
                }
                continue;
            }
            let (chunk, rest) = bytes.split_at(bytes.len().min(self.remaining));
            self.remaining -= chunk.len();
            bytes = rest;
            if matches!(self.connection, PLUGIN | RUNTIME) {
                sink(self.connection, chunk);
            }
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), MuxError> {
        let [c0, c1, c2, c3, l0, l1, l2, l3] = self.header;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        self.connection = u32::from_be_bytes([c0, c1, c2, c3]);
        self.remaining = usize::try_from(length).unwrap_or(usize::MAX);
        if self.remaining > MAX_RECEIVED {
            return Err(MuxError::Oversize {
                connection: self.connection,
                length,
            });
        }
        if !matches!(self.connection, PLUGIN | RUNTIME) {
            self.unknown += 1;
        }
        Ok(())
    }
}

/// Appends `payload` to `out` as frames of `connection`, none longer than [`MAX_SENT`].
pub(crate) fn frames(connection: u32, payload: &[u8], out: &mut Vec<u8>) {
    for chunk in payload.chunks(MAX_SENT) {
        out.extend_from_slice(&connection.to_be_bytes());
        // A chunk is at most MAX_SENT long, so its length fits.
        out.extend_from_slice(&u32::try_from(chunk.len()).unwrap_or(0).to_be_bytes());
        out.extend_from_slice(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn collect(demux: &mut Demux, bytes: &[u8]) -> Result<Vec<(u32, Vec<u8>)>, MuxError> {
        let mut seen: Vec<(u32, Vec<u8>)> = Vec::new();
        demux.push(bytes, |connection, chunk| match seen.last_mut() {
            Some((last, data)) if *last == connection => data.extend_from_slice(chunk),
            _ => seen.push((connection, chunk.to_vec())),
        })?;
        Ok(seen)
    }

    #[test]
    fn a_long_payload_is_split_at_4096_bytes_and_comes_back_whole() {
        let payload: Vec<u8> = (0..20_000u32).map(|n| n as u8).collect();
        let mut wire = Vec::new();
        frames(PLUGIN, &payload, &mut wire);
        assert_eq!(wire.len(), payload.len() + 5 * HEADER);
        assert_eq!(wire[..8], [0, 0, 0, 1, 0, 0, 0x10, 0]);
        assert_eq!(wire[8 + 4096..][..8], [0, 0, 0, 1, 0, 0, 0x10, 0]);
        assert_eq!(wire[4 * (4096 + HEADER)..][..8], [0, 0, 0, 1, 0, 0, 0x0e, 0x20]);
        assert_eq!(collect(&mut Demux::default(), &wire), Ok(vec![(PLUGIN, payload)]));
    }

    #[test]
    fn a_frame_read_byte_by_byte_is_the_same_frame() {
        let mut wire = Vec::new();
        frames(RUNTIME, b"hello", &mut wire);
        frames(PLUGIN, b"world", &mut wire);
        let mut demux = Demux::default();
        let mut seen = Vec::new();
        for byte in &wire {
            demux
                .push(&[*byte], |connection, chunk| {
                    seen.push((connection, chunk.to_vec()))
                })
                .unwrap();
        }
        let of = |id| {
            seen.iter()
                .filter(|(c, _)| *c == id)
                .flat_map(|(_, b)| b.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!((of(RUNTIME), of(PLUGIN)), (b"hello".to_vec(), b"world".to_vec()));
        assert!(demux.at_boundary());
    }

    #[test]
    fn unknown_connections_are_dropped_and_counted() {
        let mut wire = Vec::new();
        for connection in [0, 3, u32::MAX] {
            frames(connection, b"noise", &mut wire);
        }
        frames(PLUGIN, b"kept", &mut wire);
        let mut demux = Demux::default();
        assert_eq!(collect(&mut demux, &wire), Ok(vec![(PLUGIN, b"kept".to_vec())]));
        assert_eq!(demux.unknown_frames(), 3);
    }

    #[test]
    fn a_length_beyond_the_limit_is_an_error_before_its_payload_arrives() {
        let wire = [0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff];
        let error = collect(&mut Demux::default(), &wire).unwrap_err();
        assert_eq!(
            error,
            MuxError::Oversize {
                connection: 1,
                length: u32::MAX
            }
        );
    }

    #[test]
    fn an_end_in_the_middle_is_not_a_boundary() {
        let mut wire = Vec::new();
        frames(PLUGIN, b"0123456789", &mut wire);
        for cut in 1..wire.len() {
            let mut demux = Demux::default();
            demux.push(&wire[..cut], |_, _| ()).unwrap();
            assert!(!demux.at_boundary(), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same_answer(
            bytes in proptest::collection::vec(any::<u8>(), 0..4096),
            // Small lengths, so that some of the noise is valid frames.
            small in any::<bool>(),
            step in 1usize..97,
        ) {
            let mut bytes = bytes;
            if small {
                for header in bytes.chunks_mut(16) {
                    for (index, value) in [0, 0, 0, 1, 0, 0, 0, 8].into_iter().enumerate() {
                        if let Some(byte) = header.get_mut(index) {
                            *byte = value;
                        }
                    }
                }
            }
            let whole = collect(&mut Demux::default(), &bytes);
            let mut demux = Demux::default();
            let mut joined: Vec<(u32, Vec<u8>)> = Vec::new();
            let mut failed = None;
            for piece in bytes.chunks(step) {
                let result = demux.push(piece, |connection, chunk| match joined.last_mut() {
                    Some((last, data)) if *last == connection => data.extend_from_slice(chunk),
                    _ => joined.push((connection, chunk.to_vec())),
                });
                if let Err(error) = result {
                    failed = Some(error);
                    break;
                }
            }
            match whole {
                Ok(whole) => { prop_assert_eq!(failed, None); prop_assert_eq!(whole, joined); }
                Err(error) => prop_assert_eq!(failed, Some(error)),
            }
        }

        #[test]
        fn what_is_framed_comes_back(
            payloads in proptest::collection::vec((1u32..=2, proptest::collection::vec(any::<u8>(), 1..9000)), 0..6),
        ) {
            let mut wire = Vec::new();
            for (connection, payload) in &payloads {
                frames(*connection, payload, &mut wire);
            }
            let mut expected: Vec<(u32, Vec<u8>)> = Vec::new();
            for (connection, payload) in payloads {
                match expected.last_mut() {
                    Some((last, data)) if *last == connection => data.extend_from_slice(&payload),
                    _ => expected.push((connection, payload)),
                }
            }
            prop_assert_eq!(collect(&mut Demux::default(), &wire), Ok(expected));
        }
    }
}
