//! Evaluation allocates for alerts only. `allocation_counter` is the global allocator of this binary; it counts what the
//! calling thread asks for.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use lanner_engine::condition::{Scratch, compile, parse};
use lanner_engine::field::{self, ArgForm};
use lanner_engine::{BUILT_IN_RULES, Matching, RulesFile, Ruleset, Settings, load};
use std::path::PathBuf;
use support::{Built, container, host};

/// Fields whose values cannot be had without allocating: the list of all parameters.
const ALLOCATE: [&str; 2] = ["evt.args", "evt.info"];

fn ruleset(name: &str, text: &str) -> Ruleset {
    let file = RulesFile {
        name: name.into(),
        text: text.into(),
    };
    let settings = Settings {
        rule_matching: Matching::All,
        ..Settings::default()
    };
    load(&[file], &settings).ruleset.unwrap()
}

/// Ordinary events, and a few that rules look at closely without matching.
fn events() -> Vec<Built> {
    vec![
        host("ls /tmp").starts(),
        host("make all").child_of("bash").starts(),
        container("nginx -g").starts(),
        container("python3 main.py").exec_flags(1).starts(),
        host("ls /tmp").opens("/usr/lib/x86_64-linux-gnu/libc.so.6", 0),
        host("ls /tmp").opens("relative/path", 0),
        host("ls /tmp").opens_as("/nowhere", 0, -2),
        host("grep x").opens("/home/ann/.ssh/known_hosts", 0),
        host("sshd -D").opens("/etc/shadow", 0),
        host("apt-get update").opens("/etc/passwd", 0o102),
        host("dpkg -i").child_of("apt-get").opens("/usr/bin/tool", 0o1101),
        host("rsyslogd").opens("/var/log/syslog", 0o2001),
        host("logrotate x").opens("/var/log/syslog", 0o1101),
        host("vi x").opens("/home/ann/x", 0o101),
        container("nginx").opens("/var/log/nginx/access.log", 0o2001),
        container("nginx").opens("/etc/nginx/nginx.conf", 0),
        host("curl x").connects("203.0.113.7", 443, 0),
        host("curl x").connects("2001:db8::7", 443, -115),
        container("python3 x").connects("10.0.0.7", 5432, 0),
        host("rm x").removes("/tmp/x"),
        host("mv x").renames("/tmp/x", "/tmp/y"),
        host("ln x").symlinks("/usr/lib/libx.so.1", "/usr/lib/libx.so"),
        host("ln x").links("/tmp/x", "/tmp/y"),
        host("chmod x").chmods("/tmp/x", 0o755),
        host("runc init").enters_namespace(),
    ]
}

fn evaluates_without_allocating(mut ruleset: Ruleset) {
    for built in &events() {
        built.view(|event| {
            // The first pass may size buffers that later ones reuse, and shows which events make alerts.
            let mut alerts = 0;
            ruleset.evaluate(event, &mut |_| alerts += 1);
            let counted = allocation_counter::measure(|| ruleset.evaluate(event, &mut |_| ()));
            if alerts == 0 {
                assert_eq!(counted.count_total, 0, "{event:?}");
            } else {
                assert!(counted.count_total > 0, "the counter counts nothing");
            }
        });
    }
    let matched: u64 = ruleset.rules().map(|rule| rule.matches()).sum();
    assert!(
        matched < events().len() as u64,
        "too many of the events make alerts"
    );
}

#[test]
fn the_built_in_rules_allocate_nothing() {
    evaluates_without_allocating(ruleset("lanner_rules.yaml", BUILT_IN_RULES));
}

#[test]
fn the_stock_rules_allocate_nothing() {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/falco/falco_rules.yaml");
    let path = std::env::var_os("FALCO_RULES").map_or_else(default, PathBuf::from);
    match std::fs::read_to_string(&path) {
        Ok(text) => evaluates_without_allocating(ruleset("falco_rules.yaml", &text)),
        Err(error) => eprintln!(
            "skipped: {}: {error}; set FALCO_RULES to Falco's falco_rules.yaml",
            path.display()
        ),
    }
}

#[test]
fn many_rules_that_are_looked_up_allocate_nothing() {
    let condition = |n: usize| match n % 12 {
        0 => format!("fd.name = /srv/{n} or proc.exepath = /opt/{n}"),
        1 => format!("proc.name in (tool{n}, helper{n})"),
        2 => format!("fd.name startswith /srv/{n}/"),
        3 => format!("fd.name endswith '{n}.so'"),
        4 => format!("proc.cmdline contains 'task={n}'"),
        5 => format!("fd.name pmatch (/srv/{n}, /opt/*/{n})"),
        6 => format!("fd.name glob *{n}.conf"),
        7 => format!("proc.aname = tool{n}"),
        8 => format!("fd.port = {} or fd.sip = 192.0.2.{}", 20000 + n, n % 250),
        9 => format!("basename(fd.name) = file{n}"),
        10 => format!("getopt(proc.args, 'q:') intersects (q{n})"),
        // Found on many events, and then refused.
        _ => format!("proc.name in (ls, make, nginx, rm, mv, tool{n}) and proc.cmdline = 'x {n}'"),
    };
    let rule = |n: usize| {
        format!(
            "- rule: R{n}\n  desc: d\n  condition: evt.num > 0 and ({})\n  output: o\n  priority: INFO\n  \
             warn_evttypes: false\n",
            condition(n)
        )
    };
    let text: String = (0..600).map(rule).collect();
    evaluates_without_allocating(ruleset("rules.yaml", &text));
}

#[test]
fn every_kind_of_test_allocates_nothing() {
    let conditions = [
        "evt.type = openat and not proc.name in (a, b, c)",
        "proc.aname in (a, b) or proc.aname[2] = c",
        "fd.name pmatch (/a, /b/*/c) or fd.name glob *x?z or fd.name iglob *Q*",
        "fd.name startswith anyof (/a, /b) or fd.name contains anyof (qq, ww, zz, vv)",
        "proc.cmdline regex 'q+[a-z]*' or proc.cmdline icontains QQ",
        "evt.arg.flags contains O_NONE or evt.arg.mode contains S_NONE or evt.rawres = 77",
        "fd.sip = 1.2.3.4 or fd.net in (192.0.2.0/24) or fd.port = 1 or fd.snet != 10.0.0.0/8",
        "proc.name = val(proc.exe) or tolower(proc.name) = q or basename(fd.name) = q or len(proc.args) = 999",
        "concat(proc.name, 'x') = q or join('.', (proc.name, proc.pname)) = q or b64(proc.name) = q",
        "getopt(proc.args, 'q:')[q] = q or getopt(proc.args, 'q:') intersects (q, w)",
    ];
    for text in conditions {
        let program = compile(&parse(text).unwrap()).unwrap_or_else(|e| panic!("{text}: {}", e[0]));
        let yaml = format!(
            "- rule: R\n  desc: d\n  condition: evt.num > 0 and ({text})\n  output: o\n  priority: INFO\n  warn_evttypes: false\n"
        );
        let mut ruleset = ruleset("rules.yaml", &yaml);
        let mut scratch = Scratch::new();
        for built in &events() {
            built.view(|event| {
                let matched = program.matches(event, &mut scratch);
                let counted = allocation_counter::measure(|| {
                    program.matches(event, &mut scratch);
                });
                assert_eq!(counted.count_total, 0, "{text} on {event:?}");
                ruleset.evaluate(event, &mut |_| assert!(matched));
                let counted = allocation_counter::measure(|| ruleset.evaluate(event, &mut |_| ()));
                assert!(
                    matched || counted.count_total == 0,
                    "{text} in a ruleset on {event:?}"
                );
            });
        }
    }
}

#[test]
fn only_the_fields_listed_here_allocate() {
    let mut allocate: Vec<&str> = Vec::new();
    for field in field::all().filter(|field| !field.flags.print_only) {
        let argument = match field.arg {
            ArgForm::RequiredKey | ArgForm::RequiredIndexOrPattern => "[/s*]",
            ArgForm::RequiredIndex => "[1]",
            ArgForm::Param | ArgForm::ParamName => ".name",
            ArgForm::EventType => ".openat",
            ArgForm::DotName => ".cpu",
            _ => "",
        };
        let text = format!("{}{argument} exists", field.name);
        let program = compile(&parse(&text).unwrap()).unwrap_or_else(|e| panic!("{text}: {}", e[0]));
        let mut scratch = Scratch::new();
        let counted = |built: &Built| {
            built.view(|event| {
                program.matches(event, &mut scratch);
                let counted = allocation_counter::measure(|| {
                    program.matches(event, &mut scratch);
                });
                counted.count_total
            })
        };
        if events().iter().map(counted).sum::<u64>() > 0 {
            allocate.push(field.name);
        }
    }
    allocate.sort_unstable();
    assert_eq!(allocate, ALLOCATE);
}
