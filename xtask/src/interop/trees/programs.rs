//! The programs that write archives, build images and unpack them.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::command::Command;
use crate::interop::skopeo::Skopeo;
use crate::interop::tools;
use crate::machine::Machine;

/// Debian's packages, which come with all that they depend on.
const PACKAGES: [&str; 3] = ["buildah", "libarchive-tools", "busybox-static"];
/// Where Debian keeps programs.
const FOLDERS: [&str; 4] = ["usr/bin", "bin", "usr/sbin", "sbin"];

/// Where the programs are.
pub(super) struct Programs {
    pub(super) crane: PathBuf,
    pub(super) olareg: PathBuf,
    pub(super) skopeo: Skopeo,
    pub(super) ko: PathBuf,
    pub(super) umoci: PathBuf,
    /// containerd and containers/storage, as libraries.
    pub(super) peers: PathBuf,
    debian: PathBuf,
    machine: Machine,
    pub(super) is_root: bool,
}

impl Programs {
    /// Installs what is missing into `root`.
    ///
    /// # Errors
    /// When a package client fails.
    pub(super) fn install(root: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self {
            crane: tools::CRANE.install(root)?,
            olareg: tools::OLAREG.install(root)?,
            skopeo: Skopeo::install(root)?,
            umoci: tools::UMOCI.install(root)?,
            peers: tools::PEERS.install(root)?,
            debian: tools::debian_packages(root, "debian-images", &PACKAGES)?,
            machine: Machine::this()?,
            ko: tools::KO.install(root)?,
            is_root: geteuid().is_root(),
        })
    }

    /// A program of a Debian package, with the libraries that it was built with.
    pub(super) fn debian(&self, name: &str) -> Command {
        let candidates = FOLDERS.map(|folder| self.debian.join(folder).join(name));
        let [first, ..] = &candidates;
        let program = candidates
            .iter()
            .find(|path| path.exists())
            .unwrap_or(first);
        let triplet = self.machine.multiarch();
        let libraries = ["usr/lib", "lib"].map(|folder| {
            let folder = self.debian.join(folder).join(triplet);
            folder.display().to_string()
        });
        let folders = FOLDERS.map(|folder| self.debian.join(folder).display().to_string());
        Command::new(program)
            .env("LD_LIBRARY_PATH", libraries.join(":"))
            .env("PATH", format!("{}:/usr/bin:/bin", folders.join(":")))
    }
}
