//! Writing the referrers list of a registry without the referrers API: the index at the subject's
//! fallback tag (OCI distribution specification 1.1, "Referrers Tag Schema").
//!
//! The list is read, changed and written back without a lock, so another writer can undo our
//! change. We take it for done only when our entry is there when read back after a pause longer
//! than a read and a write take: a writer that had read the list before we wrote has written by
//! then.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::Instant;

use super::Registry;
use super::entries::Entries;
use super::push::Document;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::manifest::{Descriptor, media_type};
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
            let index = Document {
                media_type: media_type::OCI_INDEX,
                bytes: list.into_bytes(),
                what: what.clone(),
            };
            self.put_manifest(repository, &tag, &index).await?;
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

    async fn list_at(&self, repository: &Repository, tag: &str, what: &str) -> Result<Entries> {
        match self.document(repository, tag, what).await {
            // An image manifest there is an error: whatever it is, it isn't ours to overwrite.
            Ok(served) => Entries::read(&served.bytes).map_err(|source| Error::Manifest {
                what: what.into(),
                source,
            }),
            Err(Error::NotFound { .. }) => Ok(Entries::none()),
            Err(other) => Err(other),
        }
    }
}

/// Long enough for another writer to have finished, judged by how long we took.
fn settled(pause: Duration, round: Duration) -> Duration {
    pause.max(round.saturating_mul(2))
}
