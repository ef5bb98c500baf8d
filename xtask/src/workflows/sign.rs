//! The action that signs.

use anyhow::ensure;

use super::runner::Ended;
use super::scene::{LOG_SEARCH_URL, Scene, WORKFLOW};
use crate::exit_code::{DONE, REJECTED, USAGE};
use crate::ledger::Ledger;

pub(super) fn run(scene: &Scene, ledger: &mut Ledger) {
    signed(scene, ledger);
    failed(scene, ledger);
}

/// What is signed, and what is said of it.
fn signed(scene: &Scene, ledger: &mut Ledger) {
    ledger.case(
        "sign: an index is signed, verified and listed in the job summary",
        || {
            let digest = scene.push_index("app", "v1")?;
            let image = format!("{}/app:v1@{digest}", scene.registry.host());
            let ended = sign(scene, &[("images", &image)])?;
            ended.expect(DONE, &format!("{digest} is signed by {WORKFLOW}"))?;
            ensure!(
                ended.output("digest")? == digest,
                "the output is another digest"
            );
            ensure!(
                ended
                    .summary
                    .lines()
                    .filter(|line| line.contains("| `sha256:"))
                    .count()
                    == 3
            );
            for text in [
                "### countersign sign",
                "| linux/amd64 |",
                "| linux/arm64 |",
                &format!("| – | `{digest}` |"),
                &format!("]({LOG_SEARCH_URL}"),
                &format!("signed by {WORKFLOW}"),
            ] {
                contains(&ended, text)?;
            }
            scene.verify(&image, WORKFLOW)?;
            Ok(format!("{image} is signed by {WORKFLOW}"))
        },
    );

    ledger.case(
        "sign: several images, annotations, and lines without anything",
        || {
            let first = scene.push_index("first", "v1")?;
            let second = scene.push_index("second", "v1")?;
            let host = scene.registry.host();
            let images = format!("{host}/first@{first}\n\n{host}/second@{second}\n");
            let annotations = "commit=abc\nnote=two words; $(false) `false`\n";
            let ended = sign(scene, &[("images", &images), ("annotations", annotations)])?;
            ended.expect(DONE, &second)?;
            let json = std::fs::read_to_string(ended.output("result")?)?;
            ensure!(json.contains("two words; $(false) `false`"), "found {json}");
            Ok("both are signed, and the annotation is as it was given".to_owned())
        },
    );

    ledger.case("sign: tags are written once the image is signed", || {
        let digest = scene.push_index("later", "old")?;
        let host = scene.registry.host();
        let image = format!("{host}/later@{digest}");
        let ended = sign(scene, &[("images", &image), ("then-tags", "v1\nlatest\n")])?;
        ended.expect(DONE, &format!("{digest} is signed by {WORKFLOW}"))?;
        for tag in ["v1", "latest"] {
            scene.verify(&format!("{host}/later:{tag}"), WORKFLOW)?;
            contains(&ended, &format!("{host}/later:{tag}`"))?;
        }
        Ok(format!("two tags name {digest}"))
    });
}

/// What is not signed, and what is said of it.
fn failed(scene: &Scene, ledger: &mut Ledger) {
    ledger.case(
        "sign: what can't be signed fails the job, and the summary says why",
        || {
            scene.push_index("untold", "v1")?;
            let image = format!("{}/untold:v1", scene.registry.host());
            let ended = sign(scene, &[("images", &image)])?;
            ended.expect(USAGE, "::error title=countersign::")?;
            contains(&ended, "**Failed:** ")?;
            contains(&ended, "- What to do: ")?;
            ensure!(ended.output("digest")?.is_empty(), "there is a digest");
            Ok(ended.log.trim().to_owned())
        },
    );

    ledger.case(
        "sign: what an image is called can't put anything into the log or the summary",
        || {
            let ended = sign(scene, &[("images", "--help")])?;
            ended.expect(USAGE, "::error title=countersign::")?;
            let ended = sign(scene, &[("images", "a|<b>[c](d)%0A::add-mask::e")])?;
            ended.expect(USAGE, "%250A::add-mask::e")?;
            ensure!(!ended.summary.contains("<b>") && !ended.summary.contains("[c](d)"));
            Ok(ended.summary.trim().to_owned())
        },
    );

    ledger.case(
        "sign: a program that says nothing has failed, whatever it ends with",
        || {
            let silent = scene.program("silent/countersign", "exit 0\n")?;
            let silent = silent.display().to_string();
            let ended = sign(scene, &[("images", "a"), ("executable", &silent)])?;
            ended.expect(1, "said nothing")?;
            contains(&ended, "**Failed:** ")?;
            Ok(ended.log.trim().to_owned())
        },
    );

    ledger.case(
        "sign: no identity token, as in the pull request of a fork",
        || {
            let digest = scene.push_index("forked", "v1")?;
            let image = format!("{}/forked@{digest}", scene.registry.host());
            let mut runner = scene.runner(WORKFLOW)?;
            runner
                .environment
                .retain(|name, _| !name.starts_with("ACTIONS_ID_TOKEN"));
            let ended =
                runner.action(&Scene::action("sign"), &scene.inputs(&[("images", &image)]))?;
            ended.expect(REJECTED, "id-token: write")?;
            contains(&ended, "id-token: write")?;
            Ok("the error names the permission".to_owned())
        },
    );
}

fn sign(scene: &Scene, inputs: &[(&str, &str)]) -> anyhow::Result<Ended> {
    scene
        .runner(WORKFLOW)?
        .action(&Scene::action("sign"), &scene.inputs(inputs))
}

fn contains(ended: &Ended, text: &str) -> anyhow::Result<()> {
    ensure!(
        ended.summary.contains(text),
        "expected `{text}` in the summary, found:\n{}",
        ended.summary
    );
    Ok(())
}
