//! What anybody may attach to an image keeps it from being copied nowhere, and takes nothing away.

use countersign_sandbox::{Effect, Fault};
use countersign_sign::NotCopied;

use super::*;

/// A registry that takes an index only behind what it lists.
async fn destination(referrers_api: bool) -> RegistryServer {
    let options = RegistryOptions {
        referrers_api,
        ..RegistryOptions::default()
    };
    RegistryServer::start(options).await.unwrap()
}

impl Stage {
    /// Attaches a manifest with these layers to the image.
    fn attach(&self, subject: &Descriptor, layers: &[Descriptor]) -> Descriptor {
        let attached = Image::artifact("application/x").subject(subject.clone());
        let mut manifest = attached.build().manifest().clone();
        manifest.layers = layers.to_vec();
        let registry = &self.registry;
        registry.put_blob(PATH, "{}");
        let bytes = serde_json::to_string(&manifest).unwrap();
        let descriptor = Descriptor::of(media_type::OCI_MANIFEST, bytes.as_bytes());
        registry.put_manifest(PATH, media_type::OCI_MANIFEST, bytes, None);
        descriptor
    }

    /// Attaches an index with these entries. It is listed behind `before`, by its digest.
    fn attach_index(
        &self,
        subject: &Descriptor,
        entries: &serde_json::Value,
        before: Option<&Descriptor>,
    ) -> Digest {
        for remark in 0.. {
            let index = json!({
                "schemaVersion": 2,
                "mediaType": media_type::OCI_INDEX,
                "manifests": entries,
                "subject": subject,
                "annotations": {"remark": remark.to_string()},
            });
            let index = index.to_string();
            let digest = Digest::sha256(index.as_bytes());
            if before.is_none_or(|before| before.digest.to_string() < digest.to_string()) {
                self.registry
                    .put_manifest(PATH, media_type::OCI_INDEX, index, None);
                return digest;
            }
        }
        unreachable!("some remark makes a larger digest");
    }

    async fn copy_to_registry(&self, other: &RegistryServer) -> CopiedImage {
        let repository = other.repository("mirror");
        let place = CopyPlace::Repository {
            repository: &repository,
            tag: None,
        };
        self.write(place, &client()).await.unwrap()
    }
}

fn left(copied: &CopiedImage) -> Vec<String> {
    let names = copied.not_copied.iter();
    let mut names: Vec<String> = names.map(|one: &NotCopied| one.name.clone()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_left_out_with_what_it_lists_in_whatever_order_they_are_found() {
    let stage = Stage::new().await;
    let image = stage.one_image();
    stage.sign().await.unwrap();
    stage.registry.put_blob(PATH, "content");
    let mut layer = Descriptor::of("application/x", b"content");
    layer.size += 1;
    let subject = image.descriptor();
    let listed = stage.attach(&subject, &[layer]);
    let index = stage.attach_index(&subject, &json!([listed]), Some(&listed));
    let copied = stage.copy_to_registry(&destination(true).await).await;
    let mut expected = vec![listed.digest.to_string(), index.to_string()];
    expected.sort();
    assert_eq!(left(&copied), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attached_index_with_an_entry_that_can_not_be_copied_is_left_out() {
    let stage = Stage::new().await;
    let image = stage.one_image();
    stage.sign().await.unwrap();
    let subject = image.descriptor();
    let unknown =
        json!([{"mediaType": media_type::OCI_MANIFEST, "digest": "blake3:00", "size": 1}]);
    let unreadable = stage.attach_index(&subject, &unknown, None);
    let tag = format!("sha256-{}.sbom", image.digest().hex());
    stage.registry.tag(PATH, &tag, &unreadable);
    let name = format!("{}:{tag}", stage.registry.repository(PATH));
    let missing = Descriptor::of(media_type::OCI_MANIFEST, b"missing");
    let lacking = stage.attach_index(&subject, &json!([missing]), None);
    let other = destination(true).await;
    let copied = stage.copy_to_registry(&other).await;
    let mut expected = [name, missing.digest.to_string(), lacking.to_string()];
    expected.sort();
    assert_eq!(left(&copied), expected);
    let there = other.manifests("mirror");
    assert!(!there.contains(&unreadable) && !there.contains(&lacking));
    assert!(there.contains(&image.digest()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_refers_to_another_is_listed_when_it_is_the_images_turn() {
    let stage = Stage::new().await;
    let built = image("linux/amd64");
    built.push(&stage.registry, PATH, None);
    let listed = Image::artifact("application/vnd.in-toto+json").subject(built.descriptor());
    let listed = listed.build();
    listed.push(&stage.registry, PATH, None);
    let members = vec![built.descriptor(), listed.descriptor()];
    let outer = stage.put_index(members, Some("v1"));
    stage.sign().await.unwrap();

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layout");
    let layout = LayoutPath::new(&path).unwrap();
    let draft = LayoutDraft::begin(&layout).await.unwrap();
    let stranger = client().seeing(draft.clone()).unwrap();
    let place = CopyPlace::Layout {
        draft: &draft,
        name: None,
    };
    let other_image = async {
        let turn = draft.turn().await;
        while !blob(&path, &outer.digest).exists() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        // It is not proven.
        drop(turn);
    };
    let ((), copied) = tokio::join!(other_image, stage.write(place, &stranger));
    copied.unwrap();
    let subject = countersign_oci::Location::from(layout).at(built.digest());
    let referrers = client().referrers(&subject).await.unwrap();
    assert!(referrers.iter().any(|one| one.digest == listed.digest()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_refuses_a_list_before_the_image_gets_it_behind() {
    let stage = Stage::new().await;
    let image = stage.one_image();
    stage.sign().await.unwrap();
    let other = destination(false).await;
    let list = format!(
        "PUT /v2/mirror/manifests/{}",
        image.digest().referrers_tag()
    );
    other.add_fault(Fault::on(&list, Effect::status(400)).times(1));
    let copied = stage.copy_to_registry(&other).await;
    assert_eq!(copied.attached, 1);
    let subject = other.repository("mirror").at(image.digest());
    assert_eq!(client().referrers(&subject).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_any_number_of_sizes_of_one_blob_few_are_tried() {
    let stage = Stage::new().await;
    let image = stage.one_image();
    stage.sign().await.unwrap();
    stage.registry.put_blob(PATH, "content");
    let right = Descriptor::of("application/x", b"content");
    let of_size = |size| {
        let mut wrong = right.clone();
        wrong.size = size;
        wrong
    };
    let wrong: Vec<Descriptor> = (1..60)
        .filter(|size| *size != right.size)
        .map(of_size)
        .collect();
    let wrong = stage.attach(&image.descriptor(), &wrong);
    let right_one = stage.attach(&image.descriptor(), std::slice::from_ref(&right));
    stage.registry.reset_requests();
    let other = destination(true).await;
    let copied = stage.copy_to_registry(&other).await;
    assert_eq!(left(&copied), [wrong.digest.to_string()]);
    assert!(other.manifests("mirror").contains(&right_one.digest));
    let line = format!("GET /v2/{PATH}/blobs/{}", right.digest);
    let requests = stage.registry.requests();
    let asked = requests.iter().filter(|request| request.line() == line);
    let asked = asked.count();
    assert!(asked <= 3, "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_is_full_at_the_destination_is_told() {
    let stage = Stage::new().await;
    let image = stage.one_image();
    let signer = stage.signer_by(RekorVersion::V1);
    let signer = signer.with_formats(WrittenFormats::Both);
    stage.sign_with(&signer).await.unwrap();
    let other = destination(true).await;
    let junk: Vec<Descriptor> = (0..64)
        .map(|number| Descriptor::of("application/x", format!("{number}").as_bytes()))
        .collect();
    other.put_blob("mirror", "{}");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": Descriptor::of("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": junk,
    });
    let tag = format!("sha256-{}.sig", image.digest().hex());
    let media_type = media_type::OCI_MANIFEST;
    other.put_manifest("mirror", media_type, manifest.to_string(), Some(&tag));
    let copied = stage.copy_to_registry(&other).await;
    let [NotCopied { name, .. }] = copied.not_copied.as_slice() else {
        panic!("expected one tag, found {copied:?}");
    };
    assert!(name.ends_with(&tag), "{name}");
}
