/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* How kernel objects are read. */
#pragma once

#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

static __always_inline struct task_struct *current_task(void)
{
	return (struct task_struct *)bpf_get_current_task();
}

/*
 * Kernel objects are read by plain loads where the verifier follows a walk of them, which is since 6.12 (bpf_path_d_path()
 * is a sign of that, and not used); elsewhere by probe reads, which are several times dearer.
 */
#ifdef WITHOUT_TYPES
#define bpf_rdonly_cast(object, type) (object)
#define has_loads() false
#else
extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak;
extern int bpf_path_d_path(struct path *path, char *buf, unsigned long len) __ksym __weak;

/* Asked at every load: of one function, because what asks stays in the program. The other is older. */
static __always_inline bool has_loads(void)
{
	return bpf_ksym_exists(bpf_path_d_path);
}
#endif

/* What is at an address, to be read with LOAD. */
#define OBJECT_AT(type, address)                                                                                       \
	((type *)(has_loads() ? bpf_rdonly_cast((void *)(address), bpf_core_type_id_kernel(type)) : (void *)(address)))
#define LOAD(object, member) (has_loads() ? (object)->member : BPF_CORE_READ(object, member))

/*
 * The current task, likewise. Not as the pointer that the verifier trusts: for every load of a pointer from that it searches the
 * names of all the kernel's types, up to three times, on every way through a program.
 */
static __always_inline struct task_struct *loaded_task(void)
{
	return OBJECT_AT(struct task_struct, bpf_get_current_task());
}
