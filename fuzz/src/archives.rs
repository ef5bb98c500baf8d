//! Layers over layers, unpacked by us, and worked out in memory from what another reader finds in them.

use std::fs;
use std::path::Path;

use countersign_download::fuzzing;

use crate::oracle::{self, Reading};
use crate::tree::{Entry, Seen, Tree, seen_at};

const BLOCK: usize = 512;
/// At most so many layers are in one input.
const LAYERS: usize = 3;
/// Where a header has its checksum and its size.
const CHECKSUM: std::ops::Range<usize> = 148..156;
const SIZE: std::ops::Range<usize> = 124..136;

/// Unpacks the layers of `input`, and compares with what Go's reader finds in them.
///
/// # Panics
/// When we accept what Go's reader doesn't, or make another tree of it, or write outside the root.
pub fn raw(input: &[u8]) {
    let layers = layers(input);
    let Some(seen) = unpack(&layers) else {
        return;
    };
    let mut entries = Vec::new();
    for layer in &layers {
        match oracle::read(layer) {
            Reading::Entries(found) => entries.push(found),
            Reading::Refused => panic!("Go's reader refuses it"),
            Reading::Unknown => return,
        }
    }
    compare(&seen, &entries);
}

/// The same for archives that are written from `layers`.
///
/// # Panics
/// As [`raw`].
pub fn written(layers: &[Vec<Entry>]) {
    let archives: Vec<_> = layers
        .iter()
        .map(|layer| crate::layers::tar(layer))
        .collect();
    if let Some(seen) = unpack(&archives) {
        compare(&seen, layers);
    }
}

fn compare(ours: &Seen, layers: &[Vec<Entry>]) {
    let mut tree = Tree::default();
    for layer in layers {
        if let Err(wrong) = tree.apply(layer) {
            panic!("{}: {layers:?}", wrong.0);
        }
    }
    let theirs = tree.seen();
    assert!(
        *ours == theirs,
        "{layers:?}\nours:\n{ours:?}\ntheirs:\n{theirs:?}"
    );
}

/// What is there when all layers are unpacked; nothing if they are refused.
fn unpack(layers: &[Vec<u8>]) -> Option<Seen> {
    let memory = Path::new("/dev/shm");
    let outer = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let outer = outer.expect("a directory can be made");
    let root = outer.path().join("root");
    fs::create_dir(&root).expect("a directory can be made");
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let accepted = fuzzing::unpack(&layers, &root).is_ok();
    let beside = fs::read_dir(outer.path()).expect("it is there").count();
    assert_eq!(beside, 1, "something is outside the root");
    accepted.then(|| seen_at(&root))
}

/// The first byte says how many layers there are, of the same number of blocks each, and whether their checksums
/// are put right.
fn layers(input: &[u8]) -> Vec<Vec<u8>> {
    let Some((first, rest)) = input.split_first() else {
        return Vec::new();
    };
    let count = 1 + usize::from(*first & 0x7f) % LAYERS;
    let blocks = rest.len().div_ceil(BLOCK).div_ceil(count).max(1);
    let mut layers: Vec<_> = rest.chunks(blocks * BLOCK).map(<[u8]>::to_vec).collect();
    if *first & 0x80 == 0 {
        layers.iter_mut().for_each(|layer| put_right(layer));
    }
    layers
}

/// Writes the checksum of each header: nothing that is changed by chance has the right one.
fn put_right(layer: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = layer.get_mut(at..at + BLOCK) {
        at += BLOCK;
        if header.iter().all(|&byte| byte == 0) {
            continue;
        }
        header[CHECKSUM].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        let digits = format!("{sum:06o}\0 ");
        header[CHECKSUM].copy_from_slice(digits.as_bytes());
        let size = std::str::from_utf8(&header[SIZE]).unwrap_or_default();
        let size = size.trim_matches(['\0', ' ']);
        if !matches!(header[156], b'1'..=b'6') {
            let size = usize::from_str_radix(size, 8).unwrap_or_default();
            at += size.min(layer.len()).next_multiple_of(BLOCK);
        }
    }
}
