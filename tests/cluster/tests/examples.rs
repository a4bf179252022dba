//! Every folder of `examples/` that has manifests, followed to the letter of its README. All at once, as people do: each has a
//! namespace of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, ensure};
use cluster::{Kubectl, Sandbox, Steps, commands, hello};
use testkit::image::Image;

/// The image of the example app.
const HELLO: &str = "example.local/hello:1";

/// What the manifests call `busybox:1.36`.
const BUSYBOX: &str = "docker.io/library/busybox:1.36";

/// The workspace's folder, where the commands are run.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Names of the examples.
fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("examples"))? {
        let folder = entry?.path();
        let is_code = folder.join("Cargo.toml").is_file();
        let name = folder.file_name().context("a name")?.to_string_lossy().into_owned();
        ensure!(is_code || folder.join("README.md").is_file(), "examples/{name} has no README.md");
        names.extend((!is_code).then_some(name));
    }
    names.sort();
    Ok(names)
}

/// Follows the README of one; the first command that does not do what it says ends it.
fn follow(kubectl: &Kubectl, name: &str) -> Result<()> {
    let readme = fs::read_to_string(root().join("examples").join(name).join("README.md"))?;
    let commands = commands(&readme);
    ensure!(!commands.is_empty(), "examples/{name}/README.md has no command");
    commands.iter().try_for_each(|command| command.run(kubectl, &root()))
}

#[test]
fn each_example_does_what_its_readme_says() {
    let sandbox = Sandbox::start("examples", 2).unwrap();
    // The other node fetches them from this one, which votes.
    let first = ["node-1".to_owned()];
    sandbox.import_on(&first, "hello", Image::program(HELLO, &hello().unwrap()).unwrap()).unwrap();
    sandbox.import_on(&first, "busybox-1.36", Image::busybox(BUSYBOX).unwrap()).unwrap();
    let kubectl = sandbox.newest("node-1");
    let names = names().unwrap();
    let mut steps = Steps::new();
    thread::scope(|scope| {
        let run = |name: &str| {
            let mut steps = Steps::new();
            steps.step(name, || follow(&kubectl, name));
            steps
        };
        let running: Vec<_> = names.iter().map(|name| scope.spawn(move || run(name))).collect();
        running.into_iter().for_each(|one| steps.extend(one.join().unwrap()));
    });
    steps.end();
}
