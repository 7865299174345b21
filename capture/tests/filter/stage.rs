//! A capture, a shell that acts while it runs, and what was seen of it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::panic::resume_unwind;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use lanner_capture::{Capture, Host, Stats};
use lanner_schema::call_class::{CallClass, ClassSet};
use lanner_schema::event::{Event, Needs};
use lanner_schema::view::ParamValue;

/// No protocol there is, by which calls of these tests are told from others'.
pub(crate) const PROTOCOL: u64 = 60_123;

/// The permissions of files of these tests, by which their calls are told from others'.
pub(crate) const PERMISSIONS: u64 = 0o517;
/// Several captures at once would count each other's programs.
pub(crate) static ALONE: Mutex<()> = Mutex::new(());

/// However slow the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// A shell that does what it is told: calls of this process are not captured.
pub(crate) struct Shell {
    pub(crate) child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Shell {
    fn new(folder: &Path) -> Shell {
        let mut child = Command::new("sh")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Shell {
            to: child.stdin.take().unwrap(),
            from: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// Returns when it is done.
    fn run(&mut self, script: &str) {
        writeln!(self.to, "{script}\necho done").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        assert_eq!(line, "done\n");
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder, a shell in it, and what capture shows of what that does: the names of files it opens, and of folders it enters,
/// which pass whatever the rules are.
pub(crate) struct Stage<'s> {
    pub(crate) shell: Shell,
    seen: &'s Receiver<String>,
    marks: u32,
}

impl Stage<'_> {
    /// The files that were seen to be opened by what the script does, in order.
    pub(crate) fn seen_of(&mut self, script: &str) -> Vec<String> {
        self.marks += 1;
        let mark = format!("mark{}", self.marks);
        self.shell
            .run(&format!("{script}\nmkdir {mark}; cd {mark}; cd .."));
        let mut seen = Vec::new();
        loop {
            match self.seen.recv_timeout(PATIENCE) {
                Ok(name) if name == mark => return seen,
                Ok(name) if name.starts_with("mark") => {}
                Ok(name) => seen.push(name),
                Err(RecvTimeoutError::Timeout) => panic!("{mark} was not seen; so far {seen:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("capture ended"),
            }
        }
    }
}

/// What rules that can match these classes of opens need.
pub(crate) fn needs_of(wanted: impl Fn(CallClass) -> bool) -> Needs {
    let mut needs = Needs {
        events: [Event::Open, Event::Openat, Event::Openat2, Event::Chdir]
            .into_iter()
            .collect(),
        ..Needs::default()
    };
    let classes: ClassSet = CallClass::all().filter(|class| wanted(*class)).collect();
    for event in [Event::Open, Event::Openat, Event::Openat2] {
        needs.classes[event as usize] = classes;
    }
    needs
}

/// How often something is tried of which records are lost.
pub(crate) const ROUNDS: u32 = 5;

/// Starts a capture and runs it while a thread acts on the stage; gives what was counted. When that fails, and the programs counted
/// that they lost records meanwhile, it is done again, from its beginning: a busy machine loses some. What is missing and was not
/// counted is a failure.
pub(crate) fn with_capture(
    start: impl Fn() -> Capture,
    folder: &Path,
    mut act: impl FnMut(&mut Stage<'_>) + Send,
) -> Stats {
    let mut round = 1;
    loop {
        let mut capture = start();
        let outcome = once(&mut capture, folder, &mut act);
        let stats = capture.stats();
        assert_eq!(stats.gaps, stats.lost(), "what is filtered is not lost: {stats}");
        let Err(failure) = outcome else { return stats };
        let missed = missed(&stats);
        if missed == 0 || round == ROUNDS {
            resume_unwind(failure);
        }
        eprintln!("round {round}: {missed} records were lost and counted, so it is done again");
        round += 1;
    }
}

/// Records that were lost, and those that were not begun because the kernel refused to run their program.
pub(crate) fn missed(stats: &Stats) -> u64 {
    let refused: u64 = stats.recursion_misses.iter().map(|(_, count)| count).sum();
    stats.lost() + refused
}

/// One round; the error is what the acting thread panicked with.
fn once(
    capture: &mut Capture,
    folder: &Path,
    act: &mut (impl FnMut(&mut Stage<'_>) + Send),
) -> thread::Result<()> {
    let stop = AtomicBool::new(false);
    let (tell, seen) = channel();
    let folder = folder.canonicalize().unwrap();
    thread::scope(|scope| {
        let (stop, inside) = (&stop, &folder);
        let acting = scope.spawn(move || {
            // Also when it panics: capture has to end for that to be seen.
            struct Stop<'a>(&'a AtomicBool);
            impl Drop for Stop<'_> {
                fn drop(&mut self) {
                    self.0.store(true, Ordering::Relaxed);
                }
            }
            let _stop = Stop(stop);
            let mut stage = Stage {
                shell: Shell::new(inside),
                seen: &seen,
                marks: 0,
            };
            act(&mut stage);
        });
        let prefix = [folder.as_os_str().as_encoded_bytes(), b"/"].concat();
        capture
            .run(stop, &mut |view| {
                if view.event == Event::Socket
                    && let (Some(ParamValue::U64(domain)), Some(ParamValue::U64(PROTOCOL))) =
                        (view.param_named("domain"), view.param_named("proto"))
                {
                    let _ = tell.send(format!("family {domain}"));
                    return;
                }
                if view.event.row().mode().is_some() {
                    if let Some(ParamValue::U64(mode)) = view.param_named("mode")
                        && mode & 0o777 == PERMISSIONS
                    {
                        let _ = tell.send(format!("{} {:o}", view.event.row().name, mode & 0o7777));
                    }
                    return;
                }
                let name = match view.event {
                    Event::Chdir => view.param_named("path"),
                    Event::Renameat2 => view.param_named("oldpath"),
                    _ => view.param_named("name"),
                };
                let name = match name {
                    Some(ParamValue::Path { raw, resolved }) => resolved.unwrap_or(raw),
                    Some(ParamValue::Bytes(name)) => name,
                    _ => return,
                };
                if let Some(name) = name.strip_prefix(&*prefix) {
                    let _ = tell.send(String::from_utf8_lossy(name).into_owned());
                }
            })
            .unwrap();
        acting.join()
    })
}

pub(crate) fn host() -> Option<Host> {
    let host = Host::probe();
    if host.missing_capabilities.is_empty() {
        return Some(host);
    }
    eprintln!("skipped: capture needs {}", host.missing_capabilities.join(", "));
    None
}
