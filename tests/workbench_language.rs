//! What the language means, statement by statement, asked of the binary as a person or an editor would ask it.

// Failing to set up is failing the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// Sends requests as lines and gives their answers.
fn ask(requests: &[Value]) -> Vec<Value> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lanner"))
        .args(["filter", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = requests.iter().map(|request| format!("{request}\n")).collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let answers: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), requests.len());
    answers
}

fn parse(text: &str) -> Value {
    json!({"op": "parse", "expr": text})
}

#[track_caller]
fn accepted(texts: &[&str]) {
    for (text, answer) in texts
        .iter()
        .zip(ask(&texts.iter().map(|t| parse(t)).collect::<Vec<_>>()))
    {
        assert_eq!(answer["ok"], true, "{text}: {answer}");
    }
}

#[track_caller]
fn refused(texts: &[&str]) {
    for (text, answer) in texts
        .iter()
        .zip(ask(&texts.iter().map(|t| parse(t)).collect::<Vec<_>>()))
    {
        assert_eq!(answer["ok"], false, "{text}: {answer}");
        assert!(answer["error"].is_string(), "{text}: {answer}");
    }
}

#[track_caller]
fn canonical(texts: &[(&str, &str)]) {
    let requests: Vec<Value> = texts.iter().map(|(text, _)| parse(text)).collect();
    for ((text, expected), answer) in texts.iter().zip(ask(&requests)) {
        assert_eq!(answer["canonical"], *expected, "{text}");
    }
}

/// Fields of every type, with a value.
fn request(text: &str, more: &Value) -> Value {
    let mut fields = json!({
        "v.text": "Hello", "v.path": "/srv/data/a.log", "v.bytes": {"hex": "00ff10"}, "v.signed": -3,
        "v.unsigned": 8, "v.double": 2.5, "v.bool": true, "v.list": ["a", "b"], "v.other": ["b", "a", "c"],
        "v.numbers": [1, 2], "v.ip": "192.0.2.7", "v.net": "192.0.2.7", "v.port": 443, "v.uid": 0,
        "v.encoded": "SGVsbG8", "v.odd": {"hex": "61ff7a"}
    });
    let fields = fields.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    json!({
        "op": "eval",
        "expr": text,
        "fields": fields,
        "types": {
            "v.text": "CHARBUF", "v.path": "FSPATH", "v.bytes": "BYTEBUF", "v.signed": "INT64",
            "v.unsigned": "UINT64", "v.double": "DOUBLE", "v.bool": "BOOL", "v.list": "LIST(CHARBUF)",
            "v.other": "CHARBUF[]", "v.numbers": {"type": "UINT32", "list": true}, "v.ip": "IPADDR", "v.net": "IPNET",
            "v.port": "PORT", "v.uid": "UID", "v.encoded": "CHARBUF", "v.odd": "CHARBUF", "v.missing": "CHARBUF"
        }
    })
}

#[track_caller]
fn table_with(fields: &Value, cases: &[(&str, bool)]) {
    let requests: Vec<Value> = cases.iter().map(|(text, _)| request(text, fields)).collect();
    for ((text, expected), answer) in cases.iter().zip(ask(&requests)) {
        assert_eq!(answer, json!({ "result": expected }), "{text}");
    }
}

#[track_caller]
fn table(cases: &[(&str, bool)]) {
    table_with(&json!({}), cases);
}

#[track_caller]
fn wrong(texts: &[&str]) {
    let requests: Vec<Value> = texts.iter().map(|text| request(text, &json!({}))).collect();
    for (text, answer) in texts.iter().zip(ask(&requests)) {
        assert!(
            answer["error"].is_string() && answer.get("result").is_none(),
            "{text}: {answer}"
        );
    }
}

// Statements 1 to 10: the grammar.

#[test]
fn strings_and_their_escapes() {
    table_with(
        &json!({"v.text": "say \\'yes\\'"}),
        &[
            (r"v.text = 'say \\'yes\\''", true),
            (r"v.text = 'say \'yes\''", false),
        ],
    );
    table(&[
        (r#"v.text = "\x48ello""#, true),
        (r#"v.bytes = "\x00\xff\x10""#, true),
    ]);
    accepted(&[
        r#"a.b = "kept \ ""#,
        r#"a.b = "\b\f\n\r\t\\\/""#,
        "a.b = ''",
        "a.b = \"it's\"",
    ]);
    refused(&[
        r#"a.b = "\x4""#,
        r#"a.b = "\xzz""#,
        r#"a.b = "\w""#,
        r#"a.b = "\'""#,
        "a.b = 'open",
        r#"a.b = "x\\""#,
    ]);
    wrong(&[r#"v.text = "a\x00""#]);
}

#[test]
fn words_need_room() {
    accepted(&[
        "x and(y)or(z)",
        "not(x)",
        "notx and orx or andx",
        "a.b existsor m",
        "a.b = not",
        "a.b = and",
        "a.b in(x)",
    ]);
    refused(&[
        "x andy",
        "xand y",
        "(x)andy",
        "x ornot(y)",
        "x not y",
        "and x",
        "x or",
        "a.b existsm",
        "a.b globx",
        "X AND Y.",
    ]);
}

#[test]
fn bare_strings_and_arguments() {
    accepted(&[
        "f.name = *.so",
        "evt.dir = <",
        "f.name = /a:b;c!{}[]|%$@",
        "a.b[x/y] = 1",
        "a.b['x y'] = 1",
        r#"a.b[""] = 1"#,
    ]);
    refused(&[
        "a.b = x=",
        "a.b = x,",
        "a.b = x'y'",
        "a.b[] = 1",
        "a.b[x y] = 1",
        "a.b[x]] = 1",
        "a.b[[x] = 1",
        "a.b[x = 1",
    ]);
    canonical(&[
        (r#"a.b[""] = 1"#, r#"a.b[""] = 1"#),
        ("a.b['c'] = 1", "a.b[c] = 1"),
    ]);
}

#[test]
fn transformers_have_a_place() {
    accepted(&[
        "tolower( a.b ) = x",
        "a.b = val(c.d)",
        "a.b = toupper(b64(c.d))",
        "a.b = c.d",
        "a.b = b64 or(m)",
        "a.b in val(c.d)",
    ]);
    refused(&[
        "tolower (a.b) = x",
        "lower(a.b) = x",
        "val(a.b) = x",
        "a.b = val(val(c.d))",
        "a.b = tolower(val(c.d))",
        "a.b = val(tolower(c.d))",
        "a.b in (tolower(c.d))",
        "tolower(m) = x",
        "a.b = (tolower(c.d))",
    ]);
}

#[test]
fn modifiers_are_words_elsewhere() {
    accepted(&[
        "a.b = oneof (x)",
        "a.b glob anyof list",
        "a.b = allof",
        "a.b = oneof or m",
        "(a.b = anyof)",
    ]);
    refused(&[
        "a.b in oneof (x)",
        "a.b < anyof (1)",
        "a.b pmatch allof (x)",
        "a.b intersects anyof (x)",
        "a.b = AnyOf (x)",
        "a.b = oneof(x)",
    ]);
    table_with(
        &json!({"v.text": "oneof"}),
        &[
            ("v.text = oneof", true),
            ("(v.text = oneof) and v.text != anyof", true),
        ],
    );
}

#[test]
fn orders_take_numbers() {
    accepted(&[
        "a.b < 1",
        "a.b >= -1.5",
        "a.b > 0xFF",
        "a.b <= +2e+3",
        "a.b = 0xzz",
        "a.b < val(c.d)",
    ]);
    refused(&["a.b < x", "a.b > '1'", "a.b <= 0xg", "a.b > 1x"]);
}

#[test]
fn canonical_text_is_falcos() {
    canonical(&[
        ("x and y and z", "(x and y and z)"),
        ("x and (y or z)", "(x and (y or z))"),
        ("x or y and z", "(x or (y and z))"),
        ("not not not x", "not x"),
        ("not (not x)", "x"),
        ("not (x or y)", "not (x or y)"),
        ("a.b == 'x'", "a.b = x"),
        ("a.b = 'x y'", "a.b = \"x y\""),
        ("a.b = 'x\"y'", "a.b = \"x\\\"y\""),
        ("a.b in ( 'x' , \"y z\" )", "a.b in (x, \"y z\")"),
        ("join( ', ' , (a.b, c.d) ) = x", "join(, ,(a.b,c.d)) = x"),
        ("getopt(a.b, 'x:')[x] = 1", "getopt(a.b,x:)[x] = 1"),
        ("a.b != allof (x,y)", "a.b != allof (x, y)"),
    ]);
    let at = |text: &str| ask(&[parse(text)])[0]["end_pos"].clone();
    assert_eq!(at("x and y  "), json!({"idx": 9, "line": 1, "col": 10}));
    assert_eq!(at("x and\n\n y"), json!({"idx": 9, "line": 3, "col": 3}));
}

// Statements 11 to 24: comparisons.

#[test]
fn modifiers_count_the_elements_of_the_right_side() {
    for operator in ["=", "!=", "contains", "glob"] {
        for modifier in ["oneof", "anyof", "allof"] {
            table(&[(&format!("v.text {operator} {modifier} ()"), false)]);
        }
    }
    table(&[
        ("v.text = oneof (Hello, Bye)", true),
        ("v.text = oneof (Hello, Hello)", false),
        ("v.text = anyof (Hello, Hello)", true),
        ("v.text = allof (Hello, Hello)", true),
        ("v.text != oneof (Hello, Bye)", true),
        ("v.text != oneof (Bye, Ciao)", false),
        ("v.text != anyof (Hello, Bye)", true),
        ("v.text != anyof (Hello)", false),
        ("v.text != allof (Bye, Ciao)", true),
        ("v.text contains oneof (He, lo)", false),
        ("v.text contains allof (He, lo)", true),
        ("v.text iglob oneof (h*, b*)", true),
        ("v.text regex anyof (H.*, b)", true),
        ("tolower(v.text) = anyof (hello)", true),
    ]);
}

#[test]
fn lists_are_compared_by_their_elements() {
    table(&[
        ("v.list in (a, b, c)", true),
        ("v.list in (a)", false),
        ("v.list intersects (b, x)", true),
        ("v.list in ()", false),
        ("v.list in val(v.other)", true),
        ("v.other in val(v.list)", false),
        ("v.other intersects val(v.list)", true),
        ("v.numbers in (1, 2)", true),
        ("v.numbers intersects (3)", false),
        ("v.text in (Hello)", true),
        ("v.text intersects (Hello)", true),
        ("v.text in val(v.text)", true),
    ]);
    wrong(&[
        "v.list = a",
        "v.list contains a",
        "v.list pmatch (a)",
        "v.text in val(v.list)",
        "v.list in val(v.text)",
        "v.list in val(v.numbers)",
    ]);
}

#[test]
fn sockets_match_at_either_end() {
    let ends =
        json!({"fd.ip": ["192.0.2.7", "2001:db8::1"], "fd.port": [443, 50000], "fd.net": ["192.0.2.7"]});
    table_with(
        &ends,
        &[
            ("fd.ip = 192.0.2.7 and fd.ip = 2001:db8::1", true),
            ("fd.ip != 192.0.2.7", false),
            ("fd.ip != 198.51.100.1", true),
            ("fd.ip in (198.51.100.1, 2001:db8::1)", true),
            ("fd.port = https and fd.port > 40000", true),
            ("fd.port != 443", false),
            ("fd.net = 192.0.2.0/24", true),
            ("fd.net in (10.0.0.0/8, 192.0.0.0/8)", true),
            ("fd.net != 2001:db8::/32", true),
        ],
    );
    table(&[
        ("v.ip = ::1", false),
        ("v.ip != ::1", true),
        ("v.net = oneof (192.0.0.0/8, 192.0.2.0/24)", false),
    ]);
    wrong(&[
        "v.ip = 192.0.2",
        "v.ip > 1",
        "v.net = 192.0.2.0",
        "v.net = 192.0.2.0/33",
        "fd.sip = val(fd.ip)",
        "fd.ip = val(fd.sip)",
        "v.net = val(v.net)",
        "v.port = nosuchservice",
    ]);
}

#[test]
fn both_sides_have_one_type() {
    table(&[
        ("v.text = val(v.text)", true),
        ("v.text != val(v.path)", true),
        ("v.text startswith val(v.text)", true),
        ("v.text = val(v.missing)", false),
    ]);
    wrong(&[
        "v.text = val(v.signed)",
        "v.signed = val(v.unsigned)",
        "v.text regex val(v.text)",
        "v.path pmatch val(v.path)",
        "evt.type = val(v.text)",
    ]);
}

#[test]
fn patterns_and_bytes_that_are_not_utf8() {
    table(&[
        ("v.odd regex a.z", true),
        ("v.odd regex a", false),
        ("v.odd glob a?z", true),
        ("v.odd contains \"\\xff\"", true),
        ("v.odd = \"a\\xffz\"", true),
        ("v.odd contains \"\\xfe\"", false),
        ("len(v.odd) = 3", true),
        ("v.text regex Hell", false),
        ("v.text regex '[[:upper:]].*'", true),
        ("v.text glob '[A-Z]e*'", true),
        ("v.path glob /srv/*", true),
        ("v.bytes bcontains FF10", true),
        ("v.bytes bstartswith 00ff", true),
        ("v.bytes contains \"\\xff\"", true),
    ]);
    wrong(&[
        "v.text bcontains 00",
        "v.bytes bcontains 0",
        "v.bytes bcontains 0g",
        "v.bytes glob x",
        "v.text regex '('",
        r#"v.text regex "\\d""#,
    ]);
    let compile = |text: &str| {
        ask(&[json!({"op": "compile", "expr": text})])[0]["warnings"]
            .as_array()
            .unwrap()
            .len()
    };
    for trivial in ["^sshd$", ".*x", "x.+", ".?x"] {
        assert_eq!(compile(&format!("proc.name regex '{trivial}'")), 1, "{trivial}");
    }
    assert_eq!(compile("proc.name regex 'a[bc]*d'"), 0);
}

#[test]
fn values_have_limits() {
    let (fits, too_long) = ("x".repeat(256), "x".repeat(257));
    table_with(
        &json!({"v.text": fits.as_str()}),
        &[(&format!("v.text = {fits}"), true)],
    );
    wrong(&[&format!("v.text = {too_long}"), &format!("v.bytes = {too_long}")]);
    wrong(&[
        "v.signed = 1.5",
        "v.double > 1.5",
        "v.signed = 0x10",
        "v.signed = x",
        "v.bool = yes",
        "v.port = 65536",
        "v.uid = 0",
        "v.bool > 1",
    ]);
    table(&[
        ("v.double > 2 and v.double < 3 and v.double != 2", true),
        ("v.signed < 0 and v.signed = -3", true),
        ("v.unsigned in (7, 8)", true),
        ("v.text > 1 and v.text < 9", false),
        ("v.bool = true and v.bool in (true, false)", true),
        ("v.uid exists", true),
        ("v.port = https", true),
    ]);
    table_with(&json!({"v.unsigned": u64::MAX}), &[("v.unsigned = -1", true)]);
}

#[test]
fn paths_match_by_component() {
    table(&[
        ("v.path pmatch (/srv)", true),
        ("v.path pmatch (/sr)", false),
        ("v.path pmatch (/x, /srv/data)", true),
        ("v.path pmatch (/srv/*/a.log)", true),
        ("v.path pmatch (/srv/*/*/*)", false),
        ("v.path pmatch (/srv/d[!a]ta)", false),
        ("v.path pmatch (//srv//data/)", true),
        ("v.path pmatch ()", false),
    ]);
}

#[test]
fn what_is_missing_passes_no_check() {
    for check in [
        "= x",
        "!= x",
        "in (x)",
        "contains ''",
        "glob *",
        "pmatch (/)",
        "exists",
        "!= allof (x)",
    ] {
        table(&[
            (&format!("v.missing {check}"), false),
            (&format!("not v.missing {check}"), true),
        ]);
    }
}

#[test]
fn transformers_change_values() {
    table(&[
        ("toupper(v.text) = HELLO", true),
        ("tolower(toupper(v.text)) = hello", true),
        ("b64(v.encoded) = Hello", true),
        ("toupper(v.list) in (A, B)", true),
        ("toupper(v.list) intersects (a)", false),
        ("b64(v.path) exists", false),
        ("basename(v.path) = a.log", true),
        (
            "len(v.text) = 5 and len(v.list) = 2 and len(v.numbers) = 2 and len(v.bytes) = 3",
            true,
        ),
        ("len(v.missing) = 0", false),
        ("join('+', v.list) = a+b", true),
        ("join(', ', (v.text, 'x')) = 'Hello, x'", true),
        ("concat(v.text, '-', basename(v.path)) = Hello-a.log", true),
        ("concat(v.text, v.missing) exists", false),
    ]);
    for (path, name) in [("/", ""), ("/srv/", ""), ("srv", "srv"), ("", "")] {
        table_with(
            &json!({"v.path": path}),
            &[(&format!("basename(v.path) = '{name}'"), true)],
        );
    }
    wrong(&[
        "toupper(v.signed) = 1",
        "toupper(v.list) = A",
        "toupper(v.text, v.text) = x",
        "len(v.signed) = 1",
        "join(',') = x",
        "join(',', v.text) = x",
        "join(v.list, v.list) = x",
        "concat(v.text) = x",
        "concat(v.text, v.signed) = x",
        "toupper(evt.rawarg.res) = 1",
        "tolower(evt.type) = open",
    ]);
}

#[test]
fn options_of_command_lines() {
    let command = json!({"proc.args": ["-v", "-o", "a b", "--long", "-ofile", "-x", "end", "-z"]});
    table_with(
        &command,
        &[
            ("getopt(proc.args, 'vo:')[v] = v", true),
            ("getopt(proc.args, 'vo:')[o] = file", true),
            ("getopt(proc.args, 'vo:')[z] exists", false),
            ("getopt(proc.args, 'vo:') intersects ('?')", true),
            ("getopt(proc.args, 'vo:x') in (v, o, 'a b', file, x)", true),
            ("proc.args contains 'a b'", true),
        ],
    );
    table_with(
        &json!({"v.list": ["-o"]}),
        &[("getopt(v.list, 'o:')[o] = ''", true)],
    );
    table_with(
        &json!({"v.list": ["--", "-o", "1"]}),
        &[("getopt(v.list, 'o:')[o] exists", false)],
    );
    wrong(&[
        "getopt(v.list) = x",
        "getopt(v.list, 'o:')[oo] = x",
        "getopt(v.list, 'o:')[\"\"] = x",
        "getopt(v.text, 'o:')[o] = x",
    ]);
}

// Statements 25 and 26: event types.

#[test]
fn event_types_are_an_algebra() {
    let types = |text: &str| {
        let answer = &ask(&[json!({"op": "event-types", "expr": text})])[0];
        let list = |key: &str| {
            answer[key]
                .as_array()
                .unwrap_or_else(|| panic!("{text}: {answer}"))
                .len()
        };
        (answer["all"].as_bool().unwrap(), list("types"), list("except"))
    };
    let (none, every) = ((false, 0, 0), (true, 0, 0));
    for (text, expected) in [
        ("evt.type in ()", none),
        ("evt.type exists", every),
        ("not evt.type exists", none),
        ("proc.name = x", every),
        ("not proc.name = x", every),
        ("evt.type = open and evt.type = close", none),
        ("evt.type = open or not evt.type = open", every),
        ("evt.type != open or evt.type != close", every),
        ("evt.type != open and evt.type != close", (true, 0, 2)),
        ("not (evt.type = open and proc.name = x)", every),
        ("not (evt.type = open or proc.name = x)", (true, 0, 1)),
        ("evt.type = open and (proc.name = x or m)", (false, 1, 0)),
        ("evt.num = 0", none),
        ("evt.num <= 0 or evt.num in (0)", none),
        ("not evt.num > 0", none),
        ("evt.num >= 1", every),
        ("evt.num = -1", every),
        ("evt.num < 0x1", every),
        ("evt.num < 0.5", every),
        ("len(evt.num) = 0", every),
    ] {
        assert_eq!(types(text), expected, "{text}");
    }
}

// Statements 35 to 38: outputs.

#[test]
fn outputs_are_formatted() {
    let fields = json!({"proc.name": "nginx", "thread.tid": 12, "evt.arg.path": "/srv"});
    let cases = [
        ("p=%proc.name", "p=nginx", true, json!({"proc.name": "nginx"})),
        (
            "%3proc.name|%8proc.name|",
            "ngi|nginx   |",
            true,
            json!({"proc.name": "nginx"}),
        ),
        (
            "%proc.namex%thread.tid0",
            "nginxx120",
            true,
            json!({"proc.name": "nginx", "thread.tid": 12}),
        ),
        (
            "%proc.name %fd.name!",
            "nginx ",
            false,
            json!({"proc.name": "nginx"}),
        ),
        (
            "*%proc.name %fd.name!",
            "nginx <NA>!",
            true,
            json!({"proc.name": "nginx", "fd.name": null}),
        ),
        (
            "%4toupper(proc.name)",
            "NGIN",
            true,
            json!({"proc.name": "nginx", "toupper(proc.name)": "NGINX"}),
        ),
        (
            "%concat(toupper(proc.name), evt.arg.path)",
            "NGINX/srv",
            true,
            json!({"proc.name": "nginx", "evt.arg.path": "/srv", "toupper(proc.name)": "NGINX",
                   "concat(toupper(proc.name),evt.arg.path)": "NGINX/srv"}),
        ),
        ("a%container.info b", "a b", true, json!({})),
    ];
    let requests: Vec<Value> = cases
        .iter()
        .map(|case| json!({"op": "format", "template": case.0, "fields": fields}))
        .collect();
    for ((template, output, complete, values), answer) in cases.iter().zip(ask(&requests)) {
        assert_eq!(
            answer,
            json!({"output": output, "complete": complete, "fields": values}),
            "{template}"
        );
    }
    let mistakes = [
        "%",
        "%x",
        "100% sure",
        "%no.such",
        "%lower(proc.name)",
        "%val(proc.name)",
        "%toupper(proc.name",
        "%toupper(thread.tid)",
        "%(proc.name)",
    ];
    let requests: Vec<Value> = mistakes
        .iter()
        .map(|text| json!({"op": "format", "template": text}))
        .collect();
    for (text, answer) in mistakes.iter().zip(ask(&requests)) {
        assert!(answer["error"].is_string(), "{text}: {answer}");
    }
}
