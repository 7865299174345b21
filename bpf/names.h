/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Opens by their names: those that no rule can match leave before a record of them is sent. User space makes an automaton of
 * what the rules look for (name_table.rs), and the paths of a call are read by it as they are written into the record. It reads
 * a path from its end to its beginning, because the names of kernel objects come the leaf first.
 */
#pragma once

#include "record.h"

#define NAME_READ_MAX 256 /* longer ones pass: the longest name, and most paths */
#define NAME_READ_AT_ONCE 64
#define NAME_NOT_KNOWN 0x100 /* the kernel's name is not in the record */

/*
 * What is wanted by name and the automaton, which belong together: so that they change together. A state is the place of its
 * first cell, which has what is said of a path that ends there (NAME_*). Places are counted in bytes.
 */
struct name_table {
	__u64 named[ROWS]; /* by row, the classes of calls that are wanted by certain names only */
	__u8 classes[256]; /* by byte, how far behind a state the next one is */
	__u32 start;
	__u16 cells[NAME_CELLS + NAME_CLASSES]; /* wherever a number of 16 bits and a class lead to */
};

/* The one that is in use, and the one that user space fills for the next rules. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct name_table);
} name_tables SEC(".maps");

static __always_inline const struct name_table *names__table(__u32 names)
{
	__u32 which = names - 1;

	return bpf_map_lookup_elem(&name_tables, &which);
}

/*
 * The state that a byte leads to. Sums of numbers and the table, in this order: the compiler would take a copy of the table's
 * address for each, and this is done for every byte of a path.
 */
static __always_inline __u64 name__next(const struct name_table *table, __u64 state, __u64 byte)
{
	byte += (__u64)table;
	barrier_var(byte);
	state += *(const __u8 *)(byte + __builtin_offsetof(struct name_table, classes));
	state += (__u64)table;
	barrier_var(state);
	return *(const __u16 *)(state + __builtin_offsetof(struct name_table, cells));
}

/* What is said of a path that led to a state. */
static __always_inline __u32 name__said(const struct name_table *table, __u64 state)
{
	state &= (__u16)-1;
	state += (__u64)table;
	barrier_var(state);
	return *(const __u16 *)(state + __builtin_offsetof(struct name_table, cells));
}

static __always_inline const __u8 *name__before(const __u8 *end, int bytes)
{
	end -= bytes;
	barrier_var(end);
	return end;
}

/* The state after the bytes before `end`, the last of them first; at most NAME_READ_AT_ONCE. */
static __always_inline __u64 name__read_bytes(const struct name_table *table, __u64 state, const __u8 *end, __u64 left)
{
	for (__u64 i = 0; i < NAME_READ_AT_ONCE / 8 && left >= 8; i++) {
#pragma unroll
		for (int back = 1; back <= 8; back++)
			state = name__next(table, state, *(end - back));
		end -= 8;
		left -= 8;
		barrier_var(end);
		barrier_var(left);
	}
	if (left & 4) {
		end = name__before(end, 4);
#pragma unroll
		for (int at = 3; at >= 0; at--)
			state = name__next(table, state, end[at]);
	}
	if (left & 2) {
		end = name__before(end, 2);
		state = name__next(table, state, end[1]);
		state = name__next(table, state, end[0]);
	}
	if (left & 1)
		state = name__next(table, state, *(end - 1));
	return state;
}

/* The state after at most NAME_READ_AT_ONCE bytes, as name__read(). Also a global function (components__walk()). */
__noinline int name__read_part(__u32 in, __u64 start, __u32 len, __u32 first, __u32 has_slash)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &in);
	const struct name_table *table = s ? names__table(s->names) : NULL;
	__u64 left = len, state = first, at;
	const __u8 *end;

	barrier_var(left);
	/* What is behind the mask can't be read by it. */
	if (!table || left > NAME_READ_AT_ONCE || start > DATA_MASK - NAME_READ_MAX)
		return 0;
	at = start + left;
	barrier_var(at);
	end = s->buf + HEADER_LEN + (at & DATA_MASK);
	state = name__read_bytes(table, state & (__u16)-1, end, left);
	if (has_slash)
		state = name__next(table, state, '/');
	return state;
}

__noinline int name__read_long(__u32 in, __u64 start, __u32 len, __u32 state, __u32 has_slash)
{
	for (__u32 i = 0; i < NAME_READ_MAX / NAME_READ_AT_ONCE; i++) {
		if (len <= NAME_READ_AT_ONCE)
			return name__read_part(in, start, len, state, has_slash);
		len -= NAME_READ_AT_ONCE;
		state = name__read_part(in, start + len, NAME_READ_AT_ONCE, state, false);
	}
	return 0;
}

/*
 * The state after these bytes of the record, the last of them first, and after a slash where one is meant to be before them.
 * State 0 stays what it is: everything passes.
 */
static __always_inline __u32 name__read(__u32 in, __u64 start, __u32 len, __u32 state, __u32 has_slash)
{
	if (len <= NAME_READ_AT_ONCE)
		return name__read_part(in, start, len, state, has_slash);
	return name__read_long(in, start, len, state, has_slash);
}

/* Begins to read a path; names are read (path.h) until it ends. */
static __always_inline void names__begin(struct scratch *s)
{
	const struct name_table *table = names__table(s->names);

	s->name_state = table ? table->start : 0;
}

/* What is said of what was read. */
static __always_inline __u32 names__said(struct scratch *s)
{
	const struct name_table *table = names__table(s->names);

	return table ? name__said(table, s->name_state) : NAME_PASSES_READ | NAME_PASSES;
}

/* True unless no rule can match an open that goes by these names. `wanted`: what has to be said of one (NAME_PASSES*). */
static __always_inline bool names__pass(struct scratch *s, __u32 wanted)
{
	__u32 requested = s->requested_name, real = s->real_name;

	if ((requested | real) & wanted)
		return true;
	if (real & NAME_NOT_KNOWN && requested & NAME_UNLESS_REAL)
		return true;
	return requested & NAME_RAW && (requested | real) & NAME_WITH_RAW;
}
