//! `--version`, `--list`, `--list-events`, `--list-plugins`, `--plugin-info`, `-i` and `--support`.

use serde_json::json;

use crate::{RULES, json, keys, run, text, write};

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
    assert!(ignored.lines().any(|line| line == "- read"), "{ignored}");
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
