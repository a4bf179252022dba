//! How fast the endpoints of a dead machine leave all others (DESIGN 3): machines lose power one after the other, and callers
//! on the other nodes tell when their last call to it failed. Main function: [`withdrawals`].

use std::time::Duration;

use anyhow::Result;
use cluster::{BUSYBOX, Callers, Kubectl, Sandbox, eventually, pod_on, uptime};

/// How long calls may fail before it counts as lost service.
const LIMIT: Duration = Duration::from_secs(60);

/// How long a machine may take to be a node again.
const BACK: Duration = Duration::from_secs(90);

/// A server on each node behind one Service.
const SERVICE: &str = r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"server"},
"spec":{"selector":{"app":"server"},"ports":[{"port":80,"targetPort":8080}]}}"#;

/// Lets machines lose power, so many times. Returns how long calls failed after each, from each other node.
pub(crate) fn withdrawals(sandbox: &Sandbox, machines: usize) -> Result<Vec<Duration>> {
    let kubectl = sandbox.newest("node-1");
    let nodes = sandbox.names();
    kubectl.prints("create -f -", SERVICE, &["created"])?;
    nodes.iter().try_for_each(|node| serve(&kubectl, node))?;
    let address = kubectl.prints("get service server -o jsonpath={.spec.clusterIP}", "", &["10.43."])?;
    let callers = Callers::start(&kubectl, &nodes, &format!("http://{address}/"))?;
    let mut all = Vec::new();
    // Not the first node, which tells what the callers say.
    for (round, victim) in (1..=machines).zip(nodes[1..].iter().cycle()) {
        let gone = dies(sandbox, &kubectl, &callers, victim)?;
        println!("{round:>4} {victim} without power: {gone:.2?}");
        all.extend(gone);
        returns(sandbox, &kubectl, &callers, victim)?;
    }
    kubectl.prints("delete pods --selector=app --force --grace-period=0", "", &[])?;
    kubectl.prints("delete service server", "", &[])?;
    Ok(all)
}

fn serve(kubectl: &Kubectl, node: &str) -> Result<()> {
    let server = pod_on(
        node,
        "server",
        serde_json::json!({
            "image": BUSYBOX,
            "command": ["sh", "-c", "mkdir /www; echo yes > /www/index.html; exec httpd -f -p 8080 -h /www"],
            "readinessProbe": { "httpGet": { "path": "/", "port": 8080 }, "periodSeconds": 1 },
        }),
    );
    kubectl.prints("create -f -", &server.to_string(), &["created"])?;
    kubectl.prints(&format!("wait --for=condition=Ready pod/server-{node} --timeout=90s"), "", &["met"]).map(drop)
}

fn dies(sandbox: &Sandbox, kubectl: &Kubectl, callers: &Callers, victim: &str) -> Result<Vec<Duration>> {
    let others: Vec<String> = sandbox.names().into_iter().filter(|node| node != victim).collect();
    let died = uptime()?;
    sandbox.dev(&format!("kill {victim}"))?;
    let gone = callers.recovered(kubectl, &others, died, LIMIT)?;
    Ok(gone.into_values().map(Duration::from_secs_f64).collect())
}

/// A power cut counts as a restart of each container, which makes the next one wait: pods of before are replaced.
fn returns(sandbox: &Sandbox, kubectl: &Kubectl, callers: &Callers, victim: &str) -> Result<()> {
    sandbox.dev(&format!("start {victim}"))?;
    eventually("it is a node again", BACK, || {
        kubectl.prints(&format!("get node {victim}"), "", &[" Ready"]).map(drop)
    })?;
    kubectl.prints(&format!("delete pod server-{victim} --force --grace-period=0"), "", &[])?;
    serve(kubectl, victim)?;
    callers.put_back(kubectl, victim)
}
