//! Values given by hand: conditions and outputs are tried with them, without an event.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use lanner_schema::alert::FieldValue;
use lanner_schema::container::Owner;
use lanner_schema::event::Event;
use lanner_schema::process::{Process, User};
use lanner_schema::record::Wire;
use lanner_schema::view::{EventView, Given, Names, Outcome, SourceId, System};

use crate::condition::{Checker, Operand, Program, Scratch, Source};
use crate::field::FieldRef;
use crate::output::Template;
use crate::scope::Scope;
use crate::value::{Class, FieldType};

/// A value as somebody wrote it, before it is known of which type its field is.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The field has no value.
    Missing,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// A fraction.
    Fraction(f64),
    /// Text, or what stands for another type (an address, a number).
    Text(String),
    /// Bytes that need not be text.
    Bytes(Vec<u8>),
    /// Several values: of a list, of the ancestors, of both ends of a socket.
    List(Vec<Input>),
}

/// A value that does not fit its field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field '{field}' of type {ty} {problem}")]
pub struct InputError {
    field: String,
    ty: &'static str,
    problem: String,
}

/// The values of some fields; all others are missing.
#[derive(Debug, Default)]
pub struct GivenFields {
    values: HashMap<String, Vec<Given>>,
}

impl System for GivenFields {
    fn process(&self, _: u32) -> Option<&Process> {
        None
    }
    fn user(&self, _: u32) -> Option<&User> {
        None
    }
    fn group(&self, _: u32) -> Option<&str> {
        None
    }
    fn given(&self, field: &str) -> &[Given] {
        self.values.get(field).map_or(&[], Vec::as_slice)
    }
}

/// What an output comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The text. After a `*` at the start of the output missing values are `<NA>` in it; without, it ends before the
    /// first of them.
    pub output: String,
    /// False when it ended before a missing value.
    pub complete: bool,
    /// What that value is of.
    pub stopped_at: Option<String>,
    /// The values of its fields and of its transformed fields, sorted by name; missing ones only after a `*`.
    pub fields: Vec<(Arc<str>, FieldValue)>,
}

impl GivenFields {
    /// Gives a field its value.
    ///
    /// # Errors
    /// When the value is none of the field's type.
    pub fn insert(&mut self, field: &FieldRef, input: &Input) -> Result<(), InputError> {
        let error = |problem| InputError {
            field: field.text(),
            ty: field.ty.name(),
            problem,
        };
        let values = convert(field, input).map_err(error)?;
        if let (Input::List(items), Some(arguments)) = (input, field.arguments()) {
            let items: Result<_, _> = items.iter().map(|item| value(field.ty, item)).collect();
            self.values.insert(arguments.to_owned(), items.map_err(error)?);
        }
        self.values.insert(field.text(), values);
        Ok(())
    }

    /// Whether a condition holds, which was compiled for given values ([`crate::Scope::given`]).
    pub fn satisfy(&self, program: &Program) -> bool {
        program.matches(&self.view(), &mut Scratch::new())
    }

    /// What an output comes to, which was compiled in this scope for given values.
    pub fn render(&self, template: &Template, scope: &Scope) -> Rendered {
        template.alone(&self.view(), scope)
    }

    /// What a check on `operand` sees: the values of a field or a transformer, none when it is missing or no field of the
    /// scope.
    pub fn see(&self, operand: &Operand, scope: &Scope) -> Vec<Given> {
        let source = match Checker::new(scope).source(operand) {
            Some(Source::Field(field)) => return System::given(self, &field.text()).to_vec(),
            Some(source) => source,
            None => return Vec::new(),
        };
        let (view, mut scratch, mut seen) = (self.view(), Scratch::new(), Vec::new());
        if source.is_list() {
            source.each(&view, &mut scratch, &mut |item| {
                seen.push(Given::Bytes(item.to_vec()));
                false
            });
            return seen;
        }
        let mut buf = scratch.take();
        seen.extend(source.get(&view, &mut scratch, &mut buf).map(Given::from));
        seen
    }

    /// An event of which nothing is known but these values.
    fn view(&self) -> EventView<'_> {
        EventView {
            event: Event::PluginEvent,
            source: SourceId::SYSCALL,
            number: 1,
            time: 0,
            cpu: 0,
            tid: 0,
            pid: 0,
            uid: 0,
            gid: 0,
            wire: Wire::EMPTY,
            implied_result: None,
            outcome: Outcome::Told,
            io_uring: None,
            paths: &[],
            process: None,
            descriptor: None,
            names: Names::Agree,
            owner: Owner::Host,
            system: self,
        }
    }
}

fn convert(field: &FieldRef, input: &Input) -> Result<Vec<Given>, String> {
    match input {
        Input::Missing => Ok(Vec::new()),
        Input::List(items) if field.list || field.is_many() => {
            items.iter().map(|item| value(field.ty, item)).collect()
        }
        // The one text that is also taken argument by argument.
        Input::List(items) if field.row.name == "proc.args" => {
            let words: Result<Vec<Vec<u8>>, String> = items.iter().map(bytes).collect();
            Ok(vec![Given::Bytes(words?.join(&b' '))])
        }
        Input::List(_) => Err("has one value, not several".into()),
        one => Ok(vec![value(field.ty, one)?]),
    }
}

fn value(ty: FieldType, input: &Input) -> Result<Given, String> {
    match ty.class() {
        Class::Bool => match input {
            Input::Bool(value) => Ok(Given::Bool(*value)),
            Input::Text(text) if text == "true" || text == "false" => Ok(Given::Bool(text == "true")),
            _ => Err("takes true or false".into()),
        },
        Class::Number { .. } | Class::Port | Class::Opaque => number(ty, input),
        Class::Text | Class::Bytes => bytes(input).map(Given::Bytes),
        Class::Address | Class::Network => match input {
            Input::Text(text) => match text.parse::<IpAddr>() {
                Ok(ip) => Ok(Given::Ip(ip)),
                Err(_) => Err(format!("takes an IPv4 or IPv6 address, not '{text}'")),
            },
            _ => Err("takes an address as text".into()),
        },
    }
}

fn number(ty: FieldType, input: &Input) -> Result<Given, String> {
    let number = match input {
        Input::Integer(number) => *number,
        Input::Text(text) => match text.parse() {
            Ok(number) => number,
            Err(_) => return Err(format!("takes a number, not '{text}'")),
        },
        Input::Fraction(fraction) if ty == FieldType::Double => return Ok(Given::F64(*fraction)),
        Input::Fraction(_) => return Err("takes a whole number".into()),
        _ => return Err("takes a number".into()),
    };
    let (low, high) = match ty.class() {
        Class::Number { signed: true, bits } => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
        Class::Number { bits, .. } => (0, (1i128 << bits) - 1),
        Class::Port => (0, u16::MAX.into()),
        _ => (i64::MIN.into(), u64::MAX.into()),
    };
    if !(low..=high).contains(&number) {
        return Err(format!("has no value {number}: {low} to {high}"));
    }
    if ty == FieldType::Double {
        return Ok(Given::F64(number as f64));
    }
    match (i64::try_from(number), u64::try_from(number)) {
        (_, Ok(number)) => Ok(Given::U64(number)),
        (Ok(number), _) => Ok(Given::I64(number)),
        _ => Err(format!("has no value {number}")),
    }
}

fn bytes(input: &Input) -> Result<Vec<u8>, String> {
    Ok(match input {
        Input::Text(text) => text.clone().into_bytes(),
        Input::Bytes(bytes) => bytes.clone(),
        Input::Integer(number) => number.to_string().into_bytes(),
        Input::Fraction(number) => number.to_string().into_bytes(),
        Input::Bool(value) => value.to_string().into_bytes(),
        Input::Missing | Input::List(_) => return Err("takes text".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::{compile_in, parse, parse_operand};

    fn scope() -> Scope {
        Scope::default().given([
            ("my.text".to_owned(), FieldType::CharBuf, false),
            ("my.list".to_owned(), FieldType::CharBuf, true),
            ("my.bytes".to_owned(), FieldType::ByteBuf, false),
        ])
    }

    fn given(fields: &[(&str, Input)]) -> GivenFields {
        let mut given = GivenFields::default();
        for (name, input) in fields {
            let (name, arg) = match name.split_once('[') {
                Some((name, rest)) => (name, rest.strip_suffix(']')),
                None => (*name, None),
            };
            let field = FieldRef::resolve_in(&scope(), name, arg).unwrap();
            given.insert(&field, input).unwrap();
        }
        given
    }

    fn text(text: &str) -> Input {
        Input::Text(text.into())
    }

    #[track_caller]
    fn table(given: &GivenFields, cases: &[(&str, bool)]) {
        for (condition, expected) in cases {
            let program = compile_in(&parse(condition).unwrap(), &scope())
                .unwrap_or_else(|errors| panic!("{condition}: {errors:?}"));
            assert_eq!(given.satisfy(&program), *expected, "{condition}");
        }
    }

    #[test]
    fn conditions_read_what_is_given_and_nothing_else() {
        let both = Input::List(vec![text("10.0.0.1"), text("::1")]);
        let given = given(&[
            ("evt.type", text("open")),
            ("proc.name", text("cat")),
            ("proc.pid", Input::Integer(7)),
            ("fd.num", Input::Integer(-1)),
            ("proc.aname", Input::List(vec![text("sh"), text("sshd")])),
            ("proc.aname[2]", text("sshd")),
            ("fd.ip", both),
            (
                "proc.args",
                Input::List(vec![text("-n"), text("x y"), text("/etc")]),
            ),
            ("my.text", text("a b")),
            ("my.list", Input::List(vec![text("a"), text("b")])),
            ("my.bytes", Input::Bytes(vec![0xff, 0])),
            ("evt.is_open_read", Input::Bool(true)),
            ("proc.exepath", Input::Missing),
        ]);
        table(
            &given,
            &[
                ("evt.type = open and proc.name in (cat, tac)", true),
                ("evt.type in (creat, openat)", false),
                ("proc.pid > 6 and fd.num < 0", true),
                ("proc.aname = sshd and proc.aname != sshd", true),
                ("proc.aname[2] = sshd and not proc.aname[1] exists", true),
                ("fd.ip = 10.0.0.1 and fd.ip != 10.0.0.2", true),
                ("fd.ip != 10.0.0.1", false),
                ("proc.args = '-n x y /etc'", true),
                ("getopt(proc.args, 'n:')[n] = 'x y'", true),
                ("join('|', proc.args) = '-n|x y|/etc'", true),
                ("my.text startswith a and my.text != val(proc.name)", true),
                ("my.list in (a, b, c) and my.list intersects (b)", true),
                ("my.list in (a)", false),
                ("my.bytes bcontains ff00", true),
                ("evt.is_open_read = true", true),
                (
                    "proc.exepath exists or proc.exepath != x or container.id exists",
                    false,
                ),
            ],
        );
    }

    #[test]
    fn lists_of_any_type_compare_with_constants_and_with_lists() {
        let scope = Scope::default().given([
            ("my.list".to_owned(), FieldType::CharBuf, true),
            ("my.other".to_owned(), FieldType::CharBuf, true),
            ("my.missing".to_owned(), FieldType::CharBuf, true),
            ("my.numbers".to_owned(), FieldType::Uint64, true),
            ("my.double".to_owned(), FieldType::Double, false),
        ]);
        let mut given = GivenFields::default();
        let mut insert = |name: &str, input: Input| {
            let field = FieldRef::resolve_in(&scope, name, None).unwrap();
            given.insert(&field, &input).unwrap();
        };
        insert("my.list", Input::List(vec![text("a"), text("b")]));
        insert("my.other", Input::List(vec![text("b"), text("c"), text("a")]));
        insert(
            "my.numbers",
            Input::List(vec![Input::Integer(1), Input::Integer(2)]),
        );
        insert("my.double", Input::Fraction(1.5));
        for (condition, expected) in [
            ("my.list in val(my.other)", true),
            ("my.other in val(my.list)", false),
            ("my.other intersects val(my.list)", true),
            ("my.list in val(my.missing)", false),
            ("my.numbers in (1, 2, 3)", true),
            ("my.numbers in (1)", false),
            ("my.numbers intersects (2)", true),
            (
                "my.numbers exists and len(my.numbers) = 2 and len(my.list) = 2",
                true,
            ),
            ("my.double > 1 and my.double < 2 and my.double > -1", true),
            ("my.double in (1, 2) or my.double = 1", false),
        ] {
            let program = compile_in(&parse(condition).unwrap(), &scope)
                .unwrap_or_else(|errors| panic!("{condition}: {errors:?}"));
            assert_eq!(given.satisfy(&program), expected, "{condition}");
        }
    }

    #[test]
    fn what_a_check_sees_is_its_left_side() {
        let given = given(&[
            ("proc.name", text("CAT")),
            ("proc.aname", Input::List(vec![text("sh"), text("init")])),
        ]);
        let see = |operand: &str| given.see(&parse_operand(operand, 0).unwrap(), &scope());
        let bytes = |text: &str| Given::Bytes(text.into());
        assert_eq!(see("proc.name"), [bytes("CAT")]);
        assert_eq!(see("tolower(proc.name)"), [bytes("cat")]);
        assert_eq!(see("len(proc.name)"), [Given::U64(3)]);
        assert_eq!(see("proc.aname"), [bytes("sh"), bytes("init")]);
        assert_eq!(see("getopt(('-a', '1'), 'a:')"), [bytes("a"), bytes("1")]);
        assert_eq!(see("proc.exepath"), []);
        assert_eq!(see("no.such.field"), []);
    }

    #[test]
    fn values_of_another_type_are_refused() {
        let mut given = GivenFields::default();
        let mut refused = |name: &str, input: Input| {
            let field = FieldRef::resolve_in(&scope(), name, None).unwrap();
            given.insert(&field, &input).unwrap_err().to_string()
        };
        assert_eq!(
            refused("proc.pid", text("seven")),
            "field 'proc.pid' of type INT64 takes a number, not 'seven'"
        );
        assert_eq!(
            refused("fd.cport", Input::Integer(70_000)),
            "field 'fd.cport' of type PORT has no value 70000: 0 to 65535"
        );
        assert!(refused("proc.name", Input::List(vec![])).contains("one value"));
        assert!(refused("fd.cip", text("host")).contains("address"));
        assert!(refused("evt.failed", Input::Integer(1)).contains("true or false"));
        assert!(refused("proc.pid", Input::Fraction(1.5)).contains("whole"));
    }

    #[test]
    fn outputs_print_what_is_given() {
        let given = given(&[
            ("proc.name", text("cat")),
            ("my.list", Input::List(vec![text("a"), text("b")])),
            ("evt.time", text("12:00:00")),
        ]);
        let render =
            |template: &str| given.render(&Template::compile_in(template, &scope()).unwrap(), &scope());
        let stopped = render("%evt.time %proc.exepath %proc.name");
        assert_eq!(stopped.output, "12:00:00 ");
        assert!(!stopped.complete && stopped.fields.len() == 1);
        assert_eq!(stopped.stopped_at.as_deref(), Some("proc.exepath"));
        let rendered = render("*%evt.time %5proc.name|%my.list %toupper(proc.name) %proc.exepath");
        assert_eq!(rendered.output, "12:00:00 cat  |(a,b) CAT <NA>");
        assert!(rendered.complete);
        let fields: Vec<String> = rendered
            .fields
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            fields,
            [
                "evt.time=12:00:00",
                "my.list=(a,b)",
                "proc.exepath=<NA>",
                "proc.name=cat",
                "toupper(proc.name)=CAT"
            ]
        );
        let names = |template: &str| -> Vec<String> {
            let fields = render(template).fields;
            fields.into_iter().map(|(name, _)| name.to_string()).collect()
        };
        let nested = "*%toupper(join('->', (concat(proc.name, evt.time), proc.name)))";
        assert_eq!(
            names(nested),
            [
                "concat(proc.name,evt.time)",
                "evt.time",
                "proc.name",
                "toupper(join(->,(concat(proc.name,evt.time),proc.name)))"
            ]
        );
        assert_eq!(
            names("%tolower(toupper(proc.name))"),
            ["proc.name", "tolower(toupper(proc.name))"]
        );
        assert!(names("no fields").is_empty());
        let mut time = GivenFields::default();
        let field = FieldRef::resolve_in(&scope(), "evt.rawtime.ns", None).unwrap();
        time.insert(&field, &Input::Integer(5)).unwrap();
        let padded = time.render(
            &Template::compile_in("%evt.rawtime.ns", &scope()).unwrap(),
            &scope(),
        );
        assert_eq!(padded.output, "000000005");
        assert_eq!(padded.fields[0].1, FieldValue::U64(5));
    }

    #[test]
    fn bytes_print_with_dots_or_as_base64() {
        for (bytes, dots, base64) in [
            (&b"a\0\xff"[..], "a..", "YQD/"),
            (b"hello", "hello", "aGVsbG8="),
            (b"hi!!", "hi!!", "aGkhIQ=="),
        ] {
            let given = given(&[("my.bytes", Input::Bytes(bytes.to_vec()))]);
            let render = |scope: &Scope| {
                given
                    .render(&Template::compile_in("%my.bytes", scope).unwrap(), scope)
                    .output
            };
            assert_eq!(render(&scope()), dots);
            assert_eq!(render(&scope().with_base64(true)), base64);
        }
    }

    #[test]
    fn the_text_of_a_long_list_is_cut_and_its_value_is_whole() {
        let long = "a".repeat(700);
        let given = given(&[("my.list", Input::List(vec![text(&long), text(&long)]))]);
        let template = Template::compile_in("%my.list", &scope()).unwrap();
        let rendered = given.render(&template, &scope());
        assert_eq!(rendered.output.len(), 1023);
        let expected = FieldValue::List(vec![FieldValue::Text(long.clone()), FieldValue::Text(long)]);
        assert_eq!(rendered.fields, [("my.list".into(), expected)]);
    }
}
