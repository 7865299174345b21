//! `lanner filter` and `lanner format` as their users see them: the answers, the explanations and the exit codes.

// Failing to set up is failing the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn lanner() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lanner"))
}

fn run(arguments: &[&str]) -> Output {
    lanner().args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The one JSON line of a command.
fn answer(arguments: &[&str]) -> Value {
    let output = run(arguments);
    assert_eq!(stderr(&output), "", "{arguments:?}");
    let text = stdout(&output);
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// What lines of standard input are answered with.
fn batch(arguments: &[&str], input: Vec<u8>) -> Vec<Value> {
    let mut child = lanner()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn parse_gives_the_tree_and_the_canonical_text() {
    let text = "a.b in (x, 'y z') and\nnot (m or tolower(c.d[1]) = \"\\xff\")";
    let answer = answer(&["filter", "parse", "--json", "--", text]);
    assert_eq!(answer["ok"], true);
    assert_eq!(answer["error"], Value::Null);
    assert_eq!(
        answer["canonical"],
        "(a.b in (x, \"y z\") and not (m or tolower(c.d[1]) = \"\\xff\"))"
    );
    assert_eq!(
        answer["end_pos"],
        json!({"idx": text.len(), "line": 2, "col": 36})
    );
    let and = &answer["ast"]["and"];
    assert_eq!(and[0]["check"]["left"]["field"], "a.b");
    assert_eq!(and[0]["check"]["op"], "in");
    assert_eq!(and[0]["check"]["modifier"], Value::Null);
    assert_eq!(and[0]["check"]["right"]["list"][1]["value"], "y z");
    let or = &and[1]["not"]["or"];
    assert_eq!(or[0]["macro"], "m");
    assert_eq!(
        or[0]["pos"],
        json!({"start": {"idx": 27, "line": 2, "col": 6}, "end": {"idx": 28, "line": 2, "col": 7}})
    );
    let check = &or[1]["check"];
    assert_eq!(check["left"]["transformer"], "tolower");
    assert_eq!(check["left"]["args"][0]["field"], "c.d");
    assert_eq!(check["left"]["args"][0]["arg"], "1");
    assert_eq!(check["right"]["value"], json!({"hex": "ff"}));
}

#[test]
fn parse_says_where_it_stopped() {
    let output = run(&["filter", "parse", "--json", "--", "a.b = x and\n c.d like y"]);
    assert_eq!(output.status.code(), Some(1));
    let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(answer["ok"], false);
    assert!(answer["error"].as_str().unwrap().contains("operator"), "{answer}");
    assert_eq!(answer["ast"], Value::Null);
    assert_eq!(answer["canonical"], Value::Null);
    assert_eq!(answer["end_pos"], json!({"idx": 17, "line": 2, "col": 6}));
    assert_eq!(answer["pos"]["end"], json!({"idx": 21, "line": 2, "col": 10}));
    let output = run(&["filter", "parse", "a.b = x and\n c.d like y"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.starts_with("condition:2:6: error: "), "{text}");
    assert!(text.contains("\n 2 |  c.d like y\n   |      ^^^^\n"), "{text}");
    assert_eq!(stdout(&output), "");
}

#[test]
fn compile_gives_warnings_and_every_error() {
    let compile = |text: &str| answer(&["filter", "compile", "--json", "--", text]);
    let fine = compile("proc.name regex '^syscall$'");
    assert_eq!((&fine["ok"], &fine["error"]), (&json!(true), &Value::Null));
    let warnings = fine["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0]["code"], "LOAD_COMPILE_CONDITION");
    assert_eq!(warnings[0]["pos"]["start"]["idx"], 16);
    assert_eq!(compile("proc.name = cat")["warnings"], json!([]));
    assert_eq!(
        compile("evt.dir = <")["warnings"][0]["code"],
        "LOAD_DEPRECATED_ITEM"
    );
    let wrong = compile("proc.nmae = x and proc.pid = y");
    assert_eq!(wrong["ok"], false);
    assert_eq!(wrong["error"], "nonexistent field 'proc.nmae'");
    assert_eq!(wrong["hint"], "did you mean proc.name?");
    assert_eq!(wrong["errors"][1]["error"], "y is not a valid number");
    assert_eq!(wrong["warnings"], json!([]));
    let types = r#"{"my.x":"LIST(CHARBUF)","proc.name":"int64"}"#;
    let text = "my.x in (a) and proc.name > 3";
    let added = answer(&["filter", "compile", "--json", "--types", types, "--", text]);
    assert_eq!(added["ok"], true, "{added}");
    let undefined = compile("open_write");
    assert!(
        undefined["error"]
            .as_str()
            .unwrap()
            .contains("undefined macro 'open_write'")
    );
}

#[test]
fn macros_can_be_given_and_their_mistakes_are_found_in_them() {
    let macros = r#"{"open_write":"evt.type = open and writes","writes":"evt.is_open_write = true"}"#;
    let with =
        |macros: &str, text: &str| answer(&["filter", "compile", "--json", "--macros", macros, "--", text]);
    assert_eq!(with(macros, "open_write and proc.name = x")["ok"], true);
    let wrong = with(r#"{"m":"proc.pid = x"}"#, "proc.name = x and m");
    assert_eq!(wrong["macro"], "m");
    assert_eq!(wrong["pos"]["start"]["idx"], 11);
    let looping = with(r#"{"a":"b","b":"not a"}"#, "a");
    assert!(
        looping["error"].as_str().unwrap().contains("reference loop"),
        "{looping}"
    );
    let types = answer(&[
        "filter",
        "event-types",
        "--json",
        "--macros",
        macros,
        "--",
        "open_write",
    ]);
    assert_eq!(types["types"], json!(["open"]));
}

#[test]
fn eval_gives_the_result_or_an_error() {
    let fields = r#"{"proc.name":"cat","proc.pid":7,"proc.aname":["sh","sshd"],"evt.is_open_read":true,
        "proc.cmdline":{"hex":"636174ff"},"fd.ip":["10.0.0.1","::1"],"proc.exepath":null,"proc.env[A B]":"x"}"#;
    let eval = |text: &str| answer(&["filter", "eval", "--json", "--fields", fields, "--", text]);
    for (text, expected) in [
        ("proc.name = cat and proc.pid > 6", true),
        ("proc.aname = sshd and evt.is_open_read = true", true),
        ("proc.cmdline endswith \"\\xff\" and proc.cmdline glob cat?", true),
        ("fd.ip = 10.0.0.1 and not fd.ip != ::1", true),
        ("proc.exepath exists or proc.exepath != x", false),
        ("not proc.exepath = x", true),
        ("proc.env['A B'] = x", true),
    ] {
        assert_eq!(eval(text), json!({ "result": expected }), "{text}");
    }
    assert!(eval("proc.name >")["error"].is_string());
    let given = |fields: &str| {
        let output = run(&[
            "filter",
            "eval",
            "--json",
            "--fields",
            fields,
            "--",
            "proc.name = x",
        ]);
        let answer: Value = serde_json::from_str(&stdout(&output)).unwrap();
        (output.status.code().unwrap(), answer)
    };
    let (code, unknown) = given(r#"{"proc.nmae":"cat"}"#);
    assert_eq!((code, &unknown["hint"]), (1, &json!("did you mean proc.name?")));
    let (code, wrong) = given(r#"{"proc.pid":"seven"}"#);
    assert_eq!(code, 1);
    assert_eq!(
        wrong["error"],
        "field 'proc.pid' of type INT64 takes a number, not 'seven'"
    );
    let (code, object) = given(r#"{"proc.name":{"hex":"f"}}"#);
    assert_eq!(code, 1, "{object}");
    let (code, text) = given("proc.name=cat");
    assert_eq!(code, 2, "{text}");
}

#[test]
fn eval_tells_a_person_why() {
    let fields = r#"{"proc.name":"cat","proc.pname":"bash"}"#;
    let text = "proc.name = cat and not (proc.name = val(proc.pname) or fd.name exists)";
    let output = run(&["filter", "eval", "--fields", fields, text]);
    assert_eq!(
        stdout(&output),
        "\
true

true   and
true     proc.name = cat                  proc.name is \"cat\"
true     not
false      or
false        proc.name = val(proc.pname)  proc.name is \"cat\", proc.pname is \"bash\"
false        fd.name exists               fd.name is missing
"
    );
    assert_eq!(stderr(&output), "");
}

#[test]
fn exit_codes_are_those_of_a_calculator() {
    let code = |arguments: &[&str]| run(arguments).status.code().unwrap();
    assert_eq!(code(&["filter", "eval", "proc.name = x"]), 0);
    assert_eq!(code(&["filter", "eval", "--exit-code", "proc.name = x"]), 1);
    assert_eq!(code(&["filter", "eval", "--exit-code", "not proc.name = x"]), 0);
    assert_eq!(code(&["filter", "eval", "proc.name ="]), 1);
    assert_eq!(code(&["filter", "eval", "--fields", "[]", "proc.name = x"]), 2);
    assert_eq!(code(&["filter", "eval"]), 2);
    assert_eq!(code(&["filter"]), 2);
    assert_eq!(code(&["filter", "eval", "--batch", "m"]), 2);
    assert_eq!(code(&["format", "%proc.nmae"]), 1);
    assert_eq!(code(&["format", "--fields", "{", "%proc.name"]), 2);
    assert_eq!(code(&["filter", "--help"]), 0);
    assert!(stdout(&run(&["filter", "--help"])).contains("Examples:"));
    assert!(stdout(&run(&["format", "--help"])).contains("Examples:"));
}

#[test]
fn event_types_are_told_from_the_shorter_side() {
    let types = |text: &str| answer(&["filter", "event-types", "--json", "--", text]);
    assert_eq!(
        types("evt.type in (open, creat) and c.true = 1"),
        json!({"all": false, "types": ["creat", "open"], "except": []})
    );
    assert_eq!(
        types("not (evt.type = close or evt.type = open)"),
        json!({"all": true, "types": [], "except": ["close", "open"]})
    );
    assert_eq!(types("m"), json!({"all": true, "types": [], "except": []}));
    assert_eq!(
        types("evt.type = open and evt.num = 0"),
        json!({"all": false, "types": [], "except": []})
    );
    for wrong in [
        "b64(evt.type) = close",
        "evt.type = b64(proc.name)",
        "not evt.type != val(proc.name)",
        "evt.type = opne",
        "evt.type =",
    ] {
        assert!(types(wrong)["error"].is_string(), "{wrong}");
    }
    let said = |text: &str| stdout(&run(&["filter", "event-types", text]));
    assert_eq!(
        said("evt.type = open"),
        "It can be true on one type of events: open.\n"
    );
    assert_eq!(said("evt.type in ()"), "It can be true on no event at all.\n");
    assert_eq!(
        said("evt.type != open"),
        "It can be true on events of every type but 1: open.\n"
    );
}

#[test]
fn compile_tells_a_person_what_is_used() {
    let output = run(&["filter", "compile", "proc.name = val(proc.pname) or proc.pid = 1"]);
    let text = stdout(&output);
    assert!(
        text.contains("\n  proc.name   CHARBUF\n  proc.pid    INT64\n"),
        "{text}"
    );
    assert!(
        text.contains("every type") && text.contains("LOAD_NO_EVTTYPE"),
        "{text}"
    );
    let output = run(&["filter", "compile", "evt.type = open and fd.name = proc.name"]);
    let text = stdout(&output);
    assert!(
        text.contains("condition:1:31: warning[LOAD_COMPILE_CONDITION]") && text.contains("^^^^^^^^^"),
        "{text}"
    );
    let text = stdout(&run(&["filter", "parse", "not (a or b.c = 1)"]));
    assert_eq!(
        text,
        "not (a or b.c = 1)\n\nnot\n  or\n    a (macro)\n    b.c = 1\n"
    );
}

#[test]
fn outputs_are_printed() {
    let fields = r#"{"proc.name":"init","proc.pid":1,"my.list":["a","b"],"my.bool":true}"#;
    let types = r#"{"my.list":{"type":"CHARBUF","list":true},"my.bool":"BOOL"}"#;
    let format = |text: &str| {
        answer(&[
            "format", "--json", "--fields", fields, "--types", types, "--", text,
        ])
    };
    assert_eq!(
        format("start%2proc.nameand%10proc.name|%my.list %my.bool %proc.pid"),
        json!({
            "output": "startinandinit      |(a,b) true 1",
            "complete": true,
            "fields": {"proc.name": "init", "proc.pid": 1, "my.list": ["a", "b"], "my.bool": true}
        })
    );
    assert_eq!(
        format("*%proc.name %fd.name"),
        json!({"output": "init <NA>", "complete": true, "fields": {"proc.name": "init", "fd.name": null}})
    );
    assert_eq!(
        format("%proc.name %fd.name end"),
        json!({"output": "init ", "complete": false, "fields": {"proc.name": "init"}})
    );
    assert_eq!(
        format("%toupper(proc.name)"),
        json!({"output": "INIT", "complete": true, "fields": {"proc.name": "init", "toupper(proc.name)": "INIT"}})
    );
    assert_eq!(
        format("end"),
        json!({"output": "end", "complete": true, "fields": {}})
    );
    let wrong = format("a %proc.nmae");
    assert!(wrong["error"].as_str().unwrap().contains("proc.nmae"), "{wrong}");
    assert_eq!(wrong["pos"]["start"]["idx"], 2);
    let text = stdout(&run(&[
        "format",
        "--fields",
        fields,
        "--types",
        types,
        "*%proc.name %fd.name",
    ]));
    assert_eq!(text, "init <NA>\n\nMissing: fd.name\n");
    let text = stdout(&run(&["format", "a %proc.name"]));
    assert!(
        text.starts_with("a \n\nThe output ends before proc.name, which is missing."),
        "{text}"
    );
    let text = stderr(&run(&["format", "a %proc.nmae"]));
    assert!(
        text.starts_with("output:1:3: error: ") && text.contains("^^^^^^^^^^"),
        "{text}"
    );
}

#[test]
fn a_condition_comes_from_standard_input_and_need_not_be_text() {
    let mut child = lanner()
        .args(["filter", "parse", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"evt.type = open\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let read: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(read["canonical"], "evt.type = open");
    assert_eq!(read["end_pos"], json!({"idx": 16, "line": 2, "col": 1}));
    let argument = std::ffi::OsStr::from_bytes(b"proc.name = '\xff'");
    for (operation, key) in [("parse", "ok"), ("compile", "ok"), ("eval", "error")] {
        let output = lanner()
            .args(["filter", operation, "--json"])
            .arg(argument)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let read: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert!(read.get(key).is_some(), "{read}");
        assert_eq!(read["error"], "the text is not UTF-8 at byte 13");
        assert_eq!(read["hint"], "write the byte as \\xff, in quotes");
    }
}

#[test]
fn ten_thousand_lines_have_ten_thousand_answers_in_order() {
    let mut input = Vec::new();
    for n in 0..10_000 {
        let line = match n % 5 {
            0 => json!({"id": n, "op": "eval", "expr": format!("proc.pid = {n}"), "fields": {"proc.pid": n}}),
            1 => json!({"id": n, "op": "parse", "expr": "not m"}),
            2 => json!({"id": n, "op": "event-types", "expr": "evt.type = open"}),
            3 => json!({"id": n, "op": "format", "template": "%proc.pid", "fields": {"proc.pid": n}}),
            _ => json!({"id": n, "op": "compile", "expr": "proc.name"}),
        };
        writeln!(input, "{line}").unwrap();
    }
    let answers = batch(&["filter", "--batch"], input);
    assert_eq!(answers.len(), 10_000);
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer["id"], n);
        match n % 5 {
            0 => assert_eq!(*answer, json!({"id": n, "result": true})),
            1 => assert_eq!(answer["canonical"], "not m"),
            2 => assert_eq!(answer["types"], json!(["open"])),
            3 => assert_eq!(answer["output"], n.to_string()),
            _ => assert_eq!(answer["ok"], false),
        }
    }
}

#[test]
fn bad_lines_are_answered_and_the_next_ones_too() {
    let input = b"\n{\n[]\n\xff\xfe\n{\"expr\":1}\n{\"op\":\"x\",\"expr\":\"a\"}\n{\"expr\":\"proc.pid = 1\",\"fields\":{\"proc.pid\":1}}";
    let answers = batch(&["filter", "eval", "--batch"], input.to_vec());
    assert_eq!(answers.len(), 7, "{answers:?}");
    for answer in &answers[..6] {
        assert!(answer["error"].is_string(), "{answer}");
    }
    assert_eq!(answers[6], json!({"result": true}));
    let answers = batch(
        &["format", "--batch", "--fields", r#"{"proc.name":"cat"}"#],
        b"{\"template\":\"%proc.name\"}\n{\"template\":\"%proc.name\",\"fields\":{\"proc.name\":\"ls\"}}\n"
            .to_vec(),
    );
    assert_eq!(answers[0]["output"], "cat");
    assert_eq!(answers[1]["output"], "ls");
}

#[test]
fn an_editor_can_ask_and_listen_in_turns() {
    let mut child = lanner()
        .args(["filter", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ask = child.stdin.take().unwrap();
    let mut listen = BufReader::new(child.stdout.take().unwrap());
    for n in 0..3 {
        writeln!(
            ask,
            "{}",
            json!({"id": n, "op": "compile", "expr": "proc.name = x"})
        )
        .unwrap();
        let mut line = String::new();
        listen.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&answer["id"], &answer["ok"]), (&json!(n), &json!(true)));
    }
    drop(ask);
    assert!(child.wait().unwrap().success());
}

#[test]
fn deep_conditions_are_answered() {
    let parentheses = format!("{}proc.name = x{}", "(".repeat(1000), ")".repeat(1000));
    assert_eq!(
        answer(&["filter", "parse", "--json", "--", &parentheses])["canonical"],
        "proc.name = x"
    );
    let levels = 499;
    let nested = format!(
        "{}m{}",
        "not (proc.name = x and ".repeat(levels),
        ")".repeat(levels)
    );
    let nested = nested.replace(" m)", " proc.pid = 1)");
    for (operation, key) in [
        ("parse", "ok"),
        ("compile", "ok"),
        ("eval", "result"),
        ("event-types", "all"),
    ] {
        let output = run(&["filter", operation, "--json", "--", &nested]);
        assert!(output.status.success(), "{operation}: {:?}", output.status);
        assert!(stdout(&output).contains(&format!("\"{key}\":")), "{operation}");
        assert!(
            run(&["filter", operation, &nested]).status.success(),
            "{operation}"
        );
    }
    let deeper = format!("{}m{}", "(".repeat(1001), ")".repeat(1001));
    let refused = answer(&["filter", "parse", "--json", "--", &deeper]);
    assert_eq!(refused["error"], "exceeded max depth limit of 1000");
    let many = format!("m{}", " or m".repeat(20_000));
    let output = run(&["filter", "parse", "--json", "--", &many]);
    assert!(output.status.success());
}

#[test]
fn macros_and_lists_come_from_rules_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("macros.yaml");
    let rules = "- list: shells\n  items: [sh, bash]\n- macro: shell\n  condition: proc.name in (shells)\n- macro: slip\n  condition: proc.nmae = x\n";
    std::fs::write(&path, rules).unwrap();
    let path = path.to_str().unwrap();
    let fields = r#"{"proc.name":"bash","proc.pname":"sh"}"#;
    let eval = |text: &str| {
        answer(&[
            "filter", "eval", "--json", "-r", path, "--fields", fields, "--", text,
        ])
    };
    assert_eq!(eval("shell and proc.pname in (shells)"), json!({"result": true}));
    assert_eq!(eval("not shell"), json!({"result": false}));
    let own = eval("shell and proc.pnam = x");
    assert_eq!(own["pos"]["start"]["idx"], 10);
    assert_eq!(own["pos"]["end"]["idx"], 19);
    let undefined = eval("shel");
    assert_eq!(undefined["hint"], "did you mean 'shell'?");
    let inside = eval("shell and slip");
    assert_eq!(
        (&inside["file"], &inside["pos"]["start"]["line"]),
        (&json!(path), &json!(6))
    );
    let text = stderr(&run(&["filter", "compile", "-r", path, "shell and slip"]));
    assert!(
        text.contains(":6:14: error[") && text.contains("macro 'slip' is used by condition (condition:1:11)"),
        "{text}"
    );
    let lines = br#"{"expr":"shell","fields":{"proc.name":"sh"}}"#.to_vec();
    let answers = batch(&["filter", "eval", "--batch", "-r", path], lines);
    assert_eq!(answers, [json!({"result": true})]);
    let missing = run(&["filter", "compile", "-r", "/nonexistent/rules.yaml", "m"]);
    assert_eq!(missing.status.code(), Some(2));
    std::fs::write(path, "- macro: m\n  condition: a b\n").unwrap();
    let broken = run(&["filter", "compile", "-r", path, "m"]);
    assert_eq!(broken.status.code(), Some(1));
    assert!(stderr(&broken).contains(":2:16: error["), "{}", stderr(&broken));
}
