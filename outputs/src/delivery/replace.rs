//! Outputs of another configuration take the place of those that run. What stays as it is keeps its thread and its queue.

use super::*;

/// Outputs that are ready to take the place of others; dropped, nothing comes of it.
#[derive(Debug)]
pub struct Replacement {
    lanes: Arc<Lanes>,
    choices: Vec<Choice>,
    config: Config,
    /// Those that end.
    retiring: Vec<Arc<Lane>>,
    /// Those that begin then: until they are told, their queues fill.
    waiting: Vec<Sender<()>>,
}

impl Replacement {
    /// A handle that sends alerts to the new outputs.
    pub fn sender(&self) -> AlertSender {
        AlertSender {
            lanes: Arc::clone(&self.lanes),
        }
    }

    /// A handle that asks for reports.
    pub fn reporter(&self) -> Reporter {
        Reporter {
            lanes: Arc::clone(&self.lanes),
        }
    }
}

impl Outputs {
    /// Makes what another configuration asks for, but does not begin with it. `None` when nothing changes.
    ///
    /// # Errors
    /// When the kernel gives no thread.
    pub fn replace(&self, config: &Config) -> Result<Option<Replacement>, StartError> {
        let choices = choose(config, Facts::probe(config));
        let wanted: Vec<Kind> = choices
            .iter()
            .filter(|choice| choice.on)
            .map(|choice| choice.kind)
            .collect();
        let old = &self.lanes;
        let stays =
            |lane: &Arc<Lane>| wanted.contains(&lane.kind) && is_unchanged(lane.kind, &self.config, config);
        let (mut lanes, retiring): (Vec<_>, Vec<_>) = old.lanes.iter().map(Arc::clone).partition(stays);
        let new: Vec<Kind> = wanted
            .into_iter()
            .filter(|kind| lanes.iter().all(|lane| lane.kind != *kind))
            .collect();
        if retiring.is_empty() && new.is_empty() {
            return Ok(None);
        }
        let mut waiting = Vec::new();
        let mut past = old.past.clone();
        past.extend(
            retiring
                .iter()
                .map(|lane| (lane.kind, Arc::clone(&lane.state.counters))),
        );
        for kind in new {
            // Of one kind the same counters go on.
            let counters = past.iter().position(|(of, _)| *of == kind);
            let context = Context {
                counters: counters.map_or_else(Arc::default, |index| past.swap_remove(index).1),
                timeout: Some(config.timeout),
                ..Context::default()
            };
            let config = config.clone();
            let (begin, told) = flume::bounded::<()>(1);
            let make = move |context: &Context| {
                told.recv().ok()?;
                output::make(kind, &config, context)
            };
            lanes.push(Arc::new(start_lane(
                kind,
                context,
                capacity_of(&self.config),
                make,
            )?));
            waiting.push(begin);
        }
        Ok(Some(Replacement {
            lanes: Arc::new(Lanes {
                lanes,
                past,
                full: old.full.clone(),
                stopping: AtomicBool::new(false),
            }),
            choices,
            config: config.clone(),
            retiring,
            waiting,
        }))
    }

    /// Goes on with these outputs. The senders of before must be out of use: those that end deliver what is queued, within
    /// a limit, and then the new ones begin, so that no two write to the same place.
    pub fn adopt(&mut self, replacement: Replacement, within: Duration) {
        end(&replacement.retiring, within);
        for begin in &replacement.waiting {
            let _ = begin.send(());
        }
        self.lanes = replacement.lanes;
        self.choices = replacement.choices;
        self.config = replacement.config;
    }
}

/// Whether an output is the same with both configurations.
fn is_unchanged(kind: Kind, old: &Config, new: &Config) -> bool {
    old.queue_capacity == new.queue_capacity
        && match kind {
            Kind::Stdout => old.buffered == new.buffered,
            Kind::File => old.buffered == new.buffered && old.file == new.file,
            Kind::Syslog => old.syslog_socket == new.syslog_socket,
            Kind::Journald => old.journal_socket == new.journal_socket,
            Kind::Program => old.program == new.program,
            Kind::Otlp => (&old.otlp, &old.spool, old.timeout) == (&new.otlp, &new.spool, new.timeout),
            Kind::Http => {
                let of = |config: &Config| {
                    (
                        config.http.clone(),
                        config.spool.clone(),
                        config.timeout,
                        config.json,
                    )
                };
                of(old) == of(new)
            }
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_alert::alert;
    use crate::{FileConfig, Journald};
    use std::path::Path;

    fn config(file: Option<&Path>) -> Config {
        Config {
            stdout: false,
            journald: Journald::Off,
            file: file.map(|path| FileConfig {
                filename: path.to_owned(),
                keep_alive: true,
            }),
            ..Config::default()
        }
    }

    #[test]
    fn alerts_go_to_the_new_file_and_what_was_queued_to_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        let mut outputs = Outputs::start(&config(Some(&a))).unwrap();
        assert!(
            outputs.replace(&config(Some(&a))).unwrap().is_none(),
            "nothing changes"
        );
        for _ in 0..100 {
            outputs.sender().send(alert("old"));
        }
        let replacement = outputs.replace(&config(Some(&b))).unwrap().unwrap();
        let sender = replacement.sender();
        for _ in 0..100 {
            sender.send(alert("new"));
        }
        outputs.adopt(replacement, Duration::from_secs(10));
        sender.send(alert("new"));
        // One that is thrown away leaves everything as it is.
        drop(outputs.replace(&config(None)).unwrap().unwrap());
        outputs.sender().send(alert("new"));
        let reports = outputs.shutdown(Duration::from_secs(10));
        let lines = |path: &Path| std::fs::read_to_string(path).unwrap().lines().count();
        assert_eq!((lines(&a), lines(&b)), (100, 102));
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert_eq!(
            (reports[0].delivered, reports[0].lost_total()),
            (202, 0),
            "counted on"
        );
    }

    #[test]
    fn what_is_taken_away_is_still_counted() {
        let dir = tempfile::tempdir().unwrap();
        let a = dir.path().join("a");
        let mut outputs = Outputs::start(&config(Some(&a))).unwrap();
        outputs.sender().send(alert("x"));
        let replacement = outputs.replace(&config(None)).unwrap().unwrap();
        outputs.adopt(replacement, Duration::from_secs(10));
        outputs.sender().send(alert("nowhere"));
        let reports = outputs.shutdown(Duration::from_secs(10));
        assert_eq!(reports[0].delivered, 1);
    }
}
