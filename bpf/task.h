/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* The life of processes: exec, fork, exit. */
#pragma once

#include "values.h"
#include "reaper.h"

#define NANOSECONDS(sec, nsec) ((__u64)(sec) * 1000000000ULL + (__u64)(nsec))

/*
 * What hangs on an argument of these programs is read by plain loads, which the verifier follows on every kernel; probe
 * reads, of which an exec took a hundred, are dozens of times dearer.
 */

/* A pointer as a number: global functions take nothing else. What comes out of a map's value is one to the verifier. */
static __always_inline __u64 as_number(struct scratch *s, const void *pointer)
{
	volatile __u64 *slot = &s->args[0];

	*slot = (__u64)pointer;
	return *slot;
}

static __always_inline __u64 changed_at(struct inode *inode)
{
	struct inode___renamed *renamed = (void *)inode;
	struct inode___old *old = (void *)inode;

	if (bpf_core_field_exists(inode->i_ctime_sec))
		return NANOSECONDS(inode->i_ctime_sec, inode->i_ctime_nsec & ~I_CTIME_QUERIED);
	if (bpf_core_field_exists(renamed->__i_ctime))
		return NANOSECONDS(renamed->__i_ctime.tv_sec, renamed->__i_ctime.tv_nsec);
	return NANOSECONDS(old->i_ctime.tv_sec, old->i_ctime.tv_nsec);
}

static __always_inline __u64 written_at(struct inode *inode)
{
	struct inode___renamed *renamed = (void *)inode;
	struct inode___old *old = (void *)inode;

	if (bpf_core_field_exists(inode->i_mtime_sec))
		return NANOSECONDS(inode->i_mtime_sec, inode->i_mtime_nsec);
	if (bpf_core_field_exists(renamed->__i_mtime))
		return NANOSECONDS(renamed->__i_mtime.tv_sec, renamed->__i_mtime.tv_nsec);
	return NANOSECONDS(old->i_mtime.tv_sec, old->i_mtime.tv_nsec);
}

/* When the first process of a pid's own namespace was created, since boot. */
static __always_inline __u64 namespace_start(struct pid *pid)
{
	struct pid_namespace *ns;
	__u32 level = pid->level;
	__u64 first;

	if (!level)
		return pid->numbers[0].ns->child_reaper->start_boottime;
	ns = namespace_at(pid, level);
	if (!has_loads())
		return BPF_CORE_READ(ns, child_reaper, start_boottime);
	first = word_at((__u64)ns + bpf_core_field_offset(ns->child_reaper));
	return word_at(first + bpf_core_field_offset(struct task_struct, start_boottime));
}

/* number_beside() of what can be loaded from. */
static __always_inline __u32 group_number(struct pid *group, struct pid *own)
{
	__u32 level = own->level;

	if (!level)
		return group->numbers[0].nr;
	if (group->level < level || namespace_at(group, level) != namespace_at(own, level))
		return 0;
	return number_at(group, level);
}

static __always_inline __u32 terminal_number(struct signal_struct *signal)
{
	struct tty_struct *tty = signal->tty;
	struct tty_driver *driver;

	if (!tty)
		return 0;
	/* Another process can take the terminal away meanwhile, and what is left then need not be one. */
	driver = BPF_CORE_READ(tty, driver);
	return device_number(BPF_CORE_READ(driver, major), BPF_CORE_READ(driver, minor_start) + BPF_CORE_READ(tty, index));
}

/* A capability set is two numbers of 32 bits on older kernels. */
#define CAPABILITIES(cred, set)                                                                                        \
	(bpf_core_field_exists(struct cred___wide, set.val) ? ((struct cred___wide *)(cred))->set.val :                \
							      capabilities(&(cred)->set))

/* True when a kernel id has a number in a user namespace, whose capabilities then count for it. */
static __always_inline bool is_mapped(struct uid_gid_map *map, __u32 id)
{
	__u32 extents = BPF_CORE_READ(map, nr_extents);

	for (__u32 i = 0; i < UID_GID_EXTENTS; i++) {
		__u32 first = BPF_CORE_READ(map, extent[i].lower_first);

		if (i < extents && id >= first && id - first < BPF_CORE_READ(map, extent[i].count))
			return true;
	}
	return extents > UID_GID_EXTENTS;
}

static __always_inline bool is_member(const struct cred *cred, __u32 gid)
{
	struct group_info *info = BPF_CORE_READ(cred, group_info);
	int count = BPF_CORE_READ(info, ngroups);

	if (BPF_CORE_READ(cred, fsgid.val) == gid)
		return true;
	for (int i = 0; i < GROUPS; i++) {
		kgid_t group = {};

		if (i >= count)
			break;
		bpf_probe_read_kernel(&group, sizeof(group),
				      (void *)info + bpf_core_field_offset(struct group_info, gid) + i * sizeof(group));
		if (group.val == gid)
			return true;
	}
	return false;
}

/*
 * True when the current task may write to a file, or make it so: by its mode, as its owner, or by a capability. As Falco
 * answers it; access control lists and security modules are not asked.
 */
__noinline int file__is_writable(__u64 file_address)
{
	struct file *file = OBJECT_AT(file, file_address);
	struct inode *inode = LOAD(file, f_inode);
	struct super_block *sb = LOAD(inode, i_sb);
	struct vfsmount *mnt = LOAD(file, f_path.mnt);
	const struct cred *cred = LOAD(loaded_task(), cred);
	__u32 uid = LOAD(inode, i_uid.val), gid, mode;
	struct user_namespace *ns;
	__u64 effective;

	if (LOAD(sb, s_flags) & SB_RDONLY || LOAD(mnt, mnt_flags) & MNT_READONLY || LOAD(inode, i_flags) & S_IMMUTABLE)
		return 0;
	if (LOAD(cred, fsuid.val) == uid)
		return 1;
	gid = LOAD(inode, i_gid.val);
	mode = LOAD(inode, i_mode);
	ns = LOAD(cred, user_ns);
	effective = capabilities(&cred->cap_effective);
	if (is_mapped(&ns->uid_map, uid)) {
		if (effective & (1 << CAP_FOWNER))
			return 1;
		if (effective & (1 << CAP_DAC_OVERRIDE) && is_mapped(&ns->gid_map, gid))
			return 1;
	}
	if (is_member(cred, gid))
		mode >>= 3;
	return (mode & MAY_WRITE) != 0;
}

/* What execve's `flags` says of the executable (EXECVE_FLAGS). */
static __always_inline __u64 exec_flags(struct scratch *s, struct file *exe)
{
	struct dentry *dentry = exe->f_path.dentry;
	struct inode *inode = exe->f_inode;
	char name[8] = {};
	__u64 flags = file__is_writable(as_number(s, exe)) ? EXE_WRITABLE : 0;

	if (inode->i_sb->s_magic == OVERLAYFS_SUPER_MAGIC)
		flags |= is_upper(inode) ? EXE_UPPER_LAYER : EXE_LOWER_LAYER;
	/* memfd_create(): a file of the internal shmem mount called "memfd:NAME", its own parent. */
	if (dentry == dentry->d_parent) {
		bpf_probe_read_kernel_str(name, sizeof(name), dentry->d_name.name);
		if (name[0] == 'm' && name[1] == 'e' && name[2] == 'm' && name[3] == 'f' && name[4] == 'd' && name[5] == ':')
			flags |= EXE_FROM_MEMFD;
	}
	return flags;
}

/*
 * True for an execveat() of a descriptor. An execveat() of a path can't be told from an execve(): on x86 the kernel sets
 * the call's number to execve's when the program is loaded (set_personality_64bit).
 */
static __always_inline bool by_descriptor(struct linux_binprm *bprm)
{
	return bpf_core_field_exists(bprm->fdpath) && bprm->fdpath;
}

/* What a task is called, as parameter `index`: all of it, with what is behind its NUL, where that is two loads. */
static __always_inline void put_name(struct scratch *s, __u32 index, struct task_struct *task)
{
	__u64 name = (__u64)task + bpf_core_field_offset(task->comm), off;

	if (!has_loads())
		return put_kernel_str(s, index, (void *)name, sizeof(task->comm));
	if (!room(s, &off))
		return;
	*(__u64 *)(data(s) + off) = word_at(name);
	*(__u64 *)(data(s) + off + 8) = word_at(name + 8);
	advance(s, index, sizeof(task->comm), false);
}

SEC("?tp_btf/sched_process_exec")
int BPF_PROG(sched_process_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct scratch *s = record__begin(SCRATCH_EXEC, TASK_EXEC_PARAMS);
	struct signal_struct *signal;
	const struct cred *cred;
	struct mm_struct *mm;
	struct file *exe;
	struct inode *inode;
	struct fs_struct *fs;
	struct pid *own;
	__u32 loginuid = -1;
	__u64 dentry, mnt;

	if (!s)
		return 0;
	task = OBJECT_AT(task_struct, task);
	bprm = OBJECT_AT(linux_binprm, bprm);
	signal = task->signal;
	own = task->thread_pid;
	cred = task->cred;
	mm = task->mm;
	exe = mm->exe_file;
	fs = task->fs;
	if (bpf_core_field_exists(task->loginuid))
		loginuid = task->loginuid.val;

	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_PPID, task->real_parent->tgid);
	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_VPID, own_number(own));
	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_SID, signal->pids[PIDTYPE_SID]->numbers[0].nr);
	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_PGID, signal->pids[PIDTYPE_PGID]->numbers[0].nr);
	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_VPGID, group_number(signal->pids[PIDTYPE_PGID], own));
	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_TTY, terminal_number(signal));
	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_LOGINUID, loginuid);
	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_CAP_INHERITABLE, CAPABILITIES(cred, cap_inheritable));
	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_CAP_PERMITTED, CAPABILITIES(cred, cap_permitted));
	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_CAP_EFFECTIVE, CAPABILITIES(cred, cap_effective));
	inode = exe->f_inode;
	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_EXE_INO, inode->i_ino);
	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_EXE_CTIME, changed_at(inode));
	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_EXE_MTIME, written_at(inode));
	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_FLAGS, exec_flags(s, exe));
	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_START_TIME, task->group_leader->start_boottime);
	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_PIDNS_START, namespace_start(own));
	SET_FIRST(s, TASK_EXEC_PARAMS, TASK_EXEC_BY_DESCRIPTOR, by_descriptor(bprm));
	s->off = 2 * TASK_EXEC_PARAMS + 8 * TASK_EXEC_COMM;
	put_name(s, TASK_EXEC_COMM, task);
	put_user_bytes(s, TASK_EXEC_ARGS, mm->arg_start, mm->arg_end);
	if (config.params[EVENT_TASK_EXEC] & 1 << TASK_EXEC_ENV)
		put_user_bytes(s, TASK_EXEC_ENV, mm->env_start, mm->env_end);
	dentry = as_number(s, exe->f_path.dentry);
	mnt = as_number(s, exe->f_path.mnt);
	put_components(SCRATCH_EXEC, TASK_EXEC_EXEPATH, dentry, mnt);
	dentry = as_number(s, fs->pwd.dentry);
	mnt = as_number(s, fs->pwd.mnt);
	put_components(SCRATCH_EXEC, TASK_EXEC_CWD, dentry, mnt);
	put_kernel_str(s, TASK_EXEC_FILENAME, bprm->filename, STRING_MAX);
	put_task_values(SCRATCH_EXEC, EVENT_TASK_EXEC);
	record__submit(s, EVENT_TASK_EXEC, STREAM_EXEC, 0);
	return 0;
}

struct fork_record {
	struct header header;
	__u16 lengths[TASK_FORK_PARAMS];
	__u8 values[TASK_FORK_COMM * 8];
	char comm[16];
} __attribute__((packed));

struct exit_record {
	struct header header;
	__u16 lengths[PROCEXIT_PARAMS];
	__u8 values[PROCEXIT_PARAMS * 8];
} __attribute__((packed));

SEC("?tp_btf/sched_process_fork")
int BPF_PROG(sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct signal_struct *signal;
	struct fork_record *r;
	struct pid *own;
	__u64 sequence;
	__u32 pid;

	child = OBJECT_AT(task_struct, child);
	pid = child->pid;
	/* A new thread changes nothing in the process table. */
	if (pid != child->tgid)
		return 0;
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r) {
		next_sequence(STREAM_FORK);
		count_drop(EVENT_TASK_FORK, DROP_RING_FULL);
		return 0;
	}
	signal = child->signal;
	own = child->thread_pid;
	SET(r, TASK_FORK_CHILD_PID, pid);
	SET(r, TASK_FORK_CHILD_VPID, own_number(own));
	SET(r, TASK_FORK_PPID, child->real_parent->tgid);
	SET(r, TASK_FORK_START_TIME, child->start_boottime);
	SET(r, TASK_FORK_PGID, signal->pids[PIDTYPE_PGID]->numbers[0].nr);
	SET(r, TASK_FORK_VPGID, group_number(signal->pids[PIDTYPE_PGID], own));
	SET(r, TASK_FORK_SID, signal->pids[PIDTYPE_SID]->numbers[0].nr);
	SET(r, TASK_FORK_CHILD_IMAGE, image_number(child->self_exec_id, child->start_boottime));
	r->lengths[TASK_FORK_COMM] = sizeof(r->comm);
	if (has_loads()) {
		__u64 comm = (__u64)child + bpf_core_field_offset(child->comm);

		*(__u64 *)r->comm = word_at(comm);
		*(__u64 *)(r->comm + 8) = word_at(comm + 8);
	} else {
		bpf_probe_read_kernel(r->comm, sizeof(r->comm), &child->comm);
	}
	fill_header(r, EVENT_TASK_FORK, STREAM_FORK, 0);
	sequence = r->header.sequence;
	bpf_ringbuf_submit(r, wakeup_flags(sequence));
	return 0;
}

/* An exit with the values of its thread that a rule asked for. Its memory is there on newer kernels only. */
static __always_inline void report_exit_with_values(__u32 code, bool group_dead)
{
	struct scratch *s = record__begin(SCRATCH_EXIT, PROCEXIT_PARAMS);

	if (!s)
		return;
	put_u64(s, PROCEXIT_STATUS, code);
	put_u64(s, PROCEXIT_RET, (code >> 8) & 0xff);
	put_u64(s, PROCEXIT_SIG, code & 0x7f);
	put_u64(s, PROCEXIT_CORE, (code & 0x80) != 0);
	put_u64(s, PROCEXIT_REAPER_TID, (__s64)reaper__of_current());
	put_u64(s, PROCEXIT_GROUP_DEAD, group_dead);
	put_task_values(SCRATCH_EXIT, EVENT_PROCEXIT);
	record__submit(s, EVENT_PROCEXIT, STREAM_EXIT, 0);
}

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(sched_process_exit, struct task_struct *task)
{
	struct exit_record *r;
	__u64 sequence;
	bool group_dead;
	__u32 code;

	task = OBJECT_AT(task_struct, task);
	/* do_exit() has counted the thread out already: 0 means it was the last of its process. */
	group_dead = task->signal->live.counter == 0;
	forget_begun();
	if (!group_dead && !config.thread_exits)
		return 0;
	code = task->exit_code;
	if (config.task[EVENT_PROCEXIT]) {
		report_exit_with_values(code, group_dead);
		return 0;
	}
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r) {
		next_sequence(STREAM_EXIT);
		count_drop(EVENT_PROCEXIT, DROP_RING_FULL);
		return 0;
	}
	SET(r, PROCEXIT_STATUS, code);
	SET(r, PROCEXIT_RET, (code >> 8) & 0xff);
	SET(r, PROCEXIT_SIG, code & 0x7f);
	SET(r, PROCEXIT_CORE, (code & 0x80) != 0);
	SET(r, PROCEXIT_REAPER_TID, (__s64)reaper__of_current());
	SET(r, PROCEXIT_GROUP_DEAD, group_dead);
	fill_header(r, EVENT_PROCEXIT, STREAM_EXIT, 0);
	sequence = r->header.sequence;
	bpf_ringbuf_submit(r, wakeup_flags(sequence));
	return 0;
}

/*
 * A process got another name: by prctl(PR_SET_NAME), or by a write to its /proc/PID/comm. Names of threads other than the
 * first are not kept.
 */
SEC("?tp_btf/task_rename")
int BPF_PROG(task_rename, struct task_struct *task, const char *comm)
{
	struct task_struct *object;
	struct rename_record *r;
	struct mm_struct *mm;
	__u64 sequence;

	if (task->pid != task->tgid)
		return 0;
	/*
	 * An exec names its process too, and reports it itself. Its memory has no environment yet when it does. Threads of the
	 * kernel have no memory at all. On older kernels that is a probe read: a plain load from nowhere in a program of several
	 * functions ends one like 5.10, which does not find there what to do then.
	 */
	object = OBJECT_AT(task_struct, task);
	mm = LOAD(object, mm);
	if (!LOAD(mm, env_end))
		return 0;
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r) {
		next_sequence(STREAM_RENAME);
		count_drop(EVENT_TASK_RENAME, DROP_RING_FULL);
		return 0;
	}
	__builtin_memset(r->comm, 0, sizeof(r->comm));
	bpf_probe_read_kernel_str(r->comm, sizeof(r->comm), comm);
	r->lengths[TASK_RENAME_COMM] = sizeof(r->comm);
	fill_header(r, EVENT_TASK_RENAME, STREAM_RENAME, 0);
	sequence = r->header.sequence;
	bpf_ringbuf_submit(r, wakeup_flags(sequence));
	return 0;
}
