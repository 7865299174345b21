//! `lanner filter`: conditions by themselves.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::workbench::{Asked, Flags, Macros, Op, Types, Values, batch, run};

const EXAMPLES: &str = r#"Examples:
  lanner filter parse 'evt.type = open and not proc.name in (cat, tac)'
  lanner filter compile 'fd.name regex "/etc/.*"'
  lanner filter eval --fields '{"proc.name":"cat","proc.aname":["sh","sshd"]}' 'proc.aname = sshd'
  lanner filter eval --json --types '{"my.ids":"LIST(UINT64)"}' --fields '{"my.ids":[1,2]}' -- 'my.ids in (1, 2, 3)'
  lanner filter event-types 'evt.type != close'
  lanner filter compile -r /etc/falco/falco_rules.yaml 'spawned_process and proc.name in (shell_binaries)'
  cat condition.txt | lanner filter compile -

--batch reads one JSON object per line and answers each with one line, in order, as --json does:
  {"op":"eval","expr":"proc.name = cat","fields":{"proc.name":"cat"},"id":7}   gives   {"id":7,"result":true}
op is parse, compile, eval, event-types or format (which has "template" instead of "expr"); "fields", "types", "macros"
and "id" may be left out. A line that is no request is answered with {"error":"..."}.

Exit code: 0, or 1 when the condition or a value is wrong, or 2 when the flags are."#;

/// Tries conditions of rules, without rules files and events: what they mean, what is wrong with them, and why they are true
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Filter {
    /// Reads requests from standard input, a JSON object per line, and answers each with one
    #[arg(long)]
    batch: bool,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Parse(Parse),
    Compile(Compile),
    Eval(Eval),
    EventTypes(EventTypes),
}

/// Reads a condition: its tree and its canonical text
///
/// Nothing is looked up: fields need not exist, and macros stay. With --json the answer is
/// {"ok","error","canonical","ast","end_pos":{"idx","line","col"}}.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct Parse {
    #[command(flatten)]
    asked: Asked,
}

/// Checks a condition: its fields, operators and values, and the event types it can be true on
///
/// With --json the answer is {"ok","error","warnings":[{"code","message","pos"}]}.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct Compile {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    types: Types,
    #[command(flatten)]
    macros: Macros,
}

/// Tries a condition on values given by hand, and says why it is true or false
///
/// With --json the answer is {"result":true|false}, or {"error"}.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct Eval {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    values: Values,
    #[command(flatten)]
    types: Types,
    #[command(flatten)]
    macros: Macros,

    /// Exits with 1 when the condition is false
    #[arg(long, conflicts_with = "batch")]
    exit_code: bool,
}

/// Says on which types of events a condition can be true
///
/// With --json the answer is {"all","types","except"}: all but "except", or "types" only.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct EventTypes {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    types: Types,
    #[command(flatten)]
    macros: Macros,
}

impl Filter {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let flags = |types, macros| Flags {
            types: Some(types),
            macros: Some(macros),
            ..Flags::default()
        };
        match &self.command {
            None => batch(None, Flags::default()),
            Some(Command::Parse(Parse { asked })) => run(Op::Parse, asked, Flags::default()),
            Some(Command::Compile(Compile { asked, types, macros })) => {
                run(Op::Compile, asked, flags(types, macros))
            }
            Some(Command::Eval(eval)) => {
                let flags = Flags {
                    values: Some(&eval.values),
                    exit_code: eval.exit_code,
                    ..flags(&eval.types, &eval.macros)
                };
                run(Op::Eval, &eval.asked, flags)
            }
            Some(Command::EventTypes(EventTypes { asked, types, macros })) => {
                run(Op::EventTypes, asked, flags(types, macros))
            }
        }
    }
}
