//! Recordings: bytes → chunks → items → events → rules.

use std::cell::RefCell;
use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use lanner_capture::{Config, End, Replay, recording_of};
use lanner_engine::{BUILT_IN_RULES, RulesFile, Ruleset, Settings, load};
use lanner_schema::event::{EVENTS, Origin, ParamType};
use lanner_schema::record::{Header, SocketTuple, WireBuilder};

/// The first byte of an input that is a file as it is; others are items, or a table of events and items.
pub(crate) const FILE: u8 = 0;
/// The first byte of an input whose next two are the length of its table.
pub(crate) const TABLE: u8 = 1;

/// A file is refused, or gone through to its end, its cut or its damage, and twice with the same result. The built-in rules
/// can be asked about whatever comes.
pub fn recording(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    let file = match *kind {
        FILE => rest.to_vec(),
        TABLE => {
            let Some((length, rest)) = rest.split_first_chunk() else {
                return;
            };
            let Some((table, items)) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length))) else {
                return;
            };
            recording_of(items, Some(table))
        }
        _ => recording_of(rest, None),
    };
    let first = go_through(&file);
    assert_eq!(first, go_through(&file));
    // What is cut off at the end takes nothing from what is before it.
    if let Some((events, Ok(_))) = first {
        let cut = go_through(&file[..file.len() - 1]);
        assert!(cut.is_none_or(|(cut, end)| cut <= events && end != Ok(End::Whole)));
    }
}

thread_local! {
    static RULES: RefCell<Option<Ruleset>> = RefCell::new(built_in());
}

fn built_in() -> Option<Ruleset> {
    let file = RulesFile {
        name: "built-in rules".into(),
        text: BUILT_IN_RULES.into(),
    };
    load(&[file], &Settings::default()).ruleset
}

/// How many events were shown, and how it ended; `None` when the file is refused.
fn go_through(file: &[u8]) -> Option<(u64, Result<End, String>)> {
    let config = Config {
        process_limit: 64,
        ..Config::default()
    };
    let input = Box::new(Cursor::new(file.to_vec()));
    let mut replay = match Replay::read(Path::new("input"), input, &config) {
        Ok(replay) => replay,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    let mut shown = 0;
    let end = RULES.with_borrow_mut(|rules| {
        replay.run(&AtomicBool::new(false), &mut |event| {
            shown += 1;
            if let Some(rules) = rules {
                rules.evaluate(event, &mut |alert| assert!(!alert.line.is_empty()));
            }
        })
    });
    let stats = replay.stats();
    assert!(stats.processes <= 64 && shown <= stats.total());
    let _ = (stats.to_string(), replay.counts());
    Some((shown, end.map_err(|error| error.to_string())))
}

fn item(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    let head = u32::try_from(body.len()).unwrap_or(0) << 8 | u32::from(kind);
    out.extend(head.to_le_bytes());
    out.extend_from_slice(body);
}

/// A record of every event, with a value for each of its parameters, and an item of every kind.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let tuple = SocketTuple {
        family: 2,
        remote: Some(([10, 0, 0, 1].into(), 443)),
        ..SocketTuple::default()
    };
    for (sequence, row) in (0..).zip(EVENTS) {
        let mut record = Vec::new();
        Header {
            event: row.event as u16,
            pid: 7,
            tid: 7,
            sequence,
            time: 1,
            ..Header::default()
        }
        .write(&mut record);
        let wire = row
            .params
            .iter()
            .fold(WireBuilder::new(), |wire, param| match (param.from, param.ty) {
                (Origin::UserPath { .. }, _) => wire.path("x/../shadow", "/etc"),
                (_, ParamType::FsPath | ParamType::FsRelPath(_)) => wire.kernel_path("/etc/shadow"),
                (_, ParamType::SockTuple | ParamType::SockAddr) => wire.tuple(&tuple),
                (_, ParamType::CharBuf) => wire.text("cat"),
                (_, ParamType::ByteBuf) => wire.bytes(b"cat\0-n\0and some more bytes"),
                _ => wire.number(3),
            });
        record.extend(wire.build());
        let mut items = vec![2];
        item(&mut items, 1, &record);
        seeds.push(items);
    }
    let mut items = vec![2];
    item(&mut items, 2, b"\x0c\0\x01/proc/7/stat\x017 (cat) S 1 1 1 0");
    item(&mut items, 3, &1_000_000_000u64.to_le_bytes());
    item(
        &mut items,
        4,
        b"\x01\x04\0\0\0abcd\x09\x08\0\0\0\0\0\0\0\0\0\0\0\x0d\x01\0\0\0p",
    );
    item(&mut items, 6, b"");
    item(&mut items, 5, b"abcd");
    item(&mut items, 6, b"");
    item(&mut items, 7, b"\x04\x0a\0\0\x01\x01\0a");
    let file = recording_of(&items[1..], None);
    seeds.push(items);
    let table = b"\x01\0\x01\0\x06openat\x02\x01\x02fd\x01\x01";
    let length = u16::try_from(table.len()).unwrap_or(0).to_le_bytes();
    seeds.push([&[TABLE][..], &length, table].concat());
    seeds.push([&[FILE][..], &file].concat());
    seeds
}
