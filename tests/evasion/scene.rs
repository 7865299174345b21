//! Lanner, watching with the rules of one test, and the processes that try to get around it.

use std::ffi::{CStr, CString};
use std::io::Read as _;
use std::ops::Deref;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::support::lanner::{self, Lanner, field};
use crate::support::skip;

/// One test's Lanner, folder and name of its actors.
pub(crate) struct Scene {
    pub(crate) lanner: Watching,
    pub(crate) name: CString,
    folder: tempfile::TempDir,
}

/// A Lanner with rules in a file of its own.
pub(crate) struct Watched {
    lanner: Lanner,
    rules: PathBuf,
    _folder: tempfile::TempDir,
}

impl Watched {
    fn start(rules: &str) -> Self {
        let (folder, rules) = lanner::rules(rules);
        let mut arguments = lanner::options(None);
        for option in ["rule_matching=all", "watch_config_files=false"] {
            arguments.extend(["-o".to_owned(), option.to_owned()]);
        }
        arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
        arguments.extend(lanner::ROOM.map(str::to_owned));
        Self {
            lanner: Lanner::start(&arguments),
            rules,
            _folder: folder,
        }
    }
}

/// The Lanner of one test, or of all of them by turns, which is given each test's rules: in a guest a start takes longer than
/// what is tested.
pub(crate) enum Watching {
    Own(Watched),
    Shared(MutexGuard<'static, Option<Watched>>),
}

static SHARED: Mutex<Option<Watched>> = Mutex::new(None);

impl Watching {
    fn start(rules: &str) -> Self {
        if std::env::var_os("LANNER_TEST_SHARED").is_none() {
            return Self::Own(Watched::start(rules));
        }
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if shared
            .as_mut()
            .is_some_and(|watched| !watched.lanner.is_running())
        {
            *shared = None;
        }
        match &*shared {
            Some(watched) => {
                std::fs::write(&watched.rules, rules).unwrap();
                watched.lanner.reload();
            }
            None => *shared = Some(Watched::start(rules)),
        }
        Self::Shared(shared)
    }
}

impl Deref for Watching {
    type Target = Lanner;

    fn deref(&self) -> &Lanner {
        match self {
            Self::Own(watched) => &watched.lanner,
            Self::Shared(shared) => &shared.as_ref().unwrap().lanner,
        }
    }
}

impl Scene {
    /// Starts Lanner with these rules, each a name, a condition and an output. `NAME` in them is how the processes of this
    /// test are called, `FOLDER` its folder. `None` where Lanner can't run; the reason was said.
    pub(crate) fn start(name: &str, rules: &[(&str, &str, &str)]) -> Option<Self> {
        if let Some(reason) = lanner::impossible() {
            skip(&reason);
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let mut text = String::new();
        for (rule, condition, output) in rules {
            let condition = condition.replace("NAME", name).replace("FOLDER", path);
            text.push_str(&format!(
                "- rule: {rule}\n  desc: For this test\n  condition: {condition:?}\n  output: \"*{output}\"\n  \
                 priority: NOTICE\n"
            ));
        }
        Some(Self {
            lanner: Watching::start(&text),
            name: CString::new(name).unwrap(),
            folder,
        })
    }

    /// A path in the test's folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A file there with this text.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs `act` in a process of its own that is called as the test's processes are, and gives what it returned.
    pub(crate) fn act(&self, act: impl FnOnce() -> Vec<i64>) -> Vec<i64> {
        let mut ends = [0; 2];
        // SAFETY: an array of two.
        assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
        // SAFETY: the child goes on alone and ends without returning.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                call_oneself(&self.name);
                act()
            }));
            let text = serde_json::to_vec(&result.map_err(|error| match error.downcast_ref::<String>() {
                Some(text) => text.clone(),
                None => (*error.downcast_ref::<&str>().unwrap_or(&"?")).to_owned(),
            }));
            let text = text.unwrap_or_default();
            // SAFETY: a live buffer; the process ends here.
            unsafe {
                libc::write(ends[1], text.as_ptr().cast(), text.len());
                libc::_exit(0);
            }
        }
        assert!(pid > 0);
        // SAFETY: both are open and nobody else's.
        let (read, write) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
        drop(write);
        let mut text = String::new();
        std::fs::File::from(read).read_to_string(&mut text).unwrap();
        let mut status = 0;
        // SAFETY: a live number.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        let result: Result<Vec<i64>, String> = serde_json::from_str(&text)
            .unwrap_or_else(|_| Err(format!("it ended early, with status {status}")));
        result.unwrap_or_else(|reason| panic!("the actor: {reason}"))
    }

    /// Waits for an alert of this rule.
    pub(crate) fn alert(&self, rule: &str) -> Value {
        self.lanner.wait_for_alert(rule, |alert| alert["rule"] == rule)
    }

    /// Waits for an alert of this rule, and gives its output.
    pub(crate) fn output(&self, rule: &str) -> String {
        output(&self.alert(rule))
    }

    /// Waits for alerts of this rule until one has this output.
    pub(crate) fn says(&self, rule: &str, wanted: &str) {
        self.lanner.wait_for_alert(&format!("{rule}: {wanted}"), |alert| {
            alert["rule"] == rule && output(alert) == wanted
        });
    }

    /// Stops Lanner, if it is this test's own: nothing else was wrong.
    pub(crate) fn end(self) {
        match self.lanner {
            Watching::Own(watched) => {
                let ended = watched.lanner.stop();
                assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
            }
            Watching::Shared(mut shared) => {
                let lanner = &mut shared.as_mut().unwrap().lanner;
                assert!(lanner.is_running(), "{}", lanner.log());
            }
        }
    }
}

/// What an alert says, without its time and priority.
pub(crate) fn output(alert: &Value) -> String {
    let output = alert["output"].as_str().unwrap();
    output.split_once(" Notice ").unwrap().1.to_owned()
}

/// A field of an alert.
pub(crate) fn of(alert: &Value, name: &str) -> String {
    field(alert, name)
}

/// Names the calling process.
pub(crate) fn call_oneself(name: &CStr) {
    // SAFETY: a live string.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) }, 0);
}

/// Text as an argument.
pub(crate) fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

/// Makes a call; an error is negative.
pub(crate) fn call(number: i64, arguments: &[i64]) -> i64 {
    let at = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: numbers, or addresses of what lives.
    let result = unsafe { libc::syscall(number, at(0), at(1), at(2), at(3), at(4), at(5)) };
    if result < 0 {
        return -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0));
    }
    result
}

/// As [`call`], which has to succeed.
#[track_caller]
pub(crate) fn made(number: i64, arguments: &[i64]) -> i64 {
    let result = call(number, arguments);
    assert!(result >= 0, "call {number}: {result}");
    result
}

/// The address of something as an argument. It has to live until the call.
pub(crate) fn at<T: ?Sized>(of: &T) -> i64 {
    (std::ptr::from_ref(of).cast::<u8>() as usize).cast_signed() as i64
}

/// The address of text.
pub(crate) fn text(text: &CStr) -> i64 {
    text.as_ptr() as i64
}

/// Opens a path; the call has to succeed.
#[track_caller]
pub(crate) fn open(path: &str, flags: i32) -> i64 {
    let path = c(path);
    made(
        libc::SYS_openat,
        &[libc::AT_FDCWD.into(), text(&path), flags.into(), 0o700],
    )
}

/// A child that does this and ends; its id, once it has ended.
pub(crate) fn child(act: impl FnOnce()) -> i32 {
    let pid = begin(act);
    end_of(pid);
    pid
}

/// A child that does this and ends.
pub(crate) fn begin(act: impl FnOnce()) -> i32 {
    // SAFETY: the callers have one thread; the child ends here.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).is_err();
        // SAFETY: nothing is left to do.
        unsafe { libc::_exit(i32::from(failed)) };
    }
    assert!(pid > 0);
    pid
}

/// Waits for the end of a child, which has to be a good one.
#[track_caller]
pub(crate) fn end_of(pid: i32) {
    let mut status = 0;
    // SAFETY: a live number.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) }, pid);
    assert_eq!(status, 0, "the child failed");
}

/// Runs a program in place of this process; it has to be there.
#[track_caller]
pub(crate) fn exec(path: &str, arguments: &[&str]) -> ! {
    let path = c(path);
    let (_arguments, pointers) = strings(arguments);
    let error = call(
        libc::SYS_execve,
        &[text(&path), pointers.as_ptr() as i64, at(&[0i64])],
    );
    panic!("{path:?}: {error}");
}

/// An array of strings as a program is given, and what holds them.
pub(crate) fn strings(arguments: &[&str]) -> (Vec<CString>, Vec<i64>) {
    let strings: Vec<_> = arguments.iter().map(|argument| c(argument)).collect();
    let mut pointers: Vec<_> = strings.iter().map(|string| text(string)).collect();
    pointers.push(0);
    (strings, pointers)
}

/// A program of this machine under another name, and in another place. A child writes it: an actor of another test that begins
/// meanwhile would have this process's descriptor for writing, and as long as anybody has that the kernel refuses to run the file.
pub(crate) fn copy(program: &str, to: &str) {
    let from = std::fs::canonicalize(PathBuf::from(program)).unwrap();
    child(|| {
        std::fs::copy(from, to).unwrap();
    });
}

/// A program with this text, written as [`copy`] writes one.
pub(crate) fn script(to: &str, text: &str) {
    child(|| {
        std::fs::write(to, text).unwrap();
        std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o700)).unwrap();
    });
}
