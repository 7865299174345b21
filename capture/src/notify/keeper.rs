//! The keeper: a process that has every listener, and sees to it that no call waits for long.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lanner_schema::seccomp::Metadata;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, listen, socket};

use super::listener::{Listener, Notification};
use super::message::{self, Lent, PACKET_MAX, ProcessState, STATE_MAX};
use super::slot::Slot;
use crate::outside;

/// Where the keeper is found, and how patient it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperOptions {
    /// Socket for runtimes: `listenerPath` of the policies.
    pub listener: PathBuf,
    /// Socket for agents.
    pub agents: PathBuf,
    /// How long calls may wait for an agent before the keeper takes them back.
    pub patience: Duration,
}

/// Why there can be no keeper.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// Two would take each other's listeners.
    #[error("{}: another keeper listens there", .0.display())]
    Another(PathBuf),
    /// A socket can't be made.
    #[error("{}: {error}", path.display())]
    Socket {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The kernel refused something else.
    #[error("{what}: {error}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
}

/// Runtimes that are in the middle of handing a listener over; more of them wait.
const ARRIVING_MAX: usize = 64;
/// How long one may take over it.
const ARRIVING: Duration = Duration::from_secs(5);
/// How often a call that blocks against all expectation is interrupted.
const ALARM_MICROSECONDS: libc::suseconds_t = 50_000;
/// What is looked at in one turn.
const EVENTS: usize = 64;

/// Tokens of the event loop; those of listeners and arriving runtimes are counted from [`FIRST`].
const RUNTIMES: u64 = 0;
const AGENTS: u64 = 1;
const AGENT: u64 = 2;
const SIGNALS: u64 = 3;
const FIRST: u64 = 16;

/// A listener that is kept.
#[derive(Debug)]
struct Kept {
    listener: Listener,
    container: String,
    pid: i32,
    metadata: String,
    answers: Metadata,
    /// The agent answers.
    lent: bool,
}

/// A runtime that is handing one over.
#[derive(Debug)]
struct Arriving {
    socket: UnixStream,
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
    until: Instant,
}

/// The agent that is connected.
#[derive(Debug)]
struct Agent {
    socket: OwnedFd,
    slot: Slot,
    /// What it had done when it was looked at last, and the call it had not answered then.
    turns: u64,
    outstanding: Option<u64>,
    /// Calls were waiting for it then.
    waiting: bool,
}

#[derive(Debug)]
struct Keeper {
    epoll: Epoll,
    runtimes: UnixListener,
    agents: OwnedFd,
    patience: Duration,
    kept: BTreeMap<u64, Kept>,
    arriving: BTreeMap<u64, Arriving>,
    agent: Option<Agent>,
    next: u64,
    /// When the agent is looked at again.
    look: Instant,
    answered: u64,
    silent: u64,
    /// Tells this keeper from others.
    life: u64,
    /// A silent agent may still be about, and receive from listeners that were taken back.
    rivals: bool,
}

/// Keeps listeners until SIGTERM or SIGINT.
///
/// # Errors
/// When there can be no keeper here.
pub fn keep(options: &KeeperOptions) -> Result<(), KeeperError> {
    let system = |what| {
        move |error: Errno| KeeperError::System {
            what,
            error: error.into(),
        }
    };
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block().map_err(system("sigprocmask"))?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(system("signalfd"))?;
    let nothing = SigAction::new(
        SigHandler::Handler(interrupted),
        SaFlags::empty(),
        SigSet::empty(),
    );
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGALRM, &nothing) }.map_err(system("sigaction"))?;
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Each container has a listener, and each command that is run in it.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }

    let runtimes = listening(&options.listener, SockType::Stream)?;
    let agents = listening(&options.agents, SockType::SeqPacket)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(system("epoll_create1"))?;
    let mut keeper = Keeper {
        epoll,
        runtimes: runtimes.into(),
        agents,
        patience: options.patience,
        kept: BTreeMap::new(),
        arriving: BTreeMap::new(),
        agent: None,
        next: FIRST,
        look: Instant::now(),
        answered: 0,
        silent: 0,
        life: outside::now(),
        rivals: false,
    };
    let input = |token| EpollEvent::new(EpollFlags::EPOLLIN, token);
    let add = |keeper: &Keeper| -> nix::Result<()> {
        keeper.epoll.add(&keeper.runtimes, input(RUNTIMES))?;
        keeper.epoll.add(&keeper.agents, input(AGENTS))?;
        keeper.epoll.add(&signals, input(SIGNALS))
    };
    add(&keeper).map_err(system("epoll_ctl"))?;
    tracing::info!(
        "keeping seccomp listeners: runtimes at {}, agents at {}",
        options.listener.display(),
        options.agents.display()
    );
    let result = keeper.run().map_err(system("epoll_wait"));
    for path in [&options.listener, &options.agents] {
        // A start that finds nobody is refused either way.
        let _ = fs::remove_file(path);
    }
    result
}

extern "C" fn interrupted(_: libc::c_int) {}

/// A socket that only we and root can connect to.
fn listening(path: &Path, kind: SockType) -> Result<OwnedFd, KeeperError> {
    let failed = |error: io::Error| KeeperError::Socket {
        path: path.to_owned(),
        error,
    };
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)
            .map_err(failed)?;
    }
    let address = UnixAddr::new(path).map_err(|error| failed(error.into()))?;
    let make = || -> nix::Result<OwnedFd> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        socket(AddressFamily::Unix, kind, flags, None)
    };
    let there = make().map_err(|error| failed(error.into()))?;
    use std::os::fd::AsRawFd as _;
    match nix::sys::socket::connect(there.as_raw_fd(), &address) {
        Ok(()) | Err(Errno::EAGAIN | Errno::EINPROGRESS) => {
            return Err(KeeperError::Another(path.to_owned()));
        }
        Err(Errno::ENOENT) => {}
        // Nobody listens any more, or something else is at the path: then the bind says so.
        Err(_) if fs::symlink_metadata(path).is_ok_and(|facts| is_socket(&facts)) => {
            fs::remove_file(path).map_err(failed)?;
        }
        Err(_) => {}
    }
    let socket = make().map_err(|error| failed(error.into()))?;
    let bound = bind(socket.as_raw_fd(), &address)
        .map_err(io::Error::from)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o600)));
    bound.map_err(failed)?;
    let backlog = Backlog::new(128).unwrap_or(Backlog::MAXCONN);
    listen(&socket, backlog).map_err(|error| failed(error.into()))?;
    Ok(socket)
}

fn is_socket(facts: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    facts.file_type().is_socket()
}

impl Keeper {
    fn run(&mut self) -> nix::Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS];
        loop {
            let count = match self.epoll.wait(&mut events, self.timeout()) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(error) => return Err(error),
            };
            // Waiting for a call that a silent agent took after all must not be for ever.
            let guarded = self.rivals && count > 0;
            if guarded {
                alarm(ALARM_MICROSECONDS);
            }
            for event in &events[..count] {
                match event.data() {
                    SIGNALS => return Ok(()),
                    RUNTIMES => self.accept_runtime(),
                    AGENTS => self.accept_agent(),
                    AGENT => self.agent_event(event.events()),
                    token if self.arriving.contains_key(&token) => self.arrive(token),
                    token => self.listener_event(token, event.events()),
                }
            }
            if guarded {
                alarm(0);
            }
            let now = Instant::now();
            if now >= self.look {
                self.look_at_agent();
                self.look = now + self.patience;
                self.arriving.retain(|_, arriving| now < arriving.until);
            }
        }
    }

    fn timeout(&self) -> EpollTimeout {
        if self.agent.is_none() && self.arriving.is_empty()
            || self.kept.is_empty() && self.arriving.is_empty()
        {
            return EpollTimeout::NONE;
        }
        let left = self.look.saturating_duration_since(Instant::now());
        // Rounded up, so that the time has come then.
        EpollTimeout::try_from(left.as_millis().saturating_add(1)).unwrap_or(EpollTimeout::ZERO)
    }

    fn accept_runtime(&mut self) {
        if self.arriving.len() >= ARRIVING_MAX {
            // They wait in the queue meanwhile; none may take for ever.
            let oldest = self.arriving.first_key_value().map(|(token, _)| *token);
            oldest.and_then(|token| self.arriving.remove(&token));
            tracing::warn!("too many runtimes hand listeners over at once: the oldest is not listened to");
        }
        let Ok((socket, _)) = self.runtimes.accept() else {
            return;
        };
        let token = self.token();
        let input = EpollEvent::new(EpollFlags::EPOLLIN, token);
        if socket.set_nonblocking(true).is_err() || self.epoll.add(&socket, input).is_err() {
            return;
        }
        let until = Instant::now() + ARRIVING;
        self.arriving.insert(
            token,
            Arriving {
                socket,
                bytes: Vec::new(),
                descriptors: Vec::new(),
                until,
            },
        );
    }

    fn token(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Reads on what a runtime says.
    fn arrive(&mut self, token: u64) {
        let Some(arriving) = self.arriving.get_mut(&token) else {
            return;
        };
        let mut buffer = [0; 16 << 10];
        loop {
            match message::receive(&arriving.socket, &mut buffer) {
                Ok((0, _)) => break,
                Ok((length, mut descriptors)) => {
                    arriving.bytes.extend_from_slice(&buffer[..length]);
                    arriving.descriptors.append(&mut descriptors);
                    if arriving.bytes.len() > STATE_MAX {
                        break;
                    }
                    if let Some(state) = ProcessState::read(&arriving.bytes) {
                        let descriptors = std::mem::take(&mut arriving.descriptors);
                        self.arriving.remove(&token);
                        return self.arrived(state, descriptors);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        let is_silent = arriving.bytes.is_empty();
        self.arriving.remove(&token);
        if is_silent {
            // Somebody looked whether we are here.
            return;
        }
        tracing::warn!(
            "what came to the runtimes' socket is nothing that a runtime says of a listener; it is dropped"
        );
    }

    /// A listener has come.
    fn arrived(&mut self, state: ProcessState, descriptors: Vec<OwnedFd>) {
        let descriptor = descriptors.into_iter().nth(state.listener);
        let Some(listener) = descriptor.and_then(Listener::new) else {
            tracing::warn!(
                "the runtime sent no seccomp listener for container {}",
                state.container
            );
            return;
        };
        listener.wake_in_place();
        let answers = Metadata::read(&state.metadata).unwrap_or_else(|| {
            tracing::warn!(
                "container {}: its policy is not of lanner seccomp-profile; all calls it shows are done",
                state.container
            );
            Metadata::default()
        });
        let number = self.token();
        if let Err(error) = self
            .epoll
            .add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, number))
        {
            // Without us its calls fail with ENOSYS, which is better than waiting for ever.
            tracing::error!(
                "container {}: its listener can't be kept: {error}",
                state.container
            );
            return;
        }
        tracing::debug!(
            "container {}: a listener, of process {}",
            state.container,
            state.pid
        );
        self.kept.insert(
            number,
            Kept {
                listener,
                container: state.container,
                pid: state.pid,
                metadata: state.metadata,
                answers,
                lent: false,
            },
        );
        self.lend();
    }

    fn accept_agent(&mut self) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let Ok(socket) = accept4(&self.agents, flags) else {
            return;
        };
        let slot = match Slot::create() {
            Ok(slot) => slot,
            Err(error) => return tracing::error!("no memory to share with an agent: {error}"),
        };
        slot.tell(self.answered, self.silent);
        let greeted = message::send(&socket, &message::greeting(self.life), &slot.as_fd());
        let added = greeted.and_then(|()| {
            let input = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP, AGENT);
            self.epoll.add(&socket, input)?;
            // Others wait in the queue until this one has gone.
            Ok(self.epoll.delete(&self.agents)?)
        });
        if let Err(error) = added {
            return tracing::warn!("an agent connected, and went: {error}");
        }
        tracing::info!("an agent is connected");
        self.agent = Some(Agent {
            socket,
            slot,
            turns: 0,
            outstanding: None,
            waiting: false,
        });
        self.look = Instant::now() + self.patience;
        self.lend();
    }

    /// Lends the agent what it has not got yet.
    fn lend(&mut self) {
        let Some(agent) = &self.agent else { return };
        let mut full = false;
        for (number, kept) in self.kept.iter_mut().filter(|(_, kept)| !kept.lent) {
            let lent = Lent {
                number: *number,
                container: kept.container.clone(),
                pid: kept.pid,
                metadata: kept.metadata.clone(),
            };
            match message::send(&agent.socket, &lent.to_bytes(), &kept.listener.as_fd()) {
                Ok(()) => {
                    kept.lent = true;
                    // Its end is told all the same.
                    let _ = self
                        .epoll
                        .modify(&kept.listener, &mut EpollEvent::new(EpollFlags::empty(), *number));
                }
                Err(error) => {
                    full = error.kind() == io::ErrorKind::WouldBlock;
                    break;
                }
            }
        }
        let more = if full {
            EpollFlags::EPOLLOUT
        } else {
            EpollFlags::empty()
        };
        let mut wanted = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP | more, AGENT);
        let _ = self.epoll.modify(&agent.socket, &mut wanted);
    }

    fn agent_event(&mut self, events: EpollFlags) {
        if events.contains(EpollFlags::EPOLLIN) && self.take_back() {
            return;
        }
        if events.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR | EpollFlags::EPOLLRDHUP) {
            return self.part("the agent has gone");
        }
        self.lend();
    }

    /// Takes the listeners that the agent has from a keeper before us; true when it has gone meanwhile.
    fn take_back(&mut self) -> bool {
        let mut packet = vec![0; PACKET_MAX];
        loop {
            let Some(agent) = &self.agent else { return true };
            match message::receive(&agent.socket, &mut packet) {
                Ok((0, _)) => {
                    self.part("the agent has gone");
                    return true;
                }
                Ok((length, descriptors)) => match Lent::read(&packet[..length]) {
                    Some(lent) => self.arrived(
                        ProcessState {
                            listener: 0,
                            container: lent.container,
                            pid: lent.pid,
                            metadata: lent.metadata,
                        },
                        descriptors,
                    ),
                    None => tracing::warn!("the agent says what no agent says"),
                },
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// Looks whether the agent does what it is for.
    fn look_at_agent(&mut self) {
        let Some(agent) = &mut self.agent else { return };
        agent.slot.tell(self.answered, self.silent);
        let turns = agent.slot.turns();
        let outstanding = agent.slot.outstanding().map(|(_, call)| call.id);
        let waiting = self
            .kept
            .values()
            .any(|kept| kept.lent && is_waiting(&kept.listener));
        let idle = turns == agent.turns;
        let stuck = idle && outstanding.is_some() && outstanding == agent.outstanding;
        let deaf = idle && waiting && agent.waiting;
        (agent.turns, agent.outstanding, agent.waiting) = (turns, outstanding, waiting);
        if stuck || deaf {
            self.silent += 1;
            self.rivals = true;
            self.part("the agent does not answer, and calls wait: they are answered without it");
        }
    }

    /// Takes back what the agent has.
    fn part(&mut self, why: &str) {
        let Some(agent) = self.agent.take() else { return };
        tracing::info!("{why}");
        // By its end the socket is out of the event loop, too.
        drop(agent.socket);
        if let Some((number, call)) = agent.slot.outstanding()
            && let Some(kept) = self.kept.get(&number)
        {
            answer(kept, &call, &mut self.answered);
        }
        for (number, kept) in self.kept.iter_mut().filter(|(_, kept)| kept.lent) {
            kept.lent = false;
            let _ = self
                .epoll
                .modify(&kept.listener, &mut EpollEvent::new(EpollFlags::EPOLLIN, *number));
        }
        let _ = self
            .epoll
            .add(&self.agents, EpollEvent::new(EpollFlags::EPOLLIN, AGENTS));
    }

    fn listener_event(&mut self, number: u64, events: EpollFlags) {
        let Some(kept) = self.kept.get(&number) else {
            return;
        };
        if events.contains(EpollFlags::EPOLLIN) && !kept.lent {
            match kept.listener.receive() {
                Ok(call) => answer(kept, &call, &mut self.answered),
                // Who made it is gone, or another has it, or there is none after all.
                Err(error) => tracing::trace!("a call is gone: {error}"),
            }
            return;
        }
        if events.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) {
            // Nobody has the policy any more.
            if let Some(kept) = self.kept.remove(&number) {
                let _ = self.epoll.delete(&kept.listener);
                tracing::debug!("container {}: a listener has ended", kept.container);
            }
        }
    }
}

fn answer(kept: &Kept, call: &Notification, answered: &mut u64) {
    // ENOENT: the agent did, or nobody waits.
    if kept
        .listener
        .answer(call.id, kept.answers.answer(call.arch, call.number))
        .is_ok()
    {
        *answered += 1;
    }
}

/// Whether a call waits to be received.
fn is_waiting(listener: &Listener) -> bool {
    let mut polled = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    let ready = poll(&mut polled, PollTimeout::ZERO).unwrap_or(0);
    ready > 0
        && polled[0]
            .revents()
            .is_some_and(|events| events.contains(PollFlags::POLLIN))
}

/// Sends us SIGALRM every so many microseconds; never for 0.
fn alarm(microseconds: libc::suseconds_t) {
    let interval = libc::timeval {
        tv_sec: 0,
        tv_usec: microseconds,
    };
    let timer = libc::itimerval {
        it_interval: interval,
        it_value: interval,
    };
    // SAFETY: the structure lives through the call, and the old value is not asked for.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
}
