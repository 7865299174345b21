//! A datagram socket to a log daemon that may be absent, restarted or slow.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

use crate::output::OutputError;

/// A daemon that takes nothing for this long is treated as failing, so that its alerts are counted as lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the kernel is asked to queue for a daemon that is slow; it grants less where `net.core.wmem_max` says so.
const SEND_BUFFER: usize = 8 << 20;

/// A client's end, connected when it is first needed and again when the daemon went away.
#[derive(Debug)]
pub(crate) struct Datagram {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Datagram {
    pub(crate) fn new(path: PathBuf) -> Self {
        Datagram { path, socket: None }
    }

    /// Drops the connection; the next send makes a new one.
    pub(crate) fn close(&mut self) {
        self.socket = None;
    }

    /// Sends by `send`; when the connection turns out to be dead (the daemon was restarted) once more over a new one.
    /// Errors that are not about the connection come back as they are, in the inner result.
    pub(crate) fn send(
        &mut self,
        send: impl Fn(&UnixDatagram) -> io::Result<()>,
    ) -> Result<io::Result<()>, OutputError> {
        if let Some(socket) = &self.socket {
            match send(socket) {
                Err(error) if is_dead(&error) => self.socket = None,
                result => return Ok(result),
            }
        }
        let socket = self.connect()?;
        match send(&socket) {
            Err(cause) if is_dead(&cause) => Err(self.no_listener(cause)),
            result => {
                self.socket = Some(socket);
                Ok(result)
            }
        }
    }

    /// The error for a failed send.
    pub(crate) fn failed(&self, cause: io::Error) -> OutputError {
        OutputError::Write {
            target: self.path.display().to_string(),
            cause,
        }
    }

    fn connect(&self) -> Result<UnixDatagram, OutputError> {
        let connected = UnixDatagram::unbound().and_then(|socket| {
            socket.connect(&self.path)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(socket)
        });
        match connected {
            Ok(socket) => {
                // A smaller buffer only means that large alerts take the way for large alerts.
                let _ = setsockopt(&socket, sockopt::SndBuf, &SEND_BUFFER);
                Ok(socket)
            }
            Err(cause) => Err(self.no_listener(cause)),
        }
    }

    fn no_listener(&self, cause: io::Error) -> OutputError {
        OutputError::NoListener {
            socket: self.path.clone(),
            cause,
        }
    }
}

fn is_dead(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotConnected, NotFound};
    matches!(
        error.kind(),
        ConnectionRefused | ConnectionReset | NotConnected | BrokenPipe | NotFound
    )
}
