//! The operations of `io_uring(7)`: two records tell of one, as it was submitted and as it ended. Here the first waits for
//! the second.
//!
//! Most find each other within microseconds. What has to wait long is accept and its like; what never ends is a request
//! whose caller wants to hear of failures only, so that after a while it is known to have succeeded.

use std::collections::HashMap;

use lanner_schema::event::{Category, Event, FdUse, Origin};
use lanner_schema::io_uring::End;
use lanner_schema::record::{Header, RequestTail, UNTOLD_DESCRIPTOR, Wire};

/// The most requests that are waited for. Others are told of at once, without a result.
const LIMIT: usize = 16_384;
/// How long nothing is heard of a request that would be told of if it failed, until it has not: nanoseconds.
const SILENCE: u64 = 1_000_000_000;
/// Buffers that are kept for the next records.
const SPARES: usize = 64;

/// What came of requests that did not come in two records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Only how they were submitted is known: nothing told of their end.
    pub(crate) unended: u64,
    /// Only how they ended is known: their submission failed, or its record was lost, or it was before capture began.
    pub(crate) unbegun: u64,
    /// Nobody waited for their end, because too many others were waited for.
    pub(crate) crowded: u64,
}

/// A request that was submitted.
#[derive(Debug)]
pub(crate) struct Submitted {
    event: Event,
    header: Header,
    tail: RequestTail,
    /// Its parameters, and the values of its thread.
    bytes: Vec<u8>,
    /// It has completed before, and does so again.
    told: bool,
}

/// A request as it is shown.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) event: Event,
    pub(crate) header: Header,
    pub(crate) end: End,
    /// The bytes of its parameters.
    pub(crate) bytes: Vec<u8>,
}

/// The requests that have not ended.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    by_address: HashMap<u64, Submitted>,
    /// Those that are silent when they succeed, by process.
    silent: HashMap<u32, u32>,
    spares: Vec<Vec<u8>>,
    pub(crate) counts: Counts,
}

impl Requests {
    fn buffer(&mut self) -> Vec<u8> {
        self.spares.pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub(crate) fn reuse(&mut self, mut buffer: Vec<u8>) {
        if self.spares.len() < SPARES {
            buffer.clear();
            self.spares.push(buffer);
        }
    }

    fn remove(&mut self, request: u64) -> Option<Submitted> {
        let submitted = self.by_address.remove(&request)?;
        if submitted.is_silent()
            && let Some(count) = self.silent.get_mut(&submitted.header.pid)
        {
            *count -= 1;
            if *count == 0 {
                self.silent.remove(&submitted.header.pid);
            }
        }
        Some(submitted)
    }

    /// A request was submitted. Gives what is to be shown now: what was at the same place and has ended without a word, and
    /// the request itself when there is no room for it.
    pub(crate) fn submit(
        &mut self,
        event: Event,
        header: &Header,
        tail: RequestTail,
        bytes: &[u8],
    ) -> [Option<Ended>; 2] {
        let before = self.remove(tail.request);
        let before = before.and_then(|before| self.end(before, header.time));
        let mut buffer = self.buffer();
        buffer.extend_from_slice(bytes);
        let submitted = Submitted {
            event,
            header: Header {
                uid: tail.uid,
                gid: tail.gid,
                ..*header
            },
            tail,
            bytes: buffer,
            told: false,
        };
        if self.by_address.len() >= LIMIT {
            self.counts.crowded += 1;
            return [before, self.end(submitted, header.time)];
        }
        if submitted.is_silent() {
            *self.silent.entry(header.pid).or_default() += 1;
        }
        self.by_address.insert(tail.request, submitted);
        [before, None]
    }

    /// A request has completed. Gives it as it is to be shown, if it is to be.
    pub(crate) fn complete(
        &mut self,
        event: Event,
        header: &Header,
        tail: RequestTail,
        bytes: &[u8],
    ) -> Option<Ended> {
        let is_last = tail.flags & RequestTail::MORE == 0;
        let again = match self.by_address.get_mut(&tail.request) {
            Some(submitted) if !is_last => {
                submitted.told = true;
                true
            }
            _ => false,
        };
        let submitted = match again {
            true => None,
            false => self.remove(tail.request),
        };
        let mut buffer = self.buffer();
        let first = match again {
            true => self.by_address.get(&tail.request),
            false => submitted.as_ref(),
        };
        let known = first.filter(|first| first.event == event);
        let ended = match known {
            _ if tail.flags & RequestTail::DROPPED != 0 => None,
            Some(first) => {
                first.merge(bytes, &mut buffer);
                // Whoever completes it: it is the submitter's.
                let image = match first.header.pid == header.pid {
                    true => header.image,
                    false => 0,
                };
                Some(Header {
                    time: header.time,
                    cpu: header.cpu,
                    image,
                    ..first.header
                })
            }
            None => {
                buffer.extend_from_slice(bytes);
                Some(*header)
            }
        };
        self.counts.unbegun += u64::from(known.is_none() && ended.is_some());
        if let Some(submitted) = submitted {
            self.reuse(submitted.bytes);
        }
        let Some(header) = ended else {
            self.reuse(buffer);
            return None;
        };
        Some(Ended {
            event,
            header,
            end: End::Completed,
            bytes: buffer,
        })
    }

    /// The requests nothing was heard of for long enough that they have not failed: `now` is in nanoseconds since boot.
    pub(crate) fn silent_until(&mut self, now: u64) -> Vec<Ended> {
        self.end_silent(now, |submitted| {
            submitted.header.time.saturating_add(SILENCE) <= now
        })
    }

    /// Those of a process that ends, or becomes another program: failures would have been told before.
    pub(crate) fn silent_of(&mut self, pid: u32, now: u64) -> Vec<Ended> {
        match self.silent.contains_key(&pid) {
            true => self.end_silent(now, |submitted| submitted.header.pid == pid),
            false => Vec::new(),
        }
    }

    /// All of them: nobody will tell any more.
    pub(crate) fn all_silent(&mut self, now: u64) -> Vec<Ended> {
        self.end_silent(now, |_| true)
    }

    fn end_silent(&mut self, now: u64, which: impl Fn(&Submitted) -> bool) -> Vec<Ended> {
        if self.silent.is_empty() {
            return Vec::new();
        }
        let found = self.by_address.iter().filter(|(_, s)| s.is_silent() && which(s));
        let mut found: Vec<(u64, u64)> = found.map(|(address, s)| (s.header.time, *address)).collect();
        found.sort_unstable();
        let ended = found.into_iter().filter_map(|(_, address)| {
            let submitted = self.remove(address)?;
            self.end(submitted, now)
        });
        ended.collect()
    }

    /// What is shown of a request whose end nobody told; nothing when it was shown before.
    fn end(&mut self, submitted: Submitted, now: u64) -> Option<Ended> {
        if submitted.told {
            self.reuse(submitted.bytes);
            return None;
        }
        let mut bytes = self.buffer();
        let end = match submitted.is_silent() {
            true => End::Succeeded,
            false => End::Unknown,
        };
        let result = (end == End::Succeeded).then(|| submitted.success());
        self.counts.unended += u64::from(end == End::Unknown);
        submitted.merge(&result_only(submitted.event, result), &mut bytes);
        let ended = Ended {
            event: submitted.event,
            // What its process runs by now is another question.
            header: Header {
                time: now,
                image: 0,
                ..submitted.header
            },
            end,
            bytes,
        };
        self.reuse(submitted.bytes);
        Some(ended)
    }
}

impl Submitted {
    fn is_silent(&self) -> bool {
        self.tail.flags & RequestTail::SKIPS != 0
    }

    /// The result when it succeeded.
    fn success(&self) -> i64 {
        let makes = match self.event.row().fd {
            FdUse::Opens { .. } | FdUse::Makes { .. } => true,
            FdUse::Socket { fd, .. } => self.event.row().params[usize::from(fd)].from == Origin::Return,
            _ => false,
        };
        match makes {
            true => UNTOLD_DESCRIPTOR,
            false => 0,
        }
    }

    /// Appends its parameters as they are together with those of its end.
    fn merge(&self, later: &[u8], out: &mut Vec<u8>) {
        let row = self.event.row();
        let count = row.params.len();
        // Where something is sent to is known at first only; what its socket is connected to stands for it if it was not.
        let kept = match row.fd {
            FdUse::Socket { tuple, .. } if row.category == Category::IoWrite => Some(usize::from(tuple)),
            _ => None,
        };
        // Both were taken apart before.
        if let (Some(first), Some(later)) = (Wire::read(&self.bytes, count), Wire::read(later, count)) {
            first.merge(&later, kept, out);
        }
    }
}

/// Parameters of which only the result is known, or none.
fn result_only(event: Event, result: Option<i64>) -> Vec<u8> {
    let row = event.row();
    let at = row.result();
    let mut bytes = vec![0; 2 * row.params.len()];
    if let (Some(result), Some(at)) = (result, at) {
        bytes[2 * at] = 8;
        bytes.extend(result.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
