//! `--version`: what this is and what it is compatible with, under Falco's names.

use lanner_engine::{BUILT_IN_PLUGINS, ENGINE_VERSION};
use serde_json::{Map, Value, json};

use crate::cli::Cli;
use crate::config;

/// The Falco whose rules, fields, configuration and alerts Lanner's are.
pub(crate) const FALCO: &str = "0.44.0";
/// What Falco gives a version to and Lanner does not have: libs, plugin API and drivers. A version still, because
/// programs read it as one.
const NONE: &str = "0.0.0";
/// The version of Falco's table of events (`driver_schema_version`).
pub(crate) const SCHEMA: &str = NONE;

/// The answer to `--version`, in JSON where `json_output` is on. A configuration that can't be read keeps nobody from
/// knowing the version: the text is the answer then.
pub(crate) fn answer(cli: &Cli) -> String {
    match config::load(cli.config.as_deref(), &cli.options) {
        Ok((config, messages)) if config.json_output && !messages.refused() => format!("{}\n", as_json()),
        _ => as_text(),
    }
}

/// The versions as `--version`, `--support` and the web server's /versions give them.
pub(crate) fn as_json() -> Value {
    let plugins: Map<String, Value> = BUILT_IN_PLUGINS
        .iter()
        .map(|(name, version)| ((*name).to_owned(), version.to_string().into()))
        .collect();
    json!({
        "lanner_version": env!("CARGO_PKG_VERSION"),
        "falco_version": FALCO,
        "libs_version": NONE,
        "plugin_api_version": NONE,
        "driver_api_version": NONE,
        "driver_schema_version": SCHEMA,
        "default_driver_version": NONE,
        // Older programs read the minor version alone.
        "engine_version": ENGINE_VERSION.1.to_string(),
        "engine_version_semver": ENGINE_VERSION.to_string(),
        "plugin_versions": plugins,
    })
}

/// Falco's eight lines between Lanner's own.
pub(crate) fn as_text() -> String {
    let plugins: Vec<String> = BUILT_IN_PLUGINS
        .iter()
        .map(|(name, version)| format!("{name} {version}, built in (counts as any {}.x)", version.0))
        .collect();
    let plugins = plugins.join("; ");
    format!(
        "Lanner version: {}
Falco version: {FALCO}
Libs version:  {NONE}
Plugin API:    {NONE}
Engine:        {ENGINE_VERSION}
Driver:
  API version:    {NONE}
  Schema version: {SCHEMA}
  Default driver: {NONE}
Plugins:       {plugins}
\"Falco version\" is the Falco whose rules, fields and configuration this Lanner takes; {NONE} is what it does without.
",
        env!("CARGO_PKG_VERSION")
    )
}
