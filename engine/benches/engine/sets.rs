//! The sets of rules that are measured.

use lanner_engine::BUILT_IN_RULES;
use std::fmt::Write as _;
use std::path::PathBuf;

/// One rule that never matches.
pub(crate) const ONE_RULE: &str = "- rule: Never matches
  desc: d
  condition: evt.type in (open, openat) and evt.is_open_read = true and fd.name = /etc/shadow and not proc.name in (sshd, sudo)
  output: o
  priority: WARNING
";

/// One rule that matches every open, with an output as Falco's stock rules have them.
pub(crate) const EVERY_OPEN: &str = "- rule: Read sensitive file
  desc: d
  condition: evt.type = openat and fd.num >= 0
  output: >
    Sensitive file opened for reading | file=%fd.name gparent=%proc.aname[2] ggparent=%proc.aname[3]
    evt_type=%evt.type user=%user.name user_uid=%user.uid user_loginuid=%user.loginuid process=%proc.name
    proc_exepath=%proc.exepath parent=%proc.pname command=%proc.cmdline terminal=%proc.tty
  priority: WARNING
  tags: [maturity_stable, host, container, filesystem, mitre_credential_access, T1555]
";

/// How many generated rules share an event type.
pub(crate) const COUNTS: [usize; 4] = [25, 250, 1000, 5000];

/// What tells generated rules apart; all of them are about opens.
pub(crate) const SHAPES: [&str; 6] = ["equality", "prefix", "contains", "in", "exceptions", "mixed"];

/// Falco's stock rules: the file `FALCO_RULES` names.
pub(crate) fn stock() -> Option<String> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/falco/falco_rules.yaml");
    let path = std::env::var_os("FALCO_RULES").map_or_else(default, PathBuf::from);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            eprintln!(
                "skipped: {}: {error}; set FALCO_RULES to Falco's falco_rules.yaml",
                path.display()
            );
            None
        }
    }
}

/// The sets somebody runs.
pub(crate) fn real() -> Vec<(&'static str, String)> {
    let mut sets = vec![
        ("one rule", ONE_RULE.to_owned()),
        ("built-in rules", BUILT_IN_RULES.to_owned()),
    ];
    sets.extend(stock().map(|text| ("stock rules", text)));
    sets
}

/// `count` rules of one shape.
pub(crate) fn generated(shape: &str, count: usize) -> String {
    (0..count).map(|n| rule(n, &condition(shape, n))).collect()
}

fn rule(n: usize, condition: &str) -> String {
    format!(
        "- rule: Rule {n}\n  desc: d\n  condition: evt.type in (open, openat) and {condition}\n  output: o %fd.name\n  \
         priority: WARNING\n"
    )
}

fn condition(shape: &str, n: usize) -> String {
    match shape {
        "equality" => format!("fd.name = /srv/{n}/secret and proc.name != agent{n}"),
        "prefix" => format!("fd.name startswith /srv/{n}/ and not proc.name in (agent{n}, sshd)"),
        "contains" => format!("proc.cmdline contains '--task={n} ' and evt.is_open_read = true"),
        "in" => format!("proc.name in (tool{n}, helper{n}, other{n}) and fd.name startswith /etc"),
        "exceptions" => format!(
            "evt.is_open_write = true and fd.directory in (/srv/{n}, /opt/{n}) and \
             not (proc.name = agent{n} and fd.name startswith /srv/{n}/a) and not (proc.name = tool{n})"
        ),
        _ => condition(SHAPES[n % (SHAPES.len() - 1)], n),
    }
}

/// `count` rules that share a list of as many items, and one item more.
pub(crate) fn long_list(count: usize) -> String {
    let mut text = String::from("- list: long\n  items: [");
    for n in 0..count {
        let comma = if n == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}/srv/data/{n}/file");
    }
    text.push_str("]\n");
    text + &rule(0, "fd.name in (long, /srv/other)")
}
