//! Walks an index and the indexes in it, level by level, within bounds.
//!
//! What is beyond a bound is an error. It is never left out, because a caller who asks for everything that an index
//! lists must not take a part for the whole.

use std::collections::{HashSet, VecDeque};

use super::Registry;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::resolved::ResolvedImage;

/// How deep indexes may be nested, counted with the outermost one. Signing, verifying and installing an image all use
/// it. Real images have one level; `docker buildx imagetools` makes two.
pub const INDEX_DEPTH_MAX: usize = 4;
/// How many manifests, indexes and configurations one search may fetch.
const DOCUMENTS_MAX: u64 = 64;

/// What one walk through an image may fetch and has read. Every walk uses it, in whatever order it walks.
pub(super) struct Budget<'a> {
    registry: &'a Registry,
    outermost: &'a ResolvedImage,
    /// What the walk is, in errors.
    what: String,
    /// How many more documents may be fetched.
    left: u64,
    seen: HashSet<Digest>,
}

impl<'a> Budget<'a> {
    pub(super) fn new(registry: &'a Registry, outermost: &'a ResolvedImage, what: String) -> Self {
        Self {
            registry,
            outermost,
            what,
            left: DOCUMENTS_MAX,
            seen: HashSet::from([outermost.digest().clone()]),
        }
    }

    /// Whether nobody has asked for this digest before.
    pub(super) fn is_new(&mut self, digest: &Digest) -> bool {
        self.seen.insert(digest.clone())
    }

    /// Counts one more document to be fetched.
    ///
    /// # Errors
    /// [`Error::Limit`], if it is one too many.
    pub(super) fn count(&mut self) -> Result<()> {
        let left = self.left.checked_sub(1);
        self.left = left.ok_or_else(|| self.limit(DOCUMENTS_MAX, "documents"))?;
        Ok(())
    }

    /// Fetches a child of an index.
    ///
    /// # Errors
    /// As [`Self::count`] and [`Registry::child`].
    pub(super) async fn fetch(&mut self, child: &Descriptor) -> Result<ResolvedImage> {
        self.count()?;
        let location = self.outermost.reference().location();
        let child = self.registry.child(location, child).await?;
        Ok(child.requested_as(self.outermost.requested().clone()))
    }

    /// Allows an index at the level `depth`. The outermost one is at the first.
    ///
    /// # Errors
    /// [`Error::Limit`], if it is nested too deep.
    pub(super) fn enter(&self, depth: usize) -> Result<()> {
        if depth > INDEX_DEPTH_MAX {
            Err(self.limit(INDEX_DEPTH_MAX as u64, "levels of indexes"))
        } else {
            Ok(())
        }
    }

    pub(super) fn limit(&self, limit: u64, unit: &'static str) -> Error {
        Error::Limit {
            what: self.what.clone(),
            limit,
            unit,
        }
    }
}

/// An index to read.
pub(super) struct Step {
    pub(super) index: ResolvedImage,
    /// The indexes below the searched one that lead to what this index lists, outermost first.
    pub(super) path: Vec<ResolvedImage>,
}

/// A walk through the indexes of one image. Its user decides which children are fetched.
pub(super) struct IndexWalk<'a> {
    budget: Budget<'a>,
    steps: VecDeque<Step>,
}

impl<'a> IndexWalk<'a> {
    pub(super) fn new(registry: &'a Registry, outermost: &'a ResolvedImage) -> Self {
        let first = Step {
            index: outermost.clone(),
            path: Vec::new(),
        };
        let what = format!("the list of what {} lists", outermost.reference());
        Self {
            budget: Budget::new(registry, outermost, what),
            steps: VecDeque::from([first]),
        }
    }

    /// The next index to read. Those of one level come before those of the next.
    pub(super) fn next_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// Fetches a child of an index.
    ///
    /// # Errors
    /// [`Error::Limit`], if it is one too many; as for [`Registry::child`].
    pub(super) async fn fetch(&mut self, child: &Descriptor) -> Result<ResolvedImage> {
        self.budget.fetch(child).await
    }

    /// Adds an index that the index of `step` lists. Each is read once.
    ///
    /// # Errors
    /// [`Error::Limit`], if it is nested too deep.
    pub(super) fn add(&mut self, step: &Step, index: ResolvedImage) -> Result<()> {
        if !self.budget.is_new(index.digest()) {
            return Ok(());
        }
        let path: Vec<_> = step.path.iter().cloned().chain([index.clone()]).collect();
        // The outermost index is a level too.
        self.budget.enter(path.len() + 1)?;
        self.steps.push_back(Step { index, path });
        Ok(())
    }

    pub(super) fn limit(&self, limit: u64, unit: &'static str) -> Error {
        self.budget.limit(limit, unit)
    }
}
