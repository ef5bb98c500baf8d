//! Kits whose manifests are damaged or lost, or whose list was edited.

use std::fs;
use std::path::PathBuf;

use countersign_oci::Digest;
use countersign_sandbox::image::{Compression, Image, Layer};
use serde_json::{Value, json};

use super::{LINUX, stage};
use crate::stage::{RELEASE, Run, Stage, TRUST};

const COPY: [&str; 3] = ["copy", "--gallery=galleries.yaml", "--to=ocifile://kit"];
const SHOW: [&str; 3] = ["gallery", "show", "ocifile://kit"];

/// A gallery of `app` and of `tool` at this tag.
fn index(stage: &Stage, tag: &str) -> String {
    let (app, tool) = (stage.reference("app:v1"), stage.reference("tool"));
    format!("[{{name: app, uri: '{app}'}}, {{name: tool, uri: '{tool}:{tag}'}}]")
}

/// Signs an image of its own at a tag of `tool`.
fn tool(stage: &Stage, tag: &str) -> Digest {
    let own = Layer::builder().file("bin/tool", tag, 0o755);
    let image = Image::builder("linux/amd64".parse().unwrap())
        .layer(own.build(Compression::Gzip))
        .build();
    image.push(&stage.registry, "tool", Some(tag));
    stage.signed(&format!("tool:{tag}"), RELEASE);
    image.digest()
}

/// A kit of `app` and `tool`, and the digest of the latter.
async fn kit() -> (Stage, Digest) {
    let stage = stage(|stage| index(stage, "v1")).await;
    let digest = tool(&stage, "v1");
    let made = stage.run(&[&COPY, &TRUST]);
    assert_eq!(made.code, 0, "{}", made.shown());
    (stage, digest)
}

fn blob(stage: &Stage, digest: &Digest) -> PathBuf {
    let path = digest.to_string().replace(':', "/");
    stage.path("kit/blobs").join(path)
}

/// Changes one byte of a blob of the kit.
fn damage(stage: &Stage, digest: &Digest) {
    let path = blob(stage, digest);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() = b' ';
    fs::write(path, bytes).unwrap();
}

fn installed(stage: &Stage, store: &str, name: &str) -> Run {
    let store = format!("--store={store}");
    let install = ["install", "--from=ocifile://kit", &store, name];
    stage.run(&[&install, &LINUX])
}

/// Which entries the kit is said to have an image of, and of which it is said to have none.
fn shown(stage: &Stage) -> [Value; 2] {
    let shown = stage.run(&[&SHOW, &["--output=json"]]).json();
    [shown["kit"]["has"].clone(), shown["kit"]["lacks"].clone()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_manifest_that_no_entry_needs_any_more_is_not_read() {
    let (stage, old) = kit().await;
    tool(&stage, "v2");
    stage.write("index.yaml", index(&stage, "v2"));
    let made = stage.run(&[&COPY, &TRUST]);
    assert_eq!(made.code, 0, "{}", made.shown());
    damage(&stage, &old);
    for name in ["app", "tool"] {
        let run = installed(&stage, "store", name);
        assert_eq!(run.code, 0, "{}", run.shown());
    }
    assert_eq!(shown(&stage), [json!(["app", "tool"]), json!([])]);
    let again = stage.run(&[&["copy", "ocifile://kit"], &[&*stage.reference("again")]]);
    assert_eq!(again.code, 0, "{}", again.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_manifest_breaks_the_entry_that_needs_it_and_a_copy_mends_it() {
    let (stage, tool) = kit().await;
    damage(&stage, &tool);
    let run = installed(&stage, "store", "app");
    assert_eq!(run.code, 0, "{}", run.shown());
    let run = installed(&stage, "store", "tool");
    assert_eq!(run.code, 5, "{}", run.shown());
    assert!(run.stderr.contains("`tool`"), "{}", run.shown());
    assert!(!stage.path("store/tool").exists());

    assert_eq!(shown(&stage), [json!(["app"]), json!(["tool"])]);
    let run = stage.run(&[&SHOW]);
    let name = stage.reference("tool:v1");
    let warns = format!("the kit's image {name} can't be used: ");
    assert!(run.stderr.contains(&warns), "{}", run.shown());
    let run = stage.run(&[&["copy", "ocifile://kit"], &[&*stage.reference("again")]]);
    assert_eq!(run.code, 5, "{}", run.shown());
    for says in ["not copied tool: ", "1 of 2 images copied"] {
        assert!(run.stdout.contains(says), "{}", run.shown());
    }

    let mended = stage.run(&[&COPY, &TRUST]);
    assert_eq!(mended.code, 0, "{}", mended.shown());
    let run = installed(&stage, "store", "tool");
    assert_eq!(run.code, 0, "{}", run.shown());
    assert_eq!(shown(&stage), [json!(["app", "tool"]), json!([])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_manifest_is_lost_is_not_shown_as_one_that_a_kit_has() {
    let (stage, tool) = kit().await;
    fs::remove_file(blob(&stage, &tool)).unwrap();
    assert_eq!(shown(&stage), [json!(["app"]), json!(["tool"])]);
}

/// It could be passed over as well, and then nothing would be said of what was in its place.
#[tokio::test(flavor = "multi_thread")]
async fn an_edited_digest_in_the_list_of_a_kit_is_told() {
    let (stage, tool) = kit().await;
    let list = fs::read_to_string(stage.path("kit/index.json")).unwrap();
    let edited = list.replace(&tool.to_string(), "sha256:../../../etc/passwd");
    assert_ne!(list, edited);
    stage.write("kit/index.json", edited);
    for run in [installed(&stage, "store", "tool"), stage.run(&[&SHOW])] {
        assert_eq!(run.code, 5, "{}", run.shown());
        let says = "found `sha256:../../../etc/passwd`";
        assert!(run.stderr.contains(says), "{}", run.shown());
    }
}
