/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* The returns of system calls: one program for all of them, or one for those that have a stub on their function. */
#pragma once

#include "enter.h"

/*
 * Ends the record of a call: the parameters of its row, one after the other, and what its thread is asked for. A global function, as
 * walk_param().
 */
__noinline int walk_row(__u32 row, __u32 event)
{
	const volatile struct event_row *of = &rows[row & (ROWS - 1)];
	struct scratch *s = syscall_scratch();

	if (!s)
		return 0;
	for (int i = 0; i < MAX_WALKED; i++) {
		const volatile struct param_row *param = &of->walked[i];
		__u64 value;
		__u8 op;

		if (i >= of->count)
			break;
		if (!is_demanded(param, row))
			continue;
		if (param->at_enter) {
			put_begun(param->index);
			continue;
		}
		op = param->op;
		/* Most parameters are one of these two, which take less than a call. */
		if (op == OP_RETURN) {
			value = s->ret;
		} else if (op == OP_ARG_S32) {
			value = (__s64)(__s32)s->args[param->arg & 7];
		} else {
			walk_param(row, i);
			continue;
		}
		put_u64(s, param->index, value);
	}
	put_task_values(SCRATCH_SYSCALL, row);
	record__submit(s, event, STREAM_SYS_EXIT, s->compat ? FLAG_COMPAT : 0);
	return 0;
}

/* Where message(s) of a sendmmsg() or recvmmsg() begin, kept while `args[1]` goes through them. */
#define MESSAGES_ARG 6

/* Begins the record of one of several messages, the way sendmsg() and recvmsg() have it: a struct msghdr, and what it moved as the result. */
__noinline int message__begin(__u32 row, __u32 which)
{
	const volatile struct event_row *event = &rows[row & (ROWS - 1)];
	struct scratch *s = syscall_scratch();
	__u32 header, moved = 0;

	if (!s)
		return 0;
	/* struct mmsghdr: a struct msghdr and an unsigned int. */
	header = s->compat ? 28 : 56;
	s->args[1] = s->args[MESSAGES_ARG] + which * (s->compat ? 32 : 64);
	if (bpf_probe_read_user(&moved, sizeof(moved), (void *)s->args[1] + header))
		count_miss(MISS_USER_MEMORY);
	s->ret = moved;
	record__reset(s, event->params);
	return 0;
}

static __always_inline void report_messages(struct scratch *s, __u32 row)
{
	__u64 count = s->ret;

	s->args[MESSAGES_ARG] = s->args[1];
	for (__u32 i = 0; i < MESSAGES_MAX; i++) {
		if (i >= count)
			return;
		message__begin(row, i);
		walk_row(row, row);
	}
	if (count > MESSAGES_MAX)
		count_misses(MISS_MESSAGES, count - MESSAGES_MAX);
}

/* A call that returns `ret`. `is_shared`: other programs put records together in the same scratch. */
static __always_inline int call__ended(struct pt_regs *regs, long ret, bool is_shared)
{
	__u64 nr = syscall_number(regs), row;
	const volatile struct event_row *event;
	struct scratch *s;
	bool compat = false;
	__u64 thread = 0;
	__u32 wanted = call__wanted_by(nr, &compat, &thread), passes = FILTER_PASSES;
	__u32 names = config.names;
	__s64 result = ret;

	if (!wanted)
		return 0;
	/* An i386 result is 32 bits wide. The last page of addresses are errors, the others may be a mapping's. */
	if (compat)
		result = (__u32)ret >= (__u32)-MAX_ERRNO ? (__s64)(__s32)ret : (__s64)(__u32)ret;
	if (config.drop_failed && result < 0) {
		forget_begun();
		return 0;
	}
	/* Which call of socketcall(2) it is shows itself later only. */
	if ((__u16)wanted != SOCKETCALL) {
		row = row_of((__u16)wanted - 1);
		/* A successful exec is reported by the exec program; its arguments are gone here. */
		if (rows[row].flags & ROW_FAILURES_ONLY && result >= 0)
			return 0;
		passes = filter__passes(row, regs, compat, wanted >> 16, result, names);
		if (passes == FILTER_DROPS) {
			if (rows[row].flags & ROW_AT_ENTER)
				forget_begun();
			return 0;
		}
	}
	wanted = (__u16)wanted;
	s = call__begin(regs, &wanted, compat, is_shared, thread);
	if (!s)
		return 0;
	row = row_of(wanted - 1);
	event = &rows[row];
	s->ret = result;
	if (passes != FILTER_PASSES) {
		s->names = names;
		/* What another task wrote over is lost, and counted as such below. */
		if (!open__passes(row, passes) && s->owner == thread) {
			s->owner = 0;
			return 0;
		}
	} else {
		record__reset(s, event->params);
	}
	if (event->flags & ROW_MESSAGES && s->ret > 0) {
		report_messages(s, row);
	} else {
		walk_row(row, wanted - 1);
	}
	s->owner = 0;
	return 0;
}

#ifndef WITHOUT_TYPES
SEC("?tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long ret)
{
	return call__ended(regs, ret, false);
}

/*
 * Tier A: what the stubs at the ends of the functions of single calls go on as. They differ in nothing but where they are
 * attached, are given the caller's registers, and hand them over by a tail call; so it is verified once, however many
 * there are. It is loaded for one of those functions and never attached itself.
 */
SEC("?fexit")
int BPF_PROG(walk_end, struct pt_regs *regs, long ret)
{
	keep_stack(ctx);
	return call__ended(regs, ret, true);
}

/* Calls that end elsewhere than their function does: in a child, and where a filter refused them. */

static __always_inline bool has_task_registers(void)
{
	return bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs);
}

/*
 * On kernels that do not give the registers of the current task: a copy of them, from the top of its stack. It is not on
 * the stack of the program, which the walk below it needs, also on kernels where the copy is never made.
 */
static __always_inline struct pt_regs *copied_registers(void)
{
#if defined(__TARGET_ARCH_x86)
	void *stack = BPF_CORE_READ(current_task(), stack);
	struct scratch *s = syscall_scratch();

	if (!s || bpf_probe_read_kernel(s->regs, PT_REGS_LEN, stack + THREAD_SIZE - PT_REGS_LEN))
		return NULL;
	return (struct pt_regs *)s->regs;
#else
	return NULL;
#endif
}

/* A new thread. Those of the kernel, and programs that it starts itself, have no call to return from. */
static __always_inline int child__started(struct pt_regs *regs)
{
	bool compat = false;
	__u32 wanted = call__wanted(syscall_number(regs), &compat);

	if (!wanted || wanted == SOCKETCALL || !(rows[row_of(wanted - 1)].flags & ROW_FORKS))
		return 0;
	return call__ended(regs, 0, true);
}

SEC("?fexit/schedule_tail")
int BPF_PROG(child_started, struct task_struct *prev)
{
	struct pt_regs *copy;

	if (has_task_registers())
		return child__started((void *)bpf_task_pt_regs(bpf_get_current_task_btf()));
	copy = copied_registers();
	return copy ? child__started(copy) : 0;
}

/* A call that seccomp did not let pass: what it returns is in its register by now. Passed by confined tasks only. */
SEC("?fexit/__secure_computing")
int call_refused(__u64 *ctx)
{
	struct pt_regs *copy;
	__u64 result = 0;

	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_func_ret))
		bpf_get_func_ret(ctx, &result);
	else
		result = ctx[1]; /* behind the one argument it had then */
	if ((__s32)result != -1)
		return 0;
	if (has_task_registers()) {
		struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());

		return call__ended(regs, syscall_result(regs), true);
	}
	copy = copied_registers();
	return copy ? call__ended(copy, syscall_result(copy), true) : 0;
}
#endif
