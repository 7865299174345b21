//! What comparisons of given values come to, type by type.

use crate::rows::{accepted, given, holds, refused, warned};

#[test]
fn numbers() {
    // 21
    let numbers = given(&[
        ("t.int16", &-7),
        ("t.int32", &-1),
        ("t.int64", &i64::MIN),
        ("t.uint32", &4_294_967_295u64),
        ("t.uint64", &u64::MAX),
        ("t.reltime", &5_000_000_000u64),
        ("t.abstime", &1_700_000_000_000_000_000u64),
        ("t.double", &1.5),
        ("u.double", &-2.0),
        ("fd.num", &-1),
        ("proc.pid", &42),
    ]);
    holds(
        &numbers,
        &[
            ("fd.num = -1", true),
            ("fd.num < 0", true),
            ("fd.num <= -1", true),
            ("fd.num > -2", true),
            ("fd.num >= 0", false),
            ("fd.num != -1", false),
            ("fd.num in (-1, 3)", true),
            ("fd.num in (1, 3)", false),
            ("fd.num intersects (-1)", true),
            ("t.int16 < 0 and t.int16 > -8 and t.int16 != 7", true),
            ("t.int32 < 0 and t.int32 in (-1)", true),
            ("t.int64 = -9223372036854775808", true),
            ("t.int64 < 9223372036854775807", true),
            ("t.uint32 = 4294967295", true),
            ("t.uint32 > 2147483648", true),
            ("t.uint32 < 0", false),
            // A negative constant of an unsigned field wraps around.
            ("t.uint32 = -1", true),
            ("t.uint64 in (-1)", true),
            ("t.uint64 = 18446744073709551615", true),
            ("t.uint64 > 9223372036854775807", true),
            ("t.uint64 >= 18446744073709551615", true),
            ("t.reltime = 5000000000", true),
            ("t.reltime <= 5000000000", true),
            ("t.reltime < 5000000000", false),
            ("t.abstime > 1699999999999999999", true),
            ("t.abstime in (1, 1700000000000000000)", true),
            ("t.double > 1", true),
            ("t.double < 2", true),
            ("t.double = 1", false),
            ("t.double != 1", true),
            ("t.double >= 2", false),
            ("u.double < 0", true),
            ("u.double = -2", true),
            ("proc.pid = 42 and proc.pid == 42", true),
            ("proc.pid = '42'", true),
            ("proc.pid != 42", false),
            ("proc.pid > 41 and proc.pid < 43", true),
            ("proc.pid >= 42 and proc.pid <= 42", true),
            ("proc.pid in (1, 42) and not proc.pid in (1, 2)", true),
            ("proc.pid intersects (42)", true),
            ("proc.pid in ()", false),
        ],
    );
}

#[test]
fn truth() {
    let values = given(&[("t.bool", &true), ("u.bool", &false)]);
    holds(
        &values,
        &[
            ("t.bool = true", true),
            ("t.bool = 'true'", true),
            ("t.bool = false", false),
            ("t.bool != false", true),
            ("t.bool != true", false),
            ("u.bool = false", true),
            ("u.bool != false", false),
            ("u.bool exists", true),
            ("t.bool in (true)", true),
            ("t.bool in (false)", false),
            ("u.bool in (true, false)", true),
            ("u.bool intersects (false)", true),
            ("t.bool != val(u.bool)", true),
        ],
    );
}

#[test]
fn text() {
    let values = given(&[("t.text", &"Hello/World"), ("u.text", &"")]);
    holds(
        &values,
        &[
            ("t.text = Hello/World", true),
            ("t.text == Hello/World", true),
            ("t.text = hello/world", false),
            ("t.text != hello/world", true),
            ("t.text = Hello", false),
            ("t.text = ''", false),
            ("t.text != ''", true),
            ("t.text contains lo/Wo", true),
            ("t.text contains LO", false),
            ("t.text contains ''", true),
            ("t.text contains Hello/World", true),
            ("t.text contains Hello/World!", false),
            ("t.text icontains LO/wO", true),
            ("t.text icontains xyz", false),
            ("t.text icontains ''", true),
            ("t.text startswith Hello", true),
            ("t.text startswith hello", false),
            ("t.text startswith ''", true),
            ("t.text startswith World", false),
            ("t.text endswith World", true),
            ("t.text endswith world", false),
            ("t.text endswith ''", true),
            ("t.text endswith Hello", false),
            ("t.text in (x, Hello/World)", true),
            ("t.text in (x, hello/world)", false),
            ("t.text in (Hello)", false),
            ("t.text intersects (Hello/World)", true),
            ("t.text intersects (Hello)", false),
            // 19: text is compared with the text of the number.
            ("t.text > 5", true),
            ("t.text < 5", false),
            // Present and empty is not missing.
            ("u.text exists", true),
            ("u.text = ''", true),
            ("u.text != x", true),
            ("u.text in ('')", true),
            ("u.text contains ''", true),
            ("u.text contains x", false),
            ("u.text startswith x", false),
            ("u.text < 5", true),
            ("u.text glob *", true),
            ("u.text glob ?", false),
            ("u.text regex ''", true),
            ("u.text regex '.+a'", false),
        ],
    );
    let number = given(&[("t.text", &"10")]);
    holds(
        &number,
        &[
            ("t.text < 9", true),
            ("t.text >= 10", true),
            ("t.text <= 1", false),
            ("t.text > 09", true),
        ],
    );
    // 19
    accepted(&["t.text < 1.5", "t.text > 0x1A", "proc.name >= -1"]);
}

#[test]
fn bytes() {
    // 18
    let values = given(&[("t.bytes", &b"GET \x00\xCA\xFE")]);
    holds(
        &values,
        &[
            ("t.bytes bcontains cafe", true),
            ("t.bytes bcontains CAFE", true),
            ("t.bytes bcontains CaFe", true),
            ("t.bytes bcontains '00ca'", true),
            ("t.bytes bcontains fecA", false),
            ("t.bytes bstartswith 474554", true),
            ("t.bytes bstartswith 4554", false),
            ("t.bytes contains GET", true),
            ("t.bytes contains get", false),
            ("t.bytes startswith 'GET '", true),
            ("t.bytes endswith GET", false),
            (r#"t.bytes endswith "\xca\xfe""#, true),
            (r#"t.bytes = "GET \x00\xca\xfe""#, true),
            ("t.bytes = GET", false),
            ("t.bytes != GET", true),
            (r#"t.bytes in (GET, "GET \x00\xca\xfe")"#, true),
            ("t.bytes intersects (GET)", false),
        ],
    );
}

#[test]
fn lists() {
    // 13
    let values = given(&[
        ("l.text", &["a", "b"]),
        ("m.text", &["a", "a"]),
        ("l.uint64", &[1, 2, 3]),
        ("l.bool", &[true, true]),
        ("l.ip", &["10.0.0.1", "::1"]),
        ("l.net", &["10.0.0.1", "10.1.1.1"]),
        ("l.reltime", &[5]),
    ]);
    holds(
        &values,
        &[
            ("l.text in (a, b)", true),
            ("l.text in (a, b, c)", true),
            ("l.text in (a)", false),
            ("l.text in (A, B)", false),
            ("l.text in ()", false),
            ("l.text intersects (a)", true),
            ("l.text intersects (x, b)", true),
            ("l.text intersects (x)", false),
            ("l.text intersects ()", false),
            ("l.text exists", true),
            ("m.text in (a)", true),
            ("l.uint64 in (3, 2, 1)", true),
            ("l.uint64 in (1, 2)", false),
            ("l.uint64 intersects (9, 3)", true),
            ("l.bool in (true)", true),
            ("l.bool intersects (false)", false),
            ("l.ip in (10.0.0.1, ::1)", true),
            ("l.ip in (10.0.0.1)", false),
            ("l.ip intersects (::1)", true),
            ("l.net in (10.0.0.0/8)", true),
            ("l.net in (10.0.0.0/16)", false),
            ("l.net intersects (10.0.0.0/16)", true),
            ("l.reltime in (5)", true),
            // A missing list is neither within nor across anything.
            ("m.uint64 in (1)", false),
            ("m.uint64 intersects (1)", false),
            ("m.uint64 exists", false),
            ("not m.uint64 in (1)", true),
        ],
    );
    refused(&[
        ("l.text = a", "not supported for list"),
        ("l.text != a", "not supported for list"),
        ("l.text contains a", "not supported for list"),
        ("l.uint64 > 1", "not supported for list"),
    ]);
}

#[test]
fn fields_are_compared_with_fields_of_the_same_type() {
    // 15
    let values = given(&[
        ("t.text", &"cat"),
        ("u.text", &"CAT"),
        ("t.int64", &5),
        ("u.int64", &7),
        ("l.text", &["a", "b"]),
        ("m.text", &["b", "c", "a"]),
        ("t.ip", &"10.0.0.1"),
        ("u.ip", &"10.0.0.1"),
        ("t.bytes", &b"a\0"),
        ("u.bytes", &b"a\0"),
    ]);
    holds(
        &values,
        &[
            ("t.text = val(u.text)", false),
            ("t.text != val(u.text)", true),
            ("t.text = tolower(u.text)", true),
            ("toupper(t.text) = val(u.text)", true),
            ("tolower(t.text) = tolower(u.text)", true),
            ("u.text = toupper(t.text)", true),
            ("t.text contains val(t.text)", true),
            ("t.text startswith val(u.text)", false),
            ("t.text glob val(t.text)", true),
            ("t.text > val(u.text)", true),
            ("t.int64 < val(u.int64)", true),
            ("t.int64 >= val(u.int64)", false),
            ("t.int64 = val(t.int64)", true),
            ("len(t.text) = len(u.text)", true),
            ("l.text in val(m.text)", true),
            ("m.text in val(l.text)", false),
            ("m.text intersects val(l.text)", true),
            ("t.ip = val(u.ip)", true),
            ("t.bytes = val(u.bytes)", true),
            // A missing side is false.
            ("t.int32 = val(u.int32)", false),
            ("t.int32 != val(u.int32)", false),
            ("u.text != val(proc.name)", false),
            ("proc.name != val(u.text)", false),
            // Without val() it is text.
            ("t.text = u.text", false),
        ],
    );
    refused(&[
        ("t.text = val(t.int64)", ""),
        ("t.int64 = val(t.text)", ""),
        ("t.int64 = val(t.uint64)", ""),
        ("t.int32 = val(t.int64)", ""),
        ("t.text = val(t.bytes)", ""),
        ("t.bool = val(t.int32)", ""),
        ("t.text = len(u.text)", ""),
        ("len(t.text) = val(u.text)", ""),
        ("t.text in val(l.text)", ""),
        ("l.text in val(t.text)", ""),
        ("l.text in val(l.uint64)", ""),
        ("t.text pmatch val(u.text)", ""),
        // 16
        ("t.text regex val(u.text)", ""),
        ("t.text regex tolower(u.text)", ""),
        ("t.net = val(u.net)", ""),
        ("fd.ip = val(fd.cip)", ""),
        ("fd.cip = val(fd.ip)", ""),
        ("fd.port = val(fd.cport)", ""),
        ("fd.cport = val(fd.port)", ""),
        ("fd.net = val(fd.snet)", ""),
        ("fd.snet = val(fd.net)", ""),
        ("evt.around[1] = val(evt.num)", ""),
        ("evt.num = val(evt.around[1])", ""),
        ("proc.aname = val(proc.name)", ""),
        ("proc.name = val(proc.aname[1])", ""),
        ("evt.type = val(proc.name)", ""),
        ("proc.name = val(evt.type)", ""),
        ("syscall.type = val(proc.name)", ""),
        ("proc.name = val(no.such)", "no.such"),
        ("no.such = x", "no.such"),
        ("no.such exists", "no.such"),
    ]);
}

#[test]
fn constants_that_look_like_something_else_are_warned_of() {
    warned(&[
        ("proc.name = proc.pname", "may be a valid field misused"),
        ("proc.name = tolower(proc.pname)", ""),
        ("proc.name = val(proc.pname)", ""),
        (
            "proc.name = 'tolower(proc.pname)'",
            "may be a valid transformer misused",
        ),
        ("proc.name in (a, proc.pname)", "may be a valid field misused"),
        ("proc.name = no.such", ""),
        ("proc.name = pname", ""),
        ("proc.name = '<NA>'", ""),
        ("evt.dir = <", "deprecated"),
        ("evt.latency > 0", "deprecated"),
    ]);
}
