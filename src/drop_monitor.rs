//! What Lanner does when events are lost: Falco's `syscall_event_drops`.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lanner_capture::Losses;
use lanner_engine::{Settings, internal_alert};
use lanner_schema::alert::{Alert, FieldValue, Priority};

/// The keys of `syscall_event_drops`. The default is that of the falco.yaml Falco ships.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DropConfig {
    /// `threshold`: the part of a second's events, 0 to 1, of which more must be lost.
    pub(crate) threshold: f64,
    /// `actions`.
    pub(crate) actions: DropActions,
    /// `rate`: how often they are taken, per second.
    pub(crate) rate: f64,
    /// `max_burst`: how often in a row.
    pub(crate) max_burst: f64,
    /// `simulate_drops`: one more event a second counts as lost, and the threshold as 0.
    pub(crate) simulate: bool,
}

impl Default for DropConfig {
    fn default() -> Self {
        DropConfig {
            threshold: 0.1,
            actions: DropActions {
                log: true,
                alert: true,
                exit: false,
            },
            rate: 0.03333,
            max_burst: 1.0,
            simulate: false,
        }
    }
}

/// What is done. None of it: losses are only counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DropActions {
    pub(crate) log: bool,
    pub(crate) alert: bool,
    pub(crate) exit: bool,
}

/// The alert's rule, as dashboards know it.
const RULE: &str = "Falco internal: syscall event drop";
/// How long losses below the threshold are not logged again.
const QUIET: Duration = Duration::from_secs(10);

/// Events by Falco's groups of lost ones (the driver's `n_drops_buffer_*_exit`); what is in no group counts in the total.
pub(crate) const GROUPS: [(&str, &[&str]); 8] = [
    ("clone_fork", &["clone", "clone3", "fork", "vfork", "task_fork"]),
    ("execve", &["execve", "execveat", "task_exec"]),
    ("connect", &["connect"]),
    (
        "open",
        &["open", "creat", "openat", "openat2", "open_by_handle_at"],
    ),
    (
        "dir_file",
        &[
            "dup",
            "chmod",
            "fchmod",
            "fchmodat",
            "chown",
            "lchown",
            "fchown",
            "fchownat",
            "link",
            "linkat",
            "mkdir",
            "mkdirat",
            "mount",
            "umount",
            "umount2",
            "rename",
            "renameat",
            "renameat2",
            "rmdir",
            "symlink",
            "symlinkat",
            "unlink",
            "unlinkat",
        ],
    ),
    (
        "other_interest",
        &[
            "bpf",
            "setpgid",
            "ptrace",
            "seccomp",
            "setns",
            "setresgid",
            "setresuid",
            "setsid",
            "unshare",
            "capset",
        ],
    ),
    ("close", &["close"]),
    ("proc", &["procexit"]),
];

/// Tokens that come at a rate, up to a most; an action takes one.
#[derive(Debug)]
struct TokenBucket {
    rate: f64,
    most: f64,
    tokens: f64,
    seen: Instant,
}

impl TokenBucket {
    fn new(rate: f64, most: f64, now: Instant) -> TokenBucket {
        TokenBucket {
            rate,
            most,
            tokens: most,
            seen: now,
        }
    }

    fn claim(&mut self, now: Instant) -> bool {
        let gained = self.rate * now.saturating_duration_since(self.seen).as_secs_f64();
        self.seen = now;
        self.tokens = (self.tokens + gained).min(self.most);
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

/// Looks at every second's losses and does what the configuration says.
#[derive(Debug)]
pub(crate) struct DropMonitor {
    config: DropConfig,
    settings: Settings,
    bucket: TokenBucket,
    logged: Option<Instant>,
    /// Losses that were not logged yet, and since when they are not.
    unlogged: u64,
    detected: u64,
    acted: u64,
}

/// What a second's losses call for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Nothing,
    Few,
    Throttled,
    Act,
}

impl DropMonitor {
    pub(crate) fn new(config: &DropConfig, settings: Settings) -> DropMonitor {
        DropMonitor {
            config: config.clone(),
            settings,
            bucket: TokenBucket::new(config.rate, config.max_burst, Instant::now()),
            logged: None,
            unlogged: 0,
            detected: 0,
            acted: 0,
        }
    }

    /// Takes other keys; what was counted stays.
    pub(crate) fn configure(&mut self, config: DropConfig, settings: Settings) {
        if config != self.config {
            self.bucket = TokenBucket::new(config.rate, config.max_burst, Instant::now());
        }
        self.config = config;
        self.settings = settings;
    }

    /// A second's losses. Breaks off when Lanner is to end.
    pub(crate) fn second(&mut self, losses: &Losses, alert: &mut dyn FnMut(Alert)) -> ControlFlow<()> {
        let dropped = self.dropped(losses);
        match self.judge(losses, dropped, Instant::now()) {
            Verdict::Nothing => ControlFlow::Continue(()),
            Verdict::Few => {
                self.log_few(losses, dropped, Instant::now());
                ControlFlow::Continue(())
            }
            Verdict::Throttled => {
                tracing::debug!(
                    "syscall event drop, but the actions' rate is used up: {}",
                    details(losses)
                );
                ControlFlow::Continue(())
            }
            Verdict::Act => self.act(losses, dropped, alert),
        }
    }

    fn dropped(&self, losses: &Losses) -> u64 {
        losses.lost + losses.refused + u64::from(self.config.simulate)
    }

    fn judge(&mut self, losses: &Losses, dropped: u64, now: Instant) -> Verdict {
        if self.config.simulate {
            tracing::info!("simulating a syscall event drop (syscall_event_drops.simulate_drops)");
        }
        let threshold = if self.config.simulate {
            0.0
        } else {
            self.config.threshold
        };
        let all = losses.begun + losses.refused;
        // A simulated loss may be the only event of its second.
        if dropped == 0 {
            return Verdict::Nothing;
        }
        #[allow(clippy::cast_precision_loss)] // a share needs no more than 52 bits
        // More than is known were lost where a queue of unknown length was full.
        if losses.overflows == 0 && dropped as f64 <= threshold * all as f64 {
            return Verdict::Few;
        }
        self.detected += 1;
        if !self.bucket.claim(now) {
            return Verdict::Throttled;
        }
        self.acted += 1;
        Verdict::Act
    }

    fn act(&mut self, losses: &Losses, dropped: u64, alert: &mut dyn FnMut(Alert)) -> ControlFlow<()> {
        let DropActions {
            log,
            alert: tell,
            exit,
        } = self.config.actions;
        let least = if losses.overflows > 0 { "At least " } else { "" };
        let message = format!("{RULE}. {least}{dropped} system calls dropped in last second.");
        if log {
            tracing::warn!("{message}{}", details(losses));
        }
        if tell {
            let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            let fields = fields(losses, dropped);
            alert(internal_alert(
                &self.settings,
                time,
                Priority::Debug,
                RULE,
                message.clone(),
                fields,
            ));
        }
        if exit {
            tracing::error!("{message} Exiting, as syscall_event_drops.actions asks.");
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Fewer than the threshold are no reason to act, but whoever did not say `ignore` may want to know.
    fn log_few(&mut self, losses: &Losses, dropped: u64, now: Instant) {
        let DropActions { log, alert, exit } = self.config.actions;
        self.unlogged += dropped;
        let quiet = self
            .logged
            .is_some_and(|at| now.saturating_duration_since(at) < QUIET);
        if quiet || !(log || alert || exit) {
            return;
        }
        tracing::warn!(
            "{} events were lost, fewer than syscall_event_drops.threshold{}{}",
            self.unlogged,
            match losses.without_bpf {
                true => "",
                false => "; a larger engine.modern_ebpf.buf_size_preset holds longer bursts",
            },
            details(losses)
        );
        self.unlogged = 0;
        self.logged = Some(now);
    }

    /// What Falco prints when it ends.
    pub(crate) fn falco_lines(&self) -> String {
        format!(
            "Syscall event drop monitoring:\n   - event drop detected: {} occurrences\n   - num times actions taken: {}\n",
            self.detected, self.acted
        )
    }
}

/// `; most of openat (12), …; by host (12), …`: what a person wants to know first.
fn details(losses: &Losses) -> String {
    let mut text = String::new();
    let (events, losers) = (by_event(losses), by_loser(losses));
    if losses.overflows > 0 {
        text.push_str(
            " fanotify's queue was full, which is any number of events: a greater fs.fanotify.max_queued_events holds \
             longer bursts.",
        );
    }
    if !events.is_empty() {
        let _ = write!(text, " By event: {events}; by container: {losers}.");
    }
    text
}

/// The most names that one field lists.
const NAMED: usize = 8;

fn listed(mut counts: Vec<(String, u64)>) -> String {
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let rest: u64 = counts.iter().skip(NAMED).map(|(_, count)| count).sum();
    counts.truncate(NAMED);
    if rest > 0 {
        counts.push(("others".into(), rest));
    }
    let words: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name}={count}"))
        .collect();
    words.join(" ")
}

fn by_event(losses: &Losses) -> String {
    let mut counts: Vec<(String, u64)> = Vec::new();
    for (event, _, count) in &losses.by_event {
        match counts.iter_mut().find(|(name, _)| name == event.name()) {
            Some((_, total)) => *total += count,
            None => counts.push((event.name().to_owned(), *count)),
        }
    }
    listed(counts)
}

fn by_loser(losses: &Losses) -> String {
    let named = |(loser, count): &(lanner_capture::Loser, u64)| (loser.to_string(), *count);
    listed(losses.by_loser.iter().map(named).collect())
}

/// Falco's fields, all of them text, and two of Lanner's own.
fn fields(losses: &Losses, dropped: u64) -> Vec<(Arc<str>, FieldValue)> {
    let of = |wanted: &dyn Fn(&str, &str) -> bool| -> u64 {
        let losses = losses.by_event.iter();
        losses
            .filter(|(event, reason, _)| wanted(event.name(), reason))
            .map(|(.., count)| count)
            .sum()
    };
    let number = |name: &str, count: u64| (Arc::from(name), FieldValue::Text(count.to_string()));
    let mut fields = vec![
        number("n_evts", losses.begun + losses.refused),
        number("n_drops", dropped),
        number("n_drops_buffer_total", of(&|_, reason| reason == "ring_full")),
        number(
            "n_drops_scratch_map",
            of(&|_, reason| reason == "scratch_overwritten"),
        ),
        // A value that can't be read is missing from its event; no event is lost for it.
        number("n_drops_page_faults", 0),
        // Runs the kernel refused.
        number("n_drops_bug", losses.refused),
        number("ebpf_enabled", 1),
        (Arc::from("n_drops_by_event"), FieldValue::Text(by_event(losses))),
        (
            Arc::from("n_drops_by_container"),
            FieldValue::Text(by_loser(losses)),
        ),
    ];
    for (group, events) in GROUPS {
        let count = of(&|event, reason| reason == "ring_full" && events.contains(&event));
        fields.push(number(&format!("n_drops_buffer_{group}_exit"), count));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_capture::Loser;
    use lanner_schema::event::Event;

    fn monitor(config: DropConfig) -> DropMonitor {
        DropMonitor::new(&config, Settings::default())
    }

    fn losses(begun: u64, lost: u64) -> Losses {
        Losses {
            begun,
            lost,
            by_event: vec![(Event::Openat, "ring_full", lost)],
            by_loser: vec![(Loser::Host, lost)],
            ..Losses::default()
        }
    }

    #[test]
    fn a_share_above_the_threshold_calls_for_action_as_often_as_the_rate_allows() {
        let mut monitor = monitor(DropConfig {
            rate: 0.5,
            max_burst: 2.0,
            ..DropConfig::default()
        });
        let start = Instant::now();
        let mut judge = |lost, seconds| {
            let losses = losses(100, lost);
            monitor.judge(&losses, lost, start + Duration::from_secs(seconds))
        };
        assert_eq!(judge(0, 0), Verdict::Nothing);
        assert_eq!(judge(10, 0), Verdict::Few, "as much as the threshold is not more");
        assert_eq!(judge(11, 0), Verdict::Act);
        assert_eq!(judge(11, 0), Verdict::Act);
        assert_eq!(judge(11, 1), Verdict::Throttled);
        assert_eq!(judge(11, 2), Verdict::Act, "half a token a second");
        assert_eq!(judge(11, 3), Verdict::Throttled);
        assert_eq!(judge(11, 1000), Verdict::Act);
        assert_eq!(
            judge(11, 1000),
            Verdict::Act,
            "of all that time two tokens are left"
        );
        assert_eq!(judge(11, 1000), Verdict::Throttled);
        assert_eq!((monitor.detected, monitor.acted), (8, 5));
        assert_eq!(
            monitor.falco_lines(),
            "Syscall event drop monitoring:\n   - event drop detected: 8 occurrences\n   - num times actions taken: 5\n"
        );
    }

    #[test]
    fn a_reload_gives_new_tokens_only_where_it_changes_what_is_done() {
        let config = DropConfig {
            rate: 0.0,
            max_burst: 1.0,
            ..DropConfig::default()
        };
        let mut monitor = monitor(config.clone());
        let mut judge = |config: &DropConfig| {
            monitor.configure(config.clone(), Settings::default());
            monitor.judge(&losses(100, 50), 50, Instant::now())
        };
        assert_eq!(judge(&config), Verdict::Act);
        assert_eq!(judge(&config), Verdict::Throttled);
        let other = DropConfig {
            threshold: 0.2,
            ..config
        };
        assert_eq!(judge(&other), Verdict::Act);
    }

    #[test]
    fn few_losses_are_logged_at_once_and_then_added_up_for_a_while() {
        let mut monitor = monitor(DropConfig::default());
        let start = Instant::now();
        for (seconds, unlogged) in [(0, 0), (1, 3), (2, 6), (QUIET.as_secs(), 0)] {
            monitor.log_few(&losses(1000, 3), 3, start + Duration::from_secs(seconds));
            assert_eq!(monitor.unlogged, unlogged, "after {seconds} s");
        }
    }

    #[test]
    fn a_full_queue_of_the_kernels_is_more_than_any_threshold() {
        let mut monitor = monitor(DropConfig::default());
        let full = Losses {
            begun: 100_000,
            refused: 1,
            overflows: 1,
            without_bpf: true,
            ..Losses::default()
        };
        assert_eq!(monitor.judge(&full, 1, Instant::now()), Verdict::Act);
        assert!(details(&full).contains("max_queued_events"));
    }

    #[test]
    fn a_simulated_loss_is_one_on_top_and_needs_no_event() {
        let mut monitor = monitor(DropConfig {
            simulate: true,
            ..DropConfig::default()
        });
        let nothing = Losses::default();
        assert_eq!(monitor.dropped(&nothing), 1);
        assert_eq!(monitor.judge(&nothing, 1, Instant::now()), Verdict::Act);
        assert_eq!(monitor.dropped(&losses(1000, 4)), 5);
    }

    #[test]
    fn the_alert_has_falcos_fields_and_whose_events_were_lost() {
        let mut monitor = monitor(DropConfig::default());
        let mut alerts = Vec::new();
        let losses = Losses {
            begun: 1000,
            lost: 500,
            refused: 1,
            by_event: vec![
                (Event::Openat, "ring_full", 300),
                (Event::Unlinkat, "ring_full", 100),
                (Event::TaskExec, "ring_full", 60),
                (Event::Openat, "scratch_overwritten", 40),
            ],
            by_loser: vec![
                (
                    Loser::Container {
                        full_id: "0123456789abcdef".into(),
                        name: Some("web".into()),
                    },
                    499,
                ),
                (Loser::Host, 1),
            ],
            ..Losses::default()
        };
        assert!(
            monitor
                .second(&losses, &mut |alert| alerts.push(alert))
                .is_continue()
        );
        let alert = alerts.pop().unwrap();
        assert_eq!(
            (&*alert.rule, &*alert.source, alert.priority),
            (RULE, "internal", Priority::Debug)
        );
        assert_eq!(
            alert.message,
            "Falco internal: syscall event drop. 501 system calls dropped in last second."
        );
        let fields: Vec<String> = alert
            .fields
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            fields,
            [
                "ebpf_enabled=1",
                "n_drops=501",
                "n_drops_buffer_clone_fork_exit=0",
                "n_drops_buffer_close_exit=0",
                "n_drops_buffer_connect_exit=0",
                "n_drops_buffer_dir_file_exit=100",
                "n_drops_buffer_execve_exit=60",
                "n_drops_buffer_open_exit=300",
                "n_drops_buffer_other_interest_exit=0",
                "n_drops_buffer_proc_exit=0",
                "n_drops_buffer_total=460",
                "n_drops_bug=1",
                "n_drops_by_container=web(0123456789ab)=499 host=1",
                "n_drops_by_event=openat=340 unlinkat=100 task_exec=60",
                "n_drops_page_faults=0",
                "n_drops_scratch_map=40",
                "n_evts=1001",
            ]
        );
    }

    #[test]
    fn exit_ends_and_ignore_does_nothing() {
        let with = |actions| {
            monitor(DropConfig {
                actions,
                ..DropConfig::default()
            })
        };
        let mut alerts = 0;
        let mut exit = with(DropActions {
            exit: true,
            ..DropActions::default()
        });
        assert!(exit.second(&losses(10, 10), &mut |_| alerts += 1).is_break());
        let mut ignore = with(DropActions::default());
        assert!(ignore.second(&losses(10, 10), &mut |_| alerts += 1).is_continue());
        assert_eq!((alerts, ignore.detected, ignore.acted), (0, 1, 1));
    }

    #[test]
    fn long_lists_end_in_the_rest() {
        let many = (0..12).map(|n| (format!("c{n:02}"), 20 - n)).collect();
        assert_eq!(
            listed(many),
            "c00=20 c01=19 c02=18 c03=17 c04=16 c05=15 c06=14 c07=13 others=42"
        );
    }
}
