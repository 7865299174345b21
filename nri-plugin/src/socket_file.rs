//! What is where a socket should be.

use std::fs::{self, FileType};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// What is at `path` when it is there and no socket, in words: a connection to it is refused as one is while nobody listens,
/// and waiting would not help.
pub(crate) fn in_the_way(path: &Path) -> Option<String> {
    let kind = fs::metadata(path).ok()?.file_type();
    (!kind.is_socket()).then(|| format!("{} is {}, not a socket", path.display(), word(kind)))
}

fn word(kind: FileType) -> &'static str {
    match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_file() => "a file",
        _ => "a device or a pipe",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_socket_is_named_and_what_is_not_there_may_come() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(in_the_way(&at("none")), None);
        let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert_eq!(in_the_way(&at("socket")), None);
        fs::write(at("file"), "").unwrap();
        assert!(
            in_the_way(&at("file"))
                .unwrap()
                .ends_with("/file is a file, not a socket")
        );
        assert!(
            in_the_way(folder.path())
                .unwrap()
                .ends_with(" is a folder, not a socket")
        );
        assert!(in_the_way("/dev/null".as_ref()).unwrap().contains("a device"));
    }
}
