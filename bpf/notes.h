/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * What a call works on, noted while the kernel had it in its hands (path_hooks.h), for the record of its return. Kept by
 * thread, which is in one call at a time.
 */
#pragma once

#include "extract.h"

#define NOTE_LEN 3584 /* with what is before it and the kernel's own, no more than a page */

struct note {
	__u64 args[6]; /* of which call */
	__u32 number, compat;
	__u16 lengths[2]; /* of two paths, as in a record; 0 of one that is not there */
	__u16 second, unused; /* where the second of them begins in `data` */
	__u8 data[NOTE_LEN];
};

#ifndef WITHOUT_TYPES
/* Set where there are programs that note something; there is no such map where there are none. */
const volatile __u32 takes_notes SEC(".rodata.notes") = 0;

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct note);
} notes SEC(".maps");

static __always_inline bool is_of_call(const struct note *n, const struct scratch *s)
{
	return n->number == s->number && n->compat == s->compat && n->args[0] == s->args[0] &&
	       n->args[1] == s->args[1] && n->args[2] == s->args[2] && n->args[3] == s->args[3] &&
	       n->args[4] == s->args[4] && n->args[5] == s->args[5];
}

/* One of the paths that were noted of this call, as parameter `index`; nothing where there is no note of it. */
__noinline int extract__noted(__u32 index, __u32 place)
{
	struct scratch *s = syscall_scratch();
	__u64 off, start, len;
	struct note *n;
	__u16 length;

	if (!takes_notes || !s)
		return 0;
	n = bpf_task_storage_get(&notes, bpf_get_current_task_btf(), NULL, 0);
	if (!n || !is_of_call(n, s))
		return 0;
	start = place ? n->second : 0;
	length = n->lengths[place & 1];
	/* A call that is alike, and of which nothing is noted, does not find it. */
	n->lengths[place & 1] = 0;
	len = length & ~LENGTH_CUT;
	if (!len || !room(s, &off))
		return 0;
	barrier_var(start);
	start &= STRING_MAX - 1;
	barrier_var(len);
	len &= STRING_MAX - 1;
	if (!bpf_probe_read_kernel(data(s) + off, len, (void *)n->data + start))
		advance(s, index, len, length & LENGTH_CUT);
	return 0;
}
#else
static __always_inline int extract__noted(__u32 index, __u32 place)
{
	return 0;
}
#endif
