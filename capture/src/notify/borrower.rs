//! The agent's side of the keeper: the listeners it lends, and the loop that answers their calls.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use lanner_schema::seccomp::{Answer, Metadata};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::listener::{Listener, Notification};
use super::message::{self, Lent, PACKET_MAX};
use super::slot::Slot;

/// How long the keeper may take to greet.
const GREETING: u16 = 2000;
/// After so long the keeper may have taken its listeners back, and receiving could wait for ever.
const STALE: Duration = Duration::from_millis(100);
/// What is looked at in one turn.
const EVENTS: usize = 64;

const KEEPER: u64 = 0;
const STOP: u64 = 1;

/// What is done with calls.
pub(crate) trait Witness {
    /// Looks at a call that waits. Nothing in it may wait for anybody.
    fn look(&mut self, lent: &Borrowed, call: &Notification);
    /// The call is answered: what was seen of it can be told. `valid` says whether it had waited all the time.
    fn answered(&mut self, valid: bool);
    /// A listener has ended.
    fn ended(&mut self, lent: &Borrowed);
}

/// A listener of the keeper's.
#[derive(Debug)]
pub(crate) struct Borrowed {
    listener: Listener,
    pub(crate) lent: Lent,
    answers: Metadata,
}

impl Borrowed {
    /// What a call of its is answered.
    pub(crate) fn answer(&self, call: &Notification) -> Answer {
        self.answers.answer(call.arch, call.number)
    }
}

/// A connection to the keeper.
#[derive(Debug)]
pub(crate) struct Borrower {
    keeper: OwnedFd,
    /// Tells the keeper from others.
    life: u64,
    /// The keeper has gone, and what it lent is ours.
    inherited: bool,
    slot: Slot,
    epoll: Epoll,
    borrowed: BTreeMap<u64, Borrowed>,
    packet: Vec<u8>,
}

/// How a turn went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There can be another.
    More,
    /// The keeper has gone, or has taken its listeners back.
    Parted,
    /// We are to stop.
    Stopped,
}

impl Borrower {
    /// Connects to the keeper. What can be read from `stop` ends turns.
    ///
    /// # Errors
    /// When there is none, or another agent is served.
    pub(crate) fn connect(path: &Path, stop: &impl AsFd) -> io::Result<Borrower> {
        let keeper = socket(
            AddressFamily::Unix,
            SockType::SeqPacket,
            SockFlag::SOCK_CLOEXEC,
            None,
        )?;
        connect(keeper.as_raw_fd(), &UnixAddr::new(path)?)?;
        let mut polled = [
            PollFd::new(keeper.as_fd(), PollFlags::POLLIN),
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
        ];
        if poll(&mut polled, PollTimeout::from(GREETING))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut packet = vec![0; PACKET_MAX];
        let (length, descriptors) = message::receive(&keeper, &mut packet)?;
        let memory = descriptors.into_iter().next();
        let Some((memory, life)) = memory.zip(message::read_greeting(&packet[..length])) else {
            return Err(io::Error::other("it is no keeper of this version"));
        };
        let slot = Slot::open(memory)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(
            &keeper,
            EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP, KEEPER),
        )?;
        epoll.add(stop, EpollEvent::new(EpollFlags::EPOLLIN, STOP))?;
        Ok(Borrower {
            keeper,
            life,
            inherited: false,
            slot,
            epoll,
            borrowed: BTreeMap::new(),
            packet,
        })
    }

    /// Goes on without the keeper, which has gone.
    pub(crate) fn inherit(&mut self) {
        if !std::mem::replace(&mut self.inherited, true) {
            let _ = self.epoll.delete(&self.keeper);
        }
    }

    /// Gives the listeners to the keeper of `next`, unless it is the one that lent them: then it has them.
    pub(crate) fn give_to(self, next: &Borrower) {
        if self.life == next.life {
            return;
        }
        for borrowed in self.borrowed.values() {
            if let Err(error) = message::send(
                &next.keeper,
                &borrowed.lent.to_bytes(),
                &borrowed.listener.as_fd(),
            ) {
                tracing::error!(
                    "container {}: the keeper does not take its listener: {error}",
                    borrowed.lent.container
                );
            }
        }
    }

    /// How many listeners there are.
    pub(crate) fn listeners(&self) -> usize {
        self.borrowed.len()
    }

    /// What the keeper says of itself: calls it answered, and agents that were silent.
    pub(crate) fn told(&self) -> (u64, u64) {
        self.slot.told()
    }

    /// Waits for calls and answers those there are.
    pub(crate) fn turn(&mut self, wait: EpollTimeout, witness: &mut impl Witness) -> Turn {
        let mut events = [EpollEvent::empty(); EVENTS];
        let count = match self.epoll.wait(&mut events, wait) {
            Ok(count) => count,
            Err(Errno::EINTR) => return Turn::More,
            Err(_) => return Turn::Parted,
        };
        let begun = Instant::now();
        for event in &events[..count] {
            match event.data() {
                STOP => return Turn::Stopped,
                KEEPER => {
                    if !self.take() {
                        return Turn::Parted;
                    }
                }
                number => {
                    if begun.elapsed() > STALE && !self.inherited && self.has_parted() {
                        return Turn::Parted;
                    }
                    self.listener_event(number, event.events(), witness);
                }
            }
        }
        Turn::More
    }

    /// Takes what the keeper sends; false at the end of the connection.
    fn take(&mut self) -> bool {
        loop {
            let (length, descriptors) = match message::receive(&self.keeper, &mut self.packet) {
                Ok((0, _)) => return false,
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            };
            let lent = Lent::read(&self.packet[..length]);
            let listener = descriptors.into_iter().next().and_then(Listener::new);
            let (Some(lent), Some(listener)) = (lent, listener) else {
                // The keeper would wait for answers to its calls.
                return false;
            };
            // The keeper's numbers are not ours: those of ours are the first.
            if self
                .epoll
                .add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, lent.number))
                .is_err()
            {
                return false;
            }
            let answers = Metadata::read(&lent.metadata).unwrap_or_default();
            self.borrowed.insert(
                lent.number,
                Borrowed {
                    listener,
                    lent,
                    answers,
                },
            );
        }
    }

    fn has_parted(&self) -> bool {
        let parted = PollFlags::POLLHUP | PollFlags::POLLERR;
        let mut polled = [PollFd::new(self.keeper.as_fd(), PollFlags::empty())];
        let ready = poll(&mut polled, PollTimeout::ZERO).unwrap_or(0);
        ready > 0 && polled[0].revents().is_none_or(|events| events.intersects(parted))
    }

    fn listener_event(&mut self, number: u64, events: EpollFlags, witness: &mut impl Witness) {
        let Some(borrowed) = self.borrowed.get(&number) else {
            return;
        };
        if events.contains(EpollFlags::EPOLLIN) {
            let Ok(call) = self.slot.receive(number, &borrowed.listener) else {
                // Who made it is gone.
                return;
            };
            witness.look(borrowed, &call);
            let valid = borrowed.listener.is_valid(call.id);
            // ENOENT: who made it is gone, or the keeper did.
            let _ = borrowed.listener.answer(call.id, borrowed.answer(&call));
            self.slot.done();
            witness.answered(valid);
            return;
        }
        if events.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR)
            && let Some(borrowed) = self.borrowed.remove(&number)
        {
            let _ = self.epoll.delete(&borrowed.listener);
            witness.ended(&borrowed);
        }
    }
}
