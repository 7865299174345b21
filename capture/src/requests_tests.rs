//! Requests by hand, as the two tracepoints tell of them.

use lanner_schema::event::param_index;
use lanner_schema::record::WireBuilder;

use super::*;

const FD: usize = param_index(Event::Openat, "fd");
const NAME: usize = param_index(Event::Openat, "name");
const TUPLE: usize = param_index(Event::Sendto, "tuple");

fn header(pid: u32, time: u64) -> Header {
    Header {
        pid,
        tid: pid,
        time,
        image: 7,
        uid: 1,
        ..Header::default()
    }
}

/// What a ring says of a request at that address.
fn tail(request: u64, flags: u32) -> RequestTail {
    RequestTail {
        request,
        flags,
        uid: 1000,
        gid: 100,
    }
}

/// An open as it is submitted: there is no result.
fn asked(name: &str) -> Vec<u8> {
    let builder = WireBuilder::new().missing().number(-100).path(name, "");
    builder.build_for(Event::Openat)
}

/// As it ends: there is nothing else.
fn result(result: i64) -> Vec<u8> {
    WireBuilder::new().number(result).build_for(Event::Openat)
}

fn number(ended: &Ended, index: usize) -> Option<i64> {
    let wire = Wire::read(&ended.bytes, ended.event.row().params.len()).unwrap();
    wire.number(index).map(u64::cast_signed)
}

fn name(ended: &Ended) -> String {
    let wire = Wire::read(&ended.bytes, ended.event.row().params.len()).unwrap();
    let name = wire.param(NAME).map_or(&b"?\0"[..], |param| param.bytes);
    String::from_utf8_lossy(&name[..name.len() - 1]).into_owned()
}

fn submit(requests: &mut Requests, at: u64, flags: u32, (pid, time): (u32, u64)) -> [Option<Ended>; 2] {
    let bytes = asked("/etc/shadow");
    requests.submit(Event::Openat, &header(pid, time), tail(at, flags), &bytes)
}

fn complete(
    requests: &mut Requests,
    at: u64,
    flags: u32,
    value: i64,
    (pid, time): (u32, u64),
) -> Option<Ended> {
    requests.complete(Event::Openat, &header(pid, time), tail(at, flags), &result(value))
}

fn nothing(ended: &[Option<Ended>; 2]) -> bool {
    ended.iter().all(Option::is_none)
}

#[test]
fn what_was_asked_and_how_it_ended_is_one_event_of_who_asked() {
    let mut requests = Requests::default();
    assert!(nothing(&submit(&mut requests, 1, 0, (5, 10))));
    // A thread of the kernel completes it.
    let ended = complete(&mut requests, 1, 0, 3, (77, 20)).unwrap();
    assert_eq!((ended.event, ended.end), (Event::Openat, End::Completed));
    assert_eq!(
        (number(&ended, FD), name(&ended)),
        (Some(3), "/etc/shadow".into())
    );
    let header = &ended.header;
    assert_eq!(
        (header.pid, header.uid, header.gid, header.time),
        (5, 1000, 100, 20)
    );
    assert_eq!(header.image, 0, "what its process runs by now is not said");
    assert_eq!(requests.counts, Counts::default());
    // By the process itself.
    submit(&mut requests, 1, 0, (5, 30));
    let ended = complete(&mut requests, 1, 0, -2, (5, 40)).unwrap();
    assert_eq!((number(&ended, FD), ended.header.image), (Some(-2), 7));
}

#[test]
fn an_end_without_a_beginning_is_shown_as_it_is_and_counted() {
    let mut requests = Requests::default();
    let ended = complete(&mut requests, 1, 0, 3, (5, 20)).unwrap();
    assert_eq!((number(&ended, FD), name(&ended)), (Some(3), "?".into()));
    assert_eq!(requests.counts.unbegun, 1);
    // One of another kind at the same place is none.
    submit(&mut requests, 1, 0, (5, 30));
    let bytes = WireBuilder::new().number(0).build_for(Event::Mkdirat);
    let ended = requests.complete(Event::Mkdirat, &header(5, 40), tail(1, 0), &bytes);
    assert_eq!(ended.unwrap().event, Event::Mkdirat);
    assert_eq!(requests.counts.unbegun, 2);
}

#[test]
fn a_place_that_is_given_again_ends_what_was_there() {
    let mut requests = Requests::default();
    submit(&mut requests, 1, 0, (5, 10));
    let [before, crowded] = submit(&mut requests, 1, 0, (6, 20));
    let before = before.unwrap();
    assert_eq!((before.end, before.header.pid), (End::Unknown, 5));
    assert_eq!((number(&before, FD), name(&before)), (None, "/etc/shadow".into()));
    assert!(crowded.is_none());
    assert_eq!(requests.counts.unended, 1);
    assert_eq!(complete(&mut requests, 1, 0, 4, (6, 30)).unwrap().header.pid, 6);
}

#[test]
fn who_wants_to_hear_of_failures_only_has_succeeded_when_nothing_was_heard() {
    let silent = RequestTail::SKIPS;
    let mut requests = Requests::default();
    submit(&mut requests, 1, silent, (5, 10));
    submit(&mut requests, 2, silent, (5, 20));
    assert_eq!(
        number(&complete(&mut requests, 2, 0, -13, (5, 30)).unwrap(), FD),
        Some(-13)
    );
    assert!(requests.silent_until(10 + SILENCE - 1).is_empty());
    let ended = requests.silent_until(10 + SILENCE);
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].end, End::Succeeded);
    assert_eq!(number(&ended[0], FD), Some(UNTOLD_DESCRIPTOR));
    assert_eq!(
        requests.counts.unended, 0,
        "it is known how it ended, but for its number"
    );
    // Before a process ends, and before all does.
    submit(&mut requests, 3, silent, (6, 40));
    submit(&mut requests, 4, silent, (7, 30));
    submit(&mut requests, 5, 0, (6, 40));
    assert_eq!(requests.silent_of(8, 50).len(), 0);
    assert_eq!(requests.silent_of(6, 50).len(), 1);
    assert_eq!(requests.all_silent(60).len(), 1);
    assert!(requests.silent.is_empty() && requests.all_silent(70).is_empty());
}

#[test]
fn a_request_that_ends_many_times_is_shown_each_time() {
    let mut requests = Requests::default();
    submit(&mut requests, 1, RequestTail::MULTISHOT, (5, 10));
    for fd in [3, 4] {
        let ended = complete(&mut requests, 1, RequestTail::MORE, fd, (5, 20)).unwrap();
        assert_eq!(
            (number(&ended, FD), name(&ended)),
            (Some(fd), "/etc/shadow".into())
        );
    }
    assert_eq!(
        name(&complete(&mut requests, 1, 0, 5, (5, 30)).unwrap()),
        "/etc/shadow"
    );
    assert_eq!(requests.counts, Counts::default());
    // It was shown before: when its place is given again there is nothing more to say.
    submit(&mut requests, 2, RequestTail::MULTISHOT, (5, 40));
    complete(&mut requests, 2, RequestTail::MORE, 6, (5, 50));
    assert!(nothing(&submit(&mut requests, 2, 0, (5, 60))));
    assert_eq!(requests.counts.unended, 0);
}

#[test]
fn failures_that_nobody_wants_are_forgotten() {
    let mut requests = Requests::default();
    submit(&mut requests, 1, 0, (5, 10));
    assert!(complete(&mut requests, 1, RequestTail::DROPPED, -2, (5, 20)).is_none());
    assert!(requests.by_address.is_empty());
    assert_eq!(requests.counts, Counts::default());
}

#[test]
fn where_something_was_sent_is_kept_from_the_beginning() {
    let mut requests = Requests::default();
    let sent = |address: &[u8]| {
        let mut builder = WireBuilder::new();
        for _ in 0..TUPLE {
            builder = builder.missing();
        }
        builder.bytes(address).build_for(Event::Sendto)
    };
    let first = sent(b"where it was sent");
    requests.submit(Event::Sendto, &header(5, 10), tail(1, 0), &first);
    let later = sent(b"what the socket is connected to");
    let ended = requests
        .complete(Event::Sendto, &header(5, 20), tail(1, 0), &later)
        .unwrap();
    let wire = Wire::read(&ended.bytes, Event::Sendto.row().params.len()).unwrap();
    assert_eq!(wire.param(TUPLE).unwrap().bytes, b"where it was sent");
}

#[test]
fn more_than_can_be_waited_for_are_told_of_at_once() {
    let mut requests = Requests::default();
    for at in 0..LIMIT as u64 {
        assert!(nothing(&submit(&mut requests, at, 0, (5, 10))));
    }
    let [_, crowded] = submit(&mut requests, u64::MAX, 0, (5, 20));
    let crowded = crowded.unwrap();
    assert_eq!(
        (crowded.end, name(&crowded)),
        (End::Unknown, "/etc/shadow".into())
    );
    assert_eq!((requests.counts.crowded, requests.counts.unended), (1, 1));
    requests.reuse(crowded.bytes);
    assert_eq!(requests.spares.len(), 2, "buffers are used again");
}
