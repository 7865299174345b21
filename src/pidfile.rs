//! `-P FILE`: the process id, for as long as the process runs.

use std::io;
use std::path::{Path, PathBuf};

/// A file with this process's id; removed with this value.
#[derive(Debug)]
pub(crate) struct Pidfile {
    path: PathBuf,
}

impl Pidfile {
    /// Writes the file, replacing one that a killed process left.
    pub(crate) fn write(path: &Path) -> io::Result<Pidfile> {
        std::fs::write(path, format!("{}\n", std::process::id()))?;
        Ok(Pidfile {
            path: path.to_owned(),
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
    fn a_file_taken_over_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lanner.pid");
        let pidfile = Pidfile::write(&path).unwrap();
        std::fs::write(&path, "1\n").unwrap();
        drop(pidfile);
        assert!(path.exists());
    }
}
