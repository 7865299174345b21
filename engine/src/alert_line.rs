//! The line an alert is delivered as: Falco's text line, or its JSON object.

use crate::field::{iso8601, time_of_day};
use crate::settings::Settings;
use lanner_schema::alert::{Alert, FieldValue, Priority};
use std::fmt::Write;
use std::sync::Arc;

/// Appends `text` as the inside of a JSON string.
fn escape(text: &str, out: &mut String) {
    // What is to be escaped is one byte, and most texts have none of it.
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[done..at]);
        done = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            8 => out.push_str("\\b"),
            12 => out.push_str("\\f"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            // Writing to a string can not fail.
            _ => _ = write!(out, "\\u{byte:04x}"),
        }
    }
    out.push_str(&text[done..]);
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    escape(text, out);
    out.push('"');
}

fn value(value: &FieldValue, out: &mut String) {
    match value {
        FieldValue::Missing => out.push_str("null"),
        FieldValue::Text(text) => string(text, out),
        FieldValue::F64(number) if !number.is_finite() => out.push_str("null"),
        // `{:?}` keeps the `.0` of a whole number, as Falco's JSON does.
        FieldValue::F64(number) => {
            let _ = write!(out, "{number:?}");
        }
        FieldValue::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                self::value(item, out);
            }
            out.push(']');
        }
        FieldValue::Bool(_) | FieldValue::I64(_) | FieldValue::U64(_) => {
            let _ = write!(out, "{value}");
        }
    }
}

/// `time: Priority message`, without escapes.
fn text_line(settings: &Settings, time: u64, priority: Priority, message: &str) -> String {
    let mut line = String::with_capacity(message.len() + 48);
    if settings.time_format_iso_8601 {
        iso8601(time, "+0000", &mut line);
    } else {
        time_of_day(time, true, &mut line);
    }
    let _ = write!(line, ": {priority} {message}");
    line
}

struct Object<'o> {
    out: &'o mut String,
    first: bool,
}

impl Object<'_> {
    fn key(&mut self, name: &str) -> &mut String {
        self.out.push(if self.first { '{' } else { ',' });
        self.first = false;
        string(name, self.out);
        self.out.push(':');
        self.out
    }

    fn text(&mut self, name: &str, text: &str) {
        let out = self.key(name);
        string(text, out);
    }
}

fn json_line(settings: &Settings, alert: &Alert, text: &str) -> String {
    let mut line = String::with_capacity(text.len() * 3 + 256);
    let mut object = Object {
        out: &mut line,
        first: true,
    };
    object.text("hostname", &settings.hostname);
    if settings.json_include_message_property {
        object.text("message", &alert.message);
    }
    if settings.json_include_output_property {
        object.text("output", text);
    }
    if settings.json_include_output_fields_property {
        let out = object.key("output_fields");
        out.push('{');
        for (index, (name, field)) in alert.fields.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            string(name, out);
            out.push(':');
            value(field, out);
        }
        out.push('}');
    }
    object.text("priority", alert.priority.word());
    object.text("rule", &alert.rule);
    object.text("source", &alert.source);
    if settings.json_include_tags_property {
        let out = object.key("tags");
        out.push('[');
        for (index, tag) in alert.tags.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            string(tag, out);
        }
        out.push(']');
    }
    let out = object.key("time");
    out.push('"');
    iso8601(alert.time, "Z", out);
    out.push_str("\"}");
    line
}

/// Sorts the fields, adds the event's time to them, and writes the line.
pub(crate) fn finish(settings: &Settings, names: &TimeNames, mut alert: Alert) -> Alert {
    let name = match settings.time_format_iso_8601 {
        true => &names.iso8601,
        false => &names.time,
    };
    alert.fields.push((Arc::clone(name), FieldValue::U64(alert.time)));
    alert.fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    // Of one name the last counts: what `append_output` adds goes before what the output names, as in Falco.
    alert.fields.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            std::mem::swap(next, kept);
        }
        same
    });
    let text = text_line(settings, alert.time, alert.priority, &alert.message);
    alert.line = if settings.json_output {
        json_line(settings, &alert, &text)
    } else {
        let mut line = String::with_capacity(text.len() + 16);
        escape(&text, &mut line);
        line
    };
    alert
}

/// The source of what Lanner says of itself.
const INTERNAL: &str = "internal";

/// An alert of Lanner's own, about itself and not about an event: source `internal`, no tags. Its line is Falco's: in text
/// the fields follow the message in parentheses, their values as in JSON; the JSON object has no `tags`, and always
/// `output`, which is the message alone, and `output_fields`.
pub fn internal(
    settings: &Settings,
    time: u64,
    priority: Priority,
    rule: &str,
    message: String,
    mut fields: Vec<(Arc<str>, FieldValue)>,
) -> Alert {
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut alert = Alert {
        time,
        priority,
        rule: rule.into(),
        source: INTERNAL.into(),
        tags: Arc::from([]),
        message,
        fields,
        line: String::new(),
    };
    if settings.json_output {
        let settings = Settings {
            json_include_message_property: false,
            json_include_output_property: true,
            json_include_output_fields_property: true,
            json_include_tags_property: false,
            ..settings.clone()
        };
        alert.line = json_line(&settings, &alert, &alert.message);
        return alert;
    }
    let mut line = String::new();
    time_of_day(time, true, &mut line);
    let _ = write!(line, ": {priority} {} (", alert.message);
    for (index, (name, field)) in alert.fields.iter().enumerate() {
        let blank = if index > 0 { " " } else { "" };
        let _ = write!(line, "{blank}{name}=");
        value(field, &mut line);
    }
    line.push(')');
    alert.line = line;
    alert
}

/// The names the event's time has in the fields, made once.
#[derive(Debug, Clone)]
pub(crate) struct TimeNames {
    time: Arc<str>,
    iso8601: Arc<str>,
}

impl Default for TimeNames {
    fn default() -> Self {
        TimeNames {
            time: Arc::from("evt.time"),
            iso8601: Arc::from("evt.time.iso8601"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert() -> Alert {
        Alert {
            time: 1_700_000_000_000_000_042,
            priority: Priority::Informational,
            rule: Arc::from("R \"q\""),
            source: Arc::from("syscall"),
            tags: Arc::from(["a".to_owned(), "b".to_owned()]),
            message: "a \"quoted\"\n\u{1} back\\slash é".into(),
            fields: vec![
                (Arc::from("proc.name"), FieldValue::Text("x\ty".into())),
                (Arc::from("fd.name"), FieldValue::Missing),
                (Arc::from("proc.pid"), FieldValue::I64(-7)),
            ],
            line: String::new(),
        }
    }

    #[test]
    fn every_character_is_escaped_as_json_asks() {
        for c in (0..=0x180).filter_map(char::from_u32) {
            let expected = match c {
                '"' | '\\' => format!("\\{c}"),
                '\u{8}' => "\\b".into(),
                '\u{c}' => "\\f".into(),
                '\n' => "\\n".into(),
                '\r' => "\\r".into(),
                '\t' => "\\t".into(),
                c if c < ' ' => format!("\\u{:04x}", u32::from(c)),
                c => c.to_string(),
            };
            let mut out = String::new();
            escape(&format!("é{c}x{c}"), &mut out);
            assert_eq!(out, format!("é{expected}x{expected}"));
        }
    }

    #[test]
    fn a_text_line_is_escaped_as_the_inside_of_a_json_string() {
        let settings = Settings {
            time_format_iso_8601: true,
            ..Settings::default()
        };
        let alert = finish(&settings, &TimeNames::default(), alert());
        assert_eq!(
            alert.line,
            "2023-11-14T22:13:20.000000042+0000: Informational a \\\"quoted\\\"\\n\\u0001 back\\\\slash é"
        );
        assert_eq!(&*alert.fields[0].0, "evt.time.iso8601");
    }

    #[test]
    fn a_local_line_begins_with_the_time_of_day() {
        let alert = finish(&Settings::default(), &TimeNames::default(), alert());
        let (time, rest) = alert.line.split_once(": ").unwrap();
        assert_eq!(time.len(), "HH:MM:SS.nnnnnnnnn".len());
        assert!(time.ends_with(":20.000000042"), "{time}");
        assert!(rest.starts_with("Informational a "));
    }

    #[test]
    fn a_json_object_has_falcos_keys_sorted() {
        let settings = Settings {
            json_output: true,
            json_include_message_property: true,
            time_format_iso_8601: true,
            hostname: "node".into(),
            ..Settings::default()
        };
        let alert = finish(&settings, &TimeNames::default(), alert());
        insta::assert_snapshot!(alert.line, @r#"{"hostname":"node","message":"a \"quoted\"\n\u0001 back\\slash é","output":"2023-11-14T22:13:20.000000042+0000: Informational a \"quoted\"\n\u0001 back\\slash é","output_fields":{"evt.time.iso8601":1700000000000000042,"fd.name":null,"proc.name":"x\ty","proc.pid":-7},"priority":"Informational","rule":"R \"q\"","source":"syscall","tags":["a","b"],"time":"2023-11-14T22:13:20.000000042Z"}"#);
    }

    #[test]
    fn properties_can_be_left_out() {
        let settings = Settings {
            json_output: true,
            json_include_output_property: false,
            json_include_output_fields_property: false,
            json_include_tags_property: false,
            ..Settings::default()
        };
        let alert = finish(&settings, &TimeNames::default(), alert());
        assert_eq!(
            alert.line,
            r#"{"hostname":"","priority":"Informational","rule":"R \"q\"","source":"syscall","time":"2023-11-14T22:13:20.000000042Z"}"#
        );
    }

    #[test]
    fn an_alert_of_lanners_own_has_falcos_two_forms() {
        let fields = || {
            vec![
                (Arc::from("n_evts"), FieldValue::Text("12".into())),
                (Arc::from("n_drops"), FieldValue::Text("3".into())),
            ]
        };
        let settings = Settings {
            json_output: true,
            hostname: "node".into(),
            ..Settings::default()
        };
        let time = 1_700_000_000_000_000_042;
        let make = |settings: &Settings| {
            internal(
                settings,
                time,
                Priority::Debug,
                "Falco internal: x",
                "3 lost.".into(),
                fields(),
            )
            .line
        };
        assert_eq!(
            make(&settings),
            r#"{"hostname":"node","output":"3 lost.","output_fields":{"n_drops":"3","n_evts":"12"},"priority":"Debug","rule":"Falco internal: x","source":"internal","time":"2023-11-14T22:13:20.000000042Z"}"#
        );
        let text = make(&Settings::default());
        let (time, rest) = text.split_once(": ").unwrap();
        assert!(time.ends_with(":20.000000042"), "{time}");
        assert_eq!(rest, r#"Debug 3 lost. (n_drops="3" n_evts="12")"#);
    }
}
