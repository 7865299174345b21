//! The consumer by hand: records that come, what it shows of them, and what it keeps.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use lanner_schema::container::{Container, Learnt};
use lanner_schema::host_names::AddressNames;
use lanner_schema::record::WireBuilder;

use super::*;
use crate::outside::Tape;

const PID: u32 = 100;

fn consumer() -> Consumer {
    consumer_of(&ContainerTable::new())
}

/// One that asks /proc nothing.
fn consumer_of(table: &Arc<ContainerTable>) -> Consumer {
    Consumer::new(
        EventSet::all(),
        &Config::default(),
        table,
        Arc::default(),
        Outside::default().without_procfs(),
    )
}

fn header(time: u64) -> Header {
    Header {
        pid: PID,
        tid: PID,
        time,
        cgroup: 5,
        ..Header::default()
    }
}

fn record(event: Event, header: Header, wire: WireBuilder) -> Vec<u8> {
    let header = Header {
        event: event as u16,
        ..header
    };
    let mut bytes = Vec::new();
    header.write(&mut bytes);
    bytes.extend(wire.build_for(event));
    bytes
}

/// What is shown of a record: the event, and its container.
fn shown(consumer: &mut Consumer, record: &[u8]) -> Vec<(Event, String)> {
    let mut shown = Vec::new();
    consumer.record(record, &mut |view| {
        let owner = match view.owner {
            Owner::Host => "host",
            Owner::Container(container) => container.full_id.as_str(),
        };
        shown.push((view.event, owner.to_owned()));
    });
    shown
}

fn open(header: Header) -> Vec<u8> {
    let wire = WireBuilder::new()
        .number(3)
        .number(-100)
        .path("/etc/hosts", "")
        .number(0);
    record(Event::Openat, header, wire)
}

/// A process that is known by its fork.
fn born(consumer: &mut Consumer, time: u64) {
    let parent = Header {
        pid: 1,
        tid: 1,
        ..header(time)
    };
    let wire = WireBuilder::new().number(PID.into()).number(PID.into()).number(1);
    assert!(shown(consumer, &record(Event::TaskFork, parent, wire)).is_empty());
    assert!(consumer.state.processes.get(PID).is_some());
}

fn ends(pid: u32, time: u64, group_dead: i64) -> Vec<u8> {
    let mut wire = WireBuilder::new();
    for _ in 0..param!(Procexit, "group_dead") {
        wire = wire.missing();
    }
    let header = Header { pid, ..header(time) };
    record(Event::Procexit, header, wire.number(group_dead))
}

/// An open that a ring is asked for, and that tells of failures only.
fn asked(time: u64) -> Vec<u8> {
    let header = Header {
        flags: FLAG_IO_URING,
        ..header(time)
    };
    let wire = WireBuilder::new()
        .missing()
        .number(-100)
        .path("/etc/hos", "")
        .cut();
    let mut bytes = record(Event::Openat, header, wire);
    let tail = RequestTail {
        request: 7,
        flags: RequestTail::SKIPS,
        uid: 0,
        gid: 0,
    };
    tail.write(&mut bytes);
    bytes
}

/// A host that has no answers, and how often it was asked where a path led.
#[derive(Debug, Default)]
struct Mute(AtomicU32);

impl Tape for Mute {
    fn answer(&self, question: &[u8], _: &mut dyn FnMut() -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let is_way = question.first() == Some(&(Ask::RealPath as u8));
        self.0.fetch_add(is_way.into(), Relaxed);
        None
    }
    fn containers(&self, _: &Arc<Containers>) {}
    fn address_names(&self, _: &Arc<AddressNames>) {}
}

#[test]
fn where_a_path_led_is_not_asked_for_programs_that_no_rule_wants() {
    let tape = Arc::new(Mute::default());
    let outside = Outside::through(Arc::clone(&tape) as Arc<dyn Tape>);
    let (config, table) = (Config::default(), ContainerTable::new());
    let mut consumer = Consumer::new(EventSet::all(), &config, &table, Arc::default(), outside);
    consumer.look_up_wanted([(Event::Unlink, u32::MAX)]);
    born(&mut consumer, 1);
    let asked = |consumer: &mut Consumer, time: u64, comm: &str| {
        let comm = WireBuilder::new().text(comm);
        shown(consumer, &record(Event::TaskRename, header(time), comm));
        let wire = WireBuilder::new().number(0).path("/etc/hosts", "");
        let before = tape.0.load(Relaxed);
        assert_eq!(
            shown(consumer, &record(Event::Unlink, header(time), wire)).len(),
            1
        );
        tape.0.load(Relaxed) - before
    };
    assert_eq!(asked(&mut consumer, 2, "runc"), 1);
    let programs = ["runc", "containerd"].map(|name| name.as_bytes().into());
    consumer.excused.insert(Event::Unlink as u16, programs.into());
    assert_eq!(asked(&mut consumer, 3, "runc"), 0);
    assert_eq!(asked(&mut consumer, 4, "runcible"), 1);
    // By another call.
    consumer.look_up_wanted([(Event::Rmdir, u32::MAX)]);
    assert_eq!(asked(&mut consumer, 5, "runcible"), 0);
}

#[test]
fn what_is_missing_cut_or_no_record_is_counted() {
    let mut consumer = consumer();
    shown(&mut consumer, b"no record");
    let halved = Header {
        flags: FLAG_IO_URING,
        ..header(1)
    };
    // A request without what a ring says of it.
    shown(&mut consumer, &open(halved));
    assert_eq!(consumer.stats().undecodable, 2);
    assert!(consumer.stats().delivered.is_empty());
    let late = Header {
        sequence: 4,
        ..header(2)
    };
    let cut = WireBuilder::new()
        .number(3)
        .number(-100)
        .path("/etc/hos", "")
        .cut();
    shown(&mut consumer, &record(Event::Openat, late, cut));
    let stats = consumer.stats();
    // That of the request had the number 0.
    assert_eq!((stats.gaps, stats.cut), (3, vec![("path", 1)]));
    assert_eq!(stats.delivered, [(Event::Openat, 1)]);
}

#[test]
fn what_is_outside_of_the_window_is_followed_and_not_shown() {
    let table = ContainerTable::new();
    let mut consumer = consumer_of(&table);
    consumer.window.open_at(100);
    born(&mut consumer, 50);
    assert!(shown(&mut consumer, &open(header(99))).is_empty());
    let comes = |consumer: &mut Consumer, id: &str, now: u64| {
        let container = Container {
            cgroup: now,
            ..Container::new(id, "containerd", Learnt::Start)
        };
        table.update(|known| known.insert(Arc::new(container)));
        let mut told = 0;
        consumer.chores(now, 0, &mut |view| {
            told += usize::from(view.event == Event::Container)
        });
        told
    };
    assert_eq!(comes(&mut consumer, "early", 99), 0);
    assert_eq!(comes(&mut consumer, "inside", 100), 1);
    assert_eq!(shown(&mut consumer, &open(header(100))).len(), 1);
}

#[test]
fn a_thread_that_ends_does_not_end_its_process() {
    const LONG: u64 = 10_000_000_000;
    let mut consumer = consumer();
    born(&mut consumer, 1);
    for time in [2, LONG, 2 * LONG] {
        assert_eq!(shown(&mut consumer, &ends(PID, time, 0)).len(), 1);
    }
    assert!(consumer.state.processes.get(PID).is_some());
    shown(&mut consumer, &ends(PID, 3 * LONG, 1));
    assert!(consumer.state.processes.get(PID).is_some(), "it lingers");
    shown(&mut consumer, &ends(PID + 1, 4 * LONG, 1));
    assert!(consumer.state.processes.get(PID).is_none());
}

#[test]
fn what_a_ring_was_asked_for_is_shown_before_its_process_ends_or_is_another_program_and_after_a_while() {
    let is_shown = |then: &[u8]| {
        let mut consumer = consumer();
        born(&mut consumer, 1);
        assert!(shown(&mut consumer, &asked(2)).is_empty());
        let events: Vec<_> = shown(&mut consumer, then).into_iter().map(|(e, _)| e).collect();
        assert_eq!(
            consumer.stats().delivered[0],
            (Event::Openat, u64::from(events[0] == Event::Openat))
        );
        assert_eq!(consumer.stats().cut, [("path", 1)]);
        events
    };
    let program = |by_descriptor: i64| {
        let mut wire = WireBuilder::new();
        for _ in 0..param!(TaskExec, "by_descriptor") {
            wire = wire.number(1);
        }
        record(Event::TaskExec, header(3), wire.number(by_descriptor))
    };
    assert_eq!(is_shown(&ends(PID, 3, 1)), [Event::Openat, Event::Procexit]);
    assert_eq!(is_shown(&program(0)), [Event::Openat, Event::Execve]);
    assert_eq!(is_shown(&program(1)), [Event::Openat, Event::Execveat]);
    let mut consumer = consumer();
    born(&mut consumer, 1);
    shown(&mut consumer, &asked(2));
    let mut told = Vec::new();
    consumer.chores(1_000_000_001, 0, &mut |view| told.push(view.event));
    assert!(told.is_empty());
    consumer.chores(1_000_000_002, 0, &mut |view| told.push(view.event));
    assert_eq!(told, [Event::Openat]);
}

#[test]
fn a_process_is_what_records_of_calls_say() {
    let mut consumer = consumer();
    born(&mut consumer, 1);
    let changed = WireBuilder::new().missing().number(1000).number(100);
    shown(&mut consumer, &record(Event::TaskChanged, header(2), changed));
    let goes = |result: i64, to: &str| {
        let wire = WireBuilder::new().number(result).text("x").kernel_path(to);
        record(Event::Chdir, header(3), wire)
    };
    shown(&mut consumer, &goes(0, "/srv"));
    shown(&mut consumer, &goes(-2, "/tmp"));
    let process = consumer.state.processes.get(PID).unwrap();
    assert_eq!(
        (process.uid, process.gid, &*process.cwd),
        (1000, 100, &b"/srv"[..])
    );
}

#[test]
fn after_a_loss_processes_are_looked_at_again() {
    let mut consumer = consumer();
    born(&mut consumer, 1);
    consumer.chores(2, 0, &mut |_| ());
    shown(&mut consumer, &open(header(3)));
    assert_eq!(consumer.stats().doubted_processes, 0);
    consumer.chores(4, 1, &mut |_| ());
    shown(&mut consumer, &open(header(5)));
    shown(&mut consumer, &open(header(6)));
    assert_eq!(consumer.stats().doubted_processes, 1);
}

#[test]
fn who_leaves_a_container_for_the_host_stays_its_and_who_goes_about_the_host_does_not_become_one() {
    let mut consumer = consumer();
    if Cgroups::find(Outside::default()).is_none() {
        eprintln!("skipped: this host has no cgroups");
        return;
    }
    // No cgroup has these numbers.
    let (web, host, other) = (u64::MAX - 1, u64::MAX - 2, u64::MAX - 3);
    let made = [
        (web, "/lxc.payload.web"),
        (host, "/system.slice/a"),
        (other, "/system.slice/b"),
    ];
    for (id, path) in made {
        let wire = WireBuilder::new().number(id.cast_signed()).text(path);
        shown(&mut consumer, &record(Event::CgroupMkdir, header(1), wire));
    }
    born(&mut consumer, 2);
    let mut owner_in = |cgroup: u64, time: u64| {
        let header = Header {
            cgroup,
            ..header(time)
        };
        let (_, owner) = shown(&mut consumer, &open(header)).pop().unwrap();
        let process = consumer.state.processes.get(PID).unwrap();
        (owner, process.escaped_from)
    };
    assert_eq!(owner_in(host, 3), ("host".to_owned(), 0));
    assert_eq!(owner_in(other, 4), ("host".to_owned(), 0));
    assert_eq!(owner_in(web, 5).0, "web");
    assert_eq!(owner_in(host, 6), ("web".to_owned(), web));
    assert_eq!(owner_in(other, 7), ("web".to_owned(), web));
    // One whose first news after it left is a child.
    let parent = |cgroup: u64, time: u64| Header {
        pid: 2,
        cgroup,
        ..header(time)
    };
    let has_child = |child: i64| WireBuilder::new().number(child).number(child).number(1);
    let init = Header { pid: 1, ..header(8) };
    shown(&mut consumer, &record(Event::TaskFork, init, has_child(2)));
    shown(&mut consumer, &open(parent(web, 9)));
    shown(
        &mut consumer,
        &record(Event::TaskFork, parent(host, 10), has_child(3)),
    );
    assert_eq!(consumer.state.processes.get(3).unwrap().escaped_from, web);
}
