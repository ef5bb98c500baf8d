//! Kits of several images: where they are from, and what an index in a kit may name.

mod damaged;
mod entries;
mod hints;

use std::fs;
use std::time::Duration;

use countersign_oci::{Digest, LayoutDraft, LayoutPath};
use countersign_sandbox::image::{Compression, Image, Layer};
use countersign_sandbox::{Effect, Fault};
use serde_json::Value;

use crate::copy_layout::waiting_for;
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
        run.stdout.contains("0 of 1 image copied"),
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

/// The copy of one image ends in the middle of a layer that others have too. They are in the kit all the same, whole.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_fails_takes_no_other_out_of_a_kit() {
    let names: Vec<String> = (0..6).map(|number| format!("e{number}")).collect();
    let stage = stage(|stage| {
        let entry = |name: &String| {
            let uri = stage.reference(&format!("{name}:v1"));
            format!("- {{name: {name}, uri: '{uri}'}}\n")
        };
        names.iter().map(entry).collect()
    })
    .await;
    let shared = Layer::builder().file("bin/sh", "shell", 0o755);
    let shared = shared.build(Compression::Gzip);
    let (mut slow, mut missing) = (String::new(), String::new());
    for name in &names {
        let own = Layer::builder().file("bin/own", name, 0o755);
        let image = Image::builder("linux/amd64".parse().unwrap())
            .layer(shared.clone())
            .layer(own.build(Compression::Gzip))
            .build();
        image.push(&stage.registry, name, Some("v1"));
        stage.signed(&format!("{name}:v1"), RELEASE);
        if let (true, [first, second]) = (name == "e0", image.layers()) {
            slow = format!("GET /v2/*/blobs/{}", Digest::sha256(first));
            missing = format!("GET /v2/e0/blobs/{}", Digest::sha256(second));
        }
    }
    for kit in ["ocifile://kit", "ocifile://kit.tar"] {
        stage.registry.clear_faults();
        let late = Effect::Delay(Duration::from_millis(400));
        stage.registry.add_fault(Fault::on(&slow, late).times(1));
        let gone = Fault::on(&missing, Effect::status(404));
        stage.registry.add_fault(gone);
        let to = format!("--to={kit}");
        let run = stage.run(&[&["copy", "--gallery=galleries.yaml", &to], &TRUST]);
        assert_eq!(run.code, 6, "{}", run.shown());
        let copied = "5 of 6 images copied";
        assert!(run.stdout.contains(copied), "{}", run.shown());
        for name in &names[1..] {
            let store = format!("--store={}", kit.replace("ocifile://", "s-"));
            let install = ["install", "--from", kit, &store, name];
            let installed = stage.run(&[&install, &LINUX]);
            assert_eq!(installed.code, 0, "{}", installed.shown());
        }
    }
    let left = fs::read_dir(stage.path("kit/blobs/sha256")).unwrap();
    let left = left.filter(|one| one.as_ref().unwrap().path().extension().is_some());
    assert_eq!(left.count(), 0, "nothing unfinished stays");
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

/// Whoever can change a kit can give the name of an image to another one of the same signer.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_one_s_own_says_which_image_a_name_means() {
    let index = |stage: &Stage, [app, tool]: [&str; 2]| {
        let (app, tool) = (stage.reference(app), stage.reference(tool));
        format!("[{{name: app, uri: '{app}'}}, {{name: tool, uri: '{tool}'}}]")
    };
    let stage = stage(|stage| index(stage, ["tool:v1", "app:v1"])).await;
    crate::stage::image("linux/amd64").push(&stage.registry, "tool", Some("v1"));
    stage.signed("tool:v1", RELEASE);
    let copy = ["copy", "--gallery=galleries.yaml", "--to=ocifile://kit"];
    let made = stage.run(&[&copy, &TRUST]);
    assert_eq!(made.code, 0, "{}", made.shown());
    stage.write("index.yaml", index(&stage, ["app:v1", "tool:v1"]));
    let own = ["--gallery=galleries.yaml", TRUST[0], TRUST[1]];
    for (own, image, store) in [
        (&[][..], "tool:v1", "--store=kits"),
        (&own[..], "app:v1", "--store=own"),
    ] {
        let install = ["install", "--from=ocifile://kit", store, "app"];
        let run = stage.run(&[&install, &LINUX, own]);
        assert_eq!(run.code, 0, "{}", run.shown());
        let served = format!("the primary, {}\n", stage.reference(image));
        assert!(run.stdout.contains(&served), "{}", run.shown());
    }
    fs::remove_file(stage.path("index.yaml")).unwrap();
    let install = ["install", "--from=ocifile://kit", "--store=lost", "app"];
    let lost = stage.run(&[&install, &LINUX, &own]);
    assert_ne!(lost.code, 0, "{}", lost.shown());
    let says = "an index that is a file is yours and not the kit's";
    assert!(lost.stderr.contains(says), "{}", lost.shown());
    assert!(!stage.path("lost/app").exists());
}

/// What a kit lacks is of that entry alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_kit_that_lacks_a_manifest_has_the_other_images() {
    let stage = stage(|stage| {
        format!(
            "[{{name: app, uri: '{}'}}, {{name: tool, uri: '{}'}}]",
            stage.reference("app:v1"),
            stage.reference("tool:v1"),
        )
    })
    .await;
    let own = Layer::builder().file("bin/tool", "tool", 0o755);
    let own = own.build(Compression::Gzip);
    let tool = Image::builder("linux/amd64".parse().unwrap()).layer(own);
    let tool = tool.build();
    tool.push(&stage.registry, "tool", Some("v1"));
    stage.signed("tool:v1", RELEASE);
    let copy = ["copy", "--gallery=galleries.yaml", "--to=ocifile://kit"];
    let run = stage.run(&[&copy, &TRUST]);
    assert_eq!(run.code, 0, "{}", run.shown());
    // All images of a layout are named, with their digests.
    let run = stage.run(&[&["tree", "ocifile://kit"], &TRUST]);
    assert_eq!(run.code, 2, "{}", run.shown());
    for name in ["app:v1", "tool:v1"] {
        let named = format!("{} (sha256:", stage.reference(name));
        assert!(run.stderr.contains(&named), "{}", run.shown());
    }
    let blob = tool.digest().to_string().replace(':', "/");
    fs::remove_file(stage.path("kit/blobs").join(blob)).unwrap();
    let install = ["install", "--from=ocifile://kit", "--store=store"];
    let run = stage.run(&[&install, &LINUX, &["app"]]);
    assert_eq!(run.code, 0, "{}", run.shown());
    let run = stage.run(&[&install, &LINUX, &["tool"]]);
    assert_eq!(run.code, 6, "{}", run.shown());
    let run = stage.run(&[&install, &LINUX, &["nothing"]]);
    assert!(
        run.stderr.contains("gallery show ocifile://"),
        "{}",
        run.shown()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kit_that_another_run_writes_is_waited_for() {
    let stage =
        stage(|stage| format!("[{{name: app, uri: '{}'}}]", stage.reference("app:v1"))).await;
    let path = LayoutPath::new(&stage.path("kit")).unwrap();
    let busy = LayoutDraft::begin(&path).await.unwrap();
    let copy = ["--gallery=galleries.yaml", "--to=ocifile://kit"];
    let arguments = [&copy[..], &TRUST].concat();
    let (mut run, _stderr) = waiting_for(&stage, &arguments, "ocifile://kit");
    drop(busy);
    assert!(run.wait().unwrap().success());
    let install = ["install", "--from=ocifile://kit", "--store=store", "app"];
    let installed = stage.run(&[&install, &LINUX]);
    assert_eq!(installed.code, 0, "{}", installed.shown());
}

/// Both are a layout that is damaged.
#[tokio::test(flavor = "multi_thread")]
async fn a_kit_without_its_list_fails_as_one_with_a_broken_list() {
    let stage =
        stage(|stage| format!("[{{name: app, uri: '{}'}}]", stage.reference("app:v1"))).await;
    let copy = ["copy", "--gallery=galleries.yaml", "--to=ocifile://kit"];
    let made = stage.run(&[&copy, &TRUST]);
    assert_eq!(made.code, 0, "{}", made.shown());
    let install = ["install", "--from=ocifile://kit", "--store=store", "app"];
    fs::remove_file(stage.path("kit/index.json")).unwrap();
    let missing = stage.run(&[&install, &LINUX]);
    stage.write("kit/index.json", "{");
    let broken = stage.run(&[&install, &LINUX]);
    for run in [missing, broken] {
        assert_eq!(run.code, 5, "{}", run.shown());
        let hint = "copy the image again";
        assert!(run.stderr.contains(hint), "{}", run.shown());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_can_t_be_a_kit_is_told_as_what_it_is() {
    let stage =
        stage(|stage| format!("[{{name: app, uri: '{}'}}]", stage.reference("app:v1"))).await;
    fs::create_dir(stage.path("full")).unwrap();
    stage.write("full/file", "x");
    for (to, says, hint) in [
        (
            "full",
            "the directory is not empty",
            "missing, empty or a layout",
        ),
        (
            "none/kit",
            "the directory above it doesn't exist",
            "make that directory first",
        ),
    ] {
        let to = format!("--to=ocifile://{to}");
        let run = stage.run(&[&["copy", "--gallery=galleries.yaml", &to], &TRUST]);
        assert_eq!(run.code, 2, "{}", run.shown());
        assert!(run.stderr.contains(says), "{}", run.shown());
        assert!(run.stderr.contains(hint), "{}", run.shown());
    }
    let run = stage.run(&[&["install", "--from=../kit", "app"]]);
    assert!(
        run.stderr.contains("write ocifile://../kit"),
        "{}",
        run.shown()
    );
    let run = stage.run(&[
        &["install", "app", "registry.example.org/acme/app:v1"],
        &TRUST,
    ]);
    assert_eq!(run.code, 2, "{}", run.shown());
    assert!(
        run.stderr.contains("name the image first"),
        "{}",
        run.shown()
    );
}
