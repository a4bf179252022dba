//! The Python client, as others write against it: the steps of `python/client.py`, with pods. What only kubectl shows is elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster::{BUSYBOX, Program, Sandbox};

/// What all steps together may take on a busy machine; a quiet one needs ten seconds.
const LIMIT: Duration = Duration::from_secs(180);

/// Where `cargo xtask test` puts the client: it is not for the machine's own Python.
fn packages() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/python");
    assert!(folder.join("kubernetes").is_dir(), "no Python client in {}; run `cargo xtask test`", folder.display());
    folder
}

#[test]
fn the_python_client_works() {
    let packages = packages();
    let sandbox = Sandbox::start("python", 1).unwrap();
    let kubeconfig = sandbox.root().join("python.kubeconfig");
    fs::write(&kubeconfig, sandbox.dev("kubeconfig node-1").unwrap()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/client.py");
    let program = Program::new(Path::new("python3"), "").arg(script).arg(kubeconfig).arg(BUSYBOX);
    let ended = program.env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1").limit(LIMIT).run();
    println!("{}", ended.unwrap().prints(&["all done"]).unwrap());
}
