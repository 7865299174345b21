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
    use lanner_capture::Tier;
    use lanner_schema::alert::Priority;
    use std::time::Duration;

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

    #[test]
    fn every_one_of_them_is_named_alone_and_kept() {
        type Change = fn(&mut Config);
        let keys: [(&str, Change); 14] = [
            ("engine.modern_ebpf.cpus_for_each_buffer", |c| {
                c.capture.cpus_for_each_buffer = 9;
            }),
            ("engine.tier", |c| c.capture.tier = Tier::Raw),
            ("engine.seccomp_keeper", |c| c.capture.keeper = "/x".into()),
            ("falco_libs.thread_table_size", |c| c.capture.process_limit = 9),
            ("falco_libs.thread_table_auto_purging_*", |c| {
                c.capture.purge_interval = Duration::from_secs(9);
            }),
            ("falco_libs.thread_table_auto_purging_*", |c| {
                c.capture.purge_timeout = Duration::from_secs(9);
            }),
            ("engine.kind", |c| c.replay = Some("/x".into())),
            ("nri", |c| c.nri.enabled = !c.nri.enabled),
            ("nri", |c| c.seccomp_listener = "/x".into()),
            ("containerd", |c| c.containerd.enabled = !c.containerd.enabled),
            ("containerd", |c| c.containerd.address = "/x".into()),
            ("container_engines", |c| c.engines.label_max_len = Some(9)),
            ("runtime_directory", |c| c.runtime_directory = Some("/x".into())),
            ("webserver", |c| c.web.enabled = !c.web.enabled),
        ];
        let in_force = Config::default();
        for (key, change) in keys {
            let mut config = Config::default();
            change(&mut config);
            assert_eq!(keep(&mut config, &in_force), [key]);
            assert!(keep(&mut config, &in_force).is_empty(), "{key} is not kept");
        }
    }
}
