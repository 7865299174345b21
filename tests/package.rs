//! The Debian package, built of the program under test: what is in it, that what it brings fits the program, and that it can
//! be installed, upgraded and purged on this machine, of which nothing is changed. On a new Debian that is `make deb-check`.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use support::{lanner, repository, skip};

fn run(program: &str, arguments: &[&str]) -> Output {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[test]
fn a_package_has_what_an_installation_needs() {
    for program in ["dpkg-deb", "dpkg-shlibdeps"] {
        if Command::new(program).arg("--version").output().is_err() {
            return skip(&format!("{program} is not installed"));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let build = repository().join("deploy/debian/build.sh");
    let mut command = Command::new(build);
    // A program for tests is large.
    let program = path("lanner");
    run("strip", &["-o", &program, lanner::PROGRAM]);
    command
        .args([&program, &path("")])
        .env("DPKG_DEB_COMPRESSOR_TYPE", "none");
    let built = command.output().unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let archive = String::from_utf8(built.stdout).unwrap();
    let archive = archive.trim_end();
    assert!(
        archive.ends_with(".deb") && archive.contains(concat!("/lanner_", env!("CARGO_PKG_VERSION"), "_")),
        "{archive}"
    );
    run("dpkg-deb", &["-R", archive, &path("package")]);
    let package = folder.path().join("package");
    let read = |name: &str| fs::read_to_string(package.join(name)).unwrap();

    let control = read("DEBIAN/control");
    let field = |name: &str| {
        control
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    assert_eq!(field("Version:"), Some(env!("CARGO_PKG_VERSION")));
    let depends = field("Depends:").unwrap();
    assert!(
        depends.contains("libc6 (>= ") && depends.contains("libelf1"),
        "{depends}"
    );
    // What an upgrade keeps.
    let files = ["lanner.yaml", "lanner_rules.local.yaml", "lanner_rules.yaml"];
    assert_eq!(
        read("DEBIAN/conffiles"),
        files.map(|file| format!("/etc/lanner/{file}\n")).concat()
    );
    let built_in = fs::read_to_string(repository().join("rules/lanner_rules.yaml")).unwrap();
    assert_eq!(read("etc/lanner/lanner_rules.yaml"), built_in);
    assert!(package.join("etc/lanner/rules.d").is_dir());
    for script in ["postinst", "prerm", "postrm"] {
        run(
            "sh",
            &["-n", package.join("DEBIAN").join(script).to_str().unwrap()],
        );
    }

    // The units call the program as it can be called, and what they put in place is there.
    for unit in ["lanner", "lanner-keeper"] {
        let text = read(&format!("usr/lib/systemd/system/{unit}.service"));
        let start = text
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart="))
            .unwrap();
        let mut words = start.split(' ');
        let program = words.next().unwrap().trim_start_matches('/');
        assert!(package.join(program).is_file(), "{start}");
        let mut command = Command::new(lanner::PROGRAM);
        let output = command.args(words).arg("--help").output().unwrap();
        assert!(output.status.success(), "{start}");
        let page = text
            .lines()
            .find_map(|line| line.strip_prefix("Documentation=man:"))
            .unwrap();
        let page = page.replace('(', ".").replace(')', ".gz");
        assert!(package.join("usr/share/man/man1").join(&page).is_file(), "{page}");
    }

    let complete = ". \"$0\" && COMP_WORDS=(lanner cov) COMP_CWORD=1 && _lanner lanner cov lanner && printf %s \"${COMPREPLY[*]}\"";
    let completions = package.join("usr/share/bash-completion/completions/lanner");
    let completed = run("bash", &["-c", complete, completions.to_str().unwrap()]);
    assert_eq!(String::from_utf8_lossy(&completed.stdout), "coverage");
    assert!(package.join("usr/share/man/man5/lanner.yaml.5.gz").is_file());

    if let Some(reason) = lanner::impossible() {
        return skip(&format!("the package is not installed: {reason}"));
    }
    for (suite, system) in [("this", "a copy of this system"), ("bookworm", "a new Debian")] {
        if let Err(reason) = installs(suite, archive, folder.path()) {
            skip(&format!("the package is not installed in {system}: {reason}"));
        }
    }
}

/// Installs, upgrades and purges it in a minimal Debian of a suite, or in a copy of `this` machine's own system. What is said
/// goes to a file, so that nothing that is left running keeps the test waiting; what hangs is named, and ends. `Err` is the
/// reason why this machine can't do it.
fn installs(suite: &str, archive: &str, folder: &Path) -> Result<(), String> {
    let folder = folder.join(suite);
    let (log, scratch) = (folder.join("log"), folder.join("scratch"));
    fs::create_dir(&folder).unwrap();
    fs::create_dir(&scratch).unwrap();
    let file = fs::File::create(&log).unwrap();
    let mut script = Command::new(repository().join("tests/machine/deb_check.sh"))
        .args([suite, archive])
        .env("LANNER_MACHINE_DIR", support::machine_dir())
        .env("TMPDIR", &scratch)
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .process_group(0)
        .spawn()
        .unwrap();
    let group = Pid::from_raw(script.id().try_into().unwrap());
    let deadline = Instant::now() + Duration::from_secs(900);
    let status = loop {
        if let Some(status) = script.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() > deadline {
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let said = |what: &str| format!("{what}:\n{}", fs::read_to_string(&log).unwrap());
    let Some(status) = status else {
        let group_id = group.to_string();
        let mut processes = Command::new("ps");
        processes.args(["-e", "-o", "pgid,pid,ppid,etimes,stat,wchan:24,args"]);
        let running = processes.output().map(|output| output.stdout).unwrap_or_default();
        let running = String::from_utf8_lossy(&running);
        let of_group: Vec<&str> = running
            .lines()
            .filter(|line| line.split_whitespace().next() == Some(&group_id))
            .collect();
        let _ = killpg(group, Signal::SIGKILL);
        let _ = script.wait();
        panic!("{}\n{}", said("it did not end"), of_group.join("\n"));
    };
    match status.code() {
        Some(0) => Ok(()),
        Some(77) => Err(said("skipped").lines().last().unwrap_or_default().to_owned()),
        _ => panic!("{}", said("it failed")),
    }
}

#[test]
fn the_shipped_files_are_accepted() {
    let of = |name: &str| {
        repository()
            .join("deploy")
            .join(name)
            .to_str()
            .unwrap()
            .to_owned()
    };
    let (rules, config) = (of("debian/lanner_rules.local.yaml"), of("lanner.yaml"));
    let output = run(lanner::PROGRAM, &["-V", &rules, "-c", &config]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{rules}: Ok\n"));
}
