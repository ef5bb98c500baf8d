//! Archives: where their members are, and what is no archive.

use countersign_oci::archive::HeaderError;

use super::*;

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
async fn damaged_headers_are_refused_with_their_place() {
    let layout = Layout::new();
    let place = layout.archive().tar().len() as u64 - 1024;
    let refused = async |entry: Entry| {
        let fault = archive_fault(&layout.archive().entry(entry).tar()).await;
        let LayoutError::Header { offset, source } = fault else {
            panic!("{fault:?}");
        };
        assert_eq!(offset, place, "{source}");
        source
    };
    let entry = || Entry::file("other", "");
    let source = refused(entry().bad_checksum()).await;
    assert!(matches!(source, HeaderError::Checksum { .. }), "{source:?}");
    for (entry, wanted) in [
        (entry().pax("size", "many"), "a number of bytes"),
        (entry().pax("comment", "x".repeat(70_000)), "64 KiB at most"),
    ] {
        let source = refused(entry).await;
        assert!(
            matches!(source, HeaderError::Extension { expected, .. } if expected == wanted),
            "{source:?}"
        );
    }
}

#[tokio::test]
async fn an_end_of_one_block_with_more_behind_it_is_refused() {
    let mut tar = Layout::new().archive().tar();
    let last = tar.len() - 1;
    tar[last] = b'x';
    let fault = archive_fault(&tar).await;
    assert!(
        matches!(
            fault,
            LayoutError::Header {
                source: HeaderError::Header { field: "end", .. },
                ..
            }
        ),
        "{fault:?}"
    );
}

#[tokio::test]
async fn kinds_that_readers_take_in_their_own_way_are_refused() {
    for entry in [
        Entry::new(EntryKind::Other(b'7'), "other"),
        Entry::new(EntryKind::GnuSparse, "other"),
    ] {
        let fault = archive_fault(&Layout::new().archive().entry(entry).tar()).await;
        assert!(
            matches!(
                fault,
                LayoutError::Header {
                    source: HeaderError::Header { field: "type", .. },
                    ..
                }
            ),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn more_headers_than_an_image_has_are_refused() {
    let tar = Layer::builder().entry(Entry::file("other", "")).tar();
    let fault = archive_fault(&tar[..512].repeat(100_001)).await;
    assert!(
        matches!(fault, LayoutError::Headers { limit: 100_000 }),
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
            .blob(reference.location(), descriptor, 1 << 20)
            .await;
        assert!(found.is_ok(), "{found:?}");
    }
}
