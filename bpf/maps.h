/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* Every map and every global variable that changes. Layouts shared with user space come from the generated events.h. */
#pragma once

#include "cgroup.h"

/* Set by user space and changed while the programs run: what the loaded rules and the state need. */
struct config config SEC(".data.config") = {};

/* Set by the consumer before it sleeps, cleared by the first record after that: one wake-up instead of one per event. */
struct consumer consumer SEC(".data.consumer") = {};

/* The rows of the event table, fixed when the object is built. */
#ifdef WITHOUT_TYPES
const volatile struct event_row rows[ROWS] = EVENT_ROWS_WITHOUT_TYPES;
#else
const volatile struct event_row rows[ROWS] = EVENT_ROWS;
#endif

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} ring SEC(".maps");

/* Per CPU and program: the sequence number of its next record. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STREAM_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} sequences SEC(".maps");

/* Per CPU: records that were lost, by event and reason. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_COUNT * DROP_REASONS);
	__type(key, __u32);
	__type(value, __u64);
} drops SEC(".maps");

/* Per CPU: all of them, to see with one look whether there are new ones. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} all_drops SEC(".maps");

/*
 * Lost records by the cgroup they came from. User space makes room when it fills up; key 0, which is no cgroup, is there
 * from the start and counts those that found none.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LOSING_CGROUPS);
	__type(key, __u64);
	__type(value, __u64);
} losing_cgroups SEC(".maps");

/*
 * Values that could not be read although the record was delivered, by kind (MISS_*). They are few, and counted in many places:
 * an address is less to verify and to fit in than a look into a map.
 */
__u64 misses[MISS_KINDS] SEC(".data.misses") = {};

/*
 * Whose cgroups are, as the consumer found it: its generation << 1, and OWNER_CONTAINER. Of a cgroup that is not in here, or
 * not in the generation that is, nothing is known.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, OWNERS);
	__type(key, __u64);
	__type(value, __u32);
} owners SEC(".maps");

/* A value of a call that was read when it began, for its return: of which call, and the value as it stands in a record. */
struct begun_header {
	__u64 arg; /* the first */
	__u32 number, compat;
	__u16 length, unused[3];
};
struct begun {
	struct begun_header header;
	__u8 data[STRING_MAX];
};

/*
 * By thread, which is in one call at a time. Not an LRU table, whose per-CPU lists hold more than this has: a value is
 * taken out by the return of its call, and by the end of its thread. User space puts the table in while there is a
 * program that fills it; without one, there is none and it takes no memory. This one is the model, which is made and let go
 * of when programs are loaded: how many entries there are is not looked at.
 */
struct begun_calls {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32)); /* of a table inside another the compiler describes no types */
	__uint(value_size, sizeof(struct begun));
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct begun_calls);
} begun SEC(".maps");

/*
 * Where a record is put together. One per program and CPU: the kernel refuses to run a program that already runs on
 * this CPU, so only another program can come between, and that has its own. `owner` is written first and checked last
 * all the same, because on preemptible kernels that promise was seen broken; an overwritten record is counted as lost.
 */
struct scratch {
	__u64 owner;
	__u64 args[8]; /* six are used; the mask of an index is a power of two */
	__s64 ret;
	__u64 off; /* where the next value goes, counted from the end of the header */
	__u32 compat;
	__u32 number; /* of the system call */
	/*
	 * The table by which the names of this call are read, and one; 0 when it passes whatever they are. The state of the one
	 * that is being read, 0 when none is. What was said of the path that was asked for and of the kernel's.
	 */
	__u32 names, name_state, requested_name, real_name;
	/* Where the absolute path is that was asked for, and how long; 0 when its names are read and it is none. */
	__u32 text, text_len;
	__u64 file, made; /* of a request of io_uring: the file it is done on, and the one it has made */
	__u64 base, length; /* of a vector */
	__u64 nowhere; /* the mount that a path ends at which is in no namespace */
	__u64 dentry, mount, root_mount, path_start; /* of a path that is being put down: components__walk() */
	__u8 buf[SCRATCH_LEN];
	__u64 regs[PT_REGS_LEN / 8]; /* a copy of the caller's registers, where the kernel does not hand them over */
};

#define SCRATCH_SYSCALL 0
#define SCRATCH_EXEC 1
#define SCRATCH_EXIT 2
#define SCRATCH_NOTE 3 /* only where notes are taken (notes.h) */

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* Always empty: see keep_stack(). */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} nowhere SEC(".maps");

/* A subprogram: it is called where records are lost, and nowhere else. */
static __noinline int count_drop(__u32 event, __u32 reason)
{
	__u32 key = event * DROP_REASONS + reason, first = 0;
	__u64 *value = bpf_map_lookup_elem(&drops, &key);
	__u64 cgroup = current_cgroup(), nobody = 0, one = 1;

	if (value)
		*value += 1;
	value = bpf_map_lookup_elem(&all_drops, &first);
	if (value)
		*value += 1;
	value = bpf_map_lookup_elem(&losing_cgroups, &cgroup);
	if (!value) {
		if (!bpf_map_update_elem(&losing_cgroups, &cgroup, &one, BPF_NOEXIST))
			return 0;
		/* Another CPU was first, or there is no room. */
		value = bpf_map_lookup_elem(&losing_cgroups, &cgroup);
		if (!value)
			value = bpf_map_lookup_elem(&losing_cgroups, &nobody);
	}
	if (value)
		__sync_fetch_and_add(value, 1);
	return 0;
}

static __always_inline void count_misses(__u32 kind, __u64 count)
{
	__sync_fetch_and_add(&misses[kind], count);
}

static __always_inline void count_miss(__u32 kind)
{
	count_misses(kind, 1);
}

static __always_inline void *begun_table(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&begun, &first);
}

/* Nothing is kept for this thread any more. */
static __always_inline void forget_begun(void)
{
	void *table = begun_table();
	__u32 tid = bpf_get_current_pid_tgid();

	if (table)
		bpf_map_delete_elem(table, &tid);
}
