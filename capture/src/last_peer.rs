//! Where each socket's last datagram went: `fd.name_changed` is true of the first to another peer.

use std::net::IpAddr;

use lanner_schema::record::SocketTuple;

/// Sockets that are remembered. Two that share a slot make each other's datagrams look new: once more than needed, never
/// once too little.
const SLOTS: usize = 4096;

type Peer = (IpAddr, u16);

/// By socket, the peer of its last datagram.
#[derive(Debug)]
pub(crate) struct LastPeers(Box<[(u32, Option<Peer>)]>);

impl LastPeers {
    pub(crate) fn new() -> LastPeers {
        LastPeers(vec![(0, None); SLOTS].into_boxed_slice())
    }

    /// Notes where a socket sends to; true when that is elsewhere than the last time. A connected socket has its name from
    /// the call that connected it.
    pub(crate) fn changed(&mut self, tuple: &SocketTuple<'_>) -> bool {
        if tuple.connected || tuple.remote.is_none() {
            return false;
        }
        // Inode numbers of sockets are handed out one after the other.
        let slot = &mut self.0[tuple.inode as usize % SLOTS];
        let now = (tuple.inode, tuple.remote);
        std::mem::replace(slot, now) != now
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

    #[test]
    fn only_the_first_datagram_to_a_peer_changes_a_sockets_name() {
        let mut peers = LastPeers::new();
        assert!(peers.changed(&to(7, "1.1.1.1:53")));
        assert!(!peers.changed(&to(7, "1.1.1.1:53")));
        assert!(peers.changed(&to(8, "1.1.1.1:53")), "another socket");
        assert!(!peers.changed(&to(7, "1.1.1.1:53")));
        assert!(peers.changed(&to(7, "1.1.1.1:54")));
        assert!(peers.changed(&to(7, "1.1.1.1:53")), "and back");
    }

    #[test]
    fn a_connected_socket_keeps_its_name() {
        let tuple = SocketTuple {
            connected: true,
            ..to(7, "1.1.1.1:53")
        };
        assert!(!LastPeers::new().changed(&tuple));
        assert!(!LastPeers::new().changed(&SocketTuple::default()));
    }

    #[test]
    fn sockets_that_share_a_slot_are_still_told_apart() {
        let mut peers = LastPeers::new();
        let other = 7 + u32::try_from(SLOTS).unwrap();
        assert!(peers.changed(&to(7, "1.1.1.1:53")));
        assert!(peers.changed(&to(other, "1.1.1.1:53")));
        assert!(peers.changed(&to(7, "1.1.1.1:53")));
    }
}
