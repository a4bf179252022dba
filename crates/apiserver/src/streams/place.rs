//! Which container a request means, and where it runs. Main item: [`find`].

use std::sync::Arc;

use api::kinds::read::text;
use serde_json::Value;
use store::Freshness;

use super::Place;
use crate::{object, route::Target, shared::Shared, status::ApiError};

/// Lists of containers in a pod's spec, and of their statuses in its status.
const LISTS: [(&str, &str); 3] = [
    ("/spec/containers", "/status/containerStatuses"),
    ("/spec/initContainers", "/status/initContainerStatuses"),
    ("/spec/ephemeralContainers", "/status/ephemeralContainerStatuses"),
];

/// A pod as the store has it now.
pub(super) async fn pod(shared: &Arc<Shared>, target: &Target) -> Result<Value, ApiError> {
    let view = shared.storage.read(Freshness::Linearizable).await?;
    let record = view.get(&object::key(target.kind, &target.namespace, &target.name));
    let record = record.ok_or_else(|| ApiError::not_found(target.kind, &target.name))?;
    Ok(object::decode(record))
}

/// The container that is meant; `wanted` may name none where there is one only.
pub(super) fn find(pod: &Value, wanted: Option<&str>) -> Result<Place, ApiError> {
    Ok(Place { container: container(pod, wanted)?, ..whole(pod) })
}

/// The pod itself.
pub(super) fn whole(pod: &Value) -> Place {
    Place {
        node: text(pod, "/spec/nodeName").to_owned(),
        namespace: text(pod, "/metadata/namespace").to_owned(),
        pod: text(pod, "/metadata/name").to_owned(),
        uid: text(pod, "/metadata/uid").to_owned(),
        ..Place::default()
    }
}

fn container(pod: &Value, wanted: Option<&str>) -> Result<String, ApiError> {
    let name = text(pod, "/metadata/name");
    if let Some(wanted) = wanted {
        return match LISTS.iter().any(|(list, _)| names(pod, list).any(|name| name == wanted)) {
            true => Ok(wanted.to_owned()),
            false => Err(ApiError::bad_request(format!("container {wanted} is not valid for pod {name}"))),
        };
    }
    let containers: Vec<&str> = names(pod, LISTS[0].0).collect();
    if let [only] = containers[..] {
        return Ok(only.to_owned());
    }
    let mut message = format!("a container name must be specified for pod {name}");
    if !containers.is_empty() {
        message += &format!(", choose one of: [{}]", containers.join(" "));
        let init: Vec<&str> = names(pod, LISTS[1].0).collect();
        if !init.is_empty() {
            message += &format!(" or one of the init containers: [{}]", init.join(" "));
        }
    }
    Err(ApiError::bad_request(message))
}

fn names<'a>(pod: &'a Value, list: &str) -> impl Iterator<Item = &'a str> {
    pod.pointer(list).and_then(Value::as_array).into_iter().flatten().map(|container| text(container, "/name"))
}

/// What the pod's status says of a container.
pub(super) fn status<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    let lists = LISTS.iter().filter_map(|(_, list)| pod.pointer(list)?.as_array());
    lists.flatten().find(|status| text(status, "/name") == container)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(containers: &[&str], init: &[&str], wanted: Option<&str>, expect: Result<&str, &str>) {
        let list = |names: &[&str]| names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>();
        let spec = json!({ "containers": list(containers), "initContainers": list(init), "nodeName": "n" });
        let pod = json!({ "metadata": { "name": "p" }, "spec": spec });
        let found = find(&pod, wanted).map(|place| place.container).map_err(|error| error.to_string());
        assert_eq!(found, expect.map(str::to_owned).map_err(str::to_owned));
    }

    #[test]
    fn the_container_is_the_only_one_or_named() {
        check(&["a"], &["i"], None, Ok("a"));
        check(&["a", "b"], &["i"], Some("b"), Ok("b"));
        check(&["a", "b"], &["i"], Some("i"), Ok("i"));
        check(&["a"], &[], Some("x"), Err("container x is not valid for pod p"));
        check(&["a", "b"], &[], None, Err("a container name must be specified for pod p, choose one of: [a b]"));
        let both =
            "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]";
        check(&["a", "b"], &["i"], None, Err(both));
    }
}
