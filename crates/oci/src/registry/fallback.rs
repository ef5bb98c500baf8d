//! Writing the referrers list of a registry without the referrers API: the index at the subject's
//! fallback tag (OCI distribution specification 1.1, "Referrers Tag Schema").
//!
//! The list is read, changed and written back without a lock, so another writer can undo our
//! change. We take it for done only when our entry is there when read back after a pause longer
//! than a read and a write take: a writer that had read the list before we wrote has written by
//! then. Entries and fields that we don't know are left as they are.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::Registry;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::manifest::{Descriptor, Document, ManifestError, ResolvedImage, media_type};
use crate::reference::Repository;

impl Registry {
    /// Sees to it that the list of `subject` has `entry`.
    pub(super) async fn list_by_tag(
        &self,
        repository: &Repository,
        subject: &Digest,
        entry: &Descriptor,
    ) -> Result<()> {
        let retries = &self.options().retries;
        let tag = subject.referrers_tag();
        let what = format!("the list of referrers of {repository}@{subject}");
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(retries.pause)
            .with_max_delay(retries.longest_pause)
            .with_factor(1.5)
            .with_jitter()
            .with_max_times(retries.merge_rounds)
            .build();
        let mut written = false;
        loop {
            let started = Instant::now();
            let mut list = self.list_at(repository, &tag, &what).await?;
            if list.names(&entry.digest) {
                return Ok(());
            }
            if written {
                tracing::debug!(%subject, "another writer has overwritten the list of referrers");
            }
            list.add(entry);
            let index = list.into_image(repository, &what)?;
            self.put_manifest(&index, media_type::OCI_INDEX, &tag)
                .await?;
            written = true;
            let Some(pause) = pauses.next() else {
                return Err(Error::Contended {
                    what,
                    rounds: retries.merge_rounds,
                });
            };
            tokio::time::sleep(settled(pause, started.elapsed())).await;
        }
    }

    async fn list_at(&self, repository: &Repository, tag: &str, what: &str) -> Result<List> {
        match self.document(repository, tag, what).await {
            Ok(served) => List::read(&served.bytes, served.media_type.as_deref(), what),
            Err(Error::NotFound { .. }) => Ok(List::empty()),
            Err(other) => Err(other),
        }
    }
}

/// Long enough for another writer to have finished, judged by how long we took.
fn settled(pause: Duration, round: Duration) -> Duration {
    pause.max(round.saturating_mul(2))
}

/// An index as JSON, so that nothing in it gets lost.
struct List {
    fields: Map<String, Value>,
    manifests: Vec<Value>,
}

impl List {
    fn empty() -> Self {
        let mut fields = Map::new();
        fields.insert("schemaVersion".into(), json!(2));
        fields.insert("mediaType".into(), json!(media_type::OCI_INDEX));
        Self {
            fields,
            manifests: Vec::new(),
        }
    }

    fn read(bytes: &[u8], content_type: Option<&str>, what: &str) -> Result<Self> {
        let unreadable = |source| Error::Manifest {
            what: what.into(),
            source,
        };
        if let Document::Manifest(_) = Document::parse(bytes, content_type).map_err(unreadable)? {
            // Whatever it is, it isn't ours to overwrite.
            return Err(unreadable(ManifestError::NoIndex));
        }
        let json = |e| unreadable(ManifestError::Json(e));
        let mut fields: Map<String, Value> = serde_json::from_slice(bytes).map_err(json)?;
        let manifests = match fields.remove("manifests") {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        };
        Ok(Self { fields, manifests })
    }

    fn names(&self, digest: &Digest) -> bool {
        let wanted = digest.to_string();
        let digests = self.manifests.iter().map(|entry| entry.get("digest"));
        digests
            .flatten()
            .any(|found| found.as_str() == Some(&wanted))
    }

    fn add(&mut self, entry: &Descriptor) {
        self.manifests.push(json!(entry));
    }

    fn into_image(mut self, repository: &Repository, what: &str) -> Result<ResolvedImage> {
        let manifests = Value::Array(self.manifests);
        self.fields.insert("manifests".into(), manifests);
        let bytes = Bytes::from(Value::Object(self.fields).to_string());
        ResolvedImage::from_bytes(repository, bytes, Some(media_type::OCI_INDEX)).map_err(
            |source| Error::Manifest {
                what: what.into(),
                source,
            },
        )
    }
}
