//! What is asked of the runtime's CRI service, and what came of it.

use std::sync::Arc;

use lanner_schema::container::Container;
use tokio::sync::mpsc;

use super::{Registry, ipv4, keep};
use crate::cri::{PodFacts, Question};
use crate::status::Status;

impl Question {
    /// The container the question is about: a pod's is its sandbox.
    fn subject(&self) -> &str {
        match self {
            Question::Pod(sandbox) => sandbox,
            Question::Image { container, .. } => container,
        }
    }
}

impl Registry {
    /// Questions go to `questions` from now on.
    pub(crate) fn ask_cri(&mut self, questions: mpsc::Sender<Question>) {
        self.questions = Some(questions);
    }

    /// Asks what is not known of the pod of a container that is told of for the first time.
    pub(super) fn ask_about_pod(&mut self, container: &Container) {
        let Some(pod) = &container.pod else { return };
        // A sandbox whose runtime was too slow is asked about again when it gets a container.
        let is_known = self.entries.get(&pod.sandbox_id).is_some_and(|sandbox| {
            let sandbox = &sandbox.container;
            sandbox.cni_json.is_some() || sandbox.host.network == Some(true)
        });
        if !pod.sandbox_id.is_empty() && !is_known && !self.asked.contains(&pod.sandbox_id) {
            self.ask(Question::Pod(pod.sandbox_id.clone()));
        }
    }

    /// True when CRI can be asked which image a container is of, and nobody has told.
    pub(super) fn lacks_image_id(&self, container: &Container) -> bool {
        let is_asked_of = container.pod.is_some() && container.image.is_some() && !container.is_sandbox();
        self.questions.is_some() && is_asked_of && container.image_id.is_none()
    }

    /// Whoever finds the digest of a container's image finds its id with it, or has CRI asked.
    pub(super) fn expect_image_id(&mut self, container: &Container) {
        self.asked.insert(container.full_id.clone());
    }

    /// Asks CRI which image the container with this id is of, unless that is known.
    pub(crate) fn ask_for_image_id(&mut self, id: &str) {
        self.asked.remove(id);
        let Some(entry) = self.entries.get(id) else { return };
        let container = Arc::clone(&entry.container);
        if let Some(image) = container
            .image
            .clone()
            .filter(|_| self.lacks_image_id(&container))
        {
            self.ask(Question::Image {
                container: container.full_id.clone(),
                image,
            });
        }
    }

    fn ask(&mut self, question: Question) {
        let Some(questions) = &self.questions else { return };
        let subject = question.subject().to_owned();
        match questions.try_send(question) {
            Ok(()) => {
                self.asked.insert(subject);
            }
            Err(_) => Status::count(&self.status.cri_missing),
        }
    }

    /// A container starts: its answers are late unless they are there.
    pub(super) fn count_late(&self, container: &Container) {
        let sandbox = container.pod.as_ref().map(|pod| &pod.sandbox_id);
        if self.asked.contains(&container.full_id) || sandbox.is_some_and(|id| self.asked.contains(id)) {
            Status::count(&self.status.cri_late);
        }
    }

    /// A container takes over what its pod's sandbox was told of.
    pub(super) fn inherit(&self, container: &mut Container) {
        let Some(pod) = &container.pod else { return };
        let Some(sandbox) = self.entries.get(&pod.sandbox_id) else {
            return;
        };
        let sandbox = &sandbox.container;
        container.ip = container.ip.take().or_else(|| sandbox.ip.clone());
        container.cni_json = container.cni_json.take().or_else(|| sandbox.cni_json.clone());
        // What it joins by a path is its pod's.
        container.host = keep(container.host, sandbox.host);
    }

    /// A pod's facts arrived.
    pub(crate) fn pod_told(&mut self, sandbox: &str, facts: &PodFacts) {
        self.asked.remove(sandbox);
        let ip = ipv4(&facts.addresses);
        self.change(
            |container| {
                container
                    .pod
                    .as_ref()
                    .is_some_and(|pod| pod.sandbox_id == sandbox)
            },
            |container| {
                container.ip = container.ip.take().or_else(|| ip.clone());
                container.cni_json = container.cni_json.take().or_else(|| facts.cni_json.clone());
                if container.is_sandbox() {
                    container.privileged = container.privileged.or(facts.privileged);
                }
            },
        );
    }

    /// The id of a container's image arrived.
    pub(crate) fn image_told(&mut self, container: &str, image_id: &str) {
        self.asked.remove(container);
        let id = image_id.strip_prefix("sha256:").unwrap_or(image_id);
        if id.is_empty() {
            return;
        }
        self.change(
            |known| known.full_id == container,
            |known| known.image_id = known.image_id.take().or_else(|| Some(id.to_owned())),
        );
    }

    /// The digest of the image of the container with this key is known, and its id where the image's content tells.
    pub(crate) fn image_found(&mut self, key: &str, digest: &str, id: Option<&str>) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        Status::count(&self.status.digests_fetched);
        let mut container = Container::clone(&entry.container);
        container.digest = Some(digest.to_owned());
        if let Some(id) = id {
            self.asked.remove(key);
            let id = id.strip_prefix("sha256:").unwrap_or(id);
            container.image_id.get_or_insert_with(|| id.to_owned());
        }
        let container = Arc::new(container);
        entry.container = Arc::clone(&container);
        self.table.update(|known| known.insert(container));
    }

    /// There is no answer.
    pub(crate) fn not_told(&mut self, question: &Question) {
        self.asked.remove(question.subject());
    }

    /// Changes containers in the entries and in the table.
    fn change(&mut self, which: impl Fn(&Container) -> bool, change: impl Fn(&mut Container)) {
        let mut changed = Vec::new();
        for entry in self.entries.values_mut().filter(|entry| which(&entry.container)) {
            let mut container = Container::clone(&entry.container);
            change(&mut container);
            if container != *entry.container {
                entry.container = Arc::new(container);
                changed.push(Arc::clone(&entry.container));
            }
        }
        if !changed.is_empty() {
            self.table
                .update(|known| changed.into_iter().for_each(|container| known.insert(container)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::{Fixture, container, id, pod};

    fn facts() -> PodFacts {
        PodFacts {
            addresses: vec!["fd00::2".into(), "10.1.0.2".into()],
            cni_json: Some(r#"{"eth0":{}}"#.into()),
            privileged: Some(true),
        }
    }

    fn known(fixture: &Fixture, letter: char) -> Arc<Container> {
        Arc::clone(fixture.table.snapshot().by_key(&id(letter)).unwrap())
    }

    #[test]
    fn a_pod_is_asked_about_once_and_all_of_it_is_told() {
        let mut fixture = Fixture::new();
        let (sender, mut questions) = mpsc::channel(8);
        fixture.registry.ask_cri(sender);
        fixture.cgroup(&id('f'));
        fixture.registry.pod_started(&pod());
        fixture.registry.pod_started(&pod());
        assert_eq!(questions.try_recv().unwrap(), Question::Pod(id('f')));
        fixture.registry.created(Some(&pod()), &container('a', 0));
        let request = fixture.digests.try_recv().unwrap();
        assert!(request.wants_id);
        // Its digest is that of several images.
        fixture.registry.image_found(&id('a'), "sha256:77", None);
        fixture.registry.ask_for_image_id(&request.container);
        let image = Question::Image {
            container: id('a'),
            image: "docker.io/library/nginx:1.27".into(),
        };
        assert_eq!(questions.try_recv().unwrap(), image);
        fixture.cgroup(&id('a'));
        fixture.registry.started(Some(&pod()), &container('a', 7));
        assert!(questions.try_recv().is_err(), "asked once");
        assert_eq!(fixture.status.snapshot().cri_late, 1);

        fixture.registry.pod_told(&id('f'), &facts());
        fixture.registry.image_told(&id('a'), "sha256:6f7e2741b66b");
        let (sandbox, web) = (known(&fixture, 'f'), known(&fixture, 'a'));
        for container in [&sandbox, &web] {
            assert_eq!(container.ip.as_deref(), Some("10.1.0.2"));
            assert_eq!(container.cni_json.as_deref(), Some(r#"{"eth0":{}}"#));
        }
        // What a pod may be asked for says nothing of its containers.
        assert_eq!((sandbox.privileged, web.privileged), (Some(true), None));
        assert_eq!(web.image_id.as_deref(), Some("6f7e2741b66b"));
        assert!(web.cgroup != 0 && web.pid == 7, "the rest stays");

        // One that comes later has it from its first instruction on.
        fixture.registry.created(Some(&pod()), &container('b', 0));
        fixture.registry.image_told(&id('b'), "sha256:6f7e2741b66b");
        fixture.cgroup(&id('b'));
        fixture.registry.started(Some(&pod()), &container('b', 8));
        assert_eq!(known(&fixture, 'b').ip.as_deref(), Some("10.1.0.2"));
        assert_eq!(fixture.status.snapshot().cri_late, 1);
    }

    #[test]
    fn what_nri_tells_stands_and_no_answer_is_counted_where_nobody_can_be_asked() {
        let mut fixture = Fixture::new();
        let (sender, questions) = mpsc::channel(1);
        fixture.registry.ask_cri(sender);
        let told = crate::api::PodSandbox {
            ips: vec!["10.9.9.9".into()],
            ..pod()
        };
        fixture.cgroup(&id('f'));
        fixture.registry.pod_started(&told);
        fixture.registry.pod_told(&id('f'), &facts());
        assert_eq!(known(&fixture, 'f').ip.as_deref(), Some("10.9.9.9"));
        // The queue is full, and then nobody reads it any more.
        fixture.registry.created(Some(&told), &container('a', 0));
        drop(questions);
        fixture.registry.created(Some(&told), &container('b', 0));
        for container in [id('a'), id('b')] {
            fixture.registry.ask_for_image_id(&container);
        }
        assert_eq!(fixture.status.snapshot().cri_missing, 2);
        fixture.cgroup(&id('a'));
        fixture.registry.started(Some(&told), &container('a', 7));
        assert_eq!(fixture.status.snapshot().cri_late, 0, "nobody was asked");
    }

    #[test]
    fn cri_is_not_asked_for_an_image_that_its_digest_tells() {
        let mut fixture = Fixture::new();
        let (sender, mut questions) = mpsc::channel(8);
        fixture.registry.ask_cri(sender);
        fixture.cgroup(&id('f'));
        fixture.registry.pod_started(&pod());
        fixture.registry.pod_told(&id('f'), &facts());
        assert_eq!(questions.try_recv().unwrap(), Question::Pod(id('f')));
        fixture.registry.created(Some(&pod()), &container('a', 0));
        assert!(fixture.digests.try_recv().unwrap().wants_id);
        fixture
            .registry
            .image_found(&id('a'), "sha256:77", Some("sha256:6f7e2741b66b"));
        fixture.registry.ask_for_image_id(&id('a'));
        fixture.cgroup(&id('a'));
        fixture.registry.started(Some(&pod()), &container('a', 7));
        let web = known(&fixture, 'a');
        assert_eq!(
            (web.digest.as_deref(), web.image_id.as_deref()),
            (Some("sha256:77"), Some("6f7e2741b66b"))
        );
        assert!(questions.try_recv().is_err());
        assert_eq!(fixture.status.snapshot().cri_late, 0);
        // What ran before may be of another image than its name means now.
        let ran = crate::api::Container {
            state: crate::api::STOPPED - 1,
            ..container('b', 8)
        };
        fixture.registry.synchronized_container(&ran);
        assert!(fixture.digests.try_recv().is_ok_and(|request| !request.wants_id));
    }

    #[test]
    fn a_container_that_is_removed_is_gone_before_it_is_forgotten() {
        let mut fixture = Fixture::new();
        fixture.cgroup(&id('a'));
        fixture.registry.started(Some(&pod()), &container('a', 7));
        assert!(!known(&fixture, 'a').gone);
        fixture.registry.removed(&id('a'), std::time::Instant::now());
        assert!(known(&fixture, 'a').gone);
    }
}
