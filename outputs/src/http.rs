//! `http_output`: one POST per alert, over a connection that is kept.

use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use lanner_schema::alert::Alert;
use ureq::http::Response;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use ureq::http::uri::{Scheme, Uri};
use ureq::{Agent, Body, Proxy};

use crate::choose::HttpConfig;
use crate::output::OutputError;
use crate::sending::{Again, SendError, Transport};
use crate::spool::Key;
use crate::tls;

/// How often a receiver may send an alert elsewhere.
const REDIRECTS: u32 = 5;

/// A reply is read up to this many bytes; behind a longer one the connection is not used again.
const REPLY: u64 = 64 << 10;

/// A receiver behind a URL.
#[derive(Debug)]
pub(crate) struct Http {
    config: HttpConfig,
    timeout: Duration,
    content_type: &'static str,
    /// Made with the first alert, and again after failures: certificates may have been replaced.
    agent: Option<Agent>,
    /// The receiver does not take compressed alerts.
    plain: bool,
}

impl Http {
    pub(crate) fn new(config: &HttpConfig, timeout: Duration, is_json: bool) -> Self {
        let mut http = Http {
            config: config.clone(),
            timeout,
            content_type: match is_json {
                true => "application/json",
                false => "text/plain",
            },
            agent: None,
            plain: false,
        };
        // Better now than with the first alert.
        match http.make_agent() {
            Ok(agent) => http.agent = Some(agent),
            Err(error) => tracing::error!("output http: {error}"),
        }
        http
    }

    fn make_agent(&self) -> Result<Agent, OutputError> {
        let mut builder = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(&self.config.user_agent)
            .timeout_global(Some(self.timeout))
            .timeout_connect(Some(self.timeout))
            .max_idle_age(Duration::from_secs(60))
            .proxy(self.proxy()?);
        if self.is_https() {
            builder = builder.tls_config(tls::config(&self.config.tls)?);
        }
        Ok(builder.build().new_agent())
    }

    fn is_https(&self) -> bool {
        self.config.url.scheme() == Some(&Scheme::HTTPS)
    }

    /// As curl takes it from the environment.
    fn proxy(&self) -> Result<Option<Proxy>, OutputError> {
        let names = match self.is_https() {
            true => ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
            // HTTP_PROXY can be set by whoever calls a CGI program, so curl does not read it.
            false => ["http_proxy", "", "all_proxy", "ALL_PROXY"],
        };
        let value = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let named = names.iter().filter(|name| !name.is_empty());
        let Some((name, proxy)) = named.filter_map(|name| Some((name, value(name)?))).next() else {
            return Ok(None);
        };
        let wrong = |error| OutputError::Setting {
            what: format!("the proxy that {name} names"),
            cause: format!("{error}"),
        };
        let proxy = Proxy::new(&proxy).map_err(wrong)?;
        let excepted = value("no_proxy")
            .or_else(|| value("NO_PROXY"))
            .unwrap_or_default();
        let mut builder = Proxy::builder(proxy.protocol())
            .host(proxy.host())
            .port(proxy.port());
        if let Some(user) = proxy.username() {
            builder = builder.username(user);
        }
        if let Some(password) = proxy.password() {
            builder = builder.password(password);
        }
        for host in excepted.split(',').map(str::trim).filter(|host| !host.is_empty()) {
            builder = builder.no_proxy(host);
        }
        builder.build().map(Some).map_err(wrong)
    }

    fn try_send(&mut self, body: &[u8], key: Option<Key>) -> Result<(), SendError> {
        let agent = match self.agent.take() {
            Some(agent) => agent,
            None => self.make_agent().map_err(later)?,
        };
        let compressed = (self.config.compress && !self.plain).then(|| compress(body));
        let mut url = self.config.url.clone();
        for _ in 0..=REDIRECTS {
            let mut request = agent.post(&url).header(CONTENT_TYPE, self.content_type);
            if compressed.is_some() {
                request = request.header(CONTENT_ENCODING, "gzip");
            }
            if let Some(login) = &self.config.login
                && same_host(&url, &self.config.url)
            {
                request = request.header("authorization", login);
            }
            if let Some(key) = key {
                request = request.header("idempotency-key", format!("{:016x}-{}", key.run, key.number));
            }
            let mut response = match request.send(compressed.as_deref().unwrap_or(body)) {
                Ok(response) => response,
                Err(error) => return Err(self.failed(&url, error)),
            };
            let status = response.status().as_u16();
            if let Some(next) = redirect(status, &url, &response) {
                url = next;
                continue;
            }
            self.read_reply(&mut response);
            if let 200..=299 = status {
                self.agent = Some(agent);
                return Ok(());
            }
            if status == 415 && compressed.is_some() {
                tracing::warn!(
                    "output http: {} does not take compressed alerts: they are sent as they are \
                     (http_output.compress_uploads)",
                    name(&url)
                );
                self.plain = true;
                self.agent = Some(agent);
                return self.try_send(body, key);
            }
            let wait = response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|wait| wait.to_str().ok()?.parse().ok());
            self.agent = Some(agent);
            return Err(SendError {
                error: OutputError::Refused {
                    target: name(&url),
                    status,
                },
                again: match (status, wait) {
                    (408 | 425 | 429 | 500..=599, Some(seconds)) => {
                        Again::After(Duration::from_secs(seconds))
                    }
                    (408 | 425 | 429 | 500..=599, None) => Again::Later,
                    _ => Again::Never,
                },
            });
        }
        self.agent = Some(agent);
        Err(SendError {
            error: OutputError::Refused {
                target: name(&self.config.url),
                status: 310,
            },
            again: Again::Later,
        })
    }

    fn read_reply(&self, response: &mut Response<Body>) {
        let mut reply = Vec::new();
        // It took the alert, or did not: what else it says does not change that.
        let _ = response
            .body_mut()
            .as_reader()
            .take(REPLY)
            .read_to_end(&mut reply);
        if self.config.echo && !reply.is_empty() {
            if !reply.ends_with(b"\n") {
                reply.push(b'\n');
            }
            let _ = io::stdout().lock().write_all(&reply);
        }
    }

    fn failed(&self, url: &Uri, error: ureq::Error) -> SendError {
        let target = name(url);
        later(match error {
            ureq::Error::Timeout(_) => OutputError::Timeout {
                target,
                limit: self.timeout,
            },
            ureq::Error::Io(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => {
                OutputError::Closed { target, cause }
            }
            ureq::Error::HostNotFound => OutputError::Closed {
                target,
                cause: io::Error::other("the name is not known"),
            },
            // A receiver that wants a certificate finds out after the handshake, and just hangs up.
            ureq::Error::Io(cause)
                if self.is_https() && self.config.tls.client.is_none() && is_hung_up(&cause) =>
            {
                let text = format!("{cause}; it may want a client certificate (http_output.mtls)");
                OutputError::Write {
                    target,
                    cause: io::Error::new(cause.kind(), text),
                }
            }
            ureq::Error::Io(cause) => OutputError::Write { target, cause },
            error => OutputError::Write {
                target,
                cause: io::Error::other(error.to_string()),
            },
        })
    }
}

fn is_hung_up(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof
    )
}

fn later(error: OutputError) -> SendError {
    SendError {
        error,
        again: Again::Later,
    }
}

impl Transport for Http {
    fn encode(&mut self, alert: &Alert) -> Vec<u8> {
        alert.line.clone().into_bytes()
    }

    fn send(&mut self, body: &[u8], key: Option<Key>) -> Result<(), SendError> {
        // Whatever fails leaves no agent, so that the next attempt begins anew.
        self.try_send(body, key)
    }

    fn reopen(&mut self) {
        self.agent = None;
        self.plain = false;
    }
}

fn compress(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}

/// Where the receiver wants the alert to be posted instead. As nobody would see them there, alerts don't go where
/// they would be asked for by GET, nor from https to http.
fn redirect(status: u16, url: &Uri, response: &Response<Body>) -> Option<Uri> {
    if !matches!(status, 301 | 302 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let next = match location.starts_with('/') {
        true => format!("{}://{}{location}", url.scheme()?, url.authority()?),
        false => location.to_owned(),
    };
    let next: Uri = next.parse().ok()?;
    let is_safe = next.scheme() == Some(&Scheme::HTTPS) || url.scheme() != Some(&Scheme::HTTPS);
    (next.host().is_some() && is_safe).then_some(next)
}

fn same_host(a: &Uri, b: &Uri) -> bool {
    (a.host(), a.port_u16()) == (b.host(), b.port_u16())
}

/// A URL without what may be secret in it.
fn name(url: &Uri) -> String {
    let port = url.port_u16().map_or(String::new(), |port| format!(":{port}"));
    format!(
        "{}://{}{port}",
        url.scheme_str().unwrap_or("http"),
        url.host().unwrap_or_default()
    )
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
