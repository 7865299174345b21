use super::*;
use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::LazyLock;

use lanner_schema::container::Learnt;
use lanner_schema::event::EVENT_COUNT;
use lanner_schema::host_names::AddressNames;
use lanner_schema::record::{HEADER_LEN, Header, WireBuilder};
use proptest::prelude::*;

use crate::recording::{Limits, Recorded, Recorder, recording_of};

fn shown() -> EventSet {
    [Event::Openat, Event::Execve, Event::Procexit, Event::Chdir]
        .into_iter()
        .collect()
}

fn facts() -> Facts {
    Facts {
        lanner: "1.0".into(),
        hostname: "node-7".into(),
        kernel: "6.18".into(),
        arch: "x86_64".into(),
        cpus: 2,
        started: 1,
    }
}

fn record(event: Event, pid: u32, sequence: u64, cgroup: u64, wire: WireBuilder) -> Vec<u8> {
    let header = Header {
        event: event as u16,
        sequence,
        time: 1_000_000 + sequence,
        tid: pid,
        pid,
        cgroup,
        ..Header::default()
    };
    let mut bytes = Vec::new();
    header.write(&mut bytes);
    let params = event.row().params.len();
    let mut wire = wire.build();
    // Parameters the test does not care about are missing.
    let lengths = wire_lengths(&wire, params);
    wire.splice(0..lengths.0, lengths.1);
    bytes.extend(wire);
    bytes
}

/// How many bytes of lengths are there, and the lengths with those of the missing parameters.
fn wire_lengths(wire: &[u8], params: usize) -> (usize, Vec<u8>) {
    let mut given = 0;
    let mut data = 0;
    while given * 2 + data < wire.len() {
        data += usize::from(u16::from_le_bytes([wire[given * 2], wire[given * 2 + 1]]));
        given += 1;
    }
    let mut lengths = wire[..given * 2].to_vec();
    lengths.resize(params * 2, 0);
    (given * 2, lengths)
}

fn open(pid: u32, sequence: u64, cgroup: u64, path: &str) -> Vec<u8> {
    let wire = WireBuilder::new().number(3).number(-100).path(path, "").number(0);
    record(Event::Openat, pid, sequence, cgroup, wire)
}

fn container(id: &str, cgroup: u64) -> Arc<Container> {
    Arc::new(Container {
        name: Some("web".into()),
        image: Some("reg/web:1".into()),
        cgroup,
        ..Container::new(id, "containerd", Learnt::Start)
    })
}

/// What a rule could say of an event.
fn said(view: &EventView<'_>) -> String {
    let process = view
        .process
        .map(|p| (&p.image.comm, &p.image.env, p.ppid, p.start_time));
    let user = view.system.user(view.uid);
    let names = view.system.names_of("10.0.0.1".parse().unwrap());
    format!(
        "{} {:?} {} {:?} {:?} {:?} {user:?} {:?} {names:?}",
        view.number,
        view.event,
        view.time,
        process,
        view.owner,
        view.descriptor.map(|d| d.path),
        view.paths,
    )
}

struct Story {
    _dir: tempfile::TempDir,
    path: PathBuf,
    /// What was said while it was recorded.
    live: Vec<String>,
}

/// Records a small story on this host, with its own /proc and users.
fn story() -> Story {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("story");
    let recorder = Recorder::create(&path, facts(), Limits::default()).unwrap();
    recorder.begin(&Recorded::whole(shown()));
    let table = ContainerTable::new();
    let host_names = Arc::<HostNames>::default();
    let mut consumer = Consumer::new(
        shown(),
        &Config::default(),
        &table,
        Arc::clone(&host_names),
        Outside::through(recorder.tape()),
    );
    consumer.keep(recorder.clone());
    let me = std::process::id();
    let mut live = Vec::new();
    let mut feed = |consumer: &mut Consumer, record: &[u8]| {
        consumer.record(record, &mut |view| live.push(said(view)));
    };
    feed(&mut consumer, &open(me, 0, 7, "/etc/shadow"));
    // A process that only /proc can know: it was born after the start.
    let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    feed(&mut consumer, &open(child.id(), 1, 7, "/etc/passwd"));
    table.update(|known| known.insert(container("0123456789abcdef", 99)));
    feed(&mut consumer, &open(me, 2, 99, "/etc/hosts"));
    consumer.chores(5_000_000_000, 0, &mut |_| ());
    let mut names = AddressNames::default();
    names.insert("10.0.0.1".parse().unwrap(), "api");
    host_names.replace(names);
    consumer.chores(6_000_000_000, 3, &mut |_| ());
    feed(&mut consumer, &open(me, 3, 99, "/a"));
    child.kill().unwrap();
    child.wait().unwrap();
    // Nobody knows this one any more.
    feed(&mut consumer, &open(u32::MAX - 1, 5, 98, "/b"));
    let fork = [i64::from(me) + 1_000_000, 1, i64::from(me), 9, 1, 1, 1];
    let fork = fork.into_iter().fold(WireBuilder::new(), WireBuilder::number);
    feed(&mut consumer, &record(Event::TaskFork, me, 6, 7, fork));
    feed(&mut consumer, &open(me + 1_000_000, 7, 7, "/by/the/child"));
    table.update(|known| known.remove("0123456789abcdef"));
    feed(&mut consumer, &open(me, 8, 99, "/c"));
    feed(&mut consumer, b"no record");
    let stats = consumer.stats();
    drop(consumer);
    let written = recorder.finish(&stats).unwrap();
    assert_eq!(written.records, 9);
    assert_eq!(written.bytes, fs::metadata(&path).unwrap().len());
    Story {
        _dir: dir,
        path,
        live,
    }
}

/// A recording without a state at the start: small enough to try everything with it.
fn small() -> &'static [u8] {
    static SMALL: LazyLock<Vec<u8>> = LazyLock::new(record_small);
    &SMALL
}

fn record_small() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("small");
    let recorder = Recorder::create(&path, facts(), Limits::default()).unwrap();
    recorder.begin(&Recorded::whole(shown()));
    let tape = recorder.tape();
    tape.answer(b"\x01/proc/7/stat", &mut || Some(b"7 (a) S".to_vec()));
    let table = ContainerTable::new();
    table.update(|known| known.insert(container("0123456789abcdef", 99)));
    tape.containers(&table.snapshot());
    recorder.record(&open(7, 0, 99, "/etc/shadow"));
    recorder.chores(1);
    recorder.record(&open(7, 1, 99, "/etc/hosts"));
    let stats = Stats {
        gaps: 4,
        ..Stats::default()
    };
    recorder.finish(&stats).unwrap();
    fs::read(&path).unwrap()
}

type Replayed = (Vec<String>, Result<End, RecordingError>);

fn replay_all(bytes: &[u8]) -> Result<Replayed, RecordingError> {
    let config = Config {
        process_limit: 1000,
        ..Config::default()
    };
    let mut replay = Replay::read(Path::new("test"), Box::new(Cursor::new(bytes.to_vec())), &config)?;
    let mut shown = Vec::new();
    let end = replay.run(&AtomicBool::new(false), &mut |view| shown.push(said(view)));
    let _ = (replay.stats(), replay.counts());
    Ok((shown, end))
}

#[test]
fn a_replay_shows_what_was_seen() {
    let story = story();
    let mut replay = Replay::open(&story.path, &Config::default()).unwrap();
    assert_eq!(replay.facts(), &facts());
    assert_eq!(replay.events(), shown());
    assert!(replay.unknown_events().is_empty());
    let mut shown = Vec::new();
    let end = replay
        .run(&AtomicBool::new(false), &mut |view| shown.push(said(view)))
        .unwrap();
    assert_eq!(end, End::Whole);
    assert_eq!(shown, story.live);
    assert_eq!(shown.len(), 7);
    assert!(
        shown[1].contains("[115, 108, 101, 101, 112]"),
        "sleep: {}",
        shown[1]
    );
    assert!(shown[2].contains("Container(") && !shown[0].contains("Container("));
    assert!(shown[3].contains("api") && !shown[2].contains("api"));
    let stats = replay.stats();
    assert_eq!(
        (stats.undecodable, stats.repaired, stats.unknown_processes),
        (1, 1, 1)
    );
    let counts = replay.counts();
    assert_eq!((counts.forgotten_answers, counts.unknown_records), (0, 0));
    assert!(counts.recorder.contains(&("records not decoded".into(), 1)));
    // Once more, without looking at anything.
    let mut replay = Replay::open(&story.path, &Config::default()).unwrap();
    assert_eq!(replay.run_decoding().unwrap(), 8);
}

/// Every place in a recording, but few of those in its large table of events.
fn places(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let find = |kind: &[u8]| bytes.windows(4).position(|w| w == kind).unwrap();
    let table = find(b"EVNT") + 32..find(b"DATA") - 8;
    (0..bytes.len()).filter(move |at| !table.contains(at) || at % 101 == 0)
}

#[test]
fn a_recording_that_is_cut_anywhere_is_replayed_up_to_there() {
    let bytes = small();
    let (whole, end) = replay_all(bytes).unwrap();
    assert_eq!((whole.len(), end.unwrap()), (2, End::Whole));
    let mut lengths = std::collections::BTreeSet::new();
    for length in places(bytes) {
        match replay_all(&bytes[..length]) {
            Ok((shown, end)) => {
                let End::Cut(at) = end.unwrap() else {
                    panic!("cut at {length}, and not noticed");
                };
                assert!(at <= length as u64);
                assert_eq!(shown, whole[..shown.len()]);
                lengths.insert(shown.len());
            }
            Err(RecordingError::Short(_) | RecordingError::NotARecording) => {}
            Err(other) => panic!("cut at {length}: {other}"),
        }
    }
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn no_byte_can_be_changed_without_notice() {
    let bytes = small();
    let (whole, _) = replay_all(bytes).unwrap();
    for at in places(bytes) {
        for change in [1, 0xff] {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= change;
            match replay_all(&damaged) {
                Err(_) => {}
                Ok((shown, end)) => {
                    let error = end.unwrap_err();
                    assert!(
                        matches!(error, RecordingError::Damaged { .. }),
                        "byte {at}: {error}"
                    );
                    assert_eq!(shown, whole[..shown.len()], "byte {at}");
                }
            }
        }
    }
}

#[test]
fn damage_is_said_with_its_place() {
    let mut bytes = small().to_vec();
    let at = bytes.windows(4).position(|w| w == b"DATA").unwrap();
    bytes[at + 30] ^= 1;
    let error = match replay_all(&bytes) {
        Err(error) => error,
        Ok((shown, end)) => {
            assert!(shown.is_empty());
            end.unwrap_err()
        }
    };
    assert_eq!(
        error.to_string(),
        format!("the recording is damaged at byte {at}: the checksum of a chunk does not fit")
    );
    // A chunk that is taken out whole.
    let bytes = small();
    let starts: Vec<usize> = (0..bytes.len() - 4)
        .filter(|i| &bytes[*i..i + 4] == b"DATA")
        .collect();
    let missing = [&bytes[..starts[0]], &bytes[starts[1]..]].concat();
    let error = replay_all(&missing)
        .map(|(_, end)| end.unwrap_err())
        .unwrap_or_else(|e| e);
    assert!(error.to_string().contains("a chunk is missing"), "{error}");
    // Something behind the end.
    let longer = [bytes, b"x"].concat();
    let (shown, end) = replay_all(&longer).unwrap();
    assert!(shown.len() == 2 && end.unwrap_err().to_string().contains("follows the end"));
}

#[test]
fn what_is_no_recording_or_a_newer_one_is_told() {
    let error = |bytes: &[u8]| replay_all(bytes).unwrap_err().to_string();
    assert!(error(b"").contains("not a recording"));
    assert!(error(b"#!/bin/sh\n").contains("not a recording"));
    assert!(error(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 0]).contains(".scap"));
    assert!(error(b"\x0a\x0d\x0d\x0a\x1c\0\0\0").contains(".scap"));
    let mut newer = small().to_vec();
    newer[8..10].copy_from_slice(&9u16.to_le_bytes());
    let checksum = crc32fast::hash(&newer[..12]);
    newer[12..16].copy_from_slice(&checksum.to_le_bytes());
    assert!(error(&newer).contains("has version 9"), "{}", error(&newer));
}

#[test]
fn a_recording_that_may_not_grow_ends_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("limited");
    let limits = Limits {
        bytes: Some(1 << 20),
        replace: false,
    };
    let recorder = Recorder::create(&path, facts(), limits).unwrap();
    recorder.begin(&Recorded::whole(shown()));
    let mut fed = 0;
    while !recorder.ended() {
        recorder.record(&open(7, fed, 1, "/a/path/that/takes/some/room"));
        fed += 1;
    }
    assert!(recorder.is_full());
    let written = recorder.finish(&Stats::default()).unwrap();
    assert!(
        written.bytes <= 1 << 20 && written.bytes > 512 << 10,
        "{written:?}"
    );
    assert!(written.records < fed);
    let (shown, end) = replay_all(&fs::read(&path).unwrap()).unwrap();
    assert_eq!((shown.len() as u64, end.unwrap()), (written.records, End::Whole));
}

#[test]
fn a_disk_that_is_full_ends_the_recording_with_an_error() {
    let full = Path::new("/dev/full");
    assert!(matches!(
        Recorder::create(full, facts(), Limits::default()),
        Err(RecordingError::NotAFile(_))
    ));
}

/// A host with many processes, for a recorder.
#[derive(Debug)]
struct Crowd {
    tape: Arc<dyn Tape>,
    processes: u32,
}

impl Tape for Crowd {
    fn answer(&self, question: &[u8], _: &mut dyn FnMut() -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let answer = || {
            let path = std::str::from_utf8(question.get(1..)?).ok()?;
            if path == "/proc" {
                let names = (1..=self.processes).map(|pid| format!("{pid}\0"));
                return Some(names.collect::<String>().into_bytes());
            }
            let (pid, name) = path.strip_prefix("/proc/")?.split_once('/')?;
            Some(match name {
                "stat" => {
                    format!("{pid} (worker) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0").into_bytes()
                }
                "status" => b"Uid:\t0\t0\t0\t0\nNSpid:\t7\n".to_vec(),
                "cmdline" => format!("worker\0--number\0{pid}\0").into_bytes(),
                "exe" if question[0] == 2 => b"/usr/bin/worker".to_vec(),
                _ => return None,
            })
        };
        self.tape.answer(question, &mut || answer())
    }
    fn containers(&self, known: &Arc<lanner_schema::container::Containers>) {
        self.tape.containers(known);
    }
    fn address_names(&self, known: &Arc<AddressNames>) {
        self.tape.address_names(known);
    }
}

#[test]
fn processes_beyond_the_limit_are_replayed_in_bounded_memory() {
    replay_crowd(5_000, [200, 1_000]);
}

#[test]
#[ignore = "minutes without optimization; make soak runs it"]
fn half_a_million_processes_are_replayed_in_bounded_memory() {
    replay_crowd(500_000, [1_000, 50_000]);
}

#[test]
fn threads_are_replayed_in_the_memory_of_their_processes() {
    replay_threads(5_000);
}

#[test]
#[ignore = "minutes without optimization; make soak runs it"]
fn half_a_million_threads_are_replayed_in_the_memory_of_their_processes() {
    replay_threads(500_000);
}

/// Records so many threads of ten processes: each is created, opens a file, gets a name and, but for a few, ends.
fn replay_threads(threads: u32) {
    const PROCESSES: u32 = 10;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("threads");
    let recorder = Recorder::create(&path, facts(), Limits::default()).unwrap();
    let events = [Event::Openat, Event::Clone, Event::Procexit];
    recorder.begin(&Recorded::whole(events.into_iter().collect()));
    let outside = Outside::through(Arc::new(Crowd {
        tape: recorder.tape(),
        processes: PROCESSES,
    }));
    drop(Consumer::new(
        shown(),
        &Config::default(),
        &ContainerTable::new(),
        Arc::default(),
        outside,
    ));
    for thread in 0..threads {
        let (pid, tid) = (1 + thread % PROCESSES, 1000 + thread);
        let of = |event, tid: u32, wire: WireBuilder| {
            let mut bytes = record(event, pid, u64::from(thread), 7, wire);
            let header = Header {
                tid,
                ..Header::read(&bytes).unwrap()
            };
            let mut head = Vec::new();
            header.write(&mut head);
            bytes[..HEADER_LEN].copy_from_slice(&head);
            recorder.record(&bytes);
        };
        of(Event::Clone, pid, WireBuilder::new().number(i64::from(tid)));
        of(Event::TaskRename, tid, WireBuilder::new().text("worker"));
        of(
            Event::Openat,
            tid,
            WireBuilder::new().number(3).number(-100).path("/a", "").number(0),
        );
        if thread % 100 != 0 {
            of(Event::Procexit, tid, WireBuilder::new().number(0));
        }
    }
    recorder.finish(&Stats::default()).unwrap();
    let size = fs::metadata(&path).unwrap().len();
    let mut shown = 0;
    let counted = allocation_counter::measure(|| {
        let mut replay = Replay::open(&path, &Config::default()).unwrap();
        let end = replay.run(&AtomicBool::new(false), &mut |view| {
            assert!(view.process.is_some());
            shown += 1;
        });
        assert_eq!(end.unwrap(), End::Whole);
        assert_eq!(replay.stats().processes, PROCESSES as usize);
    });
    assert_eq!(shown, 3 * threads - threads.div_ceil(100));
    println!("{size} bytes recorded; at most {} bytes held", counted.bytes_max);
    assert!(counted.bytes_max < 16 << 20, "{}", counted.bytes_max);
}

/// Records a host with so many processes and as many births, and replays it with these limits.
fn replay_crowd(processes: u32, limits: [usize; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("crowd");
    let recorder = Recorder::create(&path, facts(), Limits::default()).unwrap();
    recorder.begin(&Recorded::whole(shown()));
    let outside = Outside::through(Arc::new(Crowd {
        tape: recorder.tape(),
        processes,
    }));
    let config = |process_limit| Config {
        process_limit,
        ..Config::default()
    };
    // The recorder asks for as many as it remembers.
    let mut consumer = Consumer::new(
        shown(),
        &config(processes as usize),
        &ContainerTable::new(),
        Arc::default(),
        outside,
    );
    consumer.keep_of_processes(true, true);
    drop(consumer);
    // As many are born, and none ends.
    for child in 0..processes {
        let fork = [i64::from(child) + 1_000_000, 1, 1, 9, 1, 1, 1];
        let fork = fork.into_iter().fold(WireBuilder::new(), WireBuilder::number);
        recorder.record(&record(Event::TaskFork, 1, u64::from(child), 7, fork));
    }
    recorder.finish(&Stats::default()).unwrap();
    let size = fs::metadata(&path).unwrap().len();
    assert!(size > 400 * u64::from(processes), "{size}");
    println!("recorded");

    let replay = |limit: usize| {
        let counted = allocation_counter::measure(|| {
            let mut replay = Replay::open(&path, &config(limit)).unwrap();
            let end = replay.run(&AtomicBool::new(false), &mut |_| ()).unwrap();
            assert_eq!(end, End::Whole);
            let stats = replay.stats();
            assert!(
                stats.processes <= limit && stats.processes > limit / 2,
                "{}",
                stats.processes
            );
            assert_eq!(
                stats.evicted_processes + stats.processes as u64,
                u64::from(2 * processes)
            );
        });
        counted.bytes_max
    };
    let [few, many] = limits.map(replay);
    println!("{size} bytes recorded; at most {few} and {many} bytes held");
    // What waits to be asked for, a list of all processes, and the processes that are remembered.
    assert!(few < 64 << 20, "{few}");
    assert!(many < (64 << 20) + limits[1] as u64 * 4096, "{many}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(256)
    })]

    /// Whatever a chunk with fitting checksums says: no panic.
    #[test]
    fn hostile_items_do_no_harm(
        items in proptest::collection::vec(
            (0u8..10, proptest::collection::vec(any::<u8>(), 0..200)),
            0..20,
        ),
        head in any::<bool>(),
    ) {
        let mut payload = Vec::new();
        for (kind, mut body) in items {
            if kind == 1 && head && body.len() > HEADER_LEN {
                // A record that gets as far as its parameters.
                let event = u16::from(body[0]) % u16::try_from(EVENT_COUNT).unwrap();
                body[..2].copy_from_slice(&event.to_le_bytes());
                for length in body[HEADER_LEN..].iter_mut().skip(1).step_by(2) {
                    *length &= 0x80;
                }
            }
            let head = u32::try_from(body.len()).unwrap() << 8 | u32::from(kind);
            payload.extend(head.to_le_bytes());
            payload.extend(body);
        }
        let bytes = recording_of(&payload, None);
        if let Ok((_, end)) = replay_all(&bytes) {
            prop_assert!(matches!(end, Ok(End::Whole) | Err(RecordingError::Damaged { .. })), "{:?}", end);
        }
    }

    #[test]
    fn a_hostile_table_does_no_harm(table in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut payload = lanner_schema::record::LAYOUT.to_le_bytes().to_vec();
        payload.extend([3, 0]);
        payload.extend(table);
        let _ = replay_all(&recording_of(&[], Some(&payload)));
    }
}

/// Containers have no record: their events are made where the consumer takes over a table, and there again.
#[test]
fn containers_come_and_go_in_a_replay_where_they_did() {
    let of_containers = [Event::Openat, Event::Container, Event::ContainerRemoved];
    let shown: EventSet = of_containers.into_iter().collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("containers");
    let recorder = Recorder::create(&path, facts(), Limits::default()).unwrap();
    recorder.begin(&Recorded::whole(shown));
    let table = ContainerTable::new();
    // They ran before.
    table.update(|known| {
        known.insert(container("bbbb", 98));
        known.insert(container("aaaa", 97));
        known.insert(container("only created", 0));
    });
    let mut consumer = Consumer::new(
        shown,
        &Config::default(),
        &table,
        Arc::default(),
        Outside::through(recorder.tape()),
    );
    consumer.keep(recorder.clone());
    let me = std::process::id();
    let mut live = Vec::new();
    let told = |view: &EventView<'_>| {
        let data = view
            .wire
            .param(2)
            .map(|data| String::from_utf8_lossy(data.bytes).into_owned());
        let thread = (view.tid, view.process.is_some());
        let data = data.filter(|_| view.event != Event::Openat);
        format!("{} {} {data:?} {thread:?}", said(view), view.event.name())
    };
    let mut look = |view: &EventView<'_>| live.push(told(view));
    consumer.record(&open(me, 0, 7, "/a"), &mut look);
    table.update(|known| known.insert(container("cccc", 99)));
    consumer.chores(5_000_000_000, 0, &mut look);
    consumer.chores(6_000_000_000, 0, &mut look);
    table.update(|known| {
        let gone = Container::clone(&container("cccc", 99));
        known.insert(Arc::new(Container { gone: true, ..gone }));
    });
    consumer.record(&open(me, 1, 99, "/b"), &mut look);
    table.update(|known| known.remove("cccc"));
    table.update(|known| known.remove("aaaa"));
    consumer.record(&open(me, 2, 7, "/c"), &mut look);
    let stats = consumer.stats();
    drop(consumer);
    recorder.finish(&stats).unwrap();
    let mut replay = Replay::open(&path, &Config::default()).unwrap();
    let mut again = Vec::new();
    replay
        .run(&AtomicBool::new(false), &mut |view| again.push(told(view)))
        .unwrap();
    assert_eq!(again, live);
    let names: Vec<&str> = live.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!(
        names,
        [
            "Container",
            "Container",
            "Openat",
            "Container",
            "ContainerRemoved",
            "Openat",
            "ContainerRemoved",
            "Openat"
        ]
    );
    assert!(live[0].contains("aaaa") && live[1].contains("bbbb"), "{live:#?}");
    assert!(live[0].contains(r#"\"image\":\"reg/web:1\""#), "{}", live[0]);
    assert!(live[0].ends_with("(0, false)"), "no thread: {}", live[0]);
    assert!(live[4].contains("cccc") && live[6].contains("aaaa"));
}
