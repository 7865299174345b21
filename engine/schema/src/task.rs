//! What the kernel says of the current thread at the moment of an event.
//!
//! State that is followed from event to event is wrong when an event is lost, and threads would need a table of their
//! own. So what a thread has of its own, and what changes without a call that is captured, is not followed: the
//! program that records an event reads it from the kernel's task, when a loaded rule asks for it on that event.

macro_rules! values {
    ($( $(#[$doc:meta])* $name:ident $word:literal; )*) => {
        /// One number of the current thread, its process or its memory.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum TaskValue { $( $(#[$doc])* $name, )* }

        impl TaskValue {
            /// All of them, in the order in which a record has them.
            pub const ALL: &'static [TaskValue] = &[ $( TaskValue::$name ),* ];

            /// Its name in the BPF programs (`TASK_NAME`).
            pub const fn name(self) -> &'static str {
                match self { $( TaskValue::$name => $word, )* }
            }
        }
    };
}

values! {
    /// The thread's id inside its own pid namespace.
    Vtid "vtid";
    /// Id of the thread that created the process (`real_parent`).
    ParentTid "parent_tid";
    /// Threads of the process that have not ended (`signal->nr_threads`); a first thread that ended before the others
    /// counts.
    Threads "threads";
    /// How many descriptors the process may have (`RLIMIT_NOFILE`, the soft limit); all ones when it is unlimited.
    FdLimit "fd_limit";
    /// How many descriptors are open; missing when the table has room for more than 16,384.
    FdOpen "fd_open";
    /// Page faults of the thread that had to wait for a disk.
    MajorFaults "major_faults";
    /// Its other page faults.
    MinorFaults "minor_faults";
    /// Virtual memory of the process in kB.
    VmSize "vm_size";
    /// Its resident memory in kB: the kernel's quick count, which may be off by some pages per CPU.
    VmRss "vm_rss";
    /// Its swapped memory in kB, counted the same way.
    VmSwap "vm_swap";
    /// CPU time of the thread in nanoseconds, up to the last time the scheduler looked.
    CpuTime "cpu_time";
    /// Inheritable capabilities of the thread.
    CapInheritable "cap_inheritable";
    /// Permitted capabilities of the thread.
    CapPermitted "cap_permitted";
    /// Effective capabilities of the thread.
    CapEffective "cap_effective";
}

impl TaskValue {
    /// Its bit in a set.
    pub const fn bit(self) -> u32 {
        1 << self as u8
    }
}

const _: () = assert!(
    TaskValue::ALL.len() <= 31,
    "a set is 32 bits wide, and the programs mask its count"
);

/// The bits of some of them.
pub fn bits(values: &[TaskValue]) -> u32 {
    values.iter().fold(0, |bits, value| bits | value.bit())
}
