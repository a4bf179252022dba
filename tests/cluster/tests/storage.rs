//! Claims and volumes as people use them: made by hand, of the class that every cluster has, and for the pods of a set.
//! Spec: <https://kubernetes.io/docs/concepts/storage/persistent-volumes/>,
//! <https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-storage>.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{Kubectl, Row, Sandbox, Steps, becomes, eventually, row, with};

const CLAIMS: &str = include_str!("storage/claims.yaml");

const POD: &str = include_str!("storage/pod.yaml");

const SHARING: &str = include_str!("storage/shared.yaml");

const DB: &str = include_str!("storage/db.yaml");

/// How long what a deletion causes may take on a busy machine.
const GONE: Duration = Duration::from_secs(60);

const BOUND: &[Row] = &[
    row("get sc local -o jsonpath={.provisioner}/{.volumeBindingMode}", &["local.mesh.dev/WaitForFirstConsumer"]),
    with("apply -f -", CLAIMS, &["persistentvolume/disk created", "persistentvolumeclaim/later created"]),
    becomes("get pvc static -o jsonpath={.status.phase}/{.spec.volumeName}", &["Bound/disk"]),
    becomes("get pv disk -o jsonpath={.status.phase}/{.spec.claimRef.name}", &["Bound/static"]),
    becomes("describe pvc later", &["local", "Pending", "waiting for first consumer to be created before binding"]),
];

const USED: &[Row] = &[
    with("apply -f -", POD, &["created"]),
    row("wait --for=condition=Ready pod/user --timeout=60s", &["met"]),
    becomes("get pvc later -o jsonpath={.status.phase}", &["Bound"]),
    becomes("describe pvc later", &["Successfully provisioned volume pvc-"]),
    row("get pvc -l of=user -o jsonpath={.items[*].metadata.name}", &["user-own"]),
    row("exec user -- cat /later/file", &["here"]),
    // Both stay while the pod has them.
    row("delete pvc later static --wait=false", &["deleted"]),
    row("get pvc later -o jsonpath={.metadata.deletionTimestamp}/{.status.phase}", &["20", "/Bound"]),
    row("delete pod user --timeout=60s", &["deleted"]),
    becomes("get pvc -o name", &["!later", "!static", "!user-own"]),
    becomes("get pv disk -o jsonpath={.status.phase}", &["Released"]),
    becomes("get pv -o name", &["disk", "!pvc-"]),
    row("delete pv disk --timeout=60s", &["deleted"]),
];

const SHARED: &[Row] = &[
    with("apply -f -", SHARING, &["deployment.apps/shared created", "persistentvolumeclaim/shared created"]),
    row("rollout status deployment/shared --timeout=50s", &["successfully rolled out"]),
    row("exec deployment/shared -- cat /data/file", &["here\nhere\nhere"]),
    with("delete --timeout=50s -f -", SHARING, &["deleted"]),
];

const KEPT: &[Row] = &[
    with("apply -f -", DB, &["created"]),
    row("rollout status sts/db --timeout=120s", &["roll out complete"]),
    row("get pvc -l app=db -o jsonpath={.items[*].metadata.name}", &["data-db-0 data-db-1"]),
    row("describe sts db", &["create Claim data-db-1 Pod db-1 in StatefulSet db success"]),
    row("exec db-0 -- sh -c 'echo kept > /data/more'", &[]),
    row("delete pod db-0 --timeout=60s", &["deleted"]),
    becomes("get pod db-0 -o jsonpath={.status.phase}", &["Running"]),
    becomes("exec db-0 -- cat /data/starts /data/more", &["start\nstart\nkept"]),
];

const REPLACED: &[Row] = &[
    row("exec db-1 -- sh -c 'echo old > /data/more'", &[]),
    row("delete pvc data-db-1 --wait=false", &["deleted"]),
    row("get pvc data-db-1 -o jsonpath={.status.phase}", &["Bound"]),
    row("delete pod db-1 --timeout=60s", &["deleted"]),
    becomes("get pod db-1 -o jsonpath={.status.phase}", &["Running"]),
    becomes("exec db-1 -- ls /data", &["starts", "!more"]),
];

const SCALED: &[Row] = &[
    row(
        "patch sts db --type=merge -p '{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{\"whenScaled\":\"Delete\"}}}'",
        &["patched"],
    ),
    row("scale sts/db --replicas=1", &["scaled"]),
    becomes("get pvc -o name", &["data-db-0", "!data-db-1"]),
];

const RETAINED: &[Row] = &[
    row(
        "patch sts db --type=merge -p '{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":{\"whenDeleted\":\"Delete\"}}}'",
        &["patched"],
    ),
    becomes("get pvc data-db-0 -o jsonpath={.metadata.ownerReferences[*].kind}", &["StatefulSet"]),
    row("delete sts db --timeout=60s", &["deleted"]),
    becomes("get pvc -o name", &["!data-db-0"]),
    becomes("get pv -o jsonpath={.items[*].status.phase}", &["Released"]),
    row("delete pv --all --timeout=60s", &["deleted"]),
];

fn all(rows: &[Row], kubectl: &Kubectl) -> Result<()> {
    rows.iter().try_for_each(|row| row.run(kubectl, ""))
}

/// The folders of volumes that the nodes have.
fn folders(sandbox: &Sandbox) -> Vec<String> {
    let names = sandbox.names().into_iter().map(|node| sandbox.home(&node).join("data/volumes"));
    let entries = names.flat_map(std::fs::read_dir).flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn has_folders(sandbox: &Sandbox, count: usize) -> Result<()> {
    eventually("folders of volumes", GONE, || {
        let there = folders(sandbox);
        ensure!(there.len() == count, "{count} expected: {there:?}");
        Ok(())
    })
}

#[test]
fn claims_get_volumes_that_last_as_long_as_they_are_wanted() {
    let sandbox = Sandbox::start("storage", 3).unwrap();
    let kubectl = sandbox.newest("node-1");
    let mut steps = Steps::new();
    steps.step("a volume made by hand is bound; a claim of class local waits for its first pod", || {
        all(BOUND, &kubectl)
    });
    steps.step("a pod gets its volumes, keeps them while it is there, and leaves nothing", || {
        all(USED, &kubectl)?;
        has_folders(&sandbox, 0)
    });
    steps.step("pods that share a new claim come to one node", || {
        all(SHARED, &kubectl)?;
        has_folders(&sandbox, 0)
    });
    steps.step("a set's pod comes back to its data", || {
        all(KEPT, &kubectl)?;
        has_folders(&sandbox, 2)
    });
    steps.step("a claim that is deleted is made anew, with its pod", || {
        all(REPLACED, &kubectl)?;
        has_folders(&sandbox, 2)
    });
    steps.step("scaled down, claim and folder go as the policy says", || {
        all(SCALED, &kubectl)?;
        has_folders(&sandbox, 1)
    });
    steps.step("what is retained is released, and its folder stays", || retains(&sandbox, &kubectl));
    steps.end();
}

fn retains(sandbox: &Sandbox, kubectl: &Kubectl) -> Result<()> {
    let volume = kubectl.prints("get pvc data-db-0 -o jsonpath={.spec.volumeName}", "", &["pvc-"])?;
    let change = r#"{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}"#;
    kubectl.prints(&format!("patch pv {volume} --type=merge -p '{change}'"), "", &["patched"])?;
    all(RETAINED, kubectl)?;
    let there = folders(sandbox);
    let only = there.first().filter(|_| there.len() == 1).context("one folder")?;
    ensure!(*only == volume.trim(), "{only} is left, not {volume}");
    Ok(())
}
