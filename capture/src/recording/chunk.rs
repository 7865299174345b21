//! The file: a header, then chunks with their lengths and checksums.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::RecordingError;

/// The first bytes of a recording. As in PNG, a transfer that takes it for text damages them.
pub(crate) const MAGIC: [u8; 8] = *b"\x89LREC\r\n\x1a";
/// The version that is written, and the newest that is read.
pub(crate) const VERSION: u16 = 1;
/// Bytes before the first chunk.
pub(crate) const FILE_HEADER: usize = 16;
/// Bytes before a chunk's payload.
pub(crate) const CHUNK_HEADER: usize = 20;
/// The longest payload that is read. The writer stays far below, but for a passwd file of that size.
pub(crate) const PAYLOAD_MAX: usize = 16 << 20;

/// A pcapng section header with the byte-order magic of either order: what .scap files begin with.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// The same compressed.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The bytes before the first chunk.
pub(crate) fn file_header() -> [u8; FILE_HEADER] {
    let mut bytes = [0; FILE_HEADER];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The bytes before a payload.
pub(crate) fn chunk_header(kind: [u8; 4], number: u32, payload: &[u8]) -> [u8; CHUNK_HEADER] {
    let mut bytes = [0; CHUNK_HEADER];
    bytes[..4].copy_from_slice(&kind);
    // No payload is longer than PAYLOAD_MAX.
    bytes[4..8].copy_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes[8..12].copy_from_slice(&number.to_le_bytes());
    bytes[12..16].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..16]);
    bytes[16..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Reads chunk after chunk.
pub(crate) struct Chunks {
    path: PathBuf,
    input: Box<dyn Read + Send>,
    /// Where the next chunk begins.
    offset: u64,
    /// Where the last one began.
    began: u64,
    number: u32,
}

impl std::fmt::Debug for Chunks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chunks")
            .field("path", &self.path)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map_or(0, |b| u32::from_le_bytes(*b))
}

impl Chunks {
    /// Checks the file's header. `path` is for messages.
    pub(crate) fn new(path: &Path, input: Box<dyn Read + Send>) -> Result<Chunks, RecordingError> {
        let mut chunks = Chunks {
            path: path.to_owned(),
            input,
            offset: 0,
            began: 0,
            number: 0,
        };
        let mut header = [0; FILE_HEADER];
        let read = chunks.fill(&mut header)?;
        let begins = &header[..read];
        if begins.starts_with(&PCAPNG) || begins.starts_with(&GZIP) {
            return Err(RecordingError::Scap);
        }
        let magic = MAGIC.len().min(read);
        if begins[..magic] != MAGIC[..magic] || read == 0 {
            return Err(RecordingError::NotARecording);
        }
        if read < FILE_HEADER {
            return Err(RecordingError::Short(read as u64));
        }
        if crc32fast::hash(&header[..12]) != u32_at(&header, 12) {
            return Err(chunks.damaged("the checksum of the file's header does not fit"));
        }
        let found = u16::from_le_bytes([header[8], header[9]]);
        if found > VERSION || found == 0 {
            return Err(RecordingError::Version {
                found,
                known: VERSION,
            });
        }
        chunks.offset = FILE_HEADER as u64;
        chunks.began = chunks.offset;
        Ok(chunks)
    }

    /// The next chunk's kind, its payload in `payload`; `None` when the file ends here, be it between chunks or within one.
    pub(crate) fn next(&mut self, payload: &mut Vec<u8>) -> Result<Option<[u8; 4]>, RecordingError> {
        payload.clear();
        self.began = self.offset;
        let mut header = [0; CHUNK_HEADER];
        if self.fill(&mut header)? < CHUNK_HEADER {
            return Ok(None);
        }
        if crc32fast::hash(&header[..16]) != u32_at(&header, 16) {
            return Err(self.damaged("the checksum of a chunk's header does not fit"));
        }
        if u32_at(&header, 8) != self.number {
            return Err(self.damaged("a chunk is missing or there twice"));
        }
        let length = u32_at(&header, 4) as usize;
        if length > PAYLOAD_MAX {
            return Err(self.damaged("a chunk is longer than any that is written"));
        }
        // What is not there is not made room for.
        let read = io::Read::take(&mut self.input, length as u64)
            .read_to_end(payload)
            .map_err(|source| self.io(source))?;
        if read < length {
            payload.clear();
            return Ok(None);
        }
        if crc32fast::hash(payload) != u32_at(&header, 12) {
            return Err(self.damaged("the checksum of a chunk does not fit"));
        }
        self.number = self.number.wrapping_add(1);
        self.offset += (CHUNK_HEADER + length) as u64;
        Ok(header.first_chunk().copied())
    }

    /// True when nothing follows.
    pub(crate) fn is_at_end(&mut self) -> Result<bool, RecordingError> {
        Ok(self.fill(&mut [0])? == 0)
    }

    /// Where the last chunk began.
    pub(crate) fn began(&self) -> u64 {
        self.began
    }

    /// An error about the chunk that was read last.
    pub(crate) fn damaged(&self, what: &'static str) -> RecordingError {
        RecordingError::Damaged {
            offset: self.began,
            what,
        }
    }

    fn io(&self, reason: io::Error) -> RecordingError {
        RecordingError::Io {
            path: self.path.clone(),
            reason,
        }
    }

    /// Reads until `bytes` is full or the file ends; how many bytes came.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, RecordingError> {
        let mut read = 0;
        while read < bytes.len() {
            match self.input.read(&mut bytes[read..]) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.io(source)),
            }
        }
        Ok(read)
    }
}
