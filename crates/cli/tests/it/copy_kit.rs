//! Kits of several images: where they are from, and what an index in a kit may name.

use std::fs;

use serde_json::Value;

use crate::stage::{RELEASE, STRANGER, Stage, TRUST};

const LINUX: [&str; 2] = ["--platform", "linux/amd64"];

/// A stage with a gallery of these entries.
async fn stage(index: impl Fn(&Stage) -> String) -> Stage {
    let stage = Stage::new().await;
    stage.signed("app:v1", RELEASE);
    stage.write("index.yaml", index(&stage));
    let policy = stage.policy(RELEASE).replace('\n', "\n    ");
    let galleries = format!("galleries:\n  - name: acme\n    url: file:index.yaml\n    {policy}\n");
    stage.write("galleries.yaml", galleries);
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_copied_from_a_mirror_if_its_registry_is_not_there() {
    let stage = stage(|stage| {
        let mirror = stage.reference("mirror/app:v1");
        format!("[{{name: app, uri: 'gone.invalid/app:v1', mirrors: ['{mirror}']}}]")
    })
    .await;
    let (from, to) = (stage.reference("app:v1"), stage.reference("mirror/app"));
    assert_eq!(stage.copy(&[&from, &to]).code, 0);
    let copy = ["copy", "--gallery=galleries.yaml", "--to=ocifile://kit"];
    let run = stage.run(&[&copy, &TRUST]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(run.stderr.contains("gone.invalid"), "{}", run.shown());
    let install = ["install", "--from=ocifile://kit", "--store=store", "app"];
    let installed = stage.run(&[&install, &LINUX]);
    assert_eq!(installed.code, 0, "{}", installed.shown());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_can_t_choose_what_is_in_a_kit() {
    let stage = stage(|stage| {
        format!(
            "[{{name: app, uri: '{}', mirrors: ['{}']}}]",
            stage.reference("other:v1"),
            stage.reference("app:v1"),
        )
    })
    .await;
    // It is there, and signed by a stranger. The mirror has another image, which is signed by the right one.
    crate::stage::image("linux/riscv64").push(&stage.registry, "other", Some("v1"));
    stage.signed("other:v1", STRANGER);
    let copy = ["copy", "--gallery=galleries.yaml", "--to=ocifile://kit"];
    let run = stage.run(&[&copy, &TRUST]);
    assert_eq!(run.code, 4, "{}", run.shown());
    assert!(
        run.stdout.contains("0 of 1 images copied"),
        "{}",
        run.shown()
    );
}

/// Images that share their content are written into a kit at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn images_of_the_same_content_are_in_a_kit_side_by_side() {
    let tags: Vec<String> = (0..12).map(|number| format!("t{number}")).collect();
    let stage = stage(|stage| {
        let entry = |tag: &String| {
            let uri = stage.reference(&format!("app:{tag}"));
            format!("- {{name: {tag}, uri: '{uri}'}}\n")
        };
        tags.iter().map(entry).collect()
    })
    .await;
    for tag in &tags {
        stage.index.push(&stage.registry, "app", Some(tag));
    }
    for kit in ["ocifile://kit", "ocifile://kit.tar"] {
        let to = format!("--to={kit}");
        let copy = ["copy", "--gallery=galleries.yaml", "--output=json", &to];
        let run = stage.run(&[&copy, &TRUST]);
        assert_eq!(run.code, 0, "{}", run.shown());
        let json: Value = run.json();
        assert_eq!(json["results"].as_array().unwrap().len(), tags.len());
        for (number, tag) in [(0, "t0"), (1, "t11")] {
            let store = format!("--store={}{number}", kit.replace("ocifile://", "s-"));
            let install = ["install", "--from", kit, &store, tag];
            let installed = stage.run(&[&install, &LINUX]);
            assert_eq!(installed.code, 0, "{}", installed.shown());
        }
    }
}

/// Whoever makes a kit does not choose which files of another machine are read.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_in_a_kit_names_no_place_of_the_machine_that_installs() {
    let stage = stage(|stage| {
        let app = stage.reference("app:v1");
        format!(
            "[{{name: app, uri: '{app}'}}, {{name: files, uri: 'file://{0}/secrets'}}, \
             {{name: layout, uri: 'ocifile://{0}/layout'}}, \
             {{name: mirrored, uri: '{app}', mirrors: ['ocifile://{0}/layout']}}]",
            stage.path("").display(),
        )
    })
    .await;
    stage.write("secrets/key", "mine");
    let from = stage.reference("app:v1");
    assert_eq!(stage.copy(&[&from, "ocifile://layout"]).code, 0);
    // Beside the gallery with a policy, the same entries where nothing has to be signed.
    let galleries = fs::read_to_string(stage.path("galleries.yaml")).unwrap();
    let open = "  - name: open\n    url: file:index.yaml\n";
    stage.write("galleries.yaml", galleries.clone() + open);
    let copy = ["copy", "--gallery=galleries.yaml", "--to=ocifile://kit"];
    let made = stage.run(&[&copy, &TRUST, &["--entry=app"]]);
    assert!(stage.path("kit/index.json").exists(), "{}", made.shown());
    for name in ["open@files", "open@layout", "acme@layout", "acme@mirrored"] {
        for own in [&[][..], &["--gallery=galleries.yaml", TRUST[0], TRUST[1]]] {
            let install = ["install", "--from=ocifile://kit", "--store=store", name];
            let run = stage.run(&[&install, &LINUX, own]);
            assert_eq!(run.code, 4, "{name}: {}", run.shown());
            let says = "names a place on this machine";
            assert!(run.stderr.contains(says), "{name}: {}", run.shown());
            assert!(
                run.stderr.contains("the kit (file:index.yaml)"),
                "{}",
                run.shown()
            );
        }
    }
    assert!(!stage.path("store/files").exists());
    // From the file itself, whose user is its maker, it is installed.
    let install = [
        "install",
        "--gallery=galleries.yaml",
        "--store=own",
        "open@files",
    ];
    let own = stage.run(&[&install, &TRUST, &LINUX]);
    assert_eq!(own.code, 0, "{}", own.shown());
    // A registry gets what the kit has.
    let to = stage.reference("mirror");
    let served = stage.run(&[&["copy", "ocifile://kit", &to]]);
    assert_eq!(served.code, 0, "{}", served.shown());
}
