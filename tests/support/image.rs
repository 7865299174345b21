//! Container images made on the spot: one layer with a static busybox, packed as an OCI image layout that
//! `ctr images import` reads. There is no registry anywhere in the tests.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::json;
use sha2::{Digest, Sha256};

/// The busybox applets that the images have as commands.
const APPLETS: &[&str] = &[
    "cat", "chmod", "chown", "cp", "dd", "echo", "env", "false", "grep", "head", "id", "kill", "ln", "ls",
    "mkdir", "mknod", "mount", "mv", "nc", "ps", "rm", "sed", "sh", "sleep", "sync", "tail", "touch", "true",
    "uname", "vi", "wget",
];

/// An image to build.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Image<'a> {
    /// Its full name: `host/repository:tag`.
    pub(crate) name: &'a str,
    /// What it runs when a container names no command.
    pub(crate) command: &'a [&'a str],
}

/// The descriptors of a built image.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    /// The digest of its manifest, `sha256:…`, which is the image's digest to a runtime.
    pub(crate) digest: String,
    /// The digest of its configuration, without `sha256:`: what runtimes call its id.
    pub(crate) id: String,
}

struct Blob {
    digest: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        let digest = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self { digest, bytes }
    }

    fn descriptor(&self, kind: &str) -> serde_json::Value {
        json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": format!("sha256:{}", self.digest),
            "size": self.bytes.len(),
        })
    }
}

/// Writes `image` with the static program `busybox` to the archive `target`.
pub(crate) fn build(image: Image<'_>, busybox: &Path, target: &Path) -> io::Result<Built> {
    let layer = Blob::new(layer(&fs::read(busybox)?)?);
    let config = Blob::new(
        json!({
            "architecture": "amd64",
            "os": "linux",
            // The label keeps two images of one command apart: a runtime knows them by the digest of this object.
            "config": {
                "Env": ["PATH=/bin"], "Cmd": image.command, "WorkingDir": "/", "Labels": { "name": image.name }
            },
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", layer.digest)] },
        })
        .to_string()
        .into_bytes(),
    );
    let manifest = Blob::new(
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config.descriptor("config.v1+json"),
            "layers": [layer.descriptor("layer.v1.tar")],
        })
        .to_string()
        .into_bytes(),
    );
    let mut listed = manifest.descriptor("manifest.v1+json");
    listed["platform"] = json!({ "architecture": "amd64", "os": "linux" });
    listed["annotations"] = json!({ "io.containerd.image.name": image.name });
    let index = json!({ "schemaVersion": 2, "manifests": [listed] }).to_string();

    let mut archive = tar::Builder::new(fs::File::create(target)?);
    file(
        &mut archive,
        "oci-layout",
        br#"{"imageLayoutVersion":"1.0.0"}"#,
        0o644,
    )?;
    file(&mut archive, "index.json", index.as_bytes(), 0o644)?;
    for blob in [&layer, &config, &manifest] {
        let path = format!("blobs/sha256/{}", blob.digest);
        file(&mut archive, &path, &blob.bytes, 0o644)?;
    }
    archive.into_inner()?.sync_all()?;
    Ok(Built {
        digest: format!("sha256:{}", manifest.digest),
        id: config.digest,
    })
}

/// The one layer: busybox, its applets, and the files of `/etc` that rules and programs look at.
fn layer(busybox: &[u8]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for path in [
        "bin", "dev", "etc", "proc", "root", "run", "sys", "usr", "usr/bin", "var", "var/log",
    ] {
        folder(&mut archive, path, 0o755)?;
    }
    folder(&mut archive, "tmp", 0o1777)?;
    file(&mut archive, "bin/busybox", busybox, 0o755)?;
    for applet in APPLETS {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        archive.append_link(&mut header, format!("bin/{applet}"), "busybox")?;
    }
    file(
        &mut archive,
        "etc/passwd",
        b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
        0o644,
    )?;
    file(&mut archive, "etc/group", b"root:x:0:\nnobody:x:65534:\n", 0o644)?;
    file(&mut archive, "etc/shadow", b"root:*:20000:0:99999:7:::\n", 0o640)?;
    archive.into_inner()
}

fn folder<W: io::Write>(archive: &mut tar::Builder<W>, path: &str, mode: u32) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    header.set_mode(mode);
    archive.append_data(&mut header, path, io::empty())
}

fn file<W: io::Write>(archive: &mut tar::Builder<W>, path: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    archive.append_data(&mut header, path, bytes)
}
