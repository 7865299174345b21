//! Outputs that send alerts over the network: tries, waits, and the spool for what can't be delivered now.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lanner_schema::alert::Alert;

use crate::backoff::Backoff;
use crate::choose::{Kind, SpoolConfig};
use crate::counters::Counters;
use crate::ending::Ending;
use crate::output::{Context, FlushError, Output, OutputError, Taken};
use crate::spool::{Key, Spool, SpoolError};

/// How long the spool is sent from before the queue is looked at again.
const TURN: Duration = Duration::from_millis(100);

/// The longest wait that a receiver may ask for.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The way to a receiver.
pub(crate) trait Transport: Send {
    /// What is sent for an alert.
    fn encode(&mut self, alert: &Alert) -> Vec<u8>;

    /// Sends it, once. Receivers can tell by the key that they have it already.
    fn send(&mut self, body: &[u8], key: Option<Key>) -> Result<(), SendError>;

    /// Drops connections and what was read from files.
    fn reopen(&mut self);
}

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) struct SendError {
    pub(crate) error: OutputError,
    pub(crate) again: Again,
}

/// Whether another attempt makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Again {
    /// The receiver does not want this alert.
    Never,
    /// Later.
    Later,
    /// After this time, as the receiver says.
    After(Duration),
}

/// An output over a [`Transport`].
#[derive(Debug)]
pub(crate) struct Sending<T> {
    kind: Kind,
    transport: T,
    counters: Arc<Counters>,
    ending: Arc<Ending>,
    /// Attempts after the first, where there is no spool.
    retries: u32,
    spool: Option<Spooling>,
}

/// A spool, and what is known of the receiver.
#[derive(Debug)]
struct Spooling {
    folder: PathBuf,
    max: u64,
    spool: Option<Spool>,
    /// When it may be opened again: another process had it, or the disk was not there.
    open_after: Instant,
    open_backoff: Backoff,
    /// What was said of it last, to say it once.
    complaint: Option<String>,
    next: Key,
    backoff: Backoff,
    /// Before this nothing is sent: the receiver was not there.
    not_before: Instant,
    /// The receiver does not take alerts, and that was said.
    is_down: bool,
}

fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(30))
}

impl<T: Transport> Sending<T> {
    pub(crate) fn new(
        kind: Kind,
        transport: T,
        retries: u32,
        spool: Option<&SpoolConfig>,
        context: &Context,
    ) -> Self {
        let run = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut sending = Sending {
            kind,
            transport,
            counters: Arc::clone(&context.counters),
            ending: Arc::clone(&context.ending),
            retries,
            spool: spool.map(|spool| Spooling {
                folder: spool.path.join(kind.name()),
                max: spool.max_bytes,
                spool: None,
                open_after: Instant::now(),
                open_backoff: backoff(),
                complaint: None,
                next: Key {
                    run: u64::try_from(run.as_nanos()).unwrap_or(u64::MAX),
                    number: 0,
                },
                backoff: backoff(),
                not_before: Instant::now(),
                is_down: false,
            }),
        };
        // What an earlier Lanner left is sent without waiting for an alert.
        if let Some(spooling) = &mut sending.spool {
            spooling.open(kind, &sending.counters);
        }
        sending
    }

    /// Sends, and again after a wait, as often as it may be tried.
    fn send(&mut self, body: &[u8]) -> Result<Taken, OutputError> {
        let mut backoff = backoff();
        let mut tried = 0;
        loop {
            let failed = match self.transport.send(body, None) {
                Ok(()) => return Ok(Taken::Written),
                Err(failed) => failed,
            };
            let wait = match failed.again {
                Again::Never => return Err(failed.error),
                Again::Later => backoff.next(),
                Again::After(wait) => wait.min(WAIT_MAX),
            };
            if tried >= self.retries || self.ending.wait(wait) {
                return Err(failed.error);
            }
            tried += 1;
            self.counters.retry();
        }
    }
}

impl<T: Transport> Output for Sending<T> {
    fn deliver(&mut self, alert: &Alert) -> Result<Taken, OutputError> {
        let body = self.transport.encode(alert);
        let Some(spooling) = &mut self.spool else {
            return self.send(&body);
        };
        let key = spooling.next;
        spooling.next.number += 1;
        // At the end there is no time to wait for a receiver: what is in the spool is safe.
        let may_send = spooling.is_up() && !self.ending.has_begun();
        if may_send {
            match self.transport.send(&body, Some(key)) {
                Ok(()) => {
                    spooling.works(self.kind, &self.counters);
                    return Ok(Taken::Written);
                }
                Err(failed) if failed.again == Again::Never => return Err(failed.error),
                Err(failed) => spooling.fails(self.kind, &failed),
            }
        }
        spooling.push(self.kind, key, &body, &self.counters)?;
        Ok(Taken::Spooled)
    }

    fn flush(&mut self) -> Result<u64, FlushError> {
        self.send_spooled(TURN);
        if let Some(spool) = self.spool.as_mut().and_then(|spooling| spooling.spool.as_mut()) {
            spool.sync();
        }
        Ok(0)
    }

    fn wake(&self) -> Option<Duration> {
        let spooling = self.spool.as_ref()?;
        let when = match &spooling.spool {
            Some(spool) => (!spool.is_empty()).then_some(spooling.not_before)?,
            None => spooling.open_after,
        };
        Some(when.saturating_duration_since(Instant::now()))
    }

    fn reopen(&mut self) {
        self.transport.reopen();
    }

    fn finish(&mut self) -> Result<u64, FlushError> {
        self.send_spooled(self.ending.left(Duration::MAX));
        if let Some(spooling) = &mut self.spool
            && let Some(spool) = &mut spooling.spool
        {
            spool.sync();
            if spool.waiting() > 0 {
                tracing::warn!(
                    "output {}: {} alerts wait in the spool {} for the next start",
                    self.kind,
                    spool.waiting(),
                    spooling.folder.display()
                );
            }
        }
        Ok(0)
    }
}

impl<T: Transport> Sending<T> {
    /// Sends from the spool until it is empty, the receiver does not take it, or the time is over.
    fn send_spooled(&mut self, limit: Duration) {
        let Some(spooling) = &mut self.spool else { return };
        let begun = Instant::now();
        if spooling.spool.is_none() && Instant::now() >= spooling.open_after {
            spooling.open(self.kind, &self.counters);
        }
        if Instant::now() < spooling.not_before {
            return;
        }
        while let Some(spool) = &mut spooling.spool
            && let Some((key, body)) = spool.first()
        {
            if spooling.is_down {
                self.counters.retry();
            }
            match self.transport.send(&body, Some(key)) {
                Ok(()) => {
                    spool.remove(&body);
                    self.counters.deliver(1);
                    self.counters.unspool();
                    spooling.works(self.kind, &self.counters);
                }
                Err(failed) if failed.again == Again::Never => {
                    spool.remove(&body);
                    self.counters.lose(failed.error.reason(), 1);
                    tracing::error!(
                        "output {}: an alert of the spool is lost: {}",
                        self.kind,
                        failed.error
                    );
                }
                Err(failed) => {
                    spooling.fails(self.kind, &failed);
                    break;
                }
            }
            if begun.elapsed() >= limit {
                break;
            }
        }
        spooling.tell(&self.counters);
    }
}

impl Spooling {
    /// Alerts need not wait: nothing is before them, and the receiver was there when it was last tried.
    fn is_up(&self) -> bool {
        self.spool.as_ref().is_none_or(Spool::is_empty) && Instant::now() >= self.not_before
    }

    /// Opens the spool, if it can be now.
    fn open(&mut self, kind: Kind, counters: &Counters) {
        match Spool::open(&self.folder, self.max) {
            Ok(spool) => {
                if spool.waiting() > 0 {
                    tracing::info!(
                        "output {kind}: {} alerts of an earlier Lanner wait in the spool {}",
                        spool.waiting(),
                        self.folder.display()
                    );
                }
                if self.complaint.take().is_some() {
                    tracing::info!(
                        "output {kind}: the spool {} can be used again",
                        self.folder.display()
                    );
                }
                self.spool = Some(spool);
                self.tell(counters);
            }
            Err(error) => {
                self.complain(kind, &error);
                self.open_after = Instant::now() + self.open_backoff.next();
            }
        }
    }

    fn push(&mut self, kind: Kind, key: Key, body: &[u8], counters: &Counters) -> Result<(), OutputError> {
        if self.spool.is_none() {
            self.open(kind, counters);
        }
        let Some(spool) = &mut self.spool else {
            let cause = self.complaint.clone().unwrap_or_default();
            return Err(OutputError::Spool { cause });
        };
        let pushed = spool.push(key, body);
        let result = match pushed {
            Ok(()) => {
                counters.spool();
                if self.complaint.take().is_some() {
                    tracing::info!("output {kind}: the spool takes alerts again");
                }
                Ok(())
            }
            Err(SpoolError::Full { max }) => Err(OutputError::SpoolFull { max }),
            Err(error) => {
                self.complain(kind, &error);
                Err(OutputError::Spool {
                    cause: error.to_string(),
                })
            }
        };
        self.tell(counters);
        result
    }

    fn complain(&mut self, kind: Kind, error: &SpoolError) {
        let text = error.to_string();
        if self.complaint.as_ref() != Some(&text) {
            tracing::error!("output {kind}: {text}: alerts that cannot be delivered are lost until it can");
            self.complaint = Some(text);
        }
    }

    /// The receiver took an alert.
    fn works(&mut self, kind: Kind, counters: &Counters) {
        self.backoff.reset();
        if std::mem::take(&mut self.is_down) {
            let waiting = self.spool.as_ref().map_or(0, Spool::waiting);
            tracing::info!("output {kind} works again; {waiting} alerts are sent from the spool");
            self.tell(counters);
        }
    }

    fn fails(&mut self, kind: Kind, failed: &SendError) {
        let wait = match failed.again {
            Again::After(wait) => wait.min(WAIT_MAX),
            _ => self.backoff.next(),
        };
        self.not_before = Instant::now() + wait;
        if !std::mem::replace(&mut self.is_down, true) {
            tracing::error!(
                "output {kind}: {}; alerts are kept in the spool {} and sent later",
                failed.error,
                self.folder.display()
            );
        }
    }

    fn tell(&self, counters: &Counters) {
        if let Some(spool) = &self.spool {
            counters.spool_is(spool.waiting(), spool.bytes(), spool.damaged());
        }
    }
}

#[cfg(test)]
#[path = "sending_tests.rs"]
mod tests;
