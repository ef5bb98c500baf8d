//! What the tests of this crate share. Each of them uses a part of it.
#![allow(dead_code)]

pub(crate) mod stage;
pub(crate) mod tuf;

use countersign_oci::{Descriptor, Options, Registry, Repository, ResolvedImage, media_type};
use countersign_policy::{Policy, PolicySpec};
use countersign_sandbox::image::Image;
use countersign_sandbox::{RegistryOptions, RegistryServer};
use countersign_verify::{Candidate, Error, Failure, Refusal, RefusalKind};

pub(crate) const IDENTITY: &str =
    "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
pub(crate) const PATH: &str = "acme/app";

/// An image that is in no registry.
pub(crate) fn image_without_layers() -> ResolvedImage {
    let config = serde_json::to_string(&Descriptor::of(media_type::EMPTY, b"{}")).unwrap();
    let manifest = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#);
    let repository: Repository = "registry.example/acme/app".parse().unwrap();
    ResolvedImage::from_bytes(&repository.into(), manifest.into(), None).unwrap()
}

/// An image in a registry.
pub(crate) struct Scene {
    pub(crate) server: RegistryServer,
    pub(crate) client: Registry,
    pub(crate) image: ResolvedImage,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(true).await
    }

    pub(crate) async fn with(referrers_api: bool) -> Self {
        let server = RegistryServer::start(RegistryOptions {
            referrers_api,
            ..RegistryOptions::default()
        })
        .await
        .unwrap();
        let mut options = Options::default();
        options.retries.times = 0;
        let client = Registry::new(options).unwrap();
        Image::builder("linux/amd64".parse().unwrap())
            .build()
            .push(&server, PATH, Some("v1"));
        let reference = server.reference(&format!("{PATH}:v1")).unwrap();
        let image = client.resolve(&reference).await.unwrap();
        server.reset_requests();
        Self {
            server,
            client,
            image,
        }
    }

    /// Puts a manifest that refers to the image, holding `bundle`.
    pub(crate) fn attach(&self, bundle: impl Into<bytes::Bytes>) -> Image {
        let artifact = Image::signature(self.image.descriptor(), bundle);
        self.list(&artifact);
        artifact
    }

    /// Puts an artifact. The server lists it by its `subject`.
    pub(crate) fn list(&self, artifact: &Image) {
        artifact.push(&self.server, PATH, None);
    }

    /// Lists an artifact at the tag that stands in for the referrers API, by any descriptor.
    pub(crate) fn list_by_tag(&self, descriptors: Vec<Descriptor>) {
        let index = countersign_oci::Index {
            schema_version: 2,
            media_type: Some(media_type::OCI_INDEX.into()),
            artifact_type: None,
            manifests: descriptors,
            subject: None,
            annotations: std::collections::BTreeMap::new(),
        };
        let tag = self.image.digest().referrers_tag();
        let bytes = serde_json::to_vec(&index).unwrap();
        self.server
            .put_manifest(PATH, media_type::OCI_INDEX, bytes, Some(&tag));
    }

    /// A refusal as a person reads it, without what differs from run to run.
    pub(crate) fn told<T: std::fmt::Debug>(&self, result: Result<T, Error>) -> String {
        let refusal = refusal(result);
        let mut text = refusal
            .to_string()
            .replace(&self.server.host(), "registry.example")
            .replace(&self.image.digest().to_string(), "[image]");
        for (position, candidate) in refusal.candidates.iter().enumerate() {
            let short = &candidate.manifest.to_string()[..19];
            text = text.replace(short, &format!("[{position}]"));
        }
        text
    }

    /// Method and path of each request since the image was resolved.
    pub(crate) fn requests(&self) -> Vec<String> {
        let requests = self.server.requests();
        requests
            .iter()
            .map(countersign_sandbox::Request::line)
            .collect()
    }
}

pub(crate) fn policy(issuer: &str, identity: &str) -> Policy {
    policy_with(|spec| {
        spec.issuer = Some(issuer.into());
        spec.identity = Some(identity.into());
    })
}

pub(crate) fn policy_with(change: impl FnOnce(&mut PolicySpec)) -> Policy {
    let mut spec = PolicySpec::default();
    change(&mut spec);
    Policy::try_from(spec).unwrap()
}

pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> Box<Refusal> {
    match result {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

pub(crate) fn kind<T>(result: &Result<T, Error>) -> Option<RefusalKind> {
    match result {
        Err(Error::Refused(refusal)) => Some(refusal.kind()),
        _ => None,
    }
}

/// The failure of the only candidate.
pub(crate) fn failure<T: std::fmt::Debug>(result: Result<T, Error>) -> Failure {
    let mut candidates = refusal(result).candidates;
    assert_eq!(candidates.len(), 1, "{candidates:?}");
    let Candidate { failure, .. } = candidates.remove(0);
    failure
}
