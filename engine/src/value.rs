//! The value of a field on one event.

use std::net::IpAddr;

use lanner_schema::view::Given;

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

    /// How it is compared.
    pub fn class(self) -> Class {
        let number = |signed, bits| Class::Number { signed, bits };
        match self {
            FieldType::Bool => Class::Bool,
            FieldType::Int16 | FieldType::Int32 => number(true, 32),
            FieldType::Int64 => number(true, 64),
            FieldType::Uint32 => number(false, 32),
            FieldType::Uint64 | FieldType::RelTime | FieldType::AbsTime | FieldType::Double => {
                number(false, 64)
            }
            FieldType::Port => Class::Port,
            FieldType::CharBuf => Class::Text,
            FieldType::ByteBuf => Class::Bytes,
            FieldType::IpAddr => Class::Address,
            FieldType::IpNet => Class::Network,
            FieldType::Dyn | FieldType::Opaque => Class::Opaque,
        }
    }
}
