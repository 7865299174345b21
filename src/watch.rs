//! Lanner at work: capture and rules on one thread, the container runtime on another, the rest on tokio, until something
//! ends it.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail};
use lanner_capture::{Capture, CaptureError, Host, Plan, Recorder, Stats, Tier, Window};
use lanner_engine::{RulesFile, Ruleset};
use lanner_nri::{State, Status};
use lanner_outputs::Outputs;
use lanner_schema::container::Container;
use lanner_schema::host_root::on_host;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::command::{record, seccomp_profile};
use crate::config::Config;
use crate::control::{self, Agent, Mode, Server};
use crate::drop_monitor::DropMonitor;
use crate::exit_report::{self, Report};
use crate::handover::{self, Found, Handover, Older, Turn};
use crate::host_names;
use crate::judge::Judge;
use crate::load;
use crate::log;
use crate::metrics::{Board, InForce, Instruments, Snapshots};
use crate::pidfile::Pidfile;
use crate::reload::{Reload, Reloader, SharedOutputs, Sources};
use crate::run;
use crate::runtime_side::RuntimeSide;
use crate::start_screen::Screen;
use crate::tally::Tally;
use crate::web;

/// How long alerts that are queued may take to reach their outputs when Lanner ends.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);

/// How long the start waits for the container runtime to say what runs already.
const RUNTIME_ANSWER: Duration = Duration::from_millis(500);

/// How long a newer agent waits for what it takes over: the runtime's connection, the pidfile.
const KNOWN: Duration = Duration::from_secs(3);

/// Exit code of a process that SIGINT ended, as shells see it.
const INTERRUPTED: i32 = 130;

/// What is to be done.
pub(crate) struct Task<'a> {
    pub(crate) config: &'a Config,
    /// The container runtime's side, where that works already.
    pub(crate) side: Option<RuntimeSide>,
    pub(crate) plan: Plan,
    pub(crate) ruleset: Ruleset,
    pub(crate) outputs: Outputs,
    /// Where the process id is written.
    pub(crate) pidfile: Option<&'a Path>,
    pub(crate) screen: Screen,
    /// When it ends by itself.
    pub(crate) limit: Option<Duration>,
    pub(crate) rules_files: Vec<RulesFile>,
    pub(crate) host: Host,
    /// What configuration and rules are read from again.
    pub(crate) again: Option<Sources>,
    /// What is kept of it.
    pub(crate) recording: Option<Recording>,
}

/// A recording that is made meanwhile.
pub(crate) struct Recording {
    pub(crate) recorder: Recorder,
    pub(crate) file: PathBuf,
    /// Events are judged too.
    pub(crate) alerts: bool,
}

/// Watches until SIGINT, SIGTERM, the end of the limit, of capture or of the recording, then drains and reports.
///
/// # Errors
/// When capture can't start, or ends by itself, or the recording can't be written.
pub(crate) fn watch(task: Task<'_>) -> anyhow::Result<()> {
    let Task {
        config,
        side,
        plan,
        ruleset,
        outputs,
        pidfile,
        mut screen,
        limit,
        rules_files,
        host,
        again,
        recording,
    } = task;
    let mode = match side {
        Some(_) => Mode::Plugin,
        None => Mode::Daemon,
    };
    let mut side = side.map_or_else(RuntimeSide::new, Ok)?;
    let signals = {
        let _inside = side.runtime.enter();
        Signals::listen().context("cannot listen for signals")?
    };

    // A recorder is nobody's agent.
    let socket = control::socket(config).filter(|_| recording.is_none());
    let (turn, found) = side.runtime.block_on(look_for_others(socket.as_deref(), limit));
    let in_a_row = match &found {
        Found::Older(older) if older.in_a_row() > handover::MOST_IN_A_ROW => bail!(
            "{} agents took over from each other in a row, none a minute old, so more than one service starts Lanner here: {} \
             goes on watching, and this one ends. Stop one of them, or give it another nri.plugin_name",
            handover::MOST_IN_A_ROW,
            older.process()
        ),
        Found::Older(older) => older.in_a_row(),
        _ => 0,
    };
    let mut pidfile_later = None;
    let mut written = None;
    match pidfile.map(|path| (path, Pidfile::write(path))) {
        None => {}
        Some((_, Ok(pidfile))) => written = Some(pidfile),
        // The older agent's, most likely.
        Some((path, Err(_))) if matches!(found, Found::Older(_)) => pidfile_later = Some(path),
        Some((_, Err(error))) => return Err(error),
    }

    // An older agent's is free when that has left.
    let web = match found {
        Found::Older(_) => None,
        _ => web::Listener::open(&config.web)?,
    };

    let known = match &found {
        Found::Older(older) => older.containers(),
        _ => Vec::new(),
    };
    // The runtime tells what it runs while the programs are loaded: most of it is known when the first event is captured. Not
    // so where it is to give its containers a listener, which capture makes: without one they would not start.
    let mut late = None;
    match plan.tier {
        Tier::None => late = Some(nri(config, known, Some(notify(config, &ruleset)))),
        _ => side.begin(nri(config, known, None))?,
    }
    let (table, status) = (Arc::clone(&side.table), Arc::clone(&side.status));
    let planned = plan.tier;
    let recorder = recording.as_ref().map(|recording| recording.recorder.clone());
    let capture = match recorder.clone() {
        Some(recorder) => Capture::record(plan, &config.capture, &table, recorder),
        None => Capture::start(plan, &config.capture, &table),
    }
    .context("cannot start capture")?;
    if capture.plan().tier != planned {
        screen.capture = capture.plan().to_string();
        let tier = capture.plan().tier.chosen();
        screen.gaps = tier.map_or_else(Vec::new, |tier| run::gaps(&ruleset, tier));
    }
    if let Some(nri) = late {
        side.begin(nri)?;
    }
    let RuntimeSide {
        runtime,
        stop: stop_runtime,
        stopped,
        ..
    } = side;
    let names = tokio::sync::watch::Sender::new(ruleset.host_names());
    runtime.spawn(host_names::keep(names.subscribe(), capture.host_names(), stopped));

    let window = capture.window();
    let handover = Handover::new(Arc::clone(&window), in_a_row);
    if matches!(found, Found::Older(_)) {
        window.open_at(u64::MAX);
    }
    // Events wait in the ring meanwhile: judged before, those of containers that run already would be nameless.
    runtime.block_on(meet_runtime(config, &status));
    let stop = Arc::new(AtomicBool::new(false));
    let (ended, capture_ended) = oneshot::channel();
    let (changes, changed) = mpsc::sync_channel(1);
    let board = Arc::<Board>::default();
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let instruments = Arc::new(Instruments {
        board: Arc::clone(&board),
        outputs: Mutex::new((outputs.reporter(), outputs.sender())),
        reloads: Arc::default(),
        table: Arc::clone(&table),
        status: Arc::clone(&status),
        kernel: host.kernel.clone(),
        cpus: host.cpus,
        started: u64::try_from(started.as_nanos()).unwrap_or(u64::MAX),
        in_force: Mutex::new(Arc::new(InForce::new(config, &rules_files))),
    });
    let needs = ruleset.needs().clone();
    let tier = (capture.plan().tier, capture.plan().reason.clone());
    let judge = Judge::new(
        ruleset,
        recording.as_ref().is_none_or(|recording| recording.alerts),
        outputs.sender(),
        DropMonitor::new(&config.drops, load::settings(config)),
        changed,
        Arc::clone(&board),
    );
    let thread = thread::Builder::new()
        .name("lanner-events".into())
        .spawn({
            let stop = Arc::clone(&stop);
            move || {
                // Dropped when the thread ends, by a panic too.
                let _ended = ended;
                watch_events(capture, judge, &stop)
            }
        })
        .context("cannot start the event thread")?;

    let was_older = matches!(found, Found::Older(_));
    let is_beside = matches!(found, Found::Beside(_));
    if let Found::Older(older) = found {
        runtime.block_on(take_over(older, &window, &status));
        if let Some(path) = pidfile_later {
            written = runtime.block_on(write_pidfile(path));
        }
    }
    let web = match was_older {
        true => runtime.block_on(open_web(config)),
        false => web,
    };
    let web = web.map(|web| web.serve(Arc::clone(&instruments))).transpose()?;
    let snapshots =
        Snapshots::start(Arc::clone(&instruments)).context("cannot start the thread of metrics")?;
    let control = match socket {
        // Who watches for a while only leaves the socket to who stays.
        Some(socket) if !(is_beside && limit.is_some()) => {
            let _inside = runtime.enter();
            let (table, status) = (Arc::clone(&table), Arc::clone(&status));
            let agent = Agent::new(mode, table, status, Arc::clone(&handover));
            listen(&socket, agent.with(Arc::clone(&instruments)))
        }
        _ => None,
    };
    drop(turn);

    screen.containers = containers(config, &status);
    if config.log_stderr {
        log::err(&screen.render());
    }
    lanner_capture::give_back_start();
    if let Some(recorder) = recorder.clone().filter(|_| std::io::stderr().is_terminal()) {
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                record::show_progress(&recorder);
            }
        });
    }
    let outputs: SharedOutputs = Arc::new(Mutex::new(Some(outputs)));
    let reload = again.map(|sources| {
        Reload::start(Reloader {
            sources,
            host,
            config: config.clone(),
            tier,
            needs,
            changes,
            names,
            outputs: Arc::clone(&outputs),
            reloads: Arc::clone(&instruments.reloads),
            instruments: Arc::clone(&instruments),
        })
    });
    let reload = reload.transpose().context("cannot start the reload thread")?;
    let signals = runtime.block_on(signals.wait(
        &outputs,
        capture_ended,
        limit,
        recorder,
        &handover,
        reload.as_ref(),
    ));
    drop((reload, snapshots, web));

    stop.store(true, Ordering::Relaxed);
    // A second stop signal must not wait for a drain that hangs.
    runtime.spawn(kill_on_second(signals, written));
    let watched = thread.join();
    let _ = stop_runtime.send(true);
    let outputs = outputs.lock().unwrap_or_else(PoisonError::into_inner).take();
    let outputs = outputs.map_or_else(Vec::new, |outputs| outputs.shutdown(DRAIN));
    // A newer agent that waits for this one to be gone is to find its alerts delivered.
    drop(control);
    runtime.shutdown_timeout(Duration::from_secs(1));

    let watched = watched.map_err(|_| anyhow!("the event thread panicked; its last words are above"))?;
    if let Some(recording) = recording {
        let written = recording.recorder.finish(&watched.stats);
        let written =
            written.context("the recording is not whole: what is in it up to there can be replayed")?;
        log::err(&record::summary(&recording.file, written, &watched.stats));
        if !recording.alerts {
            return watched.result.context("capture ended");
        }
    }
    exit_report::print(&Report {
        tally: &watched.tally,
        stats: &watched.stats,
        outputs: &outputs,
        containers: config.nri.enabled.then(|| status.report()),
        drops: watched.monitor.falco_lines(),
    });
    watched.result.context("capture ended")?;
    match watched.gave_up {
        true => Err(anyhow!(
            "events were lost, and syscall_event_drops.actions has \"exit\""
        )),
        false => Ok(()),
    }
}

/// What the event thread leaves.
struct Watched {
    tally: Tally,
    monitor: DropMonitor,
    /// Losses ended it.
    gave_up: bool,
    stats: Stats,
    result: Result<(), CaptureError>,
}

/// The event thread.
fn watch_events(mut capture: Capture, mut judge: Judge, stop: &AtomicBool) -> Watched {
    let result = capture.run_with(stop, &mut judge);
    Watched {
        tally: judge.tally,
        monitor: judge.monitor,
        gave_up: judge.gave_up,
        stats: capture.stats(),
        result,
    }
}

/// Whether another agent of this name watches already. The value beside it keeps others from starting meanwhile.
async fn look_for_others(socket: Option<&Path>, limit: Option<Duration>) -> (Option<Turn>, Found) {
    let Some(socket) = socket else {
        return (None, Found::Nobody);
    };
    let turn = Turn::wait(socket).await;
    // Who watches for a while only must not end who watches for ever.
    let found = handover::find(socket, limit.is_none()).await;
    if let Found::Beside(why) = &found {
        tracing::warn!("{why}; it goes on, so alerts come from both");
    }
    (Some(turn), found)
}

/// Takes the watch over from an older agent.
async fn take_over(older: Older, window: &Window, status: &Status) {
    let process = older.process();
    if older.is_connected() {
        // What it knows of containers this one knows then too.
        let deadline = Instant::now() + KNOWN;
        while !matches!(status.state(), State::Registered { .. }) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    match older.take(window).await {
        Ok(()) => tracing::info!("took over from {process}, which has left"),
        Err(error) => {
            tracing::warn!("{process} did not hand over: {error}; alerts may come from both");
            window.open_at(0);
        }
    }
}

/// Writes the pidfile of an agent that has just left.
async fn write_pidfile(path: &Path) -> Option<Pidfile> {
    let deadline = Instant::now() + KNOWN;
    loop {
        match Pidfile::write(path) {
            Ok(pidfile) => return Some(pidfile),
            Err(_) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => {
                tracing::warn!("{error:#}");
                return None;
            }
        }
    }
}

/// Listens where an older agent did that has just left. Without a web server everything else works.
async fn open_web(config: &Config) -> Option<web::Listener> {
    let deadline = Instant::now() + KNOWN;
    loop {
        match web::Listener::open(&config.web) {
            Ok(web) => return web,
            Err(_) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => {
                tracing::warn!("{error:#}");
                return None;
            }
        }
    }
}

/// Listens for commands. Without a control socket everything else works.
fn listen(path: &Path, agent: Agent) -> Option<Server> {
    match Server::listen(path, Arc::new(agent)) {
        Ok(server) => Some(server),
        Err(error) => {
            tracing::warn!(
                "runtime_directory: {}: {error}: no command can ask this Lanner",
                path.display()
            );
            None
        }
    }
}

/// What the configuration says of the container runtime's side.
fn nri(config: &Config, known: Vec<Container>, notify: Option<lanner_nri::Notify>) -> lanner_nri::Config {
    let mut nri = lanner_nri::Config {
        containerd_enabled: config.containerd.enabled,
        containerd_address: config.containerd.address.clone(),
        known,
        notify,
        ..config.nri.clone()
    };
    config.engines.tell(&config.containerd.address, &mut nri);
    nri
}

/// What containers that ask for it are notified of on a host without BPF: what the rules name now.
fn notify(config: &Config, ruleset: &Ruleset) -> lanner_nri::Notify {
    lanner_nri::Notify {
        events: seccomp_profile::wanted(ruleset).difference(config.capture.excluded),
        listener: config.seccomp_listener.display().to_string(),
        reached: on_host(&config.seccomp_listener).into_owned(),
    }
}

/// Waits a moment for the runtime, and those that are asked besides, to say what runs already. NRI does not tell of what
/// has ended before it, and containerd's lists do.
async fn meet_runtime(config: &Config, status: &Status) {
    let deadline = Instant::now() + RUNTIME_ANSWER;
    let is_met = || {
        let connects = config.nri.enabled && matches!(status.state(), State::Starting | State::Connecting);
        !connects && !status.is_listing()
    };
    while !is_met() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Who tells of containers where NRI is switched off.
pub(crate) fn without_nri(config: &Config) -> String {
    match config.containerd.enabled {
        true => format!(
            "without NRI: containerd's events, {}",
            config.containerd.address.display()
        ),
        false => {
            "by cgroup, and what docker and podman tell: nri.enabled and containerd.enabled are false".into()
        }
    }
}

/// How it stands with the container runtime.
fn containers(config: &Config, status: &Status) -> String {
    if !config.nri.enabled {
        return without_nri(config);
    }
    let mut text = format!("NRI: {status}");
    if matches!(status.state(), State::WaitingForSocket(_)) {
        text.push_str("\n(containers are known by their cgroup until a runtime with NRI is there)");
    }
    text
}

/// The signals Lanner acts on.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    reopen: Signal,
    reload: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            reopen: signal(SignalKind::user_defined1())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    /// Serves signals until one says stop, the time is over, or capture ends by itself; gives itself back for what comes
    /// after.
    async fn wait(
        mut self,
        outputs: &SharedOutputs,
        mut capture_ended: oneshot::Receiver<()>,
        limit: Option<Duration>,
        recorder: Option<Recorder>,
        handover: &Handover,
        reload: Option<&Reload>,
    ) -> Signals {
        let mut time_over = pin!(async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        });
        let mut leaving = pin!(handover.wait());
        loop {
            tokio::select! {
                leaving = &mut leaving => {
                    match leaving.to {
                        Some(pid) => tracing::info!("handed over to the Lanner with process id {pid}: leaving"),
                        None => tracing::info!("handed over to another Lanner: leaving"),
                    }
                    return self;
                }
                _ = self.interrupt.recv() => {
                    tracing::info!("SIGINT: stopping");
                    return self;
                }
                _ = self.terminate.recv() => {
                    tracing::info!("SIGTERM: stopping");
                    return self;
                }
                () = &mut time_over => {
                    tracing::info!("the time is over: stopping");
                    return self;
                }
                _ = &mut capture_ended => {
                    if recorder.is_some_and(|recorder| recorder.is_full()) {
                        tracing::info!("the recording is as large as it may be: stopping");
                        return self;
                    }
                    tracing::error!("capture ended: stopping");
                    return self;
                }
                _ = self.reopen.recv() => {
                    tracing::info!("SIGUSR1: outputs are opened anew");
                    let outputs = outputs.lock().unwrap_or_else(PoisonError::into_inner);
                    let _ = outputs.as_ref().map(Outputs::reopen);
                }
                _ = self.reload.recv() => {
                    match reload {
                        Some(reload) => reload.ask(),
                        None => tracing::warn!("SIGHUP: the rules of a recording stay as they are"),
                    }
                }
            }
        }
    }
}

/// Ends the process at the next stop signal. The pidfile goes with this task, be it by that signal or with the runtime.
async fn kill_on_second(mut signals: Signals, pidfile: Option<Pidfile>) {
    tokio::select! {
        _ = signals.interrupt.recv() => {}
        _ = signals.terminate.recv() => {}
    }
    drop(pidfile);
    log::err("lanner: second signal, ending without draining\n");
    process::exit(INTERRUPTED);
}
