//! Values that are not there, and values that are there though one might not expect it.

use crate::rows::{given, holds};
use crate::support::{Built, container, host};
use lanner_engine::condition::{Scratch, compile, parse};

#[test]
fn a_check_of_a_missing_value_is_false() {
    // 22
    for (field, constant) in [
        ("t.text", "x"),
        ("t.text", "''"),
        ("t.text", "'<NA>'"),
        ("t.int64", "0"),
        ("t.uint32", "1"),
        ("t.bool", "false"),
        ("t.bytes", "x"),
        ("t.ip", "10.0.0.1"),
        ("t.net", "10.0.0.0/8"),
        ("t.port", "''"),
        ("t.reltime", "0"),
        ("proc.name", "x"),
    ] {
        for condition in [
            format!("{field} = {constant}"),
            format!("{field} != {constant}"),
            format!("{field} in ({constant})"),
            format!("{field} intersects ({constant})"),
            format!("{field} exists"),
        ] {
            holds(
                &given(&[]),
                &[
                    (&condition, false),
                    (&format!("not {condition}"), true),
                    (&format!("not not {condition}"), false),
                ],
            );
        }
    }
    holds(
        &given(&[]),
        &[
            ("t.int64 < 1", false),
            ("t.int64 >= 0", false),
            ("not t.int64 < 1", true),
            ("t.text contains ''", false),
            ("t.text startswith ''", false),
            ("t.text endswith ''", false),
            ("t.text icontains ''", false),
            ("t.text glob *", false),
            ("t.text iglob *", false),
            ("t.text regex '.*a?'", false),
            ("t.text pmatch (/)", false),
            ("t.bytes bcontains ''", false),
            ("t.text != x or t.text = x", false),
            ("not (t.text != x or t.text = x)", true),
            ("not t.text = x and not t.text != x", true),
        ],
    );
}

#[track_caller]
fn table(built: &Built, rows: &[(&str, bool)]) {
    built.view(|event| {
        let wrong: Vec<String> = rows
            .iter()
            .filter(|(condition, expected)| {
                let expr = parse(condition).unwrap_or_else(|error| panic!("{condition}: {error}"));
                let program = compile(&expr).unwrap_or_else(|errors| panic!("{condition}: {}", errors[0]));
                program.matches(event, &mut Scratch::new()) != *expected
            })
            .map(|(condition, expected)| format!("{condition}: is {}", !expected))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

#[test]
fn what_is_always_there() {
    table(
        &host("cat /etc/motd").starts(),
        &[
            ("evt.is_open_read = false", true),
            ("evt.is_open_write = false", true),
            ("evt.is_open_exec = false", true),
            ("evt.is_open_create = false", true),
            ("evt.is_io = false", true),
            ("evt.is_io_read = false", true),
            ("evt.is_io_write = false", true),
            ("evt.is_wait = false", true),
            ("evt.is_syslog = false", true),
            ("evt.type.is.execve = 1", true),
            ("evt.type.is.openat = 0", true),
            ("evt.type.is.openat exists", true),
            ("evt.dir = <", true),
            ("evt.dir = >", false),
            ("evt.count = 1", true),
            ("evt.num >= 1", true),
            ("evt.num = 0", false),
            // Nothing of a descriptor on an event that has none.
            ("fd.name exists", false),
            ("fd.name != x", false),
            ("not fd.name = x", true),
            ("fd.num exists", false),
            ("fd.num >= 0", false),
            ("fd.num < 0", false),
            ("fd.type exists", false),
            ("fd.sip exists", false),
            ("fd.l4proto exists", false),
            // Present and empty.
            ("proc.args[99] exists", true),
            ("proc.args[99] = ''", true),
            ("proc.args[0] = /etc/motd", true),
            ("proc.env[UNSET] exists", true),
            ("proc.env[UNSET] = ''", true),
            ("evt.rawarg.oldpath exists", false),
            ("container.id = host", true),
            ("container.name exists", true),
            ("container.image.repository exists", false),
            ("container.image.repository != x", false),
            ("not container.image.repository in (x)", true),
            ("k8s.ns.name exists", false),
            ("container.label[x] exists", false),
        ],
    );
    table(
        &host("true").starts(),
        &[
            ("proc.args = ''", true),
            ("proc.args exists", true),
            ("proc.cmdnargs = 0", true),
        ],
    );
}

#[test]
fn ancestors_match_when_any_of_them_does() {
    // Below bash, which is below sshd.
    table(
        &host("cat x").starts(),
        &[
            ("proc.aname = sshd", true),
            ("proc.aname = bash", true),
            ("proc.aname = cat", false),
            ("proc.aname != bash", true),
            ("proc.aname != sshd and proc.aname = sshd", true),
            ("proc.aname in (x, sshd)", true),
            ("proc.aname in (x, cat)", false),
            ("proc.aname startswith ss", true),
            ("proc.aname contains x", false),
            ("proc.aname exists", true),
            ("proc.aname[0] = cat", true),
            ("proc.aname[1] = bash", true),
            ("proc.aname[2] = sshd", true),
            ("proc.aname[7] exists", false),
            ("proc.aname[7] != x", false),
            ("not proc.aname[7] = x", true),
            ("proc.apid = 10", true),
            ("proc.apid = 30", false),
            ("proc.apid > 19", true),
            // A deliberate difference: never true in Falco.
            ("proc.apid in (1, 10)", true),
            ("proc.apid[0] = 30", true),
            ("proc.acmdline endswith bash", true),
            ("proc.aexe = -bash", true),
            ("proc.aexepath startswith /usr/bin/", true),
            ("proc.pname = bash", true),
            ("proc.ppid = 20", true),
        ],
    );
}

#[test]
fn descriptors_of_opened_and_failed_files() {
    table(
        &host("cat /etc/shadow").opens("/etc/shadow", 0),
        &[
            ("fd.num = 3", true),
            ("fd.typechar = f and fd.type = file", true),
            ("fd.name = /etc/shadow", true),
            ("fd.directory = /etc and fd.filename = shadow", true),
            ("fs.path.name = /etc/shadow", true),
            ("evt.res = SUCCESS and evt.failed = false", true),
            ("evt.is_open_read = true", true),
            ("evt.is_open_write = true", false),
            ("evt.arg.flags contains O_RDONLY", true),
            ("fd.sip exists", false),
            ("user.name = root", true),
        ],
    );
    table(
        &host("cat /etc/shadow").opens_as("/etc/shadow", 0, -13),
        &[
            ("fd.num = -1", true),
            ("fd.name = /etc/shadow", true),
            ("evt.res = EACCES", true),
            ("evt.res startswith E", true),
            ("evt.rawres < 0 and evt.rawres = -13", true),
            ("evt.failed = true", true),
            ("fs.path.name exists", false),
            ("fs.path.name != x", false),
        ],
    );
    table(
        &container("cat x").opens("/x", 0o101),
        &[
            ("container.id != host", true),
            ("container.id exists and container.name = web", true),
            ("container.image.repository = docker.io/library/nginx", true),
            ("container.image.tag = 1.27", true),
            ("k8s.ns.name = shop and k8s.pod.name = web-1", true),
            ("evt.is_open_write = true", true),
            ("container.image.digest exists", false),
        ],
    );
}
