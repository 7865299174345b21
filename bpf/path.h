/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Names from kernel objects: the components of a path from the leaf up to the root of the calling process, each ended
 * by NUL. User space turns them round. Crossing a mount goes on at its mount point.
 */
#pragma once

#include "names.h"

/* A loop costs the verifier each of its rounds: what goes round seldom more often is a loop around it, in a function of its own. */
#define COMPONENTS_AT_ONCE 8

/*
 * What is compared first of two things. The compiler would make numbers of both comparisons and join them, and the verifier go
 * through what follows once for each of their values.
 */
static __always_inline bool is_at(const void *object, const void *other)
{
	barrier_var(object);
	return object == other;
}

#ifndef WITHOUT_TYPES
#define MOUNTS_MAX 64 /* of a file system are looked at */

/*
 * The mount after this one of the mounts of a file system; of none the first. 0 behind the last. What the kernel does not have must
 * not be read outside its branch, where the compiler would like to prepare for the loop.
 */
static __always_inline __u64 mount__next(struct super_block *sb, __u64 mnt)
{
	barrier_var(mnt);
	barrier_var(sb);
	if (bpf_core_field_exists(struct mount___chained, mnt_next_for_sb)) {
		struct mount___chained *one = (void *)mnt;
		struct super_block___chained *chained = (void *)sb;

		barrier_var(chained);
		return mnt ? (__u64)BPF_CORE_READ(one, mnt_next_for_sb) : (__u64)BPF_CORE_READ(chained, s_mounts);
	} else {
		struct mount___listed *one = (void *)mnt;
		struct super_block___listed *listed = (void *)sb;
		struct list_head *head;
		__u64 next;

		barrier_var(listed);
		head = __builtin_preserve_access_index(&listed->s_mounts);
		next = mnt ? (__u64)BPF_CORE_READ(one, mnt_instance.next) : (__u64)BPF_CORE_READ(listed, s_mounts.next);
		if (!next || next == (__u64)head)
			return 0;
		return next - bpf_core_field_offset(struct mount___listed, mnt_instance);
	}
}

/* True for a mount of the whole of its file system that is in a namespace. */
__noinline int mount__is_whole(__u64 address, __u64 ns)
{
	struct mount *mnt = (struct mount *)address;

	return (__u64)BPF_CORE_READ(mnt, mnt_ns) == ns &&
	       BPF_CORE_READ(mnt, mnt.mnt_root) == BPF_CORE_READ(mnt, mnt.mnt_sb, s_root) &&
	       BPF_CORE_READ(mnt, mnt_parent) != mnt;
}

/*
 * Of a mount that is not in the process's namespace, for one a clone by open_tree() or one that was unmounted while in use: the
 * mount of the whole of its file system that is. 0 where there is none. Also a global function (components__walk()).
 */
__noinline __u64 mount__of_same(__u64 address)
{
	const __u64 inside = bpf_core_field_offset(struct mount, mnt);
	struct task_struct *task = current_task();
	struct mnt_namespace *ns = BPF_CORE_READ(task, nsproxy, mnt_ns);
	struct vfsmount *root_mnt = BPF_CORE_READ(task, fs, root.mnt);
	struct mount *mnt = (struct mount *)address;
	struct super_block *sb = BPF_CORE_READ(mnt, mnt.mnt_sb);
	__u64 at = 0;

	if (!ns || BPF_CORE_READ(mnt, mnt_ns) == ns)
		return 0;
	if (BPF_CORE_READ(root_mnt, mnt_root) == BPF_CORE_READ(sb, s_root))
		return (__u64)root_mnt - inside;
	for (int i = 0; i < MOUNTS_MAX; i++) {
		at = mount__next(sb, at);
		if (!at)
			return 0;
		if (mount__is_whole(at, (__u64)ns))
			return at;
	}
	return 0;
}
#endif

#ifdef WITHOUT_TYPES
static __always_inline bool text__is_path(struct scratch *s, __u64 end, __u32 len, struct file *address,
					  struct task_struct *task)
{
	return 0;
}

static __always_inline void put_components(__u32 which, __u32 index, __u64 dentry_address, __u64 mount_address)
{
}

static __always_inline void read_components(__u32 index, __u64 dentry_address, __u64 mount_address)
{
}
#else
#define COMPARED_COMPONENTS 16 /* more are rare, and the verifier goes through each */

/* Where the name of a dentry is that is short enough for the dentry itself, as all of up to 24 bytes are (d_alloc()). */
static __always_inline __u64 short_name(struct dentry *dentry)
{
	if (bpf_core_field_exists(struct dentry___since_6_14, d_shortname))
		return (__u64)dentry + bpf_core_field_offset(struct dentry___since_6_14, d_shortname);
	if (bpf_core_field_exists(struct dentry___until_6_14, d_iname))
		return (__u64)dentry + bpf_core_field_offset(struct dentry___until_6_14, d_iname);
	return ADDRESS_IN(dentry, d_name.name);
}

#define COMPARED_NAME 64 /* longer ones are read */

/* True when a name of the kernel's is what is at `start` of the record. For names that text__is_path() does not read itself. */
__noinline int text__has_name(__u64 start, __u64 name, __u32 len)
{
	__u32 which = SCRATCH_SYSCALL;
	struct scratch *s = bpf_map_lookup_elem(&scratches, &which);

	if (!s || !has_loads() || len > COMPARED_NAME)
		return 0;
	for (__u32 i = 0; i < COMPARED_NAME; i += 8) {
		__u64 at = start + i, differs;

		if (i >= len)
			break;
		barrier_var(at);
		differs = *(__u64 *)(data(s) + (at & DATA_MASK)) ^ word_at(name + i);
		/* The first byte is the lowest. */
		if (len - i < 8)
			differs <<= 64 - 8 * (len - i);
		if (differs)
			return 0;
	}
	return 1;
}

/*
 * True when the components of a file's path are those of a path in the record, as it is written: `len` bytes that end before
 * `end`. What put_components() would give need not be read then. Where there are no loads, it is not compared.
 */
static __always_inline bool text__is_path(struct scratch *s, __u64 end, __u32 len, struct file *address,
					  struct task_struct *task)
{
	const __u64 inside = bpf_core_field_offset(struct mount, mnt);
	struct dentry *dentry, *root, *mnt_root;
	struct mount *mnt, *root_mnt;
	__u64 left = len & DATA_MASK;
	struct fs_struct *fs;
	struct file *file;

	if (!has_loads())
		return 0;
	end &= DATA_MASK;
	file = LOADED_AT(file, address);
	dentry = file->f_path.dentry;
	mnt = LOADED_AT(mount, (__u64)file->f_path.mnt - inside);
	mnt_root = mnt->mnt.mnt_root;
	fs = task->fs;
	root = fs->root.dentry;
	root_mnt = LOADED_AT(mount, (__u64)fs->root.mnt - inside);
	for (__u64 i = 0; i < COMPARED_COMPONENTS; i++) {
		__u64 name, size, slash, differs;
		struct dentry *parent;
		const __u8 *text;

		/* What is behind the root is not met again, and left then. */
		if (!left && is_at(dentry, root) && mnt == root_mnt)
			return i;
		parent = dentry->d_parent;
		if (dentry == mnt_root || dentry == parent) {
			struct mount *up = mnt->mnt_parent;

			if (is_at(mnt, up) || dentry == root)
				return 0;
			dentry = mnt->mnt_mountpoint;
			mnt = up;
			mnt_root = mnt->mnt.mnt_root;
			continue;
		}
		size = dentry->d_name.len;
		if (size >= left)
			return 0;
		/* Always from the same ranges: the verifier would follow each of them. */
		left = (left - size - 1) & DATA_MASK;
		end = (end - size - 1) & DATA_MASK;
		slash = end;
		barrier_var(slash);
		text = data(s) + (slash & DATA_MASK);
		if (*text != '/')
			return 0;
		if (size > 24) {
			if (!text__has_name(end + 1, ADDRESS_IN(dentry, d_name.name), size))
				return 0;
		} else {
			name = short_name(dentry);
			differs = *(__u64 *)(text + 1) ^ word_at(name);
			if (size > 8) {
				if (differs)
					return 0;
				differs = *(__u64 *)(text + 9) ^ word_at(name + 8);
			}
			if (size > 16) {
				if (differs)
					return 0;
				differs = *(__u64 *)(text + 17) ^ word_at(name + 16);
			}
			/* The first byte is the lowest. */
			if (differs << (-8 * size & 63))
				return 0;
		}
		dentry = parent;
	}
	return 0;
}

/*
 * The next few components of a path, for put_components(); `start` is where the first one is in the record, 0 for the first few.
 * True when there are more: the scratch then has where to go on. `is_read`: for what a rule may name, on the way.
 */
static __always_inline int few_components(__u32 which, __u32 index, __u64 dentry_address, __u64 mount_address, __u64 start,
					  bool is_read)
{
	const __u64 inside = bpf_core_field_offset(struct mount, mnt);
	struct scratch *s = bpf_map_lookup_elem(&scratches, &which);
	struct dentry *dentry = OBJECT_AT(dentry, dentry_address);
	/* Of none every member reads as 0: it has no root and no parent. */
	struct mount *mnt = OBJECT_AT(mount, mount_address ? mount_address - inside : 0);
	struct fs_struct *fs = LOAD(loaded_task(), fs);
	struct dentry *root = LOAD(fs, root.dentry);
	struct mount *root_mnt;
	bool is_first = !start;
	__u64 off;

	if (!s)
		return 0;
	if (is_first) {
		start = s->off;
		s->root_mount = (__u64)LOAD(fs, root.mnt) - inside;
	}
	root_mnt = OBJECT_AT(mount, s->root_mount);
	for (int i = 0; i < COMPONENTS_AT_ONCE; i++) {
		struct dentry *parent;
		long len;

		if (is_at(dentry, root) && is_at(mnt, root_mnt))
			goto done;
		parent = LOAD(dentry, d_parent);
		if (dentry == LOAD(mnt, mnt.mnt_root) || dentry == parent) {
			struct mount *up = LOAD(mnt, mnt_parent);

			if (!is_at(mnt, up) && dentry != root) {
				dentry = LOAD(mnt, mnt_mountpoint);
				mnt = up;
				continue;
			}
			/*
			 * The top of a mount tree. A memfd or a pipe has a name there, a file system's root is "/". A mount
			 * that is nowhere goes on where the file system is mounted, else within that, as far up as the
			 * process's root.
			 */
			if (i || !is_first || dentry != parent) {
				__u64 mounted;

				/* A function takes numbers, which is what comes back out of memory. */
				s->nowhere = (__u64)mnt;
				mounted = mount__of_same(*(volatile __u64 *)&s->nowhere);
				if (mounted) {
					mnt = OBJECT_AT(mount, mounted);
					continue;
				}
				if (is_at(dentry, root) || dentry == parent)
					goto done;
				root_mnt = mnt;
			} else {
				parent = NULL;
			}
		}
		if (!room(s, &off)) {
			s->name_state = 0;
			advance(s, index, 0, true);
			return 0;
		}
		len = bpf_probe_read_kernel_str(data(s) + off, NAME_MAX_LEN, LOAD(dentry, d_name.name));
		if (len <= 0) {
			s->name_state = 0;
			count_miss(MISS_KERNEL_MEMORY);
			return 0;
		}
		if (is_read && s->name_state)
			s->name_state = name__read(which, off, len - 1, s->name_state, true);
		advance(s, index, len & (2 * NAME_MAX_LEN - 1), false);
		if (!parent)
			return 0;
		dentry = parent;
	}
	if (!is_at(dentry, root) || !is_at(mnt, root_mnt)) {
		s->dentry = (__u64)dentry;
		s->mount = (__u64)mnt + inside;
		s->root_mount = (__u64)root_mnt;
		s->path_start = start;
		return 1;
	}
done:
	/* The root itself: one empty name, so that the value is not missing. */
	if (s->off == start && room(s, &off)) {
		data(s)[off] = 0;
		advance(s, index, 1, false);
	}
	return 0;
}

/*
 * A global function: the verifier looks at it once, not once per caller and state. On 5.10 such a function takes
 * numbers only, so the kernel pointers come as numbers, which is all that probe reads need.
 */
__noinline int components__walk(__u32 which, __u32 index, __u64 dentry_address, __u64 mount_address, __u64 start)
{
	return few_components(which, index, dentry_address, mount_address, start, false);
}

/* The same where names are read on the way, which is most of what the verifier looks at. */
__noinline int components__read(__u32 which, __u32 index, __u64 dentry_address, __u64 mount_address, __u64 start)
{
	return few_components(which, index, dentry_address, mount_address, start, true);
}

/*
 * The components of a dentry on a mount, appended to parameter `index` of the record in scratch `which`. Without a mount
 * (0): those up to the root of its file system. Not a function of its own: eight at most may be under way.
 */
static __always_inline void components(__u32 which, __u32 index, __u64 dentry_address, __u64 mount_address,
				       int (*walk)(__u32, __u32, __u64, __u64, __u64))
{
	struct scratch *s;

	if (!walk(which, index, dentry_address, mount_address, 0))
		return;
	s = bpf_map_lookup_elem(&scratches, &which);
	if (!s)
		return;
	for (int i = 1; i < PATH_COMPONENTS / COMPONENTS_AT_ONCE; i++) {
		if (!walk(which, index, s->dentry, s->mount, s->path_start))
			return;
	}
	s->name_state = 0;
	advance(s, index, 0, true);
}

static __always_inline void put_components(__u32 which, __u32 index, __u64 dentry_address, __u64 mount_address)
{
	components(which, index, dentry_address, mount_address, components__walk);
}

/* The same, of which is said what a rule may name (names__begin()). */
static __always_inline void read_components(__u32 index, __u64 dentry_address, __u64 mount_address)
{
	components(SCRATCH_SYSCALL, index, dentry_address, mount_address, components__read);
}
#endif

/* The file behind descriptor `fd` of a task (loaded_task()). `is_result`: of what a call returns, there is room in the table. */
static __always_inline struct file *file_of_task(struct task_struct *task, __s32 fd, bool is_result)
{
#ifdef WITHOUT_TYPES
	return NULL;
#else
	struct files_struct *files = LOAD(task, files);
	struct fdtable *fdt = LOAD(files, fdt);
	struct file **table = LOAD(fdt, fd);
	struct file *file = NULL;

	if (fd < 0 || (!is_result && (__u32)fd >= LOAD(fdt, max_fds)))
		return NULL;
	if (has_loads())
		return (struct file *)word_at((__u64)(table + fd));
	bpf_probe_read_kernel(&file, sizeof(file), table + fd);
	return file;
#endif
}

/* The same of the current task. */
static __always_inline struct file *file_of(__s32 fd)
{
	return file_of_task(loaded_task(), fd, false);
}

/* Stand for the file a request of io_uring is done on, and the one it made: what has no number, or another by now. */
#define FD_OF_REQUEST (-1000)
#define FD_OF_RESULT (-1001)

/* The same, or the file of a request. A call that is given one of these numbers has none: only requests have them. */
static __always_inline struct file *file_for(struct scratch *s, __s32 fd)
{
	struct file *file;

	if (fd >= 0) {
		file = file_of(fd);
		/* One load for this and those below is not what the verifier takes: they are of different memory. */
		barrier_var(file);
		return file;
	}
	return (struct file *)(fd == FD_OF_REQUEST ? s->file : fd == FD_OF_RESULT ? s->made : 0);
}

static __always_inline void put_file_path(__u32 which, __u32 index, struct file *file)
{
	if (file)
		put_components(which, index, ADDRESS_IN(file, f_path.dentry), ADDRESS_IN(file, f_path.mnt));
}

static __always_inline void read_file_path(__u32 index, struct file *file)
{
	if (file)
		read_components(index, ADDRESS_IN(file, f_path.dentry), ADDRESS_IN(file, f_path.mnt));
}

/* The directory a relative path starts from, read as by read_components() or not. */
static __always_inline void put_base(__u32 index, __s32 dirfd, bool is_read)
{
	__u64 dentry, mnt;

	if (dirfd == AT_FDCWD) {
		struct fs_struct *fs = BPF_CORE_READ(current_task(), fs);

		dentry = (__u64)BPF_CORE_READ(fs, pwd.dentry);
		mnt = (__u64)BPF_CORE_READ(fs, pwd.mnt);
	} else {
		struct file *file = file_of(dirfd);

		if (!file)
			return;
		dentry = ADDRESS_IN(file, f_path.dentry);
		mnt = ADDRESS_IN(file, f_path.mnt);
	}
	if (is_read)
		read_components(index, dentry, mnt);
	else
		put_components(SCRATCH_SYSCALL, index, dentry, mnt);
}
