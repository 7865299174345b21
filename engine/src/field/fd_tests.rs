//! Descriptors as fields and parameters show them.

use lanner_schema::event::{Event as E, Event};
use lanner_schema::record::{
    AF_INET, AF_INET6, OBJECT_INTERNAL, OBJECT_UPPER, Object, SocketTuple, WireBuilder,
};

use crate::field::FieldRef;
use crate::testing::Happening;
use crate::value::Value;

/// The field as text; `-` when it has no value.
fn shown(happening: &Happening, field: &str) -> String {
    happening.view(
        |view| match FieldRef::resolve(field, None).unwrap().get(view, &mut Vec::new()) {
            Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            Some(Value::U64(number)) => number.to_string(),
            Some(Value::I64(number)) => number.to_string(),
            Some(Value::Bool(is)) => is.to_string(),
            Some(Value::Ip(ip)) => ip.to_string(),
            Some(other) => panic!("{other:?}"),
            None => "-".to_owned(),
        },
    )
}

fn all<'f>(happening: &Happening, fields: impl IntoIterator<Item = &'f str>) -> Vec<String> {
    fields.into_iter().map(|field| shown(happening, field)).collect()
}

fn object(object: &Object<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    object.write(&mut bytes);
    bytes
}

fn connection() -> SocketTuple<'static> {
    SocketTuple {
        family: AF_INET,
        protocol: 6,
        kind: 1,
        local: Some(("10.0.0.1".parse().unwrap(), 4000)),
        remote: Some(("10.0.0.2".parse().unwrap(), 443)),
        connected: true,
        ..SocketTuple::default()
    }
}

/// `fchmod(3, 0600) = 0` on an object.
fn fchmod(of: &[u8], path: Option<&str>) -> Happening {
    let wire = WireBuilder::new().number(0).number(3).number(0o600).bytes(of);
    let happening = Happening::new(E::Fchmod, wire);
    match path {
        Some(path) => happening.at(3, path),
        None => happening,
    }
}

#[test]
fn a_file_is_its_path_and_its_inode() {
    let file = object(&Object {
        mode: 0o100644,
        flags: OBJECT_UPPER,
        dev: 0x10302,
        inode: 77,
        rest: b"shadow\0etc\0",
        ..Object::default()
    });
    let happening = fchmod(&file, Some("/etc/shadow"));
    let fields = [
        "fd.name",
        "fd.typechar",
        "fd.directory",
        "fd.filename",
        "fs.path.name",
    ];
    assert_eq!(
        all(&happening, fields),
        ["/etc/shadow", "f", "/etc", "shadow", "/etc/shadow"]
    );
    let fields = ["fd.ino", "fd.dev", "fd.dev.major", "fd.dev.minor"];
    assert_eq!(all(&happening, fields), ["77", "66306", "259", "2"]);
    let fields = ["fd.is_upper_layer", "fd.is_lower_layer"];
    assert_eq!(all(&happening, fields), ["true", "false"]);
    assert_eq!(shown(&happening, "evt.arg.fd"), "<f>/etc/shadow");
    assert!(shown(&happening, "evt.args").contains("fd=3(<f>/etc/shadow)"));
}

#[test]
fn a_socket_is_both_its_ends() {
    let mut rest = Vec::new();
    connection().write(&mut rest);
    let socket = object(&Object {
        mode: 0o140777,
        flags: OBJECT_INTERNAL,
        inode: 5,
        rest: &rest,
        ..Object::default()
    });
    let happening = fchmod(&socket, None);
    let fields = ["fd.name", "fd.sip", "fd.cport", "fd.l4proto", "evt.arg.fd"];
    let name = "10.0.0.1:4000->10.0.0.2:443";
    assert_eq!(
        all(&happening, fields),
        [name, "10.0.0.2", "4000", "tcp", &format!("<4t>{name}")]
    );
    assert_eq!(shown(&happening, "fd.directory"), "-");
}

/// `fchmod(3, 0600) = 0` on a socket.
fn fchmod_socket(tuple: SocketTuple<'_>) -> Happening {
    let mut rest = Vec::new();
    tuple.write(&mut rest);
    let socket = object(&Object {
        mode: 0o140777,
        flags: OBJECT_INTERNAL,
        inode: 5,
        rest: &rest,
        ..Object::default()
    });
    fchmod(&socket, None)
}

#[test]
fn a_socket_prints_with_its_protocol() {
    let v6 = SocketTuple {
        family: AF_INET6,
        local: Some(("::1".parse().unwrap(), 4000)),
        remote: Some(("::1".parse().unwrap(), 443)),
        ..connection()
    };
    for (protocol, kind, letter) in [(6, 1, "t"), (17, 2, "u"), (1, 2, "i"), (58, 3, "i"), (47, 3, "r")] {
        for (tuple, family) in [(connection(), "4"), (v6, "6")] {
            let tuple = SocketTuple {
                protocol,
                kind,
                ..tuple
            };
            let shown = shown(&fchmod_socket(tuple), "evt.arg.fd");
            assert!(shown.starts_with(&format!("<{family}{letter}>")), "{shown}");
        }
    }
    let other = SocketTuple {
        protocol: 132,
        ..connection()
    };
    assert!(shown(&fchmod_socket(other), "evt.arg.fd").starts_with("<4>10"));
}

#[test]
fn a_socket_without_a_peer_is_a_server_or_nothing() {
    let waits = SocketTuple {
        remote: None,
        connected: false,
        ..connection()
    };
    let fields = [
        "fd.is_server",
        "fd.sip",
        "fd.sport",
        "fd.cip",
        "fd.cport",
        "fd.lport",
    ];
    assert_eq!(
        all(&fchmod_socket(waits), fields),
        ["false", "-", "-", "-", "-", "4000"]
    );
    let server = SocketTuple { bound: true, ..waits };
    assert_eq!(
        all(&fchmod_socket(server), fields),
        ["true", "10.0.0.1", "4000", "-", "-", "4000"]
    );
}

#[test]
fn what_has_no_name_is_known_to_have_none_and_what_is_not_open_is_not_known() {
    let pipe = object(&Object {
        mode: 0o010600,
        flags: OBJECT_INTERNAL,
        inode: 9,
        ..Object::default()
    });
    let happening = fchmod(&pipe, None);
    let fields = ["fd.type", "fd.name", "fd.ino", "evt.arg.fd"];
    assert_eq!(all(&happening, fields), ["pipe", "", "9", "<p>"]);
    let nothing = Happening::new(E::Fchmod, WireBuilder::new().number(-9).number(3).number(0));
    let fields = ["fd.num", "fd.name", "fd.ino", "evt.arg.fd"];
    assert_eq!(all(&nothing, fields), ["3", "-", "-", "3"]);
    for field in [
        "fd.type",
        "fd.typechar",
        "fd.l4proto",
        "fd.is_server",
        "fd.connected",
        "fd.is_upper_layer",
    ] {
        assert_eq!(shown(&nothing, field), "-", "{field}");
    }
    assert_eq!(shown(&nothing, "fd.containername"), "-");
}

#[test]
fn every_descriptor_of_a_call_prints_as_what_it_refers_to() {
    let wire = WireBuilder::new()
        .number(0)
        .number(5)
        .path("a", "/srv")
        .number(6)
        .path("/b", "")
        .file_object(0o040755, "/srv")
        .file_object(0o040755, "/home");
    let happening = Happening::new(E::Renameat, wire).at(5, "/srv").at(6, "/home");
    let params = ["evt.arg.olddirfd", "evt.arg.newdirfd", "evt.rawarg.newdirfd"];
    assert_eq!(all(&happening, params), ["<d>/srv", "<d>/home", "6"]);
    assert_eq!(
        shown(&happening, "fd.name"),
        "-",
        "the call is about no descriptor"
    );
    let here = WireBuilder::new()
        .number(0)
        .number(-100)
        .path("a", "/srv")
        .number(6);
    let here = Happening::new(E::Renameat, here);
    assert_eq!(shown(&here, "evt.arg.olddirfd"), "AT_FDCWD");
}

#[test]
fn what_was_not_opened_has_zeroes_for_parameters_and_no_inode() {
    let mut failed = Happening::openat(b"/x", 0, -2);
    let fields = ["evt.arg.dev", "evt.rawarg.ino", "fd.dev", "fd.ino"];
    assert_eq!(all(&failed, fields)[2..], ["-", "-"]);
    let wire = WireBuilder::new()
        .number(-2)
        .number(-100)
        .text("/x")
        .number(0)
        .number(0);
    failed = Happening::new(E::Openat, wire);
    assert_eq!(all(&failed, fields), ["0", "0", "-", "-"]);
    let name = Happening::new(E::Prctl, WireBuilder::new().number(0).number(15).text("me"));
    assert_eq!(
        all(&name, ["evt.rawarg.arg2_int", "evt.arg.arg2_int"]),
        ["0", "0"]
    );
}

#[test]
fn the_other_number_of_a_pipe_and_of_a_copy_prints_as_the_first() {
    let pipe = object(&Object {
        mode: 0o010600,
        flags: OBJECT_INTERNAL,
        inode: 9,
        ..Object::default()
    });
    let wire = WireBuilder::new()
        .number(0)
        .number(3)
        .number(4)
        .number(9)
        .bytes(&pipe);
    let pipe = Happening::new(E::Pipe, wire);
    assert_eq!(
        all(&pipe, ["evt.arg.fd1", "evt.arg.fd2", "evt.rawarg.fd2"]),
        ["<p>", "<p>", "4"]
    );
    let fcntl = |result: i64, command: i64| {
        let wire = WireBuilder::new()
            .number(result)
            .number(3)
            .number(command)
            .number(0);
        let happening = Happening::new(E::Fcntl, wire.file_object(0o100644, "/x")).at(4, "/x");
        all(&happening, ["evt.arg.res", "evt.arg.fd"])
    };
    assert_eq!(fcntl(7, 0), ["<f>/x", "<f>/x"]);
    assert_eq!(fcntl(7, 1030), ["<f>/x", "<f>/x"]);
    assert_eq!(fcntl(1, 1), ["1", "<f>/x"], "F_GETFD gives flags");
    assert_eq!(fcntl(-24, 0), ["EMFILE", "<f>/x"]);
}

#[test]
fn a_failed_call_tells_what_it_was_to_make() {
    for (event, letter) in [
        (E::Eventfd2, "e"),
        (E::EpollCreate1, "l"),
        (E::Signalfd4, "s"),
        (E::TimerfdCreate, "t"),
        (E::InotifyInit1, "i"),
        (E::MemfdCreate, "m"),
        (E::PidfdOpen, "P"),
        (E::IoUringSetup, "r"),
    ] {
        let happening = Happening::new(event, WireBuilder::new().number(-24));
        assert_eq!(
            all(&happening, ["fd.num", "fd.typechar", "evt.res"]),
            ["-1", letter, "EMFILE"],
            "{event:?}"
        );
    }
}

#[test]
fn a_close_is_about_a_number() {
    let closed = Happening::new(E::Close, WireBuilder::new().number(0).number(3));
    let fields = ["fd.num", "fd.type", "fd.name", "evt.arg.fd"];
    assert_eq!(all(&closed, fields), ["3", "-", "-", "3"]);
}

#[test]
fn a_mount_has_what_and_where_and_its_end_where_unless_it_failed() {
    let mount = |result| {
        let wire = WireBuilder::new()
            .number(result)
            .bytes(b"tmpfs\0")
            .path("mnt", "/srv")
            .bytes(b"tmpfs\0")
            .number(0);
        Happening::new(E::Mount, wire).at(2, "/srv/mnt")
    };
    let fields = [
        "fs.path.source",
        "fs.path.sourceraw",
        "fs.path.target",
        "fs.path.targetraw",
    ];
    assert_eq!(all(&mount(0), fields), ["tmpfs", "tmpfs", "/srv/mnt", "mnt"]);
    assert_eq!(all(&mount(-1), fields), ["-"; 4]);
    let wire = WireBuilder::new().number(0).path("mnt", "/srv").number(2);
    let end = Happening::new(E::Umount2, wire).at(1, "/srv/mnt");
    assert_eq!(
        all(&end, ["fs.path.name", "fs.path.nameraw"]),
        ["/srv/mnt", "mnt"]
    );
}

/// A poll on which something happened on a file, a connection and something that is not open.
fn poll(event: Event, objects: bool) -> Happening {
    let mut rest = Vec::new();
    connection().write(&mut rest);
    let file = object(&Object {
        mode: 0o100644,
        rest: b"x\0",
        ..Object::default()
    });
    let socket = object(&Object {
        mode: 0o140777,
        flags: OBJECT_INTERNAL,
        rest: &rest,
        ..Object::default()
    });
    let entry = |fd: i32, revents: u16| {
        [
            fd.to_le_bytes().to_vec(),
            vec![0, 0],
            revents.to_le_bytes().into(),
        ]
    };
    let fds = [entry(3, 1), entry(7, 0x2004), entry(9, 0x20)].concat().concat();
    let list: Vec<u8> = [&file[..], &socket, b""]
        .iter()
        .flat_map(|object| [&(object.len() as u32).to_le_bytes()[..], object].concat())
        .collect();
    let wire = WireBuilder::new().number(3).bytes(&fds).number(-1);
    let wire = match (event, objects) {
        (E::Ppoll, true) => wire.number(0).bytes(&list),
        (_, true) => wire.bytes(&list),
        _ => wire,
    };
    let happening = Happening::new(event, wire);
    let index = event.row().param("objects").unwrap() as u8;
    match objects {
        true => happening.at(index, "/x").at(index, "").at(index, ""),
        false => happening,
    }
}

#[test]
fn a_poll_lists_what_something_happened_on() {
    let fields = [
        "fdlist.nums",
        "fdlist.names",
        "fdlist.cips",
        "fdlist.sips",
        "fdlist.cports",
        "fdlist.sports",
        "evt.arg.fds",
        "evt.is_wait",
    ];
    let name = "10.0.0.1:4000->10.0.0.2:443";
    for event in [E::Poll, E::Ppoll] {
        assert_eq!(
            all(&poll(event, true), fields),
            [
                "3,7,9",
                &format!("/x,{name},<NA>"),
                "10.0.0.1",
                "10.0.0.2",
                "4000",
                "443",
                "3:f1 7:4c 9:?40",
                "true"
            ]
        );
    }
    let unseen = poll(E::Poll, false);
    assert_eq!(
        all(&unseen, ["fdlist.nums", "fdlist.names", "fdlist.sips"]),
        ["3,7,9", "<NA>,<NA>,<NA>", "-"]
    );
    assert_eq!(shown(&Happening::openat(b"/x", 0, 3), "fdlist.nums"), "-");
}
