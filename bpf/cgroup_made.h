/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* New cgroups. A container that ends at once takes its cgroup with it: then nobody can be asked for the path any more. */
#pragma once

#include "record.h"

/* Paths of containers have some 200 bytes, and who has a longer one is told by its beginning. */
#define CGROUP_PATH_MAX 512

struct cgroup_made_record {
	struct header header;
	__u16 lengths[CGROUP_MKDIR_PARAMS];
	__u64 id;
	char path[CGROUP_PATH_MAX];
} __attribute__((packed));

/* True for the hierarchy by which containers are told apart. */
static __always_inline bool tells_containers_apart(struct cgroup *cgroup)
{
	__s32 subsystem = subsystem_of_controller();

	if (!cgroup_controller)
		return BPF_CORE_READ(cgroup, root, hierarchy_id) == 0;
	return subsystem >= 0 && BPF_CORE_READ(cgroup, root, subsys_mask) & (1U << (subsystem & 31));
}

SEC("?tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	struct cgroup_made_record *r;
	__u64 sequence;
	long len;

	if (!tells_containers_apart(cgroup))
		return 0;
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r) {
		next_sequence(STREAM_CGROUP);
		count_drop(EVENT_CGROUP_MKDIR, DROP_RING_FULL);
		return 0;
	}
	r->lengths[CGROUP_MKDIR_ID] = sizeof(r->id);
	r->id = BPF_CORE_READ(cgroup, kn, id);
	len = bpf_probe_read_kernel_str(r->path, sizeof(r->path), path);
	r->lengths[CGROUP_MKDIR_PATH] = len > 0 ? len : 0;
	fill_header(r, EVENT_CGROUP_MKDIR, STREAM_CGROUP, 0);
	sequence = r->header.sequence;
	bpf_ringbuf_submit(r, wakeup_flags(sequence));
	return 0;
}
