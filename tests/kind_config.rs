//! The cluster and the manifests that users start from are ones that kind and Kubernetes accept, as far as that can be
//! said without a cluster.

// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::process::Command;

use support::{machine, machine_dir, repository, skip};

#[test]
fn kind_and_kubernetes_accept_the_files() {
    if let Err(reason) = machine("kind.sh", &[]) {
        skip(&format!("kind-config: {reason}"));
    }
}

#[test]
fn a_slip_in_any_of_them_is_found() {
    if let Err(reason) = machine("kind.sh", &[]) {
        return skip(&format!("kind-config: {reason}"));
    }
    let slips = [
        (
            "cluster.yaml",
            "containerdConfigPatches",
            "containerdConfigPatch",
            "containerdConfigPatch",
        ),
        ("lanner.yaml", "hostPID: true", "hostPid: true", "hostPid"),
        ("lanner.yaml", "- BPF", "- 7", "securityContext/capabilities/add"),
        ("demo.yaml", "replicas: 2", "replicas: two", "replicas"),
        ("demo.yaml", "selector:", "select:", "select"),
        (
            "demo.yaml",
            "name: curious\n  template",
            "name: other\n  template",
            "the selector wants",
        ),
        ("lanner.yaml", "name: proc", "name: prok", "the volume proc is"),
    ];
    for (name, right, wrong, named) in slips {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(repository().join("kind-config")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let file = folder.path().join(name);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(right), "{name} has {right:?}");
        fs::write(&file, text.replacen(right, wrong, 1)).unwrap();
        let output = Command::new(repository().join("tests/machine/kind.sh"))
            .arg(folder.path())
            .env("LANNER_MACHINE_DIR", machine_dir())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{wrong:?} in {name} is refused: {said}"
        );
        assert!(said.contains(named), "{named:?} is named: {said}");
    }
}
