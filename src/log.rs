//! The program's own log: standard error, at `log_level`.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;

use crate::config::{Config, Level, Messages};

/// Starts logging. Before this nothing is logged; it is called once.
pub(crate) fn start(config: &Config) {
    let level = match config.log_stderr {
        true => config.log_level,
        false => LevelFilter::OFF,
    };
    // Only our own crates log below warnings: libraries (HTTP/2, BPF) are chatty and nobody's configuration is about them.
    let libraries = level.min(LevelFilter::WARN);
    let filter = tracing_subscriber::EnvFilter::new(format!(
        "{libraries},lanner={level},lanner_capture={level},lanner_engine={level},lanner_nri={level},lanner_outputs={level}"
    ));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .finish();
    // It fails only when logging was started already.
    let _ = tracing::subscriber::set_global_default(subscriber);
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
