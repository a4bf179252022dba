//! Bringing a pod to run: volumes, network, sandbox, init containers in order, then the others. Main function: [`advance`].
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/init-containers/> and `sidecar-containers` beside it.

use std::time::Duration;

use super::{
    launch::{launch, pod_ips},
    run::Run,
    view::{Now, View},
};
use crate::{
    env::Sources,
    event::PodEvent,
    model::Kind,
    observed::{ContainerState, Sandbox, Volumes},
    resources,
    spec::{PodRef, SandboxSpec},
    step::{LaneKey, Step},
    volume::{self, Source, VolumeError, VolumeSet},
};

/// The longest time until a missing object of a volume is told of again; upstream's number.
const MISSING_MAX: Duration = Duration::from_secs(122);

/// The next steps of a pod that is to run.
pub(super) fn advance(run: &mut Run<'_>) {
    let sandbox = run.sandbox().filter(|sandbox| sandbox.ready);
    let attached = run.input.pod.spec.host_network || run.input.observed.network.is_some();
    match sandbox.filter(|_| attached) {
        Some(sandbox) => {
            refresh(run);
            containers(run, sandbox);
        }
        None => prepare(run),
    }
}

/// What the pod's volumes are to be now; tells of what is missing.
fn volumes(run: &mut Run<'_>) -> Option<VolumeSet> {
    let (input, ips) = (run.input, pod_ips(run));
    let sources = Sources { pod: input.pod, pod_ips: &ips, references: input.references, node: input.node };
    match volume::plan(&sources, input.observed, input.now) {
        Ok((set, refresh)) => {
            run.succeeded("missing");
            if let Some(at) = refresh {
                run.wake(at.max(crate::text::later(input.now, Duration::from_secs(1))));
            }
            Some(set)
        }
        Err((_, VolumeError::Waiting(_))) => None,
        Err((name, VolumeError::Failed(why))) => {
            // Only telling of it waits: what is missing is used as soon as it is there.
            if !run.must_wait("missing") {
                let message = format!("MountVolume.SetUp failed for volume {} : {why}", api::gotext::quote(&name));
                run.event(PodEvent::of_pod(true, "FailedMount", message.clone()));
                run.failed_for("missing", &message, MISSING_MAX);
                run.must_wait("missing");
            }
            None
        }
    }
}

fn stale(run: &Run<'_>, set: &VolumeSet) -> bool {
    run.input.observed.volumes != Volumes::Ready { fingerprint: set.fingerprint }
}

/// Keeps the files of volumes as the objects are.
fn refresh(run: &mut Run<'_>) {
    let Some(mut set) = volumes(run).filter(|set| stale(run, set)) else { return };
    // Folders of a pod that runs are as they were made.
    if !set.volumes.iter().any(|one| matches!(one.source, Source::Files { .. })) {
        return;
    }
    set.volumes.retain(|one| matches!(one.source, Source::Files { .. }));
    if !run.must_wait("volumes") {
        run.lane(LaneKey::Refresh, vec![Step::PrepareVolumes(set)]);
    }
}

/// Volumes, network, then the sandbox.
fn prepare(run: &mut Run<'_>) {
    if run.in_flight(&LaneKey::Pod) {
        return;
    }
    let Some(set) = volumes(run) else { return };
    if run.must_wait("volumes") || run.must_wait("sandbox") {
        return;
    }
    let mut steps = Vec::new();
    let old = run.sandbox();
    steps.extend(old.filter(|old| old.ready || has_life(run, old)).map(|old| Step::StopSandbox { id: old.id.clone() }));
    if stale(run, &set) {
        steps.push(Step::PrepareVolumes(set));
    }
    let network = run.input.observed.network.as_ref().map(|network| network.namespace.clone());
    if network.is_none() && !run.input.pod.spec.host_network {
        // Its address and place are known to the next plan only.
        steps.push(Step::AttachNetwork);
    } else {
        steps.push(Step::RunSandbox(sandbox_spec(run, run.history.sandboxes, network)));
    }
    run.lane(LaneKey::Pod, steps);
}

fn has_life(run: &Run<'_>, sandbox: &Sandbox) -> bool {
    let alive = |state: &ContainerState| !matches!(state, ContainerState::Exited(_));
    run.input.observed.containers.iter().any(|one| one.sandbox == sandbox.id && alive(&one.state))
}

fn sandbox_spec(run: &Run<'_>, attempt: u32, network: Option<std::path::PathBuf>) -> SandboxSpec {
    let (pod, node) = (run.input.pod, run.input.node);
    let meta = &pod.metadata;
    SandboxSpec {
        pod: PodRef { uid: meta.uid.clone(), namespace: meta.namespace.clone(), name: meta.name.clone() },
        attempt,
        hostname: volume::hostname(pod, node).0,
        network: network.filter(|_| !pod.spec.host_network),
        host_ipc: pod.spec.host_ipc,
        host_pid: pod.spec.host_pid,
        shared_pid: pod.spec.share_process_namespace,
        own_users: pod.spec.host_users == Some(false),
        sysctls: pod.spec.security_context.sysctls.iter().map(|one| (one.name.clone(), one.value.clone())).collect(),
        cgroup_parent: resources::cgroup_parent(&node.cgroup_root, pod),
        labels: Default::default(),
    }
}

fn containers(run: &mut Run<'_>, sandbox: &Sandbox) {
    let views = run.views();
    for view in views.iter().filter(|view| view.kind == Kind::Ephemeral) {
        if matches!(view.now, Now::Absent | Now::Created) {
            launch(run, view, sandbox);
        }
    }
    if !is_initialized(run, &views, sandbox) {
        if !initialize(run, &views, sandbox) {
            return;
        }
        run.history.initialized = Some(sandbox.attempt);
    }
    for view in views.iter().filter(|view| view.kind == Kind::Main || view.is_sidecar()) {
        if is_wanted(run, view, sandbox) {
            launch(run, view, sandbox);
        }
    }
}

fn is_initialized(run: &Run<'_>, views: &[View<'_>], sandbox: &Sandbox) -> bool {
    let main = views.iter().any(|view| view.kind == Kind::Main && view.is_in(sandbox));
    main || run.history.initialized == Some(sandbox.attempt)
}

/// Whether a container that does not run is to be started.
fn is_wanted(run: &Run<'_>, view: &View<'_>, sandbox: &Sandbox) -> bool {
    match (view.now, view.ended()) {
        (Now::Absent, _) => true,
        (Now::Created, _) => true,
        (Now::Running(_) | Now::Reading(_), _) => false,
        // One of an earlier sandbox that had ended well stays so.
        (_, Some(code)) => view.restarts(run.input.pod, code) || (view.is_sidecar() && !view.is_in(sandbox)),
        (_, None) => false,
    }
}

/// Runs init containers in order; says whether all are through.
fn initialize(run: &mut Run<'_>, views: &[View<'_>], sandbox: &Sandbox) -> bool {
    for view in views.iter().filter(|view| view.kind == Kind::Init) {
        let runs = matches!(view.now, Now::Running(_) | Now::Reading(_)) && view.is_in(sandbox);
        let done = if view.is_sidecar() {
            runs && view.started(&run.input, &run.history)
        } else {
            view.is_in(sandbox) && view.ended() == Some(0)
        };
        if done {
            continue;
        }
        // One that failed is started again only if its policy says so; one of an earlier sandbox has to run here, too.
        let refused = view.is_in(sandbox) && view.ended().is_some_and(|code| !view.restarts(run.input.pod, code));
        if !runs && !refused {
            launch(run, view, sandbox);
        }
        return false;
    }
    true
}
