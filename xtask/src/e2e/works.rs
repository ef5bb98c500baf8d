//! What works: sign, verify, install.

use super::commands::{POLICY, directory_for, install, sign, verify, words};
use super::scene::{PLATFORMS, Scene, Step};
use crate::identities::RELEASE_WORKFLOW;

/// Sign, verify, install.
pub(super) fn play(scene: &mut Scene) -> anyhow::Result<()> {
    scene.push("app", "v1", "version 1")?;
    let app = scene.image("app:v1");
    let step = sign(scene, "token", &app)?
        .titled("The project's CI signs the index and the image for each platform")
        .why(
            "It proves who it is by an identity token, which a CI hands out; here it is in a file. \
             Who signed is written in a certificate, and when into a public log.",
        );
    scene.play(&step)?;

    let issuer = scene.issuer();
    let who = ["--issuer", &issuer, "--identity", RELEASE_WORKFLOW, &app];
    let step = Step::new("Anyone can prove who signed it", verify(&who))
        .why("Issuer and identity say who must have: whose word on the identity counts, and which one.")
        .says(RELEASE_WORKFLOW);
    scene.play(&step)?;

    for platform in PLATFORMS {
        let title = format!("The image for {platform} is signed too");
        let arguments = verify(&[&POLICY[..], &["--platform", platform, &app]].concat());
        let step = Step::new(&title, arguments)
            .why("The policy is in a file this time.")
            .says(RELEASE_WORKFLOW);
        scene.play(&step)?;
    }

    let tuf_url = scene.sigstore.tuf_url().to_string();
    let trust = ["--tuf-url", &tuf_url, "--tuf-root", "tuf_root.json"];
    let arguments = words(
        &[&["verify"], &trust[..]].concat(),
        &[&POLICY[..], &[&app]].concat(),
    );
    let step = Step::new("The trust root can come from a TUF repository", arguments)
        .why("It keeps the keys of certificate authority and log up to date.")
        .says(RELEASE_WORKFLOW);
    scene.play(&step)?;

    for platform in PLATFORMS {
        let directory = directory_for("app", platform);
        let title = format!("The image for {platform} is verified and installed in one go");
        let step = Step::new(&title, install(platform, &app, &directory)).says(RELEASE_WORKFLOW);
        scene.play_and(&step, |scene| {
            scene.installed(&directory, platform, "version 1")
        })?;
    }
    Ok(())
}
