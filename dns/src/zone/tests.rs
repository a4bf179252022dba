//! Questions and answers.

use serde_json::{Value, json};

use super::{Answer, Change, Data, Kind, Object, Record, Zone};

fn zone() -> Zone {
    let mut zone = Zone::new("Cluster.Local.");
    let services = [
        (
            "web",
            json!({ "type": "ClusterIP", "clusterIPs": ["10.43.0.7", "fd00::7"],
            "ports": [{ "name": "http", "port": 80, "protocol": "TCP" }, { "port": 53, "protocol": "UDP" }] }),
        ),
        (
            "db",
            json!({ "type": "ClusterIP", "clusterIPs": ["None"], "ports": [{ "name": "sql", "port": 5432, "protocol": "TCP" }] }),
        ),
        ("idle", json!({ "type": "ClusterIP", "clusterIPs": ["None"] })),
        ("ext", json!({ "type": "ExternalName", "externalName": "www.Example.com." })),
    ];
    for (name, spec) in services {
        service(&mut zone, name, Some(json!({ "spec": spec })));
    }
    slice(
        &mut zone,
        "db-1",
        Some(db(&json!([
            { "addresses": ["10.1.0.1"], "hostname": "db-0", "conditions": { "ready": true } },
            { "addresses": ["10.1.0.2"] },
            { "addresses": ["10.1.0.3"], "conditions": { "ready": false } },
        ]))),
    );
    zone
}

fn db(endpoints: &Value) -> Value {
    json!({
        "metadata": { "labels": { "kubernetes.io/service-name": "db" } },
        "ports": [{ "name": "sql", "port": 15432, "protocol": "TCP" }], "endpoints": endpoints,
    })
}

fn apply(zone: &mut Zone, kind: Object, name: &str, object: Option<Value>) {
    zone.apply(Change { kind, namespace: "shop", name, object: object.as_ref() });
}

fn service(zone: &mut Zone, name: &str, object: Option<Value>) {
    apply(zone, Object::Service, name, object);
}

fn slice(zone: &mut Zone, name: &str, object: Option<Value>) {
    apply(zone, Object::EndpointSlice, name, object);
}

fn tell(record: &Record) -> String {
    let data = match &record.data {
        Data::Address(ip) => ip.to_string(),
        Data::Srv { port, target, weight } => format!("{weight} {port} {target}"),
        Data::Cname(name) | Data::Ptr(name) | Data::Txt(name) | Data::Ns(name) => name.clone(),
        Data::Soa(_) => "soa".into(),
    };
    match &record.name {
        Some(name) => format!("{name} {data}"),
        None => data,
    }
}

fn ask(zone: &Zone, name: &str, kind: Kind) -> String {
    let labels: Vec<&str> = name.split('.').filter(|label| !label.is_empty()).collect();
    match zone.answer(&labels, kind) {
        Answer::Found { records, additional } => {
            let mut told: Vec<String> = records.iter().map(tell).collect();
            told.extend(additional.iter().map(|record| format!("+{}", tell(record))));
            told.join(", ")
        }
        other => format!("{other:?}"),
    }
}

fn check(name: &str, kind: Kind, expect: &str) {
    assert_eq!(ask(&zone(), name, kind), expect, "{name} {kind:?}");
}

#[test]
fn a_service_has_its_addresses_and_named_ports() {
    check("web.shop.svc.cluster.local", Kind::A, "10.43.0.7");
    check("web.shop.svc.cluster.local", Kind::Aaaa, "fd00::7");
    check("web.shop.svc.cluster.local", Kind::Txt, "NoData");
    check(
        "_http._tcp.web.shop.svc.cluster.local",
        Kind::Srv,
        "100 80 web.shop.svc.cluster.local, +web.shop.svc.cluster.local 10.43.0.7, +web.shop.svc.cluster.local fd00::7",
    );
    check("_http._tcp.web.shop.svc.cluster.local", Kind::A, "NoData");
    check("_http._udp.web.shop.svc.cluster.local", Kind::Srv, "NoName");
    check("_tcp.web.shop.svc.cluster.local", Kind::Srv, "NoData");
    check("host.web.shop.svc.cluster.local", Kind::A, "NoName");
}

#[test]
fn a_headless_service_has_its_ready_endpoints() {
    check("db.shop.svc.cluster.local", Kind::A, "10.1.0.1, 10.1.0.2");
    check("db.shop.svc.cluster.local", Kind::Aaaa, "NoData");
    check("db-0.db.shop.svc.cluster.local", Kind::A, "10.1.0.1");
    check("10-1-0-2.db.shop.svc.cluster.local", Kind::A, "10.1.0.2");
    check("10-1-0-1.db.shop.svc.cluster.local", Kind::A, "NoName");
    check("10-1-0-3.db.shop.svc.cluster.local", Kind::A, "NoName");
    check(
        "_sql._tcp.db.shop.svc.cluster.local",
        Kind::Srv,
        "50 15432 10-1-0-2.db.shop.svc.cluster.local, 50 15432 db-0.db.shop.svc.cluster.local, \
         +10-1-0-2.db.shop.svc.cluster.local 10.1.0.2, +db-0.db.shop.svc.cluster.local 10.1.0.1",
    );
    check("idle.shop.svc.cluster.local", Kind::A, "NoName");
}

#[test]
fn other_names_of_the_cluster() {
    check("ext.shop.svc.cluster.local", Kind::A, r#"Alias("www.example.com")"#);
    check("dns-version.cluster.local", Kind::Txt, "1.1.0");
    check("10-1-2-3.any.pod.cluster.local", Kind::A, "10.1.2.3");
    check("fd00--7.any.pod.cluster.local", Kind::Aaaa, "fd00::7");
    check("word.any.pod.cluster.local", Kind::A, "NoName");
    check("cluster.local", Kind::Soa, "soa");
    check("cluster.local", Kind::Ns, "ns.dns.cluster.local");
    for name in ["cluster.local", "svc.cluster.local", "shop.svc.cluster.local", "pod.cluster.local"] {
        check(name, Kind::A, "NoData");
    }
    for name in
        ["none.shop.svc.cluster.local", "none.svc.cluster.local", "x.y.z.web.shop.svc.cluster.local", "a.cluster.local"]
    {
        check(name, Kind::A, "NoName");
    }
    for name in ["example.com", "local", "", "svc.cluster.local.example.com"] {
        check(name, Kind::A, "Foreign");
    }
}

#[test]
fn addresses_lead_back_to_names() {
    check("7.0.43.10.in-addr.arpa", Kind::Ptr, "web.shop.svc.cluster.local");
    check("7.0.43.10.in-addr.arpa", Kind::A, "NoData");
    check("1.0.1.10.in-addr.arpa", Kind::Ptr, "db-0.db.shop.svc.cluster.local");
    check("3.0.1.10.in-addr.arpa", Kind::Ptr, "Foreign");
    let digits = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
    check(digits, Kind::Ptr, "web.shop.svc.cluster.local");
}

#[test]
fn changes_come_in_any_order_and_go_without_a_trace() {
    let mut zone = zone();
    slice(&mut zone, "db-2", Some(db(&json!([{ "addresses": ["10.1.0.9"] }]))));
    assert_eq!(ask(&zone, "db.shop.svc.cluster.local", Kind::A), "10.1.0.1, 10.1.0.2, 10.1.0.9");
    let mut moved = db(&json!([{ "addresses": ["10.1.0.9"] }]));
    moved["metadata"]["labels"]["kubernetes.io/service-name"] = json!("idle");
    slice(&mut zone, "db-2", Some(moved));
    assert_eq!(ask(&zone, "db.shop.svc.cluster.local", Kind::A), "10.1.0.1, 10.1.0.2");
    assert_eq!(ask(&zone, "idle.shop.svc.cluster.local", Kind::A), "10.1.0.9");
    service(&mut zone, "db", None);
    assert_eq!(ask(&zone, "db.shop.svc.cluster.local", Kind::A), "NoName");
    assert_eq!(ask(&zone, "1.0.1.10.in-addr.arpa", Kind::Ptr), "Foreign");
    for name in ["web", "idle", "ext"] {
        service(&mut zone, name, None);
    }
    slice(&mut zone, "db-1", None);
    slice(&mut zone, "db-2", None);
    assert_eq!((zone.services(), zone.reverse.len(), zone.owners.len()), (0, 0, 0));
    assert_eq!(ask(&zone, "shop.svc.cluster.local", Kind::A), "NoName");
}
