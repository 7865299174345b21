// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
/* Nothing on the return of every system call: what the hook of tier B costs by itself. Only the bench loads it. */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("tp_btf/sys_exit")
int BPF_PROG(empty, struct pt_regs *regs, long ret)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
