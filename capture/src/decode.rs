//! From the bytes of a record to names: absolute paths, and the descriptor an event is about.

use std::net::IpAddr;
use std::ops::Range;

use lanner_schema::descriptor::{Descriptor, DescriptorKind};
use lanner_schema::event::{EVENTS, Event, FdUse, Origin, ParamType};
use lanner_schema::record::{AF_INET, AF_INET6, AF_UNIX, SocketTuple, Wire};
use smallvec::SmallVec;

/// How a path parameter is written in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PathForm {
    /// The text that was passed, and the components of the directory it starts from.
    User,
    /// Components only.
    Kernel,
}

/// The path parameters of every row, found once.
#[derive(Debug)]
pub(crate) struct PathParams(Vec<SmallVec<[(u8, PathForm); 2]>>);

impl PathParams {
    pub(crate) fn new() -> PathParams {
        PathParams(
            EVENTS
                .iter()
                .map(|row| {
                    let form = |from: Origin, ty: ParamType| match (from, ty) {
                        (Origin::UserPath { .. }, _) => Some(PathForm::User),
                        (
                            Origin::Extractor(_) | Origin::Program,
                            ParamType::FsPath | ParamType::FsRelPath(_),
                        ) => Some(PathForm::Kernel),
                        _ => None,
                    };
                    (0u8..)
                        .zip(row.params)
                        .filter_map(|(index, param)| Some((index, form(param.from, param.ty)?)))
                        .collect()
                })
                .collect(),
        )
    }

    /// Makes the record's paths absolute: their ranges in `arena`, by parameter. What can't be made absolute, because
    /// the directory it starts from is unknown, is left out and counted in `unresolved`.
    pub(crate) fn resolve(
        &self,
        event: Event,
        wire: &Wire<'_>,
        arena: &mut Vec<u8>,
        unresolved: &mut u64,
    ) -> SmallVec<[(u8, Range<usize>); 2]> {
        let mut found = SmallVec::new();
        for &(index, form) in &self.0[event as usize] {
            let Some(param) = wire.param(usize::from(index)) else {
                continue;
            };
            let start = arena.len();
            let ok = match form {
                PathForm::Kernel => {
                    push_components(arena, param.bytes);
                    true
                }
                PathForm::User => push_user_path(arena, param.bytes),
            };
            if !ok {
                *unresolved += 1;
                arena.truncate(start);
                continue;
            }
            if arena.len() == start {
                arena.push(b'/');
            }
            found.push((index, start..arena.len()));
        }
        found
    }
}

/// Appends an absolute path from components, leaf first, each ended by NUL. The root is nothing at all.
pub(crate) fn push_components(arena: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    for name in bytes.rsplit(|b| *b == 0).filter(|name| !name.is_empty()) {
        arena.push(b'/');
        arena.extend_from_slice(name);
    }
}

/// Appends a path as it was passed, made absolute; false when the directory it starts from is not in the record.
fn push_user_path(arena: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let raw = &bytes[..end];
    let start = arena.len();
    if !raw.starts_with(b"/") {
        match bytes.get(end + 1..) {
            Some(base) if !base.is_empty() => push_components(arena, base),
            _ => return false,
        }
    }
    push_names(arena, start, raw);
    true
}

/// Appends the names of `raw` to the absolute path that begins at `start`, without `.`, `..` and double slashes: what
/// the path says, not where symbolic links lead.
fn push_names(arena: &mut Vec<u8>, start: usize, raw: &[u8]) {
    for name in raw.split(|b| *b == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                let parent = arena[start..].iter().rposition(|b| *b == b'/').unwrap_or(0);
                arena.truncate(start + parent);
            }
            name => {
                arena.push(b'/');
                arena.extend_from_slice(name);
            }
        }
    }
}

const O_DIRECTORY: u64 = 0o200000;

/// The descriptor an event is about, from its own parameters.
pub(crate) fn descriptor<'a>(
    event: Event,
    wire: &Wire<'a>,
    path_of: impl Fn(u8) -> Option<&'a [u8]>,
) -> Option<Descriptor<'a>> {
    let number = |index: u8| wire.number(usize::from(index)).map(u64::cast_signed);
    match event.row().fd {
        FdUse::None => None,
        FdUse::Opens { path, flags } => {
            let directory = wire
                .number(usize::from(flags))
                .is_some_and(|f| f & O_DIRECTORY != 0);
            let raw = wire.param(usize::from(path)).map(|p| text(p.bytes));
            Some(Descriptor {
                number: number(0)?,
                kind: if directory {
                    DescriptorKind::Directory
                } else {
                    DescriptorKind::File
                },
                path: path_of(path).or(raw),
                raw_path: raw,
                tuple: None,
                is_server: false,
            })
        }
        FdUse::Socket { fd, tuple } => {
            let tuple = wire
                .param(usize::from(tuple))
                .and_then(|p| SocketTuple::read(p.bytes))
                .map(unmapped);
            let kind = match tuple.map(|t| t.family) {
                Some(AF_INET) => DescriptorKind::Ipv4,
                Some(AF_INET6) => DescriptorKind::Ipv6,
                Some(AF_UNIX) => DescriptorKind::Unix,
                _ => DescriptorKind::Other,
            };
            Some(Descriptor {
                number: number(fd)?,
                kind,
                path: None,
                raw_path: None,
                tuple,
                is_server: false,
            })
        }
        FdUse::File { fd, path, directory } => Some(Descriptor {
            number: number(fd)?,
            kind: if directory {
                DescriptorKind::Directory
            } else {
                DescriptorKind::File
            },
            path: path_of(path),
            raw_path: None,
            tuple: None,
            is_server: false,
        }),
    }
}

fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or(bytes)
}

/// An IPv6 socket that talks IPv4 (`::ffff:a.b.c.d`) is an IPv4 socket to rules, as in Falco.
fn unmapped(mut tuple: SocketTuple<'_>) -> SocketTuple<'_> {
    let v4 = |end: Option<(IpAddr, u16)>| match end {
        Some((IpAddr::V6(ip), port)) => ip.to_ipv4_mapped().map(|v4| (IpAddr::V4(v4), port)),
        _ => None,
    };
    if let Some(remote) = v4(tuple.remote) {
        tuple.family = AF_INET;
        tuple.remote = Some(remote);
        tuple.local = v4(tuple.local).or_else(|| {
            tuple
                .local
                .map(|(_, port)| (IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), port))
        });
    }
    tuple
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_schema::record::WireBuilder;

    fn resolved(event: Event, bytes: &[u8]) -> Vec<(u8, String)> {
        let wire = Wire::read(bytes, event.row().params.len()).unwrap();
        let (mut arena, mut unresolved) = (Vec::new(), 0);
        PathParams::new()
            .resolve(event, &wire, &mut arena, &mut unresolved)
            .into_iter()
            .map(|(index, range)| (index, String::from_utf8_lossy(&arena[range]).into_owned()))
            .collect()
    }

    #[test]
    fn relative_paths_start_from_their_directory() {
        let path = |raw, base| {
            let bytes = WireBuilder::new()
                .number(0)
                .number(-100)
                .path(raw, base)
                .number(0o755)
                .build();
            resolved(Event::Mkdirat, &bytes)
        };
        assert_eq!(path("a/./b", "/srv/x"), [(2, "/srv/x/a/b".to_owned())]);
        assert_eq!(path("../../../../b", "/srv/x"), [(2, "/b".to_owned())]);
        assert_eq!(path("/etc//ssh/../shadow", ""), [(2, "/etc/shadow".to_owned())]);
        assert_eq!(path("..", "/"), [(2, "/".to_owned())]);
        assert_eq!(path("", "/srv"), [(2, "/srv".to_owned())]);
    }

    #[test]
    fn a_path_without_its_directory_is_left_out_and_counted() {
        let bytes = WireBuilder::new()
            .number(0)
            .number(-100)
            .text("rel")
            .number(0)
            .build();
        let wire = Wire::read(&bytes, 4).unwrap();
        let (mut arena, mut unresolved) = (Vec::new(), 0);
        let found = PathParams::new().resolve(Event::Mkdirat, &wire, &mut arena, &mut unresolved);
        assert!(found.is_empty());
        assert_eq!(unresolved, 1);
    }

    #[test]
    fn opens_tell_files_from_directories_and_keep_the_failed_number() {
        let bytes = WireBuilder::new()
            .number(-2)
            .number(-100)
            .path("/etc/x", "")
            .number(0o200000)
            .number(0)
            .build();
        let mut padded = bytes.clone();
        padded.splice(10..10, [0; 4]); // the two on-demand parameters
        let wire = Wire::read(&padded, 7).unwrap();
        let descriptor = descriptor(Event::Openat, &wire, |_| None).unwrap();
        assert_eq!(descriptor.number, -2);
        assert_eq!(descriptor.kind, DescriptorKind::Directory);
        assert_eq!(descriptor.path, Some(&b"/etc/x"[..]));
    }

    #[test]
    fn fchdir_is_about_a_directory() {
        let bytes = WireBuilder::new().number(0).number(5).kernel_path("/srv").build();
        let wire = Wire::read(&bytes, 3).unwrap();
        let descriptor = descriptor(Event::Fchdir, &wire, |_| Some(b"/srv")).unwrap();
        assert_eq!(
            (descriptor.number, descriptor.kind),
            (5, DescriptorKind::Directory)
        );
    }

    #[test]
    fn an_ipv6_socket_that_talks_ipv4_is_an_ipv4_socket() {
        let tuple = SocketTuple {
            family: AF_INET6,
            protocol: 6,
            kind: 1,
            local: Some(("::ffff:10.0.0.1".parse().unwrap(), 4000)),
            remote: Some(("::ffff:1.2.3.4".parse().unwrap(), 443)),
            path: b"",
        };
        let bytes = WireBuilder::new()
            .number(0)
            .tuple(&tuple)
            .number(5)
            .tuple(&tuple)
            .build();
        let wire = Wire::read(&bytes, 4).unwrap();
        let descriptor = descriptor(Event::Connect, &wire, |_| None).unwrap();
        assert_eq!(descriptor.kind, DescriptorKind::Ipv4);
        assert_eq!(
            descriptor.tuple.unwrap().remote,
            Some(("1.2.3.4".parse().unwrap(), 443))
        );
        assert_eq!(descriptor.number, 5);
    }
}
