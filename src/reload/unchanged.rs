//! Keys that count when Lanner starts, and not again before it is restarted.

use crate::config::Config;

/// Takes the values in force of those keys, and gives the keys that were changed.
pub(super) fn keep(config: &mut Config, in_force: &Config) -> Vec<&'static str> {
    let mut changed = Vec::new();
    let mut note = |key, is_changed| {
        if is_changed {
            changed.push(key);
        }
    };
    let (new, old) = (&mut config.capture, &in_force.capture);
    note(
        "the size of the ring (engine.*.buf_size_preset)",
        take(&mut new.ring_bytes, &old.ring_bytes),
    );
    note(
        "engine.modern_ebpf.cpus_for_each_buffer",
        take(&mut new.cpus_for_each_buffer, &old.cpus_for_each_buffer),
    );
    note("engine.tier", take(&mut new.tier, &old.tier));
    note("engine.seccomp_keeper", take(&mut new.keeper, &old.keeper));
    note(
        "falco_libs.thread_table_size",
        take(&mut new.process_limit, &old.process_limit),
    );
    let purge = [
        take(&mut new.purge_interval, &old.purge_interval),
        take(&mut new.purge_timeout, &old.purge_timeout),
    ];
    note("falco_libs.thread_table_auto_purging_*", purge.contains(&true));
    note("engine.kind", take(&mut config.replay, &in_force.replay));
    let nri = [
        take(&mut config.nri, &in_force.nri),
        take(&mut config.seccomp_listener, &in_force.seccomp_listener),
    ];
    note("nri", nri.contains(&true));
    note("containerd", take(&mut config.containerd, &in_force.containerd));
    note("container_engines", take(&mut config.engines, &in_force.engines));
    note(
        "runtime_directory",
        take(&mut config.runtime_directory, &in_force.runtime_directory),
    );
    note("webserver", take(&mut config.web, &in_force.web));
    changed
}

fn take<T: Clone + PartialEq>(new: &mut T, in_force: &T) -> bool {
    let is_changed = new != in_force;
    new.clone_from(in_force);
    is_changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_schema::alert::Priority;

    #[test]
    fn what_counts_at_the_start_only_is_named_and_kept() {
        let in_force = Config::default();
        let mut config = Config {
            priority: Priority::Error,
            runtime_directory: None,
            ..Config::default()
        };
        config.capture.ring_bytes *= 2;
        config.capture.unnamed_io = true;
        assert_eq!(
            keep(&mut config, &in_force),
            [
                "the size of the ring (engine.*.buf_size_preset)",
                "runtime_directory"
            ]
        );
        assert_eq!(config.capture.ring_bytes, in_force.capture.ring_bytes);
        assert_eq!(config.runtime_directory, in_force.runtime_directory);
        assert!(
            config.capture.unnamed_io && config.priority == Priority::Error,
            "these count at once"
        );
        assert!(keep(&mut config, &in_force).is_empty());
    }
}
