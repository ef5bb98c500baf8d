//! A gallery's entry, installed by name and locked; then by the lock alone.

use super::commands::{TRUSTED_ROOT, sign, words};
use super::scene::{PLATFORMS, Scene, Step};
use crate::exit_code::NOT_FOUND;
use crate::identities::RELEASE_WORKFLOW;

/// Lock an entry, move its tag, and install what was locked.
pub(super) fn play(scene: &mut Scene) -> anyhow::Result<()> {
    let locked = scene.push("backends", "latest", "version 1")?;
    let image = scene.image("backends:latest");
    scene.write("index.yaml", format!("- name: app\n  uri: \"{image}\"\n"))?;
    let issuer = scene.issuer();
    let galleries = format!(
        "- name: example\n  url: file:index.yaml\n  verification:\n    issuer: \"{issuer}\"\n    identity: \"{RELEASE_WORKFLOW}\"\n"
    );
    scene.write("galleries.yaml", galleries)?;
    let step = sign(scene, "token", &image)?.titled("An image that a gallery lists is signed");
    scene.play(&step)?;

    let [platform, ..] = PLATFORMS;
    let step = Step::new(
        "It is installed by its name, and locked",
        by_name(&["--lock", "--store", "first", "app"]),
    )
    .why("countersign.lock says which digest it was, and who had signed it.")
    .says("locked in  countersign.lock");
    scene.play_and(&step, |scene| {
        scene.installed("first/app", platform, "version 1")
    })?;

    scene.push("backends", "latest", "version 2")?;
    let step = Step::new(
        "Elsewhere the same is installed, though the tag has moved on",
        by_name(&["--from-lock", "--store", "second"]),
    )
    .says(RELEASE_WORKFLOW);
    scene.play_and(&step, |scene| {
        scene.installed("second/app", platform, "version 1")
    })?;

    scene.registry.remove_manifest("backends", &locked.digest());
    scene.empty("third")?;
    let step = Step::new(
        "Where no registry has it any more, nothing else takes its place",
        by_name(&["--from-lock", "--store", "third"]),
    )
    .exits(NOT_FOUND)
    .says("is locked to");
    scene.play_and(&step, |scene| scene.nothing_at("third/app"))
}

fn by_name(tail: &[&str]) -> Vec<String> {
    let [platform, ..] = PLATFORMS;
    let head = ["install", "--gallery", "galleries.yaml"];
    let head = [&head[..], &TRUSTED_ROOT, &["--platform", platform]].concat();
    words(&head, tail)
}
