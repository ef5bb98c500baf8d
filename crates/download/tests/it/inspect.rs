//! What a signer learns of an image before it is signed: what an installer would make of it.

use countersign_download::{Error, Limits, inspect};
use countersign_oci::{Options, Registry, ResolvedImage};
use countersign_sandbox::image::{Compression, Entry, EntryKind, Image, Layer, LayerBuilder};
use countersign_sandbox::{RegistryOptions, RegistryServer};

struct Stage {
    registry: RegistryServer,
    scratch: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        let options = RegistryOptions::default();
        Self {
            registry: RegistryServer::start(options).await.unwrap(),
            scratch: tempfile::tempdir().unwrap(),
        }
    }

    async fn push(&self, layer: &LayerBuilder) -> ResolvedImage {
        let image = Image::builder("linux/amd64".parse().unwrap())
            .layer(layer.build(Compression::Gzip))
            .build();
        image.push(&self.registry, "app", Some("v1"));
        let reference = self.registry.reference("app:v1").unwrap();
        client().resolve(&reference).await.unwrap()
    }

    async fn inspect(
        &self,
        image: &ResolvedImage,
        platform: Option<&str>,
    ) -> Result<Vec<String>, Error> {
        let platform = platform.map(|text| text.parse().unwrap());
        let (limits, scratch) = (Limits::default(), self.scratch.path());
        let found = inspect(&client(), &limits, image, platform.as_ref(), scratch).await;
        let left = std::fs::read_dir(scratch).unwrap();
        let left = left.filter(|entry| entry.as_ref().unwrap().path().is_dir());
        assert_eq!(left.count(), 0, "nothing is left of the tree");
        found
    }
}

fn client() -> Registry {
    Registry::new(Options::default()).unwrap()
}

#[tokio::test]
async fn what_installs_is_told_with_what_is_left_out() {
    let stage = Stage::new().await;
    let layer = Layer::builder()
        .file("bin/app", "app", 0o755)
        .file("bin/su", "su", 0o4755);
    let image = stage.push(&layer).await;
    let warning =
        "one entry was installed without their set-user-id, set-group-id or sticky bit: bin/su";
    for platform in [None, Some("linux/amd64")] {
        let warnings = stage.inspect(&image, platform).await.unwrap();
        assert_eq!(warnings, [warning]);
    }
}

#[tokio::test]
async fn the_first_entry_that_an_installer_refuses_is_the_error() {
    let stage = Stage::new().await;
    let layer = Layer::builder()
        .file("bin/app", "app", 0o755)
        .entry(Entry::new(EntryKind::File, "../outside").content("x"))
        .entry(Entry::new(EntryKind::File, "../another").content("x"));
    let image = stage.push(&layer).await;
    let error = stage.inspect(&image, None).await.unwrap_err();
    let Error::Layer { source, .. } = &error else {
        panic!("expected a refused layer, found {error:?}");
    };
    assert!(source.to_string().contains("../outside"), "{source}");
    assert!(!stage.scratch.path().join("outside").exists());
}

#[tokio::test]
async fn an_image_for_another_platform_than_its_index_says_is_refused() {
    let stage = Stage::new().await;
    let image = stage
        .push(&Layer::builder().file("app", "app", 0o755))
        .await;
    let error = stage
        .inspect(&image, Some("linux/arm64"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::WrongPlatform { .. }), "{error:?}");
}
