//! `docker-compose.yml`: five nodes as containers, used as its first lines say.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{BUSYBOX, Compose, Kubectl, Row, Steps, becomes, clients, eventually, row, with};
use testkit::image::Image;

const WEB: &str = include_str!("services/web.yaml");

/// How long five nodes may take to find together, and a dead one to be told, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

const PODS: &[Row] = &[
    row("create namespace a", &["created"]),
    with("apply -n a -f -", WEB, &["deployment.apps/web created"]),
    row("rollout status -n a deployment/web --timeout=120s", &["successfully rolled out"]),
    row("rollout status -n a deployment/caller --timeout=120s", &["successfully rolled out"]),
];

#[test]
fn five_nodes_in_containers_are_a_cluster() {
    let compose = Compose::start("mesh-test").unwrap();
    let mut steps = Steps::new();
    if steps.step("five containers find together", || up(&compose)) {
        let (first, second) = (kubectl(&compose, 1).unwrap(), kubectl(&compose, 2).unwrap());
        steps.step("pods run in them", || PODS.iter().try_for_each(|row| row.run(&first, "a")));
        steps.step("pods call a Service by name", || call(&first));
        steps.step("a killed node is missed, and nothing else", || killed(&compose, &second));
        steps.step("it comes back", || back(&compose, &first));
    }
    steps.end();
}

fn up(compose: &Compose) -> Result<()> {
    compose.run("up --detach")?;
    let first = eventually("a kubeconfig", LIMIT, || kubectl(compose, 1))?;
    let nodes = || first.prints("get nodes --no-headers", "", &["!NotReady"]);
    eventually("five Ready nodes", LIMIT, || {
        let said = nodes()?;
        ensure!(said.matches(" Ready ").count() == 5, "{said}");
        Ok(())
    })?;
    let tar = compose.root().join("busybox.tar");
    Image::busybox(BUSYBOX)?.write(&tar)?;
    for number in 1..=5 {
        let node = format!("node-{number}");
        let target = format!("{}:/tmp/busybox.tar", compose.container(&node));
        compose.docker("cp").arg(&tar).arg(target).run()?.prints(&[])?;
        compose.within(&node, "mesh image import /tmp/busybox.tar")?.prints(&[])?;
    }
    Ok(())
}

/// kubectl that talks to the port this node has on this machine.
fn kubectl(compose: &Compose, number: usize) -> Result<Kubectl> {
    let node = format!("node-{number}");
    let server = format!("mesh kubeconfig --server https://127.0.0.1:{}", 6442 + number);
    let path = compose.root().join(format!("{node}.kubeconfig"));
    std::fs::write(&path, compose.within(&node, &server)?.prints(&["server: https://127.0.0.1"])?)?;
    Ok(Kubectl::new(clients().last().context("a kubectl is there")?, compose.root(), path))
}

fn call(kubectl: &Kubectl) -> Result<()> {
    let exec = "exec -n a deployment/caller -- timeout 10 wget -q -O - http://web/";
    eventually("an answer", LIMIT, || kubectl.prints(exec, "", &["web-"])).map(drop)
}

fn killed(compose: &Compose, kubectl: &Kubectl) -> Result<()> {
    compose.docker("kill").arg(compose.container("node-1")).run()?.prints(&[])?;
    let create = || kubectl.prints("create configmap survived", "", &["created"]);
    eventually("a write through another node", LIMIT, create)?;
    becomes("get node node-1", &["NotReady"]).run(kubectl, "a")?;
    call(kubectl)
}

fn back(compose: &Compose, kubectl: &Kubectl) -> Result<()> {
    compose.docker("start").arg(compose.container("node-1")).run()?.prints(&[])?;
    becomes("get nodes", &["node-1", "!NotReady"]).run(kubectl, "a")?;
    row("get configmap survived", &["survived"]).run(kubectl, "a")?;
    row("rollout status -n a deployment/web --timeout=120s", &["successfully rolled out"]).run(kubectl, "a")
}
