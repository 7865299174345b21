//! The flags the commands have in common, and what becomes of them.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::Context as _;
use clap::Args;
use lanner_engine::Vocabulary;

use super::answer::{answer, no_text, refusals};
use super::explain::explain;
use super::problem::Problem;
use super::request::{Common, Op, object};
use super::{Outcome, batch as lines};
use crate::{log, rules};

/// The flags and values are not what the command takes.
const USAGE: u8 = 2;

/// The text, and how to answer.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// The text itself, in quotes of the shell; - reads it from standard input
    #[arg(value_name = "TEXT", required_unless_present = "batch")]
    text: Option<OsString>,

    /// Answers in JSON, for programs
    #[arg(long)]
    json: bool,

    /// Reads requests from standard input, a JSON object per line, and answers each with one; see lanner filter --help
    #[arg(long, conflicts_with = "text")]
    batch: bool,
}

/// Fields beside those of the source.
#[derive(Debug, Args)]
pub(crate) struct Types {
    /// Fields to add, with their types: {"my.field":"CHARBUF","my.list":"LIST(CHARBUF)"}
    #[arg(long, value_name = "JSON")]
    types: Option<String>,
}

/// What a condition may name beside fields.
#[derive(Debug, Args)]
pub(crate) struct Macros {
    /// Macros, with their conditions: {"open":"evt.type in (open, openat)"}
    #[arg(long, value_name = "JSON", conflicts_with = "rules")]
    macros: Option<String>,

    /// Rules file or directory whose macros and lists the condition may name; repeatable
    #[arg(short = 'r', value_name = "FILE|DIR")]
    rules: Vec<PathBuf>,
}

/// Values to try with.
#[derive(Debug, Args)]
pub(crate) struct Values {
    /// Values of fields: {"proc.name":"cat","fd.num":3}. All others are missing; bytes that are not UTF-8 are {"hex":"ff"}
    #[arg(long, value_name = "JSON")]
    fields: Option<String>,
}

/// The flags of a command; what it does not have is nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flags<'a> {
    pub(crate) types: Option<&'a Types>,
    pub(crate) macros: Option<&'a Macros>,
    pub(crate) values: Option<&'a Values>,
    /// A condition that is false is a failure.
    pub(crate) exit_code: bool,
}

/// Why there is nothing to answer.
struct Unusable {
    problems: Vec<Problem>,
    /// The flags are to blame, not what they name.
    usage: bool,
}

impl From<Problem> for Unusable {
    fn from(problem: Problem) -> Unusable {
        Unusable {
            problems: vec![problem],
            usage: true,
        }
    }
}

fn common(flags: Flags<'_>) -> Result<Common, Unusable> {
    let read =
        |name, text: Option<&String>| text.map_or_else(|| Ok(Default::default()), |text| object(name, text));
    Ok(Common {
        op: None,
        types: read("--types", flags.types.and_then(|flags| flags.types.as_ref()))?,
        macros: read("--macros", flags.macros.and_then(|flags| flags.macros.as_ref()))?,
        fields: read("--fields", flags.values.and_then(|flags| flags.fields.as_ref()))?,
        vocabulary: match flags.macros.map(|flags| flags.rules.as_slice()) {
            None | Some([]) => None,
            Some(paths) => Some(Rc::new(vocabulary(paths)?)),
        },
    })
}

fn vocabulary(paths: &[PathBuf]) -> Result<Vocabulary, Unusable> {
    let read = || {
        let mut files = Vec::new();
        for path in paths {
            for file in rules::paths(path)? {
                files.push(rules::read_file(&file)?);
            }
        }
        anyhow::Ok(files)
    };
    let files = read().map_err(|error| Problem::new(format!("{error:#}")))?;
    Vocabulary::read(&files).map_err(|found| Unusable {
        problems: found
            .into_iter()
            .map(|diagnostic| Problem::found(diagnostic, ""))
            .collect(),
        usage: false,
    })
}

/// Answers lines of standard input; what their requests leave out is as the flags say.
///
/// # Errors
/// When standard input cannot be read.
pub(crate) fn batch(op: Option<Op>, flags: Flags<'_>) -> anyhow::Result<ExitCode> {
    match common(flags) {
        Ok(common) => answer_lines(&Common { op, ..common }),
        Err(unusable) => Ok(unusable.say(true)),
    }
}

fn answer_lines(common: &Common) -> anyhow::Result<ExitCode> {
    match lines::run(io::stdin().lock(), io::stdout().lock(), common) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot answer requests from standard input")
        }
        // Whoever asked has gone.
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Does what a command asks.
///
/// # Errors
/// When standard input cannot be read.
pub(crate) fn run(op: Op, asked: &Asked, flags: Flags<'_>) -> anyhow::Result<ExitCode> {
    if asked.batch {
        return batch(Some(op), flags);
    }
    let common = match common(flags) {
        Ok(common) => common,
        Err(unusable) => return Ok(unusable.say(asked.json)),
    };
    let outcome = match text(asked.text.clone().unwrap_or_default())? {
        Ok(text) => {
            let request = common.request(op, text);
            if asked.json {
                let (answer, outcome) = answer(&request, None);
                log::out(&(answer + "\n"));
                outcome
            } else {
                let spoken = explain(&request);
                log::out(&spoken.out);
                log::err(&spoken.err);
                spoken.outcome
            }
        }
        Err(problem) => {
            match (asked.json, op) {
                (true, Op::Parse | Op::Compile) => log::out(&(no_text(&problem) + "\n")),
                (true, _) => log::out(&(refusals(&[problem]) + "\n")),
                (false, _) => log::err(&problem.alone()),
            }
            Outcome::Wrong
        }
    };
    Ok(match outcome {
        Outcome::Fine => ExitCode::SUCCESS,
        Outcome::False if !flags.exit_code => ExitCode::SUCCESS,
        Outcome::False | Outcome::Wrong => ExitCode::FAILURE,
    })
}

impl Unusable {
    fn say(&self, json: bool) -> ExitCode {
        if json {
            log::out(&(refusals(&self.problems) + "\n"));
        } else {
            let said: String = self.problems.iter().map(Problem::alone).collect();
            log::err(&said);
        }
        match self.usage {
            true => ExitCode::from(USAGE),
            false => ExitCode::FAILURE,
        }
    }
}

/// The text of the argument, or of standard input for `-`.
fn text(argument: OsString) -> anyhow::Result<Result<String, Problem>> {
    let bytes = if argument == "-" {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        read.context("cannot read standard input")?;
        bytes
    } else {
        argument.into_encoded_bytes()
    };
    Ok(String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = error.as_bytes().get(at).copied().unwrap_or_default();
        Problem::new(format!("the text is not UTF-8 at byte {at}"))
            .hint(format!("write the byte as \\x{byte:02x}, in quotes"))
    }))
}
