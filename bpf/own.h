/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* What the consumer can't know by itself. Loaded only in a pid namespace that is not the first. */
#pragma once

#include "kernel.h"

/* Never attached: the consumer runs it once, and is told its process id as the other programs see it. */
SEC("?raw_tp/sys_enter")
int own_process(void *ctx)
{
	return bpf_get_current_pid_tgid() >> 32;
}
