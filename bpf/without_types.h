/* SPDX-License-Identifier: (MIT OR GPL-2.0-only) */
/*
 * In place of CO-RE for kernels without type information: every member of a kernel structure reads as nothing, and the
 * compiler drops what hangs on it. What such a read would fill is not in this object's rows (build.rs), so that it is
 * missing in records and not 0. No relocation is left.
 */
#pragma once

#undef BPF_CORE_READ
#define BPF_CORE_READ(src, a, ...) ((___type((src), a, ##__VA_ARGS__))0)
#undef BPF_CORE_READ_INTO
#define BPF_CORE_READ_INTO(to, src, a, ...) ((void)(to))
#undef BPF_CORE_READ_BITFIELD_PROBED
#define BPF_CORE_READ_BITFIELD_PROBED(src, field) 0
#undef bpf_core_field_exists
#define bpf_core_field_exists(field...) 0
#undef bpf_core_field_offset
#define bpf_core_field_offset(field...) 0
#undef bpf_core_type_exists
#define bpf_core_type_exists(type) 0
#undef bpf_core_type_size
#define bpf_core_type_size(type) 0
#undef bpf_core_enum_value_exists
#define bpf_core_enum_value_exists(type, value) 0
#undef bpf_core_enum_value
#define bpf_core_enum_value(type, value) 0

/*
 * Where the members of struct task_struct are that say who a task is, in bytes, as user space has found them by looking at
 * its own (capture's task_layout.rs); 0 where it has not. Fixed when the programs are loaded.
 */
const volatile struct task_layout task_layout SEC(".rodata.task") = {};
