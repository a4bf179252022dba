//! What the kernel makes of the table. Each test plays a node in namespaces of its own, and needs root.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use super::lab::{Connection, Datagrams, Lab, NODE, NODE_V6, ask, serve};
use super::{key, service, slice};
use crate::testing::lab::Machine;

/// A refusal comes within a round trip; this is for a loaded machine.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Who answered how often, of so many connections.
fn tally(machine: &Machine, to: &str, count: usize) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for _ in 0..count {
        let answer = ask(machine, to).unwrap();
        *tally.entry(answer.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    tally
}

fn refused_at_once(machine: &Machine, to: &str) {
    let started = Instant::now();
    assert_eq!(ask(machine, to).unwrap_err().kind(), ErrorKind::ConnectionRefused, "{to}");
    assert!(started.elapsed() < AT_ONCE, "{to}: {:?}", started.elapsed());
}

#[test]
fn connections_are_spread_over_the_endpoints() {
    let Some(mut lab) = Lab::start() else { return };
    let ((client, client_ip), (a, a_ip), (b, b_ip)) = (lab.pod("client"), lab.pod("a"), lab.pod("b"));
    serve(&a, "a", 8080);
    serve(&b, "b", 8080);
    let endpoints = [(a_ip.to_string(), "n1"), (b_ip.to_string(), "n1")];
    let ports = json!({ "ports": [{ "name": "t", "port": 80, "protocol": "TCP" }, { "name": "u", "port": 53, "protocol": "UDP" }] });
    lab.change(|table| {
        table.set_service(key("web"), service("10.43.0.5", &ports));
        for (name, protocol) in [("t", "TCP"), ("u", "UDP")] {
            let mut made = slice("web", protocol, 8080, &endpoints).unwrap();
            made.ports[0].name = Some(name.into());
            table.set_slice(key(name), Some(made));
        }
    });
    let tally = tally(&client, "10.43.0.5:80", 40);
    assert!(tally.len() == 2 && tally.values().all(|count| *count >= 5), "{tally:?}");
    assert!(ask(&client, "10.43.0.5:80").unwrap().ends_with(&client_ip.to_string()), "pods are seen as themselves");
    assert!(ask(&lab.node, "10.43.0.5:80").unwrap().ends_with(" 10.42.0.1"), "the host is seen as the overlay");
    let answers: BTreeSet<_> = (0..40).map(|_| Datagrams::open(&client, "10.43.0.5:53").ask().unwrap()).collect();
    assert_eq!(answers.len(), 2, "{answers:?}");
}

#[test]
fn a_pod_reaches_itself_through_its_service() {
    let Some(mut lab) = Lab::start() else { return };
    let (a, a_ip) = lab.pod("a");
    serve(&a, "a", 8080);
    lab.change(|table| {
        table.set_service(key("web"), service("10.43.0.5", &json!({})));
        table.set_slice(key("web"), slice("web", "TCP", 8080, &[(a_ip.to_string(), "n1")]));
    });
    assert_eq!(ask(&a, "10.43.0.5:80").unwrap(), "a 10.42.0.1");
}

#[test]
fn a_port_of_the_node_leads_to_the_endpoints() {
    let Some(mut lab) = Lab::start() else { return };
    let ((client, _), (a, a_ip)) = (lab.pod("client"), lab.pod("a"));
    serve(&a, "a", 8080);
    let spec = |policy: &str| json!({ "externalTrafficPolicy": policy, "ports": [{ "port": 80, "nodePort": 30080, "protocol": "TCP" }] });
    let endpoints = [(a_ip.to_string(), "n1")];
    lab.change(|table| {
        table.set_service(key("web"), service("10.43.0.5", &spec("Cluster")));
        table.set_slice(key("web"), slice("web", "TCP", 8080, &endpoints));
    });
    let port = format!("{NODE}:30080");
    assert_eq!(ask(&lab.neighbour, &port).unwrap(), "a 10.42.0.1");
    assert!(ask(&client, &port).unwrap().starts_with("a "), "from a pod");
    assert!(ask(&lab.node, &port).unwrap().starts_with("a "), "from the node itself");
    lab.change(|table| table.set_service(key("web"), service("10.43.0.5", &spec("Local"))));
    assert_eq!(ask(&lab.neighbour, &port).unwrap(), "a 192.0.2.2", "the client's own address");
    lab.change(|table| table.set_slice(key("web"), slice("web", "TCP", 8080, &[("10.42.1.9".into(), "n2")])));
    assert_eq!(ask(&lab.neighbour, &port).unwrap_err().kind(), ErrorKind::TimedOut, "dropped: no endpoint here");
    lab.change(|table| table.set_slice(key("web"), None));
    refused_at_once(&lab.neighbour, &port);
}

#[test]
fn both_families_are_served() {
    let Some(mut lab) = Lab::start() else { return };
    let ((client, client_ips), (a, a_ips)) = (lab.dual_pod("client"), lab.dual_pod("a"));
    serve(&a, "a", 8080);
    let spec = json!({
        "clusterIPs": ["10.43.0.5", "fd43::5"], "sessionAffinity": "ClientIP",
        "ports": [{ "port": 80, "nodePort": 30080, "protocol": "TCP" }],
    });
    lab.change(|table| {
        table.set_service(key("web"), service("10.43.0.5", &spec));
        for (name, ip) in [("v4", a_ips[0]), ("v6", a_ips[1])] {
            table.set_slice(key(name), slice("web", "TCP", 8080, &[(ip.to_string(), "n1")]));
        }
        table.set_service(key("none"), service("fd43::6", &json!({})));
    });
    assert_eq!(ask(&client, "10.43.0.5:80").unwrap(), format!("a {}", client_ips[0]));
    assert_eq!(ask(&client, "[fd43::5]:80").unwrap(), format!("a {}", client_ips[1]));
    assert_eq!(ask(&a, "[fd43::5]:80").unwrap(), "a fd42:1::1", "itself");
    assert_eq!(ask(&lab.node, "[fd43::5]:80").unwrap(), "a fd42:1::1", "the host");
    assert_eq!(ask(&lab.neighbour, &format!("[{NODE_V6}]:30080")).unwrap(), "a fd42:1::1", "a node's port");
    for refused in ["[fd43::6]:80", "[fd43::5]:81"] {
        refused_at_once(&client, refused);
        refused_at_once(&lab.node, refused);
    }
}

#[test]
fn without_endpoints_clients_are_refused_at_once() {
    let Some(mut lab) = Lab::start() else { return };
    let (client, _) = lab.pod("client");
    let ports = json!([{ "port": 80, "protocol": "TCP" }, { "name": "u", "port": 53, "protocol": "UDP" }]);
    lab.change(|table| table.set_service(key("web"), service("10.43.0.5", &json!({ "ports": ports }))));
    for machine in [&client, &lab.node] {
        refused_at_once(machine, "10.43.0.5:80");
        refused_at_once(machine, "10.43.0.5:81");
        // Whoever sends from the node itself hears of the filter that refuses, as with upstream's proxies.
        let error = Datagrams::open(machine, "10.43.0.5:53").ask().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::PermissionDenied), "{error}");
        let unknown = ask(machine, "10.43.0.99:80").unwrap_err();
        assert!(matches!(unknown.kind(), ErrorKind::TimedOut | ErrorKind::PermissionDenied), "dropped: {unknown}");
    }
}

#[test]
fn a_client_sticks_to_its_endpoint_while_that_serves() {
    let Some(mut lab) = Lab::start() else { return };
    let pods: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| (*name, lab.pod(name))).collect();
    let mut endpoints = Vec::new();
    for (name, (pod, ip)) in &pods {
        serve(pod, name, 8080);
        endpoints.push((ip.to_string(), "n1"));
    }
    let (client, _) = lab.pod("client");
    lab.change(|table| {
        table.set_service(key("web"), service("10.43.0.5", &json!({ "sessionAffinity": "ClientIP" })));
        table.set_slice(key("web"), slice("web", "TCP", 8080, &endpoints));
    });
    let first = tally(&client, "10.43.0.5:80", 20);
    assert_eq!(first.len(), 1, "{first:?}");
    let chosen = pods.iter().position(|(name, _)| first.contains_key(*name)).unwrap();
    let other = (chosen + 1) % pods.len();
    let without = |gone: usize| {
        let kept = endpoints.iter().enumerate().filter(|(place, _)| *place != gone);
        kept.map(|(_, endpoint)| endpoint.clone()).collect::<Vec<_>>()
    };
    lab.change(|table| table.set_slice(key("web"), slice("web", "TCP", 8080, &without(other))));
    assert_eq!(tally(&client, "10.43.0.5:80", 10).keys().next(), first.keys().next(), "another one went");
    lab.change(|table| table.set_slice(key("web"), slice("web", "TCP", 8080, &without(chosen))));
    let second = tally(&client, "10.43.0.5:80", 20);
    assert!(second.len() == 1 && second.keys().next() != first.keys().next(), "{first:?} {second:?}");
}

#[test]
fn running_connections_outlive_changes_and_restarts() {
    let Some(mut lab) = Lab::start() else { return };
    let ((client, _), (a, a_ip), (b, b_ip)) = (lab.pod("client"), lab.pod("a"), lab.pod("b"));
    serve(&a, "a", 8080);
    serve(&b, "b", 8080);
    let (a_ip, b_ip) = ((a_ip.to_string(), "n1"), (b_ip.to_string(), "n1"));
    let fill = |table: &mut super::Table, endpoint| {
        table.set_service(key("web"), service("10.43.0.5", &json!({})));
        table.set_slice(key("web"), slice("web", "TCP", 8080, &[endpoint]));
    };
    lab.change(|table| fill(table, a_ip.clone()));
    let mut running = Connection::open(&client, "10.43.0.5:80").unwrap();
    assert!(running.ask().unwrap().starts_with("a "));
    lab.change(|table| fill(table, b_ip.clone()));
    assert!(running.ask().unwrap().starts_with("a "), "what runs goes on");
    assert!(ask(&client, "10.43.0.5:80").unwrap().starts_with("b "), "what is new goes elsewhere");
    let before = lab.listing();
    lab.restart();
    assert!(ask(&client, "10.43.0.5:80").unwrap().starts_with("b "), "with no process at all");
    assert_eq!(lab.change(|table| fill(table, b_ip.clone())), 0, "nothing had to change");
    assert_eq!(lab.listing(), before);
    lab.restart();
    assert!(lab.change(|table| fill(table, a_ip.clone())) > 0, "news of the time between");
    assert!(running.ask().unwrap().starts_with("a ") && ask(&client, "10.43.0.5:80").unwrap().starts_with("a "));
    lab.restart();
    lab.proxy.table = super::Table::new(super::Facts { own_services: Vec::new(), ..super::facts() }, super::around());
    lab.proxy.table.set_service(key("other"), service("10.43.0.6", &json!({})));
    lab.change(|_| {});
    assert!(running.ask().unwrap().starts_with("a "), "a rebuilt table breaks no flow");
    refused_at_once(&client, "10.43.0.6:80");
}

#[test]
fn a_table_that_others_took_away_is_put_back() {
    let Some(mut lab) = Lab::start() else { return };
    let (client, _) = lab.pod("client");
    lab.change(|table| table.set_service(key("web"), service("10.43.0.5", &json!({}))));
    let nft = |arguments: &[&str]| {
        lab.node.run(|| assert!(std::process::Command::new("nft").args(arguments).status().unwrap().success()));
    };
    nft(&["flush", "ruleset"]);
    lab.look();
    assert!(lab.change(|_| {}) > 0, "put back");
    lab.look();
    assert_eq!(lab.change(|_| {}), 0, "once");
    refused_at_once(&client, "10.43.0.5:80");
}

#[test]
fn pods_pass_where_docker_forwards_nothing() {
    let Some(mut lab) = Lab::start() else { return };
    let ((client, _), (a, a_ip)) = (lab.pod("client"), lab.pod("a"));
    serve(&a, "a", 8080);
    let docker = "table ip filter { chain DOCKER-USER { return; }; chain FORWARD { type filter hook forward priority 0; \
                  policy drop; jump DOCKER-USER; }; }";
    lab.node.run(|| assert!(std::process::Command::new("nft").arg(docker).status().unwrap().success()));
    let to = format!("{a_ip}:8080");
    assert!(ask(&client, &to).is_err(), "Docker drops it");
    lab.change(|_| {});
    assert!(ask(&client, &to).is_ok());
    lab.restart();
    lab.change(|_| {});
    let list = ["list", "chain", "ip", "filter", "DOCKER-USER"];
    let listing = lab.node.run(|| std::process::Command::new("nft").args(list).output().unwrap().stdout);
    assert_eq!(String::from_utf8_lossy(&listing).matches("accept").count(), 2, "each rule once");
}

#[test]
fn connections_to_a_dead_node_are_reset() {
    let Some(mut lab) = Lab::start() else { return };
    let ((client, _), (a, a_ip), (b, b_ip)) = (lab.pod("client"), lab.pod("a"), lab.pod("b"));
    serve(&a, "a", 8080);
    serve(&b, "b", 8080);
    let fill = |table: &mut super::Table, ip: IpAddr| {
        table.set_service(key("web"), service("10.43.0.5", &json!({})));
        table.set_slice(key("web"), slice("web", "TCP", 8080, &[(ip.to_string(), "n1")]));
    };
    lab.change(|table| fill(table, a_ip));
    let mut running = Connection::open(&client, "10.43.0.5:80").unwrap();
    let mut direct = Connection::open(&client, &format!("{a_ip}:8080")).unwrap();
    assert!(running.ask().unwrap().starts_with("a ") && direct.ask().unwrap().starts_with("a "));
    lab.change(|table| fill(table, b_ip));
    let reset = lab.node.run(|| super::conntrack::Conntrack::open().unwrap().reset(&[a_ip.into()]).unwrap());
    assert_eq!(reset, 1, "the one through the Service");
    assert_eq!(running.ask().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(direct.ask().unwrap().starts_with("a "), "who asked the pod itself is not concerned");
}

#[test]
fn udp_clients_leave_an_endpoint_that_is_withdrawn() {
    let Some(mut lab) = Lab::start() else { return };
    let ((client, _), (a, a_ip), (b, b_ip)) = (lab.pod("client"), lab.pod("a"), lab.pod("b"));
    serve(&a, "a", 8080);
    serve(&b, "b", 8080);
    let udp = json!({ "ports": [{ "port": 53, "protocol": "UDP" }] });
    lab.change(|table| {
        table.set_service(key("dns"), service("10.43.0.5", &udp));
        table.set_slice(key("dns"), slice("dns", "UDP", 8080, &[(a_ip.to_string(), "n1")]));
    });
    let datagrams = Datagrams::open(&client, "10.43.0.5:53");
    assert!(datagrams.ask().unwrap().starts_with("a "));
    lab.change(|table| table.set_slice(key("dns"), slice("dns", "UDP", 8080, &[(b_ip.to_string(), "n1")])));
    assert!(datagrams.ask().unwrap().starts_with("b "), "the same client port");
}

#[test]
fn two_thousand_services_load_quickly_and_one_change_stays_small() {
    let Some(mut lab) = Lab::start() else { return };
    let ip = |number: usize| format!("10.43.{}.{}", 1 + number / 250, 1 + number % 250);
    let endpoints = |number: usize| {
        (0..3).map(|pod| (format!("10.42.{}.{}", 1 + number / 250, 2 + (number + pod) % 250), "n2")).collect::<Vec<_>>()
    };
    let started = Instant::now();
    let loaded = lab.change(|table| {
        for number in 0..2000 {
            let name = format!("s{number}");
            table.set_service(key(&name), service(&ip(number), &json!({})));
            table.set_slice(key(&name), slice(&name, "TCP", 8080, &endpoints(number)));
        }
    });
    let load = started.elapsed();
    assert_eq!(loaded, 2000 * 5);
    let started = Instant::now();
    let changed = lab.change(|table| table.set_slice(key("s7"), slice("s7", "TCP", 8080, &endpoints(7)[..2])));
    let change = started.elapsed();
    assert_eq!(changed, 3, "the verdict in place, one slot less");
    eprintln!("2000 Services of 3 endpoints: {load:?}; one endpoint less: {change:?}");
    // Fast enough on a loaded machine of a debug build; the figures above tell more.
    assert!(load < Duration::from_secs(10) && change < Duration::from_secs(2), "{load:?} {change:?}");
    lab.restart();
    let started = Instant::now();
    assert_eq!(lab.change(|table| table.set_dead(BTreeSet::new())), 2000 * 5 - 1, "an empty table means none");
    eprintln!("all gone: {:?}", started.elapsed());
}
