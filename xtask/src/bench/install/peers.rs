//! Other programs that unpack an image into a directory, without checking who signed it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use rustix::process::geteuid;

use super::process::{Usage, usage, used_by};
use crate::command::Command;
use crate::interop::{Containerd, installed_crane, installed_skopeo, installed_umoci};

/// What is installed here.
pub(in crate::bench) enum Peer {
    Crane(PathBuf),
    /// skopeo, and then umoci.
    Umoci {
        skopeo: Command,
        umoci: PathBuf,
    },
    /// containerd, which unpacks each layer into a directory of its own.
    Containerd(Containerd),
}

impl Peer {
    /// Those that an earlier run of `cargo xtask interop` installed in `root`, and why there are no others. What containerd
    /// unpacks goes into `memory`.
    ///
    /// # Errors
    /// When containerd doesn't start.
    pub(in crate::bench) fn installed(
        root: &Path,
        memory: &Path,
    ) -> anyhow::Result<(Vec<Self>, Vec<String>)> {
        let (mut peers, mut missing) = (Vec::new(), Vec::new());
        match installed_crane(root) {
            Some(crane) => peers.push(Self::Crane(crane)),
            None => missing.push("crane"),
        }
        match (installed_skopeo(root), installed_umoci(root)) {
            (Some(skopeo), Some(umoci)) => peers.push(Self::Umoci { skopeo, umoci }),
            (None, None) => missing.extend(["skopeo", "umoci"]),
            (None, Some(_)) => missing.push("skopeo"),
            (Some(_), None) => missing.push("umoci"),
        }
        let is_root = geteuid().is_root();
        if is_root {
            match Containerd::start(root, memory)? {
                Some(containerd) => peers.push(Self::Containerd(containerd)),
                None => missing.push("containerd"),
            }
        }
        let reason =
            |name| format!("{name}, because `cargo xtask interop` has not installed it here.");
        let mut missing: Vec<String> = missing.into_iter().map(reason).collect();
        if !is_root {
            missing.push("containerd, because it needs root.".to_owned());
        }
        Ok((peers, missing))
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Crane(_) => "crane, tar",
            Self::Umoci { .. } => "skopeo, umoci",
            Self::Containerd(_) => "containerd",
        }
    }

    /// Unpacks `reference` into `target`, which doesn't exist, and removes it again. `last` is one of its files. `home` is
    /// the program's home directory.
    ///
    /// # Errors
    /// When it can't be run, or fails, or the file is not there.
    pub(super) fn usage(
        &self,
        reference: &str,
        last: &str,
        [target, home]: [&Path; 2],
    ) -> anyhow::Result<Usage> {
        let daemon = || match self {
            Self::Containerd(containerd) => used_by(containerd.process()),
            Self::Crane(_) | Self::Umoci { .. } => Ok(Duration::ZERO),
        };
        let before = daemon()?;
        let mut usage = usage(&self.command(reference, target).env("HOME", home))?;
        usage.cpu += daemon()? - before;
        let mut files = self.files(target)?.into_iter();
        let is_there = files.any(|files| files.join(last).is_file());
        ensure!(is_there, "{} has not unpacked {last}", self.name());
        match self {
            Self::Containerd(containerd) => containerd.remove(reference)?,
            Self::Crane(_) | Self::Umoci { .. } => fs::remove_dir_all(target)?,
        }
        Ok(usage)
    }

    /// Unpacks `reference` into `target`, which doesn't exist.
    fn command(&self, reference: &str, target: &Path) -> Command {
        const CRANE: &str = r#"mkdir "$2" && "$0" export "$1" - | tar -x -C "$2""#;
        const UMOCI: &str = r#"mkdir "$3" &&
"$0" --insecure-policy copy --quiet --src-tls-verify=false "docker://$2" "oci:$3/layout:image" &&
exec env -u LD_LIBRARY_PATH "$1" unpack --image "$3/layout:image" "$3/bundle""#;
        let shell = Command::new("/bin/sh").env("PATH", "/usr/bin:/bin");
        match self {
            Self::Crane(crane) => shell
                .args(["-c", CRANE])
                .args([crane])
                .args([reference])
                .args([target]),
            Self::Umoci { skopeo, umoci } => skopeo
                .variables()
                .fold(shell, |shell, (name, value)| shell.env(name, value))
                .args(["-c", UMOCI])
                .args([skopeo.program(), umoci])
                .args([reference])
                .args([target]),
            Self::Containerd(containerd) => containerd.pull(reference),
        }
    }

    /// Where the files of the image are then: in one of these.
    fn files(&self, target: &Path) -> anyhow::Result<Vec<PathBuf>> {
        match self {
            Self::Crane(_) => Ok(vec![target.to_owned()]),
            Self::Umoci { .. } => Ok(vec![target.join("bundle/rootfs")]),
            Self::Containerd(containerd) => containerd.layers(),
        }
    }
}
