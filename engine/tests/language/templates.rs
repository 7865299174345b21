//! Outputs.

use crate::rows::{given, scope};
use crate::support::{container, host};
use lanner_engine::output::Template;
use lanner_engine::{FieldValue, GivenFields};

fn values() -> GivenFields {
    given(&[
        ("proc.name", &"cat"),
        ("proc.pid", &42),
        ("fd.name", &"/etc/shadow"),
        ("fd.num", &-1),
        ("t.text", &"a b"),
        ("t.bool", &true),
        ("t.double", &1.0),
        ("u.double", &2.25),
        ("t.ip", &"10.0.0.1"),
        ("u.ip", &"FD00::0:1"),
        ("t.port", &443),
        ("t.bytes", &b"GET\0\xff\n"),
        ("u.bytes", &b"ok"),
        ("l.text", &["a", "b"]),
        ("l.uint64", &[1, 2]),
        ("l.bool", &[true]),
        ("u.text", &""),
        ("proc.aname", &["bash", "sshd"]),
        ("proc.aname[2]", &"sshd"),
        ("proc.args[0]", &"first"),
        ("proc.env[HOME]", &"/root"),
        ("evt.arg.flags", &"O_RDONLY"),
        ("evt.type", &"open"),
    ])
}

#[track_caller]
fn prints(rows: &[(&str, &str)]) {
    let (values, scope) = (values(), scope());
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(
            |(template, expected)| match Template::compile_in(template, &scope) {
                Ok(compiled) => {
                    let output = values.render(&compiled, &scope).output;
                    (output != *expected).then(|| format!("{template}: {output:?}"))
                }
                Err(error) => Some(format!("{template}: {error}")),
            },
        )
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tokens_are_replaced_by_values() {
    prints(&[
        ("no fields", "no fields"),
        ("", ""),
        ("%proc.name", "cat"),
        ("[%proc.name]", "[cat]"),
        ("%proc.name %fd.name", "cat /etc/shadow"),
        ("%proc.name%fd.name", "cat/etc/shadow"),
        ("%proc.name.", "cat."),
        ("%proc.name,%proc.pid;", "cat,42;"),
        ("file=%fd.name)", "file=/etc/shadow)"),
        ("%proc.aname[2]", "sshd"),
        ("%proc.args[0]!", "first!"),
        ("%proc.env[HOME]/x", "/root/x"),
        ("%evt.arg.flags|", "O_RDONLY|"),
        ("%fd.num", "-1"),
        ("%t.bool", "true"),
        ("%t.double %u.double", "1.0 2.2"),
        ("%t.ip %u.ip %t.port", "10.0.0.1 fd00::1 443"),
        ("%u.bytes", "ok"),
        ("%t.bytes", "GET..."),
        ("%l.text", "(a,b)"),
        ("%l.uint64", "(1,2)"),
        ("%l.bool", "(true)"),
        ("<%u.text>", "<>"),
        ("caf\u{e9} %proc.name \u{2192}", "caf\u{e9} cat \u{2192}"),
        ("\\n %proc.name \"'", "\\n cat \"'"),
    ]);
}

#[test]
fn a_star_goes_on_where_a_value_is_missing() {
    // 35
    prints(&[
        ("*%proc.exepath", "<NA>"),
        ("*%proc.name %proc.exepath %fd.name", "cat <NA> /etc/shadow"),
        ("%proc.name %proc.exepath %fd.name", "cat "),
        ("%proc.exepath %proc.name", ""),
        ("*no fields", "no fields"),
        ("*%m.text|%t.int64|%u.bool", "<NA>|<NA>|<NA>"),
        ("*%toupper(proc.exepath)", "<NA>"),
        ("*%proc.aname[5]", "<NA>"),
        // Present and empty is not missing.
        ("%u.text|%proc.name", "|cat"),
        ("a * b", "a * b"),
    ]);
    let scope = scope();
    let render = |text: &str| values().render(&Template::compile_in(text, &scope).unwrap(), &scope);
    assert!(!render("%proc.name %proc.exepath").complete);
    assert!(render("*%proc.name %proc.exepath").complete);
    assert!(render("%proc.name").complete);
    let fields = render("*%proc.exepath %proc.name").fields;
    assert_eq!(
        fields,
        [
            ("proc.exepath".into(), FieldValue::Missing),
            ("proc.name".into(), FieldValue::Text("cat".into()))
        ]
    );
}

#[test]
fn a_width_pads_and_cuts() {
    // 36
    prints(&[
        ("%2proc.name|", "ca|"),
        ("%3proc.name|", "cat|"),
        ("%5proc.name|", "cat  |"),
        ("%10proc.name|", "cat       |"),
        ("%1fd.name|", "/|"),
        ("%4proc.pid|", "42  |"),
        ("%1proc.pid|", "4|"),
        ("%3u.text|", "   |"),
        ("*%6proc.exepath|", "<NA>  |"),
        ("%6toupper(proc.name)|", "CAT   |"),
        ("%4t.bool|%2t.bool|", "true|tr|"),
    ]);
    // Fields take no notice of it.
    let scope = scope();
    let template = Template::compile_in("%2proc.name %1proc.pid", &scope).unwrap();
    let rendered = values().render(&template, &scope);
    let fields: Vec<String> = rendered
        .fields
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(fields, ["proc.name=cat", "proc.pid=42"]);
}

#[test]
fn the_longest_name_that_is_a_field_counts() {
    // 37
    prints(&[
        ("%proc.nameand", "catand"),
        ("%proc.name_x", "cat_x"),
        ("%proc.pidx", "42x"),
        ("%fd.names", "/etc/shadows"),
        ("%fd.name.x", "/etc/shadow.x"),
        ("%proc.name-%proc.pid", "cat-42"),
        ("%proc.aname[2]x", "sshdx"),
    ]);
}

#[test]
fn transformers_are_tokens() {
    // 37
    prints(&[
        ("%toupper(proc.name)", "CAT"),
        ("%toupper(proc.name)x", "CATx"),
        ("%basename(fd.name)!", "shadow!"),
        ("%len(fd.name)", "11"),
        ("%len(l.text)", "2"),
        ("%toupper(basename(fd.name))", "SHADOW"),
        ("%concat(proc.name, ':', fd.name)", "cat:/etc/shadow"),
        ("%join('-', l.text)", "a-b"),
        ("%toupper(l.text)", "(A,B)"),
    ]);
    let scope = scope();
    let rendered = values().render(
        &Template::compile_in("%toupper(proc.name)", &scope).unwrap(),
        &scope,
    );
    let names: Vec<&str> = rendered.fields.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["proc.name", "toupper(proc.name)"]);
}

#[test]
fn what_is_no_template_is_refused() {
    let scope = scope();
    for (template, part) in [
        ("%", ""),
        ("a % b", ""),
        ("100%", ""),
        ("%%", ""),
        ("%%proc.name", ""),
        ("%(proc.name)", ""),
        ("%5", ""),
        ("% proc.name", ""),
        ("%proc", ""),
        ("%nosuch.field", "nosuch.field"),
        ("%proc.nam", "proc.nam"),
        ("%a_macro", ""),
        ("%evt.arg", ""),
        ("%evt.arg.nosuchparam", ""),
        ("%container.label", ""),
        ("%lower(proc.name)", ""),
        ("%toupper(proc.name", ""),
        ("%toupper(no.such)", ""),
        ("%toupper(proc.name, fd.name)", ""),
        ("%val(proc.name)", ""),
    ] {
        match Template::compile_in(template, &scope) {
            Ok(_) => panic!("{template}: compiles"),
            Err(error) => assert!(error.to_string().contains(part), "{template}: {error}"),
        }
    }
}

#[test]
fn container_info_is_taken_out() {
    // 38
    use lanner_engine::{Code, RulesFile, Settings, load};
    let file = RulesFile {
        name: "rules.yaml".into(),
        text: "- rule: R\n  desc: d\n  condition: evt.type = execve\n  output: a %proc.name %container.info\n  priority: INFO\n"
            .into(),
    };
    let loaded = load(&[file], &Settings::default());
    let codes: Vec<Code> = loaded
        .diagnostics
        .iter()
        .map(|diagnostic| diagnostic.code)
        .collect();
    assert_eq!(codes, [Code::DeprecatedItem]);
    let mut ruleset = loaded.ruleset.unwrap();
    let mut messages = Vec::new();
    host("cat x").starts().view(|event| {
        ruleset.evaluate(event, &mut |alert| {
            messages.push(alert.message.trim_end().to_owned())
        })
    });
    assert_eq!(messages, ["a cat"]);
}

#[test]
fn real_events_print_as_given_values_do() {
    // 39
    let print = |text: &str| {
        let template = Template::compile(text).unwrap();
        let (mut out, mut fields) = (String::new(), Vec::new());
        container("cat x")
            .opens("/x", 0)
            .view(|event| template.render(event, &mut out, &mut fields));
        out
    };
    for (template, expected) in [
        ("*%proc.aname", "bash sshd"),
        ("*%proc.aname[0] %proc.aname[1] %proc.aname[2]", "cat bash sshd"),
        ("*%proc.aname[9]", "<NA>"),
        ("*%proc.apid", "30"),
        ("*%proc.apid[1]", "20"),
        ("*%container.id %container.name", "0123456789ab web"),
        (
            "*%container.image.repository:%container.image.tag",
            "docker.io/library/nginx:1.27",
        ),
        ("*%user.name %user.uid %group.name", "root 0 root"),
        ("*%evt.type %evt.res %evt.rawres", "openat SUCCESS 3"),
        ("*%fd.name %fd.num %fd.type %fd.typechar", "/x 3 file f"),
        ("*%proc.cmdline|%proc.exeline|%proc.args", "cat x|cat x|x"),
        ("*%fd.sip", "<NA>"),
        ("*%evt.time.iso8601", "2023-11-14T22:13:20.000000042+0000"),
        (
            "*%evt.rawtime %evt.rawtime.s %evt.rawtime.ns",
            "1700000000000000042 1700000000 000000042",
        ),
    ] {
        assert_eq!(print(template), expected, "{template}");
    }
}
