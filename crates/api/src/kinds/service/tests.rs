//! Services on their way in: defaults, checks, updates, families.

use serde_json::{Value, json};

use super::{SERVICE, families};
use crate::{field::Errors, kinds::Ctx};

fn service(spec: Value) -> Value {
    json!({ "metadata": { "name": "a" }, "spec": spec })
}

fn defaulted(spec: Value) -> Value {
    let mut object = service(spec);
    (SERVICE.hooks.default)(&mut object);
    let once = object.clone();
    (SERVICE.hooks.default)(&mut object);
    assert_eq!(object, once, "defaults are idempotent");
    object
}

fn created(spec: Value) -> (Value, Vec<String>) {
    let mut object = defaulted(spec);
    (SERVICE.hooks.prepare_create)(&mut object, &Ctx { now: jiff::Timestamp::UNIX_EPOCH });
    let mut errors = Errors::new();
    (SERVICE.hooks.validate)(&object, &mut errors);
    (object, errors.0.iter().map(ToString::to_string).collect())
}

fn check(spec: Value, expect: &[&str]) {
    assert_eq!(created(spec.clone()).1, expect, "{spec}");
}

fn updated(old: Value, new: Value) -> (Value, Vec<String>) {
    let (old, mut new) = (defaulted(old), defaulted(new));
    (SERVICE.hooks.prepare_update)(&mut new, &old);
    let mut errors = Errors::new();
    (SERVICE.hooks.validate)(&new, &mut errors);
    (SERVICE.hooks.validate_update)(&new, &old, &mut errors);
    (new, errors.0.iter().map(ToString::to_string).collect())
}

fn port(number: u16) -> Value {
    json!([{ "port": number }])
}

#[test]
fn a_plain_service_is_given_defaults() {
    let object = defaulted(json!({ "ports": [{ "port": 80 }, { "name": "b", "port": 81, "targetPort": "x" }] }));
    let expect = json!({
        "sessionAffinity": "None", "type": "ClusterIP", "internalTrafficPolicy": "Cluster",
        "ports": [
            { "port": 80, "protocol": "TCP", "targetPort": 80 },
            { "name": "b", "port": 81, "protocol": "TCP", "targetPort": "x" },
        ],
    });
    assert_eq!(object["spec"], expect);
    let object = defaulted(json!({ "type": "LoadBalancer", "sessionAffinity": "ClientIP", "ports": port(80) }));
    let spec = &object["spec"];
    assert_eq!(spec["externalTrafficPolicy"], "Cluster");
    assert_eq!(spec["allocateLoadBalancerNodePorts"], true);
    assert_eq!(spec["sessionAffinityConfig"], json!({ "clientIP": { "timeoutSeconds": 10800 } }));
}

#[test]
fn ports_are_sound_and_told_apart() {
    check(json!({}), &["spec.ports: Required value"]);
    check(json!({ "clusterIP": "None" }), &[]);
    check(
        json!({ "ports": [{ "port": 0, "protocol": "tcp", "targetPort": "Bad" }] }),
        &[
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            r#"spec.ports[0].protocol: Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP""#,
            r#"spec.ports[0].targetPort: Invalid value: "Bad": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"#,
        ],
    );
    check(
        json!({ "ports": [{ "port": 1 }, { "port": 2, "name": "x" }, { "port": 3, "name": "x" }] }),
        &["spec.ports[0].name: Required value", r#"spec.ports[2].name: Duplicate value: "x""#],
    );
    check(
        json!({ "ports": [{ "port": 1, "nodePort": 30000 }] }),
        &["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    );
}

#[test]
fn types_have_their_fields_and_no_others() {
    check(json!({ "type": "ExternalName", "externalName": "a.example." }), &[]);
    check(json!({ "type": "ExternalName" }), &["spec.externalName: Required value"]);
    check(
        json!({ "type": "ExternalName", "externalName": "a", "clusterIP": "10.0.0.1" }),
        &["spec.clusterIPs: Forbidden: may not be set for ExternalName services"],
    );
    check(
        json!({ "type": "NodePort", "clusterIP": "None", "ports": port(1) }),
        &[r#"spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for NodePort services"#],
    );
    check(
        json!({ "type": "Odd", "ports": port(1) }),
        &[
            r#"spec.type: Unsupported value: "Odd": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort""#,
        ],
    );
    check(
        json!({ "ports": port(1), "externalTrafficPolicy": "Local", "healthCheckNodePort": 30001,
            "loadBalancerClass": "a/b", "allocateLoadBalancerNodePorts": true }),
        &[
            "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
            "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
            r#"spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services"#,
            "spec.healthCheckNodePort: Invalid value: 30001: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        ],
    );
    check(
        json!({ "ports": port(1), "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": { "clientIP": { "timeoutSeconds": 86401 } } }),
        &[
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400",
        ],
    );
    check(
        json!({ "ports": port(1), "externalIPs": ["127.0.0.1"] }),
        &[
            r#"spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)"#,
        ],
    );
}

#[test]
fn addresses_agree_with_each_other_and_their_families() {
    check(json!({ "ports": port(1), "clusterIP": "10.0.0.1", "ipFamilies": ["IPv4"] }), &[]);
    check(
        json!({ "ports": port(1), "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.2"] }),
        &[r#"spec.clusterIPs: Invalid value: ["10.0.0.2"]: first value must match `clusterIP`"#],
    );
    check(
        json!({ "ports": port(1), "clusterIP": "x" }),
        &[r#"spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"#],
    );
    check(
        json!({ "ports": port(1), "clusterIP": "10.0.0.1", "ipFamilies": ["IPv6"] }),
        &[r#"spec.clusterIPs[0]: Invalid value: "10.0.0.1": expected an IPv6 value as indicated by `ipFamilies[0]`"#],
    );
}

fn choose(spec: Value, ours: &[&'static str], expect: Result<&[&str], &str>) {
    let (mut object, _) = created(spec.clone());
    let mut errors = Errors::new();
    families::choose(&mut object, None, ours, &mut errors);
    let told: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    match expect {
        Ok(families) => assert_eq!((told, &object["spec"]["ipFamilies"]), (Vec::new(), &json!(families)), "{spec}"),
        Err(why) => assert_eq!(told, [why], "{spec}"),
    }
}

#[test]
fn families_follow_the_cluster() {
    const FOUR: &[&str] = &["IPv4"];
    const BOTH: &[&str] = &["IPv4", "IPv6"];
    choose(json!({ "ports": port(1) }), FOUR, Ok(FOUR));
    choose(json!({ "ports": port(1) }), BOTH, Ok(FOUR));
    choose(json!({ "ports": port(1), "ipFamilyPolicy": "PreferDualStack" }), FOUR, Ok(FOUR));
    choose(json!({ "ports": port(1), "ipFamilyPolicy": "PreferDualStack" }), BOTH, Ok(BOTH));
    choose(json!({ "clusterIP": "None" }), FOUR, Ok(BOTH));
    choose(json!({ "clusterIP": "None", "selector": { "a": "b" } }), FOUR, Ok(FOUR));
    choose(
        json!({ "ports": port(1), "ipFamilyPolicy": "RequireDualStack" }),
        FOUR,
        Err(
            r#"spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services"#,
        ),
    );
    choose(
        json!({ "ports": port(1), "ipFamilies": ["IPv6"] }),
        FOUR,
        Err(r#"spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster"#),
    );
}

#[test]
fn an_update_keeps_what_was_given() {
    let given = json!({
        "type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack", "ports": [{ "name": "p", "port": 80, "nodePort": 30001 }],
    });
    let (new, errors) = updated(given.clone(), json!({ "type": "NodePort", "ports": [{ "name": "p", "port": 81 }] }));
    assert_eq!(errors, [""; 0]);
    assert_eq!(new["spec"]["clusterIPs"], json!(["10.0.0.1"]));
    assert_eq!(new["spec"]["ports"][0]["nodePort"], 30001);
    let mut plain = given.clone();
    plain["type"] = json!("ClusterIP");
    let (new, errors) = updated(given.clone(), plain);
    assert_eq!(errors, [""; 0]);
    assert_eq!(new["spec"]["ports"][0].get("nodePort"), None, "a type change lets node ports go");
    let mut named = given.clone();
    named["type"] = json!("ExternalName");
    named["externalName"] = json!("a.example");
    let (new, errors) = updated(given.clone(), named);
    assert_eq!(errors, ["spec.externalTrafficPolicy"; 0]);
    assert_eq!((new["spec"].get("clusterIP"), new["spec"].get("clusterIPs")), (None, None));
    let mut moved = given.clone();
    moved["clusterIP"] = json!("10.0.0.2");
    assert_eq!(
        updated(given, moved).1,
        [r#"spec.clusterIPs[0]: Invalid value: ["10.0.0.2"]: may not change once set"#]
    );
}

#[test]
fn what_is_said_in_vain_is_warned_of() {
    let check = |spec: Value, expect: &[&str]| assert_eq!((SERVICE.hooks.warnings)(&defaulted(spec)), expect);
    check(json!({ "ports": port(1) }), &[]);
    check(
        json!({ "clusterIPs": ["None"], "sessionAffinity": "ClientIP", "externalName": "x" }),
        &[
            "spec.SessionAffinity is ignored for headless services",
            "spec.externalName is ignored when spec.type is not \"ExternalName\"",
        ],
    );
}

#[test]
fn only_load_balancers_have_a_status_of_one() {
    let told = |kind: &str, point: Value| {
        let mut object = defaulted(json!({ "type": kind, "ports": port(1) }));
        object["status"] = json!({ "loadBalancer": { "ingress": [point] } });
        (SERVICE.hooks.default)(&mut object);
        let mut errors = Errors::new();
        (SERVICE.hooks.validate_part.expect("checks of its status"))("status", &object, &object, &mut errors);
        errors.0.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told("LoadBalancer", json!({ "ip": "192.0.2.1" })), [""; 0]);
    assert_eq!(
        told("ClusterIP", json!({ "ip": "192.0.2.1" })),
        ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"]
    );
    assert_eq!(
        told("LoadBalancer", json!({ "hostname": "192.0.2.1" })),
        [
            r#"status.loadBalancer.ingress[0].hostname: Invalid value: "192.0.2.1": must be a DNS name, not an IP address"#
        ]
    );
}

#[test]
fn cells_are_those_of_kubectl() {
    let cells = |spec: Value, status: Value| -> Vec<Value> {
        let mut object = service(spec);
        object["status"] = status;
        SERVICE.columns.iter().map(|column| (column.cell)(&object, jiff::Timestamp::UNIX_EPOCH)).collect()
    };
    let spec = json!({ "type": "NodePort", "clusterIPs": ["10.0.0.1"], "selector": { "a": "b", "c": "d" },
        "ports": [{ "port": 80, "nodePort": 30001, "protocol": "TCP" }, { "port": 53, "protocol": "UDP" }] });
    let expect = json!(["a", "NodePort", "10.0.0.1", "<none>", "80:30001/TCP,53/UDP", "<unknown>", "a=b,c=d"]);
    assert_eq!(json!(cells(spec, json!({}))), expect);
    assert_eq!(cells(json!({ "type": "LoadBalancer" }), json!({}))[3], "<pending>");
    let ingress = json!({ "loadBalancer": { "ingress": [{ "hostname": "h" }, { "ip": "1.2.3.4" }] } });
    assert_eq!(cells(json!({ "type": "LoadBalancer" }), ingress)[3], "1.2.3.4,h");
    let external = cells(json!({ "type": "ExternalName", "externalName": "x.example" }), json!({}));
    assert_eq!(external[2..5], ["<none>", "x.example", "<none>"]);
}
