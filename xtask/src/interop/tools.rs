//! Software by other projects, installed by their usual package clients, each into its own folder under
//! `target/interop/`. Existing folders are kept.
//!
//! Go programs are pinned with all that they depend on. sigstore-python is pinned, and pip chooses what it depends on.
//! Packages of Debian are the newest of the machine's release.

mod pinned;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;

use super::debian;
use super::package_client::client;
use crate::command::Command;
use crate::machine::Machine;

use self::pinned::CT_LOG;
pub(super) use self::pinned::{ENFORCERS, OLAREG, PEERS, UMOCI};

/// A program that `go install` builds.
pub(super) struct GoProgram {
    name: &'static str,
    version: &'static str,
    package: &'static str,
    /// Build tags.
    tags: &'static str,
}

const COSIGN_3: GoProgram = GoProgram {
    name: "cosign",
    version: "3.1.2",
    package: "github.com/sigstore/cosign/v3/cmd/cosign",
    tags: "",
};
const COSIGN_2: GoProgram = GoProgram {
    name: "cosign",
    version: "2.6.4",
    package: "github.com/sigstore/cosign/v2/cmd/cosign",
    tags: "",
};
pub(super) const CRANE: GoProgram = GoProgram {
    name: "crane",
    version: "0.20.6",
    package: "github.com/google/go-containerregistry/cmd/crane",
    tags: "",
};
const ORAS: GoProgram = GoProgram {
    name: "oras",
    version: "1.3.6",
    package: "oras.land/oras/cmd/oras",
    tags: "",
};
const FULCIO: GoProgram = GoProgram {
    name: "fulcio",
    version: "1.8.8",
    package: "github.com/sigstore/fulcio",
    tags: "",
};
const REKOR: GoProgram = GoProgram {
    name: "rekor-tiles",
    version: "2.3.0",
    package: "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix",
    tags: "",
};
pub(super) const KO: GoProgram = GoProgram {
    name: "ko",
    version: "0.19.1",
    package: "github.com/google/ko",
    tags: "",
};
const TIMESTAMP_AUTHORITY: GoProgram = GoProgram {
    name: "timestamp-authority",
    version: "2.1.3",
    package: "github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server",
    tags: "",
};

pub(super) const CONTAINERD: GoProgram = GoProgram {
    name: "containerd",
    version: "2.4.2",
    package: "github.com/containerd/containerd/v2/cmd/containerd",
    tags: "no_btrfs no_devmapper no_zfs",
};
pub(super) const CTR: GoProgram = GoProgram {
    name: "ctr",
    version: "2.4.2",
    package: "github.com/containerd/containerd/v2/cmd/ctr",
    tags: "no_btrfs no_devmapper no_zfs",
};
pub(super) const CRICTL: GoProgram = GoProgram {
    name: "crictl",
    version: "1.37.0",
    package: "sigs.k8s.io/cri-tools/cmd/crictl",
    tags: "",
};

/// The sigstore-python release.
const SIGSTORE_PYTHON: &str = "4.5.1";

/// Installs cosign 3 alone, and says where it is.
///
/// # Errors
/// When Go can't build it.
pub(crate) fn cosign(root: &Path) -> anyhow::Result<PathBuf> {
    COSIGN_3.install(root)
}

/// Installs cosign 2 alone, and says where it is.
///
/// # Errors
/// When Go can't build it.
pub(super) fn cosign_2(root: &Path) -> anyhow::Result<PathBuf> {
    COSIGN_2.install(root)
}

/// Installs oras alone, and says where it is.
///
/// # Errors
/// When Go can't build it.
pub(super) fn oras(root: &Path) -> anyhow::Result<PathBuf> {
    ORAS.install(root)
}

/// Cosign 3, if an earlier run installed it.
pub(crate) fn installed_cosign(root: &Path) -> Option<PathBuf> {
    COSIGN_3.installed(root)
}

/// Oras, if an earlier run installed it.
pub(crate) fn installed_oras(root: &Path) -> Option<PathBuf> {
    ORAS.installed(root)
}

/// Crane, if an earlier run installed it.
pub(crate) fn installed_crane(root: &Path) -> Option<PathBuf> {
    CRANE.installed(root)
}

/// Umoci, if an earlier run installed it.
pub(crate) fn installed_umoci(root: &Path) -> Option<PathBuf> {
    UMOCI.installed(root)
}

/// What every run needs: crane and the registries.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) crane: PathBuf,
    pub(super) olareg: PathBuf,
    pub(super) docker_registry: PathBuf,
}

impl Programs {
    /// Installs what is missing into `root`.
    ///
    /// # Errors
    /// When a package client fails.
    pub(super) fn install(root: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            crane: CRANE.install(root)?,
            olareg: OLAREG.install(root)?,
            docker_registry: docker_registry(root)?,
        })
    }
}

/// The services of Sigstore, and the cosign that makes their trusted root.
#[derive(Debug)]
pub(super) struct ServicePrograms {
    pub(super) cosign: PathBuf,
    pub(super) fulcio: PathBuf,
    pub(super) ct_log: PathBuf,
    pub(super) rekor: PathBuf,
    pub(super) timestamp_authority: PathBuf,
}

impl ServicePrograms {
    fn install(root: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            cosign: COSIGN_3.install(root)?,
            fulcio: FULCIO.install(root)?,
            ct_log: CT_LOG.install(root)?,
            rekor: REKOR.install(root)?,
            timestamp_authority: TIMESTAMP_AUTHORITY.install(root)?,
        })
    }

    /// Those that an earlier run installed, if these are all.
    pub(super) fn installed(root: &Path) -> Option<Self> {
        Some(Self {
            cosign: COSIGN_3.installed(root)?,
            fulcio: FULCIO.installed(root)?,
            ct_log: CT_LOG.installed(root)?,
            rekor: REKOR.installed(root)?,
            timestamp_authority: TIMESTAMP_AUTHORITY.installed(root)?,
        })
    }
}

/// Where the installed programs are.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) programs: Programs,
    pub(super) services: ServicePrograms,
    pub(super) cosign_2: PathBuf,
    pub(super) oras: PathBuf,
    pub(super) sigstore_python: PathBuf,
}

impl Tools {
    /// Installs what is missing into `root`.
    ///
    /// # Errors
    /// When a package client fails.
    pub(super) fn install(root: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            programs: Programs::install(root)?,
            services: ServicePrograms::install(root)?,
            oras: ORAS.install(root)?,
            sigstore_python: sigstore_python(root)?,
            cosign_2: COSIGN_2.install(root)?,
        })
    }
}

impl GoProgram {
    /// Where it is, if an earlier run installed it.
    pub(super) fn installed(&self, root: &Path) -> Option<PathBuf> {
        let program = self.program(&folder(root, self.name, self.version));
        program.is_file().then_some(program)
    }

    pub(super) fn install(&self, root: &Path) -> anyhow::Result<PathBuf> {
        let folder = install(root, self.name, self.version, |partial| {
            let package = format!("{}@v{}", self.package, self.version);
            go().args(["install", "-trimpath", "-ldflags", "-s -w"])
                .args(["-tags", self.tags, &package])
                .env("GOBIN", partial)
                .directory(root)
                .run()?
                .success()?;
            Ok(())
        })?;
        Ok(self.program(&folder))
    }

    fn program(&self, folder: &Path) -> PathBuf {
        let binary = self.package.rsplit('/').next().unwrap_or(self.package);
        folder.join(binary)
    }
}

/// Static binaries need no C compiler's runtime, and none of these programs needs cgo.
fn go() -> Command {
    client("go").env("CGO_ENABLED", "0")
}

/// Where Debian's package has it.
const DOCKER_REGISTRY: &str = "usr/bin/docker-registry";

/// Debian's package, unpacked without being installed: its service must not start.
fn docker_registry(root: &Path) -> anyhow::Result<PathBuf> {
    let folder = install(root, "docker-registry", "debian", |partial| {
        let debs = partial.join("debs");
        debian::download(&["docker-registry"], Machine::this()?.architecture(), &debs)?;
        let package = debian::package_file(&debs, "docker-registry")?;
        client("dpkg-deb")
            .args(["--extract".as_ref(), package.as_os_str()])
            .args([partial])
            .run()?
            .success()?;
        Ok(())
    })?;
    Ok(folder.join(DOCKER_REGISTRY))
}

/// docker-registry, if an earlier run installed it.
pub(super) fn installed_docker_registry(root: &Path) -> Option<PathBuf> {
    let program = folder(root, "docker-registry", "debian").join(DOCKER_REGISTRY);
    program.is_file().then_some(program)
}

/// Debian's packages with all that they depend on, unpacked into a folder of their own, without being
/// installed.
pub(super) fn debian_packages(
    root: &Path,
    name: &str,
    packages: &[&str],
) -> anyhow::Result<PathBuf> {
    install(root, name, "debian", |partial| {
        let debs = partial.join("debs");
        debian::download_all(packages, Machine::this()?.architecture(), &debs)?;
        for entry in fs::read_dir(&debs)? {
            let path = entry?.path();
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            // The C library must be the one that the machine's loader is made for.
            if !file.ends_with(".deb") || file.starts_with("libc6_") {
                continue;
            }
            client("dpkg-deb")
                .args(["--extract".as_ref(), path.as_os_str(), partial.as_os_str()])
                .run()?
                .success()?;
        }
        Ok(fs::remove_dir_all(debs)?)
    })
}

/// Installs sigstore-python into a virtual environment, and says where its program is. Its scripts contain
/// its path, so it is made in its final place.
///
/// # Errors
/// When a package client fails.
pub(super) fn sigstore_python(root: &Path) -> anyhow::Result<PathBuf> {
    let folder = root.join(format!("sigstore-python-{SIGSTORE_PYTHON}"));
    let done = folder.join("installed");
    if !done.exists() {
        announce("sigstore-python", SIGSTORE_PYTHON);
        let started = Instant::now();
        client("python3")
            .args(["-m", "venv", "--clear"])
            .args([&folder])
            .run()?
            .success()?;
        client(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args([format!("sigstore=={SIGSTORE_PYTHON}")])
            .run()?
            .success()?;
        fs::write(&done, "")?;
        finished(started);
    }
    Ok(folder.join("bin/sigstore"))
}

/// The folder of a program.
pub(super) fn folder(root: &Path, name: &str, version: &str) -> PathBuf {
    root.join(format!("{name}-{version}"))
}

/// The folder of a program. If it doesn't exist, `fill` makes it, completely or not at all.
pub(super) fn install(
    root: &Path,
    name: &str,
    version: &str,
    fill: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let folder = folder(root, name, version);
    if folder.exists() {
        return Ok(folder);
    }
    announce(name, version);
    let started = Instant::now();
    fs::create_dir_all(root)?;
    let partial = tempfile::Builder::new()
        .prefix("partial-")
        .tempdir_in(root)?;
    fill(partial.path()).with_context(|| format!("{name} {version} can't be installed"))?;
    fs::rename(partial.path(), &folder)?;
    // What has been moved away needs no cleaning up.
    let _ = partial.keep();
    finished(started);
    Ok(folder)
}

fn announce(name: &str, version: &str) {
    println!("Installing {name} {version} …");
}

fn finished(started: Instant) {
    println!("  took {} s", started.elapsed().as_secs());
}
