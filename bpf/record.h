/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* Putting one record together: header, lengths, values. The layout is described in the schema crate's record.rs. */
#pragma once

#include "maps.h"

#define barrier_var(var) asm volatile("" : "+r"(var))

/* Effective ids of the current task. */
static __always_inline void current_ids(__u32 *uid, __u32 *gid)
{
#ifdef WITHOUT_TYPES
	/* The real ones; user space knows of the effective ones what /proc says. */
	__u64 ids = bpf_get_current_uid_gid();

	*uid = ids;
	*gid = ids >> 32;
#else
	if (has_task_btf()) {
		struct task_struct *task = has_loads() ? loaded_task() : bpf_get_current_task_btf();
		const struct cred *cred = task->cred;

		*uid = cred->euid.val;
		*gid = cred->egid.val;
	} else {
		const struct cred *cred = BPF_CORE_READ(current_task(), cred);

		*uid = BPF_CORE_READ(cred, euid.val);
		*gid = BPF_CORE_READ(cred, egid.val);
	}
#endif
}

static __always_inline __u64 next_sequence(__u32 stream)
{
	__u64 *next = bpf_map_lookup_elem(&sequences, &stream);

	return next ? (*next)++ : 0;
}

/*
 * What tells the program a process runs from the one it ran before, and a process from another: user space that knows a
 * different one has missed something. Both numbers are the process's, whichever thread looks. Never 0.
 */
static __always_inline __u16 image_number(__u64 exec_id, __u64 start)
{
	__u16 number = exec_id + (start ^ start >> 16 ^ start >> 32);

	return number ? number : 1;
}

/*
 * What a header says of the current task, which is asked for once: its numbers are plain loads from what the verifier trusts, what
 * else hangs on it is loaded as elsewhere. Returns what bpf_get_current_pid_tgid() would.
 */
static __always_inline __u64 fill_task(struct header *h)
{
	__u32 uid = 0, gid = 0;
	__u64 id;

#ifndef WITHOUT_TYPES
	if (has_task_btf()) {
		struct task_struct *own = bpf_get_current_task_btf();
		struct task_struct *task = has_loads() ? LOADED_AT(task_struct, own) : own;
		const struct cred *cred = task->cred;
		__u32 tid = own->pid, pid = own->tgid;

		h->tid = tid;
		h->pid = pid;
		h->image = image_number(own->self_exec_id,
					tid == pid ? own->start_boottime : task->group_leader->start_boottime);
		if (has_loads() && bpf_core_field_offset(cred->egid) == bpf_core_field_offset(cred->euid) + 4) {
			__u64 ids = word_at((__u64)cred + bpf_core_field_offset(cred->euid));

			h->uid = ids;
			h->gid = ids >> 32;
		} else {
			h->uid = cred->euid.val;
			h->gid = cred->egid.val;
		}
		h->cgroup = cgroup_of_current(task);
		return (__u64)pid << 32 | tid;
	}
#endif
	id = bpf_get_current_pid_tgid();
	current_ids(&uid, &gid);
	h->tid = (__u32)id;
	h->pid = id >> 32;
	h->cgroup = current_cgroup();
	h->uid = uid;
	h->gid = gid;
#ifdef WITHOUT_TYPES
	h->image = 0; /* not known */
#else
	h->image = image_number(BPF_CORE_READ(current_task(), self_exec_id),
				BPF_CORE_READ(current_task(), group_leader, start_boottime));
#endif
	return id;
}

/* Returns the current thread, as fill_task() does. */
static __always_inline __u64 fill_header(void *at, __u16 event, __u8 stream, __u8 flags)
{
	struct header *h = at;

	h->event = event;
	h->stream = stream;
	h->flags = flags;
	h->cpu = bpf_get_smp_processor_id();
	h->sequence = next_sequence(stream);
	h->time = bpf_ktime_get_boot_ns();
	return fill_task(h);
}

/*
 * Wake-ups are the dearest part of a record (an interrupt to this CPU, several microseconds in a virtual machine), so
 * there are two occasions only: the consumer sleeps for good, or it naps and the ring fills up meanwhile.
 */
static __always_inline __u64 wakeup_flags(__u64 sequence)
{
	if (consumer.sleeping) {
		consumer.sleeping = 0;
		return BPF_RB_FORCE_WAKEUP;
	}
	if ((sequence & (RECORDS_PER_QUERY - 1)) == 0 &&
	    bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > bpf_ringbuf_query(&ring, BPF_RB_RING_SIZE) / 4)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

/* Forgets the values that were written. */
static __always_inline void record__reset(struct scratch *s, __u8 params)
{
	/* A length stays 0 (missing) unless a value is written. */
	__u64 *lengths = (__u64 *)(s->buf + HEADER_LEN);

	s->off = 2 * params;
#pragma unroll
	for (int i = 0; i < MAX_PARAMS * 2 / 8; i++)
		lengths[i] = 0;
}

/* Records of fixed size are put together in the ring itself. */
#define SET(r, index, value)                                                                                           \
	do {                                                                                                           \
		(r)->lengths[index] = 8;                                                                               \
		*(__u64 *)((r)->values + (index) * 8) = (value);                                                       \
	} while (0)

/* As long as nothing but numbers came before, each of a record in the scratch is where it always is, too: `off` is set when all are. */
#define SET_FIRST(s, params, index, value)                                                                             \
	do {                                                                                                           \
		((__u16 *)data(s))[index] = 8;                                                                         \
		*(__u64 *)(data(s) + 2 * (params) + (index) * 8) = (value);                                            \
	} while (0)

struct rename_record {
	struct header header;
	__u16 lengths[TASK_RENAME_PARAMS];
	char comm[16];
} __attribute__((packed));

/* Takes this program's scratch, for the thread that the kernel calls `id`. */
static __always_inline struct scratch *scratch__take(__u32 index, __u64 id)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &index);

	if (s) {
		s->owner = id;
		s->names = 0;
	}
	return s;
}

/* The same, and starts a record of an event with `params` parameters in it. */
static __always_inline struct scratch *record__begin(__u32 index, __u8 params)
{
	struct scratch *s = scratch__take(index, bpf_get_current_pid_tgid());

	if (s)
		record__reset(s, params);
	return s;
}

/* What follows the header: the lengths, then the values; `s->off` is where the next value goes. */
static __always_inline __u8 *data(struct scratch *s)
{
	return s->buf + HEADER_LEN;
}

/*
 * Where the next value goes. Every value written there is at most STRING_MAX long, and the buffer has that much behind
 * the mask: the verifier forgets a comparison with the length but not a mask, so both are needed.
 */
static __always_inline bool room(struct scratch *s, __u64 *off)
{
	__u64 at = s->off;

	if (at > DATA_MAX) {
		count_miss(MISS_NO_ROOM);
		return false;
	}
	barrier_var(at);
	*off = at & DATA_MASK;
	return true;
}

/* Notes that parameter `index` has `len` bytes more. */
static __always_inline void advance(struct scratch *s, __u32 index, __u32 len, bool cut)
{
	__u16 *lengths = (__u16 *)data(s);

	index &= MAX_PARAMS - 1;
	lengths[index] = (lengths[index] + len) | (cut ? LENGTH_CUT : 0);
	s->off += len;
}

/* A device's number as new_encode_dev() writes it, and stat(2) shows it. */
static __always_inline __u32 device_number(__u32 major, __u32 minor)
{
	return (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
}

/*
 * As memcpy(), which goes by bytes where no alignment is known. `size` is a multiple of four, and what is copied is aligned to
 * eight.
 */
static __always_inline void copy_words(__u8 *to, const void *from, __u32 size)
{
#pragma unroll
	for (__u32 i = 0; i + 8 <= size; i += 8)
		*(__u64 *)(to + i) = *(const __u64 *)(from + i);
	if (size & 4)
		*(__u32 *)(to + (size & ~7)) = *(const __u32 *)(from + (size & ~7));
}

/* As memset() to 0, likewise. */
static __always_inline void clear_words(__u8 *at, __u32 size)
{
#pragma unroll
	for (__u32 i = 0; i + 8 <= size; i += 8)
		*(__u64 *)(at + i) = 0;
	if (size & 4)
		*(__u32 *)(at + (size & ~7)) = 0;
}

static __always_inline void put_u64(struct scratch *s, __u32 index, __u64 value)
{
	__u64 off;

	if (!room(s, &off))
		return;
	*(__u64 *)(data(s) + off) = value; /* unaligned stores are fine on every target BPF runs on */
	advance(s, index, sizeof(value), false);
}

/* bpf_probe_read_user_str(), whose old forms say 0 of an empty string and write no NUL. */
static __always_inline long read_user_str(__u8 *to, __u32 max, const void *from)
{
	long len = bpf_probe_read_user_str(to, max, from);

	if (len)
		return len;
	*to = 0;
	return 1;
}

/* True when a string that filled STRING_MAX bytes goes on behind them: the last byte written is a NUL either way. */
static __always_inline bool is_longer(const void *from)
{
	__u8 last = 1;

	bpf_probe_read_user(&last, sizeof(last), from + STRING_MAX - 1);
	return last;
}

/* A NUL-terminated string in user memory; nothing where the caller has none. */
static __always_inline void put_user_str(struct scratch *s, __u32 index, const void *from)
{
	__u64 off;
	long len;

	if (!from || !room(s, &off))
		return;
	len = read_user_str(data(s) + off, STRING_MAX, from);
	if (len <= 0)
		return count_miss(MISS_USER_MEMORY);
	advance(s, index, len & (2 * STRING_MAX - 1), len == STRING_MAX && is_longer(from));
}

static __always_inline void put_kernel_str(struct scratch *s, __u32 index, const void *from, __u32 max)
{
	__u64 off;
	long len;

	if (!room(s, &off))
		return;
	len = bpf_probe_read_kernel_str(data(s) + off, max, from);
	if (len <= 0)
		return count_miss(MISS_KERNEL_MEMORY);
	advance(s, index, len & (2 * STRING_MAX - 1), false);
}

/* Bytes `start` to `end` of user memory, at most STRING_MAX - 1 of them. */
static __always_inline void put_user_bytes(struct scratch *s, __u32 index, __u64 start, __u64 end)
{
	__u64 off;
	__u64 len = end - start;
	bool cut = false;

	if (end <= start)
		return;
	if (!room(s, &off))
		return;
	if (len > STRING_MAX - 1) {
		len = STRING_MAX - 1;
		cut = true;
	}
	barrier_var(len);
	len &= STRING_MAX - 1;
	if (bpf_probe_read_user(data(s) + off, len, (void *)start))
		return count_miss(MISS_USER_MEMORY);
	advance(s, index, len, cut);
}

/* Sends the record, or counts it as lost. */
static __always_inline void record__submit(struct scratch *s, __u16 event, __u8 stream, __u8 flags)
{
	__u64 len = s->off, sequence, thread;

	thread = fill_header(s->buf, event, stream, flags);
	barrier_var(len);
	len &= 2 * DATA_MASK + 1;
	if (len > DATA_MASK + STRING_MAX)
		len = DATA_MASK + STRING_MAX;
	if (s->owner != thread) {
		count_drop(event, DROP_SCRATCH);
		return;
	}
	sequence = ((struct header *)s->buf)->sequence;
	if (bpf_ringbuf_output(&ring, s->buf, HEADER_LEN + len, wakeup_flags(sequence)))
		count_drop(event, DROP_RING_FULL);
}
