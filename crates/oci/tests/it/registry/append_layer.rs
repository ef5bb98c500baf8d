//! Appending a layer to a manifest at a tag that others write too.

use countersign_oci::{
    Descriptor, Digest, Error, Manifest, ManifestError, Registry, Result, media_type,
};
use countersign_sandbox::{Effect, Fault, RegistryOptions, RegistryServer};
use serde_json::json;

use super::common::client;

const PATH: &str = "a/b";
const TAG: &str = "sha256-0.sig";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LIMIT: usize = 4;

/// A registry with a manifest at the tag.
struct Stage {
    server: RegistryServer,
}

fn layer(content: &str) -> Descriptor {
    Descriptor::of("application/x", content.as_bytes())
}

impl Stage {
    /// The manifest has a layer for each of these contents.
    async fn new(contents: &[&str]) -> Self {
        let server = RegistryServer::start(RegistryOptions::default());
        let server = server.await.unwrap();
        for content in ["old", "theirs", "ours", "more"] {
            server.put_blob(PATH, content);
        }
        let stage = Self { server };
        stage.put(contents, Some(TAG));
        stage
    }

    fn put(&self, contents: &[&str], tag: Option<&str>) -> Digest {
        self.put_as(media_type::OCI_MANIFEST, (CONFIG, "{}"), contents, tag)
    }

    fn put_as(
        &self,
        media_type: &str,
        (config_type, config): (&str, &'static str),
        contents: &[&str],
        tag: Option<&str>,
    ) -> Digest {
        self.server.put_blob(PATH, config);
        let layers = contents.iter().map(|content| layer(content));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": Descriptor::of(config_type, config.as_bytes()),
            "layers": layers.collect::<Vec<_>>(),
        });
        let manifest = manifest.to_string();
        self.server.put_manifest(PATH, media_type, manifest, tag)
    }

    fn misbehaves(&self, method: &str, effect: Effect, after: usize) {
        let line = format!("{method} /v2/{PATH}/manifests/{TAG}");
        self.server
            .add_fault(Fault::on(&line, effect).after(after).times(1));
    }

    async fn append(&self, registry: &Registry) -> Result<Digest> {
        let repository = self.server.repository(PATH);
        registry
            .append_layers(&repository, TAG, &[layer("ours")], LIMIT)
            .await
    }

    fn manifest(&self) -> (String, Manifest) {
        let (media_type, bytes) = self.server.manifest(PATH, TAG).unwrap();
        (media_type, serde_json::from_slice(&bytes).unwrap())
    }

    /// Whether the tag has exactly these layers, in any order.
    fn has(&self, contents: &[&str]) -> bool {
        let (_, manifest) = self.manifest();
        manifest.layers.len() == contents.len()
            && contents
                .iter()
                .all(|content| manifest.layers.contains(&layer(content)))
    }

    fn writes(&self) -> usize {
        let requests = self.server.requests();
        let line = format!("PUT /v2/{PATH}/manifests/{TAG}");
        let writes = requests.iter().filter(|request| request.line() == line);
        writes.count()
    }
}

/// What may be read back after the first write. Reads 0 and 1 come before it.
const READ_BACK: usize = 2;

#[tokio::test]
async fn what_others_add_meanwhile_stays() {
    let theirs = || layer("theirs");
    for (method, effect) in [
        // They write between our read and our write.
        ("GET", Effect::WriteAfterRead(theirs())),
        // They write while ours fails: a repeated write of the same bytes would remove theirs.
        ("PUT", Effect::OvertakenUpdate(theirs())),
        // They overwrite ours.
        ("PUT", Effect::LostUpdate(theirs())),
    ] {
        let stage = Stage::new(&["old"]).await;
        stage.misbehaves(method, effect.clone(), 0);
        stage.append(&client()).await.unwrap();
        assert!(stage.has(&["old", "theirs", "ours"]), "{effect:?}");
    }
}

#[tokio::test]
async fn a_layer_that_was_seen_is_written_again_whatever_is_read_later() {
    for stale in [true, false] {
        let stage = Stage::new(&["old"]).await;
        let older = stage.put(&[], None);
        let effect = if stale {
            Effect::Manifests(vec![older])
        } else {
            Effect::status(404)
        };
        stage.misbehaves("GET", effect, READ_BACK);
        stage.append(&client()).await.unwrap();
        assert!(stage.has(&["old", "ours"]), "stale: {stale}");
    }
    // Somebody who has read the tag long ago overwrites all of it.
    let stage = Stage::new(&["old"]).await;
    let theirs = stage.put(&["theirs"], None);
    let registry = client();
    stage.misbehaves("GET", Effect::Manifests(vec![theirs]), READ_BACK);
    stage.append(&registry).await.unwrap();
    assert!(stage.has(&["old", "theirs", "ours"]));
}

#[tokio::test]
async fn a_cache_that_answers_late_is_waited_for_and_nothing_written_over_it() {
    let stage = Stage::new(&["old"]).await;
    let old = stage.server.tagged(PATH, TAG).unwrap();
    // The second one sees no request that the first one takes.
    for _ in 0..2 {
        let effect = Effect::Manifests(vec![old.clone()]);
        stage.misbehaves("GET", effect, READ_BACK);
    }
    stage.append(&client()).await.unwrap();
    assert!(stage.has(&["old", "ours"]));
    assert_eq!(stage.writes(), 1);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_no_second_write() {
    let stage = Stage::new(&["old"]).await;
    let lost = Effect::Disconnect(countersign_sandbox::Moment::AfterServing);
    stage.misbehaves("PUT", lost, 0);
    stage.append(&client()).await.unwrap();
    assert!(stage.has(&["old", "ours"]));
    assert_eq!(stage.writes(), 1);
}

#[tokio::test]
async fn a_tag_that_has_vanished_is_an_error() {
    let stage = Stage::new(&["old"]).await;
    let line = format!("GET /v2/{PATH}/manifests/{TAG}");
    let gone = Fault::on(&line, Effect::status(404)).after(READ_BACK);
    stage.server.add_fault(gone);
    let error = stage.append(&client()).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    assert_eq!(stage.writes(), 1);
}

#[tokio::test]
async fn a_tag_that_does_not_exist_is_created() {
    let stage = Stage::new(&[]).await;
    stage.server.untag(PATH, TAG);
    let written = stage.append(&client()).await.unwrap();
    assert_eq!(stage.server.tagged(PATH, TAG), Some(written));
    let (media_type, manifest) = stage.manifest();
    assert_eq!(media_type, media_type::OCI_MANIFEST);
    assert_eq!(manifest.layers, [layer("ours")]);
    // The layer is there.
    stage.append(&client()).await.unwrap();
    assert_eq!(stage.writes(), 1);
}

#[tokio::test]
async fn dockers_media_types_stay() {
    let stage = Stage::new(&[]).await;
    let config = "application/vnd.docker.container.image.v1+json";
    stage.put_as(
        media_type::DOCKER_MANIFEST,
        (config, "{}"),
        &["old"],
        Some(TAG),
    );
    stage.append(&client()).await.unwrap();
    let (media_type, manifest) = stage.manifest();
    assert_eq!(media_type, media_type::DOCKER_MANIFEST);
    assert_eq!(
        manifest.media_type.as_deref(),
        Some(media_type::DOCKER_MANIFEST)
    );
    assert_eq!(manifest.config.media_type, config);
    assert!(stage.has(&["old", "ours"]));
}

#[tokio::test]
async fn what_can_not_be_kept_whole_is_left_alone() {
    let stage = Stage::new(&[]).await;
    let binary = (CONFIG, "\u{1f}\u{8b}");
    let before = stage.put_as(media_type::OCI_MANIFEST, binary, &["old"], Some(TAG));
    let error = stage.append(&client()).await.unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Manifest {
                source: ManifestError::Configuration(_),
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(stage.server.tagged(PATH, TAG), Some(before));

    let stage = Stage::new(&["old", "theirs", "more", "old"]).await;
    let error = stage.append(&client()).await.unwrap_err();
    let said = format!(
        "{}:{TAG} is full: it has 4 layers, and 4 are allowed",
        stage.server.repository(PATH)
    );
    assert_eq!(error.to_string(), said);
    assert_eq!(stage.writes(), 0);
}

#[tokio::test]
async fn a_layer_that_is_named_twice_is_appended_once() {
    let stage = Stage::new(&["old"]).await;
    let repository = stage.server.repository(PATH);
    let layers = [layer("ours"), layer("more"), layer("ours")];
    let appended = client();
    let appended = appended.append_layers(&repository, TAG, &layers, LIMIT);
    appended.await.unwrap();
    assert!(stage.has(&["old", "ours", "more"]));
}
