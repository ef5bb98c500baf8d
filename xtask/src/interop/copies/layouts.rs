//! By way of image layouts, as directories and as archives: ours are read by the others, and theirs by us.

use anyhow::ensure;

use super::Scene;
use super::image::Signed;
use super::registries::{ONE_AT_A_TIME, port};
use super::seen::Place;
use crate::exit_code::{DONE, UNSIGNED};
use crate::interop::ledger::Ledger;
use crate::interop::registries::Registry;

impl Scene<'_> {
    /// Plays the ways from one registry through layouts to the others.
    pub(super) fn layouts(&self, signed: &Signed, to: &[&Registry], ledger: &mut Ledger) {
        let from = signed.registry.name;
        let directory = format!("ours-{}", signed.slug());
        let archive = format!("{directory}.tar");
        for (place, kind) in [
            (Place::Directory(&directory), "a layout"),
            (Place::Archive(&archive), "an archive of a layout"),
        ] {
            ledger.case(
                &format!("countersign copies from {from} into {kind}"),
                || self.fill_layout(signed, place),
            );
            for registry in to {
                let way = format!("from {kind} to {}", registry.name);
                ledger.case(&format!("countersign copies {way}"), || {
                    self.empty_layout(signed, place, registry)
                });
                ledger.case(&format!("oras and skopeo copy {way}"), || {
                    self.by_others(signed, place, registry)
                });
            }
        }
        for registry in to {
            let title = format!(
                "layouts that oras, skopeo and crane make of {from}, to {}",
                registry.name
            );
            ledger.case(&title, || self.layouts_of_others(signed, registry));
        }
    }

    fn fill_layout(&self, signed: &Signed, place: Place) -> anyhow::Result<String> {
        let path = path(place);
        let location = format!("ocifile://{path}");
        self.copy(&signed.tagged(), &location, DONE)?;
        let source = signed.name();
        let before = self.seen(signed, Place::Registry(signed.registry, &source))?;
        let after = self.seen(signed, place)?;
        ensure!(
            before == after,
            "expected the referrers {before:#?}, found {after:#?}"
        );
        self.verify(&location, DONE)?;
        Ok(format!(
            "skopeo sees the same digest, oras the same {} referrers",
            after.len()
        ))
    }

    fn empty_layout(&self, signed: &Signed, place: Place, to: &Registry) -> anyhow::Result<String> {
        let name = format!("{}/unpacked/{}", to.host, repository(place));
        let source = format!("ocifile://{}", path(place));
        self.copy(&source, &format!("{name}:v1"), DONE)?;
        let seen = self.same_as_source(signed, to, &name)?;
        self.all_accept(signed, &name)?;
        Ok(format!(
            "everybody sees the same digests and {seen} referrers"
        ))
    }

    fn by_others(&self, signed: &Signed, place: Place, to: &Registry) -> anyhow::Result<String> {
        let name = format!("{}/oras-unpacked/{}", to.host, repository(place));
        let target = format!("{name}:v1");
        let source = format!("{}:v1", path(place));
        let mut copy = vec!["copy", "--recursive", "--no-tty", "--to-plain-http"];
        copy.extend(["--to-distribution-spec", to.referrers.for_oras()]);
        copy.extend(ONE_AT_A_TIME);
        copy.extend(["--from-oci-layout", &source, &target]);
        self.oras(&copy)?;
        self.verify(&target, DONE)?;
        self.cosign_3_verifies(&target)?;

        let name = format!("{}/skopeo-unpacked/{}", to.host, repository(place));
        let from = match place {
            Place::Archive(path) => format!("oci-archive:{path}:v1"),
            _ => format!("oci:{source}"),
        };
        let into = format!("docker://{name}:v1");
        let copy = ["--insecure-policy", "copy", "--all", "--quiet"];
        let http = ["--preserve-digests", "--dest-tls-verify=false"];
        self.skopeo(&[&copy[..], &http, &[&from, &into]].concat())?;
        let found = self.crane(&["digest", &format!("{name}:v1")])?;
        ensure!(found == signed.index, "skopeo copied {found}");
        Ok("oras carries the signatures of the index, skopeo the same digest".to_owned())
    }

    fn layouts_of_others(&self, signed: &Signed, to: &Registry) -> anyhow::Result<String> {
        let (source, tail) = (signed.tagged(), format!("{}-{}", signed.slug(), port(to)));
        let theirs = format!("oras-{tail}");
        let into = format!("{theirs}:v1");
        let mut copy = vec!["copy", "--recursive", "--no-tty", "--from-plain-http"];
        copy.extend([
            "--from-distribution-spec",
            signed.registry.referrers.for_oras(),
        ]);
        copy.extend(["--to-oci-layout", &source, &into]);
        self.oras(&copy)?;
        let name = format!("{}/of-oras/{tail}", to.host);
        let layout = format!("ocifile://{theirs}@{}", signed.index);
        self.copy(&layout, &format!("{name}:v1"), DONE)?;
        let before = self.edges(signed, Place::Directory(&theirs))?;
        let after = self.edges(signed, Place::Registry(to, &name))?;
        ensure!(
            before == after,
            "expected the referrers {before:#?}, found {after:#?}"
        );
        self.cosign_3_verifies(&format!("{name}:v1"))?;

        let theirs = format!("skopeo-{tail}");
        let copy = ["--insecure-policy", "copy", "--all", "--quiet"];
        let http = ["--preserve-digests", "--src-tls-verify=false"];
        let (from, into) = (format!("docker://{source}"), format!("oci:{theirs}:v1"));
        self.skopeo(&[&copy[..], &http, &[&from, &into]].concat())?;
        let pulled = format!("crane-{tail}");
        self.crane(&["pull", "--format", "oci", &source, &pulled])?;
        for theirs in [theirs, pulled] {
            let layout = format!("ocifile://{theirs}@{}", signed.index);
            self.copy(&layout, &format!("{}/refused:v1", to.host), UNSIGNED)?;
            // The proof is added, and the layout is as good as ours.
            self.copy(&source, &format!("ocifile://{theirs}"), DONE)?;
            self.verify(&layout, DONE)?;
        }
        Ok("that of oras is proven; those of skopeo and crane have no signatures, until our copy adds them".to_owned())
    }
}

fn path(place: Place<'_>) -> &str {
    match place {
        Place::Registry(_, path) | Place::Directory(path) | Place::Archive(path) => path,
    }
}

fn repository(place: Place) -> String {
    path(place).replace('.', "-")
}
