//! Deny by default: <https://kubernetes.io/docs/reference/access-authn-authz/rbac/>.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use cluster::{Cluster, Kubectl, Steps, anonymous, clients, eventually};

/// How long a permission may take to reach every voter.
const SPREAD: std::time::Duration = std::time::Duration::from_secs(10);

#[test]
fn nobody_may_do_what_no_role_allows() {
    let cluster = Cluster::start(3).unwrap();
    let admin = cluster.newest(0);
    let mut steps = Steps::new();
    steps.step("anonymous sees health and version, nothing else", || nobody(&cluster));
    steps.step("a token that nobody signed is refused", || {
        let forged = user(&cluster, 0, "forged", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06YWRtaW4ifQ.")?;
        forged.refuses("get namespaces", "", &["You must be logged in"]).map(drop)
    });
    steps.step("a ServiceAccount may do nothing until a RoleBinding lets it", || service_account(&cluster, &admin));
    steps.step("a namespaced role reaches into no other namespace", || other_namespace(&cluster));
    steps.step("who has a role cannot give more than it", || no_escalation(&cluster, &admin));
    steps.step("a token ends with its ServiceAccount", || token_ends(&cluster, &admin));
    steps.step("a node may not read what belongs to no pod of its own", || impersonation(&admin));
    steps.end();
}

/// What nobody may do without credentials.
const FORBIDDEN: [(&str, &str); 8] = [
    ("GET", "/"),
    ("GET", "/api"),
    ("GET", "/apis"),
    ("GET", "/openapi/v3"),
    ("GET", "/metrics"),
    ("GET", "/api/v1/namespaces"),
    ("POST", "/api/v1/namespaces"),
    ("DELETE", "/api/v1/namespaces/default"),
];

/// A kubectl with this token instead of the administrator's certificate.
fn user(cluster: &Cluster, node: usize, name: &str, token: &str) -> Result<Kubectl> {
    let admin = std::fs::read_to_string(cluster.kubeconfig(&cluster.nodes[node]))?;
    let kept = admin.lines().filter(|line| !line.contains("client-"));
    let user = format!("  user:\n    token: {token}");
    let text: Vec<String> = kept.map(|line| if line == "  user:" { user.clone() } else { line.into() }).collect();
    let path: PathBuf = cluster.root().join(format!("{name}-{node}.kubeconfig"));
    std::fs::write(&path, text.join("\n"))?;
    Ok(Kubectl::new(&clients()[clients().len() - 1], cluster.root(), path))
}

fn nobody(cluster: &Cluster) -> Result<()> {
    for node in &cluster.nodes {
        let kubeconfig = std::fs::read_to_string(cluster.kubeconfig(node))?;
        let ask = |method: &str, path: &str| anonymous(&kubeconfig, node.ports.api, method, path, b"{}");
        for path in ["/livez", "/readyz", "/healthz", "/version"] {
            let reply = ask("GET", path)?;
            ensure!(reply.code == 200, "{path}: {}", reply.text);
        }
        for (method, path) in FORBIDDEN {
            let reply = ask(method, path)?;
            ensure!(reply.code == 403 && reply.text.contains("system:anonymous"), "{method} {path}: {}", reply.text);
        }
    }
    Ok(())
}

fn service_account(cluster: &Cluster, admin: &Kubectl) -> Result<()> {
    admin.prints("create namespace rbac", "", &["created"])?;
    admin.prints("create serviceaccount robot -n rbac", "", &["created"])?;
    let token = admin.prints("create token robot -n rbac", "", &["eyJ"])?;
    let robots: Vec<_> = (0..3).map(|node| user(cluster, node, "robot", token.trim())).collect::<Result<Vec<_>>>()?;
    for robot in &robots {
        let who = r#"User "system:serviceaccount:rbac:robot" cannot list resource "configmaps" in API group "" in the namespace "rbac""#;
        robot.refuses("get configmaps -n rbac", "", &["Forbidden", who])?;
        robot.refuses("create configmap a -n rbac --from-literal=a=b", "", &["forbidden"])?;
        robot.refuses("get namespaces", "", &["at the cluster scope"])?;
        robot.prints("auth whoami", "", &["system:serviceaccount:rbac:robot", "system:serviceaccounts:rbac"])?;
    }
    admin.prints("create role writer -n rbac --verb=get,list,create --resource=configmaps", "", &["created"])?;
    admin.prints("create rolebinding robot -n rbac --role=writer --serviceaccount=rbac:robot", "", &["created"])?;
    for (node, robot) in robots.iter().enumerate() {
        let make = format!("create configmap by-{node} -n rbac --from-literal=a=b");
        eventually("the role reaches the node", SPREAD, || robot.prints(&make, "", &["created"]))?;
        robot.prints("get configmaps -n rbac", "", &[&format!("by-{node}")])?;
        robot.refuses(&format!("delete configmap by-{node} -n rbac"), "", &["cannot delete resource"])?;
    }
    admin.prints("delete rolebinding robot -n rbac", "", &["deleted"])?;
    for robot in &robots {
        let refused = || robot.refuses("get configmaps -n rbac", "", &["Forbidden"]);
        eventually("the role is taken back", SPREAD, refused)?;
    }
    Ok(())
}

fn other_namespace(cluster: &Cluster) -> Result<()> {
    let admin = cluster.newest(1);
    admin.prints("create rolebinding robot -n rbac --role=writer --serviceaccount=rbac:robot", "", &["created"])?;
    let as_robot = "--as=system:serviceaccount:rbac:robot";
    admin.prints(&format!("get configmaps -n rbac {as_robot}"), "", &["by-0"])?;
    admin.refuses(&format!("get configmaps -n default {as_robot}"), "", &["Forbidden", "\"default\""])?;
    admin.refuses(&format!("get configmaps -A {as_robot}"), "", &["Forbidden", "at the cluster scope"])?;
    admin.refuses(&format!("get secrets -n rbac {as_robot}"), "", &["Forbidden", "\"secrets\""])?;
    admin.refuses(&format!("auth can-i get secrets -n rbac {as_robot}"), "", &[])?;
    Ok(())
}

fn no_escalation(cluster: &Cluster, admin: &Kubectl) -> Result<()> {
    admin.prints("create clusterrolebinding lead --clusterrole=view --user=lead", "", &["created"])?;
    admin.prints(
        "create role roles -n rbac --verb=get,list,create,update,patch --resource=roles,rolebindings",
        "",
        &["created"],
    )?;
    admin.prints("create rolebinding lead -n rbac --role=roles --user=lead", "", &["created"])?;
    let lead = cluster.newest(0);
    let more = "create role more -n rbac --verb=get --resource=secrets --as=lead";
    lead.refuses(more, "", &["attempting to grant RBAC permissions not currently held", "secrets"])?;
    let bind = "create rolebinding more -n rbac --clusterrole=cluster-admin --user=lead --as=lead";
    lead.refuses(bind, "", &["attempting to grant RBAC permissions not currently held"])?;
    lead.prints("create role same -n rbac --verb=get --resource=configmaps --as=lead", "", &["created"])?;
    Ok(())
}

fn token_ends(cluster: &Cluster, admin: &Kubectl) -> Result<()> {
    admin.prints("create serviceaccount brief -n rbac", "", &["created"])?;
    let token = admin.prints("create token brief -n rbac", "", &["eyJ"])?;
    let brief = user(cluster, 0, "brief", token.trim())?;
    brief.prints("auth whoami", "", &["brief"])?;
    admin.prints("delete serviceaccount brief -n rbac", "", &["deleted"])?;
    admin.prints("create serviceaccount brief -n rbac", "", &["created"])?;
    eventually("the end of the token", SPREAD, || brief.refuses("auth whoami", "", &["nauthorized"]))?;
    Ok(())
}

/// Only who may impersonate can; a node's user is bound by the node authorizer.
fn impersonation(admin: &Kubectl) -> Result<()> {
    let node = "--as=system:node:n1 --as-group=system:nodes";
    admin.refuses(&format!("get secrets -A {node}"), "", &["Forbidden", "system:node:n1"])?;
    admin.refuses(
        &format!("create clusterrolebinding x --clusterrole=cluster-admin --user=x {node}"),
        "",
        &["forbidden"],
    )?;
    admin.refuses("get configmaps -n rbac --as=jane --as-group=people", "", &["Forbidden", "\"jane\""])?;
    Ok(())
}
