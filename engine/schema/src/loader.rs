//! The program that the dynamic loader was told to run: `/lib64/ld-linux-x86-64.so.2 /bin/cat` runs `cat`, and to the
//! kernel the loader.

/// How loaders are called, of glibc, musl and uClibc.
fn is_loader(exepath: &[u8]) -> bool {
    let name = exepath.rsplit(|b| *b == b'/').next().unwrap_or(exepath);
    [
        &b"ld-linux"[..],
        b"ld-musl-",
        b"ld-uClibc",
        b"ld64.so.",
        b"ld64-uClibc",
        b"ld.so",
        b"ld-2.",
        b"libc.musl-",
    ]
    .iter()
    .any(|start| name.starts_with(start))
        || name == b"libc.so"
}

/// Options that are followed by a value.
const WITH_VALUE: [&[u8]; 8] = [
    b"--library-path",
    b"--glibc-hwcaps-prepend",
    b"--glibc-hwcaps-mask",
    b"--inhibit-rpath",
    b"--audit",
    b"--preload",
    b"--argv0",
    b"--rpath",
];

/// Options with which nothing is run.
const RUNS_NOTHING: [&[u8]; 6] = [
    b"--list",
    b"--verify",
    b"--help",
    b"--version",
    b"--list-tunables",
    b"--list-diagnostics",
];

/// The path of the program that the loader `exepath` runs when it is given `args` (`argv[1..]`) in the directory `cwd`;
/// `None` when `exepath` is no loader by its name, or runs nothing. Symbolic links are not followed.
pub fn program<'a>(
    exepath: &[u8],
    mut args: impl Iterator<Item = &'a [u8]>,
    cwd: &[u8],
) -> Option<Box<[u8]>> {
    if !is_loader(exepath) {
        return None;
    }
    let path = loop {
        let arg = args.next()?;
        if RUNS_NOTHING.contains(&arg) {
            return None;
        }
        if arg == b"--" {
            break args.next()?;
        }
        if !arg.starts_with(b"--") {
            break arg;
        }
        if WITH_VALUE.contains(&arg) {
            args.next()?;
        }
    };
    let mut absolute = Vec::with_capacity(cwd.len() + path.len() + 1);
    let relative = [cwd, b"/", path];
    for part in if path.starts_with(b"/") {
        &relative[2..]
    } else {
        &relative[..]
    } {
        absolute.extend_from_slice(part);
    }
    Some(normal(&absolute).into())
}

/// The path without `.`, `..` and double slashes.
fn normal(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut out = vec![b'/'];
    out.extend_from_slice(&parts.join(&b'/'));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(exepath: &str, args: &str, cwd: &str) -> Option<String> {
        let args = args.split(' ').filter(|arg| !arg.is_empty()).map(str::as_bytes);
        program(exepath.as_bytes(), args, cwd.as_bytes())
            .map(|path| String::from_utf8(path.into_vec()).unwrap())
    }

    #[test]
    fn the_program_is_behind_the_loaders_own_options() {
        const LOADER: &str = "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
        for (loader, args, program) in [
            (LOADER, "/bin/cat /etc/shadow", Some("/bin/cat")),
            (LOADER, "./cat -n", Some("/home/x/cat")),
            (LOADER, "../../bin//cat", Some("/bin/cat")),
            (
                LOADER,
                "--argv0 init --preload /x.so --inhibit-cache /bin/sh -c x",
                Some("/bin/sh"),
            ),
            (
                "/lib/ld-musl-x86_64.so.1",
                "--library-path=/x -- sh",
                Some("/home/x/sh"),
            ),
            ("/lib/ld-2.31.so", "/bin/id", Some("/bin/id")),
            ("/lib/libc.so", "/bin/id", Some("/bin/id")),
            (LOADER, "--list /bin/cat", None),
            (LOADER, "--argv0", None),
            (LOADER, "", None),
            ("/usr/bin/ld", "/bin/cat", None),
            ("/usr/bin/ldconfig", "/bin/cat", None),
        ] {
            assert_eq!(
                run(loader, args, "/home/x").as_deref(),
                program,
                "{loader} {args}"
            );
        }
        assert_eq!(run(LOADER, "cat", "").as_deref(), Some("/cat"));
    }
}
