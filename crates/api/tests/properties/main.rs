//! What holds for every kind served, whatever an object says: applying twice is applying once, and protobuf carries what JSON says.
//! Objects are drawn from the type facts; a start gives the same objects in every run. Leaves out: what facts do not type, such as CRD schemas.

mod generate;

use api::{
    apply::apply,
    facts::{self, Type},
    kinds::{KINDS, Kind},
    managed::Writer,
    protobuf,
};
use generate::Random;
use serde_json::{Value, json};

/// Objects drawn of each kind.
const STARTS: u64 = 12;

/// Applications to one object.
const STEPS: usize = 6;

const MANAGERS: [&str; 3] = ["a", "b", "c"];

fn ty(kind: &Kind) -> &'static Type {
    facts::ty(kind.type_name).expect("every kind has a type")
}

/// An object of this kind; `named` tells which fields may be said.
fn draw(kind: &Kind, random: &mut Random, said: fn(&facts::Field) -> bool) -> Value {
    let mut object = generate::object(ty(kind), random, said);
    object["apiVersion"] = kind.api_version().into();
    object["kind"] = kind.kind.into();
    object
}

#[test]
fn protobuf_carries_what_json_says() {
    for ty in facts::types() {
        let Some((group, version, kind)) = ty.kind else { continue };
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        for start in 0..STARTS {
            let mut object = generate::object(ty, &mut Random::new(start), |field| field.number.is_some());
            object["apiVersion"] = api_version.as_str().into();
            object["kind"] = kind.into();
            let body = protobuf::encode(&object).unwrap_or_else(|| panic!("{api_version} {kind} is not known"));
            assert_eq!(protobuf::decode(&body), Ok(object), "{api_version} {kind} from start {start}");
        }
    }
}

/// What is served in protobuf is what the facts have.
#[test]
fn every_kind_served_can_be_written_in_protobuf() {
    let check = |group: &str, version: &str, kind: &str| {
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        assert!(
            protobuf::encode(&json!({ "apiVersion": api_version, "kind": kind })).is_some(),
            "{api_version} {kind}"
        );
    };
    for kind in KINDS {
        check(kind.group, kind.version, kind.kind);
        for part in kind.subresources.iter().filter(|part| !part.type_name.is_empty()) {
            let (group, version) =
                if part.version.is_empty() { (kind.group, kind.version) } else { (part.group, part.version) };
            check(group, version, part.kind);
        }
    }
    for kind in ["Status", "APIVersions", "APIGroup", "APIGroupList", "APIResourceList"] {
        check("", "v1", kind);
    }
}

/// An object whose fields a manager gives up goes, although he states it as empty, and comes with the second time: as upstream has it.
fn drop_empty(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(drop_empty);
            fields.retain(|_, value| *value != json!({}));
        }
        Value::Array(items) => items.iter_mut().for_each(drop_empty),
        _ => {}
    }
}

#[test]
fn applying_twice_is_applying_once() {
    for kind in KINDS.iter().filter(|kind| kind.storage.is_some()) {
        for start in 0..STARTS {
            let random = &mut Random::new(start);
            let mut live: Option<Value> = None;
            for step in 0..STEPS {
                let mut config = draw(kind, random, |field| field.name != "managedFields");
                drop_empty(&mut config);
                // Who states what is random, what it is called is not.
                config["metadata"]["name"] = "x".into();
                let manager = MANAGERS[random.below(MANAGERS.len())];
                let by = |time| Writer { manager, api_version: "v1", subresource: "", time, ignored: &["status"] };
                let what = format!("{} from start {start}, step {step}", kind.kind);
                let once = apply(live.as_ref(), &config, ty(kind), &by("2026-01-01T00:00:00Z"), true);
                let once = once.unwrap_or_else(|status| panic!("{what}: {}", status.message));
                for force in [false, true] {
                    let twice = apply(Some(&once), &config, ty(kind), &by("2026-01-01T00:00:01Z"), force);
                    let twice = twice.unwrap_or_else(|status| panic!("{what}: {}", status.message));
                    assert_eq!(twice, once, "{what}");
                }
                live = Some(once);
            }
        }
    }
}
