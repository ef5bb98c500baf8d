//! What is refused for the form of the layout, before any digest counts.

use super::*;

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
async fn more_than_ten_thousand_entries_are_too_many() {
    let entries = (0..=10_000_u32).map(u32::to_be_bytes);
    let layout = entries.fold(Layout::new(), |layout, bytes| {
        layout.entry(Descriptor::of(media_type::OCI_MANIFEST, &bytes), None)
    });
    for reference in Stored::new(&layout).both() {
        let error = resolve(&reference).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Limit {
                    limit: 10_000,
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
        let subject = reference.location().at(subject.clone());
        let error = client().referrers(&subject).await.unwrap_err();
        assert!(
            matches!(error, Error::Limit { limit, unit: "bytes", .. } if limit == 64 << 20),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_entry_without_a_digest_is_refused() {
    let image = image("linux/amd64");
    let of = |digest: &str| {
        let size = image.descriptor().size;
        serde_json::json!({"mediaType": media_type::OCI_MANIFEST, "size": size, "digest": digest})
    };
    for wrong in [
        of("sha256:../../../etc/passwd"),
        of("sha256:00"),
        of("blake3:00/../../etc/passwd"),
        of(""),
        serde_json::json!({"mediaType": media_type::OCI_MANIFEST, "size": 1}),
        serde_json::json!(1),
    ] {
        let right = of(&image.digest().to_string());
        let index = serde_json::json!({"schemaVersion": 2, "manifests": [right, wrong]});
        let layout = Layout::new()
            .content(&image)
            .file("index.json", index.to_string());
        for fault in faults(&layout).await {
            let LayoutError::Index(ManifestError::Json(error)) = fault else {
                panic!("another fault: {fault:?}");
            };
            let says = "expected a digest in each entry of `manifests`, found `";
            assert!(error.to_string().starts_with(says), "{wrong}: {error}");
        }
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
        assert!(fault.to_string().contains("skopeo copy docker-archive:"));
        assert!(fault.to_string().contains("skopeo copy dir:"));
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
