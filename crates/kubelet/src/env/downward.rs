//! Facts about a pod as text. Main functions: [`field`], [`resource`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/downward-api/>.

use std::{collections::BTreeMap, net::IpAddr};

use api::{gotext::quote, quantity::Quantity};
use serde_json::Value;

use super::{EnvError, Sources};
use crate::model::{Container, ResourceFieldRef};

/// A field of the pod: `metadata.name`, `metadata.labels['app']`, `status.podIP`, ... Whole maps are lines `key="value"`.
///
/// # Errors
/// Where there is no such field, or the pod has no address yet.
pub fn field(sources: &Sources<'_>, path: &str) -> Result<String, EnvError> {
    let (meta, spec) = (&sources.pod.metadata, &sources.pod.spec);
    let addresses = |list: &[IpAddr]| {
        let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
        if texts.is_empty() { Err(EnvError::Waiting(path.to_owned())) } else { Ok(texts) }
    };
    Ok(match path {
        "metadata.name" => meta.name.clone(),
        "metadata.namespace" => meta.namespace.clone(),
        "metadata.uid" => meta.uid.clone(),
        "metadata.labels" => lines(&meta.labels),
        "metadata.annotations" => lines(&meta.annotations),
        "spec.nodeName" => spec.node_name.clone(),
        "spec.serviceAccountName" => spec.service_account_name.clone(),
        "status.hostIP" => addresses(&sources.node.addresses)?.swap_remove(0),
        "status.hostIPs" => addresses(&sources.node.addresses)?.join(","),
        "status.podIP" => addresses(sources.pod_ips)?.swap_remove(0),
        "status.podIPs" => addresses(sources.pod_ips)?.join(","),
        _ => {
            let entry = |prefix: &str, map: &BTreeMap<String, String>| {
                let key = path.strip_prefix(prefix)?.strip_prefix("['")?.strip_suffix("']")?;
                Some(map.get(key).cloned().unwrap_or_default())
            };
            let found =
                entry("metadata.labels", &meta.labels).or_else(|| entry("metadata.annotations", &meta.annotations));
            found.ok_or_else(|| EnvError::Config(format!("unsupported fieldPath: {path}")))?
        }
    })
}

fn lines(map: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = map.iter().map(|(key, value)| format!("{key}={}", quote(value))).collect();
    lines.join("\n")
}

/// A resource of a container in units of the divisor, rounded up. A limit that is absent is what the node has.
///
/// # Errors
/// Where there is no such container or resource.
pub fn resource(sources: &Sources<'_>, own: &Container, from: &ResourceFieldRef) -> Result<String, EnvError> {
    let container = if from.container_name.is_empty() || from.container_name == own.name {
        own
    } else {
        let found = sources.pod.container(&from.container_name).map(|(_, container)| container);
        found.ok_or_else(|| EnvError::Config(format!("container {} not found", from.container_name)))?
    };
    let unsupported = || EnvError::Config(format!("unsupported container resource : {}", from.resource));
    let (list, name) = from.resource.split_once('.').ok_or_else(unsupported)?;
    let get = |list: &BTreeMap<String, Value>| crate::resources::quantity(list, name);
    let resources = &container.resources;
    let amount = match list {
        "limits" => get(&resources.limits).filter(|limit| !limit.is_zero()).or_else(|| get(&sources.node.allocatable)),
        // The API server makes an absent request the limit.
        "requests" => get(&resources.requests).or_else(|| get(&resources.limits)),
        _ => return Err(unsupported()),
    };
    Ok(in_units(name, amount, &from.divisor))
}

fn in_units(name: &str, amount: Option<Quantity>, divisor: &Value) -> String {
    let Some(amount) = amount else { return "0".to_owned() };
    let divisor = Quantity::from_json(divisor).ok().filter(|divisor| divisor.nanos() > 0);
    // CPU is counted in thousandths, all else in whole units.
    let (amount, one) = if name == "cpu" { (amount.milli_value(), 1_000) } else { (amount.value(), 1) };
    let divisor = divisor.map_or(one, |divisor| if name == "cpu" { divisor.milli_value() } else { divisor.value() });
    let (amount, divisor) = (i128::from(amount), i128::from(divisor.max(1)));
    ((amount + divisor - 1) / divisor).to_string()
}
