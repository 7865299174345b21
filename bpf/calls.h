/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* What single calls have that others do not: semaphores, mount options, keys, quotas. */
#pragma once

#include "extract.h"

/* struct sembuf */
#define SEMBUF_LEN 6
#define SEMBUF_FIRST_SIGNED 2

/* A member of the first or second operation of semop(): its number, what is added, its flags. */
static __always_inline void put_sembuf(struct scratch *s, __u32 index, __u64 at, __u32 offset)
{
	__s16 member = 0;

	if (offset < (__u32)s->args[2] * SEMBUF_LEN &&
	    bpf_probe_read_user(&member, sizeof(member), (void *)at + offset)) {
		count_miss(MISS_USER_MEMORY);
		return;
	}
	put_u64(s, index, offset % SEMBUF_LEN == SEMBUF_FIRST_SIGNED ? (__u64)(__s64)member : (__u16)member);
}

/* include/uapi/linux/sem.h; 32-bit callers ask for the newer structures with IPC_64. */
#define SEM_SETVAL 16
#define SEM_IPC_64 0x100

/* include/uapi/linux/mount.h */
#define FSCONFIG_SET_STRING 1
#define FSCONFIG_SET_BINARY 2
#define FSCONFIG_SET_PATH 3
#define FSCONFIG_SET_PATH_EMPTY 4

__noinline int extract__fsconfig(__u32 index, __u64 at, __u32 is_text)
{
	struct scratch *s = syscall_scratch();
	__u32 command;

	if (!s)
		return 0;
	command = s->args[1];
	if (is_text && (command == FSCONFIG_SET_STRING || command == FSCONFIG_SET_PATH ||
			command == FSCONFIG_SET_PATH_EMPTY))
		put_user_str(s, index, (void *)at);
	else if (!is_text && command == FSCONFIG_SET_BINARY)
		extract__data(index, at, (__u32)s->args[4]);
	return 0;
}

/*
 * keyctl()'s arguments by operation (include/uapi/linux/keyctl.h): how many there are behind the operation, and
 * which of them are text. Operations from KEYCTL_OPERATIONS on are not known.
 */
#define KEYCTL_OPERATIONS 33
#define KEYCTL_JOIN_SESSION_KEYRING 1
#define KEYCTL_SEARCH 10
#define KEYCTL_PKEY_QUERY 24
#define KEYCTL_PKEY_ENCRYPT 25
#define KEYCTL_PKEY_VERIFY 28
#define KEYCTL_RESTRICT_KEYRING 29

static __always_inline __u32 keyctl_args(__u32 operation)
{
	/* 0 GET_KEYRING_ID … 15 SET_TIMEOUT, 16 ASSUME_AUTHORITY … 32 WATCH_KEY: one digit each, the first the lowest. */
	const __u64 first = 0x2134342213231312ULL, second = 0x2434444342144031ULL;

	if (operation < 16)
		return first >> operation * 4 & 7;
	if (operation < 32)
		return second >> (operation - 16) * 4 & 7;
	return operation < KEYCTL_OPERATIONS ? 3 : 0;
}

static __always_inline bool is_keyctl_text(__u32 operation, __u32 arg)
{
	switch (operation) {
	case KEYCTL_JOIN_SESSION_KEYRING:
		return arg == 1;
	case KEYCTL_SEARCH:
	case KEYCTL_RESTRICT_KEYRING:
		return arg == 2 || arg == 3;
	case KEYCTL_PKEY_QUERY:
		return arg == 3;
	}
	return operation >= KEYCTL_PKEY_ENCRYPT && operation <= KEYCTL_PKEY_VERIFY && arg == 2;
}

__noinline int extract__keyctl(__u32 index, __u32 arg)
{
	struct scratch *s = syscall_scratch();
	__u32 operation;
	__u64 value, off;
	long len;

	if (!s || !room(s, &off))
		return 0;
	operation = s->args[0];
	value = arg <= keyctl_args(operation) ? s->args[arg & 7] : 0;
	if (value && is_keyctl_text(operation, arg)) {
		data(s)[off] = DYN_BYTES;
		/* As long with the kind as with the NUL. */
		len = read_user_str(data(s) + off + 1, STRING_MAX - 1, (void *)value);
		if (len <= 0)
			count_miss(MISS_USER_MEMORY);
		else
			advance(s, index, len & (STRING_MAX - 1), false);
		return 0;
	}
	data(s)[off] = DYN_NUMBER;
	/* Ids are signed: those of the special keyrings are below zero. */
	*(__u64 *)(data(s) + off + 1) = s->compat ? (__u64)(__s64)(__s32)value : value;
	advance(s, index, 9, false);
	return 0;
}

/* quotactl()'s commands that have something there (include/uapi/linux/quota.h, dqblk_xfs.h). */
#define Q_QUOTAON 0x800002
#define Q_GETFMT 0x800004
#define Q_GETINFO 0x800005
#define Q_SETINFO 0x800006
#define Q_GETQUOTA 0x800007
#define Q_SETQUOTA 0x800008
#define Q_XGETQUOTA 0x5803
#define Q_XSETQLIM 0x5804

static __always_inline __u32 quota_command(struct scratch *s)
{
	/* The lowest byte is the type of quota. */
	return (__u32)s->args[0] >> 8;
}

__noinline int extract__quota(__u32 index, __u32 what)
{
	struct scratch *s = syscall_scratch();
	__u32 kind = what & 0xc0, command;
	__u64 value = 0, at;
	bool is_there, is_asked;

	if (!s)
		return 0;
	command = quota_command(s);
	at = s->args[3] + (what & 0x3f);
	if (kind == QUOTA_FILE) {
		if (command == Q_QUOTAON)
			put_user_str(s, index, (void *)at);
		return 0;
	}
	is_asked = command == Q_GETQUOTA || command == Q_GETINFO || command == Q_GETFMT;
	if (kind == QUOTA_FORMAT)
		is_there = command == Q_GETFMT;
	else if (kind == QUOTA_INFO)
		is_there = command == Q_GETINFO || command == Q_SETINFO;
	else
		is_there = command == Q_GETQUOTA || command == Q_SETQUOTA;
	if (is_there && (s->ret >= 0 || !is_asked) &&
	    /* The third member of struct if_dqinfo and the format are 32 bits wide. */
	    bpf_probe_read_user(&value, kind == QUOTA_FORMAT || what == (QUOTA_INFO | 16) ? 4 : 8, (void *)at)) {
		count_miss(MISS_USER_MEMORY);
		return 0;
	}
	put_u64(s, index, value);
	return 0;
}

static __always_inline void put_quota_id(struct scratch *s, __u32 index, __u32 id, __u32 is_format)
{
	__u32 command = quota_command(s);
	bool has_id = command == Q_GETQUOTA || command == Q_SETQUOTA || command == Q_XGETQUOTA || command == Q_XSETQLIM;

	put_u64(s, index, (is_format ? command == Q_QUOTAON : has_id) ? id : 0);
}
