/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* System calls: their arguments, and the walk through their row of the event table. */
#pragma once

#include "calls.h"
#include "filter.h"
#include "notes.h"
#include "values.h"

#define I386_PREAD64 180

/* The flags of an open, with a bit of our own when the call created its file. */
static __always_inline __u64 open_flags(struct scratch *s, __u64 flags)
{
	struct file *file;

	if (!(flags & O_CREAT) || s->ret < 0)
		return flags;
	file = file_of((__s32)s->ret);
	if (file && BPF_CORE_READ(file, f_mode) & FMODE_CREATED)
		flags |= O_F_CREATED;
	return flags;
}

/* The descriptor an object is read from: an argument, or the result where the row says so (`of`). */
static __always_inline __s32 described_fd(struct scratch *s, __u64 arg, __u8 of)
{
	if (of == OBJECT_OF_FIRST)
		return pair_fd(s, arg, 0);
	if (of == OBJECT_OF_RESULT || (of == OBJECT_OF_COPY && s->ret >= 0))
		return (__s32)s->ret;
	return (__s32)arg;
}

#define OPENAT2 437 /* on every architecture */
#define RESOLVE_OFFSET 16 /* in struct open_how */
#define RESOLVE_IN_ROOT 0x10

/* True for an openat2() to which its directory is the root: absolute paths start there, too. */
static __always_inline bool is_in_root(struct scratch *s)
{
	__u64 resolve = 0;

	if (s->number != OPENAT2)
		return false;
	bpf_probe_read_user(&resolve, sizeof(resolve), (void *)s->args[2] + RESOLVE_OFFSET);
	return resolve & RESOLVE_IN_ROOT;
}

#define WORD(a, b, c, d, e, f, g, h)                                                                                   \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 | (__u64)(f) << 40 |    \
	 (__u64)(g) << 48 | (__u64)(h) << 56)

static __always_inline bool is_word(struct scratch *s, __u64 at, __u64 word)
{
	__u64 found;

	barrier_var(at);
	found = *(__u64 *)(data(s) + (at & DATA_MASK));
	return found == word;
}

/*
 * The descriptor that a path names which begins with /proc/self/fd, /proc/thread-self/fd or /dev/fd: the text that begins
 * at `start`. -1 for other paths.
 */
__noinline int magic__descriptor(__u64 start)
{
	const __u64 self_fd = WORD('s', 'e', 'l', 'f', '/', 'f', 'd', '/');
	struct scratch *s = syscall_scratch();
	__u64 at = start;
	__s32 fd = 0;

	if (!s)
		return -1;
	if (is_word(s, at, WORD('/', 'd', 'e', 'v', '/', 'f', 'd', '/')))
		at += 8;
	else if (is_word(s, at, WORD('/', 'p', 'r', 'o', 'c', '/', 's', 'e')) && is_word(s, at + 6, self_fd))
		at += 14;
	else if (is_word(s, at, WORD('/', 'p', 'r', 'o', 'c', '/', 't', 'h')) &&
		 is_word(s, at + 5, WORD('/', 't', 'h', 'r', 'e', 'a', 'd', '-')) && is_word(s, at + 13, self_fd))
		at += 21;
	else
		return -1;
	for (int i = 0; i < 7; i++, at++) {
		__u64 place = at;
		__u8 c;

		barrier_var(place);
		c = data(s)[place & DATA_MASK];
		if (c < '0' || c > '9')
			return i && (!c || c == '/') ? fd : -1;
		fd = fd * 10 + c - '0';
	}
	return -1;
}

/*
 * A path that a call is given, behind it the directory that it starts from: parameter `which` of a row. A global function, as
 * walk_param().
 */
__noinline int walk_user_path(__u32 row, __u32 which)
{
	const volatile struct param_row *param;
	struct scratch *s = syscall_scratch();
	__u64 at = which, before;
	bool is_absolute, is_below;
	__u32 said = 0;
	__s32 fd;

	barrier_var(at);
	if (!s || at >= MAX_WALKED)
		return 0;
	param = &rows[row & (ROWS - 1)].walked[at];
	before = s->off;
	if (s->names && s->text_len) {
		/* open__read_absolute() has read it, and it is not what that knows. */
		advance(s, param->index, s->text_len + 1, false);
		s->text_len = 0;
	} else {
		put_user_str(s, param->index, (void *)s->args[param->arg & 7]);
		if (s->off == before)
			return 0;
	}
	is_absolute = data(s)[before & DATA_MASK] == '/';
	is_below = !is_absolute || is_in_root(s);
	if (s->names) {
		names__begin(s);
		s->name_state = name__read(SCRATCH_SYSCALL, before, s->off - before - 1, s->name_state, !is_absolute);
		/* Rules look at the text that was passed, too, which here is less than the path. */
		if (is_absolute)
			said = names__said(s);
		if (!is_below) {
			s->requested_name = said;
			s->name_state = 0;
			s->text = before;
			s->text_len = s->off - before - 1;
			return 0;
		}
	}
	fd = is_below ? (param->extra < 6 ? (__s32)s->args[param->extra & 7] : AT_FDCWD) : magic__descriptor(before);
	before = s->off;
	if (is_below || fd >= 0)
		put_base(param->index, fd, true);
	/* Without its directory a path is what was passed. */
	if (s->name_state && s->off > before)
		s->requested_name = said | names__said(s);
	s->name_state = 0;
	return 0;
}

/* True unless a parameter is read where a rule asks for it, and none does. */
static __always_inline bool is_demanded(const volatile struct param_row *param, __u32 row)
{
	return !param->on_demand || config.params[row & (ROWS - 1)] & (1U << (param->index & 31));
}

/* What is said of the kernel's name of the file that a call opened, if it has one. */
static __always_inline void read_real_name(struct scratch *s, __u32 index)
{
	struct task_struct *task = loaded_task();
	struct file *file = s->ret < 0 ? NULL : file_of_task(task, (__s32)s->ret, true);
	__u64 before = s->off;

	if (!file)
		return;
	/* Then the same is said of it. What is internal has no path to compare with. */
	if (s->text_len && text__is_path(s, (__u64)s->text + s->text_len, s->text_len, file, task)) {
		s->real_name = s->requested_name;
		return;
	}
	if (is_internal(file))
		return;
	names__begin(s);
	read_file_path(index, file);
	if (s->off > before)
		s->real_name = names__said(s);
	s->name_state = 0;
}

#define NAME_WORDS 16 /* of one name are looked at; longer ones are rare */

/* The bytes of a word that are 0, by their highest bits: the lowest of them is exact. */
static __always_inline __u64 zero_bytes(__u64 word)
{
	return (word - WORD(1, 1, 1, 1, 1, 1, 1, 1)) & ~word & WORD(128, 128, 128, 128, 128, 128, 128, 128);
}

/* True when the text that begins at `start` is a name: no path that leads elsewhere first. */
__noinline int text__is_name(__u64 start)
{
	struct scratch *s = syscall_scratch();

	if (!s)
		return 0;
	for (int i = 0; i < NAME_WORDS; i++) {
		__u64 at = start + 8 * i, word, end, slash;

		barrier_var(at);
		word = *(__u64 *)(data(s) + (at & DATA_MASK));
		end = zero_bytes(word);
		slash = zero_bytes(word ^ WORD('/', '/', '/', '/', '/', '/', '/', '/'));
		/* The first byte is the lowest, and what is behind the end is none of it. */
		if (slash && (!end || (slash & -slash) < (end & -end)))
			return 0;
		if (end)
			return i || (end & -end) != 128;
	}
	return 0;
}

/*
 * True unless it is sure that no rule can match a call by a path: parameter `which` of a row, where it has one. It is sure of one
 * name below a directory of the kernel's: of these calls none follows a link there.
 */
static __always_inline bool call__passes_by(struct scratch *s, __u32 row, __u32 which)
{
	__u64 start = s->off;

	if (which >= MAX_WALKED)
		return false;
	s->requested_name = NAME_PASSES;
	s->text_len = 0;
	walk_user_path(row, which);
	return s->requested_name & (NAME_PASSES | NAME_UNLESS_REAL) || !text__is_name(start);
}

/*
 * Most opens name an absolute path of no more than NAME_READ_AT_ONCE bytes: puts down what is said of it, in one go. False for other
 * paths, which walk_user_path() goes on with.
 */
static __always_inline bool open__read_absolute(struct scratch *s, const volatile struct param_row *param)
{
	const struct name_table *table = names__table(s->names);
	__u64 at = s->off, len;
	long read;

	if (!table)
		return false;
	barrier_var(at);
	at &= DATA_MASK;
	read = bpf_probe_read_user_str(data(s) + at, STRING_MAX, (void *)s->args[param->arg & 7]);
	if (read <= 1)
		return false;
	len = read - 1;
	s->text = at;
	s->text_len = len;
	barrier_var(len);
	if (len > NAME_READ_AT_ONCE || data(s)[at] != '/' || s->number == OPENAT2)
		return false;
	s->requested_name = name__said(table, name__read_bytes(table, table->start & (__u16)-1, data(s) + at + len, len));
	return true;
}

/*
 * True unless no rule can match an open, or a call that leaves no file, by its names, which are read before anything else is,
 * and nothing more of most opens: the record of one that passes is begun then. `wanted`: what has to be said of one. A global
 * function, as walk_param().
 */
__noinline int open__passes(__u32 row, __u32 wanted)
{
	const volatile struct event_row *event = &rows[row & (ROWS - 1)];
	const volatile struct param_row *param;
	struct scratch *s = syscall_scratch();
	__u64 real = event->real, path;

	barrier_var(real);
	if (!s)
		return true;
	/* What is not read passes. */
	s->requested_name = NAME_PASSES_READ | NAME_PASSES;
	s->real_name = NAME_NOT_KNOWN;
	s->text_len = 0;
	s->off = 2 * event->params;
	path = event->path;
	if (event->flags & ROW_NAMED) {
		if (!call__passes_by(s, row, path) && !call__passes_by(s, row, real))
			return false;
		goto passes;
	}
	barrier_var(path);
	if (path >= MAX_WALKED)
		goto passes;
	if (!open__read_absolute(s, &event->walked[path]))
		walk_user_path(row, path);
	if (s->requested_name & wanted)
		goto passes;
	/* What is compared is what is used: 5.10 does not know two copies for one value when one was on the stack. */
	barrier_var(real);
	if (real < MAX_WALKED) {
		param = &event->walked[real];
		if (is_demanded(param, row))
			read_real_name(s, param->index);
	}
	if (!names__pass(s, wanted))
		return false;
passes:
	s->names = 0;
	record__reset(s, event->params);
	return true;
}

/*
 * One parameter: `which` of a row. A global function, so that the verifier goes through it once and not once for each
 * parameter a row may have; such functions take numbers only.
 */
__noinline int walk_param(__u32 row, __u32 which)
{
	const volatile struct param_row *param;
	struct scratch *s = syscall_scratch();
	__u64 at = which, value;
	__u32 index;

	barrier_var(at);
	if (!s || at >= MAX_WALKED)
		return 0;
	param = &rows[row & (ROWS - 1)].walked[at];
	index = param->index;
	value = s->args[param->arg & 7];
	switch (param->op) {
	case OP_RETURN:
		put_u64(s, index, s->ret);
		break;
	case OP_NUMBER:
		put_u64(s, index, s->number);
		break;
	case OP_ARG_S32:
		put_u64(s, index, (__s64)(__s32)value);
		break;
	case OP_ARG_U32:
		value = (__u32)value;
		put_u64(s, index, param->open_flags ? open_flags(s, value) : value);
		break;
	case OP_ARG_64:
		put_u64(s, index, s->compat ? (__u64)(__u32)value : value);
		break;
	case OP_ARG_ID:
		put_id(s, index, value);
		break;
	case OP_RESULT_STRING:
		if (s->ret < 0)
			break;
		__attribute__((fallthrough));
	case OP_USER_STRING:
		put_user_str(s, index, (void *)value);
		break;
	case OP_RESULT_U64:
		if (s->ret < 0)
			break;
		__attribute__((fallthrough));
	case OP_USER_U64:
		if (!value)
			break;
		if (bpf_probe_read_user(&value, sizeof(value), (void *)value + param->extra))
			count_miss(MISS_USER_MEMORY);
		else
			put_u64(s, index, param->open_flags ? open_flags(s, value) : value);
		break;
	case OP_USER_PATH:
		walk_user_path(row, which);
		break;
	case OP_SOCK_TUPLE:
		extract__sock_tuple(index, (__s32)s->args[0], s->args[1], s->args[2], ADDRESS_CONNECTS);
		break;
	case OP_SOCK_ADDR:
		extract__sock_addr(index, s->args[1], s->args[2]);
		break;
	case OP_SENDTO_TUPLE:
		extract__sock_tuple(index, (__s32)s->args[0], s->args[4], s->args[5], ADDRESS_SENDS);
		break;
	case OP_SENDMSG_TUPLE:
		extract__msg_tuple(index, ADDRESS_SENDS);
		break;
	case OP_SENT_DATA:
		/* What was sent is the result; what a failed call meant to send, its argument. */
		extract__data(index, s->args[1], s->ret > 0 ? s->ret : s->args[2]);
		break;
	case OP_SENT_MSG_DATA:
		extract__vector_data(index, true);
		break;
	case OP_MSG_SIZE:
		extract__vector_size(index, true);
		break;
	case OP_USER_U32: {
		__u32 member = 0;

		if (bpf_probe_read_user(&member, sizeof(member), (void *)value + param->extra))
			count_miss(MISS_USER_MEMORY);
		else
			put_u64(s, index, member);
		break;
	}
	case OP_PIPE_INO:
		put_pipe_ino(s, index, pair_fd(s, value, 0));
		break;
	case OP_RESULT_PATH: {
		struct file *file = s->ret < 0 ? NULL : file_of((__s32)s->ret);

		if (!file || is_internal(file))
			break;
		if (param->extra)
			put_components(SCRATCH_SYSCALL, index, ADDRESS_IN(file, f_path.dentry), 0);
		else
			put_file_path(SCRATCH_SYSCALL, index, file);
		break;
	}
	case OP_CREAT_FLAGS:
		put_u64(s, index, open_flags(s, O_CREAT | O_WRONLY | O_TRUNC));
		break;
	case OP_RESULT_LAYER:
		put_layer(s, index, file_of((__s32)s->ret));
		break;
	case OP_POLL_FDS:
		extract__poll(index, 0);
		break;
	case OP_POLL_OBJECTS:
		extract__poll(index, 1);
		break;
	case OP_TIME:
		put_time(s, index, value);
		break;
	case OP_SIGSET:
		put_sigset(s, index, value);
		break;
	case OP_OBJECT:
		extract__object(index, described_fd(s, value, param->extra));
		break;
	case OP_ARG_TUPLE:
		extract__sock_tuple(index, (__s32)s->args[0], 0, 0, 0);
		break;
	case OP_RESULT_TUPLE:
		extract__sock_tuple(index, (__s32)s->ret, 0, 0, 0);
		break;
	case OP_CAPABILITIES:
		extract__capabilities(s, index, param->extra);
		break;
	case OP_TASK_STATE:
		extract__task_state(index, param->extra);
		break;
	case OP_MOUNT_FLAGS:
		extract__mount_flags(s, index, value);
		break;
	case OP_PRCTL_NAME:
		extract__prctl(index, 1);
		break;
	case OP_PRCTL_NUMBER:
		extract__prctl(index, 0);
		break;
	case OP_RESULT_LONG:
		if (s->ret < 0)
			break;
		__attribute__((fallthrough));
	case OP_USER_LONG:
		extract__long(index, value, param->extra);
		break;
	case OP_RESULT_ID:
		put_id_at(s, index, value);
		break;
	case OP_USER_BYTES:
		extract__data(index, value, (__u32)s->args[param->extra & 7]);
		break;
	case OP_PTRACE_ADDR:
		put_u64(s, index, s->ret < 0 ? 0 : value);
		break;
	case OP_PTRACE_DATA:
		extract__ptrace_data(index);
		break;
	case OP_MODULE_IMAGE:
		extract__module_image(index, value, s->args[1]);
		break;
	case OP_RECVFROM_TUPLE:
		extract__received_tuple(s, index, s->args[4], s->args[5]);
		break;
	case OP_RECVMSG_TUPLE:
		extract__msg_tuple(index, ADDRESS_RECEIVED);
		break;
	case OP_RECEIVED_DATA:
		if (s->ret > 0)
			extract__data(index, s->args[1], s->ret);
		break;
	case OP_RECEIVED_MSG_DATA:
		if (s->ret > 0)
			extract__vector_data(index, true);
		break;
	case OP_RECEIVED_SIZE:
		put_u64(s, index, s->ret > 0 ? s->ret : 0);
		break;
	case OP_MSG_CONTROL:
		extract__msg_control(index);
		break;
	case OP_QUEUE_PERCENT:
	case OP_QUEUE_LENGTH:
	case OP_QUEUE_MAX:
		extract__queue(s, index, param->op);
		break;
	case OP_PAIR_FD:
		put_u64(s, index, (__s64)pair_fd(s, value, param->extra));
		break;
	case OP_PAIR_SOCKET:
		extract__pair_socket(s, index, param->extra);
		break;
	case OP_PAIR_TUPLE:
		extract__sock_tuple(index, pair_fd(s, s->args[3], 0), 0, 0, 0);
		break;
	case OP_SOCKOPT_LEVEL:
		value = (__u32)value;
		put_u64(s, index, value == SOL_SOCKET || value == SOL_TCP ? value : 0);
		break;
	case OP_SOCKOPT_NAME:
		put_u64(s, index, (__u32)s->args[1] == SOL_SOCKET ? (__u32)value : 0);
		break;
	case OP_SOCKOPT_VALUE:
		extract__sockopt(index, param->extra);
		break;
	case OP_SOCKOPT_LEN:
		extract__sockopt_len(s, index);
		break;
	case OP_VECTOR_DATA:
		if (!param->extra || s->ret > 0)
			extract__vector_data(index, false);
		break;
	case OP_VECTOR_SIZE:
		extract__vector_size(index, false);
		break;
	case OP_POSITION:
		if (s->compat) {
			value = s->args[param->extra & 7];
			/* The first i386 call with places of 64 bits. */
			if (s->number < I386_PREAD64)
				value = (__s64)(__s32)value;
			else
				value = (__u32)value | s->args[(param->extra + 1) & 7] << 32;
		}
		put_u64(s, index, value);
		break;
	case OP_LLSEEK_OFFSET:
		put_u64(s, index, value << 32 | (__u32)s->args[2]);
		break;
	case OP_SEMCTL_VALUE:
		put_u64(s, index, ((__u32)s->args[2] & ~SEM_IPC_64) == SEM_SETVAL ? (__s64)(__s32)value : 0);
		break;
	case OP_SEMBUF:
		put_sembuf(s, index, value, param->extra);
		break;
	case OP_FSCONFIG:
		extract__fsconfig(index, value, param->extra);
		break;
	case OP_KEYCTL:
		extract__keyctl(index, param->arg);
		break;
	case OP_QUOTA:
		extract__quota(index, param->extra);
		break;
	case OP_QUOTA_ID:
		put_quota_id(s, index, value, param->extra);
		break;
	case OP_SENDFILE_OFFSET:
		extract__sendfile_offset(s, index, value);
		break;
	case OP_SOCKET_FAMILY:
		value = (__u32)value;
		/* As __sock_create() takes it. */
		if (value == AF_INET && (s->args[1] & SOCK_TYPE_MASK) == SOCK_PACKET)
			value = AF_PACKET;
		put_u64(s, index, value);
		break;
	case OP_SOCKET_FLAGS:
		put_u64(s, index, value & (SOCK_CLOEXEC | SOCK_NONBLOCK));
		break;
	case OP_OPENED_DEV:
		extract__opened(s, index, true);
		break;
	case OP_OPENED_INO:
		extract__opened(s, index, false);
		break;
	case OP_ARGV:
		extract__argv(index, value);
		break;
	case OP_CWD:
		put_base(index, AT_FDCWD, false);
		break;
	case OP_NOTED:
		if (s->ret >= 0)
			extract__noted(index, param->extra);
		break;
	}
	return 0;
}

/* The arguments, as the caller passed them; they are still in the registers when the call returns. */
static __always_inline void load_args(struct scratch *s, struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	if (s->compat) {
		s->args[0] = (__u32)regs->bx;
		s->args[1] = (__u32)regs->cx;
		s->args[2] = (__u32)regs->dx;
		s->args[3] = (__u32)regs->si;
		s->args[4] = (__u32)regs->di;
		s->args[5] = (__u32)regs->bp;
	} else {
		s->args[0] = regs->di;
		s->args[1] = regs->si;
		s->args[2] = regs->dx;
		s->args[3] = regs->r10;
		s->args[4] = regs->r8;
		s->args[5] = regs->r9;
	}
#elif defined(__TARGET_ARCH_arm64)
	s->args[0] = regs->orig_x0;
	s->args[1] = regs->regs[1];
	s->args[2] = regs->regs[2];
	s->args[3] = regs->regs[3];
	s->args[4] = regs->regs[4];
	s->args[5] = regs->regs[5];
#endif
}

/* The arguments of 32-bit callers where 64-bit callers have them. */
static __always_inline void arrange_args(struct scratch *s, __u8 flags)
{
	if (flags & ROW_ARGS_BEHIND) {
		__u32 args[6] = {};

		bpf_probe_read_user(args, sizeof(args), (void *)s->args[0]);
#pragma unroll
		for (int i = 0; i < 6; i++)
			s->args[i] = args[i];
	} else if (flags & ROW_WIDE_MASK) {
		/* The upper half of a mask has no bit yet. */
		s->args[3] = s->args[4];
		s->args[4] = s->args[5];
	}
}

/* Newer kernels look at the lower half of the register only: the upper one must not hide a call. */
static __always_inline __u64 syscall_number(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return *(volatile __u32 *)&regs->orig_ax;
#elif defined(__TARGET_ARCH_arm64)
	return (__s64)regs->syscallno;
#endif
}

static __always_inline long syscall_result(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return regs->ax;
#elif defined(__TARGET_ARCH_arm64)
	return regs->regs[0];
#endif
}

/* True for a call in 32-bit convention, from a 32-bit process or by int 0x80 (TS_COMPAT). */
static __always_inline bool is_compat(void)
{
#if defined(__TARGET_ARCH_x86)
	if (has_task_btf()) {
		struct task_struct *task = bpf_get_current_task_btf();

		return task->thread_info.status & TS_COMPAT;
	}
#ifdef WITHOUT_TYPES
	{
		__u32 status = 0;

		bpf_probe_read_kernel(&status, sizeof(status), (void *)current_task() + task_layout.status);
		return status & TS_COMPAT;
	}
#else
	return BPF_CORE_READ(current_task(), thread_info.status) & TS_COMPAT;
#endif
#else
	return false;
#endif
}

/* The row of an event; the calls captured by number share one. */
static __always_inline __u64 row_of(__u64 event)
{
	__s64 below = event - ROW_BY_NUMBER;
	__u64 row = (below & (below >> 63)) + ROW_BY_NUMBER;

	/* The lesser of the two, without a branch: behind one the verifier knows the row, and goes through all that follows again for it. */
	barrier_var(row);
	return row & (ROWS - 1);
}

/*
 * Which calls a program is about: the value of config.syscalls for this one, 0 when nobody wants it. In its upper half is the
 * class by its thread (CLASS_OTHER_THREAD): together they need no more of the stack than one. And what the kernel calls the thread.
 */
static __always_inline __u32 call__wanted_by(__u64 nr, bool *compat, __u64 *thread)
{
	__u32 entry, wanted;
	__u64 id;

	if (nr >= SYSCALLS)
		return 0;
	/* Both conventions in one load: most calls are wanted in neither, and leave here. */
	entry = config.syscalls[nr & (SYSCALLS - 1)];
	if (!entry)
		return 0;
	*compat = is_compat();
	wanted = *compat ? entry >> 16 : entry & 0xffff;
	id = bpf_get_current_pid_tgid();
	*thread = id;
	if (id >> 32 == config.self_pid || !wanted)
		return 0;
	return id >> 32 == (__u32)id ? wanted : wanted | CLASS_OTHER_THREAD << 16;
}

/* The same without its upper half. */
static __always_inline __u32 call__wanted(__u64 nr, bool *compat)
{
	__u64 thread;

	return (__u16)call__wanted_by(nr, compat, &thread);
}

/*
 * Gives a program that others go on as the stack of whoever runs it. Since 6.13 (a76ab5731e32) larger programs have one
 * per CPU, which is safe where the kernel keeps a program from running twice on a CPU. It does so for what is attached, not
 * for what is gone on as: a task that is preempted there would find its stack overwritten by the next. A program that
 * can itself go on as another has no such stack; this one never does.
 */
static __always_inline void keep_stack(void *ctx)
{
	if (!config.page_kb)
		bpf_tail_call(ctx, &nowhere, 0);
}

/*
 * True while another task, which was interrupted on this CPU, puts a record together in the scratch: for programs that
 * share one, and do not keep each other from running as each keeps itself. The record is then lost before it is begun. It
 * has a stream of its own, whose every record is missing, because the other may be about to take the next number.
 */
static __always_inline bool is_taken(__u32 event)
{
	struct scratch *s = syscall_scratch();

	if (!s || !s->owner)
		return false;
	next_sequence(STREAM_BUSY);
	count_drop(event, DROP_SCRATCH);
	return true;
}

/*
 * Takes the program's scratch for a call, with the arguments in it; NULL when it is not wanted. A record is not begun yet. `wanted`
 * becomes the number of its event, and one.
 */
static __always_inline struct scratch *call__begin(struct pt_regs *regs, __u32 *wanted, bool compat, bool is_shared,
						   __u64 thread)
{
	struct scratch *s;

	if (*wanted == SOCKETCALL) {
		/* i386's multiplexer: the real call is the first argument. */
#if defined(__TARGET_ARCH_x86)
		__u64 call = (__u32)regs->bx;

		if (call >= SOCKETCALL_NAMES)
			call = 0;
		barrier_var(call);
		*wanted = config.socketcalls[call & (SOCKETCALLS - 1)];
		if (!*wanted)
			return NULL;
		if (is_shared && is_taken(*wanted - 1))
			return NULL;
		s = scratch__take(SCRATCH_SYSCALL, thread);
		if (!s)
			return NULL;
		s->compat = 1;
		if (call) {
			__u32 args[6] = {};

			if (bpf_probe_read_user(args, sizeof(args), (void *)(__u64)(__u32)regs->cx))
				bpf_probe_read_user(args, 12, (void *)(__u64)(__u32)regs->cx);
#pragma unroll
			for (int i = 0; i < 6; i++)
				s->args[i] = args[i];
		} else {
			load_args(s, regs);
		}
#else
		return NULL;
#endif
	} else {
		if (is_shared && is_taken(*wanted - 1))
			return NULL;
		s = scratch__take(SCRATCH_SYSCALL, thread);
		if (!s)
			return NULL;
		s->compat = compat;
		load_args(s, regs);
		if (compat)
			arrange_args(s, rows[row_of(*wanted - 1)].flags);
	}
	/* Read again: one that is kept would be on the stack, where 6.1 does not know what it was compared with. */
	s->number = syscall_number(regs);
	return s;
}
