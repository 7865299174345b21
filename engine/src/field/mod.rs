//! Fields: one row each, resolved to functions when a condition or an output is compiled.

mod added;
mod by_event;
mod container;
mod evt;
mod fd;
mod known;
mod lanner;
mod param;
mod param_names;
mod param_text;
mod process;
mod quality;
mod resolve;
mod time;

use std::net::IpAddr;

use lanner_schema::event::EventSet;
use lanner_schema::process::Process;
use lanner_schema::view::EventView;

use crate::condition::Glob;
use crate::value::{FieldType, Value};

pub(crate) use by_event::{is_built, is_decided, param_of};
pub(crate) use evt::is_open;
pub use evt::{hostname, set_hostname};
pub(crate) use known::Knowledge;
pub(crate) use param::{call_path, format as raw_format};
pub(crate) use quality::{quality, quality_from};
pub(crate) use resolve::ValueOrigin;
pub use resolve::{FieldError, FieldRef};
pub use time::{datetime, iso8601, time_of_day};

/// What a field takes as its argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgForm {
    /// Nothing.
    None,
    /// `[N]`, or nothing.
    Index,
    /// `[N]`.
    RequiredIndex,
    /// `[KEY]`, or nothing.
    Key,
    /// `[N]` or `[KEY]`, or nothing.
    IndexOrKey,
    /// `[KEY]`.
    RequiredKey,
    /// `[N]` or `[PATTERN]`.
    RequiredIndexOrPattern,
    /// `.NAME` of an event parameter, or `[N]`.
    Param,
    /// `.NAME` of an event parameter.
    ParamName,
    /// `.NAME` of an event type.
    EventType,
    /// `.NAME`.
    DotName,
    /// Nothing, `.src` or `.dst`.
    Side,
}

impl ArgForm {
    /// True when the field means nothing without it.
    pub fn is_required(self) -> bool {
        use ArgForm as A;
        matches!(
            self,
            A::RequiredIndex
                | A::RequiredKey
                | A::RequiredIndexOrPattern
                | A::Param
                | A::ParamName
                | A::EventType
                | A::DotName
        )
    }

    /// The text `--list` shows.
    pub fn describe(self) -> &'static str {
        match self {
            ArgForm::None => "",
            ArgForm::Index => "[index], optional",
            ArgForm::RequiredIndex => "[index]",
            ArgForm::Key => "[key], optional",
            ArgForm::IndexOrKey => "[index] or [key], optional",
            ArgForm::RequiredKey => "[key]",
            ArgForm::RequiredIndexOrPattern => "[index] or [key]",
            ArgForm::Param => ".NAME or [index]",
            ArgForm::ParamName | ArgForm::EventType | ArgForm::DotName => ".NAME",
            ArgForm::Side => ".src or .dst, optional",
        }
    }
}

/// A field's argument, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg {
    /// None was given.
    None,
    /// A number.
    Index(usize),
    /// A text.
    Key(Box<str>),
    /// A shell pattern.
    Pattern(Box<str>, Glob),
    /// An event parameter: its name, and its index in every event (`u8::MAX` where there is none).
    Param(Box<str>, Box<[u8]>),
    /// An event type: its name, and the event when it is captured.
    Events(Box<str>, EventSet),
}

/// What cannot be done with a field, and what is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// Cannot be compared with another field.
    pub no_rhs: bool,
    /// Cannot be given to a transformer.
    pub no_transformer: bool,
    /// Has no value in an output.
    pub filter_only: bool,
    /// Only for outputs.
    pub print_only: bool,
    /// Kept so that old rules load.
    pub deprecated: bool,
    /// Has the text `<NA>` in place of a missing value, so that comparing with it is unsafe (LOAD_UNSAFE_NA_CHECK).
    pub unsafe_na: bool,
    /// Added to every output when the configuration asks for suggested fields.
    pub suggested: bool,
    /// Printed in hexadecimal.
    pub hex: bool,
    /// Printed with nine digits.
    pub padded: bool,
    /// Not listed.
    pub hidden: bool,
}

impl Flags {
    /// None of them.
    pub const NONE: Flags = Flags {
        no_rhs: false,
        no_transformer: false,
        filter_only: false,
        print_only: false,
        deprecated: false,
        unsafe_na: false,
        suggested: false,
        hex: false,
        padded: false,
        hidden: false,
    };
}

/// Reads a field from the event alone.
pub type PlainFn = for<'b> fn(&EventView<'b>) -> Option<Value<'b>>;
type OneFn = for<'b> fn(&EventView<'b>, &Arg, &'b mut Vec<u8>) -> Option<Value<'b>>;
type EachFn = for<'b> fn(&EventView<'b>, &Arg, &mut dyn FnMut(Value<'b>) -> bool);

/// How a field gets its value.
#[derive(Debug, Clone, Copy)]
pub enum Extract {
    /// Not yet: the field is known, its value is missing.
    Unfilled,
    /// One value, borrowed from the event; no argument changes it.
    Plain(PlainFn),
    /// One value that the first function mostly finds in the event; else the second builds it in the buffer.
    Mostly(PlainFn, OneFn),
    /// One value, borrowed from the event or built in the buffer.
    One(OneFn),
    /// Of the ancestor the index names; without an index of any of them.
    Ancestor(for<'b> fn(&'b Process) -> Value<'b>),
    /// Several values, of which any may match; the callback returns true to stop.
    Any(EachFn),
    /// The host names of an address, of which any may match, or with `!=` none. An address without a name differs from
    /// every name.
    Names(fn(&EventView<'_>) -> Option<IpAddr>),
    /// Both ends of a socket: one has to match, or with `!=` both.
    Ends(for<'b> fn(&EventView<'b>) -> [Option<Value<'b>>; 2]),
}

/// One field.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// The type of its values.
    pub ty: FieldType,
    /// Its argument.
    pub arg: ArgForm,
    /// True when its value is a list.
    pub list: bool,
    /// See [`Flags`].
    pub flags: Flags,
    /// What it is, one sentence.
    pub doc: &'static str,
    /// Where its value comes from.
    pub extract: Extract,
}

/// A class of fields, as `--list` groups them.
#[derive(Debug, Clone, Copy)]
pub struct FieldClass {
    /// Its name, Falco's.
    pub name: &'static str,
    /// What sets it apart from another class of the same name; empty where there is none.
    pub scope: &'static str,
    /// What its fields are about.
    pub doc: &'static str,
    /// The built-in plugin a rule needs for them; empty when it needs none.
    pub plugin: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

/// The fields every source has: when, where and of what source an event is.
pub static EVERY_SOURCE: FieldClass = FieldClass {
    name: "evt",
    scope: "All event types",
    doc: "Any event, of whatever source.",
    plugin: "",
    fields: evt::EVERY_SOURCE,
};

/// Every field of the source `syscall`, by class.
pub static FIELDS: &[FieldClass] = &[
    EVERY_SOURCE,
    FieldClass {
        name: "evt",
        scope: "Syscall events only",
        doc: "The system call itself, its parameters and its result.",
        plugin: "",
        fields: evt::FIELDS,
    },
    FieldClass {
        name: "process",
        scope: "",
        doc: "The process and thread that caused the event, and their ancestors.",
        plugin: "",
        fields: process::FIELDS,
    },
    FieldClass {
        name: "user",
        scope: "",
        doc: "The user the process runs as.",
        plugin: "",
        fields: process::USER_FIELDS,
    },
    FieldClass {
        name: "group",
        scope: "",
        doc: "The group the process runs as.",
        plugin: "",
        fields: process::GROUP_FIELDS,
    },
    FieldClass {
        name: "fd",
        scope: "",
        doc: "The descriptor the event is about: a file, a directory, a socket.",
        plugin: "",
        fields: fd::FIELDS,
    },
    FieldClass {
        name: "util",
        scope: "",
        doc: "For Falco's own tests.",
        plugin: "",
        fields: evt::UTIL_FIELDS,
    },
    FieldClass {
        name: "fs.path",
        scope: "",
        doc: "The paths of file operations that succeeded.",
        plugin: "",
        fields: param::FS_PATH_FIELDS,
    },
    FieldClass {
        name: "fdlist",
        scope: "",
        doc: "The descriptors of a poll.",
        plugin: "",
        fields: fd::LIST_FIELDS,
    },
    FieldClass {
        name: "lanner",
        scope: "",
        doc: "What Lanner knows of the event and Falco has no field for.",
        plugin: "",
        fields: lanner::FIELDS,
    },
    FieldClass {
        name: "container",
        scope: "",
        doc: "The container of the process.",
        plugin: "container",
        fields: container::FIELDS,
    },
    FieldClass {
        name: "k8s",
        scope: "",
        doc: "The Kubernetes pod of the process.",
        plugin: "container",
        fields: container::K8S_FIELDS,
    },
];

/// Every field of the source `syscall`.
pub fn all() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().flat_map(|class| class.fields)
}

/// `name TYPE ARGUMENT [list] [flags] "doc" => extract;`
macro_rules! fields {
    ($( $name:literal $ty:ident $arg:ident [$($flag:ident)*] $doc:literal => $extract:expr; )*) => {
        &[ $( $crate::field::Field {
            name: $name,
            ty: $crate::value::FieldType::$ty,
            arg: $crate::field::ArgForm::$arg,
            list: false $(|| $crate::field::fields!(@list $flag))*,
            flags: {
                #[allow(unused_mut)]
                let mut flags = $crate::field::Flags::NONE;
                $( $crate::field::fields!(@flag flags $flag); )*
                flags
            },
            doc: $doc,
            extract: $extract,
        }, )* ]
    };
    (@list list) => { true };
    (@list $other:ident) => { false };
    (@flag $flags:ident list) => {};
    (@flag $flags:ident $flag:ident) => { $flags.$flag = true; };
}
use fields;
