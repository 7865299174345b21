//! The value of a field on one event.

use std::net::IpAddr;

use lanner_schema::view::Given;

use crate::suggest::nearest;

/// A value, borrowed from the event or from the buffer it was built in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// True or false.
    Bool(bool),
    /// A signed number.
    I64(i64),
    /// An unsigned number.
    U64(u64),
    /// A fraction.
    F64(f64),
    /// Text or bytes; text need not be valid UTF-8.
    Bytes(&'a [u8]),
    /// An address.
    Ip(IpAddr),
}

impl<'a> From<&'a Given> for Value<'a> {
    fn from(given: &'a Given) -> Value<'a> {
        match given {
            Given::Bool(value) => Value::Bool(*value),
            Given::I64(value) => Value::I64(*value),
            Given::U64(value) => Value::U64(*value),
            Given::F64(value) => Value::F64(*value),
            Given::Bytes(bytes) => Value::Bytes(bytes),
            Given::Ip(ip) => Value::Ip(*ip),
        }
    }
}

impl From<Value<'_>> for Given {
    fn from(value: Value<'_>) -> Given {
        match value {
            Value::Bool(value) => Given::Bool(value),
            Value::I64(value) => Given::I64(value),
            Value::U64(value) => Given::U64(value),
            Value::F64(value) => Given::F64(value),
            Value::Bytes(bytes) => Given::Bytes(bytes.to_vec()),
            Value::Ip(ip) => Given::Ip(ip),
        }
    }
}

impl<'a> Value<'a> {
    /// Text.
    pub fn text(text: &'a str) -> Value<'a> {
        Value::Bytes(text.as_bytes())
    }

    /// The bytes of a text or byte value.
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The number, wide enough for both kinds.
    pub fn number(self) -> Option<i128> {
        match self {
            Value::I64(value) => Some(value.into()),
            Value::U64(value) => Some(value.into()),
            _ => None,
        }
    }
}

/// What a field's values are: Falco's types, as `--list` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names are Falco's
pub enum FieldType {
    Bool,
    Int16,
    Int32,
    Int64,
    Uint32,
    Uint64,
    RelTime,
    AbsTime,
    Port,
    Double,
    CharBuf,
    ByteBuf,
    IpAddr,
    IpNet,
    /// The type of the event parameter it names (`evt.rawarg`).
    Dyn,
    /// Has a value, but no operator except `exists` (user and group ids in `evt.rawarg`).
    Opaque,
}

/// How a type is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// True or false.
    Bool,
    /// An integer.
    Number {
        /// True when negative values stay negative.
        signed: bool,
        /// Width of a constant.
        bits: u8,
    },
    /// A port number.
    Port,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// An address.
    Address,
    /// An address, against networks.
    Network,
    /// Only its existence can be tested.
    Opaque,
}

/// Falco's names of types, and what each is compared as.
const NAMES: &[(&str, FieldType)] = &[
    ("BOOL", FieldType::Bool),
    ("INT8", FieldType::Int16),
    ("INT16", FieldType::Int16),
    ("INT32", FieldType::Int32),
    ("INT64", FieldType::Int64),
    ("UINT8", FieldType::Uint32),
    ("UINT16", FieldType::Uint32),
    ("UINT32", FieldType::Uint32),
    ("UINT64", FieldType::Uint64),
    ("ERRNO", FieldType::Int64),
    ("FD", FieldType::Int64),
    ("PID", FieldType::Int64),
    ("SYSCALLID", FieldType::Uint32),
    ("SIGTYPE", FieldType::Uint32),
    ("L4PROTO", FieldType::Uint32),
    ("SOCKFAMILY", FieldType::Uint32),
    ("FLAGS8", FieldType::Uint32),
    ("FLAGS16", FieldType::Uint32),
    ("FLAGS32", FieldType::Uint32),
    ("ENUMFLAGS8", FieldType::Uint32),
    ("ENUMFLAGS16", FieldType::Uint32),
    ("ENUMFLAGS32", FieldType::Uint32),
    ("MODE", FieldType::Uint32),
    ("RELTIME", FieldType::RelTime),
    ("ABSTIME", FieldType::AbsTime),
    ("PORT", FieldType::Port),
    ("DOUBLE", FieldType::Double),
    ("CHARBUF", FieldType::CharBuf),
    ("FSPATH", FieldType::CharBuf),
    ("FSRELPATH", FieldType::CharBuf),
    ("BYTEBUF", FieldType::ByteBuf),
    ("IPADDR", FieldType::IpAddr),
    ("IPV4ADDR", FieldType::IpAddr),
    ("IPV6ADDR", FieldType::IpAddr),
    ("IPNET", FieldType::IpNet),
    ("IPV4NET", FieldType::IpNet),
    ("IPV6NET", FieldType::IpNet),
    ("UID", FieldType::Opaque),
    ("GID", FieldType::Opaque),
    ("DYN", FieldType::Dyn),
    ("DYNAMIC", FieldType::Dyn),
];

/// No type has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown type '{name}'")]
pub struct UnknownType {
    name: String,
    nearest: Option<&'static str>,
}

impl UnknownType {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self.nearest {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => "types are CHARBUF, BYTEBUF, BOOL, INT64, UINT64, DOUBLE, IPADDR, IPNET, PORT, RELTIME, ABSTIME \
                     and Falco's others; a list is LIST(CHARBUF)"
                .into(),
        }
    }
}

impl FieldType {
    /// Falco's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            FieldType::Bool => "BOOL",
            FieldType::Int16 => "INT16",
            FieldType::Int32 => "INT32",
            FieldType::Int64 => "INT64",
            FieldType::Uint32 => "UINT32",
            FieldType::Uint64 => "UINT64",
            FieldType::RelTime => "RELTIME",
            FieldType::AbsTime => "ABSTIME",
            FieldType::Port => "PORT",
            FieldType::Double => "DOUBLE",
            FieldType::CharBuf => "CHARBUF",
            FieldType::ByteBuf => "BYTEBUF",
            FieldType::IpAddr => "IPADDR",
            FieldType::IpNet => "IPNET",
            FieldType::Dyn | FieldType::Opaque => "DYNAMIC",
        }
    }

    /// Reads one of Falco's names of types, in any case and with or without `PT_`: those of `--list`, and those event
    /// parameters have, which become the type they are compared as.
    pub fn from_name(name: &str) -> Option<FieldType> {
        let name = name.trim().to_ascii_uppercase();
        let name = name.strip_prefix("PT_").unwrap_or(&name);
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, ty)| *ty)
    }

    /// Reads a type as somebody declares it: `CHARBUF`, or for a list of them `LIST(CHARBUF)` or `CHARBUF[]`; true for a
    /// list.
    ///
    /// # Errors
    /// When no type has this name.
    pub fn declared(text: &str) -> Result<(FieldType, bool), UnknownType> {
        let text = text.trim();
        let in_parentheses = || {
            let (word, rest) = text.split_once('(')?;
            let item = rest.strip_suffix(')')?;
            word.trim().eq_ignore_ascii_case("list").then_some(item)
        };
        let item = text.strip_suffix("[]").or_else(in_parentheses);
        let name = item.unwrap_or(text).trim();
        match FieldType::from_name(name) {
            Some(ty) => Ok((ty, item.is_some())),
            None => Err(UnknownType {
                name: name.to_owned(),
                nearest: nearest(name, NAMES.iter().map(|(known, _)| *known)),
            }),
        }
    }

    /// How it is compared.
    pub fn class(self) -> Class {
        let number = |signed, bits| Class::Number { signed, bits };
        match self {
            FieldType::Bool => Class::Bool,
            FieldType::Int16 | FieldType::Int32 => number(true, 32),
            FieldType::Int64 | FieldType::Double => number(true, 64),
            FieldType::Uint32 => number(false, 32),
            FieldType::Uint64 | FieldType::RelTime | FieldType::AbsTime => number(false, 64),
            FieldType::Port => Class::Port,
            FieldType::CharBuf => Class::Text,
            FieldType::ByteBuf => Class::Bytes,
            FieldType::IpAddr => Class::Address,
            FieldType::IpNet => Class::Network,
            FieldType::Dyn | FieldType::Opaque => Class::Opaque,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_by_falcos_names() {
        for (text, expected) in [
            ("CHARBUF", (FieldType::CharBuf, false)),
            ("charbuf", (FieldType::CharBuf, false)),
            ("PT_FSPATH", (FieldType::CharBuf, false)),
            ("LIST(CHARBUF)", (FieldType::CharBuf, true)),
            ("list( uint64 )", (FieldType::Uint64, true)),
            ("IPADDR[]", (FieldType::IpAddr, true)),
            ("gid", (FieldType::Opaque, false)),
            ("ENUMFLAGS8", (FieldType::Uint32, false)),
        ] {
            assert_eq!(FieldType::declared(text), Ok(expected), "{text}");
        }
        for (name, ty) in NAMES {
            assert!(FieldType::from_name(ty.name()).is_some(), "{name}");
        }
        let error = FieldType::declared("CHARBFU").unwrap_err();
        assert_eq!(error.to_string(), "unknown type 'CHARBFU'");
        assert_eq!(error.hint(), "did you mean CHARBUF?");
        assert!(FieldType::declared("LIST(CHARBUF").is_err());
        assert!(
            FieldType::declared("")
                .unwrap_err()
                .hint()
                .contains("LIST(CHARBUF)")
        );
    }
}
