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

    /// What the list of a subject names.
    fn listed(&self, subject: &Descriptor) -> Vec<Digest> {
        let tag = subject.digest.referrers_tag();
        let (_, bytes) = self.server.manifest(PATH, &tag).unwrap();
        let index: Index = serde_json::from_slice(&bytes).unwrap();
        index.manifests.into_iter().map(|one| one.digest).collect()
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
        let repository = self.server.repository(PATH);
        let bytes = referrer("ours", &self.subject).into();
        let pushed = registry.push_referrer(&repository, media_type::OCI_MANIFEST, bytes);
        pushed.await.map(|image| image.digest().clone())
    }

    /// Pushes these referrers together.
    async fn push_all(&self, referrers: &[String]) {
        let manifests = referrers.iter();
        let manifests = manifests.map(|text| (media_type::OCI_MANIFEST, text.clone().into()));
        let repository = self.server.repository(PATH);
        let registry = client();
        let pushed = registry.push_referrers(&repository, manifests.collect());
        pushed.await.unwrap();
    }

    /// Whether the list has exactly these entries, in any order.
    fn has(&self, contents: &[&str], ours: &Digest) -> bool {
        let mut listed = self.listed(&self.subject);
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
    // The second one sees no request that the first one takes.
    for _ in 0..2 {
        stage.misbehaves("GET", Effect::Manifests(vec![old.clone()]), READ_BACK);
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

/// A manifest that refers to `subject`.
fn referrer(remark: &str, subject: &Descriptor) -> String {
    let mut referrer: serde_json::Value = serde_json::from_str(&manifest(remark)).unwrap();
    referrer["subject"] = json!(subject);
    referrer.to_string()
}

#[tokio::test]
async fn several_referrers_are_listed_by_one_write_of_each_list() {
    let stage = Stage::listing(&["old"]).await;
    let other = entry("theirs");
    let all: Vec<String> = ["a", "b", "c"]
        .iter()
        .flat_map(|remark| [&stage.subject, &other].map(|subject| referrer(remark, subject)))
        .collect();
    stage.push_all(&all).await;
    let listed = |subject| stage.listed(subject).len();
    assert_eq!((listed(&stage.subject), listed(&other)), (4, 3));
    let writes = |tag: &str| {
        let line = format!("PUT /v2/{PATH}/manifests/{tag}");
        let requests = stage.server.requests();
        requests.iter().filter(|one| one.line() == line).count()
    };
    let other_tag = other.digest.referrers_tag();
    assert_eq!((stage.writes(), writes(&other_tag)), (1, 1));
    stage.push_all(&all).await;
    assert_eq!((stage.writes(), writes(&other_tag)), (1, 1));
}

/// There are registries that read and write the list of a subject without a lock.
#[tokio::test]
async fn referrers_of_one_subject_are_pushed_one_after_the_other() {
    let stage = Stage::listing(&[]).await;
    let refused = Effect::Status {
        status: 403,
        headers: Vec::new(),
    };
    let fault = Fault::on("PUT *", refused);
    stage.server.add_fault(fault);
    let all = ["a", "b", "c"].map(|remark| referrer(remark, &stage.subject));
    let manifests = all.map(|text| (media_type::OCI_MANIFEST, text.into()));
    let repository = stage.server.repository(PATH);
    let registry = client();
    let pushed = registry.push_referrers(&repository, manifests.into());
    pushed.await.unwrap_err();
    let requests = stage.server.requests();
    let puts = requests.iter().filter(|one| one.line().starts_with("PUT "));
    assert_eq!(puts.count(), 1);
}

#[tokio::test]
async fn of_several_lists_the_one_that_others_overwrite_is_written_again() {
    let stage = Stage::listing(&["old"]).await;
    let other = entry("theirs");
    stage.misbehaves("PUT", Effect::LostUpdate(entry("theirs")), 0);
    let ours = [
        referrer("a", &stage.subject),
        referrer("b", &stage.subject),
        referrer("a", &other),
    ];
    stage.push_all(&ours).await;
    let [first, second, third] = ours.map(|text| Digest::sha256(text.as_bytes()));
    let found = stage.listed(&stage.subject);
    let wanted = [entry("old").digest, entry("theirs").digest, first, second];
    assert_eq!(found.len(), 4);
    assert!(
        wanted.iter().all(|digest| found.contains(digest)),
        "{found:?}"
    );
    assert_eq!(stage.listed(&other), [third]);
    assert_eq!(stage.writes(), 2);
}

#[tokio::test]
async fn whether_lists_are_kept_at_tags_is_known_before_there_is_an_image() {
    for referrers_api in [true, false] {
        let options = RegistryOptions {
            referrers_api,
            ..RegistryOptions::default()
        };
        let server = RegistryServer::start(options).await.unwrap();
        let missing = server.repository(PATH).at(entry("missing").digest);
        let by_tag = client().seems_to_list_by_tag(&missing).await.unwrap();
        assert_eq!(by_tag, !referrers_api);
    }
}

#[tokio::test]
async fn one_client_writes_a_list_one_after_the_other() {
    let stage = Stage::new().await;
    let repository = stage.server.repository(PATH);
    let subject = |remark: &str| {
        let mut referrer: serde_json::Value = serde_json::from_str(&manifest(remark)).unwrap();
        referrer["subject"] = json!(stage.subject);
        referrer.to_string().into_bytes()
    };
    let registry = client();
    let push = |remark| {
        let (registry, bytes) = (registry.clone(), subject(remark));
        let repository = &repository;
        async move {
            let pushed = registry.push_referrer(repository, media_type::OCI_MANIFEST, bytes.into());
            pushed.await.unwrap();
        }
    };
    tokio::join!(push("old"), push("theirs"));
    let tag = format!("/v2/{PATH}/manifests/{}", stage.tag());
    let requests = stage.server.requests();
    let of_list = requests.iter().filter(|request| request.path == tag);
    let methods: Vec<&str> = of_list.map(|request| request.method.as_str()).collect();
    assert_eq!(methods, ["GET", "PUT", "GET", "GET", "PUT", "GET"]);
}
