//! A sandbox's networks: a bridge in a namespace of its own joins the nodes, one veth leads to the host, and packets
//! to the outside carry the host's address. No bridge of the host is used, so a firewall there (Docker's) sees none
//! of the nodes' traffic among themselves.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Node, Sandbox, subnet};

/// The switch that packets of the host's forwarding stand behind.
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// Where named network namespaces are, see ip-netns(8).
pub(super) fn namespace_path(namespace: &str) -> PathBuf {
    Path::new("/run/netns").join(namespace)
}

impl Sandbox {
    /// The namespace of its bridge.
    fn switch(&self) -> String {
        format!("mesh-{}", self.name)
    }

    /// The host's end of the veth.
    fn uplink(&self) -> String {
        format!("mdev{}", self.subnet)
    }

    fn table(&self) -> String {
        format!("mesh-dev-{}", self.name)
    }
}

/// Makes what is not there.
pub(super) fn wire(sandbox: &Sandbox) -> Result<()> {
    if !namespace_path(&sandbox.switch()).exists() {
        join_host(sandbox)?;
    }
    for node in sandbox.nodes() {
        if !namespace_path(&node.namespace()).exists() {
            join_node(sandbox, &node)?;
        }
    }
    translate(sandbox)
}

fn join_host(sandbox: &Sandbox) -> Result<()> {
    let (switch, uplink, gateway) = (sandbox.switch(), sandbox.uplink(), subnet::gateway(sandbox.subnet));
    ip(&format!(
        "netns add {switch}\n\
         link add {uplink} type veth peer name host netns {switch}\n\
         address add {gateway}/24 dev {uplink}\n\
         link set {uplink} up\n"
    ))?;
    ip_in(&switch, "link set lo up\nlink add br0 type bridge\nlink set br0 up\nlink set host master br0 up\n")
}

fn join_node(sandbox: &Sandbox, node: &Node<'_>) -> Result<()> {
    let (switch, namespace, port) = (sandbox.switch(), node.namespace(), node.name());
    let (address, gateway) = (node.address(), subnet::gateway(sandbox.subnet));
    ip(&format!("netns add {namespace}\n"))?;
    ip_in(
        &switch,
        &format!("link add {port} type veth peer name eth0 netns {namespace}\nlink set {port} master br0 up\n"),
    )?;
    ip_in(
        &namespace,
        &format!(
            "link set lo up\naddress add {address}/24 dev eth0\nlink set eth0 up\nroute add default via {gateway}\n"
        ),
    )
}

/// Lets nodes reach what the host reaches.
fn translate(sandbox: &Sandbox) -> Result<()> {
    std::fs::write(FORWARDING, "1").context(FORWARDING)?;
    let (table, uplink, gateway) = (sandbox.table(), sandbox.uplink(), subnet::gateway(sandbox.subnet));
    nft(&format!(
        "table ip {table} {{}}\n\
         delete table ip {table}\n\
         table ip {table} {{\n\
           chain postrouting {{\n\
             type nat hook postrouting priority srcnat;\n\
             ip saddr {gateway}/24 oifname != \"{uplink}\" masquerade\n\
           }}\n\
         }}\n"
    ))?;
    pass_docker(sandbox)
}

/// Docker drops what it does not know of; its own chain for others' rules is the way in.
fn pass_docker(sandbox: &Sandbox) -> Result<()> {
    let Some(rules) = docker_rules()? else { return Ok(()) };
    let (mark, uplink) = (sandbox.table(), sandbox.uplink());
    if rules.contains(&format!("\"{mark}\"")) {
        return Ok(());
    }
    nft(&format!(
        "insert rule ip filter DOCKER-USER iifname \"{uplink}\" accept comment \"{mark}\"\n\
         insert rule ip filter DOCKER-USER oifname \"{uplink}\" accept comment \"{mark}\"\n"
    ))
}

fn docker_rules() -> Result<Option<String>> {
    let output = Command::new("nft").args(["-a", "list", "chain", "ip", "filter", "DOCKER-USER"]).output()?;
    Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Removes all of it; what is gone already is not missed.
pub(super) fn remove(sandbox: &Sandbox) -> Result<()> {
    for node in sandbox.nodes() {
        unname(&node.namespace())?;
    }
    // By name first: with its namespace alone it would go some time later, and be in the way of the next of its name.
    if Path::new("/sys/class/net").join(sandbox.uplink()).exists() {
        ip(&format!("link delete {}\n", sandbox.uplink()))?;
    }
    unname(&sandbox.switch())?;
    let table = sandbox.table();
    nft(&format!("table ip {table} {{}}\ndelete table ip {table}\n"))?;
    let mark = format!("comment \"{table}\"");
    for rule in docker_rules()?.unwrap_or_default().lines().filter(|rule| rule.contains(&mark)) {
        if let Some((_, handle)) = rule.rsplit_once("# handle ") {
            nft(&format!("delete rule ip filter DOCKER-USER handle {handle}\n"))?;
        }
    }
    Ok(())
}

fn unname(namespace: &str) -> Result<()> {
    if namespace_path(namespace).exists() {
        ip(&format!("netns delete {namespace}\n"))?;
    }
    Ok(())
}

/// Takes a node's cable out, or puts it back.
pub(super) fn plug(sandbox: &Sandbox, node: &Node<'_>, plugged: bool) -> Result<()> {
    let state = if plugged { "up" } else { "down" };
    ip_in(&sandbox.switch(), &format!("link set {} {state}\n", node.name()))
}

fn ip(lines: &str) -> Result<()> {
    feed(Command::new("ip").args(["-batch", "-"]), lines)
}

fn ip_in(namespace: &str, lines: &str) -> Result<()> {
    feed(Command::new("ip").args(["-netns", namespace, "-batch", "-"]), lines)
}

fn nft(lines: &str) -> Result<()> {
    feed(Command::new("nft").args(["-f", "-"]), lines)
}

/// Runs a program with this on its standard input.
fn feed(command: &mut Command, lines: &str) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    child.stdin.take().context("it has an input")?.write_all(lines.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{program} refused: {}\n{lines}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
