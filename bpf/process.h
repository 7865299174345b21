/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* What system calls about processes are called with and what they change: credentials, limits, prctl, ptrace, modules. */
#pragma once

#include "extract.h"

static __always_inline __u64 capabilities(const void *at)
{
	__u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), at);
	return value;
}

/* One of the capability sets of the current thread: inheritable, permitted, effective. */
static __always_inline void extract__capabilities(struct scratch *s, __u32 index, __u32 which)
{
	const struct cred *cred = BPF_CORE_READ(current_task(), cred);

	put_u64(s, index,
		capabilities(which == 0 ? (void *)&cred->cap_inheritable :
			     which == 1 ? (void *)&cred->cap_permitted :
					  (void *)&cred->cap_effective));
}

/* i386 calls with ids of 16 bits, which later calls with ids of 32 bits did not replace. */
static __always_inline bool has_short_ids(struct scratch *s)
{
#if defined(__TARGET_ARCH_x86)
	if (!s->compat)
		return false;
	switch (s->number) {
	case 16: /* lchown */
	case 23: /* setuid */
	case 46: /* setgid */
	case 70: /* setreuid */
	case 71: /* setregid */
	case 95: /* fchown */
	case 138: /* setfsuid */
	case 139: /* setfsgid */
	case 164: /* setresuid */
	case 165: /* getresuid */
	case 170: /* setresgid */
	case 171: /* getresgid */
	case 182: /* chown */
		return true;
	}
#endif
	return false;
}

/* A user or group id. Of the short ones the highest stands for "none" (low2highuid() in linux/highuid.h). */
static __always_inline void put_id(struct scratch *s, __u32 index, __u64 value)
{
	if (has_short_ids(s)) {
		value &= 0xffff;
		if (value == 0xffff)
			value = 0xffffffff;
	}
	put_u64(s, index, (__u32)value);
}

/* An id that the call wrote to `at`. */
static __always_inline void put_id_at(struct scratch *s, __u32 index, __u64 at)
{
	__u32 id = 0;

	if (s->ret < 0)
		return;
	if (bpf_probe_read_user(&id, has_short_ids(s) ? 2 : 4, (void *)at))
		count_miss(MISS_USER_MEMORY);
	else
		put_u64(s, index, id);
}

#define MS_MGC_VAL 0xc0ed0000
#define MS_MGC_MSK 0xffff0000

static __always_inline void extract__mount_flags(struct scratch *s, __u32 index, __u64 flags)
{
	flags = (__u32)flags;
	if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
		flags &= ~MS_MGC_MSK;
	put_u64(s, index, flags);
}

#define PR_SET_NAME 15
#define PR_GET_NAME 16
#define PR_GET_CHILD_SUBREAPER 37

static __always_inline bool is_about_name(__u32 option)
{
	return option == PR_SET_NAME || option == PR_GET_NAME;
}

__noinline int extract__prctl(__u32 index, __u32 name)
{
	struct scratch *s = syscall_scratch();
	__u64 value;

	if (!s)
		return 0;
	value = s->args[1];
	if (is_about_name(s->args[0])) {
		if (name)
			put_user_str(s, index, (void *)value);
		return 0;
	}
	if (name)
		return 0;
	if ((__u32)s->args[0] == PR_GET_CHILD_SUBREAPER) {
		__s32 attribute = 0;

		if (s->ret < 0)
			return 0;
		if (bpf_probe_read_user(&attribute, sizeof(attribute), (void *)value)) {
			count_miss(MISS_USER_MEMORY);
			return 0;
		}
		value = (__s64)attribute;
	}
	put_u64(s, index, value);
	return 0;
}

/* One of the first two members of a structure of longs: a limit, a time. A 32-bit caller's infinity is the kernel's. */
__noinline int extract__long(__u32 index, __u64 from, __u32 which)
{
	struct scratch *s = syscall_scratch();
	__u64 value = 0;
	__u32 width;

	if (!s || !from)
		return 0;
	width = s->compat ? 4 : 8;
	if (bpf_probe_read_user(&value, width, (void *)(from + (which & 1) * width))) {
		count_miss(MISS_USER_MEMORY);
		return 0;
	}
	if (s->compat && value == 0xffffffff)
		value = -1;
	put_u64(s, index, value);
	return 0;
}

#define PTRACE_PEEKTEXT 1
#define PTRACE_PEEKUSR 3

/* ptrace()'s data: what it was called with, or the word that a request to peek put there. */
__noinline int extract__ptrace_data(__u32 index)
{
	struct scratch *s = syscall_scratch();
	__u32 request;
	__u64 value;

	if (!s)
		return 0;
	request = s->args[0];
	value = s->ret < 0 ? 0 : s->args[3];
	if (s->ret >= 0 && request >= PTRACE_PEEKTEXT && request <= PTRACE_PEEKUSR) {
		__u64 from = value;

		value = 0;
		if (bpf_probe_read_user(&value, s->compat ? 4 : 8, (void *)from)) {
			count_miss(MISS_USER_MEMORY);
			return 0;
		}
	}
	put_u64(s, index, value);
	return 0;
}

/* The first bytes of a module's image. */
__noinline int extract__module_image(__u32 index, __u64 from, __u64 len)
{
	struct scratch *s = syscall_scratch();

	if (s && from && from + len > from)
		put_user_bytes(s, index, from, from + len);
	return 0;
}

/* A pid's number in its own namespace. */
static __always_inline __u32 number_at(struct pid *pid, __u32 level)
{
	__u64 at = (__u64)pid + bpf_core_field_offset(struct pid, numbers) + level * bpf_core_type_size(struct upid) +
		   bpf_core_field_offset(struct upid, nr);
	int nr = 0;

	if (has_loads())
		return word_at(at);
	bpf_probe_read_kernel(&nr, sizeof(nr), (void *)at);
	return nr;
}

static __always_inline __u32 number_inside(struct pid *pid)
{
	return number_at(pid, BPF_CORE_READ(pid, level));
}

/* A pid's number in the first namespace. */
static __always_inline __u32 number_outside(struct pid *pid)
{
	return BPF_CORE_READ(pid, numbers[0].nr);
}

/* The namespace in which a pid has the number of that level. */
static __always_inline struct pid_namespace *namespace_at(struct pid *pid, __u32 level)
{
	__u64 at = (__u64)pid + bpf_core_field_offset(struct pid, numbers) + level * bpf_core_type_size(struct upid) +
		   bpf_core_field_offset(struct upid, ns);
	struct pid_namespace *ns = NULL;

	if (has_loads())
		return (struct pid_namespace *)word_at(at);
	bpf_probe_read_kernel(&ns, sizeof(ns), (void *)at);
	return ns;
}

/* A pid's own namespace. */
static __always_inline struct pid_namespace *namespace_of(struct pid *pid)
{
	return namespace_at(pid, BPF_CORE_READ(pid, level));
}

/* number_inside() of what can be loaded from: most processes are in the first namespace alone. */
static __always_inline __u32 own_number(struct pid *pid)
{
	__u32 level = pid->level;

	return level ? number_at(pid, level) : pid->numbers[0].nr;
}

/* A pid's number in the namespace of another; 0 when it has none there, as what getpgid() gives. */
static __always_inline __u32 number_beside(struct pid *pid, struct pid *other)
{
	__u32 level = BPF_CORE_READ(other, level);

	if (BPF_CORE_READ(pid, level) < level || namespace_at(pid, level) != namespace_at(other, level))
		return 0;
	return number_at(pid, level);
}

/* The device of the controlling terminal, 0 without one. */
static __always_inline __u32 tty_number(struct signal_struct *signal)
{
	struct tty_struct *tty = BPF_CORE_READ(signal, tty);
	struct tty_driver *driver;

	if (!tty)
		return 0;
	driver = BPF_CORE_READ(tty, driver);
	return device_number(BPF_CORE_READ(driver, major),
			     BPF_CORE_READ(driver, minor_start) + BPF_CORE_READ(tty, index));
}

/* Layout of what a call leaves of a process: record.rs, TaskState. */
struct task_state {
	__u32 pid, sid, pgid, vpgid, tty, uid, gid, unused;
	__u64 cap_inheritable, cap_permitted, cap_effective;
};
_Static_assert(sizeof(struct task_state) == TASK_STATE_LEN, "task state layout");

/*
 * The child of a thread that its namespace numbers `number`, 0 when there is none among the last ones: a shell moves a
 * child to another group just after it made it.
 */
__noinline __u64 child__numbered(__u64 parent_address, __u32 number)
{
	struct task_struct *task = (void *)parent_address;
	__u32 level = BPF_CORE_READ(task, thread_pid, level);
	__u64 head = (__u64)task + bpf_core_field_offset(struct task_struct, children);
	__u64 node = (__u64)BPF_CORE_READ(task, children.prev);

	for (int i = 0; i < CHILDREN; i++) {
		struct task_struct *child = (void *)node - bpf_core_field_offset(struct task_struct, sibling);

		if (!node || node == head)
			return 0;
		if (number_at(BPF_CORE_READ(child, thread_pid), level) == number)
			return (__u64)child;
		node = (__u64)BPF_CORE_READ(child, sibling.prev);
	}
	return 0;
}

/* The same of the current process: whichever of its threads made the child. */
__noinline __u64 child__of_current(__u32 number)
{
	struct task_struct *task = current_task();
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	__u64 head = (__u64)signal + bpf_core_field_offset(struct signal_struct, thread_head);
	__u64 node = (__u64)BPF_CORE_READ(signal, thread_head.next);
	__u64 child = child__numbered((__u64)task, number);

	for (int i = 0; i < CHILD_THREADS; i++) {
		struct task_struct *thread = (void *)node - bpf_core_field_offset(struct task_struct, thread_node);

		if (child || !node || node == head)
			return child;
		if (thread != task)
			child = child__numbered((__u64)thread, number);
		node = (__u64)BPF_CORE_READ(thread, thread_node.next);
	}
	return child;
}

/* What a process is after the call: the caller, or the child that argument 0 names (`child`). */
__noinline int extract__task_state(__u32 index, __u32 child)
{
	struct scratch *s = syscall_scratch();
	struct task_struct *task = current_task();
	struct task_state t = {};
	struct signal_struct *signal;
	const struct cred *cred;
	__u32 number;
	__u64 off;

	if (!s)
		return 0;
	number = s->args[0];
	if (child && number && number != number_inside(BPF_CORE_READ(task, group_leader, thread_pid)))
		task = (void *)child__of_current(number);
	if (!task || !room(s, &off))
		return 0;
	signal = BPF_CORE_READ(task, signal);
	cred = BPF_CORE_READ(task, cred);
	t.pid = BPF_CORE_READ(task, tgid);
	t.sid = number_outside(BPF_CORE_READ(signal, pids[PIDTYPE_SID]));
	t.pgid = number_outside(BPF_CORE_READ(signal, pids[PIDTYPE_PGID]));
	t.vpgid = number_beside(BPF_CORE_READ(signal, pids[PIDTYPE_PGID]), BPF_CORE_READ(task, thread_pid));
	t.tty = tty_number(signal);
	t.uid = BPF_CORE_READ(cred, euid.val);
	t.gid = BPF_CORE_READ(cred, egid.val);
	t.cap_inheritable = capabilities(&cred->cap_inheritable);
	t.cap_permitted = capabilities(&cred->cap_permitted);
	t.cap_effective = capabilities(&cred->cap_effective);
	copy_words(data(s) + off, &t, sizeof(t));
	advance(s, index, sizeof(t), false);
	return 0;
}
