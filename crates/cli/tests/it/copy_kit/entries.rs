//! Which entries a kit has an image of, and what is said of each.

use std::fs;

use serde_json::{Value, json};

use super::{LINUX, stage};
use crate::stage::{RELEASE, STRANGER, Stage, TRUST};

fn copied(stage: &Stage, with: &[&str]) -> Value {
    let copy = ["copy", "--gallery=galleries.yaml", "--output=json"];
    stage.run(&[&copy, &TRUST, with]).json()
}

fn shown(stage: &Stage) -> Value {
    let show = ["gallery", "show", "--output=json", "ocifile://kit"];
    stage.run(&[&show]).json()["kit"].clone()
}

/// A gallery of one entry, `app`, that was locked by installing it for these platforms.
async fn locked(platforms: &[&str]) -> Stage {
    let stage =
        stage(|stage| format!("[{{name: app, uri: '{}'}}]", stage.reference("app:v1"))).await;
    for platform in platforms {
        let store = format!("--store={}", platform.replace('/', "-"));
        let install = ["install", "--gallery=galleries.yaml", "--lock", "app"];
        let run = stage.run(&[&install, &TRUST, &["--platform", platform, &store]]);
        assert_eq!(run.code, 0, "{}", run.shown());
    }
    stage
}

/// A kit of some platforms has the whole index.
#[tokio::test(flavor = "multi_thread")]
async fn a_kit_is_shown_with_the_platforms_that_it_has() {
    let stage = locked(&[]).await;
    for (with, platforms) in [
        (&["--platform=linux/arm64"][..], &["linux/arm64"][..]),
        (&[], &["linux/amd64", "linux/arm64"]),
    ] {
        copied(&stage, &[with, &["--to=ocifile://kit"]].concat());
        assert_eq!(shown(&stage)["platforms"], json!(platforms));
    }
    let run = stage.run(&[&["gallery", "show", "ocifile://kit"]]);
    let says = "  its images are for linux/amd64, linux/arm64\n";
    assert!(run.stdout.contains(says), "{}", run.shown());
}

/// The index has another tag by the time that the kit is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_kit_that_was_made_by_a_lock_file_has_what_that_has() {
    let stage = locked(&["linux/amd64"]).await;
    let moved = format!("[{{name: app, uri: '{}'}}]", stage.reference("app:stable"));
    stage.write("index.yaml", moved);
    let document = copied(&stage, &["--from-lock", "--to=ocifile://kit"]);
    assert_eq!(
        document["results"].as_array().unwrap().len(),
        1,
        "{document}"
    );
    fs::remove_file(stage.path("countersign.lock")).unwrap();

    let kit = shown(&stage);
    assert_eq!((&kit["has"], &kit["lacks"]), (&json!(["app"]), &json!([])));
    let install = ["install", "--from=ocifile://kit", "--store=two", "app"];
    let installed = stage.run(&[&install, &LINUX]);
    assert_eq!(installed.code, 0, "{}", installed.shown());
    let again = stage.run(&[
        &["copy", "--output=json", "ocifile://kit"],
        &[&*stage.reference("again")],
    ]);
    assert_eq!(again.code, 0, "{}", again.shown());
    assert_eq!(again.json()["results"][0]["name"], "app");
    let digest = stage.index.digest().to_string();
    let copy = again.json()["results"][0]["copy"].to_string();
    assert!(copy.contains(&digest), "{copy}");
}

/// What the kit lists by the name is signed, and not what its lock file pins: the kit's digest covers the lock file, and not
/// the list.
#[tokio::test(flavor = "multi_thread")]
async fn a_kit_s_lock_file_says_which_image_is_copied() {
    let stage = locked(&["linux/amd64"]).await;
    copied(&stage, &["--from-lock", "--to=ocifile://kit"]);
    let pinned = stage.index.digest().to_string();

    let other = crate::stage::image("linux/amd64").push(&stage.registry, "app", Some("v1"));
    stage.signed("app:v1", RELEASE);
    copied(&stage, &["--to=ocifile://other"]);
    let name = stage.reference("app:v1");
    let read = |kit: &str| -> Value {
        serde_json::from_slice(&fs::read(stage.path(kit).join("index.json")).unwrap()).unwrap()
    };
    let is_named = |one: &&mut Value| one.to_string().contains(&name);
    let (mut index, mut listed) = (read("kit"), read("other"));
    let find = |index: &mut Value| -> Value {
        let all = index["manifests"].as_array_mut().unwrap();
        all.iter_mut().find(is_named).unwrap().clone()
    };
    let (own, newer) = (find(&mut index), find(&mut listed));
    assert_eq!(
        (&own["digest"], &newer["digest"]),
        (&json!(pinned), &json!(other.to_string()))
    );
    for one in index["manifests"].as_array_mut().unwrap() {
        if *one == own {
            *one = newer.clone();
        }
    }
    for one in fs::read_dir(stage.path("other/blobs/sha256")).unwrap() {
        let one = one.unwrap();
        let to = stage.path("kit/blobs/sha256").join(one.file_name());
        fs::copy(one.path(), to).unwrap();
    }
    fs::write(stage.path("kit/index.json"), index.to_string()).unwrap();

    let again = stage.run(&[
        &["copy", "--output=json", "ocifile://kit"],
        &[&*stage.reference("again")],
    ]);
    let copy = again.json()["results"][0]["copy"].to_string();
    assert!(copy.contains(&pinned), "{}", again.shown());
}

/// The lock file pins more platforms than the kit was made for.
#[tokio::test(flavor = "multi_thread")]
async fn a_kit_of_one_platform_is_copied_for_that_alone() {
    let stage = locked(&["linux/amd64", "linux/arm64"]).await;
    let made = [
        "--from-lock",
        "--platform=linux/amd64",
        "--to=ocifile://kit",
    ];
    let made = copied(&stage, &made);
    assert_eq!(made["error"], Value::Null, "{made}");
    let again = stage.run(&[
        &["copy", "--output=json", "--platform=linux/amd64"],
        // The registry of these tests wants all that an index lists.
        &["ocifile://kit", "ocifile://again"],
    ]);
    assert_eq!(again.code, 0, "{}", again.shown());
    let results = again.json()["results"].as_array().unwrap().len();
    assert_eq!(results, 1, "{}", again.shown());
}

/// Its mirror is the image of another entry, which is in the kit.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_was_not_copied_is_not_in_a_kit_for_the_image_of_another() {
    let stage = stage(|stage| {
        let (app, other) = (stage.reference("app:v1"), stage.reference("other:v1"));
        format!("[{{name: app, uri: '{app}'}}, {{name: other, uri: '{other}', mirrors: ['{app}']}}, {{name: none}}]")
    })
    .await;
    crate::stage::image("linux/riscv64").push(&stage.registry, "other", Some("v1"));
    stage.signed("other:v1", STRANGER);
    copied(&stage, &["--to=ocifile://kit"]);
    let kit = shown(&stage);
    assert_eq!(
        (&kit["has"], &kit["lacks"]),
        (&json!(["app"]), &json!(["other"]))
    );
    // The same is said where it is copied.
    let again = stage.run(&[&["copy", "ocifile://kit"], &[&*stage.reference("again")]]);
    assert_eq!(again.code, 0, "{}", again.shown());
    assert!(
        again.stderr.contains("the kit has no images of other\n"),
        "{}",
        again.shown()
    );
    assert!(
        again.stdout.contains("1 of 1 image copied"),
        "{}",
        again.shown()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_entry_is_named_whichever_image_it_has() {
    let stage = stage(|stage| {
        let app = stage.reference("app:v1");
        format!("[{{name: app, uri: '{app}'}}, {{name: same, uri: '{app}'}}]")
    })
    .await;
    let document = copied(&stage, &["--to=ocifile://kit"]);
    let results = document["results"].as_array().unwrap();
    assert_eq!(results.len(), 1, "{document}");
    assert_eq!(
        (&results[0]["name"], &results[0]["also"]),
        (&json!("app"), &json!(["same"]))
    );
    let copy = ["copy", "--gallery=galleries.yaml", "--to=ocifile://two"];
    let run = stage.run(&[&copy, &TRUST]);
    assert!(
        run.stdout.contains("copied app (also same): "),
        "{}",
        run.shown()
    );
    // Of two galleries, each has its own.
    let policy = stage.policy(RELEASE).replace('\n', "\n    ");
    let gallery = |name: &str, policy: &str| {
        format!("  - name: {name}\n    url: file:index.yaml\n    {policy}\n")
    };
    let both = gallery("open", "") + &gallery("acme", &policy);
    stage.write("galleries.yaml", format!("galleries:\n{both}"));
    let run = stage.run(&[&copy[..2], &["--to=ocifile://three"], &TRUST]);
    assert_eq!(run.code, 4, "{}", run.shown());
    assert!(
        run.stderr
            .contains("open@app: no policy says who must have signed it"),
        "{}",
        run.shown()
    );
    assert!(
        run.stdout.contains("copied acme@app (also acme@same): "),
        "{}",
        run.shown()
    );
    let run = stage.run(&[&copy, &TRUST, &["--entry=app,same"]]);
    assert!(
        run.stderr.contains("`--entry A --entry B`"),
        "{}",
        run.shown()
    );
}

/// The paths are those of layouts, written as other programs have them.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_no_destination_is_answered_with_one_that_is() {
    let stage = Stage::new().await;
    let image = stage.reference("app:v1");
    for (destination, expected) in [
        (
            "lay2",
            "for a layout in the directory lay2 write ocifile://lay2",
        ),
        (
            "zz/",
            "for a layout in the directory zz/ write ocifile://zz/",
        ),
        (
            "registry.example.org/acme/",
            "for a registry leave out the slash at the end",
        ),
        (
            "x.tar",
            "for a layout in the archive x.tar write ocifile://x.tar",
        ),
        ("ocifile://new.tar.gz", "write ocifile://FILE.tar"),
    ] {
        let run = stage.run(&[&["copy", "--policy=policy.yaml", &image, destination]]);
        assert_eq!(run.code, 2, "{}", run.shown());
        assert!(run.stderr.contains(expected), "{}", run.shown());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_locked_for_several_platforms_of_one_index_is_copied_once() {
    let stage = locked(&["linux/amd64", "linux/arm64"]).await;
    let made = copied(&stage, &["--from-lock", "--to=ocifile://kit"]);
    assert_eq!(made["results"].as_array().unwrap().len(), 1, "{made:#}");
    let again = stage.run(&[
        &["copy", "--output=json", "ocifile://kit"],
        &[&*stage.reference("again")],
    ]);
    assert_eq!(again.code, 0, "{}", again.shown());
    let again = again.json();
    assert_eq!(again["results"].as_array().unwrap().len(), 1, "{again:#}");
    let copy = ["copy", "--gallery=galleries.yaml", "--to=ocifile://kit"];
    let run = stage.run(&[&copy, &TRUST]);
    let says = "the kit that is there locks app, and this run has no --from-lock";
    assert!(run.stderr.contains(says), "{}", run.shown());

    // Each of them has to be proven as it is locked.
    let lock = fs::read_to_string(stage.path("countersign.lock")).unwrap();
    let arm64 = lock.find("linux/arm64").unwrap();
    let (amd64, arm64) = lock.split_at(arm64);
    let other = arm64.replace(RELEASE, STRANGER);
    assert_ne!(arm64, other);
    stage.write("countersign.lock", format!("{amd64}{other}"));
    let refused = stage.run(&[
        &["copy", "--gallery=galleries.yaml", "--from-lock"],
        &TRUST,
        &["--to=ocifile://other"],
    ]);
    assert_eq!(refused.code, 4, "{}", refused.shown());
}

/// An entry may have one image of the index that another entry has.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_the_index_of_another_entry_lists_is_in_a_kit() {
    let stage = stage(|stage| {
        let (app, one) = (stage.reference("app:v1"), stage.reference("app:one"));
        format!("[{{name: app, uri: '{app}'}}, {{name: one, uri: '{one}'}}]")
    })
    .await;
    stage.index.images()[0].push(&stage.registry, "app", Some("one"));
    stage.signed("app:one", RELEASE);
    let made = copied(&stage, &["--to=ocifile://kit"]);
    assert_eq!(made["results"].as_array().unwrap().len(), 2, "{made:#}");
    for name in ["app", "one"] {
        let install = ["install", "--from=ocifile://kit", "--store=store", name];
        let run = stage.run(&[&install, &LINUX]);
        assert_eq!(run.code, 0, "{name}: {}", run.shown());
    }
    let again = stage.reference("again");
    let run = stage.run(&[&["copy", "ocifile://kit", &again]]);
    assert_eq!(run.code, 0, "{}", run.shown());
    assert!(
        run.stdout.contains("2 of 2 images copied"),
        "{}",
        run.shown()
    );
}

/// `install` takes the first of a name.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_entry_of_one_name_is_not_copied() {
    let stage = stage(|stage| {
        let (app, other) = (stage.reference("app:v1"), stage.reference("other:v1"));
        format!("[{{name: app, uri: '{app}'}}, {{name: app, uri: '{other}'}}]")
    })
    .await;
    crate::stage::image("linux/riscv64").push(&stage.registry, "other", Some("v1"));
    stage.signed("other:v1", RELEASE);
    let made = copied(&stage, &["--to=ocifile://kit"]);
    let results = made["results"].as_array().unwrap();
    assert_eq!(results.len(), 1, "{made:#}");
    assert_eq!(
        results[0]["reference"],
        stage.reference("app:v1"),
        "{made:#}"
    );
}
