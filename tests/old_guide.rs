//! What users of Falco bring along: a rules file as it stands in an old guide (it names a source that is not served, and
//! its list and macro come after the rule that uses them), a configuration from there, and one with every key there is.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::process::Command;

use support::containerd::{BUSYBOX, Containerd, Run};
use support::lanner::{self, Lanner, field};
use support::port::Port;
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

/// A configuration as old guides have it; the places are put in. The key of the file output is there twice.
const CONFIGURATION: &str = "\
rules_file:
  - RULES
json_output: true
json_include_output_property: true
log_stderr: true
log_syslog: true
log_level: info
priority: debug
buffered_outputs: false
output_timeout: 2000
file_output:
  enabled: true
  keep_alive: false
  filename: DIR/first.txt
stdout_output:
  enabled: true
program_output:
  enabled: true
  keep_alive: false
  program: \"cat >> DIR/program.txt\"
http_output:
  enabled: true
  url: http://127.0.0.1:PORT/
file_output:
  enabled: true
  keep_alive: false
  filename: DIR/events.txt
";

/// Takes one request, and gives its body.
fn receive(listener: &std::net::TcpListener) -> String {
    use std::io::{BufRead as _, Read as _, Write as _};
    let (stream, _) = listener.accept().unwrap();
    let mut reader = std::io::BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    reader.get_mut().write_all(answer).unwrap();
    String::from_utf8(body).unwrap()
}

#[test]
fn its_configuration_starts_as_it_is_and_alerts_go_everywhere() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let (folder, rules) = lanner::rules(
        "- rule: Shadow read\n  desc: d\n  condition: evt.type in (open, openat) and fd.name = /etc/shadow and proc.name = \
         cat\n  output: \"file=%fd.name\"\n  priority: WARNING\n",
    );
    let dir = folder.path();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let configuration = dir.join("falco.yaml");
    let text = CONFIGURATION
        .replace("RULES", &rules.display().to_string())
        .replace("DIR", &dir.display().to_string())
        .replace("PORT", &port);
    std::fs::write(&configuration, text).unwrap();
    let mut arguments = lanner::options(None);
    arguments.extend(["-c".to_owned(), configuration.display().to_string()]);
    let lanner = Lanner::start(&arguments);
    let log = lanner.log();
    for part in [
        // Where it counts, and where it does not.
        "falco.yaml:24:1: the key file_output is there twice",
        "the one at",
        "falco.yaml:11:1",
        "falco.yaml:2:3: rules_file is deprecated (write rules_files)",
        "not served yet and ignored: log_syslog",
    ] {
        assert!(log.contains(part), "{part}\n{log}");
    }
    assert!(
        Command::new("cat")
            .arg("/etc/shadow")
            .output()
            .unwrap()
            .status
            .success()
    );
    let posted: serde_json::Value = serde_json::from_str(&receive(&listener)).unwrap();
    assert_eq!(posted["rule"], "Shadow read", "{posted}");
    for file in ["events.txt", "program.txt"] {
        let line = support::wait_for(file, std::time::Duration::from_secs(60), || {
            let text = std::fs::read_to_string(dir.join(file)).ok()?;
            text.lines().next().map(str::to_owned)
        });
        let alert: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(field(&alert, "fd.name"), "/etc/shadow", "{file}: {alert}");
    }
    lanner.wait_for_alert("standard output", |alert| alert["rule"] == "Shadow read");
    assert!(!dir.join("first.txt").exists(), "the later value counts");
    assert_eq!(lanner.stop().status.code(), Some(0));
}

/// Every key that Falco documents, with its defaults but for the places, the rules and what turns the outputs on.
#[test]
fn a_configuration_of_every_key_starts_and_alerts_go_everywhere() {
    if let Some(reason) = lanner::impossible() {
        return skip(&reason);
    }
    let (folder, rules) = lanner::rules("");
    let dir = folder.path().display().to_string();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "x").unwrap();
    let rule = |name, tag| {
        format!(
            "- rule: {name}\n  desc: d\n  condition: evt.type in (open, openat) and fd.name = {dir}/secret\n  output: \
             {name} of %fd.name\n  priority: WARNING\n  tags: [{tag}]\n"
        )
    };
    // The selections turn the second on again, and leave the first off.
    let both = rule("Old read", "deprecated") + &rule("Secret read", "filesystem");
    std::fs::write(&rules, both).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let web = Port::new();
    let mut text = include_str!("../src/config/sample_falco.yaml").to_owned();
    for (default, own) in [
        ("/etc/falco/config.d", format!("{dir}/config.d")),
        ("/etc/falco/falco_rules.yaml", rules.display().to_string()),
        (
            "/etc/falco/falco_rules.local.yaml",
            format!("{dir}/falco_rules.local.yaml"),
        ),
        ("/etc/falco/rules.d", format!("{dir}/rules.d")),
        (
            "file_output:\n  enabled: false",
            "file_output:\n  enabled: true".to_owned(),
        ),
        ("filename: ./events.txt", format!("filename: {dir}/events.txt")),
        (
            "http_output:\n  enabled: false",
            "http_output:\n  enabled: true".to_owned(),
        ),
        (
            "url: \"\"",
            format!("url: http://{}/", listener.local_addr().unwrap()),
        ),
        (
            "program_output:\n  enabled: false",
            "program_output:\n  enabled: true".to_owned(),
        ),
        (
            "program: \"jq '{text: .output}' | curl -d @- -X POST https://example.org/hook\"",
            format!("program: \"cat >> {dir}/program.txt\""),
        ),
        ("listen_port: 8765", format!("listen_port: {web}")),
    ] {
        assert_eq!(text.matches(default).count(), 1, "{default}");
        text = text.replace(default, &own);
    }
    let configuration = folder.path().join("falco.yaml");
    std::fs::write(&configuration, text).unwrap();
    // These keys are Lanner's own: other tests run on this machine.
    let mut arguments = vec!["-c".to_owned(), configuration.display().to_string()];
    for option in [
        "runtime_directory=",
        "nri.enabled=false",
        "containerd.enabled=false",
    ] {
        arguments.extend(["-o".to_owned(), option.to_owned()]);
    }
    let lanner = Lanner::start(&arguments);
    let log = lanner.log();
    for bad in [" WARN ", " ERROR ", "unknown key"] {
        assert!(!log.contains(bad), "{log}");
    }
    assert!(log.contains("falco.yaml | schema validation: ok"), "{log}");
    assert!(Command::new("cat").arg(&secret).status().unwrap().success());
    let alerts = |text: &str| {
        let lines = text.lines();
        lines
            .filter(|line| {
                line.contains(&format!("Warning Secret read of {dir}/secret ")) && line.ends_with(" by=cat")
            })
            .count()
    };
    let posted = receive(&listener);
    assert_eq!(alerts(&posted), 1, "{posted}");
    for file in ["events.txt", "program.txt"] {
        support::wait_for(file, std::time::Duration::from_secs(60), || {
            let text = std::fs::read_to_string(folder.path().join(file)).ok()?;
            (alerts(&text) == 1).then_some(())
        });
    }
    support::wait_for("standard output", std::time::Duration::from_secs(60), || {
        (alerts(&lanner.printed()) == 1).then_some(())
    });
    assert!(
        std::net::TcpStream::connect(("127.0.0.1", web.number)).is_ok(),
        "its web server"
    );
    let ended = lanner.stop();
    assert_eq!(ended.status.code(), Some(0));
    assert!(!ended.stdout.contains("Old read of"), "{}", ended.stdout);
}
