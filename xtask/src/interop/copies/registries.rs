//! From registry to registry, by countersign and by the others.

use anyhow::{bail, ensure};

use super::Scene;
use super::image::Signed;
use super::seen::Place;
use crate::command::Command;
use crate::exit_code::{DONE, UNSIGNED};
use crate::interop::actors::Cosign;
use crate::interop::ledger::Ledger;
use crate::interop::registries::Registry;

/// For oras: in one run a referrer was missing at olareg when two were pushed to one image at the same time. Which of the
/// two lost it is not known.
pub(super) const ONE_AT_A_TIME: [&str; 2] = ["--concurrency", "1"];

impl Scene<'_> {
    /// Plays the ways from one registry to the others.
    pub(super) fn registries(&self, signed: &Signed, to: &[&Registry], ledger: &mut Ledger) {
        let from = signed.registry.name;
        for registry in to {
            let way = format!("from {from} to {}", registry.name);
            ledger.case(&format!("countersign copies {way}"), || {
                self.by_countersign(signed, registry)
            });
            ledger.case(&format!("oras copies {way}, countersign verifies"), || {
                self.by_oras(signed, registry)
            });
            let title =
                format!("skopeo and crane copy {way}: countersign refuses it, and adds the proof");
            ledger.case(&title, || self.without_proof(signed, registry));
            for cosign in [Cosign::V2, Cosign::V3] {
                let title = format!(
                    "{} saves and loads {way}: what it leaves out is in our copy",
                    cosign.name()
                );
                ledger.case(&title, || self.saved_and_loaded(signed, cosign, registry));
            }
        }
    }

    fn by_countersign(&self, signed: &Signed, to: &Registry) -> anyhow::Result<String> {
        let name = format!("{}/copied/{}", to.host, signed.slug());
        self.copy(&signed.tagged(), &name, DONE)?;
        let seen = self.same_as_source(signed, to, &name)?;
        self.all_accept(signed, &name)?;
        // Again: nothing is left to do, and nothing is listed twice.
        self.copy(&signed.tagged(), &name, DONE)?;
        self.same_as_source(signed, to, &name)?;
        Ok(format!(
            "cosign 2 and 3 accept all of it; crane, skopeo and oras see the same digests and {seen} referrers"
        ))
    }

    /// Returns how many referrers there are.
    pub(super) fn same_as_source(
        &self,
        signed: &Signed,
        to: &Registry,
        name: &str,
    ) -> anyhow::Result<usize> {
        let source = signed.name();
        let before = self.seen(signed, Place::Registry(signed.registry, &source))?;
        let after = self.seen(signed, Place::Registry(to, name))?;
        ensure!(
            before == after,
            "expected the referrers {before:#?}, found {after:#?}"
        );
        Ok(before.len())
    }

    fn by_oras(&self, signed: &Signed, to: &Registry) -> anyhow::Result<String> {
        let name = format!("{}/by-oras/{}", to.host, signed.slug());
        let target = format!("{name}:v1");
        let mut copy = vec!["copy", "--recursive", "--no-tty"];
        copy.extend(["--from-plain-http", "--to-plain-http"]);
        copy.extend([
            "--from-distribution-spec",
            signed.registry.referrers.for_oras(),
        ]);
        copy.extend(["--to-distribution-spec", to.referrers.for_oras()]);
        copy.extend(ONE_AT_A_TIME);
        let source = signed.tagged();
        copy.extend([&*source, &target]);
        self.oras(&copy)?;
        self.verify(&target, DONE)?;
        let theirs = self.edges(signed, Place::Registry(to, &name))?.len();
        self.copy(&source, &target, DONE)?;
        let seen = self.same_as_source(signed, to, &name)?;
        self.all_accept(signed, &name)?;
        Ok(format!(
            "accepted; oras carries {theirs} of {seen} referrers, and our copy over it all"
        ))
    }

    fn without_proof(&self, signed: &Signed, to: &Registry) -> anyhow::Result<String> {
        let source = signed.tagged();
        for program in ["skopeo", "crane"] {
            let name = format!("{}/by-{program}/{}", to.host, signed.slug());
            let target = format!("{name}:v1");
            if program == "skopeo" {
                let copy = ["copy", "--all", "--quiet", "--preserve-digests"];
                let http = ["--src-tls-verify=false", "--dest-tls-verify=false"];
                let places = [
                    &*format!("docker://{source}"),
                    &*format!("docker://{target}"),
                ];
                let policy = ["--insecure-policy"];
                self.skopeo(&[&policy[..], &copy, &http, &places].concat())?;
            } else {
                self.crane(&["copy", &source, &target])?;
            }
            self.verify(&target, UNSIGNED)?;
            self.copy(&source, &target, DONE)?;
            self.same_as_source(signed, to, &name)?;
            self.all_accept(signed, &name)?;
        }
        Ok("unsigned without our copy, and proven with it".to_owned())
    }

    /// cosign 2 leaves bundles out. cosign 3 saves those of the index, but can't load them into a registry that looks for
    /// the blobs of a manifest.
    fn saved_and_loaded(
        &self,
        signed: &Signed,
        cosign: Cosign,
        to: &Registry,
    ) -> anyhow::Result<String> {
        let program = match cosign {
            Cosign::V2 => &self.cosign_2,
            Cosign::V3 => &self.cosign_3,
        };
        let name = format!("{}/loaded-{}/{}", to.host, cosign.slug(), signed.slug());
        let folder = format!("{}-{}-{}", cosign.slug(), signed.slug(), port(to));
        let at_index = format!("{}@{}", signed.name(), signed.index);
        self.site
            .home
            .run(Command::new(program).args(["save", "--dir", &folder, &at_index]))?
            .success()?;
        let target = format!("{name}:v1");
        let loaded = self
            .site
            .home
            .run(Command::new(program).args(["load", "--dir", &folder, &target]))?;
        let carried = match loaded.code() {
            Some(0) => self.edges(signed, Place::Registry(to, &name))?.len(),
            // It says that it failed. Whatever else ends it is no finding.
            Some(1) => 0,
            code => bail!(
                "{} load ended with {code:?}: {}",
                cosign.name(),
                loaded.tail()
            ),
        };
        self.copy(&signed.tagged(), &target, DONE)?;
        let all = self.same_as_source(signed, to, &name)?;
        self.all_accept(signed, &name)?;
        ensure!(
            carried < all,
            "expected cosign to leave referrers out, found all {all}"
        );
        Ok(format!(
            "of {all} referrers {} carries {carried}, and countersign all",
            cosign.name()
        ))
    }
}

/// A part of a file's name, for a registry.
pub(super) fn port(registry: &Registry) -> &str {
    registry.host.rsplit(':').next().unwrap_or_default()
}
