//! What counts for how much, and what no longer fits.

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn pod(requests: Value, limits: Value) -> Value {
    json!({ "spec": { "containers": [{ "name": "c", "resources": { "requests": requests, "limits": limits } }] } })
}

fn quota(hard: Value, used: Value) -> Value {
    json!({ "metadata": { "name": "q" }, "spec": { "hard": hard }, "status": { "hard": hard, "used": used } })
}

fn check(quota: &Value, kind: &Kind, object: &Value, expect: Result<Value, &str>) {
    let told = charge(quota, kind, None, object, NOW);
    let told = told.map(|changed| changed.map_or(Value::Null, |quota| quota["status"]["used"].clone()));
    assert_eq!(told, expect.map_err(Into::into), "{quota}");
}

#[test]
fn pods_count_for_what_they_ask_for() {
    let two = json!({ "cpu": "200m", "memory": "1Gi", "example.com/gpu": "1" });
    let used = usage(&POD, &pod(two, json!({ "cpu": "1" })), NOW);
    let expect = json!({
        "count/pods": "1", "pods": "1", "cpu": "200m", "requests.cpu": "200m", "memory": "1Gi", "requests.memory": "1Gi",
        "requests.example.com/gpu": "1", "limits.cpu": "1",
    });
    assert_eq!(to_json(&used), expect);
}

#[test]
fn pods_that_ended_count_as_objects_only() {
    let mut ended = pod(json!({}), json!({}));
    ended["status"] = json!({ "phase": "Succeeded" });
    assert_eq!(to_json(&usage(&POD, &ended, NOW)), json!({ "count/pods": "1" }));
    let mut late = pod(json!({}), json!({}));
    late["metadata"] = json!({ "deletionTimestamp": "1970-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30 });
    assert!(usage(&POD, &late, NOW).contains_key("pods"));
    let after = NOW.checked_add(Span::new().seconds(30)).unwrap();
    assert!(!usage(&POD, &late, after).contains_key("pods"));
}

#[test]
fn services_count_for_their_ports() {
    let service = |spec: Value| to_json(&usage(&SERVICE, &json!({ "spec": spec }), NOW));
    let plain = service(json!({ "type": "ClusterIP", "ports": [{}] }));
    assert_eq!(plain, json!({ "count/services": "1", "services": "1" }));
    let open = service(json!({ "type": "NodePort", "ports": [{}, {}] }));
    assert_eq!(open["services.nodeports"], "2");
    let balanced =
        json!({ "type": "LoadBalancer", "ports": [{ "nodePort": 30000 }, {}], "allocateLoadBalancerNodePorts": false });
    assert_eq!(service(balanced)["services.nodeports"], "1");
}

#[test]
fn an_object_is_counted_while_it_fits() {
    let full = "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2";
    let plain = pod(json!({}), json!({}));
    check(&quota(json!({ "pods": "2" }), json!({ "pods": "1" })), &POD, &plain, Ok(json!({ "pods": "2" })));
    check(&quota(json!({ "pods": "2" }), json!({ "pods": "2" })), &POD, &plain, Err(full));
    check(&quota(json!({ "secrets": "0" }), json!({ "secrets": "0" })), &POD, &plain, Ok(Value::Null));
    let counted = quota(json!({ "count/deployments.apps": "1" }), json!({ "count/deployments.apps": "0" }));
    let deployment = &crate::kinds::deployment::DEPLOYMENT;
    check(&counted, deployment, &json!({}), Ok(json!({ "count/deployments.apps": "1" })));
}

#[test]
fn what_is_limited_must_be_named() {
    let limited = quota(json!({ "limits.cpu": "1", "cpu": "1" }), json!({ "limits.cpu": "0", "cpu": "0" }));
    let why = "failed quota: q: must specify cpu for: c; limits.cpu for: c";
    check(&limited, &POD, &pod(json!({}), json!({})), Err(why));
    let fits = Ok(json!({ "limits.cpu": "1", "cpu": "500m" }));
    check(&limited, &POD, &pod(json!({ "cpu": "500m" }), json!({ "cpu": "1" })), fits);
}

#[test]
fn a_quota_that_is_not_counted_yet_admits_nothing_it_limits() {
    let fresh = json!({ "metadata": { "name": "q" }, "spec": { "hard": { "pods": "1", "configmaps": "1" } } });
    let why = "status unknown for quota: q, resources: pods";
    check(&fresh, &POD, &pod(json!({}), json!({})), Err(why));
    check(&fresh, &SECRET, &json!({}), Ok(Value::Null));
}

#[test]
fn scopes_choose_pods() {
    let scoped = |scope: &str| {
        let mut scoped = quota(json!({ "pods": "0" }), json!({ "pods": "0" }));
        scoped["spec"]["scopes"] = json!([scope]);
        scoped
    };
    let best = pod(json!({}), json!({}));
    let over = "exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0";
    check(&scoped("BestEffort"), &POD, &best, Err(over));
    check(&scoped("NotBestEffort"), &POD, &best, Ok(Value::Null));
    check(&scoped("Terminating"), &POD, &best, Ok(Value::Null));
    check(&scoped("NotTerminating"), &POD, &best, Err(over));
    check(&scoped("PriorityClass"), &POD, &best, Ok(Value::Null));
}

#[test]
fn a_change_counts_by_how_much_it_grows() {
    let limited = quota(json!({ "requests.cpu": "1" }), json!({ "requests.cpu": "600m" }));
    let of = |cpu: &str| pod(json!({ "cpu": cpu }), json!({}));
    let grown = charge(&limited, &POD, Some(&of("600m")), &of("900m"), NOW).unwrap().unwrap();
    assert_eq!(grown["status"]["used"], json!({ "requests.cpu": "900m" }));
    assert_eq!(charge(&limited, &POD, Some(&of("600m")), &of("100m"), NOW), Ok(None));
    assert!(charge(&limited, &POD, Some(&of("600m")), &of("1100m"), NOW).is_err());
}

#[test]
fn claims_count_for_what_they_ask_for_and_once_more_for_their_class() {
    let claim = |class: &str, storage: &str| json!({ "spec": { "storageClassName": class, "resources": { "requests": { "storage": storage } } } });
    let used = |claim: Value| to_json(&usage(&PERSISTENT_VOLUME_CLAIM, &claim, NOW));
    let plain =
        json!({ "count/persistentvolumeclaims": "1", "persistentvolumeclaims": "1", "requests.storage": "1Gi" });
    assert_eq!(used(claim("", "1Gi")), plain);
    let mut given = claim("gold", "1Gi");
    given["status"] = json!({ "allocatedResources": { "storage": "2Gi" } });
    let (count, size) = (
        "gold.storageclass.storage.k8s.io/persistentvolumeclaims",
        "gold.storageclass.storage.k8s.io/requests.storage",
    );
    let expect = json!({
        "count/persistentvolumeclaims": "1", "persistentvolumeclaims": "1", "requests.storage": "2Gi", count: "1", size: "2Gi",
    });
    assert_eq!(used(given), expect);
    assert_eq!(used(claim("", "1500m"))["requests.storage"], "2");
    let limited = quota(json!({ size: "1Gi" }), json!({ size: "0" }));
    let why = format!("exceeded quota: q, requested: {size}=2Gi, used: {size}=0, limited: {size}=1Gi");
    check(&limited, &PERSISTENT_VOLUME_CLAIM, &claim("gold", "2Gi"), Err(&why));
    check(&limited, &PERSISTENT_VOLUME_CLAIM, &claim("gold", "1Gi"), Ok(json!({ size: "1Gi" })));
    check(&limited, &PERSISTENT_VOLUME_CLAIM, &claim("iron", "2Gi"), Ok(Value::Null));
}

#[test]
fn classes_of_attributes_choose_claims() {
    let mut scoped = quota(json!({ "persistentvolumeclaims": "0" }), json!({ "persistentvolumeclaims": "0" }));
    scoped["spec"]["scopeSelector"] =
        json!({ "matchExpressions": [{ "scopeName": "VolumeAttributesClass", "operator": "In", "values": ["fast"] }] });
    let claim = |class: &str, current: &str| {
        let status = json!({ "currentVolumeAttributesClassName": current });
        json!({ "spec": { "volumeAttributesClassName": class }, "status": status })
    };
    let over = "exceeded quota: q, requested: persistentvolumeclaims=1, used: persistentvolumeclaims=0, limited: persistentvolumeclaims=0";
    check(&scoped, &PERSISTENT_VOLUME_CLAIM, &claim("fast", ""), Err(over));
    check(&scoped, &PERSISTENT_VOLUME_CLAIM, &claim("slow", "fast"), Err(over));
    check(&scoped, &PERSISTENT_VOLUME_CLAIM, &claim("slow", ""), Ok(Value::Null));
    check(&scoped, &POD, &pod(json!({}), json!({})), Ok(Value::Null));
}
