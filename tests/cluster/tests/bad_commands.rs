//! What a person may get wrong at the shell: `mesh` ends with a message that names the value and the remedy, and changes
//! nothing.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{Cluster, Ended, Launch, Node, Program, Steps, eventually, mesh};

/// Command lines that need no cluster, and parts of the answer.
const LINES: &[(&str, &[&str])] = &[
    ("", &["Usage:", "Commands:", "join"]),
    ("up --no-such-flag", &["--no-such-flag", "--help"]),
    ("uup", &["uup", "up"]),
    ("up --listen nowhere", &["nowhere", "--listen"]),
    ("up --listen 127.0.0.1:99999", &["127.0.0.1:99999", "--listen"]),
    ("up --listen 127.0.0.1:0 --data-dir DIR/a", &["127.0.0.1:0", "name the ports"]),
    ("up --voter maybe", &["maybe", "auto", "never"]),
    ("up --name Not_A_Name --data-dir DIR/a", &["Not_A_Name", "lower case"]),
    ("up --config DIR/missing.yaml", &["missing.yaml", "No such file"]),
    ("up --config DIR", &["DIR", "directory"]),
    ("up --config DIR/unknown.yaml", &["unknown.yaml", "unknown field", "`nmae`", "`name`"]),
    ("up --config DIR/broken.yaml", &["broken.yaml"]),
    ("up --config DIR/type.yaml", &["type.yaml", "many"]),
    ("up --config DIR/even.yaml", &["maxVoters: 4", "1, 3 or 5"]),
    ("up --config DIR/range.yaml --data-dir DIR/a", &["podRanges", "10.0.0.0/25"]),
    ("up --no-pods --data-dir DIR/file", &["DIR/file"]),
    (
        "up --data-dir DIR/none --containerd-socket DIR/none.sock",
        &["DIR/none.sock", "--containerd-socket", "--no-pods"],
    ),
    ("join", &["ADDRESS:PORT", "--token"]),
    ("join 127.0.0.1:1 --token nonsense --data-dir DIR/a", &["mesh1.", "mesh token create"]),
    ("join no.such.host.invalid:7443 --token TOKEN --data-dir DIR/a", &["no.such.host.invalid:7443"]),
    ("status --data-dir DIR/a", &["mesh does not run here", "mesh up", "--data-dir"]),
    ("token create --ttl soon", &["soon", "30m"]),
    ("token create --ttl 0s", &["0s", "30m"]),
    ("kubeconfig --server http://x --data-dir DIR/a", &["http://x", "https://HOST:PORT"]),
];

const FILES: &[(&str, &str)] = &[
    ("unknown.yaml", "nmae: n1\n"),
    ("broken.yaml", "name: [\n"),
    ("type.yaml", "maxVoters: many\n"),
    ("even.yaml", "maxVoters: 4\n"),
    ("range.yaml", "podRanges: [10.0.0.0/25]\n"),
    ("file", "not a folder"),
];

/// A token of a cluster that nobody knows.
const FOREIGN: &str = "mesh1.utylbb4ad2uhox5d2rq33iea6a.bpr3p4vz.3pyxwjyh2niuh5xq3bftu5tfh4";

#[test]
fn a_wrong_command_line_is_answered_with_the_value_and_the_remedy() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().display().to_string();
    for (name, text) in FILES {
        std::fs::write(root.path().join(name), text).unwrap();
    }
    let mut steps = Steps::new();
    for (line, parts) in LINES {
        steps.step(&format!("mesh {line}"), || {
            let fill = |text: &str| text.replace("DIR", &dir).replace("TOKEN", FOREIGN);
            let parts: Vec<_> = parts.iter().map(|part| fill(part)).collect();
            let parts: Vec<_> = parts.iter().map(String::as_str).collect();
            Program::new(mesh(), &fill(line)).limit(Duration::from_secs(20)).run()?.refuses(&parts)?;
            ensure!(!root.path().join("a").exists(), "it made the data directory");
            Ok(())
        });
    }
    steps.end();
}

#[test]
fn a_node_that_cannot_start_says_why_and_changes_nothing() {
    let cluster = Cluster::start(1).unwrap();
    let root = tempfile::tempdir().unwrap();
    let mut steps = Steps::new();
    steps.step("a UDP port in use", || {
        let node = Node::new(root.path(), "udp")?;
        let _taken = UdpSocket::bind(node.ports.control)?;
        starts_not(&node, Launch::Up, &[&node.ports.control.to_string(), "in use", "--listen"])
    });
    steps.step("a TCP port in use", || {
        let node = Node::new(root.path(), "tcp")?;
        let _taken = TcpListener::bind(node.ports.api)?;
        starts_not(&node, Launch::Up, &[&node.ports.api.to_string(), "in use", "--api-listen"])
    });
    steps.step("a data directory in use", || in_use(&cluster));
    steps.step("tokens that admit nobody", || tokens(&cluster, root.path()));
    steps.step("a name that is taken", || {
        let node = Node::new(root.path(), "n1")?;
        let parts = ["\"n1\"", "--name", "--replace"];
        node.program(Launch::Join(&cluster.line), "").run()?.refuses(&parts)?;
        members(&cluster, 1)
    });
    steps.step("the data directory of another cluster", || {
        let mut second = Cluster::start(1)?;
        let node = &mut second.nodes[0];
        let id = node.status()?["id"].clone();
        node.stop()?;
        let parts = ["holds a node of cluster", "mesh leave", "--data-dir"];
        refused(node.program(Launch::Join(&cluster.line), "").run()?, &parts)?;
        node.start(Launch::Up)?;
        ensure!(node.ready()?["id"] == id, "the node lost its own cluster");
        members(&cluster, 1)
    });
    steps.end();
}

#[test]
fn joining_where_nobody_answers_ends_with_the_address() {
    let root = tempfile::tempdir().unwrap();
    let node = Node::new(root.path(), "lonely").unwrap();
    let nobody = Node::new(root.path(), "nobody").unwrap().ports.control.to_string();
    let line = format!("mesh join {nobody} --token {FOREIGN}");
    let ended = node.program(Launch::Join(&line), "").limit(Duration::from_secs(90)).run().unwrap();
    refused(ended, &["no member answers", &nobody, "is the UDP port open?"]).unwrap();
}

fn refused(ended: Ended, parts: &[&str]) -> Result<()> {
    ended.refuses(parts).map(drop)
}

/// Refused, and no trace of membership is left.
fn starts_not(node: &Node, launch: Launch<'_>, parts: &[&str]) -> Result<()> {
    refused(node.program(launch, "").run()?, parts)?;
    ensure!(!node.dir.join("member.json").exists(), "it became a member");
    Ok(())
}

fn in_use(cluster: &Cluster) -> Result<()> {
    let twin = Node::new(cluster.root(), "n1")?;
    refused(twin.program(Launch::Up, "").run()?, &["in use", &cluster.nodes[0].dir.display().to_string()])?;
    cluster.nodes[0].status().map(drop)
}

fn members(cluster: &Cluster, expect: usize) -> Result<()> {
    let found = cluster.nodes[0].status()?["members"].as_array().map_or(0, Vec::len);
    ensure!(found == expect, "{found} members instead of {expect}");
    Ok(())
}

fn tokens(cluster: &Cluster, root: &Path) -> Result<()> {
    let founder = &cluster.nodes[0];
    let make = |arguments: &str| -> Result<String> {
        let line = founder.command(&format!("token create {arguments}")).run()?.prints(&["mesh join", "mesh1."])?;
        Ok(line.trim().to_owned())
    };
    let refuses = |line: &str, parts: &[&str]| starts_not(&Node::new(root, "stranger")?, Launch::Join(line), parts);
    let wrong_secret = {
        let (head, secret) = cluster.line.rsplit_once('.').context("no secret")?;
        let other = make("")?;
        let (_, other) = other.rsplit_once('.').context("no secret")?;
        ensure!(other != secret, "two tokens share a secret");
        format!("{head}.{other}")
    };
    refuses(&wrong_secret, &["token", "wrong secret", "mesh token create"])?;
    let foreign = format!("mesh join {} --token {FOREIGN}", founder.ports.control);
    refuses(&foreign, &["is not the token's", "CA key hash", "mesh token create"])?;
    let cut = &cluster.line[..cluster.line.len() - 3];
    refuses(cut, &["token is damaged", "paste it again"])?;
    let brief = make("--ttl 1s")?;
    eventually("the end of a token", Duration::from_secs(10), || {
        founder.command("token list").run()?.prints(&["expired"])
    })?;
    refuses(&brief, &["has expired", "mesh token create"])?;
    let revoked = make("")?;
    let id = revoked.split('.').rev().nth(1).context("no id")?.to_owned();
    founder.command("token list").run()?.prints(&[&id])?;
    founder.command(&format!("token revoke {id}")).run()?.prints(&["revoked"])?;
    founder.command("token list").run()?.prints(&[&format!("!{id}")])?;
    founder.command(&format!("token revoke {id}")).run()?.refuses(&[&id, "mesh token list"])?;
    refuses(&revoked, &[&id, "unknown or was revoked", "mesh token create"])?;
    members(cluster, 1)
}
