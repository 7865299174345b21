//! Paths through the links of /proc that are no links by text: `/proc/self/fd/7`, `/proc/self/root/etc/shadow`.

use std::ops::Range;

use lanner_schema::process::Process;

use crate::decode::{push_components, push_names};

/// What such a path begins with.
enum Start<'a> {
    /// A descriptor: what it refers to is in the record. And what follows.
    Descriptor(&'a [u8]),
    /// The root directory of some process, which is where names start.
    Root(&'a [u8]),
    /// The working directory of the process itself.
    Cwd(&'a [u8]),
    /// Its program.
    Exe,
}

/// Takes a decimal number off the front.
fn number(path: &[u8]) -> Option<(u32, &[u8])> {
    let end = path
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(path.len());
    let number = std::str::from_utf8(&path[..end]).ok()?.parse().ok()?;
    Some((number, &path[end..]))
}

/// The rest behind a name that ends there.
fn behind<'a>(path: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    path.strip_prefix(name)
        .filter(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn start<'a>(path: &'a [u8], process: &Process) -> Option<Start<'a>> {
    let descriptor = |path: &'a [u8]| {
        let (_, rest) = number(path)?;
        (rest.is_empty() || rest.starts_with(b"/")).then_some(Start::Descriptor(rest))
    };
    if let Some(rest) = path.strip_prefix(b"/dev/fd/") {
        return descriptor(rest);
    }
    let entry = path.strip_prefix(b"/proc/")?;
    let (own, rest) = match entry {
        entry if let Some(rest) = entry.strip_prefix(b"self/") => (true, rest),
        entry if let Some(rest) = entry.strip_prefix(b"thread-self/") => (true, rest),
        entry => {
            let (pid, rest) = number(entry)?;
            (
                pid == process.vpid || pid == process.pid,
                rest.strip_prefix(b"/")?,
            )
        }
    };
    if let Some(rest) = behind(rest, b"root") {
        return Some(Start::Root(rest));
    }
    if !own {
        return None;
    }
    if let Some(rest) = rest.strip_prefix(b"fd/") {
        return descriptor(rest);
    }
    match behind(rest, b"cwd") {
        Some(rest) => Some(Start::Cwd(rest)),
        None => (rest == b"exe").then_some(Start::Exe),
    }
}

/// How many of these links are followed in a row.
const IN_A_ROW: usize = 4;

/// Appends where a path leads that begins with such a link, and gives its range; `None` for other paths. `raw` is what was
/// passed, `base` the components of the descriptor it begins with, empty where they are not in the record.
pub(crate) fn follow(
    raw: &[u8],
    base: &[u8],
    is_cut: bool,
    process: &Process,
    arena: &mut Vec<u8>,
) -> Option<Range<usize>> {
    if !raw.starts_with(b"/proc/") && !raw.starts_with(b"/dev/fd/") {
        return None;
    }
    let mut path = raw;
    for turn in 0..IN_A_ROW {
        let from = arena.len();
        let rest = match start(path, process) {
            None => {
                if turn == 0 {
                    return None;
                }
                path
            }
            Some(Start::Root(rest)) => {
                path = rest;
                continue;
            }
            Some(Start::Descriptor(rest)) => {
                if base.is_empty() || turn > 0 {
                    return None;
                }
                push_components(arena, base, is_cut);
                rest
            }
            Some(Start::Cwd(rest)) => {
                arena.extend_from_slice(process.directory()?);
                rest
            }
            Some(Start::Exe) => {
                if process.image.exepath.is_empty() {
                    return None;
                }
                arena.extend_from_slice(&process.image.exepath);
                b""
            }
        };
        if !rest.is_empty() {
            push_names(arena, from, rest);
        }
        if arena.len() == from {
            arena.push(b'/');
        }
        return Some(from..arena.len());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led(raw: &str, base: &str) -> Option<String> {
        let process = Process {
            pid: 4242,
            vpid: 42,
            cwd: b"/srv/x".as_slice().into(),
            image: lanner_schema::process::Image::new(b"sh", b"sh\0", b"/usr/bin/sh", b"").into(),
            ..Process::default()
        };
        let base: Vec<u8> = base
            .split('/')
            .rev()
            .filter(|n| !n.is_empty())
            .fold(vec![], |mut all, name| {
                all.extend_from_slice(name.as_bytes());
                all.push(0);
                all
            });
        let mut arena = b"before".to_vec();
        let range = follow(raw.as_bytes(), &base, false, &process, &mut arena)?;
        Some(String::from_utf8(arena[range].to_vec()).unwrap())
    }

    #[test]
    fn links_of_proc_lead_where_the_kernel_goes() {
        for (raw, base, leads) in [
            ("/proc/self/fd/7", "/etc/shadow", Some("/etc/shadow")),
            ("/dev/fd/7", "/etc/shadow", Some("/etc/shadow")),
            (
                "/proc/thread-self/fd/7/../shadow",
                "/etc/ssl",
                Some("/etc/shadow"),
            ),
            ("/proc/42/fd/7/shadow", "/etc", Some("/etc/shadow")),
            ("/proc/self/fd/7", "", None),
            ("/proc/43/fd/7", "/etc", None),
            ("/proc/self/root/etc//shadow", "", Some("/etc/shadow")),
            ("/proc/1/root/etc/shadow", "", Some("/etc/shadow")),
            (
                "/proc/self/root/proc/self/root/etc/shadow",
                "",
                Some("/etc/shadow"),
            ),
            ("/proc/self/root", "", Some("/")),
            ("/proc/self/cwd/a/../b", "", Some("/srv/x/b")),
            ("/proc/4242/cwd", "", Some("/srv/x")),
            ("/proc/self/exe", "", Some("/usr/bin/sh")),
            ("/proc/self/rootkit", "", None),
            ("/proc/self/status", "", None),
            ("/proc/self/fd/7x", "/etc", None),
            ("/proc/sys/kernel", "", None),
            ("/etc/shadow", "", None),
        ] {
            assert_eq!(led(raw, base).as_deref(), leads, "{raw}");
        }
    }

    #[test]
    fn a_path_that_leads_through_itself_for_ever_is_given_up() {
        assert_eq!(led(&"/proc/self/root".repeat(100), ""), None);
    }
}
