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
#[path = "../../examples/install_entries.rs"]
mod install_entries;
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

/// Of a gallery with a `trust` of its own: the first run has no lock file, and later ones stay with what it pinned.
#[tokio::test]
async fn install_entries_pins_what_it_installs_and_installs_what_is_pinned() {
    let (stage, _) = set(SIGNER).await;
    let gallery = format!(
        "- name: acme\n  url: file:index.yaml\n  verification:\n    issuer: {}\n    identity: {SIGNER}\n    trust: {{trusted_root: root.json}}\n",
        stage.sigstore.issuer()
    );
    fs::write(stage.beside("galleries.yaml"), gallery).unwrap();
    let index = format!("- name: chat\n  uri: {}\n", stage.app());
    fs::write(stage.beside("index.yaml"), index).unwrap();
    let directory = stage.text("");
    let run = async |names: &[&str]| {
        let arguments = [&[directory.as_str()], names].concat();
        let arguments: Vec<String> = arguments.into_iter().map(ToOwned::to_owned).collect();
        Box::pin(install_entries::install(&arguments)).await
    };
    let nothing_locked = run(&[]).await.unwrap_err();
    assert_eq!(nothing_locked.to_string(), "there is no lock file");
    run(&["chat"]).await.unwrap();
    let version = stage.beside("store/chat/version");
    assert_eq!(fs::read_to_string(&version).unwrap(), "v1");
    // The tag moves on, and what is pinned stays.
    fs::remove_dir_all(stage.beside("store")).unwrap();
    let next = app(&Platform::host().to_string(), "v2");
    next.push(&stage.registry, "app", Some("v1"));
    stage.sign("app:v1", SIGNER).await;
    run(&[]).await.unwrap();
    assert_eq!(fs::read_to_string(&version).unwrap(), "v1");
    run(&["chat"]).await.unwrap();
    assert_eq!(fs::read_to_string(&version).unwrap(), "v2");
}

/// The page shows functions of that example, which need each other and so can't be compiled one by one.
#[test]
fn the_functions_on_the_page_are_those_of_the_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let page = read("../../docs/embedding.md");
    let example = read("examples/install_entries.rs");
    let blocks = page.split("```rust,ignore\n").skip(1);
    let blocks: Vec<&str> = blocks.filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        for part in block.split("\n\n") {
            assert!(example.contains(part.trim()), "{part}");
        }
    }
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}
