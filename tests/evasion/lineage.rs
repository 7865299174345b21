//! Ancestors: who started a process stays known whatever the kernel makes of it later.

use crate::scene::{Scene, at, begin, call, call_oneself, child, copy, end_of, exec, made, open, output};
use std::time::Duration;

/// What is opened at the end of each of these.
const LAST: (&str, &str, &str) = (
    "Late",
    "evt.type = openat and fd.name startswith FOLDER/late",
    "%proc.name|%proc.pname|%proc.aname[2]|%proc.aname[3]",
);

/// Longer than what is known of a process is kept for its own sake. Nothing shows from outside that Lanner has let it go.
const LONG: Duration = Duration::from_millis(7500);

/// Waits until the caller's parent has ended.
fn orphaned(parent: i64) {
    while call(libc::SYS_getppid, &[]) == parent {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A chain of processes, each of which ends once the next has begun; the last opens a file, at once and long after.
fn descend(names: &[&'static std::ffi::CStr], at_once: &str, late: &str) {
    let Some((name, rest)) = names.split_first() else {
        open(at_once, libc::O_CREAT);
        std::thread::sleep(LONG);
        // Others end meanwhile, as they always do: then those of before are let go.
        child(|| ());
        open(late, libc::O_CREAT);
        return;
    };
    let parent = call(libc::SYS_getpid, &[]);
    begin(|| {
        orphaned(parent);
        call_oneself(name);
        descend(rest, at_once, late);
    });
}

/// How this process is called, whose children the actors are.
fn own_name() -> String {
    std::fs::read_to_string(format!("/proc/{}/comm", std::process::id()))
        .unwrap()
        .trim_end()
        .to_owned()
}

fn both_say(scene: &Scene, wanted: &str) {
    let all = scene
        .lanner
        .wait_for_alerts("at once and later", 2, |alert| alert["rule"] == "Late");
    for alert in all {
        assert_eq!(output(&alert), format!("{wanted}|{}", own_name()), "{alert}");
    }
}

#[test]
fn a_daemon_keeps_its_ancestors() {
    let Some(scene) = Scene::start("ev-daemon", &[LAST]) else {
        return;
    };
    let (now, late) = (scene.path("late-now"), scene.path("late-later"));
    scene.act(|| {
        made(libc::SYS_setsid, &[]);
        descend(&[c"ev-mid", c"ev-low"], &now, &late);
        vec![]
    });
    both_say(&scene, "ev-low|ev-mid|ev-daemon");
    scene.end();
}

#[test]
fn who_is_given_to_a_reaper_nearby_keeps_its_ancestors() {
    let Some(scene) = Scene::start("ev-reaper", &[LAST]) else {
        return;
    };
    let (now, late) = (scene.path("late-now"), scene.path("late-later"));
    scene.act(|| {
        made(libc::SYS_prctl, &[libc::PR_SET_CHILD_SUBREAPER.into(), 1]);
        let first = begin(|| {
            call_oneself(c"ev-first");
            descend(&[c"ev-second"], &now, &late);
        });
        end_of(first);
        // The kernel has made this the parent of the second.
        // SAFETY: no status is asked for.
        assert!(unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } > 0);
        vec![]
    });
    both_say(&scene, "ev-second|ev-first|ev-reaper");
    scene.end();
}

#[test]
fn a_sibling_made_by_its_brother_has_the_parent_of_both() {
    let Some(scene) = Scene::start("ev-siblings", &[LAST]) else {
        return;
    };
    let (now, late) = (scene.path("late-now"), scene.path("late-later"));
    scene.act(|| {
        let parent = call(libc::SYS_getpid, &[]);
        begin(|| {
            call_oneself(c"ev-brother");
            orphaned(parent);
            // struct clone_args: flags and, as the fifth, the signal at the end.
            let flags = u64::try_from(libc::CLONE_PARENT).unwrap();
            if made(libc::SYS_clone3, &[at(&[flags, 0, 0, 0, 0, 0, 0, 0]), 64]) == 0 {
                call_oneself(c"ev-sister");
                descend(&[], &now, &late);
            }
        });
        vec![]
    });
    let all = scene
        .lanner
        .wait_for_alerts("at once and later", 2, |alert| alert["rule"] == "Late");
    for alert in all {
        let wanted = format!("ev-sister|ev-siblings|{}|", own_name());
        assert!(output(&alert).starts_with(&wanted), "{alert}");
    }
    scene.end();
}

#[test]
fn a_parent_that_becomes_another_program_is_told_as_it_is() {
    let Some(scene) = Scene::start(
        "ev-parent",
        &[(
            "Child",
            "evt.type = openat and fd.name startswith FOLDER/late",
            "%proc.name|%proc.pname|%proc.pexepath",
        )],
    ) else {
        return;
    };
    let (shell, go, file) = (scene.path("ev-shell"), scene.path("go"), scene.path("late"));
    copy("/bin/sh", &shell);
    scene.act(|| {
        let starter = begin(|| {
            begin(|| {
                call_oneself(c"ev-child");
                while !std::path::Path::new(&go).exists() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                open(&file, libc::O_CREAT);
            });
            // The shell waits for the child it does not know it has.
            let script = format!(": > {go}; while [ ! -e {file} ]; do :; done");
            exec(&shell, &["ev-shell", "-c", &script]);
        });
        end_of(starter);
        vec![]
    });
    scene.says("Child", &format!("ev-child|ev-shell|{shell}"));
    scene.end();
}
