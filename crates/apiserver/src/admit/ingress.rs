//! The class of an Ingress that names none. Main function: [`complete`].
//! Spec: <https://kubernetes.io/docs/concepts/services-networking/ingress/#default-ingress-class>.

use std::cmp::Reverse;

use api::{
    kinds::{
        ingress::CLASS_ANNOTATION,
        ingress_class::{DEFAULT_ANNOTATION, INGRESS_CLASS},
        read::text,
    },
    meta,
};
use serde_json::Value;
use store::{Guard, View};

use crate::{object, status::ApiError};

/// Names the default class, where there is one; the newest of several.
///
/// # Errors
/// None: without a class an Ingress is nobody's.
pub(super) fn complete(view: &View, ingress: &mut Value) -> Result<Vec<Guard>, ApiError> {
    let named = ingress.pointer("/spec/ingressClassName").is_some_and(Value::is_string);
    if named || meta::annotation(ingress, CLASS_ANNOTATION).is_some() {
        return Ok(Vec::new());
    }
    let prefix = object::prefix(&INGRESS_CLASS, "");
    let classes = view.range(&prefix, None).map(|record| object::decode(record));
    let default =
        classes.filter(|class| meta::annotation(class, DEFAULT_ANNOTATION) == Some("true")).min_by_key(|class| {
            (Reverse(text(class, "/metadata/creationTimestamp").to_owned()), meta::name(class).to_owned())
        });
    if let Some(class) = default {
        ingress["spec"]["ingressClassName"] = meta::name(&class).into();
    }
    Ok(Vec::new())
}
