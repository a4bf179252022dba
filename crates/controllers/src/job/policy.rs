//! Which rule of a Job's policies holds: of failure for a pod, of success for its indexes. Main functions: [`matched`],
//! [`met`]. Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy>,
//! <https://kubernetes.io/docs/concepts/workloads/controllers/job/#success-policy>.

use api::{
    kinds::{
        job::indexes::Indexes,
        read::{items, text},
    },
    meta,
};
use serde_json::Value;

/// A rule that a failed pod falls under.
pub(super) struct Matched {
    /// What it asks for.
    pub(super) action: String,
    /// Why, where the Job fails for it.
    pub(super) message: String,
}

/// The first rule of the failure policy that a pod falls under.
pub(super) fn matched(job: &Value, pod: &Value) -> Option<Matched> {
    let rules = items(job, "/spec/podFailurePolicy/rules").iter().enumerate();
    rules.filter_map(|(index, rule)| matched_by(index, rule, pod)).next()
}

fn matched_by(index: usize, rule: &Value, pod: &Value) -> Option<Matched> {
    let action = text(rule, "/action");
    let place = format!("{}/{}", meta::namespace(pod), meta::name(pod));
    let why = match rule.get("onExitCodes").filter(|codes| codes.is_object()) {
        Some(wanted) => {
            let (container, code) = exit(pod, wanted)?;
            format!("Container {container} for pod {place} failed with exit code {code}")
        }
        None => format!("Pod {place} has condition {}", condition(pod, items(rule, "/onPodConditions"))?),
    };
    Some(Matched { action: action.to_owned(), message: format!("{why} matching {action} rule at index {index}") })
}

/// The first container that ended with such a code, and the code; 0 is no failure.
fn exit<'a>(pod: &'a Value, wanted: &Value) -> Option<(&'a str, i64)> {
    let name = wanted.get("containerName").and_then(Value::as_str);
    let values = items(wanted, "/values");
    let fits =
        |code: i64| values.iter().any(|value| value.as_i64() == Some(code)) == (text(wanted, "/operator") == "In");
    let ended =
        |status: &'a Value| Some((text(status, "/name"), status.pointer("/state/terminated/exitCode")?.as_i64()?));
    let lists = ["/status/containerStatuses", "/status/initContainerStatuses"];
    let all = lists.into_iter().flat_map(|list| items(pod, list)).filter_map(ended);
    all.filter(|(container, _)| name.is_none_or(|name| name == *container)).find(|(_, code)| *code != 0 && fits(*code))
}

/// The first condition that is as one of the patterns.
fn condition<'a>(pod: &'a Value, patterns: &[Value]) -> Option<&'a str> {
    let alike = |one: &Value, other: &Value| ["/type", "/status"].iter().all(|at| text(one, at) == text(other, at));
    let found = items(pod, "/status/conditions").iter().find(|one| patterns.iter().any(|other| alike(one, other)))?;
    Some(text(found, "/type"))
}

/// Why the success policy is met, if it is.
pub(super) fn met(job: &Value, done: &Indexes, completions: i64) -> Option<String> {
    let rules = items(job, "/spec/successPolicy/rules").iter();
    let holds = |rule: &Value| {
        let wanted = rule.get("succeededCount").and_then(Value::as_i64);
        match rule.get("succeededIndexes").and_then(Value::as_str).map(|text| Indexes::read(text, completions)) {
            Some(among) if among.is_empty() => false,
            Some(among) => done.common(&among) >= wanted.unwrap_or_else(|| among.total()),
            None => wanted.is_some_and(|wanted| done.total() >= wanted),
        }
    };
    if done.is_empty() {
        return None;
    }
    let index = rules.map(holds).position(|holds| holds)?;
    Some(format!("Matched rules at index {index}"))
}
