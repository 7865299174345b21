//! The rules Lanner ships: each alerts for what it is about, and not for what an ordinary host does.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use lanner_engine::{Alert, BUILT_IN_RULES, FieldValue, RulesFile, Ruleset, Settings, load};
use lanner_schema::tier::Tier;
use support::{Built, container, host};

const READ: i64 = 0;
const WRITE: i64 = 0o101; // O_WRONLY|O_CREAT
const TRUNCATE: i64 = 0o1001; // O_WRONLY|O_TRUNC
const OF_PATH: i64 = 0o10000000; // O_PATH
const CREATED: i64 = 1 << 40 | TRUNCATE;
const UPPER_LAYER: u32 = 2;
const FROM_MEMFD: u32 = 4;
const EINPROGRESS: i64 = -115;
const ECONNREFUSED: i64 = -111;
const ENOENT: i64 = -2;

fn ruleset() -> Ruleset {
    let file = RulesFile {
        name: "lanner_rules.yaml".into(),
        text: BUILT_IN_RULES.into(),
    };
    let loaded = load(&[file], &Settings::default());
    let all: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
    loaded.ruleset.unwrap()
}

fn alerts(ruleset: &mut Ruleset, built: &Built) -> Vec<Alert> {
    let mut alerts = Vec::new();
    built.view(|event| ruleset.evaluate(event, &mut |alert| alerts.push(alert)));
    alerts
}

/// The rule alerts for the first events and no rule at all does for the others.
fn check(rule: &str, positive: Vec<Built>, negative: Vec<Built>) {
    let mut ruleset = ruleset();
    for built in &positive {
        let alerts = alerts(&mut ruleset, built);
        let names: Vec<&str> = alerts.iter().map(|a| &*a.rule).collect();
        assert_eq!(names, [rule], "{built:#?}");
        assert!(!alerts[0].message.contains('%'), "{}", alerts[0].message);
    }
    for built in &negative {
        let names: Vec<String> = alerts(&mut ruleset, built)
            .iter()
            .map(|a| a.rule.to_string())
            .collect();
        assert!(names.is_empty(), "{names:?} for {built:#?}");
    }
}

#[test]
fn they_load_without_a_word_and_need_nothing_lanner_lacks() {
    let ruleset = ruleset();
    assert!(ruleset.rules().count() >= 10);
    for rule in ruleset.rules() {
        assert_eq!(rule.coverage(Tier::SysExit).missing(), None, "{}", rule.name());
    }
    let wanted = [
        "%user.name",
        "%proc.cmdline",
        "%container.id",
        "%container.name",
        "%k8s.pod.name",
        "%k8s.ns.name",
    ];
    for output in BUILT_IN_RULES
        .lines()
        .filter(|line| line.starts_with("  output:"))
    {
        for field in wanted
            .iter()
            .chain(&["%container.image.repository", "%container.image.tag"])
        {
            assert!(output.contains(field), "{output} lacks {field}");
        }
    }
    for rule in ruleset.rules() {
        assert!(
            !rule.description().is_empty() && !rule.tags().is_empty(),
            "{}",
            rule.name()
        );
        assert!(!rule.events().is_empty(), "{}", rule.name());
    }
}

#[test]
fn every_rule_has_a_test() {
    let tests = include_str!("shipped_rules.rs");
    for rule in ruleset().rules() {
        assert!(
            tests.contains(&format!("\"{}\",\n", rule.name())),
            "no test for '{}'",
            rule.name()
        );
    }
}

#[test]
fn alerts_carry_the_containers_identity() {
    let alerts = alerts(
        &mut ruleset(),
        &container("cat /etc/shadow").opens("/etc/shadow", READ),
    );
    let field = |name: &str| {
        let (_, value) = alerts[0].fields.iter().find(|(n, _)| &**n == name).unwrap();
        value.clone()
    };
    let text = |text: &str| FieldValue::Text(text.into());
    assert_eq!(field("container.id"), text("0123456789ab"));
    assert_eq!(field("container.name"), text("web"));
    assert_eq!(
        field("container.image.repository"),
        text("docker.io/library/nginx")
    );
    assert_eq!(field("container.image.tag"), text("1.27"));
    assert_eq!(field("k8s.pod.name"), text("web-1"));
    assert_eq!(field("k8s.ns.name"), text("shop"));
    assert_eq!(field("evt.time"), FieldValue::U64(support::NOW));
    assert!(
        alerts[0]
            .line
            .contains(": Warning Password file read | file=/etc/shadow user=root")
    );
}

#[test]
fn shells_in_containers() {
    check(
        "Shell with a terminal in a container",
        vec![
            container("bash").on_terminal().starts(),
            container("sh -c id").on_terminal().starts(),
        ],
        vec![
            container("sh -c id").starts(),
            host("bash").on_terminal().starts(),
            container("ls").on_terminal().starts(),
        ],
    );
}

#[test]
fn password_files() {
    check(
        "Password file read",
        vec![
            host("cat /etc/shadow").opens("/etc/shadow", READ),
            container("cat /etc/shadow").opens("/etc/shadow", READ),
            host("python3 x.py").opens("/etc/sudoers.d/admin", READ),
            host("python3 x.py").opens_by_handle("/etc/shadow", READ),
        ],
        vec![
            host("cat /etc/shadow").opens_as("/etc/shadow", READ, ENOENT),
            host("cat /etc/passwd").opens("/etc/passwd", READ),
            host("cat /etc/shadow").opens("/etc/shadow", READ | OF_PATH),
            host("python3 x.py").opens_by_handle("/etc/shadow", READ | OF_PATH),
            host("sshd").opens("/etc/shadow", READ),
            host("sudo id").opens("/etc/shadow", READ),
            host("passwd").opens("/etc/shadow", READ),
            host("cron -f").opens("/etc/shadow", READ),
            host("/usr/lib/systemd/systemd").opens("/etc/shadow", READ),
            host("login").opens("/etc/shadow", READ),
            host("unix_chkpwd root").opens("/etc/shadow", READ),
            host("cp /etc/shadow /tmp")
                .child_of("dpkg")
                .opens("/etc/shadow", READ),
        ],
    );
}

#[test]
fn private_keys() {
    check(
        "SSH private key read",
        vec![
            host("cat k").opens("/root/.ssh/id_ed25519", READ),
            host("tar c").opens("/home/ann/.ssh/id_rsa", READ),
        ],
        vec![
            host("cat k").opens("/root/.ssh/id_ed25519.pub", READ),
            host("ssh host").opens("/root/.ssh/id_ed25519", READ),
            host("sshd").opens("/etc/ssh/ssh_host_rsa_key", READ),
        ],
    );
}

#[test]
fn account_files() {
    check(
        "Account or preload file written",
        vec![
            host("tee -a /etc/passwd").opens("/etc/passwd", WRITE),
            container("sh x").opens("/etc/ld.so.preload", WRITE),
            container("sh x").creates("/etc/ld.so.preload", true),
            host("mv x").renames("/root/x", "/etc/ld.so.preload"),
            host("mv x").renames("/etc/shadow", "/root/x"),
            host("mv x").renames("/root/x", "/etc/sudoers.d/x"),
            host("mv x").exchanges("/etc/sudoers.d", "/root/x"),
            host("ln x").links("/root/x", "/etc/ld.so.preload"),
            host("ln -s x").symlinks("/root/x", "/etc/sudoers.d/x"),
        ],
        vec![
            host("passwd").renames("/etc/nshadow", "/etc/shadow"),
            host("useradd x").opens("/etc/passwd", WRITE),
            // Which with O_PATH means nothing.
            host("tee x").opens("/etc/passwd", WRITE | OF_PATH),
            container("sh entrypoint.sh")
                .container_age(1_000_000_000)
                .opens("/etc/passwd", WRITE),
        ],
    );
}

#[test]
fn scheduled_jobs() {
    check(
        "Scheduled job or service written",
        vec![
            host("tee /etc/cron.d/x").opens("/etc/cron.d/x", WRITE),
            host("cp x.service /etc/systemd/system").opens("/etc/systemd/system/x.service", WRITE),
            host("mv x").renames("/root/x", "/etc/cron.d/x"),
            host("mv x").renames("/root/x", "/etc/systemd/system"),
            host("mv x").exchanges("/etc/cron.daily", "/root/x"),
            host("ln x").links("/root/x", "/var/spool/cron/crontabs/root"),
            host("ln -s").symlinks("/root/x", "/etc/systemd/system/x.service"),
        ],
        vec![
            host("systemctl enable x").symlinks("/usr/lib/x.service", "/etc/systemd/system/x.service"),
            host("crontab -e").opens("/var/spool/cron/crontabs/root", WRITE),
        ],
    );
}

#[test]
fn files_below_etc() {
    check(
        "File below /etc written",
        vec![
            host("vi /etc/motd").opens("/etc/motd", WRITE),
            container("sh x").opens("/etc/nginx/nginx.conf", WRITE),
            host("mv x").renames("/root/x", "/etc/motd"),
            host("mv x").exchanges("/etc/pam.d", "/root/x"),
            host("ln x").links("/root/x", "/etc/motd"),
        ],
        vec![
            host("mv x").renames("/etc/a", "/etc/b"),
            host("mv x").exchanges("/etc/a", "/etc/b"),
            host("mv x").renames("/etc/motd", "/root/x"),
            host("ln x").links("/etc/motd", "/root/x"),
            host("ln -s x").symlinks("/usr/share/zoneinfo/UTC", "/etc/localtime"),
            host("vi /etc/motd").opens("/etc/motd", READ),
            host("dpkg --configure").opens("/etc/motd", WRITE),
            host("ldconfig").opens("/etc/ld.so.cache~", WRITE),
            container("sh entrypoint.sh")
                .container_age(1_000_000_000)
                .opens("/etc/nginx/nginx.conf", WRITE),
        ],
    );
}

#[test]
fn program_files() {
    check(
        "Program file replaced",
        vec![
            host("cp x /usr/bin/ls").opens("/usr/bin/ls", WRITE),
            host("mv x /usr/bin/ls").renames("/tmp/x", "/usr/bin/ls"),
            host("mv x").exchanges("/usr/bin/ls", "/tmp/x"),
            host("ln x").links("/tmp/x", "/usr/local/bin/ls"),
        ],
        vec![
            host("dpkg -i x").renames("/usr/bin/ls.dpkg-new", "/usr/bin/ls"),
            host("mv a b").renames("/tmp/a", "/tmp/b"),
        ],
    );
}

#[test]
fn programs_from_memory() {
    check(
        "Program run from memory",
        vec![host("memfd:x").exec_flags(FROM_MEMFD).starts()],
        vec![
            host("memfd:runc_cloned:/proc/self/exe init")
                .exec_flags(FROM_MEMFD)
                .starts(),
            host("runc init").exec_flags(FROM_MEMFD).starts(),
            host("ls").starts(),
        ],
    );
}

#[test]
fn programs_from_shared_memory() {
    check(
        "Program run from shared memory",
        vec![
            host("/dev/shm/x").starts(),
            container("sh /dev/shm/x.sh").starts(),
        ],
        vec![host("ls /dev/shm/").starts()],
    );
}

#[test]
fn package_managers() {
    check(
        "Package manager run in a container",
        vec![
            container("apt-get install nmap").starts(),
            container("apk add nmap").starts(),
        ],
        vec![
            host("apt-get install nmap").starts(),
            container("dpkg -i x").child_of("apt-get").starts(),
        ],
    );
}

#[test]
fn programs_not_in_the_image() {
    check(
        "Program run that is not in the image",
        vec![container("/tmp/miner").exec_flags(UPPER_LAYER).starts()],
        vec![
            container("nginx").starts(),
            host("/tmp/miner").exec_flags(UPPER_LAYER).starts(),
            container("/usr/bin/postinst")
                .child_of("dpkg")
                .exec_flags(UPPER_LAYER)
                .starts(),
        ],
    );
}

#[test]
fn symbolic_links() {
    check(
        "Symbolic link to a sensitive file",
        vec![
            host("ln -s").symlinks("/etc/shadow", "/tmp/x"),
            container("ln -s").symlinks("../../etc/shadow", "/tmp/x"),
        ],
        vec![host("ln -s").symlinks("/usr/bin/vim", "/etc/alternatives/vi")],
    );
}

#[test]
fn hard_links() {
    check(
        "Hard link to a sensitive file",
        vec![
            host("ln").links("/etc/shadow", "/tmp/x"),
            host("ln").links("/home/ann/.ssh/id_rsa", "/tmp/x"),
        ],
        vec![
            host("passwd").links("/etc/shadow", "/etc/shadow-"),
            host("ln").links("/tmp/a", "/tmp/b"),
        ],
    );
}

#[test]
fn logs() {
    check(
        "Log cleared",
        vec![
            host("truncate -s0").opens("/var/log/auth.log", TRUNCATE),
            host("rm /var/log/auth.log").removes("/var/log/auth.log"),
            host("perl x").truncates("/var/log/auth.log"),
            host("perl x").creates("/var/log/auth.log", false),
            host("truncate -s0").truncates_descriptor("/var/log/auth.log"),
            host("fallocate -p").punches("/var/log/auth.log", 3),
            host("mv /var/log/auth.log /tmp").renames("/var/log/auth.log", "/tmp/auth.log"),
            host("mv x /var/log/auth.log").renames("/tmp/x", "/var/log/auth.log"),
        ],
        vec![
            host("app").renames("/var/log/app.log", "/var/log/app.log.1"),
            host("perl x").truncates("/srv/x"),
            host("fallocate -p").punches("/srv/x", 3),
            host("fallocate -l").punches("/var/log/auth.log", 0),
            host("truncate -s0").truncates_descriptor("/var/log/journal/x/system.journal"),
            host("mv a b").renames("/tmp/a", "/tmp/b"),
            host("tee -a").opens("/var/log/auth.log", WRITE),
            host("logrotate").opens("/var/log/auth.log", TRUNCATE),
            host("rm x").removes("/tmp/x"),
            host("systemd-journald").removes("/var/log/journal/x/system@1.journal"),
        ],
    );
}

#[test]
fn histories() {
    check(
        "Shell history cleared",
        vec![
            host("rm").removes("/root/.bash_history"),
            host("truncate").opens("/home/ann/.zsh_history", TRUNCATE),
            host("perl x").creates("/home/ann/.bash_history", false),
        ],
        vec![
            host("bash").opens("/root/.bash_history", TRUNCATE),
            host("rm").removes("/root/notes"),
        ],
    );
}

#[test]
fn connections() {
    check(
        "Outbound connection of an unexpected program",
        vec![
            host("bash -i").connects("203.0.113.7", 4444, EINPROGRESS),
            container("nc 203.0.113.7 4444").connects("203.0.113.7", 4444, 0),
            host("/tmp/x").connects("2001:db8::7", 443, 0),
            container("/app/x")
                .exec_flags(UPPER_LAYER)
                .connects("203.0.113.7", 443, 0),
        ],
        vec![
            host("curl https://example.org").connects("203.0.113.7", 443, EINPROGRESS),
            host("bash -i").connects("127.0.0.1", 4444, 0),
            host("bash -i").connects("::1", 4444, 0),
            host("bash -i").connects("203.0.113.7", 4444, ECONNREFUSED),
            host("bash -i").connects("203.0.113.7", 53, 0),
        ],
    );
}

#[test]
fn namespaces() {
    check(
        "Namespace changed in a container",
        vec![container("nsenter -t 1 -a").enters_namespace()],
        vec![
            container("runc init").enters_namespace(),
            host("nsenter -t 1 -a").enters_namespace(),
        ],
    );
}

#[test]
fn set_user_id_bits() {
    check(
        "Set-user-id bit set",
        vec![
            host("chmod u+s /tmp/x").chmods("/tmp/x", 0o4755),
            host("chmod u+s /tmp/x").chmods_by_the_newer_call("/tmp/x", 0o4755),
            host("python3 x").makes("/tmp/x", 0o104_755),
        ],
        vec![
            host("chmod +x /tmp/x").chmods("/tmp/x", 0o755),
            host("python3 x").makes("/tmp/x", 0o100_755),
            host("dpkg -i x").chmods("/usr/bin/passwd", 0o4755),
        ],
    );
}

#[test]
fn capabilities_of_files() {
    check(
        "File capability set",
        vec![
            host("setcap cap_setuid+ep /tmp/x").sets_attribute("/tmp/x", "security.capability"),
            container("python3 x").sets_attribute("/tmp/x", "security.capability"),
        ],
        vec![
            host("setfattr -n user.x /tmp/x").sets_attribute("/tmp/x", "user.x"),
            host("dpkg -i x").sets_attribute("/usr/bin/ping", "security.capability"),
            host("containerd").sets_attribute("/var/lib/x/ping", "security.capability"),
        ],
    );
}

#[test]
fn programs_that_the_kernel_starts() {
    check(
        "Kernel helper program changed",
        vec![
            host("bash").opens("/proc/sys/kernel/core_pattern", WRITE),
            container("bash").opens("/proc/sys/kernel/core_pattern", TRUNCATE),
            container("perl x").creates("/proc/sys/kernel/core_pattern", false),
            host("sysctl -w kernel.modprobe=/tmp/x").opens("/proc/sys/kernel/modprobe", TRUNCATE),
            // Of a procfs that is mounted elsewhere, or nowhere.
            container("x").opens("/mnt/sys/kernel/modprobe", WRITE),
            container("x").opens("/sys/kernel/core_pattern", WRITE),
            container("x").opens("/tmp/cgroup/release_agent", WRITE),
            host("x").opens("/sys/kernel/uevent_helper", WRITE),
            host("x").opens("/proc/sys/fs/binfmt_misc/register", WRITE),
        ],
        vec![
            host("cat").opens("/proc/sys/kernel/core_pattern", READ),
            host("systemd-sysctl").opens("/proc/sys/kernel/core_pattern", WRITE),
            host("sos report").opens("/var/tmp/sos/proc/sys/kernel/core_pattern", CREATED),
            host("sos report").creates("/var/tmp/sos/proc/sys/kernel/core_pattern", true),
            host("bash").opens("/proc/sys/kernel/randomize_va_space", WRITE),
            host("bash").opens("/srv/shop/register", WRITE),
        ],
    );
}
