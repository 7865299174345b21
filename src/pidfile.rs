//! `-P FILE`: the process id, for as long as the process runs.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// A file with this process's id, locked and in the end removed with this value.
#[derive(Debug)]
pub(crate) struct Pidfile {
    path: PathBuf,
    /// Holds the lock.
    _file: File,
}

impl Pidfile {
    /// Writes the file, replacing one that a killed process left.
    ///
    /// Whether its process lives is told by the lock, which ends with the process: the id in the file may by now be that
    /// of another.
    ///
    /// # Errors
    /// When another Lanner holds the file, or it can't be written.
    pub(crate) fn write(path: &Path) -> anyhow::Result<Pidfile> {
        let refuse = || format!("cannot write the pidfile {}", path.display());
        let mut options = File::options();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(refuse)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut id = String::new();
                let _ = file.take(20).read_to_string(&mut id);
                bail!(
                    "another Lanner runs with process id {} and the pidfile {}: stop it first, or name another file with -P",
                    id.trim(),
                    path.display()
                );
            }
            // A file system without locks: the file alone has to do.
            Err(TryLockError::Error(error)) => tracing::debug!("{} can't be locked: {error}", path.display()),
        }
        // What is no regular file (/dev/null) can't be cut, and has no length.
        let length = file.metadata().with_context(refuse)?.len();
        let emptied = if length > 0 { file.set_len(0) } else { Ok(()) };
        emptied
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .with_context(refuse)?;
        Ok(Pidfile {
            path: path.to_owned(),
            _file: file,
        })
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        // Another process may have taken the file over; then it is not ours to remove.
        let ours = std::fs::read_to_string(&self.path)
            .is_ok_and(|text| text.trim() == std::process::id().to_string());
        if ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_lives_as_long_as_the_value() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lanner.pid");
        std::fs::write(&path, "99999999\n").unwrap();
        let pidfile = Pidfile::write(&path).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            format!("{}\n", std::process::id())
        );
        drop(pidfile);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_is_held_is_refused_and_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lanner.pid");
        let held = Pidfile::write(&path).unwrap();
        let error = Pidfile::write(&path).unwrap_err().to_string();
        let id = std::process::id().to_string();
        assert!(
            error.starts_with(&format!("another Lanner runs with process id {id} ")),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap().trim(), id);
        drop(held);
        assert!(Pidfile::write(&path).is_ok());
    }

    #[test]
    fn a_file_taken_over_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lanner.pid");
        let pidfile = Pidfile::write(&path).unwrap();
        std::fs::write(&path, "1\n").unwrap();
        drop(pidfile);
        assert!(path.exists());
    }
}
