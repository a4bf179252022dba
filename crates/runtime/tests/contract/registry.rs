//! A registry of the test's own: Debian's `docker-registry` on loopback, and a pusher that speaks just enough HTTP.
//! Main type: [`Registry`].

use crate::{
    fixture::{START_POLL, START_TIMEOUT, find},
    image::{self, Content, MANIFEST, Packing, architecture, content, descriptor, digest},
};
use serde_json::json;
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

/// Who may have what is private; the second is the first's hash.
const USER: &str = "mesh";
const PASSWORD: &str = "secret";
const PASSWORD_HASH: &str = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
/// Both, as HTTP says them.
const BASIC: &str = "Basic bWVzaDpzZWNyZXQ=";

/// A running registry.
pub(crate) struct Registry {
    process: Child,
    address: String,
    private: bool,
}

impl Registry {
    /// Starts one with a folder of its own; `None` where there is no program for it.
    pub(crate) async fn start(folder: &Path, private: bool) -> Option<Self> {
        if find("docker-registry").is_none() {
            eprintln!("not run: docker-registry is missing");
            return None;
        }
        let folder = folder.join(format!("registry-{private}"));
        fs::create_dir_all(&folder).expect("a folder");
        // Free now; taken by nobody else until the registry has it, or the test fails.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").to_string();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {0}/data}}}}\nhttp: {{addr: {address}}}\n",
            folder.display()
        );
        if private {
            fs::write(folder.join("users"), format!("{USER}:{PASSWORD_HASH}\n")).expect("writes");
            config += &format!("auth: {{htpasswd: {{realm: test, path: {}/users}}}}\n", folder.display());
        }
        fs::write(folder.join("config.yml"), config).expect("writes");
        let log = fs::File::create(folder.join("log")).expect("a log");
        let mut program = Command::new("docker-registry");
        let process = program
            .arg("serve")
            .arg(folder.join("config.yml"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it starts");
        let registry = Self { process, address, private };
        let up = async {
            while TcpStream::connect(&registry.address).is_err() {
                // awaited: it tells nobody when it listens.
                tokio::time::sleep(START_POLL).await;
            }
        };
        tokio::time::timeout(START_TIMEOUT, up).await.expect("it listens");
        Some(registry)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Pushes busybox, and returns its manifest's digest.
    pub(crate) fn push(&self, repository: &str, tag: &str, packing: &Packing) -> String {
        let Content { layer, config, manifest } = content(packing);
        for blob in [&layer, &config] {
            let started = self.ask("POST", &format!("/v2/{repository}/blobs/uploads/"), "", &[]);
            let location = started.lines().find_map(|line| line.strip_prefix("Location: ")).expect("a place").trim();
            let path = location.split_once(&self.address).map_or(location, |(_, path)| path);
            let stored = self.ask("PUT", &format!("{path}&digest={}", digest(blob)), "application/octet-stream", blob);
            assert!(stored.starts_with("HTTP/1.1 201"), "{stored}");
        }
        self.put_manifest(repository, tag, MANIFEST, &manifest);
        digest(&manifest)
    }

    /// Pushes an index that says what a manifest of the same repository is for.
    pub(crate) fn push_index(&self, repository: &str, tag: &str, is_for_us: bool) {
        let Content { manifest, .. } = image::content(&Packing::Gzip);
        let mut ours = descriptor(MANIFEST, &manifest);
        ours["platform"] = json!({ "os": "linux", "architecture": architecture() });
        let mut other = descriptor(MANIFEST, &manifest);
        other["platform"] = json!({ "os": "linux", "architecture": "s390x" });
        let manifests = if is_for_us { vec![other, ours] } else { vec![other] };
        let form = "application/vnd.oci.image.index.v1+json";
        let index = json!({ "schemaVersion": 2, "mediaType": form, "manifests": manifests });
        self.put_manifest(repository, tag, form, index.to_string().as_bytes());
    }

    fn put_manifest(&self, repository: &str, tag: &str, form: &str, manifest: &[u8]) {
        let stored = self.ask("PUT", &format!("/v2/{repository}/manifests/{tag}"), form, manifest);
        assert!(stored.starts_with("HTTP/1.1 201"), "{stored}");
    }

    fn ask(&self, method: &str, path: &str, form: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("connects");
        let who = if self.private { format!("Authorization: {BASIC}\r\n") } else { String::new() };
        let (address, length) = (&self.address, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{who}Content-Type: {form}\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("sends");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answers");
        answer
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Who may have what is private.
pub(crate) fn credentials() -> runtime::Credentials {
    runtime::Credentials { username: USER.into(), password: PASSWORD.into(), identity_token: None }
}
