//! Operations of io_uring whose ring, or whose file, is another's or has no number.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::calls::Low;
use crate::scene::{Scene, at, begin, c, call, call_oneself, end_of, made, text};
use crate::support::skip;

const SETUP: i64 = 425;
const ENTER: i64 = 426;
const REGISTER: i64 = 427;
const R_DISABLED: u32 = 1 << 6;
const GETEVENTS: i64 = 1;
const REGISTERED_RING: i64 = 1 << 4;
const FIXED_FILE: u8 = 1;
// Operations, and what is registered, by include/uapi/linux/io_uring.h.
const FALLOCATE: u8 = 17;
const OPENAT: u8 = 18;
const MSG_RING: u8 = 40;
const FSETXATTR: u8 = 41;
const SETXATTR: u8 = 42;
const FIXED_FD_INSTALL: u8 = 54;
const FTRUNCATE: u8 = 55;
const RESTRICTIONS: i64 = 11;
const ENABLE_RINGS: i64 = 12;
const FILES2: i64 = 13;
const RING_FDS: i64 = 20;

/// Four submissions and their completions, mapped as the kernel shares them.
struct Ring {
    fd: i64,
    queues: *mut u8,
    entries: *mut u8,
    /// struct io_uring_params.
    params: [u32; 30],
}

impl Ring {
    /// One that the kernel makes, by a call of 32-bit programs where `low` is given; an error is negative.
    fn new(flags: u32, low: Option<&Low>) -> Result<Ring, i64> {
        let mut params = [0u32; 30];
        params[2] = flags;
        let fd = match low {
            None => call(SETUP, &[4, params.as_mut_ptr() as i64]),
            Some(low) => {
                let address = low.words(&params);
                let fd = low.call(SETUP, &[4, address]);
                // SAFETY: the words that were put there, which the kernel has filled in.
                params = unsafe { *(address as *const [u32; 30]) };
                fd
            }
        };
        if fd < 0 {
            return Err(fd);
        }
        let map = |length: usize, offset: i64| {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            // SAFETY: a new mapping of the ring.
            let at = unsafe {
                libc::mmap(
                    std::ptr::null_mut(),
                    length,
                    protection,
                    libc::MAP_SHARED,
                    i32::try_from(fd).unwrap(),
                    offset,
                )
            };
            assert_ne!(at, libc::MAP_FAILED);
            at.cast::<u8>()
        };
        let (queues, entries) = (map(4096, 0), map(4 * 64, 0x1000_0000));
        Ok(Ring {
            fd,
            queues,
            entries,
            params,
        })
    }

    /// A number that is shared with the kernel: the offset of it is this parameter's.
    fn shared(&self, param: usize) -> &AtomicU32 {
        // SAFETY: offsets that the kernel gave, within the mapping of the queues.
        unsafe { AtomicU32::from_ptr(self.queues.add(self.params[param] as usize).cast()) }
    }

    /// Fills a submission: operation, flags, descriptor, offset, address, then what is at bytes 24, 44 and 48 of it.
    #[allow(clippy::too_many_arguments)]
    fn fill(
        &self,
        operation: u8,
        flags: u8,
        fd: i64,
        offset: i64,
        address: i64,
        length: u32,
        slot: u32,
        third: i64,
    ) {
        let tail = self.shared(11).load(Ordering::Acquire);
        let mut entry = [0u8; 64];
        entry[..2].copy_from_slice(&[operation, flags]);
        entry[4..8].copy_from_slice(&(fd as i32).to_ne_bytes());
        entry[8..16].copy_from_slice(&offset.to_ne_bytes());
        entry[16..24].copy_from_slice(&address.to_ne_bytes());
        entry[24..28].copy_from_slice(&length.to_ne_bytes());
        entry[44..48].copy_from_slice(&slot.to_ne_bytes());
        entry[48..56].copy_from_slice(&third.to_ne_bytes());
        let index = tail & 3;
        // SAFETY: one of four entries of 64 bytes; the array has an index for each.
        unsafe {
            std::ptr::copy_nonoverlapping(entry.as_ptr(), self.entries.add(64 * index as usize), 64);
            let array = self.queues.add(self.params[16] as usize).cast::<u32>();
            array.add(index as usize).write_volatile(index);
        }
        self.shared(11).store(tail + 1, Ordering::Release);
    }

    /// The result of what completes next, if anything has.
    fn completed(&self) -> Option<i64> {
        let head = self.shared(20).load(Ordering::Acquire);
        if self.shared(21).load(Ordering::Acquire) == head {
            return None;
        }
        let mask = self.shared(22).load(Ordering::Relaxed);
        // SAFETY: completions of 16 bytes, the result behind eight.
        let result = unsafe {
            let completions = self.queues.add(self.params[25] as usize);
            let result = completions.add(16 * (head & mask) as usize + 8);
            result.cast::<i32>().read_volatile()
        };
        self.shared(20).store(head + 1, Ordering::Release);
        Some(result.into())
    }

    fn submit(&self, fd: i64, flags: i64) -> i64 {
        assert_eq!(made(ENTER, &[fd, 1, 1, GETEVENTS | flags]), 1);
        self.completed().unwrap()
    }

    fn opens(&self, path: i64) {
        self.fill(OPENAT, 0, libc::AT_FDCWD.into(), 0, path, 0, 0, 0);
    }

    /// Room for eight files without a number.
    fn room(&self) -> i64 {
        let mut room = [0u32; 8];
        (room[0], room[1]) = (8, 1);
        call(REGISTER, &[self.fd, FILES2, at(&room), 32])
    }
}

/// A ring that is entered by its registered number, one that may do nothing but open, one of a 32-bit program, and one that
/// another process filled.
#[test]
fn an_open_is_seen_however_its_ring_is_entered() {
    let opened = (
        "Opened",
        "evt.type = openat and proc.name startswith NAME and fd.name startswith FOLDER/ and lanner.io_uring = true",
        "%proc.name|%fd.name|%fd.typechar|%fd.num",
    );
    let Some(scene) = Scene::start("ev-ring", &[opened]) else {
        return;
    };
    let files = ["registered", "restricted", "narrow", "shared"].map(|name| scene.file(name, ""));
    let results = scene.act(|| {
        let paths = files.each_ref().map(|path| c(path));
        let ring = match Ring::new(0, None) {
            Ok(ring) => ring,
            Err(error) => return vec![error],
        };
        // struct io_uring_rsrc_update: whichever is free, and it is told.
        let mut update = [u32::MAX, 0, ring.fd as u32, 0];
        made(REGISTER, &[ring.fd, RING_FDS, update.as_mut_ptr() as i64, 1]);
        ring.opens(text(&paths[0]));
        let mut results = vec![ring.submit(update[0].into(), REGISTERED_RING)];

        let ring = Ring::new(R_DISABLED, None).unwrap();
        // struct io_uring_restriction: this operation is allowed.
        let mut restriction = [0u8; 16];
        (restriction[0], restriction[2]) = (1, OPENAT);
        made(REGISTER, &[ring.fd, RESTRICTIONS, at(&restriction), 1]);
        made(REGISTER, &[ring.fd, ENABLE_RINGS]);
        ring.opens(text(&paths[1]));
        results.push(ring.submit(ring.fd, 0));

        let low = Low::new();
        match Ring::new(0, Some(&low)) {
            Ok(ring) => {
                ring.opens(low.text(&files[2]));
                assert_eq!(low.call(ENTER, &[ring.fd, 1, 1, GETEVENTS, 0]), 1);
                results.push(ring.completed().unwrap());
            }
            Err(error) => results.push(error),
        }

        let ring = Ring::new(0, None).unwrap();
        ring.opens(text(&paths[3]));
        end_of(begin(|| {
            call_oneself(c"ev-ring2");
            assert!(ring.submit(ring.fd, 0) >= 0);
        }));
        results
    });
    if results.len() == 1 {
        return skip(&format!("io_uring is refused here: {}", results[0]));
    }
    for (file, result) in files.iter().zip(&results) {
        assert!(*result >= 0, "{results:?}");
        scene.says("Opened", &format!("ev-ring|{file}|f|{result}"));
    }
    let alert = scene.lanner.wait_for_alert("the other's", |alert| {
        crate::scene::of(alert, "fd.name") == files[3]
    });
    assert_eq!(crate::scene::of(&alert, "proc.name"), "ev-ring2");
    scene.end();
}

/// A file without a number goes from ring to ring, and gets one in another process.
#[test]
fn a_file_that_is_sent_from_ring_to_ring_is_known_when_it_is_read() {
    let read = (
        "Read",
        "evt.type = read and proc.name = NAME2 and fd.name startswith FOLDER/",
        "%fd.name|%fd.num|%evt.rawres",
    );
    let Some(scene) = Scene::start("ev-sent", &[read]) else {
        return;
    };
    let secret = scene.file("secret", "text");
    let results = scene.act(|| {
        let path = c(&secret);
        let (ring, other) = match (Ring::new(0, None), Ring::new(0, None)) {
            (Ok(ring), Ok(other)) => (ring, other),
            (Err(error), _) | (_, Err(error)) => return vec![error],
        };
        let told = [ring.room(), other.room()];
        ring.fill(OPENAT, 0, libc::AT_FDCWD.into(), 0, text(&path), 0, 3, 0);
        let told = [told[0], told[1], ring.submit(ring.fd, 0)];
        // As IORING_MSG_SEND_FD, from the slot that was filled to the next of the other ring.
        ring.fill(MSG_RING, 0, other.fd, 0, 1, 0, 4, 2);
        let sent = ring.submit(ring.fd, 0);
        if told.iter().any(|result| *result < 0) || sent < 0 {
            return vec![told[0].min(told[1]).min(told[2]).min(sent)];
        }
        let mut ends = [0; 2];
        // SAFETY: an array of two.
        assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
        end_of(begin(|| {
            call_oneself(c"ev-sent2");
            other.completed().unwrap();
            other.fill(FIXED_FD_INSTALL, FIXED_FILE, 3, 0, 0, 0, 0, 0);
            let fd = other.submit(other.fd, 0);
            let mut data = [0u8; 8];
            let read = if fd < 0 {
                fd
            } else {
                made(libc::SYS_read, &[fd, data.as_mut_ptr() as i64, 8])
            };
            made(libc::SYS_write, &[ends[1].into(), at(&[fd, read]), 16]);
        }));
        let mut installed = [0i64; 2];
        made(
            libc::SYS_read,
            &[ends[0].into(), installed.as_mut_ptr() as i64, 16],
        );
        installed.to_vec()
    });
    if results[0] < 0 {
        return skip(&format!("this kernel has no such operations: {}", results[0]));
    }
    scene.says("Read", &format!("{secret}|{}|4", results[0]));
    scene.end();
}

/// Attributes and lengths of files, which rules on capabilities of files and on logs ask for.
#[test]
fn a_file_that_is_changed_by_a_ring_is_known() {
    let changed = |event: &str| {
        format!("evt.type = {event} and proc.name = NAME and evt.rawres >= 0 and lanner.io_uring = true")
    };
    let [of_path, of_file, cut, emptied] = ["setxattr", "fsetxattr", "ftruncate", "fallocate"].map(changed);
    let rules = [
        (
            "Path",
            of_path.as_str(),
            "%evt.arg.path|%evt.arg.name|%evt.arg.value",
        ),
        ("File", &of_file, "%fd.name|%evt.arg.name|%evt.arg.value"),
        ("Cut", &cut, "%fd.name|%evt.arg.length"),
        (
            "Emptied",
            &emptied,
            "%fd.name|%evt.arg.mode|%evt.arg.offset|%evt.arg.len",
        ),
    ];
    let Some(scene) = Scene::start("ev-change", &rules) else {
        return;
    };
    let file = scene.file("file", "some text");
    let results = scene.act(|| {
        let (path, name, value) = (c(&file), c("user.lanner"), c("a value"));
        let ring = match Ring::new(0, None) {
            Ok(ring) => ring,
            Err(error) => return vec![error],
        };
        let fd = made(libc::SYS_openat, &[-100, text(&path), libc::O_RDWR.into(), 0]);
        let done = |operation, fd, offset, address, length, third| {
            ring.fill(operation, 0, fd, offset, address, length, 0, third);
            ring.submit(ring.fd, 0)
        };
        vec![
            done(SETXATTR, 0, text(&value), text(&name), 7, text(&path)),
            done(FSETXATTR, fd, text(&value), text(&name), 7, 0),
            // Keeps the size, and makes a hole of 4 bytes from the second on.
            done(FALLOCATE, fd, 2, 4, 3, 0),
            // Linux 6.9 and later.
            done(FTRUNCATE, fd, 3, 0, 0, 0),
        ]
    });
    if results.len() == 1 {
        return skip(&format!("io_uring is refused here: {}", results[0]));
    }
    assert_eq!(results[..3], [0; 3]);
    scene.says("Path", &format!("{file}|user.lanner|a value"));
    scene.says("File", &format!("{file}|user.lanner|a value"));
    scene.says(
        "Emptied",
        &format!("{file}|FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE|2|4"),
    );
    match results[3] {
        0 => scene.says("Cut", &format!("{file}|3")),
        error => skip(&format!("this kernel's io_uring cuts no files: {error}")),
    }
    scene.end();
}
