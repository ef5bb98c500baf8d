//! `cosign attest` of provenances and SBOMs, and a statement of several subjects.

use std::fs;

use anyhow::{Context as _, ensure};
use countersign_oci::Digest;
use countersign_sandbox::{BundleSpec, Statement};
use serde_json::{Value, json};

use super::Scene;
use crate::command::Command;
use crate::exit_code::{DONE, INVALID, REFUSED_BY_POLICY, UNSIGNED};
use crate::identities::RELEASE_WORKFLOW;
use crate::interop::actors::Cosign;
use crate::interop::ledger::Ledger;
use crate::interop::registries::Registry;

const SLSA: &str = "https://slsa.dev/provenance/v1";
const SPDX: &str = "https://spdx.dev/Document";
const CYCLONE_DX: &str = "https://cyclonedx.org/bom";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The names by which cosign knows the types, and what is attested.
fn predicates() -> [(&'static str, &'static str, Value); 3] {
    let provenance = json!({
        "buildDefinition": {
            "buildType": "https://example.com/build/v1",
            "externalParameters": { "workflow": { "ref": "refs/tags/v1" } },
        },
        "runDetails": { "builder": { "id": "https://example.com/builder" } },
    });
    let spdx = json!({ "SPDXID": "SPDXRef-DOCUMENT", "spdxVersion": "SPDX-2.3", "name": "app" });
    let cyclone_dx = json!({ "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1 });
    [
        ("slsaprovenance1", SLSA, provenance),
        ("spdxjson", SPDX, spdx),
        ("cyclonedx", CYCLONE_DX, cyclone_dx),
    ]
}

/// Attests in every way, and verifies.
pub(super) fn play(scene: &Scene, registry: &Registry, ledger: &mut Ledger) {
    for (instance, log) in scene.instances().into_iter().zip(["v1", "v2"]) {
        let title = format!(
            "cosign 3 attests SLSA, SPDX and CycloneDX with Rekor {log}, in {}",
            registry.name
        );
        ledger.case(&title, || {
            let image = scene.image(registry, &format!("attestations/{log}"))?;
            for (name, _, predicate) in predicates() {
                scene
                    .site
                    .home
                    .write("predicate.json", predicate.to_string())?;
                let token = scene.site.token(RELEASE_WORKFLOW)?;
                let mut arguments = vec!["attest", "--yes", "--identity-token", token];
                arguments.extend(["--type", name, "--predicate", "predicate.json"]);
                arguments.extend([
                    "--signing-config",
                    scene.site.home.path(&instance.signing_config)?,
                ]);
                arguments.extend([
                    "--trusted-root",
                    scene.site.home.path(&instance.trusted_root)?,
                ]);
                arguments.push(&image);
                scene.cosign(Cosign::V3, &arguments)?;
            }
            let root = &instance.trusted_root;
            judge(scene, root, &image)?;
            Ok(
                "each by its type, all of them together, and by what the provenance says"
                    .to_owned(),
            )
        });
    }
    let title = format!(
        "a statement of three subjects, one of which is the image, in {}",
        registry.name
    );
    ledger.case(&title, || several_subjects(scene, registry));
}

fn judge(scene: &Scene, root: &std::path::Path, image: &str) -> anyhow::Result<()> {
    let workflow = scene.workflow();
    for (_, predicate_type, _) in predicates() {
        let policy = format!("{workflow}predicate_types: ['{predicate_type}']\n");
        let said = format!("type       {predicate_type}");
        scene.verify(&policy, root, &[image], DONE, &[&said, RELEASE_WORKFLOW])?;
    }
    let require = |wanted: &str| format!("{workflow}require: [{wanted}]\n");
    let one = |predicate_type: &str| format!("{{predicate_type: '{predicate_type}'}}");
    let all = [SLSA, SPDX, CYCLONE_DX].map(one).join(", ");
    scene.verify(
        &require(&all),
        root,
        &[image],
        DONE,
        &[SLSA, SPDX, CYCLONE_DX],
    )?;
    let more = format!("{all}, signature");
    let says = ["3 of the 4 proofs", "a signature"];
    scene.verify(&require(&more), root, &[image], REFUSED_BY_POLICY, &says)?;

    let rules = |git_ref: &str| {
        format!(
            "{workflow}predicate_types: ['{SLSA}']\npredicate:\n  \
             /buildDefinition/buildType: https://example.com/build/v1\n  \
             /buildDefinition/externalParameters/workflow/ref_regex: refs/tags/{git_ref}\n  \
             /runDetails/builder/id: https://example.com/builder\n"
        )
    };
    let saving = ["--save-predicate", "saved.json", image];
    scene.verify(&rules("v.+"), root, &saving, DONE, &[])?;
    let saved: Value = serde_json::from_slice(&fs::read(scene.site.home.join("saved.json"))?)?;
    let [(_, _, provenance), ..] = predicates();
    let written = saved.pointer("/buildDefinition/externalParameters");
    ensure!(
        written == provenance.pointer("/buildDefinition/externalParameters"),
        "another predicate was saved: {saved}"
    );
    scene.verify(
        &rules("w.+"),
        root,
        &[image],
        REFUSED_BY_POLICY,
        &["refs/tags/v1"],
    )?;
    // None of them is a signature.
    let says = ["an attestation, not a signature"];
    scene.verify(&workflow, root, &[image], UNSIGNED, &says)?;
    Ok(())
}

/// As `actions/attest` writes it, and pushed by oras. cosign accepts it too.
fn several_subjects(scene: &Scene, registry: &Registry) -> anyhow::Result<String> {
    let image = scene.image(registry, "attestations/subjects")?;
    let (_, digest) = image.split_once('@').context("no digest")?;
    let [(name, _, provenance), ..] = predicates();
    let statement = Statement::of(Digest::sha256(b"a binary"))
        .and_subject(digest.parse::<Digest>()?)
        .and_subject(Digest::sha256(b"another binary"))
        .predicate(SLSA, provenance);
    let bundle = scene
        .site
        .sigstore()
        .issue(&BundleSpec::new(statement, RELEASE_WORKFLOW))?;
    scene.site.home.write("bundle.json", bundle)?;
    let root = &scene.instances()[0].trusted_root;
    let policy = format!("{}predicate_types: ['{SLSA}']\n", scene.workflow());
    let says = "type       https://slsa.dev/provenance/v1";
    let by_file = ["--bundle", "bundle.json", &image];
    scene.verify(&policy, root, &by_file, DONE, &[says])?;

    let attach = Command::new(&scene.oras)
        .args([
            "attach",
            "--plain-http",
            "--no-tty",
            "--artifact-type",
            BUNDLE,
        ])
        .args([&image, &format!("bundle.json:{BUNDLE}")]);
    scene.site.home.run(attach)?.success()?;
    scene.verify(&policy, root, &[&image], DONE, &[says])?;
    let issuer = scene.site.issuer();
    let mut arguments = vec!["verify-attestation", "--type", name];
    arguments.extend(["--trusted-root", scene.site.home.path(root)?]);
    arguments.extend(["--certificate-identity", RELEASE_WORKFLOW]);
    arguments.extend(["--certificate-oidc-issuer", &issuer, &image]);
    scene.cosign(Cosign::V3, &arguments)?;

    let other = scene.image(registry, "attestations/no-subject")?;
    let by_file = ["--bundle", "bundle.json", &other];
    let says = ["another image"];
    scene.verify(&policy, root, &by_file, INVALID, &says)?;
    Ok(
        "accepted from a file and from the registry, also by cosign; not for another image"
            .to_owned(),
    )
}
