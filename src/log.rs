//! The program's own log: standard error, at `log_level`.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Registry, reload};

use crate::config::{Config, Level, Messages};

/// Changes what is logged.
type Filter = reload::Handle<Targets, Registry>;

static FILTER: OnceLock<Filter> = OnceLock::new();

fn filter(config: &Config) -> Targets {
    let level = match config.log_stderr {
        true => config.log_level,
        false => LevelFilter::OFF,
    };
    // Only our own crates log below warnings: libraries (HTTP/2, YAML) are chatty and nobody's configuration is about them.
    let libraries = level.min(LevelFilter::WARN);
    // Whatever begins so, which the crates of this workspace do; and the kernel's own words about programs.
    Targets::new()
        .with_default(libraries)
        .with_targets([("lanner", level), ("libbpf", level)])
}

/// Starts logging. Before this nothing is logged; it is called once.
pub(crate) fn start(config: &Config) {
    let (filter, handle) = reload::Layer::new(filter(config));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        // A log nobody reads any more must not become a panic of the thread that writes to it.
        .log_internal_errors(false);
    // It fails only when logging was started already.
    if tracing::subscriber::set_global_default(Registry::default().with(filter).with(lines)).is_ok() {
        let _ = FILTER.set(handle);
    }
}

/// Starts logging for a command that has no configuration.
pub(crate) fn start_plain(verbose: bool) {
    let level = if verbose {
        LevelFilter::DEBUG
    } else {
        LevelFilter::INFO
    };
    start(&Config {
        log_stderr: true,
        log_level: level,
        ..Config::default()
    });
}

/// Logs as another configuration says from here on.
pub(crate) fn set(config: &Config) {
    // The subscriber is there for ever.
    let _ = FILTER.get().map(|handle| handle.reload(filter(config)));
}

/// Logs what is to say about the configuration.
pub(crate) fn report(messages: &Messages) {
    for message in &messages.0 {
        match message.level {
            Level::Error => tracing::error!("{message}"),
            Level::Warning => tracing::warn!("{message}"),
            Level::Info => tracing::info!("{message}"),
        }
    }
}

/// Prints why the configuration is refused, past the log, and with `warnings` what else it warns of: who corrects the one
/// may not come back for the other. Gives the number of errors.
pub(crate) fn report_refused(messages: &Messages, warnings: bool) -> usize {
    let mut errors = 0;
    for message in &messages.0 {
        match message.level {
            Level::Error => {
                err(&format!("{message}\n{}", message.snippet().unwrap_or_default()));
                errors += 1;
            }
            Level::Warning if warnings => err(&format!("warning: {message}\n")),
            Level::Warning | Level::Info => {}
        }
    }
    errors
}

/// Whether standard output could not be written to.
static OUT_FAILED: AtomicBool = AtomicBool::new(false);

/// Prints to standard output. Unlike `print!` it does not panic when nobody reads (`lanner --list | head`); any other
/// failure is told on standard error, once, and by [`failed`].
pub(crate) fn out(text: &str) {
    let mut stdout = io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error)
            if error.kind() != io::ErrorKind::BrokenPipe && !OUT_FAILED.swap(true, Ordering::Relaxed) =>
        {
            err(&format!("lanner: cannot write to standard output: {error}\n"));
        }
        _ => {}
    }
}

/// True when something that was to be printed to standard output is lost, other than because its reader went away.
pub(crate) fn failed() -> bool {
    OUT_FAILED.load(Ordering::Relaxed)
}

/// Prints to standard error, past the log; see [`out`].
pub(crate) fn err(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
