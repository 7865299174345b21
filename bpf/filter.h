/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * Calls that no loaded rule and no state has a use for leave here, before anything is read or written for them. What is
 * wanted of an event is a set of classes (call_class.rs), which user space works out from the rules: too many may pass,
 * never too few.
 */
#pragma once

#include "calls.h"

/* The second argument of a call (1), still in its register, or the third. */
static __always_inline __u64 filter__argument(__u8 arg, struct pt_regs *regs, bool compat)
{
#if defined(__TARGET_ARCH_x86)
	if (arg == 1)
		return compat ? regs->cx : regs->si;
	return regs->dx;
#elif defined(__TARGET_ARCH_arm64)
	return arg == 1 ? regs->regs[1] : regs->regs[2];
#endif
}

/* By the flags of an open; the rest of the class is of every call. */
static __always_inline __u32 filter__open_class(__u64 flags)
{
	__u32 way = (flags & O_ACCMODE) | (flags & O_PATH ? O_ACCMODE + 1 : 0);
	__u32 class = CLASSES_OF_WAYS >> (way * CLASS_WAY_BITS) & CLASS_WAY;

	if (flags & (O_CREAT | O_TMPFILE_BIT))
		class |= CLASS_CREATES;
	if (flags & O_TRUNC)
		class |= CLASS_TRUNCATES;
	return class;
}

/* The family of the socket that a call makes, as __sock_create() takes it, where it has a class of its own. */
static __always_inline __u32 filter__family_class(struct pt_regs *regs, bool compat)
{
	__u32 family, type;

#if defined(__TARGET_ARCH_x86)
	family = compat ? regs->bx : regs->di;
	type = compat ? regs->cx : regs->si;
#elif defined(__TARGET_ARCH_arm64)
	family = regs->orig_x0;
	type = regs->regs[1];
#endif
	if (family == AF_INET && (type & SOCK_TYPE_MASK) == SOCK_PACKET)
		return 0;
	return family < CLASS_FAMILIES ? family : 0;
}

/* True unless all opens that end alike, and are of the same owner, are in the set or none. */
static __always_inline bool filter__minds_flags(__u64 classes)
{
	return (classes ^ classes << 1) & ~CLASSES_OF_NO_FLAGS;
}

/* What becomes of a call: it is dropped, passes, or does if it goes by certain names, of which this has to be said. */
#define FILTER_DROPS 0
#define FILTER_PASSES 0x100

static __always_inline __u32 filter__of_class(__u64 classes, __u64 named, __u32 class, __u32 by_name)
{
	__u64 is_wanted = -(classes >> class & 1), is_named = -(named >> class & 1);

	/* Without branches: the verifier would follow all that comes for each of their ends. */
	barrier_var(is_wanted);
	barrier_var(is_named);
	return is_wanted & (FILTER_PASSES ^ ((FILTER_PASSES ^ by_name) & is_named));
}

/*
 * What becomes of a call, whose names are read by the table `names` where that matters. What it costs is paid by the calls that
 * pass, so whose a call is, which takes a look into a map, is asked only where it decides. `of_thread`: its class by its thread.
 */
static __always_inline __u32 filter__passes(__u32 row, struct pt_regs *regs, bool compat, __u32 of_thread, __s64 ret,
					    __u32 names)
{
	const volatile struct event_row *event = &rows[row & (ROWS - 1)];
	__u64 classes = config.classes[row & (ROWS - 1)], named = 0, cgroup;
	__u32 class = 0, by_name = NAME_PASSES_READ | NAME_PASSES, host, container, *owner;

	if (event->flags & (ROW_OPENS | ROW_NAMED) && names) {
		const struct name_table *table = names__table(names);

		if (table)
			named = table->named[row & (ROWS - 1)];
	}
	if (classes == ~0ULL && !named)
		return FILTER_PASSES;
	if (event->mode) {
		class = (filter__argument(event->mode, regs, compat) & CLASS_MODE) >> CLASS_MODE_SHIFT;
	} else if (event->open_flags) {
		__u64 flags = filter__argument(event->open_flags, regs, compat);

		if (event->flags & ROW_OPEN_HOW) {
			if (!named && !filter__minds_flags(classes))
				goto of_class;
			/* As the record has them, unless another thread changes them in between: see ADR 21. */
			if (bpf_probe_read_user(&flags, sizeof(flags), (void *)flags))
				return FILTER_PASSES;
		}
		class = filter__open_class(flags);
		by_name = CLASSES_THAT_READ >> class & 1 ? NAME_PASSES_READ : NAME_PASSES;
	} else if (event->flags & ROW_FAMILY) {
		class = filter__family_class(regs, compat);
	} else if (event->flags & ROW_OF_THREAD) {
		class = of_thread;
	} else if (event->flags & ROW_NAMED) {
		by_name = NAME_PASSES;
	}
of_class:
	if (ret < 0)
		class |= CLASS_FAILED;
	host = filter__of_class(classes, named, class, by_name);
	container = filter__of_class(classes, named, class | CLASS_CONTAINER, by_name);
	if (host == container)
		return host;
	cgroup = current_cgroup();
	owner = bpf_map_lookup_elem(&owners, &cgroup);
	if (!owner || *owner >> 1 != consumer.generation)
		return host > container ? host : container;
	return *owner & OWNER_CONTAINER ? container : host;
}
