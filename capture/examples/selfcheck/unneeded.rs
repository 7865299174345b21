//! What a call costs that no rule needs: nothing where capture stands on single calls. Rules that come and go bring the
//! program on it, and take it away. To be run in a counted guest, where an instruction takes a nanosecond.

use std::error::Error;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use lanner_capture::{Audience, Capture, Config, Host, Losses, Pause, Plan, Tier, plan};
use lanner_schema::container::ContainerTable;
use lanner_schema::event::{Event, Needs};
use lanner_schema::view::EventView;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const CALLS: u128 = 200;
/// Of these the shortest was not interrupted.
const ROUNDS: usize = 50;

/// Nanoseconds of so many calls.
fn spent() -> u128 {
    let round = |_| {
        let begun = Instant::now();
        for _ in 0..CALLS {
            // SAFETY: takes nothing.
            unsafe { libc::syscall(libc::SYS_getpid) };
        }
        begun.elapsed().as_nanos()
    };
    (0..ROUNDS).map(round).min().unwrap_or_default()
}

/// Changes the rules, and counts with each.
struct Counter {
    needed: Option<Plan>,
    unneeded: Option<Plan>,
    /// With rules on another call, on this one, and on the other again.
    spent: Vec<u128>,
    error: Option<String>,
    stop: Arc<AtomicBool>,
}

impl Audience for Counter {
    fn event(&mut self, _event: &EventView<'_>, _at: u64) {}

    fn losses(&mut self, _losses: &Losses) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn pause(&mut self, pause: &mut Pause<'_>) {
        let plans = [self.needed.take(), self.unneeded.take()];
        if self.stop.swap(true, Ordering::Relaxed) {
            return;
        }
        self.spent.push(spent());
        for next in plans.into_iter().flatten() {
            if let Err(error) = pause.change(next) {
                self.error.get_or_insert_with(|| error.to_string());
            }
            self.spent.push(spent());
        }
    }
}

pub(crate) fn check(tier: Tier) -> Result<ExitCode> {
    let host = Host::probe();
    let config = Config {
        tier,
        ..Config::default()
    };
    let planned = |event: Event| {
        let needs = Needs {
            events: [event].into_iter().collect(),
            ..Needs::default()
        };
        plan(&host, &needs, &config)
    };
    let first = planned(Event::Openat)?;
    let tier = first.tier;
    let bare = spent();
    let mut capture = Capture::start(first, &config, &ContainerTable::new())?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut counter = Counter {
        needed: Some(planned(Event::Getpid)?),
        unneeded: Some(planned(Event::Openat)?),
        spent: Vec::new(),
        error: None,
        stop: Arc::clone(&stop),
    };
    capture.run_with(&stop, &mut counter)?;
    drop(capture);
    if let Some(error) = counter.error {
        return Err(error.into());
    }
    let [others, own, again] = counter.spent[..] else {
        return Err("capture never paused".into());
    };
    let after = spent();
    println!(
        "selfcheck: {CALLS} calls of getpid take {bare} ns bare, {others} with rules on another call, {own} with one on this, \
         {again} when that is gone, {after} at the end ({tier})"
    );
    // Less than half an instruction per call is how the time is counted.
    let is_bare = |spent: u128| spent.abs_diff(bare) < CALLS / 2;
    let is_right = match tier {
        Tier::Trampoline => is_bare(others) && own > bare + CALLS && is_bare(again) && is_bare(after),
        // Every call passes by the program on all of them, for which there is no figure that must be.
        _ => is_bare(after),
    };
    println!(
        "{} [unneeded calls cost what their tier says]",
        if is_right { "ok  " } else { "FAIL" }
    );
    Ok(match is_right {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
