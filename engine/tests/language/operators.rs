//! Every type with every operator: allowed or refused.

use crate::rows::{LISTS, TYPES, refused, scope};
use lanner_engine::condition::{Operator, compile_in, parse};
use lanner_engine::value::FieldType;

const NUMBERS: &str = "= == != < <= > >= in intersects";
const FEW: &str = "= == != in intersects";
const TEXT: &str =
    "= == != < <= > >= contains icontains startswith endswith glob iglob pmatch regex in intersects";
const BYTES: &str = "= == != contains startswith endswith bcontains bstartswith in intersects";

fn allowed(ty: FieldType) -> &'static str {
    match ty {
        FieldType::Bool | FieldType::IpAddr | FieldType::IpNet => FEW,
        FieldType::CharBuf => TEXT,
        FieldType::ByteBuf => BYTES,
        _ => NUMBERS,
    }
}

const ALL: &str = "= == != < <= > >= contains icontains bcontains startswith bstartswith endswith glob iglob pmatch \
                   regex in intersects";

fn condition(field: &str, operator: &str, constant: &str) -> String {
    match operator {
        "in" | "intersects" | "pmatch" => format!("{field} {operator} ({constant})"),
        _ => format!("{field} {operator} {constant}"),
    }
}

/// Whether the condition compiles; the error names operator and field otherwise.
#[track_caller]
fn is(condition: &str, operator: &str, expected: bool) {
    let compiled = compile_in(&parse(condition).unwrap(), &scope());
    match (compiled, expected) {
        (Ok(_), true) => {}
        (Ok(_), false) => panic!("{condition}: compiles"),
        (Err(errors), true) => panic!("{condition}: {}", errors[0]),
        (Err(errors), false) => {
            let error = errors[0].to_string();
            let named = if operator == "==" { "=" } else { operator };
            assert!(
                error.contains(&format!("'{named}'")) && error.contains("not supported"),
                "{condition}: {error}"
            );
        }
    }
}

#[test]
fn every_type_has_its_operators() {
    assert!(
        Operator::ALL
            .iter()
            .all(|op| ALL.split(' ').any(|word| word == op.word()))
    );
    for (ty, field, constant) in TYPES {
        is(&format!("{field} exists"), "exists", true);
        let allowed = allowed(*ty);
        for operator in ALL.split(' ') {
            let expected = allowed.split(' ').any(|word| word == operator);
            // Order takes only numbers, which addresses are not.
            let constant = if matches!(operator, "<" | "<=" | ">" | ">=") {
                "1"
            } else {
                constant
            };
            is(&condition(field, operator, constant), operator, expected);
        }
    }
}

#[test]
fn lists_have_three_operators() {
    // 13
    for (_, field, constant) in LISTS {
        is(&format!("{field} exists"), "exists", true);
        for operator in ALL.split(' ') {
            let constant = if matches!(operator, "<" | "<=" | ">" | ">=") {
                "1"
            } else {
                constant
            };
            let expected = matches!(operator, "in" | "intersects");
            is(&condition(field, operator, constant), operator, expected);
        }
    }
}

#[test]
fn ids_of_users_in_raw_arguments_only_exist() {
    for operator in ALL.split(' ') {
        is(&condition("evt.rawarg.uid", operator, "1"), operator, false);
    }
    is("evt.rawarg.uid exists", "exists", true);
}

#[test]
fn constants_have_their_fields_type() {
    // 8, 19
    for (_, field, _) in TYPES
        .iter()
        .filter(|(ty, ..)| allowed(*ty) == NUMBERS && *ty != FieldType::Port)
    {
        refused(&[
            (&format!("{field} = x"), "x is not a valid number"),
            (&format!("{field} = ''"), "is not a valid number"),
            (&format!("{field} = '1 2'"), "is not a valid number"),
            (&format!("{field} = 0x1A"), "0x1A is not a valid number"),
            (&format!("{field} < 0x1A"), "0x1A is not a valid number"),
            (&format!("{field} = 1.5"), "1.5 is not a valid number"),
            (&format!("{field} < 1.5"), "1.5 is not a valid number"),
            (&format!("{field} in (1, x)"), "x is not a valid number"),
        ]);
    }
    refused(&[
        ("t.bool = 1", "1 is not a valid boolean"),
        ("t.bool = True", "True is not a valid boolean"),
        ("t.bool = yes", "yes is not a valid boolean"),
        ("t.bool = ''", "is not a valid boolean"),
        ("t.bool in (true, 0)", "0 is not a valid boolean"),
        ("t.port = no-such-service", "no-such-service"),
        ("t.port in (80, no-such-service)", "no-such-service"),
        ("t.ip = host", "host"),
        ("t.ip = 10.0.0", "10.0.0"),
        ("t.ip = 10.0.0.256", "10.0.0.256"),
        ("t.ip = 10.0.0.0/8", "10.0.0.0/8"),
        ("t.ip = 12345", "12345"),
        ("t.ip = ::g", "::g"),
        ("t.ip = ''", ""),
        ("t.ip in (::1, host)", "host"),
        ("t.net = 10.0.0.0", "10.0.0.0"),
        ("t.net = 10.0.0.0/33", "10.0.0.0/33"),
        ("t.net = 10.0.0.0/", "10.0.0.0/"),
        ("t.net = 10.0.0/8", "10.0.0/8"),
        ("t.net = ::/129", "::/129"),
        ("t.net = fd00::", "fd00::"),
        ("t.net = /8", "/8"),
        ("t.net = net/8", "net/8"),
        ("t.net in (10.0.0.0/8, 10.0.0.0)", "10.0.0.0"),
        // 18
        ("t.bytes bcontains 616", "616"),
        ("t.bytes bcontains 6g", "6g"),
        ("t.bytes bcontains hello", "hello"),
        ("t.bytes bstartswith 0x61", "0x61"),
        ("t.bytes bstartswith '61 62'", "61 62"),
        ("t.text regex '['", ""),
        ("t.text regex '(a'", ""),
        ("t.text regex '*'", ""),
        // What POSIX does not have.
        (r"t.text regex '\\d+'", ""),
        (r"t.text regex '\\w'", ""),
        (r"t.text regex '(?:a)'", ""),
        (r"t.text regex '(?i)a'", ""),
    ]);
}

#[test]
fn numbers_outside_of_their_type_are_refused() {
    // A deliberate difference: Falco wraps all of them around, not only negative ones of unsigned fields.
    refused(&[
        ("t.uint32 = 4294967296", "4294967296"),
        ("t.int32 = 2147483648", "2147483648"),
        ("t.int32 > -2147483649", "-2147483649"),
        ("t.uint64 = 18446744073709551616", "18446744073709551616"),
        ("t.int64 = 9223372036854775808", "9223372036854775808"),
        ("t.port = 65536", "65536"),
        ("t.port = -1", "-1"),
        ("t.port < 70000", "70000"),
    ]);
}
