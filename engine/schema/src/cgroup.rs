//! The hierarchy of cgroups by which containers are told apart.
//!
//! A host has one hierarchy of version 2, one per controller (or few) of version 1, or both. A runtime puts a container's
//! processes where the controllers are that it limits them with, so that is where a container has a cgroup of its own. The
//! id of a cgroup is the inode of its directory (Linux 5.5), in either version.

use std::path::{Path, PathBuf};

macro_rules! controllers {
    ($($name:ident $word:literal $unified:expr;)*) => {
        /// A controller of version 1 whose hierarchy a host may have containers in.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)] // the names are the kernel's
        pub enum Controller {
            $($name,)*
        }

        impl Controller {
            /// All of them, those first that every runtime uses.
            pub const ALL: &[Controller] = &[$(Controller::$name,)*];

            /// Its name in version 1 (`mount -o NAME`).
            pub fn name(self) -> &'static str {
                match self {
                    $(Controller::$name => $word,)*
                }
            }

            /// Its name in version 2 (`cgroup.controllers`), where it has one.
            fn unified_name(self) -> Option<&'static str> {
                match self {
                    $(Controller::$name => $unified,)*
                }
            }
        }
    };
}

controllers! {
    Memory "memory" Some("memory");
    Pids "pids" Some("pids");
    Cpu "cpu" Some("cpu");
    Cpuacct "cpuacct" None;
    Cpuset "cpuset" Some("cpuset");
    Blkio "blkio" Some("io");
    Devices "devices" None;
    Freezer "freezer" None;
}

/// A mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The controller of version 1 that it is of; `None` for version 2.
    pub controller: Option<Controller>,
}

/// One line of mountinfo (proc_pid_mountinfo(5)).
struct Mount<'a> {
    /// How much of the tree it shows: more the higher it begins, where paths are told relative to a namespace's root.
    height: usize,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

/// 0 for a part of what this process's namespace has as its tree; 1 for the whole of that, and one more for each cgroup
/// above it.
fn height(root: &str) -> usize {
    match root
        .split('/')
        .skip(1)
        .all(|part| part.is_empty() || part == "..")
    {
        true => root.matches("..").count() + 1,
        false => 0,
    }
}

impl<'a> Mount<'a> {
    fn read(line: &'a str) -> Option<Mount<'a>> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, point) = (left.next()?, left.next()?);
        let mut right = right.split(' ');
        Some(Mount {
            height: height(root),
            point,
            kind: right.next()?,
            options: right.nth(1).unwrap_or_default(),
        })
    }

    /// Undoes mountinfo's octal escapes (space, tab, newline and backslash).
    fn path(&self) -> PathBuf {
        let text = self.point.replace("\\040", " ").replace("\\011", "\t");
        PathBuf::from(text.replace("\\012", "\n").replace("\\134", "\\"))
    }
}

impl Hierarchy {
    /// Chooses from a mountinfo. The first controller that is bound to a mounted hierarchy decides; `unified` gives the
    /// text of `cgroup.controllers` below a mount of version 2, which names those bound there. Without any, version 2.
    pub fn choose(mountinfo: &str, unified: impl Fn(&Path) -> Option<String>) -> Option<Hierarchy> {
        let mounts: Vec<Mount<'_>> = mountinfo.lines().filter_map(Mount::read).collect();
        // Of several mounts of one hierarchy the first that shows the most of its tree.
        let best = |is: &dyn Fn(&&Mount<'_>) -> bool| {
            let found = mounts.iter().rev().filter(is);
            found.max_by_key(|mount| mount.height).map(Mount::path)
        };
        let version_2 = best(&|mount| mount.kind == "cgroup2");
        let bound = version_2.as_deref().and_then(unified).unwrap_or_default();
        for &controller in Controller::ALL {
            let is_bound = |name| bound.split_ascii_whitespace().any(|word| word == name);
            if let (Some(mount), true) = (&version_2, controller.unified_name().is_some_and(is_bound)) {
                return Some(Hierarchy {
                    mount: mount.clone(),
                    controller: None,
                });
            }
            let is_of_it = |mount: &&Mount<'_>| {
                mount.kind == "cgroup" && mount.options.split(',').any(|word| word == controller.name())
            };
            if let Some(mount) = best(&is_of_it) {
                return Some(Hierarchy {
                    mount,
                    controller: Some(controller),
                });
            }
        }
        version_2.map(|mount| Hierarchy {
            mount,
            controller: None,
        })
    }

    /// Chooses for the host whose `/proc` and `/` are seen below `root` (empty: at `/`).
    pub fn of_host(root: &Path) -> Option<Hierarchy> {
        let foreign = !matches!(root.to_str(), Some("" | "/"));
        let mountinfo = match foreign {
            true => root.join("proc/1/mountinfo"),
            false => PathBuf::from("/proc/self/mountinfo"),
        };
        let text = std::fs::read_to_string(mountinfo).ok()?;
        let below = |point: &Path| match point.strip_prefix("/") {
            Ok(relative) if foreign => root.join(relative),
            _ => point.to_owned(),
        };
        let mut found = Hierarchy::choose(&text, |mount| {
            std::fs::read_to_string(below(mount).join("cgroup.controllers")).ok()
        })?;
        found.mount = below(&found.mount);
        Some(found)
    }
}

/// The path that a `/proc/PID/cgroup` gives for a hierarchy (`None`: of version 2), below its root.
pub fn path_of_process(text: &str, controller: Option<Controller>) -> Option<&str> {
    text.lines().find_map(|line| {
        let (number, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let is_it = match controller {
            None => number == "0" && controllers.is_empty(),
            Some(controller) => controllers.split(',').any(|word| word == controller.name()),
        };
        is_it.then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const HYBRID: &str = "\
30 25 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,relatime shared:5 - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
34 30 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
";

    fn choose(mountinfo: &str, bound: &str) -> Option<(String, Option<Controller>)> {
        let found = Hierarchy::choose(mountinfo, |_| Some(bound.to_owned()))?;
        Some((found.mount.to_str().unwrap().to_owned(), found.controller))
    }

    #[test]
    fn the_hierarchy_is_where_the_controllers_are() {
        let at = |path: &str, controller| Some((path.to_owned(), controller));
        assert_eq!(
            choose(V2, "cpuset cpu io memory pids\n"),
            at("/sys/fs/cgroup", None)
        );
        assert_eq!(choose(V2, ""), at("/sys/fs/cgroup", None));
        assert_eq!(
            choose(HYBRID, ""),
            at("/sys/fs/cgroup/pids", Some(Controller::Pids))
        );
        assert_eq!(choose(HYBRID, "memory"), at("/sys/fs/cgroup/unified", None));
        assert_eq!(
            choose(HYBRID, "io rdma"),
            at("/sys/fs/cgroup/pids", Some(Controller::Pids))
        );
        let old = HYBRID
            .replace("cgroup2", "tmpfs")
            .replace("rw,pids", "rw,net_cls");
        assert_eq!(
            choose(&old, ""),
            at("/sys/fs/cgroup/cpu,cpuacct", Some(Controller::Cpu))
        );
        let beside = format!("{V2}40 30 0:40 / /sys/fs/cgroup/net_cls rw - cgroup cgroup rw,net_cls\n");
        assert_eq!(choose(&beside, "cpu memory"), at("/sys/fs/cgroup", None));
        assert_eq!(
            choose("30 25 0:26 / /a rw - tmpfs tmpfs rw\nnonsense\n - cgroup2\n", ""),
            None
        );
    }

    #[test]
    fn a_mount_of_the_whole_tree_is_preferred_and_escapes_are_undone() {
        let odd = "1 2 0:3 /part /a\\040b rw - cgroup2 none rw\n4 2 0:3 / /whole rw - cgroup2 none rw\n";
        assert_eq!(choose(odd, ""), Some(("/whole".into(), None)));
        assert_eq!(
            choose(odd.lines().next().unwrap(), ""),
            Some(("/a b".into(), None))
        );
        // In a cgroup namespace of its own, where the host's tree is mounted beside.
        let both = "1 2 0:3 / /sys/fs/cgroup ro - cgroup2 none rw\n4 2 0:3 /../.. /host/sys/fs/cgroup ro - cgroup2 none rw\n";
        assert_eq!(choose(both, ""), Some(("/host/sys/fs/cgroup".into(), None)));
    }

    #[test]
    fn a_process_has_a_path_in_every_hierarchy() {
        let text = "12:pids:/pods/x\n4:cpu,cpuacct:/pods/y\n1:name=systemd:/s\n0::/init.scope\n";
        assert_eq!(path_of_process(text, None), Some("/init.scope"));
        assert_eq!(path_of_process(text, Some(Controller::Pids)), Some("/pods/x"));
        assert_eq!(path_of_process(text, Some(Controller::Cpuacct)), Some("/pods/y"));
        assert_eq!(path_of_process(text, Some(Controller::Memory)), None);
    }
}
