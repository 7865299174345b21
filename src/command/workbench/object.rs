//! JSON objects whose keys stay in the order they are written: answers are read by people, too.

use serde::Serialize;

use super::place::Lines;

/// An object that is being written.
#[derive(Debug)]
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Object {
        Object("{".into())
    }

    /// Adds a key whose value is JSON already.
    pub(super) fn raw(mut self, key: &str, json: &str) -> Object {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&text(key));
        self.0.push(':');
        self.0.push_str(json);
        self
    }

    /// Adds a key.
    pub(super) fn key(self, key: &str, value: impl Serialize) -> Object {
        self.raw(key, &json(value))
    }

    /// Adds a key with the place of a byte.
    pub(super) fn place(self, key: &str, lines: &Lines<'_>, idx: usize) -> Object {
        self.raw(key, &lines.place(idx).json())
    }

    /// Adds `pos`: where something starts and ends.
    pub(super) fn pos(self, lines: &Lines<'_>, range: std::ops::Range<usize>) -> Object {
        let pos = pos(lines, range);
        self.raw("pos", &pos)
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A value as JSON.
pub(super) fn json(value: impl Serialize) -> String {
    // Only maps with keys that are no text fail, and there are none.
    serde_json::to_string(&value).unwrap_or_else(|_| "null".into())
}

/// A JSON string.
pub(super) fn text(text: &str) -> String {
    json(text)
}

/// Bytes: a JSON string, or `{"hex":"..."}` when they are not UTF-8.
pub(super) fn bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(utf8) => text(utf8),
        Err(_) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Object::new().key("hex", hex).finish()
        }
    }
}

/// `{"start":…,"end":…}`
pub(super) fn pos(lines: &Lines<'_>, range: std::ops::Range<usize>) -> String {
    let (start, end) = (lines.place(range.start), lines.place(range.end));
    format!(r#"{{"start":{},"end":{}}}"#, start.json(), end.json())
}

/// A JSON array of what is JSON already.
pub(super) fn array(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    format!("[{}]", items.join(","))
}
