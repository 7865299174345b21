//! Calls that no rule can match are not delivered and not counted as lost, and what a rule can match is there.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

use std::ffi::{CString, c_long};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lanner_capture::{Capture, Config, Host, Tier, plan};
use lanner_schema::call_class::{CallClass, ClassSet};
use lanner_schema::cgroup::Hierarchy;
use lanner_schema::container::{Container, ContainerTable, Learnt};
use lanner_schema::event::{Event, Needs, param_index};
use lanner_schema::name_table::NameTable;
use lanner_schema::open_names::{OPENS_OTHERWISE, OPENS_TO_READ, Pattern, Piece, Term};
use lanner_schema::view::ParamValue;

/// Several captures at once would count each other's programs.
static ALONE: Mutex<()> = Mutex::new(());

/// However slow the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// A shell that does what it is told: calls of this process are not captured.
struct Shell {
    child: Child,
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
struct Stage<'s> {
    shell: Shell,
    seen: &'s Receiver<String>,
    marks: u32,
}

impl Stage<'_> {
    /// The files that were seen to be opened by what the script does, in order.
    fn seen_of(&mut self, script: &str) -> Vec<String> {
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
fn needs_of(wanted: impl Fn(CallClass) -> bool) -> Needs {
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

/// Runs capture while a thread acts on the stage.
fn with_capture(capture: &mut Capture, folder: &Path, act: impl FnOnce(&mut Stage<'_>) + Send) {
    let stop = AtomicBool::new(false);
    let (tell, seen) = channel();
    let folder = folder.canonicalize().unwrap();
    std::thread::scope(|scope| {
        let (stop, inside) = (&stop, &folder);
        scope.spawn(move || {
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
    });
    let stats = capture.stats();
    assert_eq!(stats.gaps, stats.lost(), "what is filtered is not lost: {stats}");
}

fn host() -> Option<Host> {
    let host = Host::probe();
    if host.missing_capabilities.is_empty() {
        return Some(host);
    }
    eprintln!("skipped: capture needs {}", host.missing_capabilities.join(", "));
    None
}

#[test]
fn opens_pass_by_their_result_and_by_what_they_are_for() {
    let Some(host) = host() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("there"), "").unwrap();
    fs::write(folder.path().join("log"), "").unwrap();
    // Nothing that a shell does besides: it looks for programs by stat.
    let script = ": < there; (: < not_there); : >> log; : > made; : <> both; (: > none/made)";
    let (config, containers) = (Config::default(), ContainerTable::new());
    let all = ["there", "not_there", "log", "made", "both", "none/made"];
    type Wanted = fn(CallClass) -> bool;
    let cases: [(Wanted, &[&str]); 8] = [
        (|_| true, &all),
        (|class| !class.failed(), &["there", "log", "made", "both"]),
        (|class| class.failed(), &["not_there", "none/made"]),
        (|class| class.flags().1 & 3 == 0, &["there", "not_there"]),
        (|class| class.flags().1 & 3 == 2, &["both"]),
        (|class| class.flags().1 & 0o1000 != 0, &["made", "none/made"]),
        (
            |class| !class.failed() && class.may_create(),
            &["log", "made", "both"],
        ),
        (|_| false, &[]),
    ];
    for (wanted, expected) in cases {
        let needs = needs_of(wanted);
        // One that runs with other rules follows these.
        let before = plan(&host, &needs_of(|class| wanted(class) == class.failed()), &config).unwrap();
        let mut capture = Capture::start(before, &config, &containers).unwrap();
        capture.set_needs(&host, &needs, &config).unwrap();
        with_capture(&mut capture, folder.path(), |stage| {
            let seen = stage.seen_of(script);
            assert_eq!(seen, expected, "{}", needs.classes[Event::Openat as usize]);
        });
        for name in ["made", "both"] {
            fs::remove_file(folder.path().join(name)).unwrap();
        }
        for entry in fs::read_dir(folder.path()).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                fs::remove_dir(entry.path()).unwrap();
            }
        }
    }
}

/// How a child opens a file, and by which flags.
#[derive(Debug, Clone, Copy)]
enum Way {
    Openat,
    Openat2,
    /// The flags are where nothing can be read.
    Nowhere,
}

impl Way {
    fn open(self, path: &CString, flags: u64) -> c_long {
        let (path, how) = (path.as_ptr(), [flags, 0, 0]);
        // SAFETY: the kernel reads a path that ends, and no more than what it is told of the flags.
        unsafe {
            match self {
                Way::Openat => libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags, 0),
                Way::Openat2 => libc::syscall(
                    libc::SYS_openat2,
                    libc::AT_FDCWD,
                    path,
                    how.as_ptr(),
                    size_of_val(&how),
                ),
                Way::Nowhere => libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, path, 8, 24),
            }
        }
    }
}

/// Opens these, each by its way and its flags, in a child.
fn open_in_child(opens: &[(CString, Way, u64)]) {
    // SAFETY: the child makes system calls and nothing else.
    let child = unsafe { libc::fork() };
    if child == 0 {
        for (path, way, flags) in opens {
            way.open(path, *flags);
        }
        // SAFETY: it has no more to do.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: the status is this function's own.
    unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(status, 0);
}

#[test]
fn opens_pass_by_their_flags_wherever_these_are() {
    let Some(host) = host() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let (path, directory) = (libc::O_PATH as u64, libc::O_DIRECTORY as u64);
    let (creates, truncates) = (libc::O_CREAT as u64, libc::O_TRUNC as u64);
    let mut opens = Vec::new();
    for way in [Way::Openat, Way::Openat2, Way::Nowhere] {
        for mode in 0..4 {
            for more in [0, path, path | directory, creates, truncates | 1 << 40] {
                let name = format!("{way:?}-{:o}", mode | more);
                fs::write(folder.join(&name), "").unwrap();
                opens.push((name, way, mode | more));
            }
        }
    }
    let passed = |(name, way, flags): &(String, Way, u64)| {
        (
            CString::new(folder.join(name).to_str().unwrap()).unwrap(),
            *way,
            *flags,
        )
    };
    let calls: Vec<_> = opens.iter().map(passed).collect();
    let of = |flags: u64| CallClass::new(false, false).opening(flags);
    let reads = |class: CallClass| ClassSet::reads().contains(class);
    let is_path = |class: CallClass| class.flags().1 & libc::O_PATH as u64 != 0;
    let inside = format!("{}/*", folder.display());
    let named = |opens: u8| {
        let mut needs = needs_of_names(&[("", &inside)]);
        let terms = std::mem::take(&mut needs.names.terms).into_iter();
        needs.names.terms = terms.map(|term| Term { opens, ..term }).collect();
        needs
    };
    let cases: [(Needs, &dyn Fn(CallClass) -> bool); 6] = [
        (needs_of(is_path), &is_path),
        (needs_of(|class| !is_path(class)), &|class| !is_path(class)),
        (needs_of(|class| class.flags().1 & 3 == 2), &|class| {
            class.flags().1 & 3 == 2
        }),
        (needs_of(CallClass::may_create), &CallClass::may_create),
        (named(OPENS_TO_READ), &reads),
        (named(OPENS_OTHERWISE), &|class| !reads(class)),
    ];
    let (config, containers) = (Config::default(), ContainerTable::new());
    for (case, (needs, wanted)) in cases.iter().enumerate() {
        let passing = opens
            .iter()
            .filter(|(_, way, flags)| matches!(way, Way::Nowhere) || wanted(of(*flags)));
        let expected: Vec<&str> = passing.map(|(name, ..)| name.as_str()).collect();
        let mut capture = Capture::start(plan(&host, needs, &config).unwrap(), &config, &containers).unwrap();
        with_capture(&mut capture, &folder, |stage| {
            open_in_child(&calls);
            assert_eq!(stage.seen_of(":"), expected, "{case}");
        });
    }
}

/// The same, of whose opens only those are wanted that one of these terms holds for: the path as it was passed, and the name, as
/// they are written here.
fn needs_of_names(terms: &[(&str, &str)]) -> Needs {
    let pattern = |text: &str| {
        let piece = |byte| match byte {
            b'*' => Piece::Run,
            b'+' => Piece::Part,
            byte => Piece::Byte(byte),
        };
        (!text.is_empty()).then(|| Pattern::new(text.bytes().map(piece)))
    };
    let mut needs = needs_of(|_| true);
    for event in [Event::Open, Event::Openat, Event::Openat2] {
        needs.names.classes[event as usize] = ClassSet::ALL;
        needs.params[event as usize] |= 1 << param_index(event, "real_name");
    }
    let terms = terms.iter().map(|(raw, name)| Term {
        opens: OPENS_TO_READ | OPENS_OTHERWISE,
        raw: pattern(raw),
        name: pattern(name),
    });
    needs.names.terms = terms.collect();
    needs
}

#[test]
fn opens_pass_by_the_names_that_were_asked_for_and_those_of_the_kernel() {
    let Some(host) = host() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let long = ["x".repeat(200), "y".repeat(200)].join("/");
    fs::create_dir_all(folder.join("box")).unwrap();
    fs::create_dir_all(folder.join(&long)).unwrap();
    for file in ["there", "wanted", "box/x", &format!("{long}/z")] {
        fs::write(folder.join(file), "").unwrap();
    }
    for (link, to) in [("alias", "wanted"), ("named", "there"), ("bag", "box")] {
        symlink(to, folder.join(link)).unwrap();
    }
    let inside = |name: &str| format!("{}/{name}", folder.display());
    let needs = needs_of_names(&[
        ("", &inside("wanted")),
        ("", &inside("named")),
        ("", "*/box/+"),
        ("*bag/*", ""),
    ]);
    let script = format!(
        ": < there; : < wanted; : < {0}/wanted; : < {0}/there; : < alias; : < named; (: < not_there); (: < box/none)
         : < box/x; : < bag/x; cd box; : < x; cd ..; : < ./there; : < box/../there; : < {long}/z; : > made; : > box/made",
        folder.display()
    );
    let long = format!("{long}/z");
    let expected = [
        "wanted", "wanted", "alias", "named", "box/none", "box/x", "bag/x", "box", "box/x", ".", "there",
        &long, "box/made",
    ];
    let (config, containers) = (Config::default(), ContainerTable::new());
    // With other names before, and none in between.
    let before = plan(&host, &needs_of_names(&[("", "*/there")]), &config).unwrap();
    let mut capture = Capture::start(before, &config, &containers).unwrap();
    capture.set_needs(&host, &needs_of(|_| true), &config).unwrap();
    capture.set_needs(&host, &needs, &config).unwrap();
    with_capture(&mut capture, &folder, |stage| {
        let seen = stage.seen_of(&script);
        let opened: Vec<&str> = expected
            .iter()
            .copied()
            .filter(|name| !matches!(*name, "box" | "."))
            .collect();
        let seen: Vec<&str> = seen
            .iter()
            .map(String::as_str)
            .filter(|name| !matches!(*name, "box" | ""))
            .collect();
        assert_eq!(seen, opened);
    });
}

/// What was asked for and is wanted by no rule leads to what is, and differs from it in one byte, wherever that is.
#[test]
fn an_open_passes_by_the_kernels_name_however_little_that_differs_from_what_was_asked_for() {
    let Some(host) = host() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let (mut script, mut expected) = (String::new(), Vec::new());
    for length in (0..=20).chain([31, 39, 40, 47, 200]) {
        let same = "x".repeat(length);
        for (link, file, other) in [
            (format!("{same}a"), format!("{same}b"), format!("{same}c")),
            (format!("a{same}."), format!("b{same}."), format!("c{same}.")),
        ] {
            fs::write(folder.join(&file), "").unwrap();
            fs::write(folder.join(&other), "").unwrap();
            symlink(&file, folder.join(&link)).unwrap();
            script.push_str(&format!(": < {0}/{other}; : < {0}/{link}\n", folder.display()));
            expected.push(link);
        }
    }
    let (config, containers) = (Config::default(), ContainerTable::new());
    let of = |name: &str| format!("{}/{name}", folder.display());
    let needs = needs_of_names(&[("", &of("b*")), ("", &of("+b"))]);
    let mut capture = Capture::start(plan(&host, &needs, &config).unwrap(), &config, &containers).unwrap();
    with_capture(&mut capture, &folder, |stage| {
        assert_eq!(stage.seen_of(&script), expected);
    });
}

/// Opens what it is given, by openat2(2) with the working directory as root, and says what the kernel calls what it opened.
const OPENS_IN_ROOT: &str = r#"
    my $how = pack("QQQ", 0, 0, 0x10);
    for my $path (@ARGV) {
        my $fd = syscall($ENV{OPENAT2} + 0, -100, $path, $how, 24);
        print(($fd < 0 ? "" : readlink("/proc/self/fd/$fd")) . "\n");
    }
"#;

/// Files and links in a folder, terms for some of them, and random paths.
struct Names {
    folder: tempfile::TempDir,
    text: String,
    state: u64,
}

impl Names {
    fn new() -> Names {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        fs::create_dir_all(path.join("a/b/a")).unwrap();
        fs::create_dir_all(path.join("b/a")).unwrap();
        for file in ["f", "a/f", "a/b/f", "b/f", "b/a/.f"] {
            fs::write(path.join(file), "").unwrap();
        }
        for (link, to) in [
            ("l", "a"),
            ("a/l", "b/f"),
            ("b/l", "../a"),
            ("a/b/l", "/etc/hostname"),
        ] {
            symlink(to, path.join(link)).unwrap();
        }
        Names {
            folder,
            text: path.display().to_string(),
            state: 7,
        }
    }

    fn needs(&self) -> Needs {
        needs_of_names(&[
            ("", "*/a/f"),
            ("", &format!("{}/b/+", self.text)),
            ("*l/f*", &format!("{}/a*", self.text)),
            ("*/b/l", ""),
            ("/b/./f", ""),
            ("", "*.f"),
        ])
    }

    fn next(&mut self, below: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.state >> 33) as usize % below
    }

    /// A relative path, and the names it leads to; `None` where it leads above its directory, and that is not the root.
    fn path(&mut self, is_root: bool) -> Option<(String, Vec<&'static str>)> {
        let names = ["a", "b", "f", "l", "a", "b", ".f", "..", ".", "", "none"];
        let parts: Vec<&str> = (0..=self.next(4))
            .map(|_| names[self.next(names.len())])
            .collect();
        let mut plain: Vec<&str> = Vec::new();
        let mut is_inside = true;
        for part in parts.iter().filter(|part| !matches!(**part, "" | ".")) {
            match *part {
                ".." => is_inside &= plain.pop().is_some() || is_root,
                part => plain.push(part),
            }
        }
        let relative = parts.join("/");
        (is_inside && !relative.is_empty() && !relative.starts_with('/')).then_some((relative, plain))
    }
}

/// The kernel's side does with names what [`NameTable::passes`] does.
#[test]
fn what_passes_by_its_names_is_what_the_table_says() {
    let Some(host) = host() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut names = Names::new();
    let (text, needs) = (names.text.clone(), names.needs());
    let table = NameTable::new(&needs.names.terms).unwrap();
    let (mut script, mut expected, mut passed) = (String::new(), Vec::new(), 0);
    for _ in 0..400 {
        let is_absolute = names.next(2) == 0;
        let Some((relative, plain)) = names.path(false) else {
            continue;
        };
        if plain.is_empty() {
            continue;
        }
        let written = format!("{text}/{relative}");
        script.push_str(&format!(
            "(: < {})\n",
            if is_absolute { &written } else { &relative }
        ));
        let real = fs::File::open(&written)
            .ok()
            .map(|_| fs::canonicalize(&written).unwrap());
        let real = real.as_ref().map(|real| real.as_os_str().as_encoded_bytes());
        if table.passes(OPENS_TO_READ, &[written.as_bytes()], real) {
            expected.push(plain.join("/"));
        } else {
            passed += 1;
        }
    }
    assert!(expected.len() > 50 && passed > 50, "{} {passed}", expected.len());
    let (config, containers) = (Config::default(), ContainerTable::new());
    let mut capture = Capture::start(plan(&host, &needs, &config).unwrap(), &config, &containers).unwrap();
    with_capture(&mut capture, names.folder.path(), |stage| {
        assert_eq!(stage.seen_of(&script), expected);
    });
}

#[test]
fn what_passes_with_its_directory_as_root_is_what_the_table_says() {
    let Some(host) = host() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut names = Names::new();
    let paths: Vec<(String, Vec<&str>)> = (0..400)
        .filter_map(|_| {
            let is_absolute = names.next(2) == 0;
            let (relative, plain) = names.path(true)?;
            let path = if is_absolute {
                format!("/{relative}")
            } else {
                relative
            };
            (!plain.is_empty()).then_some((path, plain))
        })
        .collect();
    let inside = format!("{}/a", names.text);
    let opened = Command::new("perl")
        .args(["-e", OPENS_IN_ROOT])
        .args(paths.iter().map(|(path, _)| path))
        .env("OPENAT2", libc::SYS_openat2.to_string())
        .current_dir(&inside)
        .output();
    let Ok(opened) = opened else {
        eprintln!("skipped: there is no perl");
        return;
    };
    let opened = String::from_utf8(opened.stdout).unwrap();
    let needs = names.needs();
    let table = NameTable::new(&needs.names.terms).unwrap();
    let (mut expected, mut passed) = (vec!["a".to_owned()], 0);
    for ((path, plain), real) in paths.iter().zip(opened.lines()) {
        let real = (!real.is_empty()).then_some(real.as_bytes());
        let below = format!("{inside}/{}", path.trim_start_matches('/'));
        let requested = [path.as_bytes(), below.as_bytes()];
        let requested = if path.starts_with('/') {
            &requested[..]
        } else {
            &requested[1..]
        };
        if table.passes(OPENS_TO_READ, requested, real) {
            expected.push(format!("a/{}", plain.join("/")));
        } else {
            passed += 1;
        }
    }
    assert!(expected.len() > 50 && passed > 50, "{} {passed}", expected.len());
    let script: Vec<&str> = paths.iter().map(|(path, _)| path.as_str()).collect();
    let script = format!(
        "(cd a; OPENAT2={} perl -e '{OPENS_IN_ROOT}' {} > /dev/null)",
        libc::SYS_openat2,
        script.join(" ")
    );
    let (config, containers) = (Config::default(), ContainerTable::new());
    let mut capture = Capture::start(plan(&host, &needs, &config).unwrap(), &config, &containers).unwrap();
    with_capture(&mut capture, names.folder.path(), |stage| {
        assert_eq!(stage.seen_of(&script), expected);
    });
}

/// No protocol there is, by which calls of these tests are told from others'.
const PROTOCOL: u64 = 60_123;

#[test]
fn sockets_pass_by_their_family() {
    let Some(host) = host() else { return };
    if Command::new("perl").args(["-e", ""]).status().is_err() {
        eprintln!("skipped: there is no perl");
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let mut needs = needs_of(|_| true);
    needs.events = needs.events.union([Event::Socket].into_iter().collect());
    needs.classes[Event::Socket as usize] = CallClass::all()
        .filter(|class| matches!(class.family(), None | Some(10)))
        .collect();
    // The last is one of packets, by its type.
    let script = format!(
        "perl -e 'for ([1, 1], [2, 1], [10, 1], [16, 3], [17, 3], [15, 3], [2, 10]) {{
            syscall({}, $_->[0], $_->[1], {PROTOCOL});
        }}'",
        libc::SYS_socket
    );
    let (config, containers) = (Config::default(), ContainerTable::new());
    let mut capture = Capture::start(plan(&host, &needs, &config).unwrap(), &config, &containers).unwrap();
    with_capture(&mut capture, folder.path(), |stage| {
        let seen = stage.seen_of(&script);
        assert_eq!(seen, ["family 10", "family 16", "family 17", "family 17"]);
    });
}

/// The permissions of files of these tests, by which their calls are told from others'.
const PERMISSIONS: u64 = 0o517;
const FCHMODAT2: u32 = 452;

#[test]
fn modes_pass_by_whom_programs_run_as() {
    let Some(host) = host() else { return };
    if Command::new("perl").args(["-e", ""]).status().is_err() {
        eprintln!("skipped: there is no perl");
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("there"), "").unwrap();
    let mut needs = needs_of(|_| false);
    let calls = [Event::Fchmod, Event::Fchmodat, Event::Fchmodat2, Event::Mknodat];
    needs.events = needs.events.union(calls.into_iter().collect());
    for call in calls {
        needs.classes[call as usize] = CallClass::all()
            .filter(|class| class.mode().1 & 0o4000 != 0)
            .collect();
    }
    // With bits that the kernel does not look at, too.
    let script = format!(
        "perl -e 'open(my $f, \"<\", \"there\"); my ($n, $name) = (0, \"there\");
        for my $mode (0517, 02517, 04517, 07517, 0x40000000 | 01517) {{
            syscall({}, fileno($f), $mode);
            syscall({}, -100, $name, $mode);
            syscall({FCHMODAT2}, -100, $name, $mode, 0);
            my $new = \"node\" . $n++;
            syscall({}, -100, $new, 0100000 | $mode, 0);
        }}'",
        libc::SYS_fchmod,
        libc::SYS_fchmodat,
        libc::SYS_mknodat,
    );
    let (config, containers) = (Config::default(), ContainerTable::new());
    let mut capture = Capture::start(plan(&host, &needs, &config).unwrap(), &config, &containers).unwrap();
    with_capture(&mut capture, folder.path(), |stage| {
        let seen = stage.seen_of(&script);
        let expected: Vec<String> = ["4", "7"]
            .iter()
            .flat_map(|mode| calls.map(|call| format!("{} {mode}517", call.row().name)))
            .collect();
        assert_eq!(seen, expected);
    });
}

/// Removes and renames: of which by their names, for rules about what begins with `wanted` and what is in `deep`.
const NAMES_TAKEN: &str = r#"
my ($unlinkat, $renameat2, $folder) = @ARGV;
open(my $deep, "<", "deep");
sub taken { my ($at, $name) = @_; syscall($unlinkat, $at, $name, 0); }
sub renamed { my ($old, $new) = @_; syscall($renameat2, -100, $old, -100, $new, 0); }
taken(-100, "wanted1");
taken(-100, "other1");
taken(fileno($deep), "other2");
taken(-100, "./other3");
taken(-100, "$folder/other4");
taken(fileno($deep), "../other5");
taken(-100, "x" x 140);
taken(-100, "not_there");
renamed("other6", "other7");
renamed("other7", "wanted7");
renamed("wanted7", "other8");
renamed("other8", "deep/other8");
taken(-100, "other9");
"#;

#[test]
fn calls_that_leave_no_file_pass_by_their_names_where_these_are_sure() {
    let Some(host) = host() else { return };
    if Command::new("perl").args(["-e", ""]).status().is_err() {
        eprintln!("skipped: there is no perl");
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().canonicalize().unwrap();
    fs::create_dir(at.join("deep")).unwrap();
    let long = "x".repeat(140);
    let others = [
        "other1",
        "deep/other2",
        "other3",
        "other4",
        "other5",
        "other6",
        "other9",
    ];
    for name in ["wanted1", &long].iter().chain(&others) {
        fs::write(at.join(name), "").unwrap();
    }
    fs::write(at.join("taken.pl"), NAMES_TAKEN).unwrap();
    let calls = [Event::Unlinkat, Event::Renameat2];
    let mut needs = needs_of(|_| false);
    needs.events = needs.events.union(calls.into_iter().collect());
    for call in calls {
        needs.classes[call as usize] = ClassSet::ALL;
        needs.names.classes[call as usize] = ClassSet::ALL;
    }
    let run = |text: &str| {
        text.bytes()
            .map(Piece::Byte)
            .chain([Piece::Run])
            .collect::<Vec<_>>()
    };
    for name in ["/wanted", "/deep/"] {
        needs.names.terms.insert(Term {
            opens: OPENS_OTHERWISE,
            raw: None,
            name: Some(Pattern::new([Piece::Run].into_iter().chain(run(name)))),
        });
    }
    let script = format!(
        "perl taken.pl {} {} {}",
        libc::SYS_unlinkat,
        libc::SYS_renameat2,
        at.display()
    );
    let (config, containers) = (Config::default(), ContainerTable::new());
    let plan = plan(&host, &needs, &config).unwrap();
    // Where the kernel's own names are known all of them pass.
    if plan.tier != Tier::SysExit {
        return;
    }
    let mut capture = Capture::start(plan, &config, &containers).unwrap();
    with_capture(&mut capture, &at, |stage| {
        let seen = stage.seen_of(&script);
        let expected = [
            "wanted1",
            "deep/other2",
            "other3",
            "other4",
            "other5",
            &long,
            "other7",
            "wanted7",
            "other8",
        ];
        assert_eq!(seen, expected);
    });
    assert!(!at.join("other1").exists() && !at.join("other9").exists() && at.join("deep/other8").exists());
}

/// How often a group is set below: far more often than by whoever else does on the machine.
const GROUPS_SET: u64 = 5000;

/// What the test below starts: a thread that is not the first of its process sets its group, as it is already.
#[test]
#[ignore = "is started by another test"]
fn a_thread_sets_its_group() {
    let thread = std::thread::spawn(|| {
        for _ in 0..GROUPS_SET {
            // SAFETY: the call takes a number and changes nothing.
            unsafe { libc::syscall(libc::SYS_setgid, libc::getegid()) };
        }
    });
    thread.join().unwrap();
}

#[test]
fn credentials_of_threads_that_are_not_their_process_s_are_not_captured_for_the_state() {
    let Some(host) = host() else { return };
    if Command::new("perl").args(["-e", ""]).status().is_err() {
        eprintln!("skipped: there is no perl");
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let own = std::env::current_exe().unwrap();
    let by_thread = format!(
        "{} --ignored --exact a_thread_sets_its_group > /dev/null",
        own.display()
    );
    let by_first = format!(
        "perl -e 'syscall({}, $) + 0) for 1 .. {GROUPS_SET}'",
        libc::SYS_setgid
    );
    let mut told = Vec::new();
    for (script, is_asked) in [(&by_thread, false), (&by_thread, true), (&by_first, false)] {
        let mut needs = needs_of(|_| false);
        needs.task_state = true;
        if is_asked {
            needs.events.insert(Event::Setgid);
        }
        let (config, containers) = (Config::default(), ContainerTable::new());
        let mut capture =
            Capture::start(plan(&host, &needs, &config).unwrap(), &config, &containers).unwrap();
        with_capture(&mut capture, folder.path(), |stage| {
            stage.seen_of(script);
        });
        let stats = capture.stats();
        let delivered = stats.delivered.iter().find(|(event, _)| *event == Event::Setgid);
        told.push(delivered.map_or(0, |(_, count)| *count) > GROUPS_SET / 2);
    }
    assert_eq!(told, [false, true, true]);
}

/// A cgroup of this test's, removed with what is below it.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str) -> Option<Cgroup> {
        let Some(hierarchy) = Hierarchy::of_host(Path::new("")) else {
            eprintln!("skipped: this host has no cgroups");
            return None;
        };
        let path = hierarchy.mount.join(format!("{name}-{}", std::process::id()));
        if let Err(error) = fs::create_dir(&path) {
            eprintln!("skipped: no cgroup can be made here: {error}");
            return None;
        }
        Some(Cgroup(path))
    }

    fn take(&self, shell: &Shell) {
        fs::write(self.0.join("cgroup.procs"), shell.child.id().to_string()).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(self.0.join("below"));
        let _ = fs::remove_dir(&self.0);
    }
}

/// Opens the file so often that what came before the kernel's side knew whose it is does not count.
const OPENS: &str = "i=0; while [ $i -lt 100 ]; do : < there; i=$((i+1)); done";

#[test]
fn opens_pass_by_whose_they_are_from_the_moment_it_is_known() {
    let Some(host) = host() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(cgroup) = Cgroup::new("lanner-filter") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("there"), "").unwrap();
    let (config, containers) = (Config::default(), ContainerTable::new());
    let needs = needs_of(|class| !class.in_container());
    let mut capture = Capture::start(plan(&host, &needs, &config).unwrap(), &config, &containers).unwrap();
    let id = "0123456789abcdef".repeat(4);
    let container = |cgroup: &Path, id: &str| {
        Arc::new(Container {
            cgroup: fs::metadata(cgroup).unwrap().ino(),
            ..Container::new(id, "containerd", Learnt::Start)
        })
    };
    with_capture(&mut capture, folder.path(), |stage| {
        cgroup.take(&stage.shell);
        assert_eq!(stage.seen_of(OPENS).len(), 100);
        containers.update(|known| known.insert(container(&cgroup.0, &id)));
        // The mark is an event, too: once it was shown, the kernel's side knows.
        stage.seen_of("");
        assert_eq!(stage.seen_of(OPENS).len(), 0, "nobody wants a container's");
        // A cgroup that the container makes.
        let below = Cgroup(cgroup.0.join("below"));
        fs::create_dir(&below.0).unwrap();
        below.take(&stage.shell);
        stage.seen_of("");
        assert_eq!(stage.seen_of(OPENS).len(), 0);
        containers.update(|known| known.remove(&id));
        assert_eq!(stage.seen_of(OPENS).len(), 100, "the host's from the first on");
        assert_eq!(stage.seen_of(OPENS).len(), 100);
        // One whose name is what a rule calls the host.
        containers.update(|known| known.insert(container(&cgroup.0, "host")));
        assert_eq!(stage.seen_of(OPENS).len(), 100);
        assert_eq!(stage.seen_of(OPENS).len(), 100, "not known to be either");
        cgroup.take(&stage.shell);
    });
    assert_eq!(capture.stats().owners_untold, 0);
}

/// Opens and closes a file so often in each of two processes, and for writing once in a thousand times.
fn open_and_close(file: &Path, times: u32) {
    let script = r#"
        my ($file, $times) = @ARGV;
        my $child = fork;
        for my $n (1 .. $times) {
            open(my $f, $n % 1000 ? '<' : '+<', $file) or exit 1;
            close $f;
        }
        exit 0 unless $child;
        waitpid $child, 0;
        exit($? != 0);
    "#;
    let status = Command::new("perl")
        .args(["-e", script])
        .arg(file)
        .arg(times.to_string())
        .status()
        .unwrap();
    assert!(status.success());
}

/// Of two processes that open and close a file a million times each, with a ring that holds a few hundred opens, and rules about
/// writing.
#[test]
fn what_nobody_needs_takes_no_room_from_what_a_rule_needs() {
    let times = 1_000_000;
    let Some(host) = host() else { return };
    if Command::new("perl").args(["-e", ""]).status().is_err() {
        eprintln!("skipped: there is no perl");
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().canonicalize().unwrap();
    let config = Config {
        ring_bytes: 64 << 10,
        ..Config::default()
    };
    let mut needs = needs_of(|class| !class.failed() && class.flags().1 & 3 == 2);
    // What its start and its end take is not what is looked at.
    needs.events = [Event::Open, Event::Openat].into_iter().collect();
    let plan = plan(&host, &needs, &config).unwrap();
    let mut capture = Capture::start(plan, &config, &ContainerTable::new()).unwrap();
    let stop = AtomicBool::new(false);
    let (mut wanted, mut others) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            open_and_close(&path, times);
            stop.store(true, Ordering::Relaxed);
        });
        capture
            .run(&stop, &mut |view| {
                let Some(ParamValue::Path { raw, .. }) = view.param_named("name") else {
                    return;
                };
                if raw == path.as_os_str().as_encoded_bytes() {
                    match view.param_named("flags") {
                        Some(ParamValue::U64(flags)) if flags & 3 == 2 => wanted += 1,
                        _ => others += 1,
                    }
                }
            })
            .unwrap();
    });
    let stats = capture.stats();
    assert_eq!((wanted, others), (2 * (times / 1000), 0), "{stats}");
    assert_eq!((stats.lost(), stats.gaps), (0, 0), "{stats}");
}
