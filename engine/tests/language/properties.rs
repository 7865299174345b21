//! Properties of any condition: what is printed parses to the same, and values given by hand are judged as an event's are.

use crate::support::{Built, container, host};
use lanner_engine::condition::{
    Check, Expr, FieldName, Literal, Modifier, Operand, Operator, Right, Scratch, Span, Test, Transform,
    TransformArg, Transformer, compile_in, parse,
};
use lanner_engine::field::FieldRef;
use lanner_engine::output::Template;
use lanner_engine::value::Value;
use lanner_engine::{GivenFields, Input, Scope};
use lanner_schema::view::EventView;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Trees that no text made have no places.
const NOWHERE: Span = Span {
    origin: 0,
    start: 0,
    end: 0,
};

fn name() -> impl Strategy<Value = String> {
    "m[a-zA-Z0-9_]{0,5}"
}

fn field() -> impl Strategy<Value = FieldName> {
    let arg = prop_oneof![
        4 => Just(None),
        1 => "[a-z0-9/*.=,()-]{0,5}".prop_map(Some),
        1 => ".{0,5}".prop_map(Some),
    ];
    (vec(name(), 2..4), arg).prop_map(|(names, arg)| FieldName {
        name: names.join("."),
        arg,
        span: NOWHERE,
    })
}

/// Any bytes, and those that are hard to print.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..6),
        vec(select(b"\\\"' \t\n\x08=,()a\xff\0".to_vec()), 0..6),
        select(vec![
            "oneof", "anyof", "allof", "and", "or", "not", "exists", "val(a.b)", "<NA>", "5"
        ])
        .prop_map(|word| word.as_bytes().to_vec()),
        "[a-z/*.<>-]{1,6}".prop_map(String::into_bytes),
    ]
}

fn literal() -> impl Strategy<Value = Literal> {
    bytes().prop_map(|bytes| Literal {
        bytes,
        quoted: true,
        span: NOWHERE,
    })
}

fn number() -> impl Strategy<Value = Literal> {
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        "[+-]?[0-9]{1,3}\\.?[0-9]{0,3}(e[+-][0-9])?",
        "0x[0-9a-f]{1,4}",
    ]
    .prop_map(|text| Literal {
        bytes: text.into_bytes(),
        quoted: false,
        span: NOWHERE,
    })
}

fn transform() -> impl Strategy<Value = Transform> {
    let plain = prop_oneof![
        2 => field().prop_map(TransformArg::Field),
        1 => literal().prop_map(TransformArg::Literal),
    ];
    let leaf = prop_oneof![
        4 => plain.clone(),
        1 => vec(plain, 0..3).prop_map(|items| TransformArg::List(items, NOWHERE)),
    ];
    let call = |args: BoxedStrategy<TransformArg>| {
        let names = select(Transformer::ALL.to_vec());
        (names, vec(args, 1..4), proptest::option::of("[a-z?]")).prop_map(|(name, args, selector)| {
            Transform {
                name,
                args,
                selector: selector.filter(|_| name == Transformer::Getopt),
                span: NOWHERE,
            }
        })
    };
    let nested = leaf.prop_recursive(3, 12, 3, move |inner| {
        call(inner).prop_map(TransformArg::Transform)
    });
    let names = select(Transformer::ALL.to_vec());
    (names, vec(nested, 1..4)).prop_map(|(name, args)| Transform {
        name,
        args,
        selector: None,
        span: NOWHERE,
    })
}

fn test() -> impl Strategy<Value = Test> {
    let operators = |wanted: fn(Operator) -> bool| {
        let operators = Operator::ALL.iter().copied().filter(|op| wanted(*op));
        select(operators.collect::<Vec<_>>())
    };
    let compare = |op: Operator, modifier: Option<Modifier>, right: Right| Test::Compare {
        op,
        modifier,
        right,
        op_span: NOWHERE,
    };
    let operand = || {
        prop_oneof![
            field().prop_map(|field| Operand::Val(field, NOWHERE)),
            transform().prop_map(Operand::Transform),
        ]
        .prop_map(Right::Operand)
    };
    let list = || vec(literal(), 0..4).prop_map(|items| Right::List(items, NOWHERE));
    prop_oneof![
        Just(Test::Exists),
        (
            operators(|op| !op.takes_list() && !op.is_order()),
            literal().prop_map(Right::Literal)
        )
            .prop_map(move |(op, right)| compare(op, None, right)),
        (operators(Operator::is_order), number().prop_map(Right::Literal))
            .prop_map(move |(op, right)| compare(op, None, right)),
        (operators(Operator::takes_list), list()).prop_map(move |(op, right)| compare(op, None, right)),
        (
            operators(Operator::takes_modifier),
            select(Modifier::ALL.to_vec()),
            list()
        )
            .prop_map(move |(op, modifier, right)| compare(op, Some(modifier), right)),
        (operators(|_| true), operand()).prop_map(move |(op, right)| compare(op, None, right)),
    ]
}

fn expr() -> impl Strategy<Value = Expr> {
    let left = prop_oneof![
        4 => field().prop_map(Operand::Field),
        1 => transform().prop_map(Operand::Transform),
    ];
    let check = (left, test()).prop_map(|(left, test)| {
        Expr::Check(Box::new(Check {
            left,
            test,
            span: NOWHERE,
        }))
    });
    let leaf = prop_oneof![
        4 => check,
        1 => name().prop_map(|name| Expr::Macro { name, span: NOWHERE }),
    ];
    leaf.prop_recursive(5, 30, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(|parts| Expr::And(parts, NOWHERE)),
            vec(inner.clone(), 2..4).prop_map(|parts| Expr::Or(parts, NOWHERE)),
            inner.prop_map(|part| match part {
                // A run of nots is one or none.
                Expr::Not(..) => part,
                part => Expr::Not(Box::new(part), NOWHERE),
            }),
        ]
    })
}

/// The tree as text, without places and quotes.
fn tree(expr: &Expr) -> String {
    let text = format!("{expr:?}");
    let (mut out, mut rest) = (String::new(), text.as_str());
    while let Some(at) = rest.find("Span {") {
        out.push_str(&rest[..at]);
        let end = rest[at..].find('}').unwrap();
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    out.replace("quoted: true", "").replace("quoted: false", "")
}

/// Fields, and constants that they may have.
const FIELDS: &[(&str, &[&str])] = &[
    ("proc.name", &["cat", "sh", "ca", "''"]),
    ("proc.pname", &["bash", "sshd"]),
    ("proc.exepath", &["/usr/bin/cat", "/usr/bin"]),
    ("proc.cmdline", &["'cat /etc/shadow'", "cat"]),
    ("proc.aname[2]", &["sshd", "bash"]),
    ("proc.aname[9]", &["sshd"]),
    ("proc.cwd", &["/root/", "/root"]),
    ("fd.name", &["/etc/shadow", "/etc", "10.0.0.9"]),
    ("fd.directory", &["/etc", "/"]),
    ("fd.type", &["file", "ipv4"]),
    ("fd.l4proto", &["tcp", "udp"]),
    ("evt.type", &["openat", "execve", "connect"]),
    ("evt.res", &["SUCCESS", "EACCES"]),
    ("evt.arg.flags", &["O_RDONLY", "O_CREAT"]),
    ("container.id", &["host", "0123456789ab"]),
    ("container.image.repository", &["docker.io/library/nginx"]),
    ("k8s.ns.name", &["shop"]),
    ("user.name", &["root"]),
];
const NUMBERS: &[&str] = &[
    "fd.num",
    "evt.rawres",
    "proc.pid",
    "proc.ppid",
    "proc.tty",
    "user.uid",
    "proc.apid[1]",
    "proc.duration",
    "fd.sport",
    "evt.num",
];
const OTHERS: &[&str] = &[
    "fd.ip = 203.0.113.7",
    "fd.ip != 10.0.0.9",
    "fd.net = 10.0.0.0/8",
    "fd.snet in (203.0.113.0/24)",
    "fd.port in (443, 80)",
    "fd.port != 40000",
    "fd.cip = 10.0.0.9",
    "proc.aname = sshd",
    "proc.aname != bash",
    "proc.aname in (sh, zsh)",
    "proc.aname startswith s",
    "proc.apid > 15",
    "proc.apid = 30",
    "evt.is_open_read = true",
    "evt.is_open_write != true",
    "evt.failed = false",
    "len(fd.name) > 8",
    "toupper(proc.name) = CAT",
    "basename(fd.name) in (shadow, x)",
    "concat(proc.name, fd.name) endswith shadow",
    "proc.name = val(proc.pname)",
    "proc.name != val(fd.name)",
    "getopt(proc.args, 'n')[n] exists",
];

fn check() -> impl Strategy<Value = String> {
    let text = (
        select(FIELDS),
        select(vec![
            "=",
            "!=",
            "in",
            "contains",
            "icontains",
            "startswith",
            "endswith",
            "glob",
            "regex",
            "pmatch",
            "exists",
        ]),
        any::<proptest::sample::Index>(),
        select(vec!["", "anyof", "allof", "oneof"]),
    )
        .prop_map(|((field, constants), op, index, modifier)| {
            let constant = index.get(constants);
            match (op, field) {
                ("exists", _) => format!("{field} exists"),
                // Its constants are names of events, all of them.
                (_, "evt.type") => format!("evt.type in ({constant}, rename)"),
                ("in" | "pmatch", _) => format!("{field} {op} ({constant}, x)"),
                _ if modifier.is_empty() => format!("{field} {op} {constant}"),
                _ => format!("{field} {op} {modifier} ({constant}, s)"),
            }
        });
    let number = (
        select(NUMBERS),
        select(vec!["=", "!=", "<", "<=", ">", ">="]),
        select(vec!["0", "1", "3", "20", "30", "443"]),
    )
        .prop_map(|(field, op, number)| format!("{field} {op} {number}"));
    prop_oneof![
        3 => text,
        2 => number,
        2 => select(OTHERS).prop_map(ToOwned::to_owned),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    check().prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" and "))),
            vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|part| format!("not ({part})")),
        ]
    })
}

fn events() -> Vec<Built> {
    vec![
        host("cat /etc/shadow").opens("/etc/shadow", 0),
        host("cat /etc/shadow").opens_as("/etc/shadow", 0, -13),
        container("sh -n x").opens("/etc/x", 0o101),
        container("cat").on_terminal().starts(),
        container("curl x").connects("203.0.113.7", 443, 0),
        host("ssh x").connects("2001:db8::7", 22, -115),
    ]
}

fn input(value: Value<'_>) -> Input {
    match value {
        Value::Bool(value) => Input::Bool(value),
        Value::I64(value) => Input::Integer(value.into()),
        Value::U64(value) => Input::Integer(value.into()),
        Value::F64(value) => Input::Fraction(value),
        Value::Bytes(bytes) => Input::Bytes(bytes.to_vec()),
        Value::Ip(ip) => Input::Text(ip.to_string()),
    }
}

/// The event's values of these fields, as if somebody had written them down.
fn written_down(event: &EventView<'_>, fields: &[FieldRef]) -> GivenFields {
    let mut given = GivenFields::default();
    for field in fields {
        let mut values = Vec::new();
        if field.is_many() {
            field.each(event, &mut |value| {
                values.push(input(value));
                false
            });
        } else {
            values.extend(field.get(event, &mut Vec::new()).map(input));
        }
        let value = match (field.is_many(), values.len()) {
            (_, 0) => continue,
            (true, _) => Input::List(values),
            (false, _) => values.remove(0),
        };
        given.insert(field, &value).unwrap();
    }
    given
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_of_any_tree_parses_to_it(expr in expr()) {
        let printed = format!("{expr:#}");
        let again = parse(&printed).map_err(|error| TestCaseError::fail(format!("{printed}: {error}")))?;
        prop_assert_eq!(tree(&expr), tree(&again), "{}", printed);
        prop_assert_eq!(expr.to_string(), again.to_string(), "{}", printed);
    }

    #[test]
    fn given_values_are_judged_as_an_events_are(text in condition()) {
        let expr = parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        let real = Scope::default();
        let by_hand = Scope::default().given([]);
        let program = compile_in(&expr, &real)
            .map_err(|errors| TestCaseError::fail(format!("{text}: {}", errors[0])))?;
        let given_program = compile_in(&expr, &by_hand).unwrap();
        for built in events() {
            built.view(|event| {
                let given = written_down(event, program.fields());
                prop_assert_eq!(
                    program.matches(event, &mut Scratch::new()),
                    given.satisfy(&given_program),
                    "{} on {:?}", text, event
                );
                Ok(())
            })?;
        }
    }
}

#[test]
fn given_values_are_printed_as_an_events_are() {
    let fields = FIELDS
        .iter()
        .map(|(field, _)| *field)
        .chain(NUMBERS.iter().copied());
    let more = [
        "proc.aname",
        "fd.cip",
        "fd.rport",
        "evt.failed",
        "evt.rawtime",
        "proc.env",
    ];
    let by_hand = Scope::default().given([]);
    for field in fields.chain(more) {
        for text in [format!("*<%{field}>"), format!("*%7{field}|")] {
            let template = Template::compile(&text).unwrap();
            let given_template = Template::compile_in(&text, &by_hand).unwrap();
            for built in events() {
                built.view(|event| {
                    let (mut out, mut values) = (String::new(), Vec::new());
                    template.render(event, &mut out, &mut values);
                    let rendered = written_down(event, template.fields()).render(&given_template, &by_hand);
                    let shown = text.trim_start_matches('*');
                    assert_eq!(
                        out.trim_start_matches('*'),
                        rendered.output,
                        "{shown} on {event:?}"
                    );
                });
            }
        }
    }
}
