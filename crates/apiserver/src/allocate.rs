//! Gives Services their addresses and node ports, as claims in the same transaction as the Service, so that no two hold
//! the same one and none is lost. Main type: [`Pools`]. Spec:
//! <https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/> and
//! <https://kubernetes.io/docs/concepts/services-networking/service/#nodeport-custom-port>.
//!
//! What nobody asked for by name is drawn at random, from the upper band first; a claim that fails because another
//! holds it makes the decision run again, with another draw. An address taken is also told as an IPAddress object.
//! Leaves out: which families a Service has (`api::kinds::service::families`), ranges of more ServiceCIDR objects than
//! the cluster's own.

use std::{borrow::Cow, collections::BTreeSet};

use api::{
    field::Errors,
    kinds::{
        Kind,
        ip_address::IP_ADDRESS,
        service::{SERVICE, families, fields},
    },
    meta,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{Op, View};

use crate::{object, status::ApiError};

mod draw;
mod pools;

pub use pools::{PoolError, Pools};

/// What claims of IPAddress objects that no Service asked for are held by.
const BY_HAND: &str = "networking.k8s.io/ipaddresses/";

/// Operations that go with writing an object; gives a new Service what it lacks.
///
/// # Errors
/// 422 for what is taken or not to be had here, 500 where nothing is free.
pub(crate) fn written(
    pools: &Pools,
    view: &View,
    now: Timestamp,
    kind: &Kind,
    old: Option<&Value>,
    new: &mut Cow<'_, Value>,
) -> Result<Vec<Op>, ApiError> {
    if std::ptr::eq(kind, &IP_ADDRESS) {
        return by_hand(view, old, new);
    }
    if !std::ptr::eq(kind, &SERVICE) {
        return Ok(Vec::new());
    }
    let new = new.to_mut();
    let mut errors = Errors::new();
    families::choose(new, old, &pools.families(), &mut errors);
    refuse(new, errors)?;
    draw::addresses(pools, view, old, new)?;
    draw::node_ports(pools, view, old, new)?;
    draw::health_check_port(pools, view, old, new)?;
    Ok(changes(now, old, Some(new)))
}

/// Operations that go with removing an object.
pub(crate) fn removed(kind: &Kind, old: &Value) -> Vec<Op> {
    if std::ptr::eq(kind, &IP_ADDRESS) {
        let owner = format!("{BY_HAND}{}", meta::name(old)).into();
        return vec![Op::Release { name: ip_claim(meta::name(old)), owner }];
    }
    match std::ptr::eq(kind, &SERVICE) {
        true => changes(Timestamp::UNIX_EPOCH, Some(old), None),
        false => Vec::new(),
    }
}

fn refuse(service: &Value, errors: Errors) -> Result<(), ApiError> {
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid("", "Service", meta::name(service), &errors)) }
}

/// An IPAddress made by hand keeps its address from Services.
fn by_hand(view: &View, old: Option<&Value>, new: &Value) -> Result<Vec<Op>, ApiError> {
    let name = ip_claim(meta::name(new));
    if old.is_some() {
        return Ok(Vec::new());
    }
    if view.claim(&name).is_some() {
        return Err(ApiError::already_exists(&IP_ADDRESS, meta::name(new)));
    }
    Ok(vec![Op::Claim { name, owner: format!("{BY_HAND}{}", meta::name(new)).into() }])
}

fn ip_claim(ip: &str) -> store::Key {
    format!("ip/{ip}").into()
}

fn port_claim(protocol: &str, port: i64) -> store::Key {
    format!("nodeport/{}/{port}", protocol.to_ascii_lowercase()).into()
}

fn owner(service: &Value) -> String {
    format!("services/{}/{}", meta::namespace(service), meta::name(service))
}

/// The addresses a Service holds.
fn addresses(service: &Value) -> BTreeSet<&str> {
    fields::cluster_ips(service).into_iter().filter(|ip| *ip != fields::HEADLESS).collect()
}

/// The claims on node ports a Service holds.
fn port_claims(service: &Value) -> BTreeSet<store::Key> {
    let ports = fields::ports(service).iter().filter(|port| fields::number(port, "nodePort") != 0);
    let claim = |port: &Value| {
        port_claim(port.get("protocol").and_then(Value::as_str).unwrap_or("TCP"), fields::number(port, "nodePort"))
    };
    let check = fields::health_check_port(service);
    ports.map(claim).chain((check != 0).then(|| port_claim("tcp", check))).collect()
}

/// What a change claims and lets go: the difference between what was held and what is.
fn changes(now: Timestamp, old: Option<&Value>, new: Option<&Value>) -> Vec<Op> {
    let Some(service) = new.or(old) else { return Vec::new() };
    let owner: std::sync::Arc<str> = owner(service).into();
    let (had, has) = (old.map(addresses).unwrap_or_default(), new.map(addresses).unwrap_or_default());
    let mut ops = Vec::new();
    for ip in had.difference(&has) {
        ops.push(Op::Release { name: ip_claim(ip), owner: owner.clone() });
        ops.push(Op::Delete(object::key(&IP_ADDRESS, "", ip)));
    }
    for ip in has.difference(&had) {
        ops.push(Op::Claim { name: ip_claim(ip), owner: owner.clone() });
        ops.push(object::put(&IP_ADDRESS, object::key(&IP_ADDRESS, "", ip), &ip_object(ip, service, now)));
    }
    let (had, has) = (old.map(port_claims).unwrap_or_default(), new.map(port_claims).unwrap_or_default());
    ops.extend(had.difference(&has).map(|name| Op::Release { name: name.clone(), owner: owner.clone() }));
    ops.extend(has.difference(&had).map(|name| Op::Claim { name: name.clone(), owner: owner.clone() }));
    ops
}

fn ip_object(ip: &str, service: &Value, now: Timestamp) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IPAddress",
        "metadata": {
            "name": ip, "uid": uuid::Uuid::new_v4().to_string(), "creationTimestamp": meta::time(now),
            "labels": {
                "ipaddress.kubernetes.io/ip-family": families::family_of(ip),
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": { "parentRef": {
            "resource": "services", "namespace": meta::namespace(service), "name": meta::name(service),
        } },
    })
}
