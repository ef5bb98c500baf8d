//! Images in layouts, verified and installed by a machine without a network.

use std::fs;

use countersign_oci::{Descriptor, Digest, media_type};
use countersign_sandbox::image::{Image, Layout, blob_path};
use countersign_sandbox::{BundleSpec, Statement};

use crate::stage::{POLICY, RELEASE, Run, STRANGER, Stage, TRUST, image, run};

/// A layout of the stage's index, signed by `identity`.
fn signed(stage: &Stage, identity: &str) -> Layout {
    let subject = stage.index.descriptor();
    let statement = Statement::of(subject.digest.clone());
    let spec = BundleSpec::new(statement, identity);
    let signature = Image::signature(subject, stage.sigstore.issue(&spec).unwrap());
    Layout::new()
        .index(&stage.index, Some("v1"))
        .image(&signature, None)
}

/// Runs the program so that the stage's registry hears of every request to anywhere: it is the
/// proxy for them.
fn without_network(stage: &Stage, command: &str, operands: &[&str]) -> Run {
    let proxy = format!("http://{}", stage.registry.host());
    let arguments = [&[command], &TRUST[..], &POLICY, operands].concat();
    let mut command = stage.command(&arguments);
    command.env("HTTPS_PROXY", &proxy).env("HTTP_PROXY", &proxy);
    let run = run(&mut command);
    assert_eq!(stage.registry.requests().len(), 0);
    run
}

#[tokio::test]
async fn a_signed_layout_is_verified_and_installed_without_a_request() {
    let stage = Stage::new().await;
    let layout = signed(&stage, RELEASE);
    layout.write_to(&stage.path("app")).unwrap();
    stage.write("app.tar", layout.archive().tar());
    for name in ["ocifile://app.tar", "ocifile://app"] {
        let verified = without_network(&stage, "verify", &[name]);
        assert_eq!(verified.code, 0, "{}", verified.stderr);
        assert!(verified.stdout.contains(RELEASE), "{}", verified.stdout);

        let platform = ["--platform", "linux/arm64"];
        let operands = [&platform[..], &[name, "here"]].concat();
        let installed = without_network(&stage, "install", &operands);
        assert_eq!(installed.code, 0, "{}", installed.stderr);
        let content = fs::read_to_string(stage.path("here/bin/app")).unwrap();
        assert_eq!(content, "linux/arm64");
    }
}

#[tokio::test]
async fn a_proxy_would_hear_of_requests() {
    let stage = Stage::new().await;
    let proxy = format!("http://{}", stage.registry.host());
    let arguments = [&["verify"], &TRUST[..], &POLICY, &["registry.invalid/app"]].concat();
    let run = run(stage.command(&arguments).env("HTTPS_PROXY", proxy));
    assert_eq!(run.code, 7, "{}", run.stderr);
    assert_ne!(stage.registry.requests().len(), 0);
}

/// Verify and install fail with this code, and what they print has all of this.
fn fails(stage: &Stage, code: i32, expected: &[&str]) {
    for operands in [
        &["verify", "ocifile://app.tar"][..],
        &["install", "ocifile://app.tar", "here"],
    ] {
        let run = without_network(stage, operands[0], &operands[1..]);
        assert_eq!(run.code, code, "{}", run.stderr);
        for text in expected {
            assert!(run.stderr.contains(text), "{text}: {}", run.stderr);
        }
        assert!(!stage.path("here").exists());
    }
}

#[tokio::test]
async fn each_failure_has_its_exit_code_and_says_what_to_do() {
    let stage = Stage::new().await;
    fails(
        &stage,
        6,
        &["there is no such file or directory", "check the path"],
    );

    stage.write("app.tar", "<html>");
    fails(
        &stage,
        2,
        &["expected a directory or a tar archive", "oras copy"],
    );

    let unsigned = Layout::new().index(&stage.index, None);
    stage.write("app.tar", unsigned.archive().tar());
    fails(&stage, 3, &["countersign sign", "copy the signatures too"]);

    let foreign = signed(&stage, STRANGER).archive().tar();
    stage.write("app.tar", foreign);
    fails(&stage, 4, &[STRANGER, RELEASE]);

    let tar = signed(&stage, RELEASE).archive().tar();
    stage.write("app.tar", &tar[..tar.len() / 2]);
    fails(&stage, 5, &["cut short", "copy the archive again"]);

    let several = unsigned.image(&image("linux/s390x"), Some("v2"));
    stage.write("app.tar", several.archive().tar());
    fails(&stage, 2, &["found 2: sha256:", "v2 (sha256:"]);

    let lost = Descriptor::of(media_type::OCI_MANIFEST, b"lost");
    stage.write("app.tar", Layout::new().entry(lost, None).archive().tar());
    fails(
        &stage,
        6,
        &[
            "it does not contain sha256:",
            "copy the image again from where it is whole",
        ],
    );
}

#[tokio::test]
async fn a_layout_without_its_signature_s_bundle_is_damaged_and_nobody_has_to_sign_again() {
    let stage = Stage::new().await;
    let statement = Statement::of(stage.index.descriptor().digest.clone());
    let spec = BundleSpec::new(statement, RELEASE);
    let bundle = stage.sigstore.issue(&spec).unwrap();
    let signature = Image::signature(stage.index.descriptor(), bundle);
    let lost = signature.layers()[0].clone();
    let layout = Layout::new().index(&stage.index, Some("v1"));
    let layout = layout.image(&signature, None);
    let path = blob_path(&Digest::sha256(&lost));
    for damaged in [
        layout.clone().without(&path),
        layout.clone().file(&path, "other"),
    ] {
        stage.write("app.tar", damaged.archive().tar());
        fails(&stage, 5, &["the layout was changed or damaged"]);
        let run = stage.verify(&["ocifile://app.tar"]);
        assert!(!run.stderr.contains("sign again"), "{}", run.stderr);
    }
}

#[tokio::test]
async fn a_layout_can_t_be_signed_and_a_path_has_to_be_there() {
    let stage = Stage::new().await;
    let signed = stage.sign(&["--identity-token", "@token", "ocifile://app.tar"]);
    assert_eq!(signed.code, 2);
    for expected in [
        "expected an image in a registry, found an image layout",
        "`countersign sign NAME@DIGEST`",
        "`countersign copy --policy FILE NAME:TAG ocifile://DIR`",
    ] {
        assert!(signed.stderr.contains(expected), "{}", signed.stderr);
    }

    let verified = stage.verify(&["ocifile://"]);
    assert_eq!(verified.code, 2);
    let expected = "there is no path after ocifile://";
    assert!(verified.stderr.contains(expected), "{}", verified.stderr);
}

#[tokio::test]
async fn a_path_and_a_registry_alone_are_never_asked_of_docker_hub() {
    let stage = Stage::new().await;
    for (found, says) in [
        ("ocifile:ly", "write ocifile://ly"),
        ("ocifile:/srv/ly", "write ocifile:///srv/ly"),
        ("file:///srv/ly", "write ocifile:///srv/ly"),
        ("file:/srv/ly", "write ocifile:///srv/ly"),
        ("file:ly", "write ocifile://ly"),
        (".", "write ocifile://."),
        ("..", "write ocifile://.."),
        ("ly.tar", "write ocifile://ly.tar"),
        ("localhost:5055", "as localhost:5055/acme/app:v1"),
        (
            "registry.example:443",
            "as registry.example:443/acme/app:v1",
        ),
    ] {
        for (command, operands) in [
            ("verify", &[found][..]),
            ("install", &[found, "here"]),
            ("copy", &["registry.invalid/app:v1", found]),
        ] {
            let run = without_network(&stage, command, operands);
            assert_eq!(run.code, 2, "{command} {found}: {}", run.stderr);
            assert!(
                run.stderr.contains(says),
                "{command} {found}: {}",
                run.stderr
            );
        }
        let run = stage.run(&[&["sign", "--by-tag", found]]);
        assert_eq!(run.code, 2, "sign {found}: {}", run.stderr);
        assert!(run.stderr.contains("expected an image"), "{}", run.stderr);
    }
}
