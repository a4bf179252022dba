//! What a pod leaves open, as far as type facts cannot say it. Idempotent, since it is also run on updates.
//! Main functions: [`pod`], [`spec`]. Spec: `default` notes of
//! <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodSpec>.

use serde_json::{Map, Value, json};

use super::{
    super::{
        persistent_volume_claim,
        read::{child, is_true},
    },
    amounts,
};

type Object = Map<String, Value>;

/// A field and its value where it is open.
type Default = (&'static str, fn() -> Value);

/// Mode of files in a volume that says nothing: 0644.
const FILE_MODE: i64 = 0o644;

/// Seconds that a projected token is good for.
const TOKEN_SECONDS: i64 = 3600;

/// Fields and their values in a PodSpec.
const SPEC: &[Default] = &[
    ("dnsPolicy", || "ClusterFirst".into()),
    ("restartPolicy", || "Always".into()),
    ("schedulerName", || "default-scheduler".into()),
    ("securityContext", || json!({})),
    ("terminationGracePeriodSeconds", || 30.into()),
];

/// Fields and their values in a probe.
const PROBE: &[Default] = &[
    ("failureThreshold", || 3.into()),
    ("periodSeconds", || 10.into()),
    ("successThreshold", || 1.into()),
    ("timeoutSeconds", || 1.into()),
];

/// Volume sources whose files have a mode.
const WITH_MODE: &[&str] = &["configMap", "downwardAPI", "projected", "secret"];

/// A whole pod: its spec, and what is not defaulted in templates.
pub(super) fn pod(pod: &mut Value) {
    spec(pod);
    let host = is_true(pod, "/spec/hostNetwork");
    if let Some(spec) = child(pod, "spec") {
        put(spec, "enableServiceLinks", || true.into());
        each(spec, &["containers", "initContainers"], |container| {
            requests_from_limits(container);
            if host {
                host_ports(container);
            }
        });
    }
    pod_requests(pod);
    status(pod);
}

/// The `spec` of a pod or template.
pub(super) fn spec(owner: &mut Value) {
    let Some(spec) = child(owner, "spec") else { return };
    fill(spec, SPEC);
    service_account(spec);
    each(spec, &["containers", "initContainers", "ephemeralContainers"], container);
    each(spec, &["volumes"], volume);
}

/// Old and new name of the same field.
fn service_account(spec: &mut Object) {
    let text = |name: &str| spec.get(name).filter(|value| value.as_str().is_some_and(|text| !text.is_empty())).cloned();
    let Some(name) = text("serviceAccountName").or_else(|| text("serviceAccount")) else { return };
    spec.insert("serviceAccount".to_owned(), name.clone());
    spec.insert("serviceAccountName".to_owned(), name);
}

fn container(container: &mut Object) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = if is_latest(image) { "Always" } else { "IfNotPresent" };
    put(container, "imagePullPolicy", || policy.into());
    put(container, "resources", || json!({}));
    put(container, "terminationMessagePath", || "/dev/termination-log".into());
    put(container, "terminationMessagePolicy", || "File".into());
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(name).and_then(Value::as_object_mut) {
            fill(probe, PROBE);
            http_get(probe);
        }
    }
    if let Some(lifecycle) = container.get_mut("lifecycle").and_then(Value::as_object_mut) {
        for name in ["postStart", "preStop"] {
            lifecycle.get_mut(name).and_then(Value::as_object_mut).map(http_get);
        }
    }
    each(container, &["env"], |variable| {
        variable.get_mut("valueFrom").and_then(Value::as_object_mut).map(field_ref);
    });
}

/// Whether an image is named by the tag `latest`, spelled out or not.
fn is_latest(image: &str) -> bool {
    if image.is_empty() || image.contains('@') {
        return image.split('@').next().is_some_and(|named| named.ends_with(":latest"));
    }
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn http_get(handler: &mut Object) {
    if let Some(get) = handler.get_mut("httpGet").and_then(Value::as_object_mut) {
        put(get, "path", || "/".into());
        put(get, "scheme", || "HTTP".into());
    }
}

fn field_ref(source: &mut Object) {
    if let Some(field) = source.get_mut("fieldRef").and_then(Value::as_object_mut) {
        put(field, "apiVersion", || "v1".into());
    }
    if let Some(resource) = source.get_mut("resourceFieldRef").and_then(Value::as_object_mut) {
        put(resource, "divisor", || "0".into());
    }
}

fn volume(volume: &mut Object) {
    if volume.keys().all(|key| key == "name") {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    for name in WITH_MODE {
        if let Some(source) = volume.get_mut(*name).and_then(Value::as_object_mut) {
            put(source, "defaultMode", || FILE_MODE.into());
        }
    }
    if let Some(path) = volume.get_mut("hostPath").and_then(Value::as_object_mut) {
        path.entry("type").or_insert_with(|| "".into());
    }
    if let Some(downward) = volume.get_mut("downwardAPI").and_then(Value::as_object_mut) {
        each(downward, &["items"], field_ref);
    }
    if let Some(projected) = volume.get_mut("projected").and_then(Value::as_object_mut) {
        each(projected, &["sources"], projection);
    }
    if let Some(template) = volume.get_mut("ephemeral").and_then(|source| source.get_mut("volumeClaimTemplate")) {
        persistent_volume_claim::default_spec(template);
    }
}

fn projection(source: &mut Object) {
    if let Some(token) = source.get_mut("serviceAccountToken").and_then(Value::as_object_mut) {
        put(token, "expirationSeconds", || TOKEN_SECONDS.into());
    }
    if let Some(downward) = source.get_mut("downwardAPI").and_then(Value::as_object_mut) {
        each(downward, &["items"], field_ref);
    }
}

/// Whoever limits a resource asks for as much, unless he says otherwise.
fn requests_from_limits(container: &mut Object) {
    if let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut) {
        fill_requests(resources);
    }
}

fn fill_requests(resources: &mut Object) {
    let Some(limits) = resources.get("limits").and_then(Value::as_object).filter(|limits| !limits.is_empty()) else {
        return;
    };
    let limits = limits.clone();
    let requests = resources.entry("requests").or_insert_with(|| json!({}));
    if let Some(requests) = requests.as_object_mut() {
        for (name, amount) in limits {
            requests.entry(name).or_insert(amount);
        }
    }
}

/// A pod that is limited as a whole asks for what its containers ask for together, else for what it may have.
fn pod_requests(pod: &mut Value) {
    let Some(limits) = pod.pointer("/spec/resources/limits").and_then(Value::as_object) else { return };
    if limits.is_empty() {
        return;
    }
    let limits = limits.clone();
    let shared = |name: &str| matches!(name, "cpu" | "memory");
    let sum = pod.get("spec").map(amounts::requests).unwrap_or_default();
    let sum: Vec<(String, Value)> = sum
        .into_iter()
        .filter(|(name, _)| shared(name))
        .map(|(name, amount)| (name.to_owned(), amount.to_string().into()))
        .collect();
    let Some(requests) = pod.pointer_mut("/spec/resources").and_then(|resources| child(resources, "requests")) else {
        return;
    };
    let supported = limits.into_iter().filter(|(name, _)| shared(name) || name.starts_with("hugepages-"));
    for (name, amount) in sum.into_iter().chain(supported) {
        requests.entry(name).or_insert(amount);
    }
}

/// In the host's network a container's port is the host's.
fn host_ports(container: &mut Object) {
    each(container, &["ports"], |port| {
        let open = port.get("hostPort").is_none_or(|known| known.as_i64() == Some(0) || known.is_null());
        if let Some(number) = port.get("containerPort").filter(|_| open).cloned() {
            port.insert("hostPort".to_owned(), number);
        }
    });
}

/// The single address and the list of addresses tell the same.
fn status(pod: &mut Value) {
    let Some(status) = pod.get_mut("status").and_then(Value::as_object_mut) else { return };
    for (single, list) in [("podIP", "podIPs"), ("hostIP", "hostIPs")] {
        let one = status.get(single).and_then(Value::as_str).filter(|one| !one.is_empty()).map(str::to_owned);
        let first = status.get(list).and_then(|list| list.pointer("/0/ip")).and_then(Value::as_str).map(str::to_owned);
        match (one, first) {
            (Some(one), first) if first.as_ref() != Some(&one) && (single == "podIP" || first.is_none()) => {
                status.insert(list.to_owned(), json!([{ "ip": one }]));
            }
            (None, Some(first)) if single == "podIP" => _ = status.insert(single.to_owned(), first.into()),
            _ => {}
        }
    }
}

fn fill(object: &mut Object, defaults: &[Default]) {
    defaults.iter().for_each(|(name, value)| put(object, name, value));
}

/// Sets a field that is absent, null, zero or empty: Go cannot tell these apart where a field is no pointer.
fn put(object: &mut Object, name: &str, value: impl Fn() -> Value) {
    let open = match object.get(name) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Number(number)) => number.as_i64() == Some(0) && PROBE.iter().any(|(known, _)| *known == name),
        Some(_) => false,
    };
    if open {
        object.insert(name.to_owned(), value());
    }
}

fn each(object: &mut Object, lists: &[&str], mut run: impl FnMut(&mut Object)) {
    for list in lists {
        let items = object.get_mut(*list).and_then(Value::as_array_mut).into_iter().flatten();
        items.filter_map(Value::as_object_mut).for_each(&mut run);
    }
}
