//! `countersign copy` into image layouts and archives of them, and out of them again.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::symlink;
use std::process::{Child, ChildStderr, Stdio};

use countersign_oci::{Digest, LayoutDraft, LayoutPath};
use countersign_sandbox::{Effect, Fault, RegistryOptions, RegistryServer};
use serde_json::Value;

use crate::stage::{POLICY, RELEASE, Run, STRANGER, Stage, TRUST, image};
use crate::tree;

fn refused(run: &Run, code: i32, text: &str) {
    assert_eq!(run.code, code, "{}", run.shown());
    assert!(run.stderr.contains(text), "{}", run.shown());
}

fn done(run: &Run) {
    assert_eq!(run.code, 0, "{}", run.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_through_a_layout_and_an_archive_of_one() {
    let stage = tree::stage().await;
    let from = stage.reference("app:v1");
    let tree = stage.tree_of(&from);
    let mut source = from.clone();
    for place in ["ocifile://kit", "ocifile://kit.tar", "ocifile://again"] {
        let run = stage.copy(&[&source, place]);
        match place {
            "ocifile://kit" => stage.snapshot("success_copy_layout", &run),
            _ => done(&run),
        }
        assert_eq!(stage.tree_of(place), tree, "{place}");
        done(&stage.verify(&[place]));
        source = place.to_owned();
    }
    assert!(!stage.path("kit.tar.part").exists());
    assert!(!stage.path("kit/index.json.part").exists());

    // Nothing of it is lost on the way back.
    let options = RegistryOptions {
        referrers_api: true,
        ..RegistryOptions::default()
    };
    let other = RegistryServer::start(options).await.unwrap();
    let to = format!("{}/mirror/app:v1", other.host());
    done(&stage.copy(&["ocifile://again", &to]));
    assert_eq!(stage.tree_of(&to), tree);
    for digest in stage.registry.manifests("app") {
        let name = digest.to_string();
        let ours = stage.registry.manifest("app", &name);
        assert_eq!(ours, other.manifest("mirror/app", &name), "{name}");
    }

    // All is there: nothing is written, and the name is listed once.
    let again = stage
        .copy(&["--output=json", &from, "ocifile://kit"])
        .json();
    let result = &again["results"][0];
    assert_eq!(result["tag"], from.as_str());
    assert_eq!(result["blobs"]["sent"], 0, "{again}");
    assert_eq!(result["attached"], 9, "{again}");
    let index: Value =
        serde_json::from_slice(&fs::read(stage.path("kit/index.json")).unwrap()).unwrap();
    let entries = index["manifests"].as_array().unwrap();
    let named = entries
        .iter()
        .filter(|entry| entry["annotations"]["io.containerd.image.name"] == from.as_str());
    assert_eq!(named.count(), 1, "{index}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_proven_is_not_listed() {
    let stage = Stage::new().await;
    stage.signed("app:v1", STRANGER);
    let from = stage.reference("app:v1");
    for place in ["kit", "kit.tar"] {
        let run = stage.copy(&[&from, &format!("ocifile://{place}")]);
        assert_eq!(run.code, 4, "{}", run.shown());
        assert!(!stage.path(place).exists());
    }

    // A run that ends half-way leaves what is listed as it was, and the next one goes on.
    stage.signed("app:v1", RELEASE);
    let layer = &stage.index.images()[1].manifest().layers[0].digest;
    let path = format!("GET /v2/app/blobs/{layer}");
    let other = Fault::on(&path, Effect::Body("something else".into()));
    stage.registry.add_fault(other);
    for place in ["kit", "kit.tar"] {
        let run = stage.copy(&[&from, &format!("ocifile://{place}")]);
        assert_eq!(run.code, 5, "{}", run.shown());
    }
    assert!(!stage.path("kit/index.json").exists());
    assert!(!stage.path("kit.tar").exists());
    assert!(!stage.path("kit.tar.part").exists());
    stage.registry.clear_faults();
    let json = stage
        .copy(&["--output=json", &from, "ocifile://kit"])
        .json();
    assert_ne!(json["results"][0]["blobs"]["sent"], 0, "{json}");

    // A damaged blob is not taken for the right one.
    let hex = stage.index.images()[0].manifest().layers[0].digest.hex();
    let blob = stage.path(&format!("kit/blobs/sha256/{hex}"));
    let mut bytes = fs::read(&blob).unwrap();
    bytes[0] ^= 1;
    fs::write(&blob, bytes).unwrap();
    let json = stage
        .copy(&["--output=json", &from, "ocifile://kit"])
        .json();
    assert_eq!(json["results"][0]["blobs"]["sent"], 1, "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_may_be_copied_for_some_platforms() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let from = stage.reference("app:v1");
    let arm = ["--platform", "linux/arm64"];
    done(&stage.copy(&[&arm[..], &[&from, "ocifile://arm.tar"]].concat()));
    let missing = stage.index.images()[0].digest().to_string();
    done(&stage.verify(&["ocifile://arm.tar"]));
    let install = |platform: &str, to: &str| {
        let policy = [
            "--policy",
            "policy.yaml",
            "--trusted-root",
            "trusted_root.json",
        ];
        let platform = ["--platform", platform];
        stage.run(&[&["install"], &policy, &platform, &["ocifile://arm.tar", to]])
    };
    done(&install("linux/arm64", "here"));
    let run = install("linux/amd64", "there");
    refused(&run, 6, &missing);
    let run = stage.copy(&["ocifile://arm.tar", "ocifile://all"]);
    refused(&run, 6, &missing);
    refused(
        &run,
        6,
        "to copy it on into a layout, pass --platform again",
    );
    done(&stage.copy(&[&arm[..], &["ocifile://arm.tar", "ocifile://some"]].concat()));

    // As most registries: what an index lists has to be there.
    let to = stage.reference("mirror/sparse");
    let run = stage.copy(&[&arm[..], &[&from, &to]].concat());
    refused(&run, 9, "leave --platform out");
    assert_eq!(stage.registry.tags("mirror/sparse"), [] as [String; 0]);

    let s390x = ["--platform", "linux/s390x", &from, "ocifile://s390x"];
    refused(&stage.copy(&s390x), 6, "linux/amd64, linux/arm64");
    let image = format!("app@{missing}");
    stage.signed(&image, RELEASE);
    let image = stage.reference(&image);
    let single = [&arm[..], &[&image, "ocifile://single"]].concat();
    let run = stage.copy(&single);
    refused(
        &run,
        6,
        "no image for linux/arm64: expected one of linux/amd64",
    );
    let single = ["--platform", "linux/amd64", &image, "ocifile://single"];
    done(&stage.copy(&single));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_holds_several_images_and_one_is_named_by_its_digest() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let other = image("linux/s390x").push(&stage.registry, "other", Some("v1"));
    stage.signed("other:v1", RELEASE);
    done(&stage.copy(&[&stage.reference("app:v1"), "ocifile://kit"]));
    done(&stage.copy(&[&stage.reference("other:v1"), "ocifile://kit"]));
    refused(
        &stage.verify(&["ocifile://kit"]),
        2,
        "ocifile://PATH@DIGEST",
    );
    let pinned = format!("ocifile://kit@{other}");
    done(&stage.verify(&[&pinned]));
    done(&stage.copy(&[&pinned, "ocifile://one.tar"]));
    done(&stage.verify(&["ocifile://one.tar"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_overwritten_and_nothing_outside_is_written() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let from = stage.reference("app:v1");
    let copy = |place: &str| stage.copy(&[&from, place]);
    stage.write("mine.tar", "mine");
    refused(&copy("ocifile://mine.tar"), 2, "there is a file already");
    assert_eq!(fs::read(stage.path("mine.tar")).unwrap(), b"mine");
    refused(&copy("ocifile://policy.yaml"), 2, "found a file");
    stage.write("mine/of/mine", "mine");
    refused(&copy("ocifile://mine"), 2, "`oci-layout` is missing");
    refused(&copy("ocifile://no/such"), 2, "above it doesn't exist");

    stage.write("elsewhere/x", "");
    stage.write("linked/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    symlink(stage.path("elsewhere"), stage.path("linked/blobs")).unwrap();
    refused(&copy("ocifile://linked"), 5, "a symbolic link");
    assert_eq!(fs::read_dir(stage.path("elsewhere")).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_once_write_one_layout_one_after_the_other() {
    let stage = Stage::new().await;
    image("linux/s390x").push(&stage.registry, "other", Some("v1"));
    let path = LayoutPath::new(&stage.path("busy")).unwrap();
    let busy = LayoutDraft::begin(&path).await.unwrap();
    let mut runs = Vec::new();
    for name in ["app:v1", "other:v1"] {
        stage.signed(name, RELEASE);
        runs.push(waiting(&stage, &stage.reference(name), "busy"));
    }
    assert!(!stage.path("busy/index.json").exists());
    drop(busy);
    for (mut run, mut stderr) in runs {
        let mut said = String::new();
        stderr.read_to_string(&mut said).unwrap();
        assert!(run.wait().unwrap().success(), "{said}");
        assert!(!said.contains("waiting"), "it is said once: {said}");
    }
    // Each has kept what the other listed.
    let index = fs::read_to_string(stage.path("busy/index.json")).unwrap();
    for name in ["app:v1", "other:v1"] {
        assert!(index.contains(&stage.reference(name)), "{index}");
    }
    let busy = LayoutDraft::begin(&path).await.unwrap();
    let from = stage.reference("app:v1");
    let run = stage.copy(&["--timeout=5s", &from, "ocifile://busy"]);
    refused(&run, 7, "longer than its --timeout of 5s");
    assert!(
        run.stderr.contains("waiting: another run"),
        "{}",
        run.stderr
    );
    drop(busy);
}

/// Starts a copy that finds the layout `to` taken, and returns it when it has said so.
fn waiting(stage: &Stage, from: &str, to: &str) -> (Child, BufReader<ChildStderr>) {
    let to = format!("ocifile://{to}");
    waiting_for(stage, &[&TRUST[..], &POLICY, &[from, &to]].concat(), &to)
}

/// Starts `copy` with arguments by which it writes to `layout`, which is taken. Returns it when it has said so.
pub(crate) fn waiting_for(
    stage: &Stage,
    arguments: &[&str],
    layout: &str,
) -> (Child, BufReader<ChildStderr>) {
    let mut command = stage.command(&[&["copy"], arguments].concat());
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut run = command.spawn().unwrap();
    let mut stderr = BufReader::new(run.stderr.take().unwrap());
    let mut said = String::new();
    stderr.read_line(&mut said).unwrap();
    let waits = "waiting: another run writes to ocifile://";
    let place = layout.strip_prefix("ocifile://").unwrap();
    let place = format!("/{place}\n");
    assert!(said.starts_with(waits) && said.ends_with(&place), "{said}");
    (run, stderr)
}

/// What was asked for at first would be listed by the name of what is there now.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_has_waited_copies_what_the_tag_names_then() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let path = LayoutPath::new(&stage.path("busy")).unwrap();
    let busy = LayoutDraft::begin(&path).await.unwrap();
    let from = stage.reference("app:v1");
    let (mut run, mut stderr) = waiting(&stage, &from, "busy");
    let newer = image("linux/s390x").push(&stage.registry, "app", Some("v1"));
    stage.signed("app:v1", RELEASE);
    drop(busy);
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    assert!(run.wait().unwrap().success(), "{said}");
    let index = fs::read_to_string(stage.path("busy/index.json")).unwrap();
    assert!(index.contains(newer.hex()), "{index}");
    let older = stage.index.digest();
    assert!(!index.contains(older.hex()), "{index}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_runs_that_make_one_archive_the_second_waits_and_is_refused() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    let path = LayoutPath::new(&stage.path("one.tar")).unwrap();
    let busy = LayoutDraft::begin(&path).await.unwrap();
    let from = stage.reference("app:v1");
    let (mut run, mut stderr) = waiting(&stage, &from, "one.tar");
    // The first run has made it.
    stage.write("one.tar", "made");
    drop(busy);
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(2), "{said}");
    assert!(said.contains("there is a file already"), "{said}");
    assert_eq!(fs::read(stage.path("one.tar")).unwrap(), b"made");
    assert!(!stage.path("one.tar.part").exists());
}

/// The destination lost nothing, and nobody has to sign again.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_part_of_the_only_signature_is_named_with_its_place() {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    done(&stage.copy(&[&stage.reference("app:v1"), "ocifile://kit"]));
    // The configuration of the signature's manifest, which no verifier needs.
    let empty = Digest::sha256(b"{}");
    let blob = stage.path(&format!("kit/blobs/sha256/{}", empty.hex()));
    assert_eq!(fs::read(&blob).unwrap(), b"{}");
    fs::write(&blob, "{} ").unwrap();
    done(&stage.verify(&["ocifile://kit"]));
    let mirror = stage.reference("mirror/app:v1");
    for to in [&*mirror, "ocifile://again"] {
        let run = stage.copy(&["ocifile://kit", to]);
        refused(&run, 5, "the source is damaged there, or lacks it");
        let place = format!("kit@{empty} has the wrong size");
        let warned = run
            .stderr
            .lines()
            .find(|line| line.starts_with("warning: not copied: "));
        assert!(
            warned.is_some_and(|line| line.contains(&place)),
            "{}",
            run.shown()
        );
        assert!(
            !run.stderr.contains("the destination lost"),
            "{}",
            run.shown()
        );
        assert!(
            !run.stderr.contains("hint: sign the image"),
            "{}",
            run.shown()
        );
        let document = stage.copy(&["--output=json", "ocifile://kit", to]).json();
        let result = &document["results"][0];
        assert_eq!(result["error"]["kind"], "invalid", "{document:#}");
        let reason = result["not_copied"][0]["reason"].as_str().unwrap();
        assert!(reason.contains(&place), "{document:#}");
    }
    // What lacks it is told with the cause.
    fs::remove_file(&blob).unwrap();
    let run = stage.copy(&["ocifile://kit", &mirror]);
    refused(&run, 5, &format!("it does not contain {empty}"));
}
