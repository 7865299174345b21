//! Rules that change while capture runs: what the old ones needed is no longer seen, what the new ones need is, and in the
//! tier that stands on single calls the programs follow.

use std::collections::HashSet;
use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{ChildStdin, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lanner_capture::{Audience, Capture, Config, Host, Losses, Pause, Plan, Tier, plan};
use lanner_schema::container::ContainerTable;
use lanner_schema::event::{Event, Needs};
use lanner_schema::path_hook;
use lanner_schema::view::EventView;
use libbpf_rs::query::{LinkInfoIter, ProgInfoIter};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(120);

/// What is done: with the first rules, and with the others.
struct Watcher {
    player: u32,
    orders: ChildStdin,
    /// What the other rules need, until they are loaded.
    next: Option<Plan>,
    /// The names of the calls that were shown of the player, and of its second directory.
    seen: Vec<(Event, bool)>,
    /// The programs on single calls and on what these pass by, before and after.
    programs: [Vec<String>; 2],
    error: Option<String>,
    since: Instant,
    stop: Arc<AtomicBool>,
}

impl Watcher {
    fn has(&self, event: Event) -> bool {
        self.seen.iter().any(|(seen, _)| *seen == event)
    }

    fn order(&mut self, line: &str) {
        if let Err(error) = writeln!(self.orders, "{line}") {
            self.error.get_or_insert_with(|| error.to_string());
        }
    }
}

impl Audience for Watcher {
    fn event(&mut self, event: &EventView<'_>, _at: u64) {
        if event.pid == self.player {
            let second = event.paths.iter().any(|path| path.path.ends_with(b"/second"));
            self.seen.push((event.event, second));
        }
    }

    fn losses(&mut self, _losses: &Losses) -> ControlFlow<()> {
        match self.error.is_some() || self.since.elapsed() > PATIENCE {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn pause(&mut self, pause: &mut Pause<'_>) {
        if self.has(Event::Rmdir) {
            self.stop.store(true, Ordering::Relaxed);
        }
        if !self.has(Event::Mkdir) {
            return;
        }
        let Some(next) = self.next.take() else { return };
        self.programs[0] = on_calls();
        if let Err(error) = pause.change(next) {
            self.error = Some(error.to_string());
        }
        self.programs[1] = on_calls();
        self.order("second");
    }
}

/// Of what is attached, the programs of a few instructions that stand on the two calls, which are called after them, and those that
/// note what the calls work on. Each once: a call has one for each convention of calling it.
fn on_calls() -> Vec<String> {
    let attached: HashSet<u32> = LinkInfoIter::default().map(|link| link.prog_id).collect();
    let programs = ProgInfoIter::default().filter(|program| attached.contains(&program.id));
    let mut names: Vec<String> = programs
        .map(|program| program.name.to_string_lossy().into_owned())
        .filter(|name| ["mkdir", "rmdir"].contains(&name.trim_start_matches("path_")))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Watches a process with rules that want `mkdir` and its names, and then with rules that want `rmdir` and its names, and what
/// `close` closes, which takes a program at the start of calls.
pub(crate) fn check(tier: Tier) -> Result<ExitCode> {
    let host = Host::probe();
    let planned = |events: &[Event]| {
        let mut needs = Needs {
            events: events.iter().copied().collect(),
            ..Needs::default()
        };
        for event in events {
            needs.params[*event as usize] = path_hook::noted(event.row()) | event.row().at_enter();
        }
        let config = Config {
            tier,
            ..Config::default()
        };
        Ok::<_, Box<dyn Error>>((plan(&host, &needs, &config)?, config))
    };
    let (first, config) = planned(&[Event::Mkdir])?;
    let (next, _) = planned(&[Event::Rmdir, Event::Close])?;
    let (tier, takes_notes) = (first.tier, first.path_hooks.is_some());
    let folder = std::env::temp_dir().join(format!("lanner-selfcheck-reload-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut capture = Capture::start(first, &config, &ContainerTable::new())?;
    let mut player = Command::new(std::env::current_exe()?)
        .arg("reload")
        .arg(&folder)
        .stdin(Stdio::piped())
        .spawn()?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut watcher = Watcher {
        player: player.id(),
        orders: player.stdin.take().ok_or("the player has no input")?,
        next: Some(next),
        seen: Vec::new(),
        programs: [Vec::new(), Vec::new()],
        error: None,
        since: Instant::now(),
        stop: Arc::clone(&stop),
    };
    watcher.order("first");
    capture.run_with(&stop, &mut watcher)?;
    let Watcher {
        orders,
        seen,
        programs,
        error,
        ..
    } = watcher;
    drop(orders);
    player.wait()?;
    let _ = std::fs::remove_dir_all(&folder);
    let is_followed = match (tier, takes_notes) {
        (Tier::Trampoline, true) => programs == [["mkdir", "path_mkdir"], ["path_rmdir", "rmdir"]],
        (Tier::Trampoline, false) => programs == [["mkdir"], ["rmdir"]],
        // Whoever else has programs of that name here.
        _ => programs[0] == programs[1],
    };
    let mut failed = 0;
    let mut tell = |holds: bool, what: &str| {
        println!("{} [reload {what}]", if holds { "ok  " } else { "FAIL" });
        failed += u32::from(!holds);
    };
    tell(error.is_none(), &format!("the programs were told {error:?}"));
    tell(
        seen.contains(&(Event::Mkdir, false)),
        "what the first rules want is seen",
    );
    tell(
        seen.iter().any(|(event, _)| *event == Event::Rmdir),
        "what the next rules want is seen",
    );
    tell(
        !seen.contains(&(Event::Mkdir, true)),
        "what they do not want is not",
    );
    tell(
        is_followed,
        &format!("programs on single calls follow {programs:?}"),
    );
    println!("selfcheck: {} passed, {failed} failed, 0 skipped", 5 - failed);
    Ok(match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Does it, when it is told to.
pub(crate) fn play(folder: &Path) -> Result<()> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        std::fs::create_dir(folder.join(&line))?;
        if line == "second" {
            std::fs::remove_dir(folder.join("first"))?;
        }
    }
    Ok(())
}
