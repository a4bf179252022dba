//! Descriptions as tables of wants.

use super::*;
use crate::{Resources, Rlimit, Seccomp, Security};

fn host() -> Host {
    Host::read().expect("this is Linux")
}

fn describe(spec: &ContainerSpec, namespaces: &Namespaces) -> Result<Value, RuntimeError> {
    let image = ImageConfig {
        entrypoint: vec!["/entry".into()],
        command: vec!["arg".into()],
        env: vec!["A=1".into(), "PATH=/bin".into()],
        ..ImageConfig::default()
    };
    let host = host();
    let user = resolve(spec.security.user, &image.user, "", "").expect("a user");
    container(&Input {
        spec,
        image: &image,
        user,
        namespaces,
        ipc: "/pins/ipc".into(),
        uts: "/pins/uts".into(),
        shm: "/pins/shm".into(),
        pid: namespaces.shared_pid.then(|| "/pins/pid".into()),
        cgroup: Path::new("/mesh/pod/c"),
        cgroup_unified: false,
        host: &host,
        devices: Vec::new(),
    })
}

/// The description has `expect` at the JSON pointer.
fn check(spec: &ContainerSpec, pointer: &str, expect: Value) {
    let namespaces = Namespaces { network: Some("/run/netns/pod".into()), ..Namespaces::default() };
    let described = describe(spec, &namespaces).expect("it can be");
    assert_eq!(described.pointer(pointer).unwrap_or(&Value::Null), &expect, "{pointer}");
}

#[test]
fn every_field_is_one_that_the_specification_knows() {
    let spec = ContainerSpec {
        mounts: vec![Mount { source: "/a".into(), target: "/b".into(), ..Mount::default() }],
        resources: Resources {
            cpu_shares: Some(2),
            cpu_quota: Some(1000),
            cpu_period: Some(100_000),
            memory_bytes_max: Some(1 << 20),
            pids_max: Some(5),
            oom_score_adj: Some(1000),
        },
        security: Security {
            rlimits: vec![Rlimit { name: "RLIMIT_NOFILE".into(), soft: 1, hard: 2 }],
            ..Security::default()
        },
        ..ContainerSpec::default()
    };
    let described = describe(&spec, &Namespaces::default()).expect("it can be");
    let typed: oci_spec::runtime::Spec = serde_json::from_value(described.clone()).expect("it is of that type");
    let mut back = serde_json::to_value(typed).expect("JSON");
    // There they are sets.
    for set in ["bounding", "effective", "permitted"] {
        let names = back["process"]["capabilities"][set].as_array_mut().expect("a list");
        names.sort_by_key(|name| name.as_str().map(str::to_owned));
    }
    assert_eq!(back, described);
}

#[test]
fn the_pod_replaces_what_the_image_says() {
    let spec = |command: &[&str], args: &[&str]| ContainerSpec {
        command: command.iter().map(|one| (*one).to_owned()).collect(),
        args: args.iter().map(|one| (*one).to_owned()).collect(),
        env: vec![("A".into(), "2".into()), ("B".into(), "3".into())],
        ..ContainerSpec::default()
    };
    check(&spec(&[], &[]), "/process/args", json!(["/entry", "arg"]));
    check(&spec(&[], &["x"]), "/process/args", json!(["/entry", "x"]));
    check(&spec(&["/c"], &[]), "/process/args", json!(["/c"]));
    check(&spec(&["/c"], &["x"]), "/process/args", json!(["/c", "x"]));
    check(&spec(&[], &[]), "/process/env", json!(["PATH=/bin", "A=2", "B=3"]));
}

#[test]
fn capabilities_follow_the_pod() {
    let spec = |add: &[&str], drop: &[&str]| ContainerSpec {
        security: Security {
            add_capabilities: add.iter().map(|one| (*one).to_owned()).collect(),
            drop_capabilities: drop.iter().map(|one| (*one).to_owned()).collect(),
            ..Security::default()
        },
        ..ContainerSpec::default()
    };
    check(&spec(&[], &["ALL"]), "/process/capabilities/bounding", json!([]));
    check(&spec(&["chown"], &["ALL"]), "/process/capabilities/bounding", json!(["CAP_CHOWN"]));
    assert!(describe(&spec(&["NOPE"], &[]), &Namespaces::default()).is_err());
}

#[test]
fn what_confines_is_described() {
    let confined = |security: Security| ContainerSpec { security, ..ContainerSpec::default() };
    let of = |seccomp: Seccomp| confined(Security { seccomp, ..Security::default() });
    let own = Seccomp::Profile { name: "own".into(), text: br#"{"defaultAction":"SCMP_ACT_KILL"}"#[..].into() };
    check(&of(Seccomp::Unconfined), "/linux/seccomp", Value::Null);
    check(&of(Seccomp::RuntimeDefault), "/linux/seccomp/defaultAction", json!("SCMP_ACT_ERRNO"));
    check(&of(own), "/linux/seccomp/defaultAction", json!("SCMP_ACT_KILL"));
    let profile = confined(Security { app_armor: Some("own".into()), ..Security::default() });
    check(&profile, "/process/apparmorProfile", json!("own"));
    check(&ContainerSpec::default(), "/process/apparmorProfile", Value::Null);
}

#[test]
fn namespaces_are_the_pods_or_the_hosts() {
    let kinds = |namespaces: &Namespaces| {
        let described = describe(&ContainerSpec::default(), namespaces).expect("it can be");
        let all = described["linux"]["namespaces"].as_array().expect("a list").clone();
        all.iter().map(|one| one["type"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    let network = Some(PathBuf::from("/run/netns/pod"));
    assert_eq!(kinds(&Namespaces { network, ..Namespaces::default() }), ["mount", "network", "uts", "ipc", "pid"]);
    assert_eq!(kinds(&Namespaces { host_ipc: true, host_pid: true, ..Namespaces::default() }), ["mount"]);
    let shared = Namespaces { host_ipc: true, shared_pid: true, ..Namespaces::default() };
    let described = describe(&ContainerSpec::default(), &shared).expect("it can be");
    assert_eq!(described["linux"]["namespaces"][1], json!({ "type": "pid", "path": "/pins/pid" }));
}

#[test]
fn kernel_settings_of_the_host_are_refused() {
    let pod = Namespaces { network: Some("/n".into()), ..Namespaces::default() };
    let host = Namespaces { host_ipc: true, ..Namespaces::default() };
    let allowed = |name: &str, namespaces: &Namespaces| check_sysctls([name.to_owned()].iter(), namespaces).is_ok();
    assert!(allowed("net.ipv4.ip_forward", &pod) && allowed("kernel.shmmax", &pod));
    assert!(!allowed("net.ipv4.ip_forward", &host) && !allowed("kernel.shmmax", &host));
    assert!(!allowed("vm.swappiness", &pod) && !allowed("net.../x", &pod) && !allowed("net.a/b", &pod));
}
