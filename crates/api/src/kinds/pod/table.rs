//! What `kubectl get pods` prints. Main type: [`Summary`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/> and kubectl's output.

use jiff::Timestamp;
use serde_json::Value;

use super::super::{
    Column,
    columns::{AGE, NAME, NONE, age},
    read::{is_true, items, text},
};
use crate::meta;

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::text("Ready", "Containers that are ready, of all.", 0, |pod, _| {
        let summary = Summary::of(pod);
        format!("{}/{}", summary.ready, summary.total).into()
    }),
    Column::text("Status", "What it is doing, or why it is not.", 0, |pod, _| Summary::of(pod).reason.into()),
    Column::text(
        "Restarts",
        "Times that containers were started again, and when the last one ended.",
        0,
        |pod, now| Summary::of(pod).restarts(now).into(),
    ),
    AGE,
    Column::text("IP", "First address.", 1, |pod, _| or_none(text(pod, "/status/podIPs/0/ip"))),
    Column::text("Node", "Where it runs.", 1, |pod, _| or_none(text(pod, "/spec/nodeName"))),
    Column::text("Nominated Node", "Where room is being made for it.", 1, |pod, _| {
        or_none(text(pod, "/status/nominatedNodeName"))
    }),
    Column::text("Readiness Gates", "Gates that are open, of all.", 1, |pod, _| gates(pod).into()),
];

fn or_none(value: &str) -> Value {
    if value.is_empty() { NONE } else { value }.into()
}

/// A pod in a line.
#[derive(Debug)]
struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: i64,
    last: Option<Timestamp>,
}

/// Restarts of some containers, and when the last one ended.
#[derive(Clone, Copy, Debug, Default)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, status: &Value) {
        self.count += status.get("restartCount").and_then(Value::as_i64).unwrap_or_default();
        self.last = self.last.max(meta::parse_time(text(status, "/lastState/terminated/finishedAt")));
    }
}

impl Summary {
    fn of(pod: &Value) -> Self {
        let init = items(pod, "/spec/initContainers");
        let sidecars = init.iter().filter(|one| is_sidecar(one)).count();
        let mut summary = Self {
            ready: 0,
            total: items(pod, "/spec/containers").len() + sidecars,
            reason: phase(pod),
            restarts: 0,
            last: None,
        };
        let (all, of_sidecars) = summary.initialize(pod, init);
        let initializing = summary.reason.starts_with("Init:");
        let mut restarts = all;
        if !initializing || condition(pod, "Initialized") {
            restarts = of_sidecars;
            summary.run(pod, &mut restarts);
        }
        (summary.restarts, summary.last) = (restarts.count, restarts.last);
        summary.end(pod);
        summary
    }

    /// Looks at init containers up to the first that has not done its part. Restarts of all of them, and of sidecars alone.
    fn initialize(&mut self, pod: &Value, init: &[Value]) -> (Restarts, Restarts) {
        let (mut all, mut of_sidecars) = (Restarts::default(), Restarts::default());
        for (index, status) in items(pod, "/status/initContainerStatuses").iter().enumerate() {
            let sidecar = init.iter().any(|one| text(one, "/name") == text(status, "/name") && is_sidecar(one));
            all.add(status);
            if sidecar {
                of_sidecars.add(status);
            }
            let ended = status.pointer("/state/terminated");
            if ended.is_some_and(|ended| exit_code(ended) == 0) {
                continue;
            }
            if sidecar && is_true(status, "/started") {
                self.ready += usize::from(is_true(status, "/ready"));
                continue;
            }
            let waits = text(status, "/state/waiting/reason");
            self.reason = match ended {
                Some(ended) => format!("Init:{}", end_reason(ended)),
                None if !waits.is_empty() && waits != "PodInitializing" => format!("Init:{waits}"),
                None => format!("Init:{index}/{}", init.len()),
            };
            break;
        }
        (all, of_sidecars)
    }

    /// Looks at the containers, the last one first: the first one that has something to say wins.
    fn run(&mut self, pod: &Value, restarts: &mut Restarts) {
        let mut running = false;
        for status in items(pod, "/status/containerStatuses").iter().rev() {
            restarts.add(status);
            let waits = text(status, "/state/waiting/reason");
            let ended = status.pointer("/state/terminated");
            match ended {
                _ if !waits.is_empty() => waits.clone_into(&mut self.reason),
                Some(ended) => self.reason = end_reason(ended),
                None if is_true(status, "/ready") && status.pointer("/state/running").is_some() => {
                    running = true;
                    self.ready += 1;
                }
                None => {}
            }
        }
        if running && self.reason == "Completed" {
            self.reason = if condition(pod, "Ready") { "Running" } else { "NotReady" }.to_owned();
        }
    }

    fn end(&mut self, pod: &Value) {
        if !meta::is_being_deleted(pod) {
            return;
        }
        if text(pod, "/status/reason") == "NodeLost" {
            "Unknown".clone_into(&mut self.reason);
        } else if !super::is_terminal(pod) {
            "Terminating".clone_into(&mut self.reason);
        }
    }

    fn restarts(&self, now: Timestamp) -> String {
        match self.last.filter(|_| self.restarts != 0) {
            Some(last) => format!("{} ({} ago)", self.restarts, age(&meta::time(last), now)),
            None => self.restarts.to_string(),
        }
    }
}

/// The phase, unless something says more.
fn phase(pod: &Value) -> String {
    let gated = |one: &&Value| text(one, "/type") == "PodScheduled" && text(one, "/reason") == "SchedulingGated";
    if items(pod, "/status/conditions").iter().any(|one| gated(&one)) {
        return "SchedulingGated".to_owned();
    }
    let reason = text(pod, "/status/reason");
    if reason.is_empty() { text(pod, "/status/phase") } else { reason }.to_owned()
}

fn is_sidecar(container: &Value) -> bool {
    text(container, "/restartPolicy") == "Always"
}

fn exit_code(ended: &Value) -> i64 {
    ended.get("exitCode").and_then(Value::as_i64).unwrap_or_default()
}

fn end_reason(ended: &Value) -> String {
    let signal = ended.get("signal").and_then(Value::as_i64).unwrap_or_default();
    match text(ended, "/reason") {
        "" if signal != 0 => format!("Signal:{signal}"),
        "" => format!("ExitCode:{}", exit_code(ended)),
        reason => reason.to_owned(),
    }
}

fn condition(pod: &Value, r#type: &str) -> bool {
    let is = |one: &Value| text(one, "/type") == r#type && text(one, "/status") == "True";
    items(pod, "/status/conditions").iter().any(is)
}

fn gates(pod: &Value) -> String {
    let gates = items(pod, "/spec/readinessGates");
    let open = gates.iter().filter(|gate| condition(pod, text(gate, "/conditionType"))).count();
    if gates.is_empty() { NONE.to_owned() } else { format!("{open}/{}", gates.len()) }
}
