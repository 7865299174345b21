//! Which rules files are read, and what is said about them.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lanner_engine::{Diagnostic, RulesFile};

use crate::config::Config;

/// Rules files when the configuration names none; later files win. The built-in rules stand for the first where it does not
/// exist.
pub(crate) const DEFAULT_FILES: [&str; 3] = [
    "/etc/lanner/lanner_rules.yaml",
    "/etc/lanner/lanner_rules.local.yaml",
    "/etc/lanner/rules.d",
];

/// What the rules built into the binary are called in messages.
pub(crate) const BUILT_IN: &str = "built-in rules";

/// The rules files of `-r`, or those of the configuration, or the usual ones; what is built in where there are none.
///
/// # Errors
/// When a file named with `-r`, or one that exists, can't be read. Files of the configuration that don't exist are
/// skipped, as Falco does.
pub(crate) fn find(asked: &[PathBuf], config: &Config) -> anyhow::Result<Vec<RulesFile>> {
    find_but(asked, config, &[])
}

/// As [`find`]; those that are `known` are not read again.
///
/// # Errors
/// As those.
pub(crate) fn find_but(
    asked: &[PathBuf],
    config: &Config,
    known: &[RulesFile],
) -> anyhow::Result<Vec<RulesFile>> {
    let mut files = Vec::new();
    let read = |path: &Path, files: &mut Vec<RulesFile>| {
        let known = known.iter().find(|file| *file.name == *path.as_os_str());
        match known {
            Some(file) => {
                files.push(file.clone());
                Ok(())
            }
            None => read(path, files),
        }
    };
    if !asked.is_empty() {
        for path in asked {
            read(path, &mut files)?;
        }
        if files.is_empty() {
            anyhow::bail!("there is no rules file in {}", list(asked));
        }
        return Ok(files);
    }
    let defaults = DEFAULT_FILES.map(PathBuf::from);
    let configured = config.rules_files.as_deref();
    if configured.is_none() && defaults[0].try_exists().is_ok_and(|exists| !exists) {
        files.push(built_in());
    }
    for path in configured.unwrap_or(&defaults) {
        match path.try_exists() {
            Ok(false) if configured.is_some() => {
                tracing::info!("rules file {} does not exist, skipped", path.display())
            }
            Ok(false) => {}
            _ => read(path, &mut files)?,
        }
    }
    if files.is_empty() {
        if let Some(configured) = configured {
            tracing::warn!(
                "none of rules_files holds a file ({}): the built-in rules are used",
                list(configured)
            );
        }
        files.push(built_in());
    }
    Ok(files)
}

/// The files and directories that [`find`] looks at, whether they are there or not.
pub(crate) fn places(asked: &[PathBuf], config: &Config) -> Vec<PathBuf> {
    match (asked.is_empty(), &config.rules_files) {
        (false, _) => asked.to_vec(),
        (true, Some(configured)) => configured.clone(),
        (true, None) => DEFAULT_FILES.map(PathBuf::from).to_vec(),
    }
}

fn built_in() -> RulesFile {
    RulesFile {
        name: BUILT_IN.into(),
        text: lanner_engine::BUILT_IN_RULES.into(),
    }
}

fn list(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

/// Reads a file, or the YAML files of a directory in order of their names.
fn read(path: &Path, files: &mut Vec<RulesFile>) -> anyhow::Result<()> {
    for file in paths(path)? {
        files.push(read_file(&file)?);
    }
    Ok(())
}

/// The file itself, or the YAML files of a directory in order of their names.
pub(crate) fn paths(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    match path.is_dir() {
        true => directory(path).with_context(|| format!("cannot read rules from {}", path.display())),
        false => Ok(vec![path.to_owned()]),
    }
}

/// The .yaml and .yml files, as Falco does: next to them lie notes and backups. Hidden ones are left out too: a mounted
/// ConfigMap keeps its own bookkeeping in them.
fn directory(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden || !path.is_file() {
            continue;
        }
        if path
            .extension()
            .is_some_and(|kind| kind == "yaml" || kind == "yml")
        {
            files.push(path);
        } else {
            tracing::info!("{} is neither .yaml nor .yml, skipped", path.display());
        }
    }
    files.sort();
    Ok(files)
}

/// Reads one file.
///
/// # Errors
/// A [`Diagnostic`] that says why it can't be, and where.
pub(crate) fn read_file(path: &Path) -> anyhow::Result<RulesFile> {
    let name = path.display().to_string();
    let bytes = bytes(path)
        .map_err(|error| Diagnostic::unreadable(&name, format!("cannot read the rules: {error}"), None))?;
    if bytes.len() > RulesFile::MAX_LENGTH {
        return Err(Diagnostic::unreadable(&name, RulesFile::too_long(), None).into());
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        let mut diagnostic = Diagnostic::unreadable(&name, "the file is UTF-16", Some((1, 1, 0)));
        diagnostic.hint = Some("save it as UTF-8".into());
        return Err(diagnostic.into());
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..offset];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = String::from_utf8_lossy(before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default());
        let at = (line, column.chars().count() + 1, offset);
        let mut diagnostic = Diagnostic::unreadable(&name, "the file is not UTF-8 here", Some(at));
        diagnostic.hint = Some("save it as UTF-8".into());
        diagnostic
    })?;
    Ok(RulesFile { name, text })
}

/// The bytes of a file, at most one more than are read. Pipes are read where they are sure to have a writer: a named one
/// would wait for it, and devices have no end.
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let kind = fs::metadata(path)?.file_type();
    let is_handed_over = ["/dev/fd", "/dev/stdin", "/proc"]
        .iter()
        .any(|place| path.starts_with(place));
    if !kind.is_file() && !is_handed_over {
        let what = match () {
            () if kind.is_fifo() => "a named pipe",
            () if kind.is_socket() => "a socket",
            () if kind.is_dir() => "a directory",
            () => "a device",
        };
        return Err(io::Error::other(format!("it is {what}, not a file")));
    }
    let mut bytes = Vec::new();
    let most = RulesFile::MAX_LENGTH as u64 + 1;
    fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[RulesFile]) -> Vec<&str> {
        files
            .iter()
            .filter_map(|file| file.name.rsplit('/').next())
            .collect()
    }

    #[test]
    fn a_directory_gives_its_files_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yml", ".hidden.yaml", "a.yaml.bak", "README"] {
            fs::write(dir.path().join(name), "# x\n").unwrap();
        }
        fs::create_dir(dir.path().join("sub")).unwrap();
        let config = Config::default();
        let files = find(&[dir.path().to_owned()], &config).unwrap();
        assert_eq!(names(&files), ["a.yml", "b.yaml"]);
    }

    #[test]
    fn a_file_asked_for_must_exist_and_a_configured_one_need_not() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing.yaml");
        let there = dir.path().join("there.yaml");
        fs::write(&there, "# x\n").unwrap();
        let error = find(std::slice::from_ref(&missing), &Config::default()).unwrap_err();
        assert!(format!("{error:#}").contains("missing.yaml"), "{error:#}");
        let config = Config {
            rules_files: Some(vec![missing.clone(), there]),
            ..Config::default()
        };
        assert_eq!(names(&find(&[], &config).unwrap()), ["there.yaml"]);
        let config = Config {
            rules_files: Some(vec![missing]),
            ..Config::default()
        };
        assert_eq!(names(&find(&[], &config).unwrap()), [BUILT_IN]);
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("latin.yaml");
        fs::write(&path, b"# one\n# f\xfcr\n").unwrap();
        let error = find(&[path], &Config::default()).unwrap_err();
        assert!(error.to_string().contains("latin.yaml:2:4: "), "{error}");
    }
}
