//! OTLP against a real gRPC receiver, made of HTTP/2 alone.

use super::*;
use crate::choose::SpoolConfig;
use crate::counters::LossReason;
use crate::delivery::tests::count;
use crate::test_alert::alert;
use crate::{Config, Journald, OutputReport, Outputs};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Instant;
use test_log::test;
use tonic::codegen::http::{HeaderMap, Response};

const LONG: Duration = Duration::from_secs(60);

/// A collector that answers its requests with these codes of gRPC, the last one again and again.
fn collector(codes: &'static [i32]) -> (SocketAddr, mpsc::Receiver<ExportRequest>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let mut codes = codes.iter().copied();
            let mut code = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    assert_eq!(request.uri().path(), EXPORT.path());
                    assert_eq!(request.headers()["content-type"], "application/grpc");
                    let mut body = request.into_body();
                    let mut frame = Vec::new();
                    while !body.is_end_stream() {
                        let next = tokio::select! {
                            data = body.data() => data,
                            // The connection moves only while it is polled.
                            more = connection.accept() => { assert!(more.is_none()); None }
                        };
                        let Some(Ok(data)) = next else { break };
                        let _ = body.flow_control().release_capacity(data.len());
                        frame.extend_from_slice(&data);
                    }
                    // One byte of compression, four of length.
                    sender.send(ExportRequest::decode(&frame[5..]).unwrap()).unwrap();
                    code = codes.next().unwrap_or(code);
                    let head = Response::builder()
                        .header("content-type", "application/grpc")
                        .body(())
                        .unwrap();
                    let mut stream = respond.send_response(head, false).unwrap();
                    if code == 0 {
                        stream.send_data(vec![0, 0, 0, 0, 0].into(), false).unwrap();
                    }
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", code.to_string().parse().unwrap());
                    stream.send_trailers(trailers).unwrap();
                }
            }
        });
    });
    (address, receiver)
}

fn config(address: SocketAddr) -> Config {
    Config {
        stdout: false,
        journald: Journald::Off,
        otlp: Some(OtlpConfig {
            endpoint: format!("http://{address}"),
            ca_cert: "/nonexistent".into(),
        }),
        timeout: LONG,
        ..Config::default()
    }
}

fn wait_until(outputs: &Outputs, is_so: impl Fn(&OutputReport) -> bool) -> OutputReport {
    let deadline = Instant::now() + LONG;
    loop {
        let report = outputs.report().remove(0);
        if is_so(&report) {
            return report;
        }
        assert!(Instant::now() < deadline, "{report}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn an_alert_is_a_log_record() {
    let (address, received) = collector(&[0]);
    let outputs = Outputs::start(&config(address)).unwrap();
    outputs.sender().send(alert("one"));
    wait_until(&outputs, |report| report.delivered == 1);
    let request = received.recv().unwrap();
    let record = &request.resource_logs[0].scope_logs[0].records[0];
    assert_eq!(record.time, 1_700_000_000_123_456_789);
    assert_eq!((record.severity, record.severity_text.as_str()), (13, "Warning"));
    assert_eq!(record.body, Some(text("message of one")));
    let value = |key: &str| {
        let found = record.attributes.iter().find(|attribute| attribute.key == key);
        found.and_then(|attribute| attribute.value.clone())
    };
    assert_eq!(value("rule"), Some(text("Read sensitive file")));
    assert_eq!(value("fd.name"), Some(text("/etc/shadow")));
    let pid = Any {
        value: Some(Value::Integer(42)),
    };
    assert_eq!(value("proc.pid"), Some(pid));
    assert_eq!(value("user.name"), None, "it has no value");
}

#[test]
fn a_collector_that_is_not_available_is_asked_again_and_one_that_refuses_is_not() {
    // Unavailable twice, then taken; then an invalid argument.
    let (address, received) = collector(&[14, 14, 0, 3]);
    let outputs = Outputs::start(&config(address)).unwrap();
    outputs.sender().send(alert("one"));
    wait_until(&outputs, |report| report.delivered == 1);
    outputs.sender().send(alert("two"));
    let report = wait_until(&outputs, |report| report.lost_total() == 1);
    assert_eq!((report.retried, count(&report, LossReason::Refused)), (2, 1));
    assert_eq!(received.try_iter().count(), 4);
}

#[test]
fn the_spool_keeps_what_a_collector_does_not_take_yet() {
    let dir = tempfile::tempdir().unwrap();
    let (address, received) = collector(&[14, 14, 0]);
    let config = Config {
        spool: Some(SpoolConfig {
            path: dir.path().to_owned(),
            ..SpoolConfig::default()
        }),
        ..config(address)
    };
    let outputs = Outputs::start(&config).unwrap();
    for n in 0..3 {
        outputs.sender().send(alert(&n.to_string()));
    }
    let report = wait_until(&outputs, |report| report.delivered == 3);
    assert_eq!((report.spooled, report.unspooled), (3, 3));
    let bodies: Vec<_> = received
        .try_iter()
        .map(|request| request.resource_logs[0].scope_logs[0].records[0].body.clone())
        .collect();
    let expected = [0, 0, 0, 1, 2].map(|n| Some(text(format!("message of {n}"))));
    assert_eq!(bodies, expected);
}
