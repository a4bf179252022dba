//! Event, served as core v1 (stored) and as events.k8s.io/v1 (a view of it).
//! Spec: <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>.

use super::{ALL_VERBS, Hooks, Index, Kind, NameRule, OtherVersion, SelectableField, Storage, read::text};

mod convert;
mod table;
mod validate;

/// Core v1 Event.
pub static CORE_EVENT: Kind = Kind {
    group: "",
    version: "v1",
    kind: "Event",
    list_kind: "EventList",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.core.v1.Event",
    storage: Some(Storage { prefix: "core/events", other: None }),
    name_rule: NameRule::PathSegment,
    fields: CORE_FIELDS,
    indexes: INDEXES,
    columns: table::CORE_COLUMNS,
    hooks: Hooks { validate: validate::core, ..Hooks::NONE },
};

/// Event of events.k8s.io/v1.
pub static EVENT: Kind = Kind {
    group: "events.k8s.io",
    version: "v1",
    kind: "Event",
    list_kind: "EventList",
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    categories: &[],
    namespaced: true,
    verbs: ALL_VERBS,
    subresources: &[],
    type_name: "io.k8s.api.events.v1.Event",
    storage: Some(Storage {
        prefix: "core/events",
        other: Some(OtherVersion { kind: &CORE_EVENT, to_storage: convert::to_core, from_storage: convert::from_core }),
    }),
    name_rule: NameRule::PathSegment,
    fields: EVENTS_FIELDS,
    indexes: INDEXES,
    columns: table::COLUMNS,
    hooks: Hooks { validate: validate::events, ..Hooks::NONE },
};

/// Events are found by what they are about (`kubectl describe`).
const INDEXES: &[Index] =
    &[Index { name: "involvedUid", values: |event| vec![text(event, "/involvedObject/uid").to_owned()] }];

const CORE_FIELDS: &[SelectableField] = &[
    selectable("involvedObject.kind", "involvedObject.kind", &["/involvedObject/kind"]),
    selectable("involvedObject.namespace", "involvedObject.namespace", &["/involvedObject/namespace"]),
    selectable("involvedObject.name", "involvedObject.name", &["/involvedObject/name"]),
    selectable("involvedObject.uid", "involvedObject.uid", &["/involvedObject/uid"]),
    selectable("involvedObject.apiVersion", "involvedObject.apiVersion", &["/involvedObject/apiVersion"]),
    selectable(
        "involvedObject.resourceVersion",
        "involvedObject.resourceVersion",
        &["/involvedObject/resourceVersion"],
    ),
    selectable("involvedObject.fieldPath", "involvedObject.fieldPath", &["/involvedObject/fieldPath"]),
    selectable("reason", "reason", &["/reason"]),
    selectable("reportingComponent", "reportingComponent", &["/reportingComponent"]),
    selectable("source", "source", &["/source/component", "/reportingComponent"]),
    selectable("type", "type", &["/type"]),
];

const EVENTS_FIELDS: &[SelectableField] = &[
    selectable("regarding.kind", "involvedObject.kind", &["/involvedObject/kind"]),
    selectable("regarding.namespace", "involvedObject.namespace", &["/involvedObject/namespace"]),
    selectable("regarding.name", "involvedObject.name", &["/involvedObject/name"]),
    selectable("regarding.uid", "involvedObject.uid", &["/involvedObject/uid"]),
    selectable("regarding.apiVersion", "involvedObject.apiVersion", &["/involvedObject/apiVersion"]),
    selectable("regarding.resourceVersion", "involvedObject.resourceVersion", &["/involvedObject/resourceVersion"]),
    selectable("regarding.fieldPath", "involvedObject.fieldPath", &["/involvedObject/fieldPath"]),
    selectable("reason", "reason", &["/reason"]),
    selectable("reportingController", "reportingComponent", &["/reportingComponent"]),
    selectable("type", "type", &["/type"]),
];

const fn selectable(label: &'static str, stored: &'static str, pointers: &'static [&'static str]) -> SelectableField {
    SelectableField { label, stored, pointers, default: "" }
}
