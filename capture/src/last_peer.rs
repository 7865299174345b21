//! What sockets did with datagrams before. Where the last went: `fd.name_changed` is true of the first to another peer.
//! Whether the first came in: a socket whose port nobody chose is a server when it did, and a client when it sent first.

use std::net::IpAddr;

use lanner_schema::record::SocketTuple;

/// Sockets that are remembered. Two that share a slot make each other's datagrams look new: once more than needed, never
/// once too little.
const SLOTS: usize = 4096;

type Peer = (IpAddr, u16);

const SOCK_STREAM: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    inode: u32,
    peer: Option<Peer>,
    is_server: bool,
}

/// What a datagram tells of its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Datagram {
    /// Its peer is not that of the last one.
    pub(crate) changed: bool,
    /// The socket is a server's.
    pub(crate) is_server: bool,
}

/// By socket, what is known of it.
#[derive(Debug)]
pub(crate) struct LastPeers(Box<[Known]>);

impl LastPeers {
    pub(crate) fn new() -> LastPeers {
        let nothing = Known {
            inode: 0,
            peer: None,
            is_server: false,
        };
        LastPeers(vec![nothing; SLOTS].into_boxed_slice())
    }

    /// Notes where a socket sends to or receives from. A connected socket has its name and its role from the call that
    /// connected it.
    pub(crate) fn note(&mut self, tuple: &SocketTuple<'_>, came_in: bool) -> Datagram {
        if tuple.connected || tuple.remote.is_none() {
            return Datagram {
                changed: false,
                is_server: tuple.is_server(),
            };
        }
        // Inode numbers of sockets are handed out one after the other.
        let slot = &mut self.0[tuple.inode as usize % SLOTS];
        let guess = match slot.inode == tuple.inode && slot.peer.is_some() {
            true => slot.is_server,
            false => came_in && tuple.kind != SOCK_STREAM,
        };
        let now = Known {
            inode: tuple.inode,
            peer: tuple.remote,
            is_server: tuple.is_server() || guess,
        };
        let before = std::mem::replace(slot, now);
        Datagram {
            changed: (before.inode, before.peer) != (now.inode, now.peer),
            is_server: now.is_server,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(inode: u32, remote: &str) -> SocketTuple<'static> {
        let remote: std::net::SocketAddr = remote.parse().unwrap();
        SocketTuple {
            inode,
            remote: Some((remote.ip(), remote.port())),
            ..SocketTuple::default()
        }
    }

    fn sent(peers: &mut LastPeers, tuple: &SocketTuple<'_>) -> bool {
        peers.note(tuple, false).changed
    }

    #[test]
    fn who_receives_first_is_a_server_and_who_sends_first_a_client() {
        let mut peers = LastPeers::new();
        let mut role = |tuple: SocketTuple<'_>, came_in| peers.note(&tuple, came_in).is_server;
        let (asked, asks) = (to(7, "1.1.1.1:5300"), to(8, "1.1.1.1:53"));
        assert!(role(asked, true));
        assert!(role(asked, false), "it answers");
        assert!(!role(asks, false));
        assert!(!role(asks, true), "it is answered");
        let bound = SocketTuple {
            bound: true,
            ..to(9, "1.1.1.1:53")
        };
        assert!(role(bound, false), "its program chose its port");
        let connected = SocketTuple {
            connected: true,
            ..to(10, "1.1.1.1:53")
        };
        assert!(!role(connected, true));
        let stream = SocketTuple {
            kind: SOCK_STREAM,
            ..to(11, "1.1.1.1:53")
        };
        assert!(!role(stream, true));
    }

    #[test]
    fn only_the_first_datagram_to_a_peer_changes_a_sockets_name() {
        let mut peers = LastPeers::new();
        assert!(sent(&mut peers, &to(7, "1.1.1.1:53")));
        assert!(!sent(&mut peers, &to(7, "1.1.1.1:53")));
        assert!(sent(&mut peers, &to(8, "1.1.1.1:53")), "another socket");
        assert!(!sent(&mut peers, &to(7, "1.1.1.1:53")));
        assert!(sent(&mut peers, &to(7, "1.1.1.1:54")));
        assert!(sent(&mut peers, &to(7, "1.1.1.1:53")), "and back");
    }

    #[test]
    fn a_connected_socket_keeps_its_name() {
        let tuple = SocketTuple {
            connected: true,
            ..to(7, "1.1.1.1:53")
        };
        assert!(!sent(&mut LastPeers::new(), &tuple));
        assert!(!sent(&mut LastPeers::new(), &SocketTuple::default()));
    }

    #[test]
    fn sockets_that_share_a_slot_are_still_told_apart() {
        let mut peers = LastPeers::new();
        let other = 7 + u32::try_from(SLOTS).unwrap();
        assert!(sent(&mut peers, &to(7, "1.1.1.1:53")));
        assert!(sent(&mut peers, &to(other, "1.1.1.1:53")));
        assert!(sent(&mut peers, &to(7, "1.1.1.1:53")));
    }
}
