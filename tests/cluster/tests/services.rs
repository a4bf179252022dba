//! Services across nodes: addresses, names and ports lead to pods from everywhere, also after a node died.
//! Spec: <https://kubernetes.io/docs/concepts/services-networking/service/>,
//! <https://github.com/kubernetes/dns/blob/master/docs/specification.md>.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::{Kubectl, Row, Sandbox, Steps, becomes, eventually, row, with};

const WEB: &str = include_str!("services/web.yaml");

/// Calls made in a row: one in 30,000 such rows misses one of three servers.
const CALLS: usize = 24;

/// How long one call may take.
const CALL_LIMIT: Duration = Duration::from_secs(3);

/// How long until no call fails any more after a node died: 3 s of silence, and what a busy machine adds.
const WITHDRAWN: Duration = Duration::from_secs(20);

const START: &[Row] = &[
    row("create namespace a", &["created"]),
    with("apply -n a -f -", WEB, &["deployment.apps/web created"]),
    row("rollout status -n a deployment/web --timeout=120s", &["successfully rolled out"]),
    row("rollout status -n a deployment/caller --timeout=120s", &["successfully rolled out"]),
    becomes("get -n a endpointslices -l kubernetes.io/service-name=web", &["IPv4", "8080", "10.42."]),
    row("get -n a endpoints web", &["10.42.", ":8080"]),
    row("get -n a service web", &["ClusterIP", "10.43.", "80/TCP"]),
    row("get -n a service open", &["NodePort", "80:30111/TCP"]),
    row("get -n a service headless", &["None"]),
    row("get service kubernetes", &["10.43.0.1", "443/TCP"]),
    row("get -n kube-system service kube-dns", &["10.43.0.10", "53/UDP,53/TCP"]),
];

/// Pods of `caller`, by node.
fn callers(kubectl: &Kubectl) -> Result<Vec<(String, String)>> {
    let path =
        r#"get -n a pods -l app=caller -o 'jsonpath={range .items[*]}{.spec.nodeName} {.metadata.name}{"\n"}{end}'"#;
    let said = kubectl.prints(path, "", &[])?;
    let found: Vec<(String, String)> =
        said.lines().filter_map(|line| line.split_once(' ')).map(|(node, pod)| (node.into(), pod.into())).collect();
    let nodes: BTreeSet<_> = found.iter().map(|(node, _)| node).collect();
    ensure!(nodes.len() == 3, "callers are on {nodes:?}");
    Ok(found)
}

/// Calls a URL several times from a pod; the names of the servers that answered, and how many calls failed.
fn call(kubectl: &Kubectl, pod: &str, url: &str) -> Result<(BTreeSet<String>, usize)> {
    let seconds = CALL_LIMIT.as_secs();
    let script = format!("for i in $(seq {CALLS}); do timeout {seconds} wget -q -O - {url} || echo failed; done");
    let said = kubectl.prints(&format!("exec -n a {pod} -- sh -c '{script}'"), "", &[])?;
    let failed = said.lines().filter(|line| !line.starts_with("web-")).count();
    Ok((said.lines().filter(|line| line.starts_with("web-")).map(Into::into).collect(), failed))
}

/// Nodes hear of a new endpoint each in its time, and a server is drawn for each call: not all may be met in the first round.
fn all_answer(kubectl: &Kubectl, pod: &str, url: &str) -> Result<()> {
    eventually("all servers answer", WITHDRAWN, || {
        let (servers, failed) = call(kubectl, pod, url)?;
        ensure!(failed == 0 && servers.len() == 3, "{url} from {pod}: {failed} failed, answers of {servers:?}");
        Ok(())
    })
}

fn names(kubectl: &Kubectl, pod: &str) -> Result<()> {
    let look = |name: &str, parts: &[&str]| kubectl.prints(&format!("exec -n a {pod} -- nslookup {name}"), "", parts);
    look("web.a.svc.cluster.local", &["10.43."])?;
    look("kubernetes.default.svc.cluster.local", &["10.43.0.1"])?;
    look("elsewhere.a.svc.cluster.local", &["canonical name = web.a.svc.cluster.local"])?;
    let headless = look("headless.a.svc.cluster.local", &["10.42."])?;
    ensure!(headless.matches("10.42.").count() == 3, "headless: {headless}");
    let none = kubectl.run(&format!("exec -n a {pod} -- nslookup none.a.svc.cluster.local"), "")?;
    ensure!(format!("{none}").contains("NXDOMAIN"), "{none}");
    Ok(())
}

/// One request from this machine.
fn outside(address: &str, port: u16, request: &str) -> Result<String> {
    let address = SocketAddr::new(address.parse()?, port);
    let mut stream = TcpStream::connect_timeout(&address, CALL_LIMIT).with_context(|| address.to_string())?;
    stream.set_read_timeout(Some(CALL_LIMIT))?;
    stream.write_all(format!("{request} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| address.to_string())?;
    Ok(answer)
}

fn node_ports(sandbox: &Sandbox) -> Result<()> {
    for node in sandbox.names() {
        let address = sandbox.address(&node)?;
        let answer = eventually("a node port answers", WITHDRAWN, || outside(&address, 30111, "GET /"))?;
        ensure!(answer.contains("web-"), "{node} answered {answer:?}");
    }
    Ok(())
}

/// Pods of every node are asked through one node's API server, plainly and through `kubectl proxy`.
fn proxied(kubectl: &Kubectl) -> Result<()> {
    let raw = |path: &str| format!("get --raw /api/v1/namespaces/a/{path}/proxy/");
    let pods = kubectl.prints("get -n a pods -l app=web -o jsonpath={.items[*].metadata.name}", "", &["web-"])?;
    for pod in pods.split(' ') {
        kubectl.prints(&raw(&format!("pods/{pod}:8080")), "", &[pod])?;
    }
    for service in ["web:80", "web:http", "http:open:80"] {
        kubectl.prints(&raw(&format!("services/{service}")), "", &["web-"])?;
    }
    kubectl.refuses(&raw("services/nobody:80"), "", &["no endpoints available for service"])?;
    kubectl.refuses(&raw("services/web:81"), "", &["no service port 81 found for service"])?;
    let proxy = kubectl.follow("proxy --port=0")?;
    let says = proxy.says("Starting to serve on")?;
    let port = says.rsplit(':').next().and_then(|port| port.trim().parse().ok()).context("a port")?;
    let path = "/api/v1/namespaces/a/services/web:80/proxy/index.html";
    let answer = outside("127.0.0.1", port, &format!("GET {path}"))?;
    ensure!(answer.contains(" 200 ") && answer.contains("web-"), "{answer}");
    // It is the pod that does not know the method.
    let answer = outside("127.0.0.1", port, &format!("OPTIONS {path}"))?;
    ensure!(answer.contains(" 501 "), "{answer}");
    Ok(())
}

#[test]
fn services_lead_to_pods_from_every_node_and_past_a_dead_one() {
    let sandbox = Sandbox::start("services", 3).unwrap();
    let kubectl = sandbox.newest("node-1");
    let mut steps = Steps::new();
    steps.step("three servers and three callers run, one a node", || {
        START.iter().try_for_each(|row| row.run(&kubectl, "a"))
    });
    steps.step("every node reaches all servers by address and by name", || {
        let address = kubectl.prints("get -n a service web -o jsonpath={.spec.clusterIP}", "", &["10.43."])?;
        for (_, pod) in callers(&kubectl)? {
            for host in [address.as_str(), "web", "web.a.svc.cluster.local", "elsewhere", "headless:8080"] {
                all_answer(&kubectl, &pod, &format!("http://{host}/"))?;
            }
        }
        Ok(())
    });
    steps.step("names are told as the specification says", || names(&kubectl, &callers(&kubectl)?[0].1));
    steps.step("a pod reaches itself through its Service", || {
        let pod = kubectl.prints("get -n a pods -l app=web -o jsonpath={.items[0].metadata.name}", "", &[])?;
        all_answer(&kubectl, &pod, "http://web/")
    });
    steps.step("a Service without pods refuses at once", || {
        let pod = &callers(&kubectl)?[0].1;
        let began = Instant::now();
        kubectl.refuses(&format!("exec -n a {pod} -- wget -q -O - http://nobody/"), "", &["refused"])?;
        ensure!(began.elapsed() < CALL_LIMIT, "after {:?}", began.elapsed());
        Ok(())
    });
    steps.step("the API server asks pods and Services for clients", || proxied(&kubectl));
    steps.step("every node's port leads to a server", || node_ports(&sandbox));
    steps.step("mesh is killed everywhere: Services and names go on", || without_control(&sandbox, &kubectl));
    steps.step("a node dies: the others' calls succeed again within seconds", || dead_node(&sandbox, &kubectl));
    steps.end();
}

/// With no control process left, a pod that was told to call goes on calling.
fn without_control(sandbox: &Sandbox, kubectl: &Kubectl) -> Result<()> {
    let (_, pod) = &callers(kubectl)?[0];
    let script = "for i in $(seq 1000000); do timeout 3 wget -q -O - http://web/ >> /tmp/calls || echo failed >> /tmp/calls; done";
    kubectl.prints(&format!("exec -n a {pod} -- sh -c '({script}) > /dev/null 2>&1 &'"), "", &[])?;
    for node in sandbox.names() {
        sandbox.dev(&format!("kill {node} --only mesh"))?;
    }
    for node in sandbox.names() {
        sandbox.dev(&format!("start {node}"))?;
    }
    let look = format!("exec -n a {pod} -- sh -c 'grep -c web- /tmp/calls; grep -c failed /tmp/calls; true'");
    let failed = eventually("many calls were made", WITHDRAWN, || {
        let said = kubectl.prints(&look, "", &[])?;
        let counts: Vec<usize> = said.lines().filter_map(|line| line.trim().parse().ok()).collect();
        ensure!(counts.len() == 2 && counts[0] > CALLS, "calls that succeeded and failed: {counts:?}");
        Ok(counts[1])
    })?;
    ensure!(failed == 0, "{failed} calls failed");
    Ok(())
}

fn dead_node(sandbox: &Sandbox, kubectl: &Kubectl) -> Result<()> {
    let callers = callers(kubectl)?;
    let (_, pod) = callers.iter().find(|(node, _)| node == "node-1").context("a caller on node-1")?;
    sandbox.dev("kill node-3")?;
    let killed = Instant::now();
    eventually("calls succeed again", WITHDRAWN, || {
        let (servers, failed) = call(kubectl, pod, "http://web/")?;
        ensure!(failed == 0 && servers.len() == 2, "{failed} failed, answers of {servers:?}");
        Ok(())
    })?;
    println!("    no call failed since {:.1} s after the kill", killed.elapsed().as_secs_f32());
    becomes("get nodes", &["NotReady"]).run(kubectl, "a")?;
    // Replaced elsewhere would break the spread: there it waits, and runs again when the node is back.
    sandbox.dev("start node-3")?;
    row("rollout status -n a deployment/web --timeout=120s", &["successfully rolled out"]).run(kubectl, "a")?;
    becomes("get nodes", &["!NotReady"]).run(kubectl, "a")?;
    eventually("all servers answer", WITHDRAWN, || all_answer(kubectl, pod, "http://web/"))
}
