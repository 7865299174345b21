/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* Who gets the children of a task that ends: find_new_reaper() of kernel/exit.c, asked a moment before it. */
#pragma once

#include "process.h"

#define REAPER_UNKNOWN (-1) /* there were more threads or ancestors than are looked at */

/* A thread of the group of `task_address` that is not ending, 0 when there is none. */
__noinline int thread__alive(__u64 task_address)
{
	struct task_struct *task = (void *)task_address;
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	__u64 head = (__u64)signal + bpf_core_field_offset(struct signal_struct, thread_head);
	__u64 node = (__u64)BPF_CORE_READ(signal, thread_head.next);

	for (int i = 0; i < REAPER_THREADS; i++) {
		struct task_struct *thread = (void *)node - bpf_core_field_offset(struct task_struct, thread_node);

		if (!node || node == head)
			return 0;
		if (!(BPF_CORE_READ(thread, flags) & PF_EXITING))
			return BPF_CORE_READ(thread, pid);
		node = (__u64)BPF_CORE_READ(thread, thread_node.next);
	}
	return REAPER_UNKNOWN;
}

/* The first process of a task's own pid namespace. */
static __always_inline struct task_struct *first_of_namespace(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);

	return BPF_CORE_READ(namespace_of(pid), child_reaper);
}

/* The same where an ancestor takes the children of others that end, 0 where it does not. */
__noinline int reaper__thread(__u64 ancestor)
{
	struct signal_struct *signal = BPF_CORE_READ((struct task_struct *)ancestor, signal);

	return BPF_CORE_READ_BITFIELD_PROBED(signal, is_child_subreaper) ? thread__alive(ancestor) : 0;
}

/* True for an ancestor that is in another pid namespace, whose processes are so many levels down. */
__noinline int reaper__is_outside(__u64 ancestor, __u32 level)
{
	return BPF_CORE_READ((struct task_struct *)ancestor, thread_pid, level) != level;
}

/* The thread that gets the children of the current task, which ends; 0 when it has none, or when all of them end too. */
__noinline int reaper__of_current(void)
{
	struct task_struct *task = current_task(), *first, *ancestor;
	struct signal_struct *signal;
	__u32 level;
	int alive;

	if (ADDRESS_IN(task, children.next) ==
	    (__u64)task + bpf_core_field_offset(struct task_struct, children))
		return 0;
	signal = BPF_CORE_READ(task, signal);
	level = BPF_CORE_READ(task, thread_pid, level);
	alive = thread__alive((__u64)task);
	if (alive)
		return alive;
	first = first_of_namespace(task);
	if (first == task)
		return 0;
	if (!BPF_CORE_READ_BITFIELD_PROBED(signal, has_child_subreaper))
		return BPF_CORE_READ(first, pid);
	ancestor = BPF_CORE_READ(task, real_parent);
	for (int i = 0; i < REAPER_ANCESTORS; i++) {
		if (ancestor == first || reaper__is_outside((__u64)ancestor, level))
			return BPF_CORE_READ(first, pid);
		alive = reaper__thread((__u64)ancestor);
		if (alive)
			return alive;
		ancestor = BPF_CORE_READ(ancestor, real_parent);
	}
	return REAPER_UNKNOWN;
}
