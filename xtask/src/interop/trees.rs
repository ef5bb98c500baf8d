//! Trees: images by many builders, installed by countersign and unpacked by umoci, containerd and
//! containers/storage, must come to the same files.
//!
//! Names, bytes, times of files, targets of links and groups of hard links are compared as they are.
//! Of permissions, those that countersign takes away by rule are left aside: the right of group and
//! others to write, set-user-id, set-group-id and the sticky bit. Devices and fifos, which it leaves
//! out by rule, are left aside as well, and so is the root directory itself, which containerd never
//! changes.

mod archives;
mod builders;
mod programs;
mod tree;

use std::cell::Cell;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use self::archives::{ARCHIVES, Archive, Readers, Source};
use self::programs::Programs;
use self::tree::Tree;
use super::Setting;
use super::ledger::Ledger;
use super::registries::{self, Registry};
use super::site::Site;
use crate::command::Command;
use crate::identities::RELEASE_WORKFLOW;

/// The exit code of a peer that refuses an image.
const REFUSED: i32 = 1;

/// Who unpacks, beside countersign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    Umoci,
    Containerd,
    /// containers/storage. It unpacks in a root directory of its own, which root alone can have.
    Storage,
}

impl Peer {
    const ALL: [Self; 3] = [Self::Umoci, Self::Containerd, Self::Storage];

    fn name(self) -> &'static str {
        match self {
            Self::Umoci => "umoci",
            Self::Containerd => "containerd",
            Self::Storage => "storage",
        }
    }
}

/// What a peer made of an image.
enum Made {
    Tree(Tree),
    /// What it says instead.
    Refused(String),
    /// Why this machine can't ask it.
    NotAsked(&'static str),
}

/// What the trees are made with.
struct Trees {
    site: Site,
    programs: Programs,
    registry: Registry,
    /// Images so far, for their names.
    images: Cell<usize>,
}

/// An image that was unpacked by all.
struct Unpacked {
    ours: Tree,
    peers: Vec<(Peer, Made)>,
}

/// Installs what is missing, and compares.
///
/// # Errors
/// When the software can't be installed or the registry doesn't start.
pub(super) fn run(setting: &Setting, ledger: &mut Ledger) -> anyhow::Result<()> {
    let programs = Programs::install(setting.root)?;
    let directory = setting.directory;
    let trees = Trees {
        site: Site::start(setting, &programs.crane)?,
        registry: registries::olareg(&programs.olareg, directory)?,
        programs,
        images: Cell::new(0),
    };
    for source in [Source::Plain, Source::Full] {
        source.make(&directory.join(source.name()))?;
    }
    for archive in ARCHIVES {
        let title = format!("a layer by {} is the same tree to all", archive.name);
        ledger.case(&title, || trees.archive(archive));
    }
    builders::cases(&trees, ledger);
    Ok(())
}

impl Trees {
    /// An archive of a known tree, as the only layer of an image.
    fn archive(&self, archive: &Archive) -> anyhow::Result<String> {
        let source = archive.source.name();
        self.site
            .home
            .succeed((archive.writer)(&self.programs, source, "layer.tar"))?;
        let image = self.append(None, &["layer.tar"])?;
        let unpacked = self.unpack(&image)?;
        let expected = Tree::read(&self.site.home.join(source))?;
        same("the tree that was archived", &expected, &unpacked.ours)?;
        match archive.readers {
            Readers::All => unpacked.all_same(),
            Readers::CountersignAlone => unpacked.refused_by_peers(),
        }
    }

    /// Pushes an image of these layers, over those of `base`.
    fn append(&self, base: Option<&str>, layers: &[&str]) -> anyhow::Result<String> {
        let image = self.name();
        let mut arguments = vec!["append", "--new_tag", &image];
        match base {
            Some(base) => arguments.extend(["--base", base]),
            None => arguments.push("--oci-empty-base"),
        }
        for layer in layers {
            arguments.extend(["--new_layer", layer]);
        }
        self.site.home.crane(&arguments)?;
        let mutate = [
            "mutate",
            "--set-platform",
            "linux/amd64",
            "--tag",
            &image,
            &image,
        ];
        self.site.home.crane(&mutate)?;
        Ok(image)
    }

    /// A name that no image has yet.
    fn name(&self) -> String {
        self.images.set(self.images.get() + 1);
        format!(
            "{}/trees/image-{}:v1",
            self.registry.host,
            self.images.get()
        )
    }

    /// Signs the image, and has it unpacked by all.
    fn unpack(&self, image: &str) -> anyhow::Result<Unpacked> {
        let digest = self.site.home.crane(&["digest", image])?;
        let (name, _) = image.rsplit_once(':').context("an image with a tag")?;
        let pinned = format!("{name}@{digest}");
        self.sign(&pinned)?;
        let unpacked = self.site.home.join("unpacked");
        if unpacked.exists() {
            make_removable(&unpacked)?;
            fs::remove_dir_all(&unpacked)?;
        }
        fs::create_dir(&unpacked)?;
        self.install(&pinned, "unpacked/countersign")?;
        let ours = Tree::read(&unpacked.join("countersign"))?;
        self.site
            .home
            .succeed(self.programs.skopeo.command().args([
                "copy",
                "--insecure-policy",
                "--src-tls-verify=false",
                &format!("docker://{pinned}"),
                "oci:unpacked/layout:v1",
            ]))?;
        let peers = Peer::ALL.iter();
        let peers = peers.map(|&peer| Ok((peer, self.unpack_as(peer)?)));
        let peers = peers.collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Unpacked { ours, peers })
    }

    /// What a peer makes of the image that is in the layout.
    fn unpack_as(&self, peer: Peer) -> anyhow::Result<Made> {
        let is_root = self.programs.is_root;
        let into = format!("unpacked/{}", peer.name());
        let command = match peer {
            Peer::Umoci => {
                let command = Command::new(&self.programs.umoci).args(["raw", "unpack"]);
                let command = if is_root {
                    command
                } else {
                    command.args(["--rootless"])
                };
                command.args(["--image", "unpacked/layout:v1", &into])
            }
            Peer::Storage if !is_root => return Ok(Made::NotAsked("this is not root")),
            Peer::Containerd | Peer::Storage => {
                fs::create_dir(self.site.home.join(&into))?;
                let command = Command::new(&self.programs.peers).args(["unpack", peer.name()]);
                command.args(["unpacked/layout", &into])
            }
        };
        let output = self.site.home.run(command)?;
        Ok(match output.code() {
            Some(0) => Made::Tree(Tree::read(&self.site.home.join(&into))?),
            Some(REFUSED) => Made::Refused(output.tail().to_owned()),
            code => anyhow::bail!(
                "{} is not well: it ended with {code:?}: {}",
                peer.name(),
                output.tail()
            ),
        })
    }

    fn sign(&self, pinned: &str) -> anyhow::Result<()> {
        let at = &self.site.instance;
        self.site.token(RELEASE_WORKFLOW)?;
        let command = Command::new(&self.site.countersign)
            .args(["sign", "--identity-token", "@token", "--trusted-root"])
            .args([&at.trusted_root])
            .args(["--fulcio-url", &at.fulcio, "--rekor-url", &at.rekor])
            .args(["--rekor-version", "1", pinned]);
        self.site.home.succeed(command)?;
        Ok(())
    }

    fn install(&self, pinned: &str, into: &str) -> anyhow::Result<()> {
        let at = &self.site.instance;
        let issuer = self.site.issuer();
        let command = Command::new(&self.site.countersign)
            .args(["install", "--trusted-root"])
            .args([&at.trusted_root])
            .args(["--issuer", &issuer, "--identity", RELEASE_WORKFLOW])
            .args(["--platform", "linux/amd64", pinned, into]);
        self.site.home.succeed(command)?;
        Ok(())
    }
}

impl Unpacked {
    /// Checks that every peer made of it what we did.
    fn all_same(&self) -> anyhow::Result<String> {
        let mut alike = Vec::new();
        let mut absent = String::new();
        for (peer, made) in &self.peers {
            let peer = peer.name();
            match made {
                Made::Tree(tree) => {
                    same(peer, tree, &self.ours)?;
                    alike.push(peer);
                }
                Made::NotAsked(reason) => {
                    absent.push_str(&format!("; {peer} was not asked: {reason}"));
                }
                Made::Refused(reason) => anyhow::bail!("{peer} does not unpack it: {reason}"),
            }
        }
        ensure!(!alike.is_empty(), "no peer unpacked it");
        let entries = self.ours.len();
        Ok(format!(
            "{entries} entries, as by {}{absent}",
            alike.join(", ")
        ))
    }

    /// Checks that no peer takes it, so that there is nobody to differ from.
    fn refused_by_peers(&self) -> anyhow::Result<String> {
        let mut refused = 0;
        for (peer, made) in &self.peers {
            match made {
                Made::Tree(_) => {
                    anyhow::bail!("{} unpacks it by now: compare the trees", peer.name());
                }
                Made::Refused(_) => refused += 1,
                Made::NotAsked(_) => {}
            }
        }
        ensure!(refused > 0, "no peer was asked");
        let entries = self.ours.len();
        Ok(format!(
            "{entries} entries; none of {refused} peers reads it"
        ))
    }
}

/// Checks that a tree is as expected.
fn same(whose: &str, expected: &Tree, ours: &Tree) -> anyhow::Result<()> {
    let differences = expected.differences(ours);
    ensure!(
        differences.is_empty(),
        "it differs from {whose}:\n    {}",
        differences.join("\n    ")
    );
    Ok(())
}

/// Gives the owner every right to all directories, so that they can be removed.
fn make_removable(directory: &Path) -> anyhow::Result<()> {
    Command::new("chmod")
        .inherit_environment()
        .args(["-R".as_ref(), "u+rwX".as_ref(), directory.as_os_str()])
        .run()?
        .success()?;
    Ok(())
}
