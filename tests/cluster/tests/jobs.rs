//! Jobs and CronJobs as people use them, and a leader that dies in the middle of one.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/job/>.

use std::time::Duration;

use anyhow::{Result, ensure};
use cluster::{Kubectl, Row, Sandbox, Steps, becomes, clients, eventually, refuses, row, with};
use serde_json::Value;

/// How long a Job may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Completions of the Job whose leader dies, and how many are there when it does.
const COMPLETIONS: usize = 12;
const BEFORE: i64 = 3;

const ENDS: &str = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: fails}\nspec:\n  backoffLimit: 0\n  template:\n    spec: {restartPolicy: Never, containers: [{name: c, image: 'mesh.test/busybox:1', command: [sh, -c, 'exit 3']}]}\n---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: brief}\nspec:\n  ttlSecondsAfterFinished: 0\n  template:\n    spec: {restartPolicy: Never, containers: [{name: c, image: 'mesh.test/busybox:1', command: ['true']}]}\n---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: numbers}\nspec:\n  completions: 3\n  parallelism: 3\n  completionMode: Indexed\n  template:\n    spec: {restartPolicy: Never, containers: [{name: c, image: 'mesh.test/busybox:1', command: [sh, -c, 'echo $JOB_COMPLETION_INDEX of $(hostname)']}]}\n---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: rests}\nspec:\n  suspend: true\n  template:\n    spec: {restartPolicy: Never, containers: [{name: c, image: 'mesh.test/busybox:1', command: ['true']}]}\n";

const MANY: &str = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: many}\nspec:\n  completions: 12\n  parallelism: 4\n  template:\n    spec: {restartPolicy: Never, terminationGracePeriodSeconds: 0, containers: [{name: c, image: 'mesh.test/busybox:1', command: [sleep, '1']}]}\n";

const LIFE: &[(&str, &[Row])] = &[
    (
        "a Job by hand",
        &[
            row("create namespace NS", &["created"]),
            row("create job once -n NS --image=mesh.test/busybox:1 -- echo all is done", &["job.batch/once created"]),
            row("wait -n NS --for=condition=complete job/once --timeout=60s", &["condition met"]),
            row("logs -n NS job/once", &["all is done"]),
            row("describe -n NS job once", &["1 Succeeded", "Completed", "Job completed"]),
            row("get -n NS jobs", &["once", "Complete", "1/1"]),
            row(
                "get -n NS pods -l batch.kubernetes.io/job-name=once -o jsonpath={.items[*].metadata.finalizers}",
                &["!tracking"],
            ),
        ],
    ),
    (
        "a CronJob fires, and is fired by hand",
        &[
            row(
                "create cronjob tick -n NS --image=mesh.test/busybox:1 '--schedule=@every 1s' -- echo tick",
                &["cronjob.batch/tick created"],
            ),
            becomes("get -n NS cj tick -o jsonpath={.status}", &["lastScheduleTime", "lastSuccessfulTime"]),
            row("patch -n NS cj tick -p '{\"spec\":{\"suspend\":true}}'", &["patched"]),
            row("get -n NS cj", &["tick", "@every 1s", "True"]),
            row("create job hand -n NS --from=cronjob/tick", &["job.batch/hand created"]),
            row("wait -n NS --for=condition=complete job/hand --timeout=60s", &["condition met"]),
            row("logs -n NS job/hand", &["tick"]),
            row("delete -n NS cj tick", &["deleted"]),
            becomes("get -n NS jobs", &["once", "!tick", "!hand"]),
            refuses(
                "create cronjob bad -n NS --image=a --schedule=often",
                "",
                &["expected exactly 5 fields, found 1: [often]"],
            ),
        ],
    ),
    (
        "Jobs fail, number, rest and go",
        &[
            with("apply -n NS -f -", ENDS, &["fails created", "numbers created"]),
            row("wait -n NS --for=condition=failed job/fails --timeout=60s", &["condition met"]),
            row("get -n NS job fails -o jsonpath={.status}", &["BackoffLimitExceeded", "\"failed\":1"]),
            row("wait -n NS --for=condition=complete job/numbers --timeout=60s", &["condition met"]),
            row("get -n NS job numbers -o jsonpath={.status.completedIndexes}", &["0-2"]),
            row("logs -n NS -l job-name=numbers", &["0 of numbers-0", "1 of numbers-1", "2 of numbers-2"]),
            row("get -n NS job rests", &["Suspended", "0/1"]),
            row("patch -n NS job rests -p '{\"spec\":{\"suspend\":false}}'", &["patched"]),
            row("wait -n NS --for=condition=complete job/rests --timeout=60s", &["condition met"]),
            becomes("get -n NS jobs,pods", &["!brief"]),
            row("delete -n NS job --all --cascade=foreground --timeout=60s", &["deleted"]),
            becomes("get -n NS pods", &["!numbers", "!rests", "!fails"]),
        ],
    ),
];

#[test]
fn jobs_end_as_the_guides_say_and_each_end_counts_once() {
    let sandbox = Sandbox::start("jobs", 3).unwrap();
    let mut steps = Steps::new();
    let oldest = sandbox.kubectl(&clients()[0], "node-1");
    for (name, rows) in LIFE {
        let kubectl = if *name == LIFE[1].0 { &oldest } else { &sandbox.newest("node-1") };
        steps.step(name, || rows.iter().try_for_each(|row| row.run(kubectl, "j")));
    }
    steps.step("the leader dies in the middle: no end is lost, none counts twice", || leader_dies(&sandbox));
    steps.end();
}

fn leader_dies(sandbox: &Sandbox) -> Result<()> {
    let leader = sandbox.leader("node-1")?;
    let other = if leader == "node-1" { "node-2" } else { "node-1" };
    let kubectl = sandbox.newest(other);
    kubectl.prints("apply -n j -f -", MANY, &["created"])?;
    eventually("some have succeeded", LIMIT, || {
        ensure!(job(&kubectl)?["status"]["succeeded"].as_i64() >= Some(BEFORE), "too few");
        Ok(())
    })?;
    sandbox.dev(&format!("kill {leader} --only mesh"))?;
    eventually("another leads", LIMIT, || {
        ensure!(sandbox.leader(other)? != leader, "nobody else does");
        Ok(())
    })?;
    sandbox.dev(&format!("start {leader}"))?;
    eventually("the Job is complete", LIMIT, || {
        let job = job(&kubectl)?;
        ensure!(!job["status"]["completionTime"].is_null(), "{}", job["status"]);
        Ok(())
    })?;
    let status = job(&kubectl)?["status"].clone();
    ensure!(status["succeeded"] == COMPLETIONS && status["failed"].is_null(), "{status}");
    let pods = kubectl.prints("get -n j pods -l job-name=many -o json", "", &[])?;
    let pods: Value = serde_json::from_str(&pods)?;
    let succeeded = pods["items"].as_array().into_iter().flatten().filter(|pod| pod["status"]["phase"] == "Succeeded");
    let (succeeded, tracked) = (succeeded.count(), pods.to_string().matches("job-tracking").count());
    ensure!((succeeded, tracked) == (COMPLETIONS, 0), "{succeeded} pods succeeded, {tracked} are not counted");
    Ok(())
}

fn job(kubectl: &Kubectl) -> Result<Value> {
    Ok(serde_json::from_str(&kubectl.prints("get -n j job many -o json", "", &[])?)?)
}
