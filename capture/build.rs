//! Turns the schema's event table into the header the BPF programs include, and builds the object.

#![allow(clippy::expect_used, clippy::panic)] // a build script fails by panicking

#[path = "src/btf.rs"]
#[expect(dead_code, reason = "what reads the kernel's types reads the compiler's, too")]
mod btf;

use std::collections::BTreeSet;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use lanner_schema::call_class::{
    self, CLASS_CONTAINER, CLASS_CREATES, CLASS_FAILED, CLASS_FAMILIES, CLASS_MODE, CLASS_MODE_SHIFT,
    CLASS_OTHER_THREAD, CLASS_TRUNCATES, ClassSet,
};
use lanner_schema::cgroup::Controller;
use lanner_schema::event::{
    DEDICATED_COUNT, EVENT_COUNT, EVENTS, Event, EventRow, Extractor, Holder, MAX_PARAMS, MAX_SNAPLEN,
    MAX_WALKED_PARAMS, Origin, Param, ParamType, QuotaPart, SOCKETCALLS,
};
use lanner_schema::open_names::OpenNames;
use lanner_schema::path_hook::{noted, noted_place};
use lanner_schema::task::TaskValue;
use lanner_schema::tier::needs_types;
use lanner_schema::{name_table, record};

use crate::btf::Btf;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let bpf = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"))
        .join("../bpf");
    println!("cargo:rerun-if-changed={}", bpf.display());
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/btf.rs");
    fs::write(out.join("events.h"), header()).expect("write events.h");
    let arch = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => "x86",
        Ok("aarch64") => "arm64",
        other => panic!("no BPF programs for target architecture {other:?}"),
    };
    let objects = [
        ("loads", "lanner", "-DHAS_LOADS"),
        ("lanner", "lanner", "-UHAS_LOADS"),
        ("raw", "raw", "-UHAS_LOADS"),
        ("task_word", "task_word", "-UHAS_LOADS"),
        // Belongs to the example `empty_hook`.
        ("empty", "empty", "-UHAS_LOADS"),
    ];
    for (name, source, loads) in objects {
        let mut builder = libbpf_cargo::SkeletonBuilder::new();
        builder
            .source(bpf.join(format!("{source}.bpf.c")))
            .obj(out.join(format!("{name}.bpf.o")))
            .clang_args([
                "-I".as_ref(),
                out.as_os_str(),
                format!("-D__TARGET_ARCH_{arch}").as_ref(),
                "-Wall".as_ref(),
                "-Wextra".as_ref(),
                "-Wimplicit-fallthrough".as_ref(),
                "-Werror".as_ref(),
                "-Wno-unused-parameter".as_ref(),
                "-Wno-unused-function".as_ref(),
                "-Wno-sign-compare".as_ref(),
                "-mcpu=v2".as_ref(),
                loads.as_ref(),
            ]);
        if let Err(error) = builder.build() {
            panic!("the BPF object {name} does not build (clang 14 or newer is needed): {error:?}");
        }
    }
    let typed =
        ["loads", "lanner"].map(|name| fs::read(out.join(format!("{name}.bpf.o"))).expect("read the object"));
    fs::write(out.join("type_names.rs"), type_names(&typed)).expect("write type_names.rs");
    // A fifth of the size, mostly for what says which line of the source an instruction is of.
    for name in ["loads", "lanner", "raw"] {
        let object = fs::read(out.join(format!("{name}.bpf.o"))).expect("read the object");
        let packed = fs::File::create(out.join(format!("{name}.bpf.z"))).expect("create the packed object");
        let mut packer = ZlibEncoder::new(packed, Compression::best());
        packer.write_all(&object).expect("pack the object");
        packer.finish().expect("pack the object");
    }
}

/// The names of the types that objects know: the programs are fitted to those of the kernel's that have such a name.
fn type_names(objects: &[Vec<u8>]) -> String {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for object in objects {
        let bytes = section(object, ".BTF").expect("the object has type information");
        let btf = Btf::read(bytes).expect("the compiler's type information is readable");
        let named = btf.all().filter(|(_, one)| one.has_named_form());
        let of_object = named
            .map(|(_, one)| String::from_utf8_lossy(btf.name(one)).into_owned())
            // What is behind that tells forms of one type apart.
            .map(|name| name.split("___").next().unwrap_or_default().to_owned());
        names.extend(of_object);
    }
    let names: Vec<String> = names.iter().map(|name| format!("    b\"{name}\",\n")).collect();
    format!("[\n{}]\n", names.concat())
}

/// What is in a section of an ELF file for 64-bit machines of this one's byte order.
fn section<'o>(object: &'o [u8], name: &str) -> Option<&'o [u8]> {
    let number = |at: usize, length: usize| {
        let mut bytes = [0; 8];
        bytes[..length].copy_from_slice(object.get(at..at + length)?);
        usize::try_from(u64::from_ne_bytes(bytes)).ok()
    };
    let headers = number(0x28, 8)?;
    let (count, names) = (number(0x3c, 2)?, number(0x3e, 2)?);
    let header = |index: usize| headers + index * 64;
    let names = number(header(names) + 0x18, 8)?;
    let found = (0..count).map(header).find(|header| {
        let begin = number(*header, 4).map(|at| names + at);
        begin.is_some_and(|begin| object[begin..].starts_with(format!("{name}\0").as_bytes()))
    })?;
    let begin = number(found + 0x18, 8)?;
    object.get(begin..begin + number(found + 0x20, 8)?)
}

/// What of a `quotactl` a parameter is, beside the offset of a member: not of the structure of limits.
const QUOTA_INFO: u8 = 0x40;
const QUOTA_FORMAT: u8 = 0x80;
const QUOTA_FILE: u8 = 0xc0;

fn define(out: &mut String, name: impl AsRef<str>, value: impl std::fmt::Display) {
    writeln!(out, "#define {} {value}", name.as_ref().to_uppercase()).expect("write to a string");
}

fn header() -> String {
    let (dedicated, by_number) = EVENTS.split_at(DEDICATED_COUNT);
    // One row serves all the calls that are captured by number.
    let rows = (DEDICATED_COUNT + 1).next_power_of_two();
    let mut out = String::from("/* Generated from the event table (lanner-schema). */\n#pragma once\n\n");
    define(&mut out, "EVENT_COUNT", EVENT_COUNT);
    define(&mut out, "ROWS", rows);
    define(&mut out, "ROW_BY_NUMBER", DEDICATED_COUNT);
    define(&mut out, "MAX_PARAMS", MAX_PARAMS);
    define(&mut out, "MAX_WALKED", MAX_WALKED_PARAMS);
    define(&mut out, "HEADER_LEN", record::HEADER_LEN);
    define(&mut out, "STRING_MAX", record::STRING_MAX);
    define(&mut out, "DATA_MAX", record::DATA_MASK);
    // For the verifier.
    define(&mut out, "DATA_MASK", format!("{}UL", record::DATA_MASK));
    // A per-CPU value is at most 32 KiB.
    define(&mut out, "SCRATCH_LEN", record::LEN_MAX);
    define(&mut out, "TUPLE_LEN", record::TUPLE_LEN);
    define(&mut out, "OBJECT_LEN", record::OBJECT_LEN);
    define(&mut out, "TASK_STATE_LEN", record::TASK_STATE_LEN);
    define(&mut out, "OBJECT_INTERNAL", record::OBJECT_INTERNAL);
    define(&mut out, "OBJECT_UPPER", record::OBJECT_UPPER);
    define(&mut out, "OBJECT_LOWER", record::OBJECT_LOWER);
    define(&mut out, "NSFS_MAGIC", lanner_schema::descriptor::NSFS_MAGIC);
    define(&mut out, "SOCKET_CONNECTED", record::SOCKET_CONNECTED);
    define(&mut out, "SOCKET_ACCEPTED", record::SOCKET_ACCEPTED);
    define(&mut out, "SOCKET_BOUND", record::SOCKET_BOUND);
    define(&mut out, "SOCK_UNTOLD", record::SOCK_UNTOLD);
    define(&mut out, "DYN_BYTES", record::DYN_BYTES);
    define(&mut out, "DYN_ERRNO", record::DYN_ERRNO);
    define(&mut out, "DYN_NUMBER", record::DYN_NUMBER);
    define(&mut out, "MAX_SNAPLEN", MAX_SNAPLEN);
    define(&mut out, "QUOTA_INFO", QUOTA_INFO);
    define(&mut out, "QUOTA_FORMAT", QUOTA_FORMAT);
    define(&mut out, "QUOTA_FILE", QUOTA_FILE);
    define(&mut out, "LENGTH_CUT", record::TRUNCATED);
    define(&mut out, "FLAG_COMPAT", record::FLAG_COMPAT);
    define(&mut out, "FLAG_IO_URING", record::FLAG_IO_URING);
    define(&mut out, "FLAG_COMPLETES", record::FLAG_COMPLETES);
    for operation in lanner_schema::io_uring::OPERATIONS {
        define(
            &mut out,
            format!("IORING_OP_{}", operation.name),
            operation.number,
        );
    }
    define(&mut out, "REQUEST_TAIL_LEN", record::RequestTail::LEN);
    for (name, bit) in record::RequestTail::FLAGS {
        define(&mut out, format!("REQUEST_{name}"), bit);
    }
    define(
        &mut out,
        "DIRECT_DESCRIPTOR",
        format!("{}L", record::DIRECT_DESCRIPTOR),
    );
    define(&mut out, "STREAM_COUNT", record::STREAMS.len());
    for (index, name) in record::STREAMS.iter().enumerate() {
        define(&mut out, format!("STREAM_{name}"), index);
    }
    define(&mut out, "DROP_REASONS", record::DROP_REASONS.len());
    define(&mut out, "DROP_RING_FULL", 0);
    define(&mut out, "DROP_SCRATCH", 1);
    for value in TaskValue::ALL {
        define(&mut out, format!("TASK_{}", value.name()), *value as u8);
    }
    define(&mut out, "TASK_VALUES", TaskValue::ALL.len());
    define(&mut out, "SOCKETCALL_NAMES", SOCKETCALLS.len());
    define(&mut out, "CLASS_CREATES", CLASS_CREATES);
    define(&mut out, "CLASS_TRUNCATES", CLASS_TRUNCATES);
    define(&mut out, "CLASS_WAY", call_class::CLASS_WAY);
    define(&mut out, "CLASS_WAY_BITS", call_class::CLASS_WAY.count_ones());
    define(&mut out, "CLASSES_OF_WAYS", call_class::classes_of_ways());
    define(
        &mut out,
        "CLASSES_THAT_READ",
        ClassSet::reads().bits() & ((1 << CLASS_FAMILIES) - 1),
    );
    define(
        &mut out,
        "CLASSES_OF_NO_FLAGS",
        format!("{}UL", call_class::without_flags().bits()),
    );
    define(&mut out, "CLASS_FAILED", CLASS_FAILED);
    define(&mut out, "CLASS_FAMILIES", CLASS_FAMILIES);
    define(&mut out, "CLASS_CONTAINER", CLASS_CONTAINER);
    define(&mut out, "CLASS_OTHER_THREAD", CLASS_OTHER_THREAD);
    define(&mut out, "CLASS_MODE_SHIFT", CLASS_MODE_SHIFT);
    define(&mut out, "CLASS_MODE", CLASS_MODE);
    define(&mut out, "NAME_CELLS", name_table::NAME_CELLS);
    define(&mut out, "NAME_CLASSES", name_table::NAME_CLASSES);
    define(&mut out, "NAME_PASSES_READ", name_table::NAME_PASSES_READ);
    define(&mut out, "NAME_PASSES", name_table::NAME_PASSES);
    define(&mut out, "NAME_RAW", name_table::NAME_RAW);
    define(&mut out, "NAME_WITH_RAW", name_table::NAME_WITH_RAW);
    define(&mut out, "NAME_UNLESS_REAL", name_table::NAME_UNLESS_REAL);
    define(&mut out, "MISS_KINDS", record::MISS_KINDS.len());
    for (index, name) in record::MISS_KINDS.iter().enumerate() {
        define(&mut out, format!("MISS_{name}"), index);
    }
    for (number, controller) in (1..).zip(Controller::ALL) {
        define(&mut out, format!("CGROUP_{}", controller.name()), number);
    }
    out.push_str(LIMITS);
    for row in dedicated {
        define(&mut out, format!("EVENT_{}", row.name), row.event as u16);
        if row.params.iter().any(|p| p.from == Origin::Program) {
            define(&mut out, format!("{}_PARAMS", row.name), row.params.len());
            for (index, param) in row.params.iter().enumerate() {
                define(&mut out, format!("{}_{}", row.name, param.name), index);
            }
        }
    }
    for flag in lanner_schema::flags::EXECVE_FLAGS.names {
        define(&mut out, flag.name, flag.bits);
    }
    define(
        &mut out,
        "O_F_CREATED",
        format!("{}UL", lanner_schema::flags::O_F_CREATED),
    );
    out.push_str(STRUCTS);
    for (name, has_types) in [("EVENT_ROWS", true), ("EVENT_ROWS_WITHOUT_TYPES", false)] {
        out.push_str(&format!("\n#define {name} {{ \\\n"));
        for row in dedicated.iter().chain(by_number.first()) {
            out.push_str(&c_row(row, has_types));
        }
        out.push_str("}\n");
    }
    out
}

/// Sizes of the record; see maps.h and record.h for what they bound.
const LIMITS: &str = "
#define NAME_MAX_LEN 256     /* NAME_MAX and its NUL */
#define PATH_COMPONENTS 64
#define FD_WORDS 256         /* of the bitmap of open descriptors, 64 in each */
#define ARGV_STRINGS 24      /* of a failed execve */
#define ARGV_STRING_MAX 512
#define DATA_IOVECS 8        /* of a message, to gather its first bytes from */
#define GROUPS 32            /* of a process's supplementary groups, looked through for a file's */
#define REAPER_THREADS 32    /* of a process, to find one that goes on */
#define REAPER_ANCESTORS 64  /* of a process, to find its reaper among */
#define CHILDREN 32          /* of a thread, to find one by its number among */
#define CHILD_THREADS 32     /* of a process, whose children are looked through */
#define SIZE_IOVECS 32       /* of a message, whose lengths are added up: as many as Falco does */
#define RECORDS_PER_QUERY 32 /* of one stream on one CPU; a query of the ring costs as much as a small record */
#define LOSING_CGROUPS 4096
#define OWNERS 8192          /* cgroups of which the kernel's side is told whose they are */
#define OWNER_CONTAINER 1    /* in owners, beside the generation */
#define SYSCALLS 512
#define MAX_ERRNO 4095      /* include/linux/err.h */
#define SOCKETCALLS 32       /* 0: a call that does not exist */
#define SOCKETCALL 0xffff    /* in config.syscalls: i386 socketcall(2) */
#define MULTISHOTS 1024      /* requests of io_uring that complete many times */
#define CALLS_BEGUN 1024     /* calls of which a value is kept while they last */
#define ROW_FAILURES_ONLY 1
#define OBJECT_OF_RESULT 1     /* param_row.extra of an object: the argument, */
#define OBJECT_OF_COPY 2       /* the result, the result unless it failed, */
#define OBJECT_OF_FIRST 3      /* the first in an array that the call fills */
#define POLL_FDS 64            /* of a poll, looked through for those on which something happened */
#define POLL_OBJECTS 16        /* of those, looked at */
#define ROW_MESSAGES 2       /* a record for every message */
#define ROW_AT_ENTER 4       /* a parameter is read when the call begins */
#define ROW_ARGS_BEHIND 8    /* 32-bit callers have all arguments in memory, at the address in the first */
#define ROW_WIDE_MASK 16     /* 32-bit callers have the third argument in two */
#define ROW_FORKS 32         /* it returns in the child, too */
#define ROW_OPENS 64         /* it opens a file by a path, which may decide whether it is wanted */
#define ROW_FAMILY 128       /* it makes a socket, whose family may decide whether it is wanted */
#define ROW_OF_THREAD 256    /* it changes the credentials of its thread and nothing else */
#define ROW_NAMED 512        /* it leaves no file, and goes by paths, which may decide whether it is wanted */
#define ROW_OPEN_HOW 1024    /* it opens a file, and its flags are in memory: event_row.open_flags is where */
#define MESSAGES_MAX 128     /* of one call; more are counted */

";

const STRUCTS: &str = "
struct header {
	__u16 event;
	__u8 stream, flags;
	__u16 cpu, image;
	__u64 sequence, time;
	__u32 tid, pid;
	__u64 cgroup;
	__u32 uid, gid;
};
_Static_assert(sizeof(struct header) == HEADER_LEN, \"header layout\");

enum param_op {
	OP_NONE, OP_RETURN, OP_ARG_S32, OP_ARG_U32, OP_ARG_64, OP_USER_STRING, OP_USER_U64, OP_USER_PATH,
	OP_SOCK_TUPLE, OP_SOCK_ADDR, OP_OPENED_DEV, OP_OPENED_INO, OP_ARGV, OP_CWD,
	OP_SENDTO_TUPLE, OP_SENDMSG_TUPLE, OP_SENT_DATA, OP_SENT_MSG_DATA, OP_MSG_SIZE,
	OP_USER_U32, OP_PIPE_INO, OP_RESULT_PATH, OP_CREAT_FLAGS, OP_RESULT_LAYER, OP_POLL_FDS, OP_POLL_OBJECTS, OP_TIME,
	OP_SIGSET, OP_OBJECT, OP_ARG_TUPLE,
	OP_ARG_ID, OP_RESULT_U64, OP_CAPABILITIES, OP_MOUNT_FLAGS, OP_PRCTL_NAME, OP_PRCTL_NUMBER, OP_USER_LONG,
	OP_RESULT_LONG,
	OP_PTRACE_ADDR, OP_PTRACE_DATA, OP_MODULE_IMAGE, OP_TASK_STATE,
	OP_RESULT_TUPLE, OP_RECVFROM_TUPLE, OP_RECVMSG_TUPLE, OP_RECEIVED_DATA, OP_RECEIVED_MSG_DATA, OP_RECEIVED_SIZE,
	OP_MSG_CONTROL, OP_QUEUE_PERCENT, OP_QUEUE_LENGTH, OP_QUEUE_MAX, OP_PAIR_FD, OP_PAIR_SOCKET, OP_PAIR_TUPLE,
	OP_SOCKOPT_LEVEL, OP_SOCKOPT_NAME, OP_SOCKOPT_VALUE, OP_SOCKOPT_LEN, OP_SOCKET_FLAGS, OP_SOCKET_FAMILY,
	OP_VECTOR_DATA, OP_VECTOR_SIZE, OP_POSITION, OP_SENDFILE_OFFSET,
	OP_RESULT_STRING, OP_USER_BYTES, OP_RESULT_ID, OP_LLSEEK_OFFSET, OP_SEMCTL_VALUE, OP_SEMBUF, OP_FSCONFIG, OP_KEYCTL,
	OP_QUOTA, OP_QUOTA_ID,
	OP_NUMBER, OP_NOTED,
};

struct param_row {
	__u8 op, arg, extra, index, on_demand, open_flags, at_enter;
};

struct event_row {
	__u8 count, params;
	__u16 flags;
	__u8 open_flags; /* the argument with the flags of an open or with their address, 0 where there is none */
	__u8 mode; /* the argument with the mode that a file gets, 0 where there is none */
	__u8 path, real; /* of a ROW_OPENS: where in `walked` the path is that was asked for, and the kernel's name */
	                 /* of a ROW_NAMED: its paths */
	__u32 noted; /* the parameters that are noted during the call */
	struct param_row walked[MAX_WALKED];
};

/* Mirrored by capture's bpf.rs, which checks the size. */
struct config {
	__u32 self_pid;             /* calls of this process are not reported */
	__u32 thread_exits;         /* report the end of every thread, not only of processes */
	__u32 drop_failed;          /* do not report calls that failed */
	__u32 snaplen;              /* the most bytes of data that a record carries */
	__u32 syscalls[SYSCALLS];   /* by number: row + 1 for native callers, row + 1 for 32-bit callers << 16 */
	__u16 socketcalls[SOCKETCALLS];
	__u32 params[ROWS];         /* on-demand parameters that are read, by row */
	__u32 task[ROWS];           /* values of the thread that are read (TASK_*) */
	__u64 classes[ROWS];        /* of calls that somebody wants, by row: see call_class.rs */
	__u32 page_kb;
	__u32 names;                /* which of name_tables, and one; 0 while names are not looked at */
	__u32 requests[2];          /* operations of io_uring that are reported, by their number's bit */
};

/* Mirrored by capture's fitting.rs. */
struct kernel_types {
	__u32 dentry, file, io_kiocb, linux_binprm, mount, socket, task_struct;
};

/* Mirrored by capture's task_layout.rs. */
struct task_layout {
	__u32 status, pid, tgid, real_parent;
};

struct consumer {
	__u32 sleeping;
	__u32 generation; /* of what is known of the owners of cgroups; what is said in another one is out of date */
};
";

fn c_row(row: &EventRow, has_types: bool) -> String {
    let (origins, walked): (Vec<Origin>, Vec<String>) = row
        .params
        .iter()
        .enumerate()
        .filter(|(_, param)| has_types || !needs_types(param.from))
        .filter_map(|(index, param)| Some((param.from, c_param(row, index, param)?)))
        .unzip();
    // Behind the last one where there is none.
    let place =
        |is_one: &dyn Fn(&Origin) -> bool| origins.iter().position(is_one).unwrap_or(MAX_WALKED_PARAMS);
    let path = place(&|from| matches!(from, Origin::UserPath { .. }));
    let real = place(&|from| matches!(from, Origin::Extractor(Extractor::ResultPath)));
    let leaves_no_file = OpenNames::calls().any(|call| call == row.event);
    let is_path = |from: &&Origin| matches!(from, Origin::UserPath { .. });
    let real = match leaves_no_file {
        true => {
            let paths = (0..).zip(&origins).filter(|(_, from)| is_path(from));
            paths.map(|(index, _)| index).nth(1).unwrap_or(MAX_WALKED_PARAMS)
        }
        false => real,
    };
    let flags = match row.event {
        Event::Execve | Event::Execveat => "ROW_FAILURES_ONLY",
        Event::Sendmmsg | Event::Recvmmsg => "ROW_MESSAGES",
        Event::Mmap => "ROW_ARGS_BEHIND",
        Event::FanotifyMark => "ROW_WIDE_MASK",
        _ if row.event.returns_twice() => "ROW_FORKS",
        _ if row.family().is_some() => "ROW_FAMILY",
        _ if row.is_of_thread() => "ROW_OF_THREAD",
        _ if leaves_no_file => "ROW_NAMED",
        event if OpenNames::events().any(|opens| opens == event) => match row.open_how_arg() {
            Some(_) => "ROW_OPENS | ROW_OPEN_HOW",
            None => "ROW_OPENS",
        },
        _ if has_types && row.at_enter() != 0 => "ROW_AT_ENTER",
        _ => "0",
    };
    format!(
        "\t[{}] = {{ .count = {}, .params = {}, .flags = {flags}, .open_flags = {}, .mode = {}, .path = {path}, .real = {real}, .noted = {}, .walked = {{ {} }} }}, /* {} */ \\\n",
        row.event as u16,
        walked.len(),
        row.params.len(),
        row.open_flags_arg().or(row.open_how_arg()).unwrap_or(0),
        row.mode().map_or(0, |(_, arg)| arg),
        noted(row),
        walked.join(", "),
        row.name
    )
}

fn c_param(row: &EventRow, index: usize, param: &Param) -> Option<String> {
    let (op, arg, extra) = match param.from {
        Origin::Return => ("OP_RETURN", 0, 0),
        Origin::Number => ("OP_NUMBER", 0, 0),
        Origin::Arg(arg) => (width(param.ty), arg, 0),
        Origin::Int(arg) => ("OP_ARG_S32", arg, 0),
        Origin::Id(arg) => ("OP_ARG_ID", arg, 0),
        Origin::Position { arg, compat } => ("OP_POSITION", arg, compat),
        Origin::UserString(arg) => ("OP_USER_STRING", arg, 0),
        Origin::ResultString(arg) => ("OP_RESULT_STRING", arg, 0),
        Origin::UserBytes { arg, length } => ("OP_USER_BYTES", arg, length),
        Origin::UserPath { path, dirfd } => ("OP_USER_PATH", path, dirfd.unwrap_or(u8::MAX)),
        Origin::UserU32 { arg, offset } => ("OP_USER_U32", arg, offset),
        Origin::UserU64 { arg, offset } => ("OP_USER_U64", arg, offset),
        Origin::ResultU64 { arg, offset } => ("OP_RESULT_U64", arg, offset),
        Origin::UserLong { arg, member } => ("OP_USER_LONG", arg, member),
        Origin::ResultLong { arg, member } => ("OP_RESULT_LONG", arg, member),
        Origin::ResultId(arg) => ("OP_RESULT_ID", arg, 0),
        Origin::UserTime(arg) => ("OP_TIME", arg, 0),
        Origin::UserSignals(arg) => ("OP_SIGSET", arg, 0),
        Origin::Sembuf(offset) => ("OP_SEMBUF", 1, offset),
        Origin::KeyctlArg(arg) => ("OP_KEYCTL", arg, 0),
        Origin::Quota(QuotaPart::Block, offset) => ("OP_QUOTA", 0, offset),
        Origin::Quota(QuotaPart::Info, offset) => ("OP_QUOTA", 0, QUOTA_INFO | offset),
        Origin::Extractor(extractor) => match extractor {
            Extractor::SockTuple => ("OP_SOCK_TUPLE", 0, 0),
            Extractor::SockAddr => ("OP_SOCK_ADDR", 0, 0),
            Extractor::OpenedDev => ("OP_OPENED_DEV", 0, 0),
            Extractor::OpenedIno => ("OP_OPENED_INO", 0, 0),
            Extractor::ExecveArgv => ("OP_ARGV", 1, 0),
            Extractor::ExecveatArgv => ("OP_ARGV", 2, 0),
            Extractor::Cwd => ("OP_CWD", 0, 0),
            Extractor::SendToTuple => ("OP_SENDTO_TUPLE", 0, 0),
            Extractor::SendMsgTuple => ("OP_SENDMSG_TUPLE", 0, 0),
            Extractor::SentData => ("OP_SENT_DATA", 0, 0),
            Extractor::SentMsgData => ("OP_SENT_MSG_DATA", 0, 0),
            Extractor::MsgSize => ("OP_MSG_SIZE", 0, 0),
            Extractor::ArgTuple => ("OP_ARG_TUPLE", 0, 0),
            Extractor::CapInheritable => ("OP_CAPABILITIES", 0, 0),
            Extractor::CapPermitted => ("OP_CAPABILITIES", 0, 1),
            Extractor::CapEffective => ("OP_CAPABILITIES", 0, 2),
            Extractor::TaskState => ("OP_TASK_STATE", 0, 0),
            Extractor::GroupTaskState => ("OP_TASK_STATE", 0, 1),
            Extractor::MountFlags => ("OP_MOUNT_FLAGS", 3, 0),
            Extractor::PrctlName => ("OP_PRCTL_NAME", 1, 0),
            Extractor::PrctlNumber => ("OP_PRCTL_NUMBER", 1, 0),
            Extractor::PtraceAddr => ("OP_PTRACE_ADDR", 2, 0),
            Extractor::PtraceData => ("OP_PTRACE_DATA", 3, 0),
            Extractor::ModuleImage => ("OP_MODULE_IMAGE", 0, 0),
            Extractor::ResultTuple | Extractor::AcceptedTuple => ("OP_RESULT_TUPLE", 0, 0),
            Extractor::RecvTuple => ("OP_ARG_TUPLE", 0, 0),
            Extractor::RecvFromTuple => ("OP_RECVFROM_TUPLE", 0, 0),
            Extractor::RecvMsgTuple => ("OP_RECVMSG_TUPLE", 0, 0),
            Extractor::ReceivedData => ("OP_RECEIVED_DATA", 0, 0),
            Extractor::ReceivedMsgData => ("OP_RECEIVED_MSG_DATA", 0, 0),
            Extractor::ReceivedSize => ("OP_RECEIVED_SIZE", 0, 0),
            Extractor::MsgControl => ("OP_MSG_CONTROL", 0, 0),
            Extractor::QueuePercent => ("OP_QUEUE_PERCENT", 0, 0),
            Extractor::QueueLength => ("OP_QUEUE_LENGTH", 0, 0),
            Extractor::QueueMax => ("OP_QUEUE_MAX", 0, 0),
            Extractor::PairFirst => ("OP_PAIR_FD", 3, 0),
            Extractor::PairSecond => ("OP_PAIR_FD", 3, 1),
            Extractor::PipeRead => ("OP_PAIR_FD", 0, 0),
            Extractor::PipeWrite => ("OP_PAIR_FD", 0, 1),
            Extractor::PipeIno => ("OP_PIPE_INO", 0, 0),
            Extractor::ResultPath => ("OP_RESULT_PATH", 0, 0),
            Extractor::ResultPathInFilesystem => ("OP_RESULT_PATH", 0, 1),
            Extractor::CreatFlags => ("OP_CREAT_FLAGS", 0, 0),
            Extractor::ResultLayer => ("OP_RESULT_LAYER", 0, 0),
            Extractor::PollFds => ("OP_POLL_FDS", 0, 0),
            Extractor::PollObjects => ("OP_POLL_OBJECTS", 0, 0),
            Extractor::PairSource => ("OP_PAIR_SOCKET", 0, 0),
            Extractor::PairPeer => ("OP_PAIR_SOCKET", 0, 1),
            Extractor::PairTuple => ("OP_PAIR_TUPLE", 0, 0),
            Extractor::SockOptLevel => ("OP_SOCKOPT_LEVEL", 1, 0),
            Extractor::SockOptName => ("OP_SOCKOPT_NAME", 2, 0),
            Extractor::SockOptValue => ("OP_SOCKOPT_VALUE", 0, 0),
            Extractor::NewSockOptValue => ("OP_SOCKOPT_VALUE", 0, 1),
            Extractor::SockOptLen => ("OP_SOCKOPT_LEN", 0, 0),
            Extractor::SocketFlags => ("OP_SOCKET_FLAGS", 1, 0),
            Extractor::SocketFamily => ("OP_SOCKET_FAMILY", 0, 0),
            Extractor::WrittenVectorData => ("OP_VECTOR_DATA", 0, 0),
            Extractor::ReadVectorData => ("OP_VECTOR_DATA", 0, 1),
            Extractor::VectorSize => ("OP_VECTOR_SIZE", 0, 0),
            Extractor::SendfileOffset => ("OP_SENDFILE_OFFSET", 2, 0),
            Extractor::LlseekOffset => ("OP_LLSEEK_OFFSET", 1, 0),
            Extractor::SemctlValue => ("OP_SEMCTL_VALUE", 3, 0),
            Extractor::FsconfigBytes => ("OP_FSCONFIG", 3, 0),
            Extractor::FsconfigText => ("OP_FSCONFIG", 3, 1),
            Extractor::QuotaFormat => ("OP_QUOTA_ID", 2, 1),
            Extractor::QuotaId => ("OP_QUOTA_ID", 2, 0),
            Extractor::QuotaFile => ("OP_QUOTA", 0, QUOTA_FILE),
            Extractor::QuotaFormatOut => ("OP_QUOTA", 0, QUOTA_FORMAT),
        },
        Origin::Object(Holder::Arg(arg)) => ("OP_OBJECT", arg, 0),
        Origin::Object(Holder::Result) => ("OP_OBJECT", 0, 1),
        Origin::Object(Holder::Copy(arg)) => ("OP_OBJECT", arg, 2),
        Origin::Object(Holder::First(arg)) => ("OP_OBJECT", arg, 3),
        Origin::LookedUp { .. } => ("OP_NOTED", 0, noted_place(row, index)?),
        Origin::Program | Origin::Constant(_) | Origin::Absent => return None,
    };
    let on_demand = u8::from(param.on_demand);
    let open_flags = u8::from(row.opens_with(index));
    let at_enter = u8::from(param.at_enter);
    Some(format!(
        "{{ {op}, {arg}, {extra}, {index}, {on_demand}, {open_flags}, {at_enter} }}"
    ))
}

/// How wide an argument is: the rest of its register is the caller's rubbish.
fn width(ty: ParamType) -> &'static str {
    match ty {
        ParamType::Errno | ParamType::Fd | ParamType::Pid | ParamType::I32 => "OP_ARG_S32",
        ParamType::U64 | ParamType::I64 | ParamType::AbsTime => "OP_ARG_64",
        ParamType::Uid | ParamType::Gid => "OP_ARG_ID",
        // Flags of open(2), clone(2), … are ints; clone's would be 64 bits wide but has no bit above 31.
        _ => "OP_ARG_U32",
    }
}
