//! Transformers: how many arguments of which type.

use super::ast::{Span, Transform, TransformArg, Transformer};
use super::check::{Checker, is_event_type};
use super::error::CheckErrorKind as Kind;
use super::transform::{List, Options, Source};
use crate::field::{Arg, FieldRef};
use crate::value::Class;

impl Checker<'_> {
    /// Checks a transformer.
    pub(super) fn transform(&mut self, transform: &Transform) -> Option<Source> {
        use Transformer as T;
        let (name, args, span) = (transform.name, &transform.args, transform.span);
        let arity = |expected| Kind::Arity {
            name,
            expected,
            got: args.len(),
        };
        match (name, args.as_slice()) {
            (T::ToUpper | T::ToLower | T::B64 | T::Basename, [arg]) => {
                let of = self.value(name, arg)?;
                let class = of.ty().class();
                if class != Class::Text && !(name == T::B64 && class == Class::Bytes) {
                    return self.fail(argument(name, &of, "it takes text"), span);
                }
                let of = Box::new(of);
                Some(match name {
                    T::ToUpper => Source::Case { upper: true, of },
                    T::ToLower => Source::Case { upper: false, of },
                    T::B64 => Source::B64(of),
                    _ => Source::Basename(of),
                })
            }
            (T::Len, [arg]) => {
                if let Some(list) = self.list(name, arg, true)? {
                    return Some(Source::Count(Box::new(list)));
                }
                let of = self.scalar(name, arg)?;
                if !matches!(of.ty().class(), Class::Text | Class::Bytes) {
                    return self.fail(argument(name, &of, "it takes text, bytes or a list"), span);
                }
                Some(Source::Len(Box::new(of)))
            }
            (T::Join, [separator, list]) => {
                let separator = Box::new(self.text_arg(name, separator)?);
                let Some(list) = self.list(name, list, false)? else {
                    return self.fail(not_a_list(name, list), span);
                };
                Some(Source::Join {
                    separator,
                    list: Box::new(list),
                })
            }
            (T::Concat, [_, _, ..]) => {
                let parts: Vec<_> = args.iter().map(|arg| self.text_arg(name, arg)).collect();
                Some(Source::Concat(parts.into_iter().collect::<Option<_>>()?))
            }
            (T::Getopt, [list, spec]) => {
                let spec = self.text_arg(name, spec)?;
                let Some(items) = self.list(name, list, false)? else {
                    return self.fail(not_a_list(name, list), span);
                };
                let options = Box::new(Options { list: items, spec });
                match transform.selector.as_deref().map(str::as_bytes) {
                    None => Some(Source::Options(options)),
                    Some([letter]) => Some(Source::Option {
                        options,
                        letter: *letter,
                    }),
                    Some(other) => {
                        let kind = Kind::Argument {
                            name,
                            got: format!("[{}]", String::from_utf8_lossy(other)),
                            expected: "the brackets hold one letter",
                        };
                        self.fail(kind, span)
                    }
                }
            }
            (T::Join | T::Getopt, _) => self.fail(arity("2 arguments"), span),
            (T::Concat, _) => self.fail(arity("2 arguments or more"), span),
            _ => self.fail(arity("1 argument"), span),
        }
    }

    /// A list argument; `Some(None)` when it is none. `len` takes `proc.args` as text.
    fn list(&mut self, name: Transformer, arg: &TransformArg, is_len: bool) -> Option<Option<List>> {
        match arg {
            TransformArg::List(items, _) => {
                let items: Vec<_> = items.iter().map(|item| self.text_arg(name, item)).collect();
                Some(Some(List::Items(items.into_iter().collect::<Option<_>>()?)))
            }
            TransformArg::Field(field) => {
                match FieldRef::resolve_in(self.scope, &field.name, field.arg.as_deref()) {
                    Ok(found) if found.list && !is_len && found.ty.class() != Class::Text => {
                        let kind = argument(name, &Source::Field(found), "it takes a list of text");
                        self.fail(kind, field.span)
                    }
                    Ok(found)
                        if found.list
                            || !is_len && found.row.name == "proc.args" && found.arg == Arg::None =>
                    {
                        Some(Some(List::Field(self.field(field)?)))
                    }
                    // Reported when it is read as a scalar.
                    _ if is_len => Some(None),
                    Ok(_) => Some(None),
                    Err(_) => {
                        self.field(field)?;
                        None
                    }
                }
            }
            TransformArg::Transform(inner) if self.gives_list(inner) => {
                Some(match self.transform(inner)? {
                    Source::Options(options) => Some(List::Options(options)),
                    source => Some(List::Transformed(Box::new(source))),
                })
            }
            TransformArg::Transform(_) | TransformArg::Literal(_) => Some(None),
        }
    }

    /// True for a transformer whose result is a list.
    fn gives_list(&self, transform: &Transform) -> bool {
        use Transformer as T;
        match (transform.name, transform.args.as_slice()) {
            (T::Getopt, _) => transform.selector.is_none(),
            (T::ToUpper | T::ToLower | T::B64 | T::Basename, [TransformArg::Transform(inner)]) => {
                self.gives_list(inner)
            }
            (T::ToUpper | T::ToLower | T::B64 | T::Basename, [TransformArg::Field(field)]) => {
                FieldRef::resolve_in(self.scope, &field.name, field.arg.as_deref())
                    .is_ok_and(|field| field.list)
            }
            _ => false,
        }
    }

    /// An argument that is one value.
    fn scalar(&mut self, name: Transformer, arg: &TransformArg) -> Option<Source> {
        let source = self.value(name, arg)?;
        if source.is_list() {
            return self.fail(argument(name, &source, "it takes single values"), span_of(arg));
        }
        Some(source)
    }

    /// An argument that is one value, or a list whose every value is transformed.
    fn value(&mut self, name: Transformer, arg: &TransformArg) -> Option<Source> {
        let (source, span) = match arg {
            TransformArg::Field(field) => (Source::Field(self.field(field)?), field.span),
            TransformArg::Transform(inner) => (self.transform(inner)?, inner.span),
            TransformArg::Literal(literal) => {
                (Source::Constant(literal.bytes.as_slice().into()), literal.span)
            }
            TransformArg::List(_, span) => {
                let kind = Kind::Argument {
                    name,
                    got: "a list".into(),
                    expected: "it takes single values",
                };
                return self.fail(kind, *span);
            }
        };
        if let Source::Field(field) = &source
            && (field.row.flags.no_transformer || is_event_type(field))
        {
            return self.fail(Kind::NoTransformer(field.text()), span);
        }
        Some(source)
    }

    /// An argument that is one text.
    fn text_arg(&mut self, name: Transformer, arg: &TransformArg) -> Option<Source> {
        let source = self.scalar(name, arg)?;
        if source.ty().class() == Class::Text {
            return Some(source);
        }
        self.fail(argument(name, &source, "it takes text"), span_of(arg))
    }
}

fn span_of(arg: &TransformArg) -> Span {
    match arg {
        TransformArg::Field(field) => field.span,
        TransformArg::Transform(inner) => inner.span,
        TransformArg::Literal(literal) => literal.span,
        TransformArg::List(_, span) => *span,
    }
}

fn argument(name: Transformer, got: &Source, expected: &'static str) -> Kind {
    Kind::Argument {
        name,
        got: format!("{} of type {}", got.name(), got.ty().name()),
        expected,
    }
}

fn not_a_list(name: Transformer, arg: &TransformArg) -> Kind {
    let got = match arg {
        TransformArg::Field(field) => field.to_string(),
        TransformArg::Transform(inner) => inner.to_string(),
        TransformArg::Literal(literal) => literal.text().into_owned(),
        TransformArg::List(..) => "a list".into(),
    };
    Kind::Argument {
        name,
        got,
        expected: "it takes a list, as in (a, b)",
    }
}
