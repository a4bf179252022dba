//! Deployments as people use them: create, scale, roll out, look at the history, undo, delete.
//! Spec: <https://kubernetes.io/docs/concepts/workloads/controllers/deployment/>.

use cluster::{Row, Sandbox, Steps, becomes, refuses, row};

const LIFE: &[(&str, &[Row])] = &[
    (
        "create",
        &[
            row("create namespace NS", &["created"]),
            row(
                "create deployment web -n NS --image=mesh.test/busybox:1 --replicas=3 -- sh -c 'trap exit TERM; sleep 1000000 & wait'",
                &["deployment.apps/web created"],
            ),
            row("rollout status -n NS deployment/web --timeout=120s", &["successfully rolled out"]),
            row("get -n NS deployment web", &["3/3"]),
            row("get -n NS replicasets", &["web-", "3         3         3"]),
            row(
                "describe -n NS deployment web",
                &["ScalingReplicaSet", "Scaled up replica set web-", "NewReplicaSetAvailable"],
            ),
        ],
    ),
    (
        "scale",
        &[
            row("scale -n NS deployment/web --replicas=5", &["scaled"]),
            becomes("get -n NS deployment web", &["5/5"]),
            row("scale -n NS deployment/web --replicas=1", &["scaled"]),
            becomes("get -n NS deployment web", &["1/1"]),
            becomes("get -n NS pods -l app=web --no-headers", &["Running", "!Terminating"]),
        ],
    ),
    (
        "roll out, history, undo",
        &[
            row("set env -n NS deployment/web VERSION=2", &["updated"]),
            row("rollout status -n NS deployment/web --timeout=120s", &["successfully rolled out"]),
            row("rollout history -n NS deployment/web", &["1         <none>", "2         <none>"]),
            row("rollout undo -n NS deployment/web", &["rolled back"]),
            row("rollout status -n NS deployment/web --timeout=120s", &["successfully rolled out"]),
            row("rollout history -n NS deployment/web", &["2         <none>", "3         <none>", "!1         <none>"]),
            row("get -n NS deployment web -o jsonpath={.spec.template.spec.containers[0].env}", &["!VERSION"]),
            row("rollout restart -n NS deployment/web", &["restarted"]),
            row("rollout status -n NS deployment/web --timeout=120s", &["successfully rolled out"]),
        ],
    ),
    (
        "what cannot run leaves the old alone",
        &[
            row("set image -n NS deployment/web busybox=127.0.0.1:1/none:1", &["image updated"]),
            becomes("get -n NS pods", &["ImagePullBackOff", "Running"]),
            row("rollout undo -n NS deployment/web", &["rolled back"]),
            becomes("get -n NS deployment web", &["1/1     1            1"]),
        ],
    ),
    (
        "delete",
        &[
            row("delete -n NS deployment web", &["deleted"]),
            becomes("get -n NS all", &["!web"]),
            refuses("get -n NS deployment web", "", &["deployments.apps \"web\" not found"]),
            row("delete namespace NS --timeout=60s", &["deleted"]),
        ],
    ),
];

#[test]
fn a_deployment_lives_as_the_guides_say() {
    let sandbox = Sandbox::start("deployments", 1).unwrap();
    let kubectl = sandbox.newest("node-1");
    let mut steps = Steps::new();
    for (name, rows) in LIFE {
        steps.step(name, || rows.iter().try_for_each(|row| row.run(&kubectl, "d")));
    }
    steps.end();
}
