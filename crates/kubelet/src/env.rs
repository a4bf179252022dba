//! A container's environment. Main function: [`resolve`].
//! Spec: <https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/>.

use std::{collections::BTreeMap, net::IpAddr};

use api::gotext::quote;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    event::PodEvent,
    model::{Container, EnvFrom, EnvVarSource, KeyRef, Pod},
    observed::{NodeFacts, Reference, References},
    spec::Environment,
    text::expand,
};

mod downward;
mod services;

pub use downward::{field, resource};
pub use services::services;

/// Why an environment cannot be made now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// An object has not been looked up yet; plan again when it was.
    #[error("waiting for {0}")]
    Waiting(String),
    /// Something it refers to is not there.
    #[error("{0}")]
    Config(String),
}

/// Variables, and the events about those left out.
pub type Resolved = (Environment, Vec<PodEvent>);

/// What variables are made from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// Its addresses.
    pub pod_ips: &'a [IpAddr],
    /// Objects.
    pub references: &'a References,
    /// The node.
    pub node: &'a NodeFacts,
}

/// All variables of a container: `envFrom`, then `env`, then those of Services; a later one of the same name wins, but for Services.
///
/// # Errors
/// Where something that is not optional is missing, or not known yet.
pub fn resolve(sources: &Sources<'_>, container: &Container) -> Result<Resolved, EnvError> {
    let pod = sources.pod;
    let all = sources.references.services.as_ref().ok_or_else(|| EnvError::Waiting("services".to_owned()))?;
    let services = services(all, &pod.metadata.namespace, pod.spec.enable_service_links.unwrap_or(true));
    let mut events = Vec::new();
    let mut variables = Variables::default();
    for from in &container.env_from {
        let skipped = import(sources, from, &mut variables)?;
        events.extend(skipped.map(|text| PodEvent::of_pod(true, "InvalidEnvironmentVariableNames", text)));
    }
    for variable in &container.env {
        let value = match &variable.value_from {
            Some(from) if variable.value.is_empty() => lookup(sources, container, from)?,
            _ => {
                let known = |name: &str| variables.get(name).or_else(|| services.get(name).map(String::as_str));
                Some(expand(&variable.value, known))
            }
        };
        if let Some(value) = value {
            variables.set(&variable.name, value);
        }
    }
    for (name, value) in services {
        if variables.get(&name).is_none() {
            variables.set(&name, value);
        }
    }
    Ok((Environment(variables.0), events))
}

/// Names and values, in the order in which they came first.
#[derive(Default)]
struct Variables(Vec<(String, String)>);

impl Variables {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    fn set(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(one, _)| one == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }
}

/// Takes over a whole object; tells of the keys that are no names.
fn import(sources: &Sources<'_>, from: &EnvFrom, variables: &mut Variables) -> Result<Option<String>, EnvError> {
    let (what, object, data) = if let Some(one) = &from.config_map_ref {
        let Some(object) = config_map(sources, &one.name, one.optional)? else { return Ok(None) };
        (format!("configMap {}/{}", sources.pod.metadata.namespace, one.name), object, texts(object))
    } else if let Some(one) = &from.secret_ref {
        let Some(object) = secret(sources, &one.name, one.optional)? else { return Ok(None) };
        (format!("secret {}/{}", sources.pod.metadata.namespace, one.name), object, secrets(object))
    } else {
        return Ok(None);
    };
    debug_assert!(object.is_object(), "stored objects are objects");
    let mut invalid = Vec::new();
    for (key, value) in data {
        let name = format!("{}{key}", from.prefix);
        if api::names::env_var(&name).is_empty() {
            variables.set(&name, value);
        } else {
            invalid.push(name);
        }
    }
    let text = || {
        format!(
            "Keys [{}] from the EnvFrom {what} were skipped since they are considered invalid environment variable names.",
            invalid.join(", ")
        )
    };
    Ok((!invalid.is_empty()).then(text))
}

fn texts(object: &Value) -> BTreeMap<String, String> {
    let data = api::kinds::read::entries(object, "/data");
    data.filter_map(|(key, value)| Some((key.to_owned(), value.as_str()?.to_owned()))).collect()
}

fn secrets(object: &Value) -> BTreeMap<String, String> {
    let data = api::kinds::read::entries(object, "/data");
    let data = data.filter_map(|(key, value)| Some((key.to_owned(), STANDARD.decode(value.as_str()?).ok()?)));
    data.map(|(key, bytes)| (key, String::from_utf8_lossy(&bytes).into_owned())).collect()
}

fn lookup(sources: &Sources<'_>, container: &Container, from: &EnvVarSource) -> Result<Option<String>, EnvError> {
    if let Some(one) = &from.field_ref {
        return field(sources, &one.field_path).map(Some);
    }
    if let Some(one) = &from.resource_field_ref {
        return resource(sources, container, one).map(Some);
    }
    if let Some(one) = &from.config_map_key_ref {
        let object = config_map(sources, &one.name, one.optional)?;
        return key(sources, "ConfigMap", one, object.map(texts));
    }
    if let Some(one) = &from.secret_key_ref {
        let object = secret(sources, &one.name, one.optional)?;
        return key(sources, "Secret", one, object.map(secrets));
    }
    Ok(Some(String::new()))
}

fn key(
    sources: &Sources<'_>,
    what: &str,
    wanted: &KeyRef,
    data: Option<BTreeMap<String, String>>,
) -> Result<Option<String>, EnvError> {
    let Some(mut data) = data else { return Ok(None) };
    let namespace = &sources.pod.metadata.namespace;
    match data.remove(&wanted.key) {
        Some(value) => Ok(Some(value)),
        None if wanted.optional => Ok(None),
        None => {
            Err(EnvError::Config(format!("couldn't find key {} in {what} {namespace}/{}", wanted.key, wanted.name)))
        }
    }
}

fn config_map<'a>(sources: &Sources<'a>, name: &str, optional: bool) -> Result<Option<&'a Value>, EnvError> {
    found(sources.references.config_map(name), "configmap", name, optional)
}

fn secret<'a>(sources: &Sources<'a>, name: &str, optional: bool) -> Result<Option<&'a Value>, EnvError> {
    found(sources.references.secret(name), "secret", name, optional)
}

/// The object, or nothing if it may be absent.
fn found<'a>(reference: &'a Reference, what: &str, name: &str, optional: bool) -> Result<Option<&'a Value>, EnvError> {
    match reference {
        Reference::Found(object) => Ok(Some(object)),
        Reference::Unknown => Err(EnvError::Waiting(format!("{what} {}", quote(name)))),
        Reference::Missing if optional => Ok(None),
        Reference::Missing => Err(EnvError::Config(format!("{what} {} not found", quote(name)))),
    }
}

#[cfg(test)]
mod tests;
