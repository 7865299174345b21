//! Rules about system calls without a row of their own, and about reads and writes: the real program, real calls.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use libc::c_long;
use support::lanner::{self, Lanner, field};
use support::skip;

const RULES: &str = "
- rule: Number
  desc: A call by number
  condition: evt.type in (quotactl, mq_open) and evt.arg.arg1 = 4096 and evt.failed = true
  output: \"%evt.type %syscall.type %evt.args %evt.arg.nativeID %evt.arg.arg1 %evt.res %proc.pid\"
  priority: NOTICE
- rule: Lists
  desc: Calls that succeed
  condition: evt.type in (getcwd, getpgid) and evt.rawres >= 0 and evt.arg.arg1 = 4099
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
        let nowhere = 8 as c_long;
        assert_eq!(
            libc::syscall(libc::SYS_quotactl, -1 as c_long, 4096 as c_long, 0, nowhere),
            -1
        );
        assert!(libc::syscall(libc::SYS_getcwd, vec![0u8; 4099].as_mut_ptr(), 4099 as c_long) > 0);
        assert_eq!(libc::chown(c"/no/such/file".as_ptr(), 0, 0), -1);
    }
    write_known();
    let read = std::fs::File::open("/dev/zero").unwrap();
    std::io::Read::read_exact(&mut &read, &mut [0; 4321]).unwrap();
    let quota = lanner.wait_for_alert("quotactl", by("Number"));
    assert_eq!(field(&quota, "evt.type"), "quotactl", "{quota}");
    assert_eq!(field(&quota, "syscall.type"), "quotactl", "{quota}");
    assert_eq!(
        field(&quota, "evt.args"),
        args("quotactl", libc::SYS_quotactl),
        "{quota}"
    );
    assert_eq!(field(&quota, "evt.arg.arg1"), "4096", "{quota}");
    assert!(
        matches!(
            &*field(&quota, "evt.res"),
            "EINVAL" | "EFAULT" | "ENOSYS" | "ENODEV"
        ),
        "{quota}"
    );
    let list = lanner.wait_for_alert("getcwd", by("Lists"));
    assert_eq!(field(&list, "evt.type"), "getcwd", "{list}");
    assert!(field(&list, "evt.rawres").parse::<i64>().unwrap() > 1, "{list}");
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
