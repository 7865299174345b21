//! What can be wrong, or suspicious, in a condition that parsed.

use super::ast::{Modifier, Operator, Span, Transformer};
use crate::diagnostic::Code;
use crate::field::FieldError;

/// What is wrong with a condition that parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct CheckError {
    /// What.
    pub kind: CheckErrorKind,
    /// Where.
    pub span: Span,
}

/// The causes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckErrorKind {
    /// A macro was not resolved before.
    #[error("undefined macro '{0}' used in filter")]
    UnresolvedMacro(String),
    /// No such field, or a wrong argument.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// No event has this name.
    #[error("unknown event type {name}")]
    UnknownEvent {
        /// The name.
        name: String,
        /// The closest name there is.
        nearest: Option<&'static str>,
    },
    /// The operator means nothing for the field's type.
    #[error("operator '{op}' not supported for '{field}' of type {ty}")]
    Operator {
        /// The operator.
        op: Operator,
        /// The left side.
        field: String,
        /// Its type.
        ty: &'static str,
    },
    /// The operator means nothing for a list.
    #[error("operator '{op}' not supported for list '{field}'")]
    ListOperator {
        /// The operator.
        op: Operator,
        /// The left side.
        field: String,
    },
    /// A modifier on an operator or type that has none.
    #[error("'{modifier}' cannot follow '{op}' here")]
    Modifier {
        /// The modifier.
        modifier: Modifier,
        /// The operator.
        op: Operator,
    },
    /// Not a number.
    #[error("{text} is not a valid number")]
    Number {
        /// The constant.
        text: String,
    },
    /// A number that the field's type cannot hold.
    #[error("{text} does not fit the type {ty}")]
    Range {
        /// The constant.
        text: String,
        /// The type.
        ty: &'static str,
    },
    /// Neither `true` nor `false`.
    #[error("{text} is not a valid boolean")]
    Bool {
        /// The constant.
        text: String,
    },
    /// Not an address.
    #[error("unrecognized IP address {text}")]
    Address {
        /// The constant.
        text: String,
    },
    /// Not a network.
    #[error("unrecognized IP network {text}")]
    Network {
        /// The constant.
        text: String,
    },
    /// Neither a port nor a service.
    #[error("unrecognized port or service {text}")]
    Port {
        /// The constant.
        text: String,
    },
    /// Not hexadecimal.
    #[error("'{text}' is not a string of hexadecimal byte pairs")]
    Hex {
        /// The constant.
        text: String,
    },
    /// A NUL in a text.
    #[error("a string with a NUL byte can never match a text field")]
    Nul,
    /// A constant that is too long.
    #[error("the value is {len} bytes long; at most {max} are allowed")]
    TooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// A regular expression that does not compile.
    #[error("invalid regular expression: {0}")]
    Regex(String),
    /// Two sides of different types.
    #[error("cannot compare '{left}' of type {left_ty} with '{right}' of type {right_ty}")]
    Types {
        /// The left side.
        left: String,
        /// Its type.
        left_ty: String,
        /// The right side.
        right: String,
        /// Its type.
        right_ty: String,
    },
    /// A field that cannot be compared with another.
    #[error("field '{0}' cannot be compared with another field")]
    NoRhs(String),
    /// An operator that needs a constant.
    #[error("operator '{0}' needs a constant on its right side")]
    ConstantOnly(Operator),
    /// A field that cannot be given to a transformer.
    #[error("field '{0}' does not support transformers")]
    NoTransformer(String),
    /// A field that is only for outputs.
    #[error("field '{0}' can only be used in outputs")]
    PrintOnly(String),
    /// The wrong number of arguments.
    #[error("{name}() takes {expected}, got {got}")]
    Arity {
        /// The transformer.
        name: Transformer,
        /// How many it takes.
        expected: &'static str,
        /// How many there are.
        got: usize,
    },
    /// An argument of the wrong type.
    #[error("{name}() does not accept {got}: {expected}")]
    Argument {
        /// The transformer.
        name: Transformer,
        /// The argument.
        got: String,
        /// What it takes.
        expected: &'static str,
    },
}

impl CheckErrorKind {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        use CheckErrorKind as K;
        match self {
            K::Field(error) => error.hint(),
            K::UnknownEvent { nearest, .. } => nearest.map(|nearest| format!("did you mean {nearest}?")),
            K::Operator { op, ty, .. }
                if *ty == "CHARBUF" && matches!(op, Operator::BContains | Operator::BStartsWith) =>
            {
                Some("it compares bytes; use contains or startswith for text".into())
            }
            K::Operator { ty, .. } => match *ty {
                "CHARBUF" => None,
                "BYTEBUF" => Some(
                    "operators for bytes: = != contains startswith endswith bcontains bstartswith in".into(),
                ),
                "BOOL" | "IPADDR" | "IPNET" => Some("operators for this type: = != in exists".into()),
                "DYNAMIC" => Some("only 'exists' can be used here".into()),
                _ => Some("operators for numbers: = != < <= > >= in exists".into()),
            },
            K::ListOperator { .. } => {
                Some("lists are compared with 'in' (all of them) or 'intersects' (any of them)".into())
            }
            K::Number { text } if text.starts_with("0x") || text.starts_with("0X") => {
                Some("write the number in decimal".into())
            }
            K::Bool { .. } => Some("write true or false".into()),
            K::Network { .. } => Some("write it with its prefix length, as in 10.0.0.0/8".into()),
            K::UnresolvedMacro(_) => {
                Some("fields have a dot in their name; a name without one is a macro".into())
            }
            _ => None,
        }
    }

    /// True for names that do not exist: what `skip-if-unknown-filter` excuses.
    pub fn is_unknown_name(&self) -> bool {
        match self {
            CheckErrorKind::Field(error) => error.is_unknown_name(),
            CheckErrorKind::UnknownEvent { .. } => true,
            _ => false,
        }
    }
}

/// Not wrong, but perhaps not what was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What.
    pub kind: WarningKind,
    /// Where.
    pub span: Span,
}

/// The causes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WarningKind {
    /// A field that is kept for old rules only (Falco: LOAD_DEPRECATED_ITEM).
    #[error("field '{0}' is deprecated: it has no meaning any more")]
    Deprecated(String),
    /// A comparison with `<NA>`, which the field also has in place of a missing value (Falco: LOAD_UNSAFE_NA_CHECK).
    #[error("comparing '{0}' with <NA> is unsafe: the field has this text when it has no value")]
    UnsafeNa(String),
    /// A regular expression that says no more than a plain operator (LOAD_COMPILE_CONDITION).
    #[error("regular expression '{pattern}' may be optimized: write '{instead}'")]
    TrivialRegex {
        /// The pattern.
        pattern: String,
        /// What says the same.
        instead: String,
    },
    /// A constant that reads like a field (LOAD_COMPILE_CONDITION).
    #[error(
        "'{0}' may be a valid field misused as a const string value: write val({0}) to compare with the field"
    )]
    LooksLikeField(String),
    /// A constant that reads like a transformer (LOAD_COMPILE_CONDITION).
    #[error("'{0}' may be a valid transformer misused as a const string value: write it without quotes")]
    LooksLikeTransformer(String),
}

impl WarningKind {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            WarningKind::UnsafeNa(field) => Some(format!("write '{field} exists', or 'not {field} exists'")),
            _ => None,
        }
    }

    /// Falco's code of it.
    pub fn code(&self) -> Code {
        match self {
            WarningKind::Deprecated(_) => Code::DeprecatedItem,
            WarningKind::UnsafeNa(_) => Code::UnsafeNaCheck,
            _ => Code::ConditionWarning,
        }
    }

    /// The deprecated field it is about.
    pub fn deprecated_field(&self) -> Option<&str> {
        match self {
            WarningKind::Deprecated(field) => Some(field),
            _ => None,
        }
    }
}
