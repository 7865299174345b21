//! The command line: Falco's options with Falco's meanings.

use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, Args, Parser};

use crate::command::Command;
use crate::list::Form;

/// Runtime threat detection for containers and Linux hosts, with Falco's rules.
///
/// Without options Lanner watches this host with its built-in rules and writes alerts to standard output; its own log goes
/// to standard error.
#[derive(Debug, Parser)]
#[command(
    name = "lanner",
    disable_version_flag = true,
    // As in Falco: of an option with one value that is there twice, the last counts.
    args_override_self = true,
    // A subcommand takes its options after its name.
    args_conflicts_with_subcommands = true,
    after_help = "Ctrl-C stops Lanner and prints what it saw."
)]
pub(crate) struct Cli {
    /// Configuration file [default: /etc/lanner/lanner.yaml where it exists]
    #[arg(short = 'c', value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Rules file or directory; repeatable, and replaces rules_files of the configuration
    #[arg(short = 'r', value_name = "FILE|DIR")]
    pub(crate) rules: Vec<PathBuf>,

    /// Sets a key of the configuration, e.g. json_output=true or rules_files[]=/path; repeatable
    #[arg(
        short = 'o',
        long = "option",
        value_name = "KEY=VALUE",
        allow_hyphen_values = true
    )]
    pub(crate) options: Vec<String>,

    /// Writes every alert at once, whatever buffered_outputs says
    #[arg(short = 'U', long = "unbuffered")]
    pub(crate) unbuffered: bool,

    /// Writes the process id to this file while Lanner runs
    #[arg(short = 'P', long = "pidfile", value_name = "FILE")]
    pub(crate) pidfile: Option<PathBuf>,

    /// Checks a rules file, says Ok or what is wrong, and exits; repeatable
    #[arg(short = 'V', long = "validate", value_name = "FILE")]
    pub(crate) validate: Vec<PathBuf>,

    /// Lists the rules and exits
    #[arg(short = 'L')]
    pub(crate) list_rules: bool,

    /// Describes one rule and exits
    #[arg(short = 'l', value_name = "RULE")]
    pub(crate) describe: Option<String>,

    /// Lists the fields of conditions and outputs, of one source or of all, and exits
    #[arg(long, value_name = "SOURCE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) list: Option<String>,

    /// With --list: names only
    #[arg(short = 'N', requires = "list")]
    pub(crate) names_only: bool,

    /// Lists the events that are captured, with their parameters, and exits
    #[arg(long)]
    pub(crate) list_events: bool,

    /// Loads configuration and rules and plans the capture, but does not watch; fails only where they are wrong
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Prints the versions of Lanner and of its rules engine, and exits
    #[arg(long, action = ArgAction::SetTrue)]
    pub(crate) version: bool,

    /// Stops after this many seconds; 0 is never
    #[arg(
        short = 'M',
        value_name = "SECS",
        value_parser = |text: &str| text.parse::<u64>().map_err(|_| "write a number of seconds, or 0 for no end"),
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(crate) seconds: u64,

    /// What Falco has and Lanner serves in part, or only so that units and scripts keep working.
    #[command(flatten)]
    pub(crate) falco: FalcoOptions,

    /// What to do instead of watching.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Falco's options beside the usual ones.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Falco's other options")]
pub(crate) struct FalcoOptions {
    /// Adds FMT to the output of every rule, like append_output; c, k, container and kubernetes change nothing; repeatable
    #[arg(short = 'p', long = "print", value_name = "FMT", allow_hyphen_values = true)]
    pub(crate) print: Vec<String>,

    /// With --list: adds the types of fields; see log_level of the configuration for the log
    #[arg(short = 'v', action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Leaves out an event source; repeatable. There is only "syscall"
    #[arg(long, value_name = "SOURCE", conflicts_with = "enable_source")]
    pub(crate) disable_source: Vec<String>,

    /// Watches this event source only; repeatable. There is only "syscall"
    #[arg(long, value_name = "SOURCE")]
    pub(crate) enable_source: Vec<String>,

    /// Prints the size of a memory page in bytes and exits
    #[arg(long)]
    pub(crate) page_size: bool,

    /// Prints the reads and writes that only rules which name them see, or all with base_syscalls.all, and exits
    #[arg(short = 'i')]
    pub(crate) ignored: bool,

    /// Lists the plugins and exits
    #[arg(long)]
    pub(crate) list_plugins: bool,

    /// Describes a plugin and exits
    #[arg(long, value_name = "NAME")]
    pub(crate) plugin_info: Option<String>,

    /// Form of --list and --list-events, and of -L and -l
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub(crate) format: Option<Form>,

    /// The older way to say --format markdown
    #[arg(long)]
    pub(crate) markdown: bool,

    /// Prints what a report of a problem should have, as JSON, and exits: versions, system, configuration and rules
    #[arg(long)]
    pub(crate) support: bool,

    /// Prints the JSON schema of the configuration, and exits
    #[arg(long)]
    pub(crate) config_schema: bool,

    /// Prints the JSON schema of rules files, and exits
    #[arg(long)]
    pub(crate) rule_schema: bool,
}

/// Options that Falco had once, and what they are here.
const GONE: &[(&[&str], &str)] = &[
    (&["-A"], "write -o base_syscalls.all=true"),
    (&["-b", "--print-base64"], "write -o buffer_format_base64=true"),
    (
        &["-d", "--daemon"],
        "Falco removed it: systemd or a shell runs things in the background",
    ),
    (&["-D"], "for -D TEXT write -o 'rules[].disable.rule=*TEXT*'"),
    (
        &["-t"],
        "for -t TAG write -o 'rules[].disable.rule=*' -o 'rules[].enable.tag=TAG'",
    ),
    (&["-T"], "for -T TAG write -o 'rules[].disable.tag=TAG'"),
    (
        &["-e"],
        "lanner replay FILE goes through a recording of lanner record",
    ),
    (
        &[
            "-k",
            "-K",
            "-m",
            "--k8s-api",
            "--k8s-api-cert",
            "--k8s-node",
            "--mesos-api",
        ],
        "what is known of pods comes from the container runtime",
    ),
    (
        &["-s"],
        "for -s FILE write -o metrics.enabled=true -o metrics.output_file=FILE",
    ),
    (&["--stats-interval"], "write -o metrics.interval=5s"),
    (&["-S", "--snaplen"], "write -o falco_libs.snaplen=BYTES"),
    (
        &["-u", "--userspace"],
        "Falco removed it: lanner plan says how this host is watched",
    ),
    (&["--cri"], "write -o 'container_engines.cri.sockets[]=SOCKET'"),
    (
        &["--disable-cri-async"],
        "containers are known before they start: leave it out",
    ),
    (&["--modern-bpf"], "it is the default: leave it out"),
    (&["--nodriver"], "write -o engine.kind=nodriver"),
    (
        &[
            "-g",
            "--gvisor-config",
            "--gvisor-generate-config",
            "--gvisor-root",
        ],
        "Falco removed gVisor, and Lanner has none",
    ),
];

impl Cli {
    /// Reads the command line; when it is wrong, says so and ends with 2.
    pub(crate) fn read() -> Cli {
        Cli::try_parse().unwrap_or_else(|error| with_tip(error).exit())
    }
}

const DURATION: &str = "lanner record stops by --duration; -M is for lanner without a command";

/// The error, with what a user of Falco has to write instead.
fn with_tip(mut error: clap::Error) -> clap::Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(" "),
        _ => String::new(),
    };
    let (wrong, prior) = (text(ContextKind::InvalidArg), text(ContextKind::PriorArg));
    let tip = match error.kind() {
        // Only `lanner` itself has it.
        ErrorKind::UnknownArgument if wrong == "-M" => Some(DURATION),
        ErrorKind::UnknownArgument => {
            let gone = GONE.iter().find(|(names, _)| names.contains(&wrong.as_str()));
            gone.map(|(_, tip)| *tip)
        }
        // As after `-V *.yaml`.
        ErrorKind::ArgumentConflict if prior.starts_with("--validate") || prior.starts_with("-r ") => {
            Some("each file needs its own -V or -r")
        }
        _ => None,
    };
    if let Some(tip) = tip {
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

impl FalcoOptions {
    /// The form lists are asked for in.
    pub(crate) fn form(&self) -> Form {
        match (self.format, self.markdown) {
            (Some(form), _) => form,
            (None, true) => Form::Markdown,
            (None, false) => Form::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;
    use std::path::Path;

    fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once(&"lanner").chain(arguments))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn falcos_options_are_understood() {
        let cli = parse(&[
            "-c", "a.yaml", "-r", "x", "-r", "y", "-o", "a=b", "--option", "c[]=d", "-U", "-P", "/run/p",
        ])
        .unwrap();
        assert_eq!(cli.config.as_deref(), Some(Path::new("a.yaml")));
        assert_eq!(cli.rules, [Path::new("x"), Path::new("y")]);
        assert_eq!(cli.options, ["a=b", "c[]=d"]);
        assert!(cli.unbuffered && cli.pidfile.is_some());
        assert_eq!(parse(&["-V", "a", "-V", "b"]).unwrap().validate.len(), 2);
        assert!(parse(&["-L"]).unwrap().list_rules);
        assert!(parse(&["--list", "-N"]).unwrap().names_only);
        assert_eq!(
            parse(&["--list=syscall"]).unwrap().list.as_deref(),
            Some("syscall")
        );
        assert!(parse(&["--version"]).unwrap().version);
        let form = |arguments: &[&str]| parse(arguments).unwrap().falco.form();
        assert_eq!(form(&["--list"]), Form::Text);
        assert_eq!(form(&["--list", "--markdown"]), Form::Markdown);
        assert_eq!(form(&["--list-events", "--format=json"]), Form::Json);
        assert_eq!(
            parse(&["--format", "xml"]).unwrap_err().kind(),
            ErrorKind::InvalidValue
        );
    }

    #[test]
    fn a_format_may_stand_right_behind_its_letter() {
        let cli = parse(&["-pk", "-p", "x=%proc.name", "--print=c", "-vv", "-M", "5"]).unwrap();
        assert_eq!(cli.falco.print, ["k", "x=%proc.name", "c"]);
        assert_eq!((cli.falco.verbose, cli.seconds), (2, 5));
    }

    #[test]
    fn seconds_are_a_number() {
        let error = Cli::try_parse_from(["lanner", "-M", "abc"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("write a number of seconds"), "{error}");
    }

    #[test]
    fn sources_are_enabled_or_disabled_not_both() {
        let both = ["--enable-source", "syscall", "--disable-source", "syscall"];
        assert_eq!(parse(&both).unwrap_err().kind(), ErrorKind::ArgumentConflict);
        let cli = parse(&["--disable-source", "a", "--disable-source", "b"]).unwrap();
        assert_eq!(cli.falco.disable_source, ["a", "b"]);
        assert_eq!(
            parse(&["-U", "-U", "-c", "a", "-c", "b"])
                .unwrap()
                .config
                .as_deref(),
            Some(Path::new("b"))
        );
    }

    #[test]
    fn unknown_options_are_named() {
        let error = parse(&["--dry-rnu"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownArgument);
        let text = error.to_string();
        assert!(text.contains("--dry-rnu") && text.contains("--dry-run"), "{text}");
        assert_eq!(parse(&["-c"]).unwrap_err().kind(), ErrorKind::InvalidValue);
        assert_eq!(
            parse(&["stray"]).unwrap_err().kind(),
            ErrorKind::InvalidSubcommand
        );
    }

    #[test]
    fn options_of_older_falcos_say_what_to_write_instead() {
        let said = |arguments: &[&str]| with_tip(parse(arguments).unwrap_err()).to_string();
        for (names, tip) in GONE {
            for name in *names {
                let text = said(&[name, "x"]);
                assert!(
                    text.contains(tip) && text.matches("tip:").count() == 1,
                    "{name}: {text}"
                );
            }
        }
        for option in ["-V", "-r"] {
            let text = said(&[option, "a.yaml", "b.yaml"]);
            assert!(text.contains("each file needs its own"), "{text}");
        }
        let text = said(&["record", "x.rec", "-M", "5"]);
        assert!(
            text.contains(DURATION) && text.matches("tip:").count() == 1,
            "{text}"
        );
        assert!(!said(&["--nope"]).contains("tip:"));
        assert!(said(&["--dry-rnu"]).contains("--dry-run"));
    }

    #[test]
    fn a_subcommand_has_options_of_its_own() {
        assert!(parse(&["coverage", "-r", "x"]).unwrap().command.is_some());
        assert!(parse(&["-r", "x"]).unwrap().command.is_none());
        let before = parse(&["-r", "x", "coverage"]).unwrap_err();
        assert_eq!(before.kind(), ErrorKind::ArgumentConflict);
    }
}
