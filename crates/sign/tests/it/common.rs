//! A stage for all tests: a Sigstore, a registry, and a signer that doesn't wait for long.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::time::Duration;

use countersign_oci::http::Connection;
use countersign_oci::{Descriptor, Digest, Index, Options, Platform, Reference, Registry, Retries};
use countersign_policy::{Policy, PolicySpec};
use countersign_sandbox::image::{Image, ImageIndex};
use countersign_sandbox::{RegistryOptions, Scene, Service};
use countersign_sign::{
    Error, Existing, IdentityToken, RekorVersion, Services, Signed, Signer, Stopped, Tags,
};
use countersign_verify::TrustedRoot;

pub(crate) const IDENTITY: &str =
    "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
pub(crate) const PATH: &str = "acme/app";
/// The pause of retries in tests.
pub(crate) const PAUSE: Duration = Duration::from_millis(1);

/// The way to services and their like.
pub(crate) fn connection() -> Connection {
    client().connection().clone()
}

pub(crate) struct Stage {
    scene: Scene,
}

impl Deref for Stage {
    type Target = Scene;

    fn deref(&self) -> &Scene {
        &self.scene
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let scene = Scene::start().await.unwrap();
        Self { scene }
    }

    /// A registry that lists referrers by tag.
    pub(crate) async fn without_referrers_api() -> Self {
        Self::with(RegistryOptions::default()).await
    }

    pub(crate) async fn with(options: RegistryOptions) -> Self {
        let scene = Scene::with(options).await.unwrap();
        Self { scene }
    }

    /// Puts an index of two platforms into the registry, as `v1`.
    pub(crate) fn two_platforms(&self) -> ImageIndex {
        let index = ImageIndex::new(vec![image("linux/amd64"), image("linux/arm64")]);
        index.push(&self.registry, PATH, Some("v1"));
        index
    }

    /// Puts an image into the registry, as `v1`.
    pub(crate) fn one_image(&self) -> Image {
        let image = image("linux/amd64");
        image.push(&self.registry, PATH, Some("v1"));
        image
    }

    pub(crate) fn services(&self, version: RekorVersion) -> Services {
        let rekor = match version {
            RekorVersion::V1 => countersign_sandbox::RekorVersion::V1,
            RekorVersion::V2 => countersign_sandbox::RekorVersion::V2,
        };
        Services {
            fulcio: self.sigstore.fulcio_url(),
            rekor: self.sigstore.rekor_url(rekor),
            rekor_version: version,
            tsa: (version == RekorVersion::V2).then(|| self.sigstore.tsa_url()),
            oidc_issuer: Some(self.sigstore.oidc_issuer()),
        }
    }

    pub(crate) fn trusted_root(&self) -> TrustedRoot {
        TrustedRoot::from_json("sandbox", &self.sigstore.trusted_root_json()).unwrap()
    }

    pub(crate) fn signer(&self) -> Signer {
        self.signer_by(RekorVersion::V1)
    }

    pub(crate) fn signer_by(&self, version: RekorVersion) -> Signer {
        self.signer_trusting(version, self.trusted_root())
    }

    pub(crate) fn signer_trusting(&self, version: RekorVersion, root: TrustedRoot) -> Signer {
        Signer::new(client(), &self.services(version), root)
            .unwrap()
            .with_tags(Tags::Followed)
            .with_retries(retries())
    }

    pub(crate) fn token(&self) -> IdentityToken {
        IdentityToken::from_jwt(&self.sigstore.token(IDENTITY)).unwrap()
    }

    pub(crate) fn reference(&self, tail: &str) -> Reference {
        self.registry.reference(&format!("{PATH}{tail}")).unwrap()
    }

    /// Signs `v1`.
    pub(crate) async fn sign(&self) -> Result<Vec<Signed>, Error> {
        self.sign_with(&self.signer()).await
    }

    pub(crate) async fn sign_with(&self, signer: &Signer) -> Result<Vec<Signed>, Error> {
        let references = [self.reference(":v1")];
        signer
            .sign(&references, &self.token(), &BTreeMap::new(), &|_| {})
            .await
            .map_err(|stopped: Stopped| stopped.error)
    }

    /// Signs `v1`, whether it is signed or not.
    pub(crate) async fn sign_again(&self, signer: Signer) -> Result<Vec<Signed>, Error> {
        let signer = signer.with_existing(Existing::SignAgain);
        self.sign_with(&signer).await
    }

    /// The statuses that a service answered with.
    pub(crate) fn answers(&self, service: Service) -> Vec<u16> {
        let requests = self.sigstore.requests().into_iter();
        requests
            .filter(|request| request.service == service)
            .map(|request| request.status.as_u16())
            .collect()
    }

    /// The policy that accepts what [`Self::sign`] signs, changed.
    pub(crate) fn policy(&self, change: impl FnOnce(&mut PolicySpec)) -> Policy {
        let mut spec = PolicySpec {
            issuer: Some(self.issuer()),
            identity: Some(IDENTITY.into()),
            ..PolicySpec::default()
        };
        change(&mut spec);
        Policy::try_from(spec).unwrap()
    }

    pub(crate) fn issuer(&self) -> String {
        self.sigstore.issuer()
    }

    /// What the registry lists for `digest` as one who never asked it before sees it.
    pub(crate) async fn listed(&self, digest: &Digest) -> Vec<Descriptor> {
        let subject = self.registry.repository(PATH).at(digest.clone());
        client().referrers(&subject).await.unwrap()
    }

    /// The requests that wrote to the registry.
    pub(crate) fn writes(&self) -> Vec<String> {
        let requests = self.registry.requests().into_iter();
        requests
            .filter(|request| !matches!(request.method.as_str(), "GET" | "HEAD"))
            .map(|request| request.line())
            .collect()
    }
}

/// A registry client that retries soon.
pub(crate) fn client() -> Registry {
    client_pausing(PAUSE)
}

pub(crate) fn client_pausing(pause: Duration) -> Registry {
    let mut options = Options::default();
    options.retries.pause = pause;
    options.retries.longest_pause = Duration::from_secs(1);
    Registry::new(options).unwrap()
}

pub(crate) fn retries() -> Retries {
    Retries {
        times: 4,
        pause: PAUSE,
        longest_pause: Duration::from_secs(1),
        ..Retries::default()
    }
}

pub(crate) fn image(platform: &str) -> Image {
    Image::builder(platform.parse().unwrap()).build()
}

/// An index with these members.
pub(crate) fn index(members: Vec<Descriptor>) -> Index {
    Index {
        schema_version: 2,
        media_type: Some(countersign_oci::media_type::OCI_INDEX.into()),
        artifact_type: None,
        manifests: members,
        subject: None,
        annotations: BTreeMap::new(),
    }
}

/// Digest and platform of what was signed, in order.
pub(crate) fn order(signed: &[Signed]) -> Vec<(Digest, Option<Platform>)> {
    let pair = |one: &Signed| (one.digest.clone(), one.platform.clone());
    signed.iter().map(pair).collect()
}
