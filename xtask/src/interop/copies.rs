//! `countersign copy` beside the programs that move images: cosign, crane, oras and skopeo. Whoever copies, from
//! registries of every kind, layouts, archives and kits, all of them see the same digests and signatures afterwards.

mod image;
mod kits;
mod layouts;
mod registries;
mod seen;

use std::path::PathBuf;

use anyhow::Context as _;

use self::image::Signed;
use super::Setting;
use super::actors::WORKFLOW;
use super::ledger::Ledger;
use super::registries::{Registry, redirecting, start};
use super::site::Site;
use super::skopeo::Skopeo;
use super::tools::{self, Programs};
use crate::command::{Command, Output};

const DONE: i32 = 0;
const UNSIGNED: i32 = 3;

struct Scene<'a> {
    programs: &'a Programs,
    skopeo: &'a Skopeo,
    cosign_3: PathBuf,
    cosign_2: PathBuf,
    oras: PathBuf,
    site: Site,
}

/// Copies from every registry to every other, and by way of layouts, archives and kits.
///
/// # Errors
/// When the software can't be started. What comes of the cases is in the ledger.
pub(super) fn run(setting: &Setting, ledger: &mut Ledger) -> anyhow::Result<()> {
    let Setting {
        root, directory, ..
    } = *setting;
    let programs = &Programs::install(root)?;
    let skopeo = &Skopeo::install(root)?;
    let scene = Scene {
        programs,
        skopeo,
        cosign_3: tools::cosign(root)?,
        cosign_2: tools::cosign_2(root)?,
        oras: tools::oras(root)?,
        site: Site::start(setting, &programs.crane)?,
    };
    let [olareg, docker_registry] = start(programs, directory)?;
    let all = [olareg, docker_registry, redirecting(programs, directory)?];
    for (number, source) in all.iter().enumerate() {
        let signed = scene.signed(source, &format!("copies/from-{number}"))?;
        let others: Vec<&Registry> = all
            .iter()
            .filter(|other| other.host != source.host)
            .collect();
        scene.registries(&signed, &others, ledger);
        scene.layouts(&signed, &others, ledger);
        scene.kits(&signed, &others, ledger);
    }
    Ok(())
}

impl Scene<'_> {
    /// Runs `countersign` with the trusted root and with more arguments; it must end with `code`.
    fn countersign(&self, arguments: &[&str], code: i32) -> anyhow::Result<Output> {
        let (command, rest) = arguments.split_first().context("no command")?;
        let command = Command::new(&self.site.countersign)
            .args([command, "--trusted-root", self.trusted_root()?])
            .args(rest);
        self.site.home.run(command)?.ended(code, &[])
    }

    /// `countersign copy` by the policy that the workflow signed.
    fn copy(&self, source: &str, destination: &str, code: i32) -> anyhow::Result<Output> {
        let issuer = self.site.issuer();
        let mut copy = vec!["copy", "--issuer", &issuer, "--identity", WORKFLOW];
        copy.extend([source, destination]);
        self.countersign(&copy, code)
    }

    /// `countersign verify` by the policy that the workflow signed.
    fn verify(&self, image: &str, code: i32) -> anyhow::Result<()> {
        let issuer = self.site.issuer();
        let verify = ["verify", "--issuer", &issuer, "--identity", WORKFLOW, image];
        self.countersign(&verify, code)?;
        Ok(())
    }

    /// cosign 3 verifies the bundle of an image in a registry.
    fn cosign_verifies(&self, image: &str) -> anyhow::Result<()> {
        let issuer = self.site.issuer();
        let verify = Command::new(&self.cosign_3)
            .args(["verify", "--trusted-root", self.trusted_root()?])
            .args(["--certificate-oidc-issuer", &issuer])
            .args(["--certificate-identity", WORKFLOW, image]);
        self.site.home.succeed(verify)?;
        Ok(())
    }

    /// cosign 2 verifies the legacy signature of an image in a registry.
    fn cosign_2_verifies(&self, image: &str) -> anyhow::Result<()> {
        let issuer = self.site.issuer();
        let verify = Command::new(&self.cosign_2)
            .args(["verify", "--new-bundle-format=false"])
            .args(["--trusted-root", self.trusted_root()?])
            .args(["--certificate-oidc-issuer", &issuer])
            .args(["--certificate-identity", WORKFLOW, image]);
        self.site.home.succeed(verify)?;
        Ok(())
    }

    /// Everybody accepts the index and both images in this repository, as `host/repository`.
    fn all_accept(&self, signed: &Signed, name: &str) -> anyhow::Result<()> {
        for digest in signed.digests() {
            let one = format!("{name}@{digest}");
            self.verify(&one, DONE)?;
            self.cosign_verifies(&one)?;
        }
        self.cosign_verifies(&format!("{name}@{}", signed.sbom))?;
        self.cosign_2_verifies(&format!("{name}@{}", signed.index))
    }

    fn crane(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let crane = Command::new(&self.programs.crane).args(arguments);
        Ok(self.site.home.succeed(crane)?.stdout.trim().to_owned())
    }

    fn oras(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let oras = Command::new(&self.oras).args(arguments);
        self.site.home.succeed(oras)
    }

    fn skopeo(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        self.site
            .home
            .succeed(self.skopeo.command().args(arguments))
    }

    fn trusted_root(&self) -> anyhow::Result<&str> {
        let path = &self.site.instance.trusted_root;
        path.to_str().context("a path that is not Unicode")
    }
}
