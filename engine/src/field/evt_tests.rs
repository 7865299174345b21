//! `evt.*` that are about the event itself: when, which way, how much.

use lanner_schema::alert::FieldValue;
use lanner_schema::event::{Event as E, Event};
use lanner_schema::record::WireBuilder;
use lanner_schema::view::Earlier;

use crate::condition::{Scratch, compile, parse};
use crate::output::Template;
use crate::testing::Happening;

#[track_caller]
fn holds(happening: &Happening, conditions: &[(&str, bool)]) {
    for (condition, expected) in conditions {
        let expr = parse(condition).unwrap_or_else(|error| panic!("{condition}: {error:?}"));
        let program = compile(&expr).unwrap_or_else(|error| panic!("{condition}: {error:?}"));
        let matches = happening.view(|view| program.matches(view, &mut Scratch::new()));
        assert_eq!(matches, *expected, "{condition}");
    }
}

/// Text and typed value of a field.
fn shown(happening: &Happening, field: &str) -> (String, FieldValue) {
    let template = Template::compile(&format!("*%{field}")).unwrap();
    let (mut out, mut values) = (String::new(), Vec::new());
    happening.view(|view| template.render(view, &mut out, &mut values));
    (out, values.remove(0).1)
}

#[test]
fn times_count_from_the_events_before() {
    let mut happening = Happening::openat(b"/x", 0, 3);
    holds(
        &happening,
        &[
            ("evt.reltime = 0", true),
            ("evt.deltatime = 0", true),
            ("evt.rawtime = 1700000000000000042", true),
            ("evt.rawtime.s = 1700000000", true),
            ("evt.rawtime.ns = 42", true),
        ],
    );
    happening.machine.earlier = Some(Earlier {
        first: 1_699_999_990_000_000_000,
        last: 1_699_999_998_999_999_043,
    });
    let number = FieldValue::U64;
    for (field, text, value) in [
        ("evt.reltime", "10000000042", number(10_000_000_042)),
        ("evt.reltime.s", "10", number(10)),
        ("evt.reltime.ns", "000000042", number(42)),
        ("evt.deltatime", "1000000999", number(1_000_000_999)),
        ("evt.deltatime.s", "1", number(1)),
        ("evt.deltatime.ns", "000000999", number(999)),
        ("evt.rawtime.ns", "000000042", number(42)),
        (
            "evt.time.iso8601",
            "2023-11-14T22:13:20.000000042+0000",
            FieldValue::Missing,
        ),
    ] {
        let seen = shown(&happening, field);
        assert_eq!(seen.0, text, "{field}");
        if value != FieldValue::Missing {
            assert_eq!(seen.1, value, "{field}");
        }
    }
    // An event of another CPU that is shown late is not in the future of the one before.
    happening.machine.earlier = Some(Earlier::and(happening.machine.earlier, u64::MAX));
    holds(
        &happening,
        &[("evt.deltatime = 0", true), ("evt.reltime.s = 10", true)],
    );
    assert_eq!(Earlier::and(None, 5), Earlier { first: 5, last: 5 });
}

#[test]
fn around_is_a_window_of_milliseconds() {
    let happening = Happening::openat(b"/x", 0, 3);
    holds(
        &happening,
        &[
            ("evt.around[1700000000000000042] = 0", true),
            ("evt.around[1700000000000000041] = 0", false),
            ("evt.around[1700000000000000041] = 1", true),
            ("evt.around[1700000000005000042] = 5", true),
            ("evt.around[1700000000005000043] = 5", false),
            ("evt.around[1699999999995000042] = 5", true),
            ("evt.around[1699999999995000041] = 5", false),
            ("not evt.around[0] = 1", true),
        ],
    );
    for condition in [
        "evt.around[1] != 5",
        "evt.around[1] < 5",
        "evt.around[1] in (5)",
        "evt.around[1] = oneof (5)",
        "evt.around[yesterday] = 5",
        "evt.around = 5",
    ] {
        let refused = match parse(condition) {
            Ok(expr) => compile(&expr).is_err(),
            Err(_) => true,
        };
        assert!(refused, "{condition}");
    }
}

#[test]
fn what_moves_data_says_which_way_and_how_much() {
    let log = Happening::send(b"/dev/log", 8);
    holds(
        &log,
        &[
            ("evt.is_syslog = true", true),
            ("evt.is_io = true", true),
            ("evt.is_io_write = true", true),
            ("evt.is_io_read = true", false),
            ("evt.io_dir = write", true),
            ("evt.buflen = 8", true),
            ("evt.buflen.out = 8", true),
            ("evt.buflen.in exists", false),
            ("evt.buflen.file exists", false),
            ("evt.buflen.net.out exists", false),
            ("evt.buffer contains cron", true),
            ("evt.category = ipc", true),
            ("evt.is_wait = false", true),
        ],
    );
    holds(
        &Happening::send(b"/run/systemd/journal/dev-log", 8),
        &[("evt.is_syslog = true", true)],
    );
    holds(
        &Happening::send(b"/run/other", -11),
        &[
            ("evt.is_syslog = true", false),
            ("evt.buflen exists", false),
            ("evt.res = EAGAIN", true),
            ("evt.failed = true", true),
            ("evt.count.error = 1", true),
            ("evt.count.error.other = 1", true),
            ("evt.count.error.memory exists", false),
        ],
    );
    let module = Happening::new(E::FinitModule, WireBuilder::new().number(0).number(3));
    holds(
        &module,
        &[
            ("evt.is_io = true", true),
            ("evt.io_dir = read", true),
            ("evt.is_io_write = true", false),
            ("evt.buflen exists", false),
            ("evt.category = other", true),
        ],
    );
    holds(
        &Happening::openat(b"/x", 0, 3),
        &[
            ("evt.is_io = false", true),
            ("evt.io_dir exists", false),
            ("evt.buflen exists", false),
            ("evt.is_syslog = false", true),
            ("evt.count.error.file = 0", true),
            ("evt.pluginname exists", false),
            ("evt.asynctype exists", false),
            ("evt.is_async = false", true),
        ],
    );
}

#[test]
fn classes_are_falcos() {
    for (name, class) in [
        ("mmap", "memory"),
        ("futex", "IPC"),
        ("kill", "signal"),
        ("epoll_wait", "wait"),
        ("nanosleep", "sleep"),
        ("getdents64", "file"),
        ("setsockopt", "net"),
        ("ioctl", "unknown"),
        ("acct", "other"),
        ("setuid", "user"),
        ("execve", "process"),
        ("open", "file"),
        // Nothing is known of the descriptor.
        ("dup", "unknown"),
    ] {
        let event = Event::from_name(name).unwrap_or_else(|| panic!("{name}"));
        let happening = Happening::new(event, WireBuilder::new());
        assert_eq!(shown(&happening, "evt.category").0, class, "{name}");
        let waits = matches!(name, "epoll_wait" | "nanosleep");
        holds(&happening, &[("evt.is_wait = true", waits)]);
    }
}

#[test]
fn errors_have_names_or_numbers() {
    let failed = |result| Happening::new(E::Bpf, WireBuilder::new().number(result).number(0));
    assert_eq!(shown(&failed(-524), "evt.res").0, "ENOTSUPP");
    assert_eq!(shown(&failed(-1), "evt.res").0, "EPERM");
    assert_eq!(shown(&failed(7), "evt.res").0, "SUCCESS");
    let no_result = Happening::new(Event::Procexit, WireBuilder::new().number(0));
    holds(
        &no_result,
        &[
            ("evt.res exists", false),
            ("evt.rawres exists", false),
            ("evt.failed exists", false),
            ("evt.count.error exists", false),
        ],
    );
}
