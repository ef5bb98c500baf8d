//! Archives as an attacker would make them, and as builders do.

mod field;
mod found;
mod hostile;
mod large;
mod mutations;
mod peers;
mod semantics;
mod sparse;
mod spelling;
mod tar;

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use self::tar::Tar;
use super::root::Same;
use super::*;

/// File systems where upper and lower case are the same.
const CASE: Same = Same {
    case: true,
    forms: false,
};
/// File systems where the forms in which Unicode writes a character are the same.
const FORMS: Same = Same {
    case: false,
    forms: true,
};

/// A directory to unpack into, next to one that nothing may touch.
struct Scene {
    outer: tempfile::TempDir,
    limits: Limits,
}

impl Scene {
    const SENTINEL: &str = "untouched";

    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        fs::create_dir(outer.path().join("root")).unwrap();
        fs::create_dir(outer.path().join("outside")).unwrap();
        fs::write(outer.path().join("outside/file"), Self::SENTINEL).unwrap();
        Self {
            outer,
            limits: Limits::default(),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.outer.path().join("root").join(path)
    }

    fn extractor(&self) -> Extractor {
        let root = File::open(self.path("")).unwrap();
        let cancellation = Cancellation::default();
        Extractor::new(OwnedFd::from(root), self.limits.clone(), cancellation).unwrap()
    }

    /// Unpacks the layers, uncompressed and with the right digests, and checks that nothing
    /// outside was touched, whatever came of it.
    ///
    /// File systems where case or the form of Unicode doesn't matter must give the same, for names that don't clash.
    fn unpack(&self, layers: &[Vec<u8>]) -> Result<Vec<String>, ArchiveError> {
        let was_empty = self.tree().is_empty();
        let result = unpack(self.extractor(), layers);
        self.assert_nothing_outside_was_touched();
        for same in [CASE, FORMS].into_iter().filter(|_| was_empty) {
            let other = Self {
                limits: self.limits.clone(),
                ..Self::new()
            };
            let mut extractor = other.extractor();
            extractor.root.force_spellings(same);
            let found = unpack(extractor, layers);
            let text = |result: &Result<_, ArchiveError>| format!("{result:?}");
            assert_eq!(text(&found), text(&result));
            assert_eq!(other.tree(), self.tree());
        }
        result
    }

    fn refusal(&self, layers: &[Vec<u8>]) -> ArchiveError {
        self.unpack(layers).unwrap_err()
    }

    fn assert_nothing_outside_was_touched(&self) {
        let names = |path: PathBuf| {
            let entries = fs::read_dir(path).unwrap();
            let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(self.outer.path().into()), ["outside", "root"]);
        assert_eq!(names(self.outer.path().join("outside")), ["file"]);
        let sentinel = fs::read_to_string(self.outer.path().join("outside/file"));
        assert_eq!(sentinel.unwrap(), Self::SENTINEL);
    }

    /// Every path below the root, in order.
    fn tree(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut pending = vec![self.path("")];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                let path = entry.path();
                let below = path.strip_prefix(self.path("")).unwrap();
                found.push(below.to_string_lossy().into_owned());
                if entry.file_type().unwrap().is_dir() {
                    pending.push(path);
                }
            }
        }
        found.sort();
        found
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// Whether there is anything at `path`, be it a link to nowhere.
    fn has(&self, path: &str) -> bool {
        fs::symlink_metadata(self.path(path)).is_ok()
    }
}

fn unpack(mut extractor: Extractor, layers: &[Vec<u8>]) -> Result<Vec<String>, ArchiveError> {
    layers
        .iter()
        .try_for_each(|tar| extractor.layer(layer(tar, tar)))
        .and_then(|()| {
            let warnings = extractor.unpacked().warnings();
            extractor.finish().map(|()| warnings)
        })
}

/// A layer of these bytes, which decompress to `tar`.
fn layer(bytes: &[u8], tar: &[u8]) -> Layer {
    let mut content = tempfile::tempfile().unwrap();
    content.write_all(bytes).unwrap();
    std::io::Seek::rewind(&mut content).unwrap();
    Layer {
        content: LayerBytes::File(content),
        size: bytes.len() as u64,
        form: Form::Layer {
            diff_id: Digest::sha256(tar),
        },
    }
}

/// The tree that these layers come to.
fn unpacked(layers: &[Vec<u8>]) -> Scene {
    let scene = Scene::new();
    scene.unpack(layers).unwrap();
    scene
}

/// One refused archive.
fn refusal(tar: Tar) -> ArchiveError {
    Scene::new().refusal(&[tar.end()])
}
