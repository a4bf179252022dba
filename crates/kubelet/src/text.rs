//! Small texts that several parts write the same way: Go's durations, a pod's full name, `$(NAME)` expansion, a fingerprint.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::model::Pod;

/// `name_namespace(uid)`, as upstream's messages name a pod.
#[must_use]
pub fn pod_name(pod: &Pod) -> String {
    let meta = &pod.metadata;
    format!("{}_{}({})", meta.name, meta.namespace, meta.uid)
}

/// A duration as Go prints it: `10s`, `1m20s`, `229ms`, `1.234s`.
#[must_use]
pub fn go_duration(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    if seconds == 0 {
        return match nanos {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => format!("{}µs", decimal(u64::from(nanos), 1_000)),
            _ => format!("{}ms", decimal(u64::from(nanos), 1_000_000)),
        };
    }
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let rest = decimal(rest * 1_000_000_000 + u64::from(nanos), 1_000_000_000);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// `value / unit`, without zeros at the end.
fn decimal(value: u64, unit: u64) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    let fraction = format!("{rest:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// Time from `from` to `to`; nothing if that is negative.
#[must_use]
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

/// `at` and then so long, or the end of time.
#[must_use]
pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Whole seconds; negative ones are none.
#[must_use]
pub fn seconds(count: i64) -> Duration {
    Duration::from_secs(count.try_into().unwrap_or_default())
}

/// Replaces `$(NAME)` by what `lookup` knows of it; `$$` is a `$`; what is not known stays as it is.
/// Spec: <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>.
pub fn expand<'a>(input: &str, lookup: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut output = String::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.find('$') {
        output.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            output.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match lookup(name) {
                Some(value) => output.push_str(value),
                None => output.extend(["$(", name, ")"]),
            }
            rest = after;
        } else {
            output.push('$');
        }
    }
    output.push_str(rest);
    output
}

/// FNV-1a, 64 bits: tells whether something changed; protects nothing.
#[must_use]
pub fn fingerprint(parts: &[&[u8]]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        // Lengths keep parts apart.
        for byte in (part.len() as u64).to_be_bytes().iter().chain(*part) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_go_prints_them() {
        let check = |duration: Duration, expect: &str| assert_eq!(go_duration(duration), expect);
        check(Duration::ZERO, "0s");
        check(Duration::from_secs(10), "10s");
        check(Duration::from_secs(160), "2m40s");
        check(Duration::from_secs(300), "5m0s");
        check(Duration::from_secs(3_661), "1h1m1s");
        check(Duration::from_millis(229), "229ms");
        check(Duration::from_micros(1_500), "1.5ms");
        check(Duration::from_millis(1_234), "1.234s");
        check(Duration::from_millis(61_050), "1m1.05s");
        check(Duration::from_nanos(1_500), "1.5µs");
    }

    #[test]
    fn variables_are_replaced_and_escapes_kept() {
        let check = |input: &str, expect: &str| {
            let known = |name: &str| (name == "A").then_some("1");
            assert_eq!(expand(input, known), expect, "{input}");
        };
        check("$(A) $(A)x", "1 1x");
        check("$$(A)", "$(A)");
        check("$$$(A)", "$1");
        check("$(B)", "$(B)");
        check("$(A", "$(A");
        check("$A $", "$A $");
        check("$$", "$");
        check("a$(", "a$(");
        check("$($(A))", "$($(A))");
    }
}
