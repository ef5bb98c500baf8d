//! Content that is no image: tarballs from the web and directories of this machine.

mod directory;
mod locked;
mod offline;
pub(crate) mod tarball;

use std::time::Duration;

use crate::shop::{Shop, gallery, plan};
use crate::stage::amd64;
use countersign_download::{
    Error, InstallRequest, Installer, Integrity, Limits, Outcome, Plan, PlanError, StoreError,
};
use countersign_oci::{Options, Retries, Timeouts};
use countersign_verify::Verifier;

/// The plan for an entry `app` of a gallery without a policy.
pub(crate) fn open(index: &str, integrity: Integrity) -> Result<Plan, PlanError> {
    let gallery = gallery("[{name: plain, url: 'file:index.yaml'}]");
    plan(&gallery, index, "app", integrity)
}

pub(crate) fn installer(shop: &Shop, limits: Limits) -> Installer<Verifier> {
    let connection = Options {
        retries: Retries {
            times: 1,
            pause: Duration::from_millis(1),
            ..Retries::default()
        },
        timeouts: Timeouts {
            stall: Duration::from_secs(5),
            ..Timeouts::default()
        },
        ..Options::default()
    };
    let installer = shop.stage.installer().with_limits(limits);
    installer.with_connection(connection)
}

pub(crate) async fn install(shop: &Shop, plan: &Plan) -> Result<Outcome, StoreError> {
    let installer = installer(shop, Limits::default());
    shop.store
        .install(&installer, InstallRequest::new(plan, &amd64()))
        .await
}

/// The errors of all sources, of an installation that must leave nothing.
pub(crate) async fn failures(shop: &Shop, plan: &Plan, limits: Limits) -> Vec<Error> {
    let installer = installer(shop, limits);
    let result = shop
        .store
        .install(&installer, InstallRequest::new(plan, &amd64()))
        .await;
    let Err(StoreError::Plan(failure)) = result else {
        panic!("expected a failure, found {result:?}");
    };
    assert_eq!(shop.leftovers(), [""; 0]);
    assert!(!shop.directory("app").exists());
    failure
        .into_failures()
        .into_iter()
        .map(|one| one.error)
        .collect()
}
