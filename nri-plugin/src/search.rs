//! Searching for cgroups after the runtime has its answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::registry::Registry;

/// Searches whenever the registry asks for it, until `shutdown`.
pub(crate) async fn run(registry: Arc<Mutex<Registry>>, mut shutdown: watch::Receiver<bool>) {
    let asked = locked(&registry).search();
    loop {
        tokio::select! {
            () = asked.notified() => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
        let Some((host, wanted)) = locked(&registry).take_unsearched() else {
            continue;
        };
        let searched = tokio::task::spawn_blocking(move || {
            let found = host.search(&wanted);
            (wanted, found)
        });
        if let Ok((wanted, found)) = searched.await {
            locked(&registry).searched(&wanted, found);
        }
    }
}

fn locked(registry: &Mutex<Registry>) -> MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}
