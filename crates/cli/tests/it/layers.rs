//! `sign` looks at the layers beside signing, and warns of what `install` refuses.

use countersign_oci::{Digest, Platform, media_type};
use countersign_sandbox::image::{Compression, Entry, EntryKind, Image, ImageIndex, Layer};
use countersign_sandbox::{Effect, Fault};
use serde_json::json;

use crate::stage::{Stage, image};

/// An image for arm64 with an entry that leaves the root, in its second layer.
fn escaping() -> Image {
    let base = Layer::builder().file("bin/app", "app", 0o755);
    let outside = Layer::builder().entry(Entry::new(EntryKind::File, "../outside").content("x"));
    Image::builder("linux/arm64".parse::<Platform>().unwrap())
        .layer(base.build(Compression::Gzip))
        .layer(outside.build(Compression::Gzip))
        .build()
}

/// An index with that image and a good one, at `app:bad`. Returns the bad one.
fn push(stage: &Stage) -> Image {
    let bad = escaping();
    let index = ImageIndex::new(vec![image("linux/amd64"), bad.clone()]);
    index.push(&stage.registry, "app", Some("bad"));
    bad
}

#[tokio::test]
async fn the_first_entry_that_install_refuses_is_warned_of_and_the_image_signed() {
    let stage = Stage::new().await;
    let digest = push(&stage).digest();
    let app = stage.reference("app:bad");
    let run = stage.sign(&["--identity-token", "@token", &app]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let warnings: Vec<&str> = run.stderr.lines().collect();
    let [warning] = warnings.as_slice() else {
        panic!("expected one warning, found {}", run.stderr);
    };
    let about = format!(
        "warning: `install` will refuse {}: ",
        stage.reference(&format!("app@{digest}"))
    );
    assert!(warning.starts_with(&about), "{warning}");
    assert!(warning.contains("../outside"), "{warning}");

    let run = stage.sign(&["--identity-token", "@token", "--output", "json", &app]);
    let json = run.json();
    assert_eq!(json["results"].as_array().unwrap().len(), 3);
    let said = json["warnings"][0].as_str().unwrap();
    assert_eq!(format!("warning: {said}"), *warning);
    assert_eq!(json["layers_not_checked"], json!([]));

    // It is right.
    let platform = ["--platform", "linux/arm64"];
    let install = stage.run(&[
        &["install"],
        &crate::stage::TRUST,
        &crate::stage::POLICY,
        &platform,
        &[&app, "here"],
    ]);
    assert_eq!(install.code, 5, "{}", install.stderr);
    assert!(install.stderr.contains("../outside"), "{}", install.stderr);
}

#[tokio::test]
async fn layers_are_looked_at_where_they_are_small_enough_and_that_is_wanted() {
    let stage = Stage::new().await;
    // Two MiB that don't compress.
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(2 << 20)
    .collect();
    let layer = Layer::builder()
        .file("noise", noise, 0o644)
        .entry(Entry::new(EntryKind::File, "../outside").content("x"))
        .build(Compression::Gzip);
    let large = Image::builder("linux/amd64".parse::<Platform>().unwrap())
        .layer(layer)
        .build();
    large.push(&stage.registry, "app", Some("large"));
    let app = stage.reference("app:large");
    let sign = |flags: &[&str]| {
        let common = ["--identity-token", "@token", "--output", "json", &app];
        let json = stage.sign(&[&common[..], flags].concat()).json();
        let warnings = json["warnings"].as_array().unwrap().len();
        (warnings, json["layers_not_checked"].clone())
    };
    assert_eq!(sign(&[]), (1, json!([])));
    assert_eq!(sign(&["--check-layers", "3"]), (1, json!([])));
    let not_checked = json!([large.digest().to_string()]);
    assert_eq!(sign(&["--check-layers", "1"]), (0, not_checked));

    stage.registry.reset_requests();
    assert_eq!(sign(&["--check-layers", "0"]), (0, json!([])));
    let layer = Digest::sha256(&large.layers()[0]);
    let layer = format!("GET /v2/app/blobs/{layer}");
    let requests = stage.registry.requests();
    assert!(!requests.iter().any(|request| request.line() == layer));
}

#[tokio::test]
async fn layers_that_do_not_come_keep_no_signature_from_being_told() {
    let stage = Stage::new().await;
    let image = image("linux/amd64");
    image.push(&stage.registry, "app", Some("stalls"));
    let line = format!("GET /v2/app/blobs/{}", Digest::sha256(&image.layers()[0]));
    let fault = Fault::on(&line, Effect::Stall { after: 1 });
    stage.registry.add_fault(fault);
    let app = stage.reference("app:stalls");
    let flags = ["--identity-token", "@token", "--output", "json", &app];
    let run = stage.sign(&[&flags[..], &["--timeout", "8s"]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let json = run.json();
    assert_eq!(json["results"].as_array().unwrap().len(), 1);
    assert_eq!(json["warnings"], json!([]));
    let not_checked = json!([image.digest().to_string()]);
    assert_eq!(json["layers_not_checked"], not_checked);
}

#[tokio::test]
async fn images_of_an_index_within_an_index_are_looked_at() {
    let stage = Stage::new().await;
    let bad = escaping();
    let inner = ImageIndex::new(vec![bad.clone()]);
    inner.push(&stage.registry, "app", None);
    let outer = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": [inner.descriptor()],
    });
    let outer = outer.to_string().into_bytes();
    let registry = &stage.registry;
    registry.put_manifest("app", media_type::OCI_INDEX, outer, Some("outer"));
    let app = stage.reference("app:outer");
    let run = stage.sign(&["--identity-token", "@token", "--output", "json", &app]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let warning = run.json()["warnings"][0].as_str().unwrap().to_owned();
    let bad = stage.reference(&format!("app@{}", bad.digest()));
    let about = format!("`install` will refuse {bad}: ");
    assert!(warning.starts_with(&about), "{warning}");
}
