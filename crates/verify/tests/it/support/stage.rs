//! An image in a registry, and a Sigstore instance that signs it.

use countersign_policy::Policy;
use countersign_sandbox::{BundleSpec, Sigstore, Statement};
use countersign_verify::{Error, TrustedRoot, VerifiedImage, Verifier};

use super::{IDENTITY, Scene, policy};

pub(crate) struct Stage {
    pub(crate) scene: Scene,
    pub(crate) sigstore: Sigstore,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::of(Scene::new().await).await
    }

    /// As [`new`](Self::new), in a registry without the referrers API.
    pub(crate) async fn with_referrers_by_tag() -> Self {
        Self::of(Scene::with(false).await).await
    }

    pub(crate) async fn of(scene: Scene) -> Self {
        let sigstore = Sigstore::start().await.unwrap();
        Self { scene, sigstore }
    }

    pub(crate) fn statement(&self) -> Statement {
        Statement::of(self.scene.image.digest().clone())
    }

    pub(crate) fn issue(&self, spec: &BundleSpec) -> String {
        self.sigstore.issue(spec).unwrap()
    }

    pub(crate) fn bundle_by(&self, identity: &str) -> String {
        self.issue(&BundleSpec::new(self.statement(), identity))
    }

    pub(crate) fn policy(&self) -> Policy {
        let issuer = self.sigstore.issuer();
        policy(&issuer, IDENTITY)
    }

    pub(crate) fn verifier(&self) -> Verifier {
        let root = TrustedRoot::from_json("sandbox", &self.sigstore.trusted_root_json()).unwrap();
        Verifier::new(self.scene.client.clone(), root)
    }

    pub(crate) async fn verify(&self) -> Result<VerifiedImage, Error> {
        self.verifier()
            .verify(&self.scene.image, &self.policy())
            .await
    }
}
