//! The spool on a real disk: order, restarts, damage, limits.

use super::*;
use test_log::test;

const LARGE: u64 = 64 << 20;

fn key(number: u64) -> Key {
    Key { run: 7, number }
}

fn body(number: u64) -> Vec<u8> {
    format!("alert number {number}").into_bytes()
}

fn fill(spool: &mut Spool, numbers: std::ops::Range<u64>) {
    for number in numbers {
        spool.push(key(number), &body(number)).unwrap();
    }
}

/// Takes everything out.
fn drain(spool: &mut Spool) -> Vec<u64> {
    let mut numbers = Vec::new();
    while let Some((key, found)) = spool.first() {
        assert_eq!(found, body(key.number), "whole records only");
        numbers.push(key.number);
        spool.remove(&found);
    }
    assert_eq!((spool.waiting(), spool.bytes()), (0, 0));
    numbers
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "spool"))
        .collect();
    paths.sort();
    paths
}

#[test]
fn what_goes_in_comes_out_in_order_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), LARGE).unwrap();
    fill(&mut spool, 0..10);
    for number in 0..4 {
        let (key, found) = spool.first().unwrap();
        assert_eq!(key.number, number);
        spool.remove(&found);
    }
    // As if it were killed: nothing is done at its end.
    drop(spool);
    let mut spool = Spool::open(dir.path(), LARGE).unwrap();
    assert_eq!(spool.waiting(), 6);
    fill(&mut spool, 10..20);
    drop(spool);
    let mut spool = Spool::open(dir.path(), LARGE).unwrap();
    assert_eq!(spool.waiting(), 16);
    assert_eq!(drain(&mut spool), (4..20).collect::<Vec<_>>());
    assert!(segments(dir.path()).is_empty());
    // It goes on as before.
    fill(&mut spool, 20..22);
    assert_eq!(drain(&mut spool), [20, 21]);
    assert_eq!(spool.damaged(), 0);
}

#[test]
fn many_segments_are_removed_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), LARGE).unwrap();
    let large = vec![b'x'; 300 << 10];
    for number in 0..12 {
        spool.push(key(number), &large).unwrap();
    }
    assert_eq!(segments(dir.path()).len(), 3);
    for number in 0..12 {
        let (key, found) = spool.first().unwrap();
        assert_eq!((key.number, found.len()), (number, large.len()));
        spool.remove(&found);
        let left = 3 - (number + 1) / 4;
        assert_eq!(segments(dir.path()).len() as u64, left);
    }
    assert!(spool.is_empty());
}

#[test]
fn one_process_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = Spool::open(dir.path(), LARGE).unwrap();
    let error = Spool::open(dir.path(), LARGE).unwrap_err();
    assert!(matches!(error, SpoolError::Locked { .. }), "{error}");
    drop(first);
    Spool::open(dir.path(), LARGE).unwrap();
}

#[test]
fn it_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), 2000).unwrap();
    let mut taken = 0;
    while spool.push(key(taken), &body(taken)).is_ok() {
        taken += 1;
    }
    assert!((30..60).contains(&taken), "{taken}");
    assert!(spool.bytes() <= 2000);
    let error = spool.push(key(0), &body(0)).unwrap_err();
    assert!(matches!(error, SpoolError::Full { max: 2000 }), "{error}");
    assert_eq!(drain(&mut spool).len() as u64, taken);
    fill(&mut spool, 0..3);
}

/// Whatever byte is wrong, at most the record it is in is lost, and the loss is counted.
#[test]
fn damage_costs_the_record_it_is_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), LARGE).unwrap();
    fill(&mut spool, 0..5);
    drop(spool);
    let segment = segments(dir.path()).remove(0);
    let whole = fs::read(&segment).unwrap();
    let record = RECORD_HEAD + body(0).len();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x5a;
        let _ = fs::remove_file(dir.path().join("position"));
        fs::write(&segment, &bytes).unwrap();
        let mut spool = Spool::open(dir.path(), LARGE).unwrap();
        let hit = at
            .checked_sub(HEAD_LENGTH as usize)
            .map(|at| (at / record) as u64);
        let expected: Vec<u64> = (0..5).filter(|number| Some(*number) != hit).collect();
        assert_eq!(spool.waiting(), expected.len() as u64, "byte {at}");
        assert_eq!(drain(&mut spool), expected, "byte {at}");
        assert_eq!(spool.damaged(), u64::from(hit.is_some()), "byte {at}");
    }
    // The same for one that is cut.
    for length in 0..whole.len() {
        let _ = fs::remove_file(dir.path().join("position"));
        fs::write(&segment, &whole[..length]).unwrap();
        let mut spool = Spool::open(dir.path(), LARGE).unwrap();
        let kept = length.saturating_sub(HEAD_LENGTH as usize) / record;
        assert_eq!(drain(&mut spool).len(), kept, "length {length}");
    }
}

#[test]
fn what_is_added_after_all_was_delivered_and_a_restart_is_there_after_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), LARGE).unwrap();
    fill(&mut spool, 0..3);
    assert_eq!(drain(&mut spool), [0, 1, 2]);
    drop(spool);
    let mut spool = Spool::open(dir.path(), LARGE).unwrap();
    fill(&mut spool, 3..5);
    drop(spool);
    let mut spool = Spool::open(dir.path(), LARGE).unwrap();
    assert_eq!(spool.waiting(), 2);
    assert_eq!(drain(&mut spool), [3, 4]);
}

#[test]
fn what_is_damaged_while_it_waits_does_not_wait_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), LARGE).unwrap();
    fill(&mut spool, 0..3);
    let segment = segments(dir.path()).remove(0);
    let length = fs::read(&segment).unwrap().len();
    fs::write(&segment, vec![0; length]).unwrap();
    assert_eq!(spool.waiting(), 3);
    assert!(spool.first().is_none());
    assert_eq!((spool.waiting(), spool.damaged()), (0, 1));
}

#[test]
fn a_damaged_position_sends_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path(), LARGE).unwrap();
    fill(&mut spool, 0..4);
    let (_, found) = spool.first().unwrap();
    spool.remove(&found);
    drop(spool);
    fs::write(dir.path().join("position"), [0xff; 20]).unwrap();
    let mut spool = Spool::open(dir.path(), LARGE).unwrap();
    assert_eq!(drain(&mut spool), [0, 1, 2, 3]);
}

#[test]
fn a_newer_lanners_spool_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut head = *b"LNRSPOOL\x02\0\0\0....";
    let sum = crc32fast::hash(&head[..12]);
    head[12..].copy_from_slice(&sum.to_le_bytes());
    let path = dir.path().join("0000000000000000.spool");
    fs::write(&path, head).unwrap();
    let error = Spool::open(dir.path(), LARGE).unwrap_err();
    assert!(matches!(error, SpoolError::Newer { .. }), "{error}");
    assert!(path.exists());
}

/// A file system of this many KiB, or the reason why there is none. It is gone with the value.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount(kib: u64) -> Option<Tmpfs> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={kib}k");
        let flags = nix::mount::MsFlags::empty();
        match nix::mount::mount(
            Some("tmpfs"),
            dir.path(),
            Some("tmpfs"),
            flags,
            Some(size.as_str()),
        ) {
            Ok(()) => Some(Tmpfs(dir)),
            Err(error) => {
                eprintln!("skipped: cannot mount a tmpfs: {error}");
                None
            }
        }
    }

    fn remount_read_only(&self) {
        let flags = nix::mount::MsFlags::MS_REMOUNT | nix::mount::MsFlags::MS_RDONLY;
        nix::mount::mount(None::<&str>, self.0.path(), None::<&str>, flags, None::<&str>).unwrap();
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(self.0.path(), nix::mount::MntFlags::MNT_DETACH);
    }
}

#[test]
fn on_a_full_disk_the_record_is_refused_and_the_others_stay() {
    let Some(disk) = Tmpfs::mount(256) else { return };
    let folder = disk.0.path().join("http");
    let mut spool = Spool::open(&folder, LARGE).unwrap();
    let large = vec![b'x'; 10_000];
    let mut taken = 0;
    let error = loop {
        match spool.push(key(taken), &large) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SpoolError::Io { .. }), "{error}");
    assert!(error.to_string().contains("No space left"), "{error}");
    assert!(taken >= 20, "{taken}");
    drop(spool);
    let mut spool = Spool::open(&folder, LARGE).unwrap();
    assert_eq!(spool.waiting(), taken);
    for number in 0..taken {
        let (found_key, found) = spool.first().unwrap();
        assert_eq!((found_key.number, found.len()), (number, large.len()));
        spool.remove(&found);
    }
    assert_eq!(spool.damaged(), 0);
    fill(&mut spool, 0..3);
    assert_eq!(drain(&mut spool), [0, 1, 2]);
}

#[test]
fn a_read_only_disk_is_an_error() {
    let Some(disk) = Tmpfs::mount(256) else { return };
    let folder = disk.0.path().join("http");
    let mut spool = Spool::open(&folder, LARGE).unwrap();
    fill(&mut spool, 0..3);
    // An open file that is written to keeps the disk from becoming so.
    drop(spool);
    disk.remount_read_only();
    let error = Spool::open(&folder, LARGE).unwrap_err();
    assert!(matches!(error, SpoolError::Io { .. }), "{error}");
    assert!(error.to_string().contains("Read-only"), "{error}");
}
