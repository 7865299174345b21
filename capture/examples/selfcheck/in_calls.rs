//! Calls that leave no file behind, by a link that is made and used at once and gone when the call has returned, as is the
//! name of the directory that it led to: only who notes what the call works on knows that.

use super::credentials::results_of;
use super::*;

/// What a call is given to get at: the link `names/now`, and where it leads meanwhile.
const LINK: &str = "now";
const MEANT: &str = "deep/er";

/// Such calls, in one folder.
struct Ways<'a> {
    dir: &'a str,
    here: c_int,
    /// Of how many calls the directory has been renamed.
    count: std::cell::Cell<u32>,
}

/// An expectation that only holds where calls are noted.
fn expect_noted(event: &str, params: &[(&str, &str)]) {
    print!("noted ");
    expect(event, params);
}

impl Ways<'_> {
    /// Makes a call, given the path of `name` by the link. `paths`: the keys of what it was passed and of the kernel's name,
    /// as far as they are about the link, and what is behind `name` in the latter.
    fn call(
        &self,
        event: &str,
        name: &str,
        keys: &[(&str, &str)],
        call: impl FnOnce(*const libc::c_char) -> i64,
    ) -> Result<()> {
        let dir = format!("{}/names", self.dir);
        std::fs::create_dir_all(format!("{dir}/{MEANT}"))?;
        let passed = c(&format!("names/{LINK}/{name}"))?;
        let link = format!("{dir}/{LINK}");
        std::os::unix::fs::symlink(MEANT, &link)?;
        let result = call(passed.as_ptr());
        std::fs::remove_file(&link)?;
        let number = self.count.replace(self.count.get() + 1);
        std::fs::rename(format!("{dir}/{MEANT}"), format!("{dir}/deep/{number}"))?;
        if result == -38 {
            println!("omit {event} is no call of this kernel");
            return Ok(());
        }
        assert_eq!(result, 0, "{event} {name}");
        let (requested, real) = (format!("{dir}/{LINK}/{name}"), format!("{dir}/{MEANT}/{name}"));
        let mut params = vec![("res", "0"), ("differ", "true")];
        for (requested_key, real_key) in keys {
            params.extend([(*requested_key, requested.as_str()), (*real_key, real.as_str())]);
        }
        expect_noted(event, &params);
        Ok(())
    }

    /// The same of a file that is there.
    fn of_file(&self, event: &str, call: impl FnOnce(*const libc::c_char) -> i64) -> Result<()> {
        let folder = format!("{}/names/{MEANT}", self.dir);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(format!("{folder}/file"), "")?;
        self.call(event, "file", FIRST, call)
    }

    /// The same of a directory that is there.
    fn of_directory(&self, event: &str, call: impl FnOnce(*const libc::c_char) -> i64) -> Result<()> {
        std::fs::create_dir_all(format!("{}/names/{MEANT}/folder", self.dir))?;
        self.call(event, "folder", FIRST, call)
    }
}

const FIRST: &[(&str, &str)] = &[("requested", "real")];
const SECOND: &[(&str, &str)] = &[("requested.2", "real.2")];

/// Those that are checked with the calls a state needs.
pub(crate) fn in_calls(dir: &str, here: c_int) -> Result<()> {
    let ways = Ways::new(dir, here);
    let none = std::ptr::null::<libc::c_char>();
    let other = c(&format!("{dir}/names/other"))?;
    let other = other.as_ptr();
    ways.call("mkdir", "one", FIRST, |path| sys!(libc::SYS_mkdir, path, 0o700))?;
    ways.call("mkdirat", "one", FIRST, |path| {
        sys!(libc::SYS_mkdirat, here, path, 0o700)
    })?;
    ways.of_directory("rmdir", |path| sys!(libc::SYS_rmdir, path))?;
    ways.of_file("unlink", |path| sys!(libc::SYS_unlink, path))?;
    ways.of_file("unlinkat", |path| sys!(libc::SYS_unlinkat, here, path, 0))?;
    ways.of_directory("unlinkat", |path| {
        sys!(libc::SYS_unlinkat, here, path, libc::AT_REMOVEDIR)
    })?;
    let target = c"/no/where".as_ptr();
    ways.call("symlink", "new", FIRST, |path| {
        sys!(libc::SYS_symlink, target, path)
    })?;
    ways.call("symlinkat", "new", FIRST, |path| {
        sys!(libc::SYS_symlinkat, target, here, path)
    })?;
    std::fs::write(format!("{dir}/names/other"), "")?;
    ways.call("link", "new", SECOND, |path| sys!(libc::SYS_link, other, path))?;
    ways.call("linkat", "new", SECOND, |path| {
        sys!(libc::SYS_linkat, here, other, here, path, 0)
    })?;
    ways.call("rename", "new", SECOND, |path| {
        sys!(libc::SYS_rename, other, path)
    })?;
    ways.of_file("rename", |path| sys!(libc::SYS_rename, path, other))?;
    ways.of_file("renameat", |path| {
        sys!(libc::SYS_renameat, here, path, here, other)
    })?;
    ways.call("renameat2", "new", SECOND, |path| {
        sys!(
            libc::SYS_renameat2,
            here,
            other,
            here,
            path,
            libc::RENAME_NOREPLACE
        )
    })?;
    ways.of_file("chmod", |path| sys!(libc::SYS_chmod, path, 0o600))?;
    ways.of_file("fchmodat", |path| sys!(libc::SYS_fchmodat, here, path, 0o600))?;
    mounts(&ways, none)?;
    compat(&ways)
}

/// Those of the calls that no state needs.
pub(crate) fn plain(dir: &str) -> Result<()> {
    std::env::set_current_dir(dir)?;
    let here = std::fs::File::open(".")?;
    let here = here.as_raw_fd();
    std::fs::create_dir_all("names")?;
    let ways = Ways::new(dir, here);
    let mode = libc::S_IFIFO | 0o600;
    ways.call("mknod", "new", FIRST, |path| sys!(libc::SYS_mknod, path, mode, 0))?;
    ways.call("mknodat", "new", FIRST, |path| {
        sys!(libc::SYS_mknodat, here, path, mode, 0)
    })?;
    ways.of_file("chown", |path| sys!(libc::SYS_chown, path, 0, 0))?;
    ways.of_file("lchown", |path| sys!(libc::SYS_lchown, path, 0, 0))?;
    ways.of_file("fchownat", |path| sys!(libc::SYS_fchownat, here, path, 0, 0, 0))?;
    ways.of_file("fchmodat2", |path| sys!(SYS_FCHMODAT2, here, path, 0o600, 0))?;
    ways.of_file("truncate", |path| sys!(libc::SYS_truncate, path, 7))?;
    Ok(())
}

/// On every architecture.
const SYS_FCHMODAT2: c_long = 452;

impl<'a> Ways<'a> {
    fn new(dir: &'a str, here: c_int) -> Ways<'a> {
        Ways {
            dir,
            here,
            count: std::cell::Cell::new(0),
        }
    }
}

/// A mount that is made and taken away by a link each, in a child that has mounts of its own.
fn mounts(ways: &Ways<'_>, none: *const libc::c_char) -> Result<()> {
    let folder = format!("{}/names/mounted", ways.dir);
    std::fs::create_dir_all(&folder)?;
    let results = results_of(|| {
        assert_eq!(sys!(libc::SYS_unshare, libc::CLONE_NEWNS), 0);
        let flags = libc::MS_REC | libc::MS_PRIVATE;
        assert_eq!(sys!(libc::SYS_mount, none, c"/".as_ptr(), none, flags, none), 0);
        let by_link = |call: &dyn Fn(*const libc::c_char) -> i64| {
            assert!(std::os::unix::fs::symlink("mounted", "names/now").is_ok());
            let result = call(c"names/now".as_ptr());
            assert!(std::fs::remove_file("names/now").is_ok());
            result
        };
        let tmpfs = c"tmpfs".as_ptr();
        [
            by_link(&|path| sys!(libc::SYS_mount, tmpfs, path, tmpfs, 0, none)),
            by_link(&|path| sys!(libc::SYS_umount2, path, 0)),
        ]
    });
    assert_eq!(results, [0, 0]);
    let requested = format!("{}/names/{LINK}", ways.dir);
    for event in ["@mount", "@umount2"] {
        expect_noted(
            event,
            &[("res", "0"), ("requested", &requested), ("real", &folder)],
        );
    }
    Ok(())
}

/// The same by a call in the 32-bit convention.
#[cfg(target_arch = "x86_64")]
fn compat(ways: &Ways<'_>) -> Result<()> {
    const UNLINKAT: u32 = 301;
    let Some(call) = super::compat::available() else {
        println!("skip this kernel takes no calls in the 32-bit convention");
        return Ok(());
    };
    // SAFETY: a new mapping that nobody else uses.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            4096,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
            -1,
            0,
        )
    };
    assert_ne!(page, libc::MAP_FAILED);
    ways.of_file("unlinkat", |path| {
        // SAFETY: the page is larger than the path, and both are there.
        unsafe { libc::strcpy(page.cast(), path) };
        let at = page as u32;
        let here = ways.here.cast_unsigned();
        call(UNLINKAT, [here, at, 0, 0, 0, 0]).into()
    })?;
    Ok(())
}

#[cfg(not(target_arch = "x86_64"))]
fn compat(_: &Ways<'_>) -> Result<()> {
    Ok(())
}
