//! What works: sign, verify, install.

use super::commands::{DONE, POLICY, directory_for, install, sign, verify, words};
use super::stage::{PLATFORMS, RELEASE_WORKFLOW, Stage, Step};

/// Sign, verify, install.
pub(super) fn play(stage: &mut Stage) -> anyhow::Result<()> {
    stage.push("app", "v1", "version 1")?;
    let app = stage.image("app:v1");
    sign(
        stage,
        "The project's CI signs the image: the index and the image for each platform. \
         It proves who it is by a token of the CI (here from a file)",
        "token",
        &app,
    )?;
    let issuer = stage.issuer();
    stage.step(
        &Step {
            title: "Anyone can prove who signed it; issuer and identity say who must have",
            arguments: verify(&["--issuer", &issuer, "--identity", RELEASE_WORKFLOW, &app]),
            exit_code: DONE,
            says: &[RELEASE_WORKFLOW],
        },
        |_| Ok(String::new()),
    )?;
    for platform in PLATFORMS {
        stage.step(
            &Step {
                title: &format!(
                    "The image for {platform} is signed too; the policy is in a file this time"
                ),
                arguments: verify(&[&POLICY[..], &["--platform", platform, &app]].concat()),
                exit_code: DONE,
                says: &[RELEASE_WORKFLOW],
            },
            |_| Ok(String::new()),
        )?;
    }
    let tuf_url = stage.sigstore.tuf_url().to_string();
    stage.step(
        &Step {
            title: "The trust root can also come from a TUF repository, which keeps it up to date",
            arguments: words(
                &[
                    "verify",
                    "--tuf-url",
                    &tuf_url,
                    "--tuf-root",
                    "tuf_root.json",
                ],
                &[&POLICY[..], &[&app]].concat(),
            ),
            exit_code: DONE,
            says: &[RELEASE_WORKFLOW],
        },
        |_| Ok(String::new()),
    )?;
    for platform in PLATFORMS {
        let directory = directory_for("app", platform);
        stage.step(
            &Step {
                title: &format!("The image for {platform} is verified and installed in one go"),
                arguments: install(platform, &app, &directory),
                exit_code: DONE,
                says: &[RELEASE_WORKFLOW],
            },
            |stage| stage.installed(&directory, platform, "version 1"),
        )?;
    }
    Ok(())
}
