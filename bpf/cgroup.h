/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/* The cgroup of the current task, in the hierarchy by which containers are told apart. */
#pragma once

#include "loads.h"
#include "events.h"
#ifdef WITHOUT_TYPES
#include "without_types.h"
#endif

/* CGROUP_*: the controller of version 1 whose hierarchy it is, 0 for version 2. Fixed when the programs are loaded. */
const volatile __u32 cgroup_controller SEC(".rodata.host") = 0;

static __always_inline bool has_task_btf(void)
{
	/* Loads are younger. */
	if (has_loads())
		return true;
	return bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf);
}

#define SUBSYSTEM(name)                                                                                                \
	(bpf_core_enum_value_exists(enum cgroup_subsys_id, name) ?                                                     \
		 (__s32)bpf_core_enum_value(enum cgroup_subsys_id, name) :                                             \
		 -1)

/* The kernel's number of the controller; negative for version 2, and for one this kernel doesn't have. */
static __always_inline __s32 subsystem_of_controller(void)
{
	__s32 subsystem = -1;

	switch (cgroup_controller) {
	case CGROUP_MEMORY:
		subsystem = SUBSYSTEM(memory_cgrp_id);
		break;
	case CGROUP_PIDS:
		subsystem = SUBSYSTEM(pids_cgrp_id);
		break;
	case CGROUP_CPU:
		subsystem = SUBSYSTEM(cpu_cgrp_id);
		break;
	case CGROUP_CPUACCT:
		subsystem = SUBSYSTEM(cpuacct_cgrp_id);
		break;
	case CGROUP_CPUSET:
		subsystem = SUBSYSTEM(cpuset_cgrp_id);
		break;
	case CGROUP_BLKIO:
		subsystem = SUBSYSTEM(io_cgrp_id);
		break;
	case CGROUP_DEVICES:
		subsystem = SUBSYSTEM(devices_cgrp_id);
		break;
	case CGROUP_FREEZER:
		subsystem = SUBSYSTEM(freezer_cgrp_id);
		break;
	}
	return subsystem;
}

/* On a host without version 2 its hierarchy is there, unmounted, with every task in its root. */
static __noinline __u64 cgroup_of_controller(void)
{
	struct cgroup_subsys_state *state = NULL;
	struct css_set *set;
	__s32 subsystem = subsystem_of_controller();

	/* Without types there is none: user space asks /proc. */
	if (subsystem < 0)
		return 0;
	if (has_task_btf()) {
		/* Loads instead of probe reads, which are much dearer: this is done for every record. */
		struct task_struct *task = has_loads() ? loaded_task() : bpf_get_current_task_btf();
		struct cgroup_subsys_state **states = (void *)task->cgroups + bpf_core_field_offset(struct css_set, subsys);

		return states[subsystem]->cgroup->kn->id;
	}
	set = BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), cgroups);
	bpf_probe_read_kernel(&state, sizeof(state),
			      (void *)set + bpf_core_field_offset(struct css_set, subsys) + subsystem * sizeof(state));
	return BPF_CORE_READ(state, cgroup, kn, id);
}

/* The same of a task that is the current one: where there are loads, it is read from there. */
static __always_inline __u64 cgroup_of_current(struct task_struct *task)
{
	if (cgroup_controller)
		return cgroup_of_controller();
#ifndef WITHOUT_TYPES
	if (has_loads())
		return task->cgroups->dfl_cgrp->kn->id;
#endif
	return bpf_get_current_cgroup_id();
}

static __always_inline __u64 current_cgroup(void)
{
#ifdef WITHOUT_TYPES
	return cgroup_of_current(NULL);
#else
	return cgroup_of_current(has_loads() ? loaded_task() : NULL);
#endif
}
