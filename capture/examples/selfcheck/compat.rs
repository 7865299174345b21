//! Calls in the 32-bit convention.

use super::*;

#[cfg(target_arch = "x86_64")]
#[path = "compat_process.rs"]
mod compat_process;

/// One call in the 32-bit convention from this 64-bit process. Its pointers must lie below 4 GiB.
#[cfg(target_arch = "x86_64")]
pub(super) fn int80(nr: u32, args: [u32; 4]) -> i32 {
    int80_six(nr, [args[0], args[1], args[2], args[3], 0, 0])
}

#[cfg(target_arch = "x86_64")]
pub(super) fn int80_six(nr: u32, args: [u32; 6]) -> i32 {
    let result: u64;
    // SAFETY: int 0x80 clobbers nothing but rax here (and r8 to r11, declared); rbx and rbp are LLVM's, so they are
    // swapped in and out. Pointers in `args` are the caller's low mapping, which is alive.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {b}",
            "xchg rbp, {p}",
            "int 0x80",
            "xchg rbp, {p}",
            "xchg rbx, {b}",
            b = inout(reg) u64::from(args[0]) => _,
            p = inout(reg) u64::from(args[5]) => _,
            inlateout("rax") u64::from(nr) => result,
            in("rcx") u64::from(args[1]),
            in("rdx") u64::from(args[2]),
            in("rsi") u64::from(args[3]),
            in("rdi") u64::from(args[4]),
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result as i32
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn compat(_dir: &str) -> Result<()> {
    println!("skip 32-bit callers are checked on x86-64 only");
    omit("send");
    omit("recv");
    omit("umount");
    Ok(())
}

/// How to make a call in the 32-bit convention, on a kernel that takes them.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn available() -> Option<fn(u32, [u32; 6]) -> i32> {
    None
}

/// How to make a call in the 32-bit convention, on a kernel that takes them.
#[cfg(target_arch = "x86_64")]
pub(crate) fn available() -> Option<fn(u32, [u32; 6]) -> i32> {
    // Without 32-bit emulation int 0x80 is a general protection fault: try it in a child.
    // SAFETY: the child makes one call and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        int80(20, [0; 4]); // getpid
        // SAFETY: ends this child without running anybody's destructors.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: status lives here.
    unsafe { libc::waitpid(child, &mut status, 0) };
    (status == 0).then_some(int80_six)
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn compat(dir: &str) -> Result<()> {
    if available().is_none() {
        println!("skip this kernel has no 32-bit emulation");
        omit("send");
        omit("recv");
        omit("umount");
        return Ok(());
    }
    // SAFETY: a new anonymous mapping in the low 4 GiB.
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
    let put = |offset: usize, text: &CStr| -> u32 {
        let bytes = text.to_bytes_with_nul();
        assert!(offset + bytes.len() <= 4096);
        // SAFETY: inside the page just mapped.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), page.cast::<u8>().add(offset), bytes.len()) };
        (page as usize + offset) as u32
    };
    let file = put(0, c("file")?.as_c_str());
    let fd = int80(295, [(-100i32) as u32, file, 0, 0]);
    assert!(fd >= 0, "32-bit openat: {fd}");
    expect(
        "openat",
        &[
            ("fd", &fd.to_string()),
            ("dirfd", "-100"),
            ("name", &format!("file|{dir}/file")),
        ],
    );
    close(fd.into());
    let missing = put(512, c("/no/such/compat")?.as_c_str());
    assert_eq!(int80(5, [missing, 0, 0, 0]), -2);
    expect(
        "open",
        &[("fd", "-2"), ("name", "/no/such/compat|/no/such/compat")],
    );
    let made = put(1024, c("d32")?.as_c_str());
    assert_eq!(int80(39, [made, 0o750, 0, 0]), 0);
    expect(
        "mkdir",
        &[("res", "0"), ("path", &format!("d32|{dir}/d32")), ("mode", "488")],
    );
    // socketcall(SYS_CONNECT) to a closed port.
    let mut address = [0u8; 16];
    address[0] = 2;
    address[2..4].copy_from_slice(&9u16.to_be_bytes());
    address[4..8].copy_from_slice(&[127, 0, 0, 1]);
    // SAFETY: a plain socket.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
    // SAFETY: two places inside the page, far from the strings above.
    unsafe {
        let at = page.cast::<u8>().add(2048);
        std::ptr::copy_nonoverlapping(address.as_ptr(), at, 16);
        let args = page.cast::<u8>().add(3072).cast::<u32>();
        args.write(socket as u32);
        args.add(1).write(at as usize as u32);
        args.add(2).write(16);
    }
    let result = int80(102, [3, (page as usize + 3072) as u32, 0, 0]);
    expect(
        "connect",
        &[
            ("res", &result.to_string()),
            ("fd", &socket.to_string()),
            ("addr", "?>127.0.0.1:9"),
        ],
    );
    close(socket.into());
    let file = std::fs::File::open("file")?;
    copies(fd_of(&file), &format!("{dir}/file"));
    sends(page.cast())?;
    compat_process::calls(page.cast(), dir)?;
    super::compat_sockets::sockets(page.cast())?;
    super::compat_descriptors::descriptors(page.cast())
}

#[cfg(target_arch = "x86_64")]
fn fd_of(file: &impl AsRawFd) -> u32 {
    file.as_raw_fd().unsigned_abs()
}

/// The three calls by their 32-bit numbers.
#[cfg(target_arch = "x86_64")]
fn copies(file: u32, path: &str) {
    for (event, nr, args) in [
        ("dup", 41, [file, 0, 0, 0]),
        ("dup2", 63, [file, 79, 0, 0]),
        ("dup3", 330, [file, 79, 0o2000000, 0]),
    ] {
        let copy = int80(nr, args);
        expect(
            event,
            &[
                ("res", &copy.to_string()),
                ("oldfd", &file.to_string()),
                ("fd.num", &copy.to_string()),
                ("fd.path", path),
            ],
        );
        close(copy.into());
    }
}

/// `sendto` and `sendmsg` by their own numbers and through `socketcall`, with 32-bit structures.
#[cfg(target_arch = "x86_64")]
fn sends(page: *mut u8) -> Result<()> {
    let Ok(receiver) = std::net::UdpSocket::bind("127.0.0.1:0") else {
        println!("skip no loopback network in this guest: 32-bit sends");
        return Ok(());
    };
    let sender = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let port = receiver.local_addr()?.port();
    let tuple = format!("{}>{}", sender.local_addr()?, receiver.local_addr()?);
    let mut address = [0u8; 16];
    address[0] = 2;
    address[2..4].copy_from_slice(&port.to_be_bytes());
    address[4..8].copy_from_slice(&[127, 0, 0, 1]);
    let low = page as usize as u32;
    // SAFETY: places inside the page, which nothing else uses any more.
    unsafe {
        std::ptr::write_bytes(page, 0, 4096);
        std::ptr::copy_nonoverlapping(address.as_ptr(), page, 16);
        std::ptr::copy_nonoverlapping(b"thirty-two".as_ptr(), page.add(64), 10);
        // Two struct iovec: "thirty" and "-two".
        let vectors = page.add(128).cast::<u32>();
        vectors.copy_from_nonoverlapping([low + 64, 6, low + 70, 4].as_ptr(), 4);
        // struct msghdr: name, namelen, iov, iovlen, control, controllen, flags.
        let header = page.add(192).cast::<u32>();
        header.copy_from_nonoverlapping([low, 16, low + 128, 2, 0, 0, 0].as_ptr(), 7);
    }
    let fd = fd_of(&sender);
    let call = |nr: u32, args: &[u32]| {
        // SAFETY: as above.
        unsafe {
            page.add(256)
                .cast::<u32>()
                .copy_from_nonoverlapping(args.as_ptr(), args.len())
        };
        int80(102, [nr, low + 256, 0, 0])
    };
    // Each sends another number of bytes, to be told apart.
    let to = |len| [fd, low + 64, len, 0, low, 16];
    let mut sent = vec![
        ("sendto", 10, int80_six(369, to(10))),
        ("sendto", 9, call(11, &to(9))),
        ("sendmsg", 10, int80(370, [fd, low + 192, 0, 0])),
    ];
    // SAFETY: as above: the second vector gets shorter.
    unsafe { page.add(140).cast::<u32>().write(2) };
    sent.push(("sendmsg", 8, call(16, &[fd, low + 192, 0])));
    for (event, len, result) in sent {
        assert_eq!(result, len, "32-bit {event}");
        let len = usize::try_from(len)?;
        expect(
            event,
            &[
                ("res", &len.to_string()),
                ("data", &"thirty-two"[..len]),
                ("fd", &fd.to_string()),
                ("size", &len.to_string()),
                ("tuple", &tuple),
            ],
        );
    }
    Ok(())
}
