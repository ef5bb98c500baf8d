//! Futures of the library may move between threads: who embeds it spawns them.

use countersign_oci::http::Connection;
use countersign_oci::{Platform, Reference, Registry, ResolvedImage};
use countersign_policy::Policy;
use countersign_verify::{
    TrustSource, TrustedRoot, Verifier, judge_index, verify_image, verify_platform,
    verify_platform_ahead,
};

/// Compiles for futures that are `Send`, and makes nothing of them.
fn sendable<F: Future + Send>(_: F) {}

/// Never called: that it compiles is the test.
#[expect(dead_code, reason = "it is there to be compiled")]
fn a_verifier_s_futures(
    (verifier, registry): (&Verifier, &Registry),
    (image, reference): (&ResolvedImage, &Reference),
    (policy, platform): (&Policy, &Platform),
    (source, connection): (&TrustSource, &Connection),
) {
    sendable(TrustedRoot::load(source, connection));
    sendable(TrustedRoot::update(source, connection));
    sendable(verifier.resolve(reference, policy));
    sendable(verifier.verify(image, policy));
    sendable(verifier.survey(image, None));
    sendable(judge_index(verifier, image, policy));
    sendable(verify_image(registry, verifier, image, policy));
    sendable(verify_platform(registry, verifier, image, platform, policy));
    sendable(verify_platform_ahead(
        registry,
        verifier,
        image,
        platform,
        policy,
        &|_| {},
    ));
}
