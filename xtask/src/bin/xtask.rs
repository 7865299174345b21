//! `cargo xtask kernels`: Lanner on other kernels, and what it costs there.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use xtask::document::{Found, document};
use xtask::guest::{Built, Guest, Machine, Refusal};
use xtask::selfcheck;
use xtask::table::{self, BARE, HOOK, Measured};

/// Where the table is kept.
const TABLE: &str = "docs/kernels.md";

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    about = "What the project measures and checks of itself"
)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs the driver tests on Debian's cloud kernels in qemu, and counts the instructions that Lanner adds there.
    ///
    /// The rules are those of the file FALCO_RULES names, else the built-in ones. Exits with 1 when a driver test fails.
    Kernels(Kernels),
}

#[derive(Debug, clap::Args)]
struct Kernels {
    /// A kernel by its name in tests/machine/kernels.sh (all unless given); may be repeated.
    #[arg(long = "kernel", value_name = "NAME")]
    kernels: Vec<String>,
    /// A capture tier; may be repeated. One that a kernel does not offer is left out there.
    #[arg(long = "tier", value_name = "TIER", default_values = ["trampoline", "sys_exit", "raw"])]
    tiers: Vec<String>,
    /// Leaves out the driver tests.
    #[arg(long)]
    no_tests: bool,
    /// Leaves out the counting.
    #[arg(long)]
    no_counts: bool,
    /// Compares with Falco and with the goals: prints ratios, and exits with 1 where Lanner adds more than Falco.
    #[arg(long)]
    check: bool,
    /// Writes docs/kernels.md. What is left out stays there as it was, marked as earlier.
    #[arg(long)]
    write: bool,
    /// What is left out is of this Lanner, too, unless it is marked already: for a table that is made in several runs.
    #[arg(long, requires = "write")]
    part: bool,
}

fn main() -> ExitCode {
    let Task::Kernels(kernels) = Arguments::parse().command;
    match run(&kernels) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Kernels) -> Result<bool> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the repository of this program is gone")?;
    let machine = Machine::of(repository);
    let started = Instant::now();
    let say = |what: &str| {
        let passed = started.elapsed().as_secs();
        eprintln!("==> [{}:{:02}] {what}", passed / 60, passed % 60);
    };
    let rules = std::env::var_os("FALCO_RULES").map(PathBuf::from);
    if let Some(rules) = rules.as_ref().filter(|rules| !rules.is_file()) {
        bail!("FALCO_RULES is {}, which is no file", rules.display());
    }
    let names = match arguments.kernels.is_empty() {
        true => machine
            .run("kernels.sh", &["names"])?
            .lines()
            .map(str::to_owned)
            .collect(),
        false => arguments.kernels.clone(),
    };
    say("building what runs in the guests");
    let selfcheck = match arguments.no_tests {
        true => None,
        false => Some(machine.built::<1>("selfcheck.sh")?),
    };
    let measured = match arguments.no_counts {
        true => None,
        false => Some(PathBuf::from(machine.run("measured.sh", &[])?.trim())),
    };
    let (mut all, mut good) = (Vec::new(), true);
    for name in &names {
        if let Err(refusal) = machine.run("kernels.sh", &["fetch", name]) {
            match refusal {
                Refusal::Skipped(_) => eprintln!("{refusal} (kernel {name})"),
                Refusal::Failed(said) => bail!("{said}"),
            }
            continue;
        }
        let mut found = Found {
            release: release(&machine, name)?,
            name: name.clone(),
            ..Found::default()
        };
        if let Some(program) = &selfcheck {
            for tier in &arguments.tiers {
                say(&format!("Linux {}: driver tests, {tier}", found.release));
                let row = driver_tests(&machine, name, program, tier, &say)?;
                good &= row.as_ref().is_none_or(|row| !row.starts_with("failed"));
                found.tests.extend(row.map(|row| (tier.clone(), row)));
            }
        }
        if let Some(folder) = &measured {
            say(&format!("Linux {}: counting instructions", found.release));
            let measured = count(&machine, name, folder, &arguments.tiers, rules.as_deref())?;
            for one in &measured {
                if let Some(reason) = &one.refused {
                    say(&format!(
                        "Linux {}: {} is not offered: {reason}",
                        found.release, one.name
                    ));
                }
            }
            let table = table::instructions(&measured);
            println!("## Linux {}\n\n{table}", found.release);
            found.instructions = Some(table);
            if arguments.check {
                for tier in &arguments.tiers {
                    if let Some((text, worse)) = table::compare(&measured, tier) {
                        println!("{text}");
                        good &= !worse;
                    }
                }
            }
        }
        all.push(found);
    }
    if all.is_empty() {
        bail!("no kernel could be had: see above");
    }
    if arguments.write {
        // The first time there is none.
        let earlier = std::fs::read_to_string(repository.join(TABLE)).unwrap_or_default();
        let document = document(&all, rules.is_some(), &earlier, arguments.part);
        std::fs::write(repository.join(TABLE), &document).with_context(|| format!("write {TABLE}"))?;
        say(&format!("wrote {TABLE}"));
    }
    Ok(good)
}

fn release(machine: &Machine, name: &str) -> Result<String> {
    let list = machine.run("kernels.sh", &["list"])?;
    let line = list
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line
        .with_context(|| format!("kernel {name} is not there"))?
        .to_owned())
}

/// A row of the table; none where the kernel does not offer the tier.
fn driver_tests(
    machine: &Machine,
    kernel: &str,
    selfcheck: &Built<1>,
    tier: &str,
    say: &dyn Fn(&str),
) -> Result<Option<String>> {
    let guest = Guest {
        files: selfcheck.libraries.clone(),
        ..Guest::new(machine, kernel)
    };
    let [program] = &selfcheck.programs;
    let arguments = ["--tier".to_owned(), tier.to_owned()];
    match selfcheck::check(&guest, program, &arguments, &mut |boot| say(boot)) {
        Ok(verdict) if verdict.not_offered => {
            say(verdict.said.lines().last().unwrap_or("not offered"));
            Ok(None)
        }
        Ok(verdict) => Ok(Some(format!(
            "{} passed, {} skipped | {} | {}",
            verdict.passed, verdict.skipped, verdict.boots, verdict.refused
        ))),
        Err(Refusal::Skipped(reason)) => bail!("no guest can be booted here: {reason}"),
        Err(Refusal::Failed(said)) => {
            eprintln!("{said}");
            Ok(Some("failed | - | -".to_owned()))
        }
    }
}

/// Each observer is counted in a boot of its own: what one has let go of (per-CPU memory, for one) makes what the next one is counted
/// with dearer or cheaper.
fn count(
    machine: &Machine,
    kernel: &str,
    folder: &Path,
    tiers: &[String],
    rules: Option<&Path>,
) -> Result<Vec<Measured>> {
    let mut guest = Guest::new(machine, kernel);
    guest.counted = true;
    guest.files = vec![
        (folder.join("lanner"), "/bin/lanner".to_owned()),
        (folder.join("examples/empty_hook"), "/bin/empty_hook".to_owned()),
    ];
    if let Some(rules) = rules {
        guest.files.push((rules.to_owned(), "/etc/rules.yaml".to_owned()));
    }
    let hook = [HOOK, "/bin/empty_hook"].map(str::to_owned).to_vec();
    let mut measured = count_one(&guest, folder, hook)?;
    for tier in tiers {
        let mut observer = [tier, "/bin/lanner"].map(str::to_owned).to_vec();
        let tier = format!("engine.tier={tier}");
        for option in [
            tier.as_str(),
            "journald_output.enabled=false",
            "syslog_output.enabled=false",
            "runtime_directory=",
        ] {
            observer.extend(["-o".to_owned(), option.to_owned()]);
        }
        if rules.is_some() {
            observer.extend(["-r", "/etc/rules.yaml"].map(str::to_owned));
        }
        let (bare, others): (Vec<Measured>, Vec<Measured>) = count_one(&guest, folder, observer)?
            .into_iter()
            .partition(|one| one.name == BARE);
        let first = measured.iter().find(|one| one.name == BARE);
        let (Some(bare), Some(first)) = (bare.first(), first.cloned()) else {
            bail!("the counting guest did not count what nobody watches");
        };
        measured.extend(others.into_iter().map(|one| one.as_of(bare, &first)));
    }
    Ok(measured)
}

/// Counts in a new boot, first bare, then with that observer.
fn count_one(guest: &Guest<'_>, folder: &Path, observer: Vec<String>) -> Result<Vec<Measured>> {
    let arguments: Vec<String> = std::iter::once("--".to_owned()).chain(observer).collect();
    let said = guest.boot(&folder.join("measure"), &arguments)?;
    let measured = table::read(&said.output);
    if said.status != Some(0) || measured.is_empty() {
        bail!(
            "the counting guest broke off:\n{}\n{}",
            said.output,
            said.complaints
        );
    }
    Ok(measured)
}
