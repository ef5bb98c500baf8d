//! An author of scripts: what one generic reader finds in every document, and what a person is told of several references.

use std::net::TcpListener;

use insta::assert_snapshot;
use serde_json::Value;

use crate::shop::{EARLIER, Shop, unsigned};

/// `[.results[] | select(.error) | .error.kind]`, and the exit code that the worst of them has by itself.
fn failed(document: &Value) -> Vec<(&str, u64)> {
    let results = document["results"].as_array().unwrap().iter();
    let errors = results
        .map(|one| &one["error"])
        .filter(|one| one.is_object());
    errors
        .map(|error| {
            assert!(error["message"].is_string() && error["hints"][0].is_string());
            let kind = error["kind"].as_str().unwrap();
            (kind, error["exit_code"].as_u64().unwrap())
        })
        .collect()
}

/// A shop with one signed image and two that are not.
async fn shop() -> Shop {
    let shop = Shop::open().await;
    shop.publish("latest-chat", "v1", EARLIER);
    for (tag, version) in [("bare", "bare"), ("bare2", "bare2")] {
        unsigned(version).push(&shop.registry, "acme/app", Some(tag));
    }
    shop.write(
        "policy.yaml",
        &format!(
            "{{issuer: '{}', identity: '{}'}}",
            shop.sigstore.issuer(),
            crate::shop::SIGNER
        ),
    );
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn each_result_that_failed_has_an_error_whatever_the_command() {
    let shop = shop().await;
    let app = |tag: &str| format!("{}/acme/app:{tag}", shop.registry.host());
    let judged = ["--policy", "policy.yaml", "--trusted-root", "root.json"];
    let images = [app("latest-chat"), app("bare"), app("none")];
    shop.write("images.txt", &images.join("\n"));

    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let (code, document) = shop.run(&[&["verify"], &judged[..], &images].concat());
    let expected = [("unsigned", 3), ("not_found", 6)];
    assert_eq!((code, failed(&document)), (3, expected.to_vec()));

    let audit = [&["audit"], &judged[..], &["--images", "images.txt"]].concat();
    let (code, document) = shop.run(&audit);
    assert_eq!((code, failed(&document)), (3, expected.to_vec()));
    // What does not fail the run has failed all the same.
    let (code, document) =
        shop.run(&[&audit[..], &["--fail-on", "none", "--shard", "1/1"]].concat());
    assert_eq!((code, failed(&document)), (0, expected.to_vec()));
    // A report of reports has them, too.
    shop.write("part.json", &format!("{document:#}"));
    let (code, document) = shop.run(&["audit", "merge", "part.json"]);
    assert_eq!((code, failed(&document)), (3, expected.to_vec()));

    shop.write(
        "cases.yaml",
        "cases: [{name: x, digest: 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a', \
         bundles: [], expect: accepted}]",
    );
    let test = ["policy", "test", "policy.yaml", "--case", "cases.yaml"];
    let (code, document) = shop.run(&[&test[..], &judged[2..]].concat());
    assert_eq!((code, failed(&document)), (4, vec![("policy", 4)]));

    shop.write(
        "weak.yaml",
        "{issuer: 'https://ci.example', identity_regex: m.}",
    );
    let (code, document) = shop.run(&["policy", "check", "--strict", "weak.yaml"]);
    assert_eq!((code, failed(&document)), (4, vec![("policy", 4)]));
    let (code, document) = shop.run(&["policy", "check", "weak.yaml"]);
    assert_eq!((code, failed(&document)), (0, vec![]));

    shop.write("wrong.yaml", "[{name: x, uri: 's3://acme/x'}]");
    let (code, document) = shop.run(&["gallery", "check", "wrong.yaml"]);
    assert_eq!((code, failed(&document)), (2, vec![("usage", 2)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digest_to_use_is_in_one_place_and_a_person_is_told_which_tag_is_meant() {
    let shop = shop().await;
    let app = |tag: &str| format!("{}/acme/app:{tag}", shop.registry.host());
    let verify = [
        "verify",
        "--policy",
        "policy.yaml",
        "--trusted-root",
        "root.json",
    ];
    let tags = [app("latest-chat"), app("bare"), app("bare2")];
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let (_, document) = shop.run(&[&verify[..], &tags].concat());
    let digest = |at: usize| document["results"][at]["digest"].as_str().unwrap();
    assert_eq!(digest(0), document["results"][0]["evidence"]["digest"]);
    assert_eq!(digest(1), unsigned("bare").digest().to_string());
    assert_eq!(digest(2), unsigned("bare2").digest().to_string());
    // With a platform it is that of its manifest.
    let platform = ["--platform", "linux/amd64"];
    let (_, document) = shop.run(&[&verify[..], &platform, &tags[..1]].concat());
    assert_eq!(
        document["results"][0]["digest"],
        document["results"][0]["manifest"]
    );

    let mut shell = shop.shell();
    shell.line(
        "countersign verify --policy policy.yaml --trusted-root root.json registry.example.org/acme/app:bare \
         registry.example.org/acme/app:bare2",
    );
    assert_snapshot!(shell.end(), @r"
    $ countersign verify --policy policy.yaml --trusted-root root.json registry.example.org/acme/app:bare registry.example.org/acme/app:bare2
    error: registry.example.org/acme/app:bare (sha256:A…) is not signed: no signature was found
      hint: sign the image in its CI with `countersign sign` or `cosign sign` (cosign 3, or 2.6 with --new-bundle-format)
    error: registry.example.org/acme/app:bare2 (sha256:B…) is not signed: no signature was found
      hint: sign the image in its CI with `countersign sign` or `cosign sign` (cosign 3, or 2.6 with --new-bundle-format)
    [exit code 3]
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_early_names_what_was_not_judged_and_speaks_of_no_files() {
    let shop = shop().await;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let slow = silent.local_addr().unwrap().to_string();
    let app = format!("{}/acme/app:bare", shop.registry.host());
    let (one, two) = (format!("{slow}/app:one"), format!("{slow}/app:two"));
    let judged = ["--policy", "policy.yaml", "--trusted-root", "root.json"];
    let arguments = [
        &["verify", "--timeout", "3s"],
        &judged[..],
        &[&app, &one, &two],
    ]
    .concat();
    let (code, document) = shop.run(&arguments);
    assert_eq!((code, failed(&document)), (3, vec![("unsigned", 3)]));
    assert_eq!(
        document["error"]["not_judged"],
        serde_json::json!([one, two])
    );
    let (_, _, told) = shop.shown(&arguments);
    assert!(
        told.contains(&format!("not judged: {one}, {two}")),
        "{told}"
    );
    let waited = format!("the first of them, {one}, was still waited for");
    assert!(told.contains(&waited), "{told}");
    assert!(!told.contains("unfinished"), "{told}");
}
