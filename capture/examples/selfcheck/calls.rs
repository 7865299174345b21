//! Calls that no state needs, where what is recorded of them comes from memory: each by every number it has, natively and
//! in the 32-bit convention. Most of them fail; what they were to do is read all the same.

use lanner_schema::event::Event;

use super::*;

/// The caller: by which number, in which convention, and memory that both can point to.
struct Caller {
    nr: u16,
    compat: bool,
    start: usize,
    used: std::cell::Cell<usize>,
}

const LEN: usize = 1 << 14;

impl Caller {
    fn bytes(&self, bytes: &[u8]) -> u64 {
        let at = self.used.get();
        self.used.set((at + bytes.len()).next_multiple_of(16));
        assert!(self.used.get() < LEN);
        // SAFETY: within the mapping, which nothing else uses.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), (self.start + at) as *mut u8, bytes.len()) };
        (self.start + at) as u64
    }

    fn text(&self, text: &str) -> u64 {
        self.bytes(&[text.as_bytes(), &[0]].concat())
    }

    fn words(&self, words: &[u32]) -> u64 {
        self.bytes(&words.iter().flat_map(|w| w.to_ne_bytes()).collect::<Vec<_>>())
    }

    fn wide(&self, words: &[u64]) -> u64 {
        self.bytes(&words.iter().flat_map(|w| w.to_ne_bytes()).collect::<Vec<_>>())
    }

    /// Numbers as wide as the caller's words.
    fn longs(&self, longs: &[i64]) -> u64 {
        let size = if self.compat { 4 } else { 8 };
        let bytes = longs.iter().flat_map(|l| l.to_ne_bytes()[..size].to_vec());
        self.bytes(&bytes.collect::<Vec<_>>())
    }

    /// A time of that many seconds and nanoseconds; calls before `clock_gettime64` have it in two longs.
    fn time(&self, seconds: i64, nanoseconds: i64) -> u64 {
        match self.compat && self.nr >= 403 {
            true => self.wide(&[seconds.cast_unsigned(), nanoseconds.cast_unsigned()]),
            false => self.longs(&[seconds, nanoseconds]),
        }
    }

    /// A place in a file among the arguments: two of them in newer calls of 32-bit callers.
    fn place(&self, value: u64) -> Vec<u64> {
        match self.compat {
            true if self.nr < 180 => vec![value & 0xffff_ffff],
            true => vec![value & 0xffff_ffff, value >> 32],
            false => vec![value],
        }
    }

    /// That place as it is recorded.
    fn placed(&self, value: u64) -> String {
        match self.compat && self.nr < 180 {
            true => (value as u32).cast_signed().to_string(),
            false => value.to_string(),
        }
    }
}

/// Arguments, and what must be recorded besides the result.
type Wanted = (Vec<u64>, Vec<(&'static str, String)>);

/// Makes a call by each of its numbers.
fn each(event: Event, call: impl Fn(&Caller) -> Wanted) -> Result<()> {
    let row = event.row();
    let native = if cfg!(target_arch = "x86_64") {
        row.x86_64
    } else {
        row.aarch64
    };
    let int80 = super::compat::available();
    let ways = native.iter().map(|nr| (*nr, None));
    let ways = ways.chain(row.i386.iter().filter_map(|nr| Some((*nr, Some(int80?)))));
    for (nr, int80) in ways {
        #[cfg(target_arch = "x86_64")]
        let low = libc::MAP_32BIT;
        #[cfg(not(target_arch = "x86_64"))]
        let low = 0;
        // SAFETY: a new anonymous mapping.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                LEN,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | low,
                -1,
                0,
            )
        };
        assert_ne!(page, libc::MAP_FAILED);
        let caller = Caller {
            nr,
            compat: int80.is_some(),
            start: page as usize,
            used: std::cell::Cell::new(0),
        };
        let (mut args, mut wanted) = call(&caller);
        args.resize(6, 0);
        let result = match int80 {
            None => {
                let arg = |n: usize| args[n].cast_signed();
                sys!(c_long::from(nr), arg(0), arg(1), arg(2), arg(3), arg(4), arg(5))
            }
            Some(int80) => {
                let mut words = [0; 6];
                words
                    .iter_mut()
                    .zip(&args)
                    .for_each(|(word, arg)| *word = *arg as u32);
                // The last page of addresses are errors; the others may be those of a mapping.
                match int80(u32::from(nr), words) {
                    result @ -4095..0 => result.into(),
                    result => result.cast_unsigned().into(),
                }
            }
        };
        wanted.push(("res", result.to_string()));
        let wanted: Vec<(&str, &str)> = wanted.iter().map(|(k, v)| (*k, v.as_str())).collect();
        expect(row.name, &wanted);
    }
    Ok(())
}

/// Values as they are recorded.
macro_rules! wanted {
    ($( $name:literal: $value:expr ),* $(,)?) => { vec![$( ($name, $value.to_string()) ),*] };
}

const NO_FD: u64 = -1i64 as u64;

pub(super) fn calls(dir: &str) -> Result<()> {
    std::env::set_current_dir(dir)?;
    std::fs::write("plain", "0123456789")?;
    files(dir)?;
    attributes(dir)?;
    mounts()?;
    memory()?;
    kernel()?;
    ipc()
}

fn files(dir: &str) -> Result<()> {
    let plain = format!("plain|{dir}/plain");
    // SAFETY: no arguments.
    let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
    let here = std::fs::File::open(".")?;
    let file = std::fs::File::options().read(true).write(true).open("plain")?;
    let (here, fd) = (here.as_raw_fd() as u64, file.as_raw_fd() as u64);
    let path = format!("{dir}/plain");
    for event in [Event::Chown, Event::Lchown] {
        each(event, |c| {
            let args = vec![c.text("plain"), uid.into(), gid.into()];
            (args, wanted!("path": plain, "uid": uid, "gid": gid))
        })?;
    }
    each(Event::Fchown, |_| {
        let args = vec![fd, 0xffff_ffff, 0xffff_ffff];
        let wanted = wanted!("fd": fd, "uid": u32::MAX, "gid": u32::MAX, "fd.path": path, "fd.num": fd);
        (args, wanted)
    })?;
    each(Event::Fchownat, |c| {
        let args = vec![here, c.text("plain"), 0xffff_ffff, 0xffff_ffff, 0x100];
        let wanted =
            wanted!("dirfd": here, "pathname": plain, "uid": u32::MAX, "gid": u32::MAX, "flags": 256);
        (args, wanted)
    })?;
    each(Event::Access, |c| {
        (vec![c.text("plain"), 4], wanted!("name": plain, "mode": 4))
    })?;
    each(Event::Getcwd, |c| {
        (vec![c.bytes(&[0; 4096]), 4096], wanted!("path": dir))
    })?;
    each(Event::Getcwd, |c| {
        (vec![c.text("not read"), 1], wanted!("path": "<none>"))
    })?;
    for place in [7u64, (5 << 32) + 9] {
        each(Event::Truncate, |c| {
            let args = [vec![c.text("/no/such/file")], c.place(place)].concat();
            (
                args,
                wanted!("path": "/no/such/file|/no/such/file", "length": c.placed(place)),
            )
        })?;
        each(Event::Ftruncate, |c| {
            let args = [vec![NO_FD], c.place(place)].concat();
            (args, wanted!("fd": -1, "length": c.placed(place)))
        })?;
    }
    each(Event::Fallocate, |c| {
        let args = [vec![NO_FD, 3], c.place(1 << 33), c.place(2)].concat();
        (args, wanted!("fd": -1, "mode": 3, "offset": 1u64 << 33, "len": 2))
    })?;
    each(Event::Lseek, |c| {
        let args = vec![fd, if c.compat { 0xffff_ffff } else { u64::MAX }, 2];
        (
            args,
            wanted!("fd": fd, "offset": u64::MAX, "whence": 2, "fd.path": path),
        )
    })?;
    each(Event::Llseek, |c| {
        let args = vec![fd, 1, 5, c.wide(&[0]), 0];
        (args, wanted!("fd": fd, "offset": (1u64 << 32) + 5, "whence": 0))
    })?;
    each(Event::CopyFileRange, |c| {
        let args = vec![NO_FD, c.wide(&[11]), fd, c.wide(&[22]), 33];
        let wanted = wanted!("fdout": fd, "offout": 22, "fdin": -1, "offin": 11, "len": 33, "fdout.is": format!("file {path}"));
        (args, wanted)
    })?;
    each(Event::Preadv2, |c| {
        let buffer = c.bytes(&[0; 16]);
        let vector = c.longs(&[buffer.cast_signed(), 4]);
        let args = vec![fd, vector, 1, 3, 0, 0];
        (args, wanted!("fd": fd, "data": "3456", "pos": 3, "flags": 0))
    })?;
    each(Event::FanotifyMark, |c| {
        let name = c.text("plain");
        let args = match c.compat {
            true => vec![NO_FD, 1, 0x20, 0, here, name],
            false => vec![NO_FD, 1, 0x20, here, name],
        };
        (
            args,
            wanted!("fanotify_fd": -1, "flags": 1, "mask": 32, "dirfd": here, "pathname": plain),
        )
    })
}

fn attributes(dir: &str) -> Result<()> {
    let plain = format!("plain|{dir}/plain");
    for event in [Event::Setxattr, Event::Lsetxattr] {
        each(event, |c| {
            let args = vec![c.text("plain"), c.text("user.lanner"), c.bytes(b"a value"), 7, 1];
            let wanted =
                wanted!("path": plain, "name": "user.lanner", "value": "a value", "size": 7, "flags": 1);
            (args, wanted)
        })?;
    }
    each(Event::Fsetxattr, |c| {
        let args = vec![NO_FD, c.text("user.lanner"), c.bytes(b"a value"), 1, 0];
        (
            args,
            wanted!("fd": -1, "name": "user.lanner", "value": "a", "size": 1, "flags": 0),
        )
    })?;
    each(Event::Removexattr, |c| {
        let args = vec![c.text("plain"), c.text("user.none")];
        (args, wanted!("path": plain, "name": "user.none"))
    })
}

fn mounts() -> Result<()> {
    each(Event::Fsconfig, |c| {
        let args = vec![NO_FD, 1, c.text("source"), c.text("/dev/nothing"), 0];
        let wanted = wanted!("fd": -1, "cmd": 1, "key": "source", "value_charbuf": "/dev/nothing",
            "value_bytebuf": "<none>", "aux": 0);
        (args, wanted)
    })?;
    each(Event::Fsconfig, |c| {
        let args = vec![NO_FD, 2, c.text("blob"), c.bytes(b"bytes"), 5];
        let wanted =
            wanted!("cmd": 2, "key": "blob", "value_charbuf": "<none>", "value_bytebuf": "bytes", "aux": 5);
        (args, wanted)
    })?;
    each(Event::MountSetattr, |c| {
        let attributes = c.wide(&[1, 2, 1 << 18, 77]);
        let args = vec![NO_FD, c.text("plain"), 0x8000, attributes, 32];
        let wanted = wanted!("dirfd": -1, "flags": 0x8000, "attr_set": 1, "attr_clr": 2, "propagation": 1 << 18,
            "userns_fd": 77);
        (args, wanted)
    })?;
    each(Event::MoveMount, |c| {
        let args = vec![NO_FD, c.text("/no/from"), NO_FD, c.text("/no/to"), 1 << 30];
        let wanted = wanted!("from_dfd": -1, "from_path": "/no/from|/no/from", "to_dfd": -1,
            "to_path": "/no/to|/no/to", "flags": 1 << 30);
        (args, wanted)
    })?;
    // No kind of quota has this number, so that nothing is done.
    let quota = |command: u64| command << 8 | 99;
    each(Event::Quotactl, |c| {
        let args = vec![
            quota(0x80_0002),
            c.text("/dev/nothing"),
            2,
            c.text("/no/aquota.user"),
        ];
        let wanted = wanted!("special": "/dev/nothing", "quotafilepath": "/no/aquota.user", "quota_fmt": 2, "id": 0,
            "dqb_bhardlimit": 0, "dqi_flags": 0, "quota_fmt_out": 0);
        (args, wanted)
    })?;
    each(Event::Quotactl, |c| {
        let block = c.wide(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let args = vec![quota(0x80_0008), c.text("/dev/nothing"), 1000, block];
        let wanted = wanted!("quotafilepath": "<none>", "quota_fmt": 0, "id": 1000, "dqb_bhardlimit": 1,
            "dqb_bsoftlimit": 2, "dqb_curspace": 3, "dqb_ihardlimit": 4, "dqb_isoftlimit": 5, "dqb_btime": 7,
            "dqb_itime": 8, "dqi_bgrace": 0);
        (args, wanted)
    })?;
    each(Event::Quotactl, |c| {
        let info = c.words(&[11, 0, 12, 0, 1, 0]);
        let args = vec![quota(0x80_0006), c.text("/dev/nothing"), 0, info];
        (
            args,
            wanted!("dqi_bgrace": 11, "dqi_igrace": 12, "dqi_flags": 1, "dqb_bhardlimit": 0),
        )
    })
}

fn memory() -> Result<()> {
    // With the arguments in memory where a 32-bit caller has them there.
    each(Event::Mmap, |c| {
        let args = [0, 3 << 12, 1, 0x22, 0xffff_ffffu64, 0];
        let wanted = wanted!("addr": 0, "length": 3 << 12, "prot": 1, "flags": 0x22, "fd": -1, "offset": 0);
        match c.compat {
            true => {
                let words: Vec<u32> = args.iter().map(|arg| *arg as u32).collect();
                (vec![c.words(&words)], wanted)
            }
            false => (vec![0, 3 << 12, 1, 0x22, NO_FD, 0], wanted),
        }
    })?;
    each(Event::Mprotect, |c| {
        let args = vec![c.start as u64, 4096, 3];
        (args, wanted!("addr": c.start, "length": 4096, "prot": 3))
    })?;
    let pid = u64::from(std::process::id());
    each(Event::ProcessVmWritev, |c| {
        let (from, to) = (c.bytes(b"written"), c.bytes(&[0; 16]));
        let (local, remote) = (c.longs(&[from.cast_signed(), 7]), c.longs(&[to.cast_signed(), 7]));
        (
            vec![pid, local, 1, remote, 1, 0],
            wanted!("pid": pid, "data": "written"),
        )
    })?;
    each(Event::ProcessVmReadv, |c| {
        let (from, to) = (c.bytes(b"was read"), c.bytes(&[0; 16]));
        let (local, remote) = (c.longs(&[to.cast_signed(), 8]), c.longs(&[from.cast_signed(), 8]));
        (
            vec![pid, local, 1, remote, 1, 0],
            wanted!("pid": pid, "data": "was read"),
        )
    })
}

fn kernel() -> Result<()> {
    each(Event::Kill, |_| {
        (
            vec![u64::from(std::process::id()), 0],
            wanted!("pid": std::process::id(), "sig": 0),
        )
    })?;
    // Longer than a name may be.
    let name = "n".repeat(70);
    each(Event::Sethostname, |c| {
        (vec![c.text(&name), 70], wanted!("name": name, "len": 70))
    })?;
    each(Event::Settimeofday, |c| {
        let args = vec![c.longs(&[1234, 5_000_000])];
        (args, wanted!("tv_sec": 1234, "tv_usec": 5_000_000))
    })?;
    each(Event::ClockSettime, |c| {
        let args = vec![99, c.time(2, 3)];
        (args, wanted!("clockid": 99, "tp": 2_000_000_003u64))
    })?;
    each(Event::Nanosleep, |c| {
        (vec![c.time(0, 1000)], wanted!("interval": 1000))
    })?;
    each(Event::Adjtimex, |c| {
        (vec![c.bytes(&[0; 256])], wanted!("modes": 0))
    })?;
    each(Event::AddKey, |c| {
        let args = vec![
            c.text("no such type"),
            c.text("a key"),
            c.text("payload"),
            7,
            -3i64 as u64,
        ];
        (
            args,
            wanted!("type": "no such type", "description": "a key", "plen": 7, "ringid": -3),
        )
    })?;
    each(Event::Keyctl, |c| {
        let args = vec![10, 0x7fff_0001, c.text("user"), c.text("a key"), -4i64 as u64];
        let ringid = (-4i64).cast_unsigned();
        (
            args,
            wanted!("operation": 10, "arg2": 0x7fff_0001, "arg3": "user", "arg4": "a key", "arg5": ringid),
        )
    })?;
    each(Event::Keyctl, |_| {
        let args = vec![3, 0x7fff_0001, 5, 6, 7];
        (
            args,
            wanted!("operation": 3, "arg2": 0x7fff_0001, "arg3": 0, "arg4": 0, "arg5": 0),
        )
    })?;
    each(Event::PerfEventOpen, |c| {
        // A size that no kernel takes.
        let attributes = c.words(&[1, 1, 9, 0]);
        let args = vec![attributes, 0, NO_FD, NO_FD, 8];
        let wanted = wanted!("type": 1, "config": 9, "pid": 0, "cpu": -1, "group_fd": -1, "flags": 8);
        (args, wanted)
    })?;
    each(Event::LandlockAddRule, |c| {
        let args = vec![NO_FD, 1, c.wide(&[4, 0]), 0];
        (
            args,
            wanted!("ruleset_fd": -1, "rule_type": 1, "allowed_access": 4, "flags": 0),
        )
    })?;
    each(Event::DeleteModule, |c| {
        let args = vec![c.text("no_such_module"), 0o4000];
        (args, wanted!("name": "no_such_module", "flags": 0o4000))
    })
}

fn ipc() -> Result<()> {
    let mut ids = [0; 3];
    let [real, effective, saved] = &mut ids;
    // SAFETY: three numbers that live here.
    assert_eq!(unsafe { libc::getresuid(real, effective, saved) }, 0);
    each(Event::Getresuid, |c| {
        let args = vec![c.words(&[7]), c.words(&[7]), c.words(&[7])];
        (args, wanted!("ruid": ids[0], "euid": ids[1], "suid": ids[2]))
    })?;
    each(Event::Getrlimit, |c| {
        let args = vec![99, c.longs(&[1, 2])];
        (args, wanted!("cur": "<none>", "max": "<none>", "resource": 99))
    })?;
    each(Event::Getrlimit, |c| {
        (vec![4, c.longs(&[1, 2])], wanted!("resource": 4))
    })?;
    each(Event::Semop, |c| {
        // Two operations: 3, -2, IPC_NOWAIT and 4, 1, SEM_UNDO.
        let operations = [3u16, (-2i16).cast_unsigned(), 0o4000, 4, 1, 0x1000];
        let bytes: Vec<u8> = operations.iter().flat_map(|n| n.to_ne_bytes()).collect();
        let args = vec![NO_FD, c.bytes(&bytes), 2];
        let wanted = wanted!("nsops": 2, "sem_num_0": 3, "sem_op_0": -2, "sem_flg_0": 0o4000, "sem_num_1": 4,
            "sem_op_1": 1, "sem_flg_1": 0x1000, "semid": -1);
        (args, wanted)
    })?;
    each(Event::Semop, |c| {
        let args = vec![NO_FD, c.bytes(&[1, 0, 2, 0, 0, 0, 9, 9, 9, 9, 9, 9]), 1];
        (
            args,
            wanted!("nsops": 1, "sem_num_0": 1, "sem_op_0": 2, "sem_num_1": 0, "sem_op_1": 0, "sem_flg_1": 0),
        )
    })?;
    each(Event::Semctl, |_| {
        let args = vec![NO_FD, 1, 16, 42];
        (args, wanted!("semid": -1, "semnum": 1, "cmd": 16, "val": 42))
    })?;
    each(Event::Semctl, |_| {
        (vec![NO_FD, 1, 12, 42], wanted!("cmd": 12, "val": 0))
    })?;
    each(Event::MqOpen, |c| {
        let args = vec![c.text("no/such"), 2, 0o600];
        (args, wanted!("name": "no/such", "oflag": 2, "mode": 0o600))
    })
}
