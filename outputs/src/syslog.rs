//! `syslog_output`: the alert's line in the form syslog(3) gives it, to the socket syslog(3) writes to.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lanner_schema::alert::Alert;
use nix::errno::Errno;

use crate::datagram::Datagram;
use crate::output::{Output, OutputError, Taken};

/// `LOG_USER`, the facility of a program that names none: Falco's.
const FACILITY_USER: u8 = 1;

/// A line that does not fit into a datagram is cut to this many bytes; syslog daemons cut far earlier.
const CUT: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Syslog {
    socket: Datagram,
    pid: u32,
    zone: TimeZone,
}

impl Syslog {
    pub(crate) fn new(socket: &Path) -> Self {
        Syslog {
            socket: Datagram::new(socket.to_owned()),
            pid: std::process::id(),
            zone: TimeZone::system(),
        }
    }
}

impl Output for Syslog {
    fn deliver(&mut self, alert: &Alert) -> Result<Taken, OutputError> {
        let message = message(alert, self.pid, &self.zone);
        let send = |bytes: &[u8], socket: &std::os::unix::net::UnixDatagram| -> io::Result<()> {
            socket.send(bytes).map(|_| ())
        };
        let mut sent = self.socket.send(|socket| send(message.as_bytes(), socket))?;
        if sent
            .as_ref()
            .is_err_and(|e| e.raw_os_error() == Some(Errno::EMSGSIZE as i32))
        {
            let cut = &message[..message.floor_char_boundary(CUT)];
            sent = self.socket.send(|socket| send(cut.as_bytes(), socket))?;
        }
        sent.map(|()| Taken::Written)
            .map_err(|cause| self.socket.failed(cause))
    }

    fn reopen(&mut self) {
        self.socket.close();
    }
}

/// `<PRI>Mon dd hh:mm:ss lanner[pid]: line`, with the time of the event.
fn message(alert: &Alert, pid: u32, zone: &TimeZone) -> String {
    let priority = FACILITY_USER * 8 + alert.priority.severity();
    // Nanoseconds in a u64 end in the year 2554, which a timestamp can hold.
    let time = Timestamp::from_nanosecond(i128::from(alert.time)).unwrap_or_default();
    let time = time.to_zoned_datetime(zone.clone());
    format!(
        "<{priority}>{} lanner[{pid}]: {}",
        time.strftime("%b %e %H:%M:%S"),
        alert.line
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::LossReason;
    use crate::test_alert::alert;
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    fn listener(path: &Path) -> UnixDatagram {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    }

    fn receive(socket: &UnixDatagram) -> String {
        let mut buffer = vec![0; 1 << 20];
        let n = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..n].to_vec()).unwrap()
    }

    #[test]
    fn the_message_reads_as_syslogs() {
        // Warning is 4, user is 1: 12. The day is padded with a space.
        assert_eq!(
            message(&alert("hello"), 7, &TimeZone::UTC),
            "<12>Nov 14 22:13:20 lanner[7]: hello"
        );
        let mut early = alert("hello");
        early.time = 1_699_000_000_000_000_000;
        assert_eq!(
            message(&early, 7, &TimeZone::UTC),
            "<12>Nov  3 08:26:40 lanner[7]: hello"
        );
    }

    #[test]
    fn an_absent_daemon_loses_alerts_until_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut syslog = Syslog::new(&path);
        assert_eq!(
            syslog.deliver(&alert("lost")).unwrap_err().reason(),
            LossReason::Absent
        );
        let first = listener(&path);
        syslog.deliver(&alert("one")).unwrap();
        assert!(receive(&first).ends_with(": one"));
        // A restarted daemon binds a new socket; the alert that finds the old one dead still arrives.
        drop(first);
        std::fs::remove_file(&path).unwrap();
        let second = listener(&path);
        syslog.deliver(&alert("two")).unwrap();
        assert!(receive(&second).ends_with(": two"));
    }

    #[test]
    fn a_line_too_large_for_a_datagram_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let daemon = listener(&path);
        let mut syslog = Syslog::new(&path);
        syslog.deliver(&alert(&"ü".repeat(16 << 20))).unwrap();
        let got = receive(&daemon);
        assert!(got.len() <= CUT && got.len() > CUT - 4, "{}", got.len());
    }
}
