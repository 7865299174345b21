//! Who makes the calls: a process of its own per case, by the machine's own system calls or by those of 32-bit programs.

use std::arch::asm;
use std::ffi::CStr;

use serde::{Deserialize, Serialize};

/// What a field of an alert must be.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Want {
    /// This text.
    Is(String),
    /// Text that begins so.
    Starts(String),
    /// Text that ends so.
    Ends(String),
    /// Text with this in it.
    Holds(String),
    /// A decimal number greater than 0.
    Positive,
    /// A decimal number.
    Number,
    /// An upper-case hexadecimal number.
    Hex,
    /// No value.
    Missing,
    /// A value or none, as the kernel and the machine have it.
    Maybe,
}

impl Want {
    /// Whether a value, `None` where the alert has none, is as wanted.
    pub(crate) fn fits(&self, value: Option<&str>) -> bool {
        let Some(value) = value else {
            return matches!(self, Self::Missing | Self::Maybe);
        };
        match self {
            Self::Is(text) => value == text,
            Self::Starts(text) => value.starts_with(&**text),
            Self::Ends(text) => value.ends_with(&**text),
            Self::Holds(text) => value.contains(&**text),
            Self::Positive => value.parse::<i64>().is_ok_and(|number| number > 0),
            Self::Number => value.parse::<i64>().is_ok(),
            Self::Hex => {
                !value.is_empty()
                    && value
                        .bytes()
                        .all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
            }
            Self::Missing => false,
            Self::Maybe => true,
        }
    }
}

/// Text that must be so.
pub(crate) fn is(text: impl ToString) -> Want {
    Want::Is(text.to_string())
}

/// What an event of a process must say.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Expected {
    /// The process of the event; 0 is the one that runs the case.
    pub(crate) pid: i32,
    /// Fields and what they must be.
    pub(crate) fields: Vec<(String, Want)>,
}

impl Expected {
    /// An event that has no result of its own.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// An event whose call returned this: `evt.res` and what goes with it.
    pub(crate) fn of(result: i64) -> Self {
        let name = errno(result);
        Self::new()
            .field("evt.res", is(if result < 0 { name } else { "SUCCESS" }))
            .field("evt.rawres", is(result))
            .field("evt.failed", is(result < 0))
    }

    /// As [`Expected::of`], and the parameter `res` is an error or a number.
    pub(crate) fn res(result: i64) -> Self {
        let shown = if result < 0 {
            errno(result).to_owned()
        } else {
            result.to_string()
        };
        Self::of(result).is("res", shown, result)
    }

    /// The event is one of this process.
    pub(crate) fn by(mut self, pid: i64) -> Self {
        self.pid = i32::try_from(pid).unwrap();
        self
    }

    /// A field.
    pub(crate) fn field(mut self, name: &str, want: Want) -> Self {
        self.fields.push((name.to_owned(), want));
        self
    }

    /// A parameter: as shown, and raw.
    pub(crate) fn arg(self, name: &str, shown: Want, raw: Want) -> Self {
        self.field(&format!("evt.arg.{name}"), shown)
            .field(&format!("evt.rawarg.{name}"), raw)
    }

    /// A parameter that is shown as this and is that raw.
    pub(crate) fn is(self, name: &str, shown: impl ToString, raw: impl ToString) -> Self {
        self.arg(name, is(shown), is(raw))
    }

    /// A parameter that is shown as it is.
    pub(crate) fn same(self, name: &str, value: impl ToString) -> Self {
        let value = value.to_string();
        self.is(name, &value, &value)
    }

    /// A parameter that is shown as it is, of which only this is known.
    pub(crate) fn some(self, name: &str, want: fn() -> Want) -> Self {
        self.arg(name, want(), want())
    }
}

fn errno(result: i64) -> &'static str {
    match i32::try_from(-result).unwrap_or(0) {
        libc::EPERM => "EPERM",
        libc::ENOSYS => "ENOSYS",
        libc::EINPROGRESS => "EINPROGRESS",
        libc::EDESTADDRREQ => "EDESTADDRREQ",
        libc::EMSGSIZE => "EMSGSIZE",
        libc::ENOENT => "ENOENT",
        libc::ESRCH => "ESRCH",
        libc::EBADF => "EBADF",
        libc::EEXIST => "EEXIST",
        libc::ENOTDIR => "ENOTDIR",
        libc::EINVAL => "EINVAL",
        libc::ENOTTY => "ENOTTY",
        libc::ENOEXEC => "ENOEXEC",
        libc::EFAULT => "EFAULT",
        libc::ENOTSOCK => "ENOTSOCK",
        libc::ECONNREFUSED => "ECONNREFUSED",
        libc::EAFNOSUPPORT => "EAFNOSUPPORT",
        libc::ENODEV => "ENODEV",
        libc::EACCES => "EACCES",
        libc::EAGAIN => "EAGAIN",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        libc::E2BIG => "E2BIG",
        libc::ENXIO => "ENXIO",
        libc::ECHILD => "ECHILD",
        libc::ENOMEM => "ENOMEM",
        libc::EBUSY => "EBUSY",
        libc::EXDEV => "EXDEV",
        libc::EISDIR => "EISDIR",
        libc::EMFILE => "EMFILE",
        libc::ENOSPC => "ENOSPC",
        libc::ESPIPE => "ESPIPE",
        libc::EROFS => "EROFS",
        libc::EMLINK => "EMLINK",
        libc::EPIPE => "EPIPE",
        libc::EDOM => "EDOM",
        libc::ERANGE => "ERANGE",
        libc::EDEADLK => "EDEADLK",
        libc::ENAMETOOLONG => "ENAMETOOLONG",
        libc::ENOTEMPTY => "ENOTEMPTY",
        libc::ELOOP => "ELOOP",
        libc::ENODATA => "ENODATA",
        libc::EOVERFLOW => "EOVERFLOW",
        libc::ENOTCONN => "ENOTCONN",
        libc::ETIMEDOUT => "ETIMEDOUT",
        libc::ENOKEY => "ENOKEY",
        libc::EKEYEXPIRED => "EKEYEXPIRED",
        libc::EKEYREVOKED => "EKEYREVOKED",
        libc::EKEYREJECTED => "EKEYREJECTED",
        libc::EADDRINUSE => "EADDRINUSE",
        libc::EISCONN => "EISCONN",
        _ => "an error that this test does not know",
    }
}

/// Calls by name, with their numbers on x86-64 and for 32-bit programs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call(pub(crate) i64, pub(crate) i64);

/// Memory below 4 GiB, where 32-bit calls can point to, and how calls are made.
#[derive(Debug)]
pub(crate) struct Actor {
    /// Whether calls are those of a 32-bit program.
    pub(crate) compat: bool,
    /// A folder of this case's own.
    pub(crate) folder: String,
    start: usize,
    used: std::cell::Cell<usize>,
}

/// In place of the number of a 32-bit call: this and a number of `socketcall`.
pub(crate) const SOCKETCALL: i64 = 1 << 20;

const LOW: usize = 1 << 20;

impl Actor {
    /// One that works in `folder`.
    pub(crate) fn new(compat: bool, folder: String) -> Self {
        // SAFETY: a new anonymous mapping, anywhere below 2 GiB.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                LOW,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
                -1,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        Self {
            compat,
            folder,
            start: start as usize,
            used: std::cell::Cell::new(0),
        }
    }

    /// Bytes as an argument: their address.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> i64 {
        let at = self.used.get();
        self.used.set((at + bytes.len()).next_multiple_of(16));
        assert!(self.used.get() < LOW);
        // SAFETY: within the mapping, which nothing else uses.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), (self.start + at) as *mut u8, bytes.len()) };
        i64::try_from(self.start + at).unwrap()
    }

    /// What is at an address that [`Actor::bytes`] gave.
    pub(crate) fn read<const N: usize>(&self, address: i64) -> [u8; N] {
        // SAFETY: within the mapping, which is as long as the actor.
        unsafe { *(address as usize as *const [u8; N]) }
    }

    /// Text as an argument.
    pub(crate) fn text(&self, text: &str) -> i64 {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(&bytes)
    }

    /// 32-bit numbers as an argument.
    pub(crate) fn words(&self, words: &[u32]) -> i64 {
        self.bytes(&words.iter().flat_map(|w| w.to_ne_bytes()).collect::<Vec<_>>())
    }

    /// Numbers of the caller's own size, as `long` and pointers are.
    pub(crate) fn longs(&self, longs: &[i64]) -> i64 {
        let size = if self.compat { 4 } else { 8 };
        let bytes = longs.iter().flat_map(|l| l.to_ne_bytes()[..size].to_vec());
        self.bytes(&bytes.collect::<Vec<_>>())
    }

    /// A path in this case's folder.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    /// Makes a call; an error is negative.
    pub(crate) fn call(&self, call: Call, arguments: &[i64]) -> i64 {
        if self.compat && call.1 >= SOCKETCALL {
            let words: Vec<_> = arguments.iter().map(|a| (a & 0xffff_ffff) as u32).collect();
            let words = self.words(&words);
            return self.call(Call(0, 102), &[call.1 - SOCKETCALL, words]);
        }
        let argument = |at: usize| arguments.get(at).copied().unwrap_or(0);
        if !self.compat {
            // SAFETY: the arguments are numbers, or addresses of this actor's memory.
            let result = unsafe {
                libc::syscall(
                    call.0,
                    argument(0),
                    argument(1),
                    argument(2),
                    argument(3),
                    argument(4),
                    argument(5),
                )
            };
            if result < 0 {
                return -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0));
            }
            return result;
        }
        let result: i64;
        // SAFETY: as above; rbx and rbp are the compiler's, and are given back. The kernel may change r8 to r11.
        unsafe {
            asm!(
                "xchg rbx, {first}",
                "xchg rbp, {sixth}",
                "int 0x80",
                "xchg rbp, {sixth}",
                "xchg rbx, {first}",
                first = inout(reg) argument(0) & 0xffff_ffff => _,
                sixth = inout(reg) argument(5) & 0xffff_ffff => _,
                inlateout("rax") call.1 => result,
                in("rcx") argument(1) & 0xffff_ffff,
                in("rdx") argument(2) & 0xffff_ffff,
                in("rsi") argument(3) & 0xffff_ffff,
                in("rdi") argument(4) & 0xffff_ffff,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            );
        }
        // Results are 32 bits wide.
        i64::from(result as i32)
    }

    /// A file with this text and these permissions; its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A descriptor of this path.
    pub(crate) fn open(&self, path: &str, flags: i32) -> i64 {
        let path = std::ffi::CString::new(path).unwrap();
        // SAFETY: a live string.
        let fd = unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) };
        assert!(fd >= 0, "{path:?}: {}", std::io::Error::last_os_error());
        i64::from(fd)
    }
}

/// This process.
pub(crate) fn pid() -> i64 {
    i64::from(std::process::id())
}

/// How this process is named.
pub(crate) const NAME: &CStr = c"lanner-driver";
