//! Archives from servers, where a layout is read in place of all registries.

use countersign_download::{Error, InstallRequest, Installer, Integrity, StoreError};
use countersign_oci::{LayoutPath, Options, Registry};
use countersign_verify::Verifier;
use wiremock::MockServer;

use super::open;
use super::tarball::{entry, serve, tarball};
use crate::shop::Shop;
use crate::stage::amd64;

#[tokio::test]
async fn where_everything_is_read_from_a_layout_no_server_is_asked() {
    let (shop, server) = (Shop::open().await, MockServer::start().await);
    serve(&server, "/app.tar.gz", &tarball("v1")).await;
    let plan = open(&entry(&server, None), Integrity::Permissive).unwrap();
    let layout = LayoutPath::new(shop.root.path()).unwrap();
    let offline = Options {
        instead_of_registries: Some(layout),
        ..Options::default()
    };
    let by_registry =
        Installer::<Verifier>::without_verifier(Registry::new(offline.clone()).unwrap());
    let by_connection = shop.stage.installer().with_connection(offline);
    for installer in [by_registry, by_connection] {
        let (platform, store) = (amd64(), &shop.store);
        let request = InstallRequest::new(&plan, &platform);
        let looked = store.preview(&installer, request).await.map(drop);
        let installed = store.install(&installer, request).await.map(drop);
        for ended in [looked, installed] {
            let Err(StoreError::Plan(failure)) = ended else {
                panic!("expected a failure, found {ended:?}");
            };
            let errors: Vec<&Error> = failure.failures().iter().map(|one| &one.error).collect();
            let refused = |error: &&Error| matches!(error, Error::NotInLayout { .. });
            assert!(
                errors.len() == 2 && errors.iter().all(refused),
                "{errors:?}"
            );
        }
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
}
