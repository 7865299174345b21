//! The flags the commands have in common, and what becomes of them.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use super::answer::{answer, refusal};
use super::explain::explain;
use super::problem::Problem;
use super::request::{Common, Op, object};
use super::{Outcome, batch as lines};
use crate::log;

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

/// Names beside those of the source.
#[derive(Debug, Args)]
pub(crate) struct Names {
    /// Fields to add, with their types: {"my.field":"CHARBUF","my.list":"LIST(CHARBUF)"}
    #[arg(long, value_name = "JSON")]
    types: Option<String>,

    /// Macros, with their conditions: {"open":"evt.type in (open, openat)"}
    #[arg(long, value_name = "JSON")]
    macros: Option<String>,
}

/// Values to try with.
#[derive(Debug, Args)]
pub(crate) struct Values {
    /// Values of fields: {"proc.name":"cat","fd.num":3}. All others are missing; bytes that are not UTF-8 are {"hex":"ff"}
    #[arg(long, value_name = "JSON")]
    fields: Option<String>,
}

fn common(names: Option<&Names>, values: Option<&Values>) -> Result<Common, Problem> {
    let read =
        |name, text: Option<&String>| text.map_or_else(|| Ok(Default::default()), |text| object(name, text));
    Ok(Common {
        op: None,
        types: read("--types", names.and_then(|names| names.types.as_ref()))?,
        macros: read("--macros", names.and_then(|names| names.macros.as_ref()))?,
        fields: read("--fields", values.and_then(|values| values.fields.as_ref()))?,
    })
}

/// Answers lines of standard input; what their requests leave out is as the flags say.
///
/// # Errors
/// When standard input cannot be read.
pub(crate) fn batch(
    op: Option<Op>,
    names: Option<&Names>,
    values: Option<&Values>,
) -> anyhow::Result<ExitCode> {
    match common(names, values) {
        Ok(common) => answer_lines(&Common { op, ..common }),
        Err(problem) => Ok(usage(&problem, true)),
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

/// Does what a command asks; with `exit_code` a condition that is false is a failure.
///
/// # Errors
/// When standard input cannot be read.
pub(crate) fn run(
    op: Op,
    asked: &Asked,
    names: Option<&Names>,
    values: Option<&Values>,
    exit_code: bool,
) -> anyhow::Result<ExitCode> {
    if asked.batch {
        return batch(Some(op), names, values);
    }
    let common = match common(names, values) {
        Ok(common) => common,
        Err(problem) => return Ok(usage(&problem, asked.json)),
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
            say(&problem, asked.json, matches!(op, Op::Parse | Op::Compile));
            Outcome::Wrong
        }
    };
    Ok(match outcome {
        Outcome::Fine => ExitCode::SUCCESS,
        Outcome::False if !exit_code => ExitCode::SUCCESS,
        Outcome::False | Outcome::Wrong => ExitCode::FAILURE,
    })
}

fn usage(problem: &Problem, json: bool) -> ExitCode {
    say(problem, json, false);
    ExitCode::from(USAGE)
}

fn say(problem: &Problem, json: bool, verdict: bool) {
    match (json, verdict) {
        (true, true) => {
            let answer = super::answer::no_text(problem);
            log::out(&(answer + "\n"));
        }
        (true, false) => log::out(&(refusal(problem, None) + "\n")),
        (false, _) => log::err(&problem.alone()),
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
