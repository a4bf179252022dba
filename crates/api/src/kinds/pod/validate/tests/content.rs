//! Errors of what is brought into containers: variables, mounts, volumes.

use serde_json::{Value, json};

use super::{container, spec};

#[test]
fn variables_have_one_source() {
    let env = |variable: Value, expect: &[&str]| container(json!({ "env": [variable] }), expect);
    env(json!({ "name": "A.b-c", "value": "x" }), &[]);
    env(json!({ "value": "x" }), &["spec.containers[0].env[0].name: Required value"]);
    env(
        json!({ "name": "a=b" }),
        &[
            r#"spec.containers[0].env[0].name: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII characters other than '='"#,
        ],
    );
    env(
        json!({ "name": "A", "valueFrom": {} }),
        &[
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        ],
    );
    let key = json!({ "name": "c", "key": "k" });
    env(
        json!({ "name": "A", "value": "x", "valueFrom": { "configMapKeyRef": key } }),
        &["spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty"],
    );
    env(
        json!({ "name": "A", "valueFrom": { "configMapKeyRef": key, "secretKeyRef": key } }),
        &[
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not have more than one field specified at a time",
        ],
    );
    env(
        json!({ "name": "A", "valueFrom": { "secretKeyRef": { "name": "s" } } }),
        &["spec.containers[0].env[0].valueFrom.secretKeyRef.key: Required value"],
    );
}

#[test]
fn references_name_fields_that_can_be_had() {
    let env = |variable: Value, expect: &[&str]| container(json!({ "env": [variable] }), expect);
    let field = |path: &str, expect: &[&str]| {
        env(json!({ "name": "A", "valueFrom": { "fieldRef": { "fieldPath": path } } }), expect);
    };
    field("metadata.name", &[]);
    field("metadata.labels['a']", &[]);
    field("status.podIPs", &[]);
    field(
        "metadata.labels",
        &[
            r#"spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs""#,
        ],
    );
    field(
        "x",
        &[
            r#"spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "x": error converting fieldPath: field label not supported: x"#,
        ],
    );
    field(
        "metadata.name['x']",
        &[
            r#"spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.name['x']": error converting fieldPath: field label does not support subscript: metadata.name['x']"#,
        ],
    );
    let resource = |source: Value, expect: &[&str]| {
        env(json!({ "name": "A", "valueFrom": { "resourceFieldRef": source } }), expect);
    };
    resource(json!({ "resource": "limits.cpu", "divisor": "1m" }), &[]);
    resource(
        json!({ "resource": "limits.cpu", "divisor": "2" }),
        &[
            r#"spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supported with the cpu resource"#,
        ],
    );
    resource(
        json!({ "resource": "x" }),
        &[
            r#"spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: Unsupported value: "x": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory""#,
        ],
    );
    container(
        json!({ "envFrom": [{}] }),
        &["spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`"],
    );
    container(
        json!({ "envFrom": [{ "configMapRef": {} }] }),
        &["spec.containers[0].envFrom[0].configMapRef.name: Required value"],
    );
}

#[test]
fn mounts_name_a_volume() {
    let mount = |mount: Value, expect: &[&str]| container(json!({ "volumeMounts": [mount] }), expect);
    mount(json!({ "name": "v", "mountPath": "/x", "subPath": "a/b" }), &[]);
    mount(json!({ "name": "w", "mountPath": "/x" }), &[r#"spec.containers[0].volumeMounts[0].name: Not found: "w""#]);
    mount(json!({ "name": "v" }), &["spec.containers[0].volumeMounts[0].mountPath: Required value"]);
    mount(
        json!({ "name": "v", "mountPath": "/x", "subPath": "../y" }),
        &[r#"spec.containers[0].volumeMounts.subPath: Invalid value: "../y": must not contain '..'"#],
    );
    mount(
        json!({ "name": "v", "mountPath": "/x", "subPath": "/y" }),
        &[r#"spec.containers[0].volumeMounts.subPath: Invalid value: "/y": must be a relative path"#],
    );
    mount(
        json!({ "name": "v", "mountPath": "/x", "mountPropagation": "Bidirectional" }),
        &[
            "spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
        ],
    );
    let twice = json!([{ "name": "v", "mountPath": "/x" }, { "name": "v", "mountPath": "/x" }]);
    container(
        json!({ "volumeMounts": twice }),
        &[r#"spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/x": must be unique"#],
    );
    container(
        json!({ "volumeDevices": [{ "name": "v", "devicePath": "/x" }] }),
        &[
            r#"spec.containers[0].volumeDevices[0].name: Invalid value: "v": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"#,
        ],
    );
}

#[test]
fn volumes_have_one_sound_source() {
    let volume = |volume: Value, expect: &[&str]| spec(json!({ "volumes": [volume] }), expect);
    volume(json!({ "name": "v", "configMap": { "name": "c" } }), &[]);
    volume(json!({ "emptyDir": {} }), &["spec.volumes[0].name: Required value"]);
    volume(
        json!({ "name": "v", "configMap": { "name": "c" }, "emptyDir": {} }),
        &["spec.volumes[0].configMap: Forbidden: may not specify more than 1 volume type"],
    );
    volume(json!({ "name": "v", "secret": {} }), &["spec.volumes[0].secret.secretName: Required value"]);
    volume(
        json!({ "name": "v", "secret": { "secretName": "s", "defaultMode": 512 } }),
        &[
            "spec.volumes[0].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
        ],
    );
    volume(
        json!({ "name": "v", "configMap": { "name": "c", "items": [{ "key": "k", "path": "..a" }] } }),
        &[r#"spec.volumes[0].configMap.items[0].path: Invalid value: "..a": must not start with '..'"#],
    );
    volume(json!({ "name": "v", "hostPath": {} }), &["spec.volumes[0].hostPath.path: Required value"]);
    volume(
        json!({ "name": "v", "hostPath": { "path": "/x", "type": "y" } }),
        &[
            r#"spec.volumes[0].hostPath.type: Unsupported value: "y": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket""#,
        ],
    );
    volume(
        json!({ "name": "v", "nfs": { "server": "s", "path": "x" } }),
        &[r#"spec.volumes[0].nfs.path: Invalid value: "x": must be an absolute path"#],
    );
    volume(
        json!({ "name": "v", "downwardAPI": { "items": [{ "path": "p" }] } }),
        &["spec.volumes[0].downwardAPI: Required value: one of fieldRef and resourceFieldRef is required"],
    );
    volume(
        json!({ "name": "v", "projected": { "sources": [{ "secret": { "name": "s" }, "configMap": { "name": "c" } }] } }),
        &["spec.volumes[0].projected.sources[0]: Forbidden: may not specify more than 1 volume type per source"],
    );
    let token = json!({ "name": "v", "projected": { "sources": [{ "serviceAccountToken": { "path": "t", "expirationSeconds": 5 } }] } });
    spec(
        json!({ "serviceAccountName": "s", "volumes": [token] }),
        &[
            "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes",
        ],
    );
    volume(
        json!({ "name": "v", "projected": { "sources": [{ "serviceAccountToken": { "path": "t" } }] } }),
        &[
            "spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set",
        ],
    );
    spec(json!({ "volumes": [{ "name": "v" }, { "name": "v" }] }), &[r#"spec.volumes[1].name: Duplicate value: "v""#]);
}
