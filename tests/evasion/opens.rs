//! Opens: a file is found under its own name, whatever it was asked for by.

use std::os::unix::fs::{MetadataExt as _, symlink};

use crate::mounts::{apart, mount};
use crate::scene::{Scene, at, begin, c, call, call_oneself, child, end_of, made, of, open, output, text};

/// Opens of the test's secret by its name, and whatever they were asked for by.
const SECRET: (&str, &str, &str) = (
    "Secret",
    "evt.type in (open, openat, openat2) and proc.name startswith NAME and fd.num >= 0 and
     fd.name = FOLDER/deep/secret",
    "%lanner.requested_name|%lanner.real_name|%lanner.names_differ",
);

/// A folder with a secret in it.
fn secret(scene: &Scene) -> String {
    std::fs::create_dir(scene.path("deep")).unwrap();
    scene.file("deep/secret", "secret")
}

/// Each of these was opened, and found.
fn found(scene: &Scene, requested: &[String]) {
    let secret = scene.path("deep/secret");
    for requested in requested {
        scene.says(
            "Secret",
            &format!("{requested}|{secret}|{}", *requested != secret),
        );
    }
}

#[test]
fn magic_links_of_proc_lead_to_the_file() {
    let Some(scene) = Scene::start("ev-links", &[SECRET]) else {
        return;
    };
    let secret = secret(&scene);
    let folder = scene.path("deep");
    let numbers = scene.act(|| {
        std::env::set_current_dir(&folder).unwrap();
        let fd = open(&folder, libc::O_PATH);
        let file = open(&secret, libc::O_PATH);
        let pid = call(libc::SYS_getpid, &[]);
        for path in [
            format!("/proc/self/root{secret}"),
            "/proc/self/cwd/secret".to_owned(),
            format!("/proc/self/fd/{fd}/secret"),
            format!("/proc/self/fd/{file}"),
            format!("/dev/fd/{file}"),
            format!("/proc/{pid}/cwd/secret"),
            format!("/proc/{pid}/task/{pid}/fd/{fd}/../deep/secret"),
        ] {
            open(&path, libc::O_RDONLY);
        }
        // Who has no right to that is refused.
        let first = c(&format!("/proc/1/root{secret}"));
        vec![fd, file, pid, call(libc::SYS_openat, &[-100, text(&first), 0, 0])]
    });
    let (fd, file, pid) = (numbers[0], numbers[1], numbers[2]);
    let mut requested = vec![
        format!("/proc/self/root{secret}"),
        "/proc/self/cwd/secret".to_owned(),
        format!("/proc/self/fd/{fd}/secret"),
        format!("/proc/self/fd/{file}"),
        format!("/dev/fd/{file}"),
        format!("/proc/{pid}/cwd/secret"),
        format!("/proc/{pid}/task/{pid}/fd/deep/secret"),
    ];
    if numbers[3] >= 0 {
        requested.push(format!("/proc/1/root{secret}"));
    }
    found(&scene, &requested);
    scene.end();
}

#[test]
fn symbolic_links_lead_to_the_file_also_upwards() {
    let Some(scene) = Scene::start("ev-symlink", &[SECRET]) else {
        return;
    };
    let secret = secret(&scene);
    std::fs::create_dir(scene.path("deep/er")).unwrap();
    symlink(&secret, scene.path("file")).unwrap();
    symlink("deep", scene.path("folder")).unwrap();
    symlink("deep/er", scene.path("down")).unwrap();
    let asked = [
        scene.path("file"),
        scene.path("folder/secret"),
        scene.path("down/../secret"),
    ];
    scene.act(|| {
        for path in &asked {
            open(path, libc::O_RDONLY);
        }
        vec![]
    });
    // Text alone says that the last is in the test's folder.
    found(
        &scene,
        &[asked[0].clone(), asked[1].clone(), scene.path("secret")],
    );
    scene.end();
}

/// openat2() may make a directory the root, for the path and for links on its way.
#[test]
fn resolve_flags_are_told_and_lead_to_the_file() {
    let resolve = (
        "Resolve",
        "evt.type = openat2 and proc.name = NAME",
        "%evt.arg.resolve|%evt.rawres|%lanner.real_name",
    );
    let Some(scene) = Scene::start("ev-resolve", &[SECRET, resolve]) else {
        return;
    };
    let secret = secret(&scene);
    symlink("/deep/secret", scene.path("link")).unwrap();
    let folder = scene.path("");
    let results = scene.act(|| {
        let fd = open(&folder, libc::O_PATH);
        // struct open_how: flags, mode, resolve.
        let openat2 = |path: &str, resolve: u64| {
            let (path, how) = (c(path), [0, 0, resolve]);
            call(libc::SYS_openat2, &[fd, text(&path), at(&how), 24])
        };
        vec![
            openat2("/deep/secret", libc::RESOLVE_IN_ROOT),
            openat2("/link", libc::RESOLVE_IN_ROOT),
            openat2("deep/../../../deep/secret", libc::RESOLVE_IN_ROOT),
            openat2("deep/secret", libc::RESOLVE_BENEATH),
            openat2("link", libc::RESOLVE_NO_SYMLINKS),
        ]
    });
    let folder = scene.path("");
    let folder = folder.trim_end_matches('/');
    found(&scene, &[secret.clone(), format!("{folder}/link")]);
    for (result, flags) in results.iter().zip([
        "RESOLVE_IN_ROOT",
        "RESOLVE_IN_ROOT",
        "RESOLVE_IN_ROOT",
        "RESOLVE_BENEATH",
    ]) {
        scene.says("Resolve", &format!("{flags}|{result}|{secret}"));
    }
    scene.says("Resolve", &format!("RESOLVE_NO_SYMLINKS|{}|<NA>", results[4]));
    scene.end();
}

/// A process that shares its working directory has it changed by the other.
#[test]
fn a_working_directory_that_a_sibling_changes_is_the_one_that_counts() {
    let cwd = (
        "Cwd",
        "evt.type = openat and fd.name endswith /secret and proc.name = NAME",
        "%proc.cwd|%fd.name",
    );
    let Some(scene) = Scene::start("ev-sharedfs", &[SECRET, cwd]) else {
        return;
    };
    let (secret, folder) = (secret(&scene), scene.path("deep"));
    scene.act(|| {
        std::env::set_current_dir("/").unwrap();
        // struct clone_args: flags and, as the fifth, the signal at the end.
        let flags = u64::try_from(libc::CLONE_FS).unwrap();
        let other = made(libc::SYS_clone3, &[at(&[flags, 0, 0, 0, 17, 0, 0, 0]), 64]);
        if other == 0 {
            call_oneself(c"ev-mover");
            std::env::set_current_dir(&folder).unwrap();
            // SAFETY: nothing is left to do.
            unsafe { libc::_exit(0) };
        }
        end_of(i32::try_from(other).unwrap());
        open("secret", libc::O_RDONLY);
        vec![]
    });
    found(&scene, std::slice::from_ref(&secret));
    let output = scene.output("Cwd");
    assert!(output.ends_with(&format!("|{secret}")), "{output}");
    scene.end();
}

/// Longer than what is kept of a text, deeper than what is walked of a path, and both.
#[test]
fn long_and_deep_paths_keep_their_ends() {
    let deep = (
        "Deep",
        "evt.type in (openat, write) and proc.name = NAME and fd.name endswith /needle",
        "%evt.type|%fd.filename|%evt.arg.flags|%fd.ino|%lanner.truncated",
    );
    let Some(scene) = Scene::start("ev-long", &[SECRET, deep]) else {
        return;
    };
    let secret = secret(&scene);
    let (folder, root) = (scene.path("deep"), scene.path(""));
    let results = scene.act(|| {
        // As long as the kernel takes, and about nothing: 4095 bytes.
        let fill = 4095 - folder.len() - "/secret".len();
        let long = format!("{folder}{}/secret", "/.".repeat(fill / 2));
        open(&long, libc::O_RDONLY);
        open(&format!("{folder}{}/secret", "/".repeat(fill)), libc::O_RDONLY);
        // A working directory far deeper than that, and in it a short name.
        std::env::set_current_dir(&root).unwrap();
        let name = "d".repeat(200);
        for _ in 0..30 {
            let path = c(&name);
            made(libc::SYS_mkdirat, &[-100, text(&path), 0o700]);
            made(libc::SYS_chdir, &[text(&path)]);
        }
        let fd = open("needle", libc::O_CREAT | libc::O_WRONLY);
        made(libc::SYS_write, &[fd, at(b"x"), 1]);
        let inode = std::fs::metadata(format!("/proc/self/fd/{fd}")).unwrap().ino();
        vec![inode as i64]
    });
    scene
        .lanner
        .wait_for_alerts("both long ones", 2, |alert| alert["rule"] == "Secret");
    assert!(!secret.is_empty());
    for event in ["openat", "write"] {
        let alert = scene.lanner.wait_for_alert(event, |alert| {
            alert["rule"] == "Deep" && of(alert, "evt.type") == event
        });
        assert_eq!(of(&alert, "fd.filename"), "needle", "{alert}");
        assert_eq!(of(&alert, "fd.ino"), results[0].to_string(), "{alert}");
    }
    scene.end();
}

/// The kernel reads the name once, and a tracer once more: another thread changes it between.
#[test]
fn a_path_that_another_thread_changes_is_what_was_opened() {
    let Some(scene) = Scene::start(
        "ev-toctou",
        &[
            SECRET,
            (
                "Changed",
                "evt.type = openat and proc.name = NAME and lanner.names_differ = true and
                 lanner.requested_name startswith FOLDER/deep/",
                "%lanner.requested_name|%lanner.real_name",
            ),
        ],
    ) else {
        return;
    };
    let secret = secret(&scene);
    let innocent = scene.file("deep/harmle", "harmless");
    assert_eq!(secret.len(), innocent.len());
    let inode = std::fs::metadata(&secret).unwrap().ino();
    let counts = scene.act(|| {
        // The names differ within one word, which is changed as one. Kernel and tracer read a word at a time from the
        // path's beginning: where that word is one of theirs, a name is one or the other and never a part of each.
        let folder = innocent.len() - "harmle".len();
        let padding = folder.next_multiple_of(8) - folder;
        let words = [&secret, &innocent].map(|name| {
            let mut word = [0; 8];
            word[..6].copy_from_slice(&name.as_bytes()[folder..]);
            u64::from_ne_bytes(word)
        });
        let path: Vec<u64> = (innocent[..folder].to_owned() + &"/".repeat(padding))
            .as_bytes()
            .chunks_exact(8)
            .map(|eight| u64::from_ne_bytes(eight.try_into().unwrap()))
            .chain([words[1]])
            .collect();
        let word_index = path.len() - 1;
        let path = path.leak().as_mut_ptr();
        let start = path as usize;
        let word = path.wrapping_add(word_index) as usize;
        std::thread::spawn(move || {
            loop {
                for value in words {
                    // SAFETY: the last word of a text that is never given back.
                    unsafe { (word as *mut u64).write_volatile(value) };
                }
            }
        });
        let (mut secrets, mut all) = (0, 0);
        while secrets < 200 && all < 100_000 {
            let fd = made(libc::SYS_openat, &[-100, start as i64, 0, 0]);
            let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
            // SAFETY: room for it.
            let looked = unsafe { libc::fstat(i32::try_from(fd).unwrap(), stat.as_mut_ptr()) };
            assert_eq!(looked, 0);
            // SAFETY: the call has filled it.
            secrets += i64::from(unsafe { stat.assume_init() }.st_ino == inode);
            all += 1;
            made(libc::SYS_close, &[fd]);
        }
        vec![secrets, all]
    });
    assert!(counts[0] > 0, "{counts:?}");
    let opened =
        |alert: &serde_json::Value| alert["rule"] == "Secret" && of(alert, "lanner.real_name") == secret;
    let count = usize::try_from(counts[0]).unwrap();
    scene
        .lanner
        .wait_for_alerts("every time it was opened", count, opened);
    // Some of them asked for the other by the time a tracer looked, most likely; each says so.
    for alert in scene.lanner.alerts() {
        if alert["rule"] == "Changed" {
            let both = output(&alert);
            assert!(
                both == format!("{secret}|{innocent}") || both == format!("{innocent}|{secret}"),
                "{both}"
            );
        }
    }
    scene.end();
}

/// Another root, and the old one by a descriptor that was kept.
#[test]
fn what_is_outside_a_changed_root_is_named_as_far_as_it_is_known() {
    let seen = (
        "Seen",
        "evt.type = openat and proc.name = NAME and evt.rawres >= 0 and (fd.filename = secret or fd.filename = inside)",
        "%fd.name|%lanner.requested_name|%lanner.real_name|%fd.ino",
    );
    let Some(scene) = Scene::start("ev-jail", &[seen]) else {
        return;
    };
    let secret = secret(&scene);
    let jail = scene.path("jail");
    std::fs::create_dir(&jail).unwrap();
    std::fs::write(scene.path("jail/inside"), "").unwrap();
    let (inode, folder) = (std::fs::metadata(&secret).unwrap().ino(), scene.path("deep"));
    scene.act(|| {
        let fd = open(&folder, libc::O_PATH);
        let path = c(&jail);
        made(libc::SYS_chroot, &[text(&path)]);
        made(libc::SYS_chdir, &[text(c"/")]);
        open("inside", libc::O_RDONLY);
        made(libc::SYS_openat, &[fd, text(c"secret"), 0, 0]);
        vec![]
    });
    scene.lanner.wait_for_alert("inside", |alert| {
        output(alert).starts_with("/inside|/inside|/inside|")
    });
    let alert = scene
        .lanner
        .wait_for_alert("outside", |alert| of(alert, "fd.ino") == inode.to_string());
    assert_eq!(of(&alert, "lanner.real_name"), secret, "{alert}");
    scene.end();
}

/// The same file by a mount of its folder: its name is the mount's, its identity its own.
#[test]
fn a_bind_mount_of_a_file_over_an_innocent_one_keeps_its_identity() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "").unwrap();
    let inode = std::fs::metadata(&secret).unwrap().ino();
    let by_inode = format!("evt.type = openat and proc.name = NAME and fd.ino = {inode}");
    let Some(scene) = Scene::start(
        "ev-bindfile",
        &[("Inode", &by_inode, "%fd.name|%lanner.real_name")],
    ) else {
        return;
    };
    let innocent = scene.file("innocent", "");
    let from = secret.to_str().unwrap().to_owned();
    scene.act(|| {
        apart();
        mount(&from, &innocent);
        open(&innocent, libc::O_RDONLY);
        vec![]
    });
    scene.says("Inode", &format!("{innocent}|{innocent}"));
    scene.end();
}

/// A name that is another's by the time anybody looks.
#[test]
fn a_file_that_is_renamed_at_once_was_still_opened() {
    let Some(scene) = Scene::start("ev-renamed", &[SECRET]) else {
        return;
    };
    let secret = secret(&scene);
    let away = scene.path("away");
    scene.act(|| {
        child(|| {
            call_oneself(c"ev-renamed-opener");
            open(&secret, libc::O_RDONLY);
        });
        let (from, to) = (c(&secret), c(&away));
        made(libc::SYS_rename, &[text(&from), text(&to)]);
        let other = begin(|| {
            let fd = open(&away, libc::O_RDONLY);
            made(libc::SYS_close, &[fd]);
        });
        end_of(other);
        vec![]
    });
    found(&scene, &[secret]);
    scene.end();
}
