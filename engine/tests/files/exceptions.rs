//! Exceptions, in every form.

use super::{RULE, given, holds};
use lanner_engine::Settings;

/// What the rule with these exceptions becomes.
fn with(exceptions: &str) -> Vec<String> {
    given(
        &[&format!("{RULE}  exceptions:\n{exceptions}")],
        &Settings::default(),
    )
}

#[test]
fn one_field() {
    let rows = [
        (
            "  - {name: e, fields: proc.name, values: [a, b]}\n",
            "not proc.name in (a, b)",
        ),
        (
            "  - {name: e, fields: proc.name, comps: in, values: [a]}\n",
            "not proc.name in (a)",
        ),
        (
            "  - {name: e, fields: fd.name, comps: pmatch, values: [/etc, /var/log]}\n",
            "not fd.name pmatch (/etc, /var/log)",
        ),
        (
            "  - {name: e, fields: proc.name, comps: intersects, values: [a]}\n",
            "not proc.name intersects (a)",
        ),
        (
            "  - {name: e, fields: proc.name, comps: startswith anyof, values: [a, b]}\n",
            "not proc.name startswith anyof (a, b)",
        ),
        (
            "  - {name: e, fields: proc.name, comps: '!= allof', values: [a, b]}\n",
            "not proc.name != allof (a, b)",
        ),
        (
            "  - {name: e, fields: proc.name, comps: ' in ', values: [a]}\n",
            "not proc.name in (a)",
        ),
        (
            "  - {name: e, fields: proc.name, values: [a b, \"'c d'\"]}\n",
            "not proc.name in (\"a b\", \"c d\")",
        ),
        (
            "  - {name: e, fields: proc.name, values: ['\"\"']}\n",
            "not proc.name in (\"\")",
        ),
        (
            "  - {name: e, fields: tolower(proc.name), values: [a]}\n",
            "not tolower(proc.name) in (a)",
        ),
        (
            "  - {name: e, fields: 'proc.aname[2]', values: [a]}\n",
            "not proc.aname[2] in (a)",
        ),
    ];
    for (exceptions, condition) in rows {
        assert_eq!(
            with(exceptions),
            [format!("R: (evt.type = open and {condition})")],
            "{exceptions}"
        );
    }
}

#[test]
fn several_fields() {
    let rows = [
        (
            "  - {name: e, fields: [proc.name], values: [[a], [b]]}\n",
            "not (proc.name = a or proc.name = b)",
        ),
        (
            "  - {name: e, fields: [proc.name, fd.num], values: [[a, 1]]}\n",
            "not (proc.name = a and fd.num = 1)",
        ),
        (
            "  - {name: e, fields: [proc.name, fd.name], comps: [=, startswith], values: [[a, /x], [b, /y]]}\n",
            "not ((proc.name = a and fd.name startswith /x) or (proc.name = b and fd.name startswith /y))",
        ),
        (
            "  - {name: e, fields: [proc.name, fd.name], comps: [in, pmatch], values: [[[a, b c], /x]]}\n",
            "not (proc.name in (a, \"b c\") and fd.name pmatch (/x))",
        ),
        (
            "  - {name: e, fields: [proc.name, fd.name], comps: [in, endswith oneof], values: [['(a, b)', [x, y]]]}\n",
            "not (proc.name in (a, b) and fd.name endswith oneof (x, y))",
        ),
        (
            "  - {name: e, fields: [proc.cmdline], comps: [contains], values: [[curl 127.0.0.1]]}\n",
            "not proc.cmdline contains \"curl 127.0.0.1\"",
        ),
        (
            "  - {name: e, fields: [proc.name], values: [[toupper(proc.pname)]]}\n",
            "not proc.name = toupper(proc.pname)",
        ),
        (
            "  - {name: e, fields: [proc.name], values: [[val(proc.pname)]]}\n",
            "not proc.name = val(proc.pname)",
        ),
        (
            "  - {name: e, fields: ['tolower( proc.name)'], values: [[test]]}\n",
            "not tolower(proc.name) = test",
        ),
        (
            "  - {name: e, fields: [proc.name], comps: [' = '], values: [[a]]}\n",
            "not proc.name = a",
        ),
    ];
    for (exceptions, condition) in rows {
        assert_eq!(
            with(exceptions),
            [format!("R: (evt.type = open and {condition})")],
            "{exceptions}"
        );
    }
}

#[test]
fn what_surrounds_them() {
    let rule = RULE.replace("evt.type = open", "evt.type = open or evt.type = creat");
    let list = "- list: names\n  items: [a, b c]\n";
    holds(&[
        (
            "the condition stands in parentheses",
            &[&format!(
                "{rule}  exceptions:\n  - {{name: e, fields: proc.name, values: [a]}}\n"
            )],
            &["R: ((evt.type = open or evt.type = creat) and not proc.name in (a))"],
        ),
        (
            "several exceptions",
            &[&format!(
                "{RULE}  exceptions:\n  - {{name: e, fields: proc.name, values: [a]}}\n  - {{name: f, fields: [fd.num], values: [[1]]}}\n"
            )],
            &["R: (evt.type = open and not proc.name in (a) and not fd.num = 1)"],
        ),
        (
            "without values nothing changes",
            &[&format!(
                "{rule}  exceptions:\n  - {{name: e, fields: proc.name}}\n  - {{name: f, fields: fd.num, values: []}}\n"
            )],
            &["R: (evt.type = open or evt.type = creat)"],
        ),
        (
            "none",
            &[&format!("{RULE}  exceptions: []\n")],
            &["R: evt.type = open"],
        ),
        (
            "nothing",
            &[&format!("{RULE}  exceptions:\n")],
            &["R: evt.type = open"],
        ),
        (
            "names of lists are values",
            &[&format!(
                "{list}{RULE}  exceptions:\n  - {{name: e, fields: proc.name, values: [names, z]}}\n  - {{name: f, fields: [proc.pname], comps: [in], values: [[names], ['(names)']]}}\n"
            )],
            &[
                "R: (evt.type = open and not proc.name in (a, \"b c\", z) and not (proc.pname in (a, \"b c\") or proc.pname in (a, \"b c\")))",
            ],
        ),
        (
            "a condition appended later comes inside",
            &[
                &format!("{rule}  exceptions:\n  - {{name: e, fields: proc.name, values: [a]}}\n"),
                "- rule: R\n  condition: or evt.type = connect\n  override: {condition: append}\n",
            ],
            &["R: ((evt.type = open or evt.type = creat or evt.type = connect) and not proc.name in (a))"],
        ),
    ]);
}

#[test]
fn values_that_read_like_more() {
    let one = |value: &str| {
        with(&format!(
            "  - name: e\n    fields: [proc.name]\n    values:\n    - [{value}]\n"
        ))
    };
    assert_eq!(
        one("proc.pname"),
        [
            "LOAD_COMPILE_CONDITION 1:10:8 «proc.pname»",
            "R: (evt.type = open and not proc.name = proc.pname)"
        ]
    );
    assert_eq!(
        one("'proc.pname '"),
        [
            "LOAD_COMPILE_CONDITION 1:10:8 «'proc.pname '»",
            "R: (evt.type = open and not proc.name = \"proc.pname \")"
        ]
    );
    assert_eq!(
        one("toupper( proc.pname)"),
        [
            "LOAD_COMPILE_CONDITION 1:10:8 «toupper( proc.pname)»",
            "R: (evt.type = open and not proc.name = \"toupper( proc.pname)\")"
        ]
    );
}

#[test]
fn what_is_refused() {
    let rows = [
        (
            "no name",
            "  - {fields: proc.name}\n",
            "LOAD_ERR_YAML_VALIDATE 1:7:5 «{»",
        ),
        (
            "an empty name",
            "  - {name: '', fields: proc.name}\n",
            "LOAD_ERR_YAML_VALIDATE 1:7:12 «''»",
        ),
        ("no map", "  - e\n", "LOAD_ERR_YAML_VALIDATE 1:7:5 «e»"),
        (
            "no fields",
            "  - {name: e, values: [a]}\n",
            "LOAD_ERR_YAML_VALIDATE 1:7:12 «e»",
        ),
        (
            "fields of nothing",
            "  - {name: e, fields: , values: [a]}\n",
            "LOAD_ERR_VALIDATE 1:7:15 «fields»",
        ),
        (
            "empty fields",
            "  - {name: e, fields: [], values: []}\n",
            "LOAD_ERR_VALIDATE 1:7:15 «fields»",
        ),
        (
            "an empty field",
            "  - {name: e, fields: '', values: []}\n",
            "LOAD_ERR_YAML_VALIDATE 1:7:15 «fields»",
        ),
        (
            "an unknown field",
            "  - {name: e, fields: proc.nam}\n",
            "LOAD_ERR_VALIDATE 1:7:23 «proc.nam»",
        ),
        (
            "one of several",
            "  - {name: e, fields: [fd.name, proc.nam], values: [[a, b]]}\n",
            "LOAD_ERR_VALIDATE 1:7:33 «proc.nam»",
        ),
        (
            "within a transformer",
            "  - {name: e, fields: 'tolower(proc.nam)', values: [a]}\n",
            "LOAD_ERR_VALIDATE 1:7:32 «proc.nam»",
        ),
        (
            "no field at all",
            "  - {name: e, fields: nothing, values: [a]}\n",
            "LOAD_ERR_VALIDATE 1:7:23 «nothing»",
        ),
        (
            "a comparison of one value with one field",
            "  - {name: e, fields: proc.name, comps: startswith, values: [a]}\n",
            "LOAD_ERR_VALIDATE 1:7:41 «startswith»",
        ),
        (
            "comparisons for one field",
            "  - {name: e, fields: proc.name, comps: [in], values: [a]}\n",
            "LOAD_ERR_VALIDATE 1:7:41 «[in]»",
        ),
        (
            "one comparison for several fields",
            "  - {name: e, fields: [proc.name], comps: in, values: [[a]]}\n",
            "LOAD_ERR_VALIDATE 1:7:43 «in»",
        ),
        (
            "too few comparisons",
            "  - {name: e, fields: [proc.name, fd.name], comps: [=]}\n",
            "LOAD_ERR_VALIDATE 1:7:52 «[=]»",
        ),
        (
            "a comparison that is none",
            "  - {name: e, fields: [proc.name, fd.name], comps: [=, like]}\n",
            "LOAD_ERR_VALIDATE 1:7:56 «like»",
        ),
        (
            "a modifier of an operator that has none",
            "  - {name: e, fields: [fd.num], comps: [< anyof]}\n",
            "LOAD_ERR_VALIDATE 1:7:41 «< anyof»",
        ),
        (
            "too few values",
            "  - {name: e, fields: [proc.name, fd.name], values: [[a]]}\n",
            "LOAD_ERR_VALIDATE 1:7:54 «[a]»",
        ),
        (
            "too many values",
            "  - {name: e, fields: [proc.name], values: [[a, b]]}\n",
            "LOAD_ERR_VALIDATE 1:7:45 «[a, b]»",
        ),
        (
            "values that are no rows",
            "  - {name: e, fields: [proc.name], values: [a]}\n",
            "LOAD_ERR_VALIDATE 1:7:45 «a»",
        ),
        (
            "a row for one field",
            "  - {name: e, fields: proc.name, values: [[a]]}\n",
            "LOAD_ERR_VALIDATE 1:7:43 «[a]»",
        ),
        (
            "values that are one text",
            "  - {name: e, fields: proc.name, values: a}\n",
            "LOAD_ERR_YAML_VALIDATE 1:7:42 «a»",
        ),
        (
            "values of nothing",
            "  - {name: e, fields: proc.name, values: }\n",
            "LOAD_ERR_YAML_VALIDATE 1:7:34 «values»",
        ),
        (
            "an empty value",
            "  - {name: e, fields: proc.name, values: ['']}\n",
            "LOAD_ERR_YAML_VALIDATE 1:7:43 «''»",
        ),
        (
            "a value that is nothing",
            "  - {name: e, fields: [proc.name], values: [[~]]}\n",
            "LOAD_ERR_YAML_VALIDATE 1:7:46 «~»",
        ),
        (
            "a value that is a map",
            "  - {name: e, fields: proc.name, values: [{a: b}]}\n",
            "LOAD_ERR_YAML_VALIDATE 1:7:43 «{a: b}»",
        ),
        (
            "a value of the wrong type",
            "  - {name: e, fields: [fd.num], values: [[x]]}\n",
            "LOAD_ERR_COMPILE_CONDITION 1:7:43 «x»",
        ),
        (
            "a comparison of the wrong type",
            "  - {name: e, fields: [fd.num], comps: [contains], values: [[1]]}\n",
            "LOAD_ERR_COMPILE_CONDITION 1:7:41 «contains»",
        ),
        (
            "a mistake within a value",
            "  - {name: e, fields: [proc.name], values: [[toupper(proc.nam)]]}\n",
            "LOAD_ERR_COMPILE_CONDITION 1:7:54 «proc.nam»",
        ),
    ];
    let mut wrong = String::new();
    for (says, exceptions, expected) in rows {
        let given = with(exceptions);
        if given != [expected] {
            wrong += &format!("\n{says}\n  expected {expected}\n  got {given:?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let rule = format!("{RULE}  exceptions: e\n");
    assert_eq!(
        given(&[&rule], &Settings::default()),
        ["LOAD_ERR_YAML_VALIDATE 1:6:3 «exceptions»"]
    );
}

#[test]
fn names_and_keys() {
    assert_eq!(
        with("  - {name: e, fields: proc.name, values: [a]}\n  - {name: e, fields: fd.num, values: [1]}\n"),
        [
            "LOAD_EXCEPTION_NAME_NOT_UNIQUE 1:8:12 «e»",
            "R: (evt.type = open and not proc.name in (a) and not fd.num in (1))"
        ]
    );
    assert_eq!(
        with("  - {name: e, fields: proc.name, value: [a]}\n"),
        ["LOAD_UNKNOWN_KEY 1:7:34 «value»", "R: evt.type = open"]
    );
}

#[test]
fn appends() {
    let base = format!(
        "{RULE}  exceptions:\n  - {{name: e, fields: proc.name, values: [a]}}\n  - {{name: f, fields: [proc.name, fd.num]}}\n"
    );
    let append = |exceptions: &str| {
        let more = format!("- rule: R\n  exceptions:\n{exceptions}  override: {{exceptions: append}}\n");
        given(&[&base, &more], &Settings::default())
    };
    let replace = |exceptions: &str| {
        let more = format!("- rule: R\n  exceptions:\n{exceptions}  override: {{exceptions: replace}}\n");
        given(&[&base, &more], &Settings::default())
    };
    assert_eq!(
        append("  - {name: e, values: [b]}\n"),
        ["R: (evt.type = open and not proc.name in (a, b))"]
    );
    assert_eq!(
        append("  - {name: f, values: [[x, 1]]}\n"),
        ["R: (evt.type = open and not proc.name in (a) and not (proc.name = x and fd.num = 1))"]
    );
    assert_eq!(
        append("  - {name: g, fields: fd.num, values: [1]}\n"),
        ["R: (evt.type = open and not proc.name in (a) and not fd.num in (1))"]
    );
    assert_eq!(
        append("  - {name: g, values: [1]}\n"),
        ["LOAD_ERR_VALIDATE 2:3:12 «g»"]
    );
    assert_eq!(
        append("  - {name: g, fields: fd.num}\n"),
        ["LOAD_ERR_VALIDATE 2:3:12 «g»", "LOAD_APPEND_NO_VALUES 2:3:12 «g»"]
    );
    assert_eq!(
        append("  - {name: e}\n"),
        [
            "LOAD_APPEND_NO_VALUES 2:3:12 «e»",
            "R: (evt.type = open and not proc.name in (a))"
        ]
    );
    assert_eq!(
        append("  - {name: e, values: []}\n"),
        ["R: (evt.type = open and not proc.name in (a))"]
    );
    assert_eq!(
        append("  - {name: e, value: [b]}\n"),
        [
            "LOAD_APPEND_NO_VALUES 2:3:12 «e»",
            "LOAD_UNKNOWN_KEY 2:3:15 «value»",
            "R: (evt.type = open and not proc.name in (a))"
        ]
    );
    assert_eq!(
        append("  - {name: e, fields: proc.name, values: [b]}\n"),
        ["LOAD_ERR_VALIDATE 2:3:12 «e»"]
    );
    assert_eq!(
        append("  - {name: e, comps: in, values: [b]}\n"),
        ["LOAD_ERR_VALIDATE 2:3:12 «e»"]
    );
    assert_eq!(
        append("  - {values: [b]}\n"),
        ["LOAD_ERR_YAML_VALIDATE 2:3:5 «{»"]
    );
    assert_eq!(
        append("  - {name: f, values: [[x]]}\n"),
        ["LOAD_ERR_VALIDATE 2:3:24 «[x]»"]
    );
    assert_eq!(
        replace("  - {name: h, fields: fd.num, values: [1]}\n"),
        ["R: (evt.type = open and not fd.num in (1))"]
    );
    assert_eq!(
        replace("  - {name: e, values: [1]}\n"),
        ["LOAD_ERR_YAML_VALIDATE 2:3:12 «e»"]
    );
    let older = "- rule: R\n  exceptions:\n  - {name: e, values: [b]}\n  append: true\n";
    assert_eq!(
        given(&[&base, older], &Settings::default()),
        [
            "LOAD_DEPRECATED_ITEM 2:4:11 «true»",
            "R: (evt.type = open and not proc.name in (a, b))"
        ]
    );
}

#[test]
fn rules_of_sources_that_are_not_served() {
    let rule = |exceptions: &str| {
        let text = format!("{RULE}  source: k8s_audit\n  exceptions:\n{exceptions}");
        given(&[&text], &Settings::default())
    };
    let skipped = "LOAD_UNKNOWN_SOURCE 1:6:11 «k8s_audit»";
    assert_eq!(rule("  - {name: e, fields: ka.verb, values: [get]}\n"), [skipped]);
    assert_eq!(
        rule("  - {name: e, fields: [ka.verb], values: [[get, x]]}\n"),
        [skipped]
    );
    assert_eq!(
        rule("  - {name: e, fields: [ka.verb], comps: [like], values: [[get]]}\n"),
        ["LOAD_ERR_VALIDATE 1:8:42 «like»"]
    );
}

#[test]
fn values_of_another_shape_are_one_slip() {
    assert_eq!(
        with("  - {name: e, fields: [proc.name, fd.name], values: [cat, /etc, dog, /var]}\n"),
        ["LOAD_ERR_VALIDATE 1:7:54 «cat»"]
    );
    assert_eq!(
        with("  - {name: e, fields: [proc.name, fd.name], values: [[cat, /etc], [dog], [a, b, c]]}\n"),
        [
            "LOAD_ERR_VALIDATE 1:7:67 «[dog]»",
            "LOAD_ERR_VALIDATE 1:7:74 «[a, b, c]»"
        ]
    );
    assert_eq!(
        with("  - {name: e, fields: proc.name, values: [[cat], [dog]]}\n"),
        ["LOAD_ERR_VALIDATE 1:7:43 «[cat]»"]
    );
}
