//! What a PodDisruptionBudget says to the eviction of a pod. Main type: [`Budget`]. Spec:
//! <https://kubernetes.io/docs/tasks/run-application/configure-pdb/>. What is allowed is worked out by
//! `controllers::disruption`; here it is only spent.

use std::sync::Arc;

use api::{
    kinds::{
        pod_disruption_budget::{POD_DISRUPTION_BUDGET as KIND, SYNC_FAILED, condition, selects, set_allowed},
        read::{items, text},
        workload::count,
    },
    meta,
    status::{Cause, GroupResource, Status},
};
use jiff::Timestamp;
use serde_json::Value;
use store::{Op, Record, View};

use crate::{object, status::ApiError};

/// Evictions that a budget's controller may not have seen yet. More than that, and it is in trouble.
const MAX_DISRUPTED_PODS: usize = 2000;

/// Seconds after which a client may ask a budget again that is behind.
const RETRY_SECONDS: u32 = 10;

const VIOLATION: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// The one budget of a pod.
pub(super) struct Budget {
    /// As it is stored.
    pub(super) record: Arc<Record>,
    value: Value,
}

/// What an eviction takes from a budget.
pub(super) enum Verdict {
    /// Nothing: the pod counts for nothing.
    Free,
    /// One disruption; this is the budget afterwards.
    Takes(Value),
}

impl Budget {
    /// The budget that protects a pod, if one does.
    ///
    /// # Errors
    /// 500 where several do.
    pub(super) fn of(view: &View, pod: &Value) -> Result<Option<Self>, ApiError> {
        let prefix = object::prefix(&KIND, meta::namespace(pod));
        let all =
            view.range(&prefix, None).map(|record| Self { record: Arc::clone(record), value: object::decode(record) });
        let mut fitting = all.filter(|budget| selects(&budget.value, pod));
        match (fitting.next(), fitting.next()) {
            (Some(_), Some(_)) => Err(several()),
            (only, _) => Ok(only),
        }
    }

    pub(super) fn name(&self) -> &str {
        meta::name(&self.value)
    }

    /// Whether it lets a running pod go.
    ///
    /// # Errors
    /// 429 where not now, 403 where it makes no sense.
    pub(super) fn verdict(&self, pod: &Value, now: Timestamp) -> Result<Verdict, ApiError> {
        if !is_ready(pod) && self.spares_unready() {
            return Ok(Verdict::Free);
        }
        self.check()?;
        let mut changed = self.value.clone();
        changed["status"]["disruptionsAllowed"] = (self.count("disruptionsAllowed") - 1).into();
        if self.count("disruptionsAllowed") == 1 {
            set_allowed(&mut changed, now);
        }
        changed["status"]["disruptedPods"][meta::name(pod)] = meta::time(now).into();
        Ok(Verdict::Takes(changed))
    }

    fn count(&self, field: &str) -> i64 {
        count(&self.value, &format!("/status/{field}"))
    }

    /// Whether a pod that is not ready may go without being counted.
    fn spares_unready(&self) -> bool {
        let (current, desired) = (self.count("currentHealthy"), self.count("desiredHealthy"));
        let always = text(&self.value, "/spec/unhealthyPodEvictionPolicy") == "AlwaysAllow";
        always || (current >= desired && desired > 0)
    }

    fn check(&self) -> Result<(), ApiError> {
        if self.count("observedGeneration") < meta::generation(&self.value) {
            return Err(busy(self.name()));
        }
        let disrupted = self.value.pointer("/status/disruptedPods").and_then(Value::as_object);
        match self.count("disruptionsAllowed") {
            ..0 => Err(self.forbidden("pdb disruptions allowed is negative")),
            _ if disrupted.is_some_and(|pods| pods.len() > MAX_DISRUPTED_PODS) => {
                Err(self.forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller"))
            }
            0 => Err(violation(0, self.refusal())),
            _ => Ok(()),
        }
    }

    fn refusal(&self) -> String {
        let (name, current, desired) = (self.name(), self.count("currentHealthy"), self.count("desiredHealthy"));
        let said = |one: &&Value| text(one, "/status") == "False" && !text(one, "/message").is_empty();
        let told = condition(&self.value).filter(said).map(|one| (text(one, "/reason"), text(one, "/message")));
        match told {
            Some((SYNC_FAILED, why)) => format!(
                "The disruption budget {name} does not allow evicting pods currently because it failed sync: {why}"
            ),
            _ if current <= desired => {
                format!("The disruption budget {name} needs {desired} healthy pods and has {current} currently")
            }
            Some((reason, why)) => {
                format!("The disruption budget {name} does not allow evicting pods currently ({reason}): {why}")
            }
            None => format!("The disruption budget {name} does not allow evicting pods currently"),
        }
    }

    fn forbidden(&self, why: &str) -> ApiError {
        Status::forbidden(GroupResource::new("policy", "poddisruptionbudget"), self.name(), why).into()
    }
}

/// The write of a changed budget.
pub(super) fn put(record: &Record, changed: &Value) -> Op {
    object::put(&KIND, Arc::clone(&record.key), changed)
}

/// 429: the budget of this name is not up to date, or too many want something of it.
pub(super) fn busy(name: &str) -> ApiError {
    violation(RETRY_SECONDS, format!("The disruption budget {name} is still being processed by the server."))
}

fn violation(retry_seconds: u32, why: String) -> ApiError {
    let mut status = Status::too_many_requests(VIOLATION, retry_seconds);
    let cause = Cause { reason: "DisruptionBudget".into(), message: why, field: String::new() };
    status.details.get_or_insert_default().causes.push(cause);
    status.into()
}

fn several() -> ApiError {
    let why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    Status::failure(500, "", why, None).into()
}

fn is_ready(pod: &Value) -> bool {
    let ready = items(pod, "/status/conditions").iter().find(|one| text(one, "/type") == "Ready");
    ready.is_some_and(|ready| text(ready, "/status") == "True")
}
