//! Quality of service, and from requests and limits to cgroups. Main functions: [`qos`], [`bounds`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/>. Leaves out: huge pages.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use api::quantity::Quantity;
use serde_json::Value;

use crate::{
    model::{Container, Pod, Resources as Wanted},
    spec::Resources,
};

/// CPU time is bounded per so many microseconds; upstream's default.
const CPU_PERIOD: u64 = 100_000;

/// The kernel takes no shorter bound of CPU time, in microseconds.
const CPU_QUOTA_MIN: i64 = 1_000;

/// The kernel's range of shares.
const CPU_SHARES: (i64, i64) = (2, 262_144);

/// Who is killed first when the host is out of memory: upstream's numbers.
const OOM_GUARANTEED: i64 = -997;
const OOM_BEST_EFFORT: i64 = 1_000;

/// `qosClass`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qos {
    /// Limits for CPU and memory everywhere, equal to the requests.
    Guaranteed,
    /// Some request or limit.
    Burstable,
    /// None.
    BestEffort,
}

impl Qos {
    /// As in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }
}

/// A quantity of a list; `None` if absent or malformed.
#[must_use]
pub fn quantity(list: &BTreeMap<String, Value>, resource: &str) -> Option<Quantity> {
    Quantity::from_json(list.get(resource)?).ok()
}

fn positive(list: &BTreeMap<String, Value>, resource: &str) -> Option<Quantity> {
    quantity(list, resource).filter(|quantity| quantity.nanos() > 0)
}

/// A pod's quality of service.
#[must_use]
pub fn qos(pod: &Pod) -> Qos {
    let whole = pod.spec.resources.iter().filter(|one| !one.limits.is_empty() || !one.requests.is_empty());
    let mut all: Vec<&Wanted> = whole.collect();
    if all.is_empty() {
        all = pod.spec.init_containers.iter().chain(&pod.spec.containers).map(|one| &one.resources).collect();
    }
    let some = |one: &&Wanted| {
        let given =
            |list: &BTreeMap<String, Value>| ["cpu", "memory"].iter().any(|name| positive(list, name).is_some());
        given(&one.requests) || given(&one.limits)
    };
    if !all.iter().any(some) {
        return Qos::BestEffort;
    }
    let fixed = |one: &Wanted| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = positive(&one.limits, name);
            // A request that is absent is the limit: the API server has defaulted it.
            limit.is_some() && positive(&one.requests, name).is_none_or(|request| Some(request) == limit)
        })
    };
    if all.iter().all(|one| fixed(one)) { Qos::Guaranteed } else { Qos::Burstable }
}

/// The cgroup of a pod: `<root>/pod<uid>`, below `burstable` or `besteffort` for those.
#[must_use]
pub fn cgroup_parent(root: &Path, pod: &Pod) -> PathBuf {
    let leaf = format!("pod{}", pod.metadata.uid);
    match qos(pod) {
        Qos::Guaranteed => root.join(leaf),
        Qos::Burstable => root.join("burstable").join(leaf),
        Qos::BestEffort => root.join("besteffort").join(leaf),
    }
}

/// Bounds of a container.
#[must_use]
pub fn bounds(pod: &Pod, container: &Container, memory_capacity: i64, pids_max: Option<i64>) -> Resources {
    let Wanted { limits, requests } = &container.resources;
    let milli = |list, name| positive(list, name).map(|quantity| quantity.milli_value());
    let limit = milli(limits, "cpu");
    let whole = pod.spec.resources.as_ref();
    let pod_limit = |name| whole.and_then(|whole| positive(&whole.limits, name));
    let quota_of = limit.or_else(|| pod_limit("cpu").map(|cpu| cpu.milli_value()));
    let memory = positive(limits, "memory").or_else(|| pod_limit("memory")).map(|memory| memory.value());
    Resources {
        cpu_shares: Some(shares(milli(requests, "cpu").or(limit).unwrap_or_default())),
        cpu_quota: quota_of.map(|milli| (milli.saturating_mul(CPU_PERIOD as i64) / 1_000).max(CPU_QUOTA_MIN)),
        cpu_period: quota_of.map(|_| CPU_PERIOD),
        memory_bytes_max: memory,
        pids_max,
        oom_score_adj: Some(oom_score_adj(pod, container, memory_capacity)),
    }
}

fn shares(milli: i64) -> u64 {
    let (least, most) = CPU_SHARES;
    (milli.saturating_mul(1_024) / 1_000).clamp(least, most).unsigned_abs()
}

/// Burstable containers that ask for much of the memory are killed last among their like.
fn oom_score_adj(pod: &Pod, container: &Container, memory_capacity: i64) -> i32 {
    let score = match qos(pod) {
        Qos::Guaranteed => OOM_GUARANTEED,
        Qos::BestEffort => OOM_BEST_EFFORT,
        Qos::Burstable => {
            let score = |container: &Container| burstable(container, memory_capacity);
            let own = score(container);
            // A sidecar outlives the main container that would be killed last.
            let sidecar = pod.spec.init_containers.iter().any(|one| one.name == container.name && one.is_sidecar());
            let mains = pod.spec.containers.iter().map(score);
            if sidecar { mains.fold(own, i64::min) } else { own }
        }
    };
    i32::try_from(score).unwrap_or_default()
}

fn burstable(container: &Container, memory_capacity: i64) -> i64 {
    let request = positive(&container.resources.requests, "memory").map_or(0, |memory| memory.value());
    let share = i128::from(request) * 1_000 / i128::from(memory_capacity.max(1));
    let score = 1_000 - i64::try_from(share).unwrap_or(1_000);
    // Better off than best effort, worse off than guaranteed.
    score.clamp(1_000 + OOM_GUARANTEED, OOM_BEST_EFFORT - 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(resources: &[Value]) -> Pod {
        let containers =
            resources.iter().enumerate().map(|(at, one)| json!({"name": format!("c{at}"), "resources": one}));
        Pod::read(&json!({"metadata": {"uid": "u"}, "spec": {"containers": containers.collect::<Vec<_>>()}})).unwrap()
    }

    #[test]
    fn quality_follows_from_requests_and_limits() {
        let check = |resources: &[Value], expect: Qos, parent: &str| {
            let pod = pod(resources);
            assert_eq!(qos(&pod), expect, "{resources:?}");
            assert_eq!(cgroup_parent(Path::new("/r"), &pod), Path::new(parent));
        };
        let full = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}});
        check(&[json!({})], Qos::BestEffort, "/r/besteffort/podu");
        check(&[json!({"requests": {"cpu": "0"}})], Qos::BestEffort, "/r/besteffort/podu");
        check(&[json!({"requests": {"example.com/gpu": "1"}})], Qos::BestEffort, "/r/besteffort/podu");
        check(std::slice::from_ref(&full), Qos::Guaranteed, "/r/podu");
        check(&[json!({"limits": {"cpu": "1", "memory": "1Gi"}})], Qos::Guaranteed, "/r/podu");
        check(&[full.clone(), json!({})], Qos::Burstable, "/r/burstable/podu");
        check(&[json!({"limits": {"memory": "1Gi"}})], Qos::Burstable, "/r/burstable/podu");
        check(
            &[json!({"limits": {"cpu": 1, "memory": "1Gi"}, "requests": {"cpu": "500m"}})],
            Qos::Burstable,
            "/r/burstable/podu",
        );
    }

    #[test]
    fn bounds_are_those_of_upstream() {
        let check = |resources: Value, shares: u64, quota: Option<i64>, memory: Option<i64>, oom: i32| {
            let pod = pod(&[resources]);
            let found = bounds(&pod, &pod.spec.containers[0], 8 << 30, Some(100));
            let period = quota.map(|_| 100_000);
            assert_eq!((found.cpu_shares, found.cpu_quota, found.cpu_period), (Some(shares), quota, period));
            assert_eq!((found.memory_bytes_max, found.oom_score_adj), (memory, Some(oom)));
        };
        check(json!({}), 2, None, None, 1_000);
        check(json!({"requests": {"cpu": "250m"}}), 256, None, None, 999);
        check(json!({"limits": {"cpu": "1.5"}}), 1_536, Some(150_000), None, 999);
        check(json!({"limits": {"cpu": "1m"}}), 2, Some(1_000), None, 999);
        check(json!({"requests": {"memory": "2Gi"}}), 2, None, None, 750);
        check(json!({"requests": {"memory": "8Gi"}}), 2, None, None, 3);
        check(json!({"limits": {"cpu": "1", "memory": "64Mi"}}), 1_024, Some(100_000), Some(64 << 20), -997);
    }
}
