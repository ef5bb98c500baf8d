//! Copies, from what a policy accepts to what an installer finds. What anybody attached to an image is not trusted.

mod attached;
mod beside;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_oci::http::HostKind;
use countersign_oci::{
    AddressLimit, Descriptor, Digest, Document, Error as RegistryError, LayoutDraft, LayoutPath,
    Location, Options, Reference, Registry, media_type,
};
use countersign_sandbox::image::{Compression, Image, Layer};
use countersign_sandbox::{RegistryOptions, RegistryServer};
use countersign_sign::{
    BlobTurns, CopiedImage, CopyEvent, CopyPlace, CopyPlan, Destination, Error, RekorVersion,
    Signer, WrittenFormats,
};
use countersign_verify::Verifier;
use serde_json::json;

use crate::common::{PATH, Stage, client, image, index};

impl Stage {
    /// Puts an index into the registry.
    fn put_index(&self, members: Vec<Descriptor>, tag: Option<&str>) -> Descriptor {
        let bytes = serde_json::to_vec(&index(members)).unwrap();
        let descriptor = Descriptor::of(media_type::OCI_INDEX, &bytes);
        let registry = &self.registry;
        registry.put_manifest(PATH, media_type::OCI_INDEX, bytes, tag);
        descriptor
    }

    async fn plan(&self) -> CopyPlan {
        self.plan_by(&client(), &self.reference(":v1")).await
    }

    async fn plan_by(&self, registry: &Registry, source: &Reference) -> CopyPlan {
        let image = registry.resolve(source).await.unwrap();
        let policy = self.policy(|spec| {
            spec.signature_formats = vec!["bundle".to_owned(), "simple_signing".to_owned()];
        });
        let verifier = Verifier::new(registry.clone(), self.trusted_root());
        let proof = verifier.verify(&image, &policy).await.unwrap();
        CopyPlan::read(registry, proof, &[]).await.unwrap()
    }

    async fn write(&self, place: CopyPlace<'_>, stranger: &Registry) -> Result<CopiedImage, Error> {
        self.write_plan(&self.plan().await, place, stranger).await
    }

    async fn write_plan(
        &self,
        plan: &CopyPlan,
        place: CopyPlace<'_>,
        stranger: &Registry,
    ) -> Result<CopiedImage, Error> {
        let to = Destination {
            place,
            registry: &client(),
            stranger,
            verifier: &Verifier::new(stranger.clone(), self.trusted_root()),
            turns: &BlobTurns::new(NonZeroUsize::MIN),
        };
        let events: Arc<dyn Fn(CopyEvent) + Send + Sync> = Arc::new(|_| {});
        Box::pin(plan.write(&to, &events)).await
    }

    async fn copy_to(&self, layout: &Path) -> Result<CopiedImage, Error> {
        let layout = LayoutPath::new(layout).unwrap();
        let draft = LayoutDraft::begin(&layout).await.unwrap();
        let stranger = client().seeing(draft.clone()).unwrap();
        let place = CopyPlace::Layout {
            draft: &draft,
            name: None,
        };
        self.write(place, &stranger).await
    }
}

/// An index in an index: what is found around the outer one is found before what the inner one lists.
struct Nested {
    outer: Descriptor,
    deepest: Image,
}

async fn nested(stage: &Stage) -> Nested {
    let deepest = Image::builder("linux/arm64".parse().unwrap());
    let layer = Layer::builder().file("deep", "content", 0o644);
    let deepest = deepest.layer(layer.build(Compression::Gzip));
    let (deepest, other) = (deepest.build(), image("linux/amd64"));
    deepest.push(&stage.registry, PATH, None);
    other.push(&stage.registry, PATH, None);
    let inner = stage.put_index(vec![deepest.descriptor()], None);
    let outer = stage.put_index(vec![other.descriptor(), inner], Some("v1"));
    stage.sign().await.unwrap();
    Nested { outer, deepest }
}

fn blob(layout: &Path, digest: &Digest) -> PathBuf {
    layout.join("blobs/sha256").join(digest.hex())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_attached_takes_no_layer_of_the_image_away() {
    let stage = Stage::new().await;
    let Nested { outer, deepest } = nested(&stage).await;
    let mut layer = deepest.manifest().layers[0].clone();
    layer.size += 1;
    let attached = Image::artifact("application/x").subject(outer).build();
    let mut attached = serde_json::to_value(attached.manifest()).unwrap();
    attached["layers"] = json!([layer]);
    let registry = &stage.registry;
    registry.put_blob(PATH, "{}");
    let attached = attached.to_string();
    let attached = registry.put_manifest(PATH, media_type::OCI_MANIFEST, attached, None);
    let directory = tempfile::tempdir().unwrap();
    let layout = directory.path().join("layout");
    let copied = stage.copy_to(&layout).await.unwrap();
    assert!(blob(&layout, &layer.digest).exists());
    let left: Vec<&str> = copied
        .not_copied
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(left, [attached.to_string()]);
    assert!(!blob(&layout, &attached).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_the_image_stays_one_though_a_tag_for_attestations_names_it() {
    let stage = Stage::new().await;
    let Nested { outer, deepest } = nested(&stage).await;
    let tag = format!("sha256-{}.att", outer.digest.hex());
    stage.registry.tag(PATH, &tag, &deepest.digest());
    let directory = tempfile::tempdir().unwrap();
    let copied = stage
        .copy_to(&directory.path().join("layout"))
        .await
        .unwrap();
    assert_eq!(copied.manifests, 4);
    assert_eq!(copied.attached, 4);
    // Without a blob of it there is no copy.
    let layer = &deepest.manifest().layers[0].digest;
    assert!(stage.registry.remove_blob(PATH, layer));
    let copied = stage.copy_to(&directory.path().join("other")).await;
    let missing = stage.registry.repository(PATH).at(layer.clone());
    match copied.unwrap_err() {
        Error::Registry(RegistryError::NotFound { what, .. }) => {
            assert_eq!(what, missing.to_string());
        }
        other => panic!("expected that the layer is not found, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_index_lists_is_pushed_before_it_though_it_refers_to_a_sibling() {
    let stage = Stage::new().await;
    let built = image("linux/amd64");
    built.push(&stage.registry, PATH, None);
    let listed = Image::artifact("application/vnd.in-toto+json").subject(built.descriptor());
    let listed = listed.build();
    listed.push(&stage.registry, PATH, None);
    // The one that refers stands first.
    let members = vec![listed.descriptor(), built.descriptor()];
    let outer = stage.put_index(members, Some("v1"));
    stage.sign().await.unwrap();
    for referrers_api in [true, false] {
        let options = RegistryOptions {
            referrers_api,
            ..RegistryOptions::default()
        };
        let other = RegistryServer::start(options).await.unwrap();
        let repository = other.repository("mirror");
        let place = CopyPlace::Repository {
            repository: &repository,
            tag: None,
        };
        stage.write(place, &client()).await.unwrap();
        let requests = other.requests();
        let pushed = |digest: &Digest| {
            let line = format!("PUT /v2/mirror/manifests/{digest}");
            requests
                .iter()
                .position(|request| request.line() == line)
                .unwrap()
        };
        assert!(pushed(&listed.digest()) < pushed(&outer.digest));
        assert!(pushed(&built.digest()) < pushed(&listed.digest()));
        let subject = repository.at(built.digest());
        let referrers = client().referrers(&subject).await.unwrap();
        assert!(referrers.iter().any(|one| one.digest == listed.digest()));
    }
}

fn legacy_signer(stage: &Stage) -> Signer {
    let signer = stage.signer_by(RekorVersion::V1);
    signer.with_formats(WrittenFormats::SimpleSigning)
}

/// Copies an image with a legacy signature into a layout, does `harm` to the manifest that the layout lists for it,
/// and copies the image with another signature.
async fn copied_again(harm: impl Fn(&Path)) -> Result<CopiedImage, Error> {
    let stage = Stage::new().await;
    let image = stage.one_image();
    let signer = || legacy_signer(&stage);
    stage.sign_with(&signer()).await.unwrap();
    let tag = format!("sha256-{}.sig", image.digest().hex());
    let first = stage.registry.tagged(PATH, &tag).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let layout = directory.path().join("layout");
    stage.copy_to(&layout).await.unwrap();
    harm(&blob(&layout, &first));
    stage.registry.untag(PATH, &tag);
    stage.sign_again(signer()).await.unwrap();
    assert_ne!(stage.registry.tagged(PATH, &tag).unwrap(), first);
    stage.copy_to(&layout).await
}

/// An index of a gallery may not name this machine, and the user's own mirror may be on it.
#[tokio::test(flavor = "multi_thread")]
async fn who_reads_may_be_limited_to_fewer_addresses_than_who_writes() {
    let stage = Stage::new().await;
    let image = stage.one_image();
    stage.sign().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layout");
    stage.copy_to(&path).await.unwrap();
    let limit = AddressLimit {
        place: "https://gallery.example/index.yaml".to_owned(),
        kind: HostKind::Public,
    };
    let limited = Registry::new(Options {
        address_limit: Some(limit),
        ..Options::default()
    });
    let layout = Location::from(LayoutPath::new(&path).unwrap());
    let source = Reference::from(layout.at(image.digest()));
    let plan = stage.plan_by(&limited.unwrap(), &source).await;
    let repository = stage.registry.repository("mirror");
    let place = CopyPlace::Repository {
        repository: &repository,
        tag: None,
    };
    let copied = stage.write_plan(&plan, place, &client()).await.unwrap();
    assert_eq!(copied.manifests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_can_not_be_looked_at_is_not_replaced() {
    let copied = copied_again(|manifest| {
        std::fs::remove_file(manifest).unwrap();
        std::os::unix::fs::symlink("/nowhere", manifest).unwrap();
    });
    let error = copied.await.unwrap_err();
    assert!(matches!(error, Error::Registry(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_signature_is_replaced() {
    let copied = copied_again(|manifest| std::fs::write(manifest, "{}").unwrap());
    assert_eq!(copied.await.unwrap().not_copied, []);
}

/// As in a registry, and also if both are of one run: then an archive is not there yet.
#[tokio::test(flavor = "multi_thread")]
async fn legacy_signatures_are_added_to_those_that_a_layout_has() {
    let stage = Stage::new().await;
    let image = stage.one_image();
    let signer = || legacy_signer(&stage);
    stage.sign_with(&signer()).await.unwrap();
    let first = stage.plan().await;
    let tag = format!("sha256-{}.sig", image.digest().hex());
    stage.registry.untag(PATH, &tag);
    stage.sign_again(signer()).await.unwrap();
    let second = stage.plan().await;
    let directory = tempfile::tempdir().unwrap();
    for name in ["layout", "layout.tar"] {
        let path = LayoutPath::new(&directory.path().join(name)).unwrap();
        let draft = LayoutDraft::begin(&path).await.unwrap();
        let place = CopyPlace::Layout {
            draft: &draft,
            name: None,
        };
        for plan in [&first, &second, &first] {
            let stranger = client().seeing(draft.clone()).unwrap();
            let copied = stage.write_plan(plan, place, &stranger).await.unwrap();
            assert_eq!(copied.not_copied, [], "{name}");
        }
        draft.finish().await.unwrap();
        let listed = Location::from(path).at(draft.listed_at(&tag).unwrap());
        let listed = client().manifest(&listed).await.unwrap();
        let Document::Manifest(manifest) = listed.document() else {
            panic!("expected a manifest in {name}");
        };
        assert_eq!(manifest.layers.len(), 2, "{name}");
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            let place = listed.reference().location();
            client().blob(place, blob, 1 << 20).await.unwrap();
        }
    }
}
