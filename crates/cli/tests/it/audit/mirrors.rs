//! An audit asks mirrors as an installation does.

use super::{audit, by_list, stage, states};
use crate::stage::RELEASE;

/// The first source of a tag that has a digest decides for all of them, whether it answers or not.
#[tokio::test]
async fn mirrors_are_asked_for_what_an_installation_would_ask_them_for() {
    let stage = stage().await;
    let host = stage.registry.host();
    stage.write("list.txt", stage.reference("app:proven"));
    let proven = by_list(&stage, &["--output", "json"]).json();
    let digest = proven["results"][0]["digest"].as_str().unwrap();
    let entries = format!(
        "- {{name: by-digest, uri: '{host}/none@{digest}', mirrors: ['{host}/app:unsigned']}}\n\
         - {{name: by-mirror, uri: '{host}/none:1', mirrors: ['{host}/app:proven', '{host}/app:unsigned']}}\n"
    );
    stage.write("index.yaml", entries);
    stage.write("galleries.yaml", stage.gallery("file:index.yaml", RELEASE));
    let gallery = ["--gallery", "galleries.yaml", "--mirrors"];
    let document = audit(&stage, &[&gallery[..], &["--output", "json"]].concat()).json();
    let found = states(&document["results"]);
    assert_eq!(found, ["missing", "proven", "missing", "proven", "proven"]);
    // Nothing here asks for what is forbidden.
    stage.registry.clear_faults();
}
