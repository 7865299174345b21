//! Recordings: what capture saw, in a file, so that it can be gone through again without root and without the kernel.
//!
//! A recording has the records as the ring gave them and, in between, everything else the consumer learnt at that point: the
//! answers of [`crate::outside`], the containers, the names of addresses, and when it did its chores. A replay runs the same
//! consumer over them. The layout is in `docs/recordings.md`.

use lanner_schema::event::EventSet;

mod answers;
mod chunk;
mod error;
mod item;
mod known;
mod recorder;
mod table;

pub(crate) use answers::{Answers, Source};
pub(crate) use chunk::Chunks;
use chunk::chunk_header;
pub use error::RecordingError;
pub(crate) use item::Item;
pub(crate) use known::{read_address_names, read_container};
pub use recorder::{Facts, Limits, Recorder, Written};
pub(crate) use table::{Mapping, Recorded};

/// The kinds of chunks.
pub(crate) mod kind {
    /// Facts about the host and the recorder.
    pub(crate) const HOST: [u8; 4] = *b"HOST";
    /// The table of events the records were made with.
    pub(crate) const EVENTS: [u8; 4] = *b"EVNT";
    /// Items, in the order in which they happened.
    pub(crate) const DATA: [u8; 4] = *b"DATA";
    /// Counters of the recorder, at the end.
    pub(crate) const COUNTERS: [u8; 4] = *b"CNTR";
    /// Nothing comes after this.
    pub(crate) const END: [u8; 4] = *b"END ";
}

/// Named values: a byte with the length of the name, the name, two bytes with the length of the value, the value.
pub(crate) fn push_named(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    let name = &name.as_bytes()[..name.len().min(255)];
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    out.push(u8::try_from(name.len()).unwrap_or(0));
    out.extend_from_slice(name);
    out.extend(u16::try_from(value.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(value);
}

/// Takes named values apart; `None` after the last, and where the bytes are no named value.
pub(crate) fn named(mut bytes: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    std::iter::from_fn(move || {
        let (&length, rest) = bytes.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(length))?;
        let (length, rest) = rest.split_first_chunk()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        bytes = rest;
        Some((std::str::from_utf8(name).unwrap_or(""), value))
    })
}

/// A recording with these items as they are, after `table`, or after the table of this Lanner: all its checksums fit, whatever
/// the bytes say. For tests that no recorder could write for.
#[doc(hidden)]
pub fn recording_of(items: &[u8], table: Option<&[u8]>) -> Vec<u8> {
    let own = table::bytes(&Recorded::whole(EventSet::all()));
    let end = 0u64.to_le_bytes();
    let chunks = [
        (kind::HOST, &[][..]),
        (kind::EVENTS, table.unwrap_or(&own)),
        (kind::DATA, items),
        (kind::COUNTERS, items),
        (kind::END, &end),
    ];
    let mut out = chunk::file_header().to_vec();
    for (number, (kind, payload)) in (0..).zip(chunks) {
        out.extend(chunk_header(kind, number, payload));
        out.extend_from_slice(payload);
    }
    out
}
