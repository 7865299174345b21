//! Which calls pass by the names of files.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::PoisonError;

use lanner_capture::{Capture, Config, Tier, plan};
use lanner_schema::call_class::ClassSet;
use lanner_schema::container::ContainerTable;
use lanner_schema::event::{Event, Needs, param_index};
use lanner_schema::name_table::NameTable;
use lanner_schema::open_names::{OPENS_OTHERWISE, OPENS_TO_READ, Pattern, Piece, Term};

use crate::stage::{ALONE, host, needs_of, with_capture};

/// As [`needs_of`] of all classes, of whose opens only those are wanted that one of these terms holds for: the path as it was passed, and the name, as
/// they are written here.
pub(crate) fn needs_of_names(terms: &[(&str, &str)]) -> Needs {
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
    let before = needs_of_names(&[("", "*/there")]);
    let start = || {
        let before = plan(&host, &before, &config).unwrap();
        let mut capture = Capture::start(before, &config, &containers).unwrap();
        capture.set_needs(&host, &needs_of(|_| true), &config).unwrap();
        capture.set_needs(&host, &needs, &config).unwrap();
        capture
    };
    with_capture(start, &folder, |stage| {
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
    for length in (0..=26).chain([31, 39, 40, 47, 62, 63, 64, 65, 200]) {
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
    let start = || Capture::start(plan(&host, &needs, &config).unwrap(), &config, &containers).unwrap();
    with_capture(start, &folder, |stage| {
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
    let start = || Capture::start(plan(&host, &needs, &config).unwrap(), &config, &containers).unwrap();
    with_capture(start, names.folder.path(), |stage| {
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
    let start = || Capture::start(plan(&host, &needs, &config).unwrap(), &config, &containers).unwrap();
    with_capture(start, names.folder.path(), |stage| {
        assert_eq!(stage.seen_of(&script), expected);
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
    let start = || Capture::start(plan.clone(), &config, &containers).unwrap();
    with_capture(start, &at, |stage| {
        fs::create_dir_all(at.join("deep")).unwrap();
        for name in ["wanted1", &long].iter().chain(&others) {
            fs::write(at.join(name), "").unwrap();
        }
        let _ = fs::remove_file(at.join("deep/other8"));
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
