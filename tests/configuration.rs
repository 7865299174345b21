//! What the configuration says about rules and alerts, seen from outside: its schema, which rules run, and what their alerts
//! carry.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::lanner::{self, Lanner, field};
use support::skip;

const RULES: &str = "\
- rule: Shadow read
  desc: d
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow and proc.name = cat
  output: shadow file=%fd.name
  priority: WARNING
  tags: [filesystem]
- rule: Shadow read in Europe
  desc: d
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow and static.region = eu
  output: europe file=%fd.name
  priority: ERROR
  enabled: false
  tags: [region]
";

fn run(arguments: &[&str]) -> Output {
    Command::new(lanner::PROGRAM)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The rules that `-L` loads without a complaint, with these options before it.
fn warnings(rules: &str, options: &[&str]) -> String {
    let mut arguments = vec!["-L", "-r", rules];
    arguments.extend(options.iter().flat_map(|option| ["-o", option]));
    let output = run(&arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    stderr(&output)
}

#[test]
fn what_is_refused_is_warned_of_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let text = "json_ouput: true\nrule_matching: some\njson_include_tags_property: perhaps\n";
    let config = write(dir.path(), "lanner.yaml", text);
    let output = run(&["-L", "-c", &config]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        format!(
            "{config}:2:16: rule_matching must be one of first, all, not \"some\"\n   \
             |\n 2 | rule_matching: some\n   |                ^\n\
             warning: {config}:1:1: unknown key json_ouput, ignored (did you mean json_output?)\n\
             warning: {config}:3:29: json_include_tags_property must be true or false, not \"perhaps\"; the default is used\n\
             lanner: the configuration is refused: 1 error\n"
        )
    );
    let output = run(&["-L", "-c", &config, "-o", "log_stderr=false"]);
    assert!(!stderr(&output).contains("warning"), "{}", stderr(&output));
}

#[test]
fn bytes_that_are_no_text_are_pointed_at() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("lanner.yaml");
    std::fs::write(&config, b"json_output: true\nlog_level: \xc3\xa9\xff\n").unwrap();
    let config = config.display().to_string();
    let output = run(&["-L", "-c", &config]);
    assert_eq!(output.status.code(), Some(1));
    let place = "line 2, column 13: the byte 0xff is not UTF-8 text";
    assert!(
        stderr(&output).contains(&format!("{config}: {place}")),
        "{}",
        stderr(&output)
    );
}

#[test]
fn rules_that_drop_failed_exit_keeps_from_matching_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let rule = |name, condition| {
        format!("- rule: {name}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n")
    };
    let rules = rule("Refused", "evt.type = setuid and evt.res = EPERM")
        + &rule("Failed", "evt.type = setuid and evt.failed = true")
        + &rule("Any", "evt.type = setuid");
    let rules = write(dir.path(), "rules.yaml", &rules);
    let dry_run = |drop: &str| {
        let option = format!("engine.modern_ebpf.drop_failed_exit={drop}");
        let output = run(&[
            "--dry-run",
            "-r",
            &rules,
            "-o",
            "engine.tier=sys_exit",
            "-o",
            &option,
        ]);
        stderr(&output)
    };
    let text = dry_run("true");
    if !text.contains("tier sys_exit") {
        return skip("this host cannot be watched");
    }
    let expected = "drop_failed_exit is true, so calls that fail are not captured, and 2 rules about them never match: \
                    Refused, Failed";
    assert!(text.contains(expected), "{text}");
    assert!(!dry_run("false").contains("drop_failed_exit"));
}

#[test]
fn the_schema_is_printed_and_files_are_compared_with_it() {
    let output = run(&["--config-schema"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys = &schema["definitions"]["FalcoConfig"]["properties"];
    assert_eq!(keys["json_output"]["type"], "boolean");
    assert_eq!(keys["rules"]["items"]["$ref"], "#/definitions/Rule");
    assert_eq!(keys["nri"]["properties"]["enabled"]["type"], "boolean");

    let dir = tempfile::tempdir().unwrap();
    let config = write(
        dir.path(),
        "lanner.yaml",
        "capture: {path_prefix: [1h]}\nwebserver: {enabeld: false}\njson_output: true\n",
    );
    let output = run(&["-L", "-c", &config]);
    assert!(
        output.status.success(),
        "never a reason not to start: {}",
        stderr(&output)
    );
    let text = stderr(&output);
    for part in [
        format!("{config}:1:24: capture.path_prefix should be text, not a list"),
        format!("{config}:2:13: unknown key webserver.enabeld, ignored (did you mean enabled?)"),
        format!(
            "{config} | schema validation: failed for <root>[capture][path_prefix]: must be text, not a list"
        ),
    ] {
        assert!(text.contains(&part), "{part}\n{text}");
    }
    let config = write(dir.path(), "lanner.yaml", "json_output: true\n");
    let text = stderr(&run(&["-L", "-c", &config]));
    assert!(
        text.contains(&format!("{config} | schema validation: ok")),
        "{text}"
    );
}

#[test]
fn a_selection_that_fits_no_rule_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(dir.path(), "rules.yaml", RULES);
    let options = [
        "static_fields.region=eu",
        "rules[].disable.rule=Shadow raed",
        "rules[].enable.tag=regoin",
        "rules[].disable.rule=*",
        "append_output[].match.rule=Shadow Read",
        "append_output[].match.rule=Shadow read",
    ];
    let text = warnings(&rules, &options);
    for part in [
        "Disabling rules with name: *",
        "Enabling rules with tag: regoin",
        "-o rules[].disable.rule=Shadow raed: rules: no rule is called \"Shadow raed\" (did you mean \"Shadow read\"?)",
        "-o rules[].enable.tag=regoin: rules: no rule has the tag \"regoin\" (did you mean \"region\"?)",
        "-o append_output[].match.rule=Shadow Read: append_output: no rule is called \"Shadow Read\" (did you mean \"Shadow \
         read\"?)",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(text.matches("append_output: no rule").count(), 1, "{text}");
    assert_eq!(text.matches("rules: no rule").count(), 2, "{text}");
    let config = write(
        dir.path(),
        "lanner.yaml",
        "static_fields: {region: eu}\npriority: error\nrules:\n  - enable: {rule: Shadow read}\n",
    );
    let output = run(&["-L", "-c", &config, "-r", &rules]);
    let expected =
        format!("{config}:4:13: rules: every rule it would switch on is less severe than `priority` asks");
    assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
}

#[test]
fn what_is_wrong_with_rules_fields_and_outputs_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let config = write(
        dir.path(),
        "lanner.yaml",
        "rules:\n  - rule: x\nstatic_fields: {a: [b]}\nappend_output:\n  - extra_fields: [proc.name, proc.name]\n  - \
         extra_output: \"%static.a\"\n  - extra_output: \"%static.b\"\n",
    );
    let output = run(&["-L", "-c", &config]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    for part in [
        ":2:5: an entry of rules must have enable or disable, not rule",
        ":3:16: static_fields must be a map of names and texts",
        ":5:31: extra_fields of append_output have \"proc.name\" twice in one entry",
        ":7:19: append_output: extra_output \"%static.b\" is no format",
        "the configuration is refused",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    // A rule that names a static field nobody set is refused where it stands.
    let rules = write(dir.path(), "rules.yaml", RULES);
    let output = run(&["-L", "-r", &rules]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("static.region"), "{}", stderr(&output));
    assert!(
        run(&[
            "-L",
            "-r",
            &rules,
            "-p",
            "in %static.region",
            "-o",
            "static_fields.region=eu"
        ])
        .status
        .success()
    );
}

#[test]
fn alerts_come_from_the_selected_rules_with_static_fields() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let (_folder, rules) = lanner::rules(RULES);
    let mut arguments = lanner::options(None);
    for option in [
        "static_fields.region=eu",
        "rules[].disable.rule=*",
        "rules[].enable.tag=region",
        "rules[].enable.rule=Shadow read",
        "append_output[0].suggested_output=true",
        "append_output[1].match.rule=Shadow read in Europe",
        "append_output[1].extra_output=by %proc.name",
        "append_output[1].extra_fields[0]=proc.pname",
        "append_output[1].extra_fields[1].where=%static.region-1",
    ] {
        arguments.extend(["-o".to_owned(), option.to_owned()]);
    }
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    let lanner = Lanner::start(&arguments);
    let output = Command::new("cat").arg("/etc/shadow").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    // Both rules match, and the one switched on first is the first of them, whatever their order in the file.
    let alert = lanner.wait_for_alert("cat /etc/shadow", |alert| {
        field(alert, "fd.name") == "/etc/shadow"
    });
    assert_eq!(alert["rule"], "Shadow read in Europe", "{alert}");
    assert_eq!(field(&alert, "static.region"), "eu", "{alert}");
    assert_eq!(field(&alert, "where"), "eu-1", "{alert}");
    assert!(alert["output_fields"]["proc.pname"].is_string(), "{alert}");
    let text = alert["output"].as_str().unwrap();
    assert!(
        text.contains("europe file=/etc/shadow container_id=") && text.contains("static_region=eu"),
        "{alert}"
    );
    assert!(text.ends_with(" by cat"), "{alert}");
}

#[test]
fn rules_about_calls_that_are_left_out_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let rule = |name, condition| {
        format!("- rule: {name}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n")
    };
    let rules =
        rule("Ids", "evt.type in (setuid, setgid)") + &rule("Uid", "evt.type = setuid and user.uid = 0");
    let rules = write(dir.path(), "rules.yaml", &rules);
    let option = "base_syscalls.custom_set[0]=!setuid";
    let output = run(&[
        "--dry-run",
        "-r",
        &rules,
        "-o",
        "engine.tier=sys_exit",
        "-o",
        option,
    ]);
    let text = stderr(&output);
    let expected =
        "base_syscalls.custom_set leaves out setuid, and 1 rule about nothing else never matches: Uid";
    assert!(text.contains(expected), "{text}");
    let in_part = "base_syscalls.custom_set leaves out setuid, for which 1 rule asked among others: Ids";
    assert!(text.contains(in_part), "{text}");
    for command in ["plan", "coverage"] {
        let text = stderr(&run(&[command, "-r", &rules, "-o", option]));
        assert!(text.contains(in_part), "{command}: {text}");
    }
    if !text.contains("tier sys_exit") {
        return skip("this host cannot be watched");
    }
    assert!(text.contains("1 event types for rules"), "{text}");
}
