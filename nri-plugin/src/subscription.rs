//! What containerd tells of by its events.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use containerd_client::services::v1::events_client::EventsClient;
use containerd_client::services::v1::{ImageCreate, ImageDelete, ImageUpdate, SubscribeRequest};
use containerd_client::tonic::Status as RpcStatus;
use containerd_client::tonic::transport::Channel;
use containerd_client::types::Envelope;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::record;
use crate::registry::Registry;

/// Events that wait while lists are compared, at most; then containerd keeps them.
const EVENTS_MAX: usize = 1024;
/// What is subscribed to.
const TOPICS: [&str; 3] = ["/containers/create", "/containers/update", "/containers/delete"];
/// The same, but for what NRI tells.
const TASK_TOPICS: [&str; 2] = ["/tasks/create", "/tasks/start"];
/// The same of CRI's images: after these their names may mean others.
const IMAGE_TOPICS: [&str; 3] = ["/images/create", "/images/update", "/images/delete"];

/// One subscription, until it is dropped.
pub(crate) struct Subscription {
    pub(crate) events: mpsc::Receiver<Result<Envelope, RpcStatus>>,
    /// Tasks of CRI's namespace are told of, too.
    pub(crate) has_cris_tasks: bool,
    /// One of its events was seen.
    pub(crate) has_told: bool,
    task: JoinSet<()>,
}

impl Subscription {
    /// Follows containers, tasks (of CRI's namespace if `cris_tasks`) and, in the registry `names`, what the names of CRI's images mean.
    pub(crate) fn begin(
        client: EventsClient<Channel>,
        cris_tasks: bool,
        names: Option<&Arc<Mutex<Registry>>>,
    ) -> Subscription {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let filters = filters(cris_tasks, names.is_some());
        let names = names.map(|registry| Followed(Arc::clone(registry)));
        let mut task = JoinSet::new();
        task.spawn(follow(client, filters, sender, names));
        Subscription {
            events,
            has_cris_tasks: cris_tasks,
            has_told: false,
            task,
        }
    }

    /// Ends it, and with it what is known of names of images, before another one begins.
    pub(crate) async fn end(&mut self) {
        self.task.shutdown().await;
    }
}

/// Whose names of images are followed, until they are no longer.
struct Followed(Arc<Mutex<Registry>>);

impl Followed {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.registry().unfollow_image_names();
    }
}

/// The image whose name may mean another since an event, none for any; `None` for events that are of no image.
fn renamed(event: &Envelope) -> Option<Option<String>> {
    let content = event.event.as_ref().map_or(&[][..], |event| &event.value);
    let name = match event.topic.as_str() {
        "/images/create" => ImageCreate::decode(content).map(|image| image.name),
        "/images/update" => ImageUpdate::decode(content).map(|image| image.name),
        "/images/delete" => ImageDelete::decode(content).map(|image| image.name),
        _ => return None,
    };
    Some(name.ok().filter(|name| !name.is_empty()))
}

/// What is subscribed to, as containerd takes it: any of these. `cris_tasks` with tasks of CRI's namespace, `images` with its
/// images.
fn filters(cris_tasks: bool, images: bool) -> Vec<String> {
    let of = |topic: &str| format!("topic==\"{topic}\"");
    let but_cris = format!(",namespace!=\"{}\"", record::CRI_NAMESPACE);
    let cris = format!(",namespace==\"{}\"", record::CRI_NAMESPACE);
    let mut all: Vec<String> = TOPICS.iter().map(|topic| of(topic)).collect();
    all.extend(TASK_TOPICS.iter().map(|topic| match cris_tasks {
        true => of(topic),
        false => of(topic) + &but_cris,
    }));
    if images {
        all.extend(IMAGE_TOPICS.iter().map(|topic| of(topic) + &cris));
    }
    all
}

/// Passes events on until they end. containerd begins its answer with the first event, which may be long in coming. What names of
/// images mean is let go of here, however many events wait to be looked at.
async fn follow(
    mut client: EventsClient<Channel>,
    filters: Vec<String>,
    sender: mpsc::Sender<Result<Envelope, RpcStatus>>,
    names: Option<Followed>,
) {
    let request = SubscribeRequest { filters };
    let mut events = match client.subscribe(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => {
            let _ = sender.send(Err(status)).await;
            return;
        }
    };
    // Before the first one nobody knows since when events are told.
    let mut are_followed = false;
    loop {
        let next = match events.message().await {
            Ok(Some(event)) => {
                if let Some(names) = &names {
                    if !std::mem::replace(&mut are_followed, true) {
                        names.registry().follow_image_names();
                    }
                    if let Some(name) = renamed(&event) {
                        names.registry().image_name_changed(name.as_deref());
                        continue;
                    }
                }
                Ok(event)
            }
            Ok(None) => return,
            Err(status) => Err(status),
        };
        let ended = next.is_err();
        if sender.send(next).await.is_err() || ended {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_that_nri_tells_of_are_left_out_and_no_others() {
        let others = r#"topic=="/tasks/start",namespace!="k8s.io""#;
        let all = r#"topic=="/tasks/start""#;
        for images in [false, true] {
            let has = |cris_tasks, wanted: &str| filters(cris_tasks, images).iter().any(|one| one == wanted);
            assert!(has(true, all) && !has(true, others));
            assert!(has(false, others) && !has(false, all));
            // A pod's sandbox is known by its path before NRI tells of it.
            assert!(has(false, r#"topic=="/containers/create""#));
            assert_eq!(
                has(false, r#"topic=="/images/update",namespace=="k8s.io""#),
                images
            );
        }
    }
}
