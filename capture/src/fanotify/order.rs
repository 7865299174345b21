//! When the events of a queue happened: before it is read, and how long before the kernel does not say. But it says how many
//! events wait, and they come out in the order in which they came in.

use std::collections::VecDeque;

/// How often the queue is looked at while its events are worked on, in nanoseconds.
const OFTEN: u64 = 1_000_000;
/// The kernel counts them one by one, and nobody's event comes in meanwhile: for each that waits it is looked at so many
/// nanoseconds later.
const EACH: u64 = 5_000;
/// An event whose file can't be opened any more comes out for nobody: so many of them at most are reckoned with.
const LOST: u64 = 8;

/// Looks at the queue.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// How many events had come in by then, in all.
    came: u64,
    before: u64,
    after: u64,
}

/// What is known of one queue. Times are in nanoseconds since boot.
#[derive(Debug)]
pub(super) struct Order {
    /// How many events came out.
    out: u64,
    /// How many of those were worked on.
    done: u64,
    /// Those looks that say something of events which were not worked on yet.
    looks: VecDeque<Look>,
}

impl Order {
    /// Of a queue that was empty at `time`.
    pub(super) fn new(time: u64) -> Order {
        let empty = Look {
            came: 0,
            before: time,
            after: time,
        };
        Order {
            out: 0,
            done: 0,
            looks: VecDeque::from([empty]),
        }
    }

    /// True when it is time to look again.
    pub(super) fn is_due(&self, now: u64) -> bool {
        self.looks.back().is_none_or(|last| {
            let waiting = last.came.saturating_sub(self.out);
            now.saturating_sub(last.after) >= OFTEN.max(waiting * EACH)
        })
    }

    /// So many events waited, some time from `before` to `after`.
    pub(super) fn waited(&mut self, events: u64, before: u64, after: u64) {
        self.looks.push_back(Look {
            came: self.out + events,
            before,
            after,
        });
    }

    /// So many events came out.
    pub(super) fn came_out(&mut self, events: usize) {
        self.out += events as u64;
    }

    /// Between which times the next of those happened, the last of which came out before `read`.
    pub(super) fn next(&mut self, read: u64) -> (u64, u64) {
        self.done += 1;
        // The last look that it was not there at is the first that is kept.
        while self.looks.get(1).is_some_and(|second| second.came < self.done) {
            self.looks.pop_front();
        }
        let since = self.looks.front().filter(|look| look.came < self.done);
        let seen = self.looks.iter().find(|look| look.came >= self.done + LOST);
        (
            since.map_or(0, |look| look.before),
            seen.map_or(read, |look| look.after.min(read)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_happened_after_the_last_look_without_it_and_before_the_first_with_it() {
        let mut order = Order::new(10);
        order.came_out(1);
        assert_eq!(order.next(20), (10, 20));
        order.waited(0, 20, 21);
        // A hundred come in, and twenty more while ten of them are worked on.
        order.waited(100, 30, 31);
        order.came_out(10);
        assert_eq!(order.next(40), (20, 31));
        order.waited(110, 50, 51);
        for _ in 0..9 {
            assert_eq!(order.next(40), (20, 31));
        }
        order.came_out(100);
        for _ in 10..92 {
            assert_eq!(order.next(60), (20, 31));
        }
        // Some may have come out for nobody.
        for _ in 92..100 {
            assert_eq!(order.next(60), (20, 51));
        }
        assert_eq!(order.next(60), (30, 51));
        for _ in 101..110 {
            order.next(60);
        }
        order.came_out(10);
        for _ in 110..112 {
            assert_eq!(order.next(70), (30, 51));
        }
        for _ in 112..120 {
            assert_eq!(order.next(70), (30, 70));
        }
        order.waited(0, 80, 81);
        order.came_out(1);
        assert_eq!(order.next(90), (80, 90));
        assert_eq!(order.looks.len(), 1);
    }

    #[test]
    fn the_queue_is_looked_at_less_often_while_it_is_long() {
        let mut order = Order::new(0);
        assert!(order.is_due(OFTEN) && !order.is_due(OFTEN - 1));
        order.waited(1000, 0, 0);
        assert!(order.is_due(1000 * EACH) && !order.is_due(OFTEN));
    }
}
