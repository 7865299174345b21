//! The web server: health for Kubernetes, versions for falcoctl, metrics for Prometheus. It knows nothing else, and answers
//! nobody who writes to it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

use crate::config::Web;
use crate::metrics::Instruments;
use crate::version;

/// Connections at a time; for one more an older one is closed.
const CONNECTIONS: usize = 64;
/// How long a client may take to ask, or to agree on TLS.
const ASKING: Duration = Duration::from_secs(5);
/// How often it is told at most that connections are closed for others.
const TELLING: Duration = Duration::from_secs(60);
/// How long a connection lasts at most.
const LIFE: Duration = Duration::from_secs(300);
/// How long the event thread may not read the ring: as long as attaching many programs takes, and then some.
const SILENCE: Duration = Duration::from_secs(10);
/// The most threads without `threadiness`: who asks is one Prometheus and one kubelet.
const THREADS_MAX: usize = 4;

const JSON: &str = "application/json";
const PROMETHEUS: &str = "text/plain; version=0.0.4";

/// A socket that is listened on, and nobody is answered yet.
pub(crate) struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
    config: Web,
}

impl Listener {
    /// Listens as the configuration says; `None` when it does not ask for a web server.
    ///
    /// # Errors
    /// When the port is taken, or the certificate can't be used.
    pub(crate) fn open(config: &Web) -> anyhow::Result<Option<Listener>> {
        if !config.enabled {
            return Ok(None);
        }
        let tls = match config.ssl {
            true => Some(tls(config)?),
            false => None,
        };
        let at = config.socket();
        let socket = TcpListener::bind(at).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => anyhow!(
                "the web server can't listen on {at}: another process does, maybe Falco or another Lanner; \
                 set webserver.listen_port, or webserver.enabled to false"
            ),
            _ => anyhow!(
                "the web server can't listen on {at} (webserver.listen_address, listen_port): {error}"
            ),
        })?;
        socket
            .set_nonblocking(true)
            .with_context(|| format!("the web server can't listen on {at}"))?;
        Ok(Some(Listener {
            socket,
            tls,
            config: config.clone(),
        }))
    }

    /// Answers, on threads of its own.
    ///
    /// # Errors
    /// When the kernel gives no threads.
    pub(crate) fn serve(self, instruments: Arc<Instruments>) -> anyhow::Result<Server> {
        let threads = match self.config.threads {
            0 => std::thread::available_parallelism().map_or(1, |cpus| cpus.get().min(THREADS_MAX)),
            threads => threads.min(CONNECTIONS),
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .max_blocking_threads(threads)
            .thread_name("lanner-web")
            .enable_all()
            .build()
            .context("cannot start the web server's threads")?;
        let site = Arc::new(Site {
            health: self.config.health.clone(),
            metrics: self.config.metrics,
            instruments,
        });
        tracing::info!(
            "the web server listens on {}{}",
            self.config.socket(),
            if self.config.ssl { " with TLS" } else { "" }
        );
        runtime.spawn(accept(self.socket, self.tls, site));
        Ok(Server {
            runtime: Some(runtime),
        })
    }
}

/// A web server at work; it ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    runtime: Option<Runtime>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn tls(config: &Web) -> anyhow::Result<TlsAcceptor> {
    let file = &config.certificate;
    let wrong = || {
        format!(
            "webserver.ssl_certificate: {} must have a certificate and its key, both PEM",
            file.display()
        )
    };
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| anyhow!("{}: {error}", wrong()))?;
    let key = PrivateKeyDer::from_pem_file(file).map_err(|error| anyhow!("{}: {error}", wrong()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|error| anyhow!("{}: {error}", wrong()))?;
    Ok(TlsAcceptor::from(Arc::new(server)))
}

async fn accept(socket: TcpListener, tls: Option<TlsAcceptor>, site: Arc<Site>) {
    let socket = match tokio::net::TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return tracing::error!("the web server can't answer: {error}"),
    };
    let mut connections = Connections::default();
    loop {
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // No descriptor is free, most likely; it gets better or it doesn't.
                tracing::debug!("web server: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        connections.make_room();
        let (tls, site) = (tls.clone(), Arc::clone(&site));
        let has_asked = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&has_asked);
        let task = tokio::spawn(async move {
            let talk = async {
                match tls {
                    None => talk(stream, site, asked).await,
                    Some(tls) => {
                        if let Ok(Ok(stream)) = tokio::time::timeout(ASKING, tls.accept(stream)).await {
                            talk(stream, site, asked).await;
                        }
                    }
                }
            };
            let _ = tokio::time::timeout(LIFE, talk).await;
        });
        connections.open.push_back(Connection {
            task: task.abort_handle(),
            has_asked,
        });
    }
}

/// A connection that is served.
struct Connection {
    task: AbortHandle,
    /// A whole request has come.
    has_asked: Arc<AtomicBool>,
}

#[derive(Default)]
struct Connections {
    /// Oldest first.
    open: VecDeque<Connection>,
    /// When it was last told that some are closed for others.
    told: Option<Instant>,
}

impl Connections {
    /// Sees to it that there is room for one more: whoever says nothing must not keep out who asks. Closed is the oldest
    /// that has not asked yet, or else the oldest.
    fn make_room(&mut self) {
        self.open.retain(|connection| !connection.task.is_finished());
        if self.open.len() < CONNECTIONS {
            return;
        }
        let silent = |connection: &Connection| !connection.has_asked.load(Ordering::Relaxed);
        let index = self.open.iter().position(silent).unwrap_or(0);
        if let Some(connection) = self.open.remove(index) {
            connection.task.abort();
        }
        if self.told.is_none_or(|told| told.elapsed() >= TELLING) {
            self.told = Some(Instant::now());
            tracing::warn!(
                "web server: {CONNECTIONS} connections are open, and for each new one the oldest is closed that has asked \
                 for nothing yet"
            );
        }
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    site: Arc<Site>,
    asked: Arc<AtomicBool>,
) {
    let answer = service_fn(move |request| {
        asked.store(true, Ordering::Relaxed);
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.answer(&request).await) }
    });
    let talked = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ASKING)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = talked {
        tracing::debug!("web server: {error}");
    }
}

/// What there is to be had.
struct Site {
    health: String,
    metrics: bool,
    instruments: Arc<Instruments>,
}

impl Site {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return reply(
                StatusCode::METHOD_NOT_ALLOWED,
                "text/plain",
                "only GET is answered\n",
            );
        }
        match request.uri().path() {
            path if path == self.health => self.health(),
            "/versions" => reply(StatusCode::OK, JSON, version::as_json().to_string()),
            "/metrics" if self.metrics && self.instruments.metrics_enabled() => {
                let instruments = Arc::clone(&self.instruments);
                // It waits for the event thread.
                match tokio::task::spawn_blocking(move || instruments.prometheus()).await {
                    Ok(text) => reply(StatusCode::OK, PROMETHEUS, text),
                    Err(_) => reply(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "no numbers\n"),
                }
            }
            _ => reply(StatusCode::NOT_FOUND, "text/plain", "there is nothing here\n"),
        }
    }

    fn health(&self) -> Response<Full<Bytes>> {
        let unwell = match self.instruments.board.silence() {
            None => Some("starting".to_owned()),
            Some(silence) if silence > SILENCE => {
                Some(format!("no event has been read for {} s", silence.as_secs()))
            }
            Some(_) => None,
        };
        match unwell {
            None => reply(StatusCode::OK, JSON, "{\"status\": \"ok\"}"),
            Some(why) => reply(
                StatusCode::SERVICE_UNAVAILABLE,
                JSON,
                format!("{{\"status\": \"{why}\"}}"),
            ),
        }
    }
}

fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
