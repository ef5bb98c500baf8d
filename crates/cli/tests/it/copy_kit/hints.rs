//! What is said of what a kit has otherwise than it is asked for.

use std::fs;

use super::{LINUX, stage};
use crate::stage::{RELEASE, Run, Stage, TRUST};

/// A gallery of one entry, `app`.
async fn of_app() -> Stage {
    stage(|stage| format!("[{{name: app, uri: '{}'}}]", stage.reference("app:v1"))).await
}

/// Copies the images of the galleries in `file` into a kit.
fn copied(stage: &Stage, file: &str, with: &[&str]) -> Run {
    let gallery = format!("--gallery={file}");
    let run = stage.run(&[&["copy", &gallery, "--to=ocifile://kit"], &TRUST, with]);
    assert_eq!(run.code, 0, "{}", run.shown());
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn the_galleries_that_a_kit_loses_are_named() {
    let stage = of_app().await;
    let galleries = fs::read_to_string(stage.path("galleries.yaml")).unwrap();
    let other = galleries.replace("name: acme", "name: beta");
    assert_ne!(galleries, other);
    stage.write("other.yaml", other);
    for (file, lost) in [
        ("galleries.yaml", false),
        ("galleries.yaml", false),
        ("other.yaml", true),
        ("other.yaml", false),
    ] {
        let run = copied(&stage, file, &[]);
        let says = "the kit that is there has the gallery acme, and the new one does not";
        assert_eq!(run.stderr.contains(says), lost, "{}", run.shown());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_a_kit_has_for_another_platform_is_told_with_that() {
    let stage = of_app().await;
    copied(&stage, "galleries.yaml", &["--platform=linux/arm64"]);
    for dry_run in [&["--dry-run"][..], &[]] {
        let install = ["install", "--from=ocifile://kit", "--store=store", "app"];
        let run = stage.run(&[&install, &LINUX, dry_run]);
        assert_eq!(run.code, 6, "{}", run.shown());
        let says = "the kit has `app` for linux/arm64 alone, and not for linux/amd64";
        assert!(run.stderr.contains(says), "{}", run.shown());
        assert!(!run.stderr.contains("pass --platform again"));
    }
    // Nothing that is copied would help here.
    let install = ["install", "--from=ocifile://kit", "--store=store", "app"];
    let run = stage.run(&[&install, &["--platform=linux/s390x"][..]]);
    assert_eq!(run.code, 6, "{}", run.shown());
    assert!(
        !run.stderr.contains("alone, and not for"),
        "{}",
        run.shown()
    );
    copied(&stage, "galleries.yaml", &LINUX);
    let install = ["install", "--from=ocifile://kit", "--store=store", "app"];
    let run = stage.run(&[&install, &LINUX]);
    assert_eq!(run.code, 0, "{}", run.shown());
}

/// Whoever can change a kit can give the name of an image to another one.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_a_kit_by_a_name_that_is_not_signed_is_told_as_that() {
    let stage = stage(|stage| {
        let (app, tool) = (stage.reference("app:v1"), stage.reference("tool:v1"));
        format!("[{{name: app, uri: '{app}'}}, {{name: tool, uri: '{tool}'}}]")
    })
    .await;
    crate::stage::image("linux/amd64").push(&stage.registry, "tool", Some("v1"));
    stage.signed("tool:v1", RELEASE);
    let policy = stage.policy(RELEASE) + "  bind_name: true\n";
    let policy = policy.replace('\n', "\n    ");
    let galleries = format!("galleries:\n  - name: acme\n    url: file:index.yaml\n    {policy}\n");
    stage.write("galleries.yaml", galleries);
    copied(&stage, "galleries.yaml", &[]);
    let (app, tool) = (stage.reference("app:v1"), stage.reference("tool:v1"));
    let listed = fs::read_to_string(stage.path("kit/index.json")).unwrap();
    let moved = listed.replace(&tool, &stage.reference("old:v1"));
    let moved = moved.replace(&app, &tool);
    stage.write("kit/index.json", moved);
    let run = stage.run(&[&["copy", "ocifile://kit"], &[&*stage.reference("again")]]);
    assert_eq!(run.code, 4, "{}", run.shown());
    let hint = "do not use the image under this name";
    assert!(run.stderr.contains(hint), "{}", run.shown());
    assert!(
        !run.stderr.contains("the path of a layout"),
        "{}",
        run.shown()
    );
}

/// The lock file of a kit counts with its own galleries alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_a_kit_has_by_its_lock_file_is_told_with_that() {
    let stage = of_app().await;
    let install = ["install", "--gallery=galleries.yaml", "--lock", "app"];
    let locked = stage.run(&[&install, &TRUST, &LINUX, &["--store=one"]]);
    assert_eq!(locked.code, 0, "{}", locked.shown());
    let moved = format!("[{{name: app, uri: '{}'}}]", stage.reference("app:stable"));
    stage.write("index.yaml", moved);
    copied(&stage, "galleries.yaml", &["--from-lock"]);
    let install = ["install", "--from=ocifile://kit", "--store=two", "app"];
    let own = ["--gallery=galleries.yaml", TRUST[0], TRUST[1]];
    let run = stage.run(&[&install, &LINUX, &own]);
    assert_eq!(run.code, 6, "{}", run.shown());
    let says = "the kit has another image of `app` than ";
    assert!(run.stderr.contains(says), "{}", run.shown());
    assert!(run.stderr.contains("--from-lock=FILE"), "{}", run.shown());
    let run = stage.run(&[&install, &LINUX, &own, &["--from-lock=countersign.lock"]]);
    assert_eq!(run.code, 0, "{}", run.shown());
}
