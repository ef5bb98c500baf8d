//! Archives with bytes changed at random: whatever comes of them, nothing outside is touched.

use std::time::{Duration, Instant};

use super::*;

/// For as long as this, or so many archives: a search that any machine ends soon.
const TIME: Duration = Duration::from_secs(3);
const ROUNDS: u64 = 4000;
/// Archives that must be taken, and that must be refused.
const ENOUGH: u64 = 20;

/// SplitMix64: the same numbers on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}

/// One of every kind of entry and header.
fn archive() -> Vec<u8> {
    let map = "0,4,1000,4";
    Tar::default()
        .directory("d/")
        .file("d/x", b"text")
        .symlink("out", "../outside")
        .symlink("d/up", "/d")
        .hardlink("d/y", "/d/x")
        .device("d/null")
        .hardlink("d/zero", "d/null")
        .pax("path", "d/up/long")
        .pax("mtime", "-1.5")
        .file("short", b"text")
        .extension(b'L', b"d/longer\0")
        .file("short", b"text")
        .extension(b'K', b"../outside/file\0")
        .symlink("l", "short")
        .pax("GNU.sparse.map", map)
        .pax("GNU.sparse.numblocks", "2")
        .pax("GNU.sparse.size", "2000")
        .file("holes", b"datadata")
        .pax("GNU.sparse.major", "1")
        .pax("GNU.sparse.minor", "0")
        .file("more", &[&b"0\n"[..], &[0; 510]].concat())
        .file("e/.wh..wh..opq", b"")
        .file(".wh.gone", b"")
        .end()
}

#[test]
fn changed_archives_never_reach_outside() {
    let whole = archive();
    let lower = Tar::default()
        .symlink("s", "../outside")
        .symlink("t", "/")
        .file("d/x", b"lower")
        .end();
    // What names and targets may be made of.
    let parts: [&[u8]; 9] = [
        b"..",
        b"/",
        b"../outside/file",
        b"s/x",
        b"t/../outside",
        b"d/",
        b".wh.",
        b"\0",
        b"5",
    ];
    unpacked(&[lower.clone(), whole.clone()]);
    let mut random = Random(7);
    let started = Instant::now();
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        // However slow the machine is, there is a search.
        let enough = taken > ENOUGH && refused > ENOUGH;
        if enough && started.elapsed() > TIME {
            break;
        }
        let mut changed = whole.clone();
        for _ in 0..=random.below(4) {
            let header = random.below(changed.len() / 512) * 512;
            match random.below(5) {
                0 => changed[header + random.below(512)] = random.next() as u8,
                // Another type, name or target.
                1 => changed[header + 156] = b"0123456SLKxg\0"[random.below(13)],
                2 | 3 => {
                    let part = parts[random.below(parts.len())];
                    let at = header + [0, 157, 345][random.below(3)];
                    changed[at..at + part.len()].copy_from_slice(part);
                }
                _ => {
                    let other = random.below(changed.len() / 512) * 512;
                    changed.copy_within(other..other + 512, header);
                }
            }
        }
        // So that not every change ends at a checksum.
        for header in changed.chunks_exact_mut(512) {
            if &header[257..262] == b"ustar" {
                header[148..156].fill(b' ');
                let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
                header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        changed.truncate(changed.len() - random.below(64) * random.below(2));
        // Looks at what is outside, whatever comes of it.
        match Scene::new().unpack(&[lower.clone(), changed]) {
            Ok(_) => taken += 1,
            Err(_) => refused += 1,
        }
    }
    // A search that takes nothing, or refuses nothing, has not searched.
    assert!(
        taken > ENOUGH && refused > ENOUGH,
        "{taken} taken, {refused} refused"
    );
}
