// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
/* How user space looks at its own task on a kernel without type information. Never attached: it is run for one word each. */
#include "kernel.h"
#include <bpf/bpf_helpers.h>

/* Gives four bytes: those at the address in the first argument, or so far into the current task when that is 0. */
SEC("raw_tp/sys_enter")
int task_word(__u64 *ctx)
{
	__u64 base = ctx[0], offset = ctx[1];
	__u32 word = 0;

	if (!base)
		base = bpf_get_current_task();
	bpf_probe_read_kernel(&word, sizeof(word), (void *)(base + offset));
	return word;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
