//! Rules evaluated together find what every rule finds by itself, as it was written, in the order of definition.

use std::path::PathBuf;
use std::sync::Arc;

use lanner_schema::container::{Container, Owner};
use lanner_schema::descriptor::{Descriptor, DescriptorKind};
use lanner_schema::event::{EVENTS, Event, FdUse, Origin, ParamType};
use lanner_schema::flags::O_F_CREATED;
use lanner_schema::process::{Image, Process};
use lanner_schema::record::{AF_INET, AF_INET6, SocketTuple, Wire, WireBuilder};
use lanner_schema::view::{EventView, ResolvedPath, System};
use proptest::prelude::*;

use super::event_program::EventProgram;
use super::memory::Memory;
use super::naive::Naive;
use super::random_tests::check;
use super::{Expr, Program, compile, parse};
use crate::testing::Machine;
use crate::{BUILT_IN_RULES, Matching, RulesFile, Settings, load};

const PATHS: [&str; 22] = [
    "/etc/shadow",
    "/etc/sudoers.d/ann",
    "/etc/passwd",
    "/etc/ld.so.cache",
    "/etc/systemd/system/x.service",
    "/etc/pam.d/su",
    "/root/.ssh/id_rsa",
    "/home/ann/.ssh/id_ed25519",
    "/home/ann/.ssh/id_rsa.pub",
    "/root/.bash_history",
    "/var/log/syslog",
    "/var/log/journal/1/x",
    "/var/log/nginx/access.log",
    "/usr/bin/ls",
    "/bin/sh",
    "/dev/shm/x",
    "/tmp/../etc/shadow",
    "../../etc/shadow",
    "//etc//shadow",
    "/sys/fs/cgroup/release_agent",
    "/",
    "",
];
const NAMES: [&str; 24] = [
    "bash",
    "sh",
    "cat",
    "sshd",
    "sudo",
    "dpkg",
    "apt-get",
    "nginx",
    "systemd",
    "runc",
    "runc:[2:INIT]",
    "node",
    "python3",
    "perl",
    "awk",
    "logrotate",
    "ldconfig",
    "containerd",
    "nc",
    "curl",
    "passwd",
    "java",
    "<NA>",
    "",
];
const NUMBERS: [i64; 18] = [
    0,
    1,
    2,
    3,
    5,
    53,
    443,
    -1,
    -2,
    -13,
    -115,
    0o101,
    0o1101,
    0o100 | O_F_CREATED as i64,
    0o20200002,
    0o4755,
    0x4000_0000,
    -100,
];

/// An event of any type whose parameters are anything.
#[derive(Debug, Clone)]
struct Random {
    event: Event,
    wire: Vec<u8>,
    paths: Vec<(u8, &'static str)>,
    /// Of the event's own process (if it is known) and of those above it: name, index of the program's path, arguments.
    programs: Vec<(&'static str, usize, &'static str)>,
    known: bool,
    contained: bool,
    repository: Option<&'static str>,
    numbers: [usize; 6],
}

fn random() -> impl Strategy<Value = Random> {
    let events: Vec<Event> = EVENTS
        .iter()
        .filter(|r| !r.is_internal())
        .map(|r| r.event)
        .collect();
    let event = prop_oneof![
        proptest::sample::select(events),
        proptest::sample::select(vec![
            Event::Openat,
            Event::Execve,
            Event::Connect,
            Event::Unlinkat,
            Event::Rename
        ]),
    ];
    let arguments = vec![
        "",
        "-c id",
        "/dev/shm/x",
        "-e @pwd = getpwnam(",
        "-i -t 5 x",
        "--help",
    ];
    let program = (
        proptest::sample::select(&NAMES[..]),
        0..PATHS.len(),
        proptest::sample::select(arguments),
    );
    (
        (
            event,
            proptest::collection::vec((0..NUMBERS.len(), 0..PATHS.len(), 0..8u8), 32),
        ),
        proptest::collection::vec(program, 4),
        (proptest::bool::weighted(0.9), any::<bool>()),
        proptest::sample::select(vec![None, Some("nginx"), Some("docker.io/library/x")]),
        proptest::array::uniform6(0..NUMBERS.len()),
    )
        .prop_map(
            |((event, values), programs, (known, contained), repository, numbers)| {
                let (wire, paths) = parameters(event, &values);
                Random {
                    event,
                    wire,
                    paths,
                    programs,
                    known,
                    contained,
                    repository,
                    numbers,
                }
            },
        )
}

/// Parameters of the types the row says; an eighth is missing.
fn parameters(event: Event, values: &[(usize, usize, u8)]) -> (Vec<u8>, Vec<(u8, &'static str)>) {
    let mut wire = WireBuilder::new();
    let mut paths = Vec::new();
    for (index, (param, (number, path, kind))) in event.row().params.iter().zip(values).enumerate() {
        let (number, path) = (NUMBERS[*number], PATHS[*path]);
        if *kind == 0 || param.from == Origin::Absent {
            wire = wire.missing();
            continue;
        }
        wire = match param.ty {
            ParamType::CharBuf | ParamType::FsPath | ParamType::FsRelPath(_) => match param.from {
                Origin::UserPath { .. } => {
                    if *kind > 1 {
                        paths.push((index as u8, path));
                    }
                    wire.path(path, "/root")
                }
                Origin::Extractor(_) => {
                    paths.push((index as u8, path));
                    wire.kernel_path(path)
                }
                _ => wire.text(path),
            },
            ParamType::ByteBuf => wire.bytes(b"a\0bc\0"),
            ParamType::SockTuple | ParamType::SockAddr => {
                let (family, address) = match kind % 2 {
                    0 => (
                        AF_INET,
                        ["10.0.0.1", "127.0.0.1"][number.unsigned_abs() as usize % 2],
                    ),
                    _ => (
                        AF_INET6,
                        ["2001:db8::1", "::1"][number.unsigned_abs() as usize % 2],
                    ),
                };
                let end = (address.parse().unwrap(), number as u16);
                wire.tuple(&SocketTuple {
                    family,
                    protocol: [6, 17][usize::from(*kind) / 4],
                    kind: 1,
                    local: Some(end),
                    remote: (*kind > 2).then_some(end),
                    path: b"",
                })
            }
            _ => wire.number(number),
        };
    }
    (wire.build(), paths)
}

impl Random {
    fn number(&self, at: usize) -> u64 {
        NUMBERS[self.numbers[at]].unsigned_abs() % 1000
    }

    fn view<T>(&self, look: impl FnOnce(&EventView<'_>) -> T) -> T {
        let now = 1_700_000_000_000_000_000;
        let mut machine = Machine::new();
        for ((pid, ppid), (name, path, args)) in [(30, 20), (20, 10), (10, 1), (1, 0)]
            .into_iter()
            .zip(&self.programs)
        {
            let argv = format!("{name} {args}").replace(' ', "\0");
            let mut image = Image::new(
                name.as_bytes(),
                argv.as_bytes(),
                PATHS[*path].as_bytes(),
                b"HOME=/root\0",
            );
            image.exec_flags = self.number(0) as u32 & 15;
            let process = Process {
                pid,
                ppid,
                vpid: pid,
                sid: 20,
                tty: self.number(1) as u32 % 2,
                start_time: now - self.number(2) * 1_000_000_000,
                cap_effective: u64::MAX * (self.number(3) % 2),
                cwd: b"/root".as_slice().into(),
                image: Arc::new(image),
                ..Process::default()
            };
            machine.processes.insert(pid, process);
        }
        let container = Container {
            image: self.repository.map(str::to_owned),
            start_ts: Some(now - self.number(4) * 1_000_000_000),
            ..Machine::container()
        };
        let wire = Wire::read(&self.wire, self.event.row().params.len()).unwrap();
        let paths: Vec<ResolvedPath<'_>> = self
            .paths
            .iter()
            .map(|(param, path)| ResolvedPath {
                param: *param,
                path: path.as_bytes(),
            })
            .collect();
        let path_of = |index: u8| paths.iter().find(|p| p.param == index).map(|p| p.path);
        let number_of = |index: u8| wire.number(index.into()).unwrap_or(0).cast_signed();
        let file = |number, index| Descriptor {
            number,
            kind: [
                DescriptorKind::File,
                DescriptorKind::Directory,
                DescriptorKind::Other,
            ][self.numbers[5] % 3],
            path: path_of(index),
            raw_path: path_of(index),
            tuple: None,
            is_server: false,
        };
        // What capture gives: nothing where the row has no use for a descriptor.
        let descriptor = match self.event.row().fd {
            FdUse::None => None,
            FdUse::Opens { path, .. } => Some(file(number_of(0), path)),
            FdUse::File { fd, path, .. } => Some(file(number_of(fd), path)),
            FdUse::Socket { fd, tuple } => {
                let tuple = wire.param(tuple.into()).and_then(|p| SocketTuple::read(p.bytes));
                Some(Descriptor {
                    number: number_of(fd),
                    kind: match tuple.map(|t| t.family) {
                        Some(AF_INET) => DescriptorKind::Ipv4,
                        Some(_) => DescriptorKind::Ipv6,
                        None => DescriptorKind::Other,
                    },
                    path: None,
                    raw_path: None,
                    tuple,
                    is_server: self.number(5) % 2 == 1,
                })
            }
        };
        look(&EventView {
            event: self.event,
            number: 1 + self.number(0),
            time: now,
            cpu: 1,
            tid: 30,
            pid: 30,
            uid: self.number(1) as u32,
            gid: self.number(2) as u32,
            wire,
            implied_result: (self.event == Event::Execve).then_some(0),
            paths: &paths,
            process: machine.process(30).filter(|_| self.known),
            descriptor: descriptor.as_ref(),
            owner: if self.contained {
                Owner::Container(&container)
            } else {
                Owner::Host
            },
            system: &machine,
        })
    }
}

/// Checks whose answers vary over the random events, whatever decides them.
fn likely() -> impl Strategy<Value = String> {
    let numbered = (
        0..NUMBERS.len(),
        proptest::sample::select(vec!["=", "!=", "<", ">="]),
    )
        .prop_map(|(n, op)| format!("evt.rawres {op} {}", NUMBERS[n]));
    let path = (
        proptest::sample::select(vec![
            "fd.name",
            "fd.directory",
            "fs.path.name",
            "evt.arg.name",
            "proc.exepath",
            "fs.path.target",
        ]),
        proptest::sample::select(vec!["=", "!=", "startswith", "endswith", "contains", "glob"]),
        proptest::sample::select(&PATHS[..20]),
    )
        .prop_map(|(field, op, path)| format!("{field} {op} {path}"));
    let name = (
        proptest::sample::select(vec!["proc.name", "proc.pname", "proc.aname", "proc.aname[2]"]),
        proptest::collection::vec(proptest::sample::select(&NAMES[..9]), 0..6),
    )
        .prop_map(|(field, names)| format!("{field} in ({})", names.join(", ")));
    let fixed = proptest::sample::select(vec![
        "evt.type in (open, openat, openat2)",
        "evt.type = execve",
        "evt.type != openat",
        "evt.type.openat exists",
        "evt.num = 0",
        "evt.num > 0",
        "evt.num < 3",
        "evt.num in (0)",
        "evt.category = file",
        "syscall.type = connect",
        "evt.is_open_read = true",
        "evt.is_open_write = true",
        "evt.is_open_write != true",
        "evt.is_open_create = true",
        "evt.is_open_exec = true",
        "evt.failed = false",
        "evt.res = SUCCESS",
        "evt.res != ENOENT",
        "evt.type.is.openat = 1",
        "fd.num >= 0",
        "fd.num = -1",
        "fd.typechar = f",
        "fd.type in (file, directory)",
        "fd.sport != 53",
        "fd.port = 443",
        "fd.port != 443",
        "fd.ip = 127.0.0.1",
        "fd.ip != 127.0.0.1",
        "fd.snet in (127.0.0.0/8, '::1/128')",
        "fd.name exists",
        "not fd.name exists",
        "fd.name pmatch (/etc, /var/log)",
        "fs.path.target pmatch (/bin, /usr/*)",
        "fd.filename = shadow",
        "fd.l4proto = tcp",
        "fd.connected = true",
        "fd.nameraw contains ../",
        "container.id != host",
        "container.id = host",
        "container.duration < 5000000000",
        "container.image.repository in (nginx)",
        "container.image.repository = nginx",
        "proc.cmdline contains id",
        "proc.args startswith -",
        "proc.is_exe_upper_layer = true",
        "proc.tty != 0",
        "proc.duration <= 5000000000",
        "user.uid = 0",
        "thread.cap_effective contains CAP_SYS_ADMIN",
        "evt.arg.flags contains O_TRUNC",
        "evt.arg.mode contains S_ISUID",
        "evt.rawarg.flags > 0",
        "evt.arg[1] exists",
        "evt.arg.name exists",
        "fd.name in (/etc/shadow, /etc/passwd, /bin/sh)",
        "proc.name != allof (cat, nginx)",
        "proc.name = oneof (cat, nginx)",
        "proc.name startswith anyof (ba, s, run)",
        "proc.name contains anyof (a, b, c, d, e)",
        "fd.name regex '.*/s[a-z]+'",
        "proc.name = val(proc.pname)",
        "evt.type = val(evt.category)",
        "fd.num = val(evt.rawres)",
        "fd.directory != val(proc.cwd)",
        "tolower(fd.name) startswith /etc",
        "basename(fd.name) = shadow",
        "len(proc.name) > 4",
        "getopt(proc.args, 't:')[t] = 5",
        "evt.abspath startswith /etc",
        "evt.abspath.dst exists",
        "fd.name_changed = true",
        "fd.types in (file)",
        "proc.aname != bash",
    ])
    .prop_map(str::to_owned);
    prop_oneof![1 => numbered, 3 => path, 3 => name, 8 => fixed, 1 => check()]
}

fn condition() -> impl Strategy<Value = String> {
    likely().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            2 => proptest::collection::vec(inner.clone(), 2..5).prop_map(|c| format!("({})", c.join(" and "))),
            1 => proptest::collection::vec(inner.clone(), 2..5).prop_map(|c| format!("({})", c.join(" or "))),
            1 => inner.prop_map(|c| format!("not ({c})")),
        ]
    })
}

fn programs(texts: &[String]) -> Vec<(Expr, Program)> {
    let compiled = texts.iter().filter_map(|text| {
        let expr = parse(text).ok()?;
        let program = compile(&expr).ok()?;
        Some((expr, program))
    });
    compiled.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn random_rules_find_the_same(
        // Sometimes more than one block of rules.
        texts in prop_oneof![
            4 => proptest::collection::vec(condition(), 1..12),
            1 => proptest::collection::vec(condition(), 60..140),
        ],
        events in proptest::collection::vec(random(), 1..12),
    ) {
        let rules = programs(&texts);
        let (mut naive, mut memory) = (Naive::default(), Memory::default());
        for random in &events {
            let on_it = (0u32..).zip(&rules).filter(|(_, (_, program))| program.events().contains(random.event));
            let together = EventProgram::new(random.event, on_it.map(|(id, (_, program))| (id, program)));
            random.view(|view| {
                let expected: Vec<u32> =
                    (0u32..).zip(&rules).filter(|(_, (expr, _))| naive.holds(expr, view)).map(|(id, _)| id).collect();
                // Twice: what was remembered of one event has to be forgotten at the next.
                for _ in 0..2 {
                    let mut found = Vec::new();
                    together.run(view, &mut memory, &mut |id| { found.push(id); false });
                    prop_assert_eq!(&found, &expected, "{:?}\n{}", view, texts.join("\n"));
                }
                let mut first = None;
                together.run(view, &mut memory, &mut |id| { first = Some(id); true });
                prop_assert_eq!(first, expected.first().copied());
                Ok(())
            })?;
        }
    }
}

/// Shows events to the rules of a file, and compares with what each rule finds by itself.
fn file_finds_the_same(name: &str, text: &str, events: &[Random]) -> Result<(), TestCaseError> {
    for rule_matching in [Matching::First, Matching::All] {
        let file = RulesFile {
            name: name.into(),
            text: text.into(),
        };
        let settings = Settings {
            rule_matching,
            ..Settings::default()
        };
        let mut ruleset = load(&[file], &settings).ruleset.unwrap();
        let mut naive = Naive::default();
        for random in events {
            random.view(|view| {
                let mut expected: Vec<String> = ruleset
                    .rules()
                    .filter(|rule| rule.runs() && naive.holds(&rule.condition, view))
                    .map(|rule| rule.name().to_owned())
                    .collect();
                if rule_matching == Matching::First {
                    expected.truncate(1);
                }
                let mut found = Vec::new();
                ruleset.evaluate(view, &mut |alert| found.push(alert.rule.to_string()));
                prop_assert_eq!(found, expected, "{:?}", view);
                Ok(())
            })?;
        }
    }
    Ok(())
}

fn stock_rules() -> Option<String> {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_built_in_rules_find_the_same(events in proptest::collection::vec(random(), 100)) {
        file_finds_the_same("lanner_rules.yaml", BUILT_IN_RULES, &events)?;
    }

    #[test]
    fn the_stock_rules_find_the_same(events in proptest::collection::vec(random(), 100)) {
        if let Some(text) = stock_rules() {
            file_finds_the_same("falco_rules.yaml", &text, &events)?;
        }
    }
}

#[test]
fn conditions_as_deep_as_they_may_be_are_specialised() {
    // `and` and `or` by turns do not become one; each level adds one to the depth.
    let depth = super::MAX_DEPTH - 10;
    let mut text = String::new();
    for level in 0..depth {
        let word = if level % 2 == 0 { "and" } else { "or" };
        text.push_str(&format!("evt.cpu < {} {word} (", level + 2));
    }
    text.push_str("proc.name = cat");
    text.push_str(&")".repeat(depth));
    let rules = programs(&[text]);
    assert_eq!(rules.len(), 1);
    let program = EventProgram::new(Event::Openat, rules.iter().map(|(_, program)| (0, program)));
    let happening = crate::testing::Happening::openat(b"/etc/shadow", 0, 3);
    let (mut memory, mut found) = (Memory::default(), 0);
    happening.view(|view| {
        program.run(view, &mut memory, &mut |_| {
            found += 1;
            false
        });
        assert_eq!(found == 1, Naive::default().holds(&rules[0].0, view));
    });
}
