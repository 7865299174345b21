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

/* i386 calls that take ids of 16 bits, which later calls with ids of 32 bits did not replace. */
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
	case 170: /* setresgid */
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

/* A limit of setrlimit(): its members are longs, and a 32-bit caller's infinity is the kernel's. */
__noinline int extract__limit(__u32 index, __u64 from, __u32 which)
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
