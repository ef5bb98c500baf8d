//! Adding a referrer to the list at a fallback tag that others write too.

use countersign_oci::{Descriptor, Digest, Error, Index, Registry, Result, media_type};
use countersign_sandbox::{Effect, Fault, Moment, RegistryOptions, RegistryServer};
use serde_json::json;

use super::common::{client, manifest, options};

const PATH: &str = "a/b";

/// A registry without the referrers API.
struct Stage {
    server: RegistryServer,
    subject: Descriptor,
}

fn entry(content: &str) -> Descriptor {
    Descriptor::of(media_type::OCI_MANIFEST, manifest(content).as_bytes())
}

impl Stage {
    /// With a list of these entries at the tag.
    async fn listing(contents: &[&str]) -> Self {
        let stage = Self::new().await;
        stage.put(contents, true);
        stage
    }

    async fn new() -> Self {
        let options = RegistryOptions {
            referrers_api: false,
            ..RegistryOptions::default()
        };
        let server = RegistryServer::start(options).await.unwrap();
        server.put_blob(PATH, "{}");
        for content in ["subject", "old", "theirs"] {
            server.put_manifest(PATH, media_type::OCI_MANIFEST, manifest(content), None);
        }
        let subject = entry("subject");
        Self { server, subject }
    }

    fn tag(&self) -> String {
        self.subject.digest.referrers_tag()
    }

    fn put(&self, contents: &[&str], at_the_tag: bool) -> Digest {
        let entries: Vec<_> = contents.iter().map(|content| entry(content)).collect();
        let index = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_INDEX,
            "manifests": entries,
        });
        let tag = at_the_tag.then(|| self.tag());
        self.server.put_manifest(
            PATH,
            media_type::OCI_INDEX,
            index.to_string(),
            tag.as_deref(),
        )
    }

    fn line(&self, method: &str) -> String {
        format!("{method} /v2/{PATH}/manifests/{}", self.tag())
    }

    /// Once, after that many requests.
    fn misbehaves(&self, method: &str, effect: Effect, after: usize) {
        let fault = Fault::on(&self.line(method), effect).after(after).times(1);
        self.server.add_fault(fault);
    }

    async fn push(&self) -> Result<Digest> {
        self.push_by(&client()).await
    }

    async fn push_by(&self, registry: &Registry) -> Result<Digest> {
        let mut referrer: serde_json::Value = serde_json::from_str(&manifest("ours")).unwrap();
        referrer["subject"] = json!(self.subject);
        let repository = self.server.repository(PATH);
        let bytes = referrer.to_string().into();
        let pushed = registry.push_referrer(&repository, media_type::OCI_MANIFEST, bytes);
        pushed.await.map(|image| image.digest().clone())
    }

    /// Whether the list has exactly these entries, in any order.
    fn has(&self, contents: &[&str], ours: &Digest) -> bool {
        let (_, bytes) = self.server.manifest(PATH, &self.tag()).unwrap();
        let index: Index = serde_json::from_slice(&bytes).unwrap();
        let mut listed: Vec<_> = index.manifests.into_iter().map(|one| one.digest).collect();
        let digests = contents.iter().map(|content| entry(content).digest);
        let mut wanted: Vec<_> = digests.chain([ours.clone()]).collect();
        listed.sort();
        wanted.sort();
        listed == wanted
    }

    fn writes(&self) -> usize {
        let line = self.line("PUT");
        let requests = self.server.requests();
        let writes = requests.iter().filter(|request| request.line() == line);
        writes.count()
    }
}

/// What may be read back after the first write. Read 0 comes before it.
const READ_BACK: usize = 1;

#[tokio::test]
async fn what_others_list_meanwhile_stays() {
    let theirs = || entry("theirs");
    for effect in [
        // They write while ours fails: a repeated write of the same bytes would remove theirs.
        Effect::OvertakenUpdate(theirs()),
        // They overwrite ours.
        Effect::LostUpdate(theirs()),
    ] {
        let stage = Stage::listing(&["old"]).await;
        stage.misbehaves("PUT", effect.clone(), 0);
        let ours = stage.push().await.unwrap();
        assert!(stage.has(&["old", "theirs"], &ours), "{effect:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_is_no_second_write() {
    for contents in [&["old"][..], &[]] {
        let stage = Stage::listing(contents).await;
        stage.misbehaves("PUT", Effect::Disconnect(Moment::AfterServing), 0);
        let ours = stage.push().await.unwrap();
        assert!(stage.has(contents, &ours));
        assert_eq!(stage.writes(), 1);
    }
}

#[tokio::test]
async fn an_entry_that_was_seen_is_written_again_whatever_is_read_later() {
    // The list is gone for a moment: this is no empty list.
    let stage = Stage::listing(&["old"]).await;
    stage.misbehaves("GET", Effect::status(404), READ_BACK);
    let ours = stage.push().await.unwrap();
    assert!(stage.has(&["old"], &ours));
    assert_eq!(stage.writes(), 1);

    // Somebody who has read the tag long ago overwrites all of it.
    let stage = Stage::listing(&["old"]).await;
    stage.misbehaves(
        "GET",
        Effect::Manifests(vec![stage.put(&["theirs"], false)]),
        READ_BACK,
    );
    let ours = stage.push().await.unwrap();
    assert!(stage.has(&["old", "theirs"], &ours));
}

#[tokio::test]
async fn a_first_list_that_is_not_read_back_at_once_is_not_written_again() {
    let stage = Stage::new().await;
    stage.misbehaves("GET", Effect::status(404), READ_BACK);
    let ours = stage.push().await.unwrap();
    assert!(stage.has(&[], &ours));
    assert_eq!(stage.writes(), 1);
}

#[tokio::test]
async fn a_cache_that_answers_late_is_waited_for_and_nothing_written_over_it() {
    let stage = Stage::listing(&["old"]).await;
    let old = stage.server.tagged(PATH, &stage.tag()).unwrap();
    for read in 0..2 {
        stage.misbehaves(
            "GET",
            Effect::Manifests(vec![old.clone()]),
            READ_BACK + read,
        );
    }
    let ours = stage.push().await.unwrap();
    assert!(stage.has(&["old"], &ours));
    assert_eq!(stage.writes(), 1);
}

#[tokio::test]
async fn a_list_that_vanishes_is_an_error() {
    let stage = Stage::listing(&["old"]).await;
    let gone = Fault::on(&stage.line("GET"), Effect::status(404)).after(READ_BACK);
    stage.server.add_fault(gone);
    let error = stage.push().await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    assert_eq!(stage.writes(), 1);
}

#[tokio::test]
async fn a_full_list_is_left_alone() {
    let stage = Stage::listing(&["old", "theirs"]).await;
    let mut options = options();
    options.limits.referrers = 2;
    let error = stage.push_by(&Registry::new(options).unwrap()).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.ends_with(" is full: it has 2 referrers, and 2 are allowed"),
        "{error}"
    );
    assert_eq!(stage.writes(), 0);
}
