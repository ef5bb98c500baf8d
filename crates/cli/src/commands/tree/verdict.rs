//! What the policy says of a digest in a tree: what `verify` says of it, by the same verifier.

use countersign_oci::{Registry, ResolvedImage};
use countersign_policy::Policy;
use countersign_verify::{
    Error, ImageVerifier as _, Refusal, RefusalKind, VerifiedDocument, Verifier,
};

use super::model::TreeVerdict;
use crate::failure::Failure;

/// What `verify` says of one digest.
pub(super) struct Verdict {
    pub(super) accepted: bool,
    pub(super) denied: bool,
    /// Why it is not accepted.
    pub(super) reason: Option<String>,
    /// What covers the images in it, also if one of them is denied.
    pub(super) proof: Option<VerifiedDocument>,
}

impl Verdict {
    /// Asks the verifier.
    ///
    /// # Errors
    /// If something could not be read. Then nobody knows whether the policy accepts the image.
    pub(super) async fn of(
        image: &ResolvedImage,
        registry: &Registry,
        verifier: &Verifier,
        policy: &Policy,
    ) -> Result<Self, Failure> {
        let proof = match verifier.verify_document(image, policy).await {
            Ok(proof) => proof,
            Err(Error::Refused(refusal)) => return Ok(Self::refused(false, summary(&refusal))),
            Err(Error::Denied(denied)) => return Ok(Self::refused(true, denied.to_string())),
            Err(error) => return Err(error.into()),
        };
        match proof.refuse_denied_below(registry).await {
            Ok(()) => Ok(Self {
                accepted: true,
                denied: false,
                reason: None,
                proof: Some(proof),
            }),
            Err(Error::Denied(denied)) => Ok(Self {
                proof: Some(proof),
                ..Self::refused(false, format!("it lists what is denied: {denied}"))
            }),
            Err(unknown @ Error::UnknownBelow { .. }) => Ok(Self {
                proof: Some(proof),
                ..Self::refused(false, unknown.to_string())
            }),
            Err(error) => Err(error.into()),
        }
    }

    fn refused(denied: bool, reason: String) -> Self {
        Self {
            accepted: false,
            denied,
            reason: Some(reason),
            proof: None,
        }
    }

    /// What a signature of this image is worth that counts as a proof.
    pub(super) fn of_a_proof(&self) -> TreeVerdict {
        if self.accepted {
            TreeVerdict::Accepted
        } else if self.denied {
            TreeVerdict::Refused
        } else {
            TreeVerdict::NotEnough
        }
    }
}

/// The refusal in one line. What each signature lacks stands beside it.
fn summary(refusal: &Refusal) -> String {
    let required = refusal.requirements.len();
    let missing = refusal.requirements.iter().filter(|one| !one.met);
    let missing: Vec<&str> = missing.map(|one| one.name.as_str()).collect();
    let mut text = match refusal.kind() {
        _ if required > 1 => format!(
            "it has {} of the {required} proofs that the policy requires; missing: {}",
            required - missing.len(),
            missing.join(", ")
        ),
        RefusalKind::Unsigned => "it has no signature that the policy asks for".to_owned(),
        RefusalKind::Invalid => "it has no valid signature".to_owned(),
        RefusalKind::OtherSigner => {
            "it is signed, but by another kind of signer than the policy names".to_owned()
        }
        RefusalKind::Policy => "it is signed, but not as the policy requires".to_owned(),
    };
    if refusal.untried > 0 {
        text.push_str(&format!("; {} more were not checked", refusal.untried));
    }
    text
}
