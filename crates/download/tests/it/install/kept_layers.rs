//! Layers that one installation keeps, and the next one uses.

use std::path::PathBuf;

use countersign_download::LayerCache;
use countersign_oci::Digest;

use super::*;

const ROOM: u64 = 1 << 30;
/// Of a layer that is in memory, and of one in a file.
const SIZES: [usize; 2] = [10, 3 << 20];

struct Kept {
    stage: Stage,
    cache: tempfile::TempDir,
}

impl Kept {
    async fn set() -> Self {
        Self {
            stage: Stage::set().await,
            cache: tempfile::tempdir().unwrap(),
        }
    }

    /// Publishes and installs `app` in this version, of two layers. The lower one has `size` bytes. Returns the digests of the layers that were asked
    /// for, and of all.
    async fn install(&self, size: usize, version: &str) -> (Vec<Digest>, Vec<Digest>) {
        let lower = Layer::builder().file("lower", vec![7; size], 0o644);
        let image = Image::builder(amd64())
            .layer(lower.build(Compression::None))
            .layer(layer(Compression::Zstd, "version", version))
            .build();
        image.push(&self.stage.registry, "app", Some("v1"));
        self.stage.sign("app:v1", SIGNER).await;
        let cache = LayerCache::new(self.cache.path().to_owned(), ROOM);
        let installer = self.stage.installer().with_layer_cache(cache);
        let policy = self.stage.policy();
        let installing = self.stage.carry_out(&installer, &policy, "app:v1", &|_| {});
        installing.await.unwrap();
        assert_eq!(self.stage.read("version"), version);
        let requests = self.stage.requests();
        let layers = &image.manifest().layers;
        let digests = layers.iter().map(|layer| layer.digest.clone());
        let digests: Vec<_> = digests.collect();
        let asked = |digest: &&Digest| requests.contains(&format!("GET blobs/{digest}"));
        (digests.iter().filter(asked).cloned().collect(), digests)
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.cache.path()).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }
}

#[tokio::test]
async fn only_the_layers_that_changed_are_fetched() {
    for size in SIZES {
        let kept = Kept::set().await;
        let (asked, all) = kept.install(size, "v1").await;
        assert_eq!(asked, all);
        let (asked, all) = kept.install(size, "v2").await;
        assert_eq!(asked, all[1..]);
    }
}

#[tokio::test]
async fn a_layer_that_somebody_changed_is_fetched() {
    for size in SIZES {
        let kept = Kept::set().await;
        kept.install(size, "v1").await;
        let files = kept.files();
        assert_eq!(files.len(), 2);
        for file in files {
            let mut bytes = fs::read(&file).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(file, bytes).unwrap();
        }
        let (asked, all) = kept.install(size, "v2").await;
        assert_eq!(asked, all);
        // What was fetched again is kept again.
        let (asked, all) = kept.install(size, "v3").await;
        assert_eq!(asked, all[1..]);
    }
}

#[tokio::test]
async fn what_is_kept_proves_nothing() {
    let kept = Kept::set().await;
    kept.install(SIZES[0], "v1").await;
    let files = kept.files();
    let image = app("linux/amd64", "v2");
    image.push(&kept.stage.registry, "app", Some("v1"));
    let cache = LayerCache::new(kept.cache.path().to_owned(), ROOM);
    let installer = kept.stage.installer().with_layer_cache(cache);
    let policy = kept.stage.policy();
    let refused = kept.stage.carry_out(&installer, &policy, "app:v1", &|_| {});
    let error = refused.await.unwrap_err().into_decisive();
    assert!(matches!(
        error,
        Some(Error::Verify(VerifyError::Refused(_)))
    ));
    assert_eq!(kept.stage.read("version"), "v1");
    // Nobody's layers are kept but those of an admitted image.
    assert_eq!(kept.files(), files);
}
