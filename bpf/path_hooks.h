/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Tier A: the names of what a call works on that leaves no file behind, from the functions that ask the security modules
 * about it (schema: path_hook.rs). They are given a directory and a name in it, or a file, before anything is changed; what
 * they are given goes into a note of the call (notes.h), which its return puts into the record.
 *
 * Calls that others make by the way come here, too, and those of io_uring. Their system call is not one whose paths are noted.
 */
#pragma once

#include "syscall.h"

#define NOTED_PATHS 2
#define NOTE_AT (2 * NOTED_PATHS) /* in the scratch, behind the lengths */

/*
 * An argument of the function, as a number: put_components() takes no pointer that the verifier follows. Some of these
 * functions have arguments that are structures, which is why the others are not told to it at all.
 */
static __always_inline __u64 argument(__u64 *ctx, __u32 which)
{
	__u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), ctx + which);
	return value;
}

/*
 * Begins the note of the call that runs; 0 where nobody asks for one, and where another task that was interrupted on this CPU
 * takes one: then the paths are looked up. A global function, as the other large ones here: there is one for all programs.
 */
__noinline int note__begin(void)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	__u32 which = SCRATCH_NOTE, wanted;
	bool compat = false;
	struct scratch *s;
	__u64 row;

	wanted = call__wanted(syscall_number(regs), &compat);
	if (!wanted || wanted == SOCKETCALL)
		return 0;
	row = row_of(wanted - 1);
	if (!(rows[row].noted & config.params[row]))
		return 0;
	s = bpf_map_lookup_elem(&scratches, &which);
	if (!s || s->owner)
		return 0;
	s = record__begin(SCRATCH_NOTE, NOTED_PATHS);
	if (!s)
		return 0;
	s->name_state = 0;
	s->compat = compat;
	load_args(s, regs);
	s->number = syscall_number(regs);
	return 1;
}

static __always_inline void put_noted(__u32 place, __u64 dentry, __u64 mnt)
{
	put_components(SCRATCH_NOTE, place, dentry, mnt);
}

/* A name in a directory. */
static __always_inline void put_entry(__u32 place, __u64 directory, __u64 dentry)
{
	struct path *path = (void *)directory;

	put_noted(place, dentry, (__u64)BPF_CORE_READ(path, mnt));
}

/* What has no path (a pipe, by a link of /proc) is not noted. */
static __always_inline void put_path(__u32 place, __u64 at)
{
	struct path *path = (void *)at;

	if (BPF_CORE_READ(path, mnt, mnt_flags) & MNT_INTERNAL)
		return;
	put_noted(place, (__u64)BPF_CORE_READ(path, dentry), (__u64)BPF_CORE_READ(path, mnt));
}

/* Keeps what was put together, in place of what was kept of an earlier call. */
__noinline int note__keep(void)
{
	__u32 which = SCRATCH_NOTE;
	struct scratch *s = bpf_map_lookup_elem(&scratches, &which);
	const __u16 *lengths;
	struct note *n;

	if (!s)
		return 0;
	lengths = (__u16 *)data(s);
	n = bpf_task_storage_get(&notes, bpf_get_current_task_btf(), NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (n) {
		__u64 len = s->off - NOTE_AT;
		bool fits = len <= NOTE_LEN;

		n->number = 0;
		barrier_var(len);
		len &= STRING_MAX - 1;
		if (len > NOTE_LEN)
			len = NOTE_LEN;
		bpf_probe_read_kernel(n->data, len, data(s) + NOTE_AT);
		__builtin_memcpy(n->args, s->args, sizeof(n->args));
		n->compat = s->compat;
		n->lengths[0] = lengths[0];
		n->lengths[1] = lengths[1];
		n->second = lengths[0] & ~LENGTH_CUT;
		/* Longer ones, and what another task wrote over, are looked up. */
		if (fits && s->owner == bpf_get_current_pid_tgid())
			n->number = s->number;
	}
	s->owner = 0;
	return 0;
}

static __always_inline int note__entry(__u64 *ctx)
{
	if (!note__begin())
		return 0;
	put_entry(0, argument(ctx, 0), argument(ctx, 1));
	return note__keep();
}

static __always_inline int note__path(__u64 *ctx, __u32 which)
{
	if (!note__begin())
		return 0;
	put_path(0, argument(ctx, which));
	return note__keep();
}

SEC("?fentry/security_path_mkdir")
int path_mkdir(__u64 *ctx)
{
	return note__entry(ctx);
}

SEC("?fentry/security_path_rmdir")
int path_rmdir(__u64 *ctx)
{
	return note__entry(ctx);
}

SEC("?fentry/security_path_unlink")
int path_unlink(__u64 *ctx)
{
	return note__entry(ctx);
}

SEC("?fentry/security_path_symlink")
int path_symlink(__u64 *ctx)
{
	return note__entry(ctx);
}

SEC("?fentry/security_path_mknod")
int path_mknod(__u64 *ctx)
{
	return note__entry(ctx);
}

/* What is linked comes without its mount. */
SEC("?fentry/security_path_link")
int path_link(__u64 *ctx)
{
	if (!note__begin())
		return 0;
	put_entry(1, argument(ctx, 1), argument(ctx, 2));
	return note__keep();
}

SEC("?fentry/security_path_rename")
int path_rename(__u64 *ctx)
{
	if (!note__begin())
		return 0;
	put_entry(0, argument(ctx, 0), argument(ctx, 1));
	put_entry(1, argument(ctx, 2), argument(ctx, 3));
	return note__keep();
}

SEC("?fentry/security_path_chmod")
int path_chmod(__u64 *ctx)
{
	return note__path(ctx, 0);
}

SEC("?fentry/security_path_chown")
int path_chown(__u64 *ctx)
{
	return note__path(ctx, 0);
}

SEC("?fentry/security_path_truncate")
int path_truncate(__u64 *ctx)
{
	return note__path(ctx, 0);
}

SEC("?fentry/security_sb_mount")
int sb_mount(__u64 *ctx)
{
	return note__path(ctx, 1);
}

/* The mount that goes is known by where it is. */
SEC("?fentry/security_sb_umount")
int sb_umount(__u64 *ctx)
{
	struct vfsmount *mnt;

	if (!note__begin())
		return 0;
	mnt = (void *)argument(ctx, 0);
	put_noted(0, (__u64)BPF_CORE_READ(mnt, mnt_root), (__u64)mnt);
	return note__keep();
}
