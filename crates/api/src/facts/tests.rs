//! Spot checks against what upstream's Go types say, and the table's own consistency.

use super::*;

/// One field, written `Type.field` with the type's last two name parts: what must be known of it.
fn check(path: &str, shape: &str, facts: &str) {
    let (name, field) = path.rsplit_once('.').expect("Type.field");
    let ty = ty(&format!("io.k8s.{name}")).unwrap_or_else(|| panic!("no type {name}"));
    let field = ty.field(field).unwrap_or_else(|| panic!("no field {path}"));
    assert_eq!((show(field.shape).as_str(), show_facts(field).as_str()), (shape, facts), "{path}");
}

fn show(shape: Shape) -> String {
    match shape {
        Shape::Ref(id) => id.get().name.rsplit('.').next().expect("a name").to_owned(),
        Shape::List(inner) => format!("[]{}", show(*inner)),
        Shape::Map(inner) => format!("{{}}{}", show(*inner)),
        plain => format!("{plain:?}"),
    }
}

fn show_facts(field: &Field) -> String {
    let via = field.via.iter().map(|number| format!("{number}.")).collect::<String>();
    let mut words = vec![field.number.map_or("-".to_owned(), |number| format!("{via}{number}"))];
    match &field.list {
        ListKind::Unmarked => {}
        ListKind::Atomic => words.push("atomic".to_owned()),
        ListKind::Set => words.push("set".to_owned()),
        ListKind::Map(keys) => words.push(format!("map({})", keys.join(","))),
    }
    words.extend(field.patch.strategy.map(str::to_owned));
    words.extend(field.patch.merge_key.map(|key| format!("by {key}")));
    words.extend(field.default.map(|text| format!("= {text}")));
    words.extend(
        [(field.required, "required"), (field.atomic, "whole")].iter().filter(|one| one.0).map(|one| one.1.to_owned()),
    );
    words.join(" ")
}

#[test]
fn fields_are_as_upstream_declares_them() {
    let core = |path: &str, shape: &str, facts: &str| check(&format!("api.core.v1.{path}"), shape, facts);
    core("PodSpec.containers", "[]Container", "2 map(name) merge by name required");
    core("PodSpec.tolerations", "[]Toleration", "22 atomic");
    core("PodSpec.volumes", "[]Volume", "1 map(name) merge,retainKeys by name");
    core("PodSpec.nodeSelector", "{}String", "7 whole");
    core("PodSpec.imagePullSecrets", "[]LocalObjectReference", "15 map(name) merge by name");
    core("Container.ports", "[]ContainerPort", "6 map(containerPort,protocol) merge by containerPort");
    core("Container.env", "[]EnvVar", "7 map(name) merge by name");
    core("Container.livenessProbe", "Probe", "10");
    core("ContainerPort.protocol", "String", "4 = \"TCP\"");
    core("Probe.httpGet", "HTTPGetAction", "1.2");
    core("EphemeralContainer.image", "String", "1.2");
    core("ConfigMapKeySelector.name", "String", "1.1 = \"\"");
    core("ServiceSpec.ports", "[]ServicePort", "1 map(port,protocol) merge by port");
    core("ServiceSpec.selector", "{}String", "2 whole");
    core("ServicePort.targetPort", "IntOrString", "4");
    core("ConfigMap.data", "{}String", "2");
    core("ConfigMap.metadata", "ObjectMeta", "1");
    core("ConfigMap.apiVersion", "String", "-");
    core("Secret.data", "{}Bytes", "2");
    core("Secret.stringData", "{}String", "4");
    core("ServiceAccount.secrets", "[]ObjectReference", "2 map(name) merge by name");
    core("Event.eventTime", "MicroTime", "10");
    core("NodeStatus.capacity", "{}Quantity", "1");
    core("NodeStatus.conditions", "[]NodeCondition", "4 map(type) merge by type");
    core("NodeSpec.taints", "[]Taint", "5 atomic");
    core("NodeSpec.podCIDRs", "[]String", "7 set merge");
    check("api.rbac.v1.ClusterRole.rules", "[]PolicyRule", "2 atomic");
    check("api.coordination.v1.LeaseSpec.renewTime", "MicroTime", "4");
    check("api.apps.v1.DeploymentSpec.selector", "LabelSelector", "2 required whole");
    check("api.apps.v1.DeploymentSpec.strategy", "DeploymentStrategy", "4 retainKeys");
    check("api.authentication.v1.UserInfo.extra", "{}[]String", "4");
    check("api.autoscaling.v1.ScaleSpec.replicas", "Int32", "1 = 0");
    let meta =
        |path: &str, shape: &str, facts: &str| check(&format!("apimachinery.pkg.apis.meta.v1.{path}"), shape, facts);
    meta("ObjectMeta.finalizers", "[]String", "14 set merge");
    meta("ObjectMeta.ownerReferences", "[]OwnerReference", "13 map(uid) merge by uid");
    meta("ObjectMeta.managedFields", "[]ManagedFieldsEntry", "17 atomic");
    meta("ObjectMeta.labels", "{}String", "11");
    meta("ManagedFieldsEntry.fieldsV1", "FieldsV1", "7");
    meta("LabelSelector.matchLabels", "{}String", "1");
}

#[test]
fn types_are_found_by_kind() {
    for (group, version, kind, name) in [
        ("", "v1", "Pod", "io.k8s.api.core.v1.Pod"),
        ("apps", "v1", "Deployment", "io.k8s.api.apps.v1.Deployment"),
        ("events.k8s.io", "v1", "Event", "io.k8s.api.events.v1.Event"),
        ("rbac.authorization.k8s.io", "v1", "ClusterRole", "io.k8s.api.rbac.v1.ClusterRole"),
    ] {
        assert_eq!(of_kind(group, version, kind).expect("known").name, name);
    }
    assert!(of_kind("", "v1", "Nothing").is_none() && of_kind("apps", "v1", "Pod").is_none());
}

#[test]
fn tables_are_sorted_and_defaults_are_json() {
    assert!(types().len() > 500 && types().is_sorted_by(|left, right| left.name < right.name));
    for ty in types() {
        assert!(ty.fields.is_sorted_by(|left, right| left.name < right.name), "{}", ty.name);
        for field in &ty.fields {
            let keys: &[&str] = if let ListKind::Map(keys) = &field.list { keys } else { &[] };
            let element = field.shape.innermost();
            let missing =
                keys.iter().chain(&field.patch.merge_key).find(|key| element.is_none_or(|ty| ty.field(key).is_none()));
            assert!(missing.is_none(), "{}.{}: no key {missing:?} in its elements", ty.name, field.name);
            assert_eq!(field.default.is_some(), field.default_value().is_some());
        }
    }
}

#[test]
fn every_field_has_a_protobuf_number() {
    let json_only = "io.k8s.apimachinery.pkg.version.Info";
    for ty in types().iter().filter(|ty| ty.name != json_only) {
        let newer = ty.fields.iter().find(|field| field.is_newer_than_protobuf());
        assert!(newer.is_none(), "{}: {newer:?} needs a row in the code generator's numbers", ty.name);
    }
}

#[test]
fn numbers_are_written_in_their_order() {
    for ty in types() {
        let path = |field: &Field| field.via.iter().copied().chain(field.number).collect::<Vec<u32>>();
        let paths: Vec<_> = ty.in_wire_order().map(path).collect();
        assert!(paths.is_sorted_by(|left, right| left < right), "{}: {paths:?}", ty.name);
        assert_eq!(paths.len(), ty.fields.iter().filter(|field| field.number.is_some()).count());
    }
}

/// The table is held by every process for good.
#[test]
fn the_table_is_small() {
    let fields: usize = types().iter().map(|ty| size_of_val(&*ty.fields)).sum();
    let bytes = TEXT.len() + size_of_val(types()) + fields;
    assert!(bytes < 512 << 10, "{bytes} bytes");
    println!("{bytes} bytes");
}
