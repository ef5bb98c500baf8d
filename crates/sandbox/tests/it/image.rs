//! Layers and images as built: what a plain tar reader and the config say of them.

use std::io::Read as _;

use countersign_oci::{Digest, Document, media_type};
use countersign_sandbox::image::{
    Compression, Entry, EntryKind, Flavour, Image, ImageIndex, Layer, LayerBuilder,
};
use countersign_sandbox::{RegistryOptions, RegistryServer};

/// Type flag, name, link name, mode and content of each entry.
type Listed = (u8, String, Option<String>, u32, String);

fn list(layer: &LayerBuilder) -> Vec<Listed> {
    let tar = layer.tar();
    let mut archive = tar::Archive::new(tar.as_slice());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let name = text(&entry.path_bytes());
        let link = entry.link_name_bytes().map(|link| text(&link));
        let mode = entry.header().mode().unwrap();
        let kind = entry.header().entry_type().as_byte();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        (kind, name, link, mode, content)
    });
    entries.collect()
}

fn listed(kind: u8, name: &str, link: Option<&str>, mode: u32, content: &str) -> Listed {
    let link = link.map(str::to_owned);
    (kind, name.to_owned(), link, mode, content.to_owned())
}

#[test]
fn ordinary_entries_read_back_as_written() {
    let layer = Layer::builder()
        .directory("bin/", 0o755)
        .file("bin/app", "content", 0o4755)
        .symlink("bin/link", "app")
        .hardlink("bin/hard", "bin/app")
        .whiteout("etc/old")
        .opaque("var");
    let expected = [
        listed(b'5', "bin/", None, 0o755, ""),
        listed(b'0', "bin/app", None, 0o4755, "content"),
        listed(b'2', "bin/link", Some("app"), 0o777, ""),
        listed(b'1', "bin/hard", Some("bin/app"), 0o644, ""),
        listed(b'0', "etc/.wh.old", None, 0o644, ""),
        listed(b'0', "var/.wh..wh..opq", None, 0o644, ""),
    ];
    assert_eq!(list(&layer), expected);
}

#[test]
fn hostile_and_long_names_are_written_as_they_are() {
    let long = format!("{}/../../etc/passwd", "a".repeat(200));
    let names = ["../outside", "/absolute", "a\\b", "", long.as_str()];
    let layer = names
        .iter()
        .fold(Layer::builder(), |layer, name| layer.file(name, "x", 0o644));
    let read: Vec<String> = list(&layer).into_iter().map(|entry| entry.1).collect();
    assert_eq!(read, names);
}

#[test]
fn a_pax_record_counts_its_own_length() {
    // The lengths around which the number of digits changes are those that go wrong.
    for length in 70..80 {
        let value = "v".repeat(length);
        let entry = Entry::file("f", "").pax("SCHILY.xattr.user.k", &value);
        let tar = Layer::builder().entry(entry).tar();
        let mut archive = tar::Archive::new(tar.as_slice());
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        let mut records = entry.pax_extensions().unwrap().unwrap();
        let record = records.next().unwrap().unwrap();
        assert_eq!(record.key(), Ok("SCHILY.xattr.user.k"));
        assert_eq!(record.value(), Ok(value.as_str()));
        assert!(records.next().is_none());
    }
}

#[test]
fn headers_can_lie() {
    let header = |entry: Entry| {
        let tar = Layer::builder().entry(entry).tar();
        tar::Header::from_byte_slice(&tar[..512]).clone()
    };
    let sized = |size: u64| header(Entry::file("f", "1").size(size)).size().unwrap();
    assert_eq!(sized(7), 7);
    assert_eq!(sized(1 << 40), 1 << 40);
    let device = header(Entry::new(EntryKind::CharacterDevice, "null").device(1, 3));
    assert_eq!(device.device_major().unwrap(), Some(1));
    assert_eq!(device.device_minor().unwrap(), Some(3));
    let broken = Layer::builder().entry(Entry::file("f", "").bad_checksum());
    let tar = broken.tar();
    let mut archive = tar::Archive::new(tar.as_slice());
    assert!(archive.entries().unwrap().next().unwrap().is_err());
}

#[test]
fn an_unfinished_archive_has_no_end() {
    let layer = Layer::builder().file("f", "", 0o644);
    assert_eq!(layer.tar().len(), 512 + 1024);
    assert_eq!(layer.unfinished().tar().len(), 512);
}

#[test]
fn each_compression_unpacks_to_the_diff_id() {
    let builder = Layer::builder().file("f", "content", 0o644);
    let plain = builder.build(Compression::None);
    assert!(plain.diff_id().matches(plain.bytes()));
    let mut unpacked = Vec::new();
    let gzip = builder.build(Compression::Gzip);
    flate2::read::GzDecoder::new(gzip.bytes().as_ref())
        .read_to_end(&mut unpacked)
        .unwrap();
    assert!(gzip.diff_id().matches(&unpacked));
    let zstd = builder.build(Compression::Zstd);
    let unpacked = zstd::stream::decode_all(zstd.bytes().as_ref()).unwrap();
    assert!(zstd.diff_id().matches(&unpacked));
    assert_eq!(builder.build(Compression::Gzip).bytes(), gzip.bytes());
}

fn image(platform: &str) -> Image {
    let layer = Layer::builder().file("f", platform, 0o644);
    Image::builder(platform.parse().unwrap())
        .layer(layer.build(Compression::Gzip))
        .build()
}

fn diff_ids(image: &Image) -> Vec<Digest> {
    let config: serde_json::Value = serde_json::from_slice(&image.blobs()[0]).unwrap();
    serde_json::from_value(config["rootfs"]["diff_ids"].clone()).unwrap()
}

#[test]
fn the_config_has_the_layers_diff_ids_or_those_asked_for() {
    let layer = Layer::builder().build(Compression::Zstd);
    let builder = Image::builder("linux/arm64/v8".parse().unwrap()).layer(layer.clone());
    let right = builder.clone().build();
    assert_eq!(diff_ids(&right), [layer.diff_id().clone()]);
    let wrong = Digest::sha256(b"wrong");
    let image = builder.diff_ids(vec![wrong.clone()]).build();
    assert_eq!(diff_ids(&image), [wrong]);
}

#[test]
fn docker_documents_have_dockers_types() {
    let image = Image::builder("linux/amd64".parse().unwrap());
    let image = image.flavour(Flavour::Docker).build();
    let index = ImageIndex::with_flavour(vec![image], Flavour::Docker);
    let document = Document::parse(index.bytes(), Some(media_type::DOCKER_INDEX)).unwrap();
    assert_eq!(document.media_type(), media_type::DOCKER_INDEX);
    let child = &index.index().manifests[0];
    assert_eq!(child.media_type, media_type::DOCKER_MANIFEST);
}

#[test]
fn a_size_error_is_in_the_layers_descriptors_alone() {
    let layer = Layer::builder().build(Compression::Gzip);
    let right = layer.descriptor().size;
    let image = Image::builder("linux/amd64".parse().unwrap()).layer(layer);
    let image = image.size_error(1).build();
    assert_eq!(image.manifest().layers[0].size, right + 1);
    assert_eq!(image.manifest().config.size, image.blobs()[0].len() as u64);
}

#[tokio::test]
async fn a_pushed_index_is_whole() {
    let registry = RegistryServer::start(RegistryOptions::default())
        .await
        .unwrap();
    let index = ImageIndex::new(vec![image("linux/amd64"), image("linux/arm64/v8")]);
    let digest = index.push(&registry, "app", Some("v1"));
    assert_eq!(registry.tagged("app", "v1"), Some(digest.clone()));
    assert_eq!(digest, index.digest());
    for image in index.images() {
        let (_, bytes) = registry
            .manifest("app", &image.digest().to_string())
            .unwrap();
        assert_eq!(bytes, image.bytes());
        let manifest = image.manifest();
        for blob in [&manifest.config].into_iter().chain(&manifest.layers) {
            let bytes = registry.blob("app", &blob.digest).unwrap();
            assert!(blob.digest.matches(&bytes));
            assert_eq!(blob.size, bytes.len() as u64);
        }
    }
}
