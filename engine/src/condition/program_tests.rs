//! Type check and evaluation, by example.

use lanner_schema::event::{Event, EventSet, Needs};
use lanner_schema::task::TaskValue;

use super::*;
use crate::testing::Happening;

fn compiled(text: &str) -> Program {
    let expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    compile(&expr).unwrap_or_else(|errors| panic!("{text}: {}", errors[0]))
}

fn holds(happening: &Happening, text: &str) -> bool {
    let program = compiled(text);
    happening.view(|view| program.matches(view, &mut Scratch::new()))
}

#[track_caller]
fn table(happening: &Happening, cases: &[(&str, bool)]) {
    let wrong: Vec<_> = cases
        .iter()
        .filter(|(text, expected)| holds(happening, text) != *expected)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[track_caller]
fn refused(text: &str, part: &str) {
    let expr = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let errors = compile(&expr).expect_err(text);
    assert!(errors[0].to_string().contains(part), "{text}: {}", errors[0]);
}

fn shadow() -> Happening {
    Happening::openat(b"/etc/shadow", 0, 3)
}

#[test]
fn text_operators() {
    table(
        &shadow(),
        &[
            ("fd.name = /etc/shadow", true),
            ("fd.name != /etc/shadow", false),
            ("fd.name contains shad", true),
            ("fd.name contains SHAD", false),
            ("fd.name icontains SHAD", true),
            ("fd.name contains ''", true),
            ("fd.name startswith /etc", true),
            ("fd.name endswith shadow", true),
            ("fd.name glob '/e*w'", true),
            ("fd.name glob /etc", false),
            ("fd.name iglob /ETC/*", true),
            ("fd.name regex '/etc/[a-z]+'", true),
            ("fd.name regex 'etc'", false),
            ("fd.name in (/a, /etc/shadow)", true),
            ("fd.name intersects (/a, /etc/shadow)", true),
            ("fd.name in ()", false),
            ("fd.name pmatch (/etc)", true),
            ("fd.name pmatch (/et, /etcetera)", false),
            ("fd.name pmatch (/*/shadow)", true),
            ("fd.name > 1", false),
            ("proc.name < 9", false),
        ],
    );
}

#[test]
fn modifiers_count_the_right_side() {
    table(
        &shadow(),
        &[
            ("fd.name startswith anyof (/x, /etc)", true),
            ("fd.name startswith allof (/e, /etc)", true),
            ("fd.name startswith allof (/x, /etc)", false),
            ("fd.name startswith oneof (/x, /etc)", true),
            ("fd.name startswith oneof (/e, /etc)", false),
            ("fd.name startswith oneof (/etc, /etc)", false),
            ("fd.name contains anyof (a, bb, shadow, ccc, dddd)", true),
            ("fd.name contains anyof (bb, ccc, dddd, eeee)", false),
            ("fd.name = anyof (/a, /etc/shadow)", true),
            ("fd.name != allof (/a, /b)", true),
            ("fd.name != allof (/a, /etc/shadow)", false),
            ("fd.name != anyof (/a, /etc/shadow)", true),
            ("fd.name != oneof (/a, /etc/shadow)", true),
            ("fd.name = allof ()", false),
            ("fd.name != anyof ()", false),
            ("fd.name != allof ()", false),
            ("fd.name startswith allof ()", false),
        ],
    );
}

#[test]
fn numbers_booleans_and_events() {
    table(
        &shadow(),
        &[
            ("evt.type = openat", true),
            ("evt.type in (open, openat)", true),
            ("evt.type != open", true),
            ("evt.type startswith open", true),
            ("syscall.type = openat", true),
            ("evt.dir = <", true),
            ("evt.dir = >", false),
            ("evt.num = 1", true),
            ("evt.num=0", false),
            ("fd.num >= 0", true),
            ("fd.num = 3", true),
            ("fd.num in (1, 3)", true),
            ("evt.rawres >= 0", true),
            ("evt.res = SUCCESS", true),
            ("evt.failed = false", true),
            ("evt.failed = true", false),
            ("evt.failed != true", true),
            ("evt.is_open_read = true", true),
            ("evt.is_open_write = true", false),
            ("evt.is_io = false", true),
            ("evt.type.is.openat = 1", true),
            ("evt.type.is.execve = 0", true),
            ("evt.cpu = 3", true),
            ("evt.category = file", true),
            ("user.loginuid = 1000", true),
            ("user.loginuid != -1", true),
            ("user.uid = 0", true),
            ("user.uid > 4294967295", false),
            ("proc.tty != 0", true),
        ],
    );
    let failed = Happening::openat(b"/nope", 0, -2);
    table(
        &failed,
        &[
            ("fd.num < 0", true),
            ("fd.num = -1", true),
            ("evt.rawres = -2", true),
            ("evt.res = ENOENT", true),
            ("evt.failed = true", true),
            ("evt.rawarg.fd < 0", true),
            ("evt.arg.fd = ENOENT", true),
            ("fs.path.name exists", false),
            ("evt.count.error = 1", true),
        ],
    );
}

#[test]
fn opens_that_write_and_create() {
    table(
        &Happening::create(b"/etc/new"),
        &[
            ("evt.is_open_write = true", true),
            ("evt.is_open_read = true", false),
            ("evt.is_open_create = true", true),
            ("evt.is_open_exec = true", false),
            ("evt.arg.flags contains O_CREAT", true),
            ("evt.arg.flags = 'O_CREAT|O_WRONLY|O_F_CREATED'", true),
        ],
    );
    table(
        &Happening::openat(b"/etc/x", 2, 3),
        &[
            ("evt.is_open_write = true", true),
            ("evt.is_open_read = true", true),
        ],
    );
    table(
        &Happening::execve(),
        &[
            ("evt.is_open_write = true", false),
            ("evt.is_open_write = false", true),
        ],
    );
}

#[test]
fn missing_values_make_a_check_false_whatever_the_operator() {
    table(
        &Happening::execve(),
        &[
            ("fd.name exists", false),
            ("fd.name = x", false),
            ("fd.name != x", false),
            ("not fd.name = x", true),
            ("fd.name != allof (x, y)", false),
            ("fd.num != 1", false),
            ("fd.ip != 1.1.1.1", false),
            ("evt.rawarg.flags exists", true),
            ("evt.rawarg.domain exists", false),
            ("evt.arg.domain != AF_INET", false),
            ("container.image exists", false),
            ("k8s.pod.name != x", false),
            ("proc.args[99] = ''", true),
            ("proc.env[UNSET] = ''", true),
            ("proc.env[HOME] = /root", true),
            ("fd.types in (file)", false),
        ],
    );
    let mut unknown = shadow();
    unknown.pid = 999;
    table(
        &unknown,
        &[
            ("proc.name exists", false),
            ("proc.name != x", false),
            ("proc.pid = 999", true),
            ("thread.tid = 999", true),
            ("proc.aname != x", false),
        ],
    );
}

#[test]
fn processes_and_their_ancestors() {
    table(
        &shadow(),
        &[
            ("proc.name = cat", true),
            ("proc.exe = cat", true),
            ("proc.exepath = /usr/bin/cat", true),
            ("proc.cmdline = 'cat -n /etc/shadow'", true),
            ("proc.exeline = 'cat -n /etc/shadow'", true),
            ("proc.args = '-n /etc/shadow'", true),
            ("proc.args[1] = /etc/shadow", true),
            ("proc.cmdnargs = 2", true),
            ("proc.cmdlenargs = 13", true),
            ("proc.cwd = /root/", true),
            ("proc.pname = bash", true),
            ("proc.pcmdline = bash", true),
            ("proc.pexe = -bash", true),
            ("proc.ppid = 20", true),
            ("proc.aname = sshd", true),
            ("proc.aname = cat", false),
            ("proc.aname[0] = cat", true),
            ("proc.aname[1] = bash", true),
            ("proc.aname[2] = sshd", true),
            ("proc.aname[9] exists", false),
            ("proc.aname in (bash, x)", true),
            ("proc.aname != bash", true),
            ("proc.apid = 1", true),
            ("proc.apid in (10)", true),
            ("proc.apid[1] = 20", true),
            ("proc.aenv[NAME] = bash", true),
            ("proc.aenv contains 'NAME=sshd'", true),
            ("proc.sname = bash", true),
            ("proc.sid.exepath = /usr/bin/bash", true),
            ("proc.loginshellid = 20", true),
            ("proc.is_vpgid_leader = true", true),
            ("proc.is_sid_leader = true", false),
            ("proc.duration > 0", true),
            ("proc.pid.ts = 30000000000", true),
            ("thread.cap_effective = 'CAP_CHOWN CAP_DAC_OVERRIDE'", true),
            ("user.name = root", true),
            ("user.loginname = ann", true),
            ("group.name = root", true),
        ],
    );
}

#[test]
fn a_loop_of_parents_ends() {
    let mut looping = shadow();
    for (pid, ppid) in [(1, 30), (10, 10)] {
        looping.machine.processes.get_mut(&pid).unwrap().ppid = ppid;
        table(
            &looping,
            &[
                ("proc.aname = nobody", false),
                ("proc.aname = bash", true),
                ("proc.aname[200] exists", false),
            ],
        );
    }
}

#[test]
fn text_of_users_that_do_not_exist_is_na() {
    let mut happening = shadow();
    happening.machine.processes.get_mut(&30).unwrap().loginuid = u32::MAX;
    table(
        &happening,
        &[
            ("user.loginname = '<NA>'", true),
            ("user.loginuid = -1", true),
            ("fd.l4proto = '<NA>'", true),
        ],
    );
}

#[test]
fn sockets_match_at_either_end() {
    let connect = Happening::connect(("10.0.0.1", 40000), ("1.1.1.1", 443));
    table(
        &connect,
        &[
            ("fd.name = '10.0.0.1:40000->1.1.1.1:443'", true),
            ("fd.type = ipv4", true),
            ("fd.typechar = 4", true),
            ("fd.sockfamily = ip", true),
            ("fd.l4proto = tcp", true),
            ("fd.ip = 1.1.1.1", true),
            ("fd.ip = 10.0.0.1", true),
            ("fd.ip != 1.1.1.1", false),
            ("fd.ip != 2.2.2.2", true),
            ("fd.ip in (2.2.2.2, 1.1.1.1)", true),
            ("fd.ip = ::1", false),
            ("fd.ip != ::1", true),
            ("fd.sip = 1.1.1.1", true),
            ("fd.cip = 10.0.0.1", true),
            ("fd.rip = 1.1.1.1", true),
            ("fd.sip != 1.1.1.1", false),
            ("fd.port = 443", true),
            ("fd.port = https", true),
            ("fd.port != 443", false),
            ("fd.port > 40000", false),
            ("fd.port >= 40000", true),
            ("fd.sport in (80, 443)", true),
            ("fd.cport = 443", false),
            ("fd.net = 10.0.0.0/8", true),
            ("fd.net in (192.168.0.0/16, 1.0.0.0/8)", true),
            ("fd.net != 10.0.0.0/8", false),
            ("fd.snet in (10.0.0.0/8)", false),
            ("fd.snet = 0.0.0.0/0", true),
            ("fd.snet = ::/0", false),
            ("fd.is_server = false", true),
            ("evt.arg.tuple = '10.0.0.1:40000->1.1.1.1:443'", true),
            ("fd.directory exists", false),
        ],
    );
    table(
        &Happening::connect(("2001:db8::1", 1), ("2001:db8::2", 2)),
        &[
            ("fd.type = ipv6", true),
            ("fd.rip = 2001:db8::2", true),
            ("fd.net = 2001:db8::/32", true),
        ],
    );
    // The server's address has two of the names that rules mention, the client's none.
    table(
        &connect,
        &[
            ("fd.sip.name = kubernetes.default", true),
            ("fd.sip.name = api.example.org", true),
            ("fd.sip.name = example.org", false),
            ("fd.sip.name in (example.org, api.example.org)", true),
            ("fd.sip.name != kubernetes.default", false),
            ("fd.sip.name != example.org", true),
            ("fd.sip.name exists", true),
            ("fd.cip.name = kubernetes.default", false),
            ("fd.cip.name != kubernetes.default", true),
            ("fd.cip.name exists", false),
            ("fd.rip.name endswith .org", true),
            ("fd.lip.name endswith .org", false),
        ],
    );
    table(
        &shadow(),
        &[
            ("fd.sip.name != kubernetes.default", false),
            ("fd.sip.name = kubernetes.default", false),
        ],
    );
    // A datagram from a socket that is bound to no address: it has a port of its own, and no address.
    table(
        &Happening::connect(("0.0.0.0", 40000), ("1.1.1.1", 53)),
        &[
            ("fd.ip != 0.0.0.0", true),
            ("fd.lip exists", false),
            ("fd.cip exists", false),
            ("fd.lport = 40000", true),
            ("fd.net != 127.0.0.0/8", true),
            ("fd.name = '0.0.0.0:40000->1.1.1.1:53'", true),
        ],
    );
}

#[test]
fn files_and_paths() {
    table(
        &shadow(),
        &[
            ("fd.directory = /etc", true),
            ("fd.filename = shadow", true),
            ("fd.dev.major = 8", true),
            ("fd.dev.minor = 257", true),
            ("fd.ino = 77", true),
            ("fd.containername = :/etc/shadow", true),
            ("fs.path.name = /etc/shadow", true),
            ("evt.abspath = /etc/shadow", true),
            ("evt.arg[2] = /etc/shadow", true),
            ("evt.arg.name = /etc/shadow", true),
            ("evt.rawarg.ino = 77", true),
            (
                "evt.args contains 'name=/etc/shadow flags=1(O_RDONLY) mode=0 '",
                true,
            ),
            (
                "evt.args startswith 'fd=3(<f>/etc/shadow) dirfd=-100(AT_FDCWD) '",
                true,
            ),
        ],
    );
    let relative = Happening::openat(b"a//b", 0, 3);
    table(
        &relative,
        &[
            ("fd.name = /root/a//b", true),
            ("fd.nameraw = a/b", true),
            ("fs.path.nameraw = a//b", true),
            ("evt.rawarg.name = a//b", true),
        ],
    );
    table(
        &Happening::rename("/bin/a", "/bin/b", 0),
        &[
            ("fs.path.source = /bin/a", true),
            ("fs.path.target = /bin/b", true),
            ("fs.path.name exists", false),
            ("evt.arg.oldpath startswith /bin", true),
            ("fd.name exists", false),
        ],
    );
    table(
        &Happening::rename("/bin/a", "/bin/b", -13),
        &[("fs.path.source exists", false)],
    );
}

#[test]
fn containers_and_hosts() {
    table(
        &shadow(),
        &[
            ("container.id = host", true),
            ("container.id != host", false),
            ("container.name = host", true),
            ("container.type = host", true),
            ("container.image.repository exists", false),
        ],
    );
    table(
        &shadow().contained(),
        &[
            ("container.id = 0123456789ab", true),
            ("container.full_id = 0123456789abcdef0123", true),
            ("container.image.repository = docker.io/library/nginx", true),
            ("container.image.tag = 1.27", true),
            ("container.image.digest = sha256:d977", true),
            ("container.label[app] = shop", true),
            ("container.label.app = shop", true),
            ("container.labels startswith app:shop", true),
            ("k8s.pod.name = shop-1", true),
            ("k8s.ns.name = prod", true),
            ("k8s.pod.label[app] = shop", true),
            ("k8s.pod.label[none] exists", false),
            ("k8s.pod.sandbox_id = fedcba987654", true),
            ("container.privileged = false", false),
        ],
    );
}

#[test]
fn transformers() {
    table(
        &shadow(),
        &[
            ("toupper(proc.name) = CAT", true),
            ("tolower(toupper(proc.name)) = cat", true),
            ("basename(proc.exepath) = cat", true),
            ("basename(proc.cwd) = ''", true),
            ("b64(proc.name) exists", true),
            ("len(proc.name) = 3", true),
            ("len(proc.name) > 3", false),
            ("len(fd.types) > 0", false),
            ("len((proc.name, proc.pname)) = 2", true),
            ("join('-', (proc.name, 'x')) = cat-x", true),
            ("join(',', proc.args) = '-n,/etc/shadow'", true),
            ("concat(proc.name, '/', proc.pname) = cat/bash", true),
            ("concat(proc.name, k8s.pod.name) exists", false),
            ("getopt(proc.args, 'n')[n] = n", true),
            ("getopt(proc.args, 'n:')[n] = /etc/shadow", true),
            ("getopt(proc.args, 'x') intersects (?)", true),
            ("getopt(proc.args, 'n') in (n)", true),
            (
                "getopt(proc.args, 'n:') in (n, /etc/shadow) and getopt(proc.args, 'n:') intersects (n)",
                true,
            ),
            ("len(getopt(('-a', '5', '-b'), 'a:b')) = 3", true),
            ("getopt(proc.args, 'n') in (x)", false),
            ("getopt(('-a', '5', '--', '-b'), 'a:b')[a] = 5", true),
            ("getopt(('-a', '5', '--', '-b'), 'a:b')[b] exists", false),
            ("getopt(('-t1', '-t', '2', '--long', '-v'), 't:v')[t] = 2", true),
            ("getopt(('-t1', '-t', '2', '--long', '-v'), 't:v')[v] = v", true),
            ("getopt(('-t'), 't:')[t] = ''", true),
            ("proc.name = val(proc.exe)", true),
            ("proc.name != val(proc.pname)", true),
            ("fd.name endswith basename(proc.args[1])", true),
            ("proc.args endswith val(fd.name)", true),
            ("tolower(proc.name) = tolower(proc.exe)", true),
            ("proc.pid > val(proc.ppid)", true),
            ("proc.name = val(k8s.pod.name)", false),
            ("proc.name != val(k8s.pod.name)", false),
        ],
    );
}

#[test]
fn bytes_that_are_not_utf8_reach_the_comparison() {
    table(
        &Happening::openat(b"/tmp/\xff\xfe", 0, 3),
        &[
            (r#"fd.name = "/tmp/\xff\xfe""#, true),
            ("fd.name glob /tmp/??", true),
            ("fd.name regex '/tmp/..'", true),
            ("fd.name regex '/tmp/.'", false),
            (r#"fd.name endswith "\xfe""#, true),
        ],
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    for (text, part) in [
        ("m", "undefined macro 'm'"),
        ("proc.nmae = x", "nonexistent field 'proc.nmae'"),
        ("ka.verb = x", "nonexistent field"),
        ("evt.type = opne", "unknown event type opne"),
        ("evt.type in (open, nope)", "unknown event type nope"),
        ("evt.type.is.nope = 1", "unknown event type nope"),
        ("evt.arg.nope = 1", "unknown event argument 'nope'"),
        ("evt.arg = 1", "needs an argument"),
        ("evt.rawarg[1] = 1", "needs an argument"),
        ("proc.name[1] = x", "takes no argument"),
        ("proc.aname[x] = x", "not a valid index"),
        ("proc.aname[01] = x", "not a valid index"),
        ("k8s.pod.label = x", "needs an argument"),
        ("proc.name bcontains 61", "operator 'bcontains' not supported"),
        ("proc.pid contains 1", "operator 'contains' not supported"),
        ("fd.ip < 1", "operator '<' not supported"),
        ("evt.failed > 1", "operator '>' not supported"),
        ("evt.rawarg.uid = 0", "operator '=' not supported"),
        ("fd.types = file", "not supported for list"),
        ("proc.pid = 0x1A", "0x1A is not a valid number"),
        ("proc.pid = 1.5", "1.5 is not a valid number"),
        ("proc.pid = x", "x is not a valid number"),
        ("proc.fdusage > 1.5", "not a valid number"),
        ("user.uid = 4294967296", "does not fit"),
        ("evt.failed = yes", "not a valid boolean"),
        ("fd.ip = 1.2.3", "unrecognized IP address"),
        ("fd.net = 10.0.0.0", "unrecognized IP network"),
        ("fd.net = 10.0.0.0/33", "unrecognized IP network"),
        ("fd.port = nosuchservice", "unrecognized port"),
        ("fd.port = 65536", "unrecognized port"),
        (r#"proc.name = "a\x00""#, "NUL"),
        ("evt.buffer bcontains 6", "hexadecimal"),
        ("evt.buffer bcontains 6g", "hexadecimal"),
        ("proc.name regex '['", "invalid regular expression"),
        (r#"proc.name regex "\\d""#, "invalid regular expression"),
        ("proc.name = val(proc.pid)", "cannot compare"),
        (
            "proc.name = val(proc.aname)",
            "cannot be compared with another field",
        ),
        ("proc.name regex val(proc.exe)", "needs a constant"),
        ("fd.ip = val(fd.sip)", "cannot be compared with another field"),
        (
            "evt.type = val(proc.name)",
            "cannot be compared with another field",
        ),
        ("tolower(evt.type) = x", "does not support transformers"),
        ("tolower(proc.aname) = x", "does not support transformers"),
        ("tolower(proc.pid) = x", "does not accept"),
        ("len(proc.pid) = 1", "does not accept"),
        ("join(',') = x", "2 arguments"),
        ("concat(proc.name) = x", "2 arguments or more"),
        ("tolower(proc.name, proc.exe) = x", "1 argument"),
        ("join(',', proc.name) = x", "takes a list"),
        ("getopt(proc.args, 'n')[\"\"] = x", "one letter"),
        ("evt.outputtime = x", "only be used in outputs"),
    ] {
        refused(text, part);
    }
    refused(&format!("proc.name = {}", "x".repeat(257)), "257 bytes");
    compiled(&format!("proc.name = {}", "x".repeat(256)));
    compiled(r#"evt.buffer contains "a\x00""#);
    compiled("user.uid = -1");
}

#[test]
fn errors_point_at_the_mistake_and_suggest() {
    let text = "evt.type = open and proc.nmae = x and fd.port = y";
    let errors = compile(&parse(text).unwrap()).unwrap_err();
    assert_eq!(errors.len(), 2, "all of them are reported");
    assert_eq!(&text[errors[0].span.start..errors[0].span.end], "proc.nmae");
    assert_eq!(errors[0].kind.hint().as_deref(), Some("did you mean proc.name?"));
    assert!(errors[0].kind.is_unknown_name());
    assert_eq!(&text[errors[1].span.start..errors[1].span.end], "y");
    assert!(!errors[1].kind.is_unknown_name());
}

#[test]
fn warnings() {
    for (text, part) in [
        ("proc.name regex '^syscall$'", "may be optimized"),
        ("proc.name regex '.*x'", "endswith x"),
        ("proc.name = proc.pname", "may be a valid field misused"),
        ("proc.name = 'tolower(proc.pname)'", "may be a valid transformer"),
        ("evt.dir = <", "deprecated"),
    ] {
        let program = compiled(text);
        assert!(
            program.warnings().len() == 1 && program.warnings()[0].kind.to_string().contains(part),
            "{text}: {:?}",
            program.warnings()
        );
    }
    assert!(compiled("proc.name regex 'a[bc]'").warnings().is_empty());
}

fn names(text: &str) -> Vec<&'static str> {
    compiled(text).events().iter().map(Event::name).collect()
}

#[test]
fn event_types_follow_de_morgan() {
    assert_eq!(names("evt.type = open"), ["open"]);
    assert_eq!(
        names("evt.type in (open, openat) and proc.name = x"),
        ["open", "openat"]
    );
    assert_eq!(names("evt.type = open or evt.type = creat"), ["open", "creat"]);
    assert_eq!(
        names("evt.type in (open, openat) and evt.type != open"),
        ["openat"]
    );
    assert_eq!(
        names("evt.type in (open, openat) and not evt.type = open"),
        ["openat"]
    );
    assert_eq!(names("not (evt.type != open or proc.name = x)"), ["open"]);
    assert_eq!(names("evt.type = open and not proc.name = x"), ["open"]);
    assert_eq!(names("evt.type = open and evt.num = 0"), [] as [&str; 0]);
    let all = compiled("proc.name = x").events();
    for text in [
        "not proc.name = x",
        "evt.type exists",
        "evt.type = open or proc.name = x",
        "evt.num != 0",
        "evt.num >= 1",
        "not evt.num = 0",
        "evt.num = 3",
        "not evt.num = 3",
        "evt.num in (0, 1)",
        "not evt.type in ()",
        "evt.type startswith open",
        "evt.type.is.open = 1",
    ] {
        assert_eq!(compiled(text).events(), all, "{text}");
    }
    for text in [
        "evt.type in ()",
        "evt.num=0",
        "evt.num < 1",
        "evt.num <= 0",
        "evt.num in (0)",
        "evt.num in ()",
        "not evt.num != 0",
        "not evt.type exists",
        "evt.type = open and evt.type = creat",
        "evt.type = drop",
        "evt.type = s390_sthyi",
    ] {
        assert!(compiled(text).events().is_empty(), "{text}");
    }
}

#[test]
fn blind_events_and_breadth() {
    let program = compiled("evt.type in (open, keyctl, drop, mount, pread64) and evt.type != mount");
    assert_eq!(program.blind_events(), ["drop"]);
    assert_eq!(
        program.events(),
        [Event::Open, Event::Keyctl, Event::Pread].into_iter().collect()
    );
    assert!(program.names_event_types());
    assert!(!compiled("evt.type != open").names_event_types());
    assert!(compiled("evt.type != open").blind_events().is_empty());
    assert!(!compiled("proc.name = x").names_event_types());
    assert!(
        compiled("evt.num=0").names_event_types(),
        "what is never true needs no warning"
    );
}

#[test]
fn the_name_of_a_call_means_its_event() {
    let of = |event| Happening::new(event, lanner_schema::record::WireBuilder::new());
    for (text, of_pread) in [
        ("evt.type = pread64", true),
        ("evt.type in (open, pread64)", true),
        ("syscall.type = pread64", true),
        ("evt.type != pread64", false),
        ("not evt.type = pread64", false),
        ("evt.type.is.pread64 = 1", true),
    ] {
        table(&of(Event::Pread), &[(text, of_pread)]);
        table(&of(Event::Read), &[(text, !of_pread)]);
        assert!(
            !of_pread || compiled(text).events().contains(Event::Pread),
            "{text}"
        );
    }
}

#[test]
fn calls_by_number_take_part_in_the_algebra() {
    let events = |text: &str| compiled(text).events();
    let quota: EventSet = [Event::Quotactl, Event::MqOpen].into_iter().collect();
    assert_eq!(events("evt.type in (quotactl, mq_open)"), quota);
    assert_eq!(
        events("syscall.type in (quotactl, mq_open) and proc.name = x"),
        quota
    );
    let all = events("proc.name = x");
    assert_eq!(
        events("evt.type != quotactl and evt.type != mq_open"),
        all.difference(quota)
    );
    assert_eq!(
        events("not evt.type in (quotactl, mq_open)"),
        all.difference(quota)
    );
    assert_eq!(
        events("not (evt.type = quotactl or evt.type = mq_open)"),
        all.difference(quota)
    );
    assert!(all.contains(Event::Quotactl) && all.contains(Event::Read));
}

#[test]
fn reads_and_writes_are_captured_for_rules_that_name_them() {
    let needs = |text: &str| {
        let mut needs = Needs::default();
        compiled(text).needs(&mut needs);
        needs
    };
    let io = |events: EventSet| events.intersection(EventSet::IO);
    let read: EventSet = [Event::Read].into_iter().collect();
    for (text, captured) in [
        ("evt.type = read", read),
        ("evt.type in (open, read) or proc.name = x", read),
        ("proc.name = x and evt.type.is.read = 1", read),
        ("not evt.type != read", read),
        ("proc.name = x", EventSet::NONE),
        ("evt.type != open", EventSet::NONE),
        ("evt.type != read", EventSet::NONE),
        ("not evt.type in (read, write)", EventSet::NONE),
    ] {
        let needs = needs(text);
        assert_eq!(io(needs.events), captured, "{text}");
        let wanted = io(compiled(text).events());
        assert_eq!(needs.unnamed_io, wanted.difference(captured), "{text}");
    }
    let open = needs("proc.name = x");
    assert!(open.events.contains(Event::Futex) && open.events.contains(Event::Openat));
    assert_eq!(open.unnamed_io, EventSet::IO);
}

#[test]
fn needs_are_the_events_and_the_parameters_that_cost() {
    let needs = |text: &str| {
        let mut needs = Needs::default();
        compiled(text).needs(&mut needs);
        needs
    };
    for (text, follows) in [
        ("evt.type = openat and proc.is_vpgid_leader = true", true),
        ("evt.type = openat and proc.sname = sshd", true),
        ("evt.type = openat and proc.tty = 0", true),
        ("evt.type = openat and proc.name = x and user.uid = 0", false),
    ] {
        assert_eq!(needs(text).task_state, follows, "{text}");
    }
    let asked = |text: &str, event: Event| {
        let needs = needs(text);
        (needs.task[event as usize], needs.environment, needs.cgroups)
    };
    let bits = lanner_schema::task::bits;
    for (text, event, task, environment, cgroups) in [
        (
            "evt.type = openat and proc.vmsize > 1",
            Event::Openat,
            &[TaskValue::VmSize][..],
            false,
            false,
        ),
        (
            "evt.type = openat and thread.vtid = 1",
            Event::Openat,
            &[TaskValue::Vtid],
            false,
            false,
        ),
        (
            "evt.type = openat and proc.nchilds = 1",
            Event::Unlink,
            &[],
            false,
            false,
        ),
        (
            "evt.type = openat and proc.env[A] = b",
            Event::Openat,
            &[],
            true,
            false,
        ),
        (
            "evt.type = openat and thread.cgroup.cpu = /",
            Event::Openat,
            &[],
            false,
            true,
        ),
        (
            "evt.type = execve and evt.arg.vm_rss = 1",
            Event::Execve,
            &[TaskValue::VmRss],
            false,
            false,
        ),
        (
            "evt.type = execve and evt.arg.cgroups contains x",
            Event::Execve,
            &[],
            false,
            true,
        ),
        (
            "evt.type = execve and evt.arg[7] = 1",
            Event::Execve,
            &[TaskValue::FdLimit],
            false,
            false,
        ),
        (
            "evt.type = openat and proc.name = x",
            Event::Openat,
            &[],
            false,
            false,
        ),
    ] {
        assert_eq!(asked(text, event), (bits(task), environment, cgroups), "{text}");
    }
    let (all, environment, cgroups) = asked("evt.type = clone and evt.args contains x", Event::Clone);
    assert!(
        cgroups && !environment,
        "a clone has no environment among its parameters"
    );
    assert_eq!(
        all & bits(&[TaskValue::Vtid, TaskValue::MinorFaults]),
        bits(&[TaskValue::Vtid, TaskValue::MinorFaults])
    );
    let plain = needs("evt.type = openat and fd.name = x");
    assert_eq!(plain.events.iter().collect::<Vec<_>>(), [Event::Openat]);
    assert!(plain.params.iter().all(|bits| *bits == 0));
    let ino = Event::Openat.row().param("ino").unwrap();
    let dev = Event::Openat.row().param("dev").unwrap();
    let of = |text: &str| needs(text).params[Event::Openat as usize];
    assert_eq!(of("evt.type = openat and fd.ino = 1"), 1 << ino);
    assert_eq!(of("evt.type = openat and evt.rawarg.dev = 1"), 1 << dev);
    assert_eq!(
        of("evt.type = openat and evt.args contains x"),
        1 << dev | 1 << ino | 1 << Event::Openat.row().object_of(1).unwrap(),
        "a directory's descriptor prints with its path"
    );
    assert_eq!(of(&format!("evt.type = openat and evt.arg[{ino}] = 1")), 1 << ino);
    assert_eq!(of("evt.type = open and fd.ino = 1"), 0, "only on its own events");
}
