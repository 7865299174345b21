//! Sockets: where something really goes, and what kind of socket it really is.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd as _;

use crate::scene::{Scene, at, call, made, output};

fn address(of: std::net::SocketAddr) -> [u8; 16] {
    let std::net::SocketAddr::V4(of) = of else {
        panic!("{of}")
    };
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&2u16.to_ne_bytes());
    bytes[2..4].copy_from_slice(&of.port().to_be_bytes());
    bytes[4..8].copy_from_slice(&of.ip().octets());
    bytes
}

const SENT: (&str, &str, &str) = (
    "Sent",
    "evt.type in (sendto, sendmsg, sendmmsg) and proc.name = NAME and evt.rawres > 0",
    "%evt.type|%fd.sip|%fd.sport|%fd.l4proto",
);

#[test]
fn a_datagram_to_another_address_than_connected_goes_there() {
    let Some(scene) = Scene::start("ev-sendto", &[SENT]) else {
        return;
    };
    let [connected, other] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let to = other.local_addr().unwrap();
    let innocent = connected.local_addr().unwrap();
    scene.act(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(innocent).unwrap();
        let (fd, to) = (i64::from(socket.as_raw_fd()), address(to));
        made(libc::SYS_sendto, &[fd, at(b"x"), 1, 0, at(&to), 16]);
        let part = [at(b"y"), 1];
        let message = [at(&to), 16, at(&part), 1, 0, 0, 0];
        made(libc::SYS_sendmsg, &[fd, at(&message), 0]);
        let message = [at(&to), 16, at(&part), 1, 0, 0, 0, 0];
        made(libc::SYS_sendmmsg, &[fd, at(&message), 1, 0]);
        socket.send(b"z").unwrap();
        vec![]
    });
    let port = to.port();
    scene.says("Sent", &format!("sendto|127.0.0.1|{port}|udp"));
    scene.says("Sent", &format!("sendto|127.0.0.1|{}|udp", innocent.port()));
    for event in ["sendmsg", "sendmmsg"] {
        scene.says("Sent", &format!("{event}|127.0.0.1|{port}|udp"));
    }
    scene.end();
}

/// A connection may begin without connect(): with the first data (TCP Fast Open).
#[test]
fn a_connection_that_begins_with_its_data_has_both_ends() {
    let Some(scene) = Scene::start("ev-fastopen", &[SENT]) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    scene.act(|| {
        let fd = made(
            libc::SYS_socket,
            &[libc::AF_INET.into(), libc::SOCK_STREAM.into(), 0],
        );
        let to = address(to);
        vec![call(
            libc::SYS_sendto,
            &[fd, at(b"x"), 1, libc::MSG_FASTOPEN.into(), at(&to), 16],
        )]
    });
    scene.says("Sent", &format!("sendto|127.0.0.1|{}|tcp", to.port()));
    scene.end();
}

/// What the stock rule about packet sockets asks, and its kin.
#[test]
fn packet_sockets_are_known_by_their_old_name_too() {
    let packet = (
        "Packet",
        "evt.type = socket and evt.arg.domain contains AF_PACKET and proc.name = NAME",
        "%evt.arg.domain|%evt.rawarg.type|%evt.rawarg.proto",
    );
    let raw = (
        "Raw",
        "evt.type = socket and evt.arg.domain contains AF_INET and evt.arg.type = 3 and proc.name = NAME",
        "%evt.arg.domain|%evt.rawarg.type|%evt.rawarg.proto",
    );
    let Some(scene) = Scene::start("ev-packet", &[packet, raw]) else {
        return;
    };
    const SOCK_PACKET: i64 = 10;
    let all = i64::from(u16::to_be(3));
    let results = scene.act(|| {
        vec![
            call(
                libc::SYS_socket,
                &[libc::AF_PACKET.into(), libc::SOCK_RAW.into(), all],
            ),
            call(
                libc::SYS_socket,
                &[
                    libc::AF_INET.into(),
                    SOCK_PACKET | i64::from(libc::SOCK_CLOEXEC),
                    all,
                ],
            ),
            call(
                libc::SYS_socket,
                &[
                    libc::AF_INET.into(),
                    libc::SOCK_RAW.into(),
                    libc::IPPROTO_ICMP.into(),
                ],
            ),
        ]
    });
    assert!(results[2] >= 0, "{results:?}");
    scene.says("Packet", &format!("AF_PACKET|3|{all}"));
    scene.says(
        "Packet",
        &format!("AF_PACKET|{}|{all}", SOCK_PACKET | i64::from(libc::SOCK_CLOEXEC)),
    );
    scene.says("Raw", "AF_INET|3|1");
    scene.end();
}

/// Calls of 32-bit programs, all of them through one call.
#[test]
fn a_socketcall_is_the_call_it_makes() {
    let net = (
        "Net",
        "evt.type in (socket, bind, connect, listen, sendto, accept, accept4) and proc.name = NAME",
        "%evt.type|%fd.sport|%evt.arg.res",
    );
    let Some(scene) = Scene::start("ev-socketcall", &[net]) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    scene.act(|| {
        let low = crate::calls::Low::new();
        let fd = low.call(102, &[1, low.words(&[2, 1, 0])]);
        assert!(fd >= 0, "{fd}");
        let to = low.bytes(&address(to));
        let result = low.call(102, &[3, low.words(&[fd as u32, to as u32, 16])]);
        assert_eq!(result, 0);
        let result = low.call(
            102,
            &[11, low.words(&[fd as u32, low.bytes(b"x") as u32, 1, 0, 0, 0])],
        );
        assert_eq!(result, 1);
        vec![]
    });
    let alert = scene.lanner.wait_for_alert("connect", |alert| {
        alert["rule"] == "Net" && output(alert).starts_with("connect|")
    });
    assert_eq!(output(&alert), format!("connect|{}|0", to.port()), "{alert}");
    scene.says("Net", &format!("sendto|{}|1", to.port()));
    scene.end();
}

/// Another thread changes the address during the call: what counts is where the kernel went.
#[test]
fn an_address_that_another_thread_changes_is_the_one_that_was_taken() {
    let [first, second] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let ports = [&first, &second].map(|socket| socket.local_addr().unwrap().port());
    let to = |port: u16| {
        format!("evt.type = connect and proc.name = NAME and evt.rawres = 0 and fd.sport = {port}")
    };
    let conditions = ports.map(to);
    let Some(scene) = Scene::start(
        "ev-address",
        &[
            ("First", &conditions[0], "%fd.name"),
            ("Second", &conditions[1], "%fd.name"),
        ],
    ) else {
        return;
    };
    let counts = scene.act(|| {
        let there = address(first.local_addr().unwrap()).to_vec().leak().as_mut_ptr() as usize;
        std::thread::spawn(move || {
            loop {
                for port in ports {
                    // SAFETY: the port of an address that is never given back.
                    unsafe { ((there + 2) as *mut u16).write_volatile(port.to_be()) };
                }
            }
        });
        let mut counts = [0, 0];
        for _ in 0..5000 {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            made(libc::SYS_connect, &[socket.as_raw_fd().into(), there as i64, 16]);
            let port = socket.peer_addr().unwrap().port();
            // Where the kernel took a byte of each port it is a third address, and no rule's.
            for (count, one) in counts.iter_mut().zip(ports) {
                *count += i64::from(port == one);
            }
            if counts[0] >= 100 && counts[1] >= 100 {
                break;
            }
        }
        counts.to_vec()
    });
    for (rule, count) in [("First", counts[0]), ("Second", counts[1])] {
        let count = usize::try_from(count).unwrap();
        let alerts = scene
            .lanner
            .wait_for_alerts(rule, count, |alert| alert["rule"] == rule);
        assert_eq!(alerts.len(), count, "{counts:?}");
    }
    scene.end();
}
