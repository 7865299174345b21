//! Configuration and rules are read anew while Lanner watches: on SIGHUP, and when their files change.
//!
//! A thread of its own reads and checks them, and makes the rules; the event thread only takes them over ([`crate::judge`]).
//! What is wrong leaves everything as it was, is logged, and is an alert: Falco's "hot restart failure".

mod places;
mod unchanged;

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail};
use lanner_capture::{Host, Plan, Tier};
use lanner_engine::{Priority, RulesFile, internal_alert};
use lanner_outputs::{Outputs, Replacement};
use lanner_schema::event::Needs;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::watch as tokio_watch;

use crate::cli::{Cli, FalcoOptions};
use crate::config::{self, Config};
use crate::judge::{Change, Progress};
use crate::metrics::{InForce, Instruments};
use crate::{load, log, rules, run, schema, watch};
use places::{Contents, Places};

/// The alert's rule, as dashboards know it.
const RULE: &str = "Falco internal: hot restart failure";
/// How long files must have been left alone: who writes several is to be done with it.
const QUIET: Duration = Duration::from_millis(200);
/// How long that is waited for at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was said when Lanner was started, and is read again.
#[derive(Debug)]
pub(crate) struct Sources {
    /// `-c`.
    config: Option<PathBuf>,
    /// A text that wins over the default file, and where it is from.
    over: Option<(String, PathBuf)>,
    /// The plugin's name, where the runtime gave it.
    plugin_name: Option<String>,
    options: Vec<String>,
    rules: Vec<PathBuf>,
    unbuffered: bool,
    falco: FalcoOptions,
    /// Rules from pipes, which can't be read again.
    kept: Vec<RulesFile>,
    /// What the files held when they were read.
    contents: Contents,
}

impl Sources {
    /// The sources of a configuration that was just read.
    pub(crate) fn new(cli: &Cli, over: Option<(String, PathBuf)>, config: &Config) -> Sources {
        let mut sources = Sources {
            config: cli.config.clone(),
            plugin_name: over.is_some().then(|| config.nri.plugin_name.clone()),
            over,
            options: cli.options.clone(),
            rules: cli.rules.clone(),
            unbuffered: cli.unbuffered,
            falco: cli.falco.clone(),
            kept: Vec::new(),
            contents: Contents::default(),
        };
        sources.contents = Contents::of(&sources.places(config));
        sources
    }

    /// Keeps what of these files is gone once it was read.
    pub(crate) fn keep(&mut self, files: &[RulesFile]) {
        let is_pipe = |file: &&RulesFile| {
            let facts = std::fs::metadata(&file.name);
            facts.is_ok_and(|facts| !facts.is_file())
        };
        self.kept = files.iter().filter(is_pipe).cloned().collect();
    }

    /// The files and directories of a configuration.
    fn places(&self, config: &Config) -> Vec<PathBuf> {
        let mut places = config.places.clone();
        places.extend(rules::places(&self.rules, config));
        places
    }

    fn read(&self) -> anyhow::Result<Config> {
        let (mut config, messages) = match &self.over {
            Some((text, name)) => config::load_over(text, name)?,
            None => config::load(self.config.as_deref(), &self.options)?,
        };
        if messages.refused() {
            log::report_refused(&messages, config.log_stderr);
            let first = messages.errors().next().map(ToString::to_string);
            bail!("{}", first.unwrap_or_default());
        }
        log::report(&messages);
        schema::report_configuration(&config.schema);
        run::adjust(&mut config, self.unbuffered, &self.falco)?;
        if let Some(name) = &self.plugin_name {
            config.nri.plugin_name.clone_from(name);
        }
        Ok(config)
    }

    fn rules(&self, config: &Config) -> anyhow::Result<Vec<RulesFile>> {
        rules::find_but(&self.rules, config, &self.kept)
    }
}

/// The outputs; none any more when Lanner ends.
pub(crate) type SharedOutputs = Arc<Mutex<Option<Outputs>>>;

/// How often it was done.
#[derive(Debug, Default)]
pub(crate) struct Reloads {
    pub(crate) done: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// Nanoseconds since the epoch: when the last one was done, or Lanner started.
    pub(crate) last: AtomicU64,
}

/// What is in force, and what to change it with.
#[derive(Debug)]
pub(crate) struct Reloader {
    pub(crate) sources: Sources,
    pub(crate) host: Host,
    pub(crate) config: Config,
    /// The tier in force, and why: it is chosen once.
    pub(crate) tier: (Tier, String),
    /// What the rules in force need.
    pub(crate) needs: Needs,
    /// To the event thread.
    pub(crate) changes: mpsc::SyncSender<Box<Change>>,
    /// Host names that rules name.
    pub(crate) names: tokio_watch::Sender<Vec<String>>,
    pub(crate) outputs: SharedOutputs,
    pub(crate) reloads: Arc<Reloads>,
    pub(crate) instruments: Arc<Instruments>,
}

/// A reloader at work; it ends when this value goes.
#[derive(Debug)]
pub(crate) struct Reload {
    wake: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Reload {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the kernel gives no thread or pipe.
    pub(crate) fn start(reloader: Reloader) -> io::Result<Reload> {
        let (asked, wake) = io::pipe()?;
        reloader.reloads.last.store(since_epoch(), Ordering::Relaxed);
        let thread = thread::Builder::new()
            .name("lanner-reload".into())
            .spawn(move || reloader.run(asked))?;
        Ok(Reload {
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    /// Asks for a reload.
    pub(crate) fn ask(&self) {
        // Its end is told by the thread itself.
        let _ = self.wake.as_ref().map(|mut wake| wake.write_all(b"\n"));
    }
}

impl Drop for Reload {
    fn drop(&mut self) {
        drop(self.wake.take());
        // One that is reading rules right now ends by itself, and changes nothing any more.
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            let _ = thread.join();
        }
    }
}

/// What makes the thread look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Woken {
    Asked,
    Changed,
    Quiet,
    Over,
    /// Something else in a directory.
    InVain,
}

impl Reloader {
    fn run(mut self, mut asked: PipeReader) {
        let (mut watched, mut changed) = self.watch_again();
        loop {
            let limit =
                changed.map(|since| QUIET.min((since + PATIENCE).saturating_duration_since(Instant::now())));
            // A directory in which something always happens is not waited for: that wakes before a limit passes.
            let is_late = limit.is_some_and(|limit| limit.is_zero());
            let why = match wait(&mut asked, watched.as_ref(), limit) {
                Ok(Woken::Over) => return,
                Ok(Woken::InVain | Woken::Changed) if is_late => "a file changed",
                Ok(Woken::InVain) => continue,
                Ok(Woken::Changed) => {
                    changed = changed.or_else(|| Some(Instant::now()));
                    continue;
                }
                Ok(Woken::Asked) => "SIGHUP",
                Ok(Woken::Quiet) => "a file changed",
                Err(error) => {
                    tracing::error!("files are not watched and SIGHUP is not served any more: {error}");
                    return;
                }
            };
            let contents = Contents::of(&self.sources.places(&self.config));
            // Else it was touched, or written as it was.
            if why == "SIGHUP" || self.sources.contents.differ(&contents) {
                self.sources.contents = contents;
                match self.reload(why) {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => self.failed(why, &error),
                }
            }
            (watched, changed) = self.watch_again();
        }
    }

    /// Watches the files anew, and says whether they have changed since they were read: whoever writes one before it is
    /// watched is not told of otherwise.
    fn watch_again(&self) -> (Option<Places>, Option<Instant>) {
        let watched = self.watch();
        // Where nothing is watched nothing is read for it.
        let is_changed = || {
            let now = Contents::of(&self.sources.places(&self.config));
            self.sources.contents.differ(&now)
        };
        let changed = (watched.is_some() && is_changed()).then(Instant::now);
        (watched, changed)
    }

    /// Watches the files of the configuration in force.
    fn watch(&self) -> Option<Places> {
        if !self.config.watch_files {
            return None;
        }
        match Places::watch(&self.sources.places(&self.config)) {
            Ok(places) => Some(places),
            Err(error) => {
                tracing::warn!("watch_config_files: {error}: changed files are read on SIGHUP only");
                None
            }
        }
    }

    /// Reads, checks and changes over. False when the event thread is gone.
    fn reload(&mut self, why: &str) -> anyhow::Result<bool> {
        let mut config = self.sources.read()?;
        if let Some(message) = &config.unwatchable {
            bail!("{message}");
        }
        for key in unchanged::keep(&mut config, &self.config) {
            tracing::warn!("{key} was changed, and stays as it is until Lanner is restarted");
        }
        let files = self.sources.rules(&config)?;
        let ruleset = load::replace(&files, &config)?;
        run::warn_of(&config, &ruleset);
        let needs = ruleset.needs().clone();
        let plan = |needs: &Needs, config: &Config| {
            let (tier, reason) = self.tier.clone();
            let capture = lanner_capture::Config {
                tier,
                ..config.capture.clone()
            };
            let plan = lanner_capture::plan(&self.host, needs, &capture).with_context(|| {
                format!("these rules cannot be watched for in tier {tier}: Lanner must be restarted")
            })?;
            anyhow::Ok(Plan { reason, ..plan })
        };
        let mut all = needs.clone();
        all.join(&self.needs);
        let (old, mut either) = (&self.config.capture, config.capture.clone());
        either.tier = self.tier.0;
        either.excluded = either.excluded.intersection(old.excluded);
        either.unnamed_io |= old.unnamed_io;
        let mut both = lanner_capture::plan(&self.host, &all, &either).context("cannot watch this host")?;
        both.drop_failed &= self.config.capture.drop_failed;
        both.snaplen = both.snaplen.max(plan(&self.needs, &self.config)?.snaplen);
        let plan = plan(&needs, &config)?;
        let names = files.iter().map(|file| file.name.clone()).collect();
        let screen = run::screen(&config, &ruleset, plan.tier.chosen(), names);
        let said = format!("{}; capture: {plan}", screen.rules().replace('\n', " "));
        let host_names = ruleset.host_names();
        let replacement = match self.outputs().as_ref() {
            Some(outputs) => outputs.replace(&config.outputs)?,
            None => return Ok(false),
        };
        let (told, progress) = mpsc::channel();
        let change = Box::new(Change {
            ruleset,
            both,
            plan,
            alerts: replacement.as_ref().map(Replacement::sender),
            drops: config.drops.clone(),
            settings: load::settings(&config),
            told,
        });
        if self.changes.send(change).is_err() {
            return Ok(false);
        }
        match progress.recv() {
            Ok(Progress::InForce) => {}
            Ok(Progress::Failed(error)) => return Err(anyhow!("the kernel refuses the new plan: {error}")),
            Ok(Progress::Complete(_)) | Err(_) => return Ok(false),
        }
        if let Some(replacement) = replacement {
            self.adopt(replacement, &config);
        }
        log::set(&config);
        self.instruments.set_in_force(InForce::new(&config, &files));
        tracing::info!("reloaded ({why}): rules: {said}");
        self.config = config;
        self.needs = needs;
        self.names.send_replace(host_names);
        self.reloads.last.store(since_epoch(), Ordering::Relaxed);
        self.reloads.done.fetch_add(1, Ordering::Relaxed);
        match progress.recv() {
            Ok(Progress::Complete(older)) => {
                drop(older);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Goes over to other outputs; the event thread has already.
    fn adopt(&self, replacement: Replacement, config: &Config) {
        let (reporter, alerts) = (replacement.reporter(), replacement.sender());
        self.instruments.set_outputs(reporter, alerts);
        if let Some(file) = &config.outputs.file {
            run::try_file(&file.filename);
        }
        if let Some(outputs) = self.outputs().as_mut() {
            outputs.adopt(replacement, watch::DRAIN);
        }
    }

    fn outputs(&self) -> MutexGuard<'_, Option<Outputs>> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that everything stays as it is.
    fn failed(&self, why: &str, error: &anyhow::Error) {
        self.reloads.failed.fetch_add(1, Ordering::Relaxed);
        tracing::error!("not reloaded ({why}), rules and configuration stay as they are: {error:#}");
        self.instruments.alert(internal_alert(
            &load::settings(&self.config),
            since_epoch(),
            Priority::Critical,
            RULE,
            format!("{RULE}: {error:#}"),
            Vec::new(),
        ));
    }
}

fn since_epoch() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// Waits until a reload is asked for, a file changed, or the limit has passed.
fn wait(asked: &mut PipeReader, watched: Option<&Places>, limit: Option<Duration>) -> io::Result<Woken> {
    let limit = match limit {
        Some(limit) => PollTimeout::try_from(limit).unwrap_or(PollTimeout::ZERO),
        None => PollTimeout::NONE,
    };
    let mut fds = vec![PollFd::new(asked.as_fd(), PollFlags::POLLIN)];
    fds.extend(watched.map(|places| PollFd::new(places.as_fd(), PollFlags::POLLIN)));
    loop {
        match poll(&mut fds, limit) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
            Ok(0) => return Ok(Woken::Quiet),
            Ok(_) => break,
        }
    }
    let is_ready = |index: usize| fds.get(index).is_some_and(|fd| fd.any() == Some(true));
    let (is_asked, is_changed) = (is_ready(0), is_ready(1));
    if is_asked {
        let mut bytes = [0; 64];
        return Ok(match asked.read(&mut bytes)? {
            0 => Woken::Over,
            _ => Woken::Asked,
        });
    }
    match watched.filter(|_| is_changed).is_some_and(Places::changed) {
        true => Ok(Woken::Changed),
        false => Ok(Woken::InVain),
    }
}
