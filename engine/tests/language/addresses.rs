//! Addresses, networks, ports, and both ends of a socket.

use crate::rows::{accepted, given, holds};
use crate::support::host;
use lanner_engine::condition::{Scratch, compile, parse};

#[test]
fn addresses_and_networks() {
    // 14
    let v4 = given(&[("t.ip", &"10.1.2.3"), ("t.net", &"10.1.2.3")]);
    holds(
        &v4,
        &[
            ("t.ip = 10.1.2.3", true),
            ("t.ip = '10.1.2.3'", true),
            ("t.ip = 10.1.2.4", false),
            ("t.ip != 10.1.2.4", true),
            ("t.ip != 10.1.2.3", false),
            ("t.ip in (10.1.2.4, 10.1.2.3)", true),
            ("t.ip in (10.1.2.4)", false),
            ("t.ip intersects (10.1.2.3)", true),
            // Of another family: never equal, always different.
            ("t.ip = ::1", false),
            ("t.ip != ::1", true),
            ("t.ip in (::1, ::2)", false),
            ("t.ip = ::ffff:10.1.2.3", false),
            ("t.net = 10.0.0.0/8", true),
            ("t.net = 10.1.2.3/32", true),
            ("t.net = 10.1.2.2/31", true),
            ("t.net = 10.1.2.4/31", false),
            ("t.net = 11.0.0.0/8", false),
            ("t.net = 0.0.0.0/0", true),
            ("t.net = 10.255.255.255/8", true),
            ("t.net != 11.0.0.0/8", true),
            ("t.net != 10.0.0.0/8", false),
            ("t.net in (11.0.0.0/8, 10.0.0.0/8)", true),
            ("t.net in (11.0.0.0/8, 12.0.0.0/8)", false),
            ("t.net = ::/0", false),
            ("t.net != ::/0", true),
        ],
    );
    let v6 = given(&[("t.ip", &"fd00::1"), ("t.net", &"fd00::1")]);
    holds(
        &v6,
        &[
            ("t.ip = fd00::1", true),
            ("t.ip = FD00:0:0::0001", true),
            ("t.ip = fd00::2", false),
            ("t.ip = 10.0.0.1", false),
            ("t.ip != 10.0.0.1", true),
            ("t.net = fd00::/8", true),
            ("t.net = fd00::1/128", true),
            ("t.net = fd00::2/128", false),
            ("t.net = ::/0", true),
            ("t.net = 0.0.0.0/0", false),
            ("t.net != 10.0.0.0/8", true),
            ("t.net in (10.0.0.0/8, fd00::/16)", true),
        ],
    );
    accepted(&[
        "t.net = 10.0.0.0/0",
        "t.net = 10.0.0.0/32",
        "t.net = ::1/128",
        "t.ip = ::",
    ]);
}

#[test]
fn ports_are_numbers_or_services() {
    let port = given(&[("t.port", &443), ("u.port", &0)]);
    holds(
        &port,
        &[
            ("t.port = 443", true),
            ("t.port = https", true),
            ("t.port = http", false),
            ("t.port != http", true),
            ("t.port > 442", true),
            ("t.port < 443", false),
            ("t.port in (80, 443)", true),
            ("t.port in (http, https)", true),
            ("t.port in (ssh)", false),
            ("u.port = 0", true),
            ("u.port = ''", true),
            ("t.port = ''", false),
        ],
    );
}

#[test]
fn either_end_of_a_socket_matches_and_both_must_differ() {
    // 14
    let ends = given(&[
        ("fd.ip", &["10.0.0.9", "203.0.113.7"]),
        ("fd.port", &[40000, 443]),
        ("fd.proto", &[40000, 443]),
        ("fd.net", &["10.0.0.9", "203.0.113.7"]),
        ("fd.snet", &"203.0.113.7"),
    ]);
    let rows = [
        ("fd.ip = 10.0.0.9", true),
        ("fd.ip = 203.0.113.7", true),
        ("fd.ip = 203.0.113.8", false),
        ("fd.ip != 203.0.113.8", true),
        ("fd.ip != 203.0.113.7", false),
        ("fd.ip != 10.0.0.9", false),
        ("fd.ip = ::1", false),
        ("fd.ip != ::1", true),
        // A deliberate difference: never true in Falco.
        ("fd.ip in (203.0.113.8, 203.0.113.7)", true),
        ("fd.ip in (203.0.113.8)", false),
        ("fd.port = 443", true),
        ("fd.port = 40000", true),
        ("fd.port = https", true),
        ("fd.port != 443", false),
        ("fd.port != 80", true),
        ("fd.port < 1000", true),
        ("fd.port > 50000", false),
        ("fd.port in (80, 443)", true),
        ("fd.port in (80, 8080)", false),
        ("fd.proto = https", true),
        ("fd.net = 203.0.113.0/24", true),
        ("fd.net = 10.0.0.0/8", true),
        ("fd.net = 192.168.0.0/16", false),
        ("fd.net != 192.168.0.0/16", true),
        ("fd.net != 10.0.0.0/8", false),
        // A deliberate difference: Falco looks at the first element only.
        ("fd.net in (192.168.0.0/16, 10.0.0.0/8)", true),
        ("fd.snet in (192.168.0.0/16, 203.0.113.0/24)", true),
        ("fd.snet in (192.168.0.0/16, 10.0.0.0/8)", false),
    ];
    holds(&ends, &rows);
    // The same on a socket.
    host("curl x").connects("203.0.113.7", 443, 0).view(|event| {
        for (condition, expected) in rows {
            let program = compile(&parse(condition).unwrap()).unwrap();
            assert_eq!(
                program.matches(event, &mut Scratch::new()),
                expected,
                "{condition}"
            );
        }
    });
}

#[test]
fn what_is_no_socket_has_no_addresses() {
    host("cat x").opens("/etc/shadow", 0).view(|event| {
        for condition in [
            "fd.ip = 10.0.0.1",
            "fd.ip != 10.0.0.1",
            "fd.port = 80",
            "fd.port != 80",
            "fd.net != 10.0.0.0/8",
            "fd.proto != http",
            "fd.sip exists",
            "fd.sport != 80",
            "fd.snet != 10.0.0.0/8",
            "fd.l4proto = tcp",
            "fd.sip.name != host",
        ] {
            let program = compile(&parse(condition).unwrap()).unwrap();
            assert!(!program.matches(event, &mut Scratch::new()), "{condition}");
        }
    });
}
