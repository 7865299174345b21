//! Every type of parameter as it is (`evt.rawarg`), with names (`evt.arg`), and among the others (`evt.args`).

use lanner_schema::alert::FieldValue;
use lanner_schema::event::{Event as E, ParamType};
use lanner_schema::flags::O_F_CREATED;
use lanner_schema::record::{self, AF_NETLINK, AF_UNIX, SocketTuple, WireBuilder};

use crate::condition::{Scratch, compile, parse};
use crate::output::Template;
use crate::testing::Happening;

/// One parameter: its name, `evt.rawarg`, `evt.arg`, and what `evt.args` has after the name.
type Row<'a> = (&'a str, &'a str, &'a str, &'a str);

fn printed(happening: &Happening, template: &str) -> String {
    let template = Template::compile(template).unwrap_or_else(|error| panic!("{template}: {error}"));
    let mut out = String::new();
    happening.view(|view| template.render(view, &mut out, &mut Vec::new()));
    out
}

fn value(happening: &Happening, field: &str) -> FieldValue {
    let template = Template::compile(&format!("*%{field}")).unwrap();
    let mut values = Vec::new();
    happening.view(|view| template.render(view, &mut String::new(), &mut values));
    values.remove(0).1
}

#[track_caller]
fn shows(happening: &Happening, rows: &[Row<'_>]) {
    let args = printed(happening, "%evt.args");
    for (name, raw, text, in_args) in rows {
        let seen = printed(happening, &format!("*%evt.rawarg.{name}|%evt.arg.{name}"));
        assert_eq!(seen, format!("{raw}|{text}"), "{name} of {args}");
        let pair = format!(" {name}={in_args} ");
        assert!(format!(" {args}").contains(&pair), "'{pair}' in '{args}'");
    }
    assert_eq!(printed(happening, "%evt.info"), args);
}

#[track_caller]
fn holds(happening: &Happening, conditions: &[(&str, bool)]) {
    for (condition, expected) in conditions {
        let expr = parse(condition).unwrap_or_else(|error| panic!("{condition}: {error:?}"));
        let program = compile(&expr).unwrap_or_else(|error| panic!("{condition}: {error:?}"));
        let matches = happening.view(|view| program.matches(view, &mut Scratch::new()));
        assert_eq!(matches, *expected, "{condition}");
    }
}

fn numbers(numbers: &[i64]) -> WireBuilder {
    numbers.iter().fold(WireBuilder::new(), |wire, n| wire.number(*n))
}

#[test]
fn opens_have_falcos_bits_and_names_in_its_order() {
    // O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC and O_NOFOLLOW, which Falco has no bit for.
    let flags = 0o2401101 | O_F_CREATED;
    let created = Happening::openat(b"shadow", flags, 3);
    let names = "O_TRUNC|O_CREAT|O_WRONLY|O_CLOEXEC|O_F_CREATED";
    shows(
        &created,
        &[
            ("fd", "3", "<f>/root/shadow", "3(<f>/root/shadow)"),
            ("dirfd", "-100", "AT_FDCWD", "-100(AT_FDCWD)"),
            ("name", "shadow", "/root/shadow", "shadow(/root/shadow)"),
            ("flags", "5106", names, &format!("20742({names})")),
            ("mode", "644", "0644", "0644"),
            ("dev", "100801", "100801", "100801"),
            ("ino", "77", "77", "77"),
        ],
    );
    assert_eq!(
        value(&created, "evt.rawarg.flags"),
        FieldValue::Text("5106".into())
    );
    assert_eq!(value(&created, "evt.rawarg.ino"), FieldValue::U64(77));
    holds(
        &created,
        &[
            ("evt.arg.flags contains O_TRUNC", true),
            ("evt.arg.flags contains O_TMPFILE", false),
            ("evt.arg.flags icontains o_creat", true),
            ("evt.rawarg.flags = 20742", true),
            ("evt.rawarg.flags in (1, 20742)", true),
            ("evt.rawarg.mode = 420", true),
            ("evt.arg.mode = 0644", true),
            ("evt.arg[3] contains O_WRONLY", true),
            ("evt.arg[6] = 77", true),
            // Parameters of Lanner's own are not counted, and none follows the last.
            ("evt.arg[7] exists", false),
            ("evt.arg.mode contains S_I", false),
        ],
    );

    // What opens nothing new has no mode, whatever is in the register.
    let read = Happening::openat(b"/etc/../etc/shadow", 0o200000, 4);
    shows(
        &read,
        &[
            (
                "flags",
                "401",
                "O_DIRECTORY|O_RDONLY",
                "1025(O_DIRECTORY|O_RDONLY)",
            ),
            ("mode", "0", "0", "0"),
        ],
    );
    let failed = Happening::openat(b"/nothing", 0, -2);
    shows(
        &failed,
        &[
            ("fd", "-2", "ENOENT", "-2(ENOENT)"),
            ("name", "/nothing", "/nothing", "/nothing"),
        ],
    );
}

#[test]
fn results_and_modes() {
    let chmod = |mode| Happening::new(E::Chmod, WireBuilder::new().number(0).text("/bin/x").number(mode));
    shows(
        &chmod(0o4755),
        &[
            ("res", "0", "0", "0"),
            (
                "mode",
                "4755",
                "S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID",
                "04755(S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID)",
            ),
        ],
    );
    shows(&chmod(0), &[("mode", "0", "0", "0")]);
    holds(
        &chmod(0o100),
        &[
            ("evt.arg.mode contains \"S_IXUSR\"", true),
            ("evt.arg.mode contains S_IXGRP", false),
            ("evt.rawarg.mode = 64", true),
        ],
    );
    let denied = Happening::new(E::Mkdir, WireBuilder::new().number(-13).text("/x").number(0o755));
    shows(
        &denied,
        &[
            ("res", "-13", "EACCES", "-13(EACCES)"),
            // Falco shows this one in hexadecimal.
            ("mode", "1ED", "1ED", "1ED"),
        ],
    );
    let odd = Happening::new(E::Mkdir, numbers(&[-4000]));
    shows(&odd, &[("res", "-4000", "-4000", "-4000")]);
}

#[test]
fn codes_have_falcos_numbers_in_decimal() {
    let seize = Happening::new(E::Ptrace, numbers(&[0, 0, 0, 0x4206, 20]));
    shows(
        &seize,
        &[
            ("request", "20", "PTRACE_SEIZE", "20(PTRACE_SEIZE)"),
            ("pid", "20", "bash", "20(bash)"),
        ],
    );
    assert_eq!(value(&seize, "evt.rawarg.request"), FieldValue::U64(20));
    holds(
        &seize,
        &[
            ("evt.arg.request in (PTRACE_ATTACH, PTRACE_SEIZE)", true),
            ("evt.arg.request = PTRACE_ATTACH", false),
            ("evt.rawarg.request = 20", true),
        ],
    );
    let socket = |family| Happening::new(E::Socket, numbers(&[5, family, 3, 0, 0o2000000]));
    shows(
        &socket(17),
        &[
            ("domain", "17", "AF_PACKET", "17(AF_PACKET)"),
            ("type", "3", "3", "3"),
            ("flags", "1000", "O_CLOEXEC", "4096(O_CLOEXEC)"),
        ],
    );
    shows(
        &socket(1),
        &[("domain", "1", "AF_LOCAL|AF_UNIX", "1(AF_LOCAL|AF_UNIX)")],
    );
    // A family that is newer than Falco's list.
    shows(&socket(40), &[("domain", "40", "40", "40")]);
    let unshare = Happening::new(E::Unshare, numbers(&[0, 0x1002_0000]));
    shows(
        &unshare,
        &[(
            "flags",
            "100020",
            "CLONE_NEWNS|CLONE_NEWUSER",
            "1048608(CLONE_NEWNS|CLONE_NEWUSER)",
        )],
    );
    let accepted = WireBuilder::new()
        .number(5)
        .missing()
        .missing()
        .missing()
        .missing()
        .number(0o2000000);
    let accepted = Happening::new(E::Accept4, accepted);
    shows(&accepted, &[("flags", "80000", "80000", "80000")]);
    assert_eq!(
        value(&accepted, "evt.rawarg.flags"),
        FieldValue::Text("80000".into())
    );
    let down = Happening::new(E::Shutdown, numbers(&[0, 5, 1]));
    shows(&down, &[("how", "1", "SHUT_WR", "1(SHUT_WR)")]);
    let module = Happening::new(E::FinitModule, numbers(&[0, 5]).missing().number(4));
    let name = "MODULE_INIT_COMPRESSED_FILE";
    shows(&module, &[("flags", "4", name, &format!("4({name})"))]);
    assert_eq!(value(&module, "evt.rawarg.flags"), FieldValue::U64(4));
    let all = 0x1ff_ffff_ffff;
    let capset = Happening::new(E::Capset, numbers(&[0, 0, all, all]));
    let hex = "1FFFFFFFFFF";
    shows(
        &capset,
        &[
            ("cap_inheritable", "0", "0", "0"),
            ("cap_effective", hex, hex, hex),
        ],
    );
    let none = Happening::new(E::Dup3, numbers(&[7, 3, 7, 0]));
    shows(&none, &[("flags", "0", "O_NONE", "0(O_NONE)")]);
    let options = numbers(&[0, 3, 1, 66]).bytes(&[&[record::DYN_NUMBER][..], &5_u64.to_le_bytes()].concat());
    shows(
        &Happening::new(E::Getsockopt, options.number(16)),
        &[
            ("level", "1", "SOL_SOCKET", "1(SOL_SOCKET)"),
            ("optname", "20", "SO_RCVTIMEO", "20(SO_RCVTIMEO)"),
            ("val", "5", "5", "5"),
            ("optlen", "16", "16", "16"),
        ],
    );
    let error = numbers(&[0, 3, 1, 4]).bytes(&[&[record::DYN_ERRNO][..], &(-111_i64).to_le_bytes()].concat());
    let error = Happening::new(E::Getsockopt, error.number(4));
    shows(&error, &[("val", "-111", "ECONNREFUSED", "-111(ECONNREFUSED)")]);
}

#[test]
fn ids_signals_and_numbers() {
    let none = i64::from(u32::MAX);
    let ids = Happening::new(E::Setresuid, numbers(&[0, 0, 4711, none]));
    shows(
        &ids,
        &[
            ("ruid", "0", "root", "0(root)"),
            ("euid", "4711", "<NA>", "4711(<NA>)"),
            ("suid", "4294967295", "<NONE>", "-1(<NONE>)"),
        ],
    );
    let killed = Happening::new(E::Procexit, numbers(&[9, 0, 9, 1, 1]));
    shows(
        &killed,
        &[
            ("status", "9", "9", "9"),
            ("sig", "9", "SIGKILL", "9(SIGKILL)"),
            ("core", "1", "1", "1"),
            ("reaper_tid", "1", "systemd", "1(systemd)"),
        ],
    );
    shows(
        &Happening::new(E::Procexit, numbers(&[0, 0, 0])),
        &[("sig", "0", "0", "0")],
    );
    // Falco prints numbers without names as signed ones.
    let socket = Happening::new(E::Socket, numbers(&[5, 2, none, 0]));
    shows(&socket, &[("type", "4294967295", "-1", "-1")]);
}

#[test]
fn texts_bytes_and_what_is_not_there() {
    let module = |uargs: WireBuilder| Happening::new(E::InitModule, uargs);
    let image = WireBuilder::new().number(0).bytes(b"\x7fELF \n\xff").number(7);
    shows(
        &module(image.text("debug=1")),
        &[
            ("img", ".ELF ..", ".ELF ..", ".ELF .."),
            ("length", "7", "7", "7"),
            ("uargs", "debug=1", "debug=1", "debug=1"),
        ],
    );
    let nothing = module(WireBuilder::new().number(-14).missing().number(7).text(""));
    shows(
        &nothing,
        &[
            ("img", "<NA>", "NULL", "NULL"),
            // An empty text is one.
            ("uargs", "", "", ""),
        ],
    );
    assert_eq!(value(&nothing, "evt.rawarg.img"), FieldValue::Missing);
    let null = module(WireBuilder::new().number(-14).missing().number(7).missing());
    shows(&null, &[("uargs", "<NA>", "NULL", "NULL")]);
    holds(
        &null,
        &[
            ("evt.arg.uargs exists", true),
            ("evt.arg.uargs = NULL", true),
            ("evt.rawarg.uargs exists", false),
            ("evt.rawarg.uargs != x", false),
            ("evt.arg.flags exists", false),
            ("evt.rawarg.length > 6", true),
        ],
    );
}

#[test]
fn what_an_exec_carries() {
    let exec = Happening::execve();
    shows(
        &exec,
        &[
            ("exe", "cat", "cat", "cat"),
            ("args", "-n./etc/shadow.", "-n./etc/shadow.", "-n./etc/shadow."),
            (
                "env",
                "HOME=/root.NAME=cat.",
                "HOME=/root.NAME=cat.",
                "HOME=/root.NAME=cat.",
            ),
            ("ptid", "20", "bash", "20(bash)"),
            ("cwd", "/root", "/root", "/root"),
            ("loginuid", "1000", "ann", "1000(ann)"),
            ("uid", "0", "root", "0(root)"),
            ("gid", "0", "root", "0(root)"),
            ("cap_effective", "3", "3", "3"),
            ("flags", "0", "0", "0"),
        ],
    );
    let mut timed = Happening::execve();
    let process = timed.machine.processes.get_mut(&30).unwrap();
    let mut image = (*process.image).clone();
    image.exe_ctime = 1_700_000_000_000_000_042;
    image.exec_flags = 5;
    process.image = std::sync::Arc::new(image);
    process.loginuid = u32::MAX;
    let mut local = String::new();
    crate::field::datetime(1_700_000_000_000_000_042, true, &mut local);
    shows(
        &timed,
        &[
            ("exe_ino_ctime", "1700000000000000042", &local, &local),
            (
                "flags",
                "5",
                "EXE_WRITABLE|EXE_FROM_MEMFD",
                "5(EXE_WRITABLE|EXE_FROM_MEMFD)",
            ),
            ("loginuid", "4294967295", "<NONE>", "-1(<NONE>)"),
        ],
    );
}

#[test]
fn sockets() {
    let v4 = Happening::connect(("10.0.0.1", 40000), ("1.1.1.1", 443));
    let tuple = "10.0.0.1:40000->1.1.1.1:443";
    shows(
        &v4,
        &[
            ("tuple", tuple, tuple, tuple),
            ("addr", "1.1.1.1:443", "1.1.1.1:443", "1.1.1.1:443"),
        ],
    );
    let v6 = Happening::connect(("::1", 40000), ("2001:db8::1", 443));
    shows(
        &v6,
        &[(
            "tuple",
            "::1:40000->2001:db8::1:443",
            "::1:40000->2001:db8::1:443",
            "::1:40000->2001:db8::1:443",
        )],
    );
    let mapped = Happening::connect(("::ffff:10.0.0.1", 40000), ("::ffff:1.1.1.1", 443));
    assert_eq!(printed(&mapped, "%evt.arg.tuple"), tuple);
    assert_eq!(printed(&mapped, "%evt.arg.addr"), "::ffff:1.1.1.1:443");
    let of = |family, path: &'static [u8]| {
        let tuple = SocketTuple {
            family,
            path,
            ..SocketTuple::default()
        };
        let wire = WireBuilder::new().number(0).missing().number(5).tuple(&tuple);
        Happening::new(E::Connect, wire)
    };
    let text = |happening| printed(&happening, "%evt.arg.addr");
    assert_eq!(text(of(AF_UNIX, b"/dev/log")), "/dev/log");
    assert_eq!(text(of(AF_UNIX, b"\0bus")), "@bus");
    assert_eq!(text(of(AF_NETLINK, b"")), "family 16");
    assert_eq!(printed(&of(AF_UNIX, b"/dev/log"), "%evt.arg.tuple"), "NULL");
}

#[test]
fn every_table_of_the_rows_is_falcos() {
    for row in lanner_schema::event::EVENTS
        .iter()
        .filter(|row| !row.is_internal())
    {
        for param in row.params {
            let (ParamType::Flags(table) | ParamType::Enum(table) | ParamType::Mode(table)) = param.ty else {
                continue;
            };
            // Each name prints of the number that has it alone, but for those that stand for several bits.
            for flag in table
                .names
                .iter()
                .filter(|flag| flag.mask & flag.bits == flag.bits && flag.bits != 0)
            {
                let mut names = Vec::new();
                table.for_each(flag.bits, |name| names.push(name));
                assert!(
                    names.contains(&flag.name),
                    "{}.{}: {names:?}",
                    row.name,
                    param.name
                );
            }
        }
    }
}
