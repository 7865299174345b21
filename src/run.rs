//! From the command line to a Lanner that watches: what is read, checked and decided, in order.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use lanner_capture::{Capability, CapabilitySet, Host, Plan};
use lanner_engine::{Captured, Coverage, Rule, Ruleset, Scope, Verdict};
use lanner_outputs::{Facts, Outputs};
use lanner_schema::event::{Event, EventSet};
use lanner_schema::host_root;
use lanner_schema::tier::Tier;

use crate::cli::{Cli, FalcoOptions};
use crate::command::replay;
use crate::config::{self, Config, Messages};
use crate::list::Form;
use crate::pidfile::Pidfile;
use crate::reload::Sources;
use crate::runtime_side::RuntimeSide;
use crate::start_screen::{Screen, TRY};
use crate::watch::Task;
use crate::{falco_options, list, load, log, own_programs, rules, schema, support, version, watch};

/// Does what the command line says.
///
/// # Errors
/// Everything that keeps Lanner from doing it, in words for its operator.
pub(crate) fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    if let Some(command) = &cli.command {
        return command.run();
    }
    if let Some(text) = falco_options::answer(cli)? {
        log::out(&text);
        return Ok(ExitCode::SUCCESS);
    }
    if cli.version {
        log::out(&version::answer(cli));
        return Ok(ExitCode::SUCCESS);
    }
    let mut config = configure(cli.config.as_deref(), &cli.options)?;
    adjust(&mut config, cli.unbuffered, &cli.falco)?;
    falco_options::sources(&cli.falco)?;
    // Every rule, or the one that is named.
    let asked = cli
        .describe
        .as_deref()
        .map(Some)
        .or_else(|| cli.list_rules.then_some(None));
    if !cli.validate.is_empty() {
        let validated = load::validate(&cli.validate, &config);
        validated.print(asked, &config)?;
        return Ok(match validated.successful() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        });
    }
    if cli.falco.support {
        let files = rules::find(&cli.rules, &config)?;
        log::out(&support::report(&config, &files)?);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(rule) = asked {
        let files = rules::find(&cli.rules, &config)?;
        let description = load::describe(&files, &config)?;
        let is_json = config.json_output || cli.falco.form() == Form::Json;
        log::out(&match is_json {
            true => format!("{}\n", list::rules_as_json(&description, rule)?),
            false => list::rules_as_text(&description, rule)?,
        });
        return Ok(ExitCode::SUCCESS);
    }
    watch_as_configured(cli, config, None, None)
}

/// Changes the configuration as the command line says.
///
/// # Errors
/// When a format of `-p` is wrong.
pub(crate) fn adjust(config: &mut Config, unbuffered: bool, falco: &FalcoOptions) -> anyhow::Result<()> {
    if unbuffered {
        config.outputs.buffered = false;
    }
    let scope = Scope::default().with_static_fields(&config.static_fields);
    falco_options::apply(falco, &scope, &mut config.append_output)
}

/// Watches, or goes through the recording that the configuration names. `side` is the container runtime's side where that
/// works already, `over` the text that won over the default file, and where it is from.
///
/// # Errors
/// Everything that keeps Lanner from doing it, in words for its operator.
pub(crate) fn watch_as_configured(
    cli: &Cli,
    config: Config,
    side: Option<RuntimeSide>,
    over: Option<(String, PathBuf)>,
) -> anyhow::Result<ExitCode> {
    let mut sources = Sources::new(cli, over, &config);
    let files = rules::find(&cli.rules, &config)?;
    if let Some(file) = config
        .replay
        .clone()
        .filter(|_| !cli.dry_run && config.unwatchable.is_none())
    {
        let _pidfile = cli.pidfile.as_deref().map(Pidfile::write).transpose()?;
        return replay::replay(&file, config, &files);
    }
    if config.unwatchable.is_none() {
        lanner_capture::read_types_ahead();
    }
    let ruleset = load::load(&files, &config)?;

    if let Some(message) = &config.unwatchable {
        bail!("{message}");
    }
    warn_of(&config, &ruleset);
    if let Some(root) = host_root::missing() {
        tracing::warn!(
            "HOST_ROOT is {}, and there is no /proc of a host below: what is here is taken for the host's",
            root.display()
        );
    }
    let host = Host::probe_for(&config.capture);
    let plan = lanner_capture::plan(&host, ruleset.needs(), &config.capture);
    let mut screen = screen(
        &config,
        &ruleset,
        plan.as_ref().ok().and_then(|plan| plan.tier.chosen()),
        files.iter().map(|file| file.name.clone()).collect(),
    );
    if cli.dry_run {
        // Configuration and rules are tried where they are written, too, and there the kernel is another.
        screen.capture = match &plan {
            Ok(plan) => plan.to_string(),
            Err(error) => format!("this host cannot be watched: {error}"),
        };
        screen.outputs = lanner_outputs::choose(&config.outputs, Facts::probe(&config.outputs));
        screen.containers = match config.nri.enabled {
            true => format!("NRI: {}", config.nri.socket_path.display()),
            false => watch::without_nri(&config),
        };
        log::err(&screen.render_dry());
        return Ok(ExitCode::SUCCESS);
    }
    let plan = plan.context("cannot watch this host")?;
    if plan.tier.chosen() == Some(Tier::None) {
        tracing::warn!("this host is watched without BPF: {plan}");
    } else {
        tracing::info!("this host is watched with BPF: {plan}");
    }
    give_up_capabilities(&config, &plan, side.is_some());
    for (capability, what) in &host.lacking {
        tracing::warn!("{capability} is missing: Lanner does not learn {what}");
    }
    screen.capture = plan.to_string();
    sources.keep(&files);
    let outputs = Outputs::start(&config.outputs)?;
    screen.outputs = outputs.choices().to_vec();
    if let Some(file) = &config.outputs.file {
        try_file(&file.filename);
    }
    let limit = (cli.seconds > 0).then(|| Duration::from_secs(cli.seconds));
    watch::watch(Task {
        config: &config,
        side,
        plan,
        ruleset,
        outputs,
        pidfile: cli.pidfile.as_deref(),
        screen,
        limit,
        rules_files: files,
        host,
        again: Some(sources),
        recording: None,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Keeps those capabilities only that are needed from here on.
fn give_up_capabilities(config: &Config, plan: &Plan, is_plugin: bool) {
    // What it runs is the operator's own, and may need any; a plugin has its threads already.
    if config.outputs.program.is_some() || is_plugin {
        return;
    }
    let mut kept = plan.capabilities(CapabilitySet::effective());
    if config.outputs.file.is_some() {
        kept = kept.and(Capability::DacOverride);
    }
    if config.web.enabled && config.web.port < 1024 {
        kept = kept.and(Capability::NetBindService);
    }
    match lanner_capture::keep_only(kept) {
        Ok(0) => {}
        Ok(count) => tracing::debug!("{count} capabilities are given up; of these the rest: {kept}"),
        Err(error) => tracing::warn!("capabilities that are not needed stay: {error}"),
    }
}

/// Reads the configuration, starts the log, and reports what is wrong.
pub(crate) fn configure(file: Option<&Path>, options: &[String]) -> anyhow::Result<Config> {
    let (config, messages) = config::load(file, options)?;
    accept(config, messages)
}

/// As [`configure`] with the default file where there is one, and a text from `name` whose keys win.
pub(crate) fn configure_over(text: &str, name: &Path) -> anyhow::Result<Config> {
    let (config, messages) = config::load_over(text, name)?;
    accept(config, messages)
}

fn accept(config: Config, messages: Messages) -> anyhow::Result<Config> {
    if messages.refused() {
        let count = log::report_refused(&messages, config.log_stderr);
        bail!("the configuration is refused: {}", load::count(count, "error"));
    }
    log::start(&config);
    log::report(&messages);
    schema::report_configuration(&config.schema);
    Ok(config)
}

/// Warns of what rules do not see with this configuration, and of those that see too much of it.
pub(crate) fn warn_of(config: &Config, ruleset: &Ruleset) {
    // One that is kept is started once.
    if let Some(program) = config
        .outputs
        .program
        .as_ref()
        .filter(|program| !program.keep_alive)
    {
        let endless = own_programs::alerting(program, ruleset, &config.static_fields);
        if !endless.is_empty() {
            tracing::warn!(
                "program_output starts a shell for each alert, and {} alert{} about that, without end: {}; add \"and not \
                 proc.pname = lanner\"",
                load::count(endless.len(), "rule"),
                if endless.len() == 1 { "s" } else { "" },
                endless.join(", ")
            );
        }
    }
    if !config.capture.unnamed_io && !ruleset.needs().unnamed_io.is_empty() {
        tracing::warn!(
            "a rule leaves the type of event open: reads and writes (lanner -i lists them) are not shown to it, \
             base_syscalls.all: true would, at a price"
        );
    }
    let excluded = config.capture.excluded;
    let touched = ruleset.rules().filter(|rule| {
        rule.runs() && rule.names_event_types() && !rule.events().intersection(excluded).is_empty()
    });
    let (never, in_part): (Vec<&Rule>, Vec<&Rule>) =
        touched.partition(|rule| rule.events().difference(excluded).is_empty());
    let of_rules = |rules: &[&Rule]| {
        let events = rules
            .iter()
            .fold(EventSet::NONE, |all, rule| all.union(rule.events()));
        let events = events.intersection(excluded).iter().map(Event::name);
        let names = rules.iter().map(|rule| rule.name());
        (
            events.collect::<Vec<_>>().join(", "),
            names.collect::<Vec<_>>().join(", "),
        )
    };
    if !never.is_empty() {
        let (events, names) = of_rules(&never);
        tracing::warn!(
            "base_syscalls.custom_set leaves out {events}, and {} about nothing else never {}: {names}",
            load::count(never.len(), "rule"),
            if never.len() == 1 { "matches" } else { "match" },
        );
    }
    if !in_part.is_empty() {
        let (events, names) = of_rules(&in_part);
        tracing::warn!(
            "base_syscalls.custom_set leaves out {events}, for which {} asked among others: {names}",
            load::count(in_part.len(), "rule"),
        );
    }
}

/// What each rule asks for and this tier does not have.
pub(crate) fn gaps(ruleset: &Ruleset, tier: Tier) -> Vec<String> {
    let rules = ruleset.rules();
    rules
        .filter_map(|rule| Some(format!("{}: {}", rule.name(), rule.coverage(tier).missing()?)))
        .collect()
}

/// The rules that run and can never match because calls that fail are not captured.
fn only_about_failed(ruleset: &Ruleset, tier: Tier) -> Vec<&str> {
    let blind = |of: Coverage| of.verdict == Verdict::Blind;
    let successes = Captured {
        failed: false,
        ..Captured::default()
    };
    let rules = ruleset.rules().filter(|rule| rule.runs());
    rules
        .filter(|rule| blind(rule.coverage_of(tier, successes)) && !blind(rule.coverage(tier)))
        .map(Rule::name)
        .collect()
}

pub(crate) fn screen(
    config: &Config,
    ruleset: &Ruleset,
    tier: Option<Tier>,
    rules_files: Vec<String>,
) -> Screen {
    let running = || ruleset.rules().filter(|rule| rule.runs());
    if running().next().is_none() {
        tracing::warn!(
            "no rule runs, so nothing alerts: every rule is disabled or below \"priority\", or there is none"
        );
    }
    if let Some(tier) = tier.filter(|_| config.capture.drop_failed) {
        let never = only_about_failed(ruleset, tier);
        if !never.is_empty() {
            tracing::warn!(
                "drop_failed_exit is true, so calls that fail are not captured, and {} about them never {}: {}",
                load::count(never.len(), "rule"),
                if never.len() == 1 { "matches" } else { "match" },
                never.join(", ")
            );
        }
    }
    let gaps: Vec<String> = tier.map_or_else(Vec::new, |tier| gaps(ruleset, tier));
    for gap in &gaps {
        tracing::debug!("{gap}");
    }
    Screen {
        configuration: match &config.file {
            Some(file) => file.display().to_string(),
            None => format!("by default; there is no {}", config::DEFAULT_FILE),
        },
        alerts_of_try: running().any(|rule| TRY.1.contains(&rule.name())),
        priorities: running().map(|rule| rule.priority()).collect(),
        rules_files,
        gaps,
        file: config.outputs.file.as_ref().map(|file| file.filename.clone()),
        ..Screen::default()
    }
}

/// Warns when alerts can't be written to the file: better now than at the first alert.
pub(crate) fn try_file(path: &Path) {
    // Opening a pipe waits for its reader, and closing it is an end to that reader; devices have ways of their own.
    if path
        .metadata()
        .is_ok_and(|facts| !facts.is_file() && !facts.is_dir())
    {
        return;
    }
    if let Err(error) = File::options().append(true).create(true).open(path) {
        tracing::warn!(
            "file_output.filename: cannot open {}: {error}; alerts are lost to this output until it can be opened",
            path.display()
        );
    }
}
