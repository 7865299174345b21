use super::super::client::Connection;
use super::*;
use lanner_schema::container::{Container, Learnt};

fn agent() -> Arc<Agent> {
    let status = Arc::new(Status::default());
    Arc::new(Agent::new(Mode::Daemon, ContainerTable::new(), status))
}

#[tokio::test]
async fn an_agent_says_who_it_is_as_often_as_it_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/lanner.sock");
    let server = Server::listen(&path, agent()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let mut connection = Connection::open(&path).await.unwrap();
    for _ in 0..3 {
        let answer = connection.ask("status").await.unwrap();
        assert_eq!(answer["pid"], std::process::id());
        assert_eq!(answer["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(
            (&answer["mode"], &answer["connected"]),
            (&json!("daemon"), &json!(false))
        );
    }
    let answer = connection.ask("reboot").await.unwrap();
    assert_eq!(answer["error"], "unknown request \"reboot\"");
    drop(server);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_request_without_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lanner.sock");
    let _server = Server::listen(&path, agent()).unwrap();
    let mut connection = Connection::open(&path).await.unwrap();
    let answer = connection.ask(&"x".repeat(REQUEST_MAX)).await.unwrap();
    assert_eq!(answer["error"], "no line");
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
    assert!(connection.ask("status").await.is_ok());
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
        assert!(connection.ask("status").await.is_ok());
        connections.push(connection);
    }
    let mut more = Connection::open(&path).await.unwrap();
    assert_eq!(more.ask("status").await.unwrap()["error"], "too many connections");
}

#[tokio::test]
async fn it_tells_every_container_and_who_answers_whatever_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lanner.sock");
    let agent = agent();
    let _server = Server::listen(&path, Arc::clone(&agent)).unwrap();
    let mut connection = Connection::open(&path).await.unwrap();
    assert_eq!(
        connection.ask("containers").await.unwrap()["containers"],
        json!([])
    );
    let container = Container {
        name: Some("web".into()),
        cgroup: 7,
        ..Container::new("0123456789abcdef", "containerd", Learnt::Start)
    };
    agent.table.update(|known| known.insert(Arc::new(container)));
    let answer = connection.ask("containers").await.unwrap();
    let row = &answer["containers"][0];
    assert_eq!(
        (&row["id"], &row["name"]),
        (&json!("0123456789ab"), &json!("web"))
    );
    assert_eq!((&row["image"], &row["cgroup"]["id"]), (&Value::Null, &json!(7)));
    let unknown = connection.ask("what a newer command asks").await.unwrap();
    assert_eq!(unknown["version"], env!("CARGO_PKG_VERSION"));
}
