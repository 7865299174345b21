//! What is mounted where (proc_pid_mountinfo(5)), and which of it is watched.

use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// A mount, as a process sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Its own number.
    pub(super) number: u64,
    /// Number of its file system's device, `major:minor`.
    pub(super) device: Box<str>,
    /// What of the file system is mounted: a path in it.
    pub(super) root: Box<[u8]>,
    /// Where.
    pub(super) point: Box<[u8]>,
    /// The kind of the file system.
    pub(super) kind: Box<str>,
    /// Of an overlay that can be written to: the directory that what is written goes to, and the one it makes things ready
    /// in, as whoever mounted it called them.
    pub(super) upper: Option<[Box<[u8]>; 2]>,
}

/// Whether the files of a file system are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched {
    /// They are.
    Yes,
    /// They are the kernel's words, not files: nobody watches them by marks.
    Kernel,
    /// Opening one, which fanotify does for its reader, may wait for ever for somebody else.
    Remote,
}

/// File systems of the kernel's own.
const KERNEL: [&str; 22] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "efivarfs",
    "fusectl",
    "mqueue",
    "nfsd",
    "nsfs",
    "pidfs",
    "pipefs",
    "proc",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];
/// File systems whose files others keep.
const REMOTE: [&str; 12] = [
    "9p",
    "afs",
    "ceph",
    "cifs",
    "coda",
    "gfs2",
    "glusterfs",
    "lustre",
    "nfs",
    "nfs4",
    "smb3",
    "virtiofs",
];

impl Mount {
    /// The mounts of a mountinfo. Lines of another form are left out.
    pub(super) fn all(mountinfo: &[u8]) -> Vec<Mount> {
        let lines = mountinfo.split(|byte| *byte == b'\n');
        lines.filter_map(Mount::read).collect()
    }

    fn read(line: &[u8]) -> Option<Mount> {
        let end = memchr::memmem::find(line, b" - ")?;
        let mut left = line[..end].split(|byte| *byte == b' ');
        let number = std::str::from_utf8(left.next()?).ok()?.parse().ok()?;
        let mut left = left.skip(1);
        let (device, root, point) = (left.next()?, left.next()?, left.next()?);
        let mut behind = line[end + 3..].split(|byte| *byte == b' ');
        let kind = behind.next()?;
        let options = behind.nth(1).filter(|_| kind == b"overlay");
        let option = |name: &[u8]| {
            let mut options = options?.split(|byte| *byte == b',');
            let value = options.find_map(|one| one.strip_prefix(name))?;
            Some(unescape(value).into())
        };
        let upper = option(b"upperdir=").zip(option(b"workdir="));
        Some(Mount {
            number,
            device: std::str::from_utf8(device).ok()?.into(),
            root: unescape(root).into(),
            point: unescape(point).into(),
            kind: std::str::from_utf8(kind).ok()?.into(),
            upper: upper.map(|(upper, work)| [upper, work]),
        })
    }

    /// Files of others are in it, under one name each.
    pub(super) fn is_overlay(&self) -> bool {
        &*self.kind == "overlay"
    }

    /// Whether its files are watched.
    pub(super) fn watched(&self) -> Watched {
        // `fuse.sshfs` and its kin; `fuseblk` is a program's, too.
        let kind = &*self.kind;
        if KERNEL.contains(&kind) {
            Watched::Kernel
        } else if REMOTE.contains(&kind) || kind == "fuse" || kind == "fuseblk" || kind.starts_with("fuse.") {
            Watched::Remote
        } else {
            Watched::Yes
        }
    }

    /// Where it is mounted.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(std::ffi::OsString::from_vec(self.point.to_vec()))
    }

    /// How a path within the file system is called where this is mounted; `None` for what it does not show.
    fn name_of(&self, inner: &[u8]) -> Option<Vec<u8>> {
        let below = below(inner, &self.root)?;
        Some(join(&self.point, below))
    }

    /// The path within the file system of what this mount shows under a name.
    pub(super) fn inner(&self, name: &[u8]) -> Option<Vec<u8>> {
        Some(join(&self.root, below(name, &self.point)?))
    }
}

/// How whoever sees these mounts calls what has this path within the file system of a device: as the mount has it that
/// shows least beside it.
pub(super) fn name_among(mounts: &[Mount], device: &str, inner: &[u8]) -> Option<Vec<u8>> {
    let own = mounts.iter().filter(|mount| *mount.device == *device);
    let shows = own.filter(|mount| below(inner, &mount.root).is_some());
    shows.max_by_key(|mount| mount.root.len())?.name_of(inner)
}

/// What of `path` is below `base`: empty, or from a slash on.
pub(super) fn below<'p>(path: &'p [u8], base: &[u8]) -> Option<&'p [u8]> {
    let base = base.strip_suffix(b"/").unwrap_or(base);
    let rest = path.strip_prefix(base)?;
    let rest = if rest == b"/" { b"" } else { rest };
    (rest.is_empty() || rest.starts_with(b"/")).then_some(rest)
}

fn join(base: &[u8], below: &[u8]) -> Vec<u8> {
    let base = base.strip_suffix(b"/").unwrap_or(base);
    let mut path = [base, below].concat();
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

/// Undoes the octal escapes of space, tab, newline and backslash.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        let escaped = match behind {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if first == b'\\' => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        out.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &behind[3..] } else { behind };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &[u8] = b"\
29 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
30 29 0:5 / /dev rw,nosuid shared:2 - devtmpfs udev rw\n\
31 29 0:22 / /proc rw shared:3 - proc proc rw\n\
40 29 254:0 /srv/a\\040b /mnt/x\\134y rw - ext4 /dev/vda rw\n\
41 29 0:60 / /home/me/far rw - fuse.sshfs far: rw\n\
42 29 0:61 /../.. /odd rw - nfs4 server:/ rw\n\
no mount\n";

    fn mounts() -> Vec<Mount> {
        Mount::all(MOUNTINFO)
    }

    #[test]
    fn lines_are_mounts_and_escapes_are_bytes() {
        let mounts = mounts();
        assert_eq!(mounts.len(), 6);
        assert_eq!((mounts[0].number, mounts[3].number), (29, 40));
        assert_eq!((&*mounts[0].device, &*mounts[0].kind), ("254:0", "ext4"));
        assert_eq!(
            (&*mounts[3].root, &*mounts[3].point),
            (&b"/srv/a b"[..], &b"/mnt/x\\y"[..])
        );
    }

    #[test]
    fn an_overlay_says_where_it_is_written_to() {
        let line = |options: &str| {
            let line = format!("75 72 0:43 / /mnt/m rw - overlay o rw,{options}\n");
            Mount::all(line.as_bytes()).remove(0).upper
        };
        assert_eq!(
            line("lowerdir=/etc,upperdir=/a\\040b/fs,workdir=/a\\040b/work,uuid=on"),
            Some([b"/a b/fs"[..].into(), b"/a b/work"[..].into()])
        );
        assert_eq!(line("lowerdir=/etc:/usr"), None);
        assert!(mounts().iter().all(|mount| mount.upper.is_none()));
    }

    #[test]
    fn what_is_the_kernels_or_may_wait_for_others_is_not_watched() {
        let watched: Vec<Watched> = mounts().iter().map(Mount::watched).collect();
        use Watched::{Kernel, Remote, Yes};
        assert_eq!(watched, [Yes, Yes, Kernel, Yes, Remote, Remote]);
    }

    #[test]
    fn what_is_mounted_in_part_is_called_as_that_part_is() {
        let mounts = mounts();
        let name = |inner: &str| {
            name_among(&mounts, "254:0", inner.as_bytes()).map(|n| String::from_utf8(n).unwrap())
        };
        assert_eq!(name("/etc/shadow").as_deref(), Some("/etc/shadow"));
        assert_eq!(name("/").as_deref(), Some("/"));
        assert_eq!(name("/srv/a b/c").as_deref(), Some("/mnt/x\\y/c"));
        assert_eq!(name("/srv/a bc").as_deref(), Some("/srv/a bc"));
        assert_eq!(name_among(&mounts, "254:9", b"/etc"), None);
        assert_eq!(
            mounts[3].inner(b"/mnt/x\\y/c").as_deref(),
            Some(&b"/srv/a b/c"[..])
        );
        assert_eq!(mounts[3].inner(b"/mnt/other"), None);
    }
}
