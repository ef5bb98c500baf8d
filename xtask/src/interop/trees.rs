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
use countersign_sandbox::Sigstore;

use self::archives::{ARCHIVES, Archive, Readers, Source};
use self::programs::Programs;
use self::tree::Tree;
use super::actors::WORKFLOW;
use super::home::Home;
use super::instance::{Instance, bare};
use super::ledger::Ledger;
use super::registries::{self, Registry};
use crate::command::Command;

/// Where the trees are made.
pub(super) struct World<'a> {
    pub(super) countersign: &'a Path,
    pub(super) sandbox: &'a Sigstore,
    pub(super) instance: &'a Instance,
    /// Working directory and home. Files are named relative to it.
    pub(super) directory: &'a Path,
}

/// Who unpacks, beside countersign.
const PEERS: [&str; 3] = ["umoci", "containerd", "storage"];

/// What the trees are made with.
struct Trees<'a> {
    world: &'a World<'a>,
    home: Home,
    programs: Programs,
    registry: Registry,
    /// Images so far, for their names.
    images: Cell<usize>,
}

/// An image that was unpacked by all.
struct Unpacked {
    ours: Tree,
    /// By each peer, or what it says instead.
    peers: Vec<(&'static str, Result<Tree, String>)>,
}

/// Installs what is missing, and compares.
///
/// # Errors
/// When the software can't be installed or the registry doesn't start.
pub(super) fn run(world: &World, root: &Path, ledger: &mut Ledger) -> anyhow::Result<()> {
    let programs = Programs::install(root)?;
    let registry = registries::olareg(&programs.olareg, world.directory)?;
    let trees = Trees {
        world,
        home: Home::new(world.directory, &programs.crane),
        programs,
        registry,
        images: Cell::new(0),
    };
    for source in [Source::Plain, Source::Full] {
        source.make(&world.directory.join(source.name()))?;
    }
    for archive in ARCHIVES {
        let title = format!("a layer by {} is the same tree to all", archive.name);
        ledger.case(&title, || trees.archive(archive));
    }
    builders::cases(&trees, ledger);
    Ok(())
}

impl Trees<'_> {
    /// An archive of a known tree, as the only layer of an image.
    fn archive(&self, archive: &Archive) -> anyhow::Result<String> {
        let source = archive.source.name();
        self.home
            .succeed((archive.writer)(&self.programs, source, "layer.tar"))?;
        let image = self.append(None, &["layer.tar"])?;
        let unpacked = self.unpack(&image)?;
        let expected = Tree::read(&self.home.join(source))?;
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
        self.home.crane(&arguments)?;
        let mutate = [
            "mutate",
            "--set-platform",
            "linux/amd64",
            "--tag",
            &image,
            &image,
        ];
        self.home.crane(&mutate)?;
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
        let digest = self.home.crane(&["digest", image])?;
        let (name, _) = image.rsplit_once(':').context("an image with a tag")?;
        let pinned = format!("{name}@{digest}");
        self.sign(&pinned)?;
        let unpacked = self.home.join("unpacked");
        if unpacked.exists() {
            make_removable(&unpacked)?;
            fs::remove_dir_all(&unpacked)?;
        }
        fs::create_dir(&unpacked)?;
        self.install(&pinned, "unpacked/countersign")?;
        let ours = Tree::read(&unpacked.join("countersign"))?;
        self.home.succeed(self.programs.skopeo.command().args([
            "copy",
            "--insecure-policy",
            "--src-tls-verify=false",
            &format!("docker://{pinned}"),
            "oci:unpacked/layout:v1",
        ]))?;
        let peers = PEERS.map(|peer| Ok((peer, self.unpack_as(peer)?)));
        let peers = peers.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Unpacked { ours, peers })
    }

    /// What a peer makes of the image that is in the layout, or what it says instead.
    fn unpack_as(&self, peer: &'static str) -> anyhow::Result<Result<Tree, String>> {
        let into = format!("unpacked/{peer}");
        let command = if peer == "umoci" {
            let command = Command::new(&self.programs.umoci).args(["raw", "unpack"]);
            let command = match self.programs.is_root {
                true => command,
                false => command.args(["--rootless"]),
            };
            command.args(["--image", "unpacked/layout:v1", &into])
        } else {
            fs::create_dir(self.home.join(&into))?;
            let command = Command::new(&self.programs.peers).args(["unpack", peer]);
            command.args(["unpacked/layout", &into])
        };
        let output = self.home.run(command)?;
        match output.code() {
            Some(0) => Ok(Ok(Tree::read(&self.home.join(&into))?)),
            // It unpacks in a root directory of its own, which root alone can have.
            _ if peer == "storage" && !self.programs.is_root => {
                Ok(Err("not asked, as this is not root".to_owned()))
            }
            _ => Ok(Err(output.tail().to_owned())),
        }
    }

    fn sign(&self, pinned: &str) -> anyhow::Result<()> {
        let at = self.world.instance;
        self.home.token(self.world.sandbox, WORKFLOW)?;
        let command = Command::new(self.world.countersign)
            .args(["sign", "--identity-token", "@token", "--trusted-root"])
            .args([&at.trusted_root])
            .args(["--fulcio-url", &at.fulcio, "--rekor-url", &at.rekor])
            .args(["--rekor-version", "1", pinned]);
        self.home.succeed(command)?;
        Ok(())
    }

    fn install(&self, pinned: &str, into: &str) -> anyhow::Result<()> {
        let at = self.world.instance;
        let issuer = bare(&self.world.sandbox.oidc_issuer());
        let command = Command::new(self.world.countersign)
            .args(["install", "--trusted-root"])
            .args([&at.trusted_root])
            .args(["--issuer", &issuer, "--identity", WORKFLOW])
            .args(["--platform", "linux/amd64", pinned, into]);
        self.home.succeed(command)?;
        Ok(())
    }
}

impl Unpacked {
    /// That every peer made of it what we did.
    fn all_same(&self) -> anyhow::Result<String> {
        let mut alike = Vec::new();
        let mut absent = Vec::new();
        for (peer, tree) in &self.peers {
            match tree {
                Ok(tree) => {
                    same(peer, tree, &self.ours)?;
                    alike.push(*peer);
                }
                Err(reason) if reason.starts_with("not asked") => {
                    absent.push(format!("{peer} was {reason}"));
                }
                Err(reason) => anyhow::bail!("{peer} does not unpack it: {reason}"),
            }
        }
        ensure!(!alike.is_empty(), "no peer unpacked it");
        let absent: String = absent.iter().map(|absent| format!("; {absent}")).collect();
        let entries = self.ours.len();
        Ok(format!(
            "{entries} entries, as by {}{absent}",
            alike.join(", ")
        ))
    }

    /// That no peer takes it, so that there is nobody to differ from.
    fn refused_by_peers(&self) -> anyhow::Result<String> {
        for (peer, tree) in &self.peers {
            ensure!(tree.is_err(), "{peer} unpacks it by now: compare the trees");
        }
        Ok(format!("{} entries; no peer reads it", self.ours.len()))
    }
}

/// That a tree is as expected.
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
