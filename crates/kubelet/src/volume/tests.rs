//! Volumes, mounts and small files, by tables.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::{
    env::Sources,
    model::Pod,
    observed::{NodeFacts, Observed, Reference, References, Token},
    spec::Environment,
    step::Prepare,
};

fn node() -> NodeFacts {
    NodeFacts {
        pods_dir: "/pods".into(),
        volumes_dir: "/volumes".into(),
        cluster_dns: vec![[10, 96, 0, 10].into()],
        cluster_domain: "cluster.local".into(),
        resolv_conf: "# made by hand\nsearch corp.example. lan\nnameserver 192.0.2.53\noptions edns0 ndots:1\n".into(),
        hosts: "127.0.0.1 localhost\n".into(),
        hostname: "n1".into(),
        ..NodeFacts::default()
    }
}

fn pod(spec: Value) -> Pod {
    Pod::read(&json!({"metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"a": "b"}}, "spec": spec}))
        .unwrap()
}

fn references() -> References {
    References {
        config_maps: BTreeMap::from([
            ("cm".into(), Reference::Found(json!({"data": {"x": "1", "y": "2"}, "binaryData": {"z": "AAE="}}))),
            ("gone".into(), Reference::Missing),
        ]),
        secrets: BTreeMap::from([("s".into(), Reference::Found(json!({"data": {"k": "aGk="}})))]),
        services: None,
        ..References::default()
    }
}

fn plan_of(spec: Value, observed: &Observed) -> Result<(VolumeSet, RefreshAt), (String, VolumeError)> {
    let (pod, node, references) = (pod(spec), node(), references());
    let sources = Sources { pod: &pod, pod_ips: &[], references: &references, node: &node };
    plan(&sources, observed, "2026-01-01T00:00:00Z".parse().unwrap())
}

fn check(volume: Value, expect: Result<&[(&str, u32, &str)], &str>) {
    let found = plan_of(json!({"volumes": [volume]}), &Observed::default());
    match (found, expect) {
        (Ok((set, _)), Ok(expect)) => {
            assert_ne!(set.fingerprint, 0);
            assert_eq!(set.volumes[0].path, PathBuf::from("/pods/u/volumes/v"));
            let Source::Files { files, .. } = &set.volumes[0].source else { panic!("{set:?}") };
            let text = |file: &File| match &file.content {
                Content::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Content::Token(request) => format!("{} {:?}", request.expiration_seconds, request.audience),
            };
            let found: Vec<_> = files.iter().map(|file| (file.path.clone(), file.mode, text(file))).collect();
            let expect: Vec<_> =
                expect.iter().map(|(path, mode, text)| ((*path).to_owned(), *mode, (*text).to_owned())).collect();
            assert_eq!(found, expect);
        }
        (Err((name, error)), Err(expect)) => assert_eq!((name.as_str(), error.to_string().as_str()), ("v", expect)),
        (found, expect) => panic!("{found:?} is not {expect:?}"),
    }
}

#[test]
fn objects_become_files() {
    check(
        json!({"name": "v", "configMap": {"name": "cm"}}),
        Ok(&[("x", 0o644, "1"), ("y", 0o644, "2"), ("z", 0o644, "\0\u{1}")]),
    );
    let items = json!([{"key": "x", "path": "a/b"}, {"key": "y", "path": "c", "mode": 256}]);
    check(
        json!({"name": "v", "configMap": {"name": "cm", "defaultMode": 0o600, "items": items}}),
        Ok(&[("a/b", 0o600, "1"), ("c", 0o400, "2")]),
    );
    check(json!({"name": "v", "secret": {"secretName": "s"}}), Ok(&[("k", 0o644, "hi")]));
    check(
        json!({"name": "v", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}}),
        Ok(&[("l", 0o644, "a=\"b\"")]),
    );
}

#[test]
fn what_is_missing_is_said() {
    check(json!({"name": "v", "configMap": {"name": "gone"}}), Err("configmap \"gone\" not found"));
    check(json!({"name": "v", "configMap": {"name": "gone", "optional": true}}), Ok(&[]));
    check(json!({"name": "v", "configMap": {"name": "new"}}), Err("waiting for configmap \"new\""));
    let items = json!([{"key": "q", "path": "q"}]);
    check(
        json!({"name": "v", "configMap": {"name": "cm", "items": items}}),
        Err("references non-existent config key: q"),
    );
    check(json!({"name": "v", "configMap": {"name": "cm", "items": items, "optional": true}}), Ok(&[]));
    check(
        json!({"name": "v", "secret": {"secretName": "s", "items": items}}),
        Err("references non-existent secret key: q"),
    );
}

#[test]
fn projections_join_and_the_later_wins() {
    let sources = json!([
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "cm", "items": [{"key": "x", "path": "f"}]}},
        {"secret": {"name": "s", "items": [{"key": "k", "path": "f"}]}},
    ]);
    check(
        json!({"name": "v", "projected": {"sources": sources}}),
        Ok(&[("token", 0o644, "3607 None"), ("f", 0o644, "hi")]),
    );
}

#[test]
fn tokens_are_renewed_at_four_fifths_of_their_life() {
    let spec = json!({"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]});
    let check = |issued: &str, expires: &str, at: &str, renew: bool| {
        let token = Token { issued_at: issued.parse().unwrap(), expires_at: expires.parse().unwrap() };
        let observed = Observed { tokens: BTreeMap::from([("v/t".into(), token)]), ..Observed::default() };
        let (set, refresh) = plan_of(spec.clone(), &observed).unwrap();
        assert_eq!(refresh, Some(at.parse().unwrap()));
        let Source::Files { files, .. } = &set.volumes[0].source else { panic!("{set:?}") };
        let Content::Token(request) = &files[0].content else { panic!("{files:?}") };
        assert_eq!(request.renew, renew);
    };
    check("2025-12-31T23:50:00Z", "2026-01-01T00:50:00Z", "2026-01-01T00:38:00Z", false);
    check("2025-12-31T23:00:00Z", "2026-01-01T00:00:00Z", "2025-12-31T23:48:00Z", true);
    check("2025-12-31T12:00:00Z", "2026-12-31T12:00:00Z", "2026-01-01T12:00:00Z", false);
}

#[test]
fn folders_and_paths_of_the_host() {
    let check = |spec: Value, path: &str, expect: Source, group: Option<u32>| {
        let (set, _) = plan_of(spec, &Observed::default()).unwrap();
        assert_eq!(set.volumes[0], Volume { name: "v".into(), path: path.into(), source: expect, group });
    };
    let empty = |memory, size_bytes_max| Source::Empty { memory, size_bytes_max };
    check(json!({"volumes": [{"name": "v", "emptyDir": {}}]}), "/pods/u/volumes/v", empty(false, None), None);
    let memory = json!({"securityContext": {"fsGroup": 7}, "volumes": [{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}],
        "containers": [{"name": "c", "resources": {"limits": {"memory": "64Mi"}}}]});
    check(memory, "/pods/u/volumes/v", empty(true, Some(64 << 20)), Some(7));
    let host = json!({"securityContext": {"fsGroup": 7}, "volumes": [{"name": "v", "hostPath": {"path": "/x", "type": "FileOrCreate"}}]});
    check(host, "/x", Source::Host { check: HostCheck::FileOrCreate }, None);
}

/// Checks where a volume of the claim `c` is and what is there, or why it is nowhere.
fn check_claim(claim: Value, volume: Value, spec: &Value, expect: Result<(&str, Source, Option<u32>), &str>) {
    let whole = |change: &Value, base: Value| {
        let mut object = base;
        api::patch::merge(&mut object, change.to_string().as_bytes()).unwrap();
        Reference::Found(object)
    };
    let annotations = json!({"pv.kubernetes.io/bind-completed": "yes"});
    let metadata = json!({"name": "c", "namespace": "n", "uid": "cu", "annotations": annotations});
    let claim = whole(&claim, json!({"metadata": metadata, "spec": {"volumeName": "v"}}));
    let volume = whole(&volume, json!({"metadata": {"name": "v"}, "spec": {"claimRef": {"uid": "cu"}}}));
    let references = References {
        claims: BTreeMap::from([("c".into(), claim)]),
        volumes: BTreeMap::from([("v".into(), volume)]),
        ..References::default()
    };
    let (pod, node) = (pod(spec.clone()), node());
    let sources = Sources { pod: &pod, pod_ips: &[], references: &references, node: &node };
    let found = plan(&sources, &Observed::default(), "2026-01-01T00:00:00Z".parse().unwrap());
    let found = found.map(|(mut set, _)| set.volumes.remove(0)).map_err(|(_, error)| error.to_string());
    let volume = |(path, source, group): (&str, _, _)| Volume { name: "v".into(), path: path.into(), source, group };
    assert_eq!(found, expect.map(volume).map_err(str::to_owned));
}

#[test]
fn a_claim_leads_to_what_it_is_bound_to() {
    let spec = json!({"securityContext": {"fsGroup": 7}, "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]});
    let check = |volume: Value, expect| check_claim(json!({}), volume, &spec, expect);
    let kept = |make| Source::Kept { make, root_only: false };
    let ours = |handle: &str| json!({"spec": {"csi": {"driver": "local.mesh.dev", "volumeHandle": handle}}});
    let host = Source::Host { check: HostCheck::Directory };
    check(json!({"spec": {"hostPath": {"path": "/x", "type": "Directory"}}}), Ok(("/x", host, None)));
    check(json!({"spec": {"local": {"path": "/mnt/a"}}}), Ok(("/mnt/a", kept(false), Some(7))));
    check(ours("pvc-1"), Ok(("/volumes/pvc-1", kept(true), Some(7))));
    let no_driver = "no volume plugin matched: this node has no driver for this kind of volume";
    for handle in ["..", "a/b", "/etc", ".hidden", ""] {
        check(ours(handle), Err(no_driver));
    }
    check(json!({"spec": {"csi": {"driver": "other", "volumeHandle": "a"}}}), Err(no_driver));
    check(
        json!({"spec": {"volumeMode": "Block", "local": {"path": "/dev/sdb"}}}),
        Err("volume \"v\" has volumeMode Block: this node mounts file systems only"),
    );
    check(
        json!({"spec": {"claimRef": {"uid": "other"}, "local": {"path": "/x"}}}),
        Err("error processing PVC n/c: PV v is bound to another claim"),
    );
}

#[test]
fn a_claim_is_bound_and_the_pods_own_where_it_is_made_for_it() {
    let local = json!({"spec": {"local": {"path": "/x"}}});
    let spec = json!({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]});
    let unbound = json!({"metadata": {"annotations": null}});
    check_claim(unbound, local, &spec, Err("error processing PVC n/c: PVC is not bound"));
    let owned = |uid: &str| {
        let owner = json!({"kind": "Pod", "uid": uid, "controller": true});
        json!({"metadata": {"name": "p-v", "ownerReferences": [owner]}})
    };
    let check = |uid: &str, expect| {
        let references = References {
            claims: BTreeMap::from([("p-v".into(), Reference::Found(owned(uid)))]),
            ..References::default()
        };
        let (pod, node) = (pod(json!({"volumes": [{"name": "v", "ephemeral": {}}]})), node());
        let sources = Sources { pod: &pod, pod_ips: &[], references: &references, node: &node };
        let error = plan(&sources, &Observed::default(), Timestamp::UNIX_EPOCH).unwrap_err().1;
        assert_eq!(error.to_string(), expect);
    };
    check("u", "error processing PVC n/p-v: PVC is not bound");
    check("other", "error processing PVC n/p-v: PVC n/p-v was not created for pod n/p (pod is not owner)");
}

#[test]
fn a_container_sees_volumes_and_small_files() {
    let pod = pod(json!({
        "volumes": [{"name": "e", "emptyDir": {}}, {"name": "c", "configMap": {"name": "cm"}}, {"name": "h", "hostPath": {"path": "/x"}}],
        "containers": [{"name": "c", "volumeMounts": [
            {"name": "e", "mountPath": "/e", "subPathExpr": "$(A)/b"}, {"name": "c", "mountPath": "/etc/hosts"},
            {"name": "h", "mountPath": "/h", "readOnly": true, "mountPropagation": "HostToContainer"},
        ]}],
    }));
    let env = Environment(vec![("A".into(), "a".into())]);
    let (references, node) = (References::default(), node());
    let sources = Sources { pod: &pod, pod_ips: &[], references: &references, node: &node };
    let all = mounts(&sources, (&pod.spec.containers[0], 3), &env).unwrap();
    let found: Vec<_> = all
        .mounts
        .iter()
        .map(|one| format!("{} {} {}", one.source.display(), one.target.display(), one.read_only))
        .collect();
    assert_eq!(
        found,
        [
            "/pods/u/volumes/e/a/b /e false",
            "/pods/u/volumes/c /etc/hosts true",
            "/x /h true",
            "/pods/u/resolv.conf /etc/resolv.conf false",
            "/pods/u/hostname /etc/hostname false",
            "/pods/u/containers/c/3.termination /dev/termination-log false",
        ]
    );
    assert_eq!(all.prepare[0], Prepare::SubPath { root: "/pods/u/volumes/e".into(), path: "a/b".into(), mode: 0o755 });
    let unknown = mounts(&sources, (&pod.spec.containers[0], 3), &Environment::default());
    assert_eq!(unknown, Err("missing value for \"A\"".to_owned()));
}

#[test]
fn names_are_resolved_by_policy() {
    let check = |spec: Value, expect: &str| assert_eq!(resolv_conf(&pod(spec), &node()), expect);
    let cluster = "search n.svc.cluster.local svc.cluster.local cluster.local corp.example lan\nnameserver 10.96.0.10\noptions ndots:5\n";
    let of_node = "search corp.example lan\nnameserver 192.0.2.53\noptions edns0 ndots:1\n";
    check(json!({"dnsPolicy": "ClusterFirst"}), cluster);
    check(json!({"dnsPolicy": "ClusterFirst", "hostNetwork": true}), of_node);
    check(json!({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true}), cluster);
    check(json!({"dnsPolicy": "Default"}), of_node);
    let config = json!({"nameservers": ["1.1.1.1", "1.1.1.1"], "searches": ["x"], "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]});
    check(json!({"dnsPolicy": "None", "dnsConfig": config}), "search x\nnameserver 1.1.1.1\noptions ndots:2 edns0\n");
}

#[test]
fn hosts_tell_of_the_pod_and_its_aliases() {
    let text = |spec: Value| hosts(&pod(spec), &[[10, 0, 0, 5].into()], &node());
    assert!(text(json!({})).ends_with("fe00::2\tip6-allrouters\n10.0.0.5\tp\n"));
    let named =
        json!({"hostname": "web", "subdomain": "sub", "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}]});
    assert!(
        text(named).ends_with(
            "10.0.0.5\tweb.sub.n.svc.cluster.local\tweb\n\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n"
        )
    );
    assert_eq!(
        text(json!({"hostNetwork": true})),
        "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n"
    );
    let long = pod(json!({"hostname": format!("{}-x", "a".repeat(62))}));
    assert_eq!(hostname(&long, &node()).0, "a".repeat(62));
}
