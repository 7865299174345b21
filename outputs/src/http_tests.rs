//! HTTP and TLS against a real server.

use super::*;
use crate::choose::SpoolConfig;
use crate::counters::LossReason;
use crate::delivery::tests::count;
use crate::test_alert::alert;
use crate::test_server::{Answer, Server};
use crate::tls::TlsFiles;
use crate::{Config, Journald, OutputReport, Outputs};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use test_log::test;

const LONG: Duration = Duration::from_secs(60);

/// What a configuration asks for, with `change`.
fn config(url: &str, change: impl FnOnce(&mut HttpConfig)) -> Config {
    let mut http = HttpConfig::new(url).unwrap();
    change(&mut http);
    Config {
        stdout: false,
        journald: Journald::Off,
        http: Some(http),
        timeout: LONG,
        json: true,
        ..Config::default()
    }
}

/// Sends these and waits for the end.
fn send(config: &Config, lines: &[&str]) -> OutputReport {
    let outputs = Outputs::start(config).unwrap();
    for line in lines {
        outputs.sender().send(alert(line));
    }
    // The end shortens waits, so first everything is to be settled.
    let deadline = std::time::Instant::now() + LONG;
    loop {
        let report = outputs.report().remove(0);
        if report.delivered + report.lost_total() + report.spooled >= lines.len() as u64 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{report}");
        std::thread::sleep(Duration::from_millis(2));
    }
    outputs.shutdown(LONG).remove(0)
}

#[test]
fn each_alert_is_a_post_over_one_connection() {
    let server = Server::start(|_, _| Answer::Status(200, "thanks"));
    let url = server.url().replace("http://", "http://user:secret@") + "path?q=1";
    let report = send(&config(&url, |_| {}), &["one", "two"]);
    assert_eq!((report.delivered, report.lost_total()), (2, 0));
    let requests = server.requests();
    assert_eq!(server.bodies(), ["one", "two"]);
    assert_eq!(requests[1].connection, 0, "the connection is kept");
    assert_eq!(requests[0].target, "/path?q=1");
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    assert_eq!(
        requests[0].header("host"),
        Some(server.address.to_string().as_str())
    );
    assert_eq!(
        requests[0].header("authorization"),
        Some("Basic dXNlcjpzZWNyZXQ=")
    );
    let agent = requests[0].header("user-agent").unwrap();
    assert!(agent.starts_with("lanner/"), "{agent}");
    assert_eq!(requests[0].header("idempotency-key"), None, "that is the spool's");
}

#[test]
fn text_alerts_say_so_and_a_user_agent_is_kept() {
    let server = Server::start(|_, _| Answer::Status(204, ""));
    let config = Config {
        json: false,
        ..config(&server.url(), |http| {
            http.user_agent = "falcosecurity/falco".into()
        })
    };
    assert_eq!(send(&config, &["one"]).delivered, 1);
    let requests = server.requests();
    assert_eq!(requests[0].header("content-type"), Some("text/plain"));
    assert_eq!(requests[0].header("user-agent"), Some("falcosecurity/falco"));
}

#[test]
fn a_receiver_that_fails_is_tried_again_and_one_that_refuses_is_not() {
    let server = Server::start(|request, number| match (request.text(), number) {
        ("refused", _) => Answer::Status(400, "no"),
        (_, 0) => Answer::Status(503, ""),
        (_, 1) => Answer::Close,
        (_, 2) => Answer::With(429, "Retry-After: 0".into()),
        _ => Answer::Status(200, ""),
    });
    let report = send(&config(&server.url(), |_| {}), &["one", "refused", "two"]);
    assert_eq!(server.bodies(), ["one", "one", "one", "one", "refused", "two"]);
    assert_eq!((report.delivered, report.retried), (2, 3));
    assert_eq!(count(&report, LossReason::Refused), 1);
}

#[test]
fn retries_are_as_many_as_configured() {
    let server = Server::start(|_, _| Answer::Status(500, ""));
    let report = send(&config(&server.url(), |http| http.retries = 2), &["one"]);
    assert_eq!(server.requests().len(), 3);
    assert_eq!((report.retried, count(&report, LossReason::Refused)), (2, 1));
}

#[test]
fn a_receiver_that_does_not_answer_is_a_timeout() {
    let server = Server::start(|_, _| Answer::Hang);
    let config = Config {
        timeout: Duration::from_millis(500),
        ..config(&server.url(), |http| http.retries = 1)
    };
    let report = send(&config, &["one"]);
    assert_eq!((count(&report, LossReason::Timeout), report.retried), (1, 1));
    // A busy machine may accept a connection after its client has left.
    let deadline = std::time::Instant::now() + LONG;
    while server.connections() < 2 {
        assert!(std::time::Instant::now() < deadline, "one connection only");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(server.connections(), 2);
}

#[test]
fn nobody_there_is_absent() {
    // Bound, so that nobody else gets the port, and not listened on.
    let (family, flags) = (AddressFamily::Inet, SockFlag::SOCK_CLOEXEC);
    let bound = socket(family, SockType::Stream, flags, None).unwrap();
    bind(bound.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    let there: SockaddrIn = getsockname(bound.as_raw_fd()).unwrap();
    let report = send(
        &config(&format!("http://{there}/"), |http| http.retries = 0),
        &["one"],
    );
    assert_eq!(count(&report, LossReason::Absent), 1);
}

#[test]
fn alerts_follow_a_redirect_as_posts_but_never_in_circles() {
    let elsewhere = Server::start(|_, _| Answer::Status(200, ""));
    let url = elsewhere.url();
    let server = Server::start(move |request, _| match request.target.as_str() {
        "/" => Answer::With(301, "Location: /here".into()),
        "/here" => Answer::With(307, format!("Location: {url}there")),
        "/get" => Answer::With(303, "Location: /here".into()),
        _ => Answer::With(308, "Location: /circle".into()),
    });
    let login = server.url().replace("http://", "http://user:secret@");
    assert_eq!(send(&config(&login, |_| {}), &["one"]).delivered, 1);
    let requests = elsewhere.requests();
    assert_eq!(
        (requests[0].text(), requests[0].target.as_str()),
        ("one", "/there")
    );
    assert_eq!(
        requests[0].header("authorization"),
        None,
        "a login is not passed on"
    );
    assert!(server.requests()[1].header("authorization").is_some());
    for path in ["circle", "get"] {
        let url = format!("{}{path}", server.url());
        let report = send(&config(&url, |http| http.retries = 0), &["one"]);
        assert_eq!(count(&report, LossReason::Refused), 1, "{path}");
    }
}

#[test]
fn alerts_are_compressed_where_the_receiver_takes_it() {
    use flate2::read::GzDecoder;
    let server = Server::start(|request, _| match request.header("content-encoding") {
        Some("gzip") if request.target == "/plain" => Answer::Status(415, ""),
        _ => Answer::Status(200, ""),
    });
    let long = "alert ".repeat(1000);
    let report = send(&config(&server.url(), |http| http.compress = true), &[&long]);
    assert_eq!(report.delivered, 1);
    let body = server.requests()[0].body.clone();
    assert!(body.len() < long.len() / 10, "{}", body.len());
    let mut unpacked = String::new();
    GzDecoder::new(&body[..]).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, long);
    // One that does not is asked once.
    let url = format!("{}plain", server.url());
    let report = send(&config(&url, |http| http.compress = true), &["one", "two"]);
    assert_eq!((report.delivered, report.retried), (2, 0));
    let requests = server.requests();
    let encodings: Vec<bool> = requests[1..]
        .iter()
        .map(|request| request.header("content-encoding").is_some())
        .collect();
    assert_eq!(encodings, [true, false, false]);
}

/// A certification authority, and certificates of it in files.
struct Authority {
    dir: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    der: rustls::pki_types::CertificateDer<'static>,
}

impl Authority {
    fn new() -> Authority {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Authority {
            dir,
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Files of a certificate and its key.
    fn issue(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |kind: &str| self.dir.path().join(format!("{name}.{kind}"));
        std::fs::write(path("crt"), certificate.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        (path("crt"), path("key"))
    }

    /// A server that asks its clients for a certificate of `clients`, if given.
    fn server(&self, clients: Option<&Authority>) -> (Server, String) {
        use rustls::pki_types::pem::PemObject as _;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let (chain, key) = self.issue("server", ExtendedKeyUsagePurpose::ServerAuth);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let chain = vec![CertificateDer::from_pem_file(chain).unwrap()];
        let tls = builder
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Server::listen(listener, Some(tls), |_, _| Answer::Status(200, ""));
        (server, format!("https://localhost:{port}/"))
    }
}

use std::sync::Arc;

fn tls_config(url: &str, trusted: &Path, client: Option<(PathBuf, PathBuf)>) -> Config {
    config(url, |http| {
        http.retries = 0;
        http.tls = TlsFiles {
            insecure: false,
            trusted: trusted.to_owned(),
            client,
        };
    })
}

#[test]
fn tls_trusts_who_it_is_told_to() {
    let authority = Authority::new();
    let other = Authority::new();
    let (server, url) = authority.server(None);
    assert_eq!(
        send(&tls_config(&url, &authority.file(), None), &["file"]).delivered,
        1
    );
    // A folder may have anything in it besides.
    std::fs::write(authority.dir.path().join("README"), "no certificate").unwrap();
    assert_eq!(
        send(&tls_config(&url, authority.dir.path(), None), &["folder"]).delivered,
        1
    );
    let report = send(&tls_config(&url, &other.file(), None), &["stranger"]);
    assert_eq!(count(&report, LossReason::Failed), 1);
    // The name is looked at, too.
    let by_address = url.replace("localhost", "127.0.0.1");
    let report = send(&tls_config(&by_address, &authority.file(), None), &["name"]);
    assert_eq!(count(&report, LossReason::Failed), 1);
    let mut insecure = tls_config(&url, &other.file(), None);
    insecure.http.as_mut().unwrap().tls.insecure = true;
    assert_eq!(send(&insecure, &["insecure"]).delivered, 1);
    assert_eq!(server.bodies(), ["file", "folder", "insecure"]);
}

#[test]
fn mutual_tls_shows_who_lanner_is() {
    let (authority, clients, others) = (Authority::new(), Authority::new(), Authority::new());
    let (server, url) = authority.server(Some(&clients));
    let client = clients.issue("client", ExtendedKeyUsagePurpose::ClientAuth);
    let report = send(
        &tls_config(&url, &authority.file(), Some(client.clone())),
        &["one", "two"],
    );
    assert_eq!((report.delivered, server.connections()), (2, 1));
    let stranger = others.issue("client", ExtendedKeyUsagePurpose::ClientAuth);
    for client in [None, Some(stranger)] {
        let report = send(&tls_config(&url, &authority.file(), client), &["refused"]);
        assert_eq!(count(&report, LossReason::Failed), 1);
    }
    assert_eq!(server.bodies(), ["one", "two"]);
    // How far it comes before the receiver hangs up is chance; what is said of it is not.
    let config = tls_config(&url, &authority.file(), None);
    let mut http = Http::new(&config.http.unwrap(), config.timeout, false);
    let error = http.try_send(b"refused", None).unwrap_err().error.to_string();
    assert!(error.to_lowercase().contains("certificate"), "{error}");
}

#[test]
fn certificates_that_cannot_be_used_are_named_and_tried_again() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (server, url) = authority.server(Some(&clients));
    let (chain, key) = clients.issue("client", ExtendedKeyUsagePurpose::ClientAuth);
    let (_, wrong_key) = clients.issue("other", ExtendedKeyUsagePurpose::ClientAuth);
    for (trusted, client, named) in [
        (authority.dir.path().join("none.pem"), None, "none.pem"),
        (wrong_key.clone(), None, "other.key"),
        (
            authority.file(),
            Some((wrong_key.clone(), key.clone())),
            "other.key",
        ),
        (
            authority.file(),
            Some((chain.clone(), chain.clone())),
            "client.crt",
        ),
        (
            authority.file(),
            Some((chain.clone(), wrong_key.clone())),
            "other.key",
        ),
    ] {
        let files = TlsFiles {
            insecure: false,
            trusted,
            client,
        };
        let error = tls::config(&files).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
    // A certificate that comes later is found without a restart.
    let late = authority.dir.path().join("late.pem");
    let outputs = Outputs::start(&tls_config(&url, &late, Some((chain, key)))).unwrap();
    outputs.sender().send(alert("early"));
    let deadline = std::time::Instant::now() + LONG;
    while outputs.report()[0].lost_total() == 0 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(2));
    }
    std::fs::copy(authority.file(), &late).unwrap();
    outputs.sender().send(alert("late"));
    assert_eq!(outputs.shutdown(LONG)[0].delivered, 1);
    assert_eq!(server.bodies(), ["late"]);
}

#[test]
fn the_spool_marks_alerts_so_that_receivers_know_them_again() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(|_, number| match number {
        0 => Answer::Close,
        _ => Answer::Status(200, ""),
    });
    let config = Config {
        spool: Some(SpoolConfig {
            path: dir.path().to_owned(),
            ..SpoolConfig::default()
        }),
        ..config(&server.url(), |_| {})
    };
    let outputs = Outputs::start(&config).unwrap();
    outputs.sender().send(alert("one"));
    let deadline = std::time::Instant::now() + LONG;
    while outputs.report()[0].delivered < 1 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(2));
    }
    let requests = server.requests();
    let key = requests[0].header("idempotency-key").unwrap();
    assert_eq!(requests[1].header("idempotency-key"), Some(key));
    assert!(key.ends_with("-0"), "{key}");
}
