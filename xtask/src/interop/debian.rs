//! Debian's packages as files. Nothing is installed. The system's package lists are not used and
//! not changed: they may be missing or old, and know only one architecture.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::package_client::client;

/// Downloads the newest version of each package for `architecture`, which need not be this
/// machine's, into `directory`, which is made.
///
/// # Errors
/// When apt-get fails.
pub(super) fn download(
    packages: &[&str],
    architecture: &str,
    directory: &Path,
) -> anyhow::Result<()> {
    let apt = Apt::new(architecture, directory)?;
    apt.get(&[&["download"], packages].concat())
}

/// The same, with all that the packages depend on.
///
/// # Errors
/// When apt-get fails.
pub(super) fn download_all(
    packages: &[&str],
    architecture: &str,
    directory: &Path,
) -> anyhow::Result<()> {
    let apt = Apt::new(architecture, directory)?;
    let install = [
        "install",
        "--download-only",
        "--no-install-recommends",
        "--yes",
    ];
    apt.get(&[&install[..], packages].concat())?;
    for entry in fs::read_dir(apt.archives())? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::rename(entry.path(), directory.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// apt-get, with package lists and a cache of its own, in which nothing is installed.
struct Apt<'a> {
    directory: &'a Path,
    state: tempfile::TempDir,
    options: Vec<String>,
}

impl<'a> Apt<'a> {
    fn new(architecture: &str, directory: &'a Path) -> anyhow::Result<Self> {
        fs::create_dir_all(directory)?;
        let state = tempfile::Builder::new()
            .prefix("apt-")
            .tempdir_in(directory)?;
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(state.path().join(folder))?;
        }
        let options = vec![
            format!("APT::Architecture={architecture}"),
            format!("APT::Architectures={architecture}"),
            format!("Dir::State={}", state.path().display()),
            "Dir::State::status=/dev/null".to_owned(),
            format!("Dir::Cache={}", state.path().join("cache").display()),
            "Debug::NoLocking=1".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ];
        let apt = Self {
            directory,
            state,
            options,
        };
        apt.get(&["update"])?;
        Ok(apt)
    }

    fn get(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let options = self.options.iter();
        client("apt-get")
            .args(["--quiet", "--quiet"])
            .args(options.flat_map(|option| ["--option", option]))
            .args(arguments)
            .directory(self.directory)
            .run()?
            .success()?;
        Ok(())
    }

    fn archives(&self) -> PathBuf {
        self.state.path().join("cache/archives")
    }
}

/// The file of `package` in `directory`.
///
/// # Errors
/// When there is none.
pub(super) fn package_file(debs: &Path, package: &str) -> anyhow::Result<PathBuf> {
    for entry in fs::read_dir(debs)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.split('_').next() == Some(package) {
            return Ok(entry.path());
        }
    }
    bail!("the package {package} was not downloaded")
}
