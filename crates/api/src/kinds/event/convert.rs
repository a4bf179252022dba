//! The two forms of an Event differ in names only: the older one has them all.

use serde_json::Value;

/// Fields: (core v1, events.k8s.io/v1). Those of the same name in both are not listed.
const RENAMED: &[(&str, &str)] = &[
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("source", "deprecatedSource"),
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
];

/// Makes a core v1 Event of one of events.k8s.io/v1.
pub(super) fn to_core(event: &mut Value) {
    rename(event, "v1", RENAMED.iter().map(|(core, new)| (*new, *core)));
}

/// Makes an events.k8s.io/v1 Event of a core one.
pub(super) fn from_core(event: &mut Value) {
    rename(event, "events.k8s.io/v1", RENAMED.iter().copied());
}

fn rename<'a>(event: &mut Value, api_version: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    let Some(fields) = event.as_object_mut() else { return };
    fields.insert("apiVersion".to_owned(), api_version.into());
    for (from, to) in pairs {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.to_owned(), value);
        }
    }
}
