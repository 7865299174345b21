/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * The kernel types the programs read, with only the members they read. CO-RE finds the real offsets when the
 * object is loaded, so no vmlinux.h and no kernel headers are needed to build.
 */
#pragma once

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u64 __be64;
typedef __u32 __wsum;
typedef __u16 __sum16;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

/* include/uapi/linux/bpf.h */
enum bpf_map_type_local {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29, /* since 5.11; for programs like these, 5.13 */
};
#define BPF_ANY 0
#define BPF_NOEXIST 1
#define BPF_F_NO_PREALLOC 1
#define BPF_LOCAL_STORAGE_GET_F_CREATE 1
#define BPF_RB_NO_WAKEUP 1
#define BPF_RB_FORCE_WAKEUP 2
#define BPF_RB_AVAIL_DATA 0
#define BPF_RB_RING_SIZE 1

/* Asked for by value: the numbers are the UAPI's, their presence is the running kernel's. */
enum bpf_func_id {
	BPF_FUNC_get_current_task_btf = 158, /* 5.11, 3ca1032ab7ab */
	BPF_FUNC_task_pt_regs = 175,	     /* 5.15, dd6e10fbd9fb */
	BPF_FUNC_get_func_ret = 184,	     /* 5.17, f92c1e183604 */
};

/* The same: which there are hangs on the kernel's configuration, and their numbers on that and its version. */
enum cgroup_subsys_id {
	cpuset_cgrp_id,
	cpu_cgrp_id,
	cpuacct_cgrp_id,
	io_cgrp_id,
	memory_cgrp_id,
	devices_cgrp_id,
	freezer_cgrp_id,
	pids_cgrp_id,
};

/* In the object without types nothing of these is read (without_types.h), but for the registers, whose layout is fixed. */
#ifndef WITHOUT_TYPES
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
#endif

#if defined(WITHOUT_TYPES) && defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
struct thread_info {
	__u32 status;
};
#elif defined(WITHOUT_TYPES) && defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
	__u64 sp, pc, pstate, orig_x0;
	__s32 syscallno, unused;
};
struct thread_info {
	unsigned long flags;
};
#elif defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r9, r8, r10;
	unsigned long bx, cx, dx, si, di, bp;
	unsigned long ax, orig_ax;
};
struct thread_info {
	__u32 status;
};
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
	__u64 orig_x0;
	__s32 syscallno;
};
struct thread_info {
	unsigned long flags;
};
#endif

struct qstr {
	__u64 hash_len;
	__u32 len;
	const unsigned char *name;
};
typedef struct {
	__u32 val;
} kuid_t;
typedef struct {
	__u32 val;
} kgid_t;
struct super_block {
	unsigned long s_magic, s_flags;
	struct dentry *s_root;
};
struct timespec64 {
	__s64 tv_sec;
	long tv_nsec;
};
struct inode {
	unsigned short i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
	unsigned int i_flags;
	struct super_block *i_sb;
	unsigned long i_ino;
	void *i_private;
	/* Since 6.11, 3aa63a569c64. */
	__s64 i_mtime_sec, i_ctime_sec;
	__u32 i_mtime_nsec, i_ctime_nsec;
};
/* 6.6 renamed the one (13bc24457850), 6.7 the other (12cd44023651). */
struct inode___renamed {
	struct timespec64 __i_mtime, __i_ctime;
};
struct inode___old {
	struct timespec64 i_mtime, i_ctime;
};
struct super_block___dev {
	__u32 s_dev;
};
struct proc_ns_operations {
	const char *name;
};
struct ns_common {
	const struct proc_ns_operations *ops;
};
struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};
/* Where short names are: until 6.14 (58cf9c383c5c), and since. */
struct dentry___until_6_14 {
	unsigned char d_iname[1];
};
union shortname_store {
	unsigned char string[1];
};
struct dentry___since_6_14 {
	union shortname_store d_shortname;
};
struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
	int mnt_flags;
};
struct mnt_namespace;
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
};
struct nsproxy {
	struct mnt_namespace *mnt_ns;
};
/* The mounts of a file system: a list of these until 6.17, a chain since. */
struct list_head {
	struct list_head *next, *prev;
};
struct mount___listed {
	struct list_head mnt_instance;
};
struct mount___chained {
	struct mount___chained *mnt_next_for_sb;
};
struct super_block___listed {
	struct list_head s_mounts;
};
struct super_block___chained {
	struct mount___chained *s_mounts;
};
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};
struct file {
	unsigned int f_mode;
	struct path f_path;
	struct inode *f_inode;
	void *private_data;
};
struct fdtable {
	unsigned int max_fds;
	struct file **fd;
	unsigned long *open_fds;
};
struct files_struct {
	struct fdtable *fdt;
};
struct fs_struct {
	struct path root, pwd;
};
struct mm_struct {
	unsigned long total_vm;
	unsigned long arg_start, arg_end, env_start, env_end;
	struct file *exe_file;
};
/* Since 6.2, f1a7941243c1. */
struct percpu_counter {
	__s64 count;
};
struct mm_struct___counters {
	struct percpu_counter rss_stat[4];
};
typedef struct {
	__s64 counter;
} atomic64_t;
struct mm_rss_stat {
	atomic64_t count[4];
};
struct mm_struct___old {
	struct mm_rss_stat rss_stat;
};
/* u32[2] before 6.3, u64 since: eight bytes in the same order either way. */
typedef struct {
	__u32 low;
} kernel_cap_t;
struct group_info {
	int ngroups;
	kgid_t gid[1];
};
struct uid_gid_extent {
	__u32 first, lower_first, count;
};
struct uid_gid_map {
	__u32 nr_extents;
	struct uid_gid_extent extent[5];
};
struct user_namespace {
	struct uid_gid_map uid_map, gid_map;
};
struct cred {
	kuid_t euid, fsuid;
	kgid_t egid, fsgid;
	kernel_cap_t cap_inheritable, cap_permitted, cap_effective;
	struct user_namespace *user_ns;
	struct group_info *group_info;
};
/* Since 6.3, f122a08b197d. */
typedef struct {
	__u64 val;
} kernel_cap_t___wide;
struct cred___wide {
	kernel_cap_t___wide cap_inheritable, cap_permitted, cap_effective;
};
struct task_struct;
struct pid_namespace {
	struct task_struct *child_reaper;
};
struct upid {
	int nr;
	struct pid_namespace *ns;
};
struct pid {
	unsigned int level;
	struct upid numbers[1];
};
typedef struct {
	int counter;
} atomic_t;
struct tty_driver {
	int major, minor_start;
};
struct tty_struct {
	struct tty_driver *driver;
	int index;
};
struct rlimit {
	unsigned long rlim_cur;
};
struct signal_struct {
	atomic_t live;
	int nr_threads;
	struct rlimit rlim[16];
	struct list_head thread_head;
	unsigned int is_child_subreaper : 1;
	unsigned int has_child_subreaper : 1;
	struct pid *pids[4]; /* PID, TGID, PGID, SID */
	struct tty_struct *tty;
};
struct sched_entity {
	__u64 sum_exec_runtime;
};
struct kernfs_node {
	__u64 id; /* since 5.5, 67c0496e87d1 */
};
struct cgroup_root {
	unsigned int subsys_mask;
	int hierarchy_id;
};
struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_root *root;
};
struct cgroup_subsys_state {
	struct cgroup *cgroup;
};
struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};
struct task_struct {
	struct thread_info thread_info;
	void *stack;
	struct sched_entity se;
	unsigned long min_flt, maj_flt;
	__u64 self_exec_id;
	unsigned int flags;
	int pid, tgid;
	int exit_code;
	struct list_head children, sibling, thread_node;
	struct task_struct *real_parent, *group_leader;
	struct pid *thread_pid;
	struct mm_struct *mm;
	const struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct signal_struct *signal;
	struct css_set *cgroups;
	kuid_t loginuid;
	__u64 start_boottime;
};
union __sifields {
	struct {
		int _pid;
	} _kill;
#ifdef WITHOUT_TYPES
	void *_pointer; /* for the alignment */
#endif
};
struct kernel_siginfo {
#ifdef WITHOUT_TYPES
	int si_signo, si_errno; /* as include/uapi/asm-generic/siginfo.h has them */
#endif
	int si_code;
	union __sifields _sifields;
};
struct linux_binprm {
	const char *filename;
	const char *fdpath;
};

struct in6_addr {
	__u8 in6_u[16];
};
struct sock_common {
	__be32 skc_daddr, skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
};
struct sock {
	struct sock_common __sk_common;
	__u16 sk_type, sk_protocol;
	__u32 sk_ack_backlog, sk_max_ack_backlog;
	__u8 sk_userlocks : 4;
};
struct sockaddr_un {
	__u16 sun_family;
	char sun_path[108];
};
struct unix_address {
	int len;
	struct sockaddr_un name[1];
};
struct unix_sock {
	struct unix_address *addr;
	struct sock *peer;
};
struct socket {
	struct sock *sk;
};

#ifndef WITHOUT_TYPES
#pragma clang attribute pop
#endif

#define MM_FILEPAGES 0
#define MM_ANONPAGES 1
#define MM_SWAPENTS 2
#define MM_SHMEMPAGES 3
#define RLIMIT_NOFILE 7
#define PF_EXITING 0x4
#ifdef WITHOUT_TYPES
#define PT_REGS_LEN sizeof(struct pt_regs)
#else
#define PT_REGS_LEN 168	   /* struct pt_regs of x86-64 */
#endif
#define THREAD_SIZE 0x4000 /* of x86-64, before 5.15 */
#define PIDTYPE_PGID 2
#define PIDTYPE_SID 3
#define TS_COMPAT 0x0002
#define AT_FDCWD (-100)
#define O_ACCMODE 3
#define O_WRONLY 01
#define O_CREAT 0100
#define O_TRUNC 01000
#define O_PATH 010000000
#define O_TMPFILE_BIT 020000000 /* of O_TMPFILE, what is no other flag */
#define FMODE_CREATED 0x100000 /* since 4.19, 73a09dd94377 */
#define I_CTIME_QUERIED 0x80000000 /* since 6.13, 4e40eff0b573: a flag among the nanoseconds */
#define SB_RDONLY 1
#define MNT_READONLY 0x40
#define S_IMMUTABLE 8
#define CAP_DAC_OVERRIDE 1
#define CAP_FOWNER 3
#define MAY_WRITE 2
#define UID_GID_EXTENTS 5 /* more are kept elsewhere */
#define S_IFMT 00170000
#define S_IFSOCK 0140000
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define MNT_INTERNAL 0x4000
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define SOCK_NONBLOCK 04000    /* as O_NONBLOCK */
#define SOCK_CLOEXEC 02000000  /* as O_CLOEXEC */
#define SOCK_BINDPORT_LOCK 8   /* sk_userlocks: the program chose the port */
#define SOL_SOCKET 1
#define SOL_TCP 6
#define SO_ERROR 4
#define SO_RCVTIMEO_OLD 20
#define SO_SNDTIMEO_OLD 21
#define SO_COOKIE 57
#define SO_RCVTIMEO_NEW 66
#define SO_SNDTIMEO_NEW 67
/* enum of include/net/tcp_states.h; a connected datagram socket is in the first. */
#define TCP_ESTABLISHED 1
#define TCP_FIN_WAIT1 4
#define TCP_FIN_WAIT2 5
#define TCP_CLOSE_WAIT 8
#define TCP_LISTEN 10
#define EBADF 9
#define ENOTSOCK 88
#define AF_UNIX 1
#define AF_INET 2
#define AF_PACKET 17
#define SOCK_TYPE_MASK 0xf
#define SOCK_PACKET 10
#define AF_INET6 10
