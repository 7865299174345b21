//! Whose events are: processes and threads in cgroups of containers, below them and beside them.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lanner_capture::{Capture, Config, Host, Tier, plan};
use lanner_schema::cgroup::Hierarchy;
use lanner_schema::container::{Container, ContainerTable, Learnt, Owner};
use lanner_schema::event::{Event, Needs};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What a process does, each in a container of its own; the last opens are those whose owner is looked at.
const PARTS: [&str; 6] = ["beside", "inside", "nested", "deep", "threads", "runtime"];

/// An id that only the cgroup's path tells of; the runtime's container has none in its path.
fn id(part: &str) -> String {
    let number = PARTS.iter().position(|p| *p == part).unwrap_or(0);
    format!("{:056x}{number:08x}", std::process::id())
}

/// The file a part opens when it is where it wants to be; it does not exist.
fn mark(part: &str, who: &str) -> String {
    format!("/absent/{part}-{who}")
}

/// Plays every part in a process of its own, and compares whose its opens are with whose they must be.
pub(crate) fn check(tier: Tier) -> Result<ExitCode> {
    let host = Host::probe();
    let Some(hierarchy) = host.cgroups.clone() else {
        println!("SKIP no cgroups are mounted");
        return Ok(ExitCode::SUCCESS);
    };
    let version = hierarchy
        .controller
        .map_or("version 2", |controller| controller.name());
    println!("selfcheck: kernel {}, cgroups of {version}", host.kernel);
    if tier == Tier::Raw && hierarchy.controller.is_some() {
        // A program knows the cgroup of version 2; /proc tells of others when a program is started.
        println!("SKIP owners: without the kernel's types nothing tells of a cgroup of version 1 in time");
        return Ok(ExitCode::SUCCESS);
    }
    let top = hierarchy
        .mount
        .join(format!("lanner-selfcheck-{}", std::process::id()));
    if let Err(error) = fs::create_dir(&top) {
        println!("SKIP {}: {error}", top.display());
        return Ok(ExitCode::SUCCESS);
    }
    let outcome = run(&host, tier, &hierarchy, &top);
    remove(&top);
    outcome
}

fn run(host: &Host, tier: Tier, hierarchy: &Hierarchy, top: &Path) -> Result<ExitCode> {
    let place = |part: &str| match part {
        "beside" | "runtime" => top.join(part),
        _ => top.join(id(part)),
    };
    for part in PARTS {
        fs::create_dir(place(part))?;
    }
    let table = ContainerTable::new();
    let known = container(&id("runtime"), fs::metadata(place("runtime"))?.ino());
    table.update(|containers| containers.insert(Arc::new(known)));
    let needs = Needs {
        events: [Event::Openat].into_iter().collect(),
        ..Needs::default()
    };
    let config = Config {
        tier,
        ..Config::default()
    };
    let plan = plan(host, &needs, &config)?;
    println!("selfcheck: {plan}");
    let mut capture = Capture::start(plan, &config, &table)?;
    let stop = Arc::new(AtomicBool::new(false));
    let player = std::thread::spawn({
        let stop = Arc::clone(&stop);
        let places: Vec<(&str, PathBuf)> = PARTS.iter().map(|part| (*part, place(part))).collect();
        let is_first = hierarchy.controller.is_some();
        move || {
            let played = places
                .iter()
                .try_for_each(|(part, place)| play_apart(part, place, is_first));
            stop.store(true, Ordering::Relaxed);
            played
        }
    });
    let mut owners: HashMap<String, String> = HashMap::new();
    capture.run(&stop, &mut |view| {
        for path in view
            .paths
            .iter()
            .filter(|path| path.path.starts_with(b"/absent/"))
        {
            let owner = match view.owner {
                Owner::Host => "host".to_owned(),
                Owner::Container(container) => container.full_id.clone(),
            };
            owners.insert(String::from_utf8_lossy(path.path).into_owned(), owner);
        }
    })?;
    player.join().map_err(|_| "the player panicked")??;
    println!("{}", capture.stats());
    let mut failed = 0;
    let wanted = [
        ("beside", "main"),
        ("inside", "main"),
        ("inside", "child"),
        ("nested", "main"),
        ("deep", "main"),
        ("threads", "main"),
        ("threads", "thread"),
        ("runtime", "main"),
    ];
    for (part, who) in wanted {
        let owner = match part {
            "beside" => "host".to_owned(),
            _ => id(part),
        };
        let seen = owners.get(&mark(part, who)).map(String::as_str);
        if seen == Some(&owner) {
            println!("ok   [{part} {who}] the {who}'s opens are {owner}'s");
        } else {
            println!("FAIL [{part} {who}] the {who}'s opens are {owner}'s, not {seen:?}");
            failed += 1;
        }
    }
    println!(
        "selfcheck: {} passed, {failed} failed, 0 skipped",
        wanted.len() - failed
    );
    Ok(match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn play_apart(part: &str, place: &Path, is_first: bool) -> std::result::Result<(), String> {
    let exe = std::env::current_exe().map_err(|e| e.to_string())?;
    let status = Command::new(exe)
        .args(["own", part])
        .arg(place)
        .arg(if is_first { "1" } else { "2" })
        .status()
        .map_err(|e| e.to_string())?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("part {part}: {status}")),
    }
}

/// One part, in its own process.
pub(crate) fn play(part: &str, place: &Path, version: &str) -> Result<()> {
    join(place)?;
    match part {
        "nested" => {
            // As an init system in a container does.
            let own = place.join("init");
            fs::create_dir(&own)?;
            join(&own)?;
        }
        "deep" | "runtime" => {
            let deep = place.join("a/b/c");
            fs::create_dir_all(&deep)?;
            join(&deep)?;
        }
        _ => {}
    }
    if part == "threads" {
        let place = place.to_owned();
        let version = version.to_owned();
        let thread = std::thread::spawn(move || {
            let inner = place.join("workers");
            fs::create_dir(&inner)?;
            // SAFETY: no arguments.
            let tid = unsafe { libc::gettid() }.to_string();
            if version == "1" {
                fs::write(inner.join("tasks"), tid)?;
            } else {
                fs::write(inner.join("cgroup.type"), "threaded")?;
                fs::write(inner.join("cgroup.threads"), tid)?;
            }
            let _ = fs::File::open(mark("threads", "thread"));
            Ok::<_, std::io::Error>(())
        });
        thread.join().map_err(|_| "the thread panicked")??;
    }
    if part == "inside" {
        let status = Command::new("/proc/self/exe")
            .args(["open", &mark(part, "child")])
            .status()?;
        if !status.success() {
            return Err("the child failed".into());
        }
    }
    let _ = fs::File::open(mark(part, "main"));
    Ok(())
}

fn join(place: &Path) -> Result<()> {
    let file = place.join("cgroup.procs");
    fs::write(&file, std::process::id().to_string())
        .map_err(|error| format!("{}: {error}", file.display()).into())
}

/// Removes a cgroup and what is in it. Its processes have ended, but the kernel may take a moment to say so.
fn remove(top: &Path) {
    for entry in fs::read_dir(top).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    for _ in 0..100 {
        if fs::remove_dir(top).is_ok() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn container(id: &str, cgroup: u64) -> Container {
    Container {
        name: Some("runtime".into()),
        cgroup,
        ..Container::new(id, "containerd", Learnt::Start)
    }
}
