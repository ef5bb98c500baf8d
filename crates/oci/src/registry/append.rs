//! Appends entries to the document at a tag that other clients write too.
//!
//! The document is read, changed and written back without a lock, and a registry keeps the last write. So:
//!
//! - Each write has every entry that was ever seen at the tag, whatever is read later.
//! - No write is repeated. After each, whether it succeeded or not, the tag is read again. The pause before
//!   is longer than one read and one write take: by then, a client that had read the document before our
//!   write has written its own.
//! - A client and its clones write the document at one tag one after the other: [`Appending`].

use std::collections::HashSet;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use tokio::time::Instant;

use super::Registry;
use super::manifests::{Outgoing, Served};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::http::{AttemptError, pauses};
use crate::lock::KeyedLocks;
use crate::options::Retries;
use crate::reference::Repository;

/// How often after a write the old document is taken for an answer from a cache, and only read again.
const STALE_READS: usize = 2;

/// A document with a list of entries.
pub(super) trait EntryList {
    type Entry: Clone;

    fn entries(&self) -> &[Self::Entry];

    fn append(&mut self, entry: Self::Entry);

    /// A blob that the registry must have before the document.
    fn blob(&self) -> Option<Bytes>;

    fn media_type(&self) -> &str;

    fn bytes(&self) -> Bytes;
}

/// What the documents at a tag are like.
pub(super) trait Form {
    type List: EntryList<Entry = Self::Entry>;
    type Entry: Clone;
    /// What the entries are, in errors.
    const UNIT: &'static str;

    /// Entries with the same key are the same.
    fn key(entry: &Self::Entry) -> String;

    /// The document of a tag that doesn't exist.
    fn empty(&self) -> Self::List;

    /// Reads what the tag names. `written`: whether the registry has accepted a write of ours before.
    async fn read(&self, served: Served, written: bool) -> Result<Self::List>;

    /// Changes the error of a write.
    fn refused(&self, error: Error) -> Error;
}

/// Entries on their way into the document at a tag.
pub(super) struct Append<'a, F: Form> {
    registry: &'a Registry,
    repository: &'a Repository,
    tag: &'a str,
    form: F,
    /// The document's name in errors.
    what: String,
    entries: Vec<F::Entry>,
    limit: usize,
    seen: Seen<F>,
    written: Option<Written>,
}

/// A write that the registry accepted.
struct Written {
    /// What the tag named before.
    replaced: Option<Digest>,
    /// How often that was still read.
    stale: usize,
}

/// What a round has come to.
enum Round {
    /// All entries are there, in this document.
    Complete(Digest),
    /// The tag was written or is being written, so it has to be read again.
    Unsettled,
}

impl<'a, F: Form> Append<'a, F> {
    /// `what` is the document's name in errors. It gets at most `limit` entries, and of those with the same key the first.
    pub(super) fn new(
        registry: &'a Registry,
        (repository, tag): (&'a Repository, &'a str),
        form: F,
        what: String,
        mut entries: Vec<F::Entry>,
        limit: usize,
    ) -> Self {
        let mut keys = HashSet::new();
        entries.retain(|entry| keys.insert(F::key(entry)));
        Self {
            registry,
            repository,
            tag,
            form,
            what,
            entries,
            limit,
            seen: Seen::default(),
            written: None,
        }
    }

    /// Writes and reads until the document at the tag has all entries. Returns its digest.
    pub(super) async fn append_until_kept(mut self) -> Result<Digest> {
        let place = (self.repository.clone(), self.tag.to_owned());
        let _turn = self.registry.shared.appending.turn(place).await;
        let retries = &self.registry.options().retries;
        let (mut rounds, mut failures) = (rounds(retries), pauses(retries));
        loop {
            let started = Instant::now();
            let pause = match self.round().await {
                Ok(Round::Complete(digest)) => return Ok(digest),
                Ok(Round::Unsettled) => {
                    failures = pauses(retries);
                    rounds.next().ok_or_else(|| Error::Contended {
                        what: self.what.clone(),
                        rounds: retries.merge_rounds,
                    })?
                }
                Err(failure) => match failure.pause(failures.next(), retries) {
                    Some(pause) => pause,
                    None => return Err(failure.error),
                },
            };
            tokio::time::sleep(settled(pause, started.elapsed())).await;
        }
    }

    /// Reads the tag, and writes what it lacks. A write that fails may have been made all the same, so it
    /// isn't repeated here: the next round begins with reading.
    async fn round(&mut self) -> Result<Round, AttemptError> {
        let (before, mut list) = match self.served().await? {
            None => (None, self.form.empty()),
            Some(served) => {
                let digest = Digest::sha256(&served.bytes);
                let list = self.form.read(served, self.written.is_some()).await?;
                (Some(digest), list)
            }
        };
        self.seen.add_all(list.entries());
        let missing = self.missing(&list);
        if let Some(digest) = &before
            && missing.is_empty()
        {
            return Ok(Round::Complete(digest.clone()));
        }
        if let Some(written) = &mut self.written
            && written.replaced == before
            && written.stale < STALE_READS
        {
            written.stale += 1;
            tracing::debug!(tag = %self.what, "the registry still answers with what was there before");
            return Ok(Round::Unsettled);
        }
        let found = list.entries().len();
        if found + missing.len() > self.limit {
            return Err(self.full(found).into());
        }
        missing.into_iter().for_each(|entry| list.append(entry));
        if let Some(blob) = list.blob() {
            self.registry.push_blob(self.repository, blob).await?;
            // Between the first read and this one lie several requests.
            let now = self.served().await?;
            if now.map(|served| Digest::sha256(&served.bytes)) != before {
                return Ok(Round::Unsettled);
            }
        }
        self.write(&list).await?;
        self.seen.add_all(list.entries());
        self.written = Some(Written {
            replaced: before,
            stale: 0,
        });
        Ok(Round::Unsettled)
    }

    /// Those of the seen entries and of ours that `list` lacks.
    fn missing(&self, list: &F::List) -> Vec<F::Entry> {
        let there: HashSet<String> = list.entries().iter().map(F::key).collect();
        let lacks = |entry: &&F::Entry| !there.contains(&F::key(entry));
        let ours = self.entries.iter().filter(|entry| !self.seen.has(entry));
        let wanted = self.seen.entries.iter().chain(ours);
        wanted.filter(lacks).cloned().collect()
    }

    /// What the tag names. That there is no such tag may pass, if there was one.
    async fn served(&self) -> Result<Option<Served>, AttemptError> {
        let served = self.registry.served(self.repository, self.tag, &self.what);
        match served.await {
            Ok(served) => Ok(Some(served)),
            Err(Error::NotFound { .. }) if self.seen.entries.is_empty() => Ok(None),
            Err(error @ Error::NotFound { .. }) => Err(AttemptError::passing(error)),
            Err(other) => Err(other.into()),
        }
    }

    async fn write(&self, list: &F::List) -> Result<(), AttemptError> {
        let outgoing = Outgoing {
            media_type: list.media_type(),
            bytes: list.bytes(),
            what: self.what.clone(),
        };
        let put = self
            .registry
            .put_manifest_once(self.repository, self.tag, &outgoing);
        let put = put.await;
        put.map_err(|failure| failure.map(|error| self.form.refused(error)))?;
        Ok(())
    }

    fn full(&self, found: usize) -> Error {
        Error::Full {
            what: self.what.clone(),
            found,
            limit: self.limit,
            unit: F::UNIT,
        }
    }
}

/// Who appends to what is at a tag, of a client and its clones: by the repository and the tag.
pub(super) type Appending = KeyedLocks<(Repository, String)>;

/// The entries that were read or written, each once.
struct Seen<F: Form> {
    keys: HashSet<String>,
    entries: Vec<F::Entry>,
}

impl<F: Form> Default for Seen<F> {
    fn default() -> Self {
        Self {
            keys: HashSet::new(),
            entries: Vec::new(),
        }
    }
}

impl<F: Form> Seen<F> {
    fn add_all(&mut self, entries: &[F::Entry]) {
        for entry in entries {
            if self.keys.insert(F::key(entry)) {
                self.entries.push(entry.clone());
            }
        }
    }

    fn has(&self, entry: &F::Entry) -> bool {
        self.keys.contains(&F::key(entry))
    }
}

/// The pauses after each write of what other clients may be writing too. The first has no jitter: that several
/// clients write at the same moment is only known after it.
fn rounds(retries: &Retries) -> impl Iterator<Item = Duration> {
    let later = ExponentialBuilder::new()
        .with_min_delay(retries.pause)
        .with_max_delay(retries.longest_pause)
        .with_factor(1.5)
        .with_jitter()
        .with_max_times(retries.merge_rounds.saturating_sub(1))
        .build();
    std::iter::once(retries.pause)
        .take(retries.merge_rounds)
        .chain(later)
}

/// How long another client may need to finish its write: at least twice the time that we needed.
fn settled(pause: Duration, round: Duration) -> Duration {
    pause.max(round.saturating_mul(2))
}
