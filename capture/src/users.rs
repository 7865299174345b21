//! Users and groups: the host's from its passwd and group files, a container's from those below its own root.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use lanner_schema::process::User;
#[cfg(doc)]
use lanner_schema::record::Header;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, fstat};

use crate::id_map::IdMap;
use crate::outside::{Ask, Outside};

/// The most of a container's passwd or group file that is read.
const FILE_MAX: u64 = 1 << 20;
/// The most of the host's, where every user of an organisation may be.
const HOST_FILE_MAX: u64 = 8 << 20;
/// The most containers whose users are remembered.
const CONTAINERS: usize = 4096;
/// A container's files are read again after this long, in nanoseconds.
const STALE: u64 = 60_000_000_000;

/// Users and groups by id, of whoever was selected last.
#[derive(Debug)]
pub(crate) struct Users {
    passwd: PathBuf,
    group: PathBuf,
    /// When each was last written to, as of the last look.
    written: [Option<u64>; 2],
    host: Names,
    containers: IdMap<u64, Names>,
    /// Per container without names yet, the process that was asked last, and [`Header::image`] of its program.
    asked: IdMap<u64, (u32, u16)>,
    selected: Option<u64>,
    forget_at: u64,
    outside: Outside,
}

/// What one passwd and one group file say.
#[derive(Debug, Default)]
struct Names {
    users: IdMap<u32, User>,
    groups: IdMap<u32, String>,
}

impl Users {
    /// Reads the host's files below `etc`.
    pub(crate) fn read(etc: &Path, outside: Outside) -> Users {
        let mut users = Users {
            passwd: etc.join("passwd"),
            group: etc.join("group"),
            written: [None; 2],
            host: Names::default(),
            containers: IdMap::default(),
            asked: IdMap::default(),
            selected: None,
            forget_at: 0,
            outside,
        };
        users.refresh(0);
        users
    }

    /// Reads the host's files again when they changed, and forgets the containers' from time to time. `now` is in
    /// nanoseconds.
    pub(crate) fn refresh(&mut self, now: u64) {
        if now >= self.forget_at || self.containers.len() >= CONTAINERS {
            self.forget_at = now.saturating_add(STALE);
            self.containers.clear();
            self.asked.clear();
        }
        let written = |path: &Path| Some(self.outside.facts(path)?.mtime);
        let written = [written(&self.passwd), written(&self.group)];
        if written == self.written && written[0].is_some() {
            return;
        }
        self.written = written;
        let text = |path: &Path| self.outside.read(path, HOST_FILE_MAX).unwrap_or_default();
        self.host = Names::parse(&text(&self.passwd), &text(&self.group));
    }

    /// From here on the host's users are meant.
    pub(crate) fn select_host(&mut self) {
        self.selected = None;
    }

    /// From here on the users of the container in `cgroup` are meant; process `pid` is in it, and `image` is its program's
    /// number ([`Header::image`]).
    pub(crate) fn select_container(&mut self, cgroup: u64, pid: u32, image: u16) {
        self.selected = Some(cgroup);
        if self.containers.contains_key(&cgroup) || self.containers.len() >= CONTAINERS {
            return;
        }
        // Not yet or no longer to be had: its users have no names then, and another process or program tries again. The
        // runtime's own, which is in the host's files for hundreds of events, runs the container's next.
        if self.asked.len() >= CONTAINERS {
            self.asked.clear();
        }
        if self.asked.insert(cgroup, (pid, image)) == Some((pid, image)) {
            return;
        }
        let files = self.outside.ask(Ask::Users, &pid.to_le_bytes(), || {
            let root = PathBuf::from(format!("/proc/{pid}/root"));
            files_below(&self.outside.place(&root)?).ok().flatten()
        });
        if let Some(files) = files {
            self.asked.remove(&cgroup);
            self.containers.insert(cgroup, Names::of_files(&files));
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

    /// What [`files_below`] found.
    fn of_files(files: &[u8]) -> Names {
        let length = files.first_chunk().map_or(0, |b| u32::from_le_bytes(*b)) as usize;
        let (passwd, group) = files
            .get(4..)
            .and_then(|both| both.split_at_checked(length))
            .unwrap_or_default();
        Names::parse(passwd, group)
    }
}

/// The passwd and group files below another process's root: the length of the first in four bytes, and both. `None` while
/// that root is our own: the runtime has not entered the container's yet.
fn files_below(root: &Path) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open(root, flags, Mode::empty())?;
    let (theirs, ours) = (fstat(&root)?, fs::metadata("/")?);
    if (theirs.st_dev, theirs.st_ino) == (ours.dev(), ours.ino()) {
        return Ok(None);
    }
    let passwd = read_below(&root, "etc/passwd");
    // FILE_MAX is far below what four bytes hold.
    let mut files = u32::try_from(passwd.len()).unwrap_or(0).to_le_bytes().to_vec();
    files.extend(passwd);
    files.extend(read_below(&root, "etc/group"));
    Ok(Some(files))
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
    use crate::outside::Tape;
    use lanner_schema::container::Containers;
    use lanner_schema::host_names::AddressNames;
    use std::sync::Arc;
    use std::time::SystemTime;

    fn below(root: &Path) -> Option<Names> {
        files_below(root).unwrap().map(|files| Names::of_files(&files))
    }

    #[test]
    fn files_are_read_again_when_they_change() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("passwd"),
            "root:x:0:0:root:/root:/bin/bash\nbroken\ntoor:x:0:0::/:/bin/sh\n",
        )
        .unwrap();
        fs::write(dir.path().join("group"), "adm:x:4:syslog\n").unwrap();
        let mut users = Users::read(dir.path(), Outside::default());
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
        users.refresh(1);
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
        let names = below(&root).unwrap();
        assert_eq!(names.users.get(&1000).unwrap().name, "node");
        assert!(names.groups.is_empty());
        fs::remove_file(root.join("etc")).unwrap();
        std::os::unix::fs::symlink("../../../../etc", root.join("etc")).unwrap();
        assert!(
            below(&root).unwrap().users.is_empty(),
            "a link that leads out stays inside"
        );
        assert!(below(Path::new("/")).is_none());
    }

    /// Has no answer, and counts the questions.
    #[derive(Debug, Default)]
    struct Silent(std::sync::atomic::AtomicUsize);

    impl Tape for Silent {
        fn answer(&self, _: &[u8], _: &mut dyn FnMut() -> Option<Vec<u8>>) -> Option<Vec<u8>> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            None
        }
        fn containers(&self, _: &Arc<Containers>) {}
        fn address_names(&self, _: &Arc<AddressNames>) {}
    }

    #[test]
    fn a_process_is_asked_for_its_root_once_for_each_program() {
        let dir = tempfile::tempdir().unwrap();
        let silent = Arc::new(Silent::default());
        let mut users = Users::read(dir.path(), Outside::through(Arc::clone(&silent) as Arc<dyn Tape>));
        let mut asks = |pid, image| {
            let before = silent.0.load(std::sync::atomic::Ordering::Relaxed);
            users.select_container(7, pid, image);
            silent.0.load(std::sync::atomic::Ordering::Relaxed) - before
        };
        let asked = [(1, 1), (1, 1), (1, 2), (1, 2), (2, 2)].map(|(pid, image)| asks(pid, image));
        assert_eq!(asked, [1, 0, 1, 0, 1]);
    }

    #[test]
    fn names_are_those_of_whoever_is_selected() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("passwd"),
            "alice:x:1000:1000::/home/alice:/bin/sh\n",
        )
        .unwrap();
        let mut users = Users::read(dir.path(), Outside::default());
        users
            .containers
            .insert(7, Names::parse(b"node:x:1000:1000::/:/bin/sh\n", b""));
        users.select_container(7, 0, 1);
        assert_eq!(users.user(1000).unwrap().name, "node");
        users.select_container(8, 0, 1);
        assert_eq!(users.user(1000), None, "the host's alice is nobody there");
        users.select_host();
        assert_eq!(users.user(1000).unwrap().name, "alice");
    }
}
