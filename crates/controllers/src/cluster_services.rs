//! Keeps the two Services that every cluster has: `default/kubernetes`, which leads to the members' API endpoints, and
//! `kube-system/kube-dns`, the address at which pods ask for names.
//! Spec: <https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster/#directly-accessing-the-rest-api> and
//! <https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>.
//!
//! Their addresses are the first and the tenth of the cluster's own range. The DNS Service selects nothing: every node
//! answers at its address by itself. Silent members are left out of the API endpoints while others are heard.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use api::{
    kinds::{
        endpoint_slice::{ENDPOINT_SLICE, SERVICE_NAME},
        endpoints::ENDPOINTS,
        namespace::NAMESPACE,
        read::{items, text},
        service::{SERVICE, fields},
        service_cidr::SERVICE_CIDR,
    },
    meta,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    Action, Change, Cluster, Controller, Key, Kinds, Only, Patch, Plan, Target, View, Watch,
    endpoint_slice_mirroring::SKIP,
};

/// The row.
pub const CONTROLLER: Controller = Controller {
    name: "cluster-services",
    account: "cluster-services-controller",
    watches: &[
        Watch { kinds: Kinds::One(&SERVICE), keys: of_object },
        Watch { kinds: Kinds::One(&ENDPOINTS), keys: of_object },
        Watch { kinds: Kinds::One(&ENDPOINT_SLICE), keys: of_object },
        Watch { kinds: Kinds::One(&NAMESPACE), keys: of_namespace },
        Watch { kinds: Kinds::One(&SERVICE_CIDR), keys: |_, keys| keys.extend(all()) },
    ],
    facts: |_, keys| keys.push(Key::new(API.0, API.1)),
    reconcile,
};

/// Namespace and name of the Service of the API.
pub const API: (&str, &str) = ("default", "kubernetes");

/// Namespace and name of the Service of DNS.
pub const DNS: (&str, &str) = ("kube-system", "kube-dns");

/// Which address of the range DNS has.
pub const DNS_OFFSET: u32 = 10;

/// Port of the API's Service.
const API_PORT: u16 = 443;

/// Name of the cluster's own range.
const RANGE: &str = "kubernetes";

fn all() -> [Key; 2] {
    [API, DNS].map(|(namespace, name)| Key::new(namespace, name))
}

fn of_object(change: &dyn Change, keys: &mut Vec<Key>) {
    keys.extend(all().into_iter().filter(|key| (change.namespace(), change.name()) == (&key.namespace, &key.name)));
}

fn of_namespace(change: &dyn Change, keys: &mut Vec<Key>) {
    keys.extend(all().into_iter().filter(|key| key.namespace == change.name()));
}

fn reconcile(view: &dyn View, key: &Key, _: Timestamp) -> Plan {
    let place = (key.namespace.as_str(), key.name.as_str());
    let Some(range) = range(view) else { return Plan::default() };
    let open = view.get(&NAMESPACE, "", place.0).is_some_and(|namespace| !meta::is_being_deleted(&namespace));
    let actions = match place {
        _ if !open => Vec::new(),
        API => api(view, range),
        DNS => service(view, DNS, dns(range)).into_iter().collect(),
        _ => Vec::new(),
    };
    Plan { actions, wake_at: None }
}

/// First address of the cluster's own range (the one that ends in zeros).
fn range(view: &dyn View) -> Option<IpAddr> {
    let ranges = view.get(&SERVICE_CIDR, "", RANGE)?;
    let first = items(&ranges, "/spec/cidrs").first()?.as_str()?;
    api::address::range(first).ok().map(|(address, _)| address)
}

fn nth(range: IpAddr, offset: u32) -> String {
    match range {
        IpAddr::V4(first) => Ipv4Addr::from(u32::from(first).saturating_add(offset)).to_string(),
        IpAddr::V6(first) => Ipv6Addr::from(u128::from(first).saturating_add(offset.into())).to_string(),
    }
}

fn dns(range: IpAddr) -> Value {
    let port = |name: &str, protocol: &str| json!({ "name": name, "port": 53, "protocol": protocol, "targetPort": 53 });
    json!({
        "metadata": { "name": DNS.1, "labels": { "k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true",
            "kubernetes.io/name": "CoreDNS" } },
        "spec": { "type": "ClusterIP", "clusterIP": nth(range, DNS_OFFSET),
            "ports": [port("dns", "UDP"), port("dns-tcp", "TCP")] },
    })
}

fn api(view: &dyn View, range: IpAddr) -> Vec<Action> {
    let by_port = addresses(view.cluster(), range.is_ipv4());
    let Some((port, addresses)) = by_port.into_iter().max_by_key(|(_, addresses)| addresses.len()) else {
        return Vec::new();
    };
    let wanted = json!({
        "metadata": { "name": API.1, "labels": { "component": "apiserver", "provider": "kubernetes" } },
        "spec": { "type": "ClusterIP", "clusterIP": nth(range, 1),
            "ports": [{ "name": "https", "port": API_PORT, "protocol": "TCP", "targetPort": port }] },
    });
    let ports = json!([{ "name": "https", "port": port, "protocol": "TCP" }]);
    let endpoint = |ip: &IpAddr| json!({ "addresses": [ip.to_string()], "conditions": { "ready": true } });
    let slice = json!({
        "metadata": { "name": API.1, "labels": { SERVICE_NAME: API.1 } },
        "addressType": if range.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": addresses.iter().map(endpoint).collect::<Vec<_>>(), "ports": ports,
    });
    let listed: Vec<Value> = addresses.iter().map(|ip| json!({ "ip": ip.to_string() })).collect();
    let endpoints = json!({
        "metadata": { "name": API.1, "labels": { SKIP: "true" } },
        "subsets": [{ "addresses": listed, "ports": ports }],
    });
    let mut actions: Vec<Action> = service(view, API, wanted).into_iter().collect();
    actions.extend(written(view, &ENDPOINT_SLICE, slice, &["endpoints", "ports"]));
    actions.extend(written(view, &ENDPOINTS, endpoints, &["subsets"]));
    actions
}

/// Where the API is served, by port: of the members that are heard, or of all if none is.
fn addresses(cluster: &Cluster, four: bool) -> BTreeMap<u16, Vec<IpAddr>> {
    let heard = cluster.members.iter().any(|member| member.silent.is_none());
    let members = cluster.members.iter().filter(|member| !heard || member.silent.is_none());
    let mut by_port: BTreeMap<u16, Vec<IpAddr>> = BTreeMap::new();
    for address in members.flat_map(|member| &member.api_addresses).filter(|address| usable(address, four)) {
        by_port.entry(address.port()).or_default().push(address.ip());
    }
    for addresses in by_port.values_mut() {
        addresses.sort_unstable();
        addresses.dedup();
    }
    by_port
}

/// An endpoint has to be an address that pods can reach.
fn usable(address: &SocketAddr, four: bool) -> bool {
    address.is_ipv4() == four && api::address::special(address.ip()).is_none()
}

/// Creates the Service, or gives it back its ports. Its address is the API server's to keep.
fn service(view: &dyn View, (namespace, name): (&str, &str), wanted: Value) -> Option<Action> {
    let Some(known) = view.get(&SERVICE, namespace, name) else {
        return Some(Action::Create { kind: &SERVICE, namespace: namespace.into(), object: wanted });
    };
    let is_changed = fields::ports(&known) != items(&wanted, "/spec/ports");
    is_changed.then(|| Action::Patch {
        target: Target::of(&SERVICE, &known),
        part: "",
        patch: Patch::Merge(json!({ "spec": { "ports": wanted["spec"]["ports"] } })),
        only: Only::unchanged(&known),
    })
}

fn written(view: &dyn View, kind: &'static api::kinds::Kind, wanted: Value, fields: &[&str]) -> Option<Action> {
    let Some(known) = view.get(kind, API.0, API.1) else {
        return Some(Action::Create { kind, namespace: API.0.into(), object: wanted });
    };
    if kind.plural == ENDPOINT_SLICE.plural && text(&known, "/addressType") != text(&wanted, "/addressType") {
        return Some(Action::Delete {
            target: Target::of(kind, &known),
            only: Only::unchanged(&known),
            propagation: None,
        });
    }
    let mut object = Value::clone(&known);
    for field in fields {
        object[*field] = wanted[*field].clone();
    }
    meta::set(&mut object, "labels", Some(wanted["metadata"]["labels"].clone()));
    (object != *known).then_some(Action::Update { kind, part: "", object })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{Member, Silence};
    use crate::world::World;

    fn member(name: &str, address: &str, silent: bool) -> Member {
        let silent = silent.then_some(Silence { since: Timestamp::UNIX_EPOCH, reachable: false });
        let address = address.parse().expect("an address");
        Member { id: name.into(), name: name.into(), api_addresses: vec![address], silent }
    }

    fn world() -> World {
        World::default().with(&NAMESPACE, "", API.0, json!({})).with(&NAMESPACE, "", DNS.0, json!({})).with(
            &SERVICE_CIDR,
            "",
            RANGE,
            json!({ "spec": { "cidrs": ["10.43.0.0/16"] } }),
        )
    }

    fn created(world: &World, place: (&str, &str)) -> Vec<Value> {
        let actions = world.plan(&CONTROLLER, &Key::new(place.0, place.1)).actions;
        let object = |action| match action {
            Action::Create { object, .. } => object,
            other => panic!("not a create: {other:?}"),
        };
        actions.into_iter().map(object).collect()
    }

    #[test]
    fn the_api_is_where_its_members_are_heard() {
        let world = world()
            .member(member("a", "10.0.0.1:6443", false))
            .member(member("b", "10.0.0.2:6443", true))
            .member(member("c", "127.0.0.1:6443", false));
        let [service, slice, endpoints] = &created(&world, API)[..] else { panic!("three objects") };
        assert_eq!(service["spec"]["clusterIP"], "10.43.0.1");
        assert_eq!(service["spec"]["ports"][0]["targetPort"], 6443);
        assert_eq!(slice["endpoints"], json!([{ "addresses": ["10.0.0.1"], "conditions": { "ready": true } }]));
        assert_eq!(endpoints["subsets"][0]["addresses"], json!([{ "ip": "10.0.0.1" }]));
        let world = world
            .with(&SERVICE, API.0, API.1, service.clone())
            .with(&ENDPOINT_SLICE, API.0, API.1, slice.clone())
            .with(&ENDPOINTS, API.0, API.1, endpoints.clone());
        assert_eq!(world.told(&CONTROLLER, &Key::new(API.0, API.1)), [""; 0], "a second run has nothing to do");
        let world = world.member(member("d", "10.0.0.4:6443", false));
        assert_eq!(
            world.told(&CONTROLLER, &Key::new(API.0, API.1)),
            ["update endpointslices default/kubernetes", "update endpoints default/kubernetes"]
        );
    }

    #[test]
    fn dns_has_the_tenth_address() {
        let [service] = &created(&world(), DNS)[..] else { panic!("one object") };
        assert_eq!(service["spec"]["clusterIP"], "10.43.0.10");
        assert_eq!(service["spec"].get("selector"), None);
    }
}
