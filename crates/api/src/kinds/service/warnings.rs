//! What a Service says in vain or in an old way. Main function: [`of`]. The words are upstream's.

use serde_json::Value;

use super::fields::{is_headless, service_type};
use crate::{
    kinds::read::{items, text},
    meta,
};

/// What its writer is told.
pub(super) fn of(service: &Value) -> Vec<String> {
    const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
    const MODE: &str = "service.kubernetes.io/topology-mode";
    let mut warnings = Vec::new();
    if meta::annotation(service, HINTS).is_some() {
        warnings.push(format!("annotation {HINTS} is deprecated, please use {MODE} instead"));
    }
    if is_headless(service) {
        let ignored = [
            ("loadBalancerIP", !text(service, "/spec/loadBalancerIP").is_empty()),
            ("externalIPs", !items(service, "/spec/externalIPs").is_empty()),
            ("SessionAffinity", text(service, "/spec/sessionAffinity") != "None"),
        ];
        let tell = |(field, _): &(&str, bool)| format!("spec.{field} is ignored for headless services");
        warnings.extend(ignored.iter().filter(|(_, said)| *said).map(tell));
    }
    if service_type(service) != "ExternalName" && !text(service, "/spec/externalName").is_empty() {
        warnings.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".into());
    }
    warnings
}
