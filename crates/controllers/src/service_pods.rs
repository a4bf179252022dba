//! What the controllers of endpoints share: the pods of a Service, what makes one an endpoint, and the Services that a
//! change of a pod concerns. Spec: <https://kubernetes.io/docs/concepts/services-networking/service/#endpoints>.

use api::{
    kinds::{
        pod::POD,
        read::{entries, is_true, items, text},
        service::{SERVICE, fields},
    },
    meta,
};
use serde_json::{Value, json};

use crate::{Change, Key, View, view::Object};

/// Label of what belongs to a headless Service.
pub(crate) const HEADLESS: &str = "service.kubernetes.io/headless";

/// Services, of the pod's namespace, whose endpoints the change of a pod concerns.
pub(crate) fn of_pod(change: &dyn Change, keys: &mut Vec<Key>) {
    let (before, after) = (change.before(), change.after());
    if let (Some(before), Some(after)) = (&before, &after)
        && facts(before) == facts(after)
    {
        return;
    }
    let concerns = |service: &Object| {
        fields::has_selector(service) && [&before, &after].into_iter().flatten().any(|pod| selects(service, pod))
    };
    let found = change.neighbours(&SERVICE).into_iter().filter(concerns);
    keys.extend(found.map(|service| Key::new(meta::namespace(&service), meta::name(&service))));
}

/// All of a pod that its endpoints depend on.
fn facts(pod: &Value) -> Value {
    json!([
        pod.pointer("/metadata/labels"),
        pod.pointer("/status/podIPs"),
        pod.pointer("/spec/nodeName"),
        pod.pointer("/spec/hostname"),
        pod.pointer("/spec/subdomain"),
        [is_ready(pod), meta::is_being_deleted(pod), has_ended(pod)],
    ])
}

fn selects(service: &Value, pod: &Value) -> bool {
    selector(service).iter().all(|(key, value)| meta::label(pod, key) == Some(value))
}

fn selector(service: &Value) -> Vec<(&str, &str)> {
    entries(service, "/spec/selector").map(|(key, value)| (key, value.as_str().unwrap_or_default())).collect()
}

/// Pods of the Service that have an address and have not ended.
pub(crate) fn of_service(view: &dyn View, service: &Value) -> Vec<Object> {
    let pods = view.labelled(&POD, meta::namespace(service), &selector(service));
    pods.into_iter().filter(|pod| !has_ended(pod) && !items(pod, "/status/podIPs").is_empty()).collect()
}

fn has_ended(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Failed" | "Succeeded")
}

/// Whether the pod says that it can take traffic.
pub(crate) fn is_ready(pod: &Value) -> bool {
    let conditions = items(pod, "/status/conditions").iter();
    conditions.filter(|condition| text(condition, "/type") == "Ready").any(|ready| text(ready, "/status") == "True")
}

/// Whether endpoints are told whatever their state.
pub(crate) fn publishes_all(service: &Value) -> bool {
    is_true(service, "/spec/publishNotReadyAddresses")
}

/// The pod's address of a family.
pub(crate) fn address<'a>(pod: &'a Value, family: &str) -> Option<&'a str> {
    let addresses = items(pod, "/status/podIPs").iter().map(|ip| text(ip, "/ip"));
    addresses.into_iter().find(|ip| !ip.is_empty() && ip.contains(':') == (family == "IPv6"))
}

/// The name under which the Service's domain has the pod.
pub(crate) fn hostname<'a>(pod: &'a Value, service: &Value) -> Option<&'a str> {
    let hostname = text(pod, "/spec/hostname");
    (!hostname.is_empty() && text(pod, "/spec/subdomain") == meta::name(service)).then_some(hostname)
}

/// What an endpoint says of its pod.
pub(crate) fn reference(pod: &Value) -> Value {
    json!({ "kind": "Pod", "name": meta::name(pod), "namespace": meta::namespace(pod), "uid": meta::uid(pod) })
}

/// The number that a port of the Service leads to in this pod.
pub(crate) fn target(pod: &Value, port: &Value) -> Option<i64> {
    match port.get("targetPort") {
        Some(Value::String(name)) => named(pod, name, text(port, "/protocol")),
        Some(Value::Number(number)) => number.as_i64(),
        _ => port.get("port").and_then(Value::as_i64),
    }
}

/// Ports are named by containers, and by the init containers that go on running.
fn named(pod: &Value, name: &str, protocol: &str) -> Option<i64> {
    let sidecars = items(pod, "/spec/initContainers").iter().filter(|one| text(one, "/restartPolicy") == "Always");
    let ports = items(pod, "/spec/containers").iter().chain(sidecars).flat_map(|one| items(one, "/ports"));
    let fits = |port: &&Value| {
        let own = text(port, "/protocol");
        text(port, "/name") == name && (if own.is_empty() { "TCP" } else { own }) == protocol
    };
    ports.into_iter().find(fits)?.get("containerPort")?.as_i64()
}

/// The owner reference of what belongs to an object and goes with it.
pub(crate) fn owned_by(owner: &Value) -> Value {
    json!([{
        "apiVersion": meta::api_version(owner), "kind": meta::kind(owner), "name": meta::name(owner),
        "uid": meta::uid(owner), "controller": true, "blockOwnerDeletion": true,
    }])
}
