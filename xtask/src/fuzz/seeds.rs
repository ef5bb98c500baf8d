//! What the targets begin with.

use std::fs;
use std::path::Path;

use anyhow::ensure;
use countersign_sandbox::image::{Entry, EntryKind, Layer, LayerBuilder};

use super::Target;
use crate::command::workspace;

const REFERENCES: [&str; 13] = [
    "alpine",
    "quay.io/example/app:v1",
    "localhost:5000/a/b-c__d@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    "[::1]:5000/app:v1",
    "index.docker.io/library/alpine:3",
    "sha512:44136fa3",
    "linux/arm/v7",
    "oci:/tmp/layout:v1",
    "oci://quay.io/example/app:v1",
    "ocifile:///srv/layout",
    "https://example.org/app.tar.gz?token=x",
    "http://example.org/app.tar",
    "file:///srv/app",
];
const CHALLENGES: [&str; 5] = [
    "Bearer realm=\"https://auth.example/token\",service=\"registry\",scope=\"repository:app:pull\"",
    "Basic realm=\"a \\\" b\"",
    "Negotiate, Bearer realm=\"https://a\"",
    "NTLM TlRMTVNTUAAB==, Basic realm=x",
    "Bearer realm=\"",
];
const POLICIES: [&str; 4] = [
    "verification:\n  issuer: https://ci.example\n  identity_regex: https://github\\.com/a/b/.+\n  not_before: \"2026-01-01T00:00:00Z\"\n  claims: { source_repository_uri: x }\n",
    "require_integrity: true\ngalleries:\n- name: a\n  url: https://a.example/index.yaml\n  mirrors: [https://b.example/index.yaml]\n  verification: &v { issuer: a, identity: b }\n- { name: b, url: \"file:///x\", verification: *v }\n",
    "- &a\n  name: chat\n  uri: quay.io/example/chat:v1\n  mirrors: [oci://a.example/chat]\n  capabilities: { nvidia: x, default: y }\n- !!merge\n  <<: *a\n  name: b\n",
    "default: deny\nmode: warn\nrules:\n- images: [\"quay.io/**\"]\n  verification: { issuer: a, identity: b }\n- images: [\"registry.k8s.io/**\"]\n  allow: true\n  reason: x\n",
];
const LOCK: &str = "version: 1\nentries:\n- name: chat\n  platform: linux/amd64\n  gallery: example\n  entry: chat\n  source: quay.io/example/chat:v1\n  digest: sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n  grounds: digest\n";

/// Writes the seeds of `target` to `directory`.
///
/// # Errors
/// Those of the file system.
pub(super) fn write(target: Target, directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    for (number, seed) in seeds(target)?.into_iter().enumerate() {
        fs::write(directory.join(number.to_string()), seed)?;
    }
    Ok(())
}

fn seeds(target: Target) -> anyhow::Result<Vec<Vec<u8>>> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    Ok(match target {
        Target::References => texts(&REFERENCES),
        Target::Challenges => texts(&CHALLENGES),
        Target::Policies => texts(&POLICIES),
        Target::Locks => texts(&[LOCK]),
        Target::Documents => fixtures("image.json")?,
        Target::Bundles => fixtures("bundle.json")?,
        Target::Referrers => referrers()?,
        Target::Legacy => vec![legacy()],
        Target::Archives => [archives(), field()?].concat(),
        // Made up from nothing: each of their bytes decides something.
        Target::Layers => Vec::new(),
    })
}

fn fixtures(file: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(workspace().join("fixtures"))? {
        let path = entry?.path().join(file);
        if path.is_file() {
            found.push(fs::read(path)?);
        }
    }
    ensure!(
        !found.is_empty(),
        "expected {file} in a folder of fixtures, found none"
    );
    Ok(found)
}

/// A list, after the header that names the next page.
fn referrers() -> anyhow::Result<Vec<Vec<u8>>> {
    let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let entry = format!(
        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":200,"artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json","annotations":{{"dev.sigstore.bundle.content":"dsse-envelope"}}}}"#
    );
    let list = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{entry},{entry}]}}"#
    );
    let link = format!("</v2/app/referrers/{digest}?last=b>; rel=\"next\"");
    let mut lists = vec![format!("{link}\n{list}").into_bytes()];
    lists.extend(fixtures("image.json")?);
    Ok(lists)
}

/// Layers as builders in the field write them.
fn field() -> anyhow::Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(workspace().join("fixtures/layers"))? {
        let mut input = vec![0];
        input.extend(fs::read(entry?.path())?);
        found.push(input);
    }
    Ok(found)
}

fn legacy() -> Vec<u8> {
    let payload = r#"{"critical":{"identity":{"docker-reference":"localhost:5000/app"},"image":{"docker-manifest-digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"type":"cosign container image signature"},"optional":null}"#;
    let descriptor = r#"{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":200,"annotations":{"dev.cosignproject.cosign/signature":"MEUC","dev.sigstore.cosign/certificate":"-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n","dev.sigstore.cosign/bundle":"{\"SignedEntryTimestamp\":\"MEUC\",\"Payload\":{\"body\":\"e30=\",\"integratedTime\":1,\"logIndex\":1,\"logID\":\"c0ff\"}}"}}"#;
    format!("{descriptor}\n{payload}").into_bytes()
}

/// The first byte is one less than the number of layers. All have the same number of blocks.
fn archives() -> Vec<Vec<u8>> {
    let file = |name: &str| Entry::file(name, b"content").mode(0o644);
    let link = |kind, name: &str, target: &str| Entry::new(kind, name).link(target);
    let tar = |entries: Vec<Entry>| {
        let entries = entries.into_iter();
        entries.fold(Layer::builder(), LayerBuilder::entry).tar()
    };
    let plain = tar(vec![
        Entry::new(EntryKind::Directory, "d").mode(0o755),
        file("d/x"),
        file("d/x").pax("mtime", "1.5"),
        file("./e/../f"),
        file("long").pax("path", [b'n'; 120]),
    ]);
    let links = tar(vec![
        file("a"),
        link(EntryKind::Hardlink, "b", "a"),
        link(EntryKind::Symlink, "c", "d"),
        Entry::new(EntryKind::Directory, "d").mode(0o755),
        file("c/x"),
        link(EntryKind::Symlink, "up", "../../outside"),
    ]);
    let whiteouts = tar(vec![
        file("d/.wh.x"),
        file("e/.wh..wh..opq"),
        file("c/.wh.x"),
    ]);
    let sparse = tar(vec![
        file("s")
            .pax("GNU.sparse.major", "1")
            .pax("GNU.sparse.minor", "0")
            .pax("GNU.sparse.realsize", "9000"),
        Entry::new(EntryKind::Other(b'L'), "././@LongLink").content([b'l'; 130]),
        file("cut"),
    ]);
    let with = |count: u8, layers: &[&Vec<u8>]| {
        let longest = layers
            .iter()
            .map(|layer| layer.len())
            .max()
            .unwrap_or_default();
        let mut input = vec![count - 1];
        for layer in layers {
            input.extend_from_slice(layer);
            input.resize(input.len() + longest - layer.len(), 0);
        }
        input
    };
    vec![
        with(1, &[&plain]),
        with(1, &[&links]),
        with(1, &[&sparse]),
        with(2, &[&plain, &whiteouts]),
        with(3, &[&links, &plain, &whiteouts]),
    ]
}
