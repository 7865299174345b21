//! Runtimes that are slow, broken or hostile: whatever they do is said once, counted, and survived, with memory that has
//! bounds; and where there is somebody to answer, the answer is success.

use std::io::{ErrorKind, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use crate::machine::{Machine, until};
use crate::message::{Message, number};
use crate::peer::{PLUGIN, Peer, REQUEST, RESPONSE, RUNTIME, change, container, frame, request, ttrpc};

fn connected(machine: &Machine) -> Peer {
    let listener = machine.listen();
    let mut peer = Peer::accept(&listener);
    peer.handshake();
    until("the registration", || machine.is_registered());
    peer
}

fn id(number: u64) -> String {
    format!("{number:064x}")
}

/// What the log has of a kind that is said once.
fn said_once(machine: &Machine, text: &str) {
    let lines = machine.log.lines(text);
    assert_eq!(lines.len(), 1, "{text}: {lines:?}");
}

#[test]
fn another_protocol_or_an_absurd_length_ends_the_connection() {
    let machine = Machine::start();
    let zeroes = [0; 4096];
    let mut length = PLUGIN.to_be_bytes().to_vec();
    length.extend([0xff; 4]);
    // A length of ttrpc's with the byte that it reserves.
    let reserved = frame(PLUGIN, &[1, 0, 0, 0, 0, 0, 0, 1, REQUEST, 0]);
    for garbage in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        &length,
        &reserved,
        &[0xff; 100],
    ] {
        let listener = machine.listen();
        let mut peer = Peer::accept(&listener);
        peer.registration();
        peer.raw(garbage);
        assert!(peer.is_closed());
    }
    // Not an error: a frame of nothing, on a connection that nobody has.
    let mut peer = connected(&machine);
    peer.raw(&zeroes);
    peer.ask("Synchronize", &Message::new());
    assert_eq!(machine.now().unknown_frames, 512);
    drop(peer);
    machine.is_well();
    said_once(&machine, "frames on connections that nobody has");
    assert!(!machine.log.lines("not the NRI protocol").is_empty());
}

#[test]
fn frames_of_nobody_are_counted_and_said_once() {
    let machine = Machine::start();
    let mut peer = connected(&machine);
    for connection in (3..1003).chain([0, u32::MAX]) {
        peer.raw(&frame(connection, b"noise"));
        peer.raw(&frame(PLUGIN, b""));
    }
    peer.ask("Synchronize", &Message::new());
    assert_eq!(machine.now().unknown_frames, 1002);
    said_once(&machine, "frames on connections that nobody has");
    drop(peer);
    machine.is_well();
}

#[test]
fn a_byte_at_a_time_is_as_good_as_all_at_once() {
    let machine = Machine::start();
    let mut peer = connected(&machine);
    let cgroup = machine.cgroup(&format!("/k8s.io/{}", id(1)));
    let call = frame(
        PLUGIN,
        &ttrpc(101, REQUEST, &request("StateChange", &change(6, &id(1)).0).0),
    );
    for byte in call {
        peer.raw(&[byte]);
    }
    assert_eq!(peer.answer(101).unwrap(), Ok(Vec::new()));
    // A frame per byte, too.
    for byte in ttrpc(103, REQUEST, &request("StateChange", &change(7, &id(1)).0).0) {
        peer.raw(&frame(PLUGIN, &[byte]));
    }
    assert_eq!(peer.answer(103).unwrap(), Ok(Vec::new()));
    assert!(machine.cgroups().contains(&cgroup));
}

#[test]
fn an_end_can_come_at_any_byte() {
    let machine = Machine::start();
    let call = frame(
        PLUGIN,
        &ttrpc(3, REQUEST, &request("StateChange", &change(6, &id(1)).0).0),
    );
    for cut in [1, 8, 17, 30, call.len() - 1] {
        let mut peer = connected(&machine);
        peer.raw(&call[..cut]);
        drop(peer);
        until("the end to be noticed", || !machine.is_registered());
    }
    machine.is_well();
    said_once(&machine, "the runtime closed the connection");
}

#[test]
fn a_socket_that_is_closed_by_half_is_closed() {
    let machine = Machine::start();
    let mut peer = connected(&machine);
    peer.stream.shutdown(Shutdown::Write).unwrap();
    assert!(peer.is_closed());
    // The other half: replies go nowhere.
    let mut peer = connected(&machine);
    peer.stream.shutdown(Shutdown::Read).unwrap();
    until("the plugin to give up", || {
        let call = frame(PLUGIN, &ttrpc(3, REQUEST, &request("Synchronize", &[]).0));
        peer.stream.write_all(&call).is_err() || !machine.is_registered()
    });
    drop(peer);
    machine.is_well();
}

#[test]
fn a_runtime_that_takes_no_replies_is_left() {
    let machine = Machine::impatient();
    let mut peer = connected(&machine);
    peer.stream
        .set_write_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    // Requests without end, and nothing is read: in the end nobody can write.
    let call = frame(PLUGIN, &ttrpc(5, REQUEST, &request("Synchronize", &[]).0)).repeat(500);
    until("the plugin to give up", || {
        let _ = peer.stream.write_all(&call);
        !machine
            .log
            .lines("the runtime took no reply for 1000 ms")
            .is_empty()
    });
    drop(peer);
    machine.is_well();
}

#[test]
fn a_runtime_that_never_registers_us_is_left_and_said_once() {
    let machine = Machine::impatient();
    let listener = machine.listen();
    // One that says nothing, one that accepts and does not synchronise, one that never ends doing so.
    let mut silent = Peer::accept(&listener);
    assert!(silent.is_closed());
    let mut accepting = Peer::accept(&listener);
    let (stream, _, _) = accepting.registration();
    accepting.respond(stream, 0, "");
    assert!(accepting.is_closed());
    let mut endless = Peer::accept(&listener);
    let (stream, _, _) = endless.registration();
    endless.respond(stream, 0, "");
    let part = Message::new().number(3, 1);
    while let Some(answer) = {
        let stream = {
            let call = frame(PLUGIN, &ttrpc(9, REQUEST, &request("Synchronize", &part.0).0));
            endless.stream.write_all(&call).map(|()| 9)
        };
        stream.ok().and_then(|stream| endless.answer(stream))
    } {
        assert_eq!(number(&answer.unwrap(), 2), 1);
    }
    drop(listener);
    said_once(&machine, "did not register the plugin within 1500 ms");
    machine.is_well();
}

#[test]
fn a_refusal_is_said_in_the_runtimes_words_and_tried_again() {
    let machine = Machine::start();
    let listener = machine.listen();
    for _ in 0..3 {
        let mut peer = Peer::accept(&listener);
        let (stream, _, _) = peer.registration();
        peer.respond(stream, 2, &format!("invalid plugin index {}", "!".repeat(10_000)));
        assert!(peer.is_closed());
    }
    drop(listener);
    let lines = machine
        .log
        .lines("the runtime refused the plugin: invalid plugin index");
    assert_eq!(lines.len(), 1);
    assert!(lines[0].len() < 500, "{}", lines[0].len());
    machine.is_well();
}

#[test]
fn what_is_no_protobuf_is_answered_with_success() {
    let machine = Machine::start();
    let mut peer = connected(&machine);
    let mut payloads: Vec<Vec<u8>> = vec![
        vec![0xff; 40],
        // Field 0, groups, an end without a beginning, a varint without end, a length beyond the end.
        vec![0x00, 1],
        vec![0x0b],
        vec![0x0c],
        vec![
            0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ],
        vec![0x12, 0xff, 0xff, 0xff, 0x7f],
    ];
    // Types that a field doesn't have: a number for a name, text for a number, text that is none.
    let odd = [
        Message::new().number(1, 7),
        Message::new().text(1, &id(1)).text(12, "pid"),
        Message::new().bytes(1, &[0xc3, 0x28]),
        Message::new().text(1, &id(1)).bytes(5, &[0x0a, 2, 0xff, 0xfe]),
        Message::new()
            .text(1, &id(1))
            .message(11, &Message::new().number(5, 5)),
    ];
    for part in &odd {
        payloads.push(Message::new().number(1, 6).message(3, part).0);
        payloads.push(Message::new().message(2, part).0);
    }
    let methods = [
        "Configure",
        "Synchronize",
        "Shutdown",
        "StateChange",
        "RunPodSandbox",
        "CreateContainer",
        "StartContainer",
        "RemoveContainer",
        "ValidateContainerAdjustment",
    ];
    for payload in &payloads {
        for method in methods {
            let stream = peer.send(method, payload);
            let answer = peer.answer(stream).expect("the connection stays");
            assert!(answer.is_ok(), "{method} {payload:x?}: {answer:?}");
        }
    }
    // A request that is none gets the status of a bad one.
    peer.raw(&frame(PLUGIN, &ttrpc(9001, REQUEST, &[0xff; 10])));
    assert_eq!(peer.answer(9001).unwrap().unwrap_err().0, 3);
    assert!(machine.now().errors as usize > payloads.len());
    said_once(&machine, "can't be read");
    assert!(machine.container(&id(1)).is_none());
    drop(peer);
    machine.is_well();
}

#[test]
fn negative_and_absurd_numbers_are_only_numbers() {
    let machine = Machine::start();
    let listener = machine.listen();
    let mut peer = Peer::accept(&listener);
    let (stream, _, _) = peer.registration();
    peer.respond(stream, 0, "");
    let minus = u64::MAX;
    let configure = Message::new()
        .text(2, &"name".repeat(5000))
        .text(3, "\u{1b}[31m\n2.1.9")
        .number(4, minus)
        .number(5, 1 << 63)
        .text(6, "v-1.-1");
    assert_ne!(number(&peer.ask("Configure", &configure), 2), 0);
    peer.ask("Synchronize", &Message::new());
    let cgroup = machine.cgroup(&format!("/k8s.io/{}", id(1)));
    for event in [0, 15, 64, minus, 1 << 31] {
        peer.ask("StateChange", &change(event, &id(1)));
    }
    let odd = Message(
        container(&id(1))
            .number(4, minus)
            .number(12, minus)
            .number(14, minus)
            .number(15, 1 << 63)
            .0,
    );
    peer.ask("StateChange", &Message::new().number(1, 6).message(3, &odd));
    let known = machine.container(&id(1)).unwrap();
    assert_eq!((known.cgroup, known.pid), (cgroup, u32::MAX));
    assert!(
        known.start_ts.is_some_and(|ns| ns > 1_600_000_000_000_000_000),
        "{:?}",
        known.start_ts
    );
    assert!(machine.status.to_string().len() < 600, "{}", machine.status);
}

#[test]
fn an_id_that_is_a_path_reaches_no_file() {
    let machine = Machine::start();
    let mut peer = connected(&machine);
    machine.cgroup("/k8s.io");
    let ids = [
        "..",
        "../../../../etc",
        "k8s.io/../k8s.io",
        "/",
        "a/b",
        "a\0b",
        "",
        &"x".repeat(100_000),
    ];
    for odd in ids {
        for event in [4, 6, 11] {
            let linux = Message::new().text(5, "/k8s.io");
            let container = Message::new().text(1, odd).message(11, &linux);
            peer.ask(
                "StateChange",
                &Message::new().number(1, event).message(3, &container),
            );
        }
    }
    // An id like any other, with the path of the root of all cgroups, or one out of them.
    for path in [
        "/",
        "//",
        "../../..",
        "/k8s.io/../..",
        "",
        ":::",
        "a:b:c",
        "-.slice::../x",
    ] {
        let container = Message::new()
            .text(1, &id(9))
            .message(11, &Message::new().text(5, path));
        peer.ask("StateChange", &Message::new().number(1, 6).message(3, &container));
    }
    assert!(machine.cgroups().is_empty());
    assert_eq!(machine.table.snapshot().all().count(), 1);
    assert_eq!(machine.now().refused, ids.len() as u64 * 2);
    said_once(&machine, "which can't be one's id");
    said_once(&machine, "no cgroup found for a container");
    drop(peer);
    machine.is_well();
}

#[test]
fn any_order_of_events_leaves_a_table_that_is_right() {
    let machine = Machine::start();
    let mut peer = connected(&machine);
    let [first, second] = [1, 2].map(|number| machine.cgroup(&format!("/k8s.io/{}", id(number))));
    // Removed before it was created, started without having been created, twice, and removed twice.
    for (event, number) in [
        (11, 1),
        (6, 1),
        (6, 1),
        (4, 1),
        (7, 1),
        (11, 1),
        (11, 1),
        (7, 2),
        (4, 2),
        (6, 2),
    ] {
        match event {
            4 => peer.ask(
                "CreateContainer",
                &Message::new().message(2, &container(&id(number))),
            ),
            _ => peer.ask("StateChange", &change(event, &id(number))),
        };
    }
    // A removal of what is not there, a stream that was used before.
    peer.ask("StateChange", &change(11, &id(77)));
    for _ in 0..2 {
        peer.raw(&frame(
            PLUGIN,
            &ttrpc(3, REQUEST, &request("StateChange", &change(6, &id(2)).0).0),
        ));
        assert!(peer.answer(3).unwrap().is_ok());
    }
    // The same container twice in one Synchronize.
    let twice = Message::new()
        .message(2, &container(&id(2)))
        .message(2, &container(&id(2)))
        .message(2, &container(&id(1)));
    peer.ask("Synchronize", &twice);
    assert_eq!(machine.cgroups(), [first, second].into());
    assert_eq!(machine.now().containers, 2);
    assert_eq!(machine.now().errors, 0);
}

#[test]
fn messages_of_four_mib_and_more_are_taken_or_refused() {
    let machine = Machine::start();
    let mut peer = connected(&machine);
    let payload = Message::new().bytes(99, &vec![7; (4 << 20) - 200]).number(3, 0);
    peer.ask("Synchronize", &payload);
    let beyond = request("Synchronize", &vec![0; 4 << 20]);
    for piece in ttrpc(1001, REQUEST, &beyond.0).chunks(1 << 20) {
        peer.raw(&frame(PLUGIN, piece));
    }
    assert_eq!(peer.answer(1001).unwrap().unwrap_err().0, 8);
    // Containers of nothing at all: two bytes each on the wire, hundreds in memory if they were kept.
    let nothing = Message([0x12, 0].repeat(2_000_000));
    peer.ask("Synchronize", &nothing);
    assert_eq!(machine.now().refused, 2_000_000);
    drop(peer);
    machine.is_well();
}

#[test]
fn labels_and_names_have_bounds() {
    let machine = Machine::start();
    let mut peer = connected(&machine);
    machine.cgroup(&format!("/k8s.io/{}", id(1)));
    let long = "y".repeat(200_000);
    let keys: Vec<String> = (0..20_000).map(|number| format!("key-{number}")).collect();
    let pod = Message::new()
        .text(1, &id(2))
        .text(2, &long)
        .text(4, &long)
        .map(5, keys.iter().map(|key| (key.as_str(), "value")));
    let huge = container(&id(1))
        .text(3, &long)
        .map(5, [("long", long.as_str())])
        .map(6, [("io.kubernetes.cri.image-name", long.as_str())]);
    let mount = Message::new().text(1, &long).text(2, "bind").text(3, "/src");
    let huge = (0..9).fold(huge, |huge, _| huge.message(9, &mount));
    peer.ask(
        "StateChange",
        &Message::new().number(1, 6).message(2, &pod).message(3, &huge),
    );
    let known = machine.container(&id(1)).unwrap();
    let of = known.pod.as_ref().unwrap();
    assert!(known.labels.is_empty() && known.image.is_none(), "{known:?}");
    let mounts = known.mounts.as_ref().unwrap();
    assert!(mounts.len() == 9 && mounts.iter().all(|mount| mount.destination.len() == 1024));
    assert!(
        known.name.as_ref().unwrap().len() == 1024 && of.name.len() == 1024 && of.namespace.len() == 1024
    );
    assert!((1000..5000).contains(&of.labels.len()), "{}", of.labels.len());
    assert!(machine.now().cut > 15_000);
    said_once(&machine, "too long to keep");
}

#[test]
fn more_containers_than_there_can_be_are_left_out() {
    let machine = Machine::start();
    let mut peer = connected(&machine);
    // Endless parts, each of them of other containers.
    let mut next = 0;
    while machine.now().refused == 0 {
        let part = (next..next + 2000).fold(Message::new(), |message, number| {
            message.message(2, &Message::new().text(1, &id(number)).number(12, 1))
        });
        next += 2000;
        assert_eq!(number(&peer.ask("Synchronize", &part.number(3, 1)), 2), 1);
    }
    assert!(machine.table.snapshot().all().count() <= 16_384);
    said_once(&machine, "the runtime tells of more than 16384 containers");
    drop(peer);
}

#[test]
fn a_flood_does_not_keep_the_plugin_from_stopping() {
    let machine = Machine::start();
    let mut peer = connected(&machine);
    let mut writer: UnixStream = peer.stream.try_clone().unwrap();
    let flood = thread::spawn(move || {
        let noise = frame(77, &[0; 60_000]).repeat(16);
        let calls = frame(PLUGIN, &ttrpc(3, REQUEST, &request("Nothing", &[]).0)).repeat(20);
        loop {
            match writer.write_all(&noise).and_then(|()| writer.write_all(&calls)) {
                Ok(()) => {}
                Err(error) => return error.kind(),
            }
        }
    });
    until("some of the flood", || machine.now().unknown_frames > 1000);
    let reader = thread::spawn(move || peer.is_closed());
    // Stops, and fails when that takes for ever.
    drop(machine);
    assert!(reader.join().unwrap());
    assert!([ErrorKind::BrokenPipe, ErrorKind::ConnectionReset].contains(&flood.join().unwrap()));
}

#[test]
fn answers_to_nothing_are_counted() {
    let machine = Machine::start();
    let mut peer = connected(&machine);
    peer.raw(&frame(RUNTIME, &ttrpc(77, RESPONSE, &[])));
    peer.raw(&frame(RUNTIME, &ttrpc(1, REQUEST, &request("Configure", &[]).0)));
    peer.raw(&frame(PLUGIN, &ttrpc(79, RESPONSE, &[])));
    // The registration answered again; kinds that are not known, and data of streams that nobody opened.
    peer.respond(1, 0, "");
    for kind in [0, 3, 200] {
        peer.raw(&frame(PLUGIN, &ttrpc(81, kind, b"data")));
    }
    peer.ask("Synchronize", &Message::new());
    assert_eq!((machine.now().errors, machine.now().connections), (3, 1));
    drop(peer);
    machine.is_well();
}
