//! Outputs, by example.

use lanner_schema::alert::FieldValue;

use super::Template;
use super::template::Part;
use crate::scope::Scope;
use crate::testing::Happening;

fn shadow() -> Happening {
    Happening::openat(b"/etc/shadow", 0, 3)
}

fn text(happening: &Happening, template: &str) -> String {
    let template = Template::compile(template).unwrap_or_else(|error| panic!("{template}: {error}"));
    let mut out = String::new();
    happening.view(|view| template.render(view, &mut out, &mut Vec::new()));
    out
}

fn values(happening: &Happening, template: &str) -> Vec<(String, FieldValue)> {
    let template = Template::compile(template).unwrap_or_else(|error| panic!("{template}: {error}"));
    let mut values = Vec::new();
    happening.view(|view| template.render(view, &mut String::new(), &mut values));
    values
        .into_iter()
        .map(|(key, value)| (key.to_string(), value))
        .collect()
}

#[test]
fn a_value_that_is_shared_with_its_key_prints_as_it_does_alone() {
    let happenings = [
        shadow(),
        shadow().contained(),
        Happening::connect(("10.0.0.1", 40000), ("1.1.1.1", 443)),
        Happening::execve(),
    ];
    for field in crate::field::all() {
        for text in [format!("%{}", field.name), format!("a %9{} b", field.name)] {
            // Fields that need an argument do not compile.
            let Ok(mut template) = Template::compile(&text) else {
                continue;
            };
            let print = |template: &Template| {
                happenings.each_ref().map(|happening| {
                    let mut out = String::new();
                    happening.view(|view| template.render(view, &mut out, &mut Vec::new()));
                    out
                })
            };
            let shared = print(&template);
            for part in &mut template.parts {
                if let Part::Value { key, .. } = part {
                    *key = None;
                }
            }
            assert_eq!(shared, print(&template), "{text}");
        }
    }
}

#[test]
fn fields_are_replaced() {
    for (template, expected) in [
        ("", ""),
        ("plain", "plain"),
        ("*%proc.name opened %fd.name.", "cat opened /etc/shadow."),
        ("%proc.nameand", "catand"),
        ("%proc.name.", "cat."),
        ("%proc.name%proc.pid", "cat30"),
        ("(user=%user.name)", "(user=root)"),
        ("%proc.aname[2]|%proc.aname", "sshd|bash sshd systemd"),
        ("%proc.apid %proc.aenv[NAME]", "30 bash"),
        ("%evt.arg.flags %evt.arg[0]", "O_RDONLY <f>/etc/shadow"),
        ("%evt.arg.namex", "/etc/shadowx"),
        ("%2proc.name|%5proc.name|", "ca|cat  |"),
        (
            "%toupper(proc.name) %len(proc.name) %basename(proc.exepath)",
            "CAT 3 cat",
        ),
        ("%concat(proc.name, '-', proc.pname)!", "cat-bash!"),
        ("%getopt(proc.args, 'nx')", "(n)"),
        ("*%k8s.pod.name %container.id", "<NA> host"),
        ("%evt.failed %evt.rawtime.ns %fd.dev", "false 000000042 100801"),
        ("%evt.time.iso8601", "2023-11-14T22:13:20.000000042+0000"),
        ("%fd.ip", "<NA>"),
    ] {
        assert_eq!(text(&shadow(), template), expected, "{template}");
    }
    let connect = Happening::connect(("10.0.0.1", 40000), ("1.1.1.1", 443));
    assert_eq!(text(&connect, "%fd.rip:%fd.rport %fd.l4proto"), "1.1.1.1:443 tcp");
    assert_eq!(text(&Happening::openat(b"/\xff", 0, 3), "%fd.name"), "/\u{fffd}");
}

#[test]
fn mistakes_are_refused_where_they_are() {
    for (template, span, part) in [
        ("a %nope.field b", 2..13, "unknown filter: nope.field"),
        ("%proc.nmae", 0..10, "unknown filter: proc.nmae"),
        ("100%", 3..4, "invalid formatting token"),
        ("50% of", 2..3, "invalid formatting token"),
        ("%(proc.name)", 0..1, "invalid formatting token"),
        ("%tolower(proc.nmae)", 0..8, "proc.nmae"),
        ("%k8s.pod.label", 0..14, "needs an argument"),
    ] {
        let error = Template::compile(template).expect_err(template);
        assert!(error.to_string().contains(part), "{template}: {error}");
        assert_eq!(error.span(), span, "{template}");
    }
    assert!(Template::compile("%proc.nmae").unwrap_err().is_unknown_name());
    assert!(!Template::compile("100%").unwrap_err().is_unknown_name());
    assert_eq!(
        Template::compile("%proc.nmae").unwrap_err().hint().as_deref(),
        Some("did you mean proc.name?")
    );
}

#[test]
fn values_are_typed_and_sorted() {
    let found = values(
        &shadow(),
        "%proc.pid %proc.name %5proc.name %evt.failed %k8s.pod.name %toupper(proc.exe) %evt.time %fd.dev %proc.aname[1]",
    );
    let text = |text: &str| FieldValue::Text(text.into());
    assert_eq!(
        found,
        [
            ("evt.failed", FieldValue::Bool(false)),
            ("evt.time", FieldValue::U64(1_700_000_000_000_000_042)),
            ("fd.dev", text("100801")),
            ("k8s.pod.name", FieldValue::Missing),
            ("proc.aname[1]", text("bash")),
            ("proc.exe", text("cat")),
            ("proc.name", text("cat")),
            ("proc.pid", FieldValue::I64(30)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
    );
}

#[test]
fn without_a_star_a_missing_value_leaves_the_output_incomplete() {
    let complete = |template: &str| {
        let template = Template::compile(template).unwrap();
        shadow().view(|view| template.alone(view, &Scope::default()).complete)
    };
    assert!(complete("%proc.name"));
    assert!(!complete("%k8s.pod.name"));
    assert!(complete("*%k8s.pod.name"));
}

#[test]
fn what_two_processes_differ_in_has_no_value_where_it_may_have_been_either() {
    let mut happening = shadow();
    let mut other = happening.machine.processes[&30].clone();
    other.image = std::sync::Arc::new(other.image.renamed(b"nginx"));
    happening.machine.otherwise.push(other);
    let template = "%proc.name %toupper(proc.name) %proc.pname %proc.exepath %fd.name";
    assert_eq!(
        text(&happening, template),
        "<NA> <NA> bash /usr/bin/cat /etc/shadow"
    );
}
