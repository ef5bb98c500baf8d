//! Images in every state that a roll-out of signatures meets, for tests of what looks at many images.

use countersign_oci::{Digest, Platform};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::image::{Compression, Image, Layer};
use crate::registry::{Effect, Fault};
use crate::scene::Scene;
use crate::sigstore::{
    BundleSpec, Flaw, SigstoreError, SimpleSigningPlace, Statement, push_simple_signing,
    simple_signing_payload,
};

/// How an image is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Signed by the right signer.
    Proven,
    /// Signed by the right signer, too early.
    Stale,
    /// Signed by somebody else.
    OtherSigner,
    /// Signed by the right signer, in cosign's legacy form.
    LegacyOnly,
    /// With an attestation by the right signer, and no signature.
    AttestationOnly,
    /// Not signed.
    Unsigned,
    /// Signed, with a log entry that proves nothing.
    Invalid,
    /// Not published at all.
    Missing,
    /// The registry refuses access to the tag.
    Forbidden,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Proven,
        Self::Stale,
        Self::OtherSigner,
        Self::LegacyOnly,
        Self::AttestationOnly,
        Self::Unsigned,
        Self::Invalid,
        Self::Missing,
        Self::Forbidden,
    ];

    /// Its name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Stale => "stale",
            Self::OtherSigner => "other-signer",
            Self::LegacyOnly => "legacy-only",
            Self::AttestationOnly => "attestation-only",
            Self::Unsigned => "unsigned",
            Self::Invalid => "invalid",
            Self::Missing => "missing",
            Self::Forbidden => "forbidden",
        }
    }
}

/// Who signs a roll-out, and when.
#[derive(Debug, Clone)]
pub struct RollOut {
    /// The right signer.
    pub signer: String,
    /// Somebody else.
    pub stranger: String,
    /// When the right signer signs.
    pub signed_at: Timestamp,
    /// A time that is too early.
    pub too_early: Timestamp,
}

impl RollOut {
    /// Publishes a small image of its own under `tag` in the repository `path` of the scene's registry.
    ///
    /// # Errors
    /// As [`Sigstore::issue`](crate::Sigstore::issue).
    pub fn publish(
        &self,
        scene: &Scene,
        path: &str,
        tag: &str,
        platform: &Platform,
        standing: Standing,
    ) -> Result<Digest, SigstoreError> {
        let layer = Layer::builder()
            .file("name", format!("{path}:{tag}"), 0o644)
            .build(Compression::None);
        let image = Image::builder(platform.clone()).layer(layer).build();
        let statement = || Statement::of(image.digest());
        let spec = |statement: Statement, identity: &str| {
            BundleSpec::new(statement, identity).signed_at(self.signed_at)
        };
        let signature = match standing {
            Standing::Proven => Some(spec(statement(), &self.signer)),
            Standing::Stale => Some(spec(statement(), &self.signer).signed_at(self.too_early)),
            Standing::OtherSigner => Some(spec(statement(), &self.stranger)),
            Standing::AttestationOnly => {
                let provenance = statement().predicate("https://slsa.dev/provenance/v1", json!({}));
                Some(spec(provenance, &self.signer))
            }
            Standing::Invalid => Some(spec(statement(), &self.signer).flaw(Flaw::NoInclusionProof)),
            Standing::LegacyOnly | Standing::Unsigned | Standing::Missing | Standing::Forbidden => {
                None
            }
        };
        if standing == Standing::Missing {
            return Ok(image.digest());
        }
        image.push(&scene.registry, path, Some(tag));
        if let Some(spec) = signature {
            let signature = scene.signature(image.descriptor(), &spec)?;
            signature.push(&scene.registry, path, None);
        }
        if standing == Standing::LegacyOnly {
            self.sign_in_the_legacy_form(scene, path, &image)?;
        }
        if standing == Standing::Forbidden {
            let pattern = format!("* /v2/{path}/manifests/{tag}");
            let fault = Fault::on(&pattern, Effect::status(403));
            scene.registry.add_fault(fault);
        }
        Ok(image.digest())
    }

    fn sign_in_the_legacy_form(
        &self,
        scene: &Scene,
        path: &str,
        image: &Image,
    ) -> Result<(), SigstoreError> {
        let repository = format!("{}/{path}", scene.registry.host());
        let payload = simple_signing_payload(&image.digest(), &repository, &Value::Null);
        let spec = BundleSpec::new(payload, &self.signer).signed_at(self.signed_at);
        let signature = scene.sigstore.issue_simple_signing(&spec)?;
        let (image, place) = (image.descriptor(), SimpleSigningPlace::Tag);
        push_simple_signing(&scene.registry, path, &image, place, &[signature]);
        Ok(())
    }
}
