//! Where the host is seen from where Lanner runs.
//!
//! In a container the host's `/proc`, `/etc` and `/sys` are mounted below a folder that the environment variable `HOST_ROOT`
//! names, as in Falco's image. Whoever reads a file of the host reads it there; names that are shown stay the host's.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The variable that says so.
pub const VARIABLE: &str = "HOST_ROOT";

/// Where the host's `/` is; empty when Lanner runs on the host itself. A folder without the host's `/proc` is not taken for
/// it: see [`missing`].
pub fn host_root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| named().filter(|root| has_processes(root)).unwrap_or_default())
}

/// The folder that the environment names and that is no host's `/`.
pub fn missing() -> Option<PathBuf> {
    named().filter(|root| !has_processes(root))
}

/// Where a file of the host is, whose path there is this.
pub fn on_host(path: &Path) -> Cow<'_, Path> {
    below(host_root(), path)
}

fn named() -> Option<PathBuf> {
    let root = PathBuf::from(std::env::var_os(VARIABLE)?);
    (root.is_absolute() && root != Path::new("/")).then_some(root)
}

fn has_processes(root: &Path) -> bool {
    root.join("proc/1/mountinfo").exists()
}

fn below<'p>(root: &Path, path: &'p Path) -> Cow<'p, Path> {
    match path.strip_prefix("/") {
        Ok(relative) if !root.as_os_str().is_empty() => Cow::Owned(root.join(relative)),
        _ => Cow::Borrowed(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_host_lie_below_its_root() {
        let path =
            |root: &str, path: &str| below(root.as_ref(), path.as_ref()).to_string_lossy().into_owned();
        assert_eq!(path("", "/etc/passwd"), "/etc/passwd");
        assert_eq!(path("/host", "/etc/passwd"), "/host/etc/passwd");
        assert_eq!(path("/host", "relative"), "relative");
    }
}
