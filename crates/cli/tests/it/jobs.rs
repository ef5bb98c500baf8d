//! Several entries, installed at the same time.

use std::process::Stdio;
use std::time::{Duration, Instant};

use countersign_sandbox::{Effect, Fault, Request};

use crate::shop::{EARLIER, FLAGS, LATER, SIGNER, Shop};

const CHAT: &str = "GET /v2/acme/app/manifests/latest-chat";
const DRAW: &str = "GET /v2/acme/app/manifests/latest-draw";

/// Longer than a test takes.
const NEVER: Duration = Duration::from_secs(600);

/// The gallery has an entry for each name, with the tag `latest-NAME`.
fn write_index(shop: &Shop, names: &[&str]) {
    let host = shop.registry.host();
    let entry = |name: &&str| format!("{{name: {name}, uri: '{host}/acme/app:latest-{name}'}}");
    let entries: Vec<String> = names.iter().map(entry).collect();
    shop.write("index.yaml", &format!("[{}]", entries.join(", ")));
}

/// Runs the program until `reached` holds, and ends it then. Says whether it held before the program ended by itself.
async fn reaches(shop: &Shop, arguments: &[&str], reached: impl Fn() -> bool) -> bool {
    let mut command = shop.command(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    let deadline = Duration::from_secs(60);
    while !reached() && child.try_wait().unwrap().is_none() && begun.elapsed() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reached()
}

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

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_registry_gives_no_answer_keeps_no_other_from_being_installed() {
    let shop = Shop::open().await;
    let names = ["chat", "draw", "hear", "see"];
    write_index(&shop, &names);
    for name in names {
        shop.publish(&format!("latest-{name}"), name, EARLIER);
    }
    shop.registry
        .add_fault(Fault::on(CHAT, Effect::Delay(NEVER)));
    let first = ["install", "--platform=linux/amd64", "--jobs=2"];
    let arguments = [&first[..], &FLAGS, &names].concat();
    let others = &names[1..];
    let installed = || others.iter().all(|name| shop.version(name).is_some());
    assert!(reaches(&shop, &arguments, installed).await);
    assert_eq!(shop.version("chat"), None);
}

/// More images than any command asks for at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_registry_gives_no_answer_keeps_no_other_from_being_asked_for() {
    let shop = Shop::open().await;
    let names: Vec<String> = (10..30).map(|number| format!("app{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    write_index(&shop, &names);
    let line = |name: &str| format!("GET /v2/acme/app/manifests/latest-{name}");
    shop.publish("latest-app10", "1", EARLIER);
    let held = Fault::on(&line("app10"), Effect::Delay(NEVER));
    shop.registry.add_fault(held);
    let (host, issuer) = (shop.registry.host(), shop.sigstore.issuer());
    let reference = |name: &&str| format!("{host}/acme/app:latest-{name}");
    let references: Vec<String> = names.iter().map(reference).collect();
    let references: Vec<&str> = references.iter().map(String::as_str).collect();
    let root = ["--trusted-root", "root.json"];
    let signer = ["--issuer", &issuer, "--identity", SIGNER];
    let to = format!("{host}/mirror");
    let dry_run = ["install", "--dry-run", "--platform=linux/amd64"];
    let last = line("app29");
    for arguments in [
        [&dry_run[..], &FLAGS, &names].concat(),
        [&["verify"][..], &root, &signer, &references].concat(),
        [&["copy", "--to", &to][..], &FLAGS].concat(),
    ] {
        shop.registry.reset_requests();
        let asked = || shop.registry.requests().iter().any(|r| r.line() == last);
        let reached = reaches(&shop, &arguments, asked).await;
        assert!(reached, "{arguments:?}");
    }
}
