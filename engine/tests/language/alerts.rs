//! Alerts as text lines and as JSON objects.

use crate::support::{Built, container, host};
use lanner_engine::{Alert, AppendOutput, ExtraField, RulesFile, Settings, load};

fn alert(output: &str, more: &str, settings: Settings, built: &Built) -> Alert {
    let text = format!(
        "- rule: A rule\n  desc: d\n  condition: evt.type in (openat, execve, connect)\n  output: {output}\n  priority: INFO\n{more}"
    );
    let file = RulesFile {
        name: "rules.yaml".into(),
        text,
    };
    let loaded = load(&[file], &settings);
    let errors: Vec<String> = loaded.errors().map(ToString::to_string).collect();
    let mut ruleset = loaded.ruleset.unwrap_or_else(|| panic!("{}", errors.join("\n")));
    let mut alerts = Vec::new();
    built.view(|event| ruleset.evaluate(event, &mut |alert| alerts.push(alert)));
    assert_eq!(alerts.len(), 1);
    alerts.remove(0)
}

fn iso() -> Settings {
    Settings {
        time_format_iso_8601: true,
        hostname: "node".into(),
        ..Settings::default()
    }
}

fn json() -> Settings {
    Settings {
        json_output: true,
        ..iso()
    }
}

const TIME: &str = "2023-11-14T22:13:20.000000042";

#[test]
fn a_text_line_is_time_priority_and_message() {
    let shadow = host("cat x").opens("/etc/shadow", 0);
    for (output, expected) in [
        ("file=%fd.name", "Informational file=/etc/shadow"),
        ("'  trimmed  '", "Informational trimmed"),
        ("a missing=%fd.sip", "Informational a missing=<NA>"),
        (r#"'a "quoted" \ text'"#, r#"Informational a \"quoted\" \\ text"#),
        (r#""tab\tline\nend""#, r"Informational tab\tline\nend"),
        (r#""nul\x01""#, r"Informational nul\u0001"),
        ("é→", "Informational é→"),
    ] {
        let alert = alert(output, "", iso(), &shadow);
        assert_eq!(alert.line, format!("{TIME}+0000: {expected}"), "{output}");
    }
    let local = Settings {
        time_format_iso_8601: false,
        ..iso()
    };
    let alert = alert("x", "", local, &shadow);
    let (time, rest) = alert.line.split_once(": ").unwrap();
    assert_eq!(rest, "Informational x");
    assert!(time.len() == 18 && time.ends_with(":20.000000042"), "{time}");
}

#[test]
fn priorities_are_full_words() {
    for (priority, word) in [
        ("emergency", "Emergency"),
        ("ALERT", "Alert"),
        ("Critical", "Critical"),
        ("ERROR", "Error"),
        ("warning", "Warning"),
        ("NOTICE", "Notice"),
        ("INFO", "Informational"),
        ("informational", "Informational"),
        ("debug", "Debug"),
    ] {
        let file = RulesFile {
            name: "rules.yaml".into(),
            text: format!(
                "- rule: R\n  desc: d\n  condition: evt.type = execve\n  output: x\n  priority: {priority}\n"
            ),
        };
        for settings in [iso(), json()] {
            let mut ruleset = load(
                &[RulesFile {
                    name: file.name.clone(),
                    text: file.text.clone(),
                }],
                &settings,
            )
            .ruleset
            .unwrap();
            let mut lines = Vec::new();
            host("cat")
                .starts()
                .view(|event| ruleset.evaluate(event, &mut |alert| lines.push(alert.line)));
            let expected = if settings.json_output {
                format!("\"priority\":\"{word}\"")
            } else {
                format!(": {word} x")
            };
            assert!(lines[0].contains(&expected), "{}", lines[0]);
        }
    }
}

#[test]
fn a_json_object_has_sorted_keys_on_one_line() {
    let shadow = host("cat x").opens("/etc/shadow", 0);
    let line = alert("file=%fd.name n=%fd.num", "  tags: [b, a]\n", json(), &shadow).line;
    assert_eq!(
        line,
        format!(
            "{{\"hostname\":\"node\",\"output\":\"{TIME}+0000: Informational file=/etc/shadow n=3\",\"output_fields\":{{\
             \"evt.time.iso8601\":1700000000000000042,\"fd.name\":\"/etc/shadow\",\"fd.num\":3}},\
             \"priority\":\"Informational\",\"rule\":\"A rule\",\"source\":\"syscall\",\"tags\":[\"a\",\"b\"],\
             \"time\":\"{TIME}Z\"}}"
        )
    );
}

fn object(output: &str, more: &str, settings: Settings, built: &Built) -> serde_json::Value {
    serde_json::from_str(&alert(output, more, settings, built).line).unwrap()
}

#[test]
fn switches_take_parts_out_of_the_object() {
    let shadow = host("cat x").opens("/etc/shadow", 0);
    let keys = |settings: Settings| -> Vec<String> {
        let object = object("file=%fd.name", "  tags: [b, a]\n", settings, &shadow);
        object.as_object().unwrap().keys().cloned().collect()
    };
    let every = [
        "hostname",
        "output",
        "output_fields",
        "priority",
        "rule",
        "source",
        "tags",
        "time",
    ];
    assert_eq!(keys(json()), every);
    let without = |key: &str| every.iter().copied().filter(|k| *k != key).collect::<Vec<_>>();
    assert_eq!(
        keys(Settings {
            json_include_output_property: false,
            ..json()
        }),
        without("output")
    );
    assert_eq!(
        keys(Settings {
            json_include_output_fields_property: false,
            ..json()
        }),
        without("output_fields")
    );
    assert_eq!(
        keys(Settings {
            json_include_tags_property: false,
            ..json()
        }),
        without("tags")
    );
    let with_message = object(
        "file=%fd.name",
        "",
        Settings {
            json_include_message_property: true,
            ..json()
        },
        &shadow,
    );
    assert_eq!(with_message["message"], "file=/etc/shadow");
    assert_eq!(with_message["tags"], serde_json::json!([]));
}

#[test]
fn values_in_the_object_have_their_types() {
    // 35, 36
    let built = container("cat x").opens("/etc/shadow", 0);
    let object = object(
        "n=%2fd.name %fd.num %proc.pid %fd.sip %evt.is_open_read %evt.rawtime %container.id %proc.aname[2] %toupper(proc.name)",
        "",
        Settings {
            time_format_iso_8601: false,
            ..json()
        },
        &built,
    );
    let fields = &object["output_fields"];
    for (name, expected) in [
        ("fd.name", serde_json::json!("/etc/shadow")),
        ("fd.num", serde_json::json!(3)),
        ("proc.pid", serde_json::json!(30)),
        ("fd.sip", serde_json::json!(null)),
        ("evt.is_open_read", serde_json::json!(true)),
        ("evt.rawtime", serde_json::json!(1_700_000_000_000_000_042u64)),
        ("container.id", serde_json::json!("0123456789ab")),
        ("proc.aname[2]", serde_json::json!("sshd")),
        // The plain field of a transformer is there, its token is not.
        ("proc.name", serde_json::json!("cat")),
        ("evt.time", serde_json::json!(1_700_000_000_000_000_042u64)),
    ] {
        assert_eq!(fields[name], expected, "{name}");
    }
    assert!(fields.get("toupper(proc.name)").is_none(), "{fields}");
    assert!(fields.as_object().unwrap().contains_key("fd.sip"));
    // The time of the object is UTC whatever the format.
    assert_eq!(object["time"], format!("{TIME}Z"));
}

#[test]
fn what_is_appended_follows_with_one_blank_in_order() {
    // 38
    let entry = |source: Option<&str>, tags: &[&str], rule: Option<&str>, output: &str| AppendOutput {
        source: source.map(Into::into),
        tags: tags.iter().map(|tag| (*tag).into()).collect(),
        rule: rule.map(Into::into),
        extra_output: Some(output.into()),
        ..AppendOutput::default()
    };
    let rows: Vec<(Vec<AppendOutput>, &str)> = vec![
        (vec![], "out"),
        (
            vec![entry(None, &[], None, "one"), entry(None, &[], None, "%fd.num")],
            "out one 3",
        ),
        (vec![entry(Some("syscall"), &[], None, "x")], "out x"),
        (vec![entry(None, &["a"], None, "x")], "out x"),
        (vec![entry(None, &["a", "b"], None, "x")], "out x"),
        (vec![entry(None, &["a", "c"], None, "x")], "out"),
        (vec![entry(None, &[], Some("A rule"), "x")], "out x"),
        (vec![entry(None, &[], Some("A"), "x")], "out"),
        (vec![entry(Some("syscall"), &["b"], Some("A rule"), "x")], "out x"),
        (vec![entry(Some("syscall"), &["c"], Some("A rule"), "x")], "out"),
        (vec![entry(None, &[], None, "%fd.sip")], "out <NA>"),
    ];
    let shadow = host("cat x").opens("/etc/shadow", 0);
    for (append_output, expected) in rows {
        let settings = Settings {
            append_output: append_output.clone(),
            ..iso()
        };
        let alert = alert("out", "  tags: [a, b]\n", settings, &shadow);
        assert_eq!(alert.message, expected, "{append_output:?}");
    }
}

#[test]
fn extra_fields_are_in_the_object_only() {
    let settings = Settings {
        append_output: vec![AppendOutput {
            extra_fields: vec![
                ExtraField::Field("proc.pid".into()),
                ExtraField::Format {
                    name: "who".into(),
                    format: "%user.name:%proc.name".into(),
                },
            ],
            ..AppendOutput::default()
        }],
        static_fields: vec![("cluster".into(), "north".into())],
        ..json()
    };
    let built = container("cat x").opens("/etc/shadow", 0);
    let object = object("in %static.cluster", "", settings, &built);
    assert_eq!(object["output"], format!("{TIME}+0000: Informational in north"));
    assert_eq!(object["output_fields"]["proc.pid"], 30);
    assert_eq!(object["output_fields"]["who"], "root:cat");
    assert_eq!(object["output_fields"]["static.cluster"], "north");
}

#[test]
fn suggested_fields_name_the_container() {
    let settings = Settings {
        append_output: vec![AppendOutput {
            suggested_output: true,
            ..AppendOutput::default()
        }],
        static_fields: vec![("cluster".into(), "north".into())],
        ..iso()
    };
    let built = container("cat x").opens("/etc/shadow", 0);
    assert_eq!(
        alert("out", "", settings, &built).message,
        "out container_id=0123456789ab container_name=web container_image_repository=docker.io/library/nginx \
         container_image_tag=1.27 k8s_pod_name=web-1 k8s_ns_name=shop static_cluster=north"
    );
}

#[test]
fn control_characters_are_escaped_in_both() {
    let raw = |settings: Settings| {
        let built = host("cat x").opens("/tmp/\u{1}", 0);
        alert("name %fd.name", "", settings, &built).line
    };
    assert!(raw(iso()).ends_with(r"Informational name /tmp/\u0001"));
    assert!(raw(json()).contains(r#""fd.name":"/tmp/\u0001""#));
}
