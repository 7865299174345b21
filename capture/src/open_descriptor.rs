//! What descriptors refer to by now, from /proc: for what no record tells.

use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use lanner_schema::descriptor::{Descriptor, DescriptorKind, unmapped};
use lanner_schema::record::{AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, SocketTuple};

use crate::procfs::Procfs;

/// A file of /proc/PID/net that lists sockets.
struct Sockets {
    file: &'static str,
    family: u16,
    protocol: u8,
    kind: u8,
    /// The column with the inode's number.
    inode: usize,
}

const SOCKETS: [Sockets; 8] = {
    const fn sockets(file: &'static str, family: u16, protocol: u8, kind: u8, inode: usize) -> Sockets {
        Sockets {
            file,
            family,
            protocol,
            kind,
            inode,
        }
    }
    [
        sockets("tcp", AF_INET, 6, 1, 9),
        sockets("tcp6", AF_INET6, 6, 1, 9),
        sockets("unix", AF_UNIX, 0, 0, 6),
        sockets("udp", AF_INET, 17, 2, 9),
        sockets("udp6", AF_INET6, 17, 2, 9),
        sockets("raw", AF_INET, 255, 3, 9),
        sockets("raw6", AF_INET6, 255, 3, 9),
        sockets("netlink", AF_NETLINK, 0, 3, 9),
    ]
};

const S_IFMT: u32 = 0o170000;
const S_IFIFO: u32 = 0o010000;
const S_IFDIR: u32 = 0o040000;
/// A state of TCP.
const LISTEN: &str = "0A";

impl Procfs {
    /// Shows what a descriptor refers to now; nothing when it is not open, or its process is gone: the one that started
    /// at `start`, see [`Procfs::is_same`].
    pub(crate) fn descriptor(
        &self,
        (pid, start): (u32, u64),
        number: u32,
        look: &mut dyn FnMut(&Descriptor<'_>),
    ) {
        // Asked last: an id that is the process's still was so all the time.
        let mut look = |descriptor: &Descriptor<'_>| {
            if self.is_same(pid, start) {
                look(descriptor);
            }
        };
        let dir = self.directory(pid);
        let path = dir.join("fd").join(number.to_string());
        let Some(link) = self.outside.link(&path) else {
            return;
        };
        let number = i64::from(number);
        let of = |kind, path| Descriptor {
            number,
            kind,
            path,
            ..Descriptor::default()
        };
        if let Some(inode) = inode(&link, b"socket:[") {
            return self.socket(&dir, inode, &mut |tuple| {
                let tuple = tuple.map(unmapped);
                look(&Descriptor {
                    kind: tuple
                        .as_ref()
                        .map_or(DescriptorKind::Other, DescriptorKind::of_socket),
                    tuple,
                    is_server: tuple.is_some_and(|tuple| tuple.is_server()),
                    connected: tuple.is_some_and(|tuple| tuple.connected),
                    ino: Some(inode),
                    ..of(DescriptorKind::Other, None)
                });
            });
        }
        if let Some(name) = link.strip_prefix(b"anon_inode:") {
            return look(&of(DescriptorKind::of_name(name), None));
        }
        if inode(&link, b"pidfd:[").is_some() {
            return look(&of(DescriptorKind::Pidfd, None));
        }
        let file = link.strip_suffix(b" (deleted)").unwrap_or(&link);
        if let Some(name) = file.strip_prefix(b"/").filter(|name| name.starts_with(b"memfd:")) {
            return look(&of(DescriptorKind::Memfd, Some(name)));
        }
        let Some(facts) = self.outside.facts(&path) else {
            return;
        };
        let (kind, path) = match facts.mode & S_IFMT {
            S_IFIFO => (DescriptorKind::Pipe, None),
            S_IFDIR => (DescriptorKind::Directory, Some(file)),
            _ => (DescriptorKind::File, Some(file)),
        };
        look(&Descriptor {
            dev: u32::try_from(facts.dev).ok(),
            ino: Some(facts.ino),
            ..of(kind, path)
        });
    }

    /// The numbers of the descriptors that a process has open now, as [`Procfs::descriptor`].
    pub(crate) fn descriptors(&self, (pid, start): (u32, u64)) -> Vec<u32> {
        let mut numbers = self.outside.numbers(&self.directory(pid).join("fd"));
        if !self.is_same(pid, start) {
            numbers.clear();
        }
        numbers.sort_unstable();
        numbers
    }

    /// Shows the socket with this inode; without its ends where no list of the process's network has it.
    fn socket(&self, dir: &Path, inode: u64, look: &mut dyn FnMut(Option<SocketTuple<'_>>)) {
        for sockets in &SOCKETS {
            let file = dir.join("net").join(sockets.file);
            if let Some((line, listens)) = self.outside.socket(&file, sockets.inode, inode) {
                return look(tuple(sockets, &line, listens));
            }
        }
        look(None);
    }
}

/// The number in the name of what has no path: `socket:[77]`.
fn inode(link: &[u8], prefix: &[u8]) -> Option<u64> {
    let digits = link.strip_prefix(prefix)?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Takes apart the line of a socket. `listens`: another one waits at its port, so that it was accepted there.
fn tuple<'l>(sockets: &Sockets, line: &'l [u8], listens: bool) -> Option<SocketTuple<'l>> {
    let text = std::str::from_utf8(line).ok().unwrap_or_default();
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let base = SocketTuple {
        family: sockets.family,
        protocol: sockets.protocol,
        kind: sockets.kind,
        ..SocketTuple::default()
    };
    Some(match sockets.family {
        AF_UNIX => SocketTuple {
            path: words.get(7).copied().unwrap_or_default().as_bytes(),
            ..base
        },
        AF_INET | AF_INET6 => {
            let remote = end(words.get(2)?)?;
            let is_connected = remote.1 != 0;
            SocketTuple {
                local: Some(end(words.get(1)?)?),
                remote: is_connected.then_some(remote),
                connected: is_connected,
                accepted: listens || words.get(3) == Some(&LISTEN) && sockets.protocol == 6,
                ..base
            }
        }
        _ => base,
    })
}

/// `0100007F:1F90`: the words of the address as numbers of this machine, and the port.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        Some(
            u32::from_str_radix(address.get(at..at + 8)?, 16)
                .ok()?
                .to_ne_bytes(),
        )
    };
    if address.len() == 8 {
        return Some((IpAddr::from(word(0)?), port));
    }
    let mut bytes = [0; 16];
    for (index, chunk) in bytes.chunks_exact_mut(4).enumerate() {
        chunk.copy_from_slice(&word(index * 8)?);
    }
    Some((Ipv6Addr::from(bytes).into(), port))
}

/// The line of a list of sockets that has `inode` in this column, and whether a socket of TCP listens at its port. Those
/// that listen come first.
pub(crate) fn line_of(
    lines: impl Iterator<Item = Vec<u8>>,
    column: usize,
    inode: u64,
) -> Option<(Vec<u8>, bool)> {
    let inode = inode.to_string();
    let mut listening: Vec<String> = Vec::new();
    for line in lines {
        let text = String::from_utf8_lossy(&line);
        let word = |n: usize| text.split_ascii_whitespace().nth(n);
        let port = || {
            word(1)
                .and_then(|end| end.split_once(':'))
                .map(|(_, port)| port.to_owned())
        };
        if word(column) == Some(&inode) {
            let listens = port().is_some_and(|port| listening.contains(&port));
            return Some((line, listens));
        }
        if column == 9 && word(3) == Some(LISTEN) {
            listening.extend(port());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::Outside;
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixListener;

    /// Kind, path and ends of a descriptor of this process.
    fn seen(fd: &impl AsRawFd) -> (DescriptorKind, Option<String>, Option<(u16, u16, bool)>) {
        let mut seen = None;
        let number = fd.as_raw_fd().unsigned_abs();
        Procfs::new(None, Outside::default()).descriptor((std::process::id(), 0), number, &mut |fd| {
            let path = fd.path.map(|path| String::from_utf8_lossy(path).into_owned());
            let ends = fd.tuple.map(|tuple| {
                let port = |end: Option<(IpAddr, u16)>| end.map_or(0, |(_, port)| port);
                (port(tuple.local), port(tuple.remote), fd.is_server)
            });
            seen = Some((fd.kind, path, ends));
        });
        seen.unwrap()
    }

    #[test]
    fn descriptors_of_a_process_are_what_it_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(b"x").unwrap();
        let text = Some(path.to_str().unwrap().to_owned());
        assert_eq!(seen(&file), (DescriptorKind::File, text.clone(), None));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(seen(&file), (DescriptorKind::File, text, None));
        let opened = std::fs::File::open(dir.path()).unwrap();
        assert_eq!(seen(&opened).0, DescriptorKind::Directory);
        let (read, _write) = std::io::pipe().unwrap();
        assert_eq!(seen(&read), (DescriptorKind::Pipe, None, None));
        let epoll = nix::sys::epoll::Epoll::new(nix::sys::epoll::EpollCreateFlags::empty()).unwrap();
        assert_eq!(seen(&epoll.0).0, DescriptorKind::EventPoll);
    }

    #[test]
    fn sockets_are_found_in_the_lists_of_their_network() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let at = listener.local_addr().unwrap();
            let kind = match at.is_ipv4() {
                true => DescriptorKind::Ipv4,
                false => DescriptorKind::Ipv6,
            };
            let client = TcpStream::connect(at).unwrap();
            let own = client.local_addr().unwrap().port();
            let (server, _) = listener.accept().unwrap();
            assert_eq!(seen(&listener), (kind, None, Some((at.port(), 0, true))));
            assert_eq!(seen(&server), (kind, None, Some((at.port(), own, true))));
            assert_eq!(seen(&client), (kind, None, Some((own, at.port(), false))));
        }
        let dir = tempfile::tempdir().unwrap();
        let local = UnixListener::bind(dir.path().join("s")).unwrap();
        assert_eq!(seen(&local).0, DescriptorKind::Unix);
    }

    #[test]
    fn what_is_not_open_and_who_is_gone_have_none() {
        let procfs = Procfs::new(None, Outside::default());
        procfs.descriptor((std::process::id(), 0), 999_999, &mut |fd| panic!("{fd:?}"));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        procfs.descriptor((child.id(), 0), 0, &mut |fd| panic!("{fd:?}"));
        assert!(procfs.descriptors((child.id(), 0)).is_empty());
    }

    #[test]
    fn an_id_that_was_given_away_is_another_processs() {
        let mut procfs = Procfs::new(None, Outside::default());
        let pid = std::process::id();
        let start = procfs.process(pid).unwrap().start_time;
        let null = std::fs::File::open("/dev/null").unwrap();
        let number = null.as_raw_fd().unsigned_abs();
        let mut seen = 0;
        // The kernel's records have the nanoseconds, too.
        for start in [start, start + 1, start + procfs.tick - 1] {
            procfs.descriptor((pid, start), number, &mut |_| seen += 1);
            assert!(procfs.descriptors((pid, start)).contains(&number));
        }
        assert_eq!(seen, 3);
        for other in [start - 1, start + procfs.tick] {
            procfs.descriptor((pid, other), number, &mut |fd| panic!("{fd:?}"));
            assert!(procfs.descriptors((pid, other)).is_empty());
        }
    }
}
