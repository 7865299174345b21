//! `lanner seccomp-profile`: the policy by which containers notify Lanner of the calls that nothing else without BPF sees.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use lanner_engine::{Rule, Ruleset, nearest};
use lanner_schema::event::{Event, EventSet};
use lanner_schema::flags::CAPABILITIES as CAPABILITIES_OF_LINUX;
use lanner_schema::seccomp::{self, Notifying, Policy};
use lanner_schema::tier::{Quality, Tier, Why};
use serde_json::{Map, Value, json};

use super::rules_options::RulesOptions;
use crate::wrap::wrapped;
use crate::{load, log};

/// Capabilities of a container that asks for none and drops none: containerd's.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// Writes a seccomp profile that shows Lanner the calls its rules need
///
/// On a host without BPF nothing else sees connect, bind, ptrace, mount, setns and the like. The profile allows and refuses what
/// containerd's default does, and notifies of the calls that the loaded rules name; what it refuses is seen, too. What it does
/// is said on standard error. The keeper (lanner keeper) has to run before such a container starts.
///
/// Exit code: 0; 1 when configuration or rules are refused, or the file can't be written; 2 when the flags are wrong.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct SeccompProfile {
    #[command(flatten)]
    from: RulesOptions,

    /// Writes the profile to this file and not to standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// A profile for the kubelet (a Localhost profile) and ctr, or that part of an OCI runtime's config.json
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Cri)]
    format: Format,

    /// The containers have this capability besides the usual, e.g. CAP_SYS_ADMIN: the default profile allows more with some;
    /// repeatable
    #[arg(long = "capability", value_name = "NAME", value_parser = capability)]
    capabilities: Vec<String>,

    /// The containers had no profile (privileged, Unconfined): nothing is refused
    #[arg(long, conflicts_with = "capabilities")]
    unconfined: bool,

    /// Socket of the keeper where the runtime sees it
    #[arg(long, value_name = "SOCKET", default_value = seccomp::LISTENER)]
    listener: String,
}

/// See [`SeccompProfile::format`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Cri,
    Oci,
}

/// A capability's name as the runtimes write it, of one that may lack `CAP_`.
fn capability(text: &str) -> Result<String, String> {
    let name = text.to_ascii_uppercase();
    let name = format!("CAP_{}", name.strip_prefix("CAP_").unwrap_or(&name));
    if CAPABILITIES_OF_LINUX.contains(&&*name) {
        return Ok(name);
    }
    let known = CAPABILITIES_OF_LINUX.iter().copied();
    Err(match nearest(&name, known) {
        Some(near) => format!("no such capability; did you mean {near}?"),
        None => "no such capability; write one as in capabilities(7), e.g. CAP_SYS_ADMIN".into(),
    })
}

impl SeccompProfile {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let config = self.from.configure()?;
        let ruleset = load::load(&self.from.files(&config)?, &config)?;
        let wanted = wanted(&ruleset).difference(config.capture.excluded);
        let policy = match self.unconfined {
            true => Policy::unconfined(),
            false => {
                let more = self.capabilities.iter().map(String::as_str);
                Policy::runtime_default(CAPABILITIES.into_iter().chain(more))
            }
        };
        let made = policy.notifying(wanted, &self.listener);
        let profile = profile(&made.policy);
        let profile = match self.format {
            Format::Cri => profile,
            Format::Oci => json!({ "linux": { "seccomp": profile } }),
        };
        let text = format!("{}\n", serde_json::to_string_pretty(&profile)?);
        match &self.output {
            Some(path) => {
                std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
            }
            None => log::out(&text),
        }
        log::err(&explanation(&made, wanted, &ruleset));
        Ok(ExitCode::SUCCESS)
    }
}

/// Events that are seen through seccomp notify alone on a host without BPF.
fn by_seccomp(event: Event) -> bool {
    matches!(Tier::None.event(event), Quality::Weaker(Why::SeenBySeccomp))
}

/// The events that rules name, that can be notified of or not, and of which enough is known for a rule to match: a call that waits
/// for Lanner in vain is left alone. A rule that leaves the type open does not ask for one.
pub(crate) fn wanted(ruleset: &Ruleset) -> EventSet {
    let rules = ruleset
        .rules()
        .filter(|rule| rule.runs() && rule.names_event_types());
    let of_rule = |rule: &Rule| -> EventSet {
        let events = rule.events().iter();
        events
            .filter(|event| by_seccomp(*event) && rule.can_match(*event, Tier::None))
            .collect()
    };
    rules.map(of_rule).fold(EventSet::NONE, EventSet::union)
}

/// `LinuxSeccomp` of the OCI runtime specification.
fn profile(policy: &Policy) -> Value {
    let mut profile = Map::new();
    profile.insert("defaultAction".into(), json!(policy.default_action));
    if let Some(errno) = policy.default_errno {
        profile.insert("defaultErrnoRet".into(), json!(errno));
    }
    profile.insert("architectures".into(), json!(policy.architectures));
    if !policy.flags.is_empty() {
        profile.insert("flags".into(), json!(policy.flags));
    }
    if !policy.listener_path.is_empty() {
        profile.insert("listenerPath".into(), json!(policy.listener_path));
        profile.insert("listenerMetadata".into(), json!(policy.listener_metadata));
    }
    let rules = policy.rules.iter().map(|rule| {
        let mut value = Map::new();
        value.insert("names".into(), json!(rule.names));
        value.insert("action".into(), json!(rule.action));
        if let Some(errno) = rule.errno {
            value.insert("errnoRet".into(), json!(errno));
        }
        let args = rule.args.iter().map(
            |arg| json!({ "index": arg.index, "value": arg.value, "valueTwo": arg.value_two, "op": arg.op }),
        );
        let args: Vec<Value> = args.collect();
        if !args.is_empty() {
            value.insert("args".into(), json!(args));
        }
        Value::Object(value)
    });
    profile.insert("syscalls".into(), rules.collect());
    Value::Object(profile)
}

/// What the profile does, for people.
fn explanation(made: &Notifying, wanted: EventSet, ruleset: &Ruleset) -> String {
    const WIDTH: usize = 100;
    let names = |events: EventSet| events.iter().map(Event::name).collect::<Vec<_>>().join(", ");
    let mut out = String::new();
    let mut say = |line: &str| {
        for (index, line) in wrapped(line, WIDTH).iter().enumerate() {
            out.push_str(if index == 0 { "" } else { "  " });
            out.push_str(line);
            out.push('\n');
        }
    };
    let left_out: EventSet = wanted
        .iter()
        .filter(|event| seccomp::why_not(*event).is_some())
        .collect();
    if made.shown.is_empty() && made.refused.is_empty() {
        say("No rule names a call that would be notified of: this is the default profile.");
    }
    if !made.shown.is_empty() {
        say(&format!("Seen, and done: {}.", names(made.shown)));
    }
    if !made.refused.is_empty() {
        say(&format!(
            "Seen, and refused as the default does: {}.",
            names(made.refused)
        ));
    }
    if !made.unseen.is_empty() {
        say(&format!(
            "Refused in a way of its own, and not seen: {}.",
            names(made.unseen)
        ));
    }
    if !left_out.is_empty() {
        say(&format!(
            "Not seen, because the runtime makes the call before it hands over who is notified: {}.",
            names(left_out)
        ));
    }
    let open = ruleset
        .rules()
        .filter(|rule| rule.runs() && !rule.names_event_types());
    let open: Vec<&str> = open.map(Rule::name).collect();
    if !open.is_empty() {
        say(&format!(
            "These rules leave the type of event open and see what others name: {}.",
            open.join(", ")
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_which_no_rule_can_know_enough_are_left_alone() {
        let wanted = |condition: &str| {
            let file = lanner_engine::RulesFile {
                name: "rules.yaml".into(),
                text: format!(
                    "- rule: R\n  desc: d\n  condition: {condition}\n  output: o\n  priority: NOTICE\n"
                ),
            };
            let ruleset = load::load(&[file], &crate::config::Config::default()).unwrap();
            wanted(&ruleset).iter().map(Event::name).collect::<Vec<_>>()
        };
        assert_eq!(wanted("evt.type = ftruncate"), ["ftruncate"]);
        assert_eq!(
            wanted("evt.type in (truncate, ftruncate) and (fd.name = /x or evt.arg.path = /x)"),
            ["truncate"]
        );
    }

    #[test]
    fn capabilities_are_read_with_and_without_their_prefix() {
        assert_eq!(capability("CAP_SYS_ADMIN").as_deref(), Ok("CAP_SYS_ADMIN"));
        assert_eq!(capability("sys_ptrace").as_deref(), Ok("CAP_SYS_PTRACE"));
        assert!(capability("").is_err() && capability("CAP_").is_err() && capability("a b").is_err());
    }

    #[test]
    fn a_misspelt_capability_is_refused_with_what_was_meant() {
        let refused = |text| capability(text).unwrap_err();
        assert!(refused("CAP_SYS_PTRACR").ends_with("did you mean CAP_SYS_PTRACE?"));
        assert!(refused("sys_admim").ends_with("did you mean CAP_SYS_ADMIN?"));
        assert!(refused("nope").starts_with("no such capability; "));
        assert!(CAPABILITIES.iter().all(|name| capability(name).is_ok()));
    }
}
