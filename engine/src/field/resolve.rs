//! A field's name and argument → a row and a checked argument.

use std::sync::Arc;

use lanner_schema::event::{DEDICATED_COUNT, EVENTS, Event, FdUse, Needs, ParamType, ProcessField};
use lanner_schema::view::EventView;

use super::param_names::PARAM_NAMES;
use super::{Arg, ArgForm, Extract, Field, added, param, process};
use crate::condition::Glob;
use crate::scope::{Added, Scope};
use crate::suggest::nearest;
use crate::value::{FieldType, Value};

/// Why a field cannot be used as it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// No field has this name.
    #[error("nonexistent field '{name}'")]
    Unknown {
        /// The name.
        name: String,
        /// The closest name there is.
        nearest: Option<String>,
    },
    /// The field needs an argument.
    #[error("field '{name}' needs an argument: {name}{form}")]
    ArgRequired {
        /// The name.
        name: String,
        /// Its form.
        form: &'static str,
    },
    /// The field takes no argument.
    #[error("field '{name}' takes no argument")]
    ArgRefused {
        /// The name.
        name: String,
    },
    /// The argument has to be a number.
    #[error("'{arg}' is not a valid index for field '{name}'")]
    BadIndex {
        /// The name.
        name: String,
        /// The argument.
        arg: String,
    },
    /// No event has such a parameter.
    #[error("unknown event argument '{arg}'")]
    UnknownParam {
        /// The argument.
        arg: String,
        /// The closest parameter there is.
        nearest: Option<&'static str>,
    },
    /// No event has this name.
    #[error("unknown event type {name}")]
    UnknownEvent {
        /// The name.
        name: String,
        /// The closest name there is.
        nearest: Option<&'static str>,
    },
}

impl FieldError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            FieldError::Unknown { nearest, .. } => Some(match nearest {
                Some(nearest) => format!("did you mean {nearest}?"),
                None => "'lanner --list' prints every field".into(),
            }),
            FieldError::UnknownParam { nearest, .. } | FieldError::UnknownEvent { nearest, .. } => {
                nearest.map(|nearest| format!("did you mean {nearest}?"))
            }
            FieldError::BadIndex { .. } => Some("an index is digits only, without leading zeros".into()),
            FieldError::ArgRequired { .. } | FieldError::ArgRefused { .. } => None,
        }
    }

    /// True for names that do not exist: what `skip-if-unknown-filter` excuses.
    pub fn is_unknown_name(&self) -> bool {
        matches!(self, FieldError::Unknown { .. } | FieldError::UnknownEvent { .. })
    }
}

/// A field with its argument, ready to be read.
#[derive(Debug, Clone)]
pub struct FieldRef {
    /// Its row.
    pub row: &'static Field,
    /// Its argument.
    pub arg: Arg,
    /// The type of its values: the row's, except for `evt.rawarg`.
    pub ty: FieldType,
    /// True when its value is a list.
    pub list: bool,
    pub(crate) origin: ValueOrigin,
}

/// Where a field's values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ValueOrigin {
    /// The event, through its row's extractor.
    Event,
    /// Somebody's hand, under this text.
    Given(Arc<str>),
    /// It is this text on every event.
    Constant {
        /// The field.
        name: Box<str>,
        /// Its value.
        text: Arc<str>,
    },
}

/// An index: digits only, no leading zero.
fn index(text: &str) -> Option<usize> {
    if text.len() > 1 && text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

impl FieldRef {
    /// Resolves a name of the first source (dot arguments included) and the text between its brackets.
    pub fn resolve(name: &str, arg: Option<&str>) -> Result<FieldRef, FieldError> {
        Self::resolve_in(&Scope::default(), name, arg)
    }

    /// Resolves a name (dot arguments included) and the text between its brackets.
    pub fn resolve_in(scope: &Scope, name: &str, arg: Option<&str>) -> Result<FieldRef, FieldError> {
        if let Some(added) = scope.added(name) {
            return Self::added(added, name, arg);
        }
        let mut field = Self::of_source(scope, name, arg)?;
        if scope.is_given() {
            field.origin = ValueOrigin::Given(field.text().into());
        }
        Ok(field)
    }

    /// False when nothing of this name can be resolved; cheaper than to try.
    pub(crate) fn may_resolve(scope: &Scope, name: &str) -> bool {
        let dots = name.match_indices('.').map(|(dot, _)| &name[..dot]);
        scope.added(name).is_some()
            || std::iter::once(name)
                .chain(dots)
                .any(|name| scope.source().field(name).is_some())
    }

    fn added(added: &Added, name: &str, arg: Option<&str>) -> Result<FieldRef, FieldError> {
        match added {
            Added::Constant(_) if arg.is_some() => Err(FieldError::ArgRefused {
                name: name.to_owned(),
            }),
            Added::Constant(text) => {
                let mut field = Self::plain(added::row(FieldType::CharBuf, false), Arg::None);
                field.origin = ValueOrigin::Constant {
                    name: name.into(),
                    text: Arc::clone(text),
                };
                Ok(field)
            }
            Added::Declared { ty, list } => {
                let mut field = Self::plain(added::row(*ty, *list), Arg::None);
                field.origin = ValueOrigin::Given(match arg {
                    Some(arg) => format!("{name}[{arg}]").into(),
                    None => name.into(),
                });
                Ok(field)
            }
        }
    }

    fn of_source(scope: &Scope, name: &str, arg: Option<&str>) -> Result<FieldRef, FieldError> {
        if let Some(row) = scope.source().field(name) {
            return Self::with_bracket(row, name, arg);
        }
        // A dot argument: the longest prefix that is a field.
        let mut end = name.len();
        while let Some(dot) = name[..end].rfind('.') {
            if let Some(row) = scope.source().field(&name[..dot]) {
                return Self::with_dot(scope, row, name, &name[dot + 1..], arg);
            }
            end = dot;
        }
        Err(unknown(scope, name))
    }

    fn plain(row: &'static Field, arg: Arg) -> FieldRef {
        FieldRef {
            row,
            arg,
            ty: row.ty,
            list: row.list,
            origin: ValueOrigin::Event,
        }
    }

    fn with_bracket(row: &'static Field, name: &str, arg: Option<&str>) -> Result<FieldRef, FieldError> {
        let Some(arg) = arg else {
            if row.arg.is_required() {
                return Err(FieldError::ArgRequired {
                    name: name.to_owned(),
                    form: row.arg.describe(),
                });
            }
            return Ok(Self::plain(row, Arg::None));
        };
        let bad_index = || FieldError::BadIndex {
            name: name.to_owned(),
            arg: arg.to_owned(),
        };
        let key = || Arg::Key(arg.into());
        Ok(match row.arg {
            ArgForm::Index | ArgForm::RequiredIndex | ArgForm::Param => {
                Self::plain(row, Arg::Index(index(arg).ok_or_else(bad_index)?))
            }
            ArgForm::Key | ArgForm::RequiredKey => Self::plain(row, key()),
            ArgForm::IndexOrKey => Self::plain(row, index(arg).map_or_else(key, Arg::Index)),
            ArgForm::RequiredIndexOrPattern => {
                let pattern = || Arg::Pattern(arg.into(), Glob::new(arg.as_bytes(), false));
                Self::plain(row, index(arg).map_or_else(pattern, Arg::Index))
            }
            ArgForm::ParamName | ArgForm::EventType | ArgForm::DotName => {
                return Err(FieldError::ArgRequired {
                    name: name.to_owned(),
                    form: row.arg.describe(),
                });
            }
            ArgForm::None | ArgForm::Side => {
                return Err(FieldError::ArgRefused {
                    name: name.to_owned(),
                });
            }
        })
    }

    fn with_dot(
        scope: &Scope,
        row: &'static Field,
        name: &str,
        dot: &str,
        arg: Option<&str>,
    ) -> Result<FieldRef, FieldError> {
        if arg.is_some() {
            return Err(if row.arg == ArgForm::None {
                unknown(scope, name)
            } else {
                FieldError::ArgRefused {
                    name: name.to_owned(),
                }
            });
        }
        match row.arg {
            ArgForm::Param | ArgForm::ParamName => {
                let (indexes, ty) = param_indexes(dot).ok_or_else(|| FieldError::UnknownParam {
                    arg: dot.to_owned(),
                    nearest: nearest(dot, PARAM_NAMES.iter().map(|(name, _)| *name)),
                })?;
                let mut field = Self::plain(row, Arg::Param(dot.into(), indexes));
                if row.arg == ArgForm::ParamName {
                    field.ty = ty;
                }
                Ok(field)
            }
            ArgForm::EventType => {
                let names = scope.source().event_names();
                // Falco's event codes are its own: no event of Lanner has a number.
                if dot.parse::<u16>().is_err() && names.binary_search(&dot).is_err() {
                    return Err(FieldError::UnknownEvent {
                        name: dot.to_owned(),
                        nearest: nearest(dot, names.iter().copied()),
                    });
                }
                let events = scope.source().event(scope.source().event_name(dot));
                let events = events.into_iter().collect();
                Ok(Self::plain(row, Arg::Events(dot.into(), events)))
            }
            ArgForm::DotName => Ok(Self::plain(row, Arg::Key(dot.into()))),
            ArgForm::Side if matches!(dot, "src" | "dst") => Ok(Self::plain(row, Arg::Key(dot.into()))),
            // The dotted form of a key, as in container.label.app.
            ArgForm::RequiredKey => Ok(Self::plain(row, Arg::Key(dot.into()))),
            _ => Err(unknown(scope, name)),
        }
    }

    /// Under which text the values of `proc.args` are given when they are given argument by argument: it is the one field
    /// that is a text for most and a list where one is asked for. `None` for every other field.
    pub(crate) fn arguments(&self) -> Option<&'static str> {
        (self.row.name == "proc.args" && self.arg == Arg::None).then_some("proc.args[]")
    }

    /// How the field is read from the event; `None` when its values come from elsewhere.
    pub(crate) fn extract(&self) -> Option<Extract> {
        (self.origin == ValueOrigin::Event).then_some(self.row.extract)
    }

    /// Reads the field. For fields with several values (see [`FieldRef::each`]): the first.
    pub fn get<'b>(&self, view: &EventView<'b>, buf: &'b mut Vec<u8>) -> Option<Value<'b>> {
        match (&self.origin, self.row.extract, &self.arg) {
            (ValueOrigin::Event, Extract::Unfilled, _) => None,
            (ValueOrigin::Event, Extract::Plain(get), _) => get(view),
            (ValueOrigin::Event, Extract::One(get) | Extract::Mostly(_, get), arg) => get(view, arg, buf),
            (ValueOrigin::Event, Extract::Ancestor(get), Arg::Index(n)) => {
                process::ancestor(view, *n).map(get)
            }
            (ValueOrigin::Event, Extract::Ancestor(get), _) => process::ancestor(view, 1).map(get),
            (ValueOrigin::Event, Extract::Any(each), arg) => {
                let mut first = None;
                each(view, arg, &mut |value| {
                    first = Some(value);
                    true
                });
                first
            }
            (ValueOrigin::Event, Extract::Ends(ends), _) => ends(view).into_iter().flatten().next(),
            (ValueOrigin::Event, Extract::Names(of), _) => view
                .system
                .names_of(of(view)?)
                .first()
                .map(|name| Value::text(name)),
            (ValueOrigin::Given(text), ..) => view.system.given(text).first().map(Value::from),
            (ValueOrigin::Constant { text, .. }, ..) => {
                buf.extend_from_slice(text.as_bytes());
                Some(Value::Bytes(buf))
            }
        }
    }

    /// True when the field stands for several values at once, of which any may match.
    pub fn is_many(&self) -> bool {
        match self.row.extract {
            Extract::Ancestor(_) => !matches!(self.arg, Arg::Index(_)),
            Extract::Any(_) | Extract::Ends(_) | Extract::Names(_) => true,
            Extract::Unfilled | Extract::Plain(_) | Extract::Mostly(..) | Extract::One(_) => false,
        }
    }

    /// True for both ends of a socket and for host names: `!=` needs all of them to differ.
    pub fn is_ends(&self) -> bool {
        matches!(self.row.extract, Extract::Ends(_) | Extract::Names(_))
    }

    /// True for host names.
    pub fn is_names(&self) -> bool {
        matches!(self.row.extract, Extract::Names(_))
    }

    /// Calls `each` with every value of a field with several, until it returns true.
    pub fn each<'b>(&self, view: &EventView<'b>, each: &mut dyn FnMut(Value<'b>) -> bool) {
        if let ValueOrigin::Given(text) = &self.origin {
            for value in view.system.given(text) {
                if each(Value::from(value)) {
                    return;
                }
            }
            return;
        }
        match self.row.extract {
            Extract::Ancestor(get) => process::ancestors(view, &mut |p| each(get(p))),
            Extract::Any(walk) => walk(view, &self.arg, each),
            Extract::Names(of) => {
                let Some(address) = of(view) else { return };
                let names = view.system.names_of(address);
                if names.is_empty() {
                    each(Value::text(""));
                }
                for name in names {
                    if each(Value::text(name)) {
                        return;
                    }
                }
            }
            Extract::Ends(ends) => {
                for value in ends(view).into_iter().flatten() {
                    if each(value) {
                        return;
                    }
                }
            }
            Extract::Unfilled | Extract::Plain(_) | Extract::Mostly(..) | Extract::One(_) => {}
        }
    }

    /// The field as it is written, argument included.
    pub fn text(&self) -> String {
        match &self.origin {
            ValueOrigin::Event => {}
            ValueOrigin::Given(text) => return text.to_string(),
            ValueOrigin::Constant { name, .. } => return name.to_string(),
        }
        let name = self.row.name;
        match (&self.arg, self.row.arg) {
            (Arg::None, _) => name.to_owned(),
            (Arg::Index(n), _) => format!("{name}[{n}]"),
            (Arg::Key(key), ArgForm::DotName | ArgForm::Side) => format!("{name}.{key}"),
            (Arg::Key(key) | Arg::Pattern(key, _), _) => format!("{name}[{key}]"),
            (Arg::Param(param, _), _) => format!("{name}.{param}"),
            (Arg::Events(event, _), _) => format!("{name}.{event}"),
        }
    }

    /// True when the field tells of a process what other calls than execs change ([`lanner_schema::event::Needs`]).
    pub fn reads_task_state(&self) -> bool {
        process::changes_between_execs(self.row.name)
    }

    /// The parameters of `event` the field reads that are captured on demand only, as bits.
    pub fn on_demand(&self, event: Event) -> u32 {
        let row = event.row();
        let bit = |index: usize| match row.params.get(index) {
            Some(param) if param.on_demand => 1 << index,
            _ => 0,
        };
        let object = || row.fd.object().map_or(0, |index| bit(index.into()));
        let of_type = |is: fn(ParamType) -> bool| {
            let found = row.params.iter().position(|p| is(p.ty));
            found.map_or(0, bit)
        };
        let polled = || of_type(|ty| ty == ParamType::FdList);
        let polled_objects = || of_type(|ty| matches!(ty, ParamType::Objects(_)));
        // A descriptor prints as what it refers to; one that was just opened has the name that was passed.
        let printed = |index: usize| match row.fd {
            _ if row.params[index].ty == ParamType::FdList => polled() | polled_objects(),
            _ if row.params[index].ty != ParamType::Fd => bit(index),
            FdUse::Opens { .. } if index == 0 => bit(index),
            FdUse::Copies { .. } => object(),
            // Its ends are there anyway.
            FdUse::Socket { fd, .. } if usize::from(fd) == index => 0,
            _ if row.is_other_number(index) => object(),
            _ => row.object_of(index).map_or(0, bit),
        };
        let visible = |index: &usize| !row.params[*index].hidden;
        match (&self.arg, param::reads(self.row.name)) {
            (Arg::Param(..), param::Reads::None) => param::index(event, &self.arg).map_or(0, bit),
            (Arg::Param(..) | Arg::Index(_), param::Reads::Indexed) => {
                param::index(event, &self.arg).map_or(0, printed)
            }
            (_, param::Reads::All) => (0..row.params.len())
                .filter(visible)
                .fold(0, |bits, index| bits | printed(index)),
            (_, param::Reads::Named(name)) => row.param(name).map_or(0, bit),
            (_, param::Reads::Object) => object(),
            (_, param::Reads::Polled) => polled(),
            (_, param::Reads::PolledObjects) => polled() | polled_objects(),
            (_, param::Reads::Layer) => match row.fd {
                FdUse::Opens { .. } => row.object_of(0).map_or(0, bit),
                _ => object(),
            },
            (_, param::Reads::ObjectOr(name)) => match (row.param(name), row.fd) {
                (Some(param), _) => bit(param),
                // The inode is among what is known of a socket anyway.
                (None, FdUse::Socket { fd, .. }) if name == "dev" => row.object_of(fd.into()).map_or(0, bit),
                (None, _) => object(),
            },
            (_, param::Reads::RealNames) => row
                .real_paths()
                .fold(0, |bits, (_, real)| bits | bit(real.into())),
            (_, param::Reads::Path) => param::path_index_of(event, self.row.name).map_or(0, bit),
            _ => 0,
        }
    }

    /// The parameters of `event` with what the kernel calls that whose name the field reads there, as bits.
    pub fn real_names(&self, event: Event) -> u32 {
        let row = event.row();
        let real = |path: usize| row.real_path_of(path).map_or(0, |index| 1 << index);
        let opened = || match row.fd {
            FdUse::Opens { path, .. } => real(path.into()),
            _ => 0,
        };
        match self.row.name {
            _ if self.origin != ValueOrigin::Event => 0,
            "fd.name" | "fd.directory" | "fd.filename" | "fd.containername" | "fd.containerdirectory" => {
                opened()
            }
            "evt.args" | "evt.info" => row.real_paths().fold(0, |bits, (_, real)| bits | 1 << real),
            "evt.arg" => match param::index(event, &self.arg) {
                // A descriptor prints with its name.
                Some(0) => opened() | real(0),
                Some(index) => real(index),
                None => 0,
            },
            "evt.abspath" => {
                let path = param::absolute_param(event, &self.arg).and_then(|name| row.param(name));
                path.map_or(0, real)
            }
            "fs.path.name" | "fs.path.source" | "fs.path.target" => {
                param::path_index_of(event, self.row.name).map_or(0, real)
            }
            _ => 0,
        }
    }

    /// Adds what the field reads on `event` that is captured or kept on demand only.
    pub fn add_needs(&self, event: Event, needs: &mut Needs) {
        needs.params[event as usize] |= self.on_demand(event);
        needs.task[event as usize] |= process::task_values(self.row.name);
        needs.environment |= matches!(self.row.name, "proc.env" | "proc.aenv");
        needs.cgroups |= matches!(self.row.name, "thread.cgroups" | "thread.cgroup");
        let params = event.row().params;
        let read = match (&self.arg, param::reads(self.row.name)) {
            (_, param::Reads::All) => params,
            (Arg::Param(..) | Arg::Index(_), param::Reads::None | param::Reads::Indexed) => {
                param::index(event, &self.arg).map_or(&[][..], |index| &params[index..=index])
            }
            _ => &[],
        };
        for param in read {
            match param.state {
                Some(ProcessField::Task(value)) => needs.task[event as usize] |= value.bit(),
                Some(ProcessField::Env) => needs.environment = true,
                Some(ProcessField::Cgroups) => needs.cgroups = true,
                _ => {}
            }
        }
    }
}

fn unknown(scope: &Scope, name: &str) -> FieldError {
    FieldError::Unknown {
        name: name.to_owned(),
        nearest: nearest(name, scope.names()).map(str::to_owned),
    }
}

type Indexes = Box<[u8]>;

/// Where a parameter is in every description of events, and its type in the first that has it.
fn param_indexes(name: &str) -> Option<(Indexes, FieldType)> {
    let mut indexes = vec![u8::MAX; DEDICATED_COUNT + 1].into_boxed_slice();
    let mut ty = None;
    let rows = EVENTS.iter().take(indexes.len()).zip(&mut indexes);
    for (row, index) in rows.filter(|(row, _)| !row.is_internal()) {
        if let Some(at) = row.params.iter().position(|p| p.name == name && p.has_name()) {
            *index = u8::try_from(at).unwrap_or(u8::MAX);
            ty.get_or_insert(param::field_type(row.params[at].ty));
        }
    }
    let listed = PARAM_NAMES
        .binary_search_by_key(&name, |(name, _)| name)
        .ok()
        .map(|at| PARAM_NAMES[at].1);
    Some((indexes, ty.or(listed)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The on-demand parameters of `event` that the field asks for, by name.
    fn asks(field: &str, event: Event) -> Vec<&'static str> {
        let (name, arg) = match field.strip_suffix(']').and_then(|field| field.split_once('[')) {
            Some((name, arg)) => (name, Some(arg)),
            None => (field, None),
        };
        let bits = FieldRef::resolve(name, arg).unwrap().on_demand(event);
        let params = event.row().params.iter().enumerate();
        params
            .filter(|(index, _)| bits >> index & 1 == 1)
            .map(|(_, p)| p.name)
            .collect()
    }

    #[test]
    fn a_descriptor_is_looked_at_only_where_a_field_is_about_it() {
        use Event as E;
        for (field, event, expected) in [
            ("fd.name", E::Fchmod, &["object"][..]),
            ("fd.typechar", E::Dup2, &["object"]),
            ("fd.ino", E::Dup2, &["object"]),
            ("fd.sip", E::Setns, &["object"]),
            ("fd.num", E::Fchmod, &[]),
            ("fd.uid", E::Dup, &[]),
            ("fd.name", E::Connect, &[]),
            ("fd.ino", E::Connect, &[]),
            ("fd.dev", E::Connect, &["object"]),
            ("fd.dev.minor", E::Accept, &["object"]),
            ("fd.name", E::Close, &["object"]),
            ("fd.num", E::Close, &[]),
            ("fd.name", E::Unlinkat, &[]),
            ("proc.name", E::Fchmod, &[]),
            ("evt.type", E::Fchmod, &[]),
            // The name of what was opened is what was passed, its type what was asked for.
            ("fd.name", E::Openat, &[]),
            ("fd.ino", E::Openat, &["ino"]),
            ("fd.dev.major", E::Openat, &["dev"]),
            ("fd.is_upper_layer", E::Openat, &["object"]),
            ("fs.path.name", E::Fchmod, &["object"]),
            ("fs.path.name", E::Openat, &[]),
        ] {
            assert_eq!(asks(field, event), expected, "{field} on {event:?}");
        }
    }

    #[test]
    fn a_descriptor_that_is_printed_is_looked_at() {
        use Event as E;
        for (field, event, expected) in [
            ("evt.arg.fd", E::Fchmod, &["object"][..]),
            ("evt.arg[1]", E::Fchmod, &["object"]),
            ("evt.arg.fd2", E::Pipe2, &["object"]),
            ("evt.arg.res", E::Fcntl, &["object"]),
            ("evt.rawarg.fd", E::Fchmod, &[]),
            ("evt.arg.mode", E::Fchmod, &[]),
            ("evt.arg.oldfd", E::Dup3, &["object"]),
            ("evt.arg.fd", E::Openat, &[]),
            ("evt.arg.dirfd", E::Openat, &["dirfd_object"]),
            ("evt.arg.newdir", E::Linkat, &["newdir_object"]),
            ("evt.arg.name", E::Openat, &[]),
            ("evt.args", E::Fchmod, &["object"]),
            ("evt.arg.fd", E::Close, &["object"]),
            ("evt.rawarg.fd", E::Close, &[]),
            ("evt.args", E::Connect, &["addr"]),
            ("evt.arg.addr", E::Connect, &["addr"]),
            ("evt.args", E::Openat, &["dev", "ino", "dirfd_object"]),
            ("evt.info", E::Renameat, &["olddirfd_object", "newdirfd_object"]),
        ] {
            assert_eq!(asks(field, event), expected, "{field} on {event:?}");
        }
    }
}
