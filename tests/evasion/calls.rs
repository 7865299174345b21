//! Calls that are made in another way than most programs make them.

use std::arch::asm;

use crate::scene::{Scene, at, c, call, made, open, text};

/// Memory below 4 GiB, where the calls of 32-bit programs can point to.
pub(crate) struct Low {
    start: usize,
    used: std::cell::Cell<usize>,
}

impl Low {
    pub(crate) fn new() -> Self {
        // SAFETY: a new anonymous mapping, anywhere below 2 GiB.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                1 << 16,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT,
                -1,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        Self {
            start: start as usize,
            used: std::cell::Cell::new(0),
        }
    }

    /// Bytes as an argument.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> i64 {
        let at = self.used.get();
        self.used.set((at + bytes.len()).next_multiple_of(16));
        assert!(self.used.get() < 1 << 16);
        // SAFETY: within the mapping, which nothing else uses.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), (self.start + at) as *mut u8, bytes.len()) };
        (self.start + at) as i64
    }

    pub(crate) fn words(&self, words: &[u32]) -> i64 {
        self.bytes(&words.iter().flat_map(|w| w.to_ne_bytes()).collect::<Vec<_>>())
    }

    pub(crate) fn text(&self, text: &str) -> i64 {
        self.bytes(c(text).as_bytes_with_nul())
    }

    /// A call as 32-bit programs make it: `int 0x80`, by their numbers.
    pub(crate) fn call(&self, number: i64, arguments: &[i64]) -> i64 {
        let at = |index: usize| arguments.get(index).copied().unwrap_or(0) & 0xffff_ffff;
        let result: i64;
        // SAFETY: numbers, or addresses of this memory; rbx is the compiler's and is given back.
        unsafe {
            asm!(
                "xchg rbx, {first}",
                "int 0x80",
                "xchg rbx, {first}",
                first = inout(reg) at(0) => _,
                inlateout("rax") number => result,
                in("rcx") at(1),
                in("rdx") at(2),
                in("rsi") at(3),
                in("rdi") at(4),
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            );
        }
        i64::from(result as i32)
    }
}

/// One process may make both kinds of calls.
#[test]
fn calls_of_32_bit_programs_are_those_calls() {
    let acts = (
        "Acts",
        "evt.type in (open, openat, unlink, mkdir, rename, truncate, execve) and proc.name = NAME and
         (fd.name startswith FOLDER/ or evt.arg.path startswith FOLDER/ or evt.arg.oldpath startswith FOLDER/)",
        "%evt.type|%fd.name|%evt.arg.path|%evt.arg.newpath|%evt.is_open_write",
    );
    let Some(scene) = Scene::start("ev-int80", &[acts]) else {
        return;
    };
    let (file, to, folder) = (scene.path("file"), scene.path("to"), scene.path("folder"));
    scene.act(|| {
        let low = Low::new();
        let fd = low.call(
            5,
            &[low.text(&file), (libc::O_CREAT | libc::O_WRONLY).into(), 0o600],
        );
        assert!(fd >= 0, "{fd}");
        assert_eq!(low.call(92, &[low.text(&file), 5]), 0);
        assert_eq!(low.call(38, &[low.text(&file), low.text(&to)]), 0);
        assert_eq!(low.call(10, &[low.text(&to)]), 0);
        assert_eq!(low.call(39, &[low.text(&folder), 0o700]), 0);
        vec![]
    });
    scene.says("Acts", &format!("open|{file}|<NA>|<NA>|true"));
    scene.says("Acts", &format!("truncate|<NA>|{file}|<NA>|false"));
    scene.says("Acts", &format!("rename|<NA>|<NA>|{to}|false"));
    scene.says("Acts", &format!("unlink|<NA>|{to}|<NA>|false"));
    scene.says("Acts", &format!("mkdir|<NA>|{folder}|<NA>|false"));
    scene.end();
}

/// Newer kernels look at the lower half of the register that has the number of the call, whatever the upper one says.
#[test]
fn the_upper_half_of_the_number_hides_no_call() {
    let acts = (
        "Acts",
        "evt.type in (openat, mkdirat, getpriority, seccomp) and proc.name = NAME and
         (fd.name startswith FOLDER/ or evt.arg.path startswith FOLDER/ or evt.type = getpriority or evt.arg.op = 2)",
        "%evt.type|%fd.name|%evt.arg.path",
    );
    let Some(scene) = Scene::start("ev-upper", &[acts]) else {
        return;
    };
    let (file, folder) = (scene.file("file", ""), scene.path("folder"));
    let results = scene.act(|| {
        let (file, folder) = (c(&file), c(&folder));
        // The same of arguments that are no longer than 32 bits.
        let (upper, here) = (0x5a5a_5a5a << 32, i64::from(libc::AT_FDCWD as u32));
        vec![
            with_upper_half(libc::SYS_openat, [here | upper, text(&file), upper, upper]),
            with_upper_half(libc::SYS_mkdirat, [here | upper, text(&folder), 0o700 | upper, 0]),
            with_upper_half(libc::SYS_getpriority, [0; 4]),
            with_upper_half(
                libc::SYS_seccomp,
                [2 | upper, upper, at(&libc::SECCOMP_RET_ALLOW), 0],
            ),
        ]
    });
    if results.iter().any(|&result| result == -i64::from(libc::ENOSYS)) {
        return crate::support::skip("this kernel looks at the whole register");
    }
    assert!(results.iter().all(|&result| result >= 0), "{results:?}");
    scene.says("Acts", &format!("openat|{file}|<NA>"));
    scene.says("Acts", &format!("mkdirat|<NA>|{folder}"));
    scene.says("Acts", "getpriority|<NA>|<NA>");
    scene.says("Acts", "seccomp|<NA>|<NA>");
    scene.end();
}

/// A call whose number has all bits of its upper half set.
fn with_upper_half(number: i64, arguments: [i64; 4]) -> i64 {
    let result: i64;
    // SAFETY: numbers, or addresses of what lives.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number | 0xffff_ffff << 32 => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            out("rcx") _, out("r11") _,
        );
    }
    result
}

/// Files change without an open for writing, and modes without a chmod.
#[test]
fn changes_by_path_have_rows_with_all_their_arguments() {
    let changed = (
        "Changed",
        "evt.type in (truncate, fchmodat2) and proc.name = NAME",
        "%evt.type|%evt.arg.res|%evt.arg.path|%evt.arg.filename|%evt.arg.length|%evt.arg.mode|%evt.arg.flags",
    );
    let sized = (
        "Sized",
        "evt.type in (ftruncate, fallocate) and proc.name = NAME",
        "%evt.type|%fd.name|%evt.arg.length|%evt.arg.mode|%evt.arg.offset|%evt.arg.len",
    );
    let Some(scene) = Scene::start("ev-paths", &[changed, sized]) else {
        return;
    };
    let file = scene.file("file", "some text");
    let results = scene.act(|| {
        let path = c(&file);
        made(libc::SYS_truncate, &[text(&path), 4]);
        let fd = open(&file, libc::O_RDWR);
        made(libc::SYS_ftruncate, &[fd, 3]);
        let fallocate = made(
            libc::SYS_fallocate,
            &[fd, libc::FALLOC_FL_KEEP_SIZE.into(), 1, 4096],
        );
        let fchmodat2 = 452;
        let by_path = call(fchmodat2, &[-100, text(&path), 0o4755, 0]);
        let by_fd = call(fchmodat2, &[fd, text(c""), 0o755, libc::AT_EMPTY_PATH.into()]);
        vec![fallocate, by_path, by_fd]
    });
    let name = |result: i64| {
        if result == 0 {
            "0".to_owned()
        } else {
            "-38(ENOSYS)".to_owned()
        }
    };
    scene.says("Changed", &format!("truncate|0|{file}|<NA>|4|<NA>|<NA>"));
    scene.says("Sized", &format!("ftruncate|{file}|3|<NA>|<NA>|<NA>"));
    let output = scene
        .lanner
        .wait_for_alert("fallocate", |a| a["output_fields"]["evt.type"] == "fallocate");
    let output = crate::scene::output(&output);
    assert_eq!(
        output,
        format!("fallocate|{file}|<NA>|FALLOC_FL_KEEP_SIZE|1|4096")
    );
    let output = scene
        .lanner
        .wait_for_alerts("fchmodat2", 2, |a| a["output_fields"]["evt.type"] == "fchmodat2");
    let outputs: Vec<_> = output.iter().map(crate::scene::output).collect();
    for output in &outputs {
        assert!(
            output.starts_with(&format!("fchmodat2|{}|<NA>|{file}|<NA>|", name(results[1]))),
            "{outputs:?}"
        );
    }
    assert!(outputs[0].contains("S_ISUID"), "{outputs:?}");
    assert!(outputs[1].ends_with("|AT_EMPTY_PATH"), "{outputs:?}");
    scene.end();
}

/// A file by its handle has no path at all in the call.
#[test]
fn a_file_opened_by_its_handle_has_its_name() {
    let opened = (
        "Opened",
        "evt.type in (open, open_by_handle_at) and proc.name = NAME and evt.is_open_read = true and fd.name = FOLDER/secret",
        "%fd.name|%evt.arg.path|%fd.num|%evt.is_open_read|%fd.typechar|%fd.directory|%fd.filename",
    );
    let Some(scene) = Scene::start("ev-handle", &[opened]) else {
        return;
    };
    let secret = scene.file("secret", "");
    let folder = scene.path("");
    let results = scene.act(|| {
        let path = c(&secret);
        // struct file_handle: bytes, type, and room for the handle.
        let mut handle = [0u32; 34];
        handle[0] = 128;
        let mut mount = 0i32;
        let result = call(
            libc::SYS_name_to_handle_at,
            &[
                -100,
                text(&path),
                handle.as_mut_ptr() as i64,
                (&raw mut mount) as i64,
                0,
            ],
        );
        if result < 0 {
            return vec![result];
        }
        let directory = open(&folder, libc::O_DIRECTORY);
        vec![call(
            libc::SYS_open_by_handle_at,
            &[directory, at(&handle), libc::O_RDONLY.into()],
        )]
    });
    if results[0] < 0 {
        return crate::support::skip("the file system of the temporary folder has no handles");
    }
    let shown = format!(
        "{secret}|{secret}|{}|true|f|{}|secret",
        results[0],
        folder.trim_end_matches('/')
    );
    scene.says("Opened", &shown);
    scene.end();
}

/// A link that is used within the tick of the clock in which it is made, and one to that: the kernel does not look along it in its
/// cache alone, as nobody has read it before.
#[test]
fn a_link_that_is_used_at_once_leads_to_the_file() {
    let done = (
        "Done",
        "proc.name = NAME and (evt.type in (unlink, chmod) and fs.path.name startswith FOLDER/real/
         or evt.type = rename and fs.path.source startswith FOLDER/real/
         or evt.type = truncate and evt.arg.path startswith FOLDER/real/)",
        "%evt.type",
    );
    let Some(scene) = Scene::start("ev-fresh", &[done]) else {
        return;
    };
    const CALLS: [&str; 4] = ["rename", "chmod", "truncate", "unlink"];
    let real = scene.path("real");
    std::fs::create_dir(&real).unwrap();
    for name in CALLS {
        std::fs::write(format!("{real}/{name}"), "x").unwrap();
    }
    let to = c(&real);
    scene.act(|| {
        let [rename, chmod, truncate, unlink] = CALLS.map(|name| {
            let (first, second) = (format!("{name}1"), scene.path(&format!("{name}2")));
            let path = c(&format!("{second}/{name}"));
            (c(&scene.path(&first)), c(&first), c(&second), path)
        });
        let make = |way: &(
            std::ffi::CString,
            std::ffi::CString,
            std::ffi::CString,
            std::ffi::CString,
        )| {
            made(libc::SYS_symlink, &[text(&to), text(&way.0)]);
            made(libc::SYS_symlink, &[text(&way.1), text(&way.2)]);
            text(&way.3)
        };
        let path = make(&rename);
        made(libc::SYS_rename, &[path, path]);
        made(libc::SYS_chmod, &[make(&chmod), 0o700]);
        made(libc::SYS_truncate, &[make(&truncate), 0]);
        made(libc::SYS_unlink, &[make(&unlink)]);
        vec![]
    });
    for name in CALLS {
        scene.says("Done", name);
    }
    scene.end();
}
