//! Who answers a proxied request: the pod that is named, or one of a Service's. Main item: [`find`].
//!
//! A Service's endpoints count only where they are pods of its namespace, at an address that the pod says is its own: else whoever may
//! write endpoints could have the API server call any address.

use std::{net::IpAddr, sync::Arc};

use api::kinds::{
    endpoint_slice::{ENDPOINT_SLICE, SERVICE_INDEX},
    pod::POD,
    read::{items, text},
    service::SERVICE,
};
use api::status::Status;
use rand::RngExt;
use serde_json::Value;
use store::{Freshness, View};

use super::super::place;
use crate::{object, route::Target, shared::Shared, status::ApiError, streams::Place};

/// A port of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    pub(super) place: Place,
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    /// It is to be asked over TLS.
    pub(super) tls: bool,
}

impl Backend {
    /// Address and port as a URL writes them.
    pub(super) fn authority(&self) -> String {
        std::net::SocketAddr::new(self.ip, self.port).to_string()
    }
}

/// `[scheme:]name[:port]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Named<'a> {
    tls: bool,
    name: &'a str,
    port: &'a str,
}

impl<'a> Named<'a> {
    fn of(id: &'a str) -> Option<Self> {
        let parts: Vec<&str> = id.splitn(4, ':').collect();
        let (scheme, name, port) = match parts[..] {
            [name] => ("", name, ""),
            [name, port] => ("", name, port),
            [scheme, name, port] => (scheme, name, port),
            _ => return None,
        };
        let known = matches!(scheme, "" | "http" | "https");
        (known && !name.is_empty()).then_some(Self { tls: scheme == "https", name, port })
    }
}

/// Finds who is to answer.
pub(super) async fn find(shared: &Arc<Shared>, target: &Target) -> Result<Backend, ApiError> {
    let view = shared.storage.read(Freshness::Linearizable).await?;
    let id = target.name.as_str();
    let what = target.kind.singular;
    let named = Named::of(id).ok_or_else(|| ApiError::bad_request(format!("invalid {what} request {id:?}")))?;
    match target.kind.plural {
        "services" => of_service(&view, &target.namespace, id, named),
        _ => of_pod(&view, &target.namespace, named),
    }
}

fn of_pod(view: &View, namespace: &str, named: Named<'_>) -> Result<Backend, ApiError> {
    let pod = get(view, &POD, namespace, named.name).ok_or_else(|| ApiError::not_found(&POD, named.name))?;
    let port = pod_port(&pod, named)?;
    let ip = text(&pod, "/status/podIPs/0/ip").parse().ok().filter(may_be_asked);
    let ip = ip.ok_or_else(|| ApiError::bad_request("address not allowed"))?;
    Ok(backend(&pod, ip, port, named.tls))
}

/// The port named by its number, else the first that a container has, else that of the scheme.
fn pod_port(pod: &Value, named: Named<'_>) -> Result<u16, ApiError> {
    let first =
        || items(pod, "/spec/containers").iter().find_map(|one| one.pointer("/ports/0/containerPort")?.as_u64());
    let usual = if named.tls { 443 } else { 80 };
    match named.port {
        "" => Ok(first().and_then(|port| u16::try_from(port).ok()).unwrap_or(usual)),
        port => port
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| super::unreachable(format_args!("dial tcp: lookup tcp/{port}: unknown port"))),
    }
}

fn of_service(view: &View, namespace: &str, id: &str, named: Named<'_>) -> Result<Backend, ApiError> {
    let service =
        get(view, &SERVICE, namespace, named.name).ok_or_else(|| ApiError::not_found(&SERVICE, named.name))?;
    let port = service_port(&service, named)?;
    let none = |name: &str| unavailable(format!("no endpoints available for service {name:?}"));
    let index = format!("{namespace}/{}", named.name);
    let under = object::prefix(&ENDPOINT_SLICE, namespace);
    let slices: Vec<Value> =
        view.by_index_under(SERVICE_INDEX, &index, &under, None).map(|record| object::decode(record)).collect();
    if slices.iter().all(|slice| items(slice, "/endpoints").is_empty()) {
        return Err(none(named.name));
    }
    let candidates = candidates(&slices, namespace, &port);
    let first = if candidates.is_empty() { 0 } else { rand::rng().random_range(0..candidates.len()) };
    let tried = candidates[first..].iter().chain(&candidates[..first]);
    let found = tried.filter_map(|candidate| {
        let pod = get(view, &POD, namespace, candidate.pod)?;
        let own = items(&pod, "/status/podIPs").iter().any(|one| text(one, "/ip") == candidate.address);
        let ip = candidate.address.parse().ok().filter(|ip| own && may_be_asked(ip))?;
        Some(backend(&pod, ip, candidate.port, named.tls))
    });
    found.into_iter().next().ok_or_else(|| none(id))
}

/// Name of the port that is meant.
fn service_port(service: &Value, named: Named<'_>) -> Result<String, ApiError> {
    let Ok(number) = named.port.parse::<i64>() else { return Ok(named.port.to_owned()) };
    let mut ports = items(service, "/spec/ports").iter();
    let port = ports.find(|port| port.get("port").and_then(Value::as_i64) == Some(number));
    let missing = || unavailable(format!("no service port {number} found for service {:?}", named.name));
    port.map(|port| text(port, "/name").to_owned()).ok_or_else(missing)
}

/// An endpoint that is ready, and a pod of the namespace.
#[derive(Debug, PartialEq, Eq)]
struct Candidate<'a> {
    pod: &'a str,
    address: &'a str,
    port: u16,
}

fn candidates<'a>(slices: &'a [Value], namespace: &str, port: &str) -> Vec<Candidate<'a>> {
    let mut found = Vec::new();
    for slice in slices {
        let numbered = items(slice, "/ports").iter().find(|one| text(one, "/name") == port);
        let number = numbered.and_then(|one| one.get("port")?.as_u64()).and_then(|port| u16::try_from(port).ok());
        let Some(port) = number else { continue };
        for endpoint in items(slice, "/endpoints") {
            let ready = endpoint.pointer("/conditions/ready") != Some(&Value::Bool(false));
            let of = |field: &str| text(endpoint, &format!("/targetRef/{field}"));
            if !ready || of("kind") != "Pod" || of("namespace") != namespace {
                continue;
            }
            let pod = text(endpoint, "/targetRef/name");
            let addresses = items(endpoint, "/addresses").iter().filter_map(Value::as_str);
            found.extend(addresses.map(|address| Candidate { pod, address, port }));
        }
    }
    found
}

fn get(view: &View, kind: &'static api::kinds::Kind, namespace: &str, name: &str) -> Option<Value> {
    view.get(&object::key(kind, namespace, name)).map(|record| object::decode(record))
}

fn backend(pod: &Value, ip: IpAddr, port: u16, tls: bool) -> Backend {
    Backend { place: Place { address: ip.to_string(), ..place::whole(pod) }, ip, port, tls }
}

/// Nothing of the machine itself, of its links, or of many at once.
fn may_be_asked(ip: &IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(four) if four.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || broadcast || api::address::special(*ip).is_some())
}

fn unavailable(message: String) -> ApiError {
    Status::service_unavailable(message).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_tell_scheme_and_port() {
        let check = |id: &str, expect: Option<(bool, &str, &str)>| {
            assert_eq!(Named::of(id), expect.map(|(tls, name, port)| Named { tls, name, port }), "{id}");
        };
        check("web", Some((false, "web", "")));
        check("web:80", Some((false, "web", "80")));
        check("web:", Some((false, "web", "")));
        check("https:web:admin", Some((true, "web", "admin")));
        check("http:web:", Some((false, "web", "")));
        check(":web:80", Some((false, "web", "80")));
        check("ftp:web:80", None);
        check("https::80", None);
        check("", None);
        check("a:b:c:d", None);
    }

    fn told<T>(result: Result<T, ApiError>) -> Result<T, (u16, String)> {
        result.map_err(|error| (error.code(), error.to_string()))
    }

    #[test]
    fn a_pods_port_is_named_or_the_first_it_has() {
        let check = |id: &str, ports: Value, expect: Result<u16, &str>| {
            let pod = json!({ "spec": { "containers": [{}, { "ports": ports }] } });
            let found = pod_port(&pod, Named::of(id).expect("a name"));
            assert_eq!(
                told(found),
                expect.map_err(|why| (503, format!("error trying to reach service: {why}"))),
                "{id}"
            );
        };
        let ports = json!([{ "containerPort": 8080 }, { "containerPort": 9090 }]);
        check("p", ports.clone(), Ok(8080));
        check("p:9090", ports, Ok(9090));
        check("p", json!([]), Ok(80));
        check("https:p:", json!([]), Ok(443));
        check("p:web", json!([]), Err("dial tcp: lookup tcp/web: unknown port"));
        check("p:0", json!([]), Err("dial tcp: lookup tcp/0: unknown port"));
    }

    #[test]
    fn a_services_port_is_meant_by_name_or_number() {
        let service = json!({ "spec": { "ports": [{ "name": "web", "port": 80 }, { "port": 81 }] } });
        let check = |id: &str, expect: Result<&str, &str>| {
            let found = service_port(&service, Named::of(id).expect("a name"));
            assert_eq!(told(found), expect.map(str::to_owned).map_err(|why| (503, why.to_owned())), "{id}");
        };
        check("s:80", Ok("web"));
        check("s:81", Ok(""));
        check("s", Ok(""));
        check("s:web", Ok("web"));
        check("s:82", Err("no service port 82 found for service \"s\""));
    }

    #[test]
    fn only_ready_pods_of_the_namespace_answer() {
        let pod = |name: &str, namespace: &str, ready: Value| {
            json!({ "addresses": ["10.42.0.5"], "conditions": { "ready": ready },
                "targetRef": { "kind": "Pod", "name": name, "namespace": namespace } })
        };
        let endpoints = json!([
            pod("a", "n", json!(true)),
            pod("b", "n", json!(false)),
            pod("c", "other", json!(true)),
            pod("d", "n", Value::Null),
            { "addresses": ["10.0.0.1"] },
        ]);
        let slices = [json!({ "ports": [{ "name": "web", "port": 8080 }], "endpoints": endpoints })];
        let names =
            |port: &str| candidates(&slices, "n", port).iter().map(|one| one.pod.to_owned()).collect::<Vec<_>>();
        assert_eq!(names("web"), ["a", "d"]);
        assert!(names("").is_empty());
        assert_eq!(candidates(&slices, "n", "web")[0], Candidate { pod: "a", address: "10.42.0.5", port: 8080 });
    }

    #[test]
    fn a_machines_own_addresses_are_not_asked() {
        for (address, may) in [
            ("10.42.0.5", true),
            ("fd00::5", true),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("0.0.0.0", false),
            ("224.0.0.9", false),
            ("255.255.255.255", false),
            ("::1", false),
        ] {
            assert_eq!(may_be_asked(&address.parse().expect("an address")), may, "{address}");
        }
    }
}
