//! An instance as GitHub's own: an authority for certificates and one for timestamps, and no logs.

use std::fs;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::Scene;
use crate::exit_code::{DONE, INVALID};
use crate::identities::RELEASE_WORKFLOW;
use crate::interop::actors::Cosign;
use crate::interop::ledger::Ledger;
use crate::interop::registries::Registry;

const SLSA: &str = "https://slsa.dev/provenance/v1";

/// cosign attests without a log.
pub(super) fn play(scene: &Scene, registry: &Registry, ledger: &mut Ledger) {
    let title = format!(
        "cosign 3 attests at an instance without logs, in {}",
        registry.name
    );
    ledger.case(&title, || attested(scene, registry));
}

fn attested(scene: &Scene, registry: &Registry) -> anyhow::Result<String> {
    let image = scene.image(registry, "without-logs/attested")?;
    scene.site.home.write(
        "github.json",
        scene.site.sigstore().trusted_root_without_logs_json(),
    )?;
    let [_, instance] = scene.instances();
    let mut config: Value = serde_json::from_slice(&fs::read(&instance.signing_config)?)?;
    let fields = config.as_object_mut().context("no object")?;
    fields.insert("rekorTlogUrls".into(), json!([]));
    fields.remove("rekorTlogConfig");
    scene
        .site
        .home
        .write("signing-config.json", config.to_string())?;
    let predicate = json!({
        "buildDefinition": { "buildType": "https://example.com/build/v1" },
        "runDetails": { "builder": { "id": "https://example.com/builder" } },
    });
    scene
        .site
        .home
        .write("predicate.json", predicate.to_string())?;

    let token = scene.site.token(RELEASE_WORKFLOW)?;
    let mut arguments = vec!["attest", "--yes", "--identity-token", token];
    arguments.extend(["--type", "slsaprovenance1", "--predicate", "predicate.json"]);
    arguments.extend(["--signing-config", "signing-config.json"]);
    arguments.extend([
        "--trusted-root",
        scene.site.home.path(&instance.trusted_root)?,
        &image,
    ]);
    scene.cosign(Cosign::V3, &arguments)?;

    let policy = format!("{}predicate_types: ['{SLSA}']\n", scene.workflow());
    let github = scene.site.home.join("github.json");
    let says = [
        RELEASE_WORKFLOW,
        "log entry  none: this instance has no log",
    ];
    scene.verify(&policy, &github, &[&image], DONE, &says)?;
    // The file has two roots, one on each line. Each must judge by itself.
    let both = format!(
        "{}\n{}\n",
        serde_json::from_slice::<Value>(&fs::read(&github)?)?,
        serde_json::from_slice::<Value>(&fs::read(&instance.trusted_root)?)?
    );
    scene.site.home.write("both.jsonl", both)?;
    let both = scene.site.home.join("both.jsonl");
    scene.verify(&policy, &both, &[&image], DONE, &says)?;
    // Where there is a log, it is demanded.
    let says = ["expected a log entry"];
    scene.verify(&policy, &instance.trusted_root, &[&image], INVALID, &says)?;
    Ok("its timestamp proves the time, and where there is a log it is demanded".to_owned())
}
