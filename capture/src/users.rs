//! The host's users and groups, from its passwd and group files.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lanner_schema::process::User;

use crate::id_map::IdMap;

/// Users and groups by id.
#[derive(Debug)]
pub(crate) struct Users {
    passwd: PathBuf,
    group: PathBuf,
    read_at: [Option<SystemTime>; 2],
    users: IdMap<u32, User>,
    groups: IdMap<u32, String>,
}

impl Users {
    /// Reads the files below `etc`.
    pub(crate) fn read(etc: &Path) -> Users {
        let mut users = Users {
            passwd: etc.join("passwd"),
            group: etc.join("group"),
            read_at: [None; 2],
            users: HashMap::default(),
            groups: HashMap::default(),
        };
        users.refresh();
        users
    }

    /// Reads the files again when they changed.
    pub(crate) fn refresh(&mut self) {
        let changed = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
        let now = [changed(&self.passwd), changed(&self.group)];
        if now == self.read_at && now[0].is_some() {
            return;
        }
        self.read_at = now;
        self.users = lines(&self.passwd, |fields| {
            let [name, _, uid, _, _, home, shell, ..] = fields else {
                return None;
            };
            let user = User {
                name: (*name).into(),
                home: (*home).into(),
                shell: (*shell).into(),
            };
            Some((uid.parse().ok()?, user))
        });
        self.groups = lines(&self.group, |fields| {
            let [name, _, gid, ..] = fields else { return None };
            Some((gid.parse().ok()?, (*name).to_owned()))
        });
    }

    pub(crate) fn user(&self, uid: u32) -> Option<&User> {
        self.users.get(&uid)
    }

    pub(crate) fn group(&self, gid: u32) -> Option<&str> {
        self.groups.get(&gid).map(String::as_str)
    }
}

/// Reads a colon-separated file; of two lines with one id the first counts, as in getpwuid(3).
fn lines<T>(path: &Path, row: impl Fn(&[&str]) -> Option<(u32, T)>) -> IdMap<u32, T> {
    let text = fs::read(path).unwrap_or_default();
    let mut map = IdMap::default();
    for line in String::from_utf8_lossy(&text).lines() {
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
}
