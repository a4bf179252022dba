//! Sources of volumes, each wrong thing beside what is told of it.

use super::*;

/// The volume is this and nothing else.
fn check_source(source: &str, value: Value, expect: &[&str]) {
    check(json!({ "hostPath": null, source: value }), expect);
}

#[test]
fn sources_say_what_they_need() {
    check_source("hostPath", json!({ "path": "" }), &["spec.hostPath.path: Required value"]);
    check_source(
        "nfs",
        json!({ "server": "a", "path": "b" }),
        &[r#"spec.nfs.path: Invalid value: "b": must be an absolute path"#],
    );
    check_source("csi", json!({ "driver": "local.mesh.dev", "volumeHandle": "h" }), &[]);
    check_source(
        "csi",
        json!({ "driver": "d", "nodePublishSecretRef": { "name": "s" } }),
        &["spec.csi.volumeHandle: Required value", "spec.csi.nodePublishSecretRef.namespace: Required value"],
    );
    check_source(
        "gcePersistentDisk",
        json!({ "partition": 300 }),
        &[
            "spec.persistentDisk.pdName: Required value",
            "spec.persistentDisk.partition: Invalid value: 300: must be between 1 and 255, inclusive",
        ],
    );
}

#[test]
fn targets_of_a_storage_network_are_sound() {
    check_source("iscsi", json!({ "targetPortal": "a:3260", "iqn": "iqn.2001-04.com.example:a", "lun": 0 }), &[]);
    check_source("iscsi", json!({ "targetPortal": "a", "iqn": "eui.0123456789abcdef", "lun": 0 }), &[]);
    check_source(
        "iscsi",
        json!({ "targetPortal": "a", "iqn": "iqn.x", "lun": 256, "chapAuthSession": true }),
        &[
            r#"spec.iscsi.iqn: Invalid value: "iqn.x": must be valid format"#,
            "spec.iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive",
            "spec.iscsi.secretRef: Required value",
        ],
    );
    check_source("fc", json!({ "targetWWNs": ["a"], "lun": 1 }), &[]);
    check_source(
        "fc",
        json!({}),
        &["spec.fc.targetWWNs: Required value: must specify either targetWWNs or wwids, but not both"],
    );
    check_source("quobyte", json!({ "registry": "a:1,[::1]:2", "volume": "v" }), &[]);
    check_source(
        "quobyte",
        json!({ "registry": "a:1,b", "volume": "v" }),
        &[
            r#"spec.quobyte.registry: Invalid value: "a:1,b": must be a host:port pair or multiple pairs separated by commas"#,
        ],
    );
}

#[test]
fn sources_of_clouds_are_sound() {
    check_source(
        "flexVolume",
        json!({ "driver": "d", "options": { "kubernetes.io/a": "b" } }),
        &[
            r#"spec.flexVolume.options[kubernetes.io/a]: Invalid value: "kubernetes.io/a": kubernetes.io and k8s.io namespaces are reserved"#,
        ],
    );
    check_source(
        "azureDisk",
        json!({ "diskName": "d", "diskURI": "x", "kind": "Managed" }),
        &[
            r#"spec.azureDisk.diskURI: Unsupported value: "x": supported values: "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}""#,
        ],
    );
    check_source(
        "storageos",
        json!({ "volumeName": "v", "secretRef": { "name": "s" } }),
        &["spec.storageos.secretRef.namespace: Required value"],
    );
    check_source(
        "flocker",
        json!({ "datasetName": "a/b" }),
        &[r#"spec.flocker.datasetName: Invalid value: "a/b": must not contain '/'"#],
    );
}

#[test]
fn sources_tell_of_each_field_they_lack() {
    let needs: &[(&str, &[&str])] = &[
        ("awsElasticBlockStore", &["volumeID"]),
        ("glusterfs", &["endpoints", "path"]),
        ("rbd", &["monitors", "image"]),
        ("cephfs", &["monitors"]),
        ("cinder", &["volumeID"]),
        ("azureFile", &["secretName", "shareName"]),
        ("vsphereVolume", &["volumePath"]),
        ("photonPersistentDisk", &["pdID"]),
        ("portworxVolume", &["volumeID"]),
        ("scaleIO", &["gateway", "system", "volumeName"]),
    ];
    for (source, fields) in needs {
        let expect: Vec<String> = fields.iter().map(|field| format!("spec.{source}.{field}: Required value")).collect();
        check_source(source, json!({}), &expect.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
