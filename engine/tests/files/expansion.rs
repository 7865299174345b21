//! Lists and macros put into conditions.

use super::{RULE, holds, rule};

#[test]
fn lists() {
    let shells = "- list: shells\n  items: [bash, my sh, \"'q r'\", \"\\\"s t\\\"\"]\n";
    let in_rule = |condition: &str| format!("{shells}{}", rule(condition));
    holds(&[
        (
            "an item with a blank is put in quotes unless it has some",
            &[&in_rule("evt.type = open and proc.name in (shells)")],
            &["R: (evt.type = open and proc.name in (bash, \"my sh\", \"q r\", \"s t\"))"],
        ),
        (
            "beside other values",
            &[&in_rule("evt.type = open and proc.name in (a, shells,b)")],
            &["R: (evt.type = open and proc.name in (a, bash, \"my sh\", \"q r\", \"s t\", b))"],
        ),
        (
            "after any operator that takes a list",
            &[&in_rule("evt.type = open and proc.name = anyof (shells)")],
            &["R: (evt.type = open and proc.name = anyof (bash, \"my sh\", \"q r\", \"s t\"))"],
        ),
        (
            "a part of a word is no name",
            &[&in_rule(
                "evt.type = open and proc.name in (shells, my_shells, shells2)",
            )],
            &[
                "R: (evt.type = open and proc.name in (bash, \"my sh\", \"q r\", \"s t\", my_shells, shells2))",
            ],
        ),
        (
            "a list of one after an equal sign",
            &[&format!(
                "- list: one\n  items: [cat]\n{}",
                rule("evt.type=open and proc.name=one")
            )],
            &["R: (evt.type = open and proc.name = cat)"],
        ),
        (
            "a list used before it is defined",
            &[&format!(
                "{}{shells}",
                rule("evt.type = open and proc.name in (shells)")
            )],
            &["R: (evt.type = open and proc.name in (bash, \"my sh\", \"q r\", \"s t\"))"],
        ),
        (
            "a list in a macro",
            &[&format!(
                "{shells}- macro: m\n  condition: proc.name in (shells)\n{}",
                rule("evt.type = open and m")
            )],
            &["R: (evt.type = open and proc.name in (bash, \"my sh\", \"q r\", \"s t\"))"],
        ),
        (
            "an empty list",
            &[&format!(
                "- list: none\n  items: []\n{}",
                rule("evt.type = open and proc.name in (none)")
            )],
            &["R: (evt.type = open and proc.name in ())"],
        ),
        (
            "an empty list takes a comma with it",
            &[&format!(
                "- list: none\n  items: []\n{}",
                rule("evt.type = open and proc.name in (a, none, b) and proc.pname in (none, c)")
            )],
            &["R: (evt.type = open and proc.name in (a, b) and proc.pname in (c))"],
        ),
    ]);
}

#[test]
fn nested_lists() {
    let nested = "- list: a\n  items: [x]\n- list: b\n  items: [a, y]\n- list: c\n  items: [b, z]\n";
    holds(&[
        (
            "a list in a list",
            &[&format!(
                "{nested}{}",
                rule("evt.type = open and proc.name in (b)")
            )],
            &[
                "LOAD_UNUSED_LIST 1:5:9 «c»",
                "R: (evt.type = open and proc.name in (x, y))",
            ],
        ),
        (
            "in a list",
            &[&format!(
                "{nested}{}",
                rule("evt.type = open and proc.name in (c)")
            )],
            &["R: (evt.type = open and proc.name in (x, y, z))"],
        ),
        (
            "a list that comes later",
            &[&format!(
                "- list: b\n  items: [a, y]\n- list: a\n  items: [x]\n{}",
                rule("evt.type = open and proc.name in (b)")
            )],
            &["R: (evt.type = open and proc.name in (x, y))"],
        ),
        (
            "items appended to the inner list",
            &[
                &format!("{nested}{}", rule("evt.type = open and proc.name in (c)")),
                "- list: a\n  items: [w]\n  override: {items: append}\n",
            ],
            &["R: (evt.type = open and proc.name in (x, w, y, z))"],
        ),
        (
            "a list that only another list names is used",
            &[&format!(
                "- list: a\n  items: [x]\n- list: b\n  items: [a]\n{RULE}"
            )],
            &["LOAD_UNUSED_LIST 1:3:9 «b»", "R: evt.type = open"],
        ),
    ]);
}

#[test]
fn macros() {
    holds(&[
        (
            "a macro in a macro",
            &[
                "- macro: a\n  condition: evt.type = open\n- macro: b\n  condition: a and fd.num = 1\n",
                &rule("b and proc.name = x"),
            ],
            &["R: ((evt.type = open and fd.num = 1) and proc.name = x)"],
        ),
        (
            "its condition stands for itself",
            &[
                "- macro: a\n  condition: evt.type = open or evt.type = creat\n",
                &rule("a and not a"),
            ],
            &["R: ((evt.type = open or evt.type = creat) and not (evt.type = open or evt.type = creat))"],
        ),
        (
            "a rule sees macros that come later",
            &[&format!(
                "{}- macro: late\n  condition: evt.type = open\n",
                rule("late")
            )],
            &["R: evt.type = open"],
        ),
        (
            "a macro does not",
            &[&format!(
                "- macro: a\n  condition: late\n- macro: late\n  condition: evt.type = open\n{}",
                rule("a")
            )],
            &["LOAD_ERR_VALIDATE 1:2:14 «late»"],
        ),
        (
            "unless it is appended to after them",
            &[&format!(
                "- macro: a\n  condition: evt.type = open\n- macro: late\n  condition: fd.num = 1\n- macro: a\n  condition: and late\n  override: {{condition: append}}\n{}",
                rule("a")
            )],
            &["R: (evt.type = open and fd.num = 1)"],
        ),
        (
            "a loop",
            &[
                "- macro: a\n  condition: evt.type = open\n- macro: b\n  condition: a\n",
                "- macro: a\n  condition: b\n",
            ],
            &["LOAD_ERR_VALIDATE 1:4:14 «a»"],
        ),
        (
            "a macro of itself",
            &["- macro: a\n  condition: a and evt.type = open\n"],
            &["LOAD_ERR_VALIDATE 1:2:14 «a»"],
        ),
        (
            "a macro there is not",
            &[&rule("evt.type = open and no_such")],
            &["LOAD_ERR_VALIDATE 1:3:34 «no_such»"],
        ),
        (
            "all of them are said",
            &[&rule("one or two")],
            &["LOAD_ERR_VALIDATE 1:3:14 «one»", "LOAD_ERR_VALIDATE 1:3:21 «two»"],
        ),
    ]);
}

#[test]
fn what_nothing_uses() {
    holds(&[
        (
            "a macro",
            &["- macro: m\n  condition: evt.type = open\n"],
            &["LOAD_UNUSED_MACRO 1:1:10 «m»"],
        ),
        (
            "a list",
            &["- list: l\n  items: [a]\n"],
            &["LOAD_UNUSED_LIST 1:1:9 «l»"],
        ),
        (
            "a macro only another unused one names is used",
            &["- macro: a\n  condition: evt.type = open\n- macro: b\n  condition: a\n"],
            &["LOAD_UNUSED_MACRO 1:3:10 «b»"],
        ),
        (
            "a list a macro uses is used",
            &["- list: l\n  items: [a]\n- macro: m\n  condition: proc.name in (l)\n"],
            &["LOAD_UNUSED_MACRO 1:3:10 «m»"],
        ),
        (
            "what a disabled rule uses is used",
            &[
                "- macro: m\n  condition: evt.type = open\n",
                &format!("{}  enabled: false\n", rule("m")),
            ],
            &["R: evt.type = open (off)"],
        ),
        (
            "nothing is said of it when there are errors",
            &["- macro: m\n  condition: evt.type = open\n- rule: R\n"],
            &["LOAD_ERR_YAML_VALIDATE 1:3:9 «R»"; 4],
        ),
    ]);
}
