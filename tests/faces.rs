//! Falco's questions, asked of the binary: the texts and the JSON of its answers.

// Failing to set up is failing the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lanner"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What it prints to standard output; it must succeed.
fn text(arguments: &[&str]) -> String {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Its standard output as one JSON value.
fn json(arguments: &[&str]) -> Value {
    let text = text(arguments);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

const RULES: &str = "\
- required_engine_version: 0.31.0
- rule: Marker opened
  desc: A file that only the test opens
  condition: evt.type in (open, openat, openat2) and fd.name endswith /lanner-faces-marker
  output: marker %fd.name
  priority: WARNING
";

#[test]
fn versions_have_falcos_eight_lines_and_lanners_own() {
    let text = text(&["--version"]);
    let labels: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(label, _)| label)
        .collect();
    assert_eq!(
        labels,
        [
            "Lanner version",
            "Falco version",
            "Libs version",
            "Plugin API",
            "Engine",
            "Driver",
            "  API version",
            "  Schema version",
            "  Default driver",
            "Plugins",
        ]
    );
    assert!(text.starts_with(&format!("Lanner version: {}\n", env!("CARGO_PKG_VERSION"))));
    assert!(text.contains("\nEngine:        0.63.0\n"), "{text}");
    assert!(text.contains("\nPlugins:       container "), "{text}");
}

#[test]
fn versions_in_json_have_falcos_keys() {
    let versions = json(&["--version", "-o", "json_output=true"]);
    assert_eq!(
        keys(&versions),
        [
            "default_driver_version",
            "driver_api_version",
            "driver_schema_version",
            "engine_version",
            "engine_version_semver",
            "falco_version",
            "lanner_version",
            "libs_version",
            "plugin_api_version",
            "plugin_versions",
        ]
    );
    assert_eq!(versions["engine_version"], "63");
    assert_eq!(versions["engine_version_semver"], "0.63.0");
    assert_eq!(versions["lanner_version"], env!("CARGO_PKG_VERSION"));
    assert!(versions["plugin_versions"]["container"].is_string());
}

#[test]
fn a_broken_configuration_keeps_nobody_from_knowing_the_version() {
    let dir = tempfile::tempdir().unwrap();
    let broken = write(dir.path(), "lanner.yaml", "json_output: [\n");
    for config in [broken.as_str(), "/nonexistent/lanner.yaml"] {
        let text = text(&["--version", "-c", config]);
        assert!(text.starts_with("Lanner version: "), "{text}");
    }
}

#[test]
fn fields_are_listed_in_every_form() {
    let plain = text(&["--list=syscall"]);
    assert!(
        plain.starts_with("-------------------------------\nField Class:                  evt (All event types)\nDescription:                  "),
        "{plain}"
    );
    assert!(
        plain.contains("\nEvent Sources:                syscall \n\n"),
        "{plain}"
    );
    assert!(!plain.contains("(Type: "), "{plain}");
    assert!(text(&["--list", "-v"]).contains("(Type: CHARBUF) "));
    let markdown = text(&["--list", "--markdown"]);
    assert_eq!(markdown, text(&["--list", "--format", "markdown"]));
    assert!(markdown.contains("\n`proc.name` | CHARBUF | "), "{markdown}");
    let classes = json(&["--list", "--format", "json"]);
    assert_eq!(keys(&classes), ["fieldclasses"]);
    let in_json: usize = classes["fieldclasses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|class| class["fields"].as_array().unwrap().len())
        .sum();
    let names = json(&["--list", "-N", "--format", "json"]);
    assert_eq!(keys(&names), ["fieldnames"]);
    assert_eq!(names["fieldnames"].as_array().unwrap().len(), in_json);
    assert_eq!(text(&["--list", "-N"]).lines().count(), in_json);
    let with_static = text(&["--list", "-N", "-o", "static_fields={cluster: west}"]);
    assert!(with_static.ends_with("\nstatic.cluster\n"), "{with_static}");
    let wrong = run(&["--list=k8s_audit"]);
    assert_eq!(wrong.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        stderr.starts_with("lanner: Value for --list must be a valid source type"),
        "{stderr}"
    );
}

#[test]
fn events_are_listed_in_every_form() {
    let plain = text(&["--list-events"]);
    for group in [
        "Syscall events",
        "Tracepoint events",
        "Plugin events",
        "Metaevents",
    ] {
        assert!(plain.contains(&format!("## {group}\n\n")), "{plain}");
    }
    assert!(plain.contains("\n< openat(FD **fd**, FD **dirfd**, "), "{plain}");
    let markdown = text(&["--list-events", "--markdown"]);
    assert!(
        markdown
            .contains("Default | Dir | Name | Params \n:-------|:----|:-----|:-----\nYes | `<` | `open` | ")
    );
    let events = json(&["--list-events", "--format=json"]);
    assert_eq!(
        keys(&events),
        [
            "Metaevents",
            "Plugin events",
            "Syscall events",
            "Tracepoint events",
            "schema_version"
        ]
    );
    assert_eq!(
        keys(&events["Syscall events"][0]),
        ["available", "dir", "name", "params"]
    );
    let ignored = text(&["-i"]);
    assert!(ignored.starts_with("Ignored syscall(s):\n- "), "{ignored}");
    assert!(ignored.lines().any(|line| line == "- futex"), "{ignored}");
    assert!(!ignored.lines().any(|line| line == "- openat"), "{ignored}");
}

#[test]
fn the_built_in_plugin_is_described() {
    let list = text(&["--list-plugins"]);
    assert!(
        list.starts_with("1 Plugins Loaded:\n\nName: container\n"),
        "{list}"
    );
    for label in [
        "Description: ",
        "Contact: ",
        "Version: ",
        "Capabilities: \n  - Field Extraction\n",
    ] {
        assert!(list.contains(&format!("\n{label}")), "{label}: {list}");
    }
    let info = text(&["--plugin-info", "container"]);
    assert!(info.starts_with("Name: container\n"), "{info}");
    assert!(info.contains("\nInit config schema type: "), "{info}");
    let unknown = run(&["--plugin-info", "json"]);
    assert_eq!(unknown.status.code(), Some(1));
}

#[test]
fn support_is_one_object_with_everything_a_report_needs() {
    let dir = tempfile::tempdir().unwrap();
    let config = write(dir.path(), "lanner.yaml", "priority: notice\n");
    let rules = write(dir.path(), "rules.yaml", RULES);
    let broken = write(dir.path(), "broken.yaml", "- rule: [\n");
    let report = json(&["--support", "-c", &config, "-r", &rules, "-r", &broken]);
    assert_eq!(
        keys(&report),
        [
            "cmdline",
            "config",
            "engine_info",
            "rules_files",
            "system_info",
            "version"
        ]
    );
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        report["engine_info"],
        json(&["--version", "-o", "json_output=true"])
    );
    assert_eq!(
        keys(&report["system_info"]),
        ["machine", "nodename", "release", "sysname", "version"]
    );
    assert_eq!(report["system_info"]["sysname"], "Linux");
    let cmdline = report["cmdline"].as_str().unwrap();
    assert!(
        cmdline.ends_with(&format!(" --support -c {config} -r {rules} -r {broken}")),
        "{cmdline}"
    );
    assert_eq!(report["config"], "priority: notice\n");
    assert_eq!(report["rules_files"][0]["name"], rules.as_str());
    assert_eq!(
        report["rules_files"][0]["variants"],
        json!([{ "content": RULES, "required_engine_version": "0.31.0" }])
    );
    assert_eq!(
        report["rules_files"][1]["variants"],
        json!([{ "content": "- rule: [\n", "required_engine_version": "0.0.0" }])
    );
}

/// What `-V` says of these files, as JSON, and whether it succeeds.
fn validated(files: &[&str]) -> (Value, bool) {
    let mut arguments = vec!["-o", "json_output=true"];
    arguments.extend(files.iter().flat_map(|file| ["-V", *file]));
    let output = run(&arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (value, output.status.success())
}

#[test]
fn a_valid_file_has_falcos_result() {
    let dir = tempfile::tempdir().unwrap();
    let good = write(dir.path(), "good.yaml", RULES);
    let (value, success) = validated(&[&good]);
    assert!(success);
    let result = json!({
        "name": good,
        "successful": true,
        "schema_valid": true,
        "schema_warnings": [],
        "errors": [],
        "warnings": [],
    });
    assert_eq!(value, json!({ "falco_load_results": [result] }));
}

/// Lines and columns from 0, offsets in bytes; from the file to the item to the place in it.
#[test]
fn an_error_has_its_code_and_the_way_to_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let text = RULES.replace("fd.name endswith", "fd.nmae endswith");
    let bad = write(dir.path(), "bad.yaml", &text);
    let (value, success) = validated(&[&bad]);
    assert!(!success);
    let result = &value["falco_load_results"][0];
    assert_eq!(result["successful"], false);
    let error = &result["errors"][0];
    assert_eq!(error["code"], "LOAD_ERR_COMPILE_CONDITION");
    assert_eq!(error["codedesc"], "Error compiling condition");
    assert_eq!(error["message"], "nonexistent field 'fd.nmae'");
    assert_eq!(error["hint"], "did you mean fd.name?");
    let at = |line: usize, column: usize, offset: usize| json!({ "name": bad, "line": line, "column": column, "offset": offset });
    let line = text.lines().nth(3).unwrap();
    let column = line.find("fd.nmae").unwrap();
    assert_eq!(
        error["context"]["locations"],
        json!([
            { "item_type": "rules content", "item_name": "", "position": at(0, 0, 0) },
            { "item_type": "rule", "item_name": "Marker opened", "position": at(1, 2, text.find("rule:").unwrap()) },
            { "item_type": "rule condition", "item_name": "", "position": at(3, 13, text.find("evt.type").unwrap()) },
            { "item_type": "condition expression", "item_name": "", "position": at(3, column, text.find("fd.nmae").unwrap()) },
        ])
    );
    assert_eq!(
        error["context"]["snippet"],
        format!("{line}\n{}^\n", " ".repeat(column))
    );
}

#[test]
fn files_build_on_those_before_them_and_each_has_its_result() {
    let dir = tempfile::tempdir().unwrap();
    let first = write(
        dir.path(),
        "first.yaml",
        "- macro: marker\n  condition: fd.name endswith /m and evt.dir = <\n- list: unused\n  items: [a]\n",
    );
    let broken = write(dir.path(), "broken.yaml", "- rule: [\n");
    let missing = dir.path().join("missing.yaml").display().to_string();
    let second = write(
        dir.path(),
        "second.yaml",
        "- rule: r\n  desc: d\n  condition: evt.type = open and marker\n  output: o %fd.name %evt.dir\n  priority: info\n  tag: [x]\n",
    );
    let (value, success) = validated(&[&first, &broken, &missing, &second]);
    assert!(!success);
    let results = value["falco_load_results"].as_array().unwrap();
    let successes: Vec<bool> = results
        .iter()
        .map(|result| result["successful"].as_bool().unwrap())
        .collect();
    assert_eq!(successes, [true, false, false, true]);
    let codes = |index: usize, kind: &str| -> Vec<String> {
        let issues = results[index][kind].as_array().unwrap();
        issues
            .iter()
            .map(|issue| issue["code"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(
        codes(0, "warnings").contains(&"LOAD_UNUSED_LIST".to_owned()),
        "{}",
        results[0]
    );
    assert_eq!(codes(1, "errors"), ["LOAD_ERR_YAML_PARSE"]);
    assert_eq!(results[1]["schema_valid"], false);
    assert_eq!(codes(2, "errors"), ["LOAD_ERR_FILE_READ"]);
    assert_eq!(results[3]["schema_valid"], false);
    let warnings = results[3]["warnings"].as_array().unwrap();
    let deprecated: Vec<&Value> = warnings
        .iter()
        .filter(|w| w["code"] == "LOAD_DEPRECATED_ITEM")
        .collect();
    assert!(!deprecated.is_empty(), "{}", results[3]);
    for warning in deprecated {
        assert_eq!(warning["deprecated_field"], "evt.dir");
        assert_eq!(warning["context"]["locations"][2]["item_type"], "rule output");
    }
    let unknown = warnings.iter().find(|w| w["code"] == "LOAD_UNKNOWN_KEY").unwrap();
    assert_eq!(unknown["context"]["locations"][2]["item_type"], "value for");
}

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

/// Continuous integration tries a configuration without being root, on whatever kernel it has.
#[test]
fn a_dry_run_needs_no_rights_and_fails_only_where_something_is_wrong() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: becoming another user needs root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let good = write(dir.path(), "good.yaml", RULES);
    let bad = write(dir.path(), "bad.yaml", &RULES.replace("WARNING", "LOUD"));
    let dry_run = |rules: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lanner"));
        command
            .args(["--dry-run", "-r", rules])
            .uid(65534)
            .gid(65534)
            .stdin(Stdio::null());
        command.output()
    };
    let output = match dry_run(&good) {
        Ok(output) => output,
        Err(error) => return eprintln!("skipped: another user can't run the program: {error}"),
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(
        stderr.contains("this was a dry run") && stderr.contains("this host cannot be watched: "),
        "{stderr}"
    );
    assert_eq!(dry_run(&bad).unwrap().status.code(), Some(1));
}

/// As in Falco: JSON is what `-V` prints; a start that fails says why in text.
#[test]
fn errors_of_a_start_are_text_whatever_the_alerts_are() {
    let dir = tempfile::tempdir().unwrap();
    let bad = write(dir.path(), "bad.yaml", &RULES.replace("WARNING", "LOUD"));
    let output = run(&["--dry-run", "-r", &bad, "-o", "json_output=true"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("error[LOAD_ERR_YAML_VALIDATE]: 'LOUD' is not a priority"),
        "{stderr}"
    );
}

#[test]
fn a_configuration_given_as_rules_is_said_to_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let config = write(dir.path(), "falco.yaml", "rules_files:\n  - rules.yaml\n");
    let (value, success) = validated(&[&config]);
    assert!(!success);
    let error = &value["falco_load_results"][0]["errors"][0];
    assert_eq!(error["code"], "LOAD_ERR_YAML_VALIDATE");
    assert!(error["hint"].as_str().unwrap().contains("--dry-run"), "{error}");
    let kinds: Vec<&Value> = error["context"]["locations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|location| &location["item_type"])
        .collect();
    assert_eq!(kinds, ["rules content", "rules content item"]);
}

#[test]
fn what_is_wrong_with_an_exception_is_said_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let exceptions = "  exceptions:\n    - name: ex1\n      fields: [not.exist]\n      values: [[a]]\n";
    let read = write(
        dir.path(),
        "read.yaml",
        &format!("{RULES}  exceptions:\n    - name: ex1\n      values: [a]\n"),
    );
    let compiled = write(dir.path(), "compiled.yaml", &format!("{RULES}{exceptions}"));
    for file in [&read, &compiled] {
        let (value, success) = validated(&[file]);
        assert!(!success);
        let error = &value["falco_load_results"][0]["errors"][0];
        let locations: Vec<(&str, &str)> = error["context"]["locations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|at| {
                (
                    at["item_type"].as_str().unwrap(),
                    at["item_name"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            locations[1..3],
            [("rule", "Marker opened"), ("exception", "ex1")],
            "{error}"
        );
    }
}
