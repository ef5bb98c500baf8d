//! `countersign copy --gallery`: the images of galleries go to a mirror, or into a kit for a machine without a
//! network.

use std::fs;
use std::process::Command;

use countersign_sandbox::{RegistryOptions, RegistryServer};

use crate::stage::{POLICY, RELEASE, Run, STRANGER, Stage, TRUST, image, possible, run, succeeds};

const LINUX: [&str; 2] = ["--platform", "linux/amd64"];

/// A stage with a gallery: `app` is signed, and has a mirror that is empty still. `other` is not signed.
async fn stage(mirror: &str) -> Stage {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    image("linux/amd64").push(&stage.registry, "other", Some("v1"));
    stage.signed("other:v1", STRANGER);
    let (app, other) = (stage.reference("app:v1"), stage.reference("other:v1"));
    let index = format!(
        "[{{name: app, uri: '{app}', mirrors: ['{mirror}/app:v1']}}, {{name: other, uri: '{other}'}}, \
         {{name: either, capabilities: {{default: app}}}}]"
    );
    stage.write("index.yaml", index);
    let policy = stage.policy(RELEASE).replace('\n', "\n    ");
    let galleries = format!("galleries:\n  - name: acme\n    url: file:index.yaml\n    {policy}\n");
    stage.write("galleries.yaml", galleries);
    stage
}

fn copy(stage: &Stage, arguments: &[&str]) -> Run {
    stage.run(&[&["copy"], &TRUST, &["--gallery=galleries.yaml"], arguments])
}

/// A place that no test serves.
const NOWHERE: &str = "mirror.invalid";

#[tokio::test(flavor = "multi_thread")]
async fn a_kit_installs_without_a_network() {
    let stage = stage(NOWHERE).await;
    let run_ = copy(&stage, &["--to=ocifile://kit"]);
    assert_eq!(
        run_.code,
        4,
        "one of the images is signed by a stranger: {}",
        run_.shown()
    );
    assert!(
        run_.stdout.contains("1 of 2 images copied"),
        "{}",
        run_.shown()
    );
    let json = copy(
        &stage,
        &["--output=json", "--entry=app", "--to=ocifile://kit.tar"],
    )
    .json();
    let kit = json["kit"].as_str().unwrap().to_owned();
    assert_eq!(json["results"][0]["name"], "app");

    // The kit knows no file beside it, and its registry is gone.
    for name in [
        "galleries.yaml",
        "index.yaml",
        "policy.yaml",
        "trusted_root.json",
    ] {
        fs::remove_file(stage.path(name)).unwrap();
    }
    let requests = stage.registry.requests().len();
    for (kit, store) in [
        ("ocifile://kit", "one"),
        ("ocifile://kit.tar", "two"),
        (kit.as_str(), "three"),
    ] {
        let store = format!("--store={store}");
        let install = ["install", "--from", kit, &store, "app"];
        let done = stage.run(&[&install, &LINUX]);
        assert_eq!(done.code, 0, "{}", done.shown());
    }
    let either = stage.run(&[
        &["install", "--from=ocifile://kit", "--store=four", "either"],
        &LINUX,
    ]);
    assert_eq!(either.code, 0, "{}", either.shown());
    assert_eq!(stage.registry.requests().len(), requests);
    let missing = stage.run(&[
        &["install", "--from=ocifile://kit", "--store=five", "other"],
        &LINUX,
    ]);
    assert_eq!(missing.code, 6, "{}", missing.shown());
    assert_eq!(stage.registry.requests().len(), requests);

    let other = kit
        .replace("sha256:", "sha256:0")
        .split_at(kit.len())
        .0
        .to_owned();
    let changed = stage.run(&[&["install", "--store=six", "app", "--from", &other], &LINUX]);
    assert_eq!(changed.code, 5, "{}", changed.shown());

    in_a_namespace_without_a_network(&stage);
}

/// The index of a kit may name any address, so nothing that it names may be asked.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_in_a_kit_leads_to_no_request() {
    let stage = stage(NOWHERE).await;
    let (app, server) = (stage.reference("app:v1"), stage.registry.origin());
    let sha256 = "0".repeat(64);
    stage.write("index.yaml", format!("[{{name: app, uri: '{app}'}}]"));
    let inward =
        format!("{{name: inward, uri: '{server}/latest/meta-data.tar', sha256: '{sha256}'}}");
    stage.write("open.yaml", format!("[{inward}]"));
    // A tarball can't be signed, so this gallery has no policy.
    let galleries = std::fs::read_to_string(stage.path("galleries.yaml")).unwrap();
    let open = "  - name: open\n    url: file:open.yaml\n";
    stage.write("galleries.yaml", galleries + open);
    let made = copy(&stage, &["--entry=app", "--to=ocifile://kit"]);
    assert_eq!(made.code, 0, "{}", made.shown());
    let requests = stage.registry.requests().len();
    let install = ["install", "--from=ocifile://kit", "--store=one", "inward"];
    let run = stage.run(&[&install, &LINUX]);
    assert_eq!(run.code, 6, "{}", run.shown());
    assert!(
        run.stderr.contains("a kit has only images"),
        "{}",
        run.shown()
    );
    assert_eq!(stage.registry.requests().len(), requests);
}

/// Whoever brings their own galleries is not told by the kit whom to trust.
#[tokio::test(flavor = "multi_thread")]
async fn own_galleries_are_not_judged_by_the_root_of_a_kit() {
    let stage = stage(NOWHERE).await;
    let made = copy(&stage, &["--entry=app", "--to=ocifile://kit"]);
    assert_eq!(made.code, 0, "{}", made.shown());
    let own = [
        "install",
        "--from=ocifile://kit",
        "--gallery=galleries.yaml",
        "--store=one",
        "app",
    ];
    let untrusted = stage.run(&[&own, &LINUX, &["--offline"]]);
    assert_ne!(untrusted.code, 0, "{}", untrusted.shown());
    assert!(
        untrusted.stderr.contains("trusted root"),
        "{}",
        untrusted.shown()
    );
    assert!(!stage.path("one/app").exists());
    let trusted = stage.run(&[&own, &LINUX, &TRUST]);
    assert_eq!(trusted.code, 0, "{}", trusted.shown());
}

fn in_a_namespace_without_a_network(stage: &Stage) {
    let alone = |program: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", program]);
        command.current_dir(stage.directory.path()).env_clear();
        command
    };
    let is_allowed = succeeds(alone("true").env("PATH", "/usr/bin:/bin"));
    if !possible("make a network namespace", is_allowed) {
        return;
    }
    let mut command = alone(env!("CARGO_BIN_EXE_countersign"));
    command.args(["install", "--from=ocifile://kit", "--store=alone", "app"]);
    let done = run(command.args(LINUX));
    assert_eq!(done.code, 0, "{}", done.shown());
    assert!(stage.path("alone/app/bin/app").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_was_copied_passes_the_audit_of_its_gallery() {
    let options = RegistryOptions::default();
    let other = RegistryServer::start(options).await.unwrap();
    for by_kit in [false, true] {
        let mirror = format!("{}/mirror{by_kit}", other.host());
        let stage = stage(&mirror).await;
        let audit = [
            "audit",
            "--gallery=galleries.yaml",
            "--mirrors",
            "--output=json",
        ];
        let audit = || stage.run(&[&audit, &TRUST]).json();
        let before = audit();
        assert_eq!(before["results"][1]["state"], "missing", "{before}");
        if by_kit {
            let kit = copy(&stage, &["--entry=app", "--to=ocifile://kit"]);
            assert_eq!(kit.code, 0, "{}", kit.shown());
            let served = stage.run(&[&["copy", "ocifile://kit", &mirror]]);
            assert_eq!(served.code, 0, "{}", served.shown());
        } else {
            let to = format!("--to={mirror}");
            let copied = copy(&stage, &["--entry=app", &to]);
            assert_eq!(copied.code, 0, "{}", copied.shown());
        }
        let after = audit();
        assert_eq!(after["results"][1]["role"], "mirror", "{after}");
        assert_eq!(after["results"][1]["state"], "proven", "{after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_file_says_what_is_in_a_kit() {
    let stage = stage(NOWHERE).await;
    let install = [
        "install",
        "--gallery=galleries.yaml",
        "--store=store",
        "--lock",
        "app",
    ];
    let locked = stage.run(&[&install, &TRUST, &LINUX]);
    assert_eq!(locked.code, 0, "{}", locked.shown());
    // The tag moves on to something that nobody signed.
    stage.push_unsigned("v1");
    let run = copy(&stage, &["--from-lock", "--to=ocifile://kit"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let digest = stage.index.digest().to_string();
    let json = stage.run(&[
        &[
            "install",
            "--from=ocifile://kit",
            "--store=two",
            "--output=json",
            "app",
        ],
        &LINUX,
    ]);
    assert_eq!(json.code, 0, "{}", json.shown());
    assert!(json.stdout.contains(&digest), "{}", json.shown());
}

/// Both entries name the same index, by the same policy.
#[tokio::test(flavor = "multi_thread")]
async fn each_platform_in_a_lock_file_is_proven_though_the_image_is_the_same() {
    let stage = stage(NOWHERE).await;
    for platform in ["linux/amd64", "linux/arm64"] {
        let (store, platform) = (format!("--store={platform}"), ["--platform", platform]);
        let install = [
            "install",
            "--gallery=galleries.yaml",
            &store,
            "--lock",
            "app",
        ];
        let locked = stage.run(&[&install, &TRUST, &platform]);
        assert_eq!(locked.code, 0, "{}", locked.shown());
    }
    // The policy accepts any signer by now; the lock does not.
    let galleries = fs::read_to_string(stage.path("galleries.yaml")).unwrap();
    let open = galleries.replace(&format!("identity: {RELEASE}"), "identity_regex: '.*'");
    assert_ne!(open, galleries);
    stage.write("galleries.yaml", open);
    let run = copy(&stage, &["--from-lock", "--to=ocifile://kit"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    // The later one was locked by another signer.
    let lock = fs::read_to_string(stage.path("countersign.lock")).unwrap();
    let (first, second) = lock.split_at(lock.rfind("- name: app").unwrap());
    assert!(first.contains("- name: app"), "{lock}");
    let second = second.replace("release.yml", "other.yml");
    stage.write("countersign.lock", format!("{first}{second}"));
    let run = copy(&stage, &["--from-lock", "--to=ocifile://other"]);
    assert_eq!(run.code, 4, "{}", run.shown());
    assert!(run.stderr.contains("other.yml"), "{}", run.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_locked_on_other_hardware_is_copied() {
    let stage = stage(NOWHERE).await;
    let app = stage.reference("app:v1");
    let other = stage.reference("other:v1");
    stage.write(
        "index.yaml",
        format!(
            "[{{name: cpu, uri: '{other}'}}, {{name: cuda, uri: '{app}'}}, \
             {{name: draw, capabilities: {{default: cpu, nvidia: cuda}}}}]"
        ),
    );
    let install = ["install", "--gallery=galleries.yaml", "--store=store"];
    let locking = ["--lock", "--capability=nvidia", "draw"];
    let locked = stage.run(&[&install, &locking, &TRUST, &LINUX]);
    assert_eq!(locked.code, 0, "{}", locked.shown());
    let run = copy(&stage, &["--from-lock", "--to=ocifile://kit"]);
    assert_eq!(run.code, 0, "{}", run.shown());
    // An installation is for the hardware of its machine, and says what to do.
    let refused = stage.run(&[
        &install,
        &["--from-lock", "--capability=default"],
        &TRUST,
        &LINUX,
    ]);
    assert_eq!(refused.code, 4, "{}", refused.shown());
    assert!(
        refused.stderr.contains("name the entries that you want"),
        "{}",
        refused.shown()
    );
    // A kit's images that are copied into a layout make no kit.
    let again = stage.run(&[&["copy", "ocifile://kit", "ocifile://again"]]);
    assert_eq!(again.code, 0, "{}", again.shown());
    assert!(again.stderr.contains("is no kit"), "{}", again.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tarball_is_not_copied_and_no_policy_is_advised() {
    let stage = stage(NOWHERE).await;
    let sha256 = "a".repeat(64);
    stage.write(
        "index.yaml",
        format!("[{{name: t, uri: 'https://example.org/t.tar', sha256: {sha256}}}]"),
    );
    stage.write(
        "galleries.yaml",
        "galleries: [{name: acme, url: 'file:index.yaml'}]",
    );
    let run = copy(&stage, &["--to=ocifile://kit"]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(
        run.stderr.contains("not an image in a registry"),
        "{}",
        run.shown()
    );
    assert!(!run.stderr.contains("verification"), "{}", run.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_kit_and_what_nothing_proves_is_told() {
    let stage = stage(NOWHERE).await;
    let expect = |run: Run, code: i32, text: &str| {
        assert_eq!(run.code, code, "{}", run.shown());
        assert!(run.stderr.contains(text), "{}", run.shown());
    };
    let done = stage.run(&[
        &["copy", &stage.reference("app:v1"), "ocifile://app"],
        &TRUST,
        &POLICY,
    ]);
    assert_eq!(done.code, 0, "{}", done.shown());
    let from = |kit: &str| stage.run(&[&["install", "--from", kit, "--store=s", "app"]]);
    expect(
        from("ocifile://app"),
        2,
        "expected a kit, found an image layout",
    );
    expect(from("ocifile://nothing"), 6, "there is no kit at ");
    expect(from(&stage.reference("app:v1")), 2, "write ocifile://DIR");
    let to = "--to=ocifile://kit";
    expect(
        copy(&stage, &["--entry=nothing", to]),
        6,
        "no gallery has an image",
    );
    let tagged = format!("--to={}:v1", stage.reference("mirror"));
    expect(copy(&stage, &[&tagged]), 2, "without a tag");
    let galleries = "galleries: [{name: acme, url: 'file:index.yaml'}]";
    stage.write("galleries.yaml", galleries);
    expect(
        copy(&stage, &[to]),
        4,
        "no policy says who must have signed it",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_nothing_is_no_success() {
    let stage = stage(NOWHERE).await;
    // Two entries have an image, of which one is proven.
    let kit = copy(&stage, &["--to=ocifile://kit"]);
    assert!(
        kit.stdout.contains("1 of 2 images copied"),
        "{}",
        kit.shown()
    );
    let mirror = stage.reference("mirror").replace(":latest", "");
    let most = stage.run(&[&["copy", "ocifile://kit", &mirror]]);
    assert_eq!(most.code, 0, "{}", most.shown());
    let note = "the kit has no images of other\n";
    assert!(most.stderr.contains(note), "{}", most.shown());

    let refused = copy(&stage, &["--entry=other", "--to=ocifile://none"]);
    assert_eq!(refused.code, 4, "{}", refused.shown());
    let none = stage.run(&[&["copy", "ocifile://none", &mirror]]);
    assert_eq!(none.code, 6, "{}", none.shown());
    let says = "there is no image to copy";
    assert!(none.stderr.contains(says), "{}", none.shown());

    stage.write(
        "index.yaml",
        "[{name: either, capabilities: {default: app}}]",
    );
    let empty = copy(&stage, &["--to=ocifile://empty"]);
    assert_eq!(empty.code, 6, "{}", empty.shown());
    assert!(
        empty.stderr.contains("there is no image to copy"),
        "{}",
        empty.shown()
    );
    assert!(!stage.path("empty").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_entry_is_told_whatever_else_fails() {
    let stage = stage(NOWHERE).await;
    stage.write("index.yaml", "[{name: wrong, uri: 'nothing://'}]");
    let run = copy(
        &stage,
        &["--entry=wrong", "--entry=rwong", "--to=ocifile://kit"],
    );
    assert!(run.stderr.contains("the name `rwong`"), "{}", run.shown());
    assert_ne!(run.code, 0, "{}", run.shown());
}
