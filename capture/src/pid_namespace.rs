//! Whose numbers processes have: the kernel's programs know them as the first pid namespace does, and /proc as the one it
//! was mounted in. In a container, and in a node that is a container (kind), those differ, and a number looked up in such a
//! /proc is another process or none.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The inode of the first pid namespace (`PROC_PID_INIT_INO`).
const FIRST: u64 = 0xeffffffc;

/// True when this process is in the first pid namespace, so that its id is the kernel's.
pub(crate) fn is_first() -> bool {
    // Without /proc nothing else is known of processes, either.
    namespace(Path::new("/proc"), "self").is_none_or(|namespace| namespace == FIRST)
}

/// True unless this process is in a user namespace of its own.
pub(crate) fn is_of_first_users() -> bool {
    const FIRST_USERS: u64 = 0xeffffffd; // PROC_USER_INIT_INO (include/linux/proc_ns.h)
    let namespace = fs::metadata("/proc/self/ns/user");
    namespace.map_or(true, |namespace| namespace.ino() == FIRST_USERS)
}

/// True when a procfs numbers processes as the kernel does.
pub(crate) fn is_of_procfs(procfs: &Path) -> bool {
    // Its first process is in its namespace, and nobody of the first is seen in another's. Where the first process may not be
    // asked, the second can (the kernel's own), or it is told by what we are ourselves, when we are in its namespace: then it
    // has one number for us.
    if namespace(procfs, "2") == Some(FIRST) {
        return true;
    }
    let namespace = namespace(procfs, "1").or_else(|| {
        let status = fs::read_to_string(procfs.join("self/status")).ok()?;
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        (numbers.split_whitespace().count() == 1).then(|| namespace(procfs, "self"))?
    });
    namespace == Some(FIRST)
}

/// True when a procfs numbers processes as this process's own namespace does.
pub(crate) fn is_own(procfs: &Path) -> bool {
    // Each namespace below the procfs's own adds a number to those it shows of us.
    let status = fs::read_to_string(procfs.join("self/status")).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.is_some_and(|numbers| numbers.split_whitespace().count() == 1)
}

fn namespace(procfs: &Path, process: &str) -> Option<u64> {
    let namespace = fs::metadata(procfs.join(process).join("ns/pid")).ok()?;
    Some(namespace.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_procfs_of_another_namespace_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_of_procfs(folder.path()));
        for process in ["1", "self"] {
            let namespaces = folder.path().join(process).join("ns");
            fs::create_dir_all(&namespaces).unwrap();
            fs::write(namespaces.join("pid"), "").unwrap();
        }
        fs::write(folder.path().join("self/status"), "NSpid:\t7\n").unwrap();
        assert!(!is_of_procfs(folder.path()));
        assert_eq!(is_first(), is_of_procfs(Path::new("/proc")));
        assert!(is_own(Path::new("/proc")) && is_own(folder.path()));
        fs::write(folder.path().join("self/status"), "NSpid:\t712\t7\n").unwrap();
        assert!(!is_own(folder.path()), "it is an outer one's");
    }
}
