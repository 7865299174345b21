/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * The beginnings of system calls, for the parameters that the call itself takes away: what close() closes. They are read
 * when it begins, kept by thread while it lasts, and put into its record when it returns.
 *
 * The program is loaded and attached only while a rule asks for such a parameter, because every call of the machine runs
 * it; and it is given a `scratches` of its own (capture's bpf.rs), so that the same extractors serve both sides.
 */
#pragma once

#include "syscall.h"

/* Where in the scratch a kept value is put together: behind the lengths of any row. */
#define BEGUN_AT (2 * MAX_PARAMS)
#define BEGUN_DATA (BEGUN_AT + sizeof(struct begun_header))

/* The value that was read when the call began, as parameter `index`. */
__noinline int put_begun(__u32 index)
{
	void *table = begun_table();
	struct scratch *s = syscall_scratch();
	__u32 tid = bpf_get_current_pid_tgid();
	struct begun *b = table ? bpf_map_lookup_elem(table, &tid) : NULL;
	__u64 off, len;

	if (!s)
		return 0;
	/* A beginning that was not seen leaves what was kept of a call before, if anything. */
	if (!b || b->header.number != s->number || b->header.compat != s->compat || b->header.arg != s->args[0]) {
		count_miss(MISS_AT_ENTER);
		return 0;
	}
	len = b->header.length & (STRING_MAX - 1);
	if (len && room(s, &off)) {
		barrier_var(len);
		len &= STRING_MAX - 1;
		bpf_probe_read_kernel(data(s) + off, len, b->data);
		advance(s, index, len, b->header.length & LENGTH_CUT);
	}
	bpf_map_delete_elem(table, &tid);
	return 0;
}

/* Keeps what was read, also when that is nothing: then it is known that there was nothing. */
static __always_inline void keep_begun(struct scratch *s, __u32 index)
{
	struct begun *b = (void *)data(s) + BEGUN_AT;
	__u16 *lengths = (__u16 *)data(s);
	__u64 len = s->off - BEGUN_DATA;
	__u32 tid = bpf_get_current_pid_tgid();
	void *table = begun_table();
	__u16 cut = lengths[index & (MAX_PARAMS - 1)] & LENGTH_CUT;

	if (len > STRING_MAX - 1) {
		len = STRING_MAX - 1;
		cut = LENGTH_CUT;
	}
	b->header.number = s->number;
	b->header.compat = s->compat;
	b->header.arg = s->args[0];
	b->header.length = len | cut;
	/* No room, or an overwritten scratch: the return finds nothing, and counts that. */
	if (table && s->owner == bpf_get_current_pid_tgid())
		bpf_map_update_elem(table, &tid, b, BPF_ANY);
}

/* A call that begins. */
static __always_inline int call__begun(struct pt_regs *regs, bool is_shared)
{
	__u64 nr = syscall_number(regs), row;
	const volatile struct event_row *event;
	struct scratch *s;
	bool compat = false;
	__u64 thread = 0;
	__u32 wanted = (__u16)call__wanted_by(nr, &compat, &thread);

	if (!wanted || (wanted != SOCKETCALL && !(rows[row_of(wanted - 1)].flags & ROW_AT_ENTER)))
		return 0;
	/* The return then finds nothing, and counts that. */
	s = syscall_scratch();
	if (is_shared && s && s->owner)
		return 0;
	s = call__begin(regs, &wanted, compat, false, thread);
	if (!s)
		return 0;
	row = row_of(wanted - 1);
	event = &rows[row];
	record__reset(s, event->params);
	s->off = BEGUN_DATA;
	s->ret = 0;
	for (int i = 0; i < MAX_WALKED; i++) {
		const volatile struct param_row *param = &event->walked[i];

		if (i >= event->count)
			break;
		if (!param->at_enter || !(config.params[row & (ROWS - 1)] & (1U << (param->index & 31))))
			continue;
		walk_param(row, i);
		keep_begun(s, param->index);
		break;
	}
	s->owner = 0;
	return 0;
}

#ifndef WITHOUT_TYPES
SEC("?tp_btf/sys_enter")
int BPF_PROG(sys_enter, struct pt_regs *regs, long id)
{
	return call__begun(regs, false);
}

/* Tier A: the same at the beginnings of functions, see walk_end. */
SEC("?fentry")
int BPF_PROG(walk_start, struct pt_regs *regs)
{
	keep_stack(ctx);
	return call__begun(regs, true);
}
#endif
