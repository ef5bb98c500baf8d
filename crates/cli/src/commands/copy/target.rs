//! Where images are copied to: a repository, or a layout on this machine.

use std::error::Error;

use countersign_oci::{LayoutPath, Reference, Repository};

use crate::operand;

/// Where an image is copied to.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A repository, and the tag to write.
    Repository {
        repository: Repository,
        tag: Option<String>,
    },
    /// A layout.
    Layout(LayoutPath),
}

impl Target {
    /// Reads NAME, NAME:TAG or `ocifile://PATH`. A name alone has no tag, where a reference would have
    /// `latest`.
    pub(crate) fn parse(text: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        if let Some(path) = text.strip_prefix("ocifile://") {
            return Ok(Self::Layout(operand::layout(path)?));
        }
        if text.contains('@') {
            return Err("leave the digest out: the copy has the digest of its source".into());
        }
        if let Ok(repository) = text.parse() {
            return Ok(Self::Repository {
                repository,
                tag: None,
            });
        }
        let reference: Reference = text.parse()?;
        Ok(Self::Repository {
            repository: reference.location().writable()?.clone(),
            tag: reference.tag().map(str::to_owned),
        })
    }

    /// The same, of the images of galleries. A word alone would be below `docker.io/library`, where nobody but Docker may push.
    pub(crate) fn parse_for_galleries(text: &str) -> Result<Self, Box<dyn Error + Send + Sync>> {
        if !text.is_empty() && !text.contains(['/', '.', ':', '@']) {
            let message = format!(
                "for a kit in the directory {text} write ocifile://{text}; for a registry write its name too"
            );
            return Err(message.into());
        }
        Self::parse(text)
    }

    /// The same, with the source's tag if it has none of its own.
    pub(super) fn or_tag_of(self, source: &Reference) -> Self {
        match self {
            Self::Repository { repository, tag } => Self::Repository {
                repository,
                tag: tag.or_else(|| source.tag().map(str::to_owned)),
            },
            Self::Layout(layout) => Self::Layout(layout),
        }
    }
}
