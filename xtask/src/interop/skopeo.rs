//! Debian's skopeo.

use std::path::{Path, PathBuf};

use super::debian;
use super::package_client::client;
use super::tools::{self, install};
use crate::command::Command;
use crate::machine::Machine;

/// Skopeo, if an earlier run installed it.
pub(crate) fn installed_skopeo(root: &Path) -> Option<Command> {
    let skopeo = Skopeo {
        folder: tools::folder(root, "skopeo", "debian"),
        machine: Machine::this().ok()?,
    };
    skopeo.folder.is_dir().then(|| skopeo.command())
}

/// Debian's skopeo, with the libraries that it needs, unpacked without being installed.
#[derive(Debug)]
pub(super) struct Skopeo {
    folder: PathBuf,
    machine: Machine,
}

impl Skopeo {
    /// Installs it into `root` if it is missing.
    ///
    /// # Errors
    /// When a package client fails.
    pub(super) fn install(root: &Path) -> anyhow::Result<Self> {
        const PACKAGES: [&str; 4] = ["skopeo", "libgpgme11", "libassuan0", "libdevmapper1.02.1"];
        let machine = Machine::this()?;
        let folder = install(root, "skopeo", "debian", |partial| {
            let debs = partial.join("debs");
            debian::download(&PACKAGES, machine.architecture(), &debs)?;
            for package in PACKAGES {
                let package = debian::package_file(&debs, package)?;
                client("dpkg-deb")
                    .args(["--extract".as_ref(), package.as_os_str()])
                    .args([partial])
                    .run()?
                    .success()?;
            }
            Ok(())
        })?;
        Ok(Self { folder, machine })
    }

    /// The program, which finds its libraries.
    pub(super) fn command(&self) -> Command {
        let machine = self.machine.multiarch();
        let folders = ["usr/lib", "lib"].map(|lib| self.folder.join(lib).join(machine));
        let folders = folders.map(|folder| folder.display().to_string());
        Command::new(self.folder.join("usr/bin/skopeo")).env("LD_LIBRARY_PATH", folders.join(":"))
    }
}
