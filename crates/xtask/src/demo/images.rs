//! The images of the tour: the example app, and a shell to call it from.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;
use testkit::image::Image;

use super::sandbox::Sandbox;
use crate::build;

/// The example app.
const HELLO: &str = "example.local/hello:1";

/// A shell.
pub(super) const BUSYBOX: &str = "example.local/busybox:1";

/// Builds them and imports them on every node.
pub(super) fn import(root: &Path, sandbox: &Sandbox) -> Result<String> {
    let program = build::build_static(root, "hello")?;
    let content = std::fs::read(&program).with_context(|| program.display().to_string())?;
    let folder = root.join("target/images");
    std::fs::create_dir_all(&folder)?;
    let (hello, busybox) = (folder.join("hello.tar"), folder.join("busybox.tar"));
    Image::new(HELLO).file("hello", &content, 0o755)?.set("Entrypoint", json!(["/hello"])).write(&hello)?;
    Image::busybox(BUSYBOX)?.write(&busybox)?;
    for node in sandbox.names()? {
        sandbox.on(&node, &["image", "import", &hello.to_string_lossy(), &busybox.to_string_lossy()])?;
    }
    Ok(format!("{HELLO}, {} KiB", content.len() >> 10))
}
