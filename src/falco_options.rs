//! Falco's options beside the usual ones: what they answer here, and what they change.

use anyhow::{anyhow, bail};
use lanner_engine::AppendOutput;
use lanner_engine::output::Template;

use crate::cli::{Cli, FalcoOptions};
use crate::schema;

/// The only event source.
const SOURCE: &str = "syscall";

/// The plugin whose work is part of Lanner.
const CONTAINER: &str = "container";

/// The text of an option that asks for nothing else; `None` when there is no such option.
///
/// # Errors
/// When the option is known from Falco and not built yet, or asks about what is not there.
pub(crate) fn answer(cli: &Cli) -> anyhow::Result<Option<String>> {
    let asked = &cli.falco;
    if let Some(option) = missing(cli) {
        bail!("{option} is known from Falco and not built yet");
    }
    if asked.rule_schema {
        return Ok(Some(schema::rules()));
    }
    if asked.ignored {
        return Ok(Some(
            "No system call is ignored: Lanner captures every event that a rule asks for, and no other.\n"
                .into(),
        ));
    }
    if cli.version {
        return Ok(Some(version()));
    }
    if asked.page_size {
        return Ok(Some(format!("Your system page size is: {}\n", page_size()?)));
    }
    if let Some(name) = &asked.plugin_info {
        if name != CONTAINER {
            bail!("there is no plugin \"{name}\": Lanner loads no plugins, only \"{CONTAINER}\" is built in");
        }
        return Ok(Some(
            "Name: container\nDescription: container identity, built into Lanner; its settings are nri and containerd in \
             the configuration, and it takes no init_config and no open_params\n"
                .into(),
        ));
    }
    if asked.list_plugins {
        return Ok(Some("0 Plugins Loaded: container identity is built in\n".into()));
    }
    Ok(None)
}

/// The first option that is not built.
fn missing(cli: &Cli) -> Option<String> {
    let asked = &cli.falco;
    let listing = cli.list.is_some() || cli.list_events;
    let format = asked.format.as_deref().filter(|format| *format != "text");
    let flags = [
        (asked.config_schema, "--config-schema"),
        (asked.support, "--support"),
        // Falco too looks at the form of lists only when it prints one.
        (asked.markdown && listing, "--markdown"),
    ];
    let flag = flags
        .iter()
        .find(|(is_set, _)| *is_set)
        .map(|(_, name)| (*name).to_owned());
    flag.or_else(|| {
        format
            .filter(|_| listing)
            .map(|format| format!("--format {format}"))
    })
}

/// Falco's lines, as far as there is something to say here.
fn version() -> String {
    format!(
        "Lanner version: {}\nEngine:         {}\nPlugins:        none loaded; the container plugin is built in\n",
        env!("CARGO_PKG_VERSION"),
        lanner_engine::ENGINE_VERSION
    )
}

fn page_size() -> anyhow::Result<i64> {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)?
        .ok_or_else(|| anyhow!("the system does not say its page size"))
}

/// What the options change when Lanner watches.
///
/// # Errors
/// When a format of `-p` is wrong.
pub(crate) fn apply(asked: &FalcoOptions, append_output: &mut Vec<AppendOutput>) -> anyhow::Result<()> {
    if asked.verbose > 0 {
        tracing::info!("-v changes nothing: log_level of the configuration says what is logged");
    }
    for format in &asked.print {
        if matches!(format.as_str(), "c" | "k" | "container" | "kubernetes") {
            tracing::info!(
                "-p {format} changes nothing: append_output with suggested_output adds the container's fields"
            );
            continue;
        }
        if let Err(error) = Template::compile(format) {
            let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            bail!("-p {format}: {error}{hint}");
        }
        append_output.push(AppendOutput {
            extra_output: Some(format.clone()),
            ..AppendOutput::default()
        });
    }
    Ok(())
}

/// Checks that the event source is left on.
///
/// # Errors
/// When it is not: nothing would be watched.
pub(crate) fn sources(asked: &FalcoOptions) -> anyhow::Result<()> {
    for unknown in asked
        .disable_source
        .iter()
        .chain(&asked.enable_source)
        .filter(|name| *name != SOURCE)
    {
        tracing::warn!("there is no event source \"{unknown}\", only \"{SOURCE}\"");
    }
    let named = |sources: &[String]| sources.iter().any(|name| name == SOURCE);
    if named(&asked.disable_source) {
        bail!("--disable-source {SOURCE}: nothing would be watched, \"{SOURCE}\" is the only event source");
    }
    if !asked.enable_source.is_empty() && !named(&asked.enable_source) {
        bail!("--enable-source without \"{SOURCE}\": nothing would be watched, it is the only event source");
    }
    Ok(())
}
