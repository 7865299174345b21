/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* Signals that reach a process. Loaded and attached only when a rule asks: there are many. */
#pragma once

#include "record.h"

struct signal_record {
	struct header header;
	__u16 lengths[SIGNALDELIVER_PARAMS];
	__u8 values[SIGNALDELIVER_PARAMS * 8];
} __attribute__((packed));

#define SIGCHLD 17
/* include/uapi/asm-generic/siginfo.h */
#define SI_USER 0
#define SI_QUEUE (-1)
#define SI_MESGQ (-3)
#define SI_TKILL (-6)

#ifdef WITHOUT_TYPES
#define SIGINFO(info, member)                                                                                          \
	({                                                                                                             \
		int value = 0;                                                                                         \
                                                                                                                       \
		bpf_probe_read_kernel(&value, sizeof(value), &(info)->member);                                         \
		value;                                                                                                 \
	})
#else
#define SIGINFO(info, member) BPF_CORE_READ(info, member)
#endif

/*
 * Who sent it, as the receiver's pid namespace numbers it; 0 for the kernel, and for who is not in that namespace. The
 * information may be none at all, or no pointer: probe reads take everything.
 */
static __always_inline __s32 sender(int signal, struct kernel_siginfo *info)
{
	__s32 code = SIGINFO(info, si_code);

	if (code == SI_USER || code == SI_QUEUE || code == SI_TKILL || code == SI_MESGQ ||
	    (signal == SIGCHLD && code > 0))
		return SIGINFO(info, _sifields._kill._pid);
	return 0;
}

static __always_inline int report_signal(int signal, struct kernel_siginfo *info)
{
	struct signal_record *r;
	__u64 sequence;

	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r) {
		next_sequence(STREAM_SIGNAL);
		count_drop(EVENT_SIGNALDELIVER, DROP_RING_FULL);
		return 0;
	}
	SET(r, SIGNALDELIVER_SPID, (__s64)sender(signal, info));
	SET(r, SIGNALDELIVER_DPID, (__u32)bpf_get_current_pid_tgid());
	SET(r, SIGNALDELIVER_SIG, signal);
	fill_header(r, EVENT_SIGNALDELIVER, STREAM_SIGNAL, 0);
	sequence = r->header.sequence;
	bpf_ringbuf_submit(r, wakeup_flags(sequence));
	return 0;
}

#ifdef WITHOUT_TYPES
SEC("?raw_tp/signal_deliver")
int BPF_PROG(raw_signal, int signal, struct kernel_siginfo *info)
{
	return report_signal(signal, info);
}
#else
SEC("?tp_btf/signal_deliver")
int BPF_PROG(signal_deliver, int signal, struct kernel_siginfo *info)
{
	return report_signal(signal, info);
}
#endif
