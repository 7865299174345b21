//! The files and directories that configuration and rules come from: what is in them, and word when that changes.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Component, Path, PathBuf};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// What happens when a file is written or replaced, or a link is made to point elsewhere: to names in a directory, and to a
/// watched file itself, for one that is mounted alone is written by names that are not in its directory here.
const HAPPENS: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_DELETE_SELF);
/// The directory or file is no longer where it was.
const GONE: AddWatchFlags = AddWatchFlags::IN_MOVE_SELF
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_Q_OVERFLOW);

/// Links that are followed from one path; a loop ends there.
const LINKS: usize = 40;
/// The most of a file that is compared.
const COMPARED: u64 = 64 << 20;

/// What files hold, to tell whether it has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Contents(HashMap<PathBuf, u64>);

impl Contents {
    /// Looks at files, and at the files in directories. What is neither is not looked at: reading a pipe takes what it has.
    pub(crate) fn of(places: &[PathBuf]) -> Contents {
        let mut files = HashMap::new();
        for place in places {
            files.insert(place.clone(), hash(place));
            let entries = fs::read_dir(place).into_iter().flatten().flatten();
            for path in entries.map(|entry| entry.path()) {
                files.insert(path.clone(), hash(&path));
            }
        }
        Contents(files)
    }

    /// Whether a file that is in both has another content, or one of `places` has other files.
    pub(crate) fn differ(&self, other: &Contents) -> bool {
        let of_both = |path: &PathBuf| {
            let parent = path.parent().map(Path::to_owned);
            let known = |contents: &Contents| {
                parent
                    .as_ref()
                    .is_some_and(|parent| contents.0.contains_key(parent))
            };
            self.0.contains_key(path) && other.0.contains_key(path) || known(self) && known(other)
        };
        let paths: HashSet<&PathBuf> = self.0.keys().chain(other.0.keys()).collect();
        paths
            .into_iter()
            .filter(|path| of_both(path))
            .any(|path| self.0.get(path) != other.0.get(path))
    }
}

/// A number for what is there: content, or that it is nothing, a directory or something else.
fn hash(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    match fs::metadata(path) {
        Ok(facts) if facts.is_file() => {
            let mut bytes = Vec::new();
            let read = fs::File::open(path).and_then(|file| file.take(COMPARED).read_to_end(&mut bytes));
            (read.is_ok(), bytes).hash(&mut hasher);
        }
        Ok(facts) if facts.is_dir() => "directory".hash(&mut hasher),
        Ok(_) => "special".hash(&mut hasher),
        Err(error) => error.raw_os_error().hash(&mut hasher),
    }
    hasher.finish()
}

/// What of a watched inode matters.
#[derive(Debug, Default)]
struct Wanted {
    /// Whatever happens.
    all: bool,
    /// What happens to these names.
    names: BTreeSet<OsString>,
}

/// Watches places.
#[derive(Debug)]
pub(crate) struct Places {
    inotify: Inotify,
    wanted: HashMap<WatchDescriptor, Wanted>,
}

impl Places {
    /// Watches these places and, of those that are not there, where they would appear.
    ///
    /// # Errors
    /// When the kernel has no instance of inotify left. A directory that can't be watched is logged and left out.
    pub(crate) fn watch(places: &[PathBuf]) -> io::Result<Places> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let mut watched = Places {
            inotify,
            wanted: HashMap::new(),
        };
        for place in places {
            watched.add(place);
        }
        Ok(watched)
    }

    fn add(&mut self, place: &Path) {
        for (directory, name) in steps(place) {
            self.want(&directory, Some(name));
        }
        match fs::metadata(place) {
            Ok(facts) if facts.is_dir() => {
                self.want(place, None);
                let entries = fs::read_dir(place).into_iter().flatten().flatten();
                for path in entries.map(|entry| entry.path()) {
                    if path.is_file() {
                        self.want(&path, None);
                    }
                }
            }
            Ok(facts) if facts.is_file() => self.want(place, None),
            _ => {}
        }
    }

    fn want(&mut self, path: &Path, name: Option<OsString>) {
        match self.inotify.add_watch(path, HAPPENS) {
            Ok(descriptor) => {
                let wanted = self.wanted.entry(descriptor).or_default();
                match name {
                    Some(name) => _ = wanted.names.insert(name),
                    None => wanted.all = true,
                }
            }
            // Gone again, and its directory is watched.
            Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR) => {}
            Err(error) => tracing::warn!("{} can't be watched for changes: {error}", path.display()),
        }
    }

    /// Takes what has happened so far; true when it may have changed one of the places.
    pub(crate) fn changed(&self) -> bool {
        let mut changed = false;
        while let Ok(events) = self.inotify.read_events() {
            changed |= events.iter().any(|event| {
                let wanted = self.wanted.get(&event.wd);
                let is_named = |wanted: &Wanted| {
                    wanted.all
                        || event
                            .name
                            .as_ref()
                            .is_some_and(|name| wanted.names.contains(name))
                };
                event.mask.intersects(GONE) || wanted.is_some_and(is_named)
            });
        }
        changed
    }
}

impl AsFd for Places {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// Every directory and the name in it by which `place` is found: where it is, where the links on the way to it are, and
/// where what is missing on the way would appear.
fn steps(place: &Path) -> Vec<(PathBuf, OsString)> {
    let Ok(place) = std::path::absolute(place) else {
        return Vec::new();
    };
    let mut steps = Vec::new();
    let mut here = PathBuf::from("/");
    let mut links = 0;
    let mut left: VecDeque<OsString> = parts(&place);
    while let Some(part) = left.pop_front() {
        if part == ".." {
            here.pop();
            continue;
        }
        let path = here.join(&part);
        match fs::symlink_metadata(&path) {
            Ok(facts) if facts.is_symlink() && links < LINKS => {
                links += 1;
                steps.push((here.clone(), part));
                let Ok(target) = fs::read_link(&path) else { break };
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                for part in parts(&target).into_iter().rev() {
                    left.push_front(part);
                }
            }
            Ok(_) if left.is_empty() => steps.push((here.clone(), part)),
            Ok(_) => here = path,
            Err(_) => {
                steps.push((here.clone(), part));
                break;
            }
        }
    }
    steps
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Says whether `act` is noticed, and whether contents differ afterwards.
    fn noticed(place: &Path, act: impl FnOnce()) -> (bool, bool) {
        let places = [place.to_owned()];
        let watched = Places::watch(&places).unwrap();
        let before = Contents::of(&places);
        act();
        (watched.changed(), before.differ(&Contents::of(&places)))
    }

    #[test]
    fn what_editors_and_config_maps_do_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rules.yaml");
        let yes = (true, true);
        assert_eq!(noticed(&file, || fs::write(&file, "a").unwrap()), yes, "made");
        assert_eq!(
            noticed(&file, || fs::write(&file, "b").unwrap()),
            yes,
            "written in place"
        );
        let beside = dir.path().join("rules.yaml.new");
        let replace = || {
            fs::write(&beside, "c").unwrap();
            fs::rename(&beside, &file).unwrap();
        };
        assert_eq!(noticed(&file, replace), yes, "replaced");
        assert_eq!(noticed(&file, || fs::remove_file(&file).unwrap()), yes, "removed");
        assert_eq!(
            noticed(&file, || fs::write(dir.path().join("other"), "x").unwrap()),
            (false, false),
            "a neighbour"
        );
        let same = || {
            fs::write(&file, "d").unwrap();
        };
        same();
        assert_eq!(noticed(&file, same), (true, false), "written as it was");

        // A ConfigMap: ..data is a link to a directory, and is replaced.
        let mounted = dir.path().join("mounted");
        for (version, text) in [("..1", "one"), ("..2", "two")] {
            fs::create_dir_all(mounted.join(version)).unwrap();
            fs::write(mounted.join(version).join("custom.yaml"), text).unwrap();
        }
        symlink("..1", mounted.join("..data")).unwrap();
        symlink("..data/custom.yaml", mounted.join("custom.yaml")).unwrap();
        let swap = |to: &str| {
            symlink(to, mounted.join("..data_tmp")).unwrap();
            fs::rename(mounted.join("..data_tmp"), mounted.join("..data")).unwrap();
        };
        assert_eq!(noticed(&mounted.join("custom.yaml"), || swap("..2")), yes);
        assert_eq!(noticed(&mounted, || swap("..1")), yes);
    }

    #[test]
    fn a_place_that_is_not_there_is_noticed_when_it_comes() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("etc/lanner/rules.d");
        let make = || fs::create_dir_all(&deep).unwrap();
        assert_eq!(noticed(&deep, make), (true, true));
        assert_eq!(
            noticed(&deep, || fs::write(deep.join("a.yaml"), "x").unwrap()),
            (true, true)
        );
    }

    #[test]
    fn links_and_missing_parts_are_steps() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir(root.join("real")).unwrap();
        symlink("real", root.join("link")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        assert_eq!(
            steps(&root.join("link/a/b")),
            [(root.clone(), "link".into()), (root.join("real"), "a".into())]
        );
        assert!(steps(&root.join("loop/a")).len() > LINKS, "a loop ends");
    }
}
