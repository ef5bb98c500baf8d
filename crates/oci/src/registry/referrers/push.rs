//! Pushes referrers. If a registry has no referrers API, the client writes the list itself: an
//! index at the subject's fallback tag (OCI distribution specification 1.1, "Referrers Tag
//! Schema").

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::value::{RawValue, to_raw_value};

use super::super::Registry;
use super::super::append::{Append, Form};
use super::super::entries::ListError;
use super::super::manifests::{Outgoing, Served, parse_outgoing};
use super::ReferrersApi;
use super::open_list::OpenList;
use crate::descriptor::Descriptor;
use crate::document::Document;
use crate::error::{Error, Result};
use crate::manifest::ManifestError;
use crate::reference::{Location, PinnedReference, Repository};
use crate::resolved::ResolvedImage;

/// How many referrers are pushed at the same time.
const AT_ONCE: usize = 4;

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
        let referrer = Referrer::parse(repository, media_type, bytes)?;
        if let Some(unlisted) = self.put_referrer(repository, &referrer).await? {
            self.list_by_tag(repository, &unlisted, &[&referrer.image])
                .await?;
        }
        Ok(referrer.image)
    }

    /// As [`Self::push_referrer`], of several manifests with their media types. They may have different subjects. Where
    /// the client writes the lists, each list is written once for all, and all lists are read back after one pause.
    ///
    /// # Errors
    /// As for [`Self::push_referrer`].
    pub async fn push_referrers(
        &self,
        repository: &Repository,
        manifests: Vec<(&str, Bytes)>,
    ) -> Result<()> {
        let parse = |(media_type, bytes)| Referrer::parse(repository, media_type, bytes);
        let referrers: Vec<Referrer<'_>> =
            manifests.into_iter().map(parse).collect::<Result<_>>()?;
        // One after the other where they have one subject: there are registries that read and write its list without a lock.
        let mut subjects: Vec<Vec<&Referrer<'_>>> = Vec::new();
        for referrer in &referrers {
            let same = |others: &&mut Vec<&Referrer<'_>>| {
                others
                    .first()
                    .is_some_and(|other| other.subject == referrer.subject)
            };
            match subjects.iter_mut().find(same) {
                Some(others) => others.push(referrer),
                None => subjects.push(vec![referrer]),
            }
        }
        // A list: a future with the closure in it would not be `Send` for every lifetime.
        let pushes = subjects.into_iter().map(|referrers| async move {
            let mut pushed = Vec::new();
            for referrer in referrers {
                pushed.push((self.put_referrer(repository, referrer).await?, referrer));
            }
            Ok::<_, Error>(pushed)
        });
        let pushes: Vec<_> = pushes.collect();
        let pushed: Vec<Vec<_>> = stream::iter(pushes).buffered(AT_ONCE).try_collect().await?;
        let mut lists: Vec<(PinnedReference, Vec<&ResolvedImage>)> = Vec::new();
        for (subject, referrer) in pushed.into_iter().flatten() {
            let Some(subject) = subject else { continue };
            match lists.iter_mut().find(|(known, _)| *known == subject) {
                Some((_, listed)) => listed.push(&referrer.image),
                None => lists.push((subject, vec![&referrer.image])),
            }
        }
        // Not a few at a time: what takes long is the pause, in which nothing is asked for.
        let lists = lists.iter();
        let lists = lists.map(|(subject, listed)| self.list_by_tag(repository, subject, listed));
        futures_util::future::try_join_all(lists).await?;
        Ok(())
    }

    /// Whether the registry seems to have no referrers API, so that lists of referrers are kept at fallback tags alone.
    /// `subject` may be missing still. Some registries with the API answer as if they had none then, so what this says is
    /// not remembered.
    ///
    /// # Errors
    /// About access, network and the registry.
    pub async fn seems_to_list_by_tag(&self, subject: &PinnedReference) -> Result<bool> {
        let Location::Registry(repository) = self.place(subject.location()) else {
            return Ok(false);
        };
        let api = match self.referrers_api(&repository) {
            Some(known) => Some(known),
            None => self.ask_for_api(&repository, subject).await?,
        };
        Ok(api == Some(ReferrersApi::Absent))
    }

    /// Pushes a referrer. Returns its subject, if the client has to list it.
    async fn put_referrer(
        &self,
        repository: &Repository,
        referrer: &Referrer<'_>,
    ) -> Result<Option<PinnedReference>> {
        let Referrer {
            image,
            media_type,
            subject,
        } = referrer;
        let digest = image.digest().to_string();
        let outgoing = Outgoing::of(image, media_type);
        let indexed = self.put_manifest(repository, &digest, &outgoing).await?;
        let indexed = indexed.is_some_and(|found| found == subject.digest().to_string());
        // Some registries send this header although they don't have the API, because the software
        // behind them does.
        let listed =
            indexed && self.lists_referrers(repository, subject).await? == ReferrersApi::Present;
        Ok((!listed).then(|| subject.clone()))
    }

    /// Makes sure that the list of `subject` has `referrers`.
    async fn list_by_tag(
        &self,
        repository: &Repository,
        subject: &PinnedReference,
        referrers: &[&ResolvedImage],
    ) -> Result<()> {
        let what = format!("the list of referrers of {subject}");
        let entries = referrers.iter().map(|image| to_raw_value(&listed(image)));
        let entries: Result<_, _> = entries.collect();
        let entries = entries.map_err(|source| Error::Manifest {
            what: format!("an entry for {what}"),
            source: ManifestError::Json(source),
        })?;
        let tag = subject.digest().referrers_tag();
        let limit = self.options().limits.referrers;
        let list = FallbackTag {
            subject,
            tag: &tag,
            what: what.clone(),
            limit,
        };
        let append = Append::new(self, (repository, &tag), list, what, entries, limit);
        Box::pin(append.append_until_kept()).await?;
        Ok(())
    }
}

/// A manifest with a subject.
struct Referrer<'a> {
    image: ResolvedImage,
    media_type: &'a str,
    subject: PinnedReference,
}

impl<'a> Referrer<'a> {
    fn parse(repository: &Repository, media_type: &'a str, bytes: Bytes) -> Result<Self> {
        let image = parse_outgoing(repository, media_type, bytes)?;
        let subject = image.document().subject().cloned();
        let subject = subject.ok_or_else(|| Error::Manifest {
            what: image.reference().to_string(),
            source: ManifestError::NoSubject,
        })?;
        Ok(Self {
            image,
            media_type,
            subject: repository.at(subject.digest),
        })
    }
}

/// Lists of referrers at a fallback tag.
struct FallbackTag<'a> {
    subject: &'a PinnedReference,
    tag: &'a str,
    /// The list's name in errors.
    what: String,
    limit: usize,
}

impl Form for FallbackTag<'_> {
    type List = OpenList;
    type Entry = Box<RawValue>;
    const UNIT: &'static str = "referrers";

    fn key(entry: &Box<RawValue>) -> String {
        OpenList::key(entry)
    }

    fn empty(&self) -> OpenList {
        OpenList::empty()
    }

    async fn read(&self, served: Served, written: bool) -> Result<OpenList> {
        // If the fallback tag doesn't exist, GitLab answers with the image whose digest is in the
        // tag's name. Writing the list at the tag changes nothing about the image.
        if self.subject.digest().matches(&served.bytes) {
            return if written {
                Err(self.no_referrers(None))
            } else {
                Ok(OpenList::empty())
            };
        }
        let what = || self.what.clone();
        OpenList::read(&served.bytes, self.limit).map_err(|error| match error {
            // Another image at this tag is an error. It isn't ours, so don't overwrite it.
            ListError::Form(source) => Error::Manifest {
                what: what(),
                source,
            },
            ListError::TooMany(limit) => Error::Limit {
                what: what(),
                limit: limit as u64,
                unit: "referrers",
            },
        })
    }

    /// Turns a registry's refusal of a list into [`Error::NoReferrers`]. Statuses that may pass stay as
    /// they are.
    fn refused(&self, error: Error) -> Error {
        match error {
            Error::Status {
                status: 400..=407 | 409..=428 | 430..=499,
                ..
            } => self.no_referrers(Some(Box::new(error))),
            other => other,
        }
    }
}

impl FallbackTag<'_> {
    fn no_referrers(&self, source: Option<Box<Error>>) -> Error {
        Error::NoReferrers {
            subject: self.subject.to_string(),
            tag: self.tag.to_owned(),
            source,
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
