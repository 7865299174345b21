//! Calls that no state needs: each once per number, in a child of its own, with arguments no call can use. What is then
//! recorded of plain arguments follows from the row; what is read from memory is checked in `calls.rs`.

use lanner_schema::event::{EVENTS, Event, EventRow, Origin, Param, ParamType};

use super::*;

/// No descriptor, no process and no address has these numbers, and they set no flag that creates something.
const ARGS: [u32; 6] = [
    0x7fff_fff1,
    0x7111_1111,
    0x7222_2222,
    0x7333_3333,
    0x7444_4444,
    0x7555_5555,
];

/// What is not performed, and why.
const NOT_PERFORMED: &[(&str, &str)] = &[
    ("exit", "does not return"),
    ("exit_group", "does not return"),
    ("rt_sigreturn", "does not return to where it was called"),
    ("sigreturn", "does not return to where it was called"),
    ("uretprobe", "kills a caller that is no probe"),
    ("uprobe", "kills a caller that is no probe"),
    ("pause", "sleeps until a signal"),
    ("sigsuspend", "sleeps until a signal"),
    ("vhangup", "would hang up the terminal of whoever runs this"),
    ("reboot", "too dangerous to be wrong about"),
    ("kexec_load", "too dangerous to be wrong about"),
];

/// The arguments, where those above would have an effect that stays or in the way of the rest.
fn args_of(name: &str) -> [u32; 6] {
    match name {
        "shmget" | "brk" => [0; 6],
        _ => ARGS,
    }
}

/// Where a child leaves its result.
struct Result64(*mut i64);

impl Result64 {
    fn new() -> Result64 {
        // SAFETY: a new shared anonymous mapping.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(page, libc::MAP_FAILED);
        Result64(page.cast())
    }

    /// What `call` gives in a child; `None` when the child did not live to tell.
    fn of(&self, call: impl FnOnce() -> i64) -> Option<i64> {
        // SAFETY: this process has one thread; the child makes one call and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: plain calls; a child that hangs is ended by the alarm.
            unsafe { libc::alarm(10) };
            let result = call();
            // SAFETY: the shared page outlives the child, and the parent reads it when the child is gone.
            unsafe {
                self.0.write_volatile(result);
                libc::_exit(0);
            }
        }
        let mut status = 0;
        // SAFETY: status lives here; the page is this struct's.
        unsafe {
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            (status == 0).then(|| self.0.read_volatile())
        }
    }
}

fn native(row: &EventRow) -> &'static [u16] {
    if cfg!(target_arch = "x86_64") {
        row.x86_64
    } else {
        row.aarch64
    }
}

/// The rows of `plain.rs`, `numbered.rs` and `other.rs`.
pub(crate) fn is_plain(row: &EventRow) -> bool {
    row.event >= Event::Chown
}

/// Every such call natively, and by its 32-bit numbers when `int80` can make them.
pub(crate) fn by_number(int80: Option<fn(u32, [u32; 6]) -> i32>) {
    let result = Result64::new();
    for row in EVENTS.iter().filter(|row| is_plain(row)) {
        if let Some((_, why)) = NOT_PERFORMED.iter().find(|(name, _)| *name == row.name) {
            println!("omit {} {why}", row.name);
            continue;
        }
        let args = args_of(row.name);
        let mut numbers = 0;
        for nr in native(row) {
            numbers += 1;
            let [a, b, c, d, e, f] = args.map(c_long::from);
            let result = result.of(|| sys!(c_long::from(*nr), a, b, c, d, e, f));
            expected(row, *nr, false, args, result);
        }
        for nr in row.i386.iter().filter(|_| int80.is_some()) {
            numbers += 1;
            // The last page of addresses are errors; the others may be those of a mapping, above what an i32 holds.
            let wide = |result: i32| match result {
                -4095..0 => result.into(),
                _ => result.cast_unsigned().into(),
            };
            let call = || int80.map_or(0, |int80| wide(int80(u32::from(*nr), args)));
            expected(row, *nr, true, args, result.of(call));
        }
        if numbers == 0 {
            println!("omit {} there is no such call on this machine", row.name);
        }
    }
}

fn expected(row: &EventRow, nr: u16, compat: bool, args: [u32; 6], result: Option<i64>) {
    let given = Given {
        nr,
        compat,
        args: arranged(row.event, compat, args),
        result,
    };
    // A check calls the command line of the process so.
    let params = row
        .params
        .iter()
        .filter(|param| param.name != "cmdline")
        .filter_map(|param| {
            let value = given.value(param)?;
            Some((param.name, value))
        });
    let params: Vec<(&str, String)> = params.collect();
    let params: Vec<(&str, &str)> = params.iter().map(|(k, v)| (*k, v.as_str())).collect();
    expect(&format!("@{}", row.name), &params);
}

/// The arguments where 64-bit callers have them: two calls have them elsewhere for 32-bit callers.
fn arranged(event: Event, compat: bool, args: [u32; 6]) -> [u32; 6] {
    match event {
        // In memory, where nothing is.
        Event::Mmap if compat => [0; 6],
        // The mask is two arguments long.
        Event::FanotifyMark if compat => [args[0], args[1], args[2], args[4], args[5], args[5]],
        _ => args,
    }
}

/// One call and how it went; a call that killed its child has no result.
struct Given {
    nr: u16,
    compat: bool,
    args: [u32; 6],
    result: Option<i64>,
}

/// i386 calls with ids of 16 bits.
const SHORT_IDS: [u16; 5] = [16, 95, 138, 139, 182];

impl Given {
    /// What must be recorded of a parameter; `None` where this does not say.
    fn value(&self, param: &Param) -> Option<String> {
        let number = |n: i64| Some(n.to_string());
        match param.from {
            // A result that no call has.
            Origin::Return => Some(
                self.result
                    .map_or_else(|| "the child died".to_owned(), |n| n.to_string()),
            ),
            Origin::Number => number(self.nr.into()),
            Origin::Arg(n) => number(self.arg(n, param.ty)),
            Origin::Id(n) if self.compat && SHORT_IDS.contains(&self.nr) => {
                number(i64::from(self.args[usize::from(n)]) & 0xffff)
            }
            Origin::Id(n) => number(self.args[usize::from(n)].into()),
            Origin::Position { arg, .. } if !self.compat => number(self.args[usize::from(arg)].into()),
            Origin::Position { compat, .. } if self.nr < 180 => {
                number(self.args[usize::from(compat)].cast_signed().into())
            }
            Origin::Position { compat, .. } => {
                let (low, high) = (self.args[usize::from(compat)], self.args[usize::from(compat) + 1]);
                number(i64::from(high) << 32 | i64::from(low))
            }
            // No argument is an address.
            Origin::UserString(_)
            | Origin::UserPath { .. }
            | Origin::UserU32 { .. }
            | Origin::UserU64 { .. }
                if self.args != [0; 6] =>
            {
                Some("<none>".to_owned())
            }
            _ => None,
        }
    }

    /// An argument as wide as its type; all of them fit 31 bits.
    fn arg(&self, n: u8, ty: ParamType) -> i64 {
        let value = self.args[usize::from(n)];
        match ty {
            ParamType::Errno | ParamType::Fd | ParamType::Pid | ParamType::I32 => value.cast_signed().into(),
            _ => value.into(),
        }
    }
}
