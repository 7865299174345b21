/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* How kernel objects are read. */
#pragma once

#include "kernel.h"
#include "events.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

static __always_inline struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

/*
 * Kernel objects are read by plain loads where the verifier follows a walk of them, which is since 6.12; elsewhere by probe
 * reads, which are several times dearer. There is an object for each: in one for both, the kernel would have to find and take
 * out what is not for it, piece by piece, and moves all that is behind each piece.
 */
#ifdef HAS_LOADS
/*
 * The kernel's ids of types that are loaded from. User space finds them: the types that the programs are fitted to when they
 * are loaded are a few of the kernel's, and numbered otherwise.
 */
const volatile struct kernel_types kernel_types SEC(".rodata.types") = {};

/*
 * bpf_rdonly_cast() of the kernel, by a number of ours: user space puts that of the kernel there (by_type.rs). Of a function
 * that is declared the library looks for the number among all the kernel's types.
 */
static void *(*const read_only_cast)(const void *object, __u32 type) = (void *)0x7f000001;

#define has_loads() true
#else
#define read_only_cast(object, type) (object)
#define kernel_types (struct kernel_types){}
#define has_loads() false
#endif

/* The structure that is at an address, where there are loads. */
#define LOADED_AT(name, address) ((struct name *)read_only_cast((void *)(address), kernel_types.name))

/* The same anywhere, to be read with LOAD. */
#define OBJECT_AT(name, address) (has_loads() ? LOADED_AT(name, address) : (struct name *)(address))
#define LOAD(object, member) (has_loads() ? (object)->member : BPF_CORE_READ(object, member))

/*
 * The current task, likewise. Not as the pointer that the verifier trusts: for every load of a pointer from that it searches the
 * names of all the kernel's types, up to three times, on every way through a program. So are the arguments of tracepoints.
 */
static __always_inline struct task_struct *loaded_task(void)
{
	return OBJECT_AT(task_struct, bpf_get_current_task());
}

/*
 * Eight bytes at an address, where there are loads: what is loaded has to be a member of some structure of the
 * kernel's, and this one is a number.
 */
static __always_inline __u64 word_at(__u64 address)
{
#ifdef WITHOUT_TYPES
	return 0;
#else
	struct dentry *around = (void *)(address - bpf_core_field_offset(struct dentry, d_name.hash_len));

	return ((struct dentry *)read_only_cast(around, kernel_types.dentry))->d_name.hash_len;
#endif
}

/* A pointer among the members of what is at an address, as a number: what global functions take. */
#define ADDRESS_IN(object, member)                                                                                     \
	(has_loads() ? word_at((__u64)(object) + bpf_core_field_offset((object)->member)) :                            \
		       (__u64)BPF_CORE_READ(object, member))
