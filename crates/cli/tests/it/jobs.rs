//! Several entries, installed at the same time.

use std::time::Duration;

use countersign_sandbox::{Effect, Fault, Request};

use crate::shop::{EARLIER, FLAGS, LATER, Shop};

const CHAT: &str = "GET /v2/acme/app/manifests/latest-chat";
const DRAW: &str = "GET /v2/acme/app/manifests/latest-draw";

/// The registry answers late for the first name.
async fn late() -> Shop {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "c1", EARLIER);
    shop.publish("latest-draw", "d1", EARLIER);
    shop.registry.reset_requests();
    let late = Effect::Delay(Duration::from_secs(2));
    shop.registry.add_fault(Fault::on(CHAT, late).times(1));
    shop
}

fn install(shop: &Shop, arguments: &[&str]) -> (i32, String, String) {
    let first = ["install", "--platform", "linux/amd64"];
    shop.shown(&[&first, &FLAGS[..], arguments].concat())
}

/// Whether the second was asked for before anything of the first was there.
fn side_by_side(shop: &Shop) -> bool {
    let requests = shop.registry.requests();
    let lines: Vec<String> = requests.iter().map(Request::line).collect();
    let draw = lines.iter().position(|line| *line == DRAW).unwrap();
    let blob = lines.iter().position(|line| line.contains("/blobs/"));
    draw < blob.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_installed_at_the_same_time_and_told_in_the_order_of_their_names() {
    let shop = late().await;
    let (code, out, err) = install(&shop, &["chat", "draw"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(side_by_side(&shop));
    let at = |name: &str| out.find(name).unwrap();
    assert!(at("chat") < at("draw"), "{out}");
    assert_eq!(shop.version("chat").unwrap(), "c1");
    assert_eq!(shop.version("draw").unwrap(), "d1");

    // The same when they are upgraded, where one of them fails.
    shop.publish("latest-chat", "c2", LATER);
    shop.publish("latest-draw", "d2", LATER);
    let gone = Fault::on(CHAT, Effect::status(404));
    shop.registry.add_fault(gone);
    let (code, document) = shop.upgrade(&["--jobs", "16"]);
    assert_ne!(code, 0, "{document:#}");
    assert_eq!(document["results"][0]["name"], "chat");
    assert_eq!(document["results"][1]["name"], "draw");
    assert_eq!(shop.version("chat").unwrap(), "c1");
    assert_eq!(shop.version("draw").unwrap(), "d2");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_job_installs_one_after_the_other() {
    let shop = late().await;
    let (code, out, err) = install(&shop, &["--jobs=1", "chat", "draw"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(!side_by_side(&shop));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_jobs_is_from_1_to_16_and_for_galleries() {
    let shop = Shop::open().await;
    for (arguments, said) in [
        (&["--jobs=0", "chat"][..], "0 is not in 1..=16"),
        (&["--jobs=17", "chat"], "17 is not in 1..=16"),
    ] {
        let (code, _, err) = install(&shop, arguments);
        assert_eq!(code, 2);
        assert!(err.contains(said), "{err}");
    }
    let arguments = [
        "install",
        "--jobs=2",
        "--issuer=a",
        "--identity=b",
        "a",
        "b",
    ];
    let (code, _, err) = shop.shown(&arguments);
    assert_eq!(code, 2);
    assert!(
        err.contains("--jobs has no effect without --gallery"),
        "{err}"
    );
}
