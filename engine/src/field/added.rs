//! Rows of fields that no table has: those a configuration or a person adds. Their names are not in the rows.

use super::{ArgForm, Extract, Field, Flags};
use crate::value::FieldType;

const fn added(ty: FieldType, list: bool) -> Field {
    Field {
        name: "",
        ty,
        arg: ArgForm::IndexOrKey,
        list,
        flags: Flags::NONE,
        doc: "Added to the fields of the source.",
        extract: Extract::Unfilled,
    }
}

macro_rules! rows {
    ($($ty:ident)*) => {
        /// The row of an added field.
        pub(super) fn row(ty: FieldType, list: bool) -> &'static Field {
            match ty {
                $(FieldType::$ty => {
                    static ROWS: [Field; 2] = [added(FieldType::$ty, false), added(FieldType::$ty, true)];
                    &ROWS[usize::from(list)]
                })*
            }
        }
    };
}

rows! { Bool Int16 Int32 Int64 Uint32 Uint64 RelTime AbsTime Port Double CharBuf ByteBuf IpAddr IpNet Dyn Opaque }
