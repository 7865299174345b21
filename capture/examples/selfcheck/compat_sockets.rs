//! Socket calls in the 32-bit convention: by numbers of their own, and through `socketcall(2)`.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use super::compat::{int80, int80_six};
use super::*;

/// Memory below 4 GiB for what calls point to.
struct Low(*mut u8);

/// Where the arguments of a `socketcall` go, and everything else.
const ARGS: usize = 0;
const ADDRESS: usize = 64;
const LENGTH: usize = 128;
const DATA: usize = 192;
const VECTOR: usize = 320;
const MESSAGE: usize = 384;
const PAIR: usize = 512;

impl Low {
    /// Writes bytes, and says where they are.
    fn put(&self, offset: usize, bytes: &[u8]) -> u32 {
        assert!(offset + bytes.len() <= 4096);
        // SAFETY: inside the page, which only this thread uses.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.add(offset), bytes.len()) };
        (self.0 as usize + offset) as u32
    }

    fn words(&self, offset: usize, words: &[u32]) -> u32 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        self.put(offset, &bytes)
    }

    fn word(&self, offset: usize) -> u32 {
        // SAFETY: inside the page, whose offsets here are multiples of four.
        unsafe { self.0.add(offset).cast::<u32>().read() }
    }

    /// The call by its own number when it has one, else through `socketcall`.
    fn call(&self, way: Way, args: [u32; 6]) -> i32 {
        match way {
            Way::Number(nr) => int80_six(nr, args),
            Way::Socketcall(call) => int80(102, [call, self.words(ARGS, &args), 0, 0]),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Number(u32),
    Socketcall(u32),
}

fn both(number: u32, call: u32) -> [Way; 2] {
    [Way::Number(number), Way::Socketcall(call)]
}

fn sockaddr(to: SocketAddr) -> [u8; 16] {
    let SocketAddr::V4(to) = to else {
        unreachable!("only IPv4 is used here");
    };
    let mut bytes = [0; 16];
    bytes[0] = 2;
    bytes[2..4].copy_from_slice(&to.port().to_be_bytes());
    bytes[4..8].copy_from_slice(&to.ip().octets());
    bytes
}

fn owned(fd: i32) -> OwnedFd {
    assert!(fd >= 0, "{fd}");
    // SAFETY: a descriptor that was just made, and nobody else's.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn number(fd: &impl AsRawFd) -> u32 {
    fd.as_raw_fd().unsigned_abs()
}

pub(crate) fn sockets(page: *mut u8) -> Result<()> {
    let low = Low(page);
    if UdpSocket::bind("127.0.0.1:0").is_err() {
        println!("skip no loopback network in this guest: 32-bit sockets");
        omit("send");
        omit("recv");
        return Ok(());
    }
    for [socket, bind, listen] in [
        [Way::Number(359), Way::Number(361), Way::Number(363)],
        [Way::Socketcall(1), Way::Socketcall(2), Way::Socketcall(4)],
    ] {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        let fd = owned(low.call(socket, [2, kind.unsigned_abs(), 0, 0, 0, 0]));
        let text = number(&fd).to_string();
        expect(
            "socket",
            &[
                ("fd", &text),
                ("domain", "2"),
                ("type", &kind.to_string()),
                ("flags", &libc::SOCK_CLOEXEC.to_string()),
                ("fd.type", "ipv4"),
            ],
        );
        let address = low.put(ADDRESS, &sockaddr("127.0.0.1:0".parse()?));
        assert_eq!(low.call(bind, [number(&fd), address, 16, 0, 0, 0]), 0);
        expect(
            "bind",
            &[
                ("res", "0"),
                ("addr", "?>127.0.0.1:0"),
                ("fd", &text),
                ("fd.type", "ipv4"),
            ],
        );
        assert_eq!(low.call(listen, [number(&fd), 3, 0, 0, 0, 0]), 0);
        expect(
            "listen",
            &[
                ("res", "0"),
                ("fd", &text),
                ("backlog", "3"),
                ("fd.is_server", "true"),
            ],
        );
        accepts(&low, &TcpListener::from(fd))?;
    }
    datagrams(&low)?;
    pairs(&low)?;
    io(&low)
}

fn accepts(low: &Low, listener: &TcpListener) -> Result<()> {
    let here = listener.local_addr()?;
    let flags = (libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK).to_string();
    for (event, way) in [
        ("accept", Way::Socketcall(5)),
        ("accept4", Way::Number(364)),
        ("accept4", Way::Socketcall(18)),
    ] {
        let client = TcpStream::connect(here)?;
        let mut args = [number(listener), 0, 0, 0, 0, 0];
        if event == "accept4" {
            args[3] = flags.parse()?;
        }
        let fd = owned(low.call(way, args));
        let text = number(&fd).to_string();
        expect(
            event,
            &[
                ("fd", &text),
                ("tuple", &format!("{here}>{}", client.local_addr()?)),
                ("queuelen", "0"),
                ("queuemax", "3"),
                ("flags", if event == "accept4" { &flags } else { "<none>" }),
                ("fd.is_server", "true"),
            ],
        );
        if event == "accept" {
            talk(low, &client, fd)?;
        }
    }
    Ok(())
}

/// `send` and `recv`, and what is asked of the socket they go through.
fn talk(low: &Low, client: &TcpStream, server: OwnedFd) -> Result<()> {
    let fd = number(&server);
    let (text, tuple) = (
        fd.to_string(),
        format!("{}>{}", client.peer_addr()?, client.local_addr()?),
    );
    let data = low.put(DATA, b"by socketcall");
    assert_eq!(low.call(Way::Socketcall(9), [fd, data, 13, 0, 0, 0]), 13);
    let ends = [
        ("data", "by socketcall"),
        ("fd", &text),
        ("tuple", &tuple),
        ("fd.is_server", "true"),
    ];
    expect("send", &[&ends[..], &[("res", "13"), ("size", "13")]].concat());
    std::io::Write::write_all(&mut &*client, b"by socketcall")?;
    assert_eq!(low.call(Way::Socketcall(10), [fd, data, 64, 0, 0, 0]), 13);
    expect("recv", &[&ends[..], &[("res", "13"), ("size", "64")]].concat());
    let server = TcpStream::from(server);
    server.set_read_timeout(Some(std::time::Duration::from_millis(2500)))?;
    for way in both(365, 15) {
        // A struct old_timeval32.
        let length = low.words(LENGTH, &[8]);
        assert_eq!(low.call(way, [fd, 1, 20, data, length, 0]), 0);
        expect(
            "getsockopt",
            &[
                ("res", "0"),
                ("fd", &text),
                ("optname", "20"),
                ("val", "2500000000"),
                ("optlen", "8"),
            ],
        );
    }
    for (way, seconds) in both(366, 14).into_iter().zip([3, 4]) {
        let time = low.words(DATA, &[seconds, 250_000]);
        assert_eq!(low.call(way, [fd, 1, 20, time, 8, 0]), 0);
        let nanoseconds = (u64::from(seconds) * 1_000_000_000 + 250_000_000).to_string();
        expect(
            "setsockopt",
            &[
                ("res", "0"),
                ("fd", &text),
                ("optname", "20"),
                ("val", &nanoseconds),
                ("optlen", "8"),
            ],
        );
    }
    for (way, how) in both(373, 13).into_iter().zip([1, 2]) {
        assert_eq!(low.call(way, [fd, how, 0, 0, 0, 0]), 0);
        expect(
            "shutdown",
            &[
                ("res", "0"),
                ("fd", &text),
                ("how", &how.to_string()),
                ("fd.type", "ipv4"),
            ],
        );
    }
    Ok(())
}

fn datagrams(low: &Low) -> Result<()> {
    let (sender, receiver) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    let (from, to) = (sender.local_addr()?, receiver.local_addr()?);
    let fd = number(&receiver);
    let tuple = format!("{to}>{from}");
    // Each receives another number of bytes, to be told apart.
    let messages = ["first", "second", "third: 32", "fourth: 32"];
    for (way, message) in both(371, 12).into_iter().zip(messages) {
        sender.send_to(message.as_bytes(), to)?;
        let (data, address) = (low.put(DATA, &[0; 64]), low.put(ADDRESS, &[0; 16]));
        let length = low.words(LENGTH, &[16]);
        let result = low.call(way, [fd, data, 64, 0, address, length]);
        assert_eq!(usize::try_from(result)?, message.len());
        expect(
            "recvfrom",
            &[
                ("res", &message.len().to_string()),
                ("data", message),
                ("tuple", &tuple),
                ("fd", &fd.to_string()),
                ("size", "64"),
            ],
        );
    }
    for (way, message) in both(372, 17).into_iter().zip(&messages[2..]) {
        sender.send_to(message.as_bytes(), to)?;
        let (data, address) = (low.put(DATA, &[0; 64]), low.put(ADDRESS, &[0; 16]));
        let vectors = low.words(VECTOR, &[data, 4, data + 32, 32]);
        let header = low.words(MESSAGE, &[address, 16, vectors, 2, 0, 0, 0]);
        let result = low.call(way, [fd, header, 0, 0, 0, 0]);
        assert_eq!(usize::try_from(result)?, message.len());
        expect(
            "recvmsg",
            &[
                ("res", &message.len().to_string()),
                ("size", &message.len().to_string()),
                ("data", message),
                ("tuple", &tuple),
                ("fd", &fd.to_string()),
            ],
        );
    }
    several(low, &sender, &receiver)
}

/// Two messages at once, in structures of 32 bytes.
fn several(low: &Low, sender: &UdpSocket, receiver: &UdpSocket) -> Result<()> {
    let (from, to) = (sender.local_addr()?, receiver.local_addr()?);
    for (index, [send, receive]) in [
        [Way::Number(345), Way::Number(337)],
        [Way::Socketcall(20), Way::Socketcall(19)],
    ]
    .into_iter()
    .enumerate()
    {
        let texts = [
            format!("32 bit, one, {index}"),
            format!("32 bit, number two, {index}"),
        ];
        let address = low.put(ADDRESS, &sockaddr(to));
        let data = low.put(DATA, texts.concat().as_bytes());
        let lengths = [texts[0].len(), texts[1].len()].map(|len| u32::try_from(len).unwrap_or(0));
        let vectors = low.words(VECTOR, &[data, lengths[0], data + lengths[0], lengths[1]]);
        let header = |vector: u32| [address, 16, vectors + vector, 1, 0, 0, 0, 0];
        let headers = low.words(MESSAGE, &[header(0), header(8)].concat());
        assert_eq!(low.call(send, [number(sender), headers, 2, 0, 0, 0]), 2);
        low.words(VECTOR, &[data, 64, data + 64, 64]);
        assert_eq!(low.call(receive, [number(receiver), headers, 2, 0, 0, 0]), 2);
        for text in texts {
            let size = text.len().to_string();
            let common = [("res", size.as_str()), ("size", &size), ("data", &text)];
            let (out, back) = (format!("{from}>{to}"), format!("{to}>{from}"));
            expect(
                "sendmmsg",
                &[
                    &common[..],
                    &[("tuple", &out), ("fd", &number(sender).to_string())],
                ]
                .concat(),
            );
            expect(
                "recvmmsg",
                &[
                    &common[..],
                    &[("tuple", &back), ("fd", &number(receiver).to_string())],
                ]
                .concat(),
            );
        }
    }
    Ok(())
}

fn pairs(low: &Low) -> Result<()> {
    for (index, way) in both(360, 8).into_iter().enumerate() {
        let pair = low.words(PAIR, &[0, 0]);
        assert_eq!(low.call(way, [1, 2, 0, pair, 0, 0]), 0);
        let fds = [low.word(PAIR), low.word(PAIR + 4)];
        let names = [format!("$32first{index}"), format!("$32second{index}")];
        expect(
            "socketpair",
            &[
                ("res", "0"),
                ("fd1", &fds[0].to_string()),
                ("fd2", &fds[1].to_string()),
                ("source", &names[0]),
                ("peer", &names[1]),
                ("domain", "1"),
                ("type", "2"),
                ("tuple.own", &names[0]),
                ("tuple.peer", &names[1]),
            ],
        );
        // Not closed before the second pair is made, so that their numbers differ.
        if index == 1 {
            fds.iter().for_each(|fd| close((*fd).into()));
        }
    }
    Ok(())
}

/// Reads and writes by their 32-bit numbers: vectors of 32-bit structures, positions in two arguments.
fn io(low: &Low) -> Result<()> {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open("io32")?;
    let (fd, text) = (number(&file), number(&file).to_string());
    let path = std::fs::canonicalize("io32")?.to_string_lossy().into_owned();
    let about = [("fd", text.as_str()), ("fd.type", "file"), ("fd.path", &path)];
    let far = (1u64 << 32 | 8).to_string();
    let data = low.put(DATA, b"thirty-two bits");
    let vectors = low.words(VECTOR, &[data, 6, data + 6, 9]);
    for (event, nr, args, params) in [
        (
            "write",
            4,
            [fd, data, 10, 0, 0, 0],
            [("data", "thirty-two"), ("res", "10")],
        ),
        (
            "writev",
            146,
            [fd, vectors, 2, 0, 0, 0],
            [("data", "thirty-two bits"), ("size", "15")],
        ),
        (
            "pwrite",
            181,
            [fd, data, 6, 8, 1, 0],
            [("data", "thirty"), ("pos", &far)],
        ),
        (
            "pwritev",
            334,
            [fd, vectors, 2, 8, 1, 0],
            [("data", "thirty-two bits"), ("pos", &far)],
        ),
        (
            "pread",
            180,
            [fd, data, 6, 8, 1, 0],
            [("data", "thirty"), ("pos", &far)],
        ),
        (
            "preadv",
            333,
            [fd, vectors, 2, 8, 1, 0],
            [("data", "thirty-two bits"), ("pos", &far)],
        ),
    ] {
        assert!(int80_six(nr, args) > 0, "32-bit {event}");
        expect(event, &[&params[..], &about].concat());
    }
    std::io::Seek::rewind(&mut &file)?;
    for (event, nr, args, params) in [
        (
            "read",
            3,
            [fd, data, 10, 0, 0, 0],
            [("data", "thirty-two"), ("size", "10")],
        ),
        (
            "readv",
            145,
            [fd, vectors, 2, 0, 0, 0],
            [("data", "thirty-two bits"), ("size", "15")],
        ),
    ] {
        assert!(int80_six(nr, args) > 0, "32-bit {event}");
        expect(event, &[&params[..], &about].concat());
    }
    let (_reads, writes) = std::io::pipe()?;
    // The old call knows offsets of 32 bits; what follows them is not the offset's.
    for (nr, count, words) in [(187, 3, [1, 7]), (239, 4, [8, 1])] {
        let offset = low.words(LENGTH, &words);
        assert_eq!(
            int80_six(nr, [number(&writes), fd, offset, count, 0, 0]),
            count as i32
        );
        let after = u64::from(words[0] + count) + if nr == 239 { 1 << 32 } else { 0 };
        expect(
            "sendfile",
            &[
                ("res", &count.to_string()),
                ("offset", &after.to_string()),
                ("in_fd", &text),
                ("size", &count.to_string()),
                ("fd.type", "pipe"),
            ],
        );
    }
    Ok(())
}
