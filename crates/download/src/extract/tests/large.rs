//! Layers that are large enough to be decompressed on threads of their own.

use std::io::Read as _;

use super::*;

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
