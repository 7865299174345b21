//! The container runtime's side of an agent: what it shares with capture, and how it is started.
//!
//! An agent that the runtime started is served before there is a configuration, rules or capture; the others begin when
//! capture does.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use lanner_nri::Status;
use lanner_schema::container::{CgroupMap, ContainerTable};
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};

/// See the module.
#[derive(Debug)]
pub(crate) struct RuntimeSide {
    pub(crate) runtime: Runtime,
    pub(crate) table: Arc<ContainerTable>,
    pub(crate) status: Arc<Status>,
    pub(crate) cgroups: Arc<LateCgroups>,
    /// Ends it.
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) stopped: watch::Receiver<bool>,
    /// It was started already, and is told by this how to go on.
    pub(crate) config: Option<oneshot::Sender<lanner_nri::Config>>,
}

impl RuntimeSide {
    /// One that is not started.
    ///
    /// # Errors
    /// When there can't be threads.
    pub(crate) fn new() -> anyhow::Result<RuntimeSide> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("lanner-async")
            .enable_all()
            .build()
            .context("cannot start the async runtime")?;
        let (stop, stopped) = watch::channel(false);
        Ok(RuntimeSide {
            runtime,
            table: ContainerTable::new(),
            status: Arc::default(),
            cgroups: Arc::default(),
            stop,
            stopped,
            config: None,
        })
    }

    /// Starts it, or tells it how to go on.
    ///
    /// # Errors
    /// When there can't be another thread.
    pub(crate) fn begin(&mut self, config: lanner_nri::Config) -> anyhow::Result<()> {
        if let Some(sender) = self.config.take() {
            // It panicked beyond repair when it takes nothing; that was said.
            let _ = sender.send(config);
            return Ok(());
        }
        lanner_nri::start(
            config,
            Arc::clone(&self.table),
            Arc::clone(&self.cgroups) as Arc<dyn CgroupMap>,
            Arc::clone(&self.status),
            self.stopped.clone(),
            self.runtime.handle().clone(),
        )
        .context("cannot start the thread for the container runtime")?;
        Ok(())
    }
}

/// The kernel's map of cgroups, for who writes it before there is one.
#[derive(Debug, Default)]
pub(crate) struct LateCgroups {
    state: Mutex<Late>,
}

#[derive(Debug, Default)]
struct Late {
    map: Option<Arc<dyn CgroupMap>>,
    /// What came before it.
    cgroups: Vec<u64>,
}

impl LateCgroups {
    /// Writes what came so far, and from now on what comes.
    pub(crate) fn set(&self, map: Arc<dyn CgroupMap>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for cgroup in state.cgroups.drain(..) {
            map.insert(cgroup);
        }
        state.map = Some(map);
    }
}

impl CgroupMap for LateCgroups {
    fn insert(&self, cgroup: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.map {
            Some(map) => map.insert(cgroup),
            None => state.cgroups.push(cgroup),
        }
    }

    fn remove(&self, cgroup: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.map {
            Some(map) => map.remove(cgroup),
            None => state.cgroups.retain(|other| *other != cgroup),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroups_that_came_before_the_map_are_in_it() {
        #[derive(Debug, Default)]
        struct Kept(Mutex<Vec<u64>>);
        impl CgroupMap for Kept {
            fn insert(&self, cgroup: u64) {
                self.0.lock().unwrap().push(cgroup);
            }
            fn remove(&self, cgroup: u64) {
                self.0.lock().unwrap().retain(|other| *other != cgroup);
            }
        }
        let late = LateCgroups::default();
        late.insert(1);
        late.insert(2);
        late.remove(1);
        let map = Arc::new(Kept::default());
        late.set(Arc::clone(&map) as Arc<dyn CgroupMap>);
        late.insert(3);
        assert_eq!(*map.0.lock().unwrap(), [2, 3]);
        late.remove(2);
        assert_eq!(*map.0.lock().unwrap(), [3]);
    }
}
