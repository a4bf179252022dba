//! Pods live and end in a small world.

use serde_json::{Value, json};

mod lanes;
mod life;
mod refusals;
mod told;
mod world;

use world::{Act, World};

fn container(name: &str) -> Value {
    json!({"name": name, "image": "img:1", "imagePullPolicy": "IfNotPresent"})
}

fn spec(containers: &[Value]) -> Value {
    json!({"containers": containers, "restartPolicy": "Always", "terminationGracePeriodSeconds": 30})
}

/// `Type=Status` of all conditions.
fn conditions(world: &World) -> Vec<String> {
    let all = world.status()["conditions"].as_array().cloned().unwrap_or_default();
    all.iter().map(|one| format!("{}={}", one["type"].as_str().unwrap(), one["status"].as_str().unwrap())).collect()
}

/// The state of a container in one word, with its restarts.
fn state(world: &World, name: &str) -> String {
    let status = world.status();
    let lists = ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"];
    let mut all = lists.iter().flat_map(|list| status[list].as_array().into_iter().flatten());
    let one = all.find(|one| one["name"] == name).expect("it has a status");
    let (kind, inner) = one["state"].as_object().unwrap().iter().next().expect("one state");
    let word = inner["reason"].as_str().unwrap_or(kind);
    format!("{word} {} {}", one["restartCount"], if one["ready"] == true { "ready" } else { "unready" })
}
