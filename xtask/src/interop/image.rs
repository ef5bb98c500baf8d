//! An image of real content: Debian packages for two architectures, as gzip and zstd layers, put
//! together by crane.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use flate2::write::GzEncoder;
use serde_json::Value;

use super::debian;
use super::home::Home;
use super::tools::Tools;
use crate::command::Command;

/// The packages, one layer each, and how it is compressed. Together some 80 MB unpacked for each
/// architecture, with symbolic and hard links by the hundred.
const PACKAGES: [(&str, Compression); 5] = [
    ("coreutils", Compression::Gzip),
    ("bash", Compression::Gzip),
    ("tzdata", Compression::Gzip),
    ("git", Compression::Zstd),
    ("libpython3.11-stdlib", Compression::Zstd),
];

/// The architectures: what Debian, OCI and countersign call them, and the machine in an ELF header.
pub(super) const ARCHITECTURES: [(&str, u16); 2] = [("amd64", 0x3e), ("arm64", 0xb7)];

/// Programs of the image, one out of a gzip and one out of a zstd layer.
const PROGRAMS: [&str; 2] = ["bin/bash", "usr/bin/git"];

#[derive(Debug, Clone, Copy)]
enum Compression {
    Gzip,
    Zstd,
}

/// The image as it is in a registry.
#[derive(Debug)]
pub(super) struct TestImage {
    /// The index's digest.
    pub(super) index: String,
    /// The manifests' digests, in the index's order.
    pub(super) manifests: Vec<String>,
}

impl TestImage {
    /// The index's digest and then the manifests'.
    pub(super) fn digests(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.index)
            .chain(&self.manifests)
            .map(String::as_str)
    }
}

/// Fetches the packages into `root` unless they are there, and pushes the image they make to
/// `target`, a repository with a tag.
///
/// # Errors
/// When a package client or crane fails.
pub(super) fn push(tools: &Tools, root: &Path, target: &str) -> anyhow::Result<TestImage> {
    let layers = root.join("layers-debian");
    if !layers.exists() {
        println!("Fetching Debian packages for two architectures and making layers of them …");
        let partial = tempfile::Builder::new()
            .prefix("partial-")
            .tempdir_in(root)?;
        for (architecture, _) in ARCHITECTURES {
            make_layers(architecture, partial.path())?;
        }
        fs::rename(partial.path(), &layers)?;
        let _ = partial.keep();
    }
    let home = Home::new(root, &tools.programs.crane);
    let crane = |arguments: &[&str]| home.crane(arguments);
    let mut append = vec!["index".to_owned(), "append".to_owned()];
    for (architecture, _) in ARCHITECTURES {
        let image = format!("{target}-{architecture}");
        let mut arguments = vec!["append", "--oci-empty-base", "--new_tag", &image];
        let files = layer_files(&layers, architecture)?;
        for file in &files {
            arguments.extend(["--new_layer", file]);
        }
        crane(&arguments)?;
        let platform = format!("linux/{architecture}");
        crane(&[
            "mutate",
            "--set-platform",
            &platform,
            "--tag",
            &image,
            &image,
        ])?;
        append.extend(["--manifest".to_owned(), image]);
    }
    append.extend(["--tag".to_owned(), target.to_owned()]);
    crane(&append.iter().map(String::as_str).collect::<Vec<_>>())?;
    image(&home, target)
}

fn image(home: &Home, reference: &str) -> anyhow::Result<TestImage> {
    let index = home.crane(&["digest", reference])?;
    let text = home.crane(&["manifest", reference])?;
    let document: Value = serde_json::from_str(&text)?;
    let manifests: Vec<String> = document
        .get("manifests")
        .and_then(Value::as_array)
        .context("crane made no index")?
        .iter()
        .filter_map(|descriptor| descriptor.get("digest")?.as_str().map(str::to_owned))
        .collect();
    ensure!(
        manifests.len() == ARCHITECTURES.len(),
        "crane's index lists {manifests:?}"
    );
    Ok(TestImage { index, manifests })
}

/// Checks that `directory` holds the image for the architecture: its programs are of its machine.
///
/// # Errors
/// When one is missing or of another.
pub(super) fn installed(directory: &Path, machine: u16) -> anyhow::Result<()> {
    for program in PROGRAMS {
        let path = directory.join(program);
        let mut header = [0; 20];
        File::open(&path)
            .and_then(|mut file| file.read_exact(&mut header))
            .with_context(|| format!("{program} was not installed"))?;
        let [.., low, high] = header;
        let found = u16::from_le_bytes([low, high]);
        ensure!(
            header.starts_with(b"\x7fELF") && found == machine,
            "{program}: expected a program for machine {machine:#x}, found {found:#x}"
        );
    }
    Ok(())
}

fn layer_files(layers: &Path, architecture: &str) -> anyhow::Result<Vec<String>> {
    PACKAGES
        .iter()
        .map(|(package, _)| {
            let path = layers.join(format!("{architecture}-{package}.tar"));
            ensure!(path.exists(), "{} is missing", path.display());
            Ok(path.display().to_string())
        })
        .collect()
}

/// Makes a layer of each package.
fn make_layers(architecture: &str, directory: &Path) -> anyhow::Result<()> {
    let debs = directory.join(format!("debs-{architecture}"));
    debian::download(&PACKAGES.map(|(package, _)| package), architecture, &debs)?;
    for (package, compression) in PACKAGES {
        let deb = debian::package_file(&debs, package)?;
        let layer = directory.join(format!("{architecture}-{package}.tar"));
        make_layer(&deb, compression, &layer)?;
    }
    Ok(fs::remove_dir_all(debs)?)
}

/// The package's files as a layer. The name says nothing of its compression: crane looks inside.
fn make_layer(deb: &Path, compression: Compression, layer: &Path) -> anyhow::Result<()> {
    let mut child = Command::new("dpkg-deb")
        .inherit_environment()
        .args(["--fsys-tarfile".as_ref(), deb.as_os_str()])
        .spawn(Stdio::piped(), Stdio::inherit())?;
    let mut tar = child.stdout().context("dpkg-deb has an output")?;
    let file = File::create(layer)?;
    match compression {
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(file, flate2::Compression::default());
            io::copy(&mut tar, &mut encoder)?;
            encoder.finish()?;
        }
        Compression::Zstd => zstd::stream::copy_encode(&mut tar, file, 3)?,
    }
    let status = child.wait()?;
    ensure!(status.success(), "dpkg-deb failed on {}", deb.display());
    Ok(())
}
