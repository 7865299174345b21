//! The container runtime's side of an agent: what it shares with capture, and how it is started.
//!
//! An agent that the runtime started is served before there is a configuration, rules or capture; the others begin when
//! capture does.

use std::sync::Arc;

use anyhow::Context as _;
use lanner_nri::Status;
use lanner_schema::container::ContainerTable;
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};

/// See the module.
#[derive(Debug)]
pub(crate) struct RuntimeSide {
    pub(crate) runtime: Runtime,
    pub(crate) table: Arc<ContainerTable>,
    pub(crate) status: Arc<Status>,
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
            // What it waits for comes one by one; a second would be woken for nothing.
            .worker_threads(1)
            .thread_name("lanner-async")
            .enable_all()
            .build()
            .context("cannot start the async runtime")?;
        let (stop, stopped) = watch::channel(false);
        Ok(RuntimeSide {
            runtime,
            table: ContainerTable::new(),
            status: Arc::default(),
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
            Arc::clone(&self.status),
            self.stopped.clone(),
            self.runtime.handle().clone(),
        )
        .context("cannot start the thread for the container runtime")?;
        Ok(())
    }
}
