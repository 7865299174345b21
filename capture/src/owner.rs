//! Whose an event is: from the id of its cgroup to a container or the host.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use lanner_schema::container::{
    Container, ContainerReader, ContainerTable, Containers, Learnt, Owner, is_hex_id,
};

use crate::cgroup::Cgroups;
use crate::container_path::{InPath, container_in_path};
use crate::id_map::IdMap;
use crate::kernel_owners::KernelOwners;
use crate::outside::Outside;
use crate::patience::Patience;

#[derive(Debug, Clone)]
enum Known {
    Host,
    Container(Arc<Container>),
}

/// The most cgroups that are remembered at once.
const REMEMBERED: usize = 65_536;

/// The paths of containers' cgroups that were made last, for those that are gone when they are looked up.
#[derive(Debug, Default)]
struct Made {
    paths: IdMap<u64, Box<str>>,
    order: VecDeque<u64>,
}

impl Made {
    /// The most paths that are kept.
    const MOST: usize = 4096;

    fn keep(&mut self, cgroup: u64, path: &str) {
        if self.paths.insert(cgroup, path.into()).is_none() {
            self.order.push_back(cgroup);
        }
        if self.order.len() > Made::MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.paths.remove(&oldest);
        }
    }

    fn path_of(&self, cgroup: u64) -> Option<&str> {
        self.paths.get(&cgroup).map(AsRef::as_ref)
    }
}

/// Where a cgroup is. That stays true: what is above it is there as long as it is, and no other gets its id or one of theirs. (In
/// version 1 it can be given another name; what it was called first counts.)
#[derive(Debug)]
struct Place {
    path: Box<str>,
    /// The ids of those above it, the nearest first, as far as they were asked for; 0 for one that is gone.
    above: Vec<u64>,
}

/// Places that are remembered at most.
const PLACES: usize = 4096;

/// Cgroup ids to owners, remembered until the containers change. The kernel's side is told which are containers', and what it knows
/// ends when one of them may be none any more. Where cgroups are is asked once: that does not change with the containers.
#[derive(Debug)]
pub(crate) struct Owners {
    kernel: Option<KernelOwners>,
    /// What is known was found in it.
    generation: u32,
    cgroups: Option<Arc<Cgroups>>,
    reader: ContainerReader,
    known: IdMap<u64, Known>,
    places: IdMap<u64, Place>,
    outside: Outside,
    /// Cgroups of containers that the runtime's side was asked about.
    asked: IdMap<u64, ()>,
    made: Made,
    /// Containers that processes left for a cgroup of the host, by their cgroup.
    escaped_from: IdMap<u64, Arc<Container>>,
    patience: Patience,
    /// Cgroups that were gone before they could be asked about.
    pub(crate) vanished: u64,
    /// Containers whose first events carry their id only: the answer about them did not come in time.
    pub(crate) identified_late: u64,
}

impl Owners {
    pub(crate) fn new(
        cgroups: Option<Arc<Cgroups>>,
        table: &Arc<ContainerTable>,
        outside: Outside,
    ) -> Owners {
        Owners {
            kernel: None,
            generation: 0,
            cgroups,
            outside,
            reader: table.reader(),
            known: IdMap::default(),
            places: IdMap::default(),
            asked: IdMap::default(),
            made: Made::default(),
            escaped_from: IdMap::default(),
            patience: Patience::new(),
            vanished: 0,
            identified_late: 0,
        }
    }

    /// A cgroup was made, with this path below the root of its hierarchy.
    pub(crate) fn made(&mut self, cgroup: u64, path: &[u8]) {
        // The others are the host's anyway.
        if let Ok(path) = std::str::from_utf8(path)
            && container_in_path(path).is_some()
        {
            self.made.keep(cgroup, path);
        }
    }

    /// Tells the kernel's side what is found from now on.
    pub(crate) fn tell(&mut self, kernel: KernelOwners) {
        self.kernel = Some(kernel);
        self.known.clear();
    }

    /// Makes sure the owner of `cgroup` is known. `parent` gives the cgroup of the parent process, asked when this one is
    /// gone: who starts a process in a container is in it, but for the runtime.
    pub(crate) fn ensure(&mut self, cgroup: u64, parent: impl FnOnce() -> Option<u64>) {
        // Cgroups come and go for ever; what is forgotten is looked up again.
        if !self.refresh() && self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        if self.known.contains_key(&cgroup) {
            return;
        }
        let found = self.find(cgroup);
        let is_found = found.is_some();
        let found = found.unwrap_or_else(|| {
            self.vanished += 1;
            parent()
                .and_then(|p| self.known.get(&p).cloned())
                .unwrap_or(Known::Host)
        });
        let found = self.identified(cgroup, found);
        // Whose process is in a cgroup of the host may have left its container for it. And the filter takes the name `host`
        // for the host's.
        if let (Known::Container(container), Some(kernel)) = (&found, &mut self.kernel)
            && is_found
            && container.id() != "host"
        {
            kernel.tell(cgroup, self.generation);
        }
        self.known.insert(cgroup, found);
    }

    /// The containers as they were when they were looked at last.
    pub(crate) fn containers(&self) -> &Arc<Containers> {
        self.reader.containers()
    }

    /// Takes over a change of the containers; true when there was one.
    pub(crate) fn refresh(&mut self) -> bool {
        // In this order: a change that is not seen here makes what is found here count for nothing.
        let generation = self.kernel.as_ref().map_or(0, KernelOwners::generation);
        let changed = self.reader.refresh() || generation != self.generation;
        self.generation = generation;
        if changed {
            self.outside.containers(self.reader.containers());
            self.known.clear();
        }
        changed
    }

    /// What the runtime's side knows of a container that has shown itself by its cgroup only. It is asked once for each cgroup
    /// and waited for a moment: the rules are about names and images, and events that came without them would be judged wrong.
    fn identified(&mut self, cgroup: u64, found: Known) -> Known {
        let Known::Container(seen) = &found else {
            return found;
        };
        let own = seen.cgroup;
        // What is in the table already is an answer.
        if seen.learnt != Learnt::Cgroup
            || self.asked.contains_key(&own)
            || self.reader.containers().get(own).is_some()
        {
            return found;
        }
        if self.asked.len() >= REMEMBERED {
            self.asked.clear();
        }
        self.asked.insert(own, ());
        if !self.reader.ask(seen) {
            return found;
        }
        let wait = self.patience.begin();
        loop {
            if self.refresh()
                && let Some(Known::Container(known)) = self.find(cgroup)
                && (known.learnt != Learnt::Cgroup || self.reader.containers().get(own).is_some())
            {
                self.patience.end(&wait);
                return Known::Container(known);
            }
            if !wait.goes_on(&self.reader) {
                self.patience.end(&wait);
                self.identified_late += 1;
                return found;
            }
        }
    }

    /// Shows the owner of a cgroup that may be gone; `None` when nobody remembers it.
    pub(crate) fn recall<T>(&mut self, cgroup: u64, show: impl FnOnce(&Owner<'_>) -> T) -> Option<T> {
        let found = match self.known.get(&cgroup) {
            Some(known) => known.clone(),
            None => self.find(cgroup)?,
        };
        Some(show(&match &found {
            Known::Host => Owner::Host,
            Known::Container(container) => Owner::Container(container),
        }))
    }

    fn find(&mut self, cgroup: u64) -> Option<Known> {
        match self.reader.containers().get(cgroup) {
            Some(container) => Some(Known::Container(Arc::clone(container))),
            None => self.look_up(cgroup),
        }
    }

    /// A process went from one cgroup to another: true when that takes it out of a container and into none. From there on
    /// [`Owners::escaped`] knows the container.
    pub(crate) fn is_escape(&mut self, from: u64, to: u64) -> bool {
        let is_host = |found: &Option<Known>| matches!(found, Some(Known::Host));
        let Some(Known::Container(container)) = self.known.get(&from).cloned().or_else(|| self.find(from))
        else {
            return false;
        };
        if !is_host(&self.known.get(&to).cloned().or_else(|| self.find(to))) {
            return false;
        }
        if self.escaped_from.len() >= Made::MOST {
            self.escaped_from.clear();
        }
        self.escaped_from.insert(from, container);
        true
    }

    /// The container with this cgroup, from which processes escaped.
    pub(crate) fn escaped(&self, cgroup: u64) -> Option<&Arc<Container>> {
        match self.known.get(&cgroup) {
            Some(Known::Container(container)) => Some(container),
            _ => self.escaped_from.get(&cgroup),
        }
    }

    pub(crate) fn get(&self, cgroup: u64) -> Owner<'_> {
        match self.known.get(&cgroup) {
            Some(Known::Container(container)) => Owner::Container(container),
            Some(Known::Host) | None => Owner::Host,
        }
    }

    /// A cgroup the runtime did not name: below one that it did, or a container by the form of its path, or the host's.
    fn look_up(&mut self, cgroup: u64) -> Option<Known> {
        let Some(cgroups) = &self.cgroups else {
            return Some(Known::Host);
        };
        if self.places.len() >= PLACES && !self.places.contains_key(&cgroup) {
            self.places.clear();
        }
        let place = match self.places.entry(cgroup) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let path = match cgroups.path_of(cgroup) {
                    Some(path) => path.into(),
                    None => self.made.path_of(cgroup)?.into(),
                };
                let above = Vec::new();
                new.insert(Place { path, above })
            }
        };
        let Place { path, above } = place;
        let containers = self.reader.containers();
        let mut here: &str = path;
        let mut at = cgroup;
        let mut levels = 0;
        while !here.is_empty() {
            // Created but not started: the runtime prepares it from inside.
            if let Some(container) = containers.get(at).or_else(|| containers.awaited(here)) {
                return Some(Known::Container(Arc::clone(container)));
            }
            here = here.rsplit_once('/').map_or("", |(parent, _)| parent);
            if here.is_empty() {
                break;
            }
            if levels == above.len() {
                above.push(cgroups.id_of(here).unwrap_or(0));
            }
            at = above[levels];
            levels += 1;
        }
        let Some(InPath {
            id,
            runtime,
            path: own,
        }) = container_in_path(path)
        else {
            return Some(Known::Host);
        };
        if let Some(container) = containers.by_key(&id).filter(|_| is_hex_id(&id)) {
            // Likewise, below another path than the one it was to get.
            return Some(Known::Container(Arc::clone(container)));
        }
        // Its process may have moved into a cgroup below.
        let levels = path[own.len()..].matches('/').count();
        let outer = levels.checked_sub(1).and_then(|level| above.get(level));
        let (cgroup, cgroup_path) = match outer.filter(|outer| **outer != 0) {
            Some(outer) => (*outer, own),
            None => (cgroup, &**path),
        };
        Some(Known::Container(Arc::new(Container {
            cgroup,
            cgroup_path: cgroup_path.to_owned(),
            ..Container::new(id, runtime, Learnt::Cgroup)
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;
    use std::time::Duration;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_cgroup_is_found_by_its_id_and_by_the_container_above_it() {
        let Some(cgroups) = Cgroups::find(Outside::default()).map(Arc::new) else {
            eprintln!("skipped: this host has no cgroups");
            return;
        };
        let name = format!("lanner-test-{}", std::process::id());
        let outer = cgroups.mount().join(&name);
        if let Err(error) = fs::create_dir_all(outer.join("inner")) {
            eprintln!("skipped: no cgroup can be made here: {error}");
            return;
        }
        let id = |path: &Path| fs::metadata(path).unwrap().ino();
        let (outer_id, inner_id) = (id(&outer), id(&outer.join("inner")));
        let table = ContainerTable::new();
        let mut owners = Owners::new(Some(Arc::clone(&cgroups)), &table, Outside::default());
        owners.ensure(inner_id, || None);
        assert_eq!(owners.get(inner_id), Owner::Host);
        let known = container(ID, outer_id);
        table.update(|containers| containers.insert(Arc::new(known)));
        owners.ensure(inner_id, || None);
        assert!(matches!(owners.get(inner_id), Owner::Container(c) if c.full_id == ID));
        fs::remove_dir(outer.join("inner")).unwrap();
        fs::remove_dir(&outer).unwrap();
        table.update(|known| known.remove(ID));
        owners.ensure(inner_id, || None);
        assert_eq!(owners.get(inner_id), Owner::Host);
        assert_eq!(
            owners.vanished, 0,
            "the cgroup is gone, and it is known where it was"
        );
        owners.ensure(outer_id, || None);
        assert_eq!(owners.vanished, 1, "of this nobody asked before");
    }

    /// The host, and how often it was asked.
    #[derive(Debug, Default)]
    struct Asked(std::sync::atomic::AtomicU32);

    impl crate::outside::Tape for Asked {
        fn answer(&self, _: &[u8], live: &mut dyn FnMut() -> Option<Vec<u8>>) -> Option<Vec<u8>> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            live()
        }
        fn containers(&self, _: &Arc<Containers>) {}
        fn address_names(&self, _: &Arc<lanner_schema::host_names::AddressNames>) {}
    }

    #[test]
    fn where_a_cgroup_is_is_asked_once_however_often_containers_come_and_go() {
        let tape = Arc::new(Asked::default());
        let outside = Outside::through(Arc::clone(&tape) as Arc<dyn crate::outside::Tape>);
        let Some(cgroups) = Cgroups::find(outside.clone()).map(Arc::new) else {
            eprintln!("skipped: this host has no cgroups");
            return;
        };
        let outer = cgroups
            .mount()
            .join(format!("cri-containerd-{:064x}.scope", std::process::id()));
        let inner = outer.join("a/b");
        if let Err(error) = fs::create_dir_all(&inner) {
            eprintln!("skipped: no cgroup can be made here: {error}");
            return;
        }
        let id = |path: &Path| fs::metadata(path).unwrap().ino();
        let (outer_id, inner_id) = (id(&outer), id(&inner));
        let root = id(cgroups.mount());
        let asked = || tape.0.load(std::sync::atomic::Ordering::Relaxed);
        let table = ContainerTable::new();
        let mut owners = Owners::new(Some(cgroups), &table, outside);
        for cgroup in [inner_id, root] {
            owners.ensure(cgroup, || None);
        }
        // Its path, and those above it, of which the root is none.
        let first = asked();
        assert!(matches!(owners.get(inner_id), Owner::Container(c) if c.cgroup == outer_id));
        for number in 1..=3 {
            let known = container(ID, u64::MAX - number);
            table.update(|containers| containers.insert(Arc::new(known)));
            for cgroup in [inner_id, root] {
                owners.ensure(cgroup, || None);
            }
            assert!(matches!(owners.get(inner_id), Owner::Container(c) if c.cgroup == outer_id));
            assert_eq!(owners.get(root), Owner::Host);
        }
        assert_eq!(asked(), first, "nothing that has not changed");
        // What was found is judged by the containers of now.
        table.update(|containers| {
            containers.insert(Arc::new(Container {
                name: Some("web".into()),
                ..container(ID, outer_id)
            }))
        });
        owners.ensure(inner_id, || None);
        assert!(matches!(owners.get(inner_id), Owner::Container(c) if c.name.as_deref() == Some("web")));
        assert_eq!(asked(), first);
        for directory in [inner.clone(), outer.join("a"), outer] {
            fs::remove_dir(directory).unwrap();
        }
    }

    #[test]
    fn a_container_that_is_gone_with_its_cgroup_is_known_by_the_path_it_was_made_with() {
        let Some(cgroups) = Cgroups::find(Outside::default()).map(Arc::new) else {
            eprintln!("skipped: this host has no cgroups");
            return;
        };
        let table = ContainerTable::new();
        let mut owners = Owners::new(Some(cgroups), &table, Outside::default());
        // No cgroup has these numbers.
        let (container, host, unseen) = (u64::MAX - 1, u64::MAX - 2, u64::MAX - 3);
        owners.made(container, b"/lxc.payload.web");
        owners.made(host, b"/system.slice/cron.service");
        for cgroup in [container, host, unseen] {
            owners.ensure(cgroup, || None);
        }
        assert!(matches!(owners.get(container), Owner::Container(c) if c.full_id == "web"));
        assert_eq!(owners.get(host), Owner::Host);
        assert_eq!(owners.get(unseen), Owner::Host);
        assert_eq!(owners.vanished, 2);
        // Who starts a process in a container is in it.
        let unseen = unseen - 1;
        owners.ensure(unseen, || Some(container));
        assert!(matches!(owners.get(unseen), Owner::Container(c) if c.full_id == "web"));
    }

    #[test]
    fn who_goes_from_a_container_to_the_host_has_escaped_and_nobody_else_has() {
        let Some(cgroups) = Cgroups::find(Outside::default()).map(Arc::new) else {
            eprintln!("skipped: this host has no cgroups");
            return;
        };
        let table = ContainerTable::new();
        let mut owners = Owners::new(Some(cgroups), &table, Outside::default());
        // No cgroup has these numbers.
        let (web, other, host) = (u64::MAX - 1, u64::MAX - 2, u64::MAX - 3);
        owners.made(web, b"/lxc.payload.web");
        owners.made(other, b"/lxc.payload.other");
        for cgroup in [web, other, host] {
            owners.ensure(cgroup, || None);
        }
        assert!(!owners.is_escape(web, other) && !owners.is_escape(host, web));
        assert!(!owners.is_escape(host, host));
        assert!(owners.is_escape(web, host));
        // Whatever comes and goes since.
        table.update(|known| known.insert(Arc::new(container(ID, u64::MAX - 4))));
        assert!(owners.refresh());
        assert!(owners.escaped(web).is_some_and(|left| left.full_id == "web"));
        assert!(owners.escaped(other).is_none());
    }

    #[test]
    fn the_oldest_paths_of_cgroups_are_given_up() {
        let mut made = Made::default();
        for cgroup in 0..=Made::MOST as u64 {
            made.keep(cgroup, "/lxc.payload.web");
            made.keep(cgroup, "/lxc.payload.web");
        }
        assert_eq!((made.path_of(0), made.paths.len()), (None, Made::MOST));
        assert!(made.path_of(Made::MOST as u64).is_some());
    }

    #[test]
    fn what_the_runtime_does_in_a_created_container_is_the_containers() {
        let Some(cgroups) = Cgroups::find(Outside::default()).map(Arc::new) else {
            eprintln!("skipped: this host has no cgroups");
            return;
        };
        let id = format!("{:064x}", std::process::id());
        let dir = cgroups.mount().join(&id);
        if let Err(error) = fs::create_dir(&dir) {
            eprintln!("skipped: no cgroup can be made here: {error}");
            return;
        }
        let cgroup = fs::metadata(&dir).unwrap().ino();
        let table = ContainerTable::new();
        table.update(|containers| {
            containers.insert(Arc::new(Container {
                name: Some("web".into()),
                ..container(&id, 0)
            }))
        });
        let mut owners = Owners::new(Some(cgroups), &table, Outside::default());
        owners.ensure(cgroup, || None);
        fs::remove_dir(dir).unwrap();
        assert!(matches!(owners.get(cgroup), Owner::Container(c) if c.name.as_deref() == Some("web")));
    }

    /// Answers from a thread of its own, as the runtime's side does.
    #[derive(Debug)]
    struct Answering(Arc<ContainerTable>, Option<&'static str>);

    impl lanner_schema::container::Identify for Answering {
        fn ask(&self, seen: &Arc<Container>) -> bool {
            let (table, name, seen) = (Arc::clone(&self.0), self.1, Container::clone(seen));
            std::thread::spawn(move || {
                table.update(|known| {
                    known.insert(Arc::new(Container {
                        name: name.map(Into::into),
                        learnt: name.map_or(Learnt::Cgroup, |_| Learnt::Api),
                        ..seen
                    }))
                });
            });
            true
        }
    }

    /// Takes questions and never answers.
    #[derive(Debug, Default)]
    struct Silent(std::sync::atomic::AtomicU32);

    impl lanner_schema::container::Identify for Silent {
        fn ask(&self, _: &Arc<Container>) -> bool {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            true
        }
    }

    #[test]
    fn a_container_known_by_its_cgroup_is_asked_about_once() {
        let Some(cgroups) = Cgroups::find(Outside::default()).map(Arc::new) else {
            eprintln!("skipped: this host has no cgroups");
            return;
        };
        let outer = cgroups
            .mount()
            .join(format!("libpod-{:064x}.scope", std::process::id()));
        if let Err(error) = fs::create_dir_all(outer.join("container")) {
            eprintln!("skipped: no cgroup can be made here: {error}");
            return;
        }
        let id = |path: &Path| fs::metadata(path).unwrap().ino();
        let (outer_id, inner_id) = (id(&outer), id(&outer.join("container")));
        let new = |table: &Arc<ContainerTable>| {
            let mut owners = Owners::new(Some(Arc::clone(&cgroups)), table, Outside::default());
            // However slow this machine is.
            owners.patience = Patience::spent();
            owners
        };

        let table = ContainerTable::new();
        let silent = Arc::new(Silent::default());
        table.identify_by(Arc::clone(&silent) as Arc<dyn lanner_schema::container::Identify>);
        let mut owners = new(&table);
        owners.ensure(inner_id, || None);
        owners.ensure(inner_id, || None);
        owners.ensure(outer_id, || None);
        let asked = silent.0.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(
            (asked, owners.identified_late),
            (1, 1),
            "one container, one question"
        );
        assert!(
            matches!(owners.get(inner_id), Owner::Container(c) if c.runtime == "podman" && c.cgroup == outer_id)
        );

        for (name, learnt) in [(Some("web"), Learnt::Api), (None, Learnt::Cgroup)] {
            let table = ContainerTable::new();
            table.identify_by(Arc::new(Answering(Arc::clone(&table), name)));
            let mut owners = new(&table);
            let mut reader = table.reader();
            reader.refresh();
            owners.ensure(inner_id, || None);
            while !reader.refresh() {
                reader.wait(Duration::from_secs(60));
            }
            owners.ensure(inner_id, || None);
            let Owner::Container(known) = owners.get(inner_id) else {
                panic!("it is a container's")
            };
            assert_eq!((known.name.as_deref(), known.learnt), (name, learnt));
        }
        fs::remove_dir(outer.join("container")).unwrap();
        fs::remove_dir(&outer).unwrap();
    }

    fn container(id: &str, cgroup: u64) -> Container {
        Container {
            cgroup,
            ..Container::new(id, "containerd", Learnt::Start)
        }
    }
}
