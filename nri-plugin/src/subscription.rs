//! What containerd tells of by its events.

use std::collections::BTreeSet;
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
/// What is subscribed to in any case.
const TOPICS: [&str; 2] = ["/containers/update", "/containers/delete"];
const CREATION: &str = "/containers/create";
/// The same, but for what NRI tells.
const TASK_TOPICS: [&str; 2] = ["/tasks/create", "/tasks/start"];
/// The same of CRI's images: after these their names may mean others.
const IMAGE_TOPICS: [&str; 3] = ["/images/create", "/images/update", "/images/delete"];
/// Ids that CRI gives to nothing: its own are 64 hexadecimal digits. As Go has it, and without what a filter would need to escape.
const NOT_CRIS_ID: &str = "[^0-9a-f]|^.{0,63}$|^.{65}";
/// Images of sandboxes, at most, that are told apart: a node has one, and another one after an update.
pub(crate) const SANDBOX_IMAGES_MAX: usize = 8;

/// What is subscribed to of CRI's namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OfCri {
    /// Everything: nobody else tells of it.
    All,
    /// All containers, and not their tasks.
    Containers,
    /// Containers that NRI does not tell of before they are created: sandboxes, which have one of these images, and those with ids that
    /// CRI does not give.
    Sandboxes(BTreeSet<String>),
}

impl OfCri {
    /// True when the other tells of all that this one does, and more.
    pub(crate) fn is_less_than(&self, other: &OfCri) -> bool {
        match self {
            OfCri::All => false,
            OfCri::Containers => *other == OfCri::All,
            OfCri::Sandboxes(_) => matches!(other, OfCri::All | OfCri::Containers),
        }
    }

    /// What NRI leaves to be told of, as far as the images of sandboxes are known.
    pub(crate) fn beside_nri(sandbox_images: &BTreeSet<String>) -> OfCri {
        match sandbox_images.len() {
            1..=SANDBOX_IMAGES_MAX => OfCri::Sandboxes(sandbox_images.clone()),
            _ => OfCri::Containers,
        }
    }
}

/// One subscription, until it is dropped.
pub(crate) struct Subscription {
    pub(crate) events: mpsc::Receiver<Result<Envelope, RpcStatus>>,
    pub(crate) of_cri: OfCri,
    /// One of its events was seen: it has begun.
    pub(crate) has_told: bool,
    task: JoinSet<()>,
}

impl Subscription {
    /// Follows containers, tasks and, in the registry `names`, what the names of CRI's images mean.
    pub(crate) fn begin(
        client: EventsClient<Channel>,
        of_cri: OfCri,
        names: Option<&Arc<Mutex<Registry>>>,
    ) -> Subscription {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let filters = filters(&of_cri, names.is_some());
        let names = names.map(|registry| Followed {
            names: Arc::clone(registry),
            has_begun: false,
        });
        let mut task = JoinSet::new();
        task.spawn(follow(client, filters, sender, names));
        Subscription {
            events,
            of_cri,
            has_told: false,
            task,
        }
    }

    /// Ends it, and with it what is known of names of images.
    pub(crate) async fn end(&mut self) {
        self.task.shutdown().await;
    }
}

/// Whose names of images are followed, from the first event on until this is dropped.
struct Followed {
    names: Arc<Mutex<Registry>>,
    has_begun: bool,
}

impl Followed {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before the first event nobody knows since when they are told.
    fn begin(&mut self) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.registry().follow_image_names();
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        if self.has_begun {
            self.registry().unfollow_image_names();
        }
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

/// What is subscribed to, as containerd takes it: any of these. `images` with CRI's images.
fn filters(of_cri: &OfCri, images: bool) -> Vec<String> {
    let of = |topic: &str| format!("topic=={topic:?}");
    let but_cri = format!(",namespace!={:?}", record::CRI_NAMESPACE);
    let cri = format!(",namespace=={:?}", record::CRI_NAMESPACE);
    let mut all: Vec<String> = TOPICS.iter().map(|topic| of(topic)).collect();
    match of_cri {
        OfCri::All | OfCri::Containers => all.push(of(CREATION)),
        OfCri::Sandboxes(of_images) => {
            all.push(of(CREATION) + &but_cri);
            all.push(format!("{}{cri},event.id~={NOT_CRIS_ID:?}", of(CREATION)));
            let of_image = |image| format!("{}{cri},event.image=={image:?}", of(CREATION));
            all.extend(of_images.iter().map(of_image));
        }
    }
    all.extend(TASK_TOPICS.iter().map(|topic| match of_cri {
        OfCri::All => of(topic),
        OfCri::Containers | OfCri::Sandboxes(_) => of(topic) + &but_cri,
    }));
    if images {
        all.extend(IMAGE_TOPICS.iter().map(|topic| of(topic) + &cri));
    }
    all
}

/// Passes events on until they end. containerd begins its answer with the first event, which may be long in coming. What names of
/// images mean is let go of here, however many events wait to be looked at.
async fn follow(
    mut client: EventsClient<Channel>,
    filters: Vec<String>,
    sender: mpsc::Sender<Result<Envelope, RpcStatus>>,
    mut names: Option<Followed>,
) {
    let request = SubscribeRequest { filters };
    let mut events = match client.subscribe(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => {
            let _ = sender.send(Err(status)).await;
            return;
        }
    };
    loop {
        let next = match events.message().await {
            Ok(Some(event)) => {
                if let Some(names) = &mut names {
                    names.begin();
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
    fn what_nri_tells_of_is_left_out_and_nothing_else() {
        let sandboxes = OfCri::beside_nri(&BTreeSet::from(["example.org/pause:3".to_owned()]));
        for images in [false, true] {
            let has = |of_cri: &OfCri, wanted: &str| filters(of_cri, images).iter().any(|one| one == wanted);
            let tasks = |of_cri| {
                let (all, others) = (
                    r#"topic=="/tasks/start""#,
                    r#"topic=="/tasks/start",namespace!="k8s.io""#,
                );
                [has(of_cri, all), has(of_cri, others)]
            };
            assert_eq!(tasks(&OfCri::All), [true, false]);
            assert_eq!(tasks(&OfCri::Containers), [false, true]);
            assert_eq!(tasks(&sandboxes), [false, true]);
            let creations = |of_cri| {
                let (all, others) = (
                    r#"topic=="/containers/create""#,
                    r#"topic=="/containers/create",namespace!="k8s.io""#,
                );
                [has(of_cri, all), has(of_cri, others)]
            };
            assert_eq!(creations(&OfCri::All), [true, false]);
            assert_eq!(creations(&OfCri::Containers), [true, false]);
            assert_eq!(creations(&sandboxes), [false, true]);
            // A pod's sandbox is known by its path before NRI tells of it.
            assert!(has(
                &sandboxes,
                r#"topic=="/containers/create",namespace=="k8s.io",event.image=="example.org/pause:3""#
            ));
            assert_eq!(
                has(&sandboxes, r#"topic=="/images/update",namespace=="k8s.io""#),
                images
            );
        }
    }

    #[test]
    fn containers_are_told_apart_once_the_images_of_sandboxes_are_known_and_few() {
        let of = |count| OfCri::beside_nri(&(0..count).map(|number: usize| number.to_string()).collect());
        assert_eq!(of(0), OfCri::Containers);
        assert!(matches!(of(1), OfCri::Sandboxes(_)));
        assert!(matches!(of(SANDBOX_IMAGES_MAX), OfCri::Sandboxes(_)));
        assert_eq!(of(SANDBOX_IMAGES_MAX + 1), OfCri::Containers);
    }

    #[test]
    fn what_tells_of_another_image_tells_of_more() {
        let of = |images: &[&str]| OfCri::Sandboxes(images.iter().map(|&image| image.to_owned()).collect());
        let (one, two) = (of(&["a"]), of(&["a", "b"]));
        let all = [OfCri::All, OfCri::Containers, one.clone()];
        for (at, less) in all.iter().enumerate() {
            for (other_at, other) in all.iter().enumerate() {
                assert_eq!(less.is_less_than(other), at > other_at, "{less:?} {other:?}");
            }
        }
        assert!(!two.is_less_than(&one) && !one.is_less_than(&two));
    }
}
