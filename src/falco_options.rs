//! Falco's options beside the usual ones: what they answer here, and what they change.

use anyhow::{anyhow, bail};
use lanner_engine::output::Template;
use lanner_engine::{AppendOutput, Scope};
use lanner_schema::event::EventSet;

use crate::cli::{Cli, FalcoOptions};
use crate::{config, list, plugin, schema};

/// The only event source.
const SOURCE: &str = "syscall";

/// The text of an option that asks for something else than to watch and needs no configuration; `None` when there is no
/// such option.
///
/// # Errors
/// When the option asks about what is not there.
pub(crate) fn answer(cli: &Cli) -> anyhow::Result<Option<String>> {
    let asked = &cli.falco;
    Ok(if asked.config_schema {
        Some(config::json_schema())
    } else if asked.rule_schema {
        Some(schema::rules())
    } else if asked.ignored {
        Some(ignored())
    } else if cli.list_events {
        Some(list::events(asked.form()))
    } else if asked.page_size {
        Some(format!("Your system page size is: {}\n", page_size()?))
    } else if let Some(source) = &cli.list {
        // A configuration that can't be read adds nothing to the list, and keeps nobody from it.
        let config = config::load(cli.config.as_deref(), &cli.options);
        let static_fields = config.map(|(config, _)| config.static_fields).unwrap_or_default();
        Some(list::fields(list::Asked {
            source,
            form: asked.form(),
            names_only: cli.names_only,
            types: asked.verbose > 0,
            static_fields: &static_fields,
        })?)
    } else if let Some(name) = &asked.plugin_info {
        Some(plugin::info(name)?)
    } else if asked.list_plugins {
        Some(plugin::list())
    } else {
        None
    })
}

/// `-i` in Falco's form: the calls that a rule which leaves the type open does not make captured.
fn ignored() -> String {
    let names = EventSet::IO.iter().map(|event| format!("- {}\n", event.name()));
    format!("Ignored syscall(s):\n{}\n", names.collect::<String>())
}

fn page_size() -> anyhow::Result<i64> {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)?
        .ok_or_else(|| anyhow!("the system does not say its page size"))
}

/// What the options change when Lanner watches; formats may use the fields of `scope`.
///
/// # Errors
/// When a format of `-p` is wrong.
pub(crate) fn apply(
    asked: &FalcoOptions,
    scope: &Scope,
    append_output: &mut Vec<AppendOutput>,
) -> anyhow::Result<()> {
    if asked.verbose > 0 {
        tracing::info!("-v changes nothing here: log_level of the configuration says what is logged");
    }
    for format in &asked.print {
        if matches!(format.as_str(), "c" | "k" | "container" | "kubernetes") {
            tracing::info!(
                "-p {format} changes nothing: append_output with suggested_output adds the container's fields"
            );
            continue;
        }
        if let Err(error) = Template::compile_in(format, scope) {
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
