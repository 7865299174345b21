//! Rules about sockets and what goes over them, in the shape of Falco's own, set off on this host; and how the parameters
//! of those events print.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::{UnixListener, UnixStream};

use nix::sys::socket::{MsgFlags, Shutdown, SockaddrIn, recvmsg, shutdown, sockopt};
use support::lanner::{self, Lanner, field};
use support::skip;

/// "Interpreted procs inbound network activity", "Java Process Class File Download" and "Unexpected K8s NodePort
/// Connection", for this process.
const SHAPES: &str = r#"
- macro: of_ip
  condition: >
    (fd.typechar = 4 or fd.typechar = 6) and (fd.ip != "0.0.0.0" and fd.net != "127.0.0.0/8") and
    (evt.rawres >= 0 or evt.res = EINPROGRESS) and proc.pid = PID
- rule: Inbound
  desc: For this test
  condition: >
    (evt.type in (accept, accept4, listen) or
     (evt.type in (recvfrom, recvmsg) and fd.l4proto != tcp and fd.connected = false and fd.name_changed = true)) and of_ip
  output: "*%evt.type|%fd.name|%fd.lport|%fd.rport|%fd.type|%fd.l4proto|%fd.is_server"
  priority: NOTICE
- rule: Class file
  desc: For this test
  condition: evt.type = recvfrom and fd.type in (ipv4, ipv6) and proc.pid = PID and evt.buffer bcontains "cafebabe"
  output: "*%fd.name|%fd.sip|%fd.sport|%fd.l4proto|%evt.buflen|%evt.is_io_read"
  priority: CRITICAL
- rule: Node port
  desc: For this test
  condition: evt.type in (accept, accept4, connect, listen) and of_ip and fd.sport >= 30000 and fd.sport <= 32767
  output: "*%evt.type|%fd.name"
  priority: NOTICE
"#;

fn start(rules: &str) -> (tempfile::TempDir, Lanner) {
    let (folder, path) = lanner::rules(&rules.replace("PID", &std::process::id().to_string()));
    let mut arguments = lanner::options(None);
    arguments.extend(["-o".to_owned(), "rule_matching=all".to_owned()]);
    arguments.extend(["-r".to_owned(), path.to_str().unwrap().to_owned()]);
    arguments.extend(lanner::ROOM.map(str::to_owned));
    (folder, Lanner::start(&arguments))
}

/// An address of this host that is not the loopback's.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: the kernel only says which address it would take.
    socket.connect("203.0.113.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

fn node_port(ip: IpAddr) -> TcpListener {
    (30_000..32_768)
        .find_map(|port| TcpListener::bind((ip, port)).ok())
        .unwrap()
}

fn output(alert: &serde_json::Value) -> &str {
    alert["output"].as_str().unwrap()
}

#[test]
fn rules_on_what_comes_in_alert() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let Some(ip) = own_address() else {
        return skip("this host has no address but the loopback's");
    };
    let (_folder, lanner) = start(SHAPES);
    let alert = |rule: &'static str, what: String| {
        lanner.wait_for_alert(&format!("{rule} {what}"), |alert| {
            alert["rule"] == rule && output(alert).contains(&what)
        })
    };
    let listener = node_port(ip);
    let here = listener.local_addr().unwrap();
    let mut client = TcpStream::connect(here).unwrap();
    let (mut server, near) = listener.accept().unwrap();
    let connection = format!("{near}->{here}");
    alert(
        "Inbound",
        format!("listen|{here}|{}|<NA>|ipv4|tcp|true", here.port()),
    );
    let accepted = format!(
        "accept4|{connection}|{}|{}|ipv4|tcp|true",
        here.port(),
        near.port()
    );
    alert("Inbound", accepted);
    for event in ["listen", "connect", "accept4"] {
        let name = if event == "listen" {
            here.to_string()
        } else {
            connection.clone()
        };
        alert("Node port", format!("{event}|{name}"));
    }
    server.write_all(b"\xca\xfe\xba\xbe\0\0\0\x34 and more").unwrap();
    client.read_exact(&mut [0; 17]).unwrap();
    alert(
        "Class file",
        format!("{connection}|{ip}|{}|tcp|17|true", here.port()),
    );

    // A datagram of somebody new, and no second of the same.
    let (receiver, sender) = (
        UdpSocket::bind((ip, 0)).unwrap(),
        UdpSocket::bind((ip, 0)).unwrap(),
    );
    let (to, from) = (receiver.local_addr().unwrap(), sender.local_addr().unwrap());
    for _ in 0..2 {
        sender.send_to(b"over here", to).unwrap();
        receiver.recv_from(&mut [0; 16]).unwrap();
    }
    let name = |from: SocketAddr| format!("{from}->{to}|{}|{}|ipv4|udp|true", to.port(), from.port());
    alert("Inbound", format!("recvfrom|{}", name(from)));
    let other = UdpSocket::bind((ip, 0)).unwrap();
    other.send_to(b"me too", to).unwrap();
    let mut buffer = [0; 16];
    let mut parts = [std::io::IoSliceMut::new(&mut buffer)];
    recvmsg::<SockaddrIn>(receiver.as_raw_fd(), &mut parts, None, MsgFlags::empty()).unwrap();
    alert(
        "Inbound",
        format!("recvmsg|{}", name(other.local_addr().unwrap())),
    );
    let received = |alert: &serde_json::Value| output(alert).contains("recv") && alert["rule"] == "Inbound";
    let received: Vec<_> = lanner.alerts().into_iter().filter(received).collect();
    assert_eq!(
        received.len(),
        2,
        "of a connection, and of a known peer, there is none: {received:?}"
    );
    assert_eq!(lanner.stop().status.code(), Some(0));
}

const PRINTED: &str = r#"
- rule: Option
  desc: For this test
  condition: evt.type = getsockopt and proc.pid = PID and evt.rawarg.val = 1 and evt.arg.val = 1 and evt.arg.optname = SO_TYPE
  output: "*%evt.rawarg.val"
  priority: NOTICE
- rule: Printed
  desc: For this test
  condition: >
    proc.pid = PID and evt.type in (socket, socketpair, bind, accept, accept4, shutdown, getsockopt, recvfrom, recvmsg,
                                    read, write, readv, writev, pread, pwrite, sendfile, sendto)
  output: "*%evt.type %evt.args|%fd.name|%evt.category"
  priority: NOTICE
"#;

/// The parameters of an event, with names where Falco has them, in the words of Falco's tests.
#[test]
fn parameters_print_as_falco_prints_them() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let (folder, lanner) = start(PRINTED);
    let printed = |parts: &[String]| {
        lanner.wait_for_alert(&parts.join(" … "), |alert| {
            let text = output(alert);
            alert["rule"] == "Printed" && parts.iter().all(|part| text.contains(part.as_str()))
        })
    };
    let said = |parts: &[&str]| printed(&parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap();
    let fd = listener.as_raw_fd();
    printed(&[
        format!("bind res=0 addr=127.0.0.1:0 fd={fd}(<4t>{here}) "),
        format!("|{here}|net"),
    ]);
    let client = TcpStream::connect(here).unwrap();
    let (mut server, near) = listener.accept().unwrap();
    let name = format!("{near}->{here}");
    let fd = server.as_raw_fd();
    printed(&[format!(
        "accept4 fd={fd}(<4t>{name}) tuple={name} queuepct=0 queuelen=0 queuemax=128 flags=80000 |{name}|net"
    )]);
    server.write_all(b"a reply\n").unwrap();
    let (out, back) = (format!("{here}->{near}"), client.as_raw_fd());
    printed(&[format!(
        "sendto res=8 data=a reply. fd={fd}(<4t>{name}) size=8 tuple={out} |{name}|net"
    )]);
    (&client).read_exact(&mut [0; 8]).unwrap();
    // What comes in has the other end first.
    printed(&[format!(
        "recvfrom res=8 data=a reply. tuple={out} fd={back}(<4t>{name}) size=8 |{name}|net"
    )]);
    shutdown(client.as_raw_fd(), Shutdown::Write).unwrap();
    printed(&[format!(
        "shutdown res=0 fd={back}(<4t>{name}) how=1(SHUT_WR) |{name}|net"
    )]);
    nix::sys::socket::getsockopt(&client, sockopt::SockType).unwrap();
    said(&[
        "getsockopt res=0 fd=",
        " level=1(SOL_SOCKET) optname=3(SO_TYPE) val=1 optlen=4 ",
    ]);
    lanner.wait_for_alert("the option's value as a number", |alert| {
        alert["rule"] == "Option"
    });
    nix::sys::socket::getsockopt(&client, sockopt::TcpNoDelay).unwrap();
    said(&[
        "getsockopt res=0 fd=",
        " level=2(SOL_TCP) optname=0(UNKNOWN) val=",
        " optlen=4 ",
    ]);

    let path = folder.path().join("socket");
    let local = UnixListener::bind(&path).unwrap();
    let number = local.as_raw_fd();
    let path = path.display().to_string();
    said(&[
        &format!("bind res=0 addr={path} fd={number}(<u>{path}) "),
        &format!("|{path}|net"),
    ]);
    let asks = UnixStream::connect(&path).unwrap();
    let (answers, _) = local.accept().unwrap();
    let accepted = said(&[
        &format!("accept4 fd={}(<u>", answers.as_raw_fd()),
        &format!(" {path}|net"),
    ]);
    // Where the kernel keeps the two ends, and the path: as the tuple, so the name.
    let text = output(&accepted);
    let tuple = text
        .split("tuple=")
        .nth(1)
        .unwrap()
        .split(" queuepct")
        .next()
        .unwrap();
    let (ends, named) = tuple.split_once(' ').unwrap();
    let ends: Vec<u64> = ends
        .split("->")
        .map(|end| u64::from_str_radix(end, 16).unwrap())
        .collect();
    assert!(
        ends.len() == 2 && ends.iter().all(|end| *end != 0) && named == path,
        "{text}"
    );
    assert!(text.ends_with(&format!("|{tuple}|net")), "{text}");
    drop(asks);
    let (first, _second) = UnixStream::pair().unwrap();
    let pair = said(&[
        &format!("socketpair res=0 fd1={}(<u>", first.as_raw_fd()),
        " domain=1(AF_LOCAL|AF_UNIX) type=524289 proto=0 ",
    ]);
    let source = output(&pair)
        .split("source=")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    assert!(
        source.len() == 16 && source.chars().all(|c| c.is_ascii_hexdigit()),
        "{pair}"
    );

    let path = folder.path().join("file");
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .unwrap();
    let (fd, path) = (file.as_raw_fd(), path.display());
    file.write_at(b"some text", 7).unwrap();
    printed(&[format!(
        "pwrite res=9 data=some text fd={fd}(<f>{path}) size=9 pos=7 |{path}|file"
    )]);
    file.read_at(&mut [0; 4], 7).unwrap();
    printed(&[format!(
        "pread res=4 data=some fd={fd}(<f>{path}) size=4 pos=7 |{path}|file"
    )]);
    let read = nix::unistd::read(&file, &mut [0; 3]).unwrap();
    printed(&[format!(
        "read res={read} data=... fd={fd}(<f>{path}) size=3 |{path}|file"
    )]);
    let (reads, writes) = nix::unistd::pipe().unwrap();
    nix::unistd::write(&writes, b"through").unwrap();
    printed(&[format!(
        "write res=7 data=through fd={}(<p>) size=7 ||ipc",
        writes.as_raw_fd()
    )]);
    let mut buffers = [[0; 4]; 2];
    let [first, second] = &mut buffers;
    let mut parts = [std::io::IoSliceMut::new(first), std::io::IoSliceMut::new(second)];
    nix::sys::uio::readv(&reads, &mut parts).unwrap();
    printed(&[format!(
        "readv res=7 size=7 data=through fd={}(<p>) ||ipc",
        reads.as_raw_fd()
    )]);
    let refused = nix::unistd::write(&reads, b"back");
    assert!(refused.is_err());
    printed(&[format!(
        "write res=-9(EBADF) data=back fd={}(<p>) size=4 ||ipc",
        reads.as_raw_fd()
    )]);
    let alert = said(&["write res=-9(EBADF) data=back"]);
    assert!(field(&alert, "evt.args").starts_with("res=-9(EBADF) "), "{alert}");
    assert_eq!(lanner.stop().status.code(), Some(0));
}
