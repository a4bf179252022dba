//! Container images written without any tool or registry. Main type: [`Image`].
//! Spec: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>. One layer, not compressed.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Where Debian's busybox-static lies, new and old.
const BUSYBOX: [&str; 2] = ["/bin/busybox", "/usr/bin/busybox"];

/// Names under which busybox is called in [`Image::busybox`].
const PROGRAMS: &[&str] = &[
    "sh",
    "sleep",
    "cat",
    "hostname",
    "ls",
    "id",
    "seq",
    "yes",
    "head",
    "tail",
    "dd",
    "usleep",
    "true",
    "false",
    "env",
    "echo",
    "nslookup",
    "wget",
    "nc",
    "ping",
    "ip",
    "ps",
    "kill",
    "stty",
    "grep",
    "sed",
    "awk",
    "wc",
    "date",
    "touch",
    "mkdir",
    "rm",
    "stat",
    "readlink",
    "mount",
    "df",
    "tar",
    "cp",
    "mv",
    "printf",
    "test",
    "timeout",
    "tee",
    "md5sum",
    "sha256sum",
    "httpd",
    "od",
    "tr",
    "cut",
    "sort",
    "uniq",
    "chmod",
    "chown",
    "ln",
    "du",
    "find",
    "xargs",
    "hexdump",
    "uname",
    "top",
    "free",
    "nproc",
];

/// Programs for the processor this runs on.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// An image in the making.
pub struct Image {
    reference: String,
    config: Value,
    layer: tar::Builder<Vec<u8>>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image").field("reference", &self.reference).finish_non_exhaustive()
    }
}

impl Image {
    /// An empty image of this full name, as `example.local/hello:1`.
    pub fn new(reference: &str) -> Self {
        Self { reference: reference.into(), config: json!({}), layer: tar::Builder::new(Vec::new()) }
    }

    /// A shell and the usual programs; needs Debian's package busybox-static.
    ///
    /// # Errors
    /// Where that is not installed.
    pub fn busybox(reference: &str) -> io::Result<Self> {
        let path = BUSYBOX.iter().find(|path| Path::new(path).is_file());
        let path = path.ok_or_else(|| io::Error::other("no busybox: install the package busybox-static"))?;
        let image = Self::new(reference).file("bin/busybox", &std::fs::read(path)?, 0o755)?;
        let image = image.file("etc/passwd", b"root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n", 0o644)?;
        let image = image.file("etc/group", b"root:x:0:\nnogroup:x:65534:\n", 0o644)?.folder("tmp", 0o1777)?;
        let image = PROGRAMS.iter().try_fold(image, |image, name| image.link(&format!("bin/{name}"), "busybox"))?;
        Ok(image.set("Env", json!(["PATH=/bin"])).set("Cmd", json!(["sh"])))
    }

    /// A program of this machine with the libraries it names, as `ldd` lists them.
    ///
    /// # Errors
    /// Where it or one of them cannot be read.
    pub fn program(reference: &str, path: &Path) -> io::Result<Self> {
        let listed = Command::new("ldd").arg(path).output()?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let libraries = listed.split_whitespace().filter(|word| word.starts_with('/'));
        let image = Self::new(reference).file("program", &std::fs::read(path)?, 0o755)?;
        let add = |image: Self, library: &str| image.file(&library[1..], &std::fs::read(library)?, 0o755);
        Ok(libraries.into_iter().try_fold(image, add)?.set("Entrypoint", json!(["/program"])))
    }

    /// Adds a file; the path has no leading slash.
    ///
    /// # Errors
    /// Where the path is too long for the format.
    pub fn file(mut self, path: &str, content: &[u8], mode: u32) -> io::Result<Self> {
        append(&mut self.layer, path, content, mode)?;
        Ok(self)
    }

    /// Adds an empty folder.
    ///
    /// # Errors
    /// As [`Image::file`].
    pub fn folder(mut self, path: &str, mode: u32) -> io::Result<Self> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(mode);
        header.set_size(0);
        self.layer.append_data(&mut header, path, io::empty())?;
        Ok(self)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// As [`Image::file`].
    pub fn link(mut self, path: &str, target: &str) -> io::Result<Self> {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        self.layer.append_link(&mut header, path, target)?;
        Ok(self)
    }

    /// Sets a field of its configuration, as `Env`, `Entrypoint`, `User`.
    #[must_use]
    pub fn set(mut self, field: &str, value: Value) -> Self {
        self.config[field] = value;
        self
    }

    /// Writes it as an archive that `mesh image import` takes.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(self, path: &Path) -> io::Result<()> {
        let layer = self.layer.into_inner()?;
        let config = json!({
            "architecture": ARCHITECTURE, "os": "linux", "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
        });
        let manifest = manifest.to_string().into_bytes();
        let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
        entry["annotations"] = json!({ "io.containerd.image.name": self.reference });
        let index = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string().into_bytes();
        let mut archive = tar::Builder::new(File::create(path)?);
        append(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644)?;
        append(&mut archive, "index.json", &index, 0o644)?;
        for blob in [&layer, &config, &manifest] {
            append(&mut archive, &format!("blobs/{}", digest(blob).replace(':', "/")), blob, 0o644)?;
        }
        archive.into_inner()?.flush()
    }
}

fn append<W: Write>(archive: &mut tar::Builder<W>, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    archive.append_data(&mut header, name, content)
}

fn digest(content: &[u8]) -> String {
    let digest: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digest}")
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(content), "size": content.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_holds_what_its_index_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("image.tar");
        let image = Image::new("example.local/a:1").file("a", b"content", 0o755).expect("a file");
        image.set("Entrypoint", json!(["/a"])).write(&path).expect("written");
        let mut archive = tar::Archive::new(File::open(&path).expect("opened"));
        let names: Vec<_> = archive
            .entries()
            .expect("entries")
            .map(|entry| entry.expect("an entry").path().expect("a path").display().to_string())
            .collect();
        assert_eq!(names.len(), 5);
        assert_eq!(names[..2], ["oci-layout", "index.json"]);
    }
}
