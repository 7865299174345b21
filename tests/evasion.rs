//! The ways around a tracer: each is gone for real, and what the rules then see is what happened. One test for each; what
//! they show is the table in docs/evasions.md.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, clippy::panic)] // tests fail by panicking

mod support;

#[path = "evasion/calls.rs"]
mod calls;
#[path = "evasion/descriptors.rs"]
mod descriptors;
#[path = "evasion/identity.rs"]
mod identity;
#[path = "evasion/lineage.rs"]
mod lineage;
#[path = "evasion/mounts.rs"]
mod mounts;
#[path = "evasion/opens.rs"]
mod opens;
#[path = "evasion/paths.rs"]
mod paths;
#[path = "evasion/programs.rs"]
mod programs;
#[path = "evasion/rings.rs"]
mod rings;
#[path = "evasion/scene.rs"]
mod scene;
#[path = "evasion/sockets.rs"]
mod sockets;

/// The table names every test, and no other.
#[test]
fn the_table_says_what_is_tested() {
    use std::collections::BTreeSet;
    let root = support::repository();
    let table = std::fs::read_to_string(root.join("docs/evasions.md")).unwrap();
    let named: BTreeSet<String> = table
        .split('`')
        .filter(|text| text.contains("::"))
        .map(str::to_owned)
        .collect();
    let mut tested = BTreeSet::new();
    for file in std::fs::read_dir(root.join("tests/evasion")).unwrap() {
        let path = file.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        for test in text.split("#[test]\nfn ").skip(1) {
            tested.insert(format!("{module}::{}", test.split('(').next().unwrap()));
        }
    }
    assert_eq!(named, tested);
}
