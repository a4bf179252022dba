//! Defaults that the type facts carry, set where a field is absent from an object that is there.
//!
//! Main function: [`apply`]. Leaves out: defaults that depend on other fields (each kind's `default` hook).

use serde_json::Value;

use crate::{facts::Type, schema::Node};

/// Sets declared defaults throughout an object. Doing it again changes nothing. Depth is bounded by the parser.
pub fn apply(object: &mut Value, ty: &'static Type) {
    fill(object, Node::root(ty));
}

fn fill(value: &mut Value, node: Node) {
    if let (Some(ty), Value::Object(map)) = (node.ty(), &mut *value) {
        for field in &ty.fields {
            if let Some(default) = field.default_value().filter(|_| map.get(field.name).is_none_or(Value::is_null)) {
                map.insert(field.name.to_owned(), default);
            }
        }
    }
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(name, value)| fill(value, node.child(name))),
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, node.item())),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fills_in_declared_defaults_only_where_nothing_is() {
        let pod = crate::facts::of_kind("", "v1", "Pod").expect("built in");
        let mut object = json!({"spec": {"containers": [{"ports": [{"containerPort": 1}, {"containerPort": 2, "protocol": "UDP"}]}]}});
        apply(&mut object, pod);
        let ports = &object["spec"]["containers"][0]["ports"];
        assert_eq!(*ports, json!([{"containerPort": 1, "protocol": "TCP"}, {"containerPort": 2, "protocol": "UDP"}]));
        let once = object.clone();
        apply(&mut object, pod);
        assert_eq!(object, once);
    }
}
