//! Walks an index and the indexes in it, level by level, within bounds.
//!
//! What is beyond a bound is an error, and never left out: whoever asks for everything that an index lists must
//! not take a part for it.

use std::collections::{HashSet, VecDeque};

use super::Registry;
use super::select::{DOCUMENTS_MAX, INDEX_DEPTH_MAX};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::resolved::ResolvedImage;

/// An index to read.
pub(super) struct Step {
    pub(super) index: ResolvedImage,
    /// The indexes below the searched one that lead to what this index lists, outermost first.
    pub(super) path: Vec<ResolvedImage>,
}

/// A walk through the indexes of one image. Its user decides which children are fetched.
pub(super) struct IndexWalk<'a> {
    registry: &'a Registry,
    outermost: &'a ResolvedImage,
    fetched: u64,
    seen: HashSet<Digest>,
    steps: VecDeque<Step>,
}

impl<'a> IndexWalk<'a> {
    pub(super) fn new(registry: &'a Registry, outermost: &'a ResolvedImage) -> Self {
        let first = Step {
            index: outermost.clone(),
            path: Vec::new(),
        };
        Self {
            registry,
            outermost,
            fetched: 0,
            seen: HashSet::from([outermost.digest().clone()]),
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
        self.fetched += 1;
        if self.fetched > DOCUMENTS_MAX {
            return Err(self.limit(DOCUMENTS_MAX, "documents"));
        }
        let location = self.outermost.reference().location();
        let child = self.registry.child(location, child).await?;
        Ok(child.requested_as(self.outermost.requested().clone()))
    }

    /// Adds an index that the index of `step` lists. Each is read once.
    ///
    /// # Errors
    /// [`Error::Limit`], if it is nested too deep.
    pub(super) fn add(&mut self, step: &Step, index: ResolvedImage) -> Result<()> {
        if !self.seen.insert(index.digest().clone()) {
            return Ok(());
        }
        let path: Vec<_> = step.path.iter().cloned().chain([index.clone()]).collect();
        // The outermost index is a level too.
        if path.len() >= INDEX_DEPTH_MAX {
            return Err(self.limit(INDEX_DEPTH_MAX as u64, "levels of indexes"));
        }
        self.steps.push_back(Step { index, path });
        Ok(())
    }

    pub(super) fn limit(&self, limit: u64, unit: &'static str) -> Error {
        Error::Limit {
            what: format!("the list of what {} lists", self.outermost.reference()),
            limit,
            unit,
        }
    }
}
