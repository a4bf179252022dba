//! `docker-compose.yml`: five nodes as containers, used as its first lines say.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{BUSYBOX, Compose, Kubectl, Row, Steps, becomes, clients, eventually, row, with};
use testkit::image::Image;

const WEB: &str = include_str!("services/web.yaml");

/// The project's name, which its containers and its network carry.
const PROJECT: &str = "mesh-test";

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
    let compose = Compose::start(PROJECT).unwrap();
    let mut steps = Steps::new();
    if steps.step("five containers find together", || up(&compose)) {
        let (first, second) = (kubectl(&compose, 1).unwrap(), kubectl(&compose, 2).unwrap());
        steps.step("pods run in them", || PODS.iter().try_for_each(|row| row.run(&first, "a")));
        steps.step("pods call a Service by name", || call(&first));
        steps.step("`mesh chaos` breaks them, and mends them", || broken(&compose));
        steps.step("it breaks nobody else's containers", || spared(&compose));
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

/// Each fault that needs no time is seen where it acts; nothing waits for what the cluster makes of it.
fn broken(compose: &Compose) -> Result<()> {
    let chaos = |arguments: &str| compose.chaos(PROJECT, arguments).run()?.prints(&[]);
    let filter = || compose.within("node-5", "nft list ruleset")?.prints(&[]);
    chaos("partition node-5 --from node-4")?;
    chaos("loss node-5 --percent 20 --from node-3")?;
    chaos("slow-disk node-5 --delay 20ms")?;
    chaos("pause node-5 --only dataplane")?;
    let (rules, hooks) = (filter()?, compose.within("node-5", "cat /run/mesh/chaos-hooks.json")?.prints(&[])?);
    ensure!(rules.contains("ip saddr 10.83.7.14 drop") && rules.contains("ip saddr 10.83.7.13 numgen"), "{rules}");
    ensure!(hooks.contains("20"), "{hooks}");
    let status = chaos("status")?;
    for fault in ["partition from node-4", "loss of 20 % from node-3", "slow-disk by 20 ms", "pause of dataplane"] {
        ensure!(status.contains(fault), "{fault} is not on: {status}");
    }
    chaos("heal node-5")?;
    let left = filter()?;
    ensure!(!left.contains("mesh-chaos"), "healed, and yet: {left}");
    ensure!(chaos("status")?.contains("nothing is broken"), "something is still on");
    Ok(())
}

/// A container of somebody's project without the label, and one that is not there.
fn spared(compose: &Compose) -> Result<()> {
    const THEIRS: &str = "create --label com.docker.compose.project=theirs --label com.docker.compose.service=db \
                          --network mesh-test_mesh --ip 10.83.7.200 --name theirs mesh";
    compose.docker(THEIRS).run()?.prints(&[])?;
    compose.chaos("theirs", "kill db").run()?.refuses(&["db of \"theirs\"", "mesh.chaos=allowed", "--yes-break-it"])?;
    compose.chaos("none-such", "kill db").run()?.refuses(&["no compose project \"none-such\""])?;
    compose.docker("rm theirs").run()?.prints(&[]).map(drop)
}

fn killed(compose: &Compose, kubectl: &Kubectl) -> Result<()> {
    compose.chaos(PROJECT, "kill node-1").run()?.prints(&["node-1: kill"])?;
    let create = || kubectl.prints("create configmap survived", "", &["created"]);
    eventually("a write through another node", LIMIT, create)?;
    becomes("get node node-1", &["NotReady"]).run(kubectl, "a")?;
    call(kubectl)
}

fn back(compose: &Compose, kubectl: &Kubectl) -> Result<()> {
    compose.chaos(PROJECT, "heal").run()?.prints(&["node-1: kill healed"])?;
    becomes("get nodes", &["node-1", "!NotReady"]).run(kubectl, "a")?;
    row("get configmap survived", &["survived"]).run(kubectl, "a")?;
    row("rollout status -n a deployment/web --timeout=120s", &["successfully rolled out"]).run(kubectl, "a")
}
