//! `-V` with JSON, `--dry-run`, and starts that fail.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{RULES, run, write};

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
