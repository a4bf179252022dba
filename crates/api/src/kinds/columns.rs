//! Cells that many kinds share, and human durations. Spec: what `kubectl get` prints
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>).

use jiff::Timestamp;
use serde_json::Value;

use super::{Column, read::text};

/// Cell of a time that is absent.
pub const UNKNOWN: &str = "<unknown>";

/// Cell of a value that is absent.
pub const NONE: &str = "<none>";

/// The identifying column.
pub const NAME: Column = Column {
    name: "Name",
    r#type: "string",
    format: "name",
    description: "Name of the object, unique among its kind within a namespace.",
    priority: 0,
    cell: |object, _| text(object, "/metadata/name").into(),
};

/// Time since creation.
pub const AGE: Column = Column::text("Age", "Time since the object was created.", 0, |object, now| {
    age(text(object, "/metadata/creationTimestamp"), now).into()
});

/// Time of creation.
pub const CREATED_AT: Column =
    Column { format: "date", ..Column::text("Created At", "Time at which the object was created.", 0, created_at) };

/// Columns of kinds that have none of their own.
pub const DEFAULT: &[Column] = &[NAME, CREATED_AT];

impl Column {
    /// A column of plain text.
    #[must_use]
    pub const fn text(
        name: &'static str,
        description: &'static str,
        priority: i32,
        cell: fn(&Value, Timestamp) -> Value,
    ) -> Self {
        Self { name, r#type: "string", format: "", description, priority, cell }
    }
}

fn created_at(object: &Value, _: Timestamp) -> Value {
    match text(object, "/metadata/creationTimestamp") {
        "" => Value::Null,
        time => time.into(),
    }
}

/// The map at a JSON pointer as `key=value` pairs, sorted; [`NONE`] where it is empty.
#[must_use]
pub fn pairs(object: &Value, pointer: &str) -> String {
    let pair = |(key, value): (&str, &Value)| format!("{key}={}", value.as_str().unwrap_or_default());
    let pairs: Vec<String> = super::read::entries(object, pointer).map(pair).collect();
    if pairs.is_empty() { NONE.to_owned() } else { pairs.join(",") }
}

/// Addresses and names of an object's load balancer, sorted.
#[must_use]
pub fn addresses(object: &Value) -> Vec<&str> {
    let points = super::read::items(object, "/status/loadBalancer/ingress").iter();
    let name = |point| match text(point, "/ip") {
        "" => text(point, "/hostname"),
        address => address,
    };
    let mut all: Vec<&str> = points.map(name).filter(|name| !name.is_empty()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// The time from `time` (RFC 3339) to `now` for people; [`UNKNOWN`] where there is none.
#[must_use]
pub fn age(time: &str, now: Timestamp) -> String {
    match time.parse::<Timestamp>() {
        Ok(then) => human_duration(now.duration_since(then).as_millis() as i64),
        Err(_) => UNKNOWN.to_owned(),
    }
}

/// A duration in two units at most, as kubectl prints ages. Two seconds into the future count as clock skew.
#[must_use]
pub fn human_duration(millis: i64) -> String {
    let seconds = millis / 1000;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 24 * 8 => two(days, "d", hours % 24, "h"),
        _ if hours < 24 * 365 * 2 => format!("{days}d"),
        _ if hours < 24 * 365 * 8 => two(years, "y", days % 365, "d"),
        _ => format!("{years}y"),
    }
}

fn two(major: i64, major_unit: &str, minor: i64, minor_unit: &str) -> String {
    match minor {
        0 => format!("{major}{major_unit}"),
        _ => format!("{major}{major_unit}{minor}{minor_unit}"),
    }
}
