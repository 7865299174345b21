//! Falco's canonical text of a condition. What it prints parses to the same tree (spans apart).

use std::fmt::{self, Display, Formatter, Write};

use super::ast::{Check, Expr, FieldName, Literal, Operand, Right, Test, Transform, TransformArg};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expr::And(children, _) => joined(f, children, " and "),
            Expr::Or(children, _) => joined(f, children, " or "),
            Expr::Not(child, _) => {
                f.write_str("not ")?;
                child.fmt(f)
            }
            Expr::Macro { name, .. } => f.write_str(name),
            Expr::Check(check) => check.fmt(f),
        }
    }
}

fn joined(f: &mut Formatter<'_>, children: &[Expr], word: &str) -> fmt::Result {
    f.write_str("(")?;
    for (index, child) in children.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        child.fmt(f)?;
    }
    f.write_str(")")
}

impl Display for Check {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.left.fmt(f)?;
        match &self.test {
            Test::Exists => f.write_str(" exists"),
            Test::Compare {
                op, modifier, right, ..
            } => {
                write!(f, " {op}")?;
                if let Some(modifier) = modifier {
                    write!(f, " {modifier}")?;
                }
                f.write_str(" ")?;
                right.fmt(f)
            }
        }
    }
}

impl Display for Right {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Right::Literal(literal) => literal.fmt(f),
            Right::Operand(operand) => operand.fmt(f),
            Right::List(items, _) => {
                f.write_str("(")?;
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    item.fmt(f)?;
                }
                f.write_str(")")
            }
        }
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Field(field) => field.fmt(f),
            Operand::Val(field, _) => {
                f.write_str("val(")?;
                field.fmt(f)?;
                f.write_str(")")
            }
            Operand::Transform(transform) => transform.fmt(f),
        }
    }
}

impl Display for FieldName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        argument(f, self.arg.as_deref())
    }
}

/// `[text]`, with quotes when the text could not be read back without them.
fn argument(f: &mut Formatter<'_>, arg: Option<&str>) -> fmt::Result {
    let Some(arg) = arg else { return Ok(()) };
    if super::lex::is_bare_argument(arg) {
        write!(f, "[{arg}]")
    } else {
        f.write_str("[")?;
        quote(f, arg.as_bytes())?;
        f.write_str("]")
    }
}

impl Display for Transform {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        transform_args(f, &self.args)?;
        f.write_str(")")?;
        argument(f, self.selector.as_deref())
    }
}

fn transform_args(f: &mut Formatter<'_>, args: &[TransformArg]) -> fmt::Result {
    for (index, arg) in args.iter().enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        match arg {
            TransformArg::Field(field) => field.fmt(f)?,
            TransformArg::Transform(transform) => transform.fmt(f)?,
            // Falco prints these without quotes, which does not parse again; `{:#}` prints what does.
            TransformArg::Literal(literal) if f.alternate() => quote(f, &literal.bytes)?,
            TransformArg::Literal(literal) => f.write_str(&literal.text())?,
            TransformArg::List(items, _) => {
                f.write_str("(")?;
                transform_args(f, items)?;
                f.write_str(")")?;
            }
        }
    }
    Ok(())
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if super::lex::is_bare(&self.bytes) {
            f.write_str(&self.text())
        } else {
            quote(f, &self.bytes)
        }
    }
}

fn quote(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str("\"")?;
    // A quote after a backslash never ends a string, not even after two, as Falco prints it; `{:#}` prints what does.
    let (bytes, end) = match bytes {
        [before @ .., b'\\'] if f.alternate() => (before, "\\x5c\""),
        _ => (bytes, "\""),
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\u{8}' => f.write_str("\\b")?,
                '\u{c}' => f.write_str("\\f")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        for byte in chunk.invalid() {
            write!(f, "\\x{byte:02x}")?;
        }
    }
    f.write_str(end)
}
