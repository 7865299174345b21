//! Which cgroup is a container's: from the pid the runtime gives, or from the path it configured.
//!
//! It is looked for in the hierarchy that capture's records name cgroups of ([`lanner_schema::cgroup`]). The pid may belong to another pid namespace than ours (a kind node is a container itself), so what
//! `/proc` says about it counts only when the path names the container.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lanner_schema::cgroup::{Hierarchy, path_of_process};
use lanner_schema::container::is_hex_id;

/// Directories a search looks at, at most.
const SEARCH_LIMIT: usize = 200_000;
/// Directories between two looks at the clock.
const CLOCK: usize = 64;

/// What most files of /proc about a process are shorter than, and what none is longer than.
const FILE: usize = 4096;
const FILE_MAX: u64 = 64 << 10;

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

/// What became of looking for a container's cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is there.
    Found(Found),
    /// There is none.
    Nowhere,
    /// It was not found within the time, and may be somewhere.
    NotYet,
}

impl Place {
    #[cfg(test)]
    pub(crate) fn found(self) -> Option<Found> {
        match self {
            Place::Found(found) => Some(found),
            Place::Nowhere | Place::NotYet => None,
        }
    }
}

/// The host's `/proc` and hierarchy of cgroups.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    proc_root: PathBuf,
    hierarchy: Option<Hierarchy>,
    /// Where the runtime's root of cgroups is below ours, once a search found out; empty when it is the same.
    runtime_root: String,
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
            runtime_root: String::new(),
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
            runtime_root: String::new(),
        }
    }

    /// The hierarchy that containers are told apart by.
    pub(crate) fn hierarchy(&self) -> Option<&Hierarchy> {
        self.hierarchy.as_ref()
    }

    /// The container's cgroup where its configured path alone tells whose it is: it ends with a name that nothing else has.
    pub(crate) fn locate_by_path(&self, wanted: Wanted<'_>) -> Option<Found> {
        let mount = &self.hierarchy.as_ref()?.mount;
        let is_sure = is_hex_id(wanted.id) && wanted.cgroups_path.ends_with(wanted.id);
        is_sure.then(|| self.by_path(mount, wanted)).flatten()
    }

    /// The container's cgroup. Searching the tree, the last resort, ends at `until`.
    pub(crate) fn locate(&mut self, wanted: Wanted<'_>, until: Instant) -> Place {
        let Some(hierarchy) = &self.hierarchy else {
            return Place::Nowhere;
        };
        let mount = &hierarchy.mount;
        let known = self
            .by_pid(hierarchy, wanted)
            .or_else(|| self.by_path(mount, wanted));
        if let Some(found) = known {
            return Place::Found(found);
        }
        if wanted.id.len() < SHORTEST {
            return Place::Nowhere;
        }
        let mut found = None;
        let whole = walk(mount, Some(until), &mut |name, inner| {
            if name.contains(wanted.id) {
                found = found_at(mount, inner);
            }
            found.is_none()
        });
        match found {
            Some(found) => {
                self.learn(wanted.cgroups_path, &found);
                Place::Found(found)
            }
            None if whole => Place::Nowhere,
            None => Place::NotYet,
        }
    }

    /// Searches the tree once for all whose keys these are. Of two with one name the path tells, as far as it can: who makes
    /// containers in a namespace of its own puts their cgroups below one of that name.
    pub(crate) fn search(&self, wanted: &HashSet<String>) -> HashMap<String, Found> {
        let mut all = HashMap::new();
        let Some(hierarchy) = &self.hierarchy else {
            return all;
        };
        walk(&hierarchy.mount, None, &mut |name, inner| {
            let stem = name.strip_suffix(".scope").unwrap_or(name);
            let last = stem.rsplit('-').next().unwrap_or(stem);
            for id in [stem, last] {
                let outer = inner.parent().and_then(Path::file_name).and_then(OsStr::to_str);
                let scoped = outer.map(|outer| format!("{outer}/{id}"));
                for key in [Some(id), scoped.as_deref()].into_iter().flatten() {
                    if wanted.contains(key)
                        && !all.contains_key(key)
                        && let Some(found) = found_at(&hierarchy.mount, inner)
                    {
                        all.insert(key.to_owned(), found);
                    }
                }
            }
            all.len() < wanted.len()
        });
        all
    }

    /// Remembers where the runtime's root of cgroups is: the next container is found without a search.
    pub(crate) fn learn(&mut self, configured: &str, found: &Found) {
        if let Some(root) =
            cgroup_path(configured).and_then(|path| found.path.strip_suffix(&path).map(str::to_owned))
        {
            self.runtime_root = root;
        }
    }

    fn by_pid(&self, hierarchy: &Hierarchy, wanted: Wanted<'_>) -> Option<Found> {
        if wanted.pid == 0 || wanted.id.is_empty() {
            return None;
        }
        let text = small_file(&self.proc_root.join(format!("{}/cgroup", wanted.pid)))?;
        let path = path_of_process(&text, hierarchy.controller)?;
        let path = up_to(path, wanted)?;
        let cgroup = inode(&hierarchy.mount, path)?;
        Some(Found {
            cgroup,
            path: path.to_owned(),
            pid_is_ours: true,
        })
    }

    fn by_path(&self, mount: &Path, wanted: Wanted<'_>) -> Option<Found> {
        let root = Some(&self.runtime_root).filter(|root| !root.is_empty());
        by_path(mount, "", wanted).or_else(|| by_path(mount, root?, wanted))
    }

    /// When the container's first process started, nanoseconds since the epoch; `None` when its pid is not one of ours.
    pub(crate) fn first_process_started(&self, wanted: Wanted<'_>) -> Option<u64> {
        self.by_pid(self.hierarchy.as_ref()?, wanted)?;
        self.started(wanted.pid)
    }

    /// True when the cgroup with this path is still the one with this id.
    pub(crate) fn has(&self, cgroup: u64, path: &str) -> bool {
        let hierarchy = self.hierarchy.as_ref();
        hierarchy.is_some_and(|hierarchy| inode(&hierarchy.mount, path) == Some(cgroup))
    }

    /// When the process started, nanoseconds since the epoch. Only to be asked for pids that are ours.
    pub(crate) fn started(&self, pid: u32) -> Option<u64> {
        let stat = small_file(&self.proc_root.join(format!("{pid}/stat")))?;
        let ticks = start_ticks(&stat)?;
        let per_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)
            .ok()
            .flatten()?;
        let per_second = u64::try_from(per_second).ok().filter(|hz| *hz > 0)?;
        let since_boot = u128::from(ticks) * 1_000_000_000 / u128::from(per_second);
        booted()?.checked_add(u64::try_from(since_boot).ok()?)
    }
}

/// When the host booted, nanoseconds since the epoch, as precise as it can be had in a few attempts: a busy machine may run something
/// else between two looks at its clocks.
fn booted() -> Option<u64> {
    /// So close together that the clocks are as good as read at once.
    const AT_ONCE: Duration = Duration::from_micros(10);
    let up = || {
        let up = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).ok()?;
        Some(Duration::from(up))
    };
    let mut best = (Duration::MAX, Duration::ZERO);
    for _ in 0..4 {
        let before = up()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let apart = up()?.saturating_sub(before);
        let boot = now.checked_sub(before + apart / 2)?;
        best = best.min((apart, boot));
        if apart <= AT_ONCE {
            break;
        }
    }
    u64::try_from(best.1.as_nanos()).ok()
}

/// A file of /proc, whose size nobody knows before: it is read in few pieces, as a container waits for it.
fn small_file(path: &Path) -> Option<String> {
    let mut text = String::with_capacity(FILE);
    File::open(path)
        .ok()?
        .take(FILE_MAX)
        .read_to_string(&mut text)
        .ok()?;
    Some(text)
}

/// The part of a cgroup path that ends with the component naming the container; a process may have moved into a
/// cgroup of its own below. `None` when the path doesn't name it, or lies outside of what we see (`/..`).
fn up_to<'a>(path: &'a str, wanted: Wanted<'_>) -> Option<&'a str> {
    // A short id can be part of any name: the configured path comes first, then the name that it is or that ends with it.
    let id = wanted.id;
    let configured = cgroup_path(wanted.cgroups_path).and_then(|configured| {
        let end = path.find(&configured)? + configured.len();
        let is_whole = path[end..].is_empty() || path[end..].starts_with('/');
        (is_whole && configured.contains(id)).then_some(end)
    });
    let named = |name: &str| {
        let stem = name.strip_suffix(".scope").unwrap_or(name);
        stem.strip_suffix(id)
            .is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('-'))
    };
    let mut ends = path
        .match_indices('/')
        .map(|(at, _)| at)
        .skip(1)
        .chain([path.len()]);
    let end = configured
        .or_else(|| ends.find(|end| named(path[..*end].rsplit('/').next().unwrap_or_default())))
        .or_else(|| {
            let at = path.find(id)?;
            Some(path[at..].find('/').map_or(path.len(), |slash| at + slash))
        })?;
    let path = &path[..end];
    (path.starts_with('/') && !path.split('/').any(|part| part == "..")).then_some(path)
}

fn by_path(mount: &Path, root: &str, wanted: Wanted<'_>) -> Option<Found> {
    let path = format!("{root}{}", cgroup_path(wanted.cgroups_path)?);
    let cgroup = inode(mount, &path)?;
    Some(Found {
        cgroup,
        path,
        pid_is_ours: false,
    })
}

/// Where runc puts the cgroup that a runtime configures: `/parent/id` is taken as it is, and `slice:prefix:name` becomes
/// nested slices with a scope in the last (`a-b.slice` lies in `a.slice`). `None` for what is neither.
pub(crate) fn cgroup_path(configured: &str) -> Option<String> {
    if configured.split('/').any(|part| part == "..") || configured.is_empty() {
        return None;
    }
    let mut parts = configured.splitn(3, ':');
    let (slice, rest) = (parts.next()?, (parts.next(), parts.next()));
    let (Some(prefix), Some(name)) = rest else {
        let path = configured.trim_matches('/');
        // The root of all cgroups is nobody's.
        return (!path.is_empty()).then(|| format!("/{path}"));
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

/// The shortest id that is looked for in names.
const SHORTEST: usize = 12;

/// Shows `look` the name and path of every cgroup until it says false, at most until `until`: the configured path is
/// relative to the runtime's own cgroup root, which need not be ours. Breadth first, so a container's own directory comes
/// before those in it. True when nothing was left out.
fn walk(mount: &Path, until: Option<Instant>, look: &mut dyn FnMut(&str, &Path) -> bool) -> bool {
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
            let late = looked_at % CLOCK == 0 && until.is_some_and(|until| Instant::now() >= until);
            looked_at += 1;
            if late || looked_at > SEARCH_LIMIT {
                return false;
            }
            let inner = relative.join(entry.file_name());
            if let Some(name) = entry.file_name().to_str()
                && !look(name, &inner)
            {
                return true;
            }
            queue.push_back(inner);
        }
    }
    true
}

fn found_at(mount: &Path, relative: &Path) -> Option<Found> {
    let path = format!("/{}", relative.to_str()?);
    Some(Found {
        cgroup: inode(mount, &path)?,
        path,
        pid_is_ours: false,
    })
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

    fn soon() -> Instant {
        Instant::now() + std::time::Duration::from_secs(20)
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
        let (root, mut host) = laid_out(&[&format!("{dir}/init.scope")]);
        with_cgroup(&root, &format!("4:memory:/x\n0::/{dir}/init.scope\n"));
        let found = host
            .locate(
                Wanted {
                    id: ID,
                    pid: 42,
                    cgroups_path: "",
                },
                soon(),
            )
            .found()
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
    fn a_short_id_is_not_taken_for_part_of_another_name() {
        let up_to = |path: &'static str, id: &str, cgroups_path: &str| {
            up_to(
                path,
                Wanted {
                    id,
                    pid: 42,
                    cgroups_path,
                },
            )
        };
        assert_eq!(up_to("/default/d", "d", ""), Some("/default/d"));
        assert_eq!(up_to("/default/d/inner", "d", ""), Some("/default/d"));
        let scope = "/redis.slice/cri-containerd-is.scope";
        assert_eq!(up_to(scope, "is", "redis.slice:cri-containerd:is"), Some(scope));
        assert_eq!(up_to(scope, "is", ""), Some(scope));
        let twice = Some("/node/web/web");
        assert_eq!(up_to("/node/web/web/inner", "web", "/web/web"), twice);
        assert_eq!(up_to("/node/web/web", "web", "/other/7"), Some("/node/web"));
        assert_eq!(up_to("/pods/x_web_1/a", "web", ""), Some("/pods/x_web_1"));
        assert_eq!(up_to("/other", "web", "/other"), None);
    }

    #[test]
    fn two_of_one_name_are_told_apart_by_the_name_above() {
        let (root, host) = laid_out(&["node/team-a/redis", "node/k8s.io/redis-cache-0"]);
        let wanted = HashSet::from(["team-a/redis".to_owned(), "team-b/redis".to_owned()]);
        let found = host.search(&wanted);
        assert_eq!(found.len(), 1);
        assert_eq!(found["team-a/redis"].cgroup, ino(&root, "node/team-a/redis"));
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
        let found = host.locate(wanted, soon()).found().unwrap();
        assert_eq!((found.cgroup, found.pid_is_ours), (ino(&root, &dir), true));
    }

    #[test]
    fn a_pid_of_another_namespace_is_not_believed() {
        let dir = format!("k8s.io/{ID}");
        let (root, mut host) = laid_out(&[&dir, "user.slice"]);
        with_cgroup(&root, "0::/user.slice\n");
        let found = host
            .locate(
                Wanted {
                    id: ID,
                    pid: 42,
                    cgroups_path: &format!("/{dir}"),
                },
                soon(),
            )
            .found()
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
        let (root, mut host) = laid_out(&[&format!("{dir}/{ID}"), "user.slice/x/y"]);
        let wanted = Wanted {
            id: ID,
            pid: 42,
            cgroups_path: &format!("kubelet-pod1.slice:cri-containerd:{ID}"),
        };
        let found = host.locate(wanted, soon()).found().unwrap();
        assert_eq!((found.cgroup, found.pid_is_ours), (ino(&root, &dir), false));
        assert_eq!(
            host.locate(
                Wanted {
                    id: &"f".repeat(64),
                    ..wanted
                },
                soon()
            ),
            Place::Nowhere
        );
    }

    #[test]
    fn a_search_tells_where_the_runtimes_root_is_and_the_next_one_needs_none() {
        let node = "system.slice/docker-node.scope";
        let second = "e".repeat(64);
        let (root, mut host) = laid_out(&[
            &format!("{node}/kubelet/{ID}"),
            &format!("{node}/kubelet/{second}"),
        ]);
        let (first_path, second_path) = (format!("/kubelet/{ID}"), format!("/kubelet/{second}"));
        let at = |id, cgroups_path| Wanted {
            id,
            pid: 0,
            cgroups_path,
        };
        let over = Instant::now();
        assert_eq!(
            host.locate(at(ID, &first_path), over),
            Place::NotYet,
            "no time to search"
        );
        assert!(host.locate(at(ID, &first_path), soon()).found().is_some());
        let found = host.locate(at(&second, &second_path), over).found().unwrap();
        assert_eq!(found.path, format!("/{node}{second_path}"));
        assert_eq!(found.cgroup, ino(&root, &found.path[1..]));
    }

    #[test]
    fn one_search_finds_all_that_are_wanted() {
        let other = "e".repeat(64);
        let (root, host) = laid_out(&[
            &format!("a/b/cri-containerd-{ID}.scope/{ID}"),
            &format!("c/{other}"),
        ]);
        let wanted = HashSet::from([ID.to_owned(), other.clone(), "f".repeat(64)]);
        let found = host.search(&wanted);
        assert_eq!(found.len(), 2);
        assert_eq!(found[ID].path, format!("/a/b/cri-containerd-{ID}.scope"));
        assert_eq!(found[&other].cgroup, ino(&root, &format!("c/{other}")));
    }

    #[test]
    fn the_root_of_all_cgroups_is_no_containers() {
        assert_eq!(cgroup_path("/"), None);
        let (_root, mut host) = laid_out(&[]);
        let wanted = Wanted {
            id: ID,
            pid: 0,
            cgroups_path: "///",
        };
        assert_eq!(host.locate(wanted, soon()), Place::Nowhere);
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
