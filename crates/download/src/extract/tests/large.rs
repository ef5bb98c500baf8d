//! Layers that are large enough to be decompressed on threads of their own.

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use countersign_sandbox::image::Entry;

use super::*;
use crate::limits::Bound;

/// Content that doesn't compress.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Vec::new();
    let level = flate2::Compression::fast();
    flate2::read::GzEncoder::new(bytes, level)
        .read_to_end(&mut gzip)
        .unwrap();
    assert!(gzip.len() as u64 > SMALL);
    gzip
}

/// An archive with one file of noise.
fn tar(name: &str, seed: u64) -> Vec<u8> {
    Tar::default().file(name, &noise(700_000, seed)).end()
}

#[test]
fn layers_that_are_decompressed_at_the_same_time_are_unpacked_in_order() {
    let scene = Scene::new();
    let mut extractor = scene.extractor();
    let tars = [tar("x", 1), tar("y", 2), tar("x", 3)];
    let open = |tar: &Vec<u8>| layer(&gzip(tar), tar).open().unwrap();
    for layer in tars.iter().map(open).collect::<Vec<_>>() {
        extractor.apply(layer).unwrap();
    }
    extractor.finish().unwrap();
    let found = |name| fs::read(scene.path(name)).unwrap();
    assert!(found("x") == noise(700_000, 3));
    assert!(found("y") == noise(700_000, 2));
}

#[test]
fn a_large_layer_with_another_digest_is_refused() {
    let layer = layer(&gzip(&tar("x", 1)), &tar("x", 2));
    let error = Scene::new().extractor().layer(layer).unwrap_err();
    assert!(matches!(error, ArchiveError::DiffId { .. }), "{error:?}");
}

#[test]
fn a_large_layer_that_is_damaged_is_refused() {
    let tar = tar("x", 1);
    let mut bytes = gzip(&tar);
    bytes.truncate(bytes.len() / 2);
    let scene = Scene::new();
    let error = scene.extractor().layer(layer(&bytes, &tar)).unwrap_err();
    assert!(matches!(error, ArchiveError::Read(_)), "{error:?}");
}

#[test]
fn a_large_layer_over_a_limit_is_refused() {
    let tar = tar("x", 1);
    let mut scene = Scene::new();
    scene.limits.unpacked_bytes = 600_000;
    let layer = layer(&gzip(&tar), &tar);
    let error = scene.extractor().layer(layer).unwrap_err();
    assert!(matches!(error, ArchiveError::Limit { .. }), "{error:?}");
}

#[test]
fn a_zstd_window_has_a_bound_in_every_frame() {
    let tar = Tar::default().file("x", &[1; 512]).end();
    let frame = |log, bytes: &[u8]| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let result = |bytes: &[u8]| Scene::new().extractor().layer(layer(bytes, &tar));
    result(&frame(23, &tar)).unwrap();
    let (begin, end) = tar.split_at(512);
    for large in [
        frame(24, &tar),
        frame(27, &tar),
        [frame(23, begin), frame(24, end)].concat(),
    ] {
        let error = result(&large).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the window of its zstd compression (see `--long` and `--ultra` of zstd) is over the limit of 8388608 bytes"
        );
        let fixed = matches!(
            error,
            ArchiveError::Limit {
                bound: Bound::Fixed,
                ..
            }
        );
        assert!(fixed, "{error:?}");
    }
}

/// Threads write the files. Names, modes and times must come out as if one had.
#[test]
fn many_files_and_what_happens_to_their_names_come_out_in_the_order_of_the_archive() {
    const TIME: i64 = 1_700_000_000;
    let content = |number: u64| noise(1 + number as usize * 37, number);
    let mut tar = Tar::default();
    for number in 0..400 {
        let name = format!("d/{number}");
        let mode = if number % 2 == 0 { 0o755 } else { 0o400 };
        let entry = Entry::file(&name, content(number)).mode(mode);
        tar = tar.pax("mtime", TIME.to_string()).entry(entry);
        if number % 10 == 0 {
            tar = tar.hardlink(&format!("link/{number}"), &name);
        }
        if number % 20 == 0 {
            // Written once more: the link keeps the first content.
            tar = tar.file(&name, b"again");
        }
    }
    let tar = tar
        .file("large", &noise(3 << 20, 1))
        .file("empty", b"")
        .end();
    let scene = Scene::new();
    let mut extractor = scene.extractor();
    extractor.layer(layer(&gzip(&tar), &tar)).unwrap();
    extractor.finish().unwrap();
    for number in 0..400 {
        let path = scene.path(&format!("d/{number}"));
        let linked = scene.path(&format!("link/{number}"));
        let first = match number % 10 {
            0 => &linked,
            _ => &path,
        };
        assert!(fs::read(first).unwrap() == content(number), "{number}");
        let metadata = first.metadata().unwrap();
        let mode = if number % 2 == 0 { 0o755 } else { 0o400 };
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{number}");
        assert_eq!(metadata.mtime(), TIME, "{number}");
        if number % 20 == 0 {
            assert_eq!(fs::read(&path).unwrap(), b"again", "{number}");
        }
    }
    assert!(fs::read(scene.path("large")).unwrap() == noise(3 << 20, 1));
    assert_eq!(fs::read(scene.path("empty")).unwrap(), b"");
}

#[test]
fn a_layer_in_memory_is_unpacked_like_a_file() {
    let scene = Scene::new();
    let tar = tar("x", 1);
    let bytes = gzip(&tar);
    let layer = Layer {
        size: bytes.len() as u64,
        content: LayerBytes::Memory(bytes),
        form: Form::Layer {
            diff_id: Digest::sha256(&tar),
        },
    };
    let mut extractor = scene.extractor();
    extractor.layer(layer).unwrap();
    assert!(fs::read(scene.path("x")).unwrap() == noise(700_000, 1));
}
