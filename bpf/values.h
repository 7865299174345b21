/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* The values of the current thread that a rule asked for (the schema's task.rs), behind the parameters of a record. */
#pragma once

#include "process.h"

/* Pages of one kind, by the kernel's quick count: what is gathered per CPU and not yet added is left out. */
static __always_inline __u64 pages(struct mm_struct *mm, __u32 kind)
{
	struct mm_struct___counters *counters = (void *)mm;
	struct mm_struct___old *old = (void *)mm;
	__s64 count = 0;

	/* An index that is not written out in the access is not relocated. */
	if (bpf_core_field_exists(counters->rss_stat[0].count))
		bpf_probe_read_kernel(&count, sizeof(count),
				      (void *)counters + bpf_core_field_offset(counters->rss_stat[0].count) +
					      kind * bpf_core_type_size(struct percpu_counter));
	else if (bpf_core_field_exists(old->rss_stat.count[0].counter))
		bpf_probe_read_kernel(&count, sizeof(count),
				      (void *)old + bpf_core_field_offset(old->rss_stat.count[0].counter) +
					      kind * sizeof(count));
	return count > 0 ? count : 0;
}

/*
 * The bits that are set in some words of a table. A function, around which others loop: the verifier goes through it once,
 * and through every iteration of a loop.
 */
#define WORDS_AT_ONCE 16

__noinline int bits__of_words(__u64 words, __u32 most)
{
	__u32 count = 0;

	for (__u32 i = 0; i < WORDS_AT_ONCE; i++) {
		__u64 word = 0;

		if (i >= most)
			break;
		bpf_probe_read_kernel(&word, sizeof(word), (void *)words + i * sizeof(word));
		/* The bits of a word, added up in pairs, fours, bytes. */
		word -= word >> 1 & 0x5555555555555555ULL;
		word = (word & 0x3333333333333333ULL) + (word >> 2 & 0x3333333333333333ULL);
		word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
		count += word * 0x0101010101010101ULL >> 56;
	}
	return count;
}

/* The descriptors of the current task that are open, or -1 when there may be more than are looked at. */
static __always_inline __s64 open_descriptors(struct task_struct *task)
{
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	__u64 map = (__u64)BPF_CORE_READ(fdt, open_fds);
	__u32 words = (BPF_CORE_READ(fdt, max_fds) + 63) / 64;
	__u64 count = 0;

	if (words > FD_WORDS)
		return -1;
	for (__u32 i = 0; i < FD_WORDS; i += WORDS_AT_ONCE) {
		if (i >= words)
			break;
		count += (__u32)bits__of_words(map + i * 8, words - i);
	}
	return count;
}

#define OF_CRED (1 << TASK_CAP_INHERITABLE | 1 << TASK_CAP_PERMITTED | 1 << TASK_CAP_EFFECTIVE)

/*
 * Appends value `which` if it is wanted, and notes that it is there. Where the next one goes is kept in the scratch, which
 * the verifier knows nothing of: a counter here would be a path of its own for every number of values before.
 */
#define PUT(which, value)                                                                                              \
	do {                                                                                                           \
		if (wanted & 1 << (which)) {                                                                           \
			__u64 here = s->off;                                                                           \
                                                                                                                       \
			barrier_var(here);                                                                             \
			*(__u64 *)(data(s) + (here & DATA_MASK)) = (value);                                            \
			s->off += 8;                                                                                   \
			got |= 1 << (which);                                                                           \
		}                                                                                                      \
	} while (0)

/* Where there are loads, a capability set is one number. */
#define CAPABILITY_SET(cred, set) (has_loads() ? ((struct cred___wide *)(cred))->set.val : capabilities(&(cred)->set))
#define PUT_CAPABILITIES                                                                                               \
	PUT(TASK_CAP_INHERITABLE, CAPABILITY_SET(cred, cap_inheritable));                                              \
	PUT(TASK_CAP_PERMITTED, CAPABILITY_SET(cred, cap_permitted));                                                  \
	PUT(TASK_CAP_EFFECTIVE, CAPABILITY_SET(cred, cap_effective))

/* Takes the place of the mask that tells which values are there, when all of them fit. */
static __always_inline bool put_values(struct scratch *s, __u64 *at)
{
	if (!room(s, at))
		return false;
	if (*at > DATA_MAX - 4 - TASK_VALUES * 8) {
		count_miss(MISS_NO_ROOM);
		return false;
	}
	s->off += 4;
	return true;
}

/* Capabilities alone: what rules that look at every open ask for, without the reads that the others need. */
__noinline int append_capabilities(__u32 which, __u32 wanted)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &which);
	__u32 got = 0;
	__u64 at;

	if (!s || !put_values(s, &at))
		return 0;
	if (has_task_btf() && bpf_core_field_exists(struct cred___wide, cap_effective.val)) {
		/* Loads instead of probe reads, which are much dearer. */
		const struct cred___wide *cred = (void *)bpf_get_current_task_btf()->cred;

		PUT(TASK_CAP_INHERITABLE, cred->cap_inheritable.val);
		PUT(TASK_CAP_PERMITTED, cred->cap_permitted.val);
		PUT(TASK_CAP_EFFECTIVE, cred->cap_effective.val);
	} else {
		const struct cred *cred = BPF_CORE_READ(current_task(), cred);

		PUT_CAPABILITIES;
	}
	*(__u32 *)(data(s) + (at & DATA_MASK)) = got;
	return 0;
}

/* A global function, as put_components(). */
__noinline int append_task_values(__u32 which, __u32 wanted)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &which);
	struct task_struct *task = loaded_task(), *parent;
	struct signal_struct *signal = LOAD(task, signal);
	struct mm_struct *mm = LOAD(task, mm);
	const struct cred *cred = LOAD(task, cred);
	__u32 got = 0;
	__u64 at;

	if (!s || !put_values(s, &at))
		return 0;
	/* A thread of the kernel, or one that has ended, has no memory. */
	if (!mm)
		wanted &= ~(1 << TASK_VM_SIZE | 1 << TASK_VM_RSS | 1 << TASK_VM_SWAP);
	/* In the order of their numbers. */
	PUT(TASK_VTID, has_loads() ? own_number(task->thread_pid) : number_inside(BPF_CORE_READ(task, thread_pid)));
	if (wanted & 1 << TASK_PARENT_TID) {
		parent = LOAD(task, real_parent);
		PUT(TASK_PARENT_TID, LOAD(parent, pid));
	}
	PUT(TASK_THREADS, LOAD(signal, nr_threads));
	PUT(TASK_FD_LIMIT, LOAD(signal, rlim[RLIMIT_NOFILE].rlim_cur));
	if (wanted & 1 << TASK_FD_OPEN) {
		__s64 open = open_descriptors(task);

		if (open >= 0)
			PUT(TASK_FD_OPEN, open);
	}
	PUT(TASK_MAJOR_FAULTS, LOAD(task, maj_flt));
	PUT(TASK_MINOR_FAULTS, LOAD(task, min_flt));
	PUT(TASK_VM_SIZE, LOAD(mm, total_vm) * config.page_kb);
	PUT(TASK_VM_RSS, (pages(mm, MM_FILEPAGES) + pages(mm, MM_ANONPAGES) + pages(mm, MM_SHMEMPAGES)) * config.page_kb);
	PUT(TASK_VM_SWAP, pages(mm, MM_SWAPENTS) * config.page_kb);
	PUT(TASK_CPU_TIME, LOAD(task, se.sum_exec_runtime));
	PUT_CAPABILITIES;
	*(__u32 *)(data(s) + (at & DATA_MASK)) = got;
	return 0;
}

static __always_inline void put_task_values(__u32 scratch, __u32 row)
{
	__u32 wanted = config.task[row & (ROWS - 1)];

#ifdef WITHOUT_TYPES
	return;
#endif
	if (wanted & ~OF_CRED)
		append_task_values(scratch, wanted);
	else if (wanted)
		append_capabilities(scratch, wanted);
}
