//! The recipes of `docs/alerts.md`, as they stand there, against servers of this test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use test_log::test;

use crate::test_alert::alert;
use crate::test_server::{Answer, Server};
use crate::{Config, Journald, Outputs, ProgramConfig};

const LONG: Duration = Duration::from_secs(60);

/// The program below this heading, with one address in place of another.
fn recipe(heading: &str, address: &str, by: &str) -> String {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/alerts.md")).unwrap();
    let section = text.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    let block = section.split("```").nth(1).unwrap();
    let lines = block
        .split("program: >-\n")
        .nth(1)
        .unwrap()
        .lines()
        .map(str::trim);
    let program = lines.collect::<Vec<_>>().join(" ");
    assert!(program.contains(address), "{program}");
    program.replace(address, by)
}

/// Why the recipes can't be tried here, if they can't.
fn missing() -> Option<&'static str> {
    ["jq", "curl"]
        .into_iter()
        .find(|tool| Command::new(tool).arg("--version").output().is_err())
}

fn deliver(program: String) {
    let config = Config {
        stdout: false,
        journald: Journald::Off,
        program: Some(ProgramConfig {
            program,
            keep_alive: false,
            timeout: LONG,
        }),
        ..Config::default()
    };
    let outputs = Outputs::start(&config).unwrap();
    outputs.sender().send(alert(
        r#"{"priority":"Warning","rule":"Shell","output":"a \"shell\" was started\nhere"}"#,
    ));
    let deadline = std::time::Instant::now() + LONG;
    loop {
        let report = outputs.report().remove(0);
        assert_eq!(report.lost_total(), 0, "{report}");
        if report.delivered == 1 {
            return;
        }
        assert!(std::time::Instant::now() < deadline);
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn slack_gets_a_text() {
    if let Some(tool) = missing() {
        eprintln!("skipped: there is no {tool}");
        return;
    }
    let server = Server::start(|_, _| Answer::Status(200, "ok"));
    deliver(recipe("Slack", "https://hooks.slack.com/", &server.url()));
    let requests = server.requests();
    assert_eq!(requests[0].target, "/services/T000/B000/XXXX");
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    let body: serde_json::Value = serde_json::from_str(requests[0].text()).unwrap();
    let text = "*Warning* Shell\na \"shell\" was started\nhere";
    assert_eq!(body, serde_json::json!({ "text": text }));
}

/// Takes one mail: the lines of the dialogue, and of the mail.
fn take_mail(listener: &TcpListener) -> (Vec<String>, Vec<String>) {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    let (mut dialogue, mut mail) = (Vec::new(), Vec::new());
    writer.write_all(b"220 test\r\n").unwrap();
    let mut in_mail = false;
    loop {
        let mut line = String::new();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0, "{dialogue:?}");
        let line = line.strip_suffix("\r\n").unwrap().to_owned();
        let reply = match line.split([' ', ':']).next().unwrap_or_default() {
            _ if in_mail && line != "." => {
                mail.push(line);
                continue;
            }
            "." => {
                in_mail = false;
                "250 taken\r\n"
            }
            "DATA" => {
                in_mail = true;
                "354 go on\r\n"
            }
            "QUIT" => {
                writer.write_all(b"221 bye\r\n").unwrap();
                return (dialogue, mail);
            }
            _ => "250 fine\r\n",
        };
        dialogue.push(line);
        writer.write_all(reply.as_bytes()).unwrap();
    }
}

#[test]
fn a_mail_is_sent() {
    if let Some(tool) = missing() {
        eprintln!("skipped: there is no {tool}");
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("smtp://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || take_mail(&listener));
    deliver(recipe("E-mail", "smtp://mail.example.com:25", &address));
    let (dialogue, mail) = server.join().unwrap();
    assert!(
        dialogue
            .iter()
            .any(|line| line.starts_with("MAIL FROM:<lanner@example.com>")),
        "{dialogue:?}"
    );
    assert!(
        dialogue
            .iter()
            .any(|line| line.starts_with("RCPT TO:<security@example.com>")),
        "{dialogue:?}"
    );
    assert_eq!(
        mail,
        [
            "From: Lanner <lanner@example.com>",
            "To: security@example.com",
            "Subject: [Warning] Shell",
            "",
            "a \"shell\" was started",
            "here",
        ]
    );
}
