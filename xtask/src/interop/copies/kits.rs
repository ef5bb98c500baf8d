//! Kits: read by oras and skopeo as the layouts that they are, served by registries, and installed from without a network.

use std::fs;

use anyhow::ensure;

use super::Scene;
use super::image::Signed;
use super::seen::Place;
use crate::command::Command;
use crate::exit_code::DONE;
use crate::identities::RELEASE_WORKFLOW;
use crate::interop::ledger::Ledger;
use crate::interop::registries::Registry;
use crate::ledger::Seen;

/// A namespace with no network but a loopback interface that is down.
const WITHOUT_NETWORK: [&str; 2] = ["--map-root-user", "--net"];

impl Scene<'_> {
    /// Plays kits of the image in one registry.
    pub(super) fn kits(&self, signed: &Signed, to: &[&Registry], ledger: &mut Ledger) {
        let from = signed.registry.name;
        for ending in ["", ".tar"] {
            let kit = format!("kit-{}{ending}", signed.slug());
            ledger.case(&format!("a kit of {from}, as {kit}"), || {
                self.kit(signed, &kit)
            });
            let title = format!("{kit} is installed from, without a network");
            ledger.case(&title, || self.installs(&kit));
            for registry in to {
                ledger.case(&format!("{kit} is copied to {}", registry.name), || {
                    self.serves(signed, &kit, registry)
                });
            }
        }
    }

    fn kit(&self, signed: &Signed, kit: &str) -> anyhow::Result<String> {
        let index = format!("- name: app\n  uri: oci://{}\n", signed.tagged());
        self.site.home.write("index.yaml", index)?;
        let issuer = self.site.issuer();
        let galleries = format!(
            "- name: interop\n  url: file:index.yaml\n  verification:\n    issuer: {issuer}\n    identity: {RELEASE_WORKFLOW}\n"
        );
        self.site.home.write("galleries.yaml", galleries)?;
        let to = format!("ocifile://{kit}");
        self.countersign(&["copy", "--gallery", "galleries.yaml", "--to", &to], DONE)?;
        let source = signed.name();
        let before = self.edges(signed, Place::Registry(signed.registry, &source))?;
        let after = self.edges(signed, Place::Directory(kit))?;
        ensure!(
            before == after,
            "expected the referrers {before:#?}, found {after:#?}"
        );
        Ok(format!(
            "oras sees the same {} referrers in it",
            after.len()
        ))
    }

    fn installs(&self, kit: &str) -> anyhow::Result<Seen> {
        let unshare = || Command::new("unshare").args(WITHOUT_NETWORK);
        let allowed = self.site.home.run(unshare().args(["true"]));
        if !allowed.is_ok_and(|output| output.code() == Some(0)) {
            return Ok(Seen::Skipped(
                "this machine does not allow network namespaces",
            ));
        }
        let into = format!("installed-{kit}");
        let install = unshare()
            .args([&self.site.countersign])
            .args(["install", "--from", &format!("ocifile://{kit}")])
            .args(["--platform", "linux/arm64", "--store", &into, "app"]);
        self.site.home.run(install)?.success()?;
        let path = self.site.home.join(&into).join("app/platform");
        let found = fs::read_to_string(path)?;
        ensure!(found.ends_with("arm64"), "found {found}");
        Ok(Seen::Passed("its files are there".to_owned()))
    }

    fn serves(&self, signed: &Signed, kit: &str, to: &Registry) -> anyhow::Result<String> {
        let prefix = format!("{}/mirror-{}", to.host, kit.replace('.', "-"));
        self.countersign(&["copy", &format!("ocifile://{kit}"), &prefix], DONE)?;
        let name = format!("{prefix}/{}", signed.repository);
        let seen = self.same_as_source(signed, to, &name)?;
        self.all_accept(signed, &name)?;
        Ok(format!(
            "everybody sees the same digests and {seen} referrers"
        ))
    }
}
