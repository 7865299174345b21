//! The rule language from outside, as a rule author and an operator meet it: files as people write them, slips as people
//! make them, and what the program says about both.

// Failing to set up is failing the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn lanner(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lanner"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The JSON that a command prints on standard output.
fn json(arguments: &[&str]) -> Value {
    let mut all = vec!["-o", "json_output=true"];
    all.extend(arguments);
    let output = lanner(&all);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{arguments:?}: {error}: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// The habits of public rule collections: quoted addresses, truncated names, a list of lists, an empty list with a comment,
/// a quote that is only text, a single backslash, a value that looks like YAML.
const COMMUNITY: &str = r#"
- required_engine_version: 0.57.0

- required_plugin_versions:
    - name: container
      version: 0.4.0

- macro: reads_a_file
  condition: (evt.type in (open,openat,openat2) and evt.is_open_read=true and fd.typechar='f' and fd.num>=0)

- macro: nothing_known_yet
  condition: (evt.num=0)

- list: updaters
  items: [dnf, '"75-system-updat"', apt.systemd.dai,
          rhsmcertd-worke]

- list: installers
  items: [updaters, "runc:[1:CHILD]", snapd, "[", "true"]

- list: trusted_images
  items: [] # none so far

- list: private_networks
  items: ['"10.0.0.0/8"', '"192.168.0.0/16"']

- rule: Private file read
  desc: >
    Reads of what is "private. Over more lines
    than one.
  condition: >
    reads_a_file
    and (fd.name glob '/home/*/.ssh/*' or fd.directory pmatch (/root/.ssh, /etc/pam.d))
    and not proc.name in (installers)
    and not (proc.name in ("<NA>","N/A"))
    and not proc.aname[2] in (updaters, cron)
    and not container.image.repository in (trusted_images)
    and not nothing_known_yet
  output: Private file read | file=%fd.name proto=fd.l4proto gparent=%proc.aname[2] command=%proc.cmdline
  priority:
    WARNING
  tags: [maturity_sandbox, host, T1546.004]

- rule: Edit through sudo
  desc: d
  condition:
    evt.type in (execve, execveat)
    and user.uid != 0 and proc.name=sudoedit
    and (proc.args contains -s or proc.args = '')
    and (proc.args contains "\ " or proc.args endswith \)
  output: sudo %proc.cmdline flags=%evt.arg.flags
  priority: CRITICAL

- rule: Out of the network
  desc: d
  condition: >
    (evt.type = connect or (evt.type in (sendto,sendmsg) and fd.l4proto != tcp and fd.connected=false and fd.name_changed=true))
    and (fd.typechar = 4 or fd.typechar = 6)
    and (fd.ip != "0.0.0.0" and fd.net != "127.0.0.0/8" and not fd.snet in (private_networks))
    and (evt.rawres >= 0 or evt.res = EINPROGRESS)
  enabled: false
  output: Connection as on https://example.org | connection=%fd.name lport=%fd.lport
  priority: NOTICE
"#;

/// What `-V` says of one file.
fn validate(text: &str) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), "rules.yaml", text);
    json(&["-V", &file])["falco_load_results"][0].take()
}

fn codes(issues: &Value) -> Vec<&str> {
    issues
        .as_array()
        .unwrap()
        .iter()
        .map(|issue| issue["code"].as_str().unwrap())
        .collect()
}

/// What `-l` says of a rule of these files.
fn describe(files: &[&str], rule: &str) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<String> = files
        .iter()
        .enumerate()
        .map(|(number, text)| write(dir.path(), &format!("{number}.yaml"), text))
        .collect();
    let mut arguments: Vec<&str> = paths.iter().flat_map(|path| ["-r", path]).collect();
    arguments.extend(["-l", rule]);
    json(&arguments)["rules"][0].take()
}

/// A rules file of one rule with this condition, which stands on line 3 from column 14 on.
fn with_condition(condition: &str) -> String {
    format!("- rule: R\n  desc: d\n  condition: {condition}\n  output: o %proc.name\n  priority: INFO\n")
}

/// A rules file of one complete rule, and lines after it that belong to the rule or follow it.
fn with_rest(rest: &str) -> String {
    format!("{}{rest}", with_condition("evt.type = openat"))
}

#[test]
fn files_as_people_write_them_load() {
    for (what, text, warnings) in [
        ("a community rule", COMMUNITY, &[][..]),
        (
            "the older syntax",
            "- list: l\n  items: [a]\n- macro: m\n  condition: proc.name in (l)\n- rule: R\n  desc: d\n  \
             condition: evt.type=openat and m\n  output: o\n  priority: WARNING\n- list: l\n  append: true\n  items: [c]\n\
             - macro: m\n  append: true\n  condition: or proc.pname = z\n- rule: R\n  append: true\n  condition: and user.uid = 0\n\
             - rule: R\n  enabled: false\n",
            &["LOAD_DEPRECATED_ITEM"; 4],
        ),
        (
            "keys in any order",
            "- condition: evt.type = openat\n  macro: x\n- priority: WARNING\n  output: o\n  desc: != text\n  condition: x\n  rule: R\n",
            &[],
        ),
        (
            "documents, anchors and nothing between them",
            "---\n- list: a\n  items: &i [bash, sh]\n- list: b\n  items: *i\n---\n# only a comment\n---\n-\n- rule: R\n  desc: &d text\n  \
             condition: evt.type=execve and proc.name in (a, b)\n  output: *d\n  priority: INFO\n...\n",
            &[],
        ),
        (
            "rules of a plugin's source",
            "- macro: kevt\n  condition: (jevt.value[/stage] in (ResponseComplete))\n- list: users\n  items: [\"a\", \"eks:node\",]\n\
             - rule: K\n  desc: d\n  condition: kevt and not ka.user.name in (users)\n  output: o %ka.uri.param[command]\n  \
             priority: WARNING\n  source: k8s_audit\n",
            &["LOAD_UNKNOWN_SOURCE"],
        ),
        (
            "older fields",
            "- rule: R\n  desc: d\n  condition: evt.type = execve and evt.dir = <\n  output: o %container.info\n  priority: INFO\n",
            &["LOAD_DEPRECATED_ITEM"; 2],
        ),
        (
            "an unknown item and an unknown key",
            "- foo: bar\n- rule: R\n  desc: d\n  condition: evt.type = openat\n  output: o\n  priority: INFO\n  author: me\n",
            &["LOAD_UNKNOWN_ITEM", "LOAD_UNKNOWN_KEY"],
        ),
        (
            "a byte order mark and the line ends of Windows",
            "\u{feff}- rule: R\r\n  desc: d\r\n  condition: evt.type = openat\r\n    and proc.name = x\r\n  output: o\r\n  priority: INFO\r\n",
            &[],
        ),
        ("nothing but blanks", "\n  \n# c\n", &[]),
    ] {
        let result = validate(text);
        assert_eq!(result["successful"], true, "{what}: {result}");
        assert_eq!(codes(&result["warnings"]), warnings, "{what}");
    }
}

#[test]
fn a_slip_in_a_condition_is_one_error_where_it_is() {
    for (condition, code, column, hint) in [
        (
            "evt.type = openat and proc.nmae = cat",
            "COMPILE_CONDITION",
            36,
            "did you mean proc.name?",
        ),
        (
            "evt.type = opnat",
            "COMPILE_CONDITION",
            25,
            "did you mean openat?",
        ),
        (
            "evt.type = openat && proc.name = cat",
            "COMPILE_CONDITION",
            32,
            "write 'and'",
        ),
        (
            "evt.type = openat AND proc.name = cat",
            "COMPILE_CONDITION",
            32,
            "lower case: and",
        ),
        (
            "evt.type = openat and !proc.name = cat",
            "COMPILE_CONDITION",
            36,
            "write 'not'",
        ),
        (
            "evt.type = openat and proc.name not in (cat)",
            "COMPILE_CONDITION",
            46,
            "before the field",
        ),
        (
            "evt.type = openat and (proc.name = cat",
            "COMPILE_CONDITION",
            36,
            "missing ')'",
        ),
        (
            "evt.type = openat and proc.name = cat)",
            "COMPILE_CONDITION",
            51,
            "too many",
        ),
        (
            "evt.type = openat and proc.cmdline = cat /x",
            "COMPILE_CONDITION",
            55,
            "needs quotes",
        ),
        (
            "evt.type = openat and proc.name = \"cat",
            "COMPILE_CONDITION",
            48,
            "closing quote",
        ),
        (
            "evt.type = openat and proc.name contain cat",
            "COMPILE_CONDITION",
            46,
            "did you mean 'contains'?",
        ),
        (
            "evt.type = openat and proc.pid contains 5",
            "COMPILE_CONDITION",
            45,
            "operators for numbers",
        ),
        (
            "evt.type = openat and evt.is_open_write = yes",
            "COMPILE_CONDITION",
            56,
            "true or false",
        ),
        (
            "evt.type = connect and fd.snet = 10.0.0.0",
            "COMPILE_CONDITION",
            47,
            "prefix length",
        ),
        (
            "evt.type = openat and upper(proc.name) = CAT",
            "COMPILE_CONDITION",
            36,
            "toupper",
        ),
        (
            "evt.type in (open, openat,)",
            "COMPILE_CONDITION",
            40,
            "comma too many",
        ),
        (
            "evt.type = openat and fd.num = 0x1A",
            "COMPILE_CONDITION",
            45,
            "decimal",
        ),
        (
            "evt.type = openat and fd.name pmatch /etc",
            "COMPILE_CONDITION",
            51,
            "pmatch (a, b)",
        ),
        (
            "evt.type = openat and evt.arg.flgs exists",
            "COMPILE_CONDITION",
            36,
            "did you mean flags?",
        ),
        ("evt.type = openat and open_wrte", "VALIDATE", 36, "macro"),
    ] {
        let result = validate(&with_condition(condition));
        assert_eq!(
            codes(&result["errors"]),
            [format!("LOAD_ERR_{code}")],
            "{condition}"
        );
        let error = &result["errors"][0];
        let places = error["context"]["locations"].as_array().unwrap();
        let place = &places.last().unwrap()["position"];
        // Falco counts lines and columns from 0.
        assert_eq!(
            (&place["line"], &place["column"]),
            (&2.into(), &(column - 1).into()),
            "{condition}"
        );
        let said = error["hint"].as_str().unwrap_or_default();
        assert!(said.contains(hint), "{condition}: {said}");
    }
}

#[test]
fn a_slip_in_an_item_is_one_error() {
    for (rest, code) in [
        ("  enabled: nope\n", "YAML_VALIDATE"),
        ("  tags: network\n", "YAML_VALIDATE"),
        ("  capture_duration: text\n", "YAML_VALIDATE"),
        ("- list: l\n  items: a, b\n", "YAML_VALIDATE"),
        ("- macro: m\n", "YAML_VALIDATE"),
        ("- required_engine_version: abc\n", "YAML_VALIDATE"),
        ("- required_engine_version: 99\n", "VALIDATE"),
        (
            "- rule: R\n  priority: INFO\n  override: {priority: append}\n",
            "YAML_VALIDATE",
        ),
        (
            "- rule: R\n  condition: x\n  override: {condition: prepend}\n",
            "YAML_VALIDATE",
        ),
        (
            "- rule: S\n  condition: and x\n  override: {condition: append}\n",
            "VALIDATE",
        ),
        (
            "  exceptions:\n  - {name: e, fields: [proc.nam], values: [[a]]}\n",
            "VALIDATE",
        ),
        (
            "  exceptions:\n  - {name: e, fields: [proc.name, fd.name], values: [[a]]}\n",
            "VALIDATE",
        ),
        (
            "  exceptions:\n  - {name: e, fields: [proc.name], comps: [beginswith], values: [[a]]}\n",
            "VALIDATE",
        ),
        ("  exceptions:\n  - {name: e, values: [a]}\n", "YAML_VALIDATE"),
    ] {
        let result = validate(&with_rest(rest));
        assert_eq!(codes(&result["errors"]), [format!("LOAD_ERR_{code}")], "{rest}");
    }
    for output in ["x %fd.nme", "100% x", "%(proc.name)", "x %"] {
        let text = with_condition("evt.type = openat").replace("o %proc.name", &format!("'{output}'"));
        assert_eq!(
            codes(&validate(&text)["errors"]),
            ["LOAD_ERR_COMPILE_OUTPUT"],
            "{output}"
        );
    }
}

#[test]
fn only_what_is_unknown_can_be_skipped() {
    let skipped = "  skip-if-unknown-filter: true\n";
    for (condition, output, warning) in [
        ("evt.type = openat and foo.bar = 1", "o", true),
        ("evt.type = nosuch", "o", true),
        ("evt.type = openat", "o %foo.bar", true),
        ("evt.type = openat and proc.pid contains x", "o", false),
    ] {
        let text = with_condition(condition).replace("o %proc.name", output) + skipped;
        let result = validate(&text);
        assert_eq!(result["successful"], warning, "{condition}");
        if warning {
            assert_eq!(codes(&result["warnings"]), ["LOAD_UNKNOWN_FILTER"], "{condition}");
        }
    }
}

#[test]
fn local_rules_change_what_stands_before_them() {
    let main = "- list: shells\n  items: [sh, bash]\n- macro: tuned\n  condition: (evt.num = 0)\n\
                - rule: R\n  desc: d\n  condition: evt.type = execve and proc.name in (shells) and not tuned\n  \
                output: o %proc.name\n  priority: NOTICE\n  tags: [b]\n";
    let local = "- list: shells\n  items: [fish]\n  override: {items: append}\n\
                 - macro: tuned\n  condition: (proc.pname = cron)\n\
                 - rule: R\n  condition: and user.uid = 0\n  output: \"| %proc.pname\"\n  priority: CRITICAL\n  tags: [a]\n  enabled: false\n  \
                 override: {condition: append, output: append, priority: replace, tags: append, enabled: replace}\n";
    let rule = describe(&[main, local], "R");
    assert_eq!(
        rule["details"]["condition_compiled"],
        "(evt.type = execve and proc.name in (sh, bash, fish) and not proc.pname = cron and user.uid = 0)"
    );
    let info = &rule["info"];
    assert_eq!(info["output"], "o %proc.name | %proc.pname");
    assert_eq!(info["priority"], "Critical");
    assert_eq!(info["tags"], serde_json::json!(["a", "b"]));
    assert_eq!(info["enabled"], false);
}

#[test]
fn an_appended_or_belongs_to_the_whole_condition() {
    let rule = describe(
        &[
            &with_condition("evt.type = open or evt.type = openat"),
            "- rule: R\n  condition: and proc.name = c\n  override: {condition: append}\n",
        ],
        "R",
    );
    assert_eq!(
        rule["details"]["condition_compiled"],
        "(evt.type = open or (evt.type = openat and proc.name = c))"
    );
}

#[test]
fn every_form_of_exception_becomes_a_condition() {
    for (exception, compiled) in [
        (
            "fields: proc.name, values: [a, b c]",
            "not proc.name in (a, \"b c\")",
        ),
        (
            "fields: fd.name, comps: pmatch, values: [/etc]",
            "not fd.name pmatch (/etc)",
        ),
        (
            "fields: fd.name, comps: startswith oneof, values: [/a]",
            "not fd.name startswith oneof (/a)",
        ),
        (
            "fields: [proc.name, fd.name], comps: [=, startswith], values: [[a, /x], [ls y, /z]]",
            "not ((proc.name = a and fd.name startswith /x) or (proc.name = \"ls y\" and fd.name startswith /z))",
        ),
        (
            "fields: [proc.name, fd.name], comps: [in, pmatch], values: [[[a, b], [/x, /y]]]",
            "not (proc.name in (a, b) and fd.name pmatch (/x, /y))",
        ),
        (
            "fields: [\"tolower(proc.name)\", user.uid], values: [[a, 0]]",
            "not (tolower(proc.name) = a and user.uid = 0)",
        ),
        (
            "fields: [proc.name], values: [[val(proc.pname)]]",
            "not proc.name = val(proc.pname)",
        ),
    ] {
        let text = with_rest(&format!("  exceptions:\n  - {{name: e, {exception}}}\n"));
        let rule = describe(&[&text], "R");
        assert_eq!(
            rule["details"]["condition_compiled"],
            format!("(evt.type = openat and {compiled})"),
            "{exception}"
        );
    }
}

#[test]
fn a_list_stands_for_its_items_only_where_a_name_can_stand() {
    let rule = describe(
        &[
            "- list: sh\n  items: [bash, zsh]\n- list: more\n  items: [sh, ksh]\n- rule: R\n  desc: d\n  \
           condition: evt.type=execve and proc.name in (more) and proc.pname in (mysh, sh) and proc.cmdline contains \"sh -c\"\n  \
           output: o\n  priority: INFO\n",
        ],
        "R",
    );
    assert_eq!(
        rule["details"]["condition_compiled"],
        "(evt.type = execve and proc.name in (bash, zsh, ksh) and proc.pname in (mysh, bash, zsh) and proc.cmdline contains \"sh -c\")"
    );
}

#[test]
fn coverage_tells_blind_from_partial_from_exact() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        ("setuid", "evt.type = setuid", "exact"),
        ("not_captured", "evt.type = page_fault", "blind"),
        ("one_of_two", "evt.type in (setuid, page_fault)", "partial"),
        (
            "no_such_parameter",
            "evt.type = openat and evt.arg.oldpath = x",
            "blind",
        ),
        (
            "contradiction",
            "evt.type = execve and evt.type = openat",
            "blind",
        ),
    ];
    let text: String = cases
        .iter()
        .map(|(name, condition, _)| {
            with_condition(condition)
                .replace("rule: R", &format!("rule: {name}"))
                .replace("o %proc.name", "o")
        })
        .collect();
    let file = write(dir.path(), "rules.yaml", &text);
    let output = lanner(&["coverage", "--json", "-r", &file]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rules = answer["rules"].as_array().unwrap();
    for (rule, (name, _, verdict)) in rules.iter().zip(cases) {
        assert_eq!(rule["rule"], name);
        assert_eq!(rule["tiers"]["sys_exit"]["verdict"], verdict, "{name}: {rule}");
    }
    assert_eq!(rules.len(), cases.len());
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    for arguments in [
        &["--list"][..],
        &["--list-events"],
        &["-L"],
        &["coverage"],
        &["--support"],
        &["--config-schema"],
    ] {
        // The reading end is closed before the program writes.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_lanner"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
}
