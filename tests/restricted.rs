//! Hosts that refuse what Lanner would like best: it goes on with what is left, says with what and why, and ends only
//! where nothing is.

// Failing to set up is failing the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use support::lanner::{Lanner, PROGRAM, field, impossible, options, rules};
use support::restrict::{
    CAP_BPF, CAP_DAC_READ_SEARCH, CAP_NET_ADMIN, CAP_PERFMON, CAP_SETPCAP, CAP_SYS_ADMIN, CAP_SYS_NICE,
    CAP_SYS_PTRACE, CAP_SYS_RESOURCE, Restrictions,
};
use support::{alone, skip};

/// What each tier needs, by the names and numbers of the kernel. Of these it has what it was given, and nothing else.
const WITH_BPF: [(&str, u32); 5] = [
    ("CAP_BPF", CAP_BPF),
    ("CAP_PERFMON", CAP_PERFMON),
    ("CAP_SYS_PTRACE", CAP_SYS_PTRACE),
    ("CAP_DAC_READ_SEARCH", CAP_DAC_READ_SEARCH),
    ("CAP_SYS_RESOURCE", CAP_SYS_RESOURCE),
];
const WITHOUT_BPF: [(&str, u32); 5] = [
    ("CAP_SYS_ADMIN", CAP_SYS_ADMIN),
    ("CAP_NET_ADMIN", CAP_NET_ADMIN),
    ("CAP_SYS_NICE", CAP_SYS_NICE),
    ("CAP_SYS_PTRACE", CAP_SYS_PTRACE),
    ("CAP_DAC_READ_SEARCH", CAP_DAC_READ_SEARCH),
];

const RULES: &str = "\
- rule: A shell
  desc: A program that the test runs
  condition: evt.type in (execve, execveat) and evt.failed = false and proc.name = lannershell and proc.pname exists
  output: >
    shell %proc.name %proc.pname %proc.exepath %proc.cmdline %user.name %container.id %evt.type
  priority: WARNING
";

/// What fanotify tells of.
const FILES: &str = "\
- rule: A secret is read
  desc: By its name
  condition: >
    evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.num >= 0 and fd.name = /etc/shadow
    and proc.name = lannershell
  output: read %fd.name %proc.name %proc.pname %user.name %container.id
  priority: WARNING
- rule: A write below etc
  desc: By what it was opened for
  condition: >
    evt.type in (open, openat, openat2) and evt.is_open_write = true and fd.typechar = 'f' and fd.num >= 0
    and fd.name startswith /etc/lanner-test-
  output: written %fd.name %proc.name %user.name %container.id
  priority: WARNING
- rule: A write by one of several calls
  desc: Which of them it was is not told
  condition: evt.type = open and evt.is_open_write = true and fd.name startswith /etc/lanner-test-
  output: opened by %evt.type %fd.name %user.name %container.id
  priority: WARNING
- rule: A log is gone
  desc: A name is removed
  condition: evt.type in (unlink, unlinkat) and evt.res = SUCCESS and fs.path.name endswith /lanner-test.log
  output: removed %fs.path.name %user.name %container.id
  priority: WARNING
- rule: Nobody can know
  desc: What no source tells neither holds nor does not
  condition: >
    evt.type in (open, openat, openat2) and fd.name = /etc/shadow and proc.name = lannershell
    and not fd.nameraw contains '..'
  output: never
  priority: WARNING
";

/// Does what those rules are about when it is told to; rm asks about the second file until the end of the input.
const ACTS: &str = "read go; exec 3< /etc/shadow 4> /etc/lanner-test-$$; rm /etc/lanner-test-$$
: > lanner-test.log; : > other.log; { echo y; cat; } | rm -i lanner-test.log other.log";

/// What the process connector tells of.
const PROCESSES: &str = "\
- rule: A child
  desc: The shell starts one
  condition: evt.type in (clone, clone3, fork, vfork) and proc.name = lannershell
  output: forked %proc.name %proc.pname %user.name %container.id
  priority: WARNING
- rule: An end
  desc: The shell ends
  condition: evt.type = procexit and proc.name = lannershell
  output: ended %proc.name %proc.pname %user.name %container.id
  priority: WARNING
";

/// A shell under a name of its own, that runs until it is dropped.
struct Shell(Child);

impl Shell {
    fn run(folder: &Path, script: &str) -> Shell {
        let path = folder.join("lannershell");
        support::copy_program("/bin/sh", &path);
        let child = Command::new(&path)
            .args(["-c", script])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .spawn();
        Shell(child.unwrap())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Starts it under restrictions and looks at the shell that it has to see; gives the line with its plan.
fn watches(restrictions: &Restrictions) -> Option<String> {
    if let Some(why) = impossible() {
        skip(&why);
        return None;
    }
    let _alone = alone();
    let (folder, rules) = rules(RULES);
    let mut command = restrictions.command(PROGRAM);
    command.args(options(None)).arg("-r").arg(&rules);
    let lanner = Lanner::start_command(command);
    let plan = plan_of(&lanner);
    gave_up(&lanner, restrictions, &plan);
    planned(restrictions, &rules, &plan);
    let shell = Shell::run(folder.path(), "read line");
    let alert = lanner.wait_for_alert("a shell", |alert| alert["rule"] == "A shell");
    drop(shell);
    let may_look = restrictions.keeps(CAP_SYS_PTRACE);
    looks_right(&alert, may_look.then_some(folder.path()));
    let ended = lanner.stop();
    assert!(ended.status.success(), "{}", ended.stderr);
    Some(plan)
}

/// What it says of how it watches. Without BPF that is one line of its log.
fn plan_of(lanner: &Lanner) -> String {
    let log = lanner.log();
    let warned = log
        .lines()
        .find(|line| line.contains("this host is watched without BPF: "));
    let words: Vec<&str> = log.split_whitespace().collect();
    let screen = words.join(" ");
    let (_, capture) = screen.split_once("Capture tier ").expect("a screen");
    assert_eq!(warned.is_some(), capture.starts_with("none: "), "{log}");
    match warned {
        Some(line) => line.to_owned(),
        None => format!("tier {}", capture.split_once(" Rules ").expect("a row").0),
    }
}

/// The capabilities of these kinds (`CapEff`) that a thread has, by its directory in /proc; `None` when it has ended.
fn capabilities<const N: usize>(thread: &Path, kinds: [&str; N]) -> Option<[u64; N]> {
    let status = fs::read_to_string(thread.join("status")).ok()?;
    Some(kinds.map(|kind| {
        let line = status.lines().find_map(|line| line.strip_prefix(kind));
        u64::from_str_radix(line.unwrap().trim_start_matches(':').trim(), 16).unwrap()
    }))
}

/// None of its threads has, or can get, a capability that the plan does not need.
fn gave_up(lanner: &Lanner, restrictions: &Restrictions, plan: &str) {
    let needed = match plan.contains("tier none: ") {
        true => WITHOUT_BPF,
        false => WITH_BPF,
    };
    let [own] = capabilities(Path::new("/proc/thread-self"), ["CapEff"]).unwrap();
    let has = |bit: u32| own >> bit & 1 != 0 && restrictions.keeps(bit);
    let wanted = needed
        .iter()
        .filter(|(_, bit)| has(*bit))
        .fold(0, |set, (_, bit)| set | 1 << bit);
    let tasks = fs::read_dir(format!("/proc/{}/task", lanner.pid())).unwrap();
    let threads: Vec<_> = tasks.map(|task| task.unwrap().path()).collect();
    // One that has ended is none.
    let kinds = ["CapEff", "CapPrm", "CapInh", "CapBnd"];
    let threads: Vec<_> = threads
        .iter()
        .filter_map(|thread| capabilities(thread, kinds))
        .collect();
    assert!(threads.len() > 1);
    for [effective, permitted, inheritable, bounding] in threads {
        let kinds = [effective, permitted];
        assert_eq!(kinds, [wanted; 2], "{plan}: {kinds:x?} and not {wanted:x}");
        assert_eq!(inheritable, 0);
        if has(CAP_SETPCAP) {
            assert_eq!(bounding & !wanted, 0, "{plan}");
        }
    }
}

/// `lanner plan` says of such a host the same, and why.
fn planned(restrictions: &Restrictions, rules: &Path, said: &str) {
    let mut command = restrictions.command(PROGRAM);
    command.args(["plan", "--json"]).arg("-r").arg(rules);
    let output = command.output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let plan = &document["plan"];
    let [tier, reason] = ["tier", "reason"].map(|key| plan[key].as_str().unwrap());
    assert!(said.contains(&format!("tier {tier}: {reason}")), "{said}\n{plan}");
    for source in document["host"]["sources"].as_array().unwrap() {
        let [kind, why] = ["kind", "said"].map(|key| source[key].as_str().unwrap());
        let is_refused = tier == "none" && source["allowed"] == false;
        assert!(
            !is_refused || said.contains(&format!("not {kind}: {why}")),
            "{said}\n{source}"
        );
    }
}

/// `folder` is the program's, where more of it is known than its name.
fn looks_right(alert: &Value, folder: Option<&Path>) {
    let own = fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(field(alert, "proc.name"), "lannershell");
    // The thread of the test is what forked.
    let parent = field(alert, "proc.pname");
    assert!(parent == own.trim() || parent == thread_name(), "{alert}");
    let (path, command_line) = match folder {
        Some(folder) => (folder.join("lannershell"), "lannershell -c read line"),
        None => Default::default(),
    };
    assert_eq!(field(alert, "proc.exepath"), path.to_str().unwrap());
    assert!(field(alert, "proc.cmdline").starts_with(command_line), "{alert}");
    assert_eq!(field(alert, "user.name"), "root");
    assert_eq!(field(alert, "container.id"), "host");
}

fn thread_name() -> String {
    fs::read_to_string("/proc/thread-self/comm")
        .unwrap()
        .trim()
        .to_owned()
}

#[test]
fn bpf_that_is_refused_leaves_the_other_sources() {
    for (error, name) in [(libc::EPERM, "EPERM"), (libc::ENOSYS, "ENOSYS")] {
        let Some(plan) = watches(&Restrictions::without_bpf(error)) else {
            return;
        };
        assert!(plan.contains("tier none: ") && plan.contains(name), "{plan}");
        assert!(plan.contains("connector"), "{plan}");
    }
}

#[test]
fn the_unit_asks_for_what_the_tiers_need() {
    let unit = fs::read_to_string(support::repository().join("deploy/lanner.service")).unwrap();
    let bound = unit
        .lines()
        .find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    let bound: BTreeSet<&str> = bound.unwrap().split_whitespace().collect();
    let needed = WITH_BPF.iter().chain(&WITHOUT_BPF).map(|(name, _)| *name);
    assert_eq!(bound, needed.collect());
}

#[test]
fn a_kernel_without_type_information_leaves_what_needs_none() {
    let Some(plan) = watches(&Restrictions::hiding(&["/sys/kernel/btf"])) else {
        return;
    };
    assert!(plan.contains("has no type information"), "{plan}");
    assert!(
        plan.contains("tier none: ") || plan.contains("tier raw: "),
        "{plan}"
    );
}

#[test]
fn tracefs_is_not_needed() {
    let hidden = Restrictions::hiding(&["/sys/kernel/tracing", "/sys/kernel/debug"]);
    let Some(plan) = watches(&hidden) else { return };
    assert!(plan.contains("tier sys_exit: "), "{plan}");
}

#[test]
fn bpf_needs_two_capabilities_and_not_the_greatest() {
    let Some(plan) = watches(&Restrictions::without(&[CAP_SYS_ADMIN])) else {
        return;
    };
    assert!(plan.contains("tier sys_exit: "), "{plan}");
}

#[test]
fn news_of_processes_need_one_capability() {
    let Some(plan) = watches(&Restrictions::without(&[CAP_SYS_ADMIN, CAP_BPF, CAP_PERFMON])) else {
        return;
    };
    assert!(plan.contains("tier none: ") && plan.contains("CAP_BPF"), "{plan}");
    let Some(plan) = watches(&Restrictions::with(&[CAP_NET_ADMIN])) else {
        return;
    };
    assert!(
        plan.contains("connector; not fanotify: CAP_SYS_ADMIN is missing"),
        "{plan}"
    );
}

#[test]
fn without_any_capability_it_says_so_and_ends() {
    if let Some(why) = impossible() {
        return skip(&why);
    }
    let (_folder, rules) = rules(RULES);
    let mut command = Restrictions::with(&[]).command(PROGRAM);
    let output = command
        .args(options(None))
        .arg("-r")
        .arg(&rules)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for needed in ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"] {
        assert!(said.contains(needed), "{said}");
    }
}

/// What this command says of each rule's coverage.
fn claims(command: &mut Command, rules: &Path) -> Vec<(String, String)> {
    let output = command.arg("-r").arg(rules).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let claims: Value = serde_json::from_slice(&output.stdout).unwrap();
    let claims = claims["rules"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    claims
        .map(|rule| (text(&rule["rule"]), text(&rule["tiers"]["none"]["verdict"])))
        .collect()
}

/// Waits for an alert of each rule that coverage claims, and sees that those it calls blind have none.
fn is_as_claimed(claimed: &[(String, String)], blind: &[&str], lanner: Lanner, mut shell: Shell) {
    for (rule, verdict) in claimed {
        assert_eq!(verdict == "blind", blind.contains(&&**rule), "{rule}: {verdict}");
    }
    let claimed = || claimed.iter().filter(|(_, verdict)| verdict != "blind");
    let look = |rule: &str| {
        let alert = lanner.wait_for_alert(rule, |alert| alert["rule"] == *rule);
        assert_eq!(field(&alert, "container.id"), "host", "{alert}");
        assert_eq!(field(&alert, "user.name"), "root", "{alert}");
    };
    // What a program does right after it was started can be taken for its parent's doing.
    look("A shell");
    shell.0.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    claimed()
        .filter(|(rule, _)| rule != "An end")
        .for_each(|(rule, _)| look(rule));
    drop(shell);
    claimed().for_each(|(rule, _)| look(rule));
    let ended = lanner.stop();
    assert!(ended.status.success(), "{}", ended.stderr);
    let is_guess = |alert: &Value| blind.iter().any(|rule| alert["rule"] == **rule);
    assert!(!ended.alerts().iter().any(is_guess), "{}", ended.stdout);
}

#[test]
fn with_news_of_processes_alone_what_coverage_claims_is_seen() {
    if let Some(why) = impossible() {
        return skip(&why);
    }
    let _alone = alone();
    let (folder, rules) = rules(&format!("{RULES}{PROCESSES}{FILES}"));
    // Coverage judges this host for one that may do as little.
    let restricted = || Restrictions::without(&[CAP_SYS_ADMIN, CAP_BPF, CAP_PERFMON]).command(PROGRAM);
    let claimed = claims(restricted().args(["coverage", "--json"]), &rules);
    let mut command = restricted();
    command.args(options(None)).arg("-r").arg(&rules);
    let lanner = Lanner::start_command(command);
    let shell = Shell::run(folder.path(), ACTS);
    let blind = [
        "A secret is read",
        "A write below etc",
        "A write by one of several calls",
        "A log is gone",
        "Nobody can know",
    ];
    is_as_claimed(&claimed, &blind, lanner, shell);
}

#[test]
fn the_table_of_the_stock_rules_is_what_coverage_says() {
    let Some(rules) = std::env::var_os("FALCO_RULES") else {
        return skip("FALCO_RULES does not name Falco's rules");
    };
    let mut command = Command::new(PROGRAM);
    let output = command
        .args(["coverage", "--markdown", "-r"])
        .arg(rules)
        .output()
        .unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let page = support::repository().join("docs/coverage-without-bpf.md");
    let page = fs::read_to_string(page).unwrap();
    assert!(
        page.contains(&table),
        "the page has another table than this:\n{table}"
    );
}

#[test]
fn files_are_told_of_without_bpf() {
    if let Some(why) = impossible() {
        return skip(&why);
    }
    let _alone = alone();
    let (folder, rules) = rules(&format!("{RULES}{FILES}"));
    let mut command = Restrictions::without_bpf(libc::EPERM).command(PROGRAM);
    command.args(options(None)).arg("-r").arg(&rules);
    let lanner = Lanner::start_command(command);
    let plan = plan_of(&lanner);
    assert!(plan.contains("fanotify"), "{plan}");
    let shell = Shell::run(folder.path(), ACTS);
    let mut coverage = Command::new(PROGRAM);
    coverage.args([
        "coverage",
        "--json",
        "--tier",
        "none",
        "--sources",
        "fanotify,connector",
    ]);
    let claimed = claims(&mut coverage, &rules);
    assert_eq!(claimed.len(), 6);
    is_as_claimed(&claimed, &["Nobody can know"], lanner, shell);
}
