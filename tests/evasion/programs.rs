//! Programs: what runs is what the kernel says runs, however it was started and whatever it calls itself.

use std::os::unix::fs::MetadataExt as _;

use crate::scene::{
    Scene, at, begin, c, call, call_oneself, child, copy, end_of, exec, made, of, open, strings, text,
};

/// Whatever the test's process or one of its children runs, and what of it rules look at.
const STARTED: (&str, &str, &str) = (
    "Started",
    "evt.type in (execve, execveat) and evt.rawres = 0 and proc.pname startswith NAME",
    "%evt.type|%proc.name|%proc.exepath|%proc.exe_ino|%proc.is_exe_from_memfd",
);

/// The same and the arguments.
const LINE: (&str, &str, &str) = (
    "Line",
    "evt.type in (execve, execveat) and evt.rawres = 0 and proc.pname startswith NAME",
    "%proc.exe|%proc.args",
);

fn ino(path: &str) -> u64 {
    std::fs::metadata(path).unwrap().ino()
}

fn execveat(fd: i64, path: &str, arguments: &[&str], flags: i32) -> i64 {
    let path = c(path);
    let (_arguments, pointers) = strings(arguments);
    let none = [0i64];
    call(
        libc::SYS_execveat,
        &[fd, text(&path), pointers.as_ptr() as i64, at(&none), flags.into()],
    )
}

#[test]
fn execveat_of_a_descriptor_names_the_file() {
    let Some(scene) = Scene::start("ev-empty", &[STARTED]) else {
        return;
    };
    let program = scene.path("program");
    copy("/bin/true", &program);
    scene.act(|| {
        child(|| {
            let fd = open(&program, libc::O_PATH | libc::O_CLOEXEC);
            panic!("{}", execveat(fd, "", &["true"], libc::AT_EMPTY_PATH));
        });
        vec![]
    });
    let alert = scene.alert("Started");
    assert_eq!(of(&alert, "evt.type"), "execveat", "{alert}");
    assert_eq!(of(&alert, "proc.exepath"), program, "{alert}");
    assert_eq!(of(&alert, "proc.exe_ino"), ino(&program).to_string(), "{alert}");
    scene.end();
}

/// A descriptor by its name in /proc, and a process's program by its own.
#[test]
fn magic_links_to_programs_name_the_file() {
    let Some(scene) = Scene::start("ev-magic", &[STARTED]) else {
        return;
    };
    let (program, other) = (scene.path("program"), scene.path("other"));
    copy("/bin/true", &program);
    copy("/bin/sleep", &other);
    scene.act(|| {
        child(|| {
            let fd = open(&program, libc::O_RDONLY);
            exec(&format!("/proc/self/fd/{fd}"), &["a"]);
        });
        child(|| {
            let fd = open(&program, libc::O_RDONLY);
            panic!("{}", execveat(-1, &format!("/dev/fd/{fd}"), &["b"], 0));
        });
        let sleeper = begin(|| exec(&other, &["sleeper", "60"]));
        child(|| {
            while std::fs::read_link(format!("/proc/{sleeper}/exe"))
                .unwrap()
                .to_str()
                != Some(&other)
            {
                std::thread::yield_now();
            }
            exec(&format!("/proc/{sleeper}/exe"), &["again", "0"]);
        });
        // SAFETY: a child of this process.
        unsafe { libc::kill(sleeper, libc::SIGKILL) };
        vec![]
    });
    let alerts = scene
        .lanner
        .wait_for_alerts("four programs", 4, |alert| alert["rule"] == "Started");
    let mut seen: Vec<_> = alerts.iter().map(|alert| of(alert, "proc.exepath")).collect();
    seen.sort();
    assert_eq!(seen, [other.clone(), other, program.clone(), program]);
    scene.end();
}

#[test]
fn a_program_in_a_memfd_is_told_as_one() {
    let Some(scene) = Scene::start("ev-memfd", &[STARTED]) else {
        return;
    };
    scene.act(|| {
        let bytes = std::fs::read("/bin/true").unwrap();
        for by_path in [false, true] {
            let fd = made(libc::SYS_memfd_create, &[text(c"[kworker/0:1]"), 1]);
            assert_eq!(
                made(libc::SYS_write, &[fd, at(&bytes[..]), bytes.len() as i64]),
                bytes.len() as i64
            );
            child(|| {
                if by_path {
                    exec(&format!("/proc/self/fd/{fd}"), &["x"]);
                }
                panic!("{}", execveat(fd, "", &["x"], libc::AT_EMPTY_PATH));
            });
        }
        vec![]
    });
    for alert in scene
        .lanner
        .wait_for_alerts("both", 2, |alert| alert["rule"] == "Started")
    {
        assert_eq!(of(&alert, "proc.is_exe_from_memfd"), "true", "{alert}");
        assert_eq!(of(&alert, "proc.exepath"), "memfd:[kworker/0:1]", "{alert}");
    }
    scene.end();
}

/// A file without a name (O_TMPFILE), one whose name was taken away before, and one whose name goes while it runs.
#[test]
fn programs_without_a_name_are_told_where_they_were() {
    let late = (
        "Late",
        "evt.type = openat and fd.name = FOLDER/late",
        "%proc.exepath|%proc.exe_ino",
    );
    let Some(scene) = Scene::start("ev-deleted", &[STARTED, late]) else {
        return;
    };
    let (gone, going, file) = (scene.path("gone"), scene.path("going"), scene.path("late"));
    copy("/bin/true", &gone);
    copy("/bin/sh", &going);
    let folder = scene.path("");
    let inodes = scene.act(|| {
        // Where no file system of this machine's can do that, the others are tried all the same.
        let nameless = call(
            libc::SYS_openat,
            &[
                -100,
                text(&c(&folder)),
                (libc::O_TMPFILE | libc::O_RDWR).into(),
                0o700,
            ],
        );
        let mut nameless_ino = 0;
        if nameless >= 0 {
            let bytes = std::fs::read("/bin/true").unwrap();
            made(libc::SYS_write, &[nameless, at(&bytes[..]), bytes.len() as i64]);
            let again = open(&format!("/proc/self/fd/{nameless}"), libc::O_RDONLY);
            nameless_ino = std::fs::metadata(format!("/proc/self/fd/{again}")).unwrap().ino() as i64;
            made(libc::SYS_close, &[nameless]);
            child(|| exec(&format!("/proc/self/fd/{again}"), &["nameless"]));
        }
        let fd = open(&gone, libc::O_RDONLY);
        let gone_ino = ino(&gone) as i64;
        std::fs::remove_file(&gone).unwrap();
        child(|| panic!("{}", execveat(fd, "", &["gone"], libc::AT_EMPTY_PATH)));
        let going_ino = ino(&going) as i64;
        let script = format!("while [ -e {going} ]; do :; done; : > {file}");
        let runs = begin(|| exec(&going, &["going", "-c", &script]));
        while std::fs::read_link(format!("/proc/{runs}/exe")).unwrap().to_str() != Some(&going) {
            std::thread::yield_now();
        }
        std::fs::remove_file(&going).unwrap();
        end_of(runs);
        vec![nameless_ino, gone_ino, going_ino]
    });
    let started = |ino: i64| {
        scene.lanner.wait_for_alert("it started", |alert| {
            alert["rule"] == "Started" && of(alert, "proc.exe_ino") == ino.to_string()
        })
    };
    if inodes[0] != 0 {
        let alert = started(inodes[0]);
        assert!(
            of(&alert, "proc.exepath").starts_with(&format!("{folder}#")),
            "{alert}"
        );
    }
    assert_eq!(of(&started(inodes[1]), "proc.exepath"), gone);
    scene.says("Late", &format!("{going}|{}", inodes[2]));
    scene.end();
}

/// A program that is the loader's argument is no program to the kernel. What it says is true, and the rest is in fields
/// that were made for it.
#[test]
fn a_program_that_the_loader_runs_is_known() {
    let loaded = (
        "Loaded",
        "evt.type in (execve, execveat) and proc.pname = NAME and lanner.program = FOLDER/program",
        "%proc.exepath|%lanner.program|%proc.args",
    );
    let mapped = (
        "Mapped",
        "evt.type = mmap and evt.arg.prot contains PROT_EXEC and fd.name = FOLDER/program and
         proc.exepath != FOLDER/program",
        "%proc.exepath|%fd.name|%fd.ino",
    );
    let Some(scene) = Scene::start("ev-loader", &[loaded, mapped]) else {
        return;
    };
    let loader = std::fs::canonicalize("/lib64/ld-linux-x86-64.so.2").unwrap();
    let loader = loader.to_str().unwrap();
    let (program, copied) = (scene.path("program"), scene.path("innocent"));
    copy("/bin/true", &program);
    copy(loader, &copied);
    let folder = scene.path("");
    scene.act(|| {
        child(|| {
            exec(
                "/lib64/ld-linux-x86-64.so.2",
                &["ld", "--argv0", "init", "--inhibit-cache", &program, "-x"],
            )
        });
        std::env::set_current_dir(&folder).unwrap();
        child(|| exec("/lib64/ld-linux-x86-64.so.2", &["/sbin/init", "./program"]));
        // Under another name it is only a program that maps another.
        child(|| exec(&copied, &["init", &program]));
        vec![]
    });
    scene.says(
        "Loaded",
        &format!("{loader}|{program}|--argv0 init --inhibit-cache {program} -x"),
    );
    scene.says("Loaded", &format!("{loader}|{program}|./program"));
    scene.says("Mapped", &format!("{loader}|{program}|{}", ino(&program)));
    scene.says("Mapped", &format!("{copied}|{program}|{}", ino(&program)));
    scene.end();
}

#[test]
fn a_script_by_descriptor_is_its_interpreter_with_the_script_as_argument() {
    let opened = (
        "Opened",
        "evt.type in (open, openat) and evt.is_open_read = true and fd.name = FOLDER/script",
        "%proc.exepath|%fd.name",
    );
    let Some(scene) = Scene::start("ev-script", &[STARTED, LINE, opened]) else {
        return;
    };
    let (script, shell) = (scene.path("script"), scene.path("shell"));
    copy("/bin/sh", &shell);
    crate::scene::script(&script, &format!("#!{shell} -e\nexit 0\n"));
    scene.act(|| {
        child(|| exec(&script, &["by path"]));
        child(|| {
            let fd = open(&script, libc::O_RDONLY);
            panic!("{}", execveat(fd, "", &["by descriptor"], libc::AT_EMPTY_PATH));
        });
        vec![]
    });
    for alert in scene
        .lanner
        .wait_for_alerts("both", 2, |alert| alert["rule"] == "Started")
    {
        assert_eq!(of(&alert, "proc.exepath"), shell, "{alert}");
        assert_eq!(of(&alert, "proc.exe_ino"), ino(&shell).to_string(), "{alert}");
    }
    scene.says("Line", &format!("{shell}|-e {script}"));
    // What the shell then opens is the script, by whatever name.
    scene
        .lanner
        .wait_for_alerts("both scripts", 2, |alert| alert["rule"] == "Opened");
    scene.end();
}

/// Names are what a process says of itself; where its program is, the kernel says.
#[test]
fn lies_about_oneself_change_the_name_and_not_the_program() {
    let acts = (
        "Acts",
        "evt.type = openat and fd.name startswith FOLDER/file",
        "%proc.name|%proc.exepath|%proc.exe|%proc.cmdline",
    );
    let Some(scene) = Scene::start("ev-liar", &[STARTED, LINE, acts]) else {
        return;
    };
    let (program, file) = (scene.path("miner"), scene.path("file"));
    copy("/bin/sh", &program);
    scene.act(|| {
        let script = format!("printf sshd > /proc/$$/comm; : > {file}");
        child(|| exec(&program, &["/usr/sbin/nginx", "-c", &script]));
        vec![]
    });
    let alert = scene.alert("Started");
    assert_eq!(
        (of(&alert, "proc.name"), of(&alert, "proc.exepath")),
        ("miner".to_owned(), program.clone())
    );
    let alert = scene.alert("Acts");
    assert_eq!(of(&alert, "proc.name"), "sshd", "{alert}");
    assert_eq!(of(&alert, "proc.exepath"), program, "{alert}");
    assert_eq!(of(&alert, "proc.exe"), "/usr/sbin/nginx", "{alert}");
    scene.end();
}

/// Children of vfork() share their parent's memory until they are another program: whose it was is theirs alone.
#[test]
fn chains_of_vforks_and_execs_are_each_their_own() {
    let Some(scene) = Scene::start("ev-vfork", &[STARTED]) else {
        return;
    };
    let (first, second) = (scene.path("first"), scene.path("second"));
    copy("/bin/sh", &first);
    copy("/bin/true", &second);
    scene.act(|| {
        // The shell replaces itself, and what it starts by vfork().
        let status = std::process::Command::new(&first)
            .args(["-c", &format!("{second}; exec {second}")])
            .status()
            .unwrap();
        assert!(status.success());
        vec![]
    });
    let alert = |path: &str| {
        scene
            .lanner
            .wait_for_alert(path, |a| a["rule"] == "Started" && of(a, "proc.exepath") == path)
    };
    assert_eq!(of(&alert(&first), "proc.name"), "first");
    assert_eq!(of(&alert(&second), "proc.name"), "second");
    scene.end();
}

/// The kernel gives a thread that runs a program the id of the first one.
#[test]
fn a_thread_that_runs_a_program_becomes_the_process() {
    let started = (
        "Thread",
        "evt.type = execve and evt.rawres = 0 and proc.exepath = FOLDER/program",
        "%proc.pid|%thread.tid|%proc.pname",
    );
    let Some(scene) = Scene::start("ev-thread", &[started]) else {
        return;
    };
    let program = scene.path("program");
    copy("/bin/true", &program);
    let pids = scene.act(|| {
        let pid = begin(|| {
            call_oneself(c"ev-threaded");
            std::thread::spawn(move || exec(&program, &["x"])).join().unwrap();
        });
        end_of(pid);
        vec![pid.into()]
    });
    scene.says("Thread", &format!("{0}|{0}|ev-thread", pids[0]));
    scene.end();
}

/// prctl(PR_SET_MM_EXE_FILE): /proc/PID/exe says something else from then on.
#[test]
fn another_program_in_proc_is_not_the_one_that_was_run() {
    let acts = (
        "Acts",
        "evt.type = openat and fd.name = FOLDER/file",
        "%proc.exepath|%proc.exe_ino",
    );
    let Some(scene) = Scene::start("ev-exefile", &[acts]) else {
        return;
    };
    let (lie, file) = (scene.path("lie"), scene.path("file"));
    copy("/bin/true", &lie);
    let program = std::env::current_exe().unwrap();
    let result = scene.act(|| {
        let fd = open(&lie, libc::O_RDONLY);
        // Only where nothing of the program is mapped any more, and with CAP_SYS_RESOURCE: else it is refused.
        let result = call(
            libc::SYS_prctl,
            &[libc::PR_SET_MM.into(), libc::PR_SET_MM_EXE_FILE.into(), fd, 0, 0],
        );
        open(&file, libc::O_CREAT);
        vec![result]
    });
    let (program, inode) = (program.to_str().unwrap(), ino(program.to_str().unwrap()));
    scene.says("Acts", &format!("{program}|{inode}"));
    assert!(result[0] <= 0, "{result:?}");
    scene.end();
}

/// A program may be started without even its own name, and with more than is kept.
#[test]
fn a_program_without_arguments_or_with_too_many_is_known() {
    let cut = (
        "Cut",
        "evt.type in (execve, execveat) and evt.rawres = 0 and proc.pname startswith NAME",
        "%proc.exepath|%proc.name|%lanner.truncated",
    );
    let Some(scene) = Scene::start("ev-noargs", &[cut]) else {
        return;
    };
    let program = scene.path("program");
    copy("/bin/true", &program);
    scene.act(|| {
        let path = c(&program);
        // Without any, which Linux since 5.18 makes one that is empty; the program may take it badly.
        let nothing = begin(|| {
            call(libc::SYS_execve, &[text(&path), at(&[0i64]), at(&[0i64])]);
        });
        // SAFETY: no status is asked for.
        unsafe { libc::waitpid(nothing, std::ptr::null_mut(), 0) };
        let long = "x".repeat(100_000);
        child(|| exec(&program, &["true", &long]));
        vec![]
    });
    let mut outputs: Vec<_> = scene
        .lanner
        .wait_for_alerts("both", 2, |alert| alert["rule"] == "Cut")
        .iter()
        .map(crate::scene::output)
        .collect();
    outputs.sort();
    assert_eq!(
        outputs,
        [
            format!("{program}|program|<NA>"),
            format!("{program}|program|proc.args")
        ]
    );
    scene.end();
}
