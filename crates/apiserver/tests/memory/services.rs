//! Services over memory, through the in-process client: what addresses and ports they are given, keep and let go.

use api::kinds::{ip_address::IP_ADDRESS, service::SERVICE, service_cidr::SERVICE_CIDR};
use apiserver::{ApiError, ApiServer, Client, Config, client::PatchType};
use serde_json::{Value, json};
use store::{MemoryStorage, State};

use crate::cluster::cluster_on;

/// A cluster with these ranges of addresses, and three node ports.
async fn ranges(ranges: &[&str]) -> (ApiServer, Client) {
    let ranges = ranges.iter().map(|range| (*range).to_owned()).collect();
    let config = Config { service_ranges: ranges, service_node_ports: "30000-30002".into(), ..Config::default() };
    cluster_on(&MemoryStorage::new(State::default()), config).await
}

async fn create(client: &Client, name: &str, spec: Value) -> Result<Value, ApiError> {
    client.create(&SERVICE, "default", &json!({ "metadata": { "name": name }, "spec": spec })).await
}

async fn change(client: &Client, name: &str, spec: Value) -> Result<Value, ApiError> {
    client.patch(&SERVICE, "default", name, "", &json!({ "spec": spec }), PatchType::MergePatch).await
}

fn refusal(answer: Result<Value, ApiError>) -> String {
    answer.unwrap_err().to_string()
}

async fn addresses(client: &Client) -> Vec<String> {
    let list = client.list(&IP_ADDRESS, "", &[]).await.unwrap().records;
    list.iter().map(|record| record.key.rsplit('/').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_address_is_one_services_until_it_goes() {
    let (_server, admin) = ranges(&["10.0.0.0/29"]).await;
    let cidr = admin.get(&SERVICE_CIDR, "", "kubernetes").await.unwrap();
    assert_eq!(cidr["spec"]["cidrs"], json!(["10.0.0.0/29"]));
    assert_eq!(cidr["status"]["conditions"][0]["status"], "True");
    let ports = json!([{ "port": 80 }]);
    let named = create(&admin, "a", json!({ "ports": ports, "clusterIP": "10.0.0.3" })).await.unwrap();
    assert_eq!(named["spec"]["clusterIPs"], json!(["10.0.0.3"]));
    assert_eq!(
        (&named["spec"]["ipFamilies"], &named["spec"]["ipFamilyPolicy"]),
        (&json!(["IPv4"]), &json!("SingleStack"))
    );
    let address = admin.get(&IP_ADDRESS, "", "10.0.0.3").await.unwrap();
    assert_eq!(address["spec"]["parentRef"], json!({ "resource": "services", "namespace": "default", "name": "a" }));
    assert_eq!(
        refusal(create(&admin, "b", json!({ "ports": ports, "clusterIP": "10.0.0.3" })).await),
        r#"Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.0.0.3"]: failed to allocate IP 10.0.0.3: provided IP is already allocated"#
    );
    assert_eq!(
        refusal(create(&admin, "b", json!({ "ports": ports, "clusterIP": "10.0.0.9" })).await),
        r#"Service "b" is invalid: spec.clusterIPs: Invalid value: ["10.0.0.9"]: failed to allocate IP 10.0.0.9: the provided network does not match the current range"#
    );
    for name in ["b", "c", "d", "e", "f"] {
        create(&admin, name, json!({ "ports": ports })).await.unwrap();
    }
    assert_eq!(addresses(&admin).await, ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
    assert!(
        refusal(create(&admin, "g", json!({ "ports": ports })).await)
            .ends_with("failed to allocate a serviceIP: range is full")
    );
    let gone = admin.delete(&SERVICE, "default", "a", &Value::Null).await.unwrap();
    assert_eq!(gone["kind"], "Service");
    let heir = create(&admin, "g", json!({ "ports": ports })).await.unwrap();
    assert_eq!(heir["spec"]["clusterIP"], "10.0.0.3");
    change(&admin, "g", json!({ "type": "ExternalName", "externalName": "x.example" })).await.unwrap();
    assert!(!addresses(&admin).await.contains(&"10.0.0.3".to_owned()), "a type change lets the address go");
    let back = change(&admin, "g", json!({ "type": "ClusterIP" })).await.unwrap();
    assert_eq!(back["spec"]["clusterIP"], "10.0.0.3");
}

#[tokio::test]
async fn node_ports_are_given_named_and_let_go() {
    let (_server, admin) = ranges(&["10.0.0.0/24"]).await;
    let spec = |port: Value| json!({ "type": "NodePort", "ports": [port] });
    let named = create(&admin, "a", spec(json!({ "port": 80, "nodePort": 30001 }))).await.unwrap();
    assert_eq!(named["spec"]["ports"][0]["nodePort"], 30001);
    assert_eq!(
        refusal(create(&admin, "b", spec(json!({ "port": 80, "nodePort": 30001 }))).await),
        r#"Service "b" is invalid: spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated"#
    );
    assert_eq!(
        refusal(create(&admin, "b", spec(json!({ "port": 80, "nodePort": 80 }))).await),
        r#"Service "b" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-30002"#
    );
    let both = json!({ "type": "NodePort", "ports": [
        { "name": "t", "port": 53, "protocol": "TCP" }, { "name": "u", "port": 53, "protocol": "UDP" }] });
    let both = create(&admin, "b", both).await.unwrap();
    let ports: Vec<&Value> = both["spec"]["ports"].as_array().unwrap().iter().map(|port| &port["nodePort"]).collect();
    assert_eq!(ports[0], ports[1], "one number is one node port");
    let balancer = json!({ "type": "LoadBalancer", "externalTrafficPolicy": "Local", "allocateLoadBalancerNodePorts": false,
        "ports": [{ "port": 80 }] });
    let balancer = create(&admin, "c", balancer).await.unwrap();
    assert!((30_000..=30_002).contains(&balancer["spec"]["healthCheckNodePort"].as_i64().unwrap()));
    let full = create(&admin, "d", spec(json!({ "port": 80 }))).await;
    assert!(refusal(full).ends_with("failed to allocate a nodePort: range is full"));
    let plain = change(&admin, "a", json!({ "type": "ClusterIP" })).await.unwrap();
    assert_eq!(plain["spec"]["ports"][0].get("nodePort"), None);
    let heir = create(&admin, "d", spec(json!({ "port": 80 }))).await.unwrap();
    assert_eq!(heir["spec"]["ports"][0]["nodePort"], 30001);
}

#[tokio::test]
async fn dual_stack_follows_the_ranges() {
    let (_server, admin) = ranges(&["10.0.0.0/24", "fd00::/112"]).await;
    let spec = json!({ "ports": [{ "port": 80 }], "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"] });
    let made = create(&admin, "a", spec).await.unwrap();
    assert_eq!(made["spec"]["ipFamilies"], json!(["IPv6", "IPv4"]));
    assert!(made["spec"]["clusterIP"].as_str().unwrap().starts_with("fd00::"));
    assert_eq!(addresses(&admin).await.len(), 2);
    let one = change(&admin, "a", json!({ "ipFamilyPolicy": "SingleStack" })).await.unwrap();
    assert_eq!(
        (&one["spec"]["clusterIP"], one["spec"]["clusterIPs"].as_array().unwrap().len()),
        (&made["spec"]["clusterIP"], 1)
    );
    assert_eq!(addresses(&admin).await.len(), 1);
}

#[tokio::test]
async fn many_at_once_never_share_an_address() {
    let (_server, admin) = ranges(&["10.0.0.0/27"]).await;
    let names: Vec<String> = (0..30).map(|n| format!("s{n}")).collect();
    let all = names.iter().map(|name| create(&admin, name, json!({ "ports": [{ "port": 80 }] })));
    let made = futures::future::join_all(all).await;
    assert!(made.iter().all(Result::is_ok));
    assert_eq!(addresses(&admin).await.len(), 30);
}
