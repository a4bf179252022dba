//! What is let pass and yet is hardly meant. Main functions: [`pod`], [`spec`]; the words are upstream's. Spec:
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#warnings>.
//! Leaves out deprecated annotations.

use serde_json::Value;

use super::super::{
    persistent_volume_claim,
    read::{entries, items, text},
};
use crate::{field::Path, meta, names, quantity::Quantity};

/// Labels of nodes that have other names now.
pub(in crate::kinds) const RENAMED: &[(&str, &str, &str)] = &[
    ("beta.kubernetes.io/arch", "v1.14", "kubernetes.io/arch"),
    ("beta.kubernetes.io/os", "v1.14", "kubernetes.io/os"),
    ("beta.kubernetes.io/instance-type", "v1.17", "node.kubernetes.io/instance-type"),
    ("failure-domain.beta.kubernetes.io/region", "v1.17", "topology.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "v1.17", "topology.kubernetes.io/zone"),
];

/// Sources of volumes that are on their way out, what messages call them, and what these say.
const GONE: &[(&str, &str, &str)] = &[
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// Resources that come in whole bytes.
const BYTES: &[&str] = &["memory", "ephemeral-storage"];

/// Warnings of a new pod.
#[must_use]
pub fn pod(pod: &Value) -> Vec<String> {
    let mut told = Vec::new();
    let wrong = names::dns1123_label(meta::name(pod));
    if !meta::name(pod).is_empty() && !wrong.is_empty() {
        let wrong = wrong.join(" ");
        told.push(format!("metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [{wrong}]"));
    }
    if let Some(body) = pod.get("spec") {
        spec(body, &Path::new("spec"), &mut told);
    }
    told
}

/// Warnings of a PodSpec that lies at `path`.
pub fn spec(spec: &Value, path: &Path<'_>, told: &mut Vec<String>) {
    for (label, since, now) in RENAMED {
        if spec.get("nodeSelector").and_then(|selector| selector.get(*label)).is_some() {
            let path = path.child("nodeSelector");
            told.push(format!("{}: deprecated since {since}; use {now:?} instead", path.key(label)));
        }
    }
    let volumes = path.child("volumes");
    for (index, one) in items(spec, "/volumes").iter().enumerate() {
        volume(one, &volumes.index(index), told);
    }
    let secrets = path.child("imagePullSecrets");
    for (index, secret) in items(spec, "/imagePullSecrets").iter().enumerate() {
        let name = text(secret, "/name");
        if name.is_empty() {
            told.push(format!("{}: invalid empty name {name:?}", secrets.index(index).child("name")));
        }
    }
    if spec.get("terminationGracePeriodSeconds").and_then(Value::as_i64).is_some_and(|seconds| seconds < 0) {
        let path = path.child("terminationGracePeriodSeconds");
        told.push(format!("{path}: must be >= 0; negative values are invalid and will be treated as 1"));
    }
    let constraints = path.child("topologySpreadConstraints");
    for (index, constraint) in items(spec, "/topologySpreadConstraints").iter().enumerate() {
        if constraint.get("labelSelector").is_none() {
            let path = constraints.index(index);
            told.push(format!("{}: a null labelSelector results in matching no pod", path.child("labelSelector")));
        }
    }
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        let path = path.child(list);
        for (index, one) in items(spec, &format!("/{list}")).iter().enumerate() {
            container(one, &path.index(index), told);
        }
    }
}

fn volume(volume: &Value, path: &Path<'_>, told: &mut Vec<String>) {
    for (_, name, words) in GONE.iter().filter(|(field, ..)| volume.get(*field).is_some()) {
        told.push(format!("{}: {words}", path.child(name)));
    }
    if let Some(spec) = volume.pointer("/ephemeral/volumeClaimTemplate/spec") {
        let path = path.child("ephemeral");
        let path = path.child("volumeClaimTemplate");
        persistent_volume_claim::spec_warnings(spec, &path.child("spec"), told);
    }
}

fn container(container: &Value, path: &Path<'_>, told: &mut Vec<String>) {
    let resources = path.child("resources");
    for part in ["limits", "requests"] {
        let path = resources.child(part);
        for (name, amount) in entries(container, &format!("/resources/{part}")).filter(|(name, _)| BYTES.contains(name))
        {
            let fraction = Quantity::from_json(amount).ok().filter(|amount| amount.nanos() % 1_000_000_000 != 0);
            if let Some(amount) = fraction {
                let amount = amount.to_string();
                told.push(format!(
                    "{}: fractional byte value {amount:?} is invalid, must be an integer",
                    path.key(name)
                ));
            }
        }
    }
    let (list, variables) = (path.child("env"), items(container, "/env"));
    for (index, variable) in variables.iter().enumerate() {
        let name = text(variable, "/name");
        if variables[..index].iter().any(|other| text(other, "/name") == name) {
            let path = list.index(index);
            told.push(format!("{path}: hides previous definition of {name:?}, which may be dropped when using apply"));
        }
    }
    let (list, ports) = (path.child("ports"), items(container, "/ports"));
    for (index, port) in ports.iter().enumerate() {
        if let Some(other) = ports[..index].iter().position(|other| same_port(other, port)) {
            told.push(format!("{}: duplicate port definition with {}", list.index(index), list.index(other)));
        }
    }
}

fn same_port(one: &Value, other: &Value) -> bool {
    let protocol = |port| match text(port, "/protocol") {
        "" => "TCP",
        protocol => protocol,
    };
    let number = |port: &Value, field: &str| port.get(field).and_then(Value::as_i64).unwrap_or_default();
    let same = |field| number(one, field) == number(other, field);
    same("containerPort")
        && same("hostPort")
        && protocol(one) == protocol(other)
        && text(one, "/hostIP") == text(other, "/hostIP")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(name: &str, spec: Value, expect: &[&str]) {
        let told = pod(&json!({ "metadata": { "name": name }, "spec": spec }));
        assert_eq!(told, expect);
    }

    #[test]
    fn tells_what_is_hardly_meant() {
        let with = |fields: Value| json!({ "containers": [fields] });
        check("p", with(json!({ "env": [{ "name": "A" }, { "name": "B" }] })), &[]);
        check(
            "a.b",
            json!({}),
            &[
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
            ],
        );
        check(
            "p",
            with(json!({ "env": [{ "name": "A" }, { "name": "A" }] })),
            &[r#"spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply"#],
        );
        check(
            "p",
            with(json!({ "ports": [{ "containerPort": 1 }, { "containerPort": 1, "protocol": "TCP" }] })),
            &["spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"],
        );
        check(
            "p",
            with(json!({ "resources": { "limits": { "memory": "100m", "cpu": "100m" } } })),
            &[
                r#"spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer"#,
            ],
        );
        let claim = json!({ "spec": { "resources": { "requests": { "storage": "1500m" } } } });
        check(
            "p",
            json!({ "volumes": [{ "rbd": {} }, { "ephemeral": { "volumeClaimTemplate": claim } }] }),
            &[
                "spec.volumes[0].rbd: deprecated in v1.28, non-functional in v1.31+",
                r#"spec.volumes[1].ephemeral.volumeClaimTemplate.spec.resources.requests[storage]: fractional byte value "1500m" is invalid, must be an integer"#,
            ],
        );
        check(
            "p",
            json!({ "nodeSelector": { "beta.kubernetes.io/os": "linux" }, "terminationGracePeriodSeconds": -1 }),
            &[
                r#"spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead"#,
                "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
            ],
        );
    }
}
