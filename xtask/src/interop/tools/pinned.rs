//! Programs out of our own modules, whose go.mod and go.sum pin them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use countersign_oci::Digest;

use super::{folder, go, install};
use crate::command::workspace;

/// A program out of a module in `programs/`, whose go.mod and go.sum pin it. Used where
/// `go install` won't do.
pub(in super::super) struct PinnedProgram {
    name: &'static str,
    /// `None` of a program of ours: a digest of its files is its version.
    version: Option<&'static str>,
    /// The module's folder.
    module: &'static str,
    package: &'static str,
    /// Build tags.
    tags: &'static str,
}

/// A registry with the referrers API. It stands in for zot, whose module not every module proxy
/// serves (some answer 403 for its host).
pub(in super::super) const OLAREG: PinnedProgram = PinnedProgram {
    name: "olareg",
    version: Some("0.1.2"),
    module: ".",
    package: "github.com/olareg/olareg/cmd/olareg",
    tags: "",
};
/// The CT front end and Trillian, which the public instance began with. They stand in for
/// TesseraCT, whose releases the checksum database does not hold, so that Go refuses them.
pub(super) const CT_LOG: PinnedProgram = PinnedProgram {
    name: "ctlog",
    version: None,
    module: ".",
    package: "./ctlog",
    tags: "",
};
/// umoci's module has a replacement in it, with which Go installs none.
pub(in super::super) const UMOCI: PinnedProgram = PinnedProgram {
    name: "umoci",
    version: Some("0.6.0"),
    module: "peers",
    package: "github.com/opencontainers/umoci/cmd/umoci",
    tags: "",
};
/// containerd and containers/storage, which have no program that unpacks an image and no more.
pub(in super::super) const PEERS: PinnedProgram = PinnedProgram {
    name: "peers",
    version: None,
    module: "peers",
    package: ".",
    tags: "",
};

/// The code by which policy-controller, Kyverno, Talos, Flux and containers/image read their policies.
pub(in super::super) const ENFORCERS: PinnedProgram = PinnedProgram {
    name: "enforcers",
    version: None,
    module: "enforcers",
    package: ".",
    tags: "containers_image_openpgp",
};

impl PinnedProgram {
    pub(in super::super) fn install(&self, root: &Path) -> anyhow::Result<PathBuf> {
        let folder = install(root, self.name, &self.version()?, |partial| {
            go().args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
                .args([&partial.join(self.name)])
                .args(["-tags", self.tags, self.package])
                .directory(self.source())
                .run()?
                .success()?;
            Ok(())
        })?;
        Ok(folder.join(self.name))
    }

    /// The module's folder.
    fn source(&self) -> PathBuf {
        let programs = workspace().join("xtask/src/interop/programs");
        programs.join(self.module)
    }

    fn version(&self) -> anyhow::Result<String> {
        match self.version {
            Some(version) => Ok(version.to_owned()),
            None => version_of_files(&self.source(), self.package),
        }
    }

    /// Where it is, if an earlier run installed it.
    pub(super) fn installed(&self, root: &Path) -> Option<PathBuf> {
        let program = folder(root, self.name, &self.version().ok()?).join(self.name);
        program.is_file().then_some(program)
    }
}

/// A name for what is built from a package's own files and from what its module pins. It changes with any of them.
fn version_of_files(module: &Path, package: &str) -> anyhow::Result<String> {
    let mut files = vec![module.join("go.mod"), module.join("go.sum")];
    for entry in fs::read_dir(module.join(package))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "go") {
            files.push(path);
        }
    }
    files.sort();
    let mut content = Vec::new();
    for file in files {
        let bytes = fs::read(&file).with_context(|| file.display().to_string())?;
        content.extend(Digest::sha256(&bytes).to_string().into_bytes());
    }
    let digest = Digest::sha256(&content);
    Ok(digest.hex().chars().take(12).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_is_another_version() {
        let module = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(module.path().join(name), text).unwrap();
        let version = || version_of_files(module.path(), ".").unwrap();
        write("go.mod", "module programs");
        write("go.sum", "");
        write("main.go", "package main");
        let first = version();
        assert_eq!(first.len(), 12);
        write("main.go", "package main // changed");
        let changed = version();
        assert_ne!(changed, first);
        write("notes.txt", "not built");
        assert_eq!(version(), changed);
        write("go.sum", "another");
        assert_ne!(version(), changed);
    }
}
