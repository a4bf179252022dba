//! A registry with one private image: Debian's `docker-registry` in the network namespace of a node, where it is on loopback and may be
//! spoken to without TLS. Main type: [`Registry`]. The image is laid into its folder, for a pusher would be a client of its own.

mod tokens;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;
use testkit::image::Image;

use crate::Program;
use tokens::Tokens;

/// Who may have its images; the last is the password's hash.
const USER: &str = "mesh";
const PASSWORD: &str = "open-sesame";
const PASSWORD_HASH: &str = "$2y$05$abcdefghijklmnopqrstuutXu9KzOt.1yBoZUeFWoT/914/JfszCO";

/// Where they are, as their node sees them: the one that wants the password, and the one that wants a token.
const ADDRESS: &str = "127.0.0.1:5000";
const ADDRESS_WITH_TOKENS: &str = "127.0.0.1:5002";

/// A running registry; ends on drop.
#[derive(Debug)]
pub struct Registry {
    folder: PathBuf,
    address: &'static str,
    process: Child,
    tokens: Option<Tokens>,
}

impl Registry {
    /// Starts one for the node of this network namespace that asks each client for the password. It takes a moment to listen.
    ///
    /// # Errors
    /// Where there is no program for it.
    pub fn start(folder: &Path, namespace: &str) -> Result<Self> {
        let folder = folder.join("registry");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("users"), format!("{USER}:{PASSWORD_HASH}\n"))?;
        let guard = format!("{{htpasswd: {{realm: test, path: {}/users}}}}", folder.display());
        let process = serve(&folder, namespace, ADDRESS, &guard)?;
        Ok(Self { folder, address: ADDRESS, process, tokens: None })
    }

    /// Starts one that sends clients to a token server, which asks for the password.
    ///
    /// # Errors
    /// As [`Registry::start`].
    pub fn start_with_tokens(folder: &Path, namespace: &str) -> Result<Self> {
        let folder = folder.join("registry-with-tokens");
        fs::create_dir_all(&folder)?;
        let tokens = Tokens::start(namespace, USER, PASSWORD)?;
        let bundle = folder.join("tokens.pem");
        fs::write(&bundle, tokens.certificate())?;
        let guard = Tokens::settings(&bundle.display().to_string());
        let process = serve(&folder, namespace, ADDRESS_WITH_TOKENS, &guard)?;
        Ok(Self { folder, address: ADDRESS_WITH_TOKENS, process, tokens: Some(tokens) })
    }

    /// The scopes that its token server has given tokens for.
    pub fn tokens_given(&self) -> Vec<String> {
        self.tokens.as_ref().map(Tokens::given).unwrap_or_default()
    }

    /// What `kubectl create secret docker-registry` takes for it.
    pub fn credentials(&self) -> [&'static str; 3] {
        [self.address, USER, PASSWORD]
    }

    /// Gives it an image, as `<address>/<repository>:<tag>`.
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

/// `guard`: who may have its images, as its settings say that.
fn serve(folder: &Path, namespace: &str, address: &str, guard: &str) -> Result<Child> {
    let at = folder.display();
    let config = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {at}/data}}}}\n\
         http: {{addr: {address}}}\nauth: {guard}\n"
    );
    fs::write(folder.join("config.yml"), config)?;
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{namespace}")).args(["docker-registry", "serve"]);
    let process = command.arg(folder.join("config.yml")).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    process.context("docker-registry does not start")
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::create_dir_all(path.parent().context("a folder")?)?;
    Ok(fs::write(path, bytes)?)
}
