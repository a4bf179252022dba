//! Columns of Events: the same for both versions, read from either form.

use jiff::Timestamp;
use serde_json::Value;

use crate::kinds::{
    Column,
    columns::{NAME, UNKNOWN, age},
    read::text,
};

/// Where the two versions keep what the columns show.
struct Names {
    first: &'static str,
    last: &'static str,
    count: &'static str,
    object: &'static str,
    message: &'static str,
    source: &'static str,
    reporter: &'static str,
}

const CORE: Names = Names {
    first: "/firstTimestamp",
    last: "/lastTimestamp",
    count: "/count",
    object: "/involvedObject",
    message: "/message",
    source: "/source",
    reporter: "/reportingComponent",
};

const EVENTS: Names = Names {
    first: "/deprecatedFirstTimestamp",
    last: "/deprecatedLastTimestamp",
    count: "/deprecatedCount",
    object: "/regarding",
    message: "/note",
    source: "/deprecatedSource",
    reporter: "/reportingController",
};

macro_rules! columns {
    ($names:expr) => {
        &[
            Column::text("Last Seen", "When it was last seen.", 0, |event, now| $names.last_seen(event, now).into()),
            Column::text("Type", "Normal or Warning.", 0, |event, _| text(event, "/type").into()),
            Column::text("Reason", "Why, in one word.", 0, |event, _| text(event, "/reason").into()),
            Column::text("Object", "What it is about.", 0, |event, _| $names.target(event).into()),
            Column::text("Subobject", "Which part of it.", 1, |event, _| $names.sub_object(event).into()),
            Column::text("Message", "What happened.", 0, |event, _| text(event, $names.message).trim().into()),
            Column::text("Source", "Who says so.", 1, |event, _| $names.source(event).into()),
            Column::text("First Seen", "When it was first seen.", 1, |event, now| $names.first_seen(event, now).into()),
            Column::text("Count", "How often it was seen.", 1, |event, _| $names.count(event).into()),
            Column { priority: 1, ..NAME },
        ]
    };
}

/// Columns of core v1 Events.
pub(super) const CORE_COLUMNS: &[Column] = columns!(CORE);

/// Columns of events.k8s.io/v1 Events.
pub(super) const COLUMNS: &[Column] = columns!(EVENTS);

impl Names {
    fn first_seen(&self, event: &Value, now: Timestamp) -> String {
        match age(text(event, self.first), now) {
            unknown if unknown == UNKNOWN => age(text(event, "/eventTime"), now),
            known => known,
        }
    }

    fn last_seen(&self, event: &Value, now: Timestamp) -> String {
        if event.get("series").is_some_and(Value::is_object) {
            return age(text(event, "/series/lastObservedTime"), now);
        }
        match age(text(event, self.last), now) {
            unknown if unknown == UNKNOWN => self.first_seen(event, now),
            known => known,
        }
    }

    fn count(&self, event: &Value) -> i64 {
        let number = |pointer: &str| event.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
        match event.get("series").is_some_and(Value::is_object) {
            true => number("/series/count"),
            false => number(self.count).max(1),
        }
    }

    fn target(&self, event: &Value) -> String {
        let object = event.pointer(self.object).unwrap_or(&Value::Null);
        let kind = text(object, "/kind").to_lowercase();
        match text(object, "/name") {
            "" => kind,
            name => format!("{kind}/{name}"),
        }
    }

    fn sub_object<'a>(&self, event: &'a Value) -> &'a str {
        event.pointer(self.object).map_or("", |object| text(object, "/fieldPath"))
    }

    fn source(&self, event: &Value) -> String {
        let source = event.pointer(self.source).unwrap_or(&Value::Null);
        let or = |first: &'static str, second: &str| match text(source, first) {
            "" => text(event, second).to_owned(),
            value => value.to_owned(),
        };
        let component = or("/component", self.reporter);
        match or("/host", "/reportingInstance").as_str() {
            "" => component,
            host => format!("{component}, {host}"),
        }
    }
}
