//! A rules file as it stands in an old Falco guide: it names a source that is not served, and its list and macro come
//! after the rule that uses them.

mod support;

use std::process::Command;

use support::containerd::{BUSYBOX, Containerd, Run};
use support::lanner::{self, Lanner, field};
use support::skip;

/// Byte for byte.
const GUIDE: &str = r#"- rule: Shell spawned in a container
  desc: Detects when a shell is spawned in a container.
  condition: container and proc.name in (linux_shells)
  output: "Shell spawned (user=%user.name %container.id command=%proc.cmdline)"
  priority: WARNING
  tags:
  - container
  source: k8s_audit
- list: linux_shells
  items: [bash, zsh, ksh, sh, csh]
- macro: container
  condition: container.id != host
"#;

#[test]
fn it_loads_with_the_warning_that_its_source_is_not_served() {
    let (_folder, rules) = lanner::rules(GUIDE);
    let output = Command::new(lanner::PROGRAM)
        .arg("-V")
        .arg(&rules)
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    assert!(said.contains("k8s_audit"), "the source is named:\n{said}");
    assert!(
        said.contains("syscall"),
        "the source its fields belong to is named:\n{said}"
    );
}

#[test]
fn without_its_source_it_sees_a_shell_in_a_container() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let containerd = match Containerd::start() {
        Ok(containerd) => containerd,
        Err(reason) => return skip(&reason),
    };
    let (_folder, rules) = lanner::rules(&GUIDE.replace("  source: k8s_audit\n", ""));
    let mut arguments = lanner::options(Some(&containerd));
    arguments.extend(["-r".to_owned(), rules.to_str().unwrap().to_owned()]);
    let lanner = Lanner::start(&arguments);
    let log = lanner.log();
    assert!(
        log.contains("Shell spawned in a container")
            && (log.contains("event type") || log.contains("evt.type")),
        "it warns that the rule names no event type:\n{log}"
    );

    let pod = containerd.pod("shop", "front");
    let container = containerd.run(&pod, Run::new("web", BUSYBOX));
    containerd.exec(&container, &["sh", "-c", "true"]);
    let alert = lanner.wait_for_alert("the shell", |alert| {
        field(alert, "container.id") == container[..12] && field(alert, "proc.cmdline") == "sh -c true"
    });
    assert_eq!(alert["rule"], "Shell spawned in a container");
    assert_eq!(alert["priority"], "Warning");
    assert_eq!(field(&alert, "user.name"), "root", "{alert}");
    assert!(
        alert["output"].as_str().unwrap().contains("command=sh -c true"),
        "{alert}"
    );
}
