/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * The programs of tier C. Arguments of raw tracepoints are numbers to the verifier, so that everything behind them takes
 * a probe read.
 */
#pragma once

#include "exit.h"
#include "signal.h"

#define ENVIRONMENT_STRINGS 1024 /* passed over to find what is behind them */
#define AUXILIARY_VALUES 32
#define AT_EXECFN 31 /* include/uapi/linux/auxvec.h */

static __always_inline __u32 task_number(__u64 task, __u32 offset)
{
	__u32 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), (void *)task + offset);
	return number;
}

/* The process a task descends from, where it is known how to tell. */
static __always_inline void put_parent(struct scratch *s, __u32 index, __u64 task)
{
	__u64 parent = 0;

	if (!task_layout.real_parent)
		return;
	bpf_probe_read_kernel(&parent, sizeof(parent), (void *)task + task_layout.real_parent);
	put_u64(s, index, task_number(parent, task_layout.tgid));
}

/* A word of the program's memory: an address or a count; 0 when it can't be read. */
static __always_inline __u64 user_word(__u64 at, __u32 width)
{
	__u64 word = 0;

	if (width == 4)
		bpf_probe_read_user(&word, 4, (void *)at);
	else
		bpf_probe_read_user(&word, 8, (void *)at);
	return word;
}

/* Where the auxiliary vector is, behind the environment that begins at `at`; 0 when that has too many strings. */
__noinline __u64 exec__auxiliary(__u64 at, __u32 width)
{
	for (int i = 0; i < ENVIRONMENT_STRINGS; i++) {
		if (!user_word(at, width))
			return at + width;
		at += width;
	}
	return 0;
}

/* The name the program was started by, which lies behind its environment; 0 when it is not found. */
__noinline __u64 exec__filename(__u64 at, __u32 width)
{
	for (int i = 0; i < AUXILIARY_VALUES; i++) {
		__u64 type = user_word(at, width);

		if (type == AT_EXECFN)
			return user_word(at + width, width);
		if (!type)
			return 0;
		at += 2 * width;
	}
	return 0;
}

/*
 * A program that begins, by what the kernel has put on its stack (create_elf_tables): argc, argv and 0, envp and 0, the
 * auxiliary vector. The strings lie one behind the other, arguments before environment before the name it was started by.
 * It has not run an instruction, so nobody but a tracer has changed them.
 */
static __always_inline int report_exec(struct pt_regs *regs, bool compat, bool by_descriptor)
{
	struct scratch *s = record__begin(SCRATCH_SYSCALL, TASK_EXEC_PARAMS);
	__u32 width = compat ? 4 : 8;
	__u64 argc, args, env_at, env, filename = 0, auxiliary;
	char comm[16] = {};
	__u64 sp = regs->sp;

	if (!s)
		return 0;
	argc = user_word(sp, width);
	args = user_word(sp + width, width);
	env_at = sp + (argc + 2) * width;
	env = user_word(env_at, width);
	auxiliary = exec__auxiliary(env_at, width);
	if (auxiliary)
		filename = exec__filename(auxiliary, width);
	put_parent(s, TASK_EXEC_PPID, (__u64)current_task());
	if (by_descriptor)
		put_u64(s, TASK_EXEC_BY_DESCRIPTOR, true);
	bpf_get_current_comm(comm, sizeof(comm));
	put_kernel_str(s, TASK_EXEC_COMM, comm, sizeof(comm));
	put_user_bytes(s, TASK_EXEC_ARGS, args, env ? env : filename);
	if (env && config.params[EVENT_TASK_EXEC] & 1 << TASK_EXEC_ENV)
		put_user_bytes(s, TASK_EXEC_ENV, env, filename);
	put_user_str(s, TASK_EXEC_FILENAME, (void *)filename);
	record__submit(s, EVENT_TASK_EXEC, STREAM_EXEC, 0);
	return 0;
}

SEC("?raw_tp/sys_exit")
int BPF_PROG(raw_sys_exit, struct pt_regs *regs, long ret)
{
	struct scratch *s = syscall_scratch();
	struct pt_regs *copy;
	bool compat = false;
	__u32 wanted;
	__u64 nr = 0;

#if defined(__TARGET_ARCH_x86)
	bpf_probe_read_kernel(&nr, sizeof(__u32), &regs->orig_ax);
#elif defined(__TARGET_ARCH_arm64)
	bpf_probe_read_kernel(&nr, sizeof(regs->syscallno), &regs->syscallno);
#endif
	/* Most calls leave here. */
	if (nr >= SYSCALLS || !config.syscalls[nr & (SYSCALLS - 1)])
		return 0;
	if (!s || bpf_probe_read_kernel(s->regs, sizeof(struct pt_regs), regs))
		return 0;
	copy = (struct pt_regs *)s->regs;
	if (!ret) {
		wanted = call__wanted(nr, &compat);
		if (wanted && wanted != SOCKETCALL && rows[row_of(wanted - 1)].flags & ROW_FAILURES_ONLY)
			/* x86 has an execve of every exec by now: see by_descriptor(). */
			return report_exec(copy, compat, wanted - 1 == EVENT_EXECVEAT);
	}
	return call__ended(copy, ret, false);
}

/* Loaded only where it is known how to tell the child. */
SEC("?raw_tp/sched_process_fork")
int BPF_PROG(raw_fork, __u64 parent, __u64 child)
{
	__u32 pid = task_number(child, task_layout.pid);
	char comm[16] = {};
	struct scratch *s;

	/* A new thread changes nothing in the process table. */
	if (!pid || pid != task_number(child, task_layout.tgid))
		return 0;
	s = record__begin(SCRATCH_EXEC, TASK_FORK_PARAMS);
	if (!s)
		return 0;
	put_u64(s, TASK_FORK_CHILD_PID, pid);
	put_parent(s, TASK_FORK_PPID, child);
	put_u64(s, TASK_FORK_START_TIME, bpf_ktime_get_boot_ns());
	bpf_get_current_comm(comm, sizeof(comm));
	put_kernel_str(s, TASK_FORK_COMM, comm, sizeof(comm));
	record__submit(s, EVENT_TASK_FORK, STREAM_FORK, 0);
	return 0;
}

/* The end of a process is taken to be that of its first thread, which may end before the others. */
SEC("?raw_tp/sched_process_exit")
int BPF_PROG(raw_exit, __u64 task)
{
	__u64 id = bpf_get_current_pid_tgid();
	bool is_first = (__u32)id == id >> 32;
	struct scratch *s;

	if (!is_first && !config.thread_exits)
		return 0;
	s = record__begin(SCRATCH_EXIT, PROCEXIT_PARAMS);
	if (!s)
		return 0;
	put_u64(s, PROCEXIT_GROUP_DEAD, is_first);
	record__submit(s, EVENT_PROCEXIT, STREAM_EXIT, 0);
	return 0;
}

/* As task_rename; an exec, which names its process too, comes with the name once more. */
SEC("?raw_tp/task_rename")
int BPF_PROG(raw_rename, __u64 task, const char *comm)
{
	__u64 id = bpf_get_current_pid_tgid(), sequence;
	struct rename_record *r;

	/* Who is named by somebody else, through its /proc/PID/comm, is not known. */
	if ((__u32)id != id >> 32 || task != bpf_get_current_task())
		return 0;
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r) {
		next_sequence(STREAM_RENAME);
		count_drop(EVENT_TASK_RENAME, DROP_RING_FULL);
		return 0;
	}
	__builtin_memset(r->comm, 0, sizeof(r->comm));
	bpf_probe_read_kernel_str(r->comm, sizeof(r->comm), comm);
	r->lengths[TASK_RENAME_COMM] = sizeof(r->comm);
	fill_header(r, EVENT_TASK_RENAME, STREAM_RENAME, 0);
	sequence = r->header.sequence;
	bpf_ringbuf_submit(r, wakeup_flags(sequence));
	return 0;
}
