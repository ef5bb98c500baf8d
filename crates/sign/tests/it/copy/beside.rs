//! What a layout lists at a tag of cosign's older forms is left where nothing can be added to it, and that is told.

use countersign_oci::{ListedAs, ResolvedImage};
use countersign_sign::NotCopied;

use super::*;

/// A manifest as it stands at such a tag.
fn manifest(config: &str, layers: &[Descriptor]) -> String {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": Descriptor::of(media_type::OCI_CONFIG, config.as_bytes()),
        "layers": layers,
    });
    manifest.to_string()
}

fn layers(count: usize) -> Vec<Descriptor> {
    let layer = |number: usize| Descriptor::of("application/x", number.to_string().as_bytes());
    (0..count).map(layer).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_can_be_added_to_is_left_in_a_layout_and_told() {
    let stage = Stage::new().await;
    let image = stage.one_image();
    // The bundle proves the copy, whatever stands at the tag.
    let signer = stage.signer_by(RekorVersion::V1);
    let signer = signer.with_formats(WrittenFormats::Both);
    stage.sign_with(&signer).await.unwrap();
    let registry = &stage.registry;
    for blob in ["{}", "an SBOM"] {
        registry.put_blob(PATH, blob);
    }
    let sbom = manifest("{}", &[Descriptor::of("application/x", b"an SBOM")]);
    let sbom_tag = format!("sha256-{}.sbom", image.digest().hex());
    registry.put_manifest(PATH, media_type::OCI_MANIFEST, sbom, Some(&sbom_tag));
    let rows = [
        // The tag, the configuration of what is listed there, the one that the layout has, how many layers, what is said.
        ("sig", "{}", Some("{}"), 64, "is full"),
        ("sig", "no JSON", Some("no JSON"), 1, "can't be read"),
        ("sig", "{ }", None, 1, "it does not contain"),
        ("sbom", "{}", Some("{}"), 1, "the layout has another one"),
    ];
    for (kind, config, there, count, reason) in rows {
        let directory = tempfile::tempdir().unwrap();
        let path = LayoutPath::new(&directory.path().join("layout")).unwrap();
        let location = Location::from(path.clone());
        let theirs = manifest(config, &layers(count));
        let theirs = ResolvedImage::from_bytes(&location, theirs.into(), None).unwrap();
        let tag = format!("sha256-{}.{kind}", image.digest().hex());
        let draft = LayoutDraft::begin(&path).await.unwrap();
        if let Some(config) = there {
            let digest = Digest::sha256(config.as_bytes());
            draft.put(&digest, config.into()).await.unwrap();
        }
        draft.put_document(&theirs).await.unwrap();
        let turn = draft.turn().await;
        turn.list(&theirs, media_type::OCI_MANIFEST, ListedAs::Tag(&tag));
        turn.stage().unwrap();
        turn.accept().await.unwrap();
        drop(turn);
        let stranger = client().seeing(draft.clone()).unwrap();
        let place = CopyPlace::Layout {
            draft: &draft,
            name: None,
        };
        let copied = stage.write(place, &stranger).await.unwrap();
        let [NotCopied { name, reason: said }] = copied.not_copied.as_slice() else {
            panic!("{kind} {config}: expected one tag, found {copied:?}");
        };
        assert_eq!(*name, tag);
        assert!(said.contains(reason), "{kind} {config}: {said}");
        assert_eq!(draft.listed_at(&tag).as_ref(), Some(theirs.digest()));
        let listed = location.at(theirs.digest().clone());
        let listed = client().manifest(&listed).await.unwrap();
        assert_eq!(listed.bytes(), theirs.bytes(), "{kind} {config}");
    }
}
