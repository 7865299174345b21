//! Guests: other kernels than this machine's, booted by `tests/machine/kernels.sh` with one program.

use std::fmt;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The exit code of a script that this machine can't run.
const SKIPPED: i32 = 77;

/// How long a counted guest may take.
const COUNTED_SECONDS: &str = "1200";

/// Where the scripts are and what they keep.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The root of the repository.
    pub repository: PathBuf,
    /// Fetched kernels and built guest programs.
    pub folder: PathBuf,
}

/// Programs for guests.
#[derive(Debug, Clone)]
pub struct Built<const PROGRAMS: usize> {
    /// Where they are.
    pub programs: [PathBuf; PROGRAMS],
    /// What they need, as [`Guest::files`].
    pub libraries: Vec<(PathBuf, String)>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// This machine can't do it, and why.
    Skipped(String),
    /// It could, and failed; with what was said.
    Failed(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Skipped(reason) => write!(f, "skipped: {reason}"),
            Refusal::Failed(said) => f.write_str(said),
        }
    }
}

impl std::error::Error for Refusal {}

impl Machine {
    /// The machine of this repository: `LANNER_MACHINE_DIR`, or `target/machine`.
    pub fn of(repository: &Path) -> Machine {
        let folder = std::env::var_os("LANNER_MACHINE_DIR");
        Machine {
            repository: repository.to_owned(),
            folder: folder.map_or_else(|| repository.join("target/machine"), PathBuf::from),
        }
    }

    /// Runs a script of `tests/machine` and gives what it printed. What it says meanwhile goes to this program's errors.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn run(&self, script: &str, arguments: &[&str]) -> Result<String, Refusal> {
        let failed = |error: io::Error| Refusal::Failed(format!("{script} can't be run: {error}"));
        let mut child = self
            .script(script)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut complaints = String::new();
        // It prints a few words only, which the pipe holds meanwhile.
        for line in child
            .stderr
            .take()
            .into_iter()
            .flat_map(|said| BufReader::new(said).lines())
        {
            let line = line.map_err(failed)?;
            if !line.starts_with("skipped: ") {
                eprintln!("{line}");
            }
            complaints.push_str(&line);
            complaints.push('\n');
        }
        let said = Said::of(child.wait_with_output().map_err(failed)?, complaints)?;
        match said.status {
            Some(0) => Ok(said.output),
            _ => Err(Refusal::Failed(format!(
                "{script} {arguments:?} failed:\n{}",
                said.complaints
            ))),
        }
    }

    /// Runs a script that builds programs for guests, and gives what it printed: so many of them, and the libraries that they
    /// need, each with its place in a guest.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn built<const PROGRAMS: usize>(&self, script: &str) -> Result<Built<PROGRAMS>, Refusal> {
        let said = self.run(script, &[])?;
        let mut lines = said.lines();
        let programs: Vec<PathBuf> = lines.by_ref().take(PROGRAMS).map(PathBuf::from).collect();
        let programs = programs
            .try_into()
            .map_err(|_| Refusal::Failed(format!("{script} named fewer programs than it builds:\n{said}")))?;
        Ok(Built {
            programs,
            libraries: lines.map(|path| (path.into(), path.to_owned())).collect(),
        })
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(self.repository.join("tests/machine").join(name));
        command.env("LANNER_MACHINE_DIR", &self.folder);
        command
    }
}

/// What a guest's program said.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Its exit code; that of the script when the guest did not get as far.
    pub status: Option<i32>,
    /// What it printed.
    pub output: String,
    /// What the script said of the guest.
    pub complaints: String,
}

impl Said {
    fn of(output: Output, complaints: String) -> Result<Said, Refusal> {
        if output.status.code() == Some(SKIPPED) {
            let last = complaints.lines().last().unwrap_or("no reason given");
            return Err(Refusal::Skipped(last.trim_start_matches("skipped: ").to_owned()));
        }
        Ok(Said {
            status: output.status.code(),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            complaints,
        })
    }

    /// True when the guest got as far as the program: now and then qemu gives one no timer.
    pub fn has_begun(&self) -> bool {
        self.output.contains("guest: Linux")
    }
}

/// A kernel and what is in its guest.
#[derive(Debug, Clone)]
pub struct Guest<'a> {
    /// On which machine.
    pub machine: &'a Machine,
    /// The kernel, by its name in `kernels.sh`.
    pub kernel: &'a str,
    /// How cgroups are mounted: `v2`, `v1`, `hybrid`.
    pub cgroups: &'a str,
    /// Files of this machine, and where they are in the guest.
    pub files: Vec<(PathBuf, String)>,
    /// Variables of its program: `NAME=VALUE`.
    pub environment: Vec<String>,
    /// How long it may run, when it may take longer than most.
    pub seconds: Option<u32>,
    /// Its root can be exchanged, which takes a moment more.
    pub mounted_root: bool,
    /// One processor, to which every instruction takes a nanosecond.
    pub counted: bool,
}

impl<'a> Guest<'a> {
    /// A guest with two processors, cgroups of version 2 and nothing but its program.
    pub fn new(machine: &'a Machine, kernel: &'a str) -> Guest<'a> {
        Guest {
            machine,
            kernel,
            cgroups: "v2",
            files: Vec::new(),
            environment: Vec::new(),
            seconds: None,
            mounted_root: false,
            counted: false,
        }
    }

    /// Boots it with a program; what that needs is among the files.
    ///
    /// # Errors
    /// When the machine has no such kernel or no qemu. Whatever the guest does is an answer.
    pub fn boot(&self, program: &Path, arguments: &[String]) -> Result<Said, Refusal> {
        let files: Vec<String> = self
            .files
            .iter()
            .map(|(from, to)| format!("{}={to}", from.display()))
            .collect();
        let mut command = self.machine.script("kernels.sh");
        command
            .args(["boot", self.kernel])
            .arg(program)
            .args(arguments)
            .env("LANNER_GUEST_CGROUPS", self.cgroups)
            .env("LANNER_GUEST_ENVIRONMENT", self.environment.join(" "))
            .env("LANNER_GUEST_FILES", files.join("\n"));
        if let Some(seconds) = self.seconds {
            command.env("LANNER_GUEST_SECONDS", seconds.to_string());
        }
        if self.mounted_root {
            command.env("LANNER_GUEST_MOUNTED_ROOT", "1");
        }
        if self.counted {
            command.env("LANNER_GUEST_COUNTED", "1");
            // It emulates one instruction after the other, and has several observers to go through.
            if std::env::var_os("LANNER_GUEST_SECONDS").is_none() {
                command.env("LANNER_GUEST_SECONDS", COUNTED_SECONDS);
            }
        }
        let output = command
            .output()
            .map_err(|error| Refusal::Failed(format!("kernels.sh can't be run: {error}")))?;
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        Said::of(output, complaints)
    }
}
