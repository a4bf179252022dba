//! The table as a state machine; what the kernel makes of it is tested in `kernel.rs`.

mod kernel;
mod lab;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

pub(super) fn facts() -> Facts {
    let ranges = |texts: [&str; 2]| texts.map(|text| text.parse().unwrap()).to_vec();
    Facts {
        own_pods: ranges(["10.42.0.0/24", "fd42:1::/64"]),
        all_pods: ranges(["10.42.0.0/16", "fd42::/16"]),
        services: ranges(["10.43.0.0/16", "fd43::/112"]),
        overlay: vec!["10.42.0.1".parse().unwrap(), "fd42:1::1".parse().unwrap()],
        own_services: vec!["10.43.0.10".parse().unwrap()],
    }
}

pub(super) fn around() -> Surroundings {
    Surroundings { node: "n1".into(), ..Surroundings::default() }
}

pub(super) fn key(name: &str) -> ObjectKey {
    ObjectKey::new("default", name)
}

/// A Service of one port, 80 over TCP unless `more` says otherwise.
pub(super) fn service(ip: &str, more: &Value) -> Option<Service> {
    let mut spec = json!({ "clusterIP": ip, "ports": [{ "port": 80, "protocol": "TCP" }] });
    json_merge(&mut spec, more);
    Service::read(json!({ "spec": spec }).to_string().as_bytes()).unwrap()
}

fn json_merge(into: &mut Value, more: &Value) {
    for (name, value) in more.as_object().into_iter().flatten() {
        into[name] = value.clone();
    }
}

/// Endpoints `(address, node)` on a port, ready.
pub(super) fn slice(service: &str, protocol: &str, port: u16, endpoints: &[(String, &str)]) -> Option<Slice> {
    let endpoints = endpoints.iter().map(|(ip, node)| json!({ "addresses": [ip], "nodeName": node }));
    let json = json!({
        "metadata": { "labels": { "kubernetes.io/service-name": service } }, "addressType": "IPv4",
        "ports": [{ "port": port, "protocol": protocol }], "endpoints": endpoints.collect::<Vec<_>>(),
    });
    Slice::read(json.to_string().as_bytes()).unwrap()
}

fn pods(hosts: &[u8]) -> Vec<(String, &'static str)> {
    hosts.iter().map(|host| (format!("10.42.0.{host}"), "n1")).collect()
}

fn table() -> Table {
    let mut table = Table::new(facts(), around());
    table.set_service(key("web"), service("10.43.0.5", &json!({})));
    table.set_slice(key("web-1"), slice("web", "TCP", 8080, &pods(&[2, 3, 4])));
    table
}

/// What a change of [`table`] costs: lines of the transaction.
fn check(change: impl FnOnce(&mut Table), expect: &[&str]) {
    let mut table = table();
    table.batch();
    change(&mut table);
    let text = table.batch().text();
    assert_eq!(text.lines().collect::<Vec<_>>(), expect);
    assert!(table.batch().is_empty(), "once is enough");
}

const FRONT: &str = "10.43.0.5 . 6 . 80";

#[test]
fn a_new_service_is_its_chain_and_its_elements() {
    let text = table().batch().text();
    let slots = [(2, 1_296_367_616), (3, 1_296_367_617), (4, 1_296_367_618)];
    let slots = slots.map(|(host, mark)| format!("{FRONT} . {mark} : 10.42.0.{host} . 8080"));
    let expect = [
        "add chain inet mesh serve4_3".to_owned(),
        "flush chain inet mesh serve4_3".into(),
        "add rule inet mesh serve4_3 meta mark set numgen random mod 3 offset 1296367616".into(),
        "add rule inet mesh serve4_3 meta l4proto { tcp, udp, sctp } dnat ip addr . port to ip daddr . meta l4proto . th \
         dport . meta mark map @slots4"
            .into(),
        "add element inet mesh addresses4 { 10.43.0.5 }".into(),
        "add element inet mesh hairpin4 { 10.42.0.2 . 10.42.0.2, 10.42.0.3 . 10.42.0.3, 10.42.0.4 . 10.42.0.4 }".into(),
        format!("add element inet mesh services4 {{ {FRONT} : goto serve4_3 }}"),
        format!("add element inet mesh slots4 {{ {} }}", slots.join(", ")),
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expect);
}

#[test]
fn one_endpoint_that_goes_changes_what_is_its_own() {
    check(
        |table| table.set_slice(key("web-1"), slice("web", "TCP", 8080, &pods(&[3, 4]))),
        &[
            "add chain inet mesh serve4_2",
            "flush chain inet mesh serve4_2",
            "add rule inet mesh serve4_2 meta mark set numgen random mod 2 offset 1296367616",
            "add rule inet mesh serve4_2 meta l4proto { tcp, udp, sctp } dnat ip addr . port to ip daddr . meta l4proto . \
             th dport . meta mark map @slots4",
            "delete element inet mesh hairpin4 { 10.42.0.2 . 10.42.0.2 }",
            "delete element inet mesh services4 { 10.43.0.5 . 6 . 80 }",
            "delete element inet mesh slots4 { 10.43.0.5 . 6 . 80 . 1296367616, 10.43.0.5 . 6 . 80 . 1296367618 }",
            "add element inet mesh services4 { 10.43.0.5 . 6 . 80 : goto serve4_2 }",
            "add element inet mesh slots4 { 10.43.0.5 . 6 . 80 . 1296367616 : 10.42.0.4 . 8080 }",
        ],
    );
}

#[test]
fn what_changes_nothing_costs_nothing() {
    check(|table| table.set_slice(key("web-1"), slice("web", "TCP", 8080, &pods(&[2, 3, 4]))), &[]);
    check(|table| table.set_dead(BTreeSet::from(["n9".into()])), &[]);
    check(|table| table.set_slice(key("other-1"), slice("other", "TCP", 1, &pods(&[9]))), &[]);
    check(|table| table.set_service(key("dns"), service("10.43.0.10", &json!({}))), &[]);
}

#[test]
fn the_last_endpoint_gone_is_a_refusal_and_the_service_gone_is_nothing() {
    let gone = [
        "delete element inet mesh hairpin4 { 10.42.0.2 . 10.42.0.2, 10.42.0.3 . 10.42.0.3, 10.42.0.4 . 10.42.0.4 }",
        "delete element inet mesh services4 { 10.43.0.5 . 6 . 80 }",
        "delete element inet mesh slots4 { 10.43.0.5 . 6 . 80 . 1296367616, 10.43.0.5 . 6 . 80 . 1296367617, 10.43.0.5 . 6 \
         . 80 . 1296367618 }",
    ];
    let refused = ["add element inet mesh refused4 { 10.43.0.5 . 6 . 80 : goto refuse }"];
    check(|table| table.set_slice(key("web-1"), None), &[&gone[..], &refused].concat());
    let address = ["delete element inet mesh addresses4 { 10.43.0.5 }"];
    check(|table| table.set_service(key("web"), None), &[&address[..], &gone].concat());
    check(|table| table.retain(&BTreeSet::new(), &BTreeSet::new()), &[&address[..], &gone].concat());
}

#[test]
fn an_address_that_changes_hands_is_never_claimed_twice() {
    let mut table = table();
    table.batch();
    // The news of the old owner's end comes after that of the new one's beginning.
    table.set_service(key("web2"), service("10.43.0.5", &json!({})));
    assert!(table.batch().is_empty());
    table.set_service(key("web"), None);
    let text = table.batch().text();
    assert!(text.contains("add element inet mesh refused4 { 10.43.0.5 . 6 . 80 : goto refuse }"), "{text}");
}

#[test]
fn endpoints_on_a_dead_node_are_withdrawn_and_come_back() {
    let mut table = table();
    let endpoints = [pods(&[2]), vec![("10.42.1.2".to_owned(), "n2")]].concat();
    table.set_slice(key("web-1"), slice("web", "TCP", 8080, &endpoints));
    table.batch();
    table.set_dead(BTreeSet::from(["n2".into()]));
    let text = table.batch().text();
    assert!(text.contains("services4 { 10.43.0.5 . 6 . 80 : goto serve4_1 }"), "{text}");
    let end = "slots4 { 10.43.0.5 . 6 . 80 . 1296367617 }\n\
               add element inet mesh services4 { 10.43.0.5 . 6 . 80 : goto serve4_1 }\n";
    assert!(text.ends_with(end), "{text}");
    table.set_dead(BTreeSet::new());
    let text = table.batch().text();
    assert!(text.contains("1296367617 : 10.42.1.2 . 8080"), "{text}");
}

#[test]
fn udp_fronts_that_lose_an_endpoint_tell_which_they_keep() {
    let mut table = Table::new(facts(), around());
    table.set_service(key("dns"), service("10.43.0.6", &json!({ "ports": [{ "port": 53, "protocol": "UDP" }] })));
    table.set_slice(key("dns-1"), slice("dns", "UDP", 53, &pods(&[2, 3])));
    table.batch();
    table.set_slice(key("dns-1"), slice("dns", "UDP", 53, &pods(&[2, 3, 4])));
    assert!(table.batch().withdrawn().is_empty());
    table.set_slice(key("dns-1"), slice("dns", "UDP", 53, &pods(&[2, 4])));
    let keep: Vec<_> = table.batch().withdrawn().iter().flat_map(|one| one.keep.clone()).collect();
    assert_eq!(keep, ["10.42.0.2:53".parse().unwrap(), "10.42.0.4:53".parse().unwrap()]);
}
