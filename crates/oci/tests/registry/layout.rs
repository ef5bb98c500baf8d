//! Image layouts read as registries are. The layouts are of our own making, each with one fault.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use bytes::Bytes;
use countersign_oci::{
    Descriptor, Digest, Document, Error, Index, LayoutError, LayoutPath, ManifestError, Options,
    PlainHttp, Reference, Registry, ResolvedImage, media_type,
};
use countersign_sandbox::image::{
    Compression, Entry, EntryKind, Image, ImageIndex, Layer, Layout, blob_path,
};
use tempfile::TempDir;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

fn image(platform: &str) -> Image {
    let layer = Layer::builder()
        .file("platform", platform, 0o644)
        .build(Compression::Gzip);
    Image::builder(platform.parse().unwrap())
        .layer(layer)
        .build()
}

fn signature(subject: &Descriptor, remark: &str) -> Image {
    Image::artifact(BUNDLE)
        .subject(subject.clone())
        .layer(BUNDLE, remark.to_owned())
        .build()
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
        let repository = reference.repository();
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
        let child = document.select(&"linux/arm64".parse().unwrap()).unwrap();
        let child = client.child(reference.repository(), child).await.unwrap();
        assert_eq!(child.digest(), &index.images()[1].digest());
        assert_eq!(child.reference().repository(), reference.repository());
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
        let subject = reference.repository().at(app.digest());
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
        let subject = reference.repository().at(app.digest());
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
        assert_eq!(found, ["v1".to_owned(), two.digest().to_string()]);
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
            matches!(&error, Error::DigestMismatch { expected, .. } if *expected == image.digest()),
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
            .fetch_blob(reference.repository(), layer, &mut sink, &|_| {})
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
            .fetch_blob(reference.repository(), &layer, &mut sink, &|_| {})
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
            .fetch_blob(reference.repository(), layer, &mut sink, &|_| {})
            .await
            .unwrap_err();
        let expected = format!("{reference}@{}", layer.digest);
        assert!(
            matches!(&error, Error::NotFound { what } if *what == expected),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn nothing_at_the_path_is_not_found() {
    let stored = Stored::new(&Layout::new());
    let error = resolve(&stored.reference("nothing")).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
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
async fn links_are_not_followed_even_to_the_right_bytes() {
    let image = image("linux/amd64");
    let blob = blob_path(&image.digest());
    for linked in [
        blob.as_str(),
        "blobs/sha256",
        "blobs",
        "index.json",
        "oci-layout",
    ] {
        let stored = Stored::new(&Layout::new().image(&image, None));
        let path = stored.path("directory").join(linked);
        fs::rename(&path, stored.path("moved")).unwrap();
        symlink(stored.path("moved"), &path).unwrap();
        let fault = fault(resolve(&stored.reference("directory")).await);
        assert!(is_link(&fault), "{linked}: {fault:?}");
    }
}

#[tokio::test]
async fn links_in_an_archive_are_not_followed() {
    let image = image("linux/amd64");
    let blob = blob_path(&image.digest());
    let layout = Layout::new().image(&image, None).without(&blob);
    let with = |kind| {
        let entry = Entry::new(kind, &blob).link("/etc/passwd");
        layout.archive().entry(entry).tar()
    };
    let fault = archive_fault(&with(EntryKind::Symlink)).await;
    assert!(is_link(&fault), "{fault:?}");
    let fault = archive_fault(&with(EntryKind::Hardlink)).await;
    assert!(
        matches!(
            fault,
            LayoutError::NoFile {
                found: "a hard link",
                ..
            }
        ),
        "{fault:?}"
    );
}

#[tokio::test]
async fn an_index_that_is_too_big_is_refused() {
    let index = vec![b' '; (4 << 20) + 1];
    let layout = Layout::new().file("index.json", index);
    for reference in Stored::new(&layout).both() {
        let error = resolve(&reference).await.unwrap_err();
        assert!(
            matches!(error, Error::Limit { limit, unit: "bytes", .. } if limit == 4 << 20),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn ten_thousand_entries_are_too_many() {
    let entries = (0..10_000_u32).map(u32::to_be_bytes);
    let layout = entries.fold(Layout::new(), |layout, bytes| {
        layout.entry(Descriptor::of(media_type::OCI_MANIFEST, &bytes), None)
    });
    for reference in Stored::new(&layout).both() {
        let error = resolve(&reference).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Limit {
                    limit: 1_000,
                    unit: "entries",
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn documents_of_more_bytes_in_all_than_signatures_have_are_too_many() {
    let size = 4 << 20;
    let entries = (0..17_u32).map(|n| Descriptor {
        size,
        ..Descriptor::of(media_type::OCI_MANIFEST, &n.to_be_bytes())
    });
    let layout = entries.fold(Layout::new(), |layout, entry| layout.entry(entry, None));
    let subject = Digest::sha256(b"");
    for reference in Stored::new(&layout).both() {
        let subject = reference.repository().at(subject.clone());
        let error = client().referrers(&subject).await.unwrap_err();
        assert!(
            matches!(error, Error::Limit { limit, unit: "bytes", .. } if limit == 64 << 20),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_index_that_is_none_is_refused() {
    let image = image("linux/amd64");
    for (json, expected) in [
        ("{", "JSON"),
        (std::str::from_utf8(image.bytes()).unwrap(), "manifest"),
    ] {
        let layout = Layout::new().file("index.json", json.to_owned());
        for fault in faults(&layout).await {
            let LayoutError::Index(source) = fault else {
                panic!("another fault: {fault:?}");
            };
            match expected {
                "JSON" => assert!(matches!(source, ManifestError::Json(_))),
                _ => assert!(matches!(source, ManifestError::NoIndex)),
            }
        }
    }
}

#[tokio::test]
async fn without_its_index_a_layout_is_refused() {
    let stored = Stored::new(&Layout::new());
    fs::remove_file(stored.path("directory/index.json")).unwrap();
    let fault = fault(resolve(&stored.reference("directory")).await);
    assert!(matches!(fault, LayoutError::NoIndex), "{fault:?}");
}

#[tokio::test]
async fn without_its_marker_a_layout_is_refused() {
    let image = image("linux/amd64");
    let layout = Layout::new().image(&image, None).without("oci-layout");
    for fault in faults(&layout).await {
        assert!(matches!(fault, LayoutError::NoMarker), "{fault:?}");
    }
}

#[tokio::test]
async fn an_older_archive_of_docker_save_is_told_from_a_layout() {
    let layout = Layout::new()
        .without("oci-layout")
        .file("manifest.json", "[]");
    for fault in faults(&layout).await {
        assert!(matches!(fault, LayoutError::DockerArchive), "{fault:?}");
        assert!(fault.to_string().contains("skopeo copy"));
    }
}

#[tokio::test]
async fn a_layout_of_another_version_is_refused() {
    let marker = r#"{"imageLayoutVersion":"2.0.0"}"#;
    for fault in faults(&Layout::new().file("oci-layout", marker)).await {
        assert!(
            matches!(&fault, LayoutError::Version { expected: "1.0.0", found } if found == "2.0.0"),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_marker_that_is_none_is_refused() {
    for marker in ["{}", "1.0.0", &" ".repeat(5_000)] {
        for fault in faults(&Layout::new().file("oci-layout", marker.to_owned())).await {
            assert!(matches!(fault, LayoutError::Marker { .. }), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn an_archive_that_is_cut_short_is_refused() {
    let tar = Layout::new()
        .image(&image("linux/amd64"), None)
        .archive()
        .tar();
    // In the first member's content, in the second one's header, in the last one's content, and
    // behind all of them.
    for length in [
        513,
        512 + 512 + 100,
        tar.len() - 1024 - 512,
        tar.len() - 1024,
    ] {
        let fault = archive_fault(&tar[..length]).await;
        assert!(
            matches!(fault, LayoutError::Truncated { found, .. } if found == length as u64),
            "{length}: {fault:?}"
        );
    }
}

#[tokio::test]
async fn a_damaged_header_is_refused() {
    let entry = Entry::file("other", "").bad_checksum();
    let fault = archive_fault(&Layout::new().archive().entry(entry).tar()).await;
    assert!(
        matches!(
            fault,
            LayoutError::Header {
                expected: "its checksum",
                ..
            }
        ),
        "{fault:?}"
    );
}

#[tokio::test]
async fn a_file_that_is_there_twice_is_refused() {
    let entry = Entry::file("./index.json", "{}");
    let fault = archive_fault(&Layout::new().archive().entry(entry).tar()).await;
    assert!(
        matches!(&fault, LayoutError::Twice { part } if part == "index.json"),
        "{fault:?}"
    );
}

#[tokio::test]
async fn what_is_no_archive_is_told_by_what_it_is() {
    for (bytes, expected) in [
        ("", "an empty file"),
        (&*"x".repeat(2_000), "something else"),
    ] {
        let fault = archive_fault(bytes.as_bytes()).await;
        assert!(
            matches!(fault, LayoutError::NoArchive { found } if found == expected),
            "{fault:?}"
        );
    }
    let device = LayoutPath::new("/dev/null".as_ref()).unwrap();
    let fault = fault(resolve(&device.into()).await);
    assert!(
        matches!(
            fault,
            LayoutError::NoArchive {
                found: "a device, a pipe or a socket"
            }
        ),
        "{fault:?}"
    );
}

#[tokio::test]
async fn a_compressed_archive_is_refused_by_name() {
    let tar = Layout::new().archive().tar();
    for (compression, expected) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
        let fault = archive_fault(&compression.compress(&tar)).await;
        assert!(
            matches!(fault, LayoutError::Compressed { by } if by == expected),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn names_and_sizes_of_extension_headers_are_heeded() {
    let image = image("linux/amd64");
    let (layer, config) = (&image.layers()[0], &image.blobs()[0]);
    let blob = |bytes: &Bytes| blob_path(&Digest::sha256(bytes));
    let layout = Layout::new()
        .image(&image, None)
        .without(&blob(layer))
        .without(&blob(config));
    let renamed = Entry::file("other", layer).pax("path", format!("./{}", blob(layer)));
    let sized = Entry::file(blob(config), config)
        .size(0)
        .pax("size", config.len().to_string());
    let tar = layout.archive().entry(sized).entry(renamed).tar();
    let stored = Stored::new(&layout);
    fs::write(stored.path("archive.tar"), tar).unwrap();
    let reference = stored.reference("archive.tar");
    for descriptor in [&image.manifest().config, &image.manifest().layers[0]] {
        let found = client()
            .blob(reference.repository(), descriptor, 1 << 20)
            .await;
        assert!(found.is_ok(), "{found:?}");
    }
}

#[tokio::test]
async fn a_layout_is_never_written_to() {
    let app = image("linux/amd64");
    let stored = Stored::new(&Layout::new().image(&app, None));
    for reference in stored.both() {
        let (client, repository) = (client(), reference.repository());
        let pushed = client
            .push_manifest(
                repository,
                media_type::OCI_MANIFEST,
                app.bytes().clone(),
                None,
            )
            .await;
        assert!(matches!(fault(pushed), LayoutError::ReadOnly));
        let signature = signature(&app.descriptor(), "one");
        let pushed = client
            .push_referrer(
                repository,
                media_type::OCI_MANIFEST,
                signature.bytes().clone(),
            )
            .await;
        assert!(matches!(fault(pushed), LayoutError::ReadOnly));
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
        "mediaType": media_type::OCI_MANIFEST, "size": 1, "digest": "blake3:00/../../etc/passwd"
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
