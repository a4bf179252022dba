//! The introductory guides, word for word, with the oldest and the newest kubectl; and `docs/kubectl.md`, which says what works.

#[path = "tutorial/rows.rs"]
mod rows;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::{Kubectl, Sandbox, Steps, clients};

/// After so many topics there are a web server and a client.
const SERVED: usize = 2;

/// How long one answer may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn the_guides_work_as_they_are_written() {
    let sandbox = Sandbox::start("tutorial", 2).unwrap();
    let mut steps = Steps::new();
    for client in clients() {
        let (kubectl, namespace) = (sandbox.kubectl(client, "node-2"), &*format!("t{}", client.minor));
        for (at, (name, rows)) in rows::TOPICS.iter().enumerate() {
            if at == SERVED {
                steps.step("port-forward to a pod, a deployment, a Service", || forward(&kubectl, namespace));
                steps.step("proxy", || proxy(&kubectl, namespace));
                steps.step("cp, there and back", || copy(&kubectl, namespace, sandbox.root()));
                steps
                    .step("diff, kustomize, a context with a namespace", || files(&kubectl, namespace, sandbox.root()));
            }
            steps.step(name, || rows.iter().try_for_each(|row| row.run(&kubectl, namespace)));
        }
    }
    steps.step("explain knows every field of every kind", || explain(&sandbox.newest("node-1")));
    steps.end();
}

fn forward(kubectl: &Kubectl, namespace: &str) -> Result<()> {
    let pod = kubectl.prints(&format!("get -n {namespace} pods -l app=web -o name"), "", &["pod/"])?;
    let pod = pod.lines().next().context("a pod")?;
    for target in [format!("{pod} :8080"), "deployment/web :8080".into(), "service/web :80".into()] {
        let forwarding = kubectl.follow(&format!("port-forward -n {namespace} {target}"))?;
        let says = forwarding.says("Forwarding from 127.0.0.1:")?;
        let port = says.split(&[':', ' '][..]).find_map(|word| word.parse::<u16>().ok()).context("a port")?;
        for _ in 0..2 {
            let answer = ask(port, "/").with_context(|| target.clone())?;
            ensure!(answer.contains("web-"), "{target}: {answer}");
        }
    }
    Ok(())
}

fn proxy(kubectl: &Kubectl, namespace: &str) -> Result<()> {
    let proxy = kubectl.follow("proxy --port=0")?;
    let says = proxy.says("Starting to serve on")?;
    let port = says.rsplit(':').next().and_then(|port| port.trim().parse().ok()).context("a port")?;
    let answer = ask(port, &format!("/api/v1/namespaces/{namespace}/pods/client"))?;
    ensure!(answer.contains("\"name\":\"client\"") || answer.contains("\"name\": \"client\""), "{answer}");
    Ok(())
}

/// One plain request to this machine.
fn ask(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn copy(kubectl: &Kubectl, namespace: &str, root: &Path) -> Result<()> {
    let (there, back) = (root.join(format!("{namespace}-there")), root.join(format!("{namespace}-back")));
    let bytes: Vec<u8> = (0..3_000_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    fs::write(&there, &bytes)?;
    kubectl.prints(&format!("cp {} {namespace}/client:/tmp/copied", there.display()), "", &[])?;
    kubectl.prints(&format!("cp {namespace}/client:/tmp/copied {}", back.display()), "", &[])?;
    ensure!(fs::read(&back)? == bytes, "what came back differs");
    Ok(())
}

fn files(kubectl: &Kubectl, namespace: &str, root: &Path) -> Result<()> {
    let folder = root.join(format!("{namespace}-kustomize"));
    fs::create_dir_all(&folder)?;
    let kustomization =
        format!("namespace: {namespace}\nnamePrefix: k-\nconfigMapGenerator:\n- name: made\n  literals: [a=b]\n");
    fs::write(folder.join("kustomization.yaml"), kustomization)?;
    kubectl.prints(&format!("kustomize {}", folder.display()), "", &["kind: ConfigMap", "name: k-made-"])?;
    // It tells by its exit code that there are differences.
    let diff = kubectl.run(&format!("diff -k {}", folder.display()), "")?;
    ensure!(diff.code == Some(1), "diff of what is not there: {diff:?}");
    kubectl.prints(&format!("apply -k {}", folder.display()), "", &["configmap/k-made-", "created"])?;
    kubectl.prints(&format!("diff -k {}", folder.display()), "", &[])?;
    kubectl.prints(&format!("config set-context --current --namespace={namespace}"), "", &["modified"])?;
    kubectl.prints("get pods -o name", "", &["pod/client"])?;
    kubectl.prints("config set-context --current --namespace=default", "", &["modified"])?;
    Ok(())
}

fn explain(kubectl: &Kubectl) -> Result<()> {
    let kinds = kubectl.prints("api-resources --no-headers", "", &["pods", "deployments"])?;
    for line in kinds.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, .., version, _, _] = words.as_slice() else { continue };
        let asked = format!("explain {name} --recursive --api-version={version}");
        kubectl.prints(&asked, "", &["KIND:", "VERSION:", "metadata"])?;
    }
    Ok(())
}

/// The lines of `docs/kubectl.md`: command and state.
fn told() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/kubectl.md");
    let text = fs::read_to_string(path).expect("docs/kubectl.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once("` | ")).map(|(one, two)| (one.into(), two.into())).collect()
}

fn sources() -> String {
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")];
    let mut all = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("tests").map(Result::unwrap) {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => all.push_str(&fs::read_to_string(path).unwrap_or_default()),
            }
        }
    }
    all
}

#[test]
fn what_is_told_to_work_is_run_by_a_test() {
    let sources = sources();
    for (command, state) in told() {
        let run = sources.contains(&format!("\"{command} ")) || sources.contains(&format!("\"{command}\""));
        assert!(run || !state.starts_with("works"), "`{command}` is told to work, and no test runs it");
    }
}

#[test]
fn every_command_of_the_newest_kubectl_is_told_of() {
    let (told, root) = (told(), tempfile::tempdir().unwrap());
    let told: BTreeSet<&str> = told.iter().filter_map(|(command, _)| command.split(' ').next()).collect();
    let help = Kubectl::new(&clients()[clients().len() - 1], root.path(), root.path().join("none"));
    let help = help.prints("help", "", &["Basic Commands"]).unwrap();
    let named = help.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let named: BTreeSet<&str> = named.filter_map(|line| line.split_whitespace().next()).collect();
    let missing: Vec<_> = named.difference(&told).filter(|name| **name != "kubectl").collect();
    assert!(named.len() > 30 && missing.is_empty(), "docs/kubectl.md says nothing of {missing:?}");
}
