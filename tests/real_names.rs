//! Files that are opened by another name than their own, in alerts of the real program.

#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

use std::process::Command;

use serde_json::Value;
use support::lanner::{self, Lanner, field};
use support::skip;

/// The rules: one by name, one on the disagreement, and one that tells when all was seen.
fn rules(dir: &str) -> String {
    let rule = |name: &str, condition: &str| {
        format!(
            "- rule: {name}\n  desc: d\n  priority: WARNING\n  condition: evt.type in (open, openat, openat2) and \
             evt.is_open_read = true and {condition}\n  output: \"%fd.name %lanner.requested_name %lanner.real_name \
             %lanner.names_differ\"\n"
        )
    };
    [
        rule("secret", &format!("fd.name = {dir}/secret")),
        rule("named", &format!("fd.name startswith {dir}/by/")),
        rule(
            "differ",
            &format!("lanner.names_differ = true and lanner.real_name startswith {dir}/"),
        ),
        rule("end", &format!("fd.name = {dir}/end")),
    ]
    .concat()
}

/// The alerts of what a shell opens, as rule and `fd.name`.
fn alerts(options: &[&str]) -> Option<Vec<(String, String, Value)>> {
    if let Some(reason) = lanner::impossible() {
        skip(&reason);
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().canonicalize().unwrap();
    let path = |name: &str| place.join(name);
    for name in ["secret", "end", "other"] {
        std::fs::write(path(name), "x\n").unwrap();
    }
    std::fs::create_dir(path("by")).unwrap();
    std::os::unix::fs::symlink("../secret", path("by/link")).unwrap();
    std::os::unix::fs::symlink("../other", path("by/other")).unwrap();
    let text = place.to_str().unwrap();
    let (_folder, file) = lanner::rules(&rules(text));
    let mut arguments = lanner::options(None);
    arguments.extend(["-r", file.to_str().unwrap(), "-o", "rule_matching=all"].map(str::to_owned));
    arguments.extend(
        options
            .iter()
            .flat_map(|option| ["-o".to_owned(), (*option).to_owned()]),
    );
    let lanner = Lanner::start(&arguments);
    let script = "for f in by/link /proc/self/cwd/secret by/other secret end; do read x < $f; done";
    let status = Command::new("sh")
        .args(["-c", script])
        .current_dir(&place)
        .status()
        .unwrap();
    assert!(status.success());
    lanner.wait_for_alert("the last of the files", |alert| alert["rule"] == "end");
    let ended = lanner.stop();
    assert!(ended.status.success(), "{}", ended.stderr);
    let shortened = |alert: Value| {
        let name = field(&alert, "fd.name").replace(text, "");
        (
            alert["rule"].as_str().unwrap().to_owned(),
            name,
            alert["output_fields"].clone(),
        )
    };
    // A busy machine may lose events of others, which is an alert, too.
    let own = ended
        .alerts()
        .into_iter()
        .filter(|alert| !field(alert, "lanner.requested_name").is_empty());
    Some(own.map(shortened).collect())
}

#[test]
fn a_rule_that_names_a_file_finds_it_by_whatever_name_it_is_opened() {
    let Some(alerts) = alerts(&[]) else { return };
    let found: Vec<(&str, &str)> = alerts
        .iter()
        .map(|(rule, name, _)| (rule.as_str(), name.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            // The name that was asked for is no secret, the kernel's is: printed is the one that matched.
            ("secret", "/secret"),
            ("named", "/by/link"),
            ("differ", "/by/link"),
            ("secret", "/secret"),
            ("differ", "/proc/self/cwd/secret"),
            ("named", "/by/other"),
            ("differ", "/by/other"),
            ("secret", "/secret"),
            ("end", "/end"),
        ]
    );
    let (_, _, fields) = &alerts[0];
    assert!(
        fields["lanner.requested_name"]
            .as_str()
            .unwrap()
            .ends_with("/by/link")
    );
    assert!(fields["lanner.real_name"].as_str().unwrap().ends_with("/secret"));
    assert_eq!(fields["lanner.names_differ"], true);
    assert_eq!(alerts[7].2["lanner.names_differ"], false);
}

#[test]
fn rules_can_be_evaluated_by_the_requested_names_alone() {
    let Some(alerts) = alerts(&["engine.real_names=false"]) else {
        return;
    };
    let found: Vec<(&str, &str)> = alerts
        .iter()
        .map(|(rule, name, _)| (rule.as_str(), name.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("named", "/by/link"),
            ("differ", "/by/link"),
            ("differ", "/proc/self/cwd/secret"),
            ("named", "/by/other"),
            ("differ", "/by/other"),
            ("secret", "/secret"),
            ("end", "/end"),
        ],
        "what a rule says of the disagreement itself is read all the same"
    );
}
