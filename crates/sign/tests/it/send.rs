//! Futures of the library may move between threads: who embeds it spawns them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use countersign_oci::http::Connection;
use countersign_oci::{Reference, Registry};
use countersign_sign::{
    CopyEvent, CopyPlan, Destination, IdentityEndpoint, IdentityToken, Merge, Publication,
    Services, Signer,
};
use countersign_verify::VerifiedImage;

/// Compiles for futures that are `Send`, and makes nothing of them.
fn sendable<F: Future + Send>(_: F) {}

/// Never called: that it compiles is the test.
#[expect(dead_code, reason = "it is there to be compiled")]
fn a_signer_s_futures(
    (signer, token, endpoint): (&Signer, &IdentityToken, &IdentityEndpoint),
    (merge, publication): (&Merge, &Publication<'_>),
    (registry, images): (&Registry, &[Reference]),
    connection: &Connection,
) {
    let none = BTreeMap::new();
    sendable(endpoint.token());
    sendable(Services::public_good(
        connection,
        Path::new("").into(),
        None,
    ));
    sendable(signer.sign(images, token, &none, &|_| {}));
    sendable(Merge::plan(registry, images, &none));
    sendable(merge.publish(publication, images, &|_| {}));
    sendable(publication.sign_then_tag(images, &[], &|_| {}));
}

/// Never called, too.
#[expect(dead_code, reason = "it is there to be compiled")]
fn a_copy_s_futures(
    (registry, proof): (&Registry, VerifiedImage),
    (plan, destination): (&CopyPlan, &Destination<'_>),
    events: &Arc<dyn Fn(CopyEvent) + Send + Sync>,
) {
    sendable(CopyPlan::read(registry, proof, &[]));
    sendable(plan.write(destination, events));
}
