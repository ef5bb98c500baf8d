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
use super::ledger::Ledger;
use super::registries::{Registry, redirecting, start};
use super::site::Site;
use super::skopeo::Skopeo;
use super::tools::{self, Programs};
use crate::command::{Command, Output};
use crate::exit_code::DONE;
use crate::identities::RELEASE_WORKFLOW;

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
            .args([command, "--trusted-root", self.site.trusted_root()?])
            .args(rest);
        self.site.home.run(command)?.ended(code, &[])
    }

    /// `countersign copy` by the policy that the workflow signed.
    fn copy(&self, source: &str, destination: &str, code: i32) -> anyhow::Result<Output> {
        let issuer = self.site.issuer();
        let mut copy = vec!["copy", "--issuer", &issuer, "--identity", RELEASE_WORKFLOW];
        copy.extend([source, destination]);
        self.countersign(&copy, code)
    }

    /// `countersign verify` by the policy that the workflow signed.
    fn verify(&self, image: &str, code: i32) -> anyhow::Result<()> {
        let issuer = self.site.issuer();
        let verify = [
            "verify",
            "--issuer",
            &issuer,
            "--identity",
            RELEASE_WORKFLOW,
            image,
        ];
        self.countersign(&verify, code)?;
        Ok(())
    }

    fn cosign_3_verifies(&self, image: &str) -> anyhow::Result<()> {
        self.site.cosign_3_verifies(&self.cosign_3, image)
    }

    /// Everybody accepts the index and both images in this repository, as `host/repository`.
    fn all_accept(&self, signed: &Signed, name: &str) -> anyhow::Result<()> {
        for digest in signed.digests() {
            let one = format!("{name}@{digest}");
            self.verify(&one, DONE)?;
            self.cosign_3_verifies(&one)?;
        }
        self.cosign_3_verifies(&format!("{name}@{}", signed.sbom))?;
        let index = format!("{name}@{}", signed.index);
        self.site
            .cosign_2_verifies(&self.cosign_2, &index, RELEASE_WORKFLOW)?;
        Ok(())
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
}
