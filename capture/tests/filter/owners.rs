//! Which calls pass by whose they are.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use lanner_capture::{Capture, Config, plan};
use lanner_schema::cgroup::Hierarchy;
use lanner_schema::container::{Container, ContainerTable, Learnt};

use crate::stage::{ALONE, Shell, host, needs_of, with_capture};

/// A cgroup of this test's, removed with what is below it.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str) -> Option<Cgroup> {
        let Some(hierarchy) = Hierarchy::of_host(Path::new("")) else {
            eprintln!("skipped: this host has no cgroups");
            return None;
        };
        let path = hierarchy.mount.join(format!("{name}-{}", std::process::id()));
        if let Err(error) = fs::create_dir(&path) {
            eprintln!("skipped: no cgroup can be made here: {error}");
            return None;
        }
        Some(Cgroup(path))
    }

    fn take(&self, shell: &Shell) {
        fs::write(self.0.join("cgroup.procs"), shell.child.id().to_string()).unwrap();
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(self.0.join("below"));
        let _ = fs::remove_dir(&self.0);
    }
}

/// Opens the file so often that what came before the kernel's side knew whose it is does not count.
const OPENS: &str = "i=0; while [ $i -lt 100 ]; do : < there; i=$((i+1)); done";

#[test]
fn opens_pass_by_whose_they_are_from_the_moment_it_is_known() {
    let Some(host) = host() else { return };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(cgroup) = Cgroup::new("lanner-filter") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("there"), "").unwrap();
    let (config, containers) = (Config::default(), ContainerTable::new());
    let needs = needs_of(|class| !class.in_container());
    let start = || Capture::start(plan(&host, &needs, &config).unwrap(), &config, &containers).unwrap();
    let id = "0123456789abcdef".repeat(4);
    let container = |cgroup: &Path, id: &str| {
        Arc::new(Container {
            cgroup: fs::metadata(cgroup).unwrap().ino(),
            ..Container::new(id, "containerd", Learnt::Start)
        })
    };
    let stats = with_capture(start, folder.path(), |stage| {
        containers.update(|known| [&id, "host"].iter().for_each(|key| known.remove(key)));
        cgroup.take(&stage.shell);
        assert_eq!(stage.seen_of(OPENS).len(), 100);
        containers.update(|known| known.insert(container(&cgroup.0, &id)));
        // The mark is an event, too: once it was shown, the kernel's side knows.
        stage.seen_of("");
        assert_eq!(stage.seen_of(OPENS).len(), 0, "nobody wants a container's");
        // A cgroup that the container makes.
        let below = Cgroup(cgroup.0.join("below"));
        fs::create_dir_all(&below.0).unwrap();
        below.take(&stage.shell);
        stage.seen_of("");
        assert_eq!(stage.seen_of(OPENS).len(), 0);
        containers.update(|known| known.remove(&id));
        assert_eq!(stage.seen_of(OPENS).len(), 100, "the host's from the first on");
        assert_eq!(stage.seen_of(OPENS).len(), 100);
        // One whose name is what a rule calls the host.
        containers.update(|known| known.insert(container(&cgroup.0, "host")));
        assert_eq!(stage.seen_of(OPENS).len(), 100);
        assert_eq!(stage.seen_of(OPENS).len(), 100, "not known to be either");
        cgroup.take(&stage.shell);
    });
    assert_eq!(stats.owners_untold, 0);
}
