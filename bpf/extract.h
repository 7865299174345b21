/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * What is not a plain argument: one function per extractor of the schema's event.rs. The long ones are global functions
 * for the same reason as put_components(). They only run for system calls.
 */
#pragma once

#include "path.h"

/* Layout of a socket tuple: record.rs, SocketTuple. */
struct tuple {
	__u16 family;
	__u8 protocol;
	__u8 type;
	__u16 local_port;
	__u16 remote_port;
	__u8 local[16];
	__u8 remote[16];
};
_Static_assert(sizeof(struct tuple) == TUPLE_LEN, "tuple layout");

/* struct sockaddr_in, sockaddr_in6 and sockaddr_un (include/uapi/linux). */
struct user_sockaddr {
	__u16 family;
	__be16 port;
	__u8 v4[4]; /* sockaddr_in: address; sockaddr_in6: flow label */
	__u8 v6[16];
};

#define SUN_PATH 108

static __always_inline struct scratch *syscall_scratch(void)
{
	__u32 which = SCRATCH_SYSCALL;

	return bpf_map_lookup_elem(&scratches, &which);
}

/* The remote end from a user-space address, and the path of a local socket behind the tuple. */
static __always_inline void put_user_address(struct scratch *s, __u32 index, struct tuple *t, __u64 addr, __u64 addrlen)
{
	struct user_sockaddr ua = {};
	__u64 off, path;

	if (bpf_probe_read_user(&ua.family, sizeof(ua.family), (void *)addr))
		return count_miss(MISS_USER_MEMORY);
	if (!t->family)
		t->family = ua.family;
	if (ua.family == AF_INET && !t->remote_port) {
		bpf_probe_read_user(&ua, 8, (void *)addr);
		t->remote_port = __builtin_bswap16(ua.port);
		__builtin_memcpy(t->remote, ua.v4, 4);
	} else if (ua.family == AF_INET6 && !t->remote_port) {
		bpf_probe_read_user(&ua, sizeof(ua), (void *)addr);
		t->remote_port = __builtin_bswap16(ua.port);
		__builtin_memcpy(t->remote, ua.v6, 16);
	}
	if (!room(s, &off))
		return;
	__builtin_memcpy(data(s) + off, t, sizeof(*t));
	advance(s, index, sizeof(*t), false);
	if (ua.family != AF_UNIX || addrlen <= 2)
		return;
	path = addrlen - 2;
	if (path > SUN_PATH)
		path = SUN_PATH;
	barrier_var(path);
	path &= 127;
	if (!room(s, &off))
		return;
	if (bpf_probe_read_user(data(s) + off, path, (void *)addr + 2) == 0)
		advance(s, index, path, false);
}

__noinline int extract__sock_tuple(__u32 index)
{
	struct scratch *s = syscall_scratch();
	struct tuple t = {};
	struct file *file;

	if (!s)
		return 0;
	file = file_of((__s32)s->args[0]);
	if (file && (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) == S_IFSOCK) {
		struct socket *sock = BPF_CORE_READ(file, private_data);
		struct sock *sk = BPF_CORE_READ(sock, sk);

		t.family = BPF_CORE_READ(sk, __sk_common.skc_family);
		t.type = BPF_CORE_READ(sk, sk_type);
		t.protocol = BPF_CORE_READ(sk, sk_protocol);
		if (t.family == AF_INET || t.family == AF_INET6) {
			t.local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
			t.remote_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
		}
		if (t.family == AF_INET) {
			BPF_CORE_READ_INTO((__be32 *)t.local, sk, __sk_common.skc_rcv_saddr);
			BPF_CORE_READ_INTO((__be32 *)t.remote, sk, __sk_common.skc_daddr);
		} else if (t.family == AF_INET6) {
			BPF_CORE_READ_INTO((struct in6_addr *)t.local, sk, __sk_common.skc_v6_rcv_saddr);
			BPF_CORE_READ_INTO((struct in6_addr *)t.remote, sk, __sk_common.skc_v6_daddr);
		}
	}
	put_user_address(s, index, &t, s->args[1], s->args[2]);
	return 0;
}

__noinline int extract__sock_addr(__u32 index)
{
	struct scratch *s = syscall_scratch();
	struct tuple t = {};

	if (!s)
		return 0;
	put_user_address(s, index, &t, s->args[1], s->args[2]);
	return 0;
}

static __noinline int extract__opened(struct scratch *s, __u32 index, bool want_dev)
{
	struct file *file = s->ret >= 0 ? file_of((__s32)s->ret) : NULL;
	struct inode *inode;

	if (!file)
		return 0;
	inode = BPF_CORE_READ(file, f_inode);
	if (want_dev) {
		struct super_block___dev *sb = (void *)BPF_CORE_READ(inode, i_sb);

		put_u64(s, index, BPF_CORE_READ(sb, s_dev));
	} else {
		put_u64(s, index, BPF_CORE_READ(inode, i_ino));
	}
	return 0;
}

/* The strings an argv array points to. */
__noinline int extract__argv(__u32 index, __u64 argv)
{
	struct scratch *s = syscall_scratch();
	__u32 width;

	if (!s)
		return 0;
	width = s->compat ? 4 : 8;
	for (int i = 0; i < ARGV_STRINGS; i++) {
		__u64 pointer = 0;
		__u64 off;
		long len;

		if (bpf_probe_read_user(&pointer, width, (void *)(argv + i * width))) {
			count_miss(MISS_USER_MEMORY);
			return 0;
		}
		if (!pointer)
			return 0;
		if (!room(s, &off))
			break;
		len = read_user_str(data(s) + off, ARGV_STRING_MAX, (void *)pointer);
		if (len <= 0) {
			count_miss(MISS_USER_MEMORY);
			return 0;
		}
		advance(s, index, len & (2 * ARGV_STRING_MAX - 1), len == ARGV_STRING_MAX);
	}
	advance(s, index, 0, true);
	return 0;
}
