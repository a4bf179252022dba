//! Between the kubelet's plain data and the runtime's: field by field, nothing decided.

use ::kubelet::{observed, spec};
use runtime::{
    ContainerId, ContainerSpec, ContainerState, Mount, Namespaces, PodRef, Propagation, Resources, SandboxId,
    SandboxSpec, Seccomp, Security, User,
};

/// As a plan sees it.
pub fn sandbox(sandbox: runtime::Sandbox) -> observed::Sandbox {
    observed::Sandbox {
        id: sandbox.id.to_string(),
        attempt: sandbox.attempt,
        ready: sandbox.ready,
        created_at: sandbox.created_at,
        labels: sandbox.labels,
    }
}

/// As a plan sees it.
pub fn container(container: runtime::Container) -> observed::Container {
    let state = match container.state {
        ContainerState::Created => observed::ContainerState::Created,
        ContainerState::Running { started_at, .. } => observed::ContainerState::Running { started_at },
        ContainerState::Exited(exit) => observed::ContainerState::Exited(observed::Exit {
            code: exit.code,
            oom_killed: exit.oom_killed,
            started_at: exit.started_at,
            finished_at: exit.finished_at,
            message: exit.message.map(|message| start_error(&message)),
        }),
    };
    observed::Container {
        id: container.id.to_string(),
        sandbox: container.sandbox.to_string(),
        name: container.name,
        attempt: container.attempt,
        image: container.image,
        image_digest: container.image_digest,
        created_at: container.created_at,
        state,
        labels: container.labels,
    }
}

/// Why a container did not start, in the words of upstream's runtimes.
pub fn start_error(message: &str) -> String {
    match message.starts_with("failed to create shim task") {
        true => format!("failed to create containerd task: {message}"),
        false => message.to_owned(),
    }
}

/// As a plan sees it.
pub fn image(image: runtime::Image) -> observed::Image {
    observed::Image {
        reference: image.reference,
        digest: image.digest,
        size: image.size,
        user: image.config.user,
        withheld: false,
    }
}

/// As the runtime wants it.
pub fn sandbox_spec(spec: &spec::SandboxSpec) -> SandboxSpec {
    SandboxSpec {
        pod: pod_ref(&spec.pod),
        attempt: spec.attempt,
        hostname: spec.hostname.clone(),
        namespaces: Namespaces {
            network: spec.network.clone(),
            host_ipc: spec.host_ipc,
            host_pid: spec.host_pid,
            shared_pid: spec.shared_pid,
        },
        sysctls: spec.sysctls.clone(),
        cgroup_parent: spec.cgroup_parent.clone(),
        labels: spec.labels.clone(),
    }
}

fn pod_ref(pod: &spec::PodRef) -> PodRef {
    PodRef { uid: pod.uid.clone(), namespace: pod.namespace.clone(), name: pod.name.clone() }
}

/// As the runtime wants it.
pub fn container_spec(spec: &spec::ContainerSpec, seccomp: Seccomp) -> ContainerSpec {
    ContainerSpec {
        sandbox: SandboxId::from(spec.sandbox.clone()),
        name: spec.name.clone(),
        attempt: spec.attempt,
        image: spec.image.clone(),
        command: spec.command.clone(),
        args: spec.args.clone(),
        env: spec.env.0.clone(),
        working_dir: spec.working_dir.clone(),
        mounts: spec.mounts.iter().map(mount).collect(),
        resources: resources(&spec.resources),
        security: security(&spec.security, seccomp),
        beside: spec.beside.clone().map(ContainerId::from),
        tty: spec.tty,
        stdin: spec.stdin,
        stdin_once: spec.stdin_once,
        log_path: Some(spec.log_path.clone()),
        labels: spec.labels.clone(),
    }
}

fn mount(mount: &spec::Mount) -> Mount {
    Mount {
        source: mount.source.clone(),
        target: mount.target.clone(),
        read_only: mount.read_only,
        propagation: match mount.propagation {
            spec::Propagation::Private => Propagation::Private,
            spec::Propagation::FromHost => Propagation::FromHost,
            spec::Propagation::Both => Propagation::Both,
        },
    }
}

fn resources(resources: &spec::Resources) -> Resources {
    Resources {
        cpu_shares: resources.cpu_shares,
        cpu_quota: resources.cpu_quota,
        cpu_period: resources.cpu_period,
        memory_bytes_max: resources.memory_bytes_max,
        pids_max: resources.pids_max,
        oom_score_adj: resources.oom_score_adj,
    }
}

fn security(security: &spec::Security, seccomp: Seccomp) -> Security {
    Security {
        user: security.user.map(|user| User { uid: user.uid, gid: user.gid }),
        groups: security.groups.clone(),
        add_capabilities: security.add_capabilities.clone(),
        drop_capabilities: security.drop_capabilities.clone(),
        privileged: security.privileged,
        read_only_root: security.read_only_root,
        no_new_privileges: security.no_new_privileges,
        rlimits: Vec::new(),
        strict_groups: security.strict_groups,
        seccomp,
        app_armor: security.app_armor.clone(),
    }
}
