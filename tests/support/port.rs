//! Ports that nobody gets by chance while a test uses them.

use std::net::TcpListener;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, setsockopt, socket,
    sockopt,
};

/// A TCP port that is bound and not listened on: connections are refused, and the kernel gives it to nobody who asks for any. Who
/// asks for this one may listen there, as long as it sets `SO_REUSEADDR`, as the standard library does.
pub(crate) struct Port {
    socket: OwnedFd,
    pub(crate) number: u16,
}

impl Port {
    pub(crate) fn new() -> Port {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
        setsockopt(&socket, sockopt::ReuseAddr, &true).unwrap();
        bind(socket.as_raw_fd(), &SockaddrIn::new(0, 0, 0, 0, 0)).unwrap();
        let number = getsockname::<SockaddrIn>(socket.as_raw_fd()).unwrap().port();
        Port { socket, number }
    }

    /// From now on somebody is there.
    pub(crate) fn listen(self) -> TcpListener {
        listen(&self.socket, Backlog::new(100).unwrap()).unwrap();
        TcpListener::from(self.socket)
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.number.fmt(f)
    }
}
