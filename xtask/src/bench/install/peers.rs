//! Other programs that unpack an image into a directory, without checking who signed it.

use std::path::{Path, PathBuf};

use crate::command::Command;
use crate::interop::{installed_crane, installed_skopeo, installed_umoci};

/// What is installed here.
pub(in crate::bench) enum Peer {
    Crane(PathBuf),
    /// skopeo, and then umoci.
    Umoci {
        skopeo: Command,
        umoci: PathBuf,
    },
}

impl Peer {
    /// Those that an earlier run of `cargo xtask interop` installed in `root`, and the names of the others.
    pub(in crate::bench) fn installed(root: &Path) -> (Vec<Self>, Vec<&'static str>) {
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
        (peers, missing)
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Crane(_) => "crane, tar",
            Self::Umoci { .. } => "skopeo, umoci",
        }
    }

    /// Unpacks `reference` into `target`, which doesn't exist.
    pub(super) fn command(&self, reference: &str, target: &Path) -> Command {
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
        }
    }

    /// Where the files of the image are then.
    pub(super) fn files(&self, target: &Path) -> PathBuf {
        match self {
            Self::Crane(_) => target.to_owned(),
            Self::Umoci { .. } => target.join("bundle/rootfs"),
        }
    }
}
