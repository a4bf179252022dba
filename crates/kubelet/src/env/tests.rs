//! Variables, by tables.

use serde_json::json;

use super::*;

fn references() -> References {
    let service = |namespace: &str, name: &str, ip: &str, ports: Value| json!({"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": ip, "ports": ports}});
    References {
        config_maps: BTreeMap::from([
            ("cm".into(), Reference::Found(json!({"data": {"a": "1", "b=c": "2"}}))),
            ("gone".into(), Reference::Missing),
        ]),
        secrets: BTreeMap::from([("s".into(), Reference::Found(json!({"data": {"pass": "aHVudGVyMg=="}})))]),
        services: Some(vec![
            service("default", "kubernetes", "10.96.0.1", json!([{"name": "https", "port": 443, "protocol": "TCP"}])),
            service("n", "my-db", "10.96.0.9", json!([{"port": 53, "protocol": "UDP"}])),
            service("n", "headless", "None", json!([{"port": 1}])),
            service("other", "far", "10.96.0.8", json!([{"port": 1}])),
        ]),
        ..References::default()
    }
}

/// Resolves a container's variables; those of Services only where `expect` names them.
fn check(container: Value, expect: Result<&[(&str, &str)], &str>) -> Vec<PodEvent> {
    let pod = json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "x"}},
        "spec": {"nodeName": "n1", "containers": [container]},
    });
    let pod = Pod::read(&pod).unwrap();
    let node = NodeFacts {
        addresses: vec![[192, 0, 2, 1].into()],
        allocatable: BTreeMap::from([("cpu".into(), json!("4"))]),
        ..NodeFacts::default()
    };
    let references = references();
    let sources = Sources { pod: &pod, pod_ips: &[[10, 0, 0, 2].into()], references: &references, node: &node };
    let found = resolve(&sources, &pod.spec.containers[0]);
    match (found, expect) {
        (Ok((found, events)), Ok(expect)) => {
            for (name, value) in expect {
                let found = found.0.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str());
                assert_eq!(found, Some(*value), "{name}");
            }
            events
        }
        (Err(error), Err(expect)) => {
            assert_eq!(error.to_string(), expect);
            Vec::new()
        }
        (found, expect) => panic!("{found:?} is not {expect:?}"),
    }
}

#[test]
fn values_are_expanded_from_what_came_before() {
    let env = json!({"env": [
        {"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(C)$$(A)"}, {"name": "C", "value": "3"},
        {"name": "D", "value": "$(MY_DB_SERVICE_HOST)"}, {"name": "A", "value": "9"},
    ]});
    check(env, Ok(&[("A", "9"), ("B", "1$(C)$(A)"), ("C", "3"), ("D", "10.96.0.9")]));
}

#[test]
fn references_give_values_or_say_what_is_missing() {
    let from = |from: Value| json!({"env": [{"name": "A", "valueFrom": from}]});
    check(from(json!({"configMapKeyRef": {"name": "cm", "key": "a"}})), Ok(&[("A", "1")]));
    check(from(json!({"secretKeyRef": {"name": "s", "key": "pass"}})), Ok(&[("A", "hunter2")]));
    check(from(json!({"configMapKeyRef": {"name": "cm", "key": "x"}})), Err("couldn't find key x in ConfigMap n/cm"));
    check(from(json!({"secretKeyRef": {"name": "s", "key": "x"}})), Err("couldn't find key x in Secret n/s"));
    check(from(json!({"configMapKeyRef": {"name": "gone", "key": "x"}})), Err("configmap \"gone\" not found"));
    check(from(json!({"configMapKeyRef": {"name": "gone", "key": "x", "optional": true}})), Ok(&[]));
    check(from(json!({"secretKeyRef": {"name": "new", "key": "x"}})), Err("waiting for secret \"new\""));
    check(json!({"envFrom": [{"configMapRef": {"name": "gone"}}]}), Err("configmap \"gone\" not found"));
}

#[test]
fn facts_of_the_pod_and_its_resources() {
    let field = |path: &str| json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": path}}}]});
    for (path, expect) in [
        ("metadata.name", "p"),
        ("metadata.labels['app']", "x"),
        ("metadata.annotations['none']", ""),
        ("spec.nodeName", "n1"),
        ("status.hostIP", "192.0.2.1"),
        ("status.podIPs", "10.0.0.2"),
        ("metadata.uid", "u"),
    ] {
        check(field(path), Ok(&[("A", expect)]));
    }
    let resource = |resource: &str, divisor: &str| {
        json!({
            "name": "c", "resources": {"requests": {"cpu": "250m", "memory": "1Mi"}, "limits": {"memory": "3Mi"}},
            "env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}],
        })
    };
    check(resource("requests.cpu", "0"), Ok(&[("A", "1")]));
    check(resource("requests.cpu", "1m"), Ok(&[("A", "250")]));
    check(resource("limits.cpu", "1"), Ok(&[("A", "4")]));
    check(resource("limits.memory", "2Mi"), Ok(&[("A", "2")]));
    check(resource("requests.memory", "0"), Ok(&[("A", "1048576")]));
}

#[test]
fn whole_objects_leave_out_what_is_no_name() {
    let events =
        check(json!({"name": "c", "envFrom": [{"prefix": "X_", "configMapRef": {"name": "cm"}}]}), Ok(&[("X_a", "1")]));
    let text = "Keys [X_b=c] from the EnvFrom configMap n/cm were skipped since they are considered invalid environment variable names.";
    assert_eq!((events[0].reason, events[0].message.as_str()), ("InvalidEnvironmentVariableNames", text));
}

#[test]
fn services_are_told_of_as_upstream_does() {
    check(
        json!({}),
        Ok(&[
            ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
            ("KUBERNETES_SERVICE_PORT", "443"),
            ("KUBERNETES_SERVICE_PORT_HTTPS", "443"),
            ("KUBERNETES_PORT", "tcp://10.96.0.1:443"),
            ("KUBERNETES_PORT_443_TCP", "tcp://10.96.0.1:443"),
            ("KUBERNETES_PORT_443_TCP_PROTO", "tcp"),
            ("KUBERNETES_PORT_443_TCP_PORT", "443"),
            ("KUBERNETES_PORT_443_TCP_ADDR", "10.96.0.1"),
            ("MY_DB_PORT_53_UDP", "udp://10.96.0.9:53"),
        ]),
    );
    let all = references().services.unwrap();
    let names = |namespace: &str, links: bool| {
        services(&all, namespace, links).into_keys().filter(|name| name.ends_with("_HOST")).collect::<Vec<_>>()
    };
    assert_eq!(names("n", false), ["KUBERNETES_SERVICE_HOST"]);
    assert_eq!(names("other", true), ["FAR_SERVICE_HOST", "KUBERNETES_SERVICE_HOST"]);
}
