// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
/* The object of tier B: one dispatcher for the returns of system calls, and the life of processes. */
#include "exit.h"
#include "io_uring.h"
#include "path_hooks.h"
#include "task.h"
#include "signal.h"
#include "cgroup_made.h"
#include "own.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";
