//! Entries of a gallery from elsewhere whose names resolve to addresses inside.
//!
//! A name that does so is needed, which only the machine's own may be: where it has none, the tests
//! say so and try no name.

use std::net::ToSocketAddrs;

use crate::shop::{PATH, Shop, gallery};
use countersign_download::{
    Capability, Error, FallbackTags, HttpError, InstallOptions, Integrity, Origin, Plan, Planner,
    PrivateAddresses, StoreError,
};
use countersign_oci::Error as RegistryError;
use countersign_oci::http::{HostKind, RedirectRefused};
use countersign_policy::GalleryIndex;

const INDEX: &str = "https://gallery.example/index.yaml";

/// A name of this machine whose addresses are all inside and whose spelling doesn't tell, and the
/// outermost of their kinds.
fn inner_name() -> Option<(String, HostKind)> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim().to_owned();
    let addresses = (name.as_str(), 0).to_socket_addrs().ok()?;
    let kind = addresses.map(|one| HostKind::of_ip(one.ip())).min()?;
    let told = HostKind::of_authority(&name) != Some(HostKind::Public);
    (kind > HostKind::Public && !told).then_some((name, kind))
}

/// The plan for `uri` in an index that a public server serves, or, with `file`, one of this machine.
fn plan(uri: &str, file: bool) -> Plan {
    let location = if file { "file:index.yaml" } else { INDEX };
    let planner = Planner {
        gallery: &gallery(&format!("[{{name: acme, url: '{INDEX}'}}]")),
        index: &GalleryIndex::parse(&format!("[{{name: app, uri: '{uri}'}}]"), "index").unwrap(),
        location: &location.parse().unwrap(),
        origin: if file {
            Origin::File
        } else {
            Origin::Server(HostKind::Public)
        },
        capability: &Capability::default(),
        integrity: Integrity::Permissive,
        fallbacks: &FallbackTags::default(),
        private_addresses: PrivateAddresses::Refuse,
    };
    planner.plan("app").unwrap()
}

async fn failure(shop: &Shop, plan: &Plan) -> Error {
    let result = shop.install_by(plan, InstallOptions::default()).await;
    match result {
        Err(StoreError::Plan(failure)) => failure.into_decisive().unwrap(),
        other => panic!("expected a failure, found {other:?}"),
    }
}

#[tokio::test]
async fn an_index_from_elsewhere_leads_to_no_name_that_resolves_further_in() {
    let Some((name, kind)) = inner_name() else {
        eprintln!("skipped: this machine has no name that resolves to an address inside");
        return;
    };
    let shop = Shop::open().await;
    let port = shop.primary().host().rsplit_once(':').unwrap().1.to_owned();
    let image = format!("{name}:{port}/{PATH}:latest");
    let Error::Registry(RegistryError::Redirect { from, to, reason }) =
        failure(&shop, &plan(&image, false)).await
    else {
        panic!("the registry was asked");
    };
    assert_eq!(from, INDEX);
    assert_eq!(
        to,
        format!("https://{name}:{port}/v2/{PATH}/manifests/latest")
    );
    let from = HostKind::Public;
    assert!(
        matches!(reason, RedirectRefused::Inward { from: was, to } if was == from && to >= kind),
        "{reason}"
    );
    let tarball = format!("https://{name}:{port}/app.tar.gz");
    let Error::Http(HttpError::Redirect { reason, .. }) =
        failure(&shop, &plan(&tarball, false)).await
    else {
        panic!("the server was asked");
    };
    assert!(
        matches!(reason, RedirectRefused::Inward { from: was, to } if was == from && to >= kind),
        "{reason}"
    );
    assert!(shop.primary().requests().is_empty());
    // The user's own index may name it: there is no TLS at that address, or nobody.
    let error = failure(&shop, &plan(&image, true)).await;
    assert!(
        matches!(error, Error::Registry(RegistryError::Network { .. })),
        "{error}"
    );
}
