//! Image layouts read as registries are. The layouts are of our own making, each with one fault.

mod archive;
mod form;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use bytes::Bytes;
use countersign_oci::{
    Descriptor, Digest, Document, Error, Index, LayoutError, LayoutPath, Location, ManifestError,
    Options, PlainHttp, Reference, Registry, ResolvedImage, media_type,
};
use countersign_sandbox::BUNDLE;
use countersign_sandbox::image::{
    Compression, Entry, EntryKind, Image, ImageIndex, Layer, Layout, blob_path,
};
use tempfile::TempDir;

fn image(platform: &str) -> Image {
    let layer = Layer::builder()
        .file("platform", platform, 0o644)
        .build(Compression::Gzip);
    Image::builder(platform.parse().unwrap())
        .layer(layer)
        .build()
}

fn signature(subject: &Descriptor, remark: &str) -> Image {
    Image::signature(subject.clone(), remark.to_owned())
}

/// A layout on disk, in both forms.
struct Stored {
    root: TempDir,
}

impl Stored {
    fn new(layout: &Layout) -> Self {
        let root = tempfile::tempdir().unwrap();
        layout.write_to(&root.path().join("directory")).unwrap();
        fs::write(root.path().join("archive.tar"), layout.archive().tar()).unwrap();
        Self { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn reference(&self, name: &str) -> Reference {
        LayoutPath::new(&self.path(name)).unwrap().into()
    }

    fn both(&self) -> [Reference; 2] {
        ["directory", "archive.tar"].map(|name| self.reference(name))
    }
}

/// A client that would speak to no registry.
fn client() -> Registry {
    Registry::new(Options {
        plain_http: PlainHttp::Never,
        ..Options::default()
    })
    .unwrap()
}

async fn resolve(reference: &Reference) -> Result<ResolvedImage, Error> {
    client().resolve(reference).await
}

/// What is wrong with a layout, in either form.
async fn faults(layout: &Layout) -> [LayoutError; 2] {
    let stored = Stored::new(layout);
    let [directory, archive] = stored.both();
    [
        fault(resolve(&directory).await),
        fault(resolve(&archive).await),
    ]
}

fn fault<T: std::fmt::Debug>(result: Result<T, Error>) -> LayoutError {
    match result.unwrap_err() {
        Error::Layout { source, .. } => source,
        other => panic!("another error: {other:?}"),
    }
}

/// What is wrong with an archive of these bytes.
async fn archive_fault(tar: &[u8]) -> LayoutError {
    let stored = Stored::new(&Layout::new());
    fs::write(stored.path("other"), tar).unwrap();
    fault(resolve(&stored.reference("other")).await)
}

fn is_link(fault: &LayoutError) -> bool {
    matches!(
        fault,
        LayoutError::NoFile {
            found: "a symbolic link",
            ..
        }
    )
}

#[tokio::test]
async fn an_image_is_read_from_a_directory_and_from_an_archive() {
    let image = image("linux/amd64");
    let stored = Stored::new(&Layout::new().image(&image, Some("v1")));
    for reference in stored.both() {
        let client = client();
        let resolved = client.resolve(&reference).await.unwrap();
        assert_eq!(resolved.digest(), &image.digest());
        assert_eq!(
            resolved.reference().to_string(),
            format!("{reference}@{}", image.digest())
        );
        let Document::Manifest(manifest) = resolved.document() else {
            panic!("expected a manifest");
        };
        let repository = reference.location();
        let config = client.blob(repository, &manifest.config, 1 << 20).await;
        assert_eq!(config.unwrap(), image.blobs()[0]);
        let mut layer = Vec::new();
        client
            .fetch_blob(repository, &manifest.layers[0], &mut layer, &|_| {})
            .await
            .unwrap();
        assert_eq!(layer, image.layers()[0]);
        assert!(
            client
                .referrers(resolved.reference())
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn the_platforms_of_an_index_are_read_by_digest() {
    let index = ImageIndex::new(vec![image("linux/amd64"), image("linux/arm64")]);
    let stored = Stored::new(&Layout::new().index(&index, None));
    for reference in stored.both() {
        let client = client();
        let resolved = client.resolve(&reference).await.unwrap();
        let Document::Index(document) = resolved.document() else {
            panic!("expected an index");
        };
        let child = client
            .child(reference.location(), &document.manifests[1])
            .await
            .unwrap();
        assert_eq!(child.digest(), &index.images()[1].digest());
        assert_eq!(child.reference().location(), reference.location());
    }
}

#[tokio::test]
async fn signatures_and_what_an_index_lists_are_not_what_a_layout_is_for() {
    // As oras lists them: everything.
    let index = ImageIndex::new(vec![image("linux/amd64"), image("linux/arm64")]);
    let signature = signature(&index.descriptor(), "one");
    let list = ImageIndex::new(vec![signature.clone()]);
    let tag = index.digest().referrers_tag();
    let layout = Layout::new()
        .image(&signature, None)
        .image(&index.images()[0], None)
        .image(&index.images()[1], None)
        .index(&list, Some(&tag))
        .index(&index, Some("v1"))
        .index(&index, Some("latest"));
    for reference in Stored::new(&layout).both() {
        let resolved = resolve(&reference).await.unwrap();
        assert_eq!(resolved.digest(), &index.digest());
    }
}

#[tokio::test]
async fn referrers_are_those_whose_manifests_say_so_and_those_at_the_tag() {
    let (app, other) = (image("linux/amd64"), image("linux/arm64"));
    let ours = signature(&app.descriptor(), "ours");
    let by_tag = signature(&app.descriptor(), "by tag");
    let foreign = signature(&other.descriptor(), "foreign");
    let list = ImageIndex::new(vec![by_tag.clone(), ours.clone()]);
    let layout = Layout::new()
        .image(&app, None)
        .image(&ours, None)
        .image(&foreign, None)
        .index(
            &list,
            Some(&format!("example.org/app:{}", app.digest().referrers_tag())),
        );
    for reference in Stored::new(&layout).both() {
        let subject = reference.location().at(app.digest());
        let found = client().referrers(&subject).await.unwrap();
        let digests: Vec<Digest> = found.iter().map(|entry| entry.digest.clone()).collect();
        assert_eq!(digests, [ours.digest(), by_tag.digest()]);
        assert_eq!(found[0].artifact_type.as_deref(), Some(BUNDLE));
    }
}

#[tokio::test]
async fn an_entry_that_can_t_be_read_stays_a_candidate() {
    let app = image("linux/amd64");
    let lost = signature(&app.descriptor(), "lost");
    let layout = Layout::new()
        .image(&app, None)
        .image(&lost, None)
        .without(&blob_path(&lost.digest()));
    for reference in Stored::new(&layout).both() {
        let subject = reference.location().at(app.digest());
        let found = client().referrers(&subject).await.unwrap();
        assert_eq!(found, [lost.descriptor()]);
    }
}

#[tokio::test]
async fn several_images_are_refused_by_name() {
    let (one, two) = (image("linux/amd64"), image("linux/arm64"));
    let layout = Layout::new().image(&one, Some("v1")).image(&two, None);
    for fault in faults(&layout).await {
        let LayoutError::SeveralImages { found } = fault else {
            panic!("another fault: {fault:?}");
        };
        let named = format!("v1 ({})", one.digest());
        assert_eq!(found, [named, two.digest().to_string()]);
    }
}

/// An image may have a name of its own beside an index that lists it too.
#[tokio::test]
async fn what_has_a_name_is_an_image_also_if_an_index_lists_it() {
    let index = ImageIndex::new(vec![image("linux/amd64"), image("linux/arm64")]);
    let [amd64, arm64] = index.images() else {
        panic!("expected two images");
    };
    // As others list them: the same one without a name, too.
    let layout = Layout::new()
        .image(amd64, None)
        .image(arm64, None)
        .image(amd64, Some("v1"))
        .index(&index, Some("multi"));
    for fault in faults(&layout).await {
        let LayoutError::SeveralImages { found } = fault else {
            panic!("another fault: {fault:?}");
        };
        let names = [("v1", amd64.digest()), ("multi", index.digest())];
        assert_eq!(
            found,
            names.map(|(name, digest)| format!("{name} ({digest})"))
        );
    }
    for reference in Stored::new(&layout).both() {
        let Location::Layout(path) = reference.location() else {
            panic!("expected a layout");
        };
        let images = client().layout_images(path).await.unwrap();
        let tags: Vec<_> = images.iter().map(|image| image.tag.as_deref()).collect();
        assert_eq!(tags, [Some("v1"), Some("multi")]);
    }
}

/// The first of a name is taken, or none.
#[tokio::test]
async fn a_damaged_image_is_of_its_own_name_alone() {
    let (one, two) = (image("linux/amd64"), image("linux/arm64"));
    let mut bytes = one.bytes().to_vec();
    *bytes.last_mut().unwrap() = b' ';
    let layout = Layout::new()
        .image(&one, Some("registry.example/one:v1"))
        .image(&two, Some("registry.example/one:v1"))
        .image(&two, Some("registry.example/two:v1"))
        .file(&blob_path(&one.digest()), bytes);
    for reference in Stored::new(&layout).both() {
        let Location::Layout(path) = reference.location() else {
            panic!("expected a layout");
        };
        let images = client().layout_images(path).await.unwrap();
        let names: Vec<_> = images.iter().map(|image| image.name.clone()).collect();
        let [first, second]: [Reference; 2] =
            ["one", "two"].map(|name| format!("registry.example/{name}:v1").parse().unwrap());
        let expected = [first.clone(), first.clone(), second.clone()];
        assert_eq!(names, expected.map(Some));

        let instead = Registry::new(Options {
            instead_of_registries: Some(path.clone()),
            ..Options::default()
        });
        let instead = instead.unwrap();
        let found = instead.resolve(&second).await.unwrap();
        assert_eq!(found.digest(), &two.digest());
        for damaged in [&first, &reference] {
            let error = instead.resolve(damaged).await.unwrap_err();
            assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_layout_of_no_image_is_refused() {
    for fault in faults(&Layout::new()).await {
        assert!(matches!(fault, LayoutError::NoImage), "{fault:?}");
    }
}

#[tokio::test]
async fn other_bytes_than_the_digest_s_are_refused() {
    let image = image("linux/amd64");
    let path = blob_path(&image.digest());
    let mut bytes = image.bytes().to_vec();
    *bytes.last_mut().unwrap() = b' ';
    let layout = Layout::new().image(&image, None).file(&path, bytes);
    for reference in Stored::new(&layout).both() {
        let error = resolve(&reference).await.unwrap_err();
        assert!(
            matches!(&error, Error::DigestMismatch { what, .. } if *what.digest() == image.digest()),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_layer_s_bytes_are_checked_as_they_flow() {
    let image = image("linux/amd64");
    let layer = &image.manifest().layers[0];
    let path = blob_path(&layer.digest);
    let changed = vec![0; image.layers()[0].len()];
    let layout = Layout::new().image(&image, None).file(&path, changed);
    for reference in Stored::new(&layout).both() {
        let (client, mut sink) = (client(), Vec::new());
        let error = client
            .fetch_blob(reference.location(), layer, &mut sink, &|_| {})
            .await
            .unwrap_err();
        assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_size_that_is_not_the_descriptor_s_is_refused() {
    let image = image("linux/amd64");
    let entry = Descriptor {
        size: image.descriptor().size - 1,
        ..image.descriptor()
    };
    let layout = Layout::new().content(&image).entry(entry, None);
    for reference in Stored::new(&layout).both() {
        let error = resolve(&reference).await.unwrap_err();
        assert!(matches!(error, Error::SizeMismatch { .. }), "{error:?}");
        let layer = Descriptor {
            size: image.manifest().layers[0].size + 1,
            ..image.manifest().layers[0].clone()
        };
        let mut sink = Vec::new();
        let fetched = client()
            .fetch_blob(reference.location(), &layer, &mut sink, &|_| {})
            .await;
        let error = fetched.unwrap_err();
        assert!(matches!(error, Error::SizeMismatch { .. }), "{error:?}");
        assert!(sink.is_empty());
    }
}

#[tokio::test]
async fn a_missing_blob_is_not_found() {
    let image = image("linux/amd64");
    let layer = &image.manifest().layers[0];
    let layout = Layout::new()
        .image(&image, None)
        .without(&blob_path(&layer.digest));
    for reference in Stored::new(&layout).both() {
        let mut sink = Vec::new();
        let error = client()
            .fetch_blob(reference.location(), layer, &mut sink, &|_| {})
            .await
            .unwrap_err();
        let Error::Layout {
            layout,
            source: LayoutError::NoBlob { digest },
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(reference.location(), &layout.clone().into());
        assert_eq!(digest, &layer.digest);
        assert!(error.is_absence());
    }
}

#[tokio::test]
async fn nothing_at_the_path_is_not_found() {
    let stored = Stored::new(&Layout::new());
    let error = resolve(&stored.reference("nothing")).await.unwrap_err();
    assert!(error.is_absence());
    assert!(matches!(fault(Err::<(), _>(error)), LayoutError::Nothing));
}

#[tokio::test]
async fn a_layout_is_never_written_to() {
    let app = image("linux/amd64");
    let stored = Stored::new(&Layout::new().image(&app, None));
    for reference in stored.both() {
        // What writes takes a repository, and there is none.
        let refused = reference.location().writable().cloned();
        assert!(matches!(fault(refused), LayoutError::NeedsRegistry));
        let image = resolve(&reference).await.unwrap();
        let tagged = client().tag(&image, "v1").await;
        assert!(matches!(fault(tagged), LayoutError::NeedsRegistry));
    }
}

#[tokio::test]
async fn entries_that_are_no_documents_are_passed_over() {
    let app = image("linux/amd64");
    let mut index = serde_json::to_value(Index {
        schema_version: 2,
        media_type: None,
        artifact_type: None,
        manifests: vec![Descriptor::of("application/xml", b"<a/>"), app.descriptor()],
        subject: None,
        annotations: Default::default(),
    })
    .unwrap();
    let foreign = serde_json::json!({
        "mediaType": media_type::OCI_MANIFEST, "size": 1, "digest": "blake3:00ff"
    });
    index["manifests"].as_array_mut().unwrap().push(foreign);
    let layout = Layout::new()
        .content(&app)
        .file("index.json", index.to_string());
    for reference in Stored::new(&layout).both() {
        let resolved = resolve(&reference).await.unwrap();
        assert_eq!(resolved.digest(), &app.digest());
    }
}
