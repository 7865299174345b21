//! `container.*` and `k8s.*`.

use lanner_schema::alert::FieldValue;
use lanner_schema::container::{Container, HostNamespaces, Learnt};
use lanner_schema::event::Event;
use lanner_schema::record::WireBuilder;

use crate::condition::{Scratch, compile, parse};
use crate::output::Template;
use crate::testing::{Happening, Machine};

#[track_caller]
fn holds(happening: &Happening, conditions: &[(&str, bool)]) {
    for (condition, expected) in conditions {
        let expr = parse(condition).unwrap_or_else(|error| panic!("{condition}: {error:?}"));
        let program = compile(&expr).unwrap_or_else(|error| panic!("{condition}: {error:?}"));
        let matches = happening.view(|view| program.matches(view, &mut Scratch::new()));
        assert_eq!(matches, *expected, "{condition}");
    }
}

#[track_caller]
fn shows(happening: &Happening, fields: &[(&str, &str)]) {
    for (field, expected) in fields {
        let template = Template::compile(&format!("*%{field}")).unwrap();
        let mut out = String::new();
        happening.view(|view| template.render(view, &mut out, &mut Vec::new()));
        assert_eq!(out, *expected, "{field}");
    }
}

fn contained() -> Happening {
    Happening::openat(b"/x", 0, 3).contained()
}

#[test]
fn mounts_are_picked_by_index_and_by_a_pattern_for_one_side() {
    let event = contained();
    shows(
        &event,
        &[
            (
                "container.mounts",
                "/srv/shop:/data:z:true:rslave,/var/run/docker.sock:/run/docker.sock::false:private",
            ),
            ("container.mount[0]", "/srv/shop:/data:z:true:rslave"),
            ("container.mount[2]", "<NA>"),
            ("container.mount[/srv/*]", "/srv/shop:/data:z:true:rslave"),
            ("container.mount[/srv]", "<NA>"),
            ("container.mount[*]", "/srv/shop:/data:z:true:rslave"),
            // The source is found by the destination, everything else by the source.
            ("container.mount.source[/run/docker.sock]", "/var/run/docker.sock"),
            ("container.mount.source[/var/run/docker.sock]", "<NA>"),
            ("container.mount.source[1]", "/var/run/docker.sock"),
            ("container.mount.dest[/var/run/docker.sock]", "/run/docker.sock"),
            ("container.mount.dest[/run/docker.sock]", "<NA>"),
            ("container.mount.mode[/srv/shop]", "z"),
            ("container.mount.mode[1]", ""),
            ("container.mount.rdwr[/srv/s?op]", "true"),
            ("container.mount.rdwr[1]", "false"),
            ("container.mount.propagation[/srv/shop]", "rslave"),
        ],
    );
    holds(
        &event,
        &[
            ("container.mount.dest[/var/run/docker.sock] exists", true),
            ("container.mount.dest[/proc*] exists", false),
            ("container.mount.dest[/proc*] != \"N/A\"", false),
            ("container.mount[/srv/*] startswith /srv/shop:", true),
            ("container.mount.rdwr[0] = true", true),
            ("container.mounts contains docker.sock", true),
        ],
    );
}

#[test]
fn what_is_known_of_a_container_is_shown() {
    let event = contained();
    shows(
        &event,
        &[
            ("container.id", "0123456789ab"),
            ("container.image.id", "6f7e2741b66b"),
            ("container.image.digest", "sha256:d977"),
            ("container.privileged", "true"),
            ("container.host_pid", "false"),
            ("container.host_network", "true"),
            ("container.host_ipc", "<NA>"),
            ("container.ip", "10.244.0.7"),
            ("k8s.pod.ip", "10.244.0.7"),
            ("container.cni.json", r#"{"eth0":{}}"#),
            ("k8s.pod.cni.json", r#"{"eth0":{}}"#),
            ("k8s.pod.sandbox_id", "fedcba987654"),
            ("k8s.pod.full_sandbox_id", "fedcba9876543210"),
            ("container.label[app]", "shop"),
            ("container.label.app", "shop"),
            ("k8s.pod.label[app.kubernetes.io/name]", "shop"),
            ("container.label[app.kubernetes.io/name]", "shop"),
            ("container.label[io.kubernetes.pod.name]", "shop-1"),
            ("container.label[none]", "<NA>"),
            // A label without a value is its name alone.
            (
                "container.labels",
                "app:shop, app.kubernetes.io/name:shop, marked",
            ),
            ("container.label[marked]", ""),
            ("container.healthcheck", "<NA>"),
            ("proc.is_container_healthcheck", "<NA>"),
        ],
    );
    holds(
        &event,
        &[
            (
                "container.host_network = true and container.host_pid = false",
                true,
            ),
            ("container.privileged = true", true),
            ("k8s.pod.label[app.kubernetes.io/name] = shop", true),
            ("container.ip = 10.244.0.7", true),
            ("k8s.rc.name exists", false),
        ],
    );
}

#[test]
fn outside_of_containers_there_is_a_name_and_nothing_else() {
    let event = Happening::openat(b"/x", 0, 3);
    shows(
        &event,
        &[
            ("container.id", "host"),
            ("container.name", "host"),
            ("container.mounts", "<NA>"),
            ("container.mount[0]", "<NA>"),
            ("container.ip", "<NA>"),
            ("container.host_pid", "<NA>"),
            ("container.start_ts", "<NA>"),
            ("container.duration", "<NA>"),
            ("k8s.pod.ip", "<NA>"),
        ],
    );
}

#[test]
fn the_start_is_what_the_runtime_says_or_that_of_the_pid_namespace() {
    let mut event = contained();
    event.machine.processes.get_mut(&30).unwrap().pidns_start = 1_600_000_000_000_000_000;
    shows(&event, &[("container.start_ts", "40")]);
    event.container = Some(Container {
        host: HostNamespaces::default(),
        ..Container::new("0123456789abcdef0123", "docker", Learnt::Cgroup)
    });
    shows(
        &event,
        &[
            ("container.start_ts", "1600000000000000000"),
            ("container.duration", "100000000000000042"),
            // Nobody told of them.
            ("container.mounts", "<NA>"),
            ("container.privileged", "<NA>"),
            ("k8s.pod.ip", "<NA>"),
        ],
    );
    event.machine.processes.get_mut(&30).unwrap().pidns_start = 0;
    shows(
        &event,
        &[("container.start_ts", "<NA>"), ("container.duration", "<NA>")],
    );
    event.container = Some(Container {
        mounts: Some(Vec::new()),
        pod: None,
        ..Machine::container()
    });
    shows(
        &event,
        &[
            ("container.mounts", ""),
            ("k8s.pod.ip", "<NA>"),
            ("container.ip", "10.244.0.7"),
        ],
    );
}

#[test]
fn values_have_their_types_in_json() {
    // In the order of their names.
    let template =
        Template::compile("%container.privileged %container.start_ts %container.mount.rdwr[0]").unwrap();
    let mut values = Vec::new();
    contained().view(|view| template.render(view, &mut String::new(), &mut values));
    let values: Vec<FieldValue> = values.into_iter().map(|(_, value)| value).collect();
    assert_eq!(
        values,
        [
            FieldValue::Text("true".into()),
            FieldValue::Bool(true),
            FieldValue::U64(40)
        ]
    );
}

#[test]
fn news_of_a_container_have_its_fields_and_no_thread() {
    let data = r#"{"container":{"id":"0123456789ab"}}"#;
    let wire = WireBuilder::new()
        .missing()
        .text("container")
        .bytes(data.as_bytes());
    let mut event = Happening::new(Event::Container, wire).contained();
    event.pid = 0;
    shows(
        &event,
        &[
            ("evt.type", "container"),
            ("evt.asynctype", "container"),
            ("evt.source", "syscall"),
            ("evt.category", "other"),
            ("evt.arg.name", "container"),
            ("evt.arg.plugin_id", "0"),
            ("evt.arg.data", data),
            ("evt.arg[2]", data),
            (
                "evt.args",
                r#"plugin_id=0 name=container data={"container":{"id":"0123456789ab"}} "#,
            ),
            ("container.image", "docker.io/library/nginx:1.27"),
            ("k8s.pod.name", "shop-1"),
            ("container.start_ts", "40"),
            ("proc.name", "<NA>"),
            ("proc.pid", "<NA>"),
            ("thread.tid", "<NA>"),
            ("user.name", "<NA>"),
            ("user.uid", "<NA>"),
            ("group.gid", "<NA>"),
            ("fd.name", "<NA>"),
            ("syscall.type", "<NA>"),
            ("evt.res", "<NA>"),
        ],
    );
    holds(
        &event,
        &[
            ("evt.type = container and container.image contains nginx", true),
            ("evt.type in (container, container_removed)", true),
            ("evt.type = container_removed", false),
            ("evt.is_async = true and evt.asynctype = container", true),
            ("evt.arg.data contains 0123456789ab", true),
            ("container.image contains nginx", true),
            (
                "proc.pid exists or user.name = root or thread.ismain exists",
                false,
            ),
            ("evt.pluginname exists", false),
        ],
    );
    holds(
        &contained(),
        &[("evt.is_async = true", false), ("evt.asynctype exists", false)],
    );
}
