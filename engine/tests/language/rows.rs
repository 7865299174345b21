//! What the tables are made of: fields of every type, values for them, and the questions a row can ask.

use lanner_engine::condition::{Program, compile_in, parse};
use lanner_engine::field::FieldRef;
use lanner_engine::value::FieldType;
use lanner_engine::{GivenFields, Input, Scope};

/// A type, its field, and a constant that every operator of the type takes.
pub(crate) const TYPES: &[(FieldType, &str, &str)] = &[
    (FieldType::Bool, "t.bool", "true"),
    (FieldType::Int16, "t.int16", "1"),
    (FieldType::Int32, "t.int32", "1"),
    (FieldType::Int64, "t.int64", "1"),
    (FieldType::Uint32, "t.uint32", "1"),
    (FieldType::Uint64, "t.uint64", "1"),
    (FieldType::RelTime, "t.reltime", "1"),
    (FieldType::AbsTime, "t.abstime", "1"),
    (FieldType::Port, "t.port", "80"),
    (FieldType::Double, "t.double", "1"),
    (FieldType::CharBuf, "t.text", "41"),
    (FieldType::ByteBuf, "t.bytes", "41"),
    (FieldType::IpAddr, "t.ip", "10.0.0.1"),
    (FieldType::IpNet, "t.net", "10.0.0.0/8"),
];

/// Types that lists have.
pub(crate) const LISTS: &[(FieldType, &str, &str)] = &[
    (FieldType::CharBuf, "l.text", "41"),
    (FieldType::Uint64, "l.uint64", "1"),
    (FieldType::RelTime, "l.reltime", "1"),
    (FieldType::AbsTime, "l.abstime", "1"),
    (FieldType::Bool, "l.bool", "true"),
    (FieldType::IpAddr, "l.ip", "10.0.0.1"),
    (FieldType::IpNet, "l.net", "10.0.0.0/8"),
];

/// The fields of the source `syscall` and those above, once more as `u.` of the same types.
pub(crate) fn scope() -> Scope {
    let scalars = TYPES.iter().map(|(ty, name, _)| ((*name).to_owned(), *ty, false));
    let others = TYPES
        .iter()
        .map(|(ty, name, _)| (name.replace("t.", "u."), *ty, false));
    let lists = LISTS.iter().map(|(ty, name, _)| ((*name).to_owned(), *ty, true));
    let more = LISTS
        .iter()
        .map(|(ty, name, _)| (name.replace("l.", "m."), *ty, true));
    Scope::default().given(scalars.chain(others).chain(lists).chain(more))
}

/// What can be written as a value in a row.
pub(crate) trait ToInput {
    /// The value.
    fn input(&self) -> Input;
}

impl ToInput for str {
    fn input(&self) -> Input {
        Input::Text(self.into())
    }
}
impl ToInput for &str {
    fn input(&self) -> Input {
        Input::Text((*self).into())
    }
}
impl ToInput for String {
    fn input(&self) -> Input {
        Input::Text(self.clone())
    }
}
impl ToInput for i64 {
    fn input(&self) -> Input {
        Input::Integer((*self).into())
    }
}
impl ToInput for u64 {
    fn input(&self) -> Input {
        Input::Integer((*self).into())
    }
}
impl ToInput for i32 {
    fn input(&self) -> Input {
        Input::Integer((*self).into())
    }
}
impl ToInput for f64 {
    fn input(&self) -> Input {
        Input::Fraction(*self)
    }
}
impl ToInput for bool {
    fn input(&self) -> Input {
        Input::Bool(*self)
    }
}
impl<const N: usize> ToInput for &[u8; N] {
    fn input(&self) -> Input {
        Input::Bytes(self.to_vec())
    }
}
impl<T: ToInput, const N: usize> ToInput for [T; N] {
    fn input(&self) -> Input {
        Input::List(self.iter().map(ToInput::input).collect())
    }
}
impl ToInput for Input {
    fn input(&self) -> Input {
        self.clone()
    }
}

/// These fields have these values, all others none.
pub(crate) fn given(values: &[(&str, &dyn ToInput)]) -> GivenFields {
    let mut given = GivenFields::default();
    for (name, value) in values {
        let (field, arg) = match name.split_once('[') {
            Some((field, rest)) => (field, rest.strip_suffix(']')),
            None => (*name, None),
        };
        let field = FieldRef::resolve_in(&scope(), field, arg).unwrap();
        given.insert(&field, &value.input()).unwrap();
    }
    given
}

fn compiled(condition: &str) -> Result<Program, String> {
    let expr = parse(condition).map_err(|error| format!("syntax: {error}"))?;
    compile_in(&expr, &scope()).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("; ")
    })
}

/// Fails with every row that is wrong.
#[track_caller]
fn none(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{} rows are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Whether each condition holds.
#[track_caller]
pub(crate) fn holds(given: &GivenFields, rows: &[(&str, bool)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(condition, expected)| match compiled(condition) {
            Ok(program) if given.satisfy(&program) == *expected => None,
            Ok(_) => Some(format!("{condition}: is {}", !expected)),
            Err(error) => Some(format!("{condition}: {error}")),
        })
        .collect();
    none(&wrong);
}

/// Each condition compiles.
#[track_caller]
pub(crate) fn accepted(rows: &[&str]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|condition| Some(format!("{condition}: {}", compiled(condition).err()?)))
        .collect();
    none(&wrong);
}

/// Each condition parses and does not compile, and the error has this part.
#[track_caller]
pub(crate) fn refused(rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(condition, part)| match compiled(condition) {
            Ok(_) => Some(format!("{condition}: compiles")),
            Err(error) if error.starts_with("syntax: ") || !error.contains(part) => {
                Some(format!("{condition}: {error}"))
            }
            Err(_) => None,
        })
        .collect();
    none(&wrong);
}

/// Each condition does not parse, and the error has this part.
#[track_caller]
pub(crate) fn unparsable(rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(condition, part)| match parse(condition) {
            Ok(expr) => Some(format!("{condition:?}: parses as {expr}")),
            Err(error) if error.to_string().contains(part) => None,
            Err(error) => Some(format!("{condition:?}: {error}")),
        })
        .collect();
    none(&wrong);
}

/// The canonical text of each condition.
#[track_caller]
pub(crate) fn prints(rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(condition, expected)| match parse(condition) {
            Ok(expr) if expr.to_string() == *expected => None,
            Ok(expr) => Some(format!("{condition:?}: prints {expr}")),
            Err(error) => Some(format!("{condition:?}: {error}")),
        })
        .collect();
    none(&wrong);
}

/// Each condition compiles with exactly one warning that has this part, or with none when it is empty.
#[track_caller]
pub(crate) fn warned(rows: &[(&str, &str)]) {
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(condition, part)| match compiled(condition) {
            Ok(program) => {
                let warnings: Vec<String> = program
                    .warnings()
                    .iter()
                    .map(|warning| warning.kind.to_string())
                    .collect();
                let right = match &warnings[..] {
                    [] => part.is_empty(),
                    [one] => !part.is_empty() && one.contains(part),
                    _ => false,
                };
                (!right).then(|| format!("{condition}: {warnings:?}"))
            }
            Err(error) => Some(format!("{condition}: {error}")),
        })
        .collect();
    none(&wrong);
}
