//! Which fields of a policy another program has no word for.

use super::{Difference, Enforcer};
use crate::SignatureFormat;
use crate::claims::ClaimRule;
use crate::instance::SigstoreInstance;
use crate::policy::{AcceptedSigner, COSIGN_SIGN_PREDICATE, LogUse, Policy, Trust};

/// The fields that are lost or become another. Each is named once.
pub(super) fn differences(policy: &Policy, enforcer: Enforcer) -> Vec<Difference> {
    let mut found: Vec<Difference> = Vec::new();
    collect(policy, enforcer, &mut |field, effect| {
        if !found.iter().any(|known| known.field == field) {
            let effect = effect.to_owned();
            found.push(Difference {
                rule: None,
                field,
                effect,
            });
        }
    });
    found
}

fn collect(policy: &Policy, enforcer: Enforcer, lose: &mut dyn FnMut(&'static str, &str)) {
    collect_conditions(policy, enforcer, lose);
    collect_proofs(policy, enforcer, lose);
    collect_forms(policy, enforcer, lose);
    for proof in &policy.require {
        // What is different about the types of several proofs was told above.
        collect_conditions(proof, enforcer, lose);
        collect_forms(proof, enforcer, lose);
    }
}

/// What is different about the conditions on one signature.
fn collect_conditions(
    policy: &Policy,
    enforcer: Enforcer,
    lose: &mut dyn FnMut(&'static str, &str),
) {
    // A field that is left out here does not compile.
    let Policy {
        signers,
        not_before,
        min_age,
        // Of `collect_proofs`.
        predicate_types: _,
        predicate,
        require: _,
        // Of `collect_forms`.
        signature_formats: _,
        annotations,
        bind_name,
        trust,
        signature_sources,
        deny_digests,
    } = policy;
    let mut lose_if = |lost: bool, field, effect: &str| {
        if lost {
            lose(field, effect);
        }
    };
    let any_signer = |is: fn(&AcceptedSigner) -> bool| signers.iter().any(is);
    lose_if(
        not_before.is_some() || any_signer(|signer| signer.not_before().is_some()),
        "not_before",
        "signatures of any time are accepted there",
    );
    lose_if(
        min_age.is_some(),
        "min_age",
        "a signature counts there as soon as it is made",
    );
    lose_if(
        any_signer(|signer| !claims(signer).is_empty()),
        "claims",
        "no other claim of the certificate is looked at there",
    );
    lose_if(
        !predicate.is_empty(),
        "predicate",
        "what an attestation says is not looked at there",
    );
    lose_if(
        !annotations.is_empty(),
        "annotations",
        "annotations are not looked at there",
    );
    lose_if(
        *bind_name && !compares_names(enforcer),
        "bind_name",
        "the signature may be about another name there",
    );
    // The public-good instance is what the others trust too.
    let public_good = Trust::Instance(SigstoreInstance::PublicGood);
    lose_if(
        trust.as_ref().is_some_and(|trust| *trust != public_good),
        "trust",
        trust_words(enforcer),
    );
    lose_if(
        !signature_sources.is_empty() && !looks_elsewhere(enforcer),
        "signature_sources",
        "signatures are looked for beside the image only",
    );
    lose_if(
        !deny_digests.is_empty(),
        "deny_digests",
        "these images are accepted there",
    );
}

/// Whether the program compares the name in the signature with the image's.
fn compares_names(enforcer: Enforcer) -> bool {
    match enforcer {
        // containers/image compares the name that is in the payload.
        Enforcer::Containers => true,
        Enforcer::PolicyController | Enforcer::Kyverno | Enforcer::Talos | Enforcer::Flux => false,
    }
}

/// What is different about the statements that count.
fn collect_proofs(policy: &Policy, enforcer: Enforcer, lose: &mut dyn FnMut(&'static str, &str)) {
    match enforcer {
        Enforcer::Talos | Enforcer::Flux => {}
        Enforcer::Containers | Enforcer::PolicyController | Enforcer::Kyverno => return,
    }
    let signature = policy.predicate_types == [COSIGN_SIGN_PREDICATE];
    match (policy.require.is_empty(), signature) {
        (true, true) => {}
        (true, false) => lose("predicate_types", "a statement of any type counts there"),
        (false, _) => lose("require", "any one proof is enough there"),
    }
}

/// What is different about the forms of signatures, and about keys.
fn collect_forms(policy: &Policy, enforcer: Enforcer, lose: &mut dyn FnMut(&'static str, &str)) {
    let (signers, formats) = (&policy.signers, &policy.signature_formats);
    let bundles = formats.contains(&SignatureFormat::Bundle);
    let field = "signature_formats";
    match enforcer {
        Enforcer::Kyverno if formats.contains(&SignatureFormat::SimpleSigning) => lose(
            field,
            "if an image has bundles, one of any type by an accepted signer counts there as a signature",
        ),
        Enforcer::Containers => {
            if bundles {
                lose(
                    field,
                    "bundles are not read there, so an image that has nothing else is refused",
                );
            }
            let demanded = |signer: &AcceptedSigner| {
                signer.key().is_some_and(|key| key.log == LogUse::Demanded)
            };
            if signers.iter().any(demanded) {
                lose(
                    "key",
                    "the log is not asked there; with `ignore_tlog: true` both do the same",
                );
            }
        }
        Enforcer::PolicyController
            if bundles && signers.iter().any(|signer| signer.key().is_some()) =>
        {
            lose(
                field,
                "bundles that were signed with a key are not read there",
            );
        }
        Enforcer::Kyverno | Enforcer::PolicyController | Enforcer::Talos | Enforcer::Flux => {}
    }
}

/// Whether it can look for signatures in other repositories.
fn looks_elsewhere(enforcer: Enforcer) -> bool {
    match enforcer {
        Enforcer::PolicyController | Enforcer::Kyverno => true,
        Enforcer::Talos | Enforcer::Flux | Enforcer::Containers => false,
    }
}

fn claims(signer: &AcceptedSigner) -> &[ClaimRule] {
    match signer {
        AcceptedSigner::Certificate(signer) => &signer.claims,
        AcceptedSigner::Key(_) => &[],
    }
}

/// Whose trusted root counts there.
pub(super) fn trust_words(enforcer: Enforcer) -> &'static str {
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
