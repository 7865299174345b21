//! The bytes of a record that no program wrote.

use super::object::S_IFSOCK;
use super::*;

/// Builds the bytes after the header: tests, and sources that are not BPF.
#[derive(Debug, Default)]
pub struct WireBuilder {
    lengths: Vec<u8>,
    data: Vec<u8>,
    task: Vec<u8>,
}

impl WireBuilder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The most bytes a value can have.
    pub const MAX: usize = !TRUNCATED as usize;

    fn push(mut self, bytes: &[u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(Self::MAX)];
        let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX) & !TRUNCATED;
        self.lengths.extend(len.to_le_bytes());
        self.data.extend(&bytes[..usize::from(len)]);
        self
    }

    /// A parameter without a value.
    #[must_use]
    pub fn missing(self) -> Self {
        self.push(&[])
    }

    /// A number.
    #[must_use]
    pub fn number(self, value: i64) -> Self {
        self.push(&value.to_le_bytes())
    }

    /// The parameter before was longer than what is here of it.
    #[must_use]
    pub fn cut(mut self) -> Self {
        if let Some(high) = self.lengths.last_mut() {
            *high |= (TRUNCATED >> 8) as u8;
        }
        self
    }

    /// Text; the NUL is added.
    #[must_use]
    pub fn text(self, text: impl AsRef<[u8]>) -> Self {
        let mut bytes = text.as_ref().to_vec();
        bytes.push(0);
        self.push(&bytes)
    }

    /// A path as it was passed, and the absolute directory it starts from when it is relative.
    #[must_use]
    pub fn path(self, raw: &str, base: &str) -> Self {
        let mut bytes = raw.as_bytes().to_vec();
        bytes.push(0);
        if !raw.starts_with('/') {
            bytes.extend(components(base));
        }
        self.push(&bytes)
    }

    /// A path from kernel objects: an absolute path, sent as its names from the leaf up.
    #[must_use]
    pub fn kernel_path(self, path: &str) -> Self {
        let bytes = components(path);
        self.push(&bytes)
    }

    /// What a descriptor refers to: a file or directory by its path.
    #[must_use]
    pub fn file_object(self, mode: u16, path: &str) -> Self {
        let object = Object {
            mode,
            rest: &components(path),
            ..Object::default()
        };
        let mut bytes = Vec::new();
        object.write(&mut bytes);
        self.push(&bytes)
    }

    /// What a descriptor refers to: a socket.
    #[must_use]
    pub fn socket_object(self, tuple: &SocketTuple<'_>) -> Self {
        let (mut bytes, mut rest) = (Vec::new(), Vec::new());
        tuple.write(&mut rest);
        let object = Object {
            mode: S_IFSOCK | 0o777,
            flags: OBJECT_INTERNAL,
            inode: tuple.inode.into(),
            rest: &rest,
            ..Object::default()
        };
        object.write(&mut bytes);
        self.push(&bytes)
    }

    /// A socket tuple.
    #[must_use]
    pub fn tuple(self, tuple: &SocketTuple) -> Self {
        let mut bytes = Vec::new();
        tuple.write(&mut bytes);
        self.push(&bytes)
    }

    /// Values of the thread, in the order of [`TaskValue`].
    #[must_use]
    pub fn task(mut self, values: &[(TaskValue, u64)]) -> Self {
        push_task_values(&mut self.task, values);
        self
    }

    /// Raw bytes.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        self.push(bytes)
    }

    /// The bytes of a record of an event of this type: what was not given is missing.
    pub fn build_for(mut self, event: Event) -> Vec<u8> {
        while self.lengths.len() < 2 * event.row().params.len() {
            self = self.missing();
        }
        self.build()
    }

    /// The bytes: lengths, then values.
    pub fn build(self) -> Vec<u8> {
        let mut bytes = self.lengths;
        bytes.extend(self.data);
        bytes.extend(self.task);
        bytes
    }
}

/// Appends values of the thread, which are in the order of [`TaskValue`], as they stand behind the parameters of a record.
pub fn push_task_values(out: &mut Vec<u8>, values: &[(TaskValue, u64)]) {
    let mask = values.iter().fold(0, |mask, (value, _)| mask | value.bit());
    out.extend(mask.to_le_bytes());
    out.extend(values.iter().flat_map(|(_, value)| value.to_le_bytes()));
}

fn components(path: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in path.split('/').rev().filter(|n| !n.is_empty()) {
        bytes.extend(name.as_bytes());
        bytes.push(0);
    }
    if bytes.is_empty() {
        bytes.push(0); // the root itself: one empty name, so that the value is not missing
    }
    bytes
}
