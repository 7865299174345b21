//! The table by hand: records that come, and records that were lost.

use std::path::Path;
use std::time::Duration;

use lanner_schema::event::Event;
use lanner_schema::flags::EXE_UNKNOWN_LAYER;
use lanner_schema::record::{TaskState, Wire, WireBuilder};

use super::end::{LINGER, SWEEP};
use super::*;

fn table(limit: usize) -> ProcessTable {
    table_at(limit, Path::new("/nonexistent"))
}

fn table_at(limit: usize, proc: &Path) -> ProcessTable {
    let config = Config {
        process_limit: limit,
        ..Config::default()
    };
    let mut procfs = Procfs::at(proc);
    procfs.boot = 1000;
    ProcessTable::new(&config, procfs)
}

/// A process in a /proc made by hand.
fn running(proc: &Path, pid: u32, comm: &str, ppid: u32) {
    let dir = proc.join(pid.to_string());
    std::fs::create_dir_all(&dir).unwrap();
    let stat = format!("{pid} ({comm}) S {ppid} 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0\n");
    std::fs::write(dir.join("stat"), stat).unwrap();
    std::fs::write(dir.join("status"), format!("NSpid:\t{pid}\n")).unwrap();
    std::fs::write(dir.join("cmdline"), format!("{comm}\0")).unwrap();
}

/// An event of a process that runs the program with this number.
fn event(table: &mut ProcessTable, pid: u32, image: u16, time: u64) {
    table.ensure(&Header {
        image,
        ..header(Event::Openat, pid, time)
    });
}

fn header(event: Event, pid: u32, time: u64) -> Header {
    Header {
        event: event as u16,
        pid,
        tid: pid,
        time,
        cgroup: 5,
        uid: 7,
        ..Header::default()
    }
}

fn exec(table: &mut ProcessTable, pid: u32, ppid: u32, argv: &[u8], time: u64) {
    let mut builder = WireBuilder::new().number(i64::from(ppid));
    for value in [
        1,
        1,
        1,
        1,
        34816,
        -1,
        0,
        0,
        0,
        99,
        7000,
        6000,
        2,
        i64::try_from(time).unwrap(),
        3,
        0,
    ] {
        builder = builder.number(value);
    }
    let bytes = builder
        .text("cat")
        .bytes(argv)
        .bytes(b"A=1\0")
        .kernel_path("/usr/bin/cat")
        .kernel_path("/srv/data")
        .text("/bin/cat")
        .build();
    let wire = Wire::read(&bytes, Event::TaskExec.row().params.len()).unwrap();
    table.exec(&header(Event::TaskExec, pid, time), &wire);
}

fn fork(table: &mut ProcessTable, pid: u32, child: u32, time: u64) {
    let bytes = WireBuilder::new()
        .number(i64::from(child))
        .number(1)
        .number(i64::from(pid))
        .number(i64::try_from(time).unwrap())
        .number(1)
        .number(1)
        .number(1)
        .number(i64::from(child) & 0xff)
        .text("")
        .build();
    table.fork(
        &header(Event::TaskFork, pid, time),
        &Wire::read(&bytes, Event::TaskFork.row().params.len()).unwrap(),
    );
}

#[test]
fn exec_sets_the_program_and_fork_inherits_it() {
    let mut table = table(10);
    exec(&mut table, 5, 1, b"cat\0/etc/shadow\0", 10);
    let process = table.get(5).unwrap();
    assert_eq!(&*process.image.cmdline, b"cat /etc/shadow");
    assert_eq!(&*process.image.exepath, b"/usr/bin/cat");
    assert_eq!(&*process.cwd, b"/srv/data");
    assert_eq!((process.tty, process.uid, process.loginuid), (34816, 7, 0));
    assert_eq!((process.start_time, process.pidns_start), (1010, 1003));
    let image = &process.image;
    assert_eq!(
        (image.exe_ino, image.exe_ctime, image.exe_mtime, image.exec_flags),
        (99, 7000, 6000, 2)
    );
    fork(&mut table, 5, 6, 20);
    let child = table.get(6).unwrap();
    assert_eq!((child.ppid, child.start_time), (5, 1020));
    assert_eq!(child.pidns_start, 1020, "it is the first of a new pid namespace");
    assert!(Arc::ptr_eq(&child.image, &table.get(5).unwrap().image));
}

#[test]
fn a_process_outlives_its_end_but_not_for_long_and_not_its_id() {
    let mut table = table(100);
    exec(&mut table, 5, 1, b"a\0", 10);
    exec(&mut table, 6, 1, b"b\0", 10);
    table.exit(&header(Event::Procexit, 5, 20));
    assert!(table.get(5).is_some(), "children still name it");
    fork(&mut table, 6, 5, 30);
    table.exit(&header(Event::Procexit, 6, 20 + LINGER + SWEEP));
    assert!(table.get(5).is_some(), "the id was given to another process");
    assert!(table.get(6).is_some());
    table.exit(&header(Event::Procexit, 99, 30 + 3 * LINGER));
    assert!(table.get(6).is_none());
}

#[test]
fn an_exec_keeps_the_parent_that_started_it_while_its_state_lasts() {
    let mut table = table(100);
    exec(&mut table, 5, 1, b"parent\0", 10);
    fork(&mut table, 5, 6, 20);
    table.exit(&header(Event::Procexit, 5, 30));
    exec(&mut table, 6, 1, b"child\0", 20);
    assert_eq!(table.get(6).unwrap().ppid, 5);
    exec(&mut table, 7, 1, b"reader\0", 40);
    assert_eq!(table.get(7).unwrap().ppid, 1, "nothing better is known");
    exec(&mut table, 6, 1, b"recycled\0", LINGER);
    assert_eq!(table.get(6).unwrap().ppid, 1, "another process with that id");
}

/// Names of a process and its ancestors.
fn line(table: &ProcessTable, pid: u32) -> String {
    let (mut names, mut at) = (Vec::new(), table.get(pid));
    while let Some(process) = at {
        names.push(String::from_utf8_lossy(&process.image.exe).into_owned());
        at = table.parent(process);
    }
    names.join(" ")
}

#[test]
fn children_keep_the_ancestors_they_were_born_with() {
    let mut table = table(1000);
    exec(&mut table, 1, 0, b"init\0", 1);
    fork(&mut table, 1, 5, 10);
    exec(&mut table, 5, 1, b"shell\0", 10);
    fork(&mut table, 5, 6, 20);
    exec(&mut table, 6, 5, b"launcher\0", 20);
    fork(&mut table, 6, 7, 30);
    table.exit(&header(Event::Procexit, 6, 40));
    table.exit(&header(Event::Procexit, 5, 50));
    table.exit(&header(Event::Procexit, 99, 50 + 2 * LINGER));
    assert!(table.get(5).is_none() && table.get(6).is_none());
    // The kernel says init's.
    exec(&mut table, 7, 1, b"daemon\0", 30);
    assert_eq!(line(&table, 7), "daemon launcher shell init");
    assert_eq!(table.get(7).unwrap().ppid, 6);
    // Ids that are given again are other processes.
    fork(&mut table, 1, 6, 60 + 2 * LINGER);
    fork(&mut table, 1, 5, 60 + 2 * LINGER);
    assert_eq!(line(&table, 7), "daemon launcher shell init");
    assert_eq!(line(&table, 6), "init init");
    // So are those that are given again at once.
    fork(&mut table, 7, 8, 70 + 2 * LINGER);
    fork(&mut table, 8, 9, 70 + 2 * LINGER);
    fork(&mut table, 1, 8, 80 + 2 * LINGER);
    assert_eq!(line(&table, 9), "daemon daemon daemon launcher shell init");
    // Nobody is left who descends from them.
    for (pid, time) in [(9, 3), (8, 3), (7, 3)] {
        table.exit(&header(Event::Procexit, pid, time * LINGER));
    }
    table.exit(&header(Event::Procexit, 99, 5 * LINGER));
    assert_eq!(table.lineage.values_mut().count(), 0);
}

#[test]
fn a_sibling_by_choice_has_the_parent_of_who_made_it() {
    let mut table = table(1000);
    exec(&mut table, 5, 1, b"launcher\0", 10);
    fork(&mut table, 5, 6, 20);
    exec(&mut table, 6, 5, b"daemon\0", 20);
    table.exit(&header(Event::Procexit, 5, 30));
    // CLONE_PARENT: the kernel has made the caller init's meanwhile.
    let bytes = [7, 7, 1, 50, 1, 1, 1, 9]
        .into_iter()
        .fold(WireBuilder::new(), WireBuilder::number)
        .text("")
        .build();
    let wire = Wire::read(&bytes, Event::TaskFork.row().params.len()).unwrap();
    table.fork(&header(Event::TaskFork, 6, 50), &wire);
    assert_eq!(line(&table, 7), "daemon launcher");
    assert_eq!(table.get(7).unwrap().ppid, 5);
}

#[test]
fn who_starts_itself_again_and_again_does_not_outrun_its_ancestors() {
    let mut table = table(1000);
    exec(&mut table, 2, 0, b"sshd\0", 1);
    fork(&mut table, 2, 3, 2);
    let mut time = 10;
    for pid in 3..20_000 {
        exec(
            &mut table,
            pid,
            pid - 1,
            format!("worm{pid}\0").as_bytes(),
            u64::from(pid - 1),
        );
        fork(&mut table, pid, pid + 1, u64::from(pid));
        time += LINGER / 100;
        table.exit(&header(Event::Procexit, pid, time));
    }
    let line = line(&table, 20_000);
    assert!(line.starts_with("worm19999 worm19999 worm19998"), "{line}");
    assert!(line.ends_with("worm4 worm3 sshd"), "{line}");
    assert!(line.split(' ').count() < 1000 && table.lineage.values_mut().count() < 1000);
}

#[test]
fn a_full_table_forgets_whom_it_has_not_heard_of() {
    let mut table = table(16);
    exec(&mut table, 1, 0, b"init\0", 1);
    for pid in 2..=16 {
        exec(&mut table, pid, 1, b"a\0", u64::from(pid) * 10);
    }
    event(&mut table, 2, 0, 1000);
    assert_eq!((table.len(), table.counts.evicted), (16, 0));
    exec(&mut table, 17, 1, b"new\0", 1010);
    assert!(table.len() <= 16);
    assert_eq!(table.counts.evicted, 2);
    for (pid, stays) in [
        (1, true),
        (2, true),
        (3, false),
        (4, false),
        (5, true),
        (17, true),
    ] {
        assert_eq!(table.get(pid).is_some(), stays, "{pid}");
    }
    exec(&mut table, 5, 1, b"again\0", 1011);
    assert_eq!(table.counts.evicted, 2, "it was there already");
    table.ensure(&header(Event::Openat, 77, 1012));
    assert_eq!(table.counts.unknown, 1);
}

#[test]
fn what_ended_makes_room_first() {
    let mut table = table(16);
    for pid in 1..=16 {
        exec(&mut table, pid, 0, b"a\0", 10);
    }
    table.exit(&header(Event::Procexit, 7, 20));
    table.exit(&header(Event::Procexit, 8, 20));
    exec(&mut table, 17, 1, b"new\0", 30);
    assert_eq!((table.len(), table.counts.evicted), (15, 0));
    assert!(table.get(7).is_none() && table.get(1).is_some());
}

/// What a process costs to remember: its own state, and a program's names when it runs one of its own.
#[test]
fn a_process_takes_little_memory() {
    const COUNT: u32 = 10_000;
    let kept = |more: &dyn Fn(&mut ProcessTable, u32)| {
        let mut table = table(usize::MAX / 64);
        exec(&mut table, 1, 0, b"init\0", 1);
        let info = allocation_counter::measure(|| {
            for pid in 2..COUNT + 2 {
                more(&mut table, pid);
            }
        });
        assert_eq!(table.len(), COUNT as usize + 1);
        u64::try_from(info.bytes_current).unwrap() / u64::from(COUNT)
    };
    let forked = kept(&|table, pid| fork(table, 1, pid, 10));
    let started = kept(&|table, pid| exec(table, pid, 1, b"/usr/bin/job\0--input\0/srv/data/file\0", 10));
    println!("{forked} bytes per forked process, {started} per one that runs a program of its own");
    assert!(forked < 700, "{forked}");
    assert!(started < 1200, "{started}");
}

/// However many pass by, with their ends seen or not, the table holds no more than it may.
#[test]
fn processes_that_pass_by_leave_nothing_behind() {
    const LIMIT: usize = 1024;
    let mut table = table(LIMIT);
    exec(&mut table, 1, 0, b"init\0", 1);
    let count = Event::TaskFork.row().params.len();
    let numbers = [0, 0, 1, 0, 1, 1, 1, 0];
    let mut forked = numbers
        .into_iter()
        .fold(WireBuilder::new(), WireBuilder::number)
        .text("job")
        .build();
    for n in 0..500_000u32 {
        let (pid, time) = (n + 2, u64::from(n) * 1_000_000);
        forked[count * 2..][..4].copy_from_slice(&pid.to_le_bytes());
        forked[count * 2 + 24..][..8].copy_from_slice(&time.to_le_bytes());
        let wire = Wire::read(&forked, count).unwrap();
        table.fork(&header(Event::TaskFork, 1, time), &wire);
        if n % 2 == 0 {
            table.exit(&header(Event::Procexit, pid, time + 20));
        }
        assert!(table.len() <= LIMIT && table.ended.len() <= LIMIT);
    }
    assert!(table.get(1).is_some(), "everyone's parent is never forgotten");
    assert!(table.counts.evicted > 200_000, "{:?}", table.counts);
}

#[test]
fn a_missed_exec_is_noticed_and_read_from_proc() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = table_at(100, dir.path());
    exec(&mut table, 9, 0, b"parent\0", 10);
    fork(&mut table, 9, 5, 20);
    // The number of the program came with the fork.
    event(&mut table, 5, 5, 30);
    assert_eq!(table.counts, Counts::default());
    running(dir.path(), 5, "second", 1);
    table.known.get_mut(&5).unwrap().process.start_time = {
        let read = table.procfs.process(5).unwrap().start_time;
        read + 1
    };
    let start = table.get(5).unwrap().start_time;
    table.get_mut(5).unwrap().escaped_from = 42;
    event(&mut table, 5, 6, 40);
    assert_eq!(&*table.get(5).unwrap().image.comm, b"second");
    assert_eq!(table.get(5).unwrap().escaped_from, 42);
    assert_eq!(table.take_moved(), Some((5, 5)), "/proc says another cgroup");
    assert_eq!(table.counts.stale, 1);
    let process = table.get(5).unwrap();
    assert_eq!(
        (process.ppid, process.start_time),
        (9, start),
        "it is the same process"
    );
    event(&mut table, 5, 6, 50);
    assert_eq!(table.counts.stale, 1, "read once");
    fork(&mut table, 5, 50, 55);
    // Another life under the same id.
    running(dir.path(), 5, "other", 1);
    table.known.get_mut(&5).unwrap().process.start_time += 2 * TICKS;
    event(&mut table, 5, 7, 60);
    assert_eq!(
        (&*table.get(5).unwrap().image.comm, table.get(5).unwrap().ppid),
        (&b"other"[..], 1)
    );
    assert_eq!(table.get(5).unwrap().escaped_from, 0);
    fork(&mut table, 5, 51, 65);
    // One that is gone before it can be asked is unknown, not what it was.
    std::fs::remove_dir_all(dir.path().join("5")).unwrap();
    event(&mut table, 5, 8, 70);
    assert!(table.get(5).is_none());
    assert_eq!((table.counts.stale, table.counts.unknown), (3, 1));
    let parent = |pid| &*table.parent(table.get(pid).unwrap()).unwrap().image.comm;
    assert_eq!((parent(50), parent(51)), (&b"second"[..], &b"other"[..]));
}

#[test]
fn processes_that_run_before_are_as_many_as_there_is_room_for_and_know_their_parents() {
    let dir = tempfile::tempdir().unwrap();
    // Whichever is read first, its parent is not known then.
    running(dir.path(), 2, "a", 9);
    running(dir.path(), 9, "b", 2);
    let mut table = table_at(2, dir.path());
    table.fill();
    let [a, b] = [2, 9].map(|pid| table.get(pid).unwrap());
    assert_eq!((a.parent, b.parent), (b.number, a.number));
    assert_eq!(table.counts, Counts::default());
    running(dir.path(), 11, "c", 2);
    let mut table = table_at(2, dir.path());
    table.fill();
    assert_eq!((table.len(), table.counts.evicted), (2, 1));
}

#[test]
fn a_missed_fork_is_read_from_proc_with_its_ancestors() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = table_at(100, dir.path());
    running(dir.path(), 1, "init", 0);
    running(dir.path(), 20, "shell", 1);
    running(dir.path(), 30, "job", 20);
    event(&mut table, 30, 3, 10);
    let job = table.get(30).unwrap();
    assert_eq!((&*job.image.comm, job.ppid), (&b"job"[..], 20));
    assert_eq!(&*table.get(20).unwrap().image.comm, b"shell");
    assert_eq!(&*table.get(1).unwrap().image.comm, b"init");
    assert_eq!((table.counts.repaired, table.counts.unknown), (3, 0));
    assert_eq!(table.get(20).unwrap().parent, table.get(1).unwrap().number);
    // A program that was read from /proc has the number of its first event.
    event(&mut table, 20, 8, 20);
    assert_eq!(table.counts.stale, 0);
    assert_eq!(table.take_moved(), None, "where it was is not known");
    event(&mut table, 20, 9, 30);
    assert_eq!(table.counts.stale, 1);
}

#[test]
fn processes_whose_end_was_missed_are_purged() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = table_at(100, dir.path());
    running(dir.path(), 1, "init", 0);
    running(dir.path(), 5, "alive", 1);
    running(dir.path(), 8, "orphan", 1);
    let (second, timeout) = (1_000_000_000, 300 * 1_000_000_000);
    for pid in [5, 6, 7] {
        exec(&mut table, pid, 1, b"a\0", second);
    }
    exec(&mut table, 8, 6, b"b\0", second);
    exec(&mut table, 10, 1, b"d\0", second);
    table.purge(second);
    exec(&mut table, 9, 1, b"c\0", second + 1);
    table.exit(&header(Event::Procexit, 10, second + 1));
    // The one that was heard of lately may have begun after /proc was read.
    event(&mut table, 7, 0, second + timeout);
    event(&mut table, 8, 0, second + timeout);
    table.purge(second + timeout);
    // The end of 10 was seen.
    for (pid, stays) in [(5, true), (6, false), (7, true), (8, true), (9, true), (10, true)] {
        assert_eq!(table.get(pid).is_some(), stays, "{pid}");
    }
    assert_eq!((table.counts.purged, table.get(8).unwrap().ppid), (1, 6));
    assert_eq!(line(&table, 8), "b a init", "it is known who it was");
    table.purge(2 * timeout);
    assert!(
        table.get(7).is_some() && table.get(9).is_some(),
        "not before the interval is over"
    );
    table.purge(second + 2 * timeout);
    assert!(table.get(7).is_none() && table.get(9).is_none());
}

#[test]
fn times_stay_the_same_unless_the_clock_is_set_and_then_all_of_them_move() {
    let times = |table: &ProcessTable, pid| {
        let process = table.get(pid).unwrap();
        (process.start_time, process.exec_time, process.pidns_start)
    };
    let mut table = table(10);
    exec(&mut table, 5, 1, b"cat\0", 10);
    table.follow_clock(1150);
    table.follow_clock(850);
    exec(&mut table, 5, 1, b"cat\0again\0", 40);
    assert_eq!(times(&table, 5), (1040, 1040, 1003));

    table.exit(&header(Event::Procexit, 5, 50));
    let hour = 3_600_000_000_000;
    table.follow_clock(1000 + hour);
    assert_eq!(times(&table, 5), (1040 + hour, 1040 + hour, 1003 + hour));
    fork(&mut table, 5, 6, 60);
    assert_eq!(table.get(6).unwrap().start_time, 1060 + hour);
    table.exit(&header(Event::Procexit, 99, 50 + LINGER + SWEEP));
    assert!(
        table.get(5).is_none(),
        "what ended before is still known to be that one"
    );
    table.follow_clock(1000 + 2 * hour);
    let parent = table.parent(table.get(6).unwrap()).unwrap();
    assert_eq!(parent.start_time, 1040 + 2 * hour);
}

#[test]
fn processes_of_a_pid_namespace_agree_on_its_start_once_the_kernel_has_told_it() {
    let mut table = table(10);
    // As /proc has them, in ticks.
    for (pid, start_time, pidns_start) in [
        (1, 1000, 1000),
        (7, 50_001_000, 1000),
        (8, 60_001_000, 60_001_000),
    ] {
        let process = Process {
            pid,
            start_time,
            pidns_start,
            ..Process::default()
        };
        table.insert(process, 1);
    }
    fork(&mut table, 7, 9, 20);
    table.get_mut(9).unwrap().pidns_start = 1000;
    exec(&mut table, 9, 7, b"cat\0", 30);
    let starts = |pid| {
        table
            .get(pid)
            .map(|process| (process.start_time, process.pidns_start))
            .unwrap()
    };
    assert_eq!(starts(9).1, 1003);
    assert_eq!(starts(1), (1003, 1003), "the first process of it began with it");
    assert_eq!(starts(7), (50_001_000, 1003));
    assert_eq!(starts(8), (60_001_000, 60_001_000), "another one");
}

#[test]
fn what_a_renamed_thread_creates_inherits_its_name() {
    let mut table = table(10);
    exec(&mut table, 5, 1, b"server\0--port\0", 10);
    let bytes = WireBuilder::new();
    let bytes = [6, 6, 5, 20, 1, 1, 1, 77]
        .into_iter()
        .fold(bytes, WireBuilder::number);
    let bytes = bytes.text("worker").build();
    let wire = Wire::read(&bytes, Event::TaskFork.row().params.len()).unwrap();
    table.fork(&header(Event::TaskFork, 5, 20), &wire);
    let child = table.get(6).unwrap();
    assert_eq!(
        (&*child.image.comm, &*child.image.cmdline),
        (&b"worker"[..], &b"worker --port"[..])
    );
    assert_eq!(&*table.get(5).unwrap().image.comm, b"cat");
}

#[test]
fn environments_and_cgroups_are_kept_when_a_rule_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = table_at(100, dir.path());
    running(dir.path(), 5, "a", 1);
    std::fs::write(dir.path().join("5/environ"), "A=1\0").unwrap();
    std::fs::write(dir.path().join("5/cgroup"), "0::/slice\n").unwrap();
    event(&mut table, 5, 1, 10);
    assert!(table.get(5).unwrap().image.env.is_empty() && table.get(5).unwrap().cgroups.is_empty());
    table.keep(true, true);
    assert_eq!(&*table.get(5).unwrap().image.env, b"A=1\0");
    assert!(table.get(5).unwrap().cgroups.starts_with(b"cpuset=/slice\0"));
    // One that moved is looked up anew.
    std::fs::write(dir.path().join("5/cgroup"), "0::/other\n").unwrap();
    table.ensure(&Header {
        cgroup: 99,
        ..header(Event::Openat, 5, 20)
    });
    assert!(table.get(5).unwrap().cgroups.starts_with(b"cpuset=/other\0"));
}

#[test]
fn intervals_are_the_configurations() {
    let config = Config {
        purge_interval: Duration::from_secs(7),
        purge_timeout: Duration::MAX,
        ..Config::default()
    };
    let table = ProcessTable::new(&config, Procfs::at("/nonexistent"));
    assert_eq!(
        (table.purge_interval, table.purge_timeout),
        (7_000_000_000, u64::MAX)
    );
}

#[test]
fn a_process_is_what_the_last_call_made_of_it() {
    let mut table = table(10);
    exec(&mut table, 5, 1, b"cat\0x\0", 10);
    table.rename(5, b"dog\0\0\0");
    let image = &table.get(5).unwrap().image;
    assert_eq!((&*image.comm, &*image.cmdline), (&b"dog"[..], &b"dog x"[..]));
    let state = TaskState {
        pid: 5,
        sid: 6,
        pgid: 7,
        vpgid: 8,
        tty: 0,
        uid: 9,
        gid: 10,
        cap_inheritable: 1,
        cap_permitted: 6,
        cap_effective: 2,
    };
    let from = |tid: u32| Header {
        tid,
        ..header(Event::Setsid, 5, 20)
    };
    table.follow(&from(55), &state);
    let process = table.get(5).unwrap();
    assert_eq!(
        (process.sid, process.pgid, process.vpgid, process.tty),
        (6, 7, 8, 0)
    );
    assert_eq!(
        (process.uid, process.cap_permitted),
        (7, 0),
        "another thread's are its own"
    );
    table.follow(&from(5), &state);
    let process = table.get(5).unwrap();
    assert_eq!((process.uid, process.gid), (9, 10));
    let sets = (
        process.cap_inheritable,
        process.cap_permitted,
        process.cap_effective,
    );
    assert_eq!(sets, (1, 6, 2));
}

/// Where a process in a /proc made by hand is, and what it runs.
fn at(proc: &Path, pid: u32, cwd: &str, exe: &Path) {
    let dir = proc.join(pid.to_string());
    for (name, to) in [("cwd", Path::new(cwd)), ("exe", exe)] {
        let _ = std::fs::remove_file(dir.join(name));
        std::os::unix::fs::symlink(to, dir.join(name)).unwrap();
    }
}

#[test]
fn after_a_loss_every_process_is_looked_at_again_once() {
    let proc = tempfile::tempdir().unwrap();
    let exe = proc.path().join("program");
    std::fs::write(&exe, "").unwrap();
    let mut table = table_at(20, proc.path());
    let known = |table: &ProcessTable, pid: u32| {
        let process = table.get(pid).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&process.image.comm), text(&process.cwd))
    };
    let is = |comm: &str, cwd: &str| (comm.to_owned(), cwd.to_owned());
    for (pid, parent) in [(1, 0), (3, 1), (4, 3), (5, 1)] {
        running(proc.path(), pid, "old", parent);
        at(proc.path(), pid, "/old", &exe);
        event(&mut table, pid, 9, 10);
    }
    assert_eq!(known(&table, 4), is("old", "/old"));
    // Their calls were lost, and nobody has noticed yet.
    for (pid, parent) in [(1, 0), (3, 1), (4, 3), (5, 1)] {
        running(proc.path(), pid, "new", parent);
        at(proc.path(), pid, "/new", &exe);
    }
    event(&mut table, 4, 9, 20);
    assert_eq!(
        known(&table, 4),
        is("old", "/old"),
        "without a loss nothing is asked"
    );
    table.doubt(30);
    event(&mut table, 4, 9, 31);
    assert_eq!(known(&table, 4), is("new", "/new"));
    assert_eq!(known(&table, 3), is("new", "/new"), "and those it comes from");
    assert_eq!(known(&table, 5), is("old", "/old"), "of this one nobody heard");
    assert_eq!(table.counts.doubted, 3);
    at(proc.path(), 4, "/newer", &exe);
    event(&mut table, 4, 9, 32);
    assert_eq!(known(&table, 4), is("new", "/new"), "once");

    // A child is as doubtful as its parent was when it began, and as any record from before the loss was noticed.
    running(proc.path(), 6, "child", 5);
    at(proc.path(), 6, "/child", &exe);
    fork(&mut table, 5, 6, 33);
    assert_eq!(known(&table, 5), is("new", "/new"));
    event(&mut table, 6, 6, 34);
    assert_eq!(known(&table, 6), is("child", "/child"));
    table.doubt(40);
    event(&mut table, 5, 9, 41);
    fork(&mut table, 5, 7, 39);
    running(proc.path(), 7, "late", 5);
    at(proc.path(), 7, "/late", &exe);
    event(&mut table, 7, 7, 42);
    assert_eq!(known(&table, 7), is("late", "/late"));
    assert_eq!(table.counts.stale + table.counts.unknown, 0);
}

#[test]
fn an_exec_says_all_that_a_loss_makes_doubtful_unless_it_was_before_the_loss() {
    let proc = tempfile::tempdir().unwrap();
    let exe = proc.path().join("program");
    std::fs::write(&exe, "").unwrap();
    let mut table = table_at(20, proc.path());
    running(proc.path(), 1, "init", 0);
    running(proc.path(), 4, "cat", 1);
    at(proc.path(), 4, "/elsewhere", &exe);
    event(&mut table, 1, 9, 1);
    let cwd = |table: &ProcessTable| String::from_utf8_lossy(&table.get(4).unwrap().cwd).into_owned();
    table.doubt(30);
    exec(&mut table, 4, 1, b"cat\0", 31);
    event(&mut table, 4, 0, 32);
    assert_eq!(cwd(&table), "/srv/data");
    table.doubt(40);
    exec(&mut table, 4, 1, b"cat\0", 39);
    assert_eq!(cwd(&table), "/srv/data");
    event(&mut table, 4, 0, 41);
    assert_eq!(cwd(&table), "/elsewhere");
    // What it runs is not what /proc says it does: its name comes with the record of that exec.
    assert_eq!(*table.get(4).unwrap().image.comm, *b"cat");
}

#[test]
fn a_directory_is_called_as_the_process_calls_it() {
    let proc = tempfile::tempdir().unwrap();
    let procfs = Procfs::at(proc.path());
    running(proc.path(), 4, "a", 0);
    let link = |name: &str, to: &str| {
        let path = proc.path().join("4").join(name);
        let _ = std::fs::remove_file(&path);
        std::os::unix::fs::symlink(to, path).unwrap();
    };
    let mut procfs = procfs;
    for (root, cwd, called) in [
        ("/", "/", ""),
        ("/", "/srv", "/srv"),
        ("/jail", "/jail", ""),
        ("/jail", "/jail/tmp", "/tmp"),
        ("/jail", "/jailer", "/jailer"),
    ] {
        link("root", root);
        link("cwd", cwd);
        let process = procfs.process(4).unwrap();
        assert_eq!(*process.cwd, *called.as_bytes(), "{cwd} below {root}");
    }
}

/// An exec of which a source without BPF could not learn anything.
fn exec_untold(table: &mut ProcessTable, pid: u32, time: u64) {
    let bytes = WireBuilder::new().build_for(Event::TaskExec);
    let wire = Wire::read(&bytes, Event::TaskExec.row().params.len()).unwrap();
    table.exec(&header(Event::TaskExec, pid, time), &wire);
}

#[test]
fn what_is_not_told_of_a_child_is_its_parents() {
    let mut table = table(10);
    exec(&mut table, 5, 1, b"shell\0-i\0", 10);
    table.get_mut(5).unwrap().vpid = 5;
    let bytes = WireBuilder::new()
        .number(6)
        .missing()
        .number(5)
        .number(20)
        .build_for(Event::TaskFork);
    let wire = Wire::read(&bytes, Event::TaskFork.row().params.len()).unwrap();
    table.fork(&header(Event::TaskFork, 5, 20), &wire);
    let (parent, child) = (table.get(5).unwrap().clone(), table.get(6).unwrap().clone());
    assert_eq!((child.pid, child.vpid, child.ppid), (6, 6, 5));
    assert_eq!(
        (child.sid, child.pgid, child.vpgid, child.tty),
        (parent.sid, parent.pgid, parent.vpgid, parent.tty)
    );
    assert_eq!((child.image, child.start_time), (parent.image, 1020));
    // It runs something and is gone: who it is stays known, what it runs is not.
    exec_untold(&mut table, 6, 30);
    let gone = table.get(6).unwrap();
    assert_eq!((gone.ppid, gone.sid, gone.vpid), (5, parent.sid, 6));
    assert_eq!((gone.number, &gone.cwd), (child.number, &parent.cwd));
    assert!(gone.image.comm.is_empty() && gone.image.exepath.is_empty() && gone.image.cmdline.is_empty());
}

#[test]
fn what_was_lost_of_processes_is_read_from_proc() {
    let proc = tempfile::tempdir().unwrap();
    let mut table = table_at(10, proc.path());
    running(proc.path(), 1, "init", 0);
    running(proc.path(), 5, "shell", 1);
    running(proc.path(), 6, "same", 1);
    table.fill();
    let (shell, same) = (table.get(5).unwrap().number, table.get(6).unwrap().number);
    exec(&mut table, 7, 1, b"ended\0", 10);
    // One runs another program, one is new, one is gone.
    running(proc.path(), 5, "editor", 1);
    running(proc.path(), 8, "new", 5);
    table.resync(50);
    assert_eq!(&*table.get(5).unwrap().image.comm, b"editor");
    assert_eq!(&*table.get(8).unwrap().image.comm, b"new");
    assert_eq!(table.get(5).unwrap().number, shell, "it is the same process");
    assert_eq!(table.get(6).unwrap().number, same);
    assert!(table.get(7).is_some(), "it may still be heard of");
    assert_eq!((table.counts.purged, table.counts.repaired), (1, 1));
    assert_eq!(table.counts.doubted, 2, "the first process and the same one");
    assert!(table.has_missed_since(50) && !table.has_missed_since(51));
    table.exit(&header(Event::Procexit, 6, 60 + LINGER + SWEEP));
    assert!(table.get(7).is_none());
}

/// An exec as raw tracepoints tell of it: what is on the stack of the program, and nothing else.
fn exec_without_types(
    table: &mut ProcessTable,
    pid: u32,
    ppid: Option<i64>,
    (argv, filename): (&[u8], &str),
    time: u64,
) {
    let mut builder = match ppid {
        Some(ppid) => WireBuilder::new().number(ppid),
        None => WireBuilder::new().missing(),
    };
    for _ in 1..param!(TaskExec, "comm") {
        builder = builder.missing();
    }
    let comm = argv.split(|b| *b == 0).next().unwrap();
    let bytes = builder
        .text(std::str::from_utf8(comm).unwrap())
        .bytes(argv)
        .missing()
        .missing()
        .missing()
        .text(filename)
        .build();
    let wire = Wire::read(&bytes, Event::TaskExec.row().params.len()).unwrap();
    table.exec_by_proc(&header(Event::TaskExec, pid, time), &wire);
}

#[test]
fn without_types_a_program_that_runs_is_as_proc_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    running(folder.path(), 6, "cat", 5);
    std::os::unix::fs::symlink("/usr/bin/cat", folder.path().join("6/exe")).unwrap();
    let mut table = table_at(10, folder.path());
    exec(&mut table, 5, 1, b"shell\0", 10);
    exec_without_types(&mut table, 6, Some(5), (b"cat\0", "cat"), 20);
    let process = table.get(6).unwrap();
    assert_eq!(&*process.image.exepath, b"/usr/bin/cat");
    assert_eq!(&*process.image.cmdline, b"cat");
    assert_eq!(line(&table, 6), "cat shell");
}

#[test]
fn without_types_a_program_that_is_gone_or_another_by_now_is_as_it_was_started() {
    let folder = tempfile::tempdir().unwrap();
    // It has gone on as another program.
    running(folder.path(), 7, "later", 5);
    let mut table = table_at(10, folder.path());
    exec(&mut table, 5, 1, b"shell\0", 10);
    fork(&mut table, 5, 6, 20);
    exec_without_types(&mut table, 6, Some(5), (b"id\0-u\0", "bin/id"), 20);
    let process = table.get(6).unwrap();
    // From its parent: what an exec does not change.
    assert_eq!((process.tty, &*process.cwd), (34816, &b"/srv/data"[..]));
    assert_eq!(&*process.image.cmdline, b"id -u");
    assert_eq!(&*process.image.exepath, b"/srv/data/bin/id", "as it was passed");
    assert_eq!(line(&table, 6), "id shell");
    exec_without_types(&mut table, 7, Some(5), (b"sh\0-c\0later\0", "/bin/sh"), 30);
    let process = table.get(7).unwrap();
    assert_eq!(&*process.image.cmdline, b"sh -c later");
    assert_eq!(&*process.image.exepath, b"/bin/sh");
    // Nothing at all was known of it.
    exec_without_types(&mut table, 8, None, (b"x\0", "x"), 40);
    let process = table.get(8).unwrap();
    assert_eq!((process.pid, process.uid, process.start_time), (8, 7, 1040));
    assert_eq!(
        &*process.image.exepath, b"",
        "where that starts from is not known"
    );
    assert_eq!(process.directory(), None);
}

#[test]
fn without_types_a_program_that_ended_was_started_from_the_directory_it_had() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table_at(10, folder.path());
    exec(&mut table, 5, 1, b"shell\0", 10);
    // Ended ones are shown without their directory, and their arguments are gone.
    for pid in [6, 7] {
        running(folder.path(), pid, "quick", 5);
        std::fs::write(folder.path().join(format!("{pid}/cmdline")), "").unwrap();
    }
    fork(&mut table, 5, 6, 20);
    exec_without_types(&mut table, 6, Some(5), (b"./quick\0", "./quick"), 20);
    let process = table.get(6).unwrap();
    assert_eq!(&*process.image.exepath, b"/srv/data/quick");
    assert_eq!(
        process.image.exec_flags, EXE_UNKNOWN_LAYER,
        "nobody looked at the file"
    );
    assert_eq!(process.directory(), Some(&b"/srv/data"[..]));
    // Its fork was not seen.
    exec_without_types(&mut table, 7, Some(5), (b"./quick\0", "./quick"), 30);
    let process = table.get(7).unwrap();
    assert_eq!(&*process.image.exepath, b"");
    assert_eq!(process.directory(), None);
    let mut path = Vec::new();
    assert!(!table.push_start(7, Start::Cwd, &mut path) && path.is_empty());
}

#[test]
fn without_types_links_of_proc_are_followed_by_who_passed_them() {
    let mut table = table(10);
    exec(&mut table, 5, 1, b"shell\0", 10);
    fork(&mut table, 5, 6, 20);
    let parent = table.get(5).unwrap().image.exepath.clone();
    assert!(!parent.is_empty());
    exec_without_types(&mut table, 6, Some(5), (b"cat\0", "/proc/self/exe"), 20);
    assert_eq!(table.get(6).unwrap().image.exepath, parent);
    exec_without_types(&mut table, 6, Some(5), (b"cat\0", "/proc/self/fd/3"), 30);
    assert_eq!(&*table.get(6).unwrap().image.exepath, b"");
    exec_without_types(&mut table, 6, Some(5), (b"cat\0", "/dev/fd/3"), 40);
    assert_eq!(&*table.get(6).unwrap().image.exepath, b"");
    exec_without_types(&mut table, 8, None, (b"cat\0", "/proc/self/exe"), 40);
    assert_eq!(&*table.get(8).unwrap().image.exepath, b"");
}

#[test]
fn without_types_a_child_is_its_parents_until_it_is_something_else() {
    let mut table = table(10);
    exec(&mut table, 5, 1, b"shell\0", 10);
    table.get_mut(5).unwrap().vpid = 5;
    let bytes = WireBuilder::new().number(6).missing().missing().number(20);
    let bytes = bytes.build_for(Event::TaskFork);
    let wire = Wire::read(&bytes, Event::TaskFork.row().params.len()).unwrap();
    table.fork(&header(Event::TaskFork, 5, 20), &wire);
    let child = table.get(6).unwrap();
    assert_eq!((child.ppid, child.vpid, child.start_time), (5, 6, 1020));
    assert_eq!((child.sid, child.pgid, child.tty), (1, 1, 34816));
    assert_eq!(line(&table, 6), "shell shell");
}

#[test]
fn where_nobody_tells_of_execs_a_process_is_compared_with_proc_at_each_event() {
    let proc = tempfile::tempdir().unwrap();
    let mut table = table_at(10, proc.path());
    table.unheard = true;
    running(proc.path(), 1, "init", 0);
    running(proc.path(), 5, "shell", 1);
    table.fill();
    event(&mut table, 5, 0, 10);
    assert_eq!(&*table.get(5).unwrap().image.comm, b"shell");
    let number = table.get(5).unwrap().number;
    running(proc.path(), 5, "editor", 1);
    event(&mut table, 5, 0, 20);
    assert_eq!(&*table.get(5).unwrap().image.comm, b"editor");
    assert_eq!(table.get(5).unwrap().number, number);
    // One that is gone may have run something else before.
    std::fs::remove_dir_all(proc.path().join("5")).unwrap();
    event(&mut table, 5, 0, 30);
    assert!(table.get(5).is_none());
    assert_eq!(table.counts.unknown, 1);
}
