//! What a probe or hook asks, with named ports and the pod's address looked up. Main functions: [`check`], [`hook`].

use std::net::IpAddr;

use api::gotext::quote;
use serde_json::Value;

use super::Check;
use crate::{
    model::{Container, HttpGet, LifecycleHandler, Probe},
    step::HookAction,
    text::seconds,
};

/// What a probe does, with names and addresses looked up.
#[must_use]
pub fn check(probe: &Probe, container: &Container, pod_ip: Option<IpAddr>) -> Check {
    if let Some(exec) = &probe.exec {
        Check::Exec { command: exec.command.clone() }
    } else if let Some(get) = &probe.http_get {
        http(get, container, pod_ip, "kube-probe/1.36")
    } else if let Some(tcp) = &probe.tcp_socket {
        match (container.port(&tcp.port), host(&tcp.host, pod_ip)) {
            (Some(port), Some(host)) => Check::Tcp { host, port },
            (port, _) => impossible(port, &tcp.port),
        }
    } else if let Some(grpc) = &probe.grpc {
        let service = grpc.service.clone().unwrap_or_default();
        match host("", pod_ip) {
            Some(host) => Check::Grpc { host, port: grpc.port, service },
            None => impossible(Some(grpc.port), &Value::Null),
        }
    } else {
        Check::Impossible { message: "missing probe handler".to_owned() }
    }
}

/// What a hook does, with names and addresses looked up.
#[must_use]
pub fn hook(handler: &LifecycleHandler, container: &Container, pod_ip: Option<IpAddr>) -> HookAction {
    if let Some(exec) = &handler.exec {
        HookAction::Check(Check::Exec { command: exec.command.clone() })
    } else if let Some(get) = &handler.http_get {
        HookAction::Check(http(get, container, pod_ip, "kube-lifecycle/1.36"))
    } else if let Some(sleep) = &handler.sleep {
        HookAction::Sleep(seconds(sleep.seconds))
    } else {
        let message = "invalid handler: neither exec, httpGet nor sleep".to_owned();
        HookAction::Check(Check::Impossible { message })
    }
}

fn http(get: &HttpGet, container: &Container, pod_ip: Option<IpAddr>, agent: &str) -> Check {
    let (Some(port), Some(host)) = (container.port(&get.port), host(&get.host, pod_ip)) else {
        return impossible(container.port(&get.port), &get.port);
    };
    let path = if get.path.starts_with('/') { get.path.clone() } else { format!("/{}", get.path) };
    let mut headers: Vec<(String, String)> =
        get.http_headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect();
    for (name, value) in [("User-Agent", agent), ("Accept", "*/*")] {
        if !headers.iter().any(|(one, _)| one.eq_ignore_ascii_case(name)) {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    // An empty value means that it is not to be sent.
    headers.retain(|(name, value)| {
        !(value.is_empty() && ["user-agent", "accept"].contains(&name.to_lowercase().as_str()))
    });
    Check::Http { tls: get.scheme == "HTTPS", host, port, path, headers }
}

fn host(given: &str, pod_ip: Option<IpAddr>) -> Option<String> {
    if given.is_empty() { pod_ip.map(|ip| ip.to_string()) } else { Some(given.to_owned()) }
}

fn impossible(port: Option<u16>, wanted: &Value) -> Check {
    let message = match (port, wanted) {
        (None, Value::String(name)) => format!("strconv.Atoi: parsing {}: invalid syntax", quote(name)),
        (None, other) => format!("invalid port number: {other}"),
        (Some(_), _) => "the pod has no address yet".to_owned(),
    };
    Check::Impossible { message }
}
