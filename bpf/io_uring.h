/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * The operations of io_uring that do what a system call does. Two records of that call's row tell of one: what it was
 * asked to do when it is submitted, how it ended and what the kernel's objects are then when it completes. The consumer
 * puts them together. Loaded and attached only while a rule asks for one of these events.
 */
#pragma once

#include "syscall.h"

#define IORING_OPS 64 /* bits of config.requests */
/* include/uapi/linux/io_uring.h */
#define IORING_FILE_INDEX_ALLOC 0xffffffff /* the kernel chooses the slot, and the result is its number */
#define IORING_ACCEPT_MULTISHOT 1
#define IORING_RECV_MULTISHOT 2
#define IORING_CQE_F_MORE 2
/* include/linux/io_uring_types.h: as the flags of a submission */
#define REQ_F_FIXED_FILE 1
#define REQ_F_BUFFER_SELECT 0x20
#define REQ_F_CQE_SKIP 0x40
#define REQ_F_APOLL_MULTISHOT_OLD 0x8000000 /* where an accept has no flags of its own */
/* io_uring/filetable.h: the low bits of a slot are no part of the address */
#define FFS_MASK (~7UL)
#define O_LARGEFILE 0100000 /* io_uring adds it */
#define EINPROGRESS 115

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct io_rsrc_node {
	unsigned long file_ptr;
};
struct io_rsrc_data {
	unsigned int nr;
	struct io_rsrc_node **nodes;
};
struct io_file_table {
	struct io_rsrc_data data; /* since 6.13, 7029acd8a950 */
};
struct io_fixed_file {
	unsigned long file_ptr;
};
struct io_file_table___old {
	struct io_fixed_file *files;
};
struct io_ring_ctx {
	unsigned int compat : 1; /* until 7.1 */
	struct io_file_table file_table;
};
struct io_ring_ctx___flags {
	unsigned int int_flags;
};
struct io_ring_ctx___files {
	unsigned int nr_user_files;
};
struct io_cqe {
	__u64 user_data;
	int fd; /* until the operation begins */
};
struct io_kiocb {
	struct file *file; /* the command begins with it, too */
	__u8 opcode;
	unsigned int flags; /* the low half, where it is wider */
	struct io_cqe cqe;
	struct io_ring_ctx *ctx;
	void *async_data;
	const struct cred *creds;
};
struct filename {
	const char *name;
};
struct delayed_filename {
	struct filename *__incomplete_filename;
};
struct open_how {
	__u64 flags, mode, resolve;
};
struct io_open {
	int dfd;
	__u32 file_slot;
	struct filename *filename;
	struct open_how how;
};
struct io_open___delayed {
	struct delayed_filename filename;
};
struct io_unlink {
	int dfd, flags;
	struct filename *filename;
};
struct io_unlink___delayed {
	struct delayed_filename filename;
};
struct io_mkdir {
	int dfd;
	unsigned short mode;
	struct filename *filename;
};
struct io_mkdir___delayed {
	struct delayed_filename filename;
};
struct io_rename {
	int old_dfd, new_dfd, flags;
	struct filename *oldpath, *newpath;
};
struct io_rename___delayed {
	struct delayed_filename oldpath, newpath;
};
struct io_link {
	int old_dfd, new_dfd, flags;
	struct filename *oldpath, *newpath;
};
struct io_link___delayed {
	struct delayed_filename oldpath, newpath;
};
struct xattr_name {
	char name[1];
};
struct xattr_ctx {
	const void *cvalue;
	unsigned long size;
	struct xattr_name *kname; /* the kernel's copy */
	unsigned int flags;
};
struct io_xattr {
	struct xattr_ctx ctx;
	struct filename *filename;
};
struct io_xattr___delayed {
	struct delayed_filename filename;
};
struct io_sync {
	long long len, off;
	int mode;
};
struct io_ftrunc {
	long long len;
};
struct io_connect {
	void *addr;
	int addr_len;
};
struct io_accept {
	int flags, iou_flags;
	__u32 file_slot;
};
struct io_socket {
	int domain, type, protocol;
	__u32 file_slot;
};
struct io_shutdown {
	int how;
};
struct io_bind {
	int addr_len;
};
struct io_listen {
	int backlog;
};
struct io_sr_msg {
	void *buf; /* or a struct user_msghdr */
	int len;
	__u16 flags;
};
struct io_sr_msg___addressed {
	void *addr;
	__u16 addr_len;
};
struct msghdr {
	void *msg_name;
	int msg_namelen;
};
struct __kernel_sockaddr_storage {
	void *__align;
};
struct io_async_msghdr {
	struct msghdr msg;
	struct __kernel_sockaddr_storage addr;
};
/* Until 6.10: connect() kept the caller's address. */
struct io_async_connect {
	struct __kernel_sockaddr_storage address;
};

#pragma clang attribute pop

/* Its value is the running kernel's. */
enum io_ring_ctx_flags_local {
	IO_RING_F_COMPAT_7_2 = 1 << 11,
};

/* Where the scratch keeps what is no argument of the call. */
#define ARG_FD 6      /* the number to show for the file that the operation is done on */
#define ARG_REQUEST 7 /* REQUEST_*: what kind of request it is */

/* What follows the values of a record of a request; record.rs, RequestTail. */
struct request_tail {
	__u64 request;
	__u32 flags, uid, gid, unused;
};
_Static_assert(sizeof(struct request_tail) == REQUEST_TAIL_LEN, "tail layout");

/*
 * Operations that complete many times. What completes before the last time comes without its request, but with what
 * the caller calls it.
 */
struct multishot {
	__u64 ring, user_data;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MULTISHOTS);
	__type(key, struct multishot);
	__type(value, __u64);
} multishots SEC(".maps");

#define FILENAME(type, command, member)                                                                                \
	({                                                                                                             \
		struct filename *found;                                                                                \
                                                                                                                       \
		if (bpf_core_type_exists(struct delayed_filename))                                                     \
			found = BPF_CORE_READ((struct type##___delayed *)(command), member.__incomplete_filename);     \
		else                                                                                                   \
			found = BPF_CORE_READ((struct type *)(command), member);                                       \
		(__u64)BPF_CORE_READ(found, name);                                                                     \
	})

/* A ring's file in this slot. */
static __noinline struct file *file_in_slot(struct io_ring_ctx *ring, __u32 slot)
{
	unsigned long found = 0;

	if (bpf_core_field_exists(struct io_file_table, data)) {
		struct io_rsrc_node **nodes = BPF_CORE_READ(ring, file_table.data.nodes), *node = NULL;

		if (slot < BPF_CORE_READ(ring, file_table.data.nr))
			bpf_probe_read_kernel(&node, sizeof(node), nodes + slot);
		if (node)
			found = BPF_CORE_READ(node, file_ptr);
	} else {
		struct io_file_table___old *table =
			(void *)ring + bpf_core_field_offset(struct io_ring_ctx, file_table);
		void *files = BPF_CORE_READ(table, files);

		if (slot < BPF_CORE_READ((struct io_ring_ctx___files *)ring, nr_user_files))
			bpf_probe_read_kernel(&found, sizeof(found),
					      files + slot * bpf_core_type_size(struct io_fixed_file));
	}
	return (struct file *)(found & FFS_MASK);
}

/* True for a ring of a 32-bit caller, whose structures in user memory are narrower. */
static __always_inline bool is_compat_ring(struct io_ring_ctx *ring)
{
	struct io_ring_ctx___flags *flags = (void *)ring;

	if (bpf_core_field_exists(flags->int_flags))
		return BPF_CORE_READ(flags, int_flags) & IO_RING_F_COMPAT_7_2;
	if (bpf_core_field_exists(ring->compat))
		return BPF_CORE_READ_BITFIELD_PROBED(ring, compat);
	return false;
}

/*
 * The kernel's copy of the address that a connect or bind is given: in a message, or (since a change of 2026 that older
 * kernels have got, too) by itself. No type tells which. A message begins with a pointer or nothing, an address with its
 * family.
 */
static __always_inline __u64 copied_address(struct io_kiocb *req)
{
	void *copy = BPF_CORE_READ(req, async_data);
	__u64 begins = 0;

	if (!copy || bpf_probe_read_kernel(&begins, sizeof(begins), copy))
		return 0;
	if (!begins || (begins >> 48 == 0xffff && !(begins & 7)))
		copy += bpf_core_field_offset(struct io_async_msghdr, addr);
	return (__u64)copy;
}

/*
 * The arguments, as the call would have them, of a request of a kind that somebody wants; its event, or -1. Names are
 * addresses of the kernel's copies, which are gone when it completes; then nobody reads them.
 */
__noinline int request__args(__u64 address)
{
	struct scratch *s = syscall_scratch();
	struct io_kiocb *req = (void *)address;
	__u32 kind = 0, flags, slot = 0;
	bool has_file = true;
	int event = -1;
	__u8 opcode;

	if (!s)
		return -1;
	opcode = BPF_CORE_READ(req, opcode);
	flags = BPF_CORE_READ(req, flags);
	s->compat = is_compat_ring(BPF_CORE_READ(req, ctx));
	s->number = 0;
	s->args[4] = s->args[5] = 0;
	switch (opcode) {
	case IORING_OP_OPENAT:
	case IORING_OP_OPENAT2: {
		struct io_open *open = (void *)req;

		s->args[0] = (__s64)BPF_CORE_READ(open, dfd);
		s->args[1] = FILENAME(io_open, open, filename);
		s->args[2] = BPF_CORE_READ(open, how.flags) & ~O_LARGEFILE;
		s->args[3] = BPF_CORE_READ(open, how.mode);
		s->args[4] = BPF_CORE_READ(open, how.resolve);
		slot = BPF_CORE_READ(open, file_slot);
		event = opcode == IORING_OP_OPENAT ? EVENT_OPENAT : EVENT_OPENAT2;
		has_file = false;
		break;
	}
	case IORING_OP_UNLINKAT: {
		struct io_unlink *unlink = (void *)req;

		s->args[0] = (__s64)BPF_CORE_READ(unlink, dfd);
		s->args[1] = FILENAME(io_unlink, unlink, filename);
		s->args[2] = BPF_CORE_READ(unlink, flags);
		event = EVENT_UNLINKAT;
		has_file = false;
		break;
	}
	case IORING_OP_MKDIRAT: {
		struct io_mkdir *mkdir = (void *)req;

		s->args[0] = (__s64)BPF_CORE_READ(mkdir, dfd);
		s->args[1] = FILENAME(io_mkdir, mkdir, filename);
		s->args[2] = BPF_CORE_READ(mkdir, mode);
		event = EVENT_MKDIRAT;
		has_file = false;
		break;
	}
	case IORING_OP_RENAMEAT: {
		struct io_rename *rename = (void *)req;

		s->args[0] = (__s64)BPF_CORE_READ(rename, old_dfd);
		s->args[1] = FILENAME(io_rename, rename, oldpath);
		s->args[2] = (__s64)BPF_CORE_READ(rename, new_dfd);
		s->args[3] = FILENAME(io_rename, rename, newpath);
		s->args[4] = BPF_CORE_READ(rename, flags);
		event = s->args[4] ? EVENT_RENAMEAT2 : EVENT_RENAMEAT;
		has_file = false;
		break;
	}
	case IORING_OP_SYMLINKAT: {
		struct io_link *link = (void *)req;

		s->args[0] = FILENAME(io_link, link, oldpath);
		s->args[1] = (__s64)BPF_CORE_READ(link, new_dfd);
		s->args[2] = FILENAME(io_link, link, newpath);
		event = EVENT_SYMLINKAT;
		has_file = false;
		break;
	}
	case IORING_OP_LINKAT: {
		struct io_link *link = (void *)req;

		s->args[0] = (__s64)BPF_CORE_READ(link, old_dfd);
		s->args[1] = FILENAME(io_link, link, oldpath);
		s->args[2] = (__s64)BPF_CORE_READ(link, new_dfd);
		s->args[3] = FILENAME(io_link, link, newpath);
		s->args[4] = BPF_CORE_READ(link, flags);
		event = EVENT_LINKAT;
		has_file = false;
		break;
	}
	case IORING_OP_SETXATTR:
	case IORING_OP_FSETXATTR: {
		struct io_xattr *xattr = (void *)req;

		/* Since 5.19. */
		if (!bpf_core_type_exists(struct io_xattr))
			break;
		has_file = opcode == IORING_OP_FSETXATTR;
		if (!has_file)
			s->args[0] = FILENAME(io_xattr, xattr, filename);
		s->args[1] = (__u64)BPF_CORE_READ(xattr, ctx.kname);
		s->args[2] = (__u64)BPF_CORE_READ(xattr, ctx.cvalue);
		s->args[3] = BPF_CORE_READ(xattr, ctx.size);
		s->args[4] = BPF_CORE_READ(xattr, ctx.flags);
		event = has_file ? EVENT_FSETXATTR : EVENT_SETXATTR;
		break;
	}
	case IORING_OP_FALLOCATE: {
		struct io_sync *allocate = (void *)req;

		s->args[1] = (__u32)BPF_CORE_READ(allocate, mode);
		s->args[2] = BPF_CORE_READ(allocate, off);
		s->args[3] = BPF_CORE_READ(allocate, len);
		event = EVENT_FALLOCATE;
		break;
	}
	case IORING_OP_FTRUNCATE:
		/* Since 6.9. */
		if (!bpf_core_type_exists(struct io_ftrunc))
			break;
		s->args[1] = BPF_CORE_READ((struct io_ftrunc *)req, len);
		event = EVENT_FTRUNCATE;
		break;
	case IORING_OP_SOCKET: {
		struct io_socket *socket = (void *)req;

		s->args[0] = BPF_CORE_READ(socket, domain);
		s->args[1] = BPF_CORE_READ(socket, type);
		s->args[2] = BPF_CORE_READ(socket, protocol);
		slot = BPF_CORE_READ(socket, file_slot);
		event = EVENT_SOCKET;
		has_file = false;
		break;
	}
	case IORING_OP_CONNECT: {
		struct io_connect *connect = (void *)req;

		s->args[1] = (__u64)BPF_CORE_READ(connect, addr);
		s->args[2] = BPF_CORE_READ(connect, addr_len);
		/* The kernel's copy is where it goes, where there is one by now. */
		if (!bpf_core_type_exists(struct io_async_connect)) {
			s->args[1] = copied_address(req);
			kind |= REQUEST_KERNEL_ADDRESS;
		}
		event = EVENT_CONNECT;
		break;
	}
	case IORING_OP_ACCEPT: {
		struct io_accept *accept = (void *)req;

		s->args[3] = BPF_CORE_READ(accept, flags);
		slot = BPF_CORE_READ(accept, file_slot);
		if (bpf_core_field_exists(accept->iou_flags) ?
			    BPF_CORE_READ(accept, iou_flags) & IORING_ACCEPT_MULTISHOT :
			    flags & REQ_F_APOLL_MULTISHOT_OLD)
			kind |= REQUEST_MULTISHOT;
		event = s->args[3] ? EVENT_ACCEPT4 : EVENT_ACCEPT;
		break;
	}
	case IORING_OP_SEND:
	case IORING_OP_SEND_ZC: {
		struct io_sr_msg *message = (void *)req;
		struct io_sr_msg___addressed *addressed = (void *)req;

		s->args[1] = (__u64)BPF_CORE_READ(message, buf);
		s->args[2] = (__u32)BPF_CORE_READ(message, len);
		if (bpf_core_field_exists(addressed->addr)) {
			s->args[4] = (__u64)BPF_CORE_READ(addressed, addr);
			s->args[5] = BPF_CORE_READ(addressed, addr_len);
		} else {
			struct io_async_msghdr *copy = BPF_CORE_READ(req, async_data);

			if (copy && BPF_CORE_READ(copy, msg.msg_name)) {
				s->args[4] = (__u64)copy + bpf_core_field_offset(struct io_async_msghdr, addr);
				s->args[5] = BPF_CORE_READ(copy, msg.msg_namelen);
				kind |= REQUEST_KERNEL_ADDRESS;
			}
		}
		event = EVENT_SENDTO;
		break;
	}
	case IORING_OP_RECV: {
		struct io_sr_msg *message = (void *)req;

		s->args[1] = (__u64)BPF_CORE_READ(message, buf);
		s->args[2] = (__u32)BPF_CORE_READ(message, len);
		if (BPF_CORE_READ(message, flags) & IORING_RECV_MULTISHOT)
			kind |= REQUEST_MULTISHOT;
		event = EVENT_RECVFROM;
		break;
	}
	case IORING_OP_SENDMSG:
	case IORING_OP_SENDMSG_ZC:
		s->args[1] = (__u64)BPF_CORE_READ((struct io_sr_msg *)req, buf);
		event = EVENT_SENDMSG;
		break;
	case IORING_OP_RECVMSG: {
		struct io_sr_msg *message = (void *)req;

		s->args[1] = (__u64)BPF_CORE_READ(message, buf);
		if (BPF_CORE_READ(message, flags) & IORING_RECV_MULTISHOT)
			kind |= REQUEST_MULTISHOT;
		event = EVENT_RECVMSG;
		break;
	}
	case IORING_OP_SHUTDOWN:
		s->args[1] = BPF_CORE_READ((struct io_shutdown *)req, how);
		event = EVENT_SHUTDOWN;
		break;
	case IORING_OP_BIND:
		/* Since 6.11, 7481fd93fa0a; as is listen. */
		if (!bpf_core_type_exists(struct io_bind))
			break;
		s->args[1] = copied_address(req);
		s->args[2] = BPF_CORE_READ((struct io_bind *)req, addr_len);
		kind |= REQUEST_KERNEL_ADDRESS;
		event = EVENT_BIND;
		break;
	case IORING_OP_LISTEN:
		if (!bpf_core_type_exists(struct io_listen))
			break;
		s->args[1] = (__s64)BPF_CORE_READ((struct io_listen *)req, backlog);
		event = EVENT_LISTEN;
		break;
	}
	if (flags & REQ_F_CQE_SKIP)
		kind |= REQUEST_SKIPS;
	if (flags & REQ_F_BUFFER_SELECT)
		kind |= REQUEST_BUFFERS;
	if (slot)
		kind |= REQUEST_DIRECT;
	if (has_file)
		kind |= REQUEST_HAS_FILE;
	s->args[ARG_REQUEST] = kind | (__u64)slot << 32;
	return event;
}

/* A parameter that is known when the request is submitted. */
static __always_inline void put_submitted(struct scratch *s, const volatile struct param_row *param, __u64 value)
{
	__u32 index = param->index, of_kernel = 0;
	__u64 kind = s->args[ARG_REQUEST];
	bool is_file = kind & REQUEST_HAS_FILE && param->arg == 0;

	if (kind & REQUEST_KERNEL_ADDRESS)
		of_kernel = ADDRESS_OF_KERNEL;
	switch (param->op) {
	case OP_ARG_S32:
		put_u64(s, index, is_file ? s->args[ARG_FD] : value);
		break;
	case OP_ARG_U32:
		put_u64(s, index, (__u32)value);
		break;
	case OP_ARG_64:
	case OP_POSITION:
		put_u64(s, index, value);
		break;
	case OP_USER_BYTES:
		extract__data(index, value, s->args[param->extra & 7]);
		break;
	case OP_USER_U64:
		/* The members of a struct open_how. */
		put_u64(s, index, param->extra == 0 ? s->args[2] : param->extra == 8 ? s->args[3] : s->args[4]);
		break;
	case OP_USER_STRING:
		put_kernel_str(s, index, (void *)value, STRING_MAX);
		break;
	case OP_USER_PATH: {
		__u64 before = s->off;

		put_kernel_str(s, index, (void *)value, STRING_MAX);
		if (s->off > before) {
			bool is_relative = data(s)[before & DATA_MASK] != '/' ||
					   (s->number == OPENAT2 && s->args[4] & RESOLVE_IN_ROOT);
			__s32 fd = is_relative ? (param->extra < 6 ? (__s32)s->args[param->extra & 7] : AT_FDCWD) :
						 magic__descriptor(before);

			if (is_relative || fd >= 0)
				put_base(index, fd, false);
		}
		break;
	}
	case OP_SOCK_TUPLE:
		extract__sock_tuple(index, (__s32)s->args[0], s->args[1], s->args[2], ADDRESS_CONNECTS | of_kernel);
		break;
	case OP_SOCK_ADDR:
		extract__sock_tuple(index, -1, s->args[1], s->args[2], ADDRESS_CONNECTS | of_kernel);
		break;
	case OP_SENDTO_TUPLE:
		extract__sock_tuple(index, (__s32)s->args[0], s->args[4], s->args[5], ADDRESS_SENDS | of_kernel);
		break;
	case OP_SENDMSG_TUPLE:
		extract__msg_tuple(index, ADDRESS_SENDS);
		break;
	case OP_SENT_DATA:
		extract__data(index, s->args[1], s->args[2]);
		break;
	case OP_SENT_MSG_DATA:
		extract__vector_data(index, true);
		break;
	case OP_MSG_SIZE:
		extract__vector_size(index, true);
		break;
	case OP_SOCKET_FAMILY:
		value = (__u32)value;
		if (value == AF_INET && (s->args[1] & SOCK_TYPE_MASK) == SOCK_PACKET)
			value = AF_PACKET;
		put_u64(s, index, value);
		break;
	case OP_SOCKET_FLAGS:
		put_u64(s, index, value & (SOCK_CLOEXEC | SOCK_NONBLOCK));
		break;
	case OP_OBJECT:
		if (param->extra == 0)
			extract__object(index, (__s32)value);
		break;
	}
}

/* A parameter that is known when it has completed, or better known then. */
static __always_inline void put_completed(struct scratch *s, const volatile struct param_row *param, __u64 value)
{
	__u64 kind = s->args[ARG_REQUEST];
	__u32 index = param->index;
	__s32 made = kind & REQUEST_DIRECT ? FD_OF_RESULT : (__s32)s->ret;
	bool succeeded = s->ret >= 0, has_data = s->ret > 0 && !(kind & REQUEST_BUFFERS);

	switch (param->op) {
	case OP_RETURN:
		put_u64(s, index, succeeded && kind & REQUEST_DIRECT ? s->args[ARG_FD] : s->ret);
		break;
	case OP_ARG_U32:
	case OP_USER_U64: {
		struct file *file;

		if (!param->open_flags || !succeeded || !(s->args[2] & O_CREAT))
			break;
		file = file_for(s, made);
		if (file && BPF_CORE_READ(file, f_mode) & FMODE_CREATED)
			put_u64(s, index, s->args[2] | O_F_CREATED);
		break;
	}
	case OP_RESULT_PATH: {
		struct file *file = succeeded ? file_for(s, made) : NULL;

		if (!file || is_internal(file))
			break;
		if (param->extra)
			put_components(SCRATCH_SYSCALL, index, (__u64)BPF_CORE_READ(file, f_path.dentry), 0);
		else
			put_file_path(SCRATCH_SYSCALL, index, file);
		break;
	}
	case OP_OPENED_DEV:
	case OP_OPENED_INO: {
		struct file *file = succeeded ? file_for(s, made) : NULL;
		struct inode *inode = BPF_CORE_READ(file, f_inode);

		if (file)
			put_u64(s, index, param->op == OP_OPENED_DEV ? device_of(inode) : BPF_CORE_READ(inode, i_ino));
		break;
	}
	case OP_SOCK_TUPLE:
		if (!succeeded && s->ret != -EINPROGRESS)
			break;
		__attribute__((fallthrough));
	case OP_ARG_TUPLE:
		extract__sock_tuple(index, FD_OF_REQUEST, 0, 0, 0);
		break;
	case OP_SENDTO_TUPLE:
	case OP_SENDMSG_TUPLE:
		/* For the consumer, if there was no socket yet when it was submitted. */
		extract__sock_tuple(index, FD_OF_REQUEST, 0, 0, 0);
		break;
	case OP_RECVFROM_TUPLE:
		extract__sock_tuple(index, FD_OF_REQUEST, 0, 0, ADDRESS_RECEIVED);
		break;
	case OP_RECVMSG_TUPLE:
		if (kind & REQUEST_MULTISHOT)
			extract__sock_tuple(index, FD_OF_REQUEST, 0, 0, ADDRESS_RECEIVED);
		else
			extract__msg_tuple(index, ADDRESS_RECEIVED);
		break;
	case OP_RESULT_TUPLE:
		if (succeeded)
			extract__sock_tuple(index, made, 0, 0, 0);
		break;
	case OP_OBJECT:
		if (param->extra == OBJECT_OF_RESULT && succeeded)
			extract__object(index, made);
		else if (param->extra == 0 && kind & REQUEST_HAS_FILE && param->arg == 0)
			extract__object(index, FD_OF_REQUEST);
		break;
	case OP_RECEIVED_DATA:
		if (has_data && !(kind & REQUEST_MULTISHOT))
			extract__data(index, s->args[1], s->ret);
		break;
	case OP_RECEIVED_MSG_DATA:
		if (has_data && !(kind & REQUEST_MULTISHOT))
			extract__vector_data(index, true);
		break;
	case OP_MSG_CONTROL:
		if (!(kind & REQUEST_MULTISHOT))
			extract__msg_control(index);
		break;
	case OP_RECEIVED_SIZE:
		put_u64(s, index, s->ret > 0 ? s->ret : 0);
		break;
	case OP_QUEUE_PERCENT:
	case OP_QUEUE_LENGTH:
	case OP_QUEUE_MAX:
		extract__queue(s, index, param->op);
		break;
	}
}

/* The row of a parameter, and the argument it is made of; NULL for none. */
static __always_inline const volatile struct param_row *request__row(struct scratch *s, __u32 row, __u64 at,
								      __u64 *value)
{
	const volatile struct param_row *param;

	barrier_var(at);
	if (!s || at >= MAX_WALKED)
		return NULL;
	param = &rows[row & (ROWS - 1)].walked[at];
	*value = s->args[param->arg & 7];
	return param;
}

/* One parameter, as walk_param(); a function for each half, because the verifier goes through all of what is called. */
__noinline int request__begun_param(__u32 row, __u32 which)
{
	struct scratch *s = syscall_scratch();
	__u64 value = 0;
	const volatile struct param_row *param = request__row(s, row, which, &value);

	if (param)
		put_submitted(s, param, value);
	return 0;
}

__noinline int request__ended_param(__u32 row, __u32 which)
{
	struct scratch *s = syscall_scratch();
	__u64 value = 0;
	const volatile struct param_row *param = request__row(s, row, which, &value);

	if (param)
		put_completed(s, param, value);
	return 0;
}

static __always_inline void walk_request(struct scratch *s, __u64 row, bool has_ended)
{
	const volatile struct event_row *event = &rows[row];

	for (int i = 0; i < MAX_WALKED; i++) {
		const volatile struct param_row *param = &event->walked[i];

		if (i >= event->count)
			break;
		if (param->on_demand && !(config.params[row] & (1U << (param->index & 31))))
			continue;
		if (has_ended)
			request__ended_param(row, i);
		else
			request__begun_param(row, i);
	}
}

/* Ends the record with what says of which request it is. */
static __always_inline void request__submit(struct scratch *s, __u32 event, __u8 stream, __u8 flags,
					    struct request_tail *tail)
{
	__u64 off;

	if (!room(s, &off))
		return;
	copy_words(data(s) + off, tail, sizeof(*tail));
	s->off += sizeof(*tail);
	record__submit(s, event, stream, FLAG_IO_URING | flags | (s->compat ? FLAG_COMPAT : 0));
}

static __always_inline bool request__wanted(__u8 opcode)
{
	return opcode < IORING_OPS && config.requests[opcode >> 5 & 1] >> (opcode & 31) & 1;
}

/* The current thread is its submitter's, or the one that looks for submissions (iou-sqp-PID) of the same process. */
static __always_inline int request__submitted(void *ctx)
{
	struct request_tail tail = {};
	const struct cred *creds;
	struct io_kiocb *req;
	struct scratch *s;
	__s64 event;
	__u64 row;
	__s32 fd;

	/* As a number: global functions take no such pointers. */
	bpf_probe_read_kernel(&tail.request, sizeof(tail.request), ctx);
	req = OBJECT_AT(io_kiocb, tail.request);
	if (!request__wanted(LOAD(req, opcode)) || bpf_get_current_pid_tgid() >> 32 == config.self_pid)
		return 0;
	s = record__begin(SCRATCH_SYSCALL, 0);
	if (!s)
		return 0;
	event = request__args(tail.request);
	if (event < 0)
		return 0;
	row = row_of(event);
	s->number = event == EVENT_OPENAT2 ? OPENAT2 : 0;
	tail.flags = s->args[ARG_REQUEST];
	s->file = s->made = 0;
	if (tail.flags & REQUEST_HAS_FILE) {
		fd = LOAD(req, cqe.fd);
		s->args[0] = s->args[ARG_FD] = (__s64)fd;
		if (LOAD(req, flags) & REQ_F_FIXED_FILE) {
			s->file = (__u64)file_in_slot(LOAD(req, ctx), fd);
			s->args[0] = FD_OF_REQUEST;
			s->args[ARG_FD] = DIRECT_DESCRIPTOR + (__u32)fd;
		}
	}
	if (tail.flags & REQUEST_MULTISHOT) {
		struct multishot key = { .ring = (__u64)LOAD(req, ctx), .user_data = LOAD(req, cqe.user_data) };

		if (bpf_map_update_elem(&multishots, &key, &tail.request, BPF_ANY))
			count_miss(MISS_MULTISHOTS);
	}
	record__reset(s, rows[row].params);
	walk_request(s, row, false);
	put_task_values(SCRATCH_SYSCALL, row);
	/* A request may act as somebody whose credentials were registered. */
	creds = BPF_CORE_READ(req, creds);
	current_ids(&tail.uid, &tail.gid);
	if (creds) {
		tail.uid = BPF_CORE_READ(creds, euid.val);
		tail.gid = BPF_CORE_READ(creds, egid.val);
	}
	request__submit(s, event, STREAM_IO_URING_SUBMIT, 0, &tail);
	return 0;
}

SEC("?tp_btf/io_uring_submit_req")
int io_uring_submit_req(__u64 *ctx)
{
	return request__submitted(ctx);
}

/* Its name until 6.4. */
SEC("?tp_btf/io_uring_submit_sqe")
int io_uring_submit_sqe(__u64 *ctx)
{
	return request__submitted(ctx);
}

/* Which thread completes a request says nothing; of its process's it mostly is one. */
static __always_inline int request__completed(__u64 ring, __u64 address, __u64 user_data, __s32 result, __u32 flags)
{
	struct request_tail tail = {};
	struct io_kiocb *req;
	struct scratch *s;
	__s64 event;
	__u32 slot;
	__u64 row;

	if (!address) {
		struct multishot key = { .ring = ring, .user_data = user_data };
		__u64 *request = bpf_map_lookup_elem(&multishots, &key);

		/* What nobody asked for, or no request at all: messages between rings. */
		if (!request)
			return 0;
		address = *request;
	}
	req = (void *)address;
	if (!request__wanted(BPF_CORE_READ(req, opcode)) || bpf_get_current_pid_tgid() >> 32 == config.self_pid)
		return 0;
	s = record__begin(SCRATCH_SYSCALL, 0);
	if (!s)
		return 0;
	event = request__args(address);
	if (event < 0)
		return 0;
	row = row_of(event);
	tail.request = address;
	tail.flags |= (__u32)s->args[ARG_REQUEST];
	slot = s->args[ARG_REQUEST] >> 32;
	if (config.drop_failed && result < 0)
		tail.flags |= REQUEST_DROPPED;
	if (tail.flags & REQUEST_MULTISHOT && flags & IORING_CQE_F_MORE) {
		tail.flags |= REQUEST_MORE;
	} else if (tail.flags & REQUEST_MULTISHOT) {
		struct multishot key = { .ring = ring, .user_data = user_data };

		bpf_map_delete_elem(&multishots, &key);
	}
	s->args[0] = FD_OF_REQUEST;
	s->file = tail.flags & REQUEST_HAS_FILE ? (__u64)BPF_CORE_READ(req, file) : 0;
	s->made = 0;
	s->ret = result;
	if (slot && result >= 0) {
		slot = slot == IORING_FILE_INDEX_ALLOC ? result : slot - 1;
		s->made = (__u64)file_in_slot((void *)ring, slot);
		s->args[ARG_FD] = DIRECT_DESCRIPTOR + slot;
	}
	record__reset(s, rows[row].params);
	walk_request(s, row, true);
	request__submit(s, event, STREAM_IO_URING_COMPLETE, FLAG_COMPLETES, &tail);
	return 0;
}

SEC("?tp_btf/io_uring_complete")
int io_uring_complete(__u64 *ctx)
{
	/* user_data, result and flags in a struct io_uring_cqe. */
	struct {
		__u64 user_data;
		__s32 result;
		__u32 flags;
	} cqe = {};
	__u64 ring_address = 0;

	bpf_probe_read_kernel(&cqe, sizeof(cqe), (void *)ctx[2]);
	/* Its ring, as a number. */
	bpf_probe_read_kernel(&ring_address, sizeof(ring_address), ctx);
	return request__completed(ring_address, ctx[1], cqe.user_data, cqe.result, cqe.flags);
}

/* The arguments of the tracepoint until 6.17. */
SEC("?tp_btf/io_uring_complete")
int io_uring_complete_args(__u64 *ctx)
{
	return request__completed(ctx[0], ctx[1], ctx[2], ctx[3], ctx[4]);
}
