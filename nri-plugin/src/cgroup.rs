//! Which cgroup is a container's: from the pid the runtime gives, or from the path it configured.
//!
//! It is looked for in the hierarchy that capture's records name cgroups of ([`lanner_schema::cgroup`]). The pid may belong to another pid namespace than ours (a kind node is a container itself), so what
//! `/proc` says about it counts only when the path names the container.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use lanner_schema::cgroup::{Hierarchy, path_of_process};

/// Directories a search looks at, at most: a runtime's call waits for it.
const SEARCH_LIMIT: usize = 20_000;

/// What is known of a container's place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Full container id.
    pub(crate) id: &'a str,
    /// Pid of its first process; 0 when unknown.
    pub(crate) pid: u32,
    /// `linux.cgroups_path` of the runtime.
    pub(crate) cgroups_path: &'a str,
}

/// A container's cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its id: the directory's inode.
    pub(crate) cgroup: u64,
    /// Its path below the hierarchy's mount, with a leading slash.
    pub(crate) path: String,
    /// True when the pid is one of ours and in this cgroup.
    pub(crate) pid_is_ours: bool,
}

/// The host's `/proc` and hierarchy of cgroups.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    proc_root: PathBuf,
    hierarchy: Option<Hierarchy>,
}

impl Host {
    /// Looks for the hierarchy. `host_root` is where the host's `/` is seen from here (empty: at `/`).
    pub(crate) fn new(host_root: &Path) -> Self {
        let foreign = !matches!(host_root.to_str(), Some("" | "/"));
        Self {
            proc_root: match foreign {
                true => host_root.join("proc"),
                false => PathBuf::from("/proc"),
            },
            hierarchy: Hierarchy::of_host(host_root),
        }
    }

    /// A host laid out in a test's folder.
    #[cfg(test)]
    pub(crate) fn at(proc_root: &Path, mount: &Path) -> Self {
        Self {
            proc_root: proc_root.into(),
            hierarchy: Some(Hierarchy {
                mount: mount.into(),
                controller: None,
            }),
        }
    }

    /// The hierarchy that containers are told apart by.
    pub(crate) fn hierarchy(&self) -> Option<&Hierarchy> {
        self.hierarchy.as_ref()
    }

    /// The container's cgroup, or `None` when there is no such directory.
    pub(crate) fn locate(&self, wanted: Wanted<'_>) -> Option<Found> {
        let hierarchy = self.hierarchy.as_ref()?;
        let mount = &hierarchy.mount;
        self.by_pid(hierarchy, wanted)
            .or_else(|| by_path(mount, wanted))
            .or_else(|| by_search(mount, wanted.id))
    }

    fn by_pid(&self, hierarchy: &Hierarchy, wanted: Wanted<'_>) -> Option<Found> {
        if wanted.pid == 0 || wanted.id.is_empty() {
            return None;
        }
        let text = fs::read_to_string(self.proc_root.join(format!("{}/cgroup", wanted.pid))).ok()?;
        let path = path_of_process(&text, hierarchy.controller)?;
        let path = up_to(path, wanted.id)?;
        let cgroup = inode(&hierarchy.mount, path)?;
        Some(Found {
            cgroup,
            path: path.to_owned(),
            pid_is_ours: true,
        })
    }

    /// When the process started, nanoseconds since the epoch. Only to be asked for pids that are ours.
    pub(crate) fn started(&self, pid: u32) -> Option<u64> {
        let stat = fs::read_to_string(self.proc_root.join(format!("{pid}/stat"))).ok()?;
        let ticks = start_ticks(&stat)?;
        let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)
            .ok()
            .flatten()?;
        let per_second = u64::try_from(per_second).ok().filter(|hz| *hz > 0)?;
        let up = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).ok()?;
        let up = std::time::Duration::from(up);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let boot = u64::try_from(now.checked_sub(up)?.as_nanos()).ok()?;
        let since_boot = u128::from(ticks) * 1_000_000_000 / u128::from(per_second);
        boot.checked_add(u64::try_from(since_boot).ok()?)
    }
}

/// The part of a cgroup path that ends with the component naming the container; a process may have moved into a
/// cgroup of its own below. `None` when the path doesn't name it, or lies outside of what we see (`/..`).
fn up_to<'a>(path: &'a str, id: &str) -> Option<&'a str> {
    let at = path.find(id)?;
    let end = path[at..].find('/').map_or(path.len(), |slash| at + slash);
    let path = &path[..end];
    (path.starts_with('/') && !path.split('/').any(|part| part == "..")).then_some(path)
}

fn by_path(mount: &Path, wanted: Wanted<'_>) -> Option<Found> {
    let path = cgroup_path(wanted.cgroups_path)?;
    let cgroup = inode(mount, &path)?;
    Some(Found {
        cgroup,
        path,
        pid_is_ours: false,
    })
}

/// Where runc puts the cgroup that a runtime configures: `/parent/id` is taken as it is, and `slice:prefix:name` becomes
/// nested slices with a scope in the last (`a-b.slice` lies in `a.slice`). `None` for what is neither.
fn cgroup_path(configured: &str) -> Option<String> {
    if configured.split('/').any(|part| part == "..") || configured.is_empty() {
        return None;
    }
    let mut parts = configured.splitn(3, ':');
    let (slice, rest) = (parts.next()?, (parts.next(), parts.next()));
    let (Some(prefix), Some(name)) = rest else {
        return Some(format!("/{}", configured.trim_start_matches('/')));
    };
    let slice = if slice.is_empty() { "system.slice" } else { slice };
    let mut path = String::new();
    if slice != "-.slice" {
        let stem = slice.strip_suffix(".slice")?;
        let mut outer = String::new();
        for part in stem.split('-') {
            if !outer.is_empty() {
                outer.push('-');
            }
            outer.push_str(part);
            path.push('/');
            path.push_str(&outer);
            path.push_str(".slice");
        }
    }
    if name.ends_with(".slice") {
        path.push_str(&format!("/{name}"));
    } else if prefix.is_empty() {
        path.push_str(&format!("/{name}.scope"));
    } else {
        path.push_str(&format!("/{prefix}-{name}.scope"));
    }
    Some(path)
}

/// Looks through the tree for a directory named after the container: the configured path is relative to the runtime's
/// own cgroup root, which need not be ours. Breadth first, so the container's own directory comes before those in it.
fn by_search(mount: &Path, id: &str) -> Option<Found> {
    if id.len() < 12 {
        return None;
    }
    let mut queue = VecDeque::from([PathBuf::new()]);
    let mut looked_at = 0;
    while let Some(relative) = queue.pop_front() {
        for entry in fs::read_dir(mount.join(&relative))
            .into_iter()
            .flatten()
            .flatten()
        {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            looked_at += 1;
            if looked_at > SEARCH_LIMIT {
                return None;
            }
            let inner = relative.join(entry.file_name());
            if entry.file_name().to_str().is_some_and(|name| name.contains(id)) {
                let path = format!("/{}", inner.to_str()?);
                let cgroup = inode(mount, &path)?;
                return Some(Found {
                    cgroup,
                    path,
                    pid_is_ours: false,
                });
            }
            queue.push_back(inner);
        }
    }
    None
}

fn inode(mount: &Path, path: &str) -> Option<u64> {
    let data = fs::metadata(mount.join(path.trim_start_matches('/'))).ok()?;
    data.is_dir().then(|| data.ino())
}

/// Field 22 of `/proc/PID/stat`, in clock ticks since boot. The command in field 2 may hold blanks and parentheses.
fn start_ticks(stat: &str) -> Option<u64> {
    let after = stat.get(stat.rfind(')')? + 1..)?;
    after.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_schema::cgroup::Controller;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn laid_out(dirs: &[&str]) -> (tempfile::TempDir, Host) {
        let root = tempfile::tempdir().unwrap();
        for dir in dirs {
            fs::create_dir_all(root.path().join("cgroup").join(dir)).unwrap();
        }
        fs::create_dir_all(root.path().join("cgroup")).unwrap();
        fs::create_dir_all(root.path().join("proc/42")).unwrap();
        let host = Host::at(&root.path().join("proc"), &root.path().join("cgroup"));
        (root, host)
    }

    fn with_cgroup(root: &tempfile::TempDir, text: &str) {
        fs::write(root.path().join("proc/42/cgroup"), text).unwrap();
    }

    fn ino(root: &tempfile::TempDir, dir: &str) -> u64 {
        fs::metadata(root.path().join("cgroup").join(dir)).unwrap().ino()
    }

    #[test]
    fn systemd_paths_unfold_into_nested_slices() {
        let path = |text| cgroup_path(text).unwrap();
        assert_eq!(path("/k8s.io/abc"), "/k8s.io/abc");
        assert_eq!(
            path("kubepods-burstable-pod1_2.slice:cri-containerd:abc"),
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-abc.scope"
        );
        assert_eq!(
            path(":cri-containerd:abc"),
            "/system.slice/cri-containerd-abc.scope"
        );
        assert_eq!(path("-.slice::abc"), "/abc.scope");
        assert_eq!(cgroup_path("/a/../../etc"), None);
        assert_eq!(cgroup_path(""), None);
        assert_eq!(cgroup_path("notaslice:x:y"), None);
    }

    #[test]
    fn a_pid_counts_when_its_cgroup_names_the_container() {
        let dir = format!("kubepods/pod1/{ID}");
        let (root, host) = laid_out(&[&format!("{dir}/init.scope")]);
        with_cgroup(&root, &format!("4:memory:/x\n0::/{dir}/init.scope\n"));
        let found = host
            .locate(Wanted {
                id: ID,
                pid: 42,
                cgroups_path: "",
            })
            .unwrap();
        assert_eq!(
            found,
            Found {
                cgroup: ino(&root, &dir),
                path: format!("/{dir}"),
                pid_is_ours: true
            }
        );
    }

    #[test]
    fn on_version_1_the_path_is_that_of_the_hierarchys_controller() {
        let dir = format!("kubepods/pod1/{ID}");
        let (root, mut host) = laid_out(&[&dir]);
        host.hierarchy.as_mut().unwrap().controller = Some(Controller::Pids);
        with_cgroup(&root, &format!("7:memory:/x\n6:pids:/{dir}/inner\n0::/\n"));
        let wanted = Wanted {
            id: ID,
            pid: 42,
            cgroups_path: "",
        };
        let found = host.locate(wanted).unwrap();
        assert_eq!((found.cgroup, found.pid_is_ours), (ino(&root, &dir), true));
    }

    #[test]
    fn a_pid_of_another_namespace_is_not_believed() {
        let dir = format!("k8s.io/{ID}");
        let (root, host) = laid_out(&[&dir, "user.slice"]);
        with_cgroup(&root, "0::/user.slice\n");
        let found = host
            .locate(Wanted {
                id: ID,
                pid: 42,
                cgroups_path: &format!("/{dir}"),
            })
            .unwrap();
        assert_eq!(
            found,
            Found {
                cgroup: ino(&root, &dir),
                path: format!("/{dir}"),
                pid_is_ours: false
            }
        );
    }

    #[test]
    fn a_runtime_below_another_cgroup_root_is_found_by_search() {
        let dir =
            format!("system.slice/docker-node.scope/kubelet.slice/pod1.slice/cri-containerd-{ID}.scope");
        let (root, host) = laid_out(&[&format!("{dir}/{ID}"), "user.slice/x/y"]);
        let wanted = Wanted {
            id: ID,
            pid: 42,
            cgroups_path: &format!("kubelet-pod1.slice:cri-containerd:{ID}"),
        };
        let found = host.locate(wanted).unwrap();
        assert_eq!((found.cgroup, found.pid_is_ours), (ino(&root, &dir), false));
        assert_eq!(
            host.locate(Wanted {
                id: &"f".repeat(64),
                ..wanted
            }),
            None
        );
    }

    #[test]
    fn the_start_time_is_field_22_whatever_the_command_is_called() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        assert_eq!(start_ticks(stat), Some(12345));
        assert_eq!(start_ticks("42 (x"), None);
        assert_eq!(start_ticks("42 (x) S"), None);
    }

    #[test]
    fn our_own_start_time_is_in_the_past_and_after_boot() {
        let host = Host::new(Path::new(""));
        let started = host.started(std::process::id()).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
        // One clock tick of tolerance: the kernel rounds.
        assert!(started <= now + 10_000_000, "{started} {now}");
        assert!(
            now - started < 3_600_000_000_000,
            "this test has not run for an hour"
        );
    }
}
