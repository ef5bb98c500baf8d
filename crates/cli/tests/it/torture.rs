//! The program through mishaps that a seed picks: killed at some moment, or with a registry that
//! misbehaves. Whatever happens, what is installed is the old version or the new one, whole.
//!
//! The tests play a sample. `cargo xtask torture` plays as many as it is told. Each mishap follows from
//! the seed and its number alone, so that it can be played again.

mod faults;
mod kill;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use countersign_oci::Digest;
use countersign_sandbox::image::{Compression, Image, Layer};

use crate::stage::{POLICY, RELEASE, Stage, TRUST};

/// Where the program installs to. Nothing else may be left beside it.
const PLACE: &str = "place";
const FILES: usize = 40;

/// Numbers by chance, always the same for one seed and number.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn new(seed: u64, number: usize) -> Self {
        let mut random = Self(seed ^ (number as u64).wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        random
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    fn tag(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Two => "two",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::One => Self::Two,
            Self::Two => Self::One,
        }
    }

    /// The files of each layer. The second and the third layer replace a file of the first.
    fn layers(self) -> [Vec<(String, Vec<u8>)>; 3] {
        let mut random = Random::new(0, self.tag().len() + self as usize);
        let mut bytes = |count: usize| -> Vec<u8> {
            let mut bytes = vec![0; count];
            for word in bytes.chunks_mut(8) {
                word.copy_from_slice(&random.next().to_le_bytes()[..word.len()]);
            }
            bytes
        };
        let many = |layer: usize, bytes: &mut dyn FnMut(usize) -> Vec<u8>| {
            let file = |at: usize| (format!("lib/{layer}/{at}"), bytes(1 + at * 400));
            (0..FILES).map(file).collect::<Vec<_>>()
        };
        let first = many(0, &mut bytes);
        let mut second = vec![("large".to_owned(), bytes(3 << 20))];
        second.push(("lib/0/1".into(), bytes(9)));
        let mut third = many(2, &mut bytes);
        third.push(("lib/0/2".into(), bytes(9)));
        third.push(("version".into(), self.tag().into()));
        [first, second, third]
    }

    fn image(self) -> Image {
        let mut image = Image::builder("linux/amd64".parse().unwrap());
        for files in self.layers() {
            let mut layer = Layer::builder();
            for (name, bytes) in files {
                layer = layer.file(&name, bytes, 0o644);
            }
            image = image.layer(layer.build(Compression::Gzip));
        }
        image.build()
    }

    /// What has to be installed.
    fn tree(self) -> &'static Tree {
        static TREES: [OnceLock<Tree>; 2] = [const { OnceLock::new() }; 2];
        TREES[self as usize].get_or_init(|| {
            let files = self.layers().into_iter().flatten();
            files
                .map(|(name, bytes)| (name, Digest::sha256(&bytes)))
                .collect()
        })
    }
}

/// Files by their names.
type Tree = BTreeMap<String, Digest>;

/// What is installed; `None` where nothing is.
fn installed(place: &Path) -> Option<Tree> {
    let app = place.join("app");
    app.exists().then(|| {
        let record = app.join(".countersign/record.json");
        assert!(record.is_file(), "an installation without a record");
        let mut tree = Tree::new();
        walk(&app, "", &mut tree);
        tree.remove(".countersign/record.json");
        tree.remove(".countersign/inventory.jsonl");
        tree
    })
}

fn walk(directory: &Path, prefix: &str, tree: &mut Tree) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), &format!("{name}/"), tree);
        } else {
            tree.insert(name, Digest::sha256(&fs::read(entry.path()).unwrap()));
        }
    }
}

/// What is in the place: nothing but what is installed may be left there after a run.
fn names(place: &Path) -> Vec<String> {
    let entries = fs::read_dir(place).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A registry with both versions, signed, and an empty place to install to.
async fn stage() -> Stage {
    let mut stage = Stage::new().await;
    // It may be built again while this runs, which may take an hour.
    stage.keep_program();
    for version in [Version::One, Version::Two] {
        let image = version.image();
        image.push(&stage.registry, "app", Some(version.tag()));
        stage.signed(&format!("app:{}", version.tag()), RELEASE);
    }
    fs::create_dir(stage.path(PLACE)).unwrap();
    stage
}

/// `countersign install` of a version. Either may replace the other, whichever was signed first.
fn arguments(stage: &Stage, version: Version) -> Vec<String> {
    let reference = stage.reference(&format!("app:{}", version.tag()));
    let target = format!("{PLACE}/app");
    let mut arguments = vec!["install", "--allow-older", "--platform", "linux/amd64"];
    arguments.extend(TRUST);
    arguments.extend(POLICY);
    arguments.extend([reference.as_str(), target.as_str()]);
    arguments.into_iter().map(str::to_owned).collect()
}

/// How many mishaps to play, and the seed, as `cargo xtask torture` says them; `None` where somebody else runs the
/// ignored tests.
#[expect(clippy::disallowed_methods, reason = "a test has no other input")]
fn asked_for() -> Option<(usize, u64)> {
    let input = std::env::var("COUNTERSIGN_PLAY").ok()?;
    let numbers = input.split_once(' ');
    let numbers = numbers.and_then(|(count, seed)| Some((count.parse().ok()?, seed.parse().ok()?)));
    Some(numbers.unwrap_or_else(|| panic!("expected COUNT SEED, found {input:?}")))
}
