//! Memory that only the start needed.

use std::fs;

use libc::c_void;
use nix::sys::mman::{MmapAdvise, madvise};

/// Gives back what the start has used and nothing uses from there on: the parts of this program's code that were run once, which
/// come back from the file should they be run again, and memory that was freed.
pub fn give_back_start() {
    // What is not given back is only larger.
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for (begin, length) in parts_of_program(&maps, give_back_start as fn() as usize) {
        // SAFETY: the part is mapped from this program's file and never written to, so what is read there next is the same.
        let _ = unsafe { madvise_at(begin, length) };
    }
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes a number and may be called at any time.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// # Safety
/// The memory is a file's, and the same as in the file.
unsafe fn madvise_at(begin: usize, length: usize) -> nix::Result<()> {
    let Some(begin) = std::ptr::NonNull::new(std::ptr::with_exposed_provenance_mut::<c_void>(begin)) else {
        return Ok(());
    };
    // SAFETY: as the caller says.
    unsafe { madvise(begin, length, MmapAdvise::MADV_DONTNEED) }
}

/// Where the code that `inside` is in lies, and what comes first in its file: the names and constants, which nothing writes to
/// either. What is read-only further behind was written to when the program was made ready to run.
fn parts_of_program(maps: &str, inside: usize) -> Vec<(usize, usize)> {
    let parts = || maps.lines().filter_map(Part::read);
    let Some(own) = parts().find(|part| part.begin <= inside && inside < part.end) else {
        return Vec::new();
    };
    let of_file = parts().filter(|part| part.file == own.file);
    let unwritten =
        of_file.filter(|part| part.rights == "r-xp" || part.rights == "r--p" && part.offset == "00000000");
    unwritten
        .map(|part| (part.begin, part.end - part.begin))
        .collect()
}

/// A line of `/proc/PID/maps`.
struct Part<'m> {
    begin: usize,
    end: usize,
    rights: &'m str,
    offset: &'m str,
    /// Its device and number.
    file: (&'m str, &'m str),
}

impl Part<'_> {
    fn read(line: &str) -> Option<Part<'_>> {
        let mut words = line.split_ascii_whitespace();
        let (begin, end) = words.next()?.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        Some(Part {
            begin: address(begin)?,
            end: address(end)?,
            rights: words.next()?,
            offset: words.next()?,
            file: (words.next()?, words.next()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn only_what_nothing_writes_to_is_given_back() {
        let maps = "\
1000-3000 r--p 00000000 fe:01 42 /usr/bin/lanner
3000-8000 r-xp 00002000 fe:01 42 /usr/bin/lanner
8000-9000 r--p 00007000 fe:01 42 /usr/bin/lanner
9000-a000 rw-p 00008000 fe:01 42 /usr/bin/lanner
a000-b000 rw-p 00000000 00:00 0 [heap]
b000-c000 r--p 00000000 fe:01 43 /usr/lib/libc.so.6
c000-d000 r-xp 00001000 fe:01 43 /usr/lib/libc.so.6
";
        assert_eq!(
            parts_of_program(maps, 0x3100),
            [(0x1000, 0x2000), (0x3000, 0x5000)]
        );
        assert_eq!(parts_of_program(maps, 0xf000), []);
        assert_eq!(parts_of_program("", 0x3100), []);
    }

    /// KiB of these parts that are in this process's memory.
    fn resident(parts: &[(usize, usize)]) -> usize {
        let mut is_part = false;
        let mut resident = 0;
        for line in fs::read_to_string("/proc/self/smaps").unwrap().lines() {
            if let Some(part) = Part::read(line) {
                is_part = parts.iter().any(|(begin, _)| *begin == part.begin);
            } else if let Some(kib) = line.strip_prefix("Rss:").filter(|_| is_part) {
                let kib = kib.trim().trim_end_matches(" kB");
                resident += kib.parse::<usize>().unwrap();
            }
        }
        resident
    }

    #[test]
    fn code_that_was_run_leaves_memory_and_the_program_goes_on() {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let parts = parts_of_program(&maps, give_back_start as fn() as usize);
        // What is read there is put into memory, as what is run is.
        let memory = File::open("/proc/self/mem").unwrap();
        for (begin, length) in &parts {
            let begin = u64::try_from(*begin).unwrap();
            memory.read_exact_at(&mut vec![0; *length], begin).unwrap();
        }
        let all = parts.iter().map(|(_, length)| length).sum::<usize>() / 1024;
        let before = resident(&parts);
        assert!(before > all / 2, "{before} of {all} KiB");
        give_back_start();
        // The other tests use theirs meanwhile.
        let after = resident(&parts);
        assert!(after < before / 2, "{after} KiB of {before} stay");
        assert_eq!(format!("{after:?}"), after.to_string());
    }
}
