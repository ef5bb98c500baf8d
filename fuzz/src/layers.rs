//! Layers whose names and links meet each other: made from a few names, so that chance finds the same ones again.

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::tree::{Entry, Kind};

const LAYERS: usize = 3;
const ENTRIES: usize = 12;
const NAMES: [&[u8]; 8] = [
    b"a",
    b"b",
    b"c",
    b"d",
    b"..",
    b".wh.a",
    b".wh.b",
    b".wh..wh..opq",
];
const MODES: [u32; 5] = [0o644, 0o755, 0o700, 0o777, 0o6511];
const BLOCK: usize = 512;

/// Layers, the lowest first.
#[derive(Debug)]
pub struct Layers(pub Vec<Vec<Entry>>);

impl<'a> Arbitrary<'a> for Layers {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut layers = Vec::new();
        for _ in 0..u.int_in_range(1..=LAYERS)? {
            let mut entries = Vec::new();
            for _ in 0..u.int_in_range(1..=ENTRIES)? {
                entries.push(entry(u)?);
            }
            layers.push(entries);
        }
        Ok(Self(layers))
    }
}

fn entry(u: &mut Unstructured<'_>) -> Result<Entry> {
    Ok(Entry {
        name: path(u, NAMES.len())?,
        mode: *u.choose(&MODES)?,
        kind: match u.int_in_range(0..=9)? {
            0..=2 => Kind::Directory,
            3 | 4 => Kind::File(vec![u.arbitrary()?]),
            5 | 6 => Kind::Symlink(path(u, 5)?),
            7 | 8 => Kind::Hardlink(path(u, 4)?),
            _ => Kind::Special,
        },
    })
}

/// A path of the first `names` of the names.
fn path(u: &mut Unstructured<'_>, names: usize) -> Result<Vec<u8>> {
    let mut path = match u.int_in_range(0..=7)? {
        0 => b"/".to_vec(),
        _ => Vec::new(),
    };
    let count = u.int_in_range(1..=4)?;
    for number in 0..count {
        if number > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(u.choose(&NAMES[..names])?);
    }
    Ok(path)
}

/// An archive of `entries`, whose names are short.
pub fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut tar = Vec::new();
    for entry in entries {
        let (flag, link, content): (u8, &[u8], &[u8]) = match &entry.kind {
            Kind::File(content) => (b'0', b"", content),
            Kind::Hardlink(target) => (b'1', target, b""),
            Kind::Symlink(target) => (b'2', target, b""),
            Kind::Special => (b'6', b"", b""),
            Kind::Directory => (b'5', b"", b""),
            Kind::Unknown(flag) => (*flag, b"", b""),
        };
        let mut header = [0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &entry.name);
        put(100, format!("{:07o}", entry.mode).as_bytes());
        put(108, b"0000000\x000000000");
        put(
            124,
            format!("{:011o}\0{:011o}\0        ", content.len(), 1).as_bytes(),
        );
        put(156, &[flag]);
        put(157, link);
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend_from_slice(&header);
        tar.extend_from_slice(content);
        tar.resize(tar.len().next_multiple_of(BLOCK), 0);
    }
    tar
}
