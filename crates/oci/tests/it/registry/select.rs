//! Which child of an index is for a platform, as a registry serves it.

use countersign_oci::{
    Descriptor, Digest, Error, ManifestError, Platform, ResolvedImage, Selected, media_type,
};
use countersign_sandbox::image::{Flavour, Image};
use countersign_sandbox::{RegistryOptions, RegistryServer};
use serde_json::{Value, json};

use super::common::client;

mod entries;

const PATH: &str = "a/b";

struct Scene {
    server: RegistryServer,
}

impl Scene {
    async fn new() -> Self {
        Self {
            server: RegistryServer::start(RegistryOptions::default())
                .await
                .unwrap(),
        }
    }

    /// Pushes an image whose configuration is for `platform`, and gives its descriptor without one.
    fn image(&self, platform: &str) -> Value {
        let image = Image::builder(platform.parse().unwrap()).build();
        image.push(&self.server, PATH, None);
        let mut descriptor = serde_json::to_value(image.descriptor()).unwrap();
        descriptor.as_object_mut().unwrap().remove("platform");
        descriptor
    }

    /// Pushes an index of `children` as `media_type`, and gives its descriptor.
    fn index_as(&self, media_type: &str, children: &[Value]) -> Value {
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": children });
        let bytes = serde_json::to_vec(&index).unwrap();
        self.server
            .put_manifest(PATH, media_type, bytes.clone(), Some("t"));
        serde_json::to_value(Descriptor::of(media_type, &bytes)).unwrap()
    }

    fn index(&self, children: &[Value]) -> Value {
        self.index_as(media_type::OCI_INDEX, children)
    }

    /// The index that was pushed last.
    async fn resolved(&self) -> ResolvedImage {
        let reference = self.server.reference(&format!("{PATH}:t")).unwrap();
        client().resolve(&reference).await.unwrap()
    }

    /// What is selected of the index that was pushed last.
    async fn select(&self, platform: &str) -> Result<Selected, Error> {
        client()
            .select(&self.resolved().await, &parsed(platform))
            .await
    }

    async fn selected(&self, platform: &str) -> String {
        let selected = self.select(platform).await;
        selected.unwrap().manifest.digest().to_string()
    }

    fn documents_asked_for(&self) -> usize {
        let requests = self.server.requests();
        let asked = requests.iter().filter(|r| r.path.contains("sha256:"));
        asked.count()
    }
}

fn parsed(platform: &str) -> Platform {
    platform.parse().unwrap()
}

/// `descriptor` with a platform.
fn of(mut descriptor: Value, platform: Value) -> Value {
    descriptor["platform"] = platform;
    descriptor
}

fn linux(architecture: &str) -> Value {
    json!({ "os": "linux", "architecture": architecture })
}

fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().unwrap()
}

#[tokio::test]
async fn a_child_that_names_the_platform_needs_no_configuration() {
    let scene = Scene::new().await;
    let (amd64, arm64) = (scene.image("linux/amd64"), scene.image("linux/arm64"));
    scene.index(&[
        of(amd64, linux("amd64")),
        of(arm64.clone(), linux("aarch64")),
    ]);
    assert_eq!(scene.selected("linux/arm64").await, digest(&arm64));
    assert_eq!(scene.documents_asked_for(), 1);
}

#[tokio::test]
async fn the_configuration_tells_where_the_index_does_not() {
    let scene = Scene::new().await;
    let (amd64, arm64) = (scene.image("linux/amd64"), scene.image("linux/arm64"));
    let shapes = [
        (amd64.clone(), arm64.clone()),
        (of(amd64.clone(), Value::Null), of(arm64.clone(), json!({}))),
        (
            of(amd64.clone(), json!({ "architecture": "amd64" })),
            of(
                arm64.clone(),
                json!({ "architecture": "arm64", "os": "", "variant": "" }),
            ),
        ),
    ];
    for (first, second) in shapes {
        scene.index(&[first, second]);
        assert_eq!(scene.selected("linux/amd64").await, digest(&amd64));
        assert_eq!(scene.selected("linux/arm64").await, digest(&arm64));
        let Err(Error::Platform(error)) = scene.select("linux/s390x").await else {
            panic!("selected");
        };
        assert_eq!(error.wanted, parsed("linux/s390x"));
    }
    scene.index(&[amd64, arm64]);
    let error = scene.select("linux/s390x").await.unwrap_err().to_string();
    let expected = "there is no image for linux/s390x; found linux/amd64, linux/arm64";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_child_that_names_the_platform_comes_before_one_that_names_none() {
    let scene = Scene::new().await;
    let unnamed = scene.image("linux/arm64");
    let named = of(
        scene.image("linux/arm64/v9"),
        json!({
            "os": "linux", "architecture": "arm64", "variant": "",
        }),
    );
    scene.index(&[unnamed, named.clone()]);
    assert_eq!(scene.selected("linux/arm64").await, digest(&named));
}

/// A signer does not look at its layers, so nothing installs it.
#[tokio::test]
async fn a_child_without_a_platform_that_is_called_an_attestation_is_not_selected() {
    let scene = Scene::new().await;
    let (arm64, mut called_so) = (scene.image("linux/arm64"), scene.image("linux/amd64"));
    called_so["annotations"] = json!({ "vnd.docker.reference.type": "attestation-manifest" });
    scene.index(&[called_so.clone(), arm64]);
    let error = scene.select("linux/amd64").await.unwrap_err();
    let expected = "there is no image for linux/amd64; found linux/arm64";
    assert_eq!(error.to_string(), expected);
    // What is for a platform is an image, whatever its annotations say.
    scene.index(&[of(called_so.clone(), linux("amd64"))]);
    assert_eq!(scene.selected("linux/amd64").await, digest(&called_so));
}

#[tokio::test]
async fn nested_indexes_are_looked_into_down_to_the_fourth() {
    let scene = Scene::new().await;
    let (amd64, arm64) = (scene.image("linux/amd64"), scene.image("linux/arm64"));
    let mut index = scene.index(&[of(amd64.clone(), linux("amd64"))]);
    for depth in 2..=4 {
        index = scene.index(&[of(arm64.clone(), linux("arm64")), index]);
        let selected = scene.select("linux/amd64").await.unwrap();
        assert_eq!(selected.manifest.digest().to_string(), digest(&amd64));
        assert_eq!(selected.indexes.len(), depth - 1);
    }
    scene.index(&[index]);
    let error = scene.select("linux/amd64").await.unwrap_err();
    let Error::Limit {
        limit: 4,
        unit: "levels of indexes",
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    // What lies above can be had all the same.
    assert_eq!(scene.selected("linux/arm64").await, digest(&arm64));
}

#[tokio::test]
async fn the_way_to_a_nested_manifest_is_given_step_by_step() {
    let scene = Scene::new().await;
    let amd64 = scene.image("linux/amd64");
    let inner = scene.index(&[of(amd64.clone(), linux("amd64"))]);
    let middle = scene.index(&[of(inner.clone(), linux("amd64"))]);
    scene.index_as(media_type::DOCKER_INDEX, std::slice::from_ref(&middle));
    let selected = scene.select("linux/amd64").await.unwrap();
    let way: Vec<String> = selected
        .indexes
        .iter()
        .map(|i| i.digest().to_string())
        .collect();
    assert_eq!(way, [digest(&middle), digest(&inner)]);
    let asked = selected.manifest.requested();
    assert_eq!(asked.tag(), Some("t"));
}

#[tokio::test]
async fn a_wide_tree_of_indexes_is_bounded() {
    let scene = Scene::new().await;
    let nested: Vec<Value> = (0..65)
        .map(|number| {
            let odd = format!("v{number}");
            scene.index(&[
                json!({ "mediaType": odd, "digest": Digest::sha256(b"").to_string(), "size": 0 }),
            ])
        })
        .collect();
    scene.index(&nested);
    let error = scene.select("linux/amd64").await.unwrap_err();
    let Error::Limit {
        limit: 64,
        unit: "documents",
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(scene.documents_asked_for(), 64);
}

#[tokio::test]
async fn odd_children_leave_the_others_readable() {
    let scene = Scene::new().await;
    let amd64 = scene.image("linux/amd64");
    let attestation = scene.image("unknown/unknown");
    let artifact = Image::artifact("application/spdx+json").build();
    artifact.push(&scene.server, PATH, None);
    let missing = Descriptor::of(media_type::OCI_MANIFEST, b"missing");
    scene.index(&[
        json!({ "mediaType": "application/vnd.example", "digest": digest(&amd64), "size": 1 }),
        json!({ "mediaType": media_type::OCI_MANIFEST, "digest": "sha256:x", "size": 1, "platform": linux("arm64") }),
        of(attestation.clone(), json!({ "os": "unknown", "architecture": "unknown" })),
        attestation,
        serde_json::to_value(artifact.descriptor()).unwrap(),
        serde_json::to_value(missing.clone()).unwrap(),
        amd64.clone(),
    ]);
    assert_eq!(scene.selected("linux/amd64").await, digest(&amd64));
    // Malformed, and the one asked for.
    let error = scene.select("linux/arm64").await.unwrap_err();
    let Error::Manifest {
        source:
            ManifestError::Child {
                position: 2,
                platform,
                ..
            },
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(*platform, parsed("linux/arm64"));
    // What is missing may have been the one asked for.
    let error = scene.select("linux/s390x").await.unwrap_err();
    let Error::NotFound { what } = error else {
        panic!("{error:?}");
    };
    assert!(what.ends_with(&missing.digest.to_string()), "{what}");
}

#[tokio::test]
async fn media_types_of_docker_and_oci_may_be_mixed() {
    let scene = Scene::new().await;
    let docker = Image::builder(parsed("linux/amd64"))
        .flavour(Flavour::Docker)
        .build();
    docker.push(&scene.server, PATH, None);
    // The list calls it OCI's, it calls itself Docker's.
    let mut renamed = docker.descriptor();
    renamed.media_type = media_type::OCI_MANIFEST.into();
    for (list, child) in [
        (media_type::OCI_INDEX, docker.descriptor()),
        (media_type::DOCKER_INDEX, renamed),
    ] {
        scene.index_as(list, &[serde_json::to_value(child).unwrap()]);
        assert_eq!(
            scene.selected("linux/amd64").await,
            docker.digest().to_string()
        );
    }
}

#[tokio::test]
async fn a_configuration_for_another_platform_is_refused() {
    let scene = Scene::new().await;
    let image = Image::builder(parsed("linux/amd64")).build();
    image.push(&scene.server, PATH, Some("t"));
    let resolved = scene.resolved().await;
    let client = client();
    client
        .require_platform(&resolved, &parsed("linux/x86_64"))
        .await
        .unwrap();
    let error = client
        .require_platform(&resolved, &parsed("linux/arm64"))
        .await;
    let Err(Error::WrongPlatform {
        expected, found, ..
    }) = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(
        (*expected, *found),
        (parsed("linux/arm64"), parsed("linux/amd64"))
    );
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_no_yes() {
    let scene = Scene::new().await;
    // Two readers could read it in two ways.
    let config = br#"{"os":"linux","os":"windows","architecture":"amd64"}"#;
    scene.server.put_blob(PATH, config.to_vec());
    let config_type = "application/vnd.oci.image.config.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "config": Descriptor::of(config_type, config),
        "layers": [],
    });
    let bytes = serde_json::to_vec(&manifest).unwrap();
    scene
        .server
        .put_manifest(PATH, media_type::OCI_MANIFEST, bytes, Some("t"));
    let error = client()
        .require_platform(&scene.resolved().await, &parsed("linux/amd64"))
        .await;
    let Err(Error::Manifest {
        source: ManifestError::Configuration(_),
        ..
    }) = error
    else {
        panic!("{error:?}");
    };
}
