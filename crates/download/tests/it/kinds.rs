//! Every kind of source, from end to end. A new kind doesn't compile here until its content is made.

use std::fs;
use std::path::Path;

use countersign_download::{Integrity, Source, samples};
use countersign_sandbox::image::Layout;
use wiremock::MockServer;

use crate::archives::tarball::{serve, tarball};
use crate::archives::{install, open};
use crate::shop::{EARLIER, PATH, Shop, installed};
use crate::stage::{SIGNER, app};

#[tokio::test]
async fn every_kind_of_source_is_installed_and_changelog_names_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let changelog = fs::read_to_string(root.join("CHANGELOG.md")).unwrap();
    let shop = Shop::open().await;
    let server = MockServer::start().await;
    for source in samples::sources() {
        let at = shop.root.path().join("content");
        let uri = make(&source, &shop, &server, &at).await;
        let index = format!("[{{name: app, uri: '{uri}'}}]");
        let plan = open(&index, Integrity::Permissive).unwrap();
        assert_eq!(plan.sources()[0].source.kind(), source.kind());
        installed(install(&shop, &plan).await);
        assert_eq!(shop.version("app").unwrap(), "v1", "{}", source.kind());
        shop.remove("app").await;
        if at.exists() {
            fs::remove_dir_all(&at).unwrap();
        }
        let (_article, noun) = source.kind().split_once(' ').unwrap();
        let named = changelog.contains(noun);
        assert!(named, "CHANGELOG.md doesn't name {}", source.kind());
    }
}

/// Makes content of this kind, and returns what an index calls it.
async fn make(source: &Source, shop: &Shop, server: &MockServer, at: &Path) -> String {
    let image = app("linux/amd64", "v1");
    match source {
        Source::Image { .. } => {
            shop.publish(&image, "latest", SIGNER, EARLIER);
            format!("{}/{PATH}:latest", shop.primary().host())
        }
        Source::Layout { .. } => {
            let layout = Layout::new().image(&image, Some("v1"));
            layout.write_to(at).unwrap();
            format!("ocifile://{}", at.display())
        }
        Source::Tarball(_) => {
            serve(server, "/app.tar.gz", &tarball("v1")).await;
            format!("{}/app.tar.gz", server.uri())
        }
        Source::Directory { .. } => {
            fs::create_dir(at).unwrap();
            fs::write(at.join("version"), "v1").unwrap();
            format!("file://{}", at.display())
        }
    }
}
