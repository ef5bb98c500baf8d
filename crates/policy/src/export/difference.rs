//! Which fields of a policy another program has no word for.

use super::{Difference, Enforcer};
use crate::SignatureFormat;
use crate::claims::ClaimRule;
use crate::instance::SigstoreInstance;
use crate::policy::{COSIGN_SIGN_PREDICATE, LogUse, Policy, Signer, Trust};

/// The fields that are lost or become another. Each is named once.
pub(super) fn differences(policy: &Policy, enforcer: Enforcer) -> Vec<Difference> {
    let mut found: Vec<Difference> = Vec::new();
    collect(policy, enforcer, &mut |field, effect| {
        if !found.iter().any(|known| known.field == field) {
            let effect = effect.to_owned();
            found.push(Difference { field, effect });
        }
    });
    found
}

fn collect(policy: &Policy, enforcer: Enforcer, lose: &mut dyn FnMut(&'static str, &str)) {
    // A field that is left out here does not compile.
    let Policy {
        signers,
        not_before,
        min_age,
        predicate_types,
        predicate,
        require,
        signature_formats,
        annotations,
        bind_name,
        trust,
        signature_sources,
        deny_digests,
    } = policy;
    if not_before.is_some() || signers.iter().any(|signer| signer.not_before().is_some()) {
        lose("not_before", "signatures of any time are accepted there");
    }
    if min_age.is_some() {
        lose("min_age", "a signature counts there as soon as it is made");
    }
    if signers.iter().any(|signer| !claims(signer).is_empty()) {
        lose(
            "claims",
            "no other claim of the certificate is looked at there",
        );
    }
    if !predicate.is_empty() {
        lose(
            "predicate",
            "what an attestation says is not looked at there",
        );
    }
    if !annotations.is_empty() {
        lose("annotations", "annotations are not looked at there");
    }
    // containers/image compares the name that is in the payload.
    if *bind_name && enforcer != Enforcer::Containers {
        lose("bind_name", "the signature may be about another name there");
    }
    // The public-good instance is what the others trust too.
    let public_good = Trust::Instance(SigstoreInstance::PublicGood);
    if trust.as_ref().is_some_and(|trust| *trust != public_good) {
        lose("trust", trust_words(enforcer));
    }
    if !signature_sources.is_empty()
        && matches!(
            enforcer,
            Enforcer::Talos | Enforcer::Flux | Enforcer::Containers
        )
    {
        lose(
            "signature_sources",
            "signatures are looked for beside the image only",
        );
    }
    if !deny_digests.is_empty() {
        lose("deny_digests", "these images are accepted there");
    }
    if matches!(enforcer, Enforcer::Talos | Enforcer::Flux) {
        let signature = predicate_types.as_slice() == [COSIGN_SIGN_PREDICATE];
        match (require.is_empty(), signature) {
            (true, true) => {}
            (true, false) => lose("predicate_types", "a statement of any type counts there"),
            (false, _) => lose("require", "any one proof is enough there"),
        }
    }
    if enforcer == Enforcer::Kyverno && signature_formats.contains(&SignatureFormat::SimpleSigning)
    {
        lose(
            "signature_formats",
            "if an image has bundles, one of any type by an accepted signer counts there as a signature",
        );
    }
    if enforcer == Enforcer::Containers {
        if signature_formats.contains(&SignatureFormat::Bundle) {
            lose(
                "signature_formats",
                "bundles are not read there, so an image that has nothing else is refused",
            );
        }
        let demanded =
            |signer: &Signer| signer.key().is_some_and(|key| key.log == LogUse::Demanded);
        if signers.iter().any(demanded) {
            lose(
                "key",
                "the log is not asked there; with `ignore_tlog: true` both do the same",
            );
        }
    }
    if enforcer == Enforcer::PolicyController
        && signers.iter().any(|signer| signer.key().is_some())
        && signature_formats.contains(&SignatureFormat::Bundle)
    {
        lose(
            "signature_formats",
            "bundles that were signed with a key are not read there",
        );
    }
    for proof in require {
        // What is different about the types of several proofs was told above.
        collect(proof, enforcer, &mut |field, effect| match field {
            "predicate_types" => {}
            _ => lose(field, effect),
        });
    }
}

fn claims(signer: &Signer) -> &[ClaimRule] {
    match signer {
        Signer::Certificate(signer) => &signer.claims,
        Signer::Key(_) => &[],
    }
}

/// Whose trusted root counts there.
fn trust_words(enforcer: Enforcer) -> &'static str {
    match enforcer {
        Enforcer::PolicyController => {
            "the public-good instance is trusted there; make a TrustRoot, and name it as `trustRootRef` below `keyless` \
             and `ctlog`"
        }
        Enforcer::Kyverno => {
            "the public-good instance is trusted there; put the trusted root below `cosign`, as `trustedRoot.value`"
        }
        Enforcer::Talos => "the public-good instance is trusted there",
        Enforcer::Flux => {
            "the public-good instance is trusted there; make a Secret with `trusted_root.json`, and name it as \
             `trustedRootSecretRef`"
        }
        Enforcer::Containers => "a key needs no trusted root there",
    }
}
