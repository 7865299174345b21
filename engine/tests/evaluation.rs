//! Rules shown events: which match, in which order, and the alerts they make.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use lanner_engine::{
    Alert, AppendOutput, ExtraField, FieldValue, Matching, Priority, RulesFile, Ruleset, Selection, Settings,
    load,
};
use support::{Built, container, host};

const RULES: &str = "- rule: Wide
  desc: d
  condition: evt.type in (open, openat) and fd.name startswith /etc
  output: wide file=%fd.name
  priority: NOTICE
  tags: [z, a]
- rule: Narrow
  desc: d
  condition: evt.type = openat and fd.name = /etc/shadow
  output: narrow file=%fd.name num=%fd.num missing=%container.image.tag
  priority: WARNING
- rule: Off
  desc: d
  condition: evt.type = openat
  output: off
  priority: WARNING
  enabled: false
- rule: Any
  desc: d
  condition: proc.name = cat
  output: any %evt.type
  priority: INFO
  warn_evttypes: false
";

fn ruleset(settings: &Settings) -> Ruleset {
    let file = RulesFile {
        name: "rules.yaml".into(),
        text: RULES.into(),
    };
    load(&[file], settings).ruleset.unwrap()
}

fn alerts(ruleset: &mut Ruleset, built: &Built) -> Vec<Alert> {
    let mut alerts = Vec::new();
    built.view(|event| ruleset.evaluate(event, &mut |alert| alerts.push(alert)));
    alerts
}

fn names(alerts: &[Alert]) -> Vec<&str> {
    alerts.iter().map(|alert| &*alert.rule).collect()
}

#[test]
fn the_first_rule_in_order_of_definition_wins() {
    let mut ruleset = ruleset(&Settings::default());
    let shadow = host("cat x").opens("/etc/shadow", 0);
    assert_eq!(names(&alerts(&mut ruleset, &shadow)), ["Wide"]);
    assert_eq!(
        names(&alerts(&mut ruleset, &host("cat x").opens("/tmp/x", 0))),
        ["Any"]
    );
    assert_eq!(names(&alerts(&mut ruleset, &host("cat x").starts())), ["Any"]);
    assert!(alerts(&mut ruleset, &host("ls").opens("/tmp/x", 0)).is_empty());
}

/// Falco appends what is switched on to its list of rules that run.
#[test]
fn a_rule_that_is_switched_on_again_is_tried_last_and_listed_in_its_place() {
    let select = |enable: bool, rule: &str| Selection {
        enable,
        rule: Some(rule.into()),
        tag: None,
    };
    let mut ruleset = ruleset(&Settings {
        rule_matching: Matching::All,
        selections: vec![select(false, "W*"), select(true, "Off"), select(true, "Wide")],
        ..Settings::default()
    });
    let shadow = host("cat x").opens("/etc/shadow", 0);
    assert_eq!(
        names(&alerts(&mut ruleset, &shadow)),
        ["Narrow", "Any", "Off", "Wide"]
    );
    let listed: Vec<&str> = ruleset.rules().map(|rule| rule.name()).collect();
    assert_eq!(listed, ["Wide", "Narrow", "Off", "Any"]);
}

#[test]
fn every_rule_alerts_when_asked_and_is_counted() {
    let mut ruleset = ruleset(&Settings {
        rule_matching: Matching::All,
        ..Settings::default()
    });
    let shadow = host("cat x").opens("/etc/shadow", 0);
    for _ in 0..2 {
        assert_eq!(names(&alerts(&mut ruleset, &shadow)), ["Wide", "Narrow", "Any"]);
    }
    let counts: Vec<u64> = ruleset.rules().map(|rule| rule.matches()).collect();
    assert_eq!(counts, [2, 2, 0, 2]);
    assert_eq!(ruleset.alerts(Priority::Warning), 2);
    assert_eq!(ruleset.alerts(Priority::Informational), 2);
    assert_eq!(ruleset.alerts(Priority::Critical), 0);
}

#[test]
fn a_json_alert_is_falcos_object() {
    let mut ruleset = ruleset(&Settings {
        rule_matching: Matching::All,
        json_output: true,
        time_format_iso_8601: true,
        hostname: "node".into(),
        ..Settings::default()
    });
    let all = alerts(&mut ruleset, &host("cat x").opens("/etc/shadow", 0));
    let lines: Vec<&str> = all.iter().map(|alert| alert.line.as_str()).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_the_configuration_adds_is_in_text_and_fields() {
    let settings = Settings {
        append_output: vec![
            AppendOutput {
                tags: vec!["z".into(), "a".into()],
                extra_output: Some("extra=%proc.pname".into()),
                extra_fields: vec![
                    ExtraField::Field("proc.aname[2]".into()),
                    ExtraField::Format {
                        name: "both".into(),
                        format: "%proc.name of %proc.pname".into(),
                    },
                ],
                ..AppendOutput::default()
            },
            AppendOutput {
                source: Some("syscall".into()),
                suggested_output: true,
                ..AppendOutput::default()
            },
            // What a later entry says about the same name counts, also before what the output itself names.
            AppendOutput {
                extra_fields: vec![
                    ExtraField::Format {
                        name: "both".into(),
                        format: "%proc.pname %fd.sip".into(),
                    },
                    ExtraField::Format {
                        name: "fd.name".into(),
                        format: "the file".into(),
                    },
                ],
                ..AppendOutput::default()
            },
            AppendOutput {
                rule: Some("Other".into()),
                extra_output: Some("never".into()),
                ..AppendOutput::default()
            },
        ],
        ..Settings::default()
    };
    let all = alerts(
        &mut ruleset(&settings),
        &container("cat x").opens("/etc/shadow", 0),
    );
    insta::assert_snapshot!(all[0].message, @"wide file=/etc/shadow extra=bash container_id=0123456789ab container_name=web container_image_repository=docker.io/library/nginx container_image_tag=1.27 k8s_pod_name=web-1 k8s_ns_name=shop");
    let field = |name: &str| {
        all[0]
            .fields
            .iter()
            .find(|(n, _)| &**n == name)
            .map(|(_, value)| value.clone())
    };
    assert_eq!(field("proc.aname[2]"), Some(FieldValue::Text("sshd".into())));
    assert_eq!(field("both"), Some(FieldValue::Text("bash <NA>".into())));
    assert_eq!(field("fd.name"), Some(FieldValue::Text("the file".into())));
    assert_eq!(&all[0].tags[..], ["a", "z"]);
    let sorted = all[0].fields.is_sorted_by(|(a, _), (b, _)| a < b);
    assert!(sorted, "{:?}", all[0].fields);
}

#[test]
fn wrong_extra_fields_are_errors() {
    let file = RulesFile {
        name: "rules.yaml".into(),
        text: RULES.into(),
    };
    let settings = Settings {
        append_output: vec![AppendOutput {
            extra_fields: vec![ExtraField::Field("no.such".into())],
            ..AppendOutput::default()
        }],
        ..Settings::default()
    };
    let loaded = load(&[file], &settings);
    assert!(loaded.ruleset.is_none());
    assert!(
        loaded.diagnostics[0].message.contains("append_output"),
        "{}",
        loaded.diagnostics[0]
    );
}

#[test]
fn an_event_that_matches_nothing_allocates_nothing() {
    let file = RulesFile {
        name: "lanner_rules.yaml".into(),
        text: lanner_engine::BUILT_IN_RULES.into(),
    };
    let mut ruleset = load(&[file], &Settings::default()).ruleset.unwrap();
    let events = [
        host("ls /tmp").starts(),
        container("nginx -g").starts(),
        host("ls /tmp").opens("/usr/lib/x.so", 0),
        host("vi x").opens("/home/ann/x", 0o101),
        container("nginx").opens("/var/log/nginx/access.log", 0o2001),
        host("curl x").connects("203.0.113.7", 443, 0),
        host("rm x").removes("/tmp/x"),
    ];
    for built in &events {
        built.view(|event| {
            let mut pass = || ruleset.evaluate(event, &mut |alert| panic!("{}", alert.line));
            // The first pass may size the buffers that later ones reuse.
            pass();
            let counted = allocation_counter::measure(pass);
            assert_eq!(counted.count_total, 0, "{event:?}");
        });
    }
}
