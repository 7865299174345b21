//! The addresses of the host names that rules compare with (`fd.sip.name`), looked up while Lanner runs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lanner_schema::host_names::{AddressNames, HostNames};
use tokio::sync::watch;

/// How often names are looked up again.
const REFRESH: Duration = Duration::from_secs(60);
/// How long an address stays a name's after the last answer with it: names of large services answer in turn with some of
/// many.
const KEEP: Duration = Duration::from_secs(3600);
/// Where Kubernetes tells every pod the address of its API server. Pods on the host's network, as Lanner's is, may have
/// resolvers that know no names of the cluster.
const API_SERVER: &str = "KUBERNETES_SERVICE_HOST";

/// Looks up `names` again and again, until `stopped`. Other names are looked up at once.
pub(crate) async fn keep(
    mut names: watch::Receiver<Vec<String>>,
    table: Arc<HostNames>,
    mut stopped: watch::Receiver<bool>,
) {
    let api_server = std::env::var(API_SERVER).ok().and_then(|text| text.parse().ok());
    let mut known = Known::default();
    let mut unresolved: Vec<String> = Vec::new();
    loop {
        let mut failed = Vec::new();
        let wanted = names.borrow_and_update().clone();
        for name in &wanted {
            let mut addresses: Vec<IpAddr> = api_server.filter(|_| is_api_server(name)).into_iter().collect();
            let looked_up = tokio::select! {
                answer = tokio::net::lookup_host((name.as_str(), 0)) => answer,
                _ = stopped.wait_for(|stop| *stop) => return,
            };
            match looked_up {
                Ok(found) => addresses.extend(found.map(|address| address.ip())),
                Err(error) => tracing::debug!("{name}: {error}"),
            }
            if addresses.is_empty() {
                failed.push(name.clone());
            }
            // Told at once: the next name may be long in coming.
            known.answered(name, &addresses, Instant::now());
            table.replace(known.names(Instant::now()));
        }
        if !failed.is_empty() && failed != unresolved {
            tracing::warn!(
                "no address is known for {}: what rules compare with it does not match while this host cannot resolve it",
                failed.join(", ")
            );
        }
        unresolved = failed;
        let is_idle = wanted.is_empty();
        tokio::select! {
            () = tokio::time::sleep(REFRESH), if !is_idle => {}
            Ok(()) = names.changed() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}

/// True for a name of the cluster's API server.
fn is_api_server(name: &str) -> bool {
    let service = name.strip_prefix("kubernetes.default");
    service.is_some_and(|rest| rest.is_empty() || rest == ".svc" || rest.starts_with(".svc."))
}

/// Addresses by name, and when each was last an answer.
#[derive(Debug, Default)]
struct Known(HashMap<(String, IpAddr), Instant>);

impl Known {
    fn answered(&mut self, name: &str, addresses: &[IpAddr], now: Instant) {
        for address in addresses {
            self.0.insert((name.to_owned(), *address), now);
        }
    }

    fn names(&mut self, now: Instant) -> AddressNames {
        self.0
            .retain(|_, answered| now.saturating_duration_since(*answered) < KEEP);
        let mut names = AddressNames::default();
        for (name, address) in self.0.keys() {
            names.insert(*address, name);
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_stays_a_names_for_a_while_after_its_last_answer() {
        let (mut known, start) = (Known::default(), Instant::now());
        known.answered("a.example", &[address("192.0.2.1")], start);
        known.answered("a.example", &[address("192.0.2.2")], start + KEEP / 2);
        let names = known.names(start + KEEP - Duration::from_secs(1));
        assert_eq!(names.of(address("192.0.2.1")), ["a.example".into()]);
        let names = known.names(start + KEEP);
        assert!(names.of(address("192.0.2.1")).is_empty());
        assert_eq!(names.of(address("192.0.2.2")), ["a.example".into()]);
    }

    #[test]
    fn the_api_server_has_these_names() {
        for name in [
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "kubernetes.default.svc.example.org",
        ] {
            assert!(is_api_server(name), "{name}");
        }
        for name in [
            "kubernetes",
            "kubernetes.default.example.org",
            "kubernetes.defaults",
        ] {
            assert!(!is_api_server(name), "{name}");
        }
    }

    #[tokio::test]
    async fn names_are_looked_up_as_this_host_does() {
        let table = Arc::<HostNames>::default();
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(keep(
            watch::Sender::new(vec!["localhost".to_owned()]).subscribe(),
            Arc::clone(&table),
            stopped,
        ));
        let answer = async {
            while table.snapshot().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), answer)
            .await
            .expect("localhost resolves");
        let names = table.snapshot();
        let loopback = ["127.0.0.1", "::1"].map(|text| names.of(address(text)).to_vec());
        assert!(loopback.contains(&vec!["localhost".into()]), "{names:?}");
        stop.send(true).unwrap();
        task.await.unwrap();
    }
}
