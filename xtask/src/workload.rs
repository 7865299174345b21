//! Small pieces of work whose price is measured: without and with somebody who watches.

use std::ffi::{CStr, CString};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, stat};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, execve, fork, getpid, pipe, read, write};

/// A piece of work, done again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// A system call that no rule needs.
    Getpid,
    /// The same with a path.
    Stat,
    /// Two that no rule needs: a byte through a pipe.
    Pipe,
    /// A file that no rule matches, opened for reading and closed.
    Open,
    /// A TCP connection over loopback: socket, connect, accept, and both ends closed.
    Connect,
    /// A child that executes a program which does nothing, and is waited for.
    Exec,
}

/// All of them, in the order of tables.
pub const ALL: [Workload; 6] = [
    Workload::Getpid,
    Workload::Stat,
    Workload::Pipe,
    Workload::Open,
    Workload::Connect,
    Workload::Exec,
];

impl Workload {
    /// As tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Workload::Getpid => "getpid",
            Workload::Stat => "stat",
            Workload::Pipe => "pipe write+read",
            Workload::Open => "open+close",
            Workload::Connect => "TCP connection",
            Workload::Exec => "fork+exec",
        }
    }

    /// Does it `count` times: `file` is what is opened, `program` what is executed.
    ///
    /// # Errors
    /// When the system refuses a step.
    pub fn run(self, count: u32, file: &Path, program: &Path) -> io::Result<()> {
        match self {
            Workload::Getpid => {
                for _ in 0..count {
                    std::hint::black_box(getpid());
                }
            }
            Workload::Stat => {
                for _ in 0..count {
                    std::hint::black_box(stat(file)?);
                }
            }
            Workload::Pipe => {
                let (from, to) = pipe()?;
                for _ in 0..count {
                    write(&to, b"x")?;
                    read(from.as_fd(), &mut [0])?;
                }
            }
            Workload::Open => {
                for _ in 0..count {
                    drop(open(file, OFlag::O_RDONLY, Mode::empty())?);
                }
            }
            Workload::Connect => {
                let listener = TcpListener::bind("127.0.0.1:0")?;
                let address = listener.local_addr()?;
                for _ in 0..count {
                    let client = TcpStream::connect(address)?;
                    drop(listener.accept()?);
                    drop(client);
                }
            }
            Workload::Exec => {
                let path = CString::new(program.as_os_str().as_encoded_bytes())?;
                // A program of many names, as busybox, goes by this one.
                for _ in 0..count {
                    execute(&path, c"true")?;
                }
            }
        }
        Ok(())
    }
}

/// Runs a program in a child and waits for it. It has no environment: that of cargo has the dynamic loader look for each library in
/// many directories first, some two hundred calls.
fn execute(program: &CStr, name: &CStr) -> io::Result<()> {
    let arguments = [name];
    // SAFETY: the child does nothing but execute the program, or end; both calls are safe to make after a fork.
    match unsafe { fork()? } {
        ForkResult::Child => {
            let _ = execve(program, &arguments, &[] as &[&CStr]);
            // SAFETY: ends the child without running what its parent registered for its own end.
            unsafe { nix::libc::_exit(127) }
        }
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            other => Err(io::Error::other(format!("{program:?} ended with {other:?}"))),
        },
    }
}
