//! What holds for every kind served, whatever an object says: applying twice is applying once, and protobuf carries what JSON says.
//! Objects are drawn from the type facts; a start gives the same objects in every run. Leaves out: what facts do not type, such as CRD schemas.

mod encode;
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
    let root = |name: &str| matches!(name, "apiVersion" | "kind");
    for kind in KINDS {
        for start in 0..STARTS {
            let object = draw(kind, &mut Random::new(start), |field| field.number.is_some());
            let mut content = object.clone();
            content.as_object_mut().expect("an object").retain(|name, _| !root(name));
            let body = encode::body(&kind.api_version(), kind.kind, &encode::message(ty(kind), &content));
            assert_eq!(protobuf::decode(&body), Ok(object), "{} from start {start}", kind.kind);
        }
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
                let mut config = draw(kind, random, |_| true);
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
