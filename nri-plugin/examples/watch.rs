//! Shows the container table as the runtime changes it.
//!
//! `cargo run -p lanner-nri --example watch -- [NRI_SOCKET [CONTAINERD_SOCKET]]`

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lanner_nri::{Config, ContainerTable, Status};
use lanner_schema::container::Container;

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let mut arguments = std::env::args_os().skip(1);
    let mut config = Config::default();
    if let Some(socket) = arguments.next() {
        config.socket_path = socket.into();
    }
    if let Some(address) = arguments.next() {
        config.containerd_address = address.into();
    }
    let table = ContainerTable::new();
    let status = Arc::new(Status::default());
    let (stop, shutdown) = tokio::sync::watch::channel(false);
    let run = lanner_nri::run(config, Arc::clone(&table), Arc::clone(&status), shutdown);
    let plugin = tokio::spawn(run);

    let mut reader = table.reader();
    let mut last: HashMap<u64, Arc<Container>> = HashMap::new();
    let mut line = String::new();
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = tokio::signal::ctrl_c() => break,
        }
        let now = status.to_string();
        if now != line {
            println!("{} status {now}", seconds());
            line = now;
        }
        if !reader.refresh() {
            continue;
        }
        let next: HashMap<u64, Arc<Container>> = reader
            .containers()
            .running()
            .map(|container| (container.cgroup, Arc::clone(container)))
            .collect();
        for (cgroup, container) in &next {
            match last.get(cgroup) {
                None => println!("{} table  + {}", seconds(), describe(container)),
                Some(old) if old != container => println!("{} table  ~ {}", seconds(), describe(container)),
                Some(_) => {}
            }
        }
        for (cgroup, container) in &last {
            if !next.contains_key(cgroup) {
                println!("{} table  - {}", seconds(), container.id());
            }
        }
        last = next;
    }
    // Nobody to tell when the plugin is gone already.
    let _ = stop.send(true);
    let _ = plugin.await;
    println!("{:#?}", status.snapshot());
}

fn describe(container: &Container) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "?".into());
    let pod = container.pod.as_ref();
    format!(
        "{} name={} image={} digest={} pod={} ns={} uid={} labels={:?} pid={} cgroup={} path={} start_ts={:?} {}",
        container.id(),
        text(&container.name),
        text(&container.image),
        text(&container.digest),
        pod.map_or("?", |pod| pod.name.as_str()),
        pod.map_or("?", |pod| pod.namespace.as_str()),
        pod.map_or("?", |pod| pod.uid.as_str()),
        pod.map(|pod| &pod.labels),
        container.pid,
        container.cgroup,
        container.cgroup_path,
        container.start_ts,
        container.learnt.word(),
    )
}

fn seconds() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:.6}", now.as_secs_f64())
}
