//! What people write into galleries and type beside them that is nearly right.

use std::fs;

use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::gallery::{Directory, UNCOVERED, read};

#[test]
fn a_check_says_that_the_index_is_from_another_place_and_that_a_kit_is_none() {
    let galleries = "[{name: acme, url: 'file:gone.yaml', mirrors: ['file:index.yaml']}]";
    let directory = Directory::new(galleries);
    let check = ["gallery", "check", "galleries.yaml"];
    let (code, out, _) = read(&directory.run(&check, &[]));
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.starts_with("warning: acme: the index is not from its first place: "),
        "{out}"
    );
    assert!(out.contains("gone.yaml"), "{out}");
    let (code, ..) = read(&directory.run(&[&check[..], &["--strict"]].concat(), &[]));
    assert_eq!(code, Some(2));
    for command in [
        &check[..2],
        &["audit", "--gallery"],
        &["outdated", "--gallery"],
    ] {
        let store = [("COUNTERSIGN_STORE_DIR", "store")];
        let (code, _, err) = read(&directory.run(&[command, &["ocifile://kit"]].concat(), &store));
        assert_eq!(code, Some(2), "{err}");
        assert!(
            err.contains("found a kit or an image layout: ocifile://kit"),
            "{command:?}: {err}"
        );
    }
}

#[test]
fn an_entry_behind_another_of_its_name_is_not_shown_as_what_is_installed() {
    let directory = Directory::new(UNCOVERED);
    let index =
        "- {name: chat, uri: 'quay.io/a/chat:1'}\n- {name: chat, uri: 'quay.io/a/chat:2'}\n";
    fs::write(directory.0.path().join("index.yaml"), index).unwrap();
    let (code, out, err) = directory.plan(&[]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(!out.contains("quay.io/a/chat:2"), "{out}");
    assert!(out.contains("`chat` stands in the index again"), "{out}");
}

#[test]
fn a_name_that_nothing_is_installed_by_is_shown_with_a_warning() {
    let directory = Directory::new(UNCOVERED);
    let index = "- {name: 'x y', uri: 'quay.io/a/a:1'}\n- {name: chat, uri: 'quay.io/a/chat:2'}\n";
    fs::write(directory.0.path().join("index.yaml"), index).unwrap();
    let says = "it can't be installed by this name: expected a name of at most 128 letters";
    let (code, out, err) = directory.plan(&[]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(out.matches(says).count(), 1, "{out}");
    let json = ["gallery", "show", "galleries.yaml", "--output=json", "x y"];
    let (code, out, _) = read(&directory.run(&json, &[]));
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains(says), "{out}");
}

#[test]
fn sources_that_are_nearly_right_are_answered_with_the_right_form() {
    let directory = Directory::new(UNCOVERED);
    for (uri, says) in [
        ("file:./dir", "expected file:// and an absolute path"),
        ("ocifile:./dir", "expected ocifile:// and an absolute path"),
        ("file:d", "expected file:// and an absolute path"),
        ("ocifile:x", "expected ocifile:// and an absolute path"),
        (
            "https://quay.io/a/chat:1",
            "an image is written without https://",
        ),
        (
            "docker://quay.io/a/chat:1",
            "or an image without any of them",
        ),
    ] {
        let index = format!("[{{name: chat, uri: 'quay.io/a/a:1', mirrors: ['{uri}']}}]");
        fs::write(directory.0.path().join("index.yaml"), index).unwrap();
        let (code, out, err) = read(&directory.run(&["gallery", "check", "index.yaml"], &[]));
        assert_eq!(code, Some(2), "{out}{err}");
        assert!(out.starts_with("error: chat: index.yaml:1:"), "{out}");
        assert!(out.contains(": [0].mirrors[0]: "), "{out}");
        assert!(out.contains(says), "{out}");
    }
}

/// What an index from a server may not name would be found out at each installation.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_from_a_server_that_names_files_of_this_machine_has_an_error() {
    let server = MockServer::start().await;
    let index =
        "- {name: own, uri: 'quay.io/acme/app:1'}\n- {name: files, uri: 'ocifile:///etc/images'}\n";
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_string(index))
        .mount(&server)
        .await;
    let galleries = format!("[{{name: acme, url: '{}/index.yaml'}}]", server.uri());
    let directory = Directory::new(&galleries);
    let check = ["gallery", "check", "--plain-http", "galleries.yaml"];
    let output = directory.run(&check, &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}{errors}");
    assert!(said.contains("error: files: "), "{said}{errors}");
    assert!(said.contains("this machine"), "{said}{errors}");
    assert!(!said.contains("error: own"), "{said}{errors}");
}

/// The hint is by what the TLS library says of such an answer, which a later version of it may say in other words.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_without_tls_is_named_as_one() {
    let server = MockServer::start().await;
    let galleries = format!(
        "[{{name: acme, url: 'https://{}/index.yaml'}}]",
        server.address()
    );
    let directory = Directory::new(&galleries);
    let (code, out, err) = directory.plan(&[]);
    assert_ne!(code, Some(0), "{out}{err}");
    assert!(err.contains("the server answers without TLS"), "{err}");
}
