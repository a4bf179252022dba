//! An image with busybox in it, written without any tool or registry.

use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    io::Write,
    path::{Path, PathBuf},
};

/// Names under which busybox is called.
const PROGRAMS: &[&str] = &["sh", "sleep", "cat", "hostname", "ls", "id", "seq", "yes", "head", "dd", "usleep", "true"];

/// An image's content.
pub(crate) struct Content {
    pub(crate) layer: Vec<u8>,
    pub(crate) config: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
}

/// How its layer is packed.
pub(crate) enum Packing {
    Gzip,
    Zstd,
}

/// An image with busybox in it.
pub(crate) fn content(packing: &Packing) -> Content {
    let layer = layer();
    let config = json!({
        "architecture": architecture(),
        "os": "linux",
        "config": { "Env": ["FROM_IMAGE=yes"], "User": "web" },
        "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
    });
    let config = config.to_string().into_bytes();
    let (kind, packed) = match packing {
        Packing::Gzip => ("gzip", gzip(&layer)),
        Packing::Zstd => ("zstd", zstd(&layer)),
    };
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor(&format!("application/vnd.oci.image.layer.v1.tar+{kind}"), &packed)],
    });
    Content { layer: packed, config, manifest: manifest.to_string().into_bytes() }
}

/// The form of a manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// This machine, as images name it.
pub(crate) fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("compresses");
    gzip.finish().expect("compresses")
}

/// A frame of blocks that are stored as they are (RFC 8878, 3.1.1).
fn zstd(bytes: &[u8]) -> Vec<u8> {
    const BLOCK_BYTES_MAX: usize = 128 << 10;
    // No checksum, a window of 128 KiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    let blocks: Vec<&[u8]> = bytes.chunks(BLOCK_BYTES_MAX).collect();
    for (at, block) in blocks.iter().enumerate() {
        let last = u32::from(at + 1 == blocks.len());
        let header = last | (u32::try_from(block.len()).expect("small") << 3);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.extend_from_slice(block);
    }
    frame
}

/// Writes an archive with the image `mesh.test/busybox:1` and returns its path.
pub(crate) fn write(folder: &Path) -> PathBuf {
    let Content { layer: packed, config, manifest } = content(&Packing::Gzip);
    let mut entry = descriptor(MANIFEST, &manifest);
    entry["annotations"] = json!({ "io.containerd.image.name": "mesh.test/busybox:1" });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string().into_bytes();

    let path = folder.join("busybox.tar");
    let mut archive = tar::Builder::new(std::fs::File::create(&path).expect("a file"));
    append(&mut archive, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644);
    append(&mut archive, "index.json", &index, 0o644);
    for blob in [&packed, &config, &manifest] {
        append(&mut archive, &format!("blobs/{}", digest(blob).replace(':', "/")), blob, 0o644);
    }
    archive.into_inner().expect("writes");
    path
}

fn layer() -> Vec<u8> {
    let busybox = std::fs::read("/bin/busybox").or_else(|_| std::fs::read("/usr/bin/busybox")).expect("busybox-static");
    let mut layer = tar::Builder::new(Vec::new());
    append(&mut layer, "bin/busybox", &busybox, 0o755);
    append(&mut layer, "etc/passwd", b"root:x:0:0::/:/bin/sh\nweb:x:33:44::/:/bin/sh\n", 0o644);
    append(&mut layer, "etc/group", b"root:x:0:\nlogs:x:7:web\n", 0o644);
    for name in PROGRAMS {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        layer.append_link(&mut header, format!("bin/{name}"), "busybox").expect("appends");
    }
    layer.into_inner().expect("a layer")
}

fn append<W: Write>(archive: &mut tar::Builder<W>, name: &str, content: &[u8], mode: u32) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    archive.append_data(&mut header, name, content).expect("appends");
}

pub(crate) fn digest(content: &[u8]) -> String {
    let digest: Vec<String> = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{}", digest.concat())
}

pub(crate) fn descriptor(media_type: &str, content: &[u8]) -> serde_json::Value {
    json!({ "mediaType": media_type, "digest": digest(content), "size": content.len() })
}
