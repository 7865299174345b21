//! A second source of events beside `syscall`: a row with its own fields and event types, and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use lanner_engine::field::{ArgForm, EVERY_SOURCE, Extract, Field, FieldClass, Flags};
use lanner_engine::value::{FieldType, Value};
use lanner_engine::{Code, EventSource, Loaded, RulesFile, SYSCALL, Settings, load, load_for};
use lanner_schema::container::Owner;
use lanner_schema::event::Event;
use lanner_schema::record::{Wire, WireBuilder};
use lanner_schema::tier::Tier;
use lanner_schema::view::{EventView, Names, NoState, Outcome, ParamValue, SourceId};

/// `verb path`, as the records of this source are written.
fn words<'b>(event: &EventView<'b>) -> Option<(&'b [u8], &'b [u8])> {
    let Some(ParamValue::Bytes(data)) = event.param_named("event_data") else {
        return None;
    };
    let blank = data.iter().position(|byte| *byte == b' ')?;
    Some((&data[..blank], &data[blank + 1..]))
}

const fn field(name: &'static str, doc: &'static str, flags: Flags, extract: Extract) -> Field {
    Field {
        name,
        ty: FieldType::CharBuf,
        arg: ArgForm::None,
        list: false,
        flags,
        doc,
        extract,
    }
}

static FIELDS: &[Field] = &[
    field(
        "door.verb",
        "What was done.",
        Flags {
            suggested: true,
            ..Flags::NONE
        },
        Extract::Plain(|event| words(event).map(|(verb, _)| Value::Bytes(verb))),
    ),
    field(
        "door.name",
        "To which door.",
        Flags::NONE,
        Extract::Plain(|event| words(event).map(|(_, name)| Value::Bytes(name))),
    ),
];

static CLASSES: &[FieldClass] = &[
    EVERY_SOURCE,
    FieldClass {
        name: "door",
        doc: "doors",
        scope: "",
        plugin: "",
        fields: FIELDS,
    },
];

static DOORS: EventSource = EventSource::new(
    "doors",
    "doors that open and close",
    CLASSES,
    &["pluginevent"],
    |event| event == Event::PluginEvent,
);

static BOTH: &[&EventSource] = &[&SYSCALL, &DOORS];

const RULES: &str = "
- macro: opened
  condition: door.verb = open
- rule: Vault opened
  desc: d
  source: doors
  condition: opened and door.name in (vault, safe)
  output: '%door.name was opened (%evt.source)'
  priority: WARNING
- rule: Shadow opened
  desc: d
  condition: evt.type in (open, openat) and fd.name = /etc/shadow
  output: '%fd.name'
  priority: WARNING
- rule: Anything
  desc: d
  source: doors
  condition: evt.num > 0
  output: any
  priority: INFO
";

fn file(text: &str) -> Vec<RulesFile> {
    vec![RulesFile {
        name: "rules.yaml".into(),
        text: text.into(),
    }]
}

fn loaded(text: &str, settings: &Settings) -> Loaded {
    load_for(BOTH, &file(text), settings)
}

fn happens(bytes: &[u8], look: impl FnOnce(&EventView<'_>)) {
    let record = WireBuilder::new().number(7).bytes(bytes).build();
    look(&EventView {
        event: Event::PluginEvent,
        source: SourceId {
            index: 1,
            name: DOORS.name(),
        },
        number: 1,
        time: 1,
        cpu: 0,
        tid: 0,
        pid: 0,
        uid: 0,
        gid: 0,
        wire: Wire::read(&record, 2).unwrap(),
        implied_result: None,
        outcome: Outcome::Told,
        io_uring: None,
        paths: &[],
        process: None,
        descriptor: None,
        names: Names::Agree,
        owner: Owner::Host,
        system: &NoState,
    });
}

#[test]
fn what_is_not_the_kernels_is_the_same_in_every_tier() {
    let ruleset = loaded(RULES, &Settings::default()).ruleset.unwrap();
    for rule in ruleset.rules().filter(|rule| rule.source() == "doors") {
        for tier in Tier::ALL {
            assert_eq!(
                rule.coverage(tier).reasons,
                [],
                "{} in {}",
                rule.name(),
                tier.name()
            );
        }
    }
}

#[test]
fn events_are_judged_by_the_rules_of_their_source() {
    let mut ruleset = loaded(RULES, &Settings::default()).ruleset.unwrap();
    let mut alerts = Vec::new();
    for record in ["open vault", "shut vault", "open window"] {
        happens(record.as_bytes(), |event| {
            ruleset.evaluate(event, &mut |alert| {
                alerts.push((alert.rule.to_string(), alert.source.to_string(), alert.message));
            });
        });
    }
    let alert = |rule: &str, message: &str| (rule.to_owned(), "doors".to_owned(), message.to_owned());
    assert_eq!(
        alerts,
        [
            alert("Vault opened", "vault was opened (doors)"),
            alert("Anything", "any"),
            alert("Anything", "any")
        ]
    );
    // The kernel is asked for nothing on behalf of the other source.
    let kernel: Vec<&str> = ruleset.needs().events.iter().map(|event| event.name()).collect();
    assert_eq!(kernel, ["open", "openat"]);
}

#[test]
fn a_source_has_its_own_fields_and_event_types() {
    let rule = |source: &str, condition: &str| {
        format!(
            "- rule: R\n  desc: d\n  source: {source}\n  condition: {condition}\n  output: o\n  priority: INFO\n  warn_evttypes: false\n"
        )
    };
    let errors = |source, condition| -> Vec<String> {
        let loaded = loaded(&rule(source, condition), &Settings::default());
        loaded.errors().map(|error| error.message.clone()).collect()
    };
    assert_eq!(errors("doors", "door.verb exists"), [""; 0]);
    assert_eq!(errors("syscall", "proc.name exists"), [""; 0]);
    assert_eq!(
        errors("doors", "proc.name exists"),
        ["nonexistent field 'proc.name'"]
    );
    assert_eq!(
        errors("syscall", "door.verb exists"),
        ["nonexistent field 'door.verb'"]
    );
    assert_eq!(errors("doors", "evt.source = doors and evt.num > 0"), [""; 0]);
}

#[test]
fn without_the_source_its_rules_are_skipped() {
    let alone = load(&file(RULES), &Settings::default());
    let codes: Vec<Code> = alone.diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, [Code::UnknownSource, Code::UnknownSource]);
    assert_eq!(alone.ruleset.unwrap().rules().count(), 1);
}

#[test]
fn static_fields_and_suggestions_are_those_of_the_source() {
    let settings = Settings {
        static_fields: vec![("node".into(), "n1".into())],
        append_output: vec![lanner_engine::AppendOutput {
            suggested_output: true,
            ..Default::default()
        }],
        ..Settings::default()
    };
    let text = "- rule: R\n  desc: d\n  source: doors\n  condition: static.node = n1 and door.name != val(static.node)\n  output: on %static.node\n  priority: INFO\n";
    let loaded = loaded(text, &settings);
    let mut ruleset = loaded
        .ruleset
        .unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    let mut messages = Vec::new();
    happens(b"open vault", |event| {
        ruleset.evaluate(event, &mut |alert| messages.push((alert.message, alert.fields)));
    });
    let (message, fields) = messages.pop().unwrap();
    assert_eq!(message, "on n1 door_verb=open static_node=n1");
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(fields, ["door.verb=open", "evt.time=1", "static.node=n1"]);
}
