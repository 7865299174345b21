//! A real HTTP server for the tests, with TLS where a test wants it.

// Each crate whose tests have this file uses its own part of it.
#![allow(dead_code)]

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The connection it came on.
    pub(crate) connection: usize,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(of, _)| of == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Status(u16, &'static str),
    /// A status and a header line.
    With(u16, String),
    /// The connection is closed instead.
    Close,
    /// Nothing, for as long as the server runs.
    Hang,
}

/// What the tests of other threads look at.
#[derive(Debug)]
struct State {
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    stopped: AtomicBool,
}

type Answerer = dyn Fn(&Request, usize) -> Answer + Send + Sync;

/// A server; it ends with the value.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

impl Server {
    /// Answers each request by `answer`, which gets its number too.
    pub(crate) fn start(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Server {
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap(), None, answer)
    }

    pub(crate) fn listen(
        listener: TcpListener,
        tls: Option<ServerConfig>,
        answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
    ) -> Server {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            requests: Mutex::default(),
            connections: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let (answer, tls): (Arc<Answerer>, _) = (Arc::new(answer), tls.map(Arc::new));
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if serving.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (state, answer, tls) = (Arc::clone(&serving), Arc::clone(&answer), tls.clone());
                let connection = state.connections.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    let _ = match tls {
                        Some(tls) => {
                            let tls = ServerConnection::new(tls).unwrap();
                            serve(&state, connection, &*answer, StreamOwned::new(tls, stream))
                        }
                        None => serve(&state, connection, &*answer, stream),
                    };
                });
            }
        });
        Server { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.state.requests.lock().unwrap().len()
    }

    pub(crate) fn last(&self) -> Option<Request> {
        self.state.requests.lock().unwrap().last().cloned()
    }

    pub(crate) fn bodies(&self) -> Vec<String> {
        self.requests()
            .iter()
            .map(|request| request.text().to_owned())
            .collect()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(state: &State, connection: usize, answer: &Answerer, stream: impl Read + Write) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 || state.stopped.load(Ordering::SeqCst) {
            return Ok(());
        }
        let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        assert!(line.starts_with("POST "), "{line}");
        let mut headers = Vec::new();
        loop {
            line.clear();
            stream.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
                None => break,
            }
        }
        let mut request = Request {
            target,
            headers,
            body: Vec::new(),
            connection,
        };
        let length = request.header("content-length").unwrap().parse().unwrap();
        request.body.resize(length, 0);
        stream.read_exact(&mut request.body)?;
        let number = {
            let mut requests = state.requests.lock().unwrap();
            requests.push(request.clone());
            requests.len() - 1
        };
        let (status, header, body) = match answer(&request, number) {
            Answer::Status(status, body) => (status, String::new(), body),
            Answer::With(status, header) => (status, format!("{header}\r\n"), ""),
            Answer::Close => return Ok(()),
            Answer::Hang => {
                while !state.stopped.load(Ordering::SeqCst) {
                    thread::park_timeout(std::time::Duration::from_millis(20));
                }
                return Ok(());
            }
        };
        let length = body.len();
        let reply = format!("HTTP/1.1 {status} Words\r\n{header}Content-Length: {length}\r\n\r\n{body}");
        stream.get_mut().write_all(reply.as_bytes())?;
        stream.get_mut().flush()?;
    }
}
