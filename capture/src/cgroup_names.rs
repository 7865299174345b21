//! The cgroups of a process in the form rules see them: `subsystem=path` for each subsystem.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cgroup::Cgroups;
use crate::id_map::IdMap;
use crate::outside::Outside;

/// The most of a cgroup file that is read: it has a line per hierarchy.
const FILE_MAX: u64 = 64 << 10;

/// The subsystems that are named for the unified hierarchy, whatever controllers it has: Falco's, in its order.
const UNIFIED: [&str; 5] = ["cpuset", "cpu", "cpuacct", "io", "memory"];

/// The most cgroups whose names are remembered.
const REMEMBERED: usize = 16_384;

/// Names of cgroups, when a rule reads them.
#[derive(Debug)]
pub(crate) struct CgroupNames {
    /// False: no rule reads them, and none are given.
    pub(crate) is_kept: bool,
    proc: PathBuf,
    outside: Outside,
    /// The hierarchy of the ids in records.
    unified: Option<Arc<Cgroups>>,
    /// True where subsystems have hierarchies of their own (cgroup v1): only /proc tells where a process is in them.
    has_others: bool,
    by_id: IdMap<u64, Arc<[u8]>>,
}

impl CgroupNames {
    pub(crate) fn new(proc: &Path, unified: Option<Arc<Cgroups>>, outside: Outside) -> CgroupNames {
        let own = outside
            .read(&proc.join("self/cgroup"), FILE_MAX)
            .unwrap_or_default();
        let own = String::from_utf8_lossy(&own);
        CgroupNames {
            is_kept: false,
            has_others: lines(&own).any(|(controllers, _)| !controllers.is_empty()),
            proc: proc.to_owned(),
            outside,
            unified,
            by_id: IdMap::default(),
        }
    }

    /// The cgroups of a process whose cgroup in the unified hierarchy is `id`: each `subsystem=path` ended by NUL. Empty
    /// when they are not kept, or can't be had any more.
    pub(crate) fn of(&mut self, id: u64, pid: u32) -> Arc<[u8]> {
        if !self.is_kept {
            return Arc::default();
        }
        if !self.has_others
            && let Some(known) = self.by_id.get(&id)
        {
            return Arc::clone(known);
        }
        let names: Arc<[u8]> = match self.unified.as_ref().filter(|_| !self.has_others) {
            Some(unified) => unified.path_of(id).map(|path| named("", &path)),
            None => {
                let file = self.proc.join(pid.to_string()).join("cgroup");
                let text = self.outside.read(&file, FILE_MAX).unwrap_or_default();
                Some(self.confirmed(id, &String::from_utf8_lossy(&text)))
            }
        }
        .unwrap_or_default()
        .into();
        if !self.has_others && !names.is_empty() {
            if self.by_id.len() >= REMEMBERED {
                self.by_id.clear();
            }
            self.by_id.insert(id, Arc::clone(&names));
        }
        names
    }

    /// What a process's file says, if it agrees with the cgroup in its record. A process that has ended is in the root of
    /// every hierarchy, and one that was moved may be elsewhere in the others too: then only where the record has it is known.
    fn confirmed(&self, id: u64, text: &str) -> Vec<u8> {
        let Some((cgroups, path)) = self.unified.as_ref().and_then(|c| Some((c, c.path_of(id)?))) else {
            return named(text, "");
        };
        match cgroups.path_of_process(text) == Some(path.as_str()) {
            true => named(text, ""),
            false => named(&cgroups.line(&path), ""),
        }
    }
}

/// The controllers and the path of each line of /proc/PID/cgroup (cgroups(7)).
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .filter_map(|line| line.split_once(':')?.1.split_once(':'))
}

/// What /proc/PID/cgroup says, or, without it, one path in the unified hierarchy.
fn named(text: &str, unified: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut add = |subsystem: &str, path: &str| {
        for part in [subsystem, "=", path, "\0"] {
            out.extend_from_slice(part.as_bytes());
        }
    };
    let others: Vec<(&str, &str)> = lines(text)
        .flat_map(|(controllers, path)| controllers.split(',').map(move |controller| (controller, path)))
        .filter(|(controller, _)| !controller.is_empty() && !controller.starts_with("name="))
        .collect();
    let unified = lines(text)
        .find(|(controllers, _)| controllers.is_empty())
        .map_or(unified, |(_, path)| path);
    for subsystem in UNIFIED {
        match others.iter().find(|(controller, _)| *controller == subsystem) {
            Some((_, path)) => add(subsystem, path),
            None if !unified.is_empty() => add(subsystem, unified),
            None => {}
        }
    }
    for (controller, path) in others.iter().filter(|(c, _)| !UNIFIED.contains(c)) {
        add(controller, path);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, unified: &str) -> String {
        String::from_utf8(named(text, unified))
            .unwrap()
            .replace('\0', " ")
    }

    #[test]
    fn each_subsystem_has_the_path_of_its_hierarchy() {
        assert_eq!(
            words("0::/kube/pod\n", ""),
            "cpuset=/kube/pod cpu=/kube/pod cpuacct=/kube/pod io=/kube/pod memory=/kube/pod "
        );
        assert_eq!(words("", "/a"), words("0::/a\n", ""));
        assert_eq!(
            words("5:cpu,cpuacct:/x\n4:pids:/p:q\n1:name=systemd:/s\n0::/u\n", ""),
            "cpuset=/u cpu=/x cpuacct=/x io=/u memory=/u pids=/p:q "
        );
        assert_eq!(words("3:memory:/m\n1:name=systemd:/s\n", ""), "memory=/m ");
        assert_eq!(words("", ""), "");
    }

    /// A process that has ended is in the root of every hierarchy, by its file; its record knows better.
    #[test]
    fn what_the_record_says_goes_before_what_a_file_says_of_the_dead() {
        let Some(cgroups) = Cgroups::find(Outside::default()).map(Arc::new) else {
            eprintln!("skipped: this host has no hierarchy of cgroups");
            return;
        };
        let name = format!("lanner-names-{}", std::process::id());
        let dir = cgroups.mount().join(&name);
        if let Err(error) = std::fs::create_dir(&dir) {
            eprintln!("skipped: no cgroup can be made here: {error}");
            return;
        }
        let id = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&dir).unwrap());
        let proc = tempfile::tempdir().unwrap();
        let file = |pid: u32, text: &str| {
            std::fs::create_dir_all(proc.path().join(pid.to_string())).unwrap();
            std::fs::write(proc.path().join(pid.to_string()).join("cgroup"), text).unwrap();
        };
        let path = format!("/{name}");
        let live = cgroups.line(&path) + "\n99:freezer:/f\n";
        std::fs::create_dir(proc.path().join("self")).unwrap();
        std::fs::write(proc.path().join("self/cgroup"), &live).unwrap();
        file(7, &live);
        file(8, &(cgroups.line("/") + "\n99:freezer:/\n"));
        let mut names = CgroupNames::new(proc.path(), Some(Arc::clone(&cgroups)), Outside::default());
        names.is_kept = true;
        let of = |names: &mut CgroupNames, pid| String::from_utf8(names.of(id, pid).to_vec()).unwrap();
        let (alive, dead, gone) = (of(&mut names, 7), of(&mut names, 8), of(&mut names, 9));
        std::fs::remove_dir(&dir).unwrap();
        assert!(alive.contains("freezer=/f") && alive.contains(&path), "{alive:?}");
        assert!(!dead.contains("freezer") && dead.contains(&path), "{dead:?}");
        assert_eq!(dead, gone);
    }

    #[test]
    fn this_process_is_where_proc_says() {
        let text = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let unified = Cgroups::find(Outside::default()).map(Arc::new);
        let id = unified
            .as_ref()
            .and_then(|unified| unified.id_of_process(text.as_bytes()));
        let mut names = CgroupNames::new("/proc".as_ref(), unified, Outside::default());
        let pid = std::process::id();
        assert!(names.of(id.unwrap_or(0), pid).is_empty(), "no rule reads them");
        names.is_kept = true;
        let all = names.of(id.unwrap_or(0), pid);
        assert_eq!(*all, *named(&text, ""), "{text}");
    }
}
