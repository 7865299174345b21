//! Crates form a star: each may use lanner-schema, none uses a sibling, only the root sees all. The fuzz targets stand
//! outside: nothing uses them.

// Failing to set up is failing the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

use serde_json::Value;

const CENTRE: &str = "lanner-schema";
const ROOT: &str = "lanner";
const FUZZ: &str = "lanner-fuzz";

#[test]
fn no_crate_depends_on_a_sibling() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let names: Vec<&str> = packages
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&ROOT) && names.contains(&CENTRE), "{names:?}");

    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            let allowed = [ROOT, FUZZ].contains(&name) || on == CENTRE;
            if names.contains(&on) && (!allowed || name == CENTRE || on == FUZZ) {
                wrong.push(format!("{name} depends on {on}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "only the root may depend on crates other than {CENTRE}: {wrong:?}"
    );
}
