//! Both ends of a socket in a record.

use std::net::IpAddr;

use super::{u16_at, u32_at, u64_at};

/// Both ends of a socket, as the record carries them.
///
/// ```text
/// 0  u16 family (AF_*)   2  u8 protocol (IPPROTO_*)   3  u8 type (SOCK_*)
/// 4  u16 local port      6  u16 remote port           8  local address (16 bytes)   24  remote address (16 bytes)
/// 40 u32 inode           44 u8 state (SOCKET_*)       48 path of an AF_UNIX peer, without NUL
/// ```
/// An IPv4 address fills the first four bytes of its sixteen. Ports are in host byte order. What stands for the address of
/// an AF_UNIX socket is where the kernel keeps it (eight bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SocketTuple<'a> {
    /// `AF_*`.
    pub family: u16,
    /// `IPPROTO_*`: 6 TCP, 17 UDP.
    pub protocol: u8,
    /// `SOCK_*`, or [`SOCK_UNTOLD`].
    pub kind: u8,
    /// The process's own end.
    pub local: Option<(IpAddr, u16)>,
    /// The other end.
    pub remote: Option<(IpAddr, u16)>,
    /// Inode number of the socket, which tells it from every other; 0 when the descriptor was none.
    pub inode: u32,
    /// The socket is connected, and `remote` is its peer.
    pub connected: bool,
    /// The socket came from one that listens, or listens itself.
    pub accepted: bool,
    /// The program chose the port of this datagram socket.
    pub bound: bool,
    /// Where the kernel keeps a socket of `AF_UNIX`, and its peer; 0 when there is none.
    pub kernel: (u64, u64),
    /// The path of an `AF_UNIX` peer; an abstract one begins with NUL.
    pub path: &'a [u8],
}

/// A socket of which nothing is known but the address a call was passed for it.
pub const SOCK_UNTOLD: u8 = 255;

/// `AF_UNIX`.
pub const AF_UNIX: u16 = 1;
/// `AF_INET`.
pub const AF_INET: u16 = 2;
/// `AF_NETLINK`.
pub const AF_NETLINK: u16 = 16;
/// `AF_INET6`.
pub const AF_INET6: u16 = 10;
/// Length of the fixed part of a tuple.
pub const TUPLE_LEN: usize = 48;
/// Bit of a socket's state: connected, and the tuple's remote end is its peer.
pub const SOCKET_CONNECTED: u8 = 1;
/// Bit of a socket's state: it was accepted from one that listens (or listens itself).
pub const SOCKET_ACCEPTED: u8 = 2;
/// Bit of a datagram socket's state: its program chose the port it is bound to, as servers do.
pub const SOCKET_BOUND: u8 = 4;

impl<'a> SocketTuple<'a> {
    /// Reads a tuple; `None` when the bytes are too few.
    pub fn read(bytes: &'a [u8]) -> Option<SocketTuple<'a>> {
        let (fixed, path) = bytes.split_at_checked(TUPLE_LEN)?;
        let family = u16_at(fixed, 0)?;
        // Callers pass a whole sockaddr_un as often as not: the path ends at its NUL, an abstract name at its second.
        let first = usize::from(path.first() == Some(&0));
        let nul = path.iter().skip(first).position(|&b| b == 0);
        let path = nul.and_then(|at| path.get(..first + at)).unwrap_or(path);
        // Nothing but zeroes is an end that was never set, not an address.
        let known = |end: Option<(IpAddr, u16)>| end.filter(|(ip, port)| *port != 0 || !ip.is_unspecified());
        let address = |at: usize| -> Option<IpAddr> {
            match family {
                AF_INET => Some(IpAddr::from(*fixed[at..].first_chunk::<4>()?)),
                AF_INET6 => Some(IpAddr::from(*fixed[at..].first_chunk::<16>()?)),
                _ => None,
            }
        };
        Some(SocketTuple {
            family,
            protocol: fixed[2],
            kind: fixed[3],
            local: known(address(8).zip(u16_at(fixed, 4))),
            remote: known(address(24).zip(u16_at(fixed, 6))),
            inode: u32_at(fixed, 40)?,
            connected: fixed[44] & SOCKET_CONNECTED != 0,
            accepted: fixed[44] & SOCKET_ACCEPTED != 0,
            bound: fixed[44] & SOCKET_BOUND != 0,
            kernel: match family {
                AF_UNIX => (u64_at(fixed, 8)?, u64_at(fixed, 24)?),
                _ => (0, 0),
            },
            path,
        })
    }

    /// True when there is a socket: the descriptor of a call may be none, and only the address it was given known.
    pub fn has_socket(&self) -> bool {
        self.kind != 0 || self.inode != 0
    }

    /// True for the end that a server owns.
    pub fn is_server(&self) -> bool {
        self.accepted || self.bound
    }

    /// Appends the tuple's bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let octets = |end: Option<(IpAddr, u16)>, kernel: u64| -> [u8; 16] {
            let mut bytes = [0; 16];
            match end {
                Some((IpAddr::V4(ip), _)) => bytes[..4].copy_from_slice(&ip.octets()),
                Some((IpAddr::V6(ip), _)) => bytes = ip.octets(),
                None => bytes[..8].copy_from_slice(&kernel.to_le_bytes()),
            }
            bytes
        };
        out.extend(self.family.to_le_bytes());
        out.push(self.protocol);
        out.push(self.kind);
        out.extend(self.local.map_or(0, |(_, port)| port).to_le_bytes());
        out.extend(self.remote.map_or(0, |(_, port)| port).to_le_bytes());
        out.extend(octets(self.local, self.kernel.0));
        out.extend(octets(self.remote, self.kernel.1));
        out.extend(self.inode.to_le_bytes());
        let state = [
            (self.connected, SOCKET_CONNECTED),
            (self.accepted, SOCKET_ACCEPTED),
            (self.bound, SOCKET_BOUND),
        ];
        let state = state
            .iter()
            .filter(|(is, _)| *is)
            .fold(0, |bits, (_, bit)| bits | bit);
        out.extend([state, 0, 0, 0]);
        out.extend(self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuples_read_what_they_write() {
        let tuple = SocketTuple {
            family: AF_INET,
            protocol: 6,
            kind: 1,
            local: Some(("10.0.0.1".parse().unwrap(), 40000)),
            remote: Some(("1.1.1.1".parse().unwrap(), 443)),
            inode: 4711,
            connected: true,
            accepted: false,
            bound: true,
            kernel: (0, 0),
            path: b"",
        };
        let mut bytes = Vec::new();
        tuple.write(&mut bytes);
        assert_eq!(bytes.len(), TUPLE_LEN);
        assert_eq!(SocketTuple::read(&bytes), Some(tuple));
        let local = SocketTuple {
            family: AF_UNIX,
            kernel: (0xffff_8880_0000_0040, 0xffff_8880_0000_0080),
            path: b"/run/x",
            ..SocketTuple::default()
        };
        let mut written = Vec::new();
        local.write(&mut written);
        assert_eq!(SocketTuple::read(&written), Some(local));
        assert_eq!(SocketTuple::read(&bytes[..TUPLE_LEN - 1]), None);
    }

    /// Callers may pass a whole `sockaddr_un`, zeroes behind the path included.
    #[test]
    fn a_socket_path_ends_at_its_first_nul() {
        let read = |path: &[u8]| {
            let mut bytes = vec![0; TUPLE_LEN];
            bytes[0] = 1; // AF_UNIX
            bytes.extend_from_slice(path);
            SocketTuple::read(&bytes).map(|t| t.path.to_vec())
        };
        assert_eq!(
            read(b"/run/docker.sock\0\0\0").as_deref(),
            Some(&b"/run/docker.sock"[..])
        );
        assert_eq!(
            read(b"/run/docker.sock\0stale").as_deref(),
            Some(&b"/run/docker.sock"[..])
        );
        assert_eq!(
            read(b"/run/docker.sock").as_deref(),
            Some(&b"/run/docker.sock"[..])
        );
        assert_eq!(read(b"\0abstract\0\0").as_deref(), Some(&b"\0abstract"[..]));
        assert_eq!(read(b"\0").as_deref(), Some(&b"\0"[..]));
        assert_eq!(read(b"").as_deref(), Some(&b""[..]));
    }
}
