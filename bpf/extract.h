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
	__u32 inode;
	__u8 state; /* SOCKET_* */
	__u8 unused[3];
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

/*
 * The kernel's addresses of a local socket and its peer. An accepted one has the name of the one that listens, and its
 * peer mostly none; one that listens says so.
 */
static __always_inline void read_unix_socket(struct tuple *t, struct sock *sk)
{
	struct unix_sock *own = (void *)sk, *peer;
	bool named;

	*(__u64 *)t->local = (__u64)sk;
	/* The protocol may be a module, and its types unknown. */
	if (!bpf_core_type_exists(struct unix_sock))
		return;
	peer = (void *)BPF_CORE_READ(own, peer);
	*(__u64 *)t->remote = (__u64)peer;
	named = BPF_CORE_READ(own, addr);
	if (BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_LISTEN ||
	    (t->type != SOCK_DGRAM && named && peer && !BPF_CORE_READ(peer, addr)))
		t->state |= SOCKET_ACCEPTED;
}

/* Both ends from the kernel's socket; what of the socket is not known stays 0. */
static __always_inline void read_socket(struct tuple *t, struct file *file, struct inode *inode)
{
	struct socket *sock = OBJECT_AT(socket, LOAD(file, private_data));
	struct sock *sk = LOAD(sock, sk);
	__u32 connected = 1 << TCP_ESTABLISHED | 1 << TCP_FIN_WAIT1 | 1 << TCP_FIN_WAIT2 | 1 << TCP_CLOSE_WAIT;

	t->family = LOAD(sk, __sk_common.skc_family);
	t->type = LOAD(sk, sk_type);
	t->protocol = LOAD(sk, sk_protocol);
	t->inode = LOAD(inode, i_ino);
	if (connected >> (LOAD(sk, __sk_common.skc_state) & 31) & 1)
		t->state |= SOCKET_CONNECTED;
	/* Its address is put down, and must be a number. */
	if (t->family == AF_UNIX)
		return read_unix_socket(t, BPF_CORE_READ(sock, sk));
	/* listen() sets it, and an accepted socket is a copy of the one that listens; nothing else does. */
	if (t->type == SOCK_STREAM && LOAD(sk, sk_max_ack_backlog))
		t->state |= SOCKET_ACCEPTED;
	if (t->type == SOCK_DGRAM && BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks) & SOCK_BINDPORT_LOCK)
		t->state |= SOCKET_BOUND;
	if (t->family == AF_INET || t->family == AF_INET6) {
		t->local_port = LOAD(sk, __sk_common.skc_num);
		t->remote_port = __builtin_bswap16(LOAD(sk, __sk_common.skc_dport));
	}
	if (t->family == AF_INET) {
		*(__be32 *)t->local = LOAD(sk, __sk_common.skc_rcv_saddr);
		*(__be32 *)t->remote = LOAD(sk, __sk_common.skc_daddr);
	} else if (t->family == AF_INET6) {
		BPF_CORE_READ_INTO((struct in6_addr *)t->local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO((struct in6_addr *)t->remote, sk, __sk_common.skc_v6_daddr);
	}
}

static __always_inline bool same_address(const __u8 *a, const __u8 *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return x[0] == y[0] && x[1] == y[1];
}

/* Part of an address in the caller's memory, or in the copy of it that the kernel has made. */
static __always_inline long read_part(void *to, __u32 size, __u64 from, bool of_kernel)
{
	return of_kernel ? bpf_probe_read_kernel(to, size, (void *)from) : bpf_probe_read_user(to, size, (void *)from);
}

#define V4_LEN 8 /* what is read of an address of IPv4 */

/*
 * The remote end from an address, of which V4_LEN bytes were read. `wins`: it is where the data goes, whatever the socket is
 * connected to.
 */
static __always_inline void read_address(struct tuple *t, struct user_sockaddr *ua, __u64 addr, bool of_kernel, bool wins)
{
	__u8 remote[16] __attribute__((aligned(8))) = {};
	__u16 port;

	if (!t->family)
		t->family = ua->family;
	if (ua->family == AF_INET) {
		__builtin_memcpy(remote, ua->v4, 4);
	} else if (ua->family == AF_INET6) {
		read_part(ua, sizeof(*ua), addr, of_kernel);
		__builtin_memcpy(remote, ua->v6, 16);
	} else {
		return;
	}
	port = __builtin_bswap16(ua->port);
	if (t->remote_port && !wins)
		return;
	/* A socket of IPv6 may be handed an IPv4 address: mapped, as the kernel does. */
	if (t->family == AF_INET6 && ua->family == AF_INET) {
		__builtin_memset(remote, 0, 16);
		remote[10] = remote[11] = 0xff;
		__builtin_memcpy(remote + 12, ua->v4, 4);
	}
	if (port != t->remote_port || !same_address(remote, t->remote))
		t->state &= ~SOCKET_CONNECTED;
	t->remote_port = port;
	__builtin_memcpy(t->remote, remote, 16);
}

/*
 * The path of a local socket behind the tuple: what the caller named, else its peer's, else its own. What comes in is
 * known by the way it comes: its own, else the sender's.
 */
static __always_inline void put_unix_path(struct scratch *s, __u32 index, struct file *file, __u64 addr, __u64 addrlen,
					  bool of_kernel, bool incoming)
{
	struct unix_address *name = NULL;
	__u64 off, path;
	long error;

	/* The protocol may be a module, and its types unknown. */
	if (file && (incoming || !addr) && bpf_core_type_exists(struct unix_sock)) {
		struct socket *sock = BPF_CORE_READ(file, private_data);
		struct unix_sock *sk = (void *)BPF_CORE_READ(sock, sk);
		struct unix_sock *peer = (void *)BPF_CORE_READ(sk, peer);

		if (peer && !incoming)
			name = BPF_CORE_READ(peer, addr);
		if (!name)
			name = BPF_CORE_READ(sk, addr);
		if (!name && peer && !addr)
			name = BPF_CORE_READ(peer, addr);
	}
	if (name)
		path = (__u32)BPF_CORE_READ(name, len);
	else if (addr)
		path = addrlen;
	else
		return;
	if (path <= 2)
		return;
	path -= 2;
	if (path > SUN_PATH)
		path = SUN_PATH;
	barrier_var(path);
	path &= 127;
	if (!room(s, &off))
		return;
	if (name)
		error = bpf_probe_read_kernel(data(s) + off, path,
					      (void *)name + bpf_core_field_offset(struct unix_address, name) + 2);
	else
		error = read_part(data(s) + off, path, addr + 2, of_kernel);
	if (!error)
		advance(s, index, path, false);
}

/* What the address of a call is to its socket: where to connect to, where to send to, where something came from. */
#define ADDRESS_CONNECTS 0
#define ADDRESS_SENDS 1
#define ADDRESS_RECEIVED 2
#define ADDRESS_OF_KERNEL 4 /* beside one of them: the address is the kernel's copy */

/*
 * Both ends of the socket behind descriptor `fd`, or nothing when it is no socket and there is no address. A TCP
 * connection keeps its peer whatever address it is given; a datagram goes there, or came from there.
 */
__noinline int extract__sock_tuple(__u32 index, __s32 fd, __u64 addr, __u64 addrlen, __u32 use)
{
	struct scratch *s = syscall_scratch();
	struct tuple *t;
	struct user_sockaddr ua __attribute__((aligned(8))) = {};
	bool of_kernel = use & ADDRESS_OF_KERNEL;
	struct file *file;
	__u64 off;

	if (!s || !room(s, &off))
		return 0;
	/*
	 * Put together where it goes: the verifier does not keep in mind what is there. Of one on the stack it would follow every
	 * combination of what is known and what is not.
	 */
	t = (void *)(data(s) + off);
	clear_words((__u8 *)t, sizeof(*t));
	use &= ~ADDRESS_OF_KERNEL;
	file = file_for(s, fd);
	if (file) {
		struct file *object = OBJECT_AT(file, file);
		struct inode *inode = LOAD(object, f_inode);

		if ((LOAD(inode, i_mode) & S_IFMT) == S_IFSOCK)
			read_socket(t, object, inode);
		else
			file = NULL;
	}
	/* Nothing came from a socket without a name; what is in the caller's memory is rubbish then. */
	if (use == ADDRESS_RECEIVED && addrlen < sizeof(ua.family))
		addr = 0;
	/* Where a connection has led says the socket, whatever address it was given. */
	if (t->remote_port && (use == ADDRESS_CONNECTS || t->type == SOCK_STREAM))
		addr = 0;
	if (addr) {
		/* The address of a local socket may be shorter and end with its page. */
		if (read_part(&ua, V4_LEN, addr, of_kernel) &&
		    read_part(&ua.family, sizeof(ua.family), addr, of_kernel)) {
			count_miss(MISS_USER_MEMORY);
			addr = 0;
		} else {
			read_address(t, &ua, addr, of_kernel, use != ADDRESS_CONNECTS && t->type != SOCK_STREAM);
		}
	}
#ifdef WITHOUT_TYPES
	/* Only the result says whether there was a socket. */
	if (fd >= 0 && s->ret != -EBADF && s->ret != -ENOTSOCK)
		t->type = SOCK_UNTOLD;
#endif
	if (!t->family)
		return 0;
	advance(s, index, sizeof(*t), false);
	if (t->family == AF_UNIX)
		put_unix_path(s, index, file, addr, addrlen, of_kernel, use == ADDRESS_RECEIVED);
	return 0;
}

/* An address by itself, as connect() takes it. */
static __always_inline void extract__sock_addr(__u32 index, __u64 addr, __u64 addrlen)
{
	extract__sock_tuple(index, -1, addr, addrlen, ADDRESS_CONNECTS);
}

/* As extract__sock_tuple(), of what was received from an address whose length the kernel left at `lenp`. */
static __always_inline void extract__received_tuple(struct scratch *s, __u32 index, __u64 addr, __u64 lenp)
{
	__u32 len = 0;

	if (s->ret < 0 || !addr || bpf_probe_read_user(&len, sizeof(len), (void *)lenp))
		addr = 0;
	extract__sock_tuple(index, (__s32)s->args[0], addr, len, ADDRESS_RECEIVED);
}

/* The members of a struct msghdr that matter. */
struct message {
	__u64 name, namelen, iov, iovlen, control, controllen;
};

static __always_inline bool read_message(struct scratch *s, struct message *m, __u64 at)
{
	long error;

	if (s->compat) {
		__u32 words[6] = {};

		error = bpf_probe_read_user(words, sizeof(words), (void *)at);
		m->name = words[0];
		m->namelen = words[1];
		m->iov = words[2];
		m->iovlen = words[3];
		m->control = words[4];
		m->controllen = words[5];
	} else {
		__u64 words[6] = {};

		error = bpf_probe_read_user(words, sizeof(words), (void *)at);
		m->name = words[0];
		m->namelen = (__u32)words[1]; /* an int, and padding */
		m->iov = words[2];
		m->iovlen = words[3];
		m->control = words[4];
		m->controllen = words[5];
	}
	if (error)
		count_miss(MISS_USER_MEMORY);
	return !error;
}

/* One of a call's vectors, into the scratch. A function of its own: what is done in a loop is looked through once then. */
__noinline int iovec__read(__u64 iov, __u32 i)
{
	struct scratch *s = syscall_scratch();

	if (!s)
		return 0;
	if (s->compat) {
		__u32 words[2] = {};

		if (bpf_probe_read_user(words, sizeof(words), (void *)(iov + i * sizeof(words))))
			return 0;
		s->base = words[0];
		s->length = words[1];
	} else {
		__u64 words[2] = {};

		if (bpf_probe_read_user(words, sizeof(words), (void *)(iov + i * sizeof(words))))
			return 0;
		s->base = words[0];
		s->length = words[1];
	}
	return 1;
}

__noinline int extract__msg_tuple(__u32 index, __u32 use)
{
	struct scratch *s = syscall_scratch();
	struct message m = {};

	if (!s)
		return 0;
	/* The names in a message are only written by a call that receives one. */
	if (!read_message(s, &m, s->args[1]) || (use == ADDRESS_RECEIVED && s->ret < 0))
		m.name = m.namelen = 0;
	extract__sock_tuple(index, (__s32)s->args[0], m.name, m.namelen, use);
	return 0;
}

/* The control data that came with a message. */
__noinline int extract__msg_control(__u32 index)
{
	struct scratch *s = syscall_scratch();
	struct message m = {};

	if (s && s->ret > 0 && read_message(s, &m, s->args[1]) && m.control)
		put_user_bytes(s, index, m.control, m.control + m.controllen);
	return 0;
}

/* How many bytes of data a record carries at most. */
static __always_inline __u32 snaplen(void)
{
	return config.snaplen <= MAX_SNAPLEN ? config.snaplen : MAX_SNAPLEN;
}

/* The first bytes of data, at most so many; how many. */
__noinline int extract__data(__u32 index, __u64 from, __u64 len)
{
	struct scratch *s = syscall_scratch();
	bool cut = len > snaplen();
	__u64 off;

	if (cut)
		len = snaplen();
	if (!s || !len || !room(s, &off))
		return 0;
	barrier_var(len);
	len &= MAX_SNAPLEN;
	if (bpf_probe_read_user(data(s) + off, len, (void *)from)) {
		count_miss(MISS_USER_MEMORY);
		return 0;
	}
	advance(s, index, len, cut);
	return len;
}

/* Where the vectors of a call are that takes them in a message, or as arguments. */
static __always_inline bool read_vectors(struct scratch *s, struct message *m, bool in_message)
{
	if (in_message)
		return read_message(s, m, s->args[1]);
	m->iov = s->args[1];
	m->iovlen = s->args[2];
	return true;
}

/* The first bytes of the vectors of a call: of what it moved, or of what one that failed meant to. */
__noinline int extract__vector_data(__u32 index, __u32 in_message)
{
	struct scratch *s = syscall_scratch();
	struct message m = {};
	__u64 left = snaplen(), meant = 0, before;
	bool cut;

	if (!s || !read_vectors(s, &m, in_message))
		return 0;
	before = s->off;
	if (s->ret > 0 && s->ret < left)
		left = s->ret;
	for (__u32 i = 0; i < DATA_IOVECS; i++) {
		__u64 len;
		int put;

		if (i >= m.iovlen || !iovec__read(m.iov, i))
			break;
		len = s->length;
		meant += len;
		if (len > left)
			len = left;
		put = extract__data(index, s->base, len);
		if (len && put <= 0)
			break;
		left -= put;
	}
	/* Told afterwards: a flag that the loop carries would multiply the paths the verifier follows. */
	if (s->ret > 0)
		cut = s->ret > snaplen() || left;
	else
		cut = meant > snaplen() || m.iovlen > DATA_IOVECS;
	if (s->off > before && cut)
		advance(s, index, 0, true);
	return 0;
}

/* How many bytes the vectors of a call hold. */
__noinline int extract__vector_size(__u32 index, __u32 in_message)
{
	struct scratch *s = syscall_scratch();
	struct message m = {};
	__u64 size = 0;

	if (!s || !read_vectors(s, &m, in_message))
		return 0;
	for (__u32 i = 0; i < SIZE_IOVECS; i++) {
		if (i >= m.iovlen || !iovec__read(m.iov, i))
			break;
		size += s->length;
	}
	put_u64(s, index, size);
	return 0;
}

#define I386_SENDFILE 187 /* takes an offset of 32 bits; sendfile64 does not */

static __always_inline void extract__sendfile_offset(struct scratch *s, __u32 index, __u64 at)
{
	__u64 offset = 0;

	if (at && bpf_probe_read_user(&offset, s->compat && s->number == I386_SENDFILE ? 4 : 8, (void *)at))
		count_miss(MISS_USER_MEMORY);
	put_u64(s, index, offset);
}

/* The queue of the socket that listens. */
static __always_inline void extract__queue(struct scratch *s, __u32 index, __u8 op)
{
	struct file *file = s->ret >= 0 ? file_for(s, (__s32)s->args[0]) : NULL;
	struct socket *sock = BPF_CORE_READ(file, private_data);
	struct sock *sk = BPF_CORE_READ(sock, sk);
	__u64 length = BPF_CORE_READ(sk, sk_ack_backlog), max = BPF_CORE_READ(sk, sk_max_ack_backlog);

	if (op == OP_QUEUE_PERCENT)
		length = max ? length * 100 / max : 0;
	put_u64(s, index, op == OP_QUEUE_MAX ? max : length);
}

/* One of the two descriptors that a call made and wrote to `at`, -1 when it made none. */
static __always_inline __s32 pair_fd(struct scratch *s, __u64 at, __u32 which)
{
	__s32 fd = -1;

	if (s->ret >= 0 && bpf_probe_read_user(&fd, sizeof(fd), (void *)at + (which & 1) * sizeof(fd)))
		count_miss(MISS_USER_MEMORY);
	return fd;
}

/* The kernel's address of the first one's socket, or of its peer. */
static __noinline int extract__pair_socket(struct scratch *s, __u32 index, bool of_peer)
{
	struct file *file = s->ret >= 0 ? file_of(pair_fd(s, s->args[3], 0)) : NULL;
	struct socket *sock = BPF_CORE_READ(file, private_data);
	struct unix_sock *sk = (void *)BPF_CORE_READ(sock, sk);

	if (!of_peer)
		put_u64(s, index, (__u64)sk);
	else if (bpf_core_type_exists(struct unix_sock))
		put_u64(s, index, (__u64)BPF_CORE_READ(sk, peer));
	return 0;
}

/* Options of SOL_SOCKET that are a number of 32 bits: all but SO_LINGER, SO_PEERCRED, SO_ATTACH_FILTER, SO_PEERNAME. */
#define NUMBER_OPTIONS (((1ULL << 50) - 2) & ~(1ULL << 13 | 1ULL << 17 | 1ULL << 26 | 1ULL << 28))

/*
 * The value of a socket option, a byte that says of which type it is before it (record.rs, DYN_*). One that is got has
 * its length where the last argument points to, one that is set in that argument.
 */
__noinline int extract__sockopt(__u32 index, __u32 is_set)
{
	struct scratch *s = syscall_scratch();
	__u64 off, at, value = 0;
	__u32 option, len = 0;
	__s32 number = 0;
	__u8 kind = DYN_NUMBER;
	long error = 0;

	if (!s || !room(s, &off))
		return 0;
	at = s->args[3];
	option = s->args[2];
	if ((__u32)s->args[1] != SOL_SOCKET)
		option = 0;
	if (option == SO_ERROR) {
		kind = DYN_ERRNO;
		error = bpf_probe_read_user(&number, sizeof(number), (void *)at);
		value = -(__s64)number;
	} else if (option == SO_COOKIE) {
		error = bpf_probe_read_user(&value, sizeof(value), (void *)at);
	} else if (option == SO_RCVTIMEO_OLD || option == SO_SNDTIMEO_OLD || option == SO_RCVTIMEO_NEW ||
		   option == SO_SNDTIMEO_NEW) {
		__s64 time[2] = {};

		if (s->compat && option < SO_RCVTIMEO_NEW) {
			__s32 old[2] = {};

			error = bpf_probe_read_user(old, sizeof(old), (void *)at);
			time[0] = old[0];
			time[1] = old[1];
		} else {
			error = bpf_probe_read_user(time, sizeof(time), (void *)at);
		}
		value = time[0] * 1000000000LL + time[1] * 1000;
	} else if (option < 64 && NUMBER_OPTIONS >> option & 1) {
		error = bpf_probe_read_user(&number, sizeof(number), (void *)at);
		value = (__u32)number;
	} else {
		kind = DYN_BYTES;
		if (is_set)
			len = s->args[4];
		else
			error = bpf_probe_read_user(&len, sizeof(len), (void *)s->args[4]);
	}
	if (error) {
		count_miss(MISS_USER_MEMORY);
		return 0;
	}
	data(s)[off] = kind;
	advance(s, index, 1, false);
	if (kind == DYN_BYTES)
		put_user_bytes(s, index, at, at + len);
	else
		put_u64(s, index, value);
	return 0;
}

static __always_inline void extract__sockopt_len(struct scratch *s, __u32 index)
{
	__u32 len = 0;

	bpf_probe_read_user(&len, sizeof(len), (void *)s->args[4]);
	put_u64(s, index, len);
}

/* Layout of what a descriptor refers to: record.rs, Object. */
struct object {
	__u16 mode, flags;
	__u32 dev;
	__u64 inode;
	__u32 magic, unused;
};
_Static_assert(sizeof(struct object) == OBJECT_LEN, "object layout");

static __always_inline bool is_internal(struct file *file)
{
	struct file *object = OBJECT_AT(file, file);
	struct vfsmount *mnt = LOAD(object, f_path.mnt);

	return LOAD(mnt, mnt_flags) & MNT_INTERNAL;
}

/* The device a file is on. */
static __always_inline __u32 device_of(struct inode *inode)
{
	struct super_block___dev *sb = (void *)BPF_CORE_READ(inode, i_sb);
	__u32 dev = BPF_CORE_READ(sb, s_dev);

	return device_number(dev >> 20, dev & 0xfffff);
}

/* True for an inode of an overlay whose file is in the upper layer. */
static __always_inline bool is_upper(struct inode *inode)
{
	/* struct ovl_inode: the inode, then __upperdentry. overlayfs may be a module, so its type may be unknown. */
	struct dentry *upper = NULL;

	bpf_probe_read_kernel(&upper, sizeof(upper), (void *)inode + bpf_core_type_size(struct inode));
	return upper;
}

/* The kind of a namespace behind a file of nsfs: net, pid, … */
static __always_inline const char *namespace_name(struct inode *inode)
{
	struct ns_common *ns = BPF_CORE_READ(inode, i_private);

	return BPF_CORE_READ(ns, ops, name);
}

/* A function of its own, so that what it reads does not lie on the stack below those that extract__object() calls. */
static __noinline int read_object(struct object *o, struct file *file)
{
	struct file *object = OBJECT_AT(file, file);
	struct inode *inode = LOAD(object, f_inode);
	struct super_block *sb = LOAD(inode, i_sb);
	struct vfsmount *mnt = LOAD(object, f_path.mnt);
	struct super_block___dev *numbered = (void *)sb;
	__u32 dev = LOAD(numbered, s_dev);

	o->mode = LOAD(inode, i_mode);
	o->inode = LOAD(inode, i_ino);
	o->dev = device_number(dev >> 20, dev & 0xfffff);
	o->magic = LOAD(sb, s_magic);
	if (LOAD(mnt, mnt_flags) & MNT_INTERNAL)
		o->flags = OBJECT_INTERNAL;
	else if (o->magic == OVERLAYFS_SUPER_MAGIC)
		o->flags = is_upper(inode) ? OBJECT_UPPER : OBJECT_LOWER;
	return 0;
}

/* What descriptor `fd` of the current task refers to: nothing when it is not open. */
__noinline int extract__object(__u32 index, __s32 fd)
{
	struct scratch *s = syscall_scratch();
	struct file *file = s ? file_for(s, fd) : NULL;
	struct object o = {};
	__u64 off;

	if (!s || !file)
		return 0;
	read_object(&o, file);
	if (!room(s, &off))
		return 0;
	copy_words(data(s) + off, &o, sizeof(o));
	advance(s, index, sizeof(o), false);
	if ((o.mode & S_IFMT) == S_IFSOCK)
		extract__sock_tuple(index, fd, 0, 0, 0);
	else if (o.magic == NSFS_MAGIC)
		put_kernel_str(s, index, namespace_name(BPF_CORE_READ(file, f_inode)), NAME_MAX_LEN);
	else if (o.flags & OBJECT_INTERNAL)
		put_kernel_str(s, index, BPF_CORE_READ(file, f_path.dentry, d_name.name), NAME_MAX_LEN);
	else
		put_file_path(SCRATCH_SYSCALL, index, file);
	return 0;
}

static __noinline int extract__opened(struct scratch *s, __u32 index, bool want_dev)
{
	struct file *file = s->ret >= 0 ? file_of((__s32)s->ret) : NULL;
	struct inode *inode;

	if (!file)
		return 0;
	inode = BPF_CORE_READ(file, f_inode);
	put_u64(s, index, want_dev ? device_of(inode) : BPF_CORE_READ(inode, i_ino));
	return 0;
}

/* Functions of their own, so that their variables do not lie on the stack below every other extractor. */

/* A pipe's inode number; 0 when none was made. */
static __noinline int put_pipe_ino(struct scratch *s, __u32 index, __s32 fd)
{
	struct file *file = fd >= 0 ? file_of(fd) : NULL;

	put_u64(s, index, BPF_CORE_READ(file, f_inode, i_ino));
	return 0;
}

/* The layer of an overlay that a file is in. */
static __noinline int put_layer(struct scratch *s, __u32 index, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	__u64 layer = 0;

	if (BPF_CORE_READ(inode, i_sb, s_magic) == OVERLAYFS_SUPER_MAGIC)
		layer = is_upper(inode) ? 1 : 2;
	put_u64(s, index, layer);
	return 0;
}

/* A set of signals in user memory; none without one. */
static __noinline int put_sigset(struct scratch *s, __u32 index, __u64 at)
{
	__u64 set = 0;

	if (at && bpf_probe_read_user(&set, sizeof(set), (void *)at))
		count_miss(MISS_USER_MEMORY);
	else
		put_u64(s, index, set);
	return 0;
}

/* The first i386 call with times of 64 bits: those before it have a struct timespec of two longs. */
#define I386_CLOCK_GETTIME64 403

static __noinline int put_time(struct scratch *s, __u32 index, __u64 at)
{
	__s64 time[2] = { 0, -1 };

	if (at && s->compat && s->number < I386_CLOCK_GETTIME64) {
		__s32 words[2] = {};

		if (bpf_probe_read_user(words, sizeof(words), (void *)at))
			goto missed;
		time[0] = words[0];
		time[1] = words[1];
	} else if (at && bpf_probe_read_user(time, sizeof(time), (void *)at)) {
		goto missed;
	}
	put_u64(s, index, time[0] * 1000000000LL + time[1]);
	return 0;
missed:
	count_miss(MISS_USER_MEMORY);
	return 0;
}

struct pollfd {
	__s32 fd;
	__u16 events, revents;
};

/* Where the objects of a poll are counted: what is in memory does not multiply the states of the verifier. */
#define POLLED_ARG 7
#define POLL_NOTHING (-1) /* happened there, or is to be said beside what poll__entry() put down */
#define POLL_END (-2)

/*
 * One descriptor of a poll, when something happened on it: puts what poll() was told and said of it, or room for the
 * length of its object. The parts of the loop are functions side by side: the verifier looks at each once and not once
 * per turn, and nothing lies on the stack below extract__object().
 */
__noinline int poll__entry(__u32 index, __u32 objects, __u32 i)
{
	struct scratch *s = syscall_scratch();
	struct pollfd entry = {};
	__u64 off;

	if (!s || i >= (__u32)s->args[1])
		return POLL_END;
	if (bpf_probe_read_user(&entry, sizeof(entry), (void *)s->args[0] + i * sizeof(entry))) {
		count_miss(MISS_USER_MEMORY);
		return POLL_END;
	}
	if (!entry.revents || entry.fd < 0)
		return POLL_NOTHING;
	if (!room(s, &off))
		return POLL_END;
	if (objects) {
		if (++s->args[POLLED_ARG] > POLL_OBJECTS) {
			advance(s, index, 0, true);
			return POLL_END;
		}
		*(__u32 *)(data(s) + off) = 0;
		advance(s, index, sizeof(__u32), false);
	} else {
		__builtin_memcpy(data(s) + off, &entry, sizeof(entry));
		advance(s, index, sizeof(entry), false);
		return POLL_NOTHING;
	}
	return entry.fd;
}

/* The length of the object that begins at `start`. */
__noinline int poll__length(__u64 start)
{
	struct scratch *s = syscall_scratch();
	__u64 at = start - sizeof(__u32);

	if (!s)
		return 0;
	barrier_var(at);
	*(__u32 *)(data(s) + (at & DATA_MASK)) = s->off - start;
	return 0;
}

/*
 * The descriptors of a poll on which something happened. `objects`: what they refer to instead, each with its length
 * before it.
 */
__noinline int extract__poll(__u32 index, __u32 objects)
{
	struct scratch *s = syscall_scratch();

	if (!s)
		return 0;
	s->args[POLLED_ARG] = 0;
	for (__u32 i = 0; i < POLL_FDS; i++) {
		int fd = poll__entry(index, objects, i);
		__u64 start = s->off;

		if (fd == POLL_END)
			return 0;
		if (fd == POLL_NOTHING)
			continue;
		extract__object(index, fd);
		poll__length(start);
	}
	if ((__u32)s->args[1] > POLL_FDS)
		advance(s, index, 0, true);
	return 0;
}

/* One of the strings an argv array points to; `at` is its pointer's address. True when there may be more. */
__noinline int argv__string(__u32 index, __u64 at)
{
	struct scratch *s = syscall_scratch();
	__u64 pointer = 0, off;
	long len;

	if (!s)
		return 0;
	if (bpf_probe_read_user(&pointer, s->compat ? 4 : 8, (void *)at)) {
		count_miss(MISS_USER_MEMORY);
		return 0;
	}
	if (!pointer)
		return 0;
	if (!room(s, &off)) {
		advance(s, index, 0, true);
		return 0;
	}
	len = read_user_str(data(s) + off, ARGV_STRING_MAX, (void *)pointer);
	if (len <= 0) {
		count_miss(MISS_USER_MEMORY);
		return 0;
	}
	advance(s, index, len & (2 * ARGV_STRING_MAX - 1), len == ARGV_STRING_MAX);
	return 1;
}

/* The strings an argv array points to. */
__noinline int extract__argv(__u32 index, __u64 argv)
{
	struct scratch *s = syscall_scratch();

	if (!s)
		return 0;
	for (int i = 0; i < ARGV_STRINGS; i++) {
		if (!argv__string(index, argv))
			return 0;
		argv += s->compat ? 4 : 8;
	}
	advance(s, index, 0, true);
	return 0;
}
