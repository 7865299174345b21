//! What the end-to-end tests share: a real containerd, the `lanner` program, waiting with a deadline, saying why a
//! test was skipped.

// Every test program uses its own part of this.
#![allow(dead_code)]
// A fixture that cannot be set up ends its test: these are the tests' own assertions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod bpf_objects;
pub(crate) mod containerd;
mod containerd_process;
pub(crate) mod cri;
pub(crate) mod docker;
pub(crate) mod image;
pub(crate) mod journald;
pub(crate) mod lanner;
pub(crate) mod port;
pub(crate) mod restrict;
pub(crate) mod runtimes;

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Says why the running test is skipped. The line passes by the test runner's capture, so that it is always seen.
pub(crate) fn skip(reason: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where fetched fixtures are kept.
pub(crate) fn machine_dir() -> PathBuf {
    std::env::var_os("LANNER_MACHINE_DIR").map_or_else(|| repository().join("target/machine"), PathBuf::from)
}

/// Runs a script of `tests/machine`. `Err` is the reason why this machine cannot do it; a script that fails in any
/// other way ends the test with what it said.
pub(crate) fn machine(script: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(repository().join("tests/machine").join(script))
        .args(arguments)
        .env("LANNER_MACHINE_DIR", machine_dir())
        .output()
        .unwrap_or_else(|error| panic!("tests/machine/{script} cannot be run: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Some(77) => {
            let last = said.lines().last().unwrap_or("no reason given");
            Err(last.trim_start_matches("skipped: ").to_owned())
        }
        _ => panic!(
            "tests/machine/{script} {arguments:?} failed ({}):\n{said}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stdout)
        ),
    }
}

/// Whether the tests run as root, which everything here needs.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Lets the tests of one program run one after the other: each watches the whole machine, and would only slow the others.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A copy of a program, which can be run at once. Another process writes it: what another test starts meanwhile has this process's
/// descriptors until it runs its own program, and as long as anybody has a program open for writing the kernel refuses to run it.
pub(crate) fn copy_program(from: impl AsRef<OsStr>, to: &Path) {
    let copied = Command::new("cp").arg("-L").arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "{}", to.display());
}

/// A script that can be run at once, written as [`copy_program`] writes a program.
pub(crate) fn script(path: &Path, text: &str) {
    let beside = path.with_extension("text");
    std::fs::write(&beside, text).unwrap();
    copy_program(&beside, path);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Asks `ready` again and again until it answers, and ends the test when `limit` has passed: `what` says what was
/// waited for.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ready() {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "waited {} s for {what}",
            limit.as_secs()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
