//! Defaults that the type facts carry, set where a field is absent from an object that is there; and amounts of resources, which are kept in
//! thousandths.
//!
//! Main function: [`apply`]. Leaves out: defaults that depend on other fields (each kind's `default` hook).

use serde_json::Value;

use crate::{
    facts::{Shape, Type},
    quantity::Quantity,
    schema::{Kind, Node},
};

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
        Value::Object(map) if matches!(node.kind, Kind::Map(Shape::Quantity)) => map.values_mut().for_each(round),
        Value::Object(map) => map.iter_mut().for_each(|(name, value)| fill(value, node.child(name))),
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, node.item())),
        _ => {}
    }
}

/// What only amounts finer than a thousandth have in their text; most have none of it, and are not parsed.
const FINE: &[char] = &['u', 'n', '.', 'e', 'E'];

/// An amount in thousandths. What is no quantity is for validation to refuse.
fn round(amount: &mut Value) {
    let Some(text) = amount.as_str().filter(|text| text.contains(FINE)) else { return };
    if let Ok(quantity) = text.parse::<Quantity>() {
        let rounded = quantity.rounded_to_milli().to_string();
        if rounded != text {
            *amount = rounded.into();
        }
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

    #[test]
    fn amounts_of_resources_are_kept_in_thousandths() {
        let check = |written: &str, kept: &str| {
            let mut object = json!({ "spec": { "overhead": { "cpu": written } } });
            apply(&mut object, crate::facts::of_kind("", "v1", "Pod").expect("built in"));
            assert_eq!(object["spec"]["overhead"]["cpu"], kept, "{written}");
        };
        let cases = [
            ("100u", "1m"),
            ("100500u", "101m"),
            ("1n", "1m"),
            ("-1n", "-1m"),
            ("1.0005", "1001m"),
            ("250m", "250m"),
            ("1Gi", "1Gi"),
        ];
        cases.into_iter().for_each(|(written, kept)| check(written, kept));
    }
}
