//! Fills in the addresses and ports that a Service lacks, and checks those it names. The words are upstream's.

use std::collections::BTreeMap;

use api::{
    field::{Errors, Path},
    kinds::{
        read::text,
        service::fields::{self, cluster_ips, number},
    },
};
use serde_json::{Value, json};
use store::View;

use super::{Pools, ip_claim, owner, port_claim, port_claims, refuse};
use crate::status::ApiError;

const SPEC: Path<'static> = Path::new("spec");

fn full(what: &str) -> ApiError {
    ApiError::internal(format!("failed to allocate a {what}: range is full"))
}

/// Whether a claim may be taken by this Service.
fn free(view: &View, claim: &str, owner: &str) -> bool {
    view.claim(claim).is_none_or(|holder| &**holder == owner)
}

/// An address for every family that has none.
pub(super) fn addresses(pools: &Pools, view: &View, old: Option<&Value>, new: &mut Value) -> Result<(), ApiError> {
    if !fields::needs_cluster_ip(new) || fields::is_headless(new) {
        return Ok(());
    }
    check_named(pools, view, old, new)?;
    let owner = owner(new);
    let mut all: Vec<String> = cluster_ips(new).into_iter().map(str::to_owned).collect();
    let wanted: Vec<bool> = fields::families(new).iter().map(|family| *family == "IPv4").collect();
    for four in wanted.into_iter().skip(all.len()) {
        let free = |ip: std::net::IpAddr| free(view, &ip_claim(&ip.to_string()), &owner);
        let drawn = pools.draw_address(four, rand::random(), free).ok_or_else(|| full("serviceIP"))?;
        all.push(drawn.to_string());
    }
    new["spec"]["clusterIP"] = json!(all.first());
    new["spec"]["clusterIPs"] = json!(all);
    Ok(())
}

fn check_named(pools: &Pools, view: &View, old: Option<&Value>, new: &Value) -> Result<(), ApiError> {
    let had = old.map(super::addresses).unwrap_or_default();
    let mut errors = Errors::new();
    for ip in cluster_ips(new).into_iter().filter(|ip| !had.contains(ip)) {
        let why = match ip.parse() {
            Ok(address) if !pools.has_address(address) => "the provided network does not match the current range",
            _ if !free(view, &ip_claim(ip), &owner(new)) => "provided IP is already allocated",
            _ => continue,
        };
        let why = format!("failed to allocate IP {ip}: {why}");
        errors.invalid(&SPEC.child("clusterIPs"), json!(cluster_ips(new)), why);
        break;
    }
    refuse(new, errors)
}

/// A port of the nodes for every port that is to have one. Ports of one number, for TCP and UDP, are given the same.
pub(super) fn node_ports(pools: &Pools, view: &View, old: Option<&Value>, new: &mut Value) -> Result<(), ApiError> {
    if !fields::needs_node_ports(new) {
        return Ok(());
    }
    let (had, owner, draws) = (old.map(port_claims).unwrap_or_default(), owner(new), fields::allocates_node_ports(new));
    let mut ports = fields::ports(new).to_vec();
    let mut given = named(&ports);
    let mut taken: Vec<i64> = given.values().copied().collect();
    for index in 0..ports.len() {
        let (own, protocol) = (number(&ports[index], "port"), text(&ports[index], "/protocol").to_owned());
        let asked = number(&ports[index], "nodePort");
        if asked != 0 {
            if !had.contains(&port_claim(&protocol, asked)) {
                check_port(pools, view, new, asked, &protocol, index)?;
            }
            continue;
        }
        if !draws {
            continue;
        }
        let usable = |port: i64| free(view, &port_claim(&protocol, port), &owner);
        let shared = given.get(&own).copied().filter(|port| !clashes(&ports, *port, &protocol) && usable(*port));
        let drawn = match shared {
            Some(port) => port,
            None => {
                let usable = |port: i64| !taken.contains(&port) && usable(port);
                pools.draw_port(rand::random(), usable).ok_or_else(|| full("nodePort"))?
            }
        };
        ports[index]["nodePort"] = drawn.into();
        given.entry(own).or_insert(drawn);
        taken.push(drawn);
    }
    new["spec"]["ports"] = ports.into();
    Ok(())
}

/// Node ports that are named, by the Service's own port.
fn named(ports: &[Value]) -> BTreeMap<i64, i64> {
    let pairs = ports.iter().map(|port| (number(port, "port"), number(port, "nodePort")));
    pairs.filter(|(_, node_port)| *node_port != 0).collect()
}

fn clashes(ports: &[Value], node_port: i64, protocol: &str) -> bool {
    ports.iter().any(|port| number(port, "nodePort") == node_port && text(port, "/protocol") == protocol)
}

fn check_port(
    pools: &Pools,
    view: &View,
    service: &Value,
    port: i64,
    protocol: &str,
    index: usize,
) -> Result<(), ApiError> {
    let mut errors = Errors::new();
    if let Some(why) = refusal(pools, view, service, port, protocol) {
        let path = SPEC.child("ports");
        errors.invalid(&path.index(index).child("nodePort"), port, why);
    }
    refuse(service, errors)
}

fn refusal(pools: &Pools, view: &View, service: &Value, port: i64, protocol: &str) -> Option<String> {
    if !pools.has_port(port) {
        let range = &pools.ports_text;
        return Some(format!("provided port is not in the valid range. The range of valid ports is {range}"));
    }
    let taken = !free(view, &port_claim(protocol, port), &owner(service));
    taken.then(|| "provided port is already allocated".to_owned())
}

/// A port at which load balancers ask a node whether it has endpoints.
pub(super) fn health_check_port(
    pools: &Pools,
    view: &View,
    old: Option<&Value>,
    new: &mut Value,
) -> Result<(), ApiError> {
    if !fields::needs_health_check(new) {
        return Ok(());
    }
    let (asked, owner) = (fields::health_check_port(new), owner(new));
    if asked == 0 {
        let held = port_claims(new);
        let usable = |port: i64| {
            let claim = port_claim("tcp", port);
            !held.contains(&claim) && free(view, &claim, &owner)
        };
        let drawn = pools.draw_port(rand::random(), usable);
        let drawn =
            drawn.ok_or_else(|| ApiError::internal("failed to allocate a HealthCheck NodePort 0: range is full"))?;
        new["spec"]["healthCheckNodePort"] = drawn.into();
    } else if old.is_none_or(|old| fields::health_check_port(old) != asked)
        && let Some(why) = refusal(pools, view, new, asked, "tcp")
    {
        let why = format!("failed to allocate requested HealthCheck NodePort {asked}: {why}");
        return Err(ApiError::internal(why));
    }
    Ok(())
}
