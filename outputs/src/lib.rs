//! Where alerts go.
//!
//! [`choose`] decides from configuration and [`Facts`] which outputs run, [`Outputs::start`] gives each its own bounded
//! queue and thread, [`AlertSender::send`] hands an alert to all of them and never blocks. A slow or failing output
//! loses its own alerts only; what is lost is counted with its reason and logged once per burst.
//!
//! This crate owns delivery. It does not format alerts (the engine does) and does not read configuration files.

#![forbid(unsafe_code)]

mod backoff;
mod choose;
mod counters;
mod datagram;
mod delivery;
mod ending;
mod file;
mod http;
mod journald;
mod kept_program;
mod lines;
#[cfg(feature = "otlp")]
mod otlp;
mod output;
mod process;
mod program;
mod sending;
mod spool;
mod stdout;
mod syslog;
mod tls;

pub use choose::{
    Choice, Config, Facts, FileConfig, HttpConfig, Journald, Kind, OtlpConfig, ProgramConfig, SpoolConfig,
    choose,
};
pub use counters::{LossReason, OutputReport};
pub use delivery::{AlertSender, Outputs, Replacement, Reporter, StartError};
pub use journald::MESSAGE_ID;
pub use tls::TlsFiles;

#[cfg(test)]
mod recipes_tests;
#[cfg(test)]
mod test_alert;
#[cfg(test)]
mod test_server;
