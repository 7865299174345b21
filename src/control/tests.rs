use super::super::client::Connection;
use super::*;
use crate::handover::{self, Found};
use lanner_capture::Window;
use lanner_schema::container::{Container, Learnt};

fn agent_with(window: &Arc<Window>) -> (Arc<Agent>, Arc<Handover>) {
    let status = Arc::new(Status::default());
    let handover = Handover::new(Arc::clone(window), 3);
    let agent = Agent::new(Mode::Daemon, ContainerTable::new(), status, Arc::clone(&handover));
    (Arc::new(agent), handover)
}

fn agent() -> Arc<Agent> {
    agent_with(&Arc::default()).0
}

/// Sends a line as it is.
async fn say(path: &Path, line: &str) -> Value {
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream.write_all(line.as_bytes()).await.unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).await.unwrap();
    serde_json::from_str(&answer).unwrap()
}

#[tokio::test]
async fn an_agent_says_who_it_is_as_often_as_it_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/lanner.sock");
    let server = Server::listen(&path, agent()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let mut connection = Connection::open(&path).await.unwrap();
    for _ in 0..3 {
        let answer = connection.ask(Request::Status).await.unwrap();
        assert_eq!(answer["pid"], std::process::id());
        assert_eq!(answer["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(
            (&answer["mode"], &answer["connected"]),
            (&json!("daemon"), &json!(false))
        );
    }
    for line in ["reboot", "until", "until soon", "status please"] {
        let answer = say(&path, &format!("{line}\n")).await;
        assert_eq!(answer["error"], format!("unknown request {line:?}"));
    }
    drop(server);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_request_without_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lanner.sock");
    let _server = Server::listen(&path, agent()).unwrap();
    assert_eq!(say(&path, &"x".repeat(REQUEST_MAX)).await["error"], "no line");
}

#[tokio::test]
async fn a_socket_that_was_left_is_replaced_and_one_that_is_anothers_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lanner.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let refused = Connection::open(&path).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    let older = Server::listen(&path, agent()).unwrap();
    let newer = Server::listen(&path, agent()).unwrap();
    drop(older);
    let mut connection = Connection::open(&path).await.unwrap();
    assert!(connection.ask(Request::Status).await.is_ok());
    drop(newer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn no_more_than_some_are_served_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lanner.sock");
    let _server = Server::listen(&path, agent()).unwrap();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(&path).await.unwrap();
        assert!(connection.ask(Request::Status).await.is_ok());
        connections.push(connection);
    }
    let mut more = Connection::open(&path).await.unwrap();
    assert_eq!(
        more.ask(Request::Status).await.unwrap()["error"],
        "too many connections"
    );
}

#[tokio::test]
async fn a_newer_agent_is_handed_over_to_and_one_that_goes_away_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lanner.sock");
    let window = Arc::<Window>::default();
    let (agent, handover) = agent_with(&window);
    let server = Server::listen(&path, agent).unwrap();

    let mut early = Connection::open(&path).await.unwrap();
    assert!(early.ask(Request::Until(1)).await.unwrap()["error"].is_string());
    assert!(early.ask(Request::Handover).await.unwrap()["error"].is_null());
    let Found::Beside(why) = handover::find(&path, true).await else {
        panic!("it is reserved for another");
    };
    assert!(why.contains("another agent is taking over"), "{why}");
    assert!(matches!(handover::find(&path, false).await, Found::Beside(_)));
    drop(early);

    // The one that went away is noticed when its connection is.
    let older = loop {
        match handover::find(&path, true).await {
            Found::Older(older) => break older,
            _ => tokio::task::yield_now().await,
        }
    };
    assert_eq!(older.in_a_row(), 4, "one more than the three that its own makes");
    let newer_window = Window::default();
    newer_window.open_at(u64::MAX);
    let (left, leaving) = tokio::join!(older.take(&newer_window), async {
        let leaving = handover.wait().await;
        drop(server);
        leaving
    });
    // The process goes with its sockets; here the connection stays until the server's task is gone.
    left.unwrap();
    assert_eq!(leaving.to, i32::try_from(std::process::id()).ok());
}

#[tokio::test]
async fn it_tells_every_container_and_who_answers_whatever_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lanner.sock");
    let agent = agent();
    let _server = Server::listen(&path, Arc::clone(&agent)).unwrap();
    let mut connection = Connection::open(&path).await.unwrap();
    assert_eq!(
        connection.ask(Request::Containers).await.unwrap()["containers"],
        json!([])
    );
    let container = Container {
        name: Some("web".into()),
        cgroup: 7,
        ..Container::new("0123456789abcdef", "containerd", Learnt::Start)
    };
    agent.table.update(|known| known.insert(Arc::new(container)));
    let answer = connection.ask(Request::Containers).await.unwrap();
    let row = &answer["containers"][0];
    assert_eq!(
        (&row["id"], &row["name"]),
        (&json!("0123456789ab"), &json!("web"))
    );
    assert_eq!((&row["image"], &row["cgroup"]["id"]), (&Value::Null, &json!(7)));
    let unknown = say(&path, "what a newer command asks\n").await;
    assert_eq!(unknown["version"], env!("CARGO_PKG_VERSION"));
}
