//! The cluster configuration that users start from is one that kind accepts.

mod support;

#[test]
fn kind_accepts_the_cluster_configuration() {
    if let Err(reason) = support::machine("kind.sh", &[]) {
        support::skip(&format!("kind-config/cluster.yaml: {reason}"));
    }
}
