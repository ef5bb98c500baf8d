//! The examples do what they say.

use std::fs;
use std::path::Path;

use countersign_oci::{Digest, Platform};
use countersign_sandbox::image::Image;

use crate::stage::{SIGNER, STRANGER, Stage, app};

#[expect(dead_code, reason = "the example's `main` reads a command line")]
#[path = "../../examples/install.rs"]
mod install;
#[expect(dead_code, reason = "the example's `main` reads a command line")]
#[path = "../../examples/own_downloader.rs"]
mod own_downloader;

/// A stage with an image for this machine, and with the files that the examples read.
async fn set(signer: &str) -> (Stage, Image) {
    let stage = Stage::set().await;
    let image = app(&Platform::host().to_string(), "v1");
    image.push(&stage.registry, "app", Some("v1"));
    stage.sign("app:v1", signer).await;
    let root = stage.sigstore.trusted_root_json();
    fs::write(stage.beside("root.json"), root).unwrap();
    let policy = format!("issuer: {}\nidentity: {SIGNER}\n", stage.sigstore.issuer());
    fs::write(stage.beside("policy.yaml"), policy).unwrap();
    (stage, image)
}

impl Stage {
    fn text(&self, name: &str) -> String {
        self.beside(name).to_str().unwrap().to_owned()
    }

    fn app(&self) -> String {
        self.reference("app:v1").to_string()
    }

    /// What the example `install` is called with.
    fn to_install(&self) -> Vec<String> {
        let files = ["app", "policy.yaml", "cache", "root.json"];
        let files = files.map(|name| self.text(name));
        [self.app()].into_iter().chain(files).collect()
    }

    /// What the example `own_downloader` is called with.
    fn to_download(&self) -> Vec<String> {
        fs::create_dir(self.beside("layers")).unwrap();
        let files = ["layers", "policy.yaml", "root.json"].map(|name| self.text(name));
        [self.app()].into_iter().chain(files).collect()
    }
}

#[tokio::test]
async fn install_installs_what_is_signed_and_then_says_that_it_is_up_to_date() {
    let (stage, _) = set(SIGNER).await;
    let arguments = stage.to_install();
    for _ in 0..2 {
        Box::pin(install::install(&arguments)).await.unwrap();
        assert_eq!(stage.read("version"), "v1");
    }
    // Who has a root needs no cache.
    assert!(!stage.beside("cache").exists());
}

#[tokio::test]
async fn own_downloader_has_the_layers_of_what_is_signed() {
    let (stage, image) = set(SIGNER).await;
    let arguments = stage.to_download();
    Box::pin(own_downloader::download(&arguments))
        .await
        .unwrap();
    let directory = stage.beside("layers");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
    for layer in image.layers() {
        let file = directory.join(Digest::sha256(layer).hex());
        assert!(fs::read(file).unwrap() == *layer);
    }
}

#[tokio::test]
async fn neither_takes_what_a_stranger_signed() {
    let (stage, _) = set(STRANGER).await;
    let arguments = stage.to_install();
    Box::pin(install::install(&arguments)).await.unwrap_err();
    assert!(!stage.target().exists());
    let arguments = stage.to_download();
    let refused = Box::pin(own_downloader::download(&arguments)).await;
    refused.unwrap_err();
    assert!(is_empty(&stage.beside("layers")));
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}
