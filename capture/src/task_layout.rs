//! Where the kernel keeps what tells a task, on kernels without type information: found by looking at tasks of this process,
//! of which it is known what must be in them.

use std::thread;

use libbpf_rs::{Object, ObjectBuilder, ProgramInput, ProgramMut};
use nix::sys::utsname::uname;
use nix::unistd::gettid;

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/task_word.bpf.o"));

/// How far into a task it is looked for its ids, in bytes: on kernels up to 7.2 they are within the first 4 KiB.
const REACH: u32 = 8 << 10;

/// Offsets in `struct task_struct`; 0 where one is not known. Mirrored by build.rs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TaskLayout {
    /// Of the flags that say in which convention a call was made.
    pub(crate) status: u32,
    /// Of the thread's id.
    pub(crate) pid: u32,
    /// Of the process's id.
    pub(crate) tgid: u32,
    /// Of the pointer to the process it descends from.
    pub(crate) real_parent: u32,
}

/// A task of this process as it is in memory, and the ids that must be in it.
#[derive(Debug)]
struct Task {
    words: Vec<u32>,
    tid: u32,
}

impl TaskLayout {
    /// Looks at this process, unless it has other numbers than the kernel's.
    pub(crate) fn find(is_numbered_otherwise: bool) -> TaskLayout {
        let kernel = uname().map(|uname| uname.release().to_string_lossy().into_owned());
        let unknown = TaskLayout {
            status: status(&kernel.unwrap_or_default()),
            ..TaskLayout::default()
        };
        if is_numbered_otherwise {
            return unknown;
        }
        let tasks: Option<Vec<Task>> = (0..2)
            .map(|_| thread::spawn(Task::own).join().ok().flatten())
            .collect();
        let (Some(tasks), Some(mut reader)) = (tasks, Reader::open()) else {
            return unknown;
        };
        let read = &mut |address: u64| reader.with(|program| word(program, address, 0));
        let (process, parent) = (std::process::id(), std::os::unix::process::parent_id());
        TaskLayout {
            status: unknown.status,
            ..search(&tasks, process, parent, read)
        }
    }

    /// True when it is known which process a task belongs to.
    pub(crate) fn tells_tasks(self) -> bool {
        self.pid != 0
    }

    /// `struct task_layout`.
    pub(crate) fn bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let members = [self.status, self.pid, self.tgid, self.real_parent];
        for (place, member) in bytes.chunks_exact_mut(4).zip(members) {
            place.copy_from_slice(&member.to_ne_bytes());
        }
        bytes
    }
}

/// Where x86's `struct thread_info`, with which a task begins, has its `status`: behind two words of flags, of which older
/// kernels have one. Linux 5.11 brought the second
/// (`syscall_work`).
fn status(kernel: &str) -> u32 {
    let mut numbers = kernel
        .split(|c: char| !c.is_ascii_digit())
        .map(|word| word.parse().unwrap_or(0u32));
    let version = (numbers.next(), numbers.next());
    match version < (Some(5), Some(11)) {
        true => 8,
        false => 16,
    }
}

fn search(tasks: &[Task], process: u32, parent: u32, read: &mut dyn FnMut(u64) -> u32) -> TaskLayout {
    let offset = |index: usize| u32::try_from(index * 4).unwrap_or(0);
    let all = |index: usize, is: &dyn Fn(&Task, u32) -> bool| {
        tasks
            .iter()
            .all(|task| task.words.get(index).is_some_and(|word| is(task, *word)))
    };
    let places = 0..tasks.first().map_or(0, |task| task.words.len());
    // One behind the other, as they are declared, or else the only ones there are.
    let pids: Vec<usize> = places
        .clone()
        .filter(|index| all(*index, &|task, word| word == task.tid))
        .collect();
    let tgids: Vec<usize> = places
        .clone()
        .filter(|index| all(*index, &|_, word| word == process))
        .collect();
    let neighbours = pids.iter().copied().find(|pid| tgids.contains(&(pid + 1)));
    let (pid, tgid) = match (neighbours, &*pids, &*tgids) {
        (Some(pid), ..) => (pid, pid + 1),
        (None, [pid], [tgid]) => (*pid, *tgid),
        _ => return TaskLayout::default(),
    };
    // A pointer to a task with the parent's id: real_parent, before parent, which is the same unless this is traced.
    let pointer = |task: &Task, index: usize| {
        let low = task.words.get(index).copied().unwrap_or(0);
        let high = task.words.get(index + 1).copied().unwrap_or(0);
        u64::from(low) | u64::from(high) << 32
    };
    let mut leads_to_parent = |index: usize| {
        let at = tasks.first().map_or(0, |task| pointer(task, index));
        at > u64::MAX / 2
            && tasks.iter().all(|task| pointer(task, index) == at)
            && read(at.wrapping_add(offset(tgid).into())) == parent
    };
    let real_parent = (tgid + 1..places.end)
        .filter(|index| index % 2 == 0)
        .find(|index| leads_to_parent(*index) && leads_to_parent(index + 2));
    TaskLayout {
        status: 0,
        pid: offset(pid),
        tgid: offset(tgid),
        real_parent: real_parent.map_or(0, offset),
    }
}

impl Task {
    /// That of the thread that asks.
    fn own() -> Option<Task> {
        let tid = u32::try_from(gettid().as_raw()).ok()?;
        let words = Reader::open()?.with(|program| {
            (0..REACH / 4)
                .map(|index| word(program, 0, (index * 4).into()))
                .collect()
        });
        Some(Task { words, tid })
    }
}

/// The program that reads one word.
struct Reader {
    object: Object,
}

impl Reader {
    fn open() -> Option<Reader> {
        let object = ObjectBuilder::default().open_memory(OBJECT).ok()?.load();
        match object {
            Ok(object) => Some(Reader { object }),
            Err(error) => {
                tracing::debug!("cannot look at the own task: {error}");
                None
            }
        }
    }

    fn with<T>(&mut self, read: impl Fn(&ProgramMut<'_>) -> T) -> T
    where
        T: Default,
    {
        match self.object.progs_mut().next() {
            Some(program) => read(&program),
            None => T::default(),
        }
    }
}

/// Four bytes at `base + offset`, or in the task of who asks where `base` is 0; 0 when they can't be read.
fn word(program: &ProgramMut<'_>, base: u64, offset: u64) -> u32 {
    let mut context = [0; 16];
    context[..8].copy_from_slice(&base.to_ne_bytes());
    context[8..].copy_from_slice(&offset.to_ne_bytes());
    let input = ProgramInput {
        context_in: Some(&mut context),
        ..ProgramInput::default()
    };
    program.test_run(input).map_or(0, |output| output.return_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT_AT: u64 = 0xffff_8880_1234_5000;

    fn task(tid: u32, members: &[(usize, u32)]) -> Task {
        let mut words = vec![0; 64];
        words[20] = tid;
        words[21] = 500;
        for (index, word) in members {
            words[*index] = *word;
        }
        Task { words, tid }
    }

    fn pointer(index: usize) -> [(usize, u32); 2] {
        [(index, PARENT_AT as u32), (index + 1, (PARENT_AT >> 32) as u32)]
    }

    fn found(tasks: &[Task]) -> TaskLayout {
        search(tasks, 500, 400, &mut |address| {
            u32::from(address == PARENT_AT + 84) * 400
        })
    }

    #[test]
    fn ids_are_where_they_are_in_every_task() {
        let parents = [pointer(24), pointer(26)].concat();
        // The same number by chance in one of them, before what is looked for.
        let other = [&parents[..], &[(3, 502), (4, 500)]].concat();
        let layout = found(&[task(501, &parents), task(502, &other)]);
        assert_eq!(
            (layout.pid, layout.tgid, layout.real_parent),
            (20 * 4, 21 * 4, 24 * 4)
        );
        assert!(layout.tells_tasks());
        let bytes = layout.bytes();
        assert_eq!(bytes[4..8], 80u32.to_ne_bytes());
        assert_eq!(bytes[12..], 96u32.to_ne_bytes());
    }

    #[test]
    fn a_pointer_to_the_parent_that_is_something_else_is_not_taken() {
        // The last task that was woken, before the ids; and one behind them without the other beside it.
        let parents = [pointer(8), pointer(10), pointer(30)].concat();
        let layout = found(&[task(501, &parents), task(502, &parents)]);
        assert!(layout.tells_tasks());
        assert_eq!(layout.real_parent, 0);
    }

    #[test]
    fn what_is_not_found_is_unknown() {
        let empty = || Task {
            words: vec![0; 64],
            tid: 501,
        };
        assert_eq!(found(&[empty(), empty()]), TaskLayout::default());
        assert_eq!(found(&[]), TaskLayout::default());
    }

    #[test]
    fn the_flags_of_a_call_moved_once() {
        assert_eq!((status("5.10.0-39-cloud-amd64"), status("5.11.0")), (8, 16));
        assert_eq!((status("6.1"), status("7.2-rc1"), status("?")), (16, 16, 8));
    }
}
