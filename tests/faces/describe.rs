//! `-L` and `-l`.

use serde_json::{Value, json};

use crate::{RULES, json, keys, run, text, write};

const DESCRIBED: &str = "\
- required_engine_version: 31
- required_plugin_versions:
    - name: container
      version: 0.4.0
      alternatives:
        - name: docker
          version: 0.1.0
- list: shells
  items: [bash, sh]
- list: programs
  items: [shells, vi]
- macro: spawned
  condition: evt.type in (execve, execveat)
- macro: unused_one
  condition: proc.pid exists
- rule: Program started
  desc: >
    A program that people start
    by hand.
  condition: spawned and tolower(proc.name) in (programs) and container.id != host
  output: started %proc.cmdline by %user.name
  priority: info
  tags: [b, a]
  capture_duration: 500
  exceptions:
    - name: known
      fields: [proc.pname, fd.name]
      comps: [=, startswith]
      values:
        - [cron, /etc]
    - name: empty
      fields: proc.exe
- rule: Elsewhere
  desc: d
  condition: evt.type = open
  output: o
  priority: INFO
  source: nowhere
- rule: Off
  desc: d
  condition: evt.type = mkdir and not fd.name = val(proc.name)
  output: o
  priority: ERROR
  enabled: false
";

#[test]
fn rules_macros_and_lists_are_described_with_falcos_keys() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(dir.path(), "rules.yaml", DESCRIBED);
    let all = json(&["-L", "-r", &rules, "-o", "json_output=true"]);
    assert_eq!(all, json(&["-L", "-r", &rules, "--format", "json"]));
    assert_eq!(
        keys(&all),
        [
            "lists",
            "macros",
            "required_engine_version",
            "required_plugin_versions",
            "rules"
        ]
    );
    assert_eq!(all["required_engine_version"], "0.31.0");
    assert_eq!(
        all["required_plugin_versions"],
        json!([{ "name": "container", "version": "0.4.0", "alternatives": [{ "name": "docker", "version": "0.1.0" }] }])
    );
    assert_eq!(
        all["lists"],
        json!([
            {
                "info": { "name": "shells", "items": ["bash", "sh"] },
                "details": { "used": true, "lists": [], "items_compiled": ["bash", "sh"], "plugins": [] },
            },
            {
                "info": { "name": "programs", "items": ["vi"] },
                "details": { "used": true, "lists": ["shells"], "items_compiled": ["bash", "sh", "vi"], "plugins": [] },
            },
        ])
    );
    assert_eq!(
        all["macros"][0],
        json!({
            "info": { "name": "spawned", "condition": "evt.type in (execve, execveat)" },
            "details": {
                "used": true,
                "macros": [],
                "lists": [],
                "condition_operators": ["in"],
                "condition_fields": ["evt.type"],
                "events": ["asyncevent", "execve", "execveat"],
                "condition_compiled": "evt.type in (execve, execveat)",
                "plugins": [],
            },
        })
    );
    assert_eq!(all["macros"][1]["details"]["used"], false);
    let names: Vec<&Value> = all["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| &rule["info"]["name"])
        .collect();
    assert_eq!(names, ["Program started", "Off"]);
    assert_eq!(
        all["rules"][0],
        json!({
            "info": {
                "name": "Program started",
                "condition": "spawned and tolower(proc.name) in (programs) and container.id != host",
                "priority": "Informational",
                "output": "started %proc.cmdline by %user.name",
                "description": "A program that people start by hand.",
                "enabled": true,
                "source": "syscall",
                "capture": false,
                "capture_duration": 500,
                "tags": ["a", "b"],
            },
            "details": {
                "macros": ["spawned"],
                "lists": ["programs"],
                "condition_operators": ["!=", "=", "in", "startswith"],
                "condition_fields": ["container.id", "evt.type", "fd.name", "proc.name", "proc.pname"],
                "output_fields": ["proc.cmdline", "user.name"],
                "exception_names": ["empty", "known"],
                "exception_operators": ["=", "in", "startswith"],
                "exception_fields": ["fd.name", "proc.exe", "proc.pname"],
                "events": ["asyncevent", "execve", "execveat"],
                "condition_compiled": "((evt.type in (execve, execveat) and tolower(proc.name) in (bash, sh, vi) and \
                                       container.id != host) and not (proc.pname = cron and fd.name startswith /etc))",
                "output_compiled": "started %proc.cmdline by %user.name",
                "plugins": ["container"],
            },
        })
    );
    assert_eq!(all["rules"][1]["info"]["enabled"], false);
    assert_eq!(
        all["rules"][1]["details"]["condition_fields"],
        json!(["evt.type", "fd.name", "proc.name"])
    );
}

#[test]
fn what_the_configuration_appends_is_described_too() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(dir.path(), "rules.yaml", RULES);
    let append = "append_output=[{extra_output: 'by %proc.pid', extra_fields: [proc.name, {kind: 'a %container.id'}]}]";
    let one = json(&[
        "-l",
        "Marker opened",
        "-r",
        &rules,
        "-o",
        "json_output=true",
        "-o",
        append,
    ]);
    assert_eq!(keys(&one), ["rules"]);
    let details = &one["rules"][0]["details"];
    assert_eq!(details["output_compiled"], "marker %fd.name by %proc.pid");
    assert_eq!(
        details["output_fields"],
        json!(["fd.name", "kind", "proc.name", "proc.pid"])
    );
    assert_eq!(
        details["extra_output_formatted_fields"],
        json!({ "kind": "a %container.id" })
    );
}

#[test]
fn rules_are_listed_in_two_columns() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(dir.path(), "rules.yaml", RULES);
    let text = text(&["-L", "-r", &rules]);
    assert_eq!(
        text,
        format!(
            "{:<50} Description\n{:<50} -----------\n{:<50} A file that only the test opens \n\n",
            "Rule", "----", "Marker opened"
        )
    );
    let output = run(&["-l", "Marker open", "-r", &rules, "-o", "json_output=true"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        stderr.ends_with("lanner: Rule \"Marker open\" is not loaded; did you mean \"Marker opened\"?\n"),
        "{stderr}"
    );
}

#[test]
fn valid_files_are_described_along_with_their_results() {
    let dir = tempfile::tempdir().unwrap();
    let good = write(dir.path(), "good.yaml", RULES);
    let bad = write(dir.path(), "bad.yaml", "- rule: [\n");
    let both = json(&["-V", &good, "-L", "-o", "json_output=true"]);
    assert_eq!(keys(&both), ["falco_describe_results", "falco_load_results"]);
    assert_eq!(
        both["falco_describe_results"],
        json(&["-L", "-r", &good, "-o", "json_output=true"])
    );
    let plain = text(&["-V", &good, "-l", "Marker opened"]);
    assert!(plain.starts_with(&format!("{good}: Ok\n\nRule  ")), "{plain}");
    let output = run(&["-V", &good, "-V", &bad, "-L", "-o", "json_output=true"]);
    assert_eq!(output.status.code(), Some(1));
    let refused: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(keys(&refused), ["falco_load_results"]);
}

/// The rules that come with Falco, where they are at hand.
#[test]
fn the_stock_rules_are_described_whole() {
    let Some(rules) = std::env::var_os("FALCO_RULES") else {
        eprintln!("skipped: FALCO_RULES names no file with Falco's stock rules");
        return;
    };
    let rules = rules.into_string().unwrap();
    let all = json(&["-V", &rules, "-L", "-o", "json_output=true"]);
    let result = &all["falco_load_results"][0];
    assert_eq!(result["successful"], true, "{result}");
    assert_eq!(result["schema_valid"], true, "{result}");
    let all = &all["falco_describe_results"];
    assert_eq!(all["required_plugin_versions"][0]["name"], "container");
    let rules = all["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 25);
    let mut alone = Vec::new();
    for rule in rules {
        let details = &rule["details"];
        let has_some = |key: &str| !details[key].as_array().unwrap().is_empty();
        for key in [
            "condition_fields",
            "condition_operators",
            "events",
            "output_fields",
        ] {
            assert!(has_some(key), "{key}: {rule}");
        }
        alone.push(json!({
            "rule": rule["info"]["name"],
            "desc": "d",
            "condition": details["condition_compiled"],
            "output": details["output_compiled"],
            "priority": "INFO",
        }));
    }
    // What was compiled stands without macros and lists, and comes to the same.
    let dir = tempfile::tempdir().unwrap();
    let alone = write(dir.path(), "alone.yaml", &Value::from(alone).to_string());
    let again = json(&["-L", "-r", &alone, "-o", "json_output=true"]);
    for (rule, again) in rules.iter().zip(again["rules"].as_array().unwrap()) {
        for key in [
            "condition_compiled",
            "output_compiled",
            "events",
            "condition_fields",
        ] {
            assert_eq!(rule["details"][key], again["details"][key], "{key}");
        }
        assert_eq!(again["details"]["macros"], json!([]));
    }
}
