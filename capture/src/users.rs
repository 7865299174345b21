//! Users and groups: the host's from its passwd and group files, a container's from those below its own root.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use lanner_schema::process::User;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, fstat};

use crate::id_map::IdMap;

/// The most of a passwd or group file that is read.
const FILE_MAX: u64 = 1 << 20;
/// The most containers whose users are remembered.
const CONTAINERS: usize = 4096;
/// A container's files are read again after this long.
const STALE: Duration = Duration::from_secs(60);

/// Users and groups by id, of whoever was selected last.
#[derive(Debug)]
pub(crate) struct Users {
    passwd: PathBuf,
    group: PathBuf,
    read_at: [Option<SystemTime>; 2],
    host: Names,
    containers: IdMap<u64, Names>,
    selected: Option<u64>,
    forget_at: Instant,
}

/// What one passwd and one group file say.
#[derive(Debug, Default)]
struct Names {
    users: IdMap<u32, User>,
    groups: IdMap<u32, String>,
}

impl Users {
    /// Reads the host's files below `etc`.
    pub(crate) fn read(etc: &Path) -> Users {
        let mut users = Users {
            passwd: etc.join("passwd"),
            group: etc.join("group"),
            read_at: [None; 2],
            host: Names::default(),
            containers: IdMap::default(),
            selected: None,
            forget_at: Instant::now() + STALE,
        };
        users.refresh();
        users
    }

    /// Reads the host's files again when they changed, and forgets the containers' from time to time.
    pub(crate) fn refresh(&mut self) {
        if Instant::now() >= self.forget_at || self.containers.len() >= CONTAINERS {
            self.forget_at = Instant::now() + STALE;
            self.containers.clear();
        }
        let changed = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
        let now = [changed(&self.passwd), changed(&self.group)];
        if now == self.read_at && now[0].is_some() {
            return;
        }
        self.read_at = now;
        let text = |path: &Path| fs::read(path).unwrap_or_default();
        self.host = Names::parse(&text(&self.passwd), &text(&self.group));
    }

    /// From here on the host's users are meant.
    pub(crate) fn select_host(&mut self) {
        self.selected = None;
    }

    /// From here on the users of the container in `cgroup` are meant; process `pid` is in it.
    pub(crate) fn select_container(&mut self, cgroup: u64, pid: u32) {
        self.selected = Some(cgroup);
        if self.containers.contains_key(&cgroup) || self.containers.len() >= CONTAINERS {
            return;
        }
        // Not yet or no longer to be had: its users have no names then, and the next event tries again.
        if let Ok(Some(names)) = Names::below(Path::new(&format!("/proc/{pid}/root"))) {
            self.containers.insert(cgroup, names);
        }
    }

    fn names(&self) -> Option<&Names> {
        match self.selected {
            None => Some(&self.host),
            Some(cgroup) => self.containers.get(&cgroup),
        }
    }

    pub(crate) fn user(&self, uid: u32) -> Option<&User> {
        self.names()?.users.get(&uid)
    }

    pub(crate) fn group(&self, gid: u32) -> Option<&str> {
        self.names()?.groups.get(&gid).map(String::as_str)
    }
}

impl Names {
    fn parse(passwd: &[u8], group: &[u8]) -> Names {
        Names {
            users: lines(passwd, |fields| {
                let [name, _, uid, _, _, home, shell, ..] = fields else {
                    return None;
                };
                let user = User {
                    name: (*name).into(),
                    home: (*home).into(),
                    shell: (*shell).into(),
                };
                Some((uid.parse().ok()?, user))
            }),
            groups: lines(group, |fields| {
                let [name, _, gid, ..] = fields else { return None };
                Some((gid.parse().ok()?, (*name).to_owned()))
            }),
        }
    }

    /// The files below another process's root. `None` while that root is our own: the runtime has not entered the
    /// container's yet.
    fn below(root: &Path) -> io::Result<Option<Names>> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(root, flags, Mode::empty())?;
        let (theirs, ours) = (fstat(&root)?, fs::metadata("/")?);
        if (theirs.st_dev, theirs.st_ino) == (ours.dev(), ours.ino()) {
            return Ok(None);
        }
        Ok(Some(Names::parse(
            &read_below(&root, "etc/passwd"),
            &read_below(&root, "etc/group"),
        )))
    }
}

/// A regular file below a root that somebody else fills: links stay inside, and nothing there can hold us up.
fn read_below(root: &OwnedFd, path: &str) -> Vec<u8> {
    fn read(root: BorrowedFd<'_>, path: &str) -> io::Result<Vec<u8>> {
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let file = File::from(openat2(root, path, how)?);
        let mut bytes = Vec::new();
        if file.metadata()?.is_file() {
            file.take(FILE_MAX).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }
    read(root.as_fd(), path).unwrap_or_default()
}

/// Reads a colon-separated file; of two lines with one id the first counts, as in getpwuid(3).
fn lines<T>(text: &[u8], row: impl Fn(&[&str]) -> Option<(u32, T)>) -> IdMap<u32, T> {
    let mut map = IdMap::default();
    for line in String::from_utf8_lossy(text).lines() {
        let fields: Vec<&str> = line.split(':').collect();
        if let Some((id, value)) = row(&fields) {
            map.entry(id).or_insert(value);
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_again_when_they_change() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("passwd"),
            "root:x:0:0:root:/root:/bin/bash\nbroken\ntoor:x:0:0::/:/bin/sh\n",
        )
        .unwrap();
        fs::write(dir.path().join("group"), "adm:x:4:syslog\n").unwrap();
        let mut users = Users::read(dir.path());
        assert_eq!(users.user(0).unwrap().name, "root");
        assert_eq!(users.group(4), Some("adm"));
        assert_eq!(users.user(1000), None);
        let passwd = dir.path().join("passwd");
        fs::write(&passwd, "eve:x:1000:1000::/home/eve:/bin/sh\n").unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        fs::File::options()
            .write(true)
            .open(&passwd)
            .unwrap()
            .set_modified(later)
            .unwrap();
        users.refresh();
        assert_eq!(users.user(1000).unwrap().name, "eve");
    }

    #[test]
    fn a_container_has_its_own_users_and_cannot_lead_us_out_or_hold_us_up() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("real")).unwrap();
        fs::write(root.join("real/passwd"), "node:x:1000:1000::/:/bin/sh\n").unwrap();
        // An absolute link is the container's own; a fifo is not waited for.
        std::os::unix::fs::symlink("/real", root.join("etc")).unwrap();
        nix::unistd::mkfifo(&root.join("real/group"), Mode::S_IRWXU).unwrap();
        let names = Names::below(&root).unwrap().unwrap();
        assert_eq!(names.users.get(&1000).unwrap().name, "node");
        assert!(names.groups.is_empty());
        fs::remove_file(root.join("etc")).unwrap();
        std::os::unix::fs::symlink("../../../../etc", root.join("etc")).unwrap();
        assert!(
            Names::below(&root).unwrap().unwrap().users.is_empty(),
            "a link that leads out stays inside"
        );
        assert!(Names::below(Path::new("/")).unwrap().is_none());
    }

    #[test]
    fn names_are_those_of_whoever_is_selected() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("passwd"),
            "alice:x:1000:1000::/home/alice:/bin/sh\n",
        )
        .unwrap();
        let mut users = Users::read(dir.path());
        users
            .containers
            .insert(7, Names::parse(b"node:x:1000:1000::/:/bin/sh\n", b""));
        users.select_container(7, 0);
        assert_eq!(users.user(1000).unwrap().name, "node");
        users.select_container(8, 0);
        assert_eq!(users.user(1000), None, "the host's alice is nobody there");
        users.select_host();
        assert_eq!(users.user(1000).unwrap().name, "alice");
    }
}
