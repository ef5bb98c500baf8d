//! Signatures that the caller has, instead of those in registries.

use std::sync::Arc;

use countersign_oci::Digest;
use serde_json::value::RawValue;

use super::Verifier;
use super::search::SearchState;
use crate::blocking::run_blocking;
use crate::bundle::at_most_bytes;
use crate::failure::Failure;
use crate::proof::VerifiedImage;
use crate::seen_signatures::FoundSignature;
use crate::signature::SignatureToCheck;

/// Bundles from a file. Nothing is known of them yet.
#[derive(Debug, Clone)]
pub struct Bundles(Vec<Arc<RawValue>>);

impl Bundles {
    /// Reads a bundle's JSON, or several one after the other, as `gh attestation download` writes them: one a line.
    /// The caller has a bound on the size of the text.
    ///
    /// # Errors
    /// If the text is not JSON. What the JSON says is not looked at.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        let bundles = serde_json::Deserializer::from_str(text).into_iter::<Box<RawValue>>();
        let bundles = bundles.map(|bundle| bundle.map(Arc::from));
        bundles.collect::<Result<_, _>>().map(Self)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Verifier {
    /// Judges the caller's bundles until one passes. A refusal names each by the digest of its bytes.
    pub(super) async fn search_given(
        &self,
        bundles: &Bundles,
        search: &mut SearchState<'_>,
    ) -> Option<VerifiedImage> {
        let Bundles(bundles) = bundles;
        search.refusal.untried += bundles.len().saturating_sub(search.left);
        // The limit is that of bundles in registries.
        let limit = usize::try_from(self.limits.bundle_bytes).unwrap_or(usize::MAX);
        for bundle in bundles.iter().take(search.left) {
            let name = Digest::sha256(bundle.get().as_bytes());
            if let Err(failure) = at_most_bytes("the bundle", limit, bundle.get().len()) {
                search.refuse(name, failure);
                continue;
            }
            let criteria = Arc::clone(&search.criteria);
            let unmet = search.gathered.unmet();
            if let Some(seen_signatures) = &self.seen_signatures {
                let json = bundle.get().as_bytes().to_vec();
                seen_signatures.keep(search.image.digest(), FoundSignature::bundle(json));
            }
            let bundle = Arc::clone(bundle);
            let judging = run_blocking(&self.permits, move || {
                let given = SignatureToCheck::Bundle(bundle.get().as_bytes());
                unmet.judged_by(|requirement| criteria.judge_given(&given, requirement))
            });
            match judging.await {
                Ok(judged) => drop(search.take(&name, judged)),
                Err(_) => search.refuse(name, Failure::Aborted),
            }
            if let Some(proof) = search.proof() {
                return Some(proof);
            }
        }
        None
    }
}
