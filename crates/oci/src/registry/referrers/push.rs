//! Pushes referrers. If a registry has no referrers API, the client writes the list itself: an
//! index at the subject's fallback tag (OCI distribution specification 1.1, "Referrers Tag
//! Schema").
//!
//! The list is read, changed and written back without a lock, so another client can overwrite our
//! change. We read the list again after a pause that is longer than one read and one write take. By
//! then, a client that read the list before our write has written its own. If our entry is still
//! there, it stays.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use tokio::time::Instant;

use super::super::Registry;
use super::super::entries::ListError;
use super::super::manifests::{Outgoing, parse_outgoing};
use super::open_list::OpenList;
use crate::descriptor::{Descriptor, media_type};
use crate::document::Document;
use crate::error::{Error, Result};
use crate::manifest::ManifestError;
use crate::options::Retries;
use crate::reference::{PinnedReference, Repository};
use crate::resolved::ResolvedImage;

impl Registry {
    /// Pushes a manifest with a `subject` by digest, and makes sure that the subject's list of
    /// referrers has it. A registry with the referrers API does this itself. Otherwise the client
    /// writes the entry into the list at the fallback tag, and reads it back.
    ///
    /// # Errors
    /// [`Error::Manifest`], before any request, if `bytes` are not a manifest of `media_type` or
    /// have no `subject`; [`Error::Contended`], if others overwrote the list each time;
    /// [`Error::NoReferrers`], if the registry can't keep a list; others about access, network and
    /// the registry.
    pub async fn push_referrer(
        &self,
        repository: &Repository,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<ResolvedImage> {
        let image = parse_outgoing(repository, media_type, bytes)?;
        let subject = image.document().subject().cloned();
        let subject = subject.ok_or_else(|| Error::Manifest {
            what: image.reference().to_string(),
            source: ManifestError::NoSubject,
        })?;
        let digest = image.digest().to_string();
        let outgoing = Outgoing::of(&image, media_type);
        let indexed = self.put_manifest(repository, &digest, &outgoing).await?;
        let indexed = indexed.is_some_and(|found| found == subject.digest.to_string());
        let subject = repository.at(subject.digest);
        // Some registries send this header although they don't have the API, because the software
        // behind them does.
        if !(indexed && self.lists_referrers(repository, &subject).await?) {
            self.list_by_tag(repository, &subject, &listed(&image))
                .await?;
        }
        Ok(image)
    }

    /// Makes sure that the list of `subject` has `entry`.
    async fn list_by_tag(
        &self,
        repository: &Repository,
        subject: &PinnedReference,
        entry: &Descriptor,
    ) -> Result<()> {
        let retries = &self.options().retries;
        let tag = subject.digest().referrers_tag();
        let what = format!("the list of referrers of {subject}");
        let mut pauses = rounds(retries);
        let mut written = false;
        loop {
            let started = Instant::now();
            let list = match self
                .list_at(repository, subject, &tag, &what, entry)
                .await?
            {
                Found::List(list) if list.names_it() => return Ok(()),
                Found::List(list) => list,
                Found::Subject if written => {
                    return Err(Error::NoReferrers {
                        subject: subject.to_string(),
                        tag,
                        source: None,
                    });
                }
                Found::Subject => OpenList::empty(),
            };
            if written {
                tracing::debug!(%subject, "another writer has overwritten the list of referrers");
            }
            let index = Outgoing {
                media_type: media_type::OCI_INDEX,
                bytes: list.with(entry),
                what: what.clone(),
            };
            let put = self.put_manifest(repository, &tag, &index).await;
            put.map_err(|error| refused(error, subject, &tag))?;
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

    async fn list_at(
        &self,
        repository: &Repository,
        subject: &PinnedReference,
        tag: &str,
        what: &str,
        entry: &Descriptor,
    ) -> Result<Found> {
        let served = match self.served(repository, tag, what).await {
            Ok(served) => served,
            Err(Error::NotFound { .. }) => return Ok(Found::List(OpenList::empty())),
            Err(other) => return Err(other),
        };
        // If the fallback tag doesn't exist, GitLab answers with the image whose digest is in the
        // tag's name. Writing the list at the tag changes nothing about the image.
        if subject.digest().matches(&served.bytes) {
            return Ok(Found::Subject);
        }
        let limit = self.options().limits.referrers;
        match OpenList::read(&served.bytes, limit, &entry.digest) {
            Ok(list) => Ok(Found::List(list)),
            // Another image at this tag is an error. It isn't ours, so don't overwrite it.
            Err(ListError::Form(source)) => Err(Error::Manifest {
                what: what.into(),
                source,
            }),
            Err(ListError::TooMany(limit)) => Err(Error::Limit {
                what: what.into(),
                limit: limit as u64,
                unit: "referrers",
            }),
        }
    }
}

/// A referrer's descriptor for its subject's list, with the manifest's annotations and artifact
/// type. Without an artifact type, the media type of the config is used.
pub(in crate::registry) fn listed(image: &ResolvedImage) -> Descriptor {
    let document = image.document();
    let config = match document {
        Document::Manifest(manifest) => Some(&manifest.config.media_type),
        Document::Index(_) => None,
    };
    Descriptor {
        artifact_type: document
            .artifact_type()
            .or(config.map(String::as_str))
            .map(str::to_owned),
        annotations: document.annotations().clone(),
        ..image.descriptor()
    }
}

/// What the fallback tag names.
enum Found {
    List(OpenList),
    /// The image itself.
    Subject,
}

/// Turns a registry's refusal of a list into [`Error::NoReferrers`]. Statuses that may pass stay as
/// they are.
fn refused(error: Error, subject: &PinnedReference, tag: &str) -> Error {
    match error {
        Error::Status {
            status: 400..=407 | 409..=428 | 430..=499,
            ..
        } => Error::NoReferrers {
            subject: subject.to_string(),
            tag: tag.to_owned(),
            source: Some(Box::new(error)),
        },
        Error::Status { .. }
        | Error::NotFound { .. }
        | Error::Unauthorized { .. }
        | Error::Network { .. }
        | Error::TooSlow { .. }
        | Error::Redirect { .. }
        | Error::Protocol { .. }
        | Error::DigestMismatch { .. }
        | Error::SizeMismatch { .. }
        | Error::Limit { .. }
        | Error::Contended { .. }
        | Error::Full { .. }
        | Error::NoReferrers { .. }
        | Error::Manifest { .. }
        | Error::Platform(_)
        | Error::WrongPlatform { .. }
        | Error::Layout { .. }
        | Error::Credentials { .. }
        | Error::Configuration { .. }
        | Error::Io { .. } => error,
    }
}

/// The pauses after each write of what other clients may be writing too.
pub(in crate::registry) fn rounds(retries: &Retries) -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(retries.pause)
        .with_max_delay(retries.longest_pause)
        .with_factor(1.5)
        .with_jitter()
        .with_max_times(retries.merge_rounds)
        .build()
}

/// How long another client may need to finish its write: at least twice the time that we needed.
pub(in crate::registry) fn settled(pause: Duration, round: Duration) -> Duration {
    pause.max(round.saturating_mul(2))
}
