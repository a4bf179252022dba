//! A registry with one private image: Debian's `docker-registry` in the network namespace of a node, where it is on loopback and may be
//! spoken to without TLS. Main type: [`Registry`]. The image is laid into its folder, for a pusher would be a client of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;
use testkit::image::Image;

use crate::Program;

/// Who may have its images; the last is the password's hash.
const USER: &str = "mesh";
const PASSWORD: &str = "open-sesame";
const PASSWORD_HASH: &str = "$2y$05$abcdefghijklmnopqrstuutXu9KzOt.1yBoZUeFWoT/914/JfszCO";

/// Where it is, as its node sees it.
const ADDRESS: &str = "127.0.0.1:5000";

/// A running registry; ends on drop.
#[derive(Debug)]
pub struct Registry {
    folder: PathBuf,
    process: Child,
}

impl Registry {
    /// Starts one for the node of this network namespace. It takes a moment to listen.
    ///
    /// # Errors
    /// Where there is no program for it.
    pub fn start(folder: &Path, namespace: &str) -> Result<Self> {
        let folder = folder.join("registry");
        fs::create_dir_all(&folder)?;
        let at = folder.display();
        fs::write(folder.join("users"), format!("{USER}:{PASSWORD_HASH}\n"))?;
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {at}/data}}}}\n\
             http: {{addr: {ADDRESS}}}\nauth: {{htpasswd: {{realm: test, path: {at}/users}}}}\n"
        );
        fs::write(folder.join("config.yml"), config)?;
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{namespace}")).args(["docker-registry", "serve"]);
        let process = command.arg(folder.join("config.yml")).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Self { folder, process: process.context("docker-registry does not start")? })
    }

    /// What `kubectl create secret docker-registry` takes for it.
    pub fn credentials(&self) -> [&'static str; 3] {
        [ADDRESS, USER, PASSWORD]
    }

    /// Gives it an image, as `127.0.0.1:5000/<repository>:<tag>`.
    ///
    /// # Errors
    /// Where its folder cannot be written.
    pub fn put(&self, repository: &str, tag: &str, image: Image) -> Result<()> {
        let layout = self.folder.join("layout");
        fs::create_dir_all(&layout)?;
        let archive = self.folder.join("image.tar");
        image.write(&archive)?;
        Program::new(Path::new("tar"), "-xf").arg(&archive).arg("-C").arg(&layout).run()?.prints(&[])?;
        let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
        let manifest = index["manifests"][0]["digest"].as_str().context("a manifest")?.replace("sha256:", "");
        let (root, whose) = (self.folder.join("data/docker/registry/v2"), format!("repositories/{repository}"));
        for blob in fs::read_dir(layout.join("blobs/sha256"))? {
            let blob = blob?;
            let digest = blob.file_name().to_string_lossy().into_owned();
            write(&root.join(format!("blobs/sha256/{}/{digest}/data", &digest[..2])), &fs::read(blob.path())?)?;
            write(&root.join(format!("{whose}/_layers/sha256/{digest}/link")), format!("sha256:{digest}").as_bytes())?;
        }
        let links = [
            format!("revisions/sha256/{manifest}"),
            format!("tags/{tag}/current"),
            format!("tags/{tag}/index/sha256/{manifest}"),
        ];
        links.iter().try_for_each(|link| {
            write(&root.join(format!("{whose}/_manifests/{link}/link")), format!("sha256:{manifest}").as_bytes())
        })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::create_dir_all(path.parent().context("a folder")?)?;
    Ok(fs::write(path, bytes)?)
}
