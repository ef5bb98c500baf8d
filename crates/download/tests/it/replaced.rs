//! What becomes of what is installed, where another proof of it is found.

use std::fs;

use crate::shop::{EARLIER, LATER, PATH, Shop, gallery, installed, plan};
use crate::stage::{SIGNER, STRANGER, amd64, app};
use countersign_download::{
    Downgrade, Durability, Error, Grounds, InstallOptions, InstallRequest, Integrity, Lock,
    Outcome, Plan, Replacement, WhenBusy, WhenSame,
};
use countersign_oci::Platform;

const TAG: &str = "latest-app";
const BETWEEN: &str = "2024-06-01T00:00:00Z";
const REINSTALL: InstallOptions = InstallOptions {
    downgrade: Downgrade::Refuse,
    same: WhenSame::Reinstall,
    busy: WhenBusy::Fail,
    durability: Durability::None,
};

/// The plan for `app` of a gallery of this name, which accepts this signer alone.
fn plan_of(shop: &Shop, name: &str, identity: &str) -> Plan {
    let issuer = shop.stage.sigstore.issuer();
    let gallery = gallery(&format!(
        "[{{name: {name}, url: 'file:index.yaml', verification: {{issuer: '{issuer}', identity: '{identity}'}}}}]"
    ));
    let index = format!(
        "[{{name: app, uri: '{}/{PATH}:{TAG}'}}]",
        shop.primary().host()
    );
    plan(&gallery, &index, "app", Integrity::Strict).unwrap()
}

fn record(shop: &Shop) -> String {
    fs::read_to_string(shop.directory("app").join(".countersign/record.json")).unwrap()
}

/// By the record.
async fn grounds(shop: &Shop) -> Grounds {
    let listed = shop.store.list().await.unwrap();
    listed[0].recorded().unwrap().grounds.clone()
}

/// One content may have several good signatures, and a registry lists them in any order.
#[tokio::test]
async fn an_earlier_signature_of_what_is_installed_changes_neither_record_nor_lock() {
    for name in ["acme", "other"] {
        let shop = Shop::open().await;
        let image = app("linux/amd64", "v1");
        shop.publish(&image, TAG, SIGNER, LATER);
        shop.publish(&image, TAG, STRANGER, EARLIER);
        let by_later = plan_of(&shop, "acme", SIGNER);
        let first = shop.install_by(&by_later, InstallOptions::default()).await;
        let mut lock = Lock::new();
        let entry = first.unwrap().locked().unwrap().clone();
        lock.insert(entry, Downgrade::Refuse).unwrap();
        let (before, known) = (record(&shop), grounds(&shop).await);
        let locked = lock.clone();

        let (by_earlier, platform) = (plan_of(&shop, name, STRANGER), amd64());
        let request = InstallRequest::new(&by_earlier, &platform).with_lock(&lock);
        let kept = shop.store.install(&shop.stage.installer(), request).await;
        let kept = kept.unwrap();
        assert!(matches!(kept, Outcome::Unchanged { .. }), "{kept:?}");
        assert_eq!(record(&shop), before, "{name}");
        let entry = kept.locked().unwrap().clone();
        lock.insert(entry, Downgrade::Refuse).unwrap();
        assert_eq!(lock, locked, "{name}");

        // The files are there anew, and what is known of the time isn't given up.
        installed(shop.install_by(&by_earlier, REINSTALL).await);
        assert_ne!(record(&shop), before, "{name}");
        assert_eq!(grounds(&shop).await, known, "{name}");
        shop.publish(&app("linux/amd64", "v0"), TAG, STRANGER, BETWEEN);
        let failure = shop.failure_of(&by_earlier).await;
        let is_older = matches!(failure.decisive(), Some(Error::Older { .. }));
        assert!(is_older, "{name}: {failure}");
    }
}

#[tokio::test]
async fn another_name_of_the_platform_makes_no_upgrade_something_else() {
    let shop = Shop::open().await;
    let plan = plan_of(&shop, "acme", SIGNER);
    shop.publish(&app("linux/amd64", "v1"), TAG, SIGNER, EARLIER);
    installed(shop.install_by(&plan, InstallOptions::default()).await);
    shop.publish(&app("linux/amd64", "v2"), TAG, SIGNER, LATER);
    let platform: Platform = "linux/amd64/v1".parse().unwrap();
    let request = InstallRequest::new(&plan, &platform);
    let upgraded = shop.store.install(&shop.stage.installer(), request).await;
    let Outcome::Installed { replacement, .. } = upgraded.unwrap() else {
        panic!("expected an installation");
    };
    assert_eq!(replacement, Replacement::Upgraded);
}
