//! Pods on real nodes: what containers see, how they end, and what people see of it through any node.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/pods/>.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{Row, Sandbox, Steps, becomes, eventually, refuses, row, with};

const WHOLE: &str = include_str!("pods/whole.yaml");
const CONFINED: &str = include_str!("pods/confined.yaml");
const SICK: &str = include_str!("pods/sick.yaml");

/// How long a pod may take to get somewhere on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the containers of `whole` see.
const SEEN: &[Row] = &[
    with("apply -n NS -f -", WHOLE, &["pod/whole created"]),
    row("wait -n NS --for=condition=Ready pod/whole --timeout=90s", &["condition met"]),
    row("get -n NS pod whole", &["2/2", "Running"]),
    row("logs -n NS whole -c main", &["started in /tmp with green"]),
    row("exec -n NS whole -c main -- cat /shared/order", &["one\ntwo\n"]),
    row("exec -n NS whole -c side -- cat /shared/order", &["one\ntwo\n"]),
    row(
        "exec -n NS whole -c main -- env",
        &[
            "COLOUR=green",
            "PASSWORD=open sesame",
            "POD_NAME=whole",
            "POD_IP=10.42.",
            "NODE=node-",
            "MEMORY=64",
            "TWICE=green-whole-$(COLOUR)",
            "S_colour=green",
            "KUBERNETES_SERVICE_HOST=10.43.0.1",
            "HOSTNAME=whole",
            "!MISSING",
        ],
    ),
    row("exec -n NS whole -c main -- cat /etc/settings/app.conf /etc/one.conf", &["a=1\na=1\n"]),
    row("exec -n NS whole -c main -- stat -L -c '%a %F' /etc/keys/password", &["400 regular file"]),
    row("exec -n NS whole -c main -- cat /etc/about/labels /etc/about/cpu", &["app=\"whole\"", "part=\"1\"", "500"]),
    row(
        "exec -n NS whole -c main -- cat /etc/all/colours/first /etc/all/password /etc/all/name /etc/all/token",
        &["green", "open sesame", "whole", "eyJ"],
    ),
    row("exec -n NS whole -c main -- ls /host/hostname", &["/host/hostname"]),
    row(
        "exec -n NS whole -c main -- ls /var/run/secrets/kubernetes.io/serviceaccount",
        &["ca.crt", "namespace", "token"],
    ),
    row(
        "exec -n NS whole -c main -- cat /etc/resolv.conf",
        &["nameserver 10.43.0.10", "NS.svc.cluster.local", "ndots:5"],
    ),
    row("exec -n NS whole -c main -- cat /etc/hosts", &["127.0.0.1", "whole"]),
    row("patch -n NS configmap settings -p '{\"data\":{\"colour\":\"blue\"}}'", &["patched"]),
    becomes("exec -n NS whole -c main -- cat /etc/settings/colour", &["blue"]),
    row("get -n NS events", &["Scheduled", "Pulled", "Created", "Started"]),
    row("describe -n NS pod whole", &["Successfully assigned NS/whole to node-", "Container started"]),
];

/// What `kubectl` does with streams.
const STREAMS: &[Row] = &[
    row("logs -n NS whole --all-containers --prefix", &["[pod/whole/main]"]),
    row("logs -n NS whole", &["started in"]),
    row("logs -n NS -l app=whole -c main --tail=1", &["started in"]),
    row("exec -n NS -i whole -c main -- sh -c 'exit 0'", &[]),
    refuses("exec -n NS whole -c main -- sh -c 'exit 7'", "", &["exit code 7"]),
    refuses("exec -n NS whole -c none -- true", "", &["container none is not valid for pod whole"]),
    refuses("logs -n NS whole -c none", "", &["container none is not valid for pod whole"]),
    with("exec -n NS -i whole -c main -- cat", "through and back", &["through and back"]),
];

/// A profile of the node's own, and where it is below the node's folder.
const PROFILE: &str =
    r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}"#;
const PROFILES: &str = "data/seccomp/profiles";

/// What containers may and may not do. Mode 2 is a filter, see `proc(5)`.
const KEPT_IN: &[Row] = &[
    with("apply -n NS -f -", CONFINED, &["pod/confined created"]),
    row("wait -n NS --for=condition=Ready pod/confined --timeout=90s", &["condition met"]),
    row("exec -n NS confined -c default -- grep Seccomp: /proc/self/status", &["Seccomp:\t2"]),
    row("exec -n NS confined -c default -- mkdir /made", &[]),
    row("exec -n NS confined -c default -- sh -c 'ls /proc/self/ns | xargs; date; id'", &["mnt", "uid=0(root)"]),
    // The kernel would say that there is no such folder.
    refuses("exec -n NS confined -c default -- mount -t tmpfs none /none", "", &["permission denied"]),
    row("exec -n NS confined -c unconfined -- grep Seccomp: /proc/self/status", &["Seccomp:\t0"]),
    refuses("exec -n NS confined -c unconfined -- mount -t tmpfs none /none", "", &["No such file or directory"]),
    row("exec -n NS confined -c local -- grep Seccomp: /proc/self/status", &["Seccomp:\t2"]),
    refuses("exec -n NS confined -c local -- mkdir /made", "", &["Operation not permitted"]),
    refuses("exec -n NS confined -c default -- ls /dev/kmsg", "", &["No such file or directory"]),
    row("exec -n NS confined -c privileged -- grep Seccomp: /proc/self/status", &["Seccomp:\t0"]),
    row("exec -n NS confined -c privileged -- ls /dev/kmsg /dev/loop-control", &["/dev/loop-control"]),
    becomes("get -n NS pod nowhere", &["CreateContainerError"]),
    row("get -n NS events", &["Error: cannot load seccomp profile", "profiles/none.json"]),
    becomes("get -n NS pod unnamed", &["AppArmor"]),
    row("describe -n NS pod unnamed", &["Status:           Failed", "Pod was rejected: Cannot enforce AppArmor: "]),
    becomes("describe -n NS pod users", &["runtime does not support user namespaces"]),
    with("delete -n NS --force -f -", CONFINED, &["pod \"confined\" force deleted"]),
];

/// What is shown of pods that go wrong.
const SHOWN: &[Row] = &[
    with("apply -n NS -f -", SICK, &["pod/loops created"]),
    becomes("get -n NS pod loops", &["CrashLoopBackOff"]),
    row("logs -n NS loops", &["attempt"]),
    becomes("logs -n NS loops --previous", &["attempt"]),
    becomes("describe -n NS pod loops", &["Exit Code:    3", "Back-off restarting failed container c in pod loops"]),
    becomes("get -n NS pod hungry", &["OOMKilled"]),
    row("get -n NS pod hungry -o jsonpath={.status.containerStatuses[0].state.terminated.exitCode}", &["137"]),
    becomes("get -n NS pod imageless", &["ImagePullBackOff"]),
    becomes("describe -n NS pod imageless", &["Failed to pull image \"127.0.0.1:1/none:1\"", "Error: ErrImagePull"]),
    becomes("get -n NS pod neverpulled", &["ErrImageNeverPull"]),
    becomes("get -n NS pod unconfigured", &["CreateContainerConfigError"]),
    becomes("describe -n NS pod unconfigured", &["configmap \"nowhere\" not found"]),
    becomes("get -n NS pod unready", &["0/1", "Running"]),
    becomes("describe -n NS pod unready", &["Readiness probe failed: cat:"]),
    row("exec -n NS unready -- touch /tmp/ready", &[]),
    becomes("get -n NS pod unready", &["1/1"]),
    becomes(
        "describe -n NS pod unwell",
        &["Liveness probe failed: dial tcp", "Container c failed liveness probe, will be restarted"],
    ),
    becomes("describe -n NS pod startless", &["StartError", "/no/such/program", "128"]),
    becomes("get -n NS pod done", &["Completed"]),
    row("get -n NS pod done -o jsonpath={.status.phase}", &["Succeeded"]),
    becomes("get -n NS events", &["0/2 nodes are available: 2 Insufficient cpu"]),
    row("get -n NS pod toobig", &["Pending"]),
];

fn run(rows: &[Row], kubectl: &cluster::Kubectl, namespace: &str) -> Result<()> {
    rows.iter().try_for_each(|row| row.run(kubectl, namespace))
}

#[test]
fn pods_are_what_their_manifests_say_and_every_node_shows_it() {
    let sandbox = Sandbox::start("pods", 2).unwrap();
    let (one, two) = (sandbox.newest("node-1"), sandbox.newest("node-2"));
    let mut steps = Steps::new();
    steps.step("namespaces", || run(&[row("create namespace a", &[]), row("create namespace b", &[])], &one, ""));
    steps.step("both nodes are ready", || {
        run(&[becomes("get nodes", &["node-1", "node-2", "Ready", "!NotReady"])], &one, "")
    });
    steps.step("a pod sees what it was promised", || run(SEEN, &one, "a"));
    for (kubectl, node) in [(&one, "node-1"), (&two, "node-2")] {
        steps.step(&format!("logs and exec through {node}"), || run(STREAMS, kubectl, "a"));
    }
    steps.step("what confines a container is enforced, or its pod does not run", || confined(&sandbox, &two));
    steps.step("what goes wrong is shown as Kubernetes shows it", || run(SHOWN, &two, "b"));
    steps.step("mesh is killed: no container is touched", || survives(&sandbox, &one));
    steps.step("a pod is deleted with grace", || deleted(&one));
    steps.step("nothing is left of deleted pods", || cleaned(&sandbox, &one));
    steps.end();
}

fn confined(sandbox: &Sandbox, kubectl: &cluster::Kubectl) -> Result<()> {
    for node in sandbox.names() {
        let profiles = sandbox.home(&node).join(PROFILES);
        std::fs::create_dir_all(&profiles)?;
        std::fs::write(profiles.join("no-mkdir.json"), PROFILE)?;
    }
    run(KEPT_IN, kubectl, "b")
}

/// Ids and restart counts of all containers of the pod `whole`.
fn containers(kubectl: &cluster::Kubectl) -> Result<BTreeSet<String>> {
    let path = r#"get -n a pod whole -o 'jsonpath={range .status.containerStatuses[*]}{.containerID} {.restartCount}{"\n"}{end}'"#;
    Ok(kubectl.prints(path, "", &["containerd://"])?.lines().map(Into::into).collect())
}

fn survives(sandbox: &Sandbox, kubectl: &cluster::Kubectl) -> Result<()> {
    let before = containers(kubectl)?;
    for node in sandbox.names() {
        sandbox.dev(&format!("kill {node} --only mesh"))?;
    }
    for node in sandbox.names() {
        sandbox.dev(&format!("start {node}"))?;
    }
    row("wait -n a --for=condition=Ready pod/whole --timeout=90s", &["condition met"]).run(kubectl, "")?;
    let after = containers(kubectl)?;
    ensure!(before == after, "containers were {before:?} and are {after:?}");
    row("exec -n a whole -c main -- cat /shared/order", &["one\ntwo\n"]).run(kubectl, "")
}

fn deleted(kubectl: &cluster::Kubectl) -> Result<()> {
    // `sleep` as the first process ignores SIGTERM: the whole grace period passes.
    let began = std::time::Instant::now();
    row("delete -n a pod whole", &["pod \"whole\" deleted"]).run(kubectl, "")?;
    ensure!(began.elapsed() >= Duration::from_secs(4), "gone after {:?}", began.elapsed());
    refuses("get -n a pod whole", "", &["pods \"whole\" not found"]).run(kubectl, "")
}

fn cleaned(sandbox: &Sandbox, kubectl: &cluster::Kubectl) -> Result<()> {
    row("delete -n b pods --all --grace-period=1 --wait=true", &["deleted"]).run(kubectl, "")?;
    for node in sandbox.names() {
        let pods = sandbox.home(&node).join("data/pods");
        eventually("pods' folders are gone", PATIENCE, || {
            let left: Vec<_> =
                std::fs::read_dir(&pods).context("the folder of pods")?.flatten().map(|one| one.path()).collect();
            ensure!(left.is_empty(), "{left:?}");
            Ok(())
        })?;
    }
    Ok(())
}
