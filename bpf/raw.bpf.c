// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
/*
 * The object of tier C, for kernels without type information: raw tracepoints, helpers, and the registers of a call. The
 * walk through the rows is that of the other tiers; what takes kernel structures is missing, or /proc's.
 */
#define WITHOUT_TYPES
#include "exit.h"
#include "raw.h"
#include "own.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";
