//! The tree of a condition.

use std::fmt;

/// Where a node was written: bytes `start..end` of the text that `origin` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Span {
    /// Which text: whatever number the caller of [`super::parse_with`] gave it.
    pub origin: u32,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The span from the start of `self` to the end of `other`.
    pub fn to(self, other: Span) -> Span {
        Span {
            end: other.end,
            ..self
        }
    }
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// Every child holds; at least two.
    And(Vec<Expr>, Span),
    /// Some child holds; at least two.
    Or(Vec<Expr>, Span),
    /// The child does not hold.
    Not(Box<Expr>, Span),
    /// A reference to a macro.
    Macro {
        /// Its name.
        name: String,
        /// Where it is named.
        span: Span,
    },
    /// A test of one value.
    Check(Box<Check>),
}

/// `left OPERATOR right`, or `left exists`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is tested.
    pub left: Operand,
    /// How.
    pub test: Test,
    /// From the start of `left` to the end of the test.
    pub span: Span,
}

/// Something that has a value when an event is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// A field.
    Field(FieldName),
    /// `val(field)`: a field on the right side.
    Val(FieldName, Span),
    /// A transformed value.
    Transform(Transform),
}

/// A field as it is written: `proc.aname[2]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName {
    /// The dotted name, dot arguments included (`evt.arg.flags`).
    pub name: String,
    /// The text between brackets; `Some("")` is `[""]`.
    pub arg: Option<String>,
    /// Name and brackets.
    pub span: Span,
}

/// `name(args)[selector]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transform {
    /// Which.
    pub name: Transformer,
    /// What it is applied to.
    pub args: Vec<TransformArg>,
    /// The text in brackets after it (`getopt` only).
    pub selector: Option<String>,
    /// The whole of it.
    pub span: Span,
}

/// An argument of a transformer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransformArg {
    /// A field.
    Field(FieldName),
    /// Another transformer's result.
    Transform(Transform),
    /// A constant.
    Literal(Literal),
    /// `(a, b)`.
    List(Vec<TransformArg>, Span),
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $( $(#[$vdoc:meta])* $variant:ident $word:literal, )* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $( $(#[$vdoc])* $variant, )* }

        impl $name {
            /// Every one of them.
            pub const ALL: &'static [$name] = &[ $( $name::$variant, )* ];

            /// As it is written in a condition.
            pub fn word(self) -> &'static str {
                match self { $( $name::$variant => $word, )* }
            }

            /// Reads one word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|w| w.word() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words! {
    /// A function on values.
    Transformer {
        /// Upper case, ASCII only.
        ToUpper "toupper",
        /// Lower case, ASCII only.
        ToLower "tolower",
        /// Decodes base64.
        B64 "b64",
        /// What follows the last slash.
        Basename "basename",
        /// Bytes of a text, elements of a list.
        Len "len",
        /// A list's elements with a separator between them.
        Join "join",
        /// Texts one after the other.
        Concat "concat",
        /// Options of a command line, as `getopt(3)` reads them.
        Getopt "getopt",
    }
}

words! {
    /// How two values are compared.
    Operator {
        /// Equal; `==` is the same.
        Eq "=",
        /// Not equal.
        Ne "!=",
        /// Less.
        Lt "<",
        /// Less or equal.
        Le "<=",
        /// Greater.
        Gt ">",
        /// Greater or equal.
        Ge ">=",
        /// Has it within.
        Contains "contains",
        /// Has it within, in any case.
        IContains "icontains",
        /// Has these bytes (hexadecimal) within.
        BContains "bcontains",
        /// Begins with it.
        StartsWith "startswith",
        /// Begins with these bytes (hexadecimal).
        BStartsWith "bstartswith",
        /// Ends with it.
        EndsWith "endswith",
        /// Matches a shell pattern.
        Glob "glob",
        /// Matches a shell pattern, in any case.
        IGlob "iglob",
        /// Matches a regular expression as a whole.
        Regex "regex",
        /// Is one of a list.
        In "in",
        /// Has an element in common with a list.
        Intersects "intersects",
        /// Is below one of a list of paths.
        PMatch "pmatch",
    }
}

impl Operator {
    /// Reads an operator as written, `==` included.
    pub fn parse(word: &str) -> Option<Operator> {
        if word == "==" {
            return Some(Operator::Eq);
        }
        Operator::from_word(word)
    }

    /// `in`, `intersects` and `pmatch`, which take a list.
    pub fn takes_list(self) -> bool {
        matches!(self, Operator::In | Operator::Intersects | Operator::PMatch)
    }

    /// `<`, `<=`, `>` and `>=`, which take a number.
    pub fn is_order(self) -> bool {
        matches!(self, Operator::Lt | Operator::Le | Operator::Gt | Operator::Ge)
    }

    /// True for the operators that a [`Modifier`] may follow.
    pub fn takes_modifier(self) -> bool {
        !self.takes_list() && !self.is_order()
    }
}

words! {
    /// How many elements of the right side have to satisfy the operator.
    Modifier {
        /// Exactly one.
        OneOf "oneof",
        /// At least one.
        AnyOf "anyof",
        /// All, and there is at least one.
        AllOf "allof",
    }
}

/// What a check asks of its left side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// That it has a value.
    Exists,
    /// That it compares.
    Compare {
        /// How.
        op: Operator,
        /// With how many elements of the right side.
        modifier: Option<Modifier>,
        /// With what.
        right: Right,
        /// Where the operator is.
        op_span: Span,
    },
}

/// The right side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Right {
    /// A constant.
    Literal(Literal),
    /// `(a, b)`.
    List(Vec<Literal>, Span),
    /// `val(field)` or a transformer.
    Operand(Operand),
}

/// A constant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    /// Its bytes, escapes resolved.
    pub bytes: Vec<u8>,
    /// True when it was written in quotes.
    pub quoted: bool,
    /// Where it is, quotes included.
    pub span: Span,
}

impl Literal {
    /// The constant as text; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }
}

impl Operand {
    /// Where it is written.
    pub fn span(&self) -> Span {
        match self {
            Operand::Field(field) => field.span,
            Operand::Val(_, span) => *span,
            Operand::Transform(transform) => transform.span,
        }
    }
}

/// Why macros could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MacroError {
    /// There is no such macro.
    #[error("undefined macro '{name}' used in filter")]
    Undefined {
        /// The name.
        name: String,
        /// Where it is named.
        span: Span,
    },
    /// The result is nested too deeply.
    #[error("with its macros resolved, the condition exceeds the depth limit of {limit}")]
    TooDeep {
        /// The limit.
        limit: usize,
        /// The node at which it was reached.
        span: Span,
    },
}

impl Expr {
    /// Where the node is written.
    pub fn span(&self) -> Span {
        match self {
            Expr::And(_, span) | Expr::Or(_, span) | Expr::Not(_, span) | Expr::Macro { span, .. } => *span,
            Expr::Check(check) => check.span,
        }
    }

    /// Calls `each` with every node, parents first.
    pub fn walk<'a>(&'a self, each: &mut dyn FnMut(&'a Expr)) {
        let mut stack = vec![self];
        while let Some(node) = stack.pop() {
            each(node);
            match node {
                Expr::And(children, _) | Expr::Or(children, _) => stack.extend(children.iter().rev()),
                Expr::Not(child, _) => stack.push(child),
                Expr::Macro { .. } | Expr::Check(_) => {}
            }
        }
    }

    /// The macros it refers to, in order, repetitions included.
    pub fn macros(&self) -> Vec<(&str, Span)> {
        let mut found = Vec::new();
        self.walk(&mut |node| {
            if let Expr::Macro { name, span } = node {
                found.push((name.as_str(), *span));
            }
        });
        found
    }

    /// A copy with every macro replaced by what `lookup` returns for it. What it returns is put in as it is: it has to be
    /// free of macros already (or they stay, and [`super::compile`] refuses them). All undefined macros are reported.
    pub fn resolve_macros(
        &self,
        lookup: &mut dyn FnMut(&str, Span) -> Option<Expr>,
    ) -> Result<Expr, Vec<MacroError>> {
        let mut errors = Vec::new();
        let resolved = self.replace(lookup, &mut errors);
        let depth = resolved.depth();
        if depth > super::MAX_DEPTH {
            errors.push(MacroError::TooDeep {
                limit: super::MAX_DEPTH,
                span: self.span(),
            });
        }
        if errors.is_empty() {
            Ok(resolved)
        } else {
            Err(errors)
        }
    }

    fn replace(
        &self,
        lookup: &mut dyn FnMut(&str, Span) -> Option<Expr>,
        errors: &mut Vec<MacroError>,
    ) -> Expr {
        match self {
            Expr::And(children, span) => Expr::And(
                children.iter().map(|c| c.replace(lookup, errors)).collect(),
                *span,
            ),
            Expr::Or(children, span) => Expr::Or(
                children.iter().map(|c| c.replace(lookup, errors)).collect(),
                *span,
            ),
            Expr::Not(child, span) => Expr::Not(Box::new(child.replace(lookup, errors)), *span),
            Expr::Macro { name, span } => lookup(name, *span).unwrap_or_else(|| {
                errors.push(MacroError::Undefined {
                    name: name.clone(),
                    span: *span,
                });
                self.clone()
            }),
            Expr::Check(_) => self.clone(),
        }
    }

    /// How deep the tree is; 1 for a leaf.
    pub fn depth(&self) -> usize {
        let mut deepest = 0;
        let mut stack = vec![(self, 1)];
        while let Some((node, depth)) = stack.pop() {
            deepest = deepest.max(depth);
            match node {
                Expr::And(children, _) | Expr::Or(children, _) => {
                    stack.extend(children.iter().map(|c| (c, depth + 1)));
                }
                Expr::Not(child, _) => stack.push((child, depth + 1)),
                Expr::Macro { .. } | Expr::Check(_) => {}
            }
        }
        deepest
    }
}
