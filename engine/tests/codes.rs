//! Every error and warning code: what raises it, and that the caret stands under the right text however that is written.

#![allow(clippy::unwrap_used, clippy::panic)]

use lanner_engine::field::{ArgForm, EVERY_SOURCE, Extract, Field, FieldClass, Flags};
use lanner_engine::value::FieldType;
use lanner_engine::{Code, Diagnostic, EventSource, RulesFile, SYSCALL, Settings, Severity, load_for};

/// Every code of Falco.
const FALCO: [&str; 22] = [
    "LOAD_ERR_FILE_READ",
    "LOAD_ERR_YAML_PARSE",
    "LOAD_ERR_YAML_VALIDATE",
    "LOAD_ERR_COMPILE_CONDITION",
    "LOAD_ERR_COMPILE_OUTPUT",
    "LOAD_ERR_VALIDATE",
    "LOAD_ERR_EXTENSION",
    "LOAD_UNKNOWN_SOURCE",
    "LOAD_UNSAFE_NA_CHECK",
    "LOAD_NO_EVTTYPE",
    "LOAD_UNKNOWN_FILTER",
    "LOAD_UNUSED_MACRO",
    "LOAD_UNUSED_LIST",
    "LOAD_UNKNOWN_ITEM",
    "LOAD_DEPRECATED_ITEM",
    "LOAD_WARNING_EXTENSION",
    "LOAD_APPEND_NO_VALUES",
    "LOAD_EXCEPTION_NAME_NOT_UNIQUE",
    "LOAD_INVALID_MACRO_NAME",
    "LOAD_INVALID_LIST_NAME",
    "LOAD_COMPILE_CONDITION",
    "LOAD_UNKNOWN_KEY",
];

/// Falco's codes that nothing raises, and why.
const NEVER: [(&str, &str); 1] = [(
    "LOAD_ERR_EXTENSION",
    "it is for readers of rules other than YAML, which neither Falco nor Lanner has",
)];

/// A source beside `syscall` whose field has the text `<NA>` for a missing value, as those of audit logs do.
static AUDIT: EventSource = EventSource::new(
    "audit",
    "an audit log",
    &[
        EVERY_SOURCE,
        FieldClass {
            name: "audit",
            scope: "",
            doc: "an entry of the log",
            plugin: "",
            fields: &[Field {
                name: "audit.verb",
                ty: FieldType::CharBuf,
                arg: ArgForm::None,
                list: false,
                flags: Flags {
                    unsafe_na: true,
                    ..Flags::NONE
                },
                doc: "What was done.",
                extract: Extract::Unfilled,
            }],
        },
    ],
    &["pluginevent"],
    |_| false,
);

/// How something is written, the file, where the caret is, and the text it stands under.
type Case<'a> = (&'a str, &'a str, &'a str, &'a str);

/// Loads `before.yaml`, which has what cases refer to, and the case as `rules.yaml`.
fn raises(code: Code, cases: &[Case<'_>]) {
    let before = "- list: before
  items: [open]
- macro: is_before
  condition: evt.type in (before)
- rule: Before
  desc: d
  condition: is_before
  output: o
  priority: INFO
  exceptions:
  - {name: e, fields: proc.name}
";
    let file = |name: &str, text: &str| RulesFile {
        name: name.into(),
        text: text.into(),
    };
    for (how, text, place, under) in cases {
        let files = [file("before.yaml", before), file("rules.yaml", text)];
        let loaded = load_for(&[&SYSCALL, &AUDIT], &files, &Settings::default());
        let said: Vec<&Diagnostic> = loaded.diagnostics.iter().filter(|d| d.code == code).collect();
        let [one] = said[..] else {
            panic!("{how}: {:#?}", loaded.diagnostics)
        };
        assert_eq!(one.severity, code.severity(), "{how}");
        assert_eq!(loaded.ruleset.is_none(), one.is_error(), "{how}: {one}");
        let (line, column) = (one.line, one.column);
        assert_eq!(
            format!("{}:{line}:{column}", one.file),
            format!("rules.yaml:{place}"),
            "{how}: {one}"
        );
        let shown = one.snippet.as_ref().map(|snippet| {
            let text = snippet.text.chars().skip(snippet.caret).take(snippet.width);
            text.collect::<String>()
        });
        assert_eq!(shown.as_deref(), Some(*under), "{how}: {one}");
        // The offset is the byte of that line and column.
        let start: usize = text.split('\n').take(line - 1).map(|line| line.len() + 1).sum();
        let before: usize = text[start..].chars().take(column - 1).map(char::len_utf8).sum();
        assert_eq!(one.offset, start + before, "{how}");
    }
}

macro_rules! codes {
    ($( $name:ident $code:ident [$($case:expr,)*] )*) => {
        $( #[test] fn $name() { raises(Code::$code, &[$($case),*]); } )*
        const COVERED: &[Code] = &[$(Code::$code),*];
    };
}

/// A rule with this condition, which begins in line 3 and column 14.
macro_rules! rule {
    ($condition:literal) => {
        concat!(
            "- rule: R\n  desc: d\n  condition: ",
            $condition,
            "\n  output: o\n  priority: INFO\n"
        )
    };
    ($condition:literal, $more:literal) => {
        concat!(rule!($condition), "  ", $more, "\n")
    };
}

codes! {
    yaml_parse YamlParse [
        ("a bracket that is never closed", "- list: l\n  items: [a\n- list: m\n", "3:7", ":"),
        ("a quote that is never closed", "- rule: \"R\n", "1:9", "\""),
        ("a colon in plain text", "- rule: R\n  desc: a: b\n", "2:10", ":"),
        ("after text of several bytes", "# é\n- rule: é: b\n", "2:10", ":"),
    ]
    yaml_validate YamlValidate [
        ("a key that is missing", "- macro: m\n", "1:10", "m"),
        ("a value of the wrong kind", "- list: l\n  items: a\n", "2:3", "items"),
        ("an item that is no map", "- list: l\n  items: [open]\n- x\n", "3:3", "x"),
        ("a priority that is none", rule!("is_before", "priority: HIGH"), "6:13", "HIGH"),
        ("an override of nothing", "- rule: Before\n  override: {tags: replace}\n", "2:14", "tags"),
        ("an exception without fields", rule!("is_before", "exceptions: [{name: x, values: [a]}]"), "6:23", "x"),
        ("a version that is none", "- required_engine_version: new\n", "1:28", "new"),
    ]
    compile_condition CompileCondition [
        ("plain", rule!("evt.type = open and fd.nam = 1"), "3:34", "fd.nam"),
        ("in single quotes", rule!("'evt.type = open and proc.name = ''é'' and fd.nam = 1'"), "3:57", "fd.nam"),
        ("in double quotes", rule!("\"evt.type = open and proc.name = \\\"\\u00e9\\\" and fd.nam = 1\""), "3:62", "fd.nam"),
        ("folded", rule!(">\n    evt.type = open\n\n    and (fd.num = 1\n      or fd.nam = 1)"), "7:10", "fd.nam"),
        ("literal", rule!("|-\n    evt.type = open and\n    fd.nam = 1"), "5:5", "fd.nam"),
        ("over several lines", rule!("evt.type = open\n    and fd.nam = 1"), "4:9", "fd.nam"),
        ("with carriage returns", "- rule: R\r\n  desc: d\r\n  condition: >\r\n    evt.type = open\r\n    and fd.nam = 1\r\n  output: o\r\n  priority: INFO\r\n", "5:9", "fd.nam"),
        ("after an anchor", rule!("&c evt.type = open and fd.nam = 1"), "3:37", "fd.nam"),
        ("after a tag", rule!("!!str evt.type = open and fd.nam = 1"), "3:40", "fd.nam"),
        ("with an indentation of its own", rule!(">2\n      evt.type = open\n    and fd.nam = 1"), "5:9", "fd.nam"),
        ("in a macro", "- macro: m\n  condition: is_before and fd.nam = 1\n- rule: R\n  desc: d\n  condition: m\n  output: o\n  priority: INFO\n", "2:28", "fd.nam"),
        ("in what is appended to a rule", "- rule: Before\n  condition: >\n    and fd.nam = 1\n  override: {condition: append}\n", "3:9", "fd.nam"),
        ("in what is appended to a macro", "- macro: is_before\n  condition: and fd.nam = 1\n  override: {condition: append}\n", "2:18", "fd.nam"),
        ("in an item of a list", "- list: before\n  items:\n  - creat\n  - opne\n  override: {items: append}\n", "4:5", "opne"),
        ("in a value of an exception", "- rule: Before\n  exceptions:\n  - name: n\n    fields: [fd.num]\n    values: [[1], [x]]\n  override: {exceptions: append}\n", "5:20", "x"),
        ("in a comparison of an exception", "- rule: Before\n  exceptions:\n  - name: n\n    fields: [fd.num]\n    comps: [contains]\n    values: [[1]]\n  override: {exceptions: append}\n", "5:13", "contains"),
        ("a condition with an exception", rule!("evt.type = open and fd.nam = 1", "exceptions: [{name: x, fields: fd.num, values: [1]}]"), "3:34", "fd.nam"),
        ("a mistake of syntax", rule!("evt.type = open and (fd.num = 1"), "3:34", "("),
        ("a value of the wrong type", rule!("evt.type = open and fd.num in (1, two)"), "3:48", "two"),
        ("an expression that does not compile", rule!("evt.type = open and proc.name regex '(a'"), "3:50", "'(a'"),
    ]
    compile_output CompileOutput [
        ("plain", "- rule: R\n  desc: d\n  condition: is_before\n  output: by %proc.nam here\n  priority: INFO\n", "4:14", "%proc.nam"),
        ("folded", "- rule: R\n  desc: d\n  condition: is_before\n  output: >\n    by %proc.name\n    in %fd.nam\n  priority: INFO\n", "6:8", "%fd.nam"),
        ("in double quotes", "- rule: R\n  desc: d\n  condition: is_before\n  output: \"\\\"%fd.nam\\\"\"\n  priority: INFO\n", "4:14", "%fd.nam"),
        ("appended", "- rule: Before\n  output: in %fd.nam\n  override: {output: append}\n", "2:14", "%fd.nam"),
        ("a lone %", "- rule: Before\n  output: 100 %\n  override: {output: replace}\n", "2:15", "%"),
    ]
    validate Validate [
        ("a macro there is not", rule!("is_before and is_after"), "3:28", "is_after"),
        ("in a folded condition", rule!(">-\n    is_before\n    and is_after"), "5:9", "is_after"),
        ("an append to nothing", "- list: after\n  items: [a]\n  override: {items: append}\n", "1:9", "after"),
        ("an engine that is newer", "- required_engine_version: 0.999.0\n", "1:28", "0.999.0"),
        ("a plugin there is not", "- required_plugin_versions:\n  - {name: json, version: 0.1.0}\n", "2:5", "{"),
        ("an exception's field there is not", rule!("is_before", "exceptions: [{name: x, fields: 'tolower(fd.nam)'}]"), "6:43", "fd.nam"),
        ("a comparison there is not", rule!("is_before", "exceptions: [{name: x, fields: [fd.name], comps: [like]}]"), "6:53", "like"),
        ("a row that is too short", rule!("is_before", "exceptions: [{name: x, fields: [fd.name, fd.num], values: [[a]]}]"), "6:62", "[a]"),
        ("another source", "- rule: Before\n  desc: d\n  condition: is_before\n  output: o\n  priority: INFO\n  source: audit\n", "6:11", "audit"),
        ("a loop", "- macro: m\n  condition: is_before\n- macro: is_before\n  condition: m\n", "2:14", "is_before"),
    ]
    unknown_source UnknownSource [
        ("a source that is not served", rule!("is_before", "source: k8s_audit"), "6:11", "k8s_audit"),
    ]
    unsafe_na_check UnsafeNaCheck [
        ("equal", rule!("audit.verb = <NA>", "source: audit"), "3:27", "<NA>"),
        ("not equal", rule!("'audit.verb != \"<NA>\"'", "source: audit"), "3:29", "\"<NA>\""),
        ("in a list", rule!("audit.verb in (get, <NA>)", "source: audit"), "3:34", "<NA>"),
        ("intersects", rule!("audit.verb intersects (<NA>)", "source: audit"), "3:37", "<NA>"),
        ("pmatch", rule!("audit.verb pmatch (<NA>)", "source: audit"), "3:33", "<NA>"),
        ("in a transformer", rule!("tolower(audit.verb) = <NA>", "source: audit"), "3:36", "<NA>"),
    ]
    no_event_type NoEventType [
        ("a condition without one", rule!("proc.name = cat"), "3:14", "p"),
        ("folded", rule!(">\n    not evt.type = open"), "4:5", "n"),
    ]
    unknown_filter UnknownFilter [
        ("a field of the condition", rule!("is_before and fd.nam = 1", "skip-if-unknown-filter: true"), "3:28", "fd.nam"),
        ("an event type", rule!("evt.type = opne", "skip-if-unknown-filter: true"), "3:25", "opne"),
        ("a field of the output", "- rule: R\n  desc: d\n  condition: is_before\n  output: by %proc.nam\n  priority: INFO\n  skip-if-unknown-filter: true\n", "4:14", "%proc.nam"),
    ]
    unused_macro UnusedMacro [
        ("a macro nothing names", "- macro: 'alone'\n  condition: evt.type = open\n", "1:10", "'alone'"),
    ]
    unused_list UnusedList [
        ("a list nothing names", "- items: [a]\n  list: alone\n", "2:9", "alone"),
    ]
    unknown_item UnknownItem [
        ("a kind there is not", "- rules: []\n", "1:3", "rules"),
    ]
    deprecated_item DeprecatedItem [
        ("the older append", "- rule: Before\n  condition: and fd.num = 1\n  append: true\n", "3:11", "true"),
        ("a bare enabled", "- rule: Before\n  enabled: false\n", "2:12", "false"),
        ("a field of a condition", rule!("is_before and evt.dir = <"), "3:28", "evt.dir"),
        ("a field of an exception", rule!("is_before", "exceptions: [{name: x, fields: evt.dir, values: [<]}]"), "6:34", "evt.dir"),
        ("a field of an output", "- rule: R\n  desc: d\n  condition: is_before\n  output: took %evt.latency.human\n  priority: INFO\n", "4:17", "evt.latency.human"),
        ("%container.info", "- rule: R\n  desc: d\n  condition: is_before\n  output: in %container.info\n  priority: INFO\n", "4:14", "%container.info"),
    ]
    warning_extension Extension [
        ("a key twice", rule!("is_before", "desc: e"), "6:3", "desc"),
        ("a name twice", "- rule: R\n  desc: d\n  condition: is_before\n  output: o\n  priority: INFO\n- rule: R\n  desc: d\n  condition: is_before\n  output: o\n  priority: INFO\n", "6:9", "R"),
        ("an output without its %", "- rule: R\n  desc: d\n  condition: is_before\n  output: by xproc.name, proc.name\n  priority: INFO\n", "4:26", "proc.name"),
    ]
    append_no_values AppendNoValues [
        ("an append without values", "- rule: Before\n  exceptions:\n  - name: e\n  override: {exceptions: append}\n", "3:11", "e"),
    ]
    exception_name_not_unique ExceptionNameNotUnique [
        ("two of one name", rule!("is_before", "exceptions: [{name: x, fields: fd.num}, {name: x, fields: fd.name}]"), "6:50", "x"),
    ]
    invalid_macro_name InvalidMacroName [
        ("a hyphen", "- macro: a-b\n  condition: evt.type = open\n", "1:10", "a-b"),
    ]
    invalid_list_name InvalidListName [
        ("a blank", "- list: a b\n  items: [c]\n", "1:9", "a b"),
    ]
    condition_warning ConditionWarning [
        ("an expression that says no more than an operator", rule!("is_before and proc.name regex 'a.*'"), "3:44", "'a.*'"),
        ("a value that is a field", rule!("is_before and proc.name = proc.pname"), "3:40", "proc.pname"),
        ("a value that is a transformer", rule!("is_before and proc.name = \"toupper(proc.pname)\""), "3:40", "\"toupper(proc.pname)\""),
        ("in an item of a list", "- list: before\n  items: [creat]\n- list: names\n  items: [proc.pname]\n- rule: R\n  desc: d\n  condition: is_before and proc.name in (names)\n  output: o\n  priority: INFO\n", "4:11", "proc.pname"),
        ("nearly a list's name", "- list: known_names\n  items: [a]\n- rule: R\n  desc: d\n  condition: is_before and proc.name in (know_names) and proc.pname in (known_names)\n  output: o\n  priority: INFO\n", "5:42", "know_names"),
    ]
    unknown_key UnknownKey [
        ("of a rule", rule!("is_before", "severity: high"), "6:3", "severity"),
        ("of another kind of item", "- list: before\n  items: [creat]\n  priority: INFO\n", "3:3", "priority"),
        ("of an exception", rule!("is_before", "exceptions: [{name: x, fields: fd.num, value: [1]}]"), "6:42", "value"),
    ]
}

#[test]
fn unreadable_files_have_their_code_too() {
    let whole = Diagnostic::unreadable(
        "/etc/rules.yaml",
        "cannot read the rules: permission denied",
        None,
    );
    assert_eq!(
        whole.to_string(),
        "/etc/rules.yaml: error[LOAD_ERR_FILE_READ]: cannot read the rules: permission denied"
    );
    let inside = Diagnostic::unreadable("rules.yaml", "the file is not UTF-8 here", Some((2, 4, 9)));
    assert_eq!(
        inside.to_string(),
        "rules.yaml:2:4: error[LOAD_ERR_FILE_READ]: the file is not UTF-8 here"
    );
    assert!(whole.is_error() && inside.offset == 9);
}

#[test]
fn no_code_is_left_out() {
    let never: Vec<&str> = NEVER.iter().map(|(code, _)| *code).collect();
    for code in FALCO {
        let raised = Code::ALL.iter().any(|known| known.as_str() == code);
        assert_ne!(raised, never.contains(&code), "{code}");
    }
    for code in Code::ALL {
        assert!(FALCO.contains(&code.as_str()), "{code} is no code of Falco's");
        let is_error = code.as_str().starts_with("LOAD_ERR_");
        assert_eq!(code.severity() == Severity::Error, is_error, "{code}");
        assert_eq!(code.description() == code.title(), is_error, "{code}");
        // Who opens the files raises this one.
        let elsewhere = *code == Code::FileRead;
        assert_ne!(COVERED.contains(code), elsewhere, "{code} has no case here");
    }
}

#[test]
fn deprecated_fields_are_named() {
    let text = "- rule: R
  desc: d
  condition: evt.type = open and evt.dir = < and evt.latency >= 0
  output: '%evt.latency.ns %container.info'
  priority: INFO
";
    let file = RulesFile {
        name: "rules.yaml".into(),
        text: text.into(),
    };
    let loaded = lanner_engine::load(&[file], &Settings::default());
    let named: Vec<&str> = loaded
        .diagnostics
        .iter()
        .filter_map(|d| d.deprecated_field.as_deref())
        .collect();
    assert_eq!(
        named,
        ["evt.dir", "evt.latency", "evt.latency.ns", "container.info"]
    );
    assert!(loaded.diagnostics.iter().all(|d| d.code == Code::DeprecatedItem));
}
