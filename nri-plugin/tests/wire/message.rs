//! Protobuf by hand.

/// A message that is being written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn number(mut self, field: u32, value: u64) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(value);
        self
    }

    pub(crate) fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(crate) fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub(crate) fn message(self, field: u32, value: &Message) -> Self {
        self.bytes(field, &value.0)
    }

    pub(crate) fn map<'a>(
        mut self,
        field: u32,
        entries: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        for (key, value) in entries {
            self = self.message(field, &Message::new().text(1, key).text(2, value));
        }
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// A field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a varint that ends");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a varint of more than ten bytes");
}

/// The fields of a message, which has only numbers and what has a length.
pub(crate) fn fields(mut bytes: &[u8]) -> Vec<(u32, Value)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(value.to_vec())
            }
            wire => panic!("wire type {wire}"),
        };
        fields.push(((key >> 3) as u32, value));
    }
    fields
}

/// The number in a field; 0 when it isn't there.
pub(crate) fn number(bytes: &[u8], field: u32) -> u64 {
    fields(bytes)
        .into_iter()
        .rev()
        .find_map(|(found, value)| match value {
            Value::Number(number) if found == field => Some(number),
            _ => None,
        })
        .unwrap_or(0)
}

/// The bytes in a field; none when it isn't there.
pub(crate) fn part(bytes: &[u8], field: u32) -> Vec<u8> {
    fields(bytes)
        .into_iter()
        .rev()
        .find_map(|(found, value)| match value {
            Value::Bytes(bytes) if found == field => Some(bytes),
            _ => None,
        })
        .unwrap_or_default()
}

pub(crate) fn text(bytes: &[u8], field: u32) -> String {
    String::from_utf8(part(bytes, field)).unwrap()
}
