//! The manifest that carries a signature, as cosign writes it: an OCI 1.1 referrer with the empty
//! config and the bundle as its one layer.

use std::collections::BTreeMap;

use bytes::Bytes;
use countersign_oci::{
    Descriptor, Document, Manifest, PinnedReference, Registry, Repository, ResolvedImage,
    media_type,
};
use countersign_policy::COSIGN_SIGN_PREDICATE;
use countersign_verify::Limits;
use countersign_verify::names::{BUNDLE, PREDICATE_TYPE_ANNOTATION};
use jiff::Timestamp;

use crate::error::Error;

/// The config of every signature.
const EMPTY: Bytes = Bytes::from_static(b"{}");

/// Pushes the config that every signature in `repository` has.
pub(crate) async fn push_empty(registry: &Registry, repository: &Repository) -> Result<(), Error> {
    registry.push_blob(repository, EMPTY).await?;
    Ok(())
}

/// Pushes the manifest of a signature of `image`, and sees to it that the image's referrers name it.
/// The empty config and `bundle` have been pushed.
pub(crate) async fn push(
    registry: &Registry,
    image: &ResolvedImage,
    bundle: &Bytes,
    created: Timestamp,
) -> Result<ResolvedImage, Error> {
    let repository = image.reference().location().writable()?;
    let manifest = manifest(image, bundle, created);
    let bytes = serde_json::to_vec(&manifest).map_err(|source| Error::Encode {
        image: image.reference().clone(),
        source: Box::new(source),
    })?;
    Ok(registry
        .push_referrer(repository, media_type::OCI_MANIFEST, bytes.into())
        .await?)
}

/// Fetches a signature by its digests, as who installs the image has to. Returns its bundle, which is the
/// one layer of what we push; `None` for a manifest of another form.
pub(crate) async fn fetch(
    registry: &Registry,
    signature: &PinnedReference,
) -> Result<Option<Bytes>, Error> {
    let pulled = registry.manifest(signature).await?;
    let Document::Manifest(manifest) = pulled.document() else {
        return Ok(None);
    };
    let [layer] = manifest.layers.as_slice() else {
        return Ok(None);
    };
    let limit = Limits::default().bundle_bytes;
    let bundle = registry.blob(signature.location(), layer, limit).await?;
    Ok(Some(bundle))
}

fn manifest(image: &ResolvedImage, bundle: &Bytes, created: Timestamp) -> Manifest {
    // To the second, as cosign writes it.
    let created = created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let annotations = [
        ("dev.sigstore.bundle.content", "dsse-envelope"),
        (PREDICATE_TYPE_ANNOTATION, COSIGN_SIGN_PREDICATE),
        ("org.opencontainers.image.created", &created),
    ];
    Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.into()),
        artifact_type: Some(BUNDLE.into()),
        config: Descriptor::of(media_type::EMPTY, &EMPTY),
        layers: vec![Descriptor::of(BUNDLE, bundle)],
        subject: Some(image.descriptor()),
        annotations: annotations
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect::<BTreeMap<_, _>>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_manifest_has_cosigns_form() {
        let repository: countersign_oci::Repository = "registry.example/app".parse().unwrap();
        let location = repository.into();
        let index = Bytes::from_static(br#"{"schemaVersion":2,"manifests":[]}"#);
        let image = ResolvedImage::from_bytes(&location, index, None).unwrap();
        let created = "2026-11-23T01:02:03.456Z".parse().unwrap();
        let manifest = manifest(&image, &"bundle".into(), created);
        insta::assert_snapshot!(serde_json::to_string_pretty(&manifest).unwrap(), @r#"
        {
          "schemaVersion": 2,
          "mediaType": "application/vnd.oci.image.manifest.v1+json",
          "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
          "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "size": 2
          },
          "layers": [
            {
              "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
              "digest": "sha256:1e6ed65d77d6364eeaed5a745ba5c4985ae2b700dd85d7cf7f027bdf294a33fc",
              "size": 6
            }
          ],
          "subject": {
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "digest": "sha256:bc5857ac9458293d5111ab85c952172cd7f56bceb4e3014ddc4cafac8927b313",
            "size": 34
          },
          "annotations": {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1",
            "org.opencontainers.image.created": "2026-11-23T01:02:03Z"
          }
        }
        "#);
    }
}
