//! Images whose signature holds and whose content does not.

use super::*;

#[tokio::test]
async fn a_layer_with_other_content_is_refused() {
    let (stage, index) = Stage::set_with_signed_app().await;
    let layer = &index.images()[0].manifest().layers[1];
    let mut bytes = stage.registry.blob("app", &layer.digest).unwrap().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    stage
        .registry
        .replace_blob("app", &layer.digest, bytes.clone());
    let error = stage.refusal("app:v1").await;
    let oci = |error| match error {
        Error::Registry(error) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(
        oci(error),
        countersign_oci::Error::DigestMismatch { .. }
    ));
    bytes.push(0);
    stage.registry.replace_blob("app", &layer.digest, bytes);
    let error = stage.refusal("app:v1").await;
    assert!(matches!(
        oci(error),
        countersign_oci::Error::SizeMismatch { .. }
    ));
}

/// Pushes, signs and installs an image that a builder made wrong.
pub(super) async fn refusal_of(image: Image) -> Error {
    let stage = Stage::set().await;
    image.push(&stage.registry, "app", Some("v1"));
    stage.sign("app:v1", SIGNER).await;
    stage.refusal("app:v1").await
}

#[tokio::test]
async fn images_that_contradict_themselves_are_refused_though_signed() {
    let other = countersign_oci::Digest::sha256(b"other");
    let wrong = image("linux/amd64").diff_ids(vec![other]).build();
    let error = refusal_of(wrong).await;
    assert!(
        matches!(
            &error,
            Error::Layer {
                source: ArchiveError::DiffId { .. },
                ..
            }
        ),
        "{error:?}"
    );
    let fewer = image("linux/amd64").diff_ids(Vec::new()).build();
    let error = refusal_of(fewer).await;
    assert!(
        matches!(
            error,
            Error::LayerCount {
                expected: 1,
                found: 0,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_hostile_layer_is_refused_though_signed() {
    let hostile = layer(Compression::Gzip, "../escaped", "x");
    let error = refusal_of(image("linux/amd64").layer(hostile).build()).await;
    let Error::Layer { source, .. } = error else {
        panic!("{error:?}");
    };
    assert!(matches!(source, ArchiveError::ParentName { .. }));
}

#[tokio::test]
async fn the_bytes_tell_how_a_layer_is_compressed() {
    let tar = |path: &str| Layer::builder().file(path, path, 0o644).tar();
    let (oci, docker) = (
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    );
    let disagreeing = [
        (oci, Compression::Gzip, tar("gzip")),
        (docker, Compression::None, tar("none")),
        (
            "application/vnd.oci.image.layer.v1.tar+gzip",
            Compression::Zstd,
            tar("zstd"),
        ),
        // Builders make empty layers of nothing at all.
        (
            "application/vnd.oci.image.layer.v1.tar+zstd",
            Compression::None,
            Vec::new(),
        ),
    ];
    let layers = disagreeing.iter().map(|(media_type, compression, tar)| {
        let diff_id = countersign_oci::Digest::sha256(tar);
        Layer::from_bytes(compression.compress(tar), media_type, diff_id)
    });
    let image = layers
        .fold(image("linux/amd64"), ImageBuilder::layer)
        .build();
    let stage = Stage::set().await;
    image.push(&stage.registry, "app", Some("v1"));
    stage.sign("app:v1", SIGNER).await;
    let installed = stage.install("app:v1").await.unwrap();
    assert_eq!(installed.files, 4);
    for name in ["gzip", "none", "zstd"] {
        assert_eq!(stage.read(name), name);
    }
}

#[tokio::test]
async fn what_is_no_image_is_named() {
    let bytes = Bytes::from_static(b"x");
    let digest = countersign_oci::Digest::sha256(&bytes);
    let unknown = Layer::from_bytes(bytes, "application/vnd.example.layer", digest);
    let error = refusal_of(image("linux/amd64").layer(unknown).build()).await;
    assert!(matches!(error, Error::LayerType { .. }), "{error:?}");
    let artifact = Image::artifact("application/vnd.example").build();
    let error = refusal_of(artifact).await;
    assert!(matches!(error, Error::NotAnImage { .. }), "{error:?}");
}

#[tokio::test]
async fn an_image_over_the_limits_is_refused_before_it_is_fetched() {
    let (stage, _) = Stage::set_with_signed_app().await;
    let limits = Limits {
        layers: 1,
        ..Limits::default()
    };
    let policy = stage.policy();
    let installed = stage.install_by(&policy, limits, "app:v1", &|_| {});
    let error = installed.await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Limit {
                limit: 1,
                found: 2,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(stage.names(), [""; 0]);
}
