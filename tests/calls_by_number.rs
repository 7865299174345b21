//! Rules about system calls without a row of their own, and about reads and writes: the real program, real calls.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use libc::c_long;
use support::lanner::{self, Lanner, field};
use support::skip;

const RULES: &str = "
- rule: Number
  desc: A call by number
  condition: evt.type in (mbind, get_mempolicy) and evt.arg.arg1 = 4096 and evt.failed = true
  output: \"%evt.type %syscall.type %evt.args %evt.arg.nativeID %evt.arg.arg1 %evt.res %proc.pid\"
  priority: NOTICE
- rule: Lists
  desc: Calls that succeed
  condition: evt.type in (rt_sigpending, getpgrp) and evt.rawres >= 0 and evt.arg.arg1 = 8
  output: \"%evt.type %evt.rawres %evt.arg.arg1 %proc.pid\"
  priority: NOTICE
- rule: Chown
  desc: A file operation
  condition: evt.type = chown and evt.res = ENOENT and proc.name contains calls
  output: \"%evt.type %evt.res %proc.pid\"
  priority: NOTICE
- rule: Read
  desc: One of the many
  condition: evt.type = read and evt.rawres = 4321
  output: \"%evt.type %evt.rawres %proc.pid\"
  priority: NOTICE
- rule: Open
  desc: It leaves the type open, and sees no write for it
  condition: evt.rawres = 54321 and proc.name contains calls
  output: \"%evt.type %evt.rawres %proc.pid\"
  priority: NOTICE
";

fn start(more: &[&str]) -> (tempfile::TempDir, Lanner) {
    let (folder, rules) = lanner::rules(RULES);
    let mut arguments = lanner::options(None);
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    arguments.extend(more.iter().map(|text| (*text).to_owned()));
    (folder, Lanner::start(&arguments))
}

/// `evt.args` begins so: Falco's two parameters and no other.
fn args(name: &str, number: c_long) -> String {
    format!("ID={name} nativeID={number} ")
}

/// A write of so many bytes that a rule knows it, to a file that is gone afterwards.
fn write_known() {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &vec![0; 54321]).unwrap();
}

fn by(rule: &str) -> impl Fn(&serde_json::Value) -> bool {
    let pid = std::process::id().to_string();
    move |alert| alert["rule"] == rule && field(alert, "proc.pid") == pid
}

#[test]
fn calls_by_number_and_reads_make_alerts_with_their_arguments() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let (_folder, lanner) = start(&[]);
    // SAFETY: every pointer is null, no address, or a live buffer of the length that is given.
    unsafe {
        // No address of a page.
        assert_eq!(
            libc::syscall(libc::SYS_mbind, 1 as c_long, 4096 as c_long, 0, 0, 0, 0),
            -1
        );
        let mut signals = 0u64;
        assert_eq!(
            libc::syscall(libc::SYS_rt_sigpending, &raw mut signals, 8 as c_long),
            0
        );
        assert_eq!(libc::chown(c"/no/such/file".as_ptr(), 0, 0), -1);
    }
    write_known();
    let read = std::fs::File::open("/dev/zero").unwrap();
    std::io::Read::read_exact(&mut &read, &mut [0; 4321]).unwrap();
    let bound = lanner.wait_for_alert("mbind", by("Number"));
    assert_eq!(field(&bound, "evt.type"), "mbind", "{bound}");
    assert_eq!(field(&bound, "syscall.type"), "mbind", "{bound}");
    assert_eq!(
        field(&bound, "evt.args"),
        args("mbind", libc::SYS_mbind),
        "{bound}"
    );
    assert_eq!(field(&bound, "evt.arg.arg1"), "4096", "{bound}");
    assert!(
        matches!(&*field(&bound, "evt.res"), "EINVAL" | "ENOSYS"),
        "{bound}"
    );
    let list = lanner.wait_for_alert("rt_sigpending", by("Lists"));
    assert_eq!(field(&list, "evt.type"), "rt_sigpending", "{list}");
    assert_eq!(field(&list, "evt.rawres"), "0", "{list}");
    lanner.wait_for_alert("chown", by("Chown"));
    let read = lanner.wait_for_alert("read", by("Read"));
    assert_eq!(field(&read, "evt.type"), "read", "{read}");
    let log = lanner.log();
    assert!(log.contains("base_syscalls.all"), "{log}");
    // Everything before it has come by the time the alert of the read has; the write was not captured.
    let open = by("Open");
    assert!(!lanner.alerts().iter().any(open), "{:?}", lanner.alerts());
    assert_eq!(lanner.stop().status.code(), Some(0));
}

#[test]
fn with_base_syscalls_all_a_rule_that_leaves_the_type_open_sees_writes() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let (_folder, lanner) = start(&["-o", "base_syscalls.all=true"]);
    write_known();
    let alert = lanner.wait_for_alert("write", by("Open"));
    assert_eq!(field(&alert, "evt.type"), "write", "{alert}");
    assert!(!lanner.log().contains("base_syscalls.all"), "{}", lanner.log());
    assert_eq!(lanner.stop().status.code(), Some(0));
}
