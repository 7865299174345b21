//! Which outputs run, and why the others don't: facts, and a pure decision over them.

use std::fmt;
use std::os::linux::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::Uri;

use crate::tls::TlsFiles;

/// `journald_output.enabled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Journald {
    /// On where a journal listens: the default.
    #[default]
    Auto,
    /// On, even while no journal listens.
    On,
    /// Off.
    Off,
}

/// `file_output`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileConfig {
    /// Where alerts are appended.
    pub filename: PathBuf,
    /// Keeps the file open between alerts; otherwise it is opened and closed for each one.
    pub keep_alive: bool,
}

/// `program_output`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramConfig {
    /// What the shell runs.
    pub program: String,
    /// One program takes every alert, a line each; otherwise one is started for each alert.
    pub keep_alive: bool,
    /// A program that takes longer over an alert is killed.
    pub timeout: Duration,
}

impl ProgramConfig {
    /// The limit when the configuration says nothing.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
}

/// `http_output`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Where alerts are posted, without a login.
    pub url: Uri,
    /// What goes into `Authorization`, when the URL has a login.
    pub login: Option<String>,
    /// `User-Agent`.
    pub user_agent: String,
    /// Certificates.
    pub tls: TlsFiles,
    /// Replies go to standard output.
    pub echo: bool,
    /// Alerts are sent as gzip.
    pub compress: bool,
    /// Attempts after the first, where there is no spool.
    pub retries: u32,
}

impl HttpConfig {
    /// Attempts after the first when the configuration says nothing.
    pub const RETRIES: u32 = 5;

    /// A receiver with the defaults.
    ///
    /// # Errors
    /// When this is no URL of a receiver, in words that say why.
    pub fn new(url: &str) -> Result<HttpConfig, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err("it must begin with http:// or https://".into());
        }
        let authority = uri
            .authority()
            .map(|authority| authority.as_str())
            .unwrap_or_default();
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        if host.is_empty() || host.starts_with(':') {
            return Err("it names no host".into());
        }
        let mut parts = uri.clone().into_parts();
        parts.authority = Some(host.parse().map_err(|error| format!("{error}"))?);
        Ok(HttpConfig {
            url: Uri::from_parts(parts).map_err(|error| format!("{error}"))?,
            login: login.map(|login| basic(&decoded(login))),
            user_agent: concat!("lanner/", env!("CARGO_PKG_VERSION")).into(),
            tls: TlsFiles {
                insecure: false,
                trusted: "/etc/ssl/certs".into(),
                client: None,
            },
            echo: false,
            compress: false,
            retries: HttpConfig::RETRIES,
        })
    }
}

/// `Authorization: Basic`.
fn basic(login: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::from("Basic ");
    for group in login.chunks(3) {
        let bits = group
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            out.push(match place <= group.len() {
                true => char::from(DIGITS[(bits >> (18 - 6 * place)) as usize & 63]),
                false => '=',
            });
        }
    }
    out
}

/// Without `%` escapes.
fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| std::str::from_utf8(behind.get(..2)?).ok())
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(escaped.unwrap_or(*first));
        rest = match escaped {
            Some(_) => &behind[2..],
            None => behind,
        };
    }
    out
}

/// `otlp_output`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpConfig {
    /// The collector: `http://HOST:4317`, or https.
    pub endpoint: String,
    /// Certificates to trust, for https.
    pub ca_cert: PathBuf,
}

impl OtlpConfig {
    /// Whether this Lanner was built with it.
    pub const BUILT: bool = cfg!(feature = "otlp");
}

impl Default for OtlpConfig {
    fn default() -> Self {
        OtlpConfig {
            endpoint: "http://127.0.0.1:4317".into(),
            ca_cert: "/etc/ssl/certs/ca-certificates.crt".into(),
        }
    }
}

/// `outputs_spool`: where outputs over the network keep what can't be delivered now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolConfig {
    /// A folder; each output has its own below.
    pub path: PathBuf,
    /// Bytes on disk of each output.
    pub max_bytes: u64,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        SpoolConfig {
            path: "/var/lib/lanner/spool".into(),
            max_bytes: 64 << 20,
        }
    }
}

/// What the configuration says about outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Alerts each output may be behind before it loses some; 0 means the default.
    pub queue_capacity: usize,
    /// `buffered_outputs`: lines to stdout and file are written when the queue runs empty or the buffer is full, not one
    /// by one.
    pub buffered: bool,
    /// `stdout_output.enabled`.
    pub stdout: bool,
    /// `file_output`, when enabled.
    pub file: Option<FileConfig>,
    /// `program_output`, when enabled.
    pub program: Option<ProgramConfig>,
    /// `http_output`, when enabled.
    pub http: Option<HttpConfig>,
    /// `otlp_output`, when enabled.
    pub otlp: Option<OtlpConfig>,
    /// `outputs_spool`, when enabled.
    pub spool: Option<SpoolConfig>,
    /// `output_timeout`: an attempt to send an alert over the network takes no longer.
    pub timeout: Duration,
    /// `json_output`: lines are JSON.
    pub json: bool,
    /// `syslog_output.enabled`.
    pub syslog: bool,
    /// `journald_output.enabled`.
    pub journald: Journald,
    /// The socket syslog listens on.
    pub syslog_socket: PathBuf,
    /// The journal's native socket.
    pub journal_socket: PathBuf,
    /// The socket where the journal speaks syslog; `/dev/log` is often a link to it.
    pub journal_syslog_socket: PathBuf,
}

impl Config {
    /// Capacity of each output's queue when the configuration says nothing.
    pub const DEFAULT_CAPACITY: usize = 8192;
}

impl Default for Config {
    fn default() -> Self {
        Config {
            queue_capacity: Config::DEFAULT_CAPACITY,
            buffered: false,
            stdout: true,
            file: None,
            program: None,
            http: None,
            otlp: None,
            spool: None,
            timeout: Duration::from_secs(2),
            json: false,
            syslog: false,
            journald: Journald::Auto,
            syslog_socket: "/dev/log".into(),
            journal_socket: "/run/systemd/journal/socket".into(),
            journal_syslog_socket: "/run/systemd/journal/dev-log".into(),
        }
    }
}

/// What the host says about outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// A journal listens on its native socket.
    pub journal_listens: bool,
    /// The syslog socket is the journal's own.
    pub syslog_is_journal: bool,
    /// Standard output is connected to the journal (a service with `StandardOutput=journal`).
    pub stdout_is_journal: bool,
}

impl Facts {
    /// Gathers the facts by trying.
    pub fn probe(config: &Config) -> Facts {
        let stdout = nix::sys::stat::fstat(std::io::stdout());
        Facts {
            journal_listens: listens(&config.journal_socket),
            syslog_is_journal: same_file(&config.syslog_socket, &config.journal_syslog_socket),
            stdout_is_journal: match (std::env::var("JOURNAL_STREAM"), stdout) {
                (Ok(stream), Ok(stat)) => is_journal_stream(&stream, stat.st_dev, stat.st_ino),
                _ => false,
            },
        }
    }
}

fn listens(socket: &Path) -> bool {
    UnixDatagram::unbound().is_ok_and(|s| s.connect(socket).is_ok())
}

/// True when both paths lead to one inode, be it by a symbolic link or a bind mount.
fn same_file(a: &Path, b: &Path) -> bool {
    match (std::fs::metadata(a), std::fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.st_dev(), a.st_ino()) == (b.st_dev(), b.st_ino()),
        _ => false,
    }
}

/// `JOURNAL_STREAM` is `device:inode` in decimal, of the stream systemd connected (systemd.exec(5)).
fn is_journal_stream(stream: &str, device: u64, inode: u64) -> bool {
    stream
        .split_once(':')
        .is_some_and(|(d, i)| d.parse() == Ok(device) && i.parse() == Ok(inode))
}

/// An output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Stdout,
    File,
    Syslog,
    Journald,
    Program,
    Http,
    Otlp,
}

impl Kind {
    /// Its name in messages and reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Stdout => "stdout",
            Kind::File => "file",
            Kind::Syslog => "syslog",
            Kind::Journald => "journald",
            Kind::Program => "program",
            Kind::Http => "http",
            Kind::Otlp => "otlp",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What was decided about one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The output.
    pub kind: Kind,
    /// It runs.
    pub on: bool,
    /// Why, when that isn't just what the configuration says.
    pub why: Option<&'static str>,
}

/// Decides which outputs run. Outputs that are off and were never asked for are not mentioned.
pub fn choose(config: &Config, facts: Facts) -> Vec<Choice> {
    let journald = match config.journald {
        Journald::On => true,
        Journald::Auto => facts.journal_listens,
        Journald::Off => false,
    };
    let twice = |fact: bool| journald && fact;
    let mut choices = Vec::new();
    let mut add = |kind, on, why| choices.push(Choice { kind, on, why });
    if config.stdout {
        match twice(facts.stdout_is_journal) {
            true => add(
                Kind::Stdout,
                false,
                Some("stdout is connected to the journal, which journald_output writes to already"),
            ),
            false => add(Kind::Stdout, true, None),
        }
    }
    if config.file.is_some() {
        add(Kind::File, true, None);
    }
    if config.syslog {
        match twice(facts.syslog_is_journal) {
            true => add(
                Kind::Syslog,
                false,
                Some("the syslog socket is the journal's own, which journald_output writes to already"),
            ),
            false => add(Kind::Syslog, true, None),
        }
    }
    match (config.journald, facts.journal_listens) {
        (Journald::On, true) => add(Kind::Journald, true, None),
        (Journald::On, false) => add(Kind::Journald, true, Some("no journal listens yet")),
        (Journald::Auto, true) => add(Kind::Journald, true, Some("a journal listens on this host")),
        (Journald::Auto, false) => add(Kind::Journald, false, Some("no journal listens on this host")),
        (Journald::Off, _) => {}
    }
    let mut add = |kind, on, why| choices.push(Choice { kind, on, why });
    if config.program.is_some() {
        add(Kind::Program, true, None);
    }
    if config.http.is_some() {
        add(Kind::Http, true, None);
    }
    if config.otlp.is_some() {
        match OtlpConfig::BUILT {
            true => add(Kind::Otlp, true, None),
            false => add(
                Kind::Otlp,
                false,
                Some("this Lanner was built without it (cargo's feature otlp)"),
            ),
        }
    }
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(config: &Config, facts: Facts) -> Vec<Kind> {
        choose(config, facts)
            .into_iter()
            .filter(|c| c.on)
            .map(|c| c.kind)
            .collect()
    }

    #[test]
    fn journald_is_on_where_a_journal_listens() {
        let config = Config::default();
        assert_eq!(on(&config, Facts::default()), [Kind::Stdout]);
        let facts = Facts {
            journal_listens: true,
            ..Facts::default()
        };
        assert_eq!(on(&config, facts), [Kind::Stdout, Kind::Journald]);
        let off = Config {
            journald: Journald::Off,
            ..Config::default()
        };
        assert_eq!(on(&off, facts), [Kind::Stdout]);
        let forced = Config {
            journald: Journald::On,
            ..Config::default()
        };
        assert_eq!(on(&forced, Facts::default()), [Kind::Stdout, Kind::Journald]);
    }

    #[test]
    fn nothing_is_written_to_the_journal_twice() {
        let config = Config {
            syslog: true,
            ..Config::default()
        };
        let all = Facts {
            journal_listens: true,
            syslog_is_journal: true,
            stdout_is_journal: true,
        };
        assert_eq!(on(&config, all), [Kind::Journald]);
        // Without journald_output, syslog and stdout are the only way there.
        let off = Config {
            journald: Journald::Off,
            ..config
        };
        assert_eq!(on(&off, all), [Kind::Stdout, Kind::Syslog]);
    }

    #[test]
    fn a_link_to_the_journals_syslog_socket_is_recognised() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("dev-log");
        let link = dir.path().join("log");
        let _socket = UnixDatagram::bind(&real).unwrap();
        assert!(!same_file(&link, &real));
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(same_file(&link, &real));
        let other = dir.path().join("other");
        let _other = UnixDatagram::bind(&other).unwrap();
        assert!(!same_file(&other, &real));
        assert!(listens(&real));
        drop(_socket);
        assert!(!listens(&real));
    }

    #[test]
    fn a_url_is_taken_apart() {
        let http = HttpConfig::new("https://user:p%40ss@host:8443/path?q=1").unwrap();
        assert_eq!(http.url.to_string(), "https://host:8443/path?q=1");
        // As `printf user:p@ss | base64` says.
        assert_eq!(http.login.as_deref(), Some("Basic dXNlcjpwQHNz"));
        assert_eq!(basic(b"a"), "Basic YQ==");
        assert_eq!(basic(b"ab"), "Basic YWI=");
        assert_eq!(decoded("a%2"), b"a%2");
        assert_eq!(HttpConfig::new("http://[::1]:80").unwrap().login, None);
        for wrong in [
            "",
            "host/path",
            "ftp://host",
            "http://",
            "http://user@",
            "http://:80/",
        ] {
            assert!(HttpConfig::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_journal_stream_is_compared_by_device_and_inode() {
        assert!(is_journal_stream("8:1234", 8, 1234));
        assert!(!is_journal_stream("8:1235", 8, 1234));
        assert!(!is_journal_stream("8", 8, 1234));
        assert!(!is_journal_stream("", 0, 0));
    }
}
