//! Falco's stock rules as they are (FALCO_RULES), and a file that is opened without an open: through io_uring.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::path::PathBuf;

use io_uring::{IoUring, opcode, types};
use support::lanner::{self, Lanner, field};
use support::skip;

/// Opens /etc/shadow to read it; its descriptor.
fn open_shadow(ring: &mut IoUring) -> i32 {
    let path = c"/etc/shadow";
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr()).flags(libc::O_RDONLY);
    // SAFETY: the path lives as long as the program does.
    unsafe { ring.submission().push(&open.build()).unwrap() };
    ring.submit_and_wait(1).unwrap();
    ring.completion().next().unwrap().result()
}

#[test]
fn the_shadow_file_is_read_through_io_uring() {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/falco/falco_rules.yaml");
    let rules = std::env::var_os("FALCO_RULES").map_or_else(default, PathBuf::from);
    if !rules.exists() {
        return skip(&format!("{} is not there; set FALCO_RULES", rules.display()));
    }
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    if lanner_capture::Host::probe().io_uring.is_none() {
        return skip("this kernel does not tell what is asked of io_uring");
    }
    let mut ring = match IoUring::new(4) {
        Ok(ring) => ring,
        Err(error) => return skip(&format!("io_uring is refused here: {error}")),
    };
    let mut arguments = lanner::options(None);
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    // As Falco's own configuration has it, and what only Lanner tells.
    arguments.extend([
        "-o".to_owned(),
        "append_output[].extra_fields[]=lanner.io_uring.result".to_owned(),
    ]);
    let lanner = Lanner::start(&arguments);
    let descriptor = open_shadow(&mut ring);
    assert!(descriptor >= 0, "{descriptor}");
    let this = std::fs::read_to_string("/proc/self/comm").unwrap();
    let alert = lanner.wait_for_alert("the open", |alert| {
        alert["rule"] == "Read sensitive file untrusted" && field(alert, "proc.name") == this.trim()
    });
    assert_eq!(field(&alert, "fd.name"), "/etc/shadow");
    assert_eq!(field(&alert, "evt.type"), "openat");
    assert_eq!(field(&alert, "lanner.io_uring.result"), "completed");
    assert_eq!(lanner.stop().status.code(), Some(0));
}
