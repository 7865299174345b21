/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Names from kernel objects: the components of a path from the leaf up to the root of the calling process, each ended
 * by NUL. User space turns them round. Crossing a mount goes on at its mount point.
 */
#pragma once

#include "record.h"

/*
 * The components of a dentry on a mount, appended to parameter `index` of the record in scratch `which`.
 *
 * A global function: the verifier looks at it once, not once per caller and state. On 5.10 such a function takes
 * numbers only, so the kernel pointers come as numbers, which is all that probe reads need.
 */
__noinline int put_components(__u32 which, __u32 index, __u64 dentry_address, __u64 mount_address)
{
	struct dentry *dentry = (void *)dentry_address;
	struct vfsmount *vfsmnt = (void *)mount_address;
	struct scratch *s = bpf_map_lookup_elem(&scratches, &which);
	struct fs_struct *fs = BPF_CORE_READ(current_task(), fs);
	struct dentry *root = BPF_CORE_READ(fs, root.dentry);
	struct vfsmount *root_mnt = BPF_CORE_READ(fs, root.mnt);
	__u64 start, off;

	if (!s)
		return 0;
	start = s->off;
	for (int i = 0; i < PATH_COMPONENTS; i++) {
		struct dentry *parent;
		long len;

		if (dentry == root && vfsmnt == root_mnt)
			goto done;
		parent = BPF_CORE_READ(dentry, d_parent);
		if (dentry == BPF_CORE_READ(vfsmnt, mnt_root) || dentry == parent) {
			struct mount *mnt = (void *)vfsmnt - bpf_core_field_offset(struct mount, mnt);
			struct mount *up = BPF_CORE_READ(mnt, mnt_parent);

			if (mnt != up && dentry != root) {
				dentry = BPF_CORE_READ(mnt, mnt_mountpoint);
				vfsmnt = (void *)up + bpf_core_field_offset(struct mount, mnt);
				continue;
			}
			/* The top of a mount tree. A memfd or a pipe has a name there, a file system's root is "/". */
			if (i)
				goto done;
			parent = NULL;
		}
		if (!room(s, &off)) {
			advance(s, index, 0, true);
			return 0;
		}
		len = bpf_probe_read_kernel_str(data(s) + off, NAME_MAX_LEN, BPF_CORE_READ(dentry, d_name.name));
		if (len <= 0) {
			count_miss(MISS_KERNEL_MEMORY);
			return 0;
		}
		advance(s, index, len & (2 * NAME_MAX_LEN - 1), false);
		if (!parent)
			return 0;
		dentry = parent;
	}
	if (dentry == root && vfsmnt == root_mnt)
		goto done;
	advance(s, index, 0, true);
	return 0;
done:
	/* The root itself: one empty name, so that the value is not missing. */
	if (s->off == start && room(s, &off)) {
		data(s)[off] = 0;
		advance(s, index, 1, false);
	}
	return 0;
}

/* The file behind descriptor `fd` of the current task. */
static __always_inline struct file *file_of(__s32 fd)
{
	struct fdtable *fdt = BPF_CORE_READ(current_task(), files, fdt);
	struct file **table = BPF_CORE_READ(fdt, fd);
	struct file *file = NULL;

	if (fd < 0 || (__u32)fd >= BPF_CORE_READ(fdt, max_fds))
		return NULL;
	bpf_probe_read_kernel(&file, sizeof(file), table + fd);
	return file;
}

static __always_inline void put_file_path(__u32 which, __u32 index, struct file *file)
{
	if (file)
		put_components(which, index, (__u64)BPF_CORE_READ(file, f_path.dentry),
			       (__u64)BPF_CORE_READ(file, f_path.mnt));
}

/* The directory a relative path starts from. */
static __always_inline void put_base(__u32 index, __s32 dirfd)
{
	if (dirfd == AT_FDCWD) {
		struct fs_struct *fs = BPF_CORE_READ(current_task(), fs);

		put_components(SCRATCH_SYSCALL, index, (__u64)BPF_CORE_READ(fs, pwd.dentry),
			       (__u64)BPF_CORE_READ(fs, pwd.mnt));
	} else {
		put_file_path(SCRATCH_SYSCALL, index, file_of(dirfd));
	}
}
