//! `--support`: what a report of a problem should have, in one JSON object, as Falco gives it.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use lanner_engine::RulesFile;
use serde_json::{Value, json};

use crate::config::Config;
use crate::version;

/// The report. It needs no rules that load: a report is about what does not.
///
/// # Errors
/// When the system does not say what it is.
pub(crate) fn report(config: &Config, files: &[RulesFile]) -> anyhow::Result<String> {
    let system = nix::sys::utsname::uname().context("the system does not say what it is")?;
    let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
    let cmdline: Vec<String> = std::env::args_os().map(|argument| text(&argument)).collect();
    let report = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "engine_info": version::as_json(),
        "system_info": {
            "sysname": text(system.sysname()),
            "nodename": text(system.nodename()),
            "release": text(system.release()),
            "version": text(system.version()),
            "machine": text(system.machine()),
        },
        "cmdline": cmdline.join(" "),
        "config": config.file.as_deref().map(content).unwrap_or_default(),
        "rules_files": files.iter().map(rules_file).collect::<Vec<_>>(),
    });
    Ok(format!("{report}\n"))
}

/// A file's text, as far as it can be read: it was, a moment ago.
fn content(path: &Path) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

fn rules_file(file: &RulesFile) -> Value {
    let required = lanner_engine::required_engine_version(file).unwrap_or_default();
    json!({
        "name": file.name,
        "variants": [{
            "required_engine_version": required.to_string(),
            "content": file.text,
        }],
    })
}
