//! What Lanner knows of a process. Filled by capture, read by the engine's fields.

use std::sync::Arc;

use crate::loader;
use crate::text::Text;

/// The program a process runs: what `execve` sets, shared with children until they run one of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Image {
    /// Name of the task (`comm`, at most 15 bytes): `proc.name`.
    pub comm: Text,
    /// `argv[0]`: `proc.exe`.
    pub exe: Text,
    /// Path of the executable, from the kernel's `mm->exe_file`, relative to the process's root: `proc.exepath`.
    pub exepath: Text,
    /// Path of the program that the dynamic loader was told to run ([`crate::loader`]); empty when the executable is no
    /// loader: then it is the program.
    pub loaded: Text,
    /// `argv[1..]`, each ended by NUL.
    pub args: Text,
    /// `comm`, a space and `argv[1..]` joined by spaces (just `comm` without arguments): `proc.cmdline`.
    pub cmdline: Text,
    /// The environment, each `KEY=value` ended by NUL; empty unless a rule reads it.
    pub env: Box<[u8]>,
    /// Inode number of the executable; 0 when unknown.
    pub exe_ino: u64,
    /// When that inode was last changed, nanoseconds since the epoch; 0 when unknown.
    pub exe_ctime: u64,
    /// When the executable was last written to, nanoseconds since the epoch; 0 when unknown.
    pub exe_mtime: u64,
    /// Bits of [`crate::flags::EXECVE_FLAGS`].
    pub exec_flags: u32,
    /// True when the arguments were longer than what was kept.
    pub args_cut: bool,
    /// True when the environment was.
    pub env_cut: bool,
}

impl Image {
    /// Builds an image and its joined command line. `argv` is NUL-separated, `argv[0]` first.
    pub fn new(comm: &[u8], argv: &[u8], exepath: &[u8], env: &[u8]) -> Image {
        let (exe, args) = match argv.iter().position(|b| *b == 0) {
            Some(end) => (&argv[..end], &argv[end + 1..]),
            None => (argv, &[][..]),
        };
        // A blank before each argument for the NUL behind it, which the last may lack.
        let unended = !args.is_empty() && !args.ends_with(b"\0");
        let mut cmdline = Vec::with_capacity(comm.len() + args.len() + usize::from(unended));
        cmdline.extend_from_slice(comm);
        for arg in strings(args) {
            cmdline.push(b' ');
            cmdline.extend_from_slice(arg);
        }
        Image {
            comm: comm.into(),
            exe: exe.into(),
            exepath: exepath.into(),
            args: args.into(),
            cmdline: cmdline.into(),
            env: env.into(),
            ..Image::default()
        }
    }

    /// The same program under another name of its task.
    #[must_use]
    pub fn renamed(&self, comm: &[u8]) -> Image {
        let mut cmdline = comm.to_vec();
        cmdline.extend_from_slice(self.cmdline.get(self.comm.len()..).unwrap_or_default());
        Image {
            comm: comm.into(),
            cmdline: cmdline.into(),
            ..self.clone()
        }
    }

    /// True for the same program by its name and arguments.
    pub fn same_command(&self, other: &Image) -> bool {
        (&self.comm, &self.exe, &self.args) == (&other.comm, &other.exe, &other.args)
    }

    /// Looks what the loader was told to run, if this is one, in the directory `cwd`.
    #[must_use]
    pub fn in_directory(mut self, cwd: &[u8]) -> Image {
        if let Some(program) = loader::program(&self.exepath, strings(&self.args), cwd) {
            self.loaded = program.into();
        }
        self
    }

    /// Path of the program: of the executable, or of what that runs as a loader.
    pub fn program(&self) -> &[u8] {
        match &*self.loaded {
            b"" => &self.exepath,
            program => program,
        }
    }

    /// `argv[1..]` joined by spaces: `proc.args`. A suffix of the command line.
    pub fn args_joined(&self) -> &[u8] {
        self.cmdline.get(self.comm.len() + 1..).unwrap_or(&[])
    }
}

/// In the place of a working directory that is not known: what paths begin with whose upper directories are not.
pub const UNKNOWN_DIRECTORY: &[u8] = b"...";

impl Process {
    /// Its working directory, where that is known.
    pub fn directory(&self) -> Option<&[u8]> {
        Some(&*self.cwd).filter(|cwd| *cwd != UNKNOWN_DIRECTORY)
    }
}

/// The strings of a NUL-terminated sequence. A last one that was cut before its NUL counts too.
pub fn strings(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let empty = bytes.is_empty();
    bytes.split(|b| *b == 0).filter(move |s| !empty || !s.is_empty())
}

/// A process (a thread group).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Process {
    /// Id in the kernel's own pid namespace.
    pub pid: u32,
    /// Id inside its own pid namespace.
    pub vpid: u32,
    /// The id of the process that started it, whoever the kernel has given it to since.
    pub ppid: u32,
    /// Tells it from every other, for ids are given again: a count of Lanner's own; 0 before it is among the known ones.
    pub number: u64,
    /// The number of the process that started it; 0 when nothing but its id is known.
    pub parent: u64,
    /// Session id.
    pub sid: u32,
    /// Process group id.
    pub pgid: u32,
    /// Process group id inside its own pid namespace.
    pub vpgid: u32,
    /// Effective user id when it was last seen.
    pub uid: u32,
    /// Effective group id when it was last seen.
    pub gid: u32,
    /// Audit login uid; `u32::MAX` when unset.
    pub loginuid: u32,
    /// Number of the controlling terminal (`new_encode_dev`); 0 when none.
    pub tty: u32,
    /// Inheritable capabilities.
    pub cap_inheritable: u64,
    /// Permitted capabilities.
    pub cap_permitted: u64,
    /// Effective capabilities.
    pub cap_effective: u64,
    /// When it was created, nanoseconds since the epoch; 0 when unknown.
    pub start_time: u64,
    /// When it ran its program, nanoseconds since the epoch; 0 when unknown.
    pub exec_time: u64,
    /// When the first process of its pid namespace was created, nanoseconds since the epoch; 0 when unknown.
    pub pidns_start: u64,
    /// Id of its cgroup ([`crate::cgroup`]); 0 when unknown.
    pub cgroup: u64,
    /// Id of the cgroup of the container that it, or whom it descends from, left for a cgroup of the host; 0 when nobody did.
    pub escaped_from: u64,
    /// Its cgroups: for each subsystem `subsystem=path`, ended by NUL. Empty unless a rule reads them.
    pub cgroups: Arc<[u8]>,
    /// Working directory as the process sees it, without the final slash (`/` itself is empty); [`UNKNOWN_DIRECTORY`] where
    /// it is not known.
    pub cwd: Text,
    /// The program it runs.
    pub image: Arc<Image>,
}

/// A user from the passwd file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_joins_its_command_line() {
        let image = Image::new(b"cat", b"/bin/cat\0-n\0/etc/shadow\0", b"/usr/bin/cat", b"A=1\0");
        assert_eq!(&*image.exe, b"/bin/cat");
        assert_eq!(&*image.cmdline, b"cat -n /etc/shadow");
        assert_eq!(image.args_joined(), b"-n /etc/shadow");
        let bare = Image::new(b"sh", b"sh\0", b"/bin/sh", b"");
        assert_eq!(&*bare.cmdline, b"sh");
        assert_eq!(bare.args_joined(), b"");
        let renamed = image.renamed(b"kitty");
        assert_eq!(&*renamed.cmdline, b"kitty -n /etc/shadow");
        assert_eq!(renamed.args_joined(), b"-n /etc/shadow");
        assert_eq!(&*bare.renamed(b"x").cmdline, b"x");
    }

    #[test]
    fn strings_keep_empty_arguments() {
        assert_eq!(strings(b"a\0\0b\0").collect::<Vec<_>>(), [&b"a"[..], b"", b"b"]);
        assert_eq!(strings(b"").count(), 0);
        assert_eq!(strings(b"cut").collect::<Vec<_>>(), [b"cut"]);
    }
}
