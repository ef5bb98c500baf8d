//! A registry, a Sigstore, and a directory with a gallery, for tests of the program by name.

use std::fs;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;

use countersign_sandbox::Scene;
use countersign_sandbox::image::{Compression, Image, Layer};
use serde_json::Value;
use tempfile::TempDir;

use crate::newcomer::transcript::Transcript;

pub(crate) const SIGNER: &str =
    "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1";
pub(crate) const EARLIER: &str = "2024-01-01T00:00:00Z";
pub(crate) const LATER: &str = "2025-01-01T00:00:00Z";

/// A registry, a Sigstore, and a directory with a gallery of `chat` and `draw`.
pub(crate) struct Shop {
    scene: Scene,
    pub(crate) directory: TempDir,
}

impl Deref for Shop {
    type Target = Scene;

    fn deref(&self) -> &Scene {
        &self.scene
    }
}

impl Shop {
    /// The gallery's index has `any`, which stands for the content of `chat` or, with `nvidia`, for that of `draw`.
    pub(crate) fn one_entry_for_each_hardware(&self) {
        let host = self.registry.host();
        let index = format!(
            "- {{name: any, capabilities: {{default: cpu, nvidia: gpu}}}}\n\
             - {{name: cpu, uri: '{host}/acme/app:latest-chat'}}\n\
             - {{name: gpu, uri: '{host}/acme/app:latest-draw'}}\n"
        );
        self.write("index.yaml", &index);
    }

    /// A shell in the shop's directory.
    pub(crate) fn shell(&self) -> Transcript {
        let replaced = [
            (self.registry.host(), "registry.example.org"),
            (self.sigstore.issuer(), "https://ci.example.org"),
        ];
        Transcript::new(self.directory.path(), &replaced)
    }

    pub(crate) async fn open() -> Self {
        let shop = Self {
            scene: Scene::start().await.unwrap(),
            directory: TempDir::new().unwrap(),
        };
        let host = shop.scene.registry.host();
        shop.write(
            "index.yaml",
            &format!(
                "[{{name: chat, uri: '{host}/acme/app:latest-chat'}}, {{name: draw, uri: '{host}/acme/app:latest-draw'}}]"
            ),
        );
        let galleries = shop.scene.gallery("file:index.yaml", SIGNER);
        shop.write("galleries.yaml", &galleries);
        shop.write("root.json", &shop.scene.sigstore.trusted_root_json());
        shop
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// An image with its version in the file `version`, signed at `time`.
    pub(crate) fn publish(&self, tag: &str, version: &str, time: &str) {
        self.publish_image(tag, &unsigned(version), time);
    }

    pub(crate) fn publish_image(&self, tag: &str, image: &Image, time: &str) {
        let time = time.parse().unwrap();
        let published = self.scene.publish(image, "acme/app", tag, SIGNER, time);
        published.unwrap();
    }

    /// What is below: other repositories than `acme/app`.
    pub(crate) fn scene(&self) -> &Scene {
        &self.scene
    }

    /// The program in the shop's directory, with its store there and nothing else in its
    /// environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env_clear()
            .env("COUNTERSIGN_STORE_DIR", self.directory.path().join("store"));
        command
    }

    /// Exit code, and what a person sees on standard output and on standard error.
    pub(crate) fn shown(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(arguments).output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|b| String::from_utf8(b).unwrap());
        (output.status.code().unwrap(), out, err)
    }

    /// Exit code and the one JSON document.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, Value) {
        let json = [&["--output", "json"], arguments].concat();
        let output = self.command(&json).output().unwrap();
        let document = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {output:?}");
        });
        crate::schema::conforms(&document);
        let code = output.status.code().unwrap();
        crate::schema::tells_failure(&document, code);
        (code, document)
    }

    pub(crate) fn install(&self, arguments: &[&str]) -> (i32, Value) {
        let first = ["install", "--platform", "linux/amd64"];
        self.run(&[&first, &FLAGS[..], arguments].concat())
    }

    pub(crate) fn upgrade(&self, arguments: &[&str]) -> (i32, Value) {
        self.run(&[&["upgrade"], &FLAGS[..], arguments].concat())
    }

    pub(crate) fn version(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name).join("version")).ok()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("store").join(name)
    }
}

pub(crate) fn unsigned(version: &str) -> Image {
    let layer = Layer::builder().file("version", version, 0o644);
    Image::builder("linux/amd64".parse().unwrap())
        .layer(layer.build(Compression::Gzip))
        .build()
}

pub(crate) const FLAGS: [&str; 4] = ["--gallery", "galleries.yaml", "--trusted-root", "root.json"];
